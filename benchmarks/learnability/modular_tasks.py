"""Arithmetic and tables on the pairs (a, b) of numbers modulo a small prime."""

from __future__ import annotations

import numpy as np

from allroads.targets.polynomial import evaluate_polynomial

from .task import Task, generator

PRIME = 11
A, B = np.indices((PRIME, PRIME)).reshape(2, -1)
PAIRS = np.stack([A, B], axis=1).astype(np.int32)
"""Inputs as tokens, ``[121, 2]``."""

POLYNOMIALS = (
    "a",
    "a + b",
    "a - b",
    "2*a + 3*b",
    "a*b",
    "a*b + a",
    "a*b + a + b",
    "a**2 + b",
    "a**2 + b**2",
    "a**2 + a*b + b**2",
    "(a + b)**2",
    "(a - b)**2",
    "a**3 + b",
    "a**3 + a*b",
)


def modular_tasks() -> list[Task]:
    """Polynomials, order and digits, Latin squares, and tables without a rule."""
    tasks = [Task(f"{text} mod {PRIME}", "modular", evaluate_polynomial(text, A, B, PRIME)) for text in POLYNOMIALS]
    tasks += [
        Task("max(a, b)", "order", np.maximum(A, B)),
        Task("|a - b|", "order", np.abs(A - B)),
        Task("(a + b) div 2", "order", (A + B) // 2),
    ]
    noisy, rng = evaluate_polynomial("a + b", A, B, PRIME), generator("a + b mod 11, a quarter random")
    noisy[rng.choice(len(A), len(A) // 4, replace=False)] = rng.integers(PRIME, size=len(A) // 4)
    tasks.append(Task("a + b mod 11, a quarter random", "noisy", noisy))
    for index in range(3):
        name = f"addition relabelled {index}"
        rng = generator(name)
        rows, columns, symbols = (rng.permutation(PRIME) for _ in range(3))
        tasks.append(Task(name, "relabelled", symbols[(rows[A] + columns[B]) % PRIME]))
    for index in range(3):
        name = f"table {index}"
        tasks.append(Task(name, "random", generator(name).permutation(np.arange(len(A)) % PRIME)))
    return tasks
