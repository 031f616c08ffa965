"""The networks of `false_programs.py`: five kinds in four families, each decided by its pack and index alone."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from program_networks import disturbed, drawn, fit

from allroads import Network, Target, compile_program
from allroads.networks.embedding_sum import embedding_sum
from allroads.networks.mlp import mlp
from allroads.networks.recurrent import recurrent
from allroads.programs.boolean import Formula
from allroads.programs.boolean.encoding import cube
from allroads.programs.fourier import FourierProgram
from allroads.programs.linear import Recurrence
from allroads.programs.mealy import Machine
from allroads.programs.program import Program
from allroads.targets import build_target
from allroads.targets.tomita import TOMITA

FAMILIES = {
    "boolean": {"untrained": 300, "random": 400, "half trained": 450, "random labels": 450, "near miss": 200},
    "fourier": {"untrained": 250, "random": 300, "half trained": 550, "random labels": 400, "near miss": 600},
    "linear": {"untrained": 100, "random": 100, "half trained": 100, "random labels": 100, "near miss": 150},
    "mealy": {"untrained": 100, "random": 100, "half trained": 100, "random labels": 100, "near miss": 150},
}
"""Networks of each family and kind: 5,000."""


@dataclass(frozen=True)
class Case:
    """One network with its target.

    Args:
        network: The network.
        params: The point.
        target: The target, its whole domain known.
        form: How NumPy computes the network: arguments of ``outputs_of``.
        seed: Decides what is drawn for it.
        compiled: The program that it computes by construction, where there is one.
        without: Languages that are not tried.
    """

    network: Network
    params: Any
    target: Target
    form: dict[str, Any]
    seed: int
    compiled: Program | None = None
    without: frozenset[str] = field(default_factory=frozenset)


def cases(family: str, kind: str, number: int, count: int) -> Iterator[Case]:
    """The networks of one pack."""
    place = [sorted(FAMILIES).index(family), list(FAMILIES[family]).index(kind), number]
    yield from MAKERS[family](kind, number, count, np.random.default_rng(place))


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**31))


def _points(
    kind: str, network: Network, loss: str, inputs: Any, rule: Any, noise: Any, count: int, most: int,
    rng: np.random.Generator, rate: float = 0.01, decay: float = 0.0,
) -> list[Any]:  # fmt: skip
    """Points of one kind: untrained, random, half trained on the rule's labels, or trained on labels without rule."""
    if kind == "untrained":
        return drawn(network, count, _seed(rng))
    if kind == "random":
        return drawn(network, count, _seed(rng), scale=1.0)
    labels = rule if kind == "half trained" else noise
    steps = rng.integers(2, most // 2, count) if kind == "half trained" else np.full(count, most)
    return fit(network, loss, inputs, labels, steps, rate=rate, decay=decay, seed=_seed(rng))


def boolean_cases(kind: str, number: int, count: int, rng: np.random.Generator) -> Iterator[Case]:
    """Functions of three to five bits; near misses are compiled formulas with one row flipped."""
    bits, activation = (3, 4, 5)[number % 3], ("relu", "tanh")[number // 3 % 2]
    rows = np.array(cube((1, -1), bits), np.float32)
    rules = [a_formula(bits, rng) for _ in range(count)]

    def target(table: np.ndarray) -> Target:
        return Target("rule", inputs=rows, labels=table.astype(float), loss="bce", complete=True, train_fraction=1)

    if kind == "near miss":
        for rule in rules:
            table = rule.table
            table[rng.integers(len(table))] ^= 1
            if np.ptp(table) == 0 or np.ptp(rule.table) == 0:
                table = np.arange(1 << bits) % 3 // 2
            near = Formula.of_table(table, bits, encoding="signs")
            network, params = compile_program(near)
            asked = target(rule.table if np.ptp(rule.table) else 1 - table)
            form = {"cell": "mlp", "activation": "relu", "vocabulary": None}
            yield Case(network, disturbed(params, rng, 0.003), asked, form, _seed(rng), near)
        return
    network = mlp((bits,), 1, widths=(8, 8) if number % 2 else (12,), activation=activation)
    labels = np.array([rule.table if np.ptp(rule.table) else np.arange(1 << bits) % 2 for rule in rules], np.float32)
    noise = np.array([_random_bits(1 << bits, rng) for _ in range(count)], np.float32)
    points = _points(kind, network, "bce", rows, labels[..., None], noise[..., None], count, 300, rng, rate=0.02)
    asked_of = noise if kind == "random labels" else labels
    for params, table in zip(points, asked_of, strict=True):
        form = {"cell": "mlp", "activation": activation, "vocabulary": None}
        yield Case(network, params, target(table), form, _seed(rng))


def _random_bits(count: int, rng: np.random.Generator) -> np.ndarray:
    found = rng.integers(0, 2, count)
    found[:2] = (0, 1)
    return rng.permutation(found)


def a_formula(bits: int, rng: np.random.Generator) -> Formula:
    """A random formula of up to five gates."""
    parts = [("" if rng.random() < 0.5 else "~") + f"x{i}" for i in rng.integers(bits, size=rng.integers(2, 7))]
    while len(parts) > 1:
        a = parts.pop(rng.integers(len(parts)))
        b = parts.pop(rng.integers(len(parts)))
        parts.append(f"({a} {rng.choice(list('&|^'))} {b})")
    return Formula.parse(parts[0], bits, encoding="signs")


def machines() -> list[Machine]:
    asked = [build_target("tomita", grammar=grammar, length=6) for grammar in TOMITA]
    asked += [
        build_target("sequence", task=task, length=6) for task in ("Parity_All", "Parity_Last3", "Div_3", "Div_5")
    ]
    return [Machine.of(target.truth["machine"]) for target in asked]


def mealy_cases(kind: str, number: int, count: int, rng: np.random.Generator) -> Iterator[Case]:
    """Machines over bits, compared up to length 6; near misses have one transition or output changed."""
    length, known = 6, machines()
    words = np.indices((2,) * length).reshape(length, -1).T

    def target(labels: np.ndarray) -> Target:
        return Target("words", inputs=words, labels=labels, alphabet=2, output_alphabet=2, complete=True,
                      train_fraction=1, per_position=True)  # fmt: skip

    def told(machine: Machine) -> np.ndarray:
        return np.array(machine.run(words.tolist()))

    if kind == "near miss":
        for index in range(count):
            rule = known[(number * count + index) % len(known)]
            near = near_machine(rule, rng)
            cell = ("elman", "relu")[index % 2]
            network, params = compile_program(near, cell=cell, length=length, gain=6.0 if cell == "elman" else None)
            activation = "tanh" if cell == "elman" else "relu"
            form = {"cell": "elman", "activation": activation, "vocabulary": 2}
            params = disturbed(params, rng, (0.0, 0.003, 0.03)[index % 3], activation)
            # Noise may change what is computed, so that only exact weights are held against the machine.
            yield Case(network, params, target(told(rule)), form, _seed(rng), None if index % 3 else near)
        return
    cell, width = ("elman", "gru")[number % 2], (4, 8)[number // 2 % 2]
    network = recurrent((length,), 2, vocabulary=2, per_position=True, cell=cell, width=width)
    rules = [known[int(i)] for i in rng.integers(len(known), size=count)]
    labels = np.stack([told(rule) for rule in rules])
    noise = rng.integers(0, 2, size=labels.shape)
    points = _points(kind, network, "cross_entropy", words, labels, noise, count, 300, rng, rate=0.02)
    for params, table in zip(points, noise if kind == "random labels" else labels, strict=True):
        form = {"cell": cell, "activation": "tanh", "vocabulary": 2}
        yield Case(network, params, target(table), form, _seed(rng))


def near_machine(rule: Machine, rng: np.random.Generator) -> Machine:
    """Another function, by one transition or output changed."""
    while True:
        moves, said = [list(row) for row in rule.transitions], [list(row) for row in rule.outputs]
        state, letter = int(rng.integers(rule.states)), int(rng.integers(2))
        if rng.random() < 0.6 and rule.states > 1:
            moves[state][letter] = int(rng.integers(rule.states))
        else:
            said[state][letter] = 1 - said[state][letter]
        near = Machine(rule.alphabet, tuple(map(tuple, moves)), tuple(map(tuple, said)))
        if not near.equals(rule).equal:
            return near.canonical()


RECURRENCES = (
    Recurrence(a=[[1]], b=[[1]], c=[[1]], d=[[1]], start=[0]),
    Recurrence(a=[[0]], b=[[1]], c=[[1]], d=[[1]], start=[0]),
    Recurrence(a=[[0]], b=[[1]], c=[[-1]], d=[[1]], start=[0]),
    Recurrence(a=[[-1]], b=[[1]], c=[[1]], d=[[2]], start=[1]),
    Recurrence(a=[[0, 1], [0, 0]], b=[[0], [1]], c=[[1, 1]], d=[[1]], start=[0, 0]),
    Recurrence(a=[[1, 1], [0, 1]], b=[[1], [1]], c=[[1, 1]], d=[[1]], start=[0, 0]),
)
"""Running sum, sum and difference of the last two, a sum of alternating signs, sum of the last three, double sum."""

DIGITS = tuple(range(-2, 3))


def linear_cases(kind: str, number: int, count: int, rng: np.random.Generator) -> Iterator[Case]:
    """Recurrences over −2 … 2, all words of length 4; near misses have one coefficient changed, or a cap that binds."""
    length = 4
    words = np.array(list(itertools.product(DIGITS, repeat=length)))

    def told(program: Recurrence) -> np.ndarray:
        return np.asarray(program.answer(words[..., None].astype(float)), float)

    def target(labels: np.ndarray) -> Target:
        return Target("numbers", inputs=words, labels=labels, alphabet=DIGITS, as_numbers=True, complete=True,
                      train_fraction=1, loss="mse", per_position=True)  # fmt: skip

    without = frozenset({"mealy"})  # its searches over five letters would take most of the time
    if kind == "near miss":
        for index in range(count):
            rule = RECURRENCES[index % len(RECURRENCES)]
            if index % 4 == 3:
                network, params = _capped(length, 2 * length - int(rng.integers(1, 3)))
                form = {"cell": "elman", "activation": "relu", "vocabulary": None}
                params = disturbed(params, rng, 0.0, "relu")
                yield Case(network, params, target(told(RECURRENCES[0])), form, _seed(rng), None, without)
                continue
            near = near_recurrence(rule, rng)
            noise, mix = (0.0, 1e-5, 1e-3)[index % 3], None if index % 2 else _seed(rng)
            network, params = compile_program(near, length=length, width=8, mix=mix, noise=noise, seed=_seed(rng))
            form = {"cell": "elman", "activation": "identity", "vocabulary": None}
            # Mixed or noisy weights need not compute it at all lengths.
            exact = near if noise == 0 and mix is None else None
            yield Case(network, params, target(told(rule)), form, _seed(rng), exact, without)
        return
    activation = ("identity", "relu", "tanh")[number % 3]
    network = recurrent((length, 1), 1, per_position=True, cell="elman", width=8, activation=activation)
    rules = [RECURRENCES[int(i)] for i in rng.integers(len(RECURRENCES), size=count)]
    labels = np.stack([told(rule) for rule in rules])
    noise_labels = rng.integers(-2, 3, size=labels.shape).astype(float)
    given = words[..., None].astype(np.float32)
    points = _points(kind, network, "mse", given, labels, noise_labels, count, 500, rng, rate=0.02)
    for params, table in zip(points, noise_labels if kind == "random labels" else labels, strict=True):
        form = {"cell": "elman", "activation": activation, "vocabulary": None}
        yield Case(network, params, target(table), form, _seed(rng), None, without)


def near_recurrence(rule: Recurrence, rng: np.random.Generator) -> Recurrence:
    """Another recurrence, by one coefficient changed by 1."""
    while True:
        parts = {name: [list(row) for row in getattr(rule, name)] for name in "abcd"}
        start = list(rule.start)
        place = str(rng.choice([*"abcd", "start"]))
        move = int(rng.choice([-1, 1]))
        row = start if place == "start" else parts[place][int(rng.integers(len(parts[place])))]
        row[int(rng.integers(len(row)))] += move
        near = Recurrence(**parts, start=tuple(start))
        if not near.equals(rule).equal:
            return near


def _capped(length: int, cap: int) -> tuple[Network, Any]:
    """A ReLU network whose answer is ``s ← min(s + x, cap)``: a running sum but on its largest words."""
    network = recurrent((length, 1), 1, per_position=True, cell="elman", width=3, activation="relu")
    read = np.array([1.0, -1.0, -1.0])  # s = relu(v) − relu(−v) − relu(v − cap) with v = s + x
    signs = np.array([1.0, -1.0, 1.0])
    layer = {"input": signs[None], "hidden": np.outer(read, signs), "bias": np.array([0.0, 0.0, -float(cap)])}
    return network, {"layers": [layer], "readout": {"weight": read[:, None], "bias": np.zeros(1)}}


def fourier_cases(kind: str, number: int, count: int, rng: np.random.Generator) -> Iterator[Case]:
    """Sums modulo 5 to 17; near misses answer one pair otherwise, by three more units."""
    p, activation = (5, 7, 11, 13, 17)[number % 5], ("square", "relu")[number // 2 % 2]
    pairs = np.indices((p, p)).reshape(2, -1).T

    def target(table: np.ndarray) -> Target:
        return Target("pairs", inputs=pairs, labels=table, alphabet=p, complete=True, train_fraction=1, classes=p)

    factors = rng.integers(1, p, size=(count, 2))
    shifts = rng.integers(0, p, size=count)
    labels = (factors[:, :1] * pairs[:, 0] + factors[:, 1:] * pairs[:, 1] + shifts[:, None]) % p
    if kind == "near miss":
        for (a, b), c, table in zip(factors.tolist(), shifts.tolist(), labels, strict=True):
            keys = rng.choice(np.arange(1, p // 2 + 1), size=min(2, p // 2), replace=False)
            program = FourierProgram(p, tuple(map(int, keys)), a, b, c)
            mix, noise = _seed(rng), (0.0, 0.01)[int(rng.integers(2))]
            network, params = compile_program(program, mix=mix, noise=noise, seed=_seed(rng))
            network, params = _one_pair(network, params, p, rng)
            form = {"cell": "embedding_sum", "activation": "square", "vocabulary": p}
            yield Case(network, params, target(table), form, _seed(rng))
        return
    network = embedding_sum((2,), p, vocabulary=p, width=32, activation=activation)
    noise_labels = rng.integers(0, p, size=labels.shape)
    points = _points(kind, network, "cross_entropy", pairs, labels, noise_labels, count, 600, rng, decay=1.0)
    for params, table in zip(points, noise_labels if kind == "random labels" else labels, strict=True):
        form = {"cell": "embedding_sum", "activation": activation, "vocabulary": p}
        yield Case(network, params, target(table), form, _seed(rng))


def _one_pair(network: Network, params: Any, p: int, rng: np.random.Generator) -> tuple[Network, Any]:
    """Another answer to one pair (i, j): ``2 [a = i][b = j] = ([a = i] + [b = j])² − [a = i]² − [b = j]²``."""
    i, j = rng.integers(0, p, 2)
    outputs = np.asarray(network.apply(params, np.array([[i, j]])))[0]
    largest = np.abs(np.asarray(network.apply(params, np.indices((p, p)).reshape(2, -1).T))).max()
    other = (int(outputs.argmax()) + int(rng.integers(1, p))) % p
    more = np.zeros((2, p, 3), np.float32)
    more[0, i], more[1, j] = (1, 1, 0), (1, 0, 1)
    write = np.zeros((3, p), np.float32)
    write[:, other] = np.array([1, -1, -1]) * 1.5 * largest
    tables = np.concatenate([params["embed"], more], axis=2)
    weight = np.concatenate([params["readout"]["weight"], write])
    width = tables.shape[2]
    made = embedding_sum((2,), p, vocabulary=p, width=width, activation="square")
    return made, {"embed": tables, "readout": {"weight": weight}}


MAKERS: dict[str, Callable[[str, int, int, np.random.Generator], Iterator[Case]]] = {
    "boolean": boolean_cases,
    "fourier": fourier_cases,
    "linear": linear_cases,
    "mealy": mealy_cases,
}
