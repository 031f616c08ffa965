"""The memory that is there: of an accelerator, or of the machine within the limits of its control groups."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import jax

from allroads.errors import MemoryBudgetError


def memory_left(device: Any = None) -> int | None:
    """Bytes that this process may still take; ``None`` where the system does not say.

    Args:
        device: A device of JAX. Of an accelerator it is what its allocator has left; of the CPU, and by default, what
            the machine has available, or less where a control group, such as a container's, allows less.

    Example:
        >>> left = memory_left()
        >>> left is None or left > 0
        True
    """
    if device is not None and device.platform != "cpu":
        stats = device.memory_stats() or {}
        if "bytes_limit" not in stats:
            return None
        return int(stats["bytes_limit"] - stats.get("bytes_in_use", 0))
    found = [left for left in (_available(Path("/proc/meminfo")), *_groups(Path("/"))) if left is not None]
    return min(found, default=None)


def stated(needed: float, left: int | None) -> str:
    """What a call says before it takes memory.

    Example:
        >>> stated(3 * 2**30, 8 * 2**30)
        'about 3.0 GiB of 8.0 GiB that are left'
    """
    told = f"about {gib(needed)}"
    return told if left is None else f"{told} of {gib(left)} that are left"


def check_left(what: str, needed: float, left: int | None, remedy: str) -> None:
    """Refuse, before anything is computed, what needs more memory than there is.

    Args:
        what: What needs it, such as ``"4 chains of 10,000,000 parameters"``.
        needed: Bytes.
        left: :func:`memory_left`.
        remedy: What to change, as a sentence.

    Raises:
        MemoryBudgetError: With both numbers and the remedy.

    Example:
        >>> check_left("a matrix", 2**31, 2**30, "Take a smaller one.")
        Traceback (most recent call last):
        allroads.errors.MemoryBudgetError: a matrix: needs about 2.0 GiB of 1.0 GiB that are left. Take a smaller one.
    """
    if left is not None and needed > left:
        raise MemoryBudgetError(f"{what}: needs {stated(needed, left)}. {remedy}")


def tree_bytes(tree: Any) -> int:
    """Bytes of all arrays of a pytree, or of their shapes.

    Example:
        >>> tree_bytes({"w": jax.ShapeDtypeStruct((2, 3), "float32"), "b": jax.ShapeDtypeStruct((3,), "float32")})
        36
    """
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def gib(count: float) -> str:
    """Bytes in GiB, or in MiB below a tenth of one.

    Example:
        >>> gib(2**31), gib(2**24)
        ('2.0 GiB', '16 MiB')
    """
    return f"{count / 2**30:,.1f} GiB" if count >= 2**30 / 10 else f"{count / 2**20:,.3g} MiB"


def _available(meminfo: Path) -> int | None:
    """``MemAvailable``."""
    for line in _text(meminfo).splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def _groups(root: Path) -> list[int | None]:
    """What each control group of this process has left, of either version; files that are cached can be given back."""
    found: list[int | None] = []
    for line in _text(root / "proc/self/cgroup").splitlines():
        number, controllers, path = line.split(":", 2)
        if number == "0":
            base, limit, used, cached = root / "sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"
        elif "memory" in controllers.split(","):
            base = root / "sys/fs/cgroup/memory"
            limit, used, cached = "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
        else:
            continue
        own = base / path.strip("/")
        for folder in (own, *own.parents):
            if folder == base.parent:
                break
            allowed, taken = _text(folder / limit).strip(), _text(folder / used).strip()
            if allowed.isdigit() and taken.isdigit():
                stat = dict(part.split() for part in _text(folder / "memory.stat").splitlines() if part)
                found.append(max(0, int(allowed) - int(taken) + int(stat.get(cached, 0))))
    return found


def _text(path: Path) -> str:
    """A file's text; empty where it cannot be read."""
    try:
        return path.read_text("ascii", errors="replace")
    except OSError:
        return ""
