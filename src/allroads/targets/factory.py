"""A user's own target, from a Python function named by its import path."""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections.abc import Mapping
from typing import Any

from allroads.errors import InputError
from allroads.targets.target import Target

_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", re.ASCII)


def factory(*, function: str, options: Mapping[str, Any] | None = None) -> Target:
    """The target that a user's function gives.

    The module is looked for where Python looks, and then in the current folder.

    Args:
        function: ``"module:function"``; the function gives a :class:`Target`.
        options: Keyword arguments for it.

    Returns:
        What it gives.

    Raises:
        InputError: If the path cannot be read or imported, or the function fails or gives something else.

    Example:
        >>> factory(function="allroads.targets.modular:modular", options={"p": 5}).name
        'a + b mod 5'
    """
    if not isinstance(function, str) or not _PATH.fullmatch(function):
        raise InputError(f"function {function!r}: expected 'module:function', such as 'my_targets:parity'.")
    module_name, _, attribute = function.partition(":")
    module = _import(function, module_name)
    make = getattr(module, attribute, None)
    if not callable(make):
        raise InputError(f"{function}: the module {module_name!r} has no function {attribute!r}; mend the name.")
    if not isinstance(options or {}, Mapping):
        raise InputError(f"{function}: options must be a table of keyword arguments, got {options!r}.")
    try:
        target = make(**(options or {}))
    except Exception as error:
        raise InputError(f"{function}(**{dict(options or {})}) failed: {type(error).__name__}: {error}.") from error
    if not isinstance(target, Target):
        raise InputError(f"{function} gave {type(target).__name__}; it must give an allroads.Target.")
    return target


def _import(function: str, module: str) -> Any:
    here = os.getcwd()
    added = here not in sys.path
    if added:
        sys.path.append(here)
    try:
        importlib.invalidate_caches()
        return importlib.import_module(module)
    except Exception as error:
        raise InputError(
            f"{function}: the module {module!r} cannot be imported ({type(error).__name__}: {error}); "
            "run where it lies, or install it."
        ) from error
    finally:
        if added:
            sys.path.remove(here)
