"""What a machine of a cluster must have for a study, looked at by a worker there before it does anything else.

This module imports no JAX: what a worker's environment has to say is said before JAX reads it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import allroads
from allroads.compiled import processor
from allroads.errors import AllroadsError, InputError, StoreError
from allroads.imported import imported, reason
from allroads.studies.parts import Part, importable, source_digest
from allroads.studies.provenance import describe_device, versions
from allroads.studies.store import Store
from allroads.studies.threads import POOLS, one_thread

COMPILED = ".compiled"
"""Where in a run directory its workers keep what they compiled, unless ``ALLROADS_CACHE`` says another place."""

ARRIVAL = 10.0
"""Seconds until a file that was written on one machine must be seen on another that has not looked for it before."""


@dataclass(frozen=True)
class Needs:
    """What a study needs on every machine.

    Attributes:
        versions: Of Python and the packages that decide numbers.
        code: Digest of the source of allroads.
        environment: Variables of the environment that decide how JAX computes.
        directory: The run directory.
        mark: A file in it that was just written.
        here: The folder that the study was started in.
        modules: The user's functions: path, folder, SHA-256 of the module.
    """

    versions: tuple[tuple[str, str], ...]
    code: str
    environment: tuple[tuple[str, str], ...]
    directory: str
    mark: str
    here: str
    modules: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True)
class Node:
    """A machine that answered.

    Attributes:
        name: Its name in the network.
        processor: Its kind of processor; results are equal to the last bit on one kind.
        device: What JAX computes on there.
    """

    name: str
    processor: str
    device: str


@dataclass(frozen=True)
class Answer:
    """What came of a call on another machine.

    Attributes:
        node: The machine, ``None`` where it was refused.
        value: What the call gave.
        error: What was refused, ``None`` where nothing was.
    """

    node: Node | None
    value: Any = None
    error: AllroadsError | None = None


def study_needs(directory: Path, mark: str, parts: Iterable[Part]) -> Needs:
    """What a study needs on every machine that works for it.

    Args:
        directory: The run directory.
        mark: A file in it that was just written.
        parts: The parts of the study, of which those of the user's own code count.
    """
    own = [part for part in parts if part.user_code is not None]
    modules = {(str(part.user_code), part.folder, str(part.code)) for part in own}
    directory = directory.absolute()
    return Needs(
        tuple(versions().items()),
        code_digest(),
        tuple(_environment(directory).items()),
        str(directory),
        mark,
        os.getcwd(),
        tuple(sorted(modules)),
    )


def at_node(needs: Needs, call: Callable[..., Any], *arguments: Any) -> Answer:
    """Make a call on this machine, which is looked at before its first."""
    try:
        node = _checked(needs)
        return Answer(node, call(*arguments))
    except AllroadsError as error:
        return Answer(None, error=error)


def check() -> None:
    """A call that does nothing: the machine is looked at all the same."""


@cache
def _checked(needs: Needs) -> Node:
    """This machine, found to have all that is needed; looked at once per process.

    Raises:
        InputError: If versions differ, or a module is missing; names the machine.
        StoreError: If the run directory is not there or cannot be written to; names the machine.
    """
    os.environ.update(needs.environment)
    one_thread()
    name = platform.node() or "a machine without a name"
    with contextlib.suppress(OSError):
        os.chdir(needs.here)  # relative paths then mean what they meant where the study was started
    _check_versions(needs, name)
    _check_directory(needs, name)
    _check_modules(needs, name)
    return Node(name, processor(), describe_device())


def _check_versions(needs: Needs, name: str) -> None:
    found, wanted = versions(), dict(needs.versions)
    differ = [package for package in wanted if found.get(package) != wanted[package] and _counts(package, found)]
    if differ:
        listed = "; ".join(f"{package} {found.get(package, 'missing')}, not {wanted[package]}" for package in differ)
        raise InputError(
            f"the node {name} has other versions than the machine that runs the study: {listed}. Numbers would differ: "
            "install the same versions there (pip install --constraint constraints.txt), or take it out of the cluster."
        )
    if code_digest() != needs.code:
        raise InputError(
            f"the node {name} has another source of allroads {found['allroads']} than the machine that runs the study. "
            "Install the same one there, or take it out of the cluster."
        )


def _counts(package: str, found: Mapping[str, str]) -> bool:
    """Whether a difference counts: PyTorch is an extra, and a study that needs it says so where it is missing."""
    return package != "torch" or package in found


def _check_directory(needs: Needs, name: str) -> None:
    mark, began = Path(needs.directory) / needs.mark, time.monotonic()
    while not mark.exists():
        if time.monotonic() - began > ARRIVAL:
            raise StoreError(
                f"the node {name} does not see the run directory {needs.directory}. Choose an --out on a file system "
                "that all machines share, under the same path on each."
            )
        time.sleep(0.2)
    try:
        Store(needs.directory).try_writing()
    except StoreError as error:
        raise StoreError(f"on the node {name}: {error}") from None


def _check_modules(needs: Needs, name: str) -> None:
    for path, folder, code in needs.modules:
        try:
            with importable(folder):
                if source_digest(path) != code:
                    raise InputError(f"{path!r}: the module is another one than where the study was started")
                imported(path)
        except InputError as error:
            raise InputError(
                f"the node {name} cannot use the study's own code: {reason(error)}. Looked for in {folder}: put the "
                "study's folder where all machines see it, or install the module on each."
            ) from None


def _environment(directory: Path) -> dict[str, str]:
    """Variables that decide how a worker computes, as they are here; its compiled programs lie in the run directory."""
    chosen = {
        name: value
        for name, value in os.environ.items()
        if name in (*POOLS, "XLA_FLAGS", "ALLROADS_CACHE") or name.startswith("JAX_")
    }
    return {"ALLROADS_CACHE": str(directory / COMPILED), **chosen}


@cache
def code_digest() -> str:
    """SHA-256 of the source of allroads that this process runs."""
    package = Path(allroads.__file__).parent
    total = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        total.update(path.relative_to(package).as_posix().encode() + path.read_bytes())
    return total.hexdigest()
