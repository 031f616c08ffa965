"""Group programs of networks that learned to compose, beside the published share of the variance of the logits.

    python benchmarks/groups.py    # about half an hour of one thread; resumes from its results

Networks of squares learn half or more of the table of a group by squared error to one-hot answers: full batch, AdamW at
rate 0.01 with betas (.9, .98). S5 five times, A5, S4 and two more groups three times. Chughtai et al. report that four
characters have 0.85 of the variance of S5's logits in their network. Random labels are no group and have no program.

Columns: the steps at which all training pairs were known, and 99 % of the others; the share of the variance of the
centred logits in characters of a b c⁻¹, of each representation, and in all functions of a b c⁻¹; the share of hidden
units with half of their interaction in one representation, and of those constant on the cosets of a subgroup of 3 and
more elements; status, interchange accuracy with its null; cross-entropy of the network, with the characters alone
(restricted) and without them (excluded); bits beside the table's.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")

import itertools

import numpy as np
from grokking import Setting, Trained, train
from pair_rows import medians, training, verdict

from allroads import Target
from allroads.programs.extract import extract
from allroads.programs.fourier.pairs import KEY, UNIT, losses
from allroads.programs.fourier.spectrum import centred
from allroads.programs.fourier.units import last_hidden
from allroads.programs.groups import LANGUAGE, irreps, unit_cosets
from allroads.programs.groups.finite_group import as_rows, finite_group
from allroads.programs.groups.matrices import matrices
from allroads.programs.groups.spectrum import built, characters, unit_irreps
from allroads.programs.subject import subject_of
from allroads.targets.groups import dihedral, group, symmetric

RESULT = Path(__file__).parent / "results" / "groups.json"
PUBLISHED = 0.848
"""Share of the variance of the logits of S5 in characters, as published for one seed."""


def alternating(n: int) -> np.ndarray:
    """Composition of the even permutations of n things."""
    even = [g for g in itertools.permutations(range(n))
            if sum(a > b for a, b in itertools.combinations(g, 2)) % 2 == 0]  # fmt: skip
    place = {g: i for i, g in enumerate(even)}
    return np.array([[place[tuple(a[i] for i in b)] for b in even] for a in even])


def product(m: int, n: int) -> np.ndarray:
    """Addition of pairs, modulo m and n."""
    first, second = np.arange(m * n) // n, np.arange(m * n) % n
    return (np.add.outer(first, first) % m) * n + np.add.outer(second, second) % n


SETTINGS: dict[str, tuple[np.ndarray, float, int, Setting]] = {
    "S5": (symmetric(5), 0.5, 5, Setting(1024, "square", "mse", 400, 5.0)),
    "Z4×Z6": (product(4, 6), 0.6, 3, Setting(256, "square", "mse", 600, 2.0)),
    "D12": (dihedral(12), 0.6, 3, Setting(256, "square", "mse", 600, 2.0)),
    "S4": (symmetric(4), 0.7, 3, Setting(768, "square", "mse", 800, 3.0)),
    "A5": (alternating(5), 0.6, 3, Setting(1536, "square", "mse", 400, 3.0)),
}
"""Group: table, share that trains, seeds, training."""


def main() -> None:
    """Train, extract, print and store."""
    rows: dict[str, dict] = json.loads(RESULT.read_text("utf-8"))["rows"] if RESULT.exists() else {}
    for name, (table, fraction, seeds, setting) in SETTINGS.items():
        target = group(table=table.tolist(), train_fraction=fraction)
        run(name, target, table, setting, seeds, rows)
    pairs = np.indices((24, 24)).reshape(2, -1).T
    for seed in range(10):
        labels = np.random.default_rng(seed).integers(0, 24, 24 * 24)
        noise = Target("random labels", inputs=pairs, labels=labels, alphabet=24, classes=24, complete=True,
                       train_fraction=1)  # fmt: skip
        run(f"random labels {seed}", noise, symmetric(4), Setting(768, "square", "mse", 400, 0.0), 1, rows)
    report(rows)


def run(name: str, target: Target, table: np.ndarray, setting: Setting, seeds: int, rows: dict[str, dict]) -> None:
    """Rows of the seeds of one setting that are not known yet."""
    missing = [seed for seed in range(seeds) if f"{name} seed={seed}" not in rows]
    for seed, trained in train(target, setting, iter(missing)):
        rows[f"{name} seed={seed}"] = measured(target, table, setting, trained, seed)
        print(name, seed, {k: v for k, v in rows[f"{name} seed={seed}"].items() if k != "source"}, flush=True)
        write(rows)


def measured(target: Target, table: np.ndarray, setting: Setting, trained: Trained, seed: int) -> dict:
    """What is read of one trained network, held against the group that it was to learn."""
    rows, n = as_rows(table), len(table)
    found, known = finite_group(rows), irreps(rows)
    subject = subject_of(trained.network, trained.params, target)
    pairs = np.indices((n, n)).reshape(2, -1).T
    logits = centred(subject.outputs(pairs).reshape(n, n, n))
    spectrum = characters(logits, found, known)
    key = np.flatnonzero(spectrum.shares > KEY * spectrum.shares.max())
    own = built(found, [known[i] for i in key], spectrum.amplitudes[key])
    began = time.perf_counter()
    extraction = extract(trained.network, trained.params, target, languages=[LANGUAGE], seed=seed)
    extracting = time.perf_counter() - began
    hidden = last_hidden(subject, pairs)[0].reshape(n, n, -1)
    place, share = unit_irreps(hidden, found, known)
    orders = unit_cosets(hidden[:, :, :256], found, rows)
    labels = target.full.labels.reshape(n, n)
    return {
        **training(setting, trained),
        "explained": float(spectrum.shares[key].sum()),
        "shares": {irrep.name: round(float(spectrum.shares[i]), 4) for i, irrep in enumerate(known)},
        "key": [known[i].name for i in key],
        "of a b c⁻¹": spectrum.total,
        "units": {irrep.name: int((place[share >= UNIT] == i).sum()) for i, irrep in enumerate(known)},
        "units_tuned": float((share >= UNIT).mean()),
        "units_on_cosets": float((orders >= 3).mean()),
        **verdict(extraction, losses(logits, own, labels), n),
        "seconds": round(trained.seconds, 1),
        "extraction_seconds": round(extracting, 1),
        "why": extraction.stats["why"],
    }


def generic_units_on_cosets(table: np.ndarray, units: int = 64) -> dict[str, float]:
    """The null of that share: squares of random mixtures of the matrix entries of each representation."""
    rows, draw = as_rows(table), np.random.default_rng(0)
    found, shares = finite_group(rows), {}
    for irrep in irreps(rows)[1:]:
        rho, size = matrices(found, irrep), (units, irrep.dimension, irrep.dimension)
        left, right = (np.einsum("gij,uij->gu", rho, draw.normal(size=size)) for _ in range(2))
        shares[irrep.name] = float((unit_cosets((left[:, None] + right[None]) ** 2, found, rows) >= 3).mean())
    return shares


def write(rows: dict[str, dict], generic: dict[str, float] | None = None) -> None:
    """Store rows with what is counted over them."""
    trained = [row for name, row in rows.items() if not name.startswith("random")]
    noise = [row for name, row in rows.items() if name.startswith("random")]
    summary = {
        "S5 explained": [round(row["explained"], 3) for name, row in rows.items() if name.startswith("S5")],
        "published for S5": PUBLISHED,
        "networks": len(trained),
        "programs that are the group": sum(row["bits"] is not None and row["correct"] for row in trained),
        "computes": sum(row["status"] == "computes" for row in trained),
        "random labels": len(noise),
        "programs of random labels": sum(row["bits"] is not None for row in noise),
        "generic units of S5 on cosets": generic,
    }
    text = {"command": "python benchmarks/groups.py", "summary": summary, "rows": rows}
    RESULT.write_text(json.dumps(text, indent=1, ensure_ascii=False) + "\n", "utf-8")


def report(rows: dict[str, dict]) -> None:
    """Print medians of each group, and the counts."""
    groups: dict[str, list[dict]] = {}
    for name, row in rows.items():
        groups.setdefault("random labels" if name.startswith("random") else name.split(" seed=")[0], []).append(row)
    head: tuple[str, ...] = ("fitted", "generalised", "explained", "of a b c⁻¹", "units_tuned", "units_on_cosets",
                             "interchange", "null", "loss", "restricted", "excluded", "bits", "table_bits",
                             "seconds")  # fmt: skip
    print(f"{'group':14} {'n':>3} " + " ".join(f"{name[:10]:>10}" for name in head) + "  statuses")
    for name, own in groups.items():
        print(f"{name:14} {len(own):3} {medians(own, head, 10)}")
    write(rows, generic_units_on_cosets(symmetric(5)))
    print(json.dumps(json.loads(RESULT.read_text("utf-8"))["summary"], indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
