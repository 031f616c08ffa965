"""World 3: tanh networks of three bits from random weights to each function, for H3."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from allroads.networks.mlp import mlp
from hypotheses import distances
from hypotheses.transfer import same_signs, signs, transfer

STEPS, RATE, SEEDS = 1500, 0.02, 4
INPUTS = 1.0 - 2 * (np.arange(8)[:, None] >> np.arange(3) & 1)


def walks(width: int, seed: int = 0) -> tuple[list[list[int]], float]:
    """Functions along four runs to each of the 256 that arrive, and the share that does."""
    network = mlp((3,), 1, widths=(width,), activation="tanh", init="lecun", bias="normal")
    tables = np.repeat(np.arange(distances.ALL), SEEDS)
    labels = (2.0 * (tables[:, None] >> np.arange(8) & 1) - 1)[..., None].astype(np.float32)
    starts = jax.vmap(network.init)(jax.random.split(jax.random.key(seed), len(tables)))
    found = transfer(
        network.apply, same_signs, starts, jnp.asarray(INPUTS), labels, rate=RATE, steps=STEPS, record=signs
    )
    codes = np.packbits(np.unpackbits(found.records, axis=-1), axis=-1, bitorder="little")[..., 0]
    arrived = found.steps >= 0
    return [codes[run].tolist() for run in np.flatnonzero(arrived)], float(arrived.mean())
