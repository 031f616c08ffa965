"""Susceptibilities: how a change of the data changes what a group of parameters has to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from allroads.errors import InputError, UnknownNameError
from allroads.pfmap.losses import PerExampleLoss
from allroads.pfmap.network import Network, Params
from allroads.points.influence.moments import Estimate, half_width
from allroads.points.influence.samples import Samples, checked_examples, draw_samples
from allroads.results import Measurement
from allroads.status import LLCStatus, Status

CENTRES = ("full", "group")


@dataclass(frozen=True)
class Susceptibilities:
    """Responses of groups of parameters to changes of the data.

    Attributes:
        value: χ, ``[groups, probes]``; the mean over some columns is the response to their mixture.
        error: Half of a 95 % interval from the differences between chains, same shape.
        groups: Names of the rows.
        status: One a group.
        llc: Learning coefficients of the groups' chains, weight-refined; one a group.
    """

    value: np.ndarray
    error: np.ndarray
    groups: tuple[str, ...]
    status: tuple[Status, ...]
    llc: tuple[Measurement, ...]


def susceptibilities(
    network: Network,
    params: Params,
    loss: str | PerExampleLoss,
    inputs: Any,
    labels: Any,
    *,
    groups: Mapping[str, Any],
    probes: tuple[Any, Any] | None = None,
    observable: Callable[[Params], Any] | None = None,
    centre: str = "full",
    nbeta: float | None = None,
    localisation: float | None = None,
    seed: int = 0,
    memory: int = 2**32,
    **sampling: Any,
) -> Susceptibilities:
    """Susceptibilities ``χ = (1/nβ) ∂E[φ_C]/∂h`` of groups C of parameters to ``q → (1 − h) q + h δ_z``, probes z.

    q is the data. φ_C is the observable φ at points where all parameters outside C are those of w*, by default
    ``φ = L(w) − L(w*)``. With ``E_C`` the mean over the posterior in which only C is free, and ``Δ = ℓ_z − L``::

        χ = −E_C[φ Δ] + E_C[φ] E[Δ]        centre="full"    E over the posterior of all parameters [baker2025]
        χ = −Cov_C(φ, Δ)                   centre="group"   E replaced by E_C

    The first is the response of the unnormalised ``E[φ δ(w outside C)]`` over the full posterior, in units of
    ``E[δ(w outside C)]``; the second that of the mean over the group's own posterior. Where χ is negative, more data
    like z lowers φ.

    Args:
        network: The network.
        params: The point w*.
        loss: Name or ``(outputs, labels) -> per-example losses``.
        inputs: ``[n, …]``.
        labels: ``[n, …]``.
        groups: Name → mask of the group's parameters, as for :func:`~allroads.llc`.
        probes: ``(inputs, labels)`` of the examples z. Default: the data.
        observable: ``φ(params) -> `` one number, in JAX; under ``"full"`` it should be 0 at w*. Default: the loss
            excess.
        centre: ``"full"`` (default) or ``"group"``.
        nbeta: nβ of all posteriors. Default ``n / ln n``.
        localisation: γ of all posteriors. Default: what :func:`~allroads.llc` takes for all parameters; under
            ``"group"``, for the first group.
        seed: Decides everything random.
        memory: Bytes that the chains, and what they see, may each take. Default 4 GiB.
        **sampling: As for :func:`~allroads.bayesian_influence`.

    Raises:
        InputError: Without a group, for an observable of more than one number, and as :func:`~allroads.llc`.
        UnknownNameError: For a centre, sampler or loss that does not exist.
        MemoryBudgetError: If the chains or what they see do not fit.

    References: [baker2025]

    Example:
        Weights that see different examples: more of the first example stiffens the first weight, which lowers its loss.

        >>> from allroads.points.zoo import quadratic
        >>> linear, rows = quadratic((2.0, 2.0)).network, np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])  # w · x
        >>> found = susceptibilities(
        ...     linear, np.zeros(2), "mse", rows, np.zeros(3), nbeta=10.0, localisation=0.1, centre="group",
        ...     groups={"first": np.array([True, False])})
        >>> np.sign(found.value[0])
        array([-1.,  1.,  1.])
    """
    if centre not in CENTRES:
        raise UnknownNameError("centre", centre, CENTRES)
    if not isinstance(groups, Mapping) or not groups:
        raise InputError("groups: expected a mapping from names to masks, with at least one group.")
    if probes is not None and (not isinstance(probes, tuple) or len(probes) != 2):
        raise InputError(f"probes: expected a pair (inputs, labels); got {type(probes).__name__}.")
    watched = {"data": checked_examples("inputs and labels", inputs, labels)}
    if probes is not None:
        watched["probes"] = checked_examples("probes", *probes)
    options = {"nbeta": nbeta, "seed": seed, "memory": memory, "sampling": sampling}
    whole: Samples | None = None
    if centre == "full":
        whole = draw_samples(
            network, params, loss, inputs, labels, watched, None, mask=None, localisation=localisation, **options
        )
        localisation = whole.llc.stats["localisation"]
    found, values, errors, states = [], [], [], []
    for mask in groups.values():
        part = draw_samples(
            network, params, loss, inputs, labels, watched, observable,
            mask=mask, localisation=localisation, scalar=True, **options,
        )  # fmt: skip
        localisation = part.llc.stats["localisation"]
        value, error = _response(_observable(part), _change(part), None if whole is None else _change(whole))
        found.append(part.llc)
        values.append(value)
        errors.append(error)
        states.append(_worse(part.status, whole))
    return Susceptibilities(np.stack(values), np.stack(errors), tuple(groups), tuple(states), tuple(found))


def _observable(samples: Samples) -> np.ndarray:
    """``φ``, ``[chains, draws]``."""
    if "observable" in samples.seen:
        return samples.seen["observable"][..., 0]
    return samples.seen["data"].mean(-1) - samples.llc.stats["loss"]


def _change(samples: Samples) -> np.ndarray:
    """``ℓ_z − L``, ``[chains, draws, probes]``."""
    data = samples.seen["data"]
    return samples.seen.get("probes", data) - data.mean(-1, keepdims=True)


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


def _worse(status: Status, whole: Samples | None) -> Status:
    """The status of a group, unless the chains of all parameters went wrong."""
    if whole is not None and whole.status in (LLCStatus.DIVERGED, LLCStatus.NOT_EQUILIBRATED):
        return whole.status
    return status
