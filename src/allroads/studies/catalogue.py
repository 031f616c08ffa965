"""What there is: the kinds a study can be made of, the built-in studies, the cells of a run directory."""

from __future__ import annotations

import functools
import inspect
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from allroads.errors import InputError, nearest_name
from allroads.studies.garbage import uncollected

KINDS = ("targets", "architectures", "explorers", "measures", "studies")
"""What can be listed by name."""

LABELS = ("grid", "target", "architecture", "explorer")


def list_kinds(kind: str) -> dict[str, str]:
    """The names of a kind, each with a sentence.

    Example:
        >>> "adam" in list_kinds("explorers")
        True
    """
    if kind == "studies":
        from allroads.studies.toml import builtin_studies

        studies = {name: tomllib.loads(file.read_text("utf-8")) for name, file in builtin_studies().items()}
        return {name: study.get("question", "") for name, study in sorted(studies.items())}
    if kind == "measures":
        from allroads.studies.measures.registry import known_measures

        return {
            name: (inspect.getdoc(measure.compute) or "").partition("\n")[0]
            for name, measure in known_measures().items()
        }
    from allroads.studies.parts import registry

    factories = registry(kind.removesuffix("s"))
    return {name: _sentence(factory) for name, factory in sorted(factories.items())}


def _sentence(factory: Callable[..., Any]) -> str:
    """The first line of a factory's docstring; a partial function without its own has that of its function."""
    while isinstance(factory, functools.partial) and factory.__doc__ == functools.partial.__doc__:
        factory = factory.func
    return (factory.__doc__ or "").strip().partition("\n")[0]


def list_cells(directory: str | Path) -> list[dict[str, Any]]:
    """The finished cells of a run directory, headers checked: one row per cell.

    Raises:
        InputError: If it is not a run directory.
        StoreError: If a cell's header is damaged.
    """
    from allroads.studies.store import Store

    store = Store(directory)
    if not (store.directory / "study.json").is_file():
        near = nearest_name(str(directory), KINDS)
        hint = f" Did you mean {near!r}?" if near else ""
        raise InputError(
            f"{str(directory)!r} is neither one of {', '.join(KINDS)} nor a run directory: it has no study.json.{hint}"
        )
    with uncollected():
        rows = [_cell_row(cell, store.read("cells", cell).header) for cell in store.list("cells")]
    return sorted(rows, key=lambda row: [row[name] for name in (*LABELS, "seed")])


def _cell_row(cell: str, header: Mapping[str, Any]) -> dict[str, Any]:
    labels = {name: header[name] for name in LABELS}
    return {"run": cell[:10], **labels, "seed": header["identity"]["member"], "status": header["scalars"]["status"]}
