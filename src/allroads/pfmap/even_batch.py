"""Batches of even size: a batch that is smaller than the others is a program of its own to the compiler."""

from __future__ import annotations


def even_batch(count: int, most: int) -> int:
    """Batch size for ``jax.lax.map`` over ``count`` entries: the largest divisor that is at most ``most``.

    Where that is less than half of what fits, ``most`` is given, and the last batch is smaller.

    Args:
        count: Number of entries, at least 1.
        most: Largest batch.

    Example:
        >>> even_batch(8, 5), even_batch(8, 20), even_batch(7, 5)
        (4, 8, 5)
    """
    most = max(1, min(most, count))
    largest = max(n for n in range(1, most + 1) if count % n == 0)
    return largest if 2 * largest >= most else most
