"""The terms of a balanced factorial design, and what each of them takes from a table of cell means."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

Term = tuple[int, ...]


@dataclass(frozen=True)
class Design:
    """A balanced factorial design.

    Args:
        shape: Numbers of levels of the factors.
        seeds: Runs per cell.
        order: Largest number of factors in a term; terms above it are pooled with the residual.

    Example:
        >>> design = Design((2, 3), seeds=5, order=1)
        >>> design.terms, design.df.tolist(), design.kept.tolist(), design.df_within
        (((0,), (1,), (0, 1)), [1, 2, 2], [True, True, False], 24)
    """

    shape: tuple[int, ...]
    seeds: int
    order: int

    @cached_property
    def terms(self) -> tuple[Term, ...]:
        """All terms, those of the fewest factors first."""
        axes = range(len(self.shape))
        return tuple(term for size in axes for term in itertools.combinations(axes, size + 1))

    @cached_property
    def df(self) -> np.ndarray:
        """Degrees of freedom of each term."""
        return np.array([math.prod(self.shape[axis] - 1 for axis in term) for term in self.terms])

    @cached_property
    def kept(self) -> np.ndarray:
        """Whether a term is shown, and not pooled."""
        return np.array([len(term) <= self.order for term in self.terms])

    @property
    def cells(self) -> int:
        """Number of cells."""
        return math.prod(self.shape)

    @property
    def runs(self) -> int:
        """Number of runs."""
        return self.cells * self.seeds

    @property
    def df_within(self) -> int:
        """Degrees of freedom within cells."""
        return self.cells * (self.seeds - 1)

    def having(self, factor: int) -> np.ndarray:
        """Which terms a factor is in."""
        return np.array([factor in term for term in self.terms])

    def only(self, *factors: int) -> np.ndarray:
        """The one term of these factors."""
        return np.array([term == factors for term in self.terms])

    def effects(self, means: np.ndarray) -> list[np.ndarray]:
        """The effects of each term: what its levels add beyond all terms within it.

        Args:
            means: Of cells, ``[batch, *shape, coordinates]``.

        Returns:
            One array per term, ``[batch, levels of its factors or 1, …, coordinates]``.
        """
        parts: dict[Term, np.ndarray] = {(): means}
        for axis in range(len(self.shape)):
            split = {}
            for term, part in parts.items():
                mean = part.mean(axis=1 + axis, keepdims=True)
                split[term] = mean
                split[(*term, axis)] = part - mean
            parts = split
        return [parts[term] for term in self.terms]

    def products(self, a: list[np.ndarray], b: list[np.ndarray], signs: np.ndarray) -> np.ndarray:
        """Sums of products over all runs of the effects of two tables, ``[batch, terms]``.

        Args:
            a: Effects of one table.
            b: Of the other; a batch of one is used for all.
            signs: +1 or −1 for each coordinate.
        """
        found = []
        for term, one, other in zip(self.terms, a, b, strict=True):
            share = self.runs / math.prod(self.shape[axis] for axis in term)
            product = (one * other) @ signs
            found.append(share * product.reshape(len(product), -1).sum(axis=1))
        return np.stack(found, axis=1)
