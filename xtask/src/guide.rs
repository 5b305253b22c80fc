//! `cargo xtask guide`: a rehearsal of docs/deploy.md.

use std::process::ExitCode;

use drill::guide::{Options, rehearse};
use drill::progress::Progress;

use crate::root;

/// Installs the command lines if they are missing, then follows the guide.
pub(crate) fn run(built: bool) -> Result<ExitCode, String> {
    let tools = root::command_lines()?;
    let root = root::path();
    let moment = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let options = Options {
        out: root.join(format!("out/guide-{moment}")),
        tools: tools.tools(),
        xtask: std::env::current_exe().map_err(|e| e.to_string())?,
        root,
        built,
    };
    let progress = Progress::new(10);
    let done = tokio::runtime::Runtime::new()
        .map_err(|e| e.to_string())?
        .block_on(rehearse(&options, &progress));
    progress.end();
    done.map_err(|e| e.to_string())?;
    println!(
        "the guide was followed to its end; what every command printed is in {}",
        options.out.join("guide.log").display()
    );
    Ok(ExitCode::SUCCESS)
}
