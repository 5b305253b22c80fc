//! Bucket policies as raw JSON: our statement goes in and comes out, and not a byte of any other changes.

use std::fmt;

use jiff::Timestamp;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use super::Denial;
use super::denial::{owned_as, sid};
use crate::site::PlanName;

/// S3 takes bucket policies of up to 20 KB. Source: Amazon S3 User Guide, "Bucket policies".
pub const LARGEST_POLICY: usize = 20 * 1024;

/// Why a policy cannot be changed; somebody must change it by hand.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyProblem {
    /// It is not what a bucket policy looks like. It is left alone.
    #[error("its bucket policy cannot be understood ({0}) and is left alone")]
    Malformed(String),
    /// With our statement it would be more than S3 takes.
    #[error(
        "its bucket policy would have {size} bytes with the deny statement, and S3 takes {LARGEST_POLICY}; shorten it"
    )]
    TooLarge {
        /// The size that it would have.
        size: usize,
    },
}

/// A bucket's policy at a moment; none if the bucket has no policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyReading {
    text: Option<String>,
    began: Timestamp,
}

impl PolicyReading {
    /// What a reading that began then gave.
    #[must_use]
    pub const fn new(text: Option<String>, began: Timestamp) -> Self {
        Self { text, began }
    }

    /// The policy.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        self.text.as_deref()
    }

    /// When the reading began.
    #[must_use]
    pub const fn began(&self) -> Timestamp {
        self.began
    }

    /// Whether the bucket denies what it must, and says so once.
    #[must_use]
    pub fn denies(&self, denial: &Denial) -> bool {
        matches!(merged(self.text(), denial), Ok(Merged::InForce))
    }

    /// Whether nothing of this plan's fence is in it.
    #[must_use]
    pub fn is_free_of(&self, plan: &PlanName) -> bool {
        matches!(lifted(self.text(), plan), Ok(Lifted::Absent))
    }
}

/// What has to be done so that a policy holds our statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Merged {
    /// Nothing: it is there and says what it must.
    InForce,
    /// Write this.
    Write {
        /// The whole policy.
        text: String,
        /// Our statement was there and said something else: somebody altered it.
        repairs: bool,
    },
}

/// What has to be done so that a policy no longer holds our statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lifted {
    /// Nothing: it is not there.
    Absent,
    /// Write this.
    Write(String),
    /// Remove the policy: nothing but our statement is in it.
    Delete,
}

/// A policy with every statement and every other field as it was written, in order.
struct Policy {
    fields: Vec<(String, Box<RawValue>)>,
    /// Where in the fields the statements stand.
    at: usize,
    statements: Vec<Statement>,
    /// The statements are no list.
    alone: bool,
}

struct Statement {
    raw: Box<RawValue>,
    value: Value,
}

/// Puts our statement into a policy. A statement of ours that says something else is replaced where it stands.
///
/// # Errors
/// [`PolicyProblem`]: then nothing may be written.
pub fn merged(before: Option<&str>, denial: &Denial) -> Result<Merged, PolicyProblem> {
    let Some(text) = before else {
        let policy =
            serde_json::json!({"Version": "2012-10-17", "Statement": [denial.statement(false)]});
        return sized(policy.to_string(), false);
    };
    let mut policy = Policy::read(text)?;
    let ours: Vec<usize> = (policy.statements.iter().enumerate())
        .filter(|(_, s)| denial.owns(&s.value))
        .map(|(index, _)| index)
        .collect();
    let Some(first) = ours.first().copied() else {
        let statement = Statement::new(&denial.statement(policy.alone))?;
        policy.statements.push(statement);
        policy.alone = false;
        return sized(policy.render(), false);
    };
    let right = |s: &Statement| denial.is_in_force(&s.value);
    if ours.len() == 1 && policy.statements.get(first).is_some_and(right) {
        return Ok(Merged::InForce);
    }
    let joined_one = policy
        .statements
        .get(first)
        .is_some_and(|s| Denial::joined_one(denial, &s.value));
    let mut index = 0;
    policy.statements.retain(|s| {
        index += 1;
        index - 1 == first || !denial.owns(&s.value)
    });
    if let Some(place) = policy.statements.get_mut(first) {
        *place = Statement::new(&denial.statement(joined_one))?;
    }
    sized(policy.render(), true)
}

fn sized(text: String, repairs: bool) -> Result<Merged, PolicyProblem> {
    if text.len() > LARGEST_POLICY {
        return Err(PolicyProblem::TooLarge { size: text.len() });
    }
    Ok(Merged::Write { text, repairs })
}

/// Takes our statements of a plan out of a policy.
///
/// # Errors
/// [`PolicyProblem::Malformed`]: then nothing may be written.
pub fn lifted(now: Option<&str>, plan: &PlanName) -> Result<Lifted, PolicyProblem> {
    let Some(text) = now else {
        return Ok(Lifted::Absent);
    };
    let mut policy = Policy::read(text)?;
    let sid = sid(plan);
    let before = policy.statements.len();
    let joined_one = policy
        .statements
        .iter()
        .any(|s| owned_as(&sid, &s.value) == Some(true));
    policy
        .statements
        .retain(|s| owned_as(&sid, &s.value).is_none());
    if policy.statements.len() == before {
        return Ok(Lifted::Absent);
    }
    if policy.statements.is_empty() {
        return Ok(Lifted::Delete);
    }
    policy.alone = joined_one && policy.statements.len() == 1;
    Ok(Lifted::Write(policy.render()))
}

impl Denial {
    fn joined_one(&self, statement: &Value) -> bool {
        self.statement(true).get("Sid") == statement.get("Sid")
    }
}

impl Statement {
    fn new(value: &Value) -> Result<Self, PolicyProblem> {
        let raw = serde_json::value::to_raw_value(value)
            .map_err(|error| PolicyProblem::Malformed(error.to_string()))?;
        Ok(Self {
            raw,
            value: value.clone(),
        })
    }

    fn read(raw: Box<RawValue>) -> Result<Self, PolicyProblem> {
        let value: Value = serde_json::from_str(raw.get())
            .map_err(|error| PolicyProblem::Malformed(error.to_string()))?;
        if !value.is_object() {
            return Err(PolicyProblem::Malformed(
                "a statement is no object".to_owned(),
            ));
        }
        Ok(Self { raw, value })
    }
}

impl Policy {
    fn read(text: &str) -> Result<Self, PolicyProblem> {
        let broken = |error: serde_json::Error| PolicyProblem::Malformed(error.to_string());
        let Fields(fields) = serde_json::from_str(text).map_err(broken)?;
        let mut places = (fields.iter().enumerate()).filter(|(_, (name, _))| name == "Statement");
        let (Some((at, (_, raw))), None) = (places.next(), places.next()) else {
            let problem = "it must have one field Statement".to_owned();
            return Err(PolicyProblem::Malformed(problem));
        };
        let alone = raw.get().starts_with('{');
        let raw_statements: Vec<Box<RawValue>> = if alone {
            vec![raw.clone()]
        } else {
            serde_json::from_str(raw.get()).map_err(broken)?
        };
        let statements = raw_statements
            .into_iter()
            .map(Statement::read)
            .collect::<Result<_, _>>()?;
        Ok(Self {
            fields,
            at,
            statements,
            alone,
        })
    }

    fn render(&self) -> String {
        let mut text = String::from("{");
        for (index, (name, raw)) in self.fields.iter().enumerate() {
            if index > 0 {
                text.push(',');
            }
            text.push_str(&Value::from(name.as_str()).to_string());
            text.push(':');
            if index == self.at {
                let statements: Vec<&str> = self.statements.iter().map(|s| s.raw.get()).collect();
                if self.alone {
                    text.push_str(&statements.concat());
                } else {
                    text.push('[');
                    text.push_str(&statements.join(","));
                    text.push(']');
                }
            } else {
                text.push_str(raw.get());
            }
        }
        text.push('}');
        text
    }
}

/// The fields of an object in their order, as they were written.
struct Fields(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields: Vec<(String, Box<RawValue>)> = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, Box<RawValue>>()? {
                    if fields.iter().any(|(known, _)| *known == name) {
                        return Err(de::Error::custom(format!("field {name:?} stands twice")));
                    }
                    fields.push((name, value));
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}
