"""Running statistics of batch norms among the parameters: round trip, repair against PyTorch's own, alignment."""

from __future__ import annotations

import copy

import jax
import jax.numpy as jnp
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from allroads import Problem, barrier, from_torch, to_torch_state  # noqa: E402
from allroads.errors import InputError, NotDeterministicError, UnknownNameError  # noqa: E402
from allroads.paths.align import align  # noqa: E402
from allroads.paths.repair import repair  # noqa: E402
from allroads.pfmap.symmetries import symmetries  # noqa: E402

IMAGES = np.random.default_rng(0).normal(size=(96, 2, 6, 6)).astype(np.float32)


class Residual(nn.Module):
    """A stem, a residual block, mean pooling; batch norms of both kinds."""

    def __init__(self):
        super().__init__()
        self.stem, self.first, self.second = nn.Conv2d(2, 6, 3), nn.Conv2d(6, 6, 3, 1, 1), nn.Conv2d(6, 6, 3, 1, 1)
        self.norms = nn.ModuleList([nn.BatchNorm2d(6), nn.BatchNorm2d(6), nn.BatchNorm2d(6), nn.BatchNorm1d(5)])
        self.wide, self.out = nn.Linear(6, 5), nn.Linear(5, 3)

    def forward(self, x):
        x = torch.relu(self.norms[0](self.stem(x)))
        x = torch.relu(x + self.norms[2](self.second(torch.relu(self.norms[1](self.first(x))))))
        return self.out(torch.relu(self.norms[3](self.wide(x.mean((2, 3))))))


def trained(seed):
    """A module whose statistics, gains and biases are no longer those of initialisation."""
    torch.manual_seed(seed)
    module = Residual()
    for norm in module.norms:
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias)
    with torch.no_grad():
        for _ in range(3):
            module(torch.tensor(IMAGES) * (1 + seed))
    return module.eval()


@pytest.fixture(scope="module")
def pair():
    modules = [trained(0), trained(1)]
    taken = [from_torch(m, IMAGES[:4], running_statistics="params") for m in modules]
    return modules, taken[0][0], [params for _, params in taken]


def test_statistics_are_parameters_and_go_back(pair):
    modules, network, (a, b) = pair
    assert sorted(set(a) - {name for name, _ in modules[0].named_parameters()}) == [
        f"norms.{k}.running_{which}" for k in range(4) for which in ("mean", "var")
    ]
    for module, params in zip(modules, (a, b), strict=True):  # one network holds both
        answer = module(torch.tensor(IMAGES)).detach().numpy()
        np.testing.assert_allclose(network.apply(params, IMAGES), answer, atol=2e-5)
    empty = copy.deepcopy(modules[0])
    empty.load_state_dict(to_torch_state(b, empty))
    assert torch.equal(empty(torch.tensor(IMAGES)), modules[1](torch.tensor(IMAGES)))
    assert empty.norms[0].num_batches_tracked == 3
    loose = copy.deepcopy(modules[0])
    assert not loose.load_state_dict(to_torch_state(b), strict=False).unexpected_keys
    assert torch.equal(loose.norms[3].running_var, modules[1].norms[3].running_var)
    with pytest.raises(InputError, match=r"Missing: norms.3.running_var"):
        to_torch_state({name: array for name, array in a.items() if name != "norms.3.running_var"}, modules[0])
    fresh = network.init(jax.random.key(0))
    np.testing.assert_array_equal(fresh["norms.1.running_mean"], np.zeros(6))
    np.testing.assert_array_equal(fresh["norms.1.running_var"], np.ones(6))


def test_repaired_statistics_are_those_that_pytorch_recomputes(pair):
    modules, network, (a, b) = pair
    found = repair(network, a, b, IMAGES, 0.4, method="statistics")
    assert len(found.changed) == 8
    module = copy.deepcopy(modules[0])
    middle = {name: 0.6 * a[name] + 0.4 * b[name] for name in a}
    module.load_state_dict(to_torch_state(middle, module))
    for norm in module.norms:
        norm.reset_running_stats()
        norm.momentum = None  # the cumulative average
    with torch.no_grad():
        answer = module.train()(torch.tensor(IMAGES)).numpy()
    for k, (norm, positions) in enumerate(zip(module.norms, (16, 16, 16, 1), strict=True)):
        n = len(IMAGES) * positions
        np.testing.assert_allclose(found.params[f"norms.{k}.running_mean"], norm.running_mean, atol=1e-5)
        ours = np.asarray(found.params[f"norms.{k}.running_var"]) * n / (n - 1)  # PyTorch keeps the unbiased estimate
        np.testing.assert_allclose(ours, norm.running_var, rtol=1e-5)
    np.testing.assert_allclose(network.apply(found.params, IMAGES), answer, atol=1e-5)
    module.load_state_dict(to_torch_state(found.params, module))
    with torch.no_grad():
        np.testing.assert_allclose(module.eval()(torch.tensor(IMAGES)).numpy(), answer, atol=1e-5)


@pytest.mark.slow
def test_channels_move_and_the_barrier_is_repaired(pair):
    modules, network, (a, b) = pair
    labels = np.asarray(network.apply(a, IMAGES)).argmax(1)
    problem = Problem(network, "mse", IMAGES, jnp.eye(3)[labels])
    plain, repaired = (barrier(problem, a, b, points=5, repair=r) for r in (None, "units"))
    fresh = barrier(problem, a, b, points=5, repair="statistics")
    assert fresh.losses[2] != pytest.approx(plain.losses[2], rel=0.01) and fresh.losses[0] == plain.losses[0]
    assert repaired.losses[2] != pytest.approx(fresh.losses[2], rel=0.01)
    found = symmetries(network, a, IMAGES[:2])
    moved = found.act(found.random(np.random.default_rng(0)), a)
    assert len(found.movable) == 3 and not np.allclose(moved["norms.0.running_mean"], a["norms.0.running_mean"])
    result = align(network, a, moved, IMAGES[:2], restarts=0)
    assert result.distance < 1e-4 < 1 < result.distance_before
    fixed, params = from_torch(modules[0], IMAGES[:4])
    assert len(symmetries(fixed, params, IMAGES[:2]).movable) == 0


def test_a_batch_norm_of_two_names_is_one():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.one = nn.BatchNorm1d(3)
            self.two = self.one

        def forward(self, x):
            return self.two(self.one(x))

    module = Twice().eval()
    network, params = from_torch(module, torch.zeros(2, 3), running_statistics="params")
    assert sorted(params) == ["one.bias", "one.running_mean", "one.running_var", "one.weight"]
    params = params | {"one.running_mean": jnp.array([1.0, 2.0, 3.0])}
    module.load_state_dict(to_torch_state(params, module))
    answer = module(torch.ones(2, 3)).detach().numpy()
    np.testing.assert_allclose(network.apply(params, np.ones((2, 3), np.float32)), answer, atol=1e-6)


def test_what_has_no_statistics_is_said(pair):
    modules, _, _ = pair
    with pytest.raises(UnknownNameError, match="did you mean 'params'"):
        from_torch(modules[0], IMAGES[:4], running_statistics="param")
    fixed, params = from_torch(modules[0], IMAGES[:4])
    with pytest.raises(InputError, match="running_statistics='params'"):
        repair(fixed, params, params, IMAGES, method="statistics")
    without = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4, track_running_stats=False)).eval()
    with pytest.raises(NotDeterministicError, match="track_running_stats=True"):
        from_torch(without, torch.zeros(2, 3), running_statistics="params")
