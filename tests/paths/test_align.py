import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from spelled_out import barrier_of

from allroads import InputError, Network
from allroads.errors import UnknownNameError
from allroads.networks.build import NETWORKS
from allroads.paths.align import align
from allroads.paths.align.activations import activation_terms
from allroads.paths.align.matching import assignments, greedy_start, match, match_units, random_start
from allroads.paths.align.search import divergence, optimise_scales, segment_objective, straight_through_search
from allroads.paths.align.signs import best_signs
from allroads.paths.align.terms import inner_product, weight_terms
from allroads.pfmap.symmetries import Element, symmetries
from allroads.status import PathStatus


def normal(*shape, seed=0):
    return np.random.default_rng((seed, *shape)).normal(size=shape).astype(np.float32)


def built(kind, shape, outputs=3, **options):
    network = NETWORKS[kind](shape, outputs, **options)
    if options.get("vocabulary"):
        inputs = np.random.default_rng(0).integers(0, options["vocabulary"], size=(40, *shape))
    else:
        inputs = normal(40, *shape)
    return network, network.init(jax.random.key(0)), network.init(jax.random.key(1)), inputs


TRANSFORMER = {"vocabulary": 20, "d_model": 32, "heads": 4, "d_mlp": 48, "layer_norm": True, "activation": "gelu"}
PLANTED = [
    ("mlp", (8,), {"widths": (16,)}, ("weights", "activations")),
    ("mlp", (8,), {"widths": (16, 12)}, ("weights", "activations")),
    ("mlp", (8,), {"widths": (16, 16, 16)}, ("weights", "activations")),
    ("mlp", (8,), {"widths": (16, 12), "activation": "tanh"}, ("weights", "activations")),
    ("convolutional", (8, 8), {"channels": (6, 8)}, ("weights", "activations")),
    ("recurrent", (4,), {"cell": "lstm", "width": 12, "layers": 2, "vocabulary": 3}, ("weights",)),
    ("transformer", (4,), TRANSFORMER, ("weights", "activations")),
]


@pytest.mark.parametrize(("kind", "shape", "options", "methods"), PLANTED)
def test_planted_symmetries_are_undone(kind, shape, options, methods):
    network, a, _, inputs = built(kind, shape, **options)
    found = symmetries(network, a, inputs)
    b = found.act(found.random(np.random.default_rng(1)), a)
    apply = jax.jit(network.apply)  # else each of its operations is compiled alone
    for method in methods:
        result = align(network, a, b, inputs, method=method, restarts=0)
        error = jnp.abs(apply(result.params, inputs) - apply(a, inputs)).max()
        assert error <= 1e-5
        assert result.distance <= 1e-5 * np.linalg.norm(found.flatten(a)) < 0.01 * result.distance_before
        assert result.status == PathStatus.OK


@pytest.mark.parametrize("seed", range(10))
def test_planted_permutation_of_three_layers_of_64_from_random_starts_too(seed):
    network, a, _, inputs = built("mlp", (8,), widths=(64, 64, 64))
    found = symmetries(network, a, inputs[:1])
    flat = found.flatten(a)
    source, factor = found.gather(found.random(np.random.default_rng(seed), spread=0.0))
    moved = factor * flat[source]
    terms = weight_terms(found, flat, moved)
    rng = np.random.default_rng(seed)
    for start in (greedy_start(found, terms), random_start(found, rng)):
        element = match(found, terms, start, rng)
        source, factor = found.gather(element)
        np.testing.assert_allclose(factor * moved[source], flat, atol=1e-12)


def test_one_hidden_layer_is_matched_as_well_as_any_permutation_and_flip_can():
    network, a, b, inputs = built("mlp", (3,), widths=(4,), activation="tanh")
    found = symmetries(network, a, inputs)
    terms = weight_terms(found, found.flatten(a), found.flatten(b))
    (k,) = found.movable
    best = max(
        inner_product(found, terms, Element({k: np.array(order)}, {(k, 0): np.array(sign)}))
        for order in itertools.permutations(range(4))
        for sign in itertools.product((-1.0, 1.0), repeat=4)
    )
    assert inner_product(found, terms, greedy_start(found, terms)) == pytest.approx(best, rel=1e-9)


def test_heads_are_matched_as_well_as_any_exchange_of_heads_and_of_units_inside():
    def apply(p, x):
        q, k, v = (jnp.reshape(x @ p[w], (*x.shape[:2], 2, 3)) for w in "qkv")
        pattern = jnp.exp(jnp.einsum("nqhd,nkhd->nhqk", q, k))
        return jnp.einsum("nhqk,nkhd->nqhd", pattern, v).reshape(*x.shape[:2], 6) @ p["o"]

    a, b = ({w: normal(4, 6, seed=s + i) for i, w in enumerate("qkv")} | {"o": normal(6, 2, seed=s)} for s in (1, 9))
    network = Network(lambda key: a, apply)
    found = symmetries(network, a, normal(2, 5, 4))
    terms = weight_terms(found, found.flatten(a), found.flatten(b))
    (heads,) = (k for k in found.movable if not found.units[k].within)
    inner = [k for k in found.movable if k != heads]
    assert len(inner) == 2
    pairs = list(itertools.product(itertools.permutations(range(3)), repeat=2))
    best = -np.inf
    for order in itertools.permutations(range(2)):
        orders = {heads: np.array(order)}
        # the two sets of inner units add up, so each is enumerated by itself, with the best of all sixty-four flips
        total = 0.0
        for k in inner:
            near = [term for term in terms if k in term.block.units]
            total += max(
                inner_product(found, near, Element(orders | {k: np.array(pair)}, {(k, 0): np.array(sign)}))
                for pair in pairs
                for sign in itertools.product(itertools.product((-1.0, 1.0), repeat=3), repeat=2)
            )
        best = max(best, total)
    assert inner_product(found, terms, match_units(found, terms, Element(), heads)) == pytest.approx(best, rel=1e-6)


def test_flips_are_best_of_all_for_one_way_and_assignment_of_small_gains_is_exhaustive():
    parts = {(): normal(4, 4, seed=1), (0,): normal(4, 4, seed=2)}
    total, (signs,) = best_signs(parts, (4, 4), 1)
    np.testing.assert_allclose(total, parts[()] + np.abs(parts[0,]))
    np.testing.assert_array_equal(signs, np.sign(parts[0,]))
    (order,) = assignments(total[None])
    best = max(itertools.permutations(range(4)), key=lambda p: sum(total[i, p[i]] for i in range(4)))
    assert tuple(order) == best


@pytest.mark.slow
@pytest.mark.parametrize("method", ["weights", "activations", "search"])
def test_alignment_keeps_the_function_and_its_element_leads_there(method):
    network, a, b, inputs = built("mlp", (8,), widths=(16, 12))
    result = align(network, a, b, inputs, method=method, restarts=1)
    np.testing.assert_allclose(network.apply(result.params, inputs), network.apply(b, inputs), atol=2e-5)
    again = result.symmetries.act(result.element, b)
    assert all(np.array_equal(x, y) for x, y in zip(*map(jax.tree.leaves, (again, result.params)), strict=True))
    apart = result.symmetries.flatten(a) - result.symmetries.flatten(result.params)
    assert result.distance == pytest.approx(np.linalg.norm(apart))
    if method == "weights":
        assert result.distance < result.distance_before


def test_matching_only_climbs_and_restarts_keep_the_best():
    network, a, b, inputs = built("mlp", (8,), widths=(16, 16, 16))
    found = symmetries(network, a, inputs)
    terms = weight_terms(found, found.flatten(a), found.flatten(b))
    rng = np.random.default_rng(0)
    reached = []
    for start in [greedy_start(found, terms)] + [random_start(found, rng) for _ in range(5)]:
        end = match(found, terms, start, rng)
        assert inner_product(found, terms, end) >= inner_product(found, terms, start) - 1e-9
        assert inner_product(found, terms, match(found, terms, end, rng)) == pytest.approx(
            inner_product(found, terms, end)
        )
        reached.append(inner_product(found, terms, end))
    few, many = (align(network, a, b, inputs, restarts=n).distance for n in (0, 8))
    assert many <= few + 1e-9
    assert len({round(r, 6) for r in reached}) > 1, "with three layers there are several local optima"


def test_activation_terms_are_correlations():
    network, a, b, inputs = built("mlp", (8,), widths=(6,))
    found = symmetries(network, a, inputs)
    terms = activation_terms(network, found, a, b, inputs[:32])
    x = inputs[:32]
    hidden = [x @ np.asarray(p["layers"][0]["weight"]) + np.asarray(p["layers"][0]["bias"]) for p in (a, b)]
    wanted = [np.corrcoef(*(f(h).T for h in hidden))[:6, 6:] for f in (lambda h: h, lambda h: np.maximum(h, 0))]
    seen = []
    for term in terms:
        d = next(d for d, k in enumerate(term.block.units) if k >= 0)
        left, right = (np.moveaxis(v, d, -1).reshape(-1, 6) for v in (term.a, term.b))
        seen.append(left.T @ right)
    for correlation in wanted:
        assert any(np.allclose(correlation, s, atol=1e-5) for s in seen)


@pytest.mark.parametrize("loss", ["mse", "cross_entropy", "bce"])
def test_divergence_is_zero_at_home_positive_elsewhere_and_has_its_slope(loss):
    apart, f, g = divergence(loss), jnp.asarray(normal(5, 3)), jnp.asarray(normal(5, 3, seed=1))
    assert float(apart(f, f)) == pytest.approx(0.0, abs=1e-6) and float(apart(f, g)) > 0.01
    assert float(jnp.abs(jax.grad(apart)(f, f)).max()) < 1e-6
    if loss == "cross_entropy":
        p, q = jax.nn.softmax(g), jax.nn.softmax(f)
        assert float(apart(f, g)) == pytest.approx(float((p * jnp.log(p / q)).sum(-1).mean()), rel=1e-5)


@pytest.mark.slow
def test_search_goes_below_where_it_starts():
    network, a, b, inputs = built("mlp", (8,), widths=(24, 24))
    found = symmetries(network, a, inputs)
    goal, moving = found.flatten(a), found.flatten(b)
    rng, terms = np.random.default_rng(0), weight_terms(found, goal, moving)
    objective = segment_objective(network, found, a, b, inputs, "mse", None, held_out=False)
    start = match(found, terms, greedy_start(found, terms), rng)

    def point(element):
        source, factor = found.gather(element)
        return factor * moving[source]

    before = objective(point(start))[0]
    reached, element = straight_through_search(found, goal, moving, np.ones_like(goal), objective, start, rng)
    assert reached == pytest.approx(objective(point(element))[0]) and reached < 0.95 * before
    after, scales = optimise_scales(found, point(element), objective)
    scaled = found.gather(Element(scales=scales))[1] * point(element)
    assert after == pytest.approx(objective(scaled)[0]) and after < reached
    # the slope along one scale, against a difference
    base = point(start)
    _, slope = objective(base)
    key, step = next(iter(scales)), 3e-2
    factors = []
    for sign in (1, -1):
        chosen = {other: np.ones_like(s) for other, s in scales.items()}
        chosen[key][0] = np.exp(sign * step)
        factors.append(found.gather(Element(scales=chosen))[1])
    difference = (objective(factors[0] * base)[0] - objective(factors[1] * base)[0]) / (2 * step)
    powers = np.log(factors[0]) / step
    assert difference == pytest.approx(float((slope * base * powers).sum()), rel=0.05, abs=2e-5)


def test_barrier_with_alignment_of_a_planted_permutation_is_zero():
    network, a, _, inputs = built("mlp", (8,), widths=(16, 12))
    found = symmetries(network, a, inputs)
    b = found.act(found.random(np.random.default_rng(1)), a)
    labels = np.asarray(network.apply(a, inputs)).argmax(1)
    plain = barrier_of(network, a, b, "cross_entropy", inputs, labels)
    assert plain.height > 0.1
    for method in ("weights", "activations"):
        aligned = barrier_of(network, a, b, "cross_entropy", inputs, labels, align=method)
        assert aligned.height < 1e-5
        assert aligned.losses[-1] == pytest.approx(plain.losses[-1], rel=1e-4)


def test_activations_are_seen_where_the_first_input_is_only_looked_up():
    def apply(p, x):
        seen = x["mask"][jnp.arange(len(x["mask"])), 0]
        return (jnp.tanh(x["numbers"] @ p["w"]) * seen[:, None]) @ p["out"]

    network = Network(lambda key: a, apply)
    a, order = {"w": normal(3, 6), "out": normal(6, 2)}, np.array([3, 0, 5, 4, 2, 1])
    inputs = {"mask": np.ones((8, 2), np.float32), "numbers": normal(8, 3)}
    b = {"w": a["w"][:, order], "out": a["out"][order]}
    assert align(network, a, b, inputs, method="activations").distance < 1e-5


def test_a_network_without_symmetries_gives_the_point_back():
    line = Network(lambda key: {"w": jnp.ones((3, 2))}, lambda p, x: x @ p["w"])
    result = align(line, {"w": normal(3, 2)}, {"w": normal(3, 2, seed=1)}, normal(4, 3))
    assert result.status == PathStatus.NOT_APPLICABLE and result.distance == result.distance_before
    np.testing.assert_array_equal(result.params["w"], normal(3, 2, seed=1))


def test_bad_input_is_named():
    network, a, b, inputs = built("mlp", (8,), widths=(16,))
    other = NETWORKS["mlp"]((8,), 3, widths=(17,)).init(jax.random.key(0))
    with pytest.raises(InputError, match=r"layers/0/bias.*\(17,\).*\(16,\)"):
        align(network, a, other, inputs)
    with pytest.raises(UnknownNameError, match="did you mean 'weights'"):
        align(network, a, b, inputs, method="weihgts")
    with pytest.raises(UnknownNameError, match="alignment method"):
        barrier_of(network, a, b, "mse", inputs, np.zeros((40, 3)), align="magic")
    with pytest.raises(InputError, match="40 inputs and 10 labels"):
        align(network, a, b, inputs, method="search", loss="cross_entropy", labels=np.zeros(10, int))
    with pytest.raises(InputError, match="restarts: expected a whole number of 0 or more"):
        align(network, a, b, inputs, restarts=-1)
    with pytest.raises(InputError, match="seed: expected a whole number of 0 or more"):
        align(network, a, b, inputs, seed=-1)
    broken = jax.tree.map(lambda x: x.at[0].set(jnp.inf), b)
    with pytest.raises(InputError, match="NaN or infinity"):
        align(network, a, broken, inputs)
