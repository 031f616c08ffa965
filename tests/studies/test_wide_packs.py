"""Packs of an accelerator: as many members side by side as it wants, under the same names."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace

import jax
import numpy as np
import pytest

from allroads import run_study
from allroads.explorers import devices, explore
from allroads.explorers.recording import Recording
from allroads.networks.mlp import mlp
from allroads.studies.config import Engine
from allroads.studies.engines import own_accelerators
from allroads.studies.plan import make_plan
from allroads.studies.recipes import PACK, WIDE
from allroads.studies.store import Store
from allroads.studies.toml import load_study
from allroads.studies.trajectories import _kept_whole, trajectory_jobs

OFF = [f"measures.{name}=false" for name in ("pairs", "embedding", "certified", "directness", "turning", "stages")]

TWO = """
import sys
import jax
from allroads import run_study
from allroads.explorers import devices
devices.accelerators = lambda: len(jax.local_devices())
assert devices.accelerators() == 2
run_study(sys.argv[1], sys.argv[2], "process", overrides=["grid.0.seeds=20", *sys.argv[3:]], report=False)
"""


def trained(study, out, accelerators=0):
    """Twenty runs without their measures."""
    store = Store(out)
    for job in trajectory_jobs(make_plan(*load_study(study, ["grid.0.seeds=20"])), accelerators):
        assert not job.todo(store) or job.run(store) == []
    return store


def run(study, out):
    run_study(study, out, "process", overrides=["grid.0.seeds=20", *OFF], report=False)
    return Store(out)


def weights(store):
    """Every recorded weight, by cell."""
    return {cell: store.read("cells", cell).arrays("weights.safetensors") for cell in store.list("cells")}


def close(found, wanted):
    assert found.keys() == wanted.keys() and len(found) == 20
    for cell, arrays in wanted.items():
        for name, array in arrays.items():
            np.testing.assert_allclose(found[cell][name], array, rtol=1e-4, atol=1e-5)


def steps(store):
    return {cell: store.read("cells", cell).header["steps"] for cell in store.list("cells")}


@pytest.fixture
def calls(monkeypatch):
    """Members and width of each call of ``explore``."""
    made, real = [], explore.explore

    def watched(problem, explorer, members, **options):
        made.append((len(members), options["record"].pack))
        return real(problem, explorer, members, **options)

    monkeypatch.setattr(explore, "explore", watched)
    return made


def test_an_accelerator_trains_side_by_side_what_a_processor_trains_in_packs(study, tmp_path, calls):
    narrow = trained(study, tmp_path / "narrow")
    assert calls == [(8, 8), (8, 8), (4, 8)]
    calls.clear()
    wide = trained(study, tmp_path / "wide", 1)
    assert calls == [(20, 32)]
    assert steps(wide) == steps(narrow)
    close(weights(wide), weights(narrow))

    # What is missing is computed as widely as it was.
    kept, lost = weights(wide), wide.list("cells")[3:9]
    for cell in lost:
        shutil.rmtree(wide.path("cells", cell))
    calls.clear()
    again = weights(trained(study, tmp_path / "wide", 1))
    assert calls == [(20, 32)]
    assert all(np.array_equal(again[cell][name], array) for cell in lost for name, array in kept[cell].items())


def test_a_stored_study_goes_on_elsewhere(study, tmp_path, monkeypatch, calls):
    """Neither kind of device computes again what the other one has stored."""
    monkeypatch.setattr(devices, "accelerators", lambda: 1)
    before = weights(run(study, tmp_path / "run"))
    assert calls == [(20, 32)]
    calls.clear()
    (tmp_path / "run/tables/index.json").unlink()  # by which a finished study is known without a plan
    monkeypatch.setattr(devices, "accelerators", lambda: 0)
    again = weights(run(study, tmp_path / "run"))
    assert again.keys() == before.keys() and len(before) == 20 and not calls


@pytest.mark.parametrize(
    ("seeds", "accelerators", "width", "members"),
    [
        (20, 0, 8, [8, 8, 4]),
        (5, 1, 8, [5]),
        (20, 1, 32, [20]),
        (20, 2, 16, [20]),
        (20, 4, 8, [20]),
        (5000, 1, WIDE, [4096, 904]),
        (9000, 2, WIDE, [8192, 808]),
    ],
)
def test_widths_follow_from_members_and_accelerators(shared_study, seeds, accelerators, width, members):
    plan = make_plan(*load_study(shared_study, [f"grid.0.seeds={seeds}"]))
    jobs = trajectory_jobs(plan, accelerators)
    assert [len(job.cells) for job in jobs] == members and {job.width for job in jobs} == {width}
    assert [cell for job in jobs for cell in job.cells] == plan.cells
    assert [job.first for job in jobs] == np.cumsum([0, *members[:-1]]).tolist()


def test_more_members_than_keep_all_records_are_trained_in_turn(study, tmp_path, monkeypatch, calls):
    network, record = mlp((3,), 2, widths=(4,)), Recording(records=6, checkpoints=6)
    member = 6 * 4 * (3 * 4 + 4 + 4 * 2 + 2 + 2)  # records × bytes × (weights, biases, outputs on one probe)
    probe = np.zeros((1, 3), np.float32)
    assert _kept_whole(network, probe, replace(record, memory=member * PACK * 3), 20) == 3 * PACK
    assert _kept_whole(network, probe, replace(record, memory=member * PACK * 3 - 1), 20) == 2 * PACK
    assert _kept_whole(network, probe, replace(record, memory=1), 20) == PACK

    (job,) = trajectory_jobs(make_plan(*load_study(study, ["grid.0.seeds=20"])), 1)
    monkeypatch.setattr("allroads.studies.trajectories._kept_whole", lambda *_: 2 * PACK)
    assert job.run(Store(tmp_path / "run")) == []
    assert calls == [(16, 16), (4, 16)]
    close(weights(Store(tmp_path / "run")), weights(trained(study, tmp_path / "narrow")))
    members = [Store(tmp_path / "run").read("cells", cell).header["identity"]["member"] for cell in job.cells]
    assert members == list(range(20))


def test_many_accelerators_share_narrow_packs(study, tmp_path, calls):
    """Four of them take twenty seeds in one call, in packs of eight."""
    (job,) = trajectory_jobs(make_plan(*load_study(study, ["grid.0.seeds=20"])), 4)
    assert job.run(Store(tmp_path / "run")) == [] and calls == [(20, 8)]


def test_only_this_process_takes_wide_packs(monkeypatch):
    monkeypatch.setattr(devices, "own_devices", lambda: [type("Device", (), {"platform": "gpu"})()] * 2)
    kinds = ("auto", "process", "pool", "ray", "slurm")
    assert [own_accelerators(Engine(kind=kind)) for kind in kinds] == [2, 2, 0, 0, 0]
    monkeypatch.setattr(devices, "own_devices", lambda: jax.devices("cpu"))
    assert own_accelerators(Engine(kind="process")) == 0


@pytest.mark.slow
def test_two_simulated_devices_share_one_wide_pack(study, tmp_path):
    environment = dict(os.environ, XLA_FLAGS="--xla_force_host_platform_device_count=2")
    command = [sys.executable, "-c", TWO, str(study), str(tmp_path / "two"), *OFF]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    close(weights(Store(tmp_path / "two")), weights(trained(study, tmp_path / "one")))
