"""The 62 tasks of the MIPS benchmark: a network trained for each, its program extracted, proved and judged.

    python benchmarks/mips/run.py                   # all of them; run again, it goes on where it was
    python benchmarks/mips/run.py --only Div_7      # some; --again trains them anew, with --seed
    python benchmarks/mips/run.py --read            # programs of the weights that are there, extracted again
    python benchmarks/mips/run.py --collect         # the table of what is finished

Rows and weights lie in the folder ``work`` beside this file, the result in ``benchmarks/results/mips.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")
sys.path.insert(0, str(Path(__file__).parents[1]))

import jax

from allroads.targets.mips import MIPS_TASKS
from mips.solve import read_again, solve
from mips.table import line, summary, table

WORK = Path(__file__).parent / "work"
RESULT = Path(__file__).parents[1] / "results" / "mips.json"


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(MIPS_TASKS), metavar="TASK", help="train only these")
    parser.add_argument("--again", action="store_true", help="train anew what is finished")
    parser.add_argument("--read", action="store_true", help="extract again what is finished, and train the rest")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--collect", action="store_true", help="train nothing")
    parser.add_argument("--work", type=Path, default=WORK)
    parser.add_argument("--result", type=Path, default=RESULT)
    arguments = parser.parse_args(argv)
    arguments.work.mkdir(parents=True, exist_ok=True)
    jax.config.update("jax_compilation_cache_dir", str(arguments.work / "compiled"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
    for task in [] if arguments.collect else arguments.only or list(MIPS_TASKS):
        finished = (arguments.work / f"{task}.json").exists()
        if arguments.read and finished:
            print(line(read_again(task, arguments.work)), flush=True)
        elif arguments.again or not finished:
            print(line(solve(task, arguments.seed, arguments.work)), flush=True)
    rows = [json.loads(p.read_text()) for t in MIPS_TASKS if (p := arguments.work / f"{t}.json").exists()]
    found = {"command": "python benchmarks/mips/run.py", **summary(rows), "rows": rows}
    print(table(rows), json.dumps(summary(rows), indent=1), sep="\n")
    arguments.result.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
