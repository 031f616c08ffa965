"""What changes when the hidden units of a relu network are rescaled: nothing of its function does.

What enters a unit, its bias included, is multiplied by a factor, and what leaves it is divided by the same. The network
is 6-16-12-1, trained to fit 64 points, in double precision, and its first hidden layer is rescaled by

- one factor for the layer: 1e-4, 1e-3, … 1e4;
- a factor for each unit, log-uniform from 1e-4 to 1e4, six draws.

A measure claims to be invariant to ``units`` (and so to ``layer``), to ``layer`` alone, or to ``none``. Printed is its
largest relative change, ‖after − before‖ / ‖before‖, over the factors; a claim is kept where that is below 1e-6. The
change of a measure that claims nothing is listed, not judged. To add a measure, add a row to ``ROWS``.

    python benchmarks/rescaling.py [--only NAME …]
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from command_line import command_line

from allroads import Network, ParameterFunctionMap, Problem, barrier, directness, float64, llc, local_volume
from allroads.explorers.build import build_explorer
from allroads.explorers.explore import explore
from allroads.explorers.trajectory import Trajectory
from allroads.networks.mlp import mlp
from allroads.points.description import compressed_length, factorised_size, prequential_length, quantised_size
from allroads.points.spectrum import spectrum
from allroads.points.volume import RayCasting

RESULT = Path(__file__).parent / "results" / "rescaling.json"
KEPT = 1e-6
WIDTH = 16
NETWORK = mlp((6,), 1, widths=(WIDTH, 12))
LAYER = [np.full(WIDTH, 10.0**power) for power in range(-4, 5)]
UNITS = [10.0 ** np.random.default_rng(seed).uniform(-4, 4, WIDTH) for seed in range(6)]


@dataclass(frozen=True)
class Case:
    """What is rescaled: two runs that ended at low loss, and their data."""

    runs: Trajectory
    inputs: Any
    labels: Any

    def end(self, run: int) -> Any:
        return self.runs.end(run)

    def of(self, measure: Callable[..., Any], **options: Any) -> Callable[[np.ndarray], Any]:
        """A measure ``(problem, params) -> number`` at the rescaled end of the first run."""
        return lambda factors: measure(self.problem, rescaled(self.end(0), factors), **options)

    @property
    def problem(self) -> Problem:
        return Problem(NETWORK, "bce", self.inputs, self.labels)


def rescaled(params: Any, factors: np.ndarray) -> Any:
    """The point with its first hidden layer rescaled; leaves may lead with further axes."""
    first, second, *rest = params["layers"]
    into = {"weight": first["weight"] * factors, "bias": first["bias"] * factors}
    return {"layers": [into, {**second, "weight": second["weight"] / factors[:, None]}, *rest]}


# --- measures: from a case to a function of the factors


def values(case: Case) -> Callable[[np.ndarray], Any]:
    F = ParameterFunctionMap(NETWORK, case.inputs)
    return lambda factors: F.values(rescaled(case.end(0), factors))


def kernel(case: Case) -> Callable[[np.ndarray], Any]:
    F = ParameterFunctionMap(NETWORK, case.inputs)
    return lambda factors: F.kernel(rescaled(case.end(0), factors))


def path_directness(case: Case) -> Callable[[np.ndarray], Any]:
    """Of the image of the run, every point of it rescaled by the same factors."""
    path, apply = jax.tree.map(lambda leaf: leaf[0], case.runs.params), jax.jit(jax.vmap(NETWORK.apply, (0, None)))
    return lambda factors: directness(apply(rescaled(path, factors), case.inputs))


def segment_barrier(case: Case) -> Callable[[np.ndarray], Any]:
    """On the straight segment from the rescaled end of one run to the end of the other."""
    return lambda factors: barrier(case.problem, rescaled(case.end(0), factors), case.end(1)).height


def curvature(part: str, case: Case) -> Callable[[np.ndarray], Any]:
    measure = case.of(spectrum)
    return lambda factors: getattr(measure(factors), part)


def learning_coefficient(case: Case) -> Callable[[np.ndarray], Any]:
    problem = Problem(NETWORK, "bce", case.inputs, case.labels)
    return lambda factors: llc(problem, rescaled(case.end(0), factors))


def trained_length(case: Case) -> Callable[[np.ndarray], Any]:
    """The prequential length of a learner whose initialisation is rescaled."""

    def length(factors: np.ndarray) -> float:
        network = Network(lambda key: rescaled(NETWORK.init(key), factors), NETWORK.apply)
        adam = build_explorer("adam", learning_rate=0.01)
        options = {"steps": 100, "blocks": [32, 64], "orders": 1, "members": 2}
        return prequential_length(Problem(network, "bce", case.inputs, case.labels), adam, **options)

    return length


@dataclass(frozen=True)
class Row:
    """A measure and what it claims to be invariant to; a ``thin`` row is given one layer and one draw."""

    name: str
    claims: str
    measure: Callable[[Case], Callable[[np.ndarray], Any]]
    thin: bool = False


ROWS = (
    Row("values", "units", values),
    Row("directness of the run", "units", path_directness),
    Row("barrier to another run", "none", segment_barrier),
    Row("kernel", "none", kernel),
    Row("Hessian top eigenvalue", "none", partial(curvature, "norm")),
    Row("Hessian trace", "none", partial(curvature, "trace")),
    Row("quantised size, tensor", "layer", lambda case: case.of(quantised_size)),
    Row("quantised size, channel", "layer", lambda case: case.of(quantised_size, scales="channel")),
    Row("quantised size, row × column", "units", lambda case: case.of(quantised_size, scales="row_column")),
    Row("compressed length, tensor", "layer", lambda case: case.of(compressed_length)),
    Row("compressed length, row × column", "units", lambda case: case.of(compressed_length, scales="row_column")),
    Row("factorised size", "layer", lambda case: case.of(factorised_size)),
    Row("learning coefficient", "none", learning_coefficient, thin=True),
    Row("local volume", "none", lambda case: case.of(local_volume, cutoff=0.01, method=RayCasting()), thin=True),
    Row("prequential length (of the initialisation)", "none", trained_length, thin=True),
)


# --- running


def make_case() -> Case:
    """Two runs of Adam on a random function of six real inputs."""
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(64, 6))
    labels = (np.sin(2 * inputs[:, 0]) + inputs[:, 1] * inputs[:, 2] > 0).astype(int)
    adam = build_explorer("adam", learning_rate=0.01)
    return Case(
        explore(Problem(NETWORK, "bce", inputs, labels), adam, 2, steps=400), jnp.asarray(inputs), jnp.asarray(labels)
    )


def change(measure: Callable[[np.ndarray], Any], before: np.ndarray, factors: list[np.ndarray]) -> float:
    """The largest relative change over the factors; infinite where the measure stops being finite."""
    after = [np.asarray(measure(f), np.float64) for f in factors]
    relative = [float(np.linalg.norm(a - before) / np.linalg.norm(before)) for a in after]
    return max(r if np.isfinite(r) else np.inf for r in relative)


def measure_row(row: Row, case: Case) -> dict[str, Any]:
    began = time.perf_counter()
    measure = row.measure(case)
    before = np.asarray(measure(np.ones(WIDTH)), np.float64)
    layer, units = (LAYER[:1], UNITS[:1]) if row.thin else (LAYER, UNITS)
    changes = {"layer": change(measure, before, layer), "units": change(measure, before, units)}
    claimed = {"units": ("layer", "units"), "layer": ("layer",), "none": ()}[row.claims]
    return {
        "measure": row.name,
        "claims": row.claims,
        "value": float(before) if before.ndim == 0 else None,
        **changes,
        "kept": all(changes[kind] <= KEPT for kind in claimed) if claimed else None,
        "seconds": round(time.perf_counter() - began, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=[""], help="rows whose name has one of these; writes no JSON")
    parser.add_argument("--json", type=Path, default=RESULT, help="where the rows go")
    arguments = parser.parse_args()
    chosen = [row for row in ROWS if any(part in row.name for part in arguments.only)]
    print(f"{'measure':44}{'claims':>8}{'value':>12}{'layer':>10}{'units':>10}{'kept':>7}{'seconds':>9}")
    rows = []
    with float64():
        case = make_case()
        for row in chosen:
            found = measure_row(row, case)
            rows.append(found)
            value = "" if found["value"] is None else f"{found['value']:.5g}"
            kept = {True: "yes", False: "NO", None: ""}[found["kept"]]
            print(
                f"{found['measure']:44}{found['claims']:>8}{value:>12}{found['layer']:>10.1e}{found['units']:>10.1e}"
                f"{kept:>7}{found['seconds']:>9}",
                flush=True,
            )
        losses = case.runs.curves["train_loss"][:, -1].tolist()
    print(f"train losses of the two runs: {losses[0]:.2g}, {losses[1]:.2g}")
    if len(chosen) == len(ROWS):
        body = {"command": command_line(), "train_losses": losses, "rows": rows}
        arguments.json.write_text(json.dumps(body, indent=1) + "\n")


if __name__ == "__main__":
    main()
