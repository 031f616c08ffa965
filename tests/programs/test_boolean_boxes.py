"""Bounds over boxes of bits: they hold for every row, at every merge, and what is not sure is not proved."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from allroads import Network, Target
from allroads.networks.mlp import mlp
from allroads.pfmap.precision import float64
from allroads.programs.boolean.boxes import Boxes
from allroads.programs.boolean.branch import branch
from allroads.programs.boolean.evaluate import all_rows
from allroads.programs.bounds.bound import UnboundedError
from allroads.programs.subject import Subject


def subject(network, params, width, loss="bce"):
    rows = np.eye(width, dtype=np.float32)
    return Subject(network, params, Target("mine", inputs=rows, labels=np.arange(width) % 2, loss=loss))


def network(width, widths, activation, seed, outputs=1, grid=None):
    """A network with random weights; on a grid, many boxes are the same function up to the noise that is added."""
    made = mlp((width,), outputs, widths=widths, activation=activation)
    rng = np.random.default_rng(seed)
    layers = [
        {k: rng.normal(size=v.shape) for k, v in layer.items()} for layer in made.init(jax.random.key(0))["layers"]
    ]
    if grid is not None:
        layers = [{k: np.rint(v) + grid * rng.normal(size=v.shape) for k, v in layer.items()} for layer in layers]
    return made, {"layers": layers}


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid"])
@pytest.mark.parametrize("outputs", [1, 2])
def test_every_row_of_a_box_is_answered_as_the_bounds_say(activation, outputs, seed):
    made, params = network(8, (7, 5), activation, seed, outputs)
    held = subject(made, params, 8, "bce" if outputs == 1 else "cross_entropy")
    boxes, rng = Boxes(held, (0, 1), (0, 1)), np.random.default_rng(seed)
    number = held.outputs(all_rows(8).astype(np.float32))
    half = number[:, 0] if outputs == 1 else (number[:, 1] - number[:, 0]) / 2
    decided = 0
    for count in (0, 1, 3, 6):
        free = rng.permutation(8)[:count]
        bits = rng.random((20, 8)) < 0.5
        with float64():
            low, high, _ = boxes._outputs(np.concatenate([bits, np.repeat(bits[:1], 41, axis=0)]), free, None)
        answers, margins = boxes.decided(bits, free)
        for row, (answer, margin) in enumerate(zip(answers, margins, strict=True)):
            fixed = np.setdiff1d(np.arange(8), free)
            inside = half[(all_rows(8)[:, fixed] == bits[row, fixed]).all(axis=1)]
            assert low[row] <= inside.min() and inside.max() <= high[row]
            if count == 0:
                assert high[row] - low[row] < 1e-9
            if answer >= 0:
                decided += 1
                assert ((inside > 0) == answer).all() and margin <= np.abs(inside).min()
    assert decided > 20


@pytest.mark.parametrize(("grid", "same"), [(0.0, 1e-7), (0.01, 0.3), (0.05, 0.6), (None, 0.5)])
def test_merged_boxes_answer_as_each_of_them_does(grid, same, seed):
    """However coarsely boxes are taken as one, what is said to be proved holds on every row of the cube."""
    merged = closed = 0
    for number in range(4):
        made, params = network(9, (6, 4), ("relu", "tanh")[number % 2], (seed, number), grid=grid)
        params["layers"][-1]["bias"] = params["layers"][-1]["bias"] + 0.37
        held = subject(made, params, 9)
        found = branch(Boxes(held, (0, 1), (0, 1)), np.random.default_rng(seed).permutation(9), same=same)
        rows = all_rows(9)
        outputs = held.outputs(rows.astype(np.float32))[:, 0]
        proved = ~found.held.values(found.open, rows)
        assert (found.held.values(found.root, rows) == (outputs > 0))[proved].all()
        assert proved.mean() == pytest.approx(found.share)
        assert not proved.any() or 0 < found.margin <= np.abs(outputs[proved]).min()
        merged += found.boxes < 2 ** (len(found.held.order) + 1) - 1
        closed += found.closed
        assert found.closed == bool(proved.all())
    assert merged and (closed or same > 0.1)


def test_merged_boxes_answer_alike_when_only_idle_bits_are_left(seed):
    """Weights of 1 with noise, and four inputs of no weight at the end: what boxes differ by reaches the outputs."""
    wrong = 0
    for number in range(4):
        rng = np.random.default_rng([seed, number])
        weight = np.concatenate([np.ones((8, 3)) + 0.02 * rng.normal(size=(8, 3)), np.zeros((4, 3))])
        layers = [
            {"weight": weight, "bias": -np.array([2.0, 3.0, 5.0])},
            {"weight": np.array([[2.0], [-2.5], [1.0]]), "bias": np.array([-0.9])},
        ]
        held = subject(mlp((12,), 1, widths=(3,)), {"layers": layers}, 12)
        rows = all_rows(12)
        outputs = held.outputs(rows.astype(np.float32))[:, 0]
        for same in (0.05, 0.2, 0.5):
            found = branch(Boxes(held, (0, 1), (0, 1)), np.arange(12), same=same)
            proved = ~found.held.values(found.open, rows)
            wrong += int((found.held.values(found.root, rows) != (outputs > 0))[proved].sum())
    assert wrong == 0


def test_a_margin_near_zero_is_not_proved():
    """x0 + … + x11 − 6 is 0 on the rows of six ones: there rounding decides; 1e-6 off, it is proved."""
    made = mlp((12,), 1, widths=(1,))
    for off, closed in ((0.0, False), (1e-10, False), (1e-6, True)):
        layers = [
            {"weight": np.ones((12, 1)), "bias": np.zeros(1)},
            {"weight": np.ones((1, 1)), "bias": np.full(1, off - 6)},
        ]
        found = branch(Boxes(subject(made, {"layers": layers}, 12), (0, 1), (0, 1)), np.arange(12))
        assert found.closed == closed
        if not closed:
            rows = all_rows(12)
            assert (found.held.values(found.open, rows) == (rows.sum(axis=1) == 6)).all()
            assert "margin" in found.why
        else:
            assert found.margin == pytest.approx(1e-6, rel=1e-3)


def test_a_majority_takes_as_many_boxes_as_its_counts():
    made = mlp((61,), 1, widths=(2,))
    layers = [
        {"weight": np.ones((61, 2)), "bias": np.array([-30.0, -31.0])},
        {"weight": np.array([[2.0], [-2.0]]), "bias": np.array([-1.0])},
    ]
    found = branch(Boxes(subject(made, {"layers": layers}, 61), (0, 1), (0, 1)), np.arange(61))
    assert found.closed and found.boxes < 61 * 62 and found.share == pytest.approx(1.0)


def test_an_operation_without_bounds_is_named():
    odd = Network(lambda key: {"w": np.ones(())}, lambda p, x: (x * p["w"]).sum(axis=1, keepdims=True) % 2.0)
    with pytest.raises(UnboundedError, match="no bound for the operation"):
        Boxes(subject(odd, {"w": np.ones(())}, 12), (0, 1), (0, 1)).decided(np.zeros((1, 12), bool), np.arange(12))


def test_values_that_are_no_bits_are_bounded_too(seed):
    """0.1 and 0.7, whose middle is rounded: every row is answered as is said, and every free one lies in the bounds."""
    made, params = network(9, (6,), "relu", seed)
    low, high = (float(np.float32(value)) for value in (0.1, 0.7))
    rows = all_rows(9)
    inputs = np.where(rows, high, low).astype(np.float32)
    held = Subject(made, params, Target("mine", inputs=inputs, labels=np.arange(512) % 2, loss="bce"))
    outputs = held.outputs(inputs)[:, 0]
    found = branch(Boxes(held, (low, high), (0, 1)), np.arange(9))
    assert found.closed and (found.held.values(found.root, rows) == (outputs > 0)).all()
    assert found.margin <= np.abs(outputs).min()
