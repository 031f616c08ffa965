"""Compilation of a Boolean formula into a ReLU network of its gates."""

from __future__ import annotations

import numbers
from collections.abc import Callable

import numpy as np

from allroads.checks import check_choice, check_positive
from allroads.errors import InputError
from allroads.networks.mlp import mlp
from allroads.pfmap.network import Network, Params
from allroads.programs.boolean.formula import Formula
from allroads.programs.boolean.normal_form import normal_form
from allroads.programs.boolean.tree import OPERATORS, Node, variable

OUTPUTS = ("logit", "scores", "number")
"""What a compiled network answers with: one logit, a score for each of two classes, or the answer as a number."""

Sum = tuple[dict[int, float], float]
"""An affine function of the units of one layer: coefficients by unit, and a constant."""


def compile_formula(formula: Formula, *, output: str = "logit", margin: float = 1.0) -> tuple[Network, Params]:
    """A ReLU network that computes a formula by construction, one hidden layer for each level of gates.

    The first layer holds the inputs as bits. AND of k operands is the unit ``relu(Σ a − k + 1)``. OR is
    ``1 − relu(1 − Σ a)``. XOR is ``relu(s) − 2 relu(s − 1) + 2 relu(s − 2) − …`` of ``s = Σ a``, in k units. A count is
    the piecewise linear function of s through its values, with a unit at each kink. What a later level needs is carried
    by ``relu(a) = a``. Every unit is a whole number, so the outputs are exact.

    Args:
        formula: The formula; its normal form is compiled, and a part that occurs twice is computed once.
        output: ``"logit"`` (±margin, for ``bce``), ``"scores"`` (two that differ by 2·margin, for ``cross_entropy``),
            or ``"number"`` (the answers themselves, for ``mse``).
        margin: Size of the logit.

    Returns:
        ``(network, params)``: an :func:`~allroads.networks.mlp.mlp` and its point.

    Raises:
        InputError: If inputs, or for ``"number"`` the answers, are no numbers.

    References: [mcculloch1943]

    Example:
        >>> network, params = compile_formula(Formula.parse("x0 ^ x1", 2))
        >>> network.apply(params, np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]]))[:, 0].tolist()
        [-1.0, 1.0, 1.0, -1.0]
    """
    if not isinstance(formula, Formula):
        raise InputError(f"formula: expected a Formula; got {formula!r}.")
    check_choice("output", output, OUTPUTS)
    check_positive(margin=margin)
    reading = formula.reading
    for name, pair in (("inputs", reading.values), ("answers", reading.answers if output == "number" else (0, 1))):
        if not all(isinstance(value, numbers.Real) for value in pair):
            raise InputError(f"compilation: the {name} {pair!r} are no numbers; expected bits, signs or other numbers.")
    root = normal_form(formula.root)
    zero, one = map(float, reading.values)
    scale = 1 / (one - zero)
    layers = [(np.eye(formula.inputs) * scale, np.full(formula.inputs, -zero * scale))]
    sums: dict[Node, Sum] = {variable(i): ({i: 1.0}, 0.0) for i in range(formula.inputs)}
    for level in range(1, _level(root) + 1):
        weight, sums = _layer(root, level, sums, layers[-1][0].shape[1])
        layers.append(weight)
    low, high = (-margin, margin) if output != "number" else map(float, reading.answers)
    coefficients, constant = _signal(root, sums)
    last = np.zeros((layers[-1][0].shape[1], 1))
    for unit, coefficient in coefficients.items():
        last[unit] = coefficient * (high - low)
    bias = np.array([low + constant * (high - low)])
    if output == "scores":
        last, bias = np.concatenate([-last, last], axis=1), np.concatenate([-bias, bias])
    layers.append((last, bias))
    widths = tuple(layer[0].shape[1] for layer in layers[:-1])
    network = mlp((formula.inputs,), len(bias), widths=widths, activation="relu")
    return network, {"layers": [{"weight": np.asarray(w, np.float32), "bias": np.asarray(b, np.float32)}
                                for w, b in layers]}  # fmt: skip


def _level(node: Node) -> int:
    """Gates on the longest way from a variable to a node."""
    inside = max(map(_level, node.args), default=0)
    return inside + (node.op in OPERATORS)


def _signal(node: Node, sums: dict[Node, Sum]) -> Sum:
    """A node whose operands are known as an affine function of the units."""
    if node in sums:
        return sums[node]
    if node.op == "~":
        coefficients, constant = _signal(node.args[0], sums)
        return {unit: -coefficient for unit, coefficient in coefficients.items()}, 1 - constant
    return {}, float(node.op == "1")


def _layer(
    root: Node, level: int, sums: dict[Node, Sum], width: int
) -> tuple[tuple[np.ndarray, np.ndarray], dict[Node, Sum]]:
    """The layer of one level of gates: its weights and biases, and the nodes that are known after it."""
    units: list[Sum] = []
    known: dict[Node, Sum] = {}

    def unit(coefficients: dict[int, float], constant: float) -> int:
        units.append((coefficients, constant))
        return len(units) - 1

    def visit(node: Node, above: int) -> None:
        if node in known:
            return
        if node.op == "~":
            visit(node.args[0], above)
        elif _level(node) > level:
            for arg in node.args:
                visit(arg, _level(node))
        elif _level(node) < level:
            if above > level and node in sums:
                known[node] = ({unit(*sums[node]): 1.0}, 0.0)
        else:
            known[node] = _gate(node, sums, unit)

    visit(root, _level(root) + 1)
    weight, bias = np.zeros((width, len(units))), np.zeros(len(units))
    for place, (coefficients, constant) in enumerate(units):
        for below, coefficient in coefficients.items():
            weight[below, place] = coefficient
        bias[place] = constant
    return (weight, bias), known


def _gate(node: Node, sums: dict[Node, Sum], unit: Callable[[dict[int, float], float], int]) -> Sum:
    """The units of a gate, and the gate as an affine function of them."""
    total: dict[int, float] = {}
    constant = 0.0
    for arg in node.args:
        coefficients, more = _signal(arg, sums)
        constant += more
        for below, coefficient in coefficients.items():
            total[below] = total.get(below, 0.0) + coefficient
    count = len(node.args)
    if node.op == "&":
        return {unit(total, constant - count + 1): 1.0}, 0.0
    if node.op == "|":
        return {unit({below: -coefficient for below, coefficient in total.items()}, 1 - constant): -1.0}, 1.0
    if node.op == "+":
        held = [float(j in node.counts) for j in range(count + 1)]
        kinks = {j: held[j + 1] - held[j] - (held[j] - held[j - 1] if j else 0.0) for j in range(count)}
        return {unit(total, constant - j): kink for j, kink in kinks.items() if kink}, held[0]
    return {unit(total, constant - j): 1.0 if j == 0 else 2.0 * (-1) ** j for j in range(count)}, 0.0
