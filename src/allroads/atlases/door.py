"""The one door to an atlas: from runs, from a study, or from a map that was enumerated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from allroads.atlases.atlas import Atlas
from allroads.atlases.from_runs import from_runs
from allroads.atlases.from_study import from_study
from allroads.checks import check_options
from allroads.errors import InputError


def atlas(source: Any, **options: Any) -> Atlas:
    """Programs as nodes, what lies between them as edges, runs as walks.

    Args:
        source: The labels of runs, each a list of programs, words or numbers in the order of the records; the directory
            of a study that read programs, or what :func:`~allroads.run_study` gave; a map that was enumerated; or a
            result that has an atlas, such as neighbour shares.
        options: For labels: ``steps`` of the records, ``nodes`` (a table of what is known of the labels), ``least``
            (5; fewest changes that must leave a node for its edges to be estimated), ``flicker`` (2; a shorter stay
            from which the label before comes back is a flicker), ``merge_flicker`` (false) and ``most`` (1000; nodes).
            For a study these too, without the first two, and ``grid`` and ``label`` (``"program"`` or ``"function"``).
            For anything else those of its method ``atlas``; for maps and neighbour shares none.

    Returns:
        An :class:`~allroads.Atlas`. Of runs and studies it has edges with the quantity ``changes`` and exact 95 %
        intervals, and ``walks``; of maps ``neighbour_share`` and ``boundary``. ``str`` of it is a summary.

    Raises:
        InputError: If there is no run, a label or an option cannot be used, or the directory holds no programs.

    References: [clopper1934]

    Example:
        >>> found = atlas([["a", "b"]] * 8 + [["a", "c"]] * 2)
        >>> found.names, found.matrix("changes")[0].tolist()
        (['a', 'b', 'c'], [nan, 0.8, 0.2])
    """
    from allroads.atlases.neighbours import EnumeratedMap, Neighbours, enumerated_atlas, neighbours_atlas

    directory = getattr(source, "directory", source)
    own: Any = getattr(source, "atlas", None)
    try:
        if isinstance(directory, str | Path):
            return from_study(directory, **options)
        if isinstance(source, EnumeratedMap):
            return enumerated_atlas(source, **options)
        if isinstance(source, Neighbours):
            return neighbours_atlas(source, **options)
        if own is not None:
            return _checked(own(**options))
        return from_runs(source, **options)
    except TypeError as error:
        if "unexpected keyword" not in str(error):
            raise
        raise InputError(f"atlas: {str(error).split('()')[-1].strip()}; see its options.") from None


def _checked(found: Any) -> Atlas:
    """What a method ``atlas`` gave."""
    check_options("source.atlas()", found, Atlas)
    checked: Atlas = found
    return checked
