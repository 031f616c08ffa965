"""The losses of ``certificate.py``, each with its chart, its minimisers and the certificate for it: ``CASES``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from allroads.paths.certify import certify


@dataclass(frozen=True)
class Case:
    """A loss in a chart.

    ``start(rng)`` gives a point of the chart ``[N, C]`` and the minimiser there; ``project`` takes coordinates back
    onto the chart; ``values`` takes them to outputs; ``loss`` and ``gradient`` take ``[…, N, C]`` and the minimiser.
    """

    name: str
    chart: str
    start: Callable[[np.random.Generator], tuple[np.ndarray, np.ndarray]]
    loss: Callable[[np.ndarray, np.ndarray], np.ndarray]
    gradient: Callable[[np.ndarray, np.ndarray], np.ndarray]
    project: Callable[[np.ndarray], np.ndarray]
    certify: Callable[[np.ndarray, np.ndarray], Any]
    between: bool = True
    reachable: bool = True


def quadratic(kappa: float) -> Case:
    """½ Σ h_c (f_c − y_c)² with curvatures h from κ to 1."""
    curvatures = np.geomspace(kappa, 1.0, 4)

    def start(rng):
        end = rng.normal(size=(2, 4))
        # Worst for two curvatures: distances in proportion to their inverse roots.
        away = rng.normal(size=(2, 4)) * rng.choice([0.0, 1.0], size=(2, 4)) / np.sqrt(curvatures)
        away[0] += rng.choice([-1.0, 1.0], size=4) * np.array([1, 0, 0, 1]) / np.sqrt(curvatures)
        return end + away, end

    def judge(path, end):
        if kappa == 1:
            return certify(path, end, "mse")
        return certify(path, end, per_example, kappa=kappa)

    def per_example(outputs, labels):
        return 0.5 * (curvatures * (outputs - labels) ** 2).sum(-1)

    return Case(
        "mse" if kappa == 1 else f"quadratic, κ = 1/{round(1 / kappa)}",
        "outputs",
        start,
        lambda z, end: 0.5 * (curvatures * (z - end) ** 2).sum((-2, -1)),
        lambda z, end: curvatures * (z - end),
        lambda z: z,
        judge,
    )


def log_cosh(kappa: float) -> Case:
    """Σ ½ κ x² + (1 − κ) log cosh x: the Hessian lies between κ and 1."""

    def start(rng):
        end = rng.normal(size=(2, 4))
        return end + rng.normal(size=(2, 4)) * 10 ** rng.uniform(-1, 1.5, size=(2, 4)), end

    def per_example(outputs, labels):
        import jax.numpy as jnp

        x = outputs - labels
        return (0.5 * kappa * x**2 + (1 - kappa) * (jnp.logaddexp(x, -x) - np.log(2))).sum(-1)

    def loss(z, end):
        x = z - end
        return (0.5 * kappa * x**2 + (1 - kappa) * (np.logaddexp(x, -x) - np.log(2))).sum((-2, -1))

    return Case(
        f"log cosh, κ = 1/{round(1 / kappa)}",
        "outputs",
        start,
        loss,
        lambda z, end: kappa * (z - end) + (1 - kappa) * np.tanh(z - end),
        lambda z: z,
        lambda path, end: certify(path, end, per_example, kappa=kappa),
    )


def softmax(scores: np.ndarray) -> np.ndarray:
    p = np.exp(scores - scores.max(-1, keepdims=True))
    return p / p.sum(-1, keepdims=True)


def on_simplex(z: np.ndarray) -> np.ndarray:
    z = np.maximum(z, 1e-9)
    return z / z.sum(-1, keepdims=True)


def on_sphere(z: np.ndarray) -> np.ndarray:
    z = np.maximum(z, 1e-6)
    return z / np.linalg.norm(z, axis=-1, keepdims=True)


def entropy_of(q: np.ndarray, logs: np.ndarray) -> np.ndarray:
    return -(q * logs).sum((-2, -1)) / q.shape[-2]


def sure_on_sphere(classes: int, loss_name: str) -> Case:
    """Sure labels, √p."""

    def start(rng):
        end = np.eye(classes)[rng.integers(classes, size=3)]
        scores = rng.normal(size=(3, classes)) * 10 ** rng.uniform(-1, 0.6) + end * rng.uniform(0, 4, size=(3, 1))
        return np.sqrt(softmax(scores)), end

    def judge(path, end):
        if loss_name == "bce":
            return certify(2 * np.log(path[..., 1:] / path[..., :1]), end[:, 1], "bce", chart="sphere")
        return certify(2 * np.log(path), end.argmax(-1), "cross_entropy", chart="sphere")

    return Case(
        f"{loss_name}, sure labels, C = {classes}",
        "sphere",
        start,
        lambda z, end: entropy_of(end, 2 * np.log(z)),
        lambda z, end: -2 * (end - (end * z).sum(-1, keepdims=True) * z) / (end * z).sum(-1, keepdims=True),
        on_sphere,
        judge,
        between=False,
        reachable=False,
    )


def soft(chart: str) -> Case:
    """Labels that are not sure, in one of the charts."""

    def start(rng):
        q = softmax(rng.normal(size=(2, 4)))
        p = softmax(np.log(q) + rng.normal(size=(2, 4)) * 10 ** rng.uniform(-1, 0.5))
        return (
            (p, q)
            if chart == "probabilities"
            else (np.sqrt(p), np.sqrt(q))
            if chart == "sphere"
            else map(logits, (p, q))
        )

    def logits(p):
        scores = np.log(p)
        return scores - scores.mean(-1, keepdims=True)

    table = {
        "outputs": (
            lambda z, end: entropy_of(softmax(end), np.log(softmax(z))),
            lambda z, end: softmax(z) - softmax(end),
            lambda z: z - z.mean(-1, keepdims=True),
            lambda path, end: certify(path, softmax(end), "cross_entropy"),
        ),
        "probabilities": (
            lambda z, end: entropy_of(end, np.log(z)),
            lambda z, end: (lambda g: g - g.mean(-1, keepdims=True))(-end / z),
            on_simplex,
            lambda path, end: certify(np.log(path), end, "cross_entropy", chart="probabilities"),
        ),
        "sphere": (
            lambda z, end: entropy_of(end**2, 2 * np.log(z)),
            lambda z, end: (lambda g: g - (g * z).sum(-1, keepdims=True) * z)(-(end**2) / z),
            on_sphere,
            lambda path, end: certify(2 * np.log(path), end**2, "cross_entropy", chart="sphere"),
        ),
    }
    return Case("cross_entropy, soft labels", chart, start, *table[chart], between=chart != "sphere")


CASES = (
    quadratic(1.0),
    quadratic(1 / 4),
    quadratic(1 / 25),
    quadratic(1 / 400),
    log_cosh(1 / 10),
    sure_on_sphere(2, "bce"),
    sure_on_sphere(4, "cross_entropy"),
    sure_on_sphere(10, "cross_entropy"),
    soft("outputs"),
    soft("probabilities"),
    soft("sphere"),
)
