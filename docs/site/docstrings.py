"""How docstrings of the package are read for the site: names and keys become links, single examples are code."""

from __future__ import annotations

import re
from typing import Any

import griffe

from allroads import _HOME

role_of = re.compile(r":(?:func|class|meth|mod|attr|data|exc):`(~?)([\w.]+)`")
keys_of = re.compile(r"\[([a-z]+\d{4}[a-z]?(?:, [a-z]+\d{4}[a-z]?)*)\]")


def readable(docstring: str) -> str:
    """The docstring with roles and keys as links, and ``Example:`` as the section that shows sessions."""

    def link(match: re.Match[str]) -> str:
        name = match[2].rpartition(".")[2]
        shown = f"`{name if match[1] else match[2]}`"
        return f"[{shown}][allroads.{name}]" if match[2].startswith("allroads.") and name in _HOME else shown

    def cite(match: re.Match[str]) -> str:
        return "\\[" + ", ".join(f"[{key}][{key}]" for key in match[1].split(", ")) + "\\]"

    linked = keys_of.sub(cite, role_of.sub(link, docstring))
    return re.sub(r"^Example:$", "Examples:", linked, flags=re.MULTILINE)


class Docstrings(griffe.Extension):
    """Change each docstring before it is parsed."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Change the docstring of one module, class, function or attribute."""
        if obj.docstring:
            obj.docstring.value = readable(obj.docstring.value)

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """Lead public names to what they name, also where the module of it has the same name."""
        for name in _HOME:
            found = pkg.members[name]
            while isinstance(found, griffe.Alias):
                found = found.target
            while found.is_module:
                found = found.members[name]
                while isinstance(found, griffe.Alias):
                    found = found.target
            pkg.set_member(name, griffe.Alias(name, found, parent=pkg))
