"""The road: the straight segment from the present function to a target, lifted through the map."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from allroads.budget import budgeted
from allroads.checks import check_options
from allroads.errors import InputError
from allroads.paths.directness import directness
from allroads.paths.road.behaviour import path_losses, path_values
from allroads.paths.road.checks import check_memory, checked_chart, read_target
from allroads.paths.road.few_inputs import Followed, Segment, follow_within
from allroads.paths.road.integrate import End, LiftedPath
from allroads.paths.road.options import RoadOptions
from allroads.paths.road.result import Road
from allroads.paths.road.tangent_lift import Lifter, difference, in_chart, norm
from allroads.paths.stages import stages
from allroads.pfmap.map import ParameterFunctionMap
from allroads.pfmap.network import Params
from allroads.pfmap.problem import Problem
from allroads.results import finish
from allroads.status import RoadStatus


def road(
    problem: Problem,
    params: Params,
    target: Any = None,
    *,
    target_params: Params | None = None,
    chart: str = "outputs",
    held_out: Problem | tuple[Any, Any] | None = None,
    options: RoadOptions = RoadOptions(),  # noqa: B008 - frozen
    budget: float | None = None,
    progress: bool = True,
    throw: bool = False,
) -> Road:
    """Follow ``z(t) = (1−t) F(θ₀) + t z*`` by the horizontal lift ``θ̇ = Jᵀ(JJᵀ + r)⁻¹ ż``, and give its length.

    Of all motions that move the function so, the lift is the shortest at every moment; its length
    ``∫ √(żᵀ(K + r)⁻¹ż) dt`` is the cost of going straight. It is followed by a third-order method with a
    Gauss–Newton correction [bogacki1989], in steps as long as the image stays on the segment and the lift turns little.

    Args:
        problem: The network, the probes on which the function is moved (its inputs), and loss and labels, which decide
            nothing about the road: the loss is given along it.
        params: θ₀.
        target: z*: outputs ``[N, …, C]`` (``[N]`` where C = 1), or coordinates in the chart.
        target_params: Instead of ``target``: a point of the same network, whose function is the target.
        chart: ``"outputs"`` (default) or ``"probabilities"``: where the segment is straight. A probability of 0 or 1
            lies at infinity: its road is cut off where it is near enough, or ends with ``rank loss`` before it.
        held_out: A problem, or inputs and labels, whose loss is given along the road too.
        options: Tolerance, regularisation, records, steps and memory.
        budget: Seconds that the call may take; default no end. A road of few of the inputs is then followed first.
            It is the result where there is no time for all inputs, or where their road came less than half as far;
            ``stats["examples"]`` says how many it holds to, and its cost is usually less. Where the budget ends first
            otherwise, the road is the part that was followed. Both are ``not converged``, with their cost and error.
            Compilation counts and cannot be interrupted. Ctrl-C ends the steps as a budget does; a second one ends the
            call.
        progress: Whether a bar, or a line every ten seconds, tells what is being done.
        throw: Raise a :class:`~allroads.MeasurementError` where the status is not ``ok``.

    Returns:
        A :class:`Road`. Status ``rank loss`` where no step, however short, follows the segment any further: ``reached``
        says how far it came, ``outside`` what share of the direction the kernel does not reach, and ``cost`` is that of
        the part that was covered.

    Raises:
        InputError: If not exactly one target is given, it is class labels, not finite, of another shape or outside the
            chart, the two points are of two architectures, or the parameters are not finite.
        UnknownNameError: If there is no such chart or loss.
        MemoryBudgetError: If the kernel or the kept points do not fit.

    When it fails: the cost belongs to the probes, the chart and the parametrisation (it is not invariant under
    symmetries that rescale weights), and says what *straight* costs, not what learning needs: learning may bend. More
    outputs than parameters cannot be followed in general.

    References: [jacot2018] for the kernel; [allgower2003] for continuation.

    Example:
        A linear map is followed along its pseudo-inverse: from 0 to y = 2 with x = (3, 4), ‖θ‖ = 2/5:

        >>> import jax.numpy as jnp
        >>> from allroads import Network, Problem
        >>> line = Network(lambda key: jnp.zeros(2), lambda w, x: (x @ w)[:, None])
        >>> problem = Problem(line, "mse", jnp.array([[3.0, 4.0]]), jnp.array([[2.0]]))
        >>> found = road(problem, jnp.zeros(2), jnp.array([[2.0]]))
        >>> round(found.cost, 5), found.reached, found.status.value
        (0.4, 1.0, 'ok')
    """
    with budgeted("road", budget, progress) as clock:
        check_options("options", options, RoadOptions)
        checked_chart(chart)
        if (target is None) == (target_params is None):
            raise InputError(
                "road: give exactly one of target (outputs) and target_params (a point of the same network)."
            )
        params = problem.point(params)
        network, inputs = problem.network, problem.data.inputs
        present = jax.eval_shape(ParameterFunctionMap(network, inputs).values, params)
        coordinates = jax.eval_shape(in_chart(network, chart).apply, params, inputs).shape
        goal = None
        if target_params is None:
            goal = read_target(target, present.shape, coordinates, chart)
        else:
            target_params = problem.points(params, target_params)[1]
        check_memory(params, present, options.records, options.memory)
        stats: dict[str, Any] = {}
        if target_params is not None:
            stats["distance"] = norm(difference(target_params, params))
        for what, point in (("params", params), ("target_params", target_params)):
            if point is not None and not np.isfinite(path_values(in_chart(network, chart), [point], inputs)).all():
                raise InputError(
                    f"road: the network's outputs at {what} are not finite; "
                    f"{'start from' if what == 'params' else 'give'} a point where they are."
                )
        segment = Segment(network, params, inputs, goal, target_params, chart, present.dtype)
        followed = follow_within(segment, options, clock)
        lifter, lifted_path, chord = followed.lifter, followed.path, followed.chord
        points = [point.params for point in lifted_path.kept]
        values = path_values(network, points, inputs)
        lengths = lifted_path.column("chords") + lifted_path.column("bows")
        status, reason = _outcome(lifter, lifted_path, chord, options.tolerance)
        ended = {End.BUDGET: "budget", End.INTERRUPTED: "interrupted"}.get(lifted_path.end)
        if followed.examples < len(problem):
            status, reason = RoadStatus.NOT_CONVERGED, _of_few(followed, len(problem), reason)
            ended = "interrupted" if clock.interrupted else "budget"
        stats |= {
            "ridge": lifter.ridge,
            "method": lifter.method,
            "examples": followed.examples,
            "chord": chord,
            "steps": lifted_path.steps,
            "rejected": lifted_path.rejected,
            "lifted": lifted_path.kept[-1].lifted,
            "ended": ended,
        }
        found = Road(
            cost=float(lengths[-1]),
            error=float(lifted_path.kept[-1].bows + lifted_path.drifted),
            status=status,
            reason=reason,
            reached=lifted_path.kept[-1].t if chord else 1.0,
            deviation=lifted_path.deviation,
            ts=lifted_path.column("t"),
            lengths=lengths,
            gains=_gains(chord, lifted_path),
            outside=lifted_path.column("outside"),
            smallest=None if lifter.form is None else lifted_path.column("smallest"),
            path=jax.tree.map(lambda *leaves: np.stack(leaves), *points),
            values=values,
            parameter_length=lifted_path.kept[-1].chords,
            directness=directness(values, chart),
            stages=stages(values, chart=chart),
            losses=path_losses(problem, points, values, problem.held_out(held_out)),
            chart=chart,
            regularisation=lifter.share,
            stats=stats,
        )
        return finish(found, throw)


def _outcome(lifter: Lifter, lifted_path: LiftedPath, chord: float, tolerance: float) -> tuple[RoadStatus, str]:
    """What happened, as a status and a sentence."""
    last = lifted_path.kept[-1]
    if chord == 0:
        return RoadStatus.DEGENERATE, "the target is the present function: there is nothing to cover."
    if lifted_path.end is End.REACHED:
        return RoadStatus.OK, ""
    if lifted_path.end is End.NOT_FINITE:
        return RoadStatus.DIVERGED, f"at t = {last.t:.4g} values or kernel stopped being finite."
    if lifted_path.end is End.STEPS:
        return RoadStatus.NOT_CONVERGED, f"the steps were used up at t = {last.t:.4g}; raise most_steps or tolerance."
    if lifted_path.end in (End.BUDGET, End.INTERRUPTED):
        said = "the budget ended" if lifted_path.end is End.BUDGET else "it was interrupted"
        return RoadStatus.NOT_CONVERGED, f"{said} at t = {last.t:.4g}; give a larger budget or tolerance."
    if lifter.largest == 0:
        return (
            RoadStatus.RANK_LOSS,
            "the kernel is zero at the start: no motion of the parameters moves the function there.",
        )
    gains = _gains(chord, lifted_path)
    smallest = "" if last.smallest is None else f" and the kernel's smallest eigenvalue is {last.smallest:.3g}"
    return RoadStatus.RANK_LOSS, (
        f"at t = {last.t:.4g} no step brings the image within {tolerance:g} of the segment: {last.outside:.1%} of the "
        f"direction's square lies outside the kernel's range; the motion of the function for a unit of motion of the "
        f"parameters went from {gains[0]:.3g} to {gains[-1]:.3g}{smallest}."
    )


def _of_few(followed: Followed, examples: int, reason: str) -> str:
    """What a road of few inputs is worth."""
    return (
        f"the budget had time for a road of {followed.examples} of the {examples} inputs, which usually costs less "
        f"than that of all; give a larger budget.{' Of these inputs: ' if reason else ''}{reason}"
    )


def _gains(chord: float, lifted_path: LiftedPath) -> np.ndarray:
    """``‖ż‖ / ‖θ̇‖`` at every kept point, 0 where nothing moves."""
    speeds = lifted_path.column("speed")
    gains: np.ndarray = np.divide(chord, speeds, out=np.zeros_like(speeds), where=speeds > 0)
    return gains
