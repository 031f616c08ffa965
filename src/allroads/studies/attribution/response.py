"""The response of a table of runs: a number, a label, a truth table, or distances between runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from allroads.checks import check_choice
from allroads.errors import InputError
from allroads.studies.attribution.coordinates import of_bits, of_distances, of_labels
from allroads.studies.attribution.grid import Table, coded, is_missing, read_column

KINDS = ("scalar", "labels", "bits", "distances")


@dataclass(frozen=True)
class Response:
    """A response.

    Args:
        kind: One of ``KINDS``.
        name: What messages call it.
        values: Coordinates ``[rows, coordinates]`` for the analysis of variance.
        signs: Of the coordinates.
        codes: Labels as numbers ``[rows]``; empty for other kinds.
        square: What a sum of squares of 1 stands for. Numbers and distances are divided by a power of two, so that
            squares of very large and very small ones are numbers too.
    """

    kind: str
    name: str
    values: np.ndarray
    signs: np.ndarray
    codes: np.ndarray
    square: float = 1.0

    def constant_on(self, rows: np.ndarray) -> bool:
        """Whether all of some runs have the same response."""
        held = self.values[rows.ravel()]
        return bool((held == held[:1]).all())


def read_response(table: Table, response: Any, kind: str | None, exponent: float, rows: int) -> Response:
    """The response in a table, or beside it as an array.

    Args:
        table: Columns, one row per run.
        response: Name of a column, truth tables ``[rows, bits]``, or distances ``[rows, rows]``.
        kind: One of ``KINDS``. Default: for a column ``"scalar"`` where all its values are numbers, else ``"labels"``;
            for an array of false and true ``"bits"``.
        exponent: Of the distances.
        rows: Rows of the table.

    Raises:
        InputError: If it has missing values, is of another length or does not fit its kind.
    """
    if kind is not None:
        check_choice("kind", kind, KINDS)
    if isinstance(response, str):
        if kind in ("bits", "distances"):
            raise InputError(f"response: for kind={kind!r} expected an array; got the name {response!r}.")
        column = read_column(table, response)
        if len(column) != rows:
            raise InputError(f"{response}: {len(column)} rows, and the factors have {rows}; expected one per run.")
        return _of_column(column, response, kind)
    array = np.asarray(response)
    if kind is None and array.ndim == 2 and array.dtype == bool:
        kind = "bits"
    if kind not in ("bits", "distances"):
        raise InputError(
            "response: expected the name of a column, an array of false and true [rows, bits], or an array with "
            f"kind='bits' or kind='distances'; got {array.dtype}{list(array.shape)} with kind={kind!r}."
        )
    if len(array) != rows:
        raise InputError(f"response: {len(array)} rows, and the table has {rows}; expected one per run.")
    none = np.zeros(0, dtype=np.int64)
    if kind == "bits":
        values = of_bits(array)
        return Response(kind, "bits", values, np.ones(values.shape[1]), none)
    scaled, power = _scaled(array) if array.dtype.kind in "biuf" else (array, 0)
    values, signs = of_distances(scaled, exponent)
    if not values.shape[1]:
        values, signs = np.zeros((rows, 1)), np.ones(1)
    return Response(kind, "distances", values, signs, none, _exp2(power * exponent))


def _of_column(column: list[Any], name: str, kind: str | None) -> Response:
    if kind is None:
        number = all(isinstance(value, bool | int | float | np.number) for value in column if value is not None)
        kind = "scalar" if number else "labels"
    if kind == "labels":
        codes, _ = coded(column, name)
        values = of_labels(codes)
        return Response(kind, name, values, np.ones(values.shape[1]), codes)
    missing = sum(map(is_missing, column))
    if missing:
        raise InputError(
            f"{name}: {missing} of {len(column)} rows are NaN or empty. Leave these runs out, and give balance='drop'; "
            "or give a response that every run has, such as whether it reached its goal."
        )
    try:
        numbers = np.array(column, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name}: expected numbers; {error}. For labels give kind='labels'.") from None
    if not np.isfinite(numbers).all():
        raise InputError(f"{name}: {int((~np.isfinite(numbers)).sum())} of {len(numbers)} rows are infinite.")
    scaled, power = _scaled(numbers)
    return Response(kind, name, scaled[:, None], np.ones(1), np.zeros(0, dtype=np.int64), _exp2(2 * power))


def _scaled(numbers: np.ndarray) -> tuple[np.ndarray, int]:
    """Numbers over a power of two, the largest from ½ to 1, and that power; exact.

    Example:
        >>> _scaled(np.array([6.0, 0.0]))
        (array([0.75, 0.  ]), 3)
    """
    largest = np.abs(numbers, dtype=np.float64).max(initial=0.0)
    power = int(np.frexp(largest)[1]) if np.isfinite(largest) else 0
    return np.ldexp(numbers.astype(np.float64), -power), power


def _exp2(power: float) -> float:
    with np.errstate(over="ignore", under="ignore"):
        return float(np.exp2(float(power)))
