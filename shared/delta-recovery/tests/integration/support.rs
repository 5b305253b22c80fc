//! Folders, copies and the call under test.

use delta_recovery::{Error, Location, Options, RecoveryPoint, recovery_point};
use std::fs;
use std::path::{Path, PathBuf};

/// All files below `root`, relative, with `/`, sorted.
pub(crate) fn files(root: &Path) -> Vec<String> {
    fn walk(root: &Path, at: &Path, into: &mut Vec<String>) {
        for entry in fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(root, &path, into);
            } else {
                into.push(
                    path.strip_prefix(root)
                        .unwrap()
                        .to_str()
                        .unwrap()
                        .to_owned(),
                );
            }
        }
    }
    let mut found = Vec::new();
    if root.is_dir() {
        walk(root, root, &mut found);
    }
    found.sort();
    found
}

/// Copies the files for which `arrives` says so.
pub(crate) fn copy(from: &Path, to: &Path, arrives: impl Fn(&str) -> bool) {
    fs::create_dir_all(to.join("_delta_log")).unwrap();
    for file in files(from).iter().filter(|file| arrives(file)) {
        let target = to.join(file);
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        // Written anew: the given tables are read-only.
        fs::write(target, fs::read(from.join(file)).unwrap()).unwrap();
    }
}

pub(crate) fn location(path: &Path) -> Location {
    Location::parse(path.to_str().unwrap()).unwrap()
}

/// The answer for two folders; None is a dark source.
pub(crate) fn ask(source: Option<&Path>, replica: &Path) -> Result<RecoveryPoint, Error> {
    ask_with(source, replica, &Options::default())
}

pub(crate) fn ask_with(
    source: Option<&Path>,
    replica: &Path,
    options: &Options,
) -> Result<RecoveryPoint, Error> {
    let source = source.map(location);
    let replica = location(replica);
    run(recovery_point(source.as_ref(), &replica, options))
}

pub(crate) fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(work)
}

/// The given tables, or None with a message.
pub(crate) fn given() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/delta");
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: the given tables are not there");
    None
}
