"""One word, one colour: what texts call a colour is the hue that is drawn."""

import colorsys
import re
from pathlib import Path

import pytest

from allroads.report import charts, palette
from allroads.report.shell import resource

HUES = {  # degrees on the colour wheel that go by each word in English
    "blue": (195, 255),
    "orange": (18, 36),
    "green": (90, 170),
    "purple": (280, 335),
    "amber": (37, 48),
    "sky": (195, 215),
    "brown": (20, 40),
}
DRAWN = {
    "blue": palette.TRAIN,
    "orange": palette.HELD_OUT,
    **dict(zip(("green", "purple", "amber", "sky"), palette.GROUP_COLOURS, strict=True)),
    "brown": palette.BARRIER[2],
}


@pytest.mark.parametrize("word", DRAWN)
def test_a_colour_has_the_hue_of_its_word(word):
    red, green, blue = (int(DRAWN[word][place : place + 2], 16) / 255 for place in (1, 3, 5))
    hue = 360 * colorsys.rgb_to_hls(red, green, blue)[0]
    low, high = HUES[word]
    assert low <= hue <= high


def test_texts_name_no_other_colour():
    """Words for hues in the page, its script and its captions are among those above; red is the line that is orange."""
    texts = [resource(name) for name in ("template.html", "point.html", "macros.html", "charts.js", "page.js")]
    texts += [path.read_text("utf-8") for path in Path(charts.__file__).parent.glob("*.py")]
    others = re.compile(r"\b(red|vermill?ion|pink|violet|magenta|yellow|cyan|teal|turquoise)\b", re.IGNORECASE)
    assert [others.findall(text) for text in texts] == [[]] * len(texts)
