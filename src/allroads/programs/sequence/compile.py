"""Compilation of a position-wise program: a transformer of hard attention and ReLU tables that computes it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax.numpy as jnp
import numpy as np

from allroads.checks import check_count
from allroads.errors import InputError
from allroads.networks.transformer import transformer
from allroads.pfmap.network import Network, Params
from allroads.programs.sequence.lines import TESTS, Count, Fetch, Selector
from allroads.programs.sequence.program import SequenceProgram, all_words, ranges

WORDS = 2**16
"""Most words over which the values of variables are found."""

LATER = 32.0
"""Score by which a position outweighs the one before it."""


def compile_sequence(
    program: SequenceProgram, *, length: int | None = None, output_alphabet: Any = None
) -> tuple[Network, Params]:
    """A transformer, and a point at which it computes a position-wise program on all words of one length.

    Every variable has one direction of the residual stream for each of its values, and holds 1 in one of them. A fetch
    is a block whose attention is hard: its scores are a bilinear form of these directions. A count is two blocks: even
    attention gives shares of the scope, which ReLU steps turn into a number. A formula is a block with one ReLU unit
    for each combination of values that occurs. There is one head, and no layer norm.

    Args:
        program: The program; its normal form is compiled.
        length: Length T of the words, default the program's.
        output_alphabet: The answers in the order of the scores; default 0, 1, … up to the largest answer.

    Returns:
        ``(network, params)``; the network reads tokens and gives a score per answer at each position. Scores differ by
        1 between the answer and the others. It is causal where no selector looks at later positions.

    Raises:
        InputError: If it is no such program, there are more than 2^16 words, or an answer is not in
            ``output_alphabet``.

    References: [lindner2023] [weiss2021]

    Example:
        >>> from allroads.programs.sequence.library import sequence_program
        >>> network, params = compile_sequence(sequence_program("sort", letters=3, length=4))
        >>> network.apply(params, np.array([[2, 0, 1, 0]])).argmax(-1).tolist()
        [[0, 0, 1, 2]]
    """
    if not isinstance(program, SequenceProgram):
        raise InputError(f"program: expected a SequenceProgram; got {program!r}.")
    length = program.length if length is None else length
    check_count("length", length)
    if len(program.alphabet) ** length > WORDS:
        raise InputError(f"there are {len(program.alphabet)}^{length} words, more than {WORDS:,}; shorten the length.")
    least = program.canonical()
    last = least.lines[-1][0]
    words = all_words(len(program.alphabet), length)
    plan = _Plan(least, words, ranges(least, words))
    for name, line in least.lines:
        if isinstance(line, Count):
            plan.count(name, line)
        elif isinstance(line, Fetch):
            plan.fetch(name, line)
        else:
            plan.formula(name, line.reads)
    answers = least.symbol(plan.values[last])
    order = list(range(max(answers) + 1)) if output_alphabet is None else list(output_alphabet)
    missing = [a for a in answers if a not in order]
    if missing:
        raise InputError(f"output_alphabet: {missing[0]!r} is an answer and not in it; give all answers.")
    return plan.network(last, [order.index(a) for a in answers], len(order), looks_back(least))


def looks_back(program: SequenceProgram) -> bool:
    """Whether no line of the normal form selects later positions: the program is then compiled with a causal mask.

    Example:
        >>> from allroads.programs.sequence.library import sequence_program
        >>> looks_back(sequence_program("parity")), looks_back(sequence_program("reverse"))
        (True, False)
    """
    lines = program.canonical().lines
    return all(line.selector.scope != "all" for _, line in lines if isinstance(line, Count | Fetch))


@dataclass(eq=False)
class _Block:
    score: dict[tuple[int, int], float] = field(default_factory=dict)
    moved: dict[int, int] = field(default_factory=dict)
    units: list[tuple[dict[int, float], float, dict[int, float]]] = field(default_factory=list)
    bias: dict[int, float] = field(default_factory=dict)


class _Plan:
    """Directions of the residual stream, and the blocks."""

    def __init__(self, program: SequenceProgram, words: np.ndarray, values: Any):
        self.program, self.words, self.values = program, words, values
        self.known = program.values(words)
        self.length, self.size = words.shape[1], 0
        self.at: dict[str, dict[int, int]] = {}
        self.blocks: list[_Block] = []
        for name in ("x", "i", "n", *(name for name, _ in program.lines)):
            self.at[name] = self._room(values[name])

    def _room(self, values: Iterable[int]) -> dict[int, int]:
        """One direction for each value."""
        found = {value: self.size + k for k, value in enumerate(values)}
        self.size += len(found)
        return found

    def _queries(self, selector: Selector) -> dict[int, int]:
        """Directions of the query; a number is read at the direction of every length, which always holds 1."""
        if isinstance(selector.query, str):
            return self.at[selector.query]
        return {selector.query: self.at["n"][self.length]}

    def _pairs(self, selector: Selector) -> list[tuple[int, int]]:
        """Values (of the query, of the key) that pass the test."""
        test, keys = TESTS[selector.test], self.values[selector.key]
        return [(u, v) for u in self._queries(selector) for v in keys if test(v, u)]

    def _scope(self, block: _Block, scope: str, weight: float, later: float) -> None:
        """Scores of the scope, and of later positions within it."""
        for q in range(self.length):
            for k in range(self.length):
                inside = scope == "all" or k < q or (k == q and scope == "upto")
                block.score[self.at["i"][q], self.at["i"][k]] = weight * inside + later * k

    def fetch(self, name: str, line: Fetch) -> None:
        """One block: attention to the last position that is selected, and a table of what it brings."""
        block, selector = _Block(), line.selector
        much = LATER * (self.length + 1)
        self._scope(block, selector.scope, 2 * much, LATER)
        queries, keys = self._queries(selector), self.at[selector.key]
        for u, v in self._pairs(selector):
            pair = queries[u], keys[v]
            block.score[pair] = block.score.get(pair, 0.0) + much
        key, value = self._room(keys), self._room(self.at[line.value])
        both = [(keys[v], key[v]) for v in keys] + [(self.at[line.value][w], value[w]) for w in value]
        block.moved = {to: source for source, to in both}
        first = {self.at["i"][0]: -3.0} if selector.scope == "before" else {}
        answer, pairs = self.at[name], set(self._pairs(selector))
        for u in queries:
            for v in keys:
                for w in value:
                    said = w if (u, v) in pairs else line.default
                    if said in answer:
                        reads = {queries[u]: 1.0, key[v]: 1.0, value[w]: 1.0} | first
                        block.units.append((reads, -2.0, {answer[said]: 1.0}))
        if first and line.default in answer:
            block.units.append(({self.at["i"][0]: 1.0}, 0.0, {answer[line.default]: 1.0}))
        self.blocks.append(block)

    def count(self, name: str, line: Count) -> None:
        """Two blocks: shares of the scope by even attention, and the number by steps."""
        shares, steps, selector = _Block(), _Block(), line.selector
        before, whole = selector.scope == "before", selector.scope == "all"
        if not whole:
            self._scope(shares, "upto", LATER, 0.0)
        queries, keys, pairs = self._queries(selector), self.at[selector.key], self._pairs(selector)
        mean = self._room(keys)
        share, own = (self._room([0])[0] for _ in range(2))
        shares.moved = {mean[v]: keys[v] for v in keys}
        for u in queries:
            passing = {mean[v]: 1.0 for w, v in pairs if w == u}
            shares.units.append((passing | {queries[u]: 1.0}, -1.0, {share: 1.0}))
        for u, v in pairs if before else []:
            reads = {queries[u]: 1.0, keys[v]: 1.0}  # one direction where key and query are one variable
            shares.units.append((reads, 1.0 - len(reads), {own: 1.0}))
        answer = self.at[name]
        steps.bias = {answer[0]: 1.0} if 0 in answer else {}
        places = self.at["i"]
        sizes = {self.length: list(range(self.length))} if whole else {q + 1: [q] for q in range(self.length)}
        for size, positions in sizes.items():
            for c in range(1, size + 1):
                told = {answer[b]: s for b, s in ((c, 1.0), (c - 1, -1.0)) if b in answer}
                out = 4.0 * size + 4
                reads = {share: 2.0 * size, own: -2.0} | {places[q]: -out for q in places if q not in positions}
                for slack, sign in ((1.5, 1.0), (0.5, -1.0)):
                    steps.units.append((reads, slack - 2 * c, {to: sign * s for to, s in told.items()}))
        self.blocks += [shares, steps]

    def formula(self, name: str, reads: Sequence[str]) -> None:
        """One block: a unit for each combination of values that occurs."""
        block = _Block()
        columns = [self.known[read].ravel() for read in reads] + [self.known[name].ravel()]
        for *given, said in np.unique(np.stack(columns, axis=1), axis=0).tolist():
            on = {self.at[read][value]: 1.0 for read, value in zip(reads, given, strict=True)}
            block.units.append((on, 1.0 - len(given), {self.at[name][said]: 1.0}))
        self.blocks.append(block)

    def network(self, last: str, classes: Sequence[int], outputs: int, causal: bool) -> tuple[Network, Params]:
        """The transformer of the blocks."""
        width, hidden = self.size, max(len(block.units) for block in self.blocks)
        network = transformer(
            (self.length,), outputs, vocabulary=len(self.program.alphabet), per_position=True, causal=causal,
            layers=len(self.blocks), d_model=width, heads=1, d_mlp=hidden, activation="relu",
        )  # fmt: skip
        embed, position = np.zeros((len(self.program.alphabet), width)), np.zeros((self.length, width))
        for token, letter in enumerate(self.program.letters):
            embed[token, self.at["x"][letter]] = 1
        for q in range(self.length):
            position[q, [self.at["i"][q], self.at["n"][self.length]]] = 1
        readout = np.zeros((width, outputs))
        for value, place in zip(self.values[last], classes, strict=True):
            readout[self.at[last][value], place] = 1
        made = [self._weights(block, width, hidden) for block in self.blocks]
        return network, {
            "embed": jnp.asarray(embed),
            "position": jnp.asarray(position),
            "blocks": made,
            "readout": {"weight": jnp.asarray(readout), "bias": jnp.zeros(outputs)},
        }

    @staticmethod
    def _weights(block: _Block, width: int, hidden: int) -> Params:
        query, out = np.zeros((width, width)), np.zeros((width, width))
        for (q, k), score in block.score.items():
            query[q, k] = score * math.sqrt(width)
        for to, source in block.moved.items():
            out[source, to] = 1
        up, start, down, bias = np.zeros((width, hidden)), np.zeros(hidden), np.zeros((hidden, width)), np.zeros(width)
        for unit, (reads, offset, told) in enumerate(block.units):
            for direction, weight in reads.items():
                up[direction, unit] = weight
            start[unit] = offset
            for direction, weight in told.items():
                down[unit, direction] = weight
        for direction, weight in block.bias.items():
            bias[direction] = weight
        arrays = {"query": query, "key": np.eye(width), "value": np.eye(width), "out": out}
        return {
            **{name: jnp.asarray(array) for name, array in arrays.items()},
            "up": {"weight": jnp.asarray(up), "bias": jnp.asarray(start)},
            "down": {"weight": jnp.asarray(down), "bias": jnp.asarray(bias)},
        }
