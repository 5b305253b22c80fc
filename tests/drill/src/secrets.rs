//! What must stand nowhere but in SSM and in the messages: the key of the page's links, a valid link, a workspace's secret.

use std::path::Path;

use recovery::approval::LinkKeys;
use serde_json::Value;

use crate::DrillError;
use crate::page;

/// A text that must not leak, with what it is.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    what: &'static str,
    text: String,
}

impl Secret {
    /// A secret; `None` for a text too short to be one.
    #[must_use]
    pub fn new(what: &'static str, text: &str) -> Option<Self> {
        (text.len() >= 10).then(|| Self {
            what,
            text: text.to_owned(),
        })
    }

    /// The secrets of the parameter that holds the keys of the links.
    #[must_use]
    pub fn of_link_keys(parameter: &str) -> Vec<Self> {
        let keys: Value = serde_json::from_str(parameter).unwrap_or_default();
        ["current", "previous"]
            .into_iter()
            .filter_map(|name| keys.get(name).and_then(Value::as_str))
            .filter_map(|key| Self::new("the key of the links", key))
            .collect()
    }

    /// The signatures of the links in a message.
    #[must_use]
    pub fn of_message(message: &str) -> Vec<Self> {
        page::links(message)
            .iter()
            .filter_map(|link| link.splitn(4, '/').nth(3))
            .filter(|path| LinkKeys::could_be(path))
            .filter_map(|path| path.rsplit('/').next())
            .filter_map(|signature| Self::new("a valid signature", signature))
            .collect()
    }
}

/// Where secrets stand in a text.
#[must_use]
pub fn leaks(place: &str, text: &[u8], secrets: &[Secret]) -> Vec<String> {
    secrets
        .iter()
        .filter(|secret| {
            text.windows(secret.text.len())
                .any(|window| window == secret.text.as_bytes())
        })
        .map(|secret| format!("{} stands in {place}", secret.what))
        .collect()
}

/// Where secrets stand in the files below a folder.
///
/// # Errors
/// If a file cannot be read.
pub fn leaks_below(folder: &Path, secrets: &[Secret]) -> Result<Vec<String>, DrillError> {
    let mut found = Vec::new();
    let entries = std::fs::read_dir(folder).map_err(DrillError::file(folder))?;
    for entry in entries {
        let path = entry.map_err(DrillError::file(folder))?.path();
        if path.is_dir() {
            found.extend(leaks_below(&path, secrets)?);
        } else {
            let bytes = std::fs::read(&path).map_err(DrillError::file(&path))?;
            found.extend(leaks(&path.display().to_string(), &bytes, secrets));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_and_a_signature_are_found_wherever_they_stand() {
        let mut secrets =
            Secret::of_link_keys("{\"current\":\"0123456789abcdef\",\"previous\":null}");
        let link = format!(
            "http://127.0.0.1:1/{}/1795652814/SIGNATURE-OF-IT-",
            "a".repeat(32)
        );
        let message = format!("open {link} now, or http://127.0.0.1:1/login-to-it");
        secrets.extend(Secret::of_message(&message));
        assert_eq!(secrets.len(), 2);
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("logs");
        std::fs::create_dir(&below).unwrap();
        std::fs::write(below.join("a.log"), "nothing here").unwrap();
        assert_eq!(
            leaks_below(folder.path(), &secrets).unwrap(),
            Vec::<String>::new()
        );
        std::fs::write(below.join("b.log"), "x SIGNATURE-OF-IT- 0123456789abcdef y").unwrap();
        assert_eq!(leaks_below(folder.path(), &secrets).unwrap().len(), 2);
    }
}
