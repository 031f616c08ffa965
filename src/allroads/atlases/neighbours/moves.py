"""Moves between points of a network, by name: what a start becomes, and whether its prior stays as it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from allroads.checks import check_choice, check_number
from allroads.errors import InputError
from allroads.explorers.neutral.invariant import invariant_move, known_of
from allroads.pfmap.network import Network, Params
from allroads.points.prior.robustness import gaussian_move, scale_of_moves

KINDS = ("additive", "reversible")
"""Moves that have a size σ."""
SIGMA = 0.1
"""Size of a move where none is given."""

Step = Callable[[Any, Params, Any], Params]
"""``step(key, params, scale) -> params`` of one network."""


@dataclass(frozen=True, eq=False)
class Move:
    """A move, ready to be compiled.

    Args:
        step: The move of one network.
        scale: Handed to every step.
        words: What it does, in words.
    """

    step: Step
    scale: Any
    words: str


def move_of(network: Network, move: str | Callable[[Any, Params], Params], sigma: float | None) -> Move:
    """The move that a name or a function stands for.

    Raises:
        InputError: If it has no such size, or the initialisation allows no reversible move.
        UnknownNameError: If there is no move of this name.
    """
    if callable(move):
        if sigma is not None:
            raise InputError("sigma: a move of your own has its own size; leave sigma out.")
        return Move(_own(move), None, "custom")
    check_choice("move", move, KINDS)
    size = SIGMA if sigma is None else sigma
    if move == "additive":
        check_number("sigma", size, 0, open_low=True)
        words = f"θ + σ ξ, σ = {size:g} times the root mean square of each array over draws of init"
        return Move(gaussian_move, scale_of_moves(network, float(size)), words)
    check_number("sigma", size, 0, 1, open_low=True)
    prior, centre = known_of(network, None)
    words = f"reversible with respect to init, taken as {prior}, size {size:g}"
    return Move(_reversible(network, prior), (float(size), centre), words)


@lru_cache(maxsize=16)
def _own(move: Callable[[Any, Params], Params]) -> Step:
    return lambda key, params, scale: move(key, params)


@lru_cache(maxsize=16)
def _reversible(network: Network, prior: str) -> Step:
    return lambda key, params, scale: invariant_move(key, params, scale[0], network.init, prior, scale[1])
