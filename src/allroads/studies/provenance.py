"""What an invocation ran with: versions, machine, threads, the state of the code."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import allroads
from allroads.studies.threads import POOLS, cores

PACKAGES = ("jax", "jaxlib", "numpy", "optax", "equinox", "polars", "safetensors", "torch")
"""Whose versions are recorded, where they are installed."""


def versions() -> dict[str, str]:
    """Versions of Python, allroads and what they rest on.

    Example:
        >>> sorted(versions())[:2]
        ['allroads', 'equinox']
    """
    found = {"python": platform.python_version(), "allroads": allroads.__version__}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def describe_device() -> str:
    """The device that JAX computes on in this process."""
    import jax

    device = jax.devices()[0]
    return f"{device.platform}: {device.device_kind}"


def git_state(folder: Path) -> dict[str, Any] | None:
    """Commit and whether files differ from it; ``None`` where the folder is in no git repository."""

    def ask(*words: str) -> str:
        command = ["git", "-C", str(folder), *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()

    try:
        return {"commit": ask("rev-parse", "HEAD"), "dirty": bool(ask("status", "--porcelain"))}
    except (OSError, subprocess.SubprocessError):
        return None


def now() -> str:
    """The time, UTC, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def gather(engine: str) -> dict[str, Any]:
    """What is known at the start of an invocation.

    Args:
        engine: How the engine calls itself.
    """
    return {
        "started": now(),
        "finished": None,
        "seconds": None,
        "versions": versions(),
        "platform": platform.platform(),
        "cores": cores(),
        "threads": {name: os.environ[name] for name in (*POOLS, "XLA_FLAGS") if name in os.environ},
        "engine": engine,
        "device": None,
        "git": {"allroads": git_state(Path(allroads.__file__).parent), "here": git_state(Path.cwd())},
        "command": shlex.join(sys.argv),
    }
