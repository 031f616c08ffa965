"""Networks for the benchmarks of programs: trained in packs, disturbed, and computed a second time without JAX."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from allroads import Network, Target
from allroads.pfmap.losses import resolve_loss

ACTIVATIONS = {
    "relu": lambda v: np.maximum(v, 0.0),
    "tanh": np.tanh,
    "identity": lambda v: v,
    "square": np.square,
}


def fit(
    network: Network,
    loss: str,
    inputs: Any,
    labels: Any,
    steps: Sequence[int],
    *,
    rate: float,
    decay: float = 0.0,
    seed: int,
) -> list[Any]:
    """One network per row of labels ``[M, N, ...]``, trained by AdamW on all inputs, each for steps of its own."""
    value = resolve_loss(loss)
    optimiser = optax.adamw(rate, weight_decay=decay)
    inputs = jnp.asarray(inputs)
    most = max(steps)

    def one(key: Any, own: Any, count: Any) -> Any:
        def cost(params: Any) -> Any:
            return value(network.apply(params, inputs), own).mean()

        def step(t: Any, carried: Any) -> Any:
            params, state = carried
            moves, state = optimiser.update(jax.grad(cost)(params), state, params)
            return jax.tree.map(lambda p, m: p + jnp.where(t < count, m, 0), params, moves), state

        start = network.init(key)
        return jax.lax.fori_loop(0, most, step, (start, optimiser.init(start)))[0]

    keys = jax.random.split(jax.random.key(seed), len(labels))
    found = jax.device_get(jax.jit(jax.vmap(one))(keys, jnp.asarray(labels), jnp.asarray(steps)))
    return [jax.tree.map(lambda leaf, k=k: leaf[k], found) for k in range(len(labels))]


def drawn(network: Network, count: int, seed: int, scale: float | None = None) -> list[Any]:
    """Untrained networks; with a scale, normal weights and biases of sizes around it (a factor of 3 up or down)."""
    keys = jax.random.split(jax.random.key(seed), count)
    found = jax.device_get(jax.jit(jax.vmap(network.init))(keys))
    points = [jax.tree.map(lambda leaf, k=k: leaf[k], found) for k in range(count)]
    if scale is None:
        return points
    rng = np.random.default_rng([seed, 1])
    sizes = scale * 3 ** rng.uniform(-1, 1, count)
    return [
        jax.tree.map(lambda leaf, s=size: (s * rng.standard_normal(leaf.shape)).astype(np.float32), point)
        for point, size in zip(points, sizes, strict=True)
    ]


def outputs_of(params: Any, inputs: np.ndarray, *, cell: str, activation: str, vocabulary: int | None) -> np.ndarray:
    """Outputs in double precision by plain NumPy: an independent computation of the networks used here.

    ``cell`` is ``"mlp"``, ``"embedding_sum"``, ``"elman"`` or ``"gru"``, parameters as in ``allroads.networks``.
    """
    point = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
    phi = ACTIVATIONS[activation]
    if cell == "embedding_sum":
        tables = point["embed"]
        summed = sum(tables[s][inputs[:, s]] for s in range(inputs.shape[1]))
        return np.asarray(phi(summed) @ point["readout"]["weight"] + point["readout"].get("bias", 0.0))
    if cell == "mlp":
        x = np.asarray(inputs, np.float64).reshape(len(inputs), -1)
        for layer in point["layers"][:-1]:
            x = phi(x @ layer["weight"] + layer["bias"])
        return np.asarray(x @ point["layers"][-1]["weight"] + point["layers"][-1]["bias"])
    given = np.asarray(inputs)
    if vocabulary is not None:
        given = np.eye(vocabulary)[given].reshape(*given.shape[:2], -1)
    given = given.reshape(*given.shape[:2], -1).astype(np.float64)
    (layer,) = point["layers"]
    state = np.zeros((len(given), layer["hidden"].shape[0]))
    found = []
    for position in range(given.shape[1]):
        drive, own = given[:, position] @ layer["input"] + layer["bias"], state @ layer["hidden"]
        if cell == "elman":
            state = phi(drive + own)
        else:
            reset_in, update_in, new_in = np.split(drive, 3, axis=1)
            reset_own, update_own, new_own = np.split(own, 3, axis=1)
            reset, update = (1 / (1 + np.exp(-v)) for v in (reset_in + reset_own, update_in + update_own))
            new = phi(new_in + reset * (new_own + layer["bias_new"]))
            state = new + update * (state - new)
        found.append(state @ point["readout"]["weight"] + point["readout"]["bias"])
    return np.stack(found, axis=1)


def decided(outputs: np.ndarray, loss: str) -> tuple[np.ndarray, np.ndarray]:
    """Answers and their margins by the loss: classes, bits, or the nearest whole numbers ``[…, C]``."""
    if loss == "cross_entropy":
        top = np.sort(outputs, axis=-1)[..., -2:]
        return outputs.argmax(-1)[..., None], ((top[..., 1] - top[..., 0]) / 2)[..., None]
    if loss == "bce":
        return (outputs > 0).astype(int), np.abs(outputs)
    return np.rint(outputs), 0.5 - np.abs(outputs - np.rint(outputs))


def disturbed(params: Any, rng: np.random.Generator, noise: float, activation: str = "relu") -> Any:
    """The same function by other weights: relative noise, hidden units in another order, and rescaled.

    A ReLU unit may be rescaled by any λ > 0, a unit of tanh by −1 alone, one of the identity by any λ.
    """
    point = jax.tree.map(lambda leaf: np.array(leaf, np.float64), params)
    point = jax.tree.map(lambda leaf: leaf * (1 + noise * rng.standard_normal(leaf.shape)), point)
    if "readout" in point:
        (layer,) = point["layers"]
        order, scale = _moved(rng, len(layer["bias"]), activation)
        layer["input"] = layer["input"][:, order] * scale
        layer["bias"] = layer["bias"][order] * scale
        layer["hidden"] = layer["hidden"][np.ix_(order, order)] * scale / scale[:, None]
        point["readout"]["weight"] = point["readout"]["weight"][order] / scale[:, None]
        return jax.tree.map(lambda leaf: leaf.astype(np.float32), point)
    for layer, following in itertools.pairwise(point["layers"]):
        order, scale = _moved(rng, len(layer["bias"]), activation)
        layer["weight"], layer["bias"] = layer["weight"][:, order] * scale, layer["bias"][order] * scale
        following["weight"] = following["weight"][order] / scale[:, None]
    return jax.tree.map(lambda leaf: leaf.astype(np.float32), point)


def _moved(rng: np.random.Generator, size: int, activation: str) -> tuple[np.ndarray, np.ndarray]:
    signs = rng.choice([-1.0, 1.0], size)
    if activation == "tanh":
        return rng.permutation(size), signs
    sizes = 2.0 ** rng.uniform(-1, 1, size)
    return rng.permutation(size), sizes * signs if activation == "identity" else sizes


def words_of(target: Target) -> np.ndarray:
    """The whole domain of a target, as its networks read it."""
    assert target.full is not None
    return target.full.inputs
