"""What an attribution gives: one row per term, with intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from allroads.results import Result
from allroads.status import AttributionStatus

if TYPE_CHECKING:
    import polars as pl

SHOWN = 12
"""Rows that are printed."""

MAIN = {
    "labels": (("share", "share"), ("information", "bits"), ("p_any", "p")),
    None: (("omega2", "ω²"), ("sobol_total", "Sobol total"), ("p", "p")),
}
"""Columns that are printed, with their headings, for each kind of response."""


@dataclass(frozen=True, repr=False)
class Attribution(Result):
    """Shares of what varies among runs, one row per factor and interaction.

    Args:
        value: What all factors together explain: for labels the information between cell and label in bits, else ω² of
            all terms.
        error: Half the width of its interval.
        status: What became of it.
        kind: ``"scalar"``, ``"labels"``, ``"bits"`` or ``"distances"``.
        response: Name of the response.
        factors: Names of the factors.
        terms: Names of the rows, as ``"optimiser × map"``.
        columns: Numbers of each row by their name, NaN where a row has none.
        stats: What it rests on: ``runs``, ``cells``, ``seeds``, ``levels``, ``dropped``, the interval of ``value`` and
            more, see the page on attribution.

    Example:
        >>> from allroads import attribute
        >>> runs = {"depth": [1] * 5 + [2] * 5, "loss": [0.0] * 5 + [1.0] * 5}
        >>> found = attribute(runs, "loss", "depth")
        >>> found.table["omega2"].to_list(), found.row("depth")["omega2_low"]
        ([1.0], 1.0)
    """

    value: float
    error: float | None
    status: AttributionStatus
    kind: str
    response: str
    factors: tuple[str, ...]
    terms: tuple[str, ...]
    columns: Mapping[str, np.ndarray]
    stats: Mapping[str, Any] = field(default_factory=dict)

    @property
    def table(self) -> pl.DataFrame:
        """One row per term; null where a row has no such number."""
        import polars as pl

        numbers = {name: [None if np.isnan(v) else v for v in column.tolist()] for name, column in self.columns.items()}
        return pl.DataFrame({"term": list(self.terms)} | numbers, schema_overrides=dict.fromkeys(numbers, pl.Float64))

    def row(self, term: str) -> dict[str, float]:
        """The numbers of one term.

        Raises:
            UnknownNameError: If there is no such term.
        """
        from allroads.errors import UnknownNameError

        if term not in self.terms:
            raise UnknownNameError("term", term, self.terms)
        place = self.terms.index(term)
        return {name: float(column[place]) for name, column in self.columns.items()}

    def __str__(self) -> str:
        shown = MAIN["labels" if self.kind == "labels" else None]
        what = "bits explained" if self.kind == "labels" else "of the variance explained (ω²)"
        error = "" if self.error is None else f" ± {self.error:.2g}"
        runs = f"{self.stats['cells']} cells × {self.stats['seeds']} seeds"
        lines = [f"{self.response}: {self.value:.3g}{error} {what}; {runs}; {self.status.value}"]
        if not self.columns:
            return lines[0]
        widths = [7 if title == "p" else 24 for _, title in shown]
        titles = [title.rjust(width) for (_, title), width in zip(shown, widths, strict=True)]
        lines.append("  ".join(["term".ljust(28), *titles]))
        first = self.columns[shown[0][0]]
        order = sorted(range(len(self.terms)), key=lambda at: -np.nan_to_num(first[at], nan=-np.inf))
        for place in order[:SHOWN]:
            cells = [self._cell(name, place).rjust(width) for (name, _), width in zip(shown, widths, strict=True)]
            lines.append("  ".join([self.terms[place][:28].ljust(28), *cells]).rstrip())
        if len(order) > SHOWN:
            lines.append(f"… {len(order) - SHOWN} more rows in .table")
        return "\n".join(lines)

    def _cell(self, name: str, place: int) -> str:
        value = self.columns[name][place]
        if np.isnan(value):
            return ""
        if f"{name}_low" not in self.columns:
            return f"{value:.3f}"
        low, high = self.columns[f"{name}_low"][place], self.columns[f"{name}_high"][place]
        return f"{value:.3f} [{low:.3f}, {high:.3f}]"

    def __repr__(self) -> str:
        return f"Attribution({self.response}: {self.value:.4g}, {len(self.terms)} terms, {self.status.value})"
