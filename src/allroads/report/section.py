"""A section of the page: what it shows of one or more measures, and what it says about them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from allroads.report.charts.figure import Figure
    from allroads.report.grids import Grid, Group
    from allroads.report.stored import Stored


@dataclass(frozen=True)
class Column:
    """One column of the table of runs."""

    key: str
    title: str
    form: str = ""
    hint: str = ""
    minor: bool = False

    @property
    def classes(self) -> str:
        """Its classes in the page: numbers stand on the right, and a minor column is not printed."""
        return " ".join(name for name, wanted in (("n", self.form), ("minor", self.minor)) if wanted)

    def show(self, value: Any) -> str:
        """The value as the table writes it; a dash where there is none."""
        return "–" if value is None else format(value, self.form) if self.form else str(value)


@dataclass(frozen=True)
class Listing:
    """A text with a heading, such as the source of a program.

    Attributes:
        title: Its heading.
        note: A line below the heading.
        text: The text, shown as it is.
    """

    title: str
    note: str
    text: str


@dataclass(frozen=True)
class Glance:
    """One column of the overview: a number for each group of runs.

    Attributes:
        title: Its heading.
        value: ``value(stored, group)``; ``None`` where there is none.
        form: How it is written.
        log: Whether its colours are spaced by ratio.
    """

    title: str
    value: Callable[[Stored, Group], float | None]
    form: str
    log: bool = False


def _no_listings(stored: Stored, grid: Grid) -> tuple[Listing, ...]:
    return ()


def _none(stored: Stored, grids: Sequence[Grid]) -> list[dict[str, Any]]:
    return []


def _nothing(stored: Stored, grids: Sequence[Grid]) -> tuple[Figure, ...]:
    return ()


def _no_payload(stored: Stored, grids: Sequence[Grid]) -> list[dict[str, Any]]:
    return []


def _nowhere(stored: Stored, grid: Grid) -> tuple[Figure, ...]:
    return ()


@dataclass(frozen=True)
class Section:
    """One section of the page.

    Attributes:
        name: Its anchor, and how findings call it.
        nav: Its word in the navigation.
        title: Its heading.
        link: How a finding that links to it calls it.
        lead: What a reader who has never heard of it needs to know.
        figures: ``figures(stored, grid)`` gives its charts of one grid.
        whole: ``whole(stored, grids)`` gives its charts of the whole study.
        listings: ``listings(stored, grid)`` gives the texts below its charts.
        columns: Columns of the table of runs.
        shortfalls: ``shortfalls(stored, grids)`` gives sentences about what did not work; see
            :mod:`allroads.report.words`.
        switch: Labels of its figures where they stand behind one another, by the figure's name; empty where they are
            shown one below the other.
        folded: Where not empty, the charts of single grids are folded away under this line.
        toggle: A parameter of its drawings that the reader may switch on, and the words of the switch; may be empty.
        glances: Its columns of the overview.
        keys: What arrow keys do on its charts.
        beside: Name of what stands beside its charts, a macro of ``beside.html``; may be empty.
        payload: ``payload(stored, grids)`` gives what the page's script knows beside the charts, under its name.
        trust: Name of a table whose column ``status`` is counted and explained, and the heading above that.
    """

    name: str
    nav: str
    title: str
    link: str
    lead: str
    figures: Callable[[Stored, Grid], tuple[Figure, ...]] = _nowhere
    whole: Callable[[Stored, Sequence[Grid]], tuple[Figure, ...]] = _nothing
    listings: Callable[[Stored, Grid], tuple[Listing, ...]] = _no_listings
    columns: tuple[Column, ...] = ()
    shortfalls: Callable[[Stored, Sequence[Grid]], list[dict[str, Any]]] = _none
    switch: tuple[tuple[str, str], ...] = ()
    folded: str = ""
    toggle: tuple[str, str] = ("", "")
    glances: tuple[Glance, ...] = ()
    keys: str = "Arrow keys choose a run."
    beside: str = ""
    payload: Callable[[Stored, Sequence[Grid]], list[dict[str, Any]]] = _no_payload
    trust: tuple[str, str] | None = None
