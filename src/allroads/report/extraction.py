"""An extracted program on the terminal, and for machines."""

from __future__ import annotations

import math
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.syntax import Syntax
from rich.table import Table

from allroads.programs import Extraction
from allroads.status import ExtractionStatus


def verdict(found: Extraction) -> str:
    """What may be said of the network, in one or two sentences."""
    if found.program is None or found.equivalence is None:
        return f"No program was read: {found.stats['why'] or found.status.meaning}"
    proved = found.status in (ExtractionStatus.COMPUTES, ExtractionStatus.BEHAVES_AS)
    verb = found.status.value if proved else f"gives a reading that is {found.status.value}:"
    text = f"The network {verb} a program of {found.program.bits:.0f} bits ({found.program.language})"
    text = f"{text}; network and program are {found.equivalence}."
    if found.correct is None:
        return text
    return f"{text} Its target is {'the same function' if found.correct.equal else found.correct}."


def show_extraction(found: Extraction, origin: list[tuple[str, str]], console: Console) -> None:
    """Print the verdict, the source, and what the reading rests on.

    Args:
        found: What was read.
        origin: Where the network comes from, as titles and texts.
        console: Where to.
    """
    console.print(escape(verdict(found)), style="bold")
    if found.program is not None:
        console.print(Syntax(found.program.source.rstrip(), "python", background_color="default"))
    rows = [*origin, ("status", f"{found.status.value}: {found.status.meaning}"), *_facts(found)]
    rows += [(name, text) for name, text in (("causes", found.status.causes), ("remedy", found.status.remedy)) if text]
    rows += [("hint", found.stats["hint"])] if found.stats.get("hint") else []
    rows += [(f"as {name}", why) for name, why in found.stats["languages"].items() if why]
    table = Table.grid(padding=(0, 2))
    for title, text in rows:
        table.add_row(f"  {escape(title)}", escape(text))
    console.print(table)


def _facts(found: Extraction) -> list[tuple[str, str]]:
    facts = []
    if found.equivalence is not None and found.equivalence.margin is not None:
        facts.append(("smallest margin", f"{found.equivalence.margin:.3g}"))
    if found.interchange is not None:
        null = found.interchange.stats.get("null")
        chance = "" if null is None else f", by chance {null:.3f}"
        facts.append(("interchange", f"{found.interchange.value:.3f}{chance}"))
    if found.stats["table_bits"] is not None:
        facts.append(("table", f"{found.stats['table_bits']:.0f} bits"))
    return [*facts, ("time", f"{found.stats['seconds']:.1f} s")]


def extraction_json(found: Extraction, origin: list[tuple[str, str]]) -> dict[str, Any]:
    """The extraction as one object; numbers that are not finite are null."""
    program = found.program
    return {
        "verdict": verdict(found),
        "origin": dict(origin),
        "status": found.status.value,
        "program": None
        if program is None
        else {
            "language": program.language,
            "bits": program.bits if math.isfinite(program.bits) else None,
            "source": program.source,
            "parts": sorted(program.parts),
        },
        "equivalence": None if found.equivalence is None else found.equivalence.to_dict(),
        "correct": None if found.correct is None else found.correct.to_dict(),
        "interchange": None if found.interchange is None else found.interchange.to_dict(),
        "languages": dict(found.stats["languages"]),
        "table_bits": found.stats["table_bits"],
        "seconds": found.stats["seconds"],
    }
