"""Baseline: initial alignment (INAL) of a target with the neurons of a network at initialisation."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from allroads.compiled import quickly_compiled
from allroads.pfmap.inputs import checked_examples, read_inputs
from allroads.pfmap.jaxpr import evaluate, intermediates
from allroads.pfmap.network import Network
from allroads.results import Measurement
from allroads.status import ForecastStatus

DRAWS = 64
"""Default number of initialisations."""
_NONLINEAR = frozenset({"max", "tanh", "logistic", "erf", "erfc", "exp", "sin", "cos", "integer_pow"})
"""Operations whose result counts as a neuron."""


def inal(network: Network, inputs: Any, targets: Any, *, draws: int = DRAWS, seed: int = 0) -> list[Measurement]:
    """Initial alignment ``INAL = max_v E_Θ[(E_x f(x) N_v(x; Θ))²]`` of targets with a network at initialisation.

    Neurons N_v are the outputs of the network and every result of an elementwise nonlinearity inside it. Neurons inside
    loops (recurrent networks) are not counted. The expectation over x is the mean over the inputs. Of several outputs
    of a target the best one counts.

    Args:
        network: The network.
        inputs: ``[N, …]``.
        targets: Real functions on the inputs, ``[T, N]`` or ``[T, N, C]``.
        draws: Number of initialisations; default 64.
        seed: Decides the initialisations.

    Returns:
        One number per target. ``error`` is the standard error of the neuron that attains the maximum. The maximum of
        noisy means is biased upwards, for U alike units by about ``error · √(2 ln U)``. ``stats`` has ``draws`` and
        ``neurons``.

    Raises:
        InputError: If the network does not take one example at a time.

    References: [abbe2022]

    Example:
        A single unit ``w x`` with ``w ~ N(0, 1)`` on x = ±1 and the target x: ``E w² = 1``.

        >>> unit = Network(lambda key: jax.random.normal(key, (1, 1)), lambda w, x: x @ w)
        >>> found = inal(unit, np.array([[1.0], [-1.0]]), np.array([[1.0, -1.0]]), draws=400)[0]
        >>> abs(found - 1) < 4 * found.error
        True
    """
    inputs, targets = read_inputs(inputs), checked_examples(targets, "targets").astype(np.float64)
    columns = targets.reshape(*targets.shape[:2], -1)
    sums = _compiled(network)(
        jax.random.split(jax.random.key(seed), draws), jax.tree.map(jnp.asarray, inputs), jnp.asarray(columns)
    )
    squares = np.square(np.asarray(sums, np.float64)) / columns.shape[1] ** 2  # [draws, T, C, units]
    squares = squares.reshape(draws, len(columns), -1)
    means = squares.mean(axis=0)
    errors = squares.std(axis=0, ddof=1) / np.sqrt(draws)
    stats = {"draws": draws, "neurons": int(sums.shape[-1])}
    found = []
    for mean, error in zip(means, errors, strict=True):
        best = int(mean.argmax())
        status = ForecastStatus.OK if np.isfinite(mean[best]) else ForecastStatus.DIVERGED
        found.append(Measurement(mean[best], float(error[best]), status, stats))
    return found


@lru_cache(maxsize=16)
def _compiled(network: Network) -> Any:
    """``(keys, inputs, columns [T, N, C]) -> Σ_x f(x) N_v(x)``, ``[draws, T, C, units]``."""

    def one(key: Any, inputs: Any, columns: Any) -> Any:
        params = network.init(key)
        paths = neurons(network, params, inputs[:1])

        def units(x: Any) -> Any:
            outputs, captured = evaluate(network.apply, params, x[None], capture=paths)
            return jnp.concatenate([outputs.reshape(-1), *(captured[path].reshape(-1) for path in paths)])

        values = jax.vmap(units)(inputs)
        return jnp.einsum("tnc,nu->tcu", columns.astype(values.dtype), values)

    def all_draws(keys: Any, inputs: Any, columns: Any) -> Any:
        return jax.lax.map(lambda key: one(key, inputs, columns), keys)

    return jax.jit(all_draws, compiler_options=quickly_compiled())


def neurons(network: Network, params: Any, example: Any) -> list[str]:
    """Paths of the intermediates outside loops that elementwise nonlinearities give."""
    found = intermediates(network.apply, params, example)
    return [i.path for i in found if i.primitive in _NONLINEAR and i.shape and not i.steps]
