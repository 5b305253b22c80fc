//! A simulated Databricks workspace as a process of its own.

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};
use workspace_sim::{Delays, Inventory, SimOptions, Simulator};

/// Serves one simulated workspace until it is interrupted.
///
/// Accepts the personal token `sim-token` and the OAuth client `sim-client` with secret `sim-secret`.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Loopback address to listen on; port 0 takes a free port.
    #[arg(long, value_name = "ADDR")]
    listen: SocketAddr,
    /// The workspace's objects as a JSON document.
    #[arg(long, value_name = "FILE")]
    inventory: PathBuf,
    /// Whether the documented request rates are enforced.
    #[arg(long, value_enum, default_value_t = Switch::On)]
    rate_limits: Switch,
    /// Record every exchange in this file, one JSON line each.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// The workspace id.
    #[arg(long, value_name = "N", default_value_t = 1_000_000_000_000_001)]
    workspace_id: u64,
    /// Simulated seconds per real second.
    #[arg(long, value_name = "X", default_value_t = 1.0)]
    time_scale: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
enum Switch {
    On,
    Off,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprint!("workspace-sim: {error}");
            let mut cause = error.source();
            while let Some(inner) = cause {
                eprint!(": {inner}");
                cause = inner.source();
            }
            eprintln!();
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    // Before the first request can come, so that none is lost to a signal.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let simulator = Simulator::start(SimOptions {
        listen: arguments.listen,
        inventory: Inventory::load(&arguments.inventory)?,
        workspace_id: arguments.workspace_id,
        rate_limits: arguments.rate_limits == Switch::On,
        rate_scale: 1.0,
        record: arguments.record,
        time_scale: arguments.time_scale,
        delays: Delays::default(),
    })
    .await?;
    println!("{}", simulator.url());
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    simulator.stop().await;
    Ok(())
}
