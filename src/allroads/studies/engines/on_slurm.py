"""Slurm through submitit: each job of Slurm does a bundle of packs and ends."""

from __future__ import annotations

import contextlib
import getpass
import math
import signal
import subprocess
import time
import uuid
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from threading import Event, Thread
from typing import Any

from allroads.errors import InputError, WorkerError
from allroads.studies.config import Slurm
from allroads.studies.engines.cluster import Cluster
from allroads.studies.engines.node import Needs
from allroads.studies.refusals import explained

JOBS = 16
"""Jobs of Slurm at one time, where the study does not say."""

WAVES = 2
"""Jobs per worker and phase: the second one of a quick worker makes up for a slow worker."""

POLL = 0.5
"""Seconds between two looks for the jobs' answers."""

QUEUE = 15.0
"""Seconds between two looks at the queue of Slurm, which many users ask."""

GONE = 4
"""Looks at the queue, one after another, that miss a job before it has ended without an answer.

A shared file system may show an answer a minute late."""


class SlurmEngine(Cluster):
    """Jobs of Slurm.

    Args:
        options: What is asked of Slurm.
        workers: Jobs at one time.
        directory: The run directory, which holds what the jobs are told and what they answer.

    Raises:
        InputError: If submitit is not installed, there is no Slurm here, or it takes no such option.
    """

    def __init__(self, options: Slurm, workers: int | None, directory: Path):
        super().__init__()
        self.options, self.workers = options, workers or JOBS
        self._executor = _executor(options, directory.absolute() / ".slurm" / uuid.uuid4().hex)
        self._running: dict[Future[Any], Any] = {}
        self._ended = Event()

    def start(self, needs: Needs) -> None:
        """Remember what every machine must have, and begin to watch; each job looks at its machine first."""
        super().start(needs)
        Thread(target=self._watch, daemon=True, name="allroads slurm").start()

    def window(self) -> int:
        """As many jobs as workers: Slurm sees no more of them at one time."""
        return self.workers

    def bundle(self, jobs: int) -> int:
        """As many packs as are asked for, else a share that gives each worker two jobs."""
        return self.options.packs or max(1, math.ceil(jobs / (WAVES * self.workers)))

    def _send(self, future: Future[Any], call: Callable[..., Any], *arguments: Any) -> None:
        needs, fn, *rest = arguments
        if self.options.cpus > 1:
            fn, rest = _side_by_side, [self.options.cpus, fn, *rest]
        with explained(Path(self._executor.folder)):
            try:
                self._running[future] = self._executor.submit(_in_time, call, needs, fn, *rest)
            except (RuntimeError, subprocess.SubprocessError) as error:  # what sbatch refuses, among others
                raise InputError(
                    f"engine slurm: a job could not be submitted: {' '.join(str(error).split())[:300]}. Change "
                    "[engine.slurm], or wait where a limit of jobs is reached; then run the same command again: "
                    "finished cells are kept."
                ) from error

    def _watch(self) -> None:
        missed: Counter[str] = Counter()
        looked = time.monotonic()
        while not self._ended.wait(POLL):
            look = time.monotonic() - looked >= QUEUE
            queued = self._queued() if look else None
            looked = time.monotonic() if look else looked
            for future, job in list(self._running.items()):
                if queued is not None:
                    missed[job.job_id] = 0 if job.job_id in queued else missed[job.job_id] + 1
                if self._is_done(job):
                    self._settle(future, job)
                elif missed[job.job_id] >= GONE:
                    future.set_exception(_without_an_answer(job, "Slurm lists it no longer."))
                else:
                    continue
                self._running.pop(future, None)

    def _is_done(self, job: Any) -> bool:
        """Whether its answer is there: Slurm's own accounts are not asked, which some clusters do not keep."""
        return bool(job.done() if self.options.cluster == "local" else job.paths.result_pickle.exists())

    def _queued(self) -> set[str] | None:
        """Jobs of this user that wait or run; ``None`` where it cannot be known, as when Slurm is being restarted."""
        if self.options.cluster == "local":
            return None
        command = ["squeue", "--noheader", "--format=%A", "--user", getpass.getuser()]
        try:
            told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=QUEUE)
        except (OSError, subprocess.SubprocessError):
            return None
        return set(told.stdout.split())

    def _settle(self, future: Future[Any], job: Any) -> None:
        """Give a future what its job came to."""
        try:
            answer = job.result()
        except Exception as error:
            told = [line for line in str(error).splitlines() if line.strip()]
            future.set_exception(_without_an_answer(job, told[-1].strip() if told else type(error).__name__))
        else:
            self._answered(future, answer)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Cancel the jobs that still run."""
        self._ended.set()
        for job in list(self._running.values()):
            with contextlib.suppress(Exception):
                job.cancel(check=False)

    def __str__(self) -> str:
        return f"{self.options.cluster}:{self.workers}"


def _without_an_answer(job: Any, told: str) -> WorkerError:
    return WorkerError(
        f"the Slurm job {job.job_id} ended without an answer: its time or memory ran out, or it was cancelled. {told} "
        f"`scontrol show job {job.job_id}` says more for some minutes, and so does its log: {job.paths.stderr}"
    )


def _in_time(call: Callable[..., Any], *arguments: Any) -> Any:
    """A call that has all of its job's time; submitit would break off a pack before the end, as if it had failed."""
    if hasattr(signal, "SIGUSR2"):
        signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    return call(*arguments)


def _side_by_side(
    processes: int, perform: Callable[..., Any], jobs: tuple[Any, ...], directory: str
) -> tuple[Any, ...]:
    """Several packs at one time on one machine."""
    from allroads.studies.engines.here import Pool

    with Pool(processes) as pool:
        calls = [pool.submit(perform, (job,), directory) for job in jobs]
        return tuple(found for call in calls for found in call.result())


def _executor(options: Slurm, folder: Path) -> Any:
    try:
        import submitit
    except ImportError as error:
        raise InputError(
            f"engine slurm: submitit is not installed ({error}). Install the extra: pip install 'allroads[slurm]'."
        ) from None
    asked = {
        "name": "allroads",
        "timeout_min": options.minutes,
        "cpus_per_task": options.cpus,
        "mem_gb": options.memory_gb,
        "slurm_partition": options.partition,
        "slurm_additional_parameters": options.more or None,
    }
    try:
        executor = submitit.AutoExecutor(folder=folder, cluster=options.cluster)
        executor.update_parameters(**{name: value for name, value in asked.items() if value is not None})
    except (RuntimeError, ValueError, TypeError, NameError, OSError) as error:
        told = " ".join(str(error).split())
        raise InputError(
            f"engine slurm: {told[:300]} Start the study where sbatch works, such as a login node; to try it out on "
            "this machine: --set engine.slurm.cluster=local."
        ) from error
    return executor
