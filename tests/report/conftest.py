from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from synthetic_study import quickstart, write_study

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
    directory = write_study(tmp_path_factory.mktemp("quickstart"), quickstart())
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
