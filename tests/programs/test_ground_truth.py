"""The zoo of known programs: weights that compute them, also as PyTorch modules, and what is read of them."""

from __future__ import annotations

import json

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file
from typer.testing import CliRunner

from allroads import InputError, extract, float64, from_torch, run_source
from allroads.cli import app
from allroads.errors import UnknownNameError
from allroads.files.weights import fill_params
from allroads.programs import torch_module, zoo
from allroads.programs.ground_truth import entries, write_model
from allroads.programs.language import languages
from allroads.programs.mealy import Machine

FEW = ("pairs-less", "div-3", "sum-last3", "subtract-mod-13-waves")
SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in entries() if name not in FEW]


def answers_of(outputs, target):
    """Answers by the target's loss, in the shape of its labels."""
    outputs = np.asarray(outputs)
    if target.loss == "cross_entropy":
        return outputs.argmax(-1)
    said = (outputs > 0) if target.loss == "bce" else np.rint(outputs)
    return said.reshape(target.full.labels.shape)


def test_there_are_models_of_every_language_and_their_names_are_told_apart():
    counts = {name: sum(one.language == name for one in entries().values()) for name in (
        "boolean", "mealy", "linear", "fourier", "sequence")}  # fmt: skip
    assert sum(counts.values()) == len(entries()) >= 40 and min(counts.values()) >= 8
    assert {f"tomita-{k}" for k in range(1, 8)} <= set(entries())


def of_languages(*names):
    return [
        pytest.param(n, marks=[pytest.mark.slow] * (n not in FEW)) for n in entries() if entries()[n].language in names
    ]


@pytest.mark.parametrize("name", of_languages("fourier", "mealy", "boolean"))
def test_a_program_is_read_back_in_its_normal_form_or_with_as_few_gates(name):
    """All else that is promised of a model of the zoo is checked by ``check_language``."""
    network, params, program, target = zoo(name)
    assert program.language == entries()[name].language
    own = [language for language in languages() if language.name == program.language]
    found = extract(network, params, target, languages=own)
    if program.language == "boolean":
        assert found.program.gates <= program.gates
    else:
        assert found.program.canonical() == program.canonical()


@pytest.mark.parametrize("name", [*FEW, *SLOW])
def test_a_model_is_the_same_as_a_pytorch_module(name):
    torch = pytest.importorskip("torch")
    network, params, program, target = zoo(name)
    module = torch_module(program, **entries()[name].options)
    inputs = target.full.inputs
    given = torch.tensor(inputs, dtype=torch.long if target.interface.vocabulary is not None else torch.float32)
    with torch.no_grad():
        outputs = module(given.to(next(module.parameters()).dtype) if given.is_floating_point() else given).numpy()
    expected = np.asarray(network.apply(params, inputs))
    size = max(1.0, float(np.abs(expected).max()))
    # The scores of hard attention reach some hundreds, so that rounding of single precision is seen.
    tolerance = 1e-4 if program.language == "sequence" else 1e-5
    assert outputs.shape == expected.shape and np.abs(outputs - expected).max() <= tolerance * size
    assert np.array_equal(answers_of(outputs, target), target.full.labels)


@pytest.mark.parametrize("name", [name for name, one in entries().items() if one.language == "sequence"])
def test_a_transformer_is_the_same_as_a_pytorch_module_in_double_precision(name):
    torch = pytest.importorskip("torch")
    with float64():
        network, params, program, target = zoo(name)
        module = torch_module(program, **entries()[name].options)
        words = target.full.inputs
        wanted = np.asarray(jax.jit(network.apply)(params, words))
    with torch.no_grad():
        outputs = module(torch.tensor(words)).numpy()
    assert outputs.dtype == np.float64 and outputs.shape == wanted.shape
    assert np.abs(outputs - wanted).max() <= 1e-9
    assert np.array_equal(outputs.argmax(-1), target.full.labels)


def test_the_program_of_a_pytorch_module_of_the_zoo_is_read():
    torch = pytest.importorskip("torch")
    _, _, program, target = zoo("pairs-less")
    network, params = from_torch(torch_module(program), torch.zeros(2, 4))
    found = extract(network, params, target)
    assert found.equivalence.proved and found.correct.equal and found.program.equals(program).equal


def test_relu_machines_and_machines_of_numbers_are_modules_too():
    torch = pytest.importorskip("torch")
    machine = Machine((0, 1), ((0, 1), (1, 0)), ((0, 1), (1, 0)))
    words = np.random.default_rng(0).integers(0, 2, (32, 9))
    wanted = np.array(machine.run(words.tolist()))
    scores = torch_module(machine, cell="relu", length=9)(torch.tensor(words))
    assert np.array_equal(scores.argmax(-1).numpy(), wanted)
    told = torch_module(machine, numbers=True, length=9)(torch.tensor(words, dtype=torch.float32)[..., None])
    assert np.array_equal(told.detach().numpy().round()[..., 0], wanted)


def test_a_model_is_written_and_read_again(tmp_path):
    files = write_model("tomita-5", tmp_path / "model")
    assert [path.name for path in files] == ["weights.safetensors", "program.py", "model.json"]
    network, params, program, _ = zoo("tomita-5")
    again = fill_params(network.init(jax.random.key(0)), load_file(files[0]), "weights")
    assert jax.tree.all(jax.tree.map(np.array_equal, again, params))
    about = json.loads(files[2].read_text())
    assert run_source(files[1].read_text(), about["inputs"]) == about["labels"]
    assert np.asarray(network.apply(params, about["inputs"])).argmax(-1).tolist() == about["labels"]
    assert about["vocabulary"] == 2 and about["per_position"] and about["bits"] == program.bits
    with pytest.raises(InputError, match="not an empty folder"):
        write_model("tomita-5", tmp_path / "model")


def test_the_zoo_on_the_command_line(tmp_path):
    runner = CliRunner()
    listed = runner.invoke(app, ["zoo"])
    assert listed.exit_code == 0 and len(listed.output.splitlines()) == len(entries())
    assert any(line.startswith("tomita-4 ") and "mealy" in line for line in listed.output.splitlines())
    shown = runner.invoke(app, ["zoo", "xor-2", "--out", str(tmp_path / "xor")])
    assert shown.exit_code == 0 and "return int(x0 ^ x1)" in shown.output and "12 bits" in shown.output
    assert (tmp_path / "xor" / "weights.safetensors").exists()
    told = json.loads(runner.invoke(app, ["zoo", "xor-2", "--json"]).output)
    assert told["language"] == "boolean" and told["source"] == zoo("xor-2").program.source
    with pytest.raises(UnknownNameError, match="did you mean 'tomita-4'"):
        runner.invoke(app, ["zoo", "tomita4"], catch_exceptions=False)
    with pytest.raises(InputError, match="needs the name"):
        runner.invoke(app, ["zoo", "--out", "x"], catch_exceptions=False)


def test_what_has_no_module_is_refused():
    pytest.importorskip("torch")
    with pytest.raises(InputError, match="expected a program"):
        torch_module("x0")
