"""Compares recovery-point with the Python package deltalake, version by version, on given tables and damaged copies.

    python deltalake_check.py TABLES_FOLDER RECOVERY_POINT_BINARY

Skips with a message where the package is not installed. deltalake tells which files a version needs; whether they are
there is looked up in the file system. It does not list deletion vector files, so those are not damaged here.
Exit status 1 if an answer differs.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.parse

try:
    from deltalake import DeltaTable
except ImportError:
    print("skipped: the Python package deltalake is not installed")
    sys.exit(0)

COMMIT = re.compile(r"^\d{20}\.json$")
CHECKPOINT = re.compile(r"^\d{20}\.checkpoint\..*parquet$|^\d{20}\.checkpoint\..*json$")


def live(root, version):
    """The data files of a version, relative to the root, with their sizes; None if it cannot be loaded."""
    try:
        table = DeltaTable(str(root), version=version)
        actions = table.get_add_actions(flatten=True)
    except Exception:
        return None
    columns = {name: actions.column(name).to_pylist() for name in ("path", "size_bytes")}
    return dict(zip(columns["path"], columns["size_bytes"]))


def there(root, path, size):
    for name in (path, urllib.parse.unquote(path)):
        file = root / name
        if file.is_file() and file.stat().st_size == size:
            return True
    return False


def versions(root):
    log = root / "_delta_log"
    return sorted({int(n[:20]) for n in os.listdir(log) if COMMIT.match(n) or CHECKPOINT.match(n)}, reverse=True)


def expected(root):
    # Without the hint: it decides whether a reader opens the table, not which version is complete. A second copy has
    # no checkpoints: deltalake does not fall back from one that lacks a sidecar to the commits before it.
    with tempfile.TemporaryDirectory() as folder:
        clean, plain = pathlib.Path(folder) / "clean", pathlib.Path(folder) / "plain"
        for copy in (clean, plain):
            shutil.copytree(root, copy)
            (copy / "_delta_log" / "_last_checkpoint").unlink(missing_ok=True)
        first = plain / "_delta_log" / f"{0:020}.json"
        for name in os.listdir(plain / "_delta_log"):
            if CHECKPOINT.match(name):
                (plain / "_delta_log" / name).unlink()
        for version in versions(clean):
            # A log without its first commits may load, with files silently lost.
            whole = first.exists() or any(CHECKPOINT.match(n) for n in os.listdir(clean / "_delta_log"))
            files = live(clean, version) if whole else None
            if files is None and first.exists():
                files = live(plain, version)
            if files is not None and all(there(clean, p, s) for p, s in files.items()):
                return version
    return None


def opens(root):
    try:
        DeltaTable(str(root))
        return True
    except Exception:
        return False


def damages(source):
    log = source / "_delta_log"
    commits = sorted(n for n in os.listdir(log) if COMMIT.match(n))
    yield "complete", lambda r: None
    for commit in commits:
        yield f"without {commit}", lambda r, c=commit: (r / "_delta_log" / c).unlink()
    for i in range(1, len(commits)):
        yield f"{i} commits held back", lambda r, i=i: [(r / "_delta_log" / c).unlink() for c in commits[-i:]]
    for name in sorted(os.listdir(log)):
        if CHECKPOINT.match(name):
            yield f"without {name}", lambda r, n=name: (r / "_delta_log" / n).unlink()
    if (log / "_sidecars").is_dir():
        for name in sorted(n for n in os.listdir(log / "_sidecars") if n.endswith(".parquet")):
            yield f"without {name}", lambda r, n=name: (r / "_delta_log" / "_sidecars" / n).unlink()
    data = [p for p in source.rglob("*.parquet") if "_delta_log" not in p.parts and "_change_data" not in p.parts]
    for file in sorted(data):
        relative = file.relative_to(source)
        yield f"without {relative}", lambda r, f=relative: (r / f).unlink()
    yield "hint ahead", lambda r: (r / "_delta_log" / "_last_checkpoint").write_text('{"version":4000,"size":1}')


def main(folder, binary):
    checked = differ = 0
    for source in sorted(p for p in pathlib.Path(folder).iterdir() if p.is_dir()):
        for what, damage in damages(source):
            with tempfile.TemporaryDirectory() as replica:
                replica = pathlib.Path(replica) / "t"
                shutil.copytree(source, replica, copy_function=shutil.copyfile)
                for directory, _, _ in os.walk(replica):
                    os.chmod(directory, 0o755)
                damage(replica)
                line = subprocess.run([binary, str(source), str(replica)], capture_output=True, text=True).stdout
                ours = json.loads(line)
                if "refusal" in ours:
                    print(f"{source.name}, {what}: refused, {ours['refusal']['name']}")
                    break
                theirs = (expected(replica), opens(replica))
                kinds = [b["kind"] for b in ours["blocked_by"]]
                checked += 1
                # deltalake opens these; other readers refuse the first, and the second loses files.
                opened = ours["readable_now"] or set(kinds) <= {"CommitOfCheckpointMissing", "FirstCommitsMissing"} and theirs[1]
                if (ours["recovery_version"], opened) != theirs:
                    differ += 1
                    print(f"{source.name}, {what}: {ours['recovery_version']}, {ours['readable_now']} {kinds}; deltalake: {theirs}")
    print(f"{checked} cases, {differ} differ")
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
