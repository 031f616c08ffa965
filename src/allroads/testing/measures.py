"""What every measure promises."""

from __future__ import annotations

import dataclasses
import json
import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import jax
import numpy as np

from allroads.errors import InputError
from allroads.results import Result
from allroads.status import Status
from allroads.testing.promise import TOLERANCE, difference, is_frozen, plain, promise

Arguments = Mapping[str, Any]
"""Arguments of a measure by name."""


@dataclass(frozen=True)
class Claim:
    """What a measure's docstring claims of its value: what becomes of it when the arguments are changed.

    Args:
        says: The claim in words, such as "the order of the models changes nothing".
        change: ``change(arguments) -> arguments``.
        becomes: ``becomes(value) -> value``: the value that the changed arguments give; default: the same.
        tolerance: Largest difference, relative to the largest number.
        of: ``of(result)``: what of the result is meant; default its ``value``.

    Example:
        >>> Claim("twice the points, twice the value", lambda a: {"x": 2 * a["x"]}, lambda value: 2 * value).tolerance
        1e-09
    """

    says: str
    change: Callable[[dict[str, Any]], Arguments]
    becomes: Callable[[Any], Any] = lambda value: value
    tolerance: float = TOLERANCE
    of: Callable[[Any], Any] = lambda result: result.value


def check_measure(
    measure: Callable[..., Any],
    arguments: Arguments,
    *,
    status: type[Status],
    bad: Sequence[Arguments] = (),
    claims: Sequence[Claim] = (),
    name: str | None = None,
) -> None:
    """Whether a measure keeps what every measure promises.

    - *bad input is refused before any work*: each of ``bad`` raises an :class:`InputError` and nothing is compiled;
    - *a result*: a frozen :class:`~allroads.results.Result` whose status is one of its family's, with an error of 0 or
      more; it comes back from its pytree and from a file as it was, prints short, and ``to_dict`` is JSON;
    - *the same question has the same answer*, and the arguments are left as they are;
    - *claims*: the value changes with the arguments as each :class:`Claim` says. Order of members, symmetries and units
      are the usual ones.

    Args:
        measure: The function.
        arguments: Arguments that it takes, by name.
        status: The family of its statuses.
        bad: Changes of the arguments that make them bad, such as ``{"params": not_finite}``.
        claims: What its docstring claims.
        name: How messages call it; default its own name.

    Raises:
        AssertionError: At the first promise that is broken: says which, what was expected and what to do.

    Example:
        >>> from allroads import directness
        >>> from allroads.status import PathStatus
        >>> road = np.array([[[0.0, 0.0]], [[3.0, 4.0]], [[6.0, 0.0]]])
        >>> claims = [Claim("no unit", lambda given: {"path": 2 * given["path"]})]
        >>> check_measure(lambda path: directness(path, "outputs"), {"path": road}, status=PathStatus, claims=claims)
    """
    part = f"measure {name or getattr(measure, '__name__', repr(measure))!r}"
    arguments = dict(arguments)
    for change in bad:
        _check_refusal(part, measure, arguments | dict(change), change)
    kept = _frozen(arguments)
    found = measure(**arguments)
    _check_result(part, found, status)
    again = measure(**arguments)
    told = difference(again.value, found.value) or ("" if again.status == found.status else "another status")
    told = told or difference(_frozen(arguments), kept, 0)
    promise(
        not told,
        part,
        "the same question has the same answer",
        "two calls to agree, and the arguments to stay as they are",
        f"another: {told}",
        "Take a seed as an option, draw from it alone, and copy what you change.",
    )
    for claim in claims:
        changed = measure(**(arguments | dict(claim.change(dict(arguments)))))
        told = difference(claim.of(changed), claim.becomes(claim.of(found)), claim.tolerance)
        promise(
            not told,
            part,
            claim.says,
            "the value that the claim says",
            f"another: {told}",
            "Repair the measure, or claim less in its docstring.",
        )


def _frozen(arguments: Arguments) -> list[np.ndarray]:
    """Copies of all arrays among the arguments."""
    return [plain(leaf).copy() for leaf in jax.tree.leaves(dict(arguments)) if isinstance(leaf, np.ndarray | jax.Array)]


def _check_refusal(part: str, measure: Callable[..., Any], arguments: Arguments, change: Arguments) -> None:
    words = f"an InputError for another {', '.join(change)}"
    before, raised = _compilations(), ""
    try:
        measure(**arguments)
        got = "a result"
    except InputError as error:
        raised, got = str(error), f"one after {_compilations() - before} compilations"
    except Exception as error:
        got = f"{type(error).__name__}: {error}"
    promise(
        raised and _compilations() == before,
        part,
        "bad input is refused before any work",
        words,
        got,
        "Check arguments first, in NumPy, and raise an InputError that names the argument and the remedy.",
    )


def _check_result(part: str, found: Any, status: type[Status]) -> None:
    name = "a result"
    frozen = isinstance(found, Result) and is_frozen(found)
    promise(frozen, part, name, "a frozen Result", type(found).__name__, "Return a Measurement, or subclass Result.")
    known = isinstance(found.status, status)
    remedy = f"Return a status of {status.__name__}."
    promise(known, part, name, f"a status of {status.__name__}", repr(found.status), remedy)
    if found.error is not None:
        errors = np.asarray(jax.tree.leaves(found.error), float)
        fine = bool((np.isnan(errors) | (errors >= 0)).all())
        promise(fine, part, name, "an error of 0 or more, or None", str(errors.tolist()), "Give its half-width.")
    leaves, structure = jax.tree.flatten(found)
    for way, copy in (
        ("its pytree", jax.tree.unflatten(structure, leaves)),
        ("pickle", pickle.loads(pickle.dumps(found))),
    ):
        told = difference(copy.value, found.value) or ("" if copy.status == found.status else "another status")
        promise(not told, part, name, f"itself back from {way}", f"another: {told}", "Hold arrays and plain values.")
    json.dumps(found.to_dict(), allow_nan=False)
    fields = [field for field in dataclasses.fields(found) if field.repr]
    limit = 120 * (1 + len(fields))
    promise(
        len(repr(found)) <= limit,
        part,
        name,
        f"a repr of at most {limit} characters",
        str(len(repr(found))),
        "Leave __repr__ to Result.",
    )


@cache
def _listener() -> list[int]:
    """A counter of compilations in this process, from the first call on."""
    counter = [0]

    def count(event: str, duration_secs: float, **_: Any) -> None:
        counter[0] += event.endswith("backend_compile_duration")

    jax.monitoring.register_event_duration_secs_listener(count)
    return counter


def _compilations() -> int:
    return _listener()[0]
