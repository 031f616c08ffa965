"""Multiple regression of matrices by the quadratic assignment procedure, with double semi-partialling."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from allroads.atlases.hypotheses.design import Design, per_node, square
from allroads.atlases.hypotheses.inversion import confidence_interval, detectable_slope
from allroads.checks import check_count, check_number
from allroads.progress import progress
from allroads.results import Result, finish
from allroads.status import AtlasStatus, Status

FEWEST_NODES = 5
"""Nodes below which all relabellings together cannot give a p-value under 0.01: four nodes have 24."""

AT_ONCE = 1 << 21
"""Entries of relabelled matrices that are held at once."""


@dataclass(frozen=True, repr=False)
class MatrixRegression(Result):
    """The slope of one matrix in a regression of another, with what node relabellings say of it.

    Attributes:
        value: Slope of the predictor, in units of the response per unit of the predictor, given all other columns.
        low: Lower end of its interval at ``1 - level``, by inversion of the permutation test.
        high: Upper end.
        p: Two-sided p-value ``(1 + at least as far) / (1 + relabellings)``.
        detectable: The smallest slope, in absolute value, that this design finds with the chance ``power``.
        correlation: Partial correlation of response and predictor given the other columns.
        pairs: Pairs (from, to) that were used.
        nodes: Nodes that occur in them.
        permutations: Relabellings.
        status: ``ok``, ``too few pairs``, ``collinear`` or ``constant``.
        stats: Level, power, t, the columns that were held fixed, and the slope per standard deviations (``beta``).
    """

    value: float
    low: float
    high: float
    p: float
    detectable: float
    correlation: float
    pairs: int
    nodes: int
    permutations: int
    status: Status = AtlasStatus.OK
    stats: Mapping[str, Any] = field(default_factory=dict)

    @property
    def error(self) -> float:
        """The larger side of the interval."""
        return float(max(self.value - self.low, self.high - self.value))

    def __repr__(self) -> str:
        if not self.status.sound:
            return f"no slope: {self.status.value} ({self.nodes} nodes, {self.pairs:,} pairs)"
        return (
            f"slope {self.value:.4g} [{self.low:.4g}, {self.high:.4g}], p = {self.p:.2g}, "
            f"detectable {self.detectable:.3g} ({self.nodes} nodes, {self.pairs:,} pairs)"
        )


def mrqap(
    response: Any,
    predictor: Any,
    given: Mapping[str, Any] | None = None,
    *,
    nodes: Mapping[str, Any] | None = None,
    node_effects: bool = False,
    permutations: int = 10_000,
    level: float = 0.05,
    power: float = 0.8,
    seed: int = 0,
    throw: bool = False,
) -> MatrixRegression:
    """Slope of one matrix on another given further ones, tested by double semi-partialling.

    The model is ``y_pq = b x_pq + Σ_k c_k z_k,pq + Σ_m (d_m u_m,p + e_m u_m,q) + a + noise`` over pairs p ≠ q, fitted
    by least squares. Let ε be the residual of x on all other columns. The null is the distribution of the t of ε when
    the nodes of ε are relabelled, rows and columns together, and the other columns stay. Without other columns this
    is Mantel's test.

    The interval holds the slopes β at which the same test of ``y - β x`` does not reject. Each relabelling bounds them
    in closed form. ``detectable`` is the slope at which ``β x`` plus relabelled residuals is rejected with the chance
    ``power``, the worse of both signs.

    Args:
        response: y ``[N, N]``, from row to column; NaN where a pair has no value. The diagonal is not used.
        predictor: x ``[N, N]``, finite outside the diagonal.
        given: Further matrices z ``[N, N]`` by name, finite outside the diagonal.
        nodes: Quantities u ``[N]`` of nodes by name; each is a column for the source and one for the target.
        node_effects: Whether each node has its own level as a source and as a target. These hold fixed every quantity
            of single nodes, measured or not, and take up sender and receiver noise.
        permutations: Relabellings.
        level: Level of the test.
        power: Chance with which ``detectable`` is found.
        seed: Decides the relabellings.
        throw: Whether a status that is not sound is raised.

    Returns:
        A :class:`MatrixRegression`.

    Raises:
        InputError: If a matrix is not square, of another size, or not finite; or an option is out of range.
        MeasurementError: With ``throw``.

    When it fails: the test takes the nodes as exchangeable once the other columns are fixed. Noise that depends on
    both nodes through an unmeasured place, as in space, makes it too liberal where the predictor depends on the same
    place [guillot2013]. A predictor that the other columns explain is ``collinear``.

    References: [dekker2007] [mantel1967] [guillot2013] [phipson2010]

    Example:
        Two coordinates decide distances x and z, and y = 2 x + z.

        >>> rng = np.random.default_rng(0)
        >>> x, z = (abs(np.subtract.outer(u, u)) for u in rng.normal(size=(2, 20)))
        >>> found = mrqap(2 * x + z + rng.normal(size=(20, 20)) / 9, x, {"z": z}, permutations=199)
        >>> round(found.value, 1), found.p, found.low < 2 < found.high, found.detectable < 0.1
        (2.0, 0.005, True, True)
    """
    for name, count in (("permutations", permutations), ("seed", seed)):
        check_count(name, count, 19 if name == "permutations" else 0)
    check_number("level", level, 0, 0.5, open_low=True)
    check_number("power", power, 0.5, 0.999)
    y = square("response", response, missing=True)
    x = square("predictor", predictor, len(y))
    fixed = {name: square(name, values, len(y)) for name, values in (given or {}).items()}
    single = {name: per_node(name, values, len(y)) for name, values in (nodes or {}).items()}
    used = np.isfinite(y) & ~np.eye(len(y), dtype=bool)
    occupied = np.flatnonzero(used.any(0) | used.any(1))
    size, pairs = len(occupied), int(used.sum())
    stats: dict[str, Any] = {"level": level, "power": power, "node_effects": node_effects}
    stats["given"] = (*fixed, *(f"{name} of {end}" for name in single for end in ("source", "target")))

    def unsound(status: Status) -> MatrixRegression:
        nan = float("nan")
        return finish(MatrixRegression(nan, nan, nan, nan, nan, nan, pairs, size, 0, status, stats), throw)

    if size < FEWEST_NODES:
        return unsound(AtlasStatus.TOO_FEW_PAIRS)
    within = np.ix_(occupied, occupied)
    y, x, used = y[within], x[within], used[within]
    columns = {name: values[within] for name, values in fixed.items()}, {n: v[occupied] for n, v in single.items()}
    design = Design.of(used, *columns, node_effects)
    freedom = pairs - design.rank - 1
    if freedom < 1:
        return unsound(AtlasStatus.TOO_FEW_PAIRS)
    whole = design if design.complete else Design.of(~np.eye(size, dtype=bool), *columns, node_effects)
    residual = whole.residual(x).reshape(size, size)  # of all pairs, so that a relabelling moves values that exist
    own = design.residual(residual)
    if own @ own <= 1e-16 * max(1.0, design.spread(x)) * pairs:
        return unsound(AtlasStatus.COLLINEAR)
    left = design.residual(y)
    if left @ left <= 1e-20 * max(1.0, float(np.nanmax(np.abs(y[used]))) ** 2) * pairs:
        return unsound(AtlasStatus.CONSTANT)

    norm, slope = float(np.sqrt(own @ own)), float(own @ left / (own @ own))
    shifts, overlaps = np.empty(permutations), np.empty(permutations)
    rng, chunk = np.random.default_rng(seed), max(1, AT_ONCE // size**2)
    both = np.stack([left, own], axis=1)
    with progress("mrqap") as say:
        for start in range(0, permutations, chunk):
            say(f"relabelling {start:,} of {permutations:,}")
            orders = rng.permuted(np.tile(np.arange(size), (min(chunk, permutations - start), 1)), axis=1)
            moved = np.empty((len(orders), size, size))
            for place, order in enumerate(orders):
                moved[place] = residual[order][:, order]
            products, squares = design.products(moved, both)
            lengths = np.sqrt(np.maximum(squares, np.finfo(float).tiny))
            shifts[start : start + len(orders)] = products[:, 0] / lengths
            overlaps[start : start + len(orders)] = products[:, 1] / lengths
    noise = float(left @ left - slope * slope * norm * norm)
    correlation = slope * norm / float(np.sqrt(left @ left))
    stats["t"] = slope * norm / float(np.sqrt(max(noise, np.finfo(float).tiny) / freedom))
    stats["beta"] = slope * design.deviation(x) / design.deviation(y)
    stats["deviations"] = (design.deviation(x), design.deviation(y))
    reaches = np.abs(shifts) >= abs(slope) * norm * (1 - 1e-9)
    low, high = confidence_interval(slope, norm, shifts, overlaps, level)
    seen = detectable_slope(slope, norm, shifts, overlaps, level, power)
    p = (1 + int(reaches.sum())) / (1 + permutations)
    found = MatrixRegression(slope, low, high, p, seen, correlation, pairs, size, permutations, AtlasStatus.OK, stats)
    return finish(found, throw)


def plain_slope(response: Any, predictor: Any) -> float:
    """Slope of one matrix on another with nothing else held fixed; NaN where the predictor does not vary.

    Args:
        response: ``[N, N]``; NaN where a pair has no value.
        predictor: ``[N, N]``.

    Example:
        >>> plain_slope([[0, 1], [3, 0]], [[0, 1], [2, 0]])
        2.0
    """
    y = square("response", response, missing=True)
    x = square("predictor", predictor, len(y))
    used = np.isfinite(y) & ~np.eye(len(y), dtype=bool)
    if not used.any() or np.ptp(x[used]) == 0:
        return float("nan")
    centred = x[used] - x[used].mean()
    return float(centred @ y[used] / (centred @ centred))
