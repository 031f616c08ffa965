"""Pairs: barriers between the ends of runs of one combination, and agreement of their answers."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import polars as pl
from pydantic import Field

from allroads.studies.measures.measure import Measure, Options, Quantity, Row
from allroads.studies.measures.pair_findings import findings
from allroads.studies.measures.thinning import spread

if TYPE_CHECKING:
    from allroads.studies.units import Run, Unit


class PairOptions(Options):
    """Options of the comparison of ends.

    Args:
        align: How the second end is moved by a symmetry of the network before its barrier is measured again, a method
            of :func:`~allroads.align`; ``"none"`` leaves it out. Activations cost three times as much.
        aligned: Pairs of a setting, at most, that are aligned; more are spread evenly over all of them.
    """

    align: Literal["none", "weights", "activations"] = "weights"
    aligned: Annotated[int, Field(ge=1)] = 28


QUANTITIES = (
    Quantity(
        "barrier",
        "Largest excess of the loss on the straight segment between two ends over the line between their losses.",
        symbol="B",
        conventions="25 points on the segment, in the unit of the loss. Aligned: to the second end moved by a symmetry "
        "of the network, its hidden units matched to those of the first; the matching is a local optimum, so that a "
        "lower barrier may exist.",
        source="entezari2022",
    ),
    Quantity(
        "agreement",
        "Share of examples that two ends answer alike, on the held-out ones where there are any.",
        conventions="All positions of a sequence together. By chance: what two ends would share that give the same "
        "answers as often as these, independently of the example.",
    ),
)


def compare_ends(unit: Unit, options: PairOptions) -> list[Row]:
    """Barriers on training and held-out examples, plain and aligned, and agreement, for every pair of runs."""
    import jax

    from allroads.paths.agreement import agreement, answers
    from allroads.paths.barrier import barrier

    first = unit.runs[0]
    network, target, loss = first.network, first.target, first.loss
    compared = target.train if target.held_out is None else target.held_out
    apply = jax.jit(network.apply)
    ends = [run.end for run in unit.runs]
    outputs = [np.asarray(apply(end, compared.inputs)) for end in ends]
    said = [_frequencies(answers(output, loss)) for output in outputs]
    rows: list[Row] = []
    problems = {"train": first.problem, "held_out": first.held_out_problem}
    pairs = list(itertools.combinations(range(len(ends)), 2))
    chosen = set(spread(len(pairs), options.aligned).tolist())
    for place, (a, b) in enumerate(pairs):
        row: dict[str, Any] = {"run_a": unit.runs[a].name, "run_b": unit.runs[b].name}
        moved = _aligned(first, ends[a], ends[b], options) if place in chosen else None
        for part, problem in problems.items():
            if problem is not None:
                row[f"barrier_{part}"] = float(barrier(problem, ends[a], ends[b]).height)
                if moved is not None:
                    row[f"aligned_{part}"] = float(barrier(problem, ends[a], moved).height)
        row["agreement"] = float(agreement(outputs[a], outputs[b], loss))
        row["chance"] = sum(share * said[b].get(answer, 0.0) for answer, share in said[a].items())
        rows.append(row)
    return rows


def _aligned(run: Run, a: Any, b: Any, options: PairOptions) -> Any | None:
    """The second end, moved; ``None`` where nobody asked for it, no symmetry is known, or a number is not finite."""
    import jax

    from allroads.paths.align import align

    finite = all(np.isfinite(leaf).all() for end in (a, b) for leaf in jax.tree.leaves(end))
    if options.align == "none" or not finite:
        return None
    found = align(run.network, a, b, run.problem.data.inputs, method=options.align, restarts=0)
    return found.params if found.status.sound else None


def _frequencies(said: np.ndarray) -> dict[bytes, float]:
    """How often each answer is given, as shares of the examples."""
    counts = Counter(row.tobytes() for row in said.reshape(len(said), -1))
    return {answer: count / len(said) for answer, count in counts.items()}


MEASURE = Measure(
    "pairs",
    2,
    "pair",
    compare_ends,
    {
        "barrier_train": pl.Float64,
        "barrier_held_out": pl.Float64,
        "aligned_train": pl.Float64,
        "aligned_held_out": pl.Float64,
        "agreement": pl.Float64,
        "chance": pl.Float64,
    },
    options=PairOptions,
    quantities=QUANTITIES,
    findings=findings,
)
