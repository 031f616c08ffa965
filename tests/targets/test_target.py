"""The constructor: where examples come from, how they are split, what is known, what cannot be changed."""

import json
import pickle

import numpy as np
import pytest

import allroads
from allroads.targets import Interface, Probes, Target


def rows_of(probes):
    return {row.tobytes() for row in probes.inputs}


def test_is_exported():
    assert allroads.Target is Target


def test_labels_that_a_user_gives_are_kept_beside_their_inputs():
    x = np.arange(20.0).reshape(10, 2)
    y = np.arange(10) % 3
    target = Target("mine", inputs=x, labels=y, train_fraction=0.7)
    assert (len(target.train), len(target.held_out), target.full) == (7, 3, None)
    assert target.interface == Interface((2,), 3, None, False)
    for side in (target.train, target.held_out):
        assert [y[int(row[0] // 2)] for row in side.inputs] == side.labels.tolist()
    assert rows_of(target.train) | rows_of(target.held_out) == {row.tobytes() for row in x}
    assert not rows_of(target.train) & rows_of(target.held_out)


def test_equal_examples_never_lie_on_both_sides():
    x = np.repeat(np.arange(30.0), 3)[:, None]
    for seed in range(20):
        target = Target("repeated", inputs=x, labels=np.arange(90) % 2, seed=seed, train_fraction=0.5)
        assert not rows_of(target.train) & rows_of(target.held_out)
        assert 43 <= len(target.train) <= 45


def test_minus_zero_is_zero_for_the_split():
    x = np.array([[0.0], [-0.0], [1.0], [2.0], [3.0], [4.0]])
    for seed in range(10):
        target = Target("zeros", inputs=x, labels=[0, 1, 0, 1, 0, 1], seed=seed, train_size=3)
        assert np.sum(target.train.inputs == 0) in (0, 2)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: int(x[0] + x[1] > 0),
        lambda x: bool(x[0] + x[1] > 0),
        lambda X: (X[:, 0] + X[:, 1] > 0).astype(int),
        lambda X: np.sum(X, axis=1) > 0,
    ],
)
def test_a_function_of_one_example_or_of_a_batch(function):
    x = np.random.default_rng(0).normal(size=(50, 2))
    target = Target("sign", inputs=x, function=function, complete=True, train_fraction=1)
    assert (target.full.labels == (x.sum(axis=1) > 0)).all()
    assert target.function(x[3]) == target.full.labels[3]  # always a function of one example


def test_vectorised_says_what_trying_cannot_find_out():
    x = np.arange(18.0).reshape(6, 3)
    alone = Target("sum", inputs=x, function=lambda v: v - v.mean(), loss="mse", train_fraction=1)
    batch = Target("sum", inputs=x, function=lambda v: v - v.mean(), loss="mse", train_fraction=1, vectorised=True)
    np.testing.assert_array_equal(alone.train.labels, [[-1, 0, 1]] * 6)
    np.testing.assert_array_equal(batch.train.labels, x - 8.5)


def test_a_function_may_spoil_its_own_copy_alone():
    def spoil(x):
        x[:] = np.sort(x)
        return float(x[0])

    x = np.array([[3.0, 1.0], [2.0, 5.0]])
    target = Target("least", inputs=x, function=spoil, train_fraction=1)
    assert target.train.inputs.tolist() == x.tolist() and target.train.labels.tolist() == [1.0, 2.0]


def test_symbols_go_to_functions_and_tokens_to_networks():
    seen = []

    def closes(sequence):
        seen.append(sequence)
        return sequence.count(")")

    target = Target("brackets", alphabet="()", length=3, function=closes)
    assert target.interface == Interface((3,), 4, 2, False)
    assert target.alphabet == ("(", ")")
    assert len(target.full) == 8 and target.full.inputs.dtype.kind == "i"
    assert (target.full.labels == target.full.inputs.sum(axis=1)).all()
    assert all(type(s) is list and set(s) <= {"(", ")"} for s in seen)


def test_channels_reach_functions_as_tuples():
    def conjunction(sequence):
        assert {type(position) for position in sequence} == {tuple}
        return [a & b for a, b in sequence]

    target = Target("and", alphabet=2, length=2, channels=2, function=conjunction)
    assert target.interface == Interface((2, 2), 2, 2, True)
    assert (target.full.labels == target.full.inputs.prod(axis=2)).all()


def test_a_step_function_gives_one_answer_a_position():
    target = Target("sum", alphabet=range(3), length=4, step=lambda s, x: ((s + x) % 3,) * 2, initial_state=0)
    assert target.interface == Interface((4,), 3, 3, True)
    np.testing.assert_array_equal(target.full.labels, np.cumsum(target.full.inputs, axis=1) % 3)
    assert target.truth["minimal_states"] == 3
    assert target.truth["machine"]["transitions"] == [[0, 1, 2], [1, 2, 0], [2, 0, 1]]
    assert target.function([1, 2, 2]) == [1, 0, 2]


def test_a_step_function_over_real_inputs():
    x = np.random.default_rng(0).normal(size=(6, 4))
    target = Target("sum", inputs=x, step=lambda s, v: (s + v, s + v), initial_state=0.0, train_fraction=1)
    assert target.interface == Interface((4,), 1, None, True)
    np.testing.assert_allclose(target.train.labels, np.cumsum(x, axis=1), atol=1e-12)


def test_as_numbers_gives_the_symbols_themselves():
    target = Target("abs", alphabet=(-1, 0, 1), length=2, function=lambda s: [abs(v) for v in s], as_numbers=True)
    assert target.interface == Interface((2, 1), 1, None, True) and target.loss == "mse"
    np.testing.assert_array_equal(target.full.labels, np.abs(target.full.inputs[..., 0]))
    assert set(target.full.inputs.ravel()) == {-1.0, 0.0, 1.0}


def test_answers_may_be_symbols_of_their_own():
    target = Target(
        "even",
        alphabet=2,
        length=3,
        function=lambda s: "even" if sum(s) % 2 == 0 else "odd",
        output_alphabet=("odd", "even"),
    )
    assert (target.full.labels == 1 - target.full.inputs.sum(axis=1) % 2).all()


def test_large_domains_are_drawn_without_repetition():
    target = Target("many", alphabet=10, length=6, function=lambda s: s[0] % 2)
    assert (len(target.train), len(target.held_out), target.full) == (1024, 1024, None)
    assert len(rows_of(target.train) | rows_of(target.held_out)) == 2048


def test_a_sampler_decides_the_distribution_and_full_is_the_whole_domain():
    def mostly_zero(rng, count):
        return (rng.random((count, 8)) < 0.05).astype(int)

    target = Target("rare", alphabet=2, length=8, sampler=mostly_zero, train_size=20, held_out_size=10, function=sum)
    assert (len(target.train), len(target.held_out), len(target.full)) == (20, 10, 256)
    assert target.train.inputs.mean() < 0.3 < target.full.inputs.mean()
    assert not rows_of(target.train) & rows_of(target.held_out)


def test_a_sampler_of_real_examples():
    target = Target(
        "norm", sampler=lambda rng, n: rng.normal(size=(n, 3)), function=lambda x: float(x @ x), train_size=7
    )
    assert (len(target.train), len(target.held_out), target.loss) == (7, 1024, "mse")


def test_the_callers_own_split_is_kept():
    x = np.arange(8.0)[:, None]
    target = Target("mine", inputs=x[:5], labels=[0, 1, 0, 1, 0], held_out_inputs=x[5:], held_out_labels=[1, 0, 1])
    assert target.train.inputs.ravel().tolist() == [0, 1, 2, 3, 4]
    assert target.held_out.labels.tolist() == [1, 0, 1]


def test_shares_and_sizes():
    x, y = np.arange(100.0)[:, None], np.arange(100) % 2

    def sizes(**options):
        target = Target("t", inputs=x, labels=y, **options)
        return len(target.train), target.held_out and len(target.held_out)

    assert sizes() == (80, 20)
    assert sizes(train_fraction=1) == (100, None)
    assert sizes(train_fraction=0.25, held_out_size=5) == (25, 5)
    assert sizes(train_size=30) == (30, 70)
    assert sizes(train_size=30, held_out_size=0) == (30, None)


def constants_by_search(labels, loss):
    """The best constants among many, by the definitions of accuracy and loss."""
    if loss == "cross_entropy":
        classes = np.unique(labels)
        return max(np.mean(labels == c) for c in classes), -sum(
            np.mean(labels == c) * np.log(np.mean(labels == c)) for c in classes
        )
    grid = np.linspace(labels.min() - 1, labels.max() + 1, 20001)
    errors = np.abs(labels[:, None] - grid)
    return (errors < 0.5).mean(axis=0).max(), (errors**2).mean(axis=0).min()


@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
def test_baseline_is_the_best_constant(loss):
    rng = np.random.default_rng(3)
    labels = rng.integers(5, size=200) if loss == "cross_entropy" else rng.normal(size=200) * 2
    target = Target("t", inputs=np.arange(200.0)[:, None], labels=labels, loss=loss)
    for side in ("train", "held_out"):
        accuracy, value = constants_by_search(getattr(target, side).labels, loss)
        assert target.baseline[f"{side}_accuracy"] == pytest.approx(accuracy, abs=1e-12)
        assert target.baseline[f"{side}_loss"] == pytest.approx(value, abs=1e-4)


def test_a_number_is_right_where_it_is_nearer_than_a_half():
    """No constant is nearer than ½ to both 0 and 1."""
    target = Target("t", inputs=np.eye(3), labels=[0.0, 1.0, 1.0], train_fraction=1)
    assert target.baseline["train_accuracy"] == pytest.approx(2 / 3)


def test_baseline_constant_may_differ_between_positions_and_outputs():
    y = np.array([[0, 1, 0], [0, 1, 1], [0, 1, 1], [0, 0, 1]])
    by_position = Target("t", alphabet=4, inputs=[[i, 0, 0] for i in range(4)], labels=y, train_fraction=1)
    by_output = Target("t", inputs=np.eye(4), labels=y, loss="bce", train_fraction=1)
    for target in (by_position, by_output):
        assert target.baseline["train_accuracy"] == pytest.approx((1 + 3 / 4 + 3 / 4) / 3)
        quarter = -(0.25 * np.log(0.25) + 0.75 * np.log(0.75))
        assert target.baseline["train_loss"] == pytest.approx(2 * quarter / 3)
        assert target.baseline["held_out_accuracy"] is None
    assert by_position.interface.per_position and not by_output.interface.per_position


def test_nothing_can_be_changed():
    target = Target("t", alphabet=2, length=3, step=lambda s, x: (x, s), initial_state=0, truth={"a": [1]})
    for probes in (target.train, target.held_out, target.full, pickle.loads(pickle.dumps(target.full))):
        for array in (probes.inputs, probes.labels):
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 1
    for name in ("name", "train", "loss"):
        with pytest.raises(AttributeError):
            setattr(target, name, None)
    before = target.fingerprint()
    target.truth["a"].append(2)
    target.baseline["train_accuracy"] = 2
    assert target.truth["a"] == [1] and target.baseline["train_accuracy"] <= 1
    assert target.fingerprint() == before


def test_probes_do_not_alias_what_the_caller_holds():
    x = np.array([[0], [0], [1], [1]], dtype=np.float32)
    target = Target("t", inputs=x, labels=[0, 0, 1, 1], complete=True, train_fraction=1)
    x[:] = 7
    assert target.train.inputs.max() == target.full.inputs.max() == 1
    probes = Probes(x, x)
    x[:] = 8
    assert probes.inputs.max() == probes.labels.max() == 7


def test_fingerprint_follows_the_data_alone():
    x, y = np.arange(20.0)[:, None], np.arange(20) % 2

    def fingerprint(name="t", x=x, y=y, **options):
        return Target(name, inputs=x, labels=y, **options).fingerprint()

    same = fingerprint()
    assert same == fingerprint() == fingerprint(name="another", truth={"known": 1})
    assert len(same) == 64 and int(same, 16) >= 0
    changed_x, changed_y = x.copy(), y.copy()
    changed_x[3] += 1e-9
    changed_y[3] ^= 1
    others = [
        fingerprint(seed=1),
        fingerprint(train_fraction=0.5),
        fingerprint(held_out_size=2),
        fingerprint(loss="mse"),
        fingerprint(loss="bce"),
        fingerprint(classes=3),
        fingerprint(complete=True),
        fingerprint(x=changed_x),
        fingerprint(y=changed_y),
        fingerprint(x=x.astype(np.float32)),
        fingerprint(x=x.reshape(20, 1, 1)),
    ]
    assert len({same, *others}) == len(others) + 1


def test_truth_is_json():
    target = Target("t", inputs=np.eye(2), labels=[0, 1], train_fraction=1, truth={"m": np.eye(2), "n": np.int64(3)})
    assert json.loads(json.dumps(target.truth)) == {"m": [[1.0, 0.0], [0.0, 1.0]], "n": 3}


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "../../etc/passwd", "a\nb", "ψ"])
def test_any_text_is_a_name(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Target(name, inputs=np.eye(2), labels=[0, 1], train_fraction=1).name == name
    assert not list(tmp_path.iterdir())


def test_probes_are_named_and_have_a_length():
    probes = Probes(np.zeros((3, 2)), np.arange(3))
    assert len(probes) == 3
    assert repr(Target("t", inputs=np.eye(4), labels=[0, 1, 0, 1], train_fraction=1, loss="mse")) == (
        "Target('t', 4 to train, none held out, mse)"
    )
