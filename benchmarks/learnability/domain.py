"""A domain: one set of inputs, split once, and all targets over it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from .boolean_tasks import BITS, X, boolean_tasks
from .digit_tasks import IMAGES, class_tasks, images, sign_tasks
from .modular_tasks import PAIRS, PRIME, modular_tasks
from .sequence_tasks import X as STRINGS
from .sequence_tasks import sequence_tasks
from .task import Task

BOOLEAN_TRAIN, MODULAR_TRAIN, DIGITS_TRAIN, SEQUENCE_TRAIN = 192, 96, 192, 96


@dataclass(frozen=True, eq=False)
class Domain:
    """Inputs that a group of targets shares.

    Args:
        name: Such as ``"bits8"``.
        inputs: ``[N, …]``: real numbers, or tokens where there is a vocabulary.
        train: Rows that train.
        held_out: Rows that are held out.
        loss: ``"mse"`` for signs, ``"cross_entropy"`` for classes.
        outputs: Outputs of a network on one example, or one position.
        tasks: The targets, by name.
        vocabulary: Of tokens.
        per_position: One output a position.
        positions: How a map that reads position by position sees an example, where not as it stands.
    """

    name: str
    inputs: np.ndarray
    train: np.ndarray
    held_out: np.ndarray
    loss: str
    outputs: int
    tasks: dict[str, Task]
    vocabulary: int | None = None
    per_position: bool = False
    positions: tuple[int, ...] | None = None

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one example."""
        return self.inputs.shape[1:]

    def labels(self, target: str, rows: np.ndarray | None = None) -> np.ndarray:
        """Labels as the loss takes them: signs ``[n, 1]`` or ``[n, T, 1]``, classes ``[n]``."""
        labels = self.tasks[target].labels
        labels = labels if rows is None else labels[rows]
        return labels.astype(np.int32) if self.loss == "cross_entropy" else labels[..., None].astype(np.float32)

    def constant_loss(self, target: str) -> float:
        """Training loss of the best constant: of each output, and of each position where there are several."""
        labels = self.labels(target, self.train)
        if self.loss == "mse":
            return float(labels.var(axis=0).mean())
        shares = np.bincount(labels, minlength=self.outputs) / len(labels)
        return float(-(shares[shares > 0] * np.log(shares[shares > 0])).sum())

    def threshold(self, target: str) -> float:
        """Training loss at which a target counts as learned: a tenth of 1 for signs, of the best constant's else."""
        return 0.1 if self.loss == "mse" else 0.1 * self.constant_loss(target)

    def majority_baseline(self, target: str) -> float:
        """Share of all labels that the most frequent answer gets right, position by position."""
        labels = self.tasks[target].labels
        if self.loss == "cross_entropy":
            return float(np.bincount(labels).max() / len(labels))
        return float(0.5 + 0.5 * np.abs(labels.mean(axis=0)).mean())

    def fingerprint(self) -> str:
        """Hash of all that a run sees of the domain besides its labels."""
        parts = (self.inputs, self.train, self.held_out)
        text = f"{self.name} {self.loss} {self.outputs} {self.vocabulary} {self.per_position} {self.positions} "
        text += " ".join(f"{part.dtype}{part.shape}" for part in parts)
        return hashlib.sha256(text.encode() + b"".join(part.tobytes() for part in parts)).hexdigest()


def split(count: int, train: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows that train and rows that are held out, the same for every target of a domain."""
    order = np.random.default_rng(count).permutation(count)
    return np.sort(order[:train]), np.sort(order[train:])


def _by_name(tasks: list[Task]) -> dict[str, Task]:
    return {task.name: task for task in tasks}


def _bits8() -> Domain:
    train, held_out = split(2**BITS, BOOLEAN_TRAIN)
    return Domain("bits8", X.astype(np.float32), train, held_out, "mse", 1, _by_name(boolean_tasks()), positions=(4, 2))


def _sequence7() -> Domain:
    train, held_out = split(len(STRINGS), SEQUENCE_TRAIN)
    tasks = _by_name(sequence_tasks())
    return Domain("sequence7", STRINGS.astype(np.float32), train, held_out, "mse", 1, tasks, per_position=True)


def _modular11() -> Domain:
    train, held_out = split(len(PAIRS), MODULAR_TRAIN)
    tasks = _by_name(modular_tasks())
    return Domain("modular11", PAIRS, train, held_out, "cross_entropy", PRIME, tasks, vocabulary=PRIME)


def _digits() -> Domain:
    train, held_out = split(IMAGES, DIGITS_TRAIN)
    return Domain("digits", images()[0], train, held_out, "cross_entropy", 10, _by_name(class_tasks()))


def _digits_sign() -> Domain:
    train, held_out = split(IMAGES, DIGITS_TRAIN)
    return Domain("digits-sign", images()[0], train, held_out, "mse", 1, _by_name(sign_tasks()))


DOMAINS: dict[str, Callable[[], Domain]] = {
    "bits8": _bits8,
    "digits-sign": _digits_sign,
    "modular11": _modular11,
    "digits": _digits,
    "sequence7": _sequence7,
}


@cache
def load_domain(name: str) -> Domain:
    """The domain of that name."""
    return DOMAINS[name]()
