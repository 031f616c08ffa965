"""Interchange interventions between intermediates of a network and the lines of a position-wise program."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from allroads.pfmap.arrays import as_point
from allroads.pfmap.jaxpr import evaluate, intermediates
from allroads.pfmap.precision import float64
from allroads.programs.mealy.cells import Steps
from allroads.programs.sequence.lines import GIVEN, Count, Fetch
from allroads.programs.sequence.program import SequenceProgram
from allroads.programs.subject import Subject
from allroads.results import Measurement

PAIRS = 192
"""Exchanges by which an intermediate is chosen; as many others decide the accuracy."""

WORDS = 1024
"""Words over which intermediates are averaged."""

PLACES = ("dot_general", "add")
"""Primitives whose outputs are tried: maps of a stream, and sums."""

TELLING = 0.9
"""Share of exchanges by answers alone that an intermediate must stay below."""


def interchange(subject: Subject, program: SequenceProgram, words: np.ndarray, seed: int) -> Measurement | None:
    """Interchange accuracy: whether exchanged intermediates act as exchanged counts and fetches of the program.

    Lines that look at other positions are taken together by depth: those that read letters and positions, then those
    that read these. The answer itself is no such line unless it is alone. At one position of a word, an intermediate is
    exchanged for a mean. It is over the words that agree with another word there in the letter and in the lines of a
    depth. The network must then answer every position as the program does with these lines set to the other word's
    values.

    Half of the exchanges change an answer; those that would give a line a value that no word gives are left out where
    others exist. An intermediate that may be exchanged for the mean over words with the same answer holds that answer
    alone. It tells nothing of the lines and is not used. The intermediate is chosen by other exchanges than those that
    are counted.

    Args:
        subject: The network.
        program: A program that gives its answers.
        words: All words of the domain ``[N, T]``, as positions in the alphabet.
        seed: Decides the exchanges.

    Returns:
        The least share over the depths with ``stats``: ``null``, the same where the means are those of other values;
        ``sites``, the path and the share of each depth; ``pairs``. ``None`` where the program has no such lines, or
        there is no intermediate with a vector per position that tells lines from answers.

    When it fails: lines of which the answer is a one-to-one function, at a position and a letter, cannot be told from
    the answer. Such a program is never more than *behaves as*.

    References: [geiger2021]
    """
    depths = _depths(program)
    if not depths:
        return None
    rng = np.random.default_rng(seed)
    words = words[rng.permutation(len(words))[:WORDS]]
    if len(words) < WORDS:  # one shape of batches
        words = np.concatenate([words, words[rng.integers(len(words), size=WORDS - len(words))]])
    network = _Network(subject, words)
    values = program.values(words)
    shares, nulls, chosen = [], [], {}
    for depth, names in enumerate(depths, 1):
        tests = [_exchanges(program, words, values, names, rng) for _ in range(2)]
        if any(test is None for test in tests):
            continue  # these lines change no answer between words that agree in a letter
        choosing, counting = tests
        best, path = -1.0, None
        for place in network.paths:
            share = network.follows(place, choosing, choosing.by_lines, choosing.wanted)
            if share > best and network.follows(place, choosing, choosing.by_answer, choosing.same_answer) < TELLING:
                best, path = share, place
            if best == 1.0:
                break
        if path is None:
            return None
        shares.append(network.follows(path, counting, counting.by_lines, counting.wanted))
        nulls.append(network.follows(path, counting, counting.by_lines, counting.other))
        chosen[str(depth)] = (path, shares[-1])
    if not shares:
        return None
    return Measurement(min(shares), stats={"null": max(nulls), "sites": chosen, "pairs": PAIRS})


def _depths(program: SequenceProgram) -> list[list[str]]:
    """Names of counts and fetches by how many of them lie under each other, the answer left out."""
    depth: dict[str, int] = dict.fromkeys(GIVEN, 0)
    found: dict[int, list[str]] = {}
    for name, line in program.lines:
        looks = isinstance(line, Count | Fetch)
        depth[name] = max((depth[read] for read in line.reads), default=0) + looks
        if looks:
            found.setdefault(depth[name], []).append(name)
    depths = [found[d] for d in sorted(found)]
    return depths[:-1] if depths and depths[-1] == [program.lines[-1][0]] else depths


@dataclass(frozen=True, eq=False)
class _Exchanges:
    """Exchanges at one position of a word.

    Args:
        base: Rows of the words.
        position: The position of each exchange.
        by_lines: Classes of every word at every position, by letter and lines ``[N, T]``; positions share none.
        by_answer: The same by letter and answer.
        wanted: The class by lines whose mean is put there.
        other: Another one of the same position and letter, for the null.
        same_answer: The class by answer of the word that the lines are taken from.
        answers: The program's values with the lines exchanged ``[P, T]``.
    """

    base: np.ndarray
    position: np.ndarray
    by_lines: np.ndarray
    by_answer: np.ndarray
    wanted: np.ndarray
    other: np.ndarray
    same_answer: np.ndarray
    answers: np.ndarray


def _exchanges(
    program: SequenceProgram, words: np.ndarray, values: dict[str, np.ndarray], names: list[str],
    rng: np.random.Generator,
) -> Any:  # fmt: skip
    """Exchanges half of which change an answer; ``None`` where none does."""
    count, length = words.shape
    classes = _classes(words, [values[name] for name in names])
    by_answer = _classes(words, [values[program.lines[-1][0]]])
    many = 24 * PAIRS
    base, position = rng.integers(count, size=many), rng.integers(length, size=many)
    source = rng.integers(count, size=many)
    alike = words[base, position] == words[source, position]
    base, position, source = base[alike], position[alike], source[alike]
    held = {name: values[name][source, position] for name in names}
    after = program.exchanged(words[base], position, held)
    answers = after[program.lines[-1][0]]
    moved = (answers != values[program.lines[-1][0]][base]).any(axis=1)
    known = np.all([np.isin(after[n], values[n]).all(axis=1) for n, _ in program.lines], axis=0)
    if not (moved & known).any():
        known = np.ones(len(known), bool)
    change, keep = np.flatnonzero(moved & known), np.flatnonzero(~moved & known)
    if not len(change):
        return None
    half = PAIRS // 2
    picked = np.concatenate([np.resize(change, half), np.resize(keep if len(keep) else change, half)])
    base, position, source = base[picked], position[picked], source[picked]
    wanted = classes[source, position]
    other = wanted.copy()
    for k, (q, own) in enumerate(zip(position, wanted, strict=True)):
        there = np.unique(classes[words[:, q] == words[base[k], q], q])
        there = there[there != own]
        other[k] = rng.choice(there) if len(there) else own
    return _Exchanges(base, position, classes, by_answer, wanted, other, by_answer[source, position], answers[picked])


def _classes(words: np.ndarray, values: list[np.ndarray]) -> np.ndarray:
    """Position, letter and some values, as one number ``[N, T]``."""
    keys = np.stack([np.broadcast_to(np.arange(words.shape[1]), words.shape), words, *values], axis=-1)
    numbers = np.unique(keys.reshape(-1, keys.shape[-1]), axis=0, return_inverse=True)[1]
    return numbers.reshape(words.shape)


class _Network:
    """A network on words, its intermediates with a vector per position, and exchanges at them."""

    def __init__(self, subject: Subject, words: np.ndarray):
        self.subject, self.words, self.steps = subject, words, Steps(subject)
        count, length = words.shape
        with float64():
            self.point = as_point(subject.params, network=subject.network)
            inputs = self.steps.padded(words)
            listed = intermediates(subject.network.apply, self.point, inputs)
            paths = [
                found.path
                for found in listed
                if not found.steps
                and found.primitive in PLACES
                and found.dtype.startswith("float")
                and len(found.shape) > 2
                and found.shape[:2] == (count, length)
            ]
            seen = evaluate(subject.network.apply, self.point, inputs, capture=paths)[1]
        self.values = {path: np.asarray(seen[path]) for path in paths}
        self.paths = [path for path in paths if np.ptp(self.values[path], axis=0).max() > 0]

    def run(self, path: str, base: np.ndarray, position: np.ndarray, put: np.ndarray) -> np.ndarray:
        """Outputs on base words with one position of an intermediate exchanged."""
        at = np.arange(self.words.shape[1])[None] == position[:, None]
        mask = jnp.asarray(at.reshape(*at.shape, *(1,) * (put.ndim - 1)))
        with float64():
            new = jnp.asarray(put)[:, None]
            swapped = {path: lambda old: jnp.where(mask, new, old)}
            inputs = self.steps.padded(self.words[base])
            return np.asarray(evaluate(self.subject.network.apply, self.point, inputs, replace=swapped)[0])

    def follows(self, path: str, tests: _Exchanges, classes: np.ndarray, which: np.ndarray) -> float:
        """Share of exchanges for the means of classes after which all answers are the program's."""
        values = self.values[path]
        means = np.stack(
            [values[:, q][classes[:, q] == c].mean(axis=0) for q, c in zip(tests.position, which, strict=True)]
        )
        outputs = self.run(path, tests.base, tests.position, means)
        said = self.subject.decide(outputs)
        return float((self._numbers(said) == tests.answers).all(axis=1).mean())

    def _numbers(self, labels: np.ndarray) -> np.ndarray:
        """Labels as the program's values."""
        symbols = self.subject.target.output_alphabet
        if symbols is None:
            return labels
        whole = all(isinstance(s, int) and not isinstance(s, bool) for s in symbols)
        used = np.unique(self.subject.answers(self.subject.domain)).tolist() if not whole else []
        number = {k: symbols[k] if whole else (used.index(k) if k in used else -1) for k in range(len(symbols))}
        found: np.ndarray = np.vectorize(number.__getitem__, otypes=[int])(labels)
        return found
