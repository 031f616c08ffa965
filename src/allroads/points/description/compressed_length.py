"""Compressed length: the bits of rounded parameters after an entropy coder."""

from __future__ import annotations

import lzma
import math
import zlib
from typing import Any

import numpy as np

from allroads.errors import UnknownNameError
from allroads.pfmap.network import Params
from allroads.pfmap.problem import Problem
from allroads.points.description.point import Point, checked_point, not_finite
from allroads.points.description.rounding import Rounding, find_roundings, spread
from allroads.results import Measurement, finish

CODERS = ("lzma", "zlib", "entropy")
_LZMA = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME}]


def compressed_length(
    problem: Problem,
    params: Params,
    *,
    delta: float = 0.01,
    scales: str = "tensor",
    coder: str = "lzma",
    draws: int = 8,
    seed: int = 0,
    throw: bool = False,
) -> Measurement:
    """Compressed length: bits of the codes of :func:`quantised_size`, entropy coded, and of its scales.

    Conventions: the width is the one that :func:`quantised_size` finds. Its codes are written tensor after tensor in
    the order of the pytree, as bytes (two per code beyond 8 bits). They

    - ``"lzma"``: are compressed by raw LZMA2 at preset 9e, without a container. An actual stream;
    - ``"zlib"``: by zlib at level 9, its six bytes of frame included. An actual stream;
    - ``"entropy"``: cost their empirical entropy ``Σ_tensors N H(shares of the codes)``. A lower bound for any coder
      that takes the codes of a tensor one by one; the table of frequencies is *not* counted.

    A stream that is no shorter than the plain codes, b bits each, gives way to them, so the length is at most the
    quantised size.

    Scales, numbers kept as they are, and a point for which no width serves are counted as they are stored, and are not
    compressed. Invariance to rescaling of relu units: that of :func:`quantised_size` with the same ``scales``.

    Args:
        problem: Network, loss and data; L is its mean loss.
        params: The point.
        delta: δ, allowed rise of the mean loss, in its unit; default 0.01.
        scales: ``"tensor"``, ``"channel"`` or ``"row_column"``, see :func:`quantised_size`.
        coder: Which of the three is the value; all are in ``stats``.
        draws: Stochastic roundings.
        seed: Of the draws.
        throw: Raise a :class:`~allroads.MeasurementError` where the status is not ``ok``.

    Returns:
        A :class:`~allroads.Measurement` in bits. ``error`` is the root mean square distance of the lengths under
        stochastic rounding. ``stats``: ``lzma``, ``zlib``, ``entropy`` (bits in all, overhead included), ``overhead``,
        ``width``, ``loss``, ``rounded_loss``, ``delta``, ``scales``, ``coder``, ``convention``. Status ``diverged``
        (and NaN) where the loss is not finite.

    Raises:
        InputError: As :func:`quantised_size`.
        UnknownNameError: If there is no such coder or scales.

    When it fails: coders of bytes gain little where codes of few bits are unevenly spread. For such networks the
    entropy says more. The order of hidden units is in the stream, although the function does not depend on it:
    ``log₂ width!`` bits per layer.

    References:
        [urdshals2025]

    Example:
        Codes 3, 1, 1, 1 have an entropy of 0.811 bits each:

        >>> import jax.numpy as jnp
        >>> from allroads import Network, Problem
        >>> line = Network(lambda key: jnp.zeros(4), lambda w, x: x * w)
        >>> point = jnp.array([3.0, 1.0, 1.0, 1.0])
        >>> problem = Problem(line, "mse", jnp.ones((1, 4)), point[None])
        >>> length = compressed_length(problem, point, delta=0, coder="entropy")
        >>> round(length - length.stats["overhead"], 3)
        3.245
    """
    if coder not in CODERS:
        raise UnknownNameError("coder", coder, CODERS)
    point = checked_point(problem, params, delta)
    stats: dict[str, Any] = {
        "delta": delta,
        "scales": scales,
        "coder": coder,
        "convention": f"bits of the rounded point's codes by {coder}, and of its scales as stored",
    }
    if not math.isfinite(point.loss):
        return finish(not_finite(point, stats), throw)
    search = find_roundings(point, delta, scales, draws, seed)
    lengths = [_lengths(point, rounding) for rounding in search.roundings]
    nearest = search.roundings[0]
    stats |= {
        **lengths[0],
        "overhead": nearest.overhead,
        "width": nearest.width,
        "loss": point.loss,
        "rounded_loss": nearest.loss,
    }
    values = [length[coder] for length in lengths]
    return finish(Measurement(values[0], spread(values), stats=stats), throw)


def entropy_bits(symbols: np.ndarray) -> float:
    """``N H``: the empirical entropy of symbols, times how many there are, in bits.

    Example:
        >>> entropy_bits(np.array([5, 5, 1, 2])), entropy_bits(np.zeros(9))
        (6.0, 0.0)
    """
    counts = np.unique(symbols, return_counts=True)[1]
    return float((counts * np.log2(counts.sum() / counts)).sum())


def _lengths(point: Point, rounding: Rounding) -> dict[str, float]:
    if rounding.width is None:
        return dict.fromkeys(CODERS, float(rounding.bits))
    if not rounding.codes:
        return dict.fromkeys(CODERS, float(rounding.overhead))
    kind = np.int8 if rounding.width <= 8 else np.int16
    text = b"".join(code.astype(kind).tobytes() for code in rounding.codes)
    streams = {"lzma": lzma.compress(text, lzma.FORMAT_RAW, filters=_LZMA), "zlib": zlib.compress(text, 9)}
    plain = float(rounding.bits - rounding.overhead)
    bits = {name: min(plain, 8.0 * len(stream)) for name, stream in streams.items()}
    bits["entropy"] = sum(entropy_bits(code) for code in rounding.codes)
    return {name: length + rounding.overhead for name, length in bits.items()}
