"""How the neurons of a network of two residues carry out a sum: between the pizza and the clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from allroads.errors import InputError
from allroads.pfmap.jaxpr.intervene import evaluate
from allroads.pfmap.network import Network
from allroads.pfmap.precision import float64
from allroads.programs.fourier.circularity import circularity
from allroads.programs.fourier.distance_irrelevance import distance_irrelevance
from allroads.programs.fourier.gradient_symmetricity import gradient_symmetricity
from allroads.programs.fourier.pairs import why_not_pairs
from allroads.programs.subject import Subject, subject_of
from allroads.targets.target import Target


@dataclass(frozen=True)
class NeuronLevel:
    """Three published measures of how neurons carry out a sum modulo p.

    This is a position on a path and no label of an algorithm. The pizza's and the clock's networks compute one Fourier
    program, and the manifolds of their neurons are equivalent (arXiv 2512.25060). Programs are told apart by
    ``extract``, which says frequencies and factors.

    Args:
        symmetricity: Gradient symmetricity.
        symmetricity_error: 1.96 standard errors of it over the random triples.
        irrelevance: Distance irrelevance; NaN where the logit of the right answer is one constant.
        circularity: Of the embedding of the first residue; NaN where it varies along too few directions.
    """

    symmetricity: float
    symmetricity_error: float
    irrelevance: float
    circularity: float

    @property
    def position(self) -> float:
        """``(1 − symmetricity + irrelevance) / 2``, cut to [0, 1]: 0 is the pizza's value, 1 that of the clock.

        NaN where the irrelevance is.

        The pizza has symmetricity 1 and irrelevance 0. The clock has symmetricity 0, and irrelevance 1 of whatever
        small part of x + y is in its logits. Medians of published networks lie at .13 (uniform attention) and .68
        (usual attention), and at .17 and .53 for α from .4 to .6 and from .6 to .9.

        Example:
            >>> NeuronLevel(0.994, 0.0, 0.172, 0.998).position
            0.089
        """
        return float(np.clip((1 - self.symmetricity + self.irrelevance) / 2, 0.0, 1.0).round(12))


def neuron_level(
    network: Network, params: Any, target: Target, *, triples: int | None = 100, seed: int = 0
) -> NeuronLevel:
    """The measures of a network at a point, its answers being those of the target.

    Args:
        network: The network; it looks up an embedding of each residue.
        params: The point.
        target: Sums or other answers to all pairs of residues; they say which logit is the right answer's.
        triples: Random triples of the gradient symmetricity; ``None`` for all.
        seed: Decides them.

    Returns:
        The measures, with the conventions of their own functions. The embedding is that of the first residue.

    Raises:
        InputError: If the network does not map two residues to scores, the pairs were not enumerated, or there are no
            embeddings.

    When it fails: see the three measures. Each of them takes nearly every value for both kinds of published networks,
    so that neighbours in position may differ in their neurons. They say something only of networks with a Fourier
    program, or nearly: untrained networks, and those that learned by heart, lie at .71 to .85 too.

    References: [zhong2023]

    Example:
        >>> from allroads.programs.fourier import FourierProgram, compile_fourier
        >>> from allroads.targets import build_target
        >>> found = neuron_level(*compile_fourier(FourierProgram(7, (1, 2))), build_target("modular", p=7))
        >>> round(found.symmetricity, 6), found.irrelevance  # it adds its embeddings, and its logits are a clock's
        (1.0, nan)
    """
    subject = subject_of(network, params, target)
    why, domain = why_not_pairs(subject, "residues"), target.full
    if why is not None or domain is None:
        raise InputError(f"target: {why or 'its pairs were not enumerated'}; give one of all pairs of residues.")
    p = target.interface.outputs
    labels = domain.labels.argmax(axis=1) if subject.one_hot else domain.labels
    scores = np.empty((p, p))
    scores[tuple(np.asarray(domain.inputs).T)] = subject.outputs(domain.inputs)[np.arange(p * p), labels]
    gradients = gradient_symmetricity(network, params, p, triples=triples, seed=seed)
    return NeuronLevel(
        gradients.value,
        float(gradients.error or 0.0),
        distance_irrelevance(scores),
        _circles(subject, gradients.stats["paths"][0], p),
    )


def _circles(subject: Subject, path: str, p: int) -> float:
    """Circularity of the first residue's embedding, which is in the first half of an intermediate of one pair."""

    def embedded(x: Any) -> Any:
        _, seen = evaluate(subject.network.apply, subject.params, jnp.stack([x, 0 * x])[None], capture=[path])
        return seen[path][0, 0].ravel() if seen[path].ndim > 2 else seen[path].ravel()

    with float64():
        table = np.asarray(jax.jit(jax.vmap(embedded))(jnp.arange(p)))
    try:
        return circularity(table)
    except InputError:  # fewer than four directions
        return float("nan")
