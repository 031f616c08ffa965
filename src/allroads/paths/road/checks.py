"""What a road is asked with, checked: points, targets in their chart, paths."""

from __future__ import annotations

import math
from typing import Any

import jax
import numpy as np

from allroads.errors import InputError, MemoryBudgetError, UnknownNameError
from allroads.pfmap.charts import CHARTS
from allroads.pfmap.network import Params

_SUM = 1e-5
"""How far the sum of probabilities may be from one: the rounding of a softmax in single precision."""


def checked_chart(chart: str) -> str:
    """The chart, refused where a segment between two of its points leaves it."""
    if chart not in CHARTS:
        raise UnknownNameError("chart", chart, CHARTS)
    if chart == "sphere":
        raise InputError(
            "chart 'sphere': the straight segment between two points of a sphere leaves it, so no network follows it. "
            "Take 'outputs' or 'probabilities'."
        )
    return chart


def read_target(target: Any, outputs: tuple[int, ...], coordinates: tuple[int, ...], chart: str) -> np.ndarray:
    """A target as coordinates in the chart, in double precision.

    Args:
        target: As handed in.
        outputs: Shape of the network's outputs.
        coordinates: Their shape in the chart.
        chart: ``"outputs"`` or ``"probabilities"``.

    Raises:
        InputError: If it is labels, not shaped like the coordinates, not finite, or outside the chart.
    """
    found = np.asarray(target)
    if found.shape == outputs[:-1] and outputs[-1] > 1:
        raise InputError(
            f"target has shape {found.shape}, like class labels; a road leads to a point of function space, "
            f"{coordinates}. Say which: for squared error np.eye({outputs[-1]})[labels]; for class scores a multiple "
            "of it, as large as the answers are to be sure; or chart='probabilities' with probabilities, of which none "
            "is quite 0."
        )
    if found.shape != coordinates and not (coordinates[-1] == 1 and found.shape == coordinates[:-1]):
        raise InputError(f"target has shape {found.shape}; expected {coordinates}, one number a coordinate of {chart}.")
    if not (np.issubdtype(found.dtype, np.number) or found.dtype == bool) or np.iscomplexobj(found):
        raise InputError(f"target has dtype {found.dtype}; expected real numbers.")
    found = found.astype(np.float64).reshape(coordinates)
    finite = np.isfinite(found).reshape(len(found), -1).all(axis=1)
    if not finite.all():
        raise InputError(f"target is NaN or infinite at example {int(np.argmin(finite))}; expected finite numbers.")
    if chart == "probabilities":
        sums = found.sum(axis=-1)
        if found.min() < 0 or np.abs(sums - 1).max() > _SUM:
            raise InputError(
                f"target is outside the chart 'probabilities': least entry {found.min():.3g}, sums from "
                f"{sums.min():.6g} to {sums.max():.6g}; expected no negative entry and sums of 1. Normalise it, or "
                "take chart='outputs' if these are scores."
            )
    return found


def read_path(path: Params) -> int:
    """Number of points of a path given as leaves ``[K, …]``."""
    lengths = {np.shape(leaf)[:1] for leaf in jax.tree.leaves(path)}
    if len(lengths) != 1 or () in lengths or min(lengths)[0] < 2:
        raise InputError(
            f"path: expected leaves [K, …], one point a checkpoint and K ≥ 2; got first axes {sorted(lengths)}. "
            "Give one member's checkpoints, as Trajectory.member(i)['params']."
        )
    points: int = min(lengths)[0]
    return points


def check_memory(params: Params, values: Any, records: int, memory: int) -> None:
    """Refuse a road whose kept points would not fit the budget."""
    sized = [*jax.tree.leaves(params), values]
    one = sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in sized)
    # A point is held twice while the path is put together.
    needed = 2 * (records + 2) * one
    if needed > memory:
        raise MemoryBudgetError(
            f"keeping {records + 2} points of {one / 2**20:.4g} MiB needs {needed / 2**20:.4g} MiB; the budget is "
            f"{memory / 2**20:.4g} MiB. Keep fewer (records), or raise memory."
        )
