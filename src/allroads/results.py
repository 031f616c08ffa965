"""What every measure returns: a value with its error, its status and what it rests on."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import jax
import numpy as np

from allroads.errors import MeasurementError
from allroads.status import PathStatus, Status

if TYPE_CHECKING:
    import altair


class Result:
    """The base of every result: a frozen dataclass that is a pytree, can be pickled and copied, and prints short.

    A subclass is a frozen dataclass with a field ``status`` and, as fields or properties, ``value`` (the main number),
    ``error`` (its half-width in the same unit, ``None`` where it is exact up to rounding) and ``stats`` (a mapping of
    what it rests on). Its numbers and arrays are the leaves of the pytree; words and statuses stand in the structure.
    """

    if TYPE_CHECKING:
        __dataclass_fields__: ClassVar[dict[str, Any]]
        status: Any
        value: Any
        error: Any
        stats: Any

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        jax.tree_util.register_pytree_node(cls, _flatten, lambda aux, leaves: _unflatten(cls, aux, leaves))

    def __float__(self) -> float:
        return float(self.value)

    def __repr__(self) -> str:
        shown = (f"{f.name}={_short(getattr(self, f.name))}" for f in dataclasses.fields(self) if f.repr)
        return f"{type(self).__name__}({', '.join(shown)})"

    def to_dict(self) -> dict[str, Any]:
        """All fields, and ``value`` and ``error``, in JSON's own types: arrays become lists, NaN becomes ``None``.

        Example:
            >>> Measurement(0.5, error=0.1).to_dict()
            {'value': 0.5, 'error': 0.1, 'status': 'ok', 'stats': {}}
        """
        found = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return {name: _plain(value) for name, value in ({"value": self.value, "error": self.error} | found).items()}

    def plot(self) -> altair.Chart:
        """A chart of the result.

        Raises:
            InputError: If this kind of result has none.
        """
        from allroads.plots import plot

        return plot(self)

    def _repr_html_(self) -> str:
        from allroads.plots import html

        return html(self)


def _flatten(result: Any) -> tuple[list[Any], Any]:
    content = {f.name: getattr(result, f.name) for f in dataclasses.fields(result)}
    leaves, structure = jax.tree.flatten(content)
    moving = [_is_number(leaf) for leaf in leaves]
    fixed = tuple(_Fixed(leaf) for leaf, moves in zip(leaves, moving, strict=True) if not moves)
    return [leaf for leaf, moves in zip(leaves, moving, strict=True) if moves], (structure, tuple(moving), fixed)


def _unflatten(kind: type, aux: Any, leaves: Any) -> Any:
    structure, moving, fixed = aux
    numbers, words = iter(leaves), iter(fixed)
    content = jax.tree.unflatten(structure, [next(numbers) if moves else next(words).content for moves in moving])
    result: Any = object.__new__(kind)  # no __init__: leaves may be anything while a pytree is on its way
    for name, value in content.items():
        object.__setattr__(result, name, value)
    return result


@dataclass(frozen=True, eq=False)
class _Fixed:
    """What is no number in a result: equal where it is the same object or equal."""

    content: Any

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Fixed):
            return False
        if _is_table(self.content) and _is_table(other.content):
            return bool(self.content.equals(other.content))
        return self.content is other.content or bool(self.content == other.content)

    def __hash__(self) -> int:
        return hash(type(self.content))


def _is_number(leaf: Any) -> bool:
    """Whether a leaf moves with the pytree; also what stands for a number while a transformation traces."""
    if isinstance(leaf, np.ndarray):
        return bool(leaf.dtype.kind not in "OSUM")
    return not (isinstance(leaf, str | bytes) or callable(leaf) or dataclasses.is_dataclass(leaf) or _is_table(leaf))


def _is_table(value: Any) -> bool:
    """Whether a value is a table of polars, which is not imported to find out."""
    return hasattr(value, "get_columns") and hasattr(value, "to_dicts")


def _short(value: Any) -> str:
    """A value in a few characters: arrays by type and shape, numbers to four digits."""
    if isinstance(value, Status):
        return value.value
    if isinstance(value, float | np.floating):
        return f"{value:.4g}"
    if isinstance(value, np.ndarray | jax.Array):
        return f"{value:.4g}" if value.ndim == 0 and value.dtype.kind == "f" else f"{value.dtype}{list(value.shape)}"
    if isinstance(value, Result):
        return repr(value)
    if _is_table(value):
        return f"table[{value.height} × {value.width}]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(sorted(map(str, value))[:6]) + (", …}" if len(value) > 6 else "}")
    if isinstance(value, list | tuple) and len(value) > 4:
        return f"{type(value).__name__}[{len(value)}]"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _plain(value: Any) -> Any:
    if isinstance(value, Status):
        return value.value
    if value is None or isinstance(value, bool | str | int):
        return value
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Result):
        return value.to_dict()
    if _is_table(value):
        return _plain(value.to_dicts())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(part) for part in value]
    listed = getattr(value, "tolist", None)
    if listed is not None:
        return _plain(listed())
    return repr(value)


def _number(operation: Callable[[Any, Any], Any]) -> Any:
    return lambda self, other: operation(float(self), float(other) if isinstance(other, Measurement) else other)


@dataclass(frozen=True, repr=False)
class Measurement(Result):
    """One number with its error, its status and what it rests on.

    Arithmetic and comparisons work on the value and give plain numbers: what a sum of two measurements means is for
    the caller to say.

    Args:
        value: The number; NaN only where the status says why.
        error: Half-width of its uncertainty in the same unit, ``None`` where it is exact up to rounding.
        status: What became of the measurement.
        stats: What the number rests on: counts, conventions, intermediate quantities.

    Example:
        >>> m = Measurement(0.5, error=0.1)
        >>> m, m + 1, m.error, m.status.value
        (0.5 ± 0.1, 1.5, 0.1, 'ok')
    """

    value: float
    error: float | None = None
    status: Status = PathStatus.OK
    stats: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", float(self.value))
        if math.isnan(self.value) and self.status == "ok":
            raise AssertionError("a NaN needs a status that explains it")

    def __repr__(self) -> str:
        error = "" if self.error is None else f" ± {self.error:.3g}"
        return f"{self.value:.6g}{error}" + ("" if self.status == "ok" else f" ({self.status.value})")

    def __format__(self, spec: str) -> str:
        return format(self.value, spec) if spec else repr(self)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self.value, dtype)

    def __bool__(self) -> bool:
        return bool(self.value)

    def __round__(self, digits: int | None = None) -> Any:
        return round(self.value, digits)

    def __neg__(self) -> float:
        return -self.value

    def __abs__(self) -> float:
        return abs(self.value)

    def __hash__(self) -> int:
        return hash(self.value)

    __add__ = __radd__ = _number(lambda a, b: a + b)
    __mul__ = __rmul__ = _number(lambda a, b: a * b)
    __sub__, __rsub__ = _number(lambda a, b: a - b), _number(lambda a, b: b - a)
    __truediv__, __rtruediv__ = _number(lambda a, b: a / b), _number(lambda a, b: b / a)
    __pow__, __rpow__ = _number(lambda a, b: a**b), _number(lambda a, b: b**a)
    __lt__, __le__ = _number(lambda a, b: a < b), _number(lambda a, b: a <= b)
    __gt__, __ge__ = _number(lambda a, b: a > b), _number(lambda a, b: a >= b)
    __eq__ = _number(lambda a, b: a == b)


R = TypeVar("R", bound=Result)


def finish(result: R, throw: bool) -> R:
    """A result, or with ``throw`` an error in place of one whose status is not sound.

    Raises:
        MeasurementError: Carries the result.

    Example:
        >>> float(finish(Measurement(1.0), throw=True))
        1.0
    """
    if throw and not result.status.sound:
        raise MeasurementError(result)
    return result
