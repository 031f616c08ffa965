"""Hidden units of a network on all inputs of two values, and the formulas of those that are two-valued too."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from allroads.pfmap.arrays import as_point
from allroads.pfmap.jaxpr import evaluate, intermediates
from allroads.pfmap.network import Network, Params
from allroads.pfmap.precision import float64
from allroads.programs.boolean.formula import Formula

AFFINE = frozenset(
    (
        "add",
        "sub",
        "add_any",
        "neg",
        "dot_general",
        "reshape",
        "transpose",
        "broadcast_in_dim",
        "convert_element_type",
        "squeeze",
        "expand_dims",
        "slice",
        "concatenate",
        "copy",
        "gather",
        "dynamic_slice",
        "reduce_sum",
        "conv_general_dilated",
        "rev",
        "pad",
    )
)
"""Primitives after which nothing is new: an exchange at them is an exchange before them."""

MOST_UNITS = 256
"""Units of one intermediate that are looked at."""

TWO_VALUED = 0.1
"""Largest spread of a two-valued unit about each of its values, as a share of the distance between them."""


@dataclass(frozen=True, eq=False)
class Site:
    """An intermediate of a network on a set of examples, each run alone.

    Args:
        path: Its path, see :func:`allroads.pfmap.jaxpr.intermediates`.
        primitive: The primitive that gives it.
        values: Its units ``[N, U]`` on the N examples.
    """

    path: str
    primitive: str
    values: np.ndarray

    @property
    def moving(self) -> np.ndarray:
        """The units that differ between examples."""
        spread = np.ptp(self.values, axis=0)
        return np.flatnonzero(spread > 1e-9 * max(1.0, float(np.abs(self.values).max(initial=0.0))))


@dataclass(frozen=True)
class Unit:
    """A hidden unit that takes nearly two values.

    Args:
        path: The path of its intermediate.
        number: Its number there.
        formula: When it takes the larger value.
        values: The two values, means of each.
    """

    path: str
    number: int
    formula: Formula
    values: tuple[float, float]


def sites(network: Network, params: Params, inputs: np.ndarray) -> tuple[Site, ...]:
    """The intermediates of a network that are not affine in others, with their values in double precision.

    Outputs, loops and intermediates of one unit or of more than 256 are left out.

    Args:
        network: The network.
        params: The point.
        inputs: Examples ``[N, ...]``.
    """
    with float64():
        point = as_point(params, network=network)
        given = jnp.asarray(inputs)
        listed = intermediates(network.apply, point, given[:1])
        kept = [
            found
            for found in listed
            if found.primitive not in AFFINE
            and not found.steps
            and 2 <= math.prod(found.shape) <= MOST_UNITS
            and found.dtype.startswith("float")
        ]
        paths = [found.path for found in kept]
        if not paths:
            return ()
        seen = jax.vmap(lambda x: evaluate(network.apply, point, x[None], capture=paths)[1])(given)
        return tuple(
            Site(found.path, found.primitive, np.asarray(seen[found.path]).reshape(len(inputs), -1)) for found in kept
        )


def two_valued(values: np.ndarray) -> np.ndarray | None:
    """Where a unit takes the larger of two values, or ``None`` where it takes more.

    Args:
        values: A unit ``[N]`` on all examples.

    Example:
        >>> two_valued(np.array([0.0, 1.01, 0.02, 1.0])).astype(int).tolist()
        [0, 1, 0, 1]
        >>> two_valued(np.array([0.0, 0.5, 1.0])) is None
        True
    """
    order = np.sort(values)
    gaps = np.diff(order)
    cut = int(gaps.argmax()) if len(gaps) else 0
    if not len(gaps) or gaps[cut] <= 0:
        return None
    high: np.ndarray = values > (order[cut] + order[cut + 1]) / 2
    apart = values[high].mean() - values[~high].mean()
    spread = max(float(np.ptp(values[high])), float(np.ptp(values[~high])))
    return high if spread <= TWO_VALUED * apart else None


def circuit_of_units(
    network: Network, params: Params, inputs: np.ndarray, encoding: str | tuple[Any, Any] = "bits"
) -> tuple[Unit, ...]:
    """The two-valued hidden units of a network on the whole cube, each with its formula in the inputs.

    Args:
        network: The network.
        params: The point.
        inputs: The ``2^n`` inputs in the order of the rows of a table.
        encoding: How the inputs are read as bits.

    Example:
        >>> from allroads.programs.boolean.compile import compile_formula
        >>> from allroads.programs.boolean.encoding import cube
        >>> made = compile_formula(Formula.parse("(x0 & x1) | (x1 & x2)", 3))
        >>> found = circuit_of_units(*made, np.array(cube((0.0, 1.0), 3)))
        >>> sorted({str(unit.formula.root) for unit in found})
        ['x0', 'x0 & x1', 'x1', 'x1 & x2', 'x2']
    """
    inputs = np.asarray(inputs)
    bits = len(inputs).bit_length() - 1
    found = []
    for site in sites(network, params, inputs):
        for number in site.moving.tolist():
            values = site.values[:, number]
            high = two_valued(values)
            if high is not None:
                formula = Formula.of_table(high.astype(int), bits, encoding=encoding)
                two = float(values[~high].mean()), float(values[high].mean())
                found.append(Unit(site.path, number, formula, two))
    return tuple(found)
