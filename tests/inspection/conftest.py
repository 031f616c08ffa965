"""A user's own networks, in a module in the working directory, with weights and data beside it."""

import textwrap
import uuid

import numpy as np
import pytest
from own_networks import MODULE, OFFSET, SLOPE


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """A folder with the module, ``data.npz`` and ``infinite.npz``."""
    folder = tmp_path_factory.mktemp("own")
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(20, 3))
    labels = inputs @ SLOPE + OFFSET
    np.savez(folder / "data.npz", inputs=inputs, labels=labels)
    np.savez(folder / "infinite.npz", inputs=inputs, labels=np.where(np.arange(20)[:, None] == 4, np.inf, labels))
    np.savez(folder / "split.npz", train_inputs=inputs[:15], train_labels=labels[:15], held_out_inputs=inputs[15:],
             held_out_labels=labels[15:])  # fmt: skip
    np.savez(folder / "uneven.npz", inputs=inputs, labels=labels[:7])
    np.savez(folder / "classes.npz", inputs=inputs, labels=np.arange(20) % 4)
    return folder


@pytest.fixture(scope="session")
def module(folder):
    """Name of the module."""
    name = f"own_{uuid.uuid4().hex[:8]}"
    (folder / f"{name}.py").write_text(textwrap.dedent(MODULE))
    return name


@pytest.fixture
def here(folder, module, monkeypatch):
    """The module's name, with its folder as the working directory."""
    monkeypatch.chdir(folder)
    return module
