"""Interchange interventions on any intermediate: planted truth, nulls, and exchanges that hit nothing."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from allroads import InputError, Network, Target, compile_program, interchange
from allroads.networks.build import build
from allroads.pfmap.jaxpr import intermediates
from allroads.programs.boolean import Formula, circuit_of_units

CUBE = np.indices((2, 2, 2)).reshape(3, -1).T[:, ::-1]  # x0 changes fastest
TARGET = Target("and, then xor", inputs=CUBE, labels=(CUBE[:, 0] & CUBE[:, 1]) ^ CUBE[:, 2], complete=True, loss="bce")


def _gate(base, source):
    return (source[0] & source[1]) ^ base[2]


@pytest.fixture(scope="module")
def planted():
    network, params = compile_program(Formula.parse("(x0 & x1) ^ x2", 3))
    units = circuit_of_units(network, params, CUBE.astype(float))
    return network, params, next(unit for unit in units if str(unit.formula.root) == "x0 & x1")


def test_a_planted_gate_passes_and_another_part_does_not(planted):
    network, params, gate = planted
    found = interchange(network, params, TARGET, _gate, path=gate.path, units=[gate.number])
    assert found.value == found.stats["changed"] == 1.0
    # Answers after exchanges from other sources: a gate is on in a quarter of the rows, so chance is far from 1.
    assert found.stats["null"] < 0.75
    assert found.stats["other_units"] < 0.75
    wrong = interchange(network, params, TARGET, lambda b, s: (s[0] | s[1]) ^ b[2], path=gate.path, units=[gate.number])
    assert wrong.value < 0.75


def test_a_table_with_one_unit_per_row_does_not_pass():
    """The answers are those of the program, and no unit stands for the gate."""
    rows = jnp.asarray(CUBE, float)
    labels = jnp.asarray(TARGET.full.labels, float).reshape(-1)

    def apply(params, x):
        hit = jnp.maximum(1 - jnp.abs(x[:, None] - rows).sum(-1), 0) * params["w"]  # [N, 8]
        return (hit @ (2 * labels - 1))[:, None]

    network, params = Network(lambda key: {"w": jnp.ones(8)}, apply), {"w": jnp.ones(8)}
    layer = [found.path for found in intermediates(apply, params, jnp.ones((1, 3))) if found.primitive == "max"][-1]
    for units in ([0, 1], [6, 7], range(4)):
        assert interchange(network, params, TARGET, _gate, path=layer, units=list(units)).value < 0.8


def test_an_exchange_that_hits_nothing_is_an_error():
    """The second hidden unit is computed, and no output depends on it."""

    def apply(params, x):
        return jnp.tanh(x @ params["w"]) @ jnp.array([[1.0], [0.0]])

    network, params = Network(lambda key: None, apply), {"w": jnp.array([[1.0, 0], [0, 1], [0, 0]])}
    hidden = next(found.path for found in intermediates(apply, params, CUBE[:1] * 1.0) if found.primitive == "tanh")
    first = Target("first bit", inputs=CUBE, labels=CUBE[:, 0], complete=True, loss="bce")
    assert interchange(network, params, first, lambda b, s: s[0], path=hidden, units=[0]).value == 1.0
    with pytest.raises(InputError, match=r"units 1 of intermediate .* changed no output"):
        interchange(network, params, first, lambda b, s: b[0], path=hidden, units=[1])


@pytest.mark.parametrize(
    "options, says",
    [
        ({"path": "nowhere"}, "no intermediate 'nowhere'"),
        ({"units": []}, "units: expected numbers from 0"),
        ({"units": [10_000]}, "units: expected numbers from 0"),
        ({"units": [0.5]}, "units: expected numbers from 0"),
        ({"pairs": 0}, "pairs: expected a whole number"),
        ({"counterfactual": lambda b, s: 1 / 0}, "counterfactual: expected a function.*division"),
        ({"counterfactual": lambda b: 0}, "counterfactual: expected a function"),
    ],
)
def test_bad_input_is_named(planted, options, says):
    network, params, gate = planted
    given = {"path": gate.path, "units": [gate.number], "counterfactual": _gate} | options
    with pytest.raises(InputError, match=says):
        interchange(network, params, TARGET, given.pop("counterfactual"), **given)


def test_the_inside_of_a_loop_is_refused():
    target = Target("parity", alphabet=2, length=4, step=lambda s, bit: (s ^ bit, s ^ bit), initial_state=0)
    network = build("recurrent", target.interface, width=4)
    params = network.init(jax.random.key(0))
    listed = intermediates(network.apply, params, target.train.inputs[:1])
    inside = next(found.path for found in listed if found.steps)
    with pytest.raises(InputError, match="inside a loop"):
        interchange(network, params, target, lambda b, s: b, path=inside)
