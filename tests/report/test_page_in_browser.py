"""The page as its reader meets it, in a real Chromium: charts, colours, table and size."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from browser_page import DESKTOP, PHONE

from allroads.studies.measures.measure import QUESTIONS


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
            path.__data__.datum.run === null && Number(path.getAttribute("opacity")) === 0);
          const points = line.__data__.mark.items;
          return [0.4, 0.7].map((share) => {
            const point = points[Math.floor(share * points.length)];
            const at = new DOMPoint(point.x, point.y).matrixTransform(line.getScreenCTM());
            const { step, train_accuracy_mid: mid, train_accuracy_runs: runs } = point.datum;
            return { x: at.x, y: at.y, step, mid, runs };
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


def test_a_phone_shows_it_without_sideways_scrolling(open_page, study):
    phone = open_page(study / "report.html", PHONE)
    assert phone.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert phone.page.evaluate("document.documentElement.scrollHeight") <= 12_000
    widths = phone.page.eval_on_selector_all(  # the overview scrolls within its frame
        "figure:not(.overview) .chart svg", "all => all.map(svg => svg.getBoundingClientRect().right)"
    )
    assert widths and max(widths) <= PHONE["width"]
    assert phone.complaints == []
