"""Sections about explorers and the joined table: what is drawn follows from the tables, in files and in Chromium."""

from __future__ import annotations

import itertools
import shutil

import numpy as np
import polars as pl
import pytest
from synthetic_study import Task, add_table, write_study

from allroads.report import write_figures, write_report
from allroads.report.charts import (
    attribution,
    channel_gain,
    convergence,
    ends,
    function_prior,
    funnel,
    joined,
    programs,
    reached,
)
from allroads.report.charts.figure import Size
from allroads.report.charts.registry import read_sections
from allroads.report.grids import read_grids
from allroads.report.page import shortfalls
from allroads.report.stored import read_stored
from allroads.studies.measures.registry import find_measure

TARGETS = ("and", "<xor>")
SEEDS = 6
KEYS = {"grid": "g", "architecture": "mlp 64-64", "explorer": "adam"}
NAMES = ("robustness", "sharpness", "held_out_loss", "complexity")


def as_table(name, rows):
    return pl.DataFrame(rows, schema=dict(find_measure(name).columns))


def reached_rows():
    """Of the first target four functions, the target's the second; of the other more than a panel has bars."""
    first = [(f"f{i}", count, 1.0 if i == 1 else 0.5) for i, count in enumerate((3, 2, 1))]
    second = [(f"h{i}", 1, 0.5) for i in range(12)]
    for target, found in zip(TARGETS, (first, second), strict=True):
        runs = sum(count for _, count, _ in found)
        for function, count, right in found:
            numbers = {"count": count, "runs": runs, "low": 0.1, "high": 0.6, "right": right, "effective": 2.5}
            yield {**KEYS, "target": target, "function": function, "first": "r", **numbers}


def prior_rows():
    for k in range(12):
        numbers = {"count": 2 ** (11 - k), "samples": 4096, "probability": 2.0 ** -(k + 1), "complexity": 2.0 * k}
        numbers |= {"low": 0.9 * 2.0 ** -(k + 1), "high": 1.1 * 2.0 ** -(k + 1), "slope": 0.4, "runs": 6}
        yield {**KEYS, "target": "and", "function": f"f{k}", **numbers, "reached": 2 * (k == 3), "by": "lz76"}
    rare = {"count": 0, "samples": 4096, "probability": 0.0, "low": 0.0, "high": 9e-4, "complexity": 30.0}
    yield {**KEYS, "target": "and", "function": "rare", **rare, "reached": 4, "runs": 6, "slope": 0.4,
           "target_function": True, "by": "lz76"}  # fmt: skip
    yield {**KEYS, "target": "<xor>", "status": "not applicable"}


def gain_rows():
    """A gain, a loss, bounds on either side, and settings without a number."""
    counts = {"fitted": 5, "runs": 6, "draws": 4096, "draws_fitted": 9, "neutral": 9.0, "gradient": 5.0}
    found = [("and", 4.0, 3.0, 5.0, "ok"), ("or", -2.0, -3.0, -1.0, "ok"), ("rare", 9.0, 9.0, None, "lower bound"),
             ("hard", -4.0, None, -4.0, "upper bound"), ("even", 0.5, -1.0, 2.0, "ok")]  # fmt: skip
    for target, gain, low, high, status in found:
        yield {**KEYS, **counts, "target": target, "gain": gain, "low": low, "high": high, "status": status}
    yield {**KEYS, "target": "<xor>", "status": "never reached"}
    yield {**KEYS, "target": "few", "status": "refused", "reason": "3 runs; 8 or more are needed."}


def funnel_rows():
    for k in range(6):
        own = {"loss": 10.0**-k, "spread": 2.0**-k, "spread_low": 0.8 * 2.0**-k, "spread_high": 1.3 * 2.0**-k}
        row = {**KEYS, "target": "and", "bin_low": 0.5 * 10.0**-k, "bin_high": 5 * 10.0**-k, "chart": "sphere"}
        row |= {"runs": 6, "draws": 0, "status": "no match"} | {f"runs_{name}": x for name, x in own.items()}
        if k < 2:
            row |= {"draws": 40, "ratio": -1.0 - k, "ratio_low": -2.0 - k, "ratio_high": -0.5 - k, "status": "ok"}
            row |= {f"draws_{name}": x if name == "loss" else 2 * x for name, x in own.items()}
        yield row
    last = {"bin_low": 1e-9, "bin_high": 1e-8, "runs": 6, "runs_loss": 5e-9, "runs_spread": 0.0, "runs_spread_low": 0.0}
    yield {**KEYS, "target": "and", **last, "chart": "sphere"}
    yield {**KEYS, "target": "<xor>", "status": "refused", "reason": "3 runs have finite numbers throughout."}


def convergence_rows(runs):
    for target in TARGETS:
        names = runs.filter(pl.col("target") == target)["run"].to_list()
        for (i, a), (j, b) in itertools.combinations(enumerate(names), 2):
            excess = 0.8 if i % 2 == j % 2 else 0.1
            same = {**KEYS, "target": target, "run_a": a, "run_b": b, "layer": "outputs", "null": 0.1, "level": 0.05}
            numbers = {"value": excess + 0.1, "excess": excess, "adjusted": 0.01, "status": "ok"}
            yield same | numbers | {"measure": "cka", "beyond": excess > 0.5}


def attribution_rows():
    same = {"grid": "g", "kind": "scalar", "cells": 4, "seeds": 6, "runs": 24, "status": "ok", "null": 0.02}
    for term, value in (("target", 0.2), ("explorer", 0.7), ("target × explorer", -0.01)):
        numbers = {"value": value, "low": value - 0.05, "high": value + 0.05, "p": 0.01}
        yield {**same, "response": "train_loss", "term": term, **numbers}
    yield {"grid": "g", "response": "function", "status": "refused", "reason": "One level each."}


def joined_rows():
    rng = np.random.default_rng(0)
    same = {"runs": 64, "units": 16, "draws": "cells", "given": ["target"], "constant": ["log_volume"]}
    for kind in ("rank", "others", "given"):
        for a, b in itertools.combinations(NAMES, 2):
            value = float(rng.uniform(-0.8, 0.8))
            numbers = {"value": value, "low": value - 0.1, "high": value + 0.1, "adjusted": 0.01 if value > 0 else 0.5}
            yield {**same, "a": a, "b": b, "kind": kind, **numbers, "status": "ok"}


def end_rows(runs, table):
    for place, run in enumerate(runs["run"]):
        held = {"value": float(place), "status": "ok"} if place else {"value": 99.0, "status": "not converged"}
        yield {"run": run, "step": 9, **held}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    tasks = [Task("g", name, seeds=SEEDS) for name in TARGETS]
    directory = write_study(tmp_path_factory.mktemp("explorers"), tasks, records=8)
    runs = pl.read_parquet(directory / "tables/runs.parquet")
    rows = {
        "sharpness": end_rows(runs, "sharpness"),
        "reached": reached_rows(),
        "function_prior": prior_rows(),
        "channel_gain": gain_rows(),
        "funnel": funnel_rows(),
        "convergence": convergence_rows(runs),
        "attribution": attribution_rows(),
        "joined": joined_rows(),
    }
    for name, found in rows.items():
        add_table(directory, find_measure(name), as_table(name, list(found)))
    return directory


@pytest.fixture(scope="module")
def stored(study):
    return read_stored(study)


@pytest.fixture(scope="module")
def grid(stored):
    return read_grids(stored)[0]


def drawing(panel):
    import altair as alt

    return str(panel.draw(alt.NamedData("rows"), Size(300, panel.height, legend=True)).to_dict())


def test_bars_of_a_target_are_shares_in_one_order_and_the_rest_is_one_bar(stored, grid):
    (figure,) = reached.figures(stored, grid)
    few, many = figure.panels
    assert few.rows["share"].to_list() == pytest.approx([3 / 6, 2 / 6, 1 / 6])
    assert few.rows["right"].to_list() == [False, True, False] and few.rows["label"][1] == "target f1"
    assert few.note == "3 functions of 6 runs; 2 at the target"
    assert many.rows.height == reached.MOST + 1 and many.rows["label"].to_list()[-1] == reached.REST
    assert many.rows["share"].sum() == pytest.approx(1) and many.rows["count"].to_list()[-1] == 12 - reached.MOST
    assert "95 % interval" in figure.legend[-1]["label"] and "'share, from'" in drawing(few)


def test_a_function_that_one_explorer_alone_reaches_has_an_empty_bar_beside_the_others(tmp_path):
    """Two architectures of one target: their panels have the same labels in the same order."""
    directory = write_study(tmp_path, [Task("g", "and", seeds=2, architectures=("deep", "wide"))], records=8)
    same = {**KEYS, "target": "and", "runs": 2, "right": 0.5, "first": "r"}
    rows = [same | {"architecture": name, "function": f, "count": 2} for name, f in (("deep", "f"), ("wide", "h"))]
    add_table(directory, find_measure("reached"), as_table("reached", rows))
    stored = read_stored(directory)
    (figure,) = reached.figures(stored, read_grids(stored)[0])
    assert [panel.rows["label"].to_list() for panel in figure.panels] == [["f", "h"]] * 2
    assert [panel.rows["share"].to_list() for panel in figure.panels] == [[1.0, 0.0], [0.0, 1.0]]
    assert figure.panels[0].rows["told"].to_list()[1] == "not reached"


def test_programs_that_runs_end_with_have_bars_too(tmp_path):
    directory = write_study(tmp_path, [Task("g", "and", seeds=3)], records=8)
    names = pl.read_parquet(directory / "tables/runs.parquet")["run"].to_list()
    rows = [{"run": run, "step": 9, "source": "x & y", "bits": 12.0, "correct": True} for run in names[:2]]
    rows += [{"run": names[0], "step": 1, "source": "x", "bits": 3.0, "correct": False}]
    rows += [{"run": names[2], "step": 9, "status": "not found", "why": "nothing short"}]
    add_table(directory, find_measure("programs"), as_table("programs", rows))
    add_table(directory, find_measure("reached"), as_table("reached", []))
    stored = read_stored(directory)
    (figure,) = reached.figures(stored, read_grids(stored)[0])
    assert figure.chart == "programs-reached"
    (panel,) = figure.panels
    assert dict(panel.rows.select("label", "count").iter_rows()) == {"target, program 1: 12 bits": 2, "none read": 1}


def test_a_table_of_the_target_is_no_program_of_it(tmp_path):
    directory = write_study(tmp_path, [Task("g", "and", seeds=4)], records=8)
    names = pl.read_parquet(directory / "tables/runs.parquet")["run"].to_list()
    ends = [("computes", True), ("table", True), ("table", True), ("behaves as", False)]
    rows = [
        {"run": run, "step": step, "status": status, "source": "x", "bits": 9.0, "correct": correct}
        for run, (status, correct) in zip(names, ends, strict=True)
        for step in (1, 9)
    ]
    add_table(directory, find_measure("programs"), as_table("programs", rows))
    stored = read_stored(directory)
    figure = programs.figures(stored, read_grids(stored)[0])[0]
    assert figure.panels[0].note == "1 of 4 end at their target's program, 2 at its table"


def test_functions_never_drawn_stand_at_the_upper_end_of_their_interval(stored, grid):
    (figure,) = function_prior.figures(stored, grid)
    (panel,) = figure.panels
    rare = panel.rows.filter(~pl.col("drawn"))
    assert rare["probability"].to_list() == [9e-4] and rare["target"].to_list() == [True]
    counts = "12 functions of 4,096 draws; 4 of 6 runs end at one never drawn"
    assert panel.note == f"{counts}; 0 have their interval above the bound"
    steep = panel.rows.with_columns(complexity=pl.col("complexity") + 20)
    assert function_prior._note(steep, 0.4) == f"{counts}; 12 have their interval above the bound"
    assert "complexity (LZ76)" in drawing(panel)
    last, floor = panel.draw.keywords["last"], panel.draw.keywords["floor"]
    ends = function_prior.bound_ends(0.4, last, floor)
    assert [-np.log2(end["bound"]) for end in ends] == pytest.approx([0.4 * end["k"] for end in ends])
    assert last == 30 and floor == pytest.approx(2.0**-12 / 3)


def test_gains_are_sorted_and_bounds_point_to_where_the_gain_lies(stored, grid):
    (figure,) = channel_gain.figures(stored, grid)
    (panel,) = figure.panels
    assert panel.rows["label"].to_list() == ["rare", "and", "even", "or", "hard"]
    assert panel.rows["bound"].to_list() == [True, False, False, False, True]
    assert panel.note == "2 of 5 clearly above 0, 2 clearly below"
    low, high = panel.draw.keywords["ends"]
    assert panel.rows["stop"][0] == high > 9 and panel.rows["start"][-1] == low < -4
    assert "'triangle-right'" in drawing(panel) and "'triangle-left'" in drawing(panel)
    said = [item["text"] for item in channel_gain.shortfalls(stored, [grid])]
    assert said == [
        "g: 1 setting has no channel gain. The status is never reached.",
        "g: 1 setting has no channel gain. 3 runs; 8 or more are needed.",
    ]


def test_many_gains_show_the_largest_and_the_smallest(study, tmp_path):
    copied = tmp_path / "many"
    shutil.copytree(study, copied)
    row = {**KEYS, "status": "ok"}
    rows = [row | {"target": f"t{i}", "gain": float(i), "low": i - 1.0, "high": i + 1.0} for i in range(60)]
    add_table(copied, find_measure("channel_gain"), as_table("channel_gain", rows))
    (figure,) = channel_gain.figures(read_stored(copied), read_grids(read_stored(copied))[0])
    (panel,) = figure.panels
    half = channel_gain.MOST // 2
    assert panel.rows["gain"].to_list() == [*range(59, 59 - half, -1), *range(half - 1, -1, -1)]
    assert panel.rows["place"].to_list() == list(range(channel_gain.MOST))
    assert panel.note.startswith("58 of 60 clearly above 0, 0 clearly below; 12 between")


def test_the_funnel_has_a_curve_for_runs_and_one_for_draws(stored, grid):
    (figure,) = funnel.figures(stored, grid)
    (panel,) = figure.panels
    assert panel.rows["who"].to_list() == ["runs"] * 6 + ["draws"] * 2
    assert panel.rows["loss"].to_list()[:6] == pytest.approx([10.0**-k for k in range(6)])
    assert (panel.rows["low"] < panel.rows["spread"]).all() and (panel.rows["spread"] > 0).all()
    assert panel.note == "at loss 0.1: log₂ of runs over draws −2.00 [−3.00 to −1.50]"
    assert "roots of the class probabilities" in figure.caption
    text = drawing(panel)
    assert text.count("'type': 'log'") >= 2 and "'reverse': True" in text
    said = [item["text"] for item in funnel.shortfalls(stored, [grid])]
    assert said == ["<xor> × mlp 64-64 × adam has no funnel: 3 runs have finite numbers throughout."]


def test_every_pair_is_two_cells_and_what_is_near_stands_together(stored, grid):
    (figure,) = convergence.figures(stored, grid)
    for panel in figure.panels:
        assert panel.rows.height == SEEDS * (SEEDS - 1) and int(panel.rows["beyond"].sum()) == 12
        order = panel.rows.select("place", "row").unique().sort("place")["row"].cast(pl.Int64)
        assert (order % 2).to_list() in ([0] * 3 + [1] * 3, [1] * 3 + [0] * 3)
        assert panel.note == "median 0.2, by chance 0.1; 6 of 15 pairs beyond the null"
    assert "'p, corrected'" in drawing(figure.panels[0])


def test_a_measure_with_a_direction_is_not_mirrored(stored, grid):
    both = [("stitch", a, b) for a, b in itertools.permutations(grid.groups[0].runs["run"].to_list()[:3], 2)]
    pairs = pl.DataFrame(
        [{"run_a": a, "run_b": b, "value": float(i), "null": 0.0, "excess": float(i), "adjusted": 1.0, "beyond": False}
         for i, (_, a, b) in enumerate(both)]
    )  # fmt: skip
    cells = convergence._cells(pairs, grid.groups[0])
    assert sorted(cells["value"].to_list()) == [0, 1, 2, 3, 4, 5]


def test_terms_stand_by_their_share_and_what_is_refused_is_said(stored, grid):
    (figure,) = attribution.figures(stored, grid)
    (panel,) = figure.panels
    assert panel.rows["term"].to_list() == ["explorer", "target", "target × explorer"]
    assert panel.draw.keywords["domain"] == (pytest.approx(-0.06), 1.0)
    assert panel.title == "Log training loss" and panel.note == "ω²; 4 cells × 6 seeds"
    said = [item["text"] for item in attribution.shortfalls(stored, [grid])]
    assert said == ["g, attribution of function reached: One level each."]


def test_the_heat_maps_share_one_order_and_name_what_is_constant(stored, grid):
    first, rest = joined.figures(stored, [grid])
    panels = [*first.panels, *rest.panels]
    assert [panel.title for panel in panels] == [
        "Given all other quantities",
        "Given target",
        "Rank correlation, nothing held fixed",
    ]
    orders = [panel.draw.keywords["order"] for panel in panels]
    assert orders[0] == orders[1] == orders[2] and set(orders[0]) == {joined.title(name) for name in NAMES}
    for panel in panels:
        assert panel.rows.height == 6 and (panel.rows["across"] < panel.rows["place"]).all()
        assert (panel.rows["clear"] == (panel.rows["value"] > 0)).all()
        assert "'95 % interval, from'" in drawing(panel) and panel.note == "64 runs; intervals from 16 cells"
    said = [item["text"] for item in joined.shortfalls(stored, [grid])]
    assert said == ["Log volume has one value over all runs of the joined table."]


def test_numbers_that_may_not_be_read_are_not_drawn(stored, grid):
    (figure,) = ends.figures(stored, grid)
    (panel,) = figure.panels
    assert panel.rows.height == 2 * SEEDS - 1 and 99.0 not in panel.rows["sharpness (eigenvalue)"].to_list()
    assert panel.note == "median 6; 1 of 12 runs have none"


def test_a_study_without_such_numbers_says_so(tmp_path):
    directory = write_study(tmp_path, [Task("g", "and", seeds=2)], records=8)
    refused = [{"status": "refused", "reason": "13 runs, and 14 are needed."}]
    for name in ("reached", "function_prior", "channel_gain", "funnel", "convergence", "attribution", "sharpness"):
        add_table(directory, find_measure(name), as_table(name, []))
    add_table(directory, find_measure("joined"), as_table("joined", refused))
    stored = read_stored(directory)
    grids = read_grids(stored)
    for section in (reached, function_prior, channel_gain, funnel, convergence, attribution, ends):
        (figure,) = section.figures(stored, grids[0])
        assert not figure.panels and figure.absent
    assert joined.figures(stored, grids) == ()
    texts = [item["text"] for item in shortfalls(stored, read_sections(stored), grids)]
    assert "The joined table has no correlations: 13 runs, and 14 are needed." in texts
    assert "needed." in write_report(directory).read_text("utf-8")


SECTIONS = ("reached", "function_prior", "channel_gain", "funnel", "convergence", "ends", "attribution", "joined")


@pytest.mark.slow
def test_each_section_is_drawn_in_a_browser_in_both_schemes_and_on_paper(study, open_page):
    write_report(study)
    opened = open_page(study / "report.html")
    page = opened.page
    marks = """(name) => [...document.querySelectorAll(`#${name} .chart`)].filter((c) => c.checkVisibility())
      .map((c) => c.querySelectorAll(":is(.mark-rect, .mark-symbol, .mark-rule) path, .mark-rule line").length)"""
    for name in SECTIONS:
        page.locator(f"#{name}").scroll_into_view_if_needed()
        opened.drawn()
        counts = page.evaluate(marks, name)
        assert counts and min(counts) >= 3, name
        assert page.locator(f"#{name} .caption").first.inner_text().endswith(".")
    label = """() => getComputedStyle(document.querySelector("#joined .role-axis-label text")).fill"""
    light = page.evaluate(label)
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(label) != light
    page.emulate_media(color_scheme="light", media="print")
    assert page.evaluate(label) == light
    page.emulate_media(media="screen")
    run = page.evaluate("document.querySelector('#runs tbody tr').dataset.run")
    page.evaluate("(run) => allroads.choose(run)", run)
    opened.settle()
    faded = page.evaluate(
        """() => [...document.querySelectorAll("#convergence .mark-rect path")].map((path) =>
           Number(path.getAttribute("opacity") ?? 1))"""
    )
    assert {0.15, 1.0} <= set(faded)
    assert opened.complaints == []


@pytest.mark.slow
def test_each_chart_is_a_file_of_its_own(study):
    names = {file.name for file in write_figures(study, "svg")}
    assert {
        "reached-g.svg", "prior-g.svg", "channel-gain-g.svg", "funnel-g.svg", "convergence-cka-g.svg",
        "ends-sharpness-g.svg", "attribution-train_loss-g.svg",
        "joined.svg", "joined-others.svg",
    } <= names  # fmt: skip
    text = (study / "figures/joined.svg").read_text("utf-8")
    assert all(joined.title(name) in text for name in NAMES) and "rank correlation" in text
