"""Where a result is to be written, looked at before the work is done."""

from __future__ import annotations

import os
from pathlib import Path

from allroads.errors import InputError


def check_destination(path: Path | None, option: str) -> None:
    """Refuse a file that cannot be written; nothing is made or changed.

    Args:
        path: Where a file is to be written; ``None`` where none is asked for.
        option: The option that named it, for the message.

    Raises:
        InputError: If it is a folder, if a part of its way is a file, or if the folder may not be written to.

    Example:
        >>> check_destination(Path("."), "--report")
        Traceback (most recent call last):
        allroads.errors.InputError: --report .: this is a folder; give the name of a file.
    """
    if path is None:
        return
    if path.is_dir():
        raise InputError(f"{option} {path}: this is a folder; give the name of a file.")
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not folder.is_dir():
        raise InputError(f"{option} {path}: {folder} is a file and holds none; give a file in a folder.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"{option} {path}: no permission to write in {folder}; give a file in another folder.")
