"""A plain PyTorch loop, recorded and reported: its tables beside what PyTorch says."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from own_run_files import ALLROADS, NO_TORCH, tables, write_module

from allroads.explorers.recorder import Recorder

pytestmark = pytest.mark.slow  # the learning coefficients of four points

STEPS = 120

TORCH = """
import torch


class Scaled(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(6))  # nothing says how to draw it
        self.inner, self.drop, self.outer = torch.nn.Linear(6, 12), torch.nn.Dropout(0.1), torch.nn.Linear(12, 3)

    def forward(self, x):
        return self.outer(self.drop(torch.relu(self.inner(x * self.scale))))
"""


@pytest.fixture(scope="module")
def loop(tmp_path_factory):
    """Two seeds of a plain PyTorch loop, recorded; what PyTorch says of them at every checkpoint."""
    torch = pytest.importorskip("torch", reason=NO_TORCH)
    folder = tmp_path_factory.mktemp("loop")
    name = write_module(folder, TORCH)
    sys.path.insert(0, str(folder))
    make = __import__(name).Scaled
    sys.path.remove(str(folder))
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(60, 6)).astype("float32")
    labels = (inputs[:, 0] > 0).astype(int) + (inputs[:, 1] > 0)
    sides = {"train": (inputs[:40], labels[:40]), "held_out": (inputs[40:], labels[40:])}
    arrays = {f"{s}_{n}": a for s, pair in sides.items() for n, a in zip(("inputs", "labels"), pair, strict=True)}
    np.savez(folder / "quadrants.npz", **arrays)
    tensors = {side: tuple(map(torch.tensor, pair)) for side, pair in sides.items()}
    seen = []
    for seed in (3, 11):
        torch.manual_seed(seed)
        module = make()
        optimiser = torch.optim.AdamW(module.parameters(), 0.02)
        with Recorder(folder / "mine" / f"seed{seed}", steps=STEPS) as recorder:
            for step in range(STEPS + 1):
                if recorder.save(module, step):
                    seen.append({"seed": seed, "step": step, **judged(torch, module.eval(), tensors)})
                module.train()
                x, y = tensors["train"]
                optimiser.zero_grad()
                torch.nn.functional.cross_entropy(module(x), y).backward()
                optimiser.step()
    return types.SimpleNamespace(folder=folder, network=f"{name}:Scaled", seen=pl.DataFrame(seen))


def judged(torch, module, tensors):
    found = {}
    with torch.no_grad():
        for side, (x, y) in tensors.items():
            outputs = module(x)
            found[f"{side}_loss"] = float(torch.nn.functional.cross_entropy(outputs, y))
            found[f"{side}_accuracy"] = float((outputs.argmax(1) == y).double().mean())
    return found


@pytest.fixture(scope="module")
def reported(loop, tmp_path_factory):
    """The loop's report by the command line, in two worker processes; as JSON says it."""
    out = tmp_path_factory.mktemp("reported") / "run"
    words = ["report-runs", "mine", "--network", loop.network, "--data", "quadrants.npz", "--loss", "cross_entropy"]
    more = ["--out", str(out), "--engine", "pool:2", "--json", "--set", "measures.forecasts=true"]
    llc = ["--set", "measures.llc.checkpoints=2"]
    done = subprocess.run([ALLROADS, *words, *more, *llc], capture_output=True, text=True, cwd=loop.folder, check=False)
    assert done.returncode == 0, done.stderr
    return types.SimpleNamespace(out=out, said=json.loads(done.stdout), tables=tables(out))


def test_tables_say_what_pytorch_says(loop, reported):
    runs = reported.tables["runs"].sort("seed")
    assert runs["seed"].to_list() == [3, 11] and runs["status"].to_list() == ["ok", "ok"]
    assert set(runs["steps"]) == set(runs["last_step"]) == {STEPS}
    found = reported.tables["curves"].join(runs.select("run", "seed"), on="run").sort("seed", "step")
    assert found.select("seed", "step").rows() == loop.seen.select("seed", "step").rows()
    for side in ("train", "held_out"):
        np.testing.assert_allclose(found[f"{side}_loss"], loop.seen[f"{side}_loss"], rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(found[f"{side}_accuracy"], loop.seen[f"{side}_accuracy"], atol=1e-6)
    ends = loop.seen.filter(pl.col("step") == STEPS).sort("seed")
    np.testing.assert_allclose(runs["held_out_loss"], ends["held_out_loss"], rtol=1e-4)
    fitted = [
        first_lasting(loop.seen.filter(pl.col("seed") == seed), "train_accuracy") for seed in runs["seed"].to_list()
    ]
    assert runs["steps_to_fit"].to_list() == fitted and None not in fitted


def first_lasting(seen, column):
    rows = seen.sort("step").select("step", column).rows()
    lasting = list(itertools.takewhile(lambda row: row[1] >= 0.99, reversed(rows)))
    return lasting[-1][0] if lasting else None


def test_every_measure_and_the_report_are_there(reported):
    runs, found = reported.tables["runs"], reported.tables
    assert set(reported.said["computed"]) >= {
        "directness",
        "turning",
        "certified",
        "stages",
        "pairs",
        "embedding",
        "llc",
    }
    for column in ("directness_status", "turning_status", "certified_status"):
        assert set(runs[column]) == {"ok"}
    assert found["pairs"].height == 1 and found["llc"].height == 4  # two checkpoints of each of two runs
    assert set(found["embedding"]["run"].drop_nulls()) == set(runs["run"])
    texts = [finding["text"] for finding in reported.said["findings"]]
    assert texts[0].startswith("All 2 runs (100 %, 95 % interval 34–100 %) fitted the training examples of quadrants")
    assert Path(reported.said["report"]).read_text("utf-8").count("cost of training not known") == 1


def test_nothing_is_trained_and_the_cost_is_not_known(reported):
    runs = reported.tables["runs"]
    assert runs.select("gradients", "forwards", "examples").null_count().row(0) == (2, 2, 2)
    assert reported.said["cost"] == {"seconds": reported.said["cost"]["seconds"], "gradients": None, "examples": None}
    assert set(runs["explorer"]) == {"own training"} and set(runs["architecture"]) == {"Scaled"}


def test_forecasts_say_why_there_are_none(reported):
    rows = reported.tables["forecasts"]
    assert set(rows["status"]) == {"not applicable"} and "`like`" in rows["reason"][0]
