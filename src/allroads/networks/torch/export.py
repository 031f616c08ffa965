"""From a module to graphs: one export for every batch size where that is possible, else one for each shape."""

from __future__ import annotations

import contextlib
import logging
import threading
import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import torch
from torch.export import Dim, ExportedProgram
from torch.export.graph_signature import InputKind, InputSpec
from torch.fx import Node
from torch.nn.utils.rnn import PackedSequence

from allroads.errors import InputError, UnsupportedOperatorError
from allroads.networks.torch.arrays import first_names
from allroads.networks.torch.call import OneOutput
from allroads.networks.torch.interpret import Interpreter
from allroads.networks.torch.lines import source_of, source_of_error, whole_stacks
from allroads.networks.torch.rules.refusals import PACKED
from allroads.networks.torch.storage import find_aliases, root

Shapes = tuple[tuple[int, ...], ...]

_TRANSFORMS = ("torch._functorch", "torch._C._functorch")
"""Modules of the functions that ``torch.vmap`` and its like leave in a graph."""

_LOCK = threading.Lock()  # one export at a time: PyTorch's tracer is not made for several


@dataclass(frozen=True, eq=False)
class Program:
    """One export: its graph, where its inputs come from, and what it takes for granted about their shapes."""

    exported: ExportedProgram
    own: torch.dtype
    names: Mapping[str, str]
    aliases: Mapping[Node, Node]

    @property
    def nodes(self) -> list[Node]:
        """The nodes of the graph, in order."""
        return list(self.exported.graph_module.graph.nodes)

    def root(self, node: Node) -> Node:
        """The node whose memory a node looks at; itself where it has its own."""
        return root(self.aliases, node)

    def parameter_nodes(self) -> set[Node]:
        """The placeholders that stand for parameters."""
        return {n for n, s in self._placeholders() if s.kind is InputKind.PARAMETER}

    def placeholder_values(self, inputs: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        """What PyTorch itself would put in the place of every placeholder."""
        return _placeholder_values(self.exported, inputs)

    def fits(self, shapes: Shapes) -> bool:
        """Whether the export holds for inputs of these shapes."""
        sizes = self.sizes(shapes)
        ranges = self.exported.range_constraints
        return sizes is not None and all(
            ranges[s].lower <= n <= ranges[s].upper for s, n in sizes.items() if s in ranges
        )

    def sizes(self, shapes: Shapes) -> dict[Any, int] | None:
        """What each free size of the export is for inputs of these shapes; ``None`` where it is not for such inputs."""
        sizes: dict[Any, int] = {}
        for node, shape in zip(self._user_inputs(), shapes, strict=True):
            expected = node.meta["val"].shape
            if len(expected) != len(shape):
                return None
            for want, got in zip(expected, shape, strict=True):
                symbol = want if isinstance(want, int) else want.node.expr
                if isinstance(symbol, int) or symbol.is_number:
                    if int(symbol) != got:
                        return None
                elif not symbol.is_Symbol or sizes.setdefault(symbol, got) != got:
                    return None
        return sizes

    def run(self, params: Mapping[str, Any], inputs: Sequence[Any], runtime: Any) -> Any:
        """The output for these weights and inputs."""
        interpreter = Interpreter(self.own, runtime)
        waiting = iter(inputs)
        values = []
        for spec in self.exported.graph_signature.input_specs:
            if spec.kind is InputKind.PARAMETER:
                values.append(params[self.names[spec.target]])
            elif spec.kind is InputKind.BUFFER:
                held = self.exported.state_dict if spec.persistent else self.exported.constants
                values.append(interpreter.constant(held[spec.target]))
            elif spec.kind is InputKind.CONSTANT_TENSOR:
                values.append(interpreter.constant(self.exported.constants[spec.target]))
            else:
                values.append(next(waiting))
        return interpreter.run(self.exported.graph_module, values, dict(self.aliases))[0]

    def _user_inputs(self) -> list[Node]:
        return [n for n, s in self._placeholders() if s.kind is InputKind.USER_INPUT]

    def _placeholders(self) -> list[tuple[Node, InputSpec]]:
        nodes = [n for n in self.nodes if n.op == "placeholder"]
        return list(zip(nodes, self.exported.graph_signature.input_specs, strict=True))


class Programs:
    """The exports of one module, made as shapes ask for them.

    Args:
        module: What is exported: a module of tensors that gives one tensor.
        kept: The copy of the user's module in it, that nobody else changes.
        examples: One batch that it takes.
        own: Its floating precision.
    """

    def __init__(self, module: OneOutput, kept: torch.nn.Module, examples: tuple[torch.Tensor, ...], own: torch.dtype):
        self.module, self.examples, self.own = module, examples, own
        self.names = {f"module.{name}": first for name, first in first_names(kept).items()}
        self.made: list[Program] = []

    def find(self, shapes: Shapes) -> Program:
        """An export that holds for inputs of these shapes."""
        with _LOCK:
            for program in self.made:
                if program.fits(shapes):
                    return program
            inputs = tuple(_tiled(e, shape) for e, shape in zip(self.examples, shapes, strict=True))
            program = self._make(inputs)
            self.made.append(program)
            return program

    def _make(self, inputs: tuple[torch.Tensor, ...]) -> Program:
        batch = inputs[0].shape[0] if inputs[0].ndim else 1
        exported = None
        if batch > 1:
            free = tuple({0: Dim.AUTO} if t.ndim and t.shape[0] == batch else None for t in inputs)
            with contextlib.suppress(Exception):  # what fails here fails again below, or does not matter
                exported = _export(self.module, inputs, (free,))
        # a graph that rests on more than "at least two examples" is not used for other batch sizes
        if exported is None or getattr(exported, "_guards_code", ["unknown"]):
            exported = self._exported_as_is(inputs)
        if any(map(_is_transform, exported.graph_module.graph.nodes)):
            exported = _transformed(exported)
        aliases = find_aliases(exported.graph_module, _placeholder_values(exported, inputs))
        return Program(exported, self.own, self.names, aliases)

    def _exported_as_is(self, inputs: tuple[torch.Tensor, ...]) -> ExportedProgram:
        try:
            return _export(self.module, inputs, None)
        except InputError:
            raise
        except Exception as error:
            shapes = ", ".join(str(tuple(t.shape)) for t in inputs)
            first = str(error).strip().split("\n")[0][:300]
            if _holds_packed_sequence(error):
                raise InputError(PACKED) from error
            if "data-dependent" in str(error) or "DataDependent" in type(error).__name__:
                raise InputError(
                    f"from_torch: the module's control flow depends on values, at {source_of_error(error)}. A network "
                    "must be one fixed sequence of operators: choose with torch.where in place of `if`, and keep "
                    f".item(), nonzero and boolean indexing out of forward. ({first})"
                ) from error
            raise UnsupportedOperatorError(
                f"from_torch: torch.export cannot take this module apart for inputs of shape {shapes}, at "
                f"{source_of_error(error)}: {type(error).__name__}: {first}"
            ) from error


def _is_transform(node: Node) -> bool:
    """Whether a node begins or ends a transform of ``torch.func``, such as ``torch.vmap``."""
    return node.op == "call_function" and getattr(node.target, "__module__", "").startswith(_TRANSFORMS)


def _transformed(exported: ExportedProgram) -> ExportedProgram:
    """The export with transforms of ``torch.func`` carried out: operators on whole batches, or an error."""
    named = sorted({getattr(n.target, "__name__", "?") for n in exported.graph_module.graph.nodes if _is_transform(n)})
    line = next(source_of(n) for n in exported.graph_module.graph.nodes if _is_transform(n))
    try:
        with _quiet():
            found: ExportedProgram = exported.run_decompositions({})
    except Exception as error:
        raise UnsupportedOperatorError(
            f"{line}: a transform of torch.func in forward ({', '.join(named)}) cannot be taken apart "
            f"({type(error).__name__}). Write it for whole batches, with einsum or bmm for example."
        ) from error
    if any(map(_is_transform, found.graph_module.graph.nodes)):
        raise UnsupportedOperatorError(
            f"{line}: a transform of torch.func in forward ({', '.join(named)}) stays in the graph. Write it for whole "
            "batches, with einsum or bmm for example."
        )
    return found


def _holds_packed_sequence(error: BaseException) -> bool:
    """Whether an error was raised where a packed sequence was at hand."""
    return any(
        isinstance(value, PackedSequence)
        for frame, _ in traceback.walk_tb(error.__traceback__)
        for value in frame.f_locals.values()
    )


def _placeholder_values(exported: ExportedProgram, inputs: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
    waiting = iter(inputs)
    held = {**exported.constants, **exported.state_dict}
    specs = exported.graph_signature.input_specs
    return tuple(next(waiting) if s.kind is InputKind.USER_INPUT else held[s.target] for s in specs)


def _tiled(example: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """An example repeated or cut to another shape, so that tokens stay tokens."""
    for axis, size in enumerate(shape):
        example = example.index_select(axis, torch.arange(size) % example.shape[axis])
    return example


def _export(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...], free: Any) -> ExportedProgram:
    with _quiet(), whole_stacks(), torch.enable_grad():
        return torch.export.export(module, inputs, dynamic_shapes=free, strict=False)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the export's own notes to itself: what matters of them becomes an error of ours."""
    loggers = [logging.getLogger(n) for n in ("torch.fx.experimental.symbolic_shapes", "torch._export", "torch.export")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def runtime_precision(params: Mapping[str, Any], inputs: Sequence[Any]) -> Any:
    """The precision to compute in: that of the real parameters; without any, that of the real inputs."""
    for arrays in (params.values(), inputs):
        real = [a for a in arrays if jnp.issubdtype(a.dtype, jnp.floating)]
        if real:
            return jnp.result_type(*real)
    return jax.dtypes.canonicalize_dtype(float)
