"""One run is chosen, by pointer, keys or address, and every part of the page follows; in a real Chromium."""

from __future__ import annotations

import pytest
from synthetic_study import Task, write_study

from allroads.report import write_report
from allroads.report.stored import read_stored

HITS = """(id) => {  // middles of the dots of a chart that nothing covers, with their runs
  const dots = [...document.querySelectorAll(`#${id} .mark-symbol path`)];
  return dots.map((dot) => {
    const box = dot.getBoundingClientRect();
    const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
    return { run: dot.__data__.datum.run, x, y, free: document.elementFromPoint(x, y) === dot };
  }).filter((hit) => hit.run && hit.free);
}"""


def test_a_row_marks_its_run_in_every_chart(quickstart, chart):
    run = quickstart.rows()[5]
    assert set(quickstart.opacities(chart.learning, "mark-line")) == {None}  # a median, no single runs
    quickstart.page.click(f'tr[data-run="{run}"]')
    quickstart.settle()
    assert quickstart.chosen == run and quickstart.selected_rows == [run]
    signals = quickstart.page.evaluate(
        "[...allroads.charts].map(([id, c]) => [id, c.runs.has(allroads.chosen()), c.view.signal('selected')])"
    )
    assert all(signal == (run if holds else "") for _, holds, signal in signals)
    holders = {name.split("-")[1] for name, holds, _ in signals if holds}
    assert holders == {"learning", "roads", "directness", "agreement"}
    assert set(quickstart.opacities(chart.learning, "mark-line")) == {None, run}
    for kind, mark in ((chart.roads, "mark-trail"), (chart.directness, "mark-symbol")):
        opacities = quickstart.opacities(kind, mark)
        assert max(opacities.pop(run)) >= 0.5
        assert opacities and max(max(values) for values in opacities.values()) <= 0.2
    cells = quickstart.page.evaluate(
        """(id) => [...document.querySelectorAll(`#${id} .mark-rect path`)].map((p) => [p.__data__.datum.run,
           p.__data__.datum.other, Number(p.getAttribute("opacity") ?? 1)])""",
        chart.agreement,
    )
    assert {opacity for a, b, opacity in cells if run in (a, b)} == {1}
    assert {opacity for a, b, opacity in cells if run not in (a, b)} == {0.15}


def test_the_panel_tells_of_the_run_and_how_to_load_it(quickstart):
    row = quickstart.page.locator("#runs tbody tr", has_text="diverged")
    row.click()
    panel = quickstart.page.locator("#run-panel")
    panel.locator(".more").click()
    assert "digits 8×8 · seed 5" in panel.inner_text()
    assert "Lower the learning rate" in panel.inner_text()
    run = quickstart.page.evaluate(
        "JSON.parse(document.getElementById('payload').textContent).runs.find((r) => r.run === allroads.chosen())"
    )
    code = quickstart.page.locator("#run-panel .code").inner_text().strip().splitlines()
    assert len(code) == 3 and code[0] == "from safetensors.numpy import load_file"
    assert f'"cells/{run["cell"][:2]}/{run["cell"]}/weights.safetensors"' in code[1]
    compile("\n".join(code), "panel", "exec")
    quickstart.page.wait_for_selector(".run-chart .mark-line path", state="attached")
    assert quickstart.page.url.endswith(f"#run={run['run']}")


@pytest.mark.parametrize("kind", ["directness", "roads"])
def test_a_dot_selects_its_row(quickstart, chart, kind):
    identity = getattr(chart, kind)
    quickstart.page.locator(f"#{identity}").scroll_into_view_if_needed()
    hit = quickstart.page.evaluate(HITS, identity)[0]
    quickstart.page.mouse.click(hit["x"], hit["y"])
    assert quickstart.selected_rows == [hit["run"]] == [quickstart.chosen]


def test_a_line_and_a_cell_select_a_run(quickstart, chart):
    quickstart.page.click("#learning .toggle")
    quickstart.settle()
    quickstart.page.locator(f"#{chart.learning}").scroll_into_view_if_needed()
    spot = quickstart.page.evaluate(
        """(id) => {
          const lines = [...document.querySelectorAll(`#${id} .mark-line path`)];
          const line = lines.filter((path) => path.__data__.datum.run).at(-1);
          const at = line.getPointAtLength(line.getTotalLength() / 2).matrixTransform(line.getScreenCTM());
          return { x: at.x, y: at.y };
        }""",
        chart.learning,
    )
    quickstart.page.mouse.click(spot["x"], spot["y"] + 3)  # beside the line, within its reach
    assert quickstart.chosen in quickstart.rows()[:16]
    quickstart.page.click("#learning .toggle")
    cell = quickstart.page.locator(f"#{chart.agreement} .mark-rect path").nth(40)
    run = cell.evaluate("(path) => path.__data__.datum.run")
    quickstart.page.evaluate("allroads.choose('')")
    cell.click()
    assert quickstart.selected_rows == [run]


def test_keys_move_the_choice(quickstart, chart):
    rows = quickstart.rows()
    quickstart.page.focus(f'tr[data-run="{rows[0]}"]')
    quickstart.page.keyboard.press("Enter")
    assert quickstart.selected_rows == rows[:1]
    quickstart.page.keyboard.press("ArrowDown")
    quickstart.page.keyboard.press("ArrowDown")
    assert quickstart.selected_rows == rows[2:3]
    assert quickstart.page.evaluate("document.activeElement.dataset.run") == rows[2]
    quickstart.page.keyboard.press("ArrowUp")
    assert quickstart.selected_rows == rows[1:2]
    quickstart.page.keyboard.press("Escape")
    assert quickstart.selected_rows == [] and quickstart.chosen == ""
    quickstart.page.focus(f"#{chart.roads}")
    quickstart.page.keyboard.press("ArrowDown")
    assert quickstart.selected_rows == rows[:1]


@pytest.mark.parametrize(("ahead", "back"), [("ArrowDown", "ArrowUp"), ("ArrowRight", "ArrowLeft")])
def test_every_arrow_key_steps_from_the_buttons_of_the_bar(quickstart, ahead, back):
    page, rows = quickstart.page, quickstart.rows()
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("ArrowRight")
    page.click('#run-panel [data-move="-1"]')
    assert quickstart.chosen == rows[0]
    seen = []
    for key in (ahead, ahead, back, back, back):
        page.keyboard.press(key)
        seen.append(quickstart.chosen)
    assert seen == [rows[1], rows[2], rows[1], rows[0], rows[0]]


def test_left_and_right_step_from_anywhere_but_a_field(quickstart):
    page, rows = quickstart.page, quickstart.rows()
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("ArrowRight")
    assert quickstart.chosen == rows[0]
    before = page.evaluate("scrollY")
    page.keyboard.press("ArrowDown")  # scrolls, as on every page
    assert quickstart.chosen == rows[0]
    page.wait_for_function(f"scrollY > {before}")
    page.click('#run-panel [data-move="1"]')
    for key, place in (("ArrowLeft", 0), ("ArrowRight", 1), ("ArrowDown", 2)):
        page.keyboard.press(key)
        assert quickstart.chosen == rows[place]
    page.focus("#filter")
    page.keyboard.press("ArrowLeft")
    assert quickstart.chosen == rows[2]
    page.evaluate("document.activeElement.blur()")


def test_the_address_opens_the_page_at_a_run(open_page, tmp_path):
    write_study(tmp_path, [Task("g", "t", seeds=3)], records=12)
    run = read_stored(tmp_path).runs["run"][1]
    opened = open_page(write_report(tmp_path), fragment=f"#run={run}")
    assert opened.selected_rows == [run]
    assert opened.complaints == []
