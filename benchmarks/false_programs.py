"""False programs: whether extraction ever says of a network a program that it does not compute.

    python benchmarks/false_programs.py            # 5,000 networks, about an hour; goes on where it was stopped
    python benchmarks/false_programs.py --share 0.04

Networks that are untrained, have random weights, are half trained, are trained on random labels, or compute a near miss
of their target (one row, transition, coefficient or pair changed) are given to `extract`. A program is *false* if

- it is said to be equal to the network and answers otherwise on an input of the scope: the whole domain is compared,
  and for `all lengths` words of 40 and 200 letters that are drawn;
- its source gives other answers than the program;
- `correct` says that it is equal to the target where the network's answers are not the target's, or the reverse;
- it is proved for all lengths and is not the machine that was compiled.

The network's answers come from a second implementation in plain NumPy, in double precision. Answers with a margin below
1e-9 are not compared, as rounding decides them; they are counted as ties. The search for machines has one second a
try, so that statuses (and never the truth of a claim) may differ between computers.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")

import numpy as np
from compiled_once import compiled_once
from false_program_cases import FAMILIES, Case, cases
from program_networks import decided, outputs_of

from allroads import Extraction, extract
from allroads.programs.language import Language, languages
from allroads.programs.sandbox import BUILTINS
from allroads.status import ExtractionStatus
from allroads.targets.symbols import decoded

RESULT = Path(__file__).parent / "results" / "false_programs.json"
DONE = RESULT.with_suffix(".jsonl.tmp")
PACK = 50
"""Networks that are trained together, and after which results are kept."""
TIE = 1e-9
"""Margin below which rounding decides an answer."""
SECONDS = 1.0
LONGER = ((40, 200), (200, 20))
"""Lengths, and how many words of each are compared where all lengths are claimed."""


def quick() -> list[Language]:
    """The languages, machines with little time to look for them."""
    from allroads.programs.mealy.read import read

    def brief(subject: Any, seed: int) -> Any:
        return read(subject, seed, seconds=SECONDS)

    return [dataclasses.replace(one, read=brief) if one.name == "mealy" else one for one in languages()]


def judge(case: Case, found: Extraction) -> dict[str, Any]:
    """What is claimed of a network, and each claim that does not hold."""
    row: dict[str, Any] = {"status": found.status.value, "language": None, "scope": None, "ties": 0, "wrong": []}
    if found.program is None or found.equivalence is None:
        if found.status.sound:
            row["wrong"].append("a sound status without a program")
        return row
    row |= {"language": found.program.language, "scope": found.equivalence.scope, "equal": found.equivalence.equal}
    if not found.equivalence.equal:
        if found.status.sound:
            row["wrong"].append("a sound status of a program that differs")
        return row
    target = case.target
    inputs = target.full.inputs
    outputs = outputs_of(case.params, inputs, **case.form)
    said, margins = decided(outputs, target.loss)
    clear = margins > TIE
    row["ties"] = int((~clear).sum())
    examples = decoded(inputs, target.alphabet if target.interface.vocabulary is not None else None)[0]
    answers = in_labels(found.program.run(list(examples)), case, said.shape)
    if (answers != said)[np.broadcast_to(clear, said.shape)].any():
        row["wrong"].append("another answer on the domain")
    rows = np.linspace(0, len(inputs) - 1, min(len(inputs), 128)).astype(int)
    some = [plain(examples[i]) for i in rows]
    if not np.array_equal(in_labels(run_plain(found.program.source, some), case, said[rows].shape), answers[rows]):
        row["wrong"].append("the source answers otherwise than the program")
    same = np.array_equal(said.reshape(target.full.labels.shape), target.full.labels)
    row["correct"] = found.correct is not None and found.correct.equal
    if found.correct is None or (found.correct.equal != same and not row["ties"]):
        row["wrong"].append("correct is wrong of the target")
    if found.equivalence.scope == "all lengths":
        row["wrong"] += longer(case, found)
    return row


def longer(case: Case, found: Extraction) -> list[str]:
    """Claims over all lengths that do not hold on long words, or of the machine that was compiled."""
    wrong, rng = [], np.random.default_rng(case.seed)
    letters = np.unique(case.target.full.inputs)
    for length, count in LONGER:
        words = letters[rng.integers(len(letters), size=(count, length, *case.target.full.inputs.shape[2:]))]
        said, margins = decided(outputs_of(case.params, words, **case.form), case.target.loss)
        vocabulary = case.target.interface.vocabulary is not None
        examples = decoded(words, case.target.alphabet if vocabulary else None)[0]
        answers = in_labels(found.program.run(list(examples)), case, said.shape)
        if (answers != said)[np.broadcast_to(margins > TIE, said.shape)].any():
            wrong.append(f"another answer on a word of {length} letters")
    same_kind = case.compiled is not None and type(case.compiled) is type(found.program)
    if same_kind and not found.program.equals(case.compiled).equal:
        wrong.append("proved equal to a network that computes another program by construction")
    return wrong


def in_labels(answers: list[Any], case: Case, shape: tuple[int, ...]) -> np.ndarray:
    symbols = case.target.output_alphabet
    found = np.array(answers, dtype=object).reshape(shape)
    if symbols is None:
        return found.astype(float)
    return np.vectorize(lambda answer: symbols.index(answer), otypes=[float])(found)


def plain(example: Any) -> Any:
    listed = example.tolist() if hasattr(example, "tolist") else example
    if isinstance(listed, list) and listed and isinstance(listed[0], list):  # channels of numbers
        return [row[0] if len(row) == 1 else tuple(row) for row in listed]
    return listed


def run_plain(source: str, examples: list[Any]) -> list[Any]:
    """Answers of a source; in this process, as it is our own text, and thousands of processes would take an hour."""
    import builtins

    names: dict[str, Any] = {"__builtins__": {name: getattr(builtins, name) for name in BUILTINS}}
    exec(compile(source, "<program>", "exec"), names)
    return [names["program"](example) for example in examples]


def packs(share: float) -> Iterator[tuple[str, str, int, int]]:
    """``(family, kind, number of the pack, networks)``, families in turn."""
    waiting = []
    for family, kinds in FAMILIES.items():
        for kind, total in kinds.items():
            count = round(total * share)
            for number, first in enumerate(range(0, count, PACK)):
                waiting.append((number, family, kind, min(PACK, count - first)))
    for number, family, kind, count in sorted(waiting):
        yield family, kind, number, count


def run_pack(family: str, kind: str, number: int, count: int, tried: Callable[[], list[Language]]) -> dict[str, Any]:
    """The results of one pack."""
    began, rows = time.perf_counter(), []
    for index, case in enumerate(cases(family, kind, number, count)):
        known = [one for one in tried() if one.name not in case.without]
        row = judge(case, extract(case.network, case.params, case.target, languages=known, seed=case.seed))
        rows.append(row | {"index": index, "target": case.target.name})
    return {"family": family, "kind": kind, "pack": number, "rows": rows, "seconds": time.perf_counter() - began}


def summary(done: list[dict[str, Any]], command: str) -> dict[str, Any]:
    """Counts over all packs, and every false program."""
    table, false = [], []
    for family in FAMILIES:
        for kind in FAMILIES[family]:
            rows = [row for pack in done if (pack["family"], pack["kind"]) == (family, kind) for row in pack["rows"]]
            claims = [row for row in rows if row.get("equal")]
            if rows:
                table.append({
                    "family": family, "kind": kind, "networks": len(rows), "claims": len(claims),
                    "all_lengths": sum(row["scope"] == "all lengths" for row in claims),
                    "ties": sum(row["ties"] > 0 for row in rows),
                    "statuses": dict(sorted(Counter(row["status"] for row in rows).items())),
                    "false": sum(bool(row["wrong"]) for row in rows),
                })  # fmt: skip
    for pack in done:
        for row in pack["rows"]:
            if row["wrong"]:
                false.append({key: pack[key] for key in ("family", "kind", "pack")} | row)
    total = {key: sum(row[key] for row in table) for key in ("networks", "claims", "all_lengths", "ties", "false")}
    seconds = round(sum(pack["seconds"] for pack in done))
    return {"command": command, **total, "seconds": seconds, "rows": table, "false_programs": false}


def main() -> None:
    """Go through the packs that are not done; print and write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--share", type=float, default=1.0, help="share of the 5,000 networks; 1 writes the result")
    parser.add_argument("--family", help="one family alone; nothing is written")
    given = parser.parse_args()
    with compiled_once():
        run(given)


def run(given: argparse.Namespace) -> None:
    """Every pack that is not done, and the table."""
    whole = given.share == 1 and given.family is None
    done = [json.loads(line) for line in DONE.read_text().splitlines()] if whole and DONE.exists() else []
    known = {(pack["family"], pack["kind"], pack["pack"]) for pack in done}
    for family, kind, number, count in packs(given.share):
        if (family, kind, number) in known or given.family not in (None, family):
            continue
        pack = run_pack(family, kind, number, count, quick)
        done.append(pack)
        counts = dict(Counter(row["status"] for row in pack["rows"]))
        wrong = [(row["index"], row["wrong"]) for row in pack["rows"] if row["wrong"]]
        print(f"{family:8} {kind:13} {number:3} {pack['seconds']:7.1f} s {counts} {wrong or ''}", flush=True)
        if whole:
            with DONE.open("a") as file:
                file.write(json.dumps(pack) + "\n")
    found = summary(done, "python benchmarks/false_programs.py")
    print(f"\n{'family':8} {'kind':14} {'networks':>8} {'claims':>6} {'all lengths':>11} {'false':>5}  statuses")
    for row in found["rows"]:
        print(f"{row['family']:8} {row['kind']:14} {row['networks']:8} {row['claims']:6} {row['all_lengths']:11} "
              f"{row['false']:5}  {row['statuses']}")  # fmt: skip
    print({key: found[key] for key in ("networks", "claims", "all_lengths", "ties", "false", "seconds")})
    print(f"statuses that speak of equality: {', '.join(s.value for s in ExtractionStatus if s.sound)}")
    if whole:
        RESULT.write_text(json.dumps(found, indent=1) + "\n")
        DONE.unlink()


if __name__ == "__main__":
    main()
