"""Susceptibilities: how a change of the data changes what a group of parameters has to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np

from allroads.checks import check_choice
from allroads.errors import InputError
from allroads.pfmap.network import Params
from allroads.pfmap.problem import Problem
from allroads.points.influence.moments import Estimate, half_width
from allroads.points.influence.samples import Observed, observe_losses, other_examples
from allroads.points.llc import LearningCoefficient
from allroads.points.llc.assessment import worst_status
from allroads.points.sampling.plan import SamplingOptions
from allroads.results import Result, finish
from allroads.status import LLCStatus

CENTRES = ("full", "group")


@dataclass(frozen=True, repr=False)
class Susceptibilities(Result):
    """Responses of groups of parameters to changes of the data.

    Attributes:
        value: χ, ``[groups, probes]``; the mean over some columns is the response to their mixture.
        error: Half of a 95 % interval from the differences between chains, same shape.
        groups: Names of the rows.
        statuses: One per group.
        llc: Learning coefficients of the groups' chains, weight-refined; one per group.
    """

    value: np.ndarray
    error: np.ndarray
    groups: tuple[str, ...]
    statuses: tuple[LLCStatus, ...]
    llc: tuple[LearningCoefficient, ...]

    @property
    def status(self) -> LLCStatus:
        """The status that says least."""
        return worst_status(self.statuses)

    @property
    def stats(self) -> dict[str, Any]:
        """Those of each group's chains."""
        return {group: dict(found.stats) for group, found in zip(self.groups, self.llc, strict=True)}


def susceptibilities(
    problem: Problem,
    params: Params,
    *,
    groups: Mapping[str, Any],
    probes: tuple[Any, Any] | None = None,
    observable: Callable[[Params], Any] | None = None,
    centre: str = "full",
    throw: bool = False,
    **sampling: Unpack[SamplingOptions],
) -> Susceptibilities:
    """Susceptibilities ``χ = (1/nβ) ∂E[φ_C]/∂h`` of groups C of parameters to ``q → (1 − h) q + h δ_z``, probes z.

    q is the data. φ_C is the observable φ at points where all parameters outside C are those of w*, by default
    ``φ = L(w) − L(w*)``. With ``E_C`` the mean over the posterior in which only C is free, and ``Δ = ℓ_z − L``:

        χ = −E_C[φ Δ] + E_C[φ] E[Δ]        centre="full"    E over the posterior of all parameters [baker2025]
        χ = −Cov_C(φ, Δ)                   centre="group"   E replaced by E_C

    The first is the response of the unnormalised ``E[φ δ(w outside C)]`` over the full posterior, in units of
    ``E[δ(w outside C)]``. The second is that of the mean over the group's own posterior. Where χ is negative, more data
    like z lowers φ.

    Args:
        problem: Network, loss, penalty and the n examples. ℓ and L in φ and Δ are without the penalty.
        params: The point w*.
        groups: Name → mask of the group's parameters, as for :func:`~allroads.llc`.
        probes: ``(inputs, labels)`` of the examples z. Default: the data.
        observable: ``φ(params) -> `` one number, in JAX; under ``"full"`` it should be 0 at w*. Default: the loss
            excess.
        centre: ``"full"`` (default) or ``"group"``.
        throw: Whether an unsound status raises.
        **sampling: As for :func:`~allroads.bayesian_influence`, for all posteriors, without ``mask``. Default of γ:
            what :func:`~allroads.llc` takes for all parameters; under ``"group"``, for the first group.

    Raises:
        InputError: Without a group, with a mask, for an observable of more than one number; and as
            :func:`~allroads.llc`.
        UnknownNameError: For a centre or sampler that does not exist.
        MemoryBudgetError: If the chains or what they observe do not fit.
        MeasurementError: With ``throw``, if the status is not sound.

    References: [baker2025]

    Example:
        Weights that see different examples: more of the first example stiffens the first weight, which lowers its loss.

        >>> from allroads.points.zoo import quadratic
        >>> linear, rows = quadratic((2.0, 2.0)).network, np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])  # w · x
        >>> found = susceptibilities(
        ...     Problem(linear, "mse", rows, np.zeros(3)), np.zeros(2), groups={"first": np.array([True, False])},
        ...     centre="group", nbeta=10.0, localisation=0.1)
        >>> np.sign(found.value[0])
        array([-1.,  1.,  1.])
    """
    check_choice("centre", centre, CENTRES)
    if not isinstance(groups, Mapping) or not groups:
        raise InputError("groups: expected a mapping from names to masks, with at least one group.")
    if "mask" in sampling:
        raise InputError("mask: a group is a mask; give groups={name: mask} instead.")
    watched: dict[str, Problem | np.ndarray] = {"data": problem}
    if probes is not None:
        watched["probes"] = other_examples(problem, "probes", probes)
    whole: Observed | None = None
    if centre == "full":
        whole = observe_losses(problem, params, watched, **sampling)
        sampling["localisation"] = whole.llc.stats["localisation"]
    parts: list[Observed] = []
    estimates: list[Estimate] = []
    for mask in groups.values():
        sampling["mask"] = mask
        part = observe_losses(problem, params, watched, observable, scalar=True, **sampling)
        sampling["localisation"] = part.llc.stats["localisation"]
        estimates.append(_response(_observable(part), _change(part), None if whole is None else _change(whole)))
        parts.append(part)
    found = Susceptibilities(
        value=np.stack([estimate.value for estimate in estimates]),
        error=np.stack([estimate.error for estimate in estimates]),
        groups=tuple(groups),
        statuses=tuple(_worse(part.status, whole) for part in parts),
        llc=tuple(part.llc for part in parts),
    )
    return finish(found, throw)


def _observable(seen: Observed) -> np.ndarray:
    """``φ``, ``[chains, draws]``."""
    if "observable" in seen.values:
        return seen.values["observable"][..., 0]
    stats = seen.llc.stats
    return np.asarray(seen.values["data"].mean(-1) - (stats["loss"] - stats["penalty"]))


def _change(seen: Observed) -> np.ndarray:
    """``ℓ_z − L``, ``[chains, draws, probes]``."""
    data = seen.values["data"]
    return np.asarray(seen.values.get("probes", data) - data.mean(-1, keepdims=True))


def _response(phi: np.ndarray, change: np.ndarray, full: np.ndarray | None) -> Estimate:
    """χ of one group, from its own chains and those of the full posterior."""
    if full is None:
        middle, shift = change.mean((0, 1)), phi - phi.mean()
        noise: Any = 0.0
    else:
        middle, shift = full.mean((0, 1)), phi
        noise = phi.mean() * half_width(full.mean(1))
    chains = -(shift[..., None] * (change - middle)).mean(1)
    return Estimate(chains.mean(0), np.hypot(half_width(chains), noise))


def _worse(status: LLCStatus, whole: Observed | None) -> LLCStatus:
    """The status of a group, unless the chains of all parameters went wrong."""
    if whole is not None and whole.status in (LLCStatus.DIVERGED, LLCStatus.NOT_EQUILIBRATED):
        return whole.status
    return status
