"""Boolean circuits of the zoo."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from allroads.programs.boolean.encoding import cube
from allroads.programs.boolean.formula import Formula
from allroads.programs.ground_truth.entry import Entry
from allroads.targets.target import Target

Rule = Callable[[Any], Any]

CIRCUITS: dict[str, tuple[str, int, str, Rule]] = {
    "and-4": ("all of four bits", 4, "x0 & x1 & x2 & x3", lambda x: all(x)),
    "or-4": ("any of four bits", 4, "x0 | x1 | x2 | x3", lambda x: any(x)),
    "xor-2": ("sum of two bits modulo 2", 2, "x0 ^ x1", lambda x: sum(x) % 2),
    "parity-4": ("sum of four bits modulo 2", 4, "x0 ^ x1 ^ x2 ^ x3", lambda x: sum(x) % 2),
    "parity-6": ("sum of six bits modulo 2", 6, "x0 ^ x1 ^ x2 ^ x3 ^ x4 ^ x5", lambda x: sum(x) % 2),
    "majority-3": ("at least two of three bits; the carry of a full adder", 3, "x0 & (x1 | x2) | x1 & x2",
                   lambda x: sum(x) >= 2),
    "multiplexer": ("x1 where x0 is 1, else x2", 3, "x0 & x1 | ~x0 & x2", lambda x: x[1] if x[0] else x[2]),
    "exactly-one-3": ("exactly one of three bits", 3, "(x0 ^ x1 ^ x2) & ~(x0 & x1)", lambda x: sum(x) == 1),
    "pairs-equal": ("whether two numbers of two bits are equal", 4, "~(x0 ^ x2) & ~(x1 ^ x3)",
                    lambda x: x[:2] == x[2:]),
    "pairs-less": ("whether the number 2 x0 + x1 is less than 2 x2 + x3", 4,
                   "~x0 & x2 | ~(x0 ^ x2) & ~x1 & x3", lambda x: x[:2] < x[2:]),
    "inner-product-4": ("inner product of two pairs of bits modulo 2", 4, "x0 & x2 ^ x1 & x3",
                        lambda x: (x[0] * x[2] + x[1] * x[3]) % 2),
    "implication-chain": ("whether x0 ≤ x1 ≤ x2 ≤ x3", 4, "(~x0 | x1) & (~x1 | x2) & (~x2 | x3)",
                          lambda x: x == sorted(x)),
}  # fmt: skip
"""Name to summary, bits, formula, and the same function of a list of bits in Python."""


def _made(name: str) -> tuple[Formula, Target]:
    _, bits, text, rule = CIRCUITS[name]
    rows = cube((0, 1), bits)
    labels = [float(rule(list(row))) for row in rows]
    target = Target(name, inputs=[[float(v) for v in row] for row in rows], labels=labels, loss="bce", complete=True,
                    train_fraction=1)  # fmt: skip
    return Formula.parse(text, bits), target


def circuits() -> list[Entry]:
    """The circuits, compiled into ReLU networks of their gates."""
    return [Entry(name, "boolean", line, partial(_made, name)) for name, (line, *_) in CIRCUITS.items()]
