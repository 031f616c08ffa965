"""The grid: packs of cells, the identity of each, and what a finished pack leaves."""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import product
from pathlib import Path
from typing import Any

import jax
import numpy as np

from allroads.explorers.width import pack_width
from allroads.studies.canonical import digest

from .domain import DOMAINS, load_domain
from .maps import MAPS, initial, load_map, start_key
from .measure import measured
from .rules import BATCH, BUDGETS, SEEDS, budget, learning_rate, load_explorer, options
from .train import LADDER, RECORDS, run_pack

WORK = Path(__file__).parent / "work"
VERSION = 1
"""Of what decides a result besides the entries of ``identity``: training loop, start, measures."""
WIDEST = 16
FIRST = ("mlp 2x64 relu", "mlp 3x64 relu", "mlp 2x64 tanh")
"""Maps that are run first on Boolean targets with gd and adam."""


@dataclass(frozen=True)
class Pack:
    """Targets that are learned side by side."""

    map: str
    domain: str
    explorer: str
    seed: int
    targets: tuple[str, ...]

    def identity(self, target: str) -> str:
        """Hash of all that decides the result of one cell."""
        data, spec = load_domain(self.domain), MAPS[self.map]
        rate = learning_rate(self.explorer, self.map, self.domain)
        labels = hashlib.sha256(data.labels(target).tobytes()).hexdigest()
        return digest(
            {
                "version": VERSION,
                "domain": _fingerprint(self.domain),
                "labels": labels,
                "threshold": data.threshold(target),
                "map": [self.map, spec.kind, spec.options],
                "explorer": [self.explorer, options(self.explorer, rate)],
                "seed": self.seed,
                "budget": budget(self.explorer, self.map),
                "records": [RECORDS, list(LADDER)],
            }
        )

    @cached_property
    def name(self) -> str:
        """Of its files: the hash of its cells."""
        return digest([self.identity(target) for target in self.targets])[:24]


@cache
def _fingerprint(domain: str) -> str:
    return load_domain(domain).fingerprint()


@cache
def _width(name: str, domain: str) -> int:
    """Members side by side: as many as fit the cache."""
    network, data = load_map(name, domain), load_domain(domain)
    params = jax.eval_shape(network.init, jax.random.key(0))
    return pack_width(network, params, data.inputs[data.train], WIDEST)


@cache
def packs() -> tuple[Pack, ...]:
    """All of the grid, what is needed first at the front and what is slow at the end."""

    def turn(pack: Pack) -> tuple[bool, int]:
        first = pack.map in FIRST and pack.domain == "bits8" and pack.explorer in ("gd", "adam")
        return not first, 1 + pack.seed if MAPS[pack.map].kind == "transformer" else 0

    grid = []
    for domain, name, explorer, seed in product(DOMAINS, MAPS, BUDGETS, SEEDS):
        targets, width = list(load_domain(domain).tasks), _width(name, domain)
        for first in range(0, len(targets), width):
            grid.append(Pack(name, domain, explorer, seed, tuple(targets[first : first + width])))
    return tuple(sorted(grid, key=turn))


def finished(pack: Pack, work: Path = WORK) -> list[dict[str, Any]] | None:
    """The rows of a finished pack, or ``None``."""
    path = work / f"{pack.name}.json"
    return json.loads(path.read_text()) if path.exists() else None


def compute(pack: Pack, work: Path = WORK) -> list[dict[str, Any]]:
    """Train a pack and store its rows and snapshots; the rows are written last, whole, and mark it as finished."""
    data, steps = load_domain(pack.domain), budget(pack.explorer, pack.map)
    rate = learning_rate(pack.explorer, pack.map, pack.domain)
    network, params = load_map(pack.map, pack.domain), initial(pack.map, pack.domain, pack.seed)
    # A pack that is not full is filled up, so that a member's arithmetic does not depend on its company.
    width = _width(pack.map, pack.domain)
    members = [*pack.targets, *[pack.targets[-1]] * (width - len(pack.targets))]
    own = start_key(pack.map, pack.domain, pack.seed)
    keys = jax.vmap(jax.random.fold_in, (None, 0))(own, np.array([zlib.crc32(t.encode()) for t in members], np.uint32))
    seen = run_pack(
        network,
        load_explorer(pack.explorer, rate),
        data.loss,
        params,
        keys,
        (data.inputs[data.train], data.inputs[data.held_out]),
        tuple(np.stack([data.labels(target, rows) for target in members]) for rows in (data.train, data.held_out)),
        np.array([data.threshold(target) for target in members]),
        steps,
    )
    rows = []
    for index, target in enumerate(pack.targets):
        facts = {
            "target": target,
            "family": data.tasks[target].family,
            "domain": pack.domain,
            "map": pack.map,
            "depth": MAPS[pack.map].depth,
            "width": MAPS[pack.map].width,
            "activation": MAPS[pack.map].activation,
            "parameters": sum(leaf.size for leaf in jax.tree.leaves(params)),
            "explorer": pack.explorer,
            "learning_rate": rate,
            "batch": BATCH if pack.explorer == "sgd" else len(data.train),
            "seed": pack.seed,
            "loss_name": data.loss,
            "budget": steps,
            "threshold": data.threshold(target),
        }
        rows.append(facts | measured(seen, index, facts) | {"cell": pack.identity(target), "pack": pack.name})
    leaves = {
        f"{step}/{i}": leaf[: len(pack.targets)]
        for step, point in seen.snapshots.items()
        for i, leaf in enumerate(jax.tree.leaves(point))
    }
    work.mkdir(parents=True, exist_ok=True)
    _write(work / f"{pack.name}.npz", lambda file: np.savez(file, **leaves))
    _write(work / f"{pack.name}.json", lambda file: file.write(json.dumps(rows).encode()))
    return rows


def _write(path: Path, fill: Any) -> None:
    """Whole or not at all."""
    beside = path.with_suffix(f".{os.getpid()}.tmp")
    with beside.open("wb") as file:
        fill(file)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
