"""A small study on a user's own target and network, in a folder of its own."""

import os
import textwrap
import uuid

import jax
import pytest
from jax.experimental.compilation_cache.compilation_cache import reset_cache

from allroads.compiled import keep_compiled
from allroads.studies.engines import node
from allroads.studies.engines.node import study_needs
from allroads.studies.store import Store

MODULE = """
import itertools
import os
import time

import jax
import jax.numpy as jnp

from allroads import Network, Target


def parity(bits: int = 3, train_fraction: float = 0.75) -> Target:
    inputs = list(itertools.product([0.0, 1.0], repeat=bits))
    labels = [int(sum(row) % 2) for row in inputs]
    return Target(
        f"parity of {bits}",
        inputs=inputs,
        labels=labels,
        complete=True,
        loss="cross_entropy",
        train_fraction=train_fraction,
    )


def tanh_net(interface, width: int = 4) -> Network:
    inputs, outputs = interface.input_shape[0], interface.outputs

    def init(key):
        first, second = jax.random.split(key)
        return {"in": jax.random.normal(first, (inputs, width)), "out": jax.random.normal(second, (width, outputs))}

    return Network(init, lambda params, x: jnp.tanh(x @ params["in"]) @ params["out"], name=f"tanh {width}")


def broken_net(interface, width: int = 4) -> Network:
    raise RuntimeError("the flux capacitor is missing")


def deadly_net(interface) -> Network:
    if os.environ.get("DEADLY"):
        os.kill(os.getpid(), 9)
    return tanh_net(interface)


def slow_net(interface) -> Network:
    time.sleep(60)
    return tanh_net(interface)
"""

STUDY = """
name = "small"
question = "Is parity learned?"

[[grid]]
name = "parity"
question = "How fast?"
seeds = 10
steps = 20
records = 6

[[grid.target]]
kind = "factory"
path = "small_parts:parity"

[[grid.architecture]]
kind = "factory"
path = "small_parts:tanh_net"

[[grid.explorer]]
kind = "adam"
learning_rate = 0.05
"""


@pytest.fixture(scope="session")
def compiled_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("compiled")


@pytest.fixture(scope="module", autouse=True)
def _compile_once(compiled_folder):
    """Each study makes its networks anew, so that JAX would compile the same programs for every test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ALLROADS_CACHE", str(compiled_folder))
        keep_compiled.cache_clear()
        yield
    keep_compiled.cache_clear()
    jax.config.update("jax_compilation_cache_dir", None)
    reset_cache()


def write_study(folder):
    """Write the small study and the module with its parts, whose name is used once; gives the TOML file's path."""
    module = f"parts_{uuid.uuid4().hex[:8]}"
    (folder / f"{module}.py").write_text(textwrap.dedent(MODULE))
    (folder / "small.toml").write_text(STUDY.replace("small_parts", module))
    return folder / "small.toml"


@pytest.fixture
def study(tmp_path):
    """The path of the small study's TOML file; the module with its parts lies beside it."""
    folder = tmp_path / "study"
    folder.mkdir()
    return write_study(folder)


@pytest.fixture
def module(study):
    """The path of the module with the small study's parts."""
    return next(study.parent.glob("parts_*.py"))


@pytest.fixture(scope="module")
def shared_study(tmp_path_factory):
    """The small study, the same for all tests of a module."""
    return write_study(tmp_path_factory.mktemp("study"))


@pytest.fixture
def process_as_it_was():
    """A check of a node is made for a worker: it changes the environment and the folder of this process."""
    environment, here = dict(os.environ), os.getcwd()
    node._checked.cache_clear()
    yield
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(here)


@pytest.fixture
def needs(tmp_path, process_as_it_was):
    """What a study needs that has no code of the user's own."""
    Store(tmp_path / "run").put("mark", b"")
    return study_needs(tmp_path / "run", "mark", [])
