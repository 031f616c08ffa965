"""Compiled programs, kept between processes: most of what a short call costs is XLA compiling."""

from __future__ import annotations

import hashlib
import os
import platform
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

OFF = "off"
"""The value of ``ALLROADS_CACHE`` that keeps nothing."""

SHORTEST = 0.05
"""Seconds: a program that compiled in less is compiled again."""

QUICKLY = {
    "xla_cpu_use_fusion_emitters": False,
    "xla_backend_optimization_level": 1,
    "xla_cpu_parallel_codegen_split_count": 1,
}
"""XLA's options for its older emitters of code, for the least optimisation that computes rightly, and for one part.

Level 0 compiles in a fifth of the time. But on processors with AVX-512 it makes wrong gradients of some layers with
many elementwise functions; ``tests/test_compiled.py`` has one.
"""

LARGEST = 2**30
"""Bytes: where the folder holds more when a process starts to use it, its oldest files are removed, down to half."""


def cache_folder() -> Path | None:
    """Where compiled programs are kept: ``$ALLROADS_CACHE``, else ``allroads`` in the user's cache folder.

    The user's cache folder is ``$XDG_CACHE_HOME``, else ``~/.cache``. ``None`` where ``ALLROADS_CACHE=off``.

    Example:
        >>> cache_folder() is None or isinstance(cache_folder(), Path)
        True
    """
    chosen = os.environ.get("ALLROADS_CACHE")
    if chosen:
        return None if chosen == OFF else Path(chosen)
    usual = os.environ.get("XDG_CACHE_HOME")
    return (Path(usual) if usual else Path("~/.cache").expanduser()) / "allroads"


@cache
def quickly_compiled() -> dict[str, bool | int]:
    """Options of ``jax.jit`` for a program that takes longer to compile than to run.

    XLA takes less than half of its usual time to compile a network's gradient so. What it makes is as exact, and a
    transformer's gradient takes a tenth to a quarter longer.

    Returns:
        ``compiler_options``; empty where this XLA has no such options, and where it compiles for an accelerator, as the
        level would count there too.

    Example:
        >>> import jax
        >>> float(jax.jit(lambda x: 2 * x, compiler_options=quickly_compiled())(3.0))
        6.0
    """
    import jax

    if jax.default_backend() != "cpu":
        return {}
    try:
        jax.jit(lambda: 0, compiler_options=dict(QUICKLY)).lower().compile()
    except jax.errors.JaxRuntimeError:
        return {}
    return dict(QUICKLY)


@cache
def keep_compiled() -> Path | None:
    """Tell JAX, once per process, to keep what it compiles from now on.

    Nothing is changed where the user set JAX's own cache, by its configuration or its environment variables, where
    ``ALLROADS_CACHE=off``, or where the folder cannot be written to. Processors of different instruction sets have
    folders of their own, so that a home folder may be shared by machines. Every program of the process is kept,
    those of the user too.

    Returns:
        The folder; ``None`` where nothing is kept.
    """
    import jax
    from jax.experimental.compilation_cache.compilation_cache import reset_cache

    chosen: dict[str, Any] = jax.config.values
    free = chosen["jax_compilation_cache_dir"] is None and chosen["jax_enable_compilation_cache"]
    folder = _prepared() if free else None
    if folder is None:
        return None
    jax.config.update("jax_compilation_cache_dir", str(folder))
    if "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS" not in os.environ:
        jax.config.update("jax_persistent_cache_min_compile_time_secs", SHORTEST)
    reset_cache()  # JAX decides at the first compilation whether there is a cache, which may have been before
    return folder


def _prepared() -> Path | None:
    """The folder of this processor, made, tried and not too large; ``None`` where it cannot be used."""
    try:
        parent = cache_folder()
        if parent is None:
            return None
        folder = parent / "jax" / processor()
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
        shrink(parent / "jax", LARGEST)
    except (OSError, RuntimeError):  # no permission, no space, no home
        return None
    return folder


def shrink(folder: Path, largest: int) -> None:
    """Remove the oldest files of a folder, down to half of ``largest`` bytes, where they hold more than that.

    Files that other processes remove meanwhile are passed over.
    """
    found = []
    for path in folder.rglob("*"):
        try:
            state = path.stat()
        except FileNotFoundError:
            continue
        if path.is_file():
            found.append((state.st_mtime, state.st_size, path))
    held = sum(size for _, size, _ in found)
    if held <= largest:
        return
    for _, size, path in sorted(found):
        path.unlink(missing_ok=True)
        held -= size
        if held <= largest // 2:
            return


def processor() -> str:
    """A name for what code compiled here may use: machine, and instruction set where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", errors="replace").splitlines()
    except OSError:
        lines = [platform.processor()]
    flags = next((line for line in lines if line.lower().startswith(("flags", "features"))), lines[0] if lines else "")
    return f"{platform.machine() or 'machine'}-{hashlib.sha256(flags.encode()).hexdigest()[:8]}"
