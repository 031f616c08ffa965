"""What a machine needs for allroads, checked one by one."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from typing import Any

import numpy as np

from allroads.compiled import cache_folder
from allroads.studies.threads import POOLS, cores

CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
"""Names under which Chromium is installed."""
EXACT = 1e-5
"""Relative error of a product of single precision up to which it is what it says; its rounding gives 1e-7."""


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: What it is.
        found: What was found.
        problem: What is wrong with it, empty where nothing is.
        remedy: What to do about it.
    """

    name: str
    found: str
    problem: str = ""
    remedy: str = ""


def examine() -> list[Check]:
    """All checks, in the order in which they are shown."""
    return [_python(), _package("allroads"), _jax(), _products(), _torch(), _threads(), _cache(), _chromium()]


def _python() -> Check:
    return Check("python", f"{platform.python_version()} on {platform.platform()}")


def _package(name: str) -> Check:
    return Check(name, importlib.metadata.version(name))


def _jax() -> Check:
    try:
        import jax

        devices = ", ".join(f"{device.platform}:{device.id} {device.device_kind}" for device in jax.devices())
        build = f"jax {jax.__version__}, jaxlib {importlib.metadata.version('jaxlib')}; {devices}"
        total = float(jax.numpy.arange(4).sum())
    except Exception as error:
        return Check("jax", f"{type(error).__name__}: {error}", "JAX does not work.", "Install allroads again.")
    return Check("jax", build, *(() if total == 6 else ("JAX adds wrongly.", "Install jaxlib again.")))


def _products() -> Check:
    """How exactly matrices of single precision are multiplied; some accelerators keep ten bits by default."""
    left, right = np.random.default_rng(0).normal(size=(2, 128, 128)).astype("f4")
    exact = left.astype(float) @ right.astype(float)
    try:
        error = float(np.abs(_product(left, right) - exact).max() / np.abs(exact).max())
    except Exception as failure:
        told = f"{type(failure).__name__}: {failure}"
        return Check("products", told, "JAX cannot multiply matrices.", "See jax above; else install jaxlib again.")
    found = f"single precision is off by {error:.0e}"
    if error < EXACT:
        return Check("products", found)
    return Check(
        "products",
        found,
        "Products of single precision are rounded to ten bits or fewer; kernels and gradients inherit that.",
        "Set JAX_DEFAULT_MATMUL_PRECISION=highest, or work inside allroads.float64().",
    )


def _product(left: Any, right: Any) -> Any:
    import jax.numpy as jnp

    return np.asarray(jnp.asarray(left) @ jnp.asarray(right))


def _torch() -> Check:
    if importlib.util.find_spec("torch") is None:
        return Check("torch", "not installed; needed for PyTorch modules alone: pip install 'allroads[torch]'")
    # In a process of its own: this one stays free of PyTorch, and a broken build cannot take it down.
    asked = [sys.executable, "-c", "import torch; print(torch.__version__, torch.version.cuda or 'none')"]
    told = subprocess.run(asked, capture_output=True, text=True, check=False)
    if told.returncode:
        reason = (told.stderr.strip().splitlines() or ["it ended without a word"])[-1]
        return Check("torch", reason, "PyTorch is installed and broken.", "Install it again.")
    version, cuda = told.stdout.split()[-2:]
    if tuple(int(part) for part in version.split("+")[0].split(".")[:2]) < (2, 6):
        return Check("torch", version, "from_torch needs PyTorch 2.6 or newer.", "pip install 'allroads[torch]'")
    return Check("torch", f"{version}, CUDA {cuda}")


def _threads() -> Check:
    chosen = [f"{name}={os.environ[name]}" for name in (*POOLS, "XLA_FLAGS") if os.environ.get(name)]
    return Check("threads", f"{cores()} cores; {', '.join(chosen) or 'no limits set: `allroads run` sets its own'}")


def _cache() -> Check:
    folder = cache_folder()
    if folder is None:
        return Check("cache", "off: ALLROADS_CACHE says so")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        remedy = "Set ALLROADS_CACHE to a folder that can be written to."
        return Check("cache", str(folder), f"It cannot be written to ({error.strerror}).", remedy)
    return Check("cache", f"{folder} ({shutil.disk_usage(folder).free / 2**30:.0f} GiB free)")


def _chromium() -> Check:
    found = next((path for path in map(shutil.which, CHROMIUM) if path), None)
    return Check("chromium", found or "not found; needed by the browser test alone: apt-get install chromium")
