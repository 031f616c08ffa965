"""A folder for all that is compiled while a benchmark runs: most networks have shapes that others have."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import jax


@contextmanager
def compiled_once() -> Iterator[None]:
    """Keep everything that is compiled in a folder, which is removed at the end."""
    with tempfile.TemporaryDirectory() as folder:
        jax.config.update("jax_compilation_cache_dir", folder)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
        yield
