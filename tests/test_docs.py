"""The documentation says what is so: its sessions run, its configurations validate, its links and sources exist."""

from __future__ import annotations

import doctest
import inspect
import re
import tomllib
from collections.abc import Set
from pathlib import Path

import pytest

import allroads
from allroads.studies.config import Choice
from allroads.studies.parts import importable, make_part
from allroads.studies.plan import make_plan
from allroads.studies.toml import Source, load_study

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SOURCE = sorted((ROOT / "src").rglob("*.py"))
ROLES = ("target", "architecture", "explorer")
LONG = {
    "README.md",
    "tutorial.md",
    "extend.md",
    "own_runs.md",
    "programs.md",
    "llc.md",
    "volume.md",
    "function_prior.md",
    "neutral.md",
    "direct_enough.md",
    "explorers.md",
    "description.md",
    "connect.md",
    "convergence.md",
    "channels.md",
    "compare.md",
    "passes.md",
}
MADE_LATER = {"report.png"}  # a photograph of a page, not written by hand

blocks_of = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
key_of = re.compile(r"[a-z]+\d{4}[a-z]?")


def blocks(page: Path, language: str) -> list[str]:
    return [body for found, body in blocks_of.findall(page.read_text("utf-8")) if found == language]


def sessions(page: Path) -> str:
    return "\n".join(body for body in blocks(page, "python") if ">>>" in body)


def prose(page: Path) -> str:
    """The page without its blocks of code."""
    return blocks_of.sub("", page.read_text("utf-8"))


def named(paths: list[Path], long: Set[str] = frozenset()) -> list[pytest.param]:
    return [pytest.param(path, id=path.name, marks=[pytest.mark.slow] * (path.name in long)) for path in paths]


@pytest.mark.stored
@pytest.mark.parametrize("page", named([page for page in PAGES if sessions(page)], LONG))
def test_a_page_prints_what_it_says(page, tmp_path, monkeypatch):
    if re.search(r"\btorch\b", sessions(page)):
        pytest.importorskip("torch", reason=f"{page.name} shows a PyTorch module: pip install 'allroads[torch]'")
    write_modules(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    test = doctest.DocTestParser().get_doctest(sessions(page), {}, page.name, str(page), 0)
    told: list[str] = []
    result = doctest.DocTestRunner(verbose=False).run(test, out=told.append)
    assert result.attempted > 0
    assert result.failed == 0, "".join(told)


def test_the_readme_has_two_commands():
    readme = ROOT / "README.md"
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    commands = set(re.findall(r"^\| `make (\w+)`", readme.read_text("utf-8"), re.MULTILINE))
    assert commands == {"demo", "test"} and commands <= set(targets)


def test_the_readme_answers_each_question_by_one_line():
    text = (ROOT / "README.md").read_text("utf-8")
    questions = re.split(r"^\*\*\d\. (?=.+\?\*\*)", text, flags=re.MULTILINE)[1:]
    assert len(questions) == 5
    for question in questions:
        answer = blocks_of.search(question)[2]
        assert len(re.findall(r"^>>>", answer, re.MULTILINE)) == 1 and not re.search(r"^\.\.\.", answer, re.MULTILINE)
        assert [line for line in answer.splitlines() if line and line[:3] != ">>>"], "no answer"


def source_keys() -> set[str]:
    """Keys that the code cites: after "References:", in brackets, or as the source of a quantity."""
    found = set()
    for path in SOURCE:
        text = path.read_text("utf-8")
        for listed in re.findall(r"\[([a-z0-9, ]+)\]", text):
            found.update(part for part in listed.split(", ") if key_of.fullmatch(part))
        found.update(key for key in re.findall(r'"source": "([^"]+)"', text) if key_of.fullmatch(key))
    return found


def page_keys() -> set[str]:
    return {key for page in PAGES for key in re.findall(r"\[([a-z]+\d{4}[a-z]?)\]", prose(page))}


def bibliography() -> list[str]:
    return re.findall(r"^@\w+\{([^,]+),", (ROOT / "docs/references.bib").read_text("utf-8"), re.MULTILINE)


def test_every_source_cited_is_in_the_bibliography_and_every_entry_is_cited():
    entries = bibliography()
    assert len(entries) == len(set(entries))
    cited = source_keys() | page_keys()
    assert {"saxe2014", "abbe2023", "mao2024"} <= source_keys()
    assert cited - set(entries) == set(), "cited and not in docs/references.bib"
    assert set(entries) - cited == set(), "in docs/references.bib and cited nowhere"


def test_every_entry_of_the_bibliography_says_who_what_and_when():
    text = (ROOT / "docs/references.bib").read_text("utf-8")
    for entry in re.split(r"\n(?=@)", text)[1:]:
        assert entry.count("{") == entry.count("}"), entry
        for field in ("author", "title", "year"):
            assert re.search(rf"^\s+{field}\s+= \{{", entry, re.MULTILINE), f"{field} is missing in {entry[:40]}"


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", blocks_of.sub("", page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", named([*PAGES, ROOT / "CONTRIBUTING.md"]))
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\(([^)\s]+)\)", prose(page)) + re.findall(r'src="([^"]+)"', prose(page))
    for link in links:
        if re.match(r"\w+:", link):
            continue
        path, _, anchor = link.partition("#")
        to = (page.parent / path).resolve() if path else page
        assert to.exists() or to.name in MADE_LATER, f"{page.name} links to {link}"
        assert not anchor or anchor in anchors(to), f"{page.name} links to {link}: no such heading"


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_no_blank_line_cuts_a_table(page):
    lines = page.read_text().splitlines()
    begun = [n for n in range(1, len(lines) - 1) if lines[n].startswith("|") and not lines[n - 1].startswith("|")]
    assert not [n + 1 for n in begun if not lines[n + 1].startswith("|--")]


def write_modules(folder: Path) -> None:
    """The modules that pages show in full, under the name in their first line."""
    for page in PAGES:
        for body in blocks(page, "python"):
            if title := re.match(r"# (\w+)\.py\n", body):
                (folder / f"{title[1]}.py").write_text(body, "utf-8")


def configurations() -> list[tuple[Path, int, dict]]:
    return [
        (page, number, tomllib.loads(body)) for page in PAGES for number, body in enumerate(blocks(page, "toml"), 1)
    ]


@pytest.mark.parametrize(
    "configuration", [pytest.param(c[2], id=f"{c[0].name}-{c[1]}") for c in configurations() if "name" in c[2]]
)
def test_a_whole_study_in_a_page_can_be_run(configuration):
    study, source = load_study(configuration)
    if study.runs:  # their checkpoints are made by the session of the page
        assert [make_part("explorer", runs.like, source.folder).build() for runs in study.runs]
    else:
        assert make_plan(study, source).cells


@pytest.mark.parametrize(
    "configuration", [pytest.param(c[2], id=f"{c[0].name}-{c[1]}") for c in configurations() if "name" not in c[2]]
)
def test_a_part_of_a_study_in_a_page_is_one(configuration, tmp_path, monkeypatch):
    import numpy as np

    from allroads.studies.config import Engine

    write_modules(tmp_path)
    np.savez(tmp_path / "mine.npz", inputs=np.eye(10), labels=np.arange(10) % 2)
    monkeypatch.chdir(tmp_path)
    assert set(configuration) <= {"grid", "engine"}
    Engine.model_validate(configuration.get("engine", {}))
    grid = configuration.get("grid", {})
    assert set(grid) <= set(ROLES)
    for role, choices in grid.items():
        for choice in choices:
            part = make_part(role, Choice.model_validate(choice), tmp_path)
            if role == "target":
                assert len(part.build().train) > 0
            elif role == "explorer":
                assert part.build().name == choice["kind"]
            elif part.user_code:
                check_users_network(part, tmp_path)


def check_users_network(part, folder: Path) -> None:
    import jax
    import numpy as np

    from allroads.targets.interface import Interface

    with importable(str(folder)):
        network = part.build(Interface((3,), 2))
    assert network.apply(network.init(jax.random.key(0)), np.ones((4, 3))).shape == (4, 2)


def test_studies_that_are_built_in_can_be_planned():
    study, source = load_study("quickstart")
    assert isinstance(source, Source) and len(make_plan(study, source).combinations) == 18


def rows(page: str) -> list[list[str]]:
    """The cells of every table row of a page."""
    text = (ROOT / "docs" / page).read_text("utf-8")
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in text.splitlines() if line[:1] == "|"]


def test_every_kind_and_its_defaults_are_documented():
    from allroads.explorers.build import EXPLORERS
    from allroads.networks.build import NETWORKS
    from allroads.targets.build import TARGETS

    headings = anchors(ROOT / "docs/targets.md")
    assert set(TARGETS) <= {heading.strip("`") for heading in headings}
    for page, registry in (("networks.md", NETWORKS), ("explorers.md", EXPLORERS)):
        text = (ROOT / "docs" / page).read_text("utf-8")
        for kind, factory in registry.items():
            assert any(row[0] == f"`{kind}`" for row in rows(page)), f"{kind} has no row in {page}"
            for option, parameter in inspect.signature(factory).parameters.items():
                given = option in ("input_shape", "outputs", "vocabulary", "per_position", "interface")
                if not given and parameter.kind is parameter.KEYWORD_ONLY:
                    assert f"`{option}`" in text, f"option {option!r} of {kind!r} is not in {page}"


def test_every_key_of_a_study_is_documented():
    from allroads.studies.config import Engine, Grid, Measures, Study

    text = (ROOT / "docs/studies.md").read_text("utf-8")
    for model in (Study, Grid, Measures, Engine):
        for key in model.model_fields:
            assert re.search(rf"[`\[.]{key}[`\]]", text), f"{key} of {model.__name__} is not in docs/studies.md"


def test_every_measure_is_documented_with_its_scope_needs_and_options():
    from allroads.studies.measures.registry import known_measures

    lines = [line for line in (ROOT / "docs/studies.md").read_text("utf-8").splitlines() if line.startswith("| `")]
    cells = [[cell.strip() for cell in line.removeprefix("|").removesuffix("|").split("|")] for line in lines]
    described = {row[0].strip("`"): row for row in cells if len(row) == 5}
    for name, measure in known_measures().items():
        _, scope, needs, _, options = described[name]
        assert scope == measure.scope and set(re.findall(r"`(\w+)`", needs)) == set(measure.needs), name
        for option, field in measure.options.model_fields.items():
            if option != "enabled":
                default = ", ".join(field.default) if isinstance(field.default, tuple) else field.default
                shown = f"`{option}`" if default in (None, "") else f"`{option}` ({default})"
                assert shown in options, f"{shown} of {name} is not in docs/studies.md"
        assert measure.options().enabled == ("off by default" not in described[name][3]), name


def test_every_column_of_the_tables_is_documented():
    from allroads.studies.measures.registry import known_measures
    from allroads.studies.tables import schemas

    text = (ROOT / "docs/studies.md").read_text("utf-8")
    for column in {column for schema in schemas(known_measures().values()).values() for column in schema}:
        assert f"`{column}`" in text, f"column {column!r} is not in docs/studies.md"


def test_every_status_and_error_is_documented():
    from allroads import errors
    from allroads.status import FAMILIES

    text = (ROOT / "docs/errors.md").read_text("utf-8")
    for status in (status for family in FAMILIES for status in family):
        assert f"| `{status.value}` | {status.meaning} | {status.causes} | {status.remedy} |" in text
    for name, thing in vars(errors).items():
        if isinstance(thing, type) and issubclass(thing, errors.AllroadsError):
            assert f"`{name}`" in text, f"{name} is not in docs/errors.md"


def test_every_operator_from_pytorch_is_documented():
    pytest.importorskip("torch", reason="the rules for PyTorch need it: pip install 'allroads[torch]'")
    from allroads.networks.torch.rules import RULES

    table = {name for row in rows("pytorch.md") if len(row) == 2 for name in re.findall(r"`([^`]+)`", row[1])}
    assert table == set(RULES)


@pytest.mark.parametrize("name", [name for name in allroads.__all__ if name != "__version__"])
def test_every_public_name_is_explained_and_shown(name):
    documented = inspect.getdoc(getattr(allroads, name))
    assert documented, f"{name} has no docstring"
    shown = ">>>" in documented or any(re.search(rf"\b{name}\b", sessions(page)) for page in PAGES)
    assert shown, f"{name} has an example neither in its docstring nor in a session of the documentation"
    listed = {found for row in rows("index.md") for found in re.findall(r"`(\w+)`", row[0])}
    assert name in listed, f"{name} is not in the table of names in docs/index.md"
