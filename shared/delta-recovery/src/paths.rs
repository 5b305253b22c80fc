//! Paths in actions: percent-encoded, relative or absolute; deletion vectors named by encoded ids.

use percent_encoding::percent_decode_str;
use std::borrow::Cow;
use twox_hash::XxHash3_128;

/// Where the file of an action lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place<'a> {
    /// Below the table, percent-decoded.
    Inside(Cow<'a, str>),
    /// Named by an absolute path or address: not part of a replica.
    Outside(&'a str),
}

/// Reads the `path` of an add or remove action.
pub(crate) fn place(path: &str) -> Result<Place<'_>, String> {
    if is_absolute(path) {
        return Ok(Place::Outside(path));
    }
    percent_decode_str(path)
        .decode_utf8()
        .map(Place::Inside)
        .map_err(|_| format!("the path `{path}` is not UTF-8 once decoded"))
}

fn is_absolute(path: &str) -> bool {
    if path.starts_with('/') {
        return true;
    }
    // A scheme, as RFC 3986 writes one.
    let Some((scheme, _)) = path.split_once(':') else {
        return false;
    };
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}

/// A deletion vector as an action describes it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DeletionVector<'a> {
    pub(crate) storage_type: &'a str,
    pub(crate) path_or_inline: &'a str,
    pub(crate) offset: Option<u64>,
    /// Bytes of the serialized vector, without its length and checksum.
    pub(crate) size: u64,
}

/// What a deletion vector needs at the replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum VectorPlace<'a> {
    /// It is in the action itself.
    Inline,
    /// A file of at least this many bytes.
    Inside { path: String, at_least: u64 },
    /// An absolute address.
    Outside(&'a str),
}

impl<'a> DeletionVector<'a> {
    /// Where the vector lies. A file holds many vectors, each with a length before and a checksum after it.
    pub(crate) fn place(&self) -> Result<VectorPlace<'a>, String> {
        match self.storage_type {
            "i" => Ok(VectorPlace::Inline),
            "p" => Ok(VectorPlace::Outside(self.path_or_inline)),
            "u" => Ok(VectorPlace::Inside {
                path: relative_vector_path(self.path_or_inline)?,
                at_least: self.offset.unwrap_or(0).saturating_add(self.size + 8),
            }),
            other => Err(format!(
                "deletion vectors of storage type `{other}` are not known"
            )),
        }
    }
}

/// `<prefix><20 characters of Z85>` names `<prefix>/deletion_vector_<uuid>.bin`.
fn relative_vector_path(text: &str) -> Result<String, String> {
    let bad = || format!("`{text}` names no deletion vector");
    let split = text.len().checked_sub(20).ok_or_else(bad)?;
    let (prefix, encoded) = text.split_at_checked(split).ok_or_else(bad)?;
    let bytes: [u8; 16] = z85::decode(encoded)
        .map_err(|_| bad())?
        .try_into()
        .map_err(|_| bad())?;
    let hex = format!("{:032x}", u128::from_be_bytes(bytes));
    let groups =
        [0..8, 8..12, 12..16, 16..20, 20..32].map(|range| hex.get(range).unwrap_or_default());
    let name = format!("deletion_vector_{}.bin", groups.join("-"));
    Ok(if prefix.is_empty() {
        name
    } else {
        format!("{prefix}/{name}")
    })
}

/// The hash that stands for an object's path. 128 bits: two paths of one table do not meet by chance.
pub(crate) fn object_hash(path: &str) -> u128 {
    XxHash3_128::oneshot(path.as_bytes())
}

/// The hash that stands for a logical file: its path and the id of its deletion vector.
pub(crate) fn file_key(place: &Place<'_>, vector: Option<&DeletionVector<'_>>) -> u128 {
    let path = match place {
        Place::Inside(path) => path.as_ref(),
        Place::Outside(path) => path,
    };
    let Some(vector) = vector else {
        return object_hash(path);
    };
    let mut text = format!("{path}\0{}{}", vector.storage_type, vector.path_or_inline);
    if let Some(offset) = vector.offset {
        text.push('@');
        text.push_str(&offset.to_string());
    }
    object_hash(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_decoded_once() {
        assert_eq!(
            place("_2=bar+%252521/a.parquet"),
            Ok(Place::Inside("_2=bar+%2521/a.parquet".into()))
        );
        assert!(place("a%ff").is_err());
    }

    #[test]
    fn absolute_paths_are_told_from_relative_ones() {
        for path in ["/a/b", "s3://bucket/a", "file:/a/b", "abfss://c@h/a"] {
            assert_eq!(place(path), Ok(Place::Outside(path)));
        }
        assert!(matches!(place("t=12:00/a"), Ok(Place::Inside(_))));
    }

    #[test]
    fn the_vector_of_the_protocol_document_is_found() {
        let vector = DeletionVector {
            storage_type: "u",
            path_or_inline: "ab^-aqEH.-t@S}K{vb[*k^",
            offset: Some(4),
            size: 40,
        };
        assert_eq!(
            vector.place(),
            Ok(VectorPlace::Inside {
                path: "ab/deletion_vector_d2c639aa-8816-431a-aaf6-d3fe2512ff61.bin".to_owned(),
                at_least: 52
            })
        );
    }
}
