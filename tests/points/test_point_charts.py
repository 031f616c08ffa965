"""Charts of results at points: what is drawn is what was found."""

import numpy as np
import pytest

from allroads import InputError
from allroads.points.curve import LLCCurve
from allroads.points.llc import LearningCoefficient
from allroads.points.sampling import Samples
from allroads.status import LLCStatus


def coefficient(trace, value=2.0):
    return LearningCoefficient(value, 0.1, LLCStatus.CONVERGED, {"trace": trace})


def rows(chart):
    return [layer["data"]["values"] for layer in chart.to_dict()["layer"]]


def test_traces_show_every_draw_of_few_chains_and_the_mean():
    trace = np.arange(40.0).reshape(4, 10)
    lines, band, _ = rows(coefficient(trace).plot())
    assert len(lines) == 40
    assert {(row["chain"], row["draw"]): row["energy"] for row in lines}[2, 3] == trace[2, 3]
    assert band == [{"mean": 2.0, "low": 1.9, "high": 2.1}]
    many = rows(coefficient(np.random.default_rng(0).normal(size=(100, 5000))).plot())[0]
    assert len({row["chain"] for row in many}) == 12 and len(many) == 12 * 240


def test_a_histogram_has_the_mass_of_all_draws():
    energy = np.random.default_rng(1).gamma(2.0, size=(4, 500))
    found = Samples(energy, energy, None, LLCStatus.OK, {"standard_error": 0.1})
    bars, mean = rows(found.plot())
    assert sum(row["density"] * (row["to"] - row["from"]) for row in bars) == pytest.approx(1.0)
    assert mean == [{"mean": pytest.approx(energy.mean())}]


def curve(value, statuses, boundaries=()):
    value = np.asarray(value, float)
    return LLCCurve(
        np.arange(len(value)), value, np.full(len(value), 0.5), statuses, (), 10.0, 1.0, np.array(boundaries, int)
    )


def test_a_curve_shows_points_errors_and_stages():
    statuses = (LLCStatus.NOT_AT_MINIMUM, LLCStatus.CONVERGED, LLCStatus.DIVERGED)
    stages, bars, *_ = rows(curve([1.0, 2.0, np.nan], statuses, [1]).plot())
    assert stages == [{"step": 1.0}]
    assert [(row["value"], row["low"], row["high"], row["sound"]) for row in bars] == [
        (1.0, 0.5, 1.5, False),
        (2.0, 1.5, 2.5, True),
    ]


@pytest.mark.parametrize(
    "found",
    [
        coefficient(np.full((2, 4), np.inf)),
        Samples(np.full((2, 4), np.nan), np.zeros((2, 4)), None, LLCStatus.DIVERGED, {"standard_error": np.inf}),
        curve([np.nan], (LLCStatus.DIVERGED,)),
    ],
    ids=lambda found: type(found).__name__,
)
def test_where_nothing_is_finite_there_is_no_chart_but_text(found):
    with pytest.raises(InputError, match="draw"):
        found.plot()
    assert "<svg" not in found._repr_html_()
    assert "<svg" in coefficient(np.arange(8.0).reshape(2, 4))._repr_html_()
