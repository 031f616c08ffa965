"""From a network to its group: trace, settle, solve."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import jax
import numpy as np

from allroads.errors import InputError
from allroads.pfmap.network import Network, Params
from allroads.pfmap.symmetries.axes import Atom, atoms_of, find, is_pinned, pin, pinned_by
from allroads.pfmap.symmetries.grades import Form, Tree, normal
from allroads.pfmap.symmetries.group import Block, Symmetries, Units, named_leaves
from allroads.pfmap.symmetries.settle import Families, blocks, dependencies, settle
from allroads.pfmap.symmetries.solve import in_span, null_space
from allroads.pfmap.symmetries.trace import Array, Trace

Place = tuple[int, int]
"""A block and one of its dimensions."""


def derive(network: Network, params: Params, inputs: Any) -> Symmetries:
    """The symmetries that follow from a network's jaxpr, not checked yet."""
    named = named_leaves(params)
    for name, leaf in named:
        if not jax.numpy.issubdtype(jax.numpy.result_type(leaf), jax.numpy.floating):
            raise InputError(f"parameter {name} has dtype {jax.numpy.result_type(leaf)}; expected real numbers.")
    closed = jax.make_jaxpr(network.apply)(params, inputs)
    trace = Trace()
    leaves = [Array(tuple(trace.unknown(Atom(size)) for size in np.shape(leaf))) for _, leaf in named]
    given = [trace.fresh(np.shape(x), "inputs") for x in jax.tree.leaves(inputs)]
    for array in leaves:
        trace.record(array.axes)
    outputs = trace.run(closed.jaxpr, [trace.constant(c) for c in closed.consts], [*leaves, *given], capture=True)
    for axis in (axis for output in outputs for axis in output.axes):
        pin(axis.atom, "outputs")
        trace.vanish(axis)
    families = settle(trace)
    batch = next((x.axes[0].atom for x in given if x.axes), None)
    return _assembled(trace, families, named, leaves, batch)


def _assembled(
    trace: Trace, families: Families, named: Sequence[tuple[str, Any]], leaves: Sequence[Array], batch: Atom | None
) -> Symmetries:
    depends = _without_circles(dependencies(trace, families))
    cut: list[tuple[np.ndarray, list[Tree]]] = []
    labels: dict[Atom, str] = {}
    start = 0
    for (name, _), array in zip(named, leaves, strict=True):
        size = int(np.prod(array.shape, dtype=int))
        index = np.arange(start, start + size).reshape(array.shape)
        start += size
        trees = [tree for axis in array.axes if (tree := axis.grades[0]()) is not None]
        for part, dimensions in blocks(trees, index, families):
            cut.append((part, dimensions))
        for d, tree in enumerate(trees):
            for _, found in blocks([tree], None, {}):
                for leaf in found:
                    labels.setdefault(leaf.atom, f"{name}:{d}")
    for _, dimensions in cut:
        for leaf in dimensions:
            labels.setdefault(leaf.atom, labels.get(_family_of(leaf.atom, families), "units"))
    numbers = _numbered(cut, depends)
    places: dict[tuple, list[Place]] = {}
    for number, (_, dimensions) in enumerate(cut):
        for d, leaf in enumerate(dimensions):
            for variable in leaf.form or {}:
                places.setdefault(variable, []).append((number, d))
    ways = [_solutions(trace.equations[s], families, places, cut, modulus) for s, modulus in ((0, None), (1, 2))]
    units = _units(numbers, depends, labels, *ways)
    return Symmetries(
        units,
        tuple(Block(index, tuple(numbers.get(leaf.atom, -1) for leaf in dimensions)) for index, dimensions in cut),
        tuple((name, array.shape) for (name, _), array in zip(named, leaves, strict=True)),
        _pins(named, leaves),
        _opaque(trace, labels),
        captures=_captures(trace, families, numbers, batch),
    )


def _family_of(atom: Atom | None, families: Families) -> Atom | None:
    """The axis that this one is at one index of another."""
    for whole, (_, members) in families.items():
        if any(atom in atoms_of(member) for member in members.values()):
            return whole
    return None


def _without_circles(depends: Mapping[Atom, set[Atom]]) -> dict[Atom, set[Atom]]:
    """Of two axes that depend on each other, the first stands on its own."""
    kept: dict[Atom, set[Atom]] = {}
    for atom, others in depends.items():
        kept[atom] = {other for other in others if atom not in kept.get(other, ())}
    return kept


def _numbered(cut: Sequence[tuple[np.ndarray, list[Tree]]], depends: Mapping[Atom, set[Atom]]) -> dict[Atom, int]:
    """A number for every axis that can move and every one that such an axis depends on."""
    numbers: dict[Atom, int] = {}
    for _, dimensions in cut:
        for leaf in dimensions:
            if leaf.atom is not None and not is_pinned(leaf.atom):
                for atom in (*sorted(depends.get(leaf.atom, ()), key=lambda a: a.size), leaf.atom):
                    if atom is leaf.atom or any(atom is other.atom for other in dimensions):
                        numbers.setdefault(atom, len(numbers))
    return numbers


def _solutions(
    equations: Iterable[Any],
    families: Families,
    places: Mapping[tuple, Sequence[Place]],
    cut: Sequence[tuple[np.ndarray, list[Tree]]],
    modulus: int | None,
) -> dict[Atom, list[dict[Place, int]]]:
    """For every axis that can move, the ways in which parameters may scale with its units."""
    rows: dict[Atom, list[Form]] = {}
    for equation in equations:
        tree = equation()
        if tree is None:
            continue
        for _, leaves in blocks([tree], None, {}):
            for leaf in leaves:
                for atom, form in _expanded(leaf.atom, leaf.form or {}, families):
                    rows.setdefault(atom, []).append(form)
    variables: dict[Atom, list[tuple]] = {}
    for _, dimensions in cut:
        for leaf in dimensions:
            if leaf.atom is not None and not is_pinned(leaf.atom):
                known = variables.setdefault(leaf.atom, [])
                known.extend(v for v in leaf.form or {} if v not in known)
    return {
        atom: [
            {place: value for name, value in solution.items() for place in places[name]}
            for solution in null_space(rows.get(atom, []), own, modulus)
        ]
        for atom, own in variables.items()
    }


def _expanded(atom: Atom | None, form: Form, families: Families) -> Iterable[tuple[Atom, Form]]:
    """An equation on an axis that is another one at each index is one equation for each index."""
    if atom is None:
        return
    if atom not in families:
        yield find(atom), form
        return
    for i, member in families[atom][1].items():
        tree = normal(member)
        for at, (_, leaves) in enumerate(_single_leaves(tree)):
            yield from _expanded(leaves, {(*name, i, at): k for name, k in form.items()}, families)


def _single_leaves(tree: Tree) -> Iterable[tuple[int, Atom | None]]:
    stack, at = [tree], 0
    while stack:
        part = stack.pop(0)
        if part.parts:
            stack = [*part.parts, *stack]
        else:
            yield at, part.atom
            at += 1


def _units(
    numbers: Mapping[Atom, int],
    depends: Mapping[Atom, set[Atom]],
    labels: Mapping[Atom, str],
    scales: Mapping[Atom, list[dict[Place, int]]],
    signs: Mapping[Atom, list[dict[Place, int]]],
) -> tuple[Units, ...]:
    def own(atom: Atom, ways: Mapping[Atom, list[dict[Place, int]]], modulus: int | None) -> tuple:
        """What the units inside these units, each by itself, cannot do already."""
        inside = [
            {block: power for (block, _), power in way.items()}
            for other in numbers
            if atom in depends.get(other, ())
            for way in ways.get(other, [])
        ]
        return tuple(
            way
            for way in ways.get(atom, [])
            if not in_span({block: Fraction(power) for (block, _), power in way.items()}, inside, modulus)
        )

    result = []
    for atom in numbers:
        within = sorted((other for other in depends.get(atom, ()) if other in numbers), key=lambda a: numbers[a])
        free = not is_pinned(atom)
        flips, stretches = (own(atom, signs, 2), own(atom, scales, None)) if free else ((), ())
        result.append(
            Units(
                labels.get(atom, "units"),
                atom.size,
                tuple(numbers[other] for other in within),
                tuple(other.size for other in within),
                free and (atom.size > 1 or bool(flips or stretches)),
                flips,
                stretches,
            )
        )
    return tuple(result)


def _pins(named: Sequence[tuple[str, Any]], leaves: Sequence[Array]) -> dict[str, tuple[str, ...]]:
    found = {}
    for (name, _), array in zip(named, leaves, strict=True):
        for d, axis in enumerate(array.axes):
            if reasons := pinned_by(axis.atom):
                found[f"{name}:{d}"] = tuple(sorted(reasons))
    return found


def _opaque(trace: Trace, labels: Mapping[Atom, str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, set[str]] = {}
    for primitive, axes in trace.opaque:
        touched = {labels[atom] for axis in axes for atom in atoms_of(axis) if atom in labels}
        if touched:
            found.setdefault(primitive, set()).update(touched)
    return {primitive: tuple(sorted(axes)) for primitive, axes in found.items()}


def _captures(
    trace: Trace, families: Families, numbers: Mapping[Atom, int], batch: Atom | None
) -> tuple[tuple[int, Block], ...]:
    """Blocks of the arrays inside the network that have an example axis and a dimension that can move."""
    found, seen = [], set()
    for count, array in trace.captured:
        roots = [find(axis.atom) for axis in array.axes]
        if id(array) in seen or batch is None or find(batch) not in roots or all(map(is_pinned, roots)):
            continue
        seen.add(id(array))
        index = np.arange(int(np.prod(array.shape, dtype=int))).reshape(array.shape)
        for part, dimensions in blocks([normal(root) for root in roots], index, families):
            units = tuple(numbers.get(leaf.atom, -1) for leaf in dimensions)
            if any(k >= 0 for k in units):
                found.append((count, Block(part, units)))
    return tuple(found)
