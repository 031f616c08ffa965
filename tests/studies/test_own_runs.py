"""A study whose runs are the user's own: from a training loop to tables and a report, and what is refused."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from made_up_units import counted, entries_of
from own_run_files import ALLROADS, EQUINOX, FLAX, NO_TORCH, NORMED, tables, write_module
from safetensors.numpy import load_file, save_file

from allroads import run_study
from allroads.errors import ConfigError
from allroads.explorers.recorder import Recorder
from allroads.studies.store import Store
from allroads.studies.trajectories import TrajectoryJob

NETWORKS = """
import jax.numpy as jnp

from allroads import Network


def line():
    init = lambda key: {"w": jnp.zeros((2, 2)), "b": jnp.zeros(2)}
    return Network(init, lambda p, x: x @ p["w"] + p["b"], name="line")


def without_a_start():
    def init(key):
        raise ValueError("no start")

    return Network(init, line().apply), {"w": jnp.zeros((2, 2)), "b": jnp.zeros(2)}


def broken():
    raise RuntimeError("the flux capacitor is missing")
"""

# ------------------------------------------------------------------------------------ runs whose truth is written down


@pytest.fixture
def folder(tmp_path):
    """Two seeds of a linear classifier at three steps, its data and the module that makes it."""
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(30, 2)).astype("float32")
    np.savez(tmp_path / "data.npz", inputs=inputs, labels=(inputs[:, 0] > 0).astype(int))
    for seed in range(2):
        for step, size in ((0, 0.01), (10, 1.0), (50, 4.0)):
            weights = size * np.array([[-1, 1], [0.1 * seed, 0]], "float32")
            write_checkpoint(tmp_path / f"mine/seed{seed}/step{step}.safetensors", weights)
    return tmp_path


def write_checkpoint(path, weights, **more):
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({"w": weights, "b": np.zeros(weights.shape[1], "float32"), **more}, path)


@pytest.fixture
def study(folder):
    name = write_module(folder, NETWORKS)
    own = {"name": "lines", "checkpoints": "mine", "network": f"{name}:line", "data": "data.npz"}
    few = dict.fromkeys(("embedding", "certified", "stages", "turning"), False)
    return {"name": "own", "measures": few, "runs": [{**own, "loss": "cross_entropy"}]}


@pytest.fixture
def run(folder, study, monkeypatch):
    """Run the study with other keys in its runs."""
    monkeypatch.chdir(folder)

    def call(out="out", overrides=(), **keys):
        own = {**study["runs"][0], **keys}
        config = {**study, "runs": [{k: v for k, v in own.items() if v is not None}]}
        return run_study(config, out, "process", overrides=overrides, report=False)

    return call


def test_a_change_of_measures_reads_no_checkpoint_again(run):
    first = counted(run())
    assert first["trajectories"] == 2 and first["pairs"] == 1
    assert counted(run()) == {}
    assert counted(run(overrides=["measures.fit.threshold=0.5"])) == {"fit": 1}
    options = {"fit": {"threshold": 0.9}}
    assert counted(run(measures=options)) == {"fit": 1}


@pytest.mark.parametrize("changed", ["bytes", "step", "network", "data", "loss"])
def test_what_decides_a_cell_gives_it_another_name(run, folder, study, changed):
    before = set(tables(run().directory)["runs"]["cell"])
    keys = {}
    if changed == "bytes":
        write_checkpoint(folder / "mine/seed0/step10.safetensors", np.ones((2, 2), "float32"))
    elif changed == "step":
        for seed in range(2):
            (folder / f"mine/seed{seed}/step10.safetensors").rename(folder / f"mine/seed{seed}/step11.safetensors")
    elif changed == "network":
        keys["network"] = f"{write_module(folder, NETWORKS + '# another source')}:line"
    elif changed == "data":
        inputs = np.random.default_rng(1).normal(size=(30, 2)).astype("float32")
        np.savez(folder / "data.npz", inputs=inputs, labels=(inputs[:, 0] > 0).astype(int))
    else:
        keys["loss"] = "mse"
        keys["data"] = "other.npz"
        arrays = dict(np.load(folder / "data.npz"))
        np.savez(folder / "other.npz", inputs=arrays["inputs"], labels=np.eye(2, dtype="float32")[arrays["labels"]])
    again = run(**keys)
    after = set(tables(again.directory)["runs"]["cell"])
    kept = 1 if changed == "bytes" else 0
    assert len(after) == 2 and len(before & after) == kept
    assert again.computed["trajectories"] == 2 - kept


def test_labels_and_a_pattern_change_no_cell(run):
    before = tables(run().directory)["runs"]["cell"].to_list()
    labels = {"target": "signs", "architecture": "a line", "explorer": "my SGD"}
    for checkpoints in ("mine/seed*", "mine/*/step*.safetensors"):
        runs = tables(run(checkpoints=checkpoints, **labels).directory)["runs"]
        assert runs["cell"].to_list() == before
        assert runs.select("target", "architecture", "explorer").row(0) == ("signs", "a line", "my SGD")


@pytest.mark.slow
def test_own_runs_and_a_grid_stand_side_by_side(run, folder, study, monkeypatch):
    grid = {
        "name": "trained",
        "seeds": 1,
        "steps": 20,
        "target": [{"kind": "arrays", "path": "data.npz"}],
        "architecture": [{"kind": "mlp", "widths": [4]}],
        "explorer": [{"kind": "adam"}],
    }
    done = run_study({**study, "grid": [grid]}, "both", "process")
    runs = tables("both")["runs"]
    assert runs.select("grid", "gradients").rows() == [("trained", 20), ("lines", None), ("lines", None)]
    assert done.summary["cost"]["gradients"] == 20
    assert [grid["name"] for grid in done.summary["grids"]] == ["trained", "lines"]
    with pytest.raises(ConfigError, match="are called 'lines'"):
        run_study({**study, "grid": [{**grid, "name": "lines"}]}, "clash", "process")


def test_nothing_is_trained_here(run, monkeypatch):
    def refuse(*_):
        raise AssertionError("training")

    monkeypatch.setattr(TrajectoryJob, "_train", refuse)
    assert counted(run())["trajectories"] == 2


def test_one_step_per_run_is_a_study_of_ends(run, folder):
    for seed in range(2):
        for step in (0, 10):
            (folder / f"mine/seed{seed}/step{step}.safetensors").unlink()
    everything = [f"measures.{name}=true" for name in ("embedding", "certified", "stages", "turning")]
    found = tables(run(overrides=everything).directory)
    assert found["runs"]["train_accuracy"].to_list() == [1.0, pytest.approx(1.0, abs=0.1)]
    assert set(found["runs"]["directness_status"]) == {"degenerate"} and found["pairs"].height == 1


def test_a_run_that_diverged_is_read_up_to_its_last_finite_step(run, folder):
    write_checkpoint(folder / "mine/seed1/step50.safetensors", np.full((2, 2), np.nan, "float32"))
    runs = tables(run().directory)["runs"].sort("seed")
    assert runs.select("status", "last_step").rows() == [("ok", 50), ("diverged", 10)]


@pytest.mark.slow
def test_forecasts_where_the_loop_is_said_to_be_like_an_explorer(run, study):
    like = {"kind": "adam", "learning_rate": 0.05}
    rows = tables(run(overrides=["measures.forecasts=true"], like=like).directory)["forecasts"]
    assert set(rows["status"]) == {"ok"} and rows["predicted"].null_count() == 0
    network = study["runs"][0]["network"].replace(":line", ":without_a_start")
    rows = tables(run("other", ["measures.forecasts=true"], like=like, network=network).directory)["forecasts"]
    assert set(rows["status"]) == {"not applicable"} and "no start" in rows["reason"][0]


def test_a_stored_cell_is_the_weights_and_says_where_they_came_from(run, folder):
    store = Store(run().directory)
    entries = [store.read("cells", cell) for cell in store.list("cells")]
    assert {entry.header["source"] for entry in entries} == {str(folder / f"mine/seed{seed}") for seed in range(2)}
    by_source = {Path(entry.header["source"]).name: entry.arrays("weights.safetensors")["w"] for entry in entries}
    for seed in range(2):
        files = [load_file(folder / f"mine/seed{seed}/step{step}.safetensors")["w"] for step in (0, 10, 50)]
        np.testing.assert_array_equal(by_source[f"seed{seed}"], np.stack(files))
    assert entries_of(store, "values")


# -------------------------------------------------------------------------------------- networks of other libraries


def cross_entropy(outputs, labels):
    outputs = np.asarray(outputs, np.float64)
    logs = outputs - np.log(np.exp(outputs).sum(1, keepdims=True))
    return -logs[np.arange(len(labels)), labels].mean()


@pytest.mark.parametrize("library", ["equinox", "flax"])
def test_modules_of_jax(run, folder, library):
    import jax

    pytest.importorskip(library, reason=f"{library} is not installed")
    name = write_module(folder, EQUINOX if library == "equinox" else FLAX)
    sys.path.insert(0, str(folder))
    make = __import__(name).make
    sys.path.remove(str(folder))
    data = dict(np.load(folder / "data.npz"))
    recorder, losses = Recorder(folder / library), []
    for step, seed in enumerate((5, 6, 7)):
        key = jax.random.key(seed)
        if library == "equinox":
            point = make(key)
            outputs = jax.vmap(point)(data["inputs"])
        else:
            variables = make().init(key, data["inputs"])
            point, outputs = variables["params"], make().apply(variables, data["inputs"])
        recorder.save(point, step)
        losses.append(cross_entropy(outputs, data["labels"]))
    done = run(checkpoints=library, network=f"{name}:make")
    found = tables(done.directory)["curves"].sort("step")
    assert found["step"].to_list() == [0, 1, 2]
    np.testing.assert_allclose(found["train_loss"], losses, rtol=1e-5)


def test_batch_norms_of_pytorch(run, folder):
    """Their statistics are part of the point; a network that keeps them fixed is refused with the remedy."""
    torch = pytest.importorskip("torch", reason=NO_TORCH)
    name = write_module(folder, NORMED)
    sys.path.insert(0, str(folder))
    own = __import__(name)
    sys.path.remove(str(folder))
    data = dict(np.load(folder / "data.npz"))
    x, y = torch.tensor(data["inputs"]), torch.tensor(data["labels"])
    module, recorder, losses = own.plain(), Recorder(folder / "normed"), []
    optimiser = torch.optim.SGD(module.parameters(), 0.5)
    for step in range(6):
        recorder.save(module, step)
        with torch.no_grad():
            losses.append(float(torch.nn.functional.cross_entropy(module.eval()(x), y)))
        module.train()
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(module(x), y).backward()
        optimiser.step()
    refused(run, "running_statistics='params'", checkpoints="normed", network=f"{name}:plain")
    done = run(checkpoints="normed", network=f"{name}:with_statistics")
    found = tables(done.directory)["curves"].sort("step")
    np.testing.assert_allclose(found["train_loss"], losses, rtol=1e-4)


def test_buffers_that_are_not_the_networks(run, folder):
    """A module that draws constants anew is another function; it is not taken for the one that was trained."""
    pytest.importorskip("torch", reason=NO_TORCH)
    name = write_module(folder, NORMED)
    sys.path.insert(0, str(folder))
    module = __import__(name).Features()
    sys.path.remove(str(folder))
    recorder = Recorder(folder / "features")
    for step in range(3):
        recorder.save(module, step)
    refused(run, "the buffer frequencies", checkpoints="features", network=f"{name}:Features")


# --------------------------------------------------------------------------------------------------- what is refused


def refused(run, match, **keys):
    with pytest.raises(ConfigError, match=match) as caught:
        run(**keys)
    assert not Path("out").exists() or not Store("out").list("cells")
    return str(caught.value)


def test_an_empty_directory(run, folder):
    (folder / "empty").mkdir()
    refused(run, r"runs\.0\.checkpoints: .*empty holds no safetensors file", checkpoints="empty")
    refused(run, r"runs\.0\.checkpoints: .*nowhere: there is no such directory", checkpoints="nowhere")
    refused(run, r"runs\.0\.checkpoints: .*no\* matches no safetensors file", checkpoints="no*")


@pytest.mark.parametrize("path", ["mine/seed1/step50.safetensors", "mine/seed0/step0.safetensors"])
def test_checkpoints_of_different_shapes(run, folder, path):
    write_checkpoint(folder / path, np.ones((3, 2), "float32"))
    seed, step = path[9], path.split("step")[1].split(".")[0]
    refused(run, rf"runs\.0\.checkpoints: seed{seed}, step {step}: w has shape \(3, 2\); the network's has \(2, 2\)")


def test_seeds_with_different_steps(run, folder):
    (folder / "mine/seed1/step10.safetensors").unlink()
    refused(run, r"runs\.0\.checkpoints: seed1 lacks step 10, which seed0 has")


def test_names_of_another_network(run, folder):
    save_file({"weight": np.ones((2, 2), "float32")}, folder / "mine/seed0/step10.safetensors")
    message = refused(run, r"seed0, step 10 holds the weights of another network\. Missing: b, w\. Unknown: weight")
    assert "Build the network with the options" in message


def test_a_pickle_with_the_lines_that_convert_it(run, folder):
    shutil.rmtree(folder / "mine")
    (folder / "mine").mkdir()
    (folder / "mine/step10.pt").write_bytes(b"PK\x03\x04")
    message = refused(run, r"runs\.0\.checkpoints: .*step10\.pt is a pickle")
    assert message.splitlines()[-2:] == [
        "    import torch, safetensors.torch",
        '    safetensors.torch.save_file(torch.load("step10.pt", weights_only=True), "step10.safetensors")',
    ]


def test_a_factory_that_a_worker_could_not_import(run, monkeypatch):
    """A module that this process alone has, as a notebook's are."""
    here = types.ModuleType("only_here")
    here.line = lambda: None
    monkeypatch.setitem(sys.modules, "only_here", here)
    refused(run, r"runs\.0\.network: 'only_here:line': there is no module 'only_here'", network="only_here:line")
    refused(run, r"runs\.0\.network: .*there is no module 'nowhere'", network="nowhere:line")
    refused(run, r"runs\.0\.network: .*names a file", network="nets/nowhere.py:line")


def test_a_factory_that_fails_or_gives_something_else(run, study):
    module = study["runs"][0]["network"].split(":")[0]
    refused(run, "the flux capacitor is missing", network=f"{module}:broken")
    refused(run, "has no function 'circle'", network=f"{module}:circle")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"labels": np.arange(30) % 3}, "'line' has 2 outputs"),
        ({"labels": np.arange(29) % 2}, "labels have shape"),
        ({"labels": np.arange(30) - 3}, "outside the classes"),
        ({"labels": np.arange(30) / 7}, "must be whole numbers"),
        ({"inputs": np.ones((30, 3), "float32")}, "cannot be applied"),
        ({"targets": np.arange(30)}, "expected inputs, labels"),
    ],
)
def test_data_that_do_not_fit(run, folder, arrays, message):
    np.savez(folder / "data.npz", **{**dict(np.load(folder / "data.npz")), **arrays})
    refused(run, rf"runs\.0\..*{message}")


def test_every_mistake_is_named_at_once(run):
    message = refused(
        run, "runs.0", checkpoints="nowhere", data="nothing.npz", network="nowhere:line", like={"kind": "x"}
    )
    keys = [line.split(":")[1].strip() for line in message.splitlines()]
    assert keys == [f"runs.0.{key}" for key in ("checkpoints", "data", "network", "like")]


def test_keys_that_do_not_exist_and_a_study_of_nothing(run):
    refused(run, r"runs\.0\.checkpoint: unknown key: did you mean 'checkpoints'", checkpoint="mine")
    refused(run, r"runs\.0\.loss: this key is needed", loss=None)
    with pytest.raises(ConfigError, match="grid: this key is needed and is not there; for runs of your own, runs"):
        run_study({"name": "nothing"}, "out", "process")


def test_checkpoints_that_change_while_the_study_runs(run, folder, monkeypatch):
    from allroads.errors import WorkerError
    from allroads.studies import recorded_jobs

    monkeypatch.setattr(recorded_jobs, "checkpoints_digest", lambda files: "another")
    with pytest.raises(WorkerError, match="its checkpoints changed while the study ran"):
        run()


@pytest.mark.slow
def test_the_command_line_refuses_with_its_exit_code_and_writes_beside_the_checkpoints(folder, study):
    own = study["runs"][0]
    words = [ALLROADS, "report-runs", "mine", "--network", own["network"], "--data", "data.npz", "--engine", "process"]
    bad = subprocess.run([*words, "--loss", "crossentropy"], capture_output=True, text=True, cwd=folder, check=False)
    assert bad.returncode == 2 and "did you mean 'cross_entropy'" in bad.stderr and not bad.stdout
    few = itertools.chain.from_iterable(("--set", f"measures.{name}=false") for name in study["measures"])
    good = [*words, "--loss", "cross_entropy", "--set", "runs.0.target=signs", *few]
    done = subprocess.run(good, capture_output=True, text=True, cwd=folder, check=False)
    assert done.returncode == 0, done.stderr
    findings, report = done.stdout.splitlines()[0], done.stdout.splitlines()[-1]
    assert findings.startswith("• ") and "the training examples of signs" in findings
    assert report == f"Report:  {(folder / 'mine-report/report.html').resolve().as_uri()}"
    assert (folder / "mine-report/report.html").is_file()
