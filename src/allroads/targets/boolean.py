"""Boolean functions of at most 20 bits, with what the theory knows about them."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np

from allroads.errors import InputError
from allroads.targets.checks import integer, numbers, one_of
from allroads.targets.expression import evaluate_expression, named_variables
from allroads.targets.pool import SMALL_DOMAIN
from allroads.targets.rules import RULES, all_bits
from allroads.targets.target import Target
from allroads.targets.walsh import truth_of

MOST_BITS = 20


def boolean(
    *,
    bits: int | None = None,
    expression: str | None = None,
    truth_table: str | Sequence[int] | None = None,
    rule: str | None = None,
    k: int | None = None,
    variables: Sequence[int] | None = None,
    address: int | None = None,
    weights: Sequence[float] | None = None,
    threshold: float | None = None,
    balanced: bool | None = None,
    function_seed: int | None = None,
    monomials: Sequence[Sequence[int]] | None = None,
    coefficients: Sequence[float] | None = None,
    encoding: str = "signs",
    loss: str | None = None,
    name: str | None = None,
    train_fraction: float | None = None,
    train_size: int | None = None,
    held_out_size: int | None = None,
    seed: int = 0,
) -> Target:
    """A function of n ≤ 20 bits, by an expression, a truth table, a rule, or as a real sum of monomials.

    Conventions are those of :mod:`allroads.targets.walsh`: row r of a table has bit i equal to
    ``(r >> i) & 1``, and a bit b stands for the sign ``(−1)^b``. The domain is enumerated up to 16 bits;
    above, examples are drawn uniformly.

    Args:
        bits: Number n of bits; default where it follows: the variables of the expression, the size of the
            table.
        expression: As ``"x0 & (x1 ^ ~x2)"``.
        truth_table: 2^n zeros and ones, a list or a text, row 0 first.
        rule: ``and``, ``or``, ``parity``, ``majority``, ``staircase`` (``k`` or ``variables``), ``mux``
            (``address``), ``linear_threshold`` (``weights``, ``threshold``, ``function_seed``), ``junta``
            (``k``, ``function_seed``), ``random`` (``balanced``, ``function_seed``).
        k: How many bits the rule looks at (the first k), default all of them; 3 for a junta.
        variables: Which bits the rule looks at, in place of ``k``.
        address: Number of address bits, default 2.
        weights: n weights over bits, default standard normal.
        threshold: Default half the sum of the weights.
        balanced: Whether a random table has as many ones as zeros, default true.
        function_seed: Decides the random function, default 0.
        monomials: Sets of variables; the target is the real function ``Σ_j c_j Π_{i∈S_j} x_i`` of signs, with
            ``mse``.
        coefficients: Their c, default 1.
        encoding: Inputs as ``"signs"`` (±1) or ``"bits"`` (0, 1).
        loss: ``"bce"`` (labels 0, 1, one output; the default), ``"cross_entropy"`` (two outputs) or ``"mse"``
            (labels are signs: 0 is +1, 1 is −1).
        name: Display name, default made from the options.
        train_fraction: Share that trains, default 0.8.
        train_size: How many train, in place of a share.
        held_out_size: How many are held out, default the rest.
        seed: Decides the split.

    Returns:
        The target. Truth: see :func:`allroads.targets.walsh.truth_of`.

    Raises:
        InputError: If the function is not given in exactly one way, is constant, or an option does not fit.

    References: [odonnell2014, abbe2023]

    Example:
        >>> target = boolean(bits=5, rule="parity", k=3)
        >>> target.truth["degree"], target.truth["average_sensitivity"], target.truth["leap"]
        (3, 3.0, 3)
    """
    ways = {"expression": expression, "truth_table": truth_table, "rule": rule, "monomials": monomials}
    given = [way for way, value in ways.items() if value is not None]
    if len(given) != 1:
        raise InputError(
            f"a Boolean target is given in exactly one of the ways {', '.join(ways)}; got {', '.join(given) or 'none'}."
        )
    options = {
        "k": k,
        "variables": variables,
        "address": address,
        "weights": weights,
        "threshold": threshold,
        "balanced": balanced,
        "function_seed": function_seed,
        "coefficients": coefficients,
    }
    options = {option: value for option, value in options.items() if value is not None}
    rows = all_bits(_bits(bits, expression, truth_table, monomials))
    if rule is not None:
        values = _signs(_by_rule(rows, rule, options))
    elif monomials is not None:
        values = _by_monomials(rows, monomials, options)
    else:
        _none_left(given[0], options)
        values = _signs(_read_table(truth_table) if expression is None else evaluate_expression(expression, rows))
    if (values == values[0]).all():
        raise InputError(
            f"this function is {_name(given[0], ways, options)}, a constant: one class only; choose another."
        )
    one_of("encoding", encoding, ("signs", "bits"))
    if monomials is not None and loss not in (None, "mse"):
        raise InputError(f"a sum of monomials is a real function; loss must be 'mse', got {loss!r}.")
    loss = loss or ("bce" if monomials is None else "mse")
    labels = values if loss == "mse" else (values < 0).astype(np.int64)
    n = rows.shape[1]
    places = 1 << np.arange(n)

    def function(x: Any) -> Any:
        """The label of one example, or of a batch."""
        x = np.asarray(x)
        return labels[(x < 0 if encoding == "signs" else x > 0.5) @ places]

    inputs = (1 - 2 * rows.astype(np.float32)) if encoding == "signs" else rows.astype(np.float32)

    def sampler(rng: np.random.Generator, count: int) -> np.ndarray:
        return inputs[rng.integers(len(inputs), size=count)]

    small = len(rows) <= SMALL_DOMAIN
    return Target(
        name or f"{_name(given[0], ways, options)} of {n} bits",
        inputs=inputs if small else None,
        sampler=None if small else sampler,
        function=function,
        vectorised=True,
        complete=small,
        loss=loss,
        train_fraction=train_fraction,
        train_size=train_size,
        held_out_size=held_out_size,
        seed=seed,
        truth={
            **({} if truth_table is not None else {given[0]: ways[given[0]]}),
            **options,
            **truth_of(values),
        },
    )


def _bits(
    bits: int | None,
    expression: str | None,
    truth_table: str | Sequence[int] | None,
    monomials: Sequence[Sequence[int]] | None,
) -> int:
    """The number of bits: as given, or what the definition needs; a table leaves no choice."""
    if truth_table is not None:
        size = len(_read_table(truth_table))
        if size < 2 or size & (size - 1) or bits not in (None, size.bit_length() - 1):
            raise InputError(
                f"a truth table of n bits has 2^n entries; got {size}" + (f" for {bits} bits." if bits else ".")
            )
        bits = size.bit_length() - 1
    elif bits is None:
        named: list[int] = []
        if expression is not None:
            named = named_variables(expression)
        elif monomials is not None:
            named = [integer("monomials", v, 0) for monomial in monomials for v in monomial]
        if not named:
            raise InputError("bits is missing: give the number of bits, 1 … 20.")
        bits = max(named) + 1
    return integer("bits", bits, 1, MOST_BITS)


def _read_table(truth_table: str | Sequence[int] | None) -> np.ndarray:
    entries = [int(c) if c in "01" else -1 for c in truth_table] if isinstance(truth_table, str) else truth_table
    table = numbers("truth_table", entries)
    if table.ndim != 1 or not np.isin(table, (0, 1)).all():
        raise InputError("a truth table holds zeros and ones alone, row 0 first, as '0110' or [0, 1, 1, 0].")
    return table


def _by_rule(rows: np.ndarray, rule: str, options: dict[str, Any]) -> np.ndarray:
    function = RULES[one_of("rule of a Boolean target", rule, RULES)]
    known = [p for p in inspect.signature(function).parameters if p != "rows"]
    for option in options:
        if option not in known:
            raise InputError(f"the rule {rule!r} has no option {option!r}; it has {', '.join(known)}.")
    table: np.ndarray = function(rows, **options)
    return table


def _by_monomials(rows: np.ndarray, monomials: Sequence[Sequence[int]], options: dict[str, Any]) -> np.ndarray:
    coefficients = numbers("coefficients", options.get("coefficients", [1.0] * len(monomials)))
    _none_left("monomials", {o: v for o, v in options.items() if o != "coefficients"})
    if coefficients.shape != (len(monomials),):
        raise InputError(f"{len(monomials)} monomials need as many coefficients, got {coefficients.size}.")
    signs = 1.0 - 2.0 * rows
    last = rows.shape[1] - 1
    columns = [[integer("monomials", v, 0, last) for v in dict.fromkeys(monomial)] for monomial in monomials]
    terms = (c * signs[:, chosen].prod(axis=1) for c, chosen in zip(coefficients, columns, strict=True))
    total: np.ndarray = sum(terms)
    return total


def _none_left(way: str, options: dict[str, Any]) -> None:
    if options:
        raise InputError(f"{', '.join(options)} belong to a rule, not to {way}; drop them.")


def _signs(table: np.ndarray) -> np.ndarray:
    return 1.0 - 2.0 * table


def _name(way: str, ways: dict[str, Any], options: dict[str, Any]) -> str:
    """A short text that tells the function from others."""
    definition = ways[way]
    if way == "truth_table":
        text = "".join(str(int(v)) for v in _read_table(definition))
        return f"table {text if len(text) <= 32 else text[:29] + '…'}"
    if way == "monomials":
        return " + ".join("".join(f"x{v}" for v in monomial) or "1" for monomial in definition)
    settings = ", ".join(f"{option}={value}" for option, value in options.items())
    return f"{definition}{f' ({settings})' if settings else ''}"
