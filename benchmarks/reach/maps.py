"""The maps of the reach matrices: networks of n bits, read as signs by the logistic loss."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from allroads import GD, Network
from allroads.networks.mlp import mlp
from allroads.points.complexity.symmetries import npn_classes

HERE = Path(__file__).parent
DATA, WORK = HERE / "data", HERE / "work"

MARGIN, RATE = 0.1, 0.3
"""Loss at which a start is left, and the learning rate of all descents."""
HEIGHT = float(np.log(1 / np.expm1(MARGIN)))
"""Size of an output that has that loss."""


@dataclass(frozen=True)
class Map:
    """A network n-H-1 of tanh units with the runs that its matrix rests on.

    Args:
        name: Of its files.
        bits: n.
        width: H.
        steps: Budget of a run.
        starts: Per source.
        draws: Random starts per source at most.
        stays: Kept per run.
        block: Sources that are computed and stored together.
        classes: Whether sources are one function of each NPN class, instead of all.
    """

    name: str
    bits: int
    width: int
    steps: int
    starts: int
    draws: int
    stays: int
    block: int
    classes: bool = False

    @cached_property
    def network(self) -> Network:
        return mlp((self.bits,), 1, widths=(self.width,), activation="tanh", init="lecun")

    @property
    def blocks(self) -> range:
        """Numbers of the blocks of sources."""
        return range(-(-len(self.sources) // self.block))

    @property
    def inputs(self) -> np.ndarray:
        """All rows of a table: bit i of row r is ``(r >> i) & 1``, and a bit b is the number (−1)^b."""
        rows = np.arange(2**self.bits)
        return 1.0 - 2.0 * (rows[:, None] >> np.arange(self.bits) & 1)

    @property
    def sources(self) -> np.ndarray:
        """Codes: all functions of three bits, or one of each class up to symmetry."""
        return npn_classes(self.bits)[1].astype(int) if self.classes else np.arange(256)

    @property
    def targets(self) -> np.ndarray:
        return np.arange(2 ** (2**self.bits))

    @property
    def road_steps(self) -> int:
        """Of straight roads: they turn sharply on a narrow map."""
        return 24 if self.width == 16 else 768

    def answers(self, codes: np.ndarray) -> np.ndarray:
        """Truth tables ``[K, 2^n]``: row r is bit r of the code."""
        return codes[:, None] >> np.arange(2**self.bits) & 1

    @property
    def explorer(self) -> GD:
        return GD(learning_rate=RATE)


MAPS = {
    made.name: made
    for made in (
        Map("wide", 3, 16, 2000, 16, 256, 16, 32),
        Map("narrow", 3, 3, 2000, 16, 256, 16, 32),
        Map("narrowest", 3, 2, 2000, 16, 4096, 16, 14, classes=True),
        Map("four", 4, 16, 1000, 1, 64, 24, 37, classes=True),
        Map("narrow_four", 4, 4, 2000, 1, 512, 24, 37, classes=True),
        Map("complete_four", 4, 16, 1000, 4, 64, 24, 6, classes=True),
    )
}


def each_block(documentation: str, block: Callable[[Map, int], object]) -> None:
    """Every block of the maps of three bits that the command line names."""
    parser = argparse.ArgumentParser(description=documentation, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("maps", nargs="+", choices=["wide", "narrow", "narrowest"])
    for name in parser.parse_args().maps:
        for number in MAPS[name].blocks:
            block(MAPS[name], number)
