"""What a recipe names, built: its target, its network, its precision."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from allroads.errors import InputError

if TYPE_CHECKING:
    from allroads.studies.plan import Recipe


def precision(name: str) -> contextlib.AbstractContextManager[None]:
    """The precision ``float32`` or ``float64`` inside a ``with`` block."""
    from allroads.pfmap.precision import float64

    return float64() if name == "float64" else contextlib.nullcontext()


def build_target(recipe: Recipe) -> Any:
    """The target.

    Raises:
        InputError: If its data are not those that the study was started with.
    """
    target = recipe.target.build()
    if target.fingerprint() != recipe.fingerprint:
        raise InputError(
            f"the target {recipe.target.kind!r} gives other data here than where the study was started; "
            "make it depend on its options alone."
        )
    return target


def built(recipe: Recipe) -> tuple[Any, Any]:
    """The target and the network."""
    target = build_target(recipe)
    return target, recipe.architecture.build(target.interface)
