"""Reading of Boolean expressions: ``"x0 & (x1 ^ ~x2)"`` to a tree, without executing anything."""

from __future__ import annotations

import ast

from allroads.errors import InputError
from allroads.programs.boolean.tree import ONE, ZERO, Node, gate, negation, variable
from allroads.targets.expression import parse as syntax

ALLOWED = "x0, x1, …, 0, 1, &, |, ^, ~, brackets, and counts such as x0 + x1 + x2 >= 2"

_OPS: dict[type[ast.operator], str] = {ast.BitAnd: "&", ast.BitOr: "|", ast.BitXor: "^"}


def parse(text: str) -> Node:
    """The tree of an expression, gates flattened; ``~`` binds tightest, then ``&``, ``^``, ``|``.

    Raises:
        InputError: If the text holds anything but :data:`ALLOWED`.

    Example:
        >>> str(parse("x0 & (x1 & ~x2) | 0"))
        'x0 & x1 & ~x2 | 0'
        >>> parse("(x0 + x1 + ~x2 in (0, 2)) & x3").args[0].counts
        (0, 2)
    """

    def read(node: ast.expr) -> Node:
        if isinstance(node, ast.BinOp) and type(node.op) in _OPS:
            return gate(_OPS[type(node.op)], (read(node.left), read(node.right)))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Invert):
            return negation(read(node.operand))
        if isinstance(node, ast.Constant) and type(node.value) is int and node.value in (0, 1):
            return ONE if node.value else ZERO
        if isinstance(node, ast.Name):
            digits = node.id[1:]
            if node.id[0] == "x" and digits.isascii() and digits.isdigit() and len(digits) <= 4:
                return variable(int(digits))
        if isinstance(node, ast.Compare) and len(node.ops) == 1:
            args = tuple(map(read, _terms(node.left)))
            counts = _counts(node.ops[0], node.comparators[0], len(args))
            if len(args) > 1 and counts is not None:
                return Node("+", args, counts=counts)
        raise InputError(f"formula {text[:80]!r}: {ast.unparse(node)[:40]!r} is not allowed; use {ALLOWED}.")

    try:
        return read(syntax(text, ALLOWED))
    except RecursionError as error:
        raise InputError(f"formula {text[:60]!r}… is nested too deeply; use fewer brackets.") from error


def _terms(node: ast.expr) -> list[ast.expr]:
    """The operands of a sum."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return [*_terms(node.left), *_terms(node.right)]
    return [node]


def _counts(op: ast.cmpop, value: ast.expr, most: int) -> tuple[int, ...] | None:
    """The numbers of true operands that a comparison allows; ``None`` where it is none that a count may have."""
    several = isinstance(op, ast.In) and isinstance(value, ast.Tuple)
    parts = value.elts if isinstance(value, ast.Tuple) and several else [value]
    numbers = [part.value for part in parts if isinstance(part, ast.Constant) and type(part.value) is int]
    if len(numbers) < len(parts) or not all(0 <= number <= most for number in numbers):
        return None
    if several:
        return tuple(sorted(set(numbers)))
    kinds = {ast.GtE: range(numbers[0], most + 1), ast.LtE: range(numbers[0] + 1), ast.Eq: (numbers[0],)}
    return tuple(kinds[type(op)]) if type(op) in kinds else None
