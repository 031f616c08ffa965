"""Gradients a second of Langevin chains beside devinterp 1.3.2, at equal chains, steps, batch, step size and model.

    python -m pip install --constraint constraints.txt devinterp==1.3.2
    python benchmarks/llc_speed.py    # 25 minutes; writes benchmarks/results/llc_speed.json

Both sample a deep linear network at a known minimum with SGLD in 4 chains, in turn on one thread: batches of 32 and of
500 from 10,000 examples at 10⁴ parameters; of 8, 32 and 500 from 2,000 at 10⁶. Each run is made at two lengths. What
the longer takes more is what its further steps cost: the rate *once begun*. Beside it is the rate of the whole call, in
which ours looks at the curvature of the point first and devinterp does not. Compiling is in neither. Both in single
precision; our own double precision, the default, beside it at 10⁴. The λ̂ that each gives and the effective samples of
its chains a gradient are printed too: speed at a wrong answer is none.
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
os.environ["OMP_NUM_THREADS"] = os.environ["NPROC"] = "1"

import numpy as np
import torch
from devinterp.optim.sgld import SGLD
from devinterp.slt.sampler import estimate_learning_coeff_with_summary

from allroads.explorers.samplers import SGLD as OUR_SGLD
from allroads.pfmap.problem import Problem
from allroads.points.llc import llc
from allroads.points.sampling import Chains, diagnose
from allroads.points.zoo import GroundTruth, deep_linear

torch.set_num_threads(1)
RESULT = Path(__file__).parent / "results" / "llc_speed.json"
NBETA, EPSILON, GAMMA, CHAINS = 1e7, 2e-8, 1.0, 4


def theirs(truth: GroundTruth, draws: int, burn_in: int, batch: int) -> dict[str, Any]:
    layers = [np.asarray(layer["weight"]) for layer in truth.params["layers"]]
    model = torch.nn.Sequential(*(torch.nn.Linear(*weight.shape, bias=False) for weight in layers))
    with torch.no_grad():
        for module, weight in zip(model, layers, strict=True):
            module.weight.copy_(torch.tensor(weight.T))
    inputs, labels = (torch.tensor(a, dtype=torch.float32) for a in (truth.inputs, truth.labels))
    data = torch.utils.data.TensorDataset(inputs, labels)
    loader = torch.utils.data.DataLoader(data, batch_size=batch, shuffle=True)

    def evaluate(model: torch.nn.Module, batch: Any) -> Any:
        return torch.nn.functional.mse_loss(model(batch[0]), batch[1]), {}

    began = time.perf_counter()
    found = estimate_learning_coeff_with_summary(
        model, loader, evaluate=evaluate, sampling_method=SGLD, num_draws=draws, num_chains=CHAINS,
        num_burnin_steps=burn_in, optimizer_kwargs={"lr": EPSILON, "nbeta": NBETA, "localization": GAMMA},
        init_loss=1e-30, verbose=False, seed=0,
    )  # fmt: skip
    seconds = time.perf_counter() - began
    energy = NBETA * np.asarray(found["loss/trace"], float)
    return {
        "seconds": seconds,
        "steps": CHAINS * (draws + burn_in),
        "value": float(energy.mean()),
        "ess": diagnose(energy).ess,
    }


def ours(truth: GroundTruth, draws: int, burn_in: int, batch: int, dtype: str, curvature: float) -> dict[str, Any]:
    began = time.perf_counter()
    chains = Chains(
        count=CHAINS, draws=draws // A_DRAW, burn_in=burn_in // A_DRAW, metric="none", ladder=False, dtype=dtype
    )
    sampler = OUR_SGLD(step_size=EPSILON * (NBETA * curvature + GAMMA), batch_size=batch)
    found = llc(truth.problem, truth.params, sampler=sampler, nbeta=NBETA, localisation=GAMMA, chains=chains)
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "steps": found.stats["gradients"], "value": found.value, "ess": found.stats["ess"]}


SETTINGS = (
    ((50,) * 5, 10_000, 32, (400, 4000), ("float32", "float64")),
    ((50,) * 5, 10_000, 500, (400, 2000), ("float32", "float64")),
    ((578,) * 4, 2_000, 8, (100, 900), ("float32",)),
    ((578,) * 4, 2_000, 32, (100, 900), ("float32",)),
    ((578,) * 4, 2_000, 500, (100, 300), ("float32",)),
)
"""Widths, examples, batch, the two numbers of steps that are measured, our precisions; a fifth as many are burnt in."""
A_DRAW = 20
"""Our steps a draw."""


def compared(
    widths: tuple[int, ...], examples: int, batch: int, lengths: tuple[int, int], dtypes: tuple[str, ...], rounds: int
) -> list[dict[str, Any]]:
    truth = deep_linear(widths, examples=examples)
    few = Problem(truth.network, truth.loss, truth.inputs[:1000], truth.labels[:1000])
    short = Chains(count=2, draws=4, burn_in=0, ladder=False, metric="none")
    probe = llc(few, truth.params, sampler=OUR_SGLD(step_size=1e-3), nbeta=1.0, localisation=1.0, chains=short)
    curvature = probe.stats["curvature"]
    ways: dict[str, Callable[[int], dict[str, Any]]] = {
        dtype: lambda draws, dtype=dtype: ours(truth, draws, draws // 5, batch, dtype, curvature) for dtype in dtypes
    }
    for way in ways.values():
        way(lengths[0])  # compiles
    ways = {"devinterp 1.3.2": lambda draws: theirs(truth, draws, draws // 5, batch)} | ways
    runs: dict[str, list[tuple]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            runs[name].append((way(lengths[0]), way(lengths[1])))
    rows = []
    for name, found in runs.items():
        once_begun = median((b["steps"] - a["steps"]) / (b["seconds"] - a["seconds"]) for a, b in found)
        last = found[-1][1]
        rows.append(
            {
                "parameters": truth.dimension,
                "batch": batch,
                "exact": truth.learning_coefficient,
                "sampler": name,
                "gradients_per_second": once_begun,
                "whole_call": median(b["steps"] / b["seconds"] for _, b in found),
                "value": last["value"],
                "ess_per_gradient": last["ess"] / last["steps"],
            }
        )
    for row in rows:
        for key in ("gradients_per_second", "whole_call"):
            row[f"times_devinterp_{key}"] = row[key] / rows[0][key]
        print(
            f"{row['parameters']:9,}{row['batch']:5}  {row['sampler']:16}{row['gradients_per_second']:9.0f} /s"
            f"{row['times_devinterp_gradients_per_second']:6.1f} ×   whole{row['whole_call']:8.0f} /s"
            f"{row['times_devinterp_whole_call']:6.1f} ×   λ̂ {row['value']:9.1f} of {row['exact']:.1f}"
            f"   {row['ess_per_gradient']:.4f} effective a gradient",
            flush=True,
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", type=int, nargs="+", help="these settings, by number; other rows stay as they are")
    arguments = parser.parse_args()
    asked = arguments.only or range(len(SETTINGS))
    fresh = [row for index in asked for row in compared(*SETTINGS[index], arguments.rounds)]
    command = f"python benchmarks/llc_speed.py --rounds {arguments.rounds}"
    kept = []
    if arguments.only:
        before = json.loads(RESULT.read_text())
        sizes = {(row["parameters"], row["batch"]) for row in fresh}
        kept = [row for row in before["rows"] if (row["parameters"], row["batch"]) not in sizes]
        command = f"{before['command']}; {command} --only {' '.join(map(str, arguments.only))}"
    rows = sorted(kept + fresh, key=lambda row: (row["parameters"], row["batch"]))  # keeps the order of samplers
    RESULT.write_text(json.dumps({"command": command, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
