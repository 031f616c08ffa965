"""Landscapes whose minima, saddles and passes are known exactly, as problems."""

import itertools

import jax.numpy as jnp
import numpy as np
from scipy.optimize import brentq

from allroads import Network, Problem

ONE = np.ones((1, 1))


def landscape(energy, size):
    """The problem whose loss at w, ``[size]``, is ``energy(w)``."""
    network = Network(lambda key: jnp.ones(size), lambda w, x: x * energy(w), name="landscape")
    return Problem(network, lambda outputs, labels: outputs[:, 0], ONE, ONE)


def two_layers(target):
    """``½ ‖W₂ W₁ − M‖²`` over square factors."""
    n, goal = len(target), np.asarray(target).tolist()  # lists take the precision of the moment

    def energy(w):
        first, second = w[: n * n].reshape(n, n), w[n * n :].reshape(n, n)
        return 0.5 * ((second @ first - jnp.array(goal)) ** 2).sum()

    return landscape(energy, 2 * n * n)


def factored(target, first):
    """The point W₁, W₂ = M W₁⁻¹ of two_layers, where the loss is 0."""
    first = np.asarray(first, float)
    return jnp.asarray(np.concatenate([first.ravel(), (target @ np.linalg.inv(first)).ravel()]))


def product(strength, depth):
    """``½ (w₁ … w_D − s)²``."""
    return landscape(lambda w: 0.5 * (jnp.prod(w) - strength) ** 2, depth)


def modes(strengths, decay, depth=3):
    """``Σ_i ½ (Π_d w_id − s_i)² + λ/2 Σ w²``: modes that are on or off, each on its own."""
    count = len(strengths)

    def energy(w):
        return (
            0.5 * ((w.reshape(count, depth).prod(axis=1) - jnp.array(strengths)) ** 2).sum() + decay / 2 * (w**2).sum()
        )

    return landscape(energy, count * depth)


def mode_energy(u, strength, decay, depth=3):
    """Energy of one mode whose weights are all u."""
    return 0.5 * (u**depth - strength) ** 2 + depth * decay / 2 * u**2


def mode_critical(strength, decay):
    """Saddle and "on" minimum of one mode of depth 3: the roots of ``u (s − u³) = λ``."""
    top = (strength / 4) ** (1 / 3)

    def slope(u):
        return u * (strength - u**3) - decay

    return brentq(slope, 0.0, top), brentq(slope, top, 2 * strength ** (1 / 3))


def subsets(count):
    return list(itertools.product((0, 1), repeat=count))


MULLER_BROWN = {
    "minima": ((-0.558224, 1.441726), (0.623499, 0.028038), (-0.050011, 0.466694)),
    "energies": (-146.6995, -108.1667, -80.7678),
    "saddles": (-40.6648, -72.2489),
}
"""Minima by depth; the saddles lie between the first and the third, and the third and the second."""


def muller_brown():
    rows = ((-200, -100, -170, 15), (1, 0, -0.5, -1), (0, 0.5, 1.5, 1))
    rows += ((-1, -1, -6.5, 0.7), (0, 0, 11, 0.6), (-10, -10, -6.5, 0.7))

    def energy(w):
        height, x0, y0, a, b, c = (jnp.array(row, float) for row in rows)
        dx, dy = w[0] - x0, w[1] - y0
        return (height * jnp.exp(a * dx**2 + b * dx * dy + c * dy**2)).sum()

    return landscape(energy, 2)
