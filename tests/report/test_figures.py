from __future__ import annotations

import re
import struct
import xml.etree.ElementTree as ET

import pytest
from synthetic_study import Task, write_study

from allroads.errors import UnknownNameError
from allroads.report import write_figures
from allroads.report.key import draw_key

SVG = "{http://www.w3.org/2000/svg}"
TITLES = {
    "overview": {"fitted", "agreement", "barrier"},
    "compared": {"Same answer", "Barrier of training loss"},
    "learning": {"step", "accuracy"},
    "loss": {"step", "loss (nats)"},
    "roads": {"InPCA axis 1 (explains 58%)", "InPCA axis 2 (with axis 1: 76%)"},
    "directness": {"steps to fit", "directness (chord / arc)"},
    "turning": {"steps to fit", "turning (radians)"},
    "agreement": {"seed"},
    "barriers": {"seed"},
    "aligned": {"seed"},
}
WHOLE = ("overview", "compared")
KEYS = {
    "overview": [],
    "compared": ["agreement by chance", "agreement", "barrier", "barrier, hidden units matched",
                 "dot: median over the pairs; bar: middle half"],
    "learning": ["training accuracy, median run and middle half", "held-out accuracy, median run and middle half",
                 "fitted", "generalised", "stopped early", "always giving the commonest answer"],
    "loss": ["training loss, median run and middle half", "held-out loss, median run and middle half", "fitted",
             "generalised", "stopped early"],
    "roads": ["and", "<xor>", "start: ignorance", "target: the truth", "solid: certified", "dashed: not certified"],
    "directness": ["and", "<xor>", "hollow: never fitted"],
    "turning": ["and", "<xor>", "hollow: never fitted"],
    "agreement": ["75%", "100%", "probes answered alike"],
    "barriers": ["0", "1.3", "barrier (loss)"],
    "aligned": ["0", "1.3", "barrier (loss)"],
}  # fmt: skip


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    tasks = [Task("../Boolean & co", name, seeds=4, diverge=(1,) if name == "and" else ()) for name in ("and", "<xor>")]
    return write_study(tmp_path_factory.mktemp("small"), tasks, records=16)


@pytest.fixture(scope="module")
def files(small):
    return write_figures(small, "svg")


def test_svg_figures_are_xml_with_axis_titles_and_marks(small, files):
    names = [f"{chart}.svg" if chart in WHOLE else f"{chart}-boolean-co.svg" for chart in TITLES]
    assert [file.name for file in files] == names
    for file, titles in zip(files, TITLES.values(), strict=True):
        assert file.parent == small / "figures"
        root = ET.fromstring(file.read_text(encoding="utf-8"))
        texts = {"".join(text.itertext()).strip() for text in root.iter(f"{SVG}text")}
        assert titles <= texts
        assert {"and", "<xor>"} & texts  # titles of the panels, or marks of the key
        if file.name.startswith("roads"):  # each target keeps its own mark
            assert {"#009e73", "#c368a0"} <= {element.get("fill") for element in root.iter()}
        marks = [
            g
            for g in root.iter(f"{SVG}g")
            if {"mark-line", "mark-symbol", "mark-rect"} & set(g.get("class", "").split())
        ]
        assert sum(len(list(g.iter(f"{SVG}path"))) for g in marks) >= 8


def _boxes(file):
    """Every text of an SVG with its left, top, right and bottom, as wide as its letters are at the most."""
    found = []

    def visit(element, x, y):
        moved = element.get("transform", "")
        if move := re.match(r"translate\(([-\d.]+),([-\d.]+)\)", moved):
            x, y = x + float(move[1]), y + float(move[2])
        if element.tag == f"{SVG}text":
            text, size = "".join(element.itertext()).strip(), float(element.get("font-size").removesuffix("px"))
            wide = 0.6 * size * len(text)
            left = {"middle": x - wide / 2, "end": x - wide}.get(element.get("text-anchor"), x)
            if "rotate" not in moved:
                found.append((text, left, y - 0.5 * size, left + wide, y + 0.2 * size))
        for child in element:
            visit(child, x, y)

    visit(ET.fromstring(file.read_text(encoding="utf-8")), 0.0, 0.0)
    return found


def test_the_key_names_every_sign_and_no_two_texts_of_it_collide(files):
    for file in files:
        words = KEYS[re.split("[-.]", file.name)[0]]
        boxes = _boxes(file)
        lowest = [next(box for box in reversed(boxes) if box[0] == word) for word in words]
        for place, (one, left, top, right, bottom) in enumerate(lowest):
            for other, left_2, top_2, right_2, bottom_2 in lowest[place + 1 :]:
                apart = right <= left_2 or right_2 <= left or bottom <= top_2 or bottom_2 <= top
                assert apart, (file.name, one, other)


def test_a_narrow_key_breaks_into_rows_and_keeps_within_its_width():
    entries = [{"kind": "line", "colour": "#000000", "label": f"a label of some length {i}"} for i in range(5)]
    key = draw_key([*entries, {"kind": "words", "label": "道" * 10}], 420)
    texts = key["layer"][-1]["data"]["values"]
    assert [text["text"] for text in texts] == [entry["label"] for entry in entries] + ["道" * 10]
    assert len({text["y"] for text in texts}) == key["height"] / 18 == 3
    assert all(text["x"] + 5.8 * len(text["text"]) <= 420 for text in texts[:5])
    starts = [stroke["x"] for stroke in key["layer"][0]["data"]["values"]]
    assert min(starts) == 1 and len(starts) == 5


@pytest.mark.slow
def test_labels_that_every_object_of_javascript_has_are_drawn(tmp_path):
    names = ("constructor", "toString", "hasOwnProperty", "__proto__")
    for count in (1, 4):  # alone, and beside others, each has been drawn in its own way
        tasks = [Task("valueOf", name, seeds=2) for name in names[:count]]
        for file in write_figures(write_study(tmp_path / str(count), tasks, records=8), "svg"):
            root = ET.fromstring(file.read_text(encoding="utf-8"))
            texts = {"".join(text.itertext()).strip() for text in root.iter(f"{SVG}text")}
            assert set(names[:count]) & texts == set(names[:count]), file.name


@pytest.mark.slow
def test_png_and_pdf_are_what_they_say(tmp_path):
    small = write_study(tmp_path, [Task("g", "t", seeds=2)], records=8)
    for file in write_figures(small, "png"):
        head = file.read_bytes()[:24]
        assert head.startswith(b"\x89PNG\r\n\x1a\n")
        width, height = struct.unpack(">II", head[16:24])
        assert width > 800 and height > 600
    for file in write_figures(small, "pdf"):
        assert file.read_bytes().startswith(b"%PDF-") and file.stat().st_size > 5000


def test_an_unknown_format_names_the_nearest(small):
    with pytest.raises(UnknownNameError, match="did you mean 'png'"):
        write_figures(small, "pngg")


def test_a_study_without_runs_has_no_figures(tmp_path):
    assert write_figures(write_study(tmp_path, []), "svg") == []
