"""How a module is called: its inputs as a flat list of tensors and back, and the one output that is taken."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
from torch.nn.utils.rnn import PackedSequence

from allroads.errors import InputError
from allroads.networks.torch.rules.refusals import PACKED
from allroads.pfmap.arrays import as_jax_array

Output = int | str | Callable[[Any], Any] | None
"""Which output is taken: a place, a name, a function of what the module gives; ``None`` where there is but one."""

USUAL = "logits"
"""The output of a model of ``transformers`` that a loss is taken of."""


@dataclass(frozen=True, eq=False)
class Call:
    """The form of a module's inputs.

    A tuple holds arguments by position, and a mapping arguments by name. A tuple that ends in a mapping holds both.

    Attributes:
        structure: The inputs as a pytree.
        style: Where they go: ``"place"``, ``"name"`` or, of a tuple that ends in a mapping, ``"both"``.
        names: How errors call each array of it.
        examples: One tensor an array: real ones in the module's precision.
    """

    structure: Any
    style: str
    names: tuple[str, ...]
    examples: tuple[torch.Tensor, ...]

    @classmethod
    def of(cls, example_inputs: Any, module: torch.nn.Module, own: torch.dtype) -> Call:
        """The form of these inputs.

        Args:
            example_inputs: One batch.
            module: The module, whose signature decides whether a mapping is one argument or several.
            own: The module's floating precision.

        Raises:
            InputError: If something in them is no array, or an array is empty.
        """
        if isinstance(example_inputs, PackedSequence):
            raise InputError(f"from_torch: example_inputs is a PackedSequence: {PACKED}")
        plain = _plain(example_inputs)
        found, structure = jax.tree_util.tree_flatten_with_path(plain)
        if not found:
            raise InputError("from_torch: example_inputs is empty; give one batch as the module takes it.")
        names = tuple(jax.tree_util.keystr(path) for path, _ in found)
        pairs = zip(names, found, strict=True)
        tensors = tuple(_tensor(f"example_inputs{name}", leaf, own) for name, (_, leaf) in pairs)
        return cls(structure, _style(plain, module), names, tensors)

    def arguments(self, leaves: Sequence[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments of the module, by position and by name, with these arrays in them."""
        inputs = self.inputs(leaves)
        if self.style == "name":
            return (), inputs
        if self.style == "both":
            return inputs[:-1], inputs[-1]
        return inputs if isinstance(inputs, tuple) else (inputs,), {}

    def inputs(self, leaves: Sequence[Any]) -> Any:
        """The inputs with these arrays in them."""
        return jax.tree.unflatten(self.structure, leaves)

    def arrays(self, inputs: Any) -> list[jax.Array]:
        """The arrays of inputs of this form.

        Raises:
            InputError: If they have another form than the example inputs, or an array has other axes or is real where
                whole numbers are expected.
        """
        alone: Any = jax.tree.structure(0)
        given = _plain(inputs)
        structure: Any = jax.tree.structure(given)
        if self.structure == jax.tree.structure((0,)) and structure == alone:
            given, structure = (given,), self.structure
        elif self.structure == alone and isinstance(given, tuple) and len(given) == 1:
            given, structure = given[0], alone
        if structure != self.structure:
            raise InputError(f"Network.apply: expected {self._described()}, as in example_inputs; got {_form(given)}.")
        arrays = [as_jax_array(leaf) for leaf in jax.tree.leaves(given)]
        for name, array, example in zip(self.names, arrays, self.examples, strict=True):
            if array.ndim != example.ndim:
                raise InputError(
                    f"Network.apply: inputs{name} has shape {array.shape}; expected {example.ndim} axes, as in the "
                    f"example {tuple(example.shape)}, the first over examples."
                )
            if jnp.issubdtype(array.dtype, jnp.floating) and not example.is_floating_point():
                raise InputError(
                    f"Network.apply: inputs{name} is {array.dtype}; expected integers, as in the example inputs."
                )
        return arrays

    def _described(self) -> str:
        return _form(self.inputs(self.examples))


def _style(inputs: Any, module: torch.nn.Module) -> str:
    """By place, by name or both: the way of the inputs, and by place where the signature takes the mapping alone."""
    args: tuple[Any, ...]
    if isinstance(inputs, dict):
        style, args, kwargs = "name", (), inputs
    elif isinstance(inputs, tuple) and inputs and isinstance(inputs[-1], dict):
        style, args, kwargs = "both", inputs[:-1], inputs[-1]
    else:
        return "place"
    signature = inspect.signature(module.forward)
    whole = kwargs.keys().isdisjoint(signature.parameters) and _binds(signature, *args, kwargs)
    return "place" if whole and not _binds(signature, *args, **kwargs) else style


def _binds(signature: inspect.Signature, *args: Any, **kwargs: Any) -> bool:
    try:
        signature.bind(*args, **kwargs)
    except TypeError:
        return False
    return True


def _plain(inputs: Any) -> Any:
    """Mappings as ``dict``, lists and tuples as ``tuple``."""
    if isinstance(inputs, PackedSequence):
        return inputs
    if isinstance(inputs, Mapping):
        return {key: _plain(part) for key, part in inputs.items()}
    if isinstance(inputs, tuple | list):
        return tuple(map(_plain, inputs))
    return inputs


def _tensor(name: str, leaf: Any, own: torch.dtype) -> torch.Tensor:
    if not isinstance(leaf, torch.Tensor | np.ndarray | jax.Array):
        raise InputError(
            f"from_torch: {name} is {type(leaf).__name__}, expected a tensor or an array, or a tuple or mapping of "
            "them, as one batch that the module takes. Options that are no arrays belong in the module: set them "
            "there, or wrap it in a module whose forward passes them on."
        )
    tensor = leaf.detach().cpu() if isinstance(leaf, torch.Tensor) else torch.from_numpy(np.array(leaf))
    if tensor.layout is not torch.strided:
        raise InputError(f"from_torch: {name} is sparse; give {name}.to_dense().")
    if tensor.numel() == 0:
        raise InputError(f"from_torch: {name} is empty (shape {tuple(tensor.shape)}).")
    return tensor.to(own) if tensor.is_floating_point() else tensor


def _form(inputs: Any) -> str:
    """Inputs in words."""
    if isinstance(inputs, dict):
        return f"a mapping of {', '.join(map(str, inputs))}" if inputs else "an empty mapping"
    if isinstance(inputs, tuple):
        inner = "" if not any(isinstance(part, dict) for part in inputs) else f" ({', '.join(map(_form, inputs))})"
        return f"{len(inputs)} inputs as a tuple{inner}"
    return "one array"


class OneOutput(torch.nn.Module):
    """A module that takes a flat list of tensors and gives one tensor.

    Args:
        module: The module.
        call: The form of its inputs.
        output: Which of its outputs is taken.
    """

    def __init__(self, module: torch.nn.Module, call: Call, output: Output):
        super().__init__()
        self.module, self.call, self.output = module, call, output

    def forward(self, *leaves: torch.Tensor) -> torch.Tensor:
        """The output."""
        args, kwargs = self.call.arguments(leaves)
        return chosen(self.module(*args, **kwargs), self.output)


def checked_output(output: Any) -> Output:
    """``output`` as it is.

    Raises:
        InputError: If it is neither a place, a name nor a function.
    """
    fits = output is None or isinstance(output, int | str) or callable(output)
    if not fits or isinstance(output, bool | torch.nn.Module):
        raise InputError(
            f"from_torch: output is {type(output).__name__}; expected the name or place of an output, or a function of "
            "all that the module gives."
        )
    checked: Output = output
    return checked


def chosen(given: Any, output: Output) -> torch.Tensor:
    """One tensor of what a module gives.

    Raises:
        InputError: If there is no such output, or it is no tensor, or there are several and none is named.

    Example:
        >>> chosen({"loss": torch.tensor(1.0), "logits": torch.zeros(2, 3)}, None).shape
        torch.Size([2, 3])
        >>> chosen((torch.zeros(2), torch.zeros(3)), 1).shape
        torch.Size([3])
    """
    if callable(output):
        said = "the function output=… gives"
        try:
            found = output(given)
        except Exception as error:
            what = _listed(_parts(given)) or type(given).__name__
            raise InputError(
                f"from_torch: {said} no output, but {type(error).__name__}: {error}. The module gives {what}."
            ) from error
    elif isinstance(given, torch.Tensor) and output is None:
        return given
    else:
        parts = _parts(given)
        if output is None:
            tensors = [name for name, part in parts.items() if isinstance(part, torch.Tensor)]
            output = USUAL if USUAL in parts else tensors[0] if len(tensors) == len(parts) == 1 else None
        if output is None and parts:
            raise InputError(f"from_torch: the module gives {_listed(parts)}. {_CHOOSE}")
        if output is None:
            raise InputError(
                f"from_torch: the module gives {type(given).__name__}, expected a tensor, or a tuple or a mapping of "
                "tensors; wrap it in a module that gives the tensor you want."
            )
        names = list(parts)
        place = names[output] if isinstance(output, int) and -len(names) <= output < len(names) else output
        if place not in parts:
            raise InputError(
                f"from_torch: the module has no output {output!r}; it gives {_listed(parts) or type(given).__name__}. "
                f"{_CHOOSE}"
            )
        found, said = parts[place], f"the output {output!r} of the module is"
    if not isinstance(found, torch.Tensor):
        inner = _listed(_parts(found))
        raise InputError(
            f"from_torch: {said} {type(found).__name__}, expected a tensor{f'; it holds {inner}' if inner else ''}. "
            "Take one with a function, such as output=lambda given: given[1][0]."
        )
    return found


_CHOOSE = "Say which one the network gives: from_torch(…, output=name or place), or a function of them all."


def _parts(given: Any) -> dict[Any, Any]:
    """What a module gives, by name or place; empty where it is of another kind."""
    if isinstance(given, Mapping):
        return dict(given)
    if isinstance(given, tuple) and (fields := getattr(given, "_fields", None)):
        return dict(zip(fields, given, strict=True))
    if isinstance(given, Sequence) and not isinstance(given, str):
        return dict(enumerate(given))
    if dataclasses.is_dataclass(given) and not isinstance(given, type):
        return {field.name: getattr(given, field.name) for field in dataclasses.fields(given)}
    return {}


def _listed(parts: Mapping[Any, Any]) -> str:
    def shape(part: Any) -> str:
        return str(list(part.shape)) if isinstance(part, torch.Tensor) else type(part).__name__

    return ", ".join(f"{name!r} ({shape(part)})" for name, part in parts.items())
