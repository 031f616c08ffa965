"""Modules around operators beyond the usual layers, ``TABLE`` by name, for the tests of ``from_torch``."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402
from torch_modules_made_up import Apply, real, tokens  # noqa: E402

IMAGE = real(2, 5, 6)


class WithParameter(Apply):
    """A function with one bare parameter ``w``."""

    def __init__(self, function, *shape, **layers):
        super().__init__(function, **layers)
        self.w = nn.Parameter(torch.randn(*shape))


def side_by_side(parts):
    return torch.cat([part.flatten(1) for part in parts], 1)


def resized(layer, *ways):
    """A convolution, resized in several ways."""
    return Apply(lambda s, x: side_by_side([F.interpolate(s.layer(x), **way) for way in ways]), layer=layer)


def ways(mode):
    """Factors that are no ratio of the sizes, and sizes down to 1."""
    return [
        {"mode": mode, "scale_factor": 1.7},
        {"mode": mode, "scale_factor": (0.6, 2.0), "align_corners": True},
        {"mode": mode, "size": (3, 11)},
        {"mode": mode, "size": (7, 1), "align_corners": True},
        {"mode": mode, "scale_factor": 1.7, "recompute_scale_factor": True},
    ]


def antialiased(mode):
    return [{"mode": mode, "size": size, "antialias": True} for size in ((2, 3), (8, 4))]


def sampled(*modes, axes=2):
    """Points that leave the image on every side, the grid itself with a gradient."""

    def function(self, x):
        image, parts = self.c(x), []
        for corners in (False, True):
            grid = F.affine_grid(self.w.expand(x.shape[0], *self.w.shape), x.shape, align_corners=corners)
            for mode in modes:
                parts += [F.grid_sample(image, grid, mode, p, corners) for p in ("zeros", "border", "reflection")]
        return side_by_side(parts)

    module = WithParameter(function, axes, axes + 1, c=(nn.Conv2d if axes == 2 else nn.Conv3d)(2, 2, 1))
    module.w.data = torch.eye(axes, axes + 1) * 1.3 + 0.21 * torch.arange(axes * (axes + 1)).reshape(axes, -1).cos()
    return module


def unpooled(pool, unpool, layer):
    def function(self, x):
        h = self.layer(x)
        values, indices = pool(h)
        return unpool(values, indices, output_size=h.shape[2:]) + 0.125 * indices.sum() + h

    return Apply(function, layer=layer)


def bag(**options):
    return nn.EmbeddingBag(7, 3, **options)


def weighted_bag(self, ids):
    flat, starts = ids.flatten(), torch.arange(0, ids.numel(), ids.shape[1])
    return self.bag(flat, starts, per_sample_weights=self.w[flat])


def ragged_bag(self, ids):
    """Bags of 0, 1, … tokens."""
    starts = torch.tensor([0, 0, 1, 3])
    return self.bag(ids.flatten()[:5], starts).sum(0) + self.last(ids.to(self.last.weight.dtype)).sum(1, keepdim=True)


def spectral_filter(self, x):
    spectrum = torch.fft.rfft(self.layer(x), norm="ortho") * torch.view_as_complex(self.w)
    return torch.fft.irfft(spectrum, n=x.shape[-1], norm="ortho")


def fourier(self, x):
    h = self.layer(x)
    rows = [torch.fft.fft(h).real, torch.fft.ifft(h).imag, torch.fft.fft2(h, norm="ortho").abs()]
    rows += [torch.fft.ifft2(torch.fft.fft2(h)).real, torch.fft.fftn(h, dim=(1,)).imag, torch.fft.hfft(h)[..., :4]]
    rows += [torch.fft.irfft2(torch.fft.rfft2(h), s=h.shape[-2:]), torch.fft.irfftn(torch.fft.rfftn(h, dim=(1, 2)))]
    rows += [torch.fft.fftshift(h, dim=1), torch.fft.rfft(h, n=7)[..., :4].real, torch.fft.ihfft(h).imag.sum(-1, True)]
    return torch.stack([r.expand_as(h) for r in rows], 1)


def rotary(self, x):
    """Rotary positions as in LLaMA: complex numbers of modulus one times pairs of features."""
    angle = torch.outer(torch.arange(x.shape[1]), torch.tensor([1.0, 0.1])).to(x.dtype)
    turned = torch.view_as_complex(self.layer(x).unflatten(-1, (2, 2))) * torch.polar(torch.ones_like(angle), angle)
    z = torch.complex(turned.real, -turned.imag).conj().resolve_conj()
    return torch.view_as_real(z).flatten(-2) + z.abs().sum(-1, True) + z.angle().cos().sum(-1, True)


def reduced(self, x):
    """Several entries at one place, by every rule; some places stay empty."""
    h, index = self.layer(x), torch.tensor([0, 2, 2, 0, 2, 1]).expand(x.shape[0], 6)
    rows = [
        h[:, :4].scatter_reduce(1, index, h + 0.5, reduce, include_self=own)
        for reduce in ("sum", "mean", "prod", "amax", "amin")
        for own in (True, False)
    ]
    return torch.stack(rows, 1)


def running(self, x):
    h = self.layer(x).unflatten(1, (2, 3))
    high, low = torch.cummax(h, 2), torch.cummin(h, -1)
    return high.values + 2 * low.values + 0.1 * (high.indices + low.indices) + torch.cummax(h.round(), 2).indices


def distances(self, x):
    h = self.layer(x).unflatten(1, (2, 3))
    rows = [torch.cdist(h, self.w, p) for p in (2.0, 1.0, 3.0, float("inf"))]
    return torch.stack(rows, 1) + torch.cdist(h, h).sum(-1)[:, None, :, None]


def buckets(self, x):
    edges = torch.tensor([-1.0, -0.3, 0.0, 0.8]).to(x.dtype)
    rows = edges + 0.1 * torch.arange(x.shape[1])[:, None]
    ids = torch.bucketize(x, edges) + torch.bucketize(x, edges, right=True) + torch.searchsorted(edges, x, side="right")
    ids = ids + torch.searchsorted(rows.expand(x.shape[0], *rows.shape).contiguous(), x[..., None]).squeeze(-1)
    shuffled = torch.tensor([2, 0, 3, 1])
    return self.e(ids + torch.searchsorted(edges[shuffled], x, sorter=torch.tensor([1, 3, 0, 2])))


def systems(self, x):
    a = self.w + 3 * torch.eye(4).to(x.dtype)
    h = self.layer(x)
    rows = [h @ torch.linalg.inv(a), torch.linalg.solve(a, h.T).T, torch.linalg.solve(a, h, left=False)]
    rows += [torch.linalg.solve(a.expand(h.shape[0], 4, 4), h), h @ torch.matrix_exp(self.w), h @ torch.inverse(a)]
    rows += [h * torch.linalg.det(a), h * torch.linalg.slogdet(a)[1], h @ torch.linalg.matrix_power(a, -2)]
    rows += [h @ torch.linalg.cholesky(a @ a.T), h @ torch.linalg.cholesky(a @ a.T, upper=True), h * torch.trace(a)]
    rows += [torch.linalg.solve_triangular(a.tril(), h.T, upper=False).T, torch.linalg.inv_ex(a).inverse[0] + h]
    return torch.stack(rows, 1)


def orthogonal(outputs=4, **options):
    return nn.utils.parametrizations.orthogonal(nn.Linear(4, outputs), **options)


def capped(layer):
    """Rows of norm 0.1 to 0.9, so that no cap of 1 is active and the gradient of PyTorch is the derivative."""
    layer.weight.data = F.normalize(layer.weight.data, dim=1) * torch.linspace(0.1, 0.9, len(layer.weight))[:, None]
    return layer


VOLUME = real(2, 3, 4, 3)

TABLE = {
    "resized, bilinear": (lambda: resized(nn.Conv2d(2, 2, 1), *ways("bilinear"), *antialiased("bilinear")), IMAGE),
    "resized, bicubic": (lambda: resized(nn.Conv2d(2, 2, 1), *ways("bicubic"), *antialiased("bicubic")), IMAGE),
    "resized, nearest": (
        lambda: resized(
            nn.Conv2d(2, 2, 1),
            {"scale_factor": 1.7},
            {"size": (3, 13)},
            {"scale_factor": 1.7, "mode": "nearest-exact"},
            {"size": (3, 4), "mode": "area"},
        ),
        IMAGE,
    ),
    "resized, linear": (
        lambda: resized(
            nn.Conv1d(2, 2, 2), {"scale_factor": 1.7, "mode": "linear"}, {"scale_factor": 0.7, "mode": "nearest"}
        ),
        real(2, 6),
    ),
    "resized, trilinear": (
        lambda: resized(
            nn.Conv3d(2, 2, 1), {"scale_factor": (1.7, 2.0, 0.7), "mode": "trilinear"}, {"size": (2, 5, 3)}
        ),
        VOLUME,
    ),
    "grid sample": (lambda: sampled("bilinear", "nearest"), IMAGE),
    "grid sample, bicubic": (lambda: sampled("bicubic"), IMAGE),
    "grid sample of volumes": (lambda: sampled("bilinear", "nearest", axes=3), VOLUME),
    "max pool and back 1d": (
        lambda: unpooled(nn.MaxPool1d(2, 2, return_indices=True), nn.MaxUnpool1d(2, 2), nn.Conv1d(2, 3, 2)),
        real(2, 8),
    ),
    "max pool and back 2d": (
        lambda: unpooled(
            nn.MaxPool2d((2, 3), padding=(0, 1), return_indices=True), nn.MaxUnpool2d((2, 3)), nn.Conv2d(2, 3, 2)
        ),
        IMAGE,
    ),
    "max pool and back 3d": (
        lambda: unpooled(nn.MaxPool3d(2, return_indices=True), nn.MaxUnpool3d(2), nn.Conv3d(2, 3, 1)),
        real(2, 4, 4, 2),
    ),
    "adaptive max pool and its places": (
        lambda: Apply(
            lambda s, x: sum(a + 0.125 * b for a, b in [F.adaptive_max_pool2d(s.c(x), (2, 3), return_indices=True)]),
            c=nn.Conv2d(2, 3, 2),
        ),
        IMAGE,
    ),
    "embedding bag, mean": (bag, tokens(5, 7)),
    "embedding bag, sum, padding": (lambda: bag(mode="sum", padding_idx=2), tokens(5, 7)),
    "embedding bag, mean, padding": (lambda: bag(padding_idx=2), tokens(5, 7)),
    "embedding bag, max": (lambda: bag(mode="max"), tokens(5, 7)),
    "embedding bag, weighted": (lambda: WithParameter(weighted_bag, 7, bag=bag(mode="sum")), tokens(5, 7)),
    "embedding bag, ragged": (lambda: Apply(ragged_bag, bag=bag(), last=nn.Linear(5, 3)), tokens(5, 7)),
    "embedding bag, ragged, max, last offset": (
        lambda: Apply(ragged_bag, bag=bag(mode="max", include_last_offset=True), last=nn.Linear(5, 3)),
        tokens(5, 7),
    ),
    "embedding with a largest norm": (lambda: capped(nn.Embedding(7, 3, max_norm=1.0)), tokens(5, 7)),
    "embedding bag with a largest norm": (lambda: capped(bag(max_norm=1.0, mode="sum")), tokens(5, 7)),
    "spectral filter": (lambda: WithParameter(spectral_filter, 4, 2, layer=nn.Linear(6, 6)), real(6)),
    "fourier transforms": (lambda: Apply(fourier, layer=nn.Linear(4, 4)), real(6, 4)),
    "rotary positions": (lambda: Apply(rotary, layer=nn.Linear(3, 4)), real(5, 3)),
    "scatter reduce": (lambda: Apply(reduced, layer=nn.Linear(4, 6)), real(4)),
    "running extremes": (lambda: Apply(running, layer=nn.Linear(4, 6)), real(4)),
    "distances": (lambda: WithParameter(distances, 4, 3, layer=nn.Linear(4, 6)), real(4)),
    "buckets": (lambda: Apply(buckets, e=nn.Embedding(24, 3)), real(4)),
    "linear systems": (lambda: WithParameter(systems, 4, 4, layer=nn.Linear(4, 4)), real(4)),
    "orthogonal, exponential": (orthogonal, real(4)),
    "orthogonal, Cayley": (lambda: orthogonal(orthogonal_map="cayley"), real(4)),
    "orthogonal, Householder": (lambda: orthogonal(3, orthogonal_map="householder"), real(4)),
    "orthogonal, without a base": (lambda: orthogonal(3, use_trivialization=False), real(4)),
    "weight norm": (lambda: nn.utils.parametrizations.weight_norm(nn.Linear(4, 3)), real(4)),
    "spectral norm": (lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(4, 3)).eval(), real(4)),
    "randomised relu, evaluation": (
        lambda: nn.Sequential(nn.Linear(4, 6), nn.RReLU(0.1, 0.4), nn.Linear(6, 2)).eval(),
        real(4),
    ),
}
