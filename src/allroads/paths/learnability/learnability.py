"""Which targets a map will learn, in what order, and how slowly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from allroads.explorers.build import as_explorer
from allroads.explorers.explorer import Explorer
from allroads.paths.learnability.baselines.kernel_norms import kernel_norms
from allroads.paths.learnability.baselines.kernel_spectrum import kernel_spectra
from allroads.paths.learnability.baselines.table import BASELINES, kernel_baselines, label_baselines
from allroads.paths.learnability.forecast import Forecast, Learnability
from allroads.paths.learnability.law.calibration import Calibration, default_calibration
from allroads.paths.learnability.law.features import features
from allroads.paths.learnability.law.pilot_runs import (
    condition_on_runs,
    evenly_spaced,
    observed_forecast,
    steps_to_goal,
)
from allroads.paths.learnability.options import LearnabilityOptions, check_whole
from allroads.paths.learnability.problem import read_problem
from allroads.paths.learnability.simulate.target_simulation import (
    TargetSimulation,
    broadcast_params,
    simulate_targets,
)
from allroads.pfmap.losses import PerExampleLoss
from allroads.pfmap.network import Network, Params
from allroads.results import Measurement
from allroads.status import ForecastStatus, Status

_HALF_WIDTH = float(norm.ppf(0.95))
"""Half of a 90 % interval, in standard deviations."""


def learnability(
    network: Network,
    inputs: Any,
    targets: Any,
    loss: str | PerExampleLoss,
    explorer: Explorer | str,
    *,
    held_out: tuple[Any, Any] | None = None,
    budget: int = 1000,
    learn: int = 0,
    seed: int = 0,
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
        budget: Steps within which a target is to be learned; default 1000.
        learn: Number of targets to train first; default none. Six of 137 Boolean ones, up to where they were learned,
            were 4.4 % of the cost of learning all. On maps that the law had not seen they took the share of
            predictions within a factor 2 of the steps from 95 % to 98 %. The cost here is about twice that, as runs
            that turn out too short are repeated.
        seed: Decides starts, and what the explorer draws in the runs of ``learn``.
        options: Threshold, number of starts, draws of INAL and the law; default :class:`LearnabilityOptions`.

    Returns:
        :class:`Learnability`: for each target predicted ``steps`` with ``interval``, ``probability`` of being learned
        within the budget with its interval, ``order``, and all baselines. Targets that were trained first have the
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
    options = options or LearnabilityOptions()
    check_whole("budget", budget, 1)
    check_whole("learn", learn, 0)
    explorer = as_explorer(explorer)
    problem = read_problem(network, inputs, targets, loss, held_out)
    starts = draw_starts(network, options.seeds, seed)
    baselines = label_baselines(network, problem, options.draws, seed)
    varied = np.flatnonzero(problem.constant > 0)
    rows: list[Forecast] = [
        _without_prediction(name, ForecastStatus.NOTHING_TO_LEARN, known)
        for name, known in zip(problem.names, baselines, strict=True)
    ]
    runs: dict[int, NDArray[Any]] = {}
    if varied.size:
        labels, goals = problem.labels[varied], options.threshold * problem.constant[varied]
        points = [start_per_target(starts, m, len(labels)) for m in range(options.seeds)]
        simulated = [
            simulate_targets(network, loss, explorer, one, problem.inputs, labels, goals, seed=seed) for one in points
        ]
        spectra = [kernel_spectra(network, loss, one, problem.inputs, labels) for one in points]
        norms = kernel_norms(network, problem.inputs, starts, seed)
        x = np.mean([[features(one) for one in of_start] for of_start in simulated], axis=0)
        law = options.calibration or default_calibration()
        if learn:
            expected = np.exp(law.log_steps(x)[0])
            run = partial(
                steps_to_goal, network, loss, explorer, problem.inputs, starts=starts, budget=budget, seed=seed
            )
            chosen = evenly_spaced(expected, learn)
            runs = {k: run(labels=labels[k], goal=goals[k], expected=expected[k]) for k in chosen}
            law = condition_on_runs(law, x, runs, budget)
    for k, t in enumerate(varied):
        name, own = problem.names[t], [of_start[k] for of_start in simulated]
        if not np.isfinite(x[k]).all():
            rows[t] = _without_prediction(name, ForecastStatus.DIVERGED, baselines[t])
            continue
        known = baselines[t] | kernel_baselines(own, [of_start[k] for of_start in spectra], norms)
        row = _forecast(name, law, x[k], own, known, budget)
        rows[t] = observed_forecast(row, runs[k]) if np.isfinite(runs.get(k, np.inf)).all() else row
    order = np.argsort(np.argsort([row.steps for row in rows], kind="stable"), kind="stable") + 1
    ranked = tuple(replace(row, order=int(rank)) for row, rank in zip(rows, order, strict=True))
    return Learnability(ranked, explorer.name, options.threshold, budget, len(runs), options.seeds)


def draw_starts(network: Network, seeds: int, seed: int) -> Params:
    """The starts of ``explore(…, members=seeds, seed=seed)``, leaves ``[seeds, …]``."""
    key = jax.random.key(seed)
    keys = jax.vmap(lambda m: jax.random.fold_in(jax.random.fold_in(key, m), 0))(jnp.arange(seeds))
    return jax.jit(jax.vmap(network.init))(keys)


def start_per_target(starts: Params, m: int, targets: int) -> Params:
    """Start number m once for each target, leaves ``[targets, …]``."""
    return broadcast_params(jax.tree.map(lambda leaf: leaf[m], starts), targets)


def _forecast(
    name: str,
    law: Calibration,
    x: NDArray[Any],
    simulations: Sequence[TargetSimulation],
    baselines: Mapping[str, Measurement],
    budget: int,
) -> Forecast:
    mean, deviation = map(float, law.log_steps(x))
    steps, band = float(np.exp(mean)), _HALF_WIDTH * float(np.hypot(law.noise, deviation))
    margin = np.log(budget) - mean
    probability = float(norm.cdf(margin / np.hypot(law.noise, deviation)))
    low, high = (float(norm.cdf((margin + sign * _HALF_WIDTH * deviation) / law.noise)) for sign in (-1, 1))
    return Forecast(
        name,
        steps,
        (steps * float(np.exp(-band)), steps * float(np.exp(band))),
        probability,
        (min(low, probability), max(high, probability)),  # a mean of skewed chances may lie outside their middle 90 %
        0,
        {key: baselines[key] for key in BASELINES},
        float(np.mean([one.solution_norm for one in simulations])),
        law.outside(x),
        ForecastStatus.OK,
    )


def _without_prediction(name: str, status: Status, baselines: Mapping[str, Measurement]) -> Forecast:
    nan = float("nan")
    known = {key: baselines.get(key, Measurement(nan, status=status)) for key in BASELINES}
    return Forecast(name, float("inf"), (nan, nan), nan, (nan, nan), 0, known, nan, (), status)
