"""Engines: a Ray cluster of which a node is killed, what a call costs, and how long an engine takes to start.

*Killed*: a study of many tiny runs on a Ray of two nodes on this machine. One node is killed in the middle of its
packs, and later one joins. Results are compared byte for byte with those of a pool that ran undisturbed. *Overhead*:
packs that take one second, since their explorer sleeps, by a pool of two processes and by Ray with two, in turn.
*Calls*: what an empty call costs. *Start*: seconds until a study of two packs is finished, by engine. Prints tables and
writes ``benchmarks/results/engines.json``.

    python benchmarks/engines.py [--cells 10000] [--packs 60] [--only TABLE…]
"""

import argparse
import json
import statistics
import sys
import tempfile
import textwrap
import time
from pathlib import Path

from command_line import command_line
from kill import content
from ray.cluster_utils import Cluster

from allroads import run_study
from allroads.studies.config import Engine, Study
from allroads.studies.engines import make_engine
from allroads.studies.engines.node import check, study_needs
from allroads.studies.store import Store
from allroads.studies.threads import cores, one_thread
from allroads.studies.toml import to_toml

RESULTS = Path(__file__).parent / "results" / "engines.json"
LIMIT = 0.05
"""Share by which Ray may be slower than the pool at packs of one second."""

PART = {"kind": "boolean", "bits": 3, "rule": "parity"}
ADAM = {"kind": "adam"}
OFF = ("pairs", "embedding", "certified", "stages", "directness", "turning")
SLEEPY = """
import time

from allroads import Adam


def adam() -> Adam:
    time.sleep(1.0)
    return Adam()
"""


def study(seeds: int, off: tuple[str, ...], explorer: dict = ADAM) -> dict:
    """A study of tiny runs."""
    parts = {"target": [PART], "architecture": [{"kind": "mlp", "widths": [4]}], "explorer": [explorer]}
    grid = {"name": "bits", "seeds": seeds, "steps": 5, "records": 2, **parts}
    return {"name": "tiny runs", "grid": [grid], "measures": dict.fromkeys(off, False)}


def killed(cells: int, folder: Path) -> dict:
    """Kill a node at a quarter of the trajectories, and let another one join at a half."""
    config = study(cells, (*OFF, "fit", "curves"))
    began = time.perf_counter()
    run_study(config, folder / "pool", "pool:2", report=False)
    seconds = {"pool": time.perf_counter() - began}

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    told: dict[str, float] = {}

    def disturb(progress) -> None:
        if progress.phase == "trajectories" and progress.share > 0.25 and "killed" not in told:
            told["killed"] = progress.share
            cluster.remove_node(nodes[0], allow_graceful=False)
        if progress.phase == "trajectories" and progress.share > 0.5 and "joined" not in told:
            told["joined"] = progress.share
            cluster.add_node(num_cpus=1)

    began = time.perf_counter()
    try:
        done = run_study(config, folder / "ray", f"ray:{cluster.address}", report=False, progress=disturb)
    finally:
        cluster.shutdown()
    seconds["ray, disturbed"] = time.perf_counter() - began
    same, other = content(folder / "pool"), content(folder / "ray")
    differ = sorted(name for name in {*same, *other} if same.get(name) != other.get(name))
    left = [path.name for kind in (".tmp", ".claims") for path in (folder / "ray" / kind).iterdir()]
    body = {
        "cells": len(Store(folder / "ray").list("cells")),
        "files": len(other),
        "differ": len(differ),
        "left_behind": len(left),
        "at": told,
        "computed": dict(done.computed),
        "seconds": seconds,
    }
    print(f"killed: {body['cells']} cells, {body['files']} files; a node killed and one joined at {told}")
    print(f"  files that differ from those of the undisturbed pool: {len(differ)}; left behind: {len(left)}")
    print(f"  seconds: {', '.join(f'{name} {value:.0f}' for name, value in seconds.items())}")
    return body


def overhead(packs: int, rounds: int, folder: Path) -> dict:
    """Seconds per pack of one second on two workers, once both have begun."""
    (folder / "sleepy.py").write_text(textwrap.dedent(SLEEPY))
    everything = (*OFF, "chart", "values", "curves", "fit")
    config = study(8 * packs, everything, {"kind": "factory", "path": "sleepy:adam"})
    (folder / "study.toml").write_text(to_toml(Study.model_validate_json(json.dumps(config))))
    found: dict[str, list[float]] = {"pool:2": [], "ray": []}
    for turn in range(rounds):
        for engine, rates in found.items():
            times: list[float] = []

            def note(seen, at=times) -> None:
                if seen.phase == "trajectories":
                    at.append(time.perf_counter())

            out = folder / f"sleepy-{turn}-{engine.replace(':', '')}"
            run_study(
                folder / "study.toml",
                out,
                engine,
                overrides=["engine.workers=2"],
                report=False,
                progress=note,
            )
            begun = 8  # both workers have started, and have compiled
            rates.append(2 * (times[-1] - times[begun]) / (len(times) - 1 - begun))
    median = {engine: statistics.median(rates) for engine, rates in found.items()}
    ratio = median["ray"] / median["pool:2"] - 1
    for engine, rates in found.items():
        print(
            f"overhead: {engine:<8}{median[engine]:.3f} s per pack and worker ({', '.join(f'{r:.3f}' for r in rates)})"
        )
    print(f"  Ray beside the pool: {ratio:+.1%} (limit {LIMIT:.0%})")
    return {"packs": packs, "seconds_per_pack": found, "ray_beside_pool": ratio, "limit": LIMIT}


def calls(count: int, folder: Path) -> dict:
    """Milliseconds per empty call, handed out a window at a time."""
    from collections import deque

    found = {}
    for engine in (Engine(kind="process"), Engine(kind="pool", workers=2), Engine(kind="ray", workers=2)):
        directory = folder / f"calls-{engine.kind}"
        Store(directory).put("mark", b"")
        with make_engine(engine, 10, directory) as executor:
            executor.start(study_needs(directory, "mark", []))
            for future in [executor.submit(check) for _ in range(10)]:
                future.result()
            began, waiting = time.perf_counter(), deque()
            for _ in range(count):
                if len(waiting) >= executor.window():
                    waiting.popleft().result()
                waiting.append(executor.submit(check))
            for future in waiting:
                future.result()
            found[engine.kind] = 1000 * (time.perf_counter() - began) / count
        print(f"calls: {engine.kind:<8}{found[engine.kind]:.2f} ms per call")
    return {"count": count, "milliseconds": found}


def start(rounds: int, folder: Path) -> dict:
    """Seconds until a study of two packs is finished."""
    found = {}
    for engine in ("process", "pool:2", "ray", "slurm:2"):
        config = study(16, (*OFF, "fit", "curves", "values", "chart"))
        config["engine"] = {"workers": 2, "slurm": {"cluster": "local"}}
        seconds = []
        for turn in range(rounds):
            began = time.perf_counter()
            run_study(config, folder / f"start-{turn}-{engine.replace(':', '')}", engine, report=False)
            seconds.append(time.perf_counter() - began)
        found[engine] = seconds
        print(f"start: {engine:<8}{statistics.median(seconds):.1f} s ({', '.join(f'{s:.1f}' for s in seconds)})")
    return {"seconds": found, "slurm": "local processes in place of Slurm: no queue is waited for"}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cells", type=int, default=10_000)
    parser.add_argument("--packs", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--only", nargs="+", choices=("killed", "overhead", "calls", "start"), default=None)
    given = parser.parse_args()
    one_thread()
    tables = given.only or ["killed", "overhead", "calls", "start"]
    body: dict = {}
    for table in tables:
        with tempfile.TemporaryDirectory(prefix="allroads-engines-") as made:
            folder = Path(made)
            if table == "killed":
                body[table] = killed(given.cells, folder)
            elif table == "overhead":
                body[table] = overhead(given.packs, given.rounds, folder)
            elif table == "calls":
                body[table] = calls(given.calls, folder)
            else:
                body[table] = start(given.rounds, folder)
        body[table] |= {"command": command_line(), "cores": cores()}
        before = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        RESULTS.write_text(json.dumps(before | body, indent=1) + "\n")
    wrong = body.get("killed", {}).get("differ") or body.get("overhead", {}).get("ray_beside_pool", 0) > LIMIT
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
