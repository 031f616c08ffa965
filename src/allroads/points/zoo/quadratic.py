"""The regular model: a quadratic with a chosen spectrum."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from allroads.errors import InputError
from allroads.pfmap.network import Network
from allroads.points.zoo.ground_truth import GroundTruth, whitened_inputs


def localised_learning_coefficient(spectrum: Sequence[float], nbeta: float, localisation: float) -> float:
    """What sampling a quadratic at finite localisation measures, exactly: ``λ_γ = ½ Σ_i nβh_i / (nβh_i + γ)``.

    The mean of ``nβ (L − L*)`` under the density ``exp(−nβ (L − L*) − γ/2 ‖w − w*‖²)``; it is ``½ tr[H (H + γ/nβ)⁻¹]``
    and tends to half the number of positive curvatures as γ/nβ goes to 0.

    Args:
        spectrum: Eigenvalues h of the Hessian, none negative.
        nbeta: Number of examples times inverse temperature, nβ.
        localisation: γ.

    Raises:
        InputError: If a curvature or γ is negative, or nβ is not positive.

    References: [lau2023]

    Example:
        >>> localised_learning_coefficient([1.0, 1.0, 0.0], nbeta=3.0, localisation=1.0)
        0.75
    """
    curvatures = _curvatures(spectrum)
    if not (nbeta > 0 and localisation >= 0):
        raise InputError(
            f"expected nbeta above 0 and a localisation of 0 or more, got nbeta={nbeta}, localisation={localisation}."
        )
    stiff = nbeta * curvatures[curvatures > 0]
    return float(0.5 * (stiff / (stiff + localisation)).sum())


def quadratic(spectrum: Sequence[float] = (1.0, 1.0), *, examples: int = 1000, seed: int = 0) -> GroundTruth:
    """The regular model ``L(w) = ½ Σ_i h_i w_i²`` at its minimum 0: λ is half the number of positive h, m = 1.

    The network is ``f(w, x) = Σ_i √(h_i/2) w_i x_i`` on whitened inputs, with ``mse`` against 0, so the Hessian of the
    loss has the eigenvalues h. With all h positive λ = d/2, the value of every regular model.

    Args:
        spectrum: Eigenvalues h of the Hessian, none negative.
        examples: Number of examples.
        seed: Decides the inputs.

    Raises:
        InputError: If there is no curvature, or one is negative or not finite.

    References: [watanabe2009]

    Example:
        >>> truth = quadratic((4.0, 1.0, 0.0))
        >>> truth.learning_coefficient, truth.multiplicity, truth.dimension
        (1.0, 1, 3)
    """
    curvatures = _curvatures(spectrum)
    width = len(curvatures)
    return GroundTruth(
        name=f"quadratic in {width} parameters",
        network=_network(tuple(curvatures.tolist())),
        params=np.zeros(width),
        loss="mse",
        inputs=whitened_inputs(examples, width, seed),
        labels=np.zeros((examples, 1)),
        learning_coefficient=float(np.count_nonzero(curvatures)) / 2,
        multiplicity=1,
        source="watanabe2009",
        excess=lambda w: 0.5 * (curvatures * w**2).sum(-1),
    )


@lru_cache(maxsize=64)
def _network(spectrum: tuple[float, ...]) -> Network:
    slopes = np.sqrt(np.array(spectrum) / 2).tolist()  # no array: JAX would keep it in the precision of the first trace

    def apply(w: Any, inputs: Any) -> Any:
        return (inputs @ (jnp.asarray(slopes) * w))[:, None]

    return Network(lambda key: jax.random.normal(key, (len(spectrum),)), apply, name="quadratic")


def _curvatures(spectrum: Sequence[float]) -> np.ndarray:
    curvatures = np.asarray(spectrum, dtype=np.float64)
    if curvatures.ndim != 1 or not curvatures.size or not (np.isfinite(curvatures) & (curvatures >= 0)).all():
        raise InputError(f"spectrum: expected one or more finite curvatures of 0 or more, got {spectrum}.")
    return curvatures
