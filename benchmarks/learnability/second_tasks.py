"""Targets of the second table, none of them in the first: digits, strings with one answer, arithmetic modulo 13."""

from __future__ import annotations

import numpy as np

from allroads.targets.digits import digits
from allroads.targets.polynomial import evaluate_polynomial
from allroads.targets.rules import all_bits
from allroads.targets.tomita import TOMITA

from .domain import Domain, split
from .task import Task, balanced, distinct, drawn, flipped, generator, median_signs, signs

PRIME, LENGTH, IMAGES = 13, 8, 700
DIGITS_TRAIN, STRINGS_TRAIN, MODULAR_TRAIN = 256, 160, 128


def second_digits() -> Domain:
    """Yes–no questions about 700 images that another seed chose, 256 of which train."""
    data = digits(train_size=IMAGES, seed=7).train
    pixels, true = ((16 * data.inputs[..., 0] - 5) / 6).astype(np.float32), data.labels.astype(np.int64)
    flat = pixels.reshape(len(pixels), -1)
    tasks = []
    for index in range(6):
        name = f"second: five classes of ten, {index}"
        tasks.append(Task(name, "classes", np.where(np.isin(true, generator(name).permutation(10)[:5]), 1.0, -1.0)))
    for percent in (5, 15, 40):
        name = f"second: one of five classes, {percent} % flipped"
        tasks.append(Task(name, "noisy", flipped(tasks[0].labels, percent / 100, generator(name))))
    for index in range(2):
        name = f"second: shuffled, {index}"
        tasks.append(Task(name, "shuffled", generator(name).permutation(tasks[0].labels)))
    right, middle = pixels[:, :, 4:].sum((1, 2)), pixels[:, 2:6, 2:6].sum((1, 2))
    tasks += [
        Task("second: ink on the right", "image", median_signs(right)),
        Task("second: ink in the middle", "image", median_signs(middle)),
        Task("second: right xor middle", "image", median_signs(right) * median_signs(middle)),
    ]
    for width in (1, 4, 16):
        rng = generator(f"second: teacher with {width} units")
        hidden = np.maximum(flat @ rng.standard_normal((64, width)) / 4, 0)
        labels = median_signs(hidden @ rng.standard_normal(width))
        tasks.append(Task(f"second: teacher with {width} relu units", "teacher", labels))
    train, held_out = split(IMAGES, DIGITS_TRAIN)
    return Domain("digits", pixels, train, held_out, "mse", 1, _named(tasks))


def second_strings() -> Domain:
    """One answer per string of eight signs; 160 of the 256 strings train."""
    rows = all_bits(LENGTH).astype(int)
    values, count = signs(rows), rows.sum(axis=1)
    number = rows @ (1 << np.arange(LENGTH))
    tasks = [Task(f"second: bit {place}", "memory", values[:, place]) for place in (0, LENGTH - 1)]
    for places in ((0, 7), (2, 5, 6), (0, 2, 4, 6), tuple(range(6))):
        tasks.append(Task(f"second: parity of {len(places)} bits", "parity", values[:, places].prod(axis=1)))
    tasks += [
        Task("second: more ones than zeros, ties by the first", "count", _majority(values)),
        Task("second: ones mod 3 is 0, xor the last", "count", signs((count % 3 == 0) ^ (rows[:, -1] == 1))),
        Task("second: ones mod 4 above 1", "count", signs(count % 4 > 1)),
        Task("second: third bit of 5 · x", "arithmetic", signs(5 * number >> 3 & 1)),
        Task("second: third bit of x · x", "arithmetic", signs(number * number >> 3 & 1)),
    ]
    for grammar in (3, 5, 6, 7):
        states = np.zeros(len(rows), int)
        for place in range(LENGTH - 1):
            states = np.array([TOMITA[grammar].transitions[s][b] for s, b in zip(states, rows[:, place], strict=True)])
        inside = np.isin(states, list(TOMITA[grammar].accepting))
        tasks.append(Task(f"second: tomita {grammar} before the last bit, xor it", "automaton",
                          signs(inside ^ (rows[:, -1] == 1))))  # fmt: skip
    tasks += drawn("second: random", "random", 3, lambda rng: rng.choice([-1.0, 1.0], len(rows)))
    tasks += drawn("second: degree 2", "polynomial", 2, lambda rng: _quadratic(values, rng))
    train, held_out = split(len(rows), STRINGS_TRAIN)
    tasks = distinct(task for task in tasks if balanced(task.labels))
    return Domain("strings", values[..., None].astype(np.float32), train, held_out, "mse", 1, _named(tasks))


def second_modular() -> Domain:
    """Tables of pairs modulo 13; 128 of the 169 pairs train."""
    a, b = np.indices((PRIME, PRIME)).reshape(2, -1)
    texts = "b", "a + 2*b", "3*a - b", "a*b + 2*b", "a**2 - b", "a**2 - b**2", "a**2*b", "(a + 2*b)**2", "a**3 - b"
    tasks = [Task(f"second: {text} mod {PRIME}", "modular", evaluate_polynomial(text, a, b, PRIME)) for text in texts]
    tasks += [
        Task("second: min(a, b)", "order", np.minimum(a, b)),
        Task("second: half of a + b", "order", (a + b) // 2),
    ]
    for index in range(2):
        rng = generator(f"second: relabelled {index}")
        rows, columns, symbols = (rng.permutation(PRIME) for _ in range(3))
        tasks.append(
            Task(f"second: addition relabelled {index}", "relabelled", symbols[(rows[a] + columns[b]) % PRIME])
        )
        name = f"second: table {index}"
        tasks.append(Task(name, "random", generator(name).permutation(np.arange(len(a)) % PRIME)))
    train, held_out = split(len(a), MODULAR_TRAIN)
    pairs = np.stack([a, b], axis=1).astype(np.int32)
    return Domain("modular", pairs, train, held_out, "cross_entropy", PRIME, _named(tasks), vocabulary=PRIME)


def _majority(values: np.ndarray) -> np.ndarray:
    total = values.sum(axis=1)
    return np.where(total == 0, values[:, 0], np.sign(total))


def _quadratic(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    form = np.triu(rng.standard_normal((LENGTH, LENGTH)), 1)
    return median_signs(np.einsum("ni,ij,nj->n", values, form, values))


def _named(tasks: list[Task]) -> dict[str, Task]:
    return {task.name: task for task in tasks}
