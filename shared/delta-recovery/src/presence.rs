//! Which data objects are at the replica: one paged listing, kept as hashes.

use crate::error::Error;
use crate::folder::sizes;
use crate::location::Location;
use crate::names::LOG;
use crate::paths::object_hash;
use futures::TryStreamExt;
use std::path::PathBuf;

/// Objects a single LIST request returns at most.
pub(crate) const PAGE: u64 = 1000;

/// The data objects of a table by the hash of their path: 32 bytes an object, whatever its name.
#[derive(Debug, Default)]
pub(crate) struct Presence {
    /// Sorted by hash: (hash, bytes).
    entries: Vec<(u128, u64)>,
    /// Objects the listing returned, the log's included.
    pub(crate) listed: u64,
}

impl Presence {
    /// Lists everything below the table's root.
    pub(crate) async fn list(location: &Location) -> Result<Self, Error> {
        if let Some(folder) = location.folder() {
            return Self::of_folder(location, folder.to_owned()).await;
        }
        let mut found = Self::default();
        let mut items = location.list("");
        let log = format!("{LOG}/");
        while let Some((path, meta)) = items.try_next().await? {
            found.listed += 1;
            if !path.starts_with(&log) {
                found.entries.push((object_hash(&path), meta.size));
            }
        }
        found.entries.sort_unstable();
        Ok(found)
    }

    async fn of_folder(location: &Location, folder: PathBuf) -> Result<Self, Error> {
        let read = tokio::task::spawn_blocking(move || sizes(&folder)).await;
        let read = read.map_err(std::io::Error::other).flatten();
        let mut entries = read.map_err(|error| location.unreadable("/", &error))?;
        entries.sort_unstable();
        Ok(Self {
            listed: u64::try_from(entries.len()).unwrap_or(u64::MAX),
            entries,
        })
    }

    /// The bytes of the object with this path hash.
    pub(crate) fn size(&self, hash: u128) -> Option<u64> {
        let at = self
            .entries
            .binary_search_by_key(&hash, |entry| entry.0)
            .ok()?;
        self.entries.get(at).map(|entry| entry.1)
    }
}
