"""Arrays put into a PyTorch module, parameters and buffers alike."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import torch

from allroads.networks.torch.arrays import COUNTERS, first_names, to_torch
from allroads.networks.torch.names import match_names, with_names


def wanted_shapes(module: torch.nn.Module, names: Collection[str]) -> dict[str, tuple[int, ...]]:
    """Name and shape of each array that the module needs, under the names that are given where those stand for it.

    Of an array that goes by several names, one among ``names`` is enough. Prefixes of wrappers are passed over, and a
    batch norm's counter may be missing.
    """
    held = module.state_dict()
    given = {expected: name for name, expected in match_names(names, held).items()}
    first = first_names(module)
    reached = {first.get(name, name) for name in given}
    return {
        given.get(name, name): tuple(tensor.shape)
        for name, tensor in held.items()
        if name in given or (first.get(name, name) not in reached and not name.endswith(COUNTERS))
    }


def fill(module: torch.nn.Module, arrays: Mapping[str, Any]) -> None:
    """Put arrays of the names and shapes of :func:`wanted_shapes` into the module."""
    held = module.state_dict()
    with torch.no_grad():
        for name, array in with_names(arrays, held).items():
            held[name].copy_(to_torch(array))
