"""Two points of one network compared, behind one call."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, cast

import jax
import numpy as np
import polars as pl

from allroads.atlases.comparison.functions import same_function
from allroads.atlases.comparison.programs import SameProgram, likeness, read_program, same_program, target_of
from allroads.atlases.comparison.result import Comparison
from allroads.atlases.passes.bounds import segment
from allroads.atlases.passes.highest import highest_loss
from allroads.budget import Budget, budgeted
from allroads.checks import check_choice, check_count, check_options
from allroads.errors import InputError
from allroads.paths.agreement import answers
from allroads.paths.align import align as moved_near
from allroads.paths.align.align import METHODS as ALIGNMENTS
from allroads.paths.barrier import Barrier, barrier
from allroads.paths.connect import Bezier, Connection, CurveOptions, connect
from allroads.paths.connect.connect import resolve_method
from allroads.paths.connect.method import CurveMethod
from allroads.pfmap.network import Network, Params
from allroads.pfmap.problem import Problem
from allroads.results import finish
from allroads.status import AtlasStatus
from allroads.targets.target import Target

SAME_POINT = 1e-4
"""Two points are one where ‖a − moved b‖ is at most this share of ‖a‖."""
PLACES = 33
"""Places along the path at which the function is looked at."""
CLOSE = 1e-3
"""Share of the lowest level by which a path may lie above it and still be taken, where it comes earlier."""
FOR_ALIGNING = 0.3
FOR_ROAD = 0.7
"""Shares of the time that is left."""


def compare_points(
    problem: Problem,
    a: Params,
    b: Params,
    *,
    target: Target | None = None,
    held_out: Problem | tuple[Any, Any] | None = None,
    align: str = "weights",
    method: str | CurveMethod = Bezier(),  # noqa: B008 - frozen
    options: CurveOptions = CurveOptions(),  # noqa: B008 - frozen
    programs: bool = True,
    programs_between: int = 3,
    seed: int = 0,
    budget: float | None = None,
    progress: bool = True,
    throw: bool = False,
) -> Comparison:
    """Compare two points: are they one function, one program, one point modulo symmetry, and what lies between them?

    Args:
        problem: Network, loss and training data.
        a: One point.
        b: The other.
        target: How programs are read: what the network was to learn. Default: the data as they are, which do for
            inputs of bits and of numbers, and not for sequences.
        held_out: A problem, or inputs and labels, on which functions and barriers are compared too.
        align: A method of :func:`~allroads.align`, which moves b near a by a symmetry.
        method: A method of :func:`~allroads.connect` for the road from a to the moved b; default a quadratic Bezier
            curve.
        options: How long the road is trained.
        programs: Whether programs are read.
        programs_between: Places on the path at which a program is read, where a and b have one; default 3.
        seed: Decides everything random.
        budget: Seconds that the call may take; default no end. Where it ends first, what was found so far is returned.
            Reading programs cannot be interrupted by it. Ctrl-C ends the search as a budget does.
        progress: Whether a bar, or a line every ten seconds, tells what is being done.
        throw: Raise a :class:`~allroads.MeasurementError` where the status is not sound.

    Returns:
        A :class:`Comparison`.

    Raises:
        InputError: If the points are no finite points of the network, a loss is not finite, or an option is out of
            range.

    When it fails: that functions are equal is said of the inputs that were compared. That no symmetry and no low road
    was found does not say that there is none.

    References:
        [entezari2022], [garipov2018]

    Example:
        The two minima of a double well, with nothing between them but its top:

        >>> import jax.numpy as jnp
        >>> from allroads import Network
        >>> well = Network(lambda key: jnp.ones(1), lambda w, x: x * (w**2 - 1))
        >>> problem = Problem(well, "mse", jnp.ones((1, 1)), jnp.zeros((1, 1)))
        >>> found = compare_points(problem, -jnp.ones(1), jnp.ones(1), progress=False)
        >>> found.function.outputs, found.same_point, found.straight.height
        (True, False, 1.0)
    """
    with budgeted("compare", budget, progress) as clock:
        check_choice("alignment method", align, ALIGNMENTS)
        chosen = resolve_method(method)
        if chosen.name == "star":
            raise InputError("method 'star' needs a population; give a method for two points, such as 'bezier'.")
        check_options("options", options, CurveOptions)
        check_count("seed", seed, 0)
        check_count("programs_between", programs_between, 0)
        if target is not None:
            check_options("target", target, Target)
        a, b = problem.points(a, b)
        other = problem.held_out(held_out)
        clock.say("straight segment")
        straight = barrier(problem, a, b)
        _check_losses(straight)
        clock.say("functions")
        apply = _compiled_apply(problem.network)
        outputs = [np.asarray(apply(point, problem.data.inputs)) for point in (a, b)]
        function = same_function(outputs[0], outputs[1], problem.loss)
        elsewhere = None
        if other is not None:
            there = other.data.inputs
            elsewhere = same_function(apply(a, there), apply(b, there), problem.loss)
        moved, aligned, near, before = _aligned(problem, a, b, align, seed, clock)
        norm = float(np.sqrt(sum(float((np.asarray(leaf, np.float64) ** 2).sum()) for leaf in jax.tree.leaves(a))))
        same = near <= SAME_POINT * norm
        road = None if same else _road(problem, a, moved, chosen, options, other, seed, clock)
        paths: list[tuple[str, Any, Any]] = [
            ("segment", lambda ts: segment(a, b, ts), straight),
            ("aligned", lambda ts: segment(a, moved, ts), aligned),
            *([] if road is None else [("curve", road.params_at, road)]),
        ]
        heights = [highest_loss(problem, path, known.ts, known.losses) for _, path, known in paths]
        floor = float(max(straight.losses[0], straight.losses[-1]))
        way, path, upper = _lowest(paths, heights)
        clock.say("what lies between")
        ends = [answers(said, problem.loss) for said in outputs]
        table = _between(problem, path, ends)
        program, read = SameProgram(None, None, None, None, None, None, "not asked for"), _NO_PROGRAMS
        if programs:
            aim, why = (target, "") if target is not None else target_of(problem)
            program, read = _programs(problem.network, (a, b), aim, why, seed, clock), _NO_PROGRAMS
            if aim is not None and program.a is not None and program.same is not None and not same:
                read = _programs_between(problem.network, path, table, aim, program, programs_between, clock)
        ended = clock.ended or (road.ended if road is not None else None)
        return finish(
            Comparison(
                losses=(float(straight.losses[0]), float(straight.losses[-1])),
                errors=_errors(straight),
                function=function,
                held_out=elsewhere,
                program=program,
                same_point=same,
                distance=near,
                distance_before=before,
                norm=norm,
                straight=straight,
                aligned=aligned,
                road=road,
                pass_lower=floor,
                pass_upper=max(upper, floor),
                way=way,
                between=table,
                programs_between=read,
                ended=ended,
                status=AtlasStatus.CUT_SHORT if ended else AtlasStatus.OK,
            ),
            throw,
        )


def _check_losses(straight: Barrier) -> None:
    for name, loss in (("a", straight.losses[0]), ("b", straight.losses[-1])):
        if not np.isfinite(loss):
            raise InputError(f"{name}: its loss is {loss}; expected a point with a finite loss. Take an earlier one.")


def _errors(straight: Barrier) -> tuple[float, float] | None:
    return None if straight.errors is None else (float(straight.errors[0]), float(straight.errors[-1]))


def _aligned(
    problem: Problem, a: Params, b: Params, method: str, seed: int, clock: Budget
) -> tuple[Params, Barrier, float, float]:
    """B moved near a, the barrier to it, and both distances."""
    clock.say(f"aligning by {method}")
    seconds = max(FOR_ALIGNING * clock.left, 1e-9) if clock.limited else None
    found = moved_near(
        problem.network,
        a,
        b,
        problem.data.inputs,
        method=method,
        loss=problem.loss,
        seed=seed,
        budget=seconds,
        progress=False,
    )
    if found.ended == "interrupted":
        clock.interrupt()
    return found.params, barrier(problem, a, found.params), found.distance, found.distance_before


def _road(
    problem: Problem,
    a: Params,
    b: Params,
    method: CurveMethod,
    options: CurveOptions,
    held_out: Problem | None,
    seed: int,
    clock: Budget,
) -> Connection | None:
    if clock.ended:
        return None
    clock.say(f"road by {method.name}")
    seconds = FOR_ROAD * clock.left if clock.limited else None
    found = connect(
        problem, a, b, method=method, options=options, held_out=held_out, seed=seed, budget=seconds, progress=False
    )
    one = cast(Connection, found)  # one pair of ends, so one curve
    if one.ended == "interrupted":
        clock.interrupt()
    return one


def _lowest(paths: Sequence[tuple[str, Any, Any]], heights: Sequence[float]) -> tuple[str, Any, float]:
    """The first path that is lowest, up to a small share of the level itself.

    Example:
        >>> paths = [(name, None, None) for name in ("segment", "aligned", "curve")]
        >>> _lowest(paths, [0.9, 7e-4, 1.5e-4])[0], _lowest(paths, [0.9, 1.5004e-4, 1.5e-4])[0]
        ('curve', 'aligned')
    """
    lowest = min(heights)
    slack = CLOSE * abs(lowest) if np.isfinite(lowest) else 0.0
    at = next(k for k, height in enumerate(heights) if height <= lowest + slack)
    return paths[at][0], paths[at][1], heights[at]


@lru_cache(maxsize=64)
def _compiled_apply(network: Network) -> Any:
    return jax.jit(network.apply)


def _between(problem: Problem, path: Any, ends: list[np.ndarray]) -> pl.DataFrame:
    """Loss and function along a path, one point after another to bound memory."""
    apply, data, rows = _compiled_apply(problem.network), problem.data, []
    known: dict[bytes, int] = {}
    for t in np.linspace(0.0, 1.0, PLACES):
        point = jax.tree.map(lambda leaf: leaf[0], path(np.array([t])))
        outputs = apply(point, data.inputs)
        loss = float((problem.objective.from_outputs(outputs, data)).mean() + problem.objective.penalty(point))
        said = answers(outputs, problem.loss)
        like = [float((said == end).reshape(len(said), -1).all(axis=1).mean()) for end in ends]
        rows.append((float(t), loss, *like, known.setdefault(said.tobytes(), len(known))))
    return pl.DataFrame(rows, schema=["t", "loss", "like_a", "like_b", "function"], orient="row")


def _programs(
    network: Network, points: tuple[Params, Params], target: Target | None, why: str, seed: int, clock: Budget
) -> SameProgram:
    if target is None:
        return same_program(None, None, why)
    found = []
    for name, point in zip("ab", points, strict=True):
        if clock.ended:
            return same_program(None, None, "no time was left")
        clock.say(f"program of {name}")
        read: Any = (None, "interrupted")
        with clock.interruptible():
            read = read_program(network, point, target, seed)
        if read[0] is None:
            return same_program(None, None, f"of {name}: {read[1]}")
        found.append(read[0])
    return same_program(*found)


def _programs_between(
    network: Network, path: Any, table: pl.DataFrame, target: Target, pair: SameProgram, most: int, clock: Budget
) -> pl.DataFrame:
    """Programs at the middles of the longest stretches of one function."""
    stretches: list[list[float]] = []
    codes = table["function"].to_list()
    for number, t in enumerate(table["t"].to_list()):
        if number and codes[number] == codes[number - 1]:
            stretches[-1].append(t)
        else:
            stretches.append([t])
    inner = [stretch for stretch in stretches if 0.0 < stretch[len(stretch) // 2] < 1.0]
    longest = sorted(sorted(inner, key=len, reverse=True)[:most])
    rows: list[tuple[Any, ...]] = []
    for stretch in longest:
        t = stretch[len(stretch) // 2]
        if clock.ended:
            break
        clock.say(f"program at t = {t:.2f}")
        with clock.interruptible():
            point = jax.tree.map(lambda leaf: leaf[0], path(np.array([t])))
            found, _ = read_program(network, point, target, 0)
            program = None if found is None else found.program
            said = "not read" if found is None else found.status.value
            told = (None, None, None) if program is None else (program.bits, program.source, likeness(program, pair))
            rows.append((t, said, *told))
    return pl.DataFrame(rows, schema=dict(_NO_PROGRAMS.schema), orient="row")


_NO_PROGRAMS = pl.DataFrame(
    schema={"t": pl.Float64, "status": pl.String, "bits": pl.Float64, "source": pl.String, "like": pl.String}
)
