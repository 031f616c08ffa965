"""Stays: runs of equal labels along the records of one run, and labels that flicker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Stay:
    """Consecutive records with one label.

    Attributes:
        label: The label.
        first: Index of its first record.
        records: How many records it has.
    """

    label: str
    first: int
    records: int


def stays(labels: Sequence[str]) -> list[Stay]:
    """Consecutive equal labels as one stay each.

    Example:
        >>> [(stay.label, stay.first, stay.records) for stay in stays(["a", "a", "b", "a"])]
        [('a', 0, 2), ('b', 2, 1), ('a', 3, 1)]
    """
    starts = [i for i, label in enumerate(labels) if i == 0 or label != labels[i - 1]]
    ends = [*starts[1:], len(labels)]
    return [Stay(labels[start], start, end - start) for start, end in zip(starts, ends, strict=True)]


def flickers(found: Sequence[Stay], shortest: int) -> list[int]:
    """Places of stays that are shorter than ``shortest`` records and come back to the label before: p → q → p.

    Two flickers may overlap: p → q → p → q, all of one record, has one at q and one at p.

    Example:
        >>> flickers(stays(["a", "a", "b", "a", "c"]), 2)
        [1]
    """
    inner = range(1, len(found) - 1)
    return [i for i in inner if found[i].records < shortest and found[i - 1].label == found[i + 1].label]


def merged(found: Sequence[Stay], shortest: int) -> list[Stay]:
    """Stays without those that flicker, from the first to the last: each joins the stays around it.

    Example:
        >>> [(stay.label, stay.records) for stay in merged(stays(["a", "a", "b", "a", "c"]), 2)]
        [('a', 4), ('c', 1)]
    """
    kept: list[Stay] = []
    for stay in found:
        if len(kept) > 1 and kept[-1].records < shortest and kept[-2].label == stay.label:
            short, before = kept.pop(), kept.pop()
            stay = Stay(stay.label, before.first, before.records + short.records + stay.records)
        kept.append(stay)
    return kept
