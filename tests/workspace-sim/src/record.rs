//! The recording: one JSON line per exchange.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use crate::SimError;
use crate::json::{self, Map};

/// Listings which the official client returns without their envelope. A recording is checked against
/// what that client knows, so their answers are recorded without it too, with a note of its name.
pub(crate) const BARE_LISTS: [(&str, &str); 3] = [
    ("/api/2.0/policies/clusters/list", "policies"),
    ("/api/2.0/instance-pools/list", "instance_pools"),
    ("/api/2.0/serving-endpoints", "endpoints"),
];

/// A buffered recording, or none.
#[derive(Default)]
pub(crate) struct Recording(Option<Mutex<BufWriter<File>>>);

impl Recording {
    pub(crate) fn open(path: Option<&Path>) -> Result<Self, SimError> {
        let Some(path) = path else {
            return Ok(Self::default());
        };
        let file = File::create(path).map_err(|source| SimError::Record {
            path: path.display().to_string(),
            source,
        })?;
        Ok(Self(Some(Mutex::new(BufWriter::new(file)))))
    }

    pub(crate) fn wanted(&self) -> bool {
        self.0.is_some()
    }

    fn writer(&self) -> Option<MutexGuard<'_, BufWriter<File>>> {
        self.0
            .as_ref()
            .map(|writer| writer.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Writes a line. A full disk must not change how the workspace behaves, so errors end up in the
    /// missing lines.
    pub(crate) fn write(&self, line: &Value) {
        if let Some(mut writer) = self.writer() {
            let _ = serde_json::to_writer(&mut *writer, line);
            let _ = writer.write_all(b"\n");
        }
    }

    pub(crate) fn flush(&self) {
        if let Some(mut writer) = self.writer() {
            let _ = writer.flush();
        }
    }
}

/// The query as an object; a repeated name becomes a list.
pub(crate) fn query_object(query: &[(String, String)]) -> Value {
    let mut object = Map::new();
    for (name, value) in query {
        match object.get_mut(name) {
            None => json::set(&mut object, name, value.as_str()),
            Some(Value::Array(list)) => list.push(value.as_str().into()),
            Some(first) => *first = Value::Array(vec![first.take(), value.as_str().into()]),
        }
    }
    Value::Object(object)
}

/// A body as JSON: a form becomes an object without its secret, an empty body is nothing.
pub(crate) fn body_value(body: &[u8], form: bool) -> Value {
    if body.is_empty() {
        return Value::Null;
    }
    if form {
        let uri = format!("/?{}", String::from_utf8_lossy(body)).parse::<axum::http::Uri>();
        let fields = uri.map(|uri| crate::api::query(&uri)).unwrap_or_default();
        let public: Vec<_> = fields
            .into_iter()
            .filter(|(name, _)| name != "client_secret")
            .collect();
        return query_object(&public);
    }
    serde_json::from_slice(body)
        .unwrap_or_else(|_| String::from_utf8_lossy(body).into_owned().into())
}
