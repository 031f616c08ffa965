"""The measures that there are: those of the package, and those that installed packages offer."""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Iterable

from allroads.errors import InputError, UnknownNameError
from allroads.studies.measures.measure import Measure

BUILT_IN = (
    "chart",
    "values",
    "curves",
    "fit",
    "certified",
    "stages",
    "directness",
    "turning",
    "landscape",
    "llc",
    "programs",
    "forecasts",
    "embedding",
    "pairs",
    "complexity",
    "robustness",
    "sharpness",
    "volume",
    "reached",
    "function_prior",
    "channel_gain",
    "funnel",
    "convergence",
    "neighbours",
    "reach",
    "road_costs",
    "atlas",
    "hypotheses",
    "attribution",
    "joined",
)
"""Modules of this folder, each with its ``MEASURE``; findings and tables come in this order.

``joined`` is last: it reads the tables of all those before it that a study takes.
"""

GROUP = "allroads.measures"
"""The group of entry points under which a package offers measures: a ``Measure``, or a function that gives one."""


def known_measures() -> dict[str, Measure]:
    """Every measure by its name.

    Raises:
        InputError: If an entry point cannot be loaded or gives no measure, or two measures have one name.

    Example:
        >>> list(known_measures())[:3]
        ['chart', 'values', 'curves']
    """
    offered = importlib.metadata.entry_points(group=GROUP)
    return by_name([*map(_built_in, BUILT_IN), *map(_loaded, offered)])


def find_measure(name: str) -> Measure:
    """The measure of that name.

    Raises:
        UnknownNameError: If there is none.

    Example:
        >>> find_measure("turning").scope
        'run'
    """
    if name in BUILT_IN:
        return _built_in(name)
    known = known_measures()
    if name not in known:
        raise UnknownNameError("measure", name, known)
    return known[name]


def _built_in(name: str) -> Measure:
    measure: Measure = importlib.import_module(f"allroads.studies.measures.{name}").MEASURE
    return measure


def by_name(measures: Iterable[Measure]) -> dict[str, Measure]:
    """Measures by name.

    Raises:
        InputError: If two have one name.
    """
    found: dict[str, Measure] = {}
    for measure in measures:
        if measure.name in found:
            raise InputError(f"two measures are called {measure.name!r}; rename one.")
        found[measure.name] = measure
    return found


def _loaded(point: importlib.metadata.EntryPoint) -> Measure:
    where = f"entry point {point.name!r} of {GROUP} ({point.value})"
    try:
        thing = point.load()
        measure = thing if isinstance(thing, Measure) else thing()
    except Exception as error:
        raise InputError(f"{where} cannot be loaded: {type(error).__name__}: {error}. Repair that package.") from error
    if not isinstance(measure, Measure):
        raise InputError(f"{where} gives {type(measure).__name__}; expected a Measure. Repair that package.")
    return measure
