"""What is measured at a point of 10⁵ to 10⁸ parameters: known truths, GPT-2's through `from_torch`, seconds and memory.

    python benchmarks/large_points.py [--cases NAME ...] [--measures NAME ...]    # writes results/large_points.json

Each case is a process of its own. Memory is the peak resident size of the process while a measure runs; `extra` is what
that is above its size just before, compilation included. Known truths: eigenvalues and traces of a diagonal Hessian;
λ of a loss that a tenth of the parameters change, r/2 · nβ/(nβ + γ) at curvature 1; the kernel of a linear map; the
influences of a linear readout under its Gaussian posterior; a transformer whose units were permuted, moved back. Of
GPT-2 (large_points_gpt2.py) the largest eigenvalue is held against SciPy on PyTorch's products, and the kernel against
PyTorch's Jacobian. A row that is there already is measured again and replaced; the others stay.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROW = "row: "
RESULT = Path(__file__).with_name("results") / "large_points.json"

GPT2 = (
    "gpt2 10^5", "gpt2 10^6", "gpt2 10^6, trained", "gpt2 10^7", "gpt2 2 of 12 layers, whole vocabulary",
    "gpt2 2 of 12 layers, trained", "gpt2 10^8",
)  # fmt: skip


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


def rank(size: int, draws: int) -> list[dict]:
    """A loss of curvature 1 in a tenth of the directions, flat in all others."""
    import jax.numpy as jnp
    import numpy as np

    from allroads import SGLD, Chains, Network, Problem, llc

    stiff, nbeta, gamma = size // 10, 1e3, 10.0
    scale = (stiff / 2) ** 0.5
    network = Network(lambda key: jnp.zeros(size), lambda w, x: x * w[:stiff] * scale)
    problem = Problem(network, "mse", np.ones((4, 1)), np.zeros((4, stiff)))

    def call(**options: Any) -> dict[str, Any]:
        found = llc(problem, np.zeros(size, "f4"), nbeta=nbeta, localisation=gamma, progress=False, **options)
        exact = stiff / 2 * nbeta / (nbeta + gamma)
        return {"parameters": size, "value": found.value, "error": found.error, "exact": exact,
                "status": found.status.value, "gradients": found.stats["gradients"]}  # fmt: skip

    light = {"metric": "none", "ladder": False, "dtype": "float32"}
    rows = [
        measured(
            "llc, SGLD", lambda: call(sampler=SGLD(batch_size=2), chains=Chains(2, draws, burn_in=draws, **light))
        )
    ]  # fmt: skip
    if size <= 10**6:
        rows.append(measured("llc, HMC", lambda: call(chains=Chains(2, **light))))
    return rows


def influence() -> list[dict]:
    """1,000 linear outputs of 1,000 features, eight examples of rank 4: the posterior is Gaussian.

    With residuals r and ``S = s² X Σ Xᵀ``, Σ the covariance of the weights of an output:
    ``Cov(ℓ_i, ℓ_j) = (1/m²) Σ_o (4 r_io r_jo S_ij + 2 S_ij²)``.
    """
    import jax.numpy as jnp
    import numpy as np

    from allroads import Chains, Network, Problem, bayesian_influence

    m, n, scale, nbeta, gamma = 1000, 8, 2.0, 1e3, 10.0
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(n, 4)) @ rng.normal(size=(4, m))
    noise = rng.normal(size=(n, m))
    residuals = noise - inputs @ np.linalg.pinv(inputs) @ noise  # what no weights can fit, so that 0 is the minimum
    network = Network(lambda key: jnp.zeros((m, m)), lambda w, x: scale * (x @ w))
    problem = Problem(network, "mse", inputs, residuals)
    inner = nbeta * 2 * scale**2 / (n * m) * inputs @ inputs.T + gamma * np.eye(n)
    shared = scale**2 * np.linalg.solve(inner, inputs @ inputs.T)  # X (a XᵀX + γ)⁻¹ Xᵀ = (a XXᵀ + γ)⁻¹ XXᵀ
    exact = -(4 * residuals @ residuals.T * shared / m**2 + 2 * shared**2 / m)

    def call() -> dict[str, Any]:
        chains = Chains(4, draws=200, burn_in=40, metric="none", ladder=False, dtype="float32")
        found = bayesian_influence(
            problem, np.zeros((m, m), "f4"), nbeta=nbeta, localisation=gamma, chains=chains, progress=False
        )  # fmt: skip
        away = found.value - exact
        return {"parameters": m * m, "relative_error": float(np.linalg.norm(away) / np.linalg.norm(exact)),
                "stated": float(np.linalg.norm(found.error / 1.96) / np.linalg.norm(exact)),
                "within_error": float((np.abs(away) <= found.error).mean()), "status": found.status.value,
                "gradients": found.llc.stats["gradients"]}  # fmt: skip

    return [measured("bayesian_influence", call)]


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

    from allroads import Problem, align, barrier, symmetries
    from allroads.networks.transformer import transformer

    network = transformer((8,), 64, vocabulary=64, d_model=256, d_mlp=1024, layers=1)
    params = network.init(jax.random.key(0))
    inputs = np.random.default_rng(0).integers(0, 64, (16, 8))
    size = sum(leaf.size for leaf in jax.tree.leaves(params))

    def call() -> dict[str, Any]:
        found = symmetries(network, params, inputs)
        element = found.random(np.random.default_rng(1))
        moved = found.act(element, params)
        back = align(network, params, moved, inputs, restarts=0, progress=False)
        problem = Problem(network, "cross_entropy", inputs, np.asarray(network.apply(params, inputs)).argmax(-1))
        heights = [float(barrier(problem, params, b, points=5).height) for b in (moved, back.params)]
        return {"parameters": size, "distance_before": back.distance_before, "distance": back.distance,
                "barrier_before": heights[0], "barrier": heights[1], "status": back.status.value}  # fmt: skip

    return [measured("align", call)]


TRUTHS: dict[str, Callable[[], list[dict]]] = {
    "diagonal 10^6": diagonal,
    "rank 10^6": lambda: rank(10**6, 40),
    "rank 10^7": lambda: rank(10**7, 16),
    "kernel 10^6": kernel,
    "influence 10^6": influence,
    "permuted 10^6": permuted,
}


def case(name: str, only: list[str] | None) -> Iterator[dict]:
    """The rows of one case, in this process."""
    if name in TRUTHS:
        yield from TRUTHS[name]()
    else:
        from large_points_gpt2 import gpt2

        yield from gpt2(name, measured, only)


def rows_of(name: str, only: list[str] | None) -> Iterator[dict]:
    """The rows of one case as they come, from a process of its own."""
    command = [sys.executable, __file__, "--one", name, *(["--measures", *only] if only else [])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith(ROW):  # PyTorch may print too
                yield {"case": name, **json.loads(line.removeprefix(ROW))}
    if process.returncode:
        raise ChildProcessError(f"{name}: ended with {process.returncode}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", choices=(*TRUTHS, *GPT2), default=(*TRUTHS, *GPT2))
    parser.add_argument("--measures", nargs="+", help="of GPT-2: these alone, such as top or kernel")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        for row in case(arguments.one, arguments.measures):
            print(ROW + json.dumps(row), flush=True)
        return
    kept = json.loads(RESULT.read_text())["rows"] if RESULT.exists() else []
    for name in arguments.cases:
        for row in rows_of(name, arguments.measures):
            print(row, flush=True)
            places = [n for n, old in enumerate(kept) if (old["case"], old["measure"]) == (name, row["measure"])]
            start = places[0] if places else len(kept)
            kept[start : start + 1] = [row]
            RESULT.write_text(
                json.dumps({"command": "python benchmarks/large_points.py", "rows": kept}, indent=1) + "\n"
            )


if __name__ == "__main__":
    main()
