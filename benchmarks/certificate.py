"""The straightness certificate against 100,000 random and adversarial paths, past its bound, and on real training.

A certified path along which the loss rises would disprove it. Adversarial paths start where the angle between the pull
of the loss and the direction to its minimiser is the worst of several draws, take a first step that just rises (or
just does not) on the side of the minimiser, and then go straight to it. Prints tables and writes
``benchmarks/results/certificate.json``.

    python benchmarks/certificate.py [--paths 100000]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from certificate_losses import CASES, Case
from command_line import command_line

from allroads.explorers.build import build_explorer
from allroads.explorers.explore import explore
from allroads.explorers.recording import Recording
from allroads.networks.build import build
from allroads.paths.angles import angles
from allroads.paths.certify import certify, turning_bound
from allroads.paths.stages import stages
from allroads.pfmap.problem import Problem
from allroads.targets.build import build_target

ROUNDING = 1e-12
"""A rise below this share of the loss is rounding."""


def worst_start(case: Case, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Of six starts that whose pull points farthest from the minimiser."""
    starts = [tuple(case.start(rng)) for _ in range(6)]
    pulls = np.array([-case.gradient(z, end).ravel() for z, end in starts])
    return starts[int(angles(pulls, np.array([(end - z).ravel() for z, end in starts])).argmax())]


def adversarial(case: Case, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A first step at a right angle to the pull, a little more or less, then straight on."""
    z, end = worst_start(case, rng)
    to_end, pull = (end - z).ravel(), -case.gradient(z, end).ravel()
    pull /= np.linalg.norm(pull)
    across = to_end - pull * (to_end @ pull)
    if np.linalg.norm(across) < 1e-9 * np.linalg.norm(to_end):  # the pull is straight: any side
        across = rng.normal(size=pull.shape)
        across -= pull * (across @ pull)
    across /= np.linalg.norm(across)
    tilt = rng.choice([1.0, 1.0, -1.0]) * 10 ** rng.uniform(-4, -0.5)
    step = (np.cos(tilt) * across - np.sin(tilt) * pull) * np.linalg.norm(to_end) * 10 ** rng.uniform(-4, -1)
    second = case.project(z + step.reshape(z.shape))
    ts = np.linspace(0, 1, rng.integers(2, 6))[:, None, None]
    rest = case.project(second + ts * (end - second))
    return np.concatenate([z[None], rest if case.reachable else rest[:-1]]), end


def wandering(case: Case, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The straight segment with noise on it, from little to much."""
    z, end = case.start(rng)
    ts = np.sort(np.concatenate([[0.0, 1.0], rng.random(rng.integers(1, 10))]))[:, None, None]
    noise = rng.normal(size=(len(ts), *z.shape)) * np.linalg.norm(end - z) * 10 ** rng.uniform(-4, -0.3)
    path = case.project(z + ts * (end - z) + ts * (1 - ts) * noise)
    return (path if case.reachable and rng.random() < 0.5 else path[:-1]), end


def largest_rise(case: Case, path: np.ndarray, end: np.ndarray) -> float:
    """Largest rise of the loss along the path, as a share of its largest value."""
    if case.between:
        shares = np.linspace(0, 1, 9)[:-1, None, None, None]
        path = np.concatenate(
            [np.moveaxis(path[:-1] + shares * np.diff(path, axis=0), 0, 1).reshape(-1, *end.shape), path[-1:]]
        )
    losses = case.loss(path, end)
    return float((losses - np.minimum.accumulate(losses)).max() / np.abs(losses).max())


def trial(case: Case, paths: int, rng: np.random.Generator) -> dict[str, Any]:
    """Counts of what is certified and what rises."""
    counts = {"certified": 0, "certified_and_rises": 0, "rises": 0}
    nearest = -np.inf
    kappas = []
    for n in range(paths):
        path, end = (wandering if n % 3 == 0 else adversarial)(case, rng)
        found = case.certify(path, end)
        rises = len(path) > 1 and largest_rise(case, path, end) > ROUNDING
        kappas.append(found.kappa)
        counts["certified"] += found.certified
        counts["rises"] += rises
        counts["certified_and_rises"] += rises and found.certified
        if rises:
            nearest = max(nearest, found.margin)
    return {
        "case": case.name,
        "chart": case.chart,
        "kappa_median": float(np.median(kappas)),
        "paths": paths,
        **{name: int(count) for name, count in counts.items()},
        "nearest_rise_degrees": float(np.degrees(nearest)),
    }


def planted(kappa: float, past: float) -> dict[str, Any]:
    """Two segments that turn by the bound and ``past`` more, at the worst place: the least rise is planted there."""
    curvatures = np.array([kappa, 1.0])
    pull = np.sqrt(curvatures) / np.linalg.norm(np.sqrt(curvatures))
    to_end = 1 / np.sqrt(curvatures)
    side = to_end - pull * (to_end @ pull)
    if np.linalg.norm(side) < 1e-9:  # κ = 1: any side
        side = np.array([-pull[1], pull[0]])
    side /= np.linalg.norm(side)
    along = to_end / np.linalg.norm(to_end)
    # The tangent lies ``bound + past`` from the direction to the minimiser, away from the pull.
    away = side - along * (side @ along)
    away /= np.linalg.norm(away)
    turn = float(turning_bound(kappa)) + past
    second = -to_end
    first = second - 1e-6 * (np.cos(turn) * along + np.sin(turn) * away)
    path = np.array([first, second, np.zeros(2)])[:, None, :]

    def per_example(outputs, labels):
        return 0.5 * (curvatures * (outputs - labels) ** 2).sum(-1)

    found = certify(path, np.zeros((1, 2)), per_example, kappa=kappa)
    losses = 0.5 * (curvatures * path[:, 0] ** 2).sum(-1)
    return {
        "kappa": kappa,
        "past_degrees": float(np.degrees(past)),
        "certified": found.certified,
        "rises": bool(losses[1] > losses[0]),
    }


PARITY = {"kind": "boolean", "bits": 7, "rule": "parity", "k": 3}
DIGITS = {"kind": "digits", "flatten": True, "train_size": 200}
MLP = {"kind": "mlp"}
GD = {"kind": "gd", "learning_rate": 0.1}
ADAM = {"kind": "adam", "learning_rate": 0.001}
RUNS = (
    # target, network, explorer, steps
    (
        {"kind": "linear_teacher", "widths": (8, 8, 4), "train_size": 64},
        {"kind": "deep_linear", "widths": (8,)},
        GD,
        2000,
    ),
    ({"kind": "boolean", "bits": 7, "rule": "majority"}, MLP, GD, 3000),
    (PARITY, MLP, GD, 3000),
    (PARITY, MLP, ADAM, 1000),
    (DIGITS, MLP, GD, 1000),
    (DIGITS, MLP, {"kind": "sgd", "learning_rate": 0.05, "batch_size": 20}, 1000),
    (DIGITS, MLP, ADAM, 300),
    (DIGITS | {"shuffle_labels": True}, MLP, ADAM, 600),
    ({"kind": "modular", "p": 13, "train_fraction": 0.8}, MLP, ADAM, 1000),
)


def training(target_options: dict, network_options: dict, explorer_options: dict, steps: int, members: int) -> dict:
    """Share of the stretches of real runs that is certified, beside the share on which the loss did fall."""
    target = build_target(**target_options)
    options = dict(network_options)
    network = build(options.pop("kind"), target.interface, **options)
    explorer = build_explorer(explorer_options["kind"], **{k: v for k, v in explorer_options.items() if k != "kind"})
    x, y = target.train.inputs, target.train.labels
    run = explore(Problem(network, target.loss, x, y), explorer, members, steps=steps, record=Recording(checkpoints=2))
    chart = "outputs" if target.loss == "mse" else "sphere"
    rows = []
    for member in range(members):
        values = np.asarray(run.values[member], np.float64)
        found = certify(values, y, target.loss, chart=chart)
        losses = exact_losses(values, y, target.loss)
        fell = np.diff(losses) < 0
        rows.append(
            {
                "certified": found.certified,
                "share": found.share,
                "records": found.falls.mean(),
                "fell": fell.mean(),
                "false": int((found.falls & ~fell).sum()),
                "kappa": found.kappa,
                "turning": found.turning,
                "stages": stages(values, chart=chart).count,
                "end": losses[-1],
            }
        )
    mean = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
    counts = {"certified": sum(row["certified"] for row in rows), "false": sum(row["false"] for row in rows)}
    return {
        "target": target.name,
        "network": network.name,
        "explorer": explorer.name,
        "chart": chart,
        "runs": members,
        **mean,
        **counts,
    }


def exact_losses(values: np.ndarray, labels: np.ndarray, loss: str) -> np.ndarray:
    """The training loss at each record in double precision."""
    if loss == "mse":
        return ((values - labels.reshape(values.shape[1:])) ** 2).mean((1, 2))
    if loss == "bce":
        return (np.logaddexp(0, values) - labels.reshape(values.shape[1:]) * values).mean((1, 2))
    top = values.max(-1, keepdims=True)
    logs = values - top - np.log(np.exp(values - top).sum(-1, keepdims=True))
    return -logs[:, np.arange(len(labels)), labels].mean(1)


def table(rows: list[dict[str, Any]]) -> None:
    """Print rows under their names."""
    cells = [[f"{v:.3g}" if isinstance(v, float) else str(v) for v in row.values()] for row in rows]
    widths = [max(map(len, column)) for column in zip(rows[0], *cells, strict=True)]
    for line in ([*rows[0]], *cells):
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    print()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--paths", type=int, default=100_000)
    parser.add_argument("--members", type=int, default=8)
    options = parser.parse_args()
    began = time.perf_counter()
    each = -(-options.paths // len(CASES))
    trials = [trial(case, each, np.random.default_rng(n)) for n, case in enumerate(CASES)]
    table(trials)
    plants = [planted(kappa, past) for kappa in (1.0, 1 / 4, 1 / 25, 1 / 400) for past in (-1e-3, 1e-3)]
    table(plants)
    runs = [training(*row, members=options.members) for row in RUNS]
    table(runs)
    reached = {
        "no certified path rises": sum(row["certified_and_rises"] for row in trials) == 0,
        "planted failures are found": all(
            row["certified"] != row["rises"] and row["rises"] == (row["past_degrees"] > 0) for row in plants
        ),
        "no certified stretch of a run rises": sum(row["false"] for row in runs) == 0,
    }
    seconds = time.perf_counter() - began
    print(
        f"{sum(row['paths'] for row in trials)} paths, {sum(row['certified'] for row in trials)} certified; "
        f"{seconds:.0f} s"
    )
    print("\n".join(f"{'yes' if held else 'NO '}  {claim}" for claim, held in reached.items()))
    body = {
        "command": command_line(),
        "trials": trials,
        "planted": plants,
        "training": runs,
        "reached": reached,
        "seconds": seconds,
    }
    path = Path(__file__).parent / "results" / "certificate.json"
    path.write_text(json.dumps(body, indent=1, ensure_ascii=False) + "\n")
    sys.exit(0 if all(reached.values()) else 1)


if __name__ == "__main__":
    main()
