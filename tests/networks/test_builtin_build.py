import sys
import types
from types import SimpleNamespace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from allroads.errors import InputError, UnknownNameError
from allroads.networks.build import NETWORKS, build
from allroads.pfmap.network import Network


def interface(input_shape, outputs=2, vocabulary=None, per_position=False):
    return SimpleNamespace(input_shape=input_shape, outputs=outputs, vocabulary=vocabulary, per_position=per_position)


BITS, TOKENS, IMAGES = interface((7,)), interface((3,), vocabulary=5), interface((8, 8))
EACH = interface((3, 2), vocabulary=5, per_position=True)
FITTING = [(kind, BITS) for kind in ("mlp", "deep_linear", "recurrent", "transformer")]
FITTING += [(kind, TOKENS) for kind in ("mlp", "deep_linear", "recurrent", "transformer", "embedding_sum")]
FITTING += [(kind, EACH) for kind in ("mlp", "recurrent", "transformer")]
FITTING += [("convolutional", IMAGES), ("mlp", IMAGES)]


@pytest.mark.parametrize(("kind", "shape"), FITTING)
def test_every_kind_gives_what_the_interface_asks_for(kind, shape):
    network = build(kind, shape)
    params = jax.eval_shape(network.init, jax.random.key(0))
    inputs = np.zeros((5, *shape.input_shape), np.float32 if shape.vocabulary is None else np.int32)
    values = jax.eval_shape(network.apply, params, inputs)
    expected = (5, shape.input_shape[0], 2) if shape.per_position else (5, 2)
    assert values.shape == expected
    assert (network.cell is not None) == (kind == "recurrent")


def test_equal_options_give_the_same_object_and_others_do_not():
    first = build("mlp", BITS, widths=[8, 8], scale=1.0)
    assert first is build("mlp", interface([7]), scale=1.0, widths=(8, 8))
    assert first is build("mlp", BITS, widths=(8, 8), activation="relu")
    assert first is not build("mlp", BITS, widths=(8, 9))
    assert first is not build("mlp", interface((7,), outputs=3), widths=(8, 8))


def test_unknown_kind_names_the_nearest():
    with pytest.raises(UnknownNameError, match="unknown network 'transfomer': did you mean 'transformer'"):
        build("transfomer", TOKENS)


@pytest.mark.parametrize("kind", sorted(set(NETWORKS) - {"factory"}))
def test_unknown_option_names_what_is_allowed(kind):
    with pytest.raises(InputError, match=rf"'{kind}' has no option 'initt': did you mean 'init'.*scale"):
        build(kind, TOKENS, initt="he")


@pytest.mark.parametrize("option", ["outputs", "input_shape", "vocabulary"])
def test_the_interface_is_no_option(option):
    with pytest.raises(InputError, match=f"has no option '{option}'"):
        build("mlp", TOKENS, **{option: 3})


@pytest.mark.parametrize(
    ("kind", "shape", "options", "message"),
    [
        ("mlp", BITS, {"widths": (0,)}, r"widths is \(0,\); expected positive whole numbers"),
        ("mlp", BITS, {"widths": (True,)}, "expected positive whole numbers"),
        ("mlp", BITS, {"widths": {"a": 1}}, "cannot use these options"),
        ("recurrent", BITS, {"width": 2.5}, "width is 2.5; expected a positive whole number"),
        ("recurrent", BITS, {"cell": "gruu"}, "unknown cell 'gruu': did you mean 'gru'"),
        ("transformer", BITS, {"heads": 3}, "heads is 3, which does not divide d_model = 128"),
        ("transformer", BITS, {"attention_rate": 1.5}, "attention_rate is 1.5; expected a number from 0"),
        ("convolutional", BITS, {}, "convolutional reads real images"),
        ("convolutional", IMAGES, {"channels": (4, 4, 4, 4)}, "leave nothing of an image of 8 x 8"),
        ("convolutional", IMAGES, {"pooling": "min"}, "unknown pooling 'min'"),
        ("embedding_sum", BITS, {}, "embedding_sum reads S tokens"),
        ("embedding_sum", TOKENS, {"embedding": 0}, "embedding is 0; expected a positive whole number"),
        ("mlp", BITS, {"activation": "rleu"}, "unknown activation 'rleu': did you mean 'relu'"),
        ("recurrent", interface(()), {}, "reads positions"),
        ("transformer", interface(()), {}, "reads positions"),
        ("mlp", interface((0,)), {}, r"input_shape is \(0,\)"),
        ("factory", BITS, {}, "network 'factory' needs the option 'path'"),
    ],
)
def test_options_that_cannot_be_used_are_named(kind, shape, options, message):
    with pytest.raises(InputError, match=message):
        build(kind, shape, **options)


@pytest.mark.parametrize("kind", ["mlp", "recurrent", "transformer", "embedding_sum"])
def test_inputs_that_do_not_fit_are_refused(kind):
    network = build(kind, TOKENS)
    params = jax.eval_shape(network.init, jax.random.key(0))
    with pytest.raises(InputError, match=r"got inputs of shape \(2, 4\); expected \[N, 3\]"):
        jax.eval_shape(network.apply, params, jnp.zeros((2, 4), int))
    with pytest.raises(InputError, match=r"dtype float32; expected integer tokens 0 … 4"):
        jax.eval_shape(network.apply, params, jnp.zeros((2, 3)))


@pytest.fixture
def user_module(monkeypatch):
    """A module of the user's, importable under a name of its own."""
    module = types.ModuleType("user_networks")
    monkeypatch.setitem(sys.modules, "user_networks", module)
    return module


def own_network(**_):
    return Network(lambda key: jnp.ones(2), lambda params, x: x[:, :1] * params, name="own")


def test_factory_gives_a_network_and_gets_the_interface_and_options(user_module):
    seen = {}

    def make(*, interface, depth):
        seen.update(interface=interface, depth=depth)
        return own_network()

    user_module.make = make
    network = build("factory", TOKENS, path="user_networks:make", depth=3)
    assert network.name == "own"
    assert network is build("factory", TOKENS, path="user_networks:make", depth=3)
    assert seen["depth"] == 3
    assert (seen["interface"].input_shape, seen["interface"].vocabulary) == ((3,), 5)


def test_factory_may_give_a_pair(user_module):
    user_module.pair = lambda: (own_network(), jnp.ones(2))
    assert build("factory", BITS, path="user_networks:pair").name == "own"


def test_factory_may_give_an_equinox_module_drawn_by_key(user_module):
    user_module.module = lambda key, interface: eqx.nn.Linear(*interface.input_shape, interface.outputs, key=key)
    network = build("factory", BITS, path="user_networks:module")
    first, second = (network.init(jax.random.key(seed)) for seed in (1, 2))
    assert not np.array_equal(first.weight, second.weight)
    np.testing.assert_allclose(network.apply(first, np.ones((1, 7)))[0], first(jnp.ones(7)), rtol=1e-6)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("user_networks", "expected 'module:function'"),
        ("no_such_module:make", r"cannot be imported \(ModuleNotFoundError: No module named 'no_such_module'\)"),
        ("user_networks:missing", "has no function 'missing'"),
        ("user_networks:number", "has no function 'number'"),
        ("user_networks:broken", "factory 'user_networks:broken' failed: ZeroDivisionError: by zero"),
        ("user_networks:text", "gave str; expected a Network"),
    ],
)
def test_factory_that_fails_names_path_and_cause(user_module, path, message):
    def broken():
        raise ZeroDivisionError("by zero")

    user_module.number, user_module.broken, user_module.text = 3, broken, lambda: "a network"
    with pytest.raises(InputError, match=message):
        build("factory", BITS, path=path)


def test_factory_may_give_a_torch_module(user_module):
    torch = pytest.importorskip("torch")
    user_module.torch_module = lambda interface: torch.nn.Linear(7, interface.outputs)
    network = build("factory", BITS, path="user_networks:torch_module")
    params = network.init(jax.random.key(0))
    x = np.ones((3, 7), np.float32)
    np.testing.assert_allclose(
        network.apply(params, x), x @ np.asarray(params["weight"]).T + np.asarray(params["bias"]), rtol=1e-5
    )
