"""The atlas of a study: its table, its findings for what changes show, and the atlas that is read back."""

import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allroads import InputError, UnknownNameError, atlas, run_study
from allroads.atlases.atlas import Atlas
from allroads.atlases.from_study import programs_atlas
from allroads.atlases.stored import stacked
from allroads.studies.measures.atlas import MEASURE, answer, findings

RUNS = pl.DataFrame({"run": [f"r{i}" for i in range(12)], "grid": "g", "train_loss": [0.01 * i for i in range(12)]})


def programs(labels):
    """The programs of each run at steps 0, 1, …: letters, lower-case ones of one bit each less than the next."""
    rows = [
        {
            "run": f"r{run}", "step": step, "status": "computes", "language": "letters", "bits": float(ord(letter)),
            "canonical": f"def program(x):\n    return {letter}", "parts": [letter], "function": f"f{letter}",
            "equal": letter != "?", "correct": letter == "c", "scope": "exhaustive", "checked": 4, "diagram": None,
        }
        for run, word in enumerate(labels)
        for step, letter in enumerate(word)
    ]  # fmt: skip
    return pl.DataFrame(rows, schema_overrides={"diagram": pl.String})


def said(labels, **options):
    asked = pl.DataFrame({"stats": [json.dumps(MEASURE.options(**options).identity)]})
    tables = {"runs": RUNS.head(len(labels)), "programs": programs(labels)}
    (found,) = findings({"atlas": answer(asked, tables)}, ["g"])
    assert found.question == "around" and found.chart == "atlas"
    return found.text


def test_findings_say_what_changes_show():
    text = said(["abc"] * 10)
    assert text.startswith("The 10 runs pass 3 programs and change their program 20 times between two records. ")
    assert "Of the 10 changes that leave a, most lead to b: 100 % (95 % interval 69–100 %)." in text
    assert "mostly lengthen them (20 of 20 lengthen, 95 % interval 83–100 %)" in text
    assert "mostly shorten them (0 of 20 lengthen" in said(["cba"] * 10)
    open_ = said(["ab", "ac"] * 5)
    assert "the largest share leads to " in open_
    assert ": 50 % (95 % interval 19–81 %), not clearly more or fewer than half." in open_
    assert "fewer than half lead to any one program, most to " in said(["ab", "ac", "ad", "ae", "af", "ag"] * 2)
    assert "neither clearly lengthen nor shorten them (4 of 8" in said(["ab", "ba"] * 4)
    assert said(["ab"] * 3).count("too few to say where changes lead") == 1
    assert said(["aa"] * 3) == "The 3 runs pass 1 program, and none changes its program between two records."
    assert said(["aa"]) == "The run passes 1 program, and it never changes its program between two records."
    assert said(["ab"]).startswith("The run passes 2 programs and changes its program 1 time between two records.")
    assert said(["??"]) == "No record has a program that was proved."
    one = "one record, and a change takes two: raise measures.programs.checkpoints."
    assert said(["a", "b"]) == f"The 2 runs pass 2 programs; each has {one}"
    assert said(["a"]) == f"The run passes 1 program; it has {one}"
    assert "none changes" in said(["a", "aa"])


def test_one_share_has_one_interval():
    """Where the test of H3 says how many changes lengthen, by runs, the atlas does not say it by changes."""
    asked = pl.DataFrame({"stats": [json.dumps(MEASURE.options().identity)]})
    tables = {"runs": RUNS.head(10), "programs": programs(["abc"] * 10)}
    tables |= {"atlas": answer(asked, tables)}
    tested = pl.DataFrame({"grid": ["g"], "test": ["H3 lengthening"], "value": [1.0]})
    assert "lengthen" in findings(tables, ["g"])[0].text
    assert "lengthen" not in findings(tables | {"hypotheses": tested}, ["g"])[0].text
    for other in ({"grid": ["other"]}, {"value": [None]}, {"test": ["H3 precedence"]}):
        table = tested.with_columns(
            **{name: pl.Series(value, dtype=tested[name].dtype) for name, value in other.items()}
        )
        assert "lengthen" in findings(tables | {"hypotheses": table}, ["g"])[0].text


def test_nodes_have_their_proof_and_what_was_measured_there():
    table = programs(["ab", "ab?"])
    llc = pl.DataFrame(
        {"run": ["r0", "r1", "r1"], "step": [1, 1, 2], "value": [2.0, 4.0, 9.0], "status": ["ok", "ok", "bad"]}
    )
    pairs = pl.DataFrame({"run_a": ["r0"], "run_b": ["r1"], "barrier_train": [0.5], "aligned_train": [0.25]})
    found = programs_atlas({"runs": RUNS, "programs": table, "llc": llc, "pairs": pairs}, "g", least=1)
    rows = {row["label"]: row for row in found.nodes.iter_rows(named=True)}
    assert list(rows) == ["a", "b", "none/mixed"] and rows["b"]["llc"] == 3.0 and rows["a"]["llc"] is None
    assert rows["a"]["scope"] == "exhaustive" and rows["a"]["function"] == "fa" and rows["none/mixed"]["source"] is None
    # r0 ends at b and r1 at none/mixed: the aligned barrier plus the greater loss, in both directions
    passes = found.edges.filter(pl.col("quantity") == "pass_upper")
    assert passes["value"].to_list() == pytest.approx([0.26, 0.26]) and passes["tried"].to_list() == [1, 1]
    by_function = programs_atlas({"runs": RUNS, "programs": table}, "g", label="function")
    assert by_function.names == ["fa", "fb", "f?"]


@pytest.mark.slow
def test_a_study_has_its_atlas(tmp_path):
    study = {
        "name": "atlas",
        "measures": {"programs": {"checkpoints": 4}, "atlas": {"least": 1}, "pairs": True},
        "grid": [{
            "name": "bits", "seeds": 3, "steps": 100, "records": 8,
            "target": [{"kind": "boolean", "bits": 3, "rule": "parity", "k": 2, "train_fraction": 1.0}],
            "architecture": [{"kind": "mlp", "widths": [8]}],
            "explorer": [{"kind": "adam", "learning_rate": 0.02}],
        }],
    }  # fmt: skip
    done = run_study(study, tmp_path / "out", "process")
    found = atlas(done)
    assert (
        found.value > 1
        and found.stats["runs"] == 3
        and found.stats["least"] == 1
        and found.nodes["bits"].is_not_null().any()
    )
    table = pl.read_parquet(tmp_path / "out/tables/programs.parquet")
    assert found.nodes["visits"].sum() == table.height == 12
    again = atlas(tmp_path / "out", grid="bits", least=1)
    assert again.nodes.equals(found.nodes) and again.edges.equals(found.edges) and again.stats == found.stats
    functions = atlas(tmp_path / "out", label="function")
    ends = set(table.filter(pl.col("step") == 100)["function"])
    assert set(functions.nodes.filter(pl.col("ends") > 0)["node"]) == ends and all(end[:2] == "0x" for end in ends)
    assert any(finding["chart"] == "atlas" for finding in done.summary["findings"])
    with pytest.raises(UnknownNameError, match="grid with programs"):
        atlas(done, grid="bitz")
    assert np.isfinite(found.matrix("changes")).any()


def test_studies_without_programs_or_with_several_grids(tmp_path):
    tables = tmp_path / "tables"
    tables.mkdir()
    runs = RUNS.with_columns(grid=pl.when(pl.col("run") < "r2").then(pl.lit("g")).otherwise(pl.lit("h")))
    runs.write_parquet(tables / "runs.parquet")
    with pytest.raises(InputError, match="holds no programs"):
        atlas(tmp_path)
    programs(["ab"] * 6).write_parquet(tables / "programs.parquet")
    with pytest.raises(InputError, match="grid: programs were read in 'g', 'h'; name one"):
        atlas(tmp_path)
    assert atlas(tmp_path, grid="h").stats["runs"] < 6
    programs(["ab"]).drop("canonical").write_parquet(tables / "programs.parquet")
    with pytest.raises(InputError, match="'canonical' is absent"):
        atlas(tmp_path)
    (tables / "programs.parquet").write_bytes(b"no table")
    with pytest.raises(InputError, match="cannot be read"):
        atlas(tmp_path)


def edge(source, target, quantity, value, low, high):
    names = {"source": source, "target": target, "quantity": quantity, "value": value, "low": low, "high": high}
    return names | {"tried": 10, "status": "ok"}


def told(edges):
    """What is said of an atlas of three programs with these edges, beside that each run has one record."""
    found = atlas([["a"], ["b"], ["c"]])
    whole = Atlas.from_tables(found.nodes, pl.DataFrame(edges), found.walks, stats=found.stats)
    table = stacked(whole).select(pl.lit("g").alias("grid"), pl.all())
    (said,) = findings({"atlas": table}, ["g"])
    return said.text.partition("checkpoints. ")[2]


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 0.3)), min_size=1, max_size=6))
@settings(max_examples=25, deadline=None)
def test_what_is_said_of_moves_follows_from_their_intervals(numbers):
    pairs = [(p, q) for p in "abc" for q in "abc" if p != q]
    rows = [
        edge(p, q, "neighbour_share", value, max(value - half, 0.0), min(value + half, 1.0))
        for (p, q), (value, half) in zip(pairs, numbers, strict=False)
    ]
    text = told(rows)
    most = max(rows, key=lambda row: row["value"])
    others = [row["high"] for row in rows if row is not most]
    clear = bool(others) and most["low"] > max(others)
    assert text.startswith("Small moves of the weights lead most often" if clear else "Small moves of the weights were")
    assert f"from {most['source']} to {most['target']}: {100 * most['value']:.0f} %" in text
    assert ("not clearly more often" in text) is (bool(others) and not clear)
    assert ("between no other two programs" in text) is not others


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=6, max_size=6))
@settings(max_examples=25, deadline=None)
def test_what_is_said_of_descents_counts_their_intervals(ends):
    pairs = [(p, q) for p in "abc" for q in "abc" if p != q]
    ends = dict(zip(pairs, map(sorted, ends), strict=True))
    rows = [edge(*pair, "reach", (low + high) / 2, low, high) for pair, (low, high) in ends.items()]
    text = told(rows)
    often, seldom = sum(low > 0.5 for low, _ in ends.values()), sum(high < 0.5 for _, high in ends.values())
    assert f"more often than not in {often} of 6 ordered pairs, less often in {seldom}, and" in text
    assert f"and {6 - often - seldom} are not clear." in text and "direction" not in text
    ways = [
        edge(p, q, "reach_asymmetry", sign, sign * 1.5 - 0.5, 1.0)
        for (p, q), sign in zip(pairs, [1, -1] * 3, strict=True)
    ]
    assert told(rows + ways).endswith("One direction is clearly easier in 3 of 3 pairs.")


TEXTS = ("x0 & x1", "x0 ^ x1", "x0 | x2", "x2", "~x1")


@pytest.mark.slow
def test_a_study_measures_what_lies_between_its_ends(tmp_path):
    """Edges of each kind stand in the stored atlas, the hypotheses read them, and the page shows them."""
    target = {"kind": "boolean", "bits": 3, "train_fraction": 1.0}
    study = {
        "name": "edges",
        "measures": {
            "programs": {"checkpoints": 4}, "neighbours": {"moves": 64, "move": 0.5}, "reach": {"steps": 200},
            "road_costs": {"steps": 96}, "atlas": {"least": 1}, "hypotheses": {"permutations": 99, "resamples": 100},
            "pairs": False, "embedding": False,
        },
        "grid": [{
            "name": "bits", "seeds": 2, "steps": 150, "records": 8,
            "target": [{"label": text, "expression": text, **target} for text in TEXTS],
            "architecture": [{"kind": "mlp", "widths": [8]}],
            "explorer": [{"kind": "adam", "learning_rate": 0.03}],
        }],
    }  # fmt: skip
    done = run_study(study, tmp_path / "out", "process")
    found = atlas(done)
    expected = {
        "changes",
        "neighbour_share",
        "boundary",
        "reach",
        "reach_cost",
        "directness",
        "reach_asymmetry",
        "road_cost",
    }
    assert set(found.quantities) == expected and "left_out" not in found.stats
    assert found.edges.filter(quantity="reach")["value"].min() > 0.5  # adam on eight units comes nearly everywhere
    ends = found.nodes.filter(pl.col("ends") > 0)
    assert ends["robustness"].null_count() == 0 and ends["evolvability"].null_count() == 0
    tests = {row["test"]: row for row in pl.read_parquet(tmp_path / "out/tables/hypotheses.parquet").to_dicts()}
    assert tests["H2 road cost"]["events"] == 20 and tests["H2 road cost"]["reason"] is None
    page = done.report.read_text()
    assert all(f'"{title}"' in page for title in ("road cost", "neighbour share", "log₂ steps to reach"))
    found.save(tmp_path / "saved")
    assert Atlas.load(tmp_path / "saved").edges.equals(found.edges)
    assert "road_cost" in (tmp_path / "saved/atlas.graphml").read_text()
