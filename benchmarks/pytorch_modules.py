"""Every module that `from_torch` is held against PyTorch with: errors of values and gradients.

    python benchmarks/pytorch_modules.py    # about six minutes of one core
    XLA_FLAGS=--xla_backend_optimization_level=0 python benchmarks/pytorch_modules.py --json other.json

It prints a table and writes benchmarks/results/pytorch_modules.json. The second command holds programs of other
options of XLA against PyTorch. Modules and comparison are those of the tests,
tests/networks/torch_modules.py. Errors are in units of the largest entry: values and gradients in float64, values in
float32 at another batch size.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import warnings
from pathlib import Path

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "networks"))

import torch
from torch_modules import FAMILIES, TOLERANCES, errors

RESULT = Path(__file__).parent / "results" / "pytorch_modules.json"


def main() -> None:
    """Compare them all, print the table and write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, default=RESULT)
    result = parser.parse_args().json
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    rows = []
    began = time.process_time()
    for family, table in FAMILIES.items():
        for name, entry in table.items():
            found = errors(name, entry)
            kept = all(found[kind] <= tolerance for kind, tolerance in TOLERANCES.items())
            rows.append({"family": family, "module": name, **found, "kept": kept})
            shown = "  ".join(f"{kind} {error:.1e}" for kind, error in found.items())
            print(f"{'ok ' if kept else 'OFF'} {family:26} {name:48} {shown}", flush=True)
    kept = sum(row["kept"] for row in rows)
    print(f"{kept} of {len(rows)} within {TOLERANCES}")
    result.write_text(
        json.dumps(
            {
                "command": "python benchmarks/pytorch_modules.py",
                "torch": torch.__version__,
                "tolerances": TOLERANCES,
                "kept": kept,
                "modules": rows,
                "processor_seconds": time.process_time() - began,
            },
            indent=1,
        )
        + "\n"
    )


if __name__ == "__main__":
    main()
