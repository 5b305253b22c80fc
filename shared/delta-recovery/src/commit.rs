//! One commit, read line by line and reduced to what decides completeness.

use crate::action::{Line, Protocol};
use crate::error::Fault;
use crate::join::{Added, Join};
use crate::location::Location;
use crate::names;
use crate::paths::{file_key, place};
use crate::report::TimeSource;
use futures::TryStreamExt;

/// What a commit changes.
#[derive(Debug, Default)]
pub(crate) struct Commit {
    pub(crate) adds: Vec<Added>,
    /// Keys of logical files.
    pub(crate) removes: Vec<u128>,
    pub(crate) protocol: Option<Protocol>,
    pub(crate) has_metadata: bool,
    pub(crate) has_txn: bool,
    /// Milliseconds since 1970, if the commit itself says when it was made.
    pub(crate) time: Option<(i64, TimeSource)>,
}

impl Commit {
    /// Reads a commit that was listed with `size` bytes.
    pub(crate) async fn read(
        location: &Location,
        version: u64,
        size: u64,
        join: &Join<'_>,
    ) -> Result<Self, Fault> {
        let mut commit = Self::default();
        let object = names::commit(version);
        for_each_line(location, &object, size, |line| commit.take(line, join)).await?;
        Ok(commit)
    }

    fn take(&mut self, line: Line<'_>, join: &Join<'_>) -> Result<(), String> {
        if let Some(add) = line.add {
            let vector = add.deletion_vector.as_ref().map(|v| v.view());
            self.adds
                .push(join.added(&add.path, add.size, vector.as_ref())?);
        }
        if let Some(remove) = line.remove {
            let vector = remove.deletion_vector.as_ref().map(|v| v.view());
            self.removes
                .push(file_key(&place(&remove.path)?, vector.as_ref()));
        }
        if let Some(info) = line.commit_info {
            let stated = |field: Option<crate::action::Lenient>, source| {
                field
                    .and_then(|value| value.number())
                    .map(|ms| (ms, source))
            };
            self.time = stated(info.in_commit_timestamp, TimeSource::InCommit)
                .or_else(|| stated(info.timestamp, TimeSource::CommitInfo));
        }
        self.protocol = line.protocol.or(self.protocol.take());
        self.has_metadata |= line.meta_data.is_some();
        self.has_txn |= line.txn.is_some();
        Ok(())
    }
}

/// Hands every JSON line of an object that was listed with `size` bytes to `take`, holding one line at a time.
pub(crate) async fn for_each_line(
    location: &Location,
    object: &str,
    size: u64,
    mut take: impl FnMut(Line<'_>) -> Result<(), String>,
) -> Result<(), Fault> {
    if size == 0 {
        return Err(Fault::Unusable("it is empty".to_owned()));
    }
    let mut chunks = location.chunks(object).await?;
    let mut carried: Vec<u8> = Vec::new();
    let (mut bytes, mut number) = (0_u64, 0_u64);
    let mut one = |line: &[u8]| {
        number += 1;
        if line.trim_ascii().is_empty() {
            return Ok(());
        }
        serde_json::from_slice::<Line<'_>>(line)
            .map_err(|error| error.to_string())
            .and_then(&mut take)
            .map_err(|reason| Fault::Unusable(format!("line {number}: {reason}")))
    };
    while let Some(chunk) = chunks.try_next().await? {
        let mut rest = chunk.as_ref();
        bytes += u64::try_from(rest.len()).unwrap_or(u64::MAX);
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, after) = rest.split_at(end);
            if carried.is_empty() {
                one(line)?;
            } else {
                carried.extend_from_slice(line);
                one(&carried)?;
                carried.clear();
            }
            rest = after.get(1..).unwrap_or_default();
        }
        carried.extend_from_slice(rest);
    }
    one(&carried)?;
    if bytes == size {
        Ok(())
    } else {
        Err(Fault::Unusable(format!(
            "it was listed with {size} bytes but has {bytes}"
        )))
    }
}
