"""Means of the weights of a population, on logarithms."""

from __future__ import annotations

import math

import numpy as np


def mean_weights(log_weights: np.ndarray) -> tuple[np.ndarray, float]:
    """Log of the mean weight of each replica ``[R]``, and the variance of one such if particles were independent."""
    top = np.max(log_weights)
    weights = np.exp(log_weights - top)
    with np.errstate(divide="ignore"):
        means = np.log(weights.mean(1)) + top
    return means, float(weights.var() / weights.mean() ** 2 / weights.shape[1])


def log_mean(log_weights: np.ndarray, copies: np.ndarray) -> tuple[float, float]:
    """Log of the mean weight over all replicas, and its variance where a particle counts among ``copies`` of one.

    Half a particle of the largest weight is added, so that a share of none out of few has a finite log [haldane1956].
    """
    top = float(log_weights.max())
    top = top if math.isfinite(top) else 0.0
    weights = np.exp(log_weights - top)
    total = weights.sum() + 0.5
    squares = (copies * (weights - total / weights.size) ** 2).sum() + 0.5
    return top + math.log(total / weights.size), float(squares / total**2)
