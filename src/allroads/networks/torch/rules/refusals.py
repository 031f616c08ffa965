"""Operators that no rule can stand for, each with what to do in its place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from allroads.errors import InputError
from allroads.networks.torch.rules.registry import RULES

PACKED = (
    "packed sequences have shapes that depend on values. Give the recurrent layer the padded batch, and read the "
    "output at the last position of each sequence: outputs[torch.arange(len(outputs)), lengths - 1] (a layer that "
    "reads backwards must be given each sequence turned round by itself)."
)


def _refusal(reason: str) -> Callable[..., NoReturn]:
    def refuse(*args: Any, **options: Any) -> NoReturn:
        raise InputError(reason)

    return refuse


for _name in (
    "_pack_padded_sequence",
    "_pad_packed_sequence",
    "gru.data",
    "lstm.data",
    "rnn_tanh.data",
    "rnn_relu.data",
):
    RULES[_name] = _refusal(PACKED)
