"""Machines read out of recurrent networks: compiled, perturbed, trained, near misses and networks of no program."""

from __future__ import annotations

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from allroads.errors import InputError
from allroads.networks.build import build
from allroads.pfmap.network import Cell, Network
from allroads.programs import extract
from allroads.programs.mealy import LANGUAGE, Machine, compile_machine
from allroads.programs.mealy.cells import Steps
from allroads.programs.mealy.interchange import interchange
from allroads.programs.mealy.quotient import Quotient, quotient
from allroads.programs.mealy.read import fits, read
from allroads.programs.subject import subject_of
from allroads.status import ExtractionStatus
from allroads.targets.build import build_target
from allroads.targets.target import Target

TASKS = [
    *({"kind": "tomita", "grammar": g, "length": 7} for g in range(1, 8)),
    *({"kind": "sequence", "task": t, "length": 7} for t in ("Div_7", "Parity_Last4")),
    *(
        {"kind": "sequence", "task": t, "length": 5, "train_size": 300, "held_out_size": 50}
        for t in ("Add_Mod_5", "Base_7_Addition")
    ),
    {"kind": "sequence", "task": "Min_Seen", "length": 5, "train_size": 300, "held_out_size": 50},
    {"kind": "sequence", "task": "Add_Mod_3", "as_numbers": True, "length": 5},
]


def compiled(target, machine=None, **options):
    machine = Machine.of(target.truth["machine"]) if machine is None else machine
    numbers = target.interface.vocabulary is None
    length = target.interface.input_shape[0]
    network, params = compile_machine(
        machine, length=length, numbers=numbers, output_alphabet=target.output_alphabet, **options
    )
    return machine, subject_of(network, params, target)


@pytest.mark.parametrize("task", TASKS, ids=lambda t: str(t.get("grammar", t.get("task"))))
def test_a_compiled_machine_is_read_back_and_proved(task):
    target = build_target(**task)
    large = len(target.truth["machine"]["alphabet"]) > 20
    machine, subject = compiled(target, cell="elman" if large else "relu")
    found = read(subject, 0)
    assert found.program.canonical() == machine.canonical()
    assert found.equivalence.proved and found.equivalence.scope == "all lengths", found.why
    assert found.equivalence.margin == pytest.approx(0.5, abs=1e-6)
    assert found.interchange.value == 1 and found.interchange.stats["whole"] == 1
    assert found.interchange.stats["null"] < 0.7
    labels = target.train.labels.reshape(subject.answers(target.train.inputs).shape)
    assert np.array_equal(subject.answers(target.train.inputs), labels)


def test_noise_permutation_and_scale_leave_the_machine(seed):
    rng = np.random.default_rng(seed)
    target = build_target("sequence", task="Div_3", length=6)
    for cell in ("elman", "relu"):
        machine, subject = compiled(target, cell=cell)
        params = jax.tree.map(np.asarray, subject.params)
        layer, readout = params["layers"][0], params["readout"]
        order = rng.permutation(len(layer["bias"]))
        scale = rng.uniform(0.5, 2, size=len(order)) if cell == "relu" else np.ones(len(order))
        moved = {
            "layers": [
                {
                    "input": (layer["input"] * scale)[:, order],
                    "hidden": (layer["hidden"] * scale / scale[:, None])[np.ix_(order, order)],
                    "bias": (layer["bias"] * scale)[order],
                }
            ],
            "readout": {"weight": (readout["weight"] / scale[:, None])[order], "bias": readout["bias"]},
        }
        noisy = jax.tree.map(lambda leaf: leaf * (1 + 0.01 * rng.normal(size=leaf.shape)), moved)
        found = read(subject_of(subject.network, noisy, target), seed)
        assert found.program.canonical() == machine.canonical()
        assert found.equivalence.scope == "all lengths", (cell, found.why)
        assert 0.3 < found.equivalence.margin <= 0.55


def test_a_near_miss_is_read_as_what_it_is():
    target = build_target("sequence", task="Div_7", length=7)
    right = Machine.of(target.truth["machine"])
    moves = [list(row) for row in right.transitions]
    moves[6][1] = (moves[6][1] + 1) % 7
    machine, subject = compiled(target, Machine(right.alphabet, moves, right.outputs))
    found = extract(subject.network, subject.params, target, languages=[LANGUAGE])
    assert found.program.canonical() == machine.canonical() and found.equivalence.proved
    assert not found.correct.equal
    apart = found.program.equals(right)
    words = [list(w) for n in range(1, 10) for w in itertools.product((0, 1), repeat=n)]
    shortest = min(len(w) for w in words if right(w) != machine(w))
    assert len(apart.counterexample) == shortest
    assert apart.answers == (machine(apart.counterexample), right(apart.counterexample))


def test_extraction_of_numbers_and_of_two_channels():
    for task, options in (("Add_Mod_3", {"as_numbers": True}), ("Binary_Addition", {})):
        target = build_target("sequence", task=task, length=4, train_size=50, held_out_size=20, **options)
        machine, subject = compiled(target)
        found = extract(subject.network, subject.params, target, languages=[LANGUAGE])
        assert found.status == "computes" and found.correct.equal, found
        assert found.program.equals(machine).proved and found.program.formulas


def trained(target, cell, width, steps, rate, seed):
    network = build("recurrent", target.interface, cell=cell, width=width)
    optimiser = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(rate, weight_decay=1e-3))
    inputs, labels = jnp.asarray(target.full.inputs), jnp.asarray(target.full.labels)

    def loss(params, rows):
        scores = network.apply(params, inputs[rows])
        return optax.softmax_cross_entropy_with_integer_labels(scores, labels[rows]).mean()

    def update(carry, key):
        params, state = carry
        rows = jax.random.randint(key, (128,), 0, len(inputs))
        updates, state = optimiser.update(jax.grad(loss)(params, rows), state, params)
        return (optax.apply_updates(params, updates), state), None

    params = network.init(jax.random.key(seed))
    start = (params, optimiser.init(params))
    (params, _), _ = jax.jit(lambda c, k: jax.lax.scan(update, c, k))(
        start, jax.random.split(jax.random.key(seed), steps)
    )
    return subject_of(network, params, target)


@pytest.mark.slow
def test_trained_networks_are_read():
    """What is claimed of them holds on words of 200 letters where it is proved, and up to their length where not."""
    for task, cell, width, steps, seconds in (
        ("Bit_Shift_Right", "elman", 4, 400, 20),
        ("Parity_Last2", "gru", 4, 250, 1),
    ):
        target = build_target("sequence", task=task, length=5)
        subject = trained(target, cell, width, steps, 0.02, 0)
        machine = Machine.of(target.truth["machine"])
        found = read(subject, 0, seconds=seconds)
        assert found.program.equals(machine).equal
        assert found.equivalence.scope in ("all lengths", "to length") and found.equivalence.margin > 0.5
        assert found.interchange.value > 0.99
        if found.equivalence.proved:
            words = np.random.default_rng(0).integers(2, size=(32, 200))
            steps_of = Steps(subject)
            answers = steps_of.run(np.repeat(steps_of.start(), 32, axis=0), words)[1][..., 0]
            assert answers.tolist() == machine.run(words.tolist())
        if cell == "elman":
            assert found.equivalence.proved, found.why


@pytest.mark.slow
@pytest.mark.parametrize("cell, scale", [("elman", 4.0), ("gru", 1.0), ("lstm", 2.0)])
def test_networks_that_learnt_nothing_give_no_false_program(cell, scale, seed):
    target = build_target("sequence", task="Parity_All", length=5)
    network = build("recurrent", target.interface, cell=cell, width=4, scale=scale)
    subject = subject_of(network, network.init(jax.random.key(seed)), target)
    found = read(subject, seed, seconds=1)
    if found.program is None:
        assert found.why
        return
    words = np.indices((2,) * 5).reshape(5, -1).T
    assert found.equivalence.equal
    assert found.program.run(words.tolist()) == subject.answers(words).tolist()
    if found.equivalence.proved:
        steps, long = Steps(subject), np.random.default_rng(seed).integers(2, size=(32, 200))
        answers = steps.run(np.repeat(steps.start(), 32, axis=0), long)[1][..., 0]
        assert answers.tolist() == found.program.run(long.tolist())


def test_a_counter_is_a_machine_up_to_its_length_only():
    """Balanced brackets by an exact counter: a machine to length 8, and no claim beyond."""
    target = build_target("sequence", task="Balanced_Parenthesis", length=8)
    plain = build("recurrent", target.interface, cell="elman", width=2)

    def step(params, state, x):
        depth, dead = state[:, :1], state[:, 1:]
        depth = depth + jnp.where(x == 0, 1.0, -1.0)[:, None]
        dead = jnp.maximum(dead, jnp.maximum(-depth, 0.0))
        score = 1 - 2 * jnp.abs(depth) - 4 * dead
        return jnp.concatenate([depth, dead], axis=1), jnp.concatenate([0 * score, score], axis=1) * params["gain"]

    def start(params, batch):
        return jnp.zeros((batch, 2), params["gain"].dtype)

    def apply(params, inputs):
        _, outputs = jax.lax.scan(lambda s, x: step(params, s, x), start(params, len(inputs)), jnp.asarray(inputs).T)
        return jnp.swapaxes(outputs, 0, 1)

    network = dataclasses.replace(
        plain, apply=apply, cell=dataclasses.replace(plain.cell, initial_state=start, step=step)
    )
    found = read(subject_of(network, {"gain": np.ones(())}, target), 0, seconds=1.5)
    assert found.equivalence.scope == "to length" and found.equivalence.length == 8
    words = np.indices((2,) * 8).reshape(8, -1).T
    assert found.program.run(words.tolist()) == [target.function(w) for w in words.tolist()]


def test_equal_answers_alone_do_not_earn_computes():
    """Parity as the exclusive or of two registers: at all lengths equal, yet no cloud of hidden states is its state."""

    def either(a, b):
        return jnp.abs(a - b)

    def step(scale, state, token):
        clock, other = 1 - state[:, :1], either(state[:, 1:], either(token[:, None] * scale, scale))
        parity = either(clock, other)
        return jnp.concatenate([clock, other], axis=1), jnp.concatenate([1 - parity, parity], axis=1)

    def start(scale, batch):
        return jnp.zeros((batch, 2), jnp.asarray(scale).dtype)

    def apply(scale, tokens):
        columns = jnp.swapaxes(tokens, 0, 1)
        return jnp.swapaxes(jax.lax.scan(lambda h, x: step(scale, h, x), start(scale, len(tokens)), columns)[1], 0, 1)

    target = Target("parity", alphabet=2, length=6, step=lambda s, x: (s ^ x, s ^ x), initial_state=0)
    network = Network(lambda key: jnp.ones(()), apply, Cell(start, step))
    found = extract(network, jnp.ones(()), target, languages=[LANGUAGE])
    assert found.correct.equal and found.equivalence.equal and found.program.states == 2
    assert found.interchange.value < 0.8 and found.interchange.stats["whole"] == 1
    assert found.status == ExtractionStatus.BEHAVES_AS


def test_interchange_falls_where_the_machine_is_another():
    target = build_target("sequence", task="Div_3", length=6)
    machine, subject = compiled(target)
    steps = Steps(subject)
    least = machine.canonical()
    right = Quotient(np.array(least.transitions), np.array(least.outputs)[..., None], steps.start())
    moves = right.moves.copy()
    moves[1] = moves[1][::-1]
    assert interchange(steps, right, 6, 0).value == 1
    assert interchange(steps, Quotient(moves, right.answers, right.hidden), 6, 0).value < 0.5
    stopped = quotient(steps, lambda m: None, seconds=20)
    assert stopped.open is None and len(stopped.moves) <= 3


def test_what_does_not_fit_is_said():
    target = build_target("sequence", task="Parity_All", length=4)
    machine, subject = compiled(target)
    assert fits(subject) is None
    rows = Target("rows", inputs=np.eye(4), labels=[0, 1, 0, 1], train_fraction=1)
    assert "no alphabet" in fits(dataclasses.replace(subject, target=rows))
    last = Target("last", alphabet=2, length=4, function=lambda x: x[-1])
    assert "one answer for a whole sequence" in fits(dataclasses.replace(subject, target=last))
    wide = build_target("sequence", task="Sum_All", train_size=50, held_out_size=10)
    assert fits(dataclasses.replace(subject, target=wide)) is None
    wrong = dataclasses.replace(
        subject.network,
        cell=dataclasses.replace(subject.network.cell, step=lambda p, s, x: (s, jnp.zeros((len(x), 2)))),
    )
    assert "the cell's outputs differ" in read(dataclasses.replace(subject, network=wrong), 0).why
    with pytest.raises(InputError, match="expected a Machine"):
        compile_machine("parity")
    with pytest.raises(InputError, match="cell"):
        compile_machine(machine, cell="gru")
    with pytest.raises(InputError, match="output_alphabet"):
        compile_machine(Machine((0,), [[0]], [["a"]]))
    with pytest.raises(InputError, match="expected whole numbers"):
        compile_machine(Machine(("a", "b"), [[0, 0]], [[0, 1]]), numbers=True)
    with pytest.raises(InputError, match="expected numbers to answer with"):
        compile_machine(Machine((0, 1), [[0, 0]], [["a", "b"]]), numbers=True)
