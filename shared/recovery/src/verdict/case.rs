//! A case file: observations, a policy, a time, and the verdict they should give.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::observation::{RawObservation, RawSignal};
use super::{Judgement, Observation, Policy, Signal, Verdict, judge};

/// What is wrong with a case, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct CaseError {
    /// The path of the field, as in `observations[3].signals[0].cause`.
    pub field: String,
    /// What is wrong with it.
    pub problem: String,
}

impl CaseError {
    pub(super) fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            problem: problem.into(),
        }
    }
}

/// One case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Case {
    /// What it is about.
    pub name: String,
    /// When it is judged.
    pub now: Timestamp,
    /// How sure one has to be.
    pub policy: Policy,
    /// What was seen.
    pub observations: Vec<Observation>,
    /// What it should come to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expect: Option<Expectation>,
}

/// What a case should come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// The verdict.
    pub verdict: Verdict,
    /// Whether it is actionable; not stated, it follows from the verdict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actionable: Option<bool>,
}

impl Expectation {
    /// Whether the judgement is as expected.
    #[must_use]
    pub fn is_met_by(&self, judgement: &Judgement) -> bool {
        let actionable = self.actionable.unwrap_or(judgement.actionable);
        self.verdict == judgement.verdict && actionable == judgement.actionable
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCase {
    name: String,
    now: Timestamp,
    policy: Policy,
    observations: Vec<RawObservation>,
    #[serde(default)]
    expect: Option<Expectation>,
}

impl Case {
    /// Reads a case.
    ///
    /// # Errors
    /// It is no JSON, or a field is missing, unknown or of the wrong kind: the error names it.
    pub fn from_json(json: &[u8]) -> Result<Self, CaseError> {
        let mut reader = serde_json::Deserializer::from_slice(json);
        let raw: RawCase = serde_path_to_error::deserialize(&mut reader)
            .map_err(|error| CaseError::new(error.path().to_string(), error.inner().to_string()))?;
        reader
            .end()
            .map_err(|error| CaseError::new(".", error.to_string()))?;
        let mut observations = Vec::with_capacity(raw.observations.len());
        for (index, raw) in raw.observations.into_iter().enumerate() {
            observations.push(Observation {
                at: raw.at,
                vantage: raw.vantage,
                site: raw.site,
                signals: signals(index, raw.signals)?,
            });
        }
        Ok(Self {
            name: raw.name,
            now: raw.now,
            policy: raw.policy,
            observations,
            expect: raw.expect,
        })
    }

    /// Judges it.
    ///
    /// # Errors
    /// As [`judge`].
    pub fn judge(&self) -> Result<Judgement, CaseError> {
        judge(&self.observations, &self.policy, self.now)
    }
}

fn signals(observation: usize, raw: Vec<RawSignal>) -> Result<Vec<Signal>, CaseError> {
    raw.into_iter()
        .enumerate()
        .map(|(index, raw)| {
            Signal::try_from(raw).map_err(|error| {
                CaseError::new(
                    format!("observations[{observation}].signals[{index}].cause"),
                    error.to_string(),
                )
            })
        })
        .collect()
}
