"""The map of n-2-1 networks with weights −1, 0 and 1, which has 3^(2n+5) points: every quantity by enumeration."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np

from allroads import Network, exact_neighbour_share
from allroads.atlases.neighbours import EnumeratedMap


def size(bits):
    return 2 * bits + 5


def cube(bits):
    """All inputs of ±1, row r the one whose bit i is (r >> i) & 1."""
    return 2.0 * (np.arange(1 << bits)[:, None] >> np.arange(bits) & 1) - 1


def ternary(bits):
    """The network; sign(0) = −1, and every weight is drawn alike."""

    def apply(w, x):
        hidden = jnp.where(x @ w[: 2 * bits].reshape(bits, 2) + w[2 * bits : 2 * bits + 2] > 0, 1.0, -1.0)
        return hidden @ w[2 * bits + 2 : 2 * bits + 4] + w[2 * bits + 4]

    return Network(lambda key: jax.random.randint(key, (size(bits),), -1, 2).astype(float), apply)


def one_weight(key, w):
    """Another value for one weight."""
    place, other = jax.random.split(key)
    step = jax.random.randint(other, (), 1, 3)
    at = jax.random.randint(place, (), 0, w.size)
    return w.at[at].set((w[at] + 1 + step) % 3 - 1)


def functions(bits):
    """The code of the function at each point, the points in base 3."""
    points = np.array(list(itertools.product((-1, 0, 1), repeat=size(bits))))
    x = cube(bits)
    hidden = np.where(np.einsum("ri,pij->prj", x, points[:, : 2 * bits].reshape(-1, bits, 2))
        + points[:, None, 2 * bits : 2 * bits + 2] > 0, 1, -1)  # fmt: skip
    z = (hidden * points[:, None, 2 * bits + 2 : 2 * bits + 4]).sum(-1) + points[:, None, 2 * bits + 4]
    return (z > 0) @ (1 << np.arange(1 << bits))


def truth(bits):
    """Codes, their numbers of points, and the robustness of each under a change of one weight."""
    codes, index = np.unique(functions(bits), return_inverse=True)
    grid = EnumeratedMap((np.array([-1, 0, 1]),) * size(bits), index, tuple(codes.tolist()))
    return codes, grid.counts, exact_neighbour_share(grid).robustness
