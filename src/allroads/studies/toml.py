"""Studies as TOML: read, overridden, checked with every mistake named, and written."""

from __future__ import annotations

import codecs
import importlib.resources
import json
import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from allroads.errors import ConfigError, InputError, nearest_name
from allroads.studies.config import Choice, Engine, Grid, Measures, Runs, Slurm, Study
from allroads.studies.parts import ROLES, fits, make_part, option_type, part_problems


class Source:
    """Where a configuration came from, for messages and for the files that it names.

    Args:
        name: How messages call it.
        folder: What its relative paths are relative to.
    """

    def __init__(self, name: str, folder: Path):
        self.name, self.folder = name, folder.resolve()

    def error(self, *problems: str) -> ConfigError:
        """One error for all the problems, one line per problem."""
        return ConfigError("\n".join(f"{self.name}: {problem}" for problem in problems))


def builtin_studies() -> dict[str, Any]:
    """The studies in the package, by name."""
    folder = importlib.resources.files("allroads.studies")
    return {file.name.removesuffix(".toml"): file for file in folder.iterdir() if file.name.endswith(".toml")}


def load_study(study: str | Path | Mapping[str, Any], overrides: Sequence[str] = ()) -> tuple[Study, Source]:
    """Read and check a study.

    Args:
        study: A TOML file, the name of a built-in study, or the configuration as nested dicts and lists.
        overrides: ``key=value`` strings such as ``grid.0.seeds=4``. The value is TOML; it is text where that is what
            the key takes, or where it is not TOML.

    Returns:
        The study, and where it came from.

    Raises:
        ConfigError: Names file, key, what is allowed and the nearest valid name, for every mistake found.

    Example:
        >>> part = [{"kind": "gd"}]
        >>> parts = {"target": part, "architecture": part, "explorer": part}
        >>> grid = {"name": "a", "seeds": 2, "steps": 9, **parts}
        >>> load_study({"name": "Mine", "grid": [grid]}, ["grid.0.seeds=4"])[0].grid[0].seeds
        4
    """
    if isinstance(study, Mapping):
        source, data = Source("study", Path.cwd()), json.loads(json.dumps(study, default=str))
    else:
        source, data = _read(study)
    refused = [error for override in overrides if (error := _override(source, data, override))]
    if refused:
        raise ConfigError("\n".join(refused))
    if strange := _not_finite(data):
        raise source.error(*(f"{key}: expected a finite number." for key in strange))
    if not data.get("grid") and not data.get("runs"):
        raise source.error("grid: this key is needed and is not there; for runs of your own, runs.")
    try:
        return Study.model_validate_json(json.dumps(data, default=str), strict=True), source
    except ValidationError as error:
        details = error.errors()
        # A list whose parts are all wrong is also too short: only the parts are worth a line.
        deeper = {detail["loc"][:depth] for detail in details for depth in range(len(detail["loc"]))}
        problems = [_problem(dict(d)) for d in details if d["loc"] not in deeper]
        raise source.error(*problems, *_part_problems(data, source.folder)) from None


def _read(study: str | Path) -> tuple[Source, dict[str, Any]]:
    path = Path(study)
    builtin = builtin_studies()
    if path.suffix != ".toml" and not path.exists():
        if str(study) not in builtin:
            near = nearest_name(str(study), builtin)
            hint = f" Did you mean {near!r}?" if near else ""
            known = ", ".join(sorted(builtin)) or "none"
            raise ConfigError(f"no study {str(study)!r}: expected a TOML file, or a built-in study ({known}).{hint}")
        source, content = Source(f"built-in study {study}", Path.cwd()), builtin[str(study)].read_bytes()
    else:
        source = Source(str(path), path.resolve().parent)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ConfigError(f"{path}: cannot be read ({error.strerror}); expected a study's TOML file.") from None
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise ConfigError(f"{source.name}: not TOML: it is UTF-16 text; save it as UTF-8.")
    try:
        return source, tomllib.loads(content.decode("utf-8-sig"))  # Windows editors put a mark before the first line
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ConfigError(f"{source.name}:{line}: not TOML: it is not UTF-8 text.") from None
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"line (\d+)", str(error))
        line = int(found.group(1)) if found else content.count(b"\n") + 1
        raise ConfigError(f"{source.name}:{line}: not TOML: {error}.") from None


def _override(source: Source, data: Any, override: str) -> str | None:
    """Set one key of ``data``; what is wrong with it, ``None`` where nothing is."""
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        return f"--set {override!r}: expected key=value, for example grid.0.seeds=4."
    steps = key.strip().split(".")
    place = data
    for depth, name in enumerate(steps):
        last = depth == len(steps) - 1
        opened = name == "measures" or steps[0] == "engine" or "measures" in steps[:depth]
        if opened and not last and isinstance(place, dict):
            place.setdefault(name, {})
            if "measures" in steps[:depth] and isinstance(place[name], bool):
                place[name] = {}  # the switch of a measure gives way to its options, which switch it on
        if problem := _wrong_step(place, name, ".".join(steps[:depth]), new=last):
            return f"{source.name}: --set {override}: {problem}"
        at = name if isinstance(place, dict) else int(name)
        if last:
            place[at] = _override_value(text, data, steps, source.folder)
        else:
            place = place[at]
    return None


def _wrong_step(place: Any, name: str, where: str, new: bool) -> str | None:
    """Why a name leads nowhere in ``place``, which lies at ``where``; a new key of a table may be set."""
    called = where or "the study"
    if isinstance(place, dict):
        if name in place or new:
            return None
        near = nearest_name(name, place)
        hint = f" Did you mean {near!r}?" if near else ""
        return f"{called} has no {name!r}.{hint} It has: {', '.join(place)}."
    if isinstance(place, list):
        if name.isdecimal() and int(name) < len(place):
            return None
        return f"{called} is a list; expected 0 … {len(place) - 1}, got {name!r}."
    return f"{called} is a value and holds no {name!r}."


def _override_value(text: str, data: Any, steps: Sequence[str], folder: Path) -> Any:
    """The text as TOML, or as it stands where it is not TOML or where the key takes text and nothing like it."""
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
    if isinstance(value, str):
        return value
    hint = _key_type(data, steps, folder)
    return text if not fits(value, hint) and fits(text, hint) else value


def _key_type(data: Any, steps: Sequence[str], folder: Path) -> Any:
    """The annotation of a key of a study, ``Any`` where it has none."""
    match list(steps):
        case ["grid", index, role, place, name] if role in ROLES:
            choice = data["grid"][int(index)][role][int(place)]
            if name in Choice.model_fields:
                return Choice.model_fields[name].annotation
            return option_type(role, choice, name, folder)
        case ["grid", _, name]:
            fields = Grid.model_fields
        case ["runs", _, name]:
            fields = Runs.model_fields
        case ["engine", name]:
            fields = Engine.model_fields
        case ["engine", "slurm", name]:
            fields = Slurm.model_fields
        case ["measures", name]:
            fields = Measures.model_fields
        case [name]:
            fields = Study.model_fields
        case _:
            return Any
    return fields[name].annotation if name in fields else Any


def _part_problems(data: Any, folder: Path) -> list[str]:
    """What is wrong with the options of targets, architectures and explorers, in a study that is no study yet."""
    grids = data.get("grid") if isinstance(data, dict) else None
    problems = []
    for index, grid in enumerate(grids if isinstance(grids, list) else ()):
        for role in ROLES if isinstance(grid, dict) else ():
            choices = grid.get(role)
            for place, given in enumerate(choices if isinstance(choices, list) else ()):
                try:
                    make_part(role, Choice.model_validate_json(json.dumps(given, default=str), strict=True), folder)
                except ValidationError:
                    continue  # is among the problems of the study itself
                except InputError as error:
                    problems += part_problems(f"grid.{index}.{role}.{place}", error)
    return problems


def _problem(detail: dict[str, Any]) -> str:
    """One line about one of pydantic's findings."""
    key = ".".join(str(part) for part in detail["loc"])
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "missing":
        return f"{key}: this key is needed and is not there."
    if kind == "extra_forbidden":
        *parents, name = detail["loc"]
        allowed = sorted(_model(parents).model_fields)
        near = nearest_name(str(name), allowed)
        hint = f"did you mean {near!r}? " if near else ""
        return f"{key}: unknown key: {hint}Allowed here: {', '.join(allowed)}.{_belongs(str(name))}"
    value = detail["input"]
    if kind == "literal_error":
        allowed = re.findall(r"'([^']*)'", context["expected"])
        near = nearest_name(str(value), allowed)
        hint = f"did you mean {near!r}? " if near else ""
        return f"{key}: {value!r} is not allowed: {hint}Allowed: {', '.join(allowed)}."
    return f"{key}: {_shown(value)} is not allowed: {_lower(detail['msg'])}."


def _belongs(name: str) -> str:
    if name in ("batch_size", "learning_rate"):
        return f" {name!r} is an option of an explorer: put it under [[grid.explorer]]."
    return ""


def _model(parents: Sequence[Any]) -> type[BaseModel]:
    names = [part for part in parents if isinstance(part, str)]
    models: dict[tuple[str, ...], type[BaseModel]] = {
        (): Study,
        ("grid",): Grid,
        ("runs",): Runs,
        ("engine",): Engine,
        ("engine", "slurm"): Slurm,
        ("measures",): Measures,
    }
    return models[tuple(names)]


def _not_finite(data: Any, key: str = "") -> list[str]:
    """The keys of numbers that are NaN or infinite."""
    if isinstance(data, float) and not math.isfinite(data):
        return [key]
    parts = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [found for name, part in parts for found in _not_finite(part, f"{key}.{name}" if key else str(name))]


def _lower(message: str) -> str:
    return message[0].lower() + message[1:].rstrip(".")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def to_toml(study: Study) -> str:
    """The study as TOML that :func:`load_study` reads back as the same study.

    Example:
        >>> part = [{"kind": "gd"}]
        >>> parts = {"target": part, "architecture": part, "explorer": part}
        >>> grid = {"name": "a", "seeds": 2, "steps": 9, **parts}
        >>> print(to_toml(load_study({"name": "Mine", "grid": [grid]})[0]).splitlines()[0])
        name = "Mine"
    """
    return "\n".join(_table(study.model_dump(mode="json", exclude_defaults=True), "")).strip() + "\n"


def _table(table: Mapping[str, Any], prefix: str) -> list[str]:
    lines = [
        f"{_key(key)} = {_value(value)}" for key, value in table.items() if not _is_table(value) and value is not None
    ]
    for key, value in table.items():
        name = f"{prefix}{_key(key)}"
        if isinstance(value, dict):
            lines += ["", f"[{name}]", *_table(value, f"{name}.")]
        elif _is_table(value):
            for part in value:
                lines += ["", f"[[{name}]]", *_table(part, f"{name}.")]
    return lines


def _is_table(value: Any) -> bool:
    return isinstance(value, dict) or (
        isinstance(value, list) and bool(value) and all(isinstance(part, dict) for part in value)
    )


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _value(key)


def _value(value: Any) -> str:
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return f"[{', '.join(_value(part) for part in value)}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_key(key)} = {_value(part)}' for key, part in value.items())}}}"
    return repr(value)
