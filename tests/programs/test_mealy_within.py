"""Sets with axes of their own: they hold what the network computes, roundings included, and no length too many."""

from __future__ import annotations

import sys
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from allroads.networks.build import build
from allroads.pfmap.network import Cell, Network
from allroads.programs.mealy.cells import Steps
from allroads.programs.mealy.flow import Flow
from allroads.programs.mealy.induction import Closure
from allroads.programs.mealy.machine import Machine
from allroads.programs.mealy.quotient import Quotient
from allroads.programs.mealy.read import read
from allroads.programs.mealy.within import Within, _Engine, within
from allroads.programs.subject import Subject
from allroads.targets.build import build_target

PARITY = Quotient(np.array([[0, 1], [1, 0]]), np.array([[[0], [1]], [[1], [0]]]), np.zeros((1, 1)))


def parity(length=5):
    return build_target("sequence", task="Parity_All", length=length)


def engine(cell, seed, width=3):
    network = build("recurrent", parity().interface, cell=cell, width=width)
    steps = Steps(Subject(network, network.init(jax.random.key(seed)), parity()))
    return steps, _Engine(steps, PARITY, 5, seed, np.inf)


@pytest.mark.parametrize("cell", ["elman", "gru"])
def test_images_hold_what_the_network_computes(cell, seed):
    """Hidden states drawn from a set, its corners among them, move into the set's image and its ends."""
    rng = np.random.default_rng(seed)
    steps, made = engine(cell, seed)
    n = len(made.centre)
    for radius in (1e-3, 0.1, 0.5):
        states = rng.integers(n, size=6)
        into = rng.integers(n, size=6)
        letters = rng.integers(2, size=6)
        middle = rng.normal(size=(6, steps.width)) * radius
        half = radius * rng.uniform(0.2, 1, size=(6, steps.width))
        flow, (outputs, _) = made.move(made.box(states, middle, half), letters)
        low, high = made.ends(flow, into)
        hull = flow.hull()
        for draw in range(100):
            y = rng.choice([-1.0, 1.0], size=half.shape) if draw % 2 else rng.uniform(-1, 1, size=half.shape)
            hidden = made.centre[states] + np.einsum("nhk,nk->nh", made.axes[states], middle + half * y)
            moved, told = steps.move(hidden, letters)
            assert (moved >= hull[0] - flow.error - 1e-13).all() and (moved <= hull[1] + flow.error + 1e-13).all()
            assert (told >= outputs.low - outputs.error - 1e-13).all()
            assert (told <= outputs.high + outputs.error + 1e-13).all()
            along = np.einsum("nhk,nh->nk", made.axes[into], moved - made.centre[into])
            assert (along >= low - 1e-13).all() and (along <= high + 1e-13).all()


def test_ends_hold_roundings(seed):
    """The exact offset of a point along each axis, by fractions, where numbers are large and the set is a point."""
    rng = np.random.default_rng(seed)
    steps, made = engine("elman", seed)
    width = steps.width
    for _ in range(20):
        states = rng.integers(len(made.centre), size=1)
        made.centre[states] = rng.normal(size=(1, width)) * 1e6
        point = rng.normal(size=(1, width)) * 1e6
        none = np.zeros((width, 1, width))
        flow = Flow(point, none, none, np.zeros_like(point), point, point, made.axes[0])
        low, high = made.ends(flow, states)
        for k in range(width):
            exact = sum(
                Fraction(float(made.axes[states[0], h, k]))
                * (Fraction(float(point[0, h])) - Fraction(float(made.centre[states[0], h])))
                for h in range(width)
            )
            assert Fraction(float(low[0, k])) <= exact <= Fraction(float(high[0, k]))


def two_rates(grow, length=8):
    """Parity in the first unit; in the second a number that letters 1 multiply, letters 0 halve, and answers lose."""

    def step(p, state, x):
        odd = jnp.clip(2 * jnp.abs(state[:, :1] - (x == 1)[:, None]) - 0.5, 0.0, 1.0)
        held = jnp.where(x[:, None] == 1, state[:, 1:] * grow, state[:, 1:] / 2)
        score = (2 * odd - 1) * (1.0 - held) * p
        return jnp.concatenate([odd, held], axis=1), jnp.concatenate([-score, score], axis=1)

    def start(p, batch):
        return jnp.concatenate([jnp.zeros((batch, 1)), jnp.full((batch, 1), 2.0**-6)], axis=1) * p

    def apply(p, inputs):
        columns = jnp.asarray(inputs).T
        return jnp.swapaxes(jax.lax.scan(lambda s, x: step(p, s, x), start(p, len(inputs)), columns)[1], 0, 1)

    network = Network(lambda key: jnp.ones(()), apply, Cell(start, step))
    return Steps(Subject(network, jnp.ones(()), parity(length)))


def test_the_length_that_is_shown_is_the_last_without_an_error_and_its_margin_the_least():
    """The number is 2^(k − 6) after k letters 1, and the answer errs, or ties, from k = 6 on.

    Half the gap of the scores is 1 − 2^(k − 6), so ½ after five letters.
    """
    shown = within(two_rates(2.0), PARITY, 5, 0)
    assert (shown.length, shown.always, shown.why) == (5, False, "")
    assert shown.margin <= 0.5 and shown.margin == pytest.approx(0.5, abs=1e-6)
    far = within(two_rates(2.0), PARITY, 8, 0, always=True)
    assert (far.length, far.always) == (5, False) and "another answer" in far.why
    still = within(two_rates(0.5), PARITY, 8, 0, always=True)  # 2^−7 after the first letter, and less from there on
    assert (still.length, still.always) == (8, True)
    assert still.margin == pytest.approx(1 - 2.0**-7, abs=1e-6)


def test_another_machine_is_shown_to_no_length():
    """The machine that answers the opposite at its second letter alone is right on one letter."""
    moves = np.array([[1, 1], [1, 1]])
    said = np.array([[[0], [1]], [[1], [1]]])
    shown = within(two_rates(0.5), Quotient(moves, said, np.zeros((1, 1))), 5, 0, always=True)
    assert (shown.length, shown.always) == (1, False)


@pytest.mark.slow
def test_a_machine_is_proved_to_a_length_whose_words_are_too_many_to_ask(monkeypatch):
    """The number is 1.1^k / 64 after k letters 1, below 1 to k = 43: parity of 20 letters is right, with 2^20 words.

    Sets that hold for 19 letters alone show nothing of 20.
    """
    steps, module = two_rates(1.1, 20), sys.modules["allroads.programs.mealy.read"]
    monkeypatch.setattr(module, "closure", lambda *_, **__: Closure(False, why="not tried"))
    found = read(steps.subject, 0)
    assert (found.equivalence.equal, found.equivalence.scope, found.equivalence.length) == (True, "to length", 20)
    assert 0 < found.equivalence.margin <= 1 - 1.1**20 / 64
    assert found.program == Machine((0, 1), ((0, 1), (1, 0)), ((0, 1), (1, 0)))
    monkeypatch.setattr(module, "within", lambda *_, **__: Within(19, margin=0.1))
    assert read(steps.subject, 0).equivalence.scope == "sampled"
