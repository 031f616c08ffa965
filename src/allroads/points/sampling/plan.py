"""Options of chains: what callers may choose, checked, and what is chosen where they do not."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, TypedDict

from allroads.checks import check_choice, check_count, check_number, check_options, check_positive
from allroads.errors import InputError
from allroads.explorers.samplers import (
    HMC,
    MCLMC,
    SAMPLERS,
    SGLD,
    Sampler,
    StochasticSampler,
    build_sampler,
    resolve_sampler,
)
from allroads.pfmap.precision import exact_products, float64
from allroads.points.sampling.free_parameters import Mask
from allroads.points.sampling.subset import subset_size

CHEAP, BATCH = 5e8, 512
"""Examples × parameters up to which every gradient takes all examples by default, and the examples of a batch
otherwise; where all are at most two batches, a gradient of all is worth its cost, as only it can be tested."""
SIZES = (
    (20, 64, 16, 4_000), (100, 32, 12, 2_000), (1_000, 8, 16, 2_000),
    (20_000, 8, 12, 800), (200_000, 8, 5, 400), (math.inf, 4, 5, 200),
)  # fmt: skip
"""By the number of parameters: chains, draws per round, and most draws. Few parameters take many draws."""
SAMPLED, ROUNDS_FIT, USUAL_STEPS = 0.5, 10, 12
"""Share of a budget that is left for sampling after compilation; rounds that it should have room for, with so many
gradients per draw."""
LEAST_CHAINS, LEAST_DRAWS, LEAST_SUBSET = 4, 4, 256
"""Chains, draws per round and examples that a budget leaves."""
MANY = 1_000
"""Free parameters beyond which a gradient takes as long as its matrix products, half as long in single precision."""
PRECISIONS: dict[str, Callable[[], AbstractContextManager[None]]] = {"float64": float64, "float32": nullcontext}
"""Contexts of the precisions; whoever computes in double precision around a call has it in either."""


@dataclass(frozen=True)
class Chains:
    """How many chains run, for how long, and in which coordinates.

    Args:
        count: Chains, run as one batch: an even number, at least 4, or with ``ladder=False`` any from 2. Default 8; 32
            up to 100 free parameters, 128 up to 20.
        draws: Draws measured of each chain, exactly. Default: until the standard error is as small as ``precision``
            asks.
        burn_in: Draws of tuning at the last localisation, rounded up to whole rounds where no round divides both this
            number and ``draws``; beyond 100 free parameters, the second half of them in a metric that stays. Default 6
            rounds, or 12.
        max_draws: Most draws measured where ``draws`` is absent. Default 40 rounds.
        metric: ``"curvature"``: directions are scaled by the curvature of the loss, layer by layer; ``"none"``.
        ladder: Whether chains come to the posterior from two sides, by levels of localisation and of temperature.
            Without, all start at the point: faster, and blind to what the levels would show.
        dtype: ``"float64"``, or ``"float32"``: faster, with a baseline that is good to seven digits only. Default:
            ``"float64"``; of :func:`allroads.llc` and what rests on it, beyond 1,000 free parameters, chains run in
            ``"float32"`` where its rounding changes their energies by less than a thousandth.
        examples: Examples that gradients are taken of; fewer than all are a random subset, with the gradient at the
            point corrected to that of all, and with the difference as a part of the error. Default of
            :func:`allroads.llc` and of what rests on it: all up to 2,048, beyond that 1,024, or four outputs per free
            parameter. Measures of the losses of single examples, and the samplers on batches, take all.
        memory: Bytes that the chains, and what they observe, may each take. Default 4 GiB.

    Raises:
        InputError: If a number is no whole number of a possible size.
        UnknownNameError: For a metric or dtype that does not exist.

    Example:
        >>> Chains(count=5)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        allroads.errors.InputError: chains: expected an even number, as they come in two groups; got count=5. ...
    """

    count: int | None = None
    draws: int | None = None
    burn_in: int | None = None
    max_draws: int | None = None
    metric: str = "curvature"
    ladder: bool = True
    dtype: str | None = None
    examples: int | None = None
    memory: int = 2**32

    def __post_init__(self) -> None:
        check_count("count", self.count, 4 if self.ladder else 2, absent=True)
        check_count("draws", self.draws, 4, absent=True)
        check_count("burn_in", self.burn_in, 0, absent=True)
        check_count("max_draws", self.max_draws, 4, absent=True)
        check_choice("metric", self.metric, ("curvature", "none"))
        check_choice("dtype", self.dtype or "float64", PRECISIONS)
        check_count("examples", self.examples, 1, absent=True)
        check_number("memory", self.memory, 0)
        if self.count is not None and self.count % 2 and self.ladder:
            raise InputError(
                f"chains: expected an even number, as they come in two groups; got count={self.count}. Or give "
                "ladder=False."
            )

    @contextmanager
    def precision(self) -> Iterator[None]:
        """The context of a measure over chains of this dtype; in double precision where none was asked for."""
        with exact_products(), PRECISIONS[self.dtype or "float64"]():
            yield


def resolve_chains(chains: Chains | None) -> Chains:
    """The options of chains; ``None``: the default ones.

    Raises:
        InputError: If they are something else.
    """
    if chains is None:
        return Chains()
    check_options("chains", chains, Chains)
    return chains


class SamplingOptions(TypedDict, total=False):
    """The keywords that all measures over chains share; each means what it means for :func:`allroads.llc`.

    Attributes:
        sampler: A sampler or its name.
        chains: How many, and for how long.
        nbeta: nβ.
        localisation: γ.
        mask: The free parameters.
        precision: Standard error of the mean energy to reach, as a share of it or of 1.
        seed: Decides everything random.
        budget: Seconds that the call may take.
        progress: Whether progress is written.
    """

    sampler: Sampler | str | None
    chains: Chains | None
    nbeta: float | None
    localisation: float | None
    mask: Mask
    precision: float
    seed: int
    budget: float | None
    progress: bool


def options_from_names(
    *,
    sampler: str | None = None,
    batch_size: int | None = None,
    step_size: float | None = None,
    precision: float = 0.01,
    nbeta: float | None = None,
    localisation: float | None = None,
    budget: float | None = None,
    **chains: Any,
) -> SamplingOptions:
    """Options from plain names and numbers, as command lines and configuration files give them.

    Args:
        sampler: A name. Default: ``"sgld"`` where a batch is given, else chosen by the size of the problem.
        batch_size: Examples per gradient.
        step_size: Of the sampler, which must then be named.
        precision: As for :func:`allroads.llc`.
        nbeta: nβ.
        localisation: γ.
        budget: Seconds that the call may take.
        **chains: Options of :class:`Chains`, and ``chains`` for its ``count``.

    Raises:
        InputError: If an option cannot be used.
        UnknownNameError: For a sampler that does not exist.

    Example:
        >>> options_from_names(sampler="sgld", batch_size=8, chains=6, draws=50)["chains"].count
        6
    """
    found = SamplingOptions(precision=precision, nbeta=nbeta, localisation=localisation, budget=budget)
    if "chains" in chains:
        chains["count"] = chains.pop("chains")
    found["chains"] = Chains(**chains)
    name = "sgld" if sampler is None and batch_size is not None else sampler
    if name is None and step_size is not None:
        raise InputError("step_size: it is counted differently by each sampler; name the sampler too.")
    if name is not None:
        check_choice("sampler", name, SAMPLERS)
        found["sampler"] = build_sampler(SAMPLERS[name], step_size=step_size, batch_size=batch_size)
    return found


@dataclass(frozen=True)
class Plan:
    """How to sample, with nothing left open but the step.

    Args:
        sampler: The sampler, without options.
        chains: Chains per point.
        draws: Draws per chain and round.
        burn_in: Draws of tuning at the last localisation; ``None``: as many rounds as are usual.
        rounds: Most rounds measured.
        exactly: Draws measured of each chain where so many were asked for: all rounds are then run.
        examples: Examples that gradients are taken of, chosen once; ``None``: all.
        subset: Whether a budget may have gradients taken of fewer.
        batch: Examples per gradient of a stochastic sampler; ``None``: all.
        step_size: Of the sampler; ``None``: tuned.
        rotate: Whether the metric is made from curvature; else it is one number.
        precision: Standard error, as a share of the mean or of 1, at which sampling ends.
        ladder: Whether the chains come in two groups from two sides; else all start at the posterior asked for.
        fixed: Whether the number of chains or of draws was asked for, so that no budget changes it.
        single: Whether chains may run in single precision, where its rounding is small.
    """

    sampler: Sampler
    chains: int
    draws: int
    burn_in: int | None
    rounds: int
    exactly: int | None
    examples: int | None
    subset: bool
    batch: int | None
    step_size: float | None
    rotate: bool
    precision: float
    ladder: bool
    fixed: bool
    single: bool


def make_plan(
    dimension: int,
    examples: int,
    sampler: Sampler | str | None = None,
    chains: Chains | None = None,
    precision: float = 0.01,
    outputs: int | None = None,
) -> Plan:
    """The options of :func:`allroads.llc`, held against the problem, with what is absent chosen.

    Args:
        dimension: Number d of free parameters.
        examples: Number n of examples.
        sampler: A sampler or its name. Default: HMC, or SGLD where a gradient of all examples is dear.
        chains: Their options.
        precision: Standard error to reach.
        outputs: Numbers that the network gives per example, where gradients may be taken of a subset.

    Raises:
        InputError: If the sampler or its batch does not suit the problem.
        UnknownNameError: If no sampler has that name.
    """
    chains = resolve_chains(chains)
    if chains.examples is not None and chains.examples > examples:
        raise InputError(f"examples: the data have {examples}; got Chains(examples={chains.examples}). Give fewer.")
    subset = None if outputs is None else chains.examples or subset_size(examples, dimension, outputs)
    if sampler is None:
        taken = subset or examples
        sampler = HMC() if taken * dimension <= CHEAP or taken <= 2 * BATCH else SGLD()
    sampler = resolve_sampler(sampler)
    check_positive(precision=precision)
    if isinstance(sampler, MCLMC) and dimension < 2:
        raise InputError("sampler 'mclmc' needs at least two free parameters; take 'hmc'.")
    batch = None
    if isinstance(sampler, StochasticSampler):
        batch = sampler.batch_size or min(examples, BATCH)
        if batch > examples:
            raise InputError(f"batch_size: the data have {examples} examples; got {batch}. Give at most {examples}.")
    usual, draws, most = next(sizes for limit, *sizes in SIZES if dimension <= limit)
    draws = round_length(draws, chains.draws, chains.burn_in)
    return Plan(
        sampler=sampler.without_options(),
        chains=chains.count or usual,
        draws=draws,
        burn_in=chains.burn_in,
        rounds=math.ceil((chains.draws or chains.max_draws or most) / draws),
        exactly=chains.draws,
        examples=None if subset == examples or isinstance(sampler, StochasticSampler) else subset,
        subset=outputs is not None and chains.examples is None and not isinstance(sampler, StochasticSampler),
        batch=None if batch == examples else batch,
        step_size=sampler.step_size,
        rotate=chains.metric == "curvature",
        precision=precision,
        ladder=chains.ladder,
        fixed=chains.count is not None or chains.draws is not None,
        single=outputs is not None and chains.dtype is None and dimension > MANY,
    )


def round_length(usual: int, draws: int | None, burn_in: int | None) -> int:
    """Draws per round: a usual number or down to a third of it, so that whole rounds make what was asked for.

    Where none does, rounds are as even as ``draws`` allows: the last draws of the last round are then left out, and
    the burn-in is rounded up.

    Example:
        >>> round_length(20, 50, 50), round_length(20, 53, None), round_length(20, None, None), round_length(20, 7, 0)
        (10, 18, 20, 7)
    """
    if draws is None and burn_in is None:
        return usual
    top = usual if draws is None else min(usual, draws)
    asked = [number for number in (draws, burn_in) if number]
    exact = (length for length in range(top, top // 3, -1) if all(number % length == 0 for number in asked))
    even = top if draws is None else math.ceil(draws / math.ceil(draws / top))
    return next(exact, even)


def within_budget(plan: Plan, seconds: float, gradient: float, points: int, examples: int) -> Plan:
    """The plan with a subset, chains and rounds so small that several fit a budget, unless sizes were asked for.

    Args:
        plan: The plan.
        seconds: What is left of the budget.
        gradient: Seconds that one gradient takes of one chain at one point and one example.
        points: Points whose chains run in one round.
        examples: Number n of examples.

    Example:
        >>> plan = make_plan(5_000, 10_000, outputs=10)
        >>> plan.examples, plan.chains, plan.draws
        (2000, 8, 12)
        >>> short = within_budget(plan, 10.0, 1e-5, 1, 10_000)
        >>> short.examples, short.chains, short.draws
        (1041, 4, 2)
    """
    if plan.fixed or not math.isfinite(seconds):
        return plan
    seconds *= SAMPLED
    if plan.subset:
        most = seconds / (gradient * points * LEAST_CHAINS * ROUNDS_FIT * USUAL_STEPS)
        taken = min(plan.examples or examples, max(int(most), LEAST_SUBSET))
        plan = replace(plan, examples=None if taken >= examples else taken)
    each = gradient * points * (plan.batch or plan.examples or examples)
    fits = seconds / ROUNDS_FIT / max(each * USUAL_STEPS, 1e-9)  # chains × draws of a round
    chains = plan.chains if fits >= plan.chains * LEAST_DRAWS else LEAST_CHAINS
    draws = int(min(max(fits / chains, 2), plan.draws))
    return replace(plan, chains=chains, draws=draws, rounds=math.ceil(plan.rounds * plan.draws / draws))
