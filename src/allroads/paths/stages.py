"""Stages: the direct pieces of a road that as a whole need not be direct."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from allroads.errors import InputError
from allroads.paths.angles import angles
from allroads.paths.resample import POINTS, image, resample, segment_lengths
from allroads.pfmap.map import ParameterFunctionMap
from allroads.pfmap.network import Params
from allroads.results import Result, finish
from allroads.status import PathStatus, Status

PLATEAU = 0.05
"""Width of the band of a plateau, as a share of the range of the loss."""


@dataclass(frozen=True)
class Joint:
    """Where one stage ends and the next begins.

    Args:
        record: Index of the recorded point nearest to it by arc length.
        position: Share of the path's length before it.
        turn: Angle between the chords of the two stages, in radians.
        plateau: First and last record of the stretch around it on which the loss stays within ± 2.5 % of its range
            of the loss at ``record``; ``None`` where no losses were given.
        loss: The loss at ``record``, or ``None``.
        kernel_change: ``1 − ⟨K, K'⟩ / (‖K‖‖K'‖)`` between the middles of the two stages, 0 where the kernel kept its
            shape, at most 1; ``None`` where no parameters were given.
        kernel_growth: ``‖K'‖ / ‖K‖`` between them, or ``None``.
    """

    record: int
    position: float
    turn: float
    plateau: tuple[int, int] | None
    loss: float | None
    kernel_change: float | None
    kernel_growth: float | None


@dataclass(frozen=True, repr=False)
class Stages(Result):
    """A road as a sequence of direct pieces.

    Args:
        count: How many; 0 where the path does not move.
        directness: Chord over arc of each, ``[count]``.
        shares: Share of the path's length in each, ``[count]``.
        joints: Between them, ``count − 1``.
        chart: Where directness was judged.
        straight: The least directness that a stage has.
        status: ``ok``, or ``degenerate`` where the path does not move.
    """

    count: int
    directness: np.ndarray
    shares: np.ndarray
    joints: tuple[Joint, ...]
    chart: str
    straight: float
    status: Status

    @property
    def value(self) -> int:
        """How many stages there are."""
        return self.count

    @property
    def error(self) -> None:
        """``None``: the count is exact for the resampled path."""
        return None

    @property
    def stats(self) -> dict[str, Any]:
        """``chart``, ``straight`` and the ``records`` at the joints."""
        return {"chart": self.chart, "straight": self.straight, "records": [joint.record for joint in self.joints]}


def stages(
    values: Any,
    *,
    chart: str = "outputs",
    straight: float = 0.95,
    losses: Any = None,
    pfmap: ParameterFunctionMap | None = None,
    params: Params | None = None,
    points: int = POINTS,
    throw: bool = False,
) -> Stages:
    """Split a path into the fewest pieces that each have a directness of at least ``straight``.

    Among the splits with the fewest pieces it is the one whose chords are longest together, so joints sit at corners.
    Found exactly, by dynamic programming over the resampled path.

    Args:
        values: Outputs along the path, ``[T, N, …, C]``.
        chart: ``"outputs"``, ``"probabilities"`` or ``"sphere"``.
        straight: Least directness of a stage, in (0, 1); default 0.95, that of an arc of 63°. A stage that
            adds less than about 5 % to the length of its neighbour, ``1 − straight``, is not seen.
        losses: Loss at each record, ``[T]``: gives the plateau at each joint.
        pfmap: Map whose kernel is compared across each joint, together with ``params``.
        params: The trajectory of parameters, leaves ``[T, …]``, one a record.
        points: Resolution by arc length; default 256.
        throw: Raise a :class:`~allroads.MeasurementError` where the status is not ``ok``.

    Returns:
        :class:`Stages`.

    Raises:
        InputError: If the path is not finite, losses or parameters do not fit its records, only one of ``pfmap`` and
            ``params`` is given, or ``straight`` not in (0, 1).
        UnknownNameError: If there is no such chart.

    When it fails: a road that bends evenly has no stages, and is cut into pieces nevertheless. The turns at its joints
    are then small and alike, and the loss has no plateaus there.

    References: [saxe2014]; for the kernel's change [fort2020].

    Example:
        A staircase of two steps:

        >>> import numpy as np
        >>> legs = np.concatenate([np.linspace([0, 0], [3, 0], 31), np.linspace([3, 0], [3, 1], 11)[1:]])
        >>> found = stages(legs[:, None, :])
        >>> found.count, found.joints[0].record, round(found.joints[0].turn / np.pi, 2)
        (2, 30, 0.5)
    """
    polygon = image(values, chart)
    if not 0 < straight < 1:
        raise InputError(f"straight: expected a directness above 0 and below 1; got {straight}.")
    curve = _checked_losses(losses, len(polygon))
    kernels = _kernel_reader(pfmap, params, len(polygon))
    lengths = segment_lengths(polygon)
    if lengths.sum() == 0:
        return finish(Stages(0, np.zeros(0), np.zeros(0), (), chart, straight, PathStatus.DEGENERATE), throw)
    even = resample(_in_its_span(polygon), points)
    cuts = _fewest_pieces(even, straight)
    chords = np.diff(even[cuts], axis=0)
    turns = angles(chords[:-1], chords[1:])
    arc = np.concatenate([[0.0], np.cumsum(segment_lengths(even))])
    pieces = np.diff(arc[cuts])
    # Records by their share of the length, to name a cut by the record next to it.
    travelled = np.concatenate([[0.0], np.cumsum(lengths)]) / lengths.sum()
    ends = cuts / (points - 1)
    middles = [int(np.abs(travelled - at).argmin()) for at in (ends[1:] + ends[:-1]) / 2]
    joints = []
    for k, position in enumerate(ends[1:-1]):
        record = int(np.abs(travelled - position).argmin())
        change, growth = (None, None) if kernels is None else _compared(kernels(middles[k]), kernels(middles[k + 1]))
        plateau, loss = (None, None) if curve is None else (_plateau(curve, record), float(curve[record]))
        joints.append(Joint(record, float(position), float(turns[k]), plateau, loss, change, growth))
    directness = np.minimum(1.0, np.linalg.norm(chords, axis=1) / pieces)
    return finish(
        Stages(len(pieces), directness, pieces / pieces.sum(), tuple(joints), chart, straight, PathStatus.OK), throw
    )


def _in_its_span(polygon: Float[np.ndarray, "steps coordinates"]) -> Float[np.ndarray, "steps span"]:
    """The polygon in coordinates of its own span, ``[T, min(T, D)]``: the same lengths and angles, fewer numbers."""
    if polygon.shape[1] <= len(polygon):
        return polygon
    triangle = np.asarray(np.linalg.qr((polygon - polygon[0]).T, mode="r"))
    return triangle.T


def _fewest_pieces(polygon: np.ndarray, straight: float) -> np.ndarray:
    """Corners at which to cut, first and last included."""
    arc = np.concatenate([[0.0], np.cumsum(segment_lengths(polygon))])
    piece = 2 * arc[-1]  # one piece more costs more than all chords together
    cost, before = np.zeros(len(polygon)), np.zeros(len(polygon), dtype=int)
    for j in range(1, len(polygon)):
        chords = np.linalg.norm(polygon[j] - polygon[:j], axis=1)
        direct = chords >= straight * (arc[j] - arc[:j])
        direct[j - 1] = True
        costs = np.where(direct, cost[:j] + piece - chords, np.inf)
        before[j], cost[j] = costs.argmin(), costs.min()
    cuts = [len(polygon) - 1]
    while cuts[-1] > 0:
        cuts.append(int(before[cuts[-1]]))
    return np.array(cuts[::-1])


def _plateau(losses: np.ndarray, record: int) -> tuple[int, int]:
    outside = np.abs(losses - losses[record]) > PLATEAU / 2 * np.ptp(losses)
    left, right = np.flatnonzero(outside[:record]), np.flatnonzero(outside[record:])
    first = int(left[-1]) + 1 if left.size else 0
    last = record + int(right[0]) - 1 if right.size else len(losses) - 1
    return first, last


def _compared(before: np.ndarray, after: np.ndarray) -> tuple[float, float]:
    """Change of shape and growth of a kernel."""
    norms = np.linalg.norm(before), np.linalg.norm(after)
    if 0.0 in norms:
        raise InputError("stages: the kernel is zero at a record, so its change has no scale; leave out pfmap.")
    return max(0.0, float(1 - (before * after).sum() / (norms[0] * norms[1]))), float(norms[1] / norms[0])


def _checked_losses(losses: Any, records: int) -> np.ndarray | None:
    if losses is None:
        return None
    checked = np.asarray(losses, np.float64)
    if checked.shape != (records,) or not np.isfinite(checked).all():
        raise InputError(f"losses: expected {records} finite numbers, one a record; got shape {checked.shape}.")
    return checked


def _kernel_reader(pfmap: ParameterFunctionMap | None, params: Params | None, records: int) -> Any:
    if pfmap is None and params is None:
        return None
    if pfmap is None or params is None:
        raise InputError("stages: the kernel's change needs both pfmap and params; give both or neither.")
    first_axes = {np.shape(leaf)[:1] for leaf in jax.tree.leaves(params)}
    if first_axes != {(records,)}:
        raise InputError(f"params: expected leaves [{records}, …], one point a record; got first axes {first_axes}.")

    def kernel(record: int) -> np.ndarray:
        return np.asarray(pfmap.kernel(jax.tree.map(lambda leaf: leaf[record], params)), np.float64)

    return kernel
