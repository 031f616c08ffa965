"""What the map shows at one point, target by target."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from allroads.explorers.explorer import Explorer
from allroads.paths.learnability.hop import Hop, linearised
from allroads.paths.learnability.hops import DEPTH, HOPS, followed, hops_of
from allroads.paths.learnability.pace import own_steps
from allroads.paths.learnability.response import compiled_response
from allroads.paths.learnability.spectrum import BATCH, KRYLOV, ResidualSpectrum, compiled_krylov, gauss_rule
from allroads.pfmap.losses import PerExampleLoss, resolve_loss
from allroads.pfmap.network import Network, Params

ROAD_REGULARISATION = 1e-3


@dataclass(frozen=True)
class Sight:
    """What the map shows of one target at one point.

    Args:
        loss: The loss there.
        level: Share of the residual's square at which the loss is at its goal; 1 or more where it is already.
        spectrum: Of the residual under the explorer's kernel here: contractions a step.
        hops: The way to the goal under the explorer's rates, the first from here.
        steps: Steps of the explorer to its goal by the kernel here: the linearised hitting time.
        steps_ahead: Along all hops.
        size: Square of the parameters' length in the explorer's metric, ``Σ_l ‖θ_l‖² / ρ_l``, in units of ``road``.
    """

    loss: float
    level: float
    spectrum: ResidualSpectrum
    hops: tuple[Hop, ...]
    steps: float
    steps_ahead: float
    size: float

    @property
    def road(self) -> float:
        """Length of the linear solution over that of the parameters, ``√(rᵀK⁻¹r / ‖θ‖²)``, in the explorer's metric.

        Rates below a thousandth of the largest are regularised.
        """
        top = float(self.spectrum.nodes.max(initial=0.0))
        if top <= 0 or self.size <= 0:
            return float("inf")
        return float(np.sqrt(self.spectrum.energy(ROAD_REGULARISATION * top) / self.size))


def look(
    network: Network,
    loss: str | PerExampleLoss,
    explorer: Explorer,
    points: Params,
    inputs: Any,
    labels: Any,
    goals: np.ndarray,
    *,
    krylov: int = KRYLOV,
    hops: int = HOPS,
    seed: int = 0,
) -> list[Sight]:
    """Look at every target from a point of its own.

    Args:
        network: The network.
        loss: Name or callable.
        explorer: Whose learning rates turn the kernel into rates a step.
        points: One a target, leaves ``[T, …]``; see :func:`repeated`.
        inputs: ``[N, …]``.
        labels: ``[T, N, …]``.
        goals: Mean loss at which a target is learned, ``[T]``.
        krylov: Lanczos steps of the spectrum.
        hops: Most of them.
        seed: Of the explorer's key.
    """
    count = len(labels)
    points, labels, goals = _padded((points, np.asarray(labels), np.asarray(goals)))
    points, inputs, labels = jax.tree.map(jnp.asarray, (points, inputs, labels))
    residuals, gradients = compiled_first(network, loss)(points, inputs, labels)
    key = jax.random.key(seed)
    rates = compiled_response(explorer)(points, gradients, key)
    most = residuals[0].size
    here = compiled_krylov(network, min(krylov, most))(points, inputs, residuals, rates)
    args = points, inputs, labels, jnp.asarray(goals, residuals.dtype), (gradients, rates), key
    found = followed(network, loss, explorer, *args, min(DEPTH, most), hops)
    here, found = jax.tree.map(lambda part: np.asarray(part)[:count], (here, found))
    ways = hops_of(found, goals[:count], len(inputs))
    spectra = [
        gauss_rule(*row).scaled(hops[0].curvature / len(inputs))
        for *row, hops in zip(*here, found.squares[:, 0], ways, strict=True)
    ]
    leaves = np.array([_squares(leaf) for leaf in jax.tree.leaves(points)])[:, :count]
    rates = np.array(jax.tree.leaves(rates), np.float64)[:, :count]
    inverse = np.divide(1.0, rates, out=np.zeros_like(rates), where=rates > 0)
    curvatures = np.array([own[0].curvature for own in ways])
    # The spectrum is of A h/N, and the linear solution is for r/h.
    sizes = (leaves * inverse).sum(axis=0) * len(inputs) * curvatures
    one = jax.tree.map(lambda leaf: leaf[0], points)
    return sights(explorer, one, found.losses[:, 0], spectra, ways, sizes)


def sights(
    explorer: Explorer,
    params: Params,
    losses: Any,
    spectra: list[ResidualSpectrum],
    ways: list[tuple[Hop, ...]],
    sizes: Any,
) -> list[Sight]:
    """Sights of some targets from what was measured; the explorer and the shapes of ``params`` give the steps."""
    straight = [(linearised(hops[0], spectrum),) for spectrum, hops in zip(spectra, ways, strict=True)]
    steps = own_steps(explorer, params, [*straight, *ways])
    columns = losses, spectra, ways, *np.split(steps, 2), sizes
    return [
        Sight(float(loss), hops[0].level, spectrum, hops, float(own), float(beyond), float(size))
        for loss, spectrum, hops, own, beyond, size in zip(*columns, strict=True)
    ]


def plain_spectra(
    network: Network, loss: str | PerExampleLoss, points: Params, inputs: Any, labels: Any, krylov: int = KRYLOV
) -> list[ResidualSpectrum]:
    """The residual of every target under the kernel ``K = J Jᵀ``, in the units of the outputs."""
    count = len(labels)
    points, labels = _padded((points, np.asarray(labels)))
    inputs, labels = jnp.asarray(inputs), jnp.asarray(labels)
    residuals = compiled_first(network, loss)(points, inputs, labels)[0]
    ones = jax.tree.map(lambda leaf: jnp.ones(len(labels), leaf.dtype), points)
    found = compiled_krylov(network, min(krylov, residuals[0].size))(points, inputs, residuals, ones)
    parts = (np.asarray(part)[:count] for part in found)
    return [gauss_rule(*row) for row in zip(*parts, _squares(residuals)[:count], strict=True)]


def repeated(params: Params, count: int) -> Params:
    """The same point for each of ``count`` targets, leaves ``[count, …]``."""
    return jax.tree.map(lambda leaf: np.broadcast_to(np.asarray(leaf), (count, *np.shape(leaf))), params)


def _padded(arrays: Any) -> Any:
    """A leading axis filled up to whole batches with copies of its last entry, so that batches have one shape."""
    count = len(jax.tree.leaves(arrays)[0])
    rows = np.minimum(np.arange(-(-count // BATCH) * BATCH), count - 1)
    return jax.tree.map(lambda leaf: np.asarray(leaf)[rows], arrays)


def _squares(array: Any) -> np.ndarray:
    """Squared norm of every entry of the leading axis."""
    array = np.asarray(array, np.float64)
    return np.square(array).reshape(len(array), -1).sum(axis=1)


@lru_cache(maxsize=32)
def compiled_first(network: Network, loss: str | PerExampleLoss) -> Any:
    """The compiled ``(points, inputs, labels) -> (residuals −∂Σℓ/∂f, gradients of the mean loss)``."""
    per_example = resolve_loss(loss)

    def one(params: Params, inputs: Any, labels: Any) -> tuple[Any, Params]:
        outputs, pull = jax.vjp(lambda point: network.apply(point, inputs), params)
        residual = -jax.grad(lambda f: per_example(f, labels).sum())(outputs)
        return residual, pull(-residual / len(inputs))[0]

    def all_targets(points: Params, inputs: Any, labels: Any) -> tuple[Any, Params]:
        return jax.lax.map(lambda own: one(own[0], inputs, own[1]), (points, labels), batch_size=BATCH)

    return jax.jit(all_targets)
