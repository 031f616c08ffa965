"""Run a study: trajectories, then its measures in the order of their needs, tables, report.

The same call again finishes what is missing.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from allroads.errors import StoreError, WorkerError
from allroads.studies.canonical import canonical, digest
from allroads.studies.config import Engine, Study
from allroads.studies.engines import make_engine, own_accelerators, read_engine
from allroads.studies.engines.cluster import Cluster
from allroads.studies.finished import read_finished, request, write_tables
from allroads.studies.phase import Progress, Show, do_phase
from allroads.studies.store import SCHEMA_VERSION, Store, check_schema
from allroads.studies.toml import Source, load_study

if TYPE_CHECKING:
    from allroads.studies.failures import Failure
    from allroads.studies.graph import Graph
    from allroads.studies.jobs import Job
    from allroads.studies.parts import Part
    from allroads.studies.plan import Plan


@dataclass(frozen=True)
class StudyRun:
    """What a call of :func:`run_study` came to.

    Attributes:
        directory: The run directory.
        summary: What ``tables/summary.json`` holds: the findings among it.
        computed: Jobs that this call did, by phase; all zero where the study was finished before.
        report: The page, ``None`` where none was asked for.
    """

    directory: Path
    summary: Mapping[str, Any]
    computed: Mapping[str, int] = field(default_factory=dict)
    report: Path | None = None


def run_study(
    config: str | Path | Mapping[str, Any],
    out: str | Path | None = None,
    engine: str | Executor | None = None,
    *,
    overrides: Sequence[str] = (),
    report: bool = True,
    progress: Show = lambda progress: None,
) -> StudyRun:
    """Run a study, or finish one that was interrupted.

    Cells that are stored are never computed again. Two processes may run one study in one directory and share the
    work. An interrupted study that is run again ends in the same tables, bit for bit.

    Args:
        config: A TOML file, the name of a built-in study, or the configuration as nested dicts and lists.
        out: The run directory; default ``runs/<name of the study>``.
        engine: ``"auto"``, ``"process"``, ``"pool"``, ``"pool:N"``, ``"ray"``, ``"ray:ADDRESS"``, ``"slurm"``,
            ``"slurm:N"``, or any ``concurrent.futures.Executor``, which is left open; default: what the study says.
        overrides: ``key=value`` strings such as ``grid.0.seeds=4``.
        report: Whether to write the page.
        progress: Called whenever a job is done.

    Returns:
        The :class:`StudyRun`.

    Raises:
        ConfigError: If the study cannot be used; nothing has run then.
        InputError: If the engine is not to be had, or a machine lacks what the study needs; nothing has run there then.
        StoreError: If the run directory cannot be read or written, or something in it is damaged.
        WorkerError: If a job failed, once all others are done; what finished is kept.
    """
    study, source = load_study(config, overrides)
    chosen = read_engine(engine, study.engine) if isinstance(engine, str) else engine or study.engine
    store = Store(out or Path("runs") / study.slug)
    if not out:
        store.check_study(study.name)
    asked = request(study, source)
    summary = read_finished(store, asked)
    if summary is not None:
        return StudyRun(store.directory, summary, report=_report(store, again=False) if report else None)
    return _run(study, source, store, asked, chosen, report, progress)


def _run(
    study: Study,
    source: Source,
    store: Store,
    asked: str,
    chosen: Engine | Executor,
    report: bool,
    progress: Show,
) -> StudyRun:
    from allroads.studies.graph import plan_study
    from allroads.studies.jobs import MeasureJobs
    from allroads.studies.present import of_present
    from allroads.studies.recorded_jobs import recorded_jobs
    from allroads.studies.summary import make_summary
    from allroads.studies.tables import make_tables
    from allroads.studies.trajectories import trajectory_jobs

    plan, graph = plan_study(study, source)
    phases: dict[str, Sequence[Job]] = {
        "trajectories": [*trajectory_jobs(plan, own_accelerators(chosen)), *recorded_jobs(plan)]
    }
    phases |= {name: MeasureJobs(study.name, graph, node) for name, node in graph.nodes.items()}

    # Jobs that wait for others are not counted: this is the least that there is to do.
    todo = sum(job.todo(store) for jobs in phases.values() for job in jobs if not job.quick)
    failures: list[Failure] = []
    computed: dict[str, int] = {}
    with closing(store.claims), _opened(chosen, todo, store) as executor:
        _open(store, plan)
        _verify(store, phases)
        store.clean()
        with _recorded(store, str(executor)) as (record, provenance):
            described = _started(executor, store, record, _parts(plan, graph), progress)
            for phase, jobs in phases.items():
                if failures and phase in graph.nodes:
                    graph = of_present(graph, phase, store)
                    jobs = MeasureJobs(study.name, graph, graph.nodes[phase])
                computed[phase] = do_phase(executor, phase, jobs, store, failures, progress)
            provenance |= described()
            with store.claims.alone("tables"):
                # Of several commands that share the work, the first to come here makes the tables.
                summary = None if failures else read_finished(store, asked)
                if summary is None:
                    tables = make_tables(graph, store)
                    summary = make_summary(plan, graph, tables, failures, provenance, _seconds(store, provenance))
                    write_tables(store, asked if not failures else "", tables, summary)
    some = any(summary["status_counts"].values())
    page = _report(store, again=True) if report and some else None
    done = StudyRun(store.directory, summary, computed, page)
    if failures:
        error = WorkerError(_several(failures, store, kept=some))
        error.finished = done
        raise error
    return done


def _started(
    executor: Executor, store: Store, record: str, parts: Sequence[Part], progress: Show
) -> Callable[[], dict[str, Any]]:
    """Get an executor ready; what comes back tells at the end where it computed."""
    from allroads.studies.engines.node import study_needs
    from allroads.studies.provenance import describe_device

    if not isinstance(executor, Cluster):
        device = executor.submit(describe_device)
        return lambda: {"device": device.result()}
    progress(Progress("engine", 0, 1, 0.0, f"starting {executor}"))
    executor.start(study_needs(store.directory, record, parts))
    progress(Progress("engine", 1, 1, 1.0, str(executor)))
    return lambda: {
        "device": "; ".join(sorted({node.device for node in executor.nodes})),
        "nodes": [asdict(node) for node in executor.nodes],
    }


def _parts(plan: Plan, graph: Graph) -> list[Part]:
    """All parts of a study, of which some may be the user's own code."""
    recipes = [one.recipe for one in plan.combinations]
    parts = [part for recipe in recipes for part in (recipe.target, recipe.architecture, recipe.explorer)]
    return [part for part in (*parts, *(node.asked.origin for node in graph.nodes.values())) if part is not None]


@contextmanager
def _opened(chosen: Engine | Executor, jobs: int, store: Store) -> Iterator[Executor]:
    """The executor; ours is closed at the end, and stopped at once where something goes wrong."""
    if isinstance(chosen, Executor):
        yield chosen
        return
    executor = make_engine(chosen, jobs, store.directory)
    try:
        yield executor
    except BaseException:
        executor.stop()
        raise
    executor.shutdown()


@contextmanager
def _recorded(store: Store, engine: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The provenance of this invocation with the name of its file: written at its start, and again at its end."""
    from allroads.studies.provenance import gather, now

    began = time.monotonic()
    found = gather(engine)
    stamp = found["started"].replace(":", "").replace("-", "").partition("+")[0]
    name = f"provenance/{stamp}Z-{uuid.uuid4().hex[:8]}.json"
    store.put(name, json.dumps(found, indent=1).encode())
    yield name, found
    found |= {"finished": now(), "seconds": round(time.monotonic() - began, 3)}
    store.put(name, json.dumps(found, indent=1).encode())


def _seconds(store: Store, provenance: Mapping[str, Any]) -> float:
    """Seconds that this study has taken, this invocation and the finished ones before."""
    import datetime

    started = datetime.datetime.fromisoformat(provenance["started"])
    total = (datetime.datetime.now(datetime.UTC) - started).total_seconds()
    for path in (store.directory / "provenance").glob("*.json"):
        try:
            total += json.loads(path.read_bytes()).get("seconds") or 0.0
        except (OSError, ValueError):
            continue
    return total


def _open(store: Store, plan: Plan) -> None:
    """Make the directory a run directory, or refuse one that is something else or of a newer allroads."""
    path = store.directory / "study.json"
    if store.directory.exists() and not store.directory.is_dir():
        raise StoreError(f"{store.directory} is a file; expected a run directory. Choose another --out.")
    if path.exists():
        try:
            stored = json.loads(path.read_bytes())
        except (OSError, ValueError):
            raise StoreError(f"{path} is truncated or altered. Delete it and run the same command again.") from None
        check_schema(stored.get("schema_version") if isinstance(stored, dict) else None, path)
    elif store.directory.exists() and any(not child.name.startswith(".") for child in store.directory.iterdir()):
        raise StoreError(
            f"{store.directory} is not empty and not the directory of a study (it has no study.json). "
            "Choose another --out."
        )
    study = plan.study.model_dump(mode="json", exclude={"engine"})
    resolved = [
        {**one.labels, "identity": one.recipe.identity, "members": list(one.members), "cells": list(one.cells)}
        for one in plan.combinations
    ]
    body = {
        "schema_version": SCHEMA_VERSION,
        "hash": digest(plan.cells),
        "study": study,
        "combinations": resolved,
    }
    store.put("study.json", canonical(body).encode())


def _verify(store: Store, phases: Mapping[str, Sequence[Job]]) -> None:
    """Check every file of every entry that this study will use.

    Raises:
        StoreError: At the first that is damaged.
    """
    for kind, name in (entry for jobs in phases.values() for job in jobs for entry in job.entries()):
        if store.has(kind, name):
            store.read(kind, name).verify()


def _report(store: Store, again: bool) -> Path:
    path = store.directory / "report.html"
    if again or not path.exists():
        from allroads.report import write_report

        with closing(store.claims), store.claims.alone("report"):
            path = write_report(store.directory)
    return path


def _several(failures: Sequence[Failure], store: Store, kept: bool) -> str:
    shown = [*map(str, failures[:5]), *([f"… and {len(failures) - 5} more"] if len(failures) > 5 else [])]
    if kept:
        end = f"All else is finished and kept in {store.directory}: repair that, run the same command again."
    else:
        end = f"No run was finished, so {store.directory} holds none: repair that, run the same command again."
    return "\n".join([*shown, end])
