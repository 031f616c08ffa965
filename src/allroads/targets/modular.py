"""Arithmetic modulo p: a polynomial in two numbers."""

from __future__ import annotations

import numpy as np

from allroads.errors import InputError
from allroads.targets.checks import boolean, integer
from allroads.targets.magma import properties
from allroads.targets.polynomial import evaluate_polynomial
from allroads.targets.target import Target

LARGEST_ORDER = 1024


def modular(
    *,
    p: int,
    polynomial: str = "a + b",
    one_hot: bool = False,
    name: str | None = None,
    train_fraction: float | None = None,
    train_size: int | None = None,
    held_out_size: int | None = None,
    seed: int = 0,
) -> Target:
    """All pairs (a, b) of numbers modulo p, and the value of a polynomial in them.

    Inputs are tokens ``[p², 2]`` in the order (0, 0), (0, 1), …; labels are classes ``0 … p−1``, or one-hot rows.

    Args:
        p: The modulus, 2 … 1024; it need not be prime.
        polynomial: In ``a``, ``b``, whole numbers, ``+ - * **`` and brackets.
        one_hot: Labels are rows ``[p², p]`` with a 1 at the answer, to be learned by squared error.
        name: Display name, default ``"<polynomial> mod <p>"``.
        train_fraction: Share of the pairs that trains, default 0.5.
        train_size: How many pairs train, in place of the share.
        held_out_size: How many are held out, default the rest.
        seed: Decides the split.

    Returns:
        The target. Truth: ``p``, ``polynomial`` and the laws that ``a∘b`` obeys, see
        :func:`allroads.targets.magma.properties`.

    Raises:
        InputError: If p or the polynomial cannot be used, or its value never changes.

    Example:
        >>> target = modular(p=7)
        >>> target.train.inputs.shape, target.interface.vocabulary, target.truth["group"]
        ((24, 2), 7, True)
    """
    p = integer("p", p, 2, LARGEST_ORDER)
    boolean("one_hot", one_hot)
    a, b = np.indices((p, p))
    table = evaluate_polynomial(polynomial, a, b, p)
    return from_table(
        name or f"{polynomial} mod {p}",
        table,
        {"p": p, "polynomial": polynomial},
        train_fraction,
        train_size,
        held_out_size,
        seed,
        one_hot,
    )


def from_table(
    name: str,
    table: np.ndarray,
    truth: dict[str, object],
    train_fraction: float | None,
    train_size: int | None,
    held_out_size: int | None,
    seed: int,
    one_hot: bool = False,
) -> Target:
    """The target of a binary operation ``table[a, b]`` on ``0 … n−1``.

    It trains on half of the pairs where nothing else is said. With ``one_hot`` labels are rows of numbers, and the loss
    is squared error.

    Raises:
        InputError: If the table is constant, or a size cannot be used.

    Example:
        >>> from_table("projection", np.indices((3, 3))[0], {}, None, None, None, 0).truth["associative"]
        True
    """
    n = len(table)
    if (table == table.flat[0]).all():
        raise InputError(f"{name}: every answer is {table.flat[0]}: one class only, nothing to learn; choose another.")
    if train_fraction is None and train_size is None:
        train_fraction = 0.5
    rows = np.eye(n)
    return Target(
        name,
        inputs=np.indices((n, n)).reshape(2, -1).T,
        alphabet=n,
        function=lambda pair: rows[table[pair[0], pair[1]]] if one_hot else int(table[pair[0], pair[1]]),
        complete=True,
        classes=None if one_hot else n,
        loss="mse" if one_hot else None,
        per_position=False if one_hot else None,
        vectorised=False,
        train_fraction=train_fraction,
        train_size=train_size,
        held_out_size=held_out_size,
        seed=seed,
        truth={**truth, **properties(table)},
    )
