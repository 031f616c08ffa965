import multiprocessing
import os
import subprocess
import sys
import textwrap
import time
from concurrent.futures import Executor
from pathlib import Path

import pytest

from allroads.errors import InputError
from allroads.studies.config import Engine
from allroads.studies.engines import InProcess, Pool, make_engine, read_engine, window
from allroads.studies.threads import one_thread


def environment():
    return {name: os.environ.get(name) for name in ("XLA_FLAGS", "NPROC", "OMP_NUM_THREADS")}


def is_running(process):
    """Whether it runs: a zombie that nobody has buried does not."""
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes() != b""
    except (FileNotFoundError, ProcessLookupError):
        return False


def assert_ends(process):
    """Within five seconds. Asked of the system: to Python a worker lives until the thread that buried it says so."""
    deadline = time.monotonic() + 5
    while is_running(process):
        assert time.monotonic() < deadline, "the worker lives on"
        time.sleep(0.05)


def fail():
    raise ValueError("no")


def test_in_process_runs_on_submit_and_keeps_errors():
    done = []
    engine = InProcess()
    assert isinstance(engine, Executor)
    future = engine.submit(done.append, 3)
    assert done == [3] and future.done() and future.result() is None
    with pytest.raises(ValueError, match="no"):
        engine.submit(fail).result()


def test_pool_workers_have_one_thread_and_leave_the_parent_alone(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_dump_to=x")
    for name in ("NPROC", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    with Pool(1) as pool:
        found = pool.submit(environment).result()
        assert pool.submit(os.getpid).result() != os.getpid()
        with pytest.raises(ValueError, match="no"):
            pool.submit(fail).result()
    assert found["XLA_FLAGS"].split() == ["--xla_dump_to=x", "--xla_cpu_multi_thread_eigen=false"]
    assert found["OMP_NUM_THREADS"] == found["NPROC"] == "1"
    assert "OMP_NUM_THREADS" not in os.environ


def processor_seconds_of_a_large_product():
    """Processor seconds per second while XLA multiplies large matrices: 2 on two cores."""
    import time

    import jax
    import jax.numpy as jnp

    product = jax.jit(lambda a: a @ a)
    matrix = product(jnp.ones((1024, 1024))).block_until_ready()
    wall, processor = time.perf_counter(), time.process_time()
    for _ in range(10):
        product(matrix).block_until_ready()
    return (time.process_time() - processor) / (time.perf_counter() - wall)


def test_a_worker_computes_on_one_thread(monkeypatch):
    monkeypatch.delenv("NPROC", raising=False)
    with Pool(1) as pool:
        assert pool.submit(processor_seconds_of_a_large_product).result() < 1.3


def test_flags_of_the_user_stand(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=true")
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    for name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(name, "7")
    one_thread()
    one_thread()
    assert os.environ["XLA_FLAGS"] == "--xla_cpu_multi_thread_eigen=true"
    assert os.environ["OMP_NUM_THREADS"] == "4"


def test_a_stopped_pool_ends_its_workers_at_once():
    pool = Pool(1)
    assert pool.submit(pow, 2, 3).result() == 8
    (worker,) = multiprocessing.active_children()
    pool.submit(time.sleep, 60)
    assert is_running(worker.pid)
    pool.stop()
    assert_ends(worker.pid)


def test_workers_end_when_their_parent_is_killed(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(
        textwrap.dedent("""
        import os, time
        from allroads.studies.engines import Pool
        if __name__ == "__main__":
            pool = Pool(1)
            print(pool.submit(os.getpid).result(), flush=True)
            pool.submit(time.sleep, 60)
            time.sleep(60)
        """)
    )
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as parent:
        worker = int(parent.stdout.readline())
        os.kill(worker, 0)
        parent.kill()
    assert_ends(worker)


@pytest.mark.parametrize(
    ("text", "engine"),
    [
        ("auto", Engine()),
        ("process", Engine(kind="process")),
        ("pool", Engine(kind="pool")),
        ("pool:3", Engine(kind="pool", workers=3)),
        ("ray", Engine(kind="ray")),
        ("ray:auto", Engine(kind="ray", address="auto")),
        ("ray:[::1]:6379", Engine(kind="ray", address="[::1]:6379")),
        ("slurm", Engine(kind="slurm")),
        ("slurm:64", Engine(kind="slurm", workers=64)),
    ],
)
def test_engines_by_text(text, engine):
    assert read_engine(text) == engine


@pytest.mark.parametrize("text", ["pool:0", "pool:-1", "pool:x", "process:2", "", "auto:3", "ray:", "slurm:0", "dask"])
def test_other_texts_are_refused(text):
    with pytest.raises(InputError, match="expected auto, process, pool, pool:N, ray, ray:ADDRESS, slurm or slurm:N"):
        read_engine(text)


@pytest.mark.parametrize(("text", "near"), [("pol", "pool"), ("rai", "ray"), ("slrum:3", "slurm")])
def test_the_nearest_engine_is_named(text, near):
    with pytest.raises(InputError, match=f"did you mean '{near}'"):
        read_engine(text)


def test_what_the_text_leaves_open_is_the_studys():
    given = Engine.model_validate({"workers": 5, "slurm": {"partition": "short"}, "address": "a:1"})
    assert read_engine("slurm", given).slurm.partition == "short"
    assert (read_engine("pool", given).workers, read_engine("slurm:8", given).workers) == (5, 8)
    assert (read_engine("ray", given).address, read_engine("ray:b:2", given).address) == ("a:1", "b:2")


def test_no_more_workers_than_jobs(tmp_path):
    with make_engine(Engine(kind="pool", workers=5), 2, tmp_path) as pool:
        assert (pool.workers, window(pool)) == (2, 6)
    assert isinstance(make_engine(Engine(), 1, tmp_path), InProcess)
    assert isinstance(make_engine(Engine(kind="process"), 9, tmp_path), InProcess)
    for kind in ("pool", "ray", "slurm"):
        assert isinstance(make_engine(Engine(kind=kind), 0, tmp_path), InProcess)
