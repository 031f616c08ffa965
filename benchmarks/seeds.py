"""Run the tests that draw over many seeds, and print how often each passes.

The time of one test is bounded: a dear one runs over fewer seeds, and its row says over how many. Rows of earlier runs
at the same instruction set are kept where their test did not run again, or passed over fewer seeds.

    python benchmarks/seeds.py --seeds 200 --seconds 20 tests/points tests/paths
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import sys
import time
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "seeds.json"
EVERY = 60.0
"""Seconds between two writings of the results."""


class Tally:
    """A plugin of pytest that counts passes per test, and skips the seeds of a test whose time is spent."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.written = time.time()
        self.spent: dict[str, float] = defaultdict(float)
        self.ran: dict[str, set[int]] = defaultdict(set)
        self.failed: dict[str, set[int]] = defaultdict(set)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        test, seed = named(item)
        item.user_properties += [("test", test), ("seed", seed)]
        if self.spent[test] > self.seconds:
            pytest.skip("its time is spent")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        facts = dict(report.user_properties)
        if "test" not in facts:
            return
        test, seed = facts["test"], facts["seed"]
        self.spent[test] += report.duration
        if report.when == "call" and not report.skipped:
            self.ran[test].add(seed)
        if report.failed:
            self.ran[test].add(seed)
            self.failed[test].add(seed)

    def pytest_runtest_logfinish(self) -> None:
        if time.time() > self.written + EVERY:
            write(self)

    def pytest_sessionfinish(self) -> None:
        write(self)


def write(tally: Tally) -> dict:
    """Merge what ran into the results, so that a run that is killed leaves its rows; the table of this level."""
    known = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
    table = known.setdefault(instruction_set(), {"commands": [], "tests": {}})
    command = shlex.join(["python", "benchmarks/seeds.py", *sys.argv[1:]])
    table["commands"] = [*(old for old in table["commands"] if old != command), command]
    for test, seeds in tally.ran.items():
        failed, row = tally.failed[test], table["tests"].get(test)
        if row is not None and row["of"] > len(seeds) and not failed:
            continue
        table["tests"][test] = {"passed": len(seeds - failed), "of": len(seeds), "failed": sorted(failed)}
    table["tests"] = dict(sorted(table["tests"].items()))
    RESULTS.write_text(json.dumps(known, indent=1) + "\n", "utf-8")
    tally.written = time.time()
    return table


def named(item: pytest.Item) -> tuple[str, int]:
    """A test without its seed, and the seed."""
    seed = item.callspec.params["seed"]
    return re.sub(rf"\[seed{seed}\]$|-seed{seed}(?=[]-])|(?<=\[)seed{seed}-", "", item.nodeid), seed


def instruction_set() -> str:
    """The level that XLA compiles for: the one asked for, else the processor's own."""
    asked = re.findall(r"--xla_cpu_max_isa=(\w+)", os.environ.get("XLA_FLAGS", ""))
    if asked:
        return asked[-1]
    try:
        flags = Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        return "unknown"
    return next((name for flag, name in (("avx512f", "AVX512"), ("avx2", "AVX2")) if flag in flags), "SSE4_2")


def main() -> None:
    """Run, write and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=200, help="at most, per test (default 200)")
    parser.add_argument("--seconds", type=float, default=20.0, help="after which a test starts no further seed")
    parser.add_argument("paths", nargs="*", default=["tests"])
    asked = parser.parse_args()
    tally, level, begun = Tally(asked.seconds), instruction_set(), time.time()
    os.chdir(ROOT)
    options = ["-q", "-rN", "--tb=line", "-p", "no:cacheprovider", "-m", "draws", "--seeds", str(asked.seeds)]
    pytest.main([*options, *asked.paths], plugins=[tally])
    table = write(tally)
    for test, row in table["tests"].items():
        print(f"{row['passed']:4d} of {row['of']:4d}  {test}" + (f"  failed: {row['failed']}" if row["failed"] else ""))
    passed, runs = (sum(row[key] for row in table["tests"].values()) for key in ("passed", "of"))
    print(
        f"{level}: {passed} of {runs} runs of {len(table['tests'])} tests pass; {time.time() - begun:.0f} s this time"
    )


if __name__ == "__main__":
    main()
