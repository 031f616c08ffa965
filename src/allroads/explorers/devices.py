"""The devices that packs are shared out among, and what they say where their memory ends.

Members of different packs know nothing of each other, so each device runs whole packs: the program that a single device
runs, at the same width. One program for all devices (``jax.shard_map``) is compiled once and not once per device, but
XLA then rounds otherwise, and runs that amplify rounding end elsewhere; ``benchmarks/devices.py`` measures both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any, TypeVar

import jax

Task = TypeVar("Task")
Found = TypeVar("Found")

FULL = ("RESOURCE_EXHAUSTED", "Out of memory", "out of memory")
"""What XLA says where a device has no memory left."""


def own_devices() -> tuple[Any, ...]:
    """The devices of this process, or the one that ``jax.default_device`` names.

    Example:
        >>> with jax.default_device(jax.devices("cpu")[0]):
        ...     len(own_devices())
        1
    """
    chosen: Any = jax.config.values["jax_default_device"]
    if chosen is None:
        return tuple(jax.local_devices())
    return (jax.local_devices(backend=chosen)[0] if isinstance(chosen, str) else chosen,)


def accelerators() -> int:
    """How many accelerators this process computes on, each of which wants many members side by side; 0 on a CPU."""
    devices = own_devices()
    return 0 if devices[0].platform == "cpu" else len(devices)


def over_devices(run: Callable[[Task, Any], Found], tasks: Sequence[Task], devices: Sequence[Any]) -> Iterator[Found]:
    """What ``run`` gives for each task, in order; each task on one of the devices, the next that is free.

    Precision and precision of products are those of the caller. A single device needs no thread.

    Args:
        run: ``run(task, device)``, inside ``jax.default_device``; it waits for its result. Of a single device,
            ``device`` is ``None``.
        tasks: The tasks.
        devices: One or more.

    Example:
        >>> list(over_devices(lambda number, device: number**2, [1, 2, 3], own_devices()))
        [1, 4, 9]
    """
    if len(devices) < 2:
        yield from (run(task, None) for task in tasks)
        return
    free: SimpleQueue[Any] = SimpleQueue()
    for device in devices:
        free.put(device)
    double, products = jax.config.values["jax_enable_x64"], jax.config.values["jax_default_matmul_precision"]

    def work(task: Task) -> Found:
        device = free.get()
        try:
            with jax.default_device(device), jax.enable_x64(double), jax.default_matmul_precision(products):
                return run(task, device)
        finally:
            free.put(device)

    with ThreadPoolExecutor(len(devices), thread_name_prefix="allroads-device") as threads:
        futures = [threads.submit(work, task) for task in tasks]
        try:
            for future in futures:
                yield future.result()
        finally:
            for future in futures:
                future.cancel()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that a device has no memory left.

    Example:
        >>> is_out_of_memory(RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 8 bytes."))
        True
    """
    return any(words in str(error) for words in FULL)
