"""Aligning two points modulo the symmetries of the map."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from allroads.budget import Budget, budgeted
from allroads.checks import check_count
from allroads.errors import InputError, UnknownNameError
from allroads.paths.align.activations import activation_terms
from allroads.paths.align.matching import greedy_start, match, random_start, refit_signs
from allroads.paths.align.search import optimise_scales, segment_objective, straight_through_search
from allroads.paths.align.terms import Term, inner_product, weight_terms
from allroads.pfmap.arrays import as_point
from allroads.pfmap.inputs import read_inputs
from allroads.pfmap.losses import PerExampleLoss
from allroads.pfmap.network import Network, Params
from allroads.pfmap.problem import Problem
from allroads.pfmap.symmetries import Element, Symmetries, symmetries
from allroads.pfmap.symmetries.group import named_leaves
from allroads.pfmap.symmetries.scales import balanced_scales
from allroads.pfmap.symmetries.symmetries import EXAMPLES
from allroads.results import Result, finish
from allroads.status import PathStatus, Status

METHODS = ("weights", "activations", "search")


@dataclass(frozen=True, eq=False, repr=False)
class Alignment(Result):
    """A point moved by a symmetry so as to lie near another.

    Args:
        params: The moved point: the function of ``b``, near ``a``.
        element: What moved it: permutations, signs and scales by number of units.
        symmetries: The group; ``symmetries.units`` names the units, ``symmetries.act(element, b)`` is ``params``.
        distance: ``‖a − params‖``, Euclidean over all parameters.
        distance_before: ``‖a − b‖``.
        status: ``ok``; ``not applicable`` where the network has no symmetry that was found (``params`` is then b);
            ``not converged`` where a budget or an interrupt ended the matching: ``params`` is the best so far.
        ended: ``"budget"`` or ``"interrupted"`` where one of these came first, else ``None``.
    """

    params: Params
    element: Element
    symmetries: Symmetries
    distance: float
    distance_before: float
    status: Status
    ended: str | None = None

    @property
    def value(self) -> float:
        """The distance after alignment."""
        return self.distance

    @property
    def error(self) -> None:
        """``None``: the distance is exact; the matching is a local optimum."""
        return None

    @property
    def stats(self) -> dict[str, Any]:
        """``distance_before`` and ``ended``."""
        return {"distance_before": self.distance_before, "ended": self.ended}


def align(
    network: Network,
    a: Params,
    b: Params,
    inputs: Any,
    *,
    method: str = "weights",
    loss: str | PerExampleLoss = "mse",
    labels: Any | None = None,
    seed: int = 0,
    restarts: int = 4,
    budget: float | None = None,
    progress: bool = True,
    throw: bool = False,
) -> Alignment:
    """Move ``b`` by a symmetry of the parameter–function map so as to lie near ``a``; its function stays.

    The group comes from the network itself, see :func:`~allroads.symmetries`. Sets of units are matched one after
    another by linear assignment until none can be matched better, units inside others (inside attention heads) for
    each pair of the outer ones; signs are chosen with the pairs. Scales are balanced in both points before matching,
    and the moved point gets the balance of ``a``.

    - ``"weights"``: maximises ``⟨a, moved b⟩``; first from the inputs and outputs inwards, then from random starts.
    - ``"activations"``: maximises the correlations of the activations of matched units on the inputs. A unit's sign
      is applied to the arrays inside the network that it flips, and to no other. Units inside loops are matched by
      weights.
    - ``"search"``: starts from the better of both and lowers what the segment between the points does wrong: how far
      its outputs are from the segment of outputs in the sense of ``loss``, or ``loss`` itself where labels are given.
      200 steps; the best place on the way is kept.

    Args:
        network: The network of both.
        a: The point that stays.
        b: The point that moves.
        inputs: ``[N, …]``. ``"weights"`` needs them for their shape only.
        method: See above.
        loss: For ``"search"``: how outputs are compared; a name or a callable with labels.
        labels: For ``"search"``: the labels of the inputs.
        seed: Of the check of the symmetries, the random starts and orders.
        restarts: Random starts of ``"weights"`` and ``"search"``, default 4; they seldom win over the first start,
            and cost as much each.
        budget: Seconds that the call may take; default no end. It is parted among the searches and the scales. Where it
            ends first, the best matching so far is returned, ``not converged``. What finds the symmetries, and
            compilation, count and cannot be interrupted. Ctrl-C ends the matching as a budget does; a second one ends
            the call.
        progress: Whether a bar, or a line every ten seconds, tells what is being done.
        throw: Raise a :class:`~allroads.MeasurementError` where the status is not ``ok``.

    Returns:
        An :class:`Alignment`.

    Raises:
        InputError: If the points are not of this network or not finite, or it cannot be traced; if ``labels`` do
            not fit the inputs and the loss; if no activation can be matched; if ``restarts``, ``seed`` or ``budget`` is
            out of range.
        UnknownNameError: If there is no such method.

    When it fails: matching with several hidden layers is NP-hard, and what is found is a local optimum; a barrier that
    is left proves nothing. Units that never act are matched by chance with ``"activations"``.

    References:
        [ainsworth2023], [entezari2022]

    Example:
        Shuffled hidden units are put back:

        >>> from allroads.networks.mlp import mlp
        >>> network = mlp((3,), 2, widths=(5,))
        >>> a = network.init(jax.random.key(0))
        >>> first, last = a["layers"]
        >>> order = np.array([3, 0, 4, 1, 2])
        >>> b = {"layers": [{"weight": first["weight"][:, order], "bias": first["bias"][order]},
        ...                 {"weight": last["weight"][order], "bias": last["bias"]}]}
        >>> found = align(network, a, b, np.ones((1, 3)))
        >>> bool(found.distance < 1e-5 < found.distance_before)
        True
    """
    with budgeted("align", budget, progress) as clock:
        if method not in METHODS:
            raise UnknownNameError("alignment method", method, METHODS)
        check_count("restarts", restarts, 0)
        check_count("seed", seed, 0)
        a, b, inputs = as_point(a, "a", network), as_point(b, "b", network), read_inputs(inputs)
        if labels is not None:
            labels = Problem(network, loss, inputs, labels).labels
        clock.say("symmetries")
        found = cached_symmetries(_SymmetriesKey(network, a, inputs, seed))
        goal, start = found.flatten(a), found.flatten(b)
        before = float(np.linalg.norm(goal - start))
        if not found.movable:
            return finish(Alignment(b, Element(), found, before, before, PathStatus.NOT_APPLICABLE), throw)
        rng = np.random.default_rng(seed)
        balanced_goal, goal_scales = balanced_scales(found, goal)
        balanced, own_scales = balanced_scales(found, start)
        gauge = found.gather(Element(scales={key: 1 / s for key, s in goal_scales.scales.items()}))[1]
        terms = weight_terms(found, balanced_goal, balanced)
        activation = [] if method == "weights" else activation_terms(network, found, a, b, inputs)
        if method == "weights":
            element = _by_weights(found, terms, rng, restarts, clock)
        elif method == "activations":
            if not activation:
                raise InputError(
                    "align: none of the units that symmetries move has activations to be seen at. Use method='weights'."
                )
            element = _by_activations(found, terms, activation, rng, clock)
        else:
            objective = segment_objective(network, found, a, b, inputs, loss, labels, held_out=False)
            starts = [
                _by_weights(found, terms, rng, restarts, clock),
                _by_activations(found, terms, activation, rng, clock),
            ]
            tried = []
            for number, start_of in enumerate(starts):
                until = clock.spent + clock.left / (len(starts) + 1 - number)
                given = found, balanced_goal, balanced, gauge, objective, start_of, rng, clock, until
                tried.append(straight_through_search(*given))
            element = min(tried, key=lambda pair: pair[0])[1]
        scales = _scales(found, element, own_scales, goal_scales)
        if method == "search" and not clock.ended:
            moved = found.flatten(found.act(replace(element, scales=scales), b))
            judged = segment_objective(network, found, a, b, inputs, loss, labels, held_out=True)
            _, tuned = optimise_scales(found, moved, judged, clock)
            scales = {key: scale * tuned[key] for key, scale in scales.items()}
        element = replace(element, scales=scales)
        params = found.act(element, b)
        distance = float(np.linalg.norm(goal - found.flatten(params)))
        status = PathStatus.NOT_CONVERGED if clock.ended else PathStatus.OK
        return finish(Alignment(params, element, found, distance, before, status, clock.ended), throw)


def _by_weights(
    found: Symmetries, terms: list[Term], rng: np.random.Generator, restarts: int, budget: Budget
) -> Element:
    """The best matching of weights from the greedy start and from random ones, while the budget lasts."""
    starts = [greedy_start(found, terms), *(random_start(found, rng) for _ in range(restarts))]
    best, highest = starts[0], -np.inf
    for number, start in enumerate(starts):
        if budget.ended:
            break
        budget.say(f"matching weights, start {number + 1} of {len(starts)}")
        with budget.interruptible():
            matched = match(found, terms, start, rng, budget=budget)
            if (value := inner_product(found, terms, matched)) > highest:
                best, highest = matched, value
    return best


def _by_activations(
    found: Symmetries, terms: list[Term], activation: list[Term], rng: np.random.Generator, budget: Budget
) -> Element:
    element = greedy_start(found, activation)
    with budget.interruptible():
        budget.say("matching activations")
        element = match(found, activation, element, rng, budget=budget)
        seen = {k for term in activation for k in term.block.units}
        unseen = [k for k in found.movable if k not in seen]
        element = match(found, terms, element, rng, unseen, budget=budget)
    return refit_signs(found, terms, element)


def _scales(found: Symmetries, element: Element, own: Element, goal: Element) -> dict[tuple[int, int], np.ndarray]:
    """Of the moved point: from the scales of ``b`` to balance, in the new order, and on to those of ``a``."""
    moved = {}
    for (k, way), scale in own.scales.items():
        for other in found.units[k].within:
            if other in element.permutations:
                scale = _reordered(found, k, other, scale, element.permutations[other])
        if k in element.permutations:
            scale = np.take_along_axis(scale, element.permutations[k], axis=-1)
        moved[k, way] = scale / goal.scales[k, way]
    return moved


def _reordered(found: Symmetries, k: int, other: int, scale: np.ndarray, permutation: np.ndarray) -> np.ndarray:
    """Scales of units inside others, with those others in their new order."""
    inner, outer = found.units[k].within, found.units[other].within
    order = [*(inner.index(o) for o in outer), inner.index(other)]
    shape = [1] * scale.ndim
    for d, size in zip(order, permutation.shape, strict=True):
        shape[d] = size
    index = permutation.transpose(np.argsort(order)).reshape(shape)
    return np.take_along_axis(scale, np.broadcast_to(index, scale.shape), axis=inner.index(other))


class _SymmetriesKey:
    """The arguments of ``symmetries``; equal where the result is the same."""

    def __init__(self, network: Network, params: Params, inputs: Any, seed: int):
        self.network, self.params, self.inputs, self.seed = network, params, inputs, seed
        shapes = tuple((name, np.shape(leaf), str(jnp.result_type(leaf))) for name, leaf in named_leaves(params))
        given = tuple((x.shape[1:], min(len(x), EXAMPLES), str(x.dtype)) for x in jax.tree.leaves(inputs))
        self.key = (network, jax.tree.structure(params), shapes, given, seed, str(jnp.result_type(float)))

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _SymmetriesKey) and self.key == other.key


@lru_cache(maxsize=32)
def cached_symmetries(key: _SymmetriesKey) -> Symmetries:
    """The symmetries of a network, derived once for each shape of its parameters and inputs."""
    return symmetries(key.network, key.params, key.inputs, key.seed)
