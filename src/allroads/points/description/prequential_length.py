"""Prequential description length: what it costs to transmit labels to a receiver who learns them along the way."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import gammaln, logsumexp

from allroads.errors import InputError, UnknownNameError
from allroads.explorers.build import build_explorer
from allroads.explorers.explore import explore
from allroads.explorers.explorer import Explorer
from allroads.pfmap.losses import bce, cross_entropy
from allroads.pfmap.network import Network
from allroads.results import Measurement
from allroads.status import DescriptionStatus

CODES = ("mixture", "last")


def prequential_length(
    network: Network,
    loss: str | Callable[[Any, Any], Any],
    inputs: Any,
    labels: Any,
    explorer: Explorer | str = "adam",
    members: int = 4,
    *,
    steps: int,
    orders: int = 4,
    blocks: int | Sequence[int] = 6,
    code: str = "mixture",
    records: int = 16,
    seed: int = 0,
) -> Measurement:
    """Prequential (online) description length, in bits: what labels cost a receiver who learns them block by block.

    The examples are put into a random order and cut into blocks that end at ``t₁ < … < t_S = n``. The first block costs
    log₂ of the number of classes a label; block s + 1 costs ``−log₂`` of the probability that a network gives it which
    was trained from its initialisation on the first t_s examples. Both sides know network, explorer and inputs.

    - ``code="last"``: the network after the last step predicts. Trained past fitting it is overconfident, and random
      labels cost far more than the uniform code.
    - ``code="mixture"``: a block has the mean of the probabilities that the recorded steps of the run and the uniform
      code give it, so it costs at most log₂(records + 1) bits more than the best of these: early stopping without
      held-out data, and never much worse than uniform.

    Invariance to rescaling: no point goes in, so there is nothing to rescale; rescaling the *initialisation* changes
    how the network learns, and so the length.

    Args:
        network: The network; its ``init`` draws each start.
        loss: ``"cross_entropy"`` or ``"bce"``: other losses are no lengths of codes.
        inputs: ``[n, …]``.
        labels: Classes ``[n]`` or ``[n, T]``, or zeros and ones ``[n, C]``.
        explorer: An :class:`~allroads.explorers.explorer.Explorer` or the name of one. Default ``"adam"``.
        members: Runs of an order, in one pack, each from its own start.
        steps: Steps of the explorer a block.
        orders: Orders of the examples.
        blocks: How many, default 6: each after the second is twice as long as the one before, so
            ``t_s = n / 2^{S−s}``, rounded. Or the ends themselves, increasing to n.
        code: ``"mixture"`` or ``"last"``.
        records: Steps that the mixture is over, at most, evenly in log(1 + step).
        seed: Decides the orders and all that a run draws.

    Returns:
        A :class:`~allroads.Measurement` in bits, the mean over orders and members; ``error`` is the standard error over
        orders, ``None`` for one. ``stats``: ``bits`` ``[orders, members]``, ``block_bits`` ``[S]`` (means), ``ends``,
        ``order`` ``[orders, n]``, ``uniform`` (bits of all labels by the uniform code), ``frequencies`` (of the labels
        by their frequencies alone, by the Krichevsky–Trofimov code), ``diverged`` (runs that did), ``code``,
        ``convention``. Status ``diverged`` where a run did: the length is still one of a code, with the last finite
        point predicting.

    Raises:
        InputError: If the loss is no code, labels are no classes, there are more blocks than examples, a batch is
            larger than the first block, or as :func:`allroads.explore`.
        UnknownNameError: If there is no such code.

    When it fails: it is an upper bound on the information in the labels, for this way of learning; a better explorer
    makes it shorter. Few examples leave most labels in the first, uniform blocks. Each block compiles once for its
    number of examples.

    References:
        [dawid1984, blier2018, krichevsky1981]

    Example:
        A network that says nothing, and is not trained, costs one bit a label:

        >>> import jax.numpy as jnp
        >>> silent = Network(lambda key: jnp.zeros(1), lambda w, x: x * w)
        >>> data = jnp.ones((8, 1)), jnp.array([0, 1, 1, 0, 1, 0, 0, 1])
        >>> round(prequential_length(silent, "bce", *data, "gd", steps=0, blocks=2), 5)
        8.0
    """
    if code not in CODES:
        raise UnknownNameError("code", code, CODES)
    for name, value in (("members", members), ("orders", orders)):
        if not isinstance(value, int) or value < 1:
            raise InputError(f"{name} must be a whole number ≥ 1; got {value!r}.")
    explorer = build_explorer(explorer) if isinstance(explorer, str) else explorer
    inputs, labels = np.asarray(inputs), np.asarray(labels)
    per_example, classes = _alphabet(network, loss, inputs, labels)
    ends = block_ends(len(inputs), blocks)
    if explorer.batch_size is not None and explorer.batch_size > ends[0]:
        raise InputError(
            f"the first block has {ends[0]} of {len(inputs)} examples, fewer than batch_size {explorer.batch_size} of "
            f"explorer {explorer.name!r}. Make the batch smaller, or take fewer blocks."
        )
    order = np.stack([np.random.default_rng([seed, index]).permutation(len(inputs)) for index in range(orders)])
    uniform = per_example * math.log2(classes)
    nats = np.full((orders, members, len(ends)), ends[0] * uniform * math.log(2))
    diverged = 0
    for block, (end, following) in enumerate(itertools.pairwise(ends), start=1):
        for index, chosen in enumerate(order):
            run = explore(
                network,
                loss,
                inputs[chosen[:end]],
                labels[chosen[:end]],
                explorer,
                range(index * members, (index + 1) * members),
                steps=steps,
                seed=seed,
                held_out=(inputs[chosen[end:following]], labels[chosen[end:following]]),
                probes=inputs[:1],
                records=records,
                checkpoints=2,
            )
            size = (following - end) * per_example
            losses = np.asarray(run.curves["held_out_loss"], np.float64) * size
            nats[index, :, block] = _block(losses, size * math.log(classes), code)
            diverged += sum(status != DescriptionStatus.OK for status in run.status)
    bits = nats / math.log(2)
    totals = bits.sum(axis=2)
    finite = np.isfinite(totals).all()
    error = float(totals.mean(axis=1).std(ddof=1) / math.sqrt(orders)) if orders > 1 and finite else None
    stats = {
        "bits": totals,
        "block_bits": bits.mean(axis=(0, 1)),
        "ends": ends,
        "order": order,
        "uniform": len(inputs) * uniform,
        "frequencies": _frequencies(labels, loss, classes),
        "diverged": diverged,
        "code": code,
        "convention": f"bits of the labels given the inputs, block by block, by the {code} of the steps trained",
    }
    status = DescriptionStatus.OK if finite and not diverged else DescriptionStatus.DIVERGED
    return Measurement(float(totals.mean()), error, status, stats)


def block_ends(examples: int, blocks: int | Sequence[int]) -> tuple[int, ...]:
    """Where blocks end.

    Args:
        examples: n.
        blocks: How many, doubling; or the ends themselves.

    Raises:
        InputError: If there are more blocks than examples can be cut into, or ends that do not increase to n.

    Example:
        >>> block_ends(100, 4), block_ends(10, [2, 10])
        ((12, 25, 50, 100), (2, 10))
    """
    if isinstance(blocks, int):
        most = examples.bit_length()
        if not 1 <= blocks <= most:
            raise InputError(
                f"blocks: {examples} examples make 1 to {most} doubling blocks; got {blocks}. Take fewer, give the "
                "ends yourself, or more examples."
            )
        return tuple(examples >> (blocks - s) for s in range(1, blocks + 1))
    ends = [int(end) for end in blocks]
    if not ends or ends[0] < 1 or ends[-1] != examples or any(b <= a for a, b in itertools.pairwise(ends)):
        raise InputError(
            f"blocks: expected ends that increase from at least 1 to {examples}, the examples; got {ends}."
        )
    return tuple(ends)


def _block(losses: np.ndarray, uniform: float, code: str) -> np.ndarray:
    """Nats of one block for each member, from its nats at each recorded step ``[M, T]``."""
    losses = np.where(np.isfinite(losses), losses, np.inf)
    if code == "last":
        return losses[:, -1]
    terms = np.concatenate([losses, np.full((len(losses), 1), uniform)], axis=1)
    return math.log(terms.shape[1]) - logsumexp(-terms, axis=1)


def _alphabet(network: Network, loss: Any, inputs: np.ndarray, labels: np.ndarray) -> tuple[int, int]:
    """Labels an example and classes a label; refuses what is no code of the labels."""
    if inputs.ndim == 0 or len(inputs) == 0:
        raise InputError(f"inputs have shape {inputs.shape}; expected at least one example. Pass training data.")
    if labels.shape[:1] != inputs.shape[:1]:
        raise InputError(f"{len(inputs)} inputs but labels of shape {labels.shape}; expected one label an input.")
    outputs = jax.eval_shape(network.apply, jax.eval_shape(network.init, jax.random.key(0)), jnp.asarray(inputs))
    if loss == "bce" or loss is bce:
        if not np.isin(labels, (0, 1)).all():
            raise InputError("labels: 'bce' codes zeros and ones; got other values. Make each label a bit.")
        return math.prod(outputs.shape[1:]), 2
    if loss == "cross_entropy" or loss is cross_entropy:
        classes = outputs.shape[-1]
        if labels.dtype.kind not in "iub" or labels.min() < 0 or labels.max() >= classes:
            raise InputError(
                f"labels: expected integer classes 0 … {classes - 1}; network {network.name!r} has {classes} outputs."
            )
        return math.prod(outputs.shape[1:-1]), classes
    raise InputError(
        f"loss {loss!r} is no length of a code: only a log-loss says how many bits a label costs. Use "
        "'cross_entropy' or 'bce'."
    )


def _frequencies(labels: np.ndarray, loss: Any, classes: int) -> float:
    """Bits of the labels by the Krichevsky–Trofimov code; the outputs of ``bce`` are coded each on its own."""
    columns = labels.reshape(len(labels), -1).T if loss == "bce" or loss is bce else [labels.ravel()]
    counts = np.array([np.bincount(np.asarray(column, int), minlength=classes) for column in columns])
    total = counts.sum(axis=1)
    nats = (gammaln(total + classes / 2) - gammaln(classes / 2)).sum() - (gammaln(counts + 0.5) - gammaln(0.5)).sum()
    return float(nats / math.log(2))
