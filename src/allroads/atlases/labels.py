"""Labels of records as the names of nodes: programs, words and numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterable, Mapping
from typing import Any

import numpy as np

from allroads.atlases.tables import NONE, NONE_LABEL
from allroads.errors import InputError
from allroads.programs.program import Program

SHORT = 60
"""Characters, at most, of an expression that stands as a label."""


class Labels:
    """Names of nodes, each with what is known of it, as labels are met."""

    def __init__(self) -> None:
        self._names: dict[Hashable, str] = {}
        self._labels: dict[str, Hashable] = {}
        self.details: dict[str, Mapping[str, Any]] = {}

    def name(self, label: Hashable) -> str:
        """The node of one label; ``None`` is the node of what has no program.

        Raises:
            InputError: If the label is no program, word or number, or two labels that differ have one name.
        """
        try:
            if label in self._names:
                return self._names[label]
        except TypeError:
            raise InputError(f"runs: {label!r} cannot be a label; give programs, words, numbers or None.") from None
        details = _details(label)
        name = str(details["node"])
        if name in self._labels and not isinstance(label, Program) and name != NONE:
            raise InputError(f"runs: {self._labels[name]!r} and {label!r} would be one node; give labels of one type.")
        self._names[label], self._labels[name] = name, label
        self.details.setdefault(name, details)
        return name


def _details(label: Any) -> dict[str, Any]:
    if label is None or label == NONE:
        return {"node": NONE, "label": NONE_LABEL}
    if isinstance(label, Program):
        least = label.canonical()
        return program_node(least.language, least.source, float(least.bits), least.parts)
    if isinstance(label, float | np.floating) and label != label:
        raise InputError("runs: a label is NaN; give None where nothing was read.")
    name = str(label)
    if not name.isascii() and any("\ud800" <= letter <= "\udfff" for letter in name):
        raise InputError(f"runs: the label {name!r:.60} is not valid Unicode; decode it as UTF-8.")
    return {"node": name, "label": name}


def program_node(language: str, source: str, bits: float | None, parts: Iterable[str] | None) -> dict[str, Any]:
    r"""The row of a program: its name is its language with a digest of the source of its normal form.

    Args:
        language: Of the program.
        source: Of its normal form.
        bits: Its length.
        parts: Names of its sub-programs.

    Example:
        >>> program_node("formula", "def program(x):\n    return int(x[0])", 4.0, ["x0"])["label"]
        'x[0]'
        >>> source = "def program(x):\n    return int(x0 ^ (x1 | (not x0) & (not x2) & (not x3)))"
        >>> program_node("boolean", source, 33.9, None)["label"]
        'x0 ^ (x1 | (not x0) & (not x2) & (not x3))'
    """
    name = f"{language} {hashlib.sha256(source.encode()).hexdigest()[:8]}"
    row = {"node": name, "label": _short(source) or name, "language": language, "source": source, "bits": bits}
    return row | {"parts": None if parts is None else sorted(parts)}


def _short(source: str) -> str:
    """What a program of few lines returns, where that is short."""
    lines = source.strip().splitlines()
    last = lines[-1].strip() if lines else ""
    if len(lines) > 3 or not last.startswith("return "):
        return ""
    said = _bare(_bare(last.removeprefix("return "), "int("), "(")
    return said if len(said) <= SHORT else ""


def _bare(text: str, opened: str) -> str:
    """A text without what is around all of it, ``opened`` and a bracket.

    Example:
        >>> _bare("(not x0)", "("), _bare("(x0) & (x1)", "(")
        ('not x0', '(x0) & (x1)')
    """
    if not (text.startswith(opened) and text.endswith(")")):
        return text
    inner, depth = text[len(opened) : -1], 0
    for letter in inner:
        depth += (letter == "(") - (letter == ")")
        if depth < 0:
            return text
    return inner
