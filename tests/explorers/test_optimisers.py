"""Each explorer against an independent implementation of the same rule, step for step, in double precision."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from allroads import Network, Problem, explore, float64
from allroads.explorers.build import build_explorer
from allroads.explorers.recording import Recording

RNG = np.random.default_rng(1)
X = RNG.normal(size=(20, 4))
Y = RNG.normal(size=(20, 3))
START = {"a": RNG.normal(size=(4, 6)), "b": RNG.normal(size=6), "c": RNG.normal(size=(6, 3))}
NETWORK = Network(lambda key: jax.tree.map(jnp.asarray, START), lambda p, x: jnp.tanh(x @ p["a"] + p["b"]) @ p["c"])
STEPS = 100


def ours(kind, **options):
    with float64():
        start = jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], START)
        explorer = build_explorer(kind, **options)
        record = Recording(records=STEPS + 1, checkpoints=STEPS + 1)
        run = explore(Problem(NETWORK, "mse", X, Y), explorer, 1, steps=STEPS, record=record, start=start)
        return {name: leaf[0] for name, leaf in run.params.items()}


@pytest.mark.parametrize(
    ("kind", "options", "torch_name", "torch_options"),
    [
        ("gd", {"learning_rate": 0.1}, "SGD", {"lr": 0.1}),
        ("sgd", {"learning_rate": 0.05, "momentum": 0.9}, "SGD", {"lr": 0.05, "momentum": 0.9}),
        (
            "sgd",
            {"learning_rate": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
            "SGD",
            {"lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
        ),
        ("adam", {"learning_rate": 0.01}, "Adam", {"lr": 0.01}),
        (
            "adam",
            {"learning_rate": 0.01, "beta1": 0.8, "beta2": 0.95, "epsilon": 1e-4, "weight_decay": 0.1},
            "Adam",
            {"lr": 0.01, "betas": (0.8, 0.95), "eps": 1e-4, "weight_decay": 0.1},
        ),
        ("adamw", {"learning_rate": 0.01, "weight_decay": 0.5}, "AdamW", {"lr": 0.01, "weight_decay": 0.5}),
    ],
)
def test_the_path_is_that_of_torch_optim(kind, options, torch_name, torch_options):
    torch = pytest.importorskip("torch", reason="the extra `torch` is not installed: pip install 'allroads[torch]'")
    theirs = {name: torch.tensor(leaf, requires_grad=True) for name, leaf in START.items()}
    optimiser = getattr(torch.optim, torch_name)(theirs.values(), **torch_options)
    path = {name: [leaf.detach().numpy().copy()] for name, leaf in theirs.items()}
    x, y = torch.tensor(X), torch.tensor(Y)
    for _ in range(STEPS):
        optimiser.zero_grad()
        ((torch.tanh(x @ theirs["a"] + theirs["b"]) @ theirs["c"] - y) ** 2).mean().backward()
        optimiser.step()
        for name, leaf in theirs.items():
            path[name].append(leaf.detach().numpy().copy())
    for name, leaf in ours(kind, **options).items():
        np.testing.assert_allclose(leaf, np.stack(path[name]), rtol=0, atol=1e-6)


def test_muon_follows_its_rule_written_out_in_numpy():
    # PyTorch's Muon orthogonalises in bfloat16, so it is no oracle for 1e-6; the published rule in NumPy is.
    rate, mu, adam_rate = 0.02, 0.95, 1e-3

    def orthogonal(matrix):
        wide = matrix.shape[0] > matrix.shape[1]
        x = (matrix.T if wide else matrix) / (np.linalg.norm(matrix) + 1e-8)
        for _ in range(5):
            gram = x @ x.T
            x = 3.4445 * x + (-4.775 * gram + 2.0315 * gram @ gram) @ x
        return x.T if wide else x

    point = {name: leaf.copy() for name, leaf in START.items()}
    first = {name: np.zeros_like(leaf) for name, leaf in point.items()}
    second = np.zeros_like(point["b"])
    path = {name: [leaf.copy()] for name, leaf in point.items()}
    for step in range(1, STEPS + 1):
        hidden = np.tanh(X @ point["a"] + point["b"])
        back = 2 * (hidden @ point["c"] - Y) / Y.size
        inner = back @ point["c"].T * (1 - hidden**2)
        gradient = {"a": X.T @ inner, "b": inner.sum(0), "c": hidden.T @ back}
        for name in ("a", "c"):
            first[name] = mu * first[name] + (1 - mu) * gradient[name]
            ahead = mu * first[name] / (1 - mu ** (step + 1)) + (1 - mu) * gradient[name] / (1 - mu**step)
            rows, columns = point[name].shape
            point[name] = point[name] - rate * np.sqrt(max(1, columns / rows)) * orthogonal(ahead)
        first["b"] = 0.9 * first["b"] + 0.1 * gradient["b"]
        second = 0.999 * second + 0.001 * gradient["b"] ** 2
        mean = 0.9 * first["b"] / (1 - 0.9 ** (step + 1)) + 0.1 * gradient["b"] / (1 - 0.9**step)
        point["b"] = point["b"] - adam_rate * mean / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
        for name, leaf in point.items():
            path[name].append(leaf.copy())
    for name, leaf in ours("muon", learning_rate=rate, momentum=mu, adam_learning_rate=adam_rate).items():
        np.testing.assert_allclose(leaf, np.stack(path[name]), rtol=0, atol=1e-6)
