"""From features to steps: a linear law for log steps, fitted where runs that were cut short count as such."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
from scipy.special import log_ndtr
from scipy.stats import norm

from allroads.errors import InputError

RIDGE = 10.0
"""Weight of ``‖w‖²`` on standardised features, in cells."""
REFITS = 50
"""Refits on resampled groups, for the uncertainty of the law itself."""

_MOST_ROUNDS = 100


@dataclass(frozen=True)
class Calibration:
    """``log steps = a + wᵀ(x − centre) / scale + spread · ε`` with ε standard normal.

    Args:
        features: Names of x.
        centre: Of each.
        scale: Of each.
        low: Smallest value of each in the fit.
        high: Largest.
        intercepts: a of the fit and of each refit, ``[1 + B]``.
        weights: w of them, ``[1 + B, F]``.
        spread: Standard deviation of log steps around the law on groups that the fit had not seen.
        provenance: What it was fitted on.
    """

    features: tuple[str, ...]
    centre: tuple[float, ...]
    scale: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    intercepts: tuple[float, ...]
    weights: tuple[tuple[float, ...], ...]
    spread: float
    provenance: Mapping[str, Any]

    def log_steps(self, x: Any) -> np.ndarray:
        """Log steps by the fit and by every refit, ``[1 + B, …]``, of features ``[…, F]``."""
        z = (np.asarray(x) - np.array(self.centre)) / np.array(self.scale)
        return np.moveaxis(z @ np.array(self.weights).T + np.array(self.intercepts), -1, 0)

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
        weights = tuple(tuple(row) for row in fields.pop("weights"))
        provenance = fields.pop("provenance")
        spread = fields.pop("spread")
        return cls(**{key: tuple(value) for key, value in fields.items()}, weights=weights, spread=spread,
                   provenance=provenance)  # fmt: skip


@cache
def shipped(kind: str) -> Calibration:
    """The calibration that comes with the package: ``"initial"`` or ``"probed"``."""
    path = resources.files("allroads.paths.learnability") / f"{kind}.json"
    return Calibration.from_json(path.read_text(encoding="utf-8"))


def calibrate(
    features: Any,
    steps: Any,
    learned: Any,
    groups: Sequence[Any],
    *,
    names: Sequence[str],
    ridge: float = RIDGE,
    refits: int = REFITS,
    seed: int = 0,
    provenance: Mapping[str, Any] | None = None,
) -> Calibration:
    """Fit the law to runs, those that were cut short included.

    A normal law of log steps; a run that had not learned within its budget says that its steps are more. The spread is
    that of groups left out in turn, so that it holds for a new map or explorer and not for more of the same.

    Args:
        features: ``[R, F]``.
        steps: Steps to learn, or the budget where it was not learned, ``[R]``.
        learned: Whether it was, ``[R]``.
        groups: What a run belongs to, such as its map, ``[R]``; at least two.
        names: Of the features.
        ridge: Shrinkage.
        refits: Refits on groups drawn with replacement.
        seed: Of those draws.
        provenance: What to remember about the fit.

    Raises:
        InputError: If shapes differ, a number is not finite, steps are not positive, or there is one group only.

    References: [dempster1977]
    """
    x, y, seen = np.asarray(features, np.float64), np.asarray(steps, np.float64), np.asarray(learned, bool)
    if x.ndim != 2 or x.shape != (len(y), len(names)) or seen.shape != y.shape or len(groups) != len(y):
        raise InputError(
            f"calibrate: features {x.shape}, steps {y.shape}, learned {seen.shape}, {len(groups)} groups and "
            f"{len(names)} names do not fit together; expected [R, F], [R], [R], R and F."
        )
    if not (np.isfinite(x).all() and np.isfinite(y).all() and (y > 0).all()):
        raise InputError("calibrate: features must be finite and steps positive; drop the runs that diverged.")
    kinds = sorted(set(groups))
    if len(kinds) < 2:
        raise InputError("calibrate: one group only, so nothing says how well the law carries over; give two or more.")
    centre, scale = x.mean(axis=0), np.maximum(x.std(axis=0), 1e-9)
    z, logs = (x - centre) / scale, np.log(y)
    rows = {kind: np.flatnonzero([group == kind for group in groups]) for kind in kinds}
    fits = [_fit(z, logs, seen, ridge)]
    rng = np.random.default_rng(seed)
    for _ in range(refits):
        drawn = np.concatenate([rows[kinds[i]] for i in rng.integers(len(kinds), size=len(kinds))])
        fits.append(_fit(z[drawn], logs[drawn], seen[drawn], ridge, fits[0]))
    spread = _carried_spread(z, logs, seen, rows, ridge, fits[0])
    return Calibration(
        tuple(names),
        *(tuple(map(float, numbers)) for numbers in (centre, scale, x.min(axis=0), x.max(axis=0))),
        tuple(float(fit[0]) for fit in fits),
        tuple(tuple(map(float, fit[1:-1])) for fit in fits),
        spread,
        dict(provenance or {}),
    )


def _fit(z: np.ndarray, logs: np.ndarray, seen: np.ndarray, ridge: float, near: np.ndarray | None = None) -> np.ndarray:
    """``(a, w…, log σ)`` of largest penalised likelihood, by expectation and maximisation.

    A run that was cut short counts with the mean that its log steps have beyond the budget.
    """
    design = np.column_stack([np.ones(len(z)), z])
    penalty = ridge * np.diag([0.0] + [1.0] * z.shape[1])
    solve = np.linalg.inv(design.T @ design + penalty) @ design.T
    fit = np.append(solve @ logs, np.log(logs.std() + 0.1)) if near is None else near
    cut = ~seen
    for _ in range(_MOST_ROUNDS):
        sigma, mean = np.exp(fit[-1]), design @ fit[:-1]
        gap = (logs[cut] - mean[cut]) / sigma
        hazard = np.exp(-0.5 * gap**2 - 0.5 * np.log(2 * np.pi) - log_ndtr(-gap))
        filled = logs.copy()
        filled[cut] = mean[cut] + sigma * hazard
        law = solve @ filled
        left = (filled - design @ law) ** 2
        left[cut] += sigma**2 * np.maximum(1 + gap * hazard - hazard**2, 0.0)
        moved = np.append(law, np.log(np.sqrt(left.mean()) + 1e-6))
        done = np.abs(moved - fit).max() < 1e-4
        fit = moved
        if done:
            break
    return fit


def _carried_spread(
    z: np.ndarray,
    logs: np.ndarray,
    seen: np.ndarray,
    rows: Mapping[Any, np.ndarray],
    ridge: float,
    near: np.ndarray,
) -> float:
    """Standard deviation on groups left out, of largest likelihood, runs that were cut short included."""
    gaps = np.empty(len(logs))
    for own in rows.values():
        rest = np.setdiff1d(np.arange(len(logs)), own)
        fit = _fit(z[rest], logs[rest], seen[rest], ridge, near)
        gaps[own] = logs[own] - fit[0] - z[own] @ fit[1:-1]
    sigmas = np.geomspace(0.02, 3.0, 400)[:, None]
    likelihood = np.where(seen, norm.logpdf(gaps / sigmas) - np.log(sigmas), norm.logsf(gaps / sigmas)).sum(axis=1)
    return float(sigmas[likelihood.argmax(), 0])
