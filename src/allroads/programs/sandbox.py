"""Extracted source, run in a process of its own: no builtins beyond those it needs, limits of time and memory."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from allroads.checks import check_count, check_positive
from allroads.errors import InputError

BUILTINS = (
    *("abs", "all", "any", "bool", "dict", "enumerate", "float", "int", "len", "list", "max", "min", "pow", "range"),
    *("reversed", "round", "set", "sorted", "sum", "tuple", "zip"),
)
"""Names that extracted source may use."""

_CHILD = """
import json, sys
try:
    import resource
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 1))
except ImportError:
    pass
given = json.load(sys.stdin)
import builtins
names = {"__builtins__": {name: getattr(builtins, name) for name in given["builtins"]}}
exec(compile(given["source"], "<program>", "exec"), names)
read = lambda x: tuple(map(read, x["t"])) if isinstance(x, dict) else list(map(read, x)) if isinstance(x, list) else x
json.dump([names["program"](read(example)) for example in given["examples"]], sys.stdout)
"""


def run_source(source: str, examples: Sequence[Any], *, seconds: float = 10.0, megabytes: int = 512) -> list[Any]:
    r"""The answers of ``program(x)``, as a source defines it, to examples.

    The source runs in another process with no imports and no builtins beyond :data:`BUILTINS`. Its time is limited, and
    its memory where the system can do so.

    Args:
        source: Python that defines ``program``.
        examples: Numbers, texts, and lists and tuples of these.
        seconds: Time that it may take, in seconds; default 10.
        megabytes: Memory that it may take, with the interpreter's own; default 512.

    Returns:
        One answer per example.

    Raises:
        InputError: If the source fails, defines no ``program``, or passes a limit.

    Example:
        >>> run_source("def program(x):\n    return sum(x) % 2", [[1, 0, 1], [1, 1, 1]])
        [0, 1]
    """
    check_positive(seconds=seconds)
    check_count("megabytes", megabytes, 64)
    child = _CHILD.replace("MEMORY", str(megabytes * 2**20)).replace("SECONDS", str(max(1, int(seconds))))
    given = json.dumps({"source": source, "builtins": BUILTINS, "examples": [_written(x) for x in examples]})
    try:
        done = subprocess.run([sys.executable, "-I", "-S", "-c", child], input=given, capture_output=True, text=True,
                              timeout=seconds + 5)  # fmt: skip
    except subprocess.TimeoutExpired:
        raise InputError(
            f"the source took more than {seconds:g} seconds; give it more time or fewer examples."
        ) from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"it was stopped by signal {-done.returncode}"])[-1]
        raise InputError(f"the source failed: {last}. It may use {', '.join(BUILTINS)} and no imports.")
    answers: list[Any] = json.loads(done.stdout)
    return answers


def _written(example: Any) -> Any:
    if hasattr(example, "tolist"):
        return _written(example.tolist())
    if isinstance(example, tuple):
        return {"t": [_written(part) for part in example]}
    return [_written(part) for part in example] if isinstance(example, list) else example
