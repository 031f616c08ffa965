"""Two points compared, on the terminal and for machines."""

from __future__ import annotations

import math
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from allroads.atlases.comparison import Comparison
from allroads.paths.barrier import Barrier
from allroads.programs import Extraction
from allroads.report.point.words import number_of
from allroads.status import AtlasStatus

LEVEL = 0.05
"""A pass counts as low where it rises by less than this share of what the straight segment does."""


def verdict(found: Comparison) -> str:
    """What the two points are to each other, in one sentence or two."""
    program = {True: "one program", False: "two programs", None: ""}[found.program.same]
    if found.same_point:
        return "One point modulo symmetry: the same function, and units in another order, sign or scale."
    if found.function.outputs:
        function = "one function, at two points"
    elif found.function.answers == 1.0:
        function = "the same answers by different outputs"
    else:
        function = f"two functions, which answer {_share(1 - found.function.answers)} of the inputs differently"
    what = ", ".join(part for part in (function, program) if part)
    top = found.straight.height
    if found.way == "segment":
        between = f"the straight segment rises {number_of(found.value)} over its higher end"
    else:
        path = {"aligned": "once b is moved by a symmetry, the segment", "curve": "the road between them"}[found.way]
        between = f"the loss rises {number_of(top)} on the straight segment; {path} rises {number_of(found.value)}"
    return f"{what[0].upper()}{what[1:]}. {between[0].upper()}{between[1:]}."


def comparison_lines(found: Comparison) -> list[tuple[str, str]]:
    """The answers, a title and a text each."""
    lines = [
        ("function", _function(found)),
        ("program", _program(found)),
        ("point", _point(found)),
        ("loss", _loss(found)),
        ("barrier", _barriers(found)),
        ("pass", _pass(found)),
        ("between", _between(found)),
    ]
    if found.status != AtlasStatus.OK:
        lines.append(("status", f"{found.status.value}: {found.status.meaning} {found.status.remedy}"))
    return lines


def show_comparison(found: Comparison, origin: list[tuple[str, str]], console: Console) -> None:
    """Print the verdict and the answers.

    Args:
        found: The comparison.
        origin: Where the points come from, as titles and texts.
        console: Where to.
    """
    ends = dict(origin)
    console.print(escape(f"a = {ends.get('a', 'a')}, b = {ends.get('b', 'b')}"))
    console.print(escape(verdict(found)), style="bold")
    table = Table.grid(padding=(0, 2))
    for title, text in comparison_lines(found):
        table.add_row("  " + escape(title), escape(text))
    console.print(table)


def comparison_json(found: Comparison, origin: list[tuple[str, str]]) -> dict[str, Any]:
    """The comparison as one object; numbers that are not finite are null."""
    program = found.program
    return {
        "verdict": verdict(found),
        "origin": dict(origin),
        "status": found.status.value,
        "ended": found.ended,
        "losses": dict(zip("ab", found.losses, strict=True)),
        "errors": None if found.errors is None else dict(zip("ab", found.errors, strict=True)),
        "function": vars(found.function),
        "held_out": None if found.held_out is None else vars(found.held_out),
        "program": {
            "same": program.same,
            "equal": None if program.equal is None else program.equal.equal,
            "shared_parts": program.shared,
            "distance": _finite(program.distance),
            "a": _read(program.a),
            "b": _read(program.b),
            "why": program.why,
        },
        "point": {
            "same": found.same_point,
            "distance": found.distance,
            "distance_before": found.distance_before,
            "norm": found.norm,
        },
        "barriers": {
            "straight": _plain(found.straight),
            "aligned": _plain(found.aligned),
            "road": None if found.road is None else _plain(found.road.barrier),
        },
        "held_out_barriers": {
            "straight": _held_out(found, "straight_held_out"),
            "road": _held_out(found, "held_out"),
        },
        "pass": {"lower": found.pass_lower, "upper": _finite(found.pass_upper), "lower_by": "ends", "way": found.way},
        "between": [{name: _finite(value) for name, value in row.items()} for row in found.between.to_dicts()],
        "programs_between": found.programs_between.to_dicts(),
    }


def _function(found: Comparison) -> str:
    one = found.function
    if one.outputs:
        text = f"one: outputs are equal up to rounding on {one.inputs:,} inputs"
    elif one.answers == 1.0:
        text = (
            f"the same answers on all {one.inputs:,} inputs, by outputs that differ by up to {number_of(one.largest)}"
        )
    else:
        text = f"two: the same answers on {_share(one.answers)} of {one.inputs:,} inputs"
    return text + ("" if found.held_out is None else f"; held out, on {_share(found.held_out.answers)}")


def _program(found: Comparison) -> str:
    program = found.program
    if program.same is None or program.a is None or program.b is None:
        return f"not read: {program.why}"
    one, other = program.a.program, program.b.program
    if one is None or other is None:
        return f"not read: {program.why}"
    if program.same:
        return f"one ({one.language}, {one.bits:.0f} bits): {_source(one.source)}"
    shared = "" if program.shared is None else f", {_share(program.shared)} of their parts in common"
    if one.language == other.language:
        text = f"two ({one.language}, {one.bits:.0f} and {other.bits:.0f} bits)"
    else:
        text = f"two ({one.language}, {one.bits:.0f} bits; {other.language}, {other.bits:.0f} bits)"
    function = "" if program.equal is None else ", one function" if program.equal.equal else ""
    return f"{text}{shared}{function}: {_source(one.source)} | {_source(other.source)}"


def _source(source: str) -> str:
    """What a program of few lines returns; else how long it is."""
    lines = source.strip().splitlines()
    if len(lines) <= 4 and lines[-1].strip().startswith("return "):
        said = lines[-1].strip().removeprefix("return ")
        return said if len(said) <= 48 else said[:47] + "…"
    return f"{len(lines)} lines"


def _point(found: Comparison) -> str:
    left = found.distance / found.distance_before if found.distance_before > 0 else 0.0
    if found.distance_before == 0:
        return "one: a and b are equal"
    if found.same_point:
        return (
            f"one modulo symmetry: {number_of(found.distance_before)} apart, {number_of(found.distance)} once aligned"
        )
    sure = "certain, as the functions differ" if not found.function.outputs else "no symmetry was found"
    return f"two ({sure}): {number_of(found.distance_before)} apart, {_share(left)} of it once aligned"


def _loss(found: Comparison) -> str:
    text = f"a {number_of(found.losses[0])}, b {number_of(found.losses[1])}"
    if found.errors is not None:
        text += f"; wrong answers a {_share(found.errors[0])}, b {_share(found.errors[1])}"
    return text


def _barriers(found: Comparison) -> str:
    text = f"straight {number_of(found.straight.height)}, aligned {number_of(found.aligned.height)}"
    if found.road is None:
        return text
    longer = found.road.length / found.road.distance if found.road.distance else 1.0
    text += f", road {number_of(found.road.height)} ({found.road.method}, {longer:.2f} times as long)"
    if found.road.held_out_height is not None and found.road.straight_held_out is not None:
        held = (found.road.straight_held_out.height, found.road.held_out_height)
        text += f"; held out, aligned {number_of(held[0])}, road {number_of(held[1])}"
    return text


def _pass(found: Comparison) -> str:
    return (
        f"between {number_of(found.pass_lower)} (the higher end) and {number_of(found.pass_upper)} (on the "
        f"{ {'segment': 'segment', 'aligned': 'aligned segment', 'curve': 'road'}[found.way] })"
    )


def _between(found: Comparison) -> str:
    table = found.between
    top = table.row(int(table["loss"].fill_nan(math.inf).arg_max() or 0), named=True)
    count, one = found.stats["functions"], found.function.answers == 1.0
    if one and count == 1:
        text = f"the answers of a and b at all {len(table)} places"
    else:
        both = f"{_share(top['like_a'])} of the answers are those of a"
        both += " and b" if one else f", {_share(top['like_b'])} of b"
        text = f"{count} functions at {len(table)} places; where the loss is highest, at t = {top['t']:.2f}, {both}"
    read = found.programs_between.drop_nulls("bits")
    if len(read):
        told = (f"{row['bits']:.0f} bits ({row['like']})" for row in read.to_dicts())
        text += f"; programs on the way: {', '.join(told)}"
    return text


def _share(value: float) -> str:
    """A share in per cent; 100 % and 0 % are said of nothing less."""
    percent = 100 * value
    if 0 < percent < 0.1 or 99.9 < percent < 100:
        return f"{'under 0.1' if percent < 1 else 'over 99.9'} %"
    return f"{percent:.3g} %"


def _held_out(found: Comparison, which: str) -> dict[str, Any] | None:
    barrier = None if found.road is None else getattr(found.road, which)
    return None if barrier is None else _plain(barrier)


def _read(found: Extraction | None) -> dict[str, Any] | None:
    if found is None:
        return None
    program = found.program
    told = None if program is None else {"language": program.language, "bits": program.bits, "source": program.source}
    return {"status": found.status.value, "program": told}


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _plain(barrier: Barrier) -> dict[str, Any]:
    return {
        "height": _finite(barrier.height),
        "error_height": _finite(barrier.error_height),
        "ts": barrier.ts.tolist(),
        "losses": [_finite(value) for value in barrier.losses.tolist()],
    }
