"""Runs read from checkpoints: every form that they come in, and what is refused."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy

from allroads import InputError, Network, Problem, Trajectory, float64
from allroads.explorers.checkpoint_files import read_safetensors
from allroads.explorers.checkpoints import named_arrays

LINE = Network(lambda key: {"w": jnp.zeros((2, 1)), "b": jnp.zeros(1)}, lambda p, x: x @ p["w"] + p["b"])
INPUTS, LABELS = np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[0.0], [0.0]])
PROBLEM = Problem(LINE, "mse", INPUTS, LABELS)
STEPS = [0, 5, 20]


def point(seed, step, dtype=np.float32):
    return {"w": np.array([[1.0 + seed], [step]], dtype), "b": np.array([0.5], dtype)}


def write(folder, points, prefix="", name="step{}.safetensors"):
    folder.mkdir(parents=True, exist_ok=True)
    for step, arrays in points.items():
        path = folder / name.format(step)
        path.parent.mkdir(exist_ok=True)
        safetensors.numpy.save_file({prefix + key: array for key, array in arrays.items()}, path)


def runs(seeds=2, dtype=np.float32):
    return [{step: point(seed, step, dtype) for step in STEPS} for seed in range(seeds)]


def check(run, members=(0, 1)):
    assert run.members.tolist() == list(members) and run.steps.tolist() == run.checkpoint_steps.tolist() == STEPS
    expected = np.array([[[[1.5 + seed], [step + 0.5]] for step in STEPS] for seed in range(len(members))])
    np.testing.assert_allclose(run.values, expected, rtol=1e-6)
    np.testing.assert_allclose(run.curves["train_loss"], (expected**2).mean((2, 3)), rtol=1e-6)
    assert run.status == "ok" and run.last_step.tolist() == [20] * len(members) and run.cost is None
    assert run.params["w"].dtype == np.float32 and run.params["w"].shape == (len(members), 3, 2, 1)


@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "_orig_mod.module."])
def test_a_directory_of_seeds(tmp_path, prefix):
    for seed, points in enumerate(runs()):
        write(tmp_path / f"seed{seed}", points, prefix)
    check(Trajectory.from_checkpoints(LINE, tmp_path, problem=PROBLEM))
    check(Trajectory.from_checkpoints(LINE, [tmp_path / "seed0", tmp_path / "seed1"], problem=PROBLEM))
    (tmp_path / "seed0").rename(tmp_path / "seed10")  # the number in the name is the member's index
    found = Trajectory.from_checkpoints(LINE, str(tmp_path), problem=PROBLEM)
    assert found.members.tolist() == [1, 10] and found.values[1, 0, 0, 0] == 1.5


@pytest.mark.parametrize(
    "name", ["step{}.safetensors", "checkpoint-{}/model.safetensors", "v2_step_{}_x3.safetensors", "{}.safetensors"]
)
def test_the_step_is_read_off_the_name(tmp_path, name):
    write(tmp_path, runs(1)[0], name=name)
    check(Trajectory.from_checkpoints(LINE, tmp_path, problem=PROBLEM), [0])
    files = sorted(tmp_path.rglob("*.safetensors"), reverse=True)
    if "/" not in name:
        check(Trajectory.from_checkpoints(LINE, files, problem=PROBLEM), [0])


@pytest.mark.parametrize("kind", ["numpy", "jax", "torch", "nested"])
def test_state_dicts_in_lists_and_mappings(kind):
    if kind == "torch":
        torch = pytest.importorskip("torch", reason="the extra `torch` is not installed: pip install 'allroads[torch]'")
        convert = lambda a: torch.tensor(a, requires_grad=True)  # noqa: E731
    else:
        convert = jnp.asarray if kind == "jax" else np.asarray
    every = [{step: {n: convert(a) for n, a in p.items()} for step, p in run.items()} for run in runs()]
    if kind == "nested":
        every = [{step: {"module": p} for step, p in run.items()} for run in every]
    check(Trajectory.from_checkpoints(LINE, every, problem=PROBLEM))
    check(Trajectory.from_checkpoints(LINE, every[0], problem=PROBLEM), [0])
    check(Trajectory.from_checkpoints(LINE, [list(run.values()) for run in every], steps=STEPS, problem=PROBLEM))
    check(Trajectory.from_checkpoints(LINE, list(every[0].values()), steps=STEPS, problem=PROBLEM), [0])


def test_pytrees_that_are_lists_are_points_where_the_network_has_lists():
    network = Network(lambda key: [jnp.zeros(1)], lambda p, x: x * p[0])
    one = Trajectory.from_checkpoints(network, [[np.ones(1)], [np.full(1, 2.0)]], steps=[0, 1], probes=[[1.0]])
    assert one.values[:, :, 0, 0].tolist() == [[1.0, 2.0]] and one.curves == {} and np.isnan(one.value).all()
    two = Trajectory.from_checkpoints(network, [[[np.ones(1)]], [[np.full(1, 2.0)]]], steps=[0], probes=[[1.0]])
    assert two.values[:, :, 0, 0].tolist() == [[1.0], [2.0]]


def test_all_precisions_are_read(tmp_path):
    import ml_dtypes

    for k, dtype in enumerate([np.float64, np.float16, ml_dtypes.bfloat16]):
        write(tmp_path / str(k), runs(1, dtype)[0])
        check(Trajectory.from_checkpoints(LINE, tmp_path / str(k), problem=PROBLEM), [0])
    with float64():
        assert Trajectory.from_checkpoints(LINE, tmp_path / "0").params["w"].dtype == np.float64


def test_what_a_network_does_not_compute_with_is_passed_over():
    every = runs(1)[0]
    more = {"num_batches_tracked": None, "mask": np.ones(3, np.float32), "tied": None}
    points = {
        step: p | {"n.num_batches_tracked": np.array(step), "mask": more["mask"], "tied": p["w"]}
        for step, p in every.items()
    }
    check(Trajectory.from_checkpoints(LINE, points, problem=PROBLEM), [0])
    moving = {step: p | {"bn.running_mean": np.full(1, float(step))} for step, p in every.items()}
    with pytest.raises(InputError, match="running_statistics='params'"):
        Trajectory.from_checkpoints(LINE, moving)
    other = {step: p | {"head.w": np.full(1, float(step))} for step, p in every.items()}
    with pytest.raises(InputError, match=r"they hold head\.w, which the network lacks"):
        Trajectory.from_checkpoints(LINE, other)


def test_a_run_that_diverged_stands_still_at_its_last_finite_checkpoint():
    bad = {0: point(0, 0), 5: point(0, 5), 20: {"w": np.full((2, 1), np.nan), "b": np.ones(1)}}
    large = {0: point(0, 0), 5: {"w": np.full((2, 1), 1e30), "b": np.ones(1)}, 20: point(0, 20)}
    run = Trajectory.from_checkpoints(LINE, [runs(1)[0], bad, large], problem=PROBLEM)
    assert [s.value for s in run.statuses] == ["ok", "diverged", "diverged"] and run.status == "diverged"
    assert run.last_step.tolist() == [20, 5, 0] and np.isfinite(run.values).all()
    assert np.isfinite(run.curves["train_loss"]).all() and (run.values[1, 2] == run.values[1, 1]).all()
    assert (run.params["w"][2] == run.params["w"][2, 0]).all()
    with pytest.raises(InputError, match="run 0 is not finite at its first step"):
        Trajectory.from_checkpoints(LINE, {0: bad[20]})


def test_held_out_data_and_what_is_kept_without_any():
    run = Trajectory.from_checkpoints(LINE, runs(), problem=PROBLEM, held_out=(INPUTS[:1], [[1.5]]))
    assert run.curves["held_out_loss"].tolist() == [[0.0] * 3, [1.0] * 3]
    bare = Trajectory.from_checkpoints(LINE, runs())
    assert bare.values.shape == (2, 3, 0) and bare.curves == {} and "train_loss" not in repr(bare)
    with pytest.raises(InputError, match="no curves to draw"):
        bare.plot()
    assert bare._repr_html_().startswith("<code>")


def test_a_network_that_cannot_draw_a_point_needs_one():
    def init(key):
        raise InputError("no reset_parameters")

    network = Network(init, LINE.apply)
    with pytest.raises(InputError, match=r"no reset_parameters.*Give like=params"):
        Trajectory.from_checkpoints(network, runs())
    run = Trajectory.from_checkpoints(network, runs(), like=point(0, 0), probes=INPUTS)
    assert run.values.shape == (2, 3, 2, 1)


def test_pickles_are_refused_with_the_lines_that_convert_them(tmp_path):
    import pickle

    for name in ("step0.pt", "step1.pth", "pytorch_model_2.bin"):
        (tmp_path / name).write_bytes(pickle.dumps({"w": 1}))
        for source in (tmp_path, tmp_path / name, [tmp_path / name]):
            with pytest.raises(InputError, match=r"import torch, safetensors\.torch\n.*save_file") as caught:
                Trajectory.from_checkpoints(LINE, source)
        assert "step0.safetensors" in str(caught.value) or name != "step0.pt"
    (tmp_path / "step3.safetensors").write_bytes(pickle.dumps({"w": np.ones(99)}))
    with pytest.raises(InputError, match="is a pickle"):
        read_safetensors(tmp_path / "step3.safetensors")


def test_the_lines_that_convert_a_pickle_do(tmp_path, monkeypatch):
    torch = pytest.importorskip("torch", reason="the extra `torch` is not installed: pip install 'allroads[torch]'")
    monkeypatch.chdir(tmp_path)
    torch.save({name: torch.tensor(array) for name, array in point(0, 0).items()}, "step0.pt")
    with pytest.raises(InputError) as caught:
        Trajectory.from_checkpoints(LINE, "step0.pt")
    exec("\n".join(line.strip() for line in str(caught.value).split("\n")[1:]), {})
    assert Trajectory.from_checkpoints(LINE, "step0.safetensors", problem=PROBLEM).values[0, 0, 0, 0] == 1.5


def test_a_file_whose_header_begins_like_a_pickle_is_read(tmp_path):
    """The first byte of a header of 128 bytes (mod 256) is that of a pickle."""
    for length in range(1, 300):
        content = safetensors.numpy.save({"w" * length: np.ones(2)})
        if content[0] == 0x80:
            (tmp_path / "step0.safetensors").write_bytes(content)
            assert read_safetensors(tmp_path / "step0.safetensors")["w" * length].tolist() == [1.0, 1.0]
            break
    else:
        raise AssertionError("no header of that length")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: p.pop("b"), "another network. Missing: b"),
        (lambda p: p.update(weight=p.pop("w")), "Unknown: weight"),
        (lambda p: p.update(w=np.ones((3, 1), np.float32)), r"run 1, step 5: w has shape \(3, 1\); .* \(2, 1\)"),
        (lambda p: p.update(w=np.ones((2, 1), int)), "w holds int64"),
        (lambda p: p.clear(), "no array"),
    ],
)
def test_weights_of_another_network_are_named(change, message):
    every = runs()
    change(every[1][5])
    with pytest.raises(InputError, match=message):
        Trajectory.from_checkpoints(LINE, every)


def test_directories_that_are_no_runs_are_named(tmp_path):
    def refused(match, source=tmp_path, **options):
        with pytest.raises(InputError, match=match):
            Trajectory.from_checkpoints(LINE, source, **options)

    refused("holds no safetensors file")
    refused("no such directory", tmp_path / "nowhere")
    refused("cannot be read", tmp_path / "step1.safetensors")
    write(tmp_path / "seed0", runs(1)[0])
    write(tmp_path / "seed1", {step: point(1, step) for step in STEPS[:2]})
    refused("seed1 lacks step 20, which seed0 has")
    refused("steps: files have their steps", steps=STEPS)
    refused("step0.safetensors.*and in seed0/", _with(tmp_path, "step0.safetensors"))
    refused("no step in its name", _with(tmp_path / "a", "final.safetensors"))
    refused("both of step 1", _with(_with(tmp_path / "b", "step1.safetensors"), "step01.safetensors"))
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "step1.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{broken}")
    refused("not a safetensors file", tmp_path / "c")
    refused("3 rising whole numbers", [point(0, s) for s in STEPS])
    refused("3 rising whole numbers", [point(0, s) for s in STEPS], steps=[0, 2, 1])
    for empty in ([], {}, 3):
        refused("expected a directory of safetensors files", empty)
    refused("of another network", runs(), problem=Problem(Network(LINE.init, lambda p, x: x), "mse", INPUTS, INPUTS))
    refused("give a problem too", runs(), held_out=(INPUTS, LABELS))


def _with(folder, name):
    write(folder, {0: point(0, 0)}, name=name)
    return folder


def test_names_that_cannot_be_told_apart_are_refused():
    with pytest.raises(InputError, match="two parameters have one name"):
        named_arrays({"a": {"b": np.ones(1)}, "a.b": np.ones(1)})
    arrays = named_arrays({"w": jnp.ones(1), "act": jax.nn.relu, "key": jax.random.key(0)})
    assert list(arrays) == ["w"]
