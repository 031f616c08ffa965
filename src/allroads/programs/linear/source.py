"""Source code of a recurrence: one plain update a state, in an order that keeps the sums short."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from allroads.programs.linear.realise import StateSpace

MOST_ORDERED = 5
"""States up to which every order of the updates is tried; above it two orders are."""


def write(space: StateSpace) -> str:
    """Stand-alone Python that defines ``program(x)`` for a list of numbers, or of tuples with several channels.

    States that never change are written as the constants that they are. An update may use states that were updated
    before it; where no order of the updates works, all are made at once.

    Example:
        >>> print(write(StateSpace(((1,),), ((1,),), ((1,),), ((1,),), (0,))))
        def program(x):
            s = 0
            y = []
            for u in x:
                s = s + u
                y.append(s)
            return y
    """
    states, inputs = len(space.a), len(space.d[0])
    unit = [[int(i == k) for i in range(states)] for k in range(states)]
    fixed = [k for k in range(states) if list(space.a[k]) == unit[k] and not any(space.b[k])]
    live = [k for k in range(states) if k not in fixed]
    names = dict(zip(live, _names("s", "abcdefghijk", len(live)), strict=True))
    given = _names("u", "uvwpqr", inputs)
    bodies = [_body(space, live, fixed, names, given, order) for order in _orders(live)]
    body = min((body for body in bodies if body is not None), key=lambda b: (len("".join(b)), b))
    lines = ["def program(x):", *(f"    {names[k]} = {space.start[k]}" for k in live), "    y = []"]
    head = ", ".join(given) if inputs > 1 else given[0]
    return "\n".join([*lines, f"    for {head} in x:", *(f"        {line}" for line in body), "    return y"])


def _names(alone: str, several: str, count: int) -> list[str]:
    if count == 1:
        return [alone]
    return list(several[:count]) if count <= len(several) else [f"{alone}{k}" for k in range(count)]


def _orders(live: Sequence[int]) -> list[tuple[int, ...] | None]:
    if len(live) <= MOST_ORDERED:
        return [*itertools.permutations(live), None]
    return [tuple(live), tuple(reversed(live)), None]


def _body(
    space: StateSpace,
    live: Sequence[int],
    fixed: Sequence[int],
    names: dict[int, str],
    given: Sequence[str],
    order: tuple[int, ...] | None,
) -> list[str] | None:
    """Lines of the loop, with updates in an order or (``None``) all at once; ``None`` where the order fails."""

    def form(row: Sequence[int], enters: Sequence[int]) -> list[int]:
        """Coefficients of the live states, of the inputs and of 1."""
        constant = sum(row[k] * space.start[k] for k in fixed)
        return [*(row[k] for k in live), *enters, constant]

    news = {k: form(space.a[k], space.b[k]) for k in live}
    shown = [form(row, enters) for row, enters in zip(space.c, space.d, strict=True)]
    labels = [*(names[k] for k in live), *given]

    def line(target: Sequence[int], done: Sequence[int]) -> str | None:
        rest = list(target)
        terms: list[tuple[int, str]] = []
        while left := [k for k in done if names[k] not in {name for _, name in terms}]:
            tries = [(_weight(rest, news[k], m), abs(m), k, m) for k in left for m in (-2, -1, 1, 2)]
            weight, _, k, factor = min(tries)
            if weight + 1 >= _weight(rest, rest, 0):
                break
            rest = [r - factor * n for r, n in zip(rest, news[k], strict=True)]
            terms.append((factor, names[k]))
        if any(rest[live.index(k)] for k in done):
            return None
        return _sum([*terms, *zip(rest[:-1], labels, strict=True)], rest[-1])

    def answer(done: Sequence[int]) -> str | None:
        parts = [line(target, done) for target in shown]
        said = [part for part in parts if part is not None]
        if len(said) < len(parts):
            return None
        return f"y.append({said[0]})" if len(said) == 1 else f"y.append(({', '.join(said)}))"

    if order is None:
        whole = [line(news[k], ()) for k in live]
        joined = f"{', '.join(names[k] for k in live)} = {', '.join(part or '0' for part in whole)}"
        first = answer(())
        return None if first is None else [first, *([joined] if live else [])]
    lines: list[str] = []
    spots = [answer(order[:place]) for place in range(len(order) + 1)]
    best = min((spot for spot in spots if spot is not None), key=len)
    where = max(place for place, spot in enumerate(spots) if spot is not None and len(spot) == len(best))
    for place, k in enumerate(order):
        if place == where:
            lines.append(best)
        update = line(news[k], order[:place])
        if update is None:
            return None
        lines.append(f"{names[k]} = {update}")
    return [*lines, best] if where == len(order) else lines


def _weight(rest: Sequence[int], new: Sequence[int], factor: int) -> int:
    return sum(r != factor * n for r, n in zip(rest, new, strict=True))


def _sum(terms: Sequence[tuple[int, str]], constant: int) -> str:
    """A sum as one writes it: ``a - 2 * b + 3``.

    Example:
        >>> _sum([(1, "a"), (-2, "b"), (0, "c")], 3)
        'a - 2 * b + 3'
    """
    text = ""
    for factor, name in sorted((t for t in terms if t[0]), key=lambda t: t[0] < 0):
        size = name if abs(factor) == 1 else f"{abs(factor)} * {name}"
        text += (" - " if factor < 0 else " + ") + size
    if constant:
        text += (" - " if constant < 0 else " + ") + str(abs(constant))
    if not text:
        return "0"
    return text[3:] if text.startswith(" + ") else "-" + text[3:]
