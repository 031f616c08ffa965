import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from allroads import (
    InputError,
    Network,
    Problem,
    barrier,
    connect,
    float64,
    from_torch,
    interpolation,
    local_volume,
    quantised_size,
    spectrum,
    top_eigenvalue,
)
from allroads.errors import UnknownNameError
from allroads.networks.mlp import mlp
from allroads.pfmap.arrays import as_point

RNG = np.random.default_rng(0)
NET = mlp((3,), 4, widths=(5,), activation="tanh")
SCALAR = mlp((3,), 1, widths=(5,), activation="tanh")
X, CLASSES = RNG.normal(size=(6, 3)), np.array([0, 1, 2, 3, 0, 1])
WEIGHTS = NET.init(jax.random.key(0))


def swapped(label, where=2, labels=CLASSES):
    changed = np.array(labels, dtype=np.result_type(labels, label))
    changed[where] = label
    return changed


REFUSED = {
    "label -1": (lambda: Problem(NET, "cross_entropy", X, swapped(-1)), r"example 2 has label -1.*4 outputs.*0 … 3"),
    "label beyond": (lambda: Problem(NET, "cross_entropy", X, swapped(4)), r"example 2 has label 4.*0 … 3"),
    "label -100": (lambda: Problem(NET, "cross_entropy", X, swapped(-100)), "ignore=-100"),
    "label 1.5": (lambda: Problem(NET, "cross_entropy", X, swapped(1.5)), "label 1.5, which is no whole number"),
    "NaN label": (lambda: Problem(NET, "mse", X, np.full((6, 4), np.nan)), "labels: NaN or infinite in 6 of 6"),
    "NaN input": (lambda: Problem(NET, "cross_entropy", X * np.nan, CLASSES), "inputs: NaN or infinite"),
    "no examples": (lambda: Problem(NET, "cross_entropy", X[:0], CLASSES[:0]), "at least one example"),
    "lengths": (lambda: Problem(NET, "cross_entropy", X, CLASSES[:4]), "6 inputs and 4 labels"),
    "text": (lambda: Problem(NET, "cross_entropy", X, np.array(list("abcdef"))), "labels have dtype"),
    "soft labels": (lambda: Problem(NET, "cross_entropy", X, np.full((6, 4), 0.25)), "must be one-hot"),
    "one output": (lambda: Problem(SCALAR, "cross_entropy", X, CLASSES % 2), "take 'bce'"),
    "bce -1": (lambda: Problem(SCALAR, "bce", X, 2 * (CLASSES % 2) - 1), r"0 to 1.*\(y \+ 1\) / 2"),
    "bce 2": (lambda: Problem(SCALAR, "bce", X, CLASSES), "example 2 has label 2"),
    "classes for mse": (lambda: Problem(NET, "mse", X, CLASSES), "For classes take cross_entropy"),
    "loss of one number": (lambda: Problem(NET, lambda f, y: f.mean(), X, CLASSES), "one number per example"),
    "torch's other losses": (lambda: Problem(NET, torch.nn.NLLLoss(), X, CLASSES), "NLLLoss of PyTorch"),
    "torch's smoothing": (
        lambda: Problem(NET, torch.nn.CrossEntropyLoss(label_smoothing=0.1), X, CLASSES),
        "label_smoothing=0.1",
    ),
    "negative weights": (lambda: Problem(NET, "cross_entropy", X, CLASSES, weights=-np.ones(6)), "0 or more"),
    "no weight": (lambda: Problem(NET, "cross_entropy", X, CLASSES, weights=np.zeros(6)), "all 0"),
    "weights' shape": (lambda: Problem(NET, "cross_entropy", X, CLASSES, weights=np.ones(5)), "one per example"),
    "class weights' shape": (
        lambda: Problem(NET, "cross_entropy", X, CLASSES, class_weights=np.ones(3)),
        "one per class",
    ),
    "all ignored": (lambda: Problem(NET, "cross_entropy", X, CLASSES * 0, ignore=0), "nothing is left"),
    "ignored numbers": (lambda: Problem(NET, "mse", X, np.zeros((6, 4)), ignore=0), "cross_entropy"),
    "two penalties": (
        lambda: Problem(NET, "cross_entropy", X, CLASSES, weight_decay=1.0, regulariser=lambda p: 0.0),
        "give one of them",
    ),
    "decay": (lambda: Problem(NET, "cross_entropy", X, CLASSES, weight_decay=-1.0), "weight_decay"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_a_problem_is_refused(name):
    make, says = REFUSED[name]
    with pytest.raises(InputError, match=says):
        make()


def test_an_unknown_loss_carries_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean 'cross_entropy'"):
        Problem(NET, "cross-entropy", X, CLASSES)


@pytest.mark.parametrize(
    "ask",
    [
        lambda p: barrier(p, WEIGHTS, WEIGHTS),
        lambda p: interpolation(p, WEIGHTS, WEIGHTS),
        lambda p: connect(p, WEIGHTS, WEIGHTS),
        lambda p: spectrum(p, WEIGHTS),
        lambda p: top_eigenvalue(p, WEIGHTS),
        lambda p: local_volume(p, WEIGHTS, cutoff=0.1),
        lambda p: quantised_size(p, WEIGHTS),
    ],
)
def test_a_network_without_init_is_held_against_its_labels_at_the_first_point(ask):
    drawn_elsewhere = Network(lambda key: None, NET.apply)
    with pytest.raises(InputError, match="example 2 has label 4"):
        ask(Problem(drawn_elsewhere, "cross_entropy", X, swapped(4)))


def test_one_hot_labels_are_classes():
    plain, one_hot = (Problem(NET, "cross_entropy", X, labels) for labels in (CLASSES, np.eye(4)[CLASSES]))
    assert plain == one_hot and hash(plain) == hash(one_hot)
    assert float(plain.mean(WEIGHTS)) == float(one_hot.mean(WEIGHTS))


def test_problems_are_equal_by_content():
    first, same = (Problem(NET, "cross_entropy", X.copy(), CLASSES.copy()) for _ in range(2))
    assert first == same and len({first, same}) == 1 and first.objective is not same.objective
    for other in (
        Problem(NET, "cross_entropy", X + 1e-9, CLASSES),
        Problem(NET, "cross_entropy", X, CLASSES[::-1]),
        Problem(NET, "cross_entropy", X, CLASSES, weight_decay=0.1),
        Problem(mlp((3,), 4, widths=(6,)), "cross_entropy", X, CLASSES),
    ):
        assert other != first


def aligned(values):
    """Single precision at an address at which the device may take the array as it is."""
    room = np.zeros(values.size + 32, np.float32)
    start = -room.ctypes.data % 64 // 4
    room[start : start + values.size] = values.ravel()
    return room[start : start + values.size].reshape(values.shape)


def test_what_is_written_later_into_given_arrays_does_not_reach_the_device():
    inputs, labels, point = (aligned(RNG.normal(size=shape)) for shape in ((6, 3), (6, 1), (64,)))
    taken = [*jax.tree.leaves(Problem(SCALAR, "mse", inputs, labels).data), as_point(point)]
    before = [np.array(array) for array in taken]
    for array in (inputs, labels, point):
        array += 1
    for now, then in zip(taken, before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_torch_losses_tensors_and_state_are_taken():
    labels = torch.tensor(CLASSES)
    problem = Problem(NET, torch.nn.CrossEntropyLoss(), torch.tensor(X), labels)
    assert problem == Problem(NET, "cross_entropy", X, CLASSES)
    state = jax.tree.map(lambda leaf: torch.tensor(np.asarray(leaf), requires_grad=True), WEIGHTS)
    half = jax.tree.map(lambda leaf: leaf.detach().bfloat16(), state)
    assert barrier(problem, state, WEIGHTS).height < 1e-12
    assert jax.tree.leaves(problem.point(half))[0].dtype == jnp.float32


@pytest.mark.parametrize("shape", [(6,), (6, 5)])
def test_ignored_labels_and_weights_give_the_mean_that_pytorch_gives(shape):
    outputs = RNG.normal(size=(*shape, 4))
    network = Network(lambda key: jnp.zeros(()), lambda shift, x: jnp.asarray(outputs) + shift + 0 * x.sum())
    labels = RNG.integers(4, size=shape)
    labels[RNG.random(shape) < 0.4] = -100
    weights = RNG.random(4)
    with float64():
        problem = Problem(
            network, "cross_entropy", np.zeros((6, 1)), labels, class_weights=torch.tensor(weights), ignore=-100
        )
        ours = float(problem.mean(jnp.zeros(())))
        losses = problem.losses(jnp.zeros(()))
    loss = torch.nn.CrossEntropyLoss(torch.tensor(weights))
    theirs = float(loss(torch.tensor(outputs).reshape(-1, 4), torch.tensor(labels).reshape(-1)))
    assert ours == pytest.approx(theirs, rel=1e-12) and losses.shape == (6,)


def test_accuracy_leaves_ignored_labels_out():
    scores = jnp.array([[2.0, 0.0], [2.0, 0.0], [0.0, 2.0]])
    network = Network(lambda key: jnp.zeros(()), lambda shift, x: scores + shift)
    problem = Problem(network, "cross_entropy", np.zeros((3, 1)), [0, -100, 0], ignore=-100)
    assert float(problem.objective.correct(scores, problem.data).mean()) == 0.5


def test_weights_of_examples_are_repetitions():
    repeated = Problem(NET, "mse", X[[0, 0, 0, 1]], np.eye(4)[CLASSES[[0, 0, 0, 1]]])
    weighted = Problem(NET, "mse", X[:2], np.eye(4)[CLASSES[:2]], weights=[3, 1])
    assert float(weighted.mean(WEIGHTS)) == pytest.approx(float(repeated.mean(WEIGHTS)), rel=1e-6)
    gradients = [jax.grad(p.mean)(WEIGHTS) for p in (repeated, weighted)]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7), *gradients)


def test_weight_decay_counts_in_loss_gradient_curvature_and_barrier():
    """L = (w − 3)² + λ/2 w² has its minimum at 6/(2 + λ), and curvature 2 + λ there."""
    line = Network(lambda key: jnp.zeros(1), lambda w, x: x * w)
    decayed = Problem(line, "mse", np.ones((1, 1)), [3.0], weight_decay=2.0)
    own = Problem(line, "mse", np.ones((1, 1)), [3.0], regulariser=lambda w: (w**2).sum())
    minimum = np.array([1.5])
    with float64():
        for problem in (decayed, own):
            assert float(problem.mean(jnp.asarray(minimum))) == pytest.approx(1.5**2 + 1.5**2)
            assert float(jax.grad(lambda w, p=problem: p.mean(w))(jnp.asarray(minimum))[0]) == pytest.approx(0)
            for kind in ("hessian", "gauss_newton"):
                assert spectrum(problem, minimum, matrix=kind).eigenvalues == pytest.approx([4.0])
            # a parabola of curvature 4 is convex: no barrier, and at the middle 4/8 · 2² below the line
            assert barrier(problem, minimum - 1, minimum + 1).height == 0
            losses = barrier(problem, minimum - 1, minimum + 1, points=3).losses
            assert losses[0] - losses[1] == pytest.approx(2.0)


def test_a_problem_says_what_it_is_and_survives_pickling_of_its_data():
    problem = Problem(NET, "cross_entropy", X, CLASSES)
    assert repr(problem) == "Problem(mlp 5-4 tanh, cross_entropy, inputs (6, 3), labels (6,))"
    assert len(problem) == 6 and problem.outputs.shape == (6, 4)
    assert pickle.loads(pickle.dumps(jax.tree.map(np.asarray, problem.data))).inputs.shape == (6, 3)


def test_points_that_are_none_are_refused():
    problem = Problem(NET, "cross_entropy", X, CLASSES)
    for params, says in (
        ({}, "no array"),
        (jax.tree.map(lambda leaf: leaf * np.nan, WEIGHTS), "NaN"),
        (jax.tree.map(lambda leaf: np.asarray(leaf).astype(int), WEIGHTS), "floating-point"),
        ({"layers": WEIGHTS["layers"][:1]}, "cannot be applied|outputs"),
    ):
        with pytest.raises(InputError, match=says):
            problem.point(params)
    other = mlp((3,), 4, widths=(6,)).init(jax.random.key(0))
    with pytest.raises(InputError, match="not of one architecture"):
        problem.points(WEIGHTS, other)
    with pytest.raises(InputError, match="one leading axis"):
        problem.population({"a": np.ones(2), "b": np.ones(3)})


def test_the_pair_that_from_torch_gives_is_no_network():
    pair = from_torch(torch.nn.Linear(2, 1), torch.zeros(1, 2))
    with pytest.raises(InputError, match=r"network, params = from_torch"):
        Problem(pair, "bce", np.eye(2), np.array([0, 1]))
