"""The criterion of second order, and what attribution refuses."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from attribution_tables import runs_of, table_of

from allroads import AttributionOptions, InputError, MeasurementError, SecondOrder, attribute
from allroads.errors import UnknownNameError

FEW = AttributionOptions(resamples=199)
CRITERION = SecondOrder(factor="a", reference="b", ratio=0.1)


def planted(a, b, both=0.0, shape=(2, 2, 2)):
    """Cell means with these variances of a, b and their interaction."""
    signs = 2.0 * np.indices(shape)[:2] - 1
    return np.sqrt(a) * signs[0] + np.sqrt(b) * signs[1] + np.sqrt(both) * signs[0] * signs[1]


@pytest.mark.parametrize(
    ("a", "both", "seeds", "verdict"),
    [(0.02, 0.0, 60, "yes"), (0.3, 0.0, 60, "no"), (0.0, 0.3, 60, "no"), (0.1, 0.0, 60, "undecided")],
)
def test_verdicts_on_planted_variances(a, both, seeds, verdict):
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(2, 2, 2, seeds))
    noise -= noise.mean(axis=-1, keepdims=True)  # the cell means are those planted
    y = planted(a, 1.0, both)[..., None] + noise
    table = runs_of((2, 2, 2), seeds) | {"y": y.ravel()}
    found = CRITERION.evaluate(table, "y", ["a", "b", "c"], FEW)
    assert found.verdict == verdict and found.low <= found.value <= found.high
    assert found.factor_share == pytest.approx((a + both) / (2 + a + both), abs=0.02)
    assert found.reference_share == pytest.approx(1 / (2 + a + both), abs=0.02)
    assert found.value == pytest.approx(found.factor_share - 0.1 * found.reference_share)
    assert found.table["verdict"].to_list() == [verdict] * 2 and len(found.flips) == 0


def test_at_the_boundary_both_answers_are_rare():
    wrong = {"yes": 0, "no": 0, "undecided": 0}
    for index in range(100):
        table = table_of(planted(0.1, 1.0), 10, np.random.default_rng([1, index]))
        wrong[
            CRITERION.evaluate(table, "y", ["a", "b", "c"], AttributionOptions(resamples=99), within=False).verdict
        ] += 1
    assert wrong["yes"] <= 8 and wrong["no"] <= 8, wrong


def test_the_interval_holds_the_truth_where_the_factor_does_nothing():
    """ω² of the reference is ½, so that the truth is −.05; at 95 % fewer than 33 of 40 come once in 1,000 times."""
    held = 0
    for index in range(40):
        table = table_of(planted(0.0, 1.0, shape=(2, 2)), 20, np.random.default_rng([7, index]))
        found = CRITERION.evaluate(table, "y", ["a", "b"], FEW, within=False)
        held += found.low <= -0.05 <= found.high
    assert held >= 33


def test_levels_at_which_the_verdict_flips_are_named():
    rng = np.random.default_rng(2)
    means = np.concatenate([planted(0.0, 1.0, shape=(2, 2, 3)), planted(1.6, 1.0, shape=(2, 2, 1))], axis=2)
    table = table_of(means, 40, rng)
    table["c"] = np.array(["xor", "and", "maj", "parity"])[table["c"]]
    found = SecondOrder("a", "b", ratio=0.8).evaluate(table, "y", ["a", "b", "c"], FEW)
    assert found.verdict == "yes" and found.flips["level"].to_list() == ["parity"]
    assert found.flips["factor"].to_list() == ["c"] and found.flips["low"][0] > 0
    assert repr(found).startswith("Judgement(yes: ")


def test_a_reference_without_effect_decides_nothing_for_it():
    table = table_of(np.zeros((2, 2)), 30, np.random.default_rng(3))
    assert CRITERION.evaluate(table, "y", ["a", "b"], FEW).verdict == "undecided"
    constant = CRITERION.evaluate(table | {"y": np.zeros(120)}, "y", ["a", "b"], FEW)
    assert constant.verdict == "undecided" and constant.status == "constant" and constant.error is None


def test_functions_and_labels_are_judged_too():
    table = runs_of((2, 2), 30)
    bits = np.random.default_rng(4).random((120, 8)) < 0.2 + 0.6 * table["b"][:, None]
    labels = [f"f{row[0]:d}" for row in bits]
    for response in (bits, "f"):
        assert CRITERION.evaluate(table | {"f": labels}, response, ["a", "b"], FEW).verdict == "yes"


def test_a_criterion_is_committed_and_read_back(tmp_path):
    path = tmp_path / "second_order.toml"
    criterion = SecondOrder(factor='the "optimiser"', reference="map", ratio=0.25, level=0.9)
    criterion.write(path)
    criterion.write(path)  # the same again changes nothing
    assert SecondOrder.read(path) == criterion
    with pytest.raises(InputError, match="a criterion is not changed"):
        CRITERION.write(path)
    assert SecondOrder.read(path) == criterion
    assert SecondOrder.from_toml('[second_order]\nfactor = "a"\nreference = "b"\n[other]\nx = 1\n') == CRITERION


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("factor =", "not TOML"),
        ("x = 1", r"expected a table \[second_order\]"),
        ('[second_order]\nfactor = "a"', "lacks reference"),
        ('[second_order]\nfactor = "a"\nreference = "b"\nratoi = 1', "did you mean 'ratio'"),
        ('[second_order]\nfactor = "a"\nreference = "a"', "expected another factor"),
        ('[second_order]\nfactor = "a"\nreference = "b"\nratio = 0', "above 0"),
        ('[second_order]\nfactor = 3\nreference = "b"', "expected the name of a factor"),
    ],
)
def test_a_criterion_that_is_none_is_refused(text, message):
    with pytest.raises(InputError, match=message):
        SecondOrder.from_toml(text)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        SecondOrder.read(tmp_path / "none.toml")
    with pytest.raises(InputError, match="cannot be written"):
        CRITERION.write(tmp_path / "none" / "criterion.toml")


# --- what is refused

GOOD = runs_of((2, 2), 6) | {"y": np.random.default_rng(5).normal(size=24)}


def without(table, rows):
    return {name: np.delete(column, rows) for name, column in table.items()}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (without(GOOD, [0]), r"not balanced; cells by their number of runs: 1 with 5, 3 with 6.*\(a=0, b=0\).*'drop'"),
        (without(GOOD, range(6)), r"1 of 4 cells have no run: \(a=0, b=0\)"),
        (runs_of((2, 2), 4) | {"y": np.arange(16.0)}, r"have 4 runs; an interval needs 5 or more seeds per cell"),
        (GOOD | {"a": np.zeros(24)}, "a: a factor needs two levels or more; all rows have 0.0"),
        (GOOD | {"y": np.r_[np.nan, GOOD["y"][1:]]}, "y: 1 of 24 rows are NaN or empty.*balance='drop'"),
        (GOOD | {"y": np.r_[np.inf, GOOD["y"][1:]]}, "y: 1 of 24 rows are infinite"),
        (GOOD | {"a": [None, *GOOD["a"][1:]]}, "a: 1 of 24 rows have no value"),
        (GOOD | {"b": GOOD["b"][:-1]}, "unequal lengths"),
        (GOOD | {"y": GOOD["y"][:-1]}, "y: 23 rows, and the factors have 24"),
        (GOOD | {"y": np.r_[GOOD["y"], 0.0]}, "y: 25 rows, and the factors have 24"),
        (GOOD | {"y": [np.float32("nan"), *GOOD["y"][1:]]}, "y: 1 of 24 rows are NaN or empty"),
        (GOOD | {"b": [{}] * 24}, "can be hashed"),
        (3, "expected a polars DataFrame or a mapping of columns; got int"),
    ],
)
def test_tables_that_cannot_be_used_are_refused(table, message):
    with pytest.raises(InputError, match=message):
        attribute(table, "y", ["a", "b"], FEW)


@pytest.mark.parametrize(
    ("response", "given", "message"),
    [
        (np.ones((24, 3)) * 0.5, {"kind": "bits"}, "expected truth tables"),
        (np.ones((23, 3), bool), {}, "23 rows, and the table has 24"),
        (np.ones((24, 3)), {}, "expected the name of a column"),
        (np.ones((24, 3)), {"kind": "distances"}, r"shape \[rows, rows\]"),
        (np.triu(np.ones((24, 24)), 1), {"kind": "distances"}, "symmetric"),
        (np.full((24, 24), np.nan), {"kind": "distances"}, "not finite"),
        ("y", {"kind": "bits"}, "expected an array"),
        ("y", {"balance": "dorp"}, "did you mean 'drop'"),
        ("y", {"kind": "numbers"}, "unknown kind"),
        ("z", {}, "unknown column 'z'"),
    ],
)
def test_responses_that_cannot_be_used_are_refused(response, given, message):
    with pytest.raises(InputError, match=message):
        attribute(GOOD, response, ["a", "b"], FEW, **given)


@pytest.mark.parametrize("given", [{"order": 0}, {"level": 1.0}, {"resamples": 10}, {"exponent": 2.5}])
def test_options_out_of_range_are_refused(given):
    with pytest.raises(InputError):
        AttributionOptions(**given)


@pytest.mark.parametrize("factors", [[], ["a", "a"], 3])
def test_factors_that_are_none_or_repeated_are_refused(factors):
    with pytest.raises(InputError, match="factors: expected"):
        attribute(GOOD, "y", factors)


def test_factors_of_the_criterion_must_be_there():
    with pytest.raises(UnknownNameError, match="unknown factor 'a'"):
        CRITERION.evaluate(GOOD, "y", ["b"], FEW)


def test_a_grid_is_balanced_by_dropping_runs_at_random():
    table = without(GOOD, [0])
    found = attribute(table, "y", ["a", "b"], FEW, balance="drop", seed=1)
    assert found.stats["seeds"] == 5 and found.stats["dropped"] == 3
    other = attribute(table, "y", ["a", "b"], FEW, balance="drop", seed=2)
    assert found.columns["ss"].tolist() != other.columns["ss"].tolist()
    again = attribute(table, "y", ["a", "b"], FEW, balance="drop", seed=1)
    assert found.table.equals(again.table)


@pytest.mark.parametrize("kind", ["scalar", "labels"])
def test_a_constant_response_has_a_status(kind):
    found = attribute(GOOD | {"y": np.ones(24)}, "y", ["a", "b"], FEW, kind=kind)
    assert found.status == "constant" and np.isnan(found.value) and not found.status.sound
    assert "constant" in str(found) and found.table["term"].to_list() == ["a", "b", "a × b"]
    with pytest.raises(MeasurementError, match="All runs have the same response"):
        attribute(GOOD | {"y": np.ones(24)}, "y", ["a", "b"], FEW, kind=kind, throw=True)


def test_order_of_rows_and_kind_of_table_do_not_matter():
    frame = pl.DataFrame({name: column.tolist() for name, column in GOOD.items()})
    plain = attribute(GOOD, "y", ["a", "b"], FEW)
    assert attribute(frame, "y", ["a", "b"], FEW).table.equals(plain.table)
    mixed = attribute(frame.sample(fraction=1.0, shuffle=True, seed=0), "y", ["a", "b"], FEW)
    np.testing.assert_allclose(mixed.columns["ss"], plain.columns["ss"])


def test_a_list_of_arrays_of_one_number_is_a_column_of_numbers():
    """What a loop gathers by ``losses.append(loss)``."""
    given = GOOD | {"a": [np.array(level) for level in GOOD["a"]], "y": [np.array(y) for y in GOOD["y"]]}
    found = attribute(given, "y", ["a", "b"], FEW)
    assert found.kind == "scalar" and found.table.equals(attribute(GOOD, "y", ["a", "b"], FEW).table)


@pytest.mark.parametrize("power", [-600, -500, 520, 1000])
def test_shares_do_not_depend_on_the_unit_of_the_response(power):
    """Powers of two, by which products are exact, and at which squares are infinite or nearly 0."""
    table = table_of(planted(0.5, 0.5, 0.2), 6, np.random.default_rng(1))
    unit, factors = 2.0**power, ["a", "b", "c"]
    plain, moved = (attribute(table | {"y": y}, "y", factors, FEW) for y in (table["y"], table["y"] * unit))
    for name in plain.columns.keys() - {"ss"}:
        np.testing.assert_array_equal(moved.columns[name], plain.columns[name], err_msg=name)
    judged = [CRITERION.evaluate(table | {"y": y}, "y", factors, FEW) for y in (table["y"], table["y"] * unit)]
    assert judged[0].low == judged[1].low and judged[0].verdict == judged[1].verdict
    apart = np.abs(table["y"][:, None] - table["y"])
    square = AttributionOptions(resamples=199, exponent=2)
    far, near = (attribute(table, d, factors, square, kind="distances") for d in (apart * unit, apart))
    np.testing.assert_array_equal(far.columns["omega2"], near.columns["omega2"])


@pytest.mark.parametrize("kind", ["scalar", "distances"])
def test_sums_of_squares_are_in_the_square_of_the_unit(kind):
    table = runs_of((2,), 5) | {"y": np.repeat([0.0, 100.0], 5)}
    response = "y" if kind == "scalar" else np.abs(table["y"][:, None] - table["y"])
    found = attribute(table, response, "a", AttributionOptions(resamples=199, exponent=2), kind=kind)
    assert found.columns["ss"][0] == pytest.approx(10 * 50**2) and found.stats["ss_within"] == 0


def test_the_table_is_printed_short_with_the_largest_first():
    rng = np.random.default_rng(6)
    table = table_of(planted(0.0, 1.0) + 0.01, 6, rng)
    found = attribute(table, "y", ["a", "b", "c"], FEW)
    lines = str(found).splitlines()
    assert lines[0].endswith("8 cells × 6 seeds; ok") and lines[2].startswith("b ") and len(lines) == 9
    assert max(map(len, lines)) <= 120 and repr(found) == f"Attribution(y: {found.value:.4g}, 7 terms, ok)"
    with pytest.raises(UnknownNameError, match="unknown term"):
        found.row("d")
