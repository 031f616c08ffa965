"""Boolean expressions in ``x0, x1, …``, parsed and never executed as Python."""

from __future__ import annotations

import ast
from collections.abc import Callable

import numpy as np

from allroads.errors import InputError

LONGEST = 10_000
"""Most characters that an expression may have."""

_OPERATORS: dict[type[ast.operator], Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    ast.BitAnd: np.logical_and,
    ast.BitOr: np.logical_or,
    ast.BitXor: np.logical_xor,
}
_ALLOWED = "x0, x1, …, 0, 1, &, |, ^, ~ and brackets"


def parse(text: str, allowed: str) -> ast.expr:
    """The syntax tree of one expression; nothing is executed.

    Args:
        text: The expression.
        allowed: What the language allows, for the message.

    Raises:
        InputError: If the text is no expression or too long.

    Example:
        >>> type(parse("a + b", "sums")).__name__
        'BinOp'
    """
    if not isinstance(text, str) or len(text) > LONGEST:
        raise InputError(f"expression {str(text)[:60]!r}: expected a text of at most {LONGEST} characters.")
    try:
        return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise InputError(f"expression {text[:200]!r} cannot be read ({error}); use {allowed}.") from error


def named_variables(text: str) -> list[int]:
    """Indices of the variables that an expression names, ascending.

    Raises:
        InputError: If the expression cannot be read.

    Example:
        >>> named_variables("x0 & (x1 ^ x4)")
        [0, 1, 4]
    """
    tree = parse(text, _ALLOWED)
    return sorted({_index(node.id, text) for node in ast.walk(tree) if isinstance(node, ast.Name)})


def evaluate_expression(text: str, bits: np.ndarray) -> np.ndarray:
    """Truth values of an expression.

    Python's precedence holds: ``~`` binds tightest, then ``&``, ``^``, ``|``.

    Args:
        text: The expression, in ``x0, x1, …``, ``0``, ``1``, ``&``, ``|``, ``^``, ``~`` and brackets.
        bits: Values of the variables, booleans ``[N, n]``.

    Returns:
        Booleans ``[N]``.

    Raises:
        InputError: If the text holds anything else, or a variable that ``bits`` does not have.

    Example:
        >>> evaluate_expression("x0 & ~x1", np.array([[True, False], [True, True]])).tolist()
        [True, False]
    """

    def value(node: ast.expr) -> np.ndarray:
        if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
            return _OPERATORS[type(node.op)](value(node.left), value(node.right))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Invert):
            return ~value(node.operand)
        if isinstance(node, ast.Constant) and node.value in (0, 1):
            return np.full(len(bits), bool(node.value))
        if isinstance(node, ast.Name):
            i = _index(node.id, text)
            if i >= bits.shape[1]:
                raise InputError(
                    f"expression {text!r} names x{i} and there are {bits.shape[1]} bits, "
                    f"x0 … x{bits.shape[1] - 1}; raise bits or use one of these."
                )
            return bits[:, i]
        raise InputError(f"expression {text!r}: {ast.unparse(node)!r} is not allowed; use {_ALLOWED}.")

    try:
        return value(parse(text, _ALLOWED))
    except RecursionError as error:
        raise InputError(f"expression {text[:60]!r}… is nested too deeply; use fewer brackets.") from error


def _index(name: str, text: str) -> int:
    digits = name[1:]
    if name[:1] != "x" or not (digits.isascii() and digits.isdigit()) or len(digits) > 4:
        raise InputError(f"expression {text!r}: unknown name {name!r}; the variables are x0, x1, ….")
    return int(digits)
