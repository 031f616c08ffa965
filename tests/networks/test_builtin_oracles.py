"""Every built-in network against a slow plain-NumPy one: loops over examples, positions, pixels."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from allroads.networks.activations import ACTIVATIONS
from allroads.networks.convolutional import POOLINGS, convolutional
from allroads.networks.deep_linear import deep_linear
from allroads.networks.embedding_sum import embedding_sum
from allroads.networks.mlp import COLUMNS, mlp
from allroads.networks.recurrent import recurrent
from allroads.networks.transformer import transformer
from allroads.pfmap.precision import float64

RNG = np.random.default_rng(0)
EXAMPLES = 4
ACT = {
    "relu": lambda x: np.maximum(x, 0),
    "tanh": np.tanh,
    "gelu": lambda x: x * (1 + np.vectorize(math.erf)(x / math.sqrt(2))) / 2,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "square": lambda x: x * x,
    "identity": lambda x: x,
}
sigmoid = ACT["sigmoid"]


def features(x, vocabulary):
    """One example or position as a vector: numbers flattened, tokens one-hot side by side."""
    flat = np.ravel(x)
    if vocabulary is None:
        return flat
    vector = np.zeros(flat.size * vocabulary)
    for stream, token in enumerate(flat):
        vector[stream * vocabulary + token] = 1
    return vector


def layer_of(layer, x):
    return x @ layer["weight"] + layer.get("bias", 0)


def slow_mlp(params, x, vocabulary=None, activation="identity", positions=None):
    h = features(x, vocabulary)
    for index, layer in enumerate(params["layers"]):
        h = layer_of(layer, ACT[activation](h) if index else h)
    return h.reshape(positions, -1) if positions else h


def slow_embedding_sum(params, tokens, activation, tied):
    def row(stream, token):
        if "mix" in params:
            entry, mix = params["embed"][token], params["mix"][0 if tied else stream]
            return sum(entry[d] * mix[d] for d in range(len(entry)))
        return params["embed"][0 if tied else stream, token]

    summed = sum(row(s, token) for s, token in enumerate(tokens))
    return layer_of(params["readout"], ACT[activation](summed))


def slow_convolutional(params, image, kernel, pool, pooling, activation="relu"):
    maps = image if image.ndim == 3 else image[:, :, None]
    for layer in params["layers"]:
        height, width, depth = maps.shape
        weight = layer["weight"].reshape(kernel, kernel, depth, -1)
        out = np.zeros((height, width, weight.shape[-1])) + layer.get("bias", 0)
        for r in range(height):
            for c in range(width):
                for i in range(kernel):
                    for j in range(kernel):
                        row, column = r + i - (kernel - 1) // 2, c + j - (kernel - 1) // 2
                        if 0 <= row < height and 0 <= column < width:
                            out[r, c] += maps[row, column] @ weight[i, j]
        out = ACT[activation](out)
        maps = np.zeros((height // pool, width // pool, out.shape[-1]))
        for r in range(height // pool):
            for c in range(width // pool):
                window = out[r * pool : (r + 1) * pool, c * pool : (c + 1) * pool].reshape(pool * pool, -1)
                maps[r, c] = window.max(0) if pooling == "max" else window.sum(0) / pool**2
    return layer_of(params["readout"], maps.ravel())


def slow_recurrent(params, sequence, cell, vocabulary, per_position, activation="tanh"):
    act = ACT[activation]
    width = params["readout"]["weight"].shape[0]
    states = [(np.zeros(width), np.zeros(width)) for _ in params["layers"]]
    outputs = []
    for position in sequence:
        x = features(position, vocabulary)
        for index, layer in enumerate(params["layers"]):
            h, c = states[index]
            gates = layer["input"].shape[1] // width
            bias = np.broadcast_to(layer.get("bias", 0.0), gates * width)

            def gate(g, layer=layer, x=x, h=h, bias=bias):
                """The two halves of gate g, the bias with the input's."""
                columns = slice(g * width, (g + 1) * width)
                return x @ layer["input"][:, columns] + bias[columns], h @ layer["hidden"][:, columns]

            if cell == "elman":
                h = act(sum(gate(0)))
            elif cell == "gru":
                reset, update = sigmoid(sum(gate(0))), sigmoid(sum(gate(1)))
                new = act(gate(2)[0] + reset * (gate(2)[1] + layer.get("bias_new", 0)))
                h = (1 - update) * new + update * h
            else:
                c = sigmoid(sum(gate(1))) * c + sigmoid(sum(gate(0))) * act(sum(gate(2)))
                h = sigmoid(sum(gate(3))) * act(c)
            states[index] = (h, c)
            x = h
        outputs.append(layer_of(params["readout"], x))
    return np.array(outputs) if per_position else outputs[-1]


def slow_transformer(params, sequence, heads, rate, causal, vocabulary, per_position, activation="relu"):
    def normalised(layer, x):
        if "norm" not in layer:
            return x
        return (x - x.mean()) / np.sqrt(x.var() + 1e-5) * layer["norm"]["gain"] + layer["norm"]["bias"]

    stream = [features(x, vocabulary) @ params["embed"] + params["position"][t] for t, x in enumerate(sequence)]
    size = len(stream[0]) // heads
    for block in params["blocks"]:
        seen = [normalised(block, x) for x in stream]
        after = []
        for t, x in enumerate(stream):
            reads = []
            last = t + 1 if causal else len(stream)
            for head in range(heads):
                columns = slice(head * size, (head + 1) * size)
                query = seen[t] @ block["query"][:, columns]
                scores = [query @ (seen[s] @ block["key"][:, columns]) / math.sqrt(size) for s in range(last)]
                total = sum(math.exp(score) for score in scores)
                read = np.zeros(size)
                for s, score in enumerate(scores):
                    read += (rate * math.exp(score) / total + 1 - rate) * (seen[s] @ block["value"][:, columns])
                reads.append(read)
            after.append(x + np.concatenate(reads) @ block["out"])
        stream = [
            x + layer_of(block["down"], ACT[activation](layer_of(block["up"], normalised(block["up"], x))))
            for x in after
        ]
    outputs = np.array([layer_of(params["readout"], normalised(params["readout"], x)) for x in stream])
    return outputs if per_position else outputs[-1]


def case(name, network, slow, shape, vocabulary=None):
    return pytest.param(network, slow, shape, vocabulary, id=name)


BIASED = {"bias": "normal", "bias_scale": 0.5}
MLPS = [
    case(
        f"mlp-{a}",
        mlp((2, 3), 2, widths=(5, 4), activation=a, **BIASED),
        lambda p, x, a=a: slow_mlp(p, x, None, a),
        (2, 3),
    )
    for a in ACTIVATIONS
]
MLPS += [
    case(
        f"mlp-tokens-{v}",
        mlp((3,), 2, vocabulary=v, widths=(5,), **BIASED),
        lambda p, x, v=v: slow_mlp(p, x, v, "relu"),
        (3,),
        v,
    )
    for v in (4, 30)
]
MLPS += [
    case("mlp-none", mlp((3,), 2, widths=(), bias="none"), slow_mlp, (3,)),
    case(
        "mlp-positions",
        mlp((3, 2), 4, vocabulary=5, per_position=True, widths=(6,), **BIASED),
        lambda p, x: slow_mlp(p, x, 5, "relu", 3),
        (3, 2),
        5,
    ),
    case("deep-linear", deep_linear((3,), 2, widths=(4, 5)), slow_mlp, (3,)),
]
SUMS = [
    case(
        f"embedding-sum-{a}-{tied}-{embedding}",
        embedding_sum((2,), 7, vocabulary=7, width=6, embedding=embedding, activation=a, tied=tied, **BIASED),
        lambda p, x, a=a, tied=tied: slow_embedding_sum(p, x, a, tied),
        (2,),
        7,
    )
    for a, tied, embedding in (("relu", False, None), ("square", True, None), ("relu", False, 3), ("relu", True, 3))
]
CONVS = [
    case(
        f"conv-{shape}-{kernel}-{pool}-{pooling}",
        convolutional(shape, 3, channels=channels, kernel=kernel, pool=pool, pooling=pooling, **BIASED),
        lambda p, x, k=kernel, s=pool, how=pooling: slow_convolutional(p, x, k, s, how),
        shape,
    )
    for shape, channels, kernel, pool, pooling in (
        ((8, 8, 1), (3, 4), 3, 2, "max"),
        ((5, 7, 2), (3,), 2, 2, "mean"),
        ((4, 4), (2,), 5, 1, "max"),
    )
]
RNNS = [
    case(
        f"{cell}-{layers}-{v}-{per_position}",
        recurrent(shape, 3, vocabulary=v, per_position=per_position, cell=cell, width=4, layers=layers, **BIASED),
        lambda p, x, cell=cell, v=v, each=per_position: slow_recurrent(p, x, cell, v, each),
        shape,
        v,
    )
    for cell in ("elman", "gru", "lstm")
    for shape, layers, v, per_position in (((5, 2), 2, 3, True), ((4,), 1, None, False))
]
RNNS += [
    case(
        "gru-no-bias",
        recurrent((4,), 3, cell="gru", width=4, bias="none"),
        lambda p, x: slow_recurrent(p, x, "gru", None, False),
        (4,),
    )
]
TRANSFORMERS = [
    case(
        f"transformer-{layers}-{rate}-{causal}-{v}-{per_position}-{norm}",
        transformer(
            shape,
            5,
            vocabulary=v,
            per_position=per_position,
            layers=layers,
            d_model=6,
            heads=2,
            d_mlp=7,
            attention_rate=rate,
            causal=causal,
            layer_norm=norm,
            **BIASED,
        ),
        lambda p, x, rate=rate, causal=causal, v=v, each=per_position: slow_transformer(p, x, 2, rate, causal, v, each),
        shape,
        v,
    )
    for layers, rate, causal, v, per_position, norm, shape in (
        (1, 1.0, True, 30, False, False, (3,)),
        (1, 0.3, False, 5, True, False, (4,)),
        (2, 0.0, True, 5, False, False, (3, 2)),
        (2, 0.7, True, 5, True, True, (3, 2)),
        (2, 0.7, False, None, False, True, (4, 3)),
    )
]
ALL = MLPS + SUMS + CONVS + RNNS + TRANSFORMERS


def drawn_inputs(shape, vocabulary, examples=EXAMPLES):
    if vocabulary is None:
        return RNG.normal(size=(examples, *shape))
    return RNG.integers(0, vocabulary, size=(examples, *shape))


def drawn_params(network, *lead):
    """Every leaf normal, gains and biases too, so that none hides behind its start."""
    shapes = jax.eval_shape(network.init, jax.random.key(0))
    return jax.tree.map(lambda leaf: 0.5 * RNG.normal(size=(*lead, *leaf.shape)), shapes)


@pytest.mark.parametrize(("network", "slow", "shape", "vocabulary"), ALL)
def test_equals_the_slow_network(network, slow, shape, vocabulary):
    inputs, population = drawn_inputs(shape, vocabulary), drawn_params(network, 2)

    @jax.jit
    @jax.vmap
    def values_and_gradient(params):
        gradient = jax.grad(lambda p: (network.apply(p, inputs) ** 2).sum())(params)
        return network.apply(params, inputs), gradient

    with float64():
        values, gradient = jax.tree.map(np.asarray, values_and_gradient(population))
    assert values.dtype == np.float64
    for member in range(2):
        params = jax.tree.map(lambda leaf, m=member: leaf[m], population)
        expected = np.array([slow(params, x) for x in inputs])
        np.testing.assert_allclose(values[member], expected, rtol=1e-10, atol=1e-10)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))
    assert any((leaf != 0).any() for leaf in jax.tree.leaves(gradient))


@pytest.mark.parametrize(("network", "slow", "shape", "vocabulary"), MLPS)
def test_many_examples_are_columns_and_give_the_same(network, slow, shape, vocabulary):
    inputs, params = drawn_inputs(shape, vocabulary, COLUMNS + 3), drawn_params(network)
    with float64():
        values = np.asarray(jax.jit(network.apply)(params, inputs))
    np.testing.assert_allclose(values, [slow(params, x) for x in inputs], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("cell", ["elman", "gru", "lstm"])
def test_folding_the_step_equals_apply(cell):
    network = recurrent((4, 2), 3, vocabulary=3, per_position=True, cell=cell, width=4, layers=2)
    inputs, params = drawn_inputs((4, 2), 3), drawn_params(network)

    @jax.jit
    def folded(params):
        state, outputs = network.cell.initial_state(params, EXAMPLES), []
        for position in range(4):
            state, output = network.cell.step(params, state, inputs[:, position])
            outputs.append(output)
        return jnp.stack(outputs, axis=1), state

    with float64():
        values, state = folded(params)
        np.testing.assert_allclose(values, jax.jit(network.apply)(params, inputs), rtol=1e-12, atol=1e-13)
    assert len(state) == 2
    assert all(leaf.shape == (EXAMPLES, 4) for leaf in jax.tree.leaves(state))


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_recurrent_cells_are_those_of_equinox(cell):
    ours = recurrent((6, 3), 2, cell=cell, width=4)
    params, x = drawn_params(ours), RNG.normal(size=(6, 3))
    kind = {"gru": eqx.nn.GRUCell, "lstm": eqx.nn.LSTMCell}[cell]

    @jax.jit
    def theirs(params):
        layer, module = params["layers"][0], kind(3, 4, key=jax.random.key(1))
        own = [layer["input"].T, layer["hidden"].T, layer["bias"]]
        module = eqx.tree_at(lambda m: [m.weight_ih, m.weight_hh, m.bias], module, own)
        if cell == "gru":
            module = eqx.tree_at(lambda m: m.bias_n, module, layer["bias_new"])
        state = jnp.zeros(4) if cell == "gru" else (jnp.zeros(4), jnp.zeros(4))
        for position in x:
            state = module(position, state)
        hidden = state if cell == "gru" else state[0]
        return hidden @ params["readout"]["weight"] + params["readout"]["bias"]

    with float64():
        expected = theirs(params)
        np.testing.assert_allclose(jax.jit(ours.apply)(params, x[None])[0], expected, rtol=1e-12)


def test_float32_parameters_take_double_inputs_in_a_float64_block():
    """What was trained in single precision can be read inside a float64 block."""
    network = recurrent((4,), 2, width=3)
    params = jax.tree.map(np.float32, drawn_params(network))
    with float64():
        assert jax.eval_shape(network.apply, params, RNG.normal(size=(2, 4))).dtype == jnp.float32


def test_of_equal_maxima_the_first_has_the_gradient_and_nan_is_not_hidden():
    highest = POOLINGS["max"]
    gradient = jax.grad(lambda parts: highest(list(parts)))(jnp.array([1.0, 2.0, 2.0]))
    assert gradient.tolist() == [0.0, 1.0, 0.0]
    assert np.isnan(highest([1.0, np.nan])) and np.isnan(highest([np.nan, 1.0]))
