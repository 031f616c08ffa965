"""The forecast of learnability, its law, and what it refuses."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

from allroads import InputError, Network, Problem, Target, explore
from allroads.errors import UnknownNameError
from allroads.explorers.gd import GD
from allroads.explorers.recording import Recording
from allroads.networks.mlp import mlp
from allroads.paths.learnability import LearnabilityOptions, learnability
from allroads.paths.learnability.law.calibration import Calibration, calibrate, default_calibration
from allroads.paths.learnability.law.features import FEATURES
from allroads.status import ForecastStatus

CUBE = 1.0 - 2.0 * (np.arange(16)[:, None] >> np.arange(4) & 1)
NETWORK = mlp((4,), 1, widths=(24,))
LINE = mlp((4,), 1, widths=())


def believing():
    """A law whose mean is the simulated steps."""
    nothing = ((0.0, 0.0), (0.0, 0.0))
    return Calibration(FEATURES, (0.0,), (1.0,), (-99.0,), (999.0,), (0.0, 1.0), nothing, 0.2, {})


def forecast(targets, network=NETWORK, inputs=CUBE, loss="mse", explorer="gd", **options):
    method = {"draws": 4, "calibration": believing(), "seeds": 2}
    method |= {name: options.pop(name) for name in ("threshold", "seeds", "draws", "calibration") if name in options}
    return learnability(network, inputs, targets, loss, explorer, **options, options=LearnabilityOptions(**method))


@pytest.fixture(scope="module")
def found():
    targets = {"parity": CUBE.prod(axis=1), "bit": CUBE[:, 0], "flat": np.ones(16)}
    return forecast(targets, explorer=GD(learning_rate=0.01), within=200)


def test_every_row_has_all_that_was_promised(found):
    assert [row.name for row in found] == ["parity", "bit", "flat"] and len(found) == 3
    parity, bit, flat = found
    assert bit.order == 1 and parity.order == 2 and bit.steps < parity.steps
    assert bit.interval[0] < bit.steps < bit.interval[1]
    for row in (parity, bit):
        low, high = row.probability_interval
        assert row.status == ForecastStatus.OK and 0 <= low <= row.probability <= high <= 1 and row.road > 0
        assert all(np.isfinite(value) for value in row.baselines.values()) and len(row.baselines) == 7
    assert parity.baselines["leap"] == parity.baselines["degree"] == 4
    assert bit.baselines["kernel alignment"] > parity.baselines["kernel alignment"]
    assert bit.baselines["yᵀK⁻¹y"] < parity.baselines["yᵀK⁻¹y"]
    assert flat.status == ForecastStatus.NOTHING_TO_LEARN and flat.order == 3 and np.isnan(flat.probability)
    assert "constant" in flat.status.meaning and "Leave the target out" in flat.status.remedy
    assert flat.baselines["hitting time"].status == ForecastStatus.NOTHING_TO_LEARN
    assert "nothing to learn" in str(found) and found.table()[2]["steps"] is None


def test_half_of_the_chance_lies_at_the_predicted_steps(found):
    steps = found["parity"].steps
    at = forecast({"parity": CUBE.prod(axis=1)}, explorer=GD(learning_rate=0.01), within=round(steps))
    assert at["parity"].probability == pytest.approx(0.5, abs=0.02)


@pytest.mark.slow
def test_the_starts_are_those_of_explore():
    """A map that is linear is predicted to the step, from the very starts that explore draws."""
    easy = forecast({"bit": CUBE[:, 0]}, LINE, explorer=GD(learning_rate=0.003), seeds=3)["bit"]
    run = explore(
        Problem(LINE, "mse", CUBE, CUBE[:, :1]), GD(learning_rate=0.003), 3, steps=1000, record=Recording(records=1000)
    )
    actual = [run.steps[curve <= 0.1][0] for curve in run.curves["train_loss"]]
    assert np.ptp(actual) > 20  # the starts differ
    assert float(easy.baselines["hitting time"]) == pytest.approx(np.mean(actual), abs=1)


def test_seeds_beyond_a_32_bit_integer_are_seeds():
    given = {"explorer": GD(learning_rate=0.003), "seeds": 1}
    first, again, other = (forecast({"bit": CUBE[:, 0]}, LINE, **given, seed=n)["bit"] for n in (2**31, 2**31, 5))
    assert first.steps == again.steps != other.steps


def test_the_chance_is_the_mean_over_laws_and_lies_in_its_interval(seed):
    """Of laws that differ by a factor e, each as sure as a fifth, by simulation."""
    draws = np.random.default_rng(seed).normal(size=200_000)
    for budget in (20, 100, 500, 5000, 100_000):
        row = forecast({"parity": CUBE.prod(axis=1)}, calibration=doubting(), within=budget, seeds=1)["parity"]
        ahead = np.log(budget / row.steps)
        assert row.probability == pytest.approx(norm.cdf((ahead + draws) / 0.2).mean(), abs=0.005)
        low, high = row.probability_interval
        assert 0 <= low <= row.probability <= high <= 1
        middle = np.quantile(norm.cdf((ahead + draws) / 0.2), [0.05, 0.95])
        assert low <= middle[0] + 0.01 and high >= middle[1] - 0.01


def doubting():
    """The same, but every map and explorer may be faster or slower by a factor e."""
    law = believing()
    doubt = np.zeros((len(law.mean),) * 2)
    doubt[0, 0] = 1.0
    return replace(law, covariance=tuple(map(tuple, doubt.tolist())))


@pytest.mark.slow
def test_what_is_learned_first_is_not_predicted_but_known():
    targets = {"bit": CUBE[:, 0], "parity": CUBE.prod(axis=1)}
    found = forecast(targets, LINE, explorer=GD(learning_rate=0.1), learn=2, within=40)
    run = explore(Problem(LINE, "mse", CUBE, CUBE[:, :1]), GD(learning_rate=0.1), 2, steps=40)
    actual = [run.steps[curve <= 0.1][0] for curve in run.curves["train_loss"]]
    assert found.learned_first == 2 and found["bit"].probability == 1
    assert found["bit"].interval == pytest.approx((min(actual), max(actual)), abs=1)
    assert found["parity"].probability < 0.01 and found["parity"].baselines["hitting time"] == np.inf


def test_what_is_learned_first_corrects_the_law_for_the_others():
    """A law that is wrong by a factor 3 for every map is corrected by one target of a linear map."""
    law = doubting()
    wrong = replace(law, mean=(np.log(3.0), *law.mean[1:]))
    targets = {"one": CUBE[:, 0], "two": CUBE[:, 1], "sum": (CUBE[:, 0] + CUBE[:, 2]) / 2**0.5}
    options = {"explorer": GD(learning_rate=0.003), "seeds": 2, "calibration": wrong}
    before = forecast(targets, LINE, **options)
    after = forecast(targets, LINE, **options, learn=1)
    (known,) = [row.name for row in after if row.interval[1] < 1.3 * row.interval[0]]  # of two starts
    for row in after:
        right = before[row.name].steps / 3  # linear maps take the hitting time
        assert before[row.name].steps > 2.9 * right
        assert row.steps == pytest.approx(right, rel=0.15)
        if row.name != known:
            low, high = before[row.name].interval
            assert row.interval[1] / row.interval[0] < 0.3 * high / low


def test_targets_that_take_too_long_are_known_to_take_longer():
    """Runs that were cut short move the law towards more steps, and say nothing of how many."""
    law = doubting()
    x = np.full((2, 1), np.log(100.0))
    later = law.conditioned_on(x, [1000.0, 1000.0], [False, False])
    exactly = law.conditioned_on(x, [1000.0, 1000.0], [True, True])
    means = [float(one.log_steps(x[0])[0]) for one in (law, exactly, later)]
    assert means[0] < np.log(110) and means[1] == pytest.approx(np.log(1000), abs=0.1) and means[2] > means[1]


@pytest.mark.slow
def test_targets_may_be_objects_and_complete_the_cube():
    bits = [[r >> i & 1 for i in range(4)] for r in range(16)]
    target = Target(
        "and", inputs=bits, function=lambda x: int(x[0] * x[1]), train_fraction=0.75, complete=True, loss="bce"
    )
    found = forecast(target, inputs=None, loss="bce")
    assert found["and"].baselines["degree"] == 2 and found["and"].status == ForecastStatus.OK
    alone = forecast({"and": target.train.labels}, inputs=target.train.inputs, loss="bce")
    assert alone["and"].baselines["degree"].status == ForecastStatus.NOT_APPLICABLE
    assert alone["and"].steps == found["and"].steps


def test_a_network_that_is_not_finite_is_said_to_be():
    broken = Network(lambda key: jnp.ones(4), lambda w, x: (x @ w)[:, None] / 0.0)
    assert forecast(CUBE[:, 0], broken)["target 0"].status == ForecastStatus.DIVERGED


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"targets": [np.full(16, np.nan)]}, InputError, "label 0 is NaN"),
        ({"targets": [np.ones(3)]}, InputError, "16 examples"),
        ({"targets": []}, InputError, "no targets"),
        ({"targets": {"a": CUBE[:, 0], "b": CUBE[:, :2]}}, InputError, "another shape"),
        ({"inputs": np.where(CUBE > 0, CUBE, np.nan)}, InputError, "NaN or an infinity"),
        ({"inputs": None}, InputError, "inputs are needed"),
        ({"learn": -1}, InputError, "learn: expected"),
        ({"threshold": 1.5}, InputError, "threshold"),
        ({"seeds": 0}, InputError, "seeds"),
        ({"explorer": "adma"}, UnknownNameError, "adam"),
        ({"loss": "mes"}, UnknownNameError, "mse"),
        ({"held_out": (np.ones((2, 5)), [np.ones(2)])}, InputError, "held_out"),
    ],
)
def test_what_cannot_be_used_is_named(change, error, words):
    with pytest.raises(error, match=words):
        forecast(**{"targets": [CUBE[:, 0]]} | change)


RUNS = 2400
"""Planted runs: the law's numbers are then known to 0.009, a fifth of what is allowed."""


@pytest.fixture(scope="module")
def planted(seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(RUNS, 2)) * [1.0, 2.0]
    logs = 4 + x @ [1.0, -0.5] + 0.3 * rng.normal(size=RUNS)
    budget = np.exp(4.0)
    return x, np.minimum(np.exp(logs), budget), np.exp(logs) <= budget, [f"group {i % 6}" for i in range(RUNS)]


def test_a_law_is_found_although_half_of_the_runs_were_cut_short(planted):
    x, steps, learned, groups = planted
    assert 0.4 < learned.mean() < 0.6
    law = calibrate(x, steps, learned, groups, names=("a", "b"))
    np.testing.assert_allclose(np.array(law.mean[1:]) / np.array(law.scale), [1.0, -0.5], atol=0.05)
    assert law.log_steps(np.zeros(2))[0] == pytest.approx(4, abs=0.06)
    assert law.noise == pytest.approx(0.3, abs=0.04)
    assert law.outside([0.0, 50.0]) == ("b",) and law.outside([0.0, 0.0]) == ()
    naive = np.linalg.lstsq(np.column_stack([np.ones(RUNS), x]), np.log(steps), rcond=None)[0]
    assert abs(naive[1] - 1) > 0.2  # what taking the budget for the steps would give


def test_a_law_survives_its_file_and_refuses_what_it_cannot_fit(planted):
    x, steps, learned, groups = planted
    law = calibrate(x, steps, learned, groups, names=("a", "b"), provenance={"rows": RUNS})
    assert Calibration.from_json(law.to_json()) == law
    refused = {
        "one group": (x, steps, learned, ["one"] * RUNS),
        "finite": (x * np.nan, steps, learned, groups),
        "fit together": (x[:5], steps, learned, groups),
    }
    for words, bad in refused.items():
        with pytest.raises(InputError, match=words):
            calibrate(*bad, names=("a", "b"))


def test_a_law_has_an_offset(planted):
    """Its mean is that feature, whatever the runs say; how far they stray from it is the covariance."""
    x, steps, learned, groups = planted
    law = calibrate(x, steps, learned, groups, names=("a", "b"), offset="b")
    for at in ([0.0, 3.0], [2.0, 5.0]):
        mean, doubt = law.log_steps(at)
        assert mean == pytest.approx(at[1], abs=1e-9)
        assert doubt > abs(4 + at[0] - 0.5 * at[1] - at[1]) / 3  # a truth three deviations away at most
    with pytest.raises(InputError, match="no feature is named 'c'; there are a, b"):
        calibrate(x, steps, learned, groups, names=("a", "b"), offset="c")


def test_a_law_over_what_is_not_known_of_a_target_is_refused():
    other = replace(believing(), features=("degree",))
    with pytest.raises(InputError, match="asks for degree; what is known of a target is simulated steps"):
        forecast({"bit": CUBE[:, 0]}, calibration=other)


def test_the_law_that_comes_along_has_the_simulated_steps_as_its_mean():
    law = default_calibration()
    assert law.features == FEATURES and law.provenance["rows"] > 7000 and 0.05 < law.noise < 0.5
    for steps in (10.0, 300.0, 1e5):
        mean, doubt = law.log_steps([np.log(steps)])
        assert mean == pytest.approx(np.log(steps), abs=1e-9) and 0.1 < doubt < 2
    targets = {"bit": CUBE[:, 0], "parity": CUBE.prod(axis=1)}
    chosen, given = (forecast(targets, calibration=law) for law in (None, law))
    assert chosen.table() == given.table()
