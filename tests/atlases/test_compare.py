"""Two points compared, whose relation is known: written networks of two bits, permuted copies, a double well."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import allroads
from allroads import AtlasStatus, CurveOptions, InputError, Network, Problem, Target, compare_points
from allroads.atlases.comparison import compare
from allroads.networks.mlp import mlp
from allroads.report.comparison import comparison_json, comparison_lines, verdict

BITS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], "float32")
BRIEF = CurveOptions(steps=80)


@pytest.fixture(scope="module")
def network():
    return mlp((2,), 1, widths=(2,), activation="tanh")


@pytest.fixture(scope="module")
def problem(network):
    return Problem(network, "bce", BITS, [0.0, 1.0, 1.0, 0.0])


def point(first, bias, last, out):
    return {
        "layers": [
            {"weight": jnp.array(first, float), "bias": jnp.array(bias, float)},
            {"weight": jnp.array(last, float)[:, None], "bias": jnp.array([float(out)])},
        ]
    }


XOR = point([[5, 5], [5, 5]], [-2.5, -7.5], [5, -5], -5)
COPY = point([[-5, 5], [-5, 5]], [7.5, -2.5], [5, 5], -5)
"""The same units, exchanged, and one with its signs changed."""
OTHER_XOR = point([[4, -4], [-4, 4]], [-2, -2], [5, 5], 5)
"""x0 and not x1, or x1 and not x0."""
AND = point([[5, 1], [5, -1]], [-7.5, 0], [5, 0.1], 0)


def test_a_copy_is_one_point_and_one_program(problem):
    found = compare_points(problem, XOR, COPY, options=BRIEF, progress=False)
    assert found.same_point and found.function.outputs and found.program.same and found.program.equal.equal
    assert found.road is None and found.way == "aligned" and found.value < 1e-6
    assert found.distance < 1e-5 < 1 < found.distance_before
    assert found.between["function"].n_unique() == 1 and found.programs_between.is_empty()
    assert verdict(found).startswith("One point modulo symmetry")


def test_one_program_at_two_points(problem):
    found = compare_points(problem, XOR, OTHER_XOR, options=BRIEF, progress=False)
    assert not found.same_point and found.function.answers == 1.0 and not found.function.outputs
    assert found.program.same and found.program.distance == 0 and found.program.shared == 1
    assert found.status == AtlasStatus.OK and found.pass_lower == max(found.losses)
    assert found.pass_upper <= found.aligned.losses.max()
    said = dict(comparison_lines(found))
    assert said["program"].startswith("one (boolean") and "two (certain" in said["point"]
    assert "one program" in verdict(found)


@pytest.mark.parametrize(
    "heights, way",
    [([900.0, 0.0006, 0.0003], "curve"), ([2.0, 1.0005, 1.0], "aligned"), ([2.0, 2.0, 2.0], "segment")],
)
def test_the_pass_is_that_of_the_lowest_path_however_high_the_segment(heights, way):
    paths = [(name, None, None) for name in ("segment", "aligned", "curve")]
    found, _, top = compare._lowest(paths, heights)
    assert found == way and top <= min(heights) * 1.001


def test_two_functions_are_two_programs_and_what_lies_between_is_read(problem):
    found = compare_points(problem, XOR, AND, options=BRIEF, progress=False)
    assert found.function.answers == 0.25 and not found.program.same and not found.program.equal.equal
    assert found.errors == (0.0, 0.75) and found.losses[0] < 0.02 < 1 < found.losses[1]
    table = found.between
    assert table["like_a"][0] == 1 == table["like_b"][-1] and table["like_a"][-1] == 0.25 == table["like_b"][0]
    assert table["loss"][0] == pytest.approx(found.losses[0], rel=1e-5)
    assert found.stats["functions"] >= 2
    for row in found.programs_between.to_dicts():
        assert 0 < row["t"] < 1 and row["like"] in ("a", "b", "neither") and "def program" in row["source"]
    assert verdict(found).startswith("Two functions, which answer 75 % of the inputs differently, two programs.")


def test_what_lies_between_points_of_one_function_is_said_once():
    """A line that computes its labels at both ends and on the way; and one that fails halfway."""
    x = np.array([[1.0], [2.0]])
    steep = Network(lambda key: jnp.ones(1), lambda w, x: x * w)
    found = compare_points(Problem(steep, "bce", x, [1, 1]), jnp.ones(1), 2 * jnp.ones(1), progress=False)
    assert dict(comparison_lines(found))["between"] == "the answers of a and b at all 33 places"
    square = Network(lambda key: jnp.ones(1), lambda w, x: x * (w**2 - 0.5))
    found = compare_points(Problem(square, "bce", x, [1, 1]), -jnp.ones(1), jnp.ones(1), progress=False)
    said = "2 functions at 33 places; where the loss is highest, at t = 0.50, 0 % of the answers are those of a and b"
    assert found.way == "segment" and dict(comparison_lines(found))["between"] == said


def test_what_lies_between_two_wells_is_their_top():
    well = Network(lambda key: jnp.ones(1), lambda w, x: x * (w**2 - 1))
    single = Problem(well, "mse", jnp.ones((1, 1)), jnp.zeros((1, 1)))
    found = compare_points(single, -jnp.ones(1), jnp.ones(1), options=BRIEF, progress=False)
    assert (found.pass_lower, found.pass_upper, found.way) == (0.0, 1.0, "segment")
    assert found.between["loss"].max() == 1.0 and found.between["t"][int(found.between["loss"].arg_max())] == 0.5
    assert found.program.same is None and found.program.why
    assert dict(comparison_lines(found))["pass"].startswith("between 0 (the higher end) and 1 (on the segment)")


def test_held_out_data_a_target_and_no_programs(problem, network):
    target = Target("xor", inputs=BITS, labels=[0, 1, 1, 0], complete=True, loss="bce")
    found = compare_points(
        problem, XOR, AND, target=target, held_out=(BITS[:2], [[0.0], [1.0]]), options=BRIEF, programs_between=0,
        progress=False,
    )  # fmt: skip
    assert found.held_out.answers == 0.5 and found.program.same is False and found.programs_between.is_empty()
    told = comparison_json(found, [("a", "one"), ("b", "other")])
    assert told["held_out_barriers"]["road"]["height"] >= 0 and told["program"]["a"]["program"]["language"] == "boolean"
    silent = compare_points(problem, XOR, AND, programs=False, options=BRIEF, progress=False)
    assert silent.program.same is None and silent.program.why == "not asked for"


def test_a_budget_that_ends_is_said_and_what_was_found_is_kept(problem):
    found = compare_points(problem, XOR, AND, budget=1e-3, options=BRIEF, progress=False)
    assert found.status == AtlasStatus.CUT_SHORT and found.ended == "budget" and found.road is None
    assert found.straight.height > 0 and "cut short" in dict(comparison_lines(found))["status"]
    assert found.program.why == "no time was left"


def test_what_cannot_be_compared_is_said(problem):
    with pytest.raises(InputError, match="not of one architecture"):
        compare_points(problem, XOR, {"layers": XOR["layers"][:1]})
    with pytest.raises(InputError, match="NaN or infinity"):
        compare_points(problem, XOR, jax.tree.map(lambda leaf: leaf * jnp.nan, XOR))
    with pytest.raises(InputError, match="needs a population"):
        compare_points(problem, XOR, AND, method="star")
    with pytest.raises(InputError, match="did you mean 'weights'"):
        compare_points(problem, XOR, AND, align="weigths")
    with pytest.raises(InputError, match="target: expected Target"):
        compare_points(problem, XOR, AND, target="xor")
    with pytest.raises(InputError, match="budget"):
        compare_points(problem, XOR, AND, budget=-1)
    steep = Network(lambda key: jnp.ones(1), lambda w, x: jnp.exp(x * w))
    with pytest.raises(InputError, match="b: its loss is"):
        compare_points(Problem(steep, "mse", [[1.0]], [[1.0]]), jnp.ones(1), jnp.full(1, 400.0), progress=False)


def test_a_comparison_is_a_result(problem):
    found = compare_points(problem, XOR, COPY, programs=False, options=BRIEF, progress=False)
    assert float(found) == found.value and found.to_dict()["way"] == "aligned"
    assert allroads.compare_points is compare_points and "Comparison(" in repr(found)
