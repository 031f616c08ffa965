"""Roads to structured targets beside roads to random ones of the same norm, and what their cost says about learning.

Pairs: balanced Boolean functions of 7 bits (parities, majorities, multiplexers, thresholds, juntas, decision trees,
staircases) as signs, each beside a random balanced one; and 128 digits with a yes-or-no question, beside the same
answers shuffled. Both of a pair start from the same point. Prints, for each map, the ratio of costs with a bootstrap
interval, the share of pairs whose structured road is cheaper, and the rank correlation of the cost with the steps that
gradient descent needs, all beside the cost that the kernel at the start alone predicts, ‖J⁺(z* − F(θ₀))‖. Then the
seconds of a road against the size of the network. Writes ``benchmarks/results/roads.json``.

    python benchmarks/roads.py [--pairs 100]
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import rankdata, spearmanr
from sklearn.datasets import load_digits

from allroads import Problem, float64
from allroads.networks.mlp import mlp
from allroads.paths.road import RoadOptions, road
from allroads.targets import rules

BITS, IMAGES = 7, 128
MAPS = {
    "tanh 64-64": {"widths": (64, 64), "activation": "tanh", "init": "lecun", "bias": "normal"},
    "tanh 48-48-48": {"widths": (48, 48, 48), "activation": "tanh", "init": "lecun", "bias": "normal"},
    "relu 64-64": {"widths": (64, 64), "activation": "relu"},
}
EVERY = {"relu 64-64": 3}
"""Roads of relu networks take some ten times as many steps: there every third pair is taken."""

TOLERANCE = 3e-3
FOLLOWED = RoadOptions(tolerance=TOLERANCE, records=1)
RATE, STEPS, LEARNED = 0.05, 6_000, 0.1
LEARN_EVERY = 3
"""Share of the Boolean pairs that are also learned."""


def boolean_targets(rng: np.random.Generator, count: int) -> list[tuple[str, np.ndarray]]:
    """Balanced functions as signs, by family in turn."""
    rows = rules.all_bits(BITS)

    def some(k: int) -> np.ndarray:
        return np.sort(rng.choice(BITS, size=k, replace=False))

    def tree(depth: int) -> np.ndarray:
        """A decision tree that asks random bits; half of its leaves say yes."""
        leaf, left = np.zeros(len(rows), int), [list(range(BITS)) for _ in rows]
        for level in range(depth):
            asked = {at: rng.choice(left[np.flatnonzero(leaf == at)[0]]) for at in range(2**level)}
            for row, at in enumerate(leaf):
                left[row] = [v for v in left[row] if v != asked[at]]
                leaf[row] = 2 * at + rows[row, asked[at]]
        return (rng.permutation(2**depth) % 2 == 1)[leaf]

    families = {
        "parity": lambda i: rules.parity(rows, variables=some(2 + i % 6)),
        "majority": lambda i: rules.majority(rows, variables=some((3, 5, 7)[i % 3])),
        "threshold": lambda i: rules.linear_threshold(rows, function_seed=int(rng.integers(1 << 30))),
        "junta": lambda i: rules.junta(rows, k=3 + i % 2, function_seed=int(rng.integers(1 << 30))),
        "tree": lambda i: tree(3 + i % 2),
        "multiplexer": lambda i: rules.multiplexer(rows[:, rng.permutation(BITS)]),
        "staircase": lambda i: rules.staircase(rows, variables=rng.permutation(BITS)[: (3, 5)[i % 2]]),
    }
    found = []
    while len(found) < count:
        name = list(families)[len(found) % len(families)]
        table = np.asarray(families[name](len(found) // len(families)))
        assert table.sum() * 2 == len(rows), f"{name} is not balanced"
        found.append((name, 1.0 - 2.0 * table))
    return found


def make_pairs(count: int, seed: int) -> list[dict]:
    """Structured and random answers of equal norm on the same inputs: three fifths Boolean, the others digits."""
    rng = np.random.default_rng(seed)
    signs = 1.0 - 2.0 * rules.all_bits(BITS)
    pairs = [
        {"family": name, "inputs": signs, "structured": y, "random": rng.permutation(y)}
        for name, y in boolean_targets(rng, round(0.6 * count))
    ]
    images, classes = load_digits(return_X_y=True)
    images = (images - images.mean()) / images.std()
    questions = {
        "digits: even": classes % 2 == 0,
        "digits: ≥ 5": classes >= 5,
        "digits: 3 or 8": np.isin(classes, (3, 8)),
        "digits: has a loop": np.isin(classes, (0, 6, 8, 9)),
    }
    while len(pairs) < count:
        name = list(questions)[len(pairs) % len(questions)]
        chosen = rng.choice(len(images), IMAGES, replace=False)
        y = np.where(questions[name][chosen], 1.0, -1.0)
        pairs.append({"family": name, "inputs": images[chosen], "structured": y, "random": rng.permutation(y)})
    return pairs


def network_of(name: str, features: int):
    return mlp((features,), 1, **MAPS[name])


def measure(name: str, pairs: list[dict]) -> list[dict]:
    """Both roads of every pair on one map."""
    rows = []
    for index, pair in list(enumerate(pairs))[:: EVERY.get(name, 1)]:
        network = network_of(name, pair["inputs"].shape[1])
        row = {"map": name, "pair": index, "family": pair["family"]}
        with float64():
            params = network.init(jax.random.key(index))
            for side in ("structured", "random"):
                start = time.process_time()
                problem = Problem(network, "mse", pair["inputs"], pair[side])
                found = road(problem, params, pair[side], options=FOLLOWED)
                row[side] = {
                    "cost": found.cost,
                    "error": found.error,
                    "at_start": found.stats["chord"] / float(found.gains[0]),
                    "lifted": found.stats["lifted"],
                    "chord": found.stats["chord"],
                    "reached": found.reached,
                    "status": str(found.status),
                    "steps": found.stats["steps"],
                    "seconds": round(time.process_time() - start, 3),
                }
        rows.append(row)
    return rows


def compared(rows: list[dict], what: str, seed: int = 0) -> dict:
    """Geometric mean of the ratio random / structured and share of pairs with structured cheaper; 95 % intervals."""
    done = [row for row in rows if row["structured"]["reached"] == row["random"]["reached"] == 1.0]
    logs = np.log([row["random"][what] / row["structured"][what] for row in done])
    drawn = np.random.default_rng(seed).integers(len(logs), size=(10_000, len(logs)))
    cheaper = logs > 0
    ratio = np.exp([logs.mean(), *np.quantile(logs[drawn].mean(axis=1), [0.025, 0.975])])
    share = [cheaper.mean(), *np.quantile(cheaper[drawn].mean(axis=1), [0.025, 0.975])]
    return {"pairs": len(done), "ratio": ratio.round(3).tolist(), "share": np.round(share, 3).tolist()}


def steps_to_learn(name: str, pairs: list[dict], indices: list[int], most: int) -> np.ndarray:
    """Steps of gradient descent to a squared error of 0.1, ``[2, pairs]``; ``most`` where it was not reached."""
    network = network_of(name, BITS)
    inputs = jnp.asarray(pairs[0]["inputs"], jnp.float32)

    @jax.jit
    @jax.vmap
    def learn(params, labels):
        def loss(p):
            return jnp.mean((network.apply(p, inputs)[:, 0] - labels) ** 2)

        def step(state, k):
            p, learned = state
            now, slope = jax.value_and_grad(loss)(p)
            moved = jax.tree.map(lambda w, g: w - RATE * g, p, slope)
            return (moved, jnp.where(now <= LEARNED, jnp.minimum(learned, k), learned)), None

        return jax.lax.scan(step, (params, jnp.int32(most)), jnp.arange(most, dtype=jnp.int32))[0][1]

    starts = jax.vmap(network.init)(jax.vmap(jax.random.key)(jnp.array(indices)))
    labels = [jnp.asarray([pairs[i][side] for i in indices], jnp.float32) for side in ("structured", "random")]
    return np.array([learn(starts, y) for y in labels])


def partial_spearman(x: np.ndarray, y: np.ndarray, given: np.ndarray) -> float:
    """Rank correlation of x and y with that of ``given`` taken out of both."""
    ranks = [rankdata(v) for v in (x, y)]
    design = np.stack([np.ones(len(given)), rankdata(given)], axis=1)
    left = [r - design @ np.linalg.lstsq(design, r, rcond=None)[0] for r in ranks]
    return float(np.corrcoef(*left)[0, 1])


def learning(name: str, pairs: list[dict], rows: list[dict], most: int) -> dict:
    """Rank correlations with the steps to learn, over Boolean targets of both kinds."""
    rows = [row for row in rows if pairs[row["pair"]]["inputs"].shape[1] == BITS and row["pair"] % LEARN_EVERY == 0]
    count = len(rows)
    steps = steps_to_learn(name, pairs, [row["pair"] for row in rows], most)
    sides = ("structured", "random")
    cost, first = (np.array([[row[side][w] for row in rows] for side in sides]) for w in ("cost", "at_start"))
    drawn = np.random.default_rng(0).integers(count, size=(2_000, count))

    def interval(x: np.ndarray) -> list[float]:
        values = [spearmanr(x[:, d].ravel(), steps[:, d].ravel()).statistic for d in drawn]
        return np.round(
            [spearmanr(x.ravel(), steps.ravel()).statistic, *np.quantile(values, [0.025, 0.975])], 3
        ).tolist()

    return {
        "map": name,
        "targets": 2 * count,
        "learned": int((steps < most).sum()),
        "cost": interval(cost),
        "at_start": interval(first),
        "cost_given_at_start": round(partial_spearman(cost.ravel(), steps.ravel(), first.ravel()), 3),
        "within_structured": round(float(spearmanr(cost[0], steps[0]).statistic), 3),
        "median_steps": np.median(steps, axis=1).tolist(),
    }


def growth() -> list[dict]:
    """Processor seconds of one step of a road against the number of parameters, compiled before."""
    inputs = 1.0 - 2.0 * rules.all_bits(BITS)
    target = np.random.default_rng(0).permutation(np.repeat([-1.0, 1.0], len(inputs) // 2))
    rows = []
    for width in (16, 32, 64, 128):
        network = mlp((BITS,), 1, widths=(width, width), activation="tanh", init="lecun")
        params = network.init(jax.random.key(0))
        for dense in (2000, 0):
            seconds = []
            for _ in range(2):
                start = time.process_time()
                options = RoadOptions(tolerance=1e-2, records=1, dense=dense)
                found = road(Problem(network, "mse", inputs, target), params, target, options=options)
                seconds.append(time.process_time() - start)
            tries = found.stats["steps"] + found.stats["rejected"]
            size = sum(leaf.size for leaf in jax.tree.leaves(params))
            rows.append(
                {
                    "parameters": size,
                    "method": found.stats["method"],
                    "tries": tries,
                    "seconds_per_step": seconds[1] / tries,
                }
            )
    return rows


def exponent(rows: list[dict], method: str) -> float:
    chosen = [row for row in rows if row["method"] == method]
    sizes, seconds = (np.log([row[key] for row in chosen]) for key in ("parameters", "seconds_per_step"))
    return float(np.polyfit(sizes, seconds, 1)[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=100)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--json", type=Path, default=Path(__file__).parent / "results" / "roads.json")
    options = parser.parse_args()
    began = time.process_time()
    pairs = make_pairs(options.pairs, seed=0)
    result = {
        "command": "python benchmarks/roads.py",
        "tolerance": TOLERANCE,
        "compared": [],
        "families": {},
        "learning": [],
        "roads": [],
    }

    def write() -> None:
        result["seconds"] = round(time.process_time() - began)
        options.json.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", "utf-8")

    print(f"{'map':15}{'kind':9}{'what':9}{'pairs':>6}{'random / structured':>22}{'structured cheaper':>22}")
    for name in MAPS:
        rows = measure(name, pairs)
        result["roads"] += rows
        for kind in ("Boolean", "digits"):
            chosen = [row for row in rows if row["family"].startswith("digits") == (kind == "digits")]
            for what in ("cost", "at_start"):
                table = {"map": name, "kind": kind, "what": what, **compared(chosen, what)}
                result["compared"].append(table)
                ratio, share = table["ratio"], table["share"]
                print(
                    f"{name:15}{kind:9}{what:9}{table['pairs']:6}{ratio[0]:8.2f} [{ratio[1]:.2f}, {ratio[2]:.2f}]"
                    f"{share[0]:10.0%} [{share[1]:.0%}, {share[2]:.0%}]",
                    flush=True,
                )
        families = {family: [r for r in rows if r["family"] == family] for family in {r["family"] for r in rows}}
        result["families"][name] = {family: compared(some, "cost")["ratio"][0] for family, some in families.items()}
        print(result["families"][name])
        result["learning"].append(learning(name, pairs, rows, options.steps))
        print(result["learning"][-1], flush=True)
        write()
    result["growth"] = growth()
    result["exponents"] = {m: round(exponent(result["growth"], m), 2) for m in ("dense", "matrix-free")}
    print("seconds a step grow with the number of parameters to the power", result["exponents"])
    write()
    print(f"{result['seconds']} processor seconds")


if __name__ == "__main__":
    main()
