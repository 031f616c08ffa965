"""The objective: a loss of a network's outputs plus a penalty of its parameters, as a function of both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from allroads.pfmap.losses import TERMS, PerExampleLoss, correct_terms, mean_per_example, resolve_loss
from allroads.pfmap.network import Network, Params

Regulariser = float | Callable[[Params], Any]


class Examples(NamedTuple):
    """Examples as arrays that lead with the example axis, so that one index picks a batch from all of them.

    Attributes:
        inputs: ``[N, …]``, or a tuple of such arrays.
        labels: ``[N, …]``.
        weights: ``[N]``, or one weight per label, with a mean of 1 over all examples; ``None``: all count alike.
    """

    inputs: Any
    labels: Any
    weights: Any = None

    def batch(self, chosen: Any) -> Examples:
        """The examples at these indices."""
        found: Examples = jax.tree.map(lambda array: array[chosen], self)
        return found


@dataclass(frozen=True)
class Objective:
    """``L(θ) = (1/N) Σ_i w_i ℓ(F(θ)_i, y_i) + R(θ)``: hashable, so that what is compiled for it is used again.

    Args:
        network: The network.
        loss: Name or ``(outputs, labels) -> per-example losses``.
        regulariser: A weight decay λ, which stands for ``R(θ) = λ/2 ‖θ‖²``, or a function of the parameters.

    Example:
        >>> import jax.numpy as jnp
        >>> line = Network(lambda key: jnp.zeros(1), lambda w, x: x * w)
        >>> data = Examples(jnp.ones((2, 1)), jnp.zeros((2, 1)))
        >>> float(Objective(line, "mse", 0.5).mean(jnp.array([2.0]), data))  # 2² + 0.5/2 · 2²
        5.0
    """

    network: Network
    loss: str | PerExampleLoss
    regulariser: Regulariser = 0.0

    def losses(self, params: Params, data: Examples) -> jax.Array:
        """``w_i ℓ_i + R``, ``[N]``: the penalty stands in every example, so that means over batches estimate L."""
        return self._penalised(self.from_outputs(self.network.apply(params, data.inputs), data), params)

    def in_parts(self, at_a_time: int) -> Objective:
        """The same objective, which goes through more examples than these in parts of so many.

        What a part passes through is computed again for a derivative and not kept, so that memory is that of one part.
        The network must treat its examples one by one.

        Example:
            >>> import jax.numpy as jnp
            >>> line = Network(lambda key: jnp.zeros(1), lambda w, x: x * w)
            >>> data = Examples(jnp.arange(5.0)[:, None], jnp.zeros((5, 1)))
            >>> Objective(line, "mse").in_parts(2).losses(jnp.array([2.0]), data).tolist()
            [0.0, 4.0, 16.0, 36.0, 64.0]
        """
        return _InParts(self.network, self.loss, self.regulariser, at_a_time)

    def mean(self, params: Params, data: Examples) -> jax.Array:
        """L(θ) over these examples."""
        return self.losses(params, data).mean()

    def mean_and_correct(self, params: Params, data: Examples) -> tuple[jax.Array, jax.Array]:
        """L(θ) over these examples, and :meth:`correct`, from one forward pass."""
        outputs = self.network.apply(params, data.inputs)
        return self._penalised(self.from_outputs(outputs, data), params).mean(), self.correct(outputs, data)

    def from_outputs(self, outputs: Any, data: Examples) -> jax.Array:
        """``w_i ℓ_i`` from the outputs, ``[N]``, without the penalty."""
        per_example = resolve_loss(self.loss)
        if data.weights is None:
            losses: jax.Array = per_example(outputs, data.labels)
        elif data.weights.ndim == 1 or per_example not in TERMS:
            losses = per_example(outputs, data.labels) * data.weights
        else:
            losses = mean_per_example(TERMS[per_example](outputs, data.labels) * data.weights)
        return losses

    def _penalised(self, losses: jax.Array, params: Params) -> jax.Array:
        return losses if self.regulariser == 0.0 else losses + self.penalty(params).astype(losses.dtype)

    def penalty(self, params: Params) -> jax.Array:
        """R(θ)."""
        if callable(self.regulariser):
            return jnp.asarray(self.regulariser(params))
        squares = [jnp.sum(jnp.asarray(leaf) ** 2) for leaf in jax.tree.leaves(params)]
        return jnp.asarray(self.regulariser / 2 * sum(squares))

    def correct(self, outputs: Any, data: Examples) -> jax.Array:
        """Share of each example's outputs that are right, ``[N]``; its mean is the accuracy, labels of weight 0 apart.

        Weights other than 0 do not count: accuracy is a share of labels.
        """
        right = correct_terms(outputs, data.labels, self.loss)
        if data.weights is None:
            share: jax.Array = mean_per_example(right)
            return share
        counted = (data.weights > 0).astype(right.dtype)
        counted = jnp.broadcast_to(counted.reshape(counted.shape + (1,) * (right.ndim - counted.ndim)), right.shape)
        share = mean_per_example(right * counted / counted.mean())
        return share


@dataclass(frozen=True)
class _InParts(Objective):
    """See :meth:`Objective.in_parts`."""

    at_a_time: int = 1

    def losses(self, params: Params, data: Examples) -> jax.Array:
        """``w_i ℓ_i + R``, ``[N]``, in parts; the last is filled up with the last example."""
        count = data.labels.shape[0]
        if count <= self.at_a_time:
            return super().losses(params, data)
        parts = -(-count // self.at_a_time)
        rows = jnp.minimum(jnp.arange(parts * self.at_a_time), count - 1).reshape(parts, self.at_a_time)

        @jax.checkpoint
        def of_part(params: Params, rows: Any) -> jax.Array:
            return Objective.losses(self, params, data.batch(rows))

        found: jax.Array = jax.lax.map(lambda rows: of_part(params, rows), rows).reshape(-1)[:count]
        return found
