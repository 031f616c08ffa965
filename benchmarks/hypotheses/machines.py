"""World 3: recurrent networks trained from one Mealy machine of two to four states to another."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np

from allroads import Problem, RoadOptions, road
from allroads.networks.recurrent import recurrent
from allroads.programs.mealy import Machine
from allroads.programs.mealy.code import table_bits
from allroads.programs.program import shared_parts
from hypotheses.transfer import log_steps, same_signs, signs, transfer, walks_of

STRUCTURES, READINGS, LENGTH, WIDTH, STEPS, RATE, STARTS, TRIED = 7, 3, 6, 12, 200, 0.02, 2, 4
ROADS = 12
WORDS = np.array(list(itertools.product((0, 1), repeat=LENGTH)))
PROBES = np.array([0, 19, 38, 61])
"""Words on which roads are followed: 24 outputs, fewer than weights."""


def drawn(seed: int = 0) -> list[Machine]:
    """Minimal machines of two to four states; three readings of each transition table, so that pairs share one."""
    rng = np.random.default_rng(seed)
    found: list[Machine] = []
    tables: set[tuple] = set()
    while len(tables) < STRUCTURES:
        states = 2 + len(tables) % 3
        moves = tuple(map(tuple, rng.integers(0, states, (states, 2)).tolist()))
        same = []
        for _ in range(200):
            outputs = tuple(map(tuple, rng.integers(0, 2, (states, 2)).tolist()))
            machine = Machine((0, 1), moves, outputs)
            least = machine.canonical()
            if least.states == states and least.transitions == moves and machine not in same and moves not in tables:
                same.append(machine)
            if len(same) == READINGS:
                tables.add(moves)
                found += same
                break
    return found


def answers(machine: Machine) -> np.ndarray:
    """Outputs ±1 on all words, ``[64, 6, 1]``."""
    return (2.0 * np.array([machine(word) for word in WORDS.tolist()]) - 1)[..., None].astype(np.float32)


def machine_of(answer: bytes) -> Machine | None:
    """The machine of at most four states that gives these answers to all words of six letters, if there is one."""
    bits = np.unpackbits(np.frombuffer(answer, np.uint8))[: len(WORDS) * LENGTH].reshape(len(WORDS), LENGTH)

    def output(word: tuple[int, ...]) -> int:
        row = int("".join(map(str, word)).ljust(LENGTH, "0"), 2)
        return int(bits[row, len(word) - 1])

    tails = [t for n in (1, 2) for t in itertools.product((0, 1), repeat=n)]

    def row(prefix: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(output(prefix + tail) for tail in tails)

    number = {row(()): 0}
    access: list[tuple[int, ...]] = [()]
    moves, outputs = [], []
    for prefix in access:  # grows while it is walked
        if len(prefix) > 3 or len(access) > 4:
            return None
        line = []
        for letter in (0, 1):
            after = row((*prefix, letter))
            if after not in number:
                number[after] = len(number)
                access.append((*prefix, letter))
            line.append(number[after])
        moves.append(tuple(line))
        outputs.append((output((*prefix, 0)), output((*prefix, 1))))
    machine = Machine((0, 1), tuple(moves), tuple(outputs))
    told = np.packbits(answers(machine).ravel() > 0)
    return machine.canonical() if told.tobytes() == answer else None


def world(seed: int = 0) -> dict:
    """Costs, directness and roads between 21 machines, their distances, and walks from random weights."""
    machines = drawn(seed)
    network = recurrent((LENGTH, 1), 1, per_position=True, cell="gru", width=WIDTH)
    inputs = jnp.asarray(2.0 * WORDS[..., None] - 1)
    wanted = np.stack([answers(machine) for machine in machines])
    which = np.repeat(np.arange(len(machines)), TRIED)
    keys = jax.random.split(jax.random.key(seed), len(which))
    fresh = transfer(
        network.apply, same_signs, jax.vmap(network.init)(keys), inputs, wanted[which],
        rate=RATE, steps=2 * STEPS, record=signs, over=100,
    )  # fmt: skip
    arrived = (fresh.steps >= 0).reshape(-1, TRIED)
    able = np.flatnonzero(arrived.sum(1) >= STARTS)
    points = np.array([TRIED * i + np.flatnonzero(arrived[i])[:STARTS] for i in able])
    pairs = np.array([(i, j) for i in range(len(able)) for j in range(len(able)) if i != j])
    cost, direct, roads = (np.full((STARTS, len(able), len(able)), np.nan) for _ in range(3))
    for start in range(STARTS):
        begin = jax.tree.map(lambda leaf, rows=points[pairs[:, 0], start]: leaf[rows], fresh.params)
        found = transfer(network.apply, same_signs, begin, inputs, wanted[able[pairs[:, 1]]], rate=RATE, steps=STEPS)
        cost[start][tuple(pairs.T)] = log_steps(found.steps, STEPS)
        direct[start][tuple(pairs.T)] = found.directness
    problem = Problem(network, "mse", inputs[PROBES], jnp.zeros((len(PROBES), LENGTH, 1)))
    options = RoadOptions(tolerance=1e-2, records=1)
    chosen = set(np.random.default_rng(seed).choice(len(able), min(ROADS, len(able)), replace=False).tolist())
    for i, j in pairs:
        if not {int(i), int(j)} <= chosen:
            continue
        point = jax.tree.map(lambda leaf, row=points[i, 1]: jnp.asarray(leaf[row]), fresh.params)
        found = road(problem, point, wanted[able[j]][PROBES], options=options, progress=False)
        roads[1, i, j] = found.cost if found.status.sound else np.nan
    kept = [machines[i] for i in able]
    walks, known = [], {}
    for walk, there in zip(walks_of(fresh.records), fresh.steps >= 0, strict=True):
        if there:
            for answer in set(walk) - set(known):
                known[answer] = machine_of(answer)
            walks.append([known[answer] for answer in walk])
    named = {machine for machine in known.values() if machine is not None}
    flat = wanted[able].reshape(len(able), -1)
    return {
        "machines": kept,
        "cost": cost,
        "directness": direct[1],
        "road cost": roads[1],
        "reached": float((cost < np.log2(1 + STEPS)).sum() / np.isfinite(cost).sum()),
        "function": np.array([[np.mean(a != b) for b in flat] for a in flat]),
        "table distance": np.array([[a.distance(b) for b in kept] for a in kept]),
        "transitions": np.array([[_moves_apart(a, b) for b in kept] for a in kept], float),
        "parts": np.array([[1 - shared_parts(a, b) for b in kept] for a in kept]),
        "bits": np.array([table_bits(machine.transitions, machine.outputs) for machine in kept]),
        "scratch": log_steps(fresh.steps, 2 * STEPS).reshape(-1, TRIED).mean(1)[able],
        "walks": walks,
        "lengths": {machine: table_bits(machine.transitions, machine.outputs) for machine in named},
        "named parts": {machine: machine.parts for machine in named},
    }


def _moves_apart(a: Machine, b: Machine) -> int:
    """Entries of the transition tables that differ; an entry that only one has counts."""
    few = min(a.states, b.states)
    apart = sum(x != y for q in range(few) for x, y in zip(a.transitions[q], b.transitions[q], strict=True))
    return apart + 2 * (max(a.states, b.states) - few)
