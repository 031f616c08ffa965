"""What the map shows of every target of the learnability table, computed once and kept.

    python benchmarks/learnability_features.py          # resumable; one file a map, domain, explorer, seed and point

The files lie in ``benchmarks/learnability/work/features``. What is kept does not depend on what an explorer does
as gradients fall; ``Case.seen`` adds that.
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
from allroads.paths.learnability.hop import Hop
from allroads.paths.learnability.hops import DEPTH, HOPS
from allroads.paths.learnability.inal import inal
from allroads.paths.learnability.kernel_size import compiled_kernel_size
from allroads.paths.learnability.learnability import REGULARISATION, columns_of
from allroads.paths.learnability.point import Sight, look, plain_spectra, repeated, sights
from allroads.paths.learnability.spectrum import KRYLOV, ResidualSpectrum

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
        columns = [columns_of(labels) for labels in self.labels]
        most = max(
            one.shape[1] for one in columns
        )  # not all targets have all classes; a column of zeros aligns with none
        columns = np.stack([np.pad(one, ((0, 0), (0, most - one.shape[1]))) for one in columns])
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

    def seen(self, seed: int) -> list[Sight] | None:
        """The sights at a start, from what is kept; ``None`` where it has not been computed."""
        arrays = stored("hops", *self.key(), seed)
        return (
            None
            if arrays is None
            else unpacked(arrays, self.moves(), loader.initial(self.name, self.domain.name, seed))
        )


def packed(seen: list[Sight]) -> dict[str, np.ndarray]:
    """Sights as arrays; spectra are filled up with modes of no energy, hops with such as are not counted."""
    shape = len(seen), HOPS
    arrays = {
        **{field: np.zeros((len(seen), KRYLOV)) for field in ResidualSpectrum._fields},
        **{f"hop {field}": np.zeros((*shape, DEPTH)) for field in ResidualSpectrum._fields},
        **{f"hop {field}": np.zeros(shape) for field in Hop._fields[1:]},
        "hops": np.array([len(sight.hops) for sight in seen]),
        "loss": np.array([sight.loss for sight in seen]),
        "size": np.array([sight.size for sight in seen]),
    }
    for t, sight in enumerate(seen):
        for field, part in sight.spectrum._asdict().items():
            arrays[field][t, : len(part)] = part
        for k, hop in enumerate(sight.hops):
            for field, part in hop.spectrum._asdict().items():
                arrays[f"hop {field}"][t, k, : len(part)] = part
            for field in Hop._fields[1:]:
                arrays[f"hop {field}"][t, k] = getattr(hop, field)
    return arrays


def unpacked(arrays: dict[str, np.ndarray], explorer: Any, params: Any, most: int = HOPS) -> list[Sight]:
    """The sights that :func:`packed` stored, as if there were so many hops at most."""
    columns = [arrays[f"hop {field}"] for field in (*ResidualSpectrum._fields, *Hop._fields[1:])]
    ways = [
        tuple(
            Hop(ResidualSpectrum(*hop[:2]), *map(float, hop[2:]))
            for hop in zip(*(row[:count] for row in rows), strict=True)
        )
        for *rows, count in zip(*columns, np.minimum(arrays["hops"], most), strict=True)
    ]
    spectra = [ResidualSpectrum(*rows) for rows in zip(*(arrays[f] for f in ResidualSpectrum._fields), strict=True)]
    return sights(explorer, params, arrays["loss"], spectra, ways, arrays["size"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--domain", action="append")
    parser.add_argument("--stage", choices=("hops", "baselines"), action="append")
    arguments = parser.parse_args()
    runs = loader.runs()
    everything = [c for c in combinations(runs) if not arguments.domain or c[0] in arguments.domain]
    seeds = sorted(runs["seed"].unique())
    for stage in arguments.stage or ("hops", "baselines"):
        for combination in everything:
            case = Case(*combination)
            for seed in seeds:
                if stage == "hops":
                    stored("hops", *case.key(), seed, compute=lambda c=case, s=seed: c.initial(s))
                else:
                    key = case.domain.name, case.name, case.print, seed
                    stored("baselines", *key, compute=lambda c=case, s=seed: c.baselines(s))


if __name__ == "__main__":
    main()
