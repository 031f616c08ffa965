"""Reach between functions of four bits: from one function of each of the 222 NPN classes.

    python benchmarks/reach/four.py four               # 4-16-1: 2,048 targets
    python benchmarks/reach/four.py narrow_four        # 4-4-1: the same targets
    python benchmarks/reach/four.py complete_four      # 4-16-1: all 65,536 targets, one run per orbit

Permuting the bits, negating bits and negating the output maps random starts to random starts and descents to descents.
So the law of a run from p to q depends on the orbit of the pair (p, q) alone, and sources are one function of each
class. In the complete matrix, targets are one of each orbit under the symmetries that keep the source: 5,882,746 pairs
stand for all 65,536². Blocks are written under `benchmarks/reach/work/`; the same command goes on where it stopped.
"""

from __future__ import annotations

import argparse
import os
import time
from functools import lru_cache

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")

import jax
import jax.numpy as jnp
import numpy as np
from maps import MAPS, MARGIN, WORK, Map

from allroads.atlases.reach.descents import Limits
from allroads.atlases.reach.question import question_of
from allroads.atlases.reach.reach import FIRST
from allroads.atlases.reach.starts import train_starts
from allroads.budget import budgeted
from allroads.points.complexity.symmetries import all_codes, substituted, substitutions

SAMPLE = 2048
"""Targets that are drawn."""


@lru_cache(maxsize=1)
def group() -> np.ndarray:
    """Where each of the 768 symmetries takes each function, ``[768, 65536]``."""
    codes = all_codes(4)
    moved = np.stack([substituted(codes, rows) for rows in substitutions(4)])
    return np.concatenate([moved, ~moved])


def orbits(source: int) -> tuple[np.ndarray, np.ndarray]:
    """The least code of each orbit of targets under the symmetries that keep the source, and how many it has."""
    moved = group()
    least = moved[moved[:, source] == source].min(0)
    return np.unique(least, return_counts=True)


def targets_of(made: Map, source: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Targets of a source, the size of each one's orbit, and which of the source's starts its run has."""
    if made.name == "complete_four":
        targets, sizes = orbits(source)
        draw = np.random.default_rng(source)
        return targets, sizes, draw.integers(0, made.starts, len(targets))
    chosen = np.sort(np.random.default_rng(0).choice(1 << 16, SAMPLE, replace=False)).astype(np.uint16)
    targets = np.repeat(chosen, made.starts)
    return targets, np.ones(len(targets), int), np.tile(np.arange(made.starts), SAMPLE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("map", choices=["four", "narrow_four", "complete_four"])
    made = MAPS[parser.parse_args().map]
    WORK.mkdir(parents=True, exist_ok=True)
    answers, everything = (made.answers(codes)[..., None] for codes in (made.sources, made.targets))
    question = question_of(made.network, made.inputs, answers, "bce", made.explorer, None, None, 0)
    from_, to = question.targets(answers).words, question.targets(everything)
    limits, size = Limits(jnp.int32(made.steps), jnp.float32(np.inf)), question.block(made.stays)
    with budgeted("four", None) as clock:
        began, processor = time.perf_counter(), time.process_time()
        starts = train_starts(question, answers, made.starts, MARGIN, 6000, made.draws, clock, made.stays)
        leaves = {f"params{i}": leaf for i, leaf in enumerate(jax.tree.leaves(starts.params))}
        spent = {"seconds": time.perf_counter() - began, "processor": time.process_time() - processor}
        np.savez(WORK / f"{made.name}-starts.npz", found=starts.found, drawn=starts.drawn, **leaves, **spent)
        for number in made.blocks:
            path = WORK / f"{made.name}-{number:03}.npz"
            if path.exists():
                continue
            began, processor = time.perf_counter(), time.process_time()
            rows = []
            for place in range(number * made.block, min((number + 1) * made.block, len(made.sources))):
                targets, sizes, starts_of = targets_of(made, int(made.sources[place]))
                there = starts_of < starts.found[place]
                rows.append(np.stack([np.full(len(targets), place), targets, sizes, starts_of])[:, there])
            place, target, orbit, start = np.concatenate(rows, axis=1)
            found = []
            for first in range(0, len(place), size):
                p, q, k = (column[first : first + size] for column in (place, target, start))
                points = jax.tree.map(lambda leaf: leaf[p, k], starts.params)  # noqa: B023
                keys = question.keys(from_[p], to.words[q], number=FIRST + k)
                ends = question.descend(points, keys, to.at(q), limits, clock, kept=made.stays, what=path.name)
                if ends is None:
                    return
                found.append(ends._replace(params=None))
            ends = jax.tree.map(lambda *leaves: np.concatenate(leaves), *found)
            code = ends.words[..., 0].astype(np.int64)
            inside = np.arange(1, made.stays) < np.minimum(ends.stays, made.stays)[:, None]
            flips, goal = np.bitwise_count(code[:, 1:] ^ code[:, :-1]), target[:, None]
            away = np.bitwise_count(code[:, 1:] ^ goal) > np.bitwise_count(code[:, :-1] ^ goal)
            direct = np.where(ends.step > 0, ends.chord / np.maximum(ends.arc, 1e-9), np.nan)
            part = path.with_suffix(".part.npz")
            np.savez_compressed(
                part, source=made.sources[place].astype(np.uint16), target=target.astype(np.uint16),
                size=orbit.astype(np.uint16), start=start.astype(np.uint8), step=ends.step.astype(np.int16),
                directness=direct.astype(np.float16), changes=(ends.stays - 1).astype(np.uint16),
                counted=inside.sum(1).astype(np.uint8), single=(inside & (flips == 1)).sum(1).astype(np.uint8),
                away=(inside & away).sum(1).astype(np.uint8), diverged=int((~ends.alive).sum()),
                seconds=time.perf_counter() - began, processor=time.process_time() - processor,
            )  # fmt: skip
            part.rename(path)
            spent = f"{time.perf_counter() - began:.0f} s, {time.process_time() - processor:.0f} of processor"
            print(f"{path.name}: {len(place):,} runs, {(ends.step >= 0).mean():.2%} came ({spent})", flush=True)


if __name__ == "__main__":
    main()
