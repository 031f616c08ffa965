"""Reach matrices: which Boolean functions gradient descent comes to from which.

    python benchmarks/reach/run.py wide narrow      # all ordered pairs of the 256 functions of three bits
    python benchmarks/reach/run.py narrowest        # from one function of each NPN class to all 256

Each block of sources is written once under `benchmarks/reach/work/`; the same command goes on where it stopped.
`python benchmarks/reach/tables.py` makes the tables of `data/` from the blocks.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")

import jax
import numpy as np
from maps import MARGIN, WORK, Map, each_block

from allroads import reach


def block(made: Map, number: int) -> Path:
    """The file of a block of sources, computed where it is absent."""
    path = WORK / f"{made.name}-{number:03}.npz"
    if path.exists():
        return path
    began, processor = time.perf_counter(), time.process_time()
    codes = made.sources[number * made.block : (number + 1) * made.block]
    found = reach(
        made.network, made.inputs, made.answers(codes), made.answers(made.targets), loss="bce", explorer=made.explorer,
        steps=made.steps, starts=made.starts, margin=MARGIN, start_steps=6000, draws=made.draws, walks=made.stays,
    )  # fmt: skip
    steps = found.steps.astype(np.int16)
    kept = {
        "sources": codes,
        "steps": steps,
        "directness": found.directness.astype(np.float16),
        "found": found.starts.found,
        "drawn": found.starts.drawn,
        "diverged": found.stats["diverged"],
        "cut": found.stats["cut"],
        "run": found.walks.run.astype(np.int32),
        "step": found.walks.step.astype(np.int16),
        "function": found.walks.codes[:, 0].astype(np.uint16),
        "seconds": time.perf_counter() - began,
        "processor": time.process_time() - processor,
    }
    kept |= {f"params{i}": leaf for i, leaf in enumerate(jax.tree.leaves(found.starts.params))}
    WORK.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part.npz")
    np.savez_compressed(part, **kept)
    part.rename(path)
    print(f"{path.name}: {str(found).splitlines()[1]} ({kept['seconds']:.0f} s, {kept['processor']:.0f} of processor)",
        flush=True)  # fmt: skip
    return path


if __name__ == "__main__":
    each_block(__doc__, block)
