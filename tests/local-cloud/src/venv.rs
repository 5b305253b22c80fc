//! The Python environments of the repository: moto for the local cloud and cfn-lint for the template checks, and apart from them the
//! command lines of the guide.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use sha2::{Digest, Sha256};

/// An environment: its folder, its pinned versions (both from the repository's root), and what it is for.
struct Wanted {
    folder: &'static str,
    requirements: &'static str,
    what: &'static str,
}

const LOCAL_CLOUD: Wanted = Wanted {
    folder: ".venv",
    requirements: "tests/local-cloud/python/requirements.txt",
    what: "moto and cfn-lint",
};
/// Apart from the local cloud's: the command lines ask for other versions of the same libraries.
const COMMAND_LINES: Wanted = Wanted {
    folder: ".venv-guide",
    requirements: "tests/local-cloud/python/guide-requirements.txt",
    what: "the SAM and AWS command lines",
};

/// A Python environment that has the pinned versions.
#[derive(Debug, Clone)]
pub struct Venv {
    root: PathBuf,
}

impl Venv {
    /// Its Python.
    #[must_use]
    pub fn python(&self) -> PathBuf {
        self.tool("python")
    }

    /// The folder of its commands.
    #[must_use]
    pub fn tools(&self) -> PathBuf {
        self.root.join("bin")
    }

    /// One of its commands, for example `cfn-lint`.
    #[must_use]
    pub fn tool(&self, name: &str) -> PathBuf {
        self.tools().join(name)
    }

    /// Whether a JSON document fits a JSON schema (draft 2020-12).
    ///
    /// # Errors
    /// What does not fit, a line each; or why it could not be found out.
    pub fn fits(&self, document: &Path, schema: &Path) -> Result<(), String> {
        let checked = Command::new(self.python())
            .args(["-c", FITS])
            .arg(document)
            .arg(schema)
            .output();
        succeeded(checked)
    }
}

const FITS: &str = "import json, sys, jsonschema; document, schema = (json.load(open(f)) for f in sys.argv[1:]); \
                    jsonschema.Draft202012Validator.check_schema(schema); \
                    errors = [f'{e.json_path}: {e.message}' for e in jsonschema.Draft202012Validator(schema).iter_errors(document)]; \
                    print(*errors, sep='\\n') if errors else None; sys.exit(bool(errors))";

/// Why there is no Python environment.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VenvError {
    /// A file could not be used.
    #[error("cannot use {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// There is no `python3`.
    #[error("python3 is missing ({0}); install Python 3.11 or newer")]
    NoPython(String),
    /// Python is too old.
    #[error("python3 is {0}; the local cloud needs Python 3.11 or newer")]
    OldPython(String),
    /// The environment could not be created.
    #[error(
        "cannot create the Python environment {path}: {reason}; install the venv and pip modules of python3"
    )]
    Create {
        /// Where.
        path: PathBuf,
        /// What Python said.
        reason: String,
    },
    /// The packages could not be installed.
    #[error(
        "pip could not install {requirements}: {reason}; check the network or pip's configuration"
    )]
    Install {
        /// The list.
        requirements: PathBuf,
        /// What pip said.
        reason: String,
    },
}

/// Makes sure that `.venv` in `repo_root` has the pinned packages. Blocks: up to a minute the first time, some
/// milliseconds later on. `progress` is told what takes long.
///
/// # Errors
/// When Python or pip is missing, or the packages cannot be installed.
pub fn ensure(repo_root: &Path, progress: &dyn Fn(&str)) -> Result<Venv, VenvError> {
    ensure_all(&LOCAL_CLOUD, repo_root, progress)
}

/// Makes sure that `.venv-guide` in `repo_root` has `sam` and `aws`. Blocks, as [`ensure`].
///
/// # Errors
/// As [`ensure`].
pub fn ensure_command_lines(repo_root: &Path, progress: &dyn Fn(&str)) -> Result<Venv, VenvError> {
    ensure_all(&COMMAND_LINES, repo_root, progress)
}

fn ensure_all(
    wanted: &Wanted,
    repo_root: &Path,
    progress: &dyn Fn(&str),
) -> Result<Venv, VenvError> {
    let (folder, what) = (wanted.folder, wanted.what);
    let root = repo_root.join(folder);
    let requirements = repo_root.join(wanted.requirements);
    let file = |path: &Path| {
        let path = path.to_owned();
        move |source| VenvError::File { path, source }
    };
    let wanted = fingerprint(&std::fs::read(&requirements).map_err(file(&requirements))?);

    // Two builds at once would write into the same environment.
    std::fs::create_dir_all(&root).map_err(file(&root))?;
    let lock_path = root.join(".lock");
    let lock = File::create(&lock_path).map_err(file(&lock_path))?;
    lock.lock().map_err(file(&lock_path))?;

    let venv = Venv { root };
    let stamp = venv.root.join(".requirements-sha256");
    if std::fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) && venv.python().exists()
    {
        return Ok(venv);
    }
    if !venv.python().exists() {
        check_python()?;
        progress(&format!("creating the Python environment in {folder}"));
        let created = Command::new("python3")
            .args(["-m", "venv"])
            .arg(&venv.root)
            .output();
        succeeded(created).map_err(|reason| VenvError::Create {
            path: venv.root.clone(),
            reason,
        })?;
    }
    progress(&format!(
        "installing {what} into {folder} (once, about a minute)"
    ));
    let installed = Command::new(venv.python())
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--requirement",
        ])
        .arg(&requirements)
        .output();
    succeeded(installed).map_err(|reason| VenvError::Install {
        requirements,
        reason,
    })?;
    std::fs::write(&stamp, wanted).map_err(file(&stamp))?;
    Ok(venv)
}

fn check_python() -> Result<(), VenvError> {
    let script =
        "import sys; print('%d.%d' % sys.version_info[:2]); sys.exit(sys.version_info < (3, 11))";
    let output = Command::new("python3")
        .args(["-c", script])
        .output()
        .map_err(|error| VenvError::NoPython(error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    Err(VenvError::OldPython(
        String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    ))
}

fn succeeded(result: std::io::Result<Output>) -> Result<(), String> {
    let output = result.map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let text = [output.stderr, output.stdout].concat();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let last = lines
        .iter()
        .rev()
        .take(5)
        .rev()
        .copied()
        .collect::<Vec<_>>();
    Err(format!("{} ({})", last.join(" | "), output.status))
}

fn fingerprint(content: &[u8]) -> String {
    Sha256::digest(content)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
