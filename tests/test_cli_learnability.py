"""``allroads learnability`` on the file of a study."""

import json

import pytest

from command_in_process import allroads

STUDY = """
name = "tiny"

[[grid]]
name = "bits"
seeds = 2
steps = 100

[[grid.target]]
kind = "boolean"
bits = 3
rule = "parity"
train_fraction = 1.0

[[grid.target]]
kind = "boolean"
bits = 3
expression = "x0"
train_fraction = 1.0

[[grid.architecture]]
kind = "mlp"
widths = [8]

[[grid.explorer]]
kind = "gd"
learning_rate = 0.5

[[grid.explorer]]
kind = "sgld"
nbeta = 4.0
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "tiny.toml").write_text(STUDY)
    return tmp_path


def learnability(*words, cwd):
    return allroads("learnability", *words, cwd=cwd)


@pytest.mark.slow
def test_it_predicts_what_the_study_would_learn_first_and_trains_nothing(folder):
    done = learnability("tiny.toml", cwd=folder)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "mlp × gd, bits" in lines and "not applicable: 'sgld' samples, and does not descend to a goal" in lines
    head = lines.index("mlp × gd, bits") + 1
    assert lines[head].split("  ")[0] == "target" and "chance in 100" in lines[head]
    assert lines[head + 1].startswith("x0") and lines[head + 2].startswith("parity") and "%" in lines[head + 2]
    assert [path.name for path in folder.iterdir()] == ["tiny.toml"]


def test_json_has_every_column(folder):
    explorer = 'grid.0.explorer=[{kind="sgld",nbeta=4.0}]'
    done = learnability("tiny.toml", "--json", "--set", explorer, "--set", "grid.0.steps=7", cwd=folder)
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["forecasts"]
    assert len(rows) == 2 and {row["budget"] for row in rows} == {7}
    assert {row["status"] for row in rows} == {"not applicable"} and {row["predicted"] for row in rows} == {None}
    assert {"grid", "target", "low", "high", "probability", "hitting_time", "leap", "reason"} <= set(rows[0])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nothing",), "no study 'nothing'"),
        (("tiny.toml", "--set", "grid.0.seedz=4"), "tiny.toml: grid.0.seedz: unknown key: did you mean 'seeds'?"),
        (("tiny.toml", "--set", "grid.0.explorer.0.kind=adm"), "did you mean 'adam'?"),
        ((), "tudy"),
    ],
)
def test_bad_input_is_one_clean_message(folder, words, said):
    done = learnability(*words, cwd=folder)
    assert done.returncode == 2
    assert said in done.stderr and "Traceback" not in done.stderr and done.stdout == ""
