from __future__ import annotations

import json
import shutil

import polars as pl
import pytest
from synthetic_study import Task, write_study

from allroads.errors import StoreError
from allroads.report import write_report
from allroads.report.charts.registry import read_sections
from allroads.report.cluster import cluster_order
from allroads.report.encode import encode, thin
from allroads.report.grids import read_grids
from allroads.report.page import render, shortfalls
from allroads.report.stored import read_stored


@pytest.fixture
def small(tmp_path):
    return write_study(tmp_path / "study", [Task("g", "t", seeds=3)], records=8)


def test_a_folder_that_is_no_study_is_named(tmp_path):
    with pytest.raises(StoreError, match=r"holds no folder 'tables'.*allroads run"):
        write_report(tmp_path)


@pytest.mark.parametrize("name", ["runs", "curves", "pairs", "embedding"])
def test_a_damaged_table_is_named_with_the_remedy_and_no_page_is_left(small, name):
    path = small / "tables" / f"{name}.parquet"
    whole = path.read_bytes()
    for damage, words in ((whole[: len(whole) // 2], "cannot be read"), (None, "is missing")):
        path.unlink()
        if damage is not None:
            path.write_bytes(damage)
        with pytest.raises(StoreError, match=f"{name}.parquet {words}.*[Rr]un the study again"):
            write_report(small)
    pl.DataFrame({"run": ["a"]}).write_parquet(path)
    with pytest.raises(StoreError, match="lacks the columns"):
        write_report(small)
    assert not (small / "report.html").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [("{", "cannot be read as JSON"), ("[]", "schema version 'list'"), ('{"schema_version": 1}', "version 1")],
)
def test_a_summary_that_cannot_be_used_is_named(small, text, words):
    (small / "tables" / "summary.json").write_text(text)
    with pytest.raises(StoreError, match=f"summary.json.*{words}"):
        write_report(small)


def test_the_page_is_written_whole_or_not_at_all(small, monkeypatch):
    page = write_report(small)
    before = page.read_bytes()
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(StoreError, match=r"report.html cannot be written \(No space left on device\)"):
        write_report(small)
    assert page.read_bytes() == before
    assert [file.name for file in small.iterdir() if file.is_file()] == ["report.html"]


@pytest.mark.slow
def test_the_page_of_a_quickstart_is_small_and_the_same_each_time(study, capsys):
    size = (study / "report.html").stat().st_size
    with capsys.disabled():
        print(f"\nreport of 120 runs × 64 steps: {size / 1e6:.2f} MB")
    assert size <= 3_000_000
    assert render(read_stored(study)) == (study / "report.html").read_text(encoding="utf-8")


def test_the_page_moves_with_its_directory(small, tmp_path):
    first = write_report(small).read_text(encoding="utf-8")
    shutil.move(small, tmp_path / "elsewhere")
    assert write_report(tmp_path / "elsewhere").read_text(encoding="utf-8") == first


def test_numbers_that_are_not_finite_become_gaps(small):
    path = small / "tables" / "runs.parquet"
    runs = pl.read_parquet(path).with_columns(directness=pl.Series([float("nan"), float("inf"), 0.5]))
    runs.write_parquet(path)
    assert read_stored(small).runs["directness"].to_list() == [None, None, 0.5]
    assert "2 of 3 runs of g have no directness" in write_report(small).read_text(encoding="utf-8")


def test_what_did_not_work_is_counted_from_the_runs(tmp_path):
    tasks = [
        Task("g", "slow", fit=30, generalise=None, seeds=4, steps=500),
        Task("g", "stuck", fit=1e8, seeds=4, steps=500),
        Task("g", "wild", seeds=4, diverge=(2,)),
    ]
    stored = read_stored(write_study(tmp_path, tasks, records=24))
    found = shortfalls(stored, read_sections(stored), read_grids(stored))
    assert [(item["text"], len(item["runs"])) for item in found] == [
        ("1 of 12 runs of g ended as diverged:", 1),
        ("4 of 4 runs of stuck did not fit the training examples within 500 steps: seeds", 4),
        (
            "4 of 4 runs of slow did not generalise within 500 steps although they fitted the training examples: seeds",
            4,
        ),
    ]


def test_groups_of_one_target_are_told_apart_by_what_varies(tmp_path):
    tasks = [Task("g", "t", seeds=2, architectures=("mlp", "gru")), Task("h", "t", seeds=2)]
    first, second = read_grids(read_stored(write_study(tmp_path, tasks, records=8)))
    assert [group.label for group in first.groups] == ["t · gru", "t · mlp"]
    assert [group.label for group in second.groups] == ["t"]
    assert len({(group.colour, group.shape) for group in first.groups + second.groups}) == 3


def test_a_target_without_a_finished_run_is_said(small):
    path = small / "tables" / "summary.json"
    summary = json.loads(path.read_text())
    summary["grids"][0]["targets"].append({"name": "late"})
    path.write_text(json.dumps(summary))
    assert "No run of late is finished." in write_report(small).read_text(encoding="utf-8")


def test_thinning_keeps_ends_and_events():
    rows = pl.DataFrame({"run": ["a"] * 10 + ["b"] * 10, "step": [*range(10)] * 2, "mark": [""] * 20})
    rows = rows.with_columns(
        mark=pl.when((pl.col("run") == "b") & (pl.col("step") == 5)).then(pl.lit("train ")).otherwise("mark")
    )
    kept = thin(rows, 4)
    assert kept.filter(run="a")["step"].to_list() == [0, 4, 8, 9]
    assert kept.filter(run="b")["step"].to_list() == [0, 4, 5, 8, 9]
    assert thin(rows, 1) is rows


def test_a_table_survives_its_encoding():
    table = pl.DataFrame(
        {"run": ["b", "a", "b"], "x": [1.5, None, -2e-7], "step": [0, 1, None], "ok": [True, False, None]}
    )
    columns = {
        name: column if isinstance(column, list) else [None if i < 0 else column["values"][i] for i in column["places"]]
        for name, column in encode(table).items()
    }
    columns = {name: column + [None] * (table.height - len(column)) for name, column in columns.items()}
    assert pl.DataFrame(columns, schema=table.schema).equals(table)


def test_clusters_stand_side_by_side_whatever_the_order_of_the_runs():
    import numpy as np

    rng = np.random.default_rng(1)
    kind = rng.permutation(np.repeat([0, 1, 2], 5))
    noise = rng.uniform(0, 0.1, (15, 15))
    distances = (kind[:, None] != kind[None]) * 1.0 + (noise + noise.T) / 2
    distances[0, 1] = distances[1, 0] = np.nan  # a pair that was not measured
    ordered = kind[cluster_order(distances)]
    assert (np.diff(ordered) != 0).sum() == 2


def test_a_folder_whose_name_would_be_a_pattern_is_read(small, tmp_path):
    odd = small.rename(tmp_path / "run [1] *")
    assert read_stored(odd).runs.height == 3
