//! A headless Chromium by WebDriver, for tests that look at a page as people do. Without a browser they skip and say so.

#![expect(
    clippy::unwrap_used,
    reason = "only tests use it: what does not work there is a failed test"
)]

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fantoccini::{Client, ClientBuilder};
use serde_json::{Map, Value, json};

mod command;

/// In CI these tests must run: a missing browser is a failure there.
const REQUIRED: &str = "BROWSER_TESTS";
/// Where screenshots are left. Default: `target/screenshots` of this repository.
const SCREENSHOTS: &str = "SCREENSHOTS";

/// No browser is started anew after this.
const SETTLED: Duration = Duration::from_secs(60);
/// Of the driver's log, when it gives no browser.
const LAST_LINES: usize = 40;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn pictures() -> PathBuf {
    let folder = std::env::var_os(SCREENSHOTS)
        .map_or_else(|| root().join("target/screenshots"), PathBuf::from);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// How the page is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// Names its pictures.
    pub name: &'static str,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// A phone.
    pub mobile: bool,
    /// The dark is preferred.
    pub dark: bool,
}

/// A wide window by day.
pub const DESKTOP: Look = Look {
    name: "desktop-light",
    width: 1280,
    height: 2400,
    mobile: false,
    dark: false,
};

/// Phone and desktop, light and dark.
pub const LOOKS: [Look; 4] = [
    DESKTOP,
    Look {
        name: "desktop-dark",
        dark: true,
        ..DESKTOP
    },
    Look {
        name: "phone-light",
        width: 390,
        height: 3600,
        mobile: true,
        dark: false,
    },
    Look {
        name: "phone-dark",
        width: 390,
        height: 3600,
        mobile: true,
        dark: true,
    },
];

/// A browser with its driver; both end with it.
pub struct Browser {
    /// Drives it.
    pub client: Client,
    driver: Child,
}

/// The text of axe-core, the accessibility checker; `None`, with a message, where it is not installed.
#[must_use]
pub fn axe() -> Option<String> {
    let file = root().join("target/axe/node_modules/axe-core/axe.min.js");
    match std::fs::read_to_string(&file) {
        Ok(text) => Some(text),
        Err(_) => {
            missing("axe-core is not installed (cargo xtask test installs it where npm is)");
            None
        }
    }
}

/// The text at a place; empty if there is none.
fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn missing(what: &str) {
    assert!(
        std::env::var_os(REQUIRED).is_none(),
        "{what}, and {REQUIRED} asks for these tests"
    );
    eprintln!("skipped: {what}");
}

fn found(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .flat_map(|folder| names.iter().map(move |name| folder.join(name)))
        .find(|file| file.is_file())
}

/// One driver and one browser of it. A browser on a busy machine sometimes ends while it starts, which says nothing about
/// the page, so this is an error and not a panic: it comes with what the driver wrote last.
async fn session(
    chromedriver: &Path,
    capabilities: &Map<String, Value>,
) -> Result<Browser, String> {
    let mut driver = Command::new(chromedriver)
        .args(["--port=0", "--verbose"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| e.to_string())?;
    let told = last_words(driver.stderr.take().unwrap());
    let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
    let port: Option<u16> = lines.by_ref().map_while(Result::ok).find_map(|line| {
        let (_, rest) = line.split_once("started successfully on port ")?;
        rest.trim_end_matches('.').parse().ok()
    });
    // What nobody reads stops the driver once the pipe is full.
    std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
    let answer = match port {
        None => Err("the driver named no port".to_owned()),
        Some(port) => ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new())
            .capabilities(capabilities.clone())
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .map_err(|e| e.to_string()),
    };
    match answer {
        Ok(client) => Ok(Browser { client, driver }),
        Err(why) => {
            driver.kill().unwrap();
            driver.wait().unwrap();
            let told = told.lock().unwrap();
            Err(told.iter().fold(why, |text, line| text + "\n" + line))
        }
    }
}

/// Reads to the end and keeps the last lines. They are shared, since a browser that outlives its driver keeps the pipe open.
fn last_words(output: impl Read + Send + 'static) -> Arc<Mutex<VecDeque<String>>> {
    let kept = Arc::<Mutex<VecDeque<String>>>::default();
    let shared = Arc::clone(&kept);
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            let mut kept = shared.lock().unwrap();
            kept.push_back(line);
            if kept.len() > LAST_LINES {
                kept.pop_front();
            }
        }
    });
    kept
}

impl Browser {
    /// Starts a browser; `None`, with a message, where there is none.
    ///
    /// # Panics
    /// If there is one that does not start, or none and the environment asks for it.
    pub async fn start(look: Look) -> Option<Self> {
        let (Some(chromium), Some(chromedriver)) = (
            found(&["chromium", "chromium-browser", "google-chrome"]),
            found(&["chromedriver"]),
        ) else {
            missing(
                "chromium and chromedriver are not installed (Debian: chromium, chromium-driver)",
            );
            return None;
        };
        let mut arguments = vec![
            "--headless=new".to_owned(),
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--hide-scrollbars".to_owned(),
            "--no-proxy-server".to_owned(),
            format!("--window-size={},{}", look.width, look.height),
        ];
        if look.dark {
            arguments.push("--blink-settings=preferredColorScheme=0".to_owned());
        }
        let mut options: Value = json!({"binary": chromium, "args": arguments});
        if look.mobile {
            let emulated = json!({"deviceMetrics":
                {"width": look.width, "height": look.height, "pixelRatio": 2.0, "mobile": true, "touch": true}});
            options
                .as_object_mut()
                .unwrap()
                .insert("mobileEmulation".to_owned(), emulated);
        }
        let capabilities = [
            ("goog:chromeOptions".to_owned(), options),
            (
                "goog:loggingPrefs".to_owned(),
                json!({"browser": "ALL", "performance": "ALL"}),
            ),
        ]
        .into_iter()
        .collect();
        let deadline = Instant::now() + SETTLED;
        let mut attempt = 1;
        loop {
            match session(&chromedriver, &capabilities).await {
                Ok(browser) => return Some(browser),
                Err(why) => {
                    assert!(Instant::now() < deadline, "no browser started: {why}");
                    eprintln!("attempt {attempt} to start a browser failed: {why}");
                    attempt += 1;
                }
            }
        }
    }

    /// Leaves a picture of the whole page, however long it is.
    ///
    /// # Panics
    /// If there is none.
    pub async fn whole_page(&self, name: &str) {
        let asked = command::Post::new(
            "goog/cdp/execute",
            json!({"cmd": "Page.captureScreenshot", "params": {"captureBeyondViewport": true}}),
        );
        let answer = self.client.issue_cmd(asked).await.unwrap();
        let bytes = STANDARD.decode(text(&answer, "/data")).unwrap();
        std::fs::write(pictures().join(format!("{name}.png")), bytes).unwrap();
    }

    /// What the page wrote to the console, errors of loading included.
    ///
    /// # Panics
    /// If the driver does not tell.
    pub async fn console(&self) -> Vec<String> {
        let entries = self.log("browser").await;
        entries
            .iter()
            .map(|entry| format!("{}: {}", text(entry, "/level"), text(entry, "/message")))
            .collect()
    }

    /// Every address that was asked for since the last call.
    ///
    /// # Panics
    /// If the driver does not tell.
    pub async fn requests(&self) -> Vec<String> {
        let entries = self.log("performance").await;
        entries
            .iter()
            .filter_map(|entry| serde_json::from_str::<Value>(text(entry, "/message")).ok())
            .filter(|event| text(event, "/message/method") == "Network.requestWillBeSent")
            .map(|event| text(&event, "/message/params/request/url").to_owned())
            .collect()
    }

    async fn log(&self, kind: &'static str) -> Vec<Value> {
        let asked = command::Post::new("se/log", json!({"type": kind}));
        let answer = self.client.issue_cmd(asked).await.unwrap();
        answer.as_array().cloned().unwrap_or_default()
    }

    /// Leaves the page as it is printed, a PDF, and gives its bytes.
    ///
    /// # Panics
    /// If it cannot be printed.
    pub async fn print(&self, name: &str) -> Vec<u8> {
        let asked = command::Post::new("print", json!({"background": true}));
        let answer = self.client.issue_cmd(asked).await.unwrap();
        let bytes = STANDARD.decode(answer.as_str().unwrap()).unwrap();
        std::fs::write(pictures().join(format!("{name}.pdf")), &bytes).unwrap();
        bytes
    }

    /// Ends both.
    ///
    /// # Panics
    /// If they do not end.
    pub async fn stop(mut self) {
        self.client.clone().close().await.unwrap();
        self.driver.kill().unwrap();
        self.driver.wait().unwrap();
    }

    /// Leaves a picture of what is shown.
    ///
    /// # Panics
    /// If there is none.
    pub async fn picture(&self, name: &str) {
        let folder = pictures();
        let bytes = self.client.screenshot().await.unwrap();
        std::fs::write(folder.join(format!("{name}.png")), bytes).unwrap();
    }

    /// What the accessibility checker finds serious or worse.
    ///
    /// # Panics
    /// If it cannot run.
    pub async fn serious(&self, axe: &str) -> Vec<String> {
        self.client.execute(axe, vec![]).await.unwrap();
        let run = "const done = arguments[arguments.length - 1]; \
                   axe.run(document).then(found => done(found.violations), error => done([{id: String(error), impact: 'critical', nodes: []}]));";
        let found = self.client.execute_async(run, vec![]).await.unwrap();
        let found = found.as_array().unwrap();
        found
            .iter()
            .filter(|v| matches!(text(v, "/impact"), "serious" | "critical"))
            .map(|v| {
                format!(
                    "{}: {}",
                    text(v, "/id"),
                    v.pointer("/nodes").unwrap_or(&Value::Null)
                )
            })
            .collect()
    }
}
