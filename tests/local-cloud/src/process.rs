//! The moto process: started, commanded and ended.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::{Mutex, mpsc};

use crate::CloudError;

/// Tells the moto process which function processes to end when its owner dies.
#[derive(Debug, Clone)]
pub(crate) struct Reaper(mpsc::UnboundedSender<String>);

impl Reaper {
    pub(crate) fn born(&self, process: u32) {
        drop(self.0.send(format!("+{process}\n")));
    }

    pub(crate) fn gone(&self, process: u32) {
        drop(self.0.send(format!("-{process}\n")));
    }
}

/// A channel for the reaper, made before the process so that the harness can have its end.
pub(crate) fn reaper() -> (Reaper, mpsc::UnboundedReceiver<String>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (Reaper(sender), receiver)
}

/// Sends commands to the moto process.
#[derive(Debug, Clone)]
pub(crate) struct Control {
    client: reqwest::Client,
    base: String,
}

impl Control {
    pub(crate) async fn call<T: DeserializeOwned>(
        &self,
        command: &str,
        arguments: &impl Serialize,
    ) -> Result<T, CloudError> {
        let failed = |reason: String| CloudError::Command {
            command: command.to_owned(),
            reason,
        };
        let network = |error: reqwest::Error| failed(error.to_string());
        let url = format!("{}/_local-cloud/{command}", self.base);
        let response = self
            .client
            .post(url)
            .json(arguments)
            .send()
            .await
            .map_err(network)?;
        let ok = response.status().is_success();
        let answer: Value = response.json().await.map_err(network)?;
        if !ok {
            let reason = answer
                .get("error")
                .and_then(Value::as_str)
                .unwrap_or("no reason given");
            return Err(failed(reason.to_owned()));
        }
        serde_json::from_value(answer).map_err(|source| CloudError::Answer {
            command: command.to_owned(),
            source,
        })
    }
}

/// The running process. When it is dropped its stdin closes, and the process ends itself and every function process.
#[derive(Debug)]
pub(crate) struct MotoProcess {
    pub(crate) id: Option<u32>,
    child: Mutex<Child>,
    feeder: tokio::task::JoinHandle<()>,
    pub(crate) control: Control,
    pub(crate) base: String,
}

impl MotoProcess {
    pub(crate) async fn start(
        python: &Path,
        script: &Path,
        harness: &str,
        region: &str,
        log: PathBuf,
        mut lines: mpsc::UnboundedReceiver<String>,
    ) -> Result<Self, CloudError> {
        let file = |source| CloudError::File {
            path: log.clone(),
            source,
        };
        let errors = std::fs::File::create(&log).map_err(file)?;
        let refused = |reason: String| CloudError::Start {
            reason,
            log: log.clone(),
        };
        let mut child = Command::new(python)
            .arg("-u")
            .arg(script)
            .args(["--harness", harness, "--region", region])
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors)
            // Ctrl-C must not end moto while its owner still tidies up.
            .process_group(0)
            .spawn()
            .map_err(|error| refused(error.to_string()))?;
        let mut stdin = child
            .stdin
            .take()
            .ok_or_else(|| refused("it has no stdin".to_owned()))?;
        let stdout = child
            .stdout
            .take()
            .ok_or_else(|| refused("it has no stdout".to_owned()))?;
        let feeder = tokio::spawn(async move {
            while let Some(line) = lines.recv().await {
                if stdin.write_all(line.as_bytes()).await.is_err() {
                    return;
                }
                drop(stdin.flush().await);
            }
        });
        let mut first = String::new();
        let mut stdout = BufReader::new(stdout);
        let read =
            tokio::time::timeout(Duration::from_secs(120), stdout.read_line(&mut first)).await;
        let port = match read {
            Err(_) => Err("it said nothing for two minutes".to_owned()),
            Ok(Err(error)) => Err(error.to_string()),
            Ok(Ok(_)) => serde_json::from_str::<Value>(&first)
                .ok()
                .and_then(|line| line.get("port").and_then(Value::as_u64))
                .ok_or_else(|| "it ended before it listened".to_owned()),
        };
        let port = port.map_err(|reason| {
            feeder.abort();
            refused(reason)
        })?;
        let base = format!("http://127.0.0.1:{port}");
        let client = reqwest::Client::builder()
            .no_proxy()
            .build()
            .map_err(|error| refused(error.to_string()))?;
        let control = Control {
            client,
            base: base.clone(),
        };
        Ok(Self {
            id: child.id(),
            child: Mutex::new(child),
            feeder,
            control,
            base,
        })
    }

    /// Closes its stdin and waits for its end; kills it when that takes too long.
    pub(crate) async fn stop(&self) {
        self.feeder.abort();
        let mut child = self.child.lock().await;
        if tokio::time::timeout(Duration::from_secs(5), child.wait())
            .await
            .is_err()
        {
            drop(child.kill().await);
        }
    }
}

impl Drop for MotoProcess {
    fn drop(&mut self) {
        self.feeder.abort();
    }
}
