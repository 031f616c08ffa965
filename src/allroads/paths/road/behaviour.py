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
    return np.stack([np.asarray(_compiled_values(network)(point, inputs)) for point in points])


def path_losses(problem: Problem, points: list[Params], held_out: Problem | None) -> dict[str, np.ndarray]:
    """``train_loss``, ``train_accuracy`` and the same of ``held_out`` along a path, means over examples."""
    found = {}
    for name, of in (("train", problem), ("held_out", held_out)):
        if of is not None:
            curves = np.array([_compiled_losses(of.objective)(point, of.data) for point in points], np.float64)
            found[f"{name}_loss"], found[f"{name}_accuracy"] = curves.T
    return found


@lru_cache(maxsize=64)
def _compiled_values(network: Network) -> Any:
    return jax.jit(network.apply, compiler_options=quickly_compiled())


@lru_cache(maxsize=64)
def _compiled_losses(objective: Objective) -> Any:
    def at(params: Params, data: Examples) -> tuple[Any, Any]:
        outputs = objective.network.apply(params, data.inputs)
        loss = objective.from_outputs(outputs, data).mean() + objective.penalty(params)
        return loss, objective.correct(outputs, data).mean()

    return jax.jit(at, compiler_options=quickly_compiled())
