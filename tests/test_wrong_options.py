"""Options of a wrong kind and seeds that are none, at every measure: an InputError before anything is compiled."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import allroads
from allroads import InputError, Network, Problem

LINE = Network(lambda key: jnp.zeros(2), lambda w, x: (x @ w)[:, None])
INPUTS = np.array([[3.0, 4.0], [1.0, 0.0]])
PROBLEM = Problem(LINE, "mse", INPUTS, np.array([[2.0], [1.0]]))
POINT = np.zeros(2)
PATH = np.stack([np.zeros(2), np.ones(2)])
RUNS = {"a": [0, 1] * 10, "b": [0] * 10 + [1] * 10, "y": list(range(20))}

WRONG = {
    "llc": lambda **given: allroads.llc(PROBLEM, POINT, **given),
    "llc_curve": lambda **given: allroads.llc_curve(PROBLEM, PATH, **given),
    "refined_llc": lambda **given: allroads.refined_llc(PROBLEM, POINT, **given),
    "sample": lambda **given: allroads.sample(PROBLEM, POINT, **given),
    "loss_kernel": lambda **given: allroads.loss_kernel(PROBLEM, POINT, **given),
    "spectrum": lambda **given: allroads.spectrum(PROBLEM, POINT, **given),
    "kernel_spectrum": lambda **given: allroads.kernel_spectrum(LINE, POINT, INPUTS, **given),
    "connect": lambda **given: allroads.connect(PROBLEM, POINT, POINT + 1, **given),
    "road": lambda **given: allroads.road(PROBLEM, POINT, np.ones((2, 1)), **given),
    "path_cost": lambda **given: allroads.path_cost(PROBLEM, PATH, **given),
    "learnability": lambda **given: allroads.learnability(LINE, INPUTS, {"a": np.ones((2, 1))}, "mse", "gd", **given),
    "function_prior": lambda **given: allroads.function_prior(LINE, INPUTS, **given),
    "function_posterior": lambda **given: allroads.function_posterior(LINE, INPUTS, [1, 0], **given),
    "reached_functions": lambda **given: allroads.reached_functions(PROBLEM, "gd", INPUTS, 2, steps=1, **given),
    "explore": lambda **given: allroads.explore(PROBLEM, "gd", 1, steps=1, **given),
    "attribute": lambda **given: allroads.attribute(RUNS, "y", "a", **given),
    "SecondOrder": lambda **given: allroads.SecondOrder("a", "b").evaluate(RUNS, "y", ["a", "b"], **given),
}
NAMES = {
    "llc": "chains", "llc_curve": "chains", "refined_llc": "chains", "sample": "chains", "loss_kernel": "chains",
    "explore": "record", "function_prior": "resume", "function_posterior": "prior",
}  # fmt: skip
SEEDLESS = {"road", "path_cost"}
PLAIN = {"reached_functions"}
"""Those without options of a class."""


@pytest.fixture
def compiled():
    """Numbers of compilations so far, and of those since."""
    for name in WRONG:
        getattr(allroads, name)  # libraries that it imports may compile
    seen = [0]

    def count(event, duration_secs, **_):
        seen[0] += event.endswith("backend_compile_duration")

    jax.monitoring.register_event_duration_secs_listener(count)
    yield seen
    jax.monitoring.unregister_event_duration_listener(count)


@pytest.mark.parametrize("measure", sorted(set(WRONG) - PLAIN))
def test_options_of_a_wrong_kind_are_refused(measure, compiled):
    name = NAMES.get(measure, "options")
    with pytest.raises(InputError, match=rf"{name}: expected \w+\(…\); got 3"):
        WRONG[measure](**{name: 3})
    assert compiled[0] == 0


@pytest.mark.parametrize("seed", ["a", -1, 1.5, 2**63])
@pytest.mark.parametrize("measure", sorted(set(WRONG) - SEEDLESS))
def test_seeds_that_are_no_whole_numbers_are_refused(measure, seed, compiled):
    with pytest.raises(InputError, match=r"seed: expected a whole number of (0 or more|9223372036854775807 or less)"):
        WRONG[measure](seed=seed)
    assert compiled[0] == 0
