"""Does width help sampling as it helps gradient descent? Digits 0 against 7, sixteen training images.

Peleg and Hein (2024) found that a wider network generalises better where SGD trains it, and not where parameters are
drawn until they fit (guess and check); depth hurts both. Here the same is asked of scikit-learn's digits of 8 × 8, with
networks of the same shape at a sixth to the whole of 48 units. Every training set is the same for both explorers, and
both are read as they stand: guess and check at the first fit, SGD after 60 epochs of batches of two.

    python benchmarks/width_effect.py    # ten minutes of one thread; resumable
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
os.environ["OMP_NUM_THREADS"] = os.environ["NPROC"] = "1"

import numpy as np
from sklearn.datasets import load_digits

from allroads import SGD, GuessAndCheck, Problem, explore
from allroads.explorers.recording import Recording
from allroads.networks.mlp import mlp

RESULT = Path(__file__).parent / "results" / "width_effect.json"
SETS, MEMBERS, PER_CLASS = 12, 64, 8
WIDTHS, DEPTHS = (8, 16, 32, 48), (1, 2, 3, 4)
GUESSES, EPOCHS, RATE = 3000, 60, 0.05
ENDS = Recording(records=2, checkpoints=2)
PUBLISHED = {
    "width": {"guess and check": [79.7, 78.9, 78.5, 78.3], "SGD": [90.5, 92.3, 93.5, 94.0]},
    "depth": {"guess and check": [82.6, 78.9], "SGD": [94.0, 92.3]},
}
"""Test accuracy in per cent: widths 1/6 to 1, and depths 1 and 4, as the authors' tables have them."""


def data() -> tuple[np.ndarray, np.ndarray]:
    """Images of 0 and 7, each pixel less its mean, and whether they show a 7."""
    found = load_digits()
    kept = np.isin(found.target, (0, 7))
    images = (found.data[kept] / 16).astype("float32")
    return images - images.mean(axis=0), (found.target[kept] == 7).astype("float32")


def accuracies(widths: tuple[int, ...], number: int) -> dict[str, list[float]]:
    """Test accuracy of the members of both explorers that fit training set ``number``."""
    images, sevens = data()
    rng = np.random.default_rng([number, 3])
    rows = np.concatenate([rng.permutation(np.flatnonzero(sevens == label))[:PER_CLASS] for label in (0, 1)])
    others = np.setdiff1d(np.arange(len(sevens)), rows)
    network = mlp((64,), 1, widths=widths, init="he", bias="uniform_fan_in")
    problem = Problem(network, "bce", images[rows], sevens[rows, None])
    aside = (images[others], sevens[others, None])
    steps = {"guess and check": GUESSES, "SGD": EPOCHS * len(rows) // 2}
    explorers = {"guess and check": GuessAndCheck(), "SGD": SGD(learning_rate=RATE, batch_size=2)}
    found = {}
    for name, explorer in explorers.items():
        runs = explore(problem, explorer, MEMBERS, steps=steps[name], seed=number, held_out=aside, record=ENDS)
        fits = runs.curves["train_accuracy"][:, -1] == 1
        found[name] = runs.curves["held_out_accuracy"][fits, -1].tolist()
    return found


def summary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mean over training sets, and its error from their spread, in per cent; a line per shape and explorer."""
    table = []
    for shape in sorted({tuple(row["widths"]) for row in rows}, key=lambda widths: (len(widths), widths)):
        line: dict[str, Any] = {"widths": list(shape)}
        for name in ("guess and check", "SGD"):
            of = [100 * np.mean(row[name]) for row in rows if tuple(row["widths"]) == shape and row[name]]
            line[name] = [float(np.mean(of)), float(1.96 * np.std(of, ddof=1) / len(of) ** 0.5)]
            line[f"{name}, fit"] = sum(len(row[name]) for row in rows if tuple(row["widths"]) == shape)
        table.append(line)
    return table


def slope(rows: list[dict[str, Any]], shapes: list[tuple[int, ...]], name: str) -> list[float]:
    """Change from the first shape to the last, paired by training set: mean and 95 % half-width, in per cent."""
    by = {(tuple(row["widths"]), row["set"]): row[name] for row in rows}
    pairs = [(by[shapes[0], n], by[shapes[-1], n]) for n in range(SETS)]
    changes = [100 * (np.mean(last) - np.mean(first)) for first, last in pairs if first and last]
    return [float(np.mean(changes)), float(1.96 * np.std(changes, ddof=1) / len(changes) ** 0.5)]


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, default=RESULT)
    given = parser.parse_args()
    held = json.loads(given.json.read_text()) if given.json.exists() else {"rows": []}
    rows, began = held["rows"], time.process_time()
    done = {(tuple(row["widths"]), row["set"]) for row in rows}
    wide = [(width, width) for width in WIDTHS]
    deep = [(48,) * depth for depth in DEPTHS]
    for widths in dict.fromkeys(wide + deep):
        for number in range(SETS):
            if (widths, number) not in done:
                rows.append({"widths": list(widths), "set": number, **accuracies(widths, number)})
                given.json.write_text(json.dumps({"rows": rows}) + "\n")
    changes = {
        what: {name: slope(rows, shapes, name) for name in ("guess and check", "SGD")}
        for what, shapes in (("width", wide), ("depth", deep))
    }
    found = {
        "command": "python benchmarks/width_effect.py",
        "published": PUBLISHED,
        "table": summary(rows),
        "changes": changes,
        "processor_seconds": held.get("processor_seconds", 0) + time.process_time() - began,
        "rows": rows,
    }
    given.json.write_text(json.dumps(found) + "\n")
    for line in found["table"]:
        parts = [
            f"{name} {line[name][0]:5.1f} ± {line[name][1]:.1f} ({line[f'{name}, fit']})" for name in changes["width"]
        ]
        print(f"{'-'.join(map(str, line['widths'])):14}" + "   ".join(parts))
    for what, of in changes.items():
        print(f"{what}: " + ", ".join(f"{name} {mean:+.1f} ± {half:.1f}" for name, (mean, half) in of.items()))


if __name__ == "__main__":
    main()
