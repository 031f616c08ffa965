"""Formulas of networks of 11 to 64 bits: what is proved on the whole cube, and whether anything false is ever said.

    python benchmarks/wide_formulas.py            # 32 networks, some minutes; goes on where it was stopped
    python benchmarks/wide_formulas.py --share 0.1

- *planted*: formulas written into weights (juntas, read-once, counts, parities, sums of products), half of them with
  0.3 % of noise on every weight and units permuted and rescaled.
- *near miss*: a formula with an AND of all literals added, so that one row in 2^n differs. The formula without it is to
  be refused with that row, and the program that is read is to have it.
- *trained*, *half trained*, *random labels*, *untrained*: multilayer perceptrons.

A claim is *false* if a program that is said to be equal to the network on the whole cube answers otherwise on any row
that the judge asks. The judge is a second implementation in plain NumPy. It asks rows that are drawn, with shares of
ones from 0 to 1, and all rows of sub-cubes of ten bits. Rows with a margin below 1e-9 are left out.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")

import jax
import jax.numpy as jnp
import numpy as np
import optax

from allroads import Target, extract
from allroads.networks.mlp import mlp
from allroads.programs.boolean import LANGUAGE, Formula, compile_formula, verify
from allroads.programs.boolean.evaluate import all_rows, values_of

RESULT = Path(__file__).parent / "results" / "wide_formulas.json"
DONE = RESULT.with_suffix(".jsonl.tmp")
FAMILIES = {"planted": 10, "near miss": 5, "trained": 6, "half trained": 4, "random labels": 2, "untrained": 5}
ACTIVATIONS = {"relu": lambda x: np.maximum(x, 0), "tanh": np.tanh}
RULES = ("x3 & (x7 | ~x10)", "x3 & (x7 ^ x10)", "x0 & x1 | x2 & x10", "x2 + x4 + x6 + x8 + x10 >= 3", "x1 ^ x9", "x5")


def target_of(bits: int, formula: Formula | None, seed: int) -> Target:
    rows = np.random.default_rng([seed, 1]).integers(2, size=(64, bits)).astype(bool)
    labels = np.arange(64) % 2 if formula is None else values_of(formula.root, rows).astype(int)
    labels = labels if 0 < labels.sum() < 64 else np.arange(64) % 2
    return Target("wide", inputs=np.where(rows, -1, 1).astype(np.float32), labels=labels, loss="bce")


def planted(rng: np.random.Generator, seed: int) -> Formula:
    """A formula of one of five kinds."""
    bits = int(rng.integers(12, 65))
    some = rng.permutation(bits).tolist()

    def once(variables: list[int]) -> str:
        if len(variables) == 1:
            return "~" * int(rng.integers(2)) + f"x{variables[0]}"
        cut = int(rng.integers(1, len(variables)))
        return f"({once(variables[:cut])} {'&|^'[rng.integers(3)]} {once(variables[cut:])})"

    kind = seed % 5
    if kind == 0:
        text = once(some[:5])
    elif kind == 1:
        text = once(some[: min(bits, 26)])
    elif kind == 2:
        chosen = some[: min(bits, 31)]
        text = " + ".join(f"x{i}" for i in chosen) + f" >= {int(rng.integers(2, len(chosen)))}"
    elif kind == 3:
        text = " ^ ".join(f"x{i}" for i in some[:6])
    else:
        text = " | ".join(
            f"x{a} & ~x{b} & x{c}" for a, b, c in zip(*(some[k : bits // 3 * 3 : 3] for k in range(3)), strict=True)
        )
    return Formula.parse(text, bits, encoding="signs")


def disturbed(params: Any, rng: np.random.Generator, noise: float) -> Any:
    layers = [{k: np.array(v) * (1 + noise * rng.standard_normal(v.shape)) for k, v in layer.items()}
              for layer in params["layers"]]  # fmt: skip
    for layer, following in itertools.pairwise(layers):
        order, scale = rng.permutation(len(layer["bias"])), np.exp(rng.normal(size=len(layer["bias"])))
        layer["weight"], layer["bias"] = layer["weight"][:, order] * scale, layer["bias"][order] * scale
        following["weight"] = following["weight"][order] / scale[:, None]
    return {"layers": layers}


def trained(network: Any, formula: Formula | None, bits: int, steps: int, seed: int) -> Any:
    """Weights after training on rows that are drawn, or without a formula on random labels of 64 rows."""
    rng = np.random.default_rng([seed, 2])
    rows = rng.random((steps, 128, bits)) < 0.5
    if formula is None:
        rows = np.repeat(rows[:1, :64], steps, axis=0)
        labels = np.repeat(rng.integers(2, size=(1, 64)), steps, axis=0)
    else:
        labels = values_of(formula.root, rows.reshape(-1, bits)).reshape(rows.shape[:2])
    optimiser = optax.adamw(optax.cosine_decay_schedule(0.01, max(steps, 400)), weight_decay=0.5)

    def loss(params: Any, inputs: Any, label: Any) -> Any:
        return optax.sigmoid_binary_cross_entropy(network.apply(params, inputs)[:, 0], label).mean()

    def step(carried: Any, batch: Any) -> Any:
        moves, state = optimiser.update(jax.grad(loss)(carried[0], *batch), carried[1], carried[0])
        return (optax.apply_updates(carried[0], moves), state), None

    start = network.init(jax.random.key(seed))
    batches = jnp.asarray(np.where(rows, -1, 1), jnp.float32), jnp.asarray(labels, jnp.float32)
    return jax.lax.scan(step, (start, optimiser.init(start)), batches)[0][0]


def cases(family: str, count: int) -> Iterator[tuple[int, str, Any, Any, int, Formula | None]]:
    """Number, activation, network, weights, bits and the rule, if there is one."""
    for number in range(count):
        rng = np.random.default_rng([number, list(FAMILIES).index(family)])
        activation = ("relu", "tanh")[number % 2]
        bits = (16, 20, 24, 32, 48, 64)[number % 6] if family == "trained" else int(rng.integers(21, 65))
        if family == "planted":
            formula = planted(rng, number)
            network, params = compile_formula(formula)
            params = disturbed(params, rng, 0.003) if number // 5 % 2 else params
            yield number, "relu", network, params, formula.inputs, formula
        elif family == "near miss":
            rule = Formula.parse(RULES[number % 6], bits, encoding="signs")
            corner = " & ".join(f"{'~' * int(bit)}x{i}" for i, bit in enumerate(rng.integers(2, size=bits)))
            near = Formula.parse(f"({RULES[number % 6]}) ^ ({corner})", bits, encoding="signs")
            yield number, "relu", *compile_formula(near), bits, rule
        else:
            widths = ((24,), (12, 12))[number // 2 % 2]
            network = mlp((bits,), 1, widths=widths, activation=activation)
            rule = (
                None
                if family in ("untrained", "random labels")
                else Formula.parse(RULES[number % 6], bits, encoding="signs")
            )
            steps = {"trained": 1200, "half trained": 30, "random labels": 400, "untrained": 0}[family]
            params = trained(network, rule, bits, steps, number) if steps else network.init(jax.random.key(number))
            yield number, activation, network, params, bits, rule


def judged(program: Formula, params: Any, activation: str, seed: int) -> int:
    """Rows that are asked on which a program does not answer as the network."""
    rng = np.random.default_rng([seed, 3])
    bits = program.inputs
    rows = [rng.random((20_000, bits)) < 0.5, rng.random((4_000, bits)) < rng.random((4_000, 1))]
    for _ in range(8):
        cube = np.repeat(rng.random((1, bits)) < 0.5, 1024, axis=0)
        cube[:, rng.permutation(bits)[:10]] = all_rows(10)
        rows.append(cube)
    every = np.concatenate(rows)
    x = np.where(every, -1.0, 1.0)
    for place, layer in enumerate(params["layers"]):
        x = x @ np.asarray(layer["weight"], float) + np.asarray(layer["bias"], float)
        x = ACTIVATIONS[activation](x) if place + 1 < len(params["layers"]) else x
    sure = np.abs(x[:, 0]) > 1e-9
    return int(((x[:, 0] > 0) != values_of(program.root, every))[sure].sum())


def run(family: str, case: tuple[int, str, Any, Any, int, Formula | None]) -> dict[str, Any]:
    number, activation, network, params, bits, rule = case
    target = target_of(bits, rule, number)
    began = time.process_time()
    found = extract(network, params, target, languages=[LANGUAGE], progress=False)
    row: dict[str, Any] = {"family": family, "number": number, "bits": bits, "seconds": time.process_time() - began}
    row |= {"status": found.status.value, "scope": None, "why": found.stats["why"][:160]}
    if found.program is not None and found.equivalence is not None:
        row |= {"scope": found.equivalence.scope, "margin": found.equivalence.margin, **found.equivalence.stats}
        row |= {
            "wrong": judged(found.program, params, activation, number),
            "program": str(found.program.canonical().root)[:200],
        }
        row["is the rule"] = rule is not None and found.program.equals(rule).equal
    if family == "near miss" and rule is not None:
        answer = verify(network, params, target, rule)
        row["refused"] = not answer.equal and answer.scope == "exhaustive"
        row["has the row"] = found.program is not None and found.program(answer.counterexample) == answer.answers[0]
    return row


def table(rows: list[dict[str, Any]]) -> dict[str, Any]:
    result = {}
    for family in FAMILIES:
        own = [row for row in rows if row["family"] == family]
        proved = [row for row in own if row["scope"] == "exhaustive"]
        result[family] = {
            "networks": len(own),
            "proved": len(proved),
            "computes": sum(row["status"] == "computes" for row in own),
            "sampled": sum(row["scope"] == "sampled" for row in own),
            "the rule": sum(bool(row.get("is the rule")) for row in own),
            "near misses refused": sum(bool(row.get("refused")) and bool(row.get("has the row")) for row in own),
            "false": sum(row["wrong"] > 0 for row in proved),
            "median boxes": float(np.median([row["boxes"] for row in proved])) if proved else None,
            "median seconds": float(np.median([row["seconds"] for row in own])) if own else None,
        }
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--share", type=float, default=1.0, help="share of the networks")
    share = parser.parse_args().share
    rows = [json.loads(line) for line in DONE.read_text().splitlines()] if DONE.exists() else []
    known = {(row["family"], row["number"]) for row in rows}
    with DONE.open("a") as out:
        for family, count in FAMILIES.items():
            for case in cases(family, max(1, round(count * share))):
                if (family, case[0]) not in known:
                    rows.append(run(family, case))
                    out.write(json.dumps(rows[-1]) + "\n")
                    out.flush()
    result = {
        "command": "python benchmarks/wide_formulas.py",
        "share": share,
        "families": table(rows),
        "networks": rows,
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    if share == 1.0:
        DONE.unlink()
    for family, figures in result["families"].items():
        print(
            f"{family:14}",
            *(
                f"{name} {value if not isinstance(value, float) else round(value, 1)}"
                for name, value in figures.items()
            ),
            sep="  ",
        )


if __name__ == "__main__":
    main()
