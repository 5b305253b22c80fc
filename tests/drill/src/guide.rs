//! `cargo xtask guide`: follows docs/deploy.md word by word in the local cloud, with the real SAM and AWS command lines.
//!
//! Every block of shell commands runs in one shell, in the guide's order. In place of the reader's values come those of the
//! simulated workspaces, and where the guide lets time pass or sends somebody to Databricks, this does what then happens.

mod page;
mod shell;

use std::path::{Path, PathBuf};

use aws::store::Store;
use recovery::baseline::BaselinePointer;
use recovery::operator_check::OperatorCheck;
use recovery::site::{PlanName, RunId, SiteLabel};
use serde_json::Value;

use crate::estate::Estate;
use crate::plan::{CONTROL_REGION, NAME, for_deployment};
use crate::progress::Progress;
use crate::world::World;
use crate::{DrillError, Scenario, live};
use page::Section;
use shell::Shell;

/// The guide.
const GUIDE: &str = "docs/deploy.md";
/// The plan, the stack and the buckets in `samconfig.toml`, and what a reader with the plan of a drill makes of them.
const EDITED: [(&str, &str); 2] = [("lakehouse", NAME), ("example-lake-", "drill-lake-")];
/// The drill that the guide starts.
const FIRST_DRILL: &str = "first-drill";

/// What a rehearsal of the guide needs.
pub struct Options {
    /// The repository.
    pub root: PathBuf,
    /// A new folder for the clone, the log and what the functions say.
    pub out: PathBuf,
    /// Folder of `aws` and `sam`.
    pub tools: PathBuf,
    /// The executable of `cargo xtask`.
    pub xtask: PathBuf,
    /// `target/lambda` holds packages that Lambda can run on this machine; else the functions of `cargo drill` stand in.
    pub built: bool,
}

/// Follows the guide to its end.
///
/// # Errors
/// The first command that failed, or what the guide promises and did not come.
pub async fn rehearse(options: &Options, progress: &Progress) -> Result<(), DrillError> {
    let guide = options.root.join(GUIDE);
    let text = std::fs::read_to_string(&guide).map_err(DrillError::file(&guide))?;
    let sections = page::sections(&text);
    progress.say("building the functions");
    let binaries = crate::build::functions(&options.root).await?;
    let clone = options.out.join("clone");
    lay_out(options, &clone)?;
    let estate = Estate::load(None, Scenario::FailoverAndFailback)?;
    let warehouse = live::any_warehouse(&estate.original);
    let mut world = World::without_a_stack(&options.root, &binaries, &options.out, estate).await?;
    let plan = for_deployment(warehouse.as_deref(), &world.cloud.endpoint());
    let text = serde_json::to_string_pretty(&plan).unwrap_or_default();
    write(&clone.join("plan.json"), &text)?;
    write(&clone.join("values.sh"), &values(&world))?;
    let mut shell = Shell::start(options, &clone, &world.cloud.endpoint())?;
    let followed = follow(&sections, &mut shell, &mut world, progress).await;
    if followed.is_err() {
        // For whoever looks for the reason.
        let _ = world.save_state(&options.out.join("state")).await;
    }
    followed?;
    shell.end().await?;
    world.stop().await;
    Ok(())
}

async fn follow(
    sections: &[Section],
    shell: &mut Shell,
    world: &mut World,
    progress: &Progress,
) -> Result<(), DrillError> {
    for section in sections {
        progress.say(&section.title);
        before(section, world).await?;
        for block in &section.blocks {
            let script = if section.title == "Your values" {
                ". ./values.sh"
            } else {
                block
            };
            shell.run(&section.title, script).await?;
        }
        after(section, world).await?;
    }
    Ok(())
}

/// The clone as its reader has it: with a plan, and with packages.
fn lay_out(options: &Options, clone: &Path) -> Result<(), DrillError> {
    copy(&options.root.join("infra"), &clone.join("infra"))?;
    let samconfig = options.root.join("samconfig.toml");
    let mut text = std::fs::read_to_string(&samconfig).map_err(DrillError::file(&samconfig))?;
    for (from, to) in EDITED {
        text = text.replace(from, to);
    }
    write(&clone.join("samconfig.toml"), &text)?;
    for site in ["primary", "secondary"] {
        for role in ["observer", "operator"] {
            let file = clone.join(format!("credentials/{site}-{role}.json"));
            write(
                &file,
                r#"{"client_id":"sim-client","client_secret":"sim-secret"}"#,
            )?;
        }
    }
    let functions = options.root.join("functions");
    for function in std::fs::read_dir(&functions).map_err(DrillError::file(&functions))? {
        let name = function.map_err(DrillError::file(&functions))?.file_name();
        let package = clone.join("target/lambda").join(&name);
        if options.built {
            copy(&options.root.join("target/lambda").join(&name), &package)?;
        } else {
            let text = format!("placeholder of {}", name.to_string_lossy());
            write(&package.join("bootstrap"), &text)?;
        }
    }
    Ok(())
}

/// What comes in place of the reader's values.
fn values(world: &World) -> String {
    format!(
        "export PLAN={NAME} AWS_REGION={CONTROL_REGION} AWS_DEFAULT_REGION={CONTROL_REGION} OBSERVER_REGION=eu-west-1\n\
         PRIMARY_URL={} SECONDARY_URL={}\n\
         CREDENTIALS=$PWD/credentials ONCALL=oncall@example.com\n",
        world.primary.url(),
        world.secondary.url(),
    )
}

/// What passes by itself before a section begins.
async fn before(section: &Section, world: &World) -> Result<(), DrillError> {
    if section.title.starts_with("Several plans") {
        // The second plan's stack has no plan yet; its schedules would only fail.
        world.cloud.pause_schedules();
    }
    Ok(())
}

/// What passes by itself after a section, and what it promised.
async fn after(section: &Section, world: &mut World) -> Result<(), DrillError> {
    if section.title.starts_with("1.") {
        let stack = world.cloud.adopt(&format!("databricks-dr-{NAME}")).await?;
        world.stands_on(stack);
    } else if section.title.starts_with("2.") {
        // The federation policies, which the reader makes in the account console of Databricks.
        world.federate().await?;
    } else if section.title.starts_with("3.") {
        world.fill().await?;
        world.start_schedules().await?;
        world.healthy_for_a_while().await?;
        world.data_arrives().await?;
    } else if section.title.starts_with("4.") {
        let baseline = world.read::<BaselinePointer>(aws::keys::BASELINE).await?;
        promised(baseline.is_some(), "baselines/current.json is not there")?;
        let key = aws::keys::of_run(&RunId::new(FIRST_DRILL), "report.json");
        let report: Option<Value> = world.read(&key).await?;
        let outcome = report.as_ref().and_then(|report| report.get("outcome"));
        promised(
            outcome.and_then(Value::as_str) == Some("Completed"),
            &format!("the first drill ended in {outcome:?}"),
        )?;
        let key = aws::keys::operator_check(SiteLabel::Primary);
        let operator: Option<OperatorCheck> = world.read(&key).await?;
        promised(
            operator.is_some_and(|check| check.objects > 0 && check.refused.is_empty()),
            "the first drill has not checked what the operator may do",
        )?;
    } else if section.title == "Removal" {
        for stack in [NAME.to_owned(), "second".to_owned()] {
            let found = world.cloud.adopt(&format!("databricks-dr-{stack}")).await;
            // Any other error would say nothing of the stack.
            let is_gone = found.is_err_and(|why| why.to_string().contains("does not exist"));
            promised(is_gone, &format!("the stack of {stack} is not gone"))?;
        }
        let plan = PlanName::new(NAME);
        for site in SiteLabel::ALL {
            let name = aws::keys::workspace_url(&plan, site);
            let left = world.parameter(CONTROL_REGION, &name).await?;
            promised(
                left.is_none(),
                &format!("the parameter {name} is still there"),
            )?;
        }
        let plan = world.store().get("plan.json").await?;
        promised(plan.is_some(), "the state bucket has not been kept")?;
    }
    Ok(())
}

fn promised(kept: bool, broken: &str) -> Result<(), DrillError> {
    if kept {
        Ok(())
    } else {
        Err(DrillError::Guide(broken.to_owned()))
    }
}

fn write(file: &Path, text: &str) -> Result<(), DrillError> {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).map_err(DrillError::file(folder))?;
    }
    std::fs::write(file, text).map_err(DrillError::file(file))
}

/// Copies the files of a folder; the folders of this have none.
fn copy(from: &Path, to: &Path) -> Result<(), DrillError> {
    std::fs::create_dir_all(to).map_err(DrillError::file(to))?;
    for entry in std::fs::read_dir(from).map_err(DrillError::file(from))? {
        let path = entry.map_err(DrillError::file(from))?.path();
        if let (true, Some(name)) = (path.is_file(), path.file_name()) {
            std::fs::copy(&path, to.join(name)).map_err(DrillError::file(&path))?;
        }
    }
    Ok(())
}
