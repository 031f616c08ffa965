"""Pass heights and merge trees on graphs, against brute force, H0 and closed forms."""

import itertools
import pickle

import networkx as nx
import numpy as np
import pytest

from allroads import AtlasStatus, InputError, merge_tree, pass_heights
from allroads.atlases.passes import barrier_clusters, cluster_agreement


def random_landscape(rng, nodes, share):
    """A graph whose edges lie above both of their ends, some absent; small whole numbers make ties."""
    energies = rng.integers(0, 5, nodes).astype(float)
    heights = np.maximum(energies[:, None], energies[None, :]) + rng.integers(0, 6, (nodes, nodes))
    heights = np.triu(np.where(rng.random((nodes, nodes)) < share, heights, np.nan), 1)
    return np.where(np.tri(nodes, dtype=bool), np.nan, heights), energies


def brute_force(edges, energies):
    """The least, over all simple paths, of the largest edge."""
    count = len(energies)
    both = np.fmin(np.where(np.isnan(edges), np.inf, edges), np.where(np.isnan(edges), np.inf, edges).T)
    found = np.full((count, count), np.inf)
    for p, q in itertools.combinations(range(count), 2):
        others = [node for node in range(count) if node not in (p, q)]
        for length in range(len(others) + 1):
            for inner in itertools.permutations(others, length):
                path = (p, *inner, q)
                height = max(both[a, b] for a, b in itertools.pairwise(path))
                found[p, q] = found[q, p] = min(found[p, q], height)
    np.fill_diagonal(found, energies)
    return found


def h0_bars(edges, energies):
    """Births and deaths of components by a sweep over all levels with connected components from scratch."""
    both = np.fmin(np.where(np.isnan(edges), np.inf, edges), np.where(np.isnan(edges), np.inf, edges).T)
    np.fill_diagonal(both, np.inf)
    deaths = {}
    for level in np.unique(both[np.isfinite(both)]):
        for part in nx.connected_components(nx.from_numpy_array((both <= level).astype(int))):
            elder = min(part, key=lambda node: (energies[node], node))
            for node in part - {elder}:
                deaths.setdefault(node, level)
    return [(energies[node], deaths.get(node)) for node in range(len(energies))]


@pytest.mark.parametrize("number", range(12))
def test_spanning_tree_brute_force_and_h0_say_the_same(number):
    edges, energies = random_landscape(np.random.default_rng(number), 6, (0.35, 0.7, 1.0)[number % 3])
    heights = pass_heights(edges, energies)
    np.testing.assert_array_equal(heights, brute_force(edges, energies))
    tree = merge_tree(edges, energies)
    bars = h0_bars(edges, energies)
    assert list(zip(tree.bars["birth"], tree.bars["death"], strict=True)) == bars
    for level in np.arange(-1, 12, 0.5):
        found = tree.components(level)
        assert ((found >= 0) == (energies <= level)).all()
        inside = np.flatnonzero(found >= 0)
        np.testing.assert_array_equal(
            found[inside, None] == found[None, inside], heights[np.ix_(inside, inside)] <= level
        )


@pytest.mark.parametrize("number", range(6))
def test_heights_are_an_ultrametric_and_do_not_hang_on_the_order_of_nodes(number):
    rng = np.random.default_rng(number)
    edges, energies = random_landscape(rng, 25, 0.2)
    heights = pass_heights(edges, energies)
    for middle in range(25):
        assert (heights <= np.maximum(heights[:, middle, None], heights[None, middle]) + 0).all()
    order = rng.permutation(25)
    both = np.fmin(edges, edges.T)
    np.testing.assert_array_equal(
        pass_heights(both[np.ix_(order, order)], energies[order]), heights[np.ix_(order, order)]
    )
    lone = pass_heights(edges)
    assert np.isnan(np.diag(lone)).all()
    np.testing.assert_array_equal(lone[~np.eye(25, dtype=bool)], heights[~np.eye(25, dtype=bool)])


def test_a_drawn_tree_has_no_crossing_and_every_branch_ends_on_its_parent():
    for number in range(20):
        edges, energies = random_landscape(np.random.default_rng(number), 9, 0.5)
        tree = merge_tree(edges, energies)
        rows = tree.branches.to_dicts()
        assert sorted(row["x"] for row in rows if row["node"] is not None) == list(range(9))
        for row in rows:
            if row["parent"] is None:
                assert row["high"] is None
                continue
            above = rows[row["parent"]]
            assert row["high"] == above["low"] and row["parent_x"] == above["x"] and row["low"] <= row["high"]
        for merge in (row for row in rows if row["node"] is None):
            below = [row["branch"] for row in rows if row["parent"] == merge["branch"]]
            assert len(below) >= 2 and merge["size"] == sum(rows[child]["size"] for child in below)
            assert all(rows[child]["node"] is not None or rows[child]["low"] < merge["low"] for child in below)
            leaves = _leaves(rows, merge["branch"])
            assert max(leaves) - min(leaves) == len(leaves) - 1  # side by side: no other branch between them


def _leaves(rows, branch):
    below = [row["branch"] for row in rows if row["parent"] == branch]
    return [rows[branch]["x"]] if not below else [x for child in below for x in _leaves(rows, child)]


def test_the_lowest_of_a_merge_is_drawn_in_the_middle():
    tree = merge_tree(np.full((3, 3), 9.0), [1.0, 0.0, 2.0], labels=["b", "a", "c"])
    assert [row["x"] for row in tree.branches.to_dicts()] == [2.0, 1.0, 0.0, 1.0]
    assert tree.branches["parent_x"].to_list() == [1.0, 1.0, 1.0, None]


def test_all_basins_that_meet_at_one_level_merge_at_once():
    tree = merge_tree(np.full((4, 4), 2.0), np.zeros(4))
    assert tree.stats == {"nodes": 4, "merges": 1, "roots": 1, "highest": 2.0}
    assert tree.bars["death"].to_list() == [None, 2.0, 2.0, 2.0] and tree.bars["into"].to_list()[1:] == ["0"] * 3


def test_what_no_path_joins_stays_apart():
    tree = merge_tree([[0, 1, np.nan], [1, 0, np.nan], [np.nan, np.nan, 0]], [0, 0, -1], labels=["p", "q", "r"])
    assert tree.status == AtlasStatus.DISCONNECTED and tree.value == 2
    assert tree.components(1e9).tolist() == [0, 0, 1]
    assert pass_heights(np.full((2, 2), np.nan))[0, 1] == np.inf
    alone = merge_tree([[0.0]], [3.0])
    assert alone.status == AtlasStatus.OK and alone.components(2.9).tolist() == [-1]
    again = pickle.loads(pickle.dumps(tree))
    assert again.branches.equals(tree.branches) and tree.to_dict()["bars"][2]["node"] == "r"


def test_an_edge_that_rounding_put_below_its_end_lies_at_its_end():
    third = np.float32(1) / np.float32(3)
    assert pass_heights([[0, third], [third, 0]], [0, 1 / 3 + 1e-8])[0, 1] == 1 / 3 + 1e-8


def test_levels_of_zero_and_below_are_levels():
    """SciPy's spanning tree takes 0 for no edge."""
    heights = pass_heights([[0, 0, 5], [0, 0, -1], [5, -1, 0]], [-3, -4, -5])
    assert heights.tolist() == [[-3, 0, 0], [0, -4, -1], [0, -1, -5]]


@pytest.mark.parametrize(
    ("edges", "energies", "said"),
    [
        ([[0, 1]], None, "square matrix"),
        ([[0, "a"], [1, 0]], None, "expected numbers"),
        ([[0, 1], [1, 0]], [0.0], "one per node"),
        ([[0, 1], [1, 0]], [0.0, np.nan], "node 1 has no finite energy"),
        ([[0, 1], [1, 0]], [0.0, 2.0], "A path contains its ends"),
        ([[0, -np.inf], [1, 0]], None, "no height"),
    ],
)
def test_a_graph_that_is_none_is_refused(edges, energies, said):
    with pytest.raises(InputError, match=said):
        pass_heights(edges, energies)


def test_labels_of_a_tree_are_distinct():
    with pytest.raises(InputError, match="2 different"):
        merge_tree([[0, 1], [1, 0]], [0, 0], labels=["a", "a"])
    with pytest.raises(InputError, match="begins at them"):
        merge_tree([[0, 1], [1, 0]], None)


def test_clusters_against_labels_have_the_index_of_scikit_learn_and_an_even_null():
    sklearn = pytest.importorskip("sklearn.metrics")
    from allroads.atlases.passes.barrier_clusters import adjusted_rand

    rng = np.random.default_rng(0)
    for _ in range(50):
        left, right = rng.integers(0, 4, 12), rng.integers(0, 3, 12)
        assert adjusted_rand(left, right) == pytest.approx(sklearn.adjusted_rand_score(left, right), abs=1e-12)
    heights = np.where(np.arange(12)[:, None] // 4 == np.arange(12) // 4, 0.1, 2.0)
    clusters = barrier_clusters(heights, 1.0)
    assert clusters.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    same = cluster_agreement(heights, [f"p{c}" for c in clusters], 1.0)
    # 12!/(4!)³ labelled partitions, 6 of which are this one: the exact p of an equal partition
    assert same.value == 1.0 and same.stats["p"] == pytest.approx(6 / 34650, abs=3e-4)
    assert abs(same.stats["null_mean"]) < 0.01


def test_an_index_that_says_nothing_says_so():
    heights = np.where(np.eye(4, dtype=bool), 0.0, 1.0)
    for labels, level in (("aabb", 2.0), ("aabb", 0.5), ("aaaa", 2.0), ("abcd", 2.0)):
        assert cluster_agreement(heights, labels, level, permutations=99).status == AtlasStatus.ONE_CLUSTER
    with pytest.raises(InputError, match="one per point"):
        cluster_agreement(heights, "ab", 1.0)
    with pytest.raises(InputError, match="level"):
        barrier_clusters(heights, float("nan"))
