"""REPAIR: statistics of units put right, by scales and shifts and by running statistics."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from spelled_out import barrier_of

from allroads import InputError, Network, float64, from_torch
from allroads.errors import UnknownNameError
from allroads.networks.convolutional import convolutional
from allroads.networks.mlp import mlp
from allroads.paths.repair import repair
from allroads.status import PathStatus

RNG = np.random.default_rng(0)
INPUTS = RNG.normal(size=(256, 6))


def hidden_of(params, inputs, last):
    """Pre-activations of a relu MLP, written out in NumPy: of each layer, ``[N, width]``."""
    found, x = [], np.asarray(inputs, np.float64)
    for layer in params["layers"][:last]:
        found.append(x @ np.asarray(layer["weight"], np.float64) + np.asarray(layer["bias"], np.float64))
        x = np.maximum(found[-1], 0)
    return found


def repaired_by_hand(a, b, t, inputs):
    """Outputs of the repaired network, layer after layer in NumPy, and its pre-activations."""
    ends = [hidden_of(end, inputs, len(a["layers"]) - 1) for end in (a, b)]
    x, seen = np.asarray(inputs, np.float64), []
    layers = [
        {key: (1 - t) * np.asarray(p[key]) + t * np.asarray(q[key]) for key in ("weight", "bias")}
        for p, q in zip(a["layers"], b["layers"], strict=True)
    ]
    for number, layer in enumerate(layers[:-1]):
        x = x @ layer["weight"] + layer["bias"]
        mean, deviation = ((1 - t) * f(ends[0][number]) + t * f(ends[1][number]) for f in (_mean, _deviation))
        x = (x - _mean(x)) / _deviation(x) * deviation + mean
        seen.append(x)
        x = np.maximum(x, 0)
    return x @ layers[-1]["weight"] + layers[-1]["bias"], seen


def _mean(x):
    return x.mean(axis=0)


def _deviation(x):
    return x.std(axis=0)


@pytest.fixture(scope="module")
def pair():
    network = mlp((6,), 3, widths=(64, 64), bias="uniform_fan_in")
    with float64():
        return network, network.init(jax.random.key(0)), network.init(jax.random.key(1))


@pytest.mark.parametrize("t", [0.5, 0.2])
def test_units_get_the_statistics_between_the_ends(pair, t):
    network, a, b = pair
    with float64():
        found = repair(network, a, b, INPUTS, t)
        outputs = np.asarray(found.network.apply(found.params, INPUTS))
        few = np.asarray(found.network.apply(found.params, INPUTS[:5]))  # another layout inside, the same function
    expected, seen = repaired_by_hand(a, b, t, INPUTS)
    np.testing.assert_allclose(outputs, expected, atol=1e-9)
    np.testing.assert_allclose(few, expected[:5], atol=1e-9)
    assert found.changed == 2 and found.skipped == () and found.status == PathStatus.OK
    ends = [hidden_of(end, INPUTS, 2) for end in (a, b)]
    for layer, x in enumerate(seen):
        np.testing.assert_allclose(_deviation(x), (1 - t) * _deviation(ends[0][layer]) + t * _deviation(ends[1][layer]))


def test_variance_that_had_collapsed_is_back(pair):
    # Independent ends: ρ ≈ 0, so a pre-activation half way has half the variance, and the second layer less still.
    _, a, b = pair
    middle = jax.tree.map(lambda p, q: (np.asarray(p) + np.asarray(q)) / 2, a, b)
    raw, ends = hidden_of(middle, INPUTS, 2), [hidden_of(end, INPUTS, 2) for end in (a, b)]
    before = [(_deviation(raw[k]) ** 2).mean() / np.mean([_deviation(e[k]) ** 2 for e in ends]) for k in (0, 1)]
    assert 0.4 < before[0] < 0.6 and before[1] < 0.4
    _, seen = repaired_by_hand(a, b, 0.5, INPUTS)
    after = [(_deviation(seen[k]) ** 2).mean() / np.mean([_deviation(e[k]) ** 2 for e in ends]) for k in (0, 1)]
    assert after == pytest.approx([1.0, 1.0], abs=0.1)


@pytest.mark.parametrize("method", ["units"])
def test_a_point_between_a_point_and_itself_is_that_point(pair, method):
    network, a, _ = pair
    with float64():
        found = repair(network, a, a, INPUTS, 0.3, method=method)
        np.testing.assert_allclose(found.network.apply(found.params, INPUTS), network.apply(a, INPUTS), atol=1e-10)
        flat = barrier_of(network, a, a, "mse", INPUTS, np.zeros((256, 3)), points=3, repair=method)
    assert flat.height == pytest.approx(0, abs=1e-10)


def test_a_barrier_that_comes_from_collapsed_variance_alone_is_gone():
    # A hidden unit copies the first input at one end and the second at the other; the loss is minus its variance, which
    # is (1−t)² + t² between: the barrier is ½, and with the deviation put right there is none.
    network = Network(lambda key: None, lambda p, x: x @ p["in"] @ p["out"])
    inputs = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])

    def measured(**options):
        a, b = ({"in": jnp.eye(2)[:, k : k + 1], "out": jnp.ones((1, 1))} for k in (0, 1))
        return barrier_of(network, a, b, lambda o, y: -(o[:, 0] ** 2), inputs, np.zeros(4), points=5, **options)

    with float64():
        plain, fixed = measured(), measured(repair="units")
        # On data where both inputs are the same nothing has collapsed, so nothing is put right.
        unfixed = measured(repair="units", calibration=inputs[:, :1] * np.ones(2))
    assert plain.height == pytest.approx(0.5) and unfixed.height == pytest.approx(0.5)
    np.testing.assert_allclose(fixed.losses, -1.0)


def test_convolutions_are_seen_and_their_positions_are_data():
    network = convolutional((6, 6, 1), 2, channels=(4,), pool=1)
    images = RNG.normal(size=(10, 6, 6, 1))
    kernel = Network(
        lambda key: None,
        lambda p, x: (
            jax.lax.conv_general_dilated(x, p["k"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
            .clip(0)
            .mean((1, 2))
            @ p["out"]
        ),
    )
    with float64():
        a, b = (network.init(jax.random.key(seed)) for seed in (0, 1))
        plain, strided = (
            {"k": jnp.asarray(end["layers"][0]["weight"]).reshape(3, 3, 1, 4), "out": jnp.ones((4, 2))}
            for end in (a, b)
        )
        by_patches, by_kernel = repair(network, a, b, images), repair(kernel, plain, strided, images)
    assert by_patches.changed == by_kernel.changed == 1
    for x, y in zip(by_patches.params["corrections"][0], by_kernel.params["corrections"][0], strict=True):
        assert x.shape == y.shape == (4,)
        np.testing.assert_allclose(x, y, rtol=1e-9)


def normalised_network():
    """Two layers with batch norms whose running statistics are parameters; the second takes positions along."""

    def norm(p, x):
        return (x - p["mean"]) / jnp.sqrt(p["var"] + 1e-5) * p["gain"]

    def other_norm(p, x):
        return p["gain"] * (x - p["mean"]) * jax.lax.rsqrt(p["var"] + 1e-5)

    def apply(p, x):
        x = jax.nn.relu(norm(p["one"], x @ p["in"]))
        x = jax.nn.relu(other_norm(p["two"], (x @ p["mid"]).reshape(len(x), 2, 4)))
        return x.reshape(len(x), -1) @ p["out"]

    def init(key):
        keys = jax.random.split(key, 3)
        one, two = ({"mean": jnp.zeros(n), "var": jnp.ones(n), "gain": jnp.ones(n)} for n in (8, 4))
        shapes = {"in": (6, 8), "mid": (8, 8), "out": (8, 2)}
        drawn = {name: jax.random.normal(k, shape) for k, (name, shape) in zip(keys, shapes.items(), strict=True)}
        return drawn | {"one": one, "two": two}

    return Network(init, apply)


def test_running_statistics_are_taken_anew_layer_after_layer():
    network = normalised_network()
    with float64():
        a, b = (network.init(jax.random.key(seed)) for seed in (0, 1))
        found = repair(network, a, b, INPUTS, 0.5, method="statistics")
        again = repair(network, found.params, found.params, INPUTS, 0.5, method="statistics")
        same = barrier_of(network, found.params, found.params, "mse", INPUTS, np.ones((256, 2)), 3, repair="statistics")
    assert set(found.changed) == {"one/mean", "one/var", "two/mean", "two/var"} and found.network is network
    p = jax.tree.map(np.asarray, found.params)
    x = INPUTS @ (np.asarray(a["in"]) + np.asarray(b["in"])) / 2
    np.testing.assert_allclose(p["one"]["mean"], x.mean(0), atol=1e-12)
    np.testing.assert_allclose(p["one"]["var"], x.var(0), rtol=1e-10)
    x = np.maximum((x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5), 0) @ p["mid"]
    x = x.reshape(-1, 4)
    np.testing.assert_allclose(p["two"]["mean"], x.mean(0), atol=1e-12)
    np.testing.assert_allclose(p["two"]["var"], x.var(0), rtol=1e-10)
    np.testing.assert_array_equal(p["one"]["gain"], 1.0)
    for x, y in zip(jax.tree.leaves(found.params), jax.tree.leaves(again.params), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-10, atol=1e-12)
    assert same.height == pytest.approx(0, abs=1e-10)


def test_a_pytorch_module_with_its_statistics_as_parameters():
    torch = pytest.importorskip("torch")

    class Norm(torch.nn.Module):
        def __init__(self, size):
            super().__init__()
            self.mean = torch.nn.Parameter(torch.zeros(size))
            self.var = torch.nn.Parameter(torch.ones(size))

        def forward(self, x):
            return (x - self.mean) / torch.sqrt(self.var + 1e-5)

    def taken_in(norm):
        torch.manual_seed(0)
        layers = (torch.nn.Linear(6, 5), norm, torch.nn.ReLU(), torch.nn.Linear(5, 2))
        return from_torch(torch.nn.Sequential(*layers).eval(), torch.zeros(2, 6))

    network, params = taken_in(torch.nn.BatchNorm1d(5))
    with pytest.raises(InputError, match="running_statistics='params'"):
        repair(network, params, params, INPUTS, method="statistics")
    network, a = taken_in(Norm(5))
    b = a | {"0.weight": -2 * a["0.weight"]}
    inputs = INPUTS.astype(np.float32)
    found = repair(network, a, b, inputs, 0.5, method="statistics")
    x = inputs @ np.asarray(-0.5 * a["0.weight"]).T + np.asarray(a["0.bias"])
    assert set(found.changed) == {"1.mean", "1.var"}
    np.testing.assert_allclose(found.params["1.mean"], x.mean(0), atol=1e-5)
    np.testing.assert_allclose(found.params["1.var"], x.var(0), rtol=1e-4)


def test_what_cannot_be_repaired_is_said(pair):
    network, a, b = (part if isinstance(part, Network) else jax.tree.map(np.float32, part) for part in pair)
    with pytest.raises(InputError, match="no running statistics of a batch norm"):
        barrier_of(network, a, b, "mse", INPUTS, np.zeros((256, 3)), repair="statistics")
    with pytest.raises(UnknownNameError, match="did you mean 'units'"):
        barrier_of(network, a, b, "mse", INPUTS, np.zeros((256, 3)), repair="unit")
    with pytest.raises(InputError, match="between 0 and 1"):
        repair(network, a, b, INPUTS, 1.5)
    with pytest.raises(InputError, match="not of one architecture"):
        repair(network, a, {"layers": a["layers"][:2]}, INPUTS)
    line = Network(lambda key: None, lambda w, x: x @ w)
    flat = barrier_of(line, jnp.zeros((6, 1)), jnp.ones((6, 1)), "mse", INPUTS, np.zeros((256, 1)), repair="units")
    assert flat.status == PathStatus.NOT_APPLICABLE

    def looped(w, x):
        return jax.lax.scan(lambda h, _: (jnp.tanh(h @ w["again"]), None), x, None, length=2)[0] @ w["out"]

    w = {"again": jnp.eye(6), "out": jnp.ones((6, 1))}
    found = repair(Network(lambda key: None, looped), w, w, INPUTS)
    assert found.skipped == ("scan",) and found.status == PathStatus.NOT_APPLICABLE and found.changed == 0
