"""An inspection made of numbers from formulas: quick to make and the same every time."""

from __future__ import annotations

import numpy as np

from allroads import Measurement
from allroads.points.inspection import Inspection
from allroads.points.sampling.schedule import Level
from allroads.points.spectrum import Density, Spectrum
from allroads.status import LLCStatus, SpectrumStatus, Status

SHOWN = np.array([4.0, 1.0, 0.2, 0.0, 0.0, 0.0, 0.0, 0.0])


def made_up(
    value: float = 1.5,
    error: float = 0.05,
    status: Status = LLCStatus.CONVERGED,
    chains: int = 8,
    draws: int = 200,
    levels: int = 4,
    eigenvalues: np.ndarray = SHOWN,
) -> Inspection:
    """A point of eight parameters, stiff in three directions."""
    rng = np.random.default_rng(0)
    trace = value * rng.gamma(2.0, 0.5, (chains, draws))
    way = [Level(1000.0, 1000.0 / 10**k, value * (1 - 0.5**k), 0.02) for k in range(levels)]
    cold = [Level(10.0 ** (k - levels + 3), 1.0, value * (1 - 0.3**k), 0.02) for k in range(levels)]
    stats = {
        "nbeta": 1000.0, "localisation": 1.0, "sampler": "hmc", "dimension": 8, "r_hat": 1.01, "spread": 0.01,
        "ess": 640.0, "standard_error": 0.02, "drift": 0.01, "variance": 1.6, "acceptance": 0.8, "distance": 0.4,
        "prior_distance": 2.8, "slope": 0.0, "localisation_anneal": tuple(way), "temperature_anneal": tuple(cold),
        "loss": 0.25,
        "error_parts": {"sampling": 0.04, "localisation": 0.03, "slope": 0.0}, "top_eigenvalue": 4.0,
        "population": False, "step_size": 0.6,
        "steps_per_draw": 10, "gradients": 16_000,
        "ended": "precision", "examples": 20, "examples_per_gradient": 20, "trace": trace, "warmup": 3 * trace[:, :50],
    }  # fmt: skip
    none = np.zeros(0)
    spectrum = Spectrum(
        eigenvalues=eigenvalues[:4],
        eigenvectors=none,
        residuals=np.zeros(4),
        smallest_eigenvalues=none,
        smallest_eigenvectors=none,
        smallest_residuals=none,
        trace=Measurement(5.2),
        log_determinant=Measurement(-30.0),
        effective_dimension=Measurement(1.498),
        density=Density(np.sort(eigenvalues), np.full(len(eigenvalues), 1 / max(len(eigenvalues), 1))),
        norm=float(np.abs(eigenvalues).max(initial=0.0)),
        loss=0.25,
        shift=0.001,
        matrix="hessian",
        method="dense",
        status=SpectrumStatus.OK,
    )
    size = Measurement(120.0, 4.0, stats={"convention": "bits of <the> point"})
    coefficient = Measurement(value, error, status, stats)
    return Inspection(0.25, 1e-9, 8, 20, coefficient, spectrum, {"quantised_size": size})
