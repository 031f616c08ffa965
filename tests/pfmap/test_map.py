import dataclasses
import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from allroads.errors import InputError, MemoryBudgetError
from allroads.pfmap.kernel import examples_apart, kernel_function, plan_kernel
from allroads.pfmap.map import ParameterFunctionMap
from allroads.pfmap.network import Network
from allroads.pfmap.precision import float64

RNG = np.random.default_rng(0)


def normal(key, *shape):
    return jax.random.normal(key, shape) / np.sqrt(shape[0])


def mlp():
    def init(key):
        a, b, c = jax.random.split(key, 3)
        return {"in": (normal(a, 3, 8), normal(c, 8)), "out": [normal(b, 8, 2)]}

    def apply(params, x):
        weight, bias = params["in"]
        return jnp.tanh(x @ weight + bias) @ params["out"][0]

    return Network(init, apply), RNG.normal(size=(7, 3))


def conv():
    def init(key):
        a, b = jax.random.split(key)
        return {"kernel": normal(a, 3, 3, 1, 4), "head": normal(b, 4 * 16, 3)}

    def apply(params, x):
        maps = jax.lax.conv_general_dilated(
            x, params["kernel"], (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        return jax.nn.relu(maps).reshape(x.shape[0], -1) @ params["head"]

    return Network(init, apply), RNG.normal(size=(4, 6, 6, 1))


def gru():
    """An Equinox module as the parameters, one output a position."""

    def init(key):
        a, b = jax.random.split(key)
        return {"cell": eqx.nn.GRUCell(2, 4, key=a), "head": normal(b, 4, 2)}

    def apply(params, x):
        def step(state, x):
            state = jax.vmap(params["cell"])(x, state)
            return state, state @ params["head"]

        state = jnp.zeros((x.shape[0], 4), params["head"].dtype)
        return jnp.swapaxes(jax.lax.scan(step, state, jnp.swapaxes(x, 0, 1))[1], 0, 1)

    return Network(init, apply), RNG.normal(size=(3, 5, 2))


def transformer():
    """Tokens in, one attention head, tied embedding."""

    def init(key):
        keys = jax.random.split(key, 4)
        return {"embed": normal(keys[0], 6, 4), "qkv": tuple(normal(k, 4, 4) for k in keys[1:])}

    def apply(params, tokens):
        h = params["embed"][tokens]
        q, k, v = (h @ w for w in params["qkv"])
        pattern = jax.nn.softmax(q @ jnp.swapaxes(k, 1, 2))
        return (h + pattern @ v)[:, -1] @ params["embed"].T

    return Network(init, apply), RNG.integers(0, 6, size=(5, 3))


def batch_norm():
    """Batch-coupled: every output depends on every example."""

    def init(key):
        a, b = jax.random.split(key)
        return {"in": normal(a, 3, 6), "out": normal(b, 6, 2)}

    def apply(params, x):
        h = x @ params["in"]
        return jnp.tanh((h - h.mean(0)) / jnp.sqrt(h.var(0) + 0.1)) @ params["out"]

    return Network(init, apply), RNG.normal(size=(6, 3))


CASES = {f.__name__: f for f in (mlp, conv, gru, transformer, batch_norm)}
SEPARATE = {"mlp": True, "conv": True, "gru": True, "transformer": True, "batch_norm": False}


def drawn_params(network, seed=0, *lead):
    rng = np.random.default_rng(seed)
    shapes = jax.eval_shape(network.init, jax.random.key(0))
    return jax.tree.map(lambda leaf: 0.7 * rng.normal(size=(*lead, *leaf.shape)), shapes)


def explicit_jacobian(network, params, inputs):
    """[N·C, P] by forward mode, one column a parameter."""
    jacobian = jax.jit(jax.jacfwd(lambda p: network.apply(p, jnp.asarray(inputs)).reshape(-1)))
    with float64():
        columns = jax.tree.leaves(jacobian(params))
    return np.concatenate([np.asarray(c).reshape(c.shape[0], -1) for c in columns], axis=1)


@functools.cache
def case(name):
    """A network, its inputs, a point, and the explicit Jacobian there."""
    network, inputs = CASES[name]()
    params = drawn_params(network)
    return network, inputs, params, explicit_jacobian(network, params, inputs)


def flat(tree):
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)])


def relative(ours, expected):
    return np.max(np.abs(np.asarray(ours) - expected)) / np.max(np.abs(expected))


@pytest.mark.parametrize("name", CASES)
def test_everything_equals_the_explicit_jacobian(name):
    network, inputs, params, jacobian = case(name)
    F, tangent = ParameterFunctionMap(network, inputs), drawn_params(network, 1)
    with float64():
        values = F.values(params)
        assert values.dtype == F.jvp(params, tangent).dtype == jacobian.dtype == np.float64
        v = RNG.normal(size=values.shape)
        assert relative(values, jax.jit(network.apply)(params, jnp.asarray(inputs))) < 1e-14
        assert relative(F.jvp(params, tangent), (jacobian @ flat(tangent)).reshape(values.shape)) < 1e-10
        back = F.vjp(params, v)
        assert jax.tree.structure(back) == jax.tree.structure(params)
        assert relative(flat(back), jacobian.T @ v.ravel()) < 1e-10
        kernel = jacobian @ jacobian.T
        assert relative(F.kernel(params), kernel) < 1e-10
        assert relative(F.kernel_product(params, v), (kernel @ v.ravel()).reshape(v.shape)) < 1e-10
        assert relative(F.kernel_product(params, v.ravel()), kernel @ v.ravel()) < 1e-10


@pytest.mark.parametrize("name", CASES)
def test_jacobian_equals_finite_differences(name):
    """Central differences: h² of a third derivative, 1e-10, and rounding over h, 1e-11; no derivative is used."""
    network, inputs, params, jacobian = case(name)
    F, tangent, h = ParameterFunctionMap(network, inputs), drawn_params(network, 2), 1e-5
    with float64():
        ahead, behind = (F.values(jax.tree.map(lambda p, t, s=step: p + s * t, params, tangent)) for step in (h, -h))
        difference = np.asarray((ahead - behind) / (2 * h))
        assert relative(F.jvp(params, tangent), difference) < 1e-6
    assert relative(jacobian @ flat(tangent), difference.ravel()) < 1e-6


@pytest.mark.parametrize(
    ("name", "apart", "block", "band"),
    [("mlp", True, *cut) for cut in ((1, 1), (1, 100), (5, 1), (5, 2), (7, 1), (100, 1))]
    + [("mlp", False, 5, 2), ("batch_norm", False, 1, 3), ("batch_norm", False, 5, 1)],
)
def test_every_way_of_cutting_the_jacobian_gives_the_same_kernel(name, apart, block, band):
    network, inputs, params, jacobian = case(name)
    with float64():
        whole = plan_kernel(network, params, jnp.asarray(inputs), apart, 2**31)
        block = min(block, whole.rows)
        plan = dataclasses.replace(whole, block=block, band=min(band, -(-whole.rows // block)))
        kernel = kernel_function(network, plan)(params, jnp.asarray(inputs))
    assert relative(kernel, jacobian @ jacobian.T) < 1e-10
    np.testing.assert_array_equal(kernel, kernel.T)


@pytest.mark.parametrize("name", CASES)
def test_separate_and_coupled_networks_are_told_apart(name):
    network, inputs, params, _ = case(name)
    with float64():
        assert examples_apart(network, params, inputs) is SEPARATE[name]


def test_coupling_that_the_values_hide_is_found():
    """A zero head gives equal values alone and in the batch, but not an equal Jacobian."""
    network, inputs, params, _ = case("batch_norm")
    params = params | {"out": np.zeros((6, 2))}
    jacobian = explicit_jacobian(network, params, inputs)
    F = ParameterFunctionMap(network, inputs)
    with float64():
        for kernel in (F.kernel, jax.jit(F.kernel)):
            assert relative(kernel(params), jacobian @ jacobian.T) < 1e-10


def test_coupling_that_only_this_point_shows_is_found():
    """Coupled where w > 5, which no drawn point reaches."""
    inputs, w = RNG.normal(size=(4, 3)), np.array([[6.0], [1.0], [2.0]])
    network = Network(None, lambda w, x: x @ w + jnp.where(w.max() > 5, x.mean(0) @ w**2, 0.0))
    jacobian = explicit_jacobian(network, w, inputs)
    with float64():
        assert relative(ParameterFunctionMap(network, inputs).kernel(w), jacobian @ jacobian.T) < 1e-10


@pytest.mark.parametrize(("name", "share"), [("mlp", 2.5), ("mlp", 0.9), ("batch_norm", 0.9)])
def test_kernels_of_members_under_vmap_equal_those_one_by_one(name, share):
    """With room for two members side by side, and with room for less than one whole Jacobian."""
    network, inputs, params, _ = case(name)
    population = drawn_params(network, 5, 3)
    with float64():
        whole = plan_kernel(network, params, jnp.asarray(inputs), SEPARATE[name], 2**31)
        F = ParameterFunctionMap(network, inputs, memory=int(share * whole.bytes))
        packed = jax.jit(jax.vmap(F.kernel))(population)
    for m, kernel in enumerate(packed):
        jacobian = explicit_jacobian(network, jax.tree.map(lambda leaf, m=m: leaf[m], population), inputs)
        assert relative(kernel, jacobian @ jacobian.T) < 1e-10


def test_products_of_members_under_vmap_equal_those_one_by_one():
    network, inputs, *_ = case("transformer")
    F, population = ParameterFunctionMap(network, inputs), drawn_params(network, 6, 2)
    v = RNG.normal(size=(5, 6))
    with float64():
        everything = lambda p: (F.values(p), F.kernel_product(p, v), F.vjp(p, v), F.jvp(p, p))  # noqa: E731
        packed, one = jax.jit(jax.vmap(everything))(population), jax.jit(everything)
        for m in range(2):
            alone = one(jax.tree.map(lambda leaf, m=m: leaf[m], population))
            assert relative(flat(jax.tree.map(lambda leaf, m=m: leaf[m], packed)), flat(alone)) < 1e-12


def test_float32_stays_float32():
    network, inputs, params, jacobian = case("mlp")
    F = ParameterFunctionMap(network, inputs)
    kernel = F.kernel(params)
    assert kernel.dtype == F.values(params).dtype == jnp.float32
    assert relative(kernel, jacobian @ jacobian.T) < 1e-5


def test_kernel_can_be_differentiated():
    network, inputs, params, _ = case("mlp")
    F = ParameterFunctionMap(network, inputs)

    def plain(params):
        rows = jax.jacrev(lambda p: F.values(p).ravel())(params)
        jacobian = jnp.concatenate([leaf.reshape(14, -1) for leaf in jax.tree.leaves(rows)], axis=1)
        return jacobian @ jacobian.T

    with float64():
        ours, expected = (jax.jit(jax.grad(lambda p, k=k: k(p)[0, 5]))(params) for k in (F.kernel, plain))
        assert relative(flat(ours), flat(expected)) < 1e-10


def test_integer_parameter_is_named():
    F = ParameterFunctionMap(Network(None, lambda p, x: x @ p["w"]), np.ones((2, 1)))
    with pytest.raises(InputError, match=r"params\['steps'\] is int32, not a floating-point array"):
        F.kernel({"w": jnp.ones((1, 1)), "steps": jnp.arange(3)})


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_inputs_that_are_not_finite_are_counted_and_located(bad):
    inputs = np.ones((5, 2))
    inputs[3, 1] = inputs[4, 0] = bad
    with pytest.raises(InputError, match="2 of 5 examples, the first at index 3"):
        ParameterFunctionMap(Network(None, lambda p, x: x @ p), inputs)


@pytest.mark.parametrize("inputs", [np.zeros((0, 3)), np.array(["a"]), np.float64(1.0)])
def test_inputs_that_are_no_examples_are_refused(inputs):
    with pytest.raises(InputError, match="inputs have"):
        ParameterFunctionMap(Network(None, lambda p, x: x @ p), inputs)


def test_wrong_shapes_are_named():
    network, inputs, params, _ = case("mlp")
    F = ParameterFunctionMap(network, inputs)
    with pytest.raises(InputError, match=r"cotangent has shape \(3,\); expected \(7, 2\)"):
        F.vjp(params, np.ones(3))
    with pytest.raises(InputError, match=r"tangent\['out'\]\[0\] has shape"):
        F.jvp(params, params | {"out": [np.ones(4)]})
    with pytest.raises(InputError, match="tangent has structure"):
        F.jvp(params, {"in": 1.0})
    with pytest.raises(InputError, match=r"outputs of shape \(2, 7\) for 7 examples"):
        ParameterFunctionMap(Network(None, lambda p, x: network.apply(p, x).T), inputs).kernel(params)


def test_a_kernel_beyond_the_budget_says_what_it_needs_and_that_is_enough():
    network, inputs, params, jacobian = case("mlp")
    with pytest.raises(MemoryBudgetError, match=r"14 outputs.*kernel_product") as caught:
        ParameterFunctionMap(network, inputs, memory=1000).kernel(params)
    needed = int(str(caught.value).split("memory=")[1].split()[0])
    kernel = ParameterFunctionMap(network, inputs, memory=needed).kernel(params)
    assert relative(kernel, jacobian @ jacobian.T) < 1e-5
    with pytest.raises(MemoryBudgetError):
        ParameterFunctionMap(network, inputs, memory=needed - 1).kernel(params)
