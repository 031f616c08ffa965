"""Several inputs and several outputs through ``from_torch``, and modules that cannot be taken as they are."""

from __future__ import annotations

import jax
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch_modules_made_up import Apply  # noqa: E402
from torch_modules_sequences import Seq2Seq  # noqa: E402
from torch_modules_transformers import model  # noqa: E402

import allroads  # noqa: E402
from allroads import InputError, Problem, explore, llc, spectrum  # noqa: E402

torch.set_num_threads(1)

RNG = np.random.default_rng(0)
IDS, MASK = RNG.integers(0, 11, size=(6, 5)), np.ones((6, 5), int)
MASK[::2, 3:] = 0
U, V = RNG.normal(size=(40, 2)).astype("float32"), RNG.normal(size=(40, 1)).astype("float32")


class Sum(nn.Module):
    """Linear in both inputs; gives the sum and its parts."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(2, 1, bias=False), nn.Linear(1, 1, bias=False)

    def forward(self, u, v=None, *, scale=None):
        a, b = self.a(u), 0 if v is None else self.b(v)
        return a + b if scale is None else scale * (a + b), (a, b)


def first(n):
    return torch.tensor(U[:n]), torch.tensor(V[:n])


# ---- inputs ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "form",
    [
        lambda u, v: (u, v),
        lambda u, v: {"v": v, "u": u},
        lambda u, v: (u, {"v": v}),
        lambda u, v: [u, v],
    ],
)
def test_arguments_by_place_by_name_and_both(form):
    module = Sum()
    network, params = allroads.from_torch(module, form(*first(3)), output=0)
    expected = module(*first(7))[0].detach()
    np.testing.assert_allclose(network.apply(params, form(U[:7], V[:7])), expected, atol=1e-6)


def test_a_mapping_that_forward_takes_whole_is_one_argument():
    module = Apply(lambda s, batch: s.a(batch["x"]) * batch["y"][0], a=nn.Linear(4, 3))
    batch = {"x": torch.randn(2, 4), "y": (torch.randn(2, 1),)}
    network, params = allroads.from_torch(module, batch)
    found = network.apply(params, {"x": batch["x"].numpy(), "y": (batch["y"][0].numpy(),)})
    np.testing.assert_allclose(found, module(batch).detach(), atol=1e-6)


def test_inputs_of_another_form_are_refused():
    network, params = allroads.from_torch(Sum(), dict(zip("uv", first(3), strict=True)), output=0)
    for wrong, got in ((U, "one array"), ({"u": U}, "a mapping of u"), ((U, V), "2 inputs as a tuple")):
        with pytest.raises(InputError, match=f"expected a mapping of u, v, as in example_inputs; got {got}"):
            network.apply(params, wrong)
    with pytest.raises(InputError, match=r"inputs\['v'\] has shape \(40,\); expected 2 axes"):
        network.apply(params, {"u": U, "v": V[:, 0]})
    with pytest.raises(InputError, match=r"example_inputs\['scale'\] is float.*belong in the module"):
        allroads.from_torch(Sum(), {"u": first(3)[0], "scale": 2.0}, output=0)


class ByPlace(nn.Linear):
    """Looks its second input up, one place per example of the first."""

    def forward(self, x, table):
        return super().forward(x) * table[torch.arange(len(x))]


def test_a_table_among_the_inputs_is_as_long_as_its_places_ask_for():
    module = ByPlace(2, 1)
    network, params = allroads.from_torch(module, first(3))
    np.testing.assert_allclose(network.apply(params, (U, V)), module(*first(40)).detach(), atol=1e-6)
    with pytest.raises(InputError, match=r"example 5 holds the token 5; expected -5 … 4 \(a vocabulary of 5\)\.$"):
        network.apply(params, (U, V[:5]))  # an array that is read on its last row again would say nothing


# ---- outputs -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("output", [0, -2, lambda given: given[0]])
def test_an_output_by_place_or_function(output):
    module = Sum()
    network, params = allroads.from_torch(module, first(3), output=output)
    np.testing.assert_allclose(network.apply(params, (U, V)), module(*first(40))[0].detach(), atol=1e-6)


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (None, r"the module gives 0 \(\[3, 1\]\), 1 \(tuple\)\. Say which one"),
        (2, r"no output 2; it gives 0"),
        ("logits", r"no output 'logits'; it gives 0"),
        (1, r"the output 1 of the module is tuple.*0 \(\[3, 1\]\), 1 \(\[3, 1\]\).*lambda"),
        (lambda given: None, r"the function output=… gives NoneType"),
        (True, "output is bool"),
        (2.5, "output is float"),
        (lambda given: given["scores"], r"the function output=… gives no output, but TypeError.*gives 0 \(\[3, 1\]\)"),
        (lambda given: given[0].sum(), "the output is one number for the whole batch"),
    ],
)
def test_an_output_that_is_not_there(output, message):
    with pytest.raises(InputError, match=message):
        allroads.from_torch(Sum(), first(3), output=output)


# ---- through the rest --------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_linear_module_of_two_inputs_and_several_outputs_has_the_coefficient_of_a_regular_model():
    """A regular model of d parameters has λ = d/2; the Hessian of the mean square is 2 XᵀX/n."""
    module = Sum()
    network, _ = allroads.from_torch(module, dict(zip("uv", first(3), strict=True)), output=0)
    x = np.concatenate([U, V], 1).astype(float)
    labels = x @ np.array([1.0, -2.0, 0.5])[:, None] + RNG.normal(size=(40, 1))
    fitted = np.linalg.lstsq(x, labels, rcond=None)[0].ravel()
    problem = Problem(network, "mse", {"u": U, "v": V}, labels)
    point = {"a.weight": fitted[None, :2], "b.weight": fitted[None, 2:]}
    expected = np.sort(np.linalg.eigvalsh(2 * x.T @ x / 40))[::-1]
    np.testing.assert_allclose(spectrum(problem, point, top=3).eigenvalues, expected, rtol=1e-4)
    assert llc(problem, point, progress=False).value == pytest.approx(1.5, rel=0.05)
    module.load_state_dict(allroads.to_torch_state(problem.point(point), module))
    loss = float((module(torch.tensor(U), torch.tensor(V))[0].detach() - torch.tensor(labels)).square().mean())
    assert float(problem.mean(problem.point(point))) == pytest.approx(loss, rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["encoder and decoder", "transformers"])
def test_mappings_train_and_are_measured(kind):
    if kind == "transformers":
        module = model(
            "Bert", "ForSequenceClassification", vocab_size=11, hidden_size=8, intermediate_size=8, num_hidden_layers=1,
            num_attention_heads=2, max_position_embeddings=8, num_labels=3,
        )  # fmt: skip
        inputs, output = {"input_ids": IDS, "attention_mask": MASK}, None
        labels = np.arange(6) % 3
    else:
        module, inputs, output = Seq2Seq(), {"source": IDS % 7, "target": IDS[:, :3] % 7}, "scores"
        labels = IDS[:, 1:4] % 7
    examples = {name: torch.tensor(array[:2]) for name, array in inputs.items()}
    network, params = allroads.from_torch(module, examples, output=output)
    problem = Problem(network, "cross_entropy", inputs, labels)
    given = module(**{name: torch.tensor(array) for name, array in inputs.items()})
    scores = given[output or "logits"].detach().movedim(-1, 1)
    expected = float(nn.functional.cross_entropy(scores, torch.tensor(labels)))
    assert float(problem.mean(params)) == pytest.approx(expected, rel=1e-5)
    run = explore(problem, "adam", 1, steps=30, start=jax.tree.map(lambda leaf: leaf[None], params))
    assert run.curves["train_loss"][0, -1] < run.curves["train_loss"][0, 0] - 0.02
    if kind == "transformers":  # the sampler of one takes half a minute to compile
        return
    found = llc(problem, params, budget=5, progress=False)
    assert found.status.value == "not at a minimum" and np.isfinite(found.stats["examples"])


# ---- modules as people have them ---------------------------------------------------------------------------


def lazy():
    return nn.Sequential(nn.LazyLinear(2))


def sparse():
    module = nn.Linear(4, 2)
    module.weight = nn.Parameter(module.weight.detach().to_sparse())
    return module


def quantised():
    return torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(4, 2)))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.Linear(4, 2, device="meta"), "weight is on the meta device and has no values.*to_empty"),
        (lazy, r"0\.weight is lazy and has no shape yet\. Call the module once"),
        (sparse, r"weight is sparse\. Keep it dense"),
        (quantised, r"0 \(Linear\) is quantised"),
        (lambda: nn.Linear(4, 2).bfloat16(), r"weight is bfloat16.*module\.float\(\)"),
    ],
)
def test_modules_without_usable_weights(make, message):
    with pytest.raises(InputError, match=message):
        allroads.from_torch(make(), torch.zeros(3, 4))


def test_sparse_inputs_are_refused():
    with pytest.raises(InputError, match=r"example_inputs\[1\] is sparse; give example_inputs\[1\]\.to_dense"):
        allroads.from_torch(Sum(), (torch.zeros(3, 2), torch.ones(3, 1).to_sparse()))


def test_a_forward_that_writes_to_its_input_answers_as_in_pytorch_and_leaves_the_input():
    module = Apply(lambda s, x: s.a(x.mul_(2)) + x, a=nn.Linear(4, 4))
    x = torch.randn(3, 4)
    kept = x.clone()
    network, params = allroads.from_torch(module, x)
    assert torch.equal(x, kept)
    np.testing.assert_allclose(network.apply(params, kept.numpy()), module(kept.clone()).detach(), atol=1e-6)


def test_hooks_take_part():
    module = nn.Linear(4, 2)
    module.register_forward_pre_hook(lambda m, given: (given[0] + 1,))
    module.register_forward_hook(lambda m, given, answer: answer * 3)
    network, params = allroads.from_torch(module, torch.zeros(2, 4))
    x = torch.randn(3, 4)
    np.testing.assert_allclose(network.apply(params, x.numpy()), module(x).detach(), atol=1e-6)
