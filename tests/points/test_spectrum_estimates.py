"""Matrix-free estimates: what they are held to, within what they say of themselves; memory; statuses; bad input."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flat_calls import kernel_spectrum, loss_matrix, spectrum, top_eigenvalue

from allroads import InputError, Network, float64
from allroads.errors import MemoryBudgetError, UnknownNameError
from allroads.networks.mlp import mlp
from allroads.points.spectrum import SpectrumOptions
from allroads.points.spectrum.eigenpairs import extreme_eigenpairs
from allroads.points.spectrum.quadrature import Quadrature, lanczos_quadrature
from allroads.points.zoo import quadratic
from allroads.status import SpectrumStatus

RNG = np.random.default_rng(3)
NET = mlp((6,), 2, widths=(14, 12), activation="tanh")  # 304 parameters
INPUTS, LABELS = RNG.normal(size=(101, 6)), RNG.normal(size=(101, 2))
FREE = {"method": "matrix_free"}


def point(seed=0):
    return NET.init(jax.random.key(seed))


def measured(**options):
    with float64():
        return spectrum(NET, point(), "mse", INPUTS, LABELS, **options)


@pytest.fixture(scope="module")
def pair(seed):
    """A Gauss–Newton spectrum made dense, and matrix-free with four times the probes of the default."""
    options = {"matrix": "gauss_newton", "nbeta": 100.0}
    return measured(**options), measured(**options, **FREE, seed=seed, probes=64)


@pytest.mark.parametrize("quantity", ["trace", "log_determinant", "effective_dimension"])
def test_estimates_agree_with_the_dense_matrix(pair, quantity):
    exact, estimate = (getattr(found, quantity) for found in pair)
    assert estimate.status == SpectrumStatus.OK and estimate.error > 0
    assert abs(estimate - exact) <= 5 * estimate.error
    assert abs(estimate - exact) <= (0.02 if quantity == "log_determinant" else 0.1) * abs(exact)


def test_density_has_mass_one_and_the_moments_of_the_dense_one(pair):
    exact, estimate = (found.density for found in pair)
    assert estimate.weights.min() >= 0 and estimate.weights.sum() == pytest.approx(1.0, abs=1e-12)
    assert (np.diff(estimate.nodes) >= 0).all()
    for power in (1, 2, 3):
        moments = [density.weights @ density.nodes**power for density in (exact, estimate)]
        assert moments[1] == pytest.approx(moments[0], rel=0.1 if power == 1 else 0.02)
    for x in (1e-3, 1e-2, 0.1, 1.0):
        assert estimate.below(x) == pytest.approx(exact.below(x), abs=0.1)


@pytest.mark.slow
def test_errors_cover_the_truth_as_often_as_they_say(seed):
    """Of 30 seeds, at most two are more than three errors away, at least twelve within one, and none systematically."""
    options = {"matrix": "gauss_newton", "nbeta": 100.0}
    exact = measured(**options)
    runs = [measured(**options, **FREE, seed=30 * seed + n, steps=30, probes=10) for n in range(30)]
    for quantity in ("trace", "log_determinant", "effective_dimension"):
        apart = np.array([(getattr(r, quantity) - getattr(exact, quantity)) / getattr(r, quantity).error for r in runs])
        assert (np.abs(apart) > 3).sum() <= 2 and (np.abs(apart) < 1).sum() >= 12
        assert np.abs(apart.mean()) < 4 / np.sqrt(30)
        assert apart.std() > 0.5, "errors are far too wide"


@pytest.mark.slow
def test_too_few_lanczos_steps_are_part_of_the_error(seed):
    """A log-uniform spectrum over eight decades and five steps: the two rules bracket the truth of one start vector."""
    curvatures = np.geomspace(1e-8, 1.0, 400)
    truth = quadratic(tuple(curvatures))
    exact = np.log(curvatures + 1e-7).sum()
    with float64():
        found = [
            spectrum(
                truth.network,
                truth.params,
                truth.loss,
                truth.inputs,
                truth.labels,
                matrix="gauss_newton",
                nbeta=1e7,
                steps=steps,
                seed=seed,
                **FREE,
            ).log_determinant
            for steps in (5, 200)
        ]
    assert found[0].stats["truncation"] > 10 * found[1].stats["truncation"]
    for estimate in found:
        assert abs(estimate - exact) <= 5 * estimate.error


def test_gauss_and_radau_bracket_a_known_integral():
    """Of ``log(x + s)`` over the uniform density on [0, 1]: three Legendre steps, then the two rules."""
    steps = np.arange(1, 4)
    legendre = Quadrature(np.zeros(0), 1, [np.full(3, 0.5)], [0.5 * steps / np.sqrt(4.0 * steps**2 - 1)])
    shift = 0.01
    exact = (1 + shift) * np.log(1 + shift) - shift * np.log(shift) - 1
    two = Quadrature(np.zeros(0), 1, legendre.diagonals * 2, legendre.off_diagonals * 2)
    middle, sampling, gap = two.trace(lambda x: np.log(x + shift), 0.0)
    assert sampling == 0.0 and 0.005 < gap < 0.1
    assert middle - gap < exact < middle + gap
    assert two.trace(lambda x: x**5)[0] == pytest.approx(1 / 6, rel=1e-12)  # exact up to degree five


def test_known_eigenvalues_are_counted_once():
    with float64():
        operator = loss_matrix(NET, point(), "mse", INPUTS, LABELS, "fisher", held=0, memory=2**31)
        pairs = extreme_eigenpairs(operator.product, operator.size, 30)
        seen = lanczos_quadrature(operator, pairs.vectors, pairs.values, probes=3, steps=20, seed=0)
        nodes = np.concatenate([*seen.diagonals])
        assert seen.known.min() > 0.9 * nodes.max() and seen.size == 304


def test_repeated_eigenvalues_are_all_found():
    diagonal = np.concatenate([np.full(37, 2.0), np.full(5, 1.5), np.linspace(-1, 1, 500)])
    for end, truth in (("top", np.sort(diagonal)[::-1]), ("bottom", np.sort(diagonal))):
        pairs = extreme_eigenpairs(lambda v: diagonal * v, diagonal.size, 40, end=end)
        assert pairs.complete
        np.testing.assert_allclose(pairs.values, truth[:40], atol=1e-9)
    identity = extreme_eigenpairs(lambda v: 3.0 * v, 200, 4)
    np.testing.assert_allclose(identity.values, np.full(4, 3.0), rtol=1e-12)


def test_seeds_repeat_and_differ():
    traces = [measured(**FREE, seed=seed, steps=5).trace.value for seed in (0, 0, 1)]
    assert traces[0] == traces[1] != traces[2]


@pytest.mark.parametrize("kind", ["hessian", "gauss_newton", "fisher"])
def test_a_small_budget_gives_the_same_products_in_parts(kind):
    v = RNG.normal(size=304)
    with float64():
        whole = loss_matrix(NET, point(), "mse", INPUTS, LABELS, kind, held=0, memory=2**31)
        budget = whole.temporary // 3 + 10_000  # 7 kB of it for the data
        parts = loss_matrix(NET, point(), "mse", INPUTS, LABELS, kind, held=0, memory=budget)
        assert len(whole.data[-1]) == 1 and len(parts.data[-1]) >= 3 and parts.temporary < budget
        np.testing.assert_allclose(parts.product(v), whole.product(v), rtol=1e-11, atol=1e-13)


def test_the_kernel_in_parts_is_the_kernel():
    with float64():
        whole = kernel_spectrum(NET, point(), INPUTS, top=4)
        parts = kernel_spectrum(NET, point(), INPUTS, top=4, steps=3, memory=250_000, **FREE)
        np.testing.assert_allclose(parts.eigenvalues, whole.eigenvalues, rtol=1e-8)


def test_a_model_that_does_not_fit_says_what_it_needs():
    cheap = {"matrix": "fisher", "steps": 20, "top": 1}
    with pytest.raises(MemoryBudgetError, match=r"needs .* MiB") as told:
        measured(memory=60_000, **cheap, **FREE)
    needed = int(str(told.value).split("memory=")[1].split()[0])
    assert needed > 60_000
    assert measured(memory=needed, **cheap, **FREE).status == SpectrumStatus.OK
    with pytest.raises(MemoryBudgetError):
        measured(memory=2**20, method="dense")


def test_coupled_examples_are_not_taken_in_parts():
    def apply(w, x):
        values = x @ w
        return values - values.mean(axis=0)

    coupled = Network(lambda key: jnp.zeros((6, 2)), apply)
    with float64(), pytest.raises(MemoryBudgetError, match="depend on one another"):
        loss_matrix(coupled, jnp.ones((6, 2)), "mse", INPUTS, LABELS, "hessian", held=0, memory=9_000)


def test_large_models_are_matrix_free_by_themselves():
    assert [SpectrumOptions().method_for(size) for size in (1500, 1501)] == ["dense", "matrix_free"]
    cheap = {"matrix": "fisher", "top": 1, "probes": 2, "steps": 2}
    assert measured(**cheap).method == "dense" and measured(**cheap, memory=2**23).method == "matrix_free"


# statuses


@pytest.mark.parametrize("method", ["dense", "matrix_free"])
def test_a_constant_loss_is_flat(method):
    still = Network(lambda key: jnp.zeros(100), lambda w, x: x + 0.0 * w.sum())
    with float64():
        arguments = (still, jnp.ones(100), "mse", np.ones((4, 1)), np.zeros(4))
        found = spectrum(*arguments, method=method, nbeta=10.0)
        assert found.status == SpectrumStatus.FLAT and not found.eigenvalues.any() and found.trace == 0.0
        assert found.log_determinant == pytest.approx(100 * np.log(0.1))
        assert found.log_determinant.status == SpectrumStatus.FLAT and found.effective_dimension == 0.0
        top = top_eigenvalue(*arguments)
        assert top == 0.0 and top.status == SpectrumStatus.FLAT
        assert kernel_spectrum(still, jnp.ones(100), np.ones((70, 1)), method=method).status == SpectrumStatus.FLAT


@pytest.mark.parametrize("method", ["dense", "matrix_free"])
def test_a_loss_that_is_not_finite_has_diverged(method):
    with float64():
        root = Network(lambda key: jnp.zeros(6), lambda w, x: x * jnp.sqrt(w))  # its slope at 0 is infinite
        found = spectrum(root, jnp.zeros(6), "mse", INPUTS, INPUTS, method=method)
        assert top_eigenvalue(root, jnp.zeros(6), "mse", INPUTS, INPUTS).status == SpectrumStatus.DIVERGED
        assert kernel_spectrum(root, jnp.zeros(6), INPUTS, method=method).status == SpectrumStatus.DIVERGED
    quantities = (found.trace, found.log_determinant, found.effective_dimension)
    assert {found.status, *(quantity.status for quantity in quantities)} == {SpectrumStatus.DIVERGED}
    assert found.eigenvalues.size == 0 and np.isnan(found.trace)


@pytest.mark.parametrize("method", ["dense", "matrix_free"])
def test_a_saddle_is_indefinite_until_the_localisation_holds_it(method, seed):
    found = measured(method=method, nbeta=1000.0, bottom=1, seed=seed)
    lowest = found.smallest_eigenvalues[0]
    assert lowest < -0.01
    for quantity in (found.log_determinant, found.effective_dimension):
        assert np.isnan(quantity) and quantity.status == SpectrumStatus.INDEFINITE
        assert np.isfinite(quantity.stats["positive_part"])
    held = measured(method=method, nbeta=1.0, localisation=-1.1 * lowest, seed=seed)
    exact = measured(top=304, nbeta=1.0, localisation=1.0).eigenvalues - 1.1 * lowest
    assert held.log_determinant.status == SpectrumStatus.OK
    error = held.log_determinant.error or 1e-8
    assert abs(held.log_determinant - np.log(exact).sum()) <= 3 * error


def test_a_shift_below_rounding_is_unresolved():
    truth = quadratic((1.0, 0.0))
    with float64():
        found = spectrum(truth.network, truth.params, truth.loss, truth.inputs, truth.labels, localisation=0.0)
    for quantity, part in ((found.log_determinant, 0.0), (found.effective_dimension, 0.5)):
        assert np.isnan(quantity) and quantity.status == SpectrumStatus.UNRESOLVED
        assert quantity.stats["positive_part"] == pytest.approx(part, abs=1e-9)


def test_what_did_not_converge_says_so():
    """No product is as accurate as one part in 10¹⁷."""
    found = measured(matrix="fisher", tolerance=1e-17, steps=2, probes=2, top=3, **FREE)
    assert found.status == SpectrumStatus.NOT_CONVERGED
    assert (found.residuals > 1e-17 * found.norm).any()


# bad input


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"params": {"w": np.ones(3, int)}}, "not a floating-point array"),
        ({"params": {}}, "no array in it"),
        ({"inputs": np.zeros((0, 6)), "labels": np.zeros((0, 2))}, "at least one example"),
        ({"inputs": np.full((101, 6), np.nan)}, "NaN"),
        ({"labels": LABELS[:7]}, "one label per input"),
        ({"labels": np.zeros((101, 3))}, "one number per output"),
        ({"loss": lambda outputs, labels: outputs.mean()}, "one number per example"),
        ({"top": 305}, "from 0 to 304"),
        ({"bottom": -1}, "from 0 to 304"),
        ({"localisation": -1.0}, "shift"),
        ({"probes": 1}, "probes"),
        ({"steps": 1}, "steps"),
        ({"tolerance": 0.0}, "tolerance"),
    ],
)
def test_bad_input_is_named(change, said):
    arguments = {"params": point(), "loss": "mse", "inputs": INPUTS, "labels": LABELS} | change
    with pytest.raises(InputError, match=said):
        spectrum(NET, **arguments)


def test_unknown_names_are_named():
    for change, said in (({"matrix": "hesian"}, "hessian"), ({"method": "sparse"}, "dense"), ({"loss": "mae"}, "mse")):
        with pytest.raises(UnknownNameError, match=said):
            spectrum(NET, point(), **({"loss": "mse", "inputs": INPUTS, "labels": LABELS} | change))


def test_one_parameter_and_one_example_are_enough():
    parabola = Network(lambda key: jnp.ones(()), lambda w, x: x * w)
    with float64():
        for method in ("dense", "matrix_free"):
            found = spectrum(parabola, jnp.array(2.0), "mse", np.ones((1, 1)), np.zeros(1), method=method, nbeta=1.0)
            assert found.eigenvalues == pytest.approx([2.0]) and found.trace == pytest.approx(2.0)
            assert found.effective_dimension == pytest.approx(1 / 3) and found.trace.error is None
