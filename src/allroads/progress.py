"""Progress of one call: a bar on a terminal and in notebooks, a plain line now and then elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TextIO

SECONDS_BEFORE = 2.0
"""Seconds after which a bar appears on a terminal or in a notebook."""

SECONDS_BETWEEN_LINES = 10.0
"""Seconds between two plain lines."""

Say = Callable[[str], None]
"""``say(text)`` tells what is being done now."""


@contextmanager
def progress(title: str, shown: bool = True, stream: TextIO | None = None, bar: bool = True) -> Iterator[Say]:
    """A function that tells what is being done, while the block runs.

    On a terminal, and in a notebook that has the package ``ipywidgets``, a bar appears after two seconds and disappears
    at the end. Elsewhere a plain line is written every ten seconds. Short calls write nothing.

    Args:
        title: What runs, such as ``"extract"``.
        shown: Whether anything is written.
        stream: Where to; default the notebook, or else the standard error.
        bar: Whether there may be a bar. Without it the first plain line comes after two seconds, on a terminal too:
            for a part of a call that may have a bar of its own.

    Example:
        >>> with progress("extract", shown=False) as say:
        ...     say("as a machine")
    """
    if not shown:
        yield lambda text: None
        return
    notebook = stream is None and in_notebook()
    given: TextIO = stream or sys.stderr
    watch: _Bar | _Lines
    if bar:
        watch = _Bar(title, given, notebook) if notebook or given.isatty() else _Lines(title, given)
    else:
        watch = _Lines(title, given, SECONDS_BEFORE)
    try:
        yield watch.say
    finally:
        watch.stop()


def in_notebook() -> bool:
    """Whether an IPython kernel runs this code and can show a bar; IPython is not imported to find out."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return hasattr(shell, "kernel") and find_spec("ipywidgets") is not None


class _Lines:
    """A thread that writes what was said last, every ten seconds."""

    def __init__(self, title: str, stream: TextIO, first: float | None = None):
        self.title, self.stream, self.text = title, stream, ""
        self.first = SECONDS_BETWEEN_LINES if first is None else first
        self.began, self.ended = time.monotonic(), threading.Event()
        threading.Thread(target=self._run, name="allroads-progress", daemon=True).start()

    def say(self, text: str) -> None:
        self.text = text

    def stop(self) -> None:
        self.ended.set()

    def _run(self) -> None:
        wait = self.first
        while not self.ended.wait(wait):
            wait = SECONDS_BETWEEN_LINES
            what = f"{self.title}: {self.text}" if self.text else self.title
            self.stream.write(f"{what} ({time.monotonic() - self.began:.0f} s)\n")
            self.stream.flush()


class _Bar:
    """A bar without a known end, shown once the call has taken two seconds."""

    def __init__(self, title: str, stream: TextIO, notebook: bool):
        from rich.console import Console
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
        self.title = title
        self.bar = Progress(*columns, console=Console(file=stream, force_jupyter=notebook), transient=True)
        self.task = self.bar.add_task(title)
        self.timer = threading.Timer(SECONDS_BEFORE, self.bar.start)
        self.timer.daemon = True
        self.timer.start()

    def say(self, text: str) -> None:
        self.bar.update(self.task, description=f"{self.title}: {text}")

    def stop(self) -> None:
        self.timer.cancel()
        self.timer.join()
        self.bar.stop()
