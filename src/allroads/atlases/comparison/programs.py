"""Whether two points of one network are one program."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from allroads.errors import AllroadsError, InputError
from allroads.pfmap.network import Network, Params
from allroads.pfmap.problem import Problem
from allroads.programs import Extraction, extract
from allroads.programs.equivalence import Equivalence
from allroads.programs.program import Program, shared_parts
from allroads.targets.target import Target

WIDEST = 16
"""Bits, at most, of inputs whose whole domain is looked for among the examples."""
MOST = 4096
"""Examples, at most, from which a target is made of data."""


@dataclass(frozen=True)
class SameProgram:
    """The programs of two points.

    Args:
        same: Whether both have one normal form; ``None`` where one of them was not read.
        equal: Whether both programs are one function; ``None`` where that is not so.
        shared: Jaccard index of their parts.
        distance: Edit distance of their normal forms; infinite across languages.
        a: What was read of the first point; ``None`` where nothing was asked.
        b: The same of the second.
        why: Why no program was read, else empty.
    """

    same: bool | None
    equal: Equivalence | None
    shared: float | None
    distance: float | None
    a: Extraction | None
    b: Extraction | None
    why: str = ""


def same_program(a: Extraction | None, b: Extraction | None, why: str = "") -> SameProgram:
    """Compare what was read of two points."""
    if a is None or b is None:
        return SameProgram(None, None, None, None, a, b, why)
    if a.program is None or b.program is None:
        missing = [name for name, found in (("a", a), ("b", b)) if found.program is None]
        first = next(found for found in (a, b) if found.program is None)
        return SameProgram(None, None, None, None, a, b, f"none of {' and '.join(missing)}: {_first(first)}")
    one, other = a.program, b.program
    if one.language != other.language:
        return SameProgram(False, None, shared_parts(one, other), float("inf"), a, b)
    same = one.canonical() == other.canonical()
    return SameProgram(same, one.equals(other), shared_parts(one, other), float(one.distance(other)), a, b)


def read_program(network: Network, params: Params, target: Target, seed: int) -> tuple[Extraction | None, str]:
    """What extraction says of a point, and else why it cannot be asked."""
    try:
        return extract(network, params, target, seed=seed, progress=False), ""
    except AllroadsError as error:
        return None, str(error)


def likeness(program: Program, pair: SameProgram) -> str:
    """To which of two programs a third is equal in its normal form."""
    own = program.canonical()
    like = [
        name
        for name, read in (("a", pair.a), ("b", pair.b))
        if read is not None and read.program is not None and read.program.language == program.language
        and read.program.canonical() == own
    ]  # fmt: skip
    return "both" if len(like) == 2 else like[0] if like else "neither"


def target_of(problem: Problem) -> tuple[Target | None, str]:
    """The examples of a problem as a target, and else why they make none.

    Inputs of 0 and 1 that are all of a cube are its whole domain. No alphabet follows from data.
    """
    if not isinstance(problem.loss, str) or isinstance(problem.inputs, tuple):
        return None, "a loss of one's own or several inputs; give a target"
    inputs, labels = np.asarray(problem.inputs), np.asarray(problem.labels)
    if len(inputs) > MOST or inputs.ndim != 2:
        return None, "the data do not say how inputs are read; give a target"
    options: dict[str, Any] = {"complete": True} if _whole_cube(inputs) else {"train_fraction": 1.0}
    try:
        return Target("data", inputs=inputs, labels=labels, loss=problem.loss, **options), ""
    except InputError as error:
        return None, str(error)


def _whole_cube(inputs: np.ndarray) -> bool:
    bits = inputs.shape[1]
    if bits > WIDEST or not np.isin(inputs, (0, 1)).all():
        return False
    return len(np.unique(inputs, axis=0)) == 2**bits == len(inputs)


def _first(found: Extraction) -> str:
    """The first sentence of why there is no program."""
    why = str(found.stats.get("why") or found.status.meaning)
    return why if len(why) < 120 else why[:117] + "…"
