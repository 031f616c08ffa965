"""Values of a graph's nodes, where some nodes compute at the memory of others and writes go through."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import torch
from torch.fx import GraphModule, Interpreter, Node


def is_write(node: Node) -> bool:
    """Whether a node writes to the memory of its first argument."""
    if node.op != "call_function" or not isinstance(node.target, torch._ops.OpOverload):
        return False
    arguments = node.target._schema.arguments
    return bool(arguments and arguments[0].alias_info and arguments[0].alias_info.is_write)


def find_aliases(module: GraphModule, inputs: tuple[torch.Tensor, ...]) -> dict[Node, Node]:
    """For each node that shares memory with its first argument, that argument; by running the graph once in PyTorch.

    Empty where nothing is written in place, since then it does not matter.
    """
    if not any(map(is_write, module.graph.nodes)):
        return {}
    found: dict[Node, Node] = {}
    kept: list[Any] = []  # memory that is freed could be given out again

    class Watch(Interpreter):
        def run_node(self, n: Node) -> Any:
            result = super().run_node(n)
            kept.append(result)
            source = n.args[0] if n.op == "call_function" and n.args else None
            if isinstance(source, Node) and _memory(self.env.get(source)) & _memory(result):
                found[n] = source
            return result

    with torch.no_grad():
        Watch(module, garbage_collect_values=False).run(*(t.detach().clone() for t in inputs))
    return found


def root(aliases: Mapping[Node, Node], node: Node) -> Node:
    """The node whose memory a node looks at; itself where it has its own."""
    while node in aliases:
        node = aliases[node]
    return node


def _memory(value: Any) -> set[int]:
    if isinstance(value, torch.Tensor):
        return {value.untyped_storage().data_ptr()} if value.numel() else set()
    return set().union(*map(_memory, value)) if isinstance(value, (tuple, list)) else set()


class Storage:
    """The present value of every node.

    A node that looks at another's memory is looked at again after that memory was written to. A write through a view
    finds its places by looking through the same views at the numbers 0, 1, 2, … in the place of the memory.

    Args:
        aliases: For each node that looks at the memory of another, that node.
        compute: ``compute(node, values)``: what the node computes from the values of its arguments.
    """

    def __init__(self, aliases: dict[Node, Node], compute: Callable[[Node, Any], Any]):
        self.aliases, self.compute = aliases, compute
        self.values: dict[Node, Any] = {}
        self.seen: dict[Node, int] = {}
        self.writes: dict[Node, int] = {}

    def put(self, node: Node, value: Any) -> None:
        """Enter what a node computed."""
        self.values[node] = value
        self.seen[node] = self.writes.get(root(self.aliases, node), 0)

    def get(self, node: Node) -> Any:
        """The present value of a node."""
        if self.seen[node] != self.writes.get(root(self.aliases, node), 0):
            source = self.aliases[node]
            self.put(node, self.get(source) if is_write(node) else self.compute(node, self))
        return self.values[node]

    def write(self, node: Node, value: Any) -> None:
        """Write to the memory that a node looks at."""
        owner = root(self.aliases, node)
        old = self.values[owner]
        if node is not owner:
            value = old.reshape(-1).at[self._places(owner, node)].set(value).reshape(old.shape)
        self.writes[owner] = self.writes.get(owner, 0) + 1
        self.put(owner, value)

    def _places(self, owner: Node, node: Node) -> Any:
        with jax.ensure_compile_time_eval():
            chain = [node]
            while chain[-1] is not owner:
                chain.append(self.aliases[chain[-1]])
            shape = self.values[owner].shape
            view = _Replaced(self, {owner: jnp.arange(self.values[owner].size).reshape(shape)})
            for link in reversed(chain[:-1]):
                view.own[link] = view.get(self.aliases[link]) if is_write(link) else self.compute(link, view)
            return view.own[node].astype(int)


class _Replaced:
    """The values of a storage with some of them replaced."""

    def __init__(self, storage: Storage, own: dict[Node, Any]):
        self.storage, self.own = storage, own

    def get(self, node: Node) -> Any:
        return self.own[node] if node in self.own else self.storage.get(node)
