"""The page on programs says what the committed results of the benchmarks say."""

import json
import re
from pathlib import Path

import pytest

from allroads.programs.ground_truth import entries
from allroads.programs.language import BUILT_IN

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "programs.md").read_text("utf-8")
WORDS = " ".join(PAGE.split())


def result(name):
    return json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text("utf-8"))


def test_the_ten_programs_are_those_that_were_read():
    rows = {row["task"]: row for row in result("planted_programs")["rows"]}
    listed = re.findall(r"^\| (\w+) \| (\d+) \| (\d+) \| ([a-z ]+) \|$", PAGE, re.MULTILINE)
    assert len(listed) == 10
    for task, states, bits, scope in listed:
        assert (int(states), int(bits), scope) == (rows[task]["states"], round(rows[task]["bits"]), rows[task]["scope"])
        assert f"```py\n# {task}\n{rows[task]['source']}\n```" in PAGE
    found = result("planted_programs")
    assert found["equal"] == found["all_lengths"] == found["tasks"]
    assert f"All {found['tasks']} finite-state tasks" in PAGE
    assert f"Of these, {found['formulas']} are formulas" in PAGE


def test_the_table_of_robustness_is_that_of_the_benchmark():
    rows = result("robustness")["rows"]
    assert all(row["same_function"] == row["read"] for row in rows)
    for language in {row["language"] for row in rows}:
        share = {row["noise"]: row["read"] for row in rows if row["language"] == language}
        assert {share[noise] for noise in share if noise <= 0.01} == {1.0}
        assert f"| `{language}` | 1 | {share[0.03]:g} | {share[0.1]:g} | {share[0.3]:g} |" in PAGE


def test_times_of_extraction_are_those_of_the_benchmark():
    found = result("extraction_time")
    listed = {task: (float(a), float(b)) for task, a, b in re.findall(r"\| `(\w+)` \| ([\d.]+) \| ([\d.]+) \|\n", PAGE)}
    for row in found["trained"]:
        measured = (row["training_cpu_seconds"], row["cpu_seconds"])
        assert listed[row["task"]] == pytest.approx(measured, abs=0.051)
    seconds = {row["modulus"]: row["cpu_seconds"] for row in found["by_states"]}
    assert f"{seconds[3]:.1f} s at 3 states, {seconds[8]:.1f} s at 8 and {seconds[32]:.1f} s at 32" in WORDS
    wide = [row["cpu_seconds"] for row in found["by_width"]]
    assert f"{min(wide):.1f} to {max(wide):.1f} s at hidden sizes" in WORDS


def test_counts_are_those_of_the_benchmarks():
    mips, false, identity = result("mips"), result("false_programs"), result("identity")
    assert f"{mips['exact']} equal the task's definition" in WORDS
    assert (
        f"{mips['exact_and_all_lengths']} of them are proved at all lengths, and {mips['exact_and_formula']}" in WORDS
    )
    assert f"MIPS has {mips['mips']}, GPT-4 {mips['gpt4_reported']} as reported and {mips['gpt4_strict']}" in WORDS
    times = mips["training_seconds"] / 60, mips["extraction_seconds"] / 60
    assert f"Training takes {times[0]:.0f} minutes in all, extraction {times[1]:.0f}." in WORDS
    assert false["false"] == 0
    assert f"{false['networks']:,} networks" in WORDS
    assert f"{false['claims']:,} claims were checked" in WORDS
    assert identity["confusions"] == 0
    assert f"{identity['number']} planted pairs" in WORDS
    transformers = result("causal_transformers")
    assert f"{transformers['networks_with_an_answer_at_each_position']} networks in all" in WORDS
    assert (transformers["tasks"], len(transformers["proved"]), len(transformers["computes"])) == (11, 10, 8)
    assert transformers["one_answer_proved"] == ["Tomita 5 after #"] and len(transformers["one_answer"]) == 4
    boolean = [result("boolean_programs")[f"bits_{n}"] for n in (3, 4)]
    assert all(part["equal"] == part["functions"] == part["gates_above_least"]["0"] for part in boolean)
    assert f"The {sum(part['statuses']['table'] for part in boolean)} formulas" in WORDS
    parity = result("streaming_parity")
    assert f"by step {parity['merged_at_step']}" in WORDS
    assert f"closes at step {parity['first_proved_at_step']}" in WORDS


def test_shares_of_the_logits_are_those_of_the_benchmarks():
    rows, groups = result("modular")["rows"], result("groups")["rows"]
    squares = [row["explained"] for name, row in rows.items() if name.startswith("squares")]
    assert f"with {100 * min(squares):.0f} to {100 * max(squares):.1f} %. Networks that memorise" in WORDS
    grokked = [row for name, row in rows.items() if name.startswith("embedding p=")]
    shares, keys = [row["explained"] for row in grokked], [len(row["frequencies"]) for row in grokked]
    assert len(grokked) == 30 and {row["status"] for row in grokked} == {"computes"}
    assert f"From {100 * min(shares):.1f} to {100 * max(shares):.1f} % of the variance" in WORDS
    assert f"in {min(keys)} to {max(keys)} single cosines" in WORDS
    memorising = result("modular")["summary"]["memorising"]
    assert memorising["programs"] == 0 and f"({memorising['networks']} of {memorising['networks']})" in WORDS
    widest = rows["width 4096 p=23 seed=0"]["explained"]
    relu = [row["explained"] for name, row in rows.items() if name.startswith(("relu", "width 128 "))]
    said = f"have {100 * min(relu):.0f} to {100 * max(relu):.0f} % of the variance of their logits in single cosines"
    assert f"{said}, and {100 * widest:.0f} % at width 4,096" in WORDS
    attention = result("modular_transformer")
    found = attention["summary"]
    assert (found["networks"], found["computes"], found["controls"], found["programs of controls"]) == (13, 8, 6, 0)
    wide = result("wide_formulas")["families"]
    assert [wide[name]["the rule"] for name in ("planted", "trained")] == [9, 6]
    assert wide["near miss"]["near misses refused"] == 5
    assert not any(wide[name]["proved"] for name in ("half trained", "random labels", "untrained"))
    s5 = [row["explained"] for name, row in groups.items() if name.startswith("S5")]
    assert f"Five seeds of S5 have {100 * min(s5):.0f} to {100 * max(s5):.0f} % of the variance" in WORDS
    small = [row["status"] for name, row in groups.items() if name.startswith(("S4", "D12", "Z4"))]
    assert f"({small.count('computes')} of {len(small)})" in WORDS


def test_all_languages_and_the_size_of_the_zoo_are_named():
    languages = PAGE.split("## Languages")[1].split("## What was shown")[0]
    assert sorted(re.findall(r"^\| `(\w+)` \|", languages, re.MULTILINE)) == sorted(BUILT_IN)
    assert f"`allroads zoo` lists {len(entries())} networks" in WORDS
