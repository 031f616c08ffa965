"""Fourier programs of networks that learned sums modulo p, that memorised, and that were written.

    python benchmarks/modular.py    # about half an hour of one thread; resumes from its results

Grokked: six moduli, five seeds each, all by full batch AdamW at rate 0.01 with betas (.9, .98). *squares*: x² with
squared error to one-hot answers. *relu*: ReLU with cross-entropy, and a weight for each entry of its tables.
*embedding*: the same with an embedding of width 64 before the hidden layer, as in published networks [chughtai2023].
*tied*: one table for both numbers. *tables*: the training of *embedding* without the embedding. Width: the share of
the variance of ReLU networks against their width. Memorising: random labels, too few pairs without weight decay, and
networks with an embedding that were stopped when they knew all training pairs and less than half of the others.
Planted: programs written into weights.

The second table has one row a network with an embedding: its frequencies, and the step from which on, of every
hundredth, it had the share that a program asks for.

Columns: the steps at which all training pairs were known, and 99 % of the others; the share of the variance of the
centred logits that cosines of x + y − z have, with one amplitude a frequency, with one a pair and frequency, and with
amplitudes |cos πk(x − y)/p| as of units of equal phases [zhong2023]; the number of frequencies; the share of hidden
units with half of their variance at one frequency; the status; interchange accuracy with its null; cross-entropy of the
network, and its restricted and excluded loss [nanda2023]; bits beside the table's.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")

import jax
import numpy as np
from grokking import Setting, train
from pair_rows import medians, training, verdict

from allroads import Target
from allroads.pfmap.network import Network, Params
from allroads.programs.extract import extract
from allroads.programs.fourier import LANGUAGE, FourierProgram, compile_fourier
from allroads.programs.fourier.pairs import EXPLAINED, KEY, UNIT
from allroads.programs.fourier.restricted import restricted_and_excluded
from allroads.programs.fourier.spectrum import (
    Waves,
    centred,
    cross_entropy,
    explained_by_pair,
    unit_frequencies,
    waves,
)
from allroads.programs.fourier.units import last_hidden
from allroads.programs.subject import subject_of
from allroads.targets.modular import modular

RESULT = Path(__file__).parent / "results" / "modular.json"
MODULI = (23, 31, 53, 59, 97, 113)
SEEDS = 5
SQUARES = {23: (128, 800, 1.0), 31: (128, 800, 1.0), 53: (256, 300, 1.0), 59: (256, 300, 1.0),
           97: (500, 200, 3.0), 113: (512, 160, 3.0)}  # fmt: skip
"""Modulus: width, steps and weight decay of the networks of squares."""
RELU = {23: (128, 1500, 1.0), 31: (128, 1500, 1.0), 53: (256, 600, 2.0), 59: (256, 500, 2.0),
        97: (256, 360, 2.0), 113: (256, 360, 2.0)}  # fmt: skip

KINDS = ("squares", "relu", "embedding", "tied", "tables")
SHORT = {"explained_by_pair": "by pair", "explained_by_half_angle": "by half"}
EMBEDDING = {23: 6000, 31: 2000, 53: 1200, 59: 1200, 97: 1500, 113: 1500}
"""Modulus: steps of the networks with an embedding."""


def main() -> None:
    """Train or write, extract, print and store."""
    rows: dict[str, dict] = json.loads(RESULT.read_text("utf-8"))["rows"] if RESULT.exists() else {}

    def stored(name: str, make: Callable[[], dict]) -> None:
        if name in rows:
            return
        rows[name] = make()
        print(name, {key: value for key, value in rows[name].items() if key not in ("source", "along")}, flush=True)
        write(rows)

    for kind, options in (("squares", SQUARES), ("relu", RELU)):
        for p in MODULI:
            width, steps, decay = options[p]
            square = kind == "squares"
            fraction = (0.6 if p == 23 else 0.5) if square else 0.7
            target = modular(p=p, train_fraction=fraction)
            setting = Setting(width, "square" if square else "relu", "mse" if square else "ce", steps, decay)
            trained_rows(f"{kind} p={p}", target, setting, rows, stored)
    for p in MODULI:
        target, setting = modular(p=p, train_fraction=0.8), embedded(EMBEDDING[p])
        trained_rows(f"embedding p={p}", target, setting, rows, stored, watch=spectrum_of)
    for p in (31, 53):
        target, setting = modular(p=p, train_fraction=0.8), embedded(EMBEDDING[p])
        for name, other in (("tied", replace(setting, tied=True)), ("tables", replace(setting, embedding=None))):
            trained_rows(f"{name} p={p}", target, other, rows, stored, watch=spectrum_of)
    for width in (8, 16, 32, 128):
        setting = replace(embedded(EMBEDDING[53]), embedding=width)
        trained_rows(f"embedding {width} p=53", modular(p=53, train_fraction=0.8), setting, rows, stored, seeds=1)
    for width in (128, 512, 2048, 4096):
        setting = Setting(width, "relu", "ce", 900, 1.0)
        trained_rows(f"width {width} p=23", modular(p=23, train_fraction=0.8), setting, rows, stored, seeds=1)
    p = 23
    pairs = np.indices((p, p)).reshape(2, -1).T
    for seed in range(20):
        labels = np.random.default_rng(seed).integers(0, p, p * p)
        noise = Target(
            "random labels", inputs=pairs, labels=labels, alphabet=p, classes=p, complete=True, train_fraction=1
        )
        few = modular(p=p, train_fraction=0.25, seed=seed)
        for name, target, setting in (
            ("random labels, relu", noise, Setting(256, "relu", "ce", 300, 0.0)),
            ("random labels, squares", noise, Setting(512, "square", "mse", 400, 0.0)),
            ("random labels, embedding", noise, embedded(300, decay=0.0)),
            ("few pairs, relu", few, Setting(256, "relu", "ce", 300, 0.0)),
            ("few pairs, embedding", few, embedded(300, decay=0.0)),
            ("stopped early, embedding", modular(p=p, train_fraction=0.7, seed=seed), embedded(100, rate=0.003)),
            ("few pairs, squares", few, Setting(256, "square", "mse", 300, 0.0)),
        ):
            trained_rows(f"memorising: {name} {seed}", target, setting, rows, stored, seeds=1)
    for p in MODULI:
        for seed in range(SEEDS):
            stored(f"planted p={p} seed={seed}", lambda p=p, seed=seed: planted(p, seed))
    report(rows)


def embedded(steps: int, decay: float = 1.0, rate: float = 0.01) -> Setting:
    """ReLU with cross-entropy, and an embedding before the hidden layer."""
    return Setting(256, "relu", "ce", steps, decay, rate, embedding=64, init="lecun")


def trained_rows(
    name: str,
    target: Target,
    setting: Setting,
    rows: dict,
    stored: Callable,
    seeds: int = SEEDS,
    watch: Callable[[Network, Params], dict] | None = None,
) -> None:
    """Rows of the seeds of one setting that are not known yet."""
    missing = [seed for seed in range(seeds) if f"{name} seed={seed}" not in rows]
    for seed, trained in train(target, setting, iter(missing), watch):
        stored(f"{name} seed={seed}", lambda seed=seed, trained=trained: measured(target, setting, trained, seed))


def spectrum_of(network: Network, params: Params) -> dict:
    """The share of the variance of the logits in cosines, and their number, of a network while it trains."""
    p = params["readout"]["weight"].shape[1]
    pairs = np.indices((p, p)).reshape(2, -1).T
    logits = np.asarray(jax.jit(network.apply)(params, pairs), np.float64).reshape(p, p, p)
    shares = waves(centred(logits)).shares
    key = shares > KEY * shares.max()
    return {"explained": round(float(shares[key].sum()), 4), "frequencies": int(key.sum())}


def clean_from(along: dict[int, dict]) -> int | None:
    """The step from which on a network had the share that a program asks for."""
    clean = None
    for step, seen in along.items():
        clean = None if seen["explained"] < EXPLAINED else step if clean is None else clean
    return clean


def by_half_angle(logits: np.ndarray, found: Waves, key: list[int]) -> float:
    """Share of the variance of the logits in |cos πk(ax − by)/p| cos 2πk(ax + by + c − z)/p [zhong2023]."""
    p = len(logits)
    x, y, z = np.ogrid[:p, :p, :p]
    apart, answer = np.pi * (found.a * x - found.b * y) / p, 2 * np.pi * (found.a * x + found.b * y + found.c - z) / p
    rules = [np.abs(np.cos(k * apart)) * np.cos(k * answer) for k in key]  # orthogonal: each has its own frequency in z
    kept = [max(float((logits * rule).sum()), 0.0) ** 2 / float((rule**2).sum()) for rule in rules]
    return sum(kept) / float((logits**2).sum())


def measured(target: Target, setting: Setting, trained: object, seed: int) -> dict:
    """What is read of one trained network."""
    p = target.interface.outputs
    subject = subject_of(trained.network, trained.params, target)
    pairs = np.indices((p, p)).reshape(2, -1).T
    logits = centred(subject.outputs(pairs).reshape(p, p, p))
    found = waves(logits)
    key = [int(k) + 1 for k in np.flatnonzero(found.shares > KEY * found.shares.max())]
    labels = target.full.labels.reshape(p, p)
    chosen = np.zeros((p, p), bool)
    chosen[tuple(np.asarray(target.train.inputs).T)] = True
    restricted, excluded = restricted_and_excluded(logits, labels, key, chosen)
    losses = {"loss": cross_entropy(logits, labels), "restricted": restricted, "excluded": excluded}
    began = time.perf_counter()
    extraction = extract(trained.network, trained.params, target, languages=[LANGUAGE], seed=seed)
    extracting = time.perf_counter() - began
    hidden = last_hidden(subject, pairs)[0].reshape(p, p, -1)
    return {
        "p": p,
        **training(setting, trained),
        "factors": [found.a, found.b, found.c],
        "explained": float(found.shares[[k - 1 for k in key]].sum()),
        "explained_by_pair": explained_by_pair(logits, found),
        "explained_by_half_angle": by_half_angle(logits, found, key),
        "frequencies": key,
        "units_tuned": float((unit_frequencies(hidden, found.a, found.b)[1] >= UNIT).mean()),
        **verdict(extraction, losses, p),
        "clean_from": clean_from(trained.along),
        "along": trained.along,
        "seconds": round(trained.seconds, 2),
        "extraction_seconds": round(extracting, 2),
        "source": None if extraction.program is None else extraction.program.source,
    }


def planted(p: int, seed: int) -> dict:
    """A random program written into weights, mixed, and read again."""
    draw = np.random.default_rng([p, seed])
    frequencies = draw.choice(np.arange(1, p // 2 + 1), int(draw.integers(3, 7)), replace=False)
    a, b, c = (int(value) for value in draw.integers([1, 1, 0], p))
    program = FourierProgram(p, tuple(int(k) for k in frequencies), a, b, c)
    target = modular(p=p, polynomial=f"{a}*a + {b}*b + {c}")
    extraction = extract(*compile_fourier(program, mix=seed), target, languages=[LANGUAGE], seed=seed)
    return {
        "p": p,
        "frequencies": list(program.frequencies),
        "factors": [a, b, c],
        "identified": extraction.program == program,
        "status": extraction.status.value,
        "interchange": extraction.interchange.value,
        "bits": program.bits,
        "table_bits": p * p * float(np.log2(p)),
    }


def write(rows: dict[str, dict]) -> dict:
    """Store rows with their counts."""
    trained = {name: row for name, row in rows.items() if "fitted" in row}
    memorising = [row for name, row in trained.items() if name.startswith("memorising")]
    planted_rows = [row for row in rows.values() if "identified" in row]
    summary: dict[str, object] = {
        kind: {
            "networks": len(own := [row for name, row in trained.items() if name.startswith(f"{kind} p=")]),
            "grokked": sum(row["held_out_accuracy"] > 0.99 for row in own),
            "explained at least": min((row["explained"] for row in own), default=None),
            "computes": sum(row["status"] == "computes" and row["correct"] for row in own),
        }
        for kind in KINDS
    }
    summary["memorising"] = {
        "networks": len(memorising),
        "programs": sum(row["bits"] is not None for row in memorising),
    }
    summary["planted"] = {"networks": len(planted_rows), "identified": sum(row["identified"] for row in planted_rows)}
    text = {"command": "python benchmarks/modular.py", "asked": EXPLAINED, "summary": summary, "rows": rows}
    RESULT.write_text(json.dumps(text, indent=1) + "\n", "utf-8")
    return summary


def report(rows: dict[str, dict]) -> None:
    """Print medians of each setting, and the counts."""
    groups: dict[str, list[dict]] = {}
    for name, row in rows.items():
        if "fitted" in row:
            groups.setdefault(name.rsplit(" seed=", 1)[0].rstrip("0123456789 ") if "memor" in name else
                              name.rsplit(" seed=", 1)[0], []).append(row)  # fmt: skip
    head = ("fitted", "generalised", "explained", "explained_by_pair", "explained_by_half_angle", "units_tuned",
            "interchange", "null", "loss", "restricted", "excluded", "bits", "table_bits", "seconds")  # fmt: skip
    short = " ".join(f"{SHORT.get(name, name)[:9]:>9}" for name in head)
    print(f"{'setting':36} {'n':>3} {'freq':>5} {short}  statuses")
    for name, own in groups.items():
        print(f"{name:36} {len(own):3} {median(len(r['frequencies']) for r in own):5} {medians(own, head, 9)}")
    print(f"\n{'network':24} explained  by pair  clean from  interchange  status       frequencies")
    for name, row in rows.items():
        if name.startswith("embedding p="):
            print(f"{name:24} {row['explained']:9.4f} {row['explained_by_pair']:8.4f} {row['clean_from'] or '–':>11} "
                  f"{'–' if row['interchange'] is None else format(row['interchange'], '.3f'):>12}  {row['status']:12} "
                  f"{row['frequencies']}")  # fmt: skip
    print(json.dumps(write(rows), indent=1))


if __name__ == "__main__":
    main()
