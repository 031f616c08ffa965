"""``allroads connect`` on two points of a user's own network."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from allroads import InputError
from allroads.cli.connect_request import ConnectRequest
from allroads.files.ends import open_ends
from allroads.report.connection import connection_json
from command_in_process import allroads

MODULE = """
import jax.numpy as jnp

from allroads import Network


def ring():
    return Network(lambda key: {"w": jnp.ones(2)}, lambda p, x: x * (p["w"] ** 2).sum())


def logit():
    return Network(lambda key: {"w": jnp.ones(2)}, lambda p, x: x * p["w"].sum())


def quartic(outputs, labels):
    return (outputs - labels)[:, 0] ** 4


def normed():
    import torch

    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(1, 2), torch.nn.BatchNorm1d(2), torch.nn.Linear(2, 1))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("connect")
    (folder / "rings_to_connect.py").write_text(MODULE)
    ones = np.ones((2, 1))
    np.savez(folder / "one.npz", inputs=ones, labels=ones)
    np.savez(folder / "split.npz", train_inputs=ones, train_labels=ones, held_out_inputs=ones, held_out_labels=ones)
    np.savez(folder / "classes.npz", inputs=ones, labels=np.array([0, 1]))
    for name, w in (("a", [-1.0, 0.0]), ("b", [1.0, 0.0])):
        save_file({"w": np.array(w)}, folder / f"{name}.safetensors")
    return folder


@pytest.fixture
def here(folder, monkeypatch):
    monkeypatch.chdir(folder)
    return folder


def run(folder, *words):
    return allroads("connect", *words, cwd=folder)


ENDS = ("--a", "a.safetensors", "--b", "b.safetensors")


def test_the_command_connects_and_its_python_does_the_same(here):
    words = ("rings_to_connect:ring", *ENDS, "--data", "split.npz", "--loss", "mse", "--bends", "2", "--json")
    done = run(here, *words, "--save", "curve.safetensors")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["status"] == "ok" and found["free_points"] == 2 and found["distance"] == 2.0
    curve, straight = (found["barriers"]["training"][which]["height"] for which in ("curve", "straight"))
    assert curve < 0.01 and straight == pytest.approx(1.0)
    assert found["barriers"]["held-out"]["curve"]["height"] == pytest.approx(curve)
    assert "rises 1" not in found["verdict"] and "straight segment 1." in found["verdict"]
    saved = load_file(here / "curve.safetensors")
    assert saved["w"].shape == (4, 2) and saved["w"].dtype == np.float32
    np.testing.assert_array_equal(saved["w"][[0, -1]], [[-1.0, 0.0], [1.0, 0.0]])
    names: dict = {}
    exec(found["python"], names)
    assert names["found"].height == pytest.approx(curve, rel=1e-3)  # another process, compiled otherwise


def test_it_says_on_the_terminal_what_was_found(here):
    done = run(here, "rings_to_connect:ring", *ENDS, "--data", "one.npz", "--loss", "rings_to_connect:quartic",
               "--method", "neb", "--steps", "16")  # fmt: skip
    assert done.returncode == 0, done.stderr
    for part in ("Barriers", "training loss", "not converged", "What to do", "neb", "a.safetensors"):
        assert part in done.stdout, part
    bad = run(here, "rings_to_connect:ring", *ENDS, "--data", "one.npz", "--loss", "mse", "--method", "neo")
    assert bad.returncode == 2 and "did you mean 'neb'" in bad.stderr and bad.stdout == ""


def test_errors_are_shown_where_labels_are_classes(here):
    asked = ConnectRequest(
        "rings_to_connect:logit", "classes.npz", "bce", "a.safetensors", "b.safetensors", 0, {"steps": 8}
    )
    found = connection_json(asked.run(), asked.origin)
    assert found["barriers"]["training"]["curve"]["error_height"] == pytest.approx(0.0)


def test_what_cannot_be_connected_is_said(here):
    save_file({"w": np.ones(3)}, here / "three.safetensors")
    with pytest.raises(InputError, match="weights of another network"):
        open_ends("rings_to_connect:ring", "one.npz", "a.safetensors", "three.safetensors")
    with pytest.raises(InputError, match="needs a population"):
        ConnectRequest("rings_to_connect:ring", "one.npz", "mse", "a", "b", 0, {"method": "star"}).run()


def test_modules_with_other_running_statistics_are_not_two_points_of_one_network(here):
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file as save_torch

    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(1, 2), torch.nn.BatchNorm1d(2), torch.nn.Linear(2, 1))
    save_torch(module.state_dict(), here / "p.safetensors")
    save_torch({**module.state_dict(), "0.bias": torch.ones(2)}, here / "q.safetensors")
    save_torch({**module.state_dict(), "1.running_mean": torch.ones(2)}, here / "r.safetensors")
    ends = open_ends("rings_to_connect:normed", "one.npz", "p.safetensors", "q.safetensors")
    assert not np.allclose(ends.a["0.bias"], ends.b["0.bias"])
    with pytest.raises(InputError, match="differ in more than parameters"):
        open_ends("rings_to_connect:normed", "one.npz", "p.safetensors", "r.safetensors")
