"""Trained networks read as counters and piecewise-linear recurrences.

    python benchmarks/trained_counters.py [TASK …]    # some minutes; writes benchmarks/results/trained_counters.json

One network a task is trained from random weights by Adam: an Elman network of ReLU units on the tasks of numbers, a GRU
on the tasks of letters. `extract` then reads it, with all languages. Each row is written when it is done; tasks that
have one are left out, unless they are named.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")

import jax
import jax.numpy as jnp
import numpy as np
import optax

from allroads import extract, float64
from allroads.networks.recurrent import recurrent
from allroads.programs import run_source
from allroads.targets import build_target

RESULT = Path(__file__).parent / "results" / "trained_counters.json"
NUMBERS = {
    "Abs_Current": (2, 3000),
    "Abs_Diff": (4, 8000),
    "Diff_Abs_Values": (5, 8000),
    "Max_Seen": (3, 8000),
    "Min_Seen": (3, 8000),
}
"""Tasks of numbers: width, steps."""
LETTERS = {
    "Majority_0_1": (12, 3000),
    "Balanced_Parenthesis": (12, 3000),
    "Evens_Counter": (12, 4000),
    "Majority_0_2": (24, 4000),
    "Majority_0_3": (32, 6000),
}
"""Tasks of letters: width, steps."""
SEEDS = 16


def mixed(target, count=16384):
    """Sequences of all numbers, of narrow ranges, and of the ends, with their answers; so that ties and ends occur."""
    rng = np.random.default_rng(7)
    symbols, length = np.array(sorted(target.alphabet)), target.interface.input_shape[0]
    ends = np.sort(rng.integers(len(symbols), size=(2, count)), axis=0)
    words = symbols[rng.integers(ends[0][:, None], ends[1][:, None] + 1, size=(count, length))]
    words[: count // 2] = rng.choice(symbols, size=(count // 2, length))
    corner = np.concatenate([symbols[:2], symbols[-2:], [0, 1]])
    words[::8] = rng.choice(corner, size=words[::8].shape)
    answers = np.array([target.function(word.tolist()) for word in words], float)
    return words[..., None].astype(float), answers[..., None]


def descended(loss, optimiser, examples, params, keys):
    """The point after one step for each key, on 128 examples each, and the losses on the way."""

    def update(carry, key):
        params, state = carry
        rows = jax.random.randint(key, (128,), 0, examples)
        value, slope = jax.value_and_grad(loss)(params, rows)
        updates, state = optimiser.update(slope, state, params)
        return (optax.apply_updates(params, updates), state), value

    (params, _), values = jax.lax.scan(update, (params, optimiser.init(params)), keys)
    return params, values


def trained_numbers(target, width, steps, seeds=SEEDS):
    """The best of several ReLU networks, polished in double precision."""
    network = recurrent(
        target.interface.input_shape, 1, per_position=True, cell="elman", width=width, activation="relu"
    )
    numbers, labels = mixed(target)
    scale = float(np.abs(numbers).max())
    inputs, labels = numbers / scale, labels / scale
    with float64():
        rate = optax.warmup_cosine_decay_schedule(0.0, 1e-2, 200, steps, 1e-6)
        optimiser = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(rate))

        def loss(params, rows):
            return jnp.mean((network.apply(params, jnp.asarray(inputs)[rows]) - jnp.asarray(labels)[rows]) ** 2)

        def train(key):
            params = network.init(key)
            params = jax.tree.map(lambda leaf: leaf.astype(float), params)
            return descended(loss, optimiser, len(inputs), params, jax.random.split(key, steps))

        params, values = jax.jit(jax.vmap(train))(jax.random.split(jax.random.key(0), seeds))
    final = np.asarray(values[:, -200:]).mean(axis=1)
    best = jax.tree.map(lambda leaf: np.array(leaf[int(np.nanargmin(final))]), params)
    best["layers"][0]["input"] /= scale  # the network reads the numbers themselves, and answers in them
    best["readout"] = {name: leaf * scale for name, leaf in best["readout"].items()}
    return network, best, float(np.sqrt(final.min()) * scale)


def drawn(target, count=8192):
    """Words with letters of different shares, and their answers, so that rare counts occur."""
    rng = np.random.default_rng(7)
    size, length = len(target.alphabet), target.interface.input_shape[0]
    shares = rng.dirichlet(np.full(size, 0.4), size=count).cumsum(axis=1)
    words = (rng.random((count, length))[..., None] > shares[:, None, :-1]).sum(axis=-1)
    answers = [target.function([target.alphabet[i] for i in word]) for word in words]
    return words, np.array(answers)


def trained_letters(target, width, steps):
    """One network of letters."""
    interface = target.interface
    network = recurrent(interface.input_shape, interface.outputs, vocabulary=interface.vocabulary, per_position=True,
                        cell="gru", width=width)  # fmt: skip
    inputs, labels = drawn(target)
    rate = optax.cosine_decay_schedule(1e-2, steps, 1e-2)
    optimiser = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(rate, weight_decay=1e-4))

    def loss(params, rows):
        scores = network.apply(params, jnp.asarray(inputs)[rows])
        return optax.softmax_cross_entropy_with_integer_labels(scores, jnp.asarray(labels)[rows]).mean()

    params = network.init(jax.random.key(1))
    train = jax.jit(lambda start, keys: descended(loss, optimiser, len(inputs), start, keys))
    params, values = train(params, jax.random.split(jax.random.key(2), steps))
    return network, jax.tree.map(np.asarray, params), float(np.asarray(values[-100:]).mean())


def row_of(task):
    """Train, extract and compare with the definition on fresh sequences of the target's and of twice the length."""
    numbers = task in NUMBERS
    width, steps = (NUMBERS | LETTERS)[task]
    target = build_target("sequence", task=task, train_fraction=None, **({"as_numbers": True} if numbers else {}),
                          **({} if task in ("Majority_0_1", "Balanced_Parenthesis")
                             else {"train_size": 8192, "held_out_size": 1024}))  # fmt: skip
    began = time.perf_counter()
    network, params, loss = (trained_numbers if numbers else trained_letters)(target, width, steps)
    trained = time.perf_counter()
    found = extract(network, params, target)
    done = time.perf_counter()
    row = {
        "task": task,
        "train_seconds": round(trained - began, 1),
        "loss": loss,
        "status": found.status.value,
        "language": None if found.program is None else found.program.language,
        "scope": None if found.equivalence is None else str(found.equivalence),
        "margin": None if found.equivalence is None else found.equivalence.margin,
        "correct": None if found.correct is None else bool(found.correct.equal),
        "interchange": None if found.interchange is None else found.interchange.value,
        "null": None if found.interchange is None else found.interchange.stats["null"],
        "bits": None if found.program is None else found.value,
        "extract_seconds": round(done - trained, 1),
        "source": None if found.program is None else found.program.source,
        "said": dict(found.stats["languages"]),
    }
    if found.program is not None and found.equivalence.equal:
        rng = np.random.default_rng(123)
        length = target.interface.input_shape[0]
        words = [
            rng.choice(np.array(target.alphabet), size=n).tolist() for n in (length, 2 * length) for _ in range(200)
        ]
        wanted = [target.function(word) for word in words]
        said = run_source(found.program.source, words)
        row["equal_definition"] = [list(map(int, w)) for w in wanted] == [list(map(int, s)) for s in said]
    return row


def main() -> None:
    """Train, read, print and write."""
    rows = {row["task"]: row for row in (json.loads(RESULT.read_text())["rows"] if RESULT.exists() else [])}
    for task in sys.argv[1:] or [t for t in (*NUMBERS, *LETTERS) if t not in rows]:
        rows[task] = row = row_of(task)
        print({k: v for k, v in row.items() if k != "source"}, flush=True)
        print(row["source"], flush=True)
        content = {"command": "python benchmarks/trained_counters.py", "rows": list(rows.values())}
        RESULT.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
