"""Linear teachers for deep linear networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from allroads.errors import InputError
from allroads.targets.checks import generator, integer, one_of
from allroads.targets.target import Target

_LARGEST_MATRIX = 2**20


def linear_teacher(
    *,
    widths: Sequence[int],
    rank: int | None = None,
    inputs: str = "gaussian",
    train_size: int = 1024,
    held_out_size: int = 1024,
    name: str | None = None,
    seed: int = 0,
) -> Target:
    """A noiseless linear map of known rank, for deep linear networks of known widths.

    The teacher is ``A B / √(r·H₀)`` with standard normal A ``[H_L, r]`` and B ``[r, H₀]``: its outputs have
    variance 1 on average. The widths between matter to the truth alone: with the rank they decide the
    learning coefficient of a network of these widths at the teacher.

    Args:
        widths: ``H₀ … H_L`` of the network that is to learn, inputs first.
        rank: Rank r of the teacher, 1 … the smallest width, default the smallest width.
        inputs: ``"gaussian"`` (standard normal) or ``"whitened"`` (the training inputs X are transformed so
            that ``XᵀX/N = I``, and the held-out ones with them).
        train_size: How many examples train.
        held_out_size: How many are held out.
        name: Display name, default made from widths and rank.
        seed: Decides teacher and inputs.

    Returns:
        The target, with ``mse``. Truth: ``widths``, ``rank``, ``teacher`` (``[H_L, H₀]``, outputs are ``W
        x``) and its ``singular_values``, descending.

    Raises:
        InputError: If a width, the rank or a size cannot be used; whitening needs at least H₀ training
            examples.

    References: [saxe2014, aoyagi2024]

    Example:
        >>> target = linear_teacher(widths=[5, 3, 4], rank=2, train_size=20, held_out_size=5)
        >>> target.train.inputs.shape, target.train.labels.shape, len(target.truth["singular_values"])
        ((20, 5), (20, 4), 2)
    """
    sizes = [integer("widths", width, 1) for width in widths]
    if len(sizes) < 2 or sizes[0] * sizes[-1] > _LARGEST_MATRIX:
        raise InputError(
            f"widths {sizes}: expected at least an input and an output width, "
            f"with at most {_LARGEST_MATRIX} weights between them."
        )
    rank = min(sizes) if rank is None else integer("rank", rank, 1, min(sizes))
    one_of("inputs of a linear teacher", inputs, ("gaussian", "whitened"))
    train_size, held_out_size = (
        integer("train_size", train_size, 1),
        integer("held_out_size", held_out_size, 0),
    )

    draw = generator(seed, "teacher").standard_normal
    teacher = draw((sizes[-1], rank)) @ draw((rank, sizes[0])) / np.sqrt(rank * sizes[0])
    examples = generator(seed, "inputs").standard_normal((train_size + held_out_size, sizes[0]))
    if inputs == "whitened":
        examples = _whitened(examples, train_size)
    labels = examples @ teacher.T
    held_out: dict[str, Any] = {"held_out_inputs": examples[train_size:], "held_out_labels": labels[train_size:]}
    return Target(
        name or f"linear {'-'.join(map(str, sizes))} rank {rank}",
        inputs=examples[:train_size],
        labels=labels[:train_size],
        loss="mse",
        **(held_out if held_out_size else {"train_fraction": 1.0}),
        truth={
            "widths": sizes,
            "rank": rank,
            "teacher": teacher,
            "singular_values": np.linalg.svd(teacher, compute_uv=False)[:rank],
        },
    )


def _whitened(examples: Float[np.ndarray, "examples width"], train_size: int) -> Float[np.ndarray, "examples width"]:
    """All examples after the linear map that makes the second moment of the training ones the identity."""
    width = examples.shape[1]
    if train_size < width:
        raise InputError(f"whitening {width} inputs needs at least {width} training examples, got {train_size}.")
    triangle = np.asarray(np.linalg.qr(examples[:train_size], mode="r"))
    white: np.ndarray = np.linalg.solve(triangle.T, examples.T).T * np.sqrt(train_size)
    return white
