"""The law that takes what the map shows to steps, and what it learns from runs on a new map."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from importlib import resources
from typing import Any

import numpy as np

from allroads.errors import InputError
from allroads.paths.learnability.random_coefficients import conditioned, random_coefficients


@dataclass(frozen=True)
class Calibration:
    """``log steps = wᵀ(1, (x − centre) / scale) + noise · ε``, ε standard normal, w of each map and explorer its own.

    Of one that nobody has seen, w is normal around ``mean``; runs on it narrow that down, see :meth:`given`.

    Args:
        features: Names of x.
        centre: Of each.
        scale: Of each.
        low: Smallest value of each in the fit.
        high: Largest.
        mean: Of w, ``[1 + F]``, the intercept first.
        covariance: Of w, ``[1 + F, 1 + F]``: how maps and explorers differ, and what is not known of their mean.
        noise: Standard deviation of log steps around the law of their own map and explorer.
        provenance: What it was fitted on.
    """

    features: tuple[str, ...]
    centre: tuple[float, ...]
    scale: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    mean: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]
    noise: float
    provenance: Mapping[str, Any]

    def log_steps(self, x: Any) -> tuple[np.ndarray, np.ndarray]:
        """Mean of log steps and how uncertain the law leaves it, of features ``[…, F]``; noise comes on top."""
        z = self._design(x)
        variance = np.einsum("...i,ij,...j->...", z, np.array(self.covariance), z)
        return z @ np.array(self.mean), np.sqrt(np.maximum(variance, 0.0))

    def given(self, x: Any, steps: Any, learned: Any) -> Calibration:
        """The law of one map and explorer, given runs on it.

        Args:
            x: Features of the runs' targets, ``[R, F]``.
            steps: Steps to learn, or those taken where it was not learned, ``[R]``.
            learned: Whether it was, ``[R]``.

        Raises:
            InputError: If shapes differ or a number is not finite and positive.

        Example:
            Two runs that take twice the expected steps, as surely as 0.1 of noise leaves it:

            >>> law = Calibration(("x",), (0.0,), (1.0,), (0.0,), (9.0,), (0.0, 1.0), ((1.0, 0.0), (0.0, 0.0)), 0.1, {})
            >>> mean, doubt = law.given([[1.0], [3.0]], 2 * np.exp([1.0, 3.0]), [True, True]).log_steps([2.0])
            >>> round(float(np.exp(mean - 2)), 2), round(float(doubt), 2)
            (1.99, 0.07)
        """
        x, y, seen = _checked_runs(x, steps, learned, len(self.features), "given")
        if not len(y):
            return self
        start = np.array(self.mean), np.array(self.covariance), self.noise**2
        mean, covariance = conditioned(*start, self._design(x), np.log(y), seen)
        return replace(self, mean=tuple(mean.tolist()), covariance=tuple(map(tuple, covariance.tolist())))

    def outside(self, x: Any) -> tuple[str, ...]:
        """Names of the features of one target that lie outside what the fit saw."""
        rows = zip(self.features, np.asarray(x), self.low, self.high, strict=True)
        return tuple(name for name, value, low, high in rows if not low <= value <= high)

    def to_json(self) -> str:
        """As text; :meth:`from_json` reads it."""
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> Calibration:
        """Read what :meth:`to_json` wrote."""
        fields = json.loads(text)
        single = {name: fields.pop(name) for name in ("noise", "provenance")}
        covariance = tuple(map(tuple, fields.pop("covariance")))
        return cls(**{key: tuple(value) for key, value in fields.items()}, covariance=covariance, **single)

    def _design(self, x: Any) -> np.ndarray:
        z = (np.asarray(x, np.float64) - np.array(self.centre)) / np.array(self.scale)
        return np.concatenate([np.ones((*z.shape[:-1], 1)), z], axis=-1)


@cache
def shipped() -> Calibration:
    """The law that comes with the package: it takes the steps ahead at their word, and says how far to trust them.

    Example:
        >>> round(float(np.exp(shipped().log_steps(np.log([100.0]))[0])), 6)
        100.0
    """
    path = resources.files("allroads.paths.learnability") / "law.json"
    return Calibration.from_json(path.read_text(encoding="utf-8"))


def calibrate(
    features: Any,
    steps: Any,
    learned: Any,
    groups: Sequence[Any],
    *,
    names: Sequence[str],
    at_its_word: str | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> Calibration:
    """Fit the law to runs, those that were cut short included.

    Log steps are linear in the features with coefficients that differ from group to group, normally around their mean
    [laird1982]; a run that had not learned within its budget says that its steps are more.

    Args:
        features: ``[R, F]``.
        steps: Steps to learn, or the budget where it was not learned, ``[R]``.
        learned: Whether it was, ``[R]``.
        groups: What a run belongs to: its map with its explorer, ``[R]``; at least two.
        names: Of the features.
        at_its_word: Name of the feature that is log steps already: the mean law is then that feature, and only how far
            groups stray from it is fitted; default none, and the mean law is fitted as well.
        provenance: What to remember about the fit.

    Returns:
        The law of a group that it has not seen; log steps are natural logarithms.

    Raises:
        InputError: If shapes differ, a number is not finite, steps are not positive, there is one group only, or no
            feature has the name ``at_its_word``.

    When it fails: few groups say little of how groups differ; a covariance of 0.05 is then assumed with the weight of
    three of them.

    References: [laird1982]

    Example:
        Two maps, one of which takes twice the steps of the other at every x:

        >>> x = np.tile(np.linspace(0, 1, 50), 2)[:, None]
        >>> maps = np.repeat([1, 2], 50)
        >>> law = calibrate(x, maps * np.exp(x[:, 0]), np.ones(100, bool), maps, names=["x"])
        >>> round(float(np.exp(law.log_steps([0.5])[0] - 0.5)), 2)  # between them, √2
        1.41
        >>> law = calibrate(x, maps * np.exp(x[:, 0]), np.ones(100, bool), maps, names=["x"], at_its_word="x")
        >>> round(float(np.exp(law.log_steps([0.5])[0] - 0.5)), 2)
        1.0
    """
    x, y, seen = _checked_runs(features, steps, learned, len(names), "calibrate")
    if len(groups) != len(y):
        raise InputError(f"calibrate: {len(groups)} groups for {len(y)} runs; expected one a run.")
    kinds, own = np.unique(np.asarray(groups), return_inverse=True)
    if len(kinds) < 2:
        raise InputError("calibrate: one group only, so nothing says how well the law carries over; give two or more.")
    centre, scale = x.mean(axis=0), np.maximum(x.std(axis=0), 1e-9)
    design = np.column_stack([np.ones(len(x)), (x - centre) / scale])
    word = None
    if at_its_word is not None:
        if at_its_word not in names:
            raise InputError(f"calibrate: no feature is named {at_its_word!r}; there are {', '.join(names)}.")
        k = list(names).index(at_its_word)
        word = np.concatenate([[centre[k]], scale * (np.arange(len(names)) == k)])
    mean, covariance, noise = random_coefficients(design, np.log(y), seen, own, word)
    return Calibration(
        tuple(names),
        *(tuple(map(float, numbers)) for numbers in (centre, scale, x.min(axis=0), x.max(axis=0), mean)),
        tuple(map(tuple, covariance.tolist())),
        noise**0.5,
        dict(provenance or {}),
    )


def _checked_runs(x: Any, steps: Any, learned: Any, count: int, who: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    x, y, seen = np.asarray(x, np.float64), np.asarray(steps, np.float64), np.asarray(learned, bool)
    if x.shape != (len(y), count) or seen.shape != y.shape or y.ndim != 1:
        raise InputError(
            f"{who}: features {x.shape}, steps {y.shape} and learned {seen.shape} do not fit together; expected "
            f"[R, {count}], [R] and [R]."
        )
    if not (np.isfinite(x).all() and np.isfinite(y).all() and (y > 0).all()):
        raise InputError(f"{who}: features must be finite and steps finite and positive; drop the runs that diverged.")
    return x, y, seen
