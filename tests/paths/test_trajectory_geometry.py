import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from spelled_out import interpolation_of

from allroads import InputError, Network, Problem, explore, float64, inpca
from allroads.explorers.gd import GD
from allroads.networks.mlp import mlp
from allroads.paths.directional_similarity import directional_similarity
from allroads.paths.inpca import bhattacharyya
from allroads.paths.progress import geodesic, geodesic_progress
from allroads.paths.resample import image, resample, segment_lengths
from allroads.paths.trajectory_distance import frechet, trajectory_distance
from allroads.status import PathStatus

RNG = np.random.default_rng(0)


def scores(roots):
    return 2 * np.log(roots)


def test_the_geodesic_from_ignorance_to_truth():
    ts = np.linspace(0, 1, 1001)
    truth = np.eye(10)[[3, 7]]
    roots = geodesic(np.full((2, 10), 0.1), truth, ts)
    np.testing.assert_allclose(np.linalg.norm(roots, axis=-1), 1, rtol=1e-12)
    length = math.acos(1 / math.sqrt(10))
    for n in range(2):
        assert segment_lengths(roots[:, n]).sum() == pytest.approx(length, rel=1e-5)
    np.testing.assert_allclose(roots[[0, -1]] ** 2, [np.full((2, 10), 0.1), truth], atol=1e-12)
    still = geodesic(truth, truth, [0.0, 0.3])
    np.testing.assert_allclose(still, [truth, truth])


def test_progress_on_the_geodesic_is_the_parameter():
    ts = np.linspace(0, 0.999, 41)
    for truth in ([3, 7, 0], RNG.dirichlet(np.ones(5), size=3)):
        classes = 10 if isinstance(truth, list) else 5
        q = np.eye(10)[truth] if isinstance(truth, list) else truth
        path = scores(geodesic(np.full(q.shape, 1 / classes), q, ts))
        np.testing.assert_allclose(geodesic_progress(path, truth), ts, atol=1e-6)
    begin = RNG.dirichlet(np.ones(5), size=3)
    np.testing.assert_allclose(geodesic_progress(scores(geodesic(begin, q, ts)), q, begin), ts, atol=1e-6)


def test_progress_is_the_least_sum_of_angles():
    values = RNG.normal(size=(8, 6, 4)) * 2
    y = RNG.integers(4, size=6)
    found = geodesic_progress(values, y)
    roots = np.sqrt(np.exp(values) / np.exp(values).sum(-1, keepdims=True))
    grid = np.linspace(0, 1, 20_001)
    line = geodesic(np.full((6, 4), 0.25), np.eye(4)[y], grid)
    for model, t in zip(roots, found, strict=True):
        sums = np.arccos(np.clip((line * model).sum(-1), -1, 1)).sum(1)
        assert t == pytest.approx(grid[sums.argmin()], abs=1e-4)


def test_progress_of_one_logit_is_that_of_two_classes():
    f = RNG.normal(size=(5, 3, 1))
    both = np.concatenate([np.zeros_like(f), f], axis=-1)
    np.testing.assert_allclose(geodesic_progress(f, [0, 1, 1]), geodesic_progress(both, [0, 1, 1]))
    wrong = geodesic_progress(np.full((1, 2, 1), -40.0), [1, 1])
    assert wrong == pytest.approx(0, abs=1e-6)
    right = geodesic_progress(np.full((1, 2, 1), 80.0), [1, 1])
    assert right == pytest.approx(1, abs=1e-6)


def test_inpca_keeps_the_distances_along_the_geodesic():
    ts = np.linspace(0, 0.95, 20)
    p = geodesic(np.full((3, 10), 0.1), np.eye(10)[[1, 2, 3]], ts) ** 2
    length = math.acos(1 / math.sqrt(10))
    distances = bhattacharyya(p, p)
    np.testing.assert_allclose(distances, -np.log(np.cos((ts[:, None] - ts) * length)), atol=1e-12)
    found = inpca(distances, dimensions=20)
    apart = found.coordinates[:, None] - found.coordinates
    np.testing.assert_allclose((np.sign(found.eigenvalues) * apart**2).sum(-1), distances, atol=1e-9)
    first = np.diff(found.coordinates[:, 0])
    assert (first > 0).all() or (first < 0).all()
    assert found.explained_stress[0] > 0.9


def run_to(y, speed, bend=0.0, count=80):
    t = np.linspace(0, 1, count) ** speed
    away = np.sin(np.pi * t)[:, None, None] * bend * np.array([1.0, -1.0, 0.0])
    return 6 * t[:, None, None] * np.eye(3)[y] + away


def test_runs_on_one_road_are_at_no_distance_however_fast():
    y = [0, 1, 2, 0]
    slow, fast, bent = run_to(y, 1), run_to(y, 3, count=200), run_to(y, 1, bend=2.0)
    same = trajectory_distance(slow, fast, y)
    other = trajectory_distance(slow, bent, y)
    assert 0 <= same < 1e-4 < 1e-2 < other
    assert trajectory_distance(bent, slow, y) == pytest.approx(float(other), rel=1e-9)
    back_and_forth = np.concatenate([slow[:50], slow[50:20:-1], slow[20:], slow[-1:]])
    assert trajectory_distance(back_and_forth, fast, y) == pytest.approx(float(same), abs=1e-9)
    assert same.stats["progress"] == pytest.approx((0, float(geodesic_progress(slow[-1:], y)[0])))


def test_distance_of_two_known_roads():
    # Truth [½, ½, 0] from [0, 0, 1]-like starts that differ by a swap: at progress t both lie on great circles.
    ts = np.linspace(0.01, 0.99, 400)
    start, end = np.array([[0.2, 0.2, 0.6]]), np.array([[0.45, 0.45, 0.1]])
    on = geodesic(start, end, ts)
    lift = np.array([1.0, -1.0, 0.0]) / math.sqrt(2)  # at a right angle to the plane of the geodesic
    up, down = (math.cos(0.3) * on + sign * math.sin(0.3) * lift for sign in (1, -1))
    assert up.min() > 0 and down.min() > 0
    found = trajectory_distance(scores(up), scores(down), end, start)
    assert found == pytest.approx(-math.log(math.cos(0.6)), rel=1e-4)


def test_runs_that_share_no_progress_have_no_distance():
    y = [0, 1]
    early, late = run_to(y, 1)[:10], run_to(y, 1)[40:]
    found = trajectory_distance(early, late, y)
    assert found.status == PathStatus.DEGENERATE and math.isnan(found)


def test_frechet_in_closed_form_and_by_recursion():
    t = np.linspace(0, 1, 50)
    line = np.stack([t, 0 * t], -1)[:, None]
    assert frechet(line, line + np.array([0.0, 0.5])) == pytest.approx(0.5)
    assert frechet(line, line[::-1]) == pytest.approx(1.0)
    assert frechet(line, line[np.unique((49 * t**3).astype(int))], points=50) == pytest.approx(0, abs=1e-6)
    a, b = (np.cumsum(RNG.normal(size=(7, 1, 2)), axis=0) for _ in range(2))
    p, q = (resample(image(path, "outputs"), 12) for path in (a, b))

    @functools.cache
    def leash(i, j):
        here = np.linalg.norm(p[i] - q[j])
        before = [leash(*k) for k in ((i - 1, j), (i, j - 1), (i - 1, j - 1)) if min(k) >= 0]
        return max(here, min(before)) if before else here

    assert frechet(a, b, points=12) == pytest.approx(leash(11, 11), rel=1e-9)


def test_bad_input_of_progress_and_distances_is_named():
    values = RNG.normal(size=(4, 2, 3))
    with pytest.raises(InputError, match="sum to one"):
        geodesic_progress(values, np.full((2, 3), 0.5))
    with pytest.raises(InputError, match="target itself"):
        geodesic_progress(values, [0, 1], np.eye(3)[[0, 1]])
    with pytest.raises(InputError, match="T models"):
        geodesic_progress(values[0], [0, 1])
    with pytest.raises(InputError, match="not finite"):
        geodesic_progress(values * np.nan, [0, 1])
    with pytest.raises(InputError, match="different probes"):
        trajectory_distance(values, values[:, :1], [0, 1])
    with pytest.raises(InputError, match="at least 2"):
        trajectory_distance(values, values, [0, 1], points=1)
    with pytest.raises(InputError, match="different probes"):
        frechet(values, values[..., :2])


def test_directional_similarity_in_closed_form():
    ray = {"a": np.arange(1.0, 6)[:, None] * [1.0, 2.0], "b": np.arange(1.0, 6) * 3}
    assert directional_similarity(ray) == pytest.approx(1.0)
    assert directional_similarity({"w": 3 * np.eye(8)}) == pytest.approx(1 / 8)
    angle = np.linspace(0, np.pi / 2, 50)
    arc = np.stack([np.cos(angle), np.sin(angle)], -1)
    found = directional_similarity([arc[:, :1], arc[:, 1:]])
    slow = np.mean([math.cos(a - b) for a in angle for b in angle])
    assert found == pytest.approx(slow) and found.stats["cosines"].shape == (50, 50)
    line = 100 + np.arange(6.0)[:, None] * np.array([1.0, -1.0])
    assert directional_similarity(line, origin=0) == pytest.approx(1.0)
    assert directional_similarity(line, origin=0).stats["cosines"].shape == (5, 5)
    assert directional_similarity(line, origin=3) == pytest.approx((9 + 4 - 2 * 6) / 25)


def test_bad_trajectories_of_parameters_are_named():
    assert directional_similarity(np.zeros((3, 2))).status == PathStatus.DEGENERATE
    assert directional_similarity(np.ones((1, 2)), origin=0).status == PathStatus.DEGENERATE
    with pytest.raises(InputError, match="one T"):
        directional_similarity({"a": np.ones((3, 2)), "b": np.ones((4, 2))})
    with pytest.raises(InputError, match="checkpoint 1"):
        directional_similarity(np.array([[1.0], [np.nan]]))
    with pytest.raises(InputError, match="no checkpoint 5"):
        directional_similarity(np.ones((3, 2)), origin=5)


def test_interpolation_from_noise_is_monotone_too_and_no_evidence(seed):
    network = mlp((6,), 1, widths=(64,))
    x = np.random.default_rng(0).normal(size=(64, 6)).astype(np.float32)
    y = x[:, :1] + 0.5 * x[:, 1:2]
    run = explore(Problem(network, "mse", x, y), GD(learning_rate=0.01), 1, steps=500, seed=seed)
    start, end = jax.tree.map(lambda leaf: leaf[0, 0], run.params), run.end(0)
    found = interpolation_of(network, start, end, "mse", x, y, seed=seed)
    assert found.monotone and found.losses[0] > found.losses[-1]
    assert (found.control_rises == 0).mean() > 0.5, "from noise it is monotone as well"
    assert not found.evidence


def test_interpolation_that_noise_does_not_repeat_is_evidence(seed):
    """A rugged line of 100,000 half waves: only from within the last of them does the loss fall.

    Each of 19 controls begins there with a probability of 5e-6.
    """
    wave = Network(lambda key: jnp.zeros(1), lambda w, x: x * (1 + jnp.cos(w)))
    data, waves = (jnp.ones((1, 1)), jnp.zeros((1, 1))), 100_001
    with float64():
        b = jnp.full(1, waves * np.pi)
        near, far = jnp.full(1, (waves - 1) * np.pi + 0.1), jnp.full(1, (waves - 6) * np.pi)
        found = interpolation_of(wave, near, b, "mse", *data, points=400, seed=seed)
        assert found.monotone and found.p_value <= 0.05 and found.evidence
        rugged = interpolation_of(wave, far, b, "mse", *data, points=400, seed=seed)
        assert rugged.rise == pytest.approx(4, rel=1e-3) and not rugged.monotone and not rugged.evidence
        again = interpolation_of(wave, near, b, "mse", *data, points=400, seed=seed)
    np.testing.assert_array_equal(found.control_rises, again.control_rises)


def test_controls_are_noise_of_the_size_of_the_start(seed):
    network = Network(lambda key: jnp.zeros(200), lambda w, x: x * (w**2).mean())
    ends, data = (jnp.full(200, 3.0), jnp.zeros(200)), (jnp.ones((1, 1)), jnp.zeros(1))
    found = interpolation_of(network, *ends, lambda f, y: -f[:, 0], *data, seed=seed)
    assert found.rise == pytest.approx(9)  # the loss −mean w² rises from −9 to 0
    assert found.control_rises.mean() == pytest.approx(9, rel=0.1)
    assert len(set(found.control_rises)) == 19


def test_interpolation_names_what_is_wrong():
    pole = Network(lambda key: jnp.zeros(1), lambda w, x: x / w)
    data = (jnp.ones((1, 1)), jnp.zeros((1, 1)))
    found = interpolation_of(pole, -jnp.ones(1), jnp.ones(1), "mse", *data)
    assert found.status == PathStatus.DIVERGED and found.rise == float("inf") and not found.evidence
    with pytest.raises(InputError, match="one architecture"):
        interpolation_of(pole, jnp.ones(1), jnp.ones(2), "mse", *data)
    with pytest.raises(InputError, match="controls: expected"):
        interpolation_of(pole, jnp.ones(1), jnp.ones(1), "mse", *data, controls=0)
