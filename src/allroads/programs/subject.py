"""What a program is read from: a network at a point, with the examples that it answers and how its outputs are read."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import jax
import numpy as np

from allroads.errors import InputError
from allroads.imported import reason
from allroads.pfmap.arrays import as_point
from allroads.pfmap.jaxpr import recurrent_cell
from allroads.pfmap.network import Network, Params
from allroads.pfmap.precision import float64
from allroads.targets.target import Target

BATCH = 4096
"""Examples that a network answers at once."""

TIE = 1e-9
"""Margin up to which an answer hangs on rounding; of scores, relative to the largest one."""

ALONE = 1e-9
"""Relative difference up to which an answer does not depend on the examples beside it."""

WHOLE = 2.0**53
"""Numbers below it are told from their neighbours in double precision."""


@dataclass(frozen=True, eq=False)
class Subject:
    """A network at a point that is to be read as a program.

    Outputs are read as the target's loss says: the largest score (``cross_entropy``, and ``mse`` to one-hot labels over
    the tokens), the sign of a logit (``bce``), or the nearest whole number (``mse``).

    Args:
        network: The network.
        params: The point, checked.
        target: What it was to learn: its alphabet, domain, loss and function.
    """

    network: Network
    params: Params
    target: Target

    @property
    def domain(self) -> np.ndarray | None:
        """Every input, where the domain is finite and was enumerated; else ``None``."""
        return None if self.target.full is None else self.target.full.inputs

    @property
    def known(self) -> np.ndarray:
        """The inputs at hand: the domain, or the training and held-out examples."""
        if self.domain is not None:
            return self.domain
        sides = [self.target.train.inputs, *([] if self.target.held_out is None else [self.target.held_out.inputs])]
        return np.concatenate(sides)

    @property
    def letters(self) -> list[Any] | None:
        """The symbols of one position, several channels as tuples; ``None`` without an alphabet."""
        alphabet, shape = self.target.alphabet, self.target.interface.input_shape
        if alphabet is None:
            return None
        channels = shape[1] if len(shape) > 1 else 1
        return list(alphabet) if channels == 1 else list(itertools.product(alphabet, repeat=channels))

    @cached_property
    def one_hot(self) -> bool:
        """Whether labels are one-hot rows over the tokens, learned by squared error: outputs then are scores."""
        interface = self.target.interface
        if self.target.loss != "mse" or interface.per_position or interface.vocabulary != interface.outputs:
            return False
        labels = (self.target.train if self.target.full is None else self.target.full).labels
        ones = (labels == 1).sum(axis=-1) == 1
        return labels.ndim == 2 and bool(ones.all()) and bool(((labels == 0) | (labels == 1)).all())

    @property
    def scores(self) -> bool:
        """Whether an output is a score for each of several answers."""
        return self.target.loss == "cross_entropy" or self.one_hot

    @cached_property
    def unreadable(self) -> str | None:
        """Why outputs stand for no answers; ``None`` where they do.

        They are not finite, too large to be whole, or depend on the examples beside one, as with batch statistics.
        """
        some = self.known[:BATCH]
        outputs = self.outputs(some)
        if not np.isfinite(outputs).all():
            return "the network's outputs are not finite"
        alone = self.outputs(np.repeat(some[:1], len(some), axis=0))[0]
        if not (np.abs(alone - outputs[0]) <= ALONE * (1 + np.abs(alone))).all():
            return (
                "the network's output to an example depends on the examples beside it in a batch; take batch "
                "statistics from training (module.eval())"
            )
        largest = float(np.abs(outputs).max(initial=0.0))
        if self.target.loss == "mse" and largest >= WHOLE:
            return (
                f"the network answers {largest:.3g}; from 2^53 on, double precision does not tell whole numbers apart"
            )
        return None

    @property
    def asks_fractions(self) -> str | None:
        """Why numbers are no answers to this target: it asks for numbers that are not whole; ``None`` else."""
        sides = [self.target.train, self.target.held_out]
        asked = [side.labels for side in sides if side is not None and self.target.loss == "mse"]
        fractions = [value for labels in asked for value in labels[labels != np.rint(labels)].ravel()[:1]]
        if not fractions:
            return None
        return (
            f"the target asks for {float(fractions[0]):g}, and outputs are read as the nearest whole number; multiply "
            "its answers until they are whole"
        )

    @cached_property
    def _compiled(self) -> Callable[[Params, Any], Any]:
        return jax.jit(self.network.apply)

    def outputs(self, inputs: Any) -> np.ndarray:
        """Outputs in double precision, ``[N, C]`` or ``[N, T, C]``."""
        inputs = np.asarray(inputs)
        with float64():
            point = as_point(self.params, network=self.network)
            batches = [self._compiled(point, inputs[i : i + BATCH]) for i in range(0, len(inputs), BATCH)]
            return np.concatenate([np.asarray(batch) for batch in batches])

    def decide(self, outputs: np.ndarray) -> np.ndarray:
        """Answers as labels: classes, bits or whole numbers; without the last axis where there is one output."""
        kind = self.target.loss
        if self.scores:
            said: np.ndarray = outputs.argmax(axis=-1)
            return said
        said = (outputs > 0).astype(int) if kind == "bce" else np.rint(outputs).astype(int)
        return said[..., 0] if outputs.shape[-1] == 1 else said

    def margins(self, outputs: np.ndarray) -> np.ndarray:
        """Distance of each output from where its answer changes, ``[N]`` or ``[N, T]``.

        Of scores it is half the difference of the two largest, and of a logit its size. Of a number it is what is left
        to the nearest half.
        """
        kind = self.target.loss
        if self.scores:
            top = np.sort(outputs, axis=-1)[..., -2:]
            gaps: np.ndarray = (top[..., 1] - top[..., 0]) / 2
            return gaps
        apart = np.abs(outputs) if kind == "bce" else 0.5 - np.abs(outputs - np.rint(outputs))
        least: np.ndarray = apart.min(axis=-1)
        return least

    def tie(self, outputs: np.ndarray) -> str | None:
        """Why outputs ``[N, C]`` or ``[N, T, C]`` decide no answer on some input; ``None`` where all do.

        The margin must be above :data:`TIE`, for scores relative to the largest. Below it, the order of a sum decides.

        Example:
            >>> import numpy as np
            >>> from allroads import Network, Target
            >>> target = Target("mine", inputs=[[0.0], [1.0]], labels=[0, 1], complete=True, loss="bce")
            >>> subject = Subject(Network(lambda key: 1.0, lambda w, x: x), 1.0, target)
            >>> subject.tie(np.array([[0.1 + 0.2 - 0.3]])), subject.tie(np.array([[0.1]]))
            ('two answers tie on some input, so that rounding decides', None)
        """
        margins = self.margins(outputs)
        if np.isnan(margins).any():
            return "the network's outputs are not finite on some input"
        size = 1.0 + (np.abs(outputs.max(axis=-1)) if self.scores else 0.0)
        return None if (margins > TIE * size).all() else "two answers tie on some input, so that rounding decides"

    @cached_property
    def answers_prefixes(self) -> bool:
        """Whether a network answers the first half of a word as it does within the whole word.

        True where it reads words of one length alone.
        """
        some = self.known[:64]
        half = max(1, some.shape[1] // 2)
        try:
            found = self.answers(some[:, :half])
        except Exception:  # a network that is fixed to one length, which may raise anything
            return True
        return np.array_equal(found, self.answers(some)[:, :half])

    def folds(self, inputs: np.ndarray, answers: np.ndarray) -> bool:
        """Whether the network itself answers sequences that are longer than the target's as its step does.

        True where it reads sequences of one length alone: its step then is all that there is at other lengths.

        Args:
            inputs: Longer sequences, ``[N, T, ...]``; 64 of them are read.
            answers: What folding the step answers, ``[N, T, ...]``.
        """
        some = inputs[:64].reshape(*inputs[:64].shape[:2], *self.target.interface.input_shape[1:])
        try:
            said = self.answers(some)
        except Exception:  # a network that is fixed to one length, which may raise anything
            return True
        return np.array_equal(said.reshape(answers[:64].shape), answers[:64])

    def answers(self, inputs: Any) -> np.ndarray:
        """Answers of the network to inputs, as labels."""
        return self.decide(self.outputs(inputs))


def subject_of(network: Network, params: Any, target: Target) -> Subject:
    """A network, its point and its target, checked; a recurrent network without a cell is given the one of its trace.

    Raises:
        InputError: If the target is none, a weight is not finite, or the network does not fit the target.
    """
    if not isinstance(target, Target):
        raise InputError(
            f"target: expected an allroads.Target, which says what the network reads and answers; got {target!r}. Make "
            "one of a Python function: Target('mine', alphabet=2, length=10, function=f)."
        )
    if not isinstance(network, Network):
        raise InputError(
            f"network: expected an allroads.Network; got {network!r}. PyTorch, Flax and Equinox modules come in by "
            "from_torch, from_flax and from_equinox, a function by Network(init, apply)."
        )
    with float64():
        point = as_point(params, network=network)
    subject = Subject(network, point, target)
    few = subject.known[:2]
    try:
        with float64():
            outputs = jax.eval_shape(network.apply, point, few)
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"the network cannot read the inputs of target {target.name!r}: {reason(error)}") from error
    interface = target.interface
    if network.cell is None and (interface.per_position or target.alphabet is not None):
        with float64():
            cell = recurrent_cell(network, point, few)
        subject = replace(subject, network=replace(network, cell=cell))
    positions = interface.input_shape[:1] if interface.per_position else ()
    if outputs.shape != (len(few), *positions, interface.outputs):
        raise InputError(
            f"the network does not fit target {target.name!r}: it gives outputs {outputs.shape[1:]} per example, and "
            f"the target asks for {(*positions, interface.outputs)}."
        )
    return subject
