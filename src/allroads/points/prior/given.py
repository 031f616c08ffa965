"""The prior over functions given data: the draws that answer the data as they should."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from allroads.checks import check_count, check_options
from allroads.errors import InputError
from allroads.points.prior.answers import Answers
from allroads.points.prior.estimates import clopper_pearson, collision, effective_number, entropy, missing_mass
from allroads.points.prior.function_prior import FunctionPrior
from allroads.results import Measurement
from allroads.status import PriorStatus

FEWEST = 100
"""Draws that must fit the data: the effective sample size, as all weights are 0 or 1."""


def prior_given(prior: FunctionPrior, at: Any, answers: Any, *, least: int = FEWEST) -> FunctionPrior:
    """P(f | S) = P(f) 1[f fits S] / P(S): the neutral distribution over functions that fit data S.

    It is what guessing and checking reaches: parameters are drawn until a network fits. Each draw has the weight 1
    where it fits and 0 where not, so the effective sample size is the number of draws that fit.

    Args:
        prior: Of any network.
        at: Which of its inputs are in S: their positions ``[m]``, each once. None at all gives the prior.
        answers: What S says there, ``[m]``: 0 and 1, or classes.
        least: Draws that must fit.

    Returns:
        The prior of the draws that fit. ``stats["evidence"]`` is P(S), a :class:`~allroads.Measurement` with its
        Clopper–Pearson interval ``low`` to ``high``.

    Raises:
        InputError: If fewer than ``least`` draws fit, functions were counted by digests, or the data are no answers.

    References: [mingard2021, clopper1934]

    Example:
        A perceptron without bias that answers 1 for (1, 0) has a weight above 0; half of these answer 1 for (0, 1):

        >>> import jax
        >>> from allroads import Network, function_prior
        >>> unit = Network(lambda key: jax.random.normal(key, (2,)), lambda w, x: x @ w)
        >>> prior = function_prior(unit, np.array([[0, 0], [1, 0], [0, 1], [1, 1]]), 8192, progress=False)
        >>> fits = prior_given(prior, [1], [1])
        >>> fits.stats["evidence"].stats["low"] < 1 / 2 < fits.stats["evidence"].stats["high"], fits.distinct
        (True, 3)
    """
    check_options("prior", prior, FunctionPrior)
    check_count("least", least)
    if not prior.exact:
        raise InputError(
            "prior: its functions were counted by digests, which do not say their answers. Use fewer inputs."
        )
    fits = _fitting(prior, *_checked(prior, at, answers))
    counts = prior.counts[fits]
    draws = int(counts.sum())
    low, high = clopper_pearson(draws, prior.samples) if prior.samples else (0.0, 1.0)
    if draws < least:
        raise InputError(
            f"prior: {draws:,} of {prior.samples:,} draws fit these {len(np.ravel(at))} answers, so P(S) is at most "
            f"{high:.2g}; expected {least} or more. Draw more samples, give fewer data, or estimate single functions "
            "by function_log_probability."
        )
    share = draws / prior.samples
    evidence = Measurement(share, max(share - low, high - share), PriorStatus.OK, {"low": low, "high": high})
    same = collision(counts)
    return dataclasses.replace(
        prior,
        counts=counts,
        codes=prior.codes[fits],
        first=prior.first[fits],
        samples=draws,
        entropy=entropy(counts),
        collision=same,
        effective=effective_number(same),
        missing=missing_mass(counts),
        status=PriorStatus(same.status),
        stats={**prior.stats, "evidence": evidence},
    )


def _checked(prior: FunctionPrior, at: Any, answers: Any) -> tuple[np.ndarray, np.ndarray]:
    read = Answers(prior.stats["answers"], tuple(prior.stats["outputs"]))
    inputs, each = read.shape[0], int(np.prod(read.shape[1:], dtype=int))
    most = read.outputs[-1] if read.kind == "classes" else 2
    places, said = np.ravel(np.asarray(at)), np.asarray(answers)
    whole = places.dtype.kind in "iu" or not places.size
    if (
        not whole
        or len(np.unique(places)) < len(places)
        or (places.size and not 0 <= places.min() <= places.max() < inputs)
    ):
        raise InputError(f"at: expected positions from 0 to {inputs - 1}, each once; got {at!r}.")
    if said.size != len(places) * each or not np.isin(said, np.arange(most)).all():
        raise InputError(
            f"answers: expected {each} for each of {len(places)} inputs, whole numbers from 0 to {most - 1}; got an "
            f"array of shape {list(said.shape)}."
        )
    return places.astype(np.int64), said.astype(np.uint64).reshape(len(places), each)


def _fitting(prior: FunctionPrior, places: np.ndarray, said: np.ndarray) -> np.ndarray:
    """Positions of the functions that give these answers, in the prior's order."""
    read = Answers(prior.stats["answers"], tuple(prior.stats["outputs"]))
    fits = np.arange(prior.distinct)
    for place, row in zip(places, said, strict=True):
        for number, answer in enumerate(row):
            for bit in range(read.bits_each):
                word, shift = divmod(int((place * len(row) + number) * read.bits_each + bit), 64)
                found = prior.codes[fits, word] >> np.uint64(shift) & np.uint64(1)
                fits = fits[found == (answer >> np.uint64(bit) & np.uint64(1))]
    return fits
