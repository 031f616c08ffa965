"""The local learning coefficient: λ̂ = nβ (E[L] − L(w*)) under ``exp(−nβ L(w) − γ/2 ‖w − w*‖²)``."""

from allroads.points.llc.diagnostics import Diagnostics, diagnose
from allroads.points.llc.llc import llc

__all__ = ["Diagnostics", "diagnose", "llc"]
