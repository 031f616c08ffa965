"""Where jobs run: anything with the shape of :class:`concurrent.futures.Executor`.

Two engines come with allroads: this process, and a pool of long-lived processes with one XLA thread each.
Past one machine, hand ``run_study`` an executor of a cluster's own (Ray, submitit): jobs are plain data.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor, wait
from multiprocessing.connection import Connection
from typing import Any

from allroads.errors import InputError
from allroads.studies.config import Engine
from allroads.studies.threads import cores, one_thread

HEARING = 0.2
"""Seconds that a wait lasts: Polars makes blocked system calls go on after Ctrl-C, so it is heard between waits."""


class InProcess(Executor):
    """Runs a job when it is submitted, and returns when it is done.

    The job runs in a thread of its own, so that Ctrl-C is heard while XLA computes.

    Example:
        >>> InProcess().submit(pow, 2, 5).result()
        32
    """

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run ``fn(*args, **kwargs)``; the future that comes back is done."""
        future: Future[Any] = Future()

        def work() -> None:
            try:
                future.set_result(fn(*args, **kwargs))
            except BaseException as error:
                future.set_exception(error)

        threading.Thread(target=work, daemon=True, name=_JOB).start()
        while not future.done():
            wait([future], timeout=HEARING)
        return future

    def __str__(self) -> str:
        return "process"


class Pool(ProcessPoolExecutor):
    """A pool of processes, started afresh (spawn), that keep what they compiled and end with their parent.

    Args:
        workers: How many.
    """

    def __init__(self, workers: int):
        context = multiprocessing.get_context("spawn")
        self.workers = workers
        # Nothing is ever sent: when this end closes, by our will or because we were killed, the workers end.
        ours, self._lifeline = context.Pipe(duplex=False)
        super().__init__(workers, mp_context=context, initializer=_start_worker, initargs=(ours,))

    def stop(self) -> None:
        """End the workers at once, in the middle of what they do."""
        self.shutdown(wait=False, cancel_futures=True)
        self._lifeline.close()

    def __str__(self) -> str:
        return f"pool:{self.workers}"


_JOB = "allroads job"


def computing() -> bool:
    """Whether a job still runs in this process: one that was interrupted goes on until XLA gives its thread back."""
    return any(thread.name == _JOB for thread in threading.enumerate())


def _start_worker(lifeline: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    one_thread()
    threading.Thread(target=_end_with_parent, args=(lifeline,), daemon=True).start()


def _end_with_parent(lifeline: Connection) -> None:
    try:
        lifeline.recv_bytes()
    except (EOFError, OSError):
        os._exit(1)


def read_engine(text: str) -> Engine:
    """The engine that a command line asks for: ``auto``, ``process``, ``pool`` or ``pool:N``.

    Raises:
        InputError: If it is none of these.

    Example:
        >>> read_engine("pool:4").workers
        4
    """
    found = re.fullmatch(r"(auto|process|pool)(?::([1-9]\d*))?", text)
    if not found or (found[2] and found[1] != "pool"):
        raise InputError(f"engine {text!r}: expected auto, process, pool or pool:N with N ≥ 1.")
    return Engine.model_validate({"kind": found[1], "workers": int(found[2]) if found[2] else None})


def make_engine(engine: Engine, jobs: int) -> InProcess | Pool:
    """The engine of a configuration.

    Args:
        engine: ``auto`` is a pool of one process a core where JAX computes on the CPU and there is more
            than one job, and this process elsewhere.
        jobs: How many jobs there are; more workers than that are not started.
    """
    workers = min(engine.workers or cores(), jobs)
    if engine.kind == "pool" and jobs:
        return Pool(workers)
    if engine.kind == "auto" and workers > 1 and _on_cpu():
        return Pool(workers)
    return InProcess()


def _on_cpu() -> bool:
    import jax

    return jax.default_backend() == "cpu"
