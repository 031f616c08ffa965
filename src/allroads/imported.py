"""A user's own function, by its import path."""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections.abc import Callable
from typing import Any

from allroads.errors import InputError

_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", re.ASCII)


def imported(path: str) -> Callable[..., Any]:
    """The function that ``"module:function"`` names; the module is looked for where Python looks, then here.

    Args:
        path: The module's dotted name, a colon, the function's name.

    Raises:
        InputError: If the path cannot be read, the module cannot be imported, or it has no such function.

    Example:
        >>> imported("math:gcd")(12, 18)
        6
    """
    if not isinstance(path, str) or not _PATH.fullmatch(path):
        raise InputError(f"path {path!r}: expected 'module:function', such as 'my_module:make'.")
    name, _, function = path.partition(":")
    here = os.getcwd()
    added = here not in sys.path
    if added:
        sys.path.append(here)
    try:
        importlib.invalidate_caches()
        module = importlib.import_module(name)
    except Exception as error:
        raise InputError(
            f"{path!r}: the module {name!r} cannot be imported ({type(error).__name__}: {error}); "
            "mend it, run where it lies, or install it."
        ) from error
    finally:
        if added:
            sys.path.remove(here)
    found = getattr(module, function, None)
    if not callable(found):
        raise InputError(f"{path!r}: the module {name!r} has no function {function!r}; mend the name.")
    return found
