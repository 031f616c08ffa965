"""Random signs: their moments, and what Langevin dynamics with them settles at."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from allroads import float64
from allroads.explorers.samplers import SAMPLERS
from allroads.explorers.samplers.protocol import Posterior
from allroads.explorers.samplers.signs import random_signs


@pytest.mark.parametrize("shape", [(), (1,), (31,), (32,), (33,), (1000,), (40, 7), (5, 33), (3, 4, 64), (0, 50)])
def test_every_entry_is_a_sign_of_its_own(shape, seed):
    noise = np.array([random_signs(jax.random.key(400 * seed + n), jnp.zeros(shape)) for n in range(400)])
    assert noise.shape == (400, *shape)
    noise = noise.reshape(400, -1)
    if not noise.size:
        return
    size = noise.shape[1]
    assert set(np.unique(noise)) == {-1.0, 1.0}
    assert abs(noise.mean(0)).max() < 5 / 400**0.5
    covariance = noise.T @ noise / 400 - np.eye(size)
    assert abs(covariance).max() < 6 / 400**0.5


def half_precision() -> bool:
    """Whether XLA converts to half precision here: at the level SSE4_2 it has no instruction for it, nor a routine."""
    try:
        return bool(jax.jit(lambda x: x.astype(jnp.float16))(jnp.ones(8))[0] == 1)
    except jax.errors.JaxRuntimeError:
        return False


def test_arrays_of_a_pytree_have_signs_of_their_own(seed):
    if not half_precision():
        pytest.skip("XLA has no conversion to half precision at this instruction set (SSE4_2)")
    like = {"a": jnp.zeros((8, 64)), "b": jnp.zeros((8, 64), jnp.float16), "c": jnp.zeros(512)}
    noise = random_signs(jax.random.key(seed), like)
    assert jax.tree.map(lambda x: (x.shape, x.dtype), noise) == jax.tree.map(lambda x: (x.shape, x.dtype), like)
    flat = np.stack([np.asarray(x, float).reshape(-1) for x in noise.values()])
    assert abs(np.corrcoef(flat) - np.eye(3)).max() < 5 / 512**0.5


@pytest.mark.slow
def test_walking_in_parts_is_walking_flat():
    """The same noise on one array or flat: the parts change nothing but what is joined when."""
    curvatures = jnp.linspace(0.5, 2.0, 20)

    def energy(parts):
        return (curvatures * jnp.concatenate([p.reshape(-1) for p in parts]) ** 2).sum() / 2

    flat = Posterior(None, lambda z, key: energy([z]), lambda z: 0.0 * z.sum())
    parted = Posterior(
        None,
        lambda parts, key: energy(parts),
        lambda parts: 0.0 * parts[0].sum(),
        lambda z: [z.reshape(4, 5)],
        lambda parts: parts[0].reshape(-1),
    )
    for name in ("sgld", "rmsprop_sgld", "sgnht"):
        ends = []
        for law in (flat, parted):
            state = SAMPLERS[name]().init(jnp.ones(20), law, jax.random.key(1))
            for key in jax.random.split(jax.random.key(2), 3):
                state, out = SAMPLERS[name]().draw(key, state, law, 0.1, 7)
            ends.append((np.asarray(state.position), float(out.energy)))
        np.testing.assert_allclose(ends[0][0], ends[1][0], rtol=1e-5)
        assert ends[0][1] == pytest.approx(ends[1][1], rel=1e-5)


def test_a_quadratic_settles_at_the_variance_of_the_discrete_chain_at_any_step(seed):
    """``z ← (1 − ε h/2) z + √ε ξ`` has the variance ``1/(h (1 − ε h/4))``, whatever the law of ξ."""
    curvatures = jnp.array([1.0, 4.0])
    step = 0.4  # 0.8 of the stiffest mode: variance 1/0.9 and 1/(4·0.6), far from 1 and 1/4
    with float64():
        law = Posterior(None, lambda z, key: (curvatures * z**2).sum() / 2, lambda z: 0.0 * z.sum())
        sampler = SAMPLERS["sgld"]()

        def chain(key):
            state = sampler.init(jnp.zeros(2), law, key)
            return sampler.draw(key, state, law, step, 60)[0].position

        ends = jax.vmap(chain)(jax.random.split(jax.random.key(seed), 20_000))
    expected = 1 / (curvatures * (1 - step * curvatures / 4))
    assert np.asarray(ends).var(0) == pytest.approx(np.asarray(expected), rel=0.05)
