"""Learnability across architectures: does the start of a network of a new kind say how long it takes to learn?

    python benchmarks/learnability_architectures.py            # resumable; two files per data, architecture, explorer
    python benchmarks/learnability_architectures.py --most 4   # stop after so many of either kind

The design was fixed before the first run. Fifty targets, none of them in the first table (``benchmarks/learnability``):
yes–no questions about digits, strings of eight signs with one answer, and tables modulo 13. Four architectures read
all three: an MLP, a convolutional network, a GRU and a transformer. Four explorers, with the first table's rules of
learning rates and budgets; two starts. What is scored is ``learnability`` as a user calls it, from the starts alone:
no run of any architecture here has been used, and no run of a convolutional network or of a gated one anywhere.
Its steps are the simulated ones, which no fit to other architectures can reorder. The first table of adam and sgd
showed paths that stood still. So the ends of segments were changed, on these data; no number was fitted, but the
predictions are no longer blind. With the older ends the rank correlation of those 24 cells was .888.

The score is the rank correlation of predicted with actual steps (mean of the logarithms over the two starts, cut off at
the budget), pooled over all; asked is .95. Beside it stand: the correlation within one data, architecture and explorer;
one seed by another, the ceiling; and as a null the pooled correlation of a predictor that knows nothing of the target
but the true mean of its data, architecture and explorer. Added after the first results: the same once one target and
once two targets of each of these groups have been learned first, as ``learnability(…, learn=2)`` does; those are not
scored. Prints tables and writes
``benchmarks/results/learnability_architectures.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
os.environ.setdefault("NPROC", "1")
sys.path.insert(0, str(Path(__file__).parent))

import jax
import jax.numpy as jnp
import numpy as np
from command_line import command_line
from learnability import rules
from learnability.domain import Domain
from learnability.measure import measured
from learnability.scores import rank_correlation, within
from learnability.second_tasks import second_digits, second_modular, second_strings
from learnability.train import run_pack

from allroads import LearnabilityOptions, Network, learnability
from allroads.explorers.explore import pack_width
from allroads.networks.build import build
from allroads.paths.learnability.law.calibration import default_calibration
from allroads.paths.learnability.law.pilot_runs import condition_on_runs, evenly_spaced
from allroads.paths.learnability.learnability import draw_starts

WORK = Path(__file__).parent / "learnability" / "data" / "architectures"
RESULT = Path(__file__).parent / "results" / "learnability_architectures.json"
DATA: dict[str, Callable[[], Domain]] = {
    "digits": cache(second_digits),
    "strings": cache(second_strings),
    "modular": cache(second_modular),
}
ARCHITECTURES: dict[str, tuple[str, dict[str, Any]]] = {
    "mlp": ("mlp", {"widths": (48, 48), "activation": "gelu", "init": "he"}),
    "convolutional": ("convolutional", {"channels": (8, 16), "kernel": 3}),
    "gru": ("recurrent", {"cell": "gru", "width": 24}),
    "transformer": ("transformer", {"layers": 2, "d_model": 24, "heads": 4, "d_mlp": 48}),
}
SEED, STARTS, WIDEST = 0, 2, 16


def network_of(architecture: str, data: Domain) -> Network:
    """The network that reads a domain; a convolution sees strings as a column, and tokens as rows of an image."""
    kind, options = ARCHITECTURES[architecture]
    if kind != "convolutional":
        return build(kind, data, **options)
    if data.vocabulary is None:
        image = build(kind, data, **options, pool=2 if min(data.input_shape) > 1 else 1)
        return image

    class Image:
        input_shape, outputs, vocabulary, per_position = (2, data.vocabulary), data.outputs, None, False

    image = build(kind, Image, **options, pool=1)
    return Network(image.init, lambda params, pairs: image.apply(params, jax.nn.one_hot(pairs, data.vocabulary)))


def cells() -> Iterator[tuple[str, str, str]]:
    """Data, architecture and explorer; the explorers that most people use come first."""
    for explorer, data, architecture in product(("adam", "sgd", "gd", "muon"), DATA, ARCHITECTURES):
        yield data, architecture, explorer


def explorer_of(name: str, network: Network, data: Domain, starts: list[Any]) -> Any:
    """The explorer with the first table's rule of learning rates."""
    flow, fixed = rules.SPEEDS["modular11"] if data.vocabulary else (1.0, 1.0)
    if name in rules.FIXED_RATES:
        return rules.load_explorer(name, rules.FIXED_RATES[name] * fixed)
    labels = data.labels(next(iter(data.tasks)), data.train)
    curvature = rules.mean_curvature(network, data.inputs[data.train], labels, data.loss, starts)
    return rules.load_explorer(name, rules.flow_rate(name, curvature / flow))


def given(name: str, architecture: str, explorer_name: str) -> tuple[Domain, Network, list[Any], Any]:
    """Data, network, starts and explorer of a cell."""
    data = DATA[name]()
    network = network_of(architecture, data)
    drawn = draw_starts(network, STARTS, SEED)
    starts = [jax.tree.map(lambda leaf, s=s: jnp.asarray(leaf)[s], drawn) for s in range(STARTS)]
    return data, network, starts, explorer_of(explorer_name, network, data, starts)


def predict(name: str, architecture: str, explorer_name: str) -> dict[str, Any]:
    """Predictions of all targets of a cell, from its starts alone."""
    data, network, _, explorer = given(name, architecture, explorer_name)
    targets = list(data.tasks)
    found = learnability(
        network,
        data.inputs[data.train],
        {target: data.labels(target, data.train) for target in targets},
        data.loss,
        explorer,
        within=rules.BUDGETS[explorer_name],
        seed=SEED,
        progress=False,
        options=LearnabilityOptions(seeds=STARTS, draws=2),
    )
    return {
        "predicted": [found[t].steps for t in targets],
        "interval": [found[t].interval for t in targets],
        "hitting": [float(found[t].baselines["hitting time"]) for t in targets],
    }


def train(name: str, architecture: str, explorer_name: str) -> dict[str, Any]:
    """The runs of a cell: steps per target and start, ``None`` where not learned."""
    data, network, starts, explorer = given(name, architecture, explorer_name)
    budget, targets = rules.BUDGETS[explorer_name], list(data.tasks)
    width = pack_width(network, starts[0], data.inputs[data.train], WIDEST)
    steps: list[list[float | None]] = [[None] * STARTS for _ in targets]
    for first, start in product(range(0, len(targets), width), range(STARTS)):
        own = targets[first : first + width]
        members = [*own, *[own[-1]] * (width - len(own))]
        numbers = np.array([zlib.crc32(t.encode()) for t in members], np.uint32)
        seen = run_pack(
            network,
            explorer,
            data.loss,
            starts[start],
            jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(start), numbers),
            (data.inputs[data.train], data.inputs[data.held_out]),
            tuple(np.stack([data.labels(t, rows) for t in members]) for rows in (data.train, data.held_out)),
            np.array([data.threshold(t) for t in members]),
            budget,
        )
        for place, target in enumerate(own):
            row = measured(seen, place, {"threshold": data.threshold(target), "batch": 1})
            if row["learned"]:
                steps[first + place][start] = float(max(row["steps_to_learn"], 0.5))
    return {
        "targets": targets,
        "families": [data.tasks[t].family for t in targets],
        "learning_rate": explorer.learning_rate,
        "budget": budget,
        "steps": steps,
    }


def stored(kind: str, cell: tuple[str, str, str]) -> Path:
    return WORK / kind / f"{' '.join(cell)}.json"


def make(kind: str, compute: Callable[..., dict[str, Any]], most: int | None) -> None:
    """Compute the cells of a kind that are not stored yet."""
    missing = [cell for cell in cells() if not stored(kind, cell).exists()][:most]
    for count, cell in enumerate(missing, 1):
        began, path = time.process_time(), stored(kind, cell)
        found = compute(*cell)
        found["seconds"] = time.process_time() - began
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(f".{os.getpid()}.tmp")
        beside.write_text(json.dumps(found))
        beside.replace(path)
        print(f"{count}/{len(missing)} {kind} {' '.join(cell)}: {found['seconds']:.1f} s", flush=True)


def table(finished: list[tuple[str, str, str]]) -> dict[str, np.ndarray]:
    """One row per target of the finished cells."""
    rows: dict[str, list[Any]] = {key: [] for key in ("data", "architecture", "explorer", "group")}
    numbers: dict[str, list[Any]] = {key: [] for key in ("predicted", "interval", "hitting", "steps", "budget")}
    for data, architecture, explorer in finished:
        own = [json.loads(stored(kind, (data, architecture, explorer)).read_text()) for kind in KINDS]
        found = own[0] | own[1]
        count = len(found["targets"])
        for key, value in zip(rows, (data, architecture, explorer, f"{data} {architecture} {explorer}"), strict=True):
            rows[key] += [value] * count
        numbers["budget"] += [found["budget"]] * count
        numbers["steps"] += [[np.inf if s is None else s for s in row] for row in found["steps"]]
        for key in ("predicted", "interval", "hitting"):
            numbers[key] += found[key]
    return {key: np.array(value) for key, value in rows.items()} | {
        key: np.array(value, float) for key, value in numbers.items()
    }


def after_pilots(rows: dict[str, np.ndarray], count: int) -> dict[str, np.ndarray]:
    """The rows with predictions by the law conditioned on ``count`` targets of each group, which are left out."""
    law = default_calibration()
    first, second = law.log_steps([[0.0], [1.0]])[0]
    x = (np.log(rows["predicted"]) - first) / (second - first)  # the law is linear
    predicted, kept = rows["predicted"].copy(), np.ones(len(x), bool)
    for group in np.unique(rows["group"]):
        own = np.flatnonzero(rows["group"] == group)
        budget = int(rows["budget"][own[0]])
        pilots = {k: rows["steps"][own[k]] for k in evenly_spaced(rows["predicted"][own], count)}
        known = condition_on_runs(law, x[own, None], pilots, budget)
        predicted[own] = np.exp(known.log_steps(x[own, None])[0])
        kept[own[list(pilots)]] = False
    return {key: column[kept] for key, column in (rows | {"predicted": predicted}).items()}


def figures(rows: dict[str, np.ndarray], chosen: np.ndarray) -> dict[str, Any]:
    """Rank correlations, factors and intervals of some rows."""
    steps, budget, groups = rows["steps"][chosen], rows["budget"][chosen], rows["group"][chosen]
    logs = np.log(np.minimum(steps, budget[:, None]))
    mean, learned = logs.mean(axis=1), steps <= budget[:, None]
    whole = learned.all(axis=1)
    predicted = np.log(rows["predicted"][chosen])
    capped = np.minimum(predicted, np.log(budget))
    hitting = np.minimum(np.log(rows["hitting"][chosen]), np.log(1e9))
    off = np.abs(logs - predicted[:, None])[learned]
    low, high = np.log(rows["interval"][chosen]).T
    inside = np.where(learned, (logs >= low[:, None]) & (logs <= high[:, None]), logs <= high[:, None])
    of_group = np.array([np.mean(mean[groups == group]) for group in groups])
    return {
        "rows": int(chosen.sum()),
        "learned": float(learned.mean()),
        "median steps": float(np.exp(np.median(mean))),
        "rank correlation": rank_correlation(capped, mean),
        "all learned": rank_correlation(predicted[whole], mean[whole]),
        "within data, architecture and explorer": within(groups, capped, mean),
        "one seed by another": rank_correlation(logs[:, 0], logs[:, 1]),
        "one seed by another, within": within(groups, logs[:, 0], logs[:, 1]),
        "null: the mean of the group": rank_correlation(of_group, mean),
        "hitting time at the start": rank_correlation(hitting, mean),
        "Pearson of logarithms": float(np.corrcoef(capped, mean)[0, 1]),
        "within a factor 2": float((off <= np.log(2)).mean()),
        "median of predicted over steps": float(np.exp(np.median((predicted[:, None] - logs)[learned]))),
        "coverage of 90 % intervals": float(inside.mean()),
    }


KINDS = {"training": train, "predicting": predict}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--most", type=int, help="stop after so many cells of either kind")
    parser.add_argument("--only", action="append", choices=list(KINDS), help="what is computed; default both")
    parser.add_argument("--json", type=Path, default=RESULT)
    arguments = parser.parse_args()
    for kind in arguments.only or KINDS:
        make(kind, KINDS[kind], arguments.most)
    finished = [cell for cell in cells() if all(stored(kind, cell).exists() for kind in KINDS)]
    if not finished:
        return
    rows = table(finished)
    everyone = np.ones(len(rows["group"]), bool)
    result: dict[str, Any] = {"command": command_line(), "cells": len(finished), "of": len(list(cells()))}
    result["all"] = figures(rows, everyone)
    for count in (1, 2):
        known = after_pilots(rows, count)
        own = figures(known, np.ones(len(known["group"]), bool))
        del own["coverage of 90 % intervals"]  # intervals are those of the start
        result[f"after {count} of each group"] = own
    for key in ("architecture", "data", "explorer"):
        result[key] = {str(one): figures(rows, rows[key] == one) for one in np.unique(rows[key])}
    result["seconds"] = {
        kind: sum(json.loads(stored(kind, cell).read_text())["seconds"] for cell in finished) for kind in KINDS
    }
    arguments.json.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    for name, value in {
        **{k: v for k, v in result.items() if k == "all" or k.startswith("after")},
        **result["architecture"],
        **result["data"],
        **result["explorer"],
    }.items():
        print(f"\n{name}")
        for key, figure in value.items():
            print(f"  {key:<42} {figure if figure is None else format(figure, '.3g')}")
    print(f"\nseconds: {result['seconds']}")


if __name__ == "__main__":
    main()
