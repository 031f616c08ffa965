from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from browser_page import DESKTOP, Page
from synthetic_study import quickstart as quickstart_tasks
from synthetic_study import write_study

from allroads.report import write_report

CHROMIUM_ARGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of quickstart size with its report written."""
    directory = write_study(tmp_path_factory.mktemp("quickstart"), quickstart_tasks())
    write_report(directory)
    return directory


@pytest.fixture(scope="session")
def browser() -> Iterator:
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("no Chromium on the PATH: install it, for example with `apt-get install chromium`")
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is missing: pip install playwright")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=CHROMIUM_ARGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def open_page(browser) -> Iterator[Callable[..., Page]]:
    opened: list[Page] = []

    def opener(path: Path, viewport: dict = DESKTOP, fragment: str = "", every: bool = True) -> Page:
        opened.append(Page(browser, path, viewport, fragment, every))
        return opened[-1]

    yield opener
    for page in opened:
        page.page.close()


@pytest.fixture(scope="module")
def shared(open_page, study) -> Page:
    """The page with its matrices unfolded; each module has its own, since tests sort its table and draw more charts."""
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
