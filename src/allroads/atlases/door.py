"""The one door to an atlas: from runs, from a study, or from an enumerated map."""

from __future__ import annotations

from typing import Any

from allroads.atlases.atlas import Atlas
from allroads.atlases.from_runs import from_runs


def atlas(source: Any, **options: Any) -> Atlas:
    """Programs as nodes, roads as edges.

    Args:
        source: The labels of runs, as :func:`from_runs` takes them.
        options: Of the function that the source goes to.

    Example:
        >>> atlas([["a", "b"]] * 8 + [["a", "c"]] * 2).names
        ['a', 'b', 'c']
    """
    return from_runs(source, **options)
