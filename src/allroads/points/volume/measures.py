"""Reference measures: what the mass of a set of parameters is measured by."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from allroads.errors import InputError

CENTRES = ("point", "zero")


@dataclass(frozen=True)
class Gaussian:
    """The normal distribution with standard deviation ``sigma`` in every parameter; total mass 1.

    Args:
        sigma: Standard deviation, in the unit of the parameters.
        centre: ``"point"``, the parameters that are measured, or ``"zero"``, as for a prior.

    Raises:
        InputError: If ``sigma`` is not a positive number or the centre is neither of the two.

    Example:
        >>> Gaussian(0.1)
        Gaussian(sigma=0.1, centre='point')
    """

    sigma: float = 1.0
    centre: str = "point"

    def __post_init__(self) -> None:
        _check("sigma", self.sigma, self.centre)

    @property
    def scale(self) -> float:
        """How far it reaches, in the unit of the parameters."""
        return float(self.sigma)

    @staticmethod
    def log_shape(offset: Any, scale: Any) -> Any:
        """Log-density up to a constant at ``offset`` ``[..., d]`` from the centre."""
        return -0.5 * ((offset / scale) ** 2).sum(-1)

    def log_height(self, dimension: int) -> float:
        """Log-density minus ``log_shape``."""
        return -dimension * (math.log(self.sigma) + 0.5 * math.log(2 * math.pi))

    def draws(self, key: Any, count: tuple[int, ...], offset: Any) -> Any:
        """Draws of this shape, as differences from w*, which is ``offset`` ``[d]`` from the centre."""
        return self.sigma * jax.random.normal(key, (*count, offset.size)) - offset

    def along(self, offset: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Log-shape at w* + r u minus that at w*, as ``−½ c ((r − a)² − a²)`` for ``r`` up to ``end``.

        Args:
            offset: w* minus the centre, ``[d]``.
            directions: u, ``[n, d]``.

        Returns:
            ``a``, ``c`` and ``end``, ``[n]`` each.
        """
        precision = (directions**2).sum(-1) / self.sigma**2
        return -(directions @ offset) / self.sigma**2 / precision, precision, np.full(len(directions), np.inf)


@dataclass(frozen=True)
class Box:
    """The uniform distribution on the cube of all parameters within ``half_width`` of the centre; total mass 1.

    Mass becomes volume by the volume of the cube: ``log volume = log mass + d log(2 half_width)``.

    Args:
        half_width: Half the edge, in the unit of the parameters.
        centre: ``"point"``, the parameters that are measured, or ``"zero"``.

    Raises:
        InputError: If ``half_width`` is not a positive number or the centre is neither of the two.

    Example:
        >>> Box(2.0, centre="zero").log_height(dimension=1)  # density 1/4
        -1.3862943611198906
    """

    half_width: float = 1.0
    centre: str = "point"

    def __post_init__(self) -> None:
        _check("half_width", self.half_width, self.centre)

    @property
    def scale(self) -> float:
        """How far it reaches, in the unit of the parameters."""
        return float(self.half_width)

    @staticmethod
    def log_shape(offset: Any, scale: Any) -> Any:
        """Log-density up to a constant at ``offset`` ``[..., d]`` from the centre: 0 inside, −∞ outside."""
        return jnp.where((jnp.abs(offset) <= scale).all(-1), 0.0, -jnp.inf)

    def log_height(self, dimension: int) -> float:
        """Log-density minus ``log_shape``."""
        return -dimension * math.log(2 * self.half_width)

    def draws(self, key: Any, count: tuple[int, ...], offset: Any) -> Any:
        """Draws of this shape, as differences from w*, which is ``offset`` ``[d]`` from the centre."""
        half = self.half_width
        return jax.random.uniform(key, (*count, offset.size), minval=-half - offset, maxval=half - offset)

    def along(self, offset: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """As :meth:`Gaussian.along`: flat up to the wall.

        Args:
            offset: w* minus the centre, ``[d]``.
            directions: u, ``[n, d]``.

        Returns:
            ``a``, ``c`` and ``end``, ``[n]`` each.
        """
        with np.errstate(divide="ignore"):
            end = ((self.half_width - np.sign(directions) * offset) / np.abs(directions)).min(-1)
        return np.zeros(len(directions)), np.zeros(len(directions)), end


Measure = Gaussian | Box


def checked_measure(measure: Any, point: np.ndarray) -> np.ndarray:
    """The point minus the centre of the measure.

    Raises:
        InputError: If it is no measure, or has no mass at the point.
    """
    if not isinstance(measure, Measure):
        raise InputError(f"measure: expected Gaussian(sigma) or Box(half_width), got {measure!r}.")
    offset = point if measure.centre == "zero" else np.zeros_like(point)
    if isinstance(measure, Box) and np.abs(offset).max(initial=0.0) >= measure.half_width:
        raise InputError(
            f"measure: the point lies outside of {measure}, its largest parameter is {np.abs(offset).max():.4g}. "
            "Widen the box, or centre it on the point."
        )
    return offset


def _check(name: str, scale: float, centre: str) -> None:
    if not (isinstance(scale, int | float | np.number) and math.isfinite(scale) and scale > 0):
        raise InputError(f"{name}: expected a positive number, got {scale!r}.")
    if centre not in CENTRES:
        raise InputError(f"centre: expected 'point' or 'zero', got {centre!r}.")
