"""``kill -9`` at random moments of a running study, resumed each time.

A small study runs on a pool of two processes; the whole process group is killed after a random time, and the same
command is given again. Whenever the study finishes, what it came to is compared byte for byte with that of an
undisturbed run, and a new one is begun. Prints a table and writes ``benchmarks/results/kill.json``.

    python benchmarks/kill.py [--kills 100]
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from command_line import command_line

from allroads.studies.store import Store

STUDY = """
name = "often killed"
question = "Is anything lost or doubled?"

[[grid]]
name = "bits"
seeds = 40
steps = 50
records = 8

[[grid.target]]
kind = "boolean"
bits = 3
rule = "parity"

[[grid.target]]
kind = "boolean"
bits = 3
rule = "majority"

[[grid.architecture]]
kind = "mlp"
widths = [4]

[[grid.explorer]]
kind = "adam"
"""


def content(directory: Path) -> dict[str, bytes]:
    """Every byte of what the study came to, by file; the two files that hold times are left out."""
    kept = (path for kind in ("cells", "measures", "tables") for path in (directory / kind).rglob("*"))
    timed = ("index.json", "summary.json")
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in kept
        if path.is_file() and path.name not in timed
    }


def start(study: Path, directory: Path) -> subprocess.Popen[bytes]:
    """The study in a process group of its own."""
    main = "from allroads.cli import main; main()"
    command = [
        sys.executable,
        "-c",
        main,
        "run",
        str(study),
        "--out",
        str(directory),
        "--no-report",
        "--engine",
        "pool:2",
    ]
    return subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def moment(directory: Path, cells: int, measures: int) -> str:
    """What a killed run was at, judged by what it left."""
    store = Store(directory)
    if not (directory / "study.json").exists():
        return "before the first write"
    if len(store.list("cells")) < cells:
        return "trajectories"
    return "tables" if len(store.list("measures")) == measures else "measures"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=100)
    wanted = parser.parse_args().kills
    chance, moments, half_written, finishes, wrong = random.Random(0), Counter(), 0, 0, 0
    with tempfile.TemporaryDirectory(prefix="allroads-kill-") as folder:
        study, reference, directory = Path(folder, "study.toml"), Path(folder, "reference"), Path(folder, "run")
        study.write_text(STUDY)
        assert start(study, reference).wait() == 0
        began = time.monotonic()
        assert start(study, Path(folder, "timed")).wait() == 0
        longest = time.monotonic() - began
        undisturbed = content(reference)
        cells, measures = (len(Store(reference).list(kind)) for kind in ("cells", "measures"))
        while sum(moments.values()) < wanted:
            process = start(study, directory)
            try:
                process.wait(chance.uniform(0, longest))
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                moments[moment(directory, cells, measures)] += 1
                half_written += any((directory / ".tmp").glob("*"))
                continue
            finishes, wrong = finishes + 1, wrong + (process.returncode != 0 or content(directory) != undisturbed)
            shutil.rmtree(directory)
        last = start(study, directory).wait()
        finishes, wrong = finishes + 1, wrong + (last != 0 or content(directory) != undisturbed)

    print(f"{wanted} kills of a study of {cells} cells ({longest:.1f} s undisturbed), resumed each time")
    for name, count in sorted(moments.items()):
        print(f"  killed in {name:<24}{count:4d}")
    print(f"  with something half-written   {half_written:4d}")
    print(f"finished {finishes} times; different from the undisturbed run, byte for byte: {wrong}")
    results = Path(__file__).parent / "results"
    results.mkdir(exist_ok=True)
    body = {
        "command": command_line(),
        "kills": wanted,
        "cells": cells,
        "undisturbed_seconds": longest,
        "moments": dict(sorted(moments.items())),
        "half_written": half_written,
        "finished": finishes,
        "different": wrong,
    }
    (results / "kill.json").write_text(json.dumps(body, indent=1) + "\n")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
