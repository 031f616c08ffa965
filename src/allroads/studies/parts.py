"""Targets, architectures and explorers, from their kind and options in a study.

Options are checked against the signature of the kind's factory before anything runs. What decides a result is
the kind and all its options, defaults filled in, and for the user's own code (the kind ``factory``) the
source of its module.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib
import importlib.machinery
import importlib.metadata
import importlib.util
import inspect
import json
import sys
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import PydanticSchemaGenerationError, PydanticUserError, TypeAdapter, ValidationError

from allroads.errors import InputError, UnknownNameError, nearest_name
from allroads.imported import import_path, imported
from allroads.studies.config import Choice

GIVEN = ("input_shape", "outputs", "vocabulary", "per_position", "interface", "key")
"""What an architecture is given by the target and the run; no options of a study."""

ROLES = ("target", "architecture", "explorer")
"""What a grid combines."""

USER_CODE = "path"
"""The option of the kind ``factory`` that names the user's function, ``module:function``."""


def registry(role: str) -> Mapping[str, Callable[..., Any]]:
    """The factories of a role: ``target``, ``architecture``, ``explorer`` or ``measure``."""
    if role == "measure":
        return {"factory": _factory}
    if role == "target":
        from allroads.targets.build import TARGETS

        return TARGETS
    if role == "architecture":
        from allroads.networks.build import NETWORKS

        return NETWORKS
    from allroads.explorers.build import EXPLORERS

    return {**EXPLORERS, "factory": _factory}


def _factory(*, path: str, **options: Any) -> Any:
    """What a user's function gives, named by its import path."""
    make = imported(path)
    try:
        return make(**options)
    except Exception as error:
        raise InputError(f"{path} failed: {type(error).__name__}: {str(error).rstrip('.')}.") from error


@dataclass(frozen=True)
class Part:
    """A target, an architecture or an explorer, not yet built.

    Attributes:
        role: ``target``, ``architecture``, ``explorer`` or ``measure``.
        kind: A name in the registry of the role.
        options: All its options, defaults filled in.
        folder: The study's folder, where the user's modules are looked for first.
        code: SHA-256 of the user's module, ``None`` where none is named.
    """

    role: str
    kind: str
    options: Mapping[str, Any]
    folder: str = "."
    code: str | None = None

    @property
    def identity(self) -> dict[str, Any]:
        """What of it decides a result."""
        return {"kind": self.kind, "options": self.options, "code": self.code}

    @property
    def user_code(self) -> str | None:
        """The user's function, ``module:function``; ``None`` where the part is built by allroads alone."""
        return self.options[USER_CODE] if self.kind == "factory" else None

    def build(self, *arguments: Any) -> Any:
        """What the factory makes.

        Args:
            *arguments: The target's interface for an architecture, nothing for the others.

        Raises:
            InputError: If it cannot be built, or the user's module is not the one that the study began with.
        """
        with self._importable():
            if self.role == "target":
                from allroads.targets.build import build_target

                return build_target(self.kind, **self.options)
            if self.role == "architecture":
                from allroads.networks.build import build

                return build(self.kind, *arguments, **self.options)
            if self.user_code is not None:
                return _expected(self.role, self.user_code, _factory(**self.options))
            from allroads.explorers.build import build_explorer

            return build_explorer(self.kind, **self.options)

    @contextlib.contextmanager
    def _importable(self) -> Iterator[None]:
        """Look in the study's folder first, for the user's module as it was when the study began."""
        with importable(self.folder):
            if self.user_code is not None and source_digest(self.user_code) != self.code:
                raise InputError(f"{self.user_code} changed while the study ran; run the same command again.")
            yield


@dataclass(frozen=True)
class RecordedNetwork(Part):
    """A user's network whose weights are given; a PyTorch module is in evaluation mode."""

    def build(self, *arguments: Any) -> Any:
        """The network."""
        return self.evaluated(*arguments)[0]

    def evaluated(self, interface: Any) -> tuple[Any, Any]:
        """The network, and the shapes of its parameters.

        Args:
            interface: Of the target.

        Raises:
            InputError: If it cannot be built, or the user's module is not the one that the study began with.
        """
        from allroads.networks.factory import evaluated

        with self._importable():
            return evaluated(self.options[USER_CODE], interface)


def _expected(role: str, path: str, made: Any) -> Any:
    """What a user's function gave, refused where it is something else."""
    from allroads.explorers.explorer import Explorer
    from allroads.studies.measures.measure import Measure

    wanted = Measure if role == "measure" else Explorer
    if not isinstance(made, wanted):
        raise InputError(f"{path} gave {type(made).__name__}; it must give {wanted.__name__!r}.")
    return made


@contextlib.contextmanager
def importable(folder: str) -> Iterator[None]:
    """Look for modules in ``folder`` first while the block runs."""
    sys.path.insert(0, folder)
    try:
        importlib.invalidate_caches()
        yield
    finally:
        sys.path.remove(folder)


def make_part(role: str, choice: Choice, folder: Path) -> Part:
    """A part with its options checked and its defaults filled in.

    Raises:
        UnknownNameError: If the registry holds no such kind.
        InputError: If an option is unknown, missing or of a wrong type: one line per option, beginning with its name.
    """
    known = registry(role)
    offered = {point.name: point.value for point in importlib.metadata.entry_points(group=f"allroads.{role}s")}
    if role != "measure" and choice.kind in offered and choice.kind not in known:
        choice = Choice(kind="factory", label=choice.label, **{USER_CODE: offered[choice.kind], **choice.options})
    if choice.kind not in known:
        raise UnknownNameError(role, choice.kind, [*known, *offered])
    options = _resolved(choice.kind, known[choice.kind], choice.options, folder)
    code = None
    if choice.kind == "factory":
        with importable(str(folder)):
            path = options[USER_CODE]
            code = source_digest(path)
            given = {name: value for name, value in options.items() if name != USER_CODE}
            options |= _resolved(path, imported(path), given, folder)
    return Part(role, choice.kind, options, str(folder), code)


def part_problems(where: str, error: InputError) -> list[str]:
    r"""What is wrong with a part, one line per problem, with the key of the part or of its option before it.

    Example:
        >>> part_problems("explorer.0", InputError("widht: no such option.\nrate: too small."))
        ['explorer.0.widht: no such option.', 'explorer.0.rate: too small.']
        >>> part_problems("explorer.0", InputError("no such kind."))
        ['explorer.0: no such kind.']
    """
    separators = ((".", line) if line.split(":")[0].isidentifier() else (": ", line) for line in str(error).split("\n"))
    return [f"{where}{separator}{line}" for separator, line in separators]


def option_type(role: str, choice: Mapping[str, Any], name: str, folder: Path) -> Any:
    """The annotation of an option, ``Any`` where there is none or the part is not one that exists.

    Args:
        role: ``target``, ``architecture`` or ``explorer``.
        choice: The part's kind and the options that were given.
        name: The option.
        folder: The study's folder.

    Example:
        >>> option_type("target", {"kind": "modular"}, "polynomial", Path("."))
        <class 'str'>
    """
    kind, path = choice.get("kind"), choice.get(USER_CODE)
    factory = registry(role).get(kind) if isinstance(kind, str) else None
    if kind == "factory" and name != USER_CODE and isinstance(path, str):
        with importable(str(folder)), contextlib.suppress(InputError):
            factory = imported(path)
    return _hints(factory).get(name, Any) if factory is not None else Any


def fits(value: Any, hint: Any) -> bool:
    """Whether a value is one of an annotation, as :func:`make_part` takes it.

    Example:
        >>> fits(1001, str), fits("1001", str), fits(1, float)
        (False, True, True)
    """
    try:
        _typed("", value, hint)
    except InputError:
        return False
    return True


def _resolved(kind: str, factory: Callable[..., Any], given: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The options given and the defaults of the others, both as their annotations have them.

    A ``Path`` is relative to the study's folder. A default that its own annotation does not allow stays as it is.
    """
    parameters = inspect.signature(factory).parameters.values()
    named = {p.name: p for p in parameters if p.kind is not p.VAR_KEYWORD and p.name not in GIVEN}
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters)
    hints = _hints(factory)
    options: dict[str, Any] = {}
    problems = []
    for name, value in given.items():
        if name not in named and not open_ended:
            near = nearest_name(name, named)
            hint = f"did you mean {near!r}? " if near else ""
            problems.append(f"{name}: {kind!r} has no such option: {hint}Options: {', '.join(named)}.")
            continue
        try:
            typed = _typed(name, value, hints.get(name, Any))
        except InputError as error:
            problems.append(str(error))
        else:
            options[name] = str(folder / typed) if isinstance(typed, Path) else _frozen(typed)
    needed = (name for name, parameter in named.items() if parameter.default is parameter.empty)
    problems += [f"{name}: {kind!r} needs this option." for name in needed if name not in given]
    if problems:
        raise InputError("\n".join(problems))
    for name, parameter in named.items():
        if name in options or parameter.default is None:
            continue
        options[name] = _default(parameter.default, hints.get(name, Any))
    return options


def _default(value: Any, hint: Any) -> Any:
    """A default as the same value would be if it were given, so that writing it out changes nothing."""
    try:
        typed = _typed("", value, hint)
    except (InputError, TypeError, ValueError):  # not what it is annotated as, or no value of TOML
        return value
    return value if isinstance(typed, Path) else _frozen(typed)


def _hints(factory: Callable[..., Any]) -> dict[str, Any]:
    while isinstance(factory, functools.partial):
        factory = factory.func
    try:
        return typing.get_type_hints(factory)
    except (NameError, TypeError):
        return {}


def _typed(name: str, value: Any, hint: Any) -> Any:
    """The value as the annotation has it: arrays become tuples, integers floats; nothing else is bent."""
    try:
        adapter = TypeAdapter(hint)
    except (PydanticSchemaGenerationError, PydanticUserError):
        return value
    try:
        return adapter.validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        reasons = "; ".join(dict.fromkeys(detail["msg"] for detail in error.errors()))
        raise InputError(f"{name}: {value!r} is not allowed: {reasons}.") from None


def _frozen(value: Any) -> Any:
    """Lists as tuples all the way down, so that builders can remember what they built."""
    return tuple(_frozen(part) for part in value) if isinstance(value, list | tuple) else value


def source_digest(path: str) -> str:
    """SHA-256 of the module that ``module:function`` names, which is not run for it.

    Raises:
        InputError: If the path is spelled in another way, there is no such module, or this process has imported
            another one of that name.
    """
    module, _ = import_path(path)
    find = importlib.util.find_spec if "." in module else importlib.machinery.PathFinder.find_spec
    try:
        spec = find(module)
    except (ImportError, ValueError, AttributeError):
        spec = None
    if spec is None or spec.origin is None or not Path(spec.origin).is_file():
        raise InputError(
            f"{path!r}: there is no module {module!r}; expected 'module:function', the module beside the "
            "study's file or where Python looks."
        )
    found = hashlib.sha256(Path(spec.origin).read_bytes()).hexdigest()
    imported = getattr(sys.modules.get(module), "__file__", None)
    if _seen.setdefault(module, found) != found or imported not in (None, spec.origin):
        raise InputError(
            f"{path!r}: this process has imported {module!r} before, and {spec.origin} is another one or has "
            "changed; start Python anew, or rename it."
        )
    return found


_seen: dict[str, str] = {}
"""SHA-256 of every user's module at its first use here: Python imports a module once."""
