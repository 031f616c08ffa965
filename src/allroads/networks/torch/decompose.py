"""An operator without a rule of its own, as a graph of operators that have one."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import torch
from torch.fx import GraphModule, Node
from torch.fx.experimental.proxy_tensor import make_fx
from torch.fx.node import map_arg


@functools.cache
def _table() -> dict[Any, Any]:
    return dict(torch._decomp.core_aten_decompositions())


def decompose(
    node: Node, value: Callable[[Node], Any], known: Callable[[Any], bool]
) -> tuple[GraphModule, list[Any]] | None:
    """PyTorch's own decomposition of one operator at these shapes, and the arrays that its graph takes.

    ``None`` where PyTorch has none, or where it leads to other operators without a rule.
    """
    arrays = [n for n in node.all_input_nodes if isinstance(value(n), jax.Array)]
    templates = [torch.empty(value(n).shape, dtype=n.meta["val"].dtype, device="meta") for n in arrays]

    def call(*tensors: torch.Tensor) -> Any:
        given = dict(zip(arrays, tensors, strict=True))

        def fill(argument: Any) -> Any:
            return map_arg(argument, lambda n: given[n] if n in given else value(n))

        assert isinstance(node.target, torch._ops.OpOverload)
        return node.target(*fill(node.args), **{k: fill(v) for k, v in node.kwargs.items() if k != "device"})

    try:
        graph = make_fx(call, decomposition_table=_table())(*templates)
    except (RuntimeError, NotImplementedError, TypeError):
        return None
    calls = [n.target for n in graph.graph.nodes if n.op == "call_function"]
    operators = [t for t in calls if isinstance(t, torch._ops.OpOverload)]
    if any(t == node.target or not known(t) for t in operators):
        return None
    return graph, [value(n) for n in arrays]
