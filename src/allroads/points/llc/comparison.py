"""What a learning coefficient may be compared with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from allroads.status import LLCStatus

OF_STATUS = {
    LLCStatus.CONVERGED: "It is the learning coefficient of the point, up to the error. Compare it with exact values, "
    "and with converged numbers of other networks and data.",
    LLCStatus.OK: "The chains agree. Whether the number depends on nβ and γ is not known, as no other levels "
    "were sampled.",
    LLCStatus.SCALE_DEPENDENT: "It belongs to this nβ: at a tenth of it the number is another. It is not the "
    "asymptotic coefficient.",
    LLCStatus.NOT_AT_MINIMUM: "The loss still falls from the point, so that this is no coefficient of a minimum. It "
    "may be below 0.",
    LLCStatus.PRIOR_DOMINATED: "It depends on how strongly the chains are held to the point, and belongs to this γ.",
    LLCStatus.NOT_EQUILIBRATED: "The chains do not agree yet: the number may still change by more than the error. Give "
    "more time (budget) or more draws.",
    LLCStatus.DIVERGED: "A chain left the finite numbers: there is nothing to compare.",
}
"""One or two sentences per status."""

SAME = (LLCStatus.SCALE_DEPENDENT, LLCStatus.NOT_AT_MINIMUM, LLCStatus.PRIOR_DOMINATED, LLCStatus.OK)
"""Statuses of numbers that are compared at the same nβ and localisation only."""


def comparison(value: float, error: float | None, status: LLCStatus, stats: Mapping[str, Any]) -> str:
    """What an estimate may be compared with.

    Args:
        value: λ̂.
        error: Half of its 95 % interval.
        status: Its status.
        stats: ``nbeta``, ``localisation`` and ``examples`` n at least.

    Example:
        >>> stats = {"nbeta": 46.2, "localisation": 0.8, "examples": 256}
        >>> print(comparison(31.2, 1.1, LLCStatus.SCALE_DEPENDENT, stats))
        λ̂ = 31.2 ± 1.1 at nβ = 46.2 (n = 256 examples), localisation γ = 0.8: scale-dependent.
        It belongs to this nβ: at a tenth of it the number is another. It is not the asymptotic coefficient.
        Compare it with numbers at the same nβ and γ on the same examples: of other steps, and of other runs.
    """
    found = f"{value:.4g}" + ("" if error is None else f" ± {error:.2g}")
    where = (
        f"nβ = {stats['nbeta']:.4g} (n = {stats['examples']} examples), localisation γ = {stats['localisation']:.3g}"
    )
    lines = [f"λ̂ = {found} at {where}: {status.value}.", OF_STATUS[status]]
    if status in SAME:
        lines.append(
            "Compare it with numbers at the same nβ and γ on the same examples: of other steps, and of other runs."
        )
    return "\n".join(lines)
