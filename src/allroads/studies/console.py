"""Progress on the standard error: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from allroads.studies.phase import Progress

if TYPE_CHECKING:
    from rich.progress import TaskID

SECONDS_BETWEEN_LINES = 2.0


@contextmanager
def watching(stream: TextIO | None = None) -> Iterator[Callable[[Progress], None]]:
    """A function that shows progress on ``stream`` (default: the standard error) while the block runs."""
    stream = stream or sys.stderr
    if not stream.isatty():
        yield _Lines(stream)
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars
    from rich.table import Column

    columns = (
        TextColumn("{task.description:<12}", table_column=Column(min_width=12)),
        BarColumn(),
        TextColumn("{task.fields[jobs]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[text]}"),
    )
    bars = Bars(*columns, console=Console(file=stream))
    tasks: dict[str, TaskID] = {}

    def show(progress: Progress) -> None:
        if progress.phase not in tasks:
            tasks[progress.phase] = bars.add_task(progress.phase, total=1.0, jobs="", text="")
        jobs = f"{progress.jobs}/{progress.of}"
        task = tasks[progress.phase]
        bars.update(task, completed=progress.share, jobs=jobs, text=escape(progress.text[:60]))

    with bars:
        yield show


class _Lines:
    """One line per job, at most one every two seconds, and one at the end of a phase."""

    def __init__(self, stream: TextIO):
        self.stream, self.shown, self.began, self.phase = stream, 0.0, 0.0, ""

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if progress.phase != self.phase:
            self.phase, self.began, self.shown = progress.phase, now, 0.0
        if progress.jobs < progress.of and now - self.shown < SECONDS_BETWEEN_LINES:
            return
        self.shown = now
        left = (now - self.began) * (1 / progress.share - 1) if progress.share else None
        ending = f", about {left:.0f} s left" if left else ""
        text = f": {progress.text}" if progress.text else ""
        print(f"{progress.phase} {progress.jobs}/{progress.of}{ending}{text}", file=self.stream, flush=True)
