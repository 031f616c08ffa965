"""Group programs: characters, planted networks by entries and by cosets, networks that hold no program."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from descent import descended
from group_tables import alternating, product, quaternions

from allroads import Target
from allroads.errors import InputError
from allroads.networks.embedding_sum import embedding_sum
from allroads.networks.mlp import mlp
from allroads.pfmap.network import Network
from allroads.programs import compile_program, run_source, shared_parts
from allroads.programs.extract import extract
from allroads.programs.fourier import FourierProgram
from allroads.programs.fourier.spectrum import centred
from allroads.programs.fourier.units import last_hidden
from allroads.programs.groups import (
    LANGUAGE,
    GroupProgram,
    compile_group,
    coset_irreps,
    irreps,
    subgroups,
    unit_cosets,
)
from allroads.programs.groups.characters import complex_characters, projector
from allroads.programs.groups.finite_group import as_rows, few_generators, finite_group, generated, why_no_group
from allroads.programs.groups.interchange import interchange
from allroads.programs.groups.matrices import matrices
from allroads.programs.groups.read import fits, read
from allroads.programs.groups.spectrum import built, characters, unit_irreps
from allroads.programs.groups.subgroups import kept_by_cosets
from allroads.programs.subject import subject_of
from allroads.targets.groups import cyclic, dihedral, group, symmetric

GOLDEN = (1 + math.sqrt(5)) / 2
TABLES = {
    "S3": symmetric(3),
    "S4": symmetric(4),
    "S5": symmetric(5),
    "A4": alternating(4),
    "A5": alternating(5),
    "D5": dihedral(5),
    "D6": dihedral(6),
    "Q8": quaternions(),
    "Z3×Z4": product(3, 4),
    "Z2×Z2×Z2": product(2, 2, 2),
    "Z7": cyclic(7),
}


def pairs_of(n):
    return np.indices((n, n)).reshape(2, -1).T


def test_the_trivial_representation_is_no_part_of_a_program():
    """It adds the same to all answers, so that networks with it and without it compute one program."""
    table = as_rows(symmetric(3))
    assert GroupProgram(table, ("1a", "2a")) == GroupProgram(table, ("2a",))
    with pytest.raises(InputError, match="1a map 6 elements to the unit matrix"):
        GroupProgram(table, ("1a",))


@pytest.mark.parametrize("name", TABLES)
def test_characters_are_orthonormal_and_complete(name):
    """Both orthogonality relations, and the dimensions' squares sum to the order."""
    found = finite_group(as_rows(TABLES[name]))
    table, n = complex_characters(found), found.order
    np.testing.assert_allclose((table * found.sizes) @ table.conj().T, n * np.eye(len(table)), atol=1e-6 * n)
    np.testing.assert_allclose(table.conj().T @ table, np.diag(n / found.sizes), atol=1e-6 * n)
    assert (table[:, 0] ** 2).sum().real == pytest.approx(n, abs=1e-6)
    assert (table[0] == 1).all()


@pytest.mark.parametrize(
    ("name", "dimensions"),
    [
        ("S4", [1, 1, 2, 3, 3]),
        ("S5", [1, 1, 4, 4, 5, 5, 6]),
        ("A4", [1, 2, 3]),  # two complex ones of dimension 1 are one real of dimension 2
        ("A5", [1, 3, 3, 4, 5]),
        ("D5", [1, 1, 2, 2]),
        ("D6", [1, 1, 1, 1, 2, 2]),
        ("Q8", [1, 1, 1, 1, 4]),  # quaternionic
        ("Z7", [1, 2, 2, 2]),
        ("Z2×Z2×Z2", [1] * 8),
        ("Z3×Z4", [1, 1, 2, 2, 2, 2, 2]),
    ],
)
def test_real_representations_of_known_groups(name, dimensions):
    found = irreps(as_rows(TABLES[name]))
    assert [irrep.dimension for irrep in found] == dimensions
    assert len({irrep.name for irrep in found}) == len(found)
    total = sum(projector(finite_group(as_rows(TABLES[name])), irrep) for irrep in found)
    np.testing.assert_allclose(total, np.eye(len(total)), atol=1e-7)


def test_characters_of_s5_count_fixed_points_and_signs():
    """1b is the sign, one of dimension 4 is the number of fixed points less 1, the other that times the sign."""
    permutations = list(itertools.permutations(range(5)))
    fixed = np.array([sum(i == image for i, image in enumerate(g)) for g in permutations]) - 1
    sign = np.array([1 - 2 * (sum(a > b for a, b in itertools.combinations(g, 2)) % 2) for g in permutations])
    by_name = {irrep.name: irrep.character for irrep in irreps(as_rows(symmetric(5)))}
    np.testing.assert_array_equal(by_name["1b"], sign)
    np.testing.assert_array_equal(sorted([tuple(by_name["4a"]), tuple(by_name["4b"])]),
                                  sorted([tuple(fixed), tuple(fixed * sign)]))  # fmt: skip
    np.testing.assert_array_equal(by_name["5a"] * sign, by_name["5b"])


def test_characters_of_a5_hold_the_golden_ratio():
    found = [irrep for irrep in irreps(as_rows(alternating(5))) if irrep.dimension == 3]
    values = np.unique(np.concatenate([irrep.character for irrep in found]).round(6))
    np.testing.assert_allclose(values, sorted([3, 0, -1, GOLDEN, 1 - GOLDEN]), atol=1e-6)


@pytest.mark.parametrize("name", ["S4", "A5", "D6", "Q8", "Z7", "A4"])
def test_matrices_multiply_as_the_group_and_have_the_character(name):
    rows = as_rows(TABLES[name])
    found = finite_group(rows)
    for irrep in irreps(rows):
        rho = matrices(found, irrep)
        np.testing.assert_allclose(np.trace(rho, axis1=1, axis2=2), irrep.character, atol=1e-7)
        np.testing.assert_allclose(rho @ rho.transpose(0, 2, 1), np.broadcast_to(np.eye(irrep.dimension), rho.shape),
                                   atol=1e-8)  # fmt: skip
        np.testing.assert_allclose(rho[:, None] @ rho[None], rho[found.table], atol=1e-7)


@pytest.mark.parametrize(
    ("name", "count"), [("S3", 6), ("S4", 30), ("S5", 156), ("A5", 59), ("Q8", 6), ("D6", 16), ("Z7", 2)]
)
def test_number_of_subgroups_is_the_known_one(name, count):
    found = subgroups(as_rows(TABLES[name]))
    assert len(found) == count
    for members in found:
        assert set(TABLES[name][np.ix_(members, members)].ravel()) == set(members)


def test_tables_that_are_no_groups_say_the_law():
    assert why_no_group(symmetric(4)) == ""
    assert "twice" in why_no_group(np.zeros((3, 3), int))
    assert "associative" in why_no_group((np.arange(3)[:, None] - np.arange(3)) % 3)
    assert generated(symmetric(4), few_generators(as_rows(symmetric(4)))).all()


PLANTED = [
    ("S4", ("3a", "2a")),
    ("S4", ("3b",)),
    ("A4", ("3a",)),
    ("A5", ("3a", "4a")),
    ("D5", ("2a", "2b")),
    ("D6", ("1b", "2a", "2b")),
    ("Q8", ("4a",)),
    ("Z3×Z4", ("2b", "2d", "2e", "1b")),
]


@pytest.mark.parametrize(("name", "names"), PLANTED)
def test_planted_programs_are_identified_exactly(name, names):
    table = TABLES[name]
    program = GroupProgram(table, names)
    network, params = compile_program(program, mix=3)
    found = extract(network, params, group(table=table.tolist()), languages=[LANGUAGE])
    n = len(table)
    assert found.program == program
    assert (found.status, found.correct.equal) == ("computes", True)
    assert (found.equivalence.scope, found.equivalence.checked) == ("exhaustive", n * n)
    stats = found.equivalence.stats
    assert stats["explained"] == pytest.approx(1, abs=1e-4)
    assert stats["restricted"] == pytest.approx(stats["loss"], abs=1e-3)
    assert stats["excluded"] == pytest.approx(math.log(n), abs=0.01)
    assert stats["units"] == {irrep.name: 2 * irrep.dimension**3 for irrep in program.chosen}
    assert found.interchange.value == 1
    assert found.interchange.stats["null"] <= (1 if len(names) == 1 else 0.9)


def test_planted_on_cosets_is_the_same_program_by_other_units():
    """The cosets of S3 in S4 hold one representation of dimension 3: one algorithm, two kinds of hidden units."""
    rows = as_rows(symmetric(4))
    fixes_last = [g for g, image in enumerate(itertools.permutations(range(4))) if image[3] == 3]
    program = GroupProgram(rows, coset_irreps(rows, fixes_last))
    orders = {}
    for kind, options in {"cosets": {"subgroup": fixes_last}, "entries": {}}.items():
        network, params = compile_group(program, mix=1, **options)
        target = group(family="symmetric", n=4)
        found = extract(network, params, target, languages=[LANGUAGE])
        assert (found.program, found.status) == (program, "computes")
        hidden, _ = last_hidden(subject_of(network, params, target), pairs_of(24))
        orders[kind] = unit_cosets(hidden.reshape(24, 24, -1), finite_group(rows), rows)
    assert (orders["cosets"] >= 6).all()
    assert len(orders["cosets"]) == 4**3
    assert (orders["entries"] <= 2).all()  # a vector lies near one of the nine planes that a pair of elements fixes


def test_noise_leaves_the_program_until_it_covers_it():
    program, target = GroupProgram(dihedral(7), ("2a", "2b", "2c")), group(family="dihedral", n=7)
    assert read(subject_of(*compile_group(program, noise=0.02), target), 0).program == program
    reading = read(subject_of(*compile_group(program, noise=0.3), target), 0)
    assert reading.program is None
    assert reading.why


def test_one_pair_moved_is_no_program():
    network, params = compile_group(GroupProgram(dihedral(5), ("2a", "2b")))
    bump = np.zeros((100, 10), np.float32)
    bump[37, 0] = 50

    def apply(params, x):
        return network.apply(params, x) + jnp.asarray(bump)[x[:, 0] * 10 + x[:, 1]]

    reading = read(subject_of(Network(network.init, apply), params, group(family="dihedral", n=5)), 0)
    assert reading.program is None
    assert "twice in a row or column" in reading.why


def test_scores_that_tie_are_no_program():
    target = group(family="dihedral", n=3)
    network = embedding_sum((2,), 6, vocabulary=6, width=4)
    params = jax.tree.map(jnp.zeros_like, network.init(jax.random.key(0)))
    assert "tie" in read(subject_of(network, params, target), 0).why


def test_untrained_networks_and_random_labels_hold_no_program(seed):
    target = group(family="symmetric", n=3)
    network = embedding_sum((2,), 6, vocabulary=6, width=64)
    for draw in range(20):
        params = network.init(jax.random.key(1000 * seed + draw))
        assert read(subject_of(network, params, target), draw).program is None


def test_table_behaves_as_the_group_and_holds_no_characters():
    """One hidden unit a pair: right answers, and one-hot logits, which are all characters; nothing to exchange."""
    n, table = 8, quaternions()
    network = mlp((2,), n, vocabulary=n, widths=(n * n,), activation="relu")
    first, second = np.zeros((2 * n, n * n), np.float32), np.zeros((n * n, n), np.float32)
    for unit, (a, b) in enumerate(pairs_of(n)):
        first[a, unit] = first[n + b, unit] = 1
        second[unit, table[a, b]] = 5
    layers = [{"weight": first, "bias": -np.ones(n * n)}, {"weight": second, "bias": np.zeros(n)}]
    found = extract(network, {"layers": layers}, group(table=table.tolist()), languages=[LANGUAGE])
    assert found.status == "behaves as"
    assert found.interchange.value < 0.9
    assert found.equivalence.stats["explained"] == pytest.approx(1)


def test_addition_is_left_to_fourier_programs():
    n = 7
    network, params = compile_program(FourierProgram(n, (1, 2, 3)))
    target = group(family="cyclic", n=n)
    assert "fourier" in read(subject_of(network, params, target), 0).why
    found = extract(network, params, target)
    assert found.program == FourierProgram(n, (1, 2, 3))


def test_spectrum_of_planted_characters():
    rows = as_rows(symmetric(4))
    found, known = finite_group(rows), irreps(rows)
    amplitudes = np.array([0, 1.0, 0, 2.0, 0.5])
    logits = built(found, known, amplitudes)
    spectrum = characters(centred(logits), found, known)
    np.testing.assert_allclose(spectrum.amplitudes, amplitudes, atol=1e-9)
    np.testing.assert_allclose(spectrum.shares, amplitudes**2 / (amplitudes**2).sum(), atol=1e-9)
    noise = characters(centred(np.random.default_rng(0).normal(size=(24, 24, 24))), found, known)
    assert noise.shares.sum() < 0.01
    negative = characters(centred(-logits), found, known)
    assert negative.shares.sum() == 0


def test_units_and_exchange_of_planted_entries():
    """Units of two representations; labels that are swapped fail."""
    rows = as_rows(dihedral(5))
    target = group(family="dihedral", n=5)
    program = GroupProgram(rows, ("2a", "2b"))
    network, params = compile_group(program)
    hidden, outputs_from = last_hidden(subject_of(network, params, target), pairs_of(10))
    found, known = finite_group(rows), irreps(rows)
    place, share = unit_irreps(hidden.reshape(10, 10, -1), found, known)
    assert place.tolist() == [2] * 16 + [3] * 16
    np.testing.assert_allclose(share, 1, atol=1e-5)
    assert interchange(hidden, outputs_from, place - 2, program.chosen, found, 0).value == 1
    assert interchange(hidden, outputs_from, 3 - place, program.chosen, found, 0).value <= 0.5
    assert interchange(hidden, outputs_from, 0 * place - 1, program.chosen, found, 0).value == 0


def test_share_kept_by_cosets_of_noise_is_one_over_the_order():
    rows = as_rows(symmetric(4))
    hidden = np.random.default_rng(0).normal(size=(24, 24, 8))
    alternating_group = next(members for members in subgroups(rows) if len(members) == 12)
    assert kept_by_cosets(hidden, finite_group(rows), alternating_group).mean() == pytest.approx(1 / 12, abs=0.05)
    assert (unit_cosets(hidden, finite_group(rows), rows) == 1).all()


def test_programs_of_one_group_and_other_representations_are_told_apart():
    one, two = GroupProgram(symmetric(4), ("3a",)), GroupProgram(symmetric(4), ("3b", "3a"))
    assert one.equals(two).proved
    assert one.distance(two) == 1
    assert shared_parts(one, two) == 0.5
    assert one.canonical() is one
    other = GroupProgram(np.roll(np.roll(symmetric(4), 1, 0), 1, 1).__add__(1) % 24, ("3a",))
    different = one.equals(other)
    assert not different.equal
    assert one(different.counterexample) != other(different.counterexample)
    assert one.distance(GroupProgram(symmetric(3), ("2a",))) == math.inf
    assert one.distance(FourierProgram(7, (1,))) == math.inf
    rows = 2 * math.log2(math.factorial(24))
    assert one.bits == pytest.approx(9 + 3 + 1 + math.log2(24) + rows + math.log2(5))
    assert one.bits < 24 * 24 * math.log2(24)


@pytest.mark.parametrize(("name", "names"), [*PLANTED, ("S5", ("4b",))])
def test_source_runs_alone_and_answers_the_same(name, names):
    program = GroupProgram(TABLES[name], names)
    pairs = [tuple(pair) for pair in np.random.default_rng(0).integers(0, len(program.table), (60, 2)).tolist()]
    assert run_source(program.source, pairs) == program.run(pairs)


def test_what_does_not_fit_is_said():
    n = 6
    whole = embedding_sum((2,), n, vocabulary=n, width=4)
    letters = Target("letters", inputs=np.array(list("abcdef"))[pairs_of(n)], labels=symmetric(3).ravel(),
                     alphabet="abcdef", complete=True)  # fmt: skip
    assert "elements 0, 1" in fits(subject_of(whole, whole.init(jax.random.key(0)), letters))
    assert fits(subject_of(whole, whole.init(jax.random.key(0)), group(family="symmetric", n=3))) is None
    three = embedding_sum((3,), n, vocabulary=n, width=4)
    target = Target("three", alphabet=n, length=3, function=lambda x: sum(x) % n, classes=n)
    assert "two tokens" in fits(subject_of(three, three.init(jax.random.key(0)), target))
    bit = embedding_sum((2,), 2, vocabulary=n, width=4)
    parity = Target("parity", inputs=pairs_of(n), labels=pairs_of(n).sum(axis=1) % 2, alphabet=n, complete=True)
    assert "scores of 6" in fits(subject_of(bit, bit.init(jax.random.key(0)), parity))


@pytest.mark.parametrize(
    ("table", "names", "message"),
    [
        (np.zeros((3, 3), int), ("1a",), "expected that of a group"),
        ([[0, 1], [1]], ("1a",), "table"),
        (symmetric(3), ("9z",), "expected names among 1a, 1b, 2a"),
        (symmetric(3), ("1b",), "map 3 elements"),
        (symmetric(3), (), "none map 6 elements"),
    ],
)
def test_programs_that_cannot_be_are_named(table, names, message):
    with pytest.raises(InputError, match=message):
        GroupProgram(table, names)


def test_examples_rivals_and_options_that_do_not_fit_are_named():
    program = GroupProgram(symmetric(3), ("2a",))
    with pytest.raises(InputError, match="two elements"):
        program([1, 6])
    with pytest.raises(InputError, match="6 elements"):
        program.equals(FourierProgram(7, (1,)))
    with pytest.raises(InputError, match="elements of a subgroup"):
        compile_group(program, subgroup=[1, 2])
    with pytest.raises(InputError, match="hold the representations 1b"):
        compile_group(program, subgroup=[0, 3, 4])
    with pytest.raises(InputError, match="expected a GroupProgram"):
        compile_group("S3")


@pytest.mark.slow
def test_grokked_network_computes_a_group_program(seed):
    """Squares, squared error to one-hot answers, 70 % of the table of the symmetries of the 7-gon."""
    n = 14
    target = group(family="dihedral", n=7, train_fraction=0.7, seed=seed)
    network = embedding_sum((2,), n, vocabulary=n, width=256, activation="square")
    rule = optax.adamw(0.01, b1=0.9, b2=0.98, weight_decay=1.0)
    x, y = jnp.asarray(target.train.inputs), jax.nn.one_hot(target.train.labels, n)

    def loss(params):
        return jnp.mean((network.apply(params, x) - y) ** 2)

    params = descended(loss, network.init(jax.random.key(seed)), rule, 1000)
    found = extract(network, params, target, languages=[LANGUAGE])
    assert (found.status, found.correct.equal) == ("computes", True)
    assert found.equivalence.stats["explained"] >= 0.95
    assert found.interchange.stats["null"] <= 0.8
    assert found.program.table == as_rows(dihedral(7))
    assert found.program.bits < found.stats["table_bits"] / 4
