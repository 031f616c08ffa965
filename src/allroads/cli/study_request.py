"""What a user asks of a study on the command line, and what is said of it when it ends."""

from __future__ import annotations

import glob
import itertools
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from allroads.answers import answers
from allroads.errors import WorkerError

if TYPE_CHECKING:
    from allroads.studies.run import StudyRun


@dataclass(frozen=True)
class StudyRequest:
    """A study, and how to run it.

    Args:
        study: A TOML file, the name of a built-in study, or the configuration.
        out: Directory for the results; ``None`` for the usual one.
        overrides: ``key=value`` strings.
        engine: Where to compute; ``None`` leaves it to the study.
        report: Whether to write the report.
    """

    study: str | Mapping[str, Any]
    out: Path | None
    overrides: Sequence[str]
    engine: str | None
    report: bool

    def run(self) -> tuple[StudyRun, WorkerError | None]:
        """Run it with its progress on the standard error.

        Returns:
            The study, and the failure of those tasks that failed, if any did.

        Raises:
            ConfigError: If the study cannot be used.
            WorkerError: If nothing of it could be finished.
            typer.Exit: With code 130, if the user interrupts it.
        """
        from allroads.studies.threads import one_thread

        one_thread()  # before anything that starts threads is imported
        from allroads.studies.console import watching
        from allroads.studies.engines import computing
        from allroads.studies.run import run_study

        try:
            with watching() as progress:
                done = run_study(
                    self.study, self.out, self.engine, overrides=self.overrides, report=self.report, progress=progress
                )
        except WorkerError as error:
            if error.finished is None:
                raise
            return error.finished, error
        except KeyboardInterrupt:
            print(
                "\nInterrupted. Finished cells are kept: run the same command again to go on.",
                file=sys.stderr,
                flush=True,
            )
            if computing():
                sys.stdout.flush()
                os._exit(130)  # what XLA is at in another thread cannot be waited for
            raise typer.Exit(130) from None
        return done, None


def own_runs(directory: str, network: str, data: str, loss: str) -> tuple[dict[str, Any], Path]:
    """The study of a user's own training runs, and the directory beside them for its results.

    Args:
        directory: A directory of safetensors files, or a pattern of names.
        network: ``"module:function"`` that makes the network.
        data: An ``.npz`` file.
        loss: Name of the loss.

    Example:
        >>> study, beside = own_runs("/home/me/seeds/*.safetensors", "mine:net", "data.npz", "mse")
        >>> study["name"], beside.name
        ('seeds', 'seeds-report')
    """
    plain = Path(*itertools.takewhile(lambda part: not glob.has_magic(part), Path(directory).parts)).resolve()
    name = plain.name or "runs"
    own = {"checkpoints": directory, "network": network, "data": data, "loss": loss}
    return {"name": name, "runs": [{"name": name, **own}]}, plain.parent / f"{name}-report"


def study_json(done: StudyRun) -> dict[str, Any]:
    """What came of a study, for machines."""
    summary = {key: done.summary[key] for key in ("name", "findings", "failures", "status_counts", "cost")}
    return {
        **summary,
        "directory": str(done.directory),
        "report": done.report and str(done.report),
        "computed": dict(done.computed),
    }


def study_lines(done: StudyRun) -> list[str]:
    """What came of a study, for people: findings by question, and where the results are."""
    lines = []
    if not any(done.computed.values()):
        lines.append("Everything was finished before; nothing was computed.")
    several = len(done.summary["grids"]) > 1
    for question, heads, parts in answers(done.summary):
        for finding in heads:
            grid = f"{finding['grid']}:" if finding["grid"] and several else ""
            lines.append(" ".join(part for part in ("•", question, grid, finding["text"]) if part))
        if parts:
            lines.append(f"  ({len(parts)} more, by grid, in the report)")
    lines.append(f"Results: {done.directory}")
    if done.report:
        lines.append(f"Report:  {done.report.resolve().as_uri()}")
    return lines
