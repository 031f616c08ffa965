"""The page as its reader meets it, in a real Chromium."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest
from synthetic_study import Task, write_study

from allroads.report import write_report
from allroads.report.grids import read_grids
from allroads.report.stored import read_stored
from allroads.studies.measures.measure import QUESTIONS

DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}

HITS = """(id) => {  // middles of the dots of a chart that nothing covers, with their runs
  const dots = [...document.querySelectorAll(`#${id} .mark-symbol path`)];
  return dots.map((dot) => {
    const box = dot.getBoundingClientRect();
    const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
    return { run: dot.__data__.datum.run, x, y, free: document.elementFromPoint(x, y) === dot };
  }).filter((hit) => hit.run && hit.free);
}"""
OPACITIES = """([id, kind]) => [...document.querySelectorAll(`#${id} .${kind} path`)].map((path) =>
  [path.__data__.datum.run, Number(path.getAttribute("opacity") ?? 1)])"""


class Page:
    """An open page with what it asked for and what it said."""

    def __init__(self, browser, path: Path, viewport: dict, fragment: str = ""):
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.page = browser.new_page(viewport=viewport)
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda m: self.complaints.append(m.text) if m.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.folded: list[str] = []
        self.page.goto(path.as_uri() + fragment)
        self.drawn()

    def drawn(self) -> None:
        """Wait until every chart in sight is drawn."""
        self.page.wait_for_function("document.documentElement.dataset.drawn === 'yes'", timeout=60_000)

    @property
    def chosen(self) -> str:
        return self.page.evaluate("allroads.chosen()")

    @property
    def selected_rows(self) -> list[str]:
        return self.page.eval_on_selector_all(
            'tbody tr[aria-selected="true"]', "rows => rows.map(row => row.dataset.run)"
        )

    def settle(self) -> None:
        """Wait until every chart has drawn the last choice."""
        self.page.evaluate(
            "Promise.all([...allroads.charts.values()].map(chart => chart.view.runAsync())).then(() => null)"
        )

    def rows(self) -> list[str]:
        return self.page.eval_on_selector_all(
            "#runs tbody tr:not([hidden])", "rows => rows.map(row => row.dataset.run)"
        )

    def opacities(self, chart: str, kind: str) -> dict[str, set[float]]:
        found: dict[str, set[float]] = {}
        for run, opacity in self.page.evaluate(OPACITIES, [chart, kind]):
            found.setdefault(run, set()).add(opacity)
        return found


@pytest.fixture(scope="module")
def open_page(browser) -> Iterator[Callable[..., Page]]:
    opened: list[Page] = []

    def opener(path: Path, viewport: dict = DESKTOP, fragment: str = "") -> Page:
        opened.append(Page(browser, path, viewport, fragment))
        return opened[-1]

    yield opener
    for page in opened:
        page.page.close()


@pytest.fixture(scope="module")
def shared(open_page, study) -> Page:
    """The page with its matrices unfolded."""
    opened = open_page(study / "report.html")
    opened.folded = opened.page.evaluate("[...allroads.charts.keys()]")
    opened.page.click("#pairs details.fold > summary")
    opened.drawn()
    return opened


@pytest.fixture
def quickstart(shared) -> Page:
    """The page of a study of quickstart size, as when it was opened."""
    shared.page.evaluate("allroads.choose('')")
    shared.settle()
    return shared


@pytest.fixture(scope="module")
def chart(shared) -> SimpleNamespace:
    """Ids of one chart of each kind in the first grid."""
    ids = shared.page.evaluate("[...allroads.charts.keys()]")
    kinds = ("learning", "roads", "directness", "agreement")
    return SimpleNamespace(**{kind: next(i for i in ids if i.startswith(f"chart-{kind}-")) for kind in kinds})


def test_every_chart_has_marks_and_nothing_is_fetched_or_complained_of(quickstart):
    counts = quickstart.page.evaluate(
        """Object.fromEntries([...document.querySelectorAll(".chart")].filter((c) => c.checkVisibility()).map((c) =>
           [c.id, c.querySelectorAll(":is(.mark-line, .mark-trail, .mark-symbol, .mark-rect) path").length]))"""
    )
    # The overview, learning, roads, directness, groups compared by their pairs, and agreement once unfolded.
    assert len(quickstart.folded) == 1 + 14 + 14 + 3 + 2 and len(counts) == len(quickstart.folded) + 14
    assert min(counts.values()) >= 4  # a median and the line that tells of it, of both sets of examples
    assert min(count for name, count in counts.items() if "learning" not in name) >= 7  # runs that did not diverge
    assert quickstart.complaints == []
    assert quickstart.requests and {url.split(":")[0] for url in quickstart.requests} <= {"file", "data", "blob"}
    assert sum(url.startswith("file:") for url in quickstart.requests) == 1


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


def test_single_runs_and_stages_are_drawn_on_demand(quickstart, chart):
    page = quickstart.page
    counts = """([id, kind]) => document.querySelectorAll(`#${id} .${kind} path`).length"""
    for section, identity, mark in (("learning", chart.learning, "mark-line"), ("roads", chart.roads, "mark-symbol")):
        before = page.evaluate(counts, [identity, mark])
        toggle = page.locator(f"#{section} .toggle")
        toggle.click()
        quickstart.settle()
        assert toggle.get_attribute("aria-pressed") == "true"
        assert page.evaluate(counts, [identity, mark]) >= before + 16  # one more for each run at least
        toggle.click()
        quickstart.settle()
        assert toggle.get_attribute("aria-pressed") == "false" and page.evaluate(counts, [identity, mark]) == before


def test_the_median_tells_its_numbers_where_the_pointer_is(quickstart, chart):
    """Along the median of the first panel, the tooltip has the step nearest to the pointer and the median there."""
    page = quickstart.page
    page.locator(f"#{chart.learning}").scroll_into_view_if_needed()
    spots = page.evaluate(
        """(id) => {
          const view = allroads.charts.get(id).view;
          const line = [...document.querySelectorAll(`#${id} .mark-line path`)].find((path) =>
            path.__data__.datum.mid !== undefined && Number(path.getAttribute("opacity")) === 0);
          const points = line.__data__.mark.items;
          return [0.4, 0.7].map((share) => {
            const point = points[Math.floor(share * points.length)];
            const at = new DOMPoint(point.x, point.y).matrixTransform(line.getScreenCTM());
            return { x: at.x, y: at.y, step: point.datum.step, mid: point.datum.mid, runs: point.datum.runs };
          });
        }""",
        chart.learning,
    )
    for spot in spots:
        page.mouse.move(spot["x"], spot["y"])
        page.wait_for_function(
            """(step) => document.querySelector("#vg-tooltip-element.visible")?.textContent.includes(step)""",
            arg=f"{spot['step']:,}",
        )
        text = page.inner_text("#vg-tooltip-element")
        assert f"{100 * spot['mid']:.1f}%" in text and "middle half" in text and str(spot["runs"]) in text
    page.mouse.move(1, 1)


def test_a_panel_opens_large_and_zooms(quickstart):
    page = quickstart.page
    page.click("#learning .enlarge >> nth=0")
    page.wait_for_selector("#enlarged[data-drawn]")
    ticks = """() => [...document.querySelectorAll(".dialog-chart .role-axis-label text")].map((t) => t.textContent)"""
    before = page.evaluate(ticks)
    box = page.locator(".dialog-chart svg").bounding_box()
    assert box["width"] > 1000
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.wheel(0, -500)
    page.wait_for_function(f"(before) => JSON.stringify(({ticks})()) !== JSON.stringify(before)", arg=before)
    with page.expect_download() as found:
        page.click('.save[data-kind="svg"]')
    picture = Path(found.value.path()).read_text("utf-8")
    assert picture.startswith("<svg") and "var(" not in picture and found.value.suggested_filename.endswith(".svg")
    page.keyboard.press("Escape")
    assert not page.locator("#enlarged").is_visible() and quickstart.complaints == []


def test_the_scheme_follows_the_system_and_its_switch(quickstart):
    page = quickstart.page
    ground = """() => getComputedStyle(document.body).backgroundColor"""
    line = """() => getComputedStyle(document.querySelector("#learning .role-axis-label text")).fill"""
    light = page.evaluate(ground), page.evaluate(line)
    page.emulate_media(color_scheme="dark")
    dark = page.evaluate(ground), page.evaluate(line)
    assert light[0] != dark[0] and light[1] != dark[1]
    page.click(".scheme")
    assert (page.evaluate(ground), page.evaluate(line)) == light
    page.click(".scheme")
    assert (page.evaluate(ground), page.evaluate(line)) == dark
    page.emulate_media(media="print")
    assert page.evaluate(line) == light[1]
    page.emulate_media(media="screen", color_scheme="light")
    page.evaluate("localStorage.clear(); delete document.documentElement.dataset.theme")


def test_the_page_is_short_and_answers_first(quickstart, open_page, study):
    fresh = open_page(study / "report.html")
    assert fresh.page.evaluate("document.documentElement.scrollHeight") <= 7000
    questions = fresh.page.eval_on_selector_all(".findings dt", "all => all.map(dt => dt.textContent)")
    assert questions[:5] == list(QUESTIONS.values())
    last = fresh.page.locator(".findings > div").nth(4).bounding_box()
    assert last["y"] + last["height"] <= DESKTOP["height"]
    unknown = fresh.page.locator(".findings > div", has_text="What lies around?")
    assert "did not measure" in unknown.inner_text()


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


def test_the_table_sorts_both_ways_and_filters(quickstart):
    page = quickstart.page
    head = page.locator('#runs th:has([data-key="directness"])')
    place = head.evaluate("head => head.cellIndex")
    values = f"rows => rows.map(row => row.querySelectorAll('td')[{place}].textContent)"
    for direction, sign in (("ascending", 1), ("descending", -1)):
        head.locator("button").click()
        assert head.get_attribute("aria-sort") == direction
        shown = page.eval_on_selector_all("#runs tbody tr", values)
        numbers = [float(value) * sign for value in shown if value != "–"]
        assert len(numbers) == 119 and numbers == sorted(numbers) and shown[-1] == "–"
    page.fill("#filter", "digits DIVERGED")
    assert len(quickstart.rows()) == 1
    page.fill("#filter", "parity of 7")  # the words apart are in rows of other parities with seed 7, too
    targets = page.eval_on_selector_all(
        "#runs tbody tr:not([hidden])", "rows => rows.map(row => row.querySelector('td').textContent.trim())"
    )
    assert targets == ["parity of 7"] * 8
    assert page.locator(".filter output").inner_text() == "8 of 120 runs"
    page.fill("#filter", "  Parity   OF 4 · seed 7 ")
    assert len(quickstart.rows()) == 1
    page.fill("#filter", "majority")
    assert len(quickstart.rows()) == 8 and page.locator(".filter output").inner_text() == "8 of 120 runs"
    page.fill("#filter", "")
    page.locator('#runs [data-key="seed"]').click()
    assert len(quickstart.rows()) == 120


def test_loss_replaces_accuracy(quickstart):
    page = quickstart.page
    page.click('#learning [data-figure="loss"]')
    page.wait_for_selector("#learning-modular figure.loss .mark-line path")
    assert not page.is_visible("#learning-modular figure.learning")
    page.click('#learning [data-figure="learning"]')
    assert page.is_visible("#learning-modular figure.learning")


def test_every_finding_links_to_a_place_on_the_page(quickstart):
    links = quickstart.page.eval_on_selector_all(
        ".findings a, nav ul a", "links => links.map(link => link.getAttribute('href'))"
    )
    assert len(links) == 5 + 8
    assert all(quickstart.page.locator(link).count() == 1 for link in links)


def test_headings_are_in_order_and_controls_have_names(quickstart):
    levels = quickstart.page.eval_on_selector_all("h1,h2,h3,h4", "all => all.map(h => Number(h.tagName[1]))")
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert quickstart.page.get_attribute("html", "lang") == "en"
    unnamed = quickstart.page.evaluate(
        """[...document.querySelectorAll("button, input, [role=group], table[role]")].filter((e) =>
           !(e.textContent.trim() || e.getAttribute("aria-label") || e.labels?.length)).length"""
    )
    assert unnamed == 0


def test_the_address_opens_the_page_at_a_run(open_page, tmp_path):
    write_study(tmp_path, [Task("g", "t", seeds=3)], records=12)
    run = read_stored(tmp_path).runs["run"][1]
    opened = open_page(write_report(tmp_path), fragment=f"#run={run}")
    assert opened.selected_rows == [run]
    assert opened.complaints == []


def test_a_phone_shows_it_without_sideways_scrolling(open_page, study):
    phone = open_page(study / "report.html", PHONE)
    assert phone.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert phone.page.evaluate("document.documentElement.scrollHeight") <= 12_000
    widths = phone.page.eval_on_selector_all(  # the overview scrolls within its frame
        "figure:not(.overview) .chart svg", "all => all.map(svg => svg.getBoundingClientRect().right)"
    )
    assert widths and max(widths) <= PHONE["width"]
    assert phone.complaints == []


def test_names_are_words_and_never_code(open_page, tmp_path):
    attack = "<script>window.hacked=1</script><img src=x onerror=window.hacked=1>"
    tasks = [
        Task("../x", attack, seeds=3),
        Task(attack, "</script><b>bold", seeds=3, architectures=("{{ 7 * 7 }}", "'\"><i>arch")),
    ]
    write_study(tmp_path, tasks, name=attack, question="a </script> b & c", records=12)
    page = open_page(write_report(tmp_path))
    page.page.click("#runs tbody tr:nth-child(2)")
    page.page.click("#run-panel .more")
    page.page.wait_for_selector(".run-chart .mark-line path", state="attached")
    for kind in ("learning", "roads"):
        page.page.hover(f".{kind} .chart svg >> nth=0")
    assert page.page.evaluate("window.hacked") is None
    assert page.page.title().startswith(attack) and page.page.inner_text("h1") == attack
    assert page.page.locator("img, b, i").count() == 0
    assert "{{ 7 * 7 }}" in page.page.inner_text("#runs")
    assert page.complaints == []


@pytest.mark.slow
def test_names_that_every_object_of_javascript_has_are_labels_like_others(open_page, tmp_path):
    names = ("constructor", "toString", "__proto__", "hasOwnProperty")
    tasks = [Task("valueOf", name, seeds=3, architectures=("constructor", "__proto__")) for name in names]
    write_study(tmp_path, [*tasks, Task("constructor", "constructor", seeds=3)], name="constructor", records=12)
    opened = open_page(write_report(tmp_path))
    drawn = opened.page.evaluate(
        """Object.fromEntries([...document.querySelectorAll(".directness .chart")].map((chart) => [chart.id,
           [...chart.querySelectorAll(".mark-symbol path")].map((dot) =>
             [dot.__data__.datum.group, dot.getAttribute("fill")])]))"""
    )
    colours = {group.label: group.colour for grid in read_grids(read_stored(tmp_path)) for group in grid.groups}
    assert len(drawn) == 2
    for dots in drawn.values():
        assert dots and all(colour == colours[group] for group, colour in dots)
    for row in range(1, 28):
        opened.page.click(f"#runs tbody tr:nth-child({row})")
    assert opened.page.inner_text(".run-name").strip() == "constructor · seed 2"
    assert opened.complaints == []


BARE = {
    "no held-out examples": [Task("g", "t", held_out=False, seeds=3)],
    "one run": [Task("g", "t", seeds=1)],
    "every run diverged": [Task("g", "t", seeds=3, diverge=(0, 1, 2))],
    "no accuracy": [Task("g", "t", seeds=3, accuracy=False)],
    "two architectures": [Task("g", "t", seeds=3, architectures=("mlp", "gru"))],
    "no runs": [],
}


@pytest.mark.parametrize("case", BARE)
def test_a_page_with_parts_missing_says_so_in_words(open_page, tmp_path, case):
    write_study(tmp_path, BARE[case], records=12, pairs=case == "two architectures", embedding=case != "one run")
    page = open_page(write_report(tmp_path))
    text = page.page.inner_text("main")
    said = {
        "no held-out examples": "nothing was held out here",
        "one run": "No road was embedded for this grid",
        "every run diverged": "3 of 3 runs of g ended as diverged",
        "no accuracy": "training loss",
        "two architectures": "t · gru",
        "no runs": "No run is finished yet",
    }[case]
    assert said in text
    if BARE[case] and case != "two architectures":
        assert "No pair was compared in this grid" in text
    empty = page.page.evaluate(
        """[...document.querySelectorAll(".chart")].filter((c) => c.checkVisibility() &&
           !c.querySelector(":is(.mark-line, .mark-trail, .mark-symbol, .mark-rect) path")).map((c) => c.id)"""
    )
    assert empty == []
    if case != "no runs":
        page.page.click("#runs tbody tr")
        page.page.click("#run-panel .more")
        page.page.wait_for_selector(".run-chart .mark-line path", state="attached")
    assert page.complaints == []
