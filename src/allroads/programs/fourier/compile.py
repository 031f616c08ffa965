"""Compilation of a Fourier program into an embedding-sum network."""

from __future__ import annotations

import jax
import numpy as np

from allroads.checks import check_count, check_number
from allroads.errors import InputError
from allroads.networks.embedding_sum import embedding_sum
from allroads.pfmap.network import Network, Params
from allroads.programs.fourier.fourier_program import FourierProgram


def compile_fourier(
    program: FourierProgram, *, phases: int = 3, mix: int | None = None, noise: float = 0.0, seed: int = 0
) -> tuple[Network, Params]:
    """A network with squares for its activation that computes a Fourier program exactly.

    Let w = 2π k / p. A unit of frequency k reads ``cos(w a x + φ₁)`` and ``cos(w b y + φ₂)``. It writes
    ``cos(w (z − c) + φ₁ + φ₂)``. Phases lie on a grid of m × m with m ≥ 3. There every term but
    ``cos(w (a x + b y + c − z))`` cancels, so m² units a frequency suffice. Random phases need more units and cancel
    roughly.

    Args:
        program: The program.
        phases: Points m of the grid of phases, 3 or more.
        mix: Seed of an order of the units, an offset of the grid of each frequency, and a rescaling of each unit.
            That is λ in and λ⁻² out, λ from ½ to 2. ``None`` for none.
        noise: Standard deviation of normal noise on every weight.
        seed: Decides the noise.

    Returns:
        ``(network, params)`` as of :func:`allroads.networks.embedding_sum.embedding_sum`, in single precision.

    Raises:
        InputError: If an option is out of range.

    References: [gromov2023]

    Example:
        >>> network, params = compile_fourier(FourierProgram(7, (2,), b=-1))
        >>> network.apply(params, [[3, 1], [1, 3]]).argmax(axis=1).tolist()
        [2, 5]
    """
    if not isinstance(program, FourierProgram):
        raise InputError(f"program: expected a FourierProgram; got {program!r}.")
    check_count("phases", phases, 3)
    check_count("mix", mix, 0, absent=True)
    check_number("noise", noise, 0)
    check_count("seed", seed, 0)
    p, residues = program.p, np.arange(program.p)
    draw = None if mix is None else np.random.default_rng(mix)
    grid = 2 * np.pi * np.arange(phases) / phases
    first, second = (part.ravel() for part in np.meshgrid(grid, grid))
    left, right, out = [], [], []
    for k in program.frequencies:
        offset = np.zeros(2) if draw is None else draw.uniform(0, 2 * np.pi, 2)
        one, two, turn = first + offset[0], second + offset[1], 2 * np.pi * k / p
        left.append(np.cos(turn * program.a * residues[:, None] + one))
        right.append(np.cos(turn * program.b * residues[:, None] + two))
        out.append(np.cos(turn * (residues[:, None] - program.c) + one + two))
    tables, readout = np.stack([np.hstack(left), np.hstack(right)]), np.hstack(out).T
    width = readout.shape[0]
    if draw is not None:
        order, scale = draw.permutation(width), 2.0 ** draw.uniform(-1, 1, width)
        tables, readout = (tables * scale)[:, :, order], (readout / scale[:, None] ** 2)[order]
    rng = np.random.default_rng(seed)
    params = {"embed": tables, "readout": {"weight": readout}}
    params = jax.tree.map(lambda leaf: (leaf + noise * rng.normal(size=leaf.shape)).astype(np.float32), params)
    return embedding_sum((2,), p, vocabulary=p, width=width, activation="square"), params
