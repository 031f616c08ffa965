"""Which examples there are, and which of them are for training."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from allroads.errors import InputError
from allroads.imported import reason
from allroads.targets.checks import fraction, generator, integer, numbers
from allroads.targets.symbols import encode

SMALL_DOMAIN = 2**16
"""A domain with at most this many examples is enumerated as a whole."""

SAMPLE_SIZE = 1024
"""How many examples are drawn for training, and as many held out, where the domain is larger."""

TRAIN_FRACTION = 0.8
"""Share of the examples that trains where nothing else is said."""

Sampler = Callable[[np.random.Generator, int], Any]


@dataclass(frozen=True, eq=False)
class Pool:
    """Examples, and the rows of them that train and that are held out.

    Args:
        inputs: ``[N, ...]`` numbers, or tokens where there is an alphabet.
        train: Rows that train.
        held_out: Rows that are held out.
        whole: The examples are the whole domain.
    """

    inputs: np.ndarray
    train: np.ndarray
    held_out: np.ndarray
    whole: bool


@dataclass(frozen=True)
class Sizes:
    """How many examples train and are held out, as the caller said it; ``None`` where nothing was said."""

    train_fraction: float | None = None
    train_size: int | None = None
    held_out_size: int | None = None


def given_pool(
    where: str,
    inputs: Any,
    held_out_inputs: Any,
    symbols: tuple[Any, ...] | None,
    complete: bool,
    sizes: Sizes,
    seed: int,
) -> Pool:
    """The pool of examples that a caller handed in; split here where they did not split them.

    Raises:
        InputError: If the examples or the sizes cannot be used.

    Example:
        >>> pool = given_pool("t", [[0.0], [1.0]], [[2.0]], None, False, Sizes(), seed=0)
        >>> pool.train.tolist(), pool.held_out.tolist()
        ([0, 1], [2])
    """
    rows = _read_inputs(f"{where}: inputs", inputs, symbols)
    if held_out_inputs is None:
        return Pool(rows, *split(where, rows, generator(seed, "split"), sizes), complete)
    if complete or sizes != Sizes():
        raise InputError(f"{where}: held_out_inputs are given, so the split is made; drop complete and the sizes.")
    others = _read_inputs(f"{where}: held_out_inputs", held_out_inputs, symbols)
    if others.shape[1:] != rows.shape[1:]:
        raise InputError(
            f"{where}: one example of inputs has shape {rows.shape[1:]} and one of "
            f"held_out_inputs {others.shape[1:]}; give both the same shape."
        )
    train, held_out = np.split(np.arange(len(rows) + len(others)), [len(rows)])
    return Pool(np.concatenate([rows, others]), train, held_out, False)


def sequence_pool(
    where: str,
    symbols: tuple[Any, ...],
    length: int,
    channels: int,
    sampler: Sampler | None,
    sizes: Sizes,
    seed: int,
) -> Pool:
    """The pool of all sequences of a length, or of some that are drawn.

    Where a sampler is given, or there are more than ``SMALL_DOMAIN``, examples are drawn: 1024 to train and
    1024 held out, but at most half and a quarter of the domain.

    Raises:
        InputError: If a size or the sampler cannot be used.

    Example:
        >>> pool = sequence_pool("bits", (0, 1), 3, 1, None, Sizes(train_fraction=0.5), seed=0)
        >>> pool.inputs.shape, len(pool.train), len(pool.held_out), pool.whole
        ((8, 3), 4, 4, True)
    """
    shape: tuple[int, ...] = (integer(f"{where}: length", length, 1),)
    if integer(f"{where}: channels", channels, 1) > 1:
        shape += (channels,)
    places = int(np.prod(shape))
    domain = len(symbols) ** places
    rng = generator(seed, "draw")
    if sampler is None and domain <= SMALL_DOMAIN:
        inputs = all_sequences(len(symbols), shape)
        return Pool(inputs, *split(where, inputs, generator(seed, "split"), sizes), True)

    def draw(rng: np.random.Generator, count: int) -> np.ndarray:
        if sampler is None:
            return rng.integers(len(symbols), size=(count, *shape))
        tokens = encode(f"{where}: sampler", symbols, _draw(where, sampler, rng, count))
        if tokens.shape[1:] != shape:
            raise InputError(f"{where}: the sampler gave examples of shape {tokens.shape[1:]}; expected {shape}.")
        return tokens

    train, held_out = _drawn_sizes(where, sizes, domain)
    drawn = draw_distinct(where, draw, rng, train + held_out)
    rows = np.arange(train + held_out)
    if domain <= SMALL_DOMAIN:
        rows = drawn.reshape(len(drawn), -1) @ len(symbols) ** np.arange(places)[::-1]
        drawn = all_sequences(len(symbols), shape)
    return Pool(drawn, rows[:train], rows[train:], domain <= SMALL_DOMAIN)


def sampled_pool(where: str, sampler: Sampler, sizes: Sizes, seed: int) -> Pool:
    """The pool of real examples that a sampler draws.

    There are 1024 to train and 1024 held out where nothing else is said.

    Raises:
        InputError: If a size or the sampler cannot be used.

    Example:
        >>> pool = sampled_pool("noise", lambda rng, count: rng.normal(size=(count, 3)), Sizes(), seed=0)
        >>> pool.inputs.shape, pool.whole
        ((2048, 3), False)
    """
    train, held_out = _drawn_sizes(where, sizes, None)

    def draw(rng: np.random.Generator, count: int) -> np.ndarray:
        return _read_inputs(f"{where}: sampler", _draw(where, sampler, rng, count), None)

    drawn = draw_distinct(where, draw, generator(seed, "draw"), train + held_out)
    rows = np.arange(train + held_out)
    return Pool(drawn, rows[:train], rows[train:], False)


def all_sequences(symbols: int, shape: tuple[int, ...]) -> np.ndarray:
    """Every array of tokens of ``shape``, in lexicographic order, ``[symbols ** size, *shape]``.

    Example:
        >>> all_sequences(2, (2,)).tolist()
        [[0, 0], [0, 1], [1, 0], [1, 1]]
    """
    size = int(np.prod(shape))
    rows = np.arange(symbols**size)
    digits = [rows // symbols**place % symbols for place in reversed(range(size))]
    return np.stack(digits, axis=1).reshape(-1, *shape)


def draw_distinct(where: str, sampler: Sampler, rng: np.random.Generator, count: int) -> np.ndarray:
    """``count`` examples, no two the same, in the order in which they were drawn.

    Args:
        where: What to call the target in a message.
        sampler: ``sampler(rng, count) -> [count, ...]``.
        rng: The generator it draws from.
        count: How many examples.

    Raises:
        InputError: If a whole draw brings no new example before there are enough.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> drawn = draw_distinct("bits", lambda rng, count: rng.integers(2, size=(count, 2)), rng, 4)
        >>> sorted(drawn.tolist())
        [[0, 0], [0, 1], [1, 0], [1, 1]]
    """
    seen: dict[bytes, np.ndarray] = {}
    while len(seen) < count:
        before = len(seen)
        for row in sampler(rng, max(256, count)):
            seen.setdefault(row.tobytes(), row)
        if len(seen) == before:
            raise InputError(
                f"{where}: the sampler gave only {len(seen)} different examples and {count} are needed; "
                "lower train_size and held_out_size, or lengthen the examples."
            )
    return np.stack(list(itertools.islice(seen.values(), count)))


def split(where: str, inputs: np.ndarray, rng: np.random.Generator, sizes: Sizes) -> tuple[np.ndarray, np.ndarray]:
    """Rows for training and rows held out, each ascending; equal examples never come to lie on both sides.

    Where examples occur more than once, a side may be a little smaller than asked for.

    Raises:
        InputError: If both a share and a size are given, or there are too few examples.

    Example:
        >>> x = np.arange(10)[:, None]
        >>> train, held_out = split("ten", x, np.random.default_rng(0), Sizes(train_fraction=0.7))
        >>> len(train), len(held_out), sorted([*train.tolist(), *held_out.tolist()]) == list(range(10))
        (7, 3, True)
    """
    total = len(inputs)
    if sizes.train_size is None:
        share = TRAIN_FRACTION if sizes.train_fraction is None else sizes.train_fraction
        train_count = max(1, round(fraction(f"{where}: train_fraction", share) * total))
    elif sizes.train_fraction is None:
        train_count = integer(f"{where}: train_size", sizes.train_size, 1, total)
    else:
        raise InputError(f"{where}: both train_fraction and train_size are given; keep one.")
    rest = total - train_count
    held_out_count = rest
    if sizes.held_out_size is not None:
        held_out_count = integer(f"{where}: held_out_size", sizes.held_out_size, 0, rest)
    groups: dict[bytes, list[int]] = {}
    for i, row in enumerate(inputs + 0):  # + 0 makes −0.0 and 0.0 the same
        groups.setdefault(row.tobytes(), []).append(i)
    members = list(groups.values())
    sides: tuple[list[int], list[int]] = ([], [])
    for g in rng.permutation(len(members)):
        for side, size in zip(sides, (train_count, held_out_count), strict=True):
            if len(side) + len(members[g]) <= size:
                side.extend(members[g])
                break
    if not sides[0]:
        raise InputError(f"{where}: too few different examples to train on {train_count} of {total}; add examples.")
    train, held_out = (np.array(sorted(side), dtype=np.int64) for side in sides)
    return train, held_out


def _read_inputs(what: str, inputs: Any, symbols: tuple[Any, ...] | None) -> np.ndarray:
    """Examples as numbers ``[N, ...]`` (float32 stays, others become float64), or as tokens."""
    if symbols is not None:
        array = numbers(what, encode(what, symbols, inputs))
        if array.ndim not in (2, 3):
            raise InputError(f"{what} have shape {array.shape}; expected sequences of symbols [N, T] or [N, T, D].")
        return array
    array = numbers(what, inputs)
    if array.ndim < 2:
        raise InputError(f"{what} have shape {array.shape}; expected [N, ...]. Single numbers are [N, 1].")
    return array if array.dtype == np.float32 else array.astype(np.float64)


def _drawn_sizes(where: str, sizes: Sizes, domain: int | None) -> tuple[int, int]:
    if sizes.train_fraction is not None:
        raise InputError(f"{where}: examples are drawn, so there is no train_fraction; use train_size.")
    most = SAMPLE_SIZE if domain is None else min(SAMPLE_SIZE, max(domain // 4, 1))
    train = min(SAMPLE_SIZE, 2 * most) if sizes.train_size is None else sizes.train_size
    held_out = most if sizes.held_out_size is None else sizes.held_out_size
    return (
        integer(f"{where}: train_size", train, 1, domain),
        integer(f"{where}: held_out_size", held_out, 0, None if domain is None else domain - train),
    )


def _draw(where: str, sampler: Sampler, rng: np.random.Generator, count: int) -> np.ndarray:
    try:
        drawn = np.asarray(sampler(rng, count))
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"{where}: sampler(rng, {count}) failed: {reason(error)}; "
            "it is called with a numpy.random.Generator and a count."
        ) from error
    if drawn.ndim < 2 or len(drawn) != count:
        raise InputError(f"{where}: sampler(rng, {count}) gave shape {drawn.shape}; expected [{count}, ...].")
    return drawn
