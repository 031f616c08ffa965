"""Seconds of a local volume: bounds of a known volume where they end or the user asks to stop."""

from __future__ import annotations

import itertools
import math
import sys
from types import SimpleNamespace

import numpy as np
import pytest

import allroads.budget
from allroads import InputError, Network, Problem, RayCasting, Splitting, local_volume
from allroads.points.volume import Box
from allroads.status import VolumeStatus

DISC = Network(lambda key: np.zeros(2), lambda w, x: w * x)
PROBLEM = Problem(DISC, "mse", np.ones((1, 1)), np.zeros((1, 2)))
RADIUS = 0.01
KNOWN = math.log(math.pi * RADIUS**2 / 4)
"""The disc in the square of edge 2."""
FEW = Splitting(particles=512)
EVERYWHERE = Splitting(particles=512, scope="everywhere")


def volume(method=FEW, **options):
    return local_volume(
        PROBLEM, np.zeros(2), cutoff=RADIUS**2 / 2, measure=Box(1.0), method=method, progress=False, **options
    )


@pytest.fixture
def ticking(monkeypatch):
    """A clock that goes on by a second whenever it is read."""
    monkeypatch.setattr(allroads.budget, "time", SimpleNamespace(monotonic=itertools.count().__next__))


@pytest.mark.parametrize(
    "method", [*(pytest.param(one, marks=pytest.mark.slow) for one in (FEW, EVERYWHERE)), RayCasting(100)]
)
def test_time_enough_gives_the_volume_without_a_budget(method):
    plain, budgeted = volume(method), volume(method, budget=3600.0)
    assert plain.value == budgeted.value and plain.error == budgeted.error and budgeted.status == plain.status
    assert budgeted.stats["ended"] is None and abs(plain.value - KNOWN) < 0.3


@pytest.mark.parametrize(
    ("method", "status"),
    [pytest.param(FEW, VolumeStatus.LOWER_BOUND, marks=pytest.mark.slow), (EVERYWHERE, VolumeStatus.UPPER_BOUND)],
)
def test_a_budget_that_ends_gives_a_bound(method, status, ticking):
    found = volume(method, budget=20.0)
    assert found.status == status and found.stats["ended"] == "budget"
    gap = found.value - KNOWN
    assert (gap if status is VolumeStatus.UPPER_BOUND else -gap) > 0.1
    assert np.isfinite(found.error) and found.stats["levels"] < volume(method).stats["levels"]


def test_fewer_rays_are_an_estimate(ticking):
    found = volume(RayCasting(100), budget=3.0)
    assert found.stats["rays"] in (13, 26, 39) and found.stats["ended"] == "budget"
    assert found.value == pytest.approx(KNOWN, abs=1e-6)


def test_an_interrupt_gives_a_bound_and_a_second_ends_the_call(monkeypatch):
    splitting = sys.modules["allroads.points.volume.splitting"]
    whole, count = splitting.compiled_moves, itertools.count(1)

    def arrange(*given, **options):
        moves = whole(*given, **options)

        def interrupted(*given):
            if next(count) >= 3:
                raise KeyboardInterrupt
            return moves(*given)

        return interrupted

    monkeypatch.setattr(splitting, "compiled_moves", arrange)
    found = volume(EVERYWHERE)
    assert found.status == VolumeStatus.UPPER_BOUND and found.stats["ended"] == "interrupted"
    assert found.stats["levels"] == 2 and KNOWN < found.value < 0


def test_budgets_that_are_no_seconds_are_refused():
    with pytest.raises(InputError, match="budget"):
        volume(budget=-1.0)
