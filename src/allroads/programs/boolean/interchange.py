"""Interchange interventions between hidden units and the parts of a formula."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from allroads.pfmap.network import Network, Params
from allroads.programs.boolean.alignment import candidate_sets
from allroads.programs.boolean.evaluate import all_rows, values_of
from allroads.programs.boolean.formula import Formula
from allroads.programs.boolean.normal_form import normal_form, sub_formulas, unsigned
from allroads.programs.boolean.tree import OPERATORS, Node
from allroads.programs.boolean.tree import nodes as nodes_of
from allroads.programs.boolean.units import Site, sites, two_valued
from allroads.programs.interchange import exchange
from allroads.results import Measurement

PAIRS = 48
"""Pairs of examples by which a set of units is chosen; four times as many, others, decide the accuracy."""

PERMUTED = 4
"""Random sets of the same size that make the null."""

MOST_PARTS = 64
"""Parts of a formula up to which they are exchanged."""

Units = tuple[int, ...]
"""A set of units of one intermediate."""


@dataclass(frozen=True, eq=False)
class State:
    """A part of a formula as a state of the program.

    Args:
        name: The part.
        values: Its value in each row ``[N]``.
        held: What the formula gives in each row where the part is held at 0, and where at 1: ``[2, N]``.
    """

    name: str
    values: np.ndarray
    held: np.ndarray


def states(formula: Formula, rows: np.ndarray | None = None) -> list[State]:
    """The states of a formula: its gates below the last one, or where there is but one gate, the variables.

    Args:
        formula: The formula.
        rows: Booleans ``[N, n]``; default all rows in the order of its table.

    Example:
        >>> [state.name for state in states(Formula.parse("(x0 & x1) | x2", 3))]
        ['x0 & x1']
        >>> [state.name for state in states(Formula.parse("x0 ^ x1", 3))]
        ['x0', 'x1']
    """
    root = normal_form(formula.root)
    bits = all_rows(formula.inputs) if rows is None else rows
    parts = {part for part in sub_formulas(root) if part.op in OPERATORS} - {unsigned(root)}
    parts = parts or {node for node in nodes_of(root) if node.op == "x"}

    def held(part: Node, value: int) -> np.ndarray:
        given = {part: np.full(len(bits), value == 1), normal_form(part, True): np.full(len(bits), value == 0)}
        return values_of(root, bits, given)

    return [
        State(str(part), values_of(part, bits).astype(int), np.stack([held(part, v) for v in (0, 1)]))
        for part in sorted(parts, key=lambda part: (part.gates, str(part)))
    ]


def interchange(
    network: Network,
    params: Params,
    formula: Formula,
    inputs: np.ndarray,
    decide: Callable[[np.ndarray], np.ndarray],
    seed: int = 0,
    rows: np.ndarray | None = None,
) -> tuple[Measurement | None, str]:
    """Interchange accuracy: whether exchanged hidden units act as exchanged parts of the formula.

    For a part, units are set on a base example to what they are on a source example. The network should then answer as
    the formula does on the base with the part held at its value on the source. The units are a proper subset of one
    intermediate, chosen by exchanges on other pairs than those that are counted. In half of the pairs the answer has to
    change. The null exchanges as many units of the same intermediate, drawn at random.

    Args:
        network: The network.
        params: The point.
        formula: The formula, equal to the network.
        inputs: The inputs of rows of bits, ``[N, ...]``.
        decide: Booleans ``[P]`` from outputs ``[P, C]``; an answer that is neither 0 nor 1 must come out as ``-1``.
        seed: Decides pairs and null.
        rows: These rows, booleans ``[N, n]``; default all ``2^n`` in the order of the formula's table.

    Returns:
        The accuracy over all parts, and one sentence. In its stats are ``null``, ``changed`` (accuracy where the answer
        has to change), ``pairs``, and ``units`` (part to path and numbers). The accuracy is ``None`` where a part has
        no units that could hold it, or no exchange changed an output.

    References: [geiger2021]

    Example:
        >>> from allroads.programs.boolean.compile import compile_formula
        >>> from allroads.programs.boolean.encoding import cube
        >>> formula = Formula.parse("(x0 & x1) ^ x2", 3)
        >>> rows = np.array(cube((0.0, 1.0), 3))
        >>> found, _ = interchange(*compile_formula(formula), formula, rows, lambda o: (o[:, 0] > 0).astype(int))
        >>> found.value, found.stats["null"] < 0.9
        (1.0, True)
    """
    bits = all_rows(formula.inputs) if rows is None else rows
    parts = states(formula, bits)
    if not parts:
        return None, "the formula is constant, so it has no parts to exchange"
    if len(parts) > MOST_PARTS:
        return None, f"the formula has {len(parts)} parts; up to {MOST_PARTS} are exchanged"
    places = sites(network, params, inputs)
    tests = [_tests(site, parts) for site in places]
    held = {number for found in tests for number, _ in found}
    missing = [part.name for number, part in enumerate(parts) if number not in held]
    if missing:
        return None, f"no set of hidden units holds {missing[0]}"
    rng = np.random.default_rng([seed, 18])
    truth = values_of(formula.root, bits).astype(int)
    ask = partial(_agreement, network, params, inputs, decide)
    trials = [_pairs(part, truth, PAIRS, rng) for part in parts]
    best: dict[int, tuple[float, Site, Units]] = {}
    for site, chosen_here in zip(places, tests, strict=True):
        found, _ = ask(site, [(parts[number], trials[number], chosen) for number, chosen in chosen_here])
        for (number, chosen), agree in zip(chosen_here, found, strict=True):
            if number not in best or agree.mean() > best[number][0]:
                best[number] = float(agree.mean()), site, chosen
    right, null, changed, moved = [], [], [], False
    units: dict[str, str] = {}
    for number, part in enumerate(parts):
        _, site, chosen = best[number]
        pairs = _pairs(part, truth, 4 * PAIRS, rng)
        sets = [chosen, *_others(site.moving, chosen, rng)]
        agree, hit = ask(site, [(part, pairs, one) for one in sets])
        right.append(float(agree[0].mean()))
        null.append(float(agree[1:].mean()))
        has_to = part.held[part.values[pairs[1]], pairs[0]] != truth[pairs[0]]
        changed += [float(agree[0][has_to].mean())] if has_to.any() else []
        units[part.name] = f"{site.path}[{','.join(map(str, chosen))}]"
        moved |= hit
    if not moved:
        return None, "no exchange of hidden units changed an output"
    stats = {
        "null": float(np.mean(null)),
        "changed": float(np.mean(changed)) if changed else float("nan"),
        "pairs": 4 * PAIRS * len(parts),
    }
    two, everything = _two_valued(places)
    worst = int(np.argmin(right))
    said = (
        f"{two} of {everything} hidden units are two-valued; parts exchanged: {len(parts)}; the worst of them, "
        f"{parts[worst].name}, is right in {right[worst]:.3f} of its pairs"
    )
    return Measurement(float(np.mean(right)), stats={**stats, "units": units}), said


def _tests(site: Site, parts: list[State]) -> list[tuple[int, Units]]:
    """The sets of units of one intermediate that may hold a part, each with the number of the part."""
    return [
        (number, chosen)
        for number, part in enumerate(parts)
        for chosen in candidate_sets(site.values, part.values)
        if len(chosen) < len(site.moving)
    ]


def _others(moving: np.ndarray, chosen: Units, rng: np.random.Generator) -> list[Units]:
    """Other sets of as many units."""
    found: list[Units] = []
    while len(found) < PERMUTED:
        other = tuple(sorted(rng.choice(moving, len(chosen), replace=False).tolist()))
        if other != tuple(sorted(chosen)):
            found.append(other)
    return found


def _two_valued(places: tuple[Site, ...]) -> tuple[int, int]:
    """How many of the units that move take two values, and how many move."""
    columns = [site.values[:, number] for site in places for number in site.moving]
    return sum(two_valued(column) is not None for column in columns), len(columns)


def _pairs(part: State, truth: np.ndarray, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Bases and sources: half drawn uniformly, half from those pairs whose answer has to change."""
    bases, sources = rng.integers(len(truth), size=(2, count))
    value = rng.integers(2, size=count)
    for k in range(count // 2):
        able = np.flatnonzero(part.held[value[k]] != truth)
        able = able if len(able) else np.flatnonzero(part.held[1 - value[k]] != truth)
        if len(able):
            bases[k] = rng.choice(able)
            sources[k] = rng.choice(np.flatnonzero(part.values != part.values[bases[k]]))
    return bases, sources


def _agreement(
    network: Network,
    params: Params,
    inputs: np.ndarray,
    decide: Callable[[np.ndarray], np.ndarray],
    site: Site,
    tests: list[tuple[State, tuple[np.ndarray, np.ndarray], Units]],
) -> tuple[np.ndarray, bool]:
    """Agreement of network and formula ``[tests, pairs]``, and whether the first test changed an output."""
    if not tests:
        return np.zeros((0, 1), dtype=bool), False
    count = len(tests[0][1][0])
    masks = np.zeros((len(tests), site.values.shape[1]), dtype=bool)
    for k, (_, _, chosen) in enumerate(tests):
        masks[k, list(chosen)] = True
    bases, sources = (np.concatenate([pairs[side] for _, pairs, _ in tests]) for side in (0, 1))
    none = np.zeros((count, masks.shape[1]), dtype=bool)
    outputs = exchange(
        network,
        params,
        site.path,
        inputs[np.concatenate([bases, bases[:count]])],
        site.values[np.concatenate([sources, sources[:count]])],
        np.concatenate([masks.repeat(count, axis=0), none]),
    )
    expected = np.stack([part.held[part.values[pairs[1]], pairs[0]] for part, pairs, _ in tests])
    hit = bool((np.abs(outputs[:count] - outputs[-count:]) > 1e-9).any())
    return decide(outputs[:-count]).reshape(len(tests), count) == expected, hit
