"""What is measured at a point of 10⁵ to 10⁸ parameters: known truths, GPT-2's through `from_torch`, seconds and memory.

    python benchmarks/large_points.py [--cases NAME ...]    # writes benchmarks/results/large_points.json

Each case is a process of its own. Memory is the peak resident size of the process while a measure runs; `extra` is what
that is above its size just before, compilation included. The networks are `GPT2LMHeadModel` of `transformers` in
PyTorch at random weights, or after Adam's first steps, on random tokens. Known truths: eigenvalues and traces of a
diagonal Hessian; λ of a loss that a tenth of the parameters change, r/2 · nβ/(nβ + γ) at curvature 1; the kernel of a
linear map; a transformer whose units were permuted, moved back. A case that is there already is measured again and
replaced; the others stay.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

RESULT = Path(__file__).with_name("results") / "large_points.json"

GPT2 = {  # layers, width, vocabulary, sequences, tokens, Adam steps, measures
    "gpt2 10^5": (2, 64, 500, 8, 16, 0, ("top", "spectrum", "llc", "kernel")),
    "gpt2 10^6": (2, 192, 1000, 8, 16, 0, ("top", "llc")),
    "gpt2 10^6, trained": (2, 192, 1000, 8, 16, 40, ("top",)),
    "gpt2 10^7": (2, 640, 1000, 4, 16, 0, ("top",)),
    "gpt2 2 of 12 layers, whole vocabulary": (2, 768, 50257, 2, 16, 0, ("top",)),
    "gpt2 10^8": (12, 768, 50257, 1, 8, 0, ("top",)),
}
TRUTHS = ("diagonal 10^6", "rank 10^6", "kernel 10^6", "permuted 10^6")


def resident(field: str) -> float:
    """MiB: ``VmRSS`` now, or ``VmHWM`` at its peak since it was set back."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field + ":")) / 1024


def measured(name: str, call: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What a call gives, with its seconds and memory."""
    Path("/proc/self/clear_refs").write_text("5")
    before, began, cpu = resident("VmRSS"), time.perf_counter(), time.process_time()
    found = call()
    row = {"measure": name, "seconds": round(time.perf_counter() - began, 1)}
    row |= {"cpu_seconds": round(time.process_time() - cpu, 1), "peak_mib": round(resident("VmHWM"))}
    return row | {"extra_mib": round(resident("VmHWM") - before)} | found


def gpt2(layers: int, width: int, vocabulary: int, count: int, tokens: int, steps: int, measures: Any) -> list[dict]:
    """A GPT-2 of these sizes."""
    import jax
    import numpy as np
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    from allroads import ParameterFunctionMap, Problem, explore, from_torch, llc, spectrum
    from allroads.explorers.recording import Recording
    from allroads.explorers.samplers import SGLD
    from allroads.points.sampling import Chains
    from allroads.points.spectrum import SpectrumOptions, top_eigenvalue

    torch.manual_seed(0)
    torch.set_num_threads(1)
    config = GPT2Config(
        vocab_size=vocabulary, n_positions=1024 if vocabulary > 50_000 else tokens, n_embd=width, n_layer=layers,
        n_head=width // 64, use_cache=False, bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    sequences = np.random.default_rng(0).integers(0, vocabulary, (count, tokens + 1))
    inputs, labels = sequences[:, :-1], sequences[:, 1:]
    own: dict[str, Any] = {}

    def through() -> dict[str, Any]:
        own["network"], own["params"] = from_torch(
            GPT2LMHeadModel(config).eval(), torch.tensor(np.concatenate([inputs, inputs])[:2])
        )
        return {"parameters": sum(leaf.size for leaf in jax.tree.leaves(own["params"]))}

    rows = [measured("from_torch", through)]
    problem, params = Problem(own["network"], "cross_entropy", inputs, labels), own["params"]
    if steps:

        def trained() -> dict[str, Any]:
            start = jax.tree.map(lambda leaf: leaf[None], params)
            run = explore(
                problem, "adam", 1, steps=steps, start=start, probes=inputs[:1], record=Recording(records=2)
            )  # fmt: skip
            own["params"] = jax.tree.map(lambda leaf: leaf[0], run.ends())
            return {"loss": [round(float(x), 3) for x in run.curves["train_loss"][0]]}

        rows.append(measured(f"{steps} steps of Adam", trained))
        params = own["params"]

    def top() -> dict[str, Any]:
        found = top_eigenvalue(problem, params, tolerance=1e-2)
        return {"value": found.value, "error": found.error, "status": found.status.value}

    def density() -> dict[str, Any]:
        options = SpectrumOptions(probes=2, steps=10)
        found = spectrum(problem, params, top=0, options=options, progress=False)
        return {"value": found.trace.value, "error": found.trace.error, "status": found.status.value}

    def coefficient() -> dict[str, Any]:
        chains = Chains(count=2, draws=8, burn_in=8, metric="none", ladder=False, dtype="float32")
        nbeta = count / np.log(count)
        found = llc(problem, params, sampler=SGLD(batch_size=2), nbeta=nbeta, chains=chains, progress=False)
        return {"value": found.value, "error": found.error, "status": found.status.value, "nbeta": float(nbeta)}

    def kernel() -> dict[str, Any]:
        functions = ParameterFunctionMap(own["network"], inputs[:1, :4])
        found = np.asarray(functions.kernel(params), float)
        v = np.random.default_rng(1).normal(size=len(found)).astype("f4")
        product = np.asarray(functions.kernel_product(params, v), float)
        error = np.linalg.norm(found @ v - product) / np.linalg.norm(product)
        return {"value": float(np.trace(found)), "error_of_product": float(error)}

    calls = {"top": top, "spectrum": density, "llc": coefficient, "kernel": kernel}
    return rows + [measured(name, calls[name]) for name in measures]


def diagonal() -> list[dict]:
    """Four eigenvalues above a band from 0 to 1, of a million."""
    import jax.numpy as jnp
    import numpy as np

    from allroads import Network, Problem, spectrum
    from allroads.points.spectrum import SpectrumOptions

    size = 10**6
    curvature = np.concatenate([[100.0, 50.0, 25.0, 12.0], np.linspace(0, 1, size - 4)])
    root = np.sqrt(curvature * size / 2).astype("f4")  # the loss is the mean over the outputs
    network = Network(lambda key: jnp.zeros(size), lambda w, x: x * w * root)
    problem, params = Problem(network, "mse", np.ones((1, 1)), np.zeros((1, size))), np.zeros(size, "f4")

    def call(top: int, memory: int | None) -> dict[str, Any]:
        options = SpectrumOptions(probes=4, steps=40, memory=memory)
        found = spectrum(
            problem, params, matrix="gauss_newton", top=top, shift=0.5, options=options, progress=False
        )  # fmt: skip
        exact = {
            "trace": curvature.sum(),
            "log_determinant": np.log(curvature + 0.5).sum(),
            "effective_dimension": 0.5 * (curvature / (curvature + 0.5)).sum(),
        }
        sums = {name: (getattr(found, name), float(value)) for name, value in exact.items()}
        return {
            "parameters": size,
            "eigenvalues": found.eigenvalues.tolist(),
            "exact_eigenvalues": curvature[:top].tolist(),
            "status": found.status.value,
        } | {name: [got.value, got.error, value] for name, (got, value) in sums.items()}

    return [
        measured("few vectors", lambda: call(2, 2**28)),
        measured("three vectors", lambda: call(0, 2**26)),
    ]


def rank() -> list[dict]:
    """A loss of curvature 1 in a tenth of a million directions, flat in all others."""
    import jax.numpy as jnp
    import numpy as np

    from allroads import Network, Problem, llc
    from allroads.explorers.samplers import SGLD
    from allroads.points.sampling import Chains

    size, stiff, nbeta, gamma = 10**6, 10**5, 1e3, 10.0
    scale = (stiff / 2) ** 0.5
    network = Network(lambda key: jnp.zeros(size), lambda w, x: x * w[:stiff] * scale)
    problem = Problem(network, "mse", np.ones((4, 1)), np.zeros((4, stiff)))

    def call() -> dict[str, Any]:
        chains = Chains(count=2, draws=8, burn_in=16, metric="none", ladder=False, dtype="float32")
        found = llc(
            problem, np.zeros(size, "f4"), sampler=SGLD(batch_size=2), nbeta=nbeta, localisation=gamma, chains=chains,
            progress=False,
        )  # fmt: skip
        exact = stiff / 2 * nbeta / (nbeta + gamma)
        return {"parameters": size, "value": found.value, "error": found.error, "exact": exact,
                "status": found.status.value, "gradients": found.stats["gradients"]}  # fmt: skip

    return [measured("llc", call)]


def kernel() -> list[dict]:
    """f(x) = W x of a million parameters: K = X Xᵀ ⊗ I."""
    import jax.numpy as jnp
    import numpy as np

    from allroads import Network, ParameterFunctionMap

    inputs = np.random.default_rng(0).normal(size=(40, 10**5)).astype("f4")
    network = Network(lambda key: jnp.zeros((10**5, 10)), lambda w, x: x @ w)

    def call() -> dict[str, Any]:
        found = np.asarray(ParameterFunctionMap(network, inputs).kernel(np.zeros((10**5, 10), "f4")))
        exact = np.kron(inputs.astype(float) @ inputs.T.astype(float), np.eye(10))
        return {"parameters": 10**6, "relative_error": float(np.abs(found - exact).max() / exact.max())}

    return [measured("kernel", call)]


def permuted() -> list[dict]:
    """A transformer of a million parameters and the same with its units permuted."""
    import jax
    import numpy as np

    from allroads import align
    from allroads.networks.transformer import transformer
    from allroads.pfmap.symmetries import symmetries

    network = transformer((8,), 64, vocabulary=64, d_model=256, d_mlp=1024, layers=1)
    params = network.init(jax.random.key(0))
    inputs = np.random.default_rng(0).integers(0, 64, (16, 8))
    size = sum(leaf.size for leaf in jax.tree.leaves(params))

    def call() -> dict[str, Any]:
        found = symmetries(network, params, inputs)
        element = found.random(np.random.default_rng(1))
        moved = found.act(element, params)
        back = align(network, params, moved, inputs, restarts=0, progress=False)
        return {"parameters": size, "distance_before": back.distance_before, "distance": back.distance,
                "status": back.status.value}  # fmt: skip

    return [measured("align", call)]


def case(name: str) -> list[dict]:
    """The rows of one case, in this process."""
    truths: dict[str, Callable[[], list[dict]]] = dict(zip(TRUTHS, (diagonal, rank, kernel, permuted), strict=True))
    rows = truths[name]() if name in truths else gpt2(*GPT2[name])
    return [{"case": name, **row} for row in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", choices=(*TRUTHS, *GPT2), default=(*TRUTHS, *GPT2))
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(case(arguments.one)))
        return
    kept = json.loads(RESULT.read_text())["rows"] if RESULT.exists() else []
    for name in arguments.cases:
        command = [sys.executable, __file__, "--one", name]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            print(f"{name}: ended with {done.returncode}", flush=True)
            continue
        rows = json.loads(done.stdout.splitlines()[-1])  # PyTorch may print before
        for row in rows:
            print(row, flush=True)
        kept = [row for row in kept if row["case"] != name] + rows
        RESULT.write_text(json.dumps({"command": "python benchmarks/large_points.py", "rows": kept}, indent=1) + "\n")


if __name__ == "__main__":
    main()
