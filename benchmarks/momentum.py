"""Steps predicted from the start beside those taken, where targets are learned within the memory of momentum.

    python benchmarks/momentum.py    # about three minutes of one thread; writes benchmarks/results/momentum.json

A residual network of gated blocks behind layer norms learns 26 Boolean targets of 7 bits, all examples at each step.
The steps that the explorer takes until the mean squared error is a tenth stand beside `simulate_targets` from the same
start.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import spearmanr

from allroads import SGD, Adam, Network, Problem, Recording, explore
from allroads.paths.learnability.law.crossing import first_crossing
from allroads.paths.learnability.learnability import draw_starts
from allroads.paths.learnability.simulate.target_simulation import broadcast_params, simulate_targets

RESULT = Path(__file__).parent / "results" / "momentum.json"
GOAL, STEPS = 0.1, 1000
CASES = (
    ("Adam", Adam(learning_rate=1e-3), 0),
    ("Adam", Adam(learning_rate=1e-3), 1),
    ("Adam, beta1 = 0", Adam(learning_rate=1e-3, beta1=0.0), 0),
    ("SGD, momentum 0.9", SGD(learning_rate=2e-3, momentum=0.9, batch_size=128), 0),
)
BITS = 1.0 - 2 * (np.arange(128)[:, None] >> np.arange(7) & 1)


def gated_network(width: int = 32, hidden: int = 64, blocks: int = 2) -> Network:
    """A residual network of gated blocks behind layer norms."""

    def init(key: Any) -> Any:
        keys = iter(jax.random.split(key, 4 * blocks + 4))

        def normal(rows: int, columns: int) -> Any:
            return jax.random.normal(next(keys), (rows, columns)) / rows**0.5

        def block() -> Any:
            gate, up, down = normal(width, hidden), normal(width, hidden), normal(hidden, width)
            return {"gate": gate, "up": up, "down": down, "scale": jnp.ones(width), "shift": jnp.zeros(width)}

        first = normal(7, width)
        inner = [block() for _ in range(blocks)]
        last = {"scale": jnp.ones(width), "shift": jnp.zeros(width), "out": normal(width, 1), "bias": jnp.zeros(1)}
        return {"in": first, "blocks": inner, "last": last}

    def layer_norm(h: Any, own: Any) -> Any:
        h = h - h.mean(-1, keepdims=True)
        return h / jnp.sqrt(jnp.square(h).mean(-1, keepdims=True) + 1e-5) * own["scale"] + own["shift"]

    def apply(params: Any, x: Any) -> Any:
        h = x @ params["in"]
        for block in params["blocks"]:
            u = layer_norm(h, block)
            h = h + (jax.nn.silu(u @ block["gate"]) * (u @ block["up"])) @ block["down"]
        return layer_norm(h, params["last"]) @ params["last"]["out"] + params["last"]["bias"]

    return Network(init, apply, name="gated")


def boolean_targets() -> dict[str, np.ndarray]:
    """The 26 targets, as signs ``[128]``."""
    rng = np.random.default_rng(0)

    def parity(*bits: int) -> np.ndarray:
        return BITS[:, list(bits)].prod(axis=1)

    def conjunction(a: int, b: int) -> np.ndarray:
        return np.where((BITS[:, a] < 0) & (BITS[:, b] < 0), -1.0, 1.0)

    def majority(*bits: int) -> np.ndarray:
        return np.sign(BITS[:, list(bits)].sum(axis=1))

    stairs = parity(0) + 0.9 * parity(0, 1) + 0.8 * parity(0, 1, 2)
    found = {f"parity of {k}": parity(*range(k)) for k in range(1, 8)}
    found |= {f"majority of {k}": majority(*range(k)) for k in (3, 5, 7)}
    found |= {
        "staircase of 3": np.sign(stairs),
        "staircase of 4": np.sign(stairs + 0.7 * parity(0, 1, 2, 3)),
        "multiplexer": np.where(BITS[:, 0] > 0, BITS[:, 1], BITS[:, 2]),
        "multiplexer of parities": np.where(parity(0, 1) > 0, parity(2, 3), parity(4, 5, 6)),
        "conjunction and bit": conjunction(0, 1) * BITS[:, 2],
        "two conjunctions and bit": conjunction(0, 1) * conjunction(2, 3) * BITS[:, 4],
        "majority and bit": majority(0, 1, 2) * BITS[:, 4],
        "two majorities": majority(0, 1, 2) * majority(3, 4, 5),
    }
    found |= {f"threshold {i}": np.sign(BITS @ rng.normal(size=7)) for i in range(3)}
    found |= {f"random {i}": np.sign(rng.permutation(128) - 63.5) for i in range(3)}
    for k in (3, 4):
        table = np.sign(rng.permutation(2**k) - 2 ** (k - 1) + 0.5)
        found[f"junta of {k}"] = table[((BITS[:, :k] < 0) * 2 ** np.arange(k)).sum(axis=1)]
    return found


def main() -> None:
    """Train, predict, print and write."""
    record = Recording(records=STEPS + 1, checkpoints=1)
    network, targets, rows = gated_network(), boolean_targets(), []
    inputs, labels = BITS.astype(np.float32), np.array(list(targets.values()), np.float32)[:, :, None]
    print(f"{'explorer':16} {'start':>5} {'learned':>7} {'median':>7} {'deciles':>13} {'rank correlation':>17}")
    for name, explorer, seed in CASES:
        starts = draw_starts(network, 1, seed)
        goals = np.full(len(labels), GOAL)
        taken = []
        for label in labels:
            problem = Problem(network, "mse", inputs, label)
            run = explore(problem, explorer, [0], steps=STEPS, start=starts, record=record)
            taken.append(first_crossing(run.steps, run.curves["train_loss"][0], GOAL) or np.inf)
        points = broadcast_params(jax.tree.map(lambda leaf: leaf[0], starts), len(labels))
        found = simulate_targets(network, "mse", explorer, points, inputs, labels, goals)
        actual, predicted = np.array(taken), np.array([one.path_steps for one in found])
        learned = np.isfinite(actual)
        ratios = predicted[learned] / actual[learned]
        median, low, high = (float(np.quantile(ratios, q)) for q in (0.5, 0.1, 0.9))
        rank = float(spearmanr(predicted, actual).statistic)
        print(f"{name:16} {seed:5} {learned.sum():7} {median:7.3f} {low:6.2f} {high:6.2f} {rank:17.3f}", flush=True)
        each = dict(zip(targets, zip(actual.tolist(), predicted.tolist(), strict=True), strict=True))
        rows.append(
            {"explorer": name, "start": seed, "median": median, "deciles": [low, high], "rank": rank, "steps": each}
        )
    RESULT.write_text(json.dumps({"command": "python benchmarks/momentum.py", "rows": rows}, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
