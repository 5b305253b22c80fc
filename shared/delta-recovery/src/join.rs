//! One added file against what is at the replica.

use crate::paths::{DeletionVector, Place, VectorPlace, file_key, object_hash, place};
use crate::presence::Presence;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Names of missing objects that are kept for messages; the others are only counted.
const NAMES: usize = 1000;

/// A file that a version adds.
#[derive(Debug, Clone)]
pub(crate) struct Added {
    /// The logical file: path and deletion vector.
    pub(crate) key: u128,
    /// What it lacks at the replica. None if all of it is there.
    pub(crate) missing: Option<Box<Missing>>,
}

/// What a live file lacks at the replica.
#[derive(Debug, Clone, Default)]
pub(crate) struct Missing {
    /// Data and deletion vector objects that are absent or of another size, and some of their names.
    pub(crate) objects: Vec<(u128, Option<Box<str>>)>,
    /// It lies outside of the table, at this address.
    pub(crate) outside: Option<Box<str>>,
}

/// Joins added files with the replica's listing.
#[derive(Debug)]
pub(crate) struct Join<'a> {
    presence: &'a Presence,
    names: AtomicUsize,
}

impl<'a> Join<'a> {
    pub(crate) fn new(presence: &'a Presence) -> Self {
        Self {
            presence,
            names: AtomicUsize::new(0),
        }
    }

    /// Reads one add action: `path` as the log writes it, `size` in bytes.
    pub(crate) fn added(
        &self,
        path: &str,
        size: u64,
        vector: Option<&DeletionVector<'_>>,
    ) -> Result<Added, String> {
        let at = place(path)?;
        let mut missing = Missing::default();
        match &at {
            Place::Outside(address) => missing.outside = Some((*address).into()),
            Place::Inside(path) => self.need(path, |found| found == size, &mut missing),
        }
        match vector.map(DeletionVector::place).transpose()? {
            None | Some(VectorPlace::Inline) => {}
            Some(VectorPlace::Outside(address)) => missing.outside = Some(address.into()),
            Some(VectorPlace::Inside { path, at_least }) => {
                self.need(&path, |found| found >= at_least, &mut missing);
            }
        }
        let lacks = !missing.objects.is_empty() || missing.outside.is_some();
        Ok(Added {
            key: file_key(&at, vector),
            missing: lacks.then(|| Box::new(missing)),
        })
    }

    fn need(&self, path: &str, fits: impl Fn(u64) -> bool, missing: &mut Missing) {
        let hash = object_hash(path);
        if !self.presence.size(hash).is_some_and(fits) {
            let name = self.names.fetch_add(1, Ordering::Relaxed) < NAMES;
            missing.objects.push((hash, name.then(|| path.into())));
        }
    }
}
