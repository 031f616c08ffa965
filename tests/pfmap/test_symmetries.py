import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from symmetry_groups import found_in, group, normal

from allroads import InputError, Network, float64
from allroads.networks.build import NETWORKS
from allroads.pfmap.symmetries import Element, symmetries
from allroads.pfmap.symmetries.canonical import canonical
from allroads.pfmap.symmetries.rules import RULES
from allroads.pfmap.symmetries.scales import balanced_scales


def built(kind, shape, outputs=3, **options):
    network = NETWORKS[kind](shape, outputs, **options)
    params = network.init(jax.random.key(0))
    if options.get("vocabulary"):
        inputs = np.random.default_rng(0).integers(0, options["vocabulary"], size=(5, *shape))
    else:
        inputs = normal(5, *shape)
    return network, params, inputs


BUILT_IN = [
    ("mlp", (4,), {"widths": (5, 6)}, {(5, (), 0, 1): 1, (6, (), 0, 1): 1}),
    ("mlp", (4,), {"widths": (5,), "activation": "tanh"}, {(5, (), 1, 0): 1}),
    ("mlp", (4,), {"widths": (5,), "activation": "gelu"}, {(5, (), 0, 0): 1}),
    ("mlp", (4,), {"widths": (5,), "activation": "sigmoid"}, {(5, (), 0, 0): 1}),
    ("mlp", (4,), {"widths": (5,), "activation": "silu"}, {(5, (), 0, 0): 1}),
    ("mlp", (4,), {"widths": (5,), "activation": "square"}, {(5, (), 1, 1): 1}),
    ("mlp", (4,), {"widths": (5,), "activation": "identity"}, {(5, (), 1, 1): 1}),
    ("mlp", (3,), {"widths": (5,), "vocabulary": 20, "per_position": True}, {(5, (), 0, 1): 1}),
    ("deep_linear", (4,), {"widths": (5, 7)}, {(5, (), 1, 1): 1, (7, (), 1, 1): 1}),
    ("convolutional", (8, 8), {"channels": (4, 6)}, {(4, (), 0, 1): 1, (6, (), 0, 1): 1}),
    ("embedding_sum", (2,), {"vocabulary": 7, "width": 8}, {(8, (), 0, 1): 1}),
    ("embedding_sum", (2,), {"vocabulary": 7, "width": 8, "embedding": 5}, {(5, (), 1, 1): 1, (8, (), 0, 1): 1}),
    ("embedding_sum", (2,), {"vocabulary": 7, "width": 8, "tied": True, "activation": "square"}, {(8, (), 1, 1): 1}),
    ("recurrent", (4,), {"cell": "elman", "width": 5, "layers": 2, "vocabulary": 3}, {(5, (), 1, 0): 2}),
    ("recurrent", (4,), {"cell": "elman", "width": 5, "activation": "relu"}, {(5, (), 0, 1): 1}),
    ("recurrent", (4,), {"cell": "gru", "width": 5, "layers": 2}, {(5, (), 1, 0): 2}),
    ("recurrent", (4,), {"cell": "lstm", "width": 5}, {(5, (), 1, 0): 1}),
    (
        "transformer",
        (4,),
        {"vocabulary": 20, "d_model": 12, "heads": 3, "d_mlp": 10},
        # the residual stream, the heads, inside each head query with key and value with output, the MLP
        {(12, (), 1, 1): 1, (3, (), 0, 0): 1, (4, (3,), 1, 1): 2, (10, (), 0, 1): 1},
    ),
    (
        "transformer",
        (4,),
        {"vocabulary": 20, "d_model": 12, "heads": 3, "d_mlp": 10, "layer_norm": True, "activation": "gelu"},
        # each of three layer norms has a gain and a shift that trade with the weights that read them
        {(12, (), 3, 3): 1, (3, (), 0, 0): 1, (4, (3,), 1, 1): 2, (10, (), 0, 0): 1},
    ),
]


@pytest.mark.parametrize(("kind", "shape", "options", "expected"), BUILT_IN)
def test_group_of_every_built_in_network(kind, shape, options, expected):
    found = symmetries(*built(kind, shape, **options))
    assert group(found) == expected
    assert found.error <= 1e-10 and found.refused == () and found.opaque == {}


def test_units_of_an_mlp_move_as_they_do_by_hand():
    network, params, inputs = built("mlp", (4,), widths=(5, 6), activation="tanh")
    found = symmetries(network, params, inputs)
    (k,) = (k for k in found.movable if found.units[k].size == 5)
    order, sign = np.array([2, 0, 4, 1, 3]), np.array([1.0, -1, -1, 1, -1])
    moved = found.act(Element({k: order}, {(k, 0): sign}), params)
    first, second, third = params["layers"]
    np.testing.assert_allclose(moved["layers"][0]["weight"], first["weight"][:, order] * sign)
    np.testing.assert_allclose(moved["layers"][0]["bias"], first["bias"][order] * sign)
    np.testing.assert_allclose(moved["layers"][1]["weight"], second["weight"][order] * sign[:, None])
    np.testing.assert_array_equal(moved["layers"][2]["weight"], third["weight"])


def test_units_of_an_lstm_move_in_all_gates_as_they_do_by_hand():
    network, params, inputs = built("recurrent", (4,), cell="lstm", width=3)
    found = symmetries(network, params, inputs)
    (k,) = found.movable
    order, sign = np.array([1, 2, 0]), np.array([-1.0, 1, -1])
    moved = found.act(Element({k: order}, {(k, 0): sign}), params)["layers"][0]
    layer, ones = params["layers"][0], np.ones(3)
    columns = np.concatenate([order + 3 * gate for gate in range(4)])
    new = np.concatenate([ones, ones, sign, ones])  # of input, forget, new and output gate only the third is odd
    np.testing.assert_allclose(moved["input"], layer["input"][:, columns] * new)
    np.testing.assert_allclose(moved["bias"], layer["bias"][columns] * new)
    np.testing.assert_allclose(moved["hidden"], layer["hidden"][order][:, columns] * new * sign[:, None])


def test_no_permutation_of_a_pinned_axis_is_a_symmetry_and_every_one_of_a_free_axis_is():
    network, params, inputs = built("mlp", (3,), widths=(3, 3), activation="gelu", bias="normal")
    found = symmetries(network, params, inputs)
    before = network.apply(params, inputs)

    def error(order, *axes):
        moved = jax.tree.map(jnp.asarray, params)
        for layer, name, axis in axes:
            moved["layers"][layer][name] = jnp.take(moved["layers"][layer][name], np.array(order), axis=axis)
        return float(jnp.abs(network.apply(moved, inputs) - before).max())

    # every set of parameter axes of size 3 that could be permuted together, by brute force
    axes = [(0, "weight", 0), (0, "weight", 1), (0, "bias", 0), (1, "weight", 0), (1, "weight", 1), (1, "bias", 0)]
    axes += [(2, "weight", 0), (2, "weight", 1), (2, "bias", 0)]
    kept = set()
    for size in range(1, 5):
        for chosen in itertools.combinations(axes, size):
            if all(error(order, *chosen) < 1e-6 for order in itertools.permutations(range(3))):
                kept.add(chosen)
    assert kept == {
        ((0, "weight", 1), (0, "bias", 0), (1, "weight", 0)),
        ((1, "weight", 1), (1, "bias", 0), (2, "weight", 0)),
    }
    assert group(found) == {(3, (), 0, 0): 2}
    assert set(found.pinned) == {"layers/0/weight:0", "layers/2/weight:1", "layers/2/bias:0"}
    assert found.pinned["layers/2/bias:0"] == ("outputs",)


def residual(p, x):
    """Two residual blocks with batch norm from stored statistics, and a shortcut that widens."""

    def conv(x, w, stride=1):
        return lax.conv_general_dilated(x, w, (stride, stride), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))

    def norm(x, n):
        return (x - n["mean"]) / jnp.sqrt(n["variance"] + 1e-5) * n["gain"] + n["shift"]

    x = jax.nn.relu(norm(conv(x, p["stem"]), p["n0"]))
    x = jax.nn.relu(x + norm(conv(jax.nn.relu(norm(conv(x, p["a"]), p["n1"])), p["b"]), p["n2"]))
    x = jax.nn.relu(conv(x, p["short"], 2) + conv(x, p["wide"], 2))
    x = jax.nn.relu(
        lax.conv_general_dilated(
            x, p["depthwise"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"), feature_group_count=7
        )
    )
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID").mean((1, 2)) @ p["out"]


def residual_params():
    def norm(n):
        return {"mean": normal(n), "variance": normal(n) ** 2 + 0.5, "gain": normal(n) + 2, "shift": normal(n)}

    return {
        "stem": normal(3, 3, 2, 5), "n0": norm(5), "a": normal(3, 3, 5, 4), "n1": norm(4), "b": normal(3, 3, 4, 5),
        "n2": norm(5), "short": normal(1, 1, 5, 7), "wide": normal(3, 3, 5, 7), "depthwise": normal(3, 3, 1, 7),
        "out": normal(7, 3),
    }  # fmt: skip


def test_convolutions_with_residuals_batch_norm_and_groups():
    found = found_in(residual, residual_params(), normal(2, 8, 8, 2))
    sizes = {found.units[k].name: (found.units[k].size, len(found.units[k].scales)) for k in found.movable}
    assert sorted(size for size, _ in sizes.values()) == [4, 5, 7]
    assert found.error <= 1e-10 and not found.refused and not found.opaque
    scales = {size: ways for size, ways in sizes.values()}
    # weights before a norm trade with its gain where mean and shift follow: once for each norm; and across the relu
    assert scales[4] == 2 and scales[7] == 2 and scales[5] == 3


def packed(p, x, heads=2):
    """Query, key and value from one matrix, split by a reshape."""
    x = x @ p["in"]
    q, k, v = jnp.moveaxis((x @ p["qkv"]).reshape(*x.shape[:2], 3, heads, -1), 2, 0)
    pattern = jax.nn.softmax(jnp.einsum("nqhd,nkhd->nhqk", q, k))
    return (x + jnp.einsum("nhqk,nkhd->nqhd", pattern, v).reshape(x.shape) @ p["p"]) @ p["out"]


def test_packed_attention_keeps_query_key_and_value_apart():
    params = {"in": normal(3, 8), "qkv": normal(8, 24), "p": normal(8, 8), "out": normal(8, 2)}
    found = found_in(packed, params, normal(2, 5, 3))
    assert group(found) == {(8, (), 1, 1): 1, (2, (), 0, 0): 1, (4, (2,), 1, 1): 2}


def test_heads_written_one_after_another_are_pinned_but_their_insides_are_not():
    def apply(p, x):
        x = x @ p["in"]
        q, k, v = (jnp.reshape(x @ p[w], (*x.shape[:2], 2, 4)) for w in "qkv")
        read = [jax.nn.softmax(q[:, :, h] @ k[:, :, h].swapaxes(1, 2)) @ v[:, :, h] for h in range(2)]
        return jnp.concatenate(read, axis=-1) @ p["out"]

    params = {"in": normal(3, 6), "q": normal(6, 8), "k": normal(6, 8), "v": normal(6, 8), "out": normal(8, 2)}
    assert group(found_in(apply, params, normal(2, 5, 3))) == {(6, (), 1, 1): 1, (4, (), 1, 1): 4}


def test_experts_can_be_exchanged_with_their_units_inside():
    def apply(p, x):
        hidden = jax.nn.relu(jnp.einsum("ni,eif->nef", x, p["up"]))
        return jnp.einsum("ne,nef,efo->no", jax.nn.softmax(x @ p["router"]), hidden, p["down"])

    params = {"up": normal(3, 4, 5), "down": normal(3, 5, 2), "router": normal(4, 3)}
    assert group(found_in(apply, params, normal(6, 4))) == {(3, (), 0, 0): 1, (5, (3,), 0, 1): 1}


def test_gated_units_while_loops_and_branches():
    def apply(p, x):
        h = jax.nn.silu(x @ p["gate"]) * (x @ p["up"])
        h = lax.fori_loop(0, 3, lambda _, h: jnp.tanh(h @ p["again"]) + h, h)
        return lax.cond(x.sum() > 0, lambda h: h @ p["out"], lambda h: 2 * h @ p["out"], h)

    params = {"gate": normal(3, 5), "up": normal(3, 5), "again": normal(5, 5), "out": normal(5, 2)}
    assert group(found_in(apply, params, normal(4, 3))) == {(5, (), 1, 0): 1}


def test_a_sum_over_units_leaves_them_their_order_alone():
    found = found_in(lambda p, x: jax.nn.relu(x @ p["w"]).sum(1, keepdims=True), {"w": normal(3, 5)}, normal(4, 3))
    assert group(found) == {(5, (), 0, 0): 1} and found.refused == ()


def test_bilinear_units_scale_in_two_ways():
    def apply(p, x):
        return ((x @ p["a"]) * (x @ p["b"])) @ p["out"]

    params = {"a": normal(3, 5), "b": normal(3, 5), "out": normal(5, 2)}
    assert group(found_in(apply, params, normal(4, 3))) == {(5, (), 2, 2): 1}


@pytest.mark.parametrize(
    ("operation", "reason"),
    [
        (lambda h: jnp.cumsum(h, axis=1), "cumsum"),
        (lambda h: jnp.flip(h, axis=1), "turned round"),
        (lambda h: h[:, ::2] + h[:, 1::2], "slice with steps"),
        (lambda h: jnp.sort(h, axis=1), "sorting"),
        (lambda h: h * jnp.arange(6.0), "a constant of the network"),
        (lambda h: jnp.argmax(h, axis=1)[:, None] * 1.0, "argmax"),
        (lambda h: lax.dynamic_slice(h, (0, h.sum().astype(int) % 2), (4, 4)), "depends on values"),
        (lambda h: h.at[:, jnp.array([4, 1])].add(jnp.ones(2)), "written at an index"),
    ],
)
def test_what_depends_on_the_index_pins_and_says_why(operation, reason):
    found = found_in(lambda p, x: operation(x @ p["w"]) * p["s"], {"w": normal(3, 6), "s": normal(1)}, normal(4, 3))
    assert all(found.units[k].size != 6 for k in found.movable)
    assert any(reason in why for why in found.pinned["w:1"]), found.pinned
    assert found.refused == (), "it must follow from the rule, not from the check"


def test_a_slice_pins_nothing_but_splits():
    def apply(p, x):
        h = x @ p["w"]
        return jax.nn.relu(h[:, :4]) @ p["a"] + jnp.tanh(h[:, 4:]) @ p["b"]

    params = {"w": normal(3, 6), "a": normal(4, 2), "b": normal(2, 2)}
    assert group(found_in(apply, params, normal(4, 3))) == {(4, (), 0, 1): 1, (2, (), 1, 0): 1}


@pytest.mark.parametrize(
    ("write", "scales"), [(lambda row, pad: row.set(pad), 1), (lambda row, pad: row.add(jnp.tanh(pad)), 0)]
)
def test_a_row_written_into_a_table_leaves_its_columns_free(write, scales):
    """As the row of an embedding that stands for padding; tanh is odd and not homogeneous."""

    def apply(p, x):
        return jnp.take(write(p["table"].at[np.array([2])], p["pad"]), x, axis=0) @ p["out"]

    found = found_in(apply, {"table": normal(7, 5), "pad": normal(5), "out": normal(5, 2)}, np.arange(7))
    assert group(found) == {(5, (), 1, scales): 1}
    assert found.opaque == {} and found.refused == ()
    assert "written at an index" in found.pinned["table:0"]


def test_primitives_without_a_rule_are_named_and_pin():
    def apply(p, x):
        return jnp.abs(jnp.fft.rfft(x @ p["w"], axis=1)) @ p["out"]

    found = found_in(apply, {"w": normal(3, 6), "out": normal(4, 2)}, normal(4, 3))
    assert found.movable == ()
    assert found.opaque == {"fft": ("w:1",)}
    assert "no rule for fft: pins w:1" in found.describe()


def test_what_the_derivation_gets_wrong_the_check_refuses(monkeypatch):
    monkeypatch.setitem(RULES, "cumsum", lambda constraints, equation, operands: [operands[0]])
    params = {"v": normal(3, 5), "w": normal(5, 6), "out": normal(6, 2)}
    found = found_in(lambda p, x: jnp.cumsum(jnp.tanh(x @ p["v"]) @ p["w"], axis=1) @ p["out"], params, normal(4, 3))
    assert found.refused == ("out:0",)
    assert group(found) == {(5, (), 1, 0): 1}
    assert found.error <= 1e-10 and "pinned: out:0" in found.describe()


def test_order_of_the_group():
    found = symmetries(*built("mlp", (4,), widths=(5, 3), activation="tanh"))
    assert 10**found.log10_order == pytest.approx(120 * 2**5 * 6 * 2**3)


@pytest.mark.parametrize(("kind", "shape", "options", "expected"), [BUILT_IN[k] for k in (0, 1, 14, 16)])
def test_canonical_form_is_one_for_all_points_of_an_orbit(kind, shape, options, expected):
    with float64():
        network, params, inputs = built(kind, shape, **options)
        params = jax.tree.map(lambda x: x + 0.1 * np.random.default_rng(x.size).normal(size=x.shape), params)
        found = symmetries(network, params, inputs)
        form = canonical(found, params)
        np.testing.assert_allclose(network.apply(form, inputs), network.apply(params, inputs), atol=1e-10)
        for seed in range(3):
            moved = found.act(found.random(np.random.default_rng(seed)), params)
            other = found.flatten(canonical(found, moved))
            np.testing.assert_allclose(other, found.flatten(form), atol=1e-9)
        assert np.abs(found.flatten(form) - found.flatten(params)).max() > 1e-3


def test_balanced_point_has_the_smallest_norm_of_its_orbit():
    network, params, inputs = built("mlp", (4,), widths=(5, 6))
    found = symmetries(network, params, inputs)
    flat, scales = balanced_scales(found, found.flatten(params))
    _, factor = found.gather(scales)
    np.testing.assert_allclose(factor * found.flatten(params), flat, rtol=1e-9)
    for seed in range(20):
        other = found.gather(found.random(np.random.default_rng(seed), spread=0.1))[1] * flat
        assert np.linalg.norm(other) > np.linalg.norm(flat)
    first, second, _ = (flat[block.index] for block in found.blocks if block.index.ndim == 2)
    bias = flat[found.blocks[0].index]
    np.testing.assert_allclose((first**2).sum(0) + bias**2, (second**2).sum(1), rtol=1e-9)


def test_bad_input_is_named():
    network, params, inputs = built("mlp", (4,), widths=(5,))
    with pytest.raises(InputError, match="got inputs of shape"):
        symmetries(network, params, normal(5, 3))
    with pytest.raises(InputError, match="at least one example"):
        symmetries(network, params, np.zeros((0, 4)))
    other = jax.tree.map(lambda x: x, params)
    other["layers"][0]["bias"] = jnp.full(5, jnp.nan)
    with pytest.raises(InputError, match="layers/0/bias is NaN"):
        symmetries(network, other, inputs)
    with pytest.raises(InputError, match="expected real numbers"):
        found_in(lambda p, x: x @ p["w"], {"w": np.ones((4, 2), int)}, inputs)
    found = symmetries(network, params, inputs)
    with pytest.raises(InputError, match="not of this architecture"):
        found.flatten(built("mlp", (4,), widths=(6,))[1])
    branching = Network(lambda key: None, lambda p, x: x @ p["w"] if (x @ p["w"]).sum() > 0 else x)
    with pytest.raises(InputError, match="cannot be traced"):
        symmetries(branching, {"w": normal(4, 4)}, inputs)
