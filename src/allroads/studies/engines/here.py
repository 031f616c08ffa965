"""Engines of this machine: this process, and a pool of processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor, wait
from multiprocessing.connection import Connection
from typing import Any

from allroads.studies.engines.workers import AHEAD, HEARING, Workers
from allroads.studies.threads import one_thread


class InProcess(Workers):
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

    def window(self) -> int:
        """One call at a time."""
        return 1

    def __str__(self) -> str:
        return "process"


class Pool(ProcessPoolExecutor, Workers):
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

    def window(self) -> int:
        """A few calls per process."""
        return AHEAD * self.workers

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
