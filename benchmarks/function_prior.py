"""The prior over functions of three maps on seven bits, beside published tables; its speed; its robustness.

Prints and writes four tables. Map: (7,40,40,1) ReLU networks, two rules of the bias, functions counted. Deep: networks
of ten tanh layers of width 64 with the biases of the published tables. Speed: networks per second and thread, functions
identified and counted, beside the peak of a matrix product in the same minute. Robustness: small moves of a map on
three bits. ``--only`` puts new tables beside those that stand in the file.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import statistics
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from allroads import Network, function_prior, function_robustness, simplicity_bias
from allroads.networks.mlp import mlp
from allroads.points.complexity.lz76 import words
from allroads.points.prior.draws import CHUNK

BITS, WIDTHS = 7, (40, 40)
INPUTS = (np.arange(1 << BITS)[:, None] >> np.arange(BITS) & 1).astype(np.float32)
DEEP, WIDE = 10, 64
PUBLISHED = {  # of 10⁸ samples [mingard2025]: σ_w, σ_b, P(constant), mean K
    "tanh σ_w=1 σ_b=1": (1.0, 1.0, 0.7424, 27.67),
    "tanh σ_w=1 σ_b=0.2": (1.0, 0.2, 0.1864, 60.41),
    "tanh σ_w=1.5 σ_b=0.1": (1.5, 0.1, 1.08e-3, 107.78),
}
BIASES = {  # P(0) and P(1) of 10⁵ samples
    "normal": (dict(bias="normal"), (0.368, 0.362)),
    "normal / √fan_in": (None, (0.137, 0.134)),
}


def relu_map(rule: str) -> Network:
    options, _ = BIASES[rule]
    if options is not None:
        return mlp((BITS,), 1, widths=WIDTHS, init="lecun", **options)
    plain = mlp((BITS,), 1, widths=WIDTHS, init="lecun", bias="normal")

    def init(key):
        layers = plain.init(key)["layers"]
        return {"layers": [layer | {"bias": layer["bias"] / math.sqrt(len(layer["weight"]))} for layer in layers]}

    return Network(init, plain.apply, name="mlp 40-40-1 relu, bias / √fan_in")


def deep_map(sigma_w: float, sigma_b: float) -> Network:
    """Weights N(0, σ_w²/fan_in); hidden biases of deviation σ_b σ_w / width, the output's of σ_b σ_w."""
    plain = mlp((BITS,), 1, widths=(WIDE,) * DEEP, activation="tanh", init="lecun", scale=sigma_w, bias="normal")

    def init(key):
        layers = plain.init(key)["layers"]
        scaled = [layer | {"bias": layer["bias"] * sigma_b * sigma_w / layer["bias"].shape[-1]} for layer in layers]
        return {"layers": scaled}

    return Network(init, plain.apply, name=f"tanh x {DEEP}")


def lz76_c(table: np.ndarray) -> float:
    """The variant of the published tables: the parsing stops two symbols before the end."""
    text = np.asarray(table, np.uint8).tobytes()
    if len(set(text)) == 1:
        return math.log2(len(text))
    return math.log2(len(text)) * (words(text[:-2]) + words(text[:1:-1])) / 2


def of_map(samples: int) -> list[dict]:
    rows = []
    for rule, (_, published) in BIASES.items():
        start, wall = time.process_time(), time.monotonic()
        prior = function_prior(relu_map(rule), INPUTS, samples)
        seconds, wall = time.process_time() - start, time.monotonic() - wall
        ends = [prior.probability(np.full(1 << BITS, bit)) for bit in (0, 1)]
        bias = simplicity_bias(prior, functions=4096, first_bit="most")
        rows.append({
            "bias": rule, "samples": samples, "cpu_seconds": round(seconds, 1), "wall_seconds": round(wall, 1),
            "p_zero": _interval(ends[0]), "p_one": _interval(ends[1]), "published_p_zero_p_one": published,
            "distinct": prior.distinct, "entropy_bits": [prior.entropy.value, prior.entropy.error],
            "effective": _interval(prior.effective), "missing": [prior.missing.value, prior.missing.error],
            "status": prior.status.value, "covered_by_4096": bias.covered,
            "bounds": {name: vars(bound) for name, bound in bias.bounds.items()},
        })  # fmt: skip
        print(rows[-1])
    return rows


def deep(samples: int) -> list[dict]:
    rows = []
    for name, (sigma_w, sigma_b, constant, mean) in PUBLISHED.items():
        start = time.process_time()
        prior = function_prior(deep_map(sigma_w, sigma_b), INPUTS, samples)
        seconds = time.process_time() - start
        ends = [prior.probability(np.full(1 << BITS, bit)) for bit in (0, 1)]
        both = sum(end.stats["count"] for end in ends) / samples
        every = simplicity_bias(prior, measures={"lz76_c": lz76_c}, functions=samples, first_bit="most")
        bias = every.bounds["lz76_c"]
        rows.append({
            "map": name, "samples": samples, "cpu_seconds": round(seconds, 1), "p_constant": both,
            "p_constant_error": 1.96 * math.sqrt(both * (1 - both) / samples), "published_p_constant": constant,
            "mean_k": bias.mean, "mean_k_error": bias.mean_error, "published_mean_k": mean,
            "mean_k_with_constants_at_14": bias.mean + BITS * both,
        })  # fmt: skip
        print(rows[-1])
    return rows


def speed(chunks: int) -> dict:
    network = relu_map("normal")
    function_prior(network, INPUTS, CHUNK, progress=False)
    square = jnp.ones((512, 512), jnp.float32)
    product = jax.jit(lambda a: a @ a)
    flops = 2 * len(INPUTS) * sum(a * b for a, b in itertools.pairwise((BITS, *WIDTHS, 1)))
    seconds, peaks = [], []
    for seed in range(chunks):
        start = time.process_time()
        function_prior(network, INPUTS, 4 * CHUNK, seed=seed, progress=False)
        seconds.append((time.process_time() - start) / (4 * CHUNK))
        for _ in range(5):
            start = time.process_time()
            jax.block_until_ready(product(square))
            peaks.append(2 * 512**3 / (time.process_time() - start))
    peak = statistics.median(peaks)
    row = {"networks": 4 * CHUNK * chunks, "flops_per_network": flops, "peak_gflops": peak / 1e9}
    for name, second in (("median", statistics.median(seconds)), ("best", min(seconds))):
        row[name] = {"networks_per_cpu_second": 1 / second, "share_of_peak": flops / second / peak}
    print(row)
    return row


def robustness(samples: int) -> list[dict]:
    """A map whose functions come often enough: robustness beside probability and every measure of complexity."""
    rows = []
    bits = 3
    inputs = (np.arange(1 << bits)[:, None] >> np.arange(bits) & 1).astype(np.float32)
    network = mlp((bits,), 1, widths=WIDTHS, init="lecun", bias="normal")
    for move in (0.1, 0.3):
        start = time.process_time()
        found = function_robustness(network, inputs, samples, move=move, moves=4)
        often = int((found.prior.counts >= 100).sum())
        table = simplicity_bias(found.prior, functions=often, first_bit="most").table
        rho, log_p = found.robustness[:often], np.log(table["probability"])
        measures = {}
        for name in table.keys() - {"count", "probability", "low", "high"}:
            k = table[name]
            measures[name] = {
                "rho_k": float(np.corrcoef(rho, k)[0, 1]),
                "rho_k_given_log_p": partial(rho, k, log_p),
                "rho_log_p_given_k": partial(rho, log_p, k),
                "log_p_k": float(np.corrcoef(log_p, k)[0, 1]),
            }
        rows.append({
            "bits": bits, "move": move, "samples": samples, "moves": 4, "functions": often,
            "cpu_seconds": round(time.process_time() - start, 1), "mean": [found.mean.value, found.mean.error],
            "null": _interval(found.null), "rho_log_p": _interval(found.correlation), "measures": measures,
        })  # fmt: skip
        print(rows[-1])
    return rows


def partial(a: np.ndarray, b: np.ndarray, given: np.ndarray) -> float:
    """Correlation of what a line of the third leaves of the first two."""
    if len(a) < 5:
        return math.nan
    line = np.stack([given, np.ones(len(given))], axis=1)
    left = [x - line @ np.linalg.lstsq(line, x, rcond=None)[0] for x in (a, b)]
    return float(np.corrcoef(*left)[0, 1])


def _interval(found) -> list[float]:
    return [found.value, found.stats.get("low"), found.stats.get("high")]


TABLES = {
    "map": lambda given: of_map(given.samples),
    "deep": lambda given: deep(given.deep_samples),
    "speed": lambda given: speed(given.chunks),
    "robustness": lambda given: robustness(given.robust_samples),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=10_000_000)
    parser.add_argument("--deep-samples", type=int, default=40_000)
    parser.add_argument("--robust-samples", type=int, default=60_000)
    parser.add_argument("--chunks", type=int, default=20)
    parser.add_argument("--only", nargs="*", choices=TABLES, default=list(TABLES))
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/function_prior.json"))
    given = parser.parse_args()
    found = json.loads(given.json.read_text()) if given.json.exists() else {}
    for name in given.only:
        found[name] = TABLES[name](given)
        given.json.write_text(json.dumps(found, indent=1, ensure_ascii=False, default=float) + "\n")


if __name__ == "__main__":
    main()
