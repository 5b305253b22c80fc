//! `cargo export-inventory`: what a workspace holds, as a document that `cargo drill --inventory` takes.

use std::error::Error;
use std::io::Read as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use databricks::{
    Connections, Credential, RateShare, Retries, Secret, Settings, Timeouts, Workspace,
    WorkspaceUrl,
};
use jiff::Timestamp;

/// The variable that holds the token.
const TOKEN: &str = "DATABRICKS_TOKEN";

/// Exports what a workspace holds: jobs, clusters, warehouses, pools, pipelines, apps, alerts, dashboard schedules, active runs, and what
/// cannot be fenced. It only reads, with 20 % of the documented rates.
///
/// The token comes from the environment variable DATABRICKS_TOKEN or from standard input, never from the command line. A
/// token that can only read is enough: what it cannot see is not in the file. Values of environment variables, passwords, tokens and
/// credentials are taken out; names, schedules, paths and people's addresses stay. Read the file before you give it away.
#[derive(Parser)]
#[command(name = "cargo export-inventory")]
struct Arguments {
    /// The workspace: https://...
    #[arg(long)]
    url: String,
    /// Where the document goes. It must not exist yet.
    #[arg(long)]
    out: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("nothing was exported: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let settings = Settings {
        url: WorkspaceUrl::parse(&arguments.url)?,
        // Compared before a write only, and nothing is written.
        workspace_id: "1".parse()?,
        credential: Credential::Token(Secret::new(token()?)),
        timeouts: Timeouts::default(),
        share: RateShare::BACKGROUND,
        retries: Retries::On,
        connections: Connections::Pooled,
        time_scale: 1.0,
    };
    let workspace = Workspace::connect(settings)?;
    let export = sites::export(&workspace, Timestamp::now()).await?;
    let text = serde_json::to_vec_pretty(&export.document)?;
    let mut file = std::fs::File::create_new(&arguments.out)
        .map_err(|error| format!("{}: {error}", arguments.out.display()))?;
    std::io::Write::write_all(&mut file, &text)?;
    eprintln!(
        "wrote {}; {} values that are or may be secret were replaced by {:?}",
        arguments.out.display(),
        export.redacted,
        sites::REDACTED
    );
    for left_out in export.left_out {
        eprintln!("left out: {left_out}");
    }
    eprintln!(
        "rehearse it: cargo drill --inventory {}",
        arguments.out.display()
    );
    Ok(())
}

fn token() -> Result<String, Box<dyn Error>> {
    if let Ok(token) = std::env::var(TOKEN) {
        return Ok(token);
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    let token = text.trim();
    if token.is_empty() {
        return Err(format!("there is no token: set {TOKEN}, or give it on standard input").into());
    }
    Ok(token.to_owned())
}
