"""Extraction as a whole: which language reads what, what the statuses say, bad input, and a language of one's own."""

import dataclasses
import itertools
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from allroads import Equivalence, Extraction, InputError, Network, Target, compile_program, extract, run_source
from allroads.programs import Language, Program, Reading, shared_parts
from allroads.programs.boolean import Formula
from allroads.programs.language import BUILT_IN
from allroads.programs.mealy import Machine
from allroads.results import Measurement
from allroads.status import EquivalenceStatus, ExtractionStatus

CUBE = np.array(list(itertools.product((0, 1), repeat=3)))
MAJORITY = Target("majority", inputs=CUBE, labels=(CUBE.sum(1) >= 2).astype(int), complete=True, loss="bce")
PARITY = Target("parity", alphabet=2, length=6, step=lambda s, x: (s ^ x, s ^ x), initial_state=0)


def test_a_formula_that_is_not_its_target_is_read_as_what_it_is():
    """One row of the majority is flipped: the network's own function comes out, with the row on which they differ."""
    flipped = Formula.parse("(x0 & x1) | (x1 & x2)", 3)
    found = extract(*compile_program(flipped), MAJORITY)
    assert found.equivalence.proved and found.program.equals(flipped).equal
    assert not found.correct.equal and found.correct.status == EquivalenceStatus.DIFFERENT
    assert np.asarray(found.correct.counterexample).tolist() == [1, 0, 1] and found.correct.answers == (0, 1)


def test_source_answers_as_the_program_does():
    machine = Machine.of(PARITY.truth["machine"])
    found = extract(*compile_program(machine, length=6), PARITY)
    assert found.status == ExtractionStatus.COMPUTES and found.equivalence.scope == "all lengths"
    assert found.value == found.program.bits and found.error is None
    words = [list(map(int, np.random.default_rng(0).integers(0, 2, size))) for size in (1, 7, 40)]
    assert run_source(found.program.source, words) == [found.program(word) for word in words]
    assert run_source(found.program.source, words) == [(np.cumsum(word) % 2).tolist() for word in words]
    assert "computes: mealy" in repr(found) and "equal at all lengths" in repr(found)
    assert found.to_dict()["status"] == "computes"


def test_a_network_that_no_language_reads_says_why():
    free = Target("free", inputs=np.random.default_rng(0).normal(size=(20, 2)), labels=np.arange(20) % 2, loss="bce")
    found = extract(Network(lambda key: jnp.ones(2), lambda w, x: (x @ w)[:, None]), np.ones(2), free)
    assert found.status == ExtractionStatus.NOT_APPLICABLE and found.program is None
    assert set(found.stats["languages"]) == set(BUILT_IN)
    assert all(found.stats["languages"].values()) and np.isnan(found.value)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"params": {"w": np.array([np.nan, 1.0, 1.0])}}, "w"),
        ({"target": "majority"}, "expected an allroads.Target"),
        ({"target": PARITY}, "cannot read the inputs|does not fit"),
        ({"languages": ["boolean"]}, "expected languages of allroads.programs"),
    ],
)
def test_bad_input_is_refused(change, match):
    network = Network(lambda key: {"w": jnp.ones(3)}, lambda p, x: (x @ p["w"])[:, None])
    given = {"params": {"w": np.ones(3)}, "target": MAJORITY} | change
    with pytest.raises(InputError, match=match):
        extract(network, **given)


def test_only_programs_are_compiled():
    with pytest.raises(InputError, match="expected a program"):
        compile_program("x0 & x1")


@dataclasses.dataclass(frozen=True)
class Constant(Program):
    """A program of a language of one's own."""

    answer: int
    language: ClassVar[str] = "constant"
    bits: ClassVar[float] = 1.0
    parts: ClassVar[frozenset] = frozenset()

    @property
    def source(self):
        return f"def program(x):\n    return {self.answer}\n"

    def __call__(self, example):
        return self.answer

    def canonical(self):
        return self

    def distance(self, other):
        return float(self != other)

    def equals(self, other):
        return Equivalence(self == other, "exhaustive", 1)


def test_a_language_of_ones_own_is_tried():
    def read(subject, seed):
        answers = subject.answers(subject.domain)
        same = (answers == answers[0]).all()
        equality = Equivalence(bool(same), "exhaustive", len(answers), margin=float(subject.margins(
            subject.outputs(subject.domain)).min()))  # fmt: skip
        return Reading(Constant(int(answers[0])) if same else None, equality, why="all answers are compared")

    mine = Language("constant", Constant, lambda subject: None, read)
    network = Network(lambda key: jnp.ones(3), lambda w, x: (x @ w)[:, None] + 1)
    found = extract(network, np.ones(3), MAJORITY, languages=[mine])
    assert found.program == Constant(1) and found.status == ExtractionStatus.BEHAVES_AS
    assert found.equivalence.margin == pytest.approx(1.0)
    assert extract(network, -np.ones(3), MAJORITY, languages=[mine]).status == ExtractionStatus.NO_PROGRAM
    with pytest.raises(InputError, match="expected a program"):
        compile_program(found.program)


@dataclasses.dataclass(frozen=True)
class Told(Constant):
    """Parity, in a language that says how long it is."""

    bits: float = 8.0

    def __call__(self, example):
        return (np.cumsum(example) % 2).tolist()


SUMS = Network(lambda key: jnp.ones(()), lambda p, x: jax.nn.one_hot(x.cumsum(axis=1) % 2, 2) * p)
WHOLE, PART = Equivalence(True, "exhaustive", 64, 6), Equivalence(True, "to length", 62, 5)
PASSED, FAILED = Measurement(0.99), Measurement(0.98)


def telling(*readings):
    """What is extracted where languages read these."""
    made = [
        Language(f"{k}", Told, lambda subject: None, lambda subject, seed, r=reading: r)
        for k, reading in enumerate(readings)
    ]
    return extract(SUMS, jnp.ones(()), PARITY, languages=made)


@pytest.mark.parametrize(
    ("reading", "status"),
    [
        (Reading(Told(0), WHOLE, PASSED, 9.0), ExtractionStatus.COMPUTES),
        (Reading(Told(0), WHOLE, PASSED, 8.0), ExtractionStatus.TABLE),  # as long as the table
        (Reading(Told(0), WHOLE, FAILED, 9.0), ExtractionStatus.BEHAVES_AS),
        (Reading(Told(0), WHOLE, None, 9.0), ExtractionStatus.BEHAVES_AS),
        (Reading(Told(0), Equivalence(True, "all lengths", 9), PASSED), ExtractionStatus.COMPUTES),
        (Reading(Told(0), Equivalence(True, "to length", 126, 6), PASSED, 9.0), ExtractionStatus.COMPUTES),
        (Reading(Told(0), PART, PASSED, 9.0), ExtractionStatus.NOT_PROVED),  # the target has six positions
        (Reading(Told(0), Equivalence(True, "sampled", 64, 6), PASSED, 9.0), ExtractionStatus.NOT_PROVED),
        (Reading(Told(0), Equivalence(False, "sampled", 64, 6), PASSED, 9.0), ExtractionStatus.PARTIAL),
        (Reading(None, why="nothing"), ExtractionStatus.NO_PROGRAM),
    ],
)
def test_a_status_claims_no_more_than_was_shown(reading, status):
    assert telling(reading).status == status


def test_the_reading_that_shows_most_comes_first_then_the_causal_check_then_the_shortest():
    order = [
        Reading(Told(0, 7.0), WHOLE, PASSED),
        Reading(Told(1, 8.0), WHOLE, PASSED),
        Reading(Told(2, 6.0), WHOLE, FAILED),
        Reading(Told(3, 5.0), PART, PASSED),
        Reading(Told(4, 4.0), Equivalence(True, "sampled", 64, 6), PASSED),
        Reading(Told(5, 3.0), Equivalence(False, "sampled", 64, 6), PASSED),
        Reading(None),
    ]
    for place, first in enumerate(order):
        assert telling(*order[place:][::-1]).program == first.program


@dataclasses.dataclass(frozen=True)
class Missing(Told):
    """Parity of all words but one."""

    word: tuple[int, ...] = ()

    def __call__(self, example):
        right = super().__call__(example)
        return [1 - y for y in right] if tuple(example) == self.word else right


@pytest.mark.parametrize("side", ["train", "held_out"])
def test_a_target_that_is_not_enumerated_is_sampled_on_both_sides(side):
    """2^24 words, of which 80 are drawn; a program that errs on one of either side is not correct."""
    long = Target("long", alphabet=2, length=24, step=lambda s, x: (s ^ x, s ^ x), initial_state=0, train_size=50,
                  held_out_size=30)  # fmt: skip
    assert long.full is None
    odd = next(w for w in getattr(long, side).inputs.tolist() if any(w))
    for program, right in ((Told(0), True), (Missing(0, word=tuple(odd)), False)):
        reading = Reading(program, WHOLE)
        mine = Language("mine", Told, lambda subject: None, lambda subject, seed, r=reading: r)
        found = extract(SUMS, jnp.ones(()), long, languages=[mine]).correct
        assert (found.equal, found.scope, found.checked) == (right, "sampled", 80)
        assert found.counterexample == (None if right else odd)


def test_one_hot_labels_are_compared_as_classes():
    square = Target("last", inputs=[[0], [1], [2]], labels=np.eye(3)[[0, 1, 2]], loss="mse", complete=True, alphabet=3)
    network = Network(lambda key: jnp.ones(()), lambda p, x: jax.nn.one_hot(x[:, 0], 3) * p)

    @dataclasses.dataclass(frozen=True)
    class Letter(Constant):
        def __call__(self, example):
            return (example[0] + self.answer) % 3

    for shift in range(3):
        reading = Reading(Letter(shift), Equivalence(True, "exhaustive", 3))
        mine = Language("letter", Letter, lambda subject: None, lambda subject, seed, r=reading: r)
        assert extract(network, jnp.ones(()), square, languages=[mine]).correct.equal == (shift == 0)


def test_parts_that_two_programs_share():
    a, b = Formula.parse("x0 & x1", 3), Formula.parse("(x0 & x1) ^ x2", 3)
    assert shared_parts(a, a) == 1.0 and 0 < shared_parts(a, b) < 1 and shared_parts(a, b) == shared_parts(b, a)
    assert shared_parts(Constant(0), Constant(1)) == 1.0


def test_an_equality_says_what_it_rests_on():
    assert str(Equivalence(True, "to length", 62, length=5)) == "equal on all sequences up to length 5"
    assert str(Equivalence(False, "sampled", 9, counterexample=[1], answers=(0, 1))) == "different: [1] gives 0 and 1"
    sampled = Equivalence(True, "sampled", 9)
    assert (sampled.status, sampled.value, sampled.proved) == (EquivalenceStatus.NOT_PROVED, 1.0, False)
    with pytest.raises(AssertionError):
        Equivalence(True, "everywhere", 1)
    assert jax.tree.leaves(sampled)


def test_random_networks_give_no_program_that_they_do_not_compute():
    """Forty networks that were never trained: whatever is read agrees with the network on its whole domain."""
    hidden = jax.random.normal(jax.random.key(0), (40, 3, 6))
    out = jax.random.normal(jax.random.key(1), (40, 6))
    network = Network(lambda key: None, lambda p, x: (jnp.tanh(x @ p["in"] + 0.3) @ p["out"])[:, None])
    for index in range(40):
        point = {"in": hidden[index], "out": out[index]}
        found = extract(network, point, MAJORITY)
        assert isinstance(found, Extraction) and found.equivalence.equal
        assert found.program.run(CUBE) == (np.asarray(network.apply(point, CUBE))[:, 0] > 0).astype(int).tolist()
