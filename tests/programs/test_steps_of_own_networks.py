"""Steps of a user's own networks: derived where one answer is asked per sequence, or asked for by name."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from allroads import Cell, Network, Target, extract, from_torch
from allroads.pfmap.jaxpr import recurrent_cell, steps_seen
from allroads.programs import compile_program
from allroads.programs.acceptor import LANGUAGE, Acceptor
from allroads.programs.extract import HINT, NOTHING
from allroads.programs.mealy import LANGUAGE as MEALY
from allroads.programs.mealy import Machine
from allroads.status import ExtractionStatus

TORCH = "a module of PyTorch is read: pip install 'allroads[torch]'"
ONE_SEEN = Machine((0, 1), ((0, 1), (1, 1)), ((0, 1), (1, 1)))
ANY = Target("a one was read", alphabet=2, length=4, function=lambda word: max(word), train_fraction=1)


def last_of(torch, kind="LSTM", how="output", width=1, outputs=2):
    """A recurrent layer of PyTorch with one answer per sequence, by one of several ways."""

    class Last(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.letters = torch.nn.Embedding(2, 1)
            self.layer = getattr(torch.nn, kind)(1, width, batch_first=True)
            self.out = torch.nn.Linear(width, outputs)

        def forward(self, tokens):
            columns, end = self.layer(self.letters(tokens))
            state = end[0] if kind == "LSTM" else end
            pooled = {"output": columns[:, -1], "state": state[-1], "mean": columns.mean(1), "max": columns.amax(1)}
            return self.out(pooled[how])

    torch.manual_seed(0)
    return Last().eval()


@pytest.mark.parametrize(("kind", "how"), [("RNN", "output"), ("GRU", "state"), ("LSTM", "output"), ("LSTM", "state")])
def test_one_answer_per_sequence_gives_a_step(kind, how):
    """After each prefix the step answers as the module does when it is given the prefix alone."""
    torch = pytest.importorskip("torch", reason=TORCH)
    module = last_of(torch, kind, how, width=5, outputs=3)
    network, params = from_torch(module, torch.zeros(2, 4, dtype=torch.long))
    words = np.random.default_rng(0).integers(0, 2, (5, 4))
    cell = recurrent_cell(network, params, words)
    state = cell.initial_state(params, 5)
    for position in range(4):
        state, output = cell.step(params, state, words[:, position])
        with torch.no_grad():
            own = module(torch.as_tensor(words[:, : position + 1])).numpy()
        np.testing.assert_allclose(output, own, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["mean", "max"])
def test_what_pools_over_positions_has_no_step_of_one_and_is_told_so(how):
    torch = pytest.importorskip("torch", reason=TORCH)
    network, params = from_torch(last_of(torch, "GRU", how, width=5), torch.zeros(2, 4, dtype=torch.long))
    assert recurrent_cell(network, params, ANY.full.inputs) is None and steps_seen(network, params, ANY.full.inputs)
    if how == "mean":
        found = extract(network, params, ANY, languages=[LANGUAGE])
        assert found.stats["hint"] == HINT and found.stats["why"].endswith(HINT)


def test_a_step_of_the_last_letters_alone_is_refused():
    """A network that reads the second half of its words: the step folds to its answers at one length, not at half."""

    def apply(params, tokens):
        columns = jnp.swapaxes(tokens, 0, 1) * 1.0
        weights = (jnp.arange(len(columns)) + 1 == len(columns)) | (len(columns) < 4)
        steps = (columns, jnp.broadcast_to(weights, (len(columns),)))
        end = jax.lax.scan(lambda s, c: (jnp.where(c[1], c[0], 0.5 * s), None), jnp.zeros(tokens.shape[0]), steps)[0]
        return params * jnp.stack([0.5 - end, end - 0.5], axis=1) * (1 if len(columns) != 3 else -1)

    words = np.random.default_rng(0).integers(0, 2, (4, 6))
    assert recurrent_cell(Network(lambda key: 1.0, apply), jnp.ones(()), words) is None


def latch(torch):
    """An LSTM whose hidden state is tanh 1 from the first 1 on and -tanh 1 before: its old memory is always dropped."""
    module = last_of(torch)
    with torch.no_grad():
        module.letters.weight[:] = torch.tensor([[0.0], [1.0]])
        module.layer.weight_ih_l0[:] = torch.tensor([[0.0], [0.0], [40.0], [0.0]])  # gates: input, forget, memory, out
        module.layer.weight_hh_l0[:] = torch.tensor([[0.0], [0.0], [20.0], [0.0]])
        module.layer.bias_ih_l0[:] = torch.tensor([20.0, -20.0, -10.0, 20.0])
        module.layer.bias_hh_l0[:] = 0.0
        module.out.weight[:] = torch.tensor([[-1.0], [1.0]])
        module.out.bias[:] = 0.0
    return module


@pytest.mark.slow
def test_an_lstm_of_pytorch_with_one_answer_is_proved_at_all_lengths():
    torch = pytest.importorskip("torch", reason=TORCH)
    network, params = from_torch(latch(torch), torch.zeros(2, 4, dtype=torch.long))
    found = extract(network, params, ANY)
    assert (found.status, found.equivalence.scope) == (ExtractionStatus.COMPUTES, "all lengths"), found.stats["why"]
    assert found.program == Acceptor(ONE_SEEN, None) and found.correct.equal and found.stats["hint"] == ""


def test_a_module_that_reads_its_last_letters_alone_is_not_proved_at_all_lengths():
    """The latch, given the last four letters: at four it is the machine, on longer words it is not."""
    torch = pytest.importorskip("torch", reason=TORCH)
    inner, params = from_torch(latch(torch), torch.zeros(2, 4, dtype=torch.long))
    network = Network(inner.init, lambda p, x: inner.apply(p, x[:, -4:]))
    found = extract(network, params, ANY, languages=[LANGUAGE])
    assert found.equivalence.scope in ("to length", "exhaustive") and found.program.length == 4
    assert found.correct.equal


def parity(params, tokens):
    """A loop that is written out: the state is +1 or -1 and turns its sign at each 1."""
    state, said = jnp.ones(tokens.shape[0]), []
    for position in range(tokens.shape[1]):
        state, output = step(params, state, tokens[:, position])
        said.append(output)
    return jnp.stack(said, axis=1)


def step(params, state, x):
    state = jnp.tanh(params * state * (1 - 2 * x))
    return state, jnp.stack([state, -state], axis=1)


def test_a_loop_that_is_written_out_is_told_how_to_name_its_step():
    """Without the step: all words to length 6 alone, and a hint; with it: a proof at all lengths, and none."""
    target = Target("parity", alphabet=2, length=6, step=lambda s, x: (s ^ x, s ^ x), initial_state=0)
    network, params = Network(lambda key: jnp.float32(3.0), parity), jnp.float32(3.0)
    found = extract(network, params, target, languages=[MEALY])
    assert found.equivalence.scope == "to length" and found.stats["hint"] == HINT
    assert found.stats["why"].endswith(HINT) and HINT in repr(found)
    named = dataclasses.replace(network, cell=Cell(lambda params, batch: jnp.ones(batch), step))
    found = extract(named, params, target, languages=[MEALY])
    assert found.equivalence.scope == "all lengths" and found.stats["hint"] == "" and HINT not in repr(found)
    for bare in (network, named):
        once = dataclasses.replace(bare, apply=lambda p, x: parity(p, x)[:, -1])
        asked = Target("parity", alphabet=2, length=6, function=lambda word: sum(word) % 2)
        found = extract(once, params, asked, languages=[LANGUAGE])
        assert (found.stats["hint"] == HINT) == (bare is network) and found.correct.equal


def test_a_transformer_gets_no_hint():
    from allroads.networks.build import build

    network = build("transformer", ANY.interface, layers=2, d_model=8, heads=1, d_mlp=8)
    params = network.init(jax.random.key(0))
    assert not steps_seen(network, params, ANY.full.inputs)
    assert extract(network, params, ANY, languages=[LANGUAGE]).stats["hint"] == ""


def test_one_state_passes_no_causal_check():
    """A machine of one state is proved; that states are exchanged as the program's are says nothing of it."""
    turned = Machine((0, 1), ((0, 0),), ((1, 0),))
    network, params = compile_program(turned, length=6)
    target = Target("not", alphabet=2, length=6, step=lambda s, x: (s, 1 - x), initial_state=0)
    found = extract(network, params, target)
    assert found.program == turned and found.equivalence.scope == "all lengths" and found.correct.equal
    assert (found.interchange.value, found.interchange.stats["null"]) == (1.0, 1.0)
    assert found.status == ExtractionStatus.BEHAVES_AS and NOTHING in found.stats["why"]


@pytest.mark.slow
def test_a_trained_lstm_of_pytorch_with_one_answer_is_read_as_its_machine():
    """Whether 101 was read, from one label per word of eight letters: four states, with the causal check."""
    torch = pytest.importorskip("torch", reason=TORCH)
    target = Target("101", alphabet=2, length=8, function=lambda word: int("101" in "".join(map(str, word))))
    module = last_of(torch, "LSTM", "output", width=16).train()
    optimiser = torch.optim.Adam(module.parameters(), lr=0.02)
    words, labels = (torch.as_tensor(np.array(side)) for side in (target.full.inputs, target.full.labels))
    for _ in range(400):
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(module(words.long()), labels.long()).backward()
        optimiser.step()
    network, params = from_torch(module.eval(), torch.zeros(2, 8, dtype=torch.long))
    found = extract(network, params, target)
    assert found.correct.equal and found.program.machine.states == 4, found
    assert found.status == ExtractionStatus.COMPUTES and found.interchange.stats["null"] < 0.9
