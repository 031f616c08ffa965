from __future__ import annotations

import struct
import xml.etree.ElementTree as ET

import pytest
from synthetic_study import Task, write_study

from allroads.errors import UnknownNameError
from allroads.report import write_figures

SVG = "{http://www.w3.org/2000/svg}"
TITLES = {
    "learning": {"step", "accuracy"},
    "loss": {"step", "loss"},
    "roads": {"InPCA axis 1 (explains 58%)", "InPCA axis 2 (with axis 1: 76%)"},
    "directness": {"steps to fit", "directness (chord / arc; chart: sphere)", "turning (radians; chart: sphere)"},
    "barriers": {"seed", "barrier"},
    "agreement": {"seed", "agreement"},
}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    tasks = [Task("../Boolean & co", name, seeds=4, diverge=(1,) if name == "and" else ()) for name in ("and", "<xor>")]
    return write_study(tmp_path_factory.mktemp("small"), tasks, records=16)


def test_svg_figures_are_xml_with_axis_titles_and_marks(small):
    files = write_figures(small, "svg")
    assert [file.name for file in files] == [f"{chart}-boolean-co.svg" for chart in TITLES]
    for file, titles in zip(files, TITLES.values(), strict=True):
        assert file.parent == small / "figures"
        root = ET.fromstring(file.read_text(encoding="utf-8"))
        texts = {"".join(text.itertext()) for text in root.iter(f"{SVG}text")}
        assert titles <= texts
        if file.name.startswith("directness"):
            assert {"and", "<xor>"} <= texts  # the legend
        else:
            assert {"and", "<xor>"} & texts  # titles of the panels
        if file.name.startswith("roads"):  # each target keeps its own mark
            assert {"#009e73", "#c368a0"} <= {element.get("fill") for element in root.iter()}
        marks = [
            g
            for g in root.iter(f"{SVG}g")
            if {"mark-line", "mark-symbol", "mark-rect"} & set(g.get("class", "").split())
        ]
        assert sum(len(list(g.iter(f"{SVG}path"))) for g in marks) >= 8


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
