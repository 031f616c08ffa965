"""What is told of one cell: when it had learned, how well, and by what road."""

from __future__ import annotations

from typing import Any

import numpy as np

from allroads import directness, stages, turning
from allroads.paths.learnability.law.crossing import first_crossing
from allroads.status import RunStatus

from .train import Seen

POINTS = 64
"""Resolution of a road by arc length; it is seen at some fifty records."""


def measured(seen: Seen, member: int, facts: dict[str, Any]) -> dict[str, Any]:
    """One member's row.

    Its road ends at the first record at which it has learned, else with its budget or at the last finite record; so
    nothing depends on how long others of its pack ran on.
    """
    losses = seen.losses[member]
    finite = np.isfinite(losses) & np.isfinite(seen.outputs[member].reshape(len(losses), -1)).all(axis=1)
    length = len(losses) if finite.all() else int(np.argmin(finite))
    below = np.flatnonzero(losses[:length] <= facts["threshold"])
    learned = bool(below.size)
    length = int(below[0]) + 1 if learned else length
    losses, steps, last = losses[:length], seen.steps[:length], length - 1
    when = first_crossing(steps, losses, facts["threshold"])
    outcome = {
        "steps_to_learn": when,
        "learned": learned,
        "examples_seen": None if when is None else when * facts["batch"],
        "final_train_loss": float(losses[-1]),
        "train_accuracy": float(seen.accuracies[member, last]),
        "held_out_accuracy": float(seen.held_out[member, last]),
        "status": (RunStatus.OK if finite[: length + 1].all() else RunStatus.DIVERGED).value,
        "steps": steps.tolist(),
        "losses": losses.astype(float).tolist(),
    }
    return outcome | road(seen.outputs[member, :length])


def road(outputs: np.ndarray) -> dict[str, Any]:
    """Directness, turning and stages of a road of outputs ``[T, N, …]``, in the chart of the outputs."""
    moved = outputs.reshape(len(outputs), -1).astype(np.float64)
    moved = moved - moved[0]
    if len(moved) < 2 or not moved.any():
        return {"directness": None, "turning": None, "stage_count": 0}
    # The same road in as many dimensions as it spans: all three are blind to rotations.
    polygon = np.linalg.qr(moved.T, mode="r").T
    return {
        "directness": float(directness(polygon, points=POINTS)),
        "turning": float(turning(polygon, points=POINTS)),
        "stage_count": stages(polygon, points=POINTS).count,
    }
