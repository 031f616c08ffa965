"""SOAP: Adam in the eigenbasis of Shampoo's preconditioner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from allroads.checks import check_count
from allroads.errors import InputError
from allroads.explorers.gradient import GradientExplorer
from allroads.pfmap.network import Params

ROUNDING = 16
"""Rounding of a rotated entry, at most, in units of the type's ε times the matrix's norm."""


class Side(NamedTuple):
    """One side of a matrix: the running mean of ``G Gᵀ`` or ``Gᵀ G``, and its basis, columns of descending weight."""

    second: Any
    basis: Any


class Leaf(NamedTuple):
    """What SOAP remembers of one array.

    Attributes:
        mean: First moment, in the array's own coordinates.
        square: Second moment, in the rotated ones.
        left: The side of rows; ``None``: it is not rotated.
        right: The side of columns; ``None``: it is not rotated.
    """

    mean: Any
    square: Any
    left: Side | None
    right: Side | None


@dataclass(frozen=True, kw_only=True)
class SOAP(GradientExplorer):
    """SOAP: each matrix moves by Adam's rule in the eigenbasis of ``E[G Gᵀ]`` and ``E[Gᵀ G]``; other arrays by Adam's.

    ``W ← W − η Q_L [m̂' / (√v̂ + ε)] Q_Rᵀ``, where ``m' = Q_Lᵀ m Q_R`` and v is the running mean of ``(Q_Lᵀ G Q_R)²``,
    with Adam's corrections for its start. The first bases are the eigenvectors of ``G Gᵀ`` and ``Gᵀ G`` at the first
    gradient. Every ``refresh`` steps each is renewed by one step of power iteration and a QR decomposition. The first
    step is taken, where the published code only looks at the gradient. On a square matrix of full rank it is
    ``−η U Vᵀ`` with ``G = U S Vᵀ``.

    Args:
        learning_rate: η; the default is that of the paper.
        beta1: Decay of the first moment.
        beta2: Decay of the second moment and of the preconditioner.
        epsilon: ε, outside the root.
        refresh: Steps from one renewal of the bases to the next.
        largest_side: Longer sides are not rotated. With 1 the rule is Adam's.
        weight_decay: Decoupled decay of all arrays.
        batch_size: Examples per step; ``None``: all.

    Raises:
        InputError: On an option out of range.

    When it fails: while a preconditioner has a rank below its side, the basis of its null space is arbitrary. Another
    processor may then give another run. Arrays of three and more axes, as of convolutions, are left to Adam. The
    counted cost is one gradient a step; the products and decompositions of the bases come on top.

    References:
        [vyas2025, gupta2018]

    Example:
        >>> SOAP(refresh=1) == SOAP(refresh=1), SOAP().name
        (True, 'soap')
    """

    learning_rate: float = 3e-3
    beta1: float = 0.95
    beta2: float = 0.95
    epsilon: float = 1e-8
    refresh: int = 10
    largest_side: int = 1024
    weight_decay: float = 0.0
    batch_size: int | None = None

    def __post_init__(self) -> None:
        self.check_rates(learning_rate=self.learning_rate, epsilon=self.epsilon, weight_decay=self.weight_decay)
        self.check_rates(beta1=self.beta1, beta2=self.beta2)
        self.check_counts(batch_size=self.batch_size)
        for option in ("refresh", "largest_side"):
            check_count(f"explorer 'soap': {option}", getattr(self, option))
        if self.beta1 >= 1 or self.beta2 >= 1:
            raise InputError(
                f"explorer 'soap': beta1 and beta2 must lie in [0, 1); got {self.beta1!r} and {self.beta2!r}."
            )

    def optimizer(self) -> optax.GradientTransformationExtraArgs:
        """The optax transformation of gradients into steps."""
        decay = [optax.add_decayed_weights(self.weight_decay)] if self.weight_decay else []
        return optax.chain(self._directions(), *decay, optax.scale_by_learning_rate(self.learning_rate))

    def _directions(self) -> optax.GradientTransformationExtraArgs:
        """The directions of all arrays, before the learning rate."""

        def init(params: Params) -> Any:
            return tuple(_first(leaf, self.largest_side) for leaf in jax.tree.leaves(params))

        def update(updates: Params, state: Any, params: Params = None, **extra_args: Any) -> tuple[Params, Any]:
            leaves, structure = jax.tree.flatten(updates)
            index = extra_args["index"]
            moved = [self._direction(g, old, index) for g, old in zip(leaves, state, strict=True)]
            return jax.tree.unflatten(structure, [step for step, _ in moved]), tuple(kept for _, kept in moved)

        return optax.GradientTransformationExtraArgs(init, update)

    def _direction(self, gradient: Any, old: Leaf, index: Any) -> tuple[Any, Leaf]:
        """Adam's direction in rotated coordinates, turned back; and what is remembered."""
        turned = old.left is not None or old.right is not None
        now = jax.lax.cond(index == 0, lambda leaf: _eigenbases(leaf, gradient), _kept, old) if turned else old
        mean = self.beta1 * now.mean + (1 - self.beta1) * gradient
        square = self.beta2 * now.square + (1 - self.beta2) * _rotated(gradient, now) ** 2
        number = (index + 1).astype(mean.dtype)
        mean_hat = _rotated(mean, now) / (1 - self.beta1**number)
        direction = mean_hat / (jnp.sqrt(square / (1 - self.beta2**number)) + self.epsilon)
        left, right = self._averaged(now.left, gradient), self._averaged(now.right, gradient.T)
        new = Leaf(mean, square, left, right)
        new = jax.lax.cond((index + 1) % self.refresh == 0, _renewed, _kept, new) if turned else new
        return _turned_back(direction, now), new

    def _averaged(self, side: Side | None, gradient: Any) -> Side | None:
        """A side with the gradient ``[side, other]`` in its running mean."""
        if side is None:
            return None
        return side._replace(second=self.beta2 * side.second + (1 - self.beta2) * gradient @ gradient.T)


def _first(leaf: Any, largest: int) -> Leaf:
    def side(axis: int) -> Side | None:
        if leaf.ndim != 2 or not 1 < leaf.shape[axis] <= largest:
            return None
        size = leaf.shape[axis]
        return Side(jnp.zeros((size, size), leaf.dtype), jnp.eye(size, dtype=leaf.dtype))

    return Leaf(jnp.zeros_like(leaf), jnp.zeros_like(leaf), side(0), side(1))


def _eigenbases(leaf: Leaf, gradient: Any) -> Leaf:
    """The bases of the first gradient."""

    def basis(side: Side | None, second: Any) -> Side | None:
        return None if side is None else side._replace(basis=jnp.linalg.eigh(second)[1][:, ::-1])

    left, right = basis(leaf.left, gradient @ gradient.T), basis(leaf.right, gradient.T @ gradient)
    return leaf._replace(left=left, right=right)


def _kept(leaf: Leaf) -> Leaf:
    return leaf


def _renewed(leaf: Leaf) -> Leaf:
    """Bases after a step of power iteration; columns, and second moments with them, in descending order of weight."""
    square, sides = leaf.square, []
    for axis, side in enumerate((leaf.left, leaf.right)):
        if side is not None:
            ahead = side.second @ side.basis
            order = jnp.argsort(-jnp.sum(side.basis * ahead, axis=0))
            square = jnp.take(square, order, axis=axis)
            side = side._replace(basis=jnp.linalg.qr(ahead[:, order])[0])
        sides.append(side)
    return leaf._replace(square=square, left=sides[0], right=sides[1])


def _rotated(matrix: Any, leaf: Leaf) -> Any:
    """``Q_Lᵀ M Q_R``; what is within rounding of zero is zero, since Adam would make steps of size η of it."""
    if leaf.left is None and leaf.right is None:
        return matrix
    found = matrix if leaf.left is None else leaf.left.basis.T @ matrix
    found = found if leaf.right is None else found @ leaf.right.basis
    rounding = ROUNDING * jnp.finfo(matrix.dtype).eps * jnp.linalg.norm(matrix)
    return jnp.where(jnp.abs(found) <= rounding, 0.0, found)


def _turned_back(matrix: Any, leaf: Leaf) -> Any:
    """``Q_L M Q_Rᵀ``."""
    found = matrix if leaf.left is None else leaf.left.basis @ matrix
    return found if leaf.right is None else found @ leaf.right.basis.T
