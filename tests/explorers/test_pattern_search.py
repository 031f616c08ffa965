"""Pattern search against lattices whose way down is known, and against its rule in plain Python."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from allroads import InputError, Network, PatternSearch, Problem, explore, float64
from allroads.explorers.recording import Recording

GOAL = np.array([3.0, -2.0, 0.5])
POINTS = Network(lambda key: jnp.zeros(3), lambda w, x: x * w)
BOWL = Problem(POINTS, lambda f, y: jnp.sum((f - y) ** 2, axis=1), np.ones((1, 3)), GOAL[None])
SLANTED = Problem(POINTS, lambda f, y: jnp.sum((f - y) ** 2, axis=1) + f[:, 0] * f[:, 1], np.ones((1, 3)), GOAL[None])
ALL = Recording(records=200, checkpoints=200)


def test_on_a_lattice_the_end_of_a_sweep_does_not_depend_on_the_order():
    """Each sweep moves each coordinate by the radius towards its goal; without such a move the radius halves."""
    sweeps = 3 * np.arange(8)
    run = explore(BOWL, PatternSearch(), 4, steps=21, record=ALL)
    expected = [[0, 0, 0], [1, -1, 0], [2, -2, 0], [3, -2, 0], [3, -2, 0], [3, -2, 0.5], [3, -2, 0.5], [3, -2, 0.5]]
    for member in run.params:
        np.testing.assert_array_equal(member[sweeps], np.array(expected))
    assert (run.cost.forwards == 42).all() and (run.cost.gradients == 0).all() and (run.cost.examples == 42).all()
    assert len({str(member[:4]) for member in run.params}) > 1  # the orders differ


@pytest.mark.slow
def test_the_path_is_that_of_the_rule_in_python():
    with float64():
        run = explore(SLANTED, PatternSearch(radius=0.7, shrink=0.25), [5], steps=120, record=ALL)
        explorer = PatternSearch(radius=0.7, shrink=0.25)
        key = jax.random.fold_in(jax.random.fold_in(jax.random.key(0), 5), 1)
        state, orders = explorer.init(key[None], jnp.zeros((1, 3)), SLANTED), []
        step = jax.jit(lambda state: explorer.step(state, SLANTED)[0])
        for k in range(120):
            state = step(state)
            if k % 3 == 0:
                orders.append(np.asarray(state.memory.members.order[0]))

    def loss(w):
        return sum((a - b) ** 2 for a, b in zip(w, GOAL, strict=True)) + w[0] * w[1]

    w, radius, path = [0.0, 0.0, 0.0], 0.7, [[0.0, 0.0, 0.0]]
    for order in orders:
        assert sorted(order) == [0, 1, 2]
        helped = False
        for i in order:
            tries = [[v + way * radius * (j == i) for j, v in enumerate(w)] for way in (1, -1)]
            best = min(tries, key=loss)
            if loss(best) < loss(w):
                w, helped = best, True
            path.append(list(w))
        radius *= 1 if helped else 0.25
    np.testing.assert_allclose(run.params[0], path, rtol=0, atol=1e-12)
    assert radius < 1e-3 and (np.diff(run.curves["train_loss"][0]) <= 0).all()


@pytest.mark.slow
def test_a_loss_that_is_not_finite_is_never_taken():
    log = Problem(POINTS, lambda f, y: jnp.log(f[:, 0]) + (f[:, 0] - 1) ** 2, np.ones((1, 3)), GOAL[None])
    run = explore(log, PatternSearch(), 1, steps=30, start=np.full((1, 3), 1.0))
    assert run.status.value == "ok" and np.isfinite(run.curves["train_loss"]).all() and run.ends()[0, 0] > 0


@pytest.mark.parametrize("options", [{"radius": 0.0}, {"radius": np.inf}, {"shrink": 1.0}, {"shrink": 0}])
def test_bad_options_are_refused(options):
    with pytest.raises(InputError, match=r"pattern_search.*(radius|shrink)"):
        PatternSearch(**options)
