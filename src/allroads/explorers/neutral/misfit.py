"""How far a point is from fitting the data: training errors, or the loss above a bound."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from allroads.errors import InputError
from allroads.explorers.explorer import ProblemLike, example_count
from allroads.pfmap.losses import bce, cross_entropy, resolve_loss
from allroads.pfmap.network import Params
from allroads.pfmap.objective import Objective


def objective_of(name: str, problem: ProblemLike) -> Objective:
    """The objective of a problem, which knows its network.

    Raises:
        InputError: If it is some other loss; names the explorer.
    """
    if not isinstance(problem.objective, Objective):
        raise InputError(f"explorer {name!r}: it needs a problem with a network, as allroads.Problem has.")
    return problem.objective


def check_fit(name: str, problem: ProblemLike, fit: float | None) -> None:
    """Refuse a problem whose loss does not say when a point fits, where no bound is given.

    Raises:
        InputError: Naming the explorer.
    """
    loss = objective_of(name, problem).loss
    if fit is None and resolve_loss(loss) not in (cross_entropy, bce):
        raise InputError(
            f"explorer {name!r}: loss {loss!r} does not say which outputs are errors. Give fit=, the "
            "largest mean loss of a point that fits, or use 'bce' or 'cross_entropy'."
        )


def loss_and_misfit(name: str, problem: ProblemLike, params: Params, fit: float | None) -> tuple[Any, Any]:
    """The mean loss of one point, and its misfit, from one forward pass.

    The misfit is 0 where the point fits. Without a bound it is the number of training examples with a wrong answer;
    an example of several answers counts by its share of wrong ones. With a bound it is ``N max(L − fit, 0)``. It is
    infinite where the loss is not finite, and the loss is then the largest number there is.
    """
    loss, correct = objective_of(name, problem).mean_and_correct(params, problem.data)
    finite = jnp.isfinite(loss)
    if fit is None:
        count, answers = example_count(problem), problem.data.labels.size
        wrong = count * (1 - correct.mean()).astype(loss.dtype)
        misfit = jnp.where(wrong < 0.5 * count / answers, 0.0, wrong)  # less than half of one answer is rounding
    else:
        misfit = example_count(problem) * jnp.maximum(loss - fit, 0.0)
    return jnp.where(finite, loss, jnp.finfo(loss.dtype).max), jnp.where(finite, misfit, jnp.inf)
