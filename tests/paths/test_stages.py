import itertools
import math

import jax.numpy as jnp
import numpy as np
import pytest

from allroads import InputError, Network, ParameterFunctionMap, directness, float64
from allroads.paths.resample import segment_lengths
from allroads.paths.stages import _fewest_pieces, stages
from allroads.status import PathStatus


def saxe(s, start, horizon=60, count=20_000):
    """The exact strengths of modes s of a two-layer linear network, τ = 1."""
    t = np.linspace(0, horizon, count)
    with np.errstate(over="ignore"):
        return t, s / (1 - (1 - s / start) * np.exp(-2 * s * t[:, None]))


@pytest.mark.parametrize(
    ("s", "start", "count"),
    [((5, 3, 2, 1), 1e-4, 4), ((5, 3, 2, 1), 1e-8, 4), ((3, 1), 1e-3, 2), ((4, 4, 1), 1e-3, 2), ((2, 2, 2), 1e-8, 1)],
)
def test_a_deep_linear_network_has_as_many_stages_as_distinct_modes(s, start, count):
    s = np.array(s, float)
    t, a = saxe(s, start)
    losses = ((a - s) ** 2).sum(1)
    found = stages(a[:, None], losses=losses)
    assert found.count == count == len(found.joints) + 1
    assert (found.directness >= 0.95 - 1e-12).all() and found.shares.sum() == pytest.approx(1)
    # Modes switch on at t = ln(s / a₀) / 2s, the largest first; joints lie between.
    half = sorted(set(np.log(s / start) / (2 * s)))
    for joint, before, after in zip(found.joints, half[:-1], half[1:], strict=True):
        assert before < t[joint.record] < after
        assert joint.loss == losses[joint.record]


def test_a_staircase_with_plateaus():
    s, start = np.array([3.0, 1.0]), 1e-8
    t, a = saxe(s, start)
    losses = ((a - s) ** 2).sum(1)
    joint = stages(a[:, None], losses=losses).joints[0]
    assert joint.turn == pytest.approx(math.pi / 2, abs=0.02)
    assert joint.position == pytest.approx(3 / 4, abs=1 / 255)
    assert joint.loss == pytest.approx(1.0, abs=0.05)  # what is left is the second mode, (1 − 0)²
    # From the first mode's switch to the second's, less what the band of ± .25 around 1 takes off.
    first, last = t[list(joint.plateau)]
    assert first == pytest.approx(np.log(3 / start) / 6, abs=0.5)
    assert last == pytest.approx(np.log(1 / start) / 2, abs=2.5)
    inside = losses[joint.plateau[0] : joint.plateau[1] + 1]
    assert (np.abs(inside - joint.loss) <= 0.025 * np.ptp(losses)).all()
    for outside in (joint.plateau[0] - 1, joint.plateau[1] + 1):
        assert abs(losses[outside] - joint.loss) > 0.025 * np.ptp(losses)


@pytest.mark.parametrize("straight", [0.8, 0.95, 0.99])
def test_the_split_is_the_best_of_all(straight):
    rng = np.random.default_rng(0)
    for _ in range(20):
        polygon = np.cumsum(rng.normal(size=(9, 2)), axis=0)
        arc = np.concatenate([[0], np.cumsum(segment_lengths(polygon))])

        def chord(i, j, polygon=polygon):
            return np.linalg.norm(polygon[j] - polygon[i])

        splits = []
        for inner in itertools.chain.from_iterable(itertools.combinations(range(1, 8), k) for k in range(8)):
            pieces = list(itertools.pairwise((0, *inner, 8)))
            if all(j == i + 1 or chord(i, j) >= straight * (arc[j] - arc[i]) for i, j in pieces):
                splits.append((len(pieces), -sum(chord(i, j) for i, j in pieces), (0, *inner, 8)))
        assert tuple(_fewest_pieces(polygon, straight)) == min(splits)[2]


def test_a_straight_road_is_one_stage_and_a_circle_evenly_many():
    line = np.linspace(0, 1, 7)[:, None, None] * np.ones((2, 3))
    assert stages(line).count == 1 and stages(line).joints == ()
    angle = np.linspace(0, 2 * np.pi, 4001)
    circle = stages(np.stack([np.cos(angle), np.sin(angle)], -1)[:, None])
    # An arc of x has directness 2 sin(x/2)/x, which is .95 at x = 1.1046: six pieces for 2π.
    assert circle.count == 6
    assert all(joint.plateau is None and joint.kernel_change is None for joint in circle.joints)


def test_each_stage_is_direct_and_the_whole_need_not_be():
    corners = np.array([[0, 0, 0], [4, 0, 0], [4, 3, 0], [4, 3, 2]], float)
    path = np.concatenate([np.linspace(a, b, 40, endpoint=False) for a, b in itertools.pairwise(corners)])[:, None]
    found = stages(path)
    assert found.count == 3 and directness(path) < 0.65
    assert [joint.record for joint in found.joints] == pytest.approx([40, 80], abs=1)
    np.testing.assert_allclose(found.shares, np.array([4, 3, 2 * 39 / 40]) / (9 - 0.05), atol=2 / 255)


def test_the_kernel_changes_by_what_it_does_in_closed_form():
    # f_i = w_i²: K = diag(4 w²). The path goes along the first output, then along the second.
    network = Network(lambda key: jnp.ones(2), lambda w, x: x @ jnp.diag(w**2))
    leg = np.linspace(1, 3, 60)
    w = np.concatenate([np.stack([leg, np.ones(60)], -1), np.stack([3 * np.ones(60), leg], -1)])
    with float64():
        pfmap = ParameterFunctionMap(network, np.eye(2))
        found = stages((w**2)[:, None], pfmap=pfmap, params=jnp.asarray(w))
    assert found.count == 2
    # Half way along each leg w² is 5 in the moving place.
    k, later = np.array([5.0, 1.0]), np.array([9.0, 5.0])
    expected = 1 - k @ later / np.linalg.norm(k) / np.linalg.norm(later)
    assert found.joints[0].kernel_change == pytest.approx(expected, abs=5e-3)
    assert found.joints[0].kernel_growth == pytest.approx(np.linalg.norm(later) / np.linalg.norm(k), rel=0.02)
    linear = Network(lambda key: jnp.ones(2), lambda w, x: x @ jnp.diag(w))
    kept = stages(w[:, None], pfmap=ParameterFunctionMap(linear, np.eye(2)), params=jnp.asarray(w)).joints[0]
    assert kept.kernel_change == pytest.approx(0, abs=1e-6) and kept.kernel_growth == pytest.approx(1)


def test_what_does_not_move_has_no_stages():
    for still in (np.ones((4, 2, 3)), np.ones((1, 2, 3))):
        found = stages(still)
        assert found.count == 0 and found.status == PathStatus.DEGENERATE and found.joints == ()


def test_bad_input_of_stages_is_named():
    path = np.random.default_rng(0).normal(size=(5, 2, 3))
    network = Network(lambda key: jnp.zeros(2), lambda w, x: x * w)
    pfmap = ParameterFunctionMap(network, np.ones((2, 2)))
    with pytest.raises(InputError, match="5 finite numbers"):
        stages(path, losses=np.ones(4))
    with pytest.raises(InputError, match="both or neither"):
        stages(path, pfmap=pfmap)
    with pytest.raises(InputError, match="one point a record"):
        stages(path, pfmap=pfmap, params=jnp.zeros((4, 2)))
    with pytest.raises(InputError, match="straight"):
        stages(path, straight=1.0)
    with pytest.raises(InputError, match="kernel is zero"):
        zero = Network(lambda key: jnp.zeros(2), lambda w, x: x @ jnp.diag(w**2))
        corner = np.array([[0, 0], [1, 0], [1, 1.0]])[:, None]
        stages(corner, pfmap=ParameterFunctionMap(zero, np.ones((1, 2))), params=jnp.zeros((3, 2)))
    path[2] = np.nan
    with pytest.raises(InputError, match="from step 2 on"):
        stages(path)
