//! Answers to requests for one object each. A large site takes longer to read than one call of a function lasts: what was answered is kept
//! between the calls of one reading, so that the next one goes on where time was up.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use databricks::Error;
use recovery::site::ContentDigest;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What was answered, by what was asked: stored between two calls.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StoredDetails {
    /// Always 1.
    pub format_version: u32,
    /// By request; null for what was not found.
    pub answers: BTreeMap<String, Value>,
}

/// The answers of a reading that may take several calls.
#[derive(Debug, Default)]
pub struct Details(Mutex<BTreeMap<String, Value>>);

impl Details {
    /// With what earlier calls were told.
    #[must_use]
    pub fn resumed(stored: Option<StoredDetails>) -> Self {
        Self(Mutex::new(stored.unwrap_or_default().answers))
    }

    /// What to store for the next call.
    #[must_use]
    pub fn to_stored(&self) -> StoredDetails {
        StoredDetails {
            format_version: 1,
            answers: self.answers().clone(),
        }
    }

    fn answers(&self) -> MutexGuard<'_, BTreeMap<String, Value>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer to this request: an earlier one, or that of `ask`. Errors are asked again.
    pub(crate) async fn answer(
        &self,
        request: String,
        ask: impl Future<Output = Result<Value, Error>>,
    ) -> Result<Value, Error> {
        let earlier = self.answers().get(&request).cloned();
        if let Some(answer) = earlier {
            return Ok(answer);
        }
        let answer = ask.await?;
        self.answers().insert(request, answer.clone());
        Ok(answer)
    }
}

/// Names a request for what a list showed like this: once the list shows it otherwise it is another request.
pub(crate) fn request(what: &str, id: &str, listed: &impl Serialize) -> String {
    let listed = serde_json::to_vec(listed).unwrap_or_default();
    let digest = ContentDigest::of(&listed);
    format!("{what}/{id}/{}", digest.as_str())
}
