"""What is done to chains between rounds."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import allroads.budget
import allroads.points.sampling.schedule
from allroads import float64
from allroads.budget import Budget
from allroads.explorers.samplers import HMC
from allroads.points.sampling.chains import Draws
from allroads.points.sampling.free_parameters import free_parameters
from allroads.points.sampling.geometry import measure_local_geometry
from allroads.points.sampling.metric import Moments
from allroads.points.sampling.plan import Chains, make_plan
from allroads.points.sampling.run import ENOUGH, SMALL, Run
from allroads.points.sampling.schedule import FINAL_ROUNDS, SETTLING_ROUNDS, Pace, _burn_in, _falling, _measure
from allroads.points.zoo import quadratic
from allroads.points.zoo.deep_linear import linear_truth

FEW = quadratic((4.0, 1.0, 1.0, 1.0), examples=5)


def started(truth=FEW, chains=12, nbeta=1e4, localisation=1.0, step_size=None, seed=0, **options):
    problem, point = truth.problem, truth.problem.point(truth.params)
    free = free_parameters(point)
    leaves = [leaf[None] for leaf in jax.tree.leaves(point)]
    plan = make_plan(free.dimension, len(problem), HMC(step_size), Chains(count=chains, **options))
    geometry = measure_local_geometry(problem.objective, free, leaves, problem.data, rotated=plan.rotate, seed=seed)
    nbeta, localisation = np.full(1, nbeta), np.full(1, localisation)
    return Run(problem.objective, free, geometry, problem.data, nbeta, localisation, plan, seed=seed)


def draws(energy):
    return Draws(np.asarray(energy, float), None, None, None, None, None)


def test_a_chain_that_hangs_begins_again_where_another_of_its_site_is():
    with float64():
        run = started()
        run.z = jnp.arange(run.z.size, dtype=float).reshape(run.z.shape)
        before = np.asarray(run.z)
        energy = np.full((*before.shape[:2], 7), 2.0)
        energy[0, 3] = 30.0  # d/2 = 2, ten deviations √2 above: 16.1
        energy[1, :] = 30.0  # nobody to follow
        energy[0, 4, 0] = 80.0  # one high draw is no hanging
        run._restart_stuck_chains(energy)
        after = np.asarray(run.z)
    stayed = [0, 1, 2, 4, 5]
    np.testing.assert_array_equal(after[0, stayed], before[0, stayed])
    assert any((after[0, 3] == before[0, k]).all() for k in stayed)
    np.testing.assert_array_equal(after[1], before[1])


def test_among_many_parameters_a_cooled_chain_far_above_another_hangs():
    """d/2 = 505 says nothing of a chain at 300 where the other chains are at 100 ± 10."""
    with float64():
        run = started(quadratic((1.0,) * (10 * SMALL + 10), examples=10 * SMALL + 10), chains=8)
        run.z = jnp.arange(run.z.size, dtype=float).reshape(run.z.shape)
        before = np.asarray(run.z)
        energy = np.full((*before.shape[:2], 7), 105.0)
        energy[:, 0] = 100.0
        energy[:, 1] = 199.0  # below ten deviations of the lowest
        energy[:, 3] = 300.0
        energy[1, 2] = np.nan
        run._restart_stuck_chains(energy)
        after = np.asarray(run.z)
        run.z, energy[1] = jnp.asarray(before), np.array([0.2, 10.0, 0.2, 0.2])[:, None]
        run._restart_stuck_chains(energy)
    np.testing.assert_array_equal(after[0], before[0])  # the first group comes from below
    np.testing.assert_array_equal(after[1, :2], before[1, :2])
    assert all(any((after[1, hung] == before[1, k]).all() for k in (0, 1)) for hung in (2, 3))
    np.testing.assert_array_equal(np.asarray(run.z), before)  # where energies are small, that is chance


def test_a_step_follows_the_acceptance_and_stays_where_it_was_given():
    with float64():
        run = started()
        step = run.step.copy()
        run.tune_step(np.array([0.75, 0.35]), gain=0.5)
        np.testing.assert_allclose(run.step, np.minimum(step * [1.0, np.exp(-0.2)], 1.0))
        run.tune_step(np.array([0.75, 0.0]), gain=1.0)
        np.testing.assert_allclose(run.step[1], step[1] * np.exp(-0.2) * 0.3)
        given = started(step_size=0.1)
        given.tune_step(np.array([0.1, 0.99]), gain=2.5)
        np.testing.assert_array_equal(given.step, 0.1)


def test_a_round_of_few_draws_that_are_refused_divides_the_step_by_no_more_than_three():
    """Where parameters are many, steps go from all accepted to none within a small range."""
    with float64():
        run = started(chains=4, draws=5)  # 10 a site
        assert run.chains * run.plan.draws < ENOUGH
        for acceptance, factor in ((0.0, 0.3), (0.1, 0.3), (0.5, np.exp(-2.5 / 4)), (1.0, np.exp(2.5 / 4))):
            run.step = np.full(2, 0.1)
            run.tune_step(np.array([acceptance, 0.75]), gain=2.5)
            np.testing.assert_allclose(run.step, [0.1 * factor, 0.1])
        run.tune_step(np.array([0.0, 0.75]), gain=0.5)  # while measuring, by less and less as ever
        np.testing.assert_allclose(run.step[0], 0.1 * np.exp(2.5 / 4) * 0.3**0.5)
        many = started(chains=64, draws=5)
        many.step = np.full(2, 0.1)
        many.tune_step(np.array([0.0, 0.1]), gain=2.5)
        np.testing.assert_allclose(many.step, [0.1 * 0.3**2.5, 0.1 * np.exp(-2.5 * 0.65)])


@pytest.mark.parametrize(
    ("then", "now", "falling"), [(200.0, 100.0, True), (101.0, 100.0, False), (90.0, 100.0, False)]
)
def test_a_level_goes_on_while_the_energy_falls(then, now, falling):
    assert _falling(draws(np.full((2, 4, 50), then)), draws(np.full((2, 4, 50), now))) is falling
    mixed = np.full((2, 4, 50), now)
    mixed[1] = then  # one site is enough
    assert _falling(draws(np.full((2, 4, 50), then)), draws(mixed)) is falling


def test_tuning_brings_hanging_chains_back():
    with float64():
        run = started(metric="none")
        run.z = jnp.arange(run.z.size, dtype=float).reshape(run.z.shape)
        before = np.asarray(run.z)
        energy = np.full((*before.shape[:2], 7), 2.0)
        energy[1, 2] = 40.0
        run.tune(draws(energy)._replace(acceptance=np.full(energy.shape, 0.75)))
        after = np.asarray(run.z)
    assert not (after[1, 2] == before[1, 2]).all()
    assert any((after[1, 2] == before[1, k]).all() for k in (0, 1, 3, 4, 5))


@pytest.mark.parametrize(
    ("examples", "dimension", "sampler", "batch"),
    [(1024, 10**7, "hmc", None), (1025, 10**6, "sgld", 512), (5000, 10**5, "hmc", None), (5001, 10**5, "sgld", 512)],
)
def test_all_examples_are_taken_where_that_costs_no_more_than_two_batches_or_little(
    examples, dimension, sampler, batch
):
    plan = make_plan(dimension, examples)
    assert (plan.sampler.name, plan.batch) == (sampler, batch)


def test_few_gradients_a_round_make_a_metric_after_some_rounds():
    """As beyond 20,000 parameters; here a group sees 20 a round, so that four rounds, at any level, bring enough."""
    with float64():
        run = started(quadratic((1.0,) * (SMALL + 1), examples=SMALL + 1), chains=4, draws=10)
        seen = np.random.default_rng(0).uniform(1e7, 2e7, (6, 2, SMALL + 1))

        def tuned(new):
            moments = (Moments(jnp.asarray(new), jnp.asarray(new.sum(1, keepdims=True))),)
            run.tune(draws(np.ones((2, 2, 10)))._replace(acceptance=np.full((2, 2, 10), 0.75), moments=moments))
            return np.asarray(run.local.metric[0].masses)[..., 0]

        before = np.asarray(run.local.metric[0].masses)[..., 0]
        for new in seen[:3]:
            np.testing.assert_array_equal(tuned(new), before)
        np.testing.assert_allclose(tuned(seen[3]), seen[:4].mean(0))
        np.testing.assert_allclose(tuned(seen[4]), seen[:5].mean(0))
        run.move_to(run.nbeta * 10, np.full(2, 1.0))
        np.testing.assert_allclose(tuned(seen[5]), (4 * 10 * seen[:5].mean(0) + seen[5]) / 5)


def test_a_metric_is_made_of_all_rounds_at_a_posterior_or_of_the_last_where_parameters_are_few():
    """What was seen before the posterior changed counts as one round, and grows as nβ does."""
    for dimension in (SMALL, SMALL + 1):
        with float64():
            run = started(quadratic((1.0,) * dimension, examples=SMALL + 1), chains=16)
            rng = np.random.default_rng(0)
            first, second, third, fourth = (rng.uniform(1e7, 2e7, (2, dimension)) for _ in range(4))

            def tuned(seen, acceptance=0.75, run=run):
                moments = (Moments(jnp.asarray(seen), jnp.asarray(seen.sum(1, keepdims=True))),)
                shape = (2, 8, 12)
                out = draws(np.ones(shape))._replace(acceptance=np.broadcast_to(acceptance, shape), moments=moments)
                run.tune(out)
                return np.asarray(run.local.metric[0].masses)[..., 0]

            few = dimension <= SMALL
            np.testing.assert_allclose(tuned(first), first)
            np.testing.assert_allclose(tuned(second), second if few else (first + second) / 2)
            before = np.asarray(run.local.metric[0].masses)[..., 0]
            np.testing.assert_allclose(tuned(np.full_like(first, np.nan), acceptance=0.1), before)
            run.move_to(run.nbeta * 10, np.full(2, 1.0))
            np.testing.assert_allclose(tuned(third), third if few else (5 * (first + second) + third) / 2)
            np.testing.assert_allclose(tuned(fourth), fourth if few else (5 * (first + second) + third + fourth) / 3)


def test_a_metric_that_stays():
    with float64():
        run = started()
        metric, step = jax.tree.map(np.asarray, run.local.metric), run.step.copy()
        run.tune(run.round(), metric=False)
        assert jax.tree.all(jax.tree.map(lambda a, b: (a == b).all(), metric, run.local.metric))
        assert (run.step != step).all()


@pytest.mark.slow
def test_tuning_does_not_raise_the_energy(seed):
    """λ = 12·2/2 along 280 parameters; a metric made of each last round's gradients alone reads 4 % more."""
    rng = np.random.default_rng(seed)
    weights = [rng.uniform(-1, 1, shape) / shape[0] ** 0.5 for shape in ((12, 20), (20, 2))]
    truth = linear_truth("narrow", weights, 12.0, 1, "aoyagi2024", 60, 0)
    with float64():
        run = started(truth, chains=8, nbeta=1e10, localisation=100.0, seed=seed)
        run.move_to(*run.levels[-1])
        energy = []
        for _ in range(100):
            out = run.round()
            energy.append(out.energy.mean())
            run.tune(out, gain=1.0)
    assert np.mean(energy[20:]) == pytest.approx(12.0, rel=0.025)


class Watched:
    """A run that is only watched: every round accepts two thirds, and its energies are white."""

    steps = 10

    def __init__(self, dimension=SMALL, **plan):
        self.plan = SimpleNamespace(draws=20, step_size=None, **plan)
        self.sampler = SimpleNamespace(target_acceptance=0.75)
        self.free = SimpleNamespace(dimension=dimension)
        self.done, self.rng = [], np.random.default_rng(0)
        self.all_data, self.chains, self.groups = None, 4, 2

    def lengthen(self):
        self.done.append("lengthen")

    def round(self, **options):
        self.done.append("round")
        shape = (2, 4, 20)
        return draws(self.rng.normal(5.0, 1.0, shape))._replace(acceptance=np.full(shape, 2 / 3))

    def tune(self, out, gain=2.5, metric=True):
        self.done.append(("tune" if metric else "settle", round(gain, 3)))

    def tune_step(self, acceptance, gain):
        self.done.append(("step", round(gain, 3)))

    def merge_groups(self, sites):
        return sites


def test_the_last_round_before_measuring_is_not_tuned_after():
    run = Watched(burn_in=60)
    assert len(_burn_in(Pace(run, Budget()))) == 3
    assert run.done == ["round", ("tune", 1.0), "round", ("tune", 1.0), "round"]


def test_where_parameters_are_many_the_metric_stays_for_the_second_half_of_the_warming():
    run = Watched(dimension=SMALL + 1, burn_in=100)
    assert len(_burn_in(Pace(run, Budget()))) == 5
    learnt = ["round", ("tune", 1.0), "round", ("tune", 1.0), "round"]
    assert run.done == [*learnt, ("settle", 1.0), "round", ("settle", 0.707), "round"]
    for dimension, settled in ((SMALL, 0), (SMALL + 1, SETTLING_ROUNDS)):
        run = Watched(dimension=dimension, burn_in=None)
        assert len(_burn_in(Pace(run, Budget()))) == FINAL_ROUNDS + settled
        assert [step[0] for step in run.done if step != "round"] == ["tune"] * (FINAL_ROUNDS - 1) + ["settle"] * settled


def test_the_step_is_tuned_by_less_and_less_while_measuring():
    run = Watched(rounds=4, exactly=80)
    measured, ended, checked = _measure(Pace(run, Budget()), None, None)
    assert len(measured) == 4 and ended == "rounds" and checked is None
    assert run.done == ["round", ("step", 1.0), "round", ("step", 0.707), "round", ("step", 0.577), "round"]


def test_tuning_and_trajectories_that_turn_out_longer_keep_to_the_budget(monkeypatch):
    now = [0.0]
    clock = SimpleNamespace(monotonic=lambda: now[0])
    monkeypatch.setattr(allroads.budget, "time", clock)
    monkeypatch.setattr(allroads.points.sampling.schedule, "time", clock)

    class Longer(Watched):
        """A round takes a second per gradient; trajectories are five times as long once the step was tuned."""

        affordable = 40

        @property
        def steps(self):
            return min(10 if self.done else 2, max(self.affordable, 1))

        def round(self, **options):
            now[0] += self.steps
            return super().round(**options)

    run = Longer(dimension=SMALL + 1, burn_in=None, rounds=100, exactly=None, precision=1e-9)
    pace = Pace(run, Budget(64.0))
    pace.round("a level")
    assert pace.seconds == 2.0 and pace.fit() == 62 / 2
    warm = _burn_in(pace)
    assert len(warm) == 2 and now[0] == 22.0  # of the eight that were to fit; 60 % is kept for measuring
    assert pace.fit() == 42 / 10
    measured, ended, _ = _measure(pace, None, None)
    assert len(measured) == 4 and now[0] == 62.0 and ended == "budget"
    now[0], run.affordable = 61.0, 40
    pace.round("the one that has to be")
    assert run.affordable == 3 and now[0] == 64.0  # no longer than there is time for
