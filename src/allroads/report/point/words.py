"""An inspection in words: a verdict, tables of numbers, and what to do where something went wrong."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from allroads.results import Measurement
from allroads.status import LLCStatus

if TYPE_CHECKING:
    from allroads.points.inspection import Inspection

RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
FINE = (LLCStatus.OK, LLCStatus.CONVERGED)


@dataclass(frozen=True)
class Concern:
    """A measurement that is not simply right.

    Attributes:
        what: The measurement.
        status: Its status, with meaning, causes and remedy.
    """

    what: str
    status: Any


def verdict(found: Inspection) -> str:
    """What may be said of the point, in one or two sentences."""
    coefficient = found.llc
    number, at = _with_error(coefficient), f"nβ = {number_of(coefficient.stats['nbeta'])}"
    if coefficient.status == LLCStatus.CONVERGED:
        return f"The local learning coefficient here is {number}, converged at {at}. {_degeneracy(found)}"
    if coefficient.status == LLCStatus.SCALE_DEPENDENT:
        return (
            f"The local learning coefficient at {at} is {number}. It depends on the scale: at nβ/10 it is another, so "
            "compare it only with numbers at the same nβ."
        )
    status = coefficient.status
    return (
        f"No learning coefficient can be given for this point: {status.value}. {status.meaning} "
        f"What was read, {number} at {at}, is no estimate."
    )


def _degeneracy(found: Inspection) -> str:
    regular, value, error = found.parameters / 2, found.llc.value, found.llc.error or 0.0
    whole = f"half of its {found.parameters:,} parameters, {number_of(regular)}"
    if value + error >= regular:
        return f"A regular minimum has {whole}, and within its error this is one."
    return (
        f"A regular minimum has {whole}; this one is degenerate, as flat as a regular one of "
        f"{number_of(2 * value)} parameters."
    )


def concerns(found: Inspection) -> list[Concern]:
    """Every measurement that is not simply right."""
    spectrum = found.spectrum
    named = {
        "local learning coefficient": found.llc.status,
        "eigenvalues": spectrum.status,
        "trace": spectrum.trace.status,
        "effective dimension": spectrum.effective_dimension.status,
        **{_title(name): measured.status for name, measured in found.description.items()},
    }
    return [Concern(what, status) for what, status in named.items() if status not in FINE]


def point_facts(found: Inspection) -> list[tuple[str, str]]:
    """The point itself."""
    return [
        ("parameters", f"{found.parameters:,}"),
        ("examples", f"{found.examples:,}"),
        ("loss", number_of(found.loss)),
        ("gradient norm", number_of(found.gradient_norm)),
    ]


def llc_facts(found: Inspection) -> list[tuple[str, str]]:
    """The learning coefficient and how it was sampled."""
    stats = found.llc.stats
    chains, draws = stats["trace"].shape
    return [
        ("learning coefficient λ̂", _with_error(found.llc)),
        ("status", found.llc.status.value),
        ("nβ", number_of(stats["nbeta"])),
        ("localisation γ", number_of(stats["localisation"])),
        ("sampler", stats["sampler"]),
        ("chains × draws", f"{chains:,} × {draws:,}, after {stats['warmup'].shape[1]:,} of burn-in"),
        ("gradients", f"{stats['gradients']:,}"),
    ]


def diagnostics(found: Inspection) -> list[tuple[str, str, str]]:
    """Of the chains: name, number, what it should be."""
    stats = found.llc.stats
    by_prior = f"√(d/γ) = {number_of(stats['prior_distance'])} by γ alone"
    rows = [
        ("split R-hat", number_of(stats["r_hat"]), "below 1.1: chains agree"),
        ("spread of half chains", number_of(stats["spread"]), "up to 2 % of λ̂: they agree, whatever R-hat"),
        ("effective draws", number_of(stats["ess"]), "50 or more"),
        ("drift", number_of(stats["drift"]), "last third less first: near 0"),
        ("variance of nβ(L − L*)", number_of(stats["variance"]), "near λ̂ in equilibrium"),
        ("acceptance", number_of(stats["acceptance"]), "above 0.2"),
        ("distance from the point", number_of(stats["distance"]), by_prior),
        ("fall that the slope allows", number_of(stats["slope"]), "below 0.05: a minimum"),
    ]  # fmt: skip
    return [row for row in rows if row[1] != "–"]


def error_parts(found: Inspection) -> list[tuple[str, float]]:
    """What the error of the learning coefficient is made of, the largest first."""
    parts = ((name, float(part)) for name, part in found.llc.stats["error_parts"].items())
    return sorted(parts, key=lambda part: -part[1])


def spectrum_facts(found: Inspection) -> list[tuple[str, str]]:
    """Curvature at the point."""
    spectrum = found.spectrum
    top = ", ".join(number_of(value) for value in spectrum.eigenvalues) or "–"
    positive = spectrum.effective_dimension.stats.get("positive_part")
    return [
        ("largest eigenvalues", top),
        ("trace", _with_error(spectrum.trace)),
        ("effective dimension ½ Σ h/(h + γ/nβ)", _with_error(spectrum.effective_dimension)),
        *([("of the positive eigenvalues alone", number_of(positive))] if positive is not None else []),
        ("computed", f"{spectrum.method.replace('_', '-')}, {spectrum.matrix}"),
    ]


def description_facts(found: Inspection) -> list[tuple[str, str]]:
    """Description lengths."""
    known = [(_title(name), f"{_with_error(measured)} bits") for name, measured in found.description.items()]
    return known + [(_title(name), "left out: no time was left") for name in found.left_out]


def _title(name: str) -> str:
    return name.replace("_row_column", ", by row and column").replace("_", " ")


def _with_error(measured: Measurement) -> str:
    """A measurement with as many digits as its error leaves it."""
    if not math.isfinite(measured):
        return f"– ({measured.status.value})"
    if not measured.error or not math.isfinite(measured.error):
        return number_of(measured.value)
    places = max(0, 1 - math.floor(math.log10(measured.error)))
    if not 1e-3 <= abs(measured.value) < 1e6:
        return f"{number_of(measured.value)} ± {number_of(measured.error)}"
    return f"{measured.value:,.{places}f} ± {measured.error:,.{places}f}"


def number_of(value: float | None) -> str:
    """Three digits, short; a dash where there is none.

    Example:
        >>> number_of(0.012345), number_of(1.234e7), number_of(3.0), number_of(0.0), number_of(None)
        ('0.0123', '1.23·10⁷', '3', '0', '–')
    """
    if value is None or not math.isfinite(value):
        return "–"
    if 1000 <= abs(value) < 1e6:
        return f"{value:,.0f}"
    mantissa, _, power = f"{value:.3g}".partition("e")
    return f"{mantissa}·10{str(int(power)).translate(RAISED)}" if power else mantissa
