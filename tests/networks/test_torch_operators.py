"""Single operators against PyTorch: those that the modules of the other table do not use."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

import allroads  # noqa: E402
from allroads import float64  # noqa: E402
from allroads.networks.torch.rules import RULES  # noqa: E402

torch.set_num_threads(1)

# of x [3, 4, 6], real; u = sigmoid(x) in (0, 1); k integers 0…5 of the same shape
FAMILIES = {
    "elementary": [
        lambda x, u, k: (1 + u).acosh() + u.acos() + x.asinh() + u.atanh() + x.cos() + x.cosh(),
        lambda x, u, k: x.sinh() + x.tan() + torch.special.expit(x) + x.deg2rad() + x.sinc() + x.exp2(),
        lambda x, u, k: u.log10() + u.log1p() + u.log2() + torch.lgamma(u) + torch.erfc(x) + torch.erfinv(u),
        lambda x, u, k: torch.addcdiv(x, x, u, value=2) + torch.subtract(x, u, alpha=3) + torch.rsub(x, u),
        lambda x, u, k: x.logical_not().to(x.dtype) + x.frac() + x.sign() + x.sgn() + x.floor() + x.ceil() + x.trunc(),
        lambda x, u, k: torch.fmod(x, 0.7) + torch.remainder(x, 0.7) + torch.minimum(x, u) + x.clamp_max(0.2),
        lambda x, u, k: torch.round(x, decimals=1) + torch.max(x, u) + torch.min(x, u) + torch.true_divide(x, u),
        lambda x, u, k: (
            u.pow(2.5) + (u - 0.5).log().detach().nan_to_num(0.5) + u**x + (x * 9).clamp(-3, 3) + u**0.5 + x**0
        ),
        lambda x, u, k: torch.div(x, 0.3, rounding_mode="trunc") + F.softmin(x, 1) + F.relu(x).square() + F.selu(x),
        lambda x, u, k: F.hardswish(x) + F.hardtanh(x, -1, 2) + F.logsigmoid(x) + F.gelu(x) + F.prelu(x, u.mean()),
    ],
    "integers and logic": [
        lambda x, u, k: (
            (k & 3) + (k | 8) + (k ^ 5) + (k << 1) + (k >> 1) + ~k + k // 2 + k % 4 + torch.bitwise_and(k, 6)
        ),
        lambda x, u, k: (x > 0).logical_and(u > 0.6).logical_or(k == 2).logical_xor(k != 3).to(x.dtype),
        lambda x, u, k: (
            ((x >= u) & (x <= 1) | ~(x < 0)).to(x.dtype) + torch.isnan(x) + torch.isinf(x) + torch.isfinite(x)
        ),
        lambda x, u, k: k / 4 + k.float() + torch.full_like(k, 7) + torch.where(k > 2, k, -k) + torch.ne(k, 3),
        lambda x, u, k: (k > 1).all(1, keepdim=True) + (k > 4).any(2, keepdim=True) + (k > 2).cumsum(1) + k.sum(),
        lambda x, u, k: (
            x * torch.eye(4, 6) + torch.linspace(0, 1, 6) + x.new_full((6,), 2) + x.new_ones(6) + x.new_zeros(6)
        ),
        lambda x, u, k: (
            torch.full((4, 1), 3.0) * x + torch.ones(6) + torch.arange(2, 14, 2) + torch.zeros(4, 6).fill_(2)
        ),
    ],
    "reductions": [
        lambda x, u, k: x.amin((0, 1)) + x.min(1).values.sum(0) + x.std((0, 1)) + x.var(0).sum(0) + torch.std(x),
        lambda x, u, k: (
            torch.var_mean(x, 1)[0].sum(0) + torch.var_mean(x, (0, 1), unbiased=False)[1] + x.nansum(1).sum(0)
        ),
        lambda x, u, k: x.norm() + x.norm(1, dim=1).sum(0) + torch.linalg.vector_norm(x, 3, dim=(0, 1)) + x.nanmean(),
        lambda x, u, k: (
            x.norm(float("inf"), 1).sum(0) + torch.linalg.norm(x[0], dim=0) + x.max() + x.min() + x.prod(1)[0]
        ),
        lambda x, u, k: (
            (0 * x).norm(dim=1).sum(0) + x.sum((0, 1)) + x.mean() + u.cumprod(1)[2, 3] + x.logcumsumexp(1)[1, 2]
        ),
        lambda x, u, k: (
            x.argmin(1).sum(0) + x.argsort(2)[1, 2] + x.sort(2, descending=True)[0][0, 1] + x.logsumexp((0, 1))
        ),
        lambda x, u, k: x.topk(2, 2, largest=False)[0].sum((0, 1, 2)) + x.var(2, correction=0).sum(1).sum(0) + x[0, 0],
    ],
    "shapes": [
        lambda x, u, k: x.movedim(0, 2).swapaxes(1, 2)[0, 0] + x.mT[1, :, 2] + x.view_as(u)[0, :, 1, None],
        lambda x, u, k: torch.hstack([x, u])[:, 5] + torch.vstack([x, u])[4, 3] + x.repeat(2, 1, 1)[4].sum(0),
        lambda x, u, k: torch.stack(x.unbind(1))[1] + x.narrow(1, 1, 2).sum(1) + torch.tile(x, (1, 2, 1))[:, 7],
        lambda x, u, k: (
            x.repeat_interleave(2, dim=1)[:, 3] + torch.tensor_split(x, 3, dim=1)[0][:, 1] + x.roll(5)[:, 0]
        ),
        lambda x, u, k: (
            F.pad(x, (1, 1), mode="replicate")[..., 1:-1][:, 0] + F.pad(x, (0, -1, 2, 0), value=2.0)[:, 1, :1]
        ),
        lambda x, u, k: (
            x.diagonal(1, 1, 2).sum()
            + torch.diag(x[0, 0, :4]).sum(0)[0]
            + torch.diag_embed(x)[0, 1]
            + x.diff(dim=0)[0, 0]
        ),
        lambda x, u, k: (
            x.expand(2, 3, 4, 6)[1, :, 2]
            + x.flatten(1).unflatten(1, (4, -1))[:, 3]
            + x.broadcast_to(2, 3, 4, 6)[0, :, 0]
        ),
        lambda x, u, k: (
            torch.meshgrid(x[0, 0], x[0, 1], indexing="ij")[1] + torch.outer(x[0, 0], u[1, 1]) + x[..., 0].t().sum()
        ),
    ],
    "places": [
        lambda x, u, k: (
            x.gather(1, k[:, :2, :4] % 4).sum() + x.index_select(2, k[0, 0])[0, 0] + x.take_along_dim(k, 2)[1, 1]
        ),
        lambda x, u, k: (
            x.scatter(2, k, u * 0 + 5.0)[0] + x.scatter_add(2, k, u)[1] + x.scatter(1, k[:, :1] % 4, 2.0)[2]
        ),
        lambda x, u, k: (
            x.index_add(1, k[0, 0, :2] % 4, u[:, :2], alpha=2)[0] + x.index_put((torch.tensor([0, 2]),), u[0, 0, 0])[1]
        ),
        lambda x, u, k: x.select_scatter(u[0], 0, 1)[1] + x.slice_scatter(u[:, :2], 1, 0, 4, 2)[0] + x.triu(1)[2],
        lambda x, u, k: (
            torch.index_put(x, (torch.tensor([0, 0]),), u[0], accumulate=True)[0] + x.masked_fill(x > 0, 9)[1]
        ),
    ],
    "products": [
        lambda x, u, k: torch.addmm(x[0, :, :4], x[0], u[1].T, beta=0.5, alpha=2).sum(0) + x[0, :, 0].dot(u[0, :, 1]),
        lambda x, u, k: torch.mv(x[0], u[0, 0]) + torch.tensordot(x, u, ([0, 2], [0, 2])).sum(0) + x[1] @ u[0, 1],
        lambda x, u, k: (
            torch.mm(x[0], u[1].T)[0]
            + torch.linalg.multi_dot([x[0], u[1].T, u[0, :, :4]])[1]
            + torch.kron(x[0, 0, :2], u[0, 0, :2])
        ),
    ],
}


@pytest.mark.parametrize("family", FAMILIES)
def test_operators_and_their_derivatives_are_those_of_pytorch(family):
    class Every(nn.Module):
        def __init__(self):
            super().__init__()
            self.x = nn.Parameter(torch.randn(3, 4, 6, generator=torch.Generator().manual_seed(4)).double())

        def forward(self, k):
            outputs = [f(self.x, self.x.sigmoid(), k) for f in FAMILIES[family]]
            return torch.cat([o.to(self.x.dtype).flatten() for o in outputs])

    module = Every()
    k = torch.randint(0, 6, (3, 4, 6), generator=torch.Generator().manual_seed(1))
    answer = module(k)
    weights = torch.arange(len(answer)).cos().double()
    (answer * weights).sum().backward()
    theirs = np.zeros((3, 4, 6)) if module.x.grad is None else module.x.grad.numpy()
    with allroads.float64():
        network, params = allroads.from_torch(module, k)
        scalar = lambda p: (network.apply(p, k.numpy()) * weights.numpy()).sum()  # noqa: E731
        np.testing.assert_allclose(network.apply(params, k.numpy()), answer.detach(), rtol=1e-10, atol=1e-12)
        ours = jax.jit(jax.grad(scalar))(params)["x"]
        np.testing.assert_allclose(ours, theirs, rtol=1e-8, atol=1e-10)
        assert np.isfinite(theirs).all() and jnp.isfinite(ours).all()


@pytest.mark.parametrize("size", [5, 13, 50])  # the last is too long for a banded matrix
@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "dilation", "groups"),
    [(3, 1, 1, 1, 1), (2, 2, 0, 1, 2), ((2, 3), (1, 2), (0, 2), (1, 2), 1), (3, 2, 2, 2, 4), (1, 1, 0, 1, 1)],
)
def test_convolutions_by_bands_and_by_patches_are_pytorchs(size, kernel, stride, padding, dilation, groups):
    rng = np.random.default_rng(size)
    spread = kernel if isinstance(kernel, tuple) else (kernel, kernel)
    x, w = rng.normal(size=(16, 4, 7, size)), rng.normal(size=(8, 4 // groups, *spread))
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    expected = torch.nn.functional.conv2d(torch.tensor(x), torch.tensor(w), **options).numpy()
    with float64():
        found = RULES["conv2d"](jnp.asarray(x), jnp.asarray(w), None, stride, padding, dilation, groups)
    np.testing.assert_allclose(found, expected, atol=1e-12)
