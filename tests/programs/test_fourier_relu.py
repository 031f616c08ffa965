"""Fourier programs of ReLU networks with an embedding: planted, grokked, memorising and stopped early."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from descent import descended

from allroads import Target
from allroads.networks.embedding_sum import embedding_sum
from allroads.programs.extract import extract
from allroads.programs.fourier import LANGUAGE, FourierProgram
from allroads.programs.fourier.read import read
from allroads.programs.subject import subject_of
from allroads.targets.modular import modular


def pairs_of(p):
    return np.indices((p, p)).reshape(2, -1).T


def written(p, frequencies, b, grid, tied):
    """Units ``relu(cos(w x + φ₁) + cos(w b y + φ₂))`` that write ``cos(w z + φ₁ + φ₂)``, with w = 2πk/p and b = ±1.

    The embedding holds a cosine and a sine of each frequency. Phases are all pairs of a grid, or equal ones if tied.
    """
    angles = 2 * np.pi * np.outer(np.arange(p), frequencies) / p
    embed = np.concatenate([np.cos(angles), np.sin(angles)], axis=1)
    phases = 2 * np.pi * np.arange(grid) / grid + 0.1
    one, two = (phases, phases) if tied else (part.ravel() for part in np.meshgrid(phases, phases))
    count, width = len(frequencies), len(one)
    mix, out = np.zeros((1 if tied else 2, 2 * count, count * width)), np.zeros((count * width, p))
    for i, turn in enumerate(angles.T):
        units = slice(i * width, (i + 1) * width)
        for side, (phase, sign) in enumerate(((one, 1), (two, b))[: len(mix)]):
            mix[side, i, units], mix[side, count + i, units] = np.cos(phase), -sign * np.sin(phase)
        out[units] = np.cos(turn + (one + two)[:, None])
    network = embedding_sum((2,), p, vocabulary=p, width=count * width, embedding=2 * count, tied=tied)
    params = {"embed": embed, "mix": mix, "readout": {"weight": out}}
    return network, jax.tree.map(lambda leaf: leaf.astype(np.float32), params)


@pytest.mark.parametrize(("p", "frequencies", "b"), [(23, (3, 7, 11), 1), (31, (2,), -1), (53, (1, 10, 11, 20), 1)])
def test_planted_relu_programs_are_identified_exactly(p, frequencies, b):
    """A grid of 8 × 8 phases: what it leaves of other waves is below 1e-4 of the variance."""
    network, params = written(p, frequencies, b, 8, tied=False)
    target = modular(p=p, polynomial="a + b" if b == 1 else "a - b")
    found = extract(network, params, target, languages=[LANGUAGE])
    assert found.program == FourierProgram(p, frequencies, 1, b)
    assert (found.status, found.correct.equal) == ("computes", True)
    assert found.equivalence.stats["explained"] >= 0.999
    assert found.equivalence.stats["units"] == dict.fromkeys(frequencies, 64)
    assert found.interchange.value == 1


@pytest.mark.parametrize("p", [23, 53])
def test_equal_phases_leave_an_amplitude_of_each_distance(p):
    """Logits are Σ |cos(πk(x − y)/p)| cos(2πk(x + y − z)/p): one cosine has 2 / (p sin(π/2p))² of the variance.

    Over x − y the mean of |cos| is 1 / (p sin(π/2p)) and that of its square 1/2. It is 81 %, which earns no program,
    although every answer is right. Equal phases on a grid of 32 leave other waves below 1e-3 of the variance.
    """
    network, params = written(p, (2, 5), 1, 32, tied=True)
    target = modular(p=p)
    x, y, z = np.indices((p, p, p))
    logits = np.asarray(network.apply(params, pairs_of(p)), np.float64).reshape(p, p, p)
    rule = sum(np.abs(np.cos(np.pi * k * (x - y) / p)) * np.cos(2 * np.pi * k * (x + y - z) / p) for k in (2, 5))
    scale = (logits * rule).sum() / (rule**2).sum()
    assert ((logits - scale * rule) ** 2).mean() <= 1e-3 * (logits**2).mean()
    assert (logits.argmax(axis=2) == target.full.labels.reshape(p, p)).all()
    reading = read(subject_of(network, params, target), 0)
    assert reading.program is None
    share = 2 / (p * np.sin(np.pi / (2 * p))) ** 2
    said = float(reading.why.split("%")[0]) / 100
    assert said == pytest.approx(share, abs=2e-3)


def train(target, steps, decay, rate=0.01, seed=0):
    p = target.interface.outputs
    network = embedding_sum((2,), p, vocabulary=p, width=256, embedding=64, init="lecun")
    rule = optax.adamw(rate, b1=0.9, b2=0.98, weight_decay=decay)
    x, y = np.asarray(target.train.inputs), jnp.asarray(target.train.labels)

    def loss(params):
        return optax.softmax_cross_entropy_with_integer_labels(network.apply(params, x), y).mean()

    return network, descended(loss, network.init(jax.random.key(seed)), rule, steps)


def share_right(network, params, side):
    return (np.asarray(network.apply(params, side.inputs)).argmax(axis=1) == side.labels).mean()


@pytest.mark.slow
def test_relu_network_with_an_embedding_computes_a_program_of_few_frequencies(seed):
    target = modular(p=31, train_fraction=0.8, seed=seed)
    network, params = train(target, 2000, 1.0, seed=seed)
    assert share_right(network, params, target.held_out) == 1
    found = extract(network, params, target, languages=[LANGUAGE])
    assert (found.status, found.correct.equal) == ("computes", True)
    assert (found.program.a, found.program.b, found.program.c) == (1, 1, 0)
    assert found.equivalence.stats["explained"] >= 0.95
    assert len(found.program.frequencies) <= 11  # of 15
    assert found.interchange.value >= 0.99
    assert found.interchange.stats["null"] <= 0.8


@pytest.mark.slow
def test_embedding_that_memorises_random_labels_holds_no_program(seed):
    p = 23
    labels = np.random.default_rng(seed).integers(0, p, p * p)
    target = Target("random", inputs=pairs_of(p), labels=labels, alphabet=p, complete=True, classes=p, train_fraction=1)
    network, params = train(target, 150, 0.0, seed=seed)
    assert share_right(network, params, target.full) > 0.99
    found = extract(network, params, target, languages=[LANGUAGE])
    assert (found.program, found.status) == (None, "no program")


@pytest.mark.slow
def test_stopped_before_it_generalises_it_holds_no_program(seed):
    """The same training that ends at a program: all training pairs are known, and most others are not."""
    target = modular(p=31, train_fraction=0.7, seed=seed)
    network, params = train(target, 60, 1.0, seed=seed)
    assert share_right(network, params, target.train) > 0.99
    assert share_right(network, params, target.held_out) < 0.5
    found = extract(network, params, target, languages=[LANGUAGE])
    assert (found.program, found.status) == (None, "no program")
