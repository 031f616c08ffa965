"""Modules from PyTorch and Equinox: the same derivation, nothing told about them."""

from collections import Counter

import equinox as eqx
import jax
import numpy as np
import pytest

from allroads import from_equinox
from allroads.paths.align import align
from allroads.pfmap.symmetries import Element, symmetries


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


class Recurrent(torch.nn.Module):
    """A stacked or bidirectional recurrent module that is read out in one of the usual ways."""

    def __init__(self, kind, layers, bidirectional, read):
        super().__init__()
        self.cell = getattr(torch.nn, kind)(3, 6, num_layers=layers, bidirectional=bidirectional, batch_first=True)
        directions = 2 if bidirectional else 1
        self.how = read
        width = {"outputs": directions, "last": 1, "both directions": 2, "all states": layers * directions}[read]
        self.read = torch.nn.Linear(6 * width, 2)

    def forward(self, x):
        outputs, state = self.cell(x)
        state = state[0] if isinstance(state, tuple) else state
        if self.how == "outputs":
            return self.read(outputs)
        if self.how == "last":
            return self.read(state[-1])
        if self.how == "both directions":
            return self.read(torch.cat([state[-2], state[-1]], 1))
        return self.read(state.transpose(0, 1).flatten(1))


@pytest.mark.parametrize(
    ("kind", "layers", "bidirectional", "read"),
    [
        ("RNN", 2, False, "outputs"),
        ("GRU", 2, False, "outputs"),
        ("LSTM", 2, False, "outputs"),
        ("RNN", 1, True, "outputs"),
        ("LSTM", 2, True, "outputs"),
        ("GRU", 2, False, "last"),
        ("LSTM", 2, True, "both directions"),
        ("LSTM", 3, False, "all states"),
    ],
)
def test_every_layer_and_direction_has_its_own_units(kind, layers, bidirectional, read):
    torch.manual_seed(0)
    network, params, found = derived(Recurrent(kind, layers, bidirectional, read), torch.randn(4, 5, 3))
    count = layers * (2 if bidirectional else 1)
    assert group(found) == {(6, ()): count} and found.refused == () and found.error <= 1e-10
    assert all(len(found.units[k].signs) == 1 for k in found.movable)
    inputs = np.random.default_rng(0).normal(size=(4, 5, 3)).astype(np.float32)
    first = next(k for k in found.movable if "_l0" in found.units[k].name)
    alone = found.act(Element({first: np.array([3, 0, 5, 1, 4, 2])}), params)
    np.testing.assert_allclose(network.apply(alone, inputs), network.apply(params, inputs), atol=1e-6)
    for moved in (alone, found.act(found.random(np.random.default_rng(1)), params)):
        result = align(network, params, moved, inputs, restarts=0)
        assert result.distance < 1e-6 < 1.0 < result.distance_before


def test_group_norm_of_a_torch_module_is_undone():
    torch.manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.Conv2d(1, 8, 3), torch.nn.GroupNorm(4, 8), torch.nn.ReLU(), torch.nn.Conv2d(8, 6, 3),
        torch.nn.GroupNorm(3, 6), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(24, 2),
    )  # fmt: skip
    for name, parameter in module.named_parameters():
        if name in ("1.weight", "1.bias", "4.weight", "4.bias"):
            torch.nn.init.normal_(parameter)
    network, params, found = derived(module, torch.randn(3, 1, 6, 6))
    assert group(found) == {(4, ()): 1, (2, (4,)): 1, (3, ()): 1, (2, (3,)): 1}
    moved = found.act(found.random(np.random.default_rng(1)), params)
    inputs = np.random.default_rng(0).normal(size=(32, 1, 6, 6)).astype(np.float32)
    for method in ("weights", "activations"):
        result = align(network, params, moved, inputs, method=method, restarts=0)
        assert result.distance < 1e-5 < 1.0 < result.distance_before


@pytest.mark.slow
def test_units_of_a_bert_are_put_back_by_what_they_do():
    """Its mask is the first input and only looked up; a row of its embedding is padding; scores are masked."""
    transformers = pytest.importorskip("transformers")
    from allroads import from_torch

    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=8, num_labels=3,
    )  # fmt: skip
    tokens, mask = np.random.default_rng(0).integers(1, 20, (24, 6)), np.ones((24, 6), int)
    mask[:8, 4:] = 0
    inputs = {"attention_mask": mask, "input_ids": tokens}
    network, params = from_torch(transformers.BertForSequenceClassification(config).eval(), inputs)
    found = symmetries(network, params, inputs)
    # the residual stream, the heads, inside each head query with key and value with output, the MLP, the pooler
    assert group(found) == {(8, ()): 2, (2, ()): 1, (4, (2,)): 2, (16, ()): 1}
    assert found.refused == () and found.opaque == {}
    assert {k for capture in found.captures for k in capture.block.units if k >= 0} == set(found.movable)
    moved = found.act(found.random(np.random.default_rng(1), spread=0.2), params)
    result = align(network, params, moved, inputs, method="activations")
    assert result.distance < 1e-5 < 1.0 < result.distance_before
    np.testing.assert_allclose(network.apply(result.params, inputs), network.apply(params, inputs), atol=1e-6)
