"""``allroads extract`` on a network of one's own."""

import json
import sys

import numpy as np
import pytest
from safetensors.numpy import save_file

from allroads.cli.extract_request import ExtractRequest
from command_in_process import allroads

MODULE = """
import jax.numpy as jnp

from allroads import Network, Target


def bits():
    return Network(lambda key: {"w": jnp.zeros(2), "b": jnp.zeros(1)}, lambda p, x: (x @ p["w"])[:, None] + p["b"])


def conjunction():
    return Target("and", inputs=[[0, 0], [1, 0], [0, 1], [1, 1]], labels=[0, 0, 0, 1], complete=True, loss="bce")
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    (tmp_path / "my_gates.py").write_text(MODULE)
    save_file({"w": np.ones(2), "b": np.array([-1.5])}, tmp_path / "and.safetensors")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("my_gates", None)


def command(*words):
    """Exit code, standard output and error of ``allroads extract``."""
    done = allroads("extract", *words)
    return done.returncode, done.stdout, done.stderr


def test_the_program_is_printed_and_python_reads_the_same(here):
    asked = ("my_gates:bits", "--weights", "and.safetensors", "--target", "my_gates:conjunction")
    code, out, err = command(*asked)
    assert code == 0, err
    assert "def program(x):" in out and "equal on all 4 inputs" in " ".join(out.split())
    code, out, err = command(*asked, "--json")
    said = json.loads(out)
    assert code == 0 and said["equivalence"]["scope"] == "exhaustive" and said["correct"]["equal"]
    names = {}
    exec(said["python"], names)
    assert names["found"].program.source == said["program"]["source"]
    defined = {}
    exec(said["program"]["source"], defined)
    assert [defined["program"](row) for row in ([0, 0], [1, 0], [0, 1], [1, 1])] == [0, 0, 0, 1]


def test_bad_input_is_one_clean_message(here):
    for words, said in (
        (("my_gates:bits", "--target", "boolen"), "did you mean 'boolean'"),
        (("my_gates:bits", "--target", "boolean", "--set", "bits"), "expected name=value"),
        (("my_gates:bits", "--target", "boolean", "--set", "bits=3", "--set", "rule=parity"), "cannot read the inputs"),
        (("my_gates:nothing", "--target", "my_gates:conjunction"), "nothing"),
        (("my_gates:bits", "--target", "my_gates:bits"), "must give an allroads.Target"),
    ):
        code, _, err = command(*words)
        assert code == 2 and said in err and "Traceback" not in err, err


def test_options_are_toml_or_text():
    asked = ExtractRequest.of_words("m:f", "sequence", None, ["task=Div_7", "length=5", "as_numbers=false"], 0)
    assert asked.options == {"task": "Div_7", "length": 5, "as_numbers": False}
