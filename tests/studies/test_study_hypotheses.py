"""H1, H3 and the forecast of a study: planted walks whose answers are known."""

import json

import numpy as np
import polars as pl
import pytest

from allroads.atlases.atlas import Atlas
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


def test_numbers_are_said_with_their_level_and_null():
    row = {"grid": "g", "value": 0.5, "low": 0.4, "high": 0.6, "null": 0.45, "verdict": "undecided"}
    row["options"] = json.dumps({"level": 0.1})

    def said(test):
        return findings({"hypotheses": pl.DataFrame([{**row, "test": test}])}, ["g"])[0].text

    assert "50 % of the changes of length lengthen (90 % interval 40–60 %), in shuffled orders 45 %" in said(
        "H3 lengthening"
    )
    assert "slope on program distance of +0.50 (90 % interval +0.40 to +0.60)" in said("H1")
    assert "(95 % interval +0.40 to +0.60)" in said("forecast")
    assert "ψ is 0.50 (interval over draws of fitness 0.40 to 0.60), at random 0.45" in said("navigability, rewired")


@pytest.mark.parametrize("walk", ["a", "ab"])
def test_a_test_without_a_number_says_why(walk):
    rows = answers([list(walk)] * 6, letters(4), permutations=99)
    without = rows.filter(pl.col("value").is_null())
    assert without["test"].n_unique() >= 7 and without["reason"].null_count() == 0


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


def between(seed=0, count=9, sign=1.0, road=True):
    """An atlas of functions whose log steps rise with the road cost and fall with the directness."""
    rng = np.random.default_rng(seed)
    names = [f"0x{code:04x}" for code in rng.choice(1 << 16, count, False)]
    nodes = pl.DataFrame({"node": names, "function": names})
    costs, direct = rng.normal(size=(2, count, count))
    steps = 6 + sign * (costs - direct) + 0.2 * rng.normal(size=(count, count))
    given = {"reach_cost": steps, "directness": direct, **({"road_cost": costs} if road else {})}
    rows = [
        {"source": p, "target": q, "quantity": name, "value": float(values[i, j])}
        for name, values in given.items()
        for i, p in enumerate(names)
        for j, q in enumerate(names)
        if i != j
    ]
    found = Atlas.from_tables(nodes, pl.DataFrame(rows))
    rows = stacked(found).select(pl.lit("g").alias("grid"), pl.all())
    return {"atlas": rows, "runs": pl.DataFrame({"run": ["r"], "target": ["t"], "grid": ["g"]})}


def rows_by_test(tables, **options):
    asked = pl.DataFrame({"options": [json.dumps(MEASURE.options(permutations=999, **options).identity)]})
    return {row["test"]: row for row in answer(asked, tables).iter_rows(named=True)}


@pytest.mark.parametrize(("sign", "verdict"), [(1.0, "supported"), (-1.0, "opposed")])
def test_roads_and_directness_decide_h2(sign, verdict):
    rows = rows_by_test(between(sign=sign))
    for name, slope in (("H2 road cost", sign), ("H2 directness", -sign)):
        row = rows[name]
        assert row["verdict"] == verdict and row["low"] < slope < row["high"] and row["events"] == 72, name
    (found,) = findings({"hypotheses": pl.DataFrame(list(rows.values()), schema=MEASURE.columns)}, ["g"])
    how = "fewer" if sign > 0 else "more"
    assert f"Descents take {how} steps where the straight road is short: log₂ steps have a slope" in found.text
    assert f"Descents take {how} steps where they are direct" in found.text


def test_h2_says_what_is_missing():
    rows = rows_by_test(between(road=False))
    assert rows["H2 road cost"]["status"] == rows["H2 directness"]["status"] == "not measured"
    assert rows["H2 road cost"]["reason"] == "no edges of road_costs: switch road_costs on."
    assert "reach and road_costs" in rows_by_test(planted([list("abc")] * 5, letters(3))[0])["H2 road cost"]["reason"]
    tried = between(road=False) | {"reach": pl.DataFrame(), "road_costs": pl.DataFrame()}
    row = rows_by_test(tried)["H2 road cost"]
    assert (row["status"], row["reason"]) == ("too few pairs", "no pair of programs has a number of road_costs.")
    assert rows_by_test(between(count=4))["H2 road cost"]["status"] == "too few pairs"


def test_programs_with_a_gap_are_left_out_of_h2():
    tables = between(count=8)
    names = tables["atlas"].filter(kind="node")["node"].to_list()
    gap = (pl.col("quantity") == "road_cost") & (pl.col("source") == names[2]) & (pl.col("target").is_in(names[5:7]))
    holed = tables["atlas"].with_columns(value=pl.when(gap.fill_null(False)).then(None).otherwise("value"))
    row = rows_by_test(tables | {"atlas": holed})["H2 road cost"]
    assert row["verdict"] == "supported" and row["events"] == 7 * 6 and row["reason"].endswith("no number: 1.")
    far = pl.col("quantity").eq("directness") & pl.col("source").is_in(names[:4])
    holed = tables["atlas"].with_columns(value=pl.when(far.fill_null(False)).then(None).otherwise("value"))
    assert rows_by_test(tables | {"atlas": holed})["H2 directness"]["status"] == "too few pairs"


def test_programs_that_remember_are_no_chain():
    nodes = letters(3)
    rng = np.random.default_rng(0)
    back = [list("bab") if rng.random() < 0.5 else list("cac") for _ in range(60)]
    free = [[*rng.choice(["b", "c"], 1), "a", *rng.choice(["b", "c"], 1)] for _ in range(60)]
    for walks, verdict, said in (
        (back, "opposed", "so that programs are no Markov chain"),
        (free, "undecided", "Whether the past adds to what a program says of the next is undecided"),
    ):
        table = answers(walks, nodes, permutations=999)
        row = {row["test"]: row for row in table.iter_rows(named=True)}["lumpability"]
        assert row["verdict"] == verdict and row["events"] == 60
        assert said in findings({"hypotheses": table}, ["g"])[0].text
    assert abs({row["test"]: row for row in answers(back, nodes).to_dicts()}["lumpability"]["value"] - 1) < 0.1
    one = {row["test"]: row for row in answers([list("abc")] * 9, nodes).to_dicts()}["lumpability"]
    assert one["status"] == "too few changes" and one["reason"]


def test_navigability_takes_neighbours_of_ends():
    """Six programs on a line, each of which moves join to the next; dealt anew, moves join every pair."""
    names = [f"0x{code}" for code in "012345"]
    walks = [[name] for name in names for _ in range(2)]
    tables, _ = planted(walks, pl.DataFrame({"node": names, "function": names}))
    moves = [
        {"run": f"r{2 * i + k}", "function": names[i], "neighbour": names[j], "count": 10, "moves": 30, "status": "ok"}
        for i in range(6) for k in range(2) for j in (i - 1, i, i + 1) if 0 <= j < 6
    ]  # fmt: skip
    assert rows_by_test(tables)["navigability, rewired"]["reason"] == "switch neighbours on."
    rows = rows_by_test(tables | {"neighbours": pl.DataFrame(moves)})
    one, other = rows["navigability, rewired"], rows["navigability, shuffled"]
    assert one["value"] == other["value"] and one["low"] < one["value"] < one["high"] and one["events"] == 5
    assert other["verdict"] == "opposed" and other["null"] == 1.0
    stay = [row for row in moves if row["function"] == row["neighbour"]]
    for kept, advice in ((moves[:4], "add runs that end at other"), (stay, "raise measures.neighbours.move or moves")):
        few = rows_by_test(tables | {"neighbours": pl.DataFrame(kept)})["navigability, shuffled"]
        assert few["status"] == "too few changes" and advice in few["reason"]
