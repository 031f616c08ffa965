"""What can be known to be wrong from files and names alone is said before a network is built or compiled."""

import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file

from allroads import InputError, Network, Problem, road
from allroads.cli.connect_request import ConnectRequest
from allroads.cli.point_request import Request
from allroads.files.destination import check_destination
from allroads.files.ends import open_ends

NEVER = "no_such_module:make"
"""A factory that would be the fault if it were looked at."""


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"loss": "mes"}, "unknown loss 'mes': did you mean 'mse'"),
        ({"loss": "no_such_losses:mine"}, "no_such_losses"),
        ({"options": {"sampler": "hcm"}}, "unknown sampler 'hcm': did you mean 'hmc'"),
        ({"data": "none.npz"}, "none.npz: there is no such file"),
        ({"weights": "none.safetensors"}, "none.safetensors cannot be read"),
    ],
)
def test_inspect_looks_at_names_and_files_first(here, changed, said):
    asked = {"factory": NEVER, "data": "data.npz", "loss": "mse"} | changed
    with pytest.raises(InputError, match=said):
        Request(**asked).run()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"loss": "mes"}, "unknown loss 'mes'"),
        ({"options": {"method": "neo"}}, "unknown connecting method 'neo': did you mean 'neb'"),
        ({"options": {"method": "star"}}, "needs a population"),
        ({"options": {"align": "wieghts"}}, "unknown align 'wieghts': did you mean 'weights'"),
        ({"options": {"method": "geodesic", "chart": "spere"}}, "unknown chart 'spere': did you mean 'sphere'"),
        ({"a": "none.safetensors"}, "none.safetensors cannot be read"),
        ({"b": "none.safetensors"}, "none.safetensors cannot be read"),
        ({"data": "none.npz"}, "none.npz: there is no such file"),
    ],
)
def test_connect_looks_at_names_and_files_first(here, tmp_path, changed, said):
    save_file({"w": np.ones(3)}, tmp_path / "w.safetensors")
    there = str(tmp_path / "w.safetensors")
    asked = {"factory": NEVER, "data": "data.npz", "loss": "mse", "a": there, "b": there} | changed
    with pytest.raises(InputError, match=said):
        ConnectRequest(**asked).run()


def test_the_second_file_is_read_before_the_first_network_is_built(here, tmp_path):
    save_file({"w": np.ones(3)}, tmp_path / "w.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"bad\.safetensors is not a safetensors file"):
        open_ends(NEVER, "data.npz", tmp_path / "w.safetensors", tmp_path / "bad.safetensors")


def test_a_road_is_refused_before_its_network_is_computed():
    computed = []

    def apply(w, x):
        if not isinstance(x, jnp.ndarray) or type(x).__name__ == "ArrayImpl":
            computed.append(x)
        return x @ w

    network = Network(lambda key: jnp.zeros((2, 3)), apply)
    problem, w = Problem(network, "mse", jnp.ones((4, 2)), jnp.zeros((4, 3))), jnp.zeros((2, 3))
    with pytest.raises(InputError, match=r"target has shape \(4,\), like class labels"):
        road(problem, w, np.array([0, 1, 2, 0]))
    with pytest.raises(InputError, match="not of one architecture"):
        road(problem, w, target_params=jnp.zeros((3, 3)))
    assert computed == []


def test_a_destination_that_cannot_be_written_is_refused(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    for path, said in (
        (tmp_path, "this is a folder; give the name of a file"),
        (tmp_path / "file" / "page.html", "file is a file and holds none"),
    ):
        with pytest.raises(InputError, match=said):
            check_destination(path, "--report")
    check_destination(tmp_path / "new" / "deep" / "page.html", "--report")
    check_destination(tmp_path / "file", "--report")
    check_destination(None, "--report")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]
    monkeypatch.setattr("os.access", lambda *_: False)  # as for another user's folder
    with pytest.raises(InputError, match=f"no permission to write in {tmp_path}"):
        check_destination(tmp_path / "page.html", "--report")
