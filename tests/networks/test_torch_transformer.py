"""Transformers as PyTorch modules: the outputs of the network, on all words of a domain and in both precisions."""

from __future__ import annotations

import contextlib
import itertools

import jax
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from allroads import InputError, UnknownNameError, float64, from_torch  # noqa: E402
from allroads.networks.activations import ACTIVATIONS as BY_NAME  # noqa: E402
from allroads.networks.torch.transformer import ACTIVATIONS, torch_transformer  # noqa: E402
from allroads.networks.transformer import transformer  # noqa: E402

WORDS = np.array(list(itertools.product(range(3), repeat=4)))
TOLERANCE = {"float64": 1e-9, "float32": 1e-4}


def drawn(network, seed=0):
    """A point with every weight drawn, biases and gains included, so that none is left out unnoticed."""
    rng = np.random.default_rng(seed)
    shapes = jax.eval_shape(network.init, jax.random.key(0))
    return jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype(leaf.dtype) / 2, shapes)


def differ(network, params, module, inputs):
    """Largest difference of the outputs, relative to the largest output where that is above 1."""
    wanted = np.asarray(jax.jit(network.apply)(params, inputs))
    with torch.no_grad():
        outputs = module(torch.tensor(np.asarray(inputs))).numpy()
    assert outputs.shape == wanted.shape and outputs.dtype == wanted.dtype
    return np.abs(outputs - wanted).max() / max(1.0, np.abs(wanted).max())


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"heads": 1, "causal": False, "per_position": True},
        {"attention_rate": 0.0},
        {"attention_rate": 0.3, "causal": False, "layer_norm": True},
        {"layers": 2, "layer_norm": True, "activation": "gelu", "per_position": True},
    ],
    ids=lambda options: "-".join(options) or "defaults",
)
def test_outputs_are_the_networks_on_all_words(options):
    network = transformer((4,), 5, vocabulary=3, d_model=8, d_mlp=12, **options)
    asked = {"vocabulary": 3} | {name: value for name, value in options.items() if name not in ("layers", "layer_norm")}
    for precision in TOLERANCE:
        with float64() if precision == "float64" else contextlib.nullcontext():
            params = drawn(network)
            module = torch_transformer(params, **asked)
            assert not module.training and next(module.parameters()).dtype == getattr(torch, precision)
            assert differ(network, params, module, WORDS) <= TOLERANCE[precision]


@pytest.mark.parametrize("activation", sorted(BY_NAME))
def test_every_activation_has_its_module(activation):
    assert set(ACTIVATIONS) == set(BY_NAME)
    network = transformer((4,), 2, vocabulary=3, d_model=4, d_mlp=6, activation=activation)
    with float64():
        params = drawn(network)
        assert differ(network, params, torch_transformer(params, vocabulary=3, activation=activation), WORDS) <= 1e-9


def test_several_tokens_a_position_and_numbers():
    rng = np.random.default_rng(0)
    with float64():
        network = transformer((3, 2), 2, vocabulary=4, d_model=8, d_mlp=6)
        params = drawn(network)
        module = torch_transformer(params, vocabulary=4)
        assert differ(network, params, module, rng.integers(0, 4, (20, 3, 2))) <= 1e-9
        for shape in ((3,), (3, 2)):
            network = transformer(shape, 2, d_model=8, d_mlp=6)
            params = drawn(network)
            assert differ(network, params, torch_transformer(params), rng.normal(size=(20, *shape))) <= 1e-9


@pytest.mark.parametrize("wrong", [{"heads": 2}, {"causal": False}, {"attention_rate": 0.9}, {"activation": "tanh"}])
def test_another_option_gives_other_outputs(wrong):
    """The comparison of the tests above can fail."""
    network = transformer((4,), 5, vocabulary=3, d_model=8, d_mlp=12, per_position=True)
    params = drawn(network)
    module = torch_transformer(params, **({"vocabulary": 3, "per_position": True} | wrong))
    assert differ(network, params, module, WORDS) > 1e-2


@pytest.mark.slow
def test_the_module_comes_back_as_a_network():
    network = transformer((4,), 5, vocabulary=3, d_model=8, d_mlp=12)
    params = drawn(network)
    again, state = from_torch(torch_transformer(params, vocabulary=3), torch.zeros(2, 4, dtype=torch.long))
    assert np.abs(np.asarray(again.apply(state, WORDS)) - np.asarray(network.apply(params, WORDS))).max() <= 1e-4


def test_what_does_not_fit_is_named():
    params = drawn(transformer((4,), 5, vocabulary=3, d_model=8, d_mlp=12))
    for options, said in (
        ({"vocabulary": 2}, "does not divide the 3 rows"),
        ({"vocabulary": 3, "heads": 3}, "does not divide d_model = 8"),
        ({"vocabulary": 3, "attention_rate": 1.5}, "attention_rate is 1.5"),
    ):
        with pytest.raises(InputError, match=said):
            torch_transformer(params, **options)
    with pytest.raises(UnknownNameError, match="did you mean 'relu'"):
        torch_transformer(params, vocabulary=3, activation="rellu")
    with pytest.raises(InputError, match="expected the weights of a transformer"):
        torch_transformer({"layers": []})
