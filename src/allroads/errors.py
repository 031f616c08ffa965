"""What can go wrong, as one tree.

Every message names the thing, says what was expected and what to do::

    AllroadsError
    ├── InputError            a value that the caller handed in cannot be used
    │   ├── UnknownNameError  a name that no registry holds; carries the nearest valid one
    │   └── ConfigError       a study's TOML; carries file and key
    ├── NotDeterministicError a network that answers the same question in two ways
    ├── UnsupportedOperatorError  a PyTorch operator without a rule
    ├── MemoryBudgetError     a result that does not fit the budget; says how much it needs
    ├── MeasurementError      a measurement whose status is not sound, where throw=True asked for an error
    ├── TooFewSamplesError    draws that are too few for the number asked for; says what they bound
    ├── StoreError            a run directory that cannot be read or written
    └── WorkerError           a task that failed in a worker; carries the task's name
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any


class AllroadsError(Exception):
    """Base class of every error that allroads raises on purpose."""


class InputError(AllroadsError, ValueError):
    """A value that the caller handed in cannot be used."""


class UnknownNameError(InputError, KeyError):
    """A name that a registry does not hold.

    Args:
        what: What kind of thing was looked for, such as ``"target"``.
        name: The name that was asked for.
        known: The names that exist.

    Example:
        >>> str(UnknownNameError("activation", "rleu", ["relu", "tanh"]))
        "unknown activation 'rleu': did you mean 'relu'? Known: relu, tanh."
    """

    def __init__(self, what: str, name: str, known: Iterable[str]):
        self.what, self.name, self.known = what, name, sorted(known)
        self.nearest = nearest_name(str(name), self.known)
        hint = f"did you mean {self.nearest!r}? " if self.nearest else ""
        super().__init__(f"unknown {what} {name!r}: {hint}Known: {', '.join(self.known)}.")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.what, self.name, self.known)

    def __str__(self) -> str:
        return str(self.args[0])


class ConfigError(InputError):
    """A study's configuration cannot be used: names the file, the key, what is allowed, the nearest name."""


class NotDeterministicError(AllroadsError):
    """A network gives two answers to one question, so it has no parameter–function map."""


class UnsupportedOperatorError(AllroadsError, NotImplementedError):
    """A PyTorch operator that has no rule in ``jax.numpy`` here."""


class MemoryBudgetError(AllroadsError, MemoryError):
    """A result that does not fit the memory budget; the message says how much it needs."""


class TooFewSamplesError(AllroadsError):
    """Draws that stand for too few independent ones, so that the number asked for would say nothing.

    Args:
        message: What was drawn, what follows from it, and what to use instead.
        effective: Their effective sample size.
        bound: Upper bound on the probability that was asked for; NaN where the draws give none.
    """

    def __init__(self, message: str, effective: float, bound: float):
        self.effective, self.bound = effective, bound
        super().__init__(message)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.effective, self.bound)


class StoreError(AllroadsError):
    """A run directory, or a file in it, cannot be read or written."""


class WorkerError(AllroadsError):
    """A task failed in a worker; what had finished before is kept.

    Attributes:
        finished: What the study came to without the tasks that failed, a ``StudyRun``; ``None`` if it was broken off.
    """

    finished: Any = None


class MeasurementError(AllroadsError):
    """A measurement whose status is not sound, raised in its place with ``throw=True``.

    Args:
        result: The result, kept as the attribute of that name.
    """

    def __init__(self, result: Any):
        self.result = result
        status = result.status
        super().__init__(
            f"{status.value}: {status.meaning} Likely causes: {status.causes} What to try: {status.remedy}"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.result,)


def nearest_name(name: str, known: Iterable[str]) -> str | None:
    """The known name most like ``name``, or ``None`` where none is like it.

    Example:
        >>> nearest_name("adm", ["adam", "sgd"])
        'adam'
    """
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return close[0] if close else None
