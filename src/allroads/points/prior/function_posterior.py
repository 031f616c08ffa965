"""The posterior over functions: how probable each function is among the drawn networks that fit the data."""

from __future__ import annotations

from typing import Any

import numpy as np

from allroads.budget import budgeted
from allroads.checks import check_count, check_options
from allroads.errors import InputError, TooFewSamplesError, UnknownNameError
from allroads.explorers.neutral.smc import SMC
from allroads.pfmap.network import Network
from allroads.pfmap.problem import Problem
from allroads.points.prior.answers import Answers
from allroads.points.prior.draws import Source, source_of
from allroads.points.prior.examples import checked_answers, checked_array, joined
from allroads.points.prior.function_prior import FunctionPrior, function_prior
from allroads.points.prior.functions import rows_of_cube
from allroads.points.prior.populations import populations
from allroads.points.prior.posterior import LEAST, FunctionPosterior
from allroads.points.prior.weighting import check_exact, fit_counts, log_hypergeometric, weighted
from allroads.points.volume.local_volume import pooled
from allroads.results import Measurement, finish
from allroads.status import PriorStatus

REJECTION, PARTICLES = 1_000_000, 16_384
SETTLED = 0.5
"""Stated error of log P(S), in nats, up to which populations of sequential Monte Carlo are taken to agree."""
_SAME = ("precision", "answers", "outputs", "inputs")


def function_posterior(
    network: Network,
    inputs: Any,
    labels: Any,
    probes: Any = None,
    *,
    method: str | SMC = "rejection",
    samples: int | None = None,
    prior: FunctionPrior | None = None,
    examples: int | None = None,
    replicas: int = 8,
    answers: str | None = None,
    seed: int = 0,
    budget: float | None = None,
    progress: bool = True,
    throw: bool = False,
) -> FunctionPosterior:
    """P(f | S): how probable each function on the probes is among networks drawn from ``init`` that fit S.

    ``P(f | S) = P(f) 1[f fits S] / P(S)``, where P(f) is :func:`~allroads.function_prior` and S the training examples.
    It is what an explorer reaches that is neutral about everything but the fit. ``value`` is log P(S), in nats.

    - ``"rejection"`` draws networks and keeps those that fit: exact, at a cost of 1 / P(S) networks per draw kept.
    - ``"smc"`` runs ``replicas`` independent populations of :class:`~allroads.SMC`. P(S) is the mean over populations,
      and each counts by its own P(S). Their disagreement is the error.

    With ``examples=m``, a training set is a random m of the inputs, and labels say what is right on all of them. A
    function with c of N right fits a share ``C(c, m) / C(N, m)`` of these sets, and that is its weight
    [mingard2025]. The result is the law of f where f and the set are drawn together until f fits; P(S) is the mean
    over sets.

    Args:
        network: Its ``init`` is the prior over parameters.
        inputs: Of the training examples ``[m, …]``.
        labels: ``[m, …]``: 0 or 1 where answers are signs, else classes.
        probes: On what functions are told apart ``[N, …]``; default the inputs. For small worlds, all inputs there are.
        method: ``"rejection"``, ``"smc"``, or an :class:`~allroads.SMC` with options of its own but ``fit`` and
            ``beta``.
        samples: Networks drawn, by default 1,000,000; members of all populations together, by default 16,384.
        prior: By rejection: an earlier :func:`~allroads.function_prior` of the same network on the probes, which must
            hold all inputs. It takes the place of new draws.
        examples: Examples of a random training set among the inputs; by rejection alone.
        replicas: Populations, 4 or more.
        answers: How outputs are read, as in :func:`~allroads.function_prior`.
        seed: Decides all draws.
        budget: Seconds, compilation included. What was drawn until then counts. ``None`` for no end.
        progress: Whether progress is written.
        throw: Raise a :class:`~allroads.MeasurementError` where the status is not ``ok``.

    Returns:
        A :class:`~allroads.points.prior.FunctionPosterior`.

    Raises:
        InputError: If the data cannot be used or contradict themselves, the prior is of something else, functions were
            kept as digests, ``init`` has no known moves, or an option cannot be used.
        TooFewSamplesError: If no network fits, or those that fit are worth fewer than 100 independent draws. The
            message gives the upper bound on P(S), and what to use instead.

    When it fails: populations that all miss a part of the set agree with each other on what is wrong. Where the error
    of log P(S) is above 0.5 nats, the status is ``unsettled``: the error itself is then too small. Compare with
    rejection where both are possible. The intervals of single functions are approximations but by rejection.

    References: [valleperez2019, mingard2021, mingard2025, kong1994, delmoral2006]

    Example:
        A perceptron without bias on all inputs of two bits is 1 on t of them with probability ¼, for t = 0 … 3. Given
        that it is 1 on (1, 1), t is 1, 2 or 3:

        >>> from allroads import Network, function_posterior
        >>> import jax
        >>> unit = Network(lambda key: jax.random.normal(key, (2,)), lambda w, x: x @ w)
        >>> bits = np.array([[0, 0], [1, 0], [0, 1], [1, 1]])
        >>> found = function_posterior(unit, bits[3:], [1], bits, samples=8192, progress=False)
        >>> bool(abs(found.value - np.log(0.5)) < 0.05), found.distinct  # 0111, 0011, 0101
        (True, 3)
    """
    chosen = _method(method)
    if prior is not None:
        check_options("prior", prior, FunctionPrior)
    check_count("samples", samples, absent=True)
    check_count("examples", examples, absent=True)
    check_count("replicas", replicas, 4)
    given, said = checked_array(inputs, "inputs"), checked_array(labels, "labels")
    asked = given if probes is None else checked_array(probes, "probes")
    if probes is None and len(asked) < 2:
        raise InputError("probes: one input tells no more than two functions apart; give probes= with two or more.")
    if given.shape[1:] != asked.shape[1:]:
        raise InputError(
            f"probes: each has shape {list(asked.shape[1:])}, and each input {list(given.shape[1:])}. They must agree."
        )
    union, rows = joined(given, asked)
    source = source_of(network, union, answers, seed)
    on_probes = source if len(union) == len(asked) else source_of(network, asked, answers, seed)
    right = checked_answers(said, source.answers, rows)
    if chosen is None:
        if examples is not None and examples > len(right):
            raise InputError(
                f"examples: a training set of {examples} of {len(right)} inputs; expected at most as many."
            )
        found = _by_weighting(source, on_probes, rows, right, prior, samples, examples, budget, progress)
    else:
        if prior is not None or examples is not None:
            raise InputError("function_posterior: prior= and examples= are for method='rejection'; leave them out.")
        members = (samples or PARTICLES) // replicas
        if members < 16:
            raise InputError(f"samples: {samples} in {replicas} populations; expected 16 or more in each.")
        found = _by_populations(on_probes, chosen, given, right, members, replicas, budget, progress)
    return finish(found, throw)


def _method(method: Any) -> SMC | None:
    if isinstance(method, SMC):
        if method.fit is not None or method.beta is not None:
            raise InputError("method: fit and beta of SMC have no place here; a function fits where it makes no error.")
        return method
    if method not in ("rejection", "smc"):
        raise UnknownNameError("method", method, ("rejection", "smc"))
    return SMC() if method == "smc" else None


def _by_weighting(
    source: Source,
    on_probes: Source,
    rows: np.ndarray,
    right: np.ndarray,
    prior: FunctionPrior | None,
    samples: int | None,
    examples: int | None,
    budget: float | None,
    progress: bool,
) -> FunctionPosterior:
    read = source.answers
    if prior is None:
        check_exact(read)
        prior = function_prior(
            source.network, source.inputs, samples or REJECTION, answers=read.kind, seed=source.seed, budget=budget,
            progress=progress,
        )  # fmt: skip
    else:
        _check_prior(prior, source, on_probes, samples)
        check_exact(read)
    correct = fit_counts(read, prior.codes, rows, right)
    if examples is None:
        log_weights = np.where(correct == len(rows), 0.0, -np.inf)
    else:
        log_weights = log_hypergeometric(correct, len(rows), examples)
    shares, evidence, effective = weighted(prior, log_weights)
    kept = shares > 0
    codes, shares = _projected(prior.codes[kept], shares[kept], read, on_probes.answers)
    stats = on_probes.identity | {
        "method": "rejection", "seed": prior.stats["seed"], "exact": True, "examples": examples or len(rows),
        "forwards": prior.stats["drawn"], "drawn": prior.stats["drawn"], "not_finite": prior.stats["not_finite"],
        "ended": prior.stats["ended"],
    }  # fmt: skip
    status = PriorStatus.DIVERGED if prior.stats["not_finite"] else PriorStatus.OK
    return _result(codes, shares, on_probes, evidence, effective, status, stats)


def _by_populations(
    on_probes: Source,
    explorer: SMC,
    inputs: np.ndarray,
    right: np.ndarray,
    members: int,
    replicas: int,
    budget: float | None,
    progress: bool,
) -> FunctionPosterior:
    loss = "cross_entropy" if on_probes.answers.kind == "classes" else "bce"
    problem = Problem(on_probes.network, loss, inputs, right)
    with budgeted("function_posterior", budget, progress) as clock:
        found = populations(problem, on_probes, explorer, members, replicas, on_probes.seed, clock)
    value, error = (float(part[0]) for part in pooled(found.log_evidences[:, None]))
    effective = max(found.effective(members), 0.0)
    if effective < LEAST:
        raise TooFewSamplesError(
            f"function_posterior: the populations differ so much that they are worth {effective:.1f} draws from the "
            f"posterior; expected {LEAST} or more. log P(S) is {value:.3g} ± {error:.2g}. Take more samples, or SMC("
            "moves=…, ess=…) with larger numbers.",
            effective,
            float(np.exp(min(value + error, 0.0))),
        )
    status = PriorStatus.OK if error <= SETTLED else PriorStatus.UNSETTLED
    evidence = Measurement(value, error, status, {"low": value - error, "high": min(value + error, 0.0)})
    stats = on_probes.identity | {
        "method": "smc", "exact": on_probes.answers.exact, "examples": len(right), "forwards": found.forwards,
        "log_evidences": found.log_evidences, "levels": found.levels, "accepted": found.accepted, "ended": found.ended,
    }  # fmt: skip
    shares = found.weights @ found.shares
    kept = shares > 0
    return _result(found.table.codes[kept], shares[kept], on_probes, evidence, effective, status, stats)


def _check_prior(prior: Any, source: Source, on_probes: Source, samples: int | None) -> None:
    if samples is not None:
        raise InputError("function_posterior: prior= has its draws already; leave samples= out, or continue the prior.")
    if source is not on_probes:
        raise InputError(
            "prior: some inputs are not among the probes, so it does not say whether its functions fit them. Give "
            "probes that hold all inputs, or leave prior= out."
        )
    for name in _SAME:
        if prior.stats[name] != source.identity[name]:
            raise InputError(
                f"prior: it has {name} {prior.stats[name]!r}, and this call {source.identity[name]!r}; expected "
                "function_prior of the same network on the same probes, in their order."
            )


def _result(
    codes: np.ndarray,
    shares: np.ndarray,
    on_probes: Source,
    evidence: Measurement,
    effective: float,
    status: PriorStatus,
    stats: dict[str, Any],
) -> FunctionPosterior:
    order = np.lexsort((*codes.T, -shares))
    rows = rows_of_cube(np.asarray(on_probes.inputs))
    return FunctionPosterior(shares[order], codes[order], rows, evidence, effective, status, stats)


def _projected(codes: np.ndarray, shares: np.ndarray, read: Answers, probes: Answers) -> tuple[np.ndarray, np.ndarray]:
    """Functions on the probes, which come first, with the shares of all functions that are equal there."""
    if read.shape == probes.shape:
        return codes, shares
    cut = np.stack([probes.code(said[: probes.shape[0]]) for said in read.read_all(codes)])
    kept, place = np.unique(cut, axis=0, return_inverse=True)
    return kept, np.bincount(place.ravel(), shares, minlength=len(kept))
