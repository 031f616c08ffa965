"""Where in the user's code something comes from."""

from __future__ import annotations

import contextlib
import re
import traceback
from collections.abc import Iterator
from pathlib import Path

import torch
from torch.fx import Node
from torch.fx.proxy import TracerBase

_TORCH = str(Path(torch.__file__).parent)
_HERE = str(Path(__file__).parent)
_FRAME = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+), in (?P<function>[^\n]+)\n\s*(?P<code>[^\n]*)')


def _is_users(file: str) -> bool:
    return not file.startswith((_TORCH, _HERE, "torch/", "<"))


@contextlib.contextmanager
def whole_stacks() -> Iterator[None]:
    """Let an export note the functions that ``forward`` calls, where PyTorch itself notes ``forward`` alone."""
    original = getattr(TracerBase, "_filter_traceback_frames", None)
    if original is None:  # an older PyTorch, which notes them all
        yield
        return

    def keep(tracer: TracerBase, stack: traceback.StackSummary) -> traceback.StackSummary:
        first = next((k for k, frame in enumerate(stack) if frame.name == "forward"), len(stack))
        return traceback.StackSummary.from_list([f for f in stack[first:] if _is_users(f.filename)])

    setattr(TracerBase, "_filter_traceback_frames", keep)  # noqa: B010
    try:
        yield
    finally:
        setattr(TracerBase, "_filter_traceback_frames", original)  # noqa: B010


def source_of(node: Node) -> str:
    """The innermost line of the user's code that made a node, as one phrase.

    Where a node has no such line, the submodule that it belongs to.
    """
    frames = [f for f in _FRAME.finditer(node.meta.get("stack_trace") or "") if _is_users(f["file"])]
    if frames:
        last = frames[-1]
        return f'{last["file"]}, line {last["line"]}, in {last["function"]} ("{last["code"].strip()}")'
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    kind = stack[-1][1] if stack else "the module"
    return f"inside {kind if isinstance(kind, str) else kind.__qualname__}"


def source_of_error(error: BaseException) -> str:
    """The innermost line of the user's code in an error's traceback, as one phrase."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if _is_users(f.filename)]
    if not frames:
        return "inside PyTorch"
    last = frames[-1]
    return f'{last.filename}, line {last.lineno}, in {last.name} ("{last.line}")'
