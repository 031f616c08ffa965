"""What extraction says of what it cannot read: what is wrong, and what is done or to be done instead."""

from __future__ import annotations

import itertools
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file
from typer.testing import CliRunner

from allroads import InputError, Network, Target, compile_program, extract, run_source
from allroads.cli import app
from allroads.networks.mlp import mlp
from allroads.networks.recurrent import recurrent
from allroads.programs.boolean import Formula
from allroads.programs.linear import Recurrence
from allroads.programs.mealy import Machine
from allroads.programs.mealy.induction import Closure
from allroads.programs.mealy.within import Within
from allroads.status import ExtractionStatus

PARITY = Target("parity", alphabet=2, length=4, step=lambda s, x: (s ^ x, s ^ x), initial_state=0)
SUM = Target("sum", alphabet=3, length=4, as_numbers=True, step=lambda s, x: (s + x, s + x), initial_state=0)
RUNNING = Recurrence(a=((1,),), b=((1,),), c=((1,),), d=((1,),), start=(0,))
ROWS = np.array(list(itertools.product((0.0, 1.0), repeat=3)))
FIRST = Target("first", inputs=ROWS, labels=ROWS[:, 0], loss="bce", complete=True, train_fraction=1)


def untrained(target, **options):
    shape = target.interface
    network = recurrent(shape.input_shape, shape.outputs, vocabulary=shape.vocabulary, per_position=True, width=4,
                        cell="elman", **options)  # fmt: skip
    return network, network.init(jax.random.key(0))


def scaled(params, factor):
    """The same network with its readout multiplied."""
    return {**params, "readout": {name: np.asarray(leaf) * factor for name, leaf in params["readout"].items()}}


def test_an_alphabet_that_is_too_large_is_not_enumerated_and_says_what_is_done_instead():
    large = Target("large", alphabet=2000, length=3, step=lambda s, x: (s, x % 2), initial_state=0)
    found = extract(*untrained(large), large)
    assert found.status == ExtractionStatus.NOT_APPLICABLE and found.program is None
    assert "2,000 letters" in found.stats["why"] and "as_numbers=True" in found.stats["why"]


def test_more_inputs_than_formulas_have_are_refused():
    wide = Target("wide", inputs=np.random.default_rng(0).integers(0, 2, (50, 65)) * 1.0, loss="bce",
                  function=lambda x: int(x[0]))  # fmt: skip
    network = mlp((65,), 1, widths=(4,))
    found = extract(network, network.init(jax.random.key(0)), wide)
    assert found.status == ExtractionStatus.NOT_APPLICABLE
    assert "there are 65 inputs; formulas have up to 64" in found.stats["why"]


@pytest.mark.slow
def test_a_length_that_is_too_large_is_proved_by_induction_or_said_to_be_sampled(monkeypatch):
    """2^24 words: those that are drawn are compared, and boxes of hidden states decide for all lengths."""
    long = Target("long", alphabet=2, length=24, step=lambda s, x: (s ^ x, s ^ x), initial_state=0)
    given = *compile_program(Machine.of(PARITY.truth["machine"]), length=24), long
    found = extract(*given)
    assert found.equivalence.scope == "all lengths" and not found.equivalence.stats["complete"]
    assert found.correct.equal and found.correct.scope == "sampled"
    module = sys.modules["allroads.programs.mealy.read"]
    monkeypatch.setattr(module, "closure", lambda *_, **__: Closure(False, why="no time"))
    held = extract(*given)
    assert (held.equivalence.scope, held.equivalence.length, held.status) == (
        "to length",
        24,
        ExtractionStatus.COMPUTES,
    )
    assert "sets of hidden states hold for 24 letters" in held.stats["why"]
    monkeypatch.setattr(module, "within", lambda *_, **__: Within(0, why="no time"))
    loose = extract(*given)
    assert loose.equivalence.scope == "sampled" and "sampled inputs" in str(loose.equivalence)
    assert loose.status == ExtractionStatus.NOT_PROVED and not loose.equivalence.proved
    assert "not proved beyond the words that were compared: no time" in loose.stats["why"]


def test_answers_that_are_not_whole_give_no_program():
    halves = Target("halves", alphabet=3, length=4, as_numbers=True, step=lambda s, x: (s + x, (s + x) / 2),
                    initial_state=0)  # fmt: skip
    network, params = compile_program(RUNNING, length=4)
    found = extract(network, scaled(params, 0.5), halves)
    assert found.status == ExtractionStatus.NOT_APPLICABLE
    assert "asks for 0.5" in found.stats["why"] and "multiply its answers" in found.stats["why"]
    own = extract(network, scaled(params, 0.5), SUM)  # the network answers halves, and rounding would decide
    assert own.status == ExtractionStatus.NO_PROGRAM
    assert "no whole number" in own.stats["languages"]["linear"]
    assert "rounding decides" in own.stats["languages"]["mealy"]


@pytest.mark.parametrize(("factor", "said"), [(1e20, "2^53"), (1e300, "2^53")])
def test_answers_that_are_too_large_to_be_whole_give_no_program(factor, said):
    network, params = compile_program(RUNNING, length=4)
    found = extract(network, scaled(jax.tree.map(lambda leaf: np.asarray(leaf, float), params), factor), SUM)
    assert found.status == ExtractionStatus.NO_PROGRAM and found.program is None and said in found.stats["why"]


def test_outputs_that_overflow_give_no_program():
    def apply(params, x):
        return params["w"] * jnp.exp(1000 * x[:, :1]) - jnp.exp(1000 * x[:, :1])

    found = extract(Network(lambda key: {"w": jnp.ones(1)}, apply), {"w": np.ones(1)}, FIRST)
    assert found.status == ExtractionStatus.NO_PROGRAM and "not finite" in found.stats["why"]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused(value):
    network, params = compile_program(RUNNING, length=4)
    with pytest.raises(InputError, match=r"readout.*NaN or infinity"):
        extract(network, {**params, "readout": {"weight": np.full((2, 1), value), "bias": np.zeros(1)}}, SUM)


def test_a_network_that_does_not_fit_its_task_is_refused():
    network, params = compile_program(RUNNING, length=4)
    with pytest.raises(InputError, match=r"expected \[N, 4, 1\]"):
        extract(network, params, PARITY)
    wide = mlp((3,), 2, widths=(4,))
    with pytest.raises(InputError, match=r"gives outputs .2,. per example, and the target asks for .1,."):
        extract(wide, wide.init(jax.random.key(0)), FIRST)
    with pytest.raises(InputError, match=r"expected an allroads.Network; got None. PyTorch"):
        extract(None, params, SUM)
    with pytest.raises(InputError, match="no array"):
        extract(network, None, SUM)
    with pytest.raises(InputError, match="seed: expected a whole number of 0 or more; got -1"):
        extract(network, params, SUM, seed=-1)


def test_a_network_without_a_recurrent_cell_is_told_that_one_is_needed():
    flat = Network(lambda key: {"w": np.ones(1)}, lambda params, x: x.cumsum(axis=1) * params["w"])
    said = extract(flat, {"w": np.ones(1)}, SUM).stats["languages"]
    assert said["linear"] == said["piecewise"] == "the network has no recurrent cell"


def test_functions_of_a_user_that_fail_are_named():
    def gone(x):
        raise KeyError("gone")

    with pytest.raises(InputError, match=r"target 'mine': the function failed .*KeyError: 'gone'"):
        Target("mine", alphabet=2, length=3, function=gone)
    with pytest.raises(InputError, match="ZeroDivisionError"):
        Target("mine", alphabet=2, length=3, step=lambda s, x: (s, 1 // 0), initial_state=0)

    def apply(params, x):
        raise ZeroDivisionError("mine")

    with pytest.raises(InputError, match="cannot read the inputs of target 'first': ZeroDivisionError: mine"):
        extract(Network(lambda key: jnp.ones(1), apply), np.ones(1), FIRST)


def test_functions_of_a_user_that_are_not_deterministic_are_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(InputError, match="answers the same example in two ways"):
        Target("drawn", alphabet=2, length=5, function=lambda x: int(rng.integers(2)))
    calls = itertools.count()
    with pytest.raises(InputError, match="answers the same example in two ways"):
        Target("counted", alphabet=2, length=5, step=lambda s, x: (s, next(calls) % 3), initial_state=0)


def test_the_source_of_a_program_has_limits_of_time_and_memory():
    source = Formula.parse("x0 & x1", 2).source
    assert run_source(source, [[1, 1], [1, 0]]) == [1, 0]
    with pytest.raises(InputError, match=r"seconds|signal"):
        run_source("def program(x):\n    return sum(1 for _ in range(10 ** 12))\n", [1], seconds=1)
    with pytest.raises(InputError, match="MemoryError"):
        run_source("def program(x):\n    return [0] * 10 ** 9\n", [1], megabytes=256)
    with pytest.raises(InputError, match="the source failed"):
        run_source("import os\ndef program(x):\n    return os.getcwd()\n", [1])


NETWORK = """
import numpy as np
from allroads import Target
from allroads.networks.recurrent import recurrent

def make(): return recurrent((4,), 2, vocabulary=2, per_position=True, cell="elman", width=3)
def coin(): return Target("coin", alphabet=2, length=4, function=lambda x: int(np.random.default_rng().integers(2**40)))
def fails(): return Target("fails", alphabet=2, length=4, function=lambda x: x.nothing)
def text(): return "no target"
"""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--target", "my_bad_net:coin"], "in two ways"),
        (["--target", "my_bad_net:fails"], "AttributeError"),
        (["--target", "my_bad_net:text"], "Target"),
        (["--target", "my_bad_net:nobody"], "nobody"),
        (["--target", "sequences", "--set", "task=Parity_All"], "did you mean 'sequence'"),
        (["--target", "sequence", "--set", "task=Parity"], "Parity"),
        (["--target", "sequence", "--set", "task"], "expected name=value"),
        (["--target", "sequence", "--set", "task=Parity_All"], "10"),
        (["--target", "tomita", "--set", "grammar=4", "--set", "length=4", "--weights", "nan.safetensors"], "NaN"),
        (["--target", "tomita", "--set", "grammar=4", "--set", "length=4", "--weights", "gone.safetensors"], "gone"),
    ],
)
def test_the_command_line_says_what_is_wrong(words, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "my_bad_net.py").write_text(NETWORK)
    network = recurrent((4,), 2, vocabulary=2, per_position=True, cell="elman", width=3)
    paths, _ = jax.tree_util.tree_flatten_with_path(network.init(jax.random.key(0)))
    save_file(
        {jax.tree_util.keystr(p, simple=True, separator="."): np.full(leaf.shape, np.nan, "f") for p, leaf in paths},
        tmp_path / "nan.safetensors",
    )
    with pytest.raises(InputError, match=said):
        CliRunner().invoke(app, ["extract", "my_bad_net:make", *words], catch_exceptions=False)
