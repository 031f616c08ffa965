"""Position-wise programs: what they give, compiled into transformers, read back, and what is not claimed."""

from __future__ import annotations

import itertools
from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from allroads import InputError, Network, Target, UnknownNameError, compile_program, extract, run_source
from allroads.networks.build import build
from allroads.programs.mealy.expression import Expression
from allroads.programs.sequence import LANGUAGE, SequenceProgram, compile_sequence, sequence_program
from allroads.programs.sequence.library import PROGRAMS
from allroads.programs.sequence.lines import Count, Fetch, Formula, Selector
from allroads.programs.sequence.program import all_words
from allroads.status import ExtractionStatus


def kinds_alike(word):
    counts = Counter(word)
    return [sum(c == counts[x] for c in counts.values()) for x in word]


def most(word):
    counts = Counter(word)
    return [min(counts, key=lambda x: (-counts[x], x))] * len(word)


DEFINITIONS = {
    "histogram": lambda w: [w.count(x) for x in w],
    "double_histogram": kinds_alike,
    "reverse": lambda w: w[::-1],
    "sort": sorted,
    "most_frequent": most,
    "dyck1_depth": lambda w: list(itertools.accumulate(1 - 2 * x for x in w)),
    "previous": lambda w: [0, *w[:-1]],
    "first": lambda w: [w[0]] * len(w),
    "parity": lambda w: list(itertools.accumulate(w, lambda a, b: a ^ b)),
    "repeat_copy": lambda w: [w[q - 4] if q >= 4 else 0 for q in range(len(w))],
}
"""Each program of the library, written without it."""

BINARY = ("dyck1_depth", "parity", "repeat_copy")


def planted(name):
    letters, length = (2, 6) if name in BINARY else (3, 5)
    program = sequence_program(name, letters=letters, length=length)
    answers = sorted(set(program.table(all_words(letters, length)).ravel().tolist()))
    network, params = compile_sequence(program, output_alphabet=answers)
    target = Target(name, alphabet=letters, length=length, function=DEFINITIONS[name], output_alphabet=answers,
                    per_position=True)  # fmt: skip
    return program, network, params, target


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_give_what_their_name_says_and_so_does_their_source(name):
    letters = 2 if name in BINARY else 3
    program = sequence_program(name, letters=letters, length=6)
    words = [w.tolist() for length in range(1, 6) for w in all_words(letters, length)]
    assert program.run(words) == [DEFINITIONS[name](word) for word in words]
    assert program.equals(program.canonical()).equal and program.canonical().bits == program.bits
    some = words[:: len(words) // 20]
    assert run_source(program.source, some) == program.run(some)


@pytest.mark.parametrize("name", ["double_histogram", "sort", "parity", "repeat_copy"])
def test_compiled_programs_answer_all_words(name):
    _, network, params, target = planted(name)
    answers_all_words(network, params, target)


def answers_all_words(network, params, target):
    scores = np.asarray(network.apply(params, target.full.inputs))
    assert np.array_equal(scores.argmax(-1), target.full.labels)
    top = np.sort(scores, axis=-1)
    assert np.allclose(top[..., -1] - top[..., -2], 1, atol=1e-3)


def disturbed(params, rng, noise):
    """The same network with its stream permuted, queries and keys scaled against each other, and noise."""
    params = jax.tree.map(np.asarray, params)
    order = rng.permutation(params["embed"].shape[1])
    units = rng.permutation(params["blocks"][0]["up"]["weight"].shape[1])
    scale = rng.uniform(0.5, 2, size=len(units))
    blocks = []
    for block in params["blocks"]:
        stretch = rng.uniform(0.5, 2)
        moved = {name: block[name][np.ix_(order, order)] for name in ("query", "key", "value", "out")}
        moved["query"], moved["key"] = moved["query"] * stretch, moved["key"] / stretch
        up, down = block["up"], block["down"]
        moved["up"] = {"weight": (up["weight"] * scale)[order][:, units], "bias": (up["bias"] * scale)[units]}
        moved["down"] = {"weight": (down["weight"] / scale[:, None])[units][:, order], "bias": down["bias"][order]}
        blocks.append(moved)
    moved = {"embed": params["embed"][:, order], "position": params["position"][:, order], "blocks": blocks}
    moved["readout"] = {"weight": params["readout"]["weight"][order], "bias": params["readout"]["bias"]}
    return jax.tree.map(lambda leaf: leaf * (1 + noise * rng.normal(size=leaf.shape)), moved)


@pytest.mark.slow
def test_noise_permutation_and_scale_leave_the_program(seed):
    rng = np.random.default_rng(seed)
    program, network, params, target = planted("parity")
    found = extract(network, disturbed(params, rng, 1e-3), target, languages=[LANGUAGE])
    assert found.status == ExtractionStatus.COMPUTES and found.correct.equal
    assert found.program.canonical() == program.canonical()
    assert found.equivalence.scope == "to length" and 0.3 < found.equivalence.margin < 0.6


@pytest.mark.slow
@pytest.mark.parametrize("name", PROGRAMS)
def test_compiled_programs_are_read_back(name):
    """Counts and letters that are the answer, or one to one with it, cannot be told from it in the network."""
    program, network, params, target = planted(name)
    answers_all_words(network, params, target)
    found = extract(network, params, target, languages=[LANGUAGE])
    alone = name in ("most_frequent", "histogram", "dyck1_depth", "previous", "first", "reverse", "repeat_copy")
    assert found.status == (ExtractionStatus.BEHAVES_AS if alone else ExtractionStatus.COMPUTES), found
    assert found.correct.equal and found.program.bits <= program.bits
    assert found.program.equals(program).equal
    assert found.equivalence.scope == ("to length" if name in (*BINARY, "previous", "first") else "exhaustive")
    assert alone or found.interchange.stats["null"] < 0.7
    noisy = disturbed(params, np.random.default_rng(0), 1e-4)
    assert extract(network, noisy, target, languages=[LANGUAGE]).program == found.program


@pytest.mark.slow
def test_the_language_that_passes_the_causal_check_comes_first():
    """Parity by counting: the machine is shorter and no state of it is held; the count is."""
    _, network, params, target = planted("parity")
    found = extract(network, params, target)
    assert found.program.language == "sequence" and found.status == ExtractionStatus.COMPUTES
    assert set(found.stats["languages"]) >= {"mealy", "sequence"}


@pytest.mark.slow
def test_a_count_that_the_network_does_not_hold_is_not_computed():
    """Parity as a product of signs: the answers are those of a count, and no intermediate is one."""

    def apply(params, tokens):
        signs = jnp.tanh(params * (1.0 - 2 * tokens))[..., None]
        held = [signs[:, 0]]
        for q in range(1, 6):
            held.append(jnp.sign(held[-1]) * jnp.abs(signs[:, q]) * jnp.sign(signs[:, q]))
        wave = jnp.stack(held, axis=1) + 0.0 * signs
        return jnp.concatenate([wave, -wave], axis=-1)

    target = Target("parity", alphabet=2, length=6, step=lambda s, x: (s ^ x, s ^ x), initial_state=0)
    found = extract(Network(lambda key: jnp.ones(()), apply), jnp.ones(()), target, languages=[LANGUAGE])
    assert found.correct.equal and found.status == ExtractionStatus.BEHAVES_AS


def test_an_intermediate_that_holds_the_answer_alone_is_not_taken_for_a_count():
    """Parity of a table of words, then a layer norm: the stream before it holds the answer and nothing of a count."""
    table = jnp.asarray([list(itertools.accumulate(w, lambda a, b: a ^ b)) for w in all_words(2, 6).tolist()])
    place = 2 ** np.arange(6)[::-1]

    def apply(params, tokens):
        held = (2.0 * table[tokens @ place] - 1)[..., None] * jnp.array([-1.0, 1.0]) * params
        stream = held + jnp.ones(2)
        return stream / jnp.sqrt((stream**2).mean(axis=-1, keepdims=True) + 1e-5)

    target = Target("parity", alphabet=2, length=6, step=lambda s, x: (s ^ x, s ^ x), initial_state=0)
    found = extract(Network(lambda key: jnp.ones(()), apply), jnp.ones(()), target, languages=[LANGUAGE])
    assert found.correct.equal and found.status == ExtractionStatus.BEHAVES_AS and found.interchange is None


def test_normal_forms_parts_and_distance():
    count, x = Count(Selector("x", "==", 1, "upto")), Expression("a")
    plain = SequenceProgram((0, 1), (("a", count), ("y", Formula(Expression("%", x, Expression(2))))), 4)
    long = SequenceProgram(
        (0, 1),
        (
            ("dead", Count(Selector("x", "==", "x"))),
            ("a", count),
            ("b", count),
            ("y", Formula(Expression("%", Expression("b"), Expression(2)))),
        ),
        4,
    )
    assert long.canonical() == plain.canonical() and long.bits > plain.bits
    assert long.distance(plain) == 0 and long.parts == plain.parts and len(plain.parts) == 2
    other = SequenceProgram((0, 1), (("a", count), ("y", Formula(Expression("%", x, Expression(3))))), 4)
    assert plain.distance(other) == 2
    apart = plain.equals(other)
    # Counts 0 and 1 agree, 2 does not: the shortest word has two ones.
    assert apart.counterexample == [1, 1] and apart.answers == ([1, 0], [1, 2])


def test_bad_programs_are_refused():
    look = Count(Selector("x", "==", "x"))
    program = SequenceProgram((0, 1), (("y", look),), 4)
    for bad in (
        lambda: SequenceProgram((0, 1), (), 4),
        lambda: SequenceProgram((0, 1), (("x", look),), 4),
        lambda: SequenceProgram((0, 1), (("sum", look),), 4),
        lambda: SequenceProgram((0, 1), (("y", Count(Selector("z", "==", "x"))),), 4),
        lambda: Selector("x", "~", "x"),
        lambda: Selector("x", "==", "x", "behind"),
        lambda: program([0, 7]),
        lambda: program.equals("histogram"),
        lambda: program.equals(SequenceProgram((0, 1, 2), (("y", look),), 4)),
        lambda: SequenceProgram(tuple(range(9)), (("y", look),), 9).equals(
            SequenceProgram(tuple(range(9)), (("y", look),), 9)
        ),
        lambda: compile_sequence(program, length=20),
        lambda: compile_sequence(program, output_alphabet=[0, 1]),
        lambda: compile_sequence("histogram"),
    ):
        with pytest.raises(InputError):
            bad()
    with pytest.raises((InputError, UnknownNameError)):
        sequence_program("hist")


def test_letters_and_answers_may_be_texts():
    program = SequenceProgram(("(", ")"), (("y", Fetch(Selector("i", "<", "i"), "x")),), 4, symbols=("open", "close"))
    assert program(["(", ")", ")"]) == ["open", "open", "close"]
    network, params = compile_program(program, output_alphabet=["close", "open"])
    assert np.asarray(network.apply(params, [[0, 1, 1, 0]])).argmax(-1).tolist() == [[1, 1, 0, 0]]
    assert run_source(program.source, [["(", ")", ")"]]) == [["open", "open", "close"]]


@pytest.mark.slow
def test_no_false_program_comes_of_transformers_that_learnt_nothing():
    """Sixty untrained networks, half of them not causal: a program that is read gives every answer."""
    target = Target("parity", alphabet=2, length=5, step=lambda s, x: (s ^ x, s ^ x), initial_state=0)
    words = all_words(2, 5)
    for causal, scale in ((True, 1.0), (True, 4.0), (False, 1.0), (False, 4.0)):
        network = build("transformer", target.interface, causal=causal, scale=scale, d_model=16, heads=2, d_mlp=32)
        for seed in range(15):
            params = network.init(jax.random.key(seed))
            found = extract(network, params, target, languages=[LANGUAGE])
            if found.program is not None:
                said = np.asarray(network.apply(params, words)).argmax(-1)
                assert np.array_equal(found.program.table(words), said)
                assert found.program.bits < found.stats["table_bits"] or found.status == ExtractionStatus.TABLE


def test_rows_of_one_number_are_letters():
    parity = sequence_program("parity")
    assert parity([[1.0], [1.0], [0.0]]) == parity(np.array([[1], [1], [0]])) == parity([1, 1, 0]) == [1, 0, 0]


def test_programs_are_compared_by_letters_symbols_and_the_shorter_length():
    """Truth by hand: words, their number, and the first word on which the answers differ."""
    last = (("y", Fetch(Selector("i", "<", "i"), "x")),)
    one = SequenceProgram(("a", "b"), last, 3, symbols=("a", "b"))
    turned = SequenceProgram(("b", "a"), last, 5, symbols=("b", "a"))
    # A position without one before has the answer 0, which is another symbol; letters before it are given alike.
    apart = one.equals(turned)
    assert (apart.equal, apart.counterexample, apart.answers) == (False, ["a"], (["a"], ["b"]))
    own = (("y", Count(Selector("x", "==", "x", "upto"))),)
    found = SequenceProgram(("a", "b"), own, 3).equals(SequenceProgram(("b", "a"), own, 5))
    assert (found.equal, found.scope, found.length, found.checked) == (True, "to length", 3, 2 + 4 + 8)
    ones, others = (("y", Count(Selector("x", "==", k, "upto"))) for k in (1, 0))
    by_name = SequenceProgram(("a", "b"), (ones,), 3).equals(SequenceProgram(("b", "a"), (others,), 3))
    assert by_name.equal  # "b" is number 1 in one alphabet and number 0 in the other
    assert not SequenceProgram(("a", "b"), (ones,), 3).equals(SequenceProgram(("b", "a"), (ones,), 3)).equal
    kinds = [SequenceProgram((0, 1), (("y", Count(Selector("i", "<", 0))),), 2, symbols=s) for s in ("uv", "vu")]
    assert kinds[0].equals(kinds[1]).answers == (["u"], ["v"])
