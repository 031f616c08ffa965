"""Bad input: each error names the thing and the remedy."""

import numpy as np
import pytest

from allroads.errors import InputError, UnknownNameError
from allroads.targets import TARGETS, Target, build_target

X = np.arange(12.0).reshape(6, 2)
RNG = np.random.default_rng(0)
Y = np.array([0, 1, 0, 1, 0, 1])


def with_value(array, index, value):
    copy = np.array(array, dtype=float)
    copy[index] = value
    return copy


CASES = {
    "NaN in inputs": (
        dict(inputs=with_value(X, (3, 1), np.nan), labels=Y),
        r"'bad': inputs.*1 values.*\(3, 1\)",
    ),
    "inf in inputs": (dict(inputs=with_value(X, (0, 0), np.inf), labels=Y), r"inputs.*infinite.*remove"),
    "NaN in labels": (dict(inputs=X, labels=with_value(Y, 2, np.nan), loss="mse"), r"labels.*\(2,\)"),
    "NaN from a function": (dict(inputs=X, function=lambda x: float("nan")), r"labels.*NaN"),
    "too few labels": (dict(inputs=X, labels=Y[:5]), r"labels have shape \(5,\) for 6 examples"),
    "inputs without an axis": (dict(inputs=X[:, 0], labels=Y), r"inputs have shape \(6,\).*\[N, 1\]"),
    "ragged inputs": (dict(inputs=[[1.0], [1.0, 2.0]], labels=[0, 1]), r"inputs.*one shape"),
    "texts as inputs": (dict(inputs=[["a"], ["b"]], labels=[0, 1]), r"inputs.*real numbers.*convert"),
    "complex inputs": (dict(inputs=X + 1j, labels=Y), r"inputs.*real numbers"),
    "no example": (dict(inputs=np.zeros((0, 2)), labels=[]), r"inputs.*empty"),
    "no feature": (dict(inputs=np.zeros((6, 0)), labels=Y), r"inputs.*empty"),
    "label above classes": (
        dict(inputs=X, labels=Y + 2, classes=3),
        r"labels run from 2 to 3.*0 … 2.*renumber",
    ),
    "label below 0": (dict(inputs=X, labels=Y - 1), r"labels run from -1 to 0.*renumber"),
    "half a class": (dict(inputs=X, labels=Y + 0.5, loss="cross_entropy"), r"whole numbers, got 0.5.*mse"),
    "one-hot labels": (
        dict(inputs=np.eye(6, 4), labels=np.eye(6, 3, dtype=int)),
        r"labels.*\(6, 3\).*argmax",
    ),
    "bce of classes": (dict(inputs=X, labels=Y + 1, loss="bce"), r"0 or 1, got 2"),
    "mse with classes": (dict(inputs=X, labels=Y, loss="mse", classes=2), r"classes=2.*drop"),
    "mse of four axes": (
        dict(inputs=X, labels=np.zeros((6, 2, 2, 2)), loss="mse"),
        r"labels have shape.*expects",
    ),
    "one class": (dict(inputs=X, labels=np.zeros(6, int), classes=2), r"all labels are 0: one class only"),
    "one number": (dict(inputs=X, labels=np.full(6, 2.5)), r"all labels are 2.5"),
    "one class in training": (
        dict(inputs=np.arange(50.0)[:, None], labels=np.eye(50, dtype=int)[0], train_size=1),
        r"all training labels are 0.*seed",
    ),
    "unknown loss": (dict(inputs=X, labels=Y, loss="mes"), r"did you mean 'mse'"),
    "loss as a function": (dict(inputs=X, labels=Y, loss=lambda f, y: f), r"unknown loss"),
    "no answers": (dict(inputs=X), r"exactly one of labels, function and step; got none"),
    "two answers": (dict(inputs=X, labels=Y, function=sum), r"got labels, function"),
    "labels alone": (dict(labels=Y), r"labels need the inputs"),
    "no examples at all": (dict(function=sum), r"no examples; give inputs, or alphabet"),
    "alphabet without length": (dict(alphabet=2, function=sum), r"no examples"),
    "inputs and a sampler": (dict(inputs=X, labels=Y, sampler=lambda r, n: r), r"drop them"),
    "not a function": (dict(inputs=X, function=3), r"function must be a Python function, got 3"),
    "share above 1": (dict(inputs=X, labels=Y, train_fraction=1.2), r"train_fraction.*at most 1, got 1.2"),
    "share of nothing": (dict(inputs=X, labels=Y, train_fraction=0), r"above 0"),
    "share and size": (dict(inputs=X, labels=Y, train_fraction=0.5, train_size=3), r"keep one"),
    "size above all": (dict(inputs=X, labels=Y, train_size=7), r"train_size.*1 … 6, got 7"),
    "held out above rest": (dict(inputs=X, labels=Y, train_size=4, held_out_size=3), r"held_out_size.*0 … 2"),
    "size as a float": (dict(inputs=X, labels=Y, train_size=3.0), r"train_size.*whole number"),
    "seed below 0": (dict(inputs=X, labels=Y, seed=-1), r"seed"),
    "all examples equal": (dict(inputs=np.ones((6, 2)), labels=Y), r"too few different examples"),
    "split twice": (
        dict(inputs=X, labels=Y, held_out_inputs=X, held_out_labels=Y, train_size=2),
        r"split is made",
    ),
    "held out without labels": (dict(inputs=X, labels=Y, held_out_inputs=X), r"held_out_labels go with"),
    "held out of another shape": (
        dict(inputs=X, labels=Y, held_out_inputs=X[:, :1], held_out_labels=Y),
        r"\(2,\).*held_out_inputs \(1,\)",
    ),
    "too few held-out labels": (
        dict(inputs=X, labels=Y, held_out_inputs=X, held_out_labels=Y[:2]),
        r"held_out_labels",
    ),
    "failing function": (dict(inputs=X, function=lambda x: 1 / 0), r"ZeroDivisionError"),
    "failing on one example": (
        dict(inputs=X, function=lambda x: 1 / int(x[0] - 4)),
        r"example 2.*ZeroDivision",
    ),
    "wrong number of answers": (
        dict(inputs=X, function=lambda x: x[0], vectorised=True),
        r"2 answers to 6 examples",
    ),
    "answers of several lengths": (dict(inputs=X, function=lambda x: [1] * int(x[0] + 1)), r"one shape"),
    "no answer": (dict(inputs=X, function=lambda x: None), r"labels.*real numbers"),
    "fresh answers": (
        dict(inputs=X, function=lambda x: RNG.normal()),
        r"the same example in two ways",
    ),
    "foreign symbol": (dict(inputs=[[0, 2]], labels=[0], alphabet=2), r"inputs: 2 is not in the alphabet"),
    "symbol twice": (dict(alphabet=(0, 0), length=2, function=sum), r"none twice"),
    "no symbols": (dict(alphabet=(), length=2, function=sum), r"at least one symbol"),
    "alphabet as a float": (dict(alphabet=2.5, length=2, function=sum), r"alphabet.*number of symbols"),
    "length 0": (dict(alphabet=2, length=0, function=sum), r"length.*at least 1"),
    "foreign answer": (
        dict(alphabet=2, length=2, function=lambda s: "no", output_alphabet=["yes"]),
        r"'no' is not in output_alphabet",
    ),
    "numbers without an alphabet": (
        dict(inputs=X, labels=Y, as_numbers=True),
        r"as_numbers needs an alphabet",
    ),
    "numbers of brackets": (
        dict(alphabet="()", length=2, function=len, as_numbers=True),
        r"alphabet of numbers",
    ),
    "failing sampler": (
        dict(sampler=lambda rng: rng, function=sum),
        r"sampler\(rng, .*Generator and a count",
    ),
    "short sampler": (dict(sampler=lambda rng, n: np.zeros((1, 2)), function=sum), r"gave shape \(1, 2\)"),
    "sampler of NaN": (dict(sampler=lambda rng, n: np.full((n, 2), np.nan), function=sum), r"sampler.*NaN"),
    "sampler of few": (
        dict(sampler=lambda rng, n: rng.integers(2, size=(n, 2)), function=sum),
        r"only 4 different",
    ),
    "sampler of other lengths": (
        dict(alphabet=2, length=3, sampler=lambda rng, n: rng.integers(2, size=(n, 4)), function=sum),
        r"shape \(4,\); expected \(3,\)",
    ),
    "share of what is drawn": (
        dict(alphabet=9, length=9, function=sum, train_fraction=0.5),
        r"use train_size",
    ),
    "step without a pair": (
        dict(alphabet=2, length=2, step=lambda s, x: s, initial_state=0),
        r"step\(0, 0\) gave 0; expected the pair",
    ),
    "state that cannot be hashed": (
        dict(alphabet=2, length=2, step=lambda s, x: ([x], x), initial_state=(0,)),
        r"step.*hashable",
    ),
    "first state that cannot be hashed": (
        dict(alphabet=2, length=2, step=lambda s, x: ([*s, x], x), initial_state=[]),
        r"initial_state.*hashed.*got \[\]",
    ),
    "step that remembers": (
        dict(alphabet=2, length=2, step=lambda s, x: (s, s.append(x) or len(s)), initial_state=[]),
        r"two ways",
    ),
    "truth that is not JSON": (dict(inputs=X, labels=Y, truth={"f": print}), r"truth must be JSON-able"),
    "NaN in truth": (dict(inputs=X, labels=Y, truth={"f": float("nan")}), r"truth must be JSON-able"),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_input(case):
    options, message = CASES[case]
    with pytest.raises(InputError, match=message):
        Target("bad", **options)


@pytest.mark.parametrize("name", ["", "  ", None, 3])
def test_bad_names(name):
    with pytest.raises(InputError, match="name"):
        Target(name, inputs=X, labels=Y)


def test_unknown_kinds_and_options_carry_the_nearest_name():
    with pytest.raises(UnknownNameError, match="did you mean 'modular'"):
        build_target("moduler", p=5)
    with pytest.raises(UnknownNameError, match="did you mean 'polynomial'"):
        build_target("modular", p=5, polynomal="a")
    with pytest.raises(UnknownNameError, match="did you mean 'Add_Mod_5'"):
        build_target("sequence", task="Add_Mod5")
    with pytest.raises(InputError, match="needs p"):
        build_target("modular")


def test_every_kind_is_listed():
    assert set(TARGETS) == {
        "arrays", "boolean", "digits", "factory", "group", "linear_teacher", "modular", "sequence", "tomita"
    }  # fmt: skip
