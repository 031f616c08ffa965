"""What an atlas of half of the runs tells of the next program of the other half, in six worlds of trained networks.

    python benchmarks/atlas_forecast.py

The label of a record is the function that the network computes there, its outputs rounded; in the worlds of automata,
functions with more than three residuals are none/mixed; in modular addition the label is the set of key frequencies of
the embedding. Each world is forecast with a group per target, so the target is known, and once with all targets in one
group. In the control the stays of each run are in random order. Where labels are answers, the gain is also measured
over a baseline that knows in how many answers two labels differ: near functions are likelier next whatever they are.
"""

from __future__ import annotations

import argparse
import json
import time
from itertools import product
from pathlib import Path

import numpy as np

from allroads import GD, Adam, AdamW, Problem, Recording, explore, forecast_programs
from allroads.atlases.stays import merged, stays
from allroads.networks.embedding_sum import embedding_sum
from allroads.networks.mlp import mlp
from allroads.networks.recurrent import recurrent
from allroads.targets.rules import all_bits

RESULT = Path(__file__).parent / "results" / "atlas_forecast.json"


def truth_tables(bits: int) -> dict[str, np.ndarray]:
    """Ten functions of three or four bits: named ones, and random balanced ones."""
    x = all_bits(bits).astype(int)
    named = {
        "parity": x.sum(1) % 2, "majority": x.sum(1) > bits / 2, "and": x.all(1), "xor of two": x[:, 0] ^ x[:, 1],
        "multiplexer": np.where(x[:, 0], x[:, 1], x[:, 2]),
        "staircase": (x[:, 0] + x[:, 0] * x[:, 1] + x[:, :3].prod(1)) % 2,
    }  # fmt: skip
    rng = np.random.default_rng(bits)
    named |= {f"random {i}": rng.permutation(np.arange(2**bits) % 2) for i in range(4)}
    return {name: np.asarray(table).astype(int) for name, table in named.items()}


World = tuple[list[list], list[str], dict | None]
"""Labels of runs, the group of each, and the answers of each label."""


def boolean_world(bits: int, width: int, runs: int, steps: int) -> World:
    """Functions along gradient descent from random starts."""
    inputs = 2.0 * all_bits(bits) - 1
    network = mlp((bits,), 1, widths=(width,), activation="tanh")
    sequences, groups = [], []
    for place, (name, table) in enumerate(truth_tables(bits).items()):
        problem = Problem(network, "bce", inputs, table)
        record = Recording(records=256, checkpoints=2)
        found = explore(problem, GD(learning_rate=1.0), runs, steps=steps, seed=place, record=record, probes=inputs)
        codes = (found.values[..., 0] > 0) @ (1 << np.arange(2**bits))
        sequences += codes.tolist()
        groups += [name] * runs
    met = {code for run in sequences for code in run}
    return sequences, groups, {code: [code >> row & 1 for row in range(2**bits)] for code in met}


def automata_world(runs: int, steps: int) -> World:
    """Functions of bit strings along the training of Elman networks of eight units."""
    length, looked = 6, 5
    strings = np.array(list(product((0, 1), repeat=length)))
    shorter = strings[:: 2 ** (length - looked), :looked]
    machines = {
        "parity": lambda x: x.cumsum(1) % 2,
        "ones so far, at least two": lambda x: x.cumsum(1) >= 2,
        "last two equal": lambda x: np.concatenate([x[:, :1] * 0, x[:, 1:] == x[:, :-1]], axis=1),
        "a one so far": lambda x: np.maximum.accumulate(x, axis=1),
        "every second one": lambda x: (x.cumsum(1) % 2) & x,
        "count mod 3 is 0": lambda x: x.cumsum(1) % 3 == 0,
    }
    network = recurrent((length,), 1, vocabulary=2, per_position=True, cell="elman", width=8)
    sequences, groups = [], []
    for place, (name, answer) in enumerate(machines.items()):
        labels = np.asarray(answer(strings)).astype(float)[..., None]
        problem = Problem(network, "bce", strings, labels)
        record = Recording(records=160, checkpoints=2)
        found = explore(problem, Adam(learning_rate=0.01), runs, steps=steps, seed=place, record=record, probes=strings)
        said = (found.values[:, :, :: 2 ** (length - looked), :looked, 0] > 0).astype(int)
        for run in said:
            sequences.append([machine_label(record, shorter) for record in run])
        groups += [name] * runs
    met = {label for run in sequences for label in run if label is not None}
    return sequences, groups, {label: np.unpackbits(np.frombuffer(bytes.fromhex(label), np.uint8)) for label in met}


def machine_label(said: np.ndarray, strings: np.ndarray) -> str | None:
    """What a network answers on all strings of five bits; ``None`` with more than three residuals after two bits."""
    residuals = set()
    for before in range(3):
        for prefix in product((0, 1), repeat=before):
            rows = (strings[:, :before] == prefix).all(axis=1)
            tails = said[rows][:, before : before + 3]
            first = np.unique(strings[rows][:, before : before + 3], axis=0, return_index=True)[1]
            residuals.add(tails[first].tobytes())
    return None if len(residuals) > 3 else np.packbits(said).tobytes().hex()


def modular_world(p: int, runs: int, steps: int) -> World:
    """Sets of key frequencies of the embedding: those with more than the mean share of its power."""
    pairs = np.array(list(product(range(p), repeat=2)))
    network = embedding_sum((2,), p, vocabulary=p, width=32, activation="square", tied=True)
    sequences, groups = [], []
    for place, share in enumerate((0.8, 1.0)):
        rng = np.random.default_rng(place)
        rows = rng.permutation(len(pairs))[: int(share * len(pairs))]
        problem = Problem(network, "cross_entropy", pairs[rows], pairs[rows].sum(1) % p)
        record = Recording(records=64, checkpoints=64)
        found = explore(
            problem, AdamW(learning_rate=0.01, weight_decay=1.0), runs, steps=steps, seed=place, record=record
        )
        sequences += frequencies(found.params, p)
        groups += [f"{share:.0%} of the sums"] * runs
    return sequences, groups, None


def frequencies(params, p: int) -> list[list[str]]:
    power = (np.abs(np.fft.fft(params["embed"][:, :, 0], axis=2)) ** 2).sum(axis=3)[:, :, 1 : (p + 1) // 2]
    keys = power / power.sum(axis=2, keepdims=True) > 1.5 / power.shape[2]
    return [[",".join(map(str, np.flatnonzero(record) + 1)) or None for record in run] for run in keys]


WORLDS = {
    "three bits, width 3": lambda: boolean_world(3, 3, 400, 4000),
    "three bits, width 16": lambda: boolean_world(3, 16, 400, 2000),
    "four bits, width 8": lambda: boolean_world(4, 8, 400, 4000),
    "automata of two and three states": lambda: automata_world(150, 400),
    "modular addition, p = 11": lambda: modular_world(11, 128, 1500),
}


def forecast(sequences: list[list], groups: list[str] | None, answers: dict | None = None) -> dict:
    found = forecast_programs(sequences, groups=groups, answers=answers)
    return found.to_dict()


def planted(seeds: int) -> dict:
    """How often intervals hold the gain of a planted chain, and lie above 0 where labels are independent."""
    cycle = np.array([[0, 0.8, 0.1, 0.1], [0.1, 0, 0.8, 0.1], [0.1, 0.1, 0, 0.8], [0.8, 0.1, 0.1, 0]])
    truth = float(np.log2(3) + 0.8 * np.log2(0.8) + 0.2 * np.log2(0.1))
    rows = {"gain of the chain": truth, "seeds": seeds}
    for runs in (25, 100):
        held, above, gains = 0, 0, []
        for seed in range(seeds):
            rng = np.random.default_rng(seed)
            places = [rng.integers(4, size=runs)]
            while len(places) < 20:
                places.append((rng.random(runs)[:, None] > cycle[places[-1]].cumsum(axis=1)).sum(axis=1).clip(0, 3))
            found = forecast_programs(np.stack(places, axis=1).tolist(), seed=seed, resamples=1000)
            held += found.stats["low"] <= truth <= found.stats["high"]
            gains.append(found.value)
            labels = rng.choice(4, p=[0.4, 0.3, 0.2, 0.1], size=(runs, 20)).tolist()
            above += forecast_programs(labels, seed=seed, resamples=1000).stats["low"] > 0
        rows[f"{runs} runs"] = {
            "held": held,
            "mean gain": float(np.mean(gains)),
            "above 0 of independent labels": above,
        }
        print(runs, rows[f"{runs} runs"], flush=True)
    return rows


def shuffled(sequences: list[list]) -> list[list]:
    rng = np.random.default_rng(0)
    return [
        list(rng.permutation(np.array([stay.label for stay in stays(list(map(str, run)))], object)))
        for run in sequences
    ]


def without_flicker(sequences: list[list]) -> list[list]:
    return [[stay.label for stay in merged(stays(list(map(str, run))), 2)] for run in sequences]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", default=["planted", *WORLDS])
    parser.add_argument("--json", type=Path, default=RESULT)
    chosen = parser.parse_args()
    rows = json.loads(chosen.json.read_text()) if chosen.json.is_file() else {}
    if "planted" in chosen.only:
        rows["planted"] = planted(200)
        chosen.json.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", "utf-8")
    for name in (name for name in chosen.only if name in WORLDS):
        began = time.perf_counter()
        sequences, groups, answers = WORLDS[name]()
        trained = time.perf_counter() - began
        row = {
            "target known": forecast(sequences, groups),
            **({"target and distance known": forecast(sequences, groups, answers)} if answers else {}),
            "target unknown": forecast(sequences, None),
            "target known, flickers merged": forecast(without_flicker(sequences), groups),
            "control": forecast(shuffled(sequences), groups),
            **({"control, distance known": forecast(shuffled(sequences), groups, answers)} if answers else {}),
            "runs": len(sequences), "seconds": [round(trained, 1), round(time.perf_counter() - began - trained, 1)],
        }  # fmt: skip
        rows[name] = row
        chosen.json.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", "utf-8")
        print(f"\n{name}: {len(sequences)} runs, {row['seconds']} s")
        for kind, of in row.items():
            if not isinstance(of, dict):
                continue
            if of["value"] is None:
                print(f"  {kind}: {of['status']}, {of['stats']['changes']} changes")
                continue
            stats = of["stats"]
            print(
                f"  {kind}: {of['value']:+.3f} bits per change [{stats['low']:+.3f}, {stats['high']:+.3f}], "
                f"{stats['changes']} changes, {stats['nodes']} nodes, marginal {stats['marginal']:.2f} bits, hits "
                f"{stats['hits']:.2f} against {stats['marginal_hits']:.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
