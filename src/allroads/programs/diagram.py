"""Diagram of a program: nodes and labelled edges in the plane, such as a state graph or a circuit."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

RADIUS = 0.09
"""Radius of a node; diagrams are about 2 wide and 2 high."""

POINTS = 16
"""Points along a bent edge."""


@dataclass(frozen=True)
class Diagram:
    """Nodes and edges of a program, placed in the square from -1 to 1.

    Args:
        kind: What it is: ``"state graph"``, ``"circuit"``, ``"frequency wheel"`` or ``"recurrence"``.
        nodes: ``(label, x, y)`` of each node; one without a label is a dot.
        edges: ``(from, to, label)`` by the numbers of the nodes.
        straight: Whether edges are straight; otherwise they bend to their left, so that two opposite ones stay apart.

    Example:
        >>> found = Diagram("circuit", (("x0", -1.0, 0.0), ("~", 1.0, 0.0)), ((0, 1, ""),), straight=True)
        >>> [(row["kind"], row["text"]) for row in found.marks() if row["kind"] == "node"]
        [('node', 'x0'), ('node', '~')]
    """

    kind: str
    nodes: tuple[tuple[str, float, float], ...]
    edges: tuple[tuple[int, int, str], ...]
    straight: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The diagram in JSON's own types."""
        nodes = [[label, round(x, 4), round(y, 4)] for label, x, y in self.nodes]
        return {"kind": self.kind, "nodes": nodes, "edges": [list(e) for e in self.edges], "straight": self.straight}

    @classmethod
    def of_dict(cls, given: Mapping[str, Any]) -> Diagram:
        """The diagram that :meth:`to_dict` gave.

        Example:
            >>> one = Diagram("state graph", (("0", 0.0, 1.0),), ((0, 0, "a/b"),))
            >>> Diagram.of_dict(one.to_dict()) == one
            True
        """
        nodes = tuple((str(label), float(x), float(y)) for label, x, y in given["nodes"])
        edges = tuple((int(a), int(b), str(label)) for a, b, label in given["edges"])
        return cls(str(given["kind"]), nodes, edges, bool(given["straight"]))

    def marks(self) -> list[dict[str, Any]]:
        """What is drawn, as rows ``kind, part, order, x, y, angle, text``.

        The kinds are ``edge``, ``head``, ``label``, ``node`` and ``dot``. An ``edge`` is a point of a line, in order, a
        line per part. A ``head`` is the tip of an arrow, its angle in degrees clockwise from above. A ``label`` is that
        of an edge.
        """
        rows = [
            _mark("node" if label else "dot", number, 0, x, y, text=label)
            for number, (label, x, y) in enumerate(self.nodes)
        ]
        for number, (start, end, label) in enumerate(self.edges):
            points = self._line(start, end)
            rows += [_mark("edge", number, order, x, y) for order, (x, y) in enumerate(points)]
            (x0, y0), (x1, y1) = points[-2:]
            if self.nodes[end][0]:
                rows.append(_mark("head", number, 0, x1, y1, math.degrees(math.atan2(x1 - x0, y1 - y0)) % 360))
            if label:
                x, y = self._beside(start, end, points)
                rows.append(_mark("label", number, 0, x, y, text=label))
        return rows

    def _line(self, start: int, end: int) -> list[tuple[float, float]]:
        """Points from the rim of one node to the rim of another; a loop leaves away from the middle."""
        (_, x0, y0), (_, x1, y1) = self.nodes[start], self.nodes[end]
        if start == end:
            out = math.atan2(y0, x0) if (x0, y0) != (0, 0) else math.pi / 2
            centre = x0 + 1.8 * RADIUS * math.cos(out), y0 + 1.8 * RADIUS * math.sin(out)
            turns = [out + math.pi + side * 0.6 for side in (1, -1)]
            angles = [turns[0] + k * (turns[1] - turns[0] + 2 * math.pi) / POINTS for k in range(POINTS + 1)]
            return [(centre[0] + 1.3 * RADIUS * math.cos(a), centre[1] + 1.3 * RADIUS * math.sin(a)) for a in angles]
        bend = 0.0 if self.straight else 0.16
        mx, my = (x0 + x1) / 2 - bend * (y1 - y0), (y0 + y1) / 2 + bend * (x1 - x0)
        whole = [
            (
                (1 - t) ** 2 * x0 + 2 * t * (1 - t) * mx + t * t * x1,
                (1 - t) ** 2 * y0 + 2 * t * (1 - t) * my + t * t * y1,
            )
            for t in (k / (4 * POINTS) for k in range(4 * POINTS + 1))
        ]
        rims = [RADIUS if label else 0.0 for label in (self.nodes[start][0], self.nodes[end][0])]
        free = [
            (x, y) for x, y in whole if math.hypot(x - x0, y - y0) >= rims[0] and math.hypot(x - x1, y - y1) >= rims[1]
        ]
        return free if len(free) >= 2 else [whole[0], whole[-1]]

    def _beside(self, start: int, end: int, points: Sequence[tuple[float, float]]) -> tuple[float, float]:
        x, y = points[len(points) // 2]
        if start == end:
            away = math.hypot(x, y) or 1.0
            return x * (1 + 0.09 / away), y * (1 + 0.09 / away)
        (_, x0, y0), (_, x1, y1) = self.nodes[start], self.nodes[end]
        length = math.hypot(x1 - x0, y1 - y0) or 1.0
        return x - 0.06 * (y1 - y0) / length, y + 0.06 * (x1 - x0) / length


def _mark(kind: str, part: int, order: int, x: float, y: float, angle: float = 0.0, text: str = "") -> dict[str, Any]:
    return {"kind": kind, "part": part, "order": order, "x": x, "y": y, "angle": angle, "text": text}


def ring(labels: Sequence[str], radius: float = 0.75) -> tuple[tuple[str, float, float], ...]:
    """Nodes on a circle, clockwise from above.

    Example:
        >>> ring(["0"])
        (('0', 0.0, 0.75),)
    """
    turn = 2 * math.pi / max(1, len(labels))
    return tuple(
        (label, round(radius * math.sin(k * turn), 9), round(radius * math.cos(k * turn), 9))
        for k, label in enumerate(labels)
    )


def layers(columns: Sequence[Sequence[str]]) -> tuple[tuple[str, float, float], ...]:
    """Nodes in columns from left to right, each column centred.

    Example:
        >>> layers([["x0", "x1"], ["&"]])
        (('x0', -0.9, 0.45), ('x1', -0.9, -0.45), ('&', 0.9, 0.0))
    """
    across = 1.8 / max(1, len(columns) - 1)
    return tuple(
        (label, round(-0.9 + k * across, 9), round(0.9 * (1 - (2 * i + 1) / len(column)), 9))
        for k, column in enumerate(columns)
        for i, label in enumerate(column)
    )


def shortened(texts: Iterable[str], most: int = 3) -> str:
    """The first few texts, one after the other, and how many more there are.

    Example:
        >>> shortened("abcde"), shortened("ab")
        ('a, b, c, … (5)', 'a, b')
    """
    listed = list(texts)
    return ", ".join(listed) if len(listed) <= most else f"{', '.join(listed[:most])}, … ({len(listed)})"
