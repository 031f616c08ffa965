"""An open page of a real Chromium, and what tests ask of it."""

from __future__ import annotations

from pathlib import Path

DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}

OPACITIES = """([id, kind]) => [...document.querySelectorAll(`#${id} .${kind} path`)].map((path) =>
  [path.__data__.datum.run, Number(path.getAttribute("opacity") ?? 1)])"""


class Page:
    """An open page with what it asked for and what it said."""

    def __init__(self, browser, path: Path, viewport: dict, fragment: str = "", every: bool = True):
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.page = browser.new_page(viewport=viewport)
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda m: self.complaints.append(m.text) if m.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.folded: list[str] = []
        self.page.goto(path.as_uri() + fragment)
        self.drawn(every)

    def drawn(self, every: bool = True) -> None:
        """Draw every chart that is not folded away, or wait for those alone that are near to what is seen."""
        self.page.wait_for_function("document.documentElement.dataset.drawn === 'yes'", timeout=60_000)
        if every:
            self.page.evaluate("allroads.drawAll().then(() => null)")

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
