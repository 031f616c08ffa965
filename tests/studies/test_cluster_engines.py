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
from pathlib import Path

import pytest
from made_up_units import entries_of
from stored_bytes import content

from allroads import run_study
from allroads.errors import InputError, WorkerError
from allroads.studies.config import Engine
from allroads.studies.engines import make_engine
from allroads.studies.plan import make_plan
from allroads.studies.store import Store
from allroads.studies.toml import load_study

pytestmark = pytest.mark.usefixtures("process_as_it_was")

FEWER = tuple(f"measures.{name}=false" for name in ("certified", "stages", "directness", "turning", "embedding"))
SEEDS = ("grid.0.seeds=40", *FEWER)
"""Five packs, and the measures chart, values, curves, fit and pairs."""


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
