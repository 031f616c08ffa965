"""Tables of runs for the tests of attribution."""

from __future__ import annotations

import itertools

import numpy as np

NAMES = "abc"


def runs_of(shape, seeds):
    """The columns of the factors, runs of a cell together."""
    cells = np.indices(shape).reshape(len(shape), -1).repeat(seeds, axis=1)
    return dict(zip(NAMES, cells, strict=False))


def table_of(means, seeds, rng=None, noise=1.0):
    """Runs with the response ``y``: the cell means, and normal noise where a generator is given."""
    y = np.repeat(means[..., None], seeds, axis=-1)
    if rng is not None:
        y = y + noise * rng.normal(size=y.shape)
    return runs_of(means.shape, seeds) | {"y": y.ravel()}


def subsets_of(factors):
    return [term for size in range(1, len(factors) + 1) for term in itertools.combinations(factors, size)]
