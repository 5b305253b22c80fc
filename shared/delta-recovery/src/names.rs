//! The file names of a Delta log.

/// What a name below `_delta_log/` stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LogName {
    Commit(u64),
    /// `<version>.checkpoint.parquet`
    Classic(u64),
    /// `<version>.checkpoint.<part>.<of>.parquet`
    Part {
        version: u64,
        part: u32,
        of: u32,
    },
    /// `<version>.checkpoint.<uuid>.{json,parquet}`
    V2(u64),
    Compacted {
        from: u64,
        to: u64,
    },
    Checksum(u64),
    LastCheckpoint,
    Sidecar(String),
    Other,
}

/// The folder of the log, relative to the table.
pub(crate) const LOG: &str = "_delta_log";
/// The one log object that writers overwrite.
pub(crate) const LAST_CHECKPOINT: &str = "_last_checkpoint";

/// A commit's path, relative to the table.
pub(crate) fn commit(version: u64) -> String {
    format!("{LOG}/{version:020}.json")
}

/// A version checksum's path, relative to the table.
pub(crate) fn checksum(version: u64) -> String {
    format!("{LOG}/{version:020}.crc")
}

impl LogName {
    /// Reads a path relative to `_delta_log/`. Names that no rule covers are [`LogName::Other`].
    pub(crate) fn parse(path: &str) -> Self {
        if path == LAST_CHECKPOINT {
            return Self::LastCheckpoint;
        }
        if let Some(name) = path.strip_prefix("_sidecars/") {
            return if name.contains('/') || name.starts_with('.') {
                Self::Other
            } else {
                Self::Sidecar(name.to_owned())
            };
        }
        Self::versioned(path).unwrap_or(Self::Other)
    }

    fn versioned(name: &str) -> Option<Self> {
        let mut parts = name.split('.');
        let version = digits(parts.next()?, 20)?;
        let rest: Vec<&str> = parts.collect();
        match rest.as_slice() {
            ["json"] => Some(Self::Commit(version)),
            ["crc"] => Some(Self::Checksum(version)),
            ["checkpoint", "parquet"] => Some(Self::Classic(version)),
            ["checkpoint", part, of, "parquet"] => {
                let part = u32::try_from(digits(part, 10)?).ok()?;
                let of = u32::try_from(digits(of, 10)?).ok()?;
                (part >= 1 && part <= of).then_some(Self::Part { version, part, of })
            }
            ["checkpoint", id, "json" | "parquet"] if is_uuid(id) => Some(Self::V2(version)),
            [to, "compacted", "json"] => Some(Self::Compacted {
                from: version,
                to: digits(to, 20)?,
            }),
            _ => None,
        }
    }
}

fn digits(text: &str, width: usize) -> Option<u64> {
    let all = text.len() == width && text.bytes().all(|b| b.is_ascii_digit());
    if all { text.parse().ok() } else { None }
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36 && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_log_file_is_told_apart() {
        let cases = [
            ("00000000000000000007.json", LogName::Commit(7)),
            ("00000000000000000007.crc", LogName::Checksum(7)),
            (
                "00000000000000000007.checkpoint.parquet",
                LogName::Classic(7),
            ),
            (
                "00000000000000000007.checkpoint.0000000002.0000000003.parquet",
                LogName::Part {
                    version: 7,
                    part: 2,
                    of: 3,
                },
            ),
            (
                "00000000000000000007.checkpoint.6374b053-df23-479b-b2cf-c9c550132b49.json",
                LogName::V2(7),
            ),
            (
                "00000000000000000000.00000000000000000005.compacted.json",
                LogName::Compacted { from: 0, to: 5 },
            ),
            ("_last_checkpoint", LogName::LastCheckpoint),
            (
                "_sidecars/a.parquet",
                LogName::Sidecar("a.parquet".to_owned()),
            ),
        ];
        for (name, expected) in cases {
            assert_eq!(LogName::parse(name), expected, "{name}");
        }
    }

    #[test]
    fn names_that_only_look_like_log_files_are_other() {
        for name in [
            "7.json",
            ".00000000000000000007.json.crc",
            "_staged_commits/00000000000000000007.a1b2c3d4-e5f6-4a7b-8c9d-0e1f2a3b4c5d.json",
            "00000000000000000007.json.tmp",
            "00000000000000000007.checkpoint.0000000004.0000000003.parquet",
            "00000000000000000007.checkpoint.parquet.tmp",
            "+0000000000000000007.json",
        ] {
            assert_eq!(LogName::parse(name), LogName::Other, "{name}");
        }
    }
}
