"""Tree edit distance of two expressions."""

from __future__ import annotations

from allroads.programs.boolean.tree import Node, compared


def edit_distance(a: Node, b: Node) -> int:
    """Tree edit distance: the fewest nodes to insert, delete or rename that turn one ordered tree into the other.

    A node is a gate, a negation, a variable or a constant. Of two expressions in normal form it is a metric. It is
    computed by dynamic programming over the leftmost paths, in time ``O(n² d²)`` for n nodes and depth d.

    References: [zhang1989]

    Example:
        >>> from allroads.programs.boolean.parse import parse
        >>> edit_distance(parse("x0 & x1"), parse("x0 | ~x1"))  # the gate, and one negation
        2
    """
    names_a, first_a, roots_a = _postorder(a)
    names_b, first_b, roots_b = _postorder(b)
    distance = [[0] * len(names_b) for _ in names_a]
    for i in roots_a:
        for j in roots_b:
            _fill(distance, (names_a, first_a, i), (names_b, first_b, j))
    return distance[-1][-1]


def _postorder(root: Node) -> tuple[list[str], list[int], list[int]]:
    """Names of the nodes in postorder, the first leaf below each, and the nodes that start a leftmost path."""
    names: list[str] = []
    first: list[int] = []

    def visit(node: Node) -> int:
        starts = [visit(arg) for arg in node.args]
        own = f"+ {compared(node)}" if node.op == "+" else node.op
        names.append(f"x{node.index}" if node.op == "x" else own)
        first.append(starts[0] if starts else len(names) - 1)
        return first[-1]

    visit(root)
    last = {start: place for place, start in enumerate(first)}
    return names, first, sorted(last.values())


def _fill(distance: list[list[int]], a: tuple[list[str], list[int], int], b: tuple[list[str], list[int], int]) -> None:
    (names_a, first_a, i), (names_b, first_b, j) = a, b
    low_a, low_b = first_a[i], first_b[j]
    rows, columns = i - low_a + 2, j - low_b + 2
    forest = [[x + y if not x or not y else 0 for y in range(columns)] for x in range(rows)]
    for x in range(1, rows):
        for y in range(1, columns):
            at, bt = low_a + x - 1, low_b + y - 1
            best = 1 + min(forest[x - 1][y], forest[x][y - 1])
            if first_a[at] == low_a and first_b[bt] == low_b:
                best = min(best, forest[x - 1][y - 1] + (names_a[at] != names_b[bt]))
                distance[at][bt] = best
            else:
                best = min(best, forest[first_a[at] - low_a][first_b[bt] - low_b] + distance[at][bt])
            forest[x][y] = best
