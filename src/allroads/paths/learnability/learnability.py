"""Which targets a map will learn, in what order, and how slowly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import norm

from allroads.errors import InputError
from allroads.explorers.build import as_explorer
from allroads.explorers.explorer import Explorer
from allroads.paths.learnability.boolean import boolean_baselines, boolean_rows
from allroads.paths.learnability.calibration import Calibration, shipped
from allroads.paths.learnability.features import FEATURES, features
from allroads.paths.learnability.forecast import BASELINES, Forecast, Learnability
from allroads.paths.learnability.inal import DRAWS, inal
from allroads.paths.learnability.kernel_size import compiled_kernel_size
from allroads.paths.learnability.learned_first import after_runs, as_learned, learned, spread_out
from allroads.paths.learnability.point import Sight, look, plain_spectra, repeated
from allroads.paths.learnability.problem import Problem, read_problem
from allroads.paths.learnability.spectrum import ResidualSpectrum
from allroads.pfmap.losses import PerExampleLoss
from allroads.pfmap.network import Network, Params
from allroads.results import Measurement
from allroads.status import ForecastStatus, Status

REGULARISATION = 1e-3
"""ε of ``yᵀ(K + εI)⁻¹y``, as a share of the mean of K's diagonal."""
_HALF = norm.ppf(0.95)


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
    threshold: float = 0.1,
    seeds: int = 3,
    seed: int = 0,
    draws: int = DRAWS,
    calibration: Calibration | None = None,
) -> Learnability:
    """Predict which targets are learned, in what order, and how slowly, from the map at initialisation.

    For every target the way to its goal is followed in hops: the linearised map is solved as far as it holds, at the
    learning rates that the explorer effectively has, and linearised anew there, with rates as they are after the
    gradients seen so far. The explorer, shown how the gradient falls on that way, tells its own steps. A law fitted on
    runs of other targets, maps and explorers says how far to trust them. With ``learn`` that many of the targets,
    spread over the predicted order, are learned first, and the law for the others is what these runs leave of it.

    Args:
        network: The network.
        inputs: ``[N, …]``; ``None`` where all targets are :class:`~allroads.Target` with the same training inputs.
        targets: Labels of one target ``[N]``, ``[N, C]`` or classes; a list of such, a mapping from names, or
            ``Target`` objects.
        loss: ``"mse"``, ``"cross_entropy"``, ``"bce"`` or ``(outputs, labels) -> per-example losses``.
        explorer: An :class:`~allroads.explorers.explorer.Explorer`, or the name of one with its default options.
        held_out: ``(inputs, labels)``, a list or mapping of labels: only completes the domain, for the Boolean
            baselines; nothing else looks at it.
        budget: Steps within which a target is to be learned; default 1000.
        learn: Number of targets to learn first; default none. Six of 137 Boolean ones, up to where they were learned,
            were 4.4 % of the cost of learning all, and took the share of predictions within a factor 2 of the steps, on
            maps that the law had not seen, from 95 % to 98 %. Here they cost about twice as much, as runs that turn out
            too short are begun again.
        threshold: A target is learned when its training loss is this share of that of the best constant (for a
            callable: of outputs that are all zero); default 0.1.
        seeds: Starts to average over; default 3. They are those of ``explore(…, members=seeds, seed=seed)``.
        seed: Decides starts, and what the explorer draws in the runs of ``learn``.
        draws: Initialisations for INAL; default 64.
        calibration: A law of your own over ``ahead``, of
            :func:`~allroads.paths.learnability.calibration.calibrate`; default the one that comes with the package.

    Returns:
        :class:`Learnability`: for each target predicted ``steps`` with ``interval``, ``probability`` of being learned
        within the budget with its interval, ``order``, and all baselines. Targets that were learned first have the
        steps that they took.

    Raises:
        InputError: On NaN in inputs or labels, labels that fit neither inputs nor loss, options out of range, or a
            calibration that asks for what is not known of these targets.
        UnknownNameError: If there is no such explorer or loss.

    When it fails: momentum is known by the rate that it comes to in the end (SGD with momentum 0.9 took a fifth more
    steps than said); neither the noise of batches is seen nor all that Muon does to a matrix. A way that is not at its
    goal after 24 hops is taken on at its last speed. Looking costs gradients too, a quarter of those that 137 Boolean
    targets took to learn. Features outside what the law has seen are named in ``outside``.

    References: [zancato2020], [laird1982], [jacot2018], [arora2019], [cortes2012], [abbe2022], [abbe2023],
    [odonnell2014]

    Example:
        One bit of four is easier than the parity of all:

        >>> import numpy as np
        >>> from allroads.networks.mlp import mlp
        >>> cube = 1.0 - 2 * (np.arange(16)[:, None] >> np.arange(4) & 1)
        >>> targets = {"parity": cube.prod(axis=1), "bit": cube[:, 0]}
        >>> found = learnability(mlp((4,), 1, widths=(32,)), cube, targets, "mse", "gd", seeds=1, draws=8)
        >>> found["bit"].order, found["bit"].steps < found["parity"].steps, float(found["parity"].baselines["degree"])
        (1, True, 4.0)
    """
    explorer = as_explorer(explorer)
    _check_options(budget, learn, threshold, seeds, draws, calibration)
    problem = read_problem(network, inputs, targets, loss, held_out)
    starts = _starts(network, seeds, seed)
    baselines = _own_baselines(network, problem, draws, seed)
    varied = np.flatnonzero(problem.constant > 0)
    rows: list[Forecast] = [
        _unknown(name, ForecastStatus.DEGENERATE, known) for name, known in zip(problem.names, baselines, strict=True)
    ]
    runs: dict[int, np.ndarray] = {}
    if varied.size:
        labels, goals = problem.labels[varied], threshold * problem.constant[varied]
        points = [_member(starts, m, len(labels)) for m in range(seeds)]
        seen = [look(network, loss, explorer, one, problem.inputs, labels, goals, seed=seed) for one in points]
        plain = [plain_spectra(network, loss, one, problem.inputs, labels) for one in points]
        kernels = _kernel_sizes(network, problem.inputs, starts, seed)
        x = np.mean([[features(sight) for sight in of_start] for of_start in seen], axis=0)
        law = calibration or shipped()
        if learn:
            expected = np.exp(law.log_steps(x)[0])
            run = partial(learned, network, loss, explorer, problem.inputs, starts=starts, budget=budget, seed=seed)
            chosen = spread_out(expected, learn)
            runs = {k: run(labels=labels[k], goal=goals[k], expected=expected[k]) for k in chosen}
            law = after_runs(law, x, runs, budget)
    for k, t in enumerate(varied):
        name, sights = problem.names[t], [of_start[k] for of_start in seen]
        if not np.isfinite(x[k]).all():
            rows[t] = _unknown(name, ForecastStatus.DIVERGED, baselines[t])
            continue
        known = baselines[t] | _kernel_baselines(sights, [of_start[k] for of_start in plain], kernels)
        row = _forecast(name, law, x[k], sights, known, budget)
        rows[t] = as_learned(row, runs[k]) if np.isfinite(runs.get(k, np.inf)).all() else row
    order = np.argsort(np.argsort([row.steps for row in rows], kind="stable"), kind="stable") + 1
    ranked = tuple(replace(row, order=int(rank)) for row, rank in zip(rows, order, strict=True))
    return Learnability(ranked, explorer.name, threshold, budget, len(runs), seeds)


def _check_options(
    budget: int, learn: int, threshold: float, seeds: int, draws: int, calibration: Calibration | None
) -> None:
    for name, value, least in (("budget", budget, 1), ("learn", learn, 0), ("seeds", seeds, 1), ("draws", draws, 2)):
        if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
            raise InputError(f"learnability: {name} must be a whole number, at least {least}; got {value!r}.")
    if not 0 < threshold < 1:
        raise InputError(
            f"learnability: threshold is a share of the constant predictor's loss, in (0, 1); got {threshold!r}."
        )
    if calibration is not None and calibration.features != FEATURES:
        raise InputError(
            f"learnability: the calibration asks for {', '.join(calibration.features)}; what is known of a target is "
            f"{', '.join(FEATURES)}: fit it on that with calibrate."
        )


def _starts(network: Network, seeds: int, seed: int) -> Params:
    """The starts of ``explore(…, members=seeds, seed=seed)``, leaves ``[seeds, …]``."""
    key = jax.random.key(seed)
    keys = jax.vmap(lambda m: jax.random.fold_in(jax.random.fold_in(key, m), 0))(jnp.arange(seeds))
    return jax.jit(jax.vmap(network.init))(keys)


def _member(starts: Params, m: int, targets: int) -> Params:
    """One start, for each of some targets."""
    return repeated(jax.tree.map(lambda leaf: leaf[m], starts), targets)


def _own_baselines(network: Network, problem: Problem, draws: int, seed: int) -> list[dict[str, Measurement]]:
    """What is known of each target without a kernel."""
    everything, labels = problem.everything
    rows = boolean_rows(everything)
    columns = [columns_of(own) for own in problem.labels]
    aligned = [inal(network, problem.inputs, one[None], draws=draws, seed=seed)[0] for one in columns]
    found = []
    for own, alignment in zip(labels, aligned, strict=True):
        if rows is None:
            values = dict.fromkeys(("degree", "average sensitivity", "leap"), _NOT_APPLICABLE)
        else:
            values = {name: Measurement(value) for name, value in boolean_baselines(rows, columns_of(own)).items()}
        found.append(values | {"INAL": alignment})
    return found


_NOT_APPLICABLE = Measurement(float("nan"), status=ForecastStatus.NOT_APPLICABLE)


def columns_of(labels: np.ndarray) -> np.ndarray:
    """Labels as functions of mean 0 and variance 1 ``[N, C]``: numbers as they are, classes one-hot."""
    columns = labels.reshape(len(labels), -1).astype(np.float64)
    if labels.dtype.kind == "i" and len(np.unique(labels)) > 2:
        columns = np.concatenate([columns == value for value in np.unique(labels)], axis=1).astype(np.float64)
    spread = columns.std(axis=0)
    return np.divide(columns - columns.mean(axis=0), spread, out=np.zeros_like(columns), where=spread > 0)


def _kernel_sizes(network: Network, inputs: Any, starts: Params, seed: int) -> np.ndarray:
    """Mean diagonal and Frobenius norm of K at each start, ``[seeds, 2]``."""
    run = compiled_kernel_size(network)
    count = len(jax.tree.leaves(starts)[0])
    key = jax.random.key(seed)
    sizes = [run(jax.tree.map(lambda leaf, m=m: leaf[m], starts), jnp.asarray(inputs), key) for m in range(count)]
    return np.asarray(sizes, np.float64)


def _kernel_baselines(
    sights: list[Sight], plain: list[ResidualSpectrum], kernels: np.ndarray
) -> dict[str, Measurement]:
    """The baselines that look at the kernel at the start, mean over starts."""
    values = {
        "yᵀK⁻¹y": [s.energy(REGULARISATION * size[0]) for s, size in zip(plain, kernels, strict=True)],
        "hitting time": [s.steps for s in sights],
        "kernel alignment": [s.alignment() / size[1] for s, size in zip(plain, kernels, strict=True)],
    }
    many = len(sights) > 1
    return {
        name: Measurement(np.mean(v), np.std(v, ddof=1) / np.sqrt(len(v)) if many and np.isfinite(v).all() else None)
        for name, v in values.items()
    }


def _forecast(
    name: str, law: Calibration, x: np.ndarray, sights: list[Sight], baselines: Mapping[str, Measurement], budget: int
) -> Forecast:
    mean, doubt = map(float, law.log_steps(x))
    steps, band = float(np.exp(mean)), _HALF * float(np.hypot(law.noise, doubt))
    ahead = np.log(budget) - mean
    chance = float(norm.cdf(ahead / np.hypot(law.noise, doubt)))
    low, high = (float(norm.cdf((ahead + sign * _HALF * doubt) / law.noise)) for sign in (-1, 1))
    return Forecast(
        name,
        steps,
        (steps * float(np.exp(-band)), steps * float(np.exp(band))),
        chance,
        (min(low, chance), max(high, chance)),  # a mean over skewed chances may lie outside of their middle 90 %
        0,
        {key: baselines[key] for key in BASELINES},
        float(np.mean([s.road for s in sights])),
        law.outside(x),
        ForecastStatus.OK,
    )


def _unknown(name: str, status: Status, baselines: Mapping[str, Measurement]) -> Forecast:
    nan = float("nan")
    known = {key: baselines.get(key, Measurement(nan, status=status)) for key in BASELINES}
    return Forecast(name, float("inf"), (nan, nan), nan, (nan, nan), 0, known, nan, (), status)
