"""Moves that leave the distribution of an initialisation as it is, though only draws of it are known."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import ks_2samp

from allroads.checks import check_choice
from allroads.errors import InputError
from allroads.pfmap.network import Network, Params
from allroads.progress import progress

Init = Callable[[Any], Params]
"""``init(key) -> params``."""
PRIORS = ("gaussian", "independent", "arrays")
"""What may be known of an initialisation, from the most to the least."""
DRAWS = 2**14
"""Draws on each side of a test."""
NUMBERS = 2**28
"""Drawn numbers on each side of a test at most; larger networks are tested on fewer draws."""
FALSE_ALARM = 1e-7
"""Chance that one statistic refuses what is right."""
_BATCH = 64


def invariant_move(key: Any, params: Params, scale: Any, init: Init, prior: str, centre: Params) -> Params:
    """A move of one point that is reversible with respect to the distribution μ of an initialisation.

    - ``"gaussian"``: ``c + √(1 − s²) (θ − c) + s (θ' − c)`` with a new draw θ' (preconditioned Crank–Nicolson
      [cotter2013]). It is reversible where μ is normal with mean c, whatever its covariance.
    - ``"independent"``: each entry is replaced by that of a new draw with probability s, and one at least. It is
      reversible where the entries are independent, whatever their laws.
    - ``"arrays"``: each array as a whole, and one at least. It is reversible where arrays are independent.

    Args:
        key: Decides the move.
        params: θ.
        scale: s in (0, 1]; at 1 the move forgets θ.
        init: Draws from μ.
        prior: One of ``PRIORS``.
        centre: c.
    """
    drawn, chosen, forced = jax.random.split(key, 3)
    fresh = jax.tree.map(lambda new, old: new.astype(old.dtype), init(drawn), params)
    if prior == "gaussian":
        kept = jnp.sqrt(jnp.maximum(1 - scale**2, 0.0))
        return jax.tree.map(
            lambda old, new, c: (c + kept * (old - c) + scale * (new - c)).astype(old.dtype),
            params,
            fresh,
            jax.tree.map(lambda c, old: jnp.asarray(c, old.dtype), centre, params),
        )
    leaves, structure = jax.tree.flatten(params)
    sizes = [leaf.size if prior == "independent" else 1 for leaf in leaves]
    total = sum(sizes)
    redrawn = jax.random.uniform(chosen, (total,)) < scale
    redrawn |= jnp.arange(total) == jax.random.randint(forced, (), 0, total)
    begins = np.cumsum([0, *sizes])
    moved = []
    for leaf, new, low, high in zip(leaves, jax.tree.leaves(fresh), begins, begins[1:], strict=False):
        flags = redrawn[low:high].reshape(leaf.shape) if prior == "independent" else redrawn[low]
        moved.append(jnp.where(flags, new, leaf))
    return jax.tree.unflatten(structure, moved)


def known_of(network: Network, prior: str | None, shown: bool = True) -> tuple[str, Params]:
    """Which moves leave the initialisation as it is, and its mean where it is normal; found by tests on draws.

    A kind is taken where pairs of draws that are mixed by its move have the distribution of draws. That is tested by
    Kolmogorov and Smirnov on sums, largest entries, norms, random projections and single entries of all arrays. The
    first call for a network takes seconds, or minutes where draws are slow. The answer is kept.

    Args:
        network: Its ``init`` is tested.
        prior: The kind to test; default the first of ``PRIORS`` that passes.
        shown: Whether a line says so where the test takes more than two seconds.

    Raises:
        UnknownNameError: If there is no such kind.
        InputError: If no kind passes.

    When it fails: a dependence that none of these statistics shows is not found.

    References: [cotter2013]

    Example:
        >>> known_of(Network(lambda key: jax.random.normal(key, (3,)), lambda w, x: x @ w), None)[0]
        'gaussian'
        >>> known_of(Network(lambda key: jax.random.uniform(key, (3,)), lambda w, x: x @ w), None)[0]
        'independent'
    """
    if prior is not None:
        check_choice("prior", prior, PRIORS)
    kind, centre, worst = _tested(network.init, prior, shown)
    if kind is not None:
        return kind, centre
    what = "no kind of prior" if prior is None else f"prior={prior!r}"
    raise InputError(
        f"network {network.name!r}: {what} describes its init, since mixed draws differ from draws (p = {worst:.1g}). "
        "Moves between points then have no known equilibrium. Use an init whose arrays are drawn independently, or "
        "sample by rejection, which needs draws alone."
    )


def _tested(init: Init, prior: str | None, shown: bool) -> tuple[str | None, Params, float]:
    with progress("explore", shown, bar=False) as say:
        say("testing which moves leave the initialisation as it is")
        return _known(init, prior)


@lru_cache(maxsize=64)
def _known(init: Init, prior: str | None) -> tuple[str | None, Params, float]:
    """The kind that passes, the centre, and the least p-value of the last kind that was tested."""
    with jax.ensure_compile_time_eval():
        size = sum(leaf.size for leaf in jax.tree.leaves(init(jax.random.key(0))))
        if not size:
            raise InputError("network: it has no parameters, so there is nothing to move.")
        centre = jax.tree.map(np.asarray, _centre(init))
        numbers = jnp.arange(min(DRAWS, max(256, NUMBERS // size)))
        drawn, worst = np.asarray(_statistics(init, "", centre, numbers, 0)), 1.0
        for kind in PRIORS if prior is None else (prior,):
            worst = _least(drawn, np.asarray(_statistics(init, kind, centre, numbers, 1)))
            if worst >= FALSE_ALARM:
                return kind, centre, worst
    return None, centre, worst


def _least(drawn: np.ndarray, mixed: np.ndarray) -> float:
    """The least p-value over all statistics ``[draws, …]``, of a test that both have one distribution."""
    found = 1.0
    for old, new in zip(drawn.T, mixed.T, strict=True):
        if not (np.isfinite(old).all() and np.isfinite(new).all()):
            raise InputError("network: its init draws numbers that are not finite.")
        spread = np.ptp(np.concatenate([old, new]))
        if spread > 1e-5 * max(np.abs(old).max(), np.abs(new).max()):  # else it is constant up to rounding
            step = spread * 1e-6  # what differs by rounding alone is equal
            test: Any = ks_2samp(np.round(old / step), np.round(new / step), method="asymp")
            found = min(found, float(test.pvalue))
    return found


def _centre(init: Init) -> Params:
    """Where an entry is the same in 16 draws, that value; else 0."""
    keys = jax.random.split(jax.random.key(3), 16)
    several = jax.vmap(init)(keys)
    return jax.tree.map(lambda leaf: jnp.where((leaf == leaf[0]).all(0), leaf[0], jnp.zeros_like(leaf[0])), several)


@partial(jax.jit, static_argnums=(0, 1))
def _statistics(init: Init, kind: str, centre: Params, numbers: Any, stream: Any) -> Any:
    """``[draws, statistics]`` of draws, or of mixed pairs of them."""
    root = jax.random.fold_in(jax.random.key(11), stream)

    def one(number: Any) -> Any:
        own, mixing, size = jax.random.split(jax.random.fold_in(root, number), 3)
        params = init(own)
        if kind:
            scale = math.sqrt(0.5) if kind == "gaussian" else jax.random.uniform(size, minval=0.2, maxval=0.8)
            params = invariant_move(mixing, params, scale, init, kind, centre)
        found: list[Any] = []
        for place, leaf in enumerate(jax.tree.leaves(params)):
            flat = leaf.ravel().astype(float)
            signs = np.random.default_rng(place).choice([-1.0, 1.0], flat.size)
            found += [flat.sum(), (flat**2).sum(), jnp.abs(flat).max(), flat @ signs]
            found += [flat[at] for at in sorted({0, flat.size // 2, flat.size - 1})]
            if leaf.ndim > 1:
                rows = (leaf.reshape(leaf.shape[0], -1) ** 2).sum(1), (leaf.reshape(-1, leaf.shape[-1]) ** 2).sum(0)
                found += [part.max() for part in rows]
        whole = jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(params)]).astype(float)
        signs = np.random.default_rng(len(found)).choice([-1.0, 1.0], whole.size)
        return jnp.stack([*found, whole @ signs, (whole**2).sum()])

    return jax.lax.map(one, numbers, batch_size=_BATCH)
