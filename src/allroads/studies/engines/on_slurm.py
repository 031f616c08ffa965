"""Slurm through submitit: each job of Slurm does a bundle of packs and ends."""

from __future__ import annotations

import contextlib
import math
import subprocess
import uuid
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
"""Seconds between two looks at the jobs."""


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
                self._running[future] = self._executor.submit(call, needs, fn, *rest)
            except (RuntimeError, subprocess.SubprocessError) as error:  # what sbatch refuses, among others
                raise InputError(
                    f"engine slurm: a job could not be submitted: {' '.join(str(error).split())[:300]}. Change "
                    "[engine.slurm], or wait where a limit of jobs is reached; then run the same command again: "
                    "finished cells are kept."
                ) from error

    def _watch(self) -> None:
        while not self._ended.wait(POLL):
            for future, job in list(self._running.items()):
                if self._is_done(job):
                    self._settle(future, job)
                    self._running.pop(future, None)

    @staticmethod
    def _is_done(job: Any) -> bool:
        return bool(job.done())

    def _settle(self, future: Future[Any], job: Any) -> None:
        """Give a future what its job came to."""
        try:
            answer = job.result()
        except Exception as error:
            told = [line for line in str(error).splitlines() if line.strip()]
            future.set_exception(
                WorkerError(
                    f"the Slurm job {job.job_id} ended without an answer ({job.state}): its time or memory ran out, "
                    f"or it was cancelled. {told[-1].strip() if told else type(error).__name__}. "
                    f"Its log: {job.paths.stderr}"
                )
            )
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
