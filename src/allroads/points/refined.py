"""Learning coefficients of parts: of a group of parameters, on a part of the data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from allroads.errors import InputError
from allroads.pfmap.losses import PerExampleLoss
from allroads.pfmap.network import Network, Params
from allroads.pfmap.precision import float64
from allroads.points.llc.llc import llc
from allroads.points.llc.problem import checked_question
from allroads.points.llc.survey import usual_nbeta
from allroads.results import Measurement

ALL = "all"
"""Name of the row of all parameters and of the column of all examples."""


def refined_llc(
    network: Network,
    params: Params,
    loss: str | PerExampleLoss,
    inputs: Any,
    labels: Any,
    *,
    groups: Mapping[str, Any] | None = None,
    subsets: Mapping[str, Any] | None = None,
    nbeta: float | None = None,
    localisation: float | None = None,
    **options: Any,
) -> dict[tuple[str, str], Measurement]:
    """Refined learning coefficients at one point: a table, groups of parameters × subsets of the data.

    *Weight-refined*: the posterior is restricted to the group, all other parameters stay as they are. *Data-refined*: L
    is the mean loss over the subset, at the same point w*, which need not be a minimum of it; the status is then
    ``not at a minimum``, and λ̂ may be negative. Cells have the same nβ and γ, so that they compare.

    Args:
        network: The network.
        params: The point w*.
        loss: Name or ``(outputs, labels) -> per-example losses``.
        inputs: ``[n, …]``.
        labels: ``[n, …]``.
        groups: Name → mask of the free parameters, as for :func:`~allroads.llc`. Default: none but all parameters.
        subsets: Name → indices of examples, or ``n`` booleans. Default: none but all examples.
        nbeta: nβ of all cells. Default ``n / ln n`` with n the number of all examples.
        localisation: γ of all cells. Default: what :func:`~allroads.llc` takes for all parameters and examples.
        **options: All other keywords of :func:`~allroads.llc` but ``mask``.

    Returns:
        ``{(group, subset): Measurement}``, the row and the column ``"all"`` among them; ``stats["examples"]`` of each
        is the number of its examples.

    Raises:
        InputError: For a name ``"all"``, indices that do not exist or come twice, a subset without examples, and as
            :func:`~allroads.llc`.

    References: [wang2024]

    Example:
        Two weights have λ = 1, the first of them alone ½:

        >>> from allroads.points.zoo import quadratic
        >>> linear, rows = quadratic((2.0, 2.0)).network, np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])  # w · x
        >>> groups = {"first": np.array([True, False])}
        >>> table = refined_llc(linear, np.zeros(2), "mse", rows, np.zeros(3), groups=groups, nbeta=1e6)
        >>> [round(float(table[group, "all"]), 1) for group in ("all", "first")]
        [1.0, 0.5]
    """
    if "mask" in options:
        raise InputError("mask: a group is a mask; give groups={name: mask} instead.")
    inputs, labels = np.asarray(inputs), np.asarray(labels)
    count = len(inputs)
    groups, subsets = _named("groups", groups), _named("subsets", subsets)
    chosen = {ALL: np.arange(count)} | {name: _indices(name, part, count) for name, part in subsets.items()}
    with float64():
        for mask in groups.values():  # a wrong one is refused before the first is sampled
            checked_question(network, params, loss, inputs, labels, mask, points=False)
    nbeta = usual_nbeta(count) if nbeta is None else nbeta
    table: dict[tuple[str, str], Measurement] = {}
    for group, mask in ({ALL: None} | groups).items():
        for subset, rows in chosen.items():
            found = llc(
                network, params, loss, inputs[rows], labels[rows],
                mask=mask, nbeta=nbeta, localisation=localisation, **options,
            )  # fmt: skip
            stats = {**found.stats, "examples": len(rows)}
            table[group, subset] = Measurement(found.value, found.error, found.status, stats)
            localisation = found.stats["localisation"]
    return table


def _named(what: str, parts: Mapping[str, Any] | None) -> dict[str, Any]:
    if parts is not None and not isinstance(parts, Mapping):
        raise InputError(f"{what}: expected a mapping from names; got {type(parts).__name__}.")
    if ALL in (parts or {}):
        raise InputError(f"{what}: the name {ALL!r} is taken; it stands for everything. Choose another.")
    return dict(parts or {})


def _indices(name: str, part: Any, count: int) -> np.ndarray:
    part = np.asarray(part)
    if part.dtype == bool and part.shape == (count,):
        part = np.flatnonzero(part)
    if part.ndim != 1 or not part.size or not np.issubdtype(part.dtype, np.integer):
        raise InputError(f"subset {name!r}: expected whole-number indices or {count} booleans, at least one example.")
    if part.min() < 0 or part.max() >= count or len(np.unique(part)) != len(part):
        raise InputError(f"subset {name!r}: expected different indices from 0 to {count - 1}.")
    return part
