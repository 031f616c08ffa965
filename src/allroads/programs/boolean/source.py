"""Python source of a Boolean formula."""

from __future__ import annotations

from collections import Counter

from allroads.programs.boolean.encoding import NAMED, Encoding
from allroads.programs.boolean.tree import OPERATORS, Node, compared, nodes

WIDTH = 96
"""Characters of an expression from which on the operands of its gate get lines of their own."""

LISTED = 16
"""Inputs above which those that are used are named alone."""

_BINDING = {"+": -1, "|": 0, "^": 1, "&": 2}


def source_of(node: Node, inputs: int, reading: Encoding) -> str:
    """Stand-alone Python that defines ``program(x)``; gates that occur more than once are computed once, with a name.

    Example:
        >>> from allroads.programs.boolean.parse import parse
        >>> from allroads.programs.boolean.encoding import as_encoding
        >>> print(source_of(parse("x0 | x1"), 2, as_encoding("signs", (1, -1))))
        def program(x):
            x0, x1 = (v < 0 for v in x[:2])
            return -1 if x0 | x1 else 1
    """
    used = sorted({part.index for part in nodes(node)} - {-1})
    highest = max(used, default=-1)
    lines = ["def program(x):"]
    if inputs > LISTED and used:
        comma = "," if len(used) == 1 else ""
        names, places = (", ".join(shown.format(i) for i in used) for shown in ("x{}", "x[{}]"))
        lines.append(f"    {names}{comma} = ({reading.test} for v in ({places}{comma}))")
    elif highest >= 0:
        names = ", ".join(f"x{i}" for i in range(highest + 1))
        comma = "," if highest == 0 else ""
        lines.append(f"    {names}{comma} = ({reading.test} for v in x[:{highest + 1}])")
    counts = Counter(part for part in nodes(node) if part.op in OPERATORS)
    known: dict[Node, str] = {}
    for part in sorted((part for part, count in counts.items() if count > 1), key=lambda part: (part.gates, str(part))):
        inside = written(part, known)
        known[part] = f"a{len(known)}"
        lines.append(f"    {known[part]} = {inside}")
    whole = written(node, known)
    if len(whole) > WIDTH and node.op == "+":
        known_args = [written(arg, known, "+") for arg in node.args]
        lines.append(f"    found = {known_args[0]}")
        lines += [f"    found += {text}" for text in known_args[1:]]
        whole = f"found {compared(node)}"
    elif len(whole) > WIDTH and node.op in OPERATORS:
        lines.append(f"    found = {written(node.args[0], known)}")
        lines += [f"    found {node.op}= {written(arg, known)}" for arg in node.args[1:]]
        whole = "found"
    zero, one = reading.answers
    if reading.answers == NAMED["bits"]:
        lines.append(f"    return int({whole})")
    else:
        lines.append(f"    return {one!r} if {whole} else {zero!r}")
    return "\n".join(lines)


def written(node: Node, known: dict[Node, str], below: str = "") -> str:
    """An expression in Python over booleans, as an operand of a gate or by itself."""
    if node in known:
        return known[node]
    if node.op == "x":
        return f"x{node.index}"
    if not node.args:
        return "True" if node.op == "1" else "False"
    if node.op == "~":
        inside = written(node.args[0], known)
        return f"(not {inside})" if node.args[0].op not in OPERATORS or node.args[0] in known else f"(not ({inside}))"
    if below:
        text = written(node, known)
        loose = below == "+" or _BINDING[node.op] < _BINDING[below]
        return f"({text})" if loose else text
    whole = f" {node.op} ".join(written(arg, known, node.op) for arg in node.args)
    return f"{whole} {compared(node)}" if node.op == "+" else whole
