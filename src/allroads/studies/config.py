"""A study's configuration: frozen, and strict about what it takes.

A study is a list of *grids*; a grid is every combination of its targets, architectures, explorers and
seeds. Beside grids or in their place are runs of the user's own. What a target, an architecture or an explorer
takes as options is what its factory takes (see :mod:`allroads.studies.parts`).
"""

from __future__ import annotations

import functools
import re
import unicodedata
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=1)]
Text = Annotated[str, Field(min_length=1)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Choice(_Frozen):
    """A kind and its options: ``kind``, ``label`` (how reports call it) and the options beside them."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True, allow_inf_nan=False)

    kind: Text
    label: Text | None = None

    @property
    def options(self) -> dict[str, Any]:
        """The options that were given."""
        return dict(self.model_extra or {})


class Grid(_Frozen):
    """Every combination of targets, architectures, explorers and seeds.

    Args:
        name: How reports call it.
        question: What it asks, in a sentence.
        seeds: Members of each combination: 0 … seeds − 1.
        steps: Steps of the explorer.
        records: Recorded steps, log-spaced, both ends among them; the weights at each are kept.
        precision: ``float32`` or ``float64``.
        loss: In place of the target's own.
        measures: Options of measures that are others in this grid, by the measure's name.
        target: The targets.
        architecture: The architectures.
        explorer: The explorers.
    """

    name: Text
    question: str = ""
    seeds: Count
    steps: Count
    records: Annotated[int, Field(ge=2)] = 64
    precision: Literal["float32", "float64"] = "float32"
    loss: Literal["mse", "cross_entropy", "bce"] | None = None
    measures: dict[str, dict[str, Any]] = Field(default_factory=dict)
    target: Annotated[tuple[Choice, ...], Field(min_length=1)]
    architecture: Annotated[tuple[Choice, ...], Field(min_length=1)]
    explorer: Annotated[tuple[Choice, ...], Field(min_length=1)]


class Runs(_Frozen):
    """Runs of the user's own: weights that a training loop has saved. Nothing of them is trained.

    Args:
        name: How reports call them.
        question: What they ask, in a sentence.
        checkpoints: A directory of safetensors files with steps in their names, or of one such directory per seed, or
            a pattern that matches such directories; relative to the study's folder, as ``data`` is.
        network: ``"module:function"``, which gives the network that the weights belong to.
        data: An ``.npz`` file with ``inputs`` and ``labels``, all of which train, or with ``train_inputs``,
            ``train_labels``, ``held_out_inputs`` and ``held_out_labels``.
        loss: Of the training.
        precision: ``float32`` or ``float64``: in which they are read and measured.
        target: How reports call what was learned; default: the name of the data's file.
        architecture: How reports call the network; default: its own name.
        explorer: How reports call the training.
        like: An explorer that trains as the loop did, for forecasts.
        measures: Options of measures that are others for these runs, by the measure's name.
    """

    name: Text
    question: str = ""
    checkpoints: Text
    network: Text
    data: Text
    loss: Literal["mse", "cross_entropy", "bce"]
    precision: Literal["float32", "float64"] = "float32"
    target: Text | None = None
    architecture: Text | None = None
    explorer: Text = "own training"
    like: Choice | None = None
    measures: dict[str, dict[str, Any]] = Field(default_factory=dict)


class Slurm(_Frozen):
    """What is asked of Slurm for each of its jobs.

    Args:
        cluster: ``slurm``, or ``local``: processes on this machine instead, to try a study out.
        partition: The partition; default: Slurm's own.
        minutes: Time limit of a job.
        cpus: Processors of a job, each of which runs packs of its own.
        memory_gb: Memory of a job; default: Slurm's own.
        packs: Packs, or other pieces of work, per job; default: so many that each worker gets two jobs per phase.
        more: Further options of ``sbatch``, such as ``{ account = "mine" }``.
    """

    cluster: Literal["slurm", "local"] = "slurm"
    partition: Text | None = None
    minutes: Count = 60
    cpus: Count = 1
    memory_gb: Annotated[float, Field(gt=0)] | None = None
    packs: Count | None = None
    more: dict[str, str | int | float | bool] = Field(default_factory=dict)


class Engine(_Frozen):
    """Where packs run; no part of any identity.

    Args:
        kind: ``process`` (this one), ``pool`` (processes on this machine), ``ray``, ``slurm``, or ``auto``.
        workers: Processes of a pool or of a Ray that is started here, or jobs of Slurm at one time.
        address: Of the Ray cluster, ``host:port`` or ``auto``; default: a Ray of its own on this machine.
        slurm: What is asked of Slurm.
    """

    kind: Literal["auto", "process", "pool", "ray", "slurm"] = "auto"
    workers: Count | None = None
    address: Text | None = None
    slurm: Slurm = Slurm()


class Measures(_Frozen):
    """What is measured: beside ``own``, one key for each measure, ``true``, ``false`` or a table of its options.

    Args:
        own: The user's own measures: ``kind = "factory"`` and ``path = "module:function"``, which gives a ``Measure``.
    """

    model_config = ConfigDict(frozen=True, extra="allow", strict=True, allow_inf_nan=False)

    own: tuple[Choice, ...] = ()


class Study(_Frozen):
    """A study.

    Args:
        name: How reports call it.
        question: What it asks, in a sentence.
        seed: With a member's index it decides all that is random in a run.
        grid: The grids.
        runs: Runs of the user's own.
        engine: Where packs run; no part of any identity.
        measures: What is measured.
    """

    name: Text
    question: str = ""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    grid: tuple[Grid, ...] = ()
    runs: tuple[Runs, ...] = ()
    engine: Engine = Engine()
    measures: Measures = Measures()

    @property
    def sections(self) -> tuple[Grid | Runs, ...]:
        """What reports show one after the other: the grids, then the user's own runs."""
        return self.grid + self.runs

    @functools.cached_property
    def slug(self) -> str:
        """The name as a folder's: letters and digits of every script, and dashes; 80 characters and 240 bytes at most.

        Example:
            >>> part = Choice(kind="x")
            >>> parts = {"target": (part,), "architecture": (part,), "explorer": (part,)}
            >>> grid = Grid(name="a", seeds=1, steps=1, **parts)
            >>> Study(name="../A study", grid=(grid,)).slug, Study(name="学習の道 2", grid=(grid,)).slug
            ('a-study', '学習の道-2')
        """
        plain = unicodedata.normalize("NFC", self.name.lower())
        short = re.sub(r"[\W_]+", "-", plain).strip("-")[:80].encode()[:240].decode(errors="ignore")
        return short.strip("-") or "study"
