"""Passes between points of landscapes that are known exactly: linear networks, products, modes, Müller and Brown's."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from known_landscapes import (
    MULLER_BROWN,
    factored,
    landscape,
    mode_critical,
    mode_energy,
    modes,
    muller_brown,
    product,
    subsets,
    two_layers,
)
from scipy.optimize import minimize

import allroads
from allroads import (
    AtlasStatus,
    CurveOptions,
    InputError,
    SignChange,
    merge_tree,
    pass_bounds,
    pass_heights,
    reach_graph,
)
from allroads.networks.mlp import mlp

BRIEF = CurveOptions(steps=400)


@pytest.mark.slow
def test_square_linear_factors_have_two_components_by_the_sign_of_a_determinant():
    """½ ‖W₂W₁ − M‖²: between the signs every path meets rank 1, so B = ½ σ_min²; within one, B = 0."""
    target = np.diag([2.0, 1.0])
    firsts = ([[1, 0.2], [0.1, 1]], [[0.6, -0.5], [0.5, 1.2]], [[1, 0.3], [0.2, -1]], [[-0.2, 1], [1, 0.3]])
    points = [factored(target, first) for first in firsts]
    bound = SignChange(lambda w: np.linalg.det(np.asarray(w)[:4].reshape(2, 2)), 0.5, "rank")
    found = pass_bounds(two_layers(target), points, align=None, lower=bound, options=BRIEF, progress=False)
    between = np.array([[0, 0, 1, 1], [0, 0, 1, 1], [1, 1, 0, 0], [1, 1, 0, 0]], bool)
    np.testing.assert_allclose(found.upper[between], 0.5, atol=5e-5)
    np.testing.assert_allclose(found.lower[between], 0.5)
    assert found.upper[~between].max() < 2e-5
    assert found.theorem(0, 2) == "rank" and found.theorem(0, 1) == "ends"
    tree = found.tree()
    assert tree.components(0.4).tolist() == [0, 0, 1, 1] and tree.components(0.51).tolist() == [0] * 4


@pytest.mark.parametrize("depth", [2, 3, 4])
def test_products_have_2_to_the_depth_less_one_components_that_merge_at_one_level(depth):
    strength = 1.5
    signs = [s for s in itertools.product((1, -1), repeat=depth) if np.prod(s) > 0]
    points = [jnp.asarray(strength ** (1 / depth) * np.array(s)) for s in signs]
    bound = SignChange(np.asarray, 0.5 * strength**2, "a weight is 0")
    found = pass_bounds(
        product(strength, depth), points, align=None, curve=None, lower=bound, points_along=25, progress=False
    )
    level = 0.5 * strength**2
    pairs = ~np.eye(len(signs), dtype=bool)
    np.testing.assert_allclose(found.upper[pairs], level, rtol=1e-5)
    np.testing.assert_allclose(found.lower[pairs], level)
    tree = found.tree()
    assert len(set(tree.components(0.99 * level))) == 2 ** (depth - 1)
    assert set(tree.components(1.01 * level)) == {0}


STRENGTHS, DECAY = (2.0, 1.2, 1.0), 0.3


def test_one_mode_has_its_two_states_and_the_saddle_between():
    """Figures of λ = .3, s = 2, 1.2, 1; the saddle has index 1."""
    rise, fall = [], []

    def energy(w, strength):
        return 0.5 * (jnp.prod(w) - strength) ** 2 + DECAY / 2 * (w**2).sum()

    look = jax.jit(lambda w, s: (jax.grad(energy)(w, s), jax.hessian(energy)(w, s)))
    for strength in STRENGTHS:
        saddle, on = mode_critical(strength, DECAY)
        off_energy = mode_energy(0, strength, DECAY)
        rise.append(mode_energy(saddle, strength, DECAY) - off_energy)
        fall.append(mode_energy(saddle, strength, DECAY) - mode_energy(on, strength, DECAY))
        with allroads.float64():
            for u, index in ((saddle, 1), (on, 0)):
                slope, curvature = look(jnp.full(3, u), strength)
                assert float(jnp.abs(slope).max()) < 1e-11
                assert int((np.linalg.eigvalsh(curvature) < 0).sum()) == index
    np.testing.assert_allclose(rise, [0.00338, 0.00950, 0.01390], atol=5e-6)
    np.testing.assert_allclose(fall, [1.31864, 0.26509, 0.11499], atol=5e-6)


def test_a_mode_exists_and_wins_below_its_two_thresholds():
    """On exists iff λ < 3(s/4)^{4/3}, and lies below off iff λ < (s/2)^{4/3}. With two factors off is no minimum."""
    for strength in (0.7, 1.0, 2.0):
        exists, wins = 3 * (strength / 4) ** (4 / 3), (strength / 2) ** (4 / 3)
        grid = np.linspace(0, 2 * strength ** (1 / 3), 20001)
        assert (grid * (strength - grid**3)).max() == pytest.approx(exists, rel=1e-6)
        for decay, better in ((0.99 * wins, True), (1.01 * wins, False)):
            _, on = mode_critical(strength, decay)
            assert (mode_energy(on, strength, decay) < mode_energy(0, strength, decay)) is better
        # two factors: the Hessian at 0 is λ − s along (1, 1), so off falls away wherever s > λ; else there is no on
        decay = 0.5 * strength
        u = 1e-3
        assert mode_energy(u, strength, decay, depth=2) < mode_energy(0, strength, decay, depth=2)


def cube():
    """Energies of the 2³ subsets of modes that are on, and the heights of the 12 edges of their cube."""
    saddles, ons = zip(*(mode_critical(strength, DECAY) for strength in STRENGTHS), strict=True)
    nodes = subsets(3)

    def energy(state):
        return sum(
            mode_energy(on if is_on else 0.0, s, DECAY) for is_on, on, s in zip(state, ons, STRENGTHS, strict=True)
        )

    heights = np.full((8, 8), np.nan)
    for p, q in itertools.permutations(range(8), 2):
        changed = [i for i in range(3) if nodes[p][i] != nodes[q][i]]
        if len(changed) == 1:
            (i,) = changed
            off = energy(tuple(0 if j == i else v for j, v in enumerate(nodes[p])))
            heights[p, q] = off - mode_energy(0, STRENGTHS[i], DECAY) + mode_energy(saddles[i], STRENGTHS[i], DECAY)
    return nodes, np.array([energy(state) for state in nodes]), heights


def test_the_solvable_atlas_has_its_passes():
    nodes, energies, heights = cube()
    at = {state: k for k, state in enumerate(nodes)}
    none, two, three = at[0, 0, 0], at[1, 1, 0], at[1, 1, 1]
    np.testing.assert_allclose(energies[[none, two, three]], [3.22, 1.6491, 1.5481], atol=5e-5)
    found = pass_heights(heights, energies)
    np.testing.assert_allclose([found[none, three], found[two, three]], [3.2234, 1.6630], atol=5e-5)
    tree = merge_tree(heights, energies, ["".join(map(str, state)) for state in nodes])
    bars = {row["node"]: row for row in tree.bars.to_dicts()}
    assert bars["111"]["death"] is None
    assert bars["110"]["persistence"] == pytest.approx(0.01390, abs=5e-6) and bars["110"]["into"] == "111"
    # every other subset turns its strongest "off" mode on over the lowest saddle
    assert bars["000"]["persistence"] == pytest.approx(0.00338, abs=5e-6)
    assert bars["100"]["persistence"] == pytest.approx(0.00950, abs=5e-6)


@pytest.mark.slow
def test_the_search_finds_the_passes_of_the_solvable_atlas():
    """Four subsets as points: the band's tops are the saddles, to 1e-4."""
    nodes, energies, heights = cube()
    at = {state: k for k, state in enumerate(nodes)}
    chosen = [(0, 0, 0), (1, 0, 0), (1, 1, 0), (1, 1, 1)]
    ons = [mode_critical(strength, DECAY)[1] for strength in STRENGTHS]
    points = [jnp.asarray(np.repeat(np.array(state) * ons, 3)) for state in chosen]
    found = pass_bounds(modes(STRENGTHS, DECAY), points, align=None, options=BRIEF, progress=False)
    exact = pass_heights(heights, energies)[np.ix_([at[s] for s in chosen], [at[s] for s in chosen])]
    np.testing.assert_allclose(found.upper, exact, atol=2e-4)
    assert (found.upper >= exact - 1e-5).all()


@pytest.mark.slow
def test_the_search_finds_the_saddles_of_muller_and_brown():
    problem, points = muller_brown(), []
    with allroads.float64():
        slope = jax.jit(jax.value_and_grad(problem.objective.mean))
        for near in MULLER_BROWN["minima"]:
            end = minimize(lambda w: [np.asarray(v) for v in slope(jnp.asarray(w), problem.data)], near, jac=True)
            points.append(jnp.asarray(end.x))
        found = pass_bounds(problem, points, align=None, options=CurveOptions(steps=800), progress=False)
    np.testing.assert_allclose(found.losses, MULLER_BROWN["energies"], atol=1e-4)
    first, second = MULLER_BROWN["saddles"]
    expected = np.array([[0, first, first], [first, 0, second], [first, second, 0]])
    pairs = ~np.eye(3, dtype=bool)
    np.testing.assert_allclose(found.upper[pairs], expected[pairs], atol=1e-3)
    bars = found.tree(["a", "b", "c"]).bars
    assert bars["into"].to_list() == [None, "a", "b"]
    np.testing.assert_allclose(bars["death"].to_list()[1:], [first, second], atol=1e-3)


def test_signs_that_gradient_flow_keeps_part_the_reach_graph():
    """f = Σ a_k relu(w_k·x): c_k = ‖w_k‖² − a_k² stays, and where it is below 0 the sign of a_k too: 2^k components."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(12, 2))
    y = np.sin(2 * x[:, 0]) + x[:, 1]
    weights = rng.normal(size=(3, 2))
    weights[:2] *= 0.5 / np.linalg.norm(weights[:2], axis=1)[:, None]  # c < 0 for the first two
    weights[2] *= 2.0 / np.linalg.norm(weights[2])  # c > 0 for the last
    signs = [(first, second, 1.0) for first, second in itertools.product((1.0, -1.0), repeat=2)]
    starts = np.array([np.concatenate([weights.ravel(), row]) for row in signs])

    def energy(w):
        hidden = jax.nn.relu(x @ w[:6].reshape(3, 2).T)
        return 0.5 * ((hidden @ w[6:] - y) ** 2).mean()

    slope, step = jax.jit(jax.vmap(jax.grad(energy))), 2e-3
    w = jnp.asarray(starts)
    conserved = lambda w: (w[:, :6].reshape(-1, 3, 2) ** 2).sum(axis=2) - w[:, 6:] ** 2  # noqa: E731
    before = np.asarray(conserved(w))
    advance = jax.jit(lambda w: jax.lax.fori_loop(0, 4000, lambda _, w: w - step * slope(w), w))
    after = advance(w)
    np.testing.assert_allclose(conserved(after), before, atol=0.05)  # exact for flow, up to the step's order
    assert float(jnp.abs(after - w).max()) > 0.3
    classes = lambda w: (np.asarray(w[:, 6:8]) < 0) @ [2, 1]  # noqa: E731
    reached = np.zeros((4, 4), int)
    np.add.at(reached, (classes(w), classes(after)), 16)
    found = reach_graph(reached, 16)
    assert found.value == 2**2 and found.parts["sink"].all() and found.arcs.is_empty()


@pytest.mark.slow
def test_a_narrower_solution_in_a_wider_network_is_critical_and_the_way_down_starts_there():
    """A duplicated unit with its outgoing weight parted: the same function, gradient 0, a saddle; B is its own loss."""
    rng = np.random.default_rng(1)
    x = rng.uniform(-2, 2, size=(24, 1))
    y = np.tanh(4 * x + 4) + 0.6 * np.tanh(4 * x - 3)
    with allroads.float64():
        narrow, wide = (mlp((1,), 1, widths=(width,), activation="tanh") for width in (1, 2))
        small = allroads.Problem(narrow, "mse", x, y)
        w1, b1, w2, b2 = _trained(small, np.array([1.0, 0.0, 1.0, 0.0]))
        share = 0.3
        point = {
            "layers": [
                {"weight": jnp.array([[w1, w1]]), "bias": jnp.array([b1, b1])},
                {"weight": jnp.array([[share * w2], [(1 - share) * w2]]), "bias": jnp.array([b2])},
            ]
        }
        problem = allroads.Problem(wide, "mse", x, y)
        single = {
            "layers": [
                {"weight": jnp.array([[w1]]), "bias": jnp.array([b1])},
                {"weight": jnp.array([[w2]]), "bias": jnp.array([b2])},
            ]
        }
        np.testing.assert_allclose(wide.apply(point, x), narrow.apply(single, x), atol=1e-12)
        flat, back = ravel_pytree(point)

        def energy(w):
            return problem.objective.mean(back(w), problem.data)

        slope, hessian = jax.jit(lambda w: (jax.grad(energy)(w), jax.hessian(energy)(w)))(flat)
        assert float(jnp.abs(slope).max()) < 1e-7
        curvature, axes = np.linalg.eigh(hessian)
        assert curvature[0] < -1e-4  # a saddle
        slope = jax.grad(energy)

        def descend(w, _):
            return jax.lax.fori_loop(0, 200, lambda _, w: w - 0.1 * slope(w), w), w

        start = flat + 0.05 * axes[:, 0]
        way = np.asarray(jax.jit(lambda w: jax.lax.scan(descend, w, None, length=200)[1])(start))
        arc = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(way, axis=0), axis=1))])
        even = np.searchsorted(arc, np.linspace(0, arc[-1], 40))
        points = [point, *(back(jnp.asarray(way[k])) for k in np.unique(even))]
        loss, lower = float(problem.mean(point)), float(problem.mean(points[-1]))
        assert lower < 0.8 * loss
        found = pass_bounds(problem, points, align=None, curve=None, progress=False)
    assert found.upper[0, -1] == pytest.approx(loss, rel=1e-3)  # the wider, longer program is reached without a rise
    assert found.lower[0, -1] == pytest.approx(loss, rel=1e-9)


def _trained(problem, start):
    def params(w):
        return {"layers": [{"weight": w[None, :1], "bias": w[1:2]}, {"weight": w[2:3, None], "bias": w[3:]}]}

    slope = jax.jit(jax.value_and_grad(lambda w: problem.objective.mean(params(w), problem.data)))
    end = minimize(
        lambda w: [np.asarray(v) for v in slope(jnp.asarray(w))],
        start,
        jac=True,
        method="BFGS",
        options={"gtol": 1e-11},
    )
    return [float(v) for v in end.x]


# --- the search itself


def ring():
    return landscape(lambda w: ((w**2).sum() - 1) ** 2, 2)


@pytest.mark.slow
def test_a_detour_over_other_points_lowers_a_pass():
    """On the circle |w| = 1 the loss is 0; four points, segments alone: opposite ones join over a neighbour."""
    points = [jnp.array(p) for p in ([1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0])]
    found = pass_bounds(ring(), points, align=None, curve=None, progress=False)
    assert found.upper[0, 2] == pytest.approx(0.25, abs=1e-4) and found.way(0, 2) == "detour"
    assert found.upper[0, 1] == pytest.approx(0.25, abs=1e-4) and found.way(0, 1) == "segment"
    curved = pass_bounds(ring(), points, align=None, options=BRIEF, progress=False)
    assert curved.value < 0.01 and curved.stats["upper"]["curve"] >= 3


@pytest.mark.slow
def test_copies_of_one_network_are_one_point_modulo_symmetry():
    rng = np.random.default_rng(0)
    network = mlp((3,), 1, widths=(6,), activation="tanh")
    x = rng.normal(size=(32, 3))
    a = network.init(jax.random.key(1))
    order = rng.permutation(6)
    first, last = a["layers"]
    b = {
        "layers": [
            {"weight": first["weight"][:, order], "bias": first["bias"][order]},
            {"weight": last["weight"][order], "bias": last["bias"]},
        ]
    }
    problem = allroads.Problem(network, "mse", x, network.apply(a, x))
    plain = pass_bounds(problem, [a, b], align=None, curve=None, progress=False)
    same = pass_bounds(problem, [a, b], curve=None, progress=False)
    assert plain.value > 0.01 > 1e-6 > same.value and same.way(0, 1) == "aligned"


def test_passes_between_programs_are_the_lowest_between_their_points():
    points = [jnp.array(p) for p in ([1.0, 0.0], [0.0, 1.0], [-1.0, 0.0])]
    found = pass_bounds(ring(), points, align=None, curve=None, progress=False)
    table = found.between(["p", "p", "q"])
    assert table.select("source", "target", "quantity", "tried").rows() == [
        ("p", "q", "pass_upper", 2),
        ("q", "p", "pass_upper", 2),
    ]
    assert table["value"].to_list() == [found.upper[1, 2]] * 2
    with pytest.raises(InputError, match="one per point"):
        found.between(["p"])


def test_a_budget_that_ends_leaves_bounds_that_hold():
    points = [jnp.array([np.cos(t), np.sin(t)]) for t in np.linspace(0, 6, 12)]
    found = pass_bounds(ring(), points, align=None, budget=1e-3, progress=False)
    assert found.status == AtlasStatus.CUT_SHORT and found.ended == "budget"
    assert (found.upper >= 0).all() and (found.lower <= found.upper).all()


def test_a_theorem_that_a_path_refutes_is_refused():
    points = [jnp.array([1.0, 0.0]), jnp.array([0.0, 1.0])]
    with pytest.raises(InputError, match="a path was found that stays at"):
        pass_bounds(ring(), points, align=None, curve=None, lower=lambda a, b: 0.5, progress=False)
    with pytest.raises(InputError, match="infinite"):
        pass_bounds(ring(), points, align=None, curve=None, lower=lambda a, b: np.inf, progress=False)
    with pytest.raises(InputError, match="SignChange"):
        SignChange(lambda w: np.ones(3), [1.0, 2.0])(1, 2)


def test_a_bound_is_carried_to_points_below_it():
    """b lies with a, below the barrier to c, though the theorem speaks of a and c alone."""
    well = landscape(lambda w: (w[0] ** 2 - 1) ** 2 + w[1] ** 2, 2)
    points = [jnp.array(p) for p in ([-1.0, 0.0], [-0.9, 0.1], [1.0, 0.0])]

    def theorem(p, q):
        return 1.0 if {float(p[0]), float(q[0])} == {-1.0, 1.0} else None

    found = pass_bounds(well, points, align=None, curve=None, lower=theorem, progress=False)
    assert found.lower[1, 2] == 1.0 and found.theorem(1, 2) == "theorem" and found.lower[0, 1] < 0.1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"align": "weight"}, "did you mean 'weights'"),
        ({"curve": "nebb"}, "did you mean 'neb'"),
        ({"curve": "star"}, "joins many points"),
        ({"close": -1}, "close"),
        ({"points_along": 1}, "points_along"),
        ({"options": 3}, "CurveOptions"),
        ({"budget": 0}, "budget"),
    ],
)
def test_options_out_of_range_are_refused(options, said):
    with pytest.raises(InputError, match=said):
        pass_bounds(ring(), [jnp.ones(2), -jnp.ones(2)], **options)


def test_points_that_are_none_are_refused():
    with pytest.raises(InputError, match="2 or more"):
        pass_bounds(ring(), [jnp.ones(2)])
    with pytest.raises(InputError, match="NaN or infinity"):
        pass_bounds(ring(), [jnp.ones(2), jnp.array([1.0, jnp.nan])])
