"""The atlas as its reader meets it, in a real Chromium: what is chosen is marked everywhere, at any width."""

from __future__ import annotations

from itertools import pairwise

import polars as pl
import pytest
from browser_page import DESKTOP
from synthetic_atlas import add_atlas, program_source
from synthetic_study import Task, write_study

from allroads.report import write_report

pytestmark = pytest.mark.slow
NARROW = {"width": 360, "height": 740}
TASKS = [Task("first", "t", seeds=12), Task("first", "u", seeds=12), Task("second", "v", seeds=6)]

SPOT = """([id, node]) => {  // the middle of a node
  const dot = [...document.querySelectorAll(`#${id} .mark-symbol path`)].find((p) => p.__data__.datum.node === node);
  const box = dot.getBoundingClientRect();
  return [box.x + box.width / 2, box.y + box.height / 2];
}"""
LINES = """([id, least]) => [...document.querySelectorAll(`#${id} .mark-line path`)]
  .filter((path) => Number(path.getAttribute("opacity")) > least).map((path) => path.__data__.datum.part)"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    directory = write_study(tmp_path_factory.mktemp("atlas"), TASKS, records=16)
    add_atlas(directory)
    return directory, write_report(directory)


@pytest.fixture(scope="module")
def opened(open_page, made):
    return open_page(made[1])


@pytest.fixture
def page(opened):
    opened.page.evaluate("allroads.choose('')")
    opened.page.keyboard.press("Escape")
    opened.settle()
    return opened


@pytest.fixture(scope="module")
def table(made):
    return pl.read_parquet(made[0] / "tables/atlas.parquet").filter(pl.col("grid") == "first")


def ends_of(table: pl.DataFrame, node: str) -> set[str]:
    last = table.filter(pl.col("kind") == "walk").sort("run", "place").group_by("run").last()
    return set(last.filter(pl.col("node") == node)["run"])


def most_reached(table: pl.DataFrame) -> str:
    nodes = table.filter(pl.col("kind") == "node", pl.col("node") != "none")
    return nodes.sort("ends", "visits", "node", descending=[True, True, False])["node"][0]


MAP = "chart-atlas-0-atlas-first"


def test_a_clicked_program_fills_the_panel_and_marks_its_runs(page, table):
    node = most_reached(table)
    page.page.locator(f"#{MAP}").scroll_into_view_if_needed()
    page.page.mouse.click(*page.page.evaluate(SPOT, [MAP, node]))
    page.settle()
    ends = ends_of(table, node)
    assert page.page.evaluate("allroads.program()") == node and page.chosen == ""
    panel = page.page.locator("#program-panel")
    assert program_source(node).rstrip() in panel.locator(".program-source").inner_text()
    assert f"{len(ends)} runs end here" in panel.inner_text() and "equal on all 16 inputs" in panel.inner_text()
    marked = page.page.eval_on_selector_all("tr.among", "rows => rows.map((row) => row.dataset.run)")
    assert set(marked) == ends
    roads = next(i for i in page.page.evaluate("[...allroads.charts.keys()]") if i.startswith("chart-roads-0"))
    opacities = page.opacities(roads, "mark-trail")
    assert {run for run, values in opacities.items() if max(values) > 0.3} == ends & set(opacities)
    ways = set(page.page.evaluate(LINES, [MAP, 0.9]))
    walks = table.filter(pl.col("kind") == "walk").sort("run", "place")
    walks = walks.with_columns(after=pl.col("node").shift(-1).over("run")).drop_nulls("after")
    touching = walks.filter((pl.col("node") == node) | (pl.col("after") == node), pl.col("node") != pl.col("after"))
    assert ways == {f"{p}>{q}" for p, q in touching.select("node", "after").iter_rows()}


def test_the_panel_gives_code_that_loads_one_of_its_runs(page, table):
    node = most_reached(table)
    page.page.click('#program-panel [data-step="1"]')
    assert page.page.evaluate("allroads.program()") == node  # programs come in the order in which they are reached
    code = page.page.locator(".program-code").inner_text().strip()
    compile(code, "panel", "exec")
    assert len(code.splitlines()) == 3 and "weights.safetensors" in code
    named = page.page.locator(".program-loaded").inner_text()
    run = page.page.evaluate("JSON.parse(document.getElementById('payload').textContent).runs").copy()
    assert next(one["run"] for one in run if one["name"] in named) in ends_of(table, node)


def test_a_chosen_run_draws_its_walk_and_shows_its_end(page, table):
    walks = table.filter(pl.col("kind") == "walk").sort("run", "place")
    run = walks.filter(pl.col("place") >= 2)["run"][0]
    walk = walks.filter(pl.col("run") == run)["node"].to_list()
    page.page.click(f'tr[data-run="{run}"]')
    page.settle()
    assert set(page.page.evaluate(LINES, [MAP, 0.9])) == {f"{p}>{q}" for p, q in pairwise(walk)}
    assert page.page.locator("#program-title").inner_text().strip() == walk[-1]
    stops = page.page.evaluate(f"allroads.charts.get('{MAP}').view.signal('stops')")
    assert {name for name in stops} == set(walk) and stops[walk[0]].startswith("1.")


def test_keys_step_through_programs_and_let_go(page, table):
    page.page.focus(f"#{MAP}")
    seen = []
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft", "ArrowDown"):
        page.page.keyboard.press(key)
        seen.append(page.page.evaluate("allroads.program()"))
    assert seen[0] == seen[2] == most_reached(table) and seen[1] == seen[3] != seen[0]
    assert page.page.url.endswith("#program=0-1")
    page.page.keyboard.press("Escape")
    assert not page.page.evaluate("allroads.program()") and "#" not in page.page.url
    page.page.focus("#program-panel .program-near .to")
    page.page.keyboard.press("Enter")
    assert page.page.evaluate("allroads.program()")
    page.page.select_option("#program-choice", "1-0")  # of the other grid
    assert page.page.evaluate("allroads.program()") and page.page.url.endswith("#program=1-0")


def test_a_run_of_the_panel_is_chosen_and_left_again(page):
    page.page.click('#program-panel [data-step="1"]')
    button = page.page.locator(".program-runs .to").first
    button.click()
    assert page.chosen == page.page.locator(".program-runs .to").first.get_attribute("data-choose")
    page.page.locator(".program-runs .to").first.click()
    assert page.chosen == "" and page.page.evaluate("allroads.program()")


def test_names_in_the_panel_are_words_and_nothing_complains(page):
    assert page.page.locator("#program-panel b").count() == 0 and "<b>" in page.page.inner_text(".program-source")
    assert page.complaints == []


def test_the_tree_of_passes_holds_the_programs_at_which_runs_end(page, table):
    passes = table.filter(pl.col("quantity") == "pass_upper")
    leaves = page.page.evaluate(
        """[...new Set([...document.querySelectorAll("#chart-passes-0-passes-first .mark-symbol path")]
           .map((path) => path.__data__.datum.node))]"""
    )
    assert set(leaves) == set(passes["source"]) | set(passes["target"]) and len(leaves) >= 3


def test_an_address_opens_the_page_at_a_program(open_page, made, table):
    page = open_page(made[1], DESKTOP, "#program=0-0")
    assert page.page.evaluate("allroads.program()") == most_reached(table)


def test_a_phone_a_print_and_the_dark_show_it(open_page, made):
    phone = open_page(made[1], NARROW)
    assert phone.page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
    right = "all => Math.max(...all.map((one) => one.getBoundingClientRect().right))"
    assert phone.page.eval_on_selector_all("#atlas .chart svg, #program-panel", right) <= NARROW["width"]
    hits = phone.page.eval_on_selector_all(
        f"#{MAP} .mark-symbol path", "all => all.filter((p) => p.__data__.datum.area >= 420).length"
    )
    assert hits >= 24  # a finger meets each program
    ink = """() => getComputedStyle(document.querySelector("#atlas .mark-text text:last-of-type")).fill"""
    light = phone.page.evaluate(ink)
    phone.page.emulate_media(color_scheme="dark")
    assert phone.page.evaluate(ink) != light
    phone.page.emulate_media(media="print", color_scheme="light")
    assert phone.page.is_visible("#program-title") and not phone.page.is_visible("#program-choice")
    assert phone.complaints == []
