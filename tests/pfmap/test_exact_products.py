"""Products of single precision on accelerators: the highest where the library needs it, or what the user chose."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from allroads import Network, ParameterFunctionMap, Problem, spectrum
from allroads.pfmap.precision import exact_products
from allroads.points.sampling import Chains

SEEN: list[str | None] = []


def seen(w, x):
    SEEN.append(jax.config.jax_default_matmul_precision)
    return x @ w


@pytest.fixture
def accelerator(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    SEEN.clear()


def test_nothing_changes_on_a_cpu():
    with exact_products():
        assert jax.config.jax_default_matmul_precision is None


def test_an_accelerator_multiplies_exactly_and_the_user_s_choice_stays(accelerator):
    with exact_products():
        assert jax.config.jax_default_matmul_precision == "highest"
    with jax.default_matmul_precision("tensorfloat32"), exact_products():
        assert jax.config.jax_default_matmul_precision == "tensorfloat32"
    for chains in (Chains(), Chains(dtype="float32")):
        with chains.precision():
            assert jax.config.jax_default_matmul_precision == "highest"


def test_kernels_and_curvature_are_traced_with_exact_products(accelerator):
    network = Network(lambda key: jnp.zeros((3, 1)), lambda w, x: seen(w, x))
    ParameterFunctionMap(network, np.eye(3, dtype="f4")).kernel(np.ones((3, 1), "f4"))
    assert SEEN and SEEN[-1] == "highest"
    SEEN.clear()
    problem = Problem(network, "mse", np.eye(3), np.ones((3, 1)))
    spectrum(problem, np.ones((3, 1), "f4"), progress=False)
    assert SEEN and SEEN[-1] == "highest"
