"""What every target promises."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np

from allroads.targets.evaluate import fold
from allroads.targets.probes import Probes
from allroads.targets.symbols import decoded
from allroads.targets.target import Target
from allroads.testing.promise import promise

ASKED = 16
"""Examples that the function of a target is asked again."""

CLOSE = 1e-9
"""Largest difference of two baselines that are computed in two ways."""


def check_target(make: Callable[[], Target]) -> None:
    """Whether a function makes the same target each time, and the target keeps what every target promises.

    - *the seed decides*: two calls give the same examples, labels and split;
    - *nothing can be written to*: the arrays are locked, and ``truth`` and ``baseline`` are copies;
    - *shapes are those of the interface*: inputs, tokens, labels and classes;
    - *sides share no example*, and lie in the whole domain where that is known;
    - *labels are the answers of the function*, asked again;
    - *the baseline is that of the best constant*: accuracy of the most frequent class, and mean loss at the shares or
      means of the labels, computed another way;
    - *the truth is JSON*.

    Args:
        make: Called twice without arguments; gives the target.

    Raises:
        AssertionError: At the first promise that is broken: says which, what was expected and what to do.

    Example:
        >>> from allroads.targets import build_target
        >>> check_target(lambda: build_target("modular", p=7))
    """
    target, again = make(), make()
    part = f"target {getattr(target, 'name', target)!r}"
    promise(isinstance(target, Target), part, "a Target", "an allroads.Target", type(target).__name__, "Return one.")
    promise(
        target.fingerprint() == again.fingerprint(),
        part,
        "the seed decides",
        "the same fingerprint from two calls",
        f"{target.fingerprint()[:8]}… and {again.fingerprint()[:8]}…",
        "Draw from numpy.random.default_rng(seed) alone, with seed= among the options.",
    )
    sides = {name: side for name in ("train", "held_out", "full") if (side := getattr(target, name)) is not None}
    for name, side in sides.items():
        _check_side(part, target, name, side)
    _check_disjoint(part, target)
    _check_function(part, target)
    _check_baseline(part, target)
    _check_truth(part, target)


def as_symbols(target: Target, inputs: np.ndarray) -> list[Any]:
    """Examples as functions and programs take them: rows of numbers, or lists of symbols.

    Example:
        >>> sums = Target("sum", alphabet=(-1, 0, 2), length=2, function=np.cumsum, as_numbers=True)
        >>> as_symbols(sums, sums.full.inputs[:2])
        [[-1, -1], [-1, 0]]
    """
    if target.alphabet is None or target.interface.vocabulary is not None:
        return list(decoded(inputs, target.alphabet)[0])
    tokens = np.searchsorted(np.sort(np.array(target.alphabet)), inputs)  # the network is given the symbols as numbers
    ordered = tuple(sorted(target.alphabet))
    return list(decoded(tokens[..., 0] if tokens.shape[-1] == 1 else tokens, ordered)[0])


def _check_side(part: str, target: Target, name: str, side: Probes) -> None:
    locked = not side.inputs.flags.writeable and not side.labels.flags.writeable
    promise(locked, part, "nothing can be written to", f"locked arrays in {name}", "open ones", "Return Target(…).")
    face, words = target.interface, "shapes are those of the interface"
    remedy = "Let Target make the interface from your inputs and labels."
    shape = side.inputs.shape[1:]
    promise(shape == face.input_shape, part, words, f"inputs [N, {face.input_shape}] in {name}", str(shape), remedy)
    positions = face.input_shape[:1] if face.per_position else ()
    numbers = () if target.loss == "cross_entropy" or face.outputs == 1 else (face.outputs,)
    allowed = {(len(side), *positions, *numbers)}
    if target.loss != "cross_entropy" and face.outputs == 1:
        allowed.add((len(side), *positions, 1))
    shape = side.labels.shape
    promise(shape in allowed, part, words, f"labels of shape {sorted(allowed)[0]} in {name}", str(shape), remedy)
    for what, values, limit in (
        ("tokens", side.inputs, face.vocabulary),
        ("classes", side.labels, face.outputs if target.loss == "cross_entropy" else None),
    ):
        if limit is not None and len(side):
            low, high = int(values.min()), int(values.max())
            fits = low >= 0 and high < limit
            promise(fits, part, words, f"{what} 0 … {limit - 1} in {name}", f"{low} … {high}", remedy)


def _check_disjoint(part: str, target: Target) -> None:
    rows = {
        name: {row.tobytes() for row in side.inputs}
        for name in ("train", "held_out", "full")
        if (side := getattr(target, name)) is not None
    }
    common = len(rows["train"] & rows.get("held_out", set()))
    remedy = "Let Target split the examples, or drop from the held-out ones what is trained on."
    promise(not common, part, "sides share no example", "held-out examples of their own", f"{common} in both", remedy)
    if "full" in rows:
        strange = len((rows["train"] | rows.get("held_out", set())) - rows["full"])
        words = "every example to lie in the whole domain"
        promise(not strange, part, "sides share no example", words, f"{strange} outside", "Give complete=False.")


def _check_function(part: str, target: Target) -> None:
    function = target.function
    if function is None and target.step is not None:
        function = fold(target.step, target.initial_state)
    if function is None:
        return
    inputs, labels = target.train.inputs[:ASKED], target.train.labels[:ASKED]
    for example, label in zip(as_symbols(target, inputs), labels, strict=True):
        answers = [_as_labels(target, function(example.copy())) for _ in range(2)]
        same = np.array_equal(answers[0], answers[1])
        right = np.allclose(np.ravel(answers[0]), np.ravel(label), rtol=1e-6, atol=1e-12)
        promise(
            same and right,
            part,
            "labels are the answers of the function",
            f"the label {np.asarray(label).tolist()} of {np.asarray(example).tolist()}",
            f"{answers[0].tolist()}" + ("" if same else f", then {answers[1].tolist()}"),
            "Draw nothing inside of the function; draw labels once, outside, and give labels=.",
        )


def _as_labels(target: Target, answer: Any) -> np.ndarray:
    symbols = target.output_alphabet
    if symbols is None:
        return np.asarray(answer, float)
    many = isinstance(answer, list | np.ndarray)
    return np.asarray([symbols.index(one) for one in answer] if many else symbols.index(answer), float)


def _check_baseline(part: str, target: Target) -> None:
    for name, side in (("train", target.train), ("held_out", target.held_out)):
        found = [target.baseline[f"{name}_{what}"] for what in ("accuracy", "loss")]
        expected = [None, None] if side is None else _best_constant(side.labels, target.loss)
        same = all(
            (a is None) == (b is None) and (a is None or b is None or abs(a - b) <= CLOSE * (1 + abs(b)))
            for a, b in zip(found, expected, strict=True)
        )
        promise(
            same,
            part,
            "the baseline is that of the best constant",
            f"accuracy and loss {expected} in {name}",
            str(found),
            "Leave baseline to Target.",
        )


def _best_constant(labels: np.ndarray, loss: str) -> list[float | None]:
    """Accuracy and loss of the best constant, by trying constants."""
    accuracies, losses = [], []
    for column in labels.reshape(len(labels), -1).T.astype(float):
        if loss == "mse":
            accuracies.append(max(float(((column >= low) & (column < low + 1)).mean()) for low in np.unique(column)))
            losses.append(float(((column - column.mean()) ** 2).mean()))
            continue
        shares = [float((column == value).mean()) for value in np.unique(column)]
        accuracies.append(max(shares))
        losses.append(-sum(share * np.log(share) for share in shares))
    return [float(np.mean(accuracies)), float(np.mean(losses))]


def _check_truth(part: str, target: Target) -> None:
    truth = target.truth
    name, remedy = "the truth is JSON", "Put numbers, texts, lists and dicts in truth."
    same = json.loads(json.dumps(truth, allow_nan=False)) == truth
    promise(same, part, name, "truth to come back from JSON as it was", "something else", remedy)
    truth["written by the check"] = target.baseline["train_loss"] = True
    kept = "written by the check" not in target.truth and target.baseline["train_loss"] is not True
    promise(kept, part, "nothing can be written to", "copies of truth and baseline", "the target's own", remedy)
