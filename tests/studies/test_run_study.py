import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from made_up_units import counted, entries_of
from stored_bytes import content

from allroads import run_study
from allroads.errors import ConfigError, StoreError, WorkerError
from allroads.studies import jobs
from allroads.studies import run as module
from allroads.studies import tables as tables_module
from allroads.studies.built import built
from allroads.studies.graph import plan_study
from allroads.studies.measures.registry import known_measures
from allroads.studies.plan import make_plan
from allroads.studies.store import SCHEMA_VERSION, Store, arrays_bytes, table_bytes
from allroads.studies.tables import make_tables, schemas
from allroads.studies.toml import load_study
from allroads.studies.weights import load_params

TABLES = ("runs", "curves", "pairs", "embedding")


def run(study, out, *overrides, engine="process", **options):
    return run_study(study, out, engine, overrides=overrides, report=False, **options)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, shared_study):
    """The small study, run undisturbed in this process."""
    directory = tmp_path_factory.mktemp("finished") / "run"
    return run(shared_study, directory)


@pytest.fixture
def copy_of(finished, tmp_path):
    """A copy of the finished run directory."""
    return Path(shutil.copytree(finished.directory, tmp_path / "copy"))


def test_tables_hold_what_the_cells_hold(finished, shared_study):
    store = Store(finished.directory)
    tables = {name: pl.read_parquet(finished.directory / f"tables/{name}.parquet") for name in TABLES}
    columns = schemas(known_measures().values())
    for name in TABLES:
        assert dict(tables[name].schema) == columns[name]
    plan = make_plan(*load_study(shared_study))
    runs = tables["runs"]
    assert runs["cell"].to_list() == plan.cells == [cell for cell in plan.cells if store.has("cells", cell)]
    assert runs["seed"].to_list() == list(range(10))
    assert runs["parameters"].unique().to_list() == [3 * 4 + 4 * 2]
    assert runs["status"].unique().to_list() == ["ok"]
    assert (tables["pairs"].height, tables["curves"].height) == (45, 60)
    assert set(tables["embedding"]["run"].drop_nulls()) == set(runs["run"])
    graph = plan_study(*load_study(shared_study))[1]
    for name, along in (("curves", "train_loss"), ("certified", "certified")):
        stored = pl.concat(
            [
                store.read("measures", chunk).table("along.parquet")[along]
                for chunk in dict.fromkeys(place.chunk for place in graph.nodes[name].places)
            ]
        )
        assert tables["curves"][along].to_list() == stored.to_list()
    last = tables["curves"].group_by("run", maintain_order=True).last()
    assert runs["train_loss"].to_list() == last["train_loss"].to_list()
    for place in graph.nodes["values"].places:
        arrays = store.read("measures", place.chunk).arrays("arrays.safetensors")
        assert arrays["0.values"].shape == (6, 8, 2) and arrays["0.labels"].shape == (8,)


def test_the_last_weights_give_the_last_values(finished, shared_study):
    """What is stored belongs together: F(last weights) on the probes is the last row of the values."""
    plan = make_plan(*load_study(shared_study))
    combination, store = plan.combinations[0], Store(finished.directory)
    target, network = built(combination.recipe)
    places = plan_study(*load_study(shared_study))[1].nodes["values"].places
    for index, cell in enumerate(combination.cells):
        entry = store.read("cells", cell)
        values = store.read("measures", places[index].chunk).arrays("arrays.safetensors")[f"{index % 8}.values"]
        outputs = network.apply(load_params(entry, network, -1), target.full.inputs)
        np.testing.assert_allclose(np.asarray(outputs), values[-1], atol=1e-5)
        other = replace(combination.recipe.architecture, options=combination.recipe.architecture.options | {"width": 5})
        with pytest.raises(StoreError, match="another architecture"):
            load_params(entry, other.build(target.interface), -1)


def test_a_finished_study_computes_nothing(finished, shared_study, monkeypatch):
    monkeypatch.setattr(jobs, "perform", None)
    seen = []
    again = run(shared_study, finished.directory, progress=seen.append)
    assert not any(again.computed.values()) and not seen
    assert again.summary == finished.summary
    runs = ("trajectories", "chart", "values", "curves", "fit", "certified", "stages", "directness", "turning")
    assert finished.computed == {**dict.fromkeys(runs, 2), "pairs": 1, "embedding": 1}


def test_the_summary_says_what_was_asked_and_what_it_took(finished, shared_study):
    summary = finished.summary
    assert (summary["name"], summary["schema_version"]) == ("small", SCHEMA_VERSION)
    (grid,) = summary["grids"]
    (target,) = grid["targets"]
    assert (target["name"], target["loss"]) == ("parity of 3", "cross_entropy")
    assert (target["train_examples"], target["held_out_examples"]) == (6, 2)
    assert summary["status_counts"] == {"ok": 10}
    assert summary["cost"]["gradients"] == 200 and summary["cost"]["examples"] == 200 * 6
    assert {"python", "jax", "allroads"} <= set(summary["provenance"]["versions"])
    import tomllib

    assert load_study(tomllib.loads(summary["config_toml"]))[0] == load_study(shared_study)[0]
    (record,) = (finished.directory / "provenance").glob("*.json")
    record = json.loads(record.read_text())
    assert record["seconds"] > 0 and record["finished"] and record["device"].startswith("cpu")
    assert finished.summary["findings"]


@pytest.mark.slow
def test_engines_agree_bit_for_bit(finished, shared_study, tmp_path):
    pooled = run(shared_study, tmp_path / "pool", engine="pool:2")
    assert content(pooled.directory) == content(finished.directory)
    with ThreadPoolExecutor(2) as threads:
        threaded = run(shared_study, tmp_path / "threads", engine=threads)
        assert threads.submit(pow, 2, 3).result() == 8  # it is left open
    assert content(threaded.directory) == content(finished.directory)


def test_what_is_missing_is_computed_again_bit_for_bit(finished, shared_study, copy_of):
    before = content(copy_of)
    cells = Store(copy_of).list("cells")
    for cell in cells[:3]:
        shutil.rmtree(Store(copy_of).path("cells", cell))
    store = Store(copy_of)
    for name in entries_of(store, "pairs"):
        shutil.rmtree(store.path("measures", name))
    (copy_of / "tables/runs.parquet").unlink()
    again = run(shared_study, copy_of)
    assert again.computed["pairs"] == 1 and again.computed["embedding"] == 0
    assert content(copy_of) == before


def test_more_seeds_add_to_what_is_there(finished, shared_study, copy_of):
    times = {path: path.stat().st_mtime_ns for path in (copy_of / "cells").rglob("cell.json")}
    more = run(shared_study, copy_of, "grid.0.seeds=12")
    assert more.computed["trajectories"] == 1
    assert len(pl.read_parquet(copy_of / "tables/runs.parquet")) == 12
    assert all(path.stat().st_mtime_ns == time for path, time in times.items())
    fewer = run(shared_study, copy_of)
    assert counted(fewer) == {}
    assert (copy_of / "tables/runs.parquet").read_bytes() == (finished.directory / "tables/runs.parquet").read_bytes()


@pytest.mark.parametrize("kind", ["cells", "measures"])
def test_an_altered_file_stops_the_run_with_the_remedy(shared_study, copy_of, kind):
    store = Store(copy_of)
    folder = store.path(kind, store.list(kind)[0])
    path = max((path for path in folder.iterdir() if path.suffix != ".json"), key=lambda path: path.name)
    content_before = path.read_bytes()
    path.write_bytes(content_before[:-1] + bytes([content_before[-1] ^ 1]))
    before = content(copy_of)
    with pytest.raises(StoreError, match=r"was altered.*Delete the folder .* and run the same command again") as error:
        run(shared_study, copy_of)
    assert str(path) in str(error.value)
    assert content(copy_of) == before
    shutil.rmtree(folder)
    run(shared_study, copy_of)


def test_a_newer_run_directory_and_a_foreign_one_are_refused(shared_study, copy_of, tmp_path):
    study = json.loads((copy_of / "study.json").read_text())
    (copy_of / "study.json").write_text(json.dumps(study | {"schema_version": SCHEMA_VERSION + 1}))
    (copy_of / "tables/index.json").unlink()
    with pytest.raises(StoreError, match=rf"study\.json has schema version {SCHEMA_VERSION + 1}"):
        run(shared_study, copy_of)
    foreign = tmp_path / "photos"
    foreign.mkdir()
    (foreign / "cat.jpg").touch()
    with pytest.raises(StoreError, match="not empty and not the directory of a study"):
        run(shared_study, foreign)
    with pytest.raises(StoreError, match="is a file"):
        run(shared_study, foreign / "cat.jpg")


@pytest.mark.slow
def test_a_factory_that_fails_leaves_the_others_alone(study, module, tmp_path):
    toml = study.read_text() + f'\n[[grid.architecture]]\nkind = "factory"\npath = "{module.stem}:broken_net"\n'
    study.write_text(toml)
    with pytest.raises(WorkerError) as error:
        run(study, tmp_path / "run", "grid.0.seeds=2", engine="pool:2")
    for said in ("study 'small'", "parity of 3", "cells ", "broken_net", "RuntimeError: the flux capacitor is missing"):
        assert said in str(error.value)
    assert len(Store(tmp_path / "run").list("cells")) == 2
    runs = pl.read_parquet(tmp_path / "run/tables/runs.parquet")
    assert runs["architecture"].to_list() == ["tanh_net"] * 2
    with pytest.raises(WorkerError, match="broken_net"):
        run(study, tmp_path / "run", "grid.0.seeds=2")


def test_a_worker_that_dies_is_said_and_the_study_resumes(study, module, tmp_path, monkeypatch):
    deadly = f"grid.0.architecture.0.path={module.stem}:deadly_net"
    monkeypatch.setenv("DEADLY", "1")
    with pytest.raises(WorkerError, match=r"a worker process died.*parity of 3.*run the same command again"):
        run(study, tmp_path / "run", deadly, engine="pool:1")
    monkeypatch.delenv("DEADLY")
    assert run(study, tmp_path / "run", deadly).computed["trajectories"] == 2


def test_a_bad_study_leaves_no_directory(study, tmp_path):
    with pytest.raises(ConfigError):
        run(study, tmp_path / "run", "grid.0.explorer.0.learning_rate=-1.0")
    assert not (tmp_path / "run").exists()


def test_a_diverging_run_is_stored_with_its_status(study, module, tmp_path):
    wild = ["grid.0.explorer.0.kind=sgd", "grid.0.explorer.0.learning_rate=1e30", "grid.0.loss=mse", "grid.0.seeds=2"]
    study.write_text(study.read_text().replace(":parity", ":numbers"))
    module.write_text(
        module.read_text() + "\n\ndef numbers() -> Target:\n    inputs = [[0.0], [1.0], [2.0]]\n"
        '    return Target("numbers", inputs=inputs, labels=[0.5, 1.25, 3.75], loss="mse", train_fraction=1)\n'
    )
    result = run(study, tmp_path / "run", *wild)
    runs = pl.read_parquet(tmp_path / "run/tables/runs.parquet")
    assert result.summary["status_counts"] == {"diverged": 2}
    assert runs["last_step"].max() < 20
    assert runs["held_out_loss"].null_count() == runs["held_out_accuracy"].null_count() == 2


@pytest.mark.slow
def test_two_processes_share_a_directory(finished, shared_study, tmp_path):
    """Both end well, no pack is run twice, and the tables are those of one process."""
    command = command_line(shared_study, tmp_path / "run", "--engine", "process", "--json")
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    results = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], results
    assert content(tmp_path / "run") == content(finished.directory)
    assert not any((tmp_path / "run/.tmp").iterdir())


@pytest.mark.parametrize("batch", [1, 3, 1000])
def test_tables_do_not_hang_on_how_many_entries_are_read_at_once(finished, shared_study, tmp_path, monkeypatch, batch):
    """In a folder whose name would be a pattern, and a key of a partition; with entries that are missing."""
    folder = Path(shutil.copytree(finished.directory, tmp_path / "odd [1] *" / "key=value"))
    monkeypatch.setattr(tables_module, "BATCH", batch)
    _, graph = plan_study(*load_study(shared_study))
    for name, table in make_tables(graph, Store(folder)).items():
        assert table_bytes(table) == (folder / f"tables/{name}.parquet").read_bytes()
    store = Store(folder)
    shutil.rmtree(store.path("cells", graph.runs[4].cell))
    shutil.rmtree(store.path("measures", graph.nodes["curves"].places[0].chunk))
    found = make_tables(graph, store)
    whole = {name: pl.read_parquet(folder / f"tables/{name}.parquet", glob=False) for name in found}
    assert found["runs"]["seed"].to_list() == [seed for seed in range(10) if seed != 4]
    assert found["runs"]["train_loss"].null_count() == 7 and found["curves"]["train_loss"].null_count() == 7 * 6
    kept = whole["curves"].filter(pl.col("run").is_in(found["runs"]["run"].tail(2).implode()))
    assert found["curves"].tail(12).equals(kept, null_equal=True)


def test_of_several_commands_the_first_makes_the_tables(copy_of, shared_study, monkeypatch):
    """A command that began before the study was finished, and comes to the tables after another one has made them."""
    real = module.read_finished
    monkeypatch.setattr(module, "read_finished", lambda *asked: real(*asked) if seen else None)
    seen = []
    monkeypatch.setattr(module, "do_phase", lambda *phase: seen.append(phase[1]) or 0)
    monkeypatch.setattr("allroads.studies.tables.make_tables", lambda *_: pytest.fail("made once more"))
    before = content(copy_of)
    done = run(shared_study, copy_of)
    assert seen and done.summary["status_counts"] == {"ok": 10}
    assert content(copy_of) == before


def command_line(study, directory, *more):
    # A job in the background is started deaf to Ctrl-C: hear it, as one in the foreground does.
    hear = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    main = f"{hear}; from allroads.cli import main; main()"
    return [sys.executable, "-c", main, "run", str(study), "--out", str(directory), "--no-report", *more]


@pytest.mark.slow
def test_five_kills_lose_and_double_nothing(finished, shared_study, tmp_path):
    """``kill -9`` of the whole process group at random moments; each time the study goes on."""
    directory, chance, kills = tmp_path / "run", random.Random(0), 0
    longest = 6.0
    while kills < 5:
        command = command_line(shared_study, directory, "--engine", "pool:2")
        process = subprocess.Popen(
            command, start_new_session=True, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        try:
            process.wait(chance.uniform(0.5, longest))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            kills += 1
            for cell in Store(directory).list("cells"):
                Store(directory).read("cells", cell).verify()
        else:
            assert process.returncode == 0
            shutil.rmtree(directory)
            longest = max(1.0, longest * 0.7)
    run(shared_study, directory)
    assert content(directory) == content(finished.directory)
    assert not any((directory / ".tmp").iterdir())


@pytest.mark.parametrize("engine", ["process", "pool:1"])
def test_ctrl_c_stops_at_once_and_says_how_to_go_on(study, module, tmp_path, engine):
    slow = ("--set", f"grid.0.architecture.0.path={module.stem}:slow_net")
    with subprocess.Popen(
        command_line(study, tmp_path / "run", "--engine", engine, *slow),
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr.readline().startswith("trajectories 0/2")
        time.sleep(1.0)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, rest = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Interrupted. Finished cells are kept: run the same command again" in rest
    assert "Traceback" not in rest
    assert time.monotonic() - began < 5


@pytest.mark.slow
def test_a_full_disk_in_a_worker_stops_the_run(study, tmp_path, monkeypatch):
    from allroads.studies import store

    written = store._write_synced

    def full(path, content):
        if path.name == "weights.safetensors":
            raise OSError(28, "No space left on device")
        written(path, content)

    monkeypatch.setattr(store, "_write_synced", full)
    with pytest.raises(StoreError, match=r"the disk is full.*finished cells are kept"):
        run(study, tmp_path / "run")
    monkeypatch.undo()
    assert run(study, tmp_path / "run").computed["trajectories"] == 2


def test_a_pack_that_another_process_holds_is_waited_for(shared_study, finished, copy_of):
    """The claim is given back after a while, with the work undone: then it is ours."""
    store, seen = Store(copy_of), []
    graph = plan_study(*load_study(shared_study))[1]
    (job,) = jobs.MeasureJobs("small", graph, graph.nodes["embedding"])
    shutil.rmtree(store.path("measures", job.hash))
    waiting = threading.Event()

    def watch(progress):
        seen.append(progress.text)
        if progress.text.startswith("waiting for another process"):
            waiting.set()

    def hold(ready):
        assert store.claims.take(job.hash)
        ready.set()
        assert waiting.wait(30)
        store.claims.give(job.hash)

    ready = threading.Event()
    holder = threading.Thread(target=hold, args=(ready,))
    holder.start()
    ready.wait(10)
    assert run(shared_study, copy_of, progress=watch).computed["embedding"] == 1
    holder.join()
    assert content(copy_of) == content(finished.directory)


def test_values_of_another_architecture_do_not_fit(finished, tmp_path):
    """A swapped file is caught by its checksum before anything is made of it."""
    store = Store(finished.directory)
    entry = store.read("cells", store.list("cells")[0])
    copied = Path(shutil.copytree(entry.path, tmp_path / entry.path.name))
    (copied / "weights.safetensors").write_bytes(arrays_bytes({"in": np.zeros((2, 9, 9), np.float32)}))
    with pytest.raises(StoreError, match=r"weights\.safetensors is truncated|weights\.safetensors was altered"):
        type(entry)(copied, entry.header).arrays("weights.safetensors")
