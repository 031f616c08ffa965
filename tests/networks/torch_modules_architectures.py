"""Architectures as people have them, ``TABLE`` by name, for the tests of ``from_torch``.

Models of ``transformers`` at tiny size; blocks of vision networks, state-space layers, recurrences with linear
state and layers on graphs, in plain PyTorch.
"""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402
from torch_modules_made_up import Apply, real, tokens, trained_statistics  # noqa: E402

# ---- transformers ------------------------------------------------------------------------------------------

DECODER = {
    "vocab_size": 11,
    "hidden_size": 8,
    "intermediate_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "max_position_embeddings": 8,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 2,
}
GROUPED = DECODER | {"num_key_value_heads": 1}
ENCODER = {key: value for key, value in DECODER.items() if "token_id" not in key}
IMAGES = {"image_size": 8, "patch_size": 4, "num_channels": 1}
POSITIONS = 5


def model(family, head, **options):
    """A model of ``transformers`` with random weights."""
    transformers = pytest.importorskip("transformers")
    return getattr(transformers, family + head)(getattr(transformers, family + "Config")(**options)).eval()


def padded(**more):
    """Tokens and a mask that leaves out the last ones of every second example."""

    def mask(n, g):
        seen = torch.ones(n, POSITIONS, dtype=torch.int64)
        seen[1::2, 3:] = 0
        return seen

    return {"input_ids": tokens(POSITIONS, 11), "attention_mask": mask, **more}


def decoder(family, options, head="ForCausalLM", **more):
    return lambda: model(family, head, **options, **more)


IDS = tokens(POSITIONS, 11)
T5 = {"vocab_size": 11, "d_model": 8, "d_kv": 4, "d_ff": 16, "num_layers": 1, "num_decoder_layers": 1, "num_heads": 2}

TRANSFORMERS = {
    "GPT-NeoX": (decoder("GPTNeoX", DECODER), IDS),
    "LLaMA": (decoder("Llama", GROUPED), IDS),
    "Mistral, sliding window": (decoder("Mistral", GROUPED, sliding_window=3), IDS),
    "Qwen2": (decoder("Qwen2", GROUPED), IDS),
    "Qwen3": (decoder("Qwen3", GROUPED, head_dim=4), IDS),
    "Gemma 2": (decoder("Gemma2", GROUPED, head_dim=4), IDS),
    "Phi": (decoder("Phi", DECODER), IDS),
    "OPT": (
        lambda: model(
            "OPT", "ForCausalLM", vocab_size=11, hidden_size=8, ffn_dim=16, num_hidden_layers=1, num_attention_heads=2,
            max_position_embeddings=8, word_embed_proj_dim=8, pad_token_id=2, bos_token_id=0, eos_token_id=1,
        ),
        IDS,
    ),
    "BLOOM": (
        lambda: model("Bloom", "ForCausalLM", vocab_size=11, hidden_size=8, n_layer=1, n_head=2, pad_token_id=2,
                      bos_token_id=0, eos_token_id=1),
        IDS,
    ),
    "GPT-2, padded": (
        lambda: model("GPT2", "LMHeadModel", vocab_size=11, n_positions=8, n_embd=8, n_layer=1, n_head=2,
                      bos_token_id=0, eos_token_id=1),
        padded(),
    ),
    "BERT, padded": (decoder("Bert", ENCODER, "Model"), padded(token_type_ids=tokens(POSITIONS, 2)), "pooler_output"),
    "RoBERTa, classifier": (
        decoder("Roberta", ENCODER | {"max_position_embeddings": 12}, "ForSequenceClassification", pad_token_id=2,
                num_labels=3),
        padded(),
    ),
    "T5, encoder and decoder": (
        lambda: model("T5", "ForConditionalGeneration", **T5, decoder_start_token_id=0),
        padded(decoder_input_ids=tokens(4, 11)),
    ),
    "Mamba": (
        lambda: model("Mamba", "ForCausalLM", vocab_size=11, hidden_size=8, state_size=3, num_hidden_layers=1,
                      time_step_rank=2, use_mambapy=False, bos_token_id=0, eos_token_id=1, pad_token_id=2),
        tokens(4, 11),
    ),
    "ViT": (
        lambda: model("ViT", "Model", hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
                      **IMAGES),
        {"pixel_values": real(1, 8, 8)},
        0,
    ),
    "ConvNeXt": (
        lambda: model("ConvNext", "ForImageClassification", num_channels=1, patch_size=2, hidden_sizes=[4, 8],
                      depths=[1, 1], num_stages=2, num_labels=3),
        real(1, 8, 8),
    ),
    "Swin": (
        lambda: model("Swin", "ForImageClassification", image_size=8, patch_size=2, num_channels=1, embed_dim=4,
                      depths=[2], num_heads=[2], window_size=2, num_labels=3),
        real(1, 8, 8),
    ),
}  # fmt: skip

# ---- vision, in plain PyTorch ------------------------------------------------------------------------------


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

# ---- sequences ---------------------------------------------------------------------------------------------


class DiagonalStateSpace(nn.Module):
    """S4D: a convolution whose kernel is that of a diagonal complex state, by FFT."""

    def __init__(self, width=3, states=2):
        super().__init__()
        self.real = nn.Parameter(torch.log(0.5 * torch.ones(width, states)))
        self.imaginary = nn.Parameter(math.pi * torch.arange(states).repeat(width, 1).float())
        self.c = nn.Parameter(torch.randn(width, states, 2))
        self.step, self.skip = nn.Parameter(torch.rand(width) - 2), nn.Parameter(torch.randn(width))

    def forward(self, x):  # [N, T, width]
        length, u = x.shape[1], x.mT
        step = self.step.exp()[:, None]
        a = torch.complex(-self.real.exp(), self.imaginary)
        c = torch.view_as_complex(self.c) * (torch.exp(a * step) - 1) / a
        kernel = 2 * (c[..., None] * torch.exp((a * step)[..., None] * torch.arange(length))).sum(1).real
        y = torch.fft.irfft(torch.fft.rfft(u, n=2 * length) * torch.fft.rfft(kernel, n=2 * length), n=2 * length)
        return F.gelu(y[..., :length] + u * self.skip[:, None]).mT


class SelectiveScan(nn.Module):
    """Mamba's: a short convolution, a state whose decay, input and output follow from the input, and a gate."""

    def __init__(self, width=4, inner=6, states=3):
        super().__init__()
        self.enter, self.leave = nn.Linear(width, 2 * inner, bias=False), nn.Linear(inner, width, bias=False)
        self.conv = nn.Conv1d(inner, inner, 3, padding=2, groups=inner)
        self.select, self.step = nn.Linear(inner, 1 + 2 * states, bias=False), nn.Linear(1, inner)
        self.log_a = nn.Parameter(torch.log(torch.arange(1.0, states + 1)).repeat(inner, 1))
        self.skip, self.states = nn.Parameter(torch.ones(inner)), states

    def forward(self, x):
        u, gate = self.enter(x).chunk(2, -1)
        u = F.silu(self.conv(u.mT)[..., : x.shape[1]].mT)
        step, b, c = self.select(u).split([1, self.states, self.states], dim=-1)
        step = F.softplus(self.step(step))
        decay = torch.exp(step[..., None] * -self.log_a.exp())
        driven = (step * u)[..., None] * b[:, :, None, :]
        state, rows = torch.zeros_like(driven[:, 0]), []
        for t in range(x.shape[1]):
            state = decay[:, t] * state + driven[:, t]
            rows.append((state * c[:, t, None]).sum(-1))
        return self.leave((torch.stack(rows, 1) + self.skip * u) * F.silu(gate))


class TimeMix(nn.Module):
    """RWKV's: a weighted mean of the past with a decay for each channel, and a shift by one position."""

    def __init__(self, width=4):
        super().__init__()
        self.decay, self.first = nn.Parameter(torch.randn(width)), nn.Parameter(torch.randn(width))
        self.mix = nn.Parameter(torch.rand(3, width))
        self.key, self.value, self.receptance, self.out = (nn.Linear(width, width, bias=False) for _ in range(4))

    def forward(self, x):
        before = F.pad(x, (0, 0, 1, -1))
        k, v, r = (
            part(x * m + before * (1 - m))
            for part, m in zip((self.key, self.value, self.receptance), self.mix.unbind(0), strict=True)
        )
        w = -torch.exp(self.decay)
        above = below = torch.zeros_like(k[:, 0])
        top = torch.full_like(above, -1e30)
        rows = []
        for t in range(x.shape[1]):
            peak = torch.maximum(top, self.first + k[:, t])
            old, new = torch.exp(top - peak), torch.exp(self.first + k[:, t] - peak)
            rows.append((old * above + new * v[:, t]) / (old * below + new))
            peak = torch.maximum(top + w, k[:, t])
            old, new = torch.exp(top + w - peak), torch.exp(k[:, t] - peak)
            above, below, top = old * above + new * v[:, t], old * below + new, peak
        return self.out(torch.sigmoid(r) * torch.stack(rows, 1))


class Retention(nn.Module):
    """RetNet's parallel form: attention without softmax, with a decay by distance, and a group norm."""

    def __init__(self, width=8, heads=2):
        super().__init__()
        self.q, self.k, self.v, self.gate, self.out = (nn.Linear(width, width, bias=False) for _ in range(5))
        self.norm, self.heads = nn.GroupNorm(heads, width, affine=False), heads
        self.register_buffer("rate", 1 - 2.0 ** (-2 - torch.arange(heads)))

    def forward(self, x):
        n, t, _ = x.shape
        q, k, v = (part(x).view(n, t, self.heads, -1).transpose(1, 2) for part in (self.q, self.k, self.v))
        apart = (torch.arange(t)[:, None] - torch.arange(t)).to(x.dtype)
        decay = torch.where(apart >= 0, self.rate[:, None, None] ** apart.clamp(min=0), 0.0)
        y = torch.einsum("bhij,bhjd->bihd", torch.einsum("bhid,bhjd->bhij", q, k) * decay, v).flatten(2)
        y = self.norm(y.flatten(0, 1)).view(n, t, -1)
        return self.out(F.silu(self.gate(x)) * y)


class LinearAttention(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width)

    def forward(self, x):
        q, k, v = self.qkv(x).chunk(3, -1)
        q, k = F.elu(q) + 1, F.elu(k) + 1
        states = (k[..., :, None] * v[..., None, :]).cumsum(1)
        return torch.einsum("ntd,ntde->nte", q, states) / (q * k.cumsum(1)).sum(-1, keepdim=True)


class RotaryAttention(nn.Module):
    """Grouped queries, rotary positions, RMS norm and a gated MLP, by hand."""

    def __init__(self, width=8):
        super().__init__()
        self.norm, self.q, self.kv = nn.RMSNorm(width), nn.Linear(width, 8, bias=False), nn.Linear(width, 8, bias=False)
        self.gate, self.up, self.down = nn.Linear(width, 12), nn.Linear(width, 12), nn.Linear(12, width)

    def turned(self, x):
        places, rates = (torch.arange(n, dtype=x.dtype) for n in (x.shape[2], 2))
        angle = places[:, None] * 10000.0 ** (-rates / 2)
        sin, cos = (f(torch.cat([angle, angle], -1)).to(x.dtype) for f in (torch.sin, torch.cos))
        return x * cos + torch.cat([-x[..., 2:], x[..., :2]], -1) * sin

    def forward(self, x):
        h = self.norm(x)
        q = self.q(h).unflatten(-1, (2, 4)).transpose(1, 2)
        k, v = self.kv(h).unflatten(-1, (2, 1, 4)).permute(2, 0, 3, 1, 4).unbind(0)
        y = F.scaled_dot_product_attention(self.turned(q), self.turned(k), v, is_causal=True, enable_gqa=True)
        x = x + y.transpose(1, 2).flatten(2)
        return x + self.down(F.silu(self.gate(x)) * self.up(x))


class Experts(nn.Module):
    """A mixture of experts: the best two of three, by the router's weights."""

    def __init__(self, width=4, experts=3):
        super().__init__()
        self.router = nn.Linear(width, experts)
        self.up, self.down = nn.Parameter(torch.randn(experts, width, 5)), nn.Parameter(torch.randn(experts, 5, width))

    def forward(self, x):
        weights, best = self.router(x).softmax(-1).topk(2, dim=-1)
        weights = weights / weights.sum(-1, keepdim=True)
        y = torch.einsum("nd,edf->nef", x, self.up).relu()
        y = torch.einsum("nef,efd->ned", y, self.down)
        return (y.gather(1, best[..., None].expand(-1, -1, x.shape[-1])) * weights[..., None]).sum(1)


class TemporalConvolution(nn.Module):
    """WaveNet's: causal, dilated, gated; weights normalised."""

    def __init__(self, channels=3):
        super().__init__()
        norm = nn.utils.parametrizations.weight_norm
        self.layers = nn.ModuleList(norm(nn.Conv1d(channels, 2 * channels, 2, dilation=2**k)) for k in range(2))

    def forward(self, x):
        for k, layer in enumerate(self.layers):
            a, b = layer(F.pad(x, (2**k, 0))).chunk(2, 1)
            x = x + a.tanh() * b.sigmoid()
        return x


class Seq2Seq(nn.Module):
    """A GRU that reads, and one that answers with attention to it; two outputs."""

    def __init__(self, vocabulary=7, width=4):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, width)
        self.encoder, self.decoder = nn.GRU(width, width, batch_first=True), nn.GRU(width, width, batch_first=True)
        self.out = nn.Linear(2 * width, vocabulary)

    def forward(self, source, target):
        memory, state = self.encoder(self.embed(source))
        hidden, _ = self.decoder(self.embed(target), state)
        weights = (hidden @ memory.mT).softmax(-1)
        return {"scores": self.out(torch.cat([hidden, weights @ memory], -1)), "attention": weights}


def transformer():
    module = nn.Transformer(8, 2, 1, 1, 16, dropout=0.1, batch_first=True).eval()

    def function(self, source, target):
        mask = nn.Transformer.generate_square_subsequent_mask(target.shape[1], dtype=target.dtype)
        return self.module(source, target, tgt_mask=mask, tgt_is_causal=True)

    return Apply(function, module=module)


def decoder_layer():
    layer = nn.TransformerDecoderLayer(8, 2, 16, batch_first=True, norm_first=True).eval()
    return Apply(lambda s, x, memory: s.layer(x, memory), layer=layer)


SEQUENCES = {
    "diagonal state space (S4D)": (DiagonalStateSpace, real(6, 3)),
    "selective scan (Mamba)": (SelectiveScan, real(5, 4)),
    "time mix (RWKV)": (TimeMix, real(5, 4)),
    "retention (RetNet)": (Retention, real(5, 8)),
    "linear attention": (LinearAttention, real(5, 4)),
    "rotary attention, grouped queries, gated MLP": (RotaryAttention, real(5, 8)),
    "mixture of experts": (Experts, real(4)),
    "temporal convolution (WaveNet)": (TemporalConvolution, real(3, 7)),
    "encoder and decoder, recurrent": (
        Seq2Seq, {"source": tokens(4, 7), "target": tokens(3, 7)}, "scores",
    ),
    "nn.Transformer": (transformer, (real(4, 8), real(3, 8))),
    "decoder layer": (decoder_layer, (real(3, 8), real(4, 8))),
    "lstm, last state": (lambda: nn.LSTM(3, 4, batch_first=True), real(5, 3), lambda given: given[1][0].squeeze(0)),
}  # fmt: skip

# ---- graphs ------------------------------------------------------------------------------------------------

EDGES = torch.tensor([[0, 1, 1, 2, 3, 4, 4, 0], [1, 0, 2, 3, 4, 0, 1, 2]])
NODES = 5


class GraphConvolution(nn.Module):
    """GCN: the normalised adjacency as a buffer."""

    def __init__(self, width=3, outputs=2):
        super().__init__()
        adjacency = torch.eye(NODES)
        adjacency[EDGES[1], EDGES[0]] = 1
        scale = adjacency.sum(1).rsqrt()
        self.register_buffer("adjacency", scale[:, None] * adjacency * scale)
        self.first, self.last = nn.Linear(width, 4), nn.Linear(4, outputs)

    def forward(self, x):
        return self.last(self.adjacency @ F.relu(self.first(self.adjacency @ x)))


class GraphAttention(nn.Module):
    """GAT: a softmax over the edges that end at a node, by scatter."""

    def __init__(self, width=3, outputs=4):
        super().__init__()
        self.map, self.from_, self.to_ = nn.Linear(width, outputs), nn.Linear(outputs, 1), nn.Linear(outputs, 1)
        self.register_buffer("edges", EDGES)

    def forward(self, x):  # [N, nodes, width]
        h, (source, end) = self.map(x), self.edges
        score = F.leaky_relu(self.from_(h)[:, source, 0] + self.to_(h)[:, end, 0], 0.2)
        place = end.expand_as(score)
        top = torch.full_like(h[..., 0], -torch.inf).scatter_reduce(1, place, score.detach(), "amax")
        weight = torch.exp(score - top.gather(1, place))
        total = torch.zeros_like(h[..., 0]).scatter_add(1, place, weight)
        weight = weight / total.gather(1, place)
        return F.elu(torch.zeros_like(h).index_add(1, end, weight[..., None] * h[:, source]))


class MessagePassing(nn.Module):
    """One graph: nodes and edges are the inputs, and messages are summed with ``index_add``."""

    def __init__(self, width=3):
        super().__init__()
        self.message, self.update = nn.Linear(2 * width, 4), nn.GRUCell(4, width)

    def forward(self, x, edges):
        source, end = edges.unbind(1)
        m = self.message(torch.cat([x[source], x[end]], -1)).tanh()
        return self.update(torch.zeros(x.shape[0], 4, dtype=x.dtype).index_add_(0, end, m), x)


class Isomorphism(nn.Module):
    """GIN with a readout by graph: sums over the nodes of every graph in the batch."""

    def __init__(self, width=3):
        super().__init__()
        self.eps, self.mlp = (
            nn.Parameter(torch.zeros(())),
            nn.Sequential(nn.Linear(width, 5), nn.ReLU(), nn.Linear(5, 2)),
        )
        self.register_buffer("edges", EDGES)

    def forward(self, x):
        gathered = torch.zeros_like(x)
        gathered.index_add_(1, self.edges[1], x[:, self.edges[0]])
        return self.mlp((1 + self.eps) * x + gathered).sum(1)


class DeepSet(nn.Module):
    """A set with a mask: sum and maximum over the members that are there."""

    def __init__(self):
        super().__init__()
        self.inner, self.outer = nn.Linear(3, 4), nn.Linear(8, 2)

    def forward(self, x, mask):
        h = self.inner(x).relu()
        top = h.masked_fill(~mask[..., None].bool(), float("-inf")).amax(1)
        return self.outer(torch.cat([(h * mask[..., None]).sum(1), top], -1))


GRAPHS = {
    "graph convolution (GCN)": (GraphConvolution, real(NODES, 3)),
    "graph attention (GAT)": (GraphAttention, real(NODES, 3)),
    "message passing": (
        MessagePassing,
        (lambda n, g: real(3)(4, g), lambda n, g: torch.tensor([[0, 1], [1, 2], [3, 1], [2, 0], [0, 3]])),
    ),
    "graph isomorphism (GIN)": (Isomorphism, real(NODES, 3)),
    "deep set with a mask": (
        DeepSet,
        {"x": real(4, 3), "mask": lambda n, g: (torch.arange(4) < 3).expand(n, 4).long()},
    ),
}

# ---- what else people write --------------------------------------------------------------------------------


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

FAMILIES = {
    "models of `transformers`": TRANSFORMERS,
    "vision": VISION,
    "sequences": SEQUENCES,
    "graphs and sets": GRAPHS,
    "other modules": OTHERS,
}

TABLE = TRANSFORMERS | VISION | SEQUENCES | GRAPHS | OTHERS
