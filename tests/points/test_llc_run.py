"""What is done to chains between rounds."""

import importlib
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from allroads import float64
from allroads.points.llc.chains import Draws, compiled_losses
from allroads.points.llc.problem import checked_question
from allroads.points.llc.run import Run
from allroads.points.llc.schedule import _falling, _measure, _warm
from allroads.points.llc.survey import survey
from allroads.points.zoo import quadratic

make_plan = importlib.import_module("allroads.points.llc.llc").make_plan


def started(**options):
    truth = quadratic((4.0, 1.0, 1.0, 1.0), examples=5)
    question, params, data = checked_question(
        truth.network, truth.params, truth.loss, truth.inputs, truth.labels, None, points=False
    )
    leaves, structure = jax.tree.flatten(jax.tree.map(lambda leaf: leaf[None], params))
    baseline = compiled_losses(question, structure)(leaves, data)
    plan = make_plan(question, data, chains=12, **options)
    scene = survey(question, structure, leaves, baseline, data, plan.rotate, seed=0)
    return Run(question, structure, scene, baseline, data, np.full(1, 1e4), np.full(1, 1.0), plan, seed=0)


def draws(energy):
    return Draws(np.asarray(energy, float), None, None, None, None)


def test_a_chain_that_hangs_begins_again_where_another_of_its_site_is():
    with float64():
        run = started()
        run.z = jnp.arange(run.z.size, dtype=float).reshape(run.z.shape)
        before = np.asarray(run.z)
        energy = np.full((*before.shape[:2], 7), 2.0)
        energy[0, 3] = 30.0  # d/2 = 2, ten deviations √2 above: 16.1
        energy[1, :] = 30.0  # nobody to follow
        energy[0, 4, 0] = 80.0  # one high draw is no hanging
        run._bring_back(energy)
        after = np.asarray(run.z)
    stayed = [0, 1, 2, 4, 5]
    np.testing.assert_array_equal(after[0, stayed], before[0, stayed])
    assert any((after[0, 3] == before[0, k]).all() for k in stayed)
    np.testing.assert_array_equal(after[1], before[1])


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
        run.tune(draws(energy)._replace(quality=np.full(energy.shape, 0.75)))
        after = np.asarray(run.z)
    assert not (after[1, 2] == before[1, 2]).all()
    assert any((after[1, 2] == before[1, k]).all() for k in (0, 1, 3, 4, 5))


class Watched:
    """A run that is only watched: every round accepts two thirds, and its energies are white."""

    def __init__(self, **plan):
        self.plan = SimpleNamespace(draws=20, step_size=None, **plan)
        self.rule = SimpleNamespace(target=0.75)
        self.done, self.rng = [], np.random.default_rng(0)

    def round(self, **options):
        self.done.append("round")
        shape = (2, 4, 20)
        return draws(self.rng.normal(5.0, 1.0, shape))._replace(quality=np.full(shape, 2 / 3))

    def tune(self, out, gain=2.5):
        self.done.append(("tune", gain))

    def tune_step(self, quality, gain):
        self.done.append(("step", round(gain, 3)))

    def merged(self, sites):
        return sites


def test_the_last_round_before_measuring_is_not_tuned_after():
    run = Watched(burn_in=60)
    assert len(_warm(run)) == 3
    assert run.done == ["round", ("tune", 1.0), "round", ("tune", 1.0), "round"]


def test_the_step_is_tuned_by_less_and_less_while_measuring():
    run = Watched(rounds=4, fixed=True)
    assert len(_measure(run, None, None)) == 4
    assert run.done == ["round", ("step", 1.0), "round", ("step", 0.707), "round", ("step", 0.577), "round"]
