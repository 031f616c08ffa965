"""Networks of 11 to 64 bits: planted and trained formulas are proved, near misses found, and nothing false is said."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from allroads import Target, extract
from allroads.errors import InputError
from allroads.networks.mlp import mlp
from allroads.programs.boolean import LANGUAGE, Formula, compile_formula, verify
from allroads.programs.boolean.evaluate import values_of
from allroads.programs.boolean.modules import formula_of
from allroads.programs.boolean.whole import whole_of
from allroads.programs.subject import Subject


def target(bits, encoding="bits", formula=None, seed=0, loss="bce"):
    """A target of a few rows; the labels are a formula's where it is given."""
    rows = np.random.default_rng(seed).integers(2, size=(64, bits)).astype(bool)
    inputs = np.where(rows, *((-1, 1) if encoding == "signs" else (1, 0))).astype(np.float32)
    labels = np.arange(64) % 2 if formula is None else values_of(formula.root, rows)
    return Target("mine", inputs=inputs, labels=labels.astype(int), loss=loss)


def read(network, params, bits, encoding="bits", most=30_000):
    """The function of a network, and its formula."""
    values = (1, -1) if encoding == "signs" else (0, 1)
    whole = whole_of(Subject(network, params, target(bits, encoding)), values, (0, 1), 0, most)
    return whole, formula_of(whole.held, whole.root) if whole.held is not None and whole.open == 0 else None


def disturbed(params, rng, noise):
    """The same function of a ReLU network: noise on its weights, hidden units permuted and rescaled."""
    layers = [
        {k: np.array(v) * (1 + noise * rng.standard_normal(v.shape)) for k, v in layer.items()}
        for layer in params["layers"]
    ]
    for layer, following in itertools.pairwise(layers):
        order, scale = rng.permutation(len(layer["bias"])), np.exp(rng.normal(size=len(layer["bias"])))
        layer["weight"], layer["bias"] = layer["weight"][:, order] * scale, layer["bias"][order] * scale
        following["weight"] = following["weight"][order] / scale[:, None]
    return {"layers": layers}


def at_least(count, variables):
    return "(" + " + ".join(f"x{i}" for i in variables) + f" >= {count})"


PLANTED = {
    "junta": ("x3 & (x7 ^ x20) | x9 & x13", 24, "signs"),
    "junta of all that can be": ("x0 ^ x63 & x31", 64, "bits"),
    "read once": ("(x0 | x9) & (x1 ^ x8 ^ (x2 | ~x7 & x12)) ^ x3 & x6 & (x4 | ~x5 | x10 & x11)", 21, "signs"),
    "many pairs": (" | ".join(f"x{i} & x{i + 20}" for i in range(20)), 40, "bits"),
    "majority": (at_least(16, range(31)), 31, "signs"),
    "parity": ("x0 ^ x5 ^ x9 ^ x13 ^ x39", 40, "signs"),
    "majority as a part": (f"x30 & {at_least(5, range(9))} ^ {at_least(3, range(10, 21))}", 32, "bits"),
    "constant": ("x0 & ~x0", 24, "bits"),
}


@pytest.mark.parametrize("name", PLANTED)
def test_planted_formulas_come_back_and_are_proved(name):
    text, bits, encoding = PLANTED[name]
    formula = Formula.parse(text, bits, encoding=encoding)
    whole, found = read(*compile_formula(formula), bits, encoding)
    assert whole.open == 0 and whole.share == 1.0 and whole.method == "boxes"
    assert 0 < whole.margin <= 1 + 1e-9
    read_back = Formula(found, bits, encoding)
    assert read_back.equals(formula).proved and read_back.bits <= formula.bits + 1e-9


@pytest.mark.slow
def test_disturbed_programs_are_proved_too(seed):
    """Noise of 0.3 % on all weights, units permuted and rescaled: boxes are no longer the same, only nearly."""
    rng = np.random.default_rng(seed)
    for text, bits in (
        ("x3 & (x7 ^ x20) | x9 & x13", 24),
        (" | ".join(f"x{i} & x{i + 11}" for i in range(11)), 22),
        (at_least(11, range(21)), 21),
    ):
        formula = Formula.parse(text, bits)
        network, params = compile_formula(formula)
        whole, found = read(network, disturbed(params, rng, 0.003), bits)
        assert whole.open == 0 and Formula(found, bits).equals(formula).proved
        assert whole.margin < 1


def test_extraction_says_what_was_shown():
    formula = Formula.parse("x3 & (x7 ^ x20)", 24, encoding="signs")
    found = extract(*compile_formula(formula, output="scores"), target(24, "signs", formula, loss="cross_entropy"))
    assert found.status.value == "computes" and found.program == formula.canonical()
    assert str(found.equivalence) == "equal on all 16,777,216 inputs"
    assert found.equivalence.stats["boxes"] < 100 and found.equivalence.margin == pytest.approx(1.0)
    assert found.correct.equal and found.correct.scope == "sampled"
    assert found.interchange.value == 1.0 > found.interchange.stats["null"]
    assert found.program.source.splitlines()[1] == "    x3, x7, x20 = (v < 0 for v in (x[3], x[7], x[20]))"


def test_up_to_twenty_bits_every_row_is_asked():
    formula = Formula.parse("x3 & (x7 ^ x11)", 12)
    found = extract(*compile_formula(formula, output="number"), target(12, formula=formula, loss="mse"))
    assert found.program == formula.canonical() and found.equivalence.proved
    assert found.equivalence.stats["method"] == "rows" and found.equivalence.stats["boxes"] == found.equivalence.checked
    assert found.status.value == "computes"


def test_one_row_of_a_billion_is_found(seed):
    """An AND of all literals is added: no sample sees it, and the proof does."""
    bits = 30
    corner = np.random.default_rng(seed).integers(2, size=bits)
    every = " & ".join(f"{'' if bit else '~'}x{i}" for i, bit in enumerate(corner))
    rule = Formula.parse("x0 & x1 | x2", bits)
    network, params = compile_formula(Formula.parse(f"(x0 & x1 | x2) ^ ({every})", bits))
    rows = np.random.default_rng([seed, 1]).integers(2, size=(4096, bits)).astype(bool)
    said = np.asarray(network.apply(params, rows.astype(np.float32)))[:, 0] > 0
    assert (said == values_of(rule.root, rows)).all()
    found = verify(network, params, target(bits), rule)
    assert not found.equal and found.scope == "exhaustive" and found.counterexample == corner.tolist()
    assert found.answers == (1 - rule(corner.tolist()), rule(corner.tolist()))
    whole, program = read(network, params, bits)
    assert whole.open == 0 and not Formula(program, bits).equals(rule).equal
    assert Formula(program, bits)(corner.tolist()) == found.answers[0]


def test_a_given_formula_is_proved():
    formula = Formula.parse(at_least(13, range(25)), 25)
    found = verify(*compile_formula(formula), target(25), formula)
    assert found.proved and found.stats["share"] == 1.0 and 0 < found.margin <= 1 + 1e-9
    assert verify(*compile_formula(formula), target(25), Formula.parse("x0", 25)).counterexample is not None


def test_what_is_open_is_not_said_to_be_proved():
    """Boxes run out: the share that is proved is said; where it is nearly all and samples agree, so is the scope."""
    every = " & ".join(f"x{i}" for i in range(40))
    network, params = compile_formula(Formula.parse(every, 40))
    found = verify(network, params, target(40), Formula.parse(every, 40), boxes=45)
    assert found.equal and found.scope == "sampled" and not found.proved and 0.9 < found.stats["share"] < 1
    whole, _ = read(*compile_formula(Formula.parse(at_least(13, range(25)), 25)), 25, most=60)
    assert whole.open != 0 and whole.share < 0.5 and "boxes are needed" in whole.why


@pytest.mark.parametrize(
    ("widths", "activation"), [((16,), "relu"), pytest.param((8, 8), "tanh", marks=pytest.mark.slow)]
)
def test_networks_that_are_not_trained_get_no_program(widths, activation, seed):
    network = mlp((24,), 1, widths=widths, activation=activation)
    params = network.init(jax.random.key(seed))
    found = extract(network, params, target(24, "signs"), languages=[LANGUAGE])
    assert found.program is None and found.status.value == "no program"
    assert "of the cube are proved" in found.stats["why"]


def trained(bits, text, activation="relu", steps=800, seed=0):
    """A network that learned a formula by ordinary training on rows that are drawn."""
    formula = Formula.parse(text, bits, encoding="signs")
    network = mlp((bits,), 1, widths=(24,), activation=activation)
    rng = np.random.default_rng(seed)
    rows = rng.random((steps, 128, bits)) < 0.5
    labels = values_of(formula.root, rows.reshape(-1, bits)).reshape(steps, 128)
    optimiser = optax.adamw(optax.cosine_decay_schedule(0.01, steps), weight_decay=0.5)

    def loss(params, inputs, label):
        return optax.sigmoid_binary_cross_entropy(network.apply(params, inputs)[:, 0], label).mean()

    def step(carried, batch):
        params, state = carried
        moves, state = optimiser.update(jax.grad(loss)(params, *batch), state, params)
        return (optax.apply_updates(params, moves), state), None

    start = network.init(jax.random.key(seed))
    batches = jnp.asarray(np.where(rows, -1, 1), jnp.float32), jnp.asarray(labels, jnp.float32)
    (params, _), _ = jax.lax.scan(step, (start, optimiser.init(start)), batches)
    return network, params, formula


@pytest.mark.parametrize(("bits", "activation"), [(20, "relu"), (40, "tanh")])
def test_a_trained_network_computes_its_rule_on_the_whole_cube(bits, activation):
    network, params, formula = trained(bits, "x3 & (x7 | ~x15)", activation)
    whole, found = read(network, params, bits, "signs")
    assert whole.open == 0 and whole.method == ("rows" if bits == 20 else "boxes") and whole.margin > 0.1
    assert Formula(found, bits, "signs") == formula.canonical()


def test_a_module_of_torch_is_proved():
    torch = pytest.importorskip("torch")
    from allroads import from_torch

    formula = Formula.parse("x0 ^ x11 & x23", 24)
    _, params = compile_formula(formula)
    layers = []
    for layer in params["layers"]:
        linear = torch.nn.Linear(*layer["weight"].shape)
        linear.weight.data, linear.bias.data = torch.tensor(layer["weight"].T), torch.tensor(layer["bias"])
        layers += [linear, torch.nn.ReLU()]
    network, point = from_torch(torch.nn.Sequential(*layers[:-1]), torch.zeros(2, 24))
    assert verify(network, point, target(24), formula).proved


def test_what_cannot_be_compared_is_refused():
    formula = Formula.parse("x0 & x1", 24)
    network, params = compile_formula(formula)
    with pytest.raises(InputError, match="expected one of 24 inputs"):
        verify(network, params, target(24), Formula.parse("x0", 23))
    with pytest.raises(InputError, match="expected one of 24 inputs"):
        verify(network, params, target(24), Formula.parse("x0", 24, encoding="signs"))
    with pytest.raises(InputError, match="expected a Formula"):
        verify(network, params, target(24), "x0 & x1")
    with pytest.raises(InputError, match="boxes"):
        verify(network, params, target(24), formula, boxes=0)
    levels = Target("levels", inputs=np.arange(48.0).reshape(2, 24) % 3, labels=[0, 1], loss="bce")
    with pytest.raises(InputError, match="two values"):
        verify(network, params, levels, formula)
    params["layers"][0]["weight"] = params["layers"][0]["weight"] * np.nan
    with pytest.raises(InputError):
        verify(network, params, target(24), formula)


def test_a_tie_on_some_row_gives_no_program():
    """x0 + … + x11 − 6 is 0 where six are 1: rounding decides there."""
    network = mlp((12,), 1, widths=())
    params = {"layers": [{"weight": np.ones((12, 1)), "bias": np.full(1, -6.0)}]}
    found = extract(network, params, target(12), languages=[LANGUAGE])
    assert found.program is None and "rounding decides" in found.stats["why"]
