"""Measures, explorers and networks of a user's own: by import path in the study's file, and from installed packages."""

import json
from importlib.metadata import EntryPoint

import polars as pl
import pytest

from allroads import run_study
from allroads.errors import ConfigError
from allroads.report import write_report


def run(study, out, *overrides):
    return run_study(study, out, "process", overrides=overrides, report=False)


MODULE = """

import polars as pl
from allroads.studies.measures.measure import Measure, Outcome


def norms(power: int = 2) -> Measure:
    def compute(unit, options):
        arrays = [abs(leaf) ** power for leaf in unit.run.params.values()]
        along = sum(array.reshape(len(array), -1).sum(1) for array in arrays)
        return Outcome(({"norm": float(along[-1])},), {"norm_along": along})

    return Measure("norms", 1, "run", compute, {"norm": pl.Float64}, along={"norm_along": pl.Float64})


def gaps() -> Measure:
    def compute(unit, options):
        return [{"step": int(step), "gap": float(step) / 2} for step in unit.run.steps]

    return Measure("gaps", 1, "checkpoint", compute, {"gap": pl.Float64})


def nothing() -> int:
    return 3
"""


@pytest.fixture
def own(study, module):
    """Adds a measure of the user's own to the study's file."""
    module.write_text(module.read_text() + MODULE)

    def add(function, **options):
        lines = [f"{name} = {json.dumps(value)}" for name, value in options.items()]
        table = ["", "[[measures.own]]", 'kind = "factory"', f'path = "{module.stem}:{function}"', *lines, ""]
        study.write_text(study.read_text() + "\n".join(table))
        return study

    return add


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["process", "pool:2"])
def test_a_users_measure_by_import_path(own, tmp_path, engine):
    own("norms", power=1)
    file = own("gaps")
    run_study(file, tmp_path / "run", engine)
    from safetensors.numpy import load_file

    runs, curves, gaps = (
        pl.read_parquet(tmp_path / f"run/tables/{name}.parquet") for name in ("runs", "curves", "gaps")
    )
    for name, cell, norm in runs.select("run", "cell", "norm").iter_rows():
        weights = load_file(tmp_path / f"run/cells/{cell[:2]}/{cell}/weights.safetensors")
        wanted = sum(abs(array).reshape(len(array), -1).sum(1) for array in weights.values())
        assert curves.filter(run=name)["norm_along"].to_list() == pytest.approx(wanted.tolist())
        assert norm == pytest.approx(wanted[-1])
    assert gaps.columns == ["run", "step", "gap"] and gaps["gap"].to_list() == (gaps["step"] / 2).to_list()
    page = write_report(tmp_path / "run").read_text()
    assert 'id="norms-parity"' in page and 'id="gaps-parity"' in page


def test_explorers_and_networks_of_installed_packages_are_kinds(study, module, tmp_path, monkeypatch):
    module.write_text(
        module.read_text() + "\n\nfrom allroads import Adam\n\n\ndef quick(rate: float = 0.05):\n"
        "    return Adam(learning_rate=rate)\n"
    )
    points = {
        "allroads.explorers": [EntryPoint("quick", f"{module.stem}:quick", "allroads.explorers")],
        "allroads.architectures": [EntryPoint("tanh", f"{module.stem}:tanh_net", "allroads.architectures")],
    }
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: points.get(group, []))
    kinds = ['grid.0.explorer=[{kind="quick"}]', 'grid.0.architecture=[{kind="tanh"}]', "grid.0.seeds=2"]
    run(study, tmp_path / "run", *kinds)
    run(study, tmp_path / "same", "grid.0.seeds=2")
    losses = [pl.read_parquet(tmp_path / f"{name}/tables/curves.parquet")["train_loss"] for name in ("run", "same")]
    assert losses[0].to_list() == losses[1].to_list()
    with pytest.raises(ConfigError, match="did you mean 'quick'"):
        run(study, tmp_path / "other", 'grid.0.explorer=[{kind="quik"}]')


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("nothing", r"measures\.own\.0: \w+:nothing gave int; it must give 'Measure'"),
        ("nowhere", r"measures\.own\.0: .*has no function 'nowhere'"),
    ],
)
def test_a_users_function_that_gives_no_measure_is_refused(own, tmp_path, function, said):
    with pytest.raises(ConfigError, match=said):
        run(own(function), tmp_path / "run")
