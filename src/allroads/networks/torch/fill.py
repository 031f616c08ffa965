"""Arrays put into a PyTorch module, parameters and buffers alike."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import torch

from allroads.networks.torch.arrays import first_names, to_torch


def wanted_shapes(module: torch.nn.Module, names: Collection[str]) -> dict[str, tuple[int, ...]]:
    """Name and shape of each array that the module needs.

    Of an array that goes by several names, those among ``names``. The counters of batch norms, with which nothing
    computes in evaluation mode, are needed only where they are among ``names``.
    """
    first = first_names(module)
    given = {first.get(name, name) for name in names}
    return {
        name: tuple(tensor.shape)
        for name, tensor in module.state_dict().items()
        if name in names or not (first.get(name, name) in given or name.endswith("num_batches_tracked"))
    }


def fill(module: torch.nn.Module, arrays: Mapping[str, Any]) -> None:
    """Put arrays of the names and shapes of :func:`wanted_shapes` into the module."""
    held = module.state_dict()
    with torch.no_grad():
        for name, array in arrays.items():
            held[name].copy_(to_torch(array))
