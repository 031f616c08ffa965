"""Ray and Slurm: the numbers of one process to the last bit, machines that come, go and lack something."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path
from types import SimpleNamespace

import pytest
from made_up_units import entries_of

from allroads import run_study
from allroads.errors import InputError, StoreError, WorkerError
from allroads.studies.config import Engine, Slurm
from allroads.studies.engines import make_engine, node, on_slurm
from allroads.studies.engines.node import at_node, check, study_needs
from allroads.studies.plan import make_plan
from allroads.studies.store import Store
from allroads.studies.toml import load_study

FEWER = tuple(f"measures.{name}=false" for name in ("certified", "stages", "directness", "turning", "embedding"))
SEEDS = ("grid.0.seeds=40", *FEWER)
"""Five packs, and the measures chart, values, curves, fit and pairs."""


def content(directory):
    """Every byte of what the study came to, by file."""
    paths = (path for kind in ("cells", "measures", "tables") for path in (directory / kind).rglob("*"))
    kept = (path for path in paths if path.is_file() and path.name not in ("index.json", "summary.json"))
    return {str(path.relative_to(directory)): path.read_bytes() for path in kept}


def run(study, out, *overrides, engine="process", **options):
    return run_study(study, out, engine, overrides=(*SEEDS, *overrides), report=False, **options)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, shared_study):
    """The small study with more seeds, run undisturbed in this process."""
    return run(shared_study, tmp_path_factory.mktemp("finished") / "run").directory


@pytest.fixture(scope="session")
def cluster():
    """A Ray of one node, to which tests add others."""
    pytest.importorskip("ray", reason="needs Ray: pip install 'allroads[ray]'")
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    yield made
    made.shutdown()


@pytest.fixture
def needs(tmp_path):
    """What a study needs that has no code of the user's own."""
    Store(tmp_path / "run").put("mark", b"")
    return study_needs(tmp_path / "run", "mark", [])


@pytest.fixture(autouse=True)
def _as_it_was(monkeypatch):
    """A check of a node is made for a worker: it changes the environment and the folder of this process."""
    environment, here = dict(os.environ), os.getcwd()
    node._checked.cache_clear()
    yield
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(here)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Ray warns of its own plans
def test_ray_gives_the_same_bytes_while_nodes_die_and_join(cluster, finished, shared_study, tmp_path):
    """One of two nodes is killed in the middle of its packs, a third one joins: nothing is lost or doubled."""
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    happened = []

    def disturb(progress):
        if progress.phase == "trajectories" and progress.jobs == 1 and not happened:
            happened.append(cluster.remove_node(nodes[0], allow_graceful=False))
        if progress.phase == "values" and progress.jobs == 1 and len(happened) == 1:
            happened.append(cluster.add_node(num_cpus=1))

    done = run(shared_study, tmp_path / "run", engine=f"ray:{cluster.address}", progress=disturb)
    assert len(happened) == 2
    assert content(tmp_path / "run") == content(finished)
    assert not any((tmp_path / "run/.claims").iterdir())
    assert (tmp_path / "run/.compiled/jax").is_dir() or os.environ.get("ALLROADS_CACHE")
    provenance = done.summary["provenance"]
    assert provenance["engine"] == f"ray:{cluster.address}" and provenance["device"].startswith("cpu")
    assert provenance["nodes"][0]["processor"]

    # Another engine finishes what is missing.
    store = Store(tmp_path / "run")
    for name in entries_of(store, "fit"):
        shutil.rmtree(store.path("measures", name))
    assert run(shared_study, tmp_path / "run", engine="process").computed["fit"] == 5
    assert content(tmp_path / "run") == content(finished)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_job_that_kills_its_worker_fails_and_the_others_go_on(cluster, study, module, tmp_path, monkeypatch):
    cluster.add_node(num_cpus=1)
    monkeypatch.setenv("DEADLY", "1")
    monkeypatch.setenv("JAX_DEADLY", "1")
    module.write_text(module.read_text().replace('"DEADLY"', '"JAX_DEADLY"'))
    text = study.read_text() + f'\n[[grid.architecture]]\nkind = "factory"\npath = "{module.stem}:deadly_net"\n'
    study.write_text(text)
    with pytest.raises(WorkerError, match=r"deadly_net.*its worker died, 4 times in a row") as error:
        run_study(study, tmp_path / "run", f"ray:{cluster.address}", overrides=["grid.0.seeds=2"], report=False)
    assert error.value.finished.summary["status_counts"] == {"ok": 2}


@pytest.mark.slow
def test_slurm_gives_the_same_bytes(finished, shared_study, tmp_path):
    """By submitit's processes on this machine, two at one time, with the measures that one needs for trajectories."""
    pytest.importorskip("submitit", reason="needs submitit: pip install 'allroads[slurm]'")
    local = ["engine.slurm.cluster=local", "engine.slurm.packs=3"]
    few = [f"measures.{name}=false" for name in ("pairs", "fit", "curves", "values")]
    run(shared_study, tmp_path / "run", *local, *few, engine="slurm:2")
    cells = {name: text for name, text in content(tmp_path / "run").items() if name.startswith("cells")}
    assert cells == {name: text for name, text in content(finished).items() if name.startswith("cells")}
    told = list((tmp_path / "run/.slurm").rglob("*_submitted.pkl"))
    assert len(told) >= 2


def test_no_ray_and_no_submitit_name_their_extras(monkeypatch, tmp_path, shared_study):
    for kind, package in (("ray", "ray"), ("slurm", "submitit")):
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(InputError, match=rf"engine {kind}: .* not installed.*pip install 'allroads\[{kind}\]'"):
            run(shared_study, tmp_path / "run", engine=kind)
    assert not (tmp_path / "run").exists()


@pytest.fixture
def silent():
    """A port at which somebody listens who is not Ray."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


@pytest.mark.parametrize("address", ["ray://here:10001", "here", "here:99999", "a b:1", "http://here:80"])
def test_what_is_no_address_is_refused(address, tmp_path):
    pytest.importorskip("ray", reason="needs Ray: pip install 'allroads[ray]'")
    with pytest.raises(InputError, match=r"the address .* expected host:port"):
        make_engine(Engine(kind="ray", address=address), 1, tmp_path)


def test_a_name_that_no_machine_can_have_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no cluster at a\.\.b:80"):
        make_engine(Engine(kind="ray", address="a..b:80"), 1, tmp_path)


def test_no_cluster_at_the_address_is_said_within_seconds(silent, tmp_path, shared_study, monkeypatch):
    pytest.importorskip("ray", reason="needs Ray: pip install 'allroads[ray]'")
    from allroads.studies.engines import on_ray

    monkeypatch.setattr(on_ray, "ANSWER", 0.5)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        closed = free.getsockname()[1]
    began = time.monotonic()
    no_ray = r"what answers at 127\.0\.0\.1:\d+ is not Ray: it said nothing for 0\.5 s\. Give the address"
    for port, said in ((closed, "no cluster at .* Start one there with `ray start --head`"), (silent, no_ray)):
        with pytest.raises(InputError, match=said):
            run(shared_study, tmp_path / "run", engine=f"ray:127.0.0.1:{port}")
    assert time.monotonic() - began < 20
    assert not (tmp_path / "run").exists()


def test_what_answers_and_is_not_ray_is_named(tmp_path):
    pytest.importorskip("ray", reason="needs Ray: pip install 'allroads[ray]'")
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()

        def answer():
            for said in (b"220 mail", b""):
                connection, _ = server.accept()
                with connection:
                    connection.sendall(said)

        thread = threading.Thread(target=answer)
        thread.start()
        for _ in ("a mail server", "one that hangs up"):
            with pytest.raises(InputError, match=r"what answers at 127\.0\.0\.1:\d+ is not Ray\. Give the address"):
                make_engine(Engine(kind="ray", address=f"127.0.0.1:{server.getsockname()[1]}"), 1, tmp_path)
        thread.join()


def test_no_slurm_here_is_said(tmp_path, shared_study, monkeypatch):
    pytest.importorskip("submitit", reason="needs submitit: pip install 'allroads[slurm]'")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"engine slurm: .*login node.*engine\.slurm\.cluster=local"):
        run(shared_study, tmp_path / "run", engine="slurm")
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

    before = signal.signal(signal.SIGUSR2, signal.default_int_handler)
    try:
        assert on_slurm._in_time(warned) == 5
        assert signal.getsignal(signal.SIGUSR2) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGUSR2, before)


@pytest.mark.parametrize(
    ("package", "said"),
    [("jax", "jax 0.1, not"), ("python", "python 0.1, not"), ("allroads", "allroads 0.1, not"), ("optax", "missing")],
)
def test_other_versions_on_a_node_are_refused(needs, monkeypatch, package, said):
    there = dict(needs.versions) | {package: "0.1"}
    if said == "missing":
        del there[package]
    monkeypatch.setattr(node, "versions", lambda: there)
    monkeypatch.setattr(node.platform, "node", lambda: "node17")
    answer = at_node(needs, check)
    assert isinstance(answer.error, InputError)
    for part in ("node17", said, "install the same versions"):
        assert part in str(answer.error)


def test_another_source_of_allroads_on_a_node_is_refused(needs, monkeypatch):
    monkeypatch.setattr(node, "code_digest", lambda: "another")
    assert "another source of allroads" in str(at_node(needs, check).error)


def test_torch_may_be_missing_on_a_node_but_not_differ(needs, monkeypatch):
    there = dict(needs.versions)
    there.pop("torch", None)
    monkeypatch.setattr(node, "versions", lambda: there)
    assert at_node(needs, check).error is None
    node._checked.cache_clear()
    monkeypatch.setattr(node, "versions", lambda: there | {"torch": "1.0"})
    assert ("torch 1.0" in str(at_node(needs, check).error)) == ("torch" in dict(needs.versions))


def test_a_node_that_does_not_see_the_directory_is_named(needs, tmp_path, monkeypatch):
    monkeypatch.setattr(node, "ARRIVAL", 0.1)
    shutil.move(tmp_path / "run", tmp_path / "moved")
    error = at_node(needs, check).error
    assert isinstance(error, StoreError) and "does not see the run directory" in str(error)


def test_a_node_that_may_not_write_is_named(needs, monkeypatch):
    from allroads.studies import store

    def refused(path, content):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(store, "_write_synced", refused)
    error = at_node(needs, check).error
    assert isinstance(error, StoreError)
    assert "on the node" in str(error) and "no permission" in str(error)


def test_a_node_without_the_users_module_is_named(tmp_path, needs):
    """The module is missing, another one, or imports what is not there."""
    from dataclasses import replace

    name, folder = f"own_{uuid.uuid4().hex[:8]}", tmp_path / "study"
    folder.mkdir()
    asked = replace(needs, modules=((f"{name}:net", str(folder), "0" * 64),))
    error = at_node(asked, check).error
    assert isinstance(error, InputError)
    for said in ("the node ", f"there is no module {name!r}", f"Looked for in {folder}", "all machines see it"):
        assert said in str(error)
    (folder / f"{name}.py").write_text("import not_to_be_had\n")
    assert "the module is another one" in str(at_node(asked, check).error)
    from allroads.studies.parts import importable, source_digest

    with importable(str(folder)):
        code = source_digest(f"{name}:net")
    asked = replace(needs, modules=((f"{name}:net", str(folder), code),))
    assert "No module named 'not_to_be_had'" in str(at_node(asked, check).error)


def test_workers_compute_as_is_said_where_the_study_was_started(needs, tmp_path, monkeypatch):
    monkeypatch.delenv("ALLROADS_CACHE", raising=False)
    monkeypatch.setenv("JAX_ENABLE_X64", "false")
    asked = dict(study_needs(tmp_path / "run", "mark", []).environment)
    assert asked["ALLROADS_CACHE"] == str(tmp_path / "run" / ".compiled")
    assert asked["JAX_ENABLE_X64"] == "false" and "PATH" not in asked
    monkeypatch.setenv("ALLROADS_CACHE", "off")
    assert dict(study_needs(tmp_path / "run", "mark", []).environment)["ALLROADS_CACHE"] == "off"


def test_a_refusal_on_a_machine_is_raised_here_and_its_node_kept(needs):
    from concurrent.futures import Future

    from allroads.studies.engines.cluster import Cluster

    class Here(Cluster):
        def _send(self, future: Future, call, *arguments):
            self._answered(future, call(*arguments))

    engine = Here()
    engine.start(needs)
    assert engine.submit(pow, 2, 5).result() == 32
    (seen,) = engine.nodes
    assert seen.device.startswith("cpu")

    def refused():
        raise StoreError("the disk is full")

    with pytest.raises(StoreError, match="the disk is full"):
        engine.submit(refused).result()


def test_a_node_that_left_before_it_was_looked_at_is_passed_over():
    pytest.importorskip("ray", reason="needs Ray: pip install 'allroads[ray]'")
    from ray import exceptions

    from allroads.studies.engines.on_ray import RayEngine

    def get(answer):
        if isinstance(answer, Exception):
            raise answer
        return answer

    engine = object.__new__(RayEngine)
    engine._ray = SimpleNamespace(exceptions=exceptions, get=get)
    left = exceptions.TaskUnschedulableError("no such node"), exceptions.NodeDiedError("it died")
    assert [engine._has_left(ref) for ref in (*left, ValueError("its own"), "an answer")] == [True, True, False, False]


@pytest.mark.slow
def test_ctrl_c_ends_a_ray_of_ones_own(study, module, tmp_path):
    """Its processes end, and the next command goes on."""
    pytest.importorskip("ray", reason="needs Ray: pip install 'allroads[ray]'")
    hear = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    main = f"{hear}; from allroads.cli import main; main()"
    slow = f"grid.0.architecture.0.path={module.stem}:slow_net"
    command = [sys.executable, "-c", main, "run", str(study), "--out", str(tmp_path / "run"), "--no-report"]
    with subprocess.Popen([*command, "--engine", "ray", "--set", slow], stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr:
            if line.startswith("trajectories 0/2"):
                break
        time.sleep(2.0)
        before = _children(process.pid)
        assert before
        process.send_signal(signal.SIGINT)
        _, rest = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Interrupted. Finished cells are kept: run the same command again" in rest
    assert "Traceback" not in rest
    deadline = time.monotonic() + 10
    while alive := [child for child in before if Path(f"/proc/{child}").exists()]:
        assert time.monotonic() < deadline, f"{alive} live on"
        time.sleep(0.1)
    assert not any((tmp_path / "run/.claims").iterdir())
    assert json.loads(next((tmp_path / "run/provenance").glob("*.json")).read_text())["finished"] is None


@pytest.mark.slow
def test_after_ctrl_c_on_ray_the_same_command_goes_on(finished, shared_study, tmp_path):
    """What was stored is whole and is not done again; the end is that of an undisturbed run, byte for byte."""
    pytest.importorskip("ray", reason="needs Ray: pip install 'allroads[ray]'")
    hear = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    main = f"{hear}; from allroads.cli import main; main()"
    command = [sys.executable, "-c", main, "run", str(shared_study), "--out", str(tmp_path / "run"), "--no-report"]
    command += ["--engine", "ray", "--json", *(word for key in SEEDS for word in ("--set", key))]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        for line in process.stderr:
            if line.startswith("trajectories 1/5"):
                break
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 130
    store = Store(tmp_path / "run")
    cells = {cell: store.path("cells", cell).stat().st_mtime_ns for cell in store.list("cells")}
    assert 8 <= len(cells) <= 40 and not any((tmp_path / "run/.claims").iterdir())
    for cell in cells:
        store.read("cells", cell).verify()

    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    whole = sum(all(cell in cells for cell in pack) for pack in _packs(shared_study))
    assert json.loads(done.stdout)["computed"]["trajectories"] == 5 - whole < 5
    assert content(tmp_path / "run") == content(finished)
    assert {cell: store.path("cells", cell).stat().st_mtime_ns for cell in cells} == cells
    assert not any((tmp_path / "run/.claims").iterdir()) and not any((tmp_path / "run/.tmp").iterdir())


def _packs(study):
    return [cells for one in make_plan(*load_study(study, SEEDS)).combinations for _, cells in one.packs()]


def _children(parent):
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()
            if int(fields[1]) == parent:
                found.append(int(path.parent.name))
    return found
