//! Reads template and state machine as they are deployed, and finds functions and tasks in them.

use std::path::PathBuf;

use serde_json::{Map, Value};
use serde_norway::Value as Yaml;

/// A document that could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentError {
    /// The file.
    #[error("cannot read {path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The template is no YAML.
    #[error("the template is no YAML: {0}")]
    Template(#[from] serde_norway::Error),
    /// The state machine is no JSON.
    #[error("the state machine is no JSON: {0}")]
    Machine(#[from] serde_json::Error),
}

/// Template and state machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Documents {
    /// `infra/template.yaml`; short forms such as `!Ref` are written out.
    pub template: Value,
    /// `infra/failover.asl.json`.
    pub machine: Value,
}

/// A function of the template, with what all functions share merged in.
#[derive(Clone, Debug)]
pub struct Function {
    /// Logical id.
    pub id: String,
    /// Its crate: the last folder of its code's path.
    pub package: String,
    /// Its properties.
    pub properties: Value,
}

/// A task that invokes a function.
#[derive(Clone, Debug)]
pub struct Task {
    /// The state.
    pub state: String,
    /// What it invokes; none if the template does not say.
    pub function: Option<Function>,
    /// What it sends.
    pub payload: Value,
    /// The whole state.
    pub body: Value,
}

impl Task {
    /// The crate of the function, or nothing.
    #[must_use]
    pub fn package(&self) -> &str {
        self.function.as_ref().map_or("", |f| f.package.as_str())
    }

    /// The phase it asks for.
    #[must_use]
    pub fn phase(&self) -> Option<&str> {
        let text = |field: &str| self.payload.get(field).and_then(Value::as_str);
        text("phase").or_else(|| text("by").filter(|by| *by != "run"))
    }

    /// The state after it.
    #[must_use]
    pub fn next(&self) -> &str {
        text(&self.body, "Next")
    }
}

/// The text of a file of the repository.
///
/// # Errors
/// When it cannot be read.
pub fn file(relative: &str) -> Result<String, DocumentError> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(relative);
    std::fs::read_to_string(&path).map_err(|source| DocumentError::File { path, source })
}

impl Documents {
    /// The real ones.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn read() -> Result<Self, DocumentError> {
        Ok(Self {
            template: template(&file("infra/template.yaml")?)?,
            machine: serde_json::from_str(&file("infra/failover.asl.json")?)?,
        })
    }

    /// The template of an observer. It has no machine.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn observer() -> Result<Self, DocumentError> {
        Ok(Self {
            template: template(&file("infra/observer.yaml")?)?,
            machine: Value::Null,
        })
    }

    /// The states by name.
    pub fn states(&self) -> impl Iterator<Item = (&str, &Value)> {
        entries(&self.machine["States"])
    }

    /// The resources of the template by logical id.
    pub fn resources(&self) -> impl Iterator<Item = (&str, &Value)> {
        entries(&self.template["Resources"])
    }

    /// The properties of every resource of a type.
    pub fn of_type<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = (&'a str, &'a Value)> {
        self.resources()
            .filter(move |(_, resource)| resource["Type"] == kind)
            .map(|(id, resource)| (id, &resource["Properties"]))
    }

    /// The functions.
    #[must_use]
    pub fn functions(&self) -> Vec<Function> {
        self.of_type("AWS::Serverless::Function")
            .map(|(id, own)| Function {
                id: id.to_owned(),
                package: text(own, "CodeUri")
                    .trim_end_matches('/')
                    .rsplit('/')
                    .next()
                    .unwrap_or_default()
                    .to_owned(),
                properties: merged(&self.template["Globals"]["Function"], own),
            })
            .collect()
    }

    /// What a `${Name}` in the state machine becomes.
    #[must_use]
    pub fn substitution(&self, placeholder: &str) -> Option<&Value> {
        let name = placeholder.strip_prefix("${")?.strip_suffix('}')?;
        let (_, machine) = self.of_type("AWS::Serverless::StateMachine").next()?;
        machine["DefinitionSubstitutions"].get(name)
    }

    /// The tasks that invoke a function.
    #[must_use]
    pub fn tasks(&self) -> Vec<Task> {
        let functions = self.functions();
        self.states()
            .filter(|(_, state)| state["Resource"] == "arn:aws:states:::lambda:invoke")
            .map(|(name, state)| {
                let parameters = &state["Parameters"];
                let id = self
                    .substitution(text(parameters, "FunctionName"))
                    .and_then(attribute)
                    .filter(|(_, attribute)| *attribute == "Arn")
                    .map(|(id, _)| id);
                Task {
                    state: name.to_owned(),
                    function: id.and_then(|id| functions.iter().find(|f| f.id == id).cloned()),
                    payload: parameters["Payload"].clone(),
                    body: state.clone(),
                }
            })
            .collect()
    }
}

/// Reads a template; short forms such as `!Ref` are written out.
///
/// # Errors
/// It is no YAML.
pub fn template(text: &str) -> Result<Value, DocumentError> {
    Ok(plain(serde_norway::from_str(text)?))
}

/// The entries of an object; none of anything else.
pub(crate) fn entries(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value
        .as_object()
        .into_iter()
        .flat_map(|map| map.iter().map(|(key, value)| (key.as_str(), value)))
}

/// The items of a list; a single value is a list of one, as in policies.
pub(crate) fn items(value: &Value) -> &[Value] {
    match value {
        Value::Array(list) => list,
        Value::Null => &[],
        one => std::slice::from_ref(one),
    }
}

/// A text field, or nothing.
pub(crate) fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// Logical id and attribute of a `GetAtt`.
pub(crate) fn attribute(value: &Value) -> Option<(&str, &str)> {
    match value.get("Fn::GetAtt")?.as_array()?.as_slice() {
        [id, attribute] => Some((id.as_str()?, attribute.as_str()?)),
        _ => None,
    }
}

/// Logical id of a `Ref`.
pub(crate) fn reference(value: &Value) -> Option<&str> {
    value.get("Ref")?.as_str()
}

/// Every text of a document with the path to it, keys included.
pub(crate) fn texts(value: &Value, path: &str, found: &mut Vec<(String, String)>) {
    match value {
        Value::String(text) => found.push((path.to_owned(), text.clone())),
        Value::Array(list) => list.iter().for_each(|item| texts(item, path, found)),
        Value::Object(map) => {
            for (key, value) in map {
                let path = format!("{path}/{key}");
                found.push((path.clone(), key.clone()));
                texts(value, &path, found);
            }
        }
        _ => {}
    }
}

/// What is said for all, under what is said for one.
fn merged(shared: &Value, own: &Value) -> Value {
    match (shared, own) {
        (Value::Object(shared), Value::Object(own)) => {
            let mut both = shared.clone();
            for (key, value) in own {
                let value = both
                    .get(key)
                    .map_or_else(|| value.clone(), |s| merged(s, value));
                both.insert(key.clone(), value);
            }
            Value::Object(both)
        }
        _ => own.clone(),
    }
}

/// YAML as JSON: `!Ref X` becomes `{"Ref": "X"}`, `!GetAtt A.B` becomes `{"Fn::GetAtt": ["A", "B"]}`.
fn plain(yaml: Yaml) -> Value {
    match yaml {
        Yaml::Null => Value::Null,
        Yaml::Bool(flag) => Value::Bool(flag),
        Yaml::Number(number) => number
            .as_i64()
            .map(Value::from)
            .or_else(|| number.as_f64().map(Value::from))
            .unwrap_or_default(),
        Yaml::String(text) => Value::String(text),
        Yaml::Sequence(list) => list.into_iter().map(plain).collect(),
        Yaml::Mapping(map) => Value::Object(
            map.into_iter()
                .map(|(key, value)| {
                    let key = key
                        .as_str()
                        .map_or_else(|| plain(key.clone()).to_string(), str::to_owned);
                    (key, plain(value))
                })
                .collect(),
        ),
        Yaml::Tagged(tagged) => {
            let tag = tagged.tag.to_string();
            let (name, value) = match (tag.trim_start_matches('!'), plain(tagged.value)) {
                (name @ ("Ref" | "Condition"), value) => (name.to_owned(), value),
                ("GetAtt", Value::String(path)) => {
                    let path = path.split('.').map(Value::from).collect();
                    ("Fn::GetAtt".to_owned(), path)
                }
                (name, value) => (format!("Fn::{name}"), value),
            };
            Value::Object(Map::from_iter([(name, value)]))
        }
    }
}
