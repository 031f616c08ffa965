"""Interchange interventions on any intermediate of a network, held against a program."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from allroads.checks import check_count
from allroads.errors import InputError
from allroads.pfmap.arrays import as_point
from allroads.pfmap.jaxpr import evaluate, intermediates
from allroads.pfmap.network import Network, Params
from allroads.pfmap.precision import float64
from allroads.programs.subject import Subject, subject_of
from allroads.results import Measurement
from allroads.targets.target import Target

MOVED = 1e-9
"""Change of an output, relative to the largest, from which on an exchange has changed it."""


def interchange(
    network: Network,
    params: Any,
    target: Target,
    counterfactual: Callable[[np.ndarray, np.ndarray], Any],
    *,
    path: str,
    units: Sequence[int] | None = None,
    pairs: int = 512,
    seed: int = 0,
) -> Measurement:
    """Interchange-intervention accuracy: whether hidden units stand for a part of a program.

    Some units of an intermediate are set, on a base example, to what they are on a source example. The accuracy is the
    share of (base, source) pairs after which the network answers as ``counterfactual(base, source)`` says. In half of
    the pairs the exchange has to change the answer, as far as the examples allow.

    Args:
        network: The network.
        params: The point.
        target: Its examples are bases and sources, and its loss says how outputs are read as labels.
        counterfactual: The program's label on the base with the part at its value on the source, both one example.
            ``counterfactual(x, x)`` is the program's own answer to ``x``. Whole numbers are given as integers.
        path: The intermediate, as :func:`allroads.pfmap.jaxpr.intermediates` lists it for one example.
        units: Numbers of its units, counted along the flattened array of one example; default all of them.
        pairs: Pairs that are exchanged; default 512, whose standard error is at most .022.
        seed: Decides pairs and nulls.

    Returns:
        The accuracy. ``stats["null"]`` is that of units taken from another source than the program's. ``other_units``
        is that of as many other units of the same intermediate, ``None`` where there are too few. ``changed`` is that
        of the pairs whose answer has to change, and ``pairs`` their number.

    Raises:
        InputError: If there is no such intermediate or unit, it lies inside a loop, or the function fails. Also if no
            exchange changed an output: the intervention then hit nothing.

    When it fails: a part that is spread along directions and not along units is missed. The hidden states of a
    recurrent network lie inside a loop; :func:`allroads.extract` exchanges these.

    References: [geiger2021]

    Example:
        >>> from allroads.programs import compile_program
        >>> from allroads.programs.boolean import Formula, circuit_of_units
        >>> network, params = compile_program(Formula.parse("(x0 & x1) ^ x2", 3))
        >>> cube = np.indices((2, 2, 2)).reshape(3, -1).T[:, ::-1]  # x0 changes fastest
        >>> labels = (cube[:, 0] & cube[:, 1]) ^ cube[:, 2]
        >>> target = Target("and, then xor", inputs=cube, labels=labels, complete=True, loss="bce")
        >>> units = circuit_of_units(network, params, cube.astype(float))
        >>> gate = next(unit for unit in units if str(unit.formula.root) == "x0 & x1")
        >>> found = interchange(network, params, target, lambda base, source: (source[0] & source[1]) ^ base[2],
        ...     path=gate.path, units=[gate.number])
        >>> found.value, found.stats["null"] < 0.9
        (1.0, True)
    """
    check_count("pairs", pairs)
    subject = subject_of(network, params, target)
    inputs = subject.known
    values = _values(subject, inputs, path)
    chosen = _chosen(units, values.shape[1], path)
    rng = np.random.default_rng([seed, 18])
    bases, sources, expected, own = _pairs(inputs, counterfactual, pairs, rng)
    mask = np.zeros(values.shape[1], dtype=bool)
    mask[chosen] = True

    def accuracy(given: np.ndarray, which: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        masks = np.broadcast_to(which, (len(bases), len(which)))
        outputs = exchange(network, subject.params, path, inputs[bases], values[given], masks)
        labels = subject.decide(outputs)
        right: np.ndarray = (labels.reshape(len(bases), -1) == expected).all(axis=1)
        return right, outputs

    right, outputs = accuracy(sources, mask)
    before = subject.outputs(inputs)[bases]
    if np.abs(outputs - before).max(initial=0.0) <= MOVED * max(1.0, float(np.abs(before).max(initial=0.0))):
        raise InputError(
            f"the exchange of units {_few(chosen)} of intermediate {path!r} changed no output in {len(bases)} pairs: "
            "they are equal on all examples, or nothing depends on them. Choose an intermediate on the way to the "
            "output, and units that move."
        )
    changes = (expected != own).any(axis=1)
    stats = {
        "null": float(accuracy(rng.permutation(sources), mask)[0].mean()),
        "other_units": _others(values, mask, rng, lambda which: float(accuracy(sources, which)[0].mean())),
        "changed": float(right[changes].mean()) if changes.any() else None,
        "pairs": len(bases),
    }
    return Measurement(float(right.mean()), stats=stats)


def exchange(
    network: Network, params: Params, path: str, bases: np.ndarray, values: np.ndarray, masks: np.ndarray
) -> np.ndarray:
    """Outputs on base examples with some units of one intermediate set to given values.

    Args:
        network: The network.
        params: The point.
        path: The intermediate.
        bases: Examples ``[P, ...]``.
        values: The units of other examples ``[P, U]``.
        masks: Which units are set ``[P, U]``.

    Returns:
        Outputs ``[P, ...]``, in double precision.
    """
    with float64():
        point = as_point(params, network=network)

        def one(base: Any, value: Any, mask: Any) -> Any:
            def swap(old: Any) -> Any:
                return jnp.where(mask.reshape(old.shape), value.reshape(old.shape), old)

            return evaluate(network.apply, point, base[None], replace={path: swap})[0][0]

        fill = (1 << (len(bases) - 1).bit_length()) - len(bases)  # few shapes, so that little is compiled
        filled = (jnp.asarray(np.concatenate([rows, rows[:1].repeat(fill, axis=0)])) for rows in (bases, values, masks))
        run: Callable[..., Any] = jax.vmap(one)
        return np.asarray(run(*filled))[: len(bases)]


def _values(subject: Subject, inputs: np.ndarray, path: str) -> np.ndarray:
    """The units of the intermediate on each example, ``[N, U]``."""
    apply = subject.network.apply
    with float64():
        point = as_point(subject.params, network=subject.network)
        listed = {found.path: found for found in intermediates(apply, point, jnp.asarray(inputs)[:1])}
        if path not in listed:
            shown = ", ".join(f"{found.path!r} ({found.primitive}, {found.shape})" for found in listed.values())
            raise InputError(f"path: the network has no intermediate {path!r} on one example; it has {shown}.")
        if listed[path].steps:
            raise InputError(
                f"path: intermediate {path!r} lies inside a loop, where each step has its own value. Take what the "
                "loop gives out; allroads.extract exchanges hidden states of recurrent networks."
            )
        if not listed[path].dtype.startswith("float"):
            raise InputError(f"path: intermediate {path!r} holds {listed[path].dtype}, not floating-point numbers.")
        run = jax.vmap(lambda x: evaluate(apply, point, x[None], capture=[path])[1][path])
        return np.asarray(jax.jit(run)(jnp.asarray(inputs))).reshape(len(inputs), -1)


def _chosen(units: Sequence[int] | None, count: int, path: str) -> np.ndarray:
    chosen = np.arange(count) if units is None else np.asarray(units)
    whole = chosen.ndim == 1 and chosen.size > 0 and chosen.dtype.kind in "iu"
    if not whole or chosen.min() < 0 or chosen.max() >= count:
        raise InputError(
            f"units: expected numbers from 0 to {count - 1}, the units of intermediate {path!r}; got {units!r}."
        )
    return chosen


def _pairs(
    inputs: np.ndarray, counterfactual: Callable[[np.ndarray, np.ndarray], Any], count: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Bases, sources, the program's labels after the exchange ``[P, K]`` and before it."""
    bases, sources = rng.integers(len(inputs), size=(2, 4 * count))
    if inputs.dtype.kind == "f" and np.array_equal(inputs, np.rint(inputs)):
        inputs = inputs.astype(int)
    try:
        after = [np.ravel(counterfactual(inputs[b], inputs[s])) for b, s in zip(bases, sources, strict=True)]
        before = [np.ravel(counterfactual(inputs[b], inputs[b])) for b in bases]
        expected, own = np.stack(after).astype(int), np.stack(before).astype(int)
    except Exception as error:
        raise InputError(
            f"counterfactual: expected a function of two examples that gives one label, or one per position; {error}"
        ) from error
    changes = (expected != own).any(axis=1)
    moving, still = np.flatnonzero(changes), np.flatnonzero(~changes)
    kept = np.concatenate([moving[: max(math.ceil(count / 2), count - len(still))], still])[:count]
    return bases[kept], sources[kept], expected[kept], own[kept]


def _others(
    values: np.ndarray, mask: np.ndarray, rng: np.random.Generator, accuracy: Callable[[np.ndarray], float]
) -> float | None:
    """Accuracy of as many other units that move; ``None`` where there are too few."""
    free = np.flatnonzero((np.ptp(values, axis=0) > 0) & ~mask)
    if len(free) < mask.sum():
        return None
    other = np.zeros_like(mask)
    other[rng.choice(free, int(mask.sum()), replace=False)] = True
    return accuracy(other)


def _few(chosen: np.ndarray) -> str:
    shown = ", ".join(map(str, chosen[:5].tolist()))
    return f"{shown}, …" if len(chosen) > 5 else shown
