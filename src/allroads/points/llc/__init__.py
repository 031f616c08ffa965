"""The local learning coefficient: λ̂ = nβ (E[L] − L(w*)) under ``exp(−nβ L(w) − γ/2 ‖w − w*‖²)``."""

from allroads.points.llc.estimate import LearningCoefficient, llc

__all__ = ["LearningCoefficient", "llc"]
