"""Boolean formulas read out of networks and written into them."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from allroads import Network, Target
from allroads.errors import InputError
from allroads.networks.mlp import mlp
from allroads.networks.recurrent import recurrent
from allroads.programs import extract
from allroads.programs.boolean import (
    LANGUAGE,
    Formula,
    circuit_of_units,
    compile_formula,
    exact_sizes,
    interchange,
    robustness,
)
from allroads.programs.boolean.alignment import candidate_sets
from allroads.programs.boolean.encoding import cube
from allroads.programs.boolean.interchange import states
from allroads.programs.boolean.units import sites, two_valued
from allroads.programs.interchange import exchange


def inputs_of(formula):
    return np.array(cube(formula.reading.values, formula.inputs), dtype=np.float32)


def target_of(formula, loss="bce", **options):
    """A target whose labels are the formula's."""
    labels = (
        formula.table.astype(float)
        if loss == "bce"
        else np.array(formula.run(cube(formula.reading.values, formula.inputs)))
    )
    return Target(
        "planted", inputs=inputs_of(formula), labels=labels, loss=loss, complete=True, train_fraction=1, **options
    )


def signs(outputs):
    return (outputs[:, 0] > 0).astype(int)


def extracted(network, params, target):
    return extract(network, params, target, languages=[LANGUAGE])


def disturbed(params, rng, noise):
    """The same function of a ReLU network: noise on its weights, hidden units permuted and rescaled."""
    layers = [
        {k: np.array(v) * (1 + noise * rng.standard_normal(v.shape)) for k, v in layer.items()}
        for layer in params["layers"]
    ]
    for layer, following in itertools.pairwise(layers):
        order = rng.permutation(len(layer["bias"]))
        scale = np.exp(rng.normal(size=len(order)))
        layer["weight"], layer["bias"] = layer["weight"][:, order] * scale, layer["bias"][order] * scale
        following["weight"] = following["weight"][order] / scale[:, None]
    return {"layers": layers}


def test_every_function_of_three_bits_compiles():
    for table in range(256):
        encoding = ("bits", "signs")[table % 2]
        formula = Formula.of_table([table >> row & 1 for row in range(8)], 3, encoding=encoding)
        network, params = compile_formula(formula, margin=2.0)
        outputs = np.asarray(network.apply(params, inputs_of(formula)))[:, 0]
        assert outputs.tolist() == (4.0 * formula.table - 2.0).tolist()


@pytest.mark.parametrize("table", [6, 105, 128, 210, 232])
def test_compiled_functions_of_three_bits_are_extracted_with_their_size(table):
    formula = Formula.of_table([table >> row & 1 for row in range(8)], 3, encoding=("bits", "signs")[table % 2])
    found = extracted(*compile_formula(formula), target_of(formula))
    assert found.program.equals(formula).proved
    assert found.program.gates == exact_sizes(3)[table]
    assert found.equivalence.proved and found.equivalence.checked == 8 and found.correct.equal
    assert found.equivalence.margin == pytest.approx(1.0)
    assert found.interchange.value == 1.0 > found.interchange.stats["null"] + 0.1
    assert found.status.value == ("computes" if formula.bits < formula.table_bits else "table")


@pytest.mark.parametrize(("output", "loss"), [("logit", "bce"), ("scores", "cross_entropy"), ("number", "mse")])
def test_each_kind_of_answer_is_read(output, loss):
    formula = Formula.parse("x0 & (x1 | x2 ^ x3)", 4, encoding="signs", answers=(1, -1) if loss == "mse" else (0, 1))
    network, params = compile_formula(formula, output=output)
    found = extracted(network, params, target_of(formula, loss))
    assert found.program.equals(formula).proved and found.correct.equal and found.status.value == "computes"


def test_disturbed_programs_are_found_again(seed):
    rng = np.random.default_rng(seed)
    for text, bits in (
        ("(x0 & x1) ^ x2 | x3 & x4", 5),
        ("x0 ^ x1 ^ x2 ^ x3 ^ x4", 5),
        ("x0 & (x1 | ~x2 & (x3 ^ x4))", 5),
    ):
        formula = Formula.parse(text, bits)
        network, params = compile_formula(formula)
        found = extracted(network, disturbed(params, rng, 0.003), target_of(formula))
        assert found.program.equals(formula).proved and found.program.gates == formula.gates
        assert (
            found.status.value == "computes"
            and found.interchange.value >= 0.99
            and found.interchange.stats["changed"] >= 0.99
        )
        assert found.interchange.stats["null"] < 0.8


def test_a_near_miss_is_another_program(seed):
    """One row flipped: the program is that of the network, and the target's answer is the counterexample."""
    formula = Formula.parse("x0 & x1 ^ x2 & x3", 4, encoding="signs")
    row = int(np.random.default_rng(seed).integers(16))
    near = formula.table
    near[row] ^= 1
    other = Formula.of_table(near, 4, encoding="signs")
    found = extracted(*compile_formula(other), target_of(formula))
    assert found.equivalence.proved and found.program.equals(other).proved
    assert not found.correct.equal
    assert list(found.correct.counterexample) == list(inputs_of(formula)[row])
    assert not found.program.equals(formula).equal
    assert found.program.equals(formula).counterexample == [int(v) for v in inputs_of(formula)[row]]


@pytest.fixture(scope="module")
def trained(seed):
    """Networks 4-16-1 trained on a rule each, on random labels, and not at all; with their labels."""
    network = mlp((4,), 1, widths=(16,))
    rows = np.array(cube((1, -1), 4), dtype=np.float32)
    rules = [Formula.parse(text, 4).table for text in ("x0 & x1", "x0 ^ x1", "x0 & x1 | x2 & x3", "x0 ^ x1 ^ x2 ^ x3")]
    random = np.random.default_rng(seed).permutation(16) % 2
    labels = np.array([*rules, random, random], dtype=np.float32)
    steps = jnp.array([400] * 5 + [0])
    optimiser = optax.adam(0.02)

    def loss(params, label):
        return optax.sigmoid_binary_cross_entropy(network.apply(params, rows)[:, 0], label).mean()

    def fit(key, label, count):
        def step(t, carried):
            params, state = carried
            moves, state = optimiser.update(jax.grad(loss)(params, label), state)
            return jax.tree.map(lambda p, m: p + jnp.where(t < count, m, 0), params, moves), state

        start = network.init(key)
        return jax.lax.fori_loop(0, 400, step, (start, optimiser.init(start)))[0]

    found = jax.jit(jax.vmap(fit))(jax.random.split(jax.random.key(seed), len(labels)), jnp.array(labels), steps)
    return network, rows, [(jax.tree.map(lambda leaf, k=k: leaf[k], found), labels[k]) for k in range(len(labels))]


@pytest.mark.slow
def test_what_is_read_of_a_trained_network_is_its_own_function(trained):
    """Rules, random labels and no training: never another function, and no causal claim that exchanges do not bear."""
    network, rows, members = trained
    for number, (params, labels) in enumerate(members):
        target = Target("rule", inputs=rows, labels=labels, loss="bce", complete=True, train_fraction=1)
        found = extracted(network, params, target)
        said = (np.asarray(network.apply(params, rows))[:, 0] > 0).astype(int)
        assert found.program is not None and found.equivalence.proved
        assert found.program.table.tolist() == said.tolist() == found.program.run(rows.astype(int).tolist())
        assert found.correct.equal == bool((said == labels).all()) == (number < 5)
        assert found.program.gates == exact_sizes(4)[sum(int(v) << r for r, v in enumerate(said))]
        claims = found.status.value == "computes"
        assert claims == (found.interchange is not None and found.interchange.value >= 0.99 and not
                          found.program.bits >= found.stats["table_bits"])  # fmt: skip


def test_random_labels_of_eight_bits_come_out_as_a_table(seed):
    """A network that memorises a random function by construction: one unit for each row of ones."""
    table = np.random.default_rng(seed).permutation(256) % 2
    rows = np.array(cube((1, -1), 8), dtype=np.float32)
    ones = rows[table == 1]
    layers = [
        {"weight": ones.T, "bias": np.full(len(ones), -7.0)},
        {"weight": np.full((len(ones), 1), 2.0), "bias": np.array([-1.0])},
    ]
    target = Target("random", inputs=rows, labels=table.astype(float), loss="bce", complete=True, train_fraction=1)
    found = extracted(mlp((8,), 1, widths=(len(ones),)), {"layers": layers}, target)
    assert found.status.value == "table" and found.equivalence.proved and found.correct.equal
    assert found.program.table.tolist() == table.tolist()


def test_the_whole_cube_is_asked_where_the_data_hold_a_part():
    formula = Formula.parse("x0 ^ x1 & x2", 3)
    target = Target("part", inputs=inputs_of(formula)[1:6], labels=formula.table[1:6].astype(float), loss="bce")
    found = extracted(*compile_formula(formula), target)
    assert found.equivalence.checked == 8 and found.program.equals(formula).proved
    assert found.correct.scope == "sampled" and found.correct.equal


def test_symbols_are_read_as_bits():
    target = Target("open", alphabet="()", length=3, function=lambda x: "ny"[x[0] == ")" and x[1] != x[2]],
                    output_alphabet="ny")  # fmt: skip
    formula = Formula.parse("x0 & (x1 ^ x2)", 3, encoding=("(", ")"), answers=("n", "y"))
    inner, point = compile_formula(Formula.parse("x0 & (x1 ^ x2)", 3), output="scores")
    network = Network(
        inner.init, lambda params, x: inner.apply(params, jnp.asarray(x).astype(params["layers"][0]["bias"].dtype))
    )
    found = extracted(network, point, target)
    assert found.program.equals(formula).proved and found.correct.equal
    assert found.program(["(", ")", "("]) == "n"
    with pytest.raises(InputError, match="are no numbers"):
        compile_formula(formula)


def fit_why(target, network=None):
    network = network or mlp(target.interface.input_shape, target.interface.outputs, widths=(4,),
                             per_position=target.interface.per_position)  # fmt: skip
    return extracted(network, network.init(jax.random.key(0)), target)


def test_what_is_no_boolean_function_is_said():
    rows = np.array(cube((0.0, 1.0), 2))
    three = Target("three", inputs=rows, labels=[0, 1, 2, 2], complete=True, train_fraction=1)
    found = fit_why(three)
    assert "two answers" in found.stats["why"] and found.status.value == "not applicable"
    levels = Target(
        "levels", inputs=np.arange(3.0)[:, None], labels=[0.0, 1.0, 1.0], loss="bce", complete=True, train_fraction=1
    )
    assert "two values" in fit_why(levels).stats["why"]
    many = np.random.default_rng(0).integers(2, size=(8, 65)) * 1.0
    wide = Target("wide", inputs=many, labels=np.arange(8) % 2, loss="bce")
    assert "there are 65 inputs" in fit_why(wide).stats["why"]
    real = Target("real", inputs=rows, labels=[0.5, 1.0, 0.5, 1.0], loss="mse", complete=True, train_fraction=1)
    assert "two answers" in fit_why(real).stats["why"]
    steps = Target("steps", alphabet=2, length=3, step=lambda s, x: (s ^ x, s ^ x), initial_state=0)
    loop = recurrent((3,), 2, vocabulary=2, per_position=True, width=4)
    assert "recurrent" in fit_why(steps, loop).stats["why"]


def test_an_answer_that_is_neither_gives_no_program():
    formula = Formula.parse("x0 ^ x1", 2, answers=(0, 1))
    network, params = compile_formula(formula, output="number")
    params["layers"][-1]["bias"] = params["layers"][-1]["bias"] + 1
    found = extracted(network, params, target_of(formula, "mse"))
    assert found.program is None and found.status.value == "no program"
    assert "answers 2 to [1, 0], which is neither 0 nor 1" in found.stats["why"]


def test_a_tie_gives_no_program():
    network = mlp((2,), 1, widths=(2,))
    zero = jax.tree.map(jnp.zeros_like, network.init(jax.random.key(0)))
    found = extracted(network, zero, target_of(Formula.parse("x0 ^ x1", 2)))
    assert found.program is None and "rounding decides" in found.stats["why"]


def test_a_constant_network_has_no_parts_to_exchange():
    network, params = compile_formula(Formula.parse("x0 & ~x0", 2))
    found = extracted(network, params, target_of(Formula.parse("x0 ^ x1", 2)))
    assert str(found.program.root) == "0" and found.interchange is None and found.status.value == "behaves as"
    assert not found.correct.equal


def test_the_same_function_by_other_steps_has_no_interchange():
    """A sum of all rows computes majority too, but its units do not hold the parts of the short formula."""
    formula = Formula.of_table(Formula.parse("x0 & x1 | x0 & x2 | x1 & x2", 3).table, 3)
    layers = [
        {"weight": np.ones((3, 2), np.float32), "bias": np.array([-1.0, -2.0], np.float32)},
        {"weight": np.float32([[2.0], [-2.0]]), "bias": np.float32([-1.0])},
    ]
    network = mlp((3,), 1, widths=(2,))
    assert np.array_equal(signs(np.asarray(network.apply({"layers": layers}, inputs_of(formula)))), formula.table)
    found = extracted(network, {"layers": layers}, target_of(formula))
    assert found.program.equals(formula).proved
    assert found.interchange is None and "no set of hidden units holds" in found.stats["why"]


def test_exchanging_units_acts_as_exchanging_the_part():
    formula = Formula.parse("x0 & x1 ^ x2", 3)
    network, params = compile_formula(formula)
    rows = inputs_of(formula)
    places = sites(network, params, rows)
    assert [site.values.shape for site in places] == [(8, 3), (8, 2), (8, 2)]
    held = next(site for site in places if np.array_equal(site.values[:, 0], rows[:, 0] * rows[:, 1]) or
                np.array_equal(site.values[:, 1], rows[:, 0] * rows[:, 1]))  # fmt: skip
    [chosen] = [s for s in candidate_sets(held.values, (rows[:, 0] * rows[:, 1]).astype(int)) if len(s) == 1]
    mask = np.zeros((8, 2), dtype=bool)
    mask[:, chosen] = True
    outputs = exchange(network, params, held.path, rows, held.values[::-1], mask)
    expected = (rows[::-1, 0] * rows[::-1, 1]).astype(int) ^ rows[:, 2].astype(int)
    assert signs(outputs).tolist() == expected.tolist()
    [part] = states(formula)
    assert part.name == "x0 & x1" and part.held.astype(int).tolist() == [
        [0, 0, 0, 0, 1, 1, 1, 1],
        [1, 1, 1, 1, 0, 0, 0, 0],
    ]


def test_exchanges_that_hit_nothing_are_not_counted():
    """A hidden layer that nothing reads holds every part, and no exchange in it changes an output."""
    formula = Formula.parse("x0 & x1 ^ x2", 3)

    def apply(params, x):
        x0, x1, x2 = jnp.moveaxis(jnp.asarray(x), 1, 0)
        beside = jnp.stack([jnp.abs(x0 * x1), jnp.abs(x2)], axis=1)
        answer = x0 * x1 + x2 - 2 * x0 * x1 * x2
        return (2 * answer - 1 + params["w"] * beside.sum(axis=1) * 0)[:, None]

    network = Network(lambda key: {"w": jnp.ones(())}, apply)
    found, why = interchange(network, {"w": np.ones(())}, formula, inputs_of(formula), signs)
    assert found is None and "no exchange" in why


def test_units_are_read_as_formulas():
    formula = Formula.parse("(x0 | x1) ^ x2 & x3", 4, encoding="signs")
    network, params = compile_formula(formula)
    found = circuit_of_units(network, params, inputs_of(formula), "signs")
    named = {str(unit.formula.root) for unit in found}
    assert {"x0", "x1", "x2", "x3", "x2 & x3"} <= named
    assert named & {"x0 | x1", "~x0 & ~x1"}
    assert two_valued(np.zeros(4)) is None


@pytest.mark.slow
def test_robustness_falls_from_one_to_chance():
    formula = Formula.parse("x0 ^ x1 & x2", 3, encoding="signs")
    shares = robustness(*compile_formula(formula), formula, [0.0, 0.02, 0.2, 20.0], draws=64)
    assert shares[0] == shares[1] == 1
    assert 1 >= shares[2] > shares[3]
    assert abs(shares[3] - 0.5) < 0.2
    with pytest.raises(InputError, match="noise"):
        robustness(*compile_formula(formula), formula, [-1.0])
    three = mlp((3,), 3, widths=(2,))
    with pytest.raises(InputError, match="one logit or two scores"):
        robustness(three, three.init(jax.random.key(0)), formula, [0.0])


@pytest.mark.parametrize(
    ("options", "said"),
    [({"output": "logits"}, "unknown output"), ({"margin": 0.0}, "margin"), ({"margin": -1}, "margin")],
)
def test_bad_options_of_the_compiler_are_refused(options, said):
    with pytest.raises(InputError, match=said):
        compile_formula(Formula.parse("x0", 1), **options)
    with pytest.raises(InputError, match="expected a Formula"):
        compile_formula("x0")
