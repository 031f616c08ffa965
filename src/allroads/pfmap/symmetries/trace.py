"""One pass over a jaxpr that finds which axes move together and how they scale."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np
from jax.extend import core

from allroads.pfmap.calls import called
from allroads.pfmap.symmetries.axes import Atom, compound, cut, find, is_pinned, pin, split, unify
from allroads.pfmap.symmetries.grades import (
    Grade,
    Tree,
    chain,
    factor,
    join,
    normal,
    section,
    substitute,
    total,
    unknown,
    zero,
)

SYSTEMS = (0, 1)
"""The two systems of grades: positive scales, signs."""

FOLDED = 1 << 20
"""Numbers of elements up to which an array that depends on nothing is worked out."""


@dataclass(frozen=True, eq=False)
class Axis:
    """One axis of one array: what moves it, and its grades for positive scales and for signs."""

    atom: Atom
    grades: tuple[Grade, Grade] = (zero, zero)

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
        scale, sign = (section(g, start, stop) for g in self.grades)
        return Axis(atom, (scale, sign))

    def split(self, inner: int) -> tuple[Axis, Axis]:
        """The axis as ``outer × inner``."""
        atoms = split(self.atom, inner)
        first, second = (Axis(a, tuple(factor(g, inner, w) for g in self.grades)) for w, a in enumerate(atoms))
        return first, second


def joined(kind: str, axes: Sequence[Axis]) -> Axis:
    """Axes side by side (``"cat"``) or merged into one (``"prod"``)."""
    if len(axes) == 1:
        return axes[0]
    atoms = [axis.atom for axis in axes]
    scale, sign = (chain(kind, [(axis.atom, axis.grades[s]) for axis in axes]) for s in SYSTEMS)
    return Axis(compound(kind, atoms), (scale, sign))


@dataclass(frozen=True, eq=False)
class Array:
    """An array as the pass sees it.

    Args:
        axes: One a dimension.
        value: Its numbers where they depend on neither parameters nor inputs, else ``None``.
    """

    axes: tuple[Axis, ...]
    value: np.ndarray | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape."""
        return tuple(axis.size for axis in self.axes)

    def neutral(self, system: int) -> bool:
        """Whether scaling leaves it as it is: zeros, and for positive scales infinities too."""
        if self.value is None or self.value.dtype.kind not in "fiu":
            return False
        still = (self.value == 0) | np.isinf(self.value) if system == 0 else self.value == 0
        return bool(still.all())


@dataclass(eq=False)
class Trace:
    """What a pass over a jaxpr leaves.

    Args:
        arrays: The axes of every array that it met, those of the loops around it included.
        equations: Grades that must be zero, for positive scales and for signs.
        members: ``(axis, other axis, index) → axis``: what an axis is called where the other is held at an index.
        opaque: Primitives without a rule, with the axes that they touched.
        captured: Arrays that can be looked at while the network runs: their number and their axes.
    """

    arrays: list[tuple[Atom, ...]] = field(default_factory=list)
    equations: tuple[list[Grade], list[Grade]] = field(default_factory=lambda: ([], []))
    members: dict[tuple[Atom, Atom, int], Atom] = field(default_factory=dict)
    opaque: list[tuple[str, tuple[Atom, ...]]] = field(default_factory=list)
    captured: list[tuple[int, Array]] = field(default_factory=list)
    _unknowns: int = 0
    _loops: tuple[Atom, ...] = ()
    _count: int = 0

    def unknown(self, atom: Atom) -> Axis:
        """An axis whose grades are not known yet."""
        self._unknowns += 1
        grade = unknown(atom, self._unknowns)
        return Axis(atom, (grade, grade))

    def record(self, axes: Iterable[Axis]) -> None:
        """Take down which axes occur together."""
        self.arrays.append((*(find(axis.atom) for axis in axes), *self._loops))

    def vanish(self, axis: Axis, *systems: int) -> None:
        """Demand that an axis does not scale."""
        for system in systems or SYSTEMS:
            if axis.grades[system] is not zero:
                self.equations[system].append(axis.grades[system])

    def align(self, a: Axis, b: Axis) -> None:
        """Demand that two axes move together, whatever their scales."""
        unify(a.atom, b.atom)

    def same(self, axes: Sequence[Axis]) -> Axis:
        """The common axis of operands that are added, compared or chosen between."""
        for axis in axes[1:]:
            unify(axes[0].atom, axis.atom)
            for system in SYSTEMS:
                if axis.grades[system] is not axes[0].grades[system]:
                    self.equations[system].append(total([(1, axes[0].grades[system]), (-1, axis.grades[system])]))
        return axes[0]

    def mixed(self, array: Array, dimension: int, reason: str) -> Axis:
        """Pin an axis along which an operation depends on the index; nothing else may depend on that axis."""
        pin(array.axes[dimension].atom, reason)
        self.record(axis for d, axis in enumerate(array.axes) if d != dimension)
        return array.axes[dimension]

    def member(self, axis: Axis, other: Atom, index: int) -> Axis:
        """An axis where another one is held at an index."""
        scale, sign = (
            g if g is zero else (lambda g=g: None if (tree := g()) is None else self.held(tree, other, index))
            for g in axis.grades
        )
        return Axis(self._member(axis.atom, other, index), (scale, sign))

    def held(self, tree: Tree, other: Atom, index: int) -> Tree:
        """The grade of an axis where another one is held at an index."""
        if tree.parts:
            return join(tree.kind, [self.held(part, other, index) for part in tree.parts])
        at = self.members.get((tree.atom, find(other), index)) if tree.atom is not None else None
        return tree if at is None or find(at) is tree.atom else substitute(normal(at), tree.form or {}, index)

    def _member(self, atom: Atom, other: Atom, index: int) -> Atom:
        root = find(atom)
        if is_pinned(root):
            return root
        if root.parts:
            return compound(root.kind or "", [self._member(part, other, index) for part in root.parts])
        key = (root, find(other), index)
        if key not in self.members:
            self.members[key] = Atom(root.size)
        return self.members[key]

    def constant(self, value: Any) -> Array:
        """An array of known numbers: an axis along which it does not vary can be permuted."""
        value = np.asarray(value)
        axes = []
        for dimension, size in enumerate(value.shape):
            first = np.take(value, [0], axis=dimension) if size else value
            varies = not np.array_equal(np.broadcast_to(first, value.shape), value, equal_nan=value.dtype.kind == "f")
            axes.append(Axis(Atom(size, {"a constant of the network"} if varies else set())))
        return Array(tuple(axes), value)

    def fresh(self, shape: Sequence[int], *reasons: str) -> Array:
        """An array of axes that are not related to others yet."""
        return Array(tuple(Axis(Atom(size, set(reasons))) for size in shape))

    def run(self, jaxpr: Any, consts: Sequence[Array], args: Sequence[Array], capture: bool = False) -> list[Array]:
        """The outputs of a jaxpr; with ``capture``, its arrays can be looked at when it runs."""
        from allroads.pfmap.symmetries.rules import apply_rule

        known: dict[Any, Array] = dict(zip(jaxpr.constvars, consts, strict=True))
        known.update(zip(jaxpr.invars, args, strict=True))

        def read(var: Any) -> Array:
            if isinstance(var, core.Literal):
                return self.constant(var.val)
            array = known[var]
            return array if array.value is None else self.constant(array.value)  # its uses are not tied together

        for equation in jaxpr.eqns:
            operands = [read(var) for var in equation.invars]
            results = folded(equation, operands)
            if results is not None:
                outputs = [self.constant(result) for result in results]
            else:
                outputs = apply_rule(self, equation, operands, capture)
            seen = capture and called(equation) is None  # what a call gives has been seen inside it
            self._count += seen
            for var, output in zip(equation.outvars, outputs, strict=True):
                if output.shape != tuple(var.aval.shape):
                    raise AssertionError(f"{equation.primitive}: shape {output.shape}, expected {var.aval.shape}")
                known[var] = output
                self.record(output.axes)
                if seen and len(equation.outvars) == 1 and var.aval.dtype.kind == "f" and output.value is None:
                    self.captured.append((self._count, output))
        return [read(var) for var in jaxpr.outvars]

    def loop(self, atom: Atom) -> Callable[[], None]:
        """Enter a loop over an axis; call what it returns to leave it."""
        before, self._loops = self._loops, (*self._loops, atom)

        def leave() -> None:
            self._loops = before

        return leave


def folded(equation: Any, operands: Sequence[Array]) -> list[np.ndarray] | None:
    """The results of an operation on known numbers, where they are not large; else ``None``."""
    if any(operand.value is None for operand in operands) or equation.effects:
        return None
    if sum(var.aval.size for var in equation.outvars) > FOLDED:
        return None
    if any(isinstance(value, core.Jaxpr | core.ClosedJaxpr) for value in equation.params.values()):
        return None
    with jax.ensure_compile_time_eval():
        arrays = [jax.numpy.asarray(operand.value) for operand in operands]
        results = equation.primitive.bind(*arrays, **equation.params)
    return [np.asarray(r) for r in (results if equation.primitive.multiple_results else [results])]
