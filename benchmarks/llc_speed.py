"""Gradients a second of Langevin chains beside devinterp 1.3.2, at equal chains, steps, batch, step size and model.

    python -m pip install --constraint constraints.txt devinterp==1.3.2
    python benchmarks/llc_speed.py    # some ten minutes; writes benchmarks/results/llc_speed.json

Both sample a deep linear network at a known minimum with SGLD: 4 chains of 600 steps on batches of 500 from 10,000
examples at 10⁴ parameters, shorter at 10⁶, in turn on one thread, three times; medians are compared. Both in single
precision; our own double precision, the default, beside it. The λ̂ that each gives and the effective samples of its
chains a gradient are printed too: speed at a wrong answer is none.
"""

import argparse
import json
import os
import time
from pathlib import Path
from statistics import median
from typing import Any

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
os.environ["OMP_NUM_THREADS"] = os.environ["NPROC"] = "1"

import numpy as np
import torch
from devinterp.optim.sgld import SGLD
from devinterp.slt.sampler import estimate_learning_coeff_with_summary

from allroads.points.llc import diagnose, llc
from allroads.points.zoo import GroundTruth, deep_linear

torch.set_num_threads(1)
RESULT = Path(__file__).parent / "results" / "llc_speed.json"
NBETA, EPSILON, GAMMA, BATCH, CHAINS = 1e7, 2e-8, 1.0, 500, 4


def theirs(truth: GroundTruth, draws: int, burn_in: int) -> dict[str, Any]:
    layers = [np.asarray(layer["weight"]) for layer in truth.params["layers"]]
    model = torch.nn.Sequential(*(torch.nn.Linear(*weight.shape, bias=False) for weight in layers))
    with torch.no_grad():
        for module, weight in zip(model, layers, strict=True):
            module.weight.copy_(torch.tensor(weight.T))
    inputs, labels = (torch.tensor(a, dtype=torch.float32) for a in (truth.inputs, truth.labels))
    data = torch.utils.data.TensorDataset(inputs, labels)
    loader = torch.utils.data.DataLoader(data, batch_size=BATCH, shuffle=True)

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


def ours(truth: GroundTruth, draws: int, burn_in: int, dtype: str, curvature: float) -> dict[str, Any]:
    began = time.perf_counter()
    found = llc(
        truth.network, truth.params, truth.loss, truth.inputs, truth.labels, sampler="sgld", metric="none",
        nbeta=NBETA, localisation=GAMMA, step_size=EPSILON * (NBETA * curvature + GAMMA), chains=CHAINS,
        draws=draws // 20, burn_in=burn_in // 20, batch_size=BATCH, ladder=False, dtype=dtype,
    )  # fmt: skip
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "steps": found.stats["gradients"], "value": found.value, "ess": found.stats["ess"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    rows = []
    for widths, draws, burn_in in (((50,) * 5, 500, 100), ((578,) * 4, 80, 20)):
        truth = deep_linear(widths, examples=10_000 if widths[0] == 50 else 2_000)
        probe = llc(
            truth.network, truth.params, truth.loss, truth.inputs[:1000], truth.labels[:1000], sampler="sgld",
            nbeta=1.0, localisation=1.0, chains=2, draws=4, burn_in=0, ladder=False, metric="none", step_size=1e-3,
        )  # fmt: skip
        curvature = probe.stats["curvature"]
        runs: dict[str, list[dict[str, Any]]] = {"devinterp 1.3.2": [], "float32": [], "float64": []}
        for dtype in ("float32", "float64"):
            ours(truth, draws, burn_in, dtype, curvature)  # compiles
        for _ in range(rounds):
            runs["devinterp 1.3.2"].append(theirs(truth, draws, burn_in))
            for dtype in ("float32", "float64"):
                runs[dtype].append(ours(truth, draws, burn_in, dtype, curvature))
        rates = {name: median(run["steps"] / run["seconds"] for run in found) for name, found in runs.items()}
        for name, found in runs.items():
            last = found[-1]
            rows.append(
                {
                    "parameters": truth.dimension,
                    "exact": truth.learning_coefficient,
                    "sampler": name,
                    "gradients_per_second": rates[name],
                    "times_devinterp": rates[name] / rates["devinterp 1.3.2"],
                    "value": last["value"],
                    "ess_per_gradient": last["ess"] / last["steps"],
                }
            )
            row = rows[-1]
            print(
                f"{truth.dimension:9,}  {name:16}{row['gradients_per_second']:9.0f} /s{row['times_devinterp']:8.1f} ×"
                f"  λ̂ {row['value']:9.1f} of {row['exact']:.1f}   {row['ess_per_gradient']:.4f} effective a gradient",
                flush=True,
            )
    command = f"python benchmarks/llc_speed.py --rounds {rounds}"
    RESULT.write_text(json.dumps({"command": command, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
