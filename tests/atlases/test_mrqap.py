import itertools

import numpy as np
import pytest

from allroads import AtlasStatus, InputError, MeasurementError, mrqap
from allroads.atlases.hypotheses.inversion import confidence_interval, detectable_slope


def apart(places):
    return abs(np.subtract.outer(places, places))


def planted(rng, nodes=14, slope=0.3, missing=0.2):
    x, z = apart(rng.normal(size=nodes)), apart(rng.normal(size=nodes))
    u = rng.normal(size=nodes)
    y = slope * x + z + u[None] + rng.normal(size=(nodes, nodes))
    y[rng.random((nodes, nodes)) < missing] = np.nan
    return y, x, z, u


def spelled_out(y, x, z, u, effects, orders):
    """The test written out pair by pair with a general solver."""
    nodes = len(y)

    def columns(pairs):
        rows, cols = pairs
        found = [np.ones(len(rows)), z[rows, cols], u[rows], u[cols]]
        single = [*np.eye(nodes)[rows].T, *np.eye(nodes)[cols].T] if effects else []
        return np.stack([*found, *single], 1)

    every = np.nonzero(~np.eye(nodes, dtype=bool))
    used = np.nonzero(np.isfinite(y) & ~np.eye(nodes, dtype=bool))
    rest = np.zeros((nodes, nodes))
    rest[every] = x[every] - columns(every) @ np.linalg.lstsq(columns(every), x[every], rcond=None)[0]

    def fitted(matrix, response):
        design = np.hstack([matrix[used][:, None], columns(used)])
        weights, _, rank, _ = np.linalg.lstsq(design, response, rcond=None)
        left = response - design @ weights
        spread = np.linalg.pinv(design.T @ design)[0, 0]
        return weights[0], weights[0] / np.sqrt(left @ left / (len(left) - rank) * spread)

    def p_value(beta):
        response = y[used] - beta * x[used]
        own = abs(fitted(rest, response)[1])
        far = [abs(fitted(rest[np.ix_(o, o)], response)[1]) >= own * (1 - 1e-9) for o in orders]
        return (1 + sum(far)) / (1 + len(far))

    return fitted(x, y[used]), p_value


@pytest.mark.parametrize("effects", [False, True])
def test_slope_t_p_and_interval_are_those_of_the_test_written_out(effects):
    y, x, z, u = planted(np.random.default_rng(3))
    found = mrqap(y, x, {"z": z}, nodes={"u": u}, node_effects=effects, permutations=99, seed=5)
    rng = np.random.default_rng(5)
    orders = rng.permuted(np.tile(np.arange(14), (99, 1)), axis=1)
    (slope, t), p_value = spelled_out(y, x, z, u, effects, orders)
    assert found.value == pytest.approx(slope, rel=1e-8) and found.stats["t"] == pytest.approx(t, rel=1e-8)
    assert found.p == p_value(0.0) and found.pairs == np.isfinite(y[~np.eye(14, dtype=bool)]).sum()
    inside, step = 1e-6, found.high - found.low
    for end, way in ((found.low, 1), (found.high, -1)):  # 5 % of 99 + 1 is whole: kept at p > 0.05, or just at it
        assert p_value(end + way * inside * step) > 0.05 >= p_value(end - way * inside * step)


def test_a_slope_without_noise_is_found_exactly():
    rng = np.random.default_rng(0)
    x, z = apart(rng.normal(size=10)), apart(rng.normal(size=10))
    found = mrqap(-2 * x + 3 * z + 1, x, {"z": z}, permutations=199)
    assert found.value == pytest.approx(-2) and found.low == pytest.approx(-2) and found.high == pytest.approx(-2)
    assert found.p == 1 / 200 and found.correlation == pytest.approx(-1) and found.detectable < 1e-6


def test_all_relabellings_of_five_nodes_give_the_exact_p_value():
    """Without other columns the test is Mantel's, whose null can be gone through: 120 orders."""
    rng = np.random.default_rng(8)
    x, y = apart(rng.normal(size=5)), apart(rng.normal(size=5))
    off = ~np.eye(5, dtype=bool)
    orders = [list(o) for o in itertools.permutations(range(5))]
    r = [np.corrcoef(x[np.ix_(o, o)][off], y[off])[0, 1] for o in orders]
    exact = np.mean(np.abs(r) >= abs(r[0]) - 1e-9)
    found = mrqap(y, x, permutations=20_000)
    assert abs(found.p - exact) < 5 * np.sqrt(exact * (1 - exact) / 20_000) + 1 / 20_000


def test_confounded_matrices_alarm_mantel_always_and_the_regression_at_its_level(seed):
    """Program distance and response share the places of the functions, and nothing else."""
    rng, worlds = np.random.default_rng(100 + seed), 100
    mantel = alarms = held = 0
    for world in range(worlds):
        z = apart(rng.normal(size=20))
        x = z + apart(rng.normal(size=20))
        y = 2 * z + rng.normal(size=(20, 20)) + rng.normal(size=(20, 1))
        mantel += mrqap(y, x, permutations=99, seed=world).p <= 0.05
        found = mrqap(y + x, x, {"z": z}, permutations=99, seed=world)
        held += found.low <= 1 <= found.high
        alarms += mrqap(y, x, {"z": z}, permutations=99, seed=world).p <= 0.05
    assert mantel > 80
    assert alarms <= 15 and held >= 85  # of binomial(100, 0.05): at most 15 with 99.99 %


def test_the_detectable_slope_is_found_with_the_chance_that_it_is_given_for(seed):
    rng, found = np.random.default_rng(200 + seed), 0
    x, z = apart(rng.normal(size=20)), apart(rng.normal(size=20))
    truth = mrqap(z + rng.normal(size=(20, 20)), x, {"z": z}, permutations=399).detectable
    for world in range(150):
        y = truth * x + z + rng.normal(size=(20, 20))
        found += mrqap(y, x, {"z": z}, permutations=99, seed=world).p <= 0.05
    assert 0.6 < found / 150 < 0.95  # 0.8 ± 3.3 deviations of 150 draws and of the one noise that gave the slope


def test_node_effects_hold_fixed_every_quantity_of_single_nodes():
    rng = np.random.default_rng(1)
    x, u, v = apart(rng.normal(size=16)), rng.normal(size=16), rng.normal(size=16)
    y = 0.5 * x + 9 * u[:, None] - 7 * v[None] + 0.1 * rng.normal(size=(16, 16))
    plain, within = mrqap(y, x, permutations=99), mrqap(y, x, node_effects=True, permutations=99)
    assert within.low < 0.5 < within.high and within.high - within.low < 0.2 < plain.high - plain.low
    again = mrqap(y + 3 * u[None], x, nodes={"u": u}, node_effects=True, permutations=99)
    assert again.value == pytest.approx(within.value) and again.p == within.p


def test_missing_nodes_leave_the_others_as_they_are():
    y, x, z, _ = planted(np.random.default_rng(4), missing=0)
    wide = np.full((17, 17), np.nan)
    wide[:14, :14] = y
    more = [np.pad(m, (0, 3), constant_values=5.0) for m in (x, z)]
    found, same = mrqap(wide, more[0], {"z": more[1]}, permutations=99), mrqap(y, x, {"z": z}, permutations=99)
    assert found.nodes == 14 and (found.value, found.p) == (same.value, same.p)


def test_what_cannot_be_tested_says_so():
    rng = np.random.default_rng(2)
    x, z = apart(rng.normal(size=9)), apart(rng.normal(size=9))
    y = rng.normal(size=(9, 9))
    assert mrqap(y, 2 * z - 1, {"z": z}).status == AtlasStatus.COLLINEAR
    assert mrqap(y, np.ones((9, 9))).status == AtlasStatus.COLLINEAR
    assert mrqap(np.ones((9, 9)), x).status == AtlasStatus.CONSTANT
    assert mrqap(3 * z, x, {"z": z}).status == AtlasStatus.CONSTANT
    few = np.full((9, 9), np.nan)
    few[0, 1:4] = 1, 2, 3
    found = mrqap(few, x)
    assert found.status == AtlasStatus.TOO_FEW_PAIRS and found.pairs == 3 and "3 pairs" in repr(found)
    assert np.isnan(found.value) and found.to_dict()["value"] is None
    assert mrqap(y, x, {str(k): rng.normal(size=(9, 9)) for k in range(71)}).status == AtlasStatus.TOO_FEW_PAIRS
    with pytest.raises(MeasurementError, match="too few pairs"):
        mrqap(few, x, throw=True)


@pytest.mark.parametrize(
    ("response", "predictor", "options", "message"),
    [
        (np.ones((3, 4)), np.ones((3, 3)), {}, r"response: expected a square matrix"),
        (np.eye(5), np.ones((4, 4)), {}, r"predictor: expected a square matrix \[5, 5\]"),
        (np.eye(5), np.full((5, 5), np.inf), {}, r"predictor: entry \[0, 1\] is inf.*another language"),
        (np.full((5, 5), np.inf), np.eye(5), {}, r"response: entry \[0, 1\] is inf"),
        ("text", np.eye(5), {}, "response: expected a matrix of numbers"),
        (np.eye(5), np.eye(5), {"nodes": {"f": [1, 2]}}, "f: expected 5 finite numbers"),
        (np.eye(5), np.eye(5), {"nodes": {"f": "abcde"}}, "f: expected numbers, one for each node"),
        (np.eye(5), np.eye(5), {"given": {"d": np.eye(4)}}, "d: expected a square matrix"),
        (np.eye(5), np.eye(5), {"permutations": 3}, "permutations: expected a whole number of 19 or more"),
        (np.eye(5), np.eye(5), {"level": 0}, "level"),
        (np.eye(5), np.eye(5), {"power": 1}, "power"),
    ],
)
def test_bad_input_is_named(response, predictor, options, message):
    with pytest.raises(InputError, match=message):
        mrqap(response, predictor, **options)


def test_too_few_relabellings_leave_the_interval_open():
    assert confidence_interval(1.0, 1.0, np.zeros(9), np.zeros(9), 0.05) == (-np.inf, np.inf)


def test_a_relabelling_that_repeats_the_predictor_bounds_nothing():
    """Where every relabelling gives the same matrix, no slope is ever found."""
    assert detectable_slope(0.0, 1.0, np.linspace(-1, 1, 99), np.ones(99), 0.05, 0.8) == np.inf
