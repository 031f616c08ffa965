"""The walker of jaxprs: intermediates listed, captured and replaced."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from allroads import InputError
from allroads.networks.build import NETWORKS
from allroads.pfmap.jaxpr import evaluate, intermediate_bytes, intermediates, interpret, trace


def normal(*shape, seed=0):
    return np.random.default_rng((seed, *shape)).normal(size=shape).astype(np.float32)


def layered(p, x):
    with jax.named_scope("first"):
        h = jax.nn.relu(x @ p["in"])
    return h @ p["out"]


LAYERED = {"in": normal(3, 5), "out": normal(5, 2)}


def recurrent(p, x):
    """An Elman network, and the states of all its steps."""

    def step(state, x):
        drive = x @ p["in"]
        state = jnp.tanh(state @ p["hidden"] + drive)
        return state, state * 2.0

    end, states = lax.scan(step, jnp.zeros((x.shape[0], 4)), x.swapaxes(0, 1))
    return end @ p["out"] + states.mean()


RECURRENT = {"in": normal(3, 4), "hidden": normal(4, 4), "out": normal(4, 2)}
SEQUENCES = normal(2, 5, 3)


def states_by_hand(p, x, replaced=None):
    state, states = np.zeros((len(x), 4), np.float32), []
    for t in range(x.shape[1]):
        state = np.tanh(state @ p["hidden"] + x[:, t] @ p["in"])
        state = state if replaced is None else replaced(t, state)
        states.append(state)
    return state @ p["out"] + np.mean([2 * s for s in states]), np.stack(states)


def path_of(listed, primitive, **wanted):
    found = [i for i in listed if i.primitive == primitive and all(getattr(i, k) == v for k, v in wanted.items())]
    assert len(found) == 1, found
    return found[0].path


def test_intermediates_are_listed_with_primitive_shape_and_scope():
    listed = intermediates(layered, LAYERED, normal(4, 3))
    assert [(i.path, i.primitive, i.shape, i.dtype, i.steps) for i in listed] == [
        ("0", "dot_general", (4, 5), "float32", ()),
        ("1", "max", (4, 5), "float32", ()),  # the call of relu is entered
        ("2", "dot_general", (4, 2), "float32", ()),
    ]
    assert listed[0].scope == "first" and listed[2].scope == ""
    shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), LAYERED)
    assert intermediates(layered, shapes, jax.ShapeDtypeStruct((4, 3), np.float32)) == listed


def test_captured_values_are_those_of_a_computation_by_hand():
    x = normal(4, 3)
    outputs, found = evaluate(layered, LAYERED, x, capture=["0", "1"])
    np.testing.assert_allclose(found["0"], x @ LAYERED["in"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found["1"], np.maximum(x @ LAYERED["in"], 0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(outputs, layered(LAYERED, x), rtol=1e-6, atol=1e-6)


def test_every_intermediate_replaced_by_itself_changes_nothing_to_the_bit():
    for apply, params, x in ((layered, LAYERED, normal(4, 3)), (recurrent, RECURRENT, SEQUENCES)):
        paths = [i.path for i in intermediates(apply, params, x)]
        before, found = evaluate(apply, params, x, capture=paths)
        np.testing.assert_array_equal(before, evaluate(apply, params, x)[0])
        for path in paths:
            for replacement in (found[path], lambda value: value):
                np.testing.assert_array_equal(evaluate(apply, params, x, replace={path: replacement})[0], before)
        np.testing.assert_array_equal(evaluate(apply, params, x, replace=found)[0], before)


def test_replacements_are_what_the_network_goes_on_with():
    x = normal(4, 3)
    hidden = np.maximum(x @ LAYERED["in"], 0)
    swapped = hidden[::-1]
    outputs, found = evaluate(layered, LAYERED, x, capture=["1"], replace={"1": swapped})
    np.testing.assert_allclose(outputs, swapped @ LAYERED["out"], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(found["1"], swapped)
    outputs, _ = evaluate(layered, LAYERED, x, replace={"1": lambda h: h.at[:, 2].set(0)})
    np.testing.assert_allclose(outputs, np.delete(hidden, 2, 1) @ np.delete(LAYERED["out"], 2, 0), rtol=1e-5, atol=1e-6)
    outputs, _ = evaluate(layered, LAYERED, x, replace={"0": -1.0})
    np.testing.assert_array_equal(outputs, np.zeros((4, 2)))


def test_inside_a_loop_there_is_one_value_per_step():
    listed = intermediates(recurrent, RECURRENT, SEQUENCES)
    tanh = path_of(listed, "tanh")
    (found,) = (i for i in listed if i.path == tanh)
    assert tanh.split("/")[1] == "body" and found.steps == (5,) and found.shape == (2, 4)
    outputs, captured = evaluate(recurrent, RECURRENT, SEQUENCES, capture=[tanh])
    by_hand, states = states_by_hand(RECURRENT, SEQUENCES)
    np.testing.assert_allclose(captured[tanh], states, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(outputs, by_hand, rtol=1e-5, atol=1e-5)
    # a function sees every step; an array has one value per step, of which only the third differs here
    halved, _ = evaluate(recurrent, RECURRENT, SEQUENCES, replace={tanh: lambda state: state / 2})
    np.testing.assert_allclose(
        halved, states_by_hand(RECURRENT, SEQUENCES, lambda t, s: s / 2)[0], rtol=1e-5, atol=1e-5
    )
    patched = np.array(captured[tanh])
    patched[2] = 0.5
    outputs, found = evaluate(recurrent, RECURRENT, SEQUENCES, capture=[tanh], replace={tanh: patched})
    np.testing.assert_allclose(
        outputs, states_by_hand(RECURRENT, SEQUENCES, lambda t, s: patched[t])[0], rtol=1e-5, atol=1e-5
    )
    np.testing.assert_array_equal(found[tanh], patched)


def test_loops_inside_loops_and_loops_that_run_backwards():
    def apply(p, x):
        def outer(a, x):
            b, inner = lax.scan(lambda b, y: (jnp.sin(b + y * p), b), a, x, reverse=True)
            return b, inner

        return lax.scan(outer, jnp.float32(0.3), x)

    x = normal(3, 4)
    sin = path_of(intermediates(apply, 1.5, x), "sin")
    _, found = evaluate(apply, 1.5, x, capture=[sin])
    value, wanted = np.float32(0.3), np.zeros((3, 4), np.float32)
    for i in range(3):
        for j in reversed(range(4)):
            value = wanted[i, j] = np.sin(value + x[i, j] * np.float32(1.5))
    np.testing.assert_allclose(found[sin], wanted, rtol=1e-5)
    (end, _), _ = evaluate(apply, 1.5, x, replace={sin: np.full((3, 4), 0.25)})
    assert float(end) == 0.25


def test_evaluation_is_compiled_mapped_and_differentiated_as_any_function():
    x = normal(4, 3)

    def loss(scale):
        outputs, _ = evaluate(layered, LAYERED, x, replace={"1": lambda h: scale * h})
        return outputs.sum()

    exact = float((np.maximum(x @ LAYERED["in"], 0) @ LAYERED["out"]).sum())
    assert float(jax.jit(jax.grad(loss))(2.0)) == pytest.approx(exact, rel=1e-4)
    doubled = jax.vmap(loss)(jnp.array([1.0, 2.0]))
    np.testing.assert_allclose(doubled, [exact, 2 * exact], rtol=1e-4)


@pytest.mark.parametrize("kind", ["gru", "lstm"])
def test_built_in_recurrent_networks(kind):
    network = NETWORKS["recurrent"]((4,), 3, cell=kind, width=5)
    params, x = network.init(jax.random.key(0)), normal(3, 4)
    paths = [i.path for i in intermediates(network.apply, params, x)]
    assert any("/body/" in path for path in paths)
    before, found = evaluate(network.apply, params, x, capture=paths)
    np.testing.assert_array_equal(evaluate(network.apply, params, x, replace=found)[0], before)


def test_a_torch_module():
    torch = pytest.importorskip("torch", reason="this module needs it: pip install 'allroads[torch]'")
    from allroads import from_torch

    class Read(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = torch.nn.GRU(3, 4, batch_first=True)
            self.read = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.Tanh(), torch.nn.Linear(6, 2))

        def forward(self, x):
            return self.read(self.cell(x)[0])

    torch.manual_seed(0)
    module, x = Read().eval(), torch.randn(2, 5, 3)
    network, params = from_torch(module, x)
    listed = intermediates(network.apply, params, x.numpy())
    hidden = path_of(listed, "tanh", steps=())
    outputs, found = evaluate(network.apply, params, x.numpy(), capture=[hidden])
    with torch.no_grad():
        wanted = module.read[1](module.read[0](module.cell(x)[0]))
        ablated = module.read[2](wanted * (torch.arange(6) != 1))
        np.testing.assert_allclose(found[hidden], wanted, atol=1e-5)
    np.testing.assert_allclose(outputs, module(x).detach(), atol=1e-5)
    outputs, _ = evaluate(network.apply, params, x.numpy(), replace={hidden: lambda h: h.at[..., 1].set(0)})
    np.testing.assert_allclose(outputs, ablated, atol=1e-5)
    inside = [i.path for i in listed if i.steps == (5,)]
    _, found = evaluate(network.apply, params, x.numpy(), capture=inside)
    assert inside and all(value.shape[0] == 5 for value in found.values())


def test_dead_code_is_absent_and_calls_have_no_number():
    def apply(p, x):
        _ = jnp.cos(x)
        return jax.jit(lambda y: jnp.sin(y) * p)(x)

    assert [i.primitive for i in intermediates(apply, 2.0, 1.0)] == ["sin", "mul"]


def test_another_domain_than_numbers():
    """The degree of a polynomial in its argument."""
    traced = trace(lambda x: (x * x + x) * x + 1.0, 2.0)

    def degree(number, equation, operands):
        return [sum(operands) if equation.primitive.name == "mul" else max(operands)]

    assert interpret(traced.jaxpr, [], [1], degree, lambda value: 0) == [3]


def test_bytes_of_a_loop_are_those_of_its_steps():
    def apply(x):
        return lax.scan(lambda s, y: (s + y, None), jnp.float32(0), x)[0]

    assert intermediate_bytes(jax.make_jaxpr(apply)(jnp.ones(7)).jaxpr) == 7 * 4 + 4


def test_bad_input_is_named():
    def branching(p, x):
        h = lax.cond(x.sum() > 0, lambda h: jnp.sin(h), lambda h: h, x * p)
        return lax.while_loop(lambda h: h.sum() < 10, lambda h: h + 1.0, h)

    x = normal(3)
    listed = intermediates(branching, 2.0, x)
    branch, loop = (path_of(listed, name) for name in ("cond", "while"))
    assert evaluate(branching, 2.0, x, replace={branch: jnp.full(3, 20.0)})[0].tolist() == [20.0] * 3
    for path in (branch, loop):
        with pytest.raises(InputError, match="has no fixed number of steps"):
            evaluate(branching, 2.0, x, capture=[f"{path}/body/0"])
    with pytest.raises(InputError, match=r"no intermediate '9'; there are 3, from '0' to '2'"):
        evaluate(layered, LAYERED, normal(4, 3), capture=["9"])
    with pytest.raises(InputError, match=r"shape \(4, 4\); expected \(4, 5\)"):
        evaluate(layered, LAYERED, normal(4, 3), replace={"1": np.ones((4, 4))})
    with pytest.raises(InputError, match=r"shape \(3,\); expected \(4, 5\)"):
        evaluate(layered, LAYERED, normal(4, 3), replace={"1": lambda h: jnp.ones(3)})
    tanh = path_of(intermediates(recurrent, RECURRENT, SEQUENCES), "tanh")
    with pytest.raises(InputError, match=r"expected \(5, 2, 4\).*one value per step"):
        evaluate(recurrent, RECURRENT, SEQUENCES, replace={tanh: np.ones((3, 2, 4))})
