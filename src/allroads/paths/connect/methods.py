"""The methods of connecting two points, as objects with their options."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from allroads.checks import check_choice, check_count
from allroads.errors import InputError
from allroads.paths.connect.band import band
from allroads.paths.connect.curves import BEZIER
from allroads.paths.connect.expected import expected
from allroads.paths.connect.geodesic import geodesic
from allroads.paths.connect.method import CurveMethod
from allroads.paths.connect.rounds import CurveOptions
from allroads.paths.connect.short import short
from allroads.paths.connect.star import star
from allroads.pfmap.charts import CHARTS


@dataclass(frozen=True)
class Bezier(CurveMethod):
    """A Bezier curve that lowers ``∫ L(γ(t)) dt`` [garipov2018].

    Args:
        bends: Free control points; default 1, a quadratic curve.
        samples: Points of the curve per step; default 4.
    """

    name = "bezier"
    kind = BEZIER
    make = staticmethod(expected)


@dataclass(frozen=True)
class Polygon(CurveMethod):
    """A polygon that lowers ``∫ L(γ(t)) dt`` [garipov2018].

    Args:
        bends: Free corners; default 1.
        samples: Points of the curve per step; default 4.
    """

    name = "polygon"
    make = staticmethod(expected)


@dataclass(frozen=True)
class ShortPolygon(CurveMethod):
    """A polygon that lowers the loss along itself and its length in parameter space [lin2024].

    ``length / distance`` near 1 says that the two points lie in one nearly convex valley.

    Args:
        bends: Free corners; default 1.
        samples: Points of the curve per step; default 4.
    """

    name = "short"
    make = staticmethod(short)


@dataclass(frozen=True)
class NudgedElasticBand(CurveMethod):
    """A band of images, each pushed down across the band; its top is a saddle [henkelman2000] [draxler2018].

    Args:
        bends: Images at the start; default 7.
        samples: Not used: every image is looked at in every step.
        insertions: How many times further images are put in, where the loss between two rises by more than a tenth of
            the band's rise over the line between them; default 2.
    """

    name = "neb"
    make = staticmethod(band)
    bends: int = 7
    samples: int = 1
    insertions: int = 2  # type: ignore[misc]  # an option here, 0 for the others

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("insertions", self.insertions, 0)


@dataclass(frozen=True)
class Geodesic(CurveMethod):
    """A polygon that is short in function space; labels play no part. See ``docs/connect.md`` for the metric.

    Args:
        bends: Free corners; default 7.
        samples: Points of the curve per step; default 8.
        chart: Of function space: ``"outputs"`` (default), ``"probabilities"`` or ``"sphere"``.
    """

    name = "geodesic"
    make = staticmethod(geodesic)
    bends: int = 7
    samples: int = 8
    chart: str = "outputs"  # type: ignore[misc]  # an option here, fixed for the others

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("chart", self.chart, CHARTS)


@dataclass(frozen=True)
class Star(CurveMethod):
    """One centre from which segments of low loss lead to ``a`` and to all members of ``b`` [sonthalia2024].

    The curves are the polygons from ``a`` over the centre to each member.

    Args:
        bends: 1, the centre.
        samples: Points of each arm per step; default 2.
    """

    name = "star"
    make = staticmethod(star)
    samples: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.bends != 1:
            raise InputError(f"bends: a star has one free point, its centre; got {self.bends}.")


METHODS: dict[str, type[CurveMethod]] = {
    method.name: method for method in (Bezier, Polygon, ShortPolygon, NudgedElasticBand, Geodesic, Star)
}
"""By name."""


def options_from_names(method: str = "bezier", **given: Any) -> dict[str, Any]:
    """Arguments of :func:`~allroads.connect` from plain names and numbers, as a command line gives them.

    Options of another method are refused; ``align`` and ``seed`` pass through.

    Raises:
        UnknownNameError: If there is no such method.
        InputError: If the method has no such option, or a number is out of range.

    Example:
        >>> options_from_names("polygon", bends=3, steps=80)  # doctest: +NORMALIZE_WHITESPACE
        {'method': Polygon(bends=3, samples=4),
         'options': CurveOptions(steps=80, learning_rate=0.02, batch_size=256, points=61)}
    """
    check_choice("connecting method", method, METHODS)
    own = {field.name: field for field in fields(METHODS[method])}
    curve = {field.name for field in fields(CurveOptions)}
    foreign = {name for kind in METHODS.values() for name in (field.name for field in fields(kind))} - set(own)
    if wrong := sorted(foreign & set(given)):
        raise InputError(f"{wrong[0]}: method {method!r} has no such option. Its options: {', '.join(own)}.")
    chosen = METHODS[method](**{name: value for name, value in given.items() if name in own})
    options = CurveOptions(**{name: value for name, value in given.items() if name in curve})
    rest = {name: value for name, value in given.items() if name not in own and name not in curve}
    return {"method": chosen, "options": options, **rest}
