"""Robustness of extraction: planted programs of each language under relative noise on every weight.

    python benchmarks/robustness.py    # some minutes; writes benchmarks/results/robustness.json

Each weight w becomes w (1 + σ ε) with ε normal. Two shares are printed for each σ: networks that still answer the whole
domain as the planted program does, and networks from which the planted program is read. The second may not pass the
first: what is read is the network's own program.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")

import jax
import numpy as np
from compiled_once import compiled_once
from false_programs import quick

from allroads import compile_program, extract, float64
from allroads.programs.ground_truth import entries

RESULT = Path(__file__).parent / "results" / "robustness.json"
NOISE = (0.0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
DRAWS = 4
MODELS = {
    "boolean": ("majority-3", "pairs-less"),
    "mealy": ("tomita-5", "div-3"),
    "linear": ("sum-last3", "newton-spring"),
    "fourier": ("add-mod-11-waves", "subtract-mod-13-waves"),
}


def tried(name: str, noise: float) -> tuple[int, int]:
    """Of the draws, how many networks keep the function, and from how many the planted program is read."""
    entry = entries()[name]
    program, target = entry.make()
    network, params = compile_program(program, **entry.options)
    keeps = reads = 0
    answer = jax.jit(network.apply)
    own = [one for one in quick() if one.name == entry.language]
    for draw in range(DRAWS):
        rng = np.random.default_rng([5, draw])

        def moved(leaf: Any, rng: np.random.Generator = rng) -> Any:
            array = np.asarray(leaf, float)
            return array * (1 + noise * rng.standard_normal(array.shape))

        point = jax.tree.map(moved, params)
        with float64():
            outputs = np.asarray(answer(point, target.full.inputs))
            found = extract(network, point, target, languages=own)
        if target.loss == "cross_entropy":
            said = outputs.argmax(-1)
        else:
            said = (outputs > 0) if target.loss == "bce" else np.rint(outputs)
            said = said.reshape(target.full.labels.shape)
        keeps += np.array_equal(said, target.full.labels)
        whole = found.program is not None and found.equivalence.equal
        reads += whole and found.program.equals(program).equal
    return keeps, reads


def main() -> None:
    """Noise by noise, language by language; print and write."""
    rows = []
    print(f"{'language':8} {'noise':>6} {'same function':>13} {'program read':>12}")
    for language, names in MODELS.items():
        for noise in NOISE:
            began = time.perf_counter()
            counts = np.array([tried(name, noise) for name in names]).sum(axis=0) / (DRAWS * len(names))
            rows.append({"language": language, "noise": noise, "same_function": round(float(counts[0]), 3),
                         "read": round(float(counts[1]), 3)})  # fmt: skip
            print(f"{language:8} {noise:6} {counts[0]:13.2f} {counts[1]:12.2f}  {time.perf_counter() - began:.1f} s",
                  flush=True)  # fmt: skip
    found = {"command": "python benchmarks/robustness.py", "draws": DRAWS, "models": MODELS, "rows": rows}
    RESULT.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    with compiled_once():
        main()
