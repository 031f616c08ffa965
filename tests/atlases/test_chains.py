"""Chains of programs: committors and times in closed form, lumpability with its size and power, reach graphs."""

import networkx as nx
import numpy as np
import pytest
from scipy.stats import hypergeom

from allroads import (
    AtlasStatus,
    InputError,
    atlas,
    committor,
    first_passage_time,
    lumpability,
    program_chain,
    reach_graph,
)
from allroads.atlases.chains import lumping_error


def birth_death(count, up, down):
    """A chain on 0 … count that steps up or down, or stays."""
    chain = np.diag([up] * count, 1) + np.diag([down] * count, -1)
    return chain + np.diag(1 - chain.sum(axis=1))


@pytest.mark.parametrize(("up", "down"), [(0.3, 0.2), (0.1, 0.4), (0.25, 0.25)])
def test_a_birth_death_chain_has_its_closed_committor(up, down):
    """(1 − ρ^i)/(1 − ρ^n) with ρ = down/up, and i/n where they are alike."""
    found = committor(birth_death(10, up, down), source=0, target=10)
    ratio, i = down / up, np.arange(11)
    expected = i / 10 if ratio == 1 else (1 - ratio**i) / (1 - ratio**10)
    np.testing.assert_allclose(found.values, expected, atol=1e-12)
    assert found.status == AtlasStatus.OK and found.at(10) == 1.0
    back = committor(birth_death(10, up, down), source=10, target=0)
    np.testing.assert_allclose(found.values + back.values, 1, atol=1e-12)


def test_a_birth_death_chain_has_its_closed_first_passage_time():
    """From i to n: Σ over k from i to n − 1 of Σ_{j ≤ k} ρ^(k − j)/up."""
    up, down, n = 0.3, 0.2, 8
    found = first_passage_time(birth_death(n, up, down), target=n).values
    step = [sum((down / up) ** (k - j) for j in range(k + 1)) / up for k in range(n)]
    np.testing.assert_allclose(found, [sum(step[i:]) for i in range(n + 1)], rtol=1e-12)


def test_chains_of_many_states_agree_with_simulated_runs(seed):
    rng = np.random.default_rng(seed)
    moves = rng.dirichlet(np.full(12, 0.3), size=12)
    q, t = committor(moves, [0, 1], [2, 3]).values, first_passage_time(moves, [2, 3]).values
    state = np.repeat(np.arange(12), 4000)
    first, time = np.full(len(state), -1), np.full(len(state), -1)
    for step in range(4000):
        first[(first < 0) & (state < 4)] = state[(first < 0) & (state < 4)] // 2
        time[(time < 0) & (state // 2 == 1)] = step
        if (time >= 0).all():
            break
        state = np.minimum((rng.random(len(state))[:, None] > moves.cumsum(axis=1)[state]).sum(axis=1), 11)
    shares, times = first.reshape(12, -1).mean(axis=1), time.reshape(12, -1)
    assert np.abs(shares - q).max() < 4.5 * 0.5 / np.sqrt(4000)
    assert (np.abs(times.mean(axis=1) - t) <= 4.5 * times.std(axis=1) / np.sqrt(4000) + 1e-9).all()


def test_what_cannot_be_met_has_no_chance_and_no_time():
    """0 → 1 or 2, both for good; 3 on its own."""
    moves = [[0, 0.5, 0.5, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    assert committor(moves, 1, 2).values.tolist() == [0.5, 0, 1, 0]
    assert committor(moves, 3, 2).values.tolist() == [0.5, 0, 1, 0]  # half of the runs meet neither
    assert first_passage_time(moves, 2).values.tolist() == [np.inf, np.inf, 0, np.inf]
    assert first_passage_time(moves, [1, 2]).values.tolist() == [1, 0, 0, np.inf]
    through = [[0.5, 0.5, 0], [0.25, 0.25, 0.5], [0, 0, 1]]  # 2 is met by way of 1 alone, which is the source
    assert committor(through, 1, 2).values.tolist() == [0, 0, 1]


def test_what_comes_after_the_target_does_not_count():
    """0 → 1 → 2 for good: 1 is met after one step, though the chain ends elsewhere."""
    assert first_passage_time([[0, 1, 0], [0, 0, 1], [0, 0, 1]], 1).values.tolist() == [1, 0, np.inf]


def test_the_null_keeps_what_follows_what():
    """bab 20, bac 10, cab 10, cac 20: the exact p of a table with margins of 30, whatever else the runs hold."""
    runs = [["b", "a", "b"]] * 20 + [["b", "a", "c"]] * 10 + [["c", "a", "b"]] * 10 + [["c", "a", "c"]] * 20
    table = hypergeom(60, 30, 30)
    found = lumpability(runs + [["a", "b", "a"], ["a", "c", "a"]] * 30, permutations=9999)
    assert found.bits_p == pytest.approx(table.cdf(10) + table.sf(19), abs=0.006)


def walks_of(moves, labels, runs, length, rng):
    sums, state = np.cumsum(moves, axis=1), rng.integers(len(moves), size=runs)
    states = [state]
    for _ in range(length):
        state = np.minimum((rng.random(runs)[:, None] > sums[state]).sum(axis=1), len(moves) - 1)
        states.append(state)
    return [[labels[state] for state in run] for run in np.stack(states, axis=1)]


LUMPABLE = np.array([[0.5, 0.1, 0.2, 0.2], [0.3, 0.3, 0.1, 0.3], [0.1, 0.3, 0.1, 0.5], [0.4, 0.0, 0.6, 0.0]])
"""Parts {0, 1} and {2, 3}: whatever the state, .6 and .4 from the first part, .4 and .6 from the second."""
HIDDEN = np.array([[0.9, 0.0, 0.1, 0.0], [0.0, 0.1, 0.0, 0.9], [0.8, 0.0, 0.1, 0.1], [0.0, 0.5, 0.2, 0.3]])
"""The same parts, whose states go to other places and mostly stay in their own half."""


def test_lumpable_chains_are_told_from_others_by_definition():
    assert lumping_error(LUMPABLE, [0, 0, 1, 1]) < 1e-12 < 0.1 < lumping_error(HIDDEN, [0, 0, 1, 1])
    assert lumping_error(HIDDEN, [0, 1, 2, 3]) == 0
    with pytest.raises(InputError, match="one per state"):
        lumping_error(HIDDEN, [0, 1])


@pytest.mark.slow
def test_lumpability_is_refuted_where_it_fails_and_seldom_where_it_holds(seed):
    """At level .05 each of 80 true chains is refuted with at most that chance: over 13 of them, 1 in 10,000."""
    rng = np.random.default_rng(seed)
    wrong = right = 0
    for number in range(80):
        given = walks_of(LUMPABLE, "aabb", 20, 12, rng)
        wrong += lumpability(given, permutations=99, seed=number).status == AtlasStatus.REFUTED
    for number in range(10):
        found = lumpability(walks_of(HIDDEN, "aabb", 40, 30, rng), permutations=99, seed=number)
        right += found.status == AtlasStatus.REFUTED
        assert found.bits > 0 and found.triples == 40 * 29
    assert wrong <= 13 and right >= 9


def test_chapman_kolmogorov_refutes_what_the_second_step_shows():
    """Two labels by turns in pairs, aabbaabb…: one step says a half, two steps always say the other one."""
    found = lumpability([list("aabb" * 5) for _ in range(20)])
    assert found.status == AtlasStatus.REFUTED
    assert found.gap == pytest.approx(0.5, abs=0.03) and found.bits == pytest.approx(1.0, abs=0.03)


def test_numbers_are_given_only_where_the_chain_is_not_refuted():
    rng = np.random.default_rng(0)
    bad = program_chain(walks_of(HIDDEN, "aabb", 40, 30, rng))
    assert bad.status == AtlasStatus.REFUTED
    for found in (committor(bad, "a", "b"), first_passage_time(bad, "b")):
        assert found.status == AtlasStatus.REFUTED and np.isnan(found.values).all() and np.isnan(found.value)
    few = program_chain([["a", "b"], ["b", "c"]])
    assert few.status == AtlasStatus.TOO_FEW and first_passage_time(few, "c").values.tolist() == [2, 1, 0]
    assert program_chain([["a"], ["b"]]).transition.tolist() == [[1, 0], [0, 1]]


@pytest.mark.slow
def test_intervals_over_runs_hold_the_truth(seed):
    """95 % intervals of 40 estimated chains: fewer than 31 that hold is a chance below 1 in 5,000 at 93 %."""
    rng = np.random.default_rng(seed)
    chain = birth_death(3, 0.4, 0.3)
    truth = committor(chain, 0, 3).values
    held = 0
    for number in range(40):
        walks = walks_of(chain, range(4), 60, 12, rng)
        estimated = program_chain(walks, permutations=39, seed=number, level=0.05)
        if estimated.status == AtlasStatus.REFUTED:
            held += 1
            continue
        found = committor(estimated, 0, 3, seed=number, resamples=60)
        at = found.states.index(1)
        held += bool(found.low[at] <= truth[1] <= found.high[at])
        assert (found.low <= found.values).all() and (found.values <= found.high).all()
    assert held >= 31


def test_reach_graphs_have_the_components_of_networkx_and_a_condensation_without_circles():
    rng = np.random.default_rng(1)
    for _ in range(30):
        reached = np.where(rng.random((9, 9)) < 0.17, 16, 0)
        found = reach_graph(reached, 16, above=0.5)
        graph = nx.from_numpy_array(found.certain, create_using=nx.DiGraph)
        parts = {frozenset(part) for part in nx.strongly_connected_components(graph)}
        assert parts == {frozenset(map(int, row)) for row in found.parts["nodes"].to_list()}
        assert all(p < q for p, q in found.arcs.rows())
        leaving = {p for p, _ in found.arcs.rows()}
        assert [row["sink"] for row in found.parts.to_dicts()] == [p not in leaving for p in range(len(found.parts))]
        assert found.status == AtlasStatus.OK and found.fewest == found.value


def test_arcs_that_few_trials_leave_open_are_said():
    found = reach_graph([[0, 2], [2, 0]], 2, above=0.5)
    assert found.status == AtlasStatus.UNDECIDED and found.value == 2 and found.fewest == 1
    untried = reach_graph([[0, 0], [0, 0]], [[0, 0], [16, 0]], above=0.5)
    assert untried.possible.tolist() == [[False, True], [False, False]]
    assert reach_graph([[0]], 4).stats["sinks"] == 1


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: lumpability("abc"), "one sequence of labels per run"),
        (lambda: lumpability([["a"], []]), "run 1 has no label"),
        (lambda: lumpability([[["a"]]]), "hashable"),
        (lambda: lumpability([[float("nan")]]), "NaN"),
        (lambda: lumpability([["a"]], permutations=10), "permutations"),
        (lambda: committor([[1, 1], [0, 1]], 0, 1), "row 0 is no distribution"),
        (lambda: committor([[1, 0]], 0, 1), "square matrix"),
        (lambda: committor(np.eye(2), 0, [0, 1]), "both hold 0"),
        (lambda: committor(np.eye(2), 0, 5), "no state 5"),
        (lambda: program_chain(atlas([["a", "b"]])), "of an atlas, list"),
        (lambda: first_passage_time(np.eye(2), []), "one state at least"),
        (lambda: first_passage_time(program_chain([["ab", "c"]]), "a"), "no state 'a'"),
        (lambda: reach_graph([[0, 3], [0, 0]], 2), "no more than tried"),
        (lambda: reach_graph([[0, 0.5], [0, 0]], 2), "whole numbers"),
        (lambda: reach_graph([[0, 1], [0, 0]], 2, above=1.5), "above"),
        (lambda: reach_graph([[0, 1], [0, 0]], 2, names=["a", "a"]), "different"),
        (lambda: reach_graph([0, 1], 2), "square matrix"),
    ],
)
def test_what_is_no_chain_is_refused(call, said):
    with pytest.raises(InputError, match=said):
        call()
