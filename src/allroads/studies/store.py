"""The run directory: entries that are written once, whole, and checked whenever they are read.

An *entry* is a folder ``<kind>/<first two hex>/<hash>/`` with a header, ``<kind's singular>.json``, and the
files that the header lists with size and SHA-256. Its name is the hash of what it holds the result of, so a
name given by a user never becomes a path. Entries are written to a folder beside them, synchronised to disk
and renamed into place; a process that dies leaves finished entries and nothing else. Processes on several machines
may share a directory (:mod:`allroads.studies.claims`). Files are JSON, parquet and safetensors: nothing that is read
is ever executed.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import json
import os
import re
import shutil
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from allroads.errors import StoreError
from allroads.studies.canonical import canonical, digest
from allroads.studies.claims import Claims, seconds_since_change
from allroads.studies.processes import Process
from allroads.studies.refusals import explained

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

SCHEMA_VERSION = 2
"""The layout that this version writes, and the newest that it reads."""

KINDS = {"cells": "cell.json", "measures": "measure.json"}
"""The kinds of entries and the names of their headers."""


ABANDONED = 3600.0
"""Seconds after which what another machine was writing is taken for half-written; an entry is written in seconds."""

VISIBLE = 60.0
"""Seconds after which what another machine has stored is seen here: as long as network file systems remember."""

_SHARD, _HASH = re.compile(r"[0-9a-f]{2}"), re.compile(r"[0-9a-f]{64}")


def check_schema(version: Any, path: Path) -> None:
    """Refuse what a newer allroads wrote.

    Raises:
        StoreError: If the version is not one that this allroads reads.
    """
    if not isinstance(version, int) or not 1 <= version <= SCHEMA_VERSION:
        raise StoreError(
            f"{path} has schema version {version!r}; this allroads reads 1 to {SCHEMA_VERSION}. "
            "Use the allroads that wrote it or a newer one, or another --out."
        )


def _write_synced(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _content(path: str) -> bytes:
    with open(path, "rb", buffering=0) as file:
        return file.read()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def table_bytes(table: pl.DataFrame) -> bytes:
    """A table as parquet."""
    buffer = io.BytesIO()
    table.write_parquet(buffer)
    return buffer.getvalue()


def arrays_bytes(arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str] | None = None) -> bytes:
    """Named arrays as safetensors: the same arrays give the same bytes."""
    import numpy as np
    from safetensors.numpy import save

    content = save({name: np.ascontiguousarray(array) for name, array in arrays.items()}, dict(metadata or {}) or None)
    # The library writes the metadata in an order that differs from process to process: sort the header.
    length = int.from_bytes(content[:8], "little")
    header = canonical(json.loads(content[8 : 8 + length])).encode().ljust(length)
    return content[:8] + header + content[8 + length :]


@dataclass(frozen=True)
class Entry:
    """One finished entry: its folder and its header, whose digest was checked."""

    path: Path
    header: Mapping[str, Any]

    @property
    def hash(self) -> str:
        """The hash that names it."""
        return self.path.name

    def _damaged(self, file: str, what: str) -> StoreError:
        return StoreError(
            f"{self.path / file} {what}. Delete the folder {self.path} and run the same command again: "
            "only what it held is computed anew."
        )

    def file(self, name: str) -> bytes:
        """A file's content.

        Raises:
            StoreError: If the file is missing, truncated or altered; names it and the remedy.
        """
        recorded = self.header["files"].get(name)
        if recorded is None:
            raise self._damaged(name, "is not among the files that its header lists")
        try:
            content = _content(f"{self.path}/{name}")
        except FileNotFoundError:
            raise self._damaged(name, "is missing") from None
        except OSError as error:
            raise self._damaged(name, f"cannot be read ({error.strerror})") from error
        if len(content) != recorded["bytes"]:
            raise self._damaged(name, f"is truncated: {len(content)} bytes of {recorded['bytes']}")
        if _sha256(content) != recorded["sha256"]:
            raise self._damaged(name, "was altered: its SHA-256 is not the recorded one")
        return content

    def table(self, name: str) -> pl.DataFrame:
        """A parquet file as a table, checked."""
        import polars as pl

        return pl.read_parquet(io.BytesIO(self.file(name)))

    def arrays(self, name: str) -> dict[str, np.ndarray]:
        """A safetensors file as named arrays, checked."""
        from safetensors.numpy import load

        return load(self.file(name))

    def verify(self) -> None:
        """Check every file's SHA-256.

        Raises:
            StoreError: At the first file that is missing, truncated or altered.
        """
        for name in self.header["files"]:
            self.file(name)


class Store:
    """The entries of one run directory.

    Args:
        directory: The run directory.

    Example:
        >>> import tempfile
        >>> store = Store(tempfile.mkdtemp())
        >>> store.write("measures", "ab" * 32, {"seed": 0}, {"note.txt": b"hello"})
        True
        >>> store.read("measures", "ab" * 32).file("note.txt")
        b'hello'
    """

    def __init__(self, directory: str | Path):
        self.directory = Path(directory)

    @cached_property
    def _folder(self) -> str:
        """The directory as text: a study asks for hundreds of thousands of entries, and a ``Path`` takes its time."""
        return str(self.directory)

    @cached_property
    def claims(self) -> Claims:
        """What this process is at in this directory."""
        return Claims(self.directory)

    def path(self, kind: str, hash: str) -> Path:
        """Where the entry of that hash lies."""
        return Path(f"{self._folder}/{kind}/{hash[:2]}/{hash}")

    def has(self, kind: str, hash: str) -> bool:
        """Whether the entry is there (whole, as every entry is)."""
        return os.path.isdir(f"{self._folder}/{kind}/{hash[:2]}/{hash}")

    def write(self, kind: str, hash: str, header: Mapping[str, Any], files: Mapping[str, bytes]) -> bool:
        """Write an entry whole.

        Args:
            kind: A key of ``KINDS``.
            hash: Its hash, hex.
            header: What its header holds beside the list of files, the schema version and the digest.
            files: Their names and contents.

        Returns:
            False where another process had written it first; its entry stands.

        Raises:
            StoreError: If the operating system refuses, for example because the disk is full; nothing is
                left behind.
        """
        target = self.path(kind, hash)
        listed = {name: {"sha256": _sha256(content), "bytes": len(content)} for name, content in files.items()}
        body = {**header, "schema_version": SCHEMA_VERSION, "hash": hash, "files": listed}
        body["digest"] = digest(body)
        with explained(target), self._staged() as staged:
            staged.mkdir()
            for name, content in files.items():
                _write_synced(staged / name, content)
            _write_synced(staged / KINDS[kind], canonical(body).encode())
            _sync_folder(staged)
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                staged.rename(target)
            except OSError as error:
                if error.errno in (errno.EEXIST, errno.ENOTEMPTY):
                    return False
                raise
            _sync_folder(target.parent)
        return True

    def read(self, kind: str, hash: str) -> Entry:
        """An entry, its header checked.

        Raises:
            StoreError: If it is missing, or its header is damaged, of a newer schema or another entry's.
        """
        path = self.path(kind, hash)
        entry = Entry(path, {"files": {}})
        name = KINDS[kind]
        try:
            content = _content(f"{path}/{name}")
        except FileNotFoundError:
            raise entry._damaged(name, "is missing") from None
        except OSError as error:
            raise entry._damaged(name, f"cannot be read ({error.strerror})") from error
        try:
            body = json.loads(content)
            version, recorded = int(body["schema_version"]), body.pop("digest")
        except (ValueError, KeyError, TypeError, AttributeError):
            raise entry._damaged(name, "is truncated or altered: it is not a header") from None
        check_schema(version, path / name)
        # What was written is spelled canonically: without its digest it is what the digest was taken of.
        if _sha256(content.replace(f'"digest":"{recorded}",'.encode(), b"", 1)) != recorded:
            raise entry._damaged(name, "was altered: its digest is not the recorded one")
        if body["hash"] != hash:
            raise entry._damaged(name, f"belongs to another entry ({body['hash'][:10]})")
        return Entry(path, body)

    def list(self, kind: str) -> list[str]:
        """The hashes of the finished entries of that kind, sorted; what is not an entry is passed over."""
        root = self.directory / kind
        if not root.is_dir():
            return []
        with explained(root):
            shards = [shard for shard in os.scandir(root) if _SHARD.fullmatch(shard.name) and shard.is_dir()]
            entries = (entry for shard in shards for entry in os.scandir(shard) if entry.name[:2] == shard.name)
            return sorted(entry.name for entry in entries if _HASH.fullmatch(entry.name) and entry.is_dir())

    def stamp(self) -> str:
        """A digest of every entry's files' names, sizes and times of change: equal means untouched.

        Files whose names begin with a dot are no part of an entry.
        """
        total = hashlib.sha256()
        with explained(self.directory):
            for kind in KINDS:
                for hash in self.list(kind):
                    files = (file for file in os.scandir(self.path(kind, hash)) if not file.name.startswith("."))
                    for file in sorted(files, key=lambda file: file.name):
                        status = file.stat()
                        total.update(f"{hash}/{file.name} {status.st_size} {status.st_mtime_ns}\n".encode())
        return total.hexdigest()

    def check_study(self, name: str) -> None:
        """Refuse a directory in which a study of another name ran.

        Raises:
            StoreError: Naming the other study.
        """
        try:
            other = json.loads((self.directory / "study.json").read_bytes())["study"]["name"]
        except (OSError, ValueError, KeyError, TypeError):
            return  # none ran there, or its file is damaged, which is said where it is read
        if other != name:
            raise StoreError(
                f"{self.directory} holds the study {other!r}, whose name makes the same folder as {name!r}. "
                "Choose an --out of its own for one of them, or rename it."
            )

    def put(self, name: str, content: bytes) -> Path:
        """Put a file of the run directory in place whole: a reader sees the old one or the new one.

        Raises:
            StoreError: If the operating system refuses; the old file stands.
        """
        path = self.directory / name
        with explained(path), self._staged() as staged:
            _write_synced(staged, content)
            path.parent.mkdir(parents=True, exist_ok=True)
            staged.replace(path)
        return path

    @contextlib.contextmanager
    def _staged(self) -> Iterator[Path]:
        """A name on the store's file system for what is being written; it says who writes."""
        path = self.directory / ".tmp" / f"{Process.here()}-{uuid.uuid4().hex}"
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield path
        finally:
            _remove(path)

    def clean(self) -> None:
        """Remove what dead processes left half-written, and their claims; what a living one is writing stays."""
        with explained(self.directory):
            for path in (self.directory / ".tmp").glob("*"):
                process = Process.read(path.name)
                local = process is not None and process.is_local
                if not process.is_alive if process and local else seconds_since_change(path) > ABANDONED:
                    _remove(path)
        self.claims.clean()

    def try_writing(self) -> None:
        """Write an empty file and remove it.

        Raises:
            StoreError: If the operating system refuses.
        """
        with explained(self.directory), self._staged() as staged:
            _write_synced(staged, b"")

    def refresh(self, kind: str, hash: str) -> None:
        """Ask a network file system anew whether an entry is there: it remembers for a while what was missing."""
        with contextlib.suppress(OSError):
            os.listdir(self.path(kind, hash).parent)
