"""A phase: few calls at a time, claims, and workers that die."""

import threading
from collections import Counter
from concurrent.futures import Executor, Future
from dataclasses import dataclass

import pytest

from allroads.errors import StoreError, WorkerError
from allroads.studies import phase as module
from allroads.studies.canonical import digest
from allroads.studies.engines import InProcess, Workers
from allroads.studies.failures import Failure
from allroads.studies.phase import do_phase
from allroads.studies.store import Store


@dataclass(frozen=True)
class Note:
    """A job that stores a note."""

    number: int
    weight: float = 1.0
    study: str = "notes"
    quick: bool = False
    wrong: bool = False

    @property
    def hash(self):
        return digest({"note": self.number})

    @property
    def describe(self):
        return f"note {self.number}"

    def entries(self):
        return [("cells", self.hash)]

    def todo(self, store):
        return not store.has("cells", self.hash)

    def run(self, store):
        if self.wrong:
            return [Failure(self.study, "notes", self.describe, "it is wrong")]
        assert store.write("cells", self.hash, {"number": self.number}, {}), "done twice"
        return []


class Slow(Executor):
    """Calls end a moment later, all at once, the last one first; counts those that are not done."""

    def __init__(self):
        self._max_workers, self.open, self.most = 2, [], 0

    def submit(self, fn, *arguments):
        future = Future()
        self.open.append((future, fn, arguments))
        self.most = max(self.most, len(self.open))
        if len(self.open) == 1:
            threading.Timer(0.3, self.finish).start()
        return future

    def finish(self):
        done, self.open = self.open, []
        for future, fn, arguments in reversed(done):
            future.set_result(fn(*arguments))


class Deadly(Workers):
    """Bundles of four; a call dies at the job of number 5, having done those before it."""

    def __init__(self):
        self.calls = []

    def window(self):
        return 2

    def bundle(self, jobs):
        return 4

    def submit(self, fn, jobs, directory):
        self.calls.append([job.number for job in jobs])
        future = Future()
        for job in jobs:
            if job.number == 5:
                future.set_exception(WorkerError("its worker died"))
                return future
            fn((job,), directory)
        future.set_result(((),) * len(jobs))
        return future


def do(executor, jobs, store, failures=None, seen=None):
    return do_phase(
        executor, "notes", jobs, store, [] if failures is None else failures, [].append if seen is None else seen.append
    )


@pytest.fixture
def store(tmp_path):
    found = Store(tmp_path / "run")
    yield found
    found.claims.close()


def test_few_calls_are_handed_out_at_a_time(store):
    jobs = [Note(number) for number in range(20)]
    executor = Slow()
    assert do(executor, jobs, store) == 20
    assert executor.most == 6
    assert len(store.list("cells")) == 20
    assert not any((store.directory / ".claims").iterdir())


def test_a_thousand_jobs_hold_few_claims(store):
    most = []

    class Counting(InProcess):
        def submit(self, fn, *arguments):
            most.append(len(list((store.directory / ".claims").iterdir())))
            return super().submit(fn, *arguments)

    do(Counting(), [Note(number) for number in range(40)], store)
    assert max(most) <= 2


def test_the_long_ones_come_first_and_bundles_are_dealt(store):
    jobs = [Note(number, weight=number) for number in range(8)]
    executor = Deadly()
    do(executor, jobs[:5], store)
    assert executor.calls == [[4, 2, 0], [3, 1]]


def test_a_bundle_that_dies_is_done_again_one_by_one(store):
    failures = []
    executor = Deadly()
    jobs = [Note(number, weight=-number) for number in range(8)]
    assert do(executor, jobs, store, failures) == 8
    assert executor.calls[:2] == [[0, 2, 4, 6], [1, 3, 5, 7]]
    assert sorted(map(tuple, executor.calls[2:])) == [(5,), (7,)]
    assert [(failure.unit, failure.message) for failure in failures] == [("note 5", "its worker died")]
    assert len(store.list("cells")) == 7
    assert not any((store.directory / ".claims").iterdir())


def test_failures_are_collected_and_counted(store):
    failures, seen = [], []
    do(InProcess(), [Note(0), Note(1, wrong=True), Note(2)], store, failures, seen)
    assert [failure.unit for failure in failures] == ["note 1"]
    assert (seen[-1].jobs, seen[-1].of, seen[-1].share) == (3, 3, 1.0)


def test_what_another_process_does_meanwhile_is_not_done_again(store, monkeypatch):
    """Another one holds every second job; while we wait it does them."""
    jobs = [Note(number) for number in range(10)]
    other = Store(store.directory)
    theirs = jobs[::2]
    for job in theirs:
        assert other.claims.take(job.hash)

    def they_work(seconds):
        while theirs:
            job = theirs.pop()
            job.run(other)
            other.claims.give(job.hash)

    monkeypatch.setattr(module.time, "sleep", they_work)
    seen = []
    do(InProcess(), jobs, store, seen=seen)
    assert any(progress.text.startswith("waiting for another process: note") for progress in seen)
    numbers = Counter(store.read("cells", name).header["number"] for name in store.list("cells"))
    assert numbers == Counter(range(10))
    assert seen[-1].jobs == 10


def test_what_is_stored_elsewhere_is_said(store, tmp_path, monkeypatch):
    """A worker whose run directory is another one: it has done its job, and we see nothing of it."""
    monkeypatch.setattr(module, "VISIBLE", 0.0)
    monkeypatch.setattr(module, "PATIENCE", 0.0)

    class Elsewhere(InProcess):
        def submit(self, fn, jobs, directory):
            return super().submit(fn, jobs, str(tmp_path / "elsewhere"))

    with pytest.raises(StoreError, match=r"has done note 0, and what it stored is not seen in .*machines share"):
        do(Elsewhere(), [Note(0)], store)


def test_what_is_seen_late_is_waited_for(store, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 0.0)
    late = iter([True, True])
    monkeypatch.setattr(Note, "todo", lambda self, store: next(late, False) or not store.has("cells", self.hash))
    assert do(InProcess(), [Note(0)], store) == 1
