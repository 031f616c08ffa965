"""H1, H3 and the forecast of a study: planted walks whose answers are known."""

import json

import numpy as np
import polars as pl
import pytest

from allroads.atlases.from_runs import from_runs
from allroads.atlases.stored import stacked
from allroads.studies.measures.hypotheses import MEASURE, answer, findings
from allroads.studies.measures.matrices import adjacency_matrices


def planted(walks, nodes):
    """The table of an atlas and of runs, as a study has them."""
    found = from_runs({f"r{i}": walk for i, walk in enumerate(walks)}, nodes=nodes, least=1)
    rows = stacked(found).select(pl.lit("g").alias("grid"), pl.all())
    runs = pl.DataFrame({"run": [f"r{i}" for i in range(len(walks))], "target": "t", "grid": "g"})
    return {"atlas": rows, "runs": runs}, found


def answers(walks, nodes, **options):
    asked = pl.DataFrame({"options": [json.dumps(MEASURE.options(**options).identity)]})
    tables, _ = planted(walks, nodes)
    return answer(asked, tables)


def letters(count):
    """Programs a, b, …: one bit longer each, the parts of each among those of the next, one more answer 1."""
    names = [chr(97 + i) for i in range(count)]
    table = {
        "node": names,
        "bits": [float(i) for i in range(count)],
        "parts": [names[: i + 1] for i in range(count)],
        "function": [f"0x{(1 << i) - 1:04x}" for i in range(count)],
    }
    return pl.DataFrame(table)


@pytest.mark.parametrize("seed", [0, 1])
def test_changes_between_programs_that_share_parts_support_h1(seed):
    """Walks by one step among programs in random order of answers: only parts tell which are near."""
    rng = np.random.default_rng(seed)
    nodes = letters(12).with_columns(function=pl.Series([f"0x{code:04x}" for code in rng.choice(1 << 16, 12, False)]))
    names = nodes["node"].to_list()

    def walk(step):
        at, found = int(rng.integers(12)), []
        for _ in range(8):
            found.append(names[at])
            at = step(at)
        return found

    near = answers([walk(lambda at: int(np.clip(at + rng.choice([-1, 1]), 0, 11))) for _ in range(150)], nodes)
    free = answers([walk(lambda at: int(rng.integers(12))) for _ in range(150)], nodes, permutations=999)
    h1 = {row["test"]: row for row in near.iter_rows(named=True)}["H1"]
    assert h1["verdict"] == "supported" and h1["high"] < 0 and h1["status"] == "ok" and h1["events"] == 132
    gain = {row["test"]: row for row in near.iter_rows(named=True)}["forecast"]
    assert gain["verdict"] == "supported" and gain["low"] > 1
    null = {row["test"]: row for row in free.iter_rows(named=True)}
    assert (null["H1"]["p"] > 0.001 and null["H1"]["low"] < 0 < null["H1"]["high"]) or null["H1"]["p"] > 0.001
    assert null["forecast"]["low"] < 0.2


def test_climbs_support_h3_and_falls_oppose_it():
    nodes = letters(6)
    rng = np.random.default_rng(0)

    def walks(order):
        return [[*"a", *order(rng.permutation(list("bcde"))), *"f"] for _ in range(40)]

    for order, verdict in ((sorted, "supported"), (lambda way: sorted(way)[::-1], "opposed"), (list, "undecided")):
        rows = {row["test"]: row for row in answers(walks(order), nodes, permutations=999).iter_rows(named=True)}
        assert rows["H3 lengthening"]["verdict"] == verdict
        assert rows["H3 precedence"]["verdict"] == verdict
    assert rows["H3 lengthening"]["events"] == 200 and rows["H3 lengthening"]["runs"] == 40


def test_matrices_hold_zeros_where_no_change_was_seen():
    _, found = planted([list("abcdef")] * 5, letters(6))
    shares, programs, functions = adjacency_matrices(found)
    assert shares[0, 1] == 1 and shares[0, 2] == 0 and np.isnan(shares[5]).all()
    assert programs[0, 1] == 1 / 2 and programs[1, 2] == pytest.approx(1 / 3) and functions[0, 4] == 4 / 16
    digest = letters(6).with_columns(function=pl.lit("8f3a"))
    assert adjacency_matrices(planted([list("abcdef")] * 5, digest)[1]) is None
    assert adjacency_matrices(planted([list("abc")] * 5, letters(3))[1]) is None


def test_findings_have_the_verb_of_the_verdict():
    nodes = letters(6)
    for walk, said in (("abcdef", "Changes lengthen programs more"), ("aedcbf", "Changes lengthen programs less")):
        table = answers([list(walk)] * 40, nodes, permutations=999)
        (found,) = findings({"hypotheses": table}, ["g"])
        assert said in found.text and found.chart == "atlas" and found.question == "around"
    table = answers([list("ab")] * 3, nodes, permutations=999)
    assert set(table["status"]) >= {"too few changes"} and not findings({"hypotheses": table}, ["g"])
