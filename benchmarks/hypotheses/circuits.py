"""World 5: two-output functions of five bits. Pairs of targets that differ in nothing but a part shared with the start.

The start computes two functions of a part h of three bits. The target q computes two others of the same h. Its control
is q with its inputs exchanged and negated, so it has the size of q, and from random weights it is learned as fast. Only
those exchanges count after which no part is shared, each output differs from that of the start on as many rows, and
the correlation with it is as large on the monomials of each degree. Wide networks tell functions apart by no more
than that when training begins. The inner control exchanges the three inputs of the part alone, so that the same inputs
serve the same purpose.
"""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np

from allroads.networks.mlp import mlp
from allroads.programs.boolean.exact import exact_formula, exact_sizes
from allroads.programs.boolean.normal_form import normal_form, sub_formulas
from allroads.programs.boolean.tree import table_of
from hypotheses.transfer import log_steps, same_signs, transfer

BITS, WIDTHS, STEPS, RATE, STARTS, DESIGNS, TRIED = 5, (16, 16), 800, 0.01, 3, 64, 6
ROWS = np.arange(1 << BITS)[:, None] >> np.arange(BITS) & 1
DEGREE = ROWS.sum(1)
WALSH = (-1.0) ** (ROWS @ ROWS.T)
"""Value of each monomial at each row, ``[monomial, row]``."""

TARGETS = ("target", "control", "inner control")
GATES = np.array([[0, 0, 0, 1], [0, 1, 1, 1], [0, 1, 1, 0], [0, 0, 1, 0], [1, 0, 1, 1], [1, 0, 0, 0]])
"""Two-input gates by the values at (0, 0), (0, 1), (1, 0), (1, 1): and, or, xor, and not, or not, nor."""


MOVES = [(order, mask) for order in itertools.permutations(range(BITS)) for mask in range(1 << BITS)]
EXCHANGES = np.array([(ROWS[:, list(o)] ^ (m >> np.arange(BITS) & 1)) @ (1 << np.arange(BITS)) for o, m in MOVES])
"""For each order of the inputs and each set of negated ones, the row that each row goes to, ``[3840, 32]``."""

INSIDE = np.array([order[3:] == (3, 4) and mask < 8 for order, mask in MOVES])
"""Exchanges among the three inputs of the part: the control reads the same inputs for the same purpose."""


def normal(table: np.ndarray) -> bytes:
    """A table up to negation."""
    return (table ^ table[0]).astype(np.uint8).tobytes()


def parts_of(table: int) -> list[np.ndarray]:
    """The gates of a shortest formula of three bits, as tables over the first three of five."""
    gates = sub_formulas(normal_form(exact_formula(table, 3)))
    three = [np.array([table_of(gate, 3) >> row & 1 for row in range(8)]) for gate in gates]
    return [values[ROWS[:, :3] @ (1, 2, 4)] for values in three]


def overlap(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Correlations of the outputs of p ``[32, 2]`` and of q ``[…, 32, 2]`` by degree, ``[…, 6, 2]``."""
    left, right = ((WALSH @ (1 - 2 * table)) / len(ROWS) for table in (p, q))
    return (np.arange(BITS + 1)[:, None] == DEGREE).astype(float) @ (left * right)


def designs(seed: int = 0) -> list[dict]:
    """Starts, targets and controls as tables ``[32, 2]``."""
    rng, found = np.random.default_rng(seed), []
    heavy = [t for t in range(256) if exact_sizes(3)[t] >= 2 and all(
        np.any(np.array([t >> r & 1 for r in range(8)]) != np.array([t >> (r ^ 1 << i) & 1 for r in range(8)]))
        for i in range(3))]  # fmt: skip
    while len(found) < DESIGNS:
        table = int(rng.choice(heavy))
        h = np.array([table >> row & 1 for row in range(8)])[ROWS[:, :3] @ (1, 2, 4)]
        first = [GATES[g][2 * h + ROWS[:, 3 + k]] for k, g in enumerate(rng.integers(0, len(GATES), 2))]
        last = [
            GATES[g][2 * h + ROWS[:, 3 + k]]
            for k, g in zip(rng.permutation(2), rng.integers(0, len(GATES), 2), strict=True)
        ]
        p, q = np.stack(first, 1), np.stack(last, 1)
        if any(normal(a) == normal(b) for a in p.T for b in q.T):
            continue
        held = {normal(part) for part in parts_of(table)} | {normal(output) for output in p.T}
        inner = [*parts_of(table), *q.T]
        others = q[EXCHANGES]
        alike = np.abs(overlap(p, others) - overlap(p, q)).max((1, 2)) < 1e-9
        for k in np.flatnonzero(alike):
            alike[k] = not held & {normal(part[EXCHANGES[k]]) for part in inner}
        if not (alike & INSIDE).any():
            continue
        control, within = (rng.choice(np.flatnonzero(some)) for some in (alike, alike & INSIDE))
        tables = {"start": p, "target": q, "control": others[control], "inner control": others[within]}
        found.append({"part": table, **tables, "controls": int(alike.sum())})
    return found


def world(seed: int = 0) -> dict:
    """``log₂(1 + steps)`` of the target and both controls from three starts each, and from random weights."""
    plan = designs(seed)
    network = mlp((BITS,), 2, widths=WIDTHS, activation="tanh", init="lecun", bias="normal")
    inputs = jnp.asarray(1.0 - 2 * ROWS)
    names = ("start", *TARGETS)
    tables = {name: np.stack([2.0 * design[name] - 1 for design in plan]).astype(np.float32) for name in names}
    which = np.repeat(np.arange(len(plan)), TRIED)
    keys = jax.random.split(jax.random.key(seed), len(which))
    fresh = jax.vmap(network.init)(keys)
    learned = {
        name: transfer(network.apply, same_signs, fresh, inputs, tables[name][which], rate=RATE, steps=STEPS, over=200)
        for name in tables
    }
    arrived = (learned["start"].steps >= 0).reshape(-1, TRIED)
    able = np.flatnonzero(arrived.sum(1) >= STARTS)
    rows = np.concatenate([TRIED * i + np.flatnonzero(arrived[i])[:STARTS] for i in able])
    begin = jax.tree.map(lambda leaf: leaf[rows], learned["start"].params)
    found = {"designs": [plan[i] for i in able]}
    for name in TARGETS:
        run = transfer(
            network.apply, same_signs, begin, inputs, tables[name][np.repeat(able, STARTS)], rate=RATE, steps=STEPS
        )
        found[name] = log_steps(run.steps, STEPS).reshape(-1, STARTS)
        found[f"{name} directness"] = run.directness.reshape(-1, STARTS)
        found[f"{name} from scratch"] = log_steps(learned[name].steps, STEPS).reshape(-1, TRIED)[able]
    return found
