"""Places that a network looks up, checked on concrete inputs: JAX itself wraps, clamps or fills what lies outside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.fx import Interpreter, Node

from allroads.networks.inputs import check_tokens
from allroads.networks.torch.export import Program
from allroads.networks.torch.lines import source_of
from allroads.networks.torch.storage import is_write

_FROM_THE_END = ("index", "_unsafe_index", "index_put", "_unsafe_index_put")
"""Operators that count negative places from the end."""
_ALONG_AN_AXIS = ("gather", "index_select", "index_add", "scatter", "scatter_add", "scatter_reduce")
"""Operators of ``(table, axis, places, …)``."""


@dataclass(frozen=True)
class Lookup:
    """One index of a node that looks something up.

    Attributes:
        places: The node that computes the places.
        size: Of the table; an expression of free sizes where it follows from the shapes of the inputs.
        from_the_end: Whether negative places count from the end.
    """

    places: Node
    size: Any
    from_the_end: bool = False


class Lookups:
    """What a program looks up, as far as inputs alone decide the places.

    Args:
        program: One export.
    """

    def __init__(self, program: Program):
        self.program = program
        unknown = _dependent_on_parameters(program)
        found = {node: [k for k in _lookups(node) if k.places not in unknown] for node in program.nodes}
        self.found = {node: lookups for node, lookups in found.items() if lookups}
        self.needed = _ancestors(program, {lookup.places for lookups in self.found.values() for lookup in lookups})

    def check(self, inputs: Sequence[torch.Tensor]) -> None:
        """Compute the places in PyTorch and hold each against the size of its table.

        Args:
            inputs: One batch of a shape that the program takes.

        Raises:
            InputError: Names the first example with a place outside a table, the place, and the size of the table.
        """
        if self.found:
            with torch.no_grad():
                sizes = self.program.sizes(tuple(tuple(array.shape) for array in inputs)) or {}
                _Check(self, sizes).run(*(value.clone() for value in self.program.placeholder_values(inputs)))


class _Check(Interpreter):
    """A run of a graph that stops at the first place outside a table, and computes nothing else than places."""

    def __init__(self, lookups: Lookups, sizes: Mapping[Any, int]):
        super().__init__(lookups.program.exported.graph_module, garbage_collect_values=False)
        self.extra_traceback = False  # an error of ours names its line already
        self.lookups, self.sizes = lookups, sizes

    def run_node(self, n: Node) -> Any:
        for lookup in self.lookups.found.get(n, ()):
            places = self.env[lookup.places]
            size = lookup.size if isinstance(lookup.size, int) else lookup.size.node.expr.xreplace(self.sizes)
            if places.dtype != torch.bool and (isinstance(size, int) or size.is_Integer):
                size = int(size)
                check_tokens(places.numpy(), size, source_of(n), -size if lookup.from_the_end else 0)
        return super().run_node(n) if n.op == "placeholder" or n in self.lookups.needed else None


def _lookups(node: Node) -> list[Lookup]:
    """The indices of a node that looks something up; of whole numbers."""
    args: tuple[Any, ...] = node.args
    if node.op != "call_function" or not isinstance(node.target, torch._ops.OpOverload):
        return []
    name = node.target._schema.name.split("::")[1].removesuffix("_")
    candidates: list[tuple[Any, ...]] = []
    if name in _FROM_THE_END:
        table, indices = args[:2]
        sizes = _sizes(table)
        candidates = [(index, sizes[axis], True) for axis, index in enumerate(indices) if index is not None]
    elif name == "one_hot":
        candidates = [(args[0], args[1])] if len(args) > 1 and args[1] != -1 else []
    elif name in ("embedding", "embedding_bag", "_embedding_bag"):
        candidates = [(args[1], _sizes(args[0])[0])]
    elif name in _ALONG_AN_AXIS:
        table, axis, index = args[:3]
        candidates = [(index, _sizes(table)[axis])]
    return [Lookup(*c) for c in candidates if isinstance(c[0], Node) and isinstance(c[1], int | torch.SymInt)]


def _sizes(table: Any) -> tuple[Any, ...]:
    return tuple(table.meta["val"].shape)


def _dependent_on_parameters(program: Program) -> set[Node]:
    """The nodes whose value depends on parameters; a write reaches every node that looks at its memory."""
    dependent, roots = program.parameter_nodes(), set[Node]()
    grown = True
    while grown:
        before = len(dependent)
        for node in program.nodes:
            if program.root(node) in roots or not dependent.isdisjoint(node.all_input_nodes):
                dependent.add(node)
                if is_write(node):
                    roots.add(program.root(node))
        grown = len(dependent) > before
    return dependent


def _ancestors(program: Program, nodes: set[Node]) -> set[Node]:
    """The nodes that others are computed from, writes to their memory included."""
    writes: dict[Node, list[Node]] = {}
    for node in filter(is_write, program.nodes):
        writes.setdefault(program.root(node), []).append(node)
    found: set[Node] = set()
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting += [*node.all_input_nodes, *writes.get(program.root(node), ())]
    return found
