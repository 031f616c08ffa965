"""Learning coefficients of parts: of a group of parameters, on a part of the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Unpack

import jax
import numpy as np

from allroads.budget import Budget
from allroads.errors import InputError
from allroads.pfmap.network import Params
from allroads.pfmap.problem import Problem
from allroads.points.llc import LearningCoefficient, llc
from allroads.points.llc.assessment import worst_status
from allroads.points.sampling.free_parameters import free_parameters
from allroads.points.sampling.geometry import default_nbeta
from allroads.points.sampling.plan import SamplingOptions, resolve_chains
from allroads.results import Result, finish
from allroads.status import LLCStatus

LEAST_SECONDS = 1e-3
"""Budget of a cell where none is left: it is then what one round gives."""
ALL = "all"
"""Name of the row of all parameters and of the column of all examples."""


@dataclass(frozen=True, repr=False)
class RefinedLLC(Result):
    """A table of learning coefficients, groups of parameters × subsets of the data; ``table[group, subset]`` is a cell.

    Attributes:
        groups: Names of the rows, ``"all"`` first.
        subsets: Names of the columns, ``"all"`` first.
        measurements: The cells, row by row.
    """

    groups: tuple[str, ...]
    subsets: tuple[str, ...]
    measurements: tuple[LearningCoefficient, ...]

    def __getitem__(self, cell: tuple[str, str]) -> LearningCoefficient:
        """One cell.

        Raises:
            KeyError: If there is no such group or subset.
        """
        return self.cells[cell]

    @property
    def cells(self) -> dict[tuple[str, str], LearningCoefficient]:
        """``{(group, subset): learning coefficient}``."""
        names = [(group, subset) for group in self.groups for subset in self.subsets]
        return dict(zip(names, self.measurements, strict=True))

    @property
    def value(self) -> np.ndarray:
        """λ̂, ``[groups, subsets]``."""
        return self._table([m.value for m in self.measurements])

    @property
    def error(self) -> np.ndarray:
        """Half of a 95 % interval of each, ``[groups, subsets]``."""
        return self._table([float("nan") if m.error is None else m.error for m in self.measurements])

    @property
    def status(self) -> LLCStatus:
        """The status that says least."""
        return worst_status(tuple(LLCStatus(m.status) for m in self.measurements))

    @property
    def stats(self) -> dict[str, Any]:
        """nβ and γ of all cells."""
        return {name: self.measurements[0].stats[name] for name in ("nbeta", "localisation")}

    def _table(self, numbers: list[float]) -> np.ndarray:
        return np.array(numbers).reshape(len(self.groups), len(self.subsets))


def refined_llc(
    problem: Problem,
    params: Params,
    *,
    groups: Mapping[str, Any] | None = None,
    subsets: Mapping[str, Any] | None = None,
    throw: bool = False,
    **sampling: Unpack[SamplingOptions],
) -> RefinedLLC:
    """Refined learning coefficients at one point: a table, groups of parameters × subsets of the data.

    *Weight-refined*: the posterior is restricted to the group, all other parameters stay as they are. *Data-refined*: L
    is the mean loss over the subset, at the same point w*, which need not be a minimum of it; the status is then
    ``not at a minimum``, and λ̂ may be negative. Cells have the same nβ and γ, so that they compare.

    Args:
        problem: Network, loss, penalty and the n examples.
        params: The point w*.
        groups: Name → mask of the free parameters, as for :func:`~allroads.llc`. Default: none but all parameters.
        subsets: Name → indices of examples, or ``n`` booleans. Default: none but all examples.
        throw: Whether an unsound status of a cell raises.
        **sampling: ``sampler``, ``chains``, ``nbeta`` (of all cells; default ``n / ln n`` with n the number of all
            examples), ``localisation`` (of all cells; default what :func:`~allroads.llc` takes for all parameters and
            examples), ``precision``, ``seed``, ``progress``, as for :func:`~allroads.llc`; ``budget``, of all cells
            together.

    Returns:
        A :class:`RefinedLLC`: ``table[group, subset]`` is a learning coefficient, the row and the column ``"all"``
        among them; ``stats["examples"]`` of each is the number of its examples.

    Raises:
        InputError: For a name ``"all"``, indices that do not exist or come twice, a subset without examples, and as
            :func:`~allroads.llc`.
        MeasurementError: With ``throw``, if the status of a cell is not sound.

    References: [wang2024]

    Example:
        Two weights have λ = 1, the first of them alone ½:

        >>> from allroads.points.zoo import quadratic
        >>> linear, rows = quadratic((2.0, 2.0)).network, np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])  # w · x
        >>> groups = {"first": np.array([True, False])}
        >>> table = refined_llc(Problem(linear, "mse", rows, np.zeros(3)), np.zeros(2), groups=groups, nbeta=1e6)
        >>> [round(float(table[group, "all"]), 1) for group in ("all", "first")]
        [1.0, 0.5]
    """
    if "mask" in sampling:
        raise InputError("mask: a group is a mask; give groups={name: mask} instead.")
    count = len(problem)
    masks = {ALL: None} | _named("groups", groups)
    chosen = {ALL: np.arange(count)} | {
        name: _indices(name, part, count) for name, part in _named("subsets", subsets).items()
    }
    with resolve_chains(sampling.get("chains")).precision():
        point = problem.point(params)
    for mask in masks.values():  # a wrong one is refused before the first is sampled
        free_parameters(point, mask)
    parts = {name: problem if name == ALL else restrict(problem, rows) for name, rows in chosen.items()}
    if sampling.get("nbeta") is None:
        sampling["nbeta"] = default_nbeta(count)
    found: list[LearningCoefficient] = []
    budget = Budget(sampling.pop("budget", None))
    cells = len(masks) * len(parts)
    for mask in masks.values():
        for subset, part in parts.items():
            sampling["mask"] = mask
            if budget.limited:  # what is left, shared by the cells that are left
                sampling["budget"] = max(budget.left / (cells - len(found)), LEAST_SECONDS)
            cell = llc(part, params, **sampling)
            found.append(replace(cell, stats={**cell.stats, "examples": len(chosen[subset])}))
            sampling["localisation"] = cell.stats["localisation"]
            if cell.stats["ended"] == "interrupted":
                budget.interrupt()
    return finish(RefinedLLC(tuple(masks), tuple(chosen), tuple(found)), throw)


def restrict(problem: Problem, rows: np.ndarray) -> Problem:
    """The problem over some of its own examples, with their own weights.

    Example:
        >>> from allroads.points.zoo import quadratic
        >>> len(restrict(quadratic((1.0, 1.0)).problem, np.array([3, 1])))
        2
    """
    inputs, labels, weights = jax.tree.map(lambda array: array[rows], (problem.inputs, problem.labels, problem.weights))
    return replace(problem, inputs=inputs, labels=labels, weights=weights, class_weights=None, ignore=None)


def _named(what: str, parts: Mapping[str, Any] | None) -> dict[str, Any]:
    if parts is not None and not isinstance(parts, Mapping):
        raise InputError(f"{what}: expected a mapping from names; got {type(parts).__name__}.")
    if ALL in (parts or {}):
        raise InputError(f"{what}: the name {ALL!r} is taken; it stands for everything. Choose another.")
    return dict(parts or {})


def _indices(name: str, part: Any, count: int) -> np.ndarray:
    rows: np.ndarray = np.asarray(part)
    if rows.dtype == bool and rows.shape == (count,):
        rows = np.flatnonzero(rows)
    if rows.ndim != 1 or not rows.size or not np.issubdtype(rows.dtype, np.integer):
        raise InputError(f"subset {name!r}: expected whole-number indices or {count} booleans, at least one example.")
    if rows.min() < 0 or rows.max() >= count or len(np.unique(rows)) != len(rows):
        raise InputError(f"subset {name!r}: expected different indices from 0 to {count - 1}.")
    return rows
