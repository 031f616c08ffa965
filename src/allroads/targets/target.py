"""A target: what there is to learn, with its known truth attached."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from allroads.errors import InputError
from allroads.targets.answers import read_answers
from allroads.targets.checks import boolean, numbers
from allroads.targets.evaluate import evaluate, fold
from allroads.targets.interface import Interface
from allroads.targets.mealy import STATE_CAP, minimal_mealy
from allroads.targets.pool import (
    Pool,
    Sampler,
    Sizes,
    given_pool,
    sampled_pool,
    sequence_pool,
)
from allroads.targets.probes import Probes, constant_baseline
from allroads.targets.symbols import decoded, encode, encode_answer, read_alphabet, symbol_values

if TYPE_CHECKING:
    from allroads.pfmap.losses import PerExampleLoss
    from allroads.pfmap.network import Network
    from allroads.pfmap.problem import Problem

_LARGEST_TABLE = 4096


@dataclass(frozen=True, eq=False, init=False, repr=False)
class Target:
    """What there is to learn: examples and a function that answers them, split into named sets of probes.

    The examples come from one of three places: ``inputs`` (an array), ``alphabet`` with ``length`` (sequences
    of symbols, all of them where there are at most 2^16, else drawn uniformly), or a ``sampler``. The answers
    come from one of three: ``labels`` (with ``inputs``), ``function``, or ``step`` with ``initial_state``.

    Networks see real numbers, or with an alphabet tokens (positions in the alphabet); functions see the
    symbols: a list of T symbols, or of T tuples where a position has several channels.

    ``function`` is called with the first example alone. If that works, it is a function of one example. If it
    raises, it is called with the whole batch and must give one answer per example. With ``vectorised`` you say
    which it is.

    Args:
        name: How reports call it; any text. It never becomes part of a path.
        inputs: Examples ``[N, ...]``, with an alphabet sequences of symbols ``[N, T]`` or ``[N, T, D]``.
        labels: Their answers.
        function: Python function of one example (or of a batch, see above).
        step: ``step(state, symbol) -> (state, output)``, one output a position; states are hashable.
        initial_state: State before the first symbol.
        held_out_inputs: Examples that are held out, where the caller has split them; then all ``inputs``
            train.
        held_out_labels: Their answers.
        sampler: ``sampler(rng, count) -> [count, ...]`` examples, ``rng`` a ``numpy.random.Generator``.
            Examples that were drawn before are dropped, so that training and held-out ones differ.
        alphabet: The symbols, or an integer v for ``0 … v − 1``; inputs then are sequences of symbols.
        length: Length T of the sequences, with an alphabet.
        channels: Number D of symbols at a position.
        output_alphabet: The possible outputs, where they are not 0, 1, 2, …; labels are positions in it.
        as_numbers: Give the network the symbols themselves as real numbers ``[N, T, D]``, and ask numbers of
            it.
        classes: Number of classes for ``cross_entropy``, default the largest label + 1.
        loss: ``"cross_entropy"``, ``"bce"`` or ``"mse"``; default by the labels: whole numbers are classes.
        per_position: Whether axis 1 of the labels runs over positions; default: for a step function, for
            classes ``[N, T]``, for numbers ``[N, T, C]``, and with an alphabet for ``[N, T]``.
        vectorised: Whether ``function`` takes a batch; default: found out by trying.
        complete: ``inputs`` are the whole domain; they then are the full probes.
        train_fraction: Share that trains, default 0.8; 1 holds nothing out. For examples that are not drawn.
        train_size: How many train, in place of the share; where examples are drawn, default 1024.
        held_out_size: How many are held out; default the rest, or 1024 where examples are drawn.
        seed: Decides what is drawn and how it is split.
        truth: What is known about the target, JSON-able. For step functions over an alphabet
            ``minimal_states`` and ``machine`` (the minimal Mealy machine) are added.

    Attributes:
        name, loss, step, initial_state, alphabet, output_alphabet: As above.
        interface: What a network must look like, an :class:`Interface`.
        function: Function of one example, also where the one handed in takes a batch; ``None`` where labels
            were given.
        train: Probes to train on.
        held_out: Probes held out, or ``None``. They share no example with ``train``, unless the caller made
            them so.
        full: Probes of the whole domain, in a fixed order, or ``None`` where it is unknown or large.
        baseline: ``train_accuracy``, ``train_loss``, ``held_out_accuracy``, ``held_out_loss``: the best that
            a constant answer reaches on that set (see ``answers.best_constant``); ``None`` where nothing is
            held out.

    Raises:
        InputError: If anything of it cannot be used; the message names what, and what to do.

    Example:
        >>> bits = [[0, 0], [0, 1], [1, 0], [1, 1]]
        >>> xor = Target("xor", inputs=bits, function=lambda x: int(x[0] != x[1]), train_fraction=1)
        >>> xor.train.labels.tolist(), xor.baseline["train_accuracy"], xor.interface.outputs
        ([0, 1, 1, 0], 0.5, 2)
        >>> parity = Target("parity", alphabet=2, length=5, step=lambda s, x: (s ^ x, s ^ x), initial_state=0)
        >>> len(parity.full), parity.interface.per_position, parity.truth["minimal_states"]
        (32, True, 2)
    """

    name: str
    loss: str
    interface: Interface
    train: Probes
    held_out: Probes | None
    full: Probes | None
    function: Callable[[Any], Any] | None
    step: Callable[[Any, Any], tuple[Any, Any]] | None
    initial_state: Any
    alphabet: tuple[Any, ...] | None
    output_alphabet: tuple[Any, ...] | None
    _baseline: Mapping[str, float | None]
    _truth: str

    def __init__(
        self,
        name: str,
        *,
        inputs: Any = None,
        labels: Any = None,
        function: Callable[[Any], Any] | None = None,
        step: Callable[[Any, Any], tuple[Any, Any]] | None = None,
        initial_state: Any = None,
        held_out_inputs: Any = None,
        held_out_labels: Any = None,
        sampler: Sampler | None = None,
        alphabet: Any = None,
        length: int | None = None,
        channels: int = 1,
        output_alphabet: Any = None,
        as_numbers: bool = False,
        classes: int | None = None,
        loss: str | None = None,
        per_position: bool | None = None,
        vectorised: bool | None = None,
        complete: bool = False,
        train_fraction: float | None = None,
        train_size: int | None = None,
        held_out_size: int | None = None,
        seed: int = 0,
        truth: Mapping[str, Any] | None = None,
    ):
        if not isinstance(name, str) or not name.strip():
            raise InputError(f"a target's name must be a text that is not empty, got {name!r}.")
        where = f"target {name!r}"
        symbols = None if alphabet is None else read_alphabet(f"{where}: alphabet", alphabet)
        answer_symbols = (
            None if output_alphabet is None else read_alphabet(f"{where}: output_alphabet", output_alphabet)
        )
        _check_answers_source(where, inputs, labels, held_out_inputs, held_out_labels, function, step)
        _check_as_numbers(where, boolean(f"{where}: as_numbers", as_numbers), symbols, answer_symbols)
        sizes = Sizes(train_fraction, train_size, held_out_size)
        if inputs is not None:
            if sampler is not None or length is not None:
                raise InputError(f"{where}: inputs are given, so sampler and length have no use; drop them.")
            complete = boolean(f"{where}: complete", complete)
            pool = given_pool(where, inputs, held_out_inputs, symbols, complete, sizes, seed)
        elif symbols is not None and length is not None:
            pool = sequence_pool(where, symbols, length, channels, sampler, sizes, seed)
        elif sampler is not None and symbols is None and length is None:
            pool = sampled_pool(where, sampler, sizes, seed)
        else:
            raise InputError(
                f"{where}: no examples; give inputs, or alphabet and length, or a sampler of real examples."
            )

        if step is not None:
            function, per_position = fold(step, initial_state), True
        if function is not None:
            labels, vectorised = evaluate(where, function, *decoded(pool.inputs, symbols), vectorised)
            if vectorised:
                function = _of_one(function)
            if answer_symbols is not None:
                labels = [encode_answer(where, answer_symbols, answer) for answer in labels]
        else:
            labels = _join_labels(where, pool, labels, held_out_labels)
            if answer_symbols is not None:
                labels = encode(f"{where}: labels", answer_symbols, labels)
        if answer_symbols is not None:
            loss, classes = loss or "cross_entropy", classes or len(answer_symbols)
        elif as_numbers:
            loss = loss or "mse"
        labels = numbers(f"{where}: labels", labels)
        positions = pool.inputs.shape[1]
        if per_position is None and symbols is not None and labels.shape[1:2] == (positions,):
            per_position = True
        answers = read_answers(where, labels, len(pool.inputs), positions, loss, classes, per_position)
        _check_varied(where, answers.labels, pool.train)

        known = dict(truth or {})
        if step is not None and symbols is not None and "minimal_states" not in known:
            known |= _machine_truth(step, initial_state, symbols, pool.inputs.shape[2:])
        seen = symbol_values(pool.inputs, symbols) if as_numbers and symbols is not None else pool.inputs
        sides = {
            "train": pool.train,
            "held_out": pool.held_out,
            "full": slice(None) if pool.whole else pool.train[:0],
        }
        probes = {side: Probes(seen[rows], answers.labels[rows]) for side, rows in sides.items()}
        fields = {
            "name": name,
            "loss": answers.loss,
            "interface": Interface(
                input_shape=tuple(seen.shape[1:]),
                outputs=answers.outputs,
                vocabulary=len(symbols) if symbols is not None and not as_numbers else None,
                per_position=answers.per_position,
            ),
            **{side: p if len(p) else None for side, p in probes.items()},
            "function": function,
            "step": step,
            "initial_state": initial_state,
            "alphabet": symbols,
            "output_alphabet": answer_symbols,
            "_baseline": constant_baseline(probes["train"], probes["held_out"], answers.loss),
            "_truth": _json(where, known),
        }
        for field, value in fields.items():
            object.__setattr__(self, field, value)

    @property
    def baseline(self) -> dict[str, float | None]:
        """What the best constant answer reaches on the training and on the held-out probes."""
        return dict(self._baseline)

    @property
    def truth(self) -> dict[str, Any]:
        """What is known about the target, JSON-able; a fresh copy each time."""
        known: dict[str, Any] = json.loads(self._truth)
        return known

    def problem(self, network: Network, loss: str | PerExampleLoss | None = None) -> Problem:
        """A network with the training probes and the target's loss, as most functions take it.

        Args:
            network: The network.
            loss: Another loss than the target's.

        Raises:
            InputError: If the network does not fit the target.

        Example:
            >>> from allroads.networks.build import build
            >>> xor = Target("xor", inputs=[[0, 0], [0, 1], [1, 0], [1, 1]], labels=[0, 1, 1, 0], train_fraction=1)
            >>> len(xor.problem(build("mlp", xor.interface)))
            4
        """
        return self._problem(network, loss, self.train)

    def held_out_problem(self, network: Network, loss: str | PerExampleLoss | None = None) -> Problem | None:
        """The same over the held-out probes; ``None`` where nothing is held out."""
        return None if self.held_out is None else self._problem(network, loss, self.held_out)

    def _problem(self, network: Network, loss: str | PerExampleLoss | None, probes: Probes) -> Problem:
        from allroads.pfmap.problem import Problem  # imports JAX

        return Problem(network, self.loss if loss is None else loss, probes.inputs, probes.labels)

    def fingerprint(self) -> str:
        """SHA-256, in hex, of all that decides the data: loss, interface and the three sets of probes.

        The name and the truth do not enter. Labels that come out of floating-point arithmetic may differ in
        the last bit between machines, and the fingerprint then differs too.

        Example:
            >>> a, b = (Target(n, alphabet=2, length=3, function=lambda x: x[0]) for n in "ab")
            >>> a.fingerprint() == b.fingerprint()
            True
        """
        digest = hashlib.sha256(f"allroads target 1 {self.loss} {self.interface}".encode())
        for side in (self.train, self.held_out, self.full):
            for array in () if side is None else (side.inputs, side.labels):
                little = array.astype(array.dtype.newbyteorder("<"), copy=False)
                digest.update(f"{little.dtype.str} {little.shape}".encode())
                digest.update(np.ascontiguousarray(little).data)
            digest.update(b"|")
        return digest.hexdigest()

    def __repr__(self) -> str:
        held_out = "none" if self.held_out is None else len(self.held_out)
        return f"Target({self.name!r}, {len(self.train)} to train, {held_out} held out, {self.loss})"


def _check_answers_source(
    where: str, inputs: Any, labels: Any, held_out_inputs: Any, held_out_labels: Any, function: Any, step: Any
) -> None:
    """Exactly one of labels, function and step; held-out labels exactly where they are needed."""
    given = [n for n, v in (("labels", labels), ("function", function), ("step", step)) if v is not None]
    if len(given) != 1:
        raise InputError(f"{where}: give exactly one of labels, function and step; got {', '.join(given) or 'none'}.")
    for name, value in (("function", function), ("step", step)):
        if value is not None and not callable(value):
            raise InputError(f"{where}: {name} must be a Python function, got {value!r}.")
    if labels is not None and inputs is None:
        raise InputError(f"{where}: labels need the inputs that they answer; give inputs too, or a function.")
    if held_out_inputs is not None and inputs is None:
        raise InputError(f"{where}: held_out_inputs need inputs to train on.")
    if (held_out_labels is not None) != (labels is not None and held_out_inputs is not None):
        raise InputError(f"{where}: held_out_labels go with labels and held_out_inputs; give all of them or none.")


def _check_as_numbers(
    where: str, as_numbers: bool, symbols: tuple[Any, ...] | None, answer_symbols: tuple[Any, ...] | None
) -> None:
    """``as_numbers`` needs an alphabet of numbers, and leaves no room for named answers."""
    if not as_numbers:
        return
    if answer_symbols is not None:
        raise InputError(f"{where}: as_numbers asks numbers of the network; drop output_alphabet.")
    if symbols is None or not all(isinstance(s, int | float) for s in symbols):
        raise InputError(f"{where}: as_numbers needs an alphabet of numbers; give one, or drop as_numbers.")


def _check_varied(where: str, labels: np.ndarray, train: np.ndarray) -> None:
    """There has to be something to learn."""
    for rows, cause in ((slice(None), "all"), (train, "all training")):
        some = labels[rows]
        if (some == some.flat[0]).all():
            remedy = "add examples of others" if cause == "all" else "use another seed or train on more examples"
            raise InputError(f"{where}: {cause} labels are {some.flat[0]}: one class only, nothing to learn; {remedy}.")


def _of_one(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The function of one example behind a function of a batch."""
    return lambda example: function(np.asarray(example)[None])[0]


def _join_labels(where: str, pool: Pool, labels: Any, held_out_labels: Any) -> Any:
    """One array of labels over the pool."""
    if held_out_labels is None:
        return labels
    both = []
    for what, given, rows in (
        ("labels", labels, pool.train),
        ("held_out_labels", held_out_labels, pool.held_out),
    ):
        array = np.asarray(given)
        if array.shape[:1] != (len(rows),):
            raise InputError(f"{where}: {what} have shape {array.shape} for {len(rows)} examples; give one an example.")
        both.append(array)
    if both[0].shape[1:] != both[1].shape[1:]:
        raise InputError(f"{where}: labels and held_out_labels have shapes {both[0].shape} and {both[1].shape}.")
    return np.concatenate(both)


def _machine_truth(
    step: Callable[[Any, Any], tuple[Any, Any]],
    initial_state: Any,
    symbols: tuple[Any, ...],
    channels: tuple[int, ...],
) -> dict[str, Any]:
    """Size of the minimal Mealy machine, and the machine itself where its table is small."""
    letters = list(itertools.product(symbols, repeat=channels[0])) if channels else symbols
    machine = minimal_mealy(step, initial_state, letters)
    if machine is None:
        return {"minimal_states": f"over {STATE_CAP}"}
    if machine.transitions.size > _LARGEST_TABLE:
        return {"minimal_states": machine.states}
    table = {"transitions": machine.transitions, "outputs": machine.outputs, "alphabet": machine.alphabet}
    return {"minimal_states": machine.states, "machine": table}


def _json(where: str, truth: Mapping[str, Any]) -> str:
    """The truth as JSON text; arrays become lists."""

    def plain(value: Any) -> Any:
        if isinstance(value, np.ndarray | np.generic):
            return value.tolist()
        raise TypeError(f"{type(value).__name__} is not JSON")

    try:
        return json.dumps(truth, allow_nan=False, default=plain)
    except (TypeError, ValueError) as error:
        raise InputError(f"{where}: truth must be JSON-able ({error}); use numbers, texts, lists and dicts.") from error
