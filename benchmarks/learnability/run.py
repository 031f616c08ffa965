"""The table of learnability: every target by every map with every explorer.

    python benchmarks/learnability/run.py              # all of it; run again, it goes on where it was
    python benchmarks/learnability/run.py --collect    # the tables from what is finished so far
    python benchmarks/learnability/run.py --curvatures # the curvatures that learning rates follow from, anew

Finished packs lie in the folder ``work`` beside this file, the tables in ``data``.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("NPROC", "1")  # sizes XLA's pool, which else takes all cores
sys.path.insert(0, str(Path(__file__).parents[1]))

from learnability import rules
from learnability.cells import WORK, Pack, compute, finished, packs
from learnability.domain import DOMAINS
from learnability.maps import MAPS
from learnability.summary import summary
from learnability.tables import DATA, cells_in, write_tables


def chosen(grid: tuple[Pack, ...], arguments: argparse.Namespace) -> list[Pack]:
    """The packs of the grid that the filters leave."""
    wanted = {"map": arguments.map, "domain": arguments.domain, "explorer": arguments.explorer}
    return [p for p in grid if all(not names or getattr(p, field) in names for field, names in wanted.items())]


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--collect", action="store_true", help="write the tables from finished packs, train nothing")
    parser.add_argument("--curvatures", action="store_true", help="measure the curvatures anew and stop")
    for field, names in (("map", MAPS), ("domain", DOMAINS), ("explorer", rules.BUDGETS)):
        parser.add_argument(
            f"--{field}", action="append", choices=list(names), help="train only this (may be repeated)"
        )
    parser.add_argument("--most", type=int, help="stop after that many packs")
    parser.add_argument("--work", type=Path, default=WORK)
    parser.add_argument("--data", type=Path, default=DATA)
    arguments = parser.parse_args(argv)
    if arguments.curvatures:
        found = {d: {m: float(f"{rules.curvature(m, d):.4g}") for m in MAPS} for d in DOMAINS}
        rules.CURVATURES.write_text(json.dumps(found, indent=1) + "\n")
        return
    grid = packs()
    if not arguments.collect:
        plan = chosen(grid, arguments)
        missing = [pack for pack in plan if finished(pack, arguments.work) is None][: arguments.most]
        print(f"{len(plan)} packs, {len(missing)} to train", flush=True)
        for count, pack in enumerate(missing, 1):
            began = time.perf_counter()
            rows = compute(pack, arguments.work)
            share = sum(row["learned"] for row in rows) / len(rows)
            where = f"{pack.map}, {pack.domain}, {pack.explorer}, seed {pack.seed}"
            print(
                f"{count}/{len(missing)} {where}: {share:.0%} learned, {time.perf_counter() - began:.1f} s", flush=True
            )
    rows = [row for pack in grid for row in finished(pack, arguments.work) or ()]
    there = cells_in(arguments.data)
    if len(rows) >= there:
        write_tables(rows, arguments.data)
    else:
        print(
            f"{arguments.data} has {there} cells, here {len(rows)} are finished: left as it is; delete it to replace it"
        )
    print(summary(arguments.data))


if __name__ == "__main__":
    main()
