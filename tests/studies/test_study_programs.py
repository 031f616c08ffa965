"""Programs of a study: their table, their finding, and that they appear along a run."""

import dataclasses

import numpy as np
import polars as pl
import pytest
from made_up_units import a_run, unit_of

import allroads
from allroads import InputError, Target, compile_program, run_study
from allroads.programs.boolean import Formula
from allroads.studies.measures.measure import checked_table
from allroads.studies.measures.programs import MEASURE, findings

BITS = (np.arange(8)[:, None] >> np.arange(3)) & 1
TARGET = Target("xor and", inputs=BITS, labels=(BITS[:, 0] ^ (BITS[:, 1] & BITS[:, 2])), complete=True, loss="bce")


def test_the_program_of_every_point_and_of_the_last_alone():
    """Weights of the formula at the end of a run that begins at zero and passes a point that is not finite."""
    import jax

    network, end = compile_program(Formula.parse("x0 ^ (x1 & x2)", 3))
    path = [jax.tree.map(lambda leaf, s=scale: s * leaf, end) for scale in (0.1, np.nan, 1.0)]
    params = jax.tree.map(lambda *leaves: np.stack(leaves), *path)
    unit = unit_of(a_run(TARGET, network, params, np.array([0, 5, 9])))
    rows = checked_table(MEASURE.compute(unit, MEASURE.options(checkpoints=3)), MEASURE.stored)
    assert rows["step"].to_list() == [0, 5, 9] and rows["status"][1] == "diverged"
    assert rows["correct"].to_list()[1:] == [None, True] and rows["equal"].to_list() == [True, None, True]
    assert rows["scope"][2] == "exhaustive" and rows["checked"][2] == 8 and rows["bits"][2] < rows["table_bits"][2] + 20
    (last,) = MEASURE.compute(unit, MEASURE.options())
    assert last["step"] == 9 and last["source"] == rows["source"][2]
    assert MEASURE.compute(unit, MEASURE.options(checkpoints=0)) == []


def test_a_study_finds_the_programs_of_its_runs(tmp_path):
    study = {
        "name": "programs",
        "measures": {"programs": {"checkpoints": 4}, "pairs": False},
        "grid": [{
            "name": "bits", "seeds": 2, "steps": 300, "records": 8,
            "target": [{"kind": "boolean", "bits": 3, "rule": "parity", "k": 2, "train_fraction": 1.0}],
            "architecture": [{"kind": "mlp", "widths": [16]}],
            "explorer": [{"kind": "adam", "learning_rate": 0.02}],
        }],
    }  # fmt: skip
    done = run_study(study, tmp_path / "out", "process")
    table = pl.read_parquet(tmp_path / "out/tables/programs.parquet")
    assert len(table) == 8
    ends = table.filter(pl.col("step") == 300)
    assert len(ends) == 2 and ends["correct"].all() and ends["equal"].all()
    assert all("^" in source for source in ends["source"])
    (sentence,) = [finding["text"] for finding in done.summary["findings"] if "program" in finding["text"]]
    assert sentence.startswith("All 2 runs (100 %, 95 % interval 34–100 %) end at a program that is proved to be the ")
    assert "target, over all 8 inputs" in sentence
    steps = [part.filter(pl.col("source") == part["source"][-1])["step"].min() for part in table.partition_by("run")]
    assert (
        f"Their last program is there from step {np.median(steps):,.0f} on (median of 2); the reading before it: "
        in sentence
    )
    assert pytest.approx(ends["bits"][0]) == ends["bits"][1]
    page = (tmp_path / "out/report.html").read_text("utf-8")
    assert "proved to be the target" in page and "circuit; 2 runs" in page


def test_an_extraction_is_drawn():
    found = allroads.extract(*compile_program(Formula.parse("x0 ^ (x1 & x2)", 3)), TARGET)
    texts = {row.get("text") for row in found.plot().to_dict()["data"]["values"]}
    assert {"x0", "x1", "x2", "AND", "XOR"} <= texts
    with pytest.raises(InputError, match="no program was read"):
        dataclasses.replace(found, program=None).plot()


def a_row(run, step, status, source=None, correct=None, scope="exhaustive", checked=8, language="boolean"):
    return {"run": run, "step": step, "status": status, "source": source, "correct": correct, "scope": scope,
            "checked": checked, "language": language}  # fmt: skip


def test_the_finding_counts_what_was_proved_and_since_when():
    """Five runs of one grid, and one of another; their readings are given, and the sentence is worked out by hand."""
    runs = pl.DataFrame(
        [{"run": r, "target": "t" if r != "b" else "u", "grid": "one" if r != "z" else "two"} for r in "abcdez"]
    )
    programs = pl.DataFrame(
        [
            a_row("a", 0, "no program"), a_row("a", 10, "computes", "A", True), a_row("a", 20, "computes", "A", True),
            a_row("b", 0, "behaves as", "B", False), a_row("b", 10, "behaves as", "B", False),
            a_row("b", 20, "behaves as", "A", True, "all lengths", 99, "mealy"),
            a_row("c", 0, "computes", "C", True), a_row("c", 20, "behaves as", "A", True),
            a_row("d", 0, "computes", "A", True), a_row("d", 20, "computes", "D", False),
            a_row("e", 0, "computes", "A", True), a_row("e", 20, "not proved", "A", True),
            a_row("z", 20, "computes", "Z", True),
        ],
        schema_overrides={"source": pl.String, "correct": pl.Boolean},
        infer_schema_length=None,
    )  # fmt: skip
    whole, first, second = findings({"runs": runs, "programs": programs}, ["one", "two"])
    assert (whole.grid, first.grid, second.grid) == ("", "one", "two") and "4 of 6" in whole.text
    # Ends: a, b and c are proved to be the target; d is another function, e is not proved. One of them computes.
    assert "3 of 5" in first.text
    assert "end at a program that is proved to be the target, at all lengths and over all 8 inputs" in first.text
    assert "(2 boolean, 1 mealy): 2 programs for 2 targets." in first.text
    assert "In 1 of them exchanged hidden states act" in first.text
    # Last programs are there from 10 (a), 20 (b), 20 (c) and 20 (d) on; e held its own all along.
    assert "from step 20 on (median of 4)" in first.text
    assert "another program of the target (2), " in first.text
    assert "no program (1)" in first.text and "a program of another function (1)" in first.text
    assert "1 program for 1 target" in second.text and "median" not in second.text
    none = findings({"runs": runs, "programs": programs.filter(pl.col("run").is_in(["d", "e"]))}, ["one"])[0].text
    assert none.startswith(
        "No run ends at a program that is proved to be its target. They end at: a program of another function (1), "
        "not proved (1)."
    )


def test_a_table_of_the_target_is_no_program_of_it_and_is_counted():
    """In the finding and beside the chart alike."""
    runs = pl.DataFrame({"run": list("abcd"), "target": "t", "grid": "one"})
    rows = [
        a_row("a", 20, "table", None, True), a_row("b", 20, "table", None, False),
        a_row("c", 20, "behaves as", "B", False), a_row("d", 20, "computes", "A", True),
    ]  # fmt: skip
    programs = pl.DataFrame(rows, schema_overrides={"source": pl.String, "correct": pl.Boolean})
    (some,) = findings({"runs": runs, "programs": programs}, ["one"])
    assert some.text.startswith("1 of 4 runs (25 %, ") and some.text.endswith("1 of 4 runs end at its table instead.")
    (none,) = findings({"runs": runs.head(3), "programs": programs.head(3)}, ["one"])
    assert none.text == (
        "No run ends at a program that is proved to be its target. They end at: a program of another function (1), "
        "the table of another function (1), the table of the target (1)."
    )


def test_weights_that_are_not_finite_are_not_read():
    """The run's last point is NaN: its row says so, and nothing is asked of it."""
    import jax

    network, end = compile_program(Formula.parse("x0 ^ (x1 & x2)", 3))
    params = jax.tree.map(lambda leaf: np.stack([leaf, np.nan * leaf]), end)
    unit = unit_of(a_run(TARGET, network, params, np.array([0, 5])))
    assert MEASURE.compute(unit, MEASURE.options()) == [{"step": 5, "status": "diverged"}]
