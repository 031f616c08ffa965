"""BlackJAX, imported at its first use: that takes a third of a second, which most calls need not spend."""

from __future__ import annotations

import importlib
from typing import Any

import jax


def blackjax(module: str = "") -> Any:
    """BlackJAX, or a module of it by its dotted name.

    Example:
        >>> blackjax("smc.resampling").systematic(jax.random.key(0), jax.numpy.array([0.0, 1.0]), 2).tolist()
        [1, 1]
    """
    with jax.ensure_compile_time_eval():  # it computes constants as it is imported, and a trace must not own them
        return importlib.import_module("blackjax" + (module and "." + module))
