"""Polynomials in a and b with integer coefficients, parsed and never executed as Python."""

from __future__ import annotations

import ast

import numpy as np
from jaxtyping import Int

from allroads.errors import InputError
from allroads.targets.expression import parse

_ALLOWED = "a, b, whole numbers, +, −, *, ** and brackets, as in 'a**2 + a*b + 3'"
_HIGHEST_POWER = 10_000


def evaluate_polynomial(
    text: str, a: Int[np.ndarray, "*shape"], b: Int[np.ndarray, "*shape"], modulus: int
) -> Int[np.ndarray, "*shape"]:
    """Values of a polynomial in a and b modulo ``modulus``.

    Args:
        text: The polynomial, in ``a``, ``b``, whole numbers, ``+``, ``-``, ``*``, ``**`` and brackets.
        a: Integers, any shape.
        b: Integers, the same shape.
        modulus: The modulus, 2 … 2^31; every intermediate result is reduced, so nothing overflows.

    Returns:
        Integers in ``0 … modulus − 1``, the shape of ``a``.

    Raises:
        InputError: If the text holds anything else.

    Example:
        >>> evaluate_polynomial("a**2 - b", np.array([3]), np.array([1]), 5).tolist()
        [3]
    """
    what = f"polynomial {text!r}"

    def value(node: ast.expr) -> np.ndarray:
        if isinstance(node, ast.Name) and node.id in ("a", "b"):
            return (a if node.id == "a" else b) % modulus
        if isinstance(node, ast.Constant) and type(node.value) is int:
            return np.full(a.shape, node.value % modulus)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
            inner = value(node.operand)
            return -inner % modulus if isinstance(node.op, ast.USub) else inner
        if isinstance(node, ast.BinOp):
            match node.op:
                case ast.Add():
                    total: np.ndarray = (value(node.left) + value(node.right)) % modulus
                    return total
                case ast.Sub():
                    difference: np.ndarray = (value(node.left) - value(node.right)) % modulus
                    return difference
                case ast.Mult():
                    product: np.ndarray = value(node.left) * value(node.right) % modulus
                    return product
                case ast.Pow():
                    return _power(value(node.left), _exponent(node.right), modulus)
        raise InputError(f"{what}: {ast.unparse(node)!r} is not allowed; use {_ALLOWED}.")

    def _exponent(node: ast.expr) -> int:
        if isinstance(node, ast.Constant) and type(node.value) is int and 0 <= node.value <= _HIGHEST_POWER:
            return node.value
        raise InputError(f"{what}: the exponent {ast.unparse(node)!r} must be a whole number, 0 … {_HIGHEST_POWER}.")

    try:
        return value(parse(text, _ALLOWED))
    except RecursionError as error:
        raise InputError(f"polynomial {text[:60]!r}… is nested too deeply; use fewer brackets.") from error


def _power(base: np.ndarray, exponent: int, modulus: int) -> np.ndarray:
    """Power by repeated squaring, reduced at each product."""
    result = np.ones_like(base) % modulus
    while exponent:
        if exponent & 1:
            result = result * base % modulus
        base, exponent = base * base % modulus, exponent >> 1
    return result
