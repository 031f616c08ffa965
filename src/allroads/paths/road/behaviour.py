"""How a path behaves on data: its outputs, and losses and accuracies where there are labels."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from allroads.compiled import quickly_compiled
from allroads.pfmap.network import Network, Params
from allroads.pfmap.objective import Examples, Objective
from allroads.pfmap.problem import Problem


def path_values(network: Network, points: list[Params], inputs: Any) -> np.ndarray:
    """Outputs at every point of a path, ``[R, N, …, C]``."""
    inputs = jax.tree.map(jnp.asarray, inputs)
    return np.stack([np.asarray(compiled_values(network)(point, inputs)) for point in points])


def path_losses(
    problem: Problem, points: list[Params], values: np.ndarray, held_out: Problem | None
) -> dict[str, np.ndarray]:
    """``train_loss``, ``train_accuracy`` and the same of ``held_out`` along a path, means over examples.

    Args:
        problem: Its examples are those of ``values``.
        points: The path.
        values: Outputs at its points, ``[R, N, …, C]``.
        held_out: Other examples, or ``None``.
    """
    found = {}
    for name, of in (("train", problem), ("held_out", held_out)):
        if of is not None:
            outputs = values if of is problem else path_values(of.network, points, of.data.inputs)
            losses, examples = _compiled_losses(of.objective), of.data._replace(inputs=None)
            curves = np.array([losses(at, point, examples) for at, point in zip(outputs, points, strict=True)])
            found[f"{name}_loss"], found[f"{name}_accuracy"] = curves.astype(np.float64).T
    return found


@lru_cache(maxsize=64)
def compiled_values(network: Network) -> Any:
    """The outputs, compiled quickly: one program for all who ask for a network's outputs along a road."""
    return jax.jit(network.apply, compiler_options=quickly_compiled())


@lru_cache(maxsize=64)
def _compiled_losses(objective: Objective) -> Any:
    def at(outputs: Any, params: Params, data: Examples) -> tuple[Any, Any]:
        loss = objective.from_outputs(outputs, data).mean() + objective.penalty(params)
        return loss, objective.correct(outputs, data).mean()

    return jax.jit(at, compiler_options=quickly_compiled())
