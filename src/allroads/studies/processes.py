"""Processes by a name that says on whichever machine whether one of this machine still runs."""

from __future__ import annotations

import hashlib
import os
import platform
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_NAME = re.compile(r"([0-9a-f]{12})-(\d+)-(\d+)")


@dataclass(frozen=True)
class Process:
    """A process.

    Attributes:
        place: A digest of machine, start of the machine and name space of processes.
        number: Its number there.
        began: When it began, in the units of its system; 0 where that is not known. Numbers are used again.

    Example:
        >>> here = Process.here()
        >>> Process.read(f"{here}-more") == here, here.is_local, here.is_alive
        (True, True, True)
    """

    place: str
    number: int
    began: int

    @classmethod
    def here(cls) -> Process:
        """This process."""
        number = os.getpid()
        return cls(_place(), number, _state(number)[1])

    @classmethod
    def read(cls, name: str) -> Process | None:
        """The process at the beginning of a name; ``None`` where there is none."""
        found = _NAME.match(name)
        return cls(found[1], int(found[2]), int(found[3])) if found else None

    def __str__(self) -> str:
        return f"{self.place}-{self.number}-{self.began}"

    @property
    def is_local(self) -> bool:
        """Whether it ran on this machine since that was started."""
        return self.place == _place()

    @property
    def is_alive(self) -> bool:
        """Whether it runs, where it is local; a zombie does not."""
        try:
            os.kill(self.number, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        state, began = _state(self.number)
        return state not in ("Z", "X") and began == self.began


@cache
def _place() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text()
        known = f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        known = platform.node()
    return hashlib.sha256(known.encode()).hexdigest()[:12]


def _state(number: int) -> tuple[str, int]:
    """State of a process, and when it began; ("", 0) where the system does not tell."""
    try:
        fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
        return fields[0], int(fields[19])
    except (OSError, IndexError, ValueError):
        return "", 0
