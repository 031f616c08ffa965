"""Before any test imports JAX: one thread per process, as a study runs, and a compiler that hurries.

Two thirds of the tests' time would be XLA compiling. Its older emitters, one part per program and no optimisation take
a quarter of that time. What they make is as exact, only slower, without AVX-512: with it, XLA makes a wrong gradient
of some networks where it does not optimise (`test_compiled.py`). `make test-all` and `make test-level`, whose tests
compute for longer, set `JAX_DISABLE_MOST_OPTIMIZATIONS=false`, so that stored numbers are seen with optimisation too.
"""

import doctest
import inspect
import os
import platform
import resource
import sys
from pathlib import Path

import pytest
from jaxtyping import install_import_hook

from shapes import MODULES

os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "true")
_unoptimised = os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"].lower() in ("true", "1")
_FLAGS = (
    "--xla_cpu_multi_thread_eigen=false",
    "--xla_cpu_use_fusion_emitters=false",
    "--xla_backend_optimization_level=1",
    "--xla_cpu_parallel_codegen_split_count=1",
    *(["--xla_cpu_max_isa=AVX2"] if _unoptimised and platform.machine() in ("x86_64", "AMD64") else []),
)
_given = os.environ.get("XLA_FLAGS", "")
os.environ["XLA_FLAGS"] = " ".join([_given, *(flag for flag in _FLAGS if flag.split("=")[0] not in _given)]).strip()
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("NPROC", "1")
os.environ.setdefault("ALLROADS_CACHE", "off")  # what another run compiled is not to decide a test

install_import_hook(MODULES, "shapes.checked")

_from_module = doctest.DocTestFinder._from_module
# Else an example of a function whose shapes are checked would not be found: the wrapper is of another module.
doctest.DocTestFinder._from_module = lambda self, module, found: _from_module(self, module, inspect.unwrap(found))


def pytest_addoption(parser):
    parser.addoption("--seeds", type=int, default=1, help="draw each test that draws from this many seeds, 0, 1, …")


def pytest_generate_tests(metafunc):
    """A test that takes `seed`, itself or through a fixture, draws: it is marked so, and runs once per seed."""
    given = {name.strip() for mark in metafunc.definition.iter_markers("parametrize") for name in _names(mark)}
    if "seed" in metafunc.fixturenames and "seed" not in given:
        numbers = range(metafunc.config.getoption("seeds"))
        seeds = [pytest.param(n, marks=pytest.mark.draws, id=f"seed{n}") for n in numbers]
        metafunc.parametrize("seed", seeds, indirect=True, scope="module")


def _names(mark):
    names = mark.args[0]
    return names.split(",") if isinstance(names, str) else names


@pytest.fixture(scope="module")
def seed(request):
    """What decides the draws of a test whose assertion holds with a probability of 99.9 % and more, not for certain."""
    return request.param


@pytest.fixture(scope="module", autouse=True)
def _forget_compiled():
    """Small programs come back in many files; all that was compiled would take gigabytes by the end."""
    yield
    if "jax" in sys.modules and _resident_bytes() > 2e9:
        sys.modules["jax"].clear_caches()


def _resident_bytes():
    """Memory of this process; infinite where no file says it."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return float("inf")
    return pages * resource.getpagesize()
