"""Kernels from factored rows: the same numbers as the explicit Jacobian gives, and only where factoring is right."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from allroads import Network, ParameterFunctionMap, float64
from allroads.networks.mlp import mlp
from allroads.networks.recurrent import recurrent
from allroads.networks.transformer import transformer
from allroads.pfmap.factored import dense_uses

A, B = 12, 20


def of(apply, *shapes):
    def init(key):
        return [jax.random.normal(k, s) for k, s in zip(jax.random.split(key, len(shapes)), shapes, strict=True)]

    return Network(init, apply)


@jax.custom_jvp
def straight_through(x):
    return jnp.sign(x)


straight_through.defjvp(lambda primals, tangents: (jnp.sign(primals[0]), tangents[0]))

CASES = {
    "plain": (of(lambda p, x: jnp.tanh(x @ p[0]) @ p[1], (A, B), (B, A)), [0, 1]),
    "columns": (of(lambda p, x: (p[1] @ jnp.tanh(p[0].T @ x.T)).T, (A, B), (A, B)), [0, 1]),
    "in a call": (of(lambda p, x: jax.jit(lambda w, x: jnp.tanh(x @ w))(p[0], x) @ p[1], (A, B), (B, A)), [0, 1]),
    "tied": (of(lambda p, x: jnp.tanh(x @ p[0]) @ p[0].T + x @ p[1], (A, B), (A, A)), [1]),
    "also penalised": (of(lambda p, x: x @ p[0] * (p[0] ** 2).mean() + x @ p[1], (A, B), (A, B)), [1]),
    "given out": (of(lambda p, x: x @ p[1] + jnp.zeros((len(x), 1)) + 0 * x.sum() + p[0].sum(), (A, B), (A, B)), [1]),
    "many positions": (of(lambda p, x: jnp.tanh(x.reshape(-1, 3, 4) @ p[0]).sum(1) @ p[1], (4, 40), (40, A)), [1]),
    "in a loop": (
        of(lambda p, x: jax.lax.fori_loop(0, 2, lambda _, h: jnp.tanh(h @ p[0]), x) @ p[1], (A, A), (A, B)),
        [1],
    ),
    "own derivative": (of(lambda p, x: straight_through(x @ p[0]) @ p[1], (A, B), (B, A)), [0, 1]),
    "small": (of(lambda p, x: jnp.tanh(x @ p[0]) @ p[1], (A, 2), (2, 1)), []),
}


@pytest.mark.parametrize("name", CASES)
def test_the_matrices_found_and_the_kernel_they_give(name):
    network, leaves = CASES[name]
    with float64():
        params = network.init(jax.random.key(0))
        inputs = np.random.default_rng(0).normal(size=(5, A))
        inputs[0] = 0.0  # units at exactly zero: their derivative is a matter of convention, and must be the network's
        assert [use.leaf for use in dense_uses(network, params, inputs[:1])] == leaves
        jacobian = jax.jacrev(lambda p: network.apply(p, jnp.asarray(inputs)))(params)
        rows = np.concatenate(
            [np.asarray(j).reshape(-1, p.size) for j, p in zip(jacobian, params, strict=True)], axis=1
        )
        kernel = ParameterFunctionMap(network, inputs).kernel(params)
    np.testing.assert_allclose(kernel, rows @ rows.T, rtol=0, atol=1e-10 * np.abs(rows @ rows.T).max())


def test_relu_units_at_zero_keep_their_derivative():
    network = mlp((A,), 1, widths=(B, B))
    with float64():
        params = network.init(jax.random.key(0))
        inputs = np.zeros((2, A))
        inputs[1] = 1.0
        jacobian = jax.jacrev(lambda p: network.apply(p, jnp.asarray(inputs)))(params)
        rows = np.concatenate([np.asarray(leaf).reshape(2, -1) for leaf in jax.tree.leaves(jacobian)], axis=1)
        kernel = ParameterFunctionMap(network, inputs).kernel(params)
        assert len(dense_uses(network, params, inputs[:1])) == 2
    np.testing.assert_allclose(kernel, rows @ rows.T, rtol=1e-10)


def test_built_in_networks_are_factored_where_one_vector_passes():
    tokens = np.zeros((1, 6), int)
    for build, expected in ((recurrent, 0), (transformer, 0)):
        network = build((6,), 2, vocabulary=5, per_position=True)
        shapes = jax.eval_shape(network.init, jax.random.key(0))
        assert len(dense_uses(network, shapes, jax.ShapeDtypeStruct(tokens.shape, tokens.dtype))) == expected


@pytest.mark.slow
def test_members_of_a_population_and_derivatives_go_through():
    network = mlp((A,), 2, widths=(B,))
    with float64():
        population = jax.vmap(network.init)(jax.random.split(jax.random.key(0), 3))
        inputs = np.random.default_rng(0).normal(size=(4, A))
        of_map = ParameterFunctionMap(network, inputs)
        together = jax.vmap(of_map.kernel)(population)
        first = jax.tree.map(lambda leaf: leaf[0], population)
        np.testing.assert_allclose(together[0], of_map.kernel(first), rtol=1e-12)
        step = jax.tree.map(lambda leaf: 1e-5 * jnp.ones_like(leaf), first)
        moved, back = (of_map.kernel(jax.tree.map(lambda p, s, f=f: p + f * s, first, step)).sum() for f in (1, -1))
        slope = jax.grad(lambda p: of_map.kernel(p).sum())(first)
        along = sum(jnp.vdot(a, b) for a, b in zip(jax.tree.leaves(slope), jax.tree.leaves(step), strict=True))
    assert 2 * float(along) == pytest.approx(float(moved - back), rel=1e-5)
