//! The reader's shell.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::{Options, write};
use crate::DrillError;

/// One block may take this long.
const PATIENCE: Duration = Duration::from_secs(180);
/// What the shell says after a block.
const DONE: &str = "== done ";
/// Lines of a failed block that are shown.
const SHOWN: usize = 25;

/// A bash that ends at the first command that fails.
pub(super) struct Shell {
    folder: PathBuf,
    log: PathBuf,
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    blocks: usize,
    said: String,
}

impl Shell {
    /// In the reader's clone, with no AWS but the local one.
    ///
    /// # Errors
    /// If there is no bash.
    pub(super) fn start(
        options: &Options,
        clone: &Path,
        endpoint: &str,
    ) -> Result<Self, DrillError> {
        let config = options.out.join("aws-config");
        // AWS command line 1 would fetch a value that is a URL; 2 does not.
        write(&config, "[default]\ncli_follow_urlparam = false\n")?;
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(options.tools.clone()).chain(std::env::split_paths(&path));
        let path = std::env::join_paths(folders).unwrap_or(path);
        let mut command = Command::new("bash");
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("AWS_") {
                command.env_remove(name);
            }
        }
        let mut child = command
            .args(["-euo", "pipefail"])
            .current_dir(clone)
            .env("PATH", path)
            .env("AWS_ENDPOINT_URL", endpoint)
            .env("AWS_ACCESS_KEY_ID", "local")
            .env("AWS_SECRET_ACCESS_KEY", "local")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_CONFIG_FILE", &config)
            .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
            .env("AWS_PAGER", "")
            .env("NO_PROXY", "127.0.0.1")
            .env("SAM_CLI_TELEMETRY", "0")
            .env("XTASK", &options.xtask)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .map_err(|e| DrillError::Guide(format!("bash could not be started: {e}")))?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(DrillError::Guide("bash has no pipes".to_owned()));
        };
        Ok(Self {
            folder: options.out.join("blocks"),
            log: options.out.join("guide.log"),
            child,
            input,
            output: BufReader::new(output).lines(),
            blocks: 0,
            said: String::new(),
        })
    }

    /// Runs one block; prompts are answered with yes.
    ///
    /// # Errors
    /// The last lines of a block that fails.
    pub(super) async fn run(&mut self, title: &str, script: &str) -> Result<(), DrillError> {
        if self.blocks == 0 {
            self.send(PRELUDE).await?;
        }
        self.blocks += 1;
        let file = self.folder.join(format!("{:02}.sh", self.blocks));
        write(&file, script)?;
        let (file, done) = (file.display(), format!("{DONE}{}", self.blocks));
        // What was printed last may have no end of line.
        self.send(&format!(". '{file}' < <(yes)\necho\necho '{done}'\n"))
            .await?;
        let mut lines = vec![format!("## {title}"), script.to_owned()];
        let ended = tokio::time::timeout(PATIENCE, async {
            while let Ok(Some(line)) = self.output.next_line().await {
                if line == done {
                    return true;
                }
                lines.push(line);
            }
            false
        })
        .await;
        self.said += &(lines.join("\n") + "\n");
        write(&self.log, &self.said)?;
        if ended == Ok(true) {
            return Ok(());
        }
        let from = lines.len().saturating_sub(SHOWN);
        let shown = lines.get(from..).unwrap_or_default().join("\n");
        let why = if ended.is_err() {
            "does not end"
        } else {
            "failed"
        };
        Err(DrillError::Guide(format!(
            "a block of \"{title}\" {why}; the whole is in {}:\n{shown}",
            self.log.display()
        )))
    }

    /// The reader closes the shell.
    ///
    /// # Errors
    /// If it does not end well.
    pub(super) async fn end(mut self) -> Result<(), DrillError> {
        self.send("exit 0\n").await?;
        match self.child.wait().await {
            Ok(status) if status.success() => Ok(()),
            other => Err(DrillError::Guide(format!("the shell ended with {other:?}"))),
        }
    }

    async fn send(&mut self, text: &str) -> Result<(), DrillError> {
        self.input
            .write_all(text.as_bytes())
            .await
            .map_err(|e| DrillError::Guide(format!("the shell has gone: {e}")))
    }
}

/// `cargo` in the guide: the clone of a rehearsal has no sources, and its packages are there already. `aws`: version 1 has names of
/// its own for the hosts of SQS, whatever address the environment gives.
const PRELUDE: &str = r#"exec 2>&1
aws() { if [ "$1" = sqs ]; then command aws --endpoint-url "$AWS_ENDPOINT_URL" "$@"; else command aws "$@"; fi; }
cargo() {
  case "$*" in
    "xtask package"*) for package in target/lambda/*/bootstrap; do
      # A stand-in is new each time, as packages are.
      if [ "$(head -c 11 "$package")" = placeholder ]; then echo >> "$package"; fi
      ls -l "$package"
    done ;;
    "xtask "*) shift; "$XTASK" "$@" ;;
    *) command cargo "$@" ;;
  esac
}
"#;
