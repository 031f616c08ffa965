"""Diagrams of programs: nodes and edges are those of the program, and everything is drawn inside its square."""

from __future__ import annotations

import math

import pytest

from allroads.programs.boolean import Formula
from allroads.programs.diagram import RADIUS, Diagram
from allroads.programs.fourier import FourierProgram
from allroads.programs.linear import Recurrence
from allroads.programs.mealy import Machine

DIVIDE = Machine((0, 1), ((0, 1), (2, 0), (1, 2)), ((0, 0), (0, 1), (1, 1)))
SPRING = Recurrence(a=[[1, 1], [0, 1]], b=[[1], [1]], c=[[1, 1]], d=[[1]], start=[0, 0])
PROGRAMS = [DIVIDE, SPRING, Formula.parse("(x0 & x1) ^ ~x2", 3), FourierProgram(11, (2, 3))]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.language)
def test_a_diagram_survives_its_text_and_stays_inside(program):
    diagram = program.diagram
    assert Diagram.of_dict(diagram.to_dict()).edges == diagram.edges
    rows = diagram.marks()
    assert all(abs(row["x"]) <= 1.15 and abs(row["y"]) <= 1.15 for row in rows)
    assert {row["part"] for row in rows if row["kind"] == "edge"} == set(range(len(diagram.edges)))


def test_a_state_graph_has_every_transition_once():
    labels = [(start, end, pair) for start, end, text in DIVIDE.diagram.edges for pair in text.split(", ")]
    expected = [
        (state, DIVIDE.transitions[state][letter], f"{letter}/{DIVIDE.outputs[state][letter]}")
        for state in range(3)
        for letter in range(2)
    ]
    assert sorted(labels) == sorted(expected)


def test_edges_end_on_the_rim_of_their_nodes():
    diagram = DIVIDE.diagram
    for number, (_, end, _) in enumerate(diagram.edges):
        tip = next(row for row in diagram.marks() if row["kind"] == "head" and row["part"] == number)
        _, x, y = diagram.nodes[end]
        assert RADIUS * 0.9 <= math.hypot(tip["x"] - x, tip["y"] - y) <= RADIUS * 1.6


def test_a_machine_of_many_states_has_no_diagram():
    many = Machine((0,), tuple(((q + 1) % 40,) for q in range(40)), tuple((q,) for q in range(40)))
    assert many.diagram is None


def test_arrows_point_along_their_edges_and_bend_to_the_left():
    """Two nodes side by side, with an edge each way: heads turn clockwise from above, and lines part."""
    pair = (("a", -1.0, 0.0), ("b", 1.0, 0.0))
    straight = Diagram("circuit", pair, ((0, 1, ""), (1, 0, "")), straight=True)
    heads = [row["angle"] for row in straight.marks() if row["kind"] == "head"]
    assert heads == pytest.approx([90, 270])
    assert all(row["y"] == 0 for row in straight.marks())
    up = Diagram("circuit", (("a", 0.0, -1.0), ("b", 0.0, 1.0)), ((0, 1, ""),), straight=True)
    assert [row["angle"] for row in up.marks() if row["kind"] == "head"] == pytest.approx([0])
    bent = Diagram("state graph", pair, ((0, 1, ""), (1, 0, ""))).marks()
    sides = [[row["y"] for row in bent if row["kind"] == "edge" and row["part"] == part] for part in (0, 1)]
    # Left of the way to the right is above; at its middle a curve has half the bend of its control point, .16 of 2.
    assert min(sides[0]) > 0 and max(sides[0]) == pytest.approx(0.16, abs=1e-9)
    assert max(sides[1]) < 0 and min(sides[1]) == pytest.approx(-0.16, abs=1e-9)
    for one in (straight, Diagram("state graph", pair, ((0, 1, "x"),))):
        assert Diagram.of_dict(one.to_dict()) == one
