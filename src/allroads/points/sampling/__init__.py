"""Chains around a point: draws from ``exp(−nβ L(w) − γ/2 ‖w − w*‖²)``, tuned, annealed from two sides and judged."""

from allroads.points.sampling.diagnostics import Diagnostics, diagnose
from allroads.points.sampling.plan import Chains, SamplingOptions
from allroads.points.sampling.samples import Samples, sample

__all__ = ["Chains", "Diagnostics", "Samples", "SamplingOptions", "diagnose", "sample"]
