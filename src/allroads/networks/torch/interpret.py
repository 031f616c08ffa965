"""Running an exported graph in ``jax.numpy``, node by node."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
from torch.fx import GraphModule, Node
from torch.fx.node import map_aggregate

from allroads.errors import AllroadsError, UnsupportedOperatorError
from allroads.networks.torch.arrays import jax_dtype, to_numpy
from allroads.networks.torch.decompose import decompose
from allroads.networks.torch.lines import source_of
from allroads.networks.torch.rules import RULES  # noqa: F401  (fills the registry)
from allroads.networks.torch.rules.registry import Rule, find_rule
from allroads.networks.torch.storage import Storage, is_write

_IGNORED = {
    "device",
    "pin_memory",
    "layout",
    "memory_format",
    "non_blocking",
    "copy",
    "generator",
    "requires_grad",
}
_ASSERTIONS = ("_assert", "sym_constrain_range")
_COMPLEX = {"float32": torch.complex64, "float64": torch.complex128}
_REMEDY = (
    "Write that line with other operators, or give the network as two JAX functions: allroads.Network(init, apply)."
)


class Interpreter:
    """One run of a graph on given arrays.

    Args:
        own: The floating precision of the module when it was exported.
        runtime: What stands for it in this run: the precision of the parameters.
    """

    def __init__(self, own: torch.dtype, runtime: Any):
        self.own, self.runtime = own, runtime
        self.largest = float(jnp.finfo(runtime).max)

    def precision(self, dtype: torch.dtype) -> np.dtype:
        """The JAX precision for a PyTorch one in this run."""
        if dtype == self.own:
            runtime: np.dtype = np.dtype(self.runtime)
            return runtime
        if dtype.is_complex and dtype.to_real() == self.own:
            return jax_dtype(_COMPLEX[np.dtype(self.runtime).name])
        return jax_dtype(dtype)

    def constant(self, tensor: torch.Tensor) -> jax.Array:
        """A tensor of the module, in this run's precision."""
        return jnp.asarray(to_numpy(tensor), self.precision(tensor.dtype))

    def run(self, module: GraphModule, inputs: Sequence[Any], aliases: dict[Node, Node] | None = None) -> Any:
        """The outputs of a graph for these inputs, in order.

        Args:
            module: The graph.
            inputs: One value a placeholder.
            aliases: For nodes that look at the memory of another node, that node.
        """
        values = Storage(aliases or {}, self._compute)
        waiting = iter(inputs)
        for node in module.graph.nodes:
            if node.op == "placeholder":
                values.put(node, next(waiting))
            elif node.op == "get_attr":
                values.put(node, self._attribute(module, node.target))
            elif node.op == "output":
                return self._resolve(node.args[0], values)
            elif is_write(node):
                if aliases is None:
                    raise _unsupported(node, "writes in place inside a nested graph")
                values.write(node.args[0], self._in_precision(node, values))
                values.put(node, values.get(node.args[0]))
            else:
                values.put(node, self._in_precision(node, values))
        raise AssertionError("a graph without output")

    def _attribute(self, module: GraphModule, path: str) -> Any:
        value = operator.attrgetter(path)(module)
        return self.constant(value) if isinstance(value, torch.Tensor) else value

    def _resolve(self, argument: Any, values: Any) -> Any:
        def leaf(a: Any) -> Any:
            if isinstance(a, Node):
                return values.get(a)
            if isinstance(a, float) and math.isfinite(a):  # "the lowest double" is the lowest of this precision
                return max(-self.largest, min(self.largest, a))
            return self.precision(a) if isinstance(a, torch.dtype) else a

        return map_aggregate(argument, leaf)

    def _in_precision(self, node: Node, values: Any) -> Any:
        """What a node computes, in the precision that the export says it has."""
        return self._cast(self._compute(node, values), node.meta.get("val"))

    def _compute(self, node: Node, values: Any) -> Any:
        """What a node computes from the present values of its arguments."""
        try:
            return self._call(node, values)
        except AllroadsError as error:
            if getattr(error, "located", False):
                raise
            raise _located(type(error)(f"{source_of(node)}: {error}")) from error
        except (jax.errors.JAXTypeError, jax.errors.JAXIndexError) as error:
            raise _unsupported(node, "gives a shape or makes a choice that depends on values") from error
        except (TypeError, ValueError, NotImplementedError, IndexError, KeyError) as error:
            raise _unsupported(node, f"has no rule in jax.numpy for this use ({error})") from error

    def _call(self, node: Node, values: Any) -> Any:
        args = self._resolve(node.args, values)
        kwargs = {k: self._resolve(v, values) for k, v in node.kwargs.items() if k not in _IGNORED}
        target = node.target
        if isinstance(target, torch._ops.HigherOrderOperator):
            return self._region(node, str(target), args)
        if not isinstance(target, torch._ops.OpOverload):
            assert callable(target)
            return target(*args, **kwargs)  # sizes: operator.mul, math.ceil, …
        name = target._schema.name.split("::")[1]
        if name.startswith(_ASSERTIONS):
            return None
        if name == "sym_size":
            return args[0].shape[args[1]]
        rule = _rule_of(target)
        if rule is not None:
            return rule(*args, **kwargs)
        parts = decompose(node, values.get, lambda t: _rule_of(t) is not None)
        if parts is None:
            raise _unsupported(node, "has no rule in jax.numpy here")
        return self.run(*parts)

    def _region(self, node: Node, name: str, args: Sequence[Any]) -> Any:
        """A part of the graph under ``torch.no_grad`` or a switched-off ``torch.autocast``."""
        at = next((k for k, a in enumerate(args) if isinstance(a, GraphModule)), None)
        if at is None or name not in ("wrap_with_set_grad_enabled", "wrap_with_autocast"):
            raise _unsupported(node, "has no rule in jax.numpy here")
        if name == "wrap_with_autocast" and args[2]:
            raise _unsupported(node, "computes in mixed precision")
        outputs = self.run(args[at], args[at + 1 :])
        if name == "wrap_with_set_grad_enabled" and not args[0]:
            outputs = jax.tree.map(jax.lax.stop_gradient, tuple(outputs))
        return outputs

    def _cast(self, result: Any, example: Any) -> Any:
        """A result in the precision that the export says it has."""
        if isinstance(example, (tuple, list)):
            return [self._cast(r, e) for r, e in zip(result, example, strict=False)]
        if isinstance(example, torch.Tensor) and result is not None:
            return jnp.asarray(result).astype(self.precision(example.dtype))
        return result


def _rule_of(target: torch._ops.OpOverload) -> Rule | None:
    return find_rule(target._schema.name.split("::")[1], target._overloadname) if target.namespace == "aten" else None


def _located(error: AllroadsError) -> AllroadsError:
    """Mark an error whose message names its line already."""
    error.located = True  # type: ignore[attr-defined]
    return error


def _unsupported(node: Node, what: str) -> AllroadsError:
    return _located(UnsupportedOperatorError(f"{source_of(node)}: the operator {node.target} {what}. {_REMEDY}"))
