"""The runs of a study sorted into grids and groups, each with its name, mark and anchor."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from allroads.report.palette import group_mark
from allroads.report.stored import Stored

MOST_RUNS = 2000
"""Runs of a study that the page draws and lists one by one; of more, a sample."""


@dataclass(frozen=True)
class Group:
    """Runs that differ in their seed alone.

    Attributes:
        index: Its place in the study, which decides its mark.
        label: Its target, and what else tells it from the other groups of its grid.
        target: Its target's name.
        runs: Its rows of the table of runs, by seed.
    """

    index: int
    label: str
    target: str
    runs: pl.DataFrame

    @property
    def colour(self) -> str:
        """The colour of its mark."""
        return group_mark(self.index)[0]

    @property
    def shape(self) -> str:
        """The shape of its mark."""
        return group_mark(self.index)[1]


@dataclass(frozen=True)
class Grid:
    """One grid of a study: what it asked, and its groups of runs.

    Attributes:
        name: As its author wrote it.
        slug: The same in letters that are safe in an anchor and in a file name; unique in the study.
        question: What it asks, in words; may be empty.
        groups: Its groups, targets in the study's order.
        runs: All its runs, with the columns ``group`` (label) and ``name`` (label and seed) added.
        missing: Targets of the study of which no run is finished.
        shown: Names of the runs that are drawn and listed one by one: of each group as many as its share of
            ``MOST_RUNS``, spread evenly over its seeds; ``None`` where all are.
    """

    name: str
    slug: str
    question: str
    groups: tuple[Group, ...]
    runs: pl.DataFrame
    missing: tuple[str, ...]
    shown: frozenset[str] | None = None

    def singles(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows of the runs that are drawn one by one, and those of no run.

        Args:
            rows: With the column ``run``.
        """
        if self.shown is None:
            return rows
        return rows.filter(pl.col("run").is_null() | pl.col("run").is_in(list(self.shown)))

    @property
    def last_step(self) -> int:
        """The largest number of steps that a run of this grid was given."""
        return max(self.runs["steps"].to_list(), default=1) or 1


def by_target(grid: Grid) -> Grid:
    """The same grid with one group per target, whatever the architecture and the explorer of its runs."""
    targets = {group.target: group.index for group in reversed(grid.groups)}
    groups = [
        Group(index, target, target, grid.runs.filter(pl.col("target") == target))
        for target, index in reversed(targets.items())
    ]
    return replace(grid, groups=tuple(groups))


def full_labels(grids: Iterable[Grid]) -> dict[int, str]:
    """What the groups of a study are called where they stand together, by index: with their grid where two share one.

    Args:
        grids: Of one study.
    """
    groups = [(grid.name, group) for grid in grids for group in grid.groups]
    said = Counter(group.label for _, group in groups)
    return {g.index: g.label if said[g.label] == 1 else f"{grid}: {g.label}" for grid, g in groups}


def slug(name: str) -> str:
    """Lower-case ASCII letters, digits and single hyphens; never empty, at most 60 characters.

    Example:
        >>> slug("a + b mod 53"), slug("../x"), slug("<script>"), slug("…")
        ('a-b-mod-53', 'x', 'script', 'unnamed')
    """
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:60].strip("-") or "unnamed"


def slugs(names: Iterable[str]) -> dict[str, str]:
    """One slug a name, told apart by a number where two would be the same.

    Example:
        >>> slugs(["a b", "a-b"])
        {'a b': 'a-b', 'a-b': 'a-b-2'}
    """
    taken: dict[str, str] = {}
    for name in names:
        candidate, count = slug(name), 1
        while candidate in taken.values():
            count += 1
            candidate = f"{slug(name)}-{count}"
        taken[name] = candidate
    return taken


def read_grids(stored: Stored) -> tuple[Grid, ...]:
    """Sort the runs of a study into its grids, in the order of the summary."""
    entries: dict[str, dict[str, Any]] = {entry["name"]: entry for entry in stored.summary.get("grids", [])}
    for name in stored.runs["grid"].unique(maintain_order=True):
        entries.setdefault(name, {"name": name})
    anchors = slugs(entries)
    grids, count = [], 0
    share = MOST_RUNS / max(stored.runs.height, 1)
    for name, entry in entries.items():
        runs = stored.runs.filter(pl.col("grid") == name)
        targets = [target["name"] for target in entry.get("targets", [])]
        groups = _groups(runs, targets, count)
        count += len(groups)
        grids.append(
            Grid(
                name=name,
                slug=anchors[name],
                question=entry.get("question") or "",
                groups=groups,
                runs=_named(runs, groups),
                missing=tuple(target for target in targets if target not in set(runs["target"])),
                shown=None if share >= 1 else frozenset(run for group in groups for run in _sample(group, share)),
            )
        )
    return tuple(grids)


def _named(runs: pl.DataFrame, groups: tuple[Group, ...]) -> pl.DataFrame:
    """The runs of a grid, group by group, with the group's label and the run's name."""
    named = [
        group.runs.select(
            "run",
            pl.lit(group.label).alias("group"),
            pl.format("{} · seed {}", pl.lit(group.label), "seed").alias("name"),
            pl.all().exclude("run"),
        )
        for group in groups
    ]
    empty: dict[str, Any] = {"run": pl.String, "group": pl.String, "name": pl.String, **runs.drop("run").schema}
    return pl.concat(named) if named else pl.DataFrame(schema=empty)


def _sample(group: Group, share: float) -> list[str]:
    """Runs of a group, spread evenly over its seeds: this share of them, and one at least."""
    many = max(int(share * group.runs.height), 1)
    places = np.linspace(0, group.runs.height - 1, many).round().astype(int)
    sample: list[str] = group.runs["run"].gather(places).to_list()
    return sample


def _groups(runs: pl.DataFrame, targets: list[str], start: int) -> tuple[Group, ...]:
    """Split the runs of one grid; a label says the target and whatever else varies within the grid."""
    rank = {target: place for place, target in enumerate(targets)}
    keys = ["target", "architecture", "explorer"]
    parts = runs.partition_by(keys, as_dict=True, maintain_order=True)
    order = sorted(parts, key=lambda key: (rank.get(key[0], len(rank)), *map(str, key)))
    said = [0] + [place for place in (1, 2) if runs[keys[place]].n_unique() > 1]
    return tuple(
        Group(
            index=start + place,
            label=" · ".join(str(key[i]) for i in said),
            target=str(key[0]),
            runs=parts[key].sort("seed"),
        )
        for place, key in enumerate(order)
    )
