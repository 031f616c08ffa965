"""The cases of the growth curves: each public measure, called as its documentation does, at a size along an axis.

A case takes the size and gives a function without arguments, which calls the measure with its default options. What
the case makes beforehand, such as networks, data and points, is not timed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import numpy as np

import allroads as ar
from allroads.networks.mlp import mlp

Call = Callable[[], Any]
INPUTS, EXAMPLES, PARAMETERS = 16, 256, 1_000
"""Numbers per input; examples where they are not the axis; parameters where they are not the axis."""
LARGER, LARGE = (1_000, 10_000, 100_000), (1_000, 10_000, 100_000, 1_000_000)


def network(parameters: int, outputs: int = 1, inputs: int = INPUTS) -> ar.Network:
    """A tanh network with two hidden layers of equal width and about so many parameters."""
    linear = inputs + 2 + outputs
    width = round((np.sqrt(linear**2 + 4 * (parameters - outputs)) - linear) / 2)
    return mlp((inputs,), outputs, widths=(width, width), activation="tanh")


def points(own: ar.Network, count: int) -> Any:
    """Random points, leaves ``[count, …]``."""
    return jax.vmap(own.init)(jax.random.split(jax.random.key(0), count))


def point(own: ar.Network, number: int = 0) -> Any:
    return own.init(jax.random.key(number))


def inputs(examples: int, numbers: int = INPUTS) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((examples, numbers)).astype(np.float32)


def teacher(parameters: int, examples: int = EXAMPLES) -> tuple[ar.Problem, Any]:
    """A problem that its own network made, and the point that made it, which is a minimum."""
    own, x = network(parameters), inputs(examples)
    return ar.Problem(own, "mse", x, np.asarray(own.apply(point(own), x))), point(own)


def on(make: Callable[[int], Any], call: Callable[[Any], Any]) -> Callable[[int], Call]:
    """A case that makes what it needs and then calls the measure on it."""
    return lambda size: partial(call, make(size))


def bits(count: int = 5) -> np.ndarray:
    return (1.0 - 2 * (np.arange(2**count)[:, None] >> np.arange(count) & 1)).astype(np.float32)


def small() -> ar.Network:
    return mlp((5,), 1, widths=(16, 16), activation="tanh")


def at_point(name: str, **options: Any) -> dict[str, Callable[[int], Call]]:
    """A measure of a problem at a point, along parameters and examples."""

    def call(problem: ar.Problem, params: Any) -> Call:
        given = {"progress": False} if name in SPEAKING else {}
        return lambda: getattr(ar, name)(problem, params, **given, **options)

    return {
        "parameters": lambda size: call(*teacher(size)),
        "examples": lambda size: call(*teacher(PARAMETERS, size)),
    }


def between(call: Callable[[ar.Problem, Any, Any], Any]) -> dict[str, Callable[[int], Call]]:
    """A measure of two points, along parameters and examples."""

    def made(problem: ar.Problem, params: Any) -> Call:
        other = point(problem.network, 1)
        return lambda: call(problem, params, other)

    return {
        "parameters": lambda size: made(*teacher(size)),
        "examples": lambda size: made(*teacher(PARAMETERS, size)),
    }


def population(call: Callable[[ar.Problem, Any, int], Any]) -> dict[str, Callable[[int], Call]]:
    """A measure of several points of one network, along members and parameters."""

    def made(problem: ar.Problem, count: int) -> Call:
        own = points(problem.network, count)
        return lambda: call(problem, own, count)

    return {
        "members": lambda size: made(teacher(PARAMETERS)[0], size),
        "parameters": lambda size: made(teacher(size)[0], 8),
    }


def path_of(records: int, probes: int = EXAMPLES) -> np.ndarray:
    """Outputs along a random walk, ``[T, N, 1]``."""
    return np.random.default_rng(0).standard_normal((records, probes, 1)).cumsum(axis=0)


def path(call: Callable[[np.ndarray], Any]) -> dict[str, Callable[[int], Call]]:
    """A measure of a path of outputs, along its records and its probes."""

    def made(values: np.ndarray) -> Call:
        return lambda: call(values)

    return {"records": lambda size: made(path_of(size)), "probes": lambda size: made(path_of(64, size))}


def walks(runs: int, programs: int = 12) -> list[list[int]]:
    """Sequences of programs of a Markov chain that mixes slowly."""
    rng = np.random.default_rng(0)
    return [list(np.abs(rng.integers(-1, 2, size=8).cumsum()) % programs) for _ in range(runs)]


def matrix(nodes: int) -> np.ndarray:
    """A symmetric matrix of heights with zeros on its diagonal."""
    found = np.random.default_rng(0).random((nodes, nodes))
    return np.triu(found, 1) + np.triu(found, 1).T


def random_path(count: int, own: ar.Network) -> Any:
    """Points of a straight line between two random points, leaves ``[count, …]``."""
    a, b, t = point(own), point(own, 1), np.linspace(0, 1, count, dtype=np.float32)
    return jax.tree.map(lambda p, q: (1 - t.reshape(-1, *[1] * p.ndim)) * p + t.reshape(-1, *[1] * p.ndim) * q, a, b)


def learnable(parameters: int, examples: int, targets: int) -> Call:
    own, x = network(parameters), inputs(examples)
    rng = np.random.default_rng(1)
    labels = [np.sign(x @ rng.standard_normal(INPUTS)) for _ in range(targets)]
    return lambda: ar.learnability(own, x, labels, "mse", "gd", budget=60, progress=False)


def explored(parameters: int, examples: int, members: int) -> Call:
    problem, _ = teacher(parameters, examples)
    return lambda: ar.explore(problem, ar.Adam(), members, steps=100)


SPEAKING = {
    "llc", "llc_curve", "refined_llc", "spectrum", "inspect_point", "sample", "bayesian_influence", "loss_kernel",
    "susceptibilities", "weight_covariance", "local_volume", "random_plane",
}  # fmt: skip
"""Measures at a point that take ``progress``."""
N, M, T, R = "examples", "members", "records", "runs"
SIZES: dict[str, tuple[int, ...]] = {
    "parameters": LARGER,
    "examples": (100, 1_000, 10_000),
    "members": (8, 32, 128),
    "records": (100, 1_000, 10_000),
    "probes": (100, 1_000, 10_000),
    "runs": (100, 1_000, 10_000),
    "nodes": (30, 100, 300),
    "samples": (10_000, 100_000, 1_000_000),
    "targets": (8, 32, 128),
    "weights": (6, 8, 10),
}
"""Sizes along each axis. ``weights``: coordinates of an enumerated map with three values each."""

_SMALL_CUTOFF = {"cutoff": 1e-3}


def _first_layer(problem: ar.Problem, params: Any) -> dict[str, Any]:
    flags = jax.tree_util.tree_map_with_path(lambda keys, _: "layers/0" in jax.tree_util.keystr(
        keys, simple=True, separator="/"), params)  # fmt: skip
    return {"first": flags}


def _refined(name: str) -> dict[str, Callable[[int], Call]]:
    def call(problem: ar.Problem, params: Any) -> Call:
        groups = _first_layer(problem, params)
        return lambda: getattr(ar, name)(problem, params, groups=groups, progress=False)

    return {
        "parameters": lambda size: call(*teacher(size)),
        "examples": lambda size: call(*teacher(PARAMETERS, size)),
    }


def _three(own: Any) -> list[Any]:
    return [jax.tree.map(lambda leaf, k=k: leaf[k], own) for k in range(3)]


def _passes(problem: ar.Problem, own: Any, count: int) -> Any:
    return ar.pass_bounds(problem, jax.tree.map(lambda leaf: leaf[:count], own), progress=False)


def _volume(parameters: int, examples: int) -> Call:
    problem, params = teacher(parameters, examples)
    return lambda: ar.local_volume(problem, params, **_SMALL_CUTOFF, progress=False)


def _curve(parameters: int, records: int) -> Call:
    problem, _ = teacher(parameters)
    along = random_path(max(records // 50, 2), problem.network)
    return lambda: ar.llc_curve(problem, along, progress=False)


def _kernel(parameters: int, examples: int) -> Call:
    problem, params = teacher(parameters, examples)
    return lambda: ar.kernel_spectrum(problem.network, params, problem.inputs, top=10)


def _prequential(parameters: int, examples: int) -> Call:
    made, _ = teacher(parameters, examples)
    problem = ar.Problem(made.network, "bce", made.inputs, np.asarray(made.labels) > 0)
    return lambda: ar.prequential_length(problem, steps=100)


def _cost(parameters: int, records: int) -> Call:
    problem, _ = teacher(parameters)
    along = random_path(records, problem.network)
    return lambda: ar.path_cost(problem, along)


def _similarity(records: int) -> Call:
    along = random_path(records, network(PARAMETERS))
    return lambda: ar.directional_similarity(along)


def _logits(records: int, probes: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((records, probes, 3)).cumsum(axis=0) / 10


def _distance(records: int, probes: int) -> Call:
    values, target = _logits(records, probes), np.arange(probes) % 3
    return lambda: ar.trajectory_distance(values, values[::2], target)


def _progress(records: int, probes: int) -> Call:
    values, target = _logits(records, probes), np.arange(probes) % 3
    return lambda: ar.geodesic_progress(values, target)


def _representations(examples: int) -> Call:
    x = np.random.default_rng(0).standard_normal((examples, 64))
    return lambda: ar.compare_representations(x, x[:, ::-1] + 0.1, progress=False)


def _enumerated(weights: int) -> Any:
    signs = bits(2)

    def labels(own: Any) -> Any:
        hidden = np.asarray(own)[..., :2] @ signs.T
        return (hidden + np.asarray(own)[..., 2:].sum(axis=-1, keepdims=True) > 0) @ (1 << np.arange(4))

    return ar.enumerate_map(labels, (-1, 0, 1), coordinates=weights, progress=False)


LENGTHS = {program: float(program) for program in range(12)}


def _sevens(own: np.ndarray) -> np.ndarray:
    return np.arange(len(own)) % 7


SIMPLE = (
    "llc", "spectrum", "top_eigenvalue", "inspect_point", "sample", "loss_kernel", "bayesian_influence",
    "weight_covariance", "quantised_size", "compressed_length", "factorised_size", "network_complexity", "random_plane",
)  # fmt: skip
CASES: dict[str, dict[str, Callable[[int], Call]]] = {
    **{name: at_point(name) for name in SIMPLE},
    "refined_llc": _refined("refined_llc"),
    "susceptibilities": _refined("susceptibilities"),
    "local_volume": {
        "parameters": lambda size: _volume(size, 64),
        "examples": lambda size: _volume(300, size),
    },
    "llc_curve": {
        "records": lambda size: _curve(PARAMETERS, size),
        "parameters": lambda size: _curve(size, 8),
    },
    "kernel_spectrum": {
        "parameters": lambda size: _kernel(size, EXAMPLES),
        "examples": lambda size: _kernel(PARAMETERS, size),
    },
    "prequential_length": {
        "parameters": lambda size: _prequential(size, EXAMPLES),
        "examples": lambda size: _prequential(PARAMETERS, size),
    },
    "align": between(lambda p, a, b: ar.align(p.network, a, b, p.inputs, progress=False)),
    "barrier": between(lambda p, a, b: ar.barrier(p, a, b)),
    "interpolation": between(lambda p, a, b: ar.interpolation(p, a, b)),
    "connect": between(lambda p, a, b: ar.connect(p, a, b, progress=False)),
    "repair": between(lambda p, a, b: ar.repair(p.network, a, b, p.inputs)),
    "road": between(lambda p, a, b: ar.road(p, a, target_params=b, progress=False, budget=60)),
    "compare_points": between(lambda p, a, b: ar.compare_points(p, a, b, programs=False, progress=False)),
    "symmetries": between(lambda p, a, b: ar.symmetries(p.network, a, p.inputs[:1])),
    "loss_plane": population(lambda p, own, _: ar.loss_plane(p, *_three(own), progress=False)),
    "path_plane": population(lambda p, own, _: ar.path_plane(p, own, progress=False)),
    "convergence": population(
        lambda p, own, _: ar.convergence(p.network, own, p.inputs, loss=p.loss, labels=p.labels, progress=False)
    ),
    "pass_bounds": population(lambda p, own, count: _passes(p, own, min(count, 4))),
    "explore": {
        "members": lambda size: explored(PARAMETERS, EXAMPLES, size),
        "parameters": lambda size: explored(size, EXAMPLES, 8),
        "examples": lambda size: explored(PARAMETERS, size, 8),
    },
    "learnability": {
        "targets": lambda size: learnable(PARAMETERS, EXAMPLES, size),
        "parameters": lambda size: learnable(size, EXAMPLES, 8),
        "examples": lambda size: learnable(PARAMETERS, size, 8),
    },
    "path_cost": {
        "records": lambda size: _cost(PARAMETERS, size),
        "parameters": lambda size: _cost(size, 64),
    },
    "directional_similarity": {"records": lambda size: _similarity(size)},
    "directness": path(lambda values: ar.directness(values)),
    "turning": path(lambda values: ar.turning(values)),
    "stages": path(lambda values: ar.stages(values)),
    "inpca": {"records": on(lambda size: matrix(size // 10), ar.inpca)},
    "trajectory_distance": {"records": lambda size: _distance(size, 100), "probes": lambda size: _distance(64, size)},
    "geodesic_progress": {"records": lambda size: _progress(size, 100), "probes": lambda size: _progress(64, size)},
    "certify": path(lambda values: ar.certify(values, np.sign(values[-1]), "mse")),
    "compare_representations": {"examples": lambda size: _representations(size // 2)},
    "function_prior": {"samples": lambda size: lambda: ar.function_prior(small(), bits(), size, progress=False)},
    "function_robustness": {
        "samples": lambda size: lambda: ar.function_robustness(small(), bits(), size // 10, progress=False)
    },
    "function_posterior": {
        "samples": lambda size: (
            lambda: ar.function_posterior(
                small(), bits()[:6], (bits()[:6, :1] > 0).astype(int), bits(), samples=size, progress=False
            )
        )
    },
    "neighbour_share": {
        "members": lambda size: lambda: ar.neighbour_share(small(), size * 100, bits(), 0.1, progress=False)
    },
    "reached_functions": {
        "runs": lambda size: (
            lambda: ar.reached_functions(
                ar.Problem(small(), "bce", bits(), bits()[:, :1] > 0),
                ar.Adam(),
                bits(),
                size,
                steps=100,
                progress=False,
            )
        )
    },
    "enumerate_map": {"weights": lambda size: lambda: _enumerated(size)},
    "exact_neighbour_share": {"weights": on(_enumerated, ar.exact_neighbour_share)},
    "navigability": {"weights": on(_enumerated, partial(ar.navigability, progress=False))},
    "lumpability": {"runs": on(walks, ar.lumpability)},
    "forecast_programs": {"runs": on(walks, ar.forecast_programs)},
    "atlas": {"runs": on(walks, ar.atlas)},
    "pass_heights": {"nodes": on(matrix, ar.pass_heights)},
    "merge_tree": {"nodes": on(matrix, lambda own: ar.merge_tree(own + 1, np.zeros(len(own))))},
    "barrier_clusters": {"nodes": on(matrix, lambda own: ar.barrier_clusters(own, 0.1))},
    "cluster_agreement": {"nodes": on(matrix, lambda own: ar.cluster_agreement(own, list(_sevens(own)), 0.1))},
    "mrqap": {"nodes": on(matrix, lambda own: ar.mrqap(own, own[::-1, ::-1]))},
    "stepping_stone_hypothesis": {"runs": on(walks, lambda own: ar.stepping_stone_hypothesis(own, LENGTHS))},
}
"""Measure → axis → size → call."""
