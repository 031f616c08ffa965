"""Which sizes of a relu network change when hidden units are rescaled in and out, and which do not.

Multiplying what enters a unit by a > 0 and dividing what leaves it by a does not change the function.
"""

import jax
import numpy as np
import pytest
from flat_calls import compressed_length, factorised_size, quantised_size

from allroads import float64
from allroads.networks.mlp import mlp

NETWORK = mlp((5,), 3, widths=(8, 9))
RNG = np.random.default_rng(1)
SHAPES = ((5, 8), (8, 9), (9, 3))


def low_rank(rows, columns):
    """Rank two and a little noise, so that factors are smaller."""
    return RNG.normal(size=(rows, 2)) @ RNG.normal(size=(2, columns)) + 0.02 * RNG.normal(size=(rows, columns))


POINT = {"layers": [{"weight": low_rank(*s), "bias": 0.3 * RNG.normal(size=s[1])} for s in SHAPES]}
INPUTS = RNG.normal(size=(40, 5))
LAYER = [np.full(8, 10.0**power) for power in (-4, -2, 2, 4)]
UNITS = [10.0 ** np.random.default_rng(seed).uniform(-4, 4, 8) for seed in range(3)]

SIZES = {
    "tensor": lambda *a: quantised_size(*a, scales="tensor", delta=0.1, draws=2),
    "channel": lambda *a: quantised_size(*a, scales="channel", delta=0.1, draws=2),
    "row_column": lambda *a: quantised_size(*a, scales="row_column", delta=0.1, draws=2),
    "compressed": lambda *a: compressed_length(*a, delta=0.1, draws=2),
    "compressed_row_column": lambda *a: compressed_length(*a, delta=0.1, scales="row_column", draws=2),
    "factorised": lambda *a: factorised_size(*a, delta=0.01),
}


def rescaled(factors):
    first, second, last = POINT["layers"]
    into = {"weight": first["weight"] * factors, "bias": first["bias"] * factors}
    return {"layers": [into, {"weight": second["weight"] / factors[:, None], "bias": second["bias"]}, last]}


def sizes(measure, points):
    with float64():
        labels = jax.jit(NETWORK.apply)(POINT, INPUTS) + 0.1
        return [(m.value, m.error) for m in (SIZES[measure](NETWORK, p, "mse", INPUTS, labels) for p in points)]


def test_rescaling_keeps_the_function():
    with float64():
        apply = jax.jit(NETWORK.apply)
        values = apply(POINT, INPUTS)
        for factors in LAYER + UNITS:
            np.testing.assert_allclose(apply(rescaled(factors), INPUTS), values, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("measure", SIZES)
def test_one_factor_for_a_layer_changes_no_size(measure):
    before, *after = sizes(measure, [POINT, *map(rescaled, LAYER)])
    assert 0 < before[0] < 64 * sum(leaf.size for layer in POINT["layers"] for leaf in layer.values())
    assert after == [before] * len(LAYER)


@pytest.mark.parametrize("measure", ["row_column", "compressed_row_column"])
def test_a_factor_for_each_unit_changes_no_size_of_rows_and_columns(measure):
    before, *after = sizes(measure, [POINT, *map(rescaled, UNITS)])
    assert after == [before] * len(UNITS)


@pytest.mark.parametrize("measure", ["tensor", "channel", "compressed", "factorised"])
def test_a_factor_for_each_unit_changes_the_others_as_they_say(measure):
    before, *after = sizes(measure, [POINT, *map(rescaled, UNITS)])
    assert any(size != before for size in after)
