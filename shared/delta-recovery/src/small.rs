//! The small single objects of a log: the checkpoint hint and the version checksum.

use crate::error::{Error, Fault};
use crate::location::Location;
use crate::names::{self, LAST_CHECKPOINT, LOG};
use futures::TryStreamExt;
use serde::Deserialize;

/// The most bytes that such an object may have; larger ones are not what their name says.
const LIMIT: usize = 64 << 20;

/// The version that `_last_checkpoint` names. None if it is absent or does not parse: readers then list the log.
pub(crate) async fn last_checkpoint(location: &Location) -> Result<Option<u64>, Error> {
    #[derive(Deserialize)]
    struct Hint {
        version: u64,
    }
    let bytes = whole(location, &format!("{LOG}/{LAST_CHECKPOINT}")).await?;
    Ok(bytes
        .and_then(|bytes| serde_json::from_slice::<Hint>(&bytes).ok())
        .map(|hint| hint.version))
}

/// The number of live files that a version's checksum file states, if it does.
pub(crate) async fn checksum_files(
    location: &Location,
    version: u64,
) -> Result<Option<u64>, Error> {
    #[derive(Deserialize)]
    struct Checksum {
        #[serde(rename = "numFiles")]
        num_files: Option<u64>,
    }
    let bytes = whole(location, &names::checksum(version)).await?;
    Ok(bytes
        .and_then(|bytes| serde_json::from_slice::<Checksum>(&bytes).ok())
        .and_then(|checksum| checksum.num_files))
}

async fn whole(location: &Location, object: &str) -> Result<Option<Vec<u8>>, Error> {
    let mut chunks = match location.chunks(object).await {
        Ok(chunks) => chunks,
        Err(Fault::Unusable(_)) => return Ok(None),
        Err(Fault::Fatal(error)) => return Err(error),
    };
    let mut bytes = Vec::new();
    loop {
        match chunks.try_next().await {
            Ok(Some(chunk)) if bytes.len() <= LIMIT => bytes.extend_from_slice(chunk.as_ref()),
            Ok(None) => return Ok(Some(bytes)),
            Ok(Some(_)) | Err(Fault::Unusable(_)) => return Ok(None),
            Err(Fault::Fatal(error)) => return Err(error),
        }
    }
}
