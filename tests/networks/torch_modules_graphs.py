"""Layers on graphs and sets in plain PyTorch, for the tests of ``from_torch``."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402
from torch_modules_made_up import real  # noqa: E402

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
