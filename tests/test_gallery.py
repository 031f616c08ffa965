"""The scripts of docs/gallery run, print what the page says, and save the picture that it shows."""

from __future__ import annotations

import re
import runpy
import struct
from pathlib import Path

import pytest

GALLERY = Path(__file__).parents[1] / "docs" / "gallery"
SCRIPTS = sorted(GALLERY.glob("*.py"))
PAGE = (GALLERY / "index.md").read_text("utf-8")
KILOBYTES = 150
NEEDS_TORCH = {"what_lies_around"}

number = re.compile(r"\d+(?:\.\d+)?(?:e[+-]?\d+)?")


def section(script: Path) -> str:
    """What the page says of one script: from the link to it to the next heading."""
    begin = PAGE.index(f"]({script.name})")
    end = PAGE.find("\n## ", begin)
    return PAGE[begin : end if end > 0 else None]


def block(script: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", section(script), re.DOTALL | re.MULTILINE)[0].splitlines()


def code(script: Path) -> list[str]:
    """The lines of code, without cells of text."""
    cells = re.split(r"^# %%", script.read_text("utf-8"), flags=re.MULTILINE)
    return [line for cell in cells if not cell.startswith(" [markdown]") for line in cell.splitlines() if line.strip()]


def test_the_page_shows_every_script_with_its_first_lines_and_its_picture():
    assert len(SCRIPTS) == 5
    for script in SCRIPTS:
        shown = [line for line in block(script, "py") if line.strip()]
        assert len(shown) >= 5 and shown == code(script)[: len(shown)], script.name
        assert f"]({script.stem}.png)" in section(script)
    for link in re.findall(r"\]\(([^)#\s]+)\)", PAGE):
        assert (GALLERY / link).exists(), link


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_script_is_cells_that_begin_with_its_question(script):
    lines = script.read_text("utf-8").splitlines()
    assert lines[0] == "# %% [markdown]" and re.match(r"# # .+\?$", lines[1])
    assert lines[-1].startswith("picture.save(")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_pictures_are_small(script):
    data = (GALLERY / f"{script.stem}.png").read_bytes()
    assert data.startswith(b"\x89PNG") and len(data) <= KILOBYTES * 1024


def same(said: str, printed: str) -> bool:
    """Equal words, and numbers that differ by at most a quarter, or by 0.03."""
    if number.sub("#", said) != number.sub("#", printed):
        return False
    pairs = zip(map(float, number.findall(said)), map(float, number.findall(printed)), strict=True)
    return all(abs(a - b) <= max(0.25 * max(a, b), 0.03) for a, b in pairs)


def test_numbers_that_differ_are_told_from_rounding():
    assert same("barrier: 0.228, aligned: 0.038", "barrier: 0.231, aligned: 0.041")
    assert not same("barrier: 0.228", "barrier: 0.128") and not same("0.2 of 9", "0.2 in 9")
    assert not same("took 89", "took 120") and not same("1 and 2", "1")


@pytest.mark.slow
@pytest.mark.stored
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_script_prints_what_the_page_says_and_saves_its_picture(script, tmp_path, monkeypatch, capsys):
    if script.stem in NEEDS_TORCH:
        pytest.importorskip("torch", reason=f"{script.name} shows a PyTorch module: pip install 'allroads[torch]'")
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(script), run_name="__main__")
    printed, said = capsys.readouterr().out.splitlines(), block(script, "text")
    assert len(printed) == len(said), printed
    differing = [(a, b) for a, b in zip(said, printed, strict=True) if not same(a, b)]
    assert not differing
    assert [file.name for file in tmp_path.iterdir()] == [f"{script.stem}.png"]
    made, shown = (
        file.read_bytes()[16:24] for file in (tmp_path / f"{script.stem}.png", GALLERY / f"{script.stem}.png")
    )
    for a, b in zip(struct.unpack(">II", made), struct.unpack(">II", shown), strict=True):
        assert a == pytest.approx(b, rel=0.1)  # width and height, which hang on the words in the picture
