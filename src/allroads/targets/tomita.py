"""The seven Tomita grammars: after each position, is the prefix in the language?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from allroads.errors import InputError
from allroads.targets.checks import integer
from allroads.targets.mealy import STATE_CAP, minimal_mealy
from allroads.targets.target import Target


@dataclass(frozen=True)
class Acceptor:
    """A language over the bits as an automaton with states ``0 …``; state 0 is the initial one.

    Args:
        definition: The language in words.
        transitions: ``transitions[state][bit]``.
        accepting: The accepting states.
    """

    definition: str
    transitions: tuple[tuple[int, int], ...]
    accepting: frozenset[int]

    def step(self, state: int, bit: int) -> tuple[int, int]:
        """The next state, and 1 where it accepts."""
        following = self.transitions[state][bit]
        return following, int(following in self.accepting)


TOMITA: dict[int, Acceptor] = {
    1: Acceptor("only ones", ((1, 0), (1, 1)), frozenset({0})),
    2: Acceptor("repetitions of 10", ((2, 1), (0, 2), (2, 2)), frozenset({0})),
    3: Acceptor(
        "no odd run of ones with an odd run of zeros right after it",
        ((0, 1), (2, 0), (3, 4), (2, 1), (4, 4)),
        frozenset({0, 1, 3}),
    ),
    4: Acceptor("no three zeros in a row", ((1, 0), (2, 0), (3, 0), (3, 3)), frozenset({0, 1, 2})),
    5: Acceptor("an even number of zeros and of ones", ((1, 2), (0, 3), (3, 0), (2, 1)), frozenset({0})),
    6: Acceptor("as many zeros as ones, mod 3", ((1, 2), (2, 0), (0, 1)), frozenset({0})),
    7: Acceptor(
        "zeros, then ones, then zeros, then ones, any of them none",
        ((0, 1), (2, 1), (2, 3), (4, 3), (4, 4)),
        frozenset({0, 1, 2, 3}),
    ),
}


def acceptor_states(step: Callable[[Any, Any], tuple[Any, Any]], initial_state: Any, accepts_empty: bool) -> int:
    """States of the smallest complete automaton over the bits that accepts where ``step`` puts out 1.

    An automaton says of each state whether it accepts; a Mealy machine with one more symbol, which asks this,
    says so too. So the one is as large as the other.

    Raises:
        InputError: If more than ``STATE_CAP`` states are reachable.

    Example:
        >>> acceptor_states(TOMITA[1].step, 0, accepts_empty=True)
        2
    """

    def asked(state: tuple[Any, int], symbol: Any) -> tuple[tuple[Any, int], int]:
        if symbol == "accepts?":
            return state, state[1]
        following, output = step(state[0], symbol)
        return (following, output), output

    machine = minimal_mealy(asked, (initial_state, int(accepts_empty)), (0, 1, "accepts?"))
    if machine is None:
        raise InputError(f"the automaton has more than {STATE_CAP} states; give a smaller one.")
    return machine.states


def tomita(
    *,
    grammar: int,
    length: int = 10,
    name: str | None = None,
    train_fraction: float | None = None,
    train_size: int | None = None,
    held_out_size: int | None = None,
    seed: int = 0,
) -> Target:
    """One of the seven Tomita grammars over the bits.

    Labels ``[N, T]`` say of each prefix whether it belongs to the language.

    Args:
        grammar: Its number, 1 … 7.
        length: Length T of the strings, default 10.
        name: Display name, default ``"Tomita <grammar>"``.
        train_fraction: Share that trains, default 0.8; only where all strings are enumerated (T ≤ 16).
        train_size: How many train; where strings are drawn, default 1024.
        held_out_size: How many are held out; where strings are drawn, default 1024.
        seed: Decides what is drawn and the split.

    Returns:
        The target. Truth: ``grammar``, ``definition``, ``acceptor_states`` (of the smallest complete
        automaton, dead state counted: 2, 3, 5, 4, 4, 3, 5), ``minimal_states`` (of the smallest Mealy
        machine) and the ``machine``.

    Raises:
        InputError: If there is no such grammar, or an option cannot be used.

    References: [tomita1982]

    Example:
        >>> tomita(grammar=4).truth["acceptor_states"]
        4
    """
    language = TOMITA[integer("grammar", grammar, 1, 7)]
    return Target(
        name or f"Tomita {grammar}",
        step=language.step,
        initial_state=0,
        alphabet=2,
        length=integer("length", length, 2),
        output_alphabet=2,
        train_fraction=train_fraction,
        train_size=train_size,
        held_out_size=held_out_size,
        seed=seed,
        truth={
            "grammar": grammar,
            "definition": language.definition,
            "acceptor_states": acceptor_states(language.step, 0, 0 in language.accepting),
        },
    )
