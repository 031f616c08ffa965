"""The atlas of runs: nodes, edges, walks, what is left out, files, and bad input."""

import numpy as np
import polars as pl
import pytest
from scipy.stats import beta

from allroads import Atlas, InputError, UnknownNameError, atlas, enumerate_map, exact_neighbour_share
from allroads.atlases.clusters import OTHERS
from allroads.atlases.files import graphml
from allroads.atlases.stored import stacked, unstacked
from allroads.programs.boolean import Formula
from allroads.status import AtlasStatus

CHAIN = np.array([[0, 0.7, 0.2, 0.1], [0.1, 0, 0.6, 0.3], [0.25, 0.25, 0, 0.5], [0.4, 0.3, 0.3, 0]])


def walks_of(chain, runs, length, rng):
    """Walks of a Markov chain that never stays, from a uniform start."""
    nodes = np.arange(len(chain))
    found = []
    for _ in range(runs):
        walk = [int(rng.integers(len(chain)))]
        while len(walk) < length:
            walk.append(int(rng.choice(nodes, p=chain[walk[-1]])))
        found.append(walk)
    return found


def test_shares_of_changes_are_those_of_the_planted_chain(seed):
    found = atlas(walks_of(CHAIN, 300, 20, np.random.default_rng(seed)))
    order = [found.names.index(str(node)) for node in range(4)]
    value, low, high, tried = (
        found.matrix("changes", of)[np.ix_(order, order)] for of in ("value", "low", "high", "tried")
    )
    assert np.isnan(np.diag(value)).all() and np.nansum(value, axis=1) == pytest.approx(1)
    off = ~np.eye(4, dtype=bool)
    # 12 shares, each of some 1,400 changes: five standard deviations
    assert (np.abs(value - CHAIN)[off] < 5 * np.sqrt(CHAIN * (1 - CHAIN) / tried)[off]).all()
    count = (value * tried)[0, 1]
    ends = beta.ppf([0.025, 0.975], [count, count + 1], [tried[0, 1] - count + 1, tried[0, 1] - count])
    assert [low[0, 1], high[0, 1]] == pytest.approx(ends)
    assert found.stats["changes"] == 300 * 19 == np.nanmax(tried, axis=1).sum()


def test_stays_visits_ends_and_steps():
    found = atlas({"r": ["a", "a", "b"], "s": ["b", None, None]}, steps=[0, 5, 9], least=1)
    rows = {row["node"]: row for row in found.nodes.iter_rows(named=True)}
    assert list(rows) == ["a", "b", "none"] and rows["none"]["label"] == "none/mixed"
    assert [(rows[n]["visits"], rows[n]["ends"]) for n in rows] == [(2, 0), (2, 1), (2, 1)]
    assert found.walks.rows() == [
        ("r", 0, "a", 0, 2), ("r", 1, "b", 9, 1), ("s", 0, "b", 0, 1), ("s", 1, "none", 5, 2),
    ]  # fmt: skip
    assert found.sequences() == {"r": ["a", "b"], "s": ["b", "none"]}
    assert found.value == 3 and found.stats["runs"] == 2 and found.status is AtlasStatus.OK


def test_edges_of_too_few_changes_are_left_out_and_counted():
    runs = [["a", "b", "c"]] * 4 + [["a", "c"]] * 2
    found = atlas(runs)
    assert found.edges.select("source", "target").rows() == [("a", "b"), ("a", "c")]
    assert (found.stats["edges_left_out"], found.stats["changes_left_out"]) == (1, 4)
    assert found.stats["components"] == 1, "a change that is left out still joins two nodes"
    assert "edges left out: 1" in str(found)
    assert atlas(runs, least=4).edges.height == 3


def test_flickers_are_counted_and_merged_on_request():
    runs = [list("aabaacbbb"), list("ab"), list("abab")]
    found = atlas(runs, least=1)
    assert found.stats["flicker"] == 3 and found.sequences()["0"] == list("abacb")
    calm = atlas(runs, least=1, merge_flicker=True)
    assert calm.sequences() == {"0": list("acb"), "1": list("ab"), "2": list("ab")}
    assert calm.stats["flicker_merged"] == 2 and calm.walks.filter(pl.col("run") == "0")["records"].to_list() == [
        5,
        1,
        3,
    ]
    assert atlas(runs, flicker=1, least=1).stats["flicker"] == 0
    assert atlas([list("abba")], flicker=3, least=1).stats["flicker"] == 1


@pytest.mark.parametrize(
    "runs, status",
    [
        ([["a", "a"], ["a"]], AtlasStatus.ONE_PROGRAM),
        ([["a", "b"], ["c", "d"]], AtlasStatus.DISCONNECTED),
        ([["a", "b"], ["b", "c"]], AtlasStatus.OK),
        ([[str(i)] for i in range(30)], AtlasStatus.CLUSTERED),
    ],
)
def test_statuses(runs, status):
    found = atlas(runs, most=20)
    assert found.status is status and found.status.value in str(found)
    if status is AtlasStatus.DISCONNECTED:
        assert found.stats["components"] == 2 and "2 parts; the largest has 2 nodes" in str(found)
    assert Atlas.from_tables(pl.DataFrame({"node": []}, schema={"node": pl.String})).status is AtlasStatus.EMPTY


def test_programs_are_nodes_by_their_normal_form():
    x, y = Formula.parse("x0 & x1", 2), Formula.parse("x1 & x0", 2)
    found = atlas([[None, x], [None, y], [None, Formula.parse("x0", 2)]], least=1)
    assert found.names[-1] == "none" and found.value == 3
    row = found.nodes.row(0, named=True)
    assert (row["label"], row["language"], row["ends"]) == ("x0 & x1", "boolean", 2) and row["bits"] == x.bits
    assert row["source"] == x.canonical().source and row["parts"] == ["x0 & x1"]


def test_programs_of_two_languages_are_kept_apart():
    class Other(Formula):
        language = "other"

        def canonical(self):
            return self

    a, b = Formula.parse("x0", 1), Other.parse("x0", 1)
    found = atlas([[a, b]] * 5)
    assert found.value == 2 and found.stats["languages"] == ["boolean", "other"] and "boolean, other" in str(found)
    table = pl.DataFrame({"node": ["p", "q"], "language": ["boolean", "other"], "function": ["0x2", "0x2"]})
    assert atlas([["p", "q"]] * 5, nodes=table).stats["language_changes"] == 5
    assert atlas([["p", "q"]] * 5, nodes=table.with_columns(function=pl.Series(["0x2", "0x1"]))).stats[
        "language_changes"
    ] == 0  # fmt: skip


def test_thousands_of_programs_become_clusters():
    names = [f"p{i}" for i in range(60)]
    table = pl.DataFrame({"node": names, "function": [f"f{i % 5}" for i in range(60)], "parts": [["a"]] * 60})
    runs = [[name, "p0"] for name in names]
    by_function = atlas(runs, nodes=table, most=10)
    assert by_function.value == 5 and by_function.status is AtlasStatus.CLUSTERED
    assert by_function.nodes["label"][0] == "p0 and 11 more" and "joined by function" in by_function.stats["clusters"]
    by_parts = atlas(runs, nodes=table.with_columns(function=pl.col("node")), most=10)
    assert by_parts.names == ["p0"] and "parts" in by_parts.stats["clusters"]
    by_visits = atlas([*runs, [None]], most=10)
    assert by_visits.value == 10 and {"p0", OTHERS, "none"} <= set(by_visits.names)
    assert by_visits.nodes["visits"].sum() == 121


def test_numbers_of_a_cluster_are_of_all_its_programs():
    nodes = pl.DataFrame(
        {"node": ["a", "b", "c"], "function": ["f", "f", "g"], "frequency": [0.5, 0.25, 0.125], "llc": [1.0, 2.0, 3.0]}
    )
    found = atlas([["a", "b", "b", "c"]] * 5, nodes=nodes, most=2).nodes
    assert found.select("node", "function", "frequency", "llc").rows() == [("b", "f", 0.75, None), ("c", "g", 0.125, 3)]


def test_an_atlas_comes_back_from_its_files(tmp_path):
    import networkx as nx

    found = atlas([[None, Formula.parse("x0", 2), Formula.parse("x0 & x1", 2)]] * 6 + [[None]])
    assert found.save(tmp_path / "new" / "folder") == tmp_path / "new" / "folder"
    again = Atlas.load(tmp_path / "new" / "folder")
    for name in ("nodes", "edges", "walks"):
        assert getattr(again, name).equals(getattr(found, name))
    assert (again.stats, again.conventions, again.status) == (found.stats, found.conventions, found.status)
    graph = nx.read_graphml(tmp_path / "new" / "folder" / "atlas.graphml")
    assert set(graph) == set(found.names) and graph.number_of_edges() == found.edges.height
    assert graph.nodes[found.names[1]]["parts"] == "x0 & x1"
    assert graph.edges["none", found.names[0]]["changes_low"] == found.edges["low"][0]
    other = unstacked(stacked(found))
    assert other.nodes.equals(found.nodes) and other.stats == found.stats and other.conventions == found.conventions
    assert graphml(other).edges == graphml(found).edges


@pytest.mark.parametrize("label", ["x0 ∧ x1", "\x1b[31m", "a\x00b", '<&">', "\uffff", " "])
def test_any_label_comes_back_from_graphml(tmp_path, label):
    import networkx as nx

    found = atlas([[label, "b"]] * 5)
    found.save(tmp_path)
    read = nx.read_graphml(tmp_path / "atlas.graphml")
    written = label.encode("unicode_escape").decode() if label in ("\x1b[31m", "a\x00b", "\uffff") else label
    assert list(read.edges) == [(written, "b")]
    assert Atlas.load(tmp_path).names == [label, "b"]


def test_an_array_has_a_row_per_run():
    rows = [[1, 2, 1], [1, 3, 3]] * 5
    assert atlas(np.array(rows)).nodes.equals(atlas(rows).nodes)


def test_a_long_label_is_printed_in_short():
    found = atlas([["x" * 10_000, "y" * 10_000]] * 5)
    assert len(str(found)) < 500
    assert found.names[0] == "x" * 10_000


def test_a_label_others_is_not_the_node_of_the_others():
    found = atlas([["others", "a", "others", "b", "c", "others"]] * 5, most=3)
    counts = dict(found.nodes.select("node", "visits").iter_rows())
    assert counts == {"others": 15, "a": 5, "others*": 10}


def test_graphs_and_matrices_of_given_edges():
    nodes = pl.DataFrame({"node": ["a", "b", "c"], "llc": [1.0, 2.0, None]})
    edges = pl.DataFrame({"source": ["a", "b"], "target": ["b", "a"], "quantity": ["reach"] * 2, "value": [0.5, 0.0]})
    found = Atlas.from_tables(nodes, edges)
    assert found.nodes["llc"].to_list() == [1.0, 2.0, None] and found.conventions["reach"].startswith("R(p→q)")
    np.testing.assert_array_equal(found.matrix("reach"), [[np.nan, 0.5, np.nan], [0, np.nan, np.nan], [np.nan] * 3])
    graph = found.graph("reach")
    assert graph.edges["a", "b"]["weight"] == 0.5 and graph.nodes["b"]["llc"] == 2.0
    assert found.status is AtlasStatus.DISCONNECTED and found.stats["largest"] == 2
    own = Atlas.from_tables(nodes, edges.with_columns(quantity=pl.lit("mine")), conventions={"mine": "Of mine."})
    assert own.quantities == ["mine"] and own.conventions == {"mine": "Of mine."}
    with pytest.raises(UnknownNameError, match="quantity"):
        found.matrix("rech")
    with pytest.raises(UnknownNameError, match="column"):
        found.matrix("reach", "hi")


def test_a_map_that_was_enumerated_has_an_atlas():
    grid = enumerate_map(lambda x: x[:, 0] & x[:, 1], (0, 1), coordinates=2, progress=False)
    for found in (atlas(grid), atlas(exact_neighbour_share(grid))):
        np.testing.assert_array_equal(found.matrix("boundary"), [[np.nan, 0.25], [0.25, np.nan]])
    with pytest.raises(InputError, match="least"):
        atlas(grid, least=3)


@pytest.mark.parametrize(
    "call, says",
    [
        (lambda: atlas([]), "labels of one run or more"),
        (lambda: atlas(3), "labels of one run or more"),
        (lambda: atlas([["a"], []]), "run '1' has no record"),
        (lambda: atlas({"r": "ab"}), "run 'r' is 'ab'"),
        (lambda: atlas([[1, "1"]]), "labels of one type"),
        (lambda: atlas([[["a"]]]), "cannot be a label"),
        (lambda: atlas([[float("nan")]]), "a label is NaN"),
        (lambda: atlas([[np.float32("nan"), 1]]), "a label is NaN"),
        (lambda: atlas(np.array([[0.5, np.nan]])), "a label is NaN"),
        (lambda: atlas([["\udcff"]]), "not valid Unicode"),
        (lambda: atlas([["a", "b"]], steps=[0.5, 1.5]), "whole numbers"),
        (lambda: atlas([["a", "b"]], steps=[0]), "2 records and 1 steps"),
        (lambda: atlas({"r": ["a"]}, steps={"s": [0]}), "one per run"),
        (lambda: atlas([["a"]], nodes=[1]), "polars DataFrame"),
        (lambda: atlas([["a"]], least=0), "least: expected"),
        (lambda: atlas([["a"]], most=1), "most: expected"),
        (lambda: atlas([["a"]], leest=3), "leest"),
        (lambda: atlas("/nowhere"), "holds no programs"),
        (lambda: Atlas.load("/nowhere"), "holds no atlas"),
        (lambda: Atlas.from_tables(pl.DataFrame({"name": ["a"]})), "'node' is absent"),
        (lambda: Atlas.from_tables(pl.DataFrame({"node": ["a", "a"]})), "'a' is there twice"),
        (lambda: Atlas.from_tables(pl.DataFrame({"node": ["a", None]})), "a name is null"),
        (lambda: Atlas.from_tables(pl.DataFrame({"node": ["a"], "bits": ["long"]})), "'bits' is String"),
        (lambda: _edges(target="z"), "'z' of target is no node"),
        (lambda: _edges(quantity="unheard"), "no convention"),
        (lambda: _edges(times=2), "a → b has reach twice"),
    ],
)
def test_bad_input(call, says):
    with pytest.raises(InputError, match=says):
        call()


def _edges(target="b", quantity="reach", times=1):
    edge = {"source": "a", "target": target, "quantity": quantity, "value": 1.0}
    return Atlas.from_tables(pl.DataFrame({"node": ["a", "b"]}), pl.DataFrame([edge] * times))


def test_a_damaged_file_is_named(tmp_path):
    folder = atlas([["a", "b"]]).save(tmp_path)
    (folder / "atlas.json").write_text("{")
    with pytest.raises(InputError, match="cannot be read"):
        Atlas.load(folder)
    with pytest.raises(InputError, match="cannot be written"):
        atlas([["a", "b"]]).save(folder / "nodes.parquet")
