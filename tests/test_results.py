import copy
import dataclasses
import json
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
import pytest

from allroads import (
    Atlas,
    InputError,
    MeasurementError,
    Network,
    Problem,
    SecondOrder,
    Status,
    align,
    atlas,
    attribute,
    barrier,
    certify,
    compare_representations,
    connect,
    convergence,
    directness,
    float64,
    forecast_programs,
    function_posterior,
    function_prior,
    inpca,
    interpolation,
    kernel_spectrum,
    local_volume,
    path_cost,
    path_plane,
    random_plane,
    road,
    spectrum,
    stages,
    status,
    steer,
    volume_scaling,
)
from allroads.networks.mlp import mlp
from allroads.plots import charts
from allroads.points.volume import Splitting
from allroads.results import Measurement, Result

NET = mlp((2,), 1, widths=(3,), activation="tanh")
PROBLEM = Problem(NET, "mse", np.eye(2), [0.0, 1.0])
A, B = (NET.init(jax.random.key(k)) for k in (0, 1))
PATH = np.cumsum(np.random.default_rng(0).normal(size=(9, 3, 2)), axis=0)
RUNS = {"a": [0, 1] * 10, "b": [0] * 10 + [1] * 10, "y": PATH.ravel()[:20].tolist(), "f": ["x", "y"] * 10}
LINE = Network(lambda key: jnp.zeros(2), lambda w, x: x * w)
WAVES = np.sin(np.arange(24.0)).reshape(8, 3)
MADE = {
    "Measurement": lambda: directness(PATH),
    "Barrier": lambda: barrier(PROBLEM, A, B),
    "Interpolation": lambda: interpolation(PROBLEM, A, B),
    "Connection": lambda: connect(PROBLEM, A, B),
    "LossPlane": lambda: random_plane(PROBLEM, A, points=3),
    "PathPlane": lambda: path_plane(
        PROBLEM, jax.tree.map(lambda *p: jnp.stack(p), A, B, NET.init(jax.random.key(2))), points=3
    ),
    "Certificate": lambda: certify(PATH, PATH[-1], "mse"),
    "Stages": lambda: stages(PATH),
    "Alignment": lambda: align(NET, A, B, np.eye(2)),
    "Resemblance": lambda: compare_representations(WAVES, WAVES[:, :2], permutations=9, measures="cka"),
    "Convergence": lambda: convergence(
        NET, [A, B, B], np.arange(8.0).reshape(4, 2), loss="mse", programs="abb", permutations=9, align="weights"
    ),
    "PairTable": lambda: convergence(NET, [A, B, B], WAVES[:, :2], loss="mse", permutations=9).agreement,
    "Embedding": lambda: inpca(1.0 - np.eye(4)),
    "Road": lambda: road(PROBLEM, A, [[0.1], [0.2]]),
    "path cost": lambda: path_cost(PROBLEM, jax.tree.map(lambda p, q: jnp.stack([p, q]), A, B)),
    "Spectrum": lambda: spectrum(PROBLEM, A),
    "KernelSpectrum": lambda: kernel_spectrum(NET, A, np.eye(2)),
    "Volume": lambda: local_volume(
        Problem(LINE, "mse", np.ones((1, 2)), np.zeros((1, 2))), np.zeros(2), cutoff=0.1, method=Splitting(256, 4)
    ),
    "FunctionPrior": lambda: function_prior(NET, np.eye(2), 100),
    "FunctionPosterior": lambda: function_posterior(NET, np.eye(2)[:1], [1], np.eye(2), samples=1000),
    "VolumeScaling": lambda: volume_scaling(
        Problem(LINE, "mse", np.ones((1, 2)), np.zeros((1, 2))),
        np.zeros(2),
        cutoffs=(1e-2, 1e-4),
        multiplicity=1,
        method=Splitting(256, 4),
    ),
    "Attribution": lambda: attribute(RUNS, "y", ["a", "b"]),
    "Attribution of labels": lambda: attribute(RUNS, "f", ["a", "b"]),
    "Atlas": lambda: atlas([["a", "b", None]] * 5),
    "Atlas of edges": lambda: Atlas.from_tables(
        pl.DataFrame({"node": ["p", "q"], "bits": [2.0, 5.0]}),
        pl.DataFrame({"source": ["p"], "target": ["q"], "quantity": ["reach"], "value": [0.5]}),
    ),
    "ProgramForecast": lambda: forecast_programs([["a", "b", "c", "a"]] * 10, resamples=100),
    "Steering": lambda: steer(PROBLEM, "gd", [0, 1], np.eye(2), steps=1, by="start", runs=4, among=2, progress=False),
    "Judgement": lambda: SecondOrder("a", "b").evaluate(RUNS, "y", ["a", "b"]),
}


@pytest.mark.parametrize("name", MADE)
def test_a_result_is_a_pytree_that_can_be_copied_stored_and_printed(name):
    with float64():
        check(MADE[name]())


def check(found):
    assert isinstance(found, Result) and isinstance(found.status, Status)
    assert found.error is None or np.all(np.isfinite(found.error))
    leaves = jax.tree.leaves(found)
    assert leaves and all(
        jnp.issubdtype(jnp.asarray(leaf).dtype, jnp.number) or np.asarray(leaf).dtype == bool for leaf in leaves
    )
    for other in (
        pickle.loads(pickle.dumps(found)),
        copy.deepcopy(found),
        jax.tree.map(lambda leaf: leaf, found),
    ):
        assert type(other) is type(found) and other.status == found.status
        jax.tree.map(np.testing.assert_array_equal, jax.tree.leaves(other), leaves)
        assert repr(other) == repr(found) and dict(other.stats).keys() == dict(found.stats).keys()
    text = json.dumps(found.to_dict(), allow_nan=False)
    assert json.loads(text)["status"] == found.status.value
    assert len(repr(found)) < 600 and "\n" not in repr(found)
    if type(found).__name__ in charts():
        drawn = found.plot().to_dict()
        assert drawn["$schema"] and "<svg" in found._repr_html_()
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.status = None


def test_results_go_through_jit_and_vmap():
    found = Measurement(0.5, 0.1, stats={"word": "a", "array": np.arange(3.0)})
    doubled = jax.jit(lambda r: jax.tree.map(lambda leaf: 2 * leaf, r))(found)
    assert float(doubled.value) == 1.0 and doubled.stats["word"] == "a"
    stacked = jax.vmap(lambda r: r, in_axes=None, axis_size=2)(found)
    assert stacked.value.shape == (2,) and stacked.stats["array"].shape == (2, 3)


def test_a_measurement_computes_as_its_value_and_keeps_its_status():
    found = Measurement(0.5, error=0.1)
    assert (found + 1, 1 - found, found * 2, found / 2, found**2, -found) == (1.5, 0.5, 1.0, 0.25, 0.25, -0.5)
    assert found < 1 and found >= 0.5 and found == 0.5 and abs(found - 0.5) == 0 and bool(found)
    assert np.isfinite(found) and float(found) == 0.5 and f"{found:.2f}" == "0.50" and round(found, 1) == 0.5
    assert repr(found) == "0.5 ± 0.1" and str(Measurement(1.0, status=status.LLCStatus.DIVERGED)) == "1 (diverged)"
    with pytest.raises(AssertionError, match="NaN needs a status"):
        Measurement(np.nan)


def test_what_is_not_sound_raises_where_asked():
    still = np.zeros((4, 1, 1))
    assert directness(still).status == status.PathStatus.DEGENERATE
    with pytest.raises(MeasurementError, match=r"degenerate.*Likely causes.*What to try") as caught:
        directness(still, throw=True)
    assert caught.value.result.status == status.PathStatus.DEGENERATE
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value) and again.result.status is caught.value.result.status
    assert directness(PATH, throw=True) == directness(PATH)


def test_every_status_says_what_it_means_and_what_to_try():
    families = [
        kind for kind in vars(status).values() if isinstance(kind, type) and issubclass(kind, Status) and len(kind)
    ]
    assert len(families) >= 7
    for family in families:
        for member in family:
            assert member.meaning.endswith(".") and (member.sound or (member.causes and member.remedy)), member
            assert pickle.loads(pickle.dumps(member)) is member and copy.deepcopy(member) is member


def test_a_result_without_a_chart_says_so():
    with pytest.raises(InputError, match="has no chart"):
        Measurement(1.0).plot()
    assert "0.5" in Measurement(0.5)._repr_html_()
