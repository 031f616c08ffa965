"""What a population of runs leaves behind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import numpy as np

from allroads.errors import InputError
from allroads.explorers.checkpoints import read_checkpoints
from allroads.explorers.observe import Observed, Observer, as_probes, held_out_problem, observer
from allroads.pfmap.network import Network, Params
from allroads.pfmap.objective import Objective
from allroads.pfmap.problem import Problem
from allroads.results import Result
from allroads.status import RunStatus


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class Cost:
    """What moving has cost each member, ``[M]``; recording is not counted.

    Args:
        gradients: Gradients of a batch evaluated.
        forwards: Forward passes over a batch outside gradients.
        gradient_examples: Examples that went through a gradient.
        forward_examples: Examples that went through a forward pass outside gradients.
    """

    gradients: np.ndarray
    forwards: np.ndarray
    gradient_examples: np.ndarray
    forward_examples: np.ndarray

    @property
    def examples(self) -> np.ndarray:
        """Examples that went through either."""
        total: np.ndarray = self.gradient_examples + self.forward_examples
        return total

    @classmethod
    def of(cls, gradients: np.ndarray, forwards: np.ndarray, examples: np.ndarray) -> Cost:
        """The cost of so many evaluations of so many examples each.

        Example:
            >>> Cost.of(np.array([3]), np.array([1]), np.array([10])).examples.tolist()
            [40]
        """
        each = examples.astype(np.int64)
        return cls(gradients, forwards, gradients * each, forwards * each)


@dataclass(frozen=True, eq=False, repr=False)
class Trajectory(Result):
    """Runs of a population, recorded at some of their steps.

    Args:
        members: Their indices, ``[M]``: with the study seed they decide all that a member does.
        steps: Recorded steps ``[T]``, in order.
        values: Outputs on the probes, ``[M, T, N, …]``; N is 0 where no probes are known.
        checkpoint_steps: Steps of the stored parameters, ``[K]``, a part of ``steps``; first and last are among them.
        params: Parameters, a pytree whose leaves are ``[M, K, …]``.
        curves: ``train_loss``, ``train_accuracy`` and, with held-out data, ``held_out_loss``, ``held_out_accuracy``:
            each ``[M, T]``, means over examples, penalty included in the losses.
        statuses: One per member: ``ok``, or ``diverged``.
        last_step: The step after which a member stood still, ``[M]``: its last finite one where it diverged.
        cost: Counted cost; ``None`` for runs that were read from files.
        seconds: Wall time, compilation included; NaN for runs that were read from files.
    """

    members: np.ndarray
    steps: np.ndarray
    values: np.ndarray
    checkpoint_steps: np.ndarray
    params: Params
    curves: Mapping[str, np.ndarray]
    statuses: tuple[RunStatus, ...]
    last_step: np.ndarray
    cost: Cost | None = None
    seconds: float = float("nan")

    @property
    def status(self) -> RunStatus:
        """The worst of the members'."""
        return next((status for status in self.statuses if not status.sound), RunStatus.OK)

    @property
    def value(self) -> np.ndarray:
        """Training loss at the last record, ``[M]``; NaN where it is not known."""
        if "train_loss" not in self.curves:
            return np.full(len(self.members), np.nan)
        return self.curves["train_loss"][:, -1]

    @property
    def error(self) -> None:
        """``None``: the losses are exact up to rounding."""
        return None

    @property
    def stats(self) -> dict[str, Any]:
        """Members that diverged, counted cost of all members together, and seconds."""
        found: dict[str, Any] = {"diverged": sum(not status.sound for status in self.statuses)}
        if self.cost is not None:
            for name in ("gradients", "forwards", "examples"):
                found[name] = int(np.sum(getattr(self.cost, name), dtype=np.int64))
        return found | {"seconds": self.seconds}

    def __repr__(self) -> str:
        loss = self.value
        shown = "" if np.isnan(loss).all() else f", train_loss {np.nanmin(loss):.3g} to {np.nanmax(loss):.3g}"
        diverged = self.stats["diverged"]
        return (
            f"Trajectory(members={len(self.members)}, steps={self.steps[0]} to {self.steps[-1]}, "
            f"records={len(self.steps)}, checkpoints={len(self.checkpoint_steps)}{shown}, "
            f"{f'{diverged} diverged' if diverged else 'ok'})"
        )

    def ends(self) -> Params:
        """The last point of every member: a population, leaves ``[M, …]``."""
        return jax.tree.map(lambda leaf: leaf[:, -1], self.params)

    def end(self, position: int) -> Params:
        """The last point of one member by its position.

        Raises:
            InputError: If there is no such member.
        """
        self._check_position(position)
        return jax.tree.map(lambda leaf: leaf[position, -1], self.params)

    def _check_position(self, position: int) -> None:
        if not -len(self.members) <= position < len(self.members):
            raise InputError(f"member {position}: there are {len(self.members)}, counted from 0; give one of these.")

    def member(self, position: int) -> dict[str, Any]:
        """One member by its position: ``params`` ``[K, …]``, ``values`` ``[T, N, …]``, ``curves``, ``status``.

        Raises:
            InputError: If there is no such member.
        """
        self._check_position(position)
        return {
            "params": jax.tree.map(lambda leaf: leaf[position], self.params),
            "values": self.values[position],
            "curves": {name: curve[position] for name, curve in self.curves.items()},
            "status": self.statuses[position],
            "last_step": int(self.last_step[position]),
        }

    @classmethod
    def from_checkpoints(
        cls,
        network: Network,
        checkpoints: Any,
        *,
        steps: Any = None,
        problem: Problem | None = None,
        held_out: Problem | tuple[Any, Any] | None = None,
        probes: Any = None,
        like: Params = None,
    ) -> Trajectory:
        """Your own runs as a trajectory: weights that any training loop has saved.

        Values and curves are computed from the weights. A member is frozen from its first checkpoint on whose weights
        or loss are not finite, as :func:`~allroads.explore` does it.

        Args:
            network: The network that the weights belong to, such as :func:`~allroads.from_torch` gives.
            checkpoints: One of

                - a directory of safetensors files with steps in their names (``step100.safetensors``), or of one such
                  directory per seed (``seed0/step100.safetensors``); what :class:`~allroads.Recorder` writes is one;
                - a pattern that matches such directories or files, ``runs/*/weights``;
                - a list of such files;
                - a list of state dicts or parameter pytrees (NumPy, JAX, PyTorch), with ``steps``; or a mapping from
                  steps to them;
                - a list of any of these, one per seed.

                The prefixes ``module.`` and ``_orig_mod.`` of wrapped PyTorch modules are taken off. Nothing is
                unpickled. All numbers are read in the present precision, ``bfloat16`` too.
            steps: Steps of the points of a list, ``[T]`` rising.
            problem: Network, loss and training data: curves are then computed.
            held_out: A problem, or ``(inputs, labels)``, on which loss and accuracy are computed too.
            probes: Inputs whose outputs are kept; default: those of the recorder, else the training inputs.
            like: A point of the network; needed where the network cannot draw one (``network.init``).

        Raises:
            InputError: On a pickle (says how to convert it), an empty directory, a file without a step in its name,
                another network's names or shapes, steps that one seed lacks, or probes that differ between seeds.

        Example:
            >>> line = Network(lambda key: {"w": np.zeros(1)}, lambda params, x: x * params["w"])
            >>> problem = Problem(line, "mse", [[1.0]], [[0.0]])
            >>> mine = [{"module.w": np.array([w])} for w in (2.0, 1.0)]
            >>> run = Trajectory.from_checkpoints(line, mine, steps=[0, 10], problem=problem)
            >>> run.curves["train_loss"].tolist(), run.values[0, :, 0, 0].tolist()
            ([[4.0, 1.0]], [2.0, 1.0])
        """
        if problem is not None and problem.network != network:
            raise InputError("problem: it is of another network than the one given; make both of one network.")
        if held_out is not None and problem is None and not isinstance(held_out, Problem):
            raise InputError("held_out: give a problem too, or held-out data as a problem: the loss is not known.")
        found = read_checkpoints(network, checkpoints, steps, like)
        aside = held_out if isinstance(held_out, Problem) else None
        aside = held_out_problem(problem, held_out) if problem is not None else aside
        data = Observed(
            None if problem is None else problem.data,
            None if aside is None else aside.data,
            as_probes(network, found.probes if probes is None else probes),
        )
        objectives = (None if problem is None else problem.objective, None if aside is None else aside.objective)
        params, last, alive = _frozen(found.params, len(found.steps))
        curves, values = _observed(network, objectives, params, data)
        if "train_loss" in curves and not np.isfinite(curves["train_loss"]).all():
            params, last, alive = _frozen(found.params, len(found.steps), curves["train_loss"])
            curves, values = _observed(network, objectives, params, data)
        return cls(
            members=found.members,
            steps=found.steps,
            values=values,
            checkpoint_steps=found.steps,
            params=params,
            curves=curves,
            statuses=tuple(RunStatus.OK if one else RunStatus.DIVERGED for one in alive),
            last_step=found.steps[last],
        )


def _frozen(params: Params, count: int, losses: np.ndarray | None = None) -> tuple[Params, np.ndarray, np.ndarray]:
    """Members put back on their last point before the first that is not finite: points, last record, whether none."""
    leaves = jax.tree.leaves(params)
    finite = np.all([np.isfinite(leaf).reshape(*leaf.shape[:2], -1).all(axis=2) for leaf in leaves], axis=0)
    finite = finite if losses is None else finite & np.isfinite(losses)
    good = np.logical_and.accumulate(finite, axis=1).sum(axis=1)
    if not good.all():
        raise InputError(
            f"checkpoints: run {int(np.argmin(good))} is not finite at its first step; leave that run out."
        )
    records = np.minimum(np.arange(count), good[:, None] - 1)
    if (good < count).any():
        params = jax.tree.map(lambda leaf: leaf[np.arange(len(leaf))[:, None], records], params)
    return params, good - 1, good == count


def _observed(
    network: Network, objectives: tuple[Objective | None, Objective | None], params: Params, data: Observed
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Curves ``[M, T]`` and values ``[M, T, N, …]`` of points ``[M, T, …]``, one point after the other."""
    members, count = jax.tree.leaves(params)[0].shape[:2]
    if data.train is None and data.held_out is None and data.probes is None:
        return {}, np.zeros((members, count, 0), np.float32)
    observe = compiled_observer(network, *objectives)
    rows = []
    for m in range(members):
        row = [observe(jax.tree.map(lambda leaf, at=(m, t): leaf[at], params), data) for t in range(count)]
        rows.append(jax.tree.map(lambda *seen: np.stack([np.asarray(one) for one in seen]), *row))
    curves, values = jax.tree.map(lambda *own: np.stack(own), *rows)
    return curves, np.zeros((members, count, 0), np.float32) if values is None else values


@lru_cache(maxsize=32)
def compiled_observer(network: Network, train: Objective | None, held_out: Objective | None) -> Observer:
    """The compiled :func:`~allroads.explorers.observe.observer`."""
    compiled: Observer = jax.jit(observer(network, train, held_out))
    return compiled
