"""Do runs converge? False convergence of unrelated networks, known relations, published nulls, and runs on digits.

    python benchmarks/convergence.py --json benchmarks/results/convergence.json

Four tables. The first two count how often unrelated networks are called alike: representations of random perceptrons,
each on inputs of its own. The third holds every measure against closed forms. The last trains perceptrons on digits and
compares runs that differ in one thing: the seed, the width, the explorer, the training images; beside untrained ones.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import jax
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from allroads import Network, Problem, compare_representations, convergence, explore
from allroads.explorers.build import build_explorer
from allroads.networks.mlp import mlp
from allroads.paths.convergence import cka, mutual_neighbours, procrustes
from allroads.paths.convergence.measures import MEASURES

LEVEL = 0.05
PAIRS, POPULATIONS, MEMBERS, INPUTS, WIDTH = 1200, 120, 5, 64, 16
RUNS, STEPS, HELD_OUT = 6, 300, 200


def unrelated(rng, width=WIDTH, inputs=INPUTS):
    """Hidden units of a random perceptron with two hidden layers, on inputs of its own."""
    x = rng.normal(size=(inputs, 8))
    for fan_in in (8, width):
        x = np.maximum(x @ rng.normal(size=(fan_in, width)) * np.sqrt(2 / fan_in), 0)
    return x


def at_most(rate, tests, deviations=3.0):
    """The largest count that a rate explains within so many standard deviations."""
    return rate * tests + deviations * np.sqrt(rate * (1 - rate) * tests)


def false_pairs():
    """Pairs of unrelated networks one by one, without a correction: a share of 5 % is expected."""
    rng, found = np.random.default_rng(0), dict.fromkeys(MEASURES, 0)
    for pair in range(PAIRS):
        compared = compare_representations(unrelated(rng), unrelated(rng), permutations=199, seed=pair, progress=False)
        for name, p in compared.stats.items():
            found[name] += p <= LEVEL
    allowed = at_most(LEVEL, PAIRS)
    return [
        {"measure": name, "pairs": PAIRS, "false": count, "share": count / PAIRS, "holds": bool(count <= allowed)}
        for name, count in found.items()
    ]


def lookup():
    """A network whose hidden layer is a table with a row per input, so that members may be unrelated."""
    return Network(
        lambda key: {"table": np.zeros((INPUTS, WIDTH)), "out": np.zeros((WIDTH, 3))},
        lambda params, x: params["table"][x[:, 0]] @ params["out"],
        name="lookup",
    )


def false_populations():
    """Populations of unrelated networks, corrected by Holm: any false pair in 5 % of the tables at most."""
    network, index = lookup(), np.arange(INPUTS)[:, None]
    tables, pairs, tested = {}, {}, {}
    for seed in range(POPULATIONS):
        rng = np.random.default_rng(10_000 + seed)
        members = {
            "table": np.stack([unrelated(rng) for _ in range(MEMBERS)]),
            "out": rng.normal(size=(MEMBERS, WIDTH, 3)),
        }
        found = convergence(network, members, index, level=LEVEL, seed=seed, progress=False)
        for name, table in {"agreement": found.agreement, **found.representations["out"]}.items():
            tables[name] = tables.get(name, 0) + bool(table.beyond.any())
            share = table.share
            pairs[name] = pairs.get(name, 0) + share * table.stats["pairs"]
            tested[name] = tested.get(name, 0) + table.stats["pairs"]
    allowed = at_most(LEVEL, POPULATIONS)
    return [
        {
            "measure": name,
            "tables": POPULATIONS,
            "false_tables": count,
            "pairs": tested[name],
            "false_pairs": round(pairs[name]),
            "share_of_pairs": pairs[name] / tested[name],
            "holds": bool(count <= allowed and pairs[name] <= LEVEL * tested[name]),
        }
        for name, count in tables.items()
    ]


def known_relations():
    """Means over draws beside closed forms; that of the angle is a limit, which few inputs approach from above."""
    rng, rows = np.random.default_rng(1), []

    def row(what, found, truth, tolerance):
        mean = float(np.mean(found))
        error = float(1.96 * np.std(found, ddof=1) / np.sqrt(len(found)))
        near = abs(mean - truth) <= tolerance
        rows.append(
            {"what": what, "mean": mean, "error": error, "truth": truth, "within": tolerance, "holds": bool(near)}
        )

    for d, published in ((40, 0.241), (512, 0.801)):
        pairs = [rng.normal(size=(2, 128, d)) for _ in range(60)]
        biased = [cka(x, y, debiased=False) for x, y in pairs]
        row(f"biased CKA of unrelated, n=128, d={d}: d/(n+d); published {published}", biased, d / (128 + d), 0.005)
        row(f"debiased CKA of unrelated, n=128, d={d}", [cka(x, y) for x, y in pairs], 0.0, 0.005)
        row(
            f"mutual 10 nearest neighbours, n=128, d={d}: 10/127",
            [mutual_neighbours(x, y) for x, y in pairs],
            10 / 127,
            0.003,
        )
    for shared, d, e in ((2, 8, 8), (4, 8, 8), (6, 8, 8), (3, 6, 4)):
        truth = shared / float(np.sqrt(d * e))
        found, angles = [], []
        for _ in range(12):
            common = rng.normal(size=(10_000, shared))
            pair = [np.hstack([common, rng.normal(size=(len(common), size - shared))]) for size in (d, e)]
            angles.append(procrustes(*pair))
            common = rng.normal(size=(400, shared))
            pair = [np.hstack([common, rng.normal(size=(400, size - shared))]) for size in (d, e)]
            found.append(compare_representations(*pair, permutations=1, progress=False))
        name = f"{shared} units shared of {d} and {e}"
        row(f"CKA, {name}", [one["cka"].value for one in found], truth, 0.02)
        row(f"cosine of the Procrustes angle, n=10000, {name}", np.cos(angles), truth, 0.03)
        predicted = 1 - (1 - shared / e) * (1 + d / (200 - d - 2))  # least squares on 200 held-in inputs
        row(f"stitching R², {name}", [one["stitching"].value for one in found], predicted, 0.03)
    same = {"cka": 1.0, "procrustes": 0.0, "neighbours": 1.0, "rsa": 1.0, "stitching": 1.0}
    for relation in ("identical", "permuted", "rotated"):
        found = []
        for _ in range(6):
            x = rng.normal(size=(128, 12))
            change = {"identical": np.eye(12), "permuted": np.eye(12)[rng.permutation(12)]}
            change["rotated"] = np.linalg.qr(rng.normal(size=(12, 12)))[0]
            found.append(compare_representations(x, x @ change[relation], permutations=1, progress=False))
        for measure, truth in same.items():
            row(f"{measure}, {relation}", [one[measure].value for one in found], truth, 0.005)
    return rows


def digits_runs():
    """Perceptrons on digits: what runs have in common that differ in one thing."""
    images, labels = load_digits(return_X_y=True)
    images = (images / 16).astype(np.float32)
    first, rest, first_labels, rest_labels = train_test_split(
        images, labels, train_size=700, random_state=0, stratify=labels
    )
    second, held_out = (rest[:700], rest_labels[:700]), (rest[700 : 700 + HELD_OUT], rest_labels[700 : 700 + HELD_OUT])
    networks = {width: mlp((64,), 10, widths=(width,)) for width in (32, 128)}

    def runs(width, explorer, data, seed):
        problem = Problem(networks[width], "cross_entropy", *data)
        return explore(problem, explorer, members=RUNS, steps=STEPS, seed=seed).ends()

    adam, sgd = build_explorer("adam", learning_rate=3e-3), build_explorer("sgd", learning_rate=0.5)
    mine = runs(32, adam, (first, first_labels), 0)
    untrained = jax.vmap(networks[32].init)(jax.random.split(jax.random.key(1), RUNS))
    others = {
        "seed": None,
        "explorer (SGD)": (runs(32, sgd, (first, first_labels), 1), networks[32]),
        "training images": (runs(32, adam, second, 2), networks[32]),
        "width (128)": (runs(128, adam, (first, first_labels), 3), networks[128]),
        "training (untrained)": (untrained, networks[32]),
    }
    rows = []
    for what, given in {**others, "seed, all untrained": None}.items():
        start = time.process_time()
        population = untrained if what == "seed, all untrained" else mine
        options = {} if given is None else {"other": given[0], "other_network": given[1]}
        aligned = "weights" if what.startswith("seed") else None
        found = convergence(
            networks[32], population, held_out[0], labels=held_out[1], align=aligned, progress=False, **options
        )
        named = {"agreement": found.agreement, **next(iter(found.representations.values()))}
        measures = {
            name: {
                "mean": table.mean.value,
                "null": table.stats["null"],
                "excess": table.mean_excess.value,
                "error": table.mean_excess.error,
                "beyond": table.share,
                "permutations": table.permutations,
            }
            for name, table in named.items()
        }
        row = {"differ in": what, "measures": measures, "status": found.status.value}
        if given is None:
            gap = found.disagreement
            row |= {
                "disagreement": [gap.expected.value, gap.expected.error],
                "error": [gap.mistaken.value, gap.mistaken.error],
                "gap": [gap.gap.value, gap.gap.error],
                "functions": len(found.functions.counts),
                "effective_number_at_least": found.functions.effective.stats["low"],
                "distance_left": [found.points.nearer.value, found.points.nearer.error],
                "barriers": found.points.stats,
            }
        rows.append({**row, "seconds": time.process_time() - start})
    return rows


def main():
    tables = {table.__name__: table for table in (false_pairs, false_populations, known_relations, digits_runs)}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--only", nargs="*", choices=tables, default=list(tables), help="tables; others are kept")
    given = parser.parse_args()
    found = {}
    if given.json and given.json.exists():
        found = json.loads(given.json.read_text("utf-8"))
    found["command"] = "python benchmarks/convergence.py --json benchmarks/results/convergence.json"
    for name in given.only:
        start = time.process_time()
        found[name] = tables[name]()
        found[f"{name}_seconds"] = time.process_time() - start
        for row in found[name]:
            print({k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}, flush=True)
        if given.json:
            given.json.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    print({key: round(value, 1) for key, value in found.items() if key.endswith("seconds")})


if __name__ == "__main__":
    main()
