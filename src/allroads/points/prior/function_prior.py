"""The prior over functions: how probable each function is when parameters are drawn from an initialisation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from allroads.budget import budgeted
from allroads.checks import check_count, check_options
from allroads.distributions import collision, effective_number, entropy, missing_mass
from allroads.errors import InputError
from allroads.pfmap.network import Network, Params
from allroads.points.prior.draws import Source, drawn, first_batch, source_of, stream
from allroads.points.prior.functions import CountedFunctions, rows_of_cube
from allroads.points.prior.tally import Table, Tally
from allroads.results import Measurement, finish
from allroads.status import PriorStatus

_IDENTITY = ("seed", "precision", "answers", "outputs", "inputs")


@dataclass(frozen=True, repr=False)
class FunctionPrior(CountedFunctions):
    """Functions that were drawn, most frequent first, with what their counts say about the whole distribution.

    Args:
        counts: How often each function came ``[K]``.
        codes: The functions, packed: answers bit by bit, or a digest where they are too long ``[K, W]``.
        first: The number of the first draw of each ``[K]``.
        rows: The row of a truth table that each input is, bit i of row r being input i; ``None`` where the inputs are
            not all of some number of bits.
        samples: Number N of draws whose outputs are finite.
        entropy: ``−Σ p log₂ p`` in bits, see :func:`~allroads.points.prior.entropy`.
        collision: ``Σ p²``, the probability that two draws are one function.
        effective: ``1 / Σ p²``, the effective number of functions.
        missing: Probability of all functions that were not drawn.
        status: ``ok``; ``undersampled`` where the effective number is not sound; ``diverged`` where an output was not
            finite. The draws with such outputs are left out. The entropy has a status of its own.
        stats: ``seed``, ``answers``, ``outputs``, ``inputs`` (a digest), ``precision``, ``exact`` (``False`` where
            functions were told apart by digests), ``drawn`` and ``not_finite`` (draws), ``ended`` (``"budget"``,
            ``"interrupted"`` or ``None``).
    """

    counts: np.ndarray
    codes: np.ndarray
    first: np.ndarray
    rows: np.ndarray | None
    samples: int
    entropy: Measurement
    collision: Measurement
    effective: Measurement
    missing: Measurement
    status: PriorStatus
    stats: Mapping[str, Any] = field(default_factory=dict)

    def params(self, network: Network, k: int) -> Params:
        """The parameters of the first draw that computed function k.

        Raises:
            InputError: If there is no function k.
        """
        self._check(k)
        return drawn(network, self.stats["seed"], int(self.first[k]))


def function_prior(
    network: Network,
    inputs: Any,
    samples: int = 100_000,
    *,
    answers: str | None = None,
    resume: FunctionPrior | None = None,
    seed: int = 0,
    budget: float | None = None,
    progress: bool = True,
    throw: bool = False,
) -> FunctionPrior:
    """P(f): how often a network drawn from its initialisation computes each function on some inputs.

    Functions are the same where they give the same answers on all inputs. They are counted exactly, by the answers
    themselves up to 1,024 bits per function. Above, they are counted by a digest of 128 bits, and
    ``stats["exact"]`` is ``False``. Two of n functions then share a digest by chance with probability n² / 2¹²⁹.

    Draw i depends on ``seed`` and i alone. So ``resume`` continues where an earlier call ended, and the result is the
    one of a single call.

    Args:
        network: Its ``init`` is the distribution over parameters.
        inputs: ``[N, ...]``, two or more: all that there are, or a sample of them.
        samples: Number of networks to draw.
        answers: ``"signs"``: 1 where an output is above 0, else 0. ``"classes"``: the index of the largest output,
            the first of equal ones. Default: classes where an answer has several outputs, else signs.
        resume: An earlier result of the same network, inputs, answers and seed, which is continued to ``samples``.
        seed: Decides all draws; below 2⁶³.
        budget: Seconds, compilation included; looked at about every half second. One batch is always drawn, 128
            networks or fewer of large ones. ``None`` for no end.
        progress: Whether progress is written.
        throw: Raise a :class:`~allroads.MeasurementError` where the status is not ``ok``.

    Returns:
        A :class:`~allroads.points.prior.FunctionPrior`; ``value`` is the effective number of functions.

    Raises:
        InputError: If there is one input only, outputs cannot be read as answers, ``resume`` is of other draws or of
            another network, or an option cannot be used.

    When it fails: an output within rounding of 0, or of another class's, may be read otherwise by another processor.
    Memory grows by about 40 bytes, and the length of the answers, per different function.

    References: [valleperez2019, mingard2021]

    Example:
        A perceptron without bias on all inputs of two bits answers 1 on t inputs with probability ¼ for t = 0 … 3:

        >>> import jax
        >>> unit = Network(lambda key: jax.random.normal(key, (2,)), lambda w, x: x @ w)
        >>> prior = function_prior(unit, np.array([[0, 0], [1, 0], [0, 1], [1, 1]]), 8192, progress=False)
        >>> never = prior.probability([0, 0, 0, 0])
        >>> never.stats["low"] < 0.25 < never.stats["high"], prior.distinct
        (True, 6)
    """
    check_count("samples", samples)
    if resume is not None:
        check_options("resume", resume, FunctionPrior)
    source = source_of(network, inputs, answers, seed)
    tally = Tally(source.answers.words // 2 if source.answers.exact else 2, 1)
    start = spoilt = 0
    if resume is not None:
        start, spoilt = _continued(resume, source, samples)
        tally.add(resume.codes, resume.first, resume.counts[:, None])
    with budgeted("function_prior", budget, progress) as clock:
        if resume is not None and start < samples:
            clock.say("the first draws anew")
            _check_network(resume, source)
        done, more = stream(source, tally, start, samples, clock)
        ended = clock.ended if done < samples else None
    return finish(prior_of(source, tally.table(), done, spoilt + more, ended)[0], throw)


def prior_of(
    source: Source, table: Table, done: int, spoilt: int, ended: str | None
) -> tuple[FunctionPrior, np.ndarray]:
    """The prior that a table of counts makes, and the sums of the table in the prior's order of functions."""
    order = np.lexsort((table.first, -table.sums[:, 0]))
    sums = table.sums[order]
    counts = sums[:, 0]
    bits, same, missing = entropy(counts), collision(counts), missing_mass(counts)
    status = PriorStatus.DIVERGED if spoilt else PriorStatus(same.status)
    stats = source.identity | {"exact": source.answers.exact, "drawn": done, "not_finite": spoilt, "ended": ended}
    prior = FunctionPrior(
        counts, table.codes[order], table.first[order], rows_of_cube(np.asarray(source.inputs)), int(counts.sum()),
        bits, same, effective_number(same), missing, status, stats,
    )  # fmt: skip
    return prior, sums


def _continued(resume: FunctionPrior, source: Source, samples: int) -> tuple[int, int]:
    for name in _IDENTITY:
        if resume.stats[name] != source.identity[name]:
            raise InputError(
                f"resume: it has {name} {resume.stats[name]!r}, and this call {source.identity[name]!r}; "
                "expected a result of the same call with fewer samples."
            )
    if resume.stats["drawn"] > samples:
        raise InputError(f"resume: it holds {resume.stats['drawn']:,} draws already, above samples={samples:,}.")
    return resume.stats["drawn"], resume.stats["not_finite"]


def _check_network(resume: FunctionPrior, source: Source) -> None:
    """Refuse draws of another network: most of the functions first reached in the first batch must come again there."""
    codes = first_batch(source)
    early = resume.first < len(codes)
    differ = int((codes[resume.first[early]] != resume.codes[early]).any(axis=1).sum())
    if 2 * differ > early.sum():
        raise InputError(
            f"resume: {differ} of the {int(early.sum())} functions of its first draws are not what network "
            f"{source.network.name!r} gives there; expected a result of the same network. Draw anew without resume."
        )
