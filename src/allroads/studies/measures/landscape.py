"""The loss on planes of parameter space: along the path of a run, and through the ends of three."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import polars as pl
from pydantic import Field

from allroads.errors import InputError
from allroads.studies.measures.measure import Finding, Measure, Options, Quantity, Row, Tables
from allroads.studies.measures.sentences import by_grid, middle
from allroads.studies.measures.thinning import spread

if TYPE_CHECKING:
    from allroads.paths.landscape import LossPlane
    from allroads.studies.units import Run, Unit

AXES = ("x", "y")


class LandscapeOptions(Options):
    """Options of the planes.

    Args:
        enabled: Off by default: a plane costs the loss at ``points²`` places.
        planes: ``path``: the path of a run on the plane of its own first two principal components; ``ends``: the plane
            through the ends of three runs; ``both``; ``none`` leaves the runs of a grid out.
        seed: The run whose path is drawn, of each combination of architecture and explorer; default: the one whose
            training loss at the end is the median.
        points: Points of a plane per axis.
        records: Recorded points of a path, at most; spread evenly over the records, both ends among them.
    """

    enabled: bool = False
    planes: Literal["both", "path", "ends", "none"] = "both"
    seed: Annotated[int, Field(ge=0)] | None = None
    points: Annotated[int, Field(ge=2)] = 25
    records: Annotated[int, Field(ge=3)] = 64


QUANTITIES = (
    Quantity(
        "loss on a plane",
        "Loss on the training examples at the points of a plane of parameter space: the plane of the first two "
        "principal components of a run's recorded parameters around their mean, or the plane through three ends.",
        conventions="Axes are orthonormal, in the unit of the parameters. The three ends are those with the lowest, "
        "the median and the highest training loss; their hidden units are not matched.",
        source="li2018",
    ),
    Quantity(
        "share explained",
        "Share of the variance of a run's recorded parameters that the first components explain, beside that of a "
        "random walk in many dimensions with the same lengths of steps.",
        source="antognini2018",
    ),
)


def measure_landscape(unit: Unit, options: LandscapeOptions) -> list[Row]:
    """Both planes of every combination of architecture and explorer; one that is not defined has a status alone.

    Raises:
        InputError: If there is no run of the seed that was asked for.
    """
    rows: list[Row] = []
    for runs in _combinations(unit.runs) if options.planes != "none" else ():
        chosen = [run for run in runs if options.seed in (None, run.member)]
        if not chosen:
            raise InputError(f"seed: no run of seed {options.seed}; the seeds are 0 to {len(runs) - 1}.")
        ordered = sorted((run for run in runs if _sound(run)), key=lambda run: (_loss(run), run.name))
        if not ordered:
            continue
        median = ordered[(len(ordered) - 1) // 2]
        if options.planes != "ends":
            drawn = median if options.seed is None else chosen[0]
            rows += _path(drawn, options) if drawn in ordered else _nothing("path", drawn)
        if options.planes != "path" and len(ordered) >= 3:
            rows += _ends((ordered[0], median, ordered[-1]), options)
    return rows


def _combinations(runs: Sequence[Run]) -> list[list[Run]]:
    """The runs of each architecture and explorer."""
    found: dict[tuple[str, ...], list[Run]] = {}
    for run in runs:
        found.setdefault(tuple(run.labels.values()), []).append(run)
    return list(found.values())


def _sound(run: Run) -> bool:
    return run.status == "ok" and bool(np.isfinite(_loss(run)))


def _loss(run: Run) -> float:
    """Training loss at the end; NaN where none is stored."""
    curve = run.need("curves").along.get("train_loss")
    return float("nan") if curve is None or curve[-1] is None else float(curve[-1])


def _path(run: Run, options: LandscapeOptions) -> list[Row]:
    import jax

    from allroads.paths.landscape import path_plane

    chosen = spread(len(run.steps), options.records)
    params = jax.tree.map(lambda leaf: np.asarray(leaf)[chosen], run.params)
    try:
        found = path_plane(run.problem, params, points=options.points, progress=False)
    except InputError:  # fewer than three records, or none that leaves a line
        return _nothing("path", run)
    shares = {f"explained_{axis}": float(found.shares[: k + 1].sum()) for k, axis in enumerate(AXES)}
    shares |= {f"walk_{axis}": float(found.walk_shares[: k + 1].sum()) for k, axis in enumerate(AXES)}
    same = {"plane": "path", "around": run.name, "status": found.status.value, **shares}
    records = zip(run.steps[chosen], found.coordinates, found.path_losses, found.distances, strict=True)
    rows = [
        {"point": "record", "run": run.name, "step": int(step), **_at(place, loss), "distance": float(distance)}
        for step, place, loss, distance in records
    ]
    return [same | row for row in [*_ground(found.plane), *rows]]


def _ends(runs: tuple[Run, Run, Run], options: LandscapeOptions) -> list[Row]:
    from allroads.paths.landscape import loss_plane

    names = (runs[0].name, runs[1].name, runs[2].name)
    ends = (run.end for run in runs)
    try:
        found = loss_plane(runs[1].problem, *ends, names=names, points=options.points, progress=False)
    except InputError:  # the three ends lie on one line
        return _nothing("ends", runs[1])
    same = {"plane": "ends", "around": runs[1].name, "status": found.status.value}
    rows = [
        {"point": "end", "run": run.name, "step": int(run.steps[-1]), **_at(place, loss)}
        for run, place, loss in zip(runs, found.marks, found.mark_losses, strict=True)
    ]
    return [same | row for row in [*_ground(found), *rows]]


def _ground(plane: LossPlane) -> Iterator[dict[str, Any]]:
    """The points of the grid, row by row."""
    for y, losses in zip(plane.ys, plane.losses, strict=True):
        for x, loss in zip(plane.xs, losses, strict=True):
            yield {"point": "ground", **_at((x, y), loss)}


def _at(place: Sequence[float] | np.ndarray, loss: float) -> dict[str, float | None]:
    return {"x": float(place[0]), "y": float(place[1]), "loss": float(loss) if np.isfinite(loss) else None}


def _nothing(plane: str, run: Run) -> list[Row]:
    """What is said of a plane that is not defined."""
    from allroads.status import PathStatus

    status = PathStatus.DEGENERATE if _sound(run) else PathStatus.DIVERGED
    return [{"plane": plane, "around": run.name, "point": "none", "status": status.value}]


def findings(tables: Tables, grids: Sequence[str]) -> list[Finding]:
    """How much of the paths two components explain, beside a random walk; of all, then grid by grid."""
    drawn = tables["landscape"].filter(pl.col("plane") == "path").drop_nulls("explained_y")
    return by_grid(_explained, "landscape", "road")(drawn.unique("around", keep="first", maintain_order=True), grids)


def _explained(paths: pl.DataFrame) -> str:
    if paths.is_empty():
        return ""
    more = paths.filter(pl.col("explained_y") > pl.col("walk_y")).height
    own, walk = (middle(100 * paths[column], "{} %") for column in ("explained_y", "walk_y"))
    of = "the path of one run" if paths.height == 1 else f"the paths of {paths.height} runs"
    text = (
        f"Two principal components explain {own} of {of} in parameter space, and {walk} of a random walk with the same"
    )
    if paths.height == 1:
        return f"{text} steps, which is {'less' if more else 'no less'}."
    return f"{text} steps. They explain more of the path than of the walk in {more} of {paths.height} runs."


MEASURE = Measure(
    "landscape",
    1,
    "target",
    measure_landscape,
    {
        "plane": pl.String,
        "around": pl.String,
        "status": pl.String,
        "point": pl.String,
        "run": pl.String,
        "step": pl.Int64,
        **dict.fromkeys(("x", "y", "loss", "distance"), pl.Float64),
        **dict.fromkeys((f"{share}_{axis}" for share in ("explained", "walk") for axis in AXES), pl.Float64),
    },
    options=LandscapeOptions,
    needs=("curves",),
    quantities=QUANTITIES,
    findings=findings,
)
