"""How many members run side by side: what fits a cache or a device, and less where its memory ends."""

from __future__ import annotations

import math
import warnings
from typing import Any

import jax

from allroads.errors import MemoryBudgetError
from allroads.explorers.devices import is_out_of_memory, own_devices
from allroads.explorers.explorer import Explorer
from allroads.memory import memory_left, tree_bytes
from allroads.pfmap.jaxpr import intermediate_bytes
from allroads.pfmap.network import Network, Params

CACHE_BYTES = 2**21
"""Working set that one pack aims at: the second-level cache of one core is 1 to 2 MiB on present machines."""
MOST, MOST_ON_ACCELERATOR = 64, 4096
"""Members of a pack at most by default. On a GPU a member-step of a small network takes 3.4 times as long in packs of
64 as in packs of 8,192, and 1.1 times as long in packs of 1,024 (``benchmarks/results/accelerator.json``)."""
DEVICE_SHARE = 0.5
"""Share of an accelerator's free memory that a pack aims at."""


def pack_width(
    network: Network, params: Params, examples: Any, most: int | None = None, *, members: int = 0, recorded: int = 0
) -> int:
    """How many members run side by side on one device.

    On a CPU as many as fit the cache (a power of two), whatever their number. A pack that is not full is filled up, so
    a member goes through the same compiled arithmetic however many run beside it. The working set of one member is
    estimated as its parameters four times (point, gradient, two moments) and every array that its forward pass makes.

    On an accelerator, which wants many, as many as half of its free memory holds: by default the power of two from 64
    to 4,096 that holds the members; with ``most`` up to so many, whatever their number.

    Args:
        network: The network.
        params: One point, or its shapes.
        examples: The inputs that one step looks at, or their shapes.
        most: Members at most. Default 64 on a CPU.
        members: How many there are in all, where that is known.
        recorded: Bytes that a member leaves on the device until its pack is done.

    Example:
        Eight 7-40-40-1 networks on 128 inputs; of 2 to 32, eight were measured to be the fastest:

        >>> from allroads.networks.mlp import mlp
        >>> network = mlp((7,), 1, widths=(40, 40))
        >>> pack_width(network, network.init(jax.random.key(0)), jax.ShapeDtypeStruct((128, 7), "float32"))
        8
    """
    devices = own_devices()
    member = 4 * tree_bytes(params) + intermediate_bytes(jax.make_jaxpr(network.apply)(params, examples).jaxpr)
    if devices[0].platform == "cpu":
        return min(most or MOST, _power_of_two(CACHE_BYTES / member))
    own = -(-members // len(devices))  # members of each device
    wanted = most or min(max(MOST, 1 << max(own - 1, 0).bit_length()), MOST_ON_ACCELERATOR)
    left = min((left for left in map(memory_left, devices) if left is not None), default=None)
    return wanted if left is None else min(wanted, _power_of_two(DEVICE_SHARE * left / (member + recorded)))


def _power_of_two(number: float) -> int:
    """The largest that is not above a number, 1 at least."""
    return 1 << int(max(0.0, math.log2(max(number, 1.0))))


def narrower(error: Exception, explorer: Explorer, width: int) -> int:
    """Half of a width for which a device has no memory, said in a warning; any other error is raised.

    Args:
        error: What the device said.
        explorer: Whose members run.
        width: How many of them ran side by side.

    Raises:
        MemoryBudgetError: If it was one member, or a population whose members belong together.
    """
    if not is_out_of_memory(error):
        raise error
    if explorer.mixes or width == 1:
        raise MemoryBudgetError(
            f"explore: the device has no memory for {f'the {width} members of one population' if width > 1 else 'one'}"
            f"{'' if width > 1 else ' member'}. Use smaller batches, fewer probes or records, fewer checkpoints, or "
            f"free its memory. It said: {str(error).splitlines()[0][:200]}"
        ) from error
    warnings.warn(
        f"explore: the device has no memory for {width} members side by side; going on with packs of {width // 2}. "
        f"Recording(pack={width // 2}) asks for these at once.",
        RuntimeWarning,
        stacklevel=2,
    )
    return width // 2
