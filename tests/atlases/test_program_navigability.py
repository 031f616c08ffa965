"""Navigability of graphs of programs, against closed forms."""

from math import factorial

import numpy as np
import pytest

from allroads import InputError
from allroads.atlases.program_navigability import _dealt, program_navigability


def line(size):
    """Moves between neighbours on a line, a hundred each, and as many that stay."""
    return 100 * (np.eye(size, dtype=int) + np.eye(size, k=1, dtype=int) + np.eye(size, k=-1, dtype=int))


@pytest.mark.draws
@pytest.mark.parametrize("size", [5, 8])
def test_on_a_line_a_path_of_d_steps_rises_with_one_in_d_factorial(size):
    """Of the d programs at distances d, d − 1, …, 1 from the target each must be fitter than the one before."""
    exact = np.mean([
        np.mean([1 / factorial(abs(target - source)) for source in range(size) if source != target])
        for target in range(size)
    ])  # fmt: skip
    found = program_navigability(line(size), 4000, graphs=4)
    assert abs(found.value - exact) < 2.5 * found.error and found.error < 0.01
    assert found.status.sound and found.stats == {"programs": size, "pairs": size - 1, "needed": size - 1}


@pytest.mark.draws
def test_both_nulls_have_what_they_keep():
    """On a star the centre is on all paths: ψ = ((K − 1)/2 + 1)/K. Dealt anew, moves join every pair."""
    size = 9
    star = np.zeros((size, size), int)
    star[0], star[:, 0] = 50, 50
    found = program_navigability(star, 4000, graphs=32)
    to_leaf = (1 + (size - 2) / 2) / (size - 1)  # the centre always comes, another leaf where it lies below the centre
    assert abs(found.value - (1 + (size - 1) * to_leaf) / size) < 2.5 * found.error
    assert found.shuffled.value > found.value + found.error
    assert 0 < found.rewired.value < 1 and found.rewired.error > 0
    dealt = _dealt(star, np.random.default_rng(0))
    assert (dealt.sum(0) == star.sum(0)).all() and (dealt.sum(1) == star.sum(1)).all() and (dealt != star).any()


def test_few_neighbours_are_too_few():
    for counts in (line(4), np.diag([5] * 6), np.zeros((0, 0), int)):
        found = program_navigability(counts)
        assert found.status.value == "too few changes" and np.isnan(found.value) and found.error is None
    for wrong in (np.ones((2, 3), int), np.ones((5, 5)), -line(5)):
        with pytest.raises(InputError, match="counts"):
            program_navigability(wrong)
