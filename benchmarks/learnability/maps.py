"""The maps: networks by depth, width, activation and attention, and where they start."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import jax

from allroads import Network
from allroads.networks.build import build

from .domain import load_domain

SEQUENTIAL = ("transformer", "recurrent")
"""Kinds that read position by position."""


@dataclass(frozen=True)
class Map:
    """One architecture.

    Args:
        kind: Of network, as :func:`allroads.networks.build.build` names it.
        depth: Hidden layers (attention block: its attention and its MLP).
        width: Units of a hidden layer; of a transformer, its residual stream.
        activation: Of the units.
        options: What the builder takes.
        patience: Factor of the budget of steps: small maps learn slowly, but their steps cost little.
    """

    kind: str
    depth: int
    width: int
    activation: str
    options: dict[str, Any] = field(hash=False)
    patience: int = 1


def _mlp(widths: tuple[int, ...], activation: str = "relu", patience: int = 1) -> Map:
    init = "he" if activation == "relu" else "lecun"
    return Map(
        "mlp", len(widths), widths[0], activation, {"widths": widths, "activation": activation, "init": init}, patience
    )


MAPS: dict[str, Map] = {
    "mlp 1x128 relu": _mlp((128,), patience=4),
    "mlp 2x64 relu": _mlp((64, 64)),
    "mlp 3x64 relu": _mlp((64, 64, 64)),
    "mlp 2x64 tanh": _mlp((64, 64), "tanh"),
    "mlp 2x16 relu": _mlp((16, 16), patience=3),
    "transformer 1x32": Map("transformer", 2, 32, "relu", {"layers": 1, "d_model": 32, "heads": 4, "d_mlp": 64}),
    "elman 32": Map("recurrent", 1, 32, "tanh", {"cell": "elman", "width": 32}),
    "deep linear 2x64": Map("deep_linear", 2, 64, "identity", {"widths": (64, 64)}),
}


@cache
def load_map(name: str, domain: str) -> Network:
    """The network of a map that reads a domain's inputs; the same object for equal arguments."""
    data = load_domain(domain)
    if MAPS[name].kind not in SEQUENTIAL or data.positions is None:
        return build(MAPS[name].kind, data, **MAPS[name].options)
    network = build(
        MAPS[name].kind, replace(data, inputs=data.inputs.reshape(-1, *data.positions)), **MAPS[name].options
    )
    return Network(
        network.init,
        lambda params, inputs: network.apply(params, inputs.reshape(-1, *data.positions)),
        name=network.name,
    )


def start_key(name: str, domain: str, seed: int) -> Any:
    """The random key that belongs to a map on a domain."""
    return jax.random.fold_in(jax.random.key(seed), zlib.crc32(f"{name} on {domain}".encode()))


def initial(name: str, domain: str, seed: int) -> Any:
    """Where every run of that map on that domain with that seed starts, whatever its target and explorer."""
    return load_map(name, domain).init(start_key(name, domain, seed))
