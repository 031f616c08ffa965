"""One phase of a run: its jobs are claimed, and handed to an executor a few at a time."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from allroads.errors import StoreError, WorkerError
from allroads.studies.engines import HEARING, Workers, window
from allroads.studies.failures import Failure
from allroads.studies.store import VISIBLE, Store

if TYPE_CHECKING:
    from allroads.studies.jobs import Job

PATIENCE = 0.5
"""Seconds between two looks at what other processes are at."""


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes:
        phase: ``engine``, ``trajectories``, or the name of a measure.
        jobs: Jobs of the phase that are done.
        of: Jobs of the phase that were to be done.
        share: Share of the phase's work that is done, 0 to 1.
        text: What was done last, or what is waited for; empty at the start of a phase.
    """

    phase: str
    jobs: int
    of: int
    share: float
    text: str


Show = Callable[[Progress], None]


@dataclass
class _Phase:
    """The jobs of a phase: waiting, handed out, or held by another process."""

    name: str
    store: Store
    show: Show
    queue: deque[tuple[Job, ...]]
    failures: list[Failure]
    running: dict[Future[Any], tuple[Job, ...]] = field(default_factory=dict)
    busy: list[Job] = field(default_factory=list)
    jobs: int = 0
    weight: float = 0.0

    def __post_init__(self) -> None:
        every = [job for bundle in self.queue for job in bundle]
        self.of, self.total = len(every), sum(job.weight for job in every)

    def claim(self, bundle: tuple[Job, ...]) -> tuple[Job, ...]:
        """Those jobs of a bundle that are now ours to do."""
        ours = []
        for job in bundle:
            if not self.store.claims.take(job.hash):
                self.busy.append(job)
            elif job.todo(self.store):
                ours.append(job)
            else:  # another process has done it meanwhile
                self.finish(job)
        return tuple(ours)

    def finish(self, job: Job) -> None:
        """Count a job and give its claim back."""
        self.store.claims.give(job.hash)
        self.jobs, self.weight = self.jobs + 1, self.weight + job.weight
        self.say(job.describe)

    def say(self, text: str) -> None:
        """Show how far it is."""
        self.show(Progress(self.name, self.jobs, self.of, self.weight / self.total if self.total else 1.0, text))

    def end(self, future: Future[Any]) -> None:
        """See to what came of a call.

        Raises:
            WorkerError: If no worker is left.
            StoreError: If the run directory cannot be used.
            InputError: If a machine lacks what the study needs.
        """
        bundle = self.running.pop(future)
        try:
            found = future.result()
        except BrokenExecutor:
            raise _dead_worker(self.store, bundle[0].describe) from None
        except WorkerError as error:
            self.lost(bundle, error)
            return
        for job, failures in zip(bundle, found, strict=True):
            self.failures += failures
            if not failures:
                _see(job, self.store)
            self.finish(job)

    def lost(self, bundle: tuple[Job, ...], error: WorkerError) -> None:
        """A worker died: what it left undone is handed out again, one by one, and a job that was alone has failed."""
        left = [job for job in bundle if job.todo(self.store)]
        for job in bundle:
            if job not in left:
                self.finish(job)
            elif len(bundle) > 1:
                self.store.claims.give(job.hash)
                self.queue.append((job,))
            else:
                self.failures.append(Failure(job.study, self.name, job.describe, str(error)))
                self.finish(job)


def do_phase(
    executor: Executor, name: str, jobs: Sequence[Job], store: Store, failures: list[Failure], show: Show
) -> int:
    """Do those jobs of a phase that are not done and can be, the long ones first.

    Args:
        executor: Where; it is given few calls per worker at one time, however many jobs there are.
        name: Of the phase.
        jobs: Its jobs.
        store: Where results go, and where claims are made.
        failures: What went wrong is added to it.
        show: Called whenever a job is done.

    Returns:
        How many jobs there were to do.
    """
    from allroads.studies.jobs import perform

    todo = sorted((job for job in jobs if job.todo(store)), key=lambda job: -job.weight)
    size = executor.bundle(len(todo)) if isinstance(executor, Workers) else 1
    phase = _Phase(name, store, show, _bundles(todo, size), failures)
    if phase.queue:
        phase.say("")
    while phase.queue or phase.running or phase.busy:
        full = True
        if phase.queue and len(phase.running) < window(executor):
            bundle = phase.claim(phase.queue.popleft())
            if bundle:
                phase.running[_submit(executor, perform, bundle, str(store.directory.absolute()))] = bundle
            full = not phase.queue or len(phase.running) >= window(executor)
        elif not phase.queue and not phase.running:
            phase.say(f"waiting for another process: {phase.busy[0].describe}")
            time.sleep(PATIENCE)
            phase.queue, phase.busy = _bundles(phase.busy, 1), []
            continue
        # While there is more to hand out, only what is done already is looked at.
        finished, _ = wait(phase.running, timeout=HEARING if full else 0, return_when=FIRST_COMPLETED)
        for future in finished:
            phase.end(future)
    return phase.of


def _bundles(jobs: Sequence[Job], size: int) -> deque[tuple[Job, ...]]:
    """Jobs dealt out like cards, so that each bundle has its share of the long ones."""
    count = math.ceil(len(jobs) / size)
    return deque(tuple(jobs[first::count]) for first in range(count))


def _see(job: Job, store: Store) -> None:
    """Wait until this machine sees what a worker stored: a network file system remembers for a while what was missing.

    Raises:
        StoreError: If it is not seen.
    """
    began = time.monotonic()
    while job.todo(store):
        if time.monotonic() - began > VISIBLE:
            raise StoreError(
                f"a worker has done {job.describe}, and what it stored is not seen in {store.directory}. Choose an "
                "--out on a file system that all machines share, under the same path on each."
            )
        for kind, name in job.entries():
            store.refresh(kind, name)
        time.sleep(PATIENCE if job.todo(store) else 0)


def _submit(executor: Executor, *call: Any) -> Future[Any]:
    try:
        return executor.submit(*call)
    except BrokenExecutor as error:
        future: Future[Any] = Future()
        future.set_exception(error)
        return future


def _dead_worker(store: Store, what: str) -> WorkerError:
    return WorkerError(
        f"a worker process died while it was at {what}: it was killed, or memory ran out. "
        f"Finished cells are kept in {store.directory}: run the same command again, with fewer workers "
        "(--engine pool:N) where memory is short."
    )
