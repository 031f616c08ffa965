"""Weights from a safetensors file, put where they belong; names and shapes must fit exactly."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from safetensors import SafetensorError, deserialize

from allroads.errors import InputError, nearest_name
from allroads.pfmap.network import Params

PICKLED = (b"PK\x03\x04", b"\x80")
"""How files begin that ``torch.save`` or ``pickle.dump`` wrote; one with a header of 128 bytes begins so too."""
SHOWN = 8
"""Names listed in a message."""
STORED = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2", "I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8", "U64": "uint64",
    "U32": "uint32", "U16": "uint16", "U8": "uint8", "BOOL": "bool", "C64": "complex64",
}  # fmt: skip
"""What the format calls each kind of number."""
_views: Callable[[bytes], list[tuple[str, dict[str, Any]]]] = deserialize


def read_weights(path: str | Path) -> dict[str, np.ndarray]:
    """The arrays of a safetensors file, by name.

    ``bfloat16`` and the formats of 8 bits, in which NumPy cannot compute, become ``float32``: every number stays.

    Raises:
        InputError: If the file is missing or is no safetensors file; a pickle is refused unread.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); give the path of a safetensors file.") from error
    try:
        found = _views(content)
    except (SafetensorError, ValueError, TypeError) as error:
        if content.startswith(PICKLED):
            raise InputError(
                f"{path} is a pickle (as torch.save writes), and opening one runs whatever code it holds, so it is "
                "not opened. Where you trust it, write its state_dict with safetensors.torch.save_file, and give that "
                "file."
            ) from None
        raise InputError(
            f"{path} is not a safetensors file ({error}). Write one with safetensors.torch.save_file or "
            "safetensors.numpy.save_file."
        ) from error
    strange = {view["dtype"]: name for name, view in found if view["dtype"] not in STORED}
    if strange:
        kinds = ", ".join(f"{kind} ({name})" for kind, name in strange.items())
        raise InputError(f"{path} holds numbers of a kind that is not read here: {kinds}. Write them as float32.")
    return {name: _array(view["dtype"], view["shape"], view["data"]) for name, view in found}


def _array(kind: str, shape: Iterable[int], content: bytes) -> np.ndarray:
    array = np.frombuffer(content, jnp.dtype(STORED[kind])).reshape(tuple(shape))
    return array.astype(np.float32) if kind.startswith(("BF", "F8")) else array


def fill_module(module: Any, arrays: Mapping[str, np.ndarray], where: str) -> None:
    """Put arrays into a PyTorch module, parameters and buffers alike.

    Of a parameter that goes by several names, one is enough. The counters of batch norms may be absent.

    Raises:
        InputError: If names or shapes are not those of the module's ``state_dict``.
    """
    from allroads.networks.torch.fill import fill, wanted_shapes

    _check(arrays, wanted_shapes(module, arrays), where)
    fill(module, arrays)


def fill_params(params: Params, arrays: Mapping[str, np.ndarray], where: str) -> Params:
    """The arrays in the structure of ``params``, in the higher of both precisions.

    Raises:
        InputError: If the names are not the paths in ``params``, joined with dots, or a shape or kind differs.

    Example:
        >>> filled = fill_params({"layers": [jnp.zeros(2)]}, {"layers.0": np.array([1.0, 2.0])}, "a file")
        >>> filled["layers"][0].tolist()
        [1.0, 2.0]
    """
    paths, structure = jax.tree_util.tree_flatten_with_path(params)
    leaves = {jax.tree_util.keystr(path, simple=True, separator="."): jnp.asarray(leaf) for path, leaf in paths}
    _check(arrays, {name: leaf.shape for name, leaf in leaves.items()}, where)
    for name, leaf in leaves.items():
        if jnp.issubdtype(leaf.dtype, jnp.floating) and not jnp.issubdtype(arrays[name].dtype, jnp.floating):
            raise InputError(f"{where}: {name} holds {arrays[name].dtype}; expected floating-point numbers.")
    filled = [
        jnp.asarray(arrays[name].astype(jnp.promote_types(leaf.dtype, arrays[name].dtype)))
        for name, leaf in leaves.items()
    ]
    return jax.tree_util.tree_unflatten(structure, filled)


def _check(arrays: Mapping[str, np.ndarray], wanted: Mapping[str, tuple[int, ...]], where: str) -> None:
    missing, unknown = sorted(set(wanted) - set(arrays)), sorted(set(arrays) - set(wanted))
    wrong = [
        f"{name} has shape {tuple(arrays[name].shape)}, expected {shape}"
        for name, shape in wanted.items()
        if name in arrays and tuple(arrays[name].shape) != shape
    ]
    if not (missing or unknown or wrong):
        return
    alike = [name for name in unknown if missing and tuple(arrays[name].shape) == wanted[missing[0]]]
    near = nearest_name(missing[0], alike) if missing else None
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
