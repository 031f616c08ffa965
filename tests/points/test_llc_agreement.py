"""When chains agree: by R-hat, or where the energy hardly varies, by their means."""

from types import SimpleNamespace

import numpy as np
import pytest

from allroads.budget import Budget
from allroads.points.llc.assessment import Evidence, assess
from allroads.points.sampling.chains import Draws
from allroads.points.sampling.diagnostics import diagnose
from allroads.points.sampling.schedule import Level, Pace, _measure, _settled
from allroads.status import LLCStatus

LARGE, SMALL = 15_000.0, 15.0


def two_groups(value, apart, chains=4, draws=40, deviation=1.0, seed=0):
    """Energies of a Gaussian posterior, ``λ ± √λ``, of two groups whose means differ by a share of λ."""
    rng = np.random.default_rng(seed)
    shift = np.repeat([-apart / 2, apart / 2], chains // 2)[:, None] * value
    return value + shift + rng.normal(size=(chains, draws)) * deviation * np.sqrt(value)


def assessed(energy, *, hotter=None, virial=None, dimension=1):
    """The assessment where no level on the way differs, but for the mean of the hotter ones."""
    found = diagnose(energy)
    level, hot = (Level(1.0, 1.0, mean, found.standard_error) for mean in (found.mean, hotter or found.mean))
    return assess(
        Evidence(
            diagnostics=found, variance=float(energy.var()), virial=virial, dimension=dimension, acceptance=0.8,
            discretisation=0.0,
            localisation_anneal=(level,) * 3, temperature_anneal=(hot,) * 3,
            slope=0.0, baseline_error=0.0, subset_error=0.0, nbeta=1e3, flat=False, ladder=True,
        )
    )  # fmt: skip


def test_spread_is_that_of_the_means_of_half_chains():
    assert diagnose(np.array([[1.0, 3.0, 2.0, 4.0], [6.0, 8.0, 7.0, 9.0]])).spread == pytest.approx(
        np.std([2, 3, 7, 8], ddof=1)
    )


@pytest.mark.parametrize(("apart", "close"), [(0.0, True), (0.03, True), (0.045, False), (0.1, False)])
def test_means_are_close_with_a_spread_of_a_fiftieth(apart, close, seed):
    """Two groups a share apart have a standard deviation of .53 of it, which 160 draws tell to .0007."""
    found = diagnose(two_groups(LARGE, apart, seed=seed))
    assert found.close is close
    assert found.r_hat < 1.1 or apart > 0


def test_few_draws_of_small_energies_are_never_close(seed):
    """Chance makes half chains of 20 draws differ by λ^½/√20: a fiftieth of λ would need an energy of 125."""
    assert not any(diagnose(two_groups(value, 0.0, seed=seed)).close for value in (0.5, 2, 5))


def test_a_large_energy_is_converged_where_means_agree_though_draws_hardly_vary(seed):
    energy = two_groups(LARGE, 0.03, seed=seed)
    assert diagnose(energy).r_hat > 1.3
    found = assessed(energy)
    assert found.status == LLCStatus.CONVERGED
    assert abs(energy.mean() - LARGE) < found.error < 0.03 * LARGE


@pytest.mark.parametrize(
    "energy",
    [
        lambda seed: two_groups(LARGE, 0.05, seed=seed),
        lambda seed: two_groups(SMALL, 0.6, draws=400, seed=seed),
        lambda seed: two_groups(LARGE, 0.0, seed=seed) + np.linspace(0, 0.07 * LARGE, 40),
    ],
    ids=["groups apart", "groups of a small energy apart", "drifting"],
)
def test_an_energy_whose_means_differ_is_not_equilibrated(energy, seed):
    assert assessed(energy(seed)).status == LLCStatus.NOT_EQUILIBRATED


@pytest.mark.parametrize("deviation", [0.3, 1.5])
def test_close_means_do_not_excuse_a_variance_that_no_equilibrium_has(deviation, seed):
    assert assessed(two_groups(LARGE, 0.0, draws=400, seed=seed)).status == LLCStatus.CONVERGED
    energy = two_groups(LARGE, 0.015, draws=400, seed=seed, deviation=deviation)
    assert diagnose(energy).close and diagnose(energy).r_hat > 1.1
    wrong = assessed(energy)
    assert wrong.status == LLCStatus.NOT_EQUILIBRATED


def test_close_means_of_few_draws_say_too_little(seed):
    """Of four chains' 40 draws no more than 40 can be independent."""
    assert diagnose(two_groups(LARGE, 0.015, draws=10, seed=seed)).close
    assert assessed(two_groups(LARGE, 0.015, draws=10, seed=seed)).status == LLCStatus.NOT_EQUILIBRATED


@pytest.mark.parametrize("lower", [0.06, 0.2])
def test_close_means_do_not_excuse_an_answer_that_depends_on_the_temperature(lower, seed):
    found = assessed(two_groups(LARGE, 0.01, seed=seed), hotter=LARGE * (1 - lower))
    assert found.status == LLCStatus.SCALE_DEPENDENT


class Watched:
    """A run whose two groups come to means a share apart."""

    def __init__(self, value, apart, draws=10, rounds=12, seed=0):
        self.plan = SimpleNamespace(step_size=None, exactly=None, precision=0.01, rounds=rounds)
        self.sampler = SimpleNamespace(target_acceptance=0.75)
        self.value, self.apart, self.draws, self.count = value, apart, draws, 1000 * seed
        self.all_data, self.longer, self.steps = None, 0, 10

    def round(self, **options):
        self.count += 1
        energy = two_groups(self.value, self.apart, draws=self.draws, seed=self.count).reshape(2, 2, -1)
        return Draws(energy, np.full(energy.shape, 0.7), None, None, None, None)

    def tune_step(self, acceptance, gain):
        pass

    def lengthen(self):
        self.longer += 1

    def merge_groups(self, sites):
        return sites.reshape(1, 4, -1)


@pytest.mark.parametrize(("apart", "draws", "least", "most"), [(0.02, 10, 4, 4), (0.05, 10, 12, 12), (0.02, 2, 8, 12)])
def test_measuring_ends_where_means_are_close_and_draws_enough(apart, draws, least, most, seed):
    """Six rounds of two draws of four chains are 40 degrees of freedom, and 50 are enough."""
    measured, ended, _ = _measure(Pace(Watched(LARGE, apart, draws, seed=seed), Budget()), None, None)
    assert least <= len(measured) <= most and ended == ("precision" if len(measured) < 12 else "rounds")


@pytest.mark.parametrize(("apart", "settled"), [(0.03, True), (0.05, False)])
def test_tuning_ends_where_means_are_close(apart, settled, seed):
    run = Watched(10 * LARGE, apart, seed=seed)
    assert _settled(run, run.round()) is settled


def test_of_rounds_that_disagree_the_first_half_is_tuning_and_trajectories_grow(seed):
    run = Watched(LARGE, 0.2, rounds=40, seed=seed)
    measured, ended, _ = _measure(Pace(run, Budget()), None, None)
    assert ended == "rounds" and run.longer == 2
    assert len(measured) == ((16 // 2 + 16) // 2 + 8)  # halved after 16 rounds and after 32, then 8 more


def test_rounds_that_agree_are_all_kept(seed):
    run = Watched(LARGE, 0.0, rounds=40, seed=seed)
    run.plan.precision = 1e-9
    assert len(_measure(Pace(run, Budget()), None, None)[0]) == 40 and run.longer == 0


def test_of_two_draws_per_chain_the_error_is_students_over_chains():
    """Means 1, 2, 3 and 6: t₃ = 3.182 times their deviation over √4."""
    found = diagnose(np.array([1.0, 2.0, 3.0, 6.0])[:, None] + [-0.5, 0.5])
    assert 1.959964 * found.standard_error == pytest.approx(3.182446 * np.std([1, 2, 3, 6], ddof=1) / 2, rel=1e-5)
    assert found.r_hat == np.inf


def crossing_draws(rng, narrow):
    """Exact draws of exp(−nβ w₀²w₁²w₂² − |w|²/2) at nβ = 10⁶, with or without the narrow fifth of its valleys.

    Two coordinates are drawn from their normal law; the third given them is normal, and its width is their weight.
    """
    nbeta = 1e6
    others = rng.normal(size=(400_000, 2))
    width = (1 + 2 * nbeta * (others**2).prod(axis=1)) ** -0.5
    chosen = rng.choice(len(width), 50_000, p=width / width.sum())
    squares = np.column_stack([others[chosen], rng.normal(size=len(chosen)) * width[chosen]]) ** 2
    stiffest = np.max([squares[:, i] * squares[:, j] for i, j in ((0, 1), (0, 2), (1, 2))], axis=0)
    squares = squares if narrow else squares[stiffest < np.quantile(stiffest, 0.8)]
    energy = nbeta * squares.prod(axis=1)
    return energy.reshape(8, -1), (6 * energy + squares.sum(axis=1)).reshape(8, -1)


@pytest.mark.parametrize("narrow", [True, False])
def test_chains_that_never_enter_the_narrow_ends_of_a_valley_are_not_converged(narrow, seed):
    """K = w₀²w₁²w₂² is homogeneous of order six: the virial is 6 nβK + |w|², and its mean is 3.

    Without the narrow fifth the mean energy is .351 where it should be .381, and the virial 2.57.
    """
    energy, virial = crossing_draws(np.random.default_rng(seed), narrow)
    found = assessed(energy, virial=virial, dimension=3)
    assert found.status is (LLCStatus.CONVERGED if narrow else LLCStatus.NOT_EQUILIBRATED)
    assert assessed(energy).status is not LLCStatus.NOT_EQUILIBRATED  # no other check sees it
