"""Modules from PyTorch and Equinox: the same derivation, nothing told about them."""

from collections import Counter

import equinox as eqx
import jax
import numpy as np
import pytest

from allroads import from_equinox
from allroads.paths.align import align
from allroads.pfmap.symmetries import symmetries


def group(found):
    return Counter((found.units[k].size, found.units[k].shape) for k in found.movable)


def test_an_equinox_module():
    network, params = from_equinox(eqx.nn.MLP(3, 2, 7, 2, activation=jax.nn.tanh, key=jax.random.key(0)))
    inputs = np.random.default_rng(0).normal(size=(5, 3))
    found = symmetries(network, params, inputs)
    assert group(found) == {(7, ()): 2} and all(len(found.units[k].signs) == 1 for k in found.movable)
    moved = found.act(found.random(np.random.default_rng(1)), params)
    assert align(network, params, moved, inputs).distance < 1e-5


torch = pytest.importorskip("torch", reason="these modules need it: pip install 'allroads[torch]'")


def derived(module, example):
    from allroads import from_torch

    network, params = from_torch(module.eval(), example)
    return network, params, symmetries(network, params, example.numpy())


def test_an_encoder_layer_with_its_packed_attention():
    torch.manual_seed(0)
    layer = torch.nn.TransformerEncoderLayer(8, 2, 12, batch_first=True, dropout=0.0, norm_first=True)
    module = torch.nn.Sequential(torch.nn.Embedding(11, 8), layer, torch.nn.Linear(8, 11))
    network, params, found = derived(module, torch.randint(0, 11, (4, 5)))
    assert group(found) == {(8, ()): 1, (2, ()): 1, (4, (2,)): 2, (12, ()): 1}
    assert found.refused == () and found.opaque == {}
    moved = found.act(found.random(np.random.default_rng(1), spread=0.2), params)
    inputs = np.random.default_rng(0).integers(0, 11, size=(4, 5))
    result = align(network, params, moved, inputs)
    assert result.distance < 1e-4 < result.distance_before
    np.testing.assert_allclose(network.apply(result.params, inputs), network.apply(params, inputs), atol=1e-5)


@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
def test_recurrent_modules(kind):
    class Read(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = getattr(torch.nn, kind)(3, 4, batch_first=True)
            self.read = torch.nn.Linear(4, 2)

        def forward(self, x):
            return self.read(self.cell(x)[0])

    *_, found = derived(Read(), torch.randn(2, 5, 3))
    assert group(found) == {(4, ()): 1} and len(found.units[found.movable[0]].signs) == 1


def test_trained_statistics_of_a_batch_norm_pin_its_channels_and_are_named():
    def module():
        return torch.nn.Sequential(
            torch.nn.Conv2d(1, 5, 3), torch.nn.BatchNorm2d(5), torch.nn.ReLU(), torch.nn.Conv2d(5, 6, 3),
            torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(24, 2),
        )  # fmt: skip

    torch.manual_seed(0)
    fresh, trained = module(), module()
    trained(torch.randn(16, 1, 6, 6))
    images = torch.randn(3, 1, 6, 6)
    *_, found = derived(fresh, images)
    assert group(found) == {(5, ()): 1, (6, ()): 1}
    *_, found = derived(trained, images)
    assert group(found) == {(6, ()): 1}
    assert found.pinned["1.weight:0"] == ("a constant of the network",)
