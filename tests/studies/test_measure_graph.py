"""The graph of measures: what is computed anew, measures of a user's own, what fails, and what is refused."""

import itertools
import json
import shutil
import sys
import time
from dataclasses import replace
from functools import partial
from importlib.metadata import EntryPoint
from pathlib import Path

import polars as pl
import pytest
from made_up_units import counted, entries_of

from allroads import run_study
from allroads.errors import ConfigError, InputError, WorkerError
from allroads.explorers import explore as explore_module
from allroads.report import write_figures
from allroads.studies import finished
from allroads.studies.measures import registry
from allroads.studies.measures.measure import Finding, Measure, Options, Quantity
from allroads.studies.store import Store
from allroads.studies.toml import load_study

RUN_SCOPED = ("chart", "values", "curves", "fit", "certified", "stages", "directness", "turning")


numbers = itertools.count()


class WordOptions(Options):
    """Options of the made-up measure."""

    letter: str = "a"


def count_letters(unit, options):
    """Occurrences of a letter in the name of the run, and steps so far along it."""
    return {"letters": unit.run.name.count(options.letter), "share": 0.5}


def letters_findings(tables, grids):
    return [Finding(f"{grid}: {tables['runs']['letters'].sum()} letters.", "letters", grid) for grid in grids]


LETTERS = Measure(
    "letters",
    1,
    "run",
    count_letters,
    {"letters": pl.Int64, "share": pl.Float64},
    options=WordOptions,
    quantities=(Quantity("letters", "How often a letter occurs."),),
    findings=letters_findings,
)
DOUBLED = Measure(
    "doubled",
    1,
    "run",
    lambda unit, options: {"doubled": 2 * unit.run.need("letters").row["letters"]},
    {"doubled": pl.Int64},
    needs=("letters",),
)


def run(study, out, *overrides, **options):
    return run_study(study, out, "process", overrides=overrides, report=False, **options)


@pytest.fixture
def known(monkeypatch):
    """Adds measures to those that there are, as an installed package does."""
    offered = []
    offers = {registry.GROUP: offered}
    for place in (registry.importlib.metadata, finished):
        monkeypatch.setattr(place, "entry_points", lambda group: offers.get(group, []))

    def add(*measures):
        module = sys.modules[__name__]
        for measure in measures:
            name = f"offered_{next(numbers)}"
            monkeypatch.setattr(module, name, measure, raising=False)
            point = EntryPoint(measure.name, f"{__name__}:{name}", registry.GROUP)
            offered[:] = [*(other for other in offered if other.name != measure.name), point]

    return add


@pytest.fixture(scope="module")
def finished_run(shared_study, tmp_path_factory):
    """The run directory of the small study, finished; tests take copies."""
    directory = tmp_path_factory.mktemp("finished") / "run"
    run(shared_study, directory)
    return directory


@pytest.fixture
def trained(finished_run, tmp_path, monkeypatch):
    """The shared study, finished; from here on, every call of ``explore`` is counted."""
    shutil.copytree(finished_run, tmp_path / "run")
    calls = []
    explore = explore_module.explore
    monkeypatch.setattr(explore_module, "explore", lambda *a, **k: calls.append(a) or explore(*a, **k))
    return tmp_path / "run", calls


slow = partial(pytest.param, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    ("override", "again"),
    [
        ("measures.fit.threshold=0.6", {"fit"}),
        slow("grid.0.measures.fit.threshold=0.6", {"fit"}),
        pytest.param(
            "measures.chart.name=probabilities",
            {"chart", "certified", "stages", "directness", "turning"},
            marks=pytest.mark.slow,
        ),
        ("measures.values.probes=5", {"values", "certified", "stages", "directness", "turning", "embedding"}),
        slow("measures.embedding.records=4", {"embedding"}),
    ],
)
def test_a_changed_option_computes_its_measure_and_what_needs_it_and_trains_nothing(
    shared_study, trained, override, again
):
    directory, calls = trained
    before = {name: len(entries_of(Store(directory), name)) for name in (*RUN_SCOPED, "pairs", "embedding")}
    done = run(shared_study, directory, override)
    assert set(counted(done)) == again and calls == []
    after = {name: len(entries_of(Store(directory), name)) for name in before}
    assert {name for name in after if after[name] > before[name]} == again
    assert len(Store(directory).list("cells")) == 10
    assert not counted(run(shared_study, directory))  # and back: nothing was thrown away


def test_a_changed_threshold_gives_the_tables_of_a_fresh_study_within_three_seconds(shared_study, trained, tmp_path):
    directory, _ = trained
    began = time.perf_counter()
    run(shared_study, directory, "measures.fit.threshold=0.6")
    assert time.perf_counter() - began < 3
    run(shared_study, tmp_path / "fresh", "measures.fit.threshold=0.6")
    for table in (directory / "tables").glob("*.parquet"):
        assert table.read_bytes() == (tmp_path / "fresh/tables" / table.name).read_bytes()


def test_a_new_version_computes_its_measure_and_what_needs_it(shared_study, trained, known, monkeypatch):
    directory, calls = trained
    known(LETTERS, DOUBLED)
    assert set(counted(run(shared_study, directory))) == {"letters", "doubled"}
    known(replace(LETTERS, version=2, compute=lambda unit, options: {"letters": 7}))
    assert set(counted(run(shared_study, directory))) == {"letters", "doubled"} and calls == []
    runs = pl.read_parquet(directory / "tables/runs.parquet")
    assert runs["letters"].to_list() == [7] * 10 and runs["doubled"].to_list() == [14] * 10


def test_a_made_up_measure_is_in_tables_findings_and_report(shared_study, trained, known):
    directory, _ = trained
    known(LETTERS)
    done = run_study(shared_study, directory, "process", overrides=["measures.letters.letter=b"])
    runs = pl.read_parquet(directory / "tables/runs.parquet")
    assert runs["letters"].to_list() == [run.count("b") for run in runs["run"]]
    told = {"text": f"parity: {runs['letters'].sum()} letters.", "chart": "letters", "grid": "parity"}
    assert any(told.items() <= finding.items() for finding in done.summary["findings"])
    assert "How often a letter occurs." in [quantity["definition"] for quantity in done.summary["quantities"]]
    page = done.report.read_text()
    assert 'id="letters-parity"' in page and 'href="#letters"' in page and 'data-key="letters"' in page
    assert "Charts of letters" in page
    assert "letters-parity.svg" in [path.name for path in write_figures(directory, "svg")]


@pytest.mark.slow
def test_a_measure_that_fails_for_one_run_leaves_the_others_alone(shared_study, trained, known):
    directory, _ = trained
    unlucky = pl.read_parquet(directory / "tables/runs.parquet")["run"][3]

    def compute(unit, options):
        if unit.run.name == unlucky:
            raise ZeroDivisionError("the flux capacitor is missing")
        return {"letters": 1}

    known(replace(LETTERS, compute=compute), DOUBLED)
    with pytest.raises(WorkerError) as error:
        run_study(shared_study, directory, "process")
    for said in (
        "study 'small'",
        "letters of",
        "parity of 3",
        "seed 3",
        "ZeroDivisionError: the flux",
        "All else is",
    ):
        assert said in str(error.value)
    assert error.value.finished.directory == directory and error.value.finished.summary["failures"]
    runs = pl.read_parquet(directory / "tables/runs.parquet")
    assert runs["letters"].to_list() == [None if run == unlucky else 1 for run in runs["run"]]
    assert runs["doubled"].to_list() == [None if run == unlucky else 2 for run in runs["run"]]
    summary = json.loads((directory / "tables/summary.json").read_text())
    (failure,) = summary["failures"]
    assert failure["measure"] == "letters" and unlucky in failure["unit"] and "flux" in failure["message"]
    assert "'letters' failed for" in summary["findings"][0]["text"]
    assert "ZeroDivisionError" in (directory / "report.html").read_text()
    known(LETTERS)  # repaired: only what is missing is computed
    seen = []
    done = run(shared_study, directory, progress=lambda progress: seen.append(progress.phase))
    assert set(counted(done)) == {"letters", "doubled"}
    assert pl.read_parquet(directory / "tables/runs.parquet")["doubled"].null_count() == 0


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"letters": "many"}, "the column 'letters' is Int64, and 'many' is not"),
        pytest.param(
            {"letters": 1, "leters": 2}, "the column 'leters' is not among letters, share", marks=pytest.mark.slow
        ),
        slow([{"letters": 1}, {"letters": 2}], "it gave 2 rows; expected 1"),
        pytest.param(
            {"letters": 1, "share": float("nan")}, "its column 'share' holds NaN; give None", marks=pytest.mark.slow
        ),
        (7, "it gave int; expected a row"),
    ],
)
def test_a_table_that_does_not_fit_its_schema_is_a_failure(shared_study, trained, known, row, said):
    directory, _ = trained
    known(replace(LETTERS, compute=lambda unit, options: row))
    with pytest.raises(WorkerError, match=said):
        run(shared_study, directory)
    assert pl.read_parquet(directory / "tables/runs.parquet")["letters"].null_count() == 10


def needing(name, *needs):
    return Measure(name, 1, "run", lambda unit, options: {name: 1}, {name: pl.Int64}, needs=needs)


@pytest.mark.parametrize(
    ("measures", "overrides", "said"),
    [
        ((needing("left", "right"), needing("right", "left")), (), r"left needs right needs left: a circle"),
        ((needing("left", "wrong"),), (), r"measures\.left: it needs 'wrong', and there is no measure of that name"),
        ((needing("directness"),), (), r"two measures are called 'directness'; rename one"),
        ((Measure("twin", 1, "run", len, {"stages": pl.Int64}),), (), r"both give the column 'stages' of runs"),
        ((), ("measures.fitt=true",), r"measures\.fitt: no measure of that name: did you mean 'fit'\?"),
        ((), ("measures.fit.treshold=0.5",), r"measures\.fit\.treshold: unknown key: did you mean 'threshold'\?"),
        ((), ("measures.fit.threshold=2.0",), r"measures\.fit\.threshold: 2\.0 is not allowed: input should be less"),
        ((), ("measures.chart.name=spere",), r"measures\.chart\.name: 'spere' is not allowed: did you mean 'sphere'"),
        ((), ("measures.values.prob=1",), r"measures\.values\.prob: unknown key: did you mean 'probes'"),
        ((), ("measures.fit=7",), r"measures\.fit: 7 is not allowed: expected true, false or a table"),
        ((), ("grid.0.measures.fit.treshold=1.0",), r"grid\.0\.measures\.fit\.treshold: unknown key"),
        ((), ("grid.0.measures.fitt.threshold=1.0",), r"grid\.0\.measures\.fitt: no measure of that name"),
        ((), ("grid.0.measures.fit.enabled=false",), r"a measure is on or off for a whole study"),
        ((), ("measures.curves=false",), r"measures\.curves: it is off, and 'fit' needs it"),
        ((), ("measures.fit.threshold=2.0", "grid.0.architecture.0.widht=3"), r"widht[\s\S]*measures\.fit\.threshold"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_anything_runs(study, tmp_path, known, measures, overrides, said):
    known(*measures)
    with pytest.raises(ConfigError, match=said):
        run(study, tmp_path / "run", *overrides)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("../x", 1, "run", len), "expected a name of a–z"),
        (("runs", 1, "run", len), "stands for something else"),
        (("a", 1, "runs", len), "scope 'runs'; expected run, checkpoint"),
        (("a", 1, "target", len, {"target": pl.String}), "target are keys of its table"),
    ],
)
def test_a_measure_that_cannot_be_is_refused(arguments, said):
    with pytest.raises(InputError, match=said):
        Measure(*arguments)


@pytest.mark.slow
def test_a_measure_that_is_off_leaves_its_columns_null(shared_study, trained):
    directory, _ = trained
    off = ("measures.stages=false", "measures.embedding=false", "measures.pairs=false")
    done = run_study(shared_study, directory, "process", overrides=off)
    runs = pl.read_parquet(directory / "tables/runs.parquet")
    assert runs["stages"].null_count() == 10 and runs["turning"].null_count() == 0
    assert not {"stages", "pairs"} & {measure["name"] for measure in done.summary["measures"]}
    page = done.report.read_text()
    assert 'id="pairs"' not in page and 'data-key="stages"' not in page and 'id="directness"' in page


def test_where_every_pack_fails_nothing_is_said_to_be_kept(study, module, tmp_path):
    with pytest.raises(WorkerError) as error:
        run(study, tmp_path / "run", f"grid.0.architecture.0.path={module.stem}:broken_net")
    assert "No run was finished" in str(error.value) and "All else" not in str(error.value)


def test_the_variable_of_the_finding_is_that_of_its_chart(tmp_path):
    """Runs that fit and never generalise stand where they fitted: the finding counts steps to fit."""
    from allroads.report.charts import directness as chart
    from allroads.report.grids import read_grids
    from allroads.report.stored import read_stored
    from allroads.studies.measures import directness as measure
    from allroads.studies.measures.sentences import spearman

    sys.path.insert(0, str(Path(__file__).parents[1] / "report"))
    try:
        from synthetic_study import Task, write_study
    finally:
        sys.path.pop(0)
    tasks = [Task("g", f"t{i}", fit=20 * 2**i, generalise=5000, seeds=3, steps=3000) for i in range(5)]
    stored = read_stored(write_study(tmp_path, tasks, records=24))
    (grid,) = read_grids(stored)
    figure = chart.figures(stored, grid)[0]
    rows = figure.panels[0].rows.filter("learned")
    (found,) = measure.findings(stored.tables, ["g"])
    drawn = spearman(rows.drop_nulls("directness").select("directness", "steps").to_numpy())
    assert f"Over {rows.height} fitted runs" in found.text and f"{drawn:+.2f}".replace("-", "−") in found.text
    assert rows.height == 15 and "steps to fit" in found.text


def test_options_of_a_study_survive_their_toml(study):
    from allroads.studies.toml import to_toml

    loaded = load_study(
        study, ["measures.fit.threshold=0.6", "grid.0.measures.fit.threshold=0.7", "measures.llc=false"]
    )
    study.write_text(to_toml(loaded[0]))
    assert load_study(study)[0] == loaded[0]
