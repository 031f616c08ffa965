"""Two-layer linear networks, where points that compute the same function differ in learning coefficient."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from allroads.errors import InputError
from allroads.points.zoo.deep_linear import linear_truth
from allroads.points.zoo.ground_truth import GroundTruth, orthogonal, whole_numbers


def reduced_rank_learning_coefficient(widths: Sequence[int], rank: int) -> tuple[float, int]:
    """λ and m of reduced-rank regression ``x W₁ W₂`` of known widths where the true map has rank r.

    The smallest over all points that compute the truth; with two layers it is what
    :func:`~allroads.points.zoo.deep_linear_learning_coefficient` gives, by an independent formula. With widths
    ``(M, H, N)``:

    ==============================================  ==============================================================
    where                                           λ, m
    ==============================================  ==============================================================
    ``N+r ≤ M+H``, ``M+r ≤ N+H`` and ``H+r ≤ M+N``  ``[2(H+r)(M+N) + 2MN − (H+r)² − M² − N²]/8``, 1 if M+H+N+r is
                                                    even; odd: the bracket plus 1, 2
    ``M+H < N+r``                                   ``(HM − Hr + Nr)/2``, 1
    ``N+H < M+r``                                   ``(HN − Hr + Mr)/2``, 1
    ``M+N < H+r``                                   ``MN/2``, 1
    ==============================================  ==============================================================

    Args:
        widths: Inputs M, hidden H, outputs N, each 0 or more.
        rank: r, 0 … the smallest width.

    Returns:
        (λ, m).

    Raises:
        InputError: If the sizes do not fit.

    References: [aoyagi2005]

    Example:
        >>> reduced_rank_learning_coefficient((5, 3, 5), 0), reduced_rank_learning_coefficient((10, 10, 10), 4)
        ((6.5, 2), (45.5, 1))
    """
    sizes = whole_numbers("widths", widths, 0, count=3)
    (r,) = whole_numbers("rank", [rank], 0)
    if len(sizes) != 3 or r > min(sizes):
        raise InputError(f"expected three widths and a rank of at most the smallest, got widths {sizes} and rank {r}.")
    inputs, hidden, outputs = sizes
    if inputs + hidden < outputs + r:
        return (hidden * inputs - hidden * r + outputs * r) / 2, 1
    if outputs + hidden < inputs + r:
        return (hidden * outputs - hidden * r + inputs * r) / 2, 1
    if inputs + outputs < hidden + r:
        return inputs * outputs / 2, 1
    bracket = (
        2 * (hidden + r) * (inputs + outputs) + 2 * inputs * outputs - ((hidden + r) ** 2 + inputs**2 + outputs**2)
    )
    odd = (sum(sizes) + r) % 2
    return (bracket + odd) / 8, 1 + odd


def two_layer_linear_learning_coefficient(widths: Sequence[int], ranks: Sequence[int]) -> tuple[float, int]:
    """λ and m of a two-layer linear network *at a point* whose layers and product have known ranks.

    With widths ``N₀, H, N₂``, layers of ranks ``h₁, h₂``, product of rank r and ``k = H − h₁ − h₂ + r``:
    ``λ = ½ [N₀N₂ − (N₀−h₁)(N₂−h₂)] + λ'`` where λ' and m are those of reduced-rank regression with widths
    ``(N₀−h₁, k, N₂−h₂)`` and truth 0.

    Near the point, a change of coordinates turns the entries of ``W₁W₂ − W*`` into ``N₀N₂ − (N₀−h₁)(N₂−h₂)`` single
    coordinates, each worth ½, and the entries of a product of an ``(N₀−h₁) × k`` and a ``k × (N₂−h₂)`` matrix at 0 in
    other coordinates. So λ adds up, and m is that of the product. The smallest λ is at ``h₁ = h₂ = r``.

    Args:
        widths: ``N₀, H, N₂``.
        ranks: ``h₁, h₂, r``.

    Returns:
        (λ, m).

    Raises:
        InputError: If no two matrices have these ranks: ``h₁ ≤ N₀``, ``h₂ ≤ N₂``, ``h₁, h₂ ≤ H`` and
            ``max(0, h₁+h₂−H) ≤ r ≤ min(h₁, h₂)``.

    References: [aoyagi2005]

    Example:
        The function 0, computed at three points.

        >>> [two_layer_linear_learning_coefficient((8, 4, 8), (0, h, 0))[0] for h in (0, 3, 4)]
        [14.0, 14.5, 16.0]
    """
    (inputs, hidden, outputs), (h1, h2, r) = _checked(widths, ranks)
    free = (inputs - h1, hidden - h1 - h2 + r, outputs - h2)
    singular, multiplicity = reduced_rank_learning_coefficient(free, 0)
    return (inputs * outputs - free[0] * free[2]) / 2 + singular, multiplicity


def two_layer_linear(
    widths: Sequence[int] = (8, 4, 8), ranks: Sequence[int] = (3, 3, 2), *, examples: int = 1000, seed: int = 0
) -> GroundTruth:
    """A two-layer linear network at a point with chosen ranks: the point matters, not only the function.

    The layers are partial isometries between random orthonormal frames: all their singular values are 1 or 0, and r
    of the hidden directions that the first layer writes are read by the second. Excess: ``‖W₁W₂ − W*‖² / N₂``.

    Args:
        widths: ``N₀, H, N₂``.
        ranks: ``h₁, h₂, r`` of the layers and of their product.
        examples: Number of whitened inputs, at least ``N₀``.
        seed: Decides inputs and frames.

    Returns:
        The model, with parameters ``{"layers": [{"weight": [in, out]}, …]}``.

    Raises:
        InputError: If no two matrices have these ranks.

    References: [aoyagi2005]

    Example:
        >>> truth = two_layer_linear((8, 4, 8), (2, 4, 2))
        >>> truth.learning_coefficient
        20.0
        >>> [int(np.linalg.matrix_rank(layer["weight"])) for layer in truth.params["layers"]]
        [2, 4]
    """
    (inputs, hidden, outputs), (h1, h2, r) = _checked(widths, ranks)
    coefficient, multiplicity = two_layer_linear_learning_coefficient(widths, ranks)
    generator = np.random.default_rng([seed, 1])
    before, between, after = (orthogonal(width, generator) for width in (inputs, hidden, outputs))
    written, read = between[:, :h1], between[:, h1 - r : h1 - r + h2]
    return linear_truth(
        name=f"two-layer linear {inputs}-{hidden}-{outputs} at ranks {h1}, {h2} with product {r}",
        weights=[before[:, :h1] @ written.T, read @ after[:, :h2].T],
        coefficient=coefficient,
        multiplicity=multiplicity,
        source="derived",
        examples=examples,
        seed=seed,
    )


def reduced_rank(
    widths: Sequence[int] = (5, 3, 5), rank: int = 0, *, examples: int = 1000, seed: int = 0
) -> GroundTruth:
    """Reduced-rank regression at its most singular point: both layers have the rank of the true map.

    Args:
        widths: Inputs, hidden, outputs.
        rank: r, 0 … the smallest width.
        examples: Number of whitened inputs.
        seed: Decides inputs and frames.

    Raises:
        InputError: If the sizes do not fit.

    References: [aoyagi2005]

    Example:
        >>> truth = reduced_rank((3, 4, 3), rank=1)
        >>> truth.learning_coefficient, truth.multiplicity
        (4.5, 2)
    """
    return two_layer_linear(widths, (rank, rank, rank), examples=examples, seed=seed)


def _checked(widths: Sequence[int], ranks: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    widths = whole_numbers("widths", widths, 1, count=3)
    ranks = whole_numbers("ranks", ranks, 0, count=3)
    if len(widths) != 3 or len(ranks) != 3:
        raise InputError(f"expected three widths and three ranks, got {widths} and {ranks}.")
    (inputs, hidden, outputs), (h1, h2, r) = widths, ranks
    if not (h1 <= min(inputs, hidden) and h2 <= min(hidden, outputs) and max(0, h1 + h2 - hidden) <= r <= min(h1, h2)):
        raise InputError(
            f"ranks: no matrices {inputs}×{hidden} and {hidden}×{outputs} have ranks {h1} and {h2} with a product of "
            f"rank {r}; expected h₁ ≤ {min(inputs, hidden)}, h₂ ≤ {min(hidden, outputs)} and "
            f"max(0, h₁+h₂−{hidden}) ≤ r ≤ min(h₁, h₂)."
        )
    return widths, ranks
