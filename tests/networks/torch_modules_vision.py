"""Blocks of vision networks in plain PyTorch, for the tests of ``from_torch``."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402
from torch_modules_made_up import real, trained_statistics  # noqa: E402


class Bottleneck(nn.Module):
    """ResNet's: narrow, convolve (in groups: ResNeXt), widen, and weigh the channels where ``squeeze`` says so."""

    def __init__(self, channels, narrow, groups=1, squeeze=0):
        super().__init__()
        self.down, self.norm1 = nn.Conv2d(channels, narrow, 1, bias=False), nn.BatchNorm2d(narrow)
        self.conv = nn.Conv2d(narrow, narrow, 3, stride=2, padding=1, groups=groups, bias=False)
        self.norm2 = nn.BatchNorm2d(narrow)
        self.squeeze = SqueezeExcite(narrow, squeeze) if squeeze else nn.Identity()
        self.up, self.norm3 = nn.Conv2d(narrow, channels, 1, bias=False), nn.BatchNorm2d(channels)
        self.short = nn.Sequential(nn.Conv2d(channels, channels, 1, stride=2, bias=False), nn.BatchNorm2d(channels))

    def forward(self, x):
        y = F.relu(self.norm1(self.down(x)), inplace=True)
        y = self.squeeze(F.relu(self.norm2(self.conv(y)), inplace=True))
        return F.relu_(self.norm3(self.up(y)).add_(self.short(x)))


class SqueezeExcite(nn.Module):
    def __init__(self, channels, inner, gate=torch.sigmoid):
        super().__init__()
        self.reduce, self.expand, self.gate = nn.Conv2d(channels, inner, 1), nn.Conv2d(inner, channels, 1), gate

    def forward(self, x):
        return x * self.gate(self.expand(F.relu(self.reduce(x.mean((2, 3), keepdim=True)))))


class InvertedResidual(nn.Module):
    """MobileNet's block, with squeeze and excitation as in EfficientNet."""

    def __init__(self, channels, wide, act=nn.SiLU, kernel=3):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, wide, 1, bias=False), nn.BatchNorm2d(wide, eps=1e-3), act(),
            nn.Conv2d(wide, wide, kernel, padding=kernel // 2, groups=wide, bias=False), nn.BatchNorm2d(wide), act(),
            SqueezeExcite(wide, 2), nn.Conv2d(wide, channels, 1, bias=False), nn.BatchNorm2d(channels),
        )  # fmt: skip

    def forward(self, x):
        return x + self.body(x)


class ConvNeXtBlock(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.up, self.down = nn.Linear(channels, 4 * channels), nn.Linear(4 * channels, channels)
        self.scale = nn.Parameter(torch.rand(channels))

    def forward(self, x):
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        return x + (self.scale * self.down(F.gelu(self.up(y)))).permute(0, 3, 1, 2)


class VisionTransformer(nn.Module):
    """Patches, a class token, positions, one block by hand."""

    def __init__(self, width=8, heads=2):
        super().__init__()
        self.patches = nn.Conv2d(1, width, 4, stride=4)
        self.token = nn.Parameter(torch.randn(1, 1, width))
        self.position = nn.Parameter(torch.randn(1, 5, width))
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(width, 16), nn.GELU(), nn.Dropout(0.1), nn.Linear(16, width))
        self.head = nn.Linear(width, 3)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], dim=1) + self.position
        h = self.norm1(x)
        x = x + self.attention(h, h, h, need_weights=False)[0]
        return self.head((x + self.mlp(self.norm2(x)))[:, 0])


class WindowAttention(nn.Module):
    """Swin's: windows, shifted by half, a bias by relative place, and a mask across the seam."""

    def __init__(self, width=4, heads=2, size=4, window=2, shift=1):
        super().__init__()
        self.width, self.heads, self.size, self.window, self.shift = width, heads, size, window, shift
        self.norm, self.qkv, self.out = nn.LayerNorm(width), nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.bias = nn.Parameter(torch.randn((2 * window - 1) ** 2, heads))
        place = torch.stack(torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij")).flatten(1)
        apart = (place[:, :, None] - place[:, None, :]).permute(1, 2, 0) + window - 1
        self.register_buffer("index", apart[..., 0] * (2 * window - 1) + apart[..., 1])
        region = torch.zeros(1, size, size, 1)
        parts = (slice(0, -window), slice(-window, -shift), slice(-shift, None))
        for k, (rows, columns) in enumerate((r, c) for r in parts for c in parts):
            region[:, rows, columns] = k
        region = self.windows(region).squeeze(-1)
        self.register_buffer("mask", (region[:, None] != region[:, :, None]) * -100.0)

    def windows(self, x):
        n, h, w, c = x.shape
        x = x.view(n, h // self.window, self.window, w // self.window, self.window, c)
        return x.permute(0, 1, 3, 2, 4, 5).reshape(-1, self.window**2, c)

    def forward(self, image):
        x = image.permute(0, 2, 3, 1)
        n, h, w, c = x.shape
        y = self.windows(torch.roll(self.norm(x), (-self.shift, -self.shift), (1, 2)))
        q, k, v = self.qkv(y).view(len(y), self.window**2, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(-2, -1) / (c // self.heads) ** 0.5
        scores = scores + self.bias[self.index].permute(2, 0, 1)
        scores = scores.view(n, -1, *scores.shape[1:]) + self.mask[None, :, None]
        y = scores.softmax(-1).flatten(0, 1) @ v
        y = self.out(y.transpose(1, 2).reshape(-1, self.window, self.window, c))
        y = y.view(n, h // self.window, w // self.window, self.window, self.window, c).permute(0, 1, 3, 2, 4, 5)
        return x + torch.roll(y.reshape(n, h, w, c), (self.shift, self.shift), (1, 2))


class Mixer(nn.Module):
    """MLP-Mixer: an MLP over the patches, one over the channels."""

    def __init__(self, patches=4, width=6):
        super().__init__()
        self.embed, self.norm1, self.norm2 = nn.Conv2d(1, width, 4, 4), nn.LayerNorm(width), nn.LayerNorm(width)
        self.tokens = nn.Sequential(nn.Linear(patches, 8), nn.GELU(), nn.Linear(8, patches))
        self.channels = nn.Sequential(nn.Linear(width, 8), nn.GELU(), nn.Linear(8, width))

    def forward(self, x):
        x = self.embed(x).flatten(2).mT
        x = x + self.tokens(self.norm1(x).mT).mT
        return (x + self.channels(self.norm2(x))).mean(1)


class DenseBlock(nn.Module):
    """DenseNet's: each layer reads all before it."""

    def __init__(self, channels=2, growth=2, layers=3):
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(nn.BatchNorm2d(c), nn.ReLU(), nn.Conv2d(c, growth, 3, padding=1, bias=False))
            for c in range(channels, channels + growth * layers, growth)
        )

    def forward(self, x):
        features = [x]
        for layer in self.layers:
            features.append(layer(torch.cat(features, 1)))
        return F.avg_pool2d(torch.cat(features, 1), 2)


class Inception(nn.Module):
    def __init__(self, channels=2):
        super().__init__()
        self.one = nn.Conv2d(channels, 2, 1)
        self.three = nn.Sequential(nn.Conv2d(channels, 2, 1), nn.ReLU(), nn.Conv2d(2, 3, 3, padding=1))
        self.flat = nn.Sequential(
            nn.Conv2d(channels, 2, (1, 5), padding=(0, 2)), nn.Conv2d(2, 2, (5, 1), padding=(2, 0))
        )
        self.pooled = nn.Sequential(nn.MaxPool2d(3, 1, padding=1), nn.Conv2d(channels, 1, 1))

    def forward(self, x):
        return torch.cat([self.one(x), self.three(x), self.flat(x), self.pooled(x)], 1)


class UNet(nn.Module):
    """Down, up, and across; the second input is a time as in a diffusion model."""

    def __init__(self, width=4):
        super().__init__()
        self.enter, self.time = nn.Conv2d(1, width, 3, padding=1), nn.Linear(4, width)
        self.norm, self.down = nn.GroupNorm(2, width), nn.Conv2d(width, 2 * width, 3, stride=2, padding=1)
        self.up = nn.ConvTranspose2d(2 * width, width, 2, stride=2)
        self.leave = nn.Conv2d(2 * width, 1, 3, padding=1)

    def forward(self, x, t):
        rates = torch.exp(-math.log(100.0) * torch.arange(2, device=t.device) / 2)
        angle = t[:, None] * rates[None].to(t.dtype)
        h = self.enter(x) + self.time(torch.cat([angle.sin(), angle.cos()], -1))[:, :, None, None]
        y = self.up(F.silu(self.down(F.silu(self.norm(h)))))
        return self.leave(torch.cat([y, h], 1))


class ChannelShuffle(nn.Module):
    """ShuffleNet's: half the channels pass, and all are dealt anew."""

    def __init__(self, channels=4):
        super().__init__()
        half = channels // 2
        self.body = nn.Sequential(
            nn.Conv2d(half, half, 1), nn.BatchNorm2d(half), nn.ReLU(), nn.Conv2d(half, half, 3, padding=1, groups=half)
        )
        self.shuffle = nn.ChannelShuffle(2)

    def forward(self, x):
        kept, changed = x.chunk(2, dim=1)
        return self.shuffle(torch.cat([kept, self.body(changed)], 1))


class Focal(nn.Module):
    """Attention over a convolution's features: pooled keys, as in PVT and PoolFormer."""

    def __init__(self, width=4):
        super().__init__()
        self.q, self.kv, self.out = (
            nn.Conv2d(width, width, 1),
            nn.Conv2d(width, 2 * width, 1),
            nn.Conv2d(width, width, 1),
        )

    def forward(self, x):
        q = self.q(x).flatten(2).mT.unsqueeze(1)
        k, v = self.kv(F.adaptive_avg_pool2d(x, 2)).flatten(2).mT.unsqueeze(1).chunk(2, -1)
        y = F.scaled_dot_product_attention(q, k, v).squeeze(1).mT.unflatten(2, x.shape[2:])
        return self.out(y) + F.avg_pool2d(x, 3, 1, 1, count_include_pad=False) - x


def vgg():
    layers = []
    for a, b in ((1, 3), (3, 4)):
        layers += [nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU(inplace=True), nn.MaxPool2d(2, 2)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(), nn.Dropout(), nn.Linear(4, 2))


IMAGE = real(4, 4, 4)
VISION = {
    "ResNet bottleneck": (lambda: trained_statistics(Bottleneck(4, 2)), IMAGE),
    "RegNet block, groups and squeeze-excite": (lambda: trained_statistics(Bottleneck(4, 4, 2, 2)), IMAGE),
    "EfficientNet block": (lambda: trained_statistics(InvertedResidual(4, 6)), IMAGE),
    "MobileNetV3 block": (lambda: trained_statistics(InvertedResidual(4, 6, nn.Hardswish, 5)), IMAGE),
    "ConvNeXt block": (lambda: ConvNeXtBlock(4), IMAGE),
    "vision transformer": (lambda: VisionTransformer().eval(), real(1, 8, 8)),
    "Swin window attention": (WindowAttention, IMAGE),
    "MLP-Mixer": (Mixer, real(1, 8, 8)),
    "DenseNet block": (lambda: trained_statistics(DenseBlock()), real(2, 4, 4)),
    "Inception block": (Inception, real(2, 5, 5)),
    "U-Net with a time": (UNet, (real(1, 4, 4), lambda n, g: real(n)(1, g)[0])),
    "ShuffleNet block": (lambda: trained_statistics(ChannelShuffle()), IMAGE),
    "pooled attention": (Focal, IMAGE),
    "VGG": (lambda: trained_statistics(vgg()), real(1, 8, 8)),
}
