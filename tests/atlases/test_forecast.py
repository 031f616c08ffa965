"""The forecast of the next program: gains of planted chains in closed form, none where labels are independent."""

import numpy as np
import pytest

from allroads import InputError, atlas, forecast_programs
from allroads.atlases.destinations import apart_weights, destination_weights
from allroads.atlases.next_program import coded, marginal_of, scored
from allroads.status import AtlasStatus

CYCLE = np.array([[0, 0.8, 0.1, 0.1], [0.1, 0, 0.8, 0.1], [0.1, 0.1, 0, 0.8], [0.8, 0.1, 0.1, 0]])
"""Doubly stochastic: in the long run every node is as frequent, so the marginal shares are a third each."""
GAIN = np.log2(3) + 0.8 * np.log2(0.8) + 0.2 * np.log2(0.1)


def walks(chain, runs, length, rng):
    """Walks from a uniform start, drawn side by side."""
    places = [rng.integers(len(chain), size=runs)]
    while len(places) < length:
        drawn = rng.random(runs)[:, None] > chain[places[-1]].cumsum(axis=1)
        places.append(np.minimum(drawn.sum(axis=1), len(chain) - 1))
    return np.stack(places, axis=1).tolist()


def independent(shares, runs, length, rng):
    return rng.choice(len(shares), p=shares, size=(runs, length)).tolist()


def test_the_gain_of_a_planted_chain_is_its_information(seed):
    """Smoothing costs some thousandths of a bit at 7,600 changes; the interval has a half-width of about 0.02."""
    found = forecast_programs(walks(CYCLE, 400, 20, np.random.default_rng(seed)), splits=2)
    assert found.status is AtlasStatus.OK and abs(found.value - GAIN) < 0.05
    assert found.stats["low"] - 0.02 < GAIN < found.stats["high"] + 0.02 and found.error < 0.05
    assert abs(found.stats["hits"] - 0.8) < 0.03 and found.stats["marginal"] == pytest.approx(np.log2(3), abs=0.01)
    assert found.value == pytest.approx(found.stats["marginal"] - found.stats["bits"], abs=1e-9)
    assert "predicts the next program: +0.6" in str(found)


def test_labels_that_are_independent_gain_nothing():
    """Of 40 seeds, one or two may lie above 0 by chance (2.5 % each); four or more have a probability of 2 %."""
    above, values = 0, []
    for seed in range(40):
        runs = independent([0.4, 0.3, 0.2, 0.1], 40, 8, np.random.default_rng(seed))
        found = forecast_programs(runs, splits=1, resamples=500, seed=seed)
        above += found.stats["low"] > 0
        values.append(found.value)
    assert above < 4 and -0.04 < np.mean(values) < 0.005


def test_many_labels_and_few_changes_cost_little():
    """Where nothing can be learned, both halves give the marginal shares a large weight."""
    runs = independent(np.full(20, 0.05), 30, 10, np.random.default_rng(0))
    found = forecast_programs(runs, resamples=200)
    assert found.value > -0.1 and min(found.stats["strengths"]) > 8


def test_the_target_is_conditioned_on():
    """Two targets with opposite cycles: each group's chain is known; together they cancel."""
    rng = np.random.default_rng(0)
    runs = walks(CYCLE, 100, 15, rng) + walks(CYCLE.T, 100, 15, rng)
    groups = ["there"] * 100 + ["back"] * 100
    known = forecast_programs(runs, groups=groups, splits=2)
    assert abs(known.value - GAIN) < 0.1 and set(known.groups) == {"there", "back"}
    assert all(row["low"] > 0 for row in known.groups.values()) and "2 of 2 groups" in str(known)
    unknown = forecast_programs(runs, splits=2)
    # 0.45, 0.1 and 0.45 in place of a third each
    assert abs(unknown.value - (np.log2(3) + 0.9 * np.log2(0.45) + 0.1 * np.log2(0.1))) < 0.05


def test_that_a_run_moves_at_all_is_no_gain():
    """Weights of quasi-independence are those of the labels; raw frequencies of arrivals are not."""
    shares = np.array([0.6, 0.2, 0.1, 0.1])
    table = shares[:, None] * shares * (1 - np.eye(4))
    found = destination_weights(table.sum(axis=0), table.sum(axis=1))
    np.testing.assert_allclose(found, shares, atol=1e-6)
    assert abs(table.sum(axis=0) / table.sum() - shares).max() > 0.1


def test_the_most_probable_next_program_is_never_the_present_one():
    """Of independent labels with shares w: changes leave p as often as w_p (1 − w_p), to q with w_q / (1 − w_p)."""
    shares = np.array([0.6, 0.2, 0.1, 0.1])
    left = shares * (1 - shares) / (shares * (1 - shares)).sum()
    right = left @ (np.array([0.2, 0.6, 0.6, 0.6]) / (1 - shares))
    found = forecast_programs(independent(shares, 200, 20, np.random.default_rng(0)), splits=2, resamples=200)
    assert abs(found.stats["marginal_hits"] - right) < 0.05 and abs(found.stats["hits"] - right) < 0.05


BITS = {str(code): [code >> bit & 1 for bit in range(3)] for code in range(8)}
DISTANCE = np.array([[(p ^ q).bit_count() for q in range(8)] for p in range(8)])


def test_what_distance_tells_is_no_gain_where_the_baseline_knows_it():
    """Steps that depend on the distance alone: 0.8 to one bit away, 0.15 to two, 0.05 to three."""
    chain = np.array([0, 0.8 / 3, 0.15 / 3, 0.05])[DISTANCE]
    runs = walks(chain, 200, 20, np.random.default_rng(0))
    plain = forecast_programs(runs, splits=2, resamples=200)
    truth = np.log2(7) + sum(share * np.log2(share / count) for share, count in ((0.8, 3), (0.15, 3), (0.05, 1)))
    assert abs(plain.value - truth) < 0.05 and truth > 0.4
    known = forecast_programs(runs, answers=BITS, splits=2, resamples=200)
    assert -0.03 < known.value < 0.01 and known.stats["marginal"] == pytest.approx(np.log2(7) - truth, abs=0.05)
    assert "over frequencies and distances" in str(known)


def test_the_gain_beyond_distance_is_that_of_a_planted_chain():
    """0.9 to the code with its first bit flipped, else to any: of three codes one bit away one is preferred."""
    chain = np.full((8, 8), 0.1 / 6) * (DISTANCE > 0)
    chain[np.arange(8), np.arange(8) ^ 1] = 0.9
    near = (0.9 + 0.2 / 6) / 3
    truth = 0.9 * np.log2(0.9 / near) + 0.2 / 6 * np.log2(0.1 / 6 / near)
    runs = walks(chain, 200, 20, np.random.default_rng(1))
    assert abs(forecast_programs(runs, answers=BITS, splits=2, resamples=200).value - truth) < 0.08


def test_weights_with_one_class_of_distance_are_those_of_quasi_independence():
    arrivals, departures = np.array([5.0, 3.0, 2.0, 2.5]), np.array([4.0, 3.0, 2.0, 2.0])
    found, factors = apart_weights(arrivals, departures, np.zeros((4, 4), int), np.array([11.0]), 1e-9)
    np.testing.assert_allclose(found, destination_weights(arrivals, departures), atol=1e-5)
    assert factors == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("known", [False, True])
def test_scores_are_those_of_the_formula(known):
    """One change after another by dense shares, with labels that the training half has not seen on either side."""
    rng = np.random.default_rng(3)
    every, _ = coded([[str(x) for x in rng.choice(12, size=9, p=np.arange(1, 13) / 78)] for _ in range(12)])
    if known:
        every = every._replace(apart=rng.integers(0, 3, (every.nodes, every.nodes)))
    train, test = every.at((every.run < 5) & (every.q < 9) & (every.p < 9)), every.at(every.run >= 5)
    model, new, alpha = marginal_of(train), every.nodes, 2.0
    found = scored(train, test, np.array([alpha]))
    seen = {*train.p.tolist(), *train.q.tolist()}
    assert len(seen) < every.nodes
    for at, (p, q) in enumerate(zip(test.p.tolist(), test.q.tolist(), strict=True)):
        shares = model.rows(np.array([p]))[0]
        assert shares.sum() == pytest.approx(1) and shares[p] == 0
        counts = np.array([((train.p == p) & (train.q == other)).sum() for other in range(new)])
        mixed = (counts * (1 - shares[new]) + alpha * shares[:new]) / (counts.sum() + alpha)
        smooth = np.append(mixed, shares[new])
        to = q if q in seen else new
        assert found.bits[0, at] == pytest.approx(-np.log2(smooth[to]))
        assert found.marginal[0, at] == pytest.approx(-np.log2(shares[to]))
        assert found.hit[0, at] == (smooth[to] == smooth.max()) and found.marginal_hit[0, at] == (to == shares.argmax())


def test_runs_that_stay_at_programs_of_their_own_are_not_one_program():
    assert forecast_programs([["a", "a"], ["b", "b"]]).status is AtlasStatus.TOO_FEW
    assert forecast_programs([["a", "a"], ["a"]]).status is AtlasStatus.ONE_PROGRAM


def test_a_budget_and_an_interrupt_keep_the_halvings_that_are_done(monkeypatch):
    runs = walks(CYCLE, 30, 6, np.random.default_rng(3))
    short = forecast_programs(runs, resamples=200, budget=1e-6)
    assert short.status is AtlasStatus.CUT_SHORT and short.stats["splits"] == 1 and short.stats["ended"] == "budget"
    assert str(short).endswith("\ncut short: 1 halving done")
    assert short.value == forecast_programs(runs, resamples=200, splits=1).value
    calls = []

    def stopped(*given):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return crossed(*given)

    from allroads.atlases import forecast

    crossed = forecast._crossed
    monkeypatch.setattr(forecast, "_crossed", stopped)
    found = forecast_programs(runs, resamples=200)
    assert found.stats["splits"] == 2 and found.stats["ended"] == "interrupted" and found.status.sound


def test_labels_that_only_some_runs_see():
    """Every run ends at a label of its own: nothing about it can be known, and it costs the atlas little."""
    runs = [["start", "a" if i % 2 else "b", f"own {i}"] for i in range(60)]
    found = forecast_programs(runs)
    assert np.isfinite(found.value) and found.stats["nodes"] == 63


def test_two_programs_by_turns_gain_nothing():
    found = forecast_programs([["a", "b"] * 3] * 10, resamples=100)
    assert abs(found.value) < 1e-9 and found.stats["hits"] == 1
    assert "does not clearly predict" in str(found)


def test_too_few_changes_and_one_program():
    few = forecast_programs([["a", "b"]] * 5)
    assert few.status is AtlasStatus.TOO_FEW and np.isnan(few.value) and few.error is None and "5 changes" in str(few)
    assert forecast_programs([["a", "a"]] * 50).status is AtlasStatus.ONE_PROGRAM


def test_an_atlas_and_its_runs_have_one_forecast():
    runs = walks(CYCLE, 30, 6, np.random.default_rng(3))
    a, b = forecast_programs(atlas(runs), resamples=200), forecast_programs(runs, resamples=200)
    assert a.value == b.value and dict(a.stats) == dict(b.stats)


@pytest.mark.parametrize(
    "call, says",
    [
        (lambda: forecast_programs([]), "one run or more"),
        (lambda: forecast_programs([["a", "b"]], groups=["x", "y"]), "one for each of 1 runs"),
        (lambda: forecast_programs({"r": ["a", "b"]}, groups={"s": 1}), "run 'r' has none"),
        (lambda: forecast_programs([["a", "b"]], splits=0), "splits: expected"),
        (lambda: forecast_programs([["a", "b"]], resamples=9), "resamples: expected"),
        (lambda: forecast_programs([["a", "b"]], answers={"a": [0, 1], "b": [0]}), "as many for each label"),
        (lambda: forecast_programs([["a", "b"]], answers={"a": [0.5]}), "whole numbers"),
        (lambda: forecast_programs([["a", "b"]], answers={"c": [1]}), "no label of the runs has any"),
        (lambda: forecast_programs([["a", "b"]], answers=[0, 1]), "by label"),
        (lambda: forecast_programs([["a", "b"]], budget=0), "budget"),
    ],
)
def test_bad_input(call, says):
    with pytest.raises(InputError, match=says):
        call()
