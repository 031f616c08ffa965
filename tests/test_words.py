"""Sentences are short: CONTRIBUTING.md allows 25 words."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LIMIT = 25
# A page keeps the rule if no more than this share of its sentences, and no sentence by more than half, is longer.
SHARE = 0.05
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def paragraphs(text: str) -> list[str]:
    """Paragraphs, items of lists and cells of tables of a page, without its code."""
    text = re.sub(r"^```.*?^```$|<[^>]*>", "", text, flags=re.DOTALL | re.MULTILINE)
    found: list[list[str]] = [[]]
    for line in text.splitlines():
        bare = line.strip()
        if bare[:1] == "|":
            found += [[cell] for cell in bare.strip("|").split(" | ")] + [[]]
        elif not bare or bare[:1] in "#!":
            found.append([])
        elif item := re.match(r"(?:[-*]|\d+\.)\s+(.*)", bare):
            found.append([item[1]])
        else:
            found[-1].append(bare)
    return [" ".join(lines) for lines in found if lines]


def sentences(paragraph: str) -> list[str]:
    """Its sentences; what follows a colon or a semicolon counts as one of its own."""
    bare = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", paragraph)  # links
    bare = re.sub(r"\[[a-z]+\d{4}[a-z]?\]", "", bare)  # keys of the bibliography
    bare = re.sub(r"`[^`]*`", "X", bare)
    return re.split(r"(?<=[.!?])[\"”*)]*\s+(?=[^a-z])|(?<=[:;])\s+", bare)


def words(sentence: str) -> int:
    """Words, formulas and numbers left out."""
    return sum(bool(re.search(r"[^\W\d_]{2}", word)) or word in ("a", "A", "I") for word in sentence.split())


def test_sentences_are_told_apart_and_counted():
    text = (
        "# No sentence here\n\nOne is *short*. Two has `code of four words`; three\nends here [saxe2014].\n\n- four\n"
    )
    assert [words(s) for p in paragraphs(text) for s in sentences(p)] == [3, 2, 3, 1]
    assert words("so λ = d/2 on a line of 12 points") == 6


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_sentences_are_short(page):
    found = [sentence for paragraph in paragraphs(page.read_text("utf-8")) for sentence in sentences(paragraph)]
    long = sorted((sentence for sentence in found if words(sentence) > LIMIT), key=words, reverse=True)
    assert len(long) <= SHARE * len(found), "\n".join(long)
    assert not long or words(long[0]) <= 1.5 * LIMIT, long[0]
