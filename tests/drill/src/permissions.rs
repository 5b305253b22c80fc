//! What every role asked of AWS during a drill: nothing may be refused, and the record tells which statements are needed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::str::FromStr;

use local_cloud::Decision;

use crate::{DrillError, Options};

/// The record's name in the drill's folder.
pub const FILE: &str = "permissions.json";

/// A statement of a role, as `CloseRunFunctionRole/Tells`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StatementName {
    /// The role's logical id in the template.
    pub role: String,
    /// The statement's `Sid`.
    pub sid: String,
}

impl FromStr for StatementName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('/') {
            Some((role, sid)) if !role.is_empty() && !sid.is_empty() => Ok(Self {
                role: role.to_owned(),
                sid: sid.to_owned(),
            }),
            _ => Err("it has not the form ROLE/STATEMENT".to_owned()),
        }
    }
}

impl std::fmt::Display for StatementName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.role, self.sid)
    }
}

/// What a set of drills asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Statements without which at least one request would have been refused, with the first such request.
    pub needed: BTreeMap<StatementName, String>,
    /// Actions that each statement allowed.
    pub used: BTreeMap<StatementName, BTreeSet<String>>,
}

impl Needs {
    /// Reads the record of one drill into the whole.
    pub fn add(&mut self, decisions: &[Decision]) {
        for decision in decisions {
            for sid in &decision.allowed_by {
                let name = StatementName {
                    role: decision.role.clone(),
                    sid: sid.clone(),
                };
                self.used
                    .entry(name)
                    .or_default()
                    .insert(decision.action.clone());
            }
            if let [only] = decision.allowed_by.as_slice() {
                let name = StatementName {
                    role: decision.role.clone(),
                    sid: only.clone(),
                };
                let request = format!("{} {}", decision.action, decision.resource);
                self.needed.entry(name).or_insert(request);
            }
        }
    }
}

/// Leaves the record in the drill's folder and beside the binaries, and gives the promises that a refusal breaks.
pub(crate) fn judge(
    options: &Options,
    mut decisions: Vec<Decision>,
) -> Result<Vec<String>, DrillError> {
    decisions.sort();
    let text = serde_json::to_string_pretty(&decisions).unwrap_or_default();
    write(&options.out.join(FILE), &text)?;
    if options.without.is_none() {
        let all = options.binaries.join("permissions");
        std::fs::create_dir_all(&all).map_err(DrillError::file(&all))?;
        write(
            &all.join(format!("{}.json", options.scenario.name())),
            &text,
        )?;
    }
    Ok(decisions
        .iter()
        .filter(|decision| decision.allowed_by.is_empty())
        .map(|d| {
            format!(
                "{} was refused {} on {} ({} times)",
                d.role, d.action, d.resource, d.times
            )
        })
        .collect())
}

fn write(path: &Path, text: &str) -> Result<(), DrillError> {
    std::fs::write(path, text).map_err(DrillError::file(path))
}

/// A drill that could not be carried out says what was refused meanwhile.
pub(crate) fn explained(error: DrillError, refused: &[String]) -> DrillError {
    if refused.is_empty() {
        return error;
    }
    DrillError::Refused {
        error: Box::new(error),
        refused: refused.join("; "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decision(role: &str, action: &str, by: &[&str]) -> Decision {
        Decision {
            role: role.to_owned(),
            action: action.to_owned(),
            resource: "r".to_owned(),
            allowed_by: by.iter().map(|sid| (*sid).to_owned()).collect(),
            times: 1,
        }
    }

    #[test]
    fn a_statement_is_needed_if_it_alone_allowed_a_request() {
        let mut needs = Needs::default();
        needs.add(&[
            decision("A", "s3:GetObject", &["One", "Two"]),
            decision("A", "s3:PutObject", &["Two"]),
            decision("B", "s3:PutObject", &[]),
        ]);
        let needed: Vec<String> = needs.needed.keys().map(ToString::to_string).collect();
        assert_eq!(needed, ["A/Two"]);
        let used: Vec<String> = needs.used.keys().map(ToString::to_string).collect();
        assert_eq!(used, ["A/One", "A/Two"]);
    }

    #[test]
    fn a_statement_is_named_by_role_and_sid() {
        let name: StatementName = "CloseRunFunctionRole/Tells".parse().unwrap();
        assert_eq!(name.to_string(), "CloseRunFunctionRole/Tells");
        assert!("Tells".parse::<StatementName>().is_err());
        assert!("/Tells".parse::<StatementName>().is_err());
    }
}
