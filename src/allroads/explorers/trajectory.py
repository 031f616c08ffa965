"""What a population of runs leaves behind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from allroads.pfmap.network import Params
from allroads.status import Status


@dataclass(frozen=True)
class Cost:
    """What moving has cost each member; recording is not counted.

    Args:
        gradients: Gradients of a batch evaluated, ``[M]``.
        forwards: Forward passes over a batch outside gradients, ``[M]``.
        examples: Examples that went through either, ``[M]``.
    """

    gradients: np.ndarray
    forwards: np.ndarray
    examples: np.ndarray


@dataclass(frozen=True)
class Trajectory:
    """Runs of a population, recorded at log-spaced steps.

    Args:
        members: Their indices, ``[M]``: with the study seed they decide all that a member does.
        steps: Recorded steps ``[T]``, the first 0.
        values: Outputs on the probes, ``[M, T, N, …]``.
        checkpoint_steps: Steps of the stored parameters, ``[K]``, a part of ``steps``; first and last are among them.
        params: Parameters, a pytree whose leaves are ``[M, K, …]``.
        curves: ``train_loss``, ``train_accuracy`` and, with held-out data, ``held_out_loss``, ``held_out_accuracy``:
            each ``[M, T]``, means over examples.
        status: One a member: ``ok``, or ``diverged``.
        last_step: The step after which a member stood still, ``[M]``: its last finite one where it diverged.
        cost: Counted cost.
        seconds: Wall time, compilation included.
    """

    members: np.ndarray
    steps: np.ndarray
    values: np.ndarray
    checkpoint_steps: np.ndarray
    params: Params
    curves: Mapping[str, np.ndarray]
    status: tuple[Status, ...]
    last_step: np.ndarray
    cost: Cost
    seconds: float

    def ends(self) -> Params:
        """The last point of every member: a population, leaves ``[M, …]``."""
        return jax.tree.map(lambda leaf: leaf[:, -1], self.params)

    def end(self, position: int) -> Params:
        """The last point of one member by its position."""
        return jax.tree.map(lambda leaf: leaf[position, -1], self.params)

    def member(self, position: int) -> dict[str, Any]:
        """One member by its position: ``params`` ``[K, …]``, ``values`` ``[T, N, …]``, ``curves``, ``status``."""
        return {
            "params": jax.tree.map(lambda leaf: leaf[position], self.params),
            "values": self.values[position],
            "curves": {name: curve[position] for name, curve in self.curves.items()},
            "status": self.status[position],
            "last_step": int(self.last_step[position]),
        }
