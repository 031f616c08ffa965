"""One run of chains around a point, and what is seen at each draw."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from allroads.errors import InputError, MemoryBudgetError
from allroads.pfmap.losses import PerExampleLoss, resolve_loss
from allroads.pfmap.network import Network, Params
from allroads.pfmap.precision import float64
from allroads.points.influence.moments import largest_r_hat
from allroads.points.llc.llc import check_memory, check_positive, estimate, make_plan
from allroads.points.llc.problem import checked_question
from allroads.points.llc.run import Plan
from allroads.points.llc.schedule import Record
from allroads.points.llc.survey import usual_nbeta
from allroads.points.llc.verdict import R_HAT
from allroads.results import Measurement
from allroads.status import LLCStatus, Status

COPIES = 3
"""How often what was observed is held at once."""
ROUNDS = 8
"""Fewest rounds that a budget of memory must allow."""


class Examples(NamedTuple):
    """Inputs ``[n, …]`` and labels ``[n, …]``."""

    inputs: Any
    labels: Any


@dataclasses.dataclass(frozen=True)
class Samples:
    """What a run saw.

    Attributes:
        seen: Name → ``[chains, draws, width]``: the loss of each example, or the observable.
        llc: The learning coefficient of the same chains.
        status: That of ``llc``; ``diverged`` or ``not equilibrated`` where what was seen is.
    """

    seen: dict[str, np.ndarray]
    llc: Measurement
    status: Status


def draw_samples(
    network: Network,
    params: Params,
    loss: str | PerExampleLoss,
    inputs: Any,
    labels: Any,
    watched: dict[str, Examples],
    observable: Callable | None,
    *,
    nbeta: float | None,
    localisation: float | None,
    mask: Any,
    seed: int,
    memory: int,
    sampling: dict[str, Any],
    scalar: bool = False,
) -> Samples:
    """Sample ``exp(−nβ L − γ/2 ‖w − w*‖²)`` and see the losses of the watched examples and the observable.

    Raises:
        InputError: If ``scalar`` is set and the observable is not one number; and as :func:`allroads.llc`.
        UnknownNameError, MemoryBudgetError: As :func:`allroads.llc`.
    """
    with float64():
        question, point, data = checked_question(network, params, loss, inputs, labels, mask, points=False)
        plan = make_plan(question, data, **sampling)
        check_positive(nbeta=nbeta, localisation=localisation)
        check_memory(question, plan.chains, memory)
        watched = {name: Examples(*(_doubled(part) for part in of)) for name, of in watched.items()}
        observe = observer(network, resolve_loss(loss), observable)
        width = _width(observe, point, watched, scalar)
        plan = within_memory(plan, width, "draws" in sampling, memory)
        nbeta = usual_nbeta(len(data.inputs)) if nbeta is None else nbeta
        records: list[Record] = []
        stacked = jax.tree.map(lambda leaf: leaf[None], point)
        found = estimate(question, stacked, data, nbeta, localisation, plan, seed, observe, watched, records)[0]
    seen = {name: np.asarray(part, float) for name, part in records[0].observed.items()}
    return Samples(seen, found, judged(found, seen))


@lru_cache(maxsize=64)
def observer(network: Network, loss: PerExampleLoss, observable: Callable | None) -> Callable:
    """``(params, {name: examples}) -> {name: losses}``, and the observable's numbers under ``"observable"``."""

    def observe(params: Params, watched: dict[str, Examples]) -> dict[str, Any]:
        seen = {name: loss(network.apply(params, of.inputs), of.labels) for name, of in watched.items()}
        if observable is not None:
            seen["observable"] = jnp.ravel(jnp.asarray(observable(params)))
        return seen

    return observe


def within_memory(plan: Plan, width: int, fixed: bool, memory: int) -> Plan:
    """The plan with no more rounds than fit.

    Raises:
        MemoryBudgetError: If the rounds asked for do not fit, or fewer than eight do.
    """
    a_round = 8 * COPIES * plan.chains * plan.draws * width
    allowed = memory // a_round
    needed = plan.rounds if fixed else min(plan.rounds, ROUNDS)
    if allowed < needed:
        raise MemoryBudgetError(
            f"{width} numbers seen at each of {plan.chains} × {needed * plan.draws} draws need about "
            f"{needed * a_round / 2**30:.1f} GiB; the budget is {memory / 2**30:.1f} GiB. Raise memory, name fewer "
            "examples, or ask for fewer draws."
        )
    return dataclasses.replace(plan, rounds=min(plan.rounds, allowed))


def checked_examples(what: str, inputs: Any, labels: Any) -> Examples:
    """Examples to be watched.

    Raises:
        InputError: If there are none, or not as many labels as inputs.
    """
    inputs, labels = np.asarray(inputs), np.asarray(labels)
    if not inputs.ndim or not labels.ndim or not len(inputs) or len(inputs) != len(labels):
        raise InputError(
            f"{what}: expected inputs and as many labels, at least one; got shapes {inputs.shape} and {labels.shape}."
        )
    return Examples(inputs, labels)


def chosen_examples(inputs: Any, labels: Any, examples: Any) -> tuple[np.ndarray, Examples]:
    """Indices of the examples of the data to be watched, and those examples.

    Raises:
        InputError: For indices that are no whole numbers or do not exist.
    """
    data = checked_examples("inputs and labels", inputs, labels)
    count = len(data.inputs)
    rows = np.arange(count) if examples is None else np.asarray(examples)
    whole = rows.ndim == 1 and rows.size and np.issubdtype(rows.dtype, np.integer)
    if not whole or rows.min() < 0 or rows.max() >= count:
        raise InputError(f"examples: expected indices from 0 to {count - 1}, at least one; got {examples!r}.")
    return rows, Examples(data.inputs[rows], data.labels[rows])


def _doubled(array: np.ndarray) -> Any:
    return jnp.asarray(array, jnp.float64 if np.issubdtype(array.dtype, np.floating) else None)


def _width(observe: Callable, point: Params, watched: dict[str, Examples], scalar: bool) -> int:
    shapes = jax.eval_shape(observe, point, watched)
    for name, of in watched.items():
        if shapes[name].shape != (len(of.inputs),):
            raise InputError(
                f"loss: expected one number an example, shape [{len(of.inputs)}]; got {list(shapes[name].shape)}."
            )
    if scalar and "observable" in shapes and shapes["observable"].size != 1:
        raise InputError(f"observable: expected one number; got {shapes['observable'].size}.")
    return sum(shape.size for shape in shapes.values())


def judged(found: Measurement, seen: dict[str, np.ndarray]) -> Status:
    """The status of the chains' learning coefficient, unless what was seen is not finite or not in equilibrium."""
    if not all(np.isfinite(part).all() for part in seen.values()):
        return LLCStatus.DIVERGED
    if found.status == LLCStatus.DIVERGED or max(largest_r_hat(part) for part in seen.values()) <= R_HAT:
        return found.status
    return LLCStatus.NOT_EQUILIBRATED
