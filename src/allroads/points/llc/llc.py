"""The local learning coefficient."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import jax
import numpy as np

from allroads.errors import InputError, MemoryBudgetError, UnknownNameError
from allroads.explorers.samplers import SAMPLERS
from allroads.measurement import Measurement
from allroads.pfmap.losses import PerExampleLoss
from allroads.pfmap.network import Network, Params
from allroads.pfmap.precision import float64
from allroads.points.llc.chains import compiled_losses
from allroads.points.llc.diagnostics import diagnose
from allroads.points.llc.metric import LARGEST
from allroads.points.llc.problem import Data, Question, checked_question
from allroads.points.llc.run import Plan, Run
from allroads.points.llc.schedule import Record, sample
from allroads.points.llc.survey import Scene, coldest, rounding, slope_energy, survey, usual_localisation
from allroads.points.llc.verdict import Evidence, judge

COPIES = 12
"""Arrays of the size of the parameters that a chain holds at once."""
FLAT = 1e-9
"""Energies below this at all draws are rounding: the loss does not change."""
CHEAP, BATCH = 5e8, 512
"""Examples × parameters up to which every gradient takes all examples by default, and the examples of a batch
otherwise; where all are at most two batches, a gradient of all is worth its cost, as only it can be tested."""
SIZES = ((20, 128, 50), (100, 32, 50), (1_000, 8, 50), (20_000, 8, 20), (200_000, 8, 10), (math.inf, 4, 5))
"""Chains, and draws a round, by the number of parameters: the fewer there are, the more a given precision takes."""


DTYPES: dict[str, Callable] = {"float64": float64, "float32": nullcontext}
"""Contexts of the precisions; whoever computes in double precision around a call has it in either."""


def llc(
    network: Network,
    params: Params,
    loss: str | PerExampleLoss,
    inputs: Any,
    labels: Any,
    *,
    nbeta: float | None = None,
    localisation: float | None = None,
    sampler: str | None = None,
    chains: int | None = None,
    draws: int | None = None,
    burn_in: int | None = None,
    max_draws: int | None = None,
    step_size: float | None = None,
    batch_size: int | None = None,
    metric: str = "curvature",
    mask: Any = None,
    precision: float = 0.01,
    ladder: bool = True,
    dtype: str = "float64",
    seed: int = 0,
    memory: int = 2**32,
) -> Measurement:
    """The local learning coefficient ``λ̂ = nβ (E[L] − L(w*))`` at a point w*, with its error and a status.

    The mean is over ``exp(−nβ L(w) − γ/2 ‖w − w*‖²)``, in double precision, L being the mean over *these* n examples
    and L(w*) the loss of the same ones. As nβ grows, λ̂ goes to the λ by which the volume of parameters near w* with an
    excess loss below ε shrinks, ``V ≍ ε^λ (−ln ε)^{m−1}``. No option needs to be given.

    *Which nβ.* By default the coldest at which w* is still a minimum (the slope at it would let nβL fall by at most
    0.02), up to ``nβ h_max = 10¹²``, and never below ``n / ln n``, the value usual in the literature; give
    ``nbeta=n / math.log(n)`` to have that one. *Localisation* γ is ``(nβ h_max)^{1/4} / 10``, which leaves directions
    of up to eighth order to the loss. Sampling starts at a stronger γ and comes down by decades; the means on the way,
    and one at nβ/10, decide with R-hat, drift and acceptance whether the result may be called converged.

    Args:
        network: The network.
        params: The point w*: a pytree of floating-point arrays.
        loss: Name or ``(outputs, labels) -> per-example losses``.
        inputs: ``[n, …]``.
        labels: ``[n, …]``.
        nbeta: nβ. Default: see above.
        localisation: γ. Default: see above.
        sampler: ``"hmc"`` (default up to 1,024 examples, or 5·10⁸ examples × parameters), ``"mala"``, ``"mclmc"``, or
            on batches ``"sgld"`` (default beyond), ``"rmsprop_sgld"``, ``"sgnht"``.
        chains: Chains, run as one batch: an even number, at least 4, or with ``ladder=False`` any from 2. Default 8;
            32 up to 100 free parameters, 128 up to 20.
        draws: Draws measured of each chain, exactly. Default: until the standard error is as small as ``precision``
            asks.
        burn_in: Draws of tuning at the last localisation, rounded up to whole rounds of draws where no round divides
            both this number and ``draws`` (``warmup`` has those that were taken); beyond 100 free parameters, the
            second half of them in a metric that stays. Default 6 rounds, or 12.
        max_draws: Most draws measured where ``draws`` is absent. Default 40 rounds.
        step_size: The sampler's step, in coordinates in which the stiffest direction of the posterior has width 1.
            Default: tuned to the acceptance; for the Langevin samplers set from the largest curvature so that the bias
            ``ε/4`` is predicted to be 1 %. In units of the weights, with ``metric="none"``, SGLD's
            ``ε = step_size / (nβ h_max + γ)``.
        batch_size: Examples of a gradient, for the samplers that take batches. Default: all up to 512.
        metric: ``"curvature"``: directions are scaled by the curvature of the loss, layer by layer; ``"none"``.
        mask: The free parameters, all others held: a pytree of booleans like ``params``, or a function of an array's
            path. λ is then that of the restricted model (the refined coefficient).
        precision: Monte Carlo standard error to reach, as a share of λ̂ or, where it is below 1, of 1. Default 0.01.
        ladder: Whether chains come to the posterior from two sides, by levels of localisation and temperature. Without,
            all start at the point and the best status is ``ok``: faster, and blind to what the levels would show.
        dtype: ``"float64"``, or ``"float32"``: faster, with a baseline that is good to seven digits only.
        seed: Decides everything random.
        memory: Bytes that chains may take. Default 4 GiB.

    Returns:
        A :class:`~allroads.Measurement`: ``value`` λ̂; ``error``, half of a 95 % interval that includes Monte Carlo,
        discretisation, localisation, temperature and baseline errors; ``status`` ``converged`` (``ok`` without ladder),
        ``scale-dependent``, ``not equilibrated``, ``diverged``, ``not at a minimum`` or ``prior-dominated``; ``stats``:
        ``nbeta``, ``localisation``, ``r_hat``, ``spread`` (of half chains), ``ess``, ``drift``, ``acceptance``,
        ``distance`` (root mean square of ``‖w − w*‖``) and ``prior_distance`` √(d/γ), ``error_parts``, ``loosened`` and
        ``cooled`` (the levels of the two groups on their way), ``trace`` ``[chains, draws]`` and ``warmup`` of nβ(L −
        L(w*)) (first the loosened group's chains, then the cooled one's; with ``population`` the cooled one's alone),
        ``wbic`` (n times the mean loss under the posterior: WBIC at nβ = n / ln n), ``top_eigenvalue`` and
        ``curvature`` (the same, or that a little way off where it is larger), ``step_size``, ``gradients``.

    Raises:
        InputError: For parameters that are not floating-point, a mask or sizes that do not fit, a batch larger than
            the data, a loss that is not finite at the point.
        UnknownNameError: For a sampler or loss that does not exist.
        MemoryBudgetError: If the chains do not fit; says how much they need.

    It fails quietly only where no sampler from w* can see the singularity: valleys of order above eight, or other
    branches farther away than ``1/√γ``. The coefficient is *not* invariant under rescaling of the weights at finite γ.

    References: [lau2023], [watanabe2013], [hitchcock2025]

    Example:
        A quadratic loss in three directions, of five, has λ = 3/2 at every temperature:

        >>> from allroads.points.zoo import quadratic
        >>> truth = quadratic((4.0, 1.0, 0.1, 0.0, 0.0), examples=10)
        >>> found = llc(truth.network, truth.params, truth.loss, truth.inputs, truth.labels)
        >>> abs(found.value - 1.5) < 0.1, found.status.value
        (True, 'converged')
    """
    if dtype not in DTYPES:
        raise UnknownNameError("dtype", dtype, DTYPES)
    with DTYPES[dtype]():
        question, stacked, data = checked_question(network, params, loss, inputs, labels, mask, points=False)
        point = jax.tree.map(lambda leaf: leaf[None], stacked)
        plan = make_plan(
            question, data, sampler=sampler, chains=chains, draws=draws, burn_in=burn_in, max_draws=max_draws,
            step_size=step_size, batch_size=batch_size, metric=metric, precision=precision, ladder=ladder,
        )  # fmt: skip
        check_positive(nbeta=nbeta, localisation=localisation)
        check_memory(question, plan.chains, memory)
        return estimate(question, point, data, nbeta, localisation, plan, seed)[0]


def estimate(
    question: Question, points: Params, data: Data, nbeta: float | None, localisation: float | None, plan: Plan,
    seed: int, observe: Callable | None = None, extra: Any = None, keep: list[Record] | None = None,
) -> list[Measurement]:  # fmt: skip
    """Estimates at stacked points, in one run of all their chains; inside :func:`~allroads.float64`.

    Raises:
        InputError: If the loss is not finite at a point.
    """
    leaves, structure = jax.tree.flatten(points)
    baseline = compiled_losses(question, structure)(leaves, data)
    _check_losses(baseline, data)
    scene = survey(question, structure, leaves, baseline, data, plan.rotate, seed)
    given = np.ones(len(scene.curvature))
    nbetas = np.array([coldest(scene, i) for i in range(len(given))]) if nbeta is None else nbeta * given
    gammas = usual_localisation(nbetas * scene.curvature) if localisation is None else localisation * given
    run = Run(question, structure, scene, baseline, data, nbetas, gammas, plan, seed)
    records = sample(run, observe, extra)
    if keep is not None:
        keep.extend(records)
    return [_measurement(question, scene, record, plan, nbetas, gammas, i) for i, record in enumerate(records)]


def _measurement(
    question: Question, scene: Scene, record: Record, plan: Plan, nbetas: np.ndarray, gammas: np.ndarray, i: int
) -> Measurement:
    found = diagnose(record.energy)
    nbeta, gamma = float(nbetas[i]), float(gammas[i])
    slope = slope_energy(scene, i, nbeta, gamma)
    verdict = judge(
        Evidence(
            diagnostics=found,
            variance=None if SAMPLERS[plan.sampler].stochastic else float(record.energy.var()),
            quality=record.quality if SAMPLERS[plan.sampler].target else 1.0,
            discretisation=BIAS[plan.sampler](record.step_size * record.stiffness),
            loosened=record.loosened,
            cooled=record.cooled,
            slope=slope,
            baseline_error=rounding(scene, i) * nbeta,
            flat=bool(np.abs(record.energy).max() <= FLAT),
            ladder=plan.ladder,
        )
    )
    stats = {
        "nbeta": nbeta,
        "localisation": gamma,
        "sampler": plan.sampler,
        "dimension": question.dimension,
        "r_hat": found.r_hat,
        "spread": found.spread,
        "ess": found.ess,
        "standard_error": found.standard_error,
        "drift": found.drift,
        "variance": float(record.energy.var()),
        "acceptance": record.quality if SAMPLERS[plan.sampler].target else None,
        "distance": float(np.sqrt(record.distance.mean())),
        "prior_distance": math.sqrt(question.dimension / gamma),
        "slope": slope,
        "error_parts": verdict.parts,
        "population": record.population,
        "loosened": record.loosened,
        "cooled": record.cooled,
        "loss": float(scene.losses[i]),
        "wbic": float(scene.count * (scene.losses[i] + found.mean / nbeta)),
        "top_eigenvalue": float(scene.top[i]),
        "curvature": float(scene.curvature[i]),
        "step_size": record.step_size,
        "steps_per_draw": record.steps,
        "gradients": record.gradients,
        "trace": record.energy,
        "warmup": record.warmup,
    }
    return Measurement(found.mean, verdict.error, verdict.status, stats)


BIAS: dict[str, Callable[[float], float]] = {
    "hmc": lambda step: 0.0,
    "mala": lambda step: 0.0,
    "mclmc": lambda step: 0.01,
    "sgld": lambda step: step / 4 / max(1 - step / 4, 1e-9),
    "rmsprop_sgld": lambda step: step / 4 / max(1 - step / 4, 1e-9),
    "sgnht": lambda step: step / 2,
}
"""Relative bias of the energy that a step predicts, in units of the stiffest direction's width: zero with a Metropolis
test; for Langevin steps on a mode of curvature 1, ``1/(1 − ε/4) − 1``."""


def make_plan(
    question: Question, data: Data, *, sampler: str | None = None, chains: int | None = None, draws: int | None = None,
    burn_in: int | None = None, max_draws: int | None = None, step_size: float | None = None,
    batch_size: int | None = None, metric: str = "curvature", precision: float = 0.01, ladder: bool = True,
) -> Plan:  # fmt: skip
    """The options of :func:`llc`, checked, with what is absent chosen.

    Raises:
        InputError, UnknownNameError: As :func:`llc`.
    """
    count, dimension = len(data.inputs), question.dimension
    if sampler is None:
        whole = count * dimension <= CHEAP or count <= 2 * BATCH
        sampler = "hmc" if batch_size is None and whole else "sgld"
    if sampler not in SAMPLERS:
        raise UnknownNameError("sampler", sampler, SAMPLERS)
    if metric not in ("curvature", "none"):
        raise UnknownNameError("metric", metric, ("curvature", "none"))
    if sampler == "mclmc" and dimension < 2:
        raise InputError("sampler 'mclmc' needs at least two free parameters; take 'hmc'.")
    wholes = {
        "chains": (chains, 4 if ladder else 2),
        "draws": (draws, 4),
        "burn_in": (burn_in, 0),
        "max_draws": (max_draws, 4),
    }
    for name, (number, least) in (wholes | {"batch_size": (batch_size, 1)}).items():
        if number is not None and (not isinstance(number, int | np.integer) or number < least):
            raise InputError(f"{name}: expected a whole number of {least} or more; got {number!r}.")
    chains = chains or next(number for limit, number, _ in SIZES if dimension <= limit)
    if chains % 2 and ladder:
        raise InputError(f"chains: expected an even number, as they come in two groups; got {chains}.")
    check_positive(step_size=step_size, precision=precision)
    if batch_size is not None and batch_size > count:
        raise InputError(f"batch_size: the data have {count} examples; got {batch_size}. Give at most {count}.")
    if batch_size is not None and not SAMPLERS[sampler].stochastic:
        raise InputError(
            f"batch_size: sampler {sampler!r} needs the loss of all examples. Leave it out, or take 'sgld'."
        )
    stochastic = SAMPLERS[sampler].stochastic
    batch = (batch_size or min(count, BATCH)) if stochastic else None
    a_round = next(number for limit, _, number in SIZES if dimension <= limit)
    a_round = round_length(a_round, draws, burn_in)
    return Plan(
        sampler=sampler,
        chains=chains,
        draws=a_round,
        burn_in=burn_in,
        rounds=math.ceil((draws or max_draws or 40 * a_round) / a_round),
        exactly=draws,
        batch=None if batch == count else batch,
        step_size=step_size,
        rotate=metric == "curvature",
        precision=precision,
        ladder=ladder,
    )


def round_length(usual: int, draws: int | None, burn_in: int | None) -> int:
    """Draws of a round: a usual one or down to a third of it, so that whole rounds make what was asked for.

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


def check_positive(**numbers: float | None) -> None:
    """Refuse numbers that are given and not finite and positive.

    Raises:
        InputError: Naming the number.
    """
    for name, number in numbers.items():
        if number is not None and not (np.isscalar(number) and np.isfinite(number) and number > 0):
            raise InputError(f"{name}: expected a finite number above 0, or nothing for the default; got {number!r}.")


def check_memory(question: Question, chains: int, memory: int) -> None:
    """Refuse chains that do not fit.

    Raises:
        MemoryBudgetError: With the bytes that they need.
    """
    sides = sum(side**2 for b in question.blocks for side in (b.rows, b.columns) if side <= LARGEST)
    needed = 8 * (COPIES * chains * question.dimension + 4 * sides)
    if needed > memory:
        raise MemoryBudgetError(
            f"{chains} chains of {question.dimension:,} parameters in double precision need about "
            f"{needed / 2**30:.1f} GiB; the budget is {memory / 2**30:.1f} GiB. Raise memory, take fewer chains, or "
            "restrict the parameters with mask."
        )


def _check_losses(baseline: Any, data: Data) -> None:
    if baseline.shape[1:] != (len(data.inputs),):
        raise InputError(
            f"loss: expected one number an example, shape [{len(data.inputs)}]; got {list(baseline.shape[1:])}."
        )
    finite = np.isfinite(np.asarray(baseline)).all(0)
    if not finite.all():
        bad = int(np.flatnonzero(~finite)[0])
        raise InputError(
            f"loss: it is not finite at the point, first at example {bad}. Check the data and the weights."
        )
