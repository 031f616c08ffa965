"""The explorers and their learning rates: one a map and domain, none a target."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from allroads.explorers.build import build_explorer
from allroads.explorers.explorer import Explorer
from allroads.pfmap.losses import resolve_loss
from allroads.pfmap.network import Network

from .domain import load_domain
from .maps import MAPS, initial, load_map

BATCH = 32
MOMENTUM = 0.9
BUDGETS = {"gd": 2000, "sgd": 1200, "adam": 1200, "muon": 800}
"""Steps that a run may take, times the map's patience."""
FIXED_RATES = {"adam": 2.5e-4, "muon": 1e-3}
SPEEDS = {"modular11": (0.25, 4.0)}
"""One-hot inputs: small gradients, and a flat start; all explorers then need some hundreds of steps there too."""
CURVATURES = Path(__file__).parent / "data" / "curvatures.json"
SEEDS = (0, 1)


def curvature(name: str, domain: str) -> float:
    """Curvature of a map of the table on a domain, mean over the seeds."""
    data = load_domain(domain)
    labels = data.labels(next(iter(data.tasks)), data.train)
    starts = [initial(name, domain, seed) for seed in SEEDS]
    return mean_curvature(load_map(name, domain), data.inputs[data.train], labels, data.loss, starts)


def mean_curvature(network: Network, inputs: Any, labels: Any, loss: str, starts: list[Any], steps: int = 60) -> float:
    """Largest eigenvalue of the Gauss–Newton matrix of the training loss, mean over the starts.

    It does not depend on the labels: the loss's second derivative is constant for ``mse`` and that of the outputs
    alone for ``cross_entropy``.
    """
    inputs, labels = jnp.asarray(inputs), jnp.asarray(labels)
    per_example = resolve_loss(loss)

    @jax.jit
    def largest(params: Any) -> Any:
        outputs, forward = jax.linearize(lambda p: network.apply(p, inputs), params)
        backward = jax.linear_transpose(forward, params)
        slope = jax.grad(lambda o: per_example(o, labels).mean())

        def multiply(carry: Any, _: None) -> Any:
            vector, _ = carry
            curved = backward(jax.jvp(slope, (outputs,), (forward(vector),))[1])[0]
            norm = jnp.sqrt(sum(jnp.vdot(leaf, leaf) for leaf in jax.tree.leaves(curved)))
            return (jax.tree.map(lambda leaf: leaf / norm, curved), norm), None

        first = jax.tree.map(jnp.ones_like, params)
        size = jnp.sqrt(float(sum(leaf.size for leaf in jax.tree.leaves(params))))
        start = jax.tree.map(lambda leaf: leaf / size, first)
        return jax.lax.scan(multiply, (start, jnp.zeros(())), None, length=steps)[0][1]

    return sum(float(largest(start)) for start in starts) / len(starts)


@cache
def _curvatures() -> dict[str, dict[str, float]]:
    return json.loads(CURVATURES.read_text())


def learning_rate(explorer: str, name: str, domain: str) -> float:
    """By rule, rounded to two digits.

    gd: 1/(2λ), a quarter of the edge of stability. sgd: twice as fast with the momentum's gain taken out, (1 − μ)/λ.
    adam: 2.5e-4. muon: 1e-3 for matrices, and for the rest Adam at a quarter of that. Where ``SPEEDS`` has the domain,
    times its factor: of gd and sgd, of adam and muon.
    """
    flow, fixed = SPEEDS.get(domain, (1.0, 1.0))
    if explorer in FIXED_RATES:
        return FIXED_RATES[explorer] * fixed
    return flow_rate(explorer, _curvatures()[domain][name] / flow)


def flow_rate(explorer: str, curvature: float) -> float:
    """Learning rate of gd or sgd where the largest curvature is so much."""
    return float(f"{(0.5 if explorer == 'gd' else 1 - MOMENTUM) / curvature:.2g}")


def budget(explorer: str, name: str) -> int:
    """Steps that a run of an explorer on a map may take."""
    return BUDGETS[explorer] * MAPS[name].patience


def options(explorer: str, rate: float) -> dict[str, Any]:
    """What the explorer is built with."""
    return {"learning_rate": rate} | {
        "sgd": {"momentum": MOMENTUM, "batch_size": BATCH},
        "muon": {"adam_learning_rate": rate / 4},
    }.get(explorer, {})


def load_explorer(explorer: str, rate: float) -> Explorer:
    """An allroads explorer with the options of this benchmark."""
    return build_explorer(explorer, **options(explorer, rate))
