"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from allroads.errors import StoreError


def write_whole(path: Path, content: bytes) -> Path:
    """Write beside the file and rename into place.

    Args:
        path: Where to; its folder is made.
        content: What.

    Raises:
        StoreError: The file cannot be written; nothing of it is left behind.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise StoreError(f"{path} cannot be written ({error.strerror}): {_REMEDY}") from error
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            os.fchmod(file.fileno(), 0o644)
        os.replace(name, path)
    except OSError as error:
        Path(name).unlink(missing_ok=True)
        raise StoreError(f"{path} cannot be written ({error.strerror}): {_REMEDY}") from error
    return path


_REMEDY = "check the free space and the rights of its folder, then run `allroads report` again."
