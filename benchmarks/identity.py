"""Identity of programs: 600 pairs of networks whose programs are the same, or are not, by construction.

    python benchmarks/identity.py    # some minutes; writes benchmarks/results/identity.json

Both networks of a pair are written by `compile_program`; hidden units are permuted and rescaled, bases changed, and
noise is added. Both are read with the same target, and their labels are compared. A label is the normal form of the
program that was read; for formulas, which are minimised and so depend on the function alone, it also holds the
functions of the two-valued hidden units, up to negation, and for machines and recurrences, whether the network is known
to answer otherwise on words longer than the target's. The labels should be equal where the normal forms of the
programs that were written are, and nowhere else. The pairs:

- the same program in other weights (machines also as Elman and as ReLU network, group programs also by matrix entries
  and by cosets);
- the same function by another program: other circuits of a formula, other frequencies of a sum, other irreducible
  representations of a group;
- a lookup table against the rule on the same finite domain: one unit for each row, one state for each prefix;
- near misses: one transition or coefficient changed;
- brackets that are balanced against as many opening as closing ones, on words on which the two agree.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")

import numpy as np
from compiled_once import compiled_once
from false_program_cases import RECURRENCES, a_formula, machines, near_machine, near_recurrence
from false_programs import quick
from program_networks import disturbed

from allroads import Network, Target, compile_program, extract
from allroads.errors import InputError
from allroads.networks.mlp import mlp
from allroads.programs import Program
from allroads.programs.boolean import Formula, circuit_of_units
from allroads.programs.boolean.encoding import cube
from allroads.programs.fourier import FourierProgram
from allroads.programs.groups import GroupProgram, coset_irreps, irreps, subgroups
from allroads.programs.groups.finite_group import Rows, as_rows
from allroads.programs.mealy import Machine
from allroads.targets import build_target
from allroads.targets.groups import dihedral, symmetric

RESULT = Path(__file__).parent / "results" / "identity.json"
LENGTH = 6
Side = tuple[Program | str, Network, Any]
"""What was written (a text where it is a table and no program), the network, the point."""
Pair = tuple[Side, Side, Target]


def label(network: Network, params: Any, target: Target) -> Any:
    """The label of the program that a network computes; ``None`` where none is read."""
    known = [one for one in quick() if one.name != "mealy" or target.loss != "mse"]
    found = extract(network, params, target, languages=known)
    if found.program is None or not found.equivalence.equal:
        return None
    if not isinstance(found.program, Formula):
        return found.program.canonical(), "longer" in found.equivalence.stats
    full = (1 << (1 << found.program.inputs)) - 1
    units = circuit_of_units(network, params, target.full.inputs, "signs")
    held = frozenset(min(unit.formula.number, full ^ unit.formula.number) for unit in units)
    return found.program.canonical(), held


def boolean_side(formula: Formula, rng: np.random.Generator) -> Side:
    network, params = compile_program(formula)
    return formula.canonical(), network, disturbed(params, rng, 0.003)


def boolean_pairs(kind: str, rng: np.random.Generator) -> Iterator[Pair]:
    bits = 4
    rows = np.array(cube((1, -1), bits), np.float32)
    while True:
        formula = a_formula(bits, rng)
        table = formula.table
        if not 3 <= table.sum() <= 13:
            continue
        target = Target("rule", inputs=rows, labels=table.astype(float), loss="bce", complete=True, train_fraction=1)
        if kind == "same program":
            yield boolean_side(formula, rng), boolean_side(formula, rng), target
        elif kind == "another circuit":
            other = _expanded(formula, int(rng.integers(bits)))
            yield boolean_side(formula, rng), boolean_side(other, rng), target
        else:
            ones = rows[table == 1]
            layers = [
                {"weight": ones.T, "bias": np.full(len(ones), 1.0 - bits, np.float32)},
                {"weight": np.full((len(ones), 1), 2.0, np.float32), "bias": np.array([-1.0], np.float32)},
            ]
            network = mlp((bits,), 1, widths=(len(ones),))
            stored = ("table", network, disturbed({"layers": layers}, rng, 0.003))
            yield boolean_side(formula, rng), stored, target


def _expanded(formula: Formula, index: int) -> Formula:
    """The same function by cases of one variable: ``x & f₁ | ~x & f₀``."""
    rows = np.arange(1 << formula.inputs)
    table = formula.table
    cases = [Formula.of_table(table[rows & ~(1 << index) | value << index], formula.inputs) for value in (0, 1)]
    text = f"(x{index} & ({cases[1].root})) | (~x{index} & ({cases[0].root}))"
    return Formula.parse(text, formula.inputs, encoding="signs")


def mealy_side(machine: Machine, rng: np.random.Generator, length: int, cell: str = "elman") -> Side:
    network, params = compile_program(machine, cell=cell, length=length, gain=6.0 if cell == "elman" else None)
    activation = "tanh" if cell == "elman" else "relu"
    noise = 0.003 if cell == "elman" else 0.0
    return machine.canonical(), network, disturbed(params, rng, noise, activation)


def mealy_pairs(kind: str, rng: np.random.Generator) -> Iterator[Pair]:
    words = np.indices((2,) * LENGTH).reshape(LENGTH, -1).T
    for rule in itertools.cycle(machines()):
        given = words
        if kind == "brackets":
            rule, other = _brackets()
            agree = [rule(word) == other(word) for word in words.tolist()]
            given = words[agree]
        elif kind == "near miss":
            other = near_machine(rule, rng)
        elif kind == "table":
            other = _prefixes(rule, 4)
        else:
            other = rule
        if kind == "table":
            given = words[: 2**4, -4:]
        labels = np.array(rule.run(given.tolist()))
        target = Target("words", inputs=given, labels=labels, alphabet=2, output_alphabet=2,
                        complete=kind != "brackets", train_fraction=1, per_position=True)  # fmt: skip
        length = given.shape[1]
        cell = str(rng.choice(["elman", "relu"]))
        yield mealy_side(rule, rng, length), mealy_side(other, rng, length, cell), target


def _prefixes(rule: Machine, length: int) -> Machine:
    """A machine with a state for each word shorter than a length: a lookup table; what is longer is answered by 0."""
    words = [word for size in range(length) for word in itertools.product((0, 1), repeat=size)]
    index = {word: i for i, word in enumerate(words)}
    end = len(words)
    moves = [[index.get((*word, a), end) for a in (0, 1)] for word in words] + [[end, end]]
    said = [[rule([*word, a])[-1] for a in (0, 1)] for word in words] + [[0, 0]]
    return Machine((0, 1), tuple(map(tuple, moves)), tuple(map(tuple, said)))


def _brackets(depth: int = 3) -> tuple[Machine, Machine]:
    """0 opens, 1 closes: balanced up to a depth, and as many of both, within as many of either."""
    dead = depth + 1
    balanced = [[q + 1 if q < depth else dead, q - 1 if q else dead] for q in range(depth + 1)] + [[dead, dead]]
    said = [[int(p == 0) for p in row] for row in balanced]
    first = Machine((0, 1), tuple(map(tuple, balanced)), tuple(map(tuple, said)))
    places = list(range(-depth, depth + 1))
    order = sorted(places, key=abs)
    end = len(order)
    moves = [[order.index(q + d) if q + d in places else end for d in (1, -1)] for q in order] + [[end, end]]
    second = Machine((0, 1), tuple(map(tuple, moves)), tuple(tuple(int(p == 0) for p in row) for row in moves))
    return first, second


def linear_pairs(kind: str, rng: np.random.Generator) -> Iterator[Pair]:
    length, digits = 4, tuple(range(-2, 3))
    words = np.array(list(itertools.product(digits, repeat=length)))
    for rule in itertools.cycle(RECURRENCES):
        other = rule if kind == "same program" else near_recurrence(rule, rng)
        labels = np.asarray(rule.answer(words[..., None].astype(float)))
        target = Target("numbers", inputs=words, labels=labels, alphabet=digits, as_numbers=True, complete=True,
                        train_fraction=1, loss="mse", per_position=True)  # fmt: skip
        yield *(linear_side(program, length, rng) for program in (rule, other)), target


def linear_side(program: Any, length: int, rng: np.random.Generator) -> Side:
    width, mix, noise = int(rng.integers(6, 9)), int(rng.integers(2**31)), float(rng.choice([0.0, 1e-5]))
    made = compile_program(program, length=length, width=width, mix=mix, noise=noise, seed=int(rng.integers(2**31)))
    return shortest(program), *made


def shortest(program: Any) -> Program:
    """The recurrence that is read of a network without noise: of all of the function, the one that is written short."""
    from allroads.programs.linear.realise import realise
    from allroads.programs.linear.recurrence import of_space
    from allroads.programs.linear.shorten import shorten

    return shorten(of_space(realise(*program.responses(16)))).canonical()


def fourier_pairs(kind: str, rng: np.random.Generator) -> Iterator[Pair]:
    for p in itertools.cycle((11, 13, 17, 23)):
        target = build_target("modular", p=p)
        chosen = [tuple(sorted(map(int, rng.choice(np.arange(1, p // 2 + 1), 3, replace=False)))) for _ in range(2)]
        other = chosen[0] if kind == "same program" else chosen[1]
        sides = []
        for keys in (chosen[0], other):
            program = FourierProgram(p, keys)
            mix, seed = (int(rng.integers(2**31)) for _ in range(2))
            sides.append((program, *compile_program(program, mix=mix, noise=0.01, seed=seed)))
        yield *sides, target


def group_programs(table: Rows) -> list[GroupProgram]:
    """All programs of a group with one or two representations, each once."""
    names = [irrep.name for irrep in irreps(table)]
    some = [chosen for size in (1, 2) for chosen in itertools.combinations(names, size)]
    return list(dict.fromkeys(GroupProgram(table, chosen) for chosen in some if is_faithful(table, chosen)))


def groups_pairs(kind: str, rng: np.random.Generator) -> Iterator[Pair]:
    """Of S3, S4, D5 and D6; by cosets the program is the one whose representations the cosets hold."""
    for products in itertools.cycle((symmetric(3), symmetric(4), dihedral(5), dihedral(6))):
        table, n = as_rows(products), len(products)
        known = group_programs(table)
        pairs = np.indices((n, n)).reshape(2, -1).T
        target = Target("composition", inputs=pairs, labels=products[tuple(pairs.T)], alphabet=n, output_alphabet=n,
                        complete=True, train_fraction=1)  # fmt: skip
        ways: list[dict[str, Any]] = [{}, {}]
        chosen = [known[i] for i in rng.choice(len(known), 2, replace=False)]
        if kind == "same program":
            chosen = [chosen[0]] * 2
        elif kind == "entries and cosets":
            faithful = [h for h in subgroups(table) if 1 < len(h) < n and is_faithful(table, coset_irreps(table, h))]
            ways[1] = {"subgroup": faithful[int(rng.integers(len(faithful)))]}
            chosen = [GroupProgram(table, coset_irreps(table, ways[1]["subgroup"]))] * 2
        sides = []
        for program, way in zip(chosen, ways, strict=True):
            mix, seed = (int(rng.integers(2**31)) for _ in range(2))
            sides.append((program, *compile_program(program, mix=mix, noise=0.01, seed=seed, **way)))
        yield *sides, target


def is_faithful(table: Rows, names: tuple[str, ...]) -> bool:
    """Whether these representations tell all elements apart, so that they are a program."""
    try:
        GroupProgram(table, names)
    except InputError:
        return False
    return True


PAIRS: tuple[tuple[str, str, int, Callable[[str, np.random.Generator], Iterator[Pair]]], ...] = (
    ("boolean", "same program", 70, boolean_pairs),
    ("boolean", "another circuit", 70, boolean_pairs),
    ("boolean", "table", 50, boolean_pairs),
    ("mealy", "same program", 40, mealy_pairs),
    ("mealy", "near miss", 30, mealy_pairs),
    ("mealy", "table", 20, mealy_pairs),
    ("mealy", "brackets", 20, mealy_pairs),
    ("linear", "same program", 60, linear_pairs),
    ("linear", "near miss", 40, linear_pairs),
    ("fourier", "same program", 50, fourier_pairs),
    ("fourier", "other frequencies", 50, fourier_pairs),
    ("groups", "same program", 30, groups_pairs),
    ("groups", "entries and cosets", 30, groups_pairs),
    ("groups", "other irreps", 40, groups_pairs),
)


def compared(language: str, kind: str, count: int, pairs: Iterator[Pair]) -> dict[str, Any]:
    """How the labels of some pairs compare."""
    began = time.perf_counter()
    row: dict[str, Any] = {"language": language, "pairs": kind, "number": count, "same": 0, "told_same": 0}
    row |= {"unread": 0, "confusions": 0, "confused": []}
    for index, (a, b, target) in zip(range(count), pairs, strict=False):
        labels = [label(network, params, target) for _, network, params in (a, b)]
        unread = any(one is None for one in labels)
        same, told = bool(a[0] == b[0]), not unread and labels[0] == labels[1]
        row["same"] += same
        row["told_same"] += told
        row["unread"] += unread
        if same != told or unread:
            row["confusions"] += 1
            written, read = [str(a[0]), str(b[0])], [str(one) for one in labels]
            row["confused"].append({"index": index, "same": same, "written": written, "read": read})
    return row | {"seconds": round(time.perf_counter() - began, 1)}


def main() -> None:
    """Compare the labels of all pairs; print and write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", help="pairs that are compared anew, such as 'mealy table'; the others are kept")
    only = parser.parse_args().only
    kept = {} if only is None else {f"{row['language']} {row['pairs']}": row for row in
                                    json.loads(RESULT.read_text())["rows"]}  # fmt: skip
    rows = []
    print(f"{'language':8} {'pairs':18} {'number':>6} {'same':>5} {'told same':>9} {'unread':>6} {'confusions':>10}")
    for place, (language, kind, count, make) in enumerate(PAIRS):
        name = f"{language} {kind}"
        again = only is None or name == only
        rng = np.random.default_rng([9, place])
        row = compared(language, kind, count, make(kind, rng)) if again else kept[name]
        rows.append(row)
        print(f"{language:8} {kind:18} {count:6} {row['same']:5} {row['told_same']:9} {row['unread']:6} "
              f"{row['confusions']:10}  {row['seconds']} s", flush=True)  # fmt: skip
    total = {key: sum(row[key] for row in rows) for key in ("number", "same", "told_same", "unread", "confusions")}
    print(total)
    found = {"command": "python benchmarks/identity.py", **total, "rows": rows}
    RESULT.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    with compiled_once():
        main()
