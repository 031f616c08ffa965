"""The road: the straight segment from the present function to a target, lifted through the map."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from allroads.errors import InputError
from allroads.measurement import Status
from allroads.paths.directness import directness
from allroads.paths.road.behaviour import labelled, path_losses, path_values
from allroads.paths.road.checks import (
    check_memory,
    checked_chart,
    checked_point,
    read_target,
    same_architecture,
)
from allroads.paths.road.follow import End, Followed, follow
from allroads.paths.road.lift import DENSE, Lifter, difference, in_chart, make_lifter, norm
from allroads.paths.road.result import Road
from allroads.paths.stages import stages
from allroads.pfmap.losses import PerExampleLoss
from allroads.pfmap.map import ParameterFunctionMap
from allroads.pfmap.network import Network, Params


def road(
    network: Network,
    params: Params,
    inputs: Any,
    target: Any = None,
    *,
    target_params: Params | None = None,
    chart: str = "outputs",
    loss: str | PerExampleLoss | None = None,
    labels: Any = None,
    held_out: tuple[Any, Any] | None = None,
    tolerance: float = 1e-3,
    regularisation: float | None = None,
    dense: int = DENSE,
    records: int = 64,
    most_steps: int = 5000,
    memory: int = 2**31,
) -> Road:
    """Follow ``z(t) = (1−t) F(θ₀) + t z*`` by the horizontal lift ``θ̇ = Jᵀ(JJᵀ + r)⁻¹ ż``, and give its length.

    Of all motions that move the function so, the lift is the shortest at every moment; its length
    ``∫ √(żᵀ(K + r)⁻¹ż) dt`` is the cost of going straight. It is followed by a third-order method with a
    Gauss–Newton correction [bogacki1989], in steps as long as the image stays on the segment and the lift turns little.

    Args:
        network: The network.
        params: θ₀.
        inputs: The probes ``[N, …]`` on which the function is moved.
        target: z*: outputs ``[N, …, C]`` (``[N]`` where C = 1), or coordinates in the chart.
        target_params: Instead of ``target``: a point of the same network, whose function is the target.
        chart: ``"outputs"`` (default) or ``"probabilities"``: where the segment is straight. A probability of 0 or 1
            lies at infinity: its road is cut off where it is near enough, or ends with ``rank loss`` before it.
        loss: With ``labels`` or ``held_out``: whose mean is given along the road.
        labels: Labels of ``inputs``; they decide nothing about the road.
        held_out: ``(inputs, labels)``.
        tolerance: Largest distance of the image off z(t), over ‖z* − F(θ₀)‖, and largest error of one step's motion,
            over the road's length so far; default 10⁻³.
        regularisation: r over the kernel's largest eigenvalue at θ₀. Default 10⁻⁶ in single, 10⁻¹² in double precision.
        dense: Outputs N·C up to which the kernel is formed; above, conjugate gradients. Default 2000.
        records: Points kept, about; default 64.
        most_steps: Steps at most, rejected ones included; default 5000. Smooth maps take tens, relu ones hundreds.
        memory: Bytes for the kernel, and for the kept points; default 2³¹.

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
        >>> from allroads import Network
        >>> line = Network(lambda key: jnp.zeros(2), lambda w, x: (x @ w)[:, None])
        >>> found = road(line, jnp.zeros(2), jnp.array([[3.0, 4.0]]), jnp.array([[2.0]]))
        >>> round(found.cost, 5), found.reached, found.status.value
        (0.4, 1.0, 'ok')
    """
    checked_chart(chart)
    if (target is None) == (target_params is None):
        raise InputError("road: give exactly one of target (outputs) and target_params (a point of the same network).")
    if not 0 < tolerance < 1 or records < 1 or most_steps < 1:
        raise InputError(
            f"road: expected 0 < tolerance < 1, records ≥ 1 and most_steps ≥ 1; got {tolerance}, {records}, "
            f"{most_steps}."
        )
    params = checked_point(params, "params")
    present = jax.eval_shape(ParameterFunctionMap(network, inputs).values, params)
    coordinates = jax.eval_shape(in_chart(network, chart).apply, params, jnp.asarray(inputs)).shape
    if target_params is None:
        goal = read_target(target, present.shape, coordinates, chart).ravel()
    else:
        target_params = checked_point(target_params, "target_params")
        same_architecture(params, target_params)
    sets = labelled(network, params, loss, None if labels is None else (inputs, labels), held_out)
    check_memory(params, present, records, memory)
    lifter = make_lifter(network, params, inputs, chart, regularisation, dense, memory)
    start = lifter.values(params)
    if not np.isfinite(start).all():
        raise InputError("road: the network's outputs at params are not finite; start from a point where they are.")
    stats: dict[str, Any] = {"ridge": lifter.ridge, "method": lifter.method}
    if target_params is not None:
        goal = lifter.values(target_params)
        if not np.isfinite(goal).all():
            raise InputError(
                "road: the network's outputs at target_params are not finite; give a point where they are."
            )
        stats["distance"] = float(norm(difference(target_params, params)))
    chord = float(np.linalg.norm(goal - start))
    rounding = np.finfo(present.dtype).eps * np.linalg.norm(np.abs(goal) + np.abs(start))
    if chord <= rounding:
        goal, chord = start, 0.0
    followed = follow(lifter, params, start, goal, tolerance=tolerance, most_steps=most_steps, records=records)
    points = [point.params for point in followed.kept]
    values = path_values(network, points, inputs)
    lengths = followed.column("chords") + followed.column("bows")
    status, reason = _outcome(lifter, followed, chord, tolerance)
    stats |= {
        "chord": chord,
        "steps": followed.steps,
        "rejected": followed.rejected,
        "lifted": followed.kept[-1].lifted,
    }
    return Road(
        cost=float(lengths[-1]),
        error=float(followed.kept[-1].bows + followed.drifted),
        status=status,
        reason=reason,
        reached=followed.kept[-1].t if chord else 1.0,
        deviation=followed.deviation,
        ts=followed.column("t"),
        lengths=lengths,
        gains=_gains(chord, followed),
        outside=followed.column("outside"),
        smallest=None if lifter.plan is None else followed.column("smallest"),
        path=jax.tree.map(lambda *leaves: np.stack(leaves), *points),
        values=values,
        parameter_length=followed.kept[-1].chords,
        directness=directness(values, chart),
        stages=stages(values, chart=chart),
        losses=path_losses(network, points, loss, sets),
        chart=chart,
        regularisation=lifter.share,
        stats=MappingProxyType(stats),
    )


def _outcome(lifter: Lifter, followed: Followed, chord: float, tolerance: float) -> tuple[Status, str]:
    """What happened, as a status and a sentence."""
    last = followed.kept[-1]
    if chord == 0:
        return Status.DEGENERATE, "the target is the present function: there is nothing to cover."
    if followed.end is End.REACHED:
        return Status.OK, ""
    if followed.end is End.NOT_FINITE:
        return Status.DIVERGED, f"at t = {last.t:.4g} values or kernel stopped being finite."
    if followed.end is End.STEPS:
        return Status.NOT_CONVERGED, f"the steps were used up at t = {last.t:.4g}; raise most_steps or tolerance."
    if lifter.largest == 0:
        return (
            Status.RANK_LOSS,
            "the kernel is zero at the start: no motion of the parameters moves the function there.",
        )
    gains = _gains(chord, followed)
    smallest = "" if last.smallest is None else f" and the kernel's smallest eigenvalue is {last.smallest:.3g}"
    return Status.RANK_LOSS, (
        f"at t = {last.t:.4g} no step brings the image within {tolerance:g} of the segment: {last.outside:.1%} of the "
        f"direction's square lies outside the kernel's range; the motion of the function for a unit of motion of the "
        f"parameters went from {gains[0]:.3g} to {gains[-1]:.3g}{smallest}."
    )


def _gains(chord: float, followed: Followed) -> np.ndarray:
    """``‖ż‖ / ‖θ̇‖`` at every kept point, 0 where nothing moves."""
    speeds = followed.column("speed")
    return np.divide(chord, speeds, out=np.zeros_like(speeds), where=speeds > 0)
