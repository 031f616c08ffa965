"""The joined table and its rank correlations: closed forms, independent ways of computing, coverage, refusals."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata, spearmanr

from allroads import run_study
from allroads.errors import InputError, StoreError, UnknownNameError
from allroads.paths.convergence import holm
from allroads.studies.joined import joined_table, rank_correlations
from allroads.studies.joined.covariance import correlations, covariances, given_the_others, weighted_ranks
from allroads.studies.joined.ranks import LEAST_FREE
from allroads.studies.measures import joined as measure
from allroads.studies.measures.measure import checked_table

PRECISION = np.array([[1.0, -0.5, 0.0, 0.0], [-0.5, 1.2, 0.4, 0.0], [0.0, 0.4, 1.0, -0.3], [0.0, 0.0, -0.3, 1.0]])
"""Of four normal quantities in a chain: those that are not neighbours are independent given the rest."""
PAIRS = np.triu_indices(4, 1)


def population(precision):
    """Correlations of normal quantities, and the partial rank correlations that follow: ρ_S = 6/π arcsin(ρ/2)."""
    covariance = np.linalg.inv(precision)
    scale = np.sqrt(np.diag(covariance))
    pearson = covariance / np.outer(scale, scale)
    ranks = 6 / np.pi * np.arcsin(pearson / 2)
    inverse = np.linalg.inv(ranks)
    partial = -inverse / np.sqrt(np.outer(np.diag(inverse), np.diag(inverse)))
    return pearson, ranks, partial


def drawn(rng, n, precision=PRECISION):
    return rng.normal(size=(n, len(precision))) @ np.linalg.cholesky(population(precision)[0]).T


def named(x):
    return dict(zip("abcdefgh", x.T.tolist(), strict=False))


# ---------------------------------------------------------------- ranks and correlations
@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=2, max_size=12).filter(
        lambda r: sum(w for _, w in r)
    )
)
def test_weighted_ranks_are_the_ranks_of_the_runs_repeated(rows):
    column, weights = np.array(rows, float).T
    found = weighted_ranks(column, weights[None])[0]
    repeated = rankdata(np.repeat(column, weights.astype(int)))
    assert np.repeat(found, weights.astype(int)).tolist() == repeated.tolist()


def test_partial_rank_correlations_of_normal_quantities_are_those_of_the_closed_form():
    """Of 100,000 draws, to four standard errors."""
    x = drawn(np.random.default_rng(0), 100_000)
    covariance = covariances(x, np.zeros((len(x), 0)), np.ones((1, len(x))))
    ranks = correlations(covariance, np.diagonal(covariance, axis1=1, axis2=2))
    _, wanted, partial = population(PRECISION)
    assert np.abs(ranks[0] - wanted).max() < 4 / np.sqrt(len(x))
    assert np.abs(given_the_others(ranks)[0] - partial)[PAIRS].max() < 4 / np.sqrt(len(x))
    independent = partial[0, 2], partial[0, 3], partial[1, 3]
    assert np.abs(independent).max() < 0.03 < np.abs([partial[0, 1], partial[1, 2], partial[2, 3]]).min()


def residuals(target, others):
    design = np.column_stack([np.ones(len(target)), *others])
    return target - design @ np.linalg.lstsq(design, target, rcond=None)[0]


def test_each_kind_is_what_regression_of_the_ranks_gives():
    rng = np.random.default_rng(1)
    x, label = drawn(rng, 60).round(1), rng.choice(["u", "v", "w"], 60)
    found = rank_correlations(named(x) | {"label": label.tolist()}, list("abc"), given=["label", "d"], resamples=99)
    ranks = rankdata(x, axis=0).T
    for i, j, a, b, rest in ((0, 1, "a", "b", 2), (0, 2, "a", "c", 1), (1, 2, "b", "c", 0)):
        assert found.row(a, b, "rank")["value"] == pytest.approx(spearmanr(x[:, i], x[:, j]).statistic)
        for kind, held in (
            ("others", [ranks[rest]]),
            ("given", [ranks[3], label == "v", label == "w"]),
        ):
            wanted = np.corrcoef(residuals(ranks[i], held), residuals(ranks[j], held))[0, 1]
            assert found.row(b, a, kind)["value"] == pytest.approx(wanted)
    for kind in ("rank", "others", "given"):
        part = found.table.filter(pl.col("kind") == kind)
        assert part["adjusted"].to_numpy() == pytest.approx(holm(part["p"].to_numpy()))
        assert ((part["low"] <= part["value"]) & (part["value"] <= part["high"])).all()


def test_monotone_changes_of_a_column_change_nothing():
    x = drawn(np.random.default_rng(2), 40)
    plain = rank_correlations(named(x), resamples=99)
    bent = rank_correlations(named(np.exp(x) ** 3), resamples=99)
    assert plain.table.equals(bent.table)
    turned = rank_correlations(named(x * [1, -1, 1, 1]), resamples=99)
    assert turned.row("a", "b")["value"] == pytest.approx(-plain.row("a", "b")["value"])
    assert turned.row("a", "b")["low"] == pytest.approx(-plain.row("a", "b")["high"])


@pytest.mark.slow
def test_intervals_cover_in_95_of_100_tables_of_64_runs():
    """400 tables of four quantities: 93 to 98 % of intervals; nothing clear in 95 % of independent tables."""
    rng = np.random.default_rng(3)
    _, ranks, partial = population(PRECISION)
    covered, false = {"rank": [], "others": []}, []
    for seed in range(400):
        found = rank_correlations(named(drawn(rng, 64)), resamples=199, seed=seed)
        for kind, wanted in (("rank", ranks), ("others", partial)):
            part = found.table.filter(pl.col("kind") == kind)
            covered[kind] += list(
                (part["low"].to_numpy() <= wanted[PAIRS]) & (wanted[PAIRS] <= part["high"].to_numpy())
            )
        free = rank_correlations(named(rng.normal(size=(64, 4))), resamples=199, seed=seed)
        false.append(free.table.filter(pl.col("kind") == "others")["adjusted"].min() <= 0.05)
    for kind, held in covered.items():
        assert 0.93 <= np.mean(held) <= 0.98, kind
    assert np.mean(false) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)


@pytest.mark.slow
def test_whole_cells_are_drawn_since_runs_of_a_cell_go_together():
    """20 cells of 6 runs whose means vary: drawn cells cover, and runs drawn as if independent do not."""
    rng = np.random.default_rng(4)
    covered = {"cells": [], "runs": []}
    for seed in range(300):
        x = np.repeat(rng.normal(size=(20, 2)), 6, axis=0) + rng.normal(size=(120, 2))
        table = {"a": x[:, 0], "b": x[:, 1], "target": np.repeat(np.arange(20), 6).astype(str)}
        for draws, held in covered.items():
            row = rank_correlations(table, ["a", "b"], draws=draws, resamples=199, seed=seed).row("a", "b", "rank")
            held.append(row["low"] <= 0 <= row["high"])
    assert 0.92 <= np.mean(covered["cells"]) <= 0.98
    assert np.mean(covered["runs"]) < 0.9


def test_cells_are_drawn_where_there_are_ten():
    x = named(np.random.default_rng(5).normal(size=(40, 2)))
    few, many = ({"target": [str(i % count) for i in range(40)]} for count in (9, 10))
    assert rank_correlations(x | few, resamples=99).draws == "runs"
    found = rank_correlations(x | many, resamples=99)
    assert (found.draws, found.units) == ("cells", 10) and "10 cells" in str(found)
    with pytest.raises(InputError, match="9 cells are too few to draw from, expected 10"):
        rank_correlations(x | few, draws="cells")


def test_constant_columns_are_named_and_runs_without_a_number_counted():
    x = named(np.random.default_rng(6).normal(size=(30, 3)))
    x["b"][:4] = [None] * 4
    found = rank_correlations(x | {"flat": [1.0] * 30}, resamples=99)
    assert found.constant == ("flat",) and found.columns == ("a", "b", "c") and found.runs == 26
    assert found.incomplete == {"a": 0, "b": 4, "c": 0, "flat": 0}


def test_a_correlation_of_one_is_one_with_its_interval():
    ranks = np.arange(20.0)
    row = rank_correlations({"x": ranks, "y": ranks**3}).row("x", "y", "rank")
    assert (row["value"], row["low"], row["high"], row["p"]) == pytest.approx((1.0, 1.0, 1.0, 0.0))


NORMAL = named(np.random.default_rng(7).normal(size=(20, 4)))


@pytest.mark.parametrize(
    ("table", "columns", "options", "said"),
    [
        ({n: v[:13] for n, v in NORMAL.items()}, None, {}, "13 of 13 runs have all the numbers, and 14 are needed"),
        (NORMAL, "ab", {"given": ["label"]}, "20 of 20 .* and 31 are needed with 19"),
        (NORMAL | {"e": [None] * 12 + [1.0] * 8}, "abe", {}, "'e' is absent in 12 of them"),
        ({"a": [1.0] * 20, "b": NORMAL["b"]}, None, {}, "two or more must vary; a is constant"),
        (NORMAL | {"e": NORMAL["a"]}, "abe", {}, "the ranks of one of a, e follow from those of the others"),
        (NORMAL, ["a"], {}, "expected two or more with numbers; got a"),
        (NORMAL, "ab", {"given": ["a"]}, "a cannot be a column and a covariate at once"),
        (NORMAL, "ab", {"resamples": 10}, "resamples"),
        (NORMAL, "ab", {"draws": "seeds"}, "draws"),
        (NORMAL | {"label": list("uv") * 10}, ["a", "label"], {}, "'label' holds no numbers"),
        (7, None, {}, "expected a joined table or columns; got int"),
        ({"a": 7}, None, {}, "expected column 'a' to be a list, one value per row; got 7"),
        (NORMAL, None, {"cells": None}, "cells: expected a list of names; got None"),
        (NORMAL, None, {"given": 7}, "given: expected a list of names; got 7"),
        (NORMAL, [["a"]], {}, "columns: expected a list of names; got"),
    ],
)
def test_what_cannot_be_correlated_is_refused_with_what_is_needed(table, columns, options, said):
    if options.get("given") == ["label"]:
        table = table | {"label": [str(i) for i in range(20)]}
    with pytest.raises(InputError, match=said):
        rank_correlations(table, columns and list(columns), **options)


def test_unknown_names_are_refused():
    with pytest.raises(UnknownNameError, match="speed"):
        rank_correlations(NORMAL, ["a", "speed"])
    with pytest.raises(UnknownNameError, match="speed"):
        rank_correlations(NORMAL, ["a", "b"], given=["speed"])
    with pytest.raises(InputError, match="got the text 'ab'"):
        rank_correlations(NORMAL, "ab")
    found = rank_correlations(NORMAL, resamples=99)
    with pytest.raises(UnknownNameError, match="speed"):
        found.row("a", "speed")
    with pytest.raises(InputError, match="two different columns"):
        found.row("a", "a")


def test_one_free_run_more_than_needed_is_enough():
    for n, enough in ((LEAST_FREE + 1, False), (LEAST_FREE + 2, True)):
        table = named(np.random.default_rng(8).normal(size=(n, 2)))
        if enough:
            assert rank_correlations(table, resamples=99).runs == n
        else:
            with pytest.raises(InputError, match=f"{LEAST_FREE + 2} are needed"):
                rank_correlations(table, resamples=99)


# ---------------------------------------------------------------- the table
def made_up_tables():
    runs = {"run": list("abc"), "seed": [0, 1, 2], "grid": ["g"] * 3, "target": ["t"] * 3, "architecture": ["m"] * 3}
    runs |= {"explorer": ["e"] * 3, "status": ["ok", "ok", "diverged"], "directness": [0.5, 0.7, None]}
    runs |= {"directness_status": ["ok", "degenerate", "diverged"], "held_out_loss": [0.1, 0.2, 9.0]}
    programs = {"run": ["a", "a", "b", "c"], "step": [1, 9, 9, 9], "bits": [50.0, 20.0, 30.0, None]}
    programs |= {"status": ["computes", "behaves as", "table", "diverged"]}
    llc = {"run": ["a", "b", "b"], "step": [9, 1, 9], "value": [2.0, 3.0, -1.0]}
    llc |= {"status": ["scale-dependent", "ok", "not at a minimum"]}
    pairs = {"run_a": ["a", "a", "b"], "run_b": ["b", "c", "c"], "agreement": [0.9, 0.6, 0.5], "chance": [0.5] * 3}
    return {"runs": runs, "programs": programs, "llc": llc, "pairs": pairs}


def test_numbers_that_may_not_be_read_are_left_out_and_counted():
    tables = {name: pl.DataFrame(columns) for name, columns in made_up_tables().items()}
    joined = joined_table(tables)
    held = {name: joined.table[name].to_list() for name in joined.measured}
    assert held == {
        "program_length": [20.0, None, None],
        "learning_coefficient": [2.0, None, None],
        "directness": [0.5, None, None],
        "convergence": pytest.approx([0.25, 0.2, 0.05]),
        "held_out_loss": [0.1, 0.2, None],
    }
    assert {name: dict(joined.left_out[name]) for name in ("program_length", "learning_coefficient", "directness")} == {
        "program_length": {"diverged": 1, "table": 1},
        "learning_coefficient": {"not at a minimum": 1, "not measured": 1},
        "directness": {"degenerate": 1, "diverged": 1},
    }
    assert dict(joined.left_out["robustness"]) == {"not measured": 3}
    assert "program_length: 1, 1 diverged, 1 table" in str(joined)


def test_a_directory_is_read_as_its_tables_are(tmp_path):
    tables = {name: pl.DataFrame(columns) for name, columns in made_up_tables().items()}
    (tmp_path / "tables").mkdir()
    for name, table in tables.items():
        table.write_parquet(tmp_path / "tables" / f"{name}.parquet")
    assert joined_table(tmp_path).table.equals(joined_table(tables).table)
    with pytest.raises(StoreError, match=r"holds no runs\.parquet"):
        joined_table(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="expected one named 'runs'; got pairs"):
        joined_table({"pairs": tables["pairs"]})


def test_a_joined_table_is_correlated_without_what_no_run_has():
    rng = np.random.default_rng(9)
    x = rng.normal(size=(40, 3))
    runs = {"run": [str(i) for i in range(40)], "status": ["ok"] * 40, "directness": x[:, 0], "directness_status": "ok"}
    runs |= {"held_out_loss": x[:, 1], "train_loss": x[:, 2], "held_out_accuracy": -x[:, 1]}
    found = rank_correlations(joined_table({"runs": pl.DataFrame(runs)}), given=["train_loss"], resamples=99)
    assert found.columns == ("directness", "held_out_loss") and found.given == ("train_loss",)


# ---------------------------------------------------------------- the measure of a study
def sixteen_runs():
    rng = np.random.default_rng(10)
    x = rng.normal(size=(16, 3))
    runs = {"run": [str(i) for i in range(16)], "target": list("uv") * 8, "status": ["ok"] * 16}
    runs |= {"directness": x[:, 0], "directness_status": ["ok"] * 16, "held_out_loss": x[:, 1], "train_loss": x[:, 2]}
    return {"runs": pl.DataFrame(runs)}


def answered(tables, **options):
    asked = measure.MEASURE.compute(None, measure.MEASURE.options(**options))
    found = measure.answer(checked_table(asked, measure.MEASURE.stored), tables)
    return checked_table(found.to_dicts(), measure.MEASURE.columns)


def test_what_the_measure_asks_is_answered_by_the_tables_of_the_others():
    tables = sixteen_runs()
    found = answered(tables, resamples=99)
    wanted = rank_correlations(joined_table(tables), given=["target", "train_loss"], resamples=99)
    assert found.select(wanted.table.columns).equals(wanted.table)
    assert found["given"].to_list()[0] == ["target", "train_loss"] and set(found["runs"]) == {16}
    chosen = answered(tables, quantities=("directness", "train_loss"), given=("train_loss",), draws="runs")
    assert set(chosen["kind"]) == {"rank", "others"} and chosen["quantities"].to_list()[0] == [
        "directness",
        "train_loss",
    ]


def test_a_study_that_is_too_small_keeps_the_reason():
    tables = {"runs": sixteen_runs()["runs"].head(9)}
    found = answered(tables)
    assert found["status"].to_list() == ["refused"] and "9 of 9 runs" in found["reason"][0]
    with pytest.raises(InputError, match="'speed' is unknown; expected some of program_length"):
        answered(tables, quantities=("speed",))


@pytest.mark.slow
def test_a_study_joins_what_it_measured_and_computes_nothing_twice(tmp_path):
    target = {"kind": "boolean", "bits": 3, "rule": "parity", "k": 2, "train_fraction": 0.75}
    explorers = [{"kind": "adam", "learning_rate": 0.05}, {"kind": "sgd", "learning_rate": 0.5}]
    grid = {"name": "g", "seeds": 8, "steps": 60, "records": 8, "target": [target], "explorer": explorers}
    study = {"name": "joined", "grid": [grid | {"architecture": [{"kind": "mlp", "widths": [6]}]}]}
    on = dict.fromkeys(("complexity", "robustness", "sharpness", "reached", "convergence", "attribution"), True)
    options = {"function_prior": {"samples": 8192}, "joined": {"quantities": ["robustness", "directness"]}}
    study["measures"] = on | options | {"pairs": {"align": "none"}, "embedding": False}
    done = run_study(study, tmp_path, "process", report=False)
    assert not done.summary["failures"]
    tables = {name: pl.read_parquet(tmp_path / f"tables/{name}.parquet") for name in (*on, *options)}
    assert all(table.height for table in tables.values())
    runs = pl.read_parquet(tmp_path / "tables/runs.parquet")
    for explorer in ("adam", "sgd"):
        assert tables["reached"].filter(pl.col("explorer") == explorer)["count"].sum() == 8
    assert tables["function_prior"]["reached"].sum() == 16
    assert tables["complexity"].height == tables["robustness"].height == runs.height == 16
    names = dict(tables["complexity"].select("run", "function").iter_rows())
    assert set(names.values()) == set(tables["reached"]["function"])
    assert set(tables["joined"]["a"]) == {"robustness"} and tables["joined"]["status"].unique().to_list() == ["ok"]
    wanted = rank_correlations(joined_table(done), ["robustness", "directness"], given=["target", "train_loss"])
    assert tables["joined"].select(wanted.table.columns).equals(wanted.table)
    assert not any(run_study(study, tmp_path, "process", report=False).computed.values())


def test_covariates_as_text_and_tables_that_are_none_are_refused():
    columns = {"a": range(30), "b": range(30), "target": ["x", "y"] * 15}
    with pytest.raises(InputError, match="given: expected a list"):
        rank_correlations(columns, ["a", "b"], given="target")
    runs = pl.DataFrame({"run": ["a"]})
    wrong = pl.DataFrame({"run": [1], "step": [0], "value": [1.0], "status": ["ok"]})
    text = pl.DataFrame({"run": ["a"], "step": [0], "value": ["x"], "status": ["ok"]})
    for tables, said in (
        ({"runs": 3}, "'runs' to be a polars DataFrame"), ({"runs": pl.DataFrame({"seed": [0]})}, "a column 'run'"),
        ({"runs": runs, "llc": 3}, "'llc' to be a polars DataFrame; got int"),
        ({"runs": runs, "llc": wrong}, "'llc' does not give learning_coefficient"),
        ({"runs": runs, "llc": text}, "'llc' does not give learning_coefficient"),
        (3, "study: expected the directory of a study"), ([runs], "study: expected the directory of a study"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=said):
            joined_table(tables)
    with pytest.raises(InputError, match="one length"):
        rank_correlations({"a": range(30), "b": range(29)})
