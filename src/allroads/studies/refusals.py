"""What the operating system refuses, in words."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from allroads.errors import StoreError


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what the operating system refuses into a StoreError that names the path and the remedy."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            message = f"the disk is full: {path} could not be written. Free some space"
        elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            message = f"no permission: {path} could not be read or written. Change its rights, or use another --out"
        else:
            message = f"{path} could not be read or written ({error.strerror or error}). Repair that"
        raise StoreError(f"{message}, then run the same command again: finished cells are kept.") from error
