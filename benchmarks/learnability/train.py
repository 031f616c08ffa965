"""One pack: targets of one domain learned side by side by one map and explorer from one start."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from allroads.explorers.explorer import Explorer, TracedProblem
from allroads.explorers.per_member import member_rule
from allroads.explorers.schedule import log_spaced
from allroads.pfmap.losses import correct
from allroads.pfmap.network import Network
from allroads.pfmap.objective import Examples, Objective

LADDER = (5, 10, 20, 40, 80, 160, 320)
"""Steps at which parameters are kept."""
RECORDS = 48


def record_steps(budget: int) -> np.ndarray:
    """Steps at which a run is looked at: evenly in log(1 + step), and the ladder."""
    return np.union1d(log_spaced(budget, RECORDS), [step for step in LADDER if step <= budget])


@dataclass(frozen=True)
class Seen:
    """What a pack showed at its records, each with a leading member axis.

    Args:
        steps: Of the records, ``[T]``: all up to the one at which the last member had learned.
        losses: Training loss, ``[M, T]``.
        accuracies: Training accuracy, ``[M, T]``.
        held_out: Held-out accuracy, ``[M, T]``.
        outputs: On the training rows, ``[M, T, …]``.
        snapshots: Parameters at the ladder's steps, by step; leaves ``[M, …]``.
    """

    steps: np.ndarray
    losses: np.ndarray
    accuracies: np.ndarray
    held_out: np.ndarray
    outputs: np.ndarray
    snapshots: dict[int, Any]


@lru_cache(maxsize=4)
def compiled(network: Network, explorer: Explorer, loss: str) -> tuple[Callable, Callable]:
    """``start(params, keys, inputs, labels)`` and ``advance(states, data, labels, begin, end)`` of a pack."""
    objective, rule = Objective(network, loss), member_rule(explorer)

    def right(outputs: Any, labels: Any) -> Any:
        hits = correct(outputs, labels, loss) if loss == "cross_entropy" else correct(outputs, labels > 0, "bce")
        return hits.mean()

    def start(params: Any, keys: Any, inputs: Any, labels: Any) -> Any:
        def member(key: Any, labels: Any) -> Any:
            return rule.init(key, params, TracedProblem(objective, Examples(inputs, labels)))

        return jax.vmap(member)(keys, labels)

    def advance(states: Any, data: tuple, labels: tuple, begin: Any, end: Any) -> tuple[Any, tuple]:
        def member(state: Any, labels: tuple) -> tuple[Any, tuple]:
            train = Examples(data[0], labels[0])
            problem = TracedProblem(objective, train)
            state = jax.lax.fori_loop(begin, end, lambda index, s: rule.step(s, problem, index)[0], state)
            outputs, held_out = (network.apply(state.params, inputs) for inputs in data)
            losses = objective.from_outputs(outputs, train)
            return state, (losses.mean(), right(outputs, labels[0]), right(held_out, labels[1]), outputs)

        return jax.vmap(member)(states, labels)

    return jax.jit(start), jax.jit(advance, donate_argnums=0)


def run_pack(
    network: Network,
    explorer: Explorer,
    loss: str,
    params: Any,
    keys: Any,
    data: tuple[np.ndarray, np.ndarray],
    labels: tuple[np.ndarray, np.ndarray],
    thresholds: np.ndarray,
    budget: int,
) -> Seen:
    """Train members side by side until all have learned or the budget is spent.

    Args:
        network: The map.
        explorer: What moves them.
        loss: Name of the loss.
        params: Where all start.
        keys: One a member, for the explorer.
        data: Training and held-out inputs.
        labels: Training and held-out labels, each ``[M, n, …]``.
        thresholds: Loss at which a member has learned, ``[M]``.
        budget: Most steps.
    """
    start, advance = compiled(network, explorer, loss)
    data, labels = jax.tree.map(jnp.asarray, (data, labels))
    states = start(params, keys, data[0], labels[0])
    steps, records, snapshots = record_steps(budget), [], {}
    learned = np.zeros(len(thresholds), bool)
    for begin, end in zip(np.concatenate([[0], steps[:-1]]), steps, strict=True):
        states, seen = advance(states, data, labels, int(begin), int(end))
        records.append(jax.tree.map(np.asarray, seen))
        if end in LADDER:
            snapshots[int(end)] = jax.tree.map(np.asarray, states.params)
        losses = records[-1][0]
        learned |= (losses <= thresholds) | ~np.isfinite(losses)
        if learned.all() and end >= LADDER[-1]:
            break
    losses, accuracies, held_out, outputs = (np.stack(column, axis=1) for column in zip(*records, strict=True))
    return Seen(steps[: len(records)], losses, accuracies, held_out, outputs, snapshots)
