"""The calibrated law: log steps linear in features, with coefficients that vary between maps and explorers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from allroads.errors import InputError
from allroads.paths.learnability.law.random_coefficients import conditioned, random_coefficients


@dataclass(frozen=True)
class Calibration:
    """Random-coefficient law ``log steps = wᵀ(1, (x − centre) / scale) + noise · ε``, with ε standard normal.

    Each pair of map and explorer has coefficients w of its own. Those of an unseen pair are normal around ``mean``;
    runs of that pair condition them, see :meth:`conditioned_on`.

    Args:
        features: Names of the features x.
        centre: Centre of each feature.
        scale: Scale of each feature.
        low: Smallest value of each feature in the fit.
        high: Largest value of each feature in the fit.
        mean: Mean of w, ``[1 + F]``, the intercept first.
        covariance: Covariance of w, ``[1 + F, 1 + F]``: the variation between pairs, and the uncertainty of the mean.
        noise: Standard deviation of log steps around the law of their own map and explorer.
        provenance: What the law was fitted on.
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

    def log_steps(self, x: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
        """Mean of log steps and its standard deviation without the noise, of features ``[…, F]``."""
        z = self._design(x)
        variance = np.einsum("...i,ij,...j->...", z, np.array(self.covariance), z)
        return z @ np.array(self.mean), np.sqrt(np.maximum(variance, 0.0))

    def conditioned_on(self, x: ArrayLike, steps: ArrayLike, learned: ArrayLike) -> Calibration:
        """The law of one map and explorer, conditioned on runs of that pair.

        Args:
            x: Features of the runs' targets, ``[R, F]``.
            steps: Steps to learn, or steps taken where it was not learned, ``[R]``.
            learned: Whether it was learned, ``[R]``.

        Raises:
            InputError: If shapes differ or a number is not finite and positive.

        Example:
            Two runs take twice the expected steps. The law follows, up to its noise of 0.1:

            >>> law = Calibration(("x",), (0.0,), (1.0,), (0.0,), (9.0,), (0.0, 1.0), ((1.0, 0.0), (0.0, 0.0)), 0.1, {})
            >>> runs = [[1.0], [3.0]], 2 * np.exp([1.0, 3.0]), [True, True]
            >>> mean, deviation = law.conditioned_on(*runs).log_steps([2.0])
            >>> round(float(np.exp(mean - 2)), 2), round(float(deviation), 2)
            (1.99, 0.07)
        """
        x, y, seen = _checked_runs(x, steps, learned, len(self.features), "conditioned_on")
        if not len(y):
            return self
        prior = np.array(self.mean), np.array(self.covariance), self.noise**2
        mean, covariance = conditioned(*prior, self._design(x), np.log(y), seen)
        return replace(self, mean=_row(mean), covariance=tuple(_row(row) for row in covariance))

    def outside(self, x: ArrayLike) -> tuple[str, ...]:
        """Names of the features of one target that lie outside the range of the fit."""
        rows = zip(self.features, np.asarray(x), self.low, self.high, strict=True)
        return tuple(name for name, value, low, high in rows if not low <= value <= high)

    def to_json(self) -> str:
        """The law as JSON text; :meth:`from_json` reads it."""
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> Calibration:
        """The law that :meth:`to_json` wrote."""
        fields = json.loads(text)
        columns = {name: tuple(fields[name]) for name in ("features", "centre", "scale", "low", "high", "mean")}
        covariance = tuple(tuple(row) for row in fields["covariance"])
        return cls(**columns, covariance=covariance, noise=fields["noise"], provenance=fields["provenance"])

    def _design(self, x: ArrayLike) -> NDArray[Any]:
        z = (np.asarray(x, np.float64) - np.array(self.centre)) / np.array(self.scale)
        return np.concatenate([np.ones((*z.shape[:-1], 1)), z], axis=-1)


@cache
def default_calibration() -> Calibration:
    """The law that comes with the package: its mean is the simulated steps, its covariance how far to trust them.

    Example:
        >>> round(float(np.exp(default_calibration().log_steps(np.log([100.0]))[0])), 6)
        100.0
    """
    path = resources.files("allroads.paths.learnability.law") / "law.json"
    return Calibration.from_json(path.read_text(encoding="utf-8"))


def calibrate(
    features: ArrayLike,
    steps: ArrayLike,
    learned: ArrayLike,
    groups: Sequence[Any],
    *,
    names: Sequence[str],
    offset: str | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> Calibration:
    """Fit the law to runs, censored ones included.

    Log steps are linear in the features, with coefficients that vary between groups normally around their mean
    [laird1982]. A run that had not learned within its budget is censored: its steps are more than the budget.

    Args:
        features: ``[R, F]``.
        steps: Steps to learn, or the budget where it was not learned, ``[R]``.
        learned: Whether it was learned, ``[R]``.
        groups: Group of each run, its pair of map and explorer, ``[R]``; at least two different ones.
        names: Names of the features.
        offset: Name of a feature that already is log steps and enters with coefficient 1. The mean law is then that
            feature, and only the variation of groups around it is fitted. Default none: the mean law is fitted too.
        provenance: What to remember about the fit.

    Returns:
        The law of an unseen group; log steps are natural logarithms.

    Raises:
        InputError: If shapes differ, a number is not finite, steps are not positive, there is one group only, or no
            feature has the name ``offset``.

    When it fails: few groups determine the variation between groups poorly; a covariance of 0.05 is then assumed with
    the weight of three of them.

    References: [laird1982]

    Example:
        One of two maps takes twice the steps of the other at every x:

        >>> x = np.tile(np.linspace(0, 1, 50), 2)[:, None]
        >>> maps = np.repeat([1, 2], 50)
        >>> law = calibrate(x, maps * np.exp(x[:, 0]), np.ones(100, bool), maps, names=["x"])
        >>> round(float(np.exp(law.log_steps([0.5])[0] - 0.5)), 2)  # between them, √2
        1.41
        >>> law = calibrate(x, maps * np.exp(x[:, 0]), np.ones(100, bool), maps, names=["x"], offset="x")
        >>> round(float(np.exp(law.log_steps([0.5])[0] - 0.5)), 2)
        1.0
    """
    x, y, seen = _checked_runs(features, steps, learned, len(names), "calibrate")
    if len(groups) != len(y):
        raise InputError(f"calibrate: {len(groups)} groups for {len(y)} runs; expected one per run.")
    kinds, own = np.unique(np.asarray(groups), return_inverse=True)
    if len(kinds) < 2:
        raise InputError("calibrate: one group only, so nothing says how well the law carries over; give two or more.")
    centre, scale = x.mean(axis=0), np.maximum(x.std(axis=0), 1e-9)
    design = np.column_stack([np.ones(len(x)), (x - centre) / scale])
    known = None
    if offset is not None:
        if offset not in names:
            raise InputError(f"calibrate: no feature is named {offset!r}; there are {', '.join(names)}.")
        k = list(names).index(offset)
        known = np.concatenate([[centre[k]], scale * (np.arange(len(names)) == k)])
    mean, covariance, noise = random_coefficients(design, np.log(y), seen, own, known)
    return Calibration(
        features=tuple(names),
        centre=_row(centre),
        scale=_row(scale),
        low=_row(x.min(axis=0)),
        high=_row(x.max(axis=0)),
        mean=_row(mean),
        covariance=tuple(_row(row) for row in covariance),
        noise=noise**0.5,
        provenance=dict(provenance or {}),
    )


def _row(numbers: NDArray[Any]) -> tuple[float, ...]:
    return tuple(float(number) for number in numbers)


def _checked_runs(
    features: ArrayLike, steps: ArrayLike, learned: ArrayLike, count: int, who: str
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    x, y, seen = np.asarray(features, np.float64), np.asarray(steps, np.float64), np.asarray(learned, bool)
    if x.shape != (len(y), count) or seen.shape != y.shape or y.ndim != 1:
        raise InputError(
            f"{who}: features {x.shape}, steps {y.shape} and learned {seen.shape} do not fit together; expected "
            f"[R, {count}], [R] and [R]."
        )
    if not (np.isfinite(x).all() and np.isfinite(y).all() and (y > 0).all()):
        raise InputError(f"{who}: features must be finite and steps finite and positive; drop the runs that diverged.")
    return x, y, seen
