"""How alike logits depend on the embeddings of the two residues."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from allroads.checks import check_count
from allroads.errors import InputError
from allroads.pfmap.arrays import as_point
from allroads.pfmap.jaxpr.intervene import Intermediate, evaluate, intermediates
from allroads.pfmap.network import Network
from allroads.pfmap.precision import float64
from allroads.results import Measurement

LOOKUPS = ("gather", "dot_general")
"""Primitives by which tokens become embeddings."""


def gradient_symmetricity(
    network: Network,
    params: Any,
    p: int,
    *,
    paths: Sequence[str] | None = None,
    triples: int | None = 100,
    seed: int = 0,
) -> Measurement:
    """Gradient symmetricity: the mean cosine of ``∂Q_xyz/∂E_x`` and ``∂Q_xyz/∂E_y`` over triples (x, y, z).

    Q is the logit of the answer z to the pair (x, y), and E are the embeddings that the network looks up. A network
    that adds its embeddings has 1, and so has the pizza. The clock multiplies them: the cosine is that of
    ``2π k (x − y) / p``, whose mean over all pairs is 0. Published networks have .99 at uniform attention, and .16 to
    .74 (median .47) at usual attention.

    Args:
        network: It reads two residues ``[N, 2]`` and gives a score an answer ``[N, p]``.
        params: The point.
        p: The modulus.
        paths: The embeddings, as :func:`allroads.pfmap.jaxpr.intermediates` lists them for one example in
            double precision. One intermediate ``[1, 2, d]`` holds both, or two hold one each. By default the first
            lookups of such shapes.
        triples: How many random triples, published: 100; ``None`` for all p³.
        seed: Decides the triples.

    Returns:
        The mean. The error is 1.96 standard errors over the triples, 0 where all are taken. ``stats`` has the number of
        triples, the paths, and how many triples had no gradient and were left out. Without any gradient it is NaN.

    Raises:
        InputError: If the network does not read two residues, or no embedding of each is found.

    When it fails: the gradients are compared coordinate by coordinate. Separate tables may hold the same circle in
    different directions, and the cosine is then that of unlike coordinates. Rectifiers have kinks, at which the
    gradient is that of one side.

    References: [zhong2023]

    Example:
        >>> from allroads.programs.fourier import FourierProgram, compile_fourier
        >>> found = gradient_symmetricity(*compile_fourier(FourierProgram(7, (1, 2))), 7)
        >>> round(found.value, 9)  # a network that adds its embeddings
        1.0
    """
    check_count("p", p, 2)
    check_count("triples", triples, absent=True)
    check_count("seed", seed, 0)
    rng = np.random.default_rng([seed, p])
    every = p**3
    picked = np.arange(every) if triples is None else rng.choice(every, min(triples, every), replace=False)
    x, y, z = np.unravel_index(picked, (p, p, p))
    pairs = np.stack([x, y], axis=1)
    with float64():
        point = as_point(params, network=network)
        try:
            listed = intermediates(network.apply, point, pairs[:1])
            outputs = jax.eval_shape(network.apply, point, pairs[:1]).shape
        except InputError:
            raise
        except Exception as error:
            raise InputError(f"network: expected one that reads two residues [N, 2]; {error}") from error
        if outputs != (1, p):
            raise InputError(f"network: expected scores [N, {p}] of two residues; it gives {outputs} for one pair.")
        chosen = _embeddings(listed, paths)

        def one(pair: Any, answer: Any) -> Any:
            _, seen = evaluate(network.apply, point, pair[None], capture=chosen)

            def score(values: Any) -> Any:
                return evaluate(network.apply, point, pair[None], replace=values)[0][0, answer]

            given = jax.grad(score)(seen)
            both = jnp.stack([given[path].ravel() for path in chosen])
            return both.reshape(2, -1)

        gradients = np.asarray(jax.jit(jax.vmap(one))(jnp.asarray(pairs), jnp.asarray(z)))
    sizes = np.linalg.norm(gradients, axis=2).prod(axis=1)
    moves = sizes > 0
    cosines = gradients.prod(axis=1).sum(axis=1)[moves] / sizes[moves]
    stats = {"triples": len(picked), "without_gradient": int((~moves).sum()), "paths": tuple(chosen)}
    if not moves.any():
        return Measurement(float("nan"), stats=stats)
    spread = float(cosines.std(ddof=1)) if len(cosines) > 1 else 0.0
    width = 0.0 if len(picked) == every else 1.96 * spread / math.sqrt(len(cosines))
    return Measurement(float(cosines.mean()), error=width, stats=stats)


def _embeddings(listed: Sequence[Intermediate], paths: Sequence[str] | None) -> list[str]:
    """One path of both embeddings, ``[1, 2, d]``, or one each, ``[1, d]``."""
    known = {found.path: found for found in listed}
    if paths is not None:
        chosen = [paths] if isinstance(paths, str) else list(paths)
        for path in chosen:
            if path not in known or known[path].steps or "float" not in known[path].dtype:
                raise InputError(f"paths: the network has no intermediate {path!r} of numbers outside loops.")
        sizes = [math.prod(known[path].shape) for path in chosen]
        if (len(chosen) == 1 and sizes[0] % 2 == 0) or (len(chosen) == 2 and sizes[0] == sizes[1]):
            return chosen
        raise InputError("paths: expected one intermediate [1, 2, d] of both embeddings, or two of one size.")
    lookups = [found for found in listed if found.primitive in LOOKUPS and "float" in found.dtype and not found.steps]
    joint = [found for found in lookups if len(found.shape) >= 3 and found.shape[:2] == (1, 2)]
    single = [found for found in lookups if len(found.shape) == 2 and found.shape[0] == 1]
    first = lookups[0] if lookups else None
    if joint and first is joint[0]:
        return [joint[0].path]
    if len(single) > 1 and lookups[:2] == single[:2] and single[0].shape == single[1].shape:
        return [single[0].path, single[1].path]
    raise InputError(
        "the network looks up no embedding of each residue first; give the paths of what stands for them, see "
        "allroads.pfmap.jaxpr.intermediates."
    )
