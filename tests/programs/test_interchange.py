"""Interchange interventions on any intermediate: planted truth, nulls, and exchanges that hit nothing."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from allroads import InputError, Network, Target, compile_program, interchange
from allroads.networks.build import build
from allroads.pfmap.jaxpr import evaluate, intermediates
from allroads.programs.boolean import Formula, circuit_of_units
from allroads.programs.interchange import exchange
from allroads.programs.subject import subject_of

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


def test_the_null_is_that_of_sources_that_are_dealt_anew(planted):
    """The gate is on in a quarter of the rows. Of pairs that change the answer the source is on in a half.

    Of the others it is on in a tenth, so in .3 of all, where half of the pairs change. Two sources then agree in
    .3² + .7² = .58. Of 4,096 pairs the standard error is at most .008.
    """
    network, params, gate = planted
    found = interchange(network, params, TARGET, _gate, path=gate.path, units=[gate.number], pairs=4096)
    assert found.stats["pairs"] == 4096 and found.value == 1
    assert found.stats["null"] == pytest.approx(0.58, abs=4 * 0.008)


def test_other_units_are_units_that_move_and_are_not_exchanged():
    """Three units hold the first bit, the second bit, and nothing; the answer is the first bit.

    An exchange of the second bit leaves every answer as it was, which is right in the half of the pairs that change
    nothing. Beside two units that move there is none left.
    """

    def apply(params, x):
        return jnp.tanh(x @ params["w"]) @ jnp.array([[1.0], [1e-3], [0.0]]) - 0.5

    network, params = Network(lambda key: None, apply), {"w": jnp.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 0]])}
    hidden = next(found.path for found in intermediates(apply, params, CUBE[:1] * 1.0) if found.primitive == "tanh")
    first = Target("first bit", inputs=CUBE, labels=CUBE[:, 0], complete=True, loss="bce")
    one = interchange(network, params, first, lambda b, s: s[0], path=hidden, units=[0])
    assert one.value == one.stats["changed"] == 1 and one.stats["other_units"] == 0.5
    both = interchange(network, params, first, lambda b, s: s[0], path=hidden, units=[0, 1])
    assert both.value == 1 and both.stats["other_units"] is None
    # Against a program that never changes, the half that changes is wrong.
    second = interchange(network, params, first, lambda b, s: s[0], path=hidden, units=[1])
    assert (second.value, second.stats["changed"]) == (0.5, 0.0)


@pytest.mark.parametrize("count", [1, 5, 8])
def test_exchanges_come_back_in_order(planted, count):
    """With nothing exchanged outputs are the network's; with all units those of the source."""
    network, params, gate = planted
    subject = subject_of(network, params, TARGET)
    listed = intermediates(network.apply, params, jnp.ones((1, 3)))
    units = int(np.prod(next(one.shape for one in listed if one.path == gate.path)))
    bases, sources = CUBE[:count] * 1.0, CUBE[::-1][:count] * 1.0
    run = lambda x: evaluate(network.apply, params, x, capture=[gate.path])[1][gate.path]  # noqa: E731
    held = np.stack([np.ravel(run(x[None])) for x in sources])
    for masks, wanted in ((np.zeros((count, units), bool), bases), (np.ones((count, units), bool), sources)):
        outputs = exchange(network, params, gate.path, bases, held, masks)
        np.testing.assert_allclose(outputs.reshape(count, -1), subject.outputs(wanted), atol=1e-6)


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
