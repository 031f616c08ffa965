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

OLDER_EMITTERS = {"xla_cpu_use_fusion_emitters": False}
"""XLA's options for its older emitters of code."""

UNOPTIMISED = {"xla_backend_optimization_level": 0, "xla_cpu_parallel_codegen_split_count": 1}
"""XLA's options for no optimisation, all in one part, as every part costs some time of its own."""

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
def quickly_compiled(brief: bool = False) -> dict[str, bool | int]:
    """Options of ``jax.jit`` for a program that takes longer to compile than to run.

    XLA's older emitters of processor code take about half of the time that its newer ones take to compile a network's
    gradient. What they make is as exact, and a transformer's gradient takes a quarter longer. Without optimisation
    a program compiles in about a sixth of the time, and runs about ten times as long. On other devices the first
    changes nothing.

    Args:
        brief: Whether the program runs so briefly that it is not to be optimised.

    Returns:
        ``compiler_options``; without the emitters where this XLA has no choice of them.

    Example:
        >>> import jax
        >>> float(jax.jit(lambda x: 2 * x, compiler_options=quickly_compiled())(3.0))
        6.0
        >>> quickly_compiled(brief=True)["xla_backend_optimization_level"]
        0
    """
    import jax

    options: dict[str, bool | int] = dict(OLDER_EMITTERS)
    try:
        jax.jit(lambda: 0, compiler_options=options).lower().compile()
    except jax.errors.JaxRuntimeError:
        options = {}
    return options | (UNOPTIMISED if brief else {})


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
