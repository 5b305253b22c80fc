//! `recovery-point SOURCE REPLICA`: one JSON line about a replicated Delta table.

use clap::Parser;
use delta_recovery::{Error, Location, Options, recovery_point};
use serde_json::{Value, json};
use std::process::ExitCode;
use std::time::Duration;

/// Finds the newest version of a Delta table that is complete at its replica.
#[derive(Parser)]
#[command(
    after_help = "Exit status: 0 a recovery version was found, 1 none was found or the table was refused, 2 bad arguments."
)]
struct Arguments {
    /// The table's root at the source: a folder, or s3://bucket/prefix[?region=NAME]
    source: String,
    /// The table's root at the replica, in the same form
    replica: String,
    /// Seconds that reading the source may take; it may be dark
    #[arg(long, default_value_t = 60)]
    source_timeout: u64,
    /// Also print the older complete versions
    #[arg(long)]
    history: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match answer(&arguments).await {
        Ok((line, found)) => {
            println!("{line}");
            if found {
                ExitCode::SUCCESS
            } else {
                ExitCode::from(1)
            }
        }
        Err(error @ Error::BadAddress { .. }) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
        Err(error) => {
            println!(
                "{}",
                json!({"refusal": {"name": error.name(), "detail": error.to_string()}})
            );
            ExitCode::from(1)
        }
    }
}

async fn answer(arguments: &Arguments) -> Result<(Value, bool), Error> {
    let (source, dark) = match Location::parse(&arguments.source) {
        Ok(source) => (Some(source), None),
        Err(error @ Error::NoSuchFolder { .. }) => (None, Some(error.to_string())),
        Err(error) => return Err(error),
    };
    let replica = Location::parse(&arguments.replica)?;
    let options = Options {
        source_timeout: Duration::from_secs(arguments.source_timeout),
        ..Options::default()
    };
    let mut point = recovery_point(source.as_ref(), &replica, &options).await?;
    point.notes.extend(dark);
    if !arguments.history {
        point.history.clear();
    }
    let found = point.recovery_version.is_some();
    Ok((json!(point), found))
}
