"""Time and peak memory of recovery-point on a large table, beside opening it with the Python package deltalake.

    python measure.py ARCHIVE.tar.zst RECOVERY_POINT_BINARY

Unpacks the table into a temporary folder and makes its data files, empty but of the right length. Three runs each, the
best is printed. deltalake only opens the table and lists its files; recovery-point also looks whether they are there.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

OPEN = "import sys; from deltalake import DeltaTable; print(DeltaTable(sys.argv[1]).get_add_actions().num_rows)"


def make_data(table):
    folders = set()
    for commit in sorted((table / "_delta_log").glob("*.json")):
        for line in commit.open():
            add = json.loads(line).get("add")
            if add:
                path = table / add["path"]
                if path.parent not in folders:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    folders.add(path.parent)
                with path.open("wb") as file:
                    file.truncate(add["size"])


def measure(command):
    runs = []
    for _ in range(3):
        start = time.monotonic()
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        output = child.stdout.read()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            sys.exit(f"{command[0]} failed: {output}")
        runs.append((time.monotonic() - start, usage.ru_maxrss / 1024, output.strip()))
    return min(runs)


def main(archive, binary):
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["tar", "--zstd", "-xf", archive, "-C", folder], check=True)
        table = next(log.parent for log in pathlib.Path(folder).glob("**/_delta_log"))
        make_data(table)
        seconds, mib, line = measure([binary, str(table), str(table)])
        answer = json.loads(line)
        print(f"recovery-point: {seconds:.2f} s, {mib:.0f} MiB, version {answer['recovery_version']} of "
              f"{answer['latest_version']}, {answer['files_at_latest']} files")
        try:
            import deltalake
        except ImportError:
            print("deltalake is not installed: nothing to compare with")
            return
        other_seconds, other_mib, rows = measure([sys.executable, "-c", OPEN, str(table)])
        print(f"deltalake {deltalake.__version__}: {other_seconds:.2f} s, {other_mib:.0f} MiB, {rows} files")
        print(f"ratio: {seconds / other_seconds:.2f} of the time, {mib / other_mib:.2f} of the memory")


if __name__ == "__main__":
    main(*sys.argv[1:])
