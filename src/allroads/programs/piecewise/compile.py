"""Piecewise-linear recurrences written into weights: a recurrent ReLU network that holds their registers."""

from __future__ import annotations

import numpy as np

from allroads.checks import check_count, check_number
from allroads.errors import InputError
from allroads.pfmap.network import Network, Params
from allroads.programs.piecewise.circuit import Affine, Circuit, rectified
from allroads.programs.piecewise.recurrence import Piecewise


def compile_piecewise(
    program: Piecewise,
    *,
    length: int = 10,
    mix: int | None = None,
    noise: float = 0.0,
    seed: int = 0,
) -> tuple[Network, Params]:
    """A recurrent network, and a point at which it computes a piecewise-linear recurrence at all lengths.

    Its hidden state holds the registers, as whole numbers. Its step is a ReLU network of state and input:
    ``max(a, b)`` is ``a + max(0, b − a)``, and ``abs(a)`` is ``2 max(0, a) − a``. All arithmetic is exact below 2⁵³,
    unless it is mixed or noise is added.

    Args:
        program: The program.
        length: Length T of the network's inputs ``[N, T, D]``; its cell reads any.
        mix: Seed of a random basis of the hidden state, and of a random order and scale of the ReLU units; ``None`` for
            none.
        noise: Standard deviation of normal noise on every weight.
        seed: Decides the noise.

    Returns:
        ``(network, params)``, outputs ``[N, T, 1]``. Parameters are in single precision, or in double where they are
        mixed or noisy: apply the network inside :func:`allroads.float64` then.

    Raises:
        InputError: If it is no such program, or an option is out of range.

    Example:
        >>> from allroads.programs.piecewise import Register, Term
        >>> x, s = Term("x"), Term("s")
        >>> gap = Piecewise((Register(0, x),), Term("abs", (Term("-", (x, s)),)), -9, 9)
        >>> network, params = compile_piecewise(gap, length=3)
        >>> network.apply(params, np.array([[[3.0], [5.0], [-1.0]]]))[0, :, 0].tolist()
        [3.0, 2.0, 6.0]
    """
    if not isinstance(program, Piecewise):
        raise InputError(f"program: expected a Piecewise; got {program!r}.")
    check_count("length", length)
    check_count("mix", mix, 0, absent=True)
    check_number("noise", noise, 0)
    check_count("seed", seed, 0)
    k = program.states
    held = max(1, k)  # a state of no number is none
    circuit = Circuit(held + program.channels)
    here: dict[str, Affine] = {name: {i: 1.0} for i, name in enumerate(program.names)}
    here |= {name: {held + i: 1.0} for i, name in enumerate(program.reads)}
    after = [circuit.term(register.update, here) for register in program.registers]
    fresh = {n: v for n, v, r in zip(program.names, after, program.registers, strict=True) if r.fresh}
    outputs = [*after, *[{}] * (held - k), circuit.term(program.output, here | fresh)]
    layers, start = circuit.layers(outputs), np.array([*program.start, *[0] * (held - k)], float)
    return rectified(layers, start, length=length, channels=program.channels, vocabulary=None, mix=mix, noise=noise,
                     seed=seed)  # fmt: skip
