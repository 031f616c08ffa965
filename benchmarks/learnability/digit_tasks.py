"""Handwritten digits: their classes, true and shuffled, and balanced yes–no questions about the images."""

from __future__ import annotations

from functools import cache

import numpy as np

from allroads.targets.digits import digits

from .task import Task, balanced, distinct, flipped, generator, median_signs

IMAGES = 592


@cache
def images() -> tuple[np.ndarray, np.ndarray]:
    """Images ``[592, 8, 8]``, about centred and of unit variance, and their classes."""
    data = digits(train_size=IMAGES, seed=0).train
    return ((16 * data.inputs[..., 0] - 5) / 6).astype(np.float32), data.labels.astype(np.int64)


def class_tasks() -> list[Task]:
    """Questions with up to ten answers."""
    pixels, true = images()
    tasks = [
        Task("digit", "digits", true),
        Task("digit mod 5", "digits", true % 5),
        Task("digit div 2", "digits", true // 2),
    ]
    for percent in (10, 25, 50, 75):
        name = f"digit, {percent} % of labels shuffled"
        rng, labels = generator(name), true.copy()
        rows = rng.choice(len(labels), round(percent / 100 * len(labels)), replace=False)
        labels[rows] = labels[rng.permutation(rows)]
        tasks.append(Task(name, "digits-shuffled", labels))
    for index in range(3):
        name = f"digit, all labels shuffled, {index}"
        tasks.append(Task(name, "digits-shuffled", generator(name).permutation(true)))
    ink = pixels.sum(axis=(1, 2))
    deciles = np.argsort(np.argsort(ink, kind="stable")) * 10 // len(ink)
    tasks.append(Task("decile of ink", "image", deciles))
    tasks.append(Task("digit + decile of ink mod 10", "image", (true + deciles) % 10))
    return tasks


def sign_tasks() -> list[Task]:
    """Questions with the answers +1 and −1, as many of one as of the other within a few per cent."""
    pixels, true = images()
    flat = pixels.reshape(len(pixels), -1)
    even, large, loops = (
        np.where(np.isin(true, s), 1.0, -1.0) for s in ((0, 2, 4, 6, 8), (5, 6, 7, 8, 9), (0, 4, 6, 8, 9))
    )
    ink, left, top = (median_signs(s) for s in (flat.sum(1), pixels[:, :, :4].sum((1, 2)), pixels[:, :4].sum((1, 2))))
    tasks = [Task("even", "digits", even), Task("above 4", "digits", large), Task("has a loop", "digits", loops)]
    for index in range(8):
        name = f"five classes of ten, {index}"
        tasks.append(Task(name, "digits", np.where(np.isin(true, generator(name).permutation(10)[:5]), 1.0, -1.0)))
    for percent in (10, 25, 50):
        name = f"even, {percent} % flipped"
        tasks.append(Task(name, "noisy", flipped(even, percent / 100, generator(name))))
    for index in range(3):
        name = f"even, shuffled, {index}"
        tasks.append(Task(name, "digits-shuffled", generator(name).permutation(even)))
    tasks += [
        Task("much ink", "image", ink),
        Task("ink on the left", "image", left),
        Task("ink at the top", "image", top),
    ]
    tasks += [Task("one pixel", "image", median_signs(pixels[:, 3, 3])), Task("even xor much ink", "image", even * ink)]
    tasks += [Task("left xor top", "image", left * top), Task("above 4 xor even", "digits", large * even)]
    for index in range(2):
        weights = generator(f"linear teacher {index}").standard_normal((64, 1))
        tasks.append(Task(f"linear teacher {index}", "teacher", median_signs(flat @ weights[:, 0])))
    for width in (2, 8, 32):
        rng = generator(f"teacher with {width} tanh units")
        hidden = np.tanh(flat @ rng.standard_normal((64, width)) / 3)
        tasks.append(
            Task(f"teacher with {width} tanh units", "teacher", median_signs(hidden @ rng.standard_normal(width)))
        )
    return distinct(task for task in tasks if balanced(task.labels))
