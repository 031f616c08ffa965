"""``from_torch`` against PyTorch itself: outputs, gradients, populations, on modules of every usual kind."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torch_modules_made_up  # noqa: E402
import torch_modules_operators  # noqa: E402
from torch_modules_made_up import make  # noqa: E402

import allroads  # noqa: E402

torch.set_num_threads(1)

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN:UserWarning")

TABLE = torch_modules_made_up.TABLE | torch_modules_operators.TABLE
BATCHES = (3, 1, 5)  # the first is the example's


@pytest.fixture(autouse=True, scope="module")
def quick_compilation():
    """Hundreds of small programs, each run once: compile them quickly rather than well."""
    before = jax.config.values["jax_disable_most_optimizations"]
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", before)


def as_numpy(inputs, dtype):
    def cast(t):
        return t.numpy().astype(dtype) if t.is_floating_point() else t.numpy()

    return tuple(map(cast, inputs)) if isinstance(inputs, tuple) else cast(inputs)


def ask(module, inputs, output):
    out = module(*inputs) if isinstance(inputs, tuple) else module(inputs)
    if output is not None:
        return out[output]
    return out if isinstance(out, torch.Tensor) else out.logits


def distance(ours, theirs):
    """Largest difference, in units of the largest entry."""
    theirs = theirs.detach().numpy()
    assert ours.shape == theirs.shape
    scale = np.abs(theirs).max(initial=0.0)
    return np.abs(np.asarray(ours) - theirs).max(initial=0.0) / (scale or 1.0)


def weighted_sum(outputs, asarray):
    """A scalar that every output matters to, differently."""
    weights = np.cos(np.arange(int(np.prod(outputs.shape)))).reshape(outputs.shape)
    return (outputs * asarray(weights)).sum()


QUICK = {name for name in list(TABLE)[::4] if not name.startswith("grid sample")}
"""Every fourth module, and none of those that take longest to export, stand for all in `make test`."""

EVERY = [pytest.param(name, marks=[pytest.mark.slow] * (name not in QUICK)) for name in TABLE]


@pytest.mark.parametrize("name", EVERY)
def test_answers_and_gradients_are_those_of_pytorch(name):
    module, inputs, output = make(name, TABLE)
    own = dict(module.named_parameters())
    with allroads.float64():
        network, params = allroads.from_torch(module, inputs(BATCHES[0]), output=output)
        shapes = {key: (p.shape, p.dtype) for key, p in params.items()}
        assert shapes == {key: (tuple(p.shape), np.float64) for key, p in own.items()}

        worst = max(
            distance(network.apply(params, as_numpy(inputs(n), np.float64)), ask(module, inputs(n), output))
            for n in BATCHES
        )
        assert worst <= 1e-10

        x = inputs(BATCHES[0])
        weighted_sum(ask(module, x, output), torch.from_numpy).backward()
        theirs = {k: np.zeros(p.shape) if p.grad is None else p.grad.numpy() for k, p in own.items()}
        scalar = lambda p: weighted_sum(network.apply(p, as_numpy(x, np.float64)), jnp.asarray)  # noqa: E731
        ours = jax.jit(jax.grad(scalar))(params)
        largest = max(np.abs(g).max() for g in theirs.values())
        errors = [np.abs(ours[k] - g).max() / (np.abs(g).max() + 1e-5 * largest) for k, g in theirs.items()]
        assert max(errors) <= 1e-8


@pytest.mark.parametrize("name", EVERY)
def test_a_population_in_single_precision_and_its_weights_given_back(name):
    module, inputs, output = make(name, TABLE)
    module = module.float()
    network, params = allroads.from_torch(module, inputs(BATCHES[0]), output=output)
    assert {p.dtype for p in params.values()} == {jnp.dtype("float32")}
    x = inputs(2)
    other = {key: p * (1 + 0.2 * jnp.cos(jnp.arange(p.size)).reshape(p.shape)) for key, p in params.items()}
    members = jax.tree.map(lambda *leaves: jnp.stack(leaves), params, other)
    outputs = jax.vmap(network.apply, (0, None))(members, as_numpy(x, np.float32))
    for values, member in zip(outputs, (params, other), strict=True):
        module.load_state_dict(allroads.to_torch_state(member, module), strict=True)
        answer = ask(module.double(), x, output)  # the exact answer of single-precision weights
        assert distance(values, answer) <= 1e-5
        module.float()
