"""The certificate: a road that turns little enough on its way to the minimiser has no barrier."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from allroads.paths.angles import angles, corner_angles
from allroads.paths.convexity import convexity
from allroads.paths.resample import image, segment_lengths
from allroads.pfmap.losses import PerExampleLoss
from allroads.results import Result, finish
from allroads.status import PathStatus, Status


@dataclass(frozen=True, repr=False)
class Certificate(Result):
    """Whether a theorem says that the loss falls along a path; where it is silent, nothing is said about barriers.

    Args:
        certified: ``turning < bound``: the loss falls along the whole path.
        turning: Γ, total turning in radians of the path *continued straight on to the minimiser*; exact for the
            polygon of the given points. Without a minimiser, of the path alone.
        bound: ``arcsin(2√κ/(1+κ))``, at most π/2; 0 where κ is.
        kappa: κ = μ/L on the convex hull of path and minimiser; 0 where the theorem does not apply.
        falls: Which segments are certified one by one, ``[T−1]``: the segment alone, continued to the minimiser, turns
            less than the bound for the κ at its own points.
        share: Share of the path's length on certified segments.
        chart: Where all this was judged.
        status: ``ok``; ``not applicable`` where κ = 0, though stretches may still be certified; ``degenerate`` where
            the path does not move (turning and margin are then NaN).
        reason: Where the status is not ``ok``, what is in the way and what to do.
    """

    certified: bool
    turning: float
    bound: float
    kappa: float
    falls: np.ndarray
    share: float
    chart: str
    status: Status = PathStatus.OK
    reason: str = ""

    @property
    def value(self) -> float:
        """The margin, ``bound − turning``: certified where it is positive."""
        return self.margin

    @property
    def error(self) -> None:
        """``None``: exact for the polygon of the given points."""
        return None

    @property
    def stats(self) -> dict[str, Any]:
        """``bound``, ``turning``, ``kappa``, ``share`` and ``chart``."""
        return {name: getattr(self, name) for name in ("bound", "turning", "kappa", "share", "chart")}

    @property
    def margin(self) -> float:
        """``bound − turning`` in radians; above 0 where certified."""
        return self.bound - self.turning

    def __bool__(self) -> bool:
        return self.certified


def turning_bound(kappa: Any) -> Any:
    """``arcsin(2√κ/(1+κ))``: the turning below which the loss falls, for κ = μ/L in [0, 1].

    Example:
        >>> import numpy as np
        >>> np.degrees(turning_bound(np.array([1.0, 1 / 25]))).round(1).tolist()
        [90.0, 22.6]
    """
    return np.arcsin(np.minimum(1.0, 2 * np.sqrt(kappa) / (1 + np.asarray(kappa))))


def certify(
    values: Any,
    target: Any,
    loss: str | PerExampleLoss,
    *,
    chart: str = "outputs",
    kappa: float | None = None,
    throw: bool = False,
) -> Certificate:
    """Certify that the loss falls along a path: Γ < arcsin(2√κ/(1+κ)).

    Theorem: on the hull of the path and z*, let ``−∇ℓ(z) = W(z)(z* − z)`` with symmetric W, μI ≤ W ≤ LI. A μ-strongly
    convex, L-smooth ℓ with minimiser z* has such a W. If the path ends at z* and turns by less than the bound, ℓ falls
    strictly along it. A path that ends elsewhere is continued straight to z* first, so that ending far from it counts
    as turning. The proof is in docs/straightness.md. For squared error, κ = 1, the condition is that of [lucas2021].
    The bound cannot be raised: just past it there are paths with a rise.

    κ follows from the loss, the chart and the probabilities p that the path visits:

    - ``mse`` in outputs: 1.
    - ``cross_entropy`` and ``bce`` on the sphere: √(least probability of a right answer) for sure labels, else the
      ratio of extremes of 1 + √(q/p) for labels q.
    - The same, labels not sure, in probabilities: min p / max p.
    - The same, labels not sure, in outputs: at least min p / min(½, 1 − (C−1) min p), modulo a common shift.
    - A callable, in outputs: ``kappa``, or that of its Hessian where it is quadratic.

    Args:
        values: Outputs along the path, ``[T, N, …, C]`` (or ``[T, D]``); used as they are, never resampled.
        target: Where the loss is least. ``mse``: labels, one per output. ``cross_entropy``: classes ``[N, …]`` or
            probabilities ``[N, …, C]``. ``bce``: labels in [0, 1]. Callable: the minimising outputs, or in the other
            charts classes or probabilities.
        loss: ``"mse"``, ``"cross_entropy"``, ``"bce"``, or ``(outputs, labels) -> per-example losses``, which is asked
            for its slope at the target.
        chart: ``"outputs"`` (default), ``"probabilities"`` or ``"sphere"``. Sure labels need ``"sphere"``: in scores
            their minimiser is at infinity.
        kappa: A proved lower bound of μ/L for a callable on the hull of path and target, in the chart.
        throw: Raise a :class:`~allroads.MeasurementError` where the status is not ``ok``.

    Returns:
        A :class:`Certificate`. *Not certified* is not a barrier.

    Raises:
        InputError: If the path is not finite, the target lies outside the chart (probabilities that do not sum to one),
            the target is not the minimiser, or ``kappa`` is not in (0, 1].
        UnknownNameError: If there is no such chart or loss.

    When it fails: the statement is about the polygon through the given points. In ``outputs`` and ``probabilities``
    the loss falls on its segments too, on the ``sphere`` from point to point. It says nothing about a smooth path
    between its samples. A run that jitters at its end turns without limit: read ``share``.

    References: [lucas2021] [horn2013]

    Example:
        A corner of 45° on the way to the minimiser of the squared error is allowed, one of 100° is not:

        >>> import numpy as np
        >>> def corner(degrees):
        ...     turned = np.radians(degrees)
        ...     return np.array([[[0.0, 0.0]], [[1.0, 0.0]], [[1.0 + np.cos(turned), np.sin(turned)]]])
        >>> for degrees in (45, 100):
        ...     found = certify(corner(degrees), corner(degrees)[-1], "mse")
        ...     print(found.certified, round(float(np.degrees(found.margin)), 6))
        True 45.0
        False -10.0
    """
    pull = convexity(values, target, loss, chart, kappa)
    bound = float(turning_bound(pull.kappa))
    polygon = image(values, chart) if pull.polygon is None else pull.polygon
    path = polygon if pull.polygon is None else polygon[:-1]
    lengths = segment_lengths(path)
    falls = np.zeros(len(lengths), dtype=bool) if pull.polygon is None else _falling(polygon, pull.kappas)
    if lengths.sum() == 0:
        reason = "the path does not move; record more steps."
        return finish(
            Certificate(False, np.nan, bound, pull.kappa, falls, 0.0, chart, PathStatus.DEGENERATE, reason), throw
        )
    turned = float(corner_angles(polygon).sum())
    share = float(lengths[falls].sum() / lengths.sum())
    status = PathStatus.OK if pull.kappa > 0 else PathStatus.NOT_APPLICABLE
    return finish(
        Certificate(turned < bound, turned, bound, pull.kappa, falls, share, chart, status, pull.reason), throw
    )


def _falling(
    polygon: Float[np.ndarray, "corners coordinates"], kappas: Float[np.ndarray, " corners-2"]
) -> Bool[np.ndarray, " corners-2"]:
    """Segments that fall by themselves; the angle to the minimiser grows along a segment, so its end decides."""
    segments = np.diff(polygon, axis=0)[:-1]
    moves = np.linalg.norm(segments, axis=1) > 0
    falling: np.ndarray = moves & (angles(segments, polygon[-1] - polygon[1:-1]) < turning_bound(kappas))
    return falling
