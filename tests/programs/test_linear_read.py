"""Recurrences read out of networks: planted and trained ones, near misses, and networks that hold none."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from allroads import Target, float64
from allroads.errors import InputError
from allroads.networks.recurrent import recurrent
from allroads.pfmap.network import Cell, Network
from allroads.programs.extract import extract
from allroads.programs.linear import LANGUAGE, Recurrence, compile_recurrence
from allroads.programs.linear.ask import Oracle, impulses, superposed
from allroads.programs.linear.read import fits, read
from allroads.programs.linear.realise import realise
from allroads.programs.linear.recurrence import of_space
from allroads.programs.subject import subject_of
from allroads.targets.mips import MIPS_TASKS
from allroads.targets.sequence import sequence

ALTERNATING = Target(
    "alternating sum",
    alphabet=range(-5, 6),
    length=8,
    step=lambda s, x: ((-s[0], s[1] + s[0] * x), s[1] + s[0] * x) if s[0] == 1 else ((1, s[1] - x), s[1] - x),
    initial_state=(1, 0),
    as_numbers=True,
    train_size=64,
    held_out_size=64,
)
LAST2 = Target("last two", alphabet=range(-3, 4), length=8, step=lambda s, x: (x, s + x), initial_state=0,
               as_numbers=True, train_size=256, held_out_size=64)  # fmt: skip
SUM = Target("sum", alphabet=range(-3, 4), length=6, step=lambda s, x: (s + x, s + x), initial_state=0,
             as_numbers=True, train_size=256, held_out_size=64)  # fmt: skip
ADD = Recurrence(a=[[1]], b=[[1]], c=[[1]], d=[[1]], start=[0])
KEEP = Recurrence(a=[[0]], b=[[1]], c=[[1]], d=[[1]], start=[0])

PLANTED = {
    **{name: ("to length", 1) for name in ("Sum_All",)},
    **{f"Sum_Last{k}": ("all lengths", k - 1) for k in range(2, 8)},
    **{f"Prev{k}": ("all lengths", k) for k in range(1, 6)},
    "Current_Number": ("all lengths", 0),
    "Diff_Last2": ("all lengths", 1),
    "Newton_Freebody": ("to length", 2),
    "Newton_Gravity": ("to length", 3),
    "Newton_Spring": ("to length", 2),
    "Newton_Magnetic": ("to length", 4),
}
"""Tasks with an integer-linear definition: how far a proof reaches, and the least number of states."""


def defined(step, start, channels=1, terms=20):
    """The recurrence of a step function that is affine, from its own responses to a unit and to nothing."""

    def answers(rows):
        state, said = start, []
        for row in rows:
            state, answer = step(state, row[0] if channels == 1 else tuple(row))
            said.append(answer)
        return np.array(said).reshape(terms, -1)

    rows = np.zeros((channels + 1, terms, channels), dtype=int)
    rows[1:, 0] = np.eye(channels, dtype=int)
    free, *moved = (answers(given.tolist()) for given in rows)
    return of_space(realise(np.stack([m - free for m in moved], axis=-1).tolist(), free.tolist()))


def definition_on(target, x):
    """The target's own answers to fresh inputs, through its function."""
    rows = x.tolist()
    return [target.function([p[0] for p in row] if x.shape[2] == 1 else [tuple(p) for p in row]) for row in rows]


@pytest.mark.parametrize("task", PLANTED)
def test_planted_tasks_come_back_from_a_random_basis(task):
    target = sequence(task=task, train_size=96, held_out_size=32)
    kind = MIPS_TASKS[task]
    program = defined(kind.step, kind.initial_state, kind.channels)
    network, params = compile_recurrence(program, length=kind.length, mix=1, width=program.states + program.outputs + 1)
    reading = LANGUAGE.read(subject_of(network, params, target), 0)
    scope, states = PLANTED[task]
    assert reading.program.equals(program).proved
    assert reading.program.canonical() == program.canonical()
    assert reading.program.canonical().states == states
    assert (reading.equivalence.equal, reading.equivalence.scope) == (True, scope)
    assert scope == "all lengths" or reading.equivalence.length >= 2 * kind.length
    assert states == 0 or (reading.interchange.value == 1 and reading.interchange.stats["null"] <= 0.1)
    rng = np.random.default_rng(7)
    x = rng.integers(min(kind.alphabet), max(kind.alphabet) + 1, size=(32, 3 * kind.length, kind.channels))
    assert reading.program.run(x) == definition_on(target, x)


def test_alternating_sum_is_no_recurrence_of_one_state_but_of_two():
    """Σ (−1)^t x_t has a sign that runs with time, so it is not linear and time invariant; with −s + x it is."""
    assert read(subject_of(*compile_recurrence(ADD, length=8, mix=2), ALTERNATING), 0).program.equals(ADD).proved
    turning = Recurrence(a=[[-1]], b=[[-1]], c=[[1]], d=[[1]], start=[0])
    reading = read(subject_of(*compile_recurrence(turning, length=8, mix=2), ALTERNATING), 0)
    assert turning([1, 0, 0, 2]) == [1, -1, 1, 1]
    assert reading.program.equals(turning).proved
    assert "s = u - s\n        y.append(s)" in reading.program.source


def train(target, width, steps=1200, seed=0):
    """An Elman network without nonlinearity, on prefixes that grow over the first half."""
    positions = target.interface.input_shape[0]
    network = recurrent(target.interface.input_shape, 1, per_position=True, cell="elman", width=width,
                        activation="identity")  # fmt: skip
    x, y = (jnp.asarray(part, jnp.float32) for part in (target.train.inputs, target.train.labels))
    rule = optax.adam(optax.cosine_decay_schedule(0.01, steps))

    def loss(params, upto):
        kept = jnp.arange(positions) < upto
        return jnp.sum(jnp.where(kept, (network.apply(params, x)[..., 0] - y) ** 2, 0)) / kept.sum() / len(x)

    @jax.jit
    def run(params, state):
        def step(carry, i):
            params, state = carry
            change, state = rule.update(jax.grad(loss)(params, 1 + i * positions * 2 // steps), state)
            return (optax.apply_updates(params, change), state), None

        return jax.lax.scan(step, (params, state), jnp.arange(steps))[0][0]

    params = network.init(jax.random.key(seed))
    return network, run(params, rule.init(params))


@pytest.mark.slow
def test_trained_network_computes_the_sum_of_the_last_two_at_all_lengths():
    network, params = train(LAST2, 3)
    found = extract(network, params, LAST2, languages=[LANGUAGE])
    assert found.status == "computes"
    assert found.equivalence.scope == "all lengths"
    assert found.correct.equal
    assert found.program.equals(KEEP).proved


def test_program_of_another_function_is_read_as_it_is():
    """Networks that are one coefficient off their target give their own program, which is not the target's."""
    near = Recurrence(a=[[1]], b=[[1]], c=[[1]], d=[[2]], start=[0])
    found = extract(*compile_recurrence(near, length=6, mix=0), SUM, languages=[LANGUAGE])
    assert found.program.equals(near).proved
    assert found.equivalence.equal
    assert not found.correct.equal
    late = Recurrence(a=[[1]], b=[[1]], c=[[1]], d=[[1]], start=[1])
    found = extract(*compile_recurrence(late, length=6, mix=0), SUM, languages=[LANGUAGE])
    assert found.program.equals(late).proved
    assert found.correct.answers[0] != found.correct.answers[1]


@pytest.mark.parametrize(("noise", "known"), [(1e-4, True), (0.3, False)])
def test_noise_on_the_weights_leaves_the_program_or_none(noise, known):
    network, params = compile_recurrence(KEEP, length=8, mix=3, width=4, noise=noise)
    reading = read(subject_of(network, params, LAST2), 0)
    assert (reading.program is not None) == known
    if known:
        assert reading.program.equals(KEEP).proved
        assert reading.equivalence.proved
    else:
        assert "no whole number" in reading.why


def test_leak_is_a_sum_up_to_the_length_at_which_it_is_none():
    """A state that keeps 0.99 of itself: 3 Σ_j (1 − 0.99^j) for j ≤ t is below ½ up to t = 5, so for 6 positions."""
    network, params = compile_recurrence(ADD, length=6)
    params["layers"][0]["hidden"] = params["layers"][0]["hidden"] * 0.99
    reading = read(subject_of(network, params, SUM), 0)
    errors = [3 * sum(1 - 0.99**j for j in range(t + 1)) for t in range(8)]
    shown = sum(error < 0.5 for error in errors)
    assert reading.program.equals(ADD).proved
    assert (reading.equivalence.scope, reading.equivalence.length) == ("to length", shown)
    assert reading.equivalence.margin == pytest.approx(0.5 - errors[shown - 1], abs=1e-6)
    assert "beyond" in reading.why


@pytest.mark.parametrize("cell", ["elman", "gru", "lstm"])
def test_untrained_networks_hold_no_program_and_say_on_which_input(cell, seed):
    network = recurrent((6, 1), 1, per_position=True, cell=cell, width=8, scale=2.0)
    reading = read(subject_of(network, network.init(jax.random.key(seed)), SUM), seed)
    assert reading.program is None
    assert any(word in reading.why for word in ("not affine (tanh", "not affine (logistic", "no whole", "otherwise"))


def test_untrained_affine_networks_hold_no_program(seed):
    network = recurrent((6, 1), 1, per_position=True, cell="elman", width=8, activation="identity")
    for draw in range(4):
        reading = read(subject_of(network, network.init(jax.random.key(100 * seed + draw)), SUM), 0)
        assert reading.program is None
        assert "no whole number" in reading.why or "otherwise" in reading.why


def test_relu_network_of_numbers_that_stay_positive_is_read_and_not_proved():
    """A ReLU state that sums numbers of 0 and more never meets its kink; that is seen on samples and not shown."""
    target = Target("sum", alphabet=40, length=6, step=lambda s, x: (s + x, s + x), initial_state=0, as_numbers=True,
                    train_size=64, held_out_size=64)  # fmt: skip
    network = recurrent((6, 1), 1, per_position=True, cell="elman", width=2, activation="relu")
    _, params = compile_recurrence(ADD, length=6)
    reading = read(subject_of(network, params, target), 0)
    assert reading.program.equals(ADD).proved
    assert reading.equivalence.scope == "sampled"
    below = read(subject_of(network, params, SUM), 0)  # with negative numbers it does
    assert below.program is None
    assert below.why.startswith("not affine (")
    assert "it answers 0" in below.why


def test_finite_domain_is_compared_whole():
    bits = Target("count", alphabet=2, length=5, step=lambda s, x: (s + x, s + x), initial_state=0, as_numbers=True)
    reading = read(subject_of(*compile_recurrence(ADD, length=5, mix=0), bits), 0)
    assert (reading.equivalence.scope, reading.equivalence.checked) == ("exhaustive", 32)
    assert reading.table_bits == pytest.approx(62 * np.log2(6))


def test_responses_of_a_network_add_up():
    subject = subject_of(*compile_recurrence(KEEP, length=4, mix=0), LAST2_OF_FOUR)
    oracle = Oracle(subject)
    response, free, rest = impulses(oracle, np.array([2.0]), np.array([5.0]), 4)
    assert rest == [2.0]
    np.testing.assert_allclose(response[:, 0, 0], [1, 1, 0, 0], atol=1e-12)
    np.testing.assert_allclose(free[:, 0], [2, 4, 4, 4], atol=1e-12)
    x = np.array([[[3.0], [5.0], [2.0], [4.0]]])
    np.testing.assert_allclose(superposed(response, free, rest, x), oracle.run(x)[0], atol=1e-12)
    half = oracle.run(x[:, 2:], oracle.run(x[:, :2])[1][:, -1])[0]
    np.testing.assert_allclose(half, oracle.run(x)[0][:, 2:], atol=1e-12)


LAST2_OF_FOUR = Target("last two", alphabet=range(2, 6), length=4, step=lambda s, x: (x, s + x), initial_state=0,
                       as_numbers=True)  # fmt: skip


def test_what_does_not_fit_is_said():
    tokens = Target("parity", alphabet=2, length=5, step=lambda s, x: (s ^ x, s ^ x), initial_state=0)
    reader = recurrent((5,), 2, vocabulary=2, per_position=True, width=4)
    assert "numbers" in fits(subject_of(reader, reader.init(jax.random.key(0)), tokens))
    network, params = compile_recurrence(ADD, length=6)
    assert fits(subject_of(network, params, SUM)) is None
    assert "cell" in fits(subject_of(Network(network.init, network.apply), params, SUM))
    last = Target("last", inputs=SUM.train.inputs, labels=SUM.train.labels[:, -1], loss="mse")
    only = recurrent((6, 1), 1, cell="elman", width=2)
    assert "each position" in fits(subject_of(only, only.init(jax.random.key(0)), last))
    halves = Target("halves", inputs=SUM.train.inputs / 2, labels=SUM.train.labels[..., None], loss="mse")
    assert "whole" in fits(subject_of(network, params, halves))


def test_cell_that_is_not_the_network_is_refused():
    network, params = compile_recurrence(ADD, length=6)
    wrong = Cell(network.cell.initial_state, lambda p, s, x: network.cell.step(p, s, 2 * x))
    reading = read(subject_of(Network(network.init, network.apply, wrong), params, SUM), 0)
    assert reading.program is None
    assert "cell does not give its outputs" in reading.why


def test_weights_that_are_not_finite_are_refused():
    network, params = compile_recurrence(ADD, length=6)
    params["layers"][0]["hidden"][0, 0] = np.nan
    with pytest.raises(InputError, match="hidden"):
        extract(network, params, SUM, languages=[LANGUAGE])


def test_compiled_weights_are_exact_unless_mixed(seed):
    rng = np.random.default_rng(seed)
    x = rng.integers(-9, 10, size=(4, 7, 1))
    start5 = Recurrence(a=[[1, 1], [0, 1]], b=[[1], [1]], c=[[1, 1]], d=[[1]], start=[5, -2])
    network, params = compile_recurrence(start5, length=7, width=5, seed=seed)
    assert network.apply(params, x)[..., 0].tolist() == start5.run(x)
    network, params = compile_recurrence(start5, length=7, width=5, mix=seed, seed=seed)
    with float64():
        np.testing.assert_allclose(network.apply(params, x)[..., 0], start5.run(x), atol=1e-9)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 1}, "width: expected 2 or more"),
        ({"noise": -1.0}, "noise: expected"),
        ({"length": 0}, "length: expected"),
        ({"mix": -1}, "mix: expected"),
    ],
)
def test_options_of_the_compiler_are_checked(options, message):
    with pytest.raises(InputError, match=message):
        compile_recurrence(ADD, **options)
    with pytest.raises(InputError, match="expected a Recurrence"):
        compile_recurrence("sum")


def test_answers_that_depend_on_no_input_are_a_program_only_where_they_are_sure():
    """The phase 0, 1, 0, 1, … is a recurrence of two states; small weights round to 0 and are none."""
    phase = sequence(task="Parity_Bits_Mod2", length=6, as_numbers=True)
    turning = Recurrence(a=[[0, 1], [1, 0]], b=[[0], [0]], c=[[1, 0]], d=[[0]], start=[0, 1])
    reading = read(subject_of(*compile_recurrence(turning, length=6, mix=0), phase), 0)
    assert reading.program.equals(turning).proved
    assert reading.equivalence.scope == "exhaustive"
    network, params = compile_recurrence(ADD, length=6)
    params["readout"]["weight"] = params["readout"]["weight"] * 0.02
    small = read(subject_of(network, params, SUM), 0)
    assert small.program is None
    assert "do not depend on its inputs" in small.why
