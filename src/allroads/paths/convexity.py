"""Convexity of a loss in a chart: between which strengths it pulls towards its minimiser, at the corners of a path.

The certificate needs one thing of a loss ℓ with minimiser z*: on the convex hull of the path and z*,

    −∇ℓ(z) = W(z) (z* − z)   with W symmetric and μ I ≤ W ≤ L I.

A loss that is μ-strongly convex and L-smooth there has it, with W the mean of its Hessian on the segment from z to z*.
In the charts of probabilities, and on the sphere of their roots, the loss is first continued off the simplex or the
sphere, where it keeps its values on it; derivations in docs/straightness.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from allroads.errors import InputError, UnknownNameError
from allroads.paths.resample import checked_values
from allroads.pfmap.charts import CHARTS, to_chart
from allroads.pfmap.losses import PerExampleLoss, resolve_loss
from allroads.pfmap.precision import float64


@dataclass(frozen=True)
class Convexity:
    """A path and the minimiser in a chart, and how evenly the loss pulls towards it.

    Args:
        polygon: Corners of the path followed by the minimiser, ``[T + 1, D]``; ``None`` where there is no minimiser.
        kappa: μ/L on the convex hull of them all; 0 where W is not bounded.
        kappas: μ/L at the points of each segment of the path, ``[T − 1]``; no smaller than ``kappa``.
        reason: Where κ is zero or unknown, why.
    """

    polygon: np.ndarray | None
    kappa: float
    kappas: np.ndarray
    reason: str = ""


def convexity(
    values: Any, target: Any, loss: str | PerExampleLoss, chart: str, kappa: float | None = None
) -> Convexity:
    """Path, minimiser and bounds of W for a loss in a chart.

    Args:
        values: Outputs along the path, ``[T, N, …, C]``.
        target: See :func:`allroads.certify`.
        loss: Name or callable.
        chart: ``"outputs"``, ``"probabilities"`` or ``"sphere"``.
        kappa: μ/L of a loss given as a callable.

    Raises:
        InputError: If the target lies outside the chart or is no minimiser, or κ not in (0, 1].
        UnknownNameError: If there is no such chart or loss.
    """
    values = checked_values(values)
    if chart not in CHARTS:
        raise UnknownNameError("chart", chart, CHARTS)
    if values.ndim < 3:
        values = values[:, None]
    if kappa is not None and not 0 < kappa <= 1:
        raise InputError(f"kappa: expected μ/L, above 0 and at most 1; got {kappa}.")
    if callable(loss):
        return _of_callable(values, target, loss, chart, kappa)
    resolve_loss(loss)
    if kappa is not None:
        raise InputError(f"kappa: it follows from the loss {loss!r} and the path; give it for callables alone.")
    if loss == "mse":
        if chart != "outputs":
            return _none(values, f"squared error is no function of the chart {chart!r}; choose the chart 'outputs'.")
        end = _like(values, target)
        return _constant(values, end, 1.0)
    if loss == "bce":
        ones = _in_unit_interval(_like(values, target))
        values, q = values[..., None], np.stack([1 - ones, ones], axis=-1)
    elif values.shape[-1] == 1:
        raise InputError("loss 'cross_entropy' needs two outputs or more, one a class; for one logit use 'bce'.")
    else:
        q = class_probabilities(values, target)
    return {"outputs": _in_scores, "probabilities": _in_probabilities, "sphere": _on_sphere}[chart](values, q)


def _in_scores(values: np.ndarray, q: np.ndarray) -> Convexity:
    """Scores modulo a common shift: of diag(p) − ppᵀ the least eigenvalue is ≥ min p, the largest ≤ ½ and ≤ max p.

    For two classes both are 2 p (1 − p). log p is concave in the scores, so min p on a hull is that at its corners.
    """
    if (q == 0).any():
        return _none(values, "sure labels have their minimiser at infinity in scores; choose the chart 'sphere'.")
    scores = values if values.shape[-1] > 1 else np.concatenate([np.zeros_like(values), values], axis=-1)
    scores = _with_end(scores, np.log(q))
    least = _rows(to_chart(scores, "probabilities")).min(axis=1)
    polygon = scores - scores.mean(axis=-1, keepdims=True)
    classes = q.shape[-1]
    weakest = 2 * least * (1 - least) if classes == 2 else least
    strongest = np.minimum(0.5, 1 - (classes - 1) * least)
    # W is a mean over the way from z to the end, which is therefore part of every segment's hull.
    low, high = np.minimum(weakest, weakest[-1]), np.maximum(strongest, strongest[-1])
    return Convexity(_rows(polygon), _ratio(weakest.min(), strongest.max()), _of_segments(low, high))


def _in_probabilities(values: np.ndarray, q: np.ndarray) -> Convexity:
    """−Σ q log p continued by Σ p − 1: W = diag(1/p)."""
    p = _rows(_with_end(to_chart(values, "probabilities"), q))
    low, high = p.min(axis=1), p.max(axis=1)
    kappa = _ratio(low.min(), high.max())
    reason = "" if kappa > 0 else "a probability is zero on the way or at the target; choose 'sphere'."
    return Convexity(p, kappa, _of_segments(low, high), reason)


def _on_sphere(values: np.ndarray, q: np.ndarray) -> Convexity:
    """Roots s of probabilities: W/2 = I / s_y for a sure label y, diag(1 + √q/s) for others."""
    s = _with_end(to_chart(values, "sphere"), np.sqrt(q))
    with np.errstate(divide="ignore", invalid="ignore"):
        pull = 1 + np.where(q > 0, np.sqrt(q) / s, 0.0)
    sure = (q == 1).any(axis=-1, keepdims=True)
    # A sure label pulls radially, 1/s_y in every direction.
    pull = np.where(sure, pull.max(axis=-1, keepdims=True) - 1, pull)
    low, high = _rows(pull).min(axis=1), _rows(pull).max(axis=1)
    kappa = _ratio(low.min(), high.max())
    # Inside the sphere s_y stands for 1 − r²/2, which on a segment exceeds its ends by up to an eighth of its square.
    bulge = (np.diff(s, axis=0)[:-1] ** 2).sum(axis=-1, keepdims=True) / 8
    with np.errstate(divide="ignore", invalid="ignore"):
        inside = np.minimum(pull[:-2], pull[1:-1])
        inside = np.where(sure, 1 / np.minimum(1.0, 1 / inside + bulge), inside)
    kappas = _ratio(_rows(inside).min(axis=1), np.maximum(high[:-2], high[1:-1]))
    reason = "" if kappa > 0 else "the probability of a right answer is zero on the way."
    return Convexity(_rows(s), kappa, kappas, reason)


def _of_callable(values: np.ndarray, target: Any, loss: PerExampleLoss, chart: str, kappa: float | None) -> Convexity:
    """A loss with a given κ, or a quadratic one, whose κ is that of its Hessian."""
    if chart != "outputs":
        if kappa is None:
            return _none(values, f"give kappa: a callable is a function of outputs, not of the chart {chart!r}.")
        q = class_probabilities(values, target)
        end = np.sqrt(q) if chart == "sphere" else q
        return _constant(to_chart(values, chart), end, kappa)
    end = _like(values, target)
    corners = values[np.unique(np.linspace(0, len(values) - 1, min(16, len(values))).astype(int))]
    with float64():
        points, labels = jnp.asarray(np.concatenate([end[None], corners])), jnp.asarray(end)
        slopes = np.abs(compiled_derivative(loss, jax.grad)(points, labels))
        if slopes[0].max() > 1e-6 * slopes.max():
            raise InputError(
                f"target: the loss has slope {slopes[0].max():.3g} there (up to {slopes.max():.3g} on the path), so it "
                "is not the minimiser; give the outputs at which the loss is least."
            )
        if kappa is not None:
            return _constant(values, end, kappa)
        hessians = np.asarray(compiled_derivative(loss, jax.hessian)(points, labels))
    if np.abs(hessians - hessians[0]).max() > 1e-9 * np.abs(hessians).max():
        return _none(values, "the Hessian of the loss changes along the path; give kappa, a bound that you can prove.")
    size = math.prod(end.shape[1:])
    eigenvalues = np.linalg.eigvalsh(hessians[0].reshape(len(end), size, size))
    if eigenvalues.min() <= 1e-12 * eigenvalues.max():
        return _none(values, "the loss is not strongly convex in the outputs.")
    return _constant(values, end, float(eigenvalues.min() / eigenvalues.max()))


@lru_cache(maxsize=64)
def compiled_derivative(loss: PerExampleLoss, derivative: Any) -> Any:
    """``(points [P, N, …], labels [N, …])`` to the derivative of each example's loss by its own outputs."""

    def of_one(outputs: Any, label: Any) -> Any:
        return loss(outputs[None], label[None])[0]

    return jax.jit(jax.vmap(jax.vmap(derivative(of_one)), (0, None)))


def _constant(values: np.ndarray, end: np.ndarray, kappa: float) -> Convexity:
    return Convexity(_rows(_with_end(values, end)), kappa, np.full(len(values) - 1, kappa))


def _none(values: np.ndarray, reason: str) -> Convexity:
    return Convexity(None, 0.0, np.zeros(len(values) - 1), reason)


def _ratio(low: Any, high: Any) -> Any:
    """μ/L, or 0 where L is not bounded."""
    bounded = np.isfinite(high) & (high > 0)
    ratio = np.where(bounded, low, 0.0) / np.where(bounded, high, 1.0)
    return float(ratio) if ratio.ndim == 0 else ratio


def _of_segments(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """κ on each segment of the path from bounds at its corners, the minimiser's last."""
    kappas: np.ndarray = _ratio(np.minimum(low[:-2], low[1:-1]), np.maximum(high[:-2], high[1:-1]))
    return kappas


def _rows(values: np.ndarray) -> np.ndarray:
    return values.reshape(len(values), int(np.prod(values.shape[1:])))


def _with_end(values: np.ndarray, end: np.ndarray) -> np.ndarray:
    return np.concatenate([values, end[None]])


def _finite(target: Any) -> np.ndarray:
    minimiser = np.asarray(target, dtype=np.float64)
    if not np.isfinite(minimiser).all():
        raise InputError("target: it has a NaN or an infinity; expected the finite minimiser of the loss.")
    return minimiser


def _like(values: np.ndarray, target: Any) -> np.ndarray:
    """A target with one number an output; ``[N]`` stands for ``[N, 1]``."""
    minimiser, shape = _finite(target), values.shape[1:]
    if [n for n in minimiser.shape if n != 1] != [n for n in shape if n != 1]:
        raise InputError(f"target: expected one number an output, shape {shape}; got {minimiser.shape}.")
    return minimiser.reshape(shape)


def _in_unit_interval(target: np.ndarray) -> np.ndarray:
    if target.min() < 0 or target.max() > 1:
        raise InputError(f"target: labels of 'bce' lie in [0, 1]; got {target.min():.3g} to {target.max():.3g}.")
    return target


def class_probabilities(values: np.ndarray, target: Any) -> np.ndarray:
    """Labels as probabilities ``[N, …, C]``: classes one-hot, probabilities as they are once they are checked."""
    labels = _finite(target)
    classes = max(2, values.shape[-1])
    if labels.shape == values.shape[1:-1]:
        if (labels != np.rint(labels)).any() or labels.min() < 0 or labels.max() >= classes:
            raise InputError(f"target: expected integer classes 0 … {classes - 1} for outputs {values.shape[1:]}.")
        hot: np.ndarray = np.eye(classes)[labels.astype(int)]
        return hot
    if labels.shape != (*values.shape[1:-1], classes):
        raise InputError(
            f"target: expected classes of shape {values.shape[1:-1]} or probabilities of shape "
            f"{(*values.shape[1:-1], classes)}; got {labels.shape}."
        )
    sums = labels.sum(axis=-1)
    if labels.min() < 0 or np.abs(sums - 1).max() > 1e-6:
        worst = float(sums.reshape(-1)[np.abs(sums - 1).argmax()])
        raise InputError(
            f"target: probabilities must be ≥ 0 and sum to one over the last axis; least {labels.min():.3g}, a sum "
            f"{worst:.6g}. Normalise them, or give classes."
        )
    probabilities: np.ndarray = labels / sums[..., None]
    return probabilities
