"""The bound on an affine network's error: sound against exact worst cases, and near them."""

import dataclasses
from fractions import Fraction

import jax
import numpy as np
import pytest

from allroads import Target
from allroads.networks.recurrent import recurrent
from allroads.programs.linear import Recurrence, compile_recurrence
from allroads.programs.linear.affine import affine_cell
from allroads.programs.linear.bound import bound
from allroads.programs.subject import subject_of

SUM = Target("sum", alphabet=range(-3, 4), length=6, step=lambda s, x: (s + x, s + x), initial_state=0,
             as_numbers=True, train_size=16, held_out_size=16)  # fmt: skip
ADD = Recurrence(a=[[1]], b=[[1]], c=[[1]], d=[[1]], start=[0])
KEEP = Recurrence(a=[[0, 1], [0, 0]], b=[[0], [1]], c=[[1, 0]], d=[[1]], start=[2, -1])
FAR = dataclasses.replace(KEEP, start=(200, -100))  # a network whose state rests far from 0
HIGH = dataclasses.replace(ADD, start=(2000,))


def worst(cell, program, reach, positions):
    """Largest error at each position over all inputs up to a size, in exact fractions."""
    a, b, shift, c, d, rest, state = (
        [[Fraction(v) for v in row] for row in np.atleast_2d(part).tolist()]
        for part in (cell.a, cell.b, cell.shift, cell.c, cell.d, cell.rest, cell.start)
    )
    state, shift, rest = state[0], shift[0], rest[0]
    response, free = program.responses(positions)

    def times(matrix, vector):
        return [sum(m * v for m, v in zip(row, vector, strict=True)) for row in matrix]

    impulse, total, errors = [row[0] for row in b], Fraction(0), []
    for t in range(positions):
        gain = d[0][0] if t == 0 else times(c, impulse)[0]
        if t:
            impulse = times(a, impulse)
        total += abs(gain - response[t][0][0]) * reach
        errors.append(total + abs(times(c, state)[0] + rest[0] - free[t][0]))
        state = [new + s for new, s in zip(times(a, state), shift, strict=True)]
    return [float(e) for e in errors]


@pytest.mark.parametrize(("program", "noise"), [(ADD, 1e-3), (ADD, 1e-2), (KEEP, 1e-3), (KEEP, 3e-2)])
def test_bound_is_the_exact_worst_case_up_to_rounding(program, noise, seed):
    network, params = compile_recurrence(program, length=6, width=5, mix=seed, noise=noise, seed=seed)
    cell = affine_cell(subject_of(network, params, SUM))
    found = bound(cell, program, np.array([3.0]), 6)
    errors = worst(cell, program, 3, min(found.length, 60) + 1)
    shown = errors[: found.length]
    assert found.length > 0
    assert all(error < 0.5 for error in shown)
    assert found.error >= max(shown) - 1e-12
    if not found.always:
        assert found.length >= 1000 or errors[-1] >= 0.5 - 1e-6
        assert found.error == pytest.approx(max(shown), abs=1e-6)


def test_bound_of_all_lengths_is_that_of_a_long_run():
    network, params = compile_recurrence(KEEP, length=6, width=5, mix=0, noise=1e-3)
    cell = affine_cell(subject_of(network, params, SUM))
    found = bound(cell, KEEP, np.array([3.0]), 6)
    assert found.always
    errors = worst(cell, KEEP, 3, 80)
    assert errors[-1] - 1e-12 <= found.error <= errors[-1] + 1e-3


def test_network_that_drifts_is_not_shown_at_all_lengths():
    """A sum that keeps all it has is exact, but its rounding adds up; one that grows by 10⁻⁶ leaves it."""
    network, params = compile_recurrence(ADD, length=6)
    found = bound(affine_cell(subject_of(network, params, SUM)), ADD, np.array([3.0]), 6)
    assert (found.length, found.always) == (1000, False)
    assert found.error < 1e-6
    params["layers"][0]["hidden"] = params["layers"][0]["hidden"].astype(np.float64) * (1 + 1e-6)
    found = bound(affine_cell(subject_of(network, params, SUM)), ADD, np.array([3.0]), 6)
    first = next(t for t in range(1000) if 3 * sum((1 + 1e-6) ** j - 1 for j in range(t + 1)) >= 0.5)
    assert (found.length, found.always) == (first, False)


def test_affine_cell_is_the_derivative_of_the_step():
    network = recurrent((6, 1), 1, per_position=True, cell="elman", width=4, layers=2, activation="identity",
                        bias="normal")  # fmt: skip
    params = network.init(jax.random.key(0))
    cell = affine_cell(subject_of(network, params, SUM))
    x = np.array([[0.7]])
    state = [np.array([[0.3, -1.0, 2.0, 0.1]]), np.array([[1.0, 0.2, -0.4, 0.5]])]
    new, output = network.cell.step(params, tuple(state), x)
    h = np.concatenate(state, axis=1)[0]
    np.testing.assert_allclose(np.concatenate(new, axis=1)[0], cell.a @ h + cell.b @ x[0] + cell.shift, atol=1e-6)
    np.testing.assert_allclose(output[0], cell.c @ h + cell.d @ x[0] + cell.rest, atol=1e-6)
    assert (cell.state_size[:, :8] >= np.abs(cell.a)).all()
    assert (cell.output_size[:, :8] >= np.abs(cell.c)).all()
    assert 2.0**-53 < cell.rounding < 1e-14
    assert cell.start.tolist() == [0.0] * 8


@pytest.mark.parametrize(
    ("options", "operation"),
    [
        ({"activation": "relu"}, "max"),
        ({"activation": "tanh"}, "tanh"),
        ({"activation": "square"}, "integer_pow"),
        ({"cell": "gru", "activation": "identity"}, "logistic"),
    ],
)
def test_operations_that_are_not_affine_are_named(options, operation):
    network = recurrent((6, 1), 1, **({"per_position": True, "cell": "elman", "width": 3} | options))
    found = affine_cell(subject_of(network, network.init(jax.random.key(0)), SUM))
    assert found in (operation, "square" if operation == "integer_pow" else operation)


@pytest.mark.parametrize("program", [ADD, KEEP, FAR, HIGH])
def test_bound_holds_for_arithmetic_as_bad_as_it_allows(program, seed):
    """Each step is moved by all that its rounding may, with signs that are held and add up: never beyond the bound."""
    network, params = compile_recurrence(program, length=6, width=4, mix=seed)
    cell = dataclasses.replace(affine_cell(subject_of(network, params, SUM)), rounding=1e-5)
    found = bound(cell, program, np.array([3.0]), 6)
    assert 3 < found.length < 1000
    assert found.always == (program in (KEEP, FAR))
    rng, largest = np.random.default_rng(seed), 0.0
    for _ in range(200):
        x = np.where(rng.random((found.length, 1)) < 0.5, 3.0, -3.0)
        signs = rng.choice([-1, 1], size=(len(cell.a) + 1,))
        h, said = cell.start, []
        for now in x:
            vector = np.concatenate([np.abs(h), np.abs(now), [1.0]])
            off, local = cell.rounding * (cell.output_size @ vector), cell.rounding * (cell.state_size @ vector)
            said.append((cell.c @ h + cell.d @ now + cell.rest + signs[-1] * off)[0])
            h = cell.a @ h + cell.b @ now + cell.shift + signs[:-1] * local
        largest = max(largest, float(np.abs(said - program.answer(x[None])[0, :, 0]).max()))
    assert largest <= found.error
    assert largest >= found.error / 100
