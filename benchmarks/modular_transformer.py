"""One-layer transformers that learn sums modulo p: their Fourier programs, and their neurons from pizza to clock.

    python benchmarks/modular_transformer.py    # ten minutes of one free thread; resumes from its results

Two tokens, one answer at the second, no layer norm, as in [zhong2023]. Full batch AdamW with betas (.9, .98); the rate
rises over ten steps and falls over the last third. The cross-entropy is computed from differences to the right answer's
logit, so that single precision resolves losses far below 1e-7; the published runs compute it in double precision.

Settings: p = 59 and p = 31 with attention rates 0 (uniform), 0.5 and 1 (softmax); p = 53 and p = 113. Width 64 and 256
hidden units, half of the published sizes; decay 2 as in [zhong2023], and twice its rate. Controls: random labels and
too few pairs, both learned by heart without decay, and networks at their start. No program may come of these.

Columns: the steps at which all training pairs were known, and all others; the share of the variance of the centred
logits that cosines of x + y − z have, with one amplitude a frequency, and with one a pair and frequency; the
frequencies; the share of the MLP's units with half of their variance at one frequency; the status; interchange accuracy
on these units and its null; cross-entropy of the network and of its waves alone, and without these; gradient
symmetricity, distance irrelevance, circularity, and the position from pizza (0) to clock (1).
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")

import jax
import jax.numpy as jnp
import numpy as np
import optax
from grokking import descent

from allroads import Target
from allroads.networks.transformer import transformer
from allroads.pfmap.network import Network, Params
from allroads.programs.extract import extract
from allroads.programs.fourier import LANGUAGE, neuron_level
from allroads.programs.fourier.pairs import EXPLAINED, KEY, UNIT, losses
from allroads.programs.fourier.spectrum import built, centred, explained_by_pair, unit_frequencies, waves
from allroads.programs.fourier.units import last_hidden
from allroads.programs.subject import subject_of
from allroads.targets.modular import modular

RESULT = Path(__file__).parent / "results" / "modular_transformer.json"
EVERY = 50


@dataclass(frozen=True)
class Setting:
    """How a transformer is made and trained; without steps it is read at its start."""

    p: int
    fraction: float
    attention_rate: float = 1.0
    d_model: int = 64
    d_mlp: int = 256
    rate: float = 2e-3
    decay: float = 2.0
    steps: int = 1500
    labels: str = "sums"


SETTINGS: dict[str, tuple[Setting, int]] = {
    "p=59 alpha=1": (Setting(59, 0.5), 3),
    "p=59 alpha=0": (Setting(59, 0.5, 0.0), 1),
    "random labels p=23": (Setting(23, 1.0, decay=0.0, steps=500, labels="random"), 2),
    "few pairs p=23": (Setting(23, 0.25, decay=0.0, steps=300), 2),
    "untrained p=59": (Setting(59, 0.5, steps=0), 2),
    "p=31 alpha=1": (Setting(31, 0.8), 2),
    "p=31 alpha=0.5": (Setting(31, 0.8, 0.5), 2),
    "p=31 alpha=0": (Setting(31, 0.8, 0.0), 2),
    "p=53 alpha=1": (Setting(53, 0.6), 1),
    "p=59 alpha=0, 80 % of the pairs": (Setting(59, 0.8, 0.0), 1),
    "p=113 alpha=1": (Setting(113, 0.4), 1),
}
"""Setting and number of seeds, in the order in which they are run."""


def main() -> None:
    """Train, read, print and store."""
    rows: dict[str, dict] = json.loads(RESULT.read_text("utf-8"))["rows"] if RESULT.exists() else {}
    for name, (setting, seeds) in SETTINGS.items():
        for seed in range(seeds):
            if f"{name} seed={seed}" not in rows:
                rows[f"{name} seed={seed}"] = row = measured(setting, seed)
                print(name, seed, {key: value for key, value in row.items() if key != "source"}, flush=True)
                write(rows)
    report(rows)


def target_of(setting: Setting, seed: int) -> Target:
    """Sums of all pairs, or random answers to all."""
    p = setting.p
    if setting.labels == "sums":
        return modular(p=p, train_fraction=setting.fraction, seed=seed)
    pairs = np.indices((p, p)).reshape(2, -1).T
    labels = np.random.default_rng(seed).integers(0, p, p * p)
    return Target("random labels", inputs=pairs, labels=labels, alphabet=p, classes=p, complete=True, train_fraction=1)


def train(network: Network, target: Target, setting: Setting, seed: int) -> tuple[Params, dict]:
    """A trained point, and what came of it; a seed decides the start and the training pairs."""
    p, falling = setting.p, setting.steps // 3
    x, y = jnp.asarray(target.train.inputs), jnp.asarray(target.train.labels)
    right = jax.nn.one_hot(y, p, dtype=bool)
    rate = optax.join_schedules(
        [
            optax.linear_schedule(0.0, setting.rate, 10),
            optax.constant_schedule(setting.rate),
            optax.linear_schedule(setting.rate, 0.02 * setting.rate, max(1, falling)),
        ],
        [10, setting.steps - falling],
    )
    rule = optax.adamw(rate, b1=0.9, b2=0.98, weight_decay=setting.decay)

    def loss(params: Params) -> jax.Array:
        scores = network.apply(params, x)
        apart = scores - jnp.take_along_axis(scores, y[:, None], axis=1)
        others = jax.nn.logsumexp(jnp.where(right, -jnp.inf, apart), axis=1)
        return jax.nn.softplus(others).mean()  # log(1 + Σ exp(difference)) is exact where it is small

    run = descent(loss, rule, EVERY)
    sides = [target.train] if target.held_out is None else [target.train, target.held_out]
    known = jax.jit(lambda q: [(network.apply(q, side.inputs).argmax(axis=1) == side.labels).sum() for side in sides])
    params = network.init(jax.random.key(seed))
    state = rule.init(params)
    first: list[int | None] = [None, None]
    shares = [int(count) / len(side.labels) for count, side in zip(known(params), sides, strict=True)]
    for step in range(EVERY, setting.steps + 1, EVERY):
        params, state = run(params, state)
        shares = [int(count) / len(side.labels) for count, side in zip(known(params), sides, strict=True)]
        for side, share in enumerate(shares):
            first[side] = step if first[side] is None and share == 1 else first[side]
    return params, {
        "fitted": first[0],
        "generalised": first[1],
        "train_accuracy": shares[0],
        "held_out_accuracy": shares[1] if len(shares) > 1 else None,
    }


def measured(setting: Setting, seed: int) -> dict:
    """What is read of one network."""
    p, target = setting.p, target_of(setting, seed)
    network = transformer(
        (2,), p, vocabulary=p, d_model=setting.d_model, d_mlp=setting.d_mlp, attention_rate=setting.attention_rate
    )
    began = time.process_time()
    params, came = train(network, target, setting, seed)
    trained = time.process_time()
    subject, pairs = subject_of(network, params, target), np.indices((p, p)).reshape(2, -1).T
    logits = centred(subject.outputs(pairs).reshape(p, p, p))
    found = waves(logits)
    key = [int(k) + 1 for k in np.flatnonzero(found.shares > KEY * found.shares.max())]
    reading = time.process_time()
    extraction = extract(network, params, target, languages=[LANGUAGE], seed=seed, progress=False)
    read = time.process_time()
    layer = last_hidden(subject, pairs)
    assert layer is not None
    units = layer[0].reshape(p, p, -1)
    level, change = neuron_level(network, params, target, seed=seed), extraction.interchange
    return {
        **asdict(setting),
        **came,
        "explained": float(found.shares[[k - 1 for k in key]].sum()),
        "explained_by_pair": explained_by_pair(logits, found),
        "factors": [found.a, found.b, found.c],
        "frequencies": key,
        "units": units.shape[2],
        "units_tuned": float((unit_frequencies(units, found.a, found.b)[1] >= UNIT).mean()),
        "status": extraction.status.value,
        "correct": extraction.correct is not None and extraction.correct.equal,
        "interchange": None if change is None else change.value,
        "null": None if change is None else change.stats["null"],
        **losses(logits, built(found, tuple(key), p), target.full.labels.reshape(p, p)),
        "symmetricity": level.symmetricity,
        "symmetricity_error": level.symmetricity_error,
        "irrelevance": level.irrelevance,
        "circularity": level.circularity,
        "position": level.position,
        "bits": None if extraction.program is None else extraction.program.bits,
        "table_bits": p * p * float(np.log2(p)),
        "source": None if extraction.program is None else extraction.program.source,
        "seconds": round(trained - began, 1),
        "extraction_seconds": round(read - reading, 1),
    }


def write(rows: dict[str, dict]) -> dict:
    """Store rows with their counts."""
    learned = [row for row in rows.values() if row["labels"] == "sums" and row["decay"] > 0 and row["steps"] > 0]
    controls = [row for row in rows.values() if row not in learned]
    summary = {
        "networks": len(learned),
        "know all pairs": sum(row["train_accuracy"] == 1 and row["held_out_accuracy"] == 1 for row in learned),
        "explained at least": min((row["explained"] for row in learned), default=None),
        "computes": sum(row["status"] == "computes" and row["correct"] for row in learned),
        "controls": len(controls),
        "programs of controls": sum(row["bits"] is not None for row in controls),
    }
    text = {"command": "python benchmarks/modular_transformer.py", "asked": EXPLAINED, "summary": summary, "rows": rows}
    RESULT.write_text(json.dumps(text, indent=1) + "\n", "utf-8")
    return summary


def report(rows: dict[str, dict]) -> None:
    """Print a row a network, and the counts."""
    head = ("fitted", "generalised", "explained", "explained_by_pair", "units_tuned", "interchange", "null", "loss",
            "restricted", "excluded", "symmetricity", "irrelevance", "circularity", "position", "seconds")  # fmt: skip
    print(f"{'network':32} " + " ".join(f"{name[:9]:>9}" for name in head) + "  status, frequencies")
    for name, row in rows.items():
        cells = " ".join(f"{'–':>9}" if row[column] is None else f"{row[column]:9.3g}" for column in head)
        print(f"{name:32} {cells}  {row['status']} {row['frequencies'] if row['bits'] is not None else ''}")
    print(json.dumps(write(rows), indent=1))


if __name__ == "__main__":
    main()
