"""Linear teachers, digits, arrays from files, factories; and what holds for every kind."""

import subprocess
import sys

import numpy as np
import pytest

from allroads.errors import InputError
from allroads.targets import build_target
from allroads.targets.arrays import arrays
from allroads.targets.build import TARGETS
from allroads.targets.digits import digits
from allroads.targets.factory import factory
from allroads.targets.linear_teacher import linear_teacher
from allroads.testing import check_target

# --- linear teachers


@pytest.mark.parametrize("inputs", ["gaussian", "whitened"])
def test_a_teacher_is_linear_noiseless_and_of_its_rank(inputs):
    target = linear_teacher(widths=[6, 9, 4, 5], rank=3, inputs=inputs, train_size=50, held_out_size=20)
    teacher = np.array(target.truth["teacher"])
    assert teacher.shape == (5, 6) and np.linalg.matrix_rank(teacher) == target.truth["rank"] == 3
    for probes in (target.train, target.held_out):
        np.testing.assert_allclose(probes.labels, probes.inputs @ teacher.T, atol=1e-12)
    np.testing.assert_allclose(
        target.truth["singular_values"], np.linalg.svd(teacher, compute_uv=False)[:3], atol=1e-12
    )
    assert (len(target.train), len(target.held_out), target.interface.outputs) == (50, 20, 5)
    assert target.truth["widths"] == [6, 9, 4, 5]


def test_whitened_inputs_have_the_identity_as_second_moment():
    target = linear_teacher(widths=[8, 3], inputs="whitened", train_size=40, held_out_size=4000)
    x, held_out = target.train.inputs, target.held_out.inputs
    np.testing.assert_allclose(x.T @ x / 40, np.eye(8), atol=1e-12)
    # the same map, on examples of a standard normal: the inverse of the second moment of the training draws
    gaussian = linear_teacher(widths=[8, 3], train_size=40, held_out_size=4000)
    g, g_held_out = gaussian.train.inputs, gaussian.held_out.inputs
    np.testing.assert_allclose(
        held_out[:5] @ held_out[:5].T, g_held_out[:5] @ np.linalg.inv(g.T @ g / 40) @ g_held_out[:5].T, atol=1e-9
    )


def test_outputs_have_variance_about_one(seed):
    seeds = range(20 * seed, 20 * seed + 20)
    scales = [linear_teacher(widths=[20, 20], rank=5, seed=s, held_out_size=0).train.labels.var() for s in seeds]
    assert np.mean(scales) == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"widths": [5]}, "input and an output width"),
        ({"widths": [5, 0]}, "widths"),
        ({"widths": [5, 3], "rank": 4}, r"rank.*1 … 3, got 4"),
        ({"widths": [5, 3], "rank": 0}, "rank"),
        ({"widths": [5, 3], "inputs": "white"}, "did you mean 'whitened'"),
        ({"widths": [5, 3], "inputs": "whitened", "train_size": 4}, "at least 5 training examples, got 4"),
    ],
)
def test_bad_teachers(options, message):
    with pytest.raises(InputError, match=message):
        linear_teacher(**options)


# --- digits


def test_digits_are_the_real_images():
    from sklearn.datasets import load_digits

    data = load_digits()
    of = {image.tobytes(): label for image, label in zip(data.images, data.target, strict=True)}
    target = digits()
    assert (len(target.train), len(target.held_out)) == (1438, 359)
    assert target.interface.input_shape == (8, 8, 1) and target.interface.outputs == 10
    assert (target.train.inputs.min(), target.train.inputs.max()) == (0, 1)
    for probes in (target.train, target.held_out):
        labels = [of[(image[..., 0] * 16).tobytes()] for image in probes.inputs]
        np.testing.assert_array_equal(labels, probes.labels)


def test_flat_digits_are_the_same_digits():
    np.testing.assert_array_equal(digits(flatten=True).train.inputs, digits().train.inputs.reshape(-1, 64))


def test_shuffled_labels_are_a_permutation_without_information():
    plain, shuffled = digits(), digits(shuffle_labels=True)
    np.testing.assert_array_equal(plain.train.inputs, shuffled.train.inputs)
    both = [np.concatenate([t.train.labels, t.held_out.labels]) for t in (plain, shuffled)]
    np.testing.assert_array_equal(np.bincount(both[0]), np.bincount(both[1]))
    assert np.mean(both[0] == both[1]) == pytest.approx(0.1, abs=0.04)
    assert shuffled.truth["shuffled_labels"] and not plain.truth["shuffled_labels"]


# --- arrays


def test_arrays_from_a_file(tmp_path):
    x, y = np.random.default_rng(0).normal(size=(10, 3)), np.arange(10) % 2
    np.savez(tmp_path / "whole.npz", inputs=x, labels=y)
    whole = arrays(path=str(tmp_path / "whole.npz"))
    assert (whole.name, len(whole.train), len(whole.held_out)) == ("whole", 8, 2)
    names = ("train_inputs", "train_labels", "held_out_inputs", "held_out_labels")
    np.savez(tmp_path / "split.npz", **dict(zip(names, (x[:6], y[:6], x[6:], y[6:]), strict=True)))
    split = arrays(path=str(tmp_path / "split.npz"))
    np.testing.assert_array_equal(split.train.inputs, x[:6])
    np.testing.assert_array_equal(split.held_out.labels, y[6:])


def test_tokens_from_a_file(tmp_path):
    np.savez(
        tmp_path / "tokens.npz", inputs=np.array([[0, 2], [1, 1], [2, 0]]), labels=np.array([[0, 1], [1, 1], [1, 0]])
    )
    target = arrays(path=str(tmp_path / "tokens.npz"), alphabet=3, train_fraction=1)
    assert target.interface.vocabulary == 3 and target.interface.per_position


def bad_files(folder):
    x, y = np.eye(4), np.arange(4) % 2
    np.savez(folder / "names.npz", x=x, y=y)
    np.savez(folder / "half.npz", inputs=x)
    np.savez(folder / "both.npz", inputs=x, labels=y, extra=y)
    np.savez(folder / "nan.npz", inputs=x * np.nan, labels=y)
    np.savez(folder / "objects.npz", inputs=np.array([{}, 1], dtype=object), labels=y)
    np.save(folder / "one.npy", x)
    (folder / "text.npz").write_text("not an archive")
    (folder / "empty.npz").write_bytes(b"")
    whole = folder / "cut.npz"
    np.savez(whole, inputs=x, labels=y)
    whole.write_bytes(whole.read_bytes()[:200])
    (folder / "folder.npz").mkdir()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing.npz", "no such file"),
        ("names.npz", "holds x, y; expected inputs, labels or train_inputs"),
        ("half.npz", "holds inputs; expected"),
        ("both.npz", "holds extra"),
        ("nan.npz", "inputs.*NaN"),
        ("objects.npz", "cannot be read.*numpy.savez"),
        ("one.npy", "one array"),
        ("text.npz", "cannot be read"),
        ("empty.npz", "cannot be read"),
        ("cut.npz", "cannot be read"),
        ("folder.npz", "cannot be read"),
    ],
)
def test_bad_files(name, message, tmp_path):
    bad_files(tmp_path)
    with pytest.raises(InputError, match=message):
        arrays(path=str(tmp_path / name))


# --- factories


@pytest.fixture
def my_targets(tmp_path, monkeypatch):
    (tmp_path / "targets_of_mine.py").write_text(
        "from allroads import Target\n"
        "def parity(bits):\n"
        "    return Target('mine', alphabet=2, length=bits, function=lambda s: sum(s) % 2)\n"
        "def broken():\n    raise RuntimeError('out of luck')\n"
        "def wrong():\n    return 3\n"
        "number = 3\n"
    )
    (tmp_path / "targets_that_fail.py").write_text("import no_such_package\n")
    monkeypatch.chdir(tmp_path)
    yield
    sys.modules.pop("targets_of_mine", None)


def test_a_users_factory_in_the_current_folder(my_targets):
    path = list(sys.path)
    target = build_target("factory", path="targets_of_mine:parity", bits=4)
    assert (target.name, len(target.full)) == ("mine", 16)
    assert sys.path == path


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"path": "targets_of_mine"}, "expected 'module:function'"),
        ({"path": "../evil:f"}, "expected 'module:function'"),
        ({"path": "a:b:c"}, "expected"),
        ({"path": None}, "expected"),
        ({"path": "no_such_module:f"}, "'no_such_module' cannot be imported"),
        ({"path": "targets_that_fail:f"}, "cannot be imported.*no_such_package"),
        ({"path": "targets_of_mine:party"}, "no function 'party'"),
        ({"path": "targets_of_mine:number"}, "no function 'number'"),
        ({"path": "targets_of_mine:parity"}, "TypeError.*bits"),
        ({"path": "targets_of_mine:broken"}, "RuntimeError: out of luck"),
        ({"path": "targets_of_mine:wrong"}, "gave int; it must give an allroads.Target"),
    ],
)
def test_bad_factories(options, message, my_targets):
    with pytest.raises(InputError, match=message):
        factory(**options)


# --- every kind

KINDS = {
    "boolean expression": ("boolean", {"expression": "x0 & (x1 ^ x2)", "bits": 4}, {"expression": "x0 ^ x1"}),
    "boolean rule": ("boolean", {"rule": "junta", "bits": 5}, {"function_seed": 1}),
    "boolean, many bits": ("boolean", {"rule": "majority", "bits": 17}, {"seed": 1}),
    "modular": ("modular", {"p": 11}, {"polynomial": "a*b"}),
    "group": ("group", {"family": "dihedral", "n": 4}, {"n": 5}),
    "sequence": ("sequence", {"task": "Parity_All"}, {"task": "Parity_Zeros"}),
    "sequence, drawn": ("sequence", {"task": "Sum_All"}, {"seed": 1}),
    "tomita": ("tomita", {"grammar": 4}, {"train_fraction": 0.5}),
    "linear_teacher": ("linear_teacher", {"widths": [4, 3, 4], "rank": 2}, {"inputs": "whitened"}),
    "digits": ("digits", {}, {"flatten": True}),
    "factory": (
        "factory",
        {"path": "allroads.targets.modular:modular", "p": 5},
        {"p": 6},
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_same_options_same_target_and_changed_options_another(kind):
    name, options, change = KINDS[kind]
    target, again, other = (build_target(name, **o) for o in (options, options, options | change))
    assert target.fingerprint() == again.fingerprint() != other.fingerprint()
    if name != "factory":
        assert build_target(name, **options, name="another").fingerprint() == target.fingerprint()


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_keeps_the_promises_of_a_target(kind):
    name, options, _ = KINDS[kind]
    check_target(lambda: build_target(name, **options))


def test_every_kind_is_among_them():
    assert {name for name, *_ in KINDS.values()} == set(TARGETS) - {"arrays"}  # which reads a file: see above


def test_the_same_in_another_process():
    name, options, _ = KINDS["sequence, drawn"]
    code = f"from allroads.targets import build_target; print(build_target({name!r}, **{options!r}).fingerprint())"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == build_target(name, **options).fingerprint()


def test_import_needs_neither_jax_nor_sklearn():
    code = "import sys, allroads.targets; print({'jax', 'sklearn', 'torch'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "set()"
