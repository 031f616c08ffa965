"""Files of own runs: modules that a worker imports, and the tables of a run directory."""

import sys
import textwrap
import uuid
from pathlib import Path

import polars as pl

NO_TORCH = "the extra `torch` is not installed: pip install 'allroads[torch]'"
ALLROADS = str(Path(sys.executable).parent / "allroads")

EQUINOX = """
import equinox as eqx


def make(key):
    return eqx.nn.MLP(2, 2, 5, 1, key=key)
"""
FLAX = """
import flax.linen as nn


def make():
    return nn.Dense(2)
"""
NORMED = """
import torch

from allroads import from_torch


def plain():
    return torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3), torch.nn.Linear(3, 2))


def with_statistics():
    return from_torch(plain().eval(), torch.zeros(4, 2), running_statistics="params")


class Features(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("frequencies", torch.randn(2, 4))
        self.out = torch.nn.Linear(4, 2)

    def forward(self, x):
        return self.out(torch.cos(x @ self.frequencies))
"""


def write_module(folder, source):
    """A module of its own name, which this process imports once."""
    name = f"own_{uuid.uuid4().hex[:8]}"
    (folder / f"{name}.py").write_text(textwrap.dedent(source))
    return name


def tables(directory):
    return {path.stem: pl.read_parquet(path) for path in (Path(directory) / "tables").glob("*.parquet")}
