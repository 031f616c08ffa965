"""Two points compared: as functions, as programs, as points modulo symmetry, and by what lies between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

from allroads.atlases.comparison.functions import SameFunction
from allroads.atlases.comparison.programs import SameProgram
from allroads.paths.barrier import Barrier
from allroads.paths.connect import Connection
from allroads.results import Result
from allroads.status import Status


@dataclass(frozen=True, eq=False, repr=False)
class Comparison(Result):
    """What two points of one network have in common, and what lies between them.

    Args:
        losses: Of a and b on the training data.
        errors: Shares of wrong answers, where labels are classes; else ``None``.
        function: Whether they are one function, on the training inputs.
        held_out: The same on the held-out inputs, or ``None``.
        program: Whether they are one program.
        same_point: Whether b, moved by a symmetry, is a up to rounding. ``False`` is certain where the functions
            differ; else it says that no symmetry was found.
        distance: ``‖a − b‖`` once b is moved near a by a symmetry.
        distance_before: ``‖a − b‖``.
        norm: ``‖a‖``.
        straight: The barrier on the segment from a to b.
        aligned: The barrier on the segment to the moved b.
        road: A trained curve to the moved b; ``None`` where both are one point, or no time was left.
        pass_lower: The loss of the higher end, below which no path stays.
        pass_upper: The highest loss on the lowest path.
        way: Which that is: ``"segment"``, ``"aligned"`` or ``"curve"``.
        between: Along that path, one row per place: ``t``, ``loss``, ``like_a`` and ``like_b`` (shares of the training
            inputs with the answers of a and of b), ``function`` (its number by the order of first places).
        programs_between: Programs read at places between: ``t``, ``status``, ``bits``, ``source``, ``like`` (``"a"``,
            ``"b"``, ``"both"`` or ``"neither"``); empty where a and b have none.
        ended: ``"budget"`` or ``"interrupted"`` where one of these came first, else ``None``.
        status: ``ok``; ``cut short`` where fewer paths were tried.
    """

    losses: tuple[float, float]
    errors: tuple[float, float] | None
    function: SameFunction
    held_out: SameFunction | None
    program: SameProgram
    same_point: bool
    distance: float
    distance_before: float
    norm: float
    straight: Barrier
    aligned: Barrier
    road: Connection | None
    pass_lower: float
    pass_upper: float
    way: str
    between: pl.DataFrame
    programs_between: pl.DataFrame
    ended: str | None
    status: Status

    @property
    def value(self) -> float:
        """The lowest barrier that was found, ``max L − max(L(a), L(b))`` on the lowest path."""
        return self.pass_upper - self.pass_lower

    @property
    def error(self) -> None:
        """``None``: the barrier is exact on the grid of the path, and an upper bound of the least one."""
        return None

    @property
    def stats(self) -> dict[str, Any]:
        """The ``way``, how many ``functions`` lie on it, and ``ended``."""
        return {"way": self.way, "functions": self.between["function"].n_unique(), "ended": self.ended}
