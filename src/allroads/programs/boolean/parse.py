"""Reading of Boolean expressions: ``"x0 & (x1 ^ ~x2)"`` to a tree, without executing anything."""

from __future__ import annotations

import ast

from allroads.errors import InputError
from allroads.programs.boolean.tree import ONE, ZERO, Node, gate, negation, variable
from allroads.targets.expression import parse as syntax

ALLOWED = "x0, x1, …, 0, 1, &, |, ^, ~ and brackets"

_OPS: dict[type[ast.operator], str] = {ast.BitAnd: "&", ast.BitOr: "|", ast.BitXor: "^"}


def parse(text: str) -> Node:
    """The tree of an expression, gates flattened; ``~`` binds tightest, then ``&``, ``^``, ``|``.

    Raises:
        InputError: If the text holds anything but :data:`ALLOWED`.

    Example:
        >>> str(parse("x0 & (x1 & ~x2) | 0"))
        'x0 & x1 & ~x2 | 0'
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
        raise InputError(f"formula {text[:80]!r}: {ast.unparse(node)[:40]!r} is not allowed; use {ALLOWED}.")

    try:
        return read(syntax(text, ALLOWED))
    except RecursionError as error:
        raise InputError(f"formula {text[:60]!r}… is nested too deeply; use fewer brackets.") from error
