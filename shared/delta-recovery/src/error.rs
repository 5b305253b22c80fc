//! Why no recovery point could be given.

use thiserror::Error;

/// Why no recovery point could be given. [`Error::name`] is stable and is what reports carry.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The address names no folder and no S3 prefix.
    #[error("cannot use the address `{address}`: {reason}; give a folder or s3://bucket/prefix")]
    BadAddress {
        /// The address as it was given.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The folder does not exist or cannot be entered.
    #[error("cannot open the folder `{address}`: {reason}; check the path and its permissions")]
    NoSuchFolder {
        /// The address as it was given.
        address: String,
        /// The system's message.
        reason: String,
    },
    /// No Delta log at the replica, and none known at the source.
    #[error("no delta log under `{location}`; check that the address is the root of a table")]
    NotATable {
        /// The table's address.
        location: String,
    },
    /// The storage refused, throttled or did not answer.
    #[error(
        "cannot read `{object}` at `{location}`: {reason}; nothing was decided, run again when the storage answers"
    )]
    StorageUnreadable {
        /// The table's address.
        location: String,
        /// The object or prefix, relative to the table.
        object: String,
        /// The storage client's message.
        reason: String,
    },
    /// Commits of the table live in its catalog, not in its folder.
    #[error(
        "table at `{location}` is managed by its catalog (`{feature}`): its files do not tell which commits count; ask the catalog for the recovery point"
    )]
    CatalogManaged {
        /// The table's address.
        location: String,
        /// The reader feature that says so.
        feature: String,
    },
    /// The table's protocol is newer than what this crate knows.
    #[error(
        "table at `{location}` needs {needs}, which is not known here; a recovery point would be a guess, update this tool"
    )]
    UnknownReaderFeature {
        /// The table's address.
        location: String,
        /// The reader version or the features.
        needs: String,
    },
    /// Live files of the table are named by absolute paths, so a copy still reads the source.
    #[error(
        "table at `{location}` is not self-contained: {count} live files of version {version} have absolute paths, the first is `{example}`; recover the storage they point to, or deep clone the table"
    )]
    NotSelfContained {
        /// The table's address.
        location: String,
        /// The version whose files were counted.
        version: u64,
        /// How many live files point outside.
        count: u64,
        /// One of the paths.
        example: String,
    },
}

impl Error {
    /// The stable name of this error, as written into reports.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::BadAddress { .. } => "BadAddress",
            Self::NoSuchFolder { .. } => "NoSuchFolder",
            Self::NotATable { .. } => "NotATable",
            Self::StorageUnreadable { .. } => "StorageUnreadable",
            Self::CatalogManaged { .. } => "CatalogManaged",
            Self::UnknownReaderFeature { .. } => "UnknownReaderFeature",
            Self::NotSelfContained { .. } => "NotSelfContained",
        }
    }
}

/// Why one object of a log could not be used.
#[derive(Debug)]
pub(crate) enum Fault {
    /// This object is gone, half-written or not what its name says; another base may still serve.
    Unusable(String),
    /// Nothing can be decided.
    Fatal(Error),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Fatal(error)
    }
}
