"""Convergence: what independent runs have in common, as functions, representations, programs and points."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from allroads.budget import budgeted
from allroads.checks import check_choice, check_count, check_number
from allroads.errors import InputError
from allroads.paths.agreement import answers
from allroads.paths.align.align import METHODS
from allroads.paths.convergence.answers import AGREEMENT, answer_codes
from allroads.paths.convergence.comparison import LEAST, Comparison, check_memory
from allroads.paths.convergence.disagreement import Disagreement, disagreement
from allroads.paths.convergence.layers import chosen_layers, representations
from allroads.paths.convergence.measures import MEASURES, chosen_measures, in_order
from allroads.paths.convergence.members import as_members, member
from allroads.paths.convergence.points import PointPairs, point_pairs
from allroads.paths.convergence.reached import Reached, reached
from allroads.paths.convergence.resemblance import compare_all, worst
from allroads.paths.convergence.tables import PairTable, Trial, pair_table
from allroads.pfmap.inputs import choose, number_of_examples, read_inputs
from allroads.pfmap.losses import PerExampleLoss, loss_name, resolve_loss
from allroads.pfmap.network import Network, Params
from allroads.pfmap.problem import Problem
from allroads.results import Result, finish
from allroads.status import ConvergenceStatus, Status


@dataclass(frozen=True, eq=False, repr=False)
class Convergence(Result):
    """What members have in common.

    Args:
        agreement: Share of inputs that two members answer alike, for all pairs, beside its null.
        disagreement: Expected disagreement of two members, beside their error where labels were given; ``None`` for a
            population of one.
        functions: Which functions on the inputs the members reach; ``None`` for a population of one.
        representations: For each layer, for each measure, a :class:`PairTable`. The layer of a pair of populations is
            named ``"layer | layer of the other"`` where their names differ.
        programs: Which programs they reach; ``None`` where none were given.
        points: Distances and barriers modulo symmetry; ``None`` where not asked for.
        inputs: Number of inputs.
        ended: ``"budget"`` or ``"interrupted"`` where one of these came first, else ``None``.
        status: ``ok``, or the worst of the parts' statuses.
    """

    agreement: PairTable
    disagreement: Disagreement | None
    functions: Reached | None
    representations: Mapping[str, Mapping[str, PairTable]]
    programs: Reached | None
    points: PointPairs | None
    inputs: int
    ended: str | None
    status: Status

    @property
    def value(self) -> float:
        """Mean agreement of functions over pairs."""
        return self.agreement.mean.value

    @property
    def error(self) -> float | None:
        """Its half-width for members drawn from a larger set; infinite with two members."""
        return self.agreement.mean.error

    @property
    def stats(self) -> dict[str, Any]:
        """Number of functions reached, inputs, and the share of pairs beyond the null by layer and measure."""
        beyond = {
            f"{layer}: {name}": table.share
            for layer, named in sorted(self.representations.items())
            for name, table in in_order(named).items()
        }
        functions = None if self.functions is None else len(self.functions.counts)
        return {"functions": functions, "inputs": self.inputs, "ended": self.ended, "beyond": beyond}

    def __repr__(self) -> str:
        functions = "" if self.functions is None else f", {len(self.functions.counts)} functions"
        beyond = ", ".join(f"{name}={share:.3g}" for name, share in self.stats["beyond"].items())
        text = f"Convergence(agreement={self.value:.4g}{functions}, beyond={{{beyond}}}, status={self.status.value})"
        return text if len(text) < 500 else f"{text[:497]}…)"

    def __str__(self) -> str:
        return self.describe()

    def describe(self) -> str:
        """What was found, in a few lines; ``print`` shows them."""
        lines = [self.agreement.describe()]
        if self.disagreement is not None and self.disagreement.mistaken is not None:
            expected, mistaken = self.disagreement.expected, self.disagreement.mistaken
            lines.append(
                f"disagreement {expected.value:.3g} ± {expected.error:.2g} beside an error of {mistaken.value:.3g} ± "
                f"{mistaken.error:.2g}"
            )
        if self.functions is not None:
            lines.append(f"functions: {self.functions.describe()}")
        for layer, named in sorted(self.representations.items()):
            lines += [f"{layer}, {table.describe()}" for table in in_order(named).values()]
        if self.programs is not None:
            lines.append(f"programs: {self.programs.describe()}")
        if self.points is not None:
            lines.append(f"points: {self.points.describe()}")
        return "\n".join(lines)


@dataclass(frozen=True)
class _Seen:
    """What a population does on the inputs.

    Args:
        members: Its points.
        outputs: ``[M, n, …]``.
        layers: ``{name: [M, n, d]}``.
        finite: Members whose outputs are finite, ``[M]``.
    """

    members: Params
    outputs: np.ndarray
    layers: dict[str, np.ndarray]
    finite: np.ndarray


def convergence(
    network: Network,
    population: Any,
    inputs: Any,
    *,
    loss: str | PerExampleLoss | None = None,
    labels: Any | None = None,
    other: Any | None = None,
    other_network: Network | None = None,
    layers: Sequence[str] | str | None = None,
    other_layers: Sequence[str] | str | None = None,
    measures: Sequence[str] | str = MEASURES,
    k: int | None = None,
    programs: Sequence[Hashable] | None = None,
    align: str | None = None,
    permutations: int | None = None,
    level: float = 0.05,
    seed: int = 0,
    budget: float | None = None,
    progress: bool = True,
    throw: bool = False,
) -> Convergence:
    """Whether independent runs end alike: as functions, as representations, as programs, as points modulo symmetry.

    Every measure of a pair is held against a permutation null: what it gives when the inputs of one member are
    shuffled. A pair is beyond the null where its p-value, corrected by Holm for the number of pairs, is at most
    ``level``. For members whose inputs have nothing to do with each other, any pair of a table is so with probability
    ``level`` at most.

    Args:
        network: The network of the population.
        population: Points along a leading member axis, such as ``Trajectory.ends()``, or a list of points: two or more.
        inputs: ``[n, …]``, four or more; functions and representations are compared on them. Held-out ones say more.
        loss: How outputs answer: ``"cross_entropy"`` by the largest score, ``"bce"`` by the sign, else the nearest
            integer. It is needed where there is one output; with several it is ``"cross_entropy"`` by default.
        labels: What is right on the inputs. Gives the error beside the disagreement, and barriers with ``align``.
        other: A second population, such as untrained members or another width: pairs are then one of each.
        other_network: Its network, if another.
        layers: Names of layers, see ``allroads.paths.convergence.hidden_layers``: a layer is named by the weight that
            reads it. ``"outputs"`` are the network's own. Default the last hidden layer, or the outputs where there is
            none.
        other_layers: Those of the other network, as many; default ``layers``, or its last hidden one.
        measures: ``"cka"`` (debiased), ``"procrustes"`` (an angle), ``"neighbours"`` (mutual), ``"rsa"``,
            ``"stitching"`` (from the row to the column); default all.
        k: Neighbours; default 10, or a quarter of fewer than 40 inputs.
        programs: One hashable label per member, such as a program's canonical source.
        align: A method of :func:`~allroads.align`: points are then compared modulo symmetry. Default not.
        permutations: Default as many as the correction needs, at least 199; they grow with the number of pairs.
        level: Of ``beyond``; default 0.05.
        seed: Of the order of the inputs, the permutations and the alignment.
        budget: Seconds that the call may take. Where it ends first, p-values rest on fewer permutations and some pairs
            are not aligned; the status is ``not converged``. So does Ctrl-C.
        progress: Whether a bar, or a line every ten seconds, tells what is being done.
        throw: Raise a :class:`~allroads.MeasurementError` where the status is not ``ok``.

    Returns:
        A :class:`Convergence`; ``print`` shows it in a few lines.

    Raises:
        InputError: If members are too few or of different shapes; if inputs are fewer than four or too many for 4 GB;
            if ``k`` is n or more, labels or programs do not fit, or an option is out of range.
        UnknownNameError: If there is no such layer, measure, loss or method.

    When it fails: all members see the same inputs, so that untrained networks have representations beyond the null too.
    Read the excess beside that of untrained members. Time and memory grow as n² and with the square of the members;
    the angle needs a singular value decomposition for each permutation.

    References:
        [kornblith2019], [williams2021], [huh2024], [kriegeskorte2008], [bansal2021], [jiang2022], [holm1979]

    Example:
        A network and a copy with its hidden units in another order are the same function with the same representation:

        >>> from allroads.networks.mlp import mlp
        >>> network = mlp((4,), 3, widths=(6,))
        >>> point = network.init(jax.random.key(0))
        >>> hidden, last = point["layers"]
        >>> moved = {"layers": [{"weight": hidden["weight"][:, ::-1], "bias": hidden["bias"][::-1]},
        ...                     {"weight": last["weight"][::-1], "bias": last["bias"]}]}
        >>> inputs = np.random.default_rng(0).normal(size=(40, 4))
        >>> found = convergence(network, [point, moved], inputs)
        >>> similar = found.representations["layers/1/weight"]["cka"].values[0, 1]
        >>> found.functions.counts.tolist(), float(similar.round(4))
        ([2], 1.0)
    """
    with budgeted("convergence", budget, progress) as clock:
        inputs = read_inputs(inputs)
        n = number_of_examples(inputs)
        comparisons = _checked(n, measures, k, permutations, level, seed, align)
        if other is None and (other_network is not None or other_layers is not None):
            raise InputError("other_network and other_layers: they go with a second population; give other as well.")
        mine = as_members(network, population, "population", 2 if other is None else 1)
        count = len(jax.tree.leaves(mine)[0])
        labelled = None if programs is None else _checked_programs(programs, count)
        second = other_network or network
        theirs = None if other is None else as_members(second, other, "other", 1)
        for checked in {id(one): one for one in (network, second)}.values():
            if checked.check is not None:
                checked.check(inputs)
        check_memory(n, count if theirs is None else count + len(jax.tree.leaves(theirs)[0]))
        clock.say("activations")
        pairs_of_layers = _layers(network, mine, second, theirs, inputs, layers, other_layers)
        here = _seen(network, mine, inputs, {name: path for (name, path), _ in pairs_of_layers})
        there = None
        if theirs is not None:
            there = _seen(second, theirs, inputs, {name: path for _, (name, path) in pairs_of_layers})
        loss = _checked_loss(loss, here, there)
        problem = None if labels is None else Problem(network, loss, inputs, labels)
        rng = np.random.default_rng(seed)
        order = rng.permutation(n)
        codes, right = _codes(here, there, loss, problem)
        points = None
        if align is not None:
            first, others = _points(mine), None if theirs is None else _points(theirs)
            half = clock.spent + clock.left / 2
            given = network, first, others, inputs, problem
            points = point_pairs(*given, method=align, seed=seed, clock=clock, until=half)
        trial = Trial(permutations, level, rng, clock)
        parts = 1 + len(pairs_of_layers) * len(comparisons)
        until = clock.spent + clock.left / parts
        against = None if there is None else list(codes[1][:, order])
        mine_said = list(codes[0][:, order])
        agreement = pair_table(AGREEMENT, mine_said, against, trial, until=until, usable=lambda x: True)
        tables: dict[str, Mapping[str, PairTable]] = {}
        for number, ((name, _), (other_name, _)) in enumerate(pairs_of_layers):
            key = name if name == other_name else f"{name} | {other_name}"
            until = clock.spent + clock.left / (len(pairs_of_layers) - number)
            against = None if there is None else list(there.layers[other_name][:, order])
            tables[key] = compare_all(comparisons, list(here.layers[name][:, order]), against, trial, until)
        status = worst(
            agreement.status,
            *(table.status for named in tables.values() for table in named.values()),
            *([] if points is None else [points.status]),
        )
        finite = codes[0][here.finite]
        found = Convergence(
            agreement=agreement,
            disagreement=disagreement(finite, right) if len(finite) > 1 else None,
            functions=reached([row.tobytes() for row in finite]) if len(finite) > 1 else None,
            representations=tables,
            programs=None if labelled is None else reached(labelled),
            points=points,
            inputs=n,
            ended=clock.ended or ("budget" if status is ConvergenceStatus.NOT_CONVERGED else None),
            status=status,
        )
        return finish(found, throw)


def _checked(
    n: int,
    measures: Sequence[str] | str,
    k: int | None,
    permutations: int | None,
    level: float,
    seed: int,
    align: str | None,
) -> list[Comparison]:
    """Refuse options that cannot be used."""
    check_count("seed", seed, 0)
    check_count("permutations", permutations, absent=True)
    check_number("level", level, 0, 1, open_low=True)
    if align is not None:
        check_choice("alignment method", align, METHODS)
    if n < LEAST:
        raise InputError(f"inputs: got {n}; expected {LEAST} or more, on which members can be told apart.")
    return chosen_measures(measures, k, n)


def _checked_programs(programs: Sequence[Hashable], members: int) -> list[Hashable]:
    labelled = list(programs)
    if len(labelled) != members or members < 2:
        raise InputError(
            f"programs: got {len(labelled)} for {members} members; expected one hashable label per member, of two or "
            "more."
        )
    return labelled


def _layers(
    network: Network,
    mine: Params,
    second: Network,
    theirs: Params | None,
    inputs: Any,
    layers: Sequence[str] | str | None,
    other_layers: Sequence[str] | str | None,
) -> list[tuple[tuple[str, str], tuple[str, str]]]:
    """The layers that are compared with each other, each with its place; within a population with themselves."""
    one = choose(inputs, slice(1))
    chosen = list(chosen_layers(network, member(mine, 0), one, layers).items())
    if theirs is None:
        return [(layer, layer) for layer in chosen]
    asked = layers if other_layers is None else other_layers
    against = list(chosen_layers(second, member(theirs, 0), one, asked).items())
    if len(chosen) != len(against):
        raise InputError(
            f"layers: {len(chosen)} are to be compared with {len(against)} of the other network; expected as many."
        )
    return list(zip(chosen, against, strict=True))


def _seen(network: Network, members: Params, inputs: Any, paths: Mapping[str, str]) -> _Seen:
    outputs, layers = representations(network, members, inputs, paths)
    finite = np.asarray(np.isfinite(outputs).reshape(len(outputs), -1).all(axis=1))
    return _Seen(members, outputs, layers, finite)


def _checked_loss(loss: str | PerExampleLoss | None, here: _Seen, there: _Seen | None) -> str | PerExampleLoss:
    """How outputs answer; refuses outputs that would all give one answer, and those of another task."""
    if there is not None and here.outputs.shape[1:] != there.outputs.shape[1:]:
        raise InputError(
            f"the networks give outputs of shapes {here.outputs.shape[1:]} and {there.outputs.shape[1:]} on these "
            "inputs; expected the same, so that their answers can be compared."
        )
    if here.outputs.ndim < 3:
        raise InputError(
            f"outputs of shape {here.outputs.shape[1:]}; expected [n, C]. Give each input an axis of outputs."
        )
    resolved = resolve_loss("cross_entropy" if loss is None else loss)
    name: str | PerExampleLoss = loss_name(resolved) or resolved
    if name == "cross_entropy" and here.outputs.shape[-1] == 1:
        raise InputError(
            "loss: the network has one output, which is no choice between classes. Say how it answers: 'bce' for a "
            "logit, 'mse' for the nearest integer."
        )
    return name


def _codes(
    here: _Seen, there: _Seen | None, loss: str | PerExampleLoss, problem: Problem | None
) -> tuple[list[np.ndarray], np.ndarray | None]:
    """Answers as numbers that are equal where they are, NaN for members that are not finite; and the right ones."""
    sides = [here] if there is None else [here, there]
    said = [answers(np.nan_to_num(side.outputs), loss) for side in sides]
    if problem is not None:
        labels = np.asarray(problem.labels)
        if loss != "cross_entropy":
            labels = labels.reshape(here.outputs.shape[1:])
            labels = (labels > 0.5).astype(int) if loss == "bce" else np.rint(labels).astype(int)
        said.append(labels[None])
    codes = answer_codes(*said)
    numbers = [np.where(side.finite[:, None], part, np.nan) for side, part in zip(sides, codes, strict=False)]
    return numbers, None if problem is None else codes[-1][0].astype(float)


def _points(members: Params) -> list[Params]:
    return [member(members, at) for at in range(len(jax.tree.leaves(members)[0]))]
