"""The atlas on the page: its figures, what the panel is given, groups of many programs, and grids that have none."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
from synthetic_atlas import add_atlas
from synthetic_study import Task, write_study

from allroads.plots.atlas_map import HIGH, WIDE, atlas_map
from allroads.plots.labels import LETTER, LINE, place_labels
from allroads.plots.layered import layered_layout
from allroads.report.atlas.tables import GROUP, MOST, read_atlases
from allroads.report.atlas.tree import tree_rows
from allroads.report.charts import atlas as section
from allroads.report.figures import specification
from allroads.report.grids import read_grids
from allroads.report.stored import read_stored


def stored_with(folder, programs=24, **more):
    write_study(folder, [Task("g", "t", seeds=20), Task("g", "u", seeds=20)], records=8, pairs=False)
    add_atlas(folder, programs=programs, **more)
    return read_stored(folder)


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    return stored_with(tmp_path_factory.mktemp("atlas"))


@pytest.fixture(scope="module")
def atlas(stored):
    (found,) = read_atlases(stored, read_grids(stored))
    return found


def spelled_out(walks: pl.DataFrame) -> dict[tuple[str, str], int]:
    """Changes counted one by one."""
    counts: dict[tuple[str, str], int] = {}
    before: dict[str, str] = {}
    for run, node in walks.sort("run", "place").select("run", "node").iter_rows():
        if run in before and before[run] != node:
            counts[before[run], node] = counts.get((before[run], node), 0) + 1
        before[run] = node
    return counts


def test_ways_are_the_changes_of_the_walks(stored, atlas):
    walks = stored.tables["atlas"].filter(pl.col("kind") == "walk")
    assert {(p, q): n for p, q, n in atlas.ways.iter_rows()} == spelled_out(walks)


def test_programs_lie_from_short_to_long_inside_the_map_and_apart(stored, atlas):
    figure, _ = section.figures(stored, atlas.grid)
    nodes = figure.panels[0].rows.filter(pl.col("kind") == "node")
    joined = nodes.join(atlas.nodes.select("node", "bits"), on="node").drop_nulls("bits").sort("bits")
    x, bits = joined["x"].to_numpy(), joined["bits"].to_numpy()
    straight = np.interp(bits, [bits.min(), bits.max()], [x.min(), x.max()])
    assert np.abs(x - straight).max() <= 28  # a node may stand 14 pixels aside, and so may both ends
    assert nodes["y"].is_between(0, HIGH).all() and nodes["x"].is_between(0, WIDE).all()
    radius = np.sqrt(nodes["size"].to_numpy() / np.pi)
    apart = np.hypot(*(np.subtract.outer(nodes[c].to_numpy(), nodes[c].to_numpy()) for c in "xy"))
    np.fill_diagonal(apart, np.inf)
    assert (apart >= np.add.outer(radius, radius)).all()
    ends = dict(atlas.nodes.select("node", "ends").iter_rows())
    sizes = dict(nodes.select("node", "size").iter_rows())
    most = max(ends, key=ends.__getitem__)
    assert sizes[most] == max(sizes.values())


def test_what_is_joined_stands_near():
    """A ladder of pairs in one column: each pair ends side by side, in whatever order the pairs come."""
    count = 20
    weights = np.zeros((count, count))
    for node in range(count // 2):
        weights[node, node + count // 2] = 1.0
    _, y = layered_layout(np.zeros(count), np.full(count, 5.0), weights, 400.0)
    order = np.argsort(np.argsort(y))
    assert np.abs(order[: count // 2] - order[count // 2 :]).max() == 1


def test_nodes_of_two_near_columns_do_not_cover_each_other():
    x = np.repeat([100.0, 108.0], 18)
    placed, y = layered_layout(x, np.full(36, 5.0), np.ones((36, 36)), 330.0)
    apart = np.hypot(np.subtract.outer(placed, placed), np.subtract.outer(y, y))
    np.fill_diagonal(apart, np.inf)
    assert apart.min() >= 10 and np.abs(placed - x).max() <= 14


def test_labels_cover_neither_each_other_nor_nodes():
    rng = np.random.default_rng(0)
    x, y, radius = rng.uniform(0, 400, 60), rng.uniform(0, 300, 60), rng.uniform(3, 9, 60)
    labels = ["a label", "x0"] * 30
    found = place_labels(x.tolist(), y.tolist(), radius.tolist(), labels, range(60), 400, 300, 60)
    assert 10 <= len(found) < 60
    boxes = {}
    for node, place in found.items():
        long = LETTER * len(labels[node])
        left = x[node] + place.dx - {"left": 0, "right": long, "center": long / 2}[place.align]
        boxes[node] = (left, y[node] + place.dy - LINE / 2, left + long, y[node] + place.dy + LINE / 2)
    for node, (left, top, right, bottom) in boxes.items():
        for other, (west, north, east, south) in boxes.items():
            assert node == other or right <= west or east <= left or bottom <= north or south <= top
        inside = (x + radius > left) & (x - radius < right) & (y + radius > top) & (y - radius < bottom)
        assert set(np.flatnonzero(inside)) <= {node}


def test_right_programs_have_the_mark_of_their_target_and_others_none(stored, atlas):
    marks = section.right_marks(stored, atlas)
    last = stored.tables["programs"].group_by("run").last().filter("correct")
    right = last.join(atlas.grid.runs.select("run", "target"), on="run")
    ends = atlas.walks.group_by("run", maintain_order=True).last()
    targets = {node: set(part["target"]) for (node,), part in ends.join(right, on="run").group_by("node")}
    assert set(marks) == set(targets) and all(group.target in targets[node] for node, group in marks.items())


def test_the_panel_knows_proof_numbers_walks_and_runs(stored, atlas):
    (data,) = section.payload(stored, [atlas.grid])
    json.dumps(data)
    by_name = {node["node"]: node for node in data["nodes"]}
    first = next(node for node in data["nodes"] if node["ends"] and node["node"] != "none")
    assert first["proof"] == {
        "equal": True,
        "scope": "exhaustive",
        "checked": 16,
        "interchange": 0.9,
        "status": "computes",
    }
    assert [title for title, _ in first["facts"]] == ["learning coefficient"]
    walks = stored.tables["atlas"].filter(pl.col("kind") == "walk").sort("run", "place")
    for (run,), part in walks.group_by("run"):
        flat = data["walks"][run]
        assert [data["nodes"][at]["node"] for at in flat[::2]] == part["node"].to_list()
        assert flat[1::2] == part["step"].to_list()
    assert by_name["none"]["source"] is None and data["statuses"]["computes"]["meaning"]


@pytest.mark.slow
def test_thousands_of_programs_are_joined_by_length_and_said(tmp_path):
    many = stored_with(tmp_path, programs=2000, places=40)
    (found,) = read_atlases(many, read_grids(many))
    groups = found.nodes.filter(pl.col("language") == GROUP)
    assert found.joined > 0 and found.nodes.height - groups.height - 1 == MOST
    visited = many.tables["atlas"].filter(pl.col("kind") == "node")
    assert found.programs == visited.filter(pl.col("node") != "none").height
    assert found.nodes["visits"].sum() == visited["visits"].sum() and found.nodes["ends"].sum() == visited["ends"].sum()
    figure, *_ = section.figures(many, found.grid)
    assert f"{found.joined:,} programs that are reached least are squares" in figure.caption
    assert set(found.walks["node"]) <= set(found.nodes["node"])


def test_passes_make_a_tree_and_their_absence_none(stored, atlas, tmp_path):
    rows = tree_rows(atlas, {})
    passes = atlas.edges.filter(pl.col("quantity") == "pass_upper")
    merges = rows.filter(pl.col("kind") == "merge")
    assert rows.filter(pl.col("kind") == "leaf").height == len(set(passes["source"]) | set(passes["target"]))
    lowest = passes["value"].min()
    assert merges["low"].min() == pytest.approx(lowest)  # the first two programs meet at the lowest pass
    bare = stored_with(tmp_path, passes=False)
    (alone,) = read_atlases(bare, read_grids(bare))
    assert tree_rows(alone, {}) is None and len(section.figures(bare, alone.grid)) == 1


def test_a_grid_without_programs_says_so(tmp_path):
    write_study(tmp_path, [Task("g", "t", seeds=3), Task("h", "u", seeds=3)], records=8, pairs=False)
    add_atlas(tmp_path)
    path = tmp_path / "tables/atlas.parquet"
    table = pl.read_parquet(path)
    table.filter(pl.col("grid") == "h").write_parquet(path)
    found = read_stored(tmp_path)
    grids = read_grids(found)
    (none,), (one, *_) = (section.figures(found, grid) for grid in grids)
    assert none.panels == () and "Fewer than two programs" in none.absent and one.panels
    assert [data["grid"] for data in section.payload(found, grids)] == ["h"]


def test_one_program_and_none_at_all_are_drawn():
    schema = {"source": pl.String, "target": pl.String, "weight": pl.Float64, "told": pl.String}
    look = {"ends": [3], "visits": [9], "told": [""], "look": ["other"], "fill": [None], "shape": ["circle"]}
    for bits in (12.0, None):
        row = pl.DataFrame(
            {"node": ["p"], "label": ["p"], "bits": [bits], **look}, schema_overrides={"bits": pl.Float64}
        )
        drawn = atlas_map(row, pl.DataFrame(schema=schema))
        assert drawn.rows.height == 1 and drawn.rows["x"].is_between(0, WIDE).all()


def test_the_map_is_a_figure_for_a_paper(stored, atlas):
    figure, tree = section.figures(stored, atlas.grid)
    for drawn in (figure, tree):
        spec = specification(drawn)
        assert spec["vconcat"] and {"ways", "lit", "node"} <= {param["name"] for param in spec["params"]}
