"""The group of a network: constraints gathered from its jaxpr, then solved."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

import jax
import numpy as np

from allroads.errors import InputError
from allroads.pfmap.jaxpr import trace
from allroads.pfmap.network import Network, Params
from allroads.pfmap.symmetries.axes import Atom, atoms_of, find, is_pinned, pin, pinned_by
from allroads.pfmap.symmetries.captures import (
    CapturedDegree,
    Generator,
    captured_blocks,
    captures,
    number_degrees,
)
from allroads.pfmap.symmetries.constraints import SCALE, SIGN, Array, Constraints
from allroads.pfmap.symmetries.degrees import Degree, Leaf, LinearForm, UnknownDegree, normal_form, substitute
from allroads.pfmap.symmetries.degrees import leaves as leaves_of
from allroads.pfmap.symmetries.dependence import IndexedAxes, block_axes, blocks, dependencies, resolve_indexed_axes
from allroads.pfmap.symmetries.group import Block, Symmetries, Units, named_leaves
from allroads.pfmap.symmetries.interpret import gather_constraints
from allroads.pfmap.symmetries.solve import in_span, null_space

Position = tuple[int, int]
"""A block and one of its dimensions."""

Piece = tuple[np.ndarray, list[Leaf]]
"""A block of an array: where its elements lie, and the leaf on each dimension."""


def derive(network: Network, params: Params, inputs: Any) -> Symmetries:
    """The symmetries that follow from a network's jaxpr, not checked yet."""
    named = named_leaves(params)
    for name, leaf in named:
        if not jax.numpy.issubdtype(jax.numpy.result_type(leaf), jax.numpy.floating):
            raise InputError(f"parameter {name} has dtype {jax.numpy.result_type(leaf)}; expected real numbers.")
    traced = trace(network.apply, params, inputs)
    constraints = Constraints()
    leaves = [Array(tuple(constraints.unknown(Atom(size)) for size in np.shape(leaf))) for _, leaf in named]
    given = [constraints.new_array(np.shape(x), "inputs") for x in jax.tree.leaves(inputs)]
    for array in leaves:
        constraints.record(array.axes)
    consts = [constraints.constant(const) for const in traced.consts]
    outputs = gather_constraints(constraints, traced.jaxpr, consts, [*leaves, *given], capture=True)
    for axis in (axis for output in outputs for axis in output.axes):
        pin(axis.atom, "outputs")
        constraints.require_degree_zero(axis)
    indexed = resolve_indexed_axes(constraints)
    examples = [x.axes[0] for x in given if x.axes]
    for axis in examples[1:]:  # an input that is indexed by another is tied to nothing by what is computed
        constraints.unify(examples[0], axis)
    return _solved(constraints, indexed, named, leaves, examples[0].atom if examples else None)


def _solved(
    constraints: Constraints,
    indexed: IndexedAxes,
    named: Sequence[tuple[str, Any]],
    leaves: Sequence[Array],
    batch: Atom | None,
) -> Symmetries:
    depends = _without_cycles(dependencies(constraints, indexed))
    pieces, labels = _parameter_blocks(named, leaves, indexed)
    numbers = _numbered(pieces, depends)
    positions: dict[UnknownDegree, list[Position]] = {}
    for number, (_, dimensions) in enumerate(pieces):
        for d, leaf in enumerate(dimensions):
            for unknown in leaf.form:
                positions.setdefault(unknown, []).append((number, d))
    captured = list(captured_blocks(constraints, indexed, batch, numbers))
    degrees = number_degrees(captured)
    scales = _solutions(constraints.equations[SCALE], indexed, positions, pieces, {}, None)
    signs = _solutions(constraints.equations[SIGN], indexed, positions, pieces, degrees, 2)
    flips = {atom: _own_generators(atom, numbers, depends, signs, 2) for atom in numbers}
    units = tuple(
        _units(atom, numbers, depends, labels, flips[atom], _own_generators(atom, numbers, depends, scales, None))
        for atom in numbers
    )
    return Symmetries(
        units,
        tuple(Block(index, tuple(numbers.get(leaf.atom, -1) for leaf in dimensions)) for index, dimensions in pieces),
        tuple((name, array.shape) for (name, _), array in zip(named, leaves, strict=True)),
        _pins(named, leaves),
        _opaque(constraints, labels),
        captures=captures(captured, numbers, degrees, flips, signs),
    )


def _parameter_blocks(
    named: Sequence[tuple[str, Any]], leaves: Sequence[Array], indexed: IndexedAxes
) -> tuple[list[Piece], dict[Atom, str]]:
    """The blocks of all parameters, and for every atom the first parameter axis that it stands on."""
    pieces: list[Piece] = []
    labels: dict[Atom, str] = {}
    start = 0
    for (name, _), array in zip(named, leaves, strict=True):
        size = int(np.prod(array.shape, dtype=int))
        index = np.arange(start, start + size).reshape(array.shape)
        start += size
        forms = [form for axis in array.axes if (form := axis.degrees[SCALE]()) is not None]
        pieces.extend(blocks(forms, index, indexed))
        for d, form in enumerate(forms):
            for leaf in leaves_of(form):
                labels.setdefault(leaf.atom, f"{name}:{d}")
    for _, dimensions in pieces:
        for leaf in dimensions:
            whole = _whole_of(leaf.atom, indexed)
            labels.setdefault(leaf.atom, "units" if whole is None else labels.get(whole, "units"))
    return pieces, labels


def _whole_of(atom: Atom, indexed: IndexedAxes) -> Atom | None:
    """The axis that this one is at one index of another."""
    for whole, (_, members) in indexed.items():
        if any(atom in atoms_of(member) for member in members.values()):
            return whole
    return None


def _without_cycles(depends: Mapping[Atom, set[Atom]]) -> dict[Atom, set[Atom]]:
    """Of two axes that depend on each other, the first stands on its own."""
    kept: dict[Atom, set[Atom]] = {}
    for atom, others in depends.items():
        kept[atom] = {other for other in others if atom not in kept.get(other, ())}
    return kept


def _numbered(pieces: Sequence[Piece], depends: Mapping[Atom, set[Atom]]) -> dict[Atom, int]:
    """A number for every axis that can move and every one that such an axis depends on."""
    numbers: dict[Atom, int] = {}
    for _, dimensions in pieces:
        for leaf in dimensions:
            if not is_pinned(leaf.atom):
                for atom in (*sorted(depends.get(leaf.atom, ()), key=lambda a: a.size), leaf.atom):
                    if atom is leaf.atom or any(atom is other.atom for other in dimensions):
                        numbers.setdefault(atom, len(numbers))
    return numbers


def _solutions(
    equations: Iterable[Degree],
    indexed: IndexedAxes,
    positions: Mapping[UnknownDegree, Sequence[Position]],
    pieces: Sequence[Piece],
    captured: Mapping[CapturedDegree, int],
    modulus: int | None,
) -> dict[Atom, list[Generator]]:
    """For every axis that can move, a basis of how parameters and captured arrays may scale with its units."""
    rows: dict[Atom, list[LinearForm]] = {}
    for equation in equations:
        degree = equation()
        if degree is None:
            continue
        for leaf in (leaf for dimensions in block_axes([degree], {}) for leaf in dimensions):
            for atom, form in _expanded(leaf.atom, leaf.form, indexed):
                rows.setdefault(atom, []).append(form)
    unknowns: dict[Atom, list[UnknownDegree]] = {}
    for leaf in (leaf for _, dimensions in pieces for leaf in dimensions):
        if not is_pinned(leaf.atom):
            known = unknowns.setdefault(leaf.atom, [])
            known.extend(name for name in leaf.form if name not in known)
    names: dict[Atom, dict[UnknownDegree, int]] = {}
    for (atom, terms), number in captured.items():
        name = (-1, number)  # one more unknown, which equals the degree of a captured axis
        names.setdefault(atom, {})[name] = number
        rows.setdefault(atom, []).append({name: Fraction(-1), **dict(terms)})
    found: dict[Atom, list[Generator]] = {}
    for atom, own in unknowns.items():
        extra = names.get(atom, {})
        found[atom] = [
            Generator(
                {place: value for name, value in way.items() if name not in extra for place in positions[name]},
                {extra[name]: value for name, value in way.items() if name in extra},
            )
            for way in null_space(rows.get(atom, []), [*own, *extra], modulus)
        ]
    return found


def _expanded(atom: Atom, form: LinearForm, indexed: IndexedAxes) -> Iterator[tuple[Atom, LinearForm]]:
    """The equations of an axis; of one that differs from index to index, those at each index."""
    if atom not in indexed:
        yield find(atom), form
        return
    for i, member in indexed[atom][1].items():
        for leaf in leaves_of(substitute(normal_form(member), form, i)):
            yield from _expanded(leaf.atom, leaf.form, indexed)


def _own_generators(
    atom: Atom,
    numbers: Mapping[Atom, int],
    depends: Mapping[Atom, set[Atom]],
    solutions: Mapping[Atom, list[Generator]],
    modulus: int | None,
) -> list[Generator]:
    """The generators of units that, with those of the units inside them, span all."""
    if is_pinned(atom):
        return []

    def by_block(way: Generator) -> dict[int, int]:
        return {block: power for (block, _), power in way.powers.items()}

    inside = [other for other in numbers if atom in depends.get(other, ())]
    spanned = [by_block(way) for other in inside for way in solutions.get(other, [])]
    kept = []
    for way in solutions.get(atom, []):
        if way.powers and not in_span(by_block(way), spanned, modulus):
            kept.append(way)
            if inside:
                spanned.append(by_block(way))
    return kept


def _units(
    atom: Atom,
    numbers: Mapping[Atom, int],
    depends: Mapping[Atom, set[Atom]],
    labels: Mapping[Atom, str],
    signs: Sequence[Generator],
    scales: Sequence[Generator],
) -> Units:
    within = sorted((other for other in depends.get(atom, ()) if other in numbers), key=lambda a: numbers[a])
    return Units(
        labels.get(atom, "units"),
        atom.size,
        tuple(numbers[other] for other in within),
        tuple(other.size for other in within),
        not is_pinned(atom) and (atom.size > 1 or bool(signs or scales)),
        tuple(way.powers for way in signs),
        tuple(way.powers for way in scales),
    )


def _pins(named: Sequence[tuple[str, Any]], leaves: Sequence[Array]) -> dict[str, tuple[str, ...]]:
    found = {}
    for (name, _), array in zip(named, leaves, strict=True):
        for d, axis in enumerate(array.axes):
            if reasons := pinned_by(axis.atom):
                found[f"{name}:{d}"] = tuple(sorted(reasons))
    return found


def _opaque(constraints: Constraints, labels: Mapping[Atom, str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, set[str]] = {}
    for primitive, axes in constraints.opaque:
        touched = {labels[atom] for axis in axes for atom in atoms_of(axis) if atom in labels}
        if touched:
            found.setdefault(primitive, set()).update(touched)
    return {primitive: tuple(sorted(axes)) for primitive, axes in found.items()}
