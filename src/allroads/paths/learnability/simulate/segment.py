"""A segment of the linearised path: a part on which one linearisation of the map holds."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from allroads.paths.learnability.simulate.hitting_time import gradient_share, hitting_time, residual_share
from allroads.paths.learnability.simulate.residual_spectrum import ResidualSpectrum


class LinearisedSegment(NamedTuple):
    """One segment of the linearised path. Times are steps of gradient descent at the segment's learning rates.

    Attributes:
        spectrum: Spectrum of the residual under the optimiser's kernel at the start: contractions per step.
        level: Share of the residual's square at which the loss is at its goal; 1 or more where it is there already.
        curvature: Curvature h of the quadratic loss that stands for the true one.
        duration: Steps in the linearised map.
        end_speed: Norm of the true gradient at the end over that in the linearised map.
        end_level: Level at the end: what is left to the goal there.
        decay_bound: Largest decay rate of a mode per step, see :func:`.decay_bound`; infinite without momentum.
    """

    spectrum: ResidualSpectrum
    level: float
    curvature: float
    duration: float
    end_speed: float
    end_level: float
    decay_bound: float = np.inf

    def corrected_time(self, linear_time: Any) -> Any:
        """Steps that the true map takes for a given number of steps of the linearised map.

        The speed changes linearly from 1 to ``end_speed`` q over the segment's duration T, and stays q afterwards. So
        t linear steps take ``T log(1 + (q − 1) t/T) / (q − 1)``, which is exact to second order in t.
        """
        within = np.minimum(linear_time, self.duration)
        growth = self.end_speed - 1
        if self.duration <= 0 or abs(growth) < 1e-9:
            return np.asarray(linear_time, np.float64)
        inside = self.duration * np.log1p(growth * within / self.duration) / growth
        return inside + (linear_time - within) / self.end_speed

    def linear_time(self, corrected_time: Any) -> Any:
        """The inverse of :meth:`corrected_time`."""
        growth, end = self.end_speed - 1, self.corrected_time(self.duration)
        if self.duration <= 0 or abs(growth) < 1e-9:
            return np.asarray(corrected_time, np.float64)
        within = np.minimum(corrected_time, end)
        inside = self.duration * np.expm1(growth * within / self.duration) / growth
        return inside + (corrected_time - within) * self.end_speed

    def gradient_norms(self, corrected_times: Any) -> Any:
        """Norm of the gradient after given true steps, up to a factor that all segments of a path share."""
        time = self.linear_time(corrected_times)
        speed = 1 + (self.end_speed - 1) * np.minimum(time / self.duration, 1.0) if self.duration > 0 else 1.0
        return self.initial_gradient_norm * speed * gradient_share(self.spectrum, time, self.decay_bound)

    @property
    def initial_gradient_norm(self) -> float:
        """Norm of the gradient at the start, ``√(rᵀ A r)``, up to a factor that all segments of a path share."""
        return float(np.sqrt(self.spectrum.energies @ self.spectrum.nodes / self.curvature))

    def time_to_goal(self) -> float:
        """True steps from the start to the goal; past the segment's end at the speed there."""
        time = hitting_time(self.spectrum, self.level, self.decay_bound)
        if self.level < 1 <= self.end_level and self.duration > 0:  # inside: interpolate in the logarithm of the loss
            linear = residual_share(self.spectrum, self.duration, self.decay_bound)
            share = np.log(self.level) / np.log(self.level / self.end_level)
            time = min(self.duration, hitting_time(self.spectrum, float(linear**share), self.decay_bound))
        return float(self.corrected_time(time))


def without_relinearisation(segment: LinearisedSegment, spectrum: ResidualSpectrum) -> LinearisedSegment:
    """The whole path by the linearisation at a segment's start, with a finer spectrum of the residual there."""
    return LinearisedSegment(spectrum, segment.level, segment.curvature, 0.0, 1.0, 0.0)


def path_duration(segments: tuple[LinearisedSegment, ...]) -> float:
    """Steps of gradient descent to the goal along all segments."""
    return (
        sum(float(segment.corrected_time(segment.duration)) for segment in segments[:-1]) + segments[-1].time_to_goal()
    )


def gradient_norms_along(segments: tuple[LinearisedSegment, ...], times: NDArray[Any]) -> NDArray[Any]:
    """Norm of the gradient over its first, at given times ``[G]`` from the start of the first segment.

    Example:
        Two segments along one mode are one:

        >>> mode = ResidualSpectrum(np.array([0.5]), np.array([1.0]))
        >>> later = mode._replace(energies=np.array([1 / 16]))
        >>> first = LinearisedSegment(mode, 0.01, 2.0, 2.0, 1.0, 0.16)
        >>> second = LinearisedSegment(later, 0.16, 2.0, 9.0, 1.0, 2.0)
        >>> gradient_norms_along((first, second), np.array([0.0, 2.0, 3.0])).tolist()
        [1.0, 0.25, 0.125]
    """
    starts = np.cumsum([0.0, *(float(segment.corrected_time(segment.duration)) for segment in segments[:-1])])
    which = np.clip(np.searchsorted(starts, times, side="right") - 1, 0, None)
    norms = np.empty(len(times))
    for k in np.unique(which):
        norms[which == k] = segments[k].gradient_norms(times[which == k] - starts[k])
    return norms / segments[0].initial_gradient_norm
