"""The engine that is asked for, by its name."""

from __future__ import annotations

import re
from concurrent.futures import Executor
from pathlib import Path

from allroads.errors import InputError, nearest_name
from allroads.studies.config import Engine
from allroads.studies.engines.here import InProcess, Pool
from allroads.studies.engines.workers import Workers
from allroads.studies.threads import cores

_NUMBERED = re.compile(r"(pool|slurm)(?::([1-9]\d*))?")


def read_engine(text: str, given: Engine | None = None) -> Engine:
    """The engine that a command line asks for.

    Args:
        text: ``auto``, ``process``, ``pool``, ``pool:N``, ``ray``, ``ray:ADDRESS``, ``slurm`` or ``slurm:N``.
        given: What the study says, kept where the text says nothing of it.

    Raises:
        InputError: If it is none of these.

    Example:
        >>> read_engine("pool:4").workers, read_engine("ray:10.0.0.1:6379").address
        (4, '10.0.0.1:6379')
    """
    given = given or Engine()
    kind, _, address = text.partition(":")
    if text in ("auto", "process"):
        return given.model_copy(update={"kind": kind})
    if numbered := _NUMBERED.fullmatch(text):
        workers = int(numbered[2]) if numbered[2] else given.workers
        return given.model_copy(update={"kind": kind, "workers": workers})
    if kind == "ray" and (address or text == "ray"):
        return given.model_copy(update={"kind": kind, "address": address or given.address})
    near = nearest_name(kind, ("auto", "process", "pool", "ray", "slurm"))
    hint = f"did you mean {near!r}? " if near and near != kind else ""
    raise InputError(
        f"engine {text!r}: {hint}expected auto, process, pool, pool:N, ray, ray:ADDRESS, slurm or slurm:N with N ≥ 1."
    )


def make_engine(engine: Engine, jobs: int, directory: Path) -> Workers:
    """The engine of a configuration.

    Args:
        engine: ``auto`` is a pool of one process per core where JAX computes on the CPU and there is more
            than one job, and this process elsewhere.
        jobs: How many jobs there are; more workers than that are not started.
        directory: The run directory, for what an engine has to keep.

    Raises:
        InputError: If the engine is not installed, or not to be had; says what to do.
    """
    if engine.kind in ("ray", "slurm") and jobs:
        if engine.kind == "ray":
            from allroads.studies.engines.on_ray import RayEngine

            return RayEngine(engine.address, min(engine.workers or cores(), jobs))
        from allroads.studies.engines.on_slurm import SlurmEngine

        return SlurmEngine(engine.slurm, engine.workers, directory)
    workers = min(engine.workers or cores(), jobs)
    if engine.kind == "pool" and jobs:
        return Pool(workers)
    if engine.kind == "auto" and workers > 1 and not own_accelerators(engine):
        return Pool(workers)
    return InProcess()


def own_accelerators(engine: Engine | Executor) -> int:
    """How many accelerators this process computes on itself, by that engine; 0 where workers do, or a CPU.

    Example:
        >>> own_accelerators(Engine(kind="pool"))
        0
    """
    if not isinstance(engine, Engine) or engine.kind not in ("auto", "process"):
        return 0
    from allroads.explorers.devices import accelerators

    return accelerators()
