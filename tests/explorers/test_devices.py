"""Packs on several devices, and on one whose memory ends."""

from __future__ import annotations

import os
import subprocess
import sys

import jax
import numpy as np
import pytest

from allroads import Network, Problem, explore
from allroads.errors import MemoryBudgetError
from allroads.explorers import width as widths
from allroads.explorers.devices import over_devices, own_devices
from allroads.explorers.explore import _Runs
from allroads.explorers.recording import Recording
from allroads.explorers.width import MOST, MOST_ON_ACCELERATOR, pack_width

LINE = Network(lambda key: jax.random.normal(key, (2,)), lambda w, x: x @ w[:, None])
PROBLEM = Problem(LINE, "mse", np.eye(2), np.zeros((2, 1)))

SIMULATED = """
import hashlib, jax, numpy as np
from allroads import Problem, explore, float64
from allroads.explorers.devices import own_devices
from allroads.explorers.recording import Recording
from allroads.networks.mlp import mlp

def bits(run):
    leaves = jax.tree.leaves((run.params, run.values, dict(run.curves), run.cost))
    return [hashlib.sha256(np.ascontiguousarray(leaf).tobytes()).hexdigest() for leaf in leaves]

assert len(own_devices()) == 8
inputs = np.random.default_rng(0).normal(size=(16, 3))
problem = Problem(mlp((3,), 1, widths=(8,)), "mse", inputs, inputs[:, :1] ** 2)
done = []
with float64():
    many = explore(problem, "adam", 13, steps=20, record=Recording(pack=4), progress=done.append)
    with jax.default_device(jax.devices()[0]):
        assert len(own_devices()) == 1
        one = explore(problem, "adam", 13, steps=20, record=Recording(pack=4))
assert many.params["layers"][0]["weight"].dtype == np.float64
assert bits(many) == bits(one)
assert done == [4, 8, 12, 13], done
"""


@pytest.mark.slow
def test_eight_simulated_devices_give_the_numbers_of_one_to_the_last_bit():
    """Four packs of four, the last with one member; in double precision, which threads do not inherit from JAX."""
    environment = dict(os.environ, XLA_FLAGS="--xla_force_host_platform_device_count=8")
    done = subprocess.run([sys.executable, "-c", SIMULATED], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_tasks_on_several_devices_come_back_in_order_in_the_precision_of_the_caller():
    with jax.enable_x64(True), jax.default_matmul_precision("highest"):
        found = list(over_devices(lambda task, device: (task, device, np.asarray(jax.numpy.ones(1)).dtype,
                                                       jax.config.jax_default_matmul_precision),
                                  range(5), own_devices() * 3))  # fmt: skip
    assert [task for task, *_ in found] == [0, 1, 2, 3, 4]
    assert {(str(dtype), products) for *_, dtype, products in found} == {("float64", "highest")}
    assert all(device in jax.devices() for _, device, *_ in found)


def test_an_error_on_a_device_is_the_caller_s():
    def fails(task, device):
        raise ValueError(f"task {task}")

    with pytest.raises(ValueError, match="task 0"):
        list(over_devices(fails, range(4), own_devices() * 2))


def full_above(monkeypatch, most: int) -> list[int]:
    """Packs of more than ``most`` members end as XLA's do where a device is full; the widths that were tried."""
    pack, tried = _Runs.pack, []

    def limited(self, chosen, device, width):
        tried.append(width)
        if width > most:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 9 bytes.\n...")
        return pack(self, chosen, device, width)

    monkeypatch.setattr(_Runs, "pack", limited)
    return tried


def test_packs_halve_where_a_device_has_no_memory_and_a_warning_says_so(monkeypatch):
    whole = explore(PROBLEM, "gd", 11, steps=3, record=Recording(pack=8))
    tried = full_above(monkeypatch, 2)
    with pytest.warns(RuntimeWarning, match=r"no memory for (8|4) members.*packs of (4|2).*Recording\(pack=(4|2)\)"):
        halved = explore(PROBLEM, "gd", 11, steps=3, record=Recording(pack=8))
    assert tried[:6] == [8, 4, 2, 2, 2, 2]
    np.testing.assert_allclose(halved.params, whole.params, rtol=1e-6)
    np.testing.assert_array_equal(halved.members, np.arange(11))


def test_a_device_that_cannot_hold_one_member_is_refused_with_what_to_change(monkeypatch):
    full_above(monkeypatch, 0)
    with pytest.warns(RuntimeWarning), pytest.raises(MemoryBudgetError, match=r"no memory for one member.*batches"):
        explore(PROBLEM, "gd", 2, steps=3, record=Recording(pack=2))


def test_a_population_that_mixes_is_not_cut(monkeypatch):
    full_above(monkeypatch, 3)
    with pytest.raises(MemoryBudgetError, match="no memory for the 4 members of one population"):
        explore(PROBLEM, "evolution", 4, steps=2)


def test_other_errors_of_a_device_are_raised_as_they_are(monkeypatch):
    def broken(self, chosen, device, width):
        raise jax.errors.JaxRuntimeError("INTERNAL: something else")

    monkeypatch.setattr(_Runs, "pack", broken)
    with pytest.raises(jax.errors.JaxRuntimeError, match="something else"):
        explore(PROBLEM, "gd", 2, steps=3)


class Accelerator:
    """A device with so much memory."""

    platform = "gpu"

    def __init__(self, limit: int, used: int = 0):
        self.limit, self.used = limit, used

    def memory_stats(self):
        return {"bytes_limit": self.limit, "bytes_in_use": self.used}


@pytest.mark.parametrize(
    ("devices", "members", "most", "expected"),
    [
        ([Accelerator(2**36)], 0, None, MOST),
        ([Accelerator(2**36)], 1000, None, 1024),
        ([Accelerator(2**36)], 100_000, None, MOST_ON_ACCELERATOR),
        ([Accelerator(2**36)] * 4, 2000, None, 512),  # each takes a quarter
        ([Accelerator(2**36)], 5, 32, 32),
        ([Accelerator(70_000, 36_400)], 1000, None, 4),  # half of 33.6 kB that are free, 4.1 kB a member
        ([Accelerator(2**36), Accelerator(2**13)], 1000, None, 1),
    ],
)
def test_packs_fit_the_memory_of_an_accelerator(monkeypatch, devices, members, most, expected):
    monkeypatch.setattr(widths, "own_devices", lambda: tuple(devices))
    point, inputs = jax.ShapeDtypeStruct((250,), "float32"), jax.ShapeDtypeStruct((1, 24), "float32")
    wide = Network(lambda key: jax.numpy.zeros(250), lambda w, x: x + w.sum())
    # 4 · 250 · 4 bytes of weights, 2 arrays of 24 numbers or 1, and what is recorded: less than 4,200 bytes in all
    assert pack_width(wide, point, inputs, most, members=members, recorded=0) == expected
