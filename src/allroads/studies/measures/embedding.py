"""InPCA: all runs of a target in one picture of function space, with the start and the target."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from allroads.studies.config import Count
from allroads.studies.measures.measure import Measure, Options, Quantity, Row
from allroads.studies.measures.thinning import spread

if TYPE_CHECKING:
    from collections.abc import Sequence

    from allroads.studies.units import Unit

AXES = ("x", "y", "z")


class EmbeddingOptions(Options):
    """Options of the embedding.

    Args:
        records: Records of a run that are embedded, at most; the matrix of distances grows with the square of their
            number.
    """

    records: Count = 32


QUANTITY = Quantity(
    "InPCA",
    "Runs embedded by the Bhattacharyya distance of their predictions on the road probes (squared Euclidean distance "
    "of the outputs for mse); χ_k is the stress explained by the first k axes.",
    symbol="χ",
    conventions="At most 32 records per run. Start: uniform predictions (for mse: the mean label). Target: the labels.",
    source="mao2024",
)


def embed(unit: Unit, options: EmbeddingOptions) -> list[Row]:
    """Coordinates of every embedded record, of the start (ignorance) and of the target (truth)."""
    results = [run.need("values").arrays for run in unit.runs]
    kept = [spread(len(result["values"]), options.records) for result in results]
    points = [result["values"][chosen] for result, chosen in zip(results, kept, strict=True)]
    axes, explained = inpca_axes(points, results[0]["labels"], unit.runs[0].loss)
    named: list[dict[str, Any]] = [
        {"point": "run", "run": run.name, "step": int(step)}
        for run, chosen in zip(unit.runs, kept, strict=True)
        for step in run.steps[chosen]
    ]
    named += [{"point": "start"}, {"point": "target"}]
    shares = {f"explained_{axis}": share for axis, share in zip(AXES, explained, strict=True)}
    return [
        {**point, **dict(zip(AXES, map(float, place), strict=True)), **shares}
        for point, place in zip(named, axes, strict=True)
    ]


def inpca_axes(values: Sequence[np.ndarray], labels: Any, loss: str) -> tuple[np.ndarray, list[float]]:
    """Coordinates ``[records of all runs + 2, 3]``, start and target last, and cumulative explained stress by axis.

    Args:
        values: For each run, outputs on the road probes, ``[T, N, …, C]``.
        labels: Of the probes.
        loss: Decides the distance.
    """
    from allroads.paths.inpca import bhattacharyya, inpca
    from allroads.pfmap.charts import to_chart

    points = np.concatenate(values).astype(np.float64)
    flat = points.reshape(len(points), -1, points.shape[-1])
    if loss == "mse":
        truth = np.asarray(labels, np.float64).reshape(1, -1)
        start = np.full_like(truth, truth.mean())
        models = np.concatenate([flat.reshape(len(flat), -1), start, truth])
        square = (models**2).sum(1)
        distances = np.maximum(square[:, None] + square - 2 * models @ models.T, 0.0)
        distances = (distances + distances.T) / 2
        np.fill_diagonal(distances, 0.0)
    else:
        predictions = np.asarray(to_chart(flat, "probabilities"))
        classes = predictions.shape[-1]
        truth = np.eye(classes)[np.asarray(labels).reshape(-1).astype(int)][None]
        models = np.concatenate([predictions, np.full_like(truth, 1 / classes), truth])
        distances = bhattacharyya(models, models)
    found = inpca(distances, dimensions=len(AXES))
    axes = np.zeros((len(models), len(AXES)))
    axes[:, : found.coordinates.shape[1]] = found.coordinates
    explained = [float(share) for share in found.explained_stress]
    return axes, explained + explained[-1:] * (len(AXES) - len(explained))


MEASURE = Measure(
    "embedding",
    1,
    "target",
    embed,
    {
        "point": pl.String,
        "run": pl.String,
        "step": pl.Int64,
        **dict.fromkeys(AXES, pl.Float64),
        **dict.fromkeys((f"explained_{axis}" for axis in AXES), pl.Float64),
    },
    options=EmbeddingOptions,
    needs=("values",),
    quantities=(QUANTITY,),
)
