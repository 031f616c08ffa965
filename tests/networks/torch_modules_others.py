"""What else people write, for the tests of ``from_torch``."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402
from torch_modules_made_up import Apply, real  # noqa: E402


class SharedTwice(nn.Module):
    """One layer called twice, and again under another name."""

    def __init__(self):
        super().__init__()
        self.a = nn.Linear(4, 4)
        self.b = self.a
        self.register_buffer("counts", torch.arange(4))
        self.register_buffer("scratch", torch.ones(4), persistent=False)

    def forward(self, x):
        return self.b(self.a(x).tanh() * self.scratch) + self.counts * self.a(x)


class Autoencoder(nn.Module):
    """A variational one that gives its mean, its log variance and what it makes of the mean."""

    def __init__(self):
        super().__init__()
        self.down, self.up = nn.Linear(6, 4), nn.Linear(2, 6)

    def forward(self, x):
        mean, log_variance = self.down(x).chunk(2, -1)
        return self.up(mean).sigmoid(), mean, log_variance


class Siamese(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(3, 5), nn.LeakyReLU(), nn.Linear(5, 4))

    def forward(self, left, right):
        return F.pairwise_distance(F.normalize(self.body(left), dim=-1), self.body(right), keepdim=True)


class Hyper(nn.Module):
    """A network whose weights another one gives, by ``vmap`` over the examples."""

    def __init__(self):
        super().__init__()
        self.give = nn.Linear(2, 12)

    def forward(self, x, context):
        return torch.bmm(self.give(context).view(-1, 4, 3), x[..., None]).squeeze(-1)


class Spline(nn.Module):
    """A Kolmogorov–Arnold layer: a sum of bumps at fixed places, for each pair of input and output."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 2, 5))
        self.register_buffer("places", torch.linspace(-2, 2, 5))

    def forward(self, x):
        return torch.einsum("nik,iok->no", torch.exp(-((x[..., None] - self.places) ** 2)), self.weight)


class Vectorised(nn.Module):
    """``torch.vmap`` and ``torch.func`` inside forward."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def forward(self, x):
        return torch.vmap(lambda row: self.layer(row) * row.sum())(x)


OTHERS = {
    "one layer under two names, buffers of every kind": (SharedTwice, real(4)),
    "autoencoder, second output": (Autoencoder, real(6), 1),
    "siamese pair": (Siamese, (real(3), real(3))),
    "hypernetwork": (Hyper, {"x": real(3), "context": real(2)}),
    "radial basis layer (KAN)": (Spline, real(3)),
    "vmap inside forward": (Vectorised, real(3)),
    "1d, 2d, 3d dropout that is off": (
        lambda: nn.Sequential(nn.Conv2d(1, 2, 2), nn.Dropout2d(0.3), nn.AlphaDropout(0.1), nn.Flatten()).eval(),
        real(1, 4, 4),
    ),
    "local response norm": (lambda: nn.Sequential(nn.Conv2d(1, 4, 2), nn.LocalResponseNorm(3)), real(1, 4, 4)),
    "fold and unfold": (
        lambda: Apply(
            lambda s, x: F.fold(F.unfold(s.c(x), 2, stride=1), (4, 4), 2) + s.c(x), c=nn.Conv2d(1, 2, 1)
        ),
        real(1, 4, 4),
    ),
    "pixel unshuffle": (lambda: nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(4, 2, 1)), real(1, 4, 4)),
    "pads of every mode": (
        lambda: nn.Sequential(nn.Conv1d(2, 2, 2), nn.ReflectionPad1d(1), nn.ReplicationPad1d((1, 0)),
                              nn.ConstantPad1d(1, 0.3), nn.CircularPad1d(1), nn.ZeroPad1d((0, 1))),
        real(2, 6),
    ),
    "Lp pooling": (lambda: nn.Sequential(nn.Conv2d(1, 2, 2), nn.Sigmoid(), nn.LPPool2d(3, 2)), real(1, 5, 5)),
    "transposed conv3d": (lambda: nn.ConvTranspose3d(1, 2, 2, stride=2), real(1, 2, 3, 2)),
    "instance norm 1d, layer norm without weights": (
        lambda: nn.Sequential(nn.Conv1d(2, 3, 2), nn.InstanceNorm1d(3), nn.LayerNorm(5, elementwise_affine=False)),
        real(2, 6),
    ),
    "softmax over channels, GLU": (
        lambda: nn.Sequential(nn.Conv2d(1, 4, 2), nn.Softmax2d(), nn.GLU(1)), real(1, 4, 4),
    ),
    "cosine similarity, cross distances": (
        lambda: Apply(
            lambda s, x: nn.CosineSimilarity(1)(s.a(x), x)[:, None] + torch.cdist(s.a(x)[:, None], x[:, None])[:, 0],
            a=nn.Linear(4, 4),
        ),
        real(4),
    ),
    "attention with a bias of its own": (
        lambda: Apply(
            lambda s, x: s.m(x, x, x)[0],
            m=nn.MultiheadAttention(8, 2, batch_first=True, add_bias_kv=True, add_zero_attn=True),
        ),
        real(4, 8),
    ),
    "attention to another width": (
        lambda: Apply(lambda s, x: s.m(x, x[..., :3], x[..., 3:])[0],
                      m=nn.MultiheadAttention(8, 2, batch_first=True, kdim=3, vdim=5)),
        real(4, 8),
    ),
}  # fmt: skip
