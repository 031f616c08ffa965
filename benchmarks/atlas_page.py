"""The page of a study with an atlas of 1,000 runs and 300 programs, and of 3,000 programs, in a real Chromium."""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/report"))

from browser_page import DESKTOP, PHONE
from playwright.sync_api import sync_playwright
from synthetic_atlas import add_atlas
from synthetic_study import Task, write_study

from allroads.report import write_report
from conftest import CHROMIUM_ARGS

DRAWN = "document.documentElement.dataset.drawn === 'yes'"
CASES = {"300 programs": 300, "3,000 programs": 3000}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    rows = [measure(name, programs, given.repeats) for name, programs in CASES.items()]
    for row in rows:
        print(
            "{case:>15}: {megabytes:.1f} MB, written in {write_seconds:.1f} s. Seconds until the first screen with the "
            "atlas is complete: {open_seconds:.2f} (of its thread {open_processor:.2f}); until all charts are drawn: "
            "{drawn_seconds:.2f} ({drawn_processor:.2f}, on a phone {phone_processor:.2f}); for a chosen program: "
            "({choose_processor:.2f})".format(**row)
        )
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1) + "\n")


def measure(case: str, programs: int, repeats: int) -> dict:
    """One study of 1,000 runs of ten targets; medians over repeats."""
    with tempfile.TemporaryDirectory() as folder:
        tasks = [Task("grid", f"target {i}", seeds=100) for i in range(10)]
        write_study(Path(folder), tasks, records=24, pairs=False)
        add_atlas(Path(folder), programs=programs, places=9)
        began = time.perf_counter()
        page = write_report(folder)
        wrote = time.perf_counter() - began
        with sync_playwright() as playwright:
            found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
            browser = playwright.chromium.launch(executable_path=found, args=CHROMIUM_ARGS)
            wide = [opened(browser, page, DESKTOP) for _ in range(repeats)]
            phone = [opened(browser, page, PHONE) for _ in range(repeats)]
            version = browser.version
            browser.close()
        return {
            "case": case,
            "runs": 1000,
            "programs": programs,
            "megabytes": page.stat().st_size / 1e6,
            "write_seconds": wrote,
            "open_seconds": statistics.median(one["open"] for one in wide),
            "drawn_seconds": statistics.median(one["drawn"] for one in wide),
            "open_processor": statistics.median(one["open_processor"] for one in wide),
            "drawn_processor": statistics.median(one["drawn_processor"] for one in wide),
            "phone_processor": statistics.median(one["drawn_processor"] for one in phone),
            "choose_processor": statistics.median(one["choose_processor"] for one in wide),
            "chromium": version,
        }


def opened(browser, page: Path, viewport: dict) -> dict[str, float]:
    """Seconds until the atlas, at which it is opened, and all that is in sight, is drawn, and until all charts are.

    They are of the clock, and of the main thread. The thread's own seconds are
    those of a machine that does nothing else.
    """
    tab = browser.new_page(viewport=viewport)
    session = tab.context.new_cdp_session(tab)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def processor() -> float:
        metrics = session.send("Performance.getMetrics")["metrics"]
        return next(one["value"] for one in metrics if one["name"] == "TaskDuration")

    began = time.perf_counter()
    tab.goto(f"{page.as_uri()}#atlas", wait_until="load")
    tab.wait_for_function("document.documentElement.dataset.opened === 'yes'", timeout=120_000)
    found = {"open": time.perf_counter() - began, "open_processor": processor()}
    tab.wait_for_function(DRAWN, timeout=120_000)
    tab.evaluate("allroads.drawAll().then(() => null)")  # as before a print
    found |= {"drawn": time.perf_counter() - began, "drawn_processor": processor()}
    before = processor()
    tab.click('#program-panel [data-step="1"]')
    tab.evaluate("Promise.all([...allroads.charts.values()].map((chart) => chart.view.runAsync())).then(() => null)")
    found["choose_processor"] = processor() - before
    tab.close()
    return found


if __name__ == "__main__":
    main()
