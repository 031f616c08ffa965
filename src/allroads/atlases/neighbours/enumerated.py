"""Maps whose every point is known: a finite grid of coordinates, each point with the program that it computes."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from allroads.atlases.neighbours.answers import answers_at, number_of_parameters
from allroads.atlases.tables import NONE
from allroads.checks import check_count, check_options
from allroads.errors import InputError
from allroads.pfmap.network import Network
from allroads.progress import progress as shown

MOST_POINTS = 2**27
"""Points of a grid at most: their labels take four bytes each, and a batch of points more."""

Labelling = Callable[[np.ndarray], Any]
"""``labelling(points [B, D]) -> B labels``, or an array ``[B, …]`` of answers."""


@dataclass(frozen=True, eq=False)
class EnumeratedMap:
    """Every point of a finite grid, with its program.

    A move changes one coordinate to another value of its alphabet. All moves from a point are equally likely, and there
    are ``Σ_d (a_d − 1)`` of them, where a_d is the size of the alphabet of coordinate d.

    Args:
        alphabet: The values of each coordinate, D arrays.
        labels: The number of the program at each point ``[N]``, N = Π a_d. Point i has the digits of i in the mixed
            base of the alphabets, coordinate 0 the most significant, as :func:`itertools.product` counts.
        programs: K labels, most frequent first; equals in the order of their first point.
        functions: Whether the labels are answers, so that equal programs are equal functions.

    Raises:
        InputError: If numbers of points or programs do not fit.

    Example:
        >>> grid = EnumeratedMap((np.array([0, 1]),) * 2, np.array([0, 0, 0, 1]), ("nand", "and"))
        >>> grid.points(np.array([1, 3])).tolist(), grid.frequency.tolist(), grid.degree
        ([[0, 1], [1, 1]], [0.75, 0.25], 2)
    """

    alphabet: tuple[np.ndarray, ...]
    labels: np.ndarray = field(repr=False)
    programs: tuple[Hashable, ...]
    functions: bool = False

    def __post_init__(self) -> None:
        labels = np.asarray(self.labels)
        if labels.shape != (math.prod(self.sizes),):
            raise InputError(
                f"labels: a grid of sizes {self.sizes} has {math.prod(self.sizes):,} points, each with a label; got an "
                f"array of shape {list(labels.shape)}."
            )
        if labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() >= len(self.programs):
            raise InputError(f"labels: expected whole numbers from 0 to {len(self.programs) - 1}, places in programs.")
        object.__setattr__(self, "labels", labels.astype(np.int32))

    @property
    def sizes(self) -> tuple[int, ...]:
        """Values per coordinate."""
        return tuple(len(values) for values in self.alphabet)

    @property
    def degree(self) -> int:
        """Moves from each point."""
        return sum(size - 1 for size in self.sizes)

    @property
    def counts(self) -> np.ndarray:
        """Points of each program ``[K]``."""
        return np.bincount(self.labels, minlength=len(self.programs))

    @property
    def frequency(self) -> np.ndarray:
        """Share of all points that each program has ``[K]``."""
        return np.asarray(self.counts / len(self.labels))

    def points(self, places: Any) -> np.ndarray:
        """The coordinates ``[B, D]`` of points given by their places ``[B]``."""
        return points_of(self.alphabet, np.asarray(places))

    def pairs(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """All pairs of points that one move joins, each once, as two arrays of places; several for each coordinate."""
        places = np.arange(len(self.labels), dtype=np.int32)
        before = 1
        for size in self.sizes:
            block = places.reshape(before, size, -1)
            for low in range(size):
                for high in range(low + 1, size):
                    yield block[:, low].ravel(), block[:, high].ravel()
            before *= size

    def place(self, program: Hashable) -> int:
        """The number of a program.

        Raises:
            InputError: If no point has it.
        """
        if program not in self.programs:
            raise InputError(f"program {program!r}: no point of this map computes it. See .programs.")
        return self.programs.index(program)


def enumerate_map(
    function: Network | Labelling,
    alphabet: Sequence[Any],
    inputs: Any = None,
    *,
    coordinates: int | None = None,
    answers: str | None = None,
    batch: int = 2**14,
    progress: bool = True,
) -> EnumeratedMap:
    """Compute the program at every point of a finite grid.

    Args:
        function: A function of points ``[B, D]`` that returns B labels: a sequence of hashables, or an array ``[B, …]``
            of answers, whose rows are the labels. Or a :class:`~allroads.Network`: its parameters are the coordinates,
            array after array as ``jax.tree.flatten`` gives them, and its labels are what it answers on ``inputs``.
        alphabet: The values that a coordinate may have; or a sequence of such alphabets, one per coordinate.
        inputs: ``[N, …]`` of a network: all that there are, or a sample of them.
        coordinates: D of a function, where one alphabet holds for all; a network says it itself.
        answers: How outputs of a network are read, as in :func:`~allroads.function_prior`.
        batch: Points that are labelled at once.
        progress: Whether progress is written.

    Returns:
        An :class:`~allroads.atlases.neighbours.EnumeratedMap`. Labels that are arrays of one-digit whole numbers become
        strings such as ``"0110"``; other rows have their numbers separated by spaces.

    Raises:
        InputError: If the grid is empty or has more than 2²⁷ points, an alphabet holds a value twice, or the labels do
            not fit.

    When it fails: an output within rounding of 0, or of another class's, may be read otherwise by another processor.
    With whole numbers as weights and a step as activation, outputs are exact.

    Example:
        Two bits and their conjunction:

        >>> found = enumerate_map(lambda x: x[:, 0] & x[:, 1], (0, 1), coordinates=2, progress=False)
        >>> found.programs, found.counts.tolist()
        ((0, 1), [3, 1])
    """
    check_count("batch", batch)
    values, labelling = _read(function, alphabet, inputs, coordinates, answers)
    total = math.prod(len(part) for part in values)
    numbers: dict[Hashable, int] = {}
    functions = True
    labels = np.empty(total, np.int32)
    with shown("enumerate_map", progress) as say:
        for low in range(0, total, batch):
            say(f"{low:,} of {total:,} points")
            places = np.arange(low, min(low + batch, total))
            found = labelling(points_of(values, places))
            labels[places] = _numbered(found, len(places), numbers)
            functions = functions and getattr(found, "ndim", 0) > 1
    programs = tuple(numbers)
    order = np.argsort(-np.bincount(labels), kind="stable")
    rank = np.empty(len(order), np.int32)
    rank[order] = np.arange(len(order))
    return EnumeratedMap(values, rank[labels], tuple(programs[place] for place in order), functions)


def _read(
    function: Network | Labelling, alphabet: Any, inputs: Any, coordinates: int | None, answers: str | None
) -> tuple[tuple[np.ndarray, ...], Labelling]:
    """The alphabets, and the function of points that labels them."""
    if isinstance(function, Network):
        if inputs is None:
            raise InputError("inputs: a network is read by what it answers on inputs [N, …]; give inputs=….")
        size = number_of_parameters(function)
        if coordinates not in (None, size):
            raise InputError(f"coordinates: the network has {size} parameters; got {coordinates}.")
        values = alphabets_of(alphabet, size)
        if any(part.dtype.kind not in "biuf" for part in values):
            raise InputError("alphabet: a parameter of a network is a number; expected values such as (-1, 0, 1).")
        return values, answers_at(function, inputs, answers)
    if not callable(function):
        raise InputError(f"function: expected a Network, or a function of points [B, D]; got {function!r}.")
    if inputs is not None or answers is not None:
        raise InputError("inputs, answers: they say how a Network is read; a function gives its labels itself.")
    return alphabets_of(alphabet, coordinates), function


def alphabets_of(alphabet: Any, coordinates: int | None) -> tuple[np.ndarray, ...]:
    """The values of each coordinate, checked.

    Raises:
        InputError: If there is none, one is empty or holds a value twice, or the grid is too large.

    Example:
        >>> [values.tolist() for values in alphabets_of([(0, 1), (5, 6, 7)], None)]
        [[0, 1], [5, 6, 7]]
    """
    check_count("coordinates", coordinates, absent=True)
    if isinstance(alphabet, str | bytes) or not hasattr(alphabet, "__len__") or not len(alphabet):
        raise InputError(
            f"alphabet: expected the values of a coordinate, such as (-1, 0, 1), or a sequence of such alphabets; "
            f"got {alphabet!r}."
        )
    nested = [hasattr(part, "__len__") and not isinstance(part, str | bytes) for part in alphabet]
    if all(nested):
        if coordinates not in (None, len(alphabet)):
            raise InputError(f"alphabet: expected one for each of {coordinates} coordinates; got {len(alphabet)}.")
        values = tuple(np.asarray(part) for part in alphabet)
    elif any(nested):
        raise InputError("alphabet: expected values, or one alphabet per coordinate; got both.")
    elif coordinates is None:
        raise InputError("coordinates: one alphabet is given for all coordinates; say how many there are.")
    else:
        values = (np.asarray(alphabet),) * coordinates
    for place, part in enumerate(values):
        if part.ndim != 1 or not len(part) or len(np.unique(part)) != len(part):
            raise InputError(f"alphabet: that of coordinate {place} needs different values; got {part.tolist()}.")
        if part.dtype.kind == "f" and not np.isfinite(part).all():
            raise InputError(f"alphabet: that of coordinate {place} has a value that is not finite: {part.tolist()}.")
    total = math.prod(len(part) for part in values)
    if total > MOST_POINTS:
        raise InputError(
            f"alphabet: {total:.3g} points are too many to enumerate, at most {MOST_POINTS:.3g}. Take fewer "
            "coordinates or values, or neighbour_share, which draws."
        )
    return values


def points_of(alphabet: tuple[np.ndarray, ...], places: np.ndarray) -> np.ndarray:
    """The coordinates ``[B, D]`` of points given by their places."""
    digits = np.unravel_index(places, tuple(len(values) for values in alphabet))
    return np.stack([values[digit] for values, digit in zip(alphabet, digits, strict=True)], axis=-1)


def _numbered(found: Any, expected: int, numbers: dict[Hashable, int]) -> np.ndarray:
    """The numbers of labels, new ones added."""
    array = found if isinstance(found, np.ndarray) else np.asarray(found) if hasattr(found, "__array__") else None
    if array is None:
        given = list(found)
        _check_length(len(given), expected)
        return numbered(given, numbers, "function")
    _check_length(len(array) if array.ndim else 0, expected)
    if array.dtype.kind in "OUS" and array.ndim == 1:
        return numbered(array.tolist(), numbers, "function")
    if array.dtype.kind == "f" and np.isnan(array).any():
        raise InputError("function: a label is NaN, which equals nothing; give None for no program.")
    rows, place = np.unique(array.reshape(expected, -1), axis=0, return_inverse=True)
    first = np.full(len(rows), expected)
    np.minimum.at(first, place.ravel(), np.arange(expected))
    own = np.empty(len(rows), np.int32)
    for row in np.argsort(first):
        label = rows[row][0].item() if array.ndim == 1 else text_of(rows[row])
        own[row] = numbers.setdefault(label, len(numbers))
    return own[place.ravel()]


def text_of(row: np.ndarray) -> str:
    """Answers as a string: digits side by side, longer numbers with spaces between.

    Example:
        >>> text_of(np.array([True, False, True])), text_of(np.array([1, 12]))
        ('101', '1 12')
    """
    whole = row.astype(int) if row.dtype.kind == "b" else row
    short = whole.dtype.kind in "iu" and bool(((whole >= 0) & (whole <= 9)).all())
    return ("" if short else " ").join(map(str, whole.tolist()))


def _check_length(got: int, expected: int) -> None:
    if got != expected:
        raise InputError(f"function: it was given {expected} points and returned {got} labels; expected one for each.")


def numbered(given: list[Any], numbers: dict[Hashable, int], what: str) -> np.ndarray:
    """The numbers of labels, new ones added; ``None`` is the label of no program.

    Raises:
        InputError: If a label cannot be compared.

    Example:
        >>> numbers = {}
        >>> numbered(["a", None, "a"], numbers, "labels").tolist(), numbers
        ([0, 1, 0], {'a': 0, 'none': 1})
    """
    found = np.empty(len(given), np.int32)
    for place, one in enumerate(given):
        label = NONE if one is None else one
        try:
            found[place] = numbers.setdefault(label, len(numbers))
        except TypeError as error:
            raise InputError(
                f"{what}: label {label!r} cannot be compared; expected strings, numbers or tuples."
            ) from error
        if label != label:
            raise InputError(f"{what}: a label is NaN, which equals nothing; give None for no program.")
    return found


def check_map(given: Any) -> None:
    """Refuse what is no enumerated map.

    Raises:
        InputError: Says how to make one.
    """
    check_options("map", given, EnumeratedMap)
