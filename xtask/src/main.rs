//! The tasks of this repository: `cargo xtask test`, `lint`, `package`, `guide`, `cost`, `permissions`, `schema`, `plan-check`, `at-rest`.

mod at_rest;
mod cost;
mod guide;
mod lint;
mod package;
mod permissions;
mod plan;
mod root;
mod schema;
mod test;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    about = "The tasks of this repository",
    disable_help_subcommand = true
)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Builds everything and runs every test. Its exit status is that of the tests.
    Test {
        /// Arguments of `cargo nextest run`, for example: -- -E 'package(recovery)'
        #[arg(last = true)]
        nextest: Vec<String>,
    },
    /// Checks the template, the state machine, the published schemas and the example plan
    Lint,
    /// Writes infra/plan.schema.json and infra/report.schema.json from the Rust types
    Schema {
        /// Write nothing; fail if a file differs
        #[arg(long)]
        check: bool,
    },
    /// Builds every function for Lambda into target/lambda and prints the sizes
    Package {
        /// For Intel instead of Arm; deploy with Architecture=x86_64
        #[arg(long)]
        x86_64: bool,
    },
    /// Follows docs/deploy.md in the local cloud, with the real SAM and AWS command lines
    Guide {
        /// Deploy what `package --x86-64` has built; else the functions of `cargo drill` stand in
        #[arg(long)]
        built: bool,
    },
    /// Prints what one plan costs a month
    Cost,
    /// Prints which statement of which role a drill needs, from the records that drills leave
    Permissions,
    /// Reads a plan and prints OK or every problem with its path
    PlanCheck {
        /// The plan
        file: PathBuf,
    },
    /// Reads a copy of state.json and prints OK, or what is under way: an upgrade that needs rest must wait for it
    AtRest {
        /// The copy
        file: PathBuf,
    },
}

fn main() -> ExitCode {
    let result = match Arguments::parse().task {
        Task::Test { nextest } => test::run(&nextest),
        Task::Lint => lint::run(),
        Task::Schema { check: true } => schema::check_all(),
        Task::Schema { check: false } => schema::write(),
        Task::Package { x86_64 } => package::run(x86_64),
        Task::Guide { built } => guide::run(built),
        Task::Cost => cost::run(),
        Task::Permissions => permissions::run(),
        Task::PlanCheck { file } => plan::check(&file),
        Task::AtRest { file } => at_rest::check(&file),
    };
    match result {
        Ok(code) => code,
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::FAILURE
        }
    }
}
