"""Constraints on the axes of arrays: which are permuted together, which are pinned, and how they scale."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from allroads.pfmap.symmetries.axes import Atom, compound, cut, find, is_pinned, pin, split, unify
from allroads.pfmap.symmetries.degrees import (
    Compound,
    Degree,
    NormalForm,
    chain,
    factor,
    join,
    normal_form,
    section,
    substitute,
    total,
    unknown,
    zero,
)

SCALE, SIGN = SYSTEMS = (0, 1)
"""The two systems of degrees: positive scales over the rationals, signs modulo 2."""


@dataclass(frozen=True, eq=False)
class Axis:
    """One axis of one array: its atom, and its degrees for positive scales and for signs."""

    atom: Atom
    degrees: tuple[Degree, Degree] = (zero, zero)

    @property
    def size(self) -> int:
        """How many indices it has."""
        return self.atom.size

    def cut(self, start: int, stop: int) -> Axis:
        """Indices ``start … stop−1``."""
        atom = self.atom
        if stop < atom.size:
            atom = cut(atom, stop)[0]
        if start > 0:
            atom = cut(atom, start)[1]
        scale, sign = (section(degree, start, stop) for degree in self.degrees)
        return Axis(atom, (scale, sign))

    def split(self, inner: int) -> tuple[Axis, Axis]:
        """The axis as ``outer × inner``."""
        atoms, (scale, sign) = split(self.atom, inner), self.degrees
        outer, inside = (
            Axis(atom, (factor(scale, inner, which), factor(sign, inner, which))) for which, atom in enumerate(atoms)
        )
        return outer, inside


def compound_axis(kind: str, axes: Sequence[Axis]) -> Axis:
    """Axes side by side (``"cat"``) or merged into one (``"prod"``)."""
    if len(axes) == 1:
        return axes[0]
    atoms = [axis.atom for axis in axes]
    scale, sign = (chain(kind, [(axis.atom, axis.degrees[s]) for axis in axes]) for s in SYSTEMS)
    return Axis(compound(kind, atoms), (scale, sign))


@dataclass(frozen=True, eq=False)
class Array:
    """An array as the derivation sees it.

    Args:
        axes: One per dimension.
        value: Its numbers where they depend on neither parameters nor inputs, else ``None``.
    """

    axes: tuple[Axis, ...]
    value: np.ndarray | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape."""
        return tuple(axis.size for axis in self.axes)

    def invariant_under(self, system: int) -> bool:
        """Whether scaling leaves it as it is: zeros, and for positive scales infinities too."""
        if self.value is None or self.value.dtype.kind not in "fiu":
            return False
        invariant = (self.value == 0) | np.isinf(self.value) if system == SCALE else self.value == 0
        return bool(invariant.all())


@dataclass(eq=False)
class Constraints:
    """What the equations of a jaxpr demand of the axes of its arrays.

    Args:
        arrays: The axes of every array, those of the loops around it included.
        equations: Degrees that must be zero, for positive scales and for signs.
        at_indices: ``(axis, other axis, index) → axis``: the axis that the first is where the second is held at an
            index.
        opaque: Primitives without a rule, with the axes that they touched.
        captured: Arrays outside loops, each with the number of its equation.
    """

    arrays: list[tuple[Atom, ...]] = field(default_factory=list)
    equations: tuple[list[Degree], list[Degree]] = field(default_factory=lambda: ([], []))
    at_indices: dict[tuple[Atom, Atom, int], Atom] = field(default_factory=dict)
    opaque: list[tuple[str, tuple[Atom, ...]]] = field(default_factory=list)
    captured: list[tuple[int, Array]] = field(default_factory=list)
    _unknowns: int = 0
    _loops: tuple[Atom, ...] = ()

    def unknown(self, atom: Atom) -> Axis:
        """An axis with unknown degrees."""
        self._unknowns += 1
        degree = unknown(atom, self._unknowns)
        return Axis(atom, (degree, degree))

    def record(self, axes: Iterable[Axis]) -> None:
        """Keep which axes occur together."""
        self.arrays.append((*(find(axis.atom) for axis in axes), *self._loops))

    def require_degree_zero(self, axis: Axis, *systems: int) -> None:
        """Demand that an axis does not scale."""
        for system in systems or SYSTEMS:
            if axis.degrees[system] is not zero:
                self.equations[system].append(axis.degrees[system])

    def equate_degrees(self, a: Degree, b: Degree, system: int) -> None:
        """Demand that two degrees are one."""
        if a is not b:
            self.equations[system].append(total([(1, a), (-1, b)]))

    def unify(self, a: Axis, b: Axis) -> None:
        """Demand that two axes are permuted together, whatever their degrees."""
        unify(a.atom, b.atom)

    def equate(self, axes: Sequence[Axis]) -> Axis:
        """The common axis of operands that are added, compared or chosen between."""
        for axis in axes[1:]:
            self.unify(axes[0], axis)
            for system in SYSTEMS:
                self.equate_degrees(axes[0].degrees[system], axis.degrees[system], system)
        return axes[0]

    def pin_ordered(self, array: Array, dimension: int, reason: str) -> Axis:
        """Pin an axis along which an operation depends on the index; no other axis may depend on that one."""
        pin(array.axes[dimension].atom, reason)
        self.record(axis for d, axis in enumerate(array.axes) if d != dimension)
        return array.axes[dimension]

    def at_index(self, axis: Axis, other: Atom, index: int) -> Axis:
        """The axis where another one is held at an index."""

        def held(degree: Degree) -> Degree:
            if degree is zero:
                return zero
            return lambda: None if (form := degree()) is None else self._form_at_index(form, other, index)

        scale, sign = map(held, axis.degrees)
        return Axis(self._atom_at_index(axis.atom, other, index), (scale, sign))

    def _form_at_index(self, form: NormalForm, other: Atom, index: int) -> NormalForm:
        if isinstance(form, Compound):
            return join(form.kind, [self._form_at_index(part, other, index) for part in form.parts])
        at = self.at_indices.get((form.atom, find(other), index))
        return form if at is None or find(at) is form.atom else substitute(normal_form(at), form.form, index)

    def _atom_at_index(self, atom: Atom, other: Atom, index: int) -> Atom:
        root = find(atom)
        if is_pinned(root):
            return root
        if root.parts:
            return compound(root.kind or "", [self._atom_at_index(part, other, index) for part in root.parts])
        key = (root, find(other), index)
        if key not in self.at_indices:
            self.at_indices[key] = Atom(root.size)
        return self.at_indices[key]

    def constant(self, value: Any) -> Array:
        """An array of known numbers: an axis along which it does not vary can be permuted."""
        value = np.asarray(value)
        axes = []
        for dimension, size in enumerate(value.shape):
            first = np.take(value, [0], axis=dimension) if size else value
            varies = not np.array_equal(np.broadcast_to(first, value.shape), value, equal_nan=value.dtype.kind == "f")
            axes.append(Axis(Atom(size, {"a constant of the network"} if varies else set())))
        return Array(tuple(axes), value)

    def new_array(self, shape: Sequence[int], *reasons: str) -> Array:
        """An array whose axes are not related to others yet."""
        return Array(tuple(Axis(Atom(size, set(reasons))) for size in shape))

    @contextmanager
    def loop(self, atom: Atom) -> Iterator[None]:
        """A context in which every array occurs once for each index of an axis."""
        before, self._loops = self._loops, (*self._loops, atom)
        yield
        self._loops = before
