"""How long the main questions take on three ordinary PyTorch networks, each asked in a process of its own.

A convolutional network on digits, a transformer of one layer on sums modulo 11 and an LSTM on running parity are
trained in plain PyTorch, from two seeds, with twelve checkpoints each. Every measure then starts from the files: its
time counts imports, reading the module and compilation. Measures that can go on for long have a budget. Compiled
programs are kept in a folder of this run: the column `again` is a second process, which finds them.

    python benchmarks/yardstick.py --json benchmarks/results/yardstick.json

One thread is used throughout. `--only cnn/spectrum` takes one measure, `--limit` ends each after so many seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

MODULUS = 11
LOSSES = {"cnn": "cross_entropy", "transformer": "cross_entropy", "lstm": "bce"}
STEPS = {"cnn": 600, "transformer": 800, "lstm": 1200}
RATES = {"cnn": 3e-3, "transformer": 3e-3, "lstm": 1e-2}
GOALS = {"llc": 20, "llc_curve": 60, "spectrum": 15, "inspect": 45, "road": 10, "connect": 10, "learnability": None}
"""Seconds on two cores; ``None`` stands for the time that training the targets takes."""
BUDGETS = {"llc": 15, "llc_curve": 54, "inspect": 40, "road": 5}
"""What the call is given of these, in seconds; the rest is for imports and reading the module."""

SINGLE = {"XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false", "NPROC": "1", "OMP_NUM_THREADS": "1"}


def modules():
    """The three networks as PyTorch users write them."""
    import torch
    from torch import nn

    class Addition(nn.Module):
        def __init__(self, width=32):
            super().__init__()
            self.tokens = nn.Embedding(MODULUS + 1, width)
            self.places = nn.Parameter(0.1 * torch.randn(3, width))
            self.attend = nn.MultiheadAttention(width, 4, batch_first=True)
            self.think = nn.Sequential(nn.Linear(width, 64), nn.GELU(), nn.Linear(64, width))
            self.answer = nn.Linear(width, MODULUS)

        def forward(self, tokens):
            x = self.tokens(tokens) + self.places
            x = x + self.attend(x, x, x, need_weights=False)[0]
            return self.answer((x + self.think(x))[:, -1])

    class Parity(nn.Module):
        def __init__(self, width=12):
            super().__init__()
            self.remember = nn.LSTM(1, width, batch_first=True)
            self.read = nn.Linear(width, 1)

        def forward(self, bits):
            states, _ = self.remember(bits)
            return self.read(states)

    def digits():
        return nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(64, 10),
        )  # fmt: skip

    return {"cnn": digits, "transformer": Addition, "lstm": Parity}


def data(name: str) -> tuple[np.ndarray, list[np.ndarray]]:
    """Training inputs, and labels of four targets: the one that is learned, two like it, and shuffled labels."""
    rng = np.random.default_rng(7)
    if name == "cnn":
        from sklearn.datasets import load_digits

        found = load_digits()
        rows = rng.permutation(len(found.target))[:256]
        inputs, digit = (found.images[rows, None] / 16).astype("float32"), found.target[rows]
        targets = [digit, (3 * digit) % 10, digit // 2]
    elif name == "transformer":
        a, b = np.divmod(rng.permutation(MODULUS**2)[:90], MODULUS)
        inputs = np.stack([a, b, np.full(90, MODULUS)], axis=1)
        targets = [(a + b) % MODULUS, (a - b) % MODULUS, np.maximum(a, b)]
    else:
        bits = (rng.permutation(64)[:48, None] >> np.arange(6)) & 1
        inputs = bits[..., None].astype("float32")
        ones = np.cumsum(inputs, axis=1)
        targets = [ones % 2, (ones >= 2).astype("float32"), np.roll(inputs, 1, axis=1) * (np.arange(6) > 0)[:, None]]
    targets.append(rng.permutation(targets[0]))
    return inputs, [target.astype("float32") if name == "lstm" else target for target in targets]


def checkpoints(steps: int) -> list[int]:
    """Twelve steps from 0 to the last, dense at the start."""
    return (np.geomspace(1, steps + 1, 12).round().astype(int) - 1).tolist()


def train(name: str, seed: int, labels: np.ndarray, folder: Path | None) -> float:
    """Train one network in plain PyTorch and write its checkpoints; the seconds that the steps took."""
    import torch
    from safetensors.torch import save_file

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    module = modules()[name]()
    loss = getattr(torch.nn.functional, {"bce": "binary_cross_entropy_with_logits"}.get(LOSSES[name], LOSSES[name]))
    x, y = torch.tensor(data(name)[0]), torch.tensor(labels)
    optimiser = torch.optim.Adam(module.parameters(), lr=RATES[name])
    kept, spent = set(checkpoints(STEPS[name])), 0.0
    for step in range(STEPS[name] + 1):
        if folder is not None and step in kept:
            save_file(module.state_dict(), folder / f"seed{seed}-step{step}.safetensors")
        began = time.perf_counter()
        optimiser.zero_grad()
        loss(module(x), y).backward()
        optimiser.step()
        spent += time.perf_counter() - began
    return spent


def ask(name: str, measure: str, folder: Path) -> object:
    """Answer one question about a trained network; what a reader of the table wants to see of the answer."""
    import torch
    from safetensors.torch import load_file

    import allroads
    from allroads.pfmap.arrays import as_population

    torch.set_num_threads(1)
    inputs, targets = data(name)
    network, _ = allroads.from_torch(modules()[name]().eval(), torch.tensor(inputs[:2]), init="match_moments")
    problem = allroads.Problem(network, LOSSES[name], inputs, targets[0])
    steps = sorted(set(checkpoints(STEPS[name])))

    def point(seed: int, step: int) -> dict[str, object]:
        return load_file(folder / f"seed{seed}-step{step}.safetensors")

    end, other, budget = point(0, steps[-1]), point(1, steps[-1]), BUDGETS.get(measure)
    if measure == "llc":
        found = allroads.llc(problem, end, budget=budget)
        return [found.value, found.error, found.status.value]
    if measure == "llc_curve":
        run = as_population([point(0, step) for step in steps], network)
        curve = allroads.llc_curve(problem, run, steps=steps, budget=budget)
        return [curve.value.tolist(), curve.error.tolist(), [str(status) for status in curve.statuses]]
    if measure == "spectrum":
        with allroads.float64():
            bends = allroads.spectrum(problem, end)
        return [float(bends.eigenvalues[0]), bends.trace.value, bends.trace.error, bends.status.value]
    if measure == "inspect":
        seen = allroads.inspect_point(problem, end, budget=budget)
        return [seen.llc.value, seen.spectrum.trace.value, sorted(seen.description), seen.left_out]
    if measure == "road":
        way = allroads.road(problem, point(0, 0), target_params=end, budget=budget)
        return [way.reached, way.cost, way.error, way.stats["examples"], way.status.value]
    if measure == "connect":
        joined = allroads.connect(problem, end, other)
        return [float(joined.barrier), joined.status.value]
    ranked = allroads.learnability(network, inputs, targets, LOSSES[name], allroads.Adam(learning_rate=RATES[name]))
    return [[row.order, row.status.value] for row in ranked]


def timed(name: str, measure: str, folder: Path, limit: float) -> dict[str, object]:
    """Ask in a process of its own: wall and processor seconds, and the answer or how it ended."""
    command = [sys.executable, __file__, "--ask", name, measure, "--work", str(folder)]
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    environment = {**os.environ, **SINGLE, "ALLROADS_CACHE": str(folder / "compiled")}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=limit)
        lines = done.stdout.splitlines() if done.returncode == 0 else []
        answer = json.loads(lines[-1]) if lines else (done.stderr.strip().splitlines() or ["failed"])[-1]
    except subprocess.TimeoutExpired:
        answer = f"no answer in {limit:g} s"
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "seconds": time.perf_counter() - began,
        "processor_seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "answer": answer,
    }


def main() -> None:
    """Train, ask and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="where the numbers are written")
    parser.add_argument("--only", help="NETWORK/MEASURE, NETWORK or /MEASURE")
    parser.add_argument("--limit", type=float, default=600.0, help="seconds for one measure")
    parser.add_argument("--work", type=Path, help="a folder for checkpoints and compiled programs")
    parser.add_argument("--ask", nargs=2, metavar=("NETWORK", "MEASURE"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.ask:
        print(json.dumps(ask(*given.ask, given.work), default=str))
        return
    network, _, measure = (given.only or "").partition("/")
    with tempfile.TemporaryDirectory() as temporary:
        work = given.work or Path(temporary)
        rows = []
        for name in [n for n in LOSSES if network in ("", n)]:
            folder = work / name
            folder.mkdir(parents=True, exist_ok=True)
            labels = data(name)[1]
            spent = [train(name, seed, labels[0], folder) for seed in range(2)]
            every = spent[0] + sum(train(name, 0, target, None) for target in labels[1:])
            print(f"\n{name}: one training {spent[0]:.1f} s, one per target {every:.1f} s")
            print(f"{'':14s}{'seconds':>9s}{'processor':>11s}{'goal':>7s}{'again':>9s}{'processor':>11s}  answer")
            for asked, goal in GOALS.items():
                if measure not in ("", asked):
                    continue
                first, second = (timed(name, asked, folder, given.limit) for _ in range(2))
                rows.append(
                    {"network": name, "measure": asked, "goal": goal or every, "training": spent[0], "first": first,
                     "again": second}
                )  # fmt: skip
                print(
                    f"  {asked:12s}{first['seconds']:9.1f}{first['processor_seconds']:11.1f}{goal or every:7.0f}"
                    f"{second['seconds']:9.1f}{second['processor_seconds']:11.1f}  {str(first['answer'])[:90]}",
                    flush=True,
                )
    if given.json:
        given.json.write_text(json.dumps({"command": " ".join(sys.argv), "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
