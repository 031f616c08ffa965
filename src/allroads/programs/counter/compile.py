"""Counters written into weights: a recurrent ReLU network that holds them as whole numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from allroads.checks import check_count, check_number
from allroads.errors import InputError
from allroads.pfmap.network import Network, Params
from allroads.programs.counter.counter import Counter
from allroads.programs.counter.index import counters, places
from allroads.programs.mealy.rule import letter_values
from allroads.programs.piecewise.circuit import Affine, Circuit, constant, plus, rectified

FAR = 2.0**20
"""Size below which answers of a network of numbers with a latch are exact."""


def compile_counter(
    program: Counter,
    *,
    length: int = 10,
    numbers: bool = False,
    output_alphabet: Any = None,
    mix: int | None = None,
    noise: float = 0.0,
    seed: int = 0,
) -> tuple[Network, Params]:
    """A recurrent network, and a point at which it computes a program of counters at all lengths.

    Its hidden state holds the counters and the latch, as whole numbers. Its step is a ReLU network, which adds the
    letter's steps and gives a score per answer. There ``int(a < b)`` is ``max(0, b − a) − max(0, b − a − 1)``. All
    arithmetic is exact below 2⁵³, unless it is mixed or noise is added.

    Args:
        program: The program.
        length: Length T of the network's inputs.
        numbers: Whether it reads the symbols as numbers ``[N, T, D]`` and answers with a number; otherwise it reads
            tokens, positions in the alphabet, and gives a score per output symbol.
        output_alphabet: The output symbols in the order of the scores; default the program's, or 0, 1, … up to the
            largest answer at this length.
        mix: Seed of a random basis of the hidden state, and of a random order and scale of the ReLU units; ``None`` for
            none.
        noise: Standard deviation of normal noise on every weight.
        seed: Decides the noise.

    Returns:
        ``(network, params)``. Scores of the answer and of the others differ by 1 or more, so their margin is ½.

    Raises:
        InputError: If an option is out of range, letters are no numbers where these are read, or an answer within the
            length is not in ``output_alphabet``.

    Example:
        >>> from allroads.programs.piecewise.term import Term
        >>> more = Counter((0, 1), [[-1], [1]], Term("<", (Term(0), Term("c"))))
        >>> network, params = compile_counter(more, length=4)
        >>> network.apply(params, np.array([[1, 0, 0, 1]])).argmax(-1).tolist()
        [[1, 0, 0, 0]]
    """
    if not isinstance(program, Counter):
        raise InputError(f"program: expected a Counter; got {program!r}.")
    check_count("length", length)
    check_count("mix", mix, 0, absent=True)
    check_number("noise", noise, 0)
    check_count("seed", seed, 0)
    size, letters = program.size, len(program.alphabet)
    latched = program.latch is not None
    held = size + latched
    channels = len(program.alphabet[0]) if isinstance(program.alphabet[0], tuple) else 1
    if not numbers and channels > 1:
        raise InputError("letters: a compiled counter reads tokens of one channel; give numbers=True for several.")
    circuit = Circuit(held + (channels if numbers else letters))
    read = _read(circuit, program, held, numbers, channels)
    now = [
        plus((1, {i: 1.0}), *((row[i], on) for row, on in zip(program.steps, read, strict=True))) for i in range(size)
    ]
    variables = dict(zip(counters(size), now, strict=True)) | _places(circuit, now)
    said = circuit.term(program.answer, variables)
    dead: Affine = {}
    if program.latch is not None:
        set_now = circuit.term(program.latch, variables)
        either = plus((1, circuit.relu(set_now)), (1, circuit.relu(plus((-1, set_now)))), (1, {size: 1.0}))
        dead = circuit.over(either, 1)
    if numbers:
        outputs = [_number(circuit, program, said, dead)]
    else:
        outputs = [
            plus((1, circuit.equal(said, answer)), (2 * float(latched and answer == program.dead), dead))
            for answer in _answers(program, length, output_alphabet)
        ]
    layers = circuit.layers([*now, *([dead] if latched else []), *outputs])
    return rectified(layers, np.zeros(held), length=length, channels=channels, vocabulary=None if numbers else letters,
                     mix=mix, noise=noise, seed=seed)  # fmt: skip


def _read(circuit: Circuit, program: Counter, held: int, numbers: bool, channels: int) -> list[Affine]:
    """One signal per letter, 1 where it is read."""
    if not numbers:
        return [{held + i: 1.0} for i in range(len(program.alphabet))]
    values, own = letter_values(program.alphabet)
    if not own:
        raise InputError(f"letters: expected whole numbers to read as such; got {program.alphabet[:8]!r}.")
    table = np.array(values)
    mix = float(table.max() - table.min() + 1) ** np.arange(channels)[::-1]
    code: Affine = {held + i: float(m) for i, m in enumerate(mix)}
    return [circuit.equal(code, float(row @ mix)) for row in table]


def _places(circuit: Circuit, now: Sequence[Affine]) -> dict[str, Affine]:
    """Where the largest and the smallest counter stand, from the front and from the back."""
    size = len(now)
    if size < 2:
        return {}
    found = []
    for sign in (1, -1):
        for order in (list(range(size)), list(range(size))[::-1]):
            place: Affine = {}
            for at, i in enumerate(order):
                ahead = [
                    circuit.over(plus((sign, now[i]), (-sign, now[j])), float(order.index(j) < at))
                    for j in range(size)
                    if j != i
                ]
                first = circuit.relu(plus(*((1, a) for a in ahead), (1, constant(2 - size))))
                place = plus((1, place), (at, first))
            found.append(place)
    return dict(zip(places(size), found, strict=True))


def _number(circuit: Circuit, program: Counter, said: Affine, dead: Affine) -> Affine:
    if program.symbols:
        raise InputError("symbols: answers that are positions among symbols are no numbers; give numbers=False.")
    if program.latch is None:
        return said
    up = circuit.relu(plus((1, said), (-FAR, dead)))
    down = circuit.relu(plus((-1, said), (-FAR, dead)))
    return plus((1, up), (-1, down), (program.dead, dead))


def _answers(program: Counter, length: int, output_alphabet: Any) -> list[int]:
    """Answers, as numbers or positions in the program's symbols, in the order of the scores."""
    states, seen = {program.first}, {program.dead} if program.latch is not None else set()
    for _ in range(length):
        moved = [program.move(state, letter) for state in states for letter in range(len(program.alphabet))]
        states, seen = {state for state, _ in moved}, seen | {answer for _, answer in moved}
    if output_alphabet is None:
        if program.symbols:
            return list(range(len(program.symbols)))
        if min(seen) < 0:
            raise InputError(f"output_alphabet: answers reach {min(seen)}; give their order.")
        return list(range(max(2, max(seen) + 1)))
    order = list(range(output_alphabet) if isinstance(output_alphabet, int) else output_alphabet)
    missing = [program.symbol(a) for a in sorted(seen) if program.symbol(a) not in order]
    if missing:
        raise InputError(f"output_alphabet: the answer {missing[0]!r} is not in it; add it.")
    return [program.symbols.index(o) if program.symbols else int(o) for o in order]
