"""What a network must look like to fit a target."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Interface:
    """The shape of a target as a network sees it.

    Args:
        input_shape: Shape of one example, without the example axis.
        outputs: Number C of outputs (of one position, where there are positions).
        vocabulary: Inputs are integer tokens ``0 … vocabulary − 1``; ``None`` for real inputs.
        per_position: One answer a position: outputs are ``[N, T, C]`` with ``T = input_shape[0]``, else ``[N,
            C]``.

    Example:
        >>> Interface(input_shape=(2,), outputs=53, vocabulary=53).per_position
        False
    """

    input_shape: tuple[int, ...]
    outputs: int
    vocabulary: int | None = None
    per_position: bool = False
