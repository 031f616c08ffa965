"""Bounds of a network's outputs over boxes of bits, some fixed and the others free."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import jax
import numpy as np
from jax.extend import core

from allroads.pfmap.arrays import as_point
from allroads.pfmap.jaxpr.walk import Traced, interpret, trace
from allroads.pfmap.precision import float64
from allroads.programs.boolean.residual import Part, Record, Sites, loosened, residual, sites_of
from allroads.programs.bounds.bound import Bound, UnboundedError, constant
from allroads.programs.bounds.mean_value import Pair, exact, mean_value
from allroads.programs.subject import TIE, Subject

ROWS = 61
"""Boxes that are bounded at once; a prime, so that their axis is told from others."""


class Boxes:
    """The network of a subject over boxes of bits: one free set of inputs, and bits of the others.

    Args:
        subject: The network; it answers one of two things.
        values: The two values of an input, for 0 and for 1.
        labels: The labels that stand for 0 and for 1.

    Raises:
        UnboundedError: If the network has an operation without bounds.
    """

    def __init__(self, subject: Subject, values: tuple[Any, Any], labels: tuple[Any, Any]):
        self.subject, self.labels = subject, labels
        self.width = subject.target.interface.input_shape[0]
        self.values = float(values[0]), float(values[1])
        self.middle, self.half = (self.values[1] + self.values[0]) / 2, (self.values[1] - self.values[0]) / 2
        self.traced = self._trace(ROWS)

    @cached_property
    def sites(self) -> Sites:
        """Where the network is not affine, with the axis of the boxes in each; found by tracing two numbers of rows."""
        every = np.arange(self.width)
        found = []
        for rows in (ROWS, ROWS - 2):
            traced = self.traced if rows == ROWS else self._trace(rows)
            record: Record = {}
            self._residual(traced, self._input(np.zeros((rows, self.width), bool), every), record, None)
            found.append({key: part.at.low.shape for key, (part, _) in record.items()})
        return sites_of(found[0], found[1], ROWS, ROWS - 2)

    def reach(self) -> np.ndarray:
        """How steeply each unit in front of a kink may depend on each input ``[F, n]``, over the whole cube."""
        found: list[np.ndarray] = []

        def rule(number: int, equation: core.JaxprEqn, operands: list[Pair]) -> list[Pair]:
            for place, (over, _) in enumerate(operands):
                if (number, place) in self.sites.axes:
                    axis, shape = self.sites.axes[number, place]
                    steep = np.maximum(*(np.abs(np.broadcast_to(s, (self.width, *shape))) for s in over.slopes))
                    found.append(steep.take(0, axis + 1).reshape(self.width, -1).T)
            return mean_value(number, equation, operands)

        given = self._input(np.zeros((ROWS, self.width), bool), np.arange(self.width))
        with float64(), np.errstate(all="ignore"):
            interpret(self.traced.jaxpr, [exact(c) for c in self.traced.consts], [given], rule, exact)
        every = np.concatenate([np.zeros((0, self.width)), *found])
        return np.asarray(np.nan_to_num(every, nan=0.0, posinf=0.0))

    def decided(
        self, bits: np.ndarray, free: np.ndarray, slack: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """What the network answers all over each box, and a lower bound of the margin there.

        Args:
            bits: Booleans ``[N, n]``; those of free inputs are of no matter.
            free: The free inputs.
            slack: Differences ``[N, F]`` at the sites that the bounds have to cover; default none.

        Returns:
            Answers ``[N]``: 0, 1, or -1 where the bounds leave it open; and margins ``[N]``.
        """
        answers, margins = [], []
        for first in range(0, len(bits), ROWS):
            some = bits[first : first + ROWS]
            own = None if slack is None else _padded(slack[first : first + ROWS])
            said, margin = self._signs(*self._outputs(_padded(some), free, own))
            answers.append(said[: len(some)])
            margins.append(margin[: len(some)])
        return np.concatenate(answers), np.concatenate(margins)

    def residuals(
        self, bits: np.ndarray, free: np.ndarray, slack: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What decides the network as a function of the free inputs: see :mod:`~allroads.programs.boolean.residual`.

        Returns:
            Signatures ``[N, F, 2 + K]`` of whether a unit counts, its value at the centre and its slopes along the K
            free inputs. Then how far from these exact values may be, and how far computed ones, slack included:
            ``[N, F]``.
        """
        found: list[tuple[np.ndarray, ...]] = []
        for first in range(0, len(bits), ROWS):
            some = bits[first : first + ROWS]
            own = None if slack is None else self.sites.spread(_padded(slack[first : first + ROWS]))
            record: Record = {}
            self._residual(self.traced, self._input(_padded(some), free), record, own)
            found.append(tuple(part[: len(some)] for part in self.sites.gathered(record, ROWS, len(free))))
        signatures, spreads, errors = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return signatures, spreads, errors

    def _trace(self, rows: int) -> Traced:
        subject = self.subject
        kind = subject.known.dtype
        with float64():
            point = as_point(subject.params, network=subject.network)
            given = jax.ShapeDtypeStruct((rows, self.width), float if np.issubdtype(kind, np.floating) else kind)
            return trace(lambda x: subject.network.apply(point, x), given)

    def _input(self, bits: np.ndarray, free: np.ndarray) -> Pair:
        at = np.where(bits, self.values[1], self.values[0])
        at[:, free] = self.middle
        if not len(free):
            return exact(at)
        slopes = np.zeros((len(free), *at.shape))
        slopes[np.arange(len(free)), :, free] = self.half
        reach = np.abs(slopes).sum(axis=0)
        off = max(abs(self.middle + self.half - self.values[1]), abs(self.middle - self.half - self.values[0]))
        error = np.zeros(at.shape)
        error[:, free] = off  # 0 for bits and signs, whose middle is exact
        return Bound(at - reach, at + reach, error, slopes, slopes), constant(at)

    def _outputs(self, bits: np.ndarray, free: np.ndarray, slack: np.ndarray | None) -> tuple[np.ndarray, ...]:
        """Lower and upper bounds ``[N]`` of the output, and of its size; of two scores, of half their difference."""
        held = None if slack is None else self.sites.spread(slack)

        def rule(number: int, equation: core.JaxprEqn, operands: list[Pair]) -> list[Pair]:
            if held is not None:
                operands = [_loosened(pair, held.get((number, place))) for place, pair in enumerate(operands)]
            return mean_value(number, equation, operands)

        consts = [exact(c) for c in self.traced.consts]
        with float64(), np.errstate(all="ignore"):
            [(over, at)] = interpret(self.traced.jaxpr, consts, [self._input(bits, free)], rule, exact)
        if held is not None:
            over, at = _loosened((over, at), held.get((-1, 0)))
        low, high = over.low - over.error, over.high + over.error
        size = np.maximum(np.abs(low), np.abs(high)).max(axis=-1)
        if low.shape[-1] == 1:
            return low[:, 0], high[:, 0], size
        middle = (at.low + at.high) / 2
        slow, shigh = over.slopes
        reach = np.maximum(np.abs(slow[..., 1] - shigh[..., 0]), np.abs(shigh[..., 1] - slow[..., 0])).sum(axis=0)
        apart = ((at.high - at.low) * (0.5 + 1e-9) + over.error + 1e-12 * np.abs(middle)).sum(axis=-1)
        reach, gap = reach * (1 + 1e-9) + apart, middle[:, 1] - middle[:, 0]
        return (
            np.fmax(gap - reach, low[:, 1] - high[:, 0]) / 2,
            np.fmin(gap + reach, high[:, 1] - low[:, 0]) / 2,
            size,
        )

    def _signs(self, low: np.ndarray, high: np.ndarray, size: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if self.subject.target.loss == "mse" and not self.subject.scores:
            margins = [0.5 - np.maximum(np.abs(low - label), np.abs(high - label)) for label in self.labels]
        else:
            margins = [-high, low]
        least = TIE * (1 + (size if self.subject.scores else 0.0)) * np.ones(len(low))
        sure = np.isfinite(low) & np.isfinite(high) & np.isfinite(size)
        answers = np.where(sure & (margins[1] > least), 1, np.where(sure & (margins[0] > least), 0, -1))
        return answers, np.where(answers == 1, margins[1], margins[0])

    def _residual(self, traced: Traced, given: Pair, record: Record, held: Any) -> None:
        consts = [Part(*exact(c)) for c in traced.consts]

        def rule(number: int, equation: core.JaxprEqn, operands: list[Part]) -> list[Part]:
            return residual(number, equation, operands, record, held)

        with float64(), np.errstate(all="ignore"):
            [out] = interpret(traced.jaxpr, consts, [Part(*given)], rule, lambda value: Part(*exact(value)))
        if held is not None:
            out = loosened(out, held.get((-1, 0)))
        record[-1, 0] = out, np.ones(out.at.low.shape, bool)


def _padded(rows: np.ndarray) -> np.ndarray:
    return np.concatenate([rows, np.repeat(rows[:1], ROWS - len(rows), axis=0)])


def _loosened(pair: Pair, more: np.ndarray | None) -> Pair:
    """Bounds whose computed values may be further from the exact ones."""
    if more is None or not more.any():
        return pair
    over, at = pair
    low, high = (over.low, over.high) if not over.point else (over.low.copy(), over.high.copy())
    return Bound(low, high, over.error + more, over.slow, over.shigh), at


__all__ = ["ROWS", "Boxes", "UnboundedError"]
