"""What a recipe names, built: its target, its network, its precision."""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from typing import TYPE_CHECKING

from allroads.errors import InputError
from allroads.studies.canonical import canonical
from allroads.studies.parts import RecordedNetwork

if TYPE_CHECKING:
    from allroads.pfmap.network import Network, Params
    from allroads.studies.recipes import Recipe
    from allroads.targets.target import Target

KEPT = 16
"""Targets that a process keeps."""

_targets: OrderedDict[str, Target] = OrderedDict()


def precision(name: str) -> contextlib.AbstractContextManager[None]:
    """The precision ``float32`` or ``float64`` inside a ``with`` block."""
    from allroads.pfmap.precision import float64

    return float64() if name == "float64" else contextlib.nullcontext()


def build_target(recipe: Recipe) -> Target:
    """The target; one that was built lately is the same object.

    Raises:
        InputError: If its data are not those that the study was started with.
    """
    key = f"{recipe.fingerprint} {canonical(recipe.target.identity)}"
    if key not in _targets:
        target: Target = recipe.target.build()
        if target.fingerprint() != recipe.fingerprint:
            raise InputError(
                f"the target {recipe.target.kind!r} gives other data here than where the study was started; "
                "make it depend on its options alone."
            )
        _targets[key] = target
        while len(_targets) > KEPT:
            _targets.popitem(last=False)
    return _targets[key]


def built(recipe: Recipe) -> tuple[Target, Network]:
    """The target and the network."""
    target = build_target(recipe)
    network: Network = recipe.architecture.build(target.interface)
    return target, network


def parameter_shapes(recipe: Recipe, network: Network) -> Params:
    """The shapes of the network's parameters, a pytree of ``jax.ShapeDtypeStruct``."""
    import jax

    if isinstance(recipe.architecture, RecordedNetwork):
        return recipe.architecture.evaluated(build_target(recipe).interface)[1]
    return jax.eval_shape(network.init, jax.random.key(0))
