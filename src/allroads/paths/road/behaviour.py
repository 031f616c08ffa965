"""How a path behaves on data: its outputs, and losses and accuracies where there are labels."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from allroads.errors import InputError
from allroads.pfmap.losses import PerExampleLoss, correct, resolve_loss
from allroads.pfmap.network import Network, Params


def path_values(network: Network, points: list[Params], inputs: Any) -> np.ndarray:
    """Outputs at every point of a path, ``[R, N, …, C]``."""
    inputs = jnp.asarray(inputs)
    return np.stack([np.asarray(_compiled_values(network)(point, inputs)) for point in points])


def labelled(
    network: Network,
    params: Params,
    loss: str | PerExampleLoss | None,
    train: tuple[Any, Any] | None,
    held_out: tuple[Any, Any] | None,
) -> dict[str, tuple[Any, Any]]:
    """The sets on which losses are wanted, ``train`` and ``held_out``, checked on shapes alone.

    Raises:
        InputError: If there is data but no loss, a loss but no data, or data that do not fit together.
    """
    sets = {name: data for name, data in (("train", train), ("held_out", held_out)) if data is not None}
    if (loss is None) != (not sets):
        raise InputError(
            "losses along a road need both a loss and data: give loss= with labels= (of the road's own inputs) or "
            "held_out=(inputs, labels), or none of them."
        )
    for name, (inputs, labels) in sets.items():
        sets[name] = inputs, labels = jnp.asarray(inputs), jnp.asarray(labels)
        if inputs.shape[:1] != labels.shape[:1]:
            raise InputError(f"{name}: {inputs.shape[:1]} inputs but {labels.shape[:1]} labels; expected one an input.")
        jax.eval_shape(resolve_loss(loss), jax.eval_shape(network.apply, params, inputs), labels)
    return sets


def path_losses(
    network: Network, points: list[Params], loss: str | PerExampleLoss | None, sets: dict[str, tuple[Any, Any]]
) -> dict[str, np.ndarray]:
    """``train_loss``, ``train_accuracy`` and the same of ``held_out`` along a path, means over examples."""
    found = {}
    for name, data in sets.items():
        curves = np.array([_compiled_losses(network, loss)(point, *data) for point in points], np.float64)
        found[f"{name}_loss"], found[f"{name}_accuracy"] = curves.T
    return found


@lru_cache(maxsize=64)
def _compiled_values(network: Network) -> Any:
    return jax.jit(network.apply)


@lru_cache(maxsize=64)
def _compiled_losses(network: Network, loss: str | PerExampleLoss) -> Any:
    per_example = resolve_loss(loss)

    def at(params: Params, inputs: Any, labels: Any) -> tuple[Any, Any]:
        outputs = network.apply(params, inputs)
        return per_example(outputs, labels).mean(), correct(outputs, labels, loss).mean()

    return jax.jit(at)
