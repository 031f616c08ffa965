"""State-space layers, linear recurrences, attention and other sequence layers, for the tests of ``from_torch``."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402
from torch_modules_made_up import Apply, real, tokens  # noqa: E402


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
