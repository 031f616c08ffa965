"""What a study measures on runs, on pairs of runs and on all runs of a target."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from allroads.studies.stretches import QUANTITIES as STRETCHES

if TYPE_CHECKING:
    import polars as pl

    from allroads.explorers.trajectory import Trajectory
    from allroads.pfmap.network import Network, Params
    from allroads.studies.plan import Recipe
    from allroads.targets.target import Target

EMBEDDED_RECORDS = 32
"""Records of a run that are embedded, at most; the matrix of distances grows with the square of their number."""

QUANTITIES: list[dict[str, str]] = [
    {
        "name": "loss",
        "symbol": "L",
        "definition": "Mean over examples of the per-example loss.",
        "conventions": "cross_entropy and bce in nats; mse is the mean over the outputs of one example.",
        "source": "",
    },
    {
        "name": "accuracy",
        "symbol": "",
        "definition": "Mean over examples of the share of outputs that are right.",
        "conventions": "cross_entropy: largest score; bce: sign of the logit; mse: every output within ½ of its label.",
        "source": "",
    },
    {
        "name": "majority baseline",
        "symbol": "",
        "definition": "Accuracy of the best constant answer on the same examples.",
        "conventions": "A network that does not beat it has learned nothing about the input.",
        "source": "",
    },
    {
        "name": "steps to fit, steps to generalise",
        "symbol": "",
        "definition": "First recorded step from which on the training (held-out) accuracy stays at or above the "
        "study's threshold `fit` until the end of the run; with mse, the share of the best constant's loss removed.",
        "conventions": "Read at recorded steps, which are spaced evenly in log(1 + step): late by at most one record.",
        "source": "",
    },
    {
        "name": "directness",
        "symbol": "D",
        "definition": "Chord over arc length of the run's image in function space.",
        "conventions": "Euclidean in the stated chart over all road probes; the recorded polygon, at most 256 points "
        "evenly by arc length.",
        "source": "saxe2014",
    },
    {
        "name": "turning",
        "symbol": "Γ",
        "definition": "Total angle by which the tangent of that image turns.",
        "conventions": "Radians; resampled to 256 points evenly by arc length.",
        "source": "lucas2021",
    },
    *STRETCHES,
    {
        "name": "barrier",
        "symbol": "B",
        "definition": "Largest excess of the loss on the straight segment between two ends over the line between "
        "their losses.",
        "conventions": "25 points on the segment, in the unit of the loss; no alignment: permuting hidden units can "
        "lower it.",
        "source": "entezari2022",
    },
    {
        "name": "agreement",
        "symbol": "",
        "definition": "Share of examples that two ends answer alike, on the held-out ones where there are any.",
        "conventions": "All positions of a sequence together.",
        "source": "",
    },
    {
        "name": "InPCA",
        "symbol": "χ",
        "definition": "Runs embedded by the Bhattacharyya distance of their predictions on the road probes (squared "
        "Euclidean distance of the outputs for mse); χ_k is the stress explained by the first k axes.",
        "conventions": "At most 32 records a run. Start: uniform predictions (for mse: the mean label). Target: the "
        "labels.",
        "source": "mao2024",
    },
]
"""Every public quantity of a study, as the report states it."""

LEARNING_COEFFICIENT: dict[str, str] = {
    "name": "learning coefficient",
    "symbol": "λ̂",
    "definition": "Excess loss nβ (E[L] − L(w*)) over a checkpoint w*, the mean being over "
    "exp(−nβ L(w) − γ/2 ‖w − w*‖²).",
    "conventions": "Training examples, nβ = n / ln n, one γ for all checkpoints of a run. Of checkpoints that are no "
    "minima it is not the asymptotic coefficient and may be negative: the status says so.",
    "source": "lau2023",
}
"""As the report states it where it was asked for."""


def measure_cell(
    trajectory: Trajectory, position: int, target: Target, recipe: Recipe
) -> tuple[dict[str, Any], dict[str, pl.Series]]:
    """The scalars of one run, and what is said of each of its records; see ``QUANTITIES`` for each."""
    from allroads.paths.directness import directness
    from allroads.paths.turning import turning
    from allroads.studies.stretches import measure_stretches

    run = trajectory.member(position)
    curves, steps = run["curves"], trajectory.steps
    straight, turned = directness(run["values"], recipe.chart), turning(run["values"], recipe.chart)
    scalars: dict[str, Any] = {
        "status": run["status"].value,
        "last_step": run["last_step"],
        "chart": recipe.chart,
    }
    for part, learned in (("train", "steps_to_fit"), ("held_out", "steps_to_generalise")):
        present = f"{part}_loss" in curves
        for name in (f"{part}_loss", f"{part}_accuracy"):
            scalars[name] = float(curves[name][-1]) if present else None
        score = _score(curves, part, target, recipe.loss) if present else None
        scalars[learned] = None if score is None else first_lasting(steps, score >= recipe.fit)
    for name, measured in (("directness", straight), ("turning", turned)):
        scalars[name] = None if np.isnan(measured) else float(measured)
        scalars[f"{name}_status"] = measured.status.value
    stretches, records = measure_stretches(run["values"], target, recipe)
    scalars |= stretches
    for name in ("gradients", "forwards", "examples"):
        scalars[name] = int(getattr(trajectory.cost, name)[position])
    return scalars, records


def first_lasting(steps: Any, reached: Any) -> int | None:
    """The first of ``steps`` from which on ``reached`` holds to the end; ``None`` where it does not at the end.

    Example:
        >>> first_lasting([0, 1, 2, 3, 4], [False, True, False, True, True])
        3
    """
    reached = np.asarray(reached, bool)
    if not reached[-1]:
        return None
    failed = np.flatnonzero(~reached)
    return int(steps[failed[-1] + 1 if len(failed) else 0])


def _score(curves: dict[str, Any], part: str, target: Target, loss: str) -> Any:
    """What is held against the threshold: accuracy, or for ``mse`` the share of the constant's loss removed."""
    if loss != "mse":
        return np.asarray(curves[f"{part}_accuracy"])
    constant = target.baseline[f"{part}_loss"]
    return 1 - np.asarray(curves[f"{part}_loss"]) / constant if constant else np.zeros(len(curves[f"{part}_loss"]))


def measure_points(
    network: Network, params: Params, steps: np.ndarray, target: Target, recipe: Recipe
) -> list[dict[str, Any]]:
    """The learning coefficient at each checkpoint of a run, in one batch; one row a checkpoint.

    A checkpoint whose loss is not finite has the status ``diverged`` and no number.

    Args:
        network: The network.
        params: The checkpoints along a leading axis.
        steps: Their steps.
        target: What was trained on.
        recipe: For its loss and seed.
    """
    import jax

    from allroads.pfmap.problem import Problem
    from allroads.points.curve import llc_curve

    problem = Problem(network, recipe.loss, target.train.inputs, target.train.labels)
    losses = jax.vmap(problem.mean)
    usable = np.flatnonzero(np.isfinite(losses(params)))
    rows = [{"step": int(step), "status": "diverged", "stage": False} for step in steps]
    if not len(usable):
        return rows
    finite = jax.tree.map(lambda leaf: np.asarray(leaf)[usable], params)
    curve = llc_curve(problem, finite, steps=steps[usable], seed=recipe.seed)
    for place, index in enumerate(usable):
        number = {"value": curve.value[place], "error": curve.error[place]}
        rows[index] |= {
            **{name: float(found) if np.isfinite(found) else None for name, found in number.items()},
            "status": curve.statuses[place].value,
            "stage": bool(place in curve.boundaries),
            "nbeta": curve.nbeta,
            "localisation": curve.localisation,
        }
    return rows


def measure_group(network: Network, ends: Sequence[Params], target: Target, recipe: Recipe) -> list[dict[str, Any]]:
    """Barriers on training and held-out examples, and agreement, for every pair of ends."""
    import jax

    from allroads.paths.agreement import agreement
    from allroads.paths.barrier import barrier

    compared = target.train if target.held_out is None else target.held_out
    apply = jax.jit(network.apply)
    outputs = [np.asarray(apply(end, compared.inputs)) for end in ends]
    rows = []
    for a, b in itertools.combinations(range(len(ends)), 2):
        row: dict[str, Any] = {"index_a": a, "index_b": b, "barrier_held_out": None}
        for part, probes in (("train", target.train), ("held_out", target.held_out)):
            if probes is not None:
                found = barrier(network, ends[a], ends[b], recipe.loss, probes.inputs, probes.labels)
                row[f"barrier_{part}"] = found.height
        row["agreement"] = agreement(outputs[a], outputs[b], recipe.loss)
        rows.append(row)
    return rows


def measure_task(
    values: Sequence[np.ndarray], steps: Sequence[np.ndarray], target: Target, recipe: Recipe
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """All runs of a target in one embedding, with the start (ignorance) and the target (truth)."""
    from allroads.paths.inpca import bhattacharyya, inpca
    from allroads.pfmap.charts import to_chart
    from allroads.studies.probes import road_probes

    labels = road_probes(target, recipe.probes).labels
    kept = [_thinned(len(run)) for run in values]
    points = np.concatenate([run[chosen] for run, chosen in zip(values, kept, strict=True)]).astype(np.float64)
    flat = points.reshape(len(points), -1, points.shape[-1])
    if recipe.loss == "mse":
        truth = np.asarray(labels, np.float64).reshape(1, -1)
        start = np.full_like(truth, truth.mean())
        models = np.concatenate([flat.reshape(len(flat), -1), start, truth])
        square = (models**2).sum(1)
        distances = np.maximum(square[:, None] + square - 2 * models @ models.T, 0.0)
        distances = (distances + distances.T) / 2
        np.fill_diagonal(distances, 0.0)
        metric = "squared Euclidean distance of outputs"
    else:
        predictions = np.asarray(to_chart(flat, "probabilities"))
        classes = predictions.shape[-1]
        truth = np.eye(classes)[np.asarray(labels).reshape(-1).astype(int)][None]
        models = np.concatenate([predictions, np.full_like(truth, 1 / classes), truth])
        distances = bhattacharyya(models, models)
        metric = "Bhattacharyya distance of predictions"
    found = inpca(distances, dimensions=3)
    axes = np.zeros((len(models), 3))
    axes[:, : found.coordinates.shape[1]] = found.coordinates
    owners = [(index, int(step)) for index, chosen in enumerate(kept) for step in steps[index][chosen]]
    named = [("run", index, step) for index, step in owners] + [("start", None, None), ("target", None, None)]
    rows = [
        {"point": point, "run_index": index, "step": step, "x": float(x), "y": float(y), "z": float(z)}
        for (point, index, step), (x, y, z) in zip(named, axes, strict=True)
    ]
    return rows, {"explained_stress": [float(s) for s in found.explained_stress], "metric": metric}


def _thinned(records: int) -> np.ndarray:
    return np.unique(np.rint(np.linspace(0, records - 1, min(records, EMBEDDED_RECORDS))).astype(int))
