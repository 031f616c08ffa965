"""How many threads a process may use: set in the environment, before JAX and NumPy start."""

from __future__ import annotations

import os

XLA_ONE_THREAD = ("--xla_cpu_multi_thread_eigen=false",)
"""What keeps single operations of XLA's CPU back end on one thread."""

POOLS = ("NPROC", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""What keeps XLA's own pool (``NPROC``: without it JAX 0.10 takes every core for large products, whatever the flags
say) and the libraries under NumPy and SciPy on one thread."""


def one_thread() -> None:
    """Keep this process and its children on one thread each.

    Many processes of one thread each use a machine better than one process of many on small networks, and
    sums are then taken in one order. It must run before JAX computes for the first time; nothing calls it
    on import. Flags that the user has set stand.
    """
    flags = os.environ.get("XLA_FLAGS", "").split()
    names = {flag.lstrip("-").split("=")[0] for flag in flags}
    flags += [flag for flag in XLA_ONE_THREAD if flag.lstrip("-").split("=")[0] not in names]
    os.environ["XLA_FLAGS"] = " ".join(flags)
    for pool in POOLS:
        os.environ.setdefault(pool, "1")


def cores() -> int:
    """Cores that this process may run on.

    Example:
        >>> cores() >= 1
        True
    """
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
