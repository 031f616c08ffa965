"""A problem: a network, a loss and the data that it is taken over, checked once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from allroads.checks import check_number
from allroads.compiled import keep_compiled
from allroads.errors import InputError
from allroads.pfmap.arrays import as_point
from allroads.pfmap.inputs import checked_examples, number_of_examples, read_inputs
from allroads.pfmap.labels import check_labels, check_weights
from allroads.pfmap.losses import PerExampleLoss, loss_name, resolve_loss
from allroads.pfmap.network import Network, Params
from allroads.pfmap.objective import Examples, Objective, Regulariser


@dataclass(frozen=True, eq=False)
class Problem:
    """What is to be minimised: ``L(θ) = (1/N) Σ_i w_i ℓ(F(θ)_i, y_i) + R(θ)``. Most functions take it first.

    It is checked here, before anything is compiled, frozen, and equal to another of the same network, loss and data.

    Args:
        network: The network.
        loss: ``"mse"``, ``"cross_entropy"``, ``"bce"``, PyTorch's module or function of that kind, or
            ``(outputs, labels) -> per-example losses``.
        inputs: ``[N, …]``, NumPy, JAX or PyTorch; a tuple or mapping of such arrays for a network that
            takes several.
        labels: What the loss takes. ``cross_entropy``: integer classes ``[N]`` or ``[N, T]``, or one-hot; ``bce``:
            numbers in ``[0, 1]``; ``mse``: numbers shaped like the outputs (``[N]`` where there is one).
        weights: One per example, ``[N]``, or for a loss of ours one per label; the loss is then the weighted mean.
        class_weights: One per class, for ``cross_entropy``, as ``weight`` of PyTorch's loss.
        ignore: A class whose labels do not count, such as PyTorch's −100; the loss is the mean over the others.
        weight_decay: λ of the penalty ``λ/2 ‖θ‖²``.
        regulariser: Any other penalty: a function of the parameters, in the unit of the loss.

    Raises:
        InputError: On data that are empty, not numbers, NaN or infinite, or of different lengths. On labels that the
            loss cannot take or that do not fit the outputs. On tokens out of range, and on weights that are negative
            or all 0.
        UnknownNameError: If no loss has that name.

    Example:
        >>> import jax.numpy as jnp
        >>> line = Network(lambda key: jnp.zeros(1), lambda w, x: x * w)
        >>> problem = Problem(line, "mse", np.ones((2, 1)), [1.0, 3.0])
        >>> float(problem.mean(jnp.array([2.0])))
        1.0
        >>> problem == Problem(line, "mse", np.ones((2, 1)), [1.0, 3.0])
        True
        >>> Problem(line, "mse", np.ones((2, 1)), [1.0, float("nan")])
        Traceback (most recent call last):
        allroads.errors.InputError: labels: NaN or infinite in 1 of 2 examples, the first at index 1; drop or fix them.
    """

    network: Network
    loss: str | PerExampleLoss
    inputs: Any
    labels: Any
    weights: Any = None
    class_weights: Any = None
    ignore: int | None = None
    weight_decay: float = 0.0
    regulariser: Callable[[Params], Any] | None = None

    def __post_init__(self) -> None:
        keep_compiled()
        if not isinstance(self.network, Network):
            raise InputError(
                f"network: expected a Network; got {type(self.network).__name__}. from_torch gives two things: "
                "network, params = from_torch(…)."
            )
        set_ = object.__setattr__
        per_example = resolve_loss(self.loss)
        set_(self, "loss", loss_name(per_example) or per_example)
        check_number("weight_decay", self.weight_decay, 0)
        if self.regulariser is not None and self.weight_decay:
            raise InputError("weight_decay and regulariser: give one of them; a regulariser may add the decay itself.")
        set_(self, "inputs", read_inputs(self.inputs))
        labels = checked_examples(self.labels, "labels", self.ignore)
        if (count := number_of_examples(self.inputs)) != len(labels):
            raise InputError(
                f"inputs and labels: got {count} inputs and {len(labels)} labels; expected one label per input."
            )
        if self.network.check is not None:
            self.network.check(self.inputs)
        labels, weights = check_labels(self.loss, labels, self.outputs, self.network.name, self.ignore)
        set_(self, "labels", labels)
        weights = check_weights(self.loss, labels, weights, self.weights, self.class_weights, self.outputs)
        set_(self, "weights", weights)
        self._check_losses(self.outputs)

    @cached_property
    def objective(self) -> Objective:
        """The loss and its penalty as functions of parameters and examples: what compiled code is kept for."""
        return Objective(self.network, self.loss, self._regulariser)

    @property
    def data(self) -> Examples:
        """The examples as JAX arrays in the present precision: float32, or float64 inside :func:`allroads.float64`."""
        found: Examples = jax.tree.map(_present, self._leaves)
        return found

    @cached_property
    def outputs(self) -> jax.ShapeDtypeStruct | None:
        """Shape of the network's outputs on the inputs; ``None`` where it does not follow from ``network.init``.

        A network without a useful ``init`` is held against its inputs and labels once a point is given.
        """
        try:
            return self._outputs(_shapes(self.network.init, jax.random.key(0)))
        except Exception:  # a user's init may do anything
            return None

    def __len__(self) -> int:
        """Number of examples N."""
        return len(self.labels)

    def losses(self, params: Params) -> Any:
        """The loss of every example, penalty included, ``[N]``."""
        return self.objective.losses(params, self.data)

    def mean(self, params: Params) -> Any:
        """L(θ)."""
        return self.objective.mean(params, self.data)

    def on(self, inputs: Any, labels: Any, weights: Any = None) -> Problem:
        """The same problem over other examples, such as held-out ones."""
        return replace(self, inputs=inputs, labels=labels, weights=weights)

    def held_out(self, given: Problem | tuple[Any, Any] | None) -> Problem | None:
        """Other examples of the same problem: a problem as it is, or ``(inputs, labels)``.

        Raises:
            InputError: If it is neither.
        """
        if given is None or isinstance(given, Problem):
            return given
        if not isinstance(given, tuple | list) or len(given) != 2:
            raise InputError(f"held_out: expected a problem or (inputs, labels); got {type(given).__name__}.")
        return self.on(*given)

    def point(self, params: Params, what: str = "params") -> Params:
        """A point as JAX arrays, tried on the problem without computing anything.

        Args:
            params: A pytree of floating-point arrays, or a PyTorch state dict of them.
            what: How errors call it.

        Raises:
            InputError: If it is not a point of this network, or the loss does not give one number per example.
        """
        params = as_point(params, what, self.network)
        self._check_outputs(self._outputs(params, what))
        return params

    def points(self, a: Params, b: Params) -> tuple[Params, Params]:
        """Two points of one architecture, checked as :meth:`point`.

        Raises:
            InputError: If one is no point, or their names or shapes differ.
        """
        a, b = as_point(a, "a", self.network), as_point(b, "b", self.network)
        shapes = [jax.tree.map(jnp.shape, point) for point in (a, b)]
        if shapes[0] != shapes[1]:
            raise InputError(
                f"the two points are not of one architecture: {shapes[0]} against {shapes[1]}. Give two points of the "
                "same network."
            )
        self._check_outputs(self._outputs(a, "a"))
        return a, b

    def population(self, params: Params, what: str = "params") -> Params:
        """Points along a leading member axis, as JAX arrays, checked as :meth:`point`.

        Raises:
            InputError: As :meth:`point`, or if the arrays do not share their leading axis.
        """
        params = as_point(params, what, self.network)
        sizes = {leaf.shape[:1] for leaf in jax.tree.leaves(params)}
        if len(sizes) != 1 or sizes == {()} or sizes == {(0,)}:
            raise InputError(
                f"{what}: expected points along one leading axis of every array; the arrays lead with "
                f"{sorted(size[0] if size else 'nothing' for size in sizes)}."
            )
        one = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), params)
        self._check_outputs(self._outputs(one, what))
        return params

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the data, in hex."""
        found = hashlib.sha256()
        if not isinstance(self.inputs, np.ndarray):
            found.update(str(jax.tree.structure(self.inputs)).encode())
        for array in jax.tree.leaves((self.inputs, self.labels, self.weights)):
            found.update(f"{array.dtype}{array.shape}".encode())
            found.update(np.ascontiguousarray(array).tobytes())
        return found.hexdigest()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Problem):
            return NotImplemented
        return self.objective == other.objective and self.fingerprint == other.fingerprint

    def __hash__(self) -> int:
        return hash((self.objective, self.fingerprint))

    def __repr__(self) -> str:
        loss = self.loss if isinstance(self.loss, str) else getattr(self.loss, "__name__", "a loss of its own")
        shape = jax.tree.map(np.shape, self.inputs, is_leaf=lambda given: isinstance(given, np.ndarray))
        return f"Problem({self.network.name}, {loss}, inputs {shape}, labels {self.labels.shape})"

    @property
    def _regulariser(self) -> Regulariser:
        return self.weight_decay if self.regulariser is None else self.regulariser

    def _outputs(self, params: Params, what: str = "params") -> jax.ShapeDtypeStruct:
        """The shape of the outputs at a point, without computing them."""
        inputs = jax.tree.map(_present, self.inputs)
        try:
            found: jax.ShapeDtypeStruct = _shapes(self.network.apply, params, inputs)
        except InputError:
            raise
        except (TypeError, ValueError, KeyError, AttributeError, IndexError) as error:
            raise InputError(
                f"network {self.network.name!r} cannot be applied to {what} and the inputs "
                f"({type(error).__name__}: {error}). Give a point of this network and inputs as it expects them."
            ) from error
        count = number_of_examples(inputs)
        if not hasattr(found, "shape") or found.shape[:1] != (count,):
            raise InputError(
                f"network {self.network.name!r} gives outputs of shape {getattr(found, 'shape', found)} for "
                f"{count} examples; expected [N, C] or [N, T, C]. Give apply(params, inputs) "
                "outputs that lead with the examples."
            )
        return found

    def _check_outputs(self, outputs: jax.ShapeDtypeStruct) -> None:
        """Refuse labels that do not fit these outputs, where the network could not draw a point before."""
        if self.outputs is None:
            labels, _ = check_labels(self.loss, self.labels, outputs, self.network.name, None)
            if labels.shape != self.labels.shape:
                raise InputError(
                    "labels: one-hot labels need a network that can draw a point (network.init); give classes."
                )
        self._check_losses(outputs)

    def _check_losses(self, outputs: jax.ShapeDtypeStruct | None) -> None:
        """Refuse a loss that does not give one number per example."""
        if outputs is None:
            return
        data = jax.tree.map(lambda array: jax.ShapeDtypeStruct(array.shape, _present(array).dtype), self._leaves)
        try:
            losses = _shapes(self.objective.from_outputs, outputs, data)
        except InputError:
            raise
        except (TypeError, ValueError) as error:
            raise InputError(
                f"the loss cannot be taken of outputs {outputs.shape} and labels {self.labels.shape} ({error})."
            ) from error
        if losses.shape != (len(self),):
            raise InputError(
                f"the loss gives shape {losses.shape}; expected one number per example, {(len(self),)}. Give "
                "(outputs, labels) -> per-example losses."
            )

    @property
    def _leaves(self) -> Examples:
        return Examples(self.inputs, self.labels, self.weights)


def _shapes(function: Callable[..., Any], *arguments: Any) -> Any:
    """``jax.eval_shape`` that leaves no trace behind.

    A trace that JAX keeps holds each NumPy array that the function closes over in the precision of that time, and gives
    it so to later traces in another precision. A function of its own is traced once and forgotten.
    """
    return jax.eval_shape(lambda *given: function(*given), *arguments)


def _present(array: Any) -> Any:
    """An array on the device; floating-point numbers in the present precision."""
    kind = float if jnp.issubdtype(array.dtype, jnp.floating) else array.dtype
    return jax.device_put(array.astype(jax.dtypes.canonicalize_dtype(kind)))  # jnp.asarray would compile for each shape
