"""Random signs: their moments, and what Langevin dynamics with them settles at."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from allroads import float64
from allroads.explorers.samplers import SAMPLERS
from allroads.explorers.samplers.protocol import Posterior
from allroads.explorers.samplers.signs import signs


@pytest.mark.parametrize("size", [1, 31, 32, 33, 1000])
def test_every_entry_is_a_sign_of_its_own(size):
    noise = np.array([signs(jax.random.key(seed), jnp.zeros(size)) for seed in range(400)])
    assert noise.shape == (400, size)
    assert set(np.unique(noise)) == {-1.0, 1.0}
    assert abs(noise.mean(0)).max() < 5 / 400**0.5
    covariance = noise.T @ noise / 400 - np.eye(size)
    assert abs(covariance).max() < 6 / 400**0.5


def test_a_quadratic_settles_at_the_variance_of_the_discrete_chain_at_any_step():
    """``z ← (1 − ε h/2) z + √ε ξ`` has the variance ``1/(h (1 − ε h/4))``, whatever the law of ξ."""
    curvatures = jnp.array([1.0, 4.0])
    step = 0.4  # 0.8 of the stiffest mode: variance 1/0.9 and 1/(4·0.6), far from 1 and 1/4
    with float64():
        law = Posterior(None, lambda z, key: (curvatures * z**2).sum() / 2, lambda z: 0.0 * z.sum())
        sampler = SAMPLERS["sgld"]

        def chain(key):
            state = sampler.init(jnp.zeros(2), law, key)
            return sampler.draw(key, state, law, step, 60)[0].position

        ends = jax.vmap(chain)(jax.random.split(jax.random.key(0), 20_000))
    expected = 1 / (curvatures * (1 - step * curvatures / 4))
    assert np.asarray(ends).var(0) == pytest.approx(np.asarray(expected), rel=0.05)
