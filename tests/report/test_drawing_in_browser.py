"""Charts are drawn when they come near to what is seen, and all of them before the page is printed."""

from __future__ import annotations

import pytest
from browser_page import DESKTOP, PHONE

DRAWN = "[...allroads.charts].filter(([, chart]) => chart).map(([id]) => id)"
SHOWN = "[...document.querySelectorAll('.chart')].filter((chart) => chart.checkVisibility()).map((chart) => chart.id)"
FAR = """[...document.querySelectorAll(".chart")].filter((chart) => chart.checkVisibility() &&
  chart.getBoundingClientRect().top > innerHeight + 1000).map((chart) => chart.id)"""
HEIGHT = "document.documentElement.scrollHeight"


@pytest.mark.parametrize("viewport", [DESKTOP, pytest.param(PHONE, marks=pytest.mark.slow)], ids=["desktop", "phone"])
def test_what_is_far_waits_and_moves_nothing_when_it_is_drawn(open_page, study, viewport):
    opened = open_page(study / "report.html", viewport, every=False)
    drawn, far = set(opened.page.evaluate(DRAWN)), opened.page.evaluate(FAR)
    assert drawn and far and drawn.isdisjoint(far)
    height = opened.page.evaluate(HEIGHT)
    opened.drawn()
    assert set(opened.page.evaluate(DRAWN)) == set(opened.page.evaluate(SHOWN))
    assert abs(opened.page.evaluate(HEIGHT) - height) <= 16
    assert opened.complaints == []


def test_what_is_scrolled_to_is_drawn_with_the_choice(open_page, study):
    opened = open_page(study / "report.html", every=False)
    far = next(name for name in opened.page.evaluate(FAR) if name.startswith("chart-directness"))
    run = opened.page.evaluate("document.querySelector('tbody tr[data-run]').dataset.run")
    opened.page.evaluate("(run) => allroads.choose(run)", run)
    opened.page.focus(f"#{far}")  # as the tabulator does
    opened.page.wait_for_function("(id) => allroads.charts.get(id)", arg=far)
    chart = f"allroads.charts.get({far!r})"
    assert opened.page.evaluate(f"{chart}.view.signal('selected')") == (
        run if opened.page.evaluate(f"{chart}.runs.has({run!r})") else ""
    )
    assert opened.page.locator(f"#{far} .mark-symbol path").count() > 0


def test_an_address_draws_where_it_leads(open_page, study):
    opened = open_page(study / "report.html", fragment="#directness", every=False)
    places = opened.page.eval_on_selector_all(
        "#directness .chart",
        "all => all.filter((c) => c.checkVisibility()).map((c) => [c.id, c.getBoundingClientRect().top])",
    )
    drawn = opened.page.evaluate(DRAWN)
    assert places and all(0 <= top <= DESKTOP["height"] for _, top in places[:1])
    assert {name for name, top in places if top < DESKTOP["height"]} <= set(drawn)
    assert abs(opened.page.evaluate("document.querySelector('#directness').getBoundingClientRect().top")) < 100


@pytest.mark.slow
def test_a_print_has_every_chart(open_page, study):
    opened = open_page(study / "report.html", every=False)
    before = len(opened.page.evaluate(DRAWN))
    printed = opened.page.pdf()
    shown = opened.page.evaluate(SHOWN)
    assert set(opened.page.evaluate(DRAWN)) == set(shown) and before < len(shown)
    again = opened.page.pdf()  # of a page on which all is drawn
    assert len(printed) == pytest.approx(len(again), rel=0.01) and opened.complaints == []
