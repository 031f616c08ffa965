"""Programs of counters: semantics, source, normal form, equality and distance."""

import itertools

import numpy as np
import pytest
from planted_counters import AS_MANY, BRACKETS, ONE_MORE, PLANTED, ZERO, C

from allroads import InputError, run_source
from allroads.programs.counter import Counter, compile_counter
from allroads.programs.counter.index import places
from allroads.programs.piecewise import Term
from allroads.targets.evaluate import fold
from allroads.targets.mips import MIPS_TASKS


def folded(task, word):
    return fold(MIPS_TASKS[task].step, MIPS_TASKS[task].initial_state)(word)


@pytest.mark.parametrize("task", PLANTED)
def test_programs_and_their_source_do_what_the_tasks_ask(task):
    program, rng = PLANTED[task], np.random.default_rng(0)
    words = [rng.choice(program.alphabet, size=n).tolist() for n in (1, 3, 10, 10, 25, 60)]
    wanted = [folded(task, word) for word in words]
    assert [program(word) for word in words] == wanted
    assert run_source(program.source, words) == wanted
    letters = np.array([program.letters(word) for word in words[2:4]])
    assert program.follow(letters).tolist() == wanted[2:4]
    assert program.canonical().canonical() == program.canonical()
    assert [program.canonical()(word) for word in words] == wanted


@pytest.mark.parametrize("task", PLANTED)
def test_compiled_networks_answer_all_or_many_words_as_their_program(task):
    program = PLANTED[task]
    letters = len(program.alphabet)
    words = np.array(list(itertools.product(range(letters), repeat={2: 6, 3: 5, 4: 4}.get(letters, 3))))
    network, params = compile_counter(program, length=words.shape[1])
    assert np.asarray(network.apply(params, words)).argmax(-1).tolist() == program.follow(words).tolist()


def test_compiled_networks_of_numbers_answer_with_numbers():
    values = np.array(list(itertools.product((0, 1), repeat=6)))[..., None].astype(float)
    for program in (Counter((0, 1), ONE := [[-1], [2]], C), Counter((0, 1), ONE, C, Term("<", (C, ZERO)), dead=-7)):
        network, params = compile_counter(program, length=6, numbers=True)
        said = np.asarray(network.apply(params, values))[..., 0]
        assert said.tolist() == program.follow(values[..., 0].astype(int)).tolist()


def test_normal_forms_drop_what_is_not_used_and_turn_signs():
    turned = Counter((0, 1), [[9, 1], [9, -1]], Term("<", (Term("c1"), ZERO)))
    assert turned.canonical() == Counter((0, 1), [[1], [-1]], Term("<", (C, ZERO)))
    assert turned.canonical() == PLANTED["Majority_0_1"].canonical()
    assert turned.equals(PLANTED["Majority_0_1"]).proved
    assert turned.distance(PLANTED["Majority_0_1"]) == 0


def test_brackets_and_as_many_of_both_agree_on_data_that_cannot_tell_them_apart():
    """On words that never close what was not opened both fit; they are two programs, and a shortest word shows it."""
    words = [w for n in range(1, 9) for w in itertools.product((0, 1), repeat=n)]
    above = [w for w in words if min(np.cumsum([1 - 2 * x for x in w])) >= 0]
    assert len(above) > 50
    assert all(BRACKETS(w) == AS_MANY(w) for w in above)
    apart = BRACKETS.equals(AS_MANY)
    assert not apart.equal
    assert apart.counterexample == [1, 0]
    assert apart.answers == ([0, 0], [0, 1])
    assert BRACKETS.distance(AS_MANY) > 0
    assert BRACKETS.parts - AS_MANY.parts == {"latch: int(c < 0) → 0"}


def random_program(rng, line):
    head, value = rng.choice(["<", "=="]), int(rng.integers(-2, 3))
    answer = Term(str(head), (C, Term(value)) if rng.random() < 0.5 else (Term(value), C))
    if rng.random() < 0.3:
        answer = Term("min", (answer, Term("<", (C, Term(value + 2)))))
    latch = Term("<", (C, Term(-int(rng.integers(0, 3))))) if rng.random() < 0.5 else None
    return Counter((0, 1), line, answer, latch, int(rng.integers(2)))


def test_equality_on_one_line_is_decided_as_the_search_of_all_words_says():
    rng = np.random.default_rng(1)
    words = np.array(list(itertools.product((0, 1), repeat=10)))
    equal = 0
    for _ in range(150):
        line = rng.integers(-2, 3, size=(2, 1)).tolist()
        other = [[2 * v] for (v,) in line] if rng.random() < 0.3 else line
        a, b = random_program(rng, line), random_program(rng, other)
        found = a.equals(b)
        differ = (a.follow(words) != b.follow(words)).any(axis=0)
        assert found.scope == "all lengths"
        if found.equal:
            assert not differ.any()
            equal += 1
        elif differ.any():
            assert len(found.counterexample) == differ.argmax() + 1
            assert a(found.counterexample) != b(found.counterexample)
        else:
            assert len(found.counterexample) > 10
    assert equal > 5


def test_equality_beyond_the_constants_is_seen():
    """The two differ first where the counter reaches 31."""
    far = Counter((0, 1), [[0], [1]], Term("<", (Term(30), C)))
    never = Counter((0, 1), [[0], [1]], Term("<", (C, ZERO)))
    found = far.equals(never)
    assert not found.equal
    assert found.counterexample == [1] * 31


def test_equality_on_several_lines_says_how_far_it_was_looked():
    first, last = places(3)[0], places(3)[1]
    tally = np.eye(3, dtype=int)
    by_first = Counter((0, 1, 2), tally, Term(first))
    by_last = Counter((0, 1, 2), tally, Term("-", (Term(2), Term(last))))
    assert by_first.equals(by_last).counterexample == [0, 1]
    shifted = Counter((0, 1, 2), tally, Term("-", (Term("+", (Term(first), Term(1))), Term(1))))
    same = by_first.equals(shifted)
    assert same.equal
    assert same.scope == "to length"
    assert same.length >= 10


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"steps": [[1]]}, "one row of equal length per letter"),
        ({"steps": [[1], [1, 2]]}, "one row of equal length"),
        ({"answer": Term("d")}, "it has the variables"),
        ({"latch": Term("c0")}, "it has the variables"),
    ],
)
def test_bad_programs_are_refused(change, match):
    given = {"alphabet": (0, 1), "steps": [[1], [-1]], "answer": C} | change
    with pytest.raises(InputError, match=match):
        Counter(**given)


def test_bad_input_is_refused():
    with pytest.raises(InputError, match="not in the alphabet"):
        AS_MANY([0, 2])
    with pytest.raises(InputError, match="expected counters over the letters"):
        AS_MANY.equals(PLANTED["Majority_0_2"])
    with pytest.raises(InputError, match="give their order"):
        compile_counter(Counter((0, 1), [[1], [-1]], C))
    with pytest.raises(InputError, match="is not in it"):
        compile_counter(AS_MANY, output_alphabet=(0,))
    with pytest.raises(InputError, match="expected a Counter"):
        compile_counter("count")
    assert AS_MANY.distance(PLANTED["Majority_0_2"]) == np.inf


def test_length_in_bits_is_that_of_the_code():
    """Gamma codes of 1 + n: 0 has 1 bit, 1 has 3, 2 has 3; of a number that is not 0 one more for its sign.

    With one counter the weights of the nodes are 4 for the variable, a number and each of five operations, and 1 for
    each of three comparisons: 31 in all.
    """
    comparison, leaf = np.log2(31), np.log2(31 / 4)
    below = comparison + (leaf + 1) + leaf  # 0 < c
    plain = 1 + 3 + (4 + 4) + below
    assert PLANTED["Majority_0_1"].bits == pytest.approx(plain, abs=1e-9)
    latched = Counter((0, 1), ONE_MORE, Term("<", (ZERO, C)), Term("<", (C, ZERO)), dead=-1)
    assert latched.bits == pytest.approx(plain + below + 4, abs=1e-9)


def test_edit_distance_counts_each_change():
    """One for each step, dead answer or list of symbols that differs; counters are matched in the best order."""
    latch, two = Term("<", (C, ZERO)), [[1, 0], [0, 1], [2, 2]]
    base = Counter((0, 1), [[1], [-1]], Term("==", (C, ZERO)), latch, symbols=("no", "yes"))
    assert base.distance(Counter((0, 1), [[1], [-1]], Term("==", (C, ZERO)), latch, dead=1, symbols=("no", "yes"))) == 1
    assert base.distance(Counter((0, 1), [[1], [-1]], Term("==", (C, ZERO)), latch, symbols=("yes", "no"))) == 1
    assert base.distance(Counter((0, 1), [[1], [-2]], Term("==", (C, ZERO)), latch, symbols=("no", "yes"))) == 1
    first = Term(places(2)[0])
    swapped = [row[::-1] for row in two]
    assert Counter((0, 1, 2), two, first).distance(Counter((0, 1, 2), swapped, first)) == 0
    assert Counter((0, 1, 2), two, first).distance(Counter((0, 1, 2), [[1, 0], [0, 1], [2, 0]], first)) == 1


def test_answers_are_compared_as_symbols_and_letters_by_name():
    """The numbers of the answers agree and their symbols do not; the letters stand in another order."""
    answer = Term("==", (C, ZERO))
    one, other = (Counter((0, 1), [[1], [-1]], answer, symbols=symbols) for symbols in (("no", "yes"), ("yes", "no")))
    apart = one.equals(other)
    assert (apart.equal, apart.counterexample, apart.answers) == (False, [0], (["no"], ["yes"]))
    turned = Counter((1, 0), [[-1], [1]], answer, symbols=("no", "yes"))
    assert one.equals(turned).proved and one.distance(turned) == 0
    assert not one.equals(Counter((1, 0), [[1], [-2]], answer, symbols=("no", "yes"))).equal


def test_a_difference_on_several_lines_is_claimed_to_a_length_alone():
    tally = np.eye(3, dtype=int)
    found = Counter((0, 1, 2), tally, Term(places(3)[0])).equals(Counter((0, 1, 2), tally, Term(places(3)[2])))
    assert (found.equal, found.scope) == (False, "to length")
