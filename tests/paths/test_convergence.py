"""Convergence of populations whose relation is known: identical, permuted, rotated, independent, planted."""

from __future__ import annotations

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from allroads import InputError, MeasurementError, Network, UnknownNameError, convergence, hidden_layers
from allroads.networks.mlp import mlp
from allroads.networks.recurrent import recurrent
from allroads.networks.transformer import transformer
from allroads.paths.align import align
from allroads.paths.barrier import barrier
from allroads.paths.convergence import cka
from allroads.paths.convergence.layers import chosen_layers, representations
from allroads.pfmap.problem import Problem

NET = mlp((4,), 3, widths=(5, 6))
INPUTS = np.random.default_rng(0).normal(size=(40, 4))
A, B, C = (NET.init(jax.random.key(number)) for number in range(3))
LAST = "layers/2/weight"


def lookup(n, d):
    """A network whose hidden layer is a table with a row of its own for each of n inputs."""
    return Network(
        lambda key: {"table": jnp.zeros((n, d)), "out": jnp.zeros((d, 2))},
        lambda params, x: (params["table"][x[:, 0]]) @ params["out"],
        name="lookup",
    )


def tables(n, d, members, shared, seed):
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(n, shared))
    own = rng.normal(size=(members, n, d - shared))
    table = np.concatenate([np.broadcast_to(common, (members, n, shared)), own], axis=2)
    return {"table": table, "out": rng.normal(size=(members, d, 2))}


def numbers(n):
    return np.arange(n)[:, None]


def permuted(point):
    first, second, last = point["layers"]
    order = jnp.array([3, 0, 5, 1, 4, 2])
    moved = {"weight": second["weight"][:, order], "bias": second["bias"][order]}
    return {"layers": [first, moved, {"weight": last["weight"][order], "bias": last["bias"]}]}


def off_diagonal(matrix):
    return matrix[~np.eye(len(matrix), dtype=bool)]


def test_identical_and_permuted_networks_are_the_same_in_everything():
    found = convergence(
        NET, [A, A, permuted(A)], INPUTS, labels=np.argmax(NET.apply(A, INPUTS), 1), programs=["p"] * 3, align="weights"
    )
    assert found.value == 1.0 and found.functions.counts.tolist() == [3] and found.programs.collision.value == 1.0
    assert found.disagreement.expected.value == found.disagreement.mistaken.value == found.disagreement.gap.value == 0
    same = {"cka": 1, "procrustes": 0, "neighbours": 1, "rsa": 1, "stitching": 1}
    for name, table in found.representations[LAST].items():
        tolerance = {"stitching": 0.05, "procrustes": 1e-3}.get(name, 1e-4)
        np.testing.assert_allclose(off_diagonal(table.values), same[name], atol=tolerance, err_msg=name)
        assert table.share == 1.0 and table.status == "ok" and table.permutations >= 199
    assert off_diagonal(found.points.distance).max() < 1e-5 and found.points.distance_before[0, 2] > 0.5
    assert found.points.barrier[0, 2] < 1e-5 and found.points.barrier_before[0, 2] > 0.01
    assert found.status == "ok" and "100% of 3 pairs" in str(found)


def test_a_rotated_hidden_layer_is_the_same_representation_and_function():
    linear = Network(lambda key: {"a": jnp.zeros((3, 4)), "b": jnp.zeros((4, 2))}, lambda p, x: x @ p["a"] @ p["b"])
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(3, 4)), rng.normal(size=(4, 2))
    q = np.linalg.qr(rng.normal(size=(4, 4)))[0]
    found = convergence(linear, [{"a": a, "b": b}, {"a": a @ q, "b": q.T @ b}], rng.normal(size=(30, 3)))
    named = found.representations["b"]
    assert found.value == 1.0
    for name, value in {"cka": 1, "procrustes": 0, "neighbours": 1, "rsa": 1}.items():
        assert named[name].values[0, 1] == pytest.approx(value, abs=2e-3), name


@pytest.mark.slow
def test_independent_networks_are_not_beyond_the_null():
    """Of 24 tables with ten pairs each one in twenty may have a false one; more than five have probability 1e-3."""
    false, first = 0, []
    for seed in range(8):
        found = convergence(lookup(32, 6), tables(32, 6, 5, 0, seed), numbers(32), measures=("cka", "neighbours"))
        for table in found.representations["out"].values():
            false += bool(table.beyond.any())
            first += off_diagonal(table.p)[:1].tolist()
            assert abs(table.mean_excess.value) < 0.1
        false += bool(found.agreement.beyond.any())
    assert false <= 5
    assert 0.25 < np.mean(first) < 0.75  # of 16 p-values that are uniform


def test_planted_networks_share_what_was_planted():
    """Three of six columns are common, so CKA is 1/2 in expectation, and 3/6 of the variance is predicted."""
    found = convergence(lookup(200, 6), tables(200, 6, 4, 3, 0), numbers(200), measures=("cka", "stitching"), seed=1)
    for name, table in found.representations["out"].items():
        assert table.mean.value == pytest.approx(0.5, abs=0.06), name
        assert table.share == 1.0
        assert (abs(off_diagonal(table.values) - 0.5) <= 1.5 * off_diagonal(table.errors)).all()
    assert not found.representations["out"]["cka"].directed and found.representations["out"]["stitching"].directed
    assert found.representations["out"]["stitching"].stats["pairs"] == 12 and found.agreement.stats["pairs"] == 6


def test_agreement_has_its_exact_chance_as_null():
    """Over all orders of the inputs two members agree as often as the product of their shares of answers says."""
    found = convergence(NET, [A, B], INPUTS, permutations=1000, measures="cka")
    said = [np.bincount(np.argmax(NET.apply(p, INPUTS), 1), minlength=3) / 40 for p in (A, B)]
    observed = np.mean(np.argmax(NET.apply(A, INPUTS), 1) == np.argmax(NET.apply(B, INPUTS), 1))
    assert found.agreement.values[0, 1] == pytest.approx(observed) and found.value == pytest.approx(observed)
    deviation = found.agreement.null_deviation[0, 1]
    assert found.agreement.null_mean[0, 1] == pytest.approx(said[0] @ said[1], abs=5 * deviation / 1000**0.5)
    assert found.disagreement.expected.value == pytest.approx(1 - observed)
    assert math.isinf(found.error)  # two members say nothing of others


def test_two_populations_of_different_width_are_compared_pair_by_pair():
    wide = mlp((4,), 3, widths=(9, 11, 7))
    others = [wide.init(jax.random.key(number)) for number in (5, 6, 7)]
    found = convergence(
        NET, [A, B], INPUTS, other=others, other_network=wide, layers=["layers/1/weight", LAST],
        other_layers=["layers/1/weight", "layers/3/weight"], measures=("cka", "procrustes"),
    )  # fmt: skip
    assert list(found.representations) == ["layers/1/weight", f"{LAST} | layers/3/weight"]
    table = found.representations[f"{LAST} | layers/3/weight"]["cka"]
    assert table.values.shape == (2, 3) and not table.within and np.isfinite(table.p).all()
    assert table.values[0, 1] == pytest.approx(cka(_hidden(A), _hidden(others[1])), abs=1e-5)
    alone = convergence(NET, [A], INPUTS, other=[A], measures="cka")
    assert alone.value == 1.0 and alone.functions is None and alone.representations[LAST]["cka"].values[0, 0] > 0.9999


def _hidden(point):
    """The last hidden layer of a perceptron with relu, written out."""
    x = INPUTS
    for layer in point["layers"][:-1]:
        x = np.maximum(x @ np.asarray(layer["weight"]) + np.asarray(layer["bias"]), 0)
    return x


def test_members_may_be_a_list_or_stacked_and_their_order_of_inputs_does_not_count():
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), A, B, C)
    first, second = (convergence(NET, given, INPUTS, measures="rsa") for given in ([A, B, C], stacked))
    np.testing.assert_array_equal(first.representations[LAST]["rsa"].p, second.representations[LAST]["rsa"].p)
    moved = convergence(NET, stacked, INPUTS[::-1], measures="rsa", seed=3)
    np.testing.assert_allclose(
        moved.representations[LAST]["rsa"].values, first.representations[LAST]["rsa"].values, atol=1e-5
    )
    pairs = [np.stack([np.eye(2)] * 3), np.ones((3, 2, 1))]  # a point that is a list, stacked
    listed = Network(lambda key: [jnp.eye(2), jnp.ones((2, 1))], lambda p, x: jnp.tanh(x @ p[0]) @ p[1])
    assert convergence(listed, pairs, INPUTS[:, :2], loss="mse").functions.counts.tolist() == [3]


def test_layers_are_what_weights_read():
    names = chosen_layers(NET, A, INPUTS[:1], ["layers/1/weight", LAST, "outputs"])
    members = jax.tree.map(lambda *leaves: jnp.stack(leaves), A, B)
    outputs, found = representations(NET, members, INPUTS, names)
    first = np.maximum(INPUTS @ np.asarray(A["layers"][0]["weight"]) + np.asarray(A["layers"][0]["bias"]), 0)
    np.testing.assert_allclose(found["layers/1/weight"][0], first, atol=1e-5)
    np.testing.assert_allclose(found[LAST], np.stack([_hidden(A), _hidden(B)]), atol=1e-5)
    np.testing.assert_allclose(found["outputs"], outputs, atol=1e-5)
    tokens = np.zeros((1, 4), int)
    reads = transformer((4,), 3, vocabulary=5, d_model=6, heads=2, d_mlp=7)
    assert list(hidden_layers(reads, reads.init(jax.random.key(0)), tokens))[-1] == "readout/weight"
    loop = recurrent((4,), 2, vocabulary=5, width=6)
    assert list(hidden_layers(loop, loop.init(jax.random.key(0)), tokens)) == ["readout/weight"]


def test_a_network_without_a_hidden_layer_is_compared_by_its_outputs():
    line = Network(lambda key: jnp.zeros((4, 2)), lambda w, x: x @ w)
    points = np.random.default_rng(2).normal(size=(3, 4, 2))
    assert list(convergence(line, points, INPUTS, measures="cka").representations) == ["outputs"]


def test_dead_members_have_a_status_and_the_others_their_numbers():
    dead = jax.tree.map(jnp.zeros_like, A)
    found = convergence(NET, [A, dead, B], INPUTS, measures=("cka", "stitching"))
    table = found.representations[LAST]["cka"]
    assert found.status == table.status == "degenerate" and found.agreement.status == "ok"
    assert np.isfinite(table.p[0, 2]) and np.isnan(table.values[1]).all() and not table.beyond[1].any()
    with pytest.raises(MeasurementError, match="degenerate") as caught:
        convergence(NET, [A, dead], INPUTS, measures="cka", throw=True)
    empty = caught.value.result.representations[LAST]["cka"]
    assert math.isnan(empty.share) and empty.mean.status == "degenerate" and "degenerate" in str(empty)
    with pytest.raises(InputError, match="nothing to draw"):
        empty.plot()
    huge = jax.tree.map(lambda leaf: leaf * 1e20, A)
    with np.errstate(all="ignore"):
        wild = convergence(NET, [A, huge, B], INPUTS, measures="cka")
    assert wild.status == "diverged" and np.isnan(wild.agreement.values[1, 0]) and len(wild.functions.members) == 2


def test_points_are_compared_as_align_and_barrier_do():
    labels = np.argmax(INPUTS[:, :3], 1)
    found = convergence(NET, [A, B, C], INPUTS, labels=labels, align="weights", measures="cka").points
    problem = Problem(NET, "cross_entropy", INPUTS, labels)
    for a, b in itertools.combinations(range(3), 2):
        moved = align(NET, (A, B, C)[a], (A, B, C)[b], INPUTS)
        assert found.distance[a, b] == found.distance[b, a] == pytest.approx(moved.distance, rel=1e-6)
        assert found.barrier[a, b] == pytest.approx(barrier(problem, (A, B, C)[a], moved.params).height, abs=1e-6)
    assert 0 < found.value < 1 and "barrier" in found.describe()


def test_a_budget_ends_the_call_with_what_there_is():
    found = convergence(NET, [A, B, C], INPUTS, permutations=10**9, align="weights", budget=1.0, progress=False)
    assert found.status == "not converged" and found.ended == "budget"
    for table in (found.agreement, *found.representations[LAST].values()):
        assert table.permutations < 10**9 and np.isfinite(off_diagonal(table.p)).all()
        assert np.isfinite(off_diagonal(table.values)).all() and table.status == "not converged"


@pytest.mark.parametrize(
    ("population", "options", "message"),
    [
        ([A], {}, "population: got 1 members; expected 2 or more"),
        ([], {}, "a population needs at least one point"),
        ([A, mlp((4,), 3, widths=(5, 7)).init(jax.random.key(0))], {}, "expected points of one network"),
        ([mlp((4,), 3, widths=(5, 7)).init(jax.random.key(k)) for k in (0, 1)], {}, "members have arrays of shapes"),
        (A, {}, "leading"),
        ([A, B], {"inputs": INPUTS[:3]}, "inputs: got 3; expected 4 or more"),
        ([A, B], {"k": 40}, "k: an input has 39 neighbours"),
        ([A, B], {"level": 0.0}, "level: expected"),
        ([A, B], {"permutations": 0}, "permutations: expected"),
        ([A, B], {"seed": -1}, "seed: expected"),
        ([A, B], {"programs": ["a"]}, "programs: got 1 for 2 members"),
        ([A, B], {"programs": [["a"], ["b"]]}, "hashable"),
        ([A, B], {"labels": np.zeros(39, int)}, "expected one label per input"),
        ([A, B], {"other_network": NET}, "give other as well"),
        ([A, B], {"layers": []}, "layers: got none"),
        ([A, B], {"other": [A], "layers": [LAST], "other_layers": ["outputs", LAST]}, "1 are to be compared with 2"),
        ([A, B], {"other": [mlp((4,), 2).init(jax.random.key(0))], "other_network": mlp((4,), 2)}, "gives? outputs"),
        ([A, B], {"budget": -1}, "budget"),
    ],
)
def test_what_cannot_be_compared_is_refused(population, options, message):
    given = {"inputs": INPUTS, "measures": "cka", **options}
    with pytest.raises(InputError, match=message):
        convergence(NET, population, given.pop("inputs"), **given)


def test_tokens_outside_the_vocabulary_are_refused():
    reads = mlp((2,), 3, vocabulary=4, widths=(5,))
    points = [reads.init(jax.random.key(number)) for number in (0, 1)]
    with pytest.raises(InputError, match=r"vocabulary|token"):
        convergence(reads, points, np.full((5, 2), 4))


def test_names_that_do_not_exist_are_refused():
    for options, message in (({"layers": "layers/9"}, "layer"), ({"align": "w"}, "method"), ({"loss": "m"}, "loss")):
        with pytest.raises(UnknownNameError, match=message):
            convergence(NET, [A, B], INPUTS, **options)


def test_one_output_needs_to_be_told_how_it_answers():
    one = mlp((4,), 1, widths=(5,))
    points = [one.init(jax.random.key(number)) for number in range(3)]
    with pytest.raises(InputError, match="loss: the network has one output"):
        convergence(one, points, INPUTS)
    labels = (INPUTS[:, 0] > 0).astype(float)
    found = convergence(one, points, INPUTS, loss="bce", labels=labels, measures="cka")
    said = np.stack([np.asarray(one.apply(point, INPUTS))[:, 0] > 0 for point in points])
    assert found.disagreement.mistaken.value == pytest.approx((said != (labels > 0.5)).mean())
    assert found.value == pytest.approx(np.mean([(said[a] == said[b]).mean() for a, b in ((0, 1), (0, 2), (1, 2))]))


def test_a_network_that_mixes_its_inputs_is_refused():
    mixes = Network(lambda key: jnp.ones((4, 2)), lambda w, x: (x - x.mean(0)) @ w)
    with pytest.raises(InputError, match="by itself than among others"):
        convergence(mixes, [jnp.ones((4, 2)), 2 * jnp.ones((4, 2))], INPUTS)


def test_too_few_permutations_to_find_any_pair_are_said():
    """Three pairs need 59 permutations at a level of .05: with 58 no p-value can be small enough."""
    few, enough = (convergence(NET, [A, A, A], INPUTS, permutations=n, measures="cka").agreement for n in (58, 59))
    assert enough.share == 1.0 and np.isnan(few.share)
    assert "58 permutations are too few to tell any of 3 pairs" in str(few) and "100% of 3 pairs" in str(enough)


def test_programs_that_were_not_found_are_no_program():
    with pytest.raises(InputError, match="1 of 2 are None or NaN"):
        convergence(NET, [A, B], INPUTS, programs=[None, "x"], measures="cka")


def test_hidden_layers_take_tensors_and_refuse_inputs_that_do_not_fit():
    torch = pytest.importorskip("torch")
    point = jax.tree.map(lambda leaf: torch.nn.Parameter(torch.tensor(np.asarray(leaf))), A)
    assert list(hidden_layers(NET, point, torch.zeros(1, 4))) == ["layers/1/weight", LAST]
    with pytest.raises(InputError, match="expected"):
        hidden_layers(NET, A, np.zeros((1, 7)))
