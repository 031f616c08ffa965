"""Targets of a forecast: inputs and labels in any of their forms, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from allroads.errors import InputError
from allroads.pfmap.losses import PerExampleLoss, resolve_loss
from allroads.pfmap.network import Network
from allroads.targets.answers import best_constant
from allroads.targets.target import Target


@dataclass(frozen=True)
class Problem:
    """Targets over shared inputs.

    Args:
        names: Names of the targets.
        inputs: Training inputs, ``[N, …]``.
        labels: Training labels, ``[T, N, …]``.
        constant: Loss of the best constant predictor, ``[T]``; 0 where there is nothing to learn.
        everything: All known inputs and labels, held-out ones included: ``([M, …], [T, M, …])``.
    """

    names: tuple[str, ...]
    inputs: Any
    labels: NDArray[Any]
    constant: NDArray[Any]
    everything: tuple[Any, NDArray[Any]]


def read_problem(
    network: Network, inputs: Any, targets: Any, loss: str | PerExampleLoss, held_out: tuple[Any, Any] | None
) -> Problem:
    """Targets in any of their forms as one array of labels.

    Raises:
        InputError: On labels that are not finite or do not fit the inputs or the loss, no target at all, or targets of
            different inputs.
    """
    per_example = resolve_loss(loss)
    names, given, own = _named(targets)
    if inputs is None:
        inputs = _shared(names, own)
    if isinstance(inputs, tuple | Mapping):
        raise InputError(
            f"learnability: expected inputs [N, …] as one array; got a {type(inputs).__name__}. Give a network that "
            "takes one array and parts it."
        )
    inputs = np.asarray(inputs)
    if inputs.ndim == 0 or len(inputs) == 0:
        raise InputError(f"learnability: expected inputs [N, …] with at least one example; got shape {inputs.shape}.")
    if np.issubdtype(inputs.dtype, np.floating) and not np.isfinite(inputs).all():
        raise InputError("learnability: the inputs have a NaN or an infinity; remove or repair those examples.")
    for name, target in zip(names, own, strict=True):
        if target is not None and not np.array_equal(target.train.inputs, inputs):
            raise InputError(
                f"target {name!r} has other training inputs than those given; targets are compared on one set of "
                "inputs: call learnability once for each set."
            )
    labels = _stacked(names, [_checked(name, one, len(inputs), "") for name, one in zip(names, given, strict=True)])
    params = jax.eval_shape(network.init, jax.random.key(0))
    outputs = jax.eval_shape(network.apply, params, jnp.asarray(inputs))
    losses = jax.eval_shape(per_example, outputs, jnp.asarray(labels[0]))
    if losses.shape != (len(inputs),):
        raise InputError(f"the loss gives shape {losses.shape}; expected one number per example: {(len(inputs),)}.")
    if loss == "cross_entropy" and (labels.min() < 0 or labels.max() >= outputs.shape[-1]):
        raise InputError(
            f"labels run from {labels.min()} to {labels.max()}, but network {network.name!r} has {outputs.shape[-1]} "
            f"outputs; expected classes 0 … {outputs.shape[-1] - 1}."
        )
    constant = np.array([_constant_loss(own_labels, loss, outputs) for own_labels in labels])
    return Problem(names, inputs, labels, constant, _everything(names, inputs, labels, own, held_out))


def _named(targets: Any) -> tuple[tuple[str, ...], list[Any], list[Target | None]]:
    if isinstance(targets, Target):
        targets = [targets]
    if isinstance(targets, Mapping):
        pairs = [(str(name), given) for name, given in targets.items()]
    elif isinstance(targets, (list, tuple)):
        pairs = [(g.name if isinstance(g, Target) else f"target {i}", g) for i, g in enumerate(targets)]
    else:
        pairs = [("target 0", targets)]
    if not pairs:
        raise InputError("learnability: no targets; give labels, a mapping from names to labels, or Targets.")
    names = tuple(name for name, _ in pairs)
    if len(set(names)) < len(names):
        raise InputError("learnability: two targets have the same name; give a mapping with names of its own.")
    own = [given if isinstance(given, Target) else None for _, given in pairs]
    return names, [given.train.labels if isinstance(given, Target) else given for _, given in pairs], own


def _shared(names: tuple[str, ...], own: list[Target | None]) -> Any:
    known = [target for target in own if target is not None]
    if len(known) < len(own):
        plain = next(name for name, target in zip(names, own, strict=True) if target is None)
        raise InputError(f"target {plain!r} is given by its labels alone, so inputs are needed; give inputs [N, …].")
    return known[0].train.inputs


def _checked(name: str, given: Any, count: int, which: str) -> NDArray[Any]:
    labels = np.asarray(given)
    if not (np.issubdtype(labels.dtype, np.number) or labels.dtype == bool):
        raise InputError(f"target {name!r}: {which}labels have dtype {labels.dtype}; expected numbers or classes.")
    labels = labels.astype(np.int32 if labels.dtype.kind in "iub" else np.float32)
    if labels.ndim == 0 or len(labels) != count:
        raise InputError(
            f"target {name!r}: {which}labels have shape {labels.shape} for {count} examples; expected one per example."
        )
    if not np.isfinite(labels).all():
        bad = int(np.argwhere(~np.isfinite(labels))[0][0])
        raise InputError(f"target {name!r}: {which}label {bad} is NaN or infinite; remove or repair that example.")
    return labels


def _stacked(names: tuple[str, ...], labels: list[NDArray[Any]]) -> NDArray[Any]:
    shapes = {one.shape for one in labels}
    if len(shapes) > 1:
        other = next(name for name, one in zip(names, labels, strict=True) if one.shape != labels[0].shape)
        raise InputError(
            f"target {other!r} has labels of another shape than {names[0]!r}: {sorted(shapes)}; reshape them alike."
        )
    return np.stack(labels)


def _constant_loss(labels: NDArray[Any], loss: str | PerExampleLoss, outputs: Any) -> float:
    """Loss of the best constant; for a callable the loss of outputs that are all zero."""
    if isinstance(loss, str):
        return best_constant(labels.reshape(len(labels), -1) if loss == "mse" else labels, loss)[1]
    if (labels == labels[:1]).all():
        return 0.0
    return float(loss(jnp.zeros(outputs.shape, outputs.dtype), jnp.asarray(labels)).mean())


def _everything(
    names: tuple[str, ...], inputs: NDArray[Any], labels: NDArray[Any], own: list[Target | None], held_out: Any
) -> tuple[Any, NDArray[Any]]:
    probes = [target.held_out for target in own if target is not None and target.held_out is not None]
    if held_out is None and len(probes) == len(own):
        first = probes[0].inputs
        if all(np.array_equal(one.inputs, first) for one in probes):
            held_out = (first, [one.labels for one in probes])
    if held_out is None:
        return inputs, labels
    more, answers = np.asarray(held_out[0]), held_out[1]
    answers = list(answers.values()) if isinstance(answers, Mapping) else list(answers)
    if more.shape[1:] != inputs.shape[1:] or len(answers) != len(names):
        raise InputError(
            f"held_out: expected inputs like {('M', *inputs.shape[1:])} and labels for {len(names)} targets; got "
            f"{more.shape} and {len(answers)}."
        )
    checked = [_checked(name, given, len(more), "held-out ") for name, given in zip(names, answers, strict=True)]
    return np.concatenate([inputs, more]), np.concatenate([labels, _stacked(names, checked)], axis=1)
