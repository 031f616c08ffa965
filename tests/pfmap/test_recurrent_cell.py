"""Cells derived from traces, held against the networks that they come from."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from allroads import Network, from_torch
from allroads.networks.recurrent import recurrent
from allroads.networks.transformer import transformer
from allroads.pfmap.jaxpr import recurrent_cell


def fold(cell, params, inputs):
    state, outputs = cell.initial_state(params, len(inputs)), []
    for position in range(inputs.shape[1]):
        state, output = cell.step(params, state, inputs[:, position])
        outputs.append(output)
    return np.stack(outputs, axis=1)


@pytest.mark.parametrize("kind", ["elman", "gru", "lstm"])
def test_the_derived_cell_is_the_written_one(kind):
    network = recurrent((5,), 3, vocabulary=4, per_position=True, cell=kind, width=6, layers=2)
    params = network.init(jax.random.key(0))
    tokens = np.random.default_rng(0).integers(0, 4, (7, 5))
    bare = Network(lambda key: params, lambda p, x: network.apply(p, jnp.pad(x, ((0, 0), (0, 5 - x.shape[1])))))
    assert recurrent_cell(bare, params, tokens) is None  # fixed to one length: the loop is not over the positions given

    def apply(p, x):
        return recurrent(x.shape[1:], 3, vocabulary=4, per_position=True, cell=kind, width=6, layers=2).apply(p, x)

    cell = recurrent_cell(Network(lambda key: params, apply), params, tokens)
    assert len(cell.initial_state(params, 7)) == (4 if kind == "lstm" else 2)
    np.testing.assert_allclose(fold(cell, params, tokens), network.apply(params, tokens), atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
def test_a_module_of_pytorch_gives_its_states(kind):
    torch = pytest.importorskip("torch", reason="a module of PyTorch is read: pip install 'allroads[torch]'")

    class Reader(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = torch.nn.Embedding(3, 4)
            self.cell = getattr(torch.nn, kind)(4, 8, num_layers=2, batch_first=True)
            self.out = torch.nn.Linear(8, 5)

        def forward(self, tokens):
            return self.out(self.cell(self.embed(tokens))[0])

    torch.manual_seed(0)
    network, params = from_torch(Reader(), torch.zeros(2, 6, dtype=torch.long))
    tokens = np.random.default_rng(0).integers(0, 3, (4, 6))
    cell = recurrent_cell(network, params, tokens)
    assert [leaf.shape for leaf in cell.initial_state(params, 4)] == [(4, 8)] * (4 if kind == "LSTM" else 2)
    longer = np.random.default_rng(1).integers(0, 3, (4, 13))
    np.testing.assert_allclose(fold(cell, params, longer), network.apply(params, longer), atol=1e-5)


def test_networks_without_a_state_have_no_cell():
    torch = pytest.importorskip("torch", reason="a module of PyTorch is read: pip install 'allroads[torch]'")

    class Both(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = torch.nn.GRU(1, 4, batch_first=True, bidirectional=True)

        def forward(self, x):
            return self.cell(x)[0]

    network, params = from_torch(Both(), torch.zeros(2, 5, 1))
    assert recurrent_cell(network, params, np.ones((2, 5, 1), np.float32)) is None
    attention = transformer((5,), 2, vocabulary=3, per_position=True, d_model=8, heads=2, d_mlp=8)
    assert recurrent_cell(attention, attention.init(jax.random.key(0)), np.zeros((2, 5), int)) is None
    flat = Network(lambda key: jnp.ones(2), lambda w, x: x * w)
    assert recurrent_cell(flat, jnp.ones(2), np.ones(3)) is None
