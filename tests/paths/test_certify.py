import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from allroads import InputError, float64, turning
from allroads.errors import UnknownNameError
from allroads.paths.certify import certify, turning_bound
from allroads.paths.convexity import convexity
from allroads.status import PathStatus

KAPPAS = [1.0, 1 / 4, 1 / 25, 1 / 400]


def quadratic(curvatures):
    return lambda outputs, labels: 0.5 * (jnp.asarray(curvatures) * (outputs - labels) ** 2).sum(-1)


def softmax(scores):
    p = np.exp(scores - scores.max(-1, keepdims=True))
    return p / p.sum(-1, keepdims=True)


def rises(losses):
    return (np.diff(losses) > 1e-12 * np.abs(losses).max()).any()


def backwards(rng, end, turn, corners):
    """A polygon that ends at ``end`` and turns by ``turn``, with lengths over two decades."""
    direction = rng.normal(size=end.size)
    shares = rng.dirichlet(np.ones(corners)) * turn
    points = [end.ravel()]
    for angle in (0.0, *shares):
        unit = direction / np.linalg.norm(direction)
        side = rng.normal(size=end.size)
        side -= unit * (side @ unit)
        direction = np.cos(angle) * unit + np.sin(angle) * side / np.linalg.norm(side)
        points.append(points[-1] - direction * 10 ** rng.uniform(-2, 0))
    return np.array(points[::-1]).reshape(-1, *end.shape)


def densely(path, count=20):
    shares = np.linspace(0, 1, count, endpoint=False)[:, None, None]
    pieces = [a + shares * (b - a) for a, b in itertools.pairwise(path)]
    return np.concatenate([*pieces, path[-1:]])


def test_the_bound_has_its_known_values():
    assert turning_bound(1.0) == pytest.approx(math.pi / 2)
    assert np.degrees(turning_bound(1 / 25)) == pytest.approx(22.62, abs=0.005)
    assert turning_bound(0.0) == 0.0


@pytest.mark.parametrize("kappa", KAPPAS)
def test_certified_paths_fall_and_their_turning_is_exact(kappa):
    rng = np.random.default_rng(0)
    curvatures = np.array([[kappa, 1.0, math.sqrt(kappa)]])
    loss, bound = quadratic(curvatures), float(turning_bound(kappa))
    end = rng.normal(size=(2, 3))
    for share in rng.uniform(0.5, 1.2, size=300):
        path = backwards(rng, end, share * bound, corners=3)
        found = certify(path, end, loss, kappa=kappa)
        assert found.turning == pytest.approx(share * bound, abs=1e-7)
        assert found.certified == (share < 1) == (found.margin > 0)
        if found.certified:
            along = densely(path)
            assert not rises(0.5 * (curvatures * (along - end) ** 2).sum((1, 2)))


@pytest.mark.parametrize("kappa", KAPPAS)
@pytest.mark.parametrize("past", [-1e-3, 1e-3])
def test_the_failure_planted_just_past_the_bound_is_found_and_not_certified(kappa, past):
    # Where −∇ℓ and the way to the minimiser enclose the most, arccos(2√κ/(1+κ)), step off to the other side of the way.
    curvatures = np.array([kappa, 1.0])
    way = np.array([1.0, 1 / math.sqrt(kappa)][::-1])
    side = np.array([way[1], -way[0]]) if kappa == 1 else np.array([way[0], way[1]]) * [1, -1]
    way, pull = way / np.linalg.norm(way), curvatures * way
    side = side - way * (side @ way)
    side *= -np.sign(side @ pull) if abs(side @ pull) > 1e-12 else 1
    side /= np.linalg.norm(side)
    turn = float(turning_bound(kappa)) + past
    tangent = math.cos(turn) * way + math.sin(turn) * side
    path = np.array([-way - 1e-6 * tangent, -way, np.zeros(2)])[:, None, :]
    losses = 0.5 * (curvatures * path[:, 0] ** 2).sum(-1)
    found = certify(path, np.zeros((1, 2)), quadratic(curvatures))
    assert found.kappa == pytest.approx(kappa)
    assert found.turning == pytest.approx(turn, abs=1e-6)
    assert found.certified is (past < 0)
    assert (losses[1] > losses[0]) is np.bool_(past > 0)


@pytest.mark.parametrize(("angle", "monotone"), [(0.45, True), (0.499, True), (0.55, False)])
def test_an_arc_under_squared_error(angle, monotone):
    # A circular arc meets its end under half its angle, so the loss falls all along up to π; a hook at the start does
    # what the bound allows for. Here: a short straight piece, then the arc's chord.
    turned = angle * math.pi
    path = np.array([[0.0, 0.0], [1e-3, 0.0], [1e-3 + math.cos(turned), math.sin(turned)]])[:, None]
    losses = ((path - path[-1]) ** 2).mean((1, 2))
    found = certify(path, path[-1], "mse")
    assert found.certified is monotone and rises(losses) is np.bool_(not monotone)
    assert found.turning == pytest.approx(turning(path, points=None))


def test_the_end_must_be_the_minimiser_or_lie_on_the_straight_way_to_it():
    line = np.linspace(0, 1, 5)[:, None, None] * np.ones((1, 2))
    assert certify(line, np.full((1, 2), 3.0), "mse").certified
    away = certify(line, np.full((1, 2), -1.0), "mse")
    assert not away.certified and away.turning == pytest.approx(math.pi) and away.share == 0
    over = certify(line, np.full((1, 2), 0.5), "mse")
    assert not over.certified and over.falls.tolist() == [True, True, False, False] and over.share == 0.5


def test_segments_are_certified_beyond_the_whole_and_none_of_them_rises():
    rng = np.random.default_rng(1)
    y = rng.integers(3, size=4)
    straight, noise = np.linspace(0, 1, 12)[:, None, None] * 4 * np.eye(3)[y], rng.normal(size=(12, 4, 3))
    for size in (0.1, 0.3, 0.6):
        path = straight + size * noise
        cross_entropy = -np.log(softmax(path))[:, np.arange(4), y].sum(1)
        squares = ((path - 4 * np.eye(3)[y]) ** 2).sum((1, 2))
        for arguments, losses in (
            ((y, "cross_entropy", "sphere"), cross_entropy),
            ((y, "cross_entropy", "probabilities"), cross_entropy),
            ((4 * np.eye(3)[y], "mse", "outputs"), squares),
        ):
            target, loss, chart = arguments
            found = certify(path, target, loss, chart=chart)
            fell = np.diff(losses) < 0
            assert not (found.falls & ~fell).any()
            alone = [certify(path[t : t + 2], target, loss, chart=chart).certified for t in range(11)]
            assert (found.falls >= alone).all(), "what the hull certifies, the segment's own points do"
            if loss == "mse":
                assert found.falls.tolist() == alone
    assert found.falls.any() and not found.falls.all()


def continued(loss_chart):
    """The losses continued off the simplex and the sphere, as docs/straightness.md derives them."""
    return {
        "probabilities": lambda z, q: (-q * jnp.log(z) + z).sum(),
        "soft sphere": lambda z, q: (-2 * q * jnp.log(z) + z**2).sum(),
        "sure sphere": lambda z, q: -2 * jnp.log(1 - ((z - q) ** 2).sum(-1) / 2).sum(),
    }[loss_chart]


@pytest.mark.parametrize("case", ["probabilities", "soft sphere", "sure sphere"])
def test_the_continued_loss_is_the_loss_and_pulls_as_evenly_as_kappa_says(case):
    rng = np.random.default_rng(2)
    q = np.eye(4)[[0, 2, 3]] if case == "sure sphere" else rng.dirichlet(3 * np.ones(4), size=3)
    scores = rng.normal(size=(6, 3, 4))
    scores[4:] = 0  # a segment that passes nearer to the first truth than both its ends do
    scores[4:, 0] = [[3, 3, 0, 0], [3, 0, 3, 0]]
    given = q.argmax(-1) if case == "sure sphere" else q
    pull = convexity(scores, given, "cross_entropy", case.split()[-1])
    corners = pull.polygon.reshape(7, 3, 4)
    end, path = corners[-1], corners[:-1]
    loss = continued(case)
    on_segments = path[:-1] + np.linspace(0, 1, 50)[:, None, None, None] * np.diff(path, axis=0)
    inside = np.tensordot(rng.dirichlet(0.3 * np.ones(7), size=400), corners, 1)
    with float64():
        goal = end**2 if case == "soft sphere" else end
        on_chart = np.array([loss(z, goal) for z in path])
        assert np.ptp(on_chart + (q * np.log(softmax(scores))).sum((1, 2))) < 1e-12, "equal up to a constant"
        points = jnp.asarray(np.concatenate([inside, on_segments.reshape(-1, 3, 4)]))
        slopes = np.asarray(jax.jit(jax.vmap(jax.grad(loss), (0, None)))(points, jnp.asarray(goal)))
    strengths = (-slopes / (end - np.asarray(points))).reshape(len(points), -1)
    assert pull.kappa <= strengths.min() / strengths.max() * (1 + 1e-9)
    assert pull.kappa > 0.5 * strengths.min() / strengths.max(), "κ is near what is attained"
    per_segment = strengths[400:].reshape(50, 5, -1)
    attained = per_segment.min((0, 2)) / per_segment.max((0, 2))
    assert (pull.kappas <= attained * (1 + 1e-9)).all() and (pull.kappas > 0.7 * attained).all()
    assert (pull.kappas >= pull.kappa).all()


@pytest.mark.parametrize("classes", [2, 5])
def test_mean_hessians_in_scores_are_as_even_as_kappa_says(classes):
    rng = np.random.default_rng(3)
    q = rng.dirichlet(2 * np.ones(classes), size=2)
    scores = rng.normal(size=(5, 2, classes))
    pull = convexity(scores, q, "cross_entropy", "outputs")

    def eigenvalues(z):
        ps = softmax(z + np.linspace(0, 1, 100)[:, None, None] * (np.log(q) - z)).swapaxes(0, 1)
        return np.linalg.eigvalsh([np.mean([np.diag(p) - np.outer(p, p) for p in probe], axis=0) for probe in ps])[
            :, 1:
        ]

    seen = [eigenvalues(z) for z in scores]
    assert pull.kappa <= min(e.min() for e in seen) / max(e.max() for e in seen)
    for t, kappa in enumerate(pull.kappas):
        between = [eigenvalues(scores[t] + share * (scores[t + 1] - scores[t])) for share in np.linspace(0, 1, 9)]
        assert pull.kappa <= kappa <= min(e.min() for e in between) / max(e.max() for e in between)


def test_kappa_in_closed_form():
    # One example, right answer at p = .2 and then .5: κ = √.2 on the sphere.
    p = np.array([[0.2, 0.3, 0.5], [0.5, 0.25, 0.25]])
    path = np.log(p)[:, None, :]
    assert certify(path, [0], "cross_entropy", chart="sphere").kappa == pytest.approx(math.sqrt(0.2))
    q = np.array([[0.6, 0.2, 0.2]])
    assert certify(path, q, "cross_entropy", chart="probabilities").kappa == pytest.approx(0.2 / 0.6)
    pulls = 1 + np.sqrt(q / p)
    expected = min(pulls.min(), 2) / max(pulls.max(), 2)
    assert certify(path, q, "cross_entropy", chart="sphere").kappa == pytest.approx(expected)
    assert certify(path, q, "cross_entropy").kappa == pytest.approx(0.2 / 0.5)
    logits = np.array([[[-1.0]], [[1.0]]])
    found = certify(logits, [1], "bce", chart="sphere")
    assert found.kappa == pytest.approx(math.sqrt(1 / (1 + math.e)))
    two = np.concatenate([np.zeros_like(logits), logits], axis=-1)
    same = certify(two, [1], "cross_entropy", chart="sphere")
    assert (found.turning, found.kappa, found.share) == pytest.approx((same.turning, same.kappa, same.share))


def test_scores_are_judged_modulo_a_common_shift():
    rng = np.random.default_rng(4)
    path, q = np.linspace(0, 1, 6)[:, None, None] * rng.normal(size=(2, 3)), rng.dirichlet(np.ones(3), size=2)
    shifted = path + rng.normal(size=(6, 2, 1))
    plain, moved = (certify(values, q, "cross_entropy") for values in (path, shifted))
    assert moved.turning == pytest.approx(plain.turning) and moved.kappa == pytest.approx(plain.kappa)


def test_several_logits_of_bce_are_several_examples_of_one():
    rng = np.random.default_rng(5)
    values, y = rng.normal(size=(5, 4, 3)), rng.integers(2, size=(4, 3))
    for chart in ("sphere", "probabilities", "outputs"):
        labels = y if chart == "sphere" else 0.2 + 0.6 * y
        a = certify(values, labels, "bce", chart=chart)
        b = certify(values.reshape(5, 12, 1), labels.reshape(12), "bce", chart=chart)
        assert (a.turning, a.kappa, a.share) == (b.turning, b.kappa, b.share)
        assert a.kappa > 0


def test_where_the_theorem_is_silent_the_status_says_why():
    rng = np.random.default_rng(6)
    path = rng.normal(size=(5, 4, 3))
    sure = certify(path, [0, 1, 2, 0], "cross_entropy")
    assert sure.status == PathStatus.NOT_APPLICABLE and "sphere" in sure.reason and not sure
    assert sure.bound == 0 and sure.margin == -sure.turning < 0 and not sure.falls.any()
    assert "outputs" in certify(path, np.zeros((4, 3)), "mse", chart="sphere").reason
    assert "zero" in certify(path, [0, 1, 2, 0], "cross_entropy", chart="probabilities").reason
    quartic = certify(path, np.zeros((4, 3)), lambda f, y: ((f - y) ** 2 + (f - y) ** 4).sum(-1))
    assert quartic.status == PathStatus.NOT_APPLICABLE and "give kappa" in quartic.reason
    flat = certify(path, np.zeros((4, 3)), lambda f, y: (f[:, 0] - y[:, 0]) ** 2)
    assert flat.status == PathStatus.NOT_APPLICABLE and "strongly convex" in flat.reason
    assert "kappa" in certify(path, [0, 1, 2, 0], lambda f, y: f.sum(-1), chart="sphere").reason
    gone = np.array([[[0.0, 2000.0]], [[0.0, 1.0]]])
    assert "right answer" in certify(gone, [0], "cross_entropy", chart="sphere").reason


def test_a_path_of_one_record_is_degenerate():
    values = np.random.default_rng(0).normal(size=(1, 3, 2))
    for loss, chart, labels in (("cross_entropy", "sphere", np.arange(3) % 2), ("mse", "outputs", np.ones((3, 2)))):
        found = certify(values, labels, loss, chart=chart)
        assert found.status == PathStatus.DEGENERATE and found.falls.shape == (0,)


def test_a_path_that_does_not_move_is_degenerate():
    for still in (np.ones((4, 2, 3)), np.ones((1, 2, 3))):
        found = certify(still, np.zeros((2, 3)), "mse")
        assert found.status == PathStatus.DEGENERATE and not found.certified and math.isnan(found.turning)
        assert "does not move" in found.reason and found.falls.shape == (len(still) - 1,)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0, 3, 1], "cross_entropy"), "classes 0 … 2"),
        (([0.5, 1, 1], "cross_entropy"), "classes 0 … 2"),
        ((np.full((3, 3), 0.4), "cross_entropy"), "sum to one"),
        (([[1.2, -0.2, 0]] * 3, "cross_entropy"), "≥ 0"),
        ((np.zeros((2, 3)), "cross_entropy"), "got \\(2, 3\\)"),
        ((np.full((3, 3), 2.0), "bce"), "lie in \\[0, 1\\]"),
        ((np.zeros(4), "mse"), "one number an output"),
        ((np.full((3, 3), np.nan), "mse"), "NaN"),
        ((np.zeros((3, 3)), lambda f, y: ((f - 1) ** 2).sum(-1)), "not the minimiser"),
    ],
)
def test_targets_outside_the_chart_are_named(arguments, message):
    with pytest.raises(InputError, match=message):
        certify(np.random.default_rng(7).normal(size=(4, 3, 3)), *arguments)


def test_other_bad_input_is_named():
    path = np.zeros((3, 2, 2))
    path[1, 0, 0] = np.nan
    with pytest.raises(InputError, match="from step 1 on"):
        certify(path, np.zeros((2, 2)), "mse")
    good = np.arange(12.0).reshape(3, 2, 2)
    with pytest.raises(InputError, match="kappa"):
        certify(good, np.zeros((2, 2)), lambda f, y: ((f - y) ** 2).sum(-1), kappa=2.0)
    with pytest.raises(InputError, match="follows from the loss"):
        certify(good, np.zeros((2, 2)), "mse", kappa=0.5)
    with pytest.raises(InputError, match="use 'bce'"):
        certify(good[..., :1], np.zeros(2), "cross_entropy")
    with pytest.raises(UnknownNameError, match="'sphere'"):
        certify(good, np.zeros((2, 2)), "mse", chart="shpere")
    with pytest.raises(UnknownNameError, match="'mse'"):
        certify(good, np.zeros((2, 2)), "msa")
