"""Whether a study is finished, found out without building anything of it."""

from __future__ import annotations

import contextlib
import glob
import hashlib
import json
import re
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import allroads
from allroads.errors import InputError
from allroads.studies.canonical import canonical, digest
from allroads.studies.config import Study
from allroads.studies.parts import importable, source_digest
from allroads.studies.store import SCHEMA_VERSION, Store
from allroads.studies.toml import Source

INDEX = "tables/index.json"
ROLES = ("target", "architecture", "explorer", "measure")
"""What installed packages can offer, as entry points of the groups ``allroads.targets`` and so on."""

LEVELS = 3
"""Folders under that of the user's own runs in which checkpoints may lie: a seed's, a step's."""


def request(study: Study, source: Source) -> str:
    """A digest of what is asked for: the configuration, the state of the package and of what it names.

    The engine is no part of it. States of files are sizes and times of change: where one differs, the study
    is planned anew, and nothing that is stored is computed again.
    """
    package = Path(allroads.__file__).parent
    asked = study.model_dump(mode="json", exclude={"engine"})
    states = [_state(path) for path in sorted(package.rglob("*.py"))]
    with importable(str(source.folder)):
        grids = [choice for grid in study.grid for choice in (*grid.target, *grid.architecture, *grid.explorer)]
        likes = [runs.like for runs in study.runs if runs.like is not None]
        for choice in (*grids, *likes, *study.measures.own):
            states += [_named(value, source.folder) for value in choice.options.values() if isinstance(value, str)]
        for runs in study.runs:
            states += [_named(runs.network, source.folder), _named(runs.data, source.folder)]
            states += [_state(path) for path in _checkpoints(source.folder / runs.checkpoints)]
        offered = [_offered(point) for role in ROLES for point in entry_points(group=f"allroads.{role}s")]
    return digest({"schema_version": SCHEMA_VERSION, "study": asked, "states": states, "offered": offered})


def _offered(point: EntryPoint) -> list[Any]:
    """The state of what an installed package offers."""
    version = point.dist.version if point.dist is not None else None
    return [point.group, point.name, point.value, version, _named(point.value, Path())]


def _checkpoints(path: Path) -> list[Path]:
    """The files of weights of the user's own runs, wherever they may lie under a directory or a pattern."""
    levels = ("", *("/*" * depth + "/*.safetensors" for depth in range(LEVELS)))
    found = {name for level in levels for name in glob.glob(f"{path}{level}", recursive=True)}
    return [Path(name) for name in sorted(found) if name.endswith(".safetensors")]


def _named(text: str, folder: Path) -> Any:
    """The state of the file or of the user's module that an option names, if it names one."""
    if re.fullmatch(r"[\w.]+:\w+", text):
        with contextlib.suppress(InputError):
            return source_digest(text)
    path = folder / text
    return _state(path) if 0 < len(text) < 1000 and "\0" not in text and path.is_file() else None


def _state(path: Path) -> list[Any]:
    status = path.stat()
    return [str(path), status.st_size, status.st_mtime_ns]


def write_tables(store: Store, asked: str, tables: Mapping[str, Any], summary: Mapping[str, Any]) -> None:
    """Put tables and summary in place, and last the index that says what they are the tables of."""
    from allroads.studies.store import table_bytes

    files = {f"tables/{name}.parquet": table_bytes(table) for name, table in tables.items()}
    files["tables/summary.json"] = json.dumps(summary, indent=1, ensure_ascii=False, allow_nan=False).encode()
    for name, content in files.items():
        store.put(name, content)
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    index = {"schema_version": SCHEMA_VERSION, "request": asked, "stamp": store.stamp(), "files": sums}
    store.put(INDEX, canonical(index).encode())


def read_finished(store: Store, asked: str) -> dict[str, Any] | None:
    """The summary of the finished study; ``None`` where something of it is missing, changed or touched."""
    try:
        index = json.loads((store.directory / INDEX).read_bytes())
        files = {name: (store.directory / name).read_bytes() for name in index["files"]}
        if index["request"] != asked or index["schema_version"] != SCHEMA_VERSION:
            return None
        if any(hashlib.sha256(content).hexdigest() != index["files"][name] for name, content in files.items()):
            return None
        if index["stamp"] != store.stamp():
            return None
        summary: dict[str, Any] = json.loads(files["tables/summary.json"])
        return summary
    except (OSError, ValueError, KeyError, TypeError):
        return None
