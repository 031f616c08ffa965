"""REPAIR: a point between two others, with the statistics of its units corrected."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from allroads.errors import InputError, UnknownNameError
from allroads.paths.repair.statistics import batch_norms, reset_statistics
from allroads.paths.repair.units import corrected_network, corrections, unit_statistics, with_layers
from allroads.pfmap.arrays import as_point
from allroads.pfmap.inputs import read_inputs
from allroads.pfmap.network import Network, Params
from allroads.pfmap.symmetries.group import named_leaves
from allroads.status import PathStatus, Status

METHODS = ("units", "statistics")


@dataclass(frozen=True, eq=False)
class Repaired:
    """A network at a repaired point.

    Args:
        network: For ``"units"`` the network with a scale and a shift for each unit; else the network that was given.
        params: Its parameters: for ``"units"`` ``{"point": …, "corrections": [(scale, shift), …]}``, one pair per
            hidden layer.
        changed: How many layers, or the names of the parameters, that were corrected.
        skipped: Loops and branches with layers inside, which stay as they are.
        status: ``ok``, or ``not applicable`` where no hidden layer was found.
    """

    network: Network
    params: Params
    changed: int | tuple[str, ...]
    skipped: tuple[str, ...]
    status: Status


@dataclass(frozen=True, eq=False)
class RepairMethod:
    """How points of one network are repaired; for use inside compiled functions.

    Args:
        network: The network that takes the repaired parameters.
        statistics: ``statistics(a, b, inputs)``: the statistics of the ends.
        fix: ``fix(point, t, statistics, inputs)``: the repaired parameters.
        changed: As in :class:`Repaired`.
        skipped: As in :class:`Repaired`.
    """

    network: Network
    statistics: Callable[[Params, Params, Any], Any]
    fix: Callable[[Params, Any, Any, Any], Params]
    changed: int | tuple[str, ...]
    skipped: tuple[str, ...]


def repair(network: Network, a: Params, b: Params, inputs: Any, t: float = 0.5, *, method: str = "units") -> Repaired:
    """The point ``(1−t) a + t b`` with the statistics of its units corrected.

    Between two different networks, units average out. The standard deviation of a unit falls from layer to layer, down
    to ``1/√2`` of the ends' where they are uncorrelated. The loss rises for that reason alone.

    - ``"units"``: every unit of every hidden layer gets one scale and one shift before its bias. Over the data, its
      mean and standard deviation then lie ``1−t`` to ``t`` between those at the ends. Layers are contractions
      and convolutions with weights, found by tracing; the last one, which reads out, stays as it is.
    - ``"statistics"``: for batch norms whose running mean and variance are *parameters*: both are taken anew on the
      data, layer after layer. They are recognised as ``(x − mean) / √(variance + constant)``. The variance is the mean
      square deviation; PyTorch's own running variance is ``n/(n−1)`` of it, n examples times positions.

    Args:
        network: The network of both.
        a: One end, t = 0.
        b: The other, t = 1.
        inputs: ``[N, …]``, on which statistics are taken, all in one batch; labels are not needed.
        t: Between 0 and 1.
        method: See above.

    Returns:
        A :class:`Repaired`.

    Raises:
        InputError: If the ends are not of one architecture, t lies outside, or with ``"statistics"`` no running
            statistics are among the parameters: those of a PyTorch module are there only with
            ``running_statistics="params"``, and a batch norm without them takes the statistics of the batch, which is
            no function of one example.
        UnknownNameError: If there is no such method.

    When it fails: layers inside loops (recurrent networks) and embeddings that are looked up are not repaired. A batch
    norm that is folded into one scale and one shift is not recognised.

    References: [jordan2023]

    Example:
        A hidden unit that copies the first input at one end and the second at the other; half way it is their mean:

        >>> network = Network(lambda key: None, lambda p, x: x @ p["in"] @ p["out"])
        >>> a = {"in": jnp.array([[1.0], [0.0]]), "out": jnp.ones((1, 1))}
        >>> b = {"in": jnp.array([[0.0], [1.0]]), "out": jnp.ones((1, 1))}
        >>> inputs = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
        >>> found = repair(network, a, b, inputs)
        >>> middle = network.apply({"in": jnp.full((2, 1), 0.5), "out": jnp.ones((1, 1))}, inputs)
        >>> round(float(middle.std()), 3), round(float(found.network.apply(found.params, inputs).std()), 3)
        (0.707, 1.0)
    """
    if not 0 <= t <= 1:
        raise InputError(f"repair: t must lie between 0 and 1; got {t!r}.")
    if jax.tree.map(np.shape, a) != jax.tree.map(np.shape, b):
        raise InputError("repair: the two points are not of one architecture. Give ends of the same network.")
    a, b = as_point(a, "a", network), as_point(b, "b", network)
    inputs = jax.tree.map(jnp.asarray, read_inputs(inputs))
    found = repair_method(network, a, inputs, method)

    @jax.jit
    def repaired(a: Params, b: Params, t: Any) -> Params:
        point = jax.tree.map(lambda p, q: p + t.astype(p.dtype) * (q - p), a, b)
        return found.fix(point, t, found.statistics(a, b, inputs), inputs)

    params = repaired(a, b, jnp.asarray(t))
    status = PathStatus.OK if found.changed else PathStatus.NOT_APPLICABLE
    return Repaired(found.network, params, found.changed, found.skipped, status)


def repair_method(network: Network, params: Params, inputs: Any, method: str) -> RepairMethod:
    """The repair of points of a network, found by tracing it.

    Args:
        network: The network.
        params: A point, for its shapes.
        inputs: The data of the statistics, for their shapes.
        method: ``"units"`` or ``"statistics"``.

    Raises:
        InputError: If there are no running statistics among the parameters, with ``"statistics"``.
        UnknownNameError: If there is no such method.
    """
    if method not in METHODS:
        raise UnknownNameError("repair", method, METHODS)
    return (_by_units if method == "units" else _by_statistics)(network, params, inputs)


def _by_units(network: Network, params: Params, inputs: Any) -> RepairMethod:
    layers: list[int] = []
    loops: list[str] = []

    def count(params: Params, inputs: Any) -> Any:
        outputs, number, skipped = with_layers(network, params, inputs, lambda number, units, axes: units)
        layers.append(number)
        loops.extend(skipped)
        return outputs

    jax.eval_shape(count, params, inputs)
    hidden = max(layers[0] - 1, 0)

    def statistics(a: Params, b: Params, inputs: Any) -> Any:
        return [unit_statistics(network, end, inputs)[:hidden] for end in (a, b)]

    def fix(point: Params, t: Any, statistics: Any, inputs: Any) -> Params:
        targets = jax.tree.map(lambda p, q: p + t.astype(p.dtype) * (q - p), *statistics)
        return {"point": point, "corrections": corrections(network, point, inputs, targets)}

    return RepairMethod(corrected_network(network, hidden), statistics, fix, hidden, tuple(loops))


def _by_statistics(network: Network, params: Params, inputs: Any) -> RepairMethod:
    leaves: list[tuple[int, int]] = []

    def list_norms(params: Params, inputs: Any) -> Any:
        found = batch_norms(network, params, inputs)
        leaves.extend((norm.mean_leaf, norm.variance_leaf) for norm in found)
        return [norm.mean for norm in found]

    jax.eval_shape(list_norms, params, inputs)
    if not leaves:
        raise InputError(
            f"repair: no running statistics of a batch norm are among the parameters of {network.name!r}. Take a "
            "PyTorch module in with from_torch(…, running_statistics='params'); write a batch norm of your own as "
            "(x − mean) / √(var + ε), with mean and var as parameters. One without running statistics is no function "
            "of one example. For networks without batch norm take repair='units'."
        )
    names = [name for name, _ in named_leaves(params)]

    def fix(point: Params, t: Any, statistics: Any, inputs: Any) -> Params:
        fresh = reset_statistics(network, point, inputs, len(leaves))
        inside = (t > 0) & (t < 1)
        return jax.tree.map(lambda new, old: jnp.where(inside, new, old), fresh, point)

    changed = tuple(names[leaf] for pair in leaves for leaf in pair)
    return RepairMethod(network, lambda a, b, inputs: (), fix, changed, ())
