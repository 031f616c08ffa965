"""The spectrum of logits over pairs of residues: which sums of cosines they are, and how much of them that is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Waves:
    """The cosines of ``a x + b y + c − z`` in logits.

    Args:
        a: Factor of the first number.
        b: Factor of the second.
        c: What is added.
        amplitudes: Amplitude of each frequency 1 … ⌊p/2⌋.
        shares: Share of the variance of the logits that each has; 0 where the amplitude is negative.
    """

    a: int
    b: int
    c: int
    amplitudes: np.ndarray
    shares: np.ndarray


def centred(logits: np.ndarray) -> np.ndarray:
    """Logits ``[p, p, p]`` (x, y, z) without their mean over z, which no probability depends on."""
    apart: np.ndarray = logits - logits.mean(axis=2, keepdims=True)
    return apart


def waves(logits: np.ndarray) -> Waves:
    """The a, b and c for which cosines of ``a x + b y + c − z`` explain most of the logits.

    In the discrete Fourier transform over x, y and z such a cosine of frequency k has its weight at (k a, k b, −k).
    All pairs (a, b) are compared by the weight there, then all c by that of the cosines with the phase of c.

    Args:
        logits: ``[p, p, p]``, centred over the last axis.

    References: [nanda2023] [chughtai2023]

    Example:
        >>> x, y, z = np.indices((7, 7, 7))
        >>> found = waves(2 * np.cos(2 * np.pi * 3 * (x - y + 2 - z) / 7))
        >>> found.a, found.b, found.c, abs(found.amplitudes.round(6)).tolist(), round(float(found.shares[2]), 6)
        (1, 6, 2, [0.0, 0.0, 2.0], 1.0)
    """
    p = len(logits)
    transform = np.fft.fftn(logits) / p**3
    a, b = np.indices((p, p))
    frequencies = np.arange(1, p // 2 + 1)
    power = np.sum([np.abs(transform[k * a % p, k * b % p, -k % p]) ** 2 for k in frequencies], axis=0)
    power[0, 0] = -1.0  # answers that never change are no arithmetic
    a0, b0 = (int(i) for i in np.unravel_index(int(np.argmax(power)), power.shape))
    lines = transform[frequencies * a0 % p, frequencies * b0 % p, -frequencies % p]
    turned = lines * np.exp(-2j * np.pi * np.outer(np.arange(p), frequencies) / p)
    half = np.where(2 * frequencies == p, 1.0, 2.0)  # a wave of frequency p/2 is its own negative
    amplitudes = half * turned.real
    shares = np.where(amplitudes > 0, amplitudes**2 / half, 0.0)
    c = int(np.argmax(shares.sum(axis=1)))
    total = float((logits**2).mean())
    return Waves(a0, b0, c, amplitudes[c], shares[c] / total if total > 0 else np.zeros(len(frequencies)))


def explained_by_pair(logits: np.ndarray, found: Waves) -> float:
    """Share of the variance of the logits in these cosines where each pair has amplitudes of its own, of 0 and more.

    Units with a kink give waves whose amplitude depends on x − y, and then it is above the share of equal amplitudes.

    References: [zhong2023]

    Example:
        >>> x, y, z = np.indices((7, 7, 7))
        >>> logits = np.cos(2 * np.pi * (x + y - z) / 7) * (1 + (x == y))
        >>> found = waves(logits)
        >>> bool(found.shares.sum() < 0.95), round(explained_by_pair(logits, found), 6)
        (True, 1.0)
    """
    p = len(logits)
    frequencies = np.arange(1, p // 2 + 1)
    x, y = np.ogrid[:p, :p]
    answer = (found.a * x + found.b * y + found.c) % p
    lines = np.fft.fft(logits, axis=2)[:, :, frequencies] / p
    turned = lines * np.exp(2j * np.pi * answer[:, :, None] * frequencies / p)
    half = np.where(2 * frequencies == p, 1.0, 2.0)
    amplitudes = half * turned.real
    total = float((logits**2).mean())
    kept = np.where(amplitudes > 0, amplitudes**2 / half, 0.0).sum(axis=2)
    return float(kept.mean()) / total if total > 0 else 0.0


def built(found: Waves, frequencies: tuple[int, ...], p: int) -> np.ndarray:
    """The logits ``[p, p, p]`` of the cosines of some frequencies alone."""
    x, y, z = np.ogrid[:p, :p, :p]
    apart = (found.a * x + found.b * y + found.c - z) % p
    waves = [found.amplitudes[k - 1] * np.cos(2 * np.pi * k * np.arange(p) / p) for k in frequencies]
    logits: np.ndarray = np.sum([np.zeros(p), *waves], axis=0)[apart]
    return logits


def cross_entropy(logits: np.ndarray, answers: np.ndarray) -> float:
    """Mean cross-entropy in nats of logits ``[p, p, p]`` with answers ``[p, p]``.

    Example:
        >>> bool(abs(cross_entropy(np.zeros((5, 5, 5)), np.zeros((5, 5), int)) - np.log(5)) < 1e-12)
        True
    """
    shifted = logits - logits.max(axis=2, keepdims=True)
    chosen = np.take_along_axis(shifted, answers[:, :, None], axis=2)[:, :, 0]
    return float((np.log(np.exp(shifted).sum(axis=2)) - chosen).mean())


def unit_frequencies(hidden: np.ndarray, a: int, b: int) -> tuple[np.ndarray, np.ndarray]:
    """The frequency of each hidden unit, and the share of its variance that it has.

    A unit's values on all pairs are centred and transformed over x and y. Frequency k has what lies at (u, v) with u
    among 0, ±k a and v among 0, ±k b; for k = p/2 the signs agree.

    Args:
        hidden: Values ``[p, p, units]``.
        a: Factor of the first number.
        b: Factor of the second.

    Returns:
        ``(frequency [units], share [units])``; units that never change have frequency 0 and share 0.

    References: [nanda2023]

    Example:
        >>> x, y = np.indices((7, 7))
        >>> frequency, share = unit_frequencies(np.cos(2 * np.pi * 2 * (x + y) / 7)[:, :, None] ** 2, 1, 1)
        >>> frequency.tolist(), share.round(6).tolist()  # the square of a wave has twice its frequency: 4, or −3
        ([3], [1.0])
    """
    p = len(hidden)
    power = np.abs(np.fft.fft2(hidden - hidden.mean(axis=(0, 1)), axes=(0, 1))) ** 2
    total = power.sum(axis=(0, 1))
    rows = []
    for k in range(1, p // 2 + 1):
        us, vs = sorted({0, k * a % p, -k * a % p}), sorted({0, k * b % p, -k * b % p})
        rows.append(power[np.ix_(us, vs)].sum(axis=(0, 1)))
    shares = np.array(rows)
    still = total <= 1e-12 * max(float(total.max(initial=0.0)), 1e-300)
    best = shares.argmax(axis=0)
    share = np.where(still, 0.0, shares[best, np.arange(len(best))] / np.where(still, 1.0, total))
    return np.where(still, 0, best + 1), share
