"""Named sets of examples, and how well a constant answers them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from allroads.targets.answers import best_constant


@dataclass(frozen=True, eq=False)
class Probes:
    """Examples with their labels; the arrays cannot be written to.

    Args:
        inputs: ``[N, ...]``: real numbers, or integer tokens.
        labels: ``[N]`` or ``[N, T]`` classes for ``cross_entropy``; for ``mse`` and ``bce`` the shape of the
            outputs, without the last axis where there is one output.

    Example:
        >>> len(Probes(np.zeros((3, 2)), np.arange(3)))
        3
    """

    inputs: np.ndarray
    labels: np.ndarray

    def __post_init__(self) -> None:
        object.__setattr__(self, "inputs", _locked(self.inputs))
        object.__setattr__(self, "labels", _locked(self.labels))

    def __len__(self) -> int:
        return len(self.inputs)

    def __reduce__(self) -> tuple[Any, ...]:
        return Probes, (self.inputs, self.labels)  # pickling alone would forget that the arrays are locked


def constant_baseline(train: Probes, held_out: Probes, loss: str) -> dict[str, float | None]:
    """Accuracy and loss that the best constant answer reaches on each side.

    They are ``None`` for a side without examples.

    Example:
        >>> side = Probes(np.zeros((4, 1)), np.array([0, 0, 0, 1]))
        >>> constant_baseline(side, Probes(np.zeros((0, 1)), np.zeros(0)), "cross_entropy")["train_accuracy"]
        0.75
    """
    scores: dict[str, float | None] = {}
    for side, probes in (("train", train), ("held_out", held_out)):
        accuracy, value = best_constant(probes.labels, loss) if len(probes) else (None, None)
        scores |= {f"{side}_accuracy": accuracy, f"{side}_loss": value}
    return scores


def _locked(array: Any) -> np.ndarray:
    """A copy that cannot be written to."""
    copy = np.array(array)
    copy.setflags(write=False)
    return copy
