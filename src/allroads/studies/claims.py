"""Claims: which process is at what in a run directory that several processes, on several machines, share.

A claim is a file that is created exclusively, ``.claims/<name>``. It needs no lock of the operating system, which many
network file systems lack. It needs that exclusive creation and renaming are atomic, as on POSIX file systems and NFS.
While its holder lives, the file's time of change is set anew every ``BEAT`` seconds, by the clock of the file system.

The claim of a dead holder is taken over. On the holder's own machine that is known at once: its process is gone. On
another machine it is known after ``LEASE`` seconds without a beat. A holder that was only held up may so lose its
claim. Then work is done twice, and what comes of it is still stored once, since entries are renamed into place.
"""

from __future__ import annotations

import contextlib
import os
import time
import uuid
import weakref
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread

from allroads.studies.canonical import digest
from allroads.studies.processes import Process
from allroads.studies.refusals import explained

BEAT = 10.0
"""Seconds between two signs of life."""

LEASE = 60.0
"""Seconds without a sign of life after which another machine takes a claim over."""

POLL = 0.1
"""Seconds between two looks at a claim that is waited for."""


class Claims:
    """The claims of one holder in one run directory.

    Args:
        directory: The run directory.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> ours, theirs = Claims(folder), Claims(folder)
        >>> ours.take("pack"), theirs.take("pack")
        (True, False)
        >>> ours.give("pack")
        >>> theirs.take("pack")
        True
    """

    def __init__(self, directory: Path):
        self.folder = directory / ".claims"
        self._identity = f"{Process.here()}-{uuid.uuid4().hex[:12]}"
        self._held: set[Path] = set()
        self._ended: Event | None = None

    def take(self, name: str) -> bool:
        """Claim a name; a name is a hash or a fixed word.

        Returns:
            False where another holder that lives has it, or this one has it already.

        Raises:
            StoreError: If the file system refuses.
        """
        path = self.folder / name
        with explained(path):
            if not (self._created(path) or self._took_over(path)):
                return False
        self._held.add(path)
        if self._ended is None:
            self._ended = Event()
            weakref.finalize(self, self._ended.set)
            Thread(target=_beat, args=(self._held, self._ended), daemon=True, name="allroads claims").start()
        return True

    def give(self, name: str) -> None:
        """Give a claim back; one that was lost meanwhile stays with who has it."""
        path = self.folder / name
        self._held.discard(path)
        with explained(path):
            if _holder(path) == self._identity:
                path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def alone(self, name: str) -> Iterator[None]:
        """Hold the claim of that name, however long another holder has it."""
        while not self.take(name):
            time.sleep(POLL)
        try:
            yield
        finally:
            self.give(name)

    def close(self) -> None:
        """Give back all that is held, and end the signs of life."""
        for path in tuple(self._held):
            self.give(path.name)
        if self._ended is not None:
            self._ended.set()
            self._ended = None

    def clean(self) -> None:
        """Remove what dead holders left."""
        for path in self.folder.glob("*"):
            if not path.name.startswith(".") and self.take(path.name):
                self.give(path.name)

    def _created(self, path: Path) -> bool:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        except FileExistsError:
            return False
        try:
            with open(descriptor, "w") as file:
                file.write(self._identity)
        except OSError:
            path.unlink(missing_ok=True)
            raise
        return True

    def _took_over(self, path: Path) -> bool:
        """Take the claim of a dead holder; the right to do so is itself a claim, so that one of many does."""
        holder = _holder(path)
        if holder is None or not self._is_dead(holder, path):
            return False
        right = path.parent / digest({"claim": path.name, "of": holder})
        if not (self._created(right) or self._took_over(right)):
            return False
        try:
            if _holder(path) != holder:
                return False
            written = self.folder / f".{uuid.uuid4().hex}"
            written.write_text(self._identity)
            written.replace(path)
            return True
        finally:
            right.unlink(missing_ok=True)

    def _is_dead(self, holder: str, path: Path) -> bool:
        process = Process.read(holder)
        if process is not None and process.is_local:
            return not process.is_alive
        return seconds_since_change(path) > LEASE


def seconds_since_change(path: Path) -> float:
    """How long ago a file or folder was changed, by the clock of its file system; 0 where it is gone.

    The clocks of two machines may differ; a file that is made now says what time it is where the files lie.
    """
    probe = path.parent / f".{uuid.uuid4().hex}"
    try:
        now = _changed(probe, os.O_WRONLY | os.O_CREAT)
        return now - _changed(path, os.O_RDONLY)
    except FileNotFoundError:
        return 0.0
    finally:
        probe.unlink(missing_ok=True)


def _changed(path: Path, flags: int) -> float:
    """When a file was changed; it is opened, since a network file system then asks its server."""
    descriptor = os.open(path, flags, 0o644)
    try:
        return os.fstat(descriptor).st_mtime
    finally:
        os.close(descriptor)


def _holder(path: Path) -> str | None:
    """Who holds a claim; "" where it was not yet written, ``None`` where there is none."""
    try:
        return path.read_text()
    except FileNotFoundError:
        return None


def _beat(held: set[Path], ended: Event) -> None:
    while not ended.wait(BEAT):
        for path in tuple(held):
            with contextlib.suppress(OSError):  # taken over, or the disk is gone: whoever uses it will say so
                os.utime(path)
