"""Parameters as named arrays, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from allroads.errors import StoreError

if TYPE_CHECKING:
    import numpy as np

    from allroads.pfmap.network import Network, Params
    from allroads.studies.store import Entry


def named_arrays(params: Params) -> dict[str, np.ndarray]:
    """The leaves of a pytree by their path, joined with dots.

    Raises:
        StoreError: If two leaves come out with one name.

    Example:
        >>> import numpy as np
        >>> sorted(named_arrays({"layers": [{"w": np.ones(2)}, {"w": np.ones(3)}]}))
        ['layers.0.w', 'layers.1.w']
    """
    import jax
    import numpy as np

    leaves = jax.tree_util.tree_leaves_with_path(params)
    named = {jax.tree_util.keystr(path, simple=True, separator="."): np.asarray(leaf) for path, leaf in leaves}
    if len(named) != len(leaves):
        raise StoreError("two parameters have the same name when their path is joined with dots; rename one.")
    return named


def restore(arrays: Mapping[str, np.ndarray], template: Params, where: str) -> Params:
    """Named arrays, which may have more leading axes, in the structure of ``template``.

    Args:
        arrays: What :func:`named_arrays` gave.
        template: Parameters of the network, or their shapes.
        where: What the arrays come from, for the message.

    Raises:
        StoreError: If names or shapes are those of another architecture.

    Example:
        >>> import numpy as np
        >>> restore({"w": np.ones((5, 2))}, {"w": np.zeros(2)}, "a file")["w"].shape
        (5, 2)
    """
    import jax

    paths, structure = jax.tree_util.tree_flatten_with_path(template)
    wanted = {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in paths}
    lead = {array.ndim - wanted[name].ndim for name, array in arrays.items() if name in wanted}
    if set(arrays) != set(wanted) or len(lead) > 1:
        raise _other(arrays, wanted, where)
    axes = lead.pop() if lead else 0
    if any(arrays[name].shape[axes:] != tuple(leaf.shape) for name, leaf in wanted.items()):
        raise _other(arrays, wanted, where)
    return jax.tree_util.tree_unflatten(structure, [arrays[name] for name in wanted])


def _other(arrays: Mapping[str, Any], wanted: Mapping[str, Any], where: str) -> StoreError:
    def listed(named: Mapping[str, Any]) -> str:
        shown = [f"{name} {tuple(leaf.shape)}" for name, leaf in sorted(named.items())]
        return ", ".join(shown[:8]) + (", …" if len(shown) > 8 else "")

    return StoreError(
        f"{where} holds the weights of another architecture. "
        f"Expected: {listed(wanted)}; found: {listed(arrays)}. "
        "Build the network with the options that the cell's header records."
    )


def checkpoint_steps(cell: Entry) -> np.ndarray:
    """The steps of the checkpoints of a stored cell.

    Args:
        cell: The cell, as ``Store.read`` gives it.

    Raises:
        StoreError: If the file is damaged.
    """
    import json

    import numpy as np

    content = cell.file("weights.safetensors")
    length = int.from_bytes(content[:8], "little")
    steps = json.loads(content[8 : 8 + length])["__metadata__"]["checkpoint_steps"]
    return np.array([int(step) for step in steps.split(",")])


def load_params(cell: Entry, network: Network, checkpoint: int | None = None, template: Params = None) -> Params:
    """The parameters of a stored cell.

    Args:
        cell: The cell, as ``Store.read`` gives it.
        network: The network that it belongs to.
        checkpoint: Which checkpoint, ``-1`` the last; ``None``: all of them along a leading axis.
        template: Shapes of the parameters; needed where the network cannot draw a point.

    Raises:
        StoreError: If the file is damaged, or belongs to another architecture.
    """
    import jax

    template = jax.eval_shape(network.init, jax.random.key(0)) if template is None else template
    params = restore(cell.arrays("weights.safetensors"), template, str(cell.path / "weights.safetensors"))
    return params if checkpoint is None else jax.tree.map(lambda leaf: leaf[checkpoint], params)
