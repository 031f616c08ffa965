"""A user's own function, by its import path."""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections.abc import Callable
from typing import Any, cast

from allroads.errors import AllroadsError, InputError

_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", re.ASCII)
_FILE = re.compile(
    r"(?:\./)?(?P<module>[A-Za-z_]\w*([/.\\][A-Za-z_]\w*)*?)(\.py)?:(?P<function>[A-Za-z_]\w*)", re.ASCII
)


def imported(path: str) -> Callable[..., Any]:
    """The function that ``"module:function"`` names; Python's own path is searched first, then the present folder.

    Args:
        path: The module's dotted name, a colon, the function's name.

    Raises:
        InputError: If the path cannot be read, the module cannot be imported, or it has no such function.

    Example:
        >>> imported("math:gcd")(12, 18)
        6
    """
    name, function = import_path(path)
    here = os.getcwd()
    added = here not in sys.path
    if added:
        sys.path.append(here)
    try:
        importlib.invalidate_caches()
        module = importlib.import_module(name)
    except Exception as error:
        raise InputError(
            f"{path!r}: the module {name!r} cannot be imported ({reason(error)}); fix the module, run where it lies, "
            "or install it."
        ) from error
    finally:
        if added:
            sys.path.remove(here)
    found = getattr(module, function, None)
    if not callable(found):
        raise InputError(f"{path!r}: the module {name!r} has no function {function!r}; give the name of one.")
    return cast(Callable[..., Any], found)


def import_path(path: str) -> tuple[str, str]:
    """Module and function that ``"module:function"`` names; nothing is imported.

    Raises:
        InputError: If it is spelled in another way; a path of a file is answered with the module that it would be.

    Example:
        >>> import_path("nets.small:make")
        ('nets.small', 'make')
        >>> import_path("nets/small.py:make")
        Traceback (most recent call last):
        allroads.errors.InputError: path 'nets/small.py:make' names a file; write the module, 'nets.small:make'.
    """
    if isinstance(path, str) and (file := _FILE.fullmatch(path)) and ("/" in path or "\\" in path or ".py:" in path):
        module = re.sub(r"[/\\]", ".", file["module"])
        raise InputError(f"path {path!r} names a file; write the module, '{module}:{file['function']}'.")
    if not isinstance(path, str) or not _PATH.fullmatch(path):
        raise InputError(f"path {path!r}: expected 'module:function', such as 'my_module:make'.")
    name, _, function = path.partition(":")
    return name, function


def reason(error: BaseException) -> str:
    """What an error says, without a full stop, for the middle of a sentence; its class where that is not allroads' own.

    Example:
        >>> reason(InputError("p must be prime.")), reason(KeyError("w")), reason(ValueError())
        ('p must be prime', "KeyError: 'w'", 'ValueError')
    """
    said = str(error).strip().removesuffix(".")
    if isinstance(error, AllroadsError) and said:
        return said
    return f"{type(error).__name__}: {said}" if said else type(error).__name__
