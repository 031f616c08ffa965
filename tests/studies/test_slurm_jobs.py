"""Slurm: what is asked of it, what it refuses, and jobs that it loses."""

import os
import signal
import time

import pytest

from allroads import run_study
from allroads.errors import InputError, WorkerError
from allroads.studies.config import Engine, Slurm
from allroads.studies.engines import make_engine, on_slurm

pytestmark = pytest.mark.usefixtures("process_as_it_was")


def test_no_slurm_here_is_said(tmp_path, shared_study, monkeypatch):
    pytest.importorskip("submitit", reason="needs submitit: pip install 'allroads[slurm]'")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"engine slurm: .*login node.*engine\.slurm\.cluster=local"):
        run_study(shared_study, tmp_path / "run", "slurm", report=False)
    assert not (tmp_path / "run").exists()


def test_what_is_asked_of_slurm_reaches_sbatch(tmp_path, monkeypatch):
    pytest.importorskip("submitit", reason="needs submitit: pip install 'allroads[slurm]'")
    from submitit.slurm import slurm

    monkeypatch.setattr(slurm.SlurmExecutor, "affinity", classmethod(lambda cls: 2))
    asked = {"partition": "short", "minutes": 90, "cpus": 2, "memory_gb": 1.5, "more": {"account": "mine"}}
    engine = make_engine(Engine(kind="slurm", workers=8, slurm=Slurm.model_validate(asked)), 1, tmp_path)
    text = engine._executor._executor._make_submission_file_text("python", "abc")
    for line in ("partition=short", "time=90", "cpus-per-task=2", "mem=1536MB", "account=mine"):
        assert f"#SBATCH --{line}" in text
    assert (engine.window(), engine.bundle(800), engine.bundle(3)) == (8, 50, 1)


def test_what_sbatch_refuses_is_said(tmp_path, monkeypatch, needs):
    pytest.importorskip("submitit", reason="needs submitit: pip install 'allroads[slurm]'")
    for name, told in (("srun", ""), ("sbatch", "sbatch: error: invalid partition specified: shrt")):
        (tmp_path / name).write_text(f"#!/bin/sh\necho '{told}' >&2\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    engine = make_engine(Engine(kind="slurm", slurm=Slurm(partition="shrt")), 1, tmp_path)
    engine.start(needs)
    with pytest.raises(InputError, match=r"could not be submitted: .*invalid partition specified: shrt.*engine\.slurm"):
        engine.submit(pow, 2, 5)
    engine.shutdown()


def test_a_job_that_slurm_lists_no_longer_has_ended(tmp_path, monkeypatch, needs):
    """Whether Slurm keeps accounts or not: a job that waits, or of which nothing is known, has not ended."""
    pytest.importorskip("submitit", reason="needs submitit: pip install 'allroads[slurm]'")
    for name, does in (("srun", ""), ("sbatch", "echo Submitted batch job 7"), ("squeue", f". {tmp_path}/queue")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{does}\n")
        (tmp_path / name).chmod(0o755)
    queue = tmp_path / "queue"
    queue.write_text("echo 7\n")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(on_slurm, "QUEUE", 0.02)
    monkeypatch.setattr(on_slurm, "POLL", 0.01)
    looks = []
    engine = make_engine(Engine(kind="slurm", slurm=Slurm(partition="short")), 1, tmp_path)
    look = engine._queued
    monkeypatch.setattr(engine, "_queued", lambda: looks.append(look()) or looks[-1])

    def after_looks(more):
        until = len(looks) + more
        while len(looks) < until:
            time.sleep(0.01)

    engine.start(needs)
    future = engine.submit(pow, 2, 5)
    after_looks(6)
    queue.write_text("echo slurmctld is away >&2; exit 1\n")
    after_looks(6)
    assert {"7"} in looks and None in looks and not future.done()
    queue.write_text("echo 8\n")
    with pytest.raises(WorkerError, match=r"job 7 ended without an answer.*lists it no longer.*scontrol show job 7"):
        future.result(timeout=30)
    engine.shutdown()


@pytest.mark.skipif(not hasattr(signal, "SIGUSR2"), reason="Slurm's warning is a signal that this system does not have")
def test_the_end_of_a_jobs_time_is_no_failure_of_a_pack():
    def warned():
        os.kill(os.getpid(), signal.SIGUSR2)
        return 5

    def broken_off(*_):
        raise RuntimeError("timed-out and not checkpointable")

    before = signal.signal(signal.SIGUSR2, broken_off)
    try:
        assert on_slurm._in_time(warned) == 5
        assert signal.getsignal(signal.SIGUSR2) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGUSR2, before)
