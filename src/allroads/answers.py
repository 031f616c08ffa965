"""The questions that a study is asked, each with the findings that answer it, from its summary alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def answers(summary: Mapping[str, Any]) -> list[tuple[str, list[dict[str, Any]], list[dict[str, Any]]]]:
    """Questions with their findings: those for the whole study, then those of one grid each.

    Findings that answer no question come last, under an empty one; questions without a finding stay, so that a reader
    sees what was not measured.

    Args:
        summary: Of a study; ``questions`` and of each finding ``question``, ``headline``, ``grid`` and ``text``.

    Example:
        >>> answers({"questions": {"a": "Why?"}, "findings": [{"text": "So.", "question": "a", "grid": ""}]})
        [('Why?', [{'text': 'So.', 'question': 'a', 'grid': ''}], [])]
    """
    questions = {**(summary.get("questions") or {}), "": ""}
    found = []
    for key, question in questions.items():
        own = [f for f in summary.get("findings") or [] if f.get("question", "") == key]
        heads = [f for f in own if f.get("headline", True)]
        found.append((question, heads, [f for f in own if not f.get("headline", True)]))
    return found if found[-1][1] else found[:-1]
