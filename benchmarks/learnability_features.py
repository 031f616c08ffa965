"""What the map shows of every target of the learnability table, computed once and kept.

    python benchmarks/learnability_features.py          # resumable; one file a map, domain, explorer, seed and point

Reads the table and, for the points after a probe, the snapshots that ``learnability/run.py`` leaves. The files lie in
``benchmarks/learnability/work/features``.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")
os.environ.setdefault("NPROC", "1")
sys.path.insert(0, str(Path(__file__).parent))

import jax
import numpy as np
import polars as pl
from learnability import loader

from allroads.paths.learnability.boolean import boolean_baselines, boolean_rows
from allroads.paths.learnability.inal import inal
from allroads.paths.learnability.kernel_size import compiled_kernel_size
from allroads.paths.learnability.learnability import REGULARISATION, columns_of
from allroads.paths.learnability.point import Sight, look, plain_spectra, repeated
from allroads.paths.learnability.spectrum import KRYLOV, ResidualSpectrum

FOLDER = loader.WORK / "features"
SHARE = 0.05
LADDER = (5, 10, 20, 40, 80, 160, 320)


def probe_length(costs: np.ndarray) -> int:
    """Longest step of the ladder that, taken on every target, costs at most a twentieth of learning them all.

    One length for all cells of a map, domain and explorer: a cell's own steps do not decide it.
    """
    return max((step for step in LADDER if step * len(costs) <= SHARE * costs.sum()), default=0)


def combinations(runs: pl.DataFrame) -> list[tuple[str, str, str]]:
    """Maps, domains and explorers of the table."""
    return sorted(runs.select("domain", "map", "explorer").unique().rows())


def of(runs: pl.DataFrame, domain: str, name: str, explorer: str) -> pl.DataFrame:
    """The cells of one of them."""
    return runs.filter((pl.col("domain") == domain) & (pl.col("map") == name) & (pl.col("explorer") == explorer))


def stored(kind: str, *parts: Any, compute: Any = None) -> dict[str, np.ndarray] | None:
    """A file by what decides it; made where it is missing and ``compute`` is given."""
    text = "|".join(map(str, (kind, *parts)))
    path = FOLDER / f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:24]}.npz"
    if not path.exists():
        if compute is None:
            return None
        began = time.perf_counter()
        FOLDER.mkdir(parents=True, exist_ok=True)
        arrays = compute()
        beside = path.with_suffix(f".{os.getpid()}.tmp")
        with beside.open("wb") as file:
            np.savez(file, **arrays)
        beside.replace(path)
        print(f"{text[:100]}: {time.perf_counter() - began:.1f} s", flush=True)
    with np.load(path) as file:
        return dict(file)


class Case:
    """A map on a domain with an explorer."""

    def __init__(self, domain: str, name: str, explorer: str):
        self.domain, self.name, self.explorer = loader.domain(domain), name, explorer
        self.targets = list(self.domain.tasks)
        self.labels = np.stack([self.domain.labels(t, self.domain.train) for t in self.targets])
        self.goals = np.array([self.domain.threshold(t) for t in self.targets])
        self.inputs = self.domain.inputs[self.domain.train]
        self.network = loader.network(name, domain)
        self.print = hashlib.sha256(self.labels.tobytes() + self.inputs.tobytes()).hexdigest()[:16]

    def moves(self) -> Any:
        return loader.explorer(self.explorer, self.name, self.domain.name)

    def key(self) -> tuple[Any, ...]:
        from learnability.rules import learning_rate

        rate = learning_rate(self.explorer, self.name, self.domain.name)
        return self.domain.name, self.name, self.explorer, rate, self.print

    def look(self, points: Any, seed: int) -> list[Any]:
        return look(
            self.network, self.domain.loss, self.moves(), points, self.inputs, self.labels, self.goals, seed=seed
        )

    def start(self, seed: int) -> Any:
        return repeated(loader.initial(self.name, self.domain.name, seed), len(self.targets))

    def initial(self, seed: int) -> dict[str, np.ndarray]:
        """What is seen at the start."""
        return packed(self.look(self.start(seed), seed))

    def baselines(self, seed: int) -> dict[str, np.ndarray]:
        """Baselines of the plain kernel and of INAL (the same for every explorer)."""
        spectra = plain_spectra(self.network, self.domain.loss, self.start(seed), self.inputs, self.labels)
        start = loader.initial(self.name, self.domain.name, seed)
        diagonal, norm = map(float, compiled_kernel_size(self.network)(start, self.inputs, jax.random.key(seed)))
        columns = np.stack([columns_of(labels) for labels in self.labels])
        return {
            "energy": np.array([s.energy(REGULARISATION * diagonal) for s in spectra]),
            "alignment": np.array([s.alignment() / norm for s in spectra]),
            "inal": np.array(inal(self.network, self.inputs, columns, draws=32), float),
        }

    def boolean(self) -> dict[str, np.ndarray]:
        """Baselines that look at the whole truth table."""
        rows = boolean_rows(self.domain.inputs)
        names = ("degree", "average sensitivity", "leap")
        if rows is None:
            return {name: np.full(len(self.targets), np.nan) for name in names}
        found = [boolean_baselines(rows, self.domain.labels(t)) for t in self.targets]
        return {name: np.array([one[name] for one in found]) for name in names}

    def probed(self, seed: int, steps: int, cells: pl.DataFrame) -> dict[str, np.ndarray]:
        """What is seen after a probe, from the stored point of every run; a loss of NaN where there is none."""
        rows = {row["target"]: row for row in cells.iter_rows(named=True) if row["seed"] == seed}
        start = loader.initial(self.name, self.domain.name, seed)
        points = [loader.snapshots(rows[t])[steps] if t in rows else start for t in self.targets]
        stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *points)
        seen = packed(self.look(stacked, seed))
        seen["loss"][[t not in rows for t in self.targets]] = np.nan
        return seen


def packed(seen: list[Sight]) -> dict[str, np.ndarray]:
    """Sights as arrays; spectra are filled up with modes of no energy."""

    def filled(spectra: list[ResidualSpectrum], field: str) -> np.ndarray:
        return np.array([np.pad(getattr(s, field), (0, KRYLOV - len(s.nodes))) for s in spectra])

    spectra = {"spectrum": [s.spectrum for s in seen], "ahead": [s.ahead for s in seen]}
    modes = {f"{key} {field}": filled(s, field) for key, s in spectra.items() for field in ("nodes", "energies")}
    return modes | {field: np.array([getattr(s, field) for s in seen]) for field in ("loss", "level", "degree", "size")}


def unpacked(arrays: dict[str, np.ndarray]) -> list[Sight]:
    """The sights that :func:`packed` stored."""
    return [
        Sight(
            float(arrays["loss"][t]),
            float(arrays["level"][t]),
            *(
                ResidualSpectrum(arrays[f"{key} nodes"][t], arrays[f"{key} energies"][t])
                for key in ("spectrum", "ahead")
            ),
            float(arrays["degree"][t]),
            float(arrays["size"][t]),
        )
        for t in range(len(arrays["loss"]))
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--domain", action="append")
    parser.add_argument("--stage", choices=("initial", "baselines", "probed"), action="append")
    arguments = parser.parse_args()
    runs = loader.runs()
    everything = [c for c in combinations(runs) if not arguments.domain or c[0] in arguments.domain]
    seeds = sorted(runs["seed"].unique())
    for stage in arguments.stage or ("initial", "probed", "baselines"):
        for combination in everything:
            case, cells = Case(*combination), of(runs, *combination)
            for seed in seeds:
                if stage == "initial":
                    stored("initial", *case.key(), seed, compute=lambda c=case, s=seed: c.initial(s))
                elif stage == "baselines":
                    key = case.domain.name, case.name, case.print, seed
                    stored("baselines", *key, compute=lambda c=case, s=seed: c.baselines(s))
                elif steps := probe_length(cells["steps_to_learn"].fill_null(cells["budget"][0]).to_numpy()):
                    stored(
                        "probed", *case.key(), seed, steps,
                        compute=lambda c=case, s=seed, k=steps, d=cells: c.probed(s, k, d),
                    )  # fmt: skip


if __name__ == "__main__":
    main()
