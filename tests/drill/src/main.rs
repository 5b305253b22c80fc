//! `cargo drill`: the main job, on a laptop, without an AWS or Databricks account.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use drill::permissions::StatementName;
use drill::progress::Progress;
use drill::{DrillError, Options, Scenario};

/// Rehearses a disaster with two simulated workspaces, a local cloud, the real functions and the real state machine.
///
/// Exits with 0 only if the run ended in Completed and every promise held; with 1 for any other named outcome or a broken
/// promise; with 2 if the drill could not be carried out.
#[derive(Parser)]
#[command(name = "cargo drill")]
struct Arguments {
    /// What happens.
    #[arg(long, value_enum, default_value_t = Scenario::FailoverAndFailback)]
    scenario: Scenario,
    /// The primary's inventory: Databricks list responses by kind. Default: the example of this project.
    #[arg(long)]
    inventory: Option<PathBuf>,
    /// Where report, state, recordings and logs are left. Default: a new folder under out/.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Print one JSON summary as the last line of standard output.
    #[arg(long)]
    json: bool,
    /// You approve or decline, in a browser: the drill prints the link of the page and waits.
    #[arg(long)]
    interactive: bool,
    /// Take a statement away from a role of the stack, as CloseRunFunctionRole/Tells: the drill must then fail.
    #[arg(long, value_name = "ROLE/STATEMENT")]
    without: Option<StatementName>,
    /// List the scenarios.
    #[arg(long)]
    list: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.list {
        for scenario in Scenario::value_variants() {
            println!("{:<24} {}", scenario.name(), scenario.about());
        }
        return ExitCode::SUCCESS;
    }
    let progress = Progress::new(22);
    let result = tokio::select! {
        result = drill(&arguments, &progress) => result,
        // Everything that was started is dropped, and ends with it.
        _ = tokio::signal::ctrl_c() => {
            progress.end();
            eprintln!("interrupted; nothing is left running");
            return ExitCode::from(130);
        }
    };
    progress.end();
    match result {
        Ok(summary) => {
            if arguments.json {
                println!("{}", serde_json::to_string(&summary).unwrap_or_default());
            } else {
                println!("{}", summary.table());
            }
            if summary.is_success() {
                ExitCode::SUCCESS
            } else {
                ExitCode::from(1)
            }
        }
        Err(error) => {
            eprintln!("the drill could not be carried out: {error}");
            ExitCode::from(2)
        }
    }
}

async fn drill(arguments: &Arguments, progress: &Progress) -> Result<drill::Summary, DrillError> {
    let root = drill::build::repository();
    progress.say("building the functions");
    let binaries = drill::build::functions(&root).await?;
    let out = match &arguments.out {
        Some(out) => out.clone(),
        None => {
            let moment = jiff::Timestamp::now()
                .strftime("%Y%m%dT%H%M%SZ")
                .to_string();
            root.join("out")
                .join(format!("{}-{moment}", arguments.scenario.name()))
        }
    };
    let options = Options {
        scenario: arguments.scenario,
        inventory: arguments.inventory.clone(),
        out,
        root,
        binaries,
        interactive: arguments.interactive,
        without: arguments.without.clone(),
    };
    if options.inventory.is_some() {
        rehearse(&options)?;
    }
    drill::run(&options, progress).await
}

/// Says what a failover of this very estate would take, and leaves it in the folder as JSON.
fn rehearse(options: &Options) -> Result<(), DrillError> {
    let estate = drill::estate::Estate::load(options.inventory.as_deref(), options.scenario)?;
    let rehearsal = drill::rehearsal::of(&estate, jiff::Timestamp::now())?;
    println!("{}", drill::rehearsal::in_words(&rehearsal));
    drill::rehearsal::save(&rehearsal, &options.out)
}
