"""What a user asks of the zoo of known programs on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from allroads.errors import InputError
from allroads.programs.ground_truth import entries, write_model, zoo


def ask_zoo(name: str | None, out: Path | None, bits: bool) -> tuple[dict[str, Any], list[str]]:
    """The list of models, or one model, as JSON and as lines of text.

    Args:
        name: A model; ``None`` for the list.
        out: Folder to write the model to.
        bits: Whether the list says the length of each program.

    Raises:
        InputError: If a folder is given without a name, or cannot be used.
        UnknownNameError: If there is no such model.

    Example:
        >>> ask_zoo("xor-2", None, False)[1][-2:]
        ['    x0, x1 = (v > 0.5 for v in x[:2])', '    return int(x0 ^ x1)']
    """
    if name is None:
        if out is not None:
            raise InputError("--out needs the name of a model; `allroads zoo` lists them.")
        rows = [
            {"name": one.name, "language": one.language, "summary": one.summary}
            | ({"bits": one.make()[0].bits} if bits else {})
            for one in entries().values()
        ]
        sizes = [f"{row['bits']:5.0f} bits  " if bits else "" for row in rows]
        lines = [
            f"{row['name']:26} {row['language']:8} {size}{row['summary']}"
            for row, size in zip(rows, sizes, strict=True)
        ]
        return {"models": rows}, lines
    model = zoo(name)
    files = [] if out is None else [str(path) for path in write_model(name, out)]
    source = model.program.source.rstrip()
    about = {
        "name": name,
        "language": model.program.language,
        "bits": model.program.bits,
        "summary": entries()[name].summary,
        "network": model.network.name,
        "source": source,
        "files": files,
    }
    head = [
        f"# {name}: {about['summary']}",
        f"# {about['language']}, {about['bits']:.0f} bits, written into {about['network']}",
    ]
    return about, [*head, *source.splitlines(), *(f"# {path}" for path in files)]
