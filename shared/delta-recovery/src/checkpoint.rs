//! A checkpoint, streamed: classic, multi-part or V2 with sidecars, from Parquet or JSON.

use crate::action::{Protocol, Sidecar};
use crate::columns::{Columns, open};
use crate::commit::for_each_line;
use crate::error::Fault;
use crate::join::{Added, Join};
use crate::location::Location;
use crate::log::{Checkpoint, Log};
use crate::names::LOG;
use crate::paths::{Place, place};
use futures::TryStreamExt;

/// What a checkpoint says besides its files.
#[derive(Debug, Default)]
pub(crate) struct CheckpointFacts {
    pub(crate) protocol: Option<Protocol>,
    pub(crate) has_metadata: bool,
    pub(crate) has_txn: bool,
    pub(crate) sidecars: Vec<Sidecar>,
}

/// Streams the live files of a checkpoint into `take`. It must be whole: all parts and sidecars, protocol and metadata.
pub(crate) async fn read(
    location: &Location,
    log: &Log,
    checkpoint: &Checkpoint,
    join: &Join<'_>,
    mut take: impl FnMut(Added) + Send,
) -> Result<CheckpointFacts, Fault> {
    let mut facts = CheckpointFacts::default();
    for (object, listed) in &checkpoint.files {
        if listed.size == 0 {
            return Err(Fault::Unusable(format!("`{object}` is empty")));
        }
        if object.ends_with(".json") {
            read_json(location, object, listed.size, join, &mut facts, &mut take).await?;
        } else {
            read_parquet(location, object, listed.size, join, &mut facts, &mut take).await?;
        }
    }
    for sidecar in std::mem::take(&mut facts.sidecars) {
        let object = sidecar_object(log, &sidecar)?;
        read_parquet(
            location,
            &object,
            sidecar.size_in_bytes,
            join,
            &mut facts,
            &mut take,
        )
        .await?;
    }
    let lacks = match (&facts.protocol, facts.has_metadata) {
        (None, _) => "protocol",
        (_, false) => "metaData",
        _ => return Ok(facts),
    };
    Err(Fault::Unusable(format!("it has no {lacks} action")))
}

fn sidecar_object(log: &Log, sidecar: &Sidecar) -> Result<String, Fault> {
    let name = match place(&sidecar.path).map_err(Fault::Unusable)? {
        Place::Inside(name) => name.into_owned(),
        Place::Outside(address) => {
            return Err(Fault::Unusable(format!(
                "its sidecar `{address}` lies outside of the table"
            )));
        }
    };
    let object = format!("{LOG}/_sidecars/{name}");
    match log.sidecars.get(&name) {
        Some(size) if *size == sidecar.size_in_bytes => Ok(object),
        Some(size) => Err(Fault::Unusable(format!(
            "its sidecar `{object}` has {size} bytes instead of {}",
            sidecar.size_in_bytes
        ))),
        None => Err(Fault::Unusable(format!(
            "its sidecar `{object}` is not there"
        ))),
    }
}

async fn read_json(
    location: &Location,
    object: &str,
    size: u64,
    join: &Join<'_>,
    facts: &mut CheckpointFacts,
    take: &mut impl FnMut(Added),
) -> Result<(), Fault> {
    let mut marked = false;
    for_each_line(location, object, size, |line| {
        if let Some(add) = line.add {
            let vector = add.deletion_vector.as_ref().map(|v| v.view());
            take(join.added(&add.path, add.size, vector.as_ref())?);
        }
        facts.protocol = line.protocol.or(facts.protocol.take());
        facts.has_metadata |= line.meta_data.is_some();
        facts.has_txn |= line.txn.is_some();
        facts.sidecars.extend(line.sidecar);
        marked |= line.checkpoint_metadata.is_some();
        Ok(())
    })
    .await?;
    if marked {
        Ok(())
    } else {
        Err(Fault::Unusable(format!(
            "`{object}` has no checkpointMetadata action"
        )))
    }
}

async fn read_parquet(
    location: &Location,
    object: &str,
    size: u64,
    join: &Join<'_>,
    facts: &mut CheckpointFacts,
    take: &mut impl FnMut(Added),
) -> Result<(), Fault> {
    let mut batches = open(location, object, size).await?;
    while let Some(batch) = batches
        .try_next()
        .await
        .map_err(|error| crate::columns::fault(location, object, error))?
    {
        let columns = Columns::of(&batch);
        for row in 0..batch.num_rows() {
            columns
                .row(row, join, facts, take)
                .map_err(|reason| Fault::Unusable(format!("`{object}`: {reason}")))?;
        }
    }
    Ok(())
}
