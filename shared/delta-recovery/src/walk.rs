//! From one location's log to replayed stretches of versions, newest base first.

use crate::checkpoint;
use crate::commit::Commit;
use crate::error::{Error, Fault};
use crate::join::Join;
use crate::location::Location;
use crate::log::Log;
use crate::readable::Faults;
use crate::replay::{Keys, Replay};
use futures::{StreamExt, stream};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// Commits that are fetched at once.
const AT_ONCE: usize = 8;

/// Where a replay can start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Base {
    /// A complete checkpoint of this version.
    Checkpoint(u64),
    /// The first commit.
    Start,
}

impl Base {
    /// The first version that a replay from here gives.
    pub(crate) fn first(self) -> u64 {
        match self {
            Self::Checkpoint(version) => version,
            Self::Start => 0,
        }
    }
}

/// Reads the log of one location.
pub(crate) struct Walk<'a> {
    location: &'a Location,
    log: &'a Log,
    join: &'a Join<'a>,
    pub(crate) faults: Faults,
    /// Commits read to decide whether an older stretch is worth reading, for that stretch.
    ahead: BTreeMap<u64, Commit>,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(
        location: &'a Location,
        log: &'a Log,
        join: &'a Join<'a>,
        faults: Faults,
    ) -> Self {
        Self {
            location,
            log,
            join,
            faults,
            ahead: BTreeMap::new(),
        }
    }

    /// All bases, newest first.
    pub(crate) fn bases(&self) -> Vec<Base> {
        let checkpoints = self.log.complete_checkpoints().rev().map(Base::Checkpoint);
        let start = self.log.commits.contains_key(&0).then_some(Base::Start);
        checkpoints.chain(start).collect()
    }

    /// Replays from `base` to the end of its unbroken commits, or to the version before `ceiling`.
    /// None if the base cannot be used; `faults` then says why.
    pub(crate) async fn replay(
        &mut self,
        base: Base,
        ceiling: Option<u64>,
    ) -> Result<Option<Replay>, Error> {
        let (mut replay, next) = match base {
            Base::Start => (Replay::default(), 0),
            Base::Checkpoint(version) => match self.load(version).await? {
                Some(replay) => (replay, version.saturating_add(1)),
                None => return Ok(None),
            },
        };
        let end = match (self.log.run_end(base.first()), ceiling) {
            (end, Some(ceiling)) => end.min(ceiling.saturating_sub(1)),
            (end, None) => end,
        };
        if next <= end {
            self.extend(&mut replay, next..=end).await?;
        }
        Ok(replay.head().is_some().then_some(replay))
    }

    /// Applies commits to `replay` until one of them cannot be used.
    pub(crate) async fn extend(
        &mut self,
        replay: &mut Replay,
        versions: RangeInclusive<u64>,
    ) -> Result<(), Error> {
        let (location, log, join) = (self.location, self.log, self.join);
        let ahead = std::mem::take(&mut self.ahead);
        let cached = std::sync::Mutex::new(ahead);
        let mut commits = stream::iter(versions)
            .map(|version| {
                let known = cached.lock().ok().and_then(|mut map| map.remove(&version));
                async move {
                    match known {
                        Some(commit) => (version, Ok(commit)),
                        None => (version, read(location, log, join, version).await),
                    }
                }
            })
            .buffered(AT_ONCE);
        while let Some((version, commit)) = commits.next().await {
            match commit {
                Ok(commit) => replay.apply(version, commit, location.address())?,
                Err(Fault::Fatal(error)) => return Err(error),
                Err(Fault::Unusable(reason)) => {
                    self.faults.commits.insert(version, reason);
                    break;
                }
            }
        }
        Ok(())
    }

    /// Whether any of `keys`, which are live and missing at `last`, is so at `first` too. Then every version between
    /// them is incomplete, and the checkpoint of `first` need not be read. None if the commits do not tell.
    pub(crate) async fn still_missing(
        &mut self,
        keys: &[u128],
        first: u64,
        last: u64,
    ) -> Result<Option<Vec<u128>>, Error> {
        if self.log.run_end(first) < last {
            return Ok(None);
        }
        let mut keys: Keys = keys.iter().copied().collect();
        let (location, log, join) = (self.location, self.log, self.join);
        self.ahead.clear();
        let versions = first.saturating_add(1)..=last;
        let mut commits = stream::iter(versions)
            .map(|version| async move { (version, read(location, log, join, version).await) })
            .buffered(AT_ONCE);
        while let Some((version, commit)) = commits.next().await {
            match commit {
                Ok(commit) => {
                    for added in &commit.adds {
                        keys.remove(&added.key);
                    }
                    self.ahead.insert(version, commit);
                }
                Err(Fault::Fatal(error)) => return Err(error),
                Err(Fault::Unusable(reason)) => {
                    self.faults.commits.insert(version, reason);
                    return Ok(None);
                }
            }
        }
        Ok(Some(keys.into_iter().collect()))
    }

    /// The state at a checkpoint. Readers may pick any of several checkpoints of one version, so all are looked at.
    async fn load(&mut self, version: u64) -> Result<Option<Replay>, Error> {
        let mut loaded = None;
        let instances = self.log.checkpoints.get(&version).into_iter().flatten();
        for instance in instances.filter(|instance| instance.has_all_parts()) {
            let Some((name, _)) = instance.files.first() else {
                continue;
            };
            if self.faults.checkpoints.contains_key(name) {
                continue;
            }
            let mut replay = Replay::default();
            let keep = loaded.is_none();
            let facts = checkpoint::read(self.location, self.log, instance, self.join, |added| {
                if keep {
                    replay.base_file(added);
                }
            })
            .await;
            match facts {
                Ok(facts) if keep => loaded = Some((replay, facts)),
                Ok(_) => {}
                Err(Fault::Fatal(error)) => return Err(error),
                Err(Fault::Unusable(reason)) => {
                    self.faults.checkpoints.insert(name.clone(), reason);
                }
            }
        }
        let Some((mut replay, facts)) = loaded else {
            return Ok(None);
        };
        // Its own commit tells the time; what it did is in the checkpoint.
        let time = match read(self.location, self.log, self.join, version).await {
            Ok(commit) => commit.time,
            Err(Fault::Unusable(_)) => None,
            Err(Fault::Fatal(error)) => return Err(error),
        };
        replay.end_base(version, &facts, time, self.location.address())?;
        Ok(Some(replay))
    }
}

/// Reads a listed commit.
pub(crate) async fn read(
    location: &Location,
    log: &Log,
    join: &Join<'_>,
    version: u64,
) -> Result<Commit, Fault> {
    match log.commits.get(&version) {
        Some(listed) => Commit::read(location, version, listed.size, join).await,
        None => Err(Fault::Unusable("it is missing".to_owned())),
    }
}
