"""Weights from a safetensors file, put where they belong; names and shapes must fit exactly."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from safetensors import SafetensorError
from safetensors.flax import load

from allroads.errors import InputError, nearest_name
from allroads.pfmap.network import Params

PICKLED = (b"PK\x03\x04", b"\x80")
"""How files begin that ``torch.save`` or ``pickle.dump`` wrote."""
SHOWN = 8
"""Names listed in a message."""


def read_weights(path: str | Path) -> dict[str, jax.Array]:
    """The arrays of a safetensors file, by name.

    Raises:
        InputError: If the file is missing or is no safetensors file; a pickle is refused unread.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); give the path of a safetensors file.") from error
    if content.startswith(PICKLED):
        raise InputError(
            f"{path} is a pickle (as torch.save writes), and opening one runs whatever code it holds, so it is not "
            "opened. Where you trust it, write its state_dict with safetensors.torch.save_file, and give that file."
        )
    try:
        return load(content)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} is not a safetensors file ({error}). Write one with safetensors.torch.save_file or "
            "safetensors.numpy.save_file."
        ) from error


def fill_module(module: Any, arrays: Mapping[str, Any], where: str) -> None:
    """Put arrays into a PyTorch module, parameters and buffers alike.

    Of a parameter that goes by several names, one is enough.

    Raises:
        InputError: If names or shapes are not those of the module's ``state_dict``.
    """
    from allroads.networks.torch.fill import fill, wanted_shapes

    _check(arrays, wanted_shapes(module, arrays), where)
    fill(module, arrays)


def fill_params(params: Params, arrays: Mapping[str, Any], where: str) -> Params:
    """The arrays in the structure of ``params``, in its precision or in theirs where that is higher.

    Raises:
        InputError: If the names are not the paths in ``params``, joined with dots, or a shape or kind differs.

    Example:
        >>> filled = fill_params({"layers": [jnp.zeros(2)]}, {"layers.0": jnp.array([1.0, 2.0])}, "a file")
        >>> filled["layers"][0].tolist()
        [1.0, 2.0]
    """
    paths, structure = jax.tree_util.tree_flatten_with_path(params)
    leaves = {jax.tree_util.keystr(path, simple=True, separator="."): jnp.asarray(leaf) for path, leaf in paths}
    _check(arrays, {name: leaf.shape for name, leaf in leaves.items()}, where)
    for name, leaf in leaves.items():
        if jnp.issubdtype(leaf.dtype, jnp.floating) and not jnp.issubdtype(arrays[name].dtype, jnp.floating):
            raise InputError(f"{where}: {name} holds {arrays[name].dtype}; expected floating-point numbers.")
    filled = [arrays[name].astype(jnp.promote_types(leaf.dtype, arrays[name].dtype)) for name, leaf in leaves.items()]
    return jax.tree_util.tree_unflatten(structure, filled)


def _check(arrays: Mapping[str, Any], wanted: Mapping[str, tuple[int, ...]], where: str) -> None:
    missing, unknown = sorted(set(wanted) - set(arrays)), sorted(set(arrays) - set(wanted))
    wrong = [
        f"{name} has shape {tuple(arrays[name].shape)}, expected {shape}"
        for name, shape in wanted.items()
        if name in arrays and tuple(arrays[name].shape) != shape
    ]
    if not (missing or unknown or wrong):
        return
    near = nearest_name(missing[0], unknown) if missing else None
    said = [
        f"Missing: {_listed(missing)}." if missing else "",
        f"Unknown: {_listed(unknown)}." if unknown else "",
        f"Did you mean {near!r} to be {missing[0]!r}?" if near else "",
        f"Shapes: {_listed(wrong, '; ')}." if wrong else "",
    ]
    raise InputError(
        f"{where} holds the weights of another network. {' '.join(filter(None, said))} Expected the names and "
        "shapes of what the factory makes: build it with the options that the weights were trained with."
    )


def _listed(names: Iterable[str], separator: str = ", ") -> str:
    names = list(names)
    return separator.join(names[:SHOWN]) + (f"{separator}and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
