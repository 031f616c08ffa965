"""Which targets a map will learn, in what order, and how slowly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import norm

from allroads.errors import InputError
from allroads.explorers.build import build_explorer
from allroads.explorers.explore import explore
from allroads.explorers.explorer import Explorer
from allroads.measurement import Measurement, Status
from allroads.paths.learnability.boolean import boolean_baselines, boolean_rows
from allroads.paths.learnability.calibration import Calibration, shipped
from allroads.paths.learnability.features import features
from allroads.paths.learnability.forecast import BASELINES, Forecast, Learnability
from allroads.paths.learnability.hitting_time import hitting_time
from allroads.paths.learnability.inal import DRAWS, inal
from allroads.paths.learnability.kernel_size import compiled_kernel_size
from allroads.paths.learnability.point import Sight, look, plain_spectra, repeated
from allroads.paths.learnability.problem import Problem, read_problem
from allroads.paths.learnability.spectrum import ResidualSpectrum
from allroads.pfmap.losses import PerExampleLoss
from allroads.pfmap.network import Network, Params

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
    probe: int = 0,
    threshold: float = 0.1,
    seeds: int = 3,
    seed: int = 0,
    draws: int = DRAWS,
    calibration: Calibration | None = None,
) -> Learnability:
    """Predict which targets are learned, in what order, and how slowly, from the map at initialisation.

    For every target the residual is split over the rates at which the linearised map would learn it under the explorer
    (whose effective learning rates are read off the explorer itself, leaf by leaf); a law fitted on runs of other
    targets, maps and explorers takes that to steps. With ``probe`` the explorer first takes that many steps on each
    target, and the map is looked at again where they end.

    Args:
        network: The network.
        inputs: ``[N, …]``; ``None`` where all targets are :class:`~allroads.Target` with the same training inputs.
        targets: Labels of one target ``[N]``, ``[N, C]`` or classes; a list of such, a mapping from names, or
            ``Target`` objects.
        loss: ``"mse"``, ``"cross_entropy"``, ``"bce"`` or ``(outputs, labels) -> per-example losses``.
        explorer: An :class:`~allroads.explorers.explorer.Explorer`, or the name of one with its default options.
        held_out: ``(inputs, labels)``, a list or mapping of labels: only completes the domain for the Boolean
            baselines; nothing else looks at it.
        budget: Steps within which a target is to be learned; default 1000.
        probe: Steps of the explorer on each target and start, from which to predict better; default none. Keep it below
            a twentieth of the steps that you expect.
        threshold: A target is learned when its training loss is this share of that of the best constant (for a
            callable: of outputs that are all zero); default 0.1.
        seeds: Starts to average over; default 3. They are those of ``explore(…, members=seeds, seed=seed)``.
        seed: Decides starts, and what the explorer draws in the probe.
        draws: Initialisations for INAL; default 64.
        calibration: A law of your own, of :func:`~allroads.paths.learnability.calibration.calibrate`; default the one
            that comes with the package.

    Returns:
        :class:`Learnability`: for each target predicted ``steps`` with ``interval``, ``probability`` of being learned
        within the budget with its interval, ``order``, and all baselines.

    Raises:
        InputError: On NaN in inputs or labels, labels that fit neither inputs nor loss, a probe not shorter than the
            budget, or options out of range.
        UnknownNameError: If there is no such explorer or loss.

    When it fails: where the kernel at the start is blind to a target, as that of a tanh network without biases is to
    even functions, its rates say little. Features outside what the law has seen are named in ``outside``.

    References: [zancato2020], [jacot2018], [arora2019], [cortes2012], [abbe2022], [abbe2023], [odonnell2014]

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
    explorer = build_explorer(explorer) if isinstance(explorer, str) else explorer
    _check_options(budget, probe, threshold, seeds, draws)
    problem = read_problem(network, inputs, targets, loss, held_out)
    starts = _starts(network, seeds, seed)
    baselines = _own_baselines(network, problem, draws, seed)
    varied = np.flatnonzero(problem.constant > 0)
    law = calibration or shipped("probed" if probe else "initial")
    rows: list[Forecast] = [
        _unknown(name, Status.DEGENERATE, known) for name, known in zip(problem.names, baselines, strict=True)
    ]
    if varied.size:
        seen = _observe(network, loss, explorer, problem, varied, threshold, probe, starts, seed)
        kernels = _kernel_sizes(network, problem.inputs, starts, seed)
        labels = problem.labels[varied]
        plain = [
            plain_spectra(network, loss, _member(starts, m, len(labels)), problem.inputs, labels) for m in range(seeds)
        ]
    for k, t in enumerate(varied):
        name, sights = problem.names[t], [of_start[k] for of_start in seen.sights]
        if not np.isfinite(seen.features[k]).all():
            rows[t] = _unknown(name, Status.DIVERGED, baselines[t])
            continue
        known = baselines[t] | _kernel_baselines(sights, [of_start[k] for of_start in plain], kernels)
        row = _forecast(name, law, seen.features[k], sights, known, budget)
        rows[t] = _as_seen(row, seen.learned[k]) if np.isfinite(seen.learned[k]).all() else row
    order = np.argsort(np.argsort([row.steps for row in rows], kind="stable"), kind="stable") + 1
    ranked = tuple(replace(row, order=int(rank)) for row, rank in zip(rows, order, strict=True))
    return Learnability(ranked, explorer.name, threshold, budget, probe, seeds)


def _as_seen(row: Forecast, steps: np.ndarray) -> Forecast:
    """A target that every start had learned in the probe."""
    middle = float(np.exp(np.log(np.maximum(steps, 1)).mean()))
    return replace(
        row,
        steps=middle,
        interval=(float(steps.min()), float(steps.max())),
        probability=1.0,
        probability_interval=(1.0, 1.0),
    )


def _check_options(budget: int, probe: int, threshold: float, seeds: int, draws: int) -> None:
    for name, value, least in (("budget", budget, 1), ("probe", probe, 0), ("seeds", seeds, 1), ("draws", draws, 2)):
        if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
            raise InputError(f"learnability: {name} must be a whole number, at least {least}; got {value!r}.")
    if probe >= budget:
        raise InputError(
            f"learnability: a probe of {probe} steps is not shorter than the budget of {budget}; shorten it to a "
            "twentieth of the budget or less."
        )
    if not 0 < threshold < 1:
        raise InputError(
            f"learnability: threshold is a share of the constant predictor's loss, in (0, 1); got {threshold!r}."
        )


def _starts(network: Network, seeds: int, seed: int) -> Params:
    """The starts of ``explore(…, members=seeds, seed=seed)``, leaves ``[seeds, …]``."""
    key = jax.random.key(seed)
    keys = jax.vmap(lambda m: jax.random.fold_in(jax.random.fold_in(key, m), 0))(jnp.arange(seeds))
    return jax.jit(jax.vmap(network.init))(keys)


def _member(starts: Params, m: int, targets: int) -> Params:
    """One start, for each of some targets."""
    return repeated(jax.tree.map(lambda leaf: leaf[m], starts), targets)


@dataclass(frozen=True)
class _Observed:
    """Of every target that varies: features ``[T, F]``, sights at each start, and steps where the probe learned it."""

    features: np.ndarray
    sights: list[list[Sight]]
    learned: np.ndarray


def _observe(
    network: Network,
    loss: str | PerExampleLoss,
    explorer: Explorer,
    problem: Problem,
    varied: np.ndarray,
    threshold: float,
    probe: int,
    starts: Params,
    seed: int,
) -> _Observed:
    x, y, goals = jnp.asarray(problem.inputs), problem.labels[varied], threshold * problem.constant[varied]
    count = len(jax.tree.leaves(starts)[0])
    seen = [look(network, loss, explorer, _member(starts, m, len(y)), x, y, goals, seed=seed) for m in range(count)]
    learned = np.full((len(y), count), np.nan)
    if not probe:
        return _Observed(np.mean([[features(s) for s in sights] for sights in seen], axis=0), seen, learned)
    runs = [explore(network, loss, x, one, explorer, count, steps=probe, seed=seed, start=starts) for one in y]
    for t, run in enumerate(runs):
        reached = run.curves["train_loss"] <= goals[t]
        learned[t] = np.where(reached.any(axis=1), run.steps[reached.argmax(axis=1)], np.nan)
    found = []
    for m in range(count):
        ends = jax.tree.map(lambda *leaves, m=m: np.stack([leaf[m] for leaf in leaves]), *(run.ends() for run in runs))
        after = look(network, loss, explorer, ends, x, y, goals, seed=seed)
        found.append([features(sight, probe) for sight in after])
    mean = np.mean(found, axis=0)
    mean[[any(status is not Status.OK for status in run.status) for run in runs]] = np.nan
    return _Observed(mean, seen, learned)


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


_NOT_APPLICABLE = Measurement(float("nan"), status=Status.NOT_APPLICABLE)


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
        "hitting time": [hitting_time(s.spectrum, s.level, s.degree) for s in sights],
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
    logs = law.log_steps(x)
    steps, band = float(np.exp(logs[0])), _HALF * float(np.hypot(law.spread, logs[1:].std()))
    chances = norm.cdf((np.log(budget) - logs) / law.spread)
    low, high = np.quantile(chances[1:], [0.05, 0.95])
    return Forecast(
        name,
        steps,
        (steps * float(np.exp(-band)), steps * float(np.exp(band))),
        float(chances[0]),
        (float(min(low, chances[0])), float(max(high, chances[0]))),
        0,
        {key: baselines[key] for key in BASELINES},
        float(np.mean([s.road for s in sights])),
        law.outside(x),
        Status.OK,
    )


def _unknown(name: str, status: Status, baselines: Mapping[str, Measurement]) -> Forecast:
    nan = float("nan")
    known = {key: baselines.get(key, Measurement(nan, status=status)) for key in BASELINES}
    return Forecast(name, float("inf"), (nan, nan), nan, (nan, nan), 0, known, nan, (), status)
