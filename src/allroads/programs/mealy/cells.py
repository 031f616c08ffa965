"""The cell of a network as a plain function of vectors: the oracle of the extraction."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core

from allroads.errors import InputError
from allroads.pfmap.arrays import as_point
from allroads.pfmap.jaxpr.walk import Traced, interpret, shaped, trace
from allroads.pfmap.precision import float64
from allroads.programs.subject import Subject

SIZES = (32, 512, 8192)
"""Numbers of hidden states that are moved at once; fewer are filled up."""


@dataclass(frozen=True, eq=False)
class Steps:
    """A recurrent network in double precision, one letter at a time, with hidden states as rows ``[n, H]``.

    The leaves of a state are laid side by side.

    Args:
        subject: A network with a cell, and a target with an alphabet.

    Example:
        >>> from allroads.programs.mealy import Machine, compile_machine
        >>> from allroads.programs.subject import subject_of
        >>> from allroads.targets import build_target
        >>> target = build_target("sequence", task="Parity_All")
        >>> steps = Steps(subject_of(*compile_machine(Machine.of(target.truth["machine"])), target))
        >>> hidden, outputs = steps.move(steps.start(), [1])
        >>> steps.decide(outputs).tolist()
        [[1]]
        >>> steps.words(np.array([[1, 0, 1], [0, 7, 1]])).tolist()
        [[1, 0, 1], [0, -1, 1]]
    """

    subject: Subject

    @cached_property
    def letters(self) -> list[Any]:
        """The letters: symbols, or tuples of them."""
        return list(self.subject.letters or [])

    @cached_property
    def inputs(self) -> np.ndarray:
        """One position of the network's inputs for each letter, ``[A, ...]``."""
        target = self.subject.target
        shape, symbols = target.interface.input_shape[1:], target.alphabet or ()
        rows = [letter if len(shape) and shape[0] > 1 else (letter,) for letter in self.letters]
        if target.interface.vocabulary is None:
            return np.array(rows, np.float64).reshape(len(rows), *shape)
        return np.array([[symbols.index(s) for s in row] for row in rows]).reshape(len(rows), *shape)

    def words(self, examples: np.ndarray) -> np.ndarray:
        """Examples as words of positions in the alphabet.

        Args:
            examples: Inputs as the network reads them, ``[N, T, …]``.

        Returns:
            ``[N, T]``; −1 where a position holds no letter of the alphabet.
        """
        index = {np.asarray(row, float).tobytes(): i for i, row in enumerate(self.inputs)}
        rows = [[index.get(np.asarray(place, float).tobytes(), -1) for place in example] for example in examples]
        return np.array(rows, int).reshape(examples.shape[:2])

    @cached_property
    def _point(self) -> Any:
        with float64():
            return as_point(self.subject.params, network=self.subject.network)

    @cached_property
    def _state(self) -> Any:
        """The first state of a batch of one, as a pytree."""
        cell = self.subject.network.cell
        if cell is None:
            raise InputError(f"network {self.subject.network.name!r} has no cell; give one that has.")
        with float64():
            state = cell.initial_state(self._point, 1)
            return jax.tree.map(lambda leaf: leaf if jnp.issubdtype(leaf.dtype, jnp.integer) else leaf * 1.0, state)

    def start(self) -> np.ndarray:
        """The first hidden state, ``[1, H]``."""
        return np.concatenate([np.asarray(leaf, np.float64).reshape(1, -1) for leaf in jax.tree.leaves(self._state)], 1)

    @property
    def width(self) -> int:
        """Numbers H in a hidden state."""
        return int(self.start().shape[1])

    def function(self, hidden: Any, inputs: Any) -> tuple[Any, Any]:
        """The step as a JAX function: ``[n, H]`` and inputs ``[n, ...]`` to ``[n, H]`` and outputs ``[n, C]``."""
        return self._function(self._point, hidden, inputs)

    def _function(self, point: Any, hidden: Any, inputs: Any) -> tuple[Any, Any]:
        leaves, structure = jax.tree.flatten(self._state)
        cuts = np.cumsum([leaf[0].size for leaf in leaves])[:-1].tolist()
        parts = jnp.split(hidden, cuts, axis=1) if cuts else [hidden]
        shaped = [
            part.reshape(len(hidden), *leaf.shape[1:]).astype(leaf.dtype)
            for part, leaf in zip(parts, leaves, strict=True)
        ]
        cell = self.subject.network.cell
        assert cell is not None  # or there is no state
        state, outputs = cell.step(point, jax.tree.unflatten(structure, shaped), inputs)
        moved = [leaf.reshape(len(hidden), -1).astype(float) for leaf in jax.tree.leaves(state)]
        return moved[0] if len(moved) == 1 else jnp.concatenate(moved, axis=1), outputs

    @cached_property
    def _compiled(self) -> Any:
        return jax.jit(self._function)  # the point is an argument, so that one compilation serves all points

    def traced(self, count: int) -> Traced:
        """The equations of the step for a batch of ``count``."""
        with float64():
            hidden = jax.ShapeDtypeStruct((count, self.width), float)
            inputs = jax.ShapeDtypeStruct((count, *self.inputs.shape[1:]), self.inputs.dtype)
            return trace(self.function, hidden, inputs)

    @cached_property
    def numbers(self) -> int:
        """Numbers that one step computes for one hidden state, those of all intermediates together."""
        total = self.width

        def rule(number: int, equation: core.JaxprEqn, operands: list[None]) -> list[None]:
            nonlocal total
            total += sum(math.prod(shaped(var).shape) for var in equation.outvars)
            return [None] * len(equation.outvars)

        traced = self.traced(1)
        interpret(traced.jaxpr, [None] * len(traced.consts), [None, None], rule, lambda value: None)
        return total

    def move(self, hidden: np.ndarray, letters: Any) -> tuple[np.ndarray, np.ndarray]:
        """Next hidden states and outputs of hidden states ``[n, H]`` that each read one letter (its position).

        Returns:
            ``(hidden [n, H], outputs [n, C])``.
        """
        chosen = np.asarray(letters, int)
        found: list[tuple[np.ndarray, np.ndarray]] = []
        for i in range(0, len(hidden), SIZES[-1]):
            some, own = hidden[i : i + SIZES[-1]], chosen[i : i + SIZES[-1]]
            size = next(size for size in SIZES if size >= len(some))  # few shapes are compiled
            padded = np.concatenate([some, np.zeros((size - len(some), some.shape[1]))])
            given = self.inputs[np.concatenate([own, np.zeros(size - len(own), int)])]
            with float64():
                moved, outputs = self._compiled(self._point, padded, given)
            found.append((np.asarray(moved)[: len(some)], np.asarray(outputs)[: len(some)]))
        return np.concatenate([m for m, _ in found]), np.concatenate([o for _, o in found])

    def decide(self, outputs: np.ndarray) -> np.ndarray:
        """Answers ``[n, K]`` to outputs ``[n, C]`` as labels; one column of classes, or one per bit or number."""
        said = self.subject.decide(outputs)
        return said.reshape(len(said), -1)

    def run(self, hidden: np.ndarray, words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Hidden states and answers along words ``[n, T]`` read from hidden states ``[n, H]``.

        Returns:
            ``(hidden [n, T + 1, H], answers [n, T, K])``.
        """
        states, answers = [hidden], []
        for letters in np.asarray(words).T:
            hidden, outputs = self.move(hidden, letters)
            states.append(hidden)
            answers.append(self.decide(outputs))
        return np.stack(states, axis=1), np.stack(answers, axis=1)

    def symbol(self, answer: Sequence[int]) -> Any:
        """An answer as the target's output symbol."""
        symbols = self.subject.target.output_alphabet
        if symbols is not None:
            return symbols[answer[0]]
        return int(answer[0]) if len(answer) == 1 else tuple(int(a) for a in answer)

    def padded(self, words: np.ndarray) -> np.ndarray:
        """Inputs of the network for words ``[n, T]`` of positions in the alphabet."""
        found: np.ndarray = self.inputs[np.asarray(words, int)]
        return found
