"""What is measured at a GPT-2 of ``transformers``, with random and with briefly trained weights, held against PyTorch.

Random tokens, or a Markov chain of 32 tokens each of which has two successors, at probabilities 3/4 and 1/4: no
prediction has a mean loss below the chain's entropy, 0.5623 nats per token.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator, eigsh
from transformers import GPT2Config, GPT2LMHeadModel

from allroads import (
    SGLD,
    Adam,
    Chains,
    Network,
    ParameterFunctionMap,
    Problem,
    Recording,
    SpectrumOptions,
    align,
    barrier,
    explore,
    from_torch,
    llc,
    spectrum,
    symmetries,
    to_torch_state,
    top_eigenvalue,
)

STATES, COMMON = 32, 0.75
ENTROPY = -COMMON * np.log(COMMON) - (1 - COMMON) * np.log(1 - COMMON)


class Case(NamedTuple):
    """Sizes, how long it is trained, and what is measured."""

    layers: int
    width: int
    vocabulary: int
    count: int
    tokens: int
    measures: tuple[str, ...]
    steps: int = 0
    training: int = 32
    """Sequences per step of Adam."""
    corpus: int = 1024
    """Sequences that it draws from."""
    batch: int = 2
    """Sequences per gradient of a chain."""
    draws: int = 8
    rows: int = 8
    """Outputs of the kernel."""


CASES = {
    "gpt2 10^5": Case(2, 64, 500, 8, 16, ("top", "spectrum", "llc", "kernel", "align")),
    "gpt2 10^6": Case(2, 192, 1000, 8, 16, ("top", "llc", "kernel", "align")),
    "gpt2 10^6, trained": Case(
        2, 192, 1000, 64, 8, ("top", "llc", "kernel"), steps=300, training=32, batch=16, draws=32
    ),
    "gpt2 10^7": Case(2, 640, 1000, 4, 16, ("top", "kernel")),
    "gpt2 2 of 12 layers, whole vocabulary": Case(2, 768, 50257, 2, 16, ("top",)),
    "gpt2 2 of 12 layers, trained": Case(
        2, 768, 50257, 8, 8, ("kernel", "top"), steps=200, training=8, corpus=256, rows=4
    ),
    "gpt2 10^8": Case(12, 768, 50257, 1, 8, ("top",)),
}


def sequences(case: Case, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Tokens and those that follow, ``[count, tokens]`` each: at random, or of the Markov chain where it is trained."""
    rng = np.random.default_rng(seed)
    if not case.steps:
        drawn = rng.integers(0, case.vocabulary, (count, case.tokens + 1))
    else:
        successors = np.random.default_rng(7).permuted(np.tile(np.arange(STATES), (STATES, 1)), axis=1)[:, :2]
        drawn = np.empty((count, case.tokens + 1), int)
        drawn[:, 0] = rng.integers(0, STATES, count)
        for t in range(case.tokens):
            drawn[:, t + 1] = successors[drawn[:, t], (rng.random(count) > COMMON).astype(int)]
    return drawn[:, :-1], drawn[:, 1:]


class Model:
    """One case: the module, and its network, point and problem once ``read`` and ``trained`` have run."""

    def __init__(self, case: Case):
        torch.manual_seed(0)
        torch.set_num_threads(1)
        self.case = case
        config = GPT2Config(
            vocab_size=case.vocabulary, n_positions=1024 if case.vocabulary > 50_000 else case.tokens,
            n_embd=case.width, n_layer=case.layers, n_head=case.width // 64, use_cache=False, bos_token_id=0,
            eos_token_id=0, attn_implementation="eager",
        )  # fmt: skip
        self.module = GPT2LMHeadModel(config).eval()
        self.inputs, self.labels = sequences(case, case.count, 0)

    def read(self) -> dict[str, Any]:
        self.network, self.params = from_torch(self.module, torch.tensor(np.concatenate([self.inputs] * 2)[:2]))
        self.problem = Problem(self.network, "cross_entropy", self.inputs, self.labels)
        return {"parameters": sum(leaf.size for leaf in jax.tree.leaves(self.params))}

    def trained(self) -> dict[str, Any]:
        """Adam on sequences of the chain, and the loss on others; the measures take others too."""
        inputs, labels = sequences(self.case, self.case.corpus, 1)
        problem = Problem(self.network, "cross_entropy", inputs, labels)
        run = explore(
            problem, Adam(learning_rate=1e-3, batch_size=self.case.training), 1,
            steps=self.case.steps, start=jax.tree.map(lambda leaf: leaf[None], self.params), probes=inputs[:1],
            record=Recording(records=2, checkpoints=2),
        )  # fmt: skip
        self.params = jax.tree.map(lambda leaf: leaf[0], run.ends())
        self.module.load_state_dict(to_torch_state(self.params, self.module))
        other = Problem(self.network, "cross_entropy", *sequences(self.case, 64, 2))
        loss = float(np.mean(other.losses(self.params)))
        return {"held_out_loss": round(loss, 4), "entropy": round(float(ENTROPY), 4)}

    def top(self) -> dict[str, Any]:
        found = top_eigenvalue(self.problem, self.params, tolerance=1e-3)
        return {"value": found.value, "error": found.error, "status": found.status.value}

    def spectrum(self) -> dict[str, Any]:
        options = SpectrumOptions(probes=8, steps=20)
        found = spectrum(self.problem, self.params, top=2, options=options, progress=False)
        return {
            "value": found.trace.value, "error": found.trace.error, "status": found.status.value,
            "eigenvalues": found.eigenvalues.tolist(),
        }  # fmt: skip

    def llc(self) -> dict[str, Any]:
        chains = Chains(
            count=2, draws=self.case.draws, burn_in=self.case.draws, metric="none", ladder=False, dtype="float32"
        )
        nbeta = len(self.problem) / np.log(len(self.problem))
        sampler = SGLD(batch_size=self.case.batch)
        found = llc(self.problem, self.params, sampler=sampler, nbeta=nbeta, chains=chains, progress=False)
        return {
            "value": found.value, "error": found.error, "status": found.status.value, "nbeta": float(nbeta),
            "gradients": found.stats["gradients"],
        }  # fmt: skip

    def kernel(self) -> dict[str, Any]:
        """Of a few scores at the last token of two sequences, against the rows of PyTorch's Jacobian."""
        scores = self.case.rows // 2
        read = Network(self.network.init, lambda p, x: self.network.apply(p, x)[:, -1, :scores])
        found = np.asarray(ParameterFunctionMap(read, self.inputs[:2], memory=3 * 2**30).kernel(self.params), float)
        return {"value": float(np.trace(found)), "kernel": found}

    def align(self) -> dict[str, Any]:
        """The module's units moved by a random symmetry, and put back by either method."""
        found = symmetries(self.network, self.params, self.inputs)
        moved = found.act(found.random(np.random.default_rng(1), spread=0.2), self.params)
        row: dict[str, Any] = {"units": sum(found.units[k].size for k in found.movable)}
        for method in ("weights", "activations"):
            back = align(self.network, self.params, moved, self.inputs, method=method, restarts=0, progress=False)
            row |= {"distance_before": back.distance_before, f"distance_{method}": back.distance}
        height = barrier(self.problem, self.params, back.params, points=3).height
        return row | {"status": back.status.value, "barrier": float(height)}

    # The same by PyTorch.

    def _parameters(self) -> list[torch.nn.Parameter]:
        return list(self.module.parameters())

    def _flat(self, loss: torch.Tensor, **options: Any) -> torch.Tensor:
        return torch.cat([g.reshape(-1) for g in torch.autograd.grad(loss, self._parameters(), **options)])

    def torch_top(self) -> dict[str, Any]:
        """``eigsh`` of SciPy on PyTorch's products of the Hessian with a vector."""
        scores = self.module(torch.tensor(self.inputs)).logits
        loss = torch.nn.functional.cross_entropy(scores.flatten(0, 1), torch.tensor(self.labels).flatten())
        gradient = self._flat(loss, create_graph=True)

        def product(v: np.ndarray) -> np.ndarray:
            along = torch.tensor(v.reshape(-1), dtype=torch.float32)
            return self._flat(gradient @ along, retain_graph=True).numpy()

        operator = LinearOperator((len(gradient),) * 2, product, dtype=np.float32)
        value = eigsh(operator, k=1, which="LA", tol=1e-4, ncv=12, return_eigenvectors=False)
        return {"torch": float(value[0])}

    def torch_kernel(self, found: np.ndarray) -> dict[str, Any]:
        scores = self.module(torch.tensor(self.inputs[:2])).logits[:, -1, : self.case.rows // 2].flatten()
        rows = torch.stack([self._flat(score, retain_graph=True).detach() for score in scores])
        exact = (rows.double() @ rows.double().T).numpy()  # products in single precision are off by up to 5e-4
        return {"relative_error": float(np.abs(found - exact).max() / exact.max())}


Measured = Callable[[str, Callable[[], dict[str, Any]]], dict[str, Any]]


def gpt2(name: str, measured: Measured, only: list[str] | None = None) -> Iterator[dict[str, Any]]:
    """The rows of one case, or of a few of its measures; PyTorch's own values are taken outside of what is measured."""
    model = Model(CASES[name])
    yield measured("from_torch", model.read)
    if model.case.steps:
        yield measured(f"{model.case.steps} steps of Adam", model.trained)
    for measure in only or model.case.measures:
        row = measured(measure, getattr(model, measure))
        if measure == "top" and model.case.vocabulary < 50_000:
            row |= model.torch_top()
        if measure == "kernel":
            row |= model.torch_kernel(row.pop("kernel"))
        yield row
