"""Imports run one way: each folder knows those below it and none above."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1] / "src" / "allroads"

LAYERS = (
    ("errors", "checks", "status", "results", "imported", "compiled"),
    ("pfmap", "distributions"),
    ("targets",),
    ("networks", "explorers"),
    ("files",),
    ("points", "paths", "programs"),
    ("atlases",),
    ("studies",),
    ("testing",),
    ("report",),
    ("cli",),
)
"""From below to above; those of one layer may not know each other."""

EXCEPTIONS: dict[str, set[str]] = {}
"""Module -> folders that it imports against the order, each to be removed."""

WRITES_THE_PAGE = ("studies/run.py", "report")
"""A study ends with its page: the one call from ``studies`` into ``report``."""


def rank_of(name: str) -> int | None:
    return next((rank for rank, layer in enumerate(LAYERS) if name in layer), None)


def imported_by(path: Path) -> set[str]:
    """The parts of the package that a module imports, inside functions and for type checkers too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names = [node.module]
            if node.module == "allroads":
                names = [f"allroads.{alias.name}" for alias in node.names]
        found |= {name.split(".")[1] for name in names if name.startswith("allroads.")}
    return found


def against_the_order() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for path in sorted(ROOT.rglob("*.py")):
        module = path.relative_to(ROOT).as_posix()
        own = module.split("/")[0].removesuffix(".py")
        rank = rank_of(own)
        for other in imported_by(path) - {own}:
            above = rank_of(other)
            if rank is None or above is None or (module, other) == WRITES_THE_PAGE:
                continue
            if above > rank or (above == rank and rank > 0):
                found.setdefault(module, set()).add(other)
    return found


def test_folders_know_those_below_alone():
    assert against_the_order() == EXCEPTIONS


def test_report_reads_only_what_a_study_stored():
    for path in (ROOT / "report").rglob("*.py"):
        assert "studies" not in imported_by(path), f"{path} imports studies"


def test_modules_of_studies_know_each_other_in_no_circle():
    """Nor those of the report, at import and inside functions; names for type checkers alone do not count."""
    for folder in ("studies", "report"):
        paths = (ROOT / folder).rglob("*.py")
        files = {path: ".".join(("allroads", *path.relative_to(ROOT).with_suffix("").parts)) for path in paths}
        names = set(files.values())
        edges = {name: _modules(path) & names - {name} for path, name in files.items()}
        while edges:
            free = [name for name, needs in edges.items() if not needs & set(edges)]
            assert free, f"a circle among {sorted(edges)}"
            for name in free:
                del edges[name]


def _modules(path: Path) -> set[str]:
    tree = ast.parse(path.read_text("utf-8"))
    checking = [
        node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
    ]
    skipped = {id(inner) for node in checking for inner in ast.walk(node)}
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and id(node) not in skipped:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found
