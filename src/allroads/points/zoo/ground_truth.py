"""What a model with a known learning coefficient consists of, and the data that the models share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from allroads.errors import InputError
from allroads.pfmap.losses import PerExampleLoss
from allroads.pfmap.network import Network, Params
from allroads.pfmap.problem import Problem


@dataclass(frozen=True, eq=False)
class GroundTruth:
    """A model, a point at which its loss is least, and the exact learning coefficient there.

    All arrays are NumPy in double precision. JAX takes them to single precision unless it runs inside
    :func:`allroads.float64`.

    Args:
        name: What it is, with its sizes.
        network: The model.
        params: The point w*: a global minimum of the loss, with gradient 0.
        loss: Name or ``(outputs, labels) -> per-example losses``; the loss L of the data set is its mean over examples.
        inputs: ``[N, …]``.
        labels: ``[N, …]``.
        learning_coefficient: λ at the point, exact, under a prior that is positive there (see ``log_prior``).
        multiplicity: m at the point; ``None`` where it is not known.
        source: Where λ is from, a key of ``docs/references.bib``, or ``"derived"``.
        excess: ``K(w) = L(w) − L(w*)`` in closed form, for parameters with any further leading axes. The data are
            chosen so that this, the excess over the population, is also that over the data set, for all w. Parameters
            in NumPy give NumPy in double precision; JAX arrays, tracers included, give JAX.
        log_prior: Unnormalised log-density of the prior that λ stands for, of the same signature; ``None`` for a flat
            one.
    """

    name: str
    network: Network
    params: Params
    loss: str | PerExampleLoss
    inputs: np.ndarray
    labels: np.ndarray
    learning_coefficient: float
    multiplicity: int | None
    source: str
    excess: Callable[[Params], Any]
    log_prior: Callable[[Params], Any] | None = None

    @cached_property
    def problem(self) -> Problem:
        """Network, loss and data: what an estimator is given, beside ``params``."""
        return Problem(self.network, self.loss, self.inputs, self.labels)

    @property
    def dimension(self) -> int:
        """Number d of parameters; λ ≤ d/2."""
        return sum(np.size(leaf) for leaf in jax.tree.leaves(self.params))


def namespace(array: Any) -> Any:
    """``jax.numpy`` for JAX arrays and tracers, NumPy for others."""
    return jnp if isinstance(array, jax.Array) else np


def whole_numbers(what: str, values: Sequence[int], low: int, count: int = 1) -> tuple[int, ...]:
    """``values`` as at least ``count`` integers that are ``low`` or more.

    Raises:
        InputError: If they are not.

    Example:
        >>> whole_numbers("widths", [4, 2], 1)
        (4, 2)
    """
    wanted = f"at least {count} whole number{'s' if count > 1 else ''} of {low} or more"
    values = tuple(values)
    whole = all(isinstance(v, int | np.integer) and not isinstance(v, bool) and v >= low for v in values)
    if len(values) < count or not whole:
        raise InputError(f"{what}: expected {wanted}, got {values}.")
    return tuple(int(v) for v in values)


def whitened_inputs(examples: int, width: int, seed: int) -> np.ndarray:
    """Inputs X ``[examples, width]`` with ``XᵀX / examples = I`` up to rounding, in random directions.

    With them, the mean square of a linear function over the data set is its mean square over the population.

    Raises:
        InputError: If there are fewer examples than inputs.

    Example:
        >>> x = whitened_inputs(10, 3, seed=0)
        >>> bool(np.allclose(x.T @ x / 10, np.eye(3)))
        True
    """
    (examples,) = whole_numbers("examples", [examples], 1)
    if examples < width:
        raise InputError(f"examples: whitening {width} inputs takes at least {width} examples, got {examples}.")
    normal = np.random.default_rng([seed, 0]).standard_normal((examples, width))
    return np.asarray(np.linalg.qr(normal)[0] * np.sqrt(examples))


def orthogonal(width: int, generator: np.random.Generator) -> np.ndarray:
    """A uniformly random orthogonal matrix ``[width, width]``.

    Example:
        >>> q = orthogonal(3, np.random.default_rng(0))
        >>> bool(np.allclose(q @ q.T, np.eye(3)))
        True
    """
    q, triangle = np.linalg.qr(generator.standard_normal((width, width)))
    return q * np.sign(np.diag(triangle))
