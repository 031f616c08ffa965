"""What a picture of a landscape shows is what was measured, with its caveat under it."""

import math
import re

import numpy as np
import pytest
import vl_convert

from allroads import InputError, Network, Problem, loss_plane, path_plane, random_plane
from allroads.plots.isolines import isoline, levels_of
from allroads.plots.landscape import CAVEATS

BOWL = Network(lambda key: np.ones((1, 3)), lambda w, x: x @ w.T)
PROBLEM = Problem(BOWL, "mse", np.diag([1.0, 2.0, 0.5]), np.zeros(3))
ENDS = ([[0.0, 0.0, 1.0]], [[3.0, 0.0, 1.0]], [[0.0, 2.0, 1.0]])


def drawn(found):
    """The chart's specification, and all words of its picture."""
    chart = found.plot().to_dict()
    words = re.findall(r">([^<>]+)</t(?:ext|span)>", vl_convert.vegalite_to_svg(chart))
    return chart, " ".join(words).replace("&lt;", "<").replace("&#39;", "'")


def values(chart, *fields):
    """Rows of the layers that have these fields."""
    found = [layer["data"]["values"] for layer in chart["layer"] if "values" in layer.get("data", {})]
    return next(rows for rows in found if rows and set(fields) <= set(rows[0]))


def test_a_plane_shows_every_loss_once_at_its_place():
    names = ("a", "b", "moved")
    found = loss_plane(PROBLEM, *map(np.array, ENDS), points=9, names=names, progress=False)
    chart, words = drawn(found)
    cells = values(chart, "loss", "left")
    middles = np.array([[(c["left"] + c["right"]) / 2, (c["low"] + c["high"]) / 2, c["loss"]] for c in cells])
    grid = np.stack([*np.meshgrid(found.xs, found.ys), found.losses], axis=-1).reshape(-1, 3)
    np.testing.assert_allclose(middles, grid, atol=1e-9)
    marks = values(chart, "label")
    assert [(mark["x"], mark["y"]) for mark in marks] == [tuple(mark) for mark in found.marks]
    for text in (
        "a: 0.083",
        "b: 3.08",
        "moved: 5.42",
        "loss",
        "from a towards b",
        "towards moved",
        *CAVEATS["three points"].split(),
    ):
        assert text in words
    assert chart["title"]["orient"] == "bottom"
    assert chart["width"] / chart["height"] == pytest.approx(np.ptp(found.xs) / np.ptp(found.ys), rel=0.01)


def test_lines_of_equal_loss_are_the_ellipses_of_a_quadratic():
    found = loss_plane(PROBLEM, *map(np.array, ENDS), points=41, progress=False)
    step = found.xs[1] - found.xs[0]
    curvature = np.array([2.0, 8.0]) / 3  # of the loss (x² + 4 y²)/3 + 1/12 on this plane
    pieces = values(drawn(found)[0], "x2", "level")
    ends = np.array([[(p["x"], p["y"]), (p["x2"], p["y2"])] for p in pieces])
    levels = np.array([p["level"] for p in pieces])
    assert len(set(levels)) >= 6 and len(pieces) > 100
    heights = (ends**2 @ np.array([1.0, 4.0])) / 3 + 1 / 12
    # Between neighbours of the grid a quadratic leaves its chord by a step² · curvature / 8 at most.
    assert np.abs(heights - levels[:, None]).max() <= step**2 * curvature.max() / 8 * (1 + 1e-4)


def test_a_random_plane_says_what_it_hides():
    chart, words = drawn(random_plane(PROBLEM, np.ones((1, 3)), points=5, progress=False))
    assert all(part in words for part in ("in norms of the filters", *CAVEATS["random directions"].split()))
    assert len(values(chart, "loss", "left")) == 25


def test_a_path_is_drawn_in_order_with_its_share_and_that_of_a_walk():
    t = np.linspace(0, 1, 8)[:, None]
    path = np.concatenate([3 - 3 * t, 2 * (1 - t) ** 3, 0.1 * np.sin(9 * t)], axis=1)[:, None]
    found = path_plane(PROBLEM, path, points=7, progress=False)
    chart, words = drawn(found)
    rows = values(chart, "number", "path")
    np.testing.assert_allclose([(row["x"], row["y"]) for row in rows], found.coordinates)
    np.testing.assert_allclose([row["loss"] for row in rows], found.path_losses)
    assert [row["path"] for row in rows] == ["start", *["checkpoint"] * 6, "end"]
    for text in (
        f"component 1: {found.shares[0]:.0%} (random walk: {found.walk_shares[0]:.0%})",
        f"explains {found.explained:.0%}",
        f"explains {found.walk_explained:.0%}",
        "start",
        "checkpoint",
        "end",
        *CAVEATS["principal components"].split(),
    ):
        assert text in words


def test_losses_that_are_not_finite_are_grey_and_counted():
    steep = Problem(
        Network(lambda key: np.ones((1, 2)), lambda w, x: np.e ** (x @ w.T)), "mse", np.eye(2) * 60, np.zeros(2)
    )
    ends = [np.array(w) for w in ([[0.0, 0.0]], [[1.5, 0.0]], [[0.0, -1.0]])]
    found = loss_plane(steep, *ends, points=5, progress=False)
    chart, words = drawn(found)
    missing = sum(cell["loss"] is None for cell in values(chart, "loss", "left"))
    assert missing == found.stats["not_finite"] > 0 and f"({missing} of 25)" in words
    nowhere = Problem(
        Network(lambda key: np.ones((1, 2)), lambda w, x: x @ w.T * np.inf), "mse", np.eye(2), np.zeros(2)
    )
    with pytest.raises(InputError, match="no loss on it is finite"):
        loss_plane(nowhere, *ends, points=3, progress=False).plot()


@pytest.mark.parametrize("logarithmic", [False, True])
def test_levels_are_logarithmic_where_the_range_asks_for_it(logarithmic):
    heights = np.geomspace(0.01, 10, 50) if logarithmic else np.linspace(5, 9, 50)
    levels, found = levels_of(heights)
    assert found == logarithmic and len(levels) == 9
    gaps = np.diff(np.log(levels)) if logarithmic else np.diff(levels)
    np.testing.assert_allclose(gaps, gaps.mean(), rtol=0.15)  # up to the rounding to two digits
    assert heights[0] < levels[0] and levels[-1] < heights[-1]


def test_levels_of_what_is_flat_or_nearly_flat():
    assert levels_of(np.full(3, 2.0))[0].size == 0 and levels_of([np.nan, np.inf])[0].size == 0
    near = levels_of([1.0, 1.0001])[0]
    assert len(near) == 9 and (np.diff(near) > 0).all()
    assert levels_of([0.0, 1e-6, 100.0])[1] is False  # no logarithm of 0


def test_an_isoline_of_a_cone_is_a_closed_circle():
    line = np.linspace(-1, 1, 81)
    cone = np.hypot(*np.meshgrid(line, line))
    pieces = isoline(line, line, cone, 0.703)
    assert np.abs(np.hypot(*pieces.reshape(-1, 2).T) - 0.703).max() < 0.025**2  # convex: a chord is off by less than h²
    assert np.linalg.norm(pieces[:, 0] - pieces[:, 1], axis=1).sum() == pytest.approx(1.406 * math.pi, rel=1e-3)
    ends, times = np.unique(pieces.reshape(-1, 2).round(9), axis=0, return_counts=True)
    assert (times == 2).all() and len(ends) == len(pieces)  # every end is met by one other piece: the line is closed


@pytest.mark.parametrize(("level", "low_joined"), [(0.45, False), (0.55, True)])
def test_a_saddle_is_joined_as_its_mean_says(level, low_joined):
    pieces = isoline([0.0, 1.0], [0.0, 1.0], [[1.0, 0.0], [0.0, 1.0]], level)
    assert len(pieces) == 2
    for piece in pieces:  # cuts off one corner: the near one is (0, 0) or (1, 1) where the low corners are joined
        corner = piece.mean(0).round()
        assert (corner[0] == corner[1]) == low_joined
