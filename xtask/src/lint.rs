//! `cargo xtask lint`: what AWS would refuse, found before a deployment.

use std::path::Path;
use std::process::{Command, ExitCode};

use local_cloud::venv::Venv;
use serde_json::{Value, json};

use crate::{plan, root, schema};

const TEMPLATE: &str = "infra/template.yaml";
const OBSERVER: &str = "infra/observer.yaml";
const MACHINE: &str = "infra/failover.asl.json";

/// Every check runs, so that one problem does not hide another.
pub(crate) fn run() -> Result<ExitCode, String> {
    let venv = root::venv()?;
    let checks: [(&str, Result<(), String>); 8] = [
        (TEMPLATE, template(&venv, TEMPLATE)),
        (OBSERVER, template(&venv, OBSERVER)),
        (
            MACHINE,
            root::read(MACHINE).and_then(|text| machine(&venv, &text)),
        ),
        (schema::PLAN, schema::check(schema::PLAN)),
        (schema::REPORT, schema::check(schema::REPORT)),
        (
            plan::EXAMPLE,
            plan::check(&root::path().join(plan::EXAMPLE)).and_then(succeeded),
        ),
        (
            "example of a plan against schema",
            fits(&venv, plan::EXAMPLE, schema::PLAN),
        ),
        (
            "example of a report against schema",
            fits(&venv, schema::REPORT_EXAMPLE, schema::REPORT),
        ),
    ];
    let mut code = ExitCode::SUCCESS;
    for (what, result) in checks {
        match result {
            Ok(()) => println!("lint: {what}: ok"),
            Err(problem) => {
                println!("lint: {what}: {problem}");
                code = ExitCode::FAILURE;
            }
        }
    }
    Ok(code)
}

fn succeeded(code: ExitCode) -> Result<(), String> {
    if code == ExitCode::SUCCESS {
        Ok(())
    } else {
        Err("is refused".to_owned())
    }
}

fn template(venv: &Venv, file: &str) -> Result<(), String> {
    cfn_lint(venv, &root::path().join(file))
}

/// cfn-lint knows the states language, but only inside of a template: a throw-away one holds the definition.
fn machine(venv: &Venv, definition: &str) -> Result<(), String> {
    let definition: Value = serde_json::from_str(&substituted(definition))
        .map_err(|error| format!("is no JSON: {error}"))?;
    let folder =
        tempfile::tempdir().map_err(|error| format!("cannot make a temporary folder: {error}"))?;
    let file = folder.path().join("machine.json");
    std::fs::write(&file, around(definition).to_string())
        .map_err(|error| format!("cannot write {}: {error}", file.display()))?;
    cfn_lint(venv, &file)
}

/// Fills every `${Name}` as a deployment would. That each name exists is asserted by the tests of the infrastructure.
fn substituted(definition: &str) -> String {
    let mut pieces = definition.split("${");
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (name, rest) = piece.split_once('}').unwrap_or((piece, ""));
        text.push_str("arn:aws:lambda:us-east-1:123456789012:function:");
        text.push_str(name);
        text.push_str(rest);
    }
    text
}

fn around(mut definition: Value) -> Value {
    // The states language knows both fields there, the schema of cfn-lint does not.
    for state in definition
        .get_mut("States")
        .and_then(Value::as_object_mut)
        .into_iter()
        .flat_map(|states| states.values_mut())
    {
        if let Some(state) = state.as_object_mut()
            && state.get("Type").and_then(Value::as_str) == Some("Succeed")
        {
            state.remove("InputPath");
            state.remove("OutputPath");
        }
    }
    json!({
        "AWSTemplateFormatVersion": "2010-09-09",
        "Resources": {"Machine": {
            "Type": "AWS::StepFunctions::StateMachine",
            "Properties": {"RoleArn": "arn:aws:iam::123456789012:role/machine", "Definition": definition},
        }},
    })
}

fn cfn_lint(venv: &Venv, file: &Path) -> Result<(), String> {
    said_nothing(Command::new(venv.tool("cfn-lint")).arg("--").arg(file))
}

fn fits(venv: &Venv, example: &str, schema: &str) -> Result<(), String> {
    let root = root::path();
    venv.fits(&root.join(example), &root.join(schema))
}

fn said_nothing(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| {
        format!(
            "cannot start {}: {error}",
            command.get_program().to_string_lossy()
        )
    })?;
    if output.status.success() {
        return Ok(());
    }
    let text = [output.stdout, output.stderr].concat();
    Err(String::from_utf8_lossy(&text).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(change: impl FnOnce(&mut Value)) -> String {
        let mut definition: Value = serde_json::from_str(&root::read(MACHINE).unwrap()).unwrap();
        change(&mut definition);
        machine(&root::venv().unwrap(), &definition.to_string())
            .err()
            .unwrap_or_default()
    }

    #[test]
    fn the_state_machine_passes_the_lint() {
        assert_eq!(problem(|_| ()), "");
    }

    #[test]
    fn a_field_that_the_states_language_does_not_know_is_found() {
        let found = problem(|d| d["States"]["BeginRun"]["TimeoutSecond"] = json!(1));
        assert!(found.contains("TimeoutSecond"), "{found}");
    }

    #[test]
    fn every_name_is_filled_in() {
        let text = substituted(&root::read(MACHINE).unwrap());
        assert!(!text.contains("${"), "{text}");
    }
}
