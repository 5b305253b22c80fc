//! Folders on disk, read with fewer system calls than a store that knows nothing of its caller's needs.

use crate::names::LOG;
use crate::paths::object_hash;
use futures::stream::{self, BoxStream, StreamExt};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::thread;

/// Bytes that are read from a file at once.
const CHUNK: usize = 256 << 10;
/// Threads that look at folders: they wait for the disk more than they compute.
const THREADS: usize = 4;

/// Sizes by path hash.
type Sizes = Vec<(u128, u64)>;
/// Relative paths of folders that are still to be read.
type Folders = Vec<String>;

/// The size of every file below `root`, by the hash of its path relative to `root`, without those of the log.
pub(crate) fn sizes(root: &Path) -> io::Result<Sizes> {
    let mut found = Sizes::new();
    let mut folders = vec![String::new()];
    while !folders.is_empty() {
        let share = folders.len().div_ceil(THREADS).max(1);
        let parts = thread::scope(|scope| {
            let workers: Vec<_> = folders
                .chunks(share)
                .map(|share| scope.spawn(move || read_folders(root, share)))
                .collect();
            let joined = workers.into_iter().map(|worker| {
                let panicked = || Err(io::Error::other("the thread that reads folders stopped"));
                worker.join().unwrap_or_else(|_| panicked())
            });
            joined.collect::<io::Result<Vec<_>>>()
        })?;
        folders = Vec::new();
        for (sizes, inner) in parts {
            found.extend(sizes);
            folders.extend(inner);
        }
    }
    Ok(found)
}

fn read_folders(root: &Path, folders: &[String]) -> io::Result<(Sizes, Folders)> {
    let (mut sizes, mut inner) = (Sizes::new(), Folders::new());
    for folder in folders {
        let entries = match fs::read_dir(root.join(folder)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            // A name that is not UTF-8 cannot be in a log.
            let Some(name) = entry.file_name().to_str().map(str::to_owned) else {
                continue;
            };
            let path = if folder.is_empty() {
                name
            } else {
                format!("{folder}/{name}")
            };
            if path == LOG {
                continue;
            }
            let kind = entry.file_type()?;
            if kind.is_dir() {
                inner.push(path);
                continue;
            }
            let target = if kind.is_symlink() {
                fs::metadata(entry.path())
            } else {
                entry.metadata()
            };
            match target {
                Ok(target) if target.is_dir() => inner.push(path),
                Ok(target) => sizes.push((object_hash(&path), target.len())),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok((sizes, inner))
}

/// A file's bytes, a chunk at a time.
pub(crate) fn chunks(
    file: File,
    path: PathBuf,
) -> BoxStream<'static, object_store::Result<bytes::Bytes>> {
    let failed = move |error: io::Error| object_store::Error::Generic {
        store: "folder",
        source: format!("{}: {error}", path.display()).into(),
    };
    stream::try_unfold(file, move |file| {
        let failed = failed.clone();
        async move {
            let read = tokio::task::spawn_blocking(move || one_chunk(file)).await;
            let (file, bytes) = read.map_err(io::Error::other).flatten().map_err(failed)?;
            Ok((!bytes.is_empty()).then(|| (bytes::Bytes::from(bytes), file)))
        }
    })
    .boxed()
}

fn one_chunk(mut file: File) -> io::Result<(File, Vec<u8>)> {
    let mut bytes = Vec::with_capacity(CHUNK);
    let limit = u64::try_from(CHUNK).unwrap_or(u64::MAX);
    (&mut file).take(limit).read_to_end(&mut bytes)?;
    Ok((file, bytes))
}
