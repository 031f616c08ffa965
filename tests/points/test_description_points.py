"""Sizes of a rounded, compressed and factorised point, against closed forms and slow oracles in NumPy."""

import contextlib
import itertools
import lzma
import math
import zlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flat_calls import compressed_length, factorised_size, network_complexity, quantised_size

from allroads import Network, Problem, float64
from allroads.errors import InputError, UnknownNameError
from allroads.networks.mlp import mlp
from allroads.points.description import NETWORK_MEASURES
from allroads.points.description.compressed_length import entropy_bits
from allroads.points.description.grids import WIDTHS, codes, decoded, per_row_and_column
from allroads.status import DescriptionStatus

MEASURES = {"quantised": quantised_size, "compressed": compressed_length, "factorised": factorised_size}
RNG = np.random.default_rng(7)
INPUTS = RNG.normal(size=(20, 4))
NETWORK = mlp((4,), 2, widths=(6,))


def drawn(seed, biases=0.3):
    rng = np.random.default_rng(seed)
    shapes = ((4, 6), (6, 2))
    return {"layers": [{"weight": rng.normal(size=s), "bias": biases * rng.normal(size=s[1])} for s in shapes]}


def forward(point, inputs):
    """The network of this file in NumPy."""
    first, last = point["layers"]
    hidden = np.maximum(inputs @ first["weight"] + first["bias"], 0)
    return hidden @ last["weight"] + last["bias"]


def squared_error(point, labels):
    return float(((forward(point, INPUTS) - labels) ** 2).mean(axis=1).mean())


def slow_round(w, b, unit):
    """Nearest of all levels of the grid, number by number."""
    top = 2 ** (b - 1) - 1 if b else 0
    levels = [unit * k / top for k in range(-top, top + 1)] if top else [0.0]
    return min(levels, key=lambda level: abs(level - w))


def slow_units(leaf, scales):
    if scales == "tensor" or leaf.ndim == 1:
        return np.full(leaf.shape, np.abs(leaf).max()), 1
    return np.broadcast_to([np.abs(leaf[:, j]).max() for j in range(leaf.shape[1])], leaf.shape), leaf.shape[1]


def slow_size(point, labels, delta, scales):
    """(bits, width, losses): every width, every number on its own."""
    leaves, tree = jax.tree.flatten(point)
    units, counts = zip(*(slow_units(leaf, scales) for leaf in leaves), strict=True)
    numbers = sum(leaf.size for leaf in leaves)
    sizes, losses = {None: 64 * numbers}, []
    for b in [0, *range(2, 9)]:
        rounded = [
            np.array([slow_round(w, b, u) for w, u in zip(leaf.ravel(), unit.ravel(), strict=True)]).reshape(leaf.shape)
            for leaf, unit in zip(leaves, units, strict=True)
        ]
        losses.append(squared_error(jax.tree.unflatten(tree, rounded), labels))
        if losses[-1] <= squared_error(point, labels) + delta:
            sizes[b] = numbers * b + (64 * sum(counts) if b else 0)
    width = min(sizes, key=lambda b: sizes[b])
    return sizes[width], width, losses


# --- quantised size


CASES = [(0, 0.01), (2, 0.1), (1, 0.3), (5, 3.0), (3, 100.0)]


@pytest.mark.parametrize("scales", ["tensor", "channel"])
@pytest.mark.parametrize(("seed", "delta"), CASES)
def test_the_width_and_size_of_an_exhaustive_search(seed, delta, scales):
    point = drawn(seed)
    labels = forward(drawn(seed), INPUTS) + 0.1
    with float64():
        found = quantised_size(NETWORK, point, "mse", INPUTS, labels, delta=delta, scales=scales, draws=0)
    bits, width, losses = slow_size(point, labels, delta, scales)
    assert (found.value, found.stats["width"]) == (bits, width)
    assert found.status == DescriptionStatus.OK and found.error is None
    tried = [found.stats["losses"][b] for b in [0, *range(2, 9)]]
    np.testing.assert_allclose(tried, losses, rtol=1e-9, atol=1e-12)


def test_the_cases_above_have_different_widths():
    widths = [slow_size(drawn(s), forward(drawn(s), INPUTS) + 0.1, delta, "tensor")[1] for s, delta in CASES]
    assert widths == [6, 4, 3, 2, 0]


@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize("step", [0.25, 0.1, 1e-6, 3e5])
def test_a_network_on_a_grid_of_three_bits_needs_three(step, double):
    rng = np.random.default_rng(5)
    point = drawn(0)
    integers = jax.tree.map(lambda leaf: rng.integers(-3, 4, leaf.shape), point)
    for leaf in jax.tree.leaves(integers):
        leaf.flat[0] = 3
    on_grid = jax.tree.map(lambda leaf: np.float64(leaf) * step, integers)
    labels = forward(on_grid, INPUTS) + step**2 * rng.normal(size=(20, 2))
    with float64() if double else contextlib.nullcontext():
        kind = jnp.float64 if double else jnp.float32
        given = jax.tree.map(lambda leaf: jnp.asarray(leaf, kind), on_grid)
        found = quantised_size(NETWORK, given, "mse", INPUTS, labels, delta=0)
    numbers, word = 4 * 6 + 6 + 6 * 2 + 2, 64 if double else 32
    assert found.stats["width"] <= 3
    assert found.value <= 3 * numbers + 4 * word
    assert found.stats["rounded_loss"] == pytest.approx(found.stats["loss"], rel=1e-5)


def test_widths_that_keep_the_loss_by_luck_count_and_those_between_do_not():
    """w = (1, 0.4): three levels give (1, 0); seven (1, 1/3); fifteen (1, 3/7): only 3/7 is within 0.001."""
    line = Network(lambda key: jnp.zeros(2), lambda w, x: x * w)
    w = jnp.array([1.0, 0.4])
    found = quantised_size(line, w, "mse", jnp.ones((1, 2)), w[None], delta=0.001, draws=0)
    assert found.stats["width"] == 4 and found.value == 2 * 4 + 32
    for b, level in {2: 0, 3: 1 / 3, 4: 3 / 7}.items():
        assert found.stats["losses"][b] == pytest.approx((level - 0.4) ** 2 / 2, rel=1e-5)


def test_a_constant_network_takes_no_bits():
    constant = Network(lambda key: jnp.ones(3), lambda w, x: jnp.zeros((len(x), 1)) + 0 * w.sum())
    for name, measure in NETWORK_MEASURES.items():
        found = measure(Problem(constant, "mse", INPUTS, np.ones(20)), jnp.array([1.0, -0.3, 0.2]))
        vectors_are_kept = name in ("factorised_size", "quantised_size_row_column")
        assert found.value == (3 * 32 if vectors_are_kept else 0) and found.status == DescriptionStatus.OK


def test_where_no_width_serves_the_point_is_as_it_is_stored():
    line = Network(lambda key: jnp.zeros(40), lambda w, x: x * w * jnp.asarray([1.0] + [1e6] * 39))
    w = jnp.asarray(np.concatenate([[1.0], 1e-6 * RNG.normal(size=39)]), jnp.float32)
    data = jnp.ones((1, 40)), line.apply(w, jnp.ones((1, 40)))
    for measure in (quantised_size, compressed_length):
        found = measure(line, w, "mse", *data, delta=1e-6)
        assert found.value == 40 * 32 and found.stats["width"] is None and found.error == 0


def test_stochastic_rounding_is_unbiased_and_its_spread_is_the_error(seed):
    leaf = jnp.array([0.31, -0.77, 1.0])
    uniform = jax.random.uniform(jax.random.key(seed), (40_000, 3))
    drawn_codes = np.asarray(codes(leaf, 1.0, 4, uniform))
    assert set(np.unique(drawn_codes[:, 0])) == {2, 3} and set(np.unique(drawn_codes[:, 2])) == {7}
    position = 7 * np.asarray(leaf, np.float64)
    deviation = np.sqrt((position % 1) * (1 - position % 1) / len(uniform))
    assert (abs(drawn_codes.mean(axis=0) - position) <= 5 * deviation + 1e-5).all()

    point, options = drawn(0), {"draws": 24, "delta": 0.1, "seed": seed}
    labels = forward(point, INPUTS)
    found = quantised_size(NETWORK, jax.tree.map(jnp.float32, point), "mse", INPUTS, labels, **options)
    sizes = found.stats["stochastic_bits"]
    assert len(sizes) == 24 and len(set(sizes)) > 1
    assert found.error == pytest.approx(math.sqrt(sum((s - found.value) ** 2 for s in sizes) / 24))
    again = quantised_size(NETWORK, jax.tree.map(jnp.float32, point), "mse", INPUTS, labels, **options)
    assert again.stats["stochastic_bits"] == sizes


def test_codes_return_to_the_nearest_level():
    leaf = jnp.asarray(RNG.uniform(-2, 2, 50), jnp.float32)
    for b in (2, 3, 5):
        near = decoded(codes(leaf, 2.0, b, 0.5), 2.0, b)
        expected = [slow_round(float(w), b, 2.0) for w in leaf]
        np.testing.assert_allclose(near, expected, atol=1e-6)
    for b in WIDTHS[1:]:
        assert float(codes(jnp.array([-2.0]), 2.0, b, 0.5)[0]) == -(2 ** (b - 1) - 1)


def test_balanced_matrices_have_equal_rows_and_columns():
    matrix = RNG.normal(size=(5, 7))
    grid = per_row_and_column(matrix)
    squares = (matrix / grid.unit) ** 2
    np.testing.assert_allclose(squares.mean(axis=0), squares.mean(), rtol=1e-3)
    np.testing.assert_allclose(squares.mean(axis=1), squares.mean(), rtol=1e-3)
    assert np.abs(matrix / grid.unit).max() == pytest.approx(1) and grid.scales == 12


def with_zeros(pattern):
    matrix = np.random.default_rng(8).normal(size=(5, 7))
    if pattern == "half":
        matrix[np.random.default_rng(9).random((5, 7)) < 0.5] = 0
    elif pattern == "one row":
        matrix[1:] = 0
    elif pattern == "arrow":  # no scales make its rows and columns equal
        matrix[1:, 1:] = 0
    return matrix


@pytest.mark.parametrize("pattern", ["none", "half", "one row", "arrow"])
def test_what_scales_of_rows_and_columns_leave_forgets_them(pattern):
    rng, matrix = np.random.default_rng(4), with_zeros(pattern)
    rows, columns = 10.0 ** rng.uniform(-4, 4, 5), 10.0 ** rng.uniform(-4, 4, 7)
    moved = rows[:, None] * matrix * columns
    left = matrix / per_row_and_column(matrix).unit
    np.testing.assert_allclose(moved / per_row_and_column(moved).unit, left, rtol=1e-8)
    assert np.abs(left).max() == pytest.approx(1)


def test_a_matrix_of_zeros_has_no_unit():
    assert per_row_and_column(np.zeros((2, 3))).unit.max() == 0


# --- compressed length


def test_entropy_of_known_shares():
    """Shares ½, ¼, ⅛, ⅛ have 1.75 bits."""
    assert entropy_bits(np.repeat([0, 1, 2, 3], [32, 16, 8, 8])) == 64 * 1.75
    p = 0.11
    expected = 100 * -(p * math.log2(p) + (1 - p) * math.log2(1 - p))
    assert entropy_bits(np.repeat([4, -4], [11, 89])) == pytest.approx(expected)


@pytest.mark.parametrize("coder", ["entropy", "zlib", "lzma"])
@pytest.mark.parametrize("zeros", [0.0, 0.95])
def test_lengths_are_those_of_the_codes(coder, zeros):
    rng = np.random.default_rng(11)
    kept = rng.random((60, 9)) >= zeros
    integers = {"a": rng.integers(-3, 4, (60, 9)) * kept, "b": rng.choice([0, 0, 0, 1, 3], 40)}
    for leaf in integers.values():
        leaf.flat[0] = 3
    point = {"a": jnp.float32(integers["a"]) / 8, "b": jnp.float32(integers["b"]) * 2}
    both = Network(lambda key: point, lambda p, x: jnp.concatenate([p["a"].ravel(), p["b"]])[None] * x)
    labels = both.apply(point, jnp.ones((1, 1)))
    found = compressed_length(both, point, "mse", np.ones((1, 1)), labels, delta=0, coder=coder, draws=2)
    text = b"".join(integers[name].astype(np.int8).tobytes() for name in "ab")
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME}]
    expected = {
        "zlib": min(8 * len(zlib.compress(text, 9)), 3 * len(text)),
        "lzma": min(8 * len(lzma.compress(text, lzma.FORMAT_RAW, filters=filters)), 3 * len(text)),
        "entropy": sum(
            -sum(n * math.log2(n / leaf.size) for n in np.unique(leaf, return_counts=True)[1])
            for leaf in integers.values()
        ),
    }
    assert found.stats["width"] == 3 and found.stats["overhead"] == 64
    assert (expected["lzma"] == 3 * len(text)) == (zeros == 0)  # both cases are met
    assert found.value == pytest.approx(expected[coder] + 64, abs=1e-9)
    assert [found.stats[name] for name in expected] == pytest.approx([v + 64 for v in expected.values()])


def test_codes_of_more_than_eight_bits_are_two_bytes_each():
    line = Network(lambda key: jnp.zeros(500), lambda w, x: x * w)
    w = jnp.asarray(np.random.default_rng(2).uniform(-1, 1, 500), jnp.float32)
    found = compressed_length(line, w, "mse", jnp.ones((1, 500)), w[None], delta=1e-8, coder="zlib")
    width = found.stats["width"]
    assert 8 < width < 16
    assert found.stats["entropy"] <= found.value <= width * 500 + 32


# --- factorised size


def test_a_product_of_rank_two_costs_its_factors():
    rng = np.random.default_rng(3)
    weight = rng.normal(size=(9, 2)) @ rng.normal(size=(2, 8))
    linear = Network(lambda key: None, lambda p, x: x @ p["w"] + p["b"])
    point = {"w": weight, "b": rng.normal(size=8)}
    with float64():
        found = factorised_size(linear, point, "mse", np.eye(9), weight, delta=0)
    assert found.stats["numbers"] == 2 * (9 + 8) + 8 and found.stats["ranks"] == [2]
    assert found.value == 64 * found.stats["numbers"] and found.error is None


@pytest.mark.parametrize(("seed", "delta"), [(0, 0.01), (1, 0.5), (2, 2.0), (3, 1000.0)])
def test_the_threshold_of_an_exhaustive_search(seed, delta):
    rng = np.random.default_rng(seed)
    shapes = [(12, 10), (10, 11), (11, 3)]
    point = [rng.normal(size=s) * 0.6 ** np.arange(s[1]) for s in shapes]
    inputs = rng.normal(size=(15, 12))
    labels = inputs @ point[0] @ point[1] @ point[2] + 0.1
    deep = Network(lambda key: None, lambda p, x: x @ p[0] @ p[1] @ p[2])
    with float64():
        found = factorised_size(deep, point, "mse", inputs, labels, delta=delta)

    best = None
    for ranks in itertools.product(range(11), range(11), range(4)):
        factors = [np.linalg.svd(w) for w in point]
        kept = min((f[1][k - 1] / f[1][0] for f, k in zip(factors, ranks, strict=True) if k), default=math.inf)
        left = max((f[1][k] / f[1][0] for f, k in zip(factors, ranks, strict=True) if k < len(f[1])), default=0)
        if left >= kept:
            continue  # no threshold gives these ranks
        cut, numbers = [], 0
        for w, (u, s, v), k in zip(point, factors, ranks, strict=True):
            cheaper = k * sum(w.shape) < w.size
            cut.append(u[:, :k] * s[:k] @ v[:k] if cheaper else w)
            numbers += k * sum(w.shape) if cheaper else w.size
        loss = ((inputs @ cut[0] @ cut[1] @ cut[2] - labels) ** 2).mean()
        if loss <= 0.01 + delta and (best is None or numbers < best):
            best = numbers
    assert found.stats["numbers"] == best


# --- together


def test_measures_are_kept_apart_and_others_may_join():
    line = Network(lambda key: jnp.zeros(4), lambda w, x: (x @ w)[:, None])
    point = jnp.array([0.3, -1.0, 0.2, 0.0])
    data = INPUTS.astype(np.float32), (INPUTS[:, 0] > 0).astype(int)
    found = network_complexity(
        line,
        point,
        "bce",
        *data,
        measures={
            "quantised_size": NETWORK_MEASURES["quantised_size"],
            "inputs": lambda problem, params: problem.inputs.shape,
        },
        training={"explorer": "gd", "steps": 2, "blocks": 2, "members": 1, "orders": 1},
    )
    assert list(found) == ["quantised_size", "inputs", "prequential_length"]
    assert found["inputs"] == (20, 4)
    assert found["quantised_size"] == quantised_size(line, point, "bce", *data)
    conventions = {found[name].stats["convention"] for name in ("quantised_size", "prequential_length")}
    assert len(conventions) == 2
    with pytest.raises(InputError, match="steps"):
        network_complexity(line, point, "bce", *data, measures={}, training={})
    with pytest.raises(InputError, match="'llc'"):
        network_complexity(line, point, "bce", *data, measures={"llc": 3.0})


# --- bad input

LINE = Network(lambda key: jnp.zeros(2), lambda w, x: x * w)
ONE = np.ones((1, 2), np.float32)


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
@pytest.mark.parametrize(
    ("params", "inputs", "labels", "options", "message"),
    [
        (jnp.array([1, 2]), ONE, ONE, {}, "floating-point"),
        (jnp.array([1.0, jnp.nan]), ONE, ONE, {}, "NaN"),
        (jnp.ones(2), np.ones((0, 2)), np.ones((0, 2)), {}, "at least one example"),
        (jnp.ones(2), ONE, np.ones((2, 2)), {}, "one label per input"),
        (jnp.ones(2), ONE, np.ones((1, 3)), {}, "one number per output"),
        (jnp.ones(2), ONE * np.inf, ONE, {}, "infinite"),
        (jnp.ones(2), ONE, ONE, {"delta": -0.1}, "delta"),
        (jnp.ones(2), ONE, ONE, {"delta": math.nan}, "delta"),
    ],
)
def test_bad_input_is_named(measure, params, inputs, labels, options, message):
    with pytest.raises(InputError, match=message):
        measure(LINE, params, "mse", inputs, labels, **options)


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
def test_a_loss_that_is_not_finite_has_a_status(measure):
    root = Network(lambda key: jnp.zeros(2), lambda w, x: jnp.log(w * x))
    for point in (jnp.array([-1.0, 1.0]), jnp.zeros(2)):
        found = measure(root, point, "mse", ONE, ONE)
        assert (
            found.status == DescriptionStatus.DIVERGED and math.isnan(found) and not math.isfinite(found.stats["loss"])
        )


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
def test_a_loss_of_one_number_is_refused(measure):
    with pytest.raises(InputError, match="one number per example"):
        measure(LINE, jnp.ones(2), lambda outputs, labels: outputs.mean(), ONE, ONE)


def test_unknown_names_and_counts():
    with pytest.raises(UnknownNameError, match="'tensor'"):
        quantised_size(LINE, jnp.ones(2), "mse", ONE, ONE, scales="tensr")
    with pytest.raises(UnknownNameError, match="'zlib'"):
        compressed_length(LINE, jnp.ones(2), "mse", ONE, ONE, coder="zip")
    with pytest.raises(InputError, match="draws"):
        quantised_size(LINE, jnp.ones(2), "mse", ONE, ONE, draws=-1)
    with pytest.raises(UnknownNameError, match="'mse'"):
        quantised_size(LINE, jnp.ones(2), "msse", ONE, ONE)
