"""What people hand to ``from_torch``: state dicts, tokens, wrapped modules, half precision, bare parameters."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn.utils import rnn  # noqa: E402
from torch_modules_made_up import Apply  # noqa: E402

import allroads  # noqa: E402
from allroads.errors import InputError, NotDeterministicError, UnknownNameError  # noqa: E402
from allroads.files.weights import fill_module  # noqa: E402
from allroads.networks.build import build  # noqa: E402
from allroads.networks.torch.names import match_names  # noqa: E402
from allroads.pfmap.arrays import as_array, as_point, as_population  # noqa: E402

torch.set_num_threads(1)


def tied():
    """A batch norm, and a weight that goes by two names."""
    module = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 4)).eval()
    module[2].weight = module[0].weight
    return module


def wrapped(kind):
    module = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    if kind == "part":
        return nn.Sequential(torch.compile(module), nn.Linear(4, 2)), "0.0.weight"
    return {"compile": torch.compile, "parallel": nn.DataParallel, "both": lambda m: nn.DataParallel(torch.compile(m))}[
        kind
    ](module), "0.weight"


# ---- points ------------------------------------------------------------------------------------------------


def test_a_state_dict_is_a_point_with_its_buffers_and_tied_names():
    module = tied()
    network, params = allroads.from_torch(module, torch.zeros(3, 4))
    point = as_point(module.state_dict(keep_vars=True), network=network)
    assert point.keys() == params.keys() and type(point) is dict
    assert all(isinstance(p, jax.Array) and np.array_equal(p, params[n]) for n, p in point.items())
    x = np.ones((2, 4), "float32")
    assert np.array_equal(network.apply(module.state_dict(), x), network.apply(params, x))
    assert as_point(module, network=network).keys() == params.keys()


def test_a_state_dict_that_says_something_else_is_refused():
    module = tied()
    network, _ = allroads.from_torch(module, torch.zeros(3, 4))
    state = module.state_dict()
    with pytest.raises(InputError, match=r"buffer 1\.running_mean of this point.*running_statistics"):
        as_point(state | {"1.running_mean": torch.ones(4)}, network=network)
    as_point(state | {"1.num_batches_tracked": torch.tensor(7)}, network=network)  # nothing computes with it
    with pytest.raises(InputError, match=r"2\.weight and 0\.weight are one parameter"):
        as_point(state | {"2.weight": torch.ones(4, 4)}, network=network)
    with pytest.raises(InputError, match=r"not the network's parameters.*Unknown: 3\.weight"):
        network.apply(state | {"3.weight": torch.ones(4)}, np.zeros((1, 4)))


def test_state_dicts_are_a_population():
    module = tied()
    network, params = allroads.from_torch(module, torch.zeros(3, 4))
    population = as_population([module.state_dict()] * 3, network)
    assert {n: p.shape for n, p in population.items()} == {n: (3, *p.shape) for n, p in params.items()}
    with pytest.raises(InputError, match="at least one point"):
        as_population([])
    with pytest.raises(InputError, match="point 1 is"):
        as_population([{"w": np.zeros(2)}, {"w": np.zeros(3)}])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64", "int64", "bool", "complex64"])
def test_tensors_of_every_kind_become_arrays(dtype):
    tensor = torch.tensor([0.0, 1.0, 2.5]).to(getattr(torch, dtype))
    array = as_array(tensor.requires_grad_() if tensor.is_floating_point() else tensor)
    assert as_array(tensor).dtype == jnp.dtype("float32" if "float16" in dtype else dtype)
    np.testing.assert_array_equal(np.asarray(array, complex), tensor.detach().to(torch.complex128))
    if "float" in dtype:
        assert as_point([tensor])[0].dtype == jnp.float32
        with allroads.float64():
            assert as_point([tensor])[0].dtype == jnp.float64
    else:
        with pytest.raises(InputError, match="not a floating-point array"):
            as_point([tensor])


def test_what_is_no_array_is_named():
    with pytest.raises(InputError, match=r"floating-point array|is no array"):
        as_point({"layer": ["text"]})


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
@pytest.mark.parametrize("kind", ["compile", "parallel", "both", "part"])
def test_wrappers_leave_no_prefix_and_their_state_dicts_are_understood(kind):
    module, first = wrapped(kind)
    network, params = allroads.from_torch(module, torch.zeros(3, 4))
    assert first in params and not any("module" in n or "_orig_mod" in n for n in params)
    x = np.ones((2, 4), "float32")
    assert np.array_equal(network.apply(module.state_dict(), x), network.apply(params, x))
    moved = {n: p + 1 for n, p in params.items()}
    module.load_state_dict(allroads.to_torch_state(moved, module), strict=True)
    assert np.array_equal(as_point(module, network=network)[first], moved[first])
    plain = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    if kind != "part":
        fill_module(plain, {n: t.numpy() for n, t in module.state_dict().items()}, "a file")
        assert np.array_equal(plain[0].weight.detach(), moved["0.weight"])


def test_a_part_that_is_called_module_keeps_its_name():
    assert match_names(["module.w"], ["module.w", "w"]) == {"module.w": "module.w"}
    assert match_names(["module.module.w"], ["module.w"]) == {"module.module.w": "module.w"}


def test_weights_without_a_batch_norms_counter_are_read():
    module = tied()
    arrays = {n: t.numpy() + 1 for n, t in module.state_dict().items() if "tracked" not in n and n != "2.weight"}
    fill_module(module, arrays, "a file")
    assert np.array_equal(module[1].running_var, arrays["1.running_var"])


# ---- new weights -------------------------------------------------------------------------------------------


class Bare(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.gain, self.w = nn.Linear(4, 4), nn.Parameter(torch.ones(4)), nn.Parameter(torch.empty(40, 50))
        nn.init.normal_(self.w, 3.0, 0.2)

    def forward(self, x):
        return self.layer(x) * self.gain + self.w.mean()


def test_bare_parameters_are_drawn_by_their_moments():
    torch.manual_seed(0)
    network, params = allroads.from_torch(Bare(), torch.zeros(2, 4), init="match_moments")
    drawn = jax.jit(jax.vmap(network.init))(jax.random.split(jax.random.key(0), 5))
    assert (drawn["gain"] == 1).all()  # equal entries stay
    # 10,000 draws: five standard errors of a mean, and of a standard deviation
    assert abs(drawn["w"].mean() - params["w"].mean()) < 5 * 0.2 / 100
    assert abs(drawn["w"].std() - params["w"].std()) < 5 * 0.2 / np.sqrt(20_000)
    assert np.abs(drawn["layer.weight"]).max() <= 0.5 and len({w.tobytes() for w in np.asarray(drawn["w"])}) == 5


def test_without_a_rule_bare_parameters_are_named_with_both_remedies():
    network, _ = allroads.from_torch(Bare(), torch.zeros(2, 4))
    with pytest.raises(InputError, match=r'reaches gain, w\..*init="match_moments".*init=lambda key'):
        network.init(jax.random.key(0))
    with pytest.raises(UnknownNameError, match="did you mean 'match_moments'"):
        allroads.from_torch(Bare(), torch.zeros(2, 4), init="match_moment")


# ---- tokens ------------------------------------------------------------------------------------------------


def padded(self, ids):
    """Places that are computed: an offset, a table in a buffer, a write in place."""
    ids = self.order[ids] + 1
    ids[:, 0] = 0
    return self.embed(ids)


def embedded(function=None):
    if function is None:
        return nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 2))
    module = Apply(function, embed=nn.Embedding(6, 3))
    module.register_buffer("order", torch.tensor([4, 3, 2, 1, 0]))
    return module


@pytest.mark.parametrize("token", [-1, 5, 9])
def test_a_token_outside_the_embedding_is_an_error_wherever_inputs_have_values(token):
    network, params = allroads.from_torch(embedded(), torch.zeros(2, 4).long())
    ids = np.zeros((3, 4), int)
    network.check(ids)
    ids[2, 1] = token
    calls = [
        network.check,
        lambda ids: network.apply(params, ids),
        lambda ids: network.apply(params, torch.from_numpy(ids)),
        lambda ids: jax.jit(lambda p: network.apply(p, ids))(params),
        lambda ids: jax.vmap(network.apply, (0, None))(as_population([params] * 2), ids),
    ]
    for call in calls:
        with pytest.raises(InputError, match=rf"example 2 holds the token {token}; expected 0 … 4"):
            call(ids)
    jax.jit(network.apply)(params, ids)  # a tracer has no values yet


def test_computed_places_are_checked_and_negative_ones_count_from_the_end_where_pytorch_does():
    network, params = allroads.from_torch(embedded(padded), torch.zeros(2, 4).long())
    ids = np.array([[0, 1, 2, 3], [4, 0, -1, -5]])
    np.testing.assert_allclose(
        network.apply(params, ids), params["embed.weight"][np.array([[0, 4, 3, 2], [0, 5, 1, 5]])], rtol=1e-6
    )
    for token in (5, -6):
        with pytest.raises(InputError, match=rf"padded.*example 1 holds the token {token}; expected -5 … 4"):
            network.check(np.where(ids == -5, token, ids))


def test_places_that_depend_on_weights_are_left_to_the_network():
    module = Apply(
        lambda s, x: s.embed((s.layer(x) > 0).long().sum(1)), embed=nn.Embedding(5, 2), layer=nn.Linear(3, 4)
    )
    network, _ = allroads.from_torch(module, torch.zeros(2, 3))
    network.check(np.ones((4, 3), "float32"))


@pytest.mark.parametrize("kind", ["mlp", "deep_linear", "recurrent", "transformer", "embedding_sum"])
def test_built_in_networks_refuse_tokens_outside_their_vocabulary(kind):
    from types import SimpleNamespace

    interface = SimpleNamespace(input_shape=(3,), outputs=2, vocabulary=5, per_position=False)
    options = {"transformer": {"d_model": 8, "d_mlp": 8}}.get(kind, {})
    network = build(kind, interface, **options)
    params = network.init(jax.random.key(0))
    network.check([[0, 1, 4]])
    for token in (-1, 9):
        for call in (network.check, lambda ids: network.apply(params, ids)):
            with pytest.raises(InputError, match=rf"example 1 holds the token {token}; .*vocabulary of 5"):
                call(np.array([[0, 1, 4], [0, token, 0]]))


# ---- modules that need a word ------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_refused_with_the_remedy(dtype):
    module = nn.Sequential(nn.Linear(4, 2)).to(dtype)
    with pytest.raises(InputError, match=r"0\.weight is b?float16.*module\.float\(\)"):
        allroads.from_torch(module, torch.zeros(3, 4))
    exact = module.state_dict()["0.weight"].double()
    network, params = allroads.from_torch(module.float(), torch.zeros(3, 4))
    assert np.array_equal(params["0.weight"], exact)
    assert network.apply(as_point(module.to(dtype), network=network), np.ones((1, 4))).dtype == jnp.float32


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning", "ignore:.*weight_norm.*:FutureWarning")
def test_scripts_and_packed_sequences_are_refused_by_name():
    for script in (torch.jit.script, lambda m: torch.jit.trace(m, torch.zeros(3, 4))):
        with pytest.raises(InputError, match=r"0 is scripted or traced.*load_state_dict"):
            allroads.from_torch(nn.Sequential(script(nn.Linear(4, 4))), torch.zeros(3, 4))

    def packing(self, x, *lengths):
        packed = rnn.pack_padded_sequence(x, lengths[0] if lengths else torch.tensor([4, 3, 2]), True)
        return rnn.pad_packed_sequence(self.layer(packed)[0], True)[0]

    for kind in (nn.LSTM, nn.GRU, nn.RNN):
        with pytest.raises(InputError, match=r"packed sequences.*padded batch"):
            allroads.from_torch(Apply(packing, layer=kind(3, 4, batch_first=True)), torch.zeros(3, 4, 3))
    with pytest.raises(InputError, match=r"packed sequences.*padded batch"):
        module = Apply(packing, layer=nn.GRU(3, 4, batch_first=True))
        allroads.from_torch(module, (torch.zeros(3, 4, 3), torch.tensor([4, 3, 2])))
    with pytest.raises(InputError, match=r"PackedSequence.*padded batch"):
        allroads.from_torch(nn.GRU(3, 4), rnn.pack_sequence([torch.zeros(2, 3)]))


def test_layers_that_draw_in_training_are_named():
    with pytest.raises(NotDeterministicError, match=r"1 \(RReLU\).*module\.eval\(\)"):
        allroads.from_torch(nn.Sequential(nn.Linear(4, 4), nn.RReLU()), torch.randn(3, 4))


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
@pytest.mark.parametrize("norm", [nn.utils.weight_norm, nn.utils.spectral_norm])
def test_old_style_norms_are_taken_and_keep_their_names(norm):
    module = nn.Sequential(norm(nn.Linear(4, 3)), nn.Tanh()).eval()
    x = torch.randn(5, 4)
    expected = module(x).detach()
    network, params = allroads.from_torch(module, torch.zeros(3, 4))
    np.testing.assert_allclose(network.apply(params, x.numpy()), expected, rtol=1e-5, atol=1e-6)
    assert params.keys() == dict(module.named_parameters()).keys()
    module.load_state_dict(allroads.to_torch_state({n: 2 * p for n, p in params.items()}, module), strict=True)
    moved = network.apply({n: 2 * p for n, p in params.items()}, x.numpy())
    np.testing.assert_allclose(moved, module(x).detach(), rtol=1e-5, atol=1e-6)


def test_an_active_largest_norm_is_a_projection_with_its_derivative():
    module = nn.Embedding(2, 2, max_norm=1.0)
    module.weight.data = torch.tensor([[3.0, 4.0], [0.3, 0.4]])
    network, params = allroads.from_torch(module, torch.tensor([0, 1]))
    ids = np.array([0, 1])
    np.testing.assert_allclose(network.apply(params, ids), [[0.6, 0.8], [0.3, 0.4]], rtol=1e-6)
    assert torch.equal(module.weight, torch.tensor([[3.0, 4.0], [0.3, 0.4]]))  # the module is left as it was
    jacobian = jax.jacobian(lambda p: network.apply(p, ids))(params)["weight"]
    radial = np.array([0.6, 0.8])
    np.testing.assert_allclose(jacobian[0, :, 0], (np.eye(2) - np.outer(radial, radial)) / 5, atol=1e-6)
    np.testing.assert_allclose(jacobian[1, :, 1], np.eye(2), atol=1e-6)


def test_complex_buffers_are_constants_and_complex_parameters_are_refused():
    module = Apply(lambda s, x: torch.view_as_real(torch.view_as_complex(s.layer(x).unflatten(1, (2, 2))) * s.turn))
    module.layer = nn.Linear(4, 4)
    module.register_buffer("turn", torch.polar(torch.ones(2), torch.tensor([0.5, 1.0])))
    network, params = allroads.from_torch(module, torch.zeros(3, 4))
    x = torch.randn(5, 4)
    np.testing.assert_allclose(network.apply(params, x.numpy()), module(x).detach(), rtol=1e-5, atol=1e-6)
    module.turn = nn.Parameter(module._buffers.pop("turn"))
    with pytest.raises(InputError, match=r"parameter turn is complex.*view_as_complex"):
        allroads.from_torch(module, torch.zeros(3, 4))
