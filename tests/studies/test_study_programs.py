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
from allroads.studies.measures.programs import MEASURE

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
    assert sentence.startswith("All 2 runs end at a program that is proved to be the target, over all 8 inputs")
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
