"""Which targets a map will learn, in what order, and how slowly."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache, partial
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from allroads.budget import Budget, budgeted
from allroads.checks import check_count, check_options
from allroads.compiled import quickly_compiled
from allroads.explorers.build import as_explorer
from allroads.explorers.explorer import Explorer
from allroads.paths.learnability.baselines.kernel_norms import kernel_norms
from allroads.paths.learnability.baselines.kernel_spectrum import kernel_spectra
from allroads.paths.learnability.baselines.table import (
    BASELINES,
    inal_baselines,
    kernel_baselines,
    label_baselines,
    mean_over_starts,
)
from allroads.paths.learnability.forecast import Forecast, Learnability
from allroads.paths.learnability.law.calibration import Calibration, default_calibration
from allroads.paths.learnability.law.features import FEATURES, features
from allroads.paths.learnability.law.pilot_runs import (
    condition_on_runs,
    evenly_spaced,
    observed_forecast,
    steps_to_goal,
)
from allroads.paths.learnability.law.quick import hitting_calibration, hitting_features, on_simulations
from allroads.paths.learnability.options import LearnabilityOptions
from allroads.paths.learnability.problem import Problem, read_problem
from allroads.paths.learnability.simulate.batches import Pairs, in_batches, simulate_batches, spread_order
from allroads.paths.learnability.simulate.residual_spectrum import ResidualSpectrum
from allroads.paths.learnability.simulate.start_kernel import hitting_times
from allroads.paths.learnability.simulate.target_simulation import TargetSimulation, simulate_targets
from allroads.pfmap.losses import PerExampleLoss
from allroads.pfmap.network import Network, Params
from allroads.results import Measurement
from allroads.status import ForecastStatus, Status

_HALF_WIDTH = float(ndtri(0.95))
"""Half of a 90 % interval, in standard deviations."""
_COMPILATION = 2.0
"""What the first simulation takes, at a guess, over what the hitting times took: both are mostly compilation."""


def learnability(
    network: Network,
    inputs: Any,
    targets: Any,
    loss: str | PerExampleLoss,
    explorer: Explorer | str,
    *,
    held_out: tuple[Any, Any] | None = None,
    within: int = 1000,
    learn: int = 0,
    seed: int = 0,
    budget: float | None = None,
    progress: bool = True,
    options: LearnabilityOptions | None = None,
) -> Learnability:
    """Predict which targets are learned, in what order, and how slowly, from the map at initialisation.

    The linearised path to every target is simulated in segments. On each, the linearised map is solved at the learning
    rates that the explorer effectively has, as far as the linearisation holds. There the map is linearised anew, and
    the rates are updated with the gradients seen so far. The explorer's own steps along that path follow from running
    it on gradients that shrink as those of the path do. A law fitted on runs of other targets, maps and explorers says
    how far to trust these steps. With ``learn``, that many of the targets, evenly spaced over the predicted order, are
    trained first, and the law for the others is conditioned on these runs.

    Args:
        network: The network.
        inputs: ``[N, …]``; ``None`` where all targets are :class:`~allroads.Target` with the same training inputs.
        targets: Labels of one target ``[N]``, ``[N, C]`` or classes; a list of such, a mapping from names, or
            ``Target`` objects.
        loss: ``"mse"``, ``"cross_entropy"``, ``"bce"`` or ``(outputs, labels) -> per-example losses``.
        explorer: An :class:`~allroads.explorers.explorer.Explorer`, or the name of one with its default options.
        held_out: ``(inputs, labels)``, a list or mapping of labels. They complete the domain for the Boolean baselines
            and serve nothing else.
        within: Steps within which a target is to be learned; default 1000.
        learn: Number of targets to train first; default none. Six of 137 Boolean ones, up to where they were learned,
            were 4.4 % of the cost of learning all. On maps that the law had not seen they took the share of
            predictions within a factor 2 of the steps from 95 % to 98 %. The cost here is about twice that, as runs
            that turn out too short are repeated.
        seed: Decides starts, and what the explorer draws in the runs of ``learn``.
        budget: Seconds that the call may take; default no end. With a budget every target is first predicted from its
            hitting time at the start, by a law of its own. Then targets are simulated while time lasts, evenly
            spaced over the predicted order, and that law is conditioned on them. Targets of ``learn`` are trained in
            the time that simulations leave; a training that has begun is not cut short. Of 137 Boolean targets, six
            simulated from one start cost 2.7 % of learning all, three starts three times that; see
            ``docs/direct_enough.md``. Compilation counts and cannot be interrupted. Ctrl-C ends the simulations as a
            budget does; a second one ends the call.
        progress: Whether a bar, or a line every ten seconds, tells what is being done.
        options: Threshold, number of starts, draws of INAL, how many targets are simulated, and the law; default
            :class:`LearnabilityOptions`.

    Returns:
        :class:`Learnability`: for each target predicted ``steps`` with ``interval``, ``probability`` of being learned
        within so many steps with its interval, ``order``, and all baselines. Targets that were trained first have the
        steps that they took. A constant target has the status ``nothing to learn``.

    Raises:
        InputError: On NaN in inputs or labels, labels that fit neither inputs nor loss, options out of range, or a
            calibration that needs features that are not known of these targets.
        UnknownNameError: If there is no such explorer or loss.

    When it fails: momentum counts by its stationary rate (SGD with momentum 0.9 took a fifth more steps than
    predicted); neither the noise of batches nor all that Muon does to a matrix is simulated. A path that is not at its
    goal after 24 segments continues at its last speed. The simulation costs gradients too, a quarter of those that 137
    Boolean targets took to learn. Features outside the range of the fit are named in ``outside``.

    References: [zancato2020], [laird1982], [jacot2018], [arora2019], [cortes2012], [abbe2022], [abbe2023],
    [odonnell2014]

    Example:
        One bit of four is easier than the parity of all:

        >>> import numpy as np
        >>> from allroads.networks.mlp import mlp
        >>> cube = 1.0 - 2 * (np.arange(16)[:, None] >> np.arange(4) & 1)
        >>> targets = {"parity": cube.prod(axis=1), "bit": cube[:, 0]}
        >>> options = LearnabilityOptions(seeds=1, draws=8)
        >>> found = learnability(mlp((4,), 1, widths=(32,)), cube, targets, "mse", "gd", options=options)
        >>> found["bit"].order, found["bit"].steps < found["parity"].steps, float(found["parity"].baselines["degree"])
        (1, True, 4.0)
    """
    options = LearnabilityOptions() if options is None else options
    check_options("options", options, LearnabilityOptions)
    check_count("seed", seed, 0)
    with budgeted("learnability", budget, progress) as clock:
        check_count("within", within, 1)
        check_count("learn", learn, 0)
        explorer = as_explorer(explorer)
        problem = read_problem(network, inputs, targets, loss, held_out)
        given = _Given(network, loss, explorer, problem, draw_starts(network, options.seeds, seed), seed, options)
        return _forecasts(given, within, learn, clock)


@dataclass(frozen=True)
class _Given:
    """What is asked about, checked."""

    network: Network
    loss: str | PerExampleLoss
    explorer: Explorer
    problem: Problem
    starts: Params
    seed: int
    options: LearnabilityOptions

    @cached_property
    def varied(self) -> NDArray[np.int_]:
        """The targets that are not constant."""
        return np.flatnonzero(self.problem.constant > 0)

    @property
    def labels(self) -> NDArray[Any]:
        """Their labels."""
        return self.problem.labels[self.varied]

    @property
    def goals(self) -> NDArray[Any]:
        """The loss at which each is learned."""
        goals: NDArray[Any] = self.options.threshold * self.problem.constant[self.varied]
        return goals

    def run(self, function: Callable[..., Any], pairs: Pairs, **options: Any) -> Any:
        """A simulation of some targets, or their hitting times, each from one of its starts."""
        chosen, numbers = pairs.T
        given = self.network, self.loss, self.explorer, self.points(numbers), self.problem.inputs
        return function(*given, self.labels[chosen], self.goals[chosen], seed=self.seed, **options)

    def spectra(self, pairs: Pairs) -> list[ResidualSpectrum]:
        """Spectra of their residuals under the plain kernel."""
        chosen, numbers = pairs.T
        return kernel_spectra(self.network, self.loss, self.points(numbers), self.problem.inputs, self.labels[chosen])

    def points(self, numbers: Any) -> Params:
        """The starts of these numbers, leaves ``[B, …]``."""
        return jax.tree.map(lambda leaf: np.asarray(leaf)[numbers], self.starts)


def _forecasts(given: _Given, within: int, learn: int, budget: Budget) -> Learnability:
    """The call inside its budget: hitting times where not all may be simulated, simulations, runs, baselines."""
    problem, options, varied = given.problem, given.options, given.varied
    seeds, count = options.seeds, len(varied)
    hits = np.full((seeds, count), np.nan)
    first, from_start = 0.0, budget.limited or options.simulated is not None
    everything = batches = in_batches(range(count), seeds)
    if count and from_start:
        budget.say("hitting times at the start")
        found = np.concatenate([given.run(hitting_times, pairs) for pairs in everything])
        hits = found.reshape(count, seeds).T
        first = _COMPILATION * budget.spent
        order_of = spread_order(hitting_features(hits).mean(axis=0)[:, 0], options.simulated or count)
        batches = in_batches(order_of, seeds)
    simulated = simulate_batches(partial(given.run, simulate_targets), batches, budget, first)
    known = np.array([k in simulated for k in range(count)], bool)
    x = np.full((count, len(FEATURES)), np.nan)
    for k, own in simulated.items():
        x[k] = np.mean([features(one) for one in own], axis=0)
    full, at_start = options.calibration or default_calibration(), hitting_features(hits).mean(axis=0)
    quick = on_simulations(hitting_calibration(), full, at_start[known], x[known])
    runs: dict[int, NDArray[Any]] = {}
    chosen: list[int] = []
    if learn:
        expected = np.exp(np.where(known, full.log_steps(x)[0], quick.log_steps(at_start)[0]))
        chosen = evenly_spaced(expected, learn)
        for number, k in enumerate(chosen):
            budget.say(f"learning target {number + 1} of {len(chosen)}")
            with budget.interruptible():
                if not budget.ended:
                    runs[k] = steps_to_goal(
                        given.network, given.loss, given.explorer, problem.inputs, labels=given.labels[k],
                        goal=given.goals[k], starts=given.starts, within=within, expected=expected[k], seed=given.seed,
                    )  # fmt: skip
        full = condition_on_runs(full, x, {k: steps for k, steps in runs.items() if known[k]}, within)
        quick = condition_on_runs(quick, at_start, {k: steps for k, steps in runs.items() if not known[k]}, within)
    baselines = _baselines(given, simulated, hits, budget)
    rows: list[Forecast] = [
        _without_prediction(name, ForecastStatus.NOTHING_TO_LEARN, own)
        for name, own in zip(problem.names, baselines, strict=True)
    ]
    for k, t in enumerate(varied):
        law, own = (full, x[k]) if known[k] else (quick, at_start[k])
        if np.isfinite(own).all():
            roads = [one.solution_norm for one in simulated.get(k, ())]
            row = _forecast(problem.names[t], law, own, roads, baselines[t], within)
            rows[t] = observed_forecast(row, runs[k]) if np.isfinite(runs.get(k, np.inf)).all() else row
        else:
            status = ForecastStatus.DIVERGED if known[k] or from_start else ForecastStatus.NOT_COMPUTED
            rows[t] = _without_prediction(problem.names[t], status, baselines[t])
    order = np.argsort(np.argsort([row.steps for row in rows], kind="stable"), kind="stable") + 1
    ranked = tuple(replace(row, order=int(rank)) for row, rank in zip(rows, order, strict=True))
    left_out = sum(map(len, simulated.values())) < sum(map(len, batches)) or len(runs) < len(chosen)
    missing = left_out or (known.all() and not all("INAL" in own for own in baselines))
    ended = "interrupted" if budget.interrupted else "budget" if missing else None
    return Learnability(ranked, given.explorer.name, options.threshold, within, len(runs), seeds, ended)


def _baselines(
    given: _Given, simulated: Mapping[int, Sequence[TargetSimulation]], hits: NDArray[Any], budget: Budget
) -> list[dict[str, Measurement]]:
    """Baselines of every target; those that cost gradients where all targets were simulated and time is left."""
    found = label_baselines(given.problem)
    for k, t in enumerate(given.varied):
        if np.isfinite(hits[:, k]).all():
            found[t]["hitting time"] = mean_over_starts(hits[:, k])
    if len(simulated) < len(given.varied) or budget.left < budget.spent:
        return found
    budget.say("baselines")
    with budget.interruptible():
        problem, options = given.problem, given.options
        inal = inal_baselines(given.network, problem, options.draws, given.seed)
        if given.varied.size:
            batches = in_batches(range(len(given.varied)), options.seeds)
            flat = [spectrum for pairs in batches for spectrum in given.spectra(pairs)]
            spectra = [flat[begin : begin + options.seeds] for begin in range(0, len(flat), options.seeds)]
            norms = kernel_norms(given.network, problem.inputs, given.starts, given.seed)
            finite = [k for k, own in simulated.items() if all(np.isfinite(one.loss) for one in own)]
            for k, t in zip(finite, given.varied[finite], strict=True):
                found[t] |= kernel_baselines(simulated[k], spectra[k], norms)
        found = [own | of_map for own, of_map in zip(found, inal, strict=True)]
    return found


def draw_starts(network: Network, seeds: int, seed: int) -> Params:
    """The starts of ``explore(…, members=seeds, seed=seed)``, leaves ``[seeds, …]``."""
    starts: Params = _compiled_init(network)(jax.random.key(seed), np.arange(seeds))
    return starts


@lru_cache(maxsize=32)
def _compiled_init(network: Network) -> Callable[[Any, Any], Params]:
    def init(key: Any, member: Any) -> Params:
        return network.init(jax.random.fold_in(jax.random.fold_in(key, member), 0))

    return jax.jit(jax.vmap(init, (None, 0)), compiler_options=quickly_compiled())


def _forecast(
    name: str,
    law: Calibration,
    x: NDArray[Any],
    roads: Sequence[float],
    baselines: Mapping[str, Measurement],
    within: int,
) -> Forecast:
    mean, deviation = map(float, law.log_steps(x))
    steps, band = float(np.exp(mean)), _HALF_WIDTH * float(np.hypot(law.noise, deviation))
    margin = np.log(within) - mean
    probability = float(ndtr(margin / np.hypot(law.noise, deviation)))
    low, high = (float(ndtr((margin + sign * _HALF_WIDTH * deviation) / law.noise)) for sign in (-1, 1))
    return Forecast(
        name,
        steps,
        (steps * float(np.exp(-band)), steps * float(np.exp(band))),
        probability,
        (min(low, probability), max(high, probability)),  # a mean of skewed chances may lie outside their middle 90 %
        0,
        _named(baselines, ForecastStatus.NOT_COMPUTED),
        float(np.mean(roads)) if roads else float("nan"),
        law.outside(x),
        ForecastStatus.OK,
        bool(roads),
    )


def _without_prediction(name: str, status: Status, baselines: Mapping[str, Measurement]) -> Forecast:
    nan = float("nan")
    known = _named(baselines, status)
    return Forecast(name, float("inf"), (nan, nan), nan, (nan, nan), 0, known, nan, (), status, False)


def _named(baselines: Mapping[str, Measurement], status: Status) -> dict[str, Measurement]:
    """All baselines by name; those that are missing with a status that says why."""
    return {key: baselines.get(key, Measurement(float("nan"), status=status)) for key in BASELINES}
