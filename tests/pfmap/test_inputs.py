"""Networks that take several arrays: everything about them is as for one array that holds the same numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from allroads import InputError, Network, Problem, explore, float64, road, spectrum
from allroads.errors import MemoryBudgetError
from allroads.paths.learnability.problem import read_problem
from allroads.pfmap.inputs import as_batch, choose, number_of_examples, read_inputs
from allroads.pfmap.map import ParameterFunctionMap
from allroads.points.spectrum import SpectrumOptions, kernel_spectrum

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(12, 5)), RNG.normal(size=(12, 1))
FORMS = {
    "mapping": ({"u": X[:, :3], "v": X[:, 3:]}, lambda given: jnp.concatenate([given["u"], given["v"]], -1)),
    "tuple": ((X[:, :3], X[:, 3:]), lambda given: jnp.concatenate(given, -1)),
    "nested": (
        {"a": (X[:, :1], {"b": X[:, 1:4]}), "c": X[:, 4]},
        lambda given: jnp.concatenate([given["a"][0], given["a"][1]["b"], given["c"][:, None]], -1),
    ),
}


def init(key):
    first, last = jax.random.split(key)
    return {"in": jax.random.normal(first, (5, 3)), "out": jax.random.normal(last, (3, 1))}


def network(joined=lambda given: given):
    return Network(init, lambda params, given: jnp.tanh(joined(given) @ params["in"]) @ params["out"])


@pytest.mark.parametrize(
    "form", ["mapping", *(pytest.param(form, marks=pytest.mark.slow) for form in ("tuple", "nested"))]
)
def test_kernels_spectra_roads_and_training_are_those_of_one_array(form):
    given, joined = FORMS[form]
    with float64():
        whole, parts = Problem(network(), "mse", X, Y), Problem(network(joined), "mse", given, Y)
        point = whole.network.init(jax.random.key(3))
        assert len(parts) == 12 and parts == Problem(parts.network, "mse", given, Y) != whole
        np.testing.assert_allclose(parts.losses(point), whole.losses(point), rtol=1e-12)
        maps = [ParameterFunctionMap(p.network, p.inputs) for p in (parts, whole)]
        np.testing.assert_allclose(*(F.kernel(point) for F in maps), rtol=1e-10, atol=1e-12)
        free = SpectrumOptions(method="matrix_free")
        found, expected = (kernel_spectrum(p.network, point, p.inputs, options=free) for p in (parts, whole))
        np.testing.assert_allclose(found.eigenvalues, expected.eigenvalues, rtol=1e-6)
        np.testing.assert_allclose(*(spectrum(p, point).eigenvalues for p in (parts, whole)), rtol=1e-6, atol=1e-9)
        goal = 0.1 * whole.network.apply(point, X) + 0.02
        costs = [road(p, point, goal, progress=False).cost for p in (parts, whole)]
        assert costs[0] == pytest.approx(costs[1], rel=1e-6) and costs[0] > 0
        runs = [explore(p, "sgd", 2, steps=6, probes=p.inputs) for p in (parts, whole)]
        np.testing.assert_allclose(*(run.curves["train_loss"] for run in runs), rtol=1e-9)


def test_examples_are_chosen_in_every_array():
    given = read_inputs({"ids": [[1, 2], [3, 4]], "mask": np.array([1.0, 0.0])})
    assert number_of_examples(given) == 2
    assert {name: array.tolist() for name, array in choose(given, [1]).items()} == {"ids": [[3, 4]], "mask": [0.0]}
    assert as_batch(choose(given, 0))["ids"].shape == (1, 2)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"u": X, "v": X[:3]}, r"inputs\['u'\] has 12 examples and inputs\['v'\] has 3"),
        ({"u": X, "v": np.full((12, 2), np.nan)}, r"inputs\['v'\]: NaN or infinite in 12"),
        ({}, "there is no array in it"),
        ((X, "text"), r"inputs\[1\] have (shape|dtype)"),
        ({"u": (X, None)}, r"inputs\['u'\]\[1\]"),
    ],
)
def test_inputs_that_cannot_be_read(given, message):
    with pytest.raises(InputError, match=message):
        read_inputs(given)


def test_inputs_that_only_one_array_can_be():
    with pytest.raises(InputError, match="as one array; got a dict"):
        read_problem(network(), {"u": X}, Y, "mse", None)


def test_problems_of_other_names_are_others():
    u, v = X[:, :3], X[:, 3:]
    net = network(lambda given: given[0])
    forms = [u, (u,), ({"u": u},), ({"v": u},), (u, v), (u, {"v": v})]
    problems = [Problem(net, "mse", form, Y) for form in forms]
    assert len(set(problems)) == len(forms)


def test_too_little_memory_is_refused():
    given, joined = FORMS["mapping"]
    problem = Problem(network(joined), "mse", given, Y)
    with pytest.raises(MemoryBudgetError, match="the budget is"):
        spectrum(problem, problem.network.init(jax.random.key(0)), options=SpectrumOptions(memory=200))
