"""Operations that move numbers and change none, on bounds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from allroads.programs.bounds.bound import Bound, UnboundedError, constant, none


def structural(move: Callable[..., np.ndarray], params: Any, operands: Sequence[Bound]) -> Bound:
    """An operation that moves numbers and changes none."""
    if all(o.point for o in operands):
        return constant(move(params, [o.low for o in operands], 0))
    low, high, error = (move(params, [getattr(o, n) for o in operands], 0) for n in ("low", "high", "error"))
    if none(*operands):
        return Bound(low, high, error)
    size = max(len(o.slow) for o in operands if o.slow is not None)
    sides = [[np.broadcast_to(s, (size, *o.low.shape)) for s in o.slopes] for o in operands]
    return Bound(low, high, error, *(move(params, [pair[i] for pair in sides], 1) for i in (0, 1)))


def split(params: Any, a: Bound) -> list[Bound]:
    """The pieces of an array along an axis."""
    ends = np.cumsum([int(s) for s in params["sizes"]])
    starts = [0, *ends[:-1].tolist()]

    def cut(start: int, end: int) -> Callable[..., np.ndarray]:
        return lambda p, arrays, lead: np.take(arrays[0], np.arange(start, end), axis=p["axis"] + lead)

    return [structural(cut(int(s), int(e)), params, [a]) for s, e in zip(starts, ends, strict=True)]


def _broadcast(params: Any, arrays: Sequence[np.ndarray], lead: int) -> np.ndarray:
    array, shape, places = arrays[0], params["shape"], params["broadcast_dimensions"]
    ahead = array.shape[:lead]
    wide = np.ones(len(shape), int)
    for i, place in enumerate(places):
        wide[place] = array.shape[lead + i]
    return np.broadcast_to(array.reshape(*ahead, *wide.tolist()), (*ahead, *shape))


def _slice(params: Any, arrays: Sequence[np.ndarray], lead: int) -> np.ndarray:
    strides = params["strides"] or (1,) * len(params["start_indices"])
    cuts = zip(params["start_indices"], params["limit_indices"], strides, strict=True)
    return arrays[0][(*(slice(None),) * lead, *(slice(*cut) for cut in cuts))]


def _permuted(params: Any, arrays: Sequence[np.ndarray], lead: int) -> np.ndarray:
    return arrays[0].transpose(*range(lead), *(p + lead for p in params["permutation"]))


def _same(params: Any, arrays: Sequence[np.ndarray], lead: int) -> np.ndarray:
    return arrays[0]


def _converted(params: Any, arrays: Sequence[np.ndarray], lead: int) -> np.ndarray:
    if np.dtype(params["new_dtype"]) != np.float64:
        raise UnboundedError(f"there is no bound for numbers converted to {params['new_dtype']}")
    return arrays[0].astype(np.float64)


STRUCTURAL: Mapping[str, Callable[..., np.ndarray]] = {
    "broadcast_in_dim": _broadcast,
    "reshape": lambda p, a, lead: a[0].reshape(*a[0].shape[:lead], *p["new_sizes"]),
    "squeeze": lambda p, a, lead: np.squeeze(a[0], tuple(d % (a[0].ndim - lead) + lead for d in p["dimensions"])),
    "expand_dims": lambda p, a, lead: np.expand_dims(a[0], tuple(d + lead for d in p["dimensions"])),
    "transpose": _permuted,
    "slice": _slice,
    "concatenate": lambda p, a, lead: np.concatenate(a, axis=p["dimension"] + lead),
    "stack": lambda p, a, lead: np.stack(a, axis=p["axis"] % (a[0].ndim - lead + 1) + lead),
    "rev": lambda p, a, lead: np.flip(a[0], tuple(d + lead for d in p["dimensions"])),
    "copy": _same,
    "copy_p": _same,
    "stop_gradient": _same,
    "convert_element_type": _converted,
}
"""Operations that move numbers and change none."""
