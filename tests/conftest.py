"""Before any test imports JAX: one thread a process, as a study runs, and a compiler that hurries.

Two thirds of the tests' time is XLA compiling. Its older emitters and its first optimisation
level compile in about half the time, and what they make is as exact.
"""

import os
import sys

import pytest

_FLAGS = (
    "--xla_cpu_multi_thread_eigen=false",
    "--xla_cpu_use_fusion_emitters=false",
    "--xla_backend_optimization_level=1",
)
_given = os.environ.get("XLA_FLAGS", "")
os.environ["XLA_FLAGS"] = " ".join([_given, *(flag for flag in _FLAGS if flag.split("=")[0] not in _given)]).strip()
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("NPROC", "1")


@pytest.fixture(scope="module", autouse=True)
def _forget_compiled():
    """Few shapes come back in another file, and what was compiled takes gigabytes by the end."""
    yield
    if "jax" in sys.modules:
        sys.modules["jax"].clear_caches()
