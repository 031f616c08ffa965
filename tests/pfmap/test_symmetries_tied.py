"""Units that are tied to one another, or not: in loops, in stacks, by code that nothing depends on."""

import jax
import jax.numpy as jnp
import pytest
from jax import lax
from symmetry_groups import found_in, group, normal


def test_layers_in_a_loop_have_permutations_of_their_own():
    def apply(p, x):
        def layer(x, w):
            return x + jax.nn.relu(x @ w["up"]) @ w["down"], None

        return lax.scan(layer, x @ p["in"], p["layers"])[0] @ p["out"]

    params = {
        "in": normal(3, 6), "layers": {"up": normal(4, 6, 5), "down": normal(4, 5, 6)}, "out": normal(6, 2)
    }  # fmt: skip
    assert group(found_in(apply, params, normal(2, 3))) == {(6, (), 1, 1): 1, (5, (4,), 0, 1): 1}


def test_one_constant_state_for_two_loops_does_not_tie_them():
    def loop(start, hidden, inputs):
        def step(state, x):
            state = jnp.tanh(state @ hidden + x)
            return state, state

        return lax.scan(step, start, inputs)

    def apply(p, x):
        zeros = jnp.zeros((len(x), 5))
        last, states = loop(zeros, p["hidden0"], x.swapaxes(0, 1) @ p["in0"])
        end, _ = loop(zeros, p["hidden1"], states @ p["in1"])
        return jnp.stack([last, end])[-1] @ p["out"]

    params = {"in0": normal(3, 5), "hidden0": normal(5, 5), "in1": normal(5, 5), "hidden1": normal(5, 5)}
    params["out"] = normal(5, 2)
    assert group(found_in(apply, params, normal(4, 6, 3))) == {(5, (), 1, 0): 2}


def stacked_units(read):
    def apply(p, x):
        return read(jnp.stack([jnp.tanh(x @ p["a"]), jnp.tanh(x @ p["b"])]), p)

    return apply


@pytest.mark.parametrize(
    ("read", "out", "expected"),
    [
        (lambda h, p: h[0] @ p["out"][0] + h[1] @ p["out"][1], (2, 5, 2), {(5, (), 1, 0): 2}),
        (lambda h, p: jnp.einsum("lnh,lho->no", h, p["out"]), (2, 5, 2), {(5, (), 1, 0): 2}),
        (lambda h, p: jnp.moveaxis(h, 0, 1).reshape(4, -1) @ p["out"], (10, 2), {(5, (), 1, 0): 2}),
        (lambda h, p: jnp.moveaxis(h, 0, 2).reshape(4, -1) @ p["out"], (10, 2), {(5, (), 1, 0): 2}),
        (lambda h, p: h.sum(0) @ p["out"], (5, 2), {(5, (), 1, 0): 1}),
        (lambda h, p: h @ p["out"], (5, 2), {(5, (), 1, 0): 1}),
    ],
)
def test_units_of_a_stack_are_one_set_only_where_something_ties_them(read, out, expected):
    found = found_in(stacked_units(read), {"a": normal(3, 5), "b": normal(3, 5), "out": normal(*out)}, normal(4, 3))
    assert group(found) == expected and found.refused == () and found.error <= 1e-10


def test_code_that_no_output_depends_on_ties_nothing():
    def apply(p, x):
        a, b = jnp.tanh(x @ p["a"]), jnp.tanh(x @ p["b"])
        _ = a + b
        return a @ p["c"] + b @ p["d"]

    params = {"a": normal(3, 5), "b": normal(3, 5), "c": normal(5, 2), "d": normal(5, 2)}
    assert group(found_in(apply, params, normal(4, 3))) == {(5, (), 1, 0): 2}
