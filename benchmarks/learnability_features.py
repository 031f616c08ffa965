"""Simulations of every target of the learnability table, computed once and stored.

    python benchmarks/learnability_features.py          # resumable; one file per map, domain, explorer and seed

The files lie in ``benchmarks/learnability/work/features``. They do not depend on how an explorer responds to the norm
of its gradients; ``Case.simulations`` adds that.
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

import numpy as np
import polars as pl
from learnability import loader

from allroads.paths.learnability.baselines.inal import inal
from allroads.paths.learnability.baselines.kernel_alignment import kernel_alignment
from allroads.paths.learnability.baselines.kernel_energy import kernel_energy
from allroads.paths.learnability.baselines.kernel_norms import kernel_norms
from allroads.paths.learnability.baselines.kernel_spectrum import kernel_spectra
from allroads.paths.learnability.baselines.standardise import standardised_columns
from allroads.paths.learnability.baselines.table import boolean_baselines
from allroads.paths.learnability.baselines.truth_table import truth_table_rows
from allroads.paths.learnability.simulate.linearised_path import MAX_SEGMENTS, SEGMENT_KRYLOV_STEPS
from allroads.paths.learnability.simulate.residual_spectrum import KRYLOV_STEPS, ResidualSpectrum
from allroads.paths.learnability.simulate.segment import LinearisedSegment
from allroads.paths.learnability.simulate.target_simulation import (
    TargetSimulation,
    broadcast_params,
    simulate_targets,
    target_simulations,
)

FOLDER = loader.WORK / "features"


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
        self.fingerprint = hashlib.sha256(self.labels.tobytes() + self.inputs.tobytes()).hexdigest()[:16]

    def build_explorer(self) -> Any:
        return loader.explorer(self.explorer, self.name, self.domain.name)

    def key(self) -> tuple[Any, ...]:
        from learnability.rules import learning_rate

        rate = learning_rate(self.explorer, self.name, self.domain.name)
        return self.domain.name, self.name, self.explorer, rate, self.fingerprint

    def simulate(self, points: Any, seed: int) -> list[Any]:
        return simulate_targets(
            self.network,
            self.domain.loss,
            self.build_explorer(),
            points,
            self.inputs,
            self.labels,
            self.goals,
            seed=seed,
        )

    def start(self, seed: int) -> Any:
        return broadcast_params(loader.initial(self.name, self.domain.name, seed), len(self.targets))

    def initial(self, seed: int) -> dict[str, np.ndarray]:
        """Simulations from the start, as arrays."""
        return packed(self.simulate(self.start(seed), seed))

    def baselines(self, seed: int) -> dict[str, np.ndarray]:
        """Baselines of the plain kernel and of INAL (the same for every explorer)."""
        spectra = kernel_spectra(self.network, self.domain.loss, self.start(seed), self.inputs, self.labels)
        start = broadcast_params(loader.initial(self.name, self.domain.name, seed), 1)
        diagonal, norm = kernel_norms(self.network, self.inputs, start, seed)[0]
        columns = [standardised_columns(labels) for labels in self.labels]
        most = max(
            one.shape[1] for one in columns
        )  # not all targets have all classes; a column of zeros aligns with none
        columns = np.stack([np.pad(one, ((0, 0), (0, most - one.shape[1]))) for one in columns])
        return {
            "energy": np.array([kernel_energy(s, diagonal) for s in spectra]),
            "alignment": np.array([kernel_alignment(s, norm) for s in spectra]),
            "inal": np.array(inal(self.network, self.inputs, columns, draws=32), float),
        }

    def boolean(self) -> dict[str, np.ndarray]:
        """Baselines that look at the whole truth table."""
        rows = truth_table_rows(self.domain.inputs)
        names = ("degree", "average sensitivity", "leap")
        if rows is None:
            return {name: np.full(len(self.targets), np.nan) for name in names}
        found = [boolean_baselines(rows, self.domain.labels(t)) for t in self.targets]
        return {name: np.array([one[name] for one in found]) for name in names}

    def simulations(self, seed: int) -> list[TargetSimulation] | None:
        """The simulations from a start, from the stored file; ``None`` where it has not been computed."""
        arrays = stored("segments", *self.key(), seed)
        return (
            None
            if arrays is None
            else unpacked(arrays, self.build_explorer(), loader.initial(self.name, self.domain.name, seed))
        )


def packed(simulations: list[TargetSimulation]) -> dict[str, np.ndarray]:
    """Simulations as arrays; spectra are padded with modes of no energy, segments with ones that are not counted."""
    shape = len(simulations), MAX_SEGMENTS
    arrays = {
        **{field: np.zeros((len(simulations), KRYLOV_STEPS)) for field in ResidualSpectrum._fields},
        **{f"segment {field}": np.zeros((*shape, SEGMENT_KRYLOV_STEPS)) for field in ResidualSpectrum._fields},
        **{f"segment {field}": np.zeros(shape) for field in LinearisedSegment._fields[1:]},
        "segments": np.array([len(one.segments) for one in simulations]),
        "loss": np.array([one.loss for one in simulations]),
        "size": np.array([one.params_norm_squared for one in simulations]),
    }
    for t, one in enumerate(simulations):
        for field, part in one.spectrum._asdict().items():
            arrays[field][t, : len(part)] = part
        for k, segment in enumerate(one.segments):
            for field, part in segment.spectrum._asdict().items():
                arrays[f"segment {field}"][t, k, : len(part)] = part
            for field in LinearisedSegment._fields[1:]:
                arrays[f"segment {field}"][t, k] = getattr(segment, field)
    return arrays


def unpacked(
    arrays: dict[str, np.ndarray], explorer: Any, params: Any, most: int = MAX_SEGMENTS
) -> list[TargetSimulation]:
    """The simulations that :func:`packed` stored, with so many segments at most."""
    columns = [arrays[f"segment {field}"] for field in (*ResidualSpectrum._fields, *LinearisedSegment._fields[1:])]
    paths = [
        tuple(
            LinearisedSegment(ResidualSpectrum(*segment[:2]), *map(float, segment[2:]))
            for segment in zip(*(row[:count] for row in rows), strict=True)
        )
        for *rows, count in zip(*columns, np.minimum(arrays["segments"], most), strict=True)
    ]
    spectra = [ResidualSpectrum(*rows) for rows in zip(*(arrays[f] for f in ResidualSpectrum._fields), strict=True)]
    return target_simulations(explorer, params, arrays["loss"], spectra, paths, arrays["size"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--domain", action="append")
    parser.add_argument("--stage", choices=("segments", "baselines"), action="append")
    arguments = parser.parse_args()
    runs = loader.runs()
    everything = [c for c in combinations(runs) if not arguments.domain or c[0] in arguments.domain]
    seeds = sorted(runs["seed"].unique())
    for stage in arguments.stage or ("segments", "baselines"):
        for combination in everything:
            case = Case(*combination)
            for seed in seeds:
                if stage == "segments":
                    stored("segments", *case.key(), seed, compute=lambda c=case, s=seed: c.initial(s))
                else:
                    key = case.domain.name, case.name, case.fingerprint, seed
                    stored("baselines", *key, compute=lambda c=case, s=seed: c.baselines(s))


if __name__ == "__main__":
    main()
