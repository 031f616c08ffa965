"""Prequential description length: what it costs to transmit labels to a receiver who learns them along the way."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace

import jax
import numpy as np
from jaxtyping import Float
from scipy.special import gammaln, logsumexp

from allroads.checks import check_choice, check_count
from allroads.errors import InputError
from allroads.explorers.build import as_explorer
from allroads.explorers.explore import explore
from allroads.explorers.explorer import Explorer
from allroads.explorers.recording import Recording
from allroads.pfmap.inputs import choose
from allroads.pfmap.problem import Problem
from allroads.results import Measurement, finish
from allroads.status import DescriptionStatus

CODES = ("mixture", "last")


def prequential_length(
    problem: Problem,
    explorer: Explorer | str = "adam",
    members: int = 4,
    *,
    steps: int,
    orders: int = 4,
    blocks: int | Sequence[int] = 6,
    code: str = "mixture",
    records: int = 16,
    seed: int = 0,
    throw: bool = False,
) -> Measurement:
    """Prequential (online) description length, in bits: what labels cost a receiver who learns them block by block.

    The examples are put into a random order and cut into blocks that end at ``t₁ < … < t_S = n``. The first block costs
    log₂ of the number of classes per label. For block s + 1, a network is trained from its initialisation on the first
    t_s examples. The block costs ``−log₂`` of the probability that this network gives it. Both sides know network,
    explorer and inputs. A penalty of the problem is part of the training, not of the code.

    - ``code="last"``: the network after the last step predicts. Trained past fitting it is overconfident, and random
      labels cost far more than the uniform code.
    - ``code="mixture"``: the recorded steps of the run and the uniform code each give a block a probability; it has the
      mean of them. So it costs at most log₂(records + 1) bits more than the best of these. This is early stopping
      without held-out data, and never much worse than uniform.

    Invariance to rescaling: no point goes in, so there is nothing to rescale; rescaling the *initialisation* changes
    how the network learns, and so the length.

    Args:
        problem: Network, loss and examples. The loss is ``"cross_entropy"`` or ``"bce"`` with labels 0 and 1, without
            weights or ignored labels: others are no lengths of codes. The network's ``init`` draws each start.
        explorer: An :class:`~allroads.explorers.explorer.Explorer` or the name of one. Default ``"adam"``.
        members: Runs per order, each from its own start.
        steps: Steps of the explorer per block.
        orders: Orders of the examples.
        blocks: How many, default 6: each after the second is twice as long as the one before, so
            ``t_s = n / 2^{S−s}``, rounded. Or the ends themselves, increasing to n.
        code: ``"mixture"`` or ``"last"``.
        records: Steps that the mixture is over, at most, evenly in log(1 + step).
        seed: Decides the orders and all that a run draws.
        throw: Raise an error in place of a result whose status is not sound.

    Returns:
        A :class:`~allroads.Measurement` in bits, the mean over orders and members; ``error`` is the standard error over
        orders, ``None`` for one. ``stats``: ``bits`` ``[orders, members]``, ``block_bits`` ``[S]`` (means), ``ends``,
        ``order`` ``[orders, n]``, ``uniform`` (bits of all labels by the uniform code), ``frequencies`` (of the labels
        by their frequencies alone, by the Krichevsky–Trofimov code), ``diverged`` (runs that did), ``code``,
        ``convention``. Status ``diverged`` where a run did: the length is still one of a code, with the last finite
        point predicting.

    Raises:
        InputError: If the loss is no code, or labels are no classes or have weights. If there are more blocks than
            examples, or a batch is larger than the first block. Also as :func:`allroads.explore`.
        UnknownNameError: If there is no such code.
        MeasurementError: With ``throw``, where a run diverged.

    When it fails: it is an upper bound on the information in the labels, for this way of learning; a better explorer
    makes it shorter. Few examples leave most labels in the first, uniform blocks. Each block compiles once for its
    number of examples.

    References:
        [dawid1984, blier2018, krichevsky1981]

    Example:
        A network that says nothing, and is not trained, costs one bit per label:

        >>> import jax.numpy as jnp
        >>> from allroads import Network
        >>> silent = Network(lambda key: jnp.zeros(1), lambda w, x: x * w)
        >>> problem = Problem(silent, "bce", np.ones((8, 1)), np.array([0, 1, 1, 0, 1, 0, 0, 1]))
        >>> round(prequential_length(problem, "gd", steps=0, blocks=2).value, 5)
        8.0
    """
    check_choice("code", code, CODES)
    check_count("members", members)
    check_count("orders", orders)
    explorer = as_explorer(explorer)
    per_example, classes = _alphabet(problem)
    ends = block_ends(len(problem), blocks)
    if explorer.batch_size is not None and explorer.batch_size > ends[0]:
        raise InputError(
            f"the first block has {ends[0]} of {len(problem)} examples, fewer than batch_size {explorer.batch_size} of "
            f"explorer {explorer.name!r}. Make the batch smaller, or take fewer blocks."
        )
    order = np.stack([np.random.default_rng([seed, index]).permutation(len(problem)) for index in range(orders)])
    uniform = per_example * math.log2(classes)
    nats = np.full((orders, members, len(ends)), ends[0] * uniform * math.log(2))
    diverged = 0
    bare = replace(problem, weight_decay=0.0, regulariser=None)
    recording = Recording(records=records, checkpoints=2)
    for block, (end, following) in enumerate(itertools.pairwise(ends), start=1):
        for index, chosen in enumerate(order):
            run = explore(
                _part(problem, chosen[:end]),
                explorer,
                range(index * members, (index + 1) * members),
                steps=steps,
                seed=seed,
                held_out=_part(bare, chosen[end:following]),
                probes=choose(problem.inputs, slice(1)),
                record=recording,
            )
            size = (following - end) * per_example
            losses = np.asarray(run.curves["held_out_loss"], np.float64) * size
            nats[index, :, block] = _block(losses, size * math.log(classes), code)
            diverged += sum(status != "ok" for status in run.statuses)
    bits = nats / math.log(2)
    totals = bits.sum(axis=2)
    finite = np.isfinite(totals).all()
    error = float(totals.mean(axis=1).std(ddof=1) / math.sqrt(orders)) if orders > 1 and finite else None
    stats = {
        "bits": totals,
        "block_bits": bits.mean(axis=(0, 1)),
        "ends": ends,
        "order": order,
        "uniform": len(problem) * uniform,
        "frequencies": _frequencies(problem, classes),
        "diverged": diverged,
        "code": code,
        "convention": f"bits of the labels given the inputs, block by block, by the {code} of the steps trained",
    }
    status = DescriptionStatus.OK if finite and not diverged else DescriptionStatus.DIVERGED
    return finish(Measurement(float(totals.mean()), error, status, stats), throw)


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


def _block(losses: Float[np.ndarray, "members steps"], uniform: float, code: str) -> np.ndarray:
    """Nats of one block for each member, from its nats at each recorded step ``[M, T]``."""
    losses = np.where(np.isfinite(losses), losses, np.inf)
    if code == "last":
        return losses[:, -1]
    terms = np.concatenate([losses, np.full((len(losses), 1), uniform)], axis=1)
    mixed: np.ndarray = math.log(terms.shape[1]) - logsumexp(-terms, axis=1)
    return mixed


def _part(problem: Problem, chosen: np.ndarray) -> Problem:
    """The problem over some of its examples."""
    return problem.on(choose(problem.inputs, chosen), problem.labels[chosen])


def _alphabet(problem: Problem) -> tuple[int, int]:
    """Labels per example and classes per label; refuses what is no code of the labels."""
    if problem.loss not in ("bce", "cross_entropy"):
        raise InputError(
            f"loss {problem.loss!r} is no length of a code: only a log-loss says how many bits a label costs. Use "
            "'cross_entropy' or 'bce'."
        )
    if problem.weights is not None:
        raise InputError("prequential_length: every label is sent once; drop weights, class_weights and ignore.")
    drawn = jax.eval_shape(problem.network.init, jax.random.key(0))
    outputs = jax.eval_shape(problem.network.apply, drawn, problem.data.inputs)
    if problem.loss == "cross_entropy":
        return math.prod(outputs.shape[1:-1]), int(outputs.shape[-1])
    if not np.isin(problem.labels, (0, 1)).all():
        raise InputError("labels: 'bce' codes zeros and ones; got other values. Make each label a bit.")
    return math.prod(outputs.shape[1:]), 2


def _frequencies(problem: Problem, classes: int) -> float:
    """Bits of the labels by the Krichevsky–Trofimov code; the outputs of ``bce`` are coded each on its own."""
    labels = problem.labels
    columns = labels.reshape(len(labels), -1).T if problem.loss == "bce" else [labels.ravel()]
    counts = np.array([np.bincount(np.asarray(column, int), minlength=classes) for column in columns])
    total = counts.sum(axis=1)
    nats = (gammaln(total + classes / 2) - gammaln(classes / 2)).sum() - (gammaln(counts + 0.5) - gammaln(0.5)).sum()
    return float(nats / math.log(2))
