"""Ask a user's function for the answers to examples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from allroads.errors import InputError
from allroads.imported import reason

_ASKED_TWICE = 8


def fold(step: Callable[[Any, Any], tuple[Any, Any]], initial_state: Any) -> Callable[[Sequence[Any]], list[Any]]:
    """The whole-sequence function of a state machine.

    Args:
        step: ``step(state, symbol) -> (state, output)``.
        initial_state: The state before the first symbol.

    Returns:
        A function from a sequence of symbols to the list of outputs, one a position.

    Raises:
        InputError: When called, if ``step`` gives anything but a pair.

    Example:
        >>> fold(lambda total, x: (total + x, total + x), 0)([1, 2, 3])
        [1, 3, 6]
    """

    def function(sequence: Sequence[Any]) -> list[Any]:
        state, outputs = initial_state, []
        for symbol in sequence:
            result = step(state, symbol)
            if not isinstance(result, tuple) or len(result) != 2:
                raise InputError(
                    f"step({state!r}, {symbol!r}) gave {result!r}; expected the pair (next state, output)."
                )
            state, output = result
            outputs.append(output)
        return outputs

    return function


def evaluate(
    where: str,
    function: Callable[[Any], Any],
    examples: Sequence[Any],
    batch: Any,
    vectorised: bool | None = None,
) -> tuple[list[Any], bool]:
    """The answers of ``function``, one an example, and whether it takes a batch.

    The rule where ``vectorised`` is ``None``: the function is called with the first example alone. If that
    works it is a function of one example. If it raises, it is called with the whole batch and must give one
    answer an example. A function that accepts both but means the batch has to say ``vectorised=True``.

    Args:
        where: What to call the target in a message.
        function: A Python function of one example, or of a batch.
        examples: The examples, each as the function of one example sees it.
        batch: The same examples as one array.
        vectorised: Whether the function takes a batch; ``None``: find out by trying.

    Returns:
        One answer an example, and whether the function takes a batch.

    Raises:
        InputError: If the function fails, gives the wrong number of answers, or answers the same question in
            two ways.

    Example:
        >>> import numpy as np
        >>> rows = np.array([[1, 2], [3, 4]])
        >>> [evaluate("sum", f, rows, rows)[1] for f in (lambda x: x[0] + x[1], lambda x: x[:, 0] + x[:, 1])]
        [False, True]
    """
    alone = None
    if vectorised is None or not vectorised:
        try:
            _ask(function, examples[0])
            vectorised = False
        except InputError:
            raise
        except Exception as error:
            if vectorised is False:
                raise _failed(where, "the first example", error) from error
            alone, vectorised = error, True
    ask = _ask_batch if vectorised else _ask_each
    try:
        answers = ask(where, function, examples, batch)
    except InputError as error:
        if alone is None:
            raise
        raise InputError(f"{error} With one example alone it failed too: {reason(alone)}.") from alone
    few = slice(None, _ASKED_TWICE)
    again = ask(where, function, examples, batch) if vectorised else ask(where, function, examples[few], None)
    if any(not _same(a, b) for a, b in zip(answers[few], again[few], strict=True)):
        raise InputError(
            f"{where}: the function answers the same example in two ways; draw its randomness once, outside of it."
        )
    return answers, bool(vectorised)


def _ask(function: Callable[[Any], Any], example: Any) -> Any:
    """One answer; the function gets its own copy, so that nothing it does to it is seen elsewhere."""
    return function(example.copy())


def _ask_each(where: str, function: Callable[[Any], Any], examples: Sequence[Any], batch: Any) -> list[Any]:
    answers = []
    for i, example in enumerate(examples):
        try:
            answers.append(_ask(function, example))
        except InputError:
            raise
        except Exception as error:
            raise _failed(where, f"example {i}", error) from error
    return answers


def _ask_batch(where: str, function: Callable[[Any], Any], examples: Sequence[Any], batch: Any) -> list[Any]:
    try:
        answers = list(function(batch.copy()))
    except Exception as error:
        raise _failed(where, f"the batch of shape {batch.shape}", error) from error
    if len(answers) != len(examples):
        raise InputError(
            f"{where}: the function gave {len(answers)} answers to {len(examples)} examples; "
            "expected one answer an example."
        )
    return answers


def _failed(where: str, what: str, error: Exception) -> InputError:
    return InputError(f"{where}: the function failed on {what}: {reason(error)}; fix it, or its inputs.")


def _same(a: Any, b: Any) -> bool:
    """Equal, where a NaN equals a NaN: what a NaN means is said where the labels are read."""
    if isinstance(a, np.ndarray | float):
        return np.array_equal(np.asarray(a, dtype=float), np.asarray(b, dtype=float), equal_nan=True)
    return bool(a == b)
