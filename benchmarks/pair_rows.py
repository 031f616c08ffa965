"""What the rows of trained networks of two tokens have in common. Read by `modular.py` and `groups.py`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median

import numpy as np
from grokking import Setting, Trained

from allroads.programs.extract import Extraction


def training(setting: Setting, trained: Trained) -> dict:
    """How a network was trained, and what came of it."""
    return {
        **{("objective" if name == "loss" else name): value for name, value in vars(setting).items()},
        "fitted": trained.fitted,
        "generalised": trained.generalised,
        "train_accuracy": trained.train_accuracy,
        "held_out_accuracy": trained.held_out_accuracy,
    }


def verdict(extraction: Extraction, losses: dict[str, float], n: int) -> dict:
    """What extraction says of a network of n tokens, with losses of the network and of parts of its logits."""
    change = extraction.interchange
    return {
        "status": extraction.status.value,
        "proved": extraction.equivalence is not None and extraction.equivalence.proved,
        "correct": extraction.correct is not None and extraction.correct.equal,
        "interchange": None if change is None else change.value,
        "null": None if change is None else change.stats["null"],
        **losses,
        "bits": None if extraction.program is None else extraction.program.bits,
        "table_bits": n * n * float(np.log2(n)),
    }


def medians(rows: Sequence[dict], columns: Sequence[str], width: int) -> str:
    """Medians of some columns over those rows that have a value, and how often each status occurs."""
    shown: Callable[[list], str] = lambda values: f"{median(values):{width}.4g}" if values else f"{'–':>{width}}"  # noqa: E731
    cells = [shown([row[column] for row in rows if row.get(column) is not None]) for column in columns]
    statuses = {status: sum(row["status"] == status for row in rows) for status in {row["status"] for row in rows}}
    return f"{' '.join(cells)}  {statuses}"
