"""Growth curves: what every public measure costs against parameters, examples, members, records, probes, runs.

    python benchmarks/growth/run.py                    # resumable; an hour of one core
    python benchmarks/growth/run.py --measure llc      # these rows anew
    python benchmarks/growth/run.py --check            # every case at its smallest size, nothing written
    python benchmarks/growth/run.py --page             # the tables of docs/scale.md, of what is stored

Each size of each case runs in a process of its own without stored programs: processor seconds of a first call, with
compilation, and of a second one, and the most memory that the process held. A first call over ``MOST`` seconds ends
its process, and no larger size of its axis is begun. The exponent is the slope of log seconds of the second call on
log size over the two largest sizes, where the larger of them took half a second at least; below, fixed costs hide it.
Options are those that a measure has by default, so a measure that stops at its precision, or after its steps, may
cost the same at every size. Prints a table and writes ``benchmarks/results/growth.json``.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("NPROC", "1")
sys.path.insert(0, str(Path(__file__).parents[1]))

from command_line import command_line

RESULT = Path(__file__).parents[1] / "results" / "growth.json"
MOST = 40.0
"""Processor seconds after which a call is ended."""
LEAST = 0.5
"""Seconds of a second call from which an exponent is told."""


def one(measure: str, axis: str, size: int) -> dict[str, Any]:
    """Seconds and memory of one call and of another one."""
    from growth.cases import CASES

    warnings.simplefilter("ignore")
    call = CASES[measure][axis](size)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()
    found = call()
    first = time.process_time() - began
    began = time.process_time()
    if first < MOST / 4:
        call()
    again = time.process_time() - began if first < MOST / 4 else None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    status = getattr(getattr(found, "status", None), "value", None)
    return {"first": first, "again": again, "megabytes": (peak - before) / 1024, "status": status}


def apart(measure: str, axis: str, size: int) -> dict[str, Any]:
    """The same in a process of its own, which is ended when it has taken too long."""
    limit = math.ceil(2 * MOST)
    command = [sys.executable, __file__, "--one", measure, axis, str(size)]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env=os.environ | {"ALLROADS_CACHE": "off"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 5)),
        check=False,
    )
    if done.returncode == 0:
        return json.loads(done.stdout.splitlines()[-1])
    if done.returncode < 0:
        return {"first": None, "again": None, "status": f"more than {limit} s"}
    return {"first": None, "again": None, "status": "error", "said": done.stderr.strip().splitlines()[-1][:300]}


def exponent(rows: list[dict[str, Any]]) -> float | None:
    """Slope of log seconds on log size between the two largest sizes."""
    known = [row for row in rows if row.get("again") is not None]
    if len(known) < 2 or known[-1]["again"] < LEAST or known[-2]["again"] <= 0:
        return None
    a, b = known[-2:]
    return math.log(b["again"] / a["again"]) / math.log(b["size"] / a["size"])


def curve(measure: str, axis: str, sizes: tuple[int, ...]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for size in sizes:
        rows.append({"size": size} | apart(measure, axis, size))
        if rows[-1]["first"] is None or rows[-1]["first"] > MOST:
            break
    return rows


def line(measure: str, axis: str, rows: list[dict[str, Any]]) -> str:
    def seconds(row: dict[str, Any]) -> str:
        if row["first"] is None:
            return f"{row['size']:,}: {row['status']}"
        again = "" if row["again"] is None else f" / {row['again']:.2g}"
        return f"{row['size']:,}: {row['first']:.2g}{again} s"

    power = exponent(rows)
    told = "" if power is None else f"exponent {power:.2f}"
    return f"{measure:<26}{axis:<12}{'  '.join(map(seconds, rows)):<84}{told}"


def page(curves: dict[str, Any]) -> str:
    """The curves as tables in Markdown, one per axis."""

    def cell(row: dict[str, Any] | None) -> str:
        if row is None:
            return "–"
        if row["first"] is None:
            return row["status"]
        again = "" if row["again"] is None else f" / {told(row['again'])}"
        return told(row["first"]) + again

    def told(seconds: float) -> str:
        return "< .01" if seconds < 0.01 else f"{float(f'{seconds:.2g}'):g}"

    axes = dict.fromkeys(curve["axis"] for curve in curves.values())
    tables = []
    for axis in axes:
        own = [curve for curve in curves.values() if curve["axis"] == axis]
        sizes = sorted({row["size"] for curve in own for row in curve["rows"]})
        lines = [f"| {axis} | {' | '.join(f'{size:,}' for size in sizes)} | exponent | MB |"]
        lines.append("|---" * (len(sizes) + 3) + "|")
        for curve in own:
            rows = {row["size"]: row for row in curve["rows"]}
            power = "" if curve["exponent"] is None else f"{curve['exponent']:.2f}"
            memory = f"{max(row.get('megabytes', 0) for row in curve['rows']):,.0f}"
            cells = [cell(rows.get(size)) for size in sizes]
            lines.append(f"| `{curve['measure']}` | {' | '.join([*cells, power, memory])} |")
        tables.append("\n".join(lines))
    return "\n\n".join(tables)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", action="append", help="measure only these, anew")
    parser.add_argument("--axis", action="append", help="only along these")
    parser.add_argument("--check", action="store_true", help="every case at its smallest size")
    parser.add_argument("--page", action="store_true", help="print the stored curves as tables")
    parser.add_argument("--one", nargs=3, metavar=("MEASURE", "AXIS", "SIZE"), help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path, default=RESULT)
    arguments = parser.parse_args()
    if arguments.one:
        measure, axis, size = arguments.one
        print(json.dumps(one(measure, axis, int(size))))
        return
    if arguments.page:
        print(page(json.loads(arguments.json.read_text())["curves"]))
        return
    from growth.cases import CASES, SIZES

    result = json.loads(arguments.json.read_text()) if arguments.json.exists() else {"curves": {}}
    for measure, axes in CASES.items():
        for axis in axes:
            key = f"{measure} {axis}"
            wanted = not arguments.measure or measure in arguments.measure
            if not wanted or (arguments.axis and axis not in arguments.axis):
                continue
            if not arguments.measure and not arguments.check and key in result["curves"]:
                continue
            rows = curve(measure, axis, SIZES[axis][:1] if arguments.check else SIZES[axis])
            print(line(measure, axis, rows), rows[-1].get("said", ""), flush=True)
            if arguments.check:
                continue
            result["curves"][key] = {
                "measure": measure, "axis": axis, "exponent": exponent(rows), "rows": rows,
            }  # fmt: skip
            result |= {"command": command_line().replace("run.py", "growth/run.py"), "most": MOST}
            arguments.json.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
