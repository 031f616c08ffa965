"""Sequence tasks: each against a definition by whole prefixes, and minimal machines against known sizes."""

import itertools
import re
from collections import Counter

import numpy as np
import pytest

from allroads.errors import InputError
from allroads.targets import build_target, minimal_mealy
from allroads.targets.mips import MIPS_TASKS
from allroads.targets.sequence import sequence
from allroads.targets.tomita import TOMITA, acceptor_states, tomita

# --- the 62 tasks by their prefixes: the output at a position from everything up to it


def digits_sum(base):
    def answer(prefix):
        first, second = (sum(pair[c] * base**i for i, pair in enumerate(prefix)) for c in (0, 1))
        return (first + second) // base ** (len(prefix) - 1) % base

    return answer


def last(k, function):
    return lambda prefix: function([0] * (k - len(prefix)) + list(prefix[-k:]))


def most_frequent(prefix):
    counts = Counter(prefix)
    return min(counts, key=lambda x: (-counts[x], x))


def balanced(prefix):
    text = "".join("()"[x] for x in prefix)
    while "()" in text:
        text = text.replace("()", "")
    return int(not text)


def quotient(divisor):
    return lambda prefix: int("".join(map(str, prefix)), 2) // divisor % 2


def place(force):
    """The place after a force at each position: each push acts for the rest of the time."""
    return lambda prefix: sum((len(prefix) - i) * (x - force) for i, x in enumerate(prefix))


def spring(prefix):
    places = [0, 0]  # p_t = 2 p_(t−1) − p_(t−2) + x_t − p_(t−1)
    for x in prefix:
        places.append(places[-1] - places[-2] + x)
    return places[-1]


def magnetic(prefix):
    speed = place_now = 0j  # v ← (1 + i) v + F
    for x, y in prefix:
        speed = (1 + 1j) * speed + complex(x, y)
        place_now += speed
    return int(place_now.real), int(place_now.imag)


ORACLES = {
    "Binary_Addition": digits_sum(2),
    **{f"Base_{b}_Addition": digits_sum(b) for b in range(3, 8)},
    "Bitwise_Xor": lambda p: int(p[-1][0] != p[-1][1]),
    "Bitwise_Or": lambda p: max(p[-1]),
    "Bitwise_And": lambda p: min(p[-1]),
    "Bitwise_Not": lambda p: int(not p[-1]),
    **{f"Parity_Last{k}": last(k, lambda w: sum(w) % 2) for k in (2, 3, 4)},
    "Parity_All": lambda p: sum(p) % 2,
    "Parity_Zeros": lambda p: p.count(0) % 2,
    "Evens_Counter": lambda p: len([x for x in p if x in (0, 2, 4, 6, 8)]),
    "Sum_All": sum,
    **{f"Sum_Last{k}": last(k, sum) for k in range(2, 8)},
    "Current_Number": lambda p: p[-1],
    **{f"Prev{k}": lambda p, k=k: p[-1 - k] if len(p) > k else 0 for k in range(1, 6)},
    "Previous_Equals_Current": lambda p: int(p[-1] == (p[-2] if len(p) > 1 else 0)),
    "Diff_Last2": lambda p: p[-1] - sum(p[-2:-1]),
    "Abs_Diff": lambda p: abs(p[-1] - sum(p[-2:-1])),
    "Abs_Current": lambda p: max(p[-1], -p[-1]),
    "Diff_Abs_Values": lambda p: abs(p[-1]) - abs(sum(p[-2:-1])),
    "Min_Seen": min,
    "Max_Seen": max,
    **{f"Majority_0_{k}": most_frequent for k in (1, 2, 3)},
    "Evens_Detector": lambda p: int(p[-1] in (0, 2, 4, 6, 8)),
    "Perfect_Square_Detector": lambda p: int(p[-1] in {i * i for i in range(5)}),
    "Bit_Palindrome": lambda p: int(all(p[i] == p[-1 - i] for i in range(len(p)))),
    "Balanced_Parenthesis": balanced,
    "Parity_Bits_Mod2": lambda p: (len(p) - 1) % 2,
    "Alternating_Last3": last(3, lambda w: int(w[0] != w[1] != w[2])),
    "Alternating_Last4": last(4, lambda w: int(w[0] != w[1] != w[2] != w[3])),
    "Bit_Shift_Right": lambda p: sum(p[-2:-1]),
    "Bit_Dot_Prod_Mod2": lambda p: sum(x * y for x, y in p) % 2,
    **{f"Div_{d}": quotient(d) for d in (3, 5, 7)},
    **{f"Add_Mod_{m}": lambda p, m=m: sum(p) % m for m in range(3, 9)},
    "Dithering": lambda p: sum(p) // 15 - sum(p[:-1]) // 15,
    "Newton_Freebody": place(0),
    "Newton_Gravity": place(1),
    "Newton_Spring": spring,
    "Newton_Magnetic": magnetic,
}

# sizes of the minimal Mealy machines of the finite-state tasks
FINITE = {
    **dict.fromkeys(["Binary_Addition", *(f"Base_{b}_Addition" for b in range(3, 8))], 2),
    **dict.fromkeys(["Bitwise_Xor", "Bitwise_Or", "Bitwise_And", "Bitwise_Not"], 1),
    **dict.fromkeys(["Evens_Detector", "Perfect_Square_Detector", "Current_Number", "Abs_Current"], 1),
    **dict.fromkeys(["Parity_All", "Parity_Zeros", "Parity_Bits_Mod2", "Bit_Shift_Right"], 2),
    "Bit_Dot_Prod_Mod2": 2,
    "Parity_Last2": 2,
    "Parity_Last3": 4,
    "Parity_Last4": 8,
    "Alternating_Last3": 4,
    "Alternating_Last4": 6,
    "Previous_Equals_Current": 8,
    "Div_3": 3,
    "Div_5": 5,
    "Div_7": 7,
    **{f"Add_Mod_{m}": m for m in range(3, 9)},
    "Dithering": 15,
    "Min_Seen": 10,
    "Max_Seen": 100,
    "Prev1": 100,
    "Sum_Last2": 100,
    "Diff_Last2": 200,
    "Abs_Diff": 200,
    "Diff_Abs_Values": 101,
}
LARGE = {
    **{f"Sum_Last{k}": 100 ** (k - 1) for k in range(3, 8)},
    **{f"Prev{k}": 100**k for k in range(2, 6)},
}
UNBOUNDED = {
    "Evens_Counter",
    "Sum_All",
    "Majority_0_1",
    "Majority_0_2",
    "Majority_0_3",
    "Bit_Palindrome",
    "Balanced_Parenthesis",
    "Newton_Freebody",
    "Newton_Gravity",
    "Newton_Spring",
    "Newton_Magnetic",
}


# the numbers that each task takes, where they are not bits
ALPHABETS = {
    **{f"Base_{b}_Addition": range(b) for b in range(3, 8)},
    **{f"Add_Mod_{m}": range(m) for m in range(3, 9)},
    **dict.fromkeys(["Evens_Counter", "Evens_Detector", "Min_Seen"], range(10)),
    **dict.fromkeys(["Sum_All", "Current_Number", "Max_Seen"], range(100)),
    **{f"Sum_Last{k}": range(100) for k in range(2, 8)},
    **{f"Prev{k}": range(100) for k in range(1, 6)},
    **dict.fromkeys(["Diff_Last2", "Abs_Diff", "Abs_Current", "Diff_Abs_Values"], range(-100, 100)),
    **{f"Majority_0_{k}": range(k + 1) for k in (1, 2, 3)},
    **{f"Newton_{law}": range(-10, 11) for law in ("Freebody", "Gravity", "Spring", "Magnetic")},
    "Previous_Equals_Current": range(8),
    "Perfect_Square_Detector": range(20),
    "Dithering": range(16),
}


@pytest.mark.parametrize("name", MIPS_TASKS)
def test_alphabets(name):
    assert MIPS_TASKS[name].alphabet == ALPHABETS.get(name, range(2))


def sized(name, **options):
    """The target, small also where all sequences could be enumerated."""
    return sequence(
        task=name, **{"train_size": 60, "held_out_size": 30, "length": 5 if name in SHORT else None} | options
    )


SHORT = {"Add_Mod_3", "Majority_0_2"}  # 3^10 sequences by themselves


def test_there_are_62_tasks_and_each_has_an_oracle_and_a_size():
    assert len(MIPS_TASKS) == 62
    assert set(MIPS_TASKS) == set(ORACLES) == set(FINITE) | set(LARGE) | UNBOUNDED
    assert len([n for n in FINITE if MIPS_TASKS[n].structure.endswith("finite-state") and FINITE[n] <= 15]) >= 33


@pytest.mark.parametrize("name", MIPS_TASKS)
def test_labels_by_whole_prefixes(name):
    target = sized(name)
    task = MIPS_TASKS[name]
    for probes in (target.train, target.held_out):
        inputs = probes.inputs
        if target.interface.vocabulary is None:
            inputs = (inputs if task.channels == 2 else inputs[..., 0]).astype(int)
        for row, labels in zip(inputs.tolist(), probes.labels.tolist(), strict=True):
            sequence_ = [tuple(x) for x in row] if task.channels == 2 else row
            expected = [ORACLES[name](sequence_[: t + 1]) for t in range(len(row))]
            assert [tuple(y) if isinstance(y, list) else y for y in labels] == expected
            assert target.function(sequence_) == expected


@pytest.mark.parametrize("name", MIPS_TASKS)
def test_shapes_and_ranges(name):
    target, task = sized(name, length=None), MIPS_TASKS[name]
    length = 20 if name in {"Prev5", "Sum_Last5", "Sum_Last6", "Sum_Last7"} else 10
    interface = target.interface
    assert interface.per_position and interface.input_shape[0] == length
    if task.outputs is None:
        channels = 2 if name == "Newton_Magnetic" else 1
        assert (target.loss, interface.vocabulary, interface.outputs) == ("mse", None, channels)
        assert interface.input_shape == (length, channels)
        assert {target.train.inputs.min(), target.train.inputs.max()} <= set(task.alphabet)
    else:
        assert (target.loss, interface.vocabulary) == ("cross_entropy", len(task.alphabet))
        assert interface.input_shape == ((length, 2) if task.channels == 2 else (length,))
        assert interface.outputs == (11 if name == "Evens_Counter" else interface.outputs)
    domain = len(task.alphabet) ** (length * task.channels)
    assert (target.full is not None) == (domain <= 2**16)
    if target.full is not None:
        assert len(target.full) == len(np.unique(target.full.inputs, axis=0)) == domain


@pytest.mark.parametrize("name", [n for n in MIPS_TASKS if MIPS_TASKS[n].outputs and n != "Evens_Counter"])
def test_every_output_symbol_occurs_where_they_are_few(name):
    target = sized(name, train_size=500 if name not in SHORT else 60)
    assert set(np.unique(target.train.labels)) == set(range(target.interface.outputs))


@pytest.mark.parametrize("name", FINITE)
def test_minimal_machines(name):
    task = MIPS_TASKS[name]
    alphabet = list(itertools.product(task.alphabet, repeat=2)) if task.channels == 2 else list(task.alphabet)
    machine = minimal_mealy(task.step, task.initial_state, alphabet)
    assert machine.states == FINITE[name] == task.states
    rng = np.random.default_rng(0)
    for _ in range(5):
        word = [alphabet[i] for i in rng.integers(len(alphabet), size=30)]
        assert machine.run(word) == [ORACLES[name](word[: t + 1]) for t in range(30)]


@pytest.mark.parametrize("name", sorted([*LARGE, *UNBOUNDED]))
def test_machines_over_the_cap(name):
    task = MIPS_TASKS[name]
    alphabet = list(itertools.product(task.alphabet, repeat=2)) if task.channels == 2 else list(task.alphabet)
    assert minimal_mealy(task.step, task.initial_state, alphabet, cap=200) is None
    assert sized(name).truth["minimal_states"] == LARGE.get(name, "unbounded")


def test_truth_holds_the_machine():
    truth = sequence(task="Div_3").truth
    assert truth["minimal_states"] == 3 and truth["structure"] == "finite-state"
    state, outputs = 0, []
    for bit in (1, 1, 0, 1):  # 13 = 4·3 + 1
        outputs.append(truth["machine"]["outputs"][state][bit])
        state = truth["machine"]["transitions"][state][bit]
    assert outputs == [0, 1, 0, 0] and state == 1


def distinguishable_prefixes(step, initial_state, alphabet, depth, suffix):
    """How many prefixes up to ``depth`` differ in what follows up to ``suffix`` symbols: a slow Myhill–Nerode count."""
    signatures = set()
    for n in range(depth + 1):
        for prefix in itertools.product(alphabet, repeat=n):
            state = initial_state
            for x in prefix:
                state, _ = step(state, x)
            signature = []
            for word in itertools.product(alphabet, repeat=suffix):
                s = state
                for x in word:
                    s, y = step(s, x)
                    signature.append(y)
            signatures.add(tuple(signature))
    return len(signatures)


@pytest.mark.parametrize("seed", range(15))
def test_minimisation_of_random_machines_by_counting_prefixes(seed):
    rng = np.random.default_rng(seed)
    transitions, outputs = rng.integers(5, size=(5, 2)), rng.integers(2, size=(5, 2))

    def step(state, x):
        return int(transitions[state, x]), int(outputs[state, x])

    machine = minimal_mealy(step, 0, (0, 1))
    assert machine.states == distinguishable_prefixes(step, 0, (0, 1), depth=5, suffix=5)


def test_states_with_the_same_outputs_now_but_not_later_stay_apart():
    def delayed(state, x):
        return (x, state[0]), state[1]

    assert minimal_mealy(delayed, (0, 0), (0, 1)).states == 4


# --- samplers and options


def test_bit_palindrome_has_its_own_sampler(seed):
    target = sequence(task="Bit_Palindrome")
    assert (len(target.train), len(target.held_out), len(target.full)) == (512, 256, 1024)
    for row in target.train.inputs:
        assert any((row[:k] == row[:k][::-1]).all() for k in range(2, 11))
    drawn = MIPS_TASKS["Bit_Palindrome"].sampler(np.random.default_rng(seed), 4000, 10)
    whole = np.mean([(row == row[::-1]).all() for row in drawn])
    # 1/9 of whole length, and of the other 8/9 one in 2⁵ by chance: 5/36, known here to 0.0055
    assert whole == pytest.approx(5 / 36, abs=0.03)


def test_as_numbers_gives_numbers():
    target = sequence(task="Add_Mod_5", as_numbers=True)
    assert (target.loss, target.interface.vocabulary, target.interface.input_shape) == ("mse", None, (10, 1))
    np.testing.assert_array_equal(target.train.labels, np.cumsum(target.train.inputs[..., 0], axis=1) % 5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"task": "Parity"}, "unknown sequence task 'Parity'"),
        ({"task": "Sum_All", "as_numbers": False}, "wide range"),
        ({"task": "Parity_All", "length": 1}, "length"),
        ({"task": "Parity_All", "as_numbers": "yes"}, "as_numbers"),
        ({"task": "Sum_All", "train_fraction": 0.5}, "use train_size"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError, match=message):
        sequence(**options)


# --- Tomita

LANGUAGES = {
    1: lambda w: "0" not in w,
    2: lambda w: re.fullmatch("(10)*", w) is not None,
    3: lambda w: re.search("(?<!1)1(11)*0(00)*(?!0)", w) is None,
    4: lambda w: "000" not in w,
    5: lambda w: w.count("0") % 2 == 0 and w.count("1") % 2 == 0,
    6: lambda w: (w.count("0") - w.count("1")) % 3 == 0,
    7: lambda w: re.fullmatch("0*1*0*1*", w) is not None,
}


@pytest.mark.parametrize("grammar", range(1, 8))
def test_tomita_labels_by_the_language(grammar):
    target = tomita(grammar=grammar)
    assert len(target.full) == 1024 and target.interface.outputs == 2
    for row, labels in zip(target.full.inputs.tolist(), target.full.labels.tolist(), strict=True):
        word = "".join(map(str, row))
        assert labels == [int(LANGUAGES[grammar](word[: t + 1])) for t in range(10)]


@pytest.mark.parametrize(("grammar", "states"), list(enumerate([2, 3, 5, 4, 4, 3, 5], start=1)))
def test_tomita_sizes(grammar, states):
    target = tomita(grammar=grammar)
    assert target.truth["acceptor_states"] == states == len(TOMITA[grammar].transitions)
    step = TOMITA[grammar].step
    assert target.truth["minimal_states"] == distinguishable_prefixes(step, 0, (0, 1), depth=5, suffix=5)


def test_an_acceptor_tells_states_apart_that_a_mealy_machine_merges():
    def ends_in_one(state, x):
        return x, x

    assert minimal_mealy(ends_in_one, 0, (0, 1)).states == 1
    assert acceptor_states(ends_in_one, 0, accepts_empty=False) == 2


def test_tomita_numbers():
    with pytest.raises(InputError, match=r"grammar.*1 … 7, got 8"):
        build_target("tomita", grammar=8)
