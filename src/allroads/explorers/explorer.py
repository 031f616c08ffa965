"""The protocol of explorers: two pure functions that move one member through parameter space.

``init(params, key) -> state`` and ``step(state, problem, index) -> state``. Both are written for one member and run
over a leading member axis under ``jax.vmap``; everything that an explorer remembers, its cost included, is in the
state.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from allroads.pfmap.network import Params


class State(NamedTuple):
    """Where a member is and what its explorer remembers.

    Attributes:
        params: The present point.
        memory: The explorer's own: momenta, proposal widths, chains.
        key: The member's random key.
        order: The present epoch's order of the examples, ``[n]``; empty where the explorer takes them all.
        loss: The loss that the last step saw, before it moved.
        gradients: Gradients of a batch evaluated so far.
        forwards: Forward passes over a batch evaluated so far, outside gradients.
    """

    params: Params
    memory: Any
    key: Any
    order: Any
    loss: Any
    gradients: Any
    forwards: Any


class Problem(NamedTuple):
    """What an explorer may ask about: the mean loss over examples that it picks.

    Attributes:
        loss: ``loss(params, inputs, labels) -> scalar``, the mean over the examples given.
        inputs: All training inputs ``[n, ...]``.
        labels: All training labels ``[n, ...]``.
    """

    loss: Callable[[Params, Any, Any], Any]
    inputs: Any
    labels: Any


@dataclass(frozen=True)
class Explorer:
    """A way to move through parameter space.

    Args:
        name: How reports call it.
        init: ``init(params, key, examples) -> State``.
        step: ``step(state, problem, index) -> State``; ``index`` counts a member's steps from 0.
        batch_size: Examples a step looks at; ``None``: all of them.
    """

    name: str
    init: Callable[[Params, Any, int], State]
    step: Callable[[State, Problem, Any], State]
    batch_size: int | None = None
