"""Bounds of a step: they hold for every hidden state of a box, at every rounding, and induction rests on them."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from allroads.networks.build import build
from allroads.pfmap.jaxpr.walk import interpret, trace
from allroads.pfmap.network import Cell, Network
from allroads.pfmap.precision import float64
from allroads.programs.bounds.bound import Bound, UnboundedError, constant, none
from allroads.programs.bounds.equation import bound_equation
from allroads.programs.mealy import Machine, compile_machine, flow
from allroads.programs.mealy.cells import Steps
from allroads.programs.mealy.flow import Flow
from allroads.programs.mealy.induction import LATE, _Attempt, closure
from allroads.programs.mealy.quotient import Quotient
from allroads.programs.subject import Subject
from allroads.targets.build import build_target

PARITY = Quotient(np.array([[0, 1], [1, 0]]), np.array([[[0], [1]], [[1], [0]]]), np.zeros((1, 1)))


def parity():
    return build_target("sequence", task="Parity_All", length=5)


def bounds_of(function, low, high, error=0.0, slopes=True):
    """Bounds of a function of a row ``[1, n]`` over a box."""
    centre, radius = (low + high) / 2, (high - low) / 2
    spread = np.moveaxis(np.eye(low.shape[1])[None] * radius[:, None], 2, 0) if slopes else None
    with float64():
        traced = trace(function, jax.ShapeDtypeStruct(low.shape, float))
        over = Bound(low, high, np.full(low.shape, error), spread, spread)
        consts = [constant(np.asarray(c)) for c in traced.consts]
        moved = interpret(traced.jaxpr, consts, [over], bound_equation, constant)[0]
        at = interpret(traced.jaxpr, consts, [constant(centre)], bound_equation, constant)[0]
    return moved, at


FUNCTIONS = {
    "tanh": jnp.tanh,
    "logistic": jax.nn.sigmoid,
    "relu": jax.nn.relu,
    "exp": jnp.exp,
    "abs": jnp.abs,
    "square": lambda x: x**2 - jnp.square(x) / 3,
    "product": lambda x: x[:, :2] * x[:, 1:] - x[:, 1:],
    "sums": lambda x: x @ jnp.array([[1.0, -2.0], [3.0, 0.5], [-0.25, 1.5]]) + 1,
    "moved": lambda x: jnp.concatenate([x[:, ::-1], x[:, 1:].T.T * 2.0], axis=1).reshape(1, -1, 1)[:, :, 0],
    "clipped": lambda x: jnp.minimum(jnp.maximum(x, -0.3), 0.4) / 2,
    "stepped": lambda x: (x > 0.1).astype(float) + x,
    "switched": lambda x: jnp.where(x > 0.1, 1.0, 0.0) - x,
    "chosen": lambda x: jnp.where(jnp.arange(3) > 1, x, -x),
    "split": lambda x: sum(jnp.split(x, 3, axis=1)),
    "stacked": lambda x: jnp.stack([x[:, 0] * 2.0, x[:, 1] - x[:, 2]], axis=-1),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_values_slopes_and_errors_are_bounded(name, seed):
    rng, function = np.random.default_rng(seed), FUNCTIONS[name]
    for width in (1e-3, 0.5, 3.0):
        low = rng.normal(size=(1, 3)) * 2
        high = low + width * rng.random((1, 3))
        moved, at = bounds_of(function, low, high, error=1e-4)
        centre, radius = (low + high) / 2, (high - low) / 2
        reach = np.maximum(np.abs(moved.slopes[0]), np.abs(moved.slopes[1])).sum(axis=0)
        with float64():
            for _ in range(200):
                y = rng.choice([-1, 1], size=(1, 3)) if rng.random() < 0.5 else rng.uniform(-1, 1, size=(1, 3))
                inside = np.clip(centre + y * radius, low, high)
                value = np.asarray(function(jnp.asarray(inside)))
                assert (moved.low <= value).all() and (value <= moved.high).all()
                assert (np.abs(value - (at.low + at.high) / 2) <= reach + 1e-9).all()
                off = np.asarray(function(jnp.asarray(inside + 1e-4 * rng.choice([-1, 1], size=(1, 3)))))
                assert (np.abs(off - value) <= moved.error + 1e-12).all()


STEPS = {
    "compared": lambda x: (x > 0.1).astype(float) * (1.0 + x),
    "added": lambda x: (x[:, ::-1] <= 0.1).astype(float) + 0.5 * x,
    "constants": lambda x: jnp.where(x > 0.1, 1.0, 0.0) - x,
    "beside": lambda x: jnp.concatenate([(x != 0.1).astype(float), x, (x >= x[:, ::-1]) * 1.0], axis=1),
}
"""Functions that jump: bounds of their slopes hold apart from their error."""


@pytest.mark.parametrize("name", STEPS)
def test_a_jump_inside_a_box_is_not_left_out(name, seed):
    rng, function = np.random.default_rng(seed), STEPS[name]
    for width in (0.01, 0.5):
        low = 0.1 - width * rng.random((1, 3))
        high = 0.1 + width * rng.random((1, 3))
        moved, at = bounds_of(function, low, high, error=1e-4)
        reach = np.maximum(np.abs(moved.slopes[0]), np.abs(moved.slopes[1])).sum(axis=0) + moved.error
        with float64():
            for _ in range(100):
                y = rng.choice([0, 1], size=(1, 3)) if rng.random() < 0.5 else rng.random((1, 3))
                inside = low + y * (high - low) + 1e-4 * rng.choice([-1, 1], size=(1, 3))
                value = np.asarray(function(jnp.asarray(inside)))
                assert (moved.low - moved.error <= value).all() and (value <= moved.high + moved.error).all()
                assert (np.abs(value - (at.low + at.high) / 2) <= reach + 1e-9).all()


def test_whole_numbers_are_computed_without_rounding():
    moved, _ = bounds_of(lambda x: x @ jnp.array([[1.0, 2.0], [0.5, -1.0]]) + 0.25, np.ones((1, 2)), np.ones((1, 2)))
    assert not moved.point  # bounds of a box
    with float64():
        traced = trace(lambda x: jax.nn.relu(x @ jnp.eye(2) - 0.5), jax.ShapeDtypeStruct((1, 2), float))
        consts = [constant(np.asarray(c)) for c in traced.consts]
        found = interpret(traced.jaxpr, consts, [constant(np.ones((1, 2)))], bound_equation, constant)[0]
    assert found.point and found.low.tolist() == [[0.5, 0.5]] and none(found)


@pytest.mark.parametrize("function", [jnp.sin, lambda x: x / (x + 3), lambda x: x**3, lambda x: x.astype(jnp.float32)])
def test_an_operation_without_a_bound_is_said(function):
    with pytest.raises(UnboundedError, match="there is no bound"):
        bounds_of(function, np.zeros((1, 2)), np.ones((1, 2)))


def test_the_rounding_of_single_precision_is_not_taken_for_that_of_double():
    third = np.float32(1 / 3)
    with pytest.raises(UnboundedError, match="less than double precision"):
        bounds_of(lambda x: x * (jnp.asarray(third) * jnp.asarray(third)), np.zeros((1, 2)), np.ones((1, 2)))


@pytest.mark.parametrize("cell", ["elman", "gru", "lstm"])
def test_sets_of_hidden_states_hold_what_the_network_computes(cell, seed):
    """Hidden states that start in a box stay in the sets that are propagated, letter by letter."""
    rng, target = np.random.default_rng(seed), parity()
    network = build("recurrent", target.interface, cell=cell, width=4)
    steps = Steps(Subject(network, network.init(jax.random.key(seed)), target))
    attempt = _Attempt(steps, PARITY, 1, 1, True, seed, np.inf)
    attempt._seen()
    centre = rng.normal(size=(1, steps.width)) / 2
    basis = np.linalg.qr(rng.normal(size=(steps.width, steps.width)))[0]
    for radius, turn in ((0.02, None), (0.02, basis), (0.3, basis)):
        moved = Flow.box(centre, np.full((1, steps.width), radius), turn)
        y = rng.uniform(-1, 1, size=(200, steps.width))
        hidden = centre + radius * (y if turn is None else y @ turn.T)
        for letter in rng.integers(2, size=4):
            moved, (outputs, _) = attempt._move(moved, np.array([letter]))
            hidden, told = steps.move(hidden, np.full(200, letter))
            low, high = moved.hull()
            assert (hidden >= low - moved.error).all() and (hidden <= high + moved.error).all()
            assert (told >= outputs.low - outputs.error).all() and (told <= outputs.high + outputs.error).all()
            around = centre + 0.1
            offset = np.abs((hidden - around) @ (np.eye(steps.width) if turn is None else turn))
            assert (offset <= moved.reach(around) + 1e-12).all()


def drifting(rate, length=5):
    """Parity, computed until a slow counter of the letters 1 outweighs the answer."""
    network, params = compile_machine(Machine((0, 1), [[0, 1], [1, 0]], [[0, 1], [1, 0]]), cell="relu", length=length)

    def step(params, state, x):
        hidden, count = state
        (new,), outputs = network.cell.step(params, (hidden,), x)
        count = jax.nn.relu(count + rate * (x == 1)[:, None])
        return (new, count), outputs + jnp.concatenate([count, 0 * count], axis=1)

    def initial_state(params, batch):
        (hidden,) = network.cell.initial_state(params, batch)
        return hidden, jnp.zeros((batch, 1), hidden.dtype)

    def apply(params, inputs):
        _, outputs = jax.lax.scan(
            lambda state, x: step(params, state, x), initial_state(params, len(inputs)), jnp.asarray(inputs).T
        )
        return jnp.swapaxes(outputs, 0, 1)

    return Network(lambda key: params, apply, Cell(initial_state, step), "drifting"), params


@pytest.mark.parametrize("rate", [1e-3, 1e-6, 2.0**-9])
def test_a_network_that_drifts_out_of_its_classes_is_not_proved(rate):
    steps = Steps(Subject(*drifting(rate), parity()))
    found = closure(steps, PARITY, 0, seconds=1.5)
    assert not found.closed and found.why
    still = closure(Steps(Subject(*drifting(0.0), parity())), PARITY, 0, seconds=3)
    assert still.closed and still.margin == pytest.approx(0.5, abs=1e-6)


def test_what_is_proved_holds_on_long_words(seed):
    """Compiled machines with noise on the weights: whatever is proved agrees on words of 400 letters."""
    rng, target = np.random.default_rng(seed), build_target("sequence", task="Div_3")
    machine = Machine.of(target.truth["machine"])
    truth = Quotient(np.array(machine.transitions), np.array(machine.outputs)[..., None], np.zeros((1, 1)))
    network, params = compile_machine(machine, gain=8.0)
    proved = 0
    for noise in (0.0, 0.02, 0.1, 0.3):
        moved = jax.tree.map(lambda leaf, n=noise: leaf * (1 + n * rng.normal(size=leaf.shape)), params)
        steps = Steps(Subject(network, moved, target))
        found = closure(steps, truth, seed, seconds=30.0 if noise < 0.05 else 1.5)  # little noise closes at once
        words = rng.integers(2, size=(32, 400))
        same = (steps.run(np.repeat(steps.start(), 32, axis=0), words)[1] == truth.run(words)).all()
        assert same or not found.closed
        proved += found.closed
    assert proved >= 2


def test_no_more_bounds_are_held_at_once_than_memory_is_set_aside_for(monkeypatch):
    """There is room for two boxes, with the intermediates of a step, and there are four pairs of a box and a letter."""
    target = parity()
    network, params = compile_machine(Machine((0, 1), [[0, 1], [1, 0]], [[0, 1], [1, 0]]), length=5)

    def step(params, state, x):
        wide = jnp.repeat(state[0], 50, axis=1) * 1.0
        return network.cell.step(params, (wide[:, ::50],), x)

    cell = Cell(network.cell.initial_state, step)
    steps = Steps(Subject(Network(network.init, network.apply, cell), params, target))
    assert steps.numbers >= 100 * steps.width
    monkeypatch.setattr(flow, "HELD", 2 * steps.numbers * 3)
    seen = []
    bounds = _Attempt._bounds

    def recorded(traced, hidden, inputs):
        along = 0 if hidden.slow is None else len(hidden.slow)
        seen.append(len(hidden.low) * steps.numbers * (3 + 2 * along))
        return bounds(traced, hidden, inputs)

    monkeypatch.setattr(_Attempt, "_bounds", staticmethod(recorded))
    found = closure(steps, PARITY, 0)
    assert found.closed and found.margin > 0
    assert max(seen) == flow.HELD


def test_an_induction_without_time_shows_nothing():
    steps = Steps(Subject(*compile_machine(Machine((0, 1), [[0, 1], [1, 0]], [[0, 1], [1, 0]]), length=5), parity()))
    found = _Attempt(steps, PARITY, 1, 1, True, 0, until=0.0).run()
    assert not found.closed and found.why == LATE
