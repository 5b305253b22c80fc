//! Which table protocols this crate understands.

use crate::action::Protocol;
use crate::error::Error;

/// Reader features that change how rows are read, but not which files are live.
const KNOWN: [&str; 11] = [
    "columnMapping",
    "deletionVectors",
    "timestampNtz",
    "typeWidening",
    "typeWidening-preview",
    "v2Checkpoint",
    "vacuumProtocolCheck",
    "variantType",
    "variantType-preview",
    "variantShredding",
    "variantShredding-preview",
];

/// Reader features that put the commits into a catalog.
const CATALOG: [&str; 3] = ["catalogManaged", "catalogOwned", "catalogOwned-preview"];

/// Refuses what cannot be judged from the files of the table at `location`.
pub(crate) fn check(protocol: &Protocol, location: &str) -> Result<(), Error> {
    let features = protocol.reader_features.as_deref().unwrap_or_default();
    if let Some(feature) = features.iter().find(|f| CATALOG.contains(&f.as_str())) {
        return Err(Error::CatalogManaged {
            location: location.to_owned(),
            feature: feature.clone(),
        });
    }
    let unknown: Vec<&str> = features
        .iter()
        .map(String::as_str)
        .filter(|feature| !KNOWN.contains(feature))
        .collect();
    let needs = if !unknown.is_empty() {
        format!("the reader features {}", unknown.join(", "))
    } else if !(1..=3).contains(&protocol.min_reader_version) {
        format!("reader version {}", protocol.min_reader_version)
    } else if protocol.min_reader_version == 3 && protocol.reader_features.is_none() {
        "reader version 3 without a list of features".to_owned()
    } else {
        return Ok(());
    };
    Err(Error::UnknownReaderFeature {
        location: location.to_owned(),
        needs,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(version: i64, features: Option<&[&str]>) -> Option<&'static str> {
        let protocol = Protocol {
            min_reader_version: version,
            reader_features: features.map(|list| list.iter().map(|f| (*f).to_owned()).collect()),
        };
        check(&protocol, "t").err().map(|error| error.name())
    }

    #[test]
    fn only_known_protocols_pass() {
        assert_eq!(name(1, None), None);
        assert_eq!(name(3, Some(&["deletionVectors", "v2Checkpoint"])), None);
        assert_eq!(name(3, Some(&["catalogManaged"])), Some("CatalogManaged"));
        assert_eq!(name(3, Some(&["holograms"])), Some("UnknownReaderFeature"));
        assert_eq!(name(99, Some(&[])), Some("UnknownReaderFeature"));
        assert_eq!(name(3, None), Some("UnknownReaderFeature"));
        assert_eq!(name(0, None), Some("UnknownReaderFeature"));
    }
}
