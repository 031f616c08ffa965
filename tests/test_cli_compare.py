"""``allroads compare`` on two points of a user's own network."""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from command_in_process import allroads

MODULE = """
import jax
import jax.numpy as jnp

from allroads import Network, Target


def gates():
    def init(key):
        return {"w": jnp.ones((2, 2)), "b": jnp.ones(2), "v": jnp.ones(2), "c": jnp.ones(1)}

    def apply(p, x):
        return (jnp.tanh(x @ p["w"] + p["b"]) @ p["v"] + p["c"])[:, None]

    return Network(init, apply)


def xor():
    bits = [[0, 0], [0, 1], [1, 0], [1, 1]]
    return Target("xor", inputs=bits, labels=[0, 1, 1, 0], complete=True, loss="bce")


def halt(key):
    raise AssertionError("opened")
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compare")
    (folder / "gates_to_compare.py").write_text(MODULE)
    bits = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], "float32")
    labels = np.array([0.0, 1.0, 1.0, 0.0])
    np.savez(folder / "xor.npz", inputs=bits, labels=labels)
    np.savez(folder / "split.npz", train_inputs=bits, train_labels=labels, held_out_inputs=bits, held_out_labels=labels)
    five = np.full((2, 2), 5.0)
    save_file(
        {"w": five, "b": np.array([-2.5, -7.5]), "v": np.array([5.0, -5]), "c": -5 * np.ones(1)},
        folder / "a.safetensors",
    )
    save_file(
        {"w": five, "b": np.array([-7.5, -2.5]), "v": np.array([-5.0, 5]), "c": -5 * np.ones(1)},
        folder / "b.safetensors",
    )
    save_file(
        {"w": five, "b": np.array([-7.5, -7.5]), "v": np.array([2.5, 2.5]), "c": np.zeros(1)},
        folder / "and.safetensors",
    )
    return folder


@pytest.fixture
def here(folder, monkeypatch):
    monkeypatch.chdir(folder)
    return folder


def run(folder, *words, b="b.safetensors", data="xor.npz"):
    ends = ("--a", "a.safetensors", "--b", b, "--data", data, "--loss", "bce")
    return allroads("compare", "gates_to_compare:gates", *ends, *words, cwd=folder)


def test_ten_lines_say_what_two_points_are_to_each_other(here):
    done = run(here)
    assert done.returncode == 0, done.stderr
    assert "One point modulo symmetry" in done.stdout and "one (boolean" in done.stdout
    for title in ("function", "program", "point", "loss", "barrier", "pass", "between"):
        assert f"  {title}" in done.stdout, title


@pytest.mark.slow
def test_json_holds_all_and_its_python_does_the_same(here):
    done = run(here, "--target", "gates_to_compare:xor", "--json", b="and.safetensors", data="split.npz")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["function"]["answers"] == 0.25 and found["held_out"]["answers"] == 0.25
    assert found["program"]["same"] is False and not found["point"]["same"] and found["status"] == "ok"
    assert found["pass"]["lower"] <= found["pass"]["upper"] and len(found["between"]) == 33
    assert "x0" in found["program"]["a"]["program"]["source"]
    names: dict = {}
    exec(found["python"], names)
    assert names["found"].function.answers == 0.25 and names["found"].program.same is False


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--align", "weihgts"), "did you mean 'weights'"),
        (("--method", "star"), "needs a population"),
        (("--method", "neo"), "did you mean 'neb'"),
        (("--set", "bits=4"), "give --target too"),
        (("--target", "gates_to_compare:nothing"), "nothing"),
        (("--target", "booleen"), "did you mean 'boolean'"),
        (("--budget", "0"), "budget"),
    ],
)
def test_bad_input_is_one_message(here, words, said):
    done = run(here, *words)
    assert done.returncode == 2 and said in done.stderr and done.stdout == ""
    assert done.stderr.count("\n") == 1


def test_files_that_are_no_points_are_refused(here):
    done = run(here, b="none.safetensors")
    assert done.returncode == 2 and "none.safetensors" in done.stderr
    (here / "pickle.safetensors").write_bytes(b"\x80\x04\x95")
    done = run(here, b="pickle.safetensors")
    assert done.returncode == 2 and "pickle.safetensors" in done.stderr
    save_file({"w": np.ones(3)}, here / "three.safetensors")
    assert "weights of another network" in run(here, b="three.safetensors").stderr
