import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allroads import InputError, directness, turning
from allroads.errors import UnknownNameError
from allroads.paths.resample import resample
from allroads.status import PathStatus


def arc_of_circle(angle, points):
    t = np.linspace(0, angle, points)
    return np.stack([np.cos(t), np.sin(t)], axis=-1)[:, None, :]


def test_straight_line_is_direct_and_does_not_turn_however_it_is_timed():
    t = np.sort(np.random.default_rng(0).random(50))[:, None, None]
    path = t * np.arange(6.0).reshape(1, 2, 3)
    assert directness(path) == pytest.approx(1.0, abs=1e-12)
    assert turning(path) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("angle", [0.5, math.pi / 2, math.pi, 1.9 * math.pi])
def test_arc_of_a_circle(angle):
    path = arc_of_circle(angle, 4000)
    assert directness(path) == pytest.approx(2 * math.sin(angle / 2) / angle, rel=1e-4)
    assert turning(path) == pytest.approx(angle, rel=1.1 / 255)
    assert turning(path, points=None) == pytest.approx(angle, rel=1e-3)


def test_kernel_gradient_descent_with_two_rates():
    # f_t − y = exp(−Λt) r, Λ = (1, .05), r = (1, 1): the value that an independent quadrature gave is .7677.
    t = np.concatenate([np.linspace(0, 12, 3000), np.linspace(12, 400, 3000)[1:]])
    path = -np.stack([np.exp(-t), np.exp(-0.05 * t)], axis=-1)[:, None, :]
    assert directness(path) == pytest.approx(0.7677, abs=5e-4)
    equal = -np.stack([np.exp(-t), 2 * np.exp(-t)], axis=-1)[:, None, :]
    assert directness(equal) == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize(("start", "expected"), [(0.1, 0.854), (1e-8, 0.576), (1e-16, 0.5679)])
def test_deep_linear_network_switches_its_modes_on_one_at_a_time(start, expected):
    # Saxe's exact solution for singular values 5, 3, 2, 1.
    s = np.array([5.0, 3.0, 2.0, 1.0])
    t = np.linspace(0, 60, 60_000)[:, None]
    with np.errstate(over="ignore"):
        a = s / (1 - (1 - s / start) * np.exp(-2 * s * t))
    path = a[:, None, :]
    assert directness(path, points=None) == pytest.approx(expected, abs=1e-3)
    assert directness(path) == pytest.approx(expected, abs=2e-3)
    assert directness(path) > np.linalg.norm(s) / s.sum() - 2e-3


def test_directness_does_not_depend_on_when_the_run_was_recorded():
    path = arc_of_circle(2.0, 20_001)
    dense_start = path[np.unique(np.rint(np.geomspace(1, 20_000, 6000)).astype(int))]
    assert directness(dense_start) == pytest.approx(directness(path), rel=1e-3)
    assert turning(dense_start) == pytest.approx(turning(path), rel=1e-2)


def test_jitter_at_the_end_turns_the_recorded_path_but_not_the_resampled_one(seed):
    rng = np.random.default_rng([1, seed])
    path = np.concatenate([np.linspace(0, 1, 200)[:, None] * np.ones(4), 1 + 1e-5 * rng.normal(size=(200, 4))])
    assert turning(path, points=None) > 50
    assert turning(path) < 0.1


def test_charts_disagree_where_they_should():
    # A straight line of logits from sure-of-one to sure-of-the-other bends on the sphere: a quarter of a circle.
    t = np.linspace(-30, 30, 5000)
    logits = np.stack([t, -t], axis=-1)[:, None, :]
    assert directness(logits) == pytest.approx(1.0, abs=1e-9)
    assert directness(logits, chart="probabilities") == pytest.approx(1.0, abs=1e-6)
    assert turning(logits, chart="sphere") == pytest.approx(math.pi / 2, rel=0.01)
    assert directness(logits, chart="sphere") == pytest.approx(math.sqrt(8) / math.pi, rel=1e-3)


def test_a_path_that_does_not_move_is_degenerate_and_says_so():
    still = np.ones((5, 3, 2))
    for measured in (directness(still), turning(still), directness(still[:1]), turning(still[:1])):
        assert math.isnan(measured) and measured.status == PathStatus.DEGENERATE
        assert measured.status.remedy


@pytest.mark.parametrize("measure", [directness, turning])
def test_bad_paths_are_named(measure):
    with pytest.raises(InputError, match=r"\[T, N, C\]"):
        measure(np.ones(4))
    with pytest.raises(InputError, match="from step 2 on"):
        measure(np.array([[[0.0]], [[1.0]], [[np.nan]], [[2.0]]]))
    with pytest.raises(UnknownNameError, match="did you mean 'sphere'"):
        measure(np.ones((3, 1, 2)), chart="spere")
    with pytest.raises(InputError, match="at least 2"):
        measure(np.arange(6.0).reshape(3, 1, 2), points=1)


@given(st.integers(0, 10**6), st.floats(0.1, 100), st.integers(2, 12))
def test_both_are_invariant_under_motion_scale_and_reversal(seed, scale, corners):
    rng = np.random.default_rng(seed)
    path = rng.normal(size=(corners, 2, 3))
    rotation, _ = np.linalg.qr(rng.normal(size=(6, 6)))
    moved = (scale * path.reshape(corners, 6) @ rotation + rng.normal(size=6)).reshape(path.shape)
    for measure in (directness, turning):
        assert measure(moved) == pytest.approx(measure(path), rel=1e-6, abs=1e-6)
        assert measure(path[::-1]) == pytest.approx(measure(path), rel=1e-6, abs=1e-6)


def test_resampling_keeps_ends_and_spaces_evenly():
    path = np.cumsum(np.random.default_rng(2).normal(size=(30, 3)), axis=0)
    even = resample(path, 4001)
    np.testing.assert_allclose(even[[0, -1]], path[[0, -1]])
    lengths = np.linalg.norm(np.diff(even, axis=0), axis=1)
    assert np.median(lengths) == pytest.approx(lengths.max(), rel=1e-9)
    whole = np.linalg.norm(np.diff(path, axis=0), axis=1).sum()
    assert whole - 28 * whole / 4000 < lengths.sum() < whole, "each of 28 corners is cut by less than one spacing"
