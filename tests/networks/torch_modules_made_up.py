"""Modules of every usual kind, ``TABLE`` by name, for the tests of ``from_torch``."""

from __future__ import annotations

import zlib

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402


class Apply(nn.Module):
    """A few layers and a function of them and the input."""

    def __init__(self, function, **layers):
        super().__init__()
        for name, layer in layers.items():
            setattr(self, name, layer)
        self.function = function

    def forward(self, *inputs):
        return self.function(self, *inputs)


def real(*shape):
    return lambda n, g: torch.randn(n, *shape, generator=g, dtype=torch.float64)


def tokens(length, vocabulary):
    return lambda n, g: torch.randint(0, vocabulary, (n, length), generator=g)


def mlp(*activations):
    """One hidden layer, and each of the activations on it, side by side."""

    def function(self, x):
        hidden = self.first(x)
        return self.last(torch.cat([activation(hidden.clone()) for activation in self.activations], dim=1))

    sizes = [activation(torch.zeros(1, 6)).shape[1] for activation in activations]
    return Apply(function, first=nn.Linear(4, 6), activations=nn.ModuleList(activations), last=nn.Linear(sum(sizes), 2))


class Residual(nn.Module):
    def __init__(self, channels, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.short = nn.Conv2d(channels, channels, 1, stride) if stride > 1 else nn.Identity()

    def forward(self, x):
        h = F.relu(self.bn1(self.conv1(x)), inplace=True)
        h = self.bn2(self.conv2(h))
        h += self.short(x)
        return F.relu(h)


def trained_statistics(module):
    """Running statistics as after some training, so that the batch norms do something."""
    g = torch.Generator().manual_seed(5)
    for m in module.modules():
        if isinstance(m, nn.modules.batchnorm._BatchNorm):
            m.running_mean.copy_(torch.randn(m.running_mean.shape, generator=g))
            m.running_var.copy_(torch.rand(m.running_var.shape, generator=g) + 0.5)
    return module.eval()


def resnet():
    return trained_statistics(
        nn.Sequential(
            nn.Conv2d(1, 3, 3, padding=1),
            Residual(3),
            Residual(3, stride=2),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(3, 2),
        )
    )


def recurrent(kind, readout="last", **options):
    directions = 2 if options.get("bidirectional") else 1
    size = options.get("proj_size", 4) or 4
    first = options.get("batch_first", False)

    def function(self, x):
        hidden = self.layer(x if first else x.transpose(0, 1))[0]
        hidden = hidden if first else hidden.transpose(0, 1)
        return self.readout(hidden if readout == "all" else hidden[:, -1])

    return Apply(function, layer=kind(3, 4, **options), readout=nn.Linear(size * directions, 2))


class Attention(nn.Module):
    """Attention by hand, in the spelling that is asked for."""

    def __init__(self, spelling):
        super().__init__()
        self.spelling = spelling
        self.qkv, self.out = nn.Linear(8, 24), nn.Linear(8, 8)

    def forward(self, x):
        n, t, _ = x.shape
        q, k, v = (p.view(n, t, 2, 4).transpose(1, 2) for p in self.qkv(x).chunk(3, dim=-1))
        if self.spelling == "causal":
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        elif self.spelling == "plain":
            y = F.scaled_dot_product_attention(q, k, v, scale=0.3)
        elif self.spelling == "bool mask":  # the first query may look nowhere
            mask = torch.tril(torch.ones(t, t, dtype=torch.bool), diagonal=-1)
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        elif self.spelling == "float mask":
            mask = torch.zeros(t, t).to(x.dtype).masked_fill(torch.ones(t, t).triu(1).bool(), float("-inf"))
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        else:
            scores = torch.einsum("nhqd,nhkd->nhqk", q, k) / 4**0.5
            scores = scores.masked_fill(torch.triu(torch.ones(t, t, dtype=torch.bool), 1), float("-inf"))
            y = scores.softmax(-1) @ v
        return self.out(y.transpose(1, 2).reshape(n, t, 8))


def multihead(need_weights=True, masked=False, training=False):
    def function(self, x):
        t = x.shape[1]
        mask = torch.triu(torch.ones(t, t, dtype=torch.bool), 1) if masked else None
        return self.attention(x, x, x, attn_mask=mask, need_weights=need_weights)[0]

    return Apply(function, attention=nn.MultiheadAttention(8, 2, batch_first=True)).train(training)


def encoder(layers=0, **options):
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, **options)
    return (nn.TransformerEncoder(layer, layers, enable_nested_tensor=False) if layers else layer).eval()


def padded_encoder():
    def function(self, ids):
        return self.encoder(self.embed(ids), src_key_padding_mask=ids == 0)

    return Apply(function, embed=nn.Embedding(7, 8, padding_idx=0), encoder=encoder()).eval()


class Tied(nn.Module):
    """Token in, token out, by one matrix."""

    def __init__(self):
        super().__init__()
        self.embed, self.position = nn.Embedding(7, 4), nn.Parameter(torch.randn(5, 4))
        self.norm, self.unembed = nn.LayerNorm(4), nn.Linear(4, 7, bias=False)
        self.unembed.weight = self.embed.weight

    def forward(self, ids):
        return self.unembed(self.norm(self.embed(ids) + self.position[torch.arange(ids.shape[1])]))


def gpt2(**options):
    transformers = pytest.importorskip("transformers")
    config = transformers.GPT2Config(
        vocab_size=11, n_positions=8, n_embd=8, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0, **options
    )
    return transformers.GPT2LMHeadModel(config).eval()


def in_place(self, x):
    y = torch.zeros_like(x)
    y[:, 0] = x[:, 1] * 2
    y[:, 1:3].copy_(self.layer(x)[:, :2])
    half = y[:, ::2]
    half.mul_(3.0)
    y.t()[3].add_(x[:, 3])
    mask = torch.zeros(x.shape[0], 4, dtype=torch.bool)
    mask[:, 2] = True
    return y.masked_fill_(mask, 0.25) + half.sum(1, keepdim=True)


def slices(self, x):
    h = self.layer(x)
    a, b = h.split([2, 4], dim=1)
    c, d = h.chunk(2, dim=-1)
    picked = h[:, [0, 3, -1]]
    stacked = torch.stack([c, d], dim=1).flatten(1)
    joined = torch.cat([a, b[:, ::2], picked, stacked, h[..., None].squeeze(-1), h.flip(1).roll(1, 1)], dim=1)
    index = torch.arange(joined.shape[1]).remainder(3)
    return torch.where(joined > 0, joined, 0.1 * joined) * index + h.unfold(1, 2, 2).sum((1, 2))[:, None]


def places(self, ids):
    one_hot = F.one_hot(ids, 7).to(self.layer.weight.dtype)
    counts = one_hot.cumsum(1)
    gathered = counts.gather(2, ids[..., None]).squeeze(-1)
    seen = (ids[:, None, :] == ids[:, :, None]).tril(-1).any(-1)
    return self.layer(one_hot) + torch.stack([gathered, seen.to(gathered.dtype)], -1).mean(-1, keepdim=True)


def reductions(self, x):
    h = self.layer(x)
    rows = [
        h.sum(1),
        h.mean(-1),
        h.var(1),
        h.std(1, unbiased=False),
        h.amax(1),
        h.max(1).values,
        h.min(dim=1)[0],
        h.norm(dim=1),
        h.abs().prod(1),
        torch.logsumexp(h, 1),
        h.argmax(1).to(h.dtype),
        h.topk(2, dim=1).values.sum(1),
        h.sort(1)[0][:, 1],
        h.square().sum(1).clamp(min=0.1, max=5).sqrt(),
        h.cumsum(1)[:, 2],
        (h > 0).sum(1).to(h.dtype),
        F.cosine_similarity(h, h.roll(1, 1), dim=1),
        F.normalize(h, dim=1)[:, 0],
    ]
    return torch.stack(rows, 1)


def products(self, x):
    h = self.layer(x).view(x.shape[0], 2, 3)
    gram = torch.einsum("nij,nkj->nik", h, h)
    chain = torch.bmm(gram, h) + torch.baddbmm(h, gram, h, beta=0.5) + gram @ h * torch.tensor([1.0, 2.0, 3.0]).to(h)
    return chain.permute(0, 2, 1).reshape(x.shape[0], -1) + torch.addcmul(x[:, :1], x[:, 1:2], x[:, 2:3], value=0.5)


def functions(self, x):
    h = self.layer(x)
    safe = h.sigmoid() * 0.8 + 0.1
    rows = [h.sin(), h.exp(), safe.log(), safe.asin(), h.erf(), h.expm1(), h.atan(), safe.rsqrt(), h.pow(3), 2**h]
    rows += [h.abs() ** 1.5, torch.atan2(h, safe), torch.maximum(h, safe), h.round() * h, torch.lerp(h, safe, 0.3)]
    rows += [torch.logaddexp(h, safe), 1 / safe, 1 - h, F.pad(h, (1, -1)), h.clamp(-0.5, 0.5), safe.logit()]
    return torch.cat(rows, dim=1)


def conv(layer):
    return nn.Sequential(layer, nn.Tanh(), nn.Flatten())


def equals():
    """Every window is a tie, and the gradient of each tie goes to one of its weights."""
    layer = nn.Linear(8, 1)
    nn.init.ones_(layer.weight)
    return Apply(
        lambda s, x: F.max_pool1d(s.layer.weight * torch.ones_like(x), 3, 1, dilation=2) + s.layer(x), layer=layer
    )


def pooled(layer, lift=False):
    return nn.Sequential(nn.Conv2d(1, 2, 2), layer, nn.Flatten())


def pooled1d(layer):
    return nn.Sequential(nn.Conv1d(2, 2, 2), layer, nn.Flatten())


class Frozen(nn.Module):
    """A part without gradient, a constant, and a parameter of its own."""

    def __init__(self):
        super().__init__()
        self.layer, self.scale = nn.Linear(4, 4), nn.Parameter(torch.tensor(0.5))
        self.register_buffer("shift", torch.linspace(0, 1, 4))

    def forward(self, x):
        with torch.no_grad():
            gate = self.layer(x).sigmoid()
        return x * gate * self.scale + self.shift + self.layer(x).detach().sum(1, keepdim=True)


TABLE = {
    "mlp relu": (lambda: nn.Sequential(nn.Linear(4, 6), nn.ReLU(inplace=True), nn.Linear(6, 2)), real(4)),
    "mlp tanh": (lambda: nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 2)), real(4)),
    "mlp gelu": (lambda: nn.Sequential(nn.Linear(4, 6), nn.GELU(), nn.Linear(6, 6), nn.GELU("tanh")), real(4)),
    "mlp relu-like": (
        lambda: mlp(nn.ReLU(), nn.ReLU6(), nn.LeakyReLU(0.2), nn.PReLU(6), nn.PReLU(), nn.Threshold(0.1, -0.2)),
        real(4),
    ),
    "mlp elu-like": (lambda: mlp(nn.ELU(0.7), nn.CELU(2.0), nn.SELU(), nn.Softplus(2.0, 1.0)), real(4)),
    "mlp smooth": (lambda: mlp(nn.SiLU(), nn.Mish(), nn.Sigmoid(), nn.Softsign(), nn.LogSigmoid()), real(4)),
    "mlp shrinking": (lambda: mlp(nn.Tanhshrink(), nn.Softshrink(0.1), nn.Hardshrink(0.1)), real(4)),
    "mlp hard": (lambda: mlp(nn.Hardtanh(-0.5, 0.4), nn.Hardswish()), real(4)),
    "mlp normalised": (lambda: mlp(nn.Softmax(-1), nn.LogSoftmax(1), nn.GLU()), real(4)),
    "linear without bias": (lambda: nn.Linear(4, 3, bias=False), real(4)),
    "linear per position": (lambda: nn.Linear(4, 3), real(5, 4)),
    "bilinear": (lambda: Apply(lambda s, x: s.b(x, x), b=nn.Bilinear(4, 4, 2)), real(4)),
    "layer norm": (lambda: nn.Sequential(nn.Linear(4, 6), nn.LayerNorm(6), nn.Linear(6, 2)), real(4)),
    "layer norm over two axes": (lambda: nn.LayerNorm((3, 4)), real(3, 4)),
    "rms norm": (lambda: nn.Sequential(nn.Linear(4, 6), nn.RMSNorm(6), nn.Linear(6, 2)), real(4)),
    "group norm": (lambda: conv(nn.Sequential(nn.Conv2d(1, 4, 2), nn.GroupNorm(2, 4))), real(1, 4, 4)),
    "instance norm": (
        lambda: conv(nn.Sequential(nn.Conv2d(1, 4, 2), nn.InstanceNorm2d(4, affine=True))),
        real(1, 4, 4),
    ),
    "batch norm 1d": (lambda: trained_statistics(nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6))), real(4)),
    "dropout, evaluation": (lambda: nn.Sequential(nn.Linear(4, 6), nn.Dropout(0.5), nn.Linear(6, 2)).eval(), real(4)),
    "residual network": (resnet, real(1, 8, 8)),
    "conv1d": (lambda: conv(nn.Conv1d(2, 3, 3, stride=2, padding=1)), real(2, 9)),
    "conv1d circular": (lambda: conv(nn.Conv1d(2, 3, 3, padding=1, padding_mode="circular")), real(2, 6)),
    "conv2d same": (lambda: conv(nn.Conv2d(2, 3, (3, 1), padding="same", dilation=(2, 1))), real(2, 6, 5)),
    "conv2d reflect": (lambda: conv(nn.Conv2d(2, 3, 3, padding=1, padding_mode="reflect")), real(2, 5, 5)),
    "conv2d grouped": (lambda: conv(nn.Conv2d(4, 6, 3, stride=(2, 1), padding=(1, 2), groups=2)), real(4, 6, 5)),
    "conv2d depthwise": (lambda: conv(nn.Conv2d(3, 3, 3, groups=3, dilation=2, bias=False)), real(3, 7, 7)),
    "conv3d": (lambda: conv(nn.Conv3d(1, 2, 2)), real(1, 3, 4, 3)),
    "transposed conv1d": (lambda: conv(nn.ConvTranspose1d(2, 3, 3, stride=2)), real(2, 5)),
    "transposed conv2d": (
        lambda: conv(nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2, dilation=2)),
        real(4, 4, 3),
    ),
    "max pool": (lambda: pooled(nn.MaxPool2d(2)), real(1, 7, 7)),
    "max pool with edges": (lambda: pooled(nn.MaxPool2d(3, 2, padding=1, ceil_mode=True)), real(1, 7, 6)),
    "max pool of equals": (equals, real(2, 8)),
    "average pool": (lambda: pooled(nn.AvgPool2d(2)), real(1, 7, 7)),
    "average pool with edges": (
        lambda: pooled(nn.AvgPool2d(3, 2, padding=1, ceil_mode=True, count_include_pad=False)),
        real(1, 7, 6),
    ),
    "average pool 1d with edges": (lambda: pooled1d(nn.AvgPool1d(3, 2, padding=1, ceil_mode=True)), real(2, 9)),
    "adaptive average pool": (lambda: pooled(nn.AdaptiveAvgPool2d((3, 2))), real(1, 8, 6)),
    "adaptive max pool": (lambda: pooled(nn.AdaptiveMaxPool2d((3, 2))), real(1, 8, 6)),
    "upsampled": (lambda: conv(nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(1, 2, 3))), real(1, 3, 3)),
    "pixel shuffle": (lambda: conv(nn.Sequential(nn.Conv2d(1, 4, 2), nn.PixelShuffle(2))), real(1, 4, 3)),
    "embedding": (lambda: nn.Sequential(nn.Embedding(7, 4), nn.Flatten(), nn.Linear(20, 2)), tokens(5, 7)),
    "embedding with padding": (lambda: nn.Sequential(nn.Embedding(7, 4, padding_idx=2), nn.Linear(4, 2)), tokens(5, 7)),
    "tied weights": (Tied, tokens(5, 7)),
    "rnn tanh": (lambda: recurrent(nn.RNN), real(6, 3)),
    "rnn relu, batch first": (lambda: recurrent(nn.RNN, nonlinearity="relu", batch_first=True), real(6, 3)),
    "rnn, two layers, both ways": (lambda: recurrent(nn.RNN, num_layers=2, bidirectional=True), real(4, 3)),
    "gru": (lambda: recurrent(nn.GRU), real(6, 3)),
    "gru, two layers, batch first": (lambda: recurrent(nn.GRU, "all", num_layers=2, batch_first=True), real(6, 3)),
    "gru without bias": (lambda: recurrent(nn.GRU, bias=False, batch_first=True), real(6, 3)),
    "lstm": (lambda: recurrent(nn.LSTM), real(6, 3)),
    "lstm, two layers, batch first": (lambda: recurrent(nn.LSTM, "all", num_layers=2, batch_first=True), real(6, 3)),
    "lstm, both ways": (lambda: recurrent(nn.LSTM, "all", bidirectional=True, batch_first=True), real(5, 3)),
    "lstm with projection": (lambda: recurrent(nn.LSTM, proj_size=2, batch_first=True), real(5, 3)),
    "lstm alone": (lambda: nn.LSTM(3, 4, batch_first=True), real(5, 3), 0),
    "gru cell": (lambda: Apply(lambda s, x: s.cell(x[:, 1], s.cell(x[:, 0])), cell=nn.GRUCell(3, 4)), real(2, 3)),
    "lstm cell": (
        lambda: Apply(lambda s, x: s.cell(x[:, 1], s.cell(x[:, 0]))[0], cell=nn.LSTMCell(3, 4)),
        real(2, 3),
    ),
    **{
        f"attention, {spelling}": (lambda s=spelling: Attention(s), real(5, 8))
        for spelling in ("plain", "causal", "bool mask", "float mask", "by hand")
    },
    "multihead attention": (multihead, real(5, 8)),
    "multihead attention, training": (lambda: multihead(training=True), real(5, 8)),
    "multihead attention, masked": (lambda: multihead(need_weights=False, masked=True), real(5, 8)),
    "encoder layer": (encoder, real(5, 8)),
    "encoder layer, norm first, gelu": (lambda: encoder(norm_first=True, activation="gelu"), real(5, 8)),
    "encoder of two layers": (lambda: encoder(2), real(5, 8)),
    "encoder with padding": (padded_encoder, lambda n, g: tokens(5, 7)(n, g) * (torch.arange(5) < 4)),
    "gpt2": (gpt2, tokens(6, 11)),
    "gpt2, eager attention": (lambda: gpt2(attn_implementation="eager"), tokens(6, 11)),
    "slices": (lambda: Apply(slices, layer=nn.Linear(4, 6)), real(4)),
    "places": (lambda: Apply(places, layer=nn.Linear(7, 2)), tokens(5, 7)),
    "in place": (lambda: Apply(in_place, layer=nn.Linear(4, 3)), real(4)),
    "reductions": (lambda: Apply(reductions, layer=nn.Linear(4, 6)), real(4)),
    "products": (lambda: Apply(products, layer=nn.Linear(4, 6)), real(4)),
    "functions": (lambda: Apply(functions, layer=nn.Linear(4, 6)), real(4)),
    "frozen part": (Frozen, real(4)),
    "two inputs": (
        lambda: Apply(lambda s, x, ids: s.a(x) * s.b(ids).sum(1), a=nn.Linear(4, 3), b=nn.Embedding(5, 3)),
        (real(4), tokens(2, 5)),
    ),
}


def make(name, table=TABLE):
    """The module in double precision, a batch of a size, and which output is taken."""
    build, batch, *output = table[name]
    torch.manual_seed(zlib.crc32(name.encode()))
    module = build().double()
    makers = batch if isinstance(batch, tuple) else (batch,)

    def inputs(n):
        g = torch.Generator().manual_seed(n)
        made = tuple(maker(n, g) for maker in makers)
        return made if isinstance(batch, tuple) else made[0]

    return module, inputs, output[0] if output else None
