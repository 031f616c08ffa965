"""What surrounds the translation: new weights, weights back, batch sizes, bad input, imports."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402
from torch_modules_made_up import Apply  # noqa: E402

import allroads  # noqa: E402
from allroads.errors import InputError, NotDeterministicError, UnsupportedOperatorError  # noqa: E402

torch.set_num_threads(1)


def mlp():
    return nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))


# ---- new weights -------------------------------------------------------------------------------------------


def test_init_draws_what_reset_parameters_draws(seed):
    network, params = allroads.from_torch(mlp(), torch.zeros(3, 4))
    keys = jax.random.split(jax.random.key(seed), 200)
    drawn = jax.jit(jax.vmap(network.init))(keys)
    assert {k: v.shape[1:] for k, v in drawn.items()} == {k: v.shape for k, v in params.items()}
    weight = np.asarray(drawn["0.weight"])  # uniform in ±1/√fan_in, by nn.Linear's documentation
    assert 0.49 < np.abs(weight).max() <= 0.5
    assert abs(weight.var() - 1 / 12) < 0.002
    assert len({w.tobytes() for w in weight}) == 200
    alone = network.init(keys[7])
    assert all((alone[k] == drawn[k][7]).all() for k in drawn)


def test_init_leaves_pytorchs_generator_and_the_module_alone():
    module = mlp()
    network, params = allroads.from_torch(module, torch.zeros(3, 4))
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    jax.block_until_ready(network.init(jax.random.key(0)))
    assert torch.equal(torch.rand(3), expected)
    assert all(np.array_equal(p.detach(), params[n]) for n, p in module.named_parameters())


def test_init_of_a_transformer_follows_its_own_rules(seed):
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
    network, _ = allroads.from_torch(layer, torch.zeros(2, 3, 8))
    drawn = network.init(jax.random.key(seed))
    assert (drawn["norm1.weight"] == 1).all()
    assert (drawn["self_attn.in_proj_bias"] == 0).all()
    assert (drawn["self_attn.out_proj.bias"] == 0).all()
    bound = np.sqrt(6 / (8 + 24))  # Xavier, by nn.MultiheadAttention's documentation
    assert 0.9 * bound < np.abs(drawn["self_attn.in_proj_weight"]).max() <= bound


def test_init_of_gpt2_follows_its_configuration(seed):
    transformers = pytest.importorskip("transformers")
    config = transformers.GPT2Config(
        vocab_size=50, n_positions=8, n_embd=32, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0
    )
    network, params = allroads.from_torch(transformers.GPT2LMHeadModel(config).eval(), torch.zeros(2, 4).long())
    drawn = network.init(jax.random.key(seed))
    assert set(drawn) == set(params) and "lm_head.weight" not in params
    wte, projection = drawn["transformer.wte.weight"], drawn["transformer.h.0.attn.c_proj.weight"]
    assert not np.array_equal(wte, params["transformer.wte.weight"])
    assert np.std(wte) == pytest.approx(0.02, rel=0.1)
    assert np.std(projection) == pytest.approx(0.02 / 2, rel=0.1)  # 0.02 / √(2 layers · 2)


def test_parameters_that_nothing_draws_are_named_and_init_is_the_remedy():
    class Bare(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.gain = nn.Linear(3, 2), nn.Parameter(torch.ones(2))

        def forward(self, x):
            return self.layer(x) * self.gain

    network, params = allroads.from_torch(Bare(), torch.zeros(2, 3))
    with pytest.raises(InputError, match=r"reaches gain\..*init="):
        network.init(jax.random.key(0))
    own, _ = allroads.from_torch(Bare(), torch.zeros(2, 3), init=lambda key: params)
    assert own.init(jax.random.key(0)) is params


# ---- weights back ------------------------------------------------------------------------------------------


def test_state_goes_back_with_tied_names_and_buffers():
    module = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 4)).eval()
    module[2].weight = module[0].weight
    network, params = allroads.from_torch(module, torch.zeros(3, 4))
    assert list(params) == [name for name, _ in module.named_parameters()]
    assert "2.weight" not in params and "1.running_mean" not in params
    assert set(allroads.to_torch_state(params)) == set(params)
    moved = {name: p + 1 for name, p in params.items()}
    module.load_state_dict(allroads.to_torch_state(moved, module), strict=True)
    x = torch.randn(5, 4)
    np.testing.assert_allclose(network.apply(moved, x.numpy()), module(x).detach(), rtol=1e-5, atol=1e-5)


def test_state_of_another_module_is_refused():
    _, params = allroads.from_torch(mlp(), torch.zeros(3, 4))
    with pytest.raises(
        InputError, match=r"not the weights of this module.*0\.weight has shape \(16, 4\), expected \(5, 4\)"
    ):
        allroads.to_torch_state(params, nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2)))


def test_the_network_does_not_follow_the_module():
    module = mlp()
    x = np.ones((2, 4), np.float32)
    network, params = allroads.from_torch(module, torch.zeros(3, 4))
    before = network.apply(params, x)
    with torch.no_grad():
        module[0].weight.fill_(7.0)
    assert np.array_equal(network.apply(params, x), before)
    assert module.training and all(p.requires_grad for p in module.parameters())


# ---- shapes and precisions ---------------------------------------------------------------------------------


def test_a_branch_on_the_batch_size_is_followed():
    module = Apply(lambda s, x: s.a(x) if x.shape[0] > 3 else s.a(x) * 2, a=nn.Linear(4, 2))
    network, params = allroads.from_torch(module, torch.zeros(2, 4))
    for n in (2, 1, 3, 4, 6):
        x = torch.randn(n, 4)
        np.testing.assert_allclose(network.apply(params, x.numpy()), module(x).detach(), rtol=1e-5, atol=1e-6)


def test_one_export_serves_every_batch_size_but_one(monkeypatch):
    from allroads.networks.torch import export

    made = []
    original = export._export
    monkeypatch.setattr(export, "_export", lambda *args: made.append(1) or original(*args))
    network, params = allroads.from_torch(mlp(), torch.zeros(3, 4))
    for n in (2, 5, 7):
        network.apply(params, np.zeros((n, 4), np.float32))
    assert len(made) == 1


def test_sequence_first_layers_take_other_batch_sizes_and_lengths():
    module = nn.LSTM(3, 4)
    network, params = allroads.from_torch(module, torch.zeros(5, 2, 3), output=0)
    for shape in ((5, 2, 3), (5, 1, 3), (7, 4, 3)):
        x = torch.randn(shape)
        np.testing.assert_allclose(network.apply(params, x.numpy()), module(x)[0].detach(), rtol=1e-5, atol=1e-6)


def test_precision_follows_the_parameters():
    network, params = allroads.from_torch(mlp(), torch.zeros(3, 4))
    with allroads.float64():
        double = {name: jnp.asarray(p, jnp.float64) for name, p in params.items()}
        x = np.random.default_rng(0).normal(size=(3, 4))
        answer = network.apply(double, x)
        w1, b1, w2, b2 = (np.asarray(p) for p in double.values())
        np.testing.assert_allclose(answer, np.maximum(x @ w1.T + b1, 0) @ w2.T + b2, rtol=1e-14)


def test_example_inputs_may_be_numpy_and_of_another_precision():
    network, params = allroads.from_torch(mlp(), np.zeros((3, 4)))
    assert network.apply(params, np.zeros((3, 4))).dtype == jnp.float32


def test_a_model_that_computes_partly_in_single_precision():
    transformers = pytest.importorskip("transformers")
    config = transformers.LlamaConfig(
        vocab_size=11,
        hidden_size=8,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=8,
        bos_token_id=0,
        eos_token_id=0,
    )
    module = transformers.LlamaForCausalLM(config).eval()
    ids = torch.arange(12).reshape(2, 6) % 11
    network, params = allroads.from_torch(module, ids)
    np.testing.assert_allclose(network.apply(params, ids.numpy()), module(ids).logits.detach(), rtol=1e-5, atol=1e-6)


def test_an_operator_without_a_rule_is_taken_apart():
    module = Apply(lambda s, x: F.huber_loss(s.a(x), x, reduction="none"), a=nn.Linear(4, 4))
    network, params = allroads.from_torch(module, torch.zeros(3, 4))
    x = torch.randn(5, 4)
    np.testing.assert_allclose(network.apply(params, x.numpy()), module(x).detach(), rtol=1e-5, atol=1e-6)


# ---- bad input ---------------------------------------------------------------------------------------------


def test_an_unknown_operator_is_named_with_its_line():
    module = Apply(lambda s, x: helper(s.a(x)), a=nn.Linear(4, 4))

    def helper(h):
        return torch.linalg.svdvals(h[:, :2, None] + h[:, None, :2])  # here

    line = next(n for n, text in enumerate(Path(__file__).read_text().splitlines(), 1) if text.endswith("# here"))
    with pytest.raises(UnsupportedOperatorError, match=rf"torch_bridge.py, line {line}, in helper.*aten\.linalg_svd"):
        allroads.from_torch(module, torch.randn(3, 4))


@pytest.mark.parametrize(
    ("module", "named"),
    [
        (lambda: nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5)), r"1 \(Dropout\)"),
        (lambda: nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.BatchNorm1d(4))), r"1\.0 \(BatchNorm1d\)"),
        (lambda: nn.Sequential(nn.BatchNorm1d(4, track_running_stats=False)).eval(), r"0 \(BatchNorm1d\)"),
        (lambda: Apply(lambda s, x: s.r(x[:, None])[0], r=nn.GRU(4, 4, 2, dropout=0.5)), r"r \(GRU\)"),
    ],
)
def test_modules_that_answer_in_two_ways_are_refused(module, named):
    with pytest.raises(NotDeterministicError, match=rf"{named}.*module\.eval\(\)"):
        allroads.from_torch(module(), torch.randn(3, 4))


def test_random_numbers_and_changing_state_in_forward_are_refused():
    with pytest.raises(NotDeterministicError, match="two answers"):
        allroads.from_torch(Apply(lambda s, x: x + torch.rand(4)), torch.randn(3, 4))
    counter = nn.Linear(4, 4)
    counter.register_buffer("seen", torch.zeros(()))
    module = Apply(lambda s, x: s.a(x) + 0 * s.a.seen.add_(1), a=counter)
    with pytest.raises(NotDeterministicError, match=r"changes its buffers \(a\.seen\)"):
        allroads.from_torch(module, torch.randn(3, 4))


def test_functional_dropout_that_a_probe_may_miss_is_refused():
    module = Apply(lambda s, x: F.dropout(s.a(x), 1e-9, training=True), a=nn.Linear(4, 4))
    with pytest.raises(NotDeterministicError, match="dropout is switched on"):
        allroads.from_torch(module, torch.randn(3, 4))


def branch(self, x):
    if x.sum() > 0:  # a value decides
        return self.a(x)
    return -self.a(x)


def test_a_shape_that_depends_on_values_is_refused():
    module = Apply(lambda s, x: s.a(x)[x > 0].sum().reshape(1, 1), a=nn.Linear(4, 4))
    with pytest.raises(UnsupportedOperatorError, match=r"aten\.index\.Tensor gives a shape .* depends on values"):
        allroads.from_torch(module, torch.randn(3, 4))


def test_control_flow_on_values_is_refused_with_its_line(capfd):
    line = next(n for n, text in enumerate(Path(__file__).read_text().splitlines(), 1) if "# a value" in text)
    with pytest.raises(InputError, match=rf"depends on values, at .*{Path(__file__).name}, line {line}.*torch\.where"):
        allroads.from_torch(Apply(branch, a=nn.Linear(4, 4)), torch.randn(3, 4))


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (torch.zeros(3, 5), r"does not take the example inputs \(\(3, 5\) float32\).*one batch"),
        ((torch.zeros(3, 4), torch.zeros(3, 4)), "does not take the example inputs"),
        ("text", "example_inputs is str"),
        ((), "example_inputs is empty"),
        (torch.zeros(0, 4), r"is empty \(shape \(0, 4\)\)"),
    ],
)
def test_wrong_example_inputs(inputs, message):
    with pytest.raises(InputError, match=message):
        allroads.from_torch(mlp(), inputs)


def test_wrong_modules():
    with pytest.raises(InputError, match=r"expected a torch\.nn\.Module, got function"):
        allroads.from_torch(mlp, torch.zeros(3, 4))
    with pytest.raises(InputError, match=r"0\.weight is float64.*allroads\.float64"):
        allroads.from_torch(mlp().double(), torch.zeros(3, 4))
    with pytest.raises(InputError, match="the module gives int, expected a tensor"):
        allroads.from_torch(Apply(lambda s, x: 3), torch.zeros(3, 4))


def test_wrong_calls():
    module = nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 2))
    network, params = allroads.from_torch(module, torch.zeros(3, 2).long())
    with pytest.raises(InputError, match="expected integers"):
        network.apply(params, np.zeros((3, 2)))
    with pytest.raises(InputError, match="expected 2 axes"):
        network.apply(params, np.zeros(3, int))
    with pytest.raises(InputError, match="expected one array, as in example_inputs; got 2 inputs"):
        network.apply(params, (np.zeros((3, 2), int),) * 2)
    with pytest.raises(InputError, match=r"Missing: 1\.bias"):
        network.apply({k: v for k, v in params.items() if k != "1.bias"}, np.zeros((3, 2), int))
    with pytest.raises(InputError, match=r"1\.bias has shape \(1, 2\), expected \(2,\)"):
        network.apply({**params, "1.bias": params["1.bias"][None]}, np.zeros((3, 2), int))


def test_without_pytorch_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    for call in (lambda: allroads.from_torch(None, None), lambda: allroads.to_torch_state({})):
        with pytest.raises(InputError, match=r"pip install 'allroads\[torch\]'"):
            call()


# ---- imports -----------------------------------------------------------------------------------------------


def test_only_the_bridge_imports_pytorch():
    source = Path(allroads.__file__).parent
    bridge = source / "networks" / "torch"

    def imported(path):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from (alias.name.split(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                yield (node.module or "").split(".")[0]

    files = [f for f in source.rglob("*.py") if bridge not in f.parents]
    assert files and not [f for f in files if "torch" in imported(f)]


def test_importing_allroads_imports_neither_jax_nor_torch():
    code = "import sys, allroads; print([m for m in ('jax', 'torch') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
    code = "import sys; from allroads import from_torch, to_torch_state; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"
