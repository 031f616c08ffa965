"""Charts of programs: nodes and edges of a state graph, a circuit, a frequency wheel or a recurrence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from allroads.errors import InputError
from allroads.plots import chart

if TYPE_CHECKING:
    import altair

    from allroads.programs import Extraction

INK, LINE, PAPER = "#1d2129", "#8b919c", "#ffffff"


@chart("Extraction")
def program(found: Extraction) -> altair.Chart:
    """The program that was read, as nodes and edges.

    Raises:
        InputError: If there is no program, or its language has no drawing of it.
    """
    import altair as alt

    diagram = None if found.program is None else found.program.diagram
    if diagram is None:
        what = "no program was read" if found.program is None else "the program has no drawing"
        raise InputError(f"{what}; read the fields of the result instead.")
    marks = diagram.marks()
    drawn: altair.Chart = diagram_layers(
        alt.Data(values=marks), len([m for m in marks if m["kind"] == "node"])
    ).properties(width=360, height=360)
    return drawn


def diagram_layers(data: Any, nodes: int) -> Any:
    """The layers of a diagram: edges, arrow heads, nodes, and their labels.

    Args:
        data: Rows of :meth:`allroads.programs.diagram.Diagram.marks`.
        nodes: How many there are: many on one ring are drawn small enough to lie side by side.
    """
    import altair as alt

    each = f"min(width, height) / {max(nodes, 1)}"
    disc, letter = alt.expr(f"min(520, 4.7 * pow({each}, 2))"), alt.expr(f"min(10, 1.4 * {each})")

    square = alt.Scale(domain=[-1.15, 1.15])
    at = alt.Chart(data).encode(x=alt.X("x:Q", axis=None, scale=square), y=alt.Y("y:Q", axis=None, scale=square))

    def kind(name: str) -> Any:
        return at.transform_filter(f"datum.kind === '{name}'")

    return alt.layer(
        kind("edge").mark_line(color=LINE, strokeWidth=1.1).encode(detail="part:N", order="order:Q"),
        kind("head")
        .mark_point(shape="triangle-up", filled=True, size=45, color=LINE, opacity=1)
        .encode(angle=alt.Angle("angle:Q", scale=alt.Scale(domain=[0, 360], range=[0, 360]))),
        kind("dot").mark_point(filled=True, size=14, color=LINE, opacity=1),
        kind("node").mark_point(shape="circle", filled=True, size=disc, color=PAPER, stroke=INK, opacity=1),
        kind("node").mark_text(fontSize=letter, color=INK).encode(text="text:N"),
        kind("label").mark_text(fontSize=9, color=INK).encode(text="text:N"),
    )
