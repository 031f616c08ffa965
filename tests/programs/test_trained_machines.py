"""Networks that gradient descent trains under noise, read as machines and proved at all lengths."""

from __future__ import annotations

from pathlib import Path

import jax
import numpy as np
import pytest

from allroads.programs import extract
from allroads.programs.mealy import LANGUAGE, Machine
from allroads.targets import build_target

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def mips(monkeypatch):
    """The training of the benchmark, which is no part of the package."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from mips import judge, networks, train

    return networks.Plan, train.train, judge.judge


def proved(mips, target, width, steps):
    plan, train, judge = mips
    trained = train(target, plan("second order", width, steps, noise=0.5, gain=4.0, decay=1.0, batch=64), 0)
    found = extract(trained.network, trained.points[0], target)
    assert trained.accuracies[0] == 1
    assert found.status == "computes" and found.equivalence.scope == "all lengths", found.stats["why"]
    assert found.equivalence.margin > 0.1 and found.interchange.value > 0.99
    assert found.interchange.stats["null"] < 0.8
    assert found.program.equals(Machine.of(target.truth["machine"])).proved
    assert judge(found.program, target).equal
    return trained, found


@pytest.mark.slow
def test_a_network_trained_under_noise_computes_parity_at_all_lengths(mips):
    target = build_target("sequence", task="Parity_All", length=8)
    trained, found = proved(mips, target, 8, 600)
    assert found.program.formulas and found.program.states == 2
    # The proof speaks of this network: with random answers, it is no proof of the parity machine.
    broken = jax.tree.map(np.array, trained.points[0])
    broken["readout"]["weight"] = -broken["readout"]["weight"]
    broken["readout"]["bias"] = -broken["readout"]["bias"]
    other = extract(trained.network, broken, target, languages=[LANGUAGE])
    assert not other.correct.equal and other.program != found.program


@pytest.mark.slow
@pytest.mark.parametrize("task", ["Div_7", "Add_Mod_5"])
def test_networks_trained_under_noise_compute_larger_machines_at_all_lengths(mips, task):
    options = {} if task == "Div_7" else {"train_size": 4096, "held_out_size": 512}
    proved(mips, build_target("sequence", task=task, **options), 16, 1600)


def test_a_verdict_finds_the_difference(mips):
    *_, judge = mips
    target = build_target("sequence", task="Div_5")
    right = Machine.of(target.truth["machine"])
    outputs = [list(row) for row in right.outputs]
    outputs[3][1] = 1 - outputs[3][1]
    assert judge(right, target).equal
    verdict = judge(Machine(right.alphabet, right.transitions, outputs), target)
    example, said, wanted = verdict.wrong
    assert not verdict.equal and said != wanted and wanted == target.function(example)
