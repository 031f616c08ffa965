"""Neighbours, reach and road costs of a study, on networks whose weights are the truth table that they compute."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
import pytest
from made_up_units import a_run, unit_of
from scipy.stats import norm

from allroads import GD, SGD, Network, Target
from allroads.atlases.from_study import programs_atlas
from allroads.studies.measures import neighbours, reach, road_costs
from allroads.studies.measures.functions import function_name
from allroads.studies.measures.measure import as_outcome, checked_table

INPUTS = np.array(list(itertools.product([0.0, 1.0], repeat=3)), np.float32)
ROWS = (INPUTS @ (1 << np.arange(3))).astype(int)
AND, XOR, MUX = ([row & 1 & row >> 1 for row in range(8)], [(row ^ row >> 1) & 1 for row in range(8)],
    [(row >> 1 if row & 1 else row >> 2) & 1 for row in range(8)])  # fmt: skip
NEAR = [int(row == 3) for row in range(8)]  # AND but for one row
SCALE = 2.0


def apply(weights, x):
    return weights[(x @ (1 << jnp.arange(3))).astype(int)][:, None]


TABLE = Network(lambda key: jax.random.normal(key, (8,)), apply, name="table")
"""Row r of the weights is the output for input r."""


def ended(table, name, explorer="gd", rule=GD(learning_rate=0.5), loss="bce", read=True, scale=SCALE):  # noqa: B008
    """A run that ends at a truth table, its weights ± a scale, of which ``programs`` read the function."""
    weights = (scale * (2.0 * np.asarray(table) - 1)).astype(np.float32)
    labels = np.asarray(table, float if loss == "mse" else int)[ROWS]
    goal = Target("t", inputs=INPUTS, labels=labels, complete=True, loss=loss, train_fraction=1)
    code = function_name(np.asarray(table), np.asarray(table)) if read else None
    rows = pl.DataFrame({"step": [9], "function": [code]}, schema_overrides={"function": pl.String})
    run = a_run(goal, TABLE, np.stack([0 * weights, weights]), np.array([0, 9]), name=name,
        programs=SimpleNamespace(rows=rows))  # fmt: skip
    run.labels = {"grid": "g", "target": "t", "architecture": "table", "explorer": explorer}
    run.end = weights
    run.recipe = SimpleNamespace(explorer=rule and SimpleNamespace(build=lambda: rule), steps=60)
    return run


def rows_of(measure, *runs, **options):
    rows = as_outcome(measure.compute(unit_of(*runs), measure.options(**options))).rows
    checked_table(rows, measure.stored)
    return [dict(row) for row in rows]


def tables_of(runs, **measured):
    """Tables of a study with these runs, whose programs are letters of one function each."""
    names = {run.name: run.need("programs").rows["function"].to_list()[-1] for run in runs}
    programs = [
        {"run": run, "step": step, "status": "computes", "language": "letters", "bits": 1.0, "canonical": text,
         "parts": [text], "function": text, "equal": True, "correct": True, "scope": "exhaustive", "checked": 8,
         "diagram": None}
        for run, name in names.items() for step, text in ((0, "0x00"), (9, name))
    ]  # fmt: skip
    table = pl.DataFrame({"run": list(names), "grid": "g", "train_loss": 0.1})
    return {"runs": table, "programs": pl.DataFrame(programs, schema_overrides={"diagram": pl.String}), **measured}


def table_of(measure, rows):
    made = checked_table(rows, {name: kind for name, kind in measure.stored.items() if name != "grid"})
    return made.with_columns(grid=pl.lit("g")) if measure.scope == "grid" else made


@pytest.mark.draws
def test_neighbour_shares_hold_those_of_independent_signs():
    """Moves of the size σ turn one sign with Φ(−1/σ), each by itself, in every run of a program alike."""
    runs = [ended(table, f"r{i}") for i, table in enumerate([AND] * 12 + [NEAR] * 6)]
    rows = [{"run": run.name} | row for run in runs for row in rows_of(neighbours.MEASURE, run, move=0.8, moves=1500)]
    assert {row["moves"] for row in rows} == {1500} and {row["status"] for row in rows} == {"ok"}
    every = pl.DataFrame(rows)
    assert len({tuple(part["count"]) for _, part in every.group_by("run")}) > 10  # moves of two runs are not the same
    found = programs_atlas(tables_of(runs, neighbours=every), "g", label="function", least=1)
    turn = norm.cdf(-1 / 0.8)
    names = {function_name(np.array(table), np.array(table)): table for table in (AND, NEAR)}
    for p, q in itertools.permutations(names):
        distance = int(np.not_equal(names[p], names[q]).sum())
        exact = turn**distance * (1 - turn) ** (8 - distance)
        (edge,) = found.edges.filter(
            pl.col("source") == p, pl.col("target") == q, quantity="neighbour_share"
        ).to_dicts()
        assert edge["low"] < exact < edge["high"] and edge["high"] - edge["low"] < 0.02
        assert edge["tried"] == 1500 * (12 if p == "0x88" else 6)
        (flow,) = found.edges.filter(pl.col("source") == p, pl.col("target") == q, quantity="boundary").to_dicts()
        assert flow["value"] == pytest.approx(edge["value"] * edge["tried"] / (18 * 1500))
    for node in found.nodes.filter(pl.col("node").is_in(list(names))).to_dicts():
        assert node["robustness_low"] < (1 - turn) ** 8 < node["robustness_high"]
        assert node["evolvability"] > 30
    assert found.nodes.filter(node="0x00")["robustness"].to_list() == [None]
    assert "0.8 times the root mean square" in found.conventions["neighbour_share"]


def test_neighbours_that_cannot_be_measured_say_why():
    (broken,) = rows_of(neighbours.MEASURE, ended(AND, "a", scale=0.0))
    assert broken["status"] == "degenerate"
    (large,) = rows_of(neighbours.MEASURE, ended(AND, "a"), inputs=7)
    assert large["status"] == "not applicable"
    assert rows_of(neighbours.MEASURE, ended(AND, "a", read=False)) == []
    lost = ended(AND, "a", read=False)
    lost.status = "diverged"
    assert rows_of(neighbours.MEASURE, lost)[0]["status"] == "diverged"


def steps_to_turn(rate):
    """Steps of gradient descent until one weight of eight changes its sign, under the mean logistic loss."""
    weight, steps = -SCALE, 0
    while weight <= 0:
        weight, steps = weight + rate / 8 / (1 + np.exp(weight)), steps + 1
    return steps


@pytest.mark.slow
def test_descents_take_the_steps_that_one_weight_needs():
    """Weights that differ turn together, so every pair takes the same steps, and a function reaches itself at once."""
    runs = [ended(table, f"r{i}") for i, table in enumerate([AND, XOR, MUX, AND])]
    runs.append(ended(XOR, "s", "sgd", SGD(learning_rate=0.25)))
    rows = rows_of(reach.MEASURE, *runs, steps=200)
    assert (
        len(rows) == 4 * 3 + 3
        and {row["status"] for row in rows} == {"ok"}
        and {row["budget"] for row in rows} == {200}
    )
    for row in rows:
        rate = 0.5 if row["explorer"] == "gd" else 0.25
        assert row["steps"] == (0 if row["from_function"] == row["to_function"] else steps_to_turn(rate)), row
    late = rows_of(reach.MEASURE, *runs, steps=steps_to_turn(0.5) - 1)
    assert {row["steps"] for row in late if row["from_function"] != row["to_function"]} == {None}
    found = programs_atlas(tables_of(runs, reach=table_of(reach.MEASURE, rows)), "g", label="function", least=1)
    edges = {(row["source"], row["target"]): row for row in found.edges.filter(quantity="reach_cost").to_dicts()}
    assert len(edges) == 6 and edges["0x88", "0x66"]["value"] == pytest.approx(np.log2(1 + steps_to_turn(0.5)))
    both = np.log2(1 + np.array([steps_to_turn(0.5), steps_to_turn(0.25)]))
    assert edges["0x66", "0x88"]["value"] == pytest.approx(both.mean()) and edges["0x66", "0x88"]["tried"] == 2
    assert found.edges.filter(quantity="reach")["value"].to_list() == [1.0] * 6
    assert found.edges.filter(quantity="reach_asymmetry")["value"].to_list() == [0.0] * 6


def test_reach_that_cannot_be_measured_says_why():
    reasons = {
        "all runs end at one function": [ended(AND, "a"), ended(AND, "b")],
        "outputs under the loss 'mse'": [ended(AND, "a", loss="mse"), ended(XOR, "b", loss="mse")],
        "name an explorer under": [ended(AND, "a", rule=None), ended(XOR, "b", rule=None)],
    }
    for reason, runs in reasons.items():
        (row,) = rows_of(reach.MEASURE, *runs)
        assert row["status"] == "not applicable" and reason in row["reason"]
    (large,) = rows_of(reach.MEASURE, ended(AND, "a"), ended(XOR, "b"), inputs=7)
    assert "8 inputs, above the limit of 7" in large["reason"]
    (short,) = rows_of(reach.MEASURE, ended(AND, "a"), ended(XOR, "b"), budget=1e-9)
    assert short["status"] == "unfinished" and "before 2 of 2 functions" in short["reason"]
    assert rows_of(reach.MEASURE, ended(AND, "a", read=False), ended(XOR, "b", read=False)) == []
    lacking = programs_atlas(tables_of([ended(AND, "a")], reach=table_of(reach.MEASURE, [large])), "g", least=1)
    assert lacking.stats["left_out"] == [f"reach of table × gd: {large['reason']}"]
    assert "not measured: reach of table × gd" in str(lacking)


def test_an_interrupt_stores_nothing(monkeypatch):
    import allroads.atlases.reach as package

    monkeypatch.setattr(package, "reach", lambda *given, **options: SimpleNamespace(stats={"ended": "interrupted"}))
    with pytest.raises(KeyboardInterrupt):
        rows_of(reach.MEASURE, ended(AND, "a"), ended(XOR, "b"))


def test_only_functions_at_which_most_runs_end_are_tried():
    runs = [ended(table, f"r{i}") for i, table in enumerate([AND, XOR, MUX, MUX, XOR])]
    names = {row["to_function"] for row in rows_of(reach.MEASURE, *runs, programs=2)}
    assert names == {function_name(np.array(table), np.array(table)) for table in (XOR, MUX)}
    starts = rows_of(reach.MEASURE, *runs, programs=2, starts=1)
    assert {row["run"] for row in starts} == {"r1", "r2"}


def test_a_road_of_the_identity_is_the_distance_of_the_weights():
    """Outputs are the weights, so the straight road between tables that differ in d rows is 2 · scale · √d long."""
    runs = [ended(table, f"r{i}") for i, table in enumerate([AND, XOR, MUX, AND])]
    rows = rows_of(road_costs.MEASURE, *runs)
    assert len(rows) == 4 * 2 and {row["status"] for row in rows} == {"ok"}
    tables = {function_name(np.array(table), np.array(table)): table for table in (AND, XOR, MUX)}
    for row in rows:
        apart = np.not_equal(tables[row["from_function"]], tables[row["to_function"]]).sum()
        assert row["cost"] == pytest.approx(2 * SCALE * np.sqrt(apart), rel=1e-4) and row["deviation"] < 1e-4
    found = programs_atlas(
        tables_of(runs, road_costs=table_of(road_costs.MEASURE, rows)), "g", label="function", least=1
    )
    edges = found.edges.filter(quantity="road_cost")
    assert edges.height == 6 and sorted(edges["tried"]) == [1, 1, 1, 1, 2, 2]
    assert edges["high"].null_count() == 6  # fewer than six roads have no interval
    (row,) = rows_of(road_costs.MEASURE, ended(AND, "a"), ended(AND, "b"))
    assert row["status"] == "not applicable" and "one of the functions alone" in row["reason"]


def test_roads_that_were_not_followed_are_counted_and_give_no_length():
    runs = [ended(AND, "a"), ended(XOR, "b")]
    same = {"architecture": "table", "from_function": "0x88", "to_function": "0x66", "reason": None}
    bad = [same | {"run": "a", "cost": 3.0, "deviation": 0.4, "status": "not followed"}]
    found = programs_atlas(
        tables_of(runs, road_costs=table_of(road_costs.MEASURE, bad)), "g", label="function", least=1
    )
    (edge,) = found.edges.filter(quantity="road_cost").to_dicts()
    assert edge["value"] is None and edge["status"] == "not followed" and edge["tried"] == 1


def test_the_asymmetry_has_the_interval_that_both_shares_give():
    """Seven of eight forth and two of eight back; a run and a function without a node do not count."""
    forth = [("a", "0x88", "0x66", step) for step in [5] * 7 + [None]]
    back = [("b", "0x66", "0x88", step) for step in [5] * 2 + [None] * 6]
    rows = [
        {"run": run, "architecture": "t", "explorer": "e", "from_function": p, "to_function": q, "steps": steps,
         "budget": 10, "directness": None, "status": "ok", "reason": None}
        for run, p, q, steps in [*forth, *back, ("a", "0x88", "0xff", 1), ("gone", "0x88", "0x66", 1)]
    ]  # fmt: skip
    runs = [ended(AND, "a"), ended(XOR, "b")]
    found = programs_atlas(tables_of(runs, reach=table_of(reach.MEASURE, rows)), "g", label="function", least=1)
    share = {row["source"]: row for row in found.edges.filter(quantity="reach").to_dicts()}
    assert (share["0x88"]["value"], share["0x66"]["value"], share["0x88"]["tried"]) == (0.875, 0.25, 8)
    gap = {row["source"]: row for row in found.edges.filter(quantity="reach_asymmetry").to_dicts()}
    p, q = share["0x88"], share["0x66"]
    low = 0.625 - np.sqrt((p["value"] - p["low"]) ** 2 + (q["high"] - q["value"]) ** 2)
    high = 0.625 + np.sqrt((p["high"] - p["value"]) ** 2 + (q["value"] - q["low"]) ** 2)
    assert gap["0x88"]["value"] == 0.625 and gap["0x88"]["low"] == pytest.approx(low)
    assert gap["0x88"]["high"] == pytest.approx(min(high, 1)) and gap["0x88"]["tried"] == 16
    assert gap["0x66"]["value"] == -0.625 and gap["0x66"]["high"] == pytest.approx(-gap["0x88"]["low"])
    cost = {row["source"]: row for row in found.edges.filter(quantity="reach_cost").to_dicts()}
    assert cost["0x66"]["status"] == "not reached" and cost["0x66"]["value"] is None
