"""All baselines of a forecast, by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from allroads.paths.learnability.baselines.average_sensitivity import average_sensitivity
from allroads.paths.learnability.baselines.degree import degree
from allroads.paths.learnability.baselines.inal import inal
from allroads.paths.learnability.baselines.kernel_alignment import kernel_alignment
from allroads.paths.learnability.baselines.kernel_energy import kernel_energy
from allroads.paths.learnability.baselines.leap import leap
from allroads.paths.learnability.baselines.standardise import standardised_columns
from allroads.paths.learnability.baselines.truth_table import truth_table_rows, walsh_coefficients
from allroads.paths.learnability.problem import Problem
from allroads.paths.learnability.simulate.residual_spectrum import TARGET_BATCH, ResidualSpectrum
from allroads.paths.learnability.simulate.target_simulation import TargetSimulation
from allroads.pfmap.network import Network
from allroads.results import Measurement
from allroads.status import ForecastStatus

BOOLEAN = {"degree": degree, "average sensitivity": average_sensitivity, "leap": leap}
"""Baselines of the truth table alone."""
BASELINES = ("yᵀK⁻¹y", "hitting time", "kernel alignment", *BOOLEAN, "INAL")
"""Names of all baselines."""


def boolean_baselines(rows: NDArray[np.int_], labels: ArrayLike) -> dict[str, float]:
    """Degree, average sensitivity and leap of a Boolean function given at the rows of its truth table.

    Each output counts by itself, and the largest value is returned.

    Example:
        The parity of three bits:

        >>> cube = 1 - 2 * (np.arange(8)[:, None] >> np.arange(3) & 1)
        >>> boolean_baselines(truth_table_rows(cube), cube.prod(axis=1))
        {'degree': 3.0, 'average sensitivity': 3.0, 'leap': 3.0}
    """
    coefficients = walsh_coefficients(rows, labels)
    return {name: baseline(coefficients) for name, baseline in BOOLEAN.items()}


def label_baselines(problem: Problem) -> list[dict[str, Measurement]]:
    """Baselines of every target that need no network: those of its truth table."""
    inputs, labels = problem.everything
    rows = truth_table_rows(inputs)
    if rows is None:
        unknown = Measurement(float("nan"), status=ForecastStatus.NOT_APPLICABLE)
        return [dict.fromkeys(BOOLEAN, unknown) for _ in labels]
    found = [boolean_baselines(rows, standardised_columns(own)) for own in labels]
    return [{name: Measurement(value) for name, value in boolean.items()} for boolean in found]


def inal_baselines(network: Network, problem: Problem, draws: int, seed: int) -> list[dict[str, Measurement]]:
    """INAL of every target; a batch of them from the same draws of the network at once."""
    columns = [standardised_columns(own) for own in problem.labels]
    found: dict[int, dict[str, Measurement]] = {}
    for shape in {one.shape for one in columns}:
        alike = [k for k, one in enumerate(columns) if one.shape == shape]
        for begin in range(0, len(alike), TARGET_BATCH):
            batch = alike[begin : begin + TARGET_BATCH]
            targets = np.stack([columns[k] for k in batch])
            measured = inal(network, problem.inputs, targets, draws=draws, seed=seed)
            found |= {k: {"INAL": one} for k, one in zip(batch, measured, strict=True)}
    return [found[k] for k in range(len(columns))]


def kernel_baselines(
    simulations: Sequence[TargetSimulation], spectra: Sequence[ResidualSpectrum], norms: NDArray[Any]
) -> dict[str, Measurement]:
    """Baselines of one target by the kernel at the start: mean over starts, and its standard error.

    Args:
        simulations: The target's simulation from each start.
        spectra: Spectrum of its residual under the plain kernel at each start.
        norms: Mean diagonal and Frobenius norm of the kernel at each start, ``[seeds, 2]``.
    """
    values = {
        "yᵀK⁻¹y": [kernel_energy(one, size[0]) for one, size in zip(spectra, norms, strict=True)],
        "hitting time": [one.hitting_time for one in simulations],
        "kernel alignment": [kernel_alignment(one, size[1]) for one, size in zip(spectra, norms, strict=True)],
    }
    return {name: mean_over_starts(np.array(over_starts)) for name, over_starts in values.items()}


def mean_over_starts(values: NDArray[np.float64]) -> Measurement:
    """The mean of one number over starts, with its standard error where there are several."""
    several = len(values) > 1 and bool(np.isfinite(values).all())
    error = float(np.std(values, ddof=1) / np.sqrt(len(values))) if several else None
    return Measurement(float(np.mean(values)), error)
