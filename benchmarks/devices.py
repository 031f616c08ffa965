"""Packs on eight simulated devices beside one: are the numbers the same, and what does a member cost?

    python benchmarks/devices.py    # writes benchmarks/results/devices.json; four processor minutes

64 MLPs 7-40-40-1 in packs of eight, 300 steps of Adam, in turn, seven times, after a run that compiles: `explore` on
one device and on all eight, and as one program for all eight by `jax.shard_map`. Simulated devices share the machine's
cores, so processor seconds are compared, not those of a clock: throughput per core is members per processor second, and
the ratio is that of medians.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false --xla_force_host_platform_device_count=8"

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec

from allroads import Problem, explore
from allroads.explorers.adam import Adam
from allroads.explorers.observe import Observed
from allroads.explorers.pack import Schedule, compiled_pack
from allroads.explorers.recording import Recording
from allroads.networks.mlp import mlp

RESULT = Path(__file__).with_name("results") / "devices.json"
ROUNDS, MEMBERS, STEPS = 7, 64, 300
RECORD = Recording(records=8, checkpoints=8, pack=8)


def problem() -> Problem:
    """Parity of three of seven bits."""
    cube = 1.0 - 2 * (np.arange(128)[:, None] >> np.arange(7) & 1)
    return Problem(mlp((7,), 1, widths=(40, 40)), "bce", cube.astype("f4"), (cube[:, :3].prod(1) < 0).astype("f4"))


def one_program(task: Problem, devices: list[Any]) -> Any:
    """All members in one compiled call, their axis cut by ``jax.shard_map``."""
    inner = compiled_pack(task.objective, None, Adam(), len(RECORD.steps(STEPS))).__wrapped__
    along, whole = PartitionSpec("members"), PartitionSpec()
    mesh = Mesh(np.array(devices), ("members",))
    run = jax.jit(
        jax.shard_map(inner, mesh=mesh, in_specs=(along, along, whole, whole), out_specs=along, check_vma=False)
    )
    steps = jnp.asarray(RECORD.steps(STEPS))
    keys = jax.vmap(lambda index: jax.random.fold_in(jax.random.key(0), index))(jnp.arange(MEMBERS))
    data, schedule = Observed(task.data, None, None), Schedule(steps, jnp.arange(len(steps)))
    return lambda: jax.tree.map(np.asarray, run(None, keys, data, schedule).params)


def main() -> None:
    task, devices = problem(), jax.devices()
    assert len(devices) == 8

    def on_all() -> Any:
        return explore(task, "adam", MEMBERS, steps=STEPS, record=RECORD).params

    def on_one() -> Any:
        with jax.default_device(devices[0]):
            return on_all()

    ways = {"one device": on_one, "eight devices": on_all, "shard_map": one_program(task, devices)}
    first, compiling, seconds = {}, {}, {name: [] for name in ways}
    for name, way in ways.items():
        began = time.process_time()
        first[name] = jax.tree.leaves(way())
        compiling[name] = time.process_time() - began
    for _ in range(ROUNDS):
        for name, way in ways.items():
            began = time.process_time()
            way()
            seconds[name].append((time.process_time() - began) / MEMBERS)
    middle = {name: float(np.median(taken)) for name, taken in seconds.items()}

    def difference(name: str) -> float:
        pairs = zip(first[name], first["one device"], strict=True)
        return max(float(np.abs(np.asarray(a, float) - b).max()) for a, b in pairs)

    found: dict[str, Any] = {"command": "python benchmarks/devices.py", "cores": os.cpu_count(), "members": MEMBERS}
    found["processor seconds of the first run, compilation included"] = compiling
    found["processor seconds per member"] = middle
    for name in ("eight devices", "shard_map"):
        found[f"{name}: throughput per core, share of one device's"] = middle["one device"] / middle[name]
        found[f"{name}: largest difference of a parameter"] = difference(name)
    for name, value in found.items():
        print(name, value)
    RESULT.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
