"""Everything that is built in keeps the promises of its family, through the kits that users have."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import allroads
from allroads import Chains, CurveOptions, Network, Optax, Problem, RayCasting, Target
from allroads.explorers.build import EXPLORERS, build_explorer
from allroads.networks.build import NETWORKS, build
from allroads.networks.mlp import mlp
from allroads.programs.acceptor import Acceptor
from allroads.programs.counter import Counter
from allroads.programs.ground_truth import entries
from allroads.programs.groups import GroupProgram
from allroads.programs.language import BUILT_IN, languages
from allroads.programs.mealy import Machine
from allroads.programs.piecewise import Piecewise, Register, Term
from allroads.status import (
    DescriptionStatus,
    ForecastStatus,
    LLCStatus,
    PathStatus,
    PriorStatus,
    RoadStatus,
    SpectrumStatus,
    VolumeStatus,
)
from allroads.targets.groups import group, symmetric
from allroads.testing import Claim, check_explorer, check_language, check_measure, check_network

# --- explorers

NEUTRAL = {"guess_and_check": {"fit": 0.1}, "smc": {"beta": 8.0}}
SAMPLERS = {"sgld", "rmsprop_sgld", "sgnht", "mala", "hmc", "mclmc"}
BATCHES = {"sgd", "adam", "sgld"}
LONG_EXPLORERS = {"adamw", "rmsprop_sgld", "sgnht", "soap", "natural_gradient", "smc"}


@pytest.mark.parametrize("kind", [pytest.param(k, marks=[pytest.mark.slow] * (k in LONG_EXPLORERS)) for k in EXPLORERS])
def test_an_explorer(kind):
    options = {"nbeta": 8.0, "step_size": 0.05} if kind in SAMPLERS else NEUTRAL.get(kind, {})
    check_explorer(build_explorer(kind, **options, **({"batch_size": 4} if kind in BATCHES else {})))


def test_an_explorer_of_optax():
    check_explorer(Optax(optax.lion(1e-2)))


# --- networks


def interface(input_shape, outputs=2, vocabulary=None, per_position=False):
    return SimpleNamespace(input_shape=input_shape, outputs=outputs, vocabulary=vocabulary, per_position=per_position)


BITS, TOKENS, IMAGES = interface((7,)), interface((3,), vocabulary=5), interface((8, 8))
EACH = interface((3, 2), vocabulary=5, per_position=True)
SMALL = {
    "mlp": {"widths": (4,)},
    "deep_linear": {"widths": (4,)},
    "recurrent": {"width": 4},
    "transformer": {"d_model": 4, "heads": 2},
    "convolutional": {"channels": (2,)},
    "embedding_sum": {"embedding": 3, "width": 4},
}
QUICK = [("mlp", BITS, 42), ("deep_linear", BITS, 36), ("recurrent", TOKENS, None), ("transformer", EACH, None)]
QUICK += [("embedding_sum", TOKENS, None), ("convolutional", IMAGES, None)]
MORE = [("recurrent", BITS), ("transformer", BITS), ("mlp", TOKENS), ("deep_linear", TOKENS), ("transformer", TOKENS)]
MORE += [("mlp", EACH), ("recurrent", EACH), ("mlp", IMAGES)]


def test_every_kind_of_network_is_among_them():
    assert {kind for kind, *_ in QUICK} == set(NETWORKS) - {"factory"}  # a factory's is the user's own


@pytest.mark.parametrize(
    ("kind", "shape", "parameters"), [*QUICK, *(pytest.param(*case, None, marks=pytest.mark.slow) for case in MORE)]
)
def test_a_network(kind, shape, parameters):
    rng, size = np.random.default_rng(0), (4, *shape.input_shape)
    inputs = rng.normal(size=size) if shape.vocabulary is None else rng.integers(shape.vocabulary, size=size)
    check_network(build(kind, shape, **SMALL[kind]), inputs, parameters=parameters)


# --- measures

NETWORK = mlp((2,), 1, widths=(3,), activation="tanh")
INPUTS = np.linspace(-1, 1, 16).reshape(8, 2)
PROBLEM = Problem(NETWORK, "mse", INPUTS, np.sin(3 * INPUTS[:, :1]))
POINT, OTHER = (jax.tree.map(np.asarray, NETWORK.init(jax.random.key(k))) for k in (0, 1))
RUN = jax.tree.map(lambda a, b: np.linspace(a, b, 4), POINT, OTHER)
LABELLED = Problem(NETWORK, "bce", INPUTS, (INPUTS[:, :1] > INPUTS[:, 1:] ** 2).astype(float))
LINE = Network(lambda key: jnp.zeros(2), lambda w, x: x @ w[:, None], name="line")
QUADRATIC = Problem(LINE, "mse", INPUTS**2 - INPUTS[::-1], (INPUTS**2 - INPUTS[::-1]) @ [[1.0], [1.0]])
AT_LINE = {"problem": QUADRATIC, "params": np.ones(2)}
PATH = np.cumsum(np.random.default_rng(0).normal(size=(6, 4, 1)), axis=0)
MODELS = np.random.default_rng(0).dirichlet(np.ones(3), size=(5, 4))
APART = np.square(PATH - PATH[:, None]).sum((2, 3))
TURN = np.linalg.qr(np.random.default_rng(1).normal(size=(4, 4)))[0]
ORDER = [3, 0, 5, 1, 2, 4]


def not_finite(name):
    """The bad argument of that name: NaN wherever there is a number."""
    return lambda given: {name: jax.tree.map(lambda leaf: np.full(np.shape(leaf), np.nan), given[name])}


def permuted(params):
    """The point with its three hidden units in another order, by hand."""
    first, last = params["layers"]
    order = [2, 0, 1]
    moved = {"bias": first["bias"][..., order], "weight": first["weight"][..., order]}
    return {"layers": [moved, {"bias": last["bias"], "weight": last["weight"][..., order, :]}]}


AT = {"problem": PROBLEM, "params": POINT}
ENDS = {"problem": PROBLEM, "a": POINT, "b": OTHER}
TURNED = Claim("a rotation of the probes changes nothing", lambda a: {"values": np.einsum("ij,tjc->tic", TURN, PATH)})
NO_UNIT = Claim("no unit", lambda a: {"values": 7 * a["values"]})
UNITS = Claim("the order of units changes nothing", lambda a: {"params": permuted(a["params"])}, tolerance=1e-5)
BOTH_UNITS = Claim("one order of units at both ends changes nothing", lambda a: {
    "a": permuted(a["a"]), "b": permuted(a["b"])}, tolerance=1e-5)  # fmt: skip
TURNED_ROUND = Claim("the same from either end", lambda a: {"a": a["b"], "b": a["a"]}, tolerance=1e-5)
RESCALED = Claim("a larger loss has larger eigenvalues", lambda a: {"problem": Problem(
    LINE, lambda f, y: 3 * ((f - y) ** 2).sum(-1), QUADRATIC.inputs, QUADRATIC.labels)},
    lambda value: 3 * value, 1e-5)  # fmt: skip
DRAWN = {"network": NETWORK, "inputs": INPUTS, "samples": 64, "progress": False}
LARGER = Claim(
    "a positive factor on the outputs changes nothing",
    lambda a: {"network": Network(NETWORK.init, lambda params, x: 4 * NETWORK.apply(params, x))},
)
FEW = {"chains": Chains(count=4, draws=50)}

MEASURES = {
    "directness": ({"values": PATH}, PathStatus, ["values"], [TURNED, NO_UNIT]),
    "turning": ({"values": PATH}, PathStatus, ["values"], [TURNED, NO_UNIT]),
    "stages": ({"values": PATH}, PathStatus, ["values"], [TURNED, NO_UNIT]),
    "certify": ({"values": PATH, "target": PATH[-1], "loss": "mse"}, PathStatus, ["values", "target"], []),
    "trajectory_distance": ({"a": MODELS, "b": MODELS[::-1].copy(), "target": np.eye(3)[[0, 1, 2, 0]]}, PathStatus,
        ["a", "b", "target"], [TURNED_ROUND]),
    "directional_similarity": ({"params": RUN}, PathStatus, ["params"], [
        Claim("the order of checkpoints changes nothing", lambda a: {
            "params": jax.tree.map(lambda leaf: leaf[[2, 0, 3, 1]], a["params"])})]),
    "inpca": ({"distances": APART}, PathStatus, ["distances"], [
        Claim("the order of models is that of the coordinates, up to signs", lambda a: {
            "distances": APART[ORDER][:, ORDER]}, lambda size: size[ORDER], of=lambda found: abs(found.coordinates))]),
    "interpolation": (ENDS, PathStatus, ["a", "b"], [BOTH_UNITS]),
    "barrier": (ENDS, PathStatus, ["a", "b"], [BOTH_UNITS, TURNED_ROUND]),
    "connect": (ENDS | {"options": CurveOptions(steps=5)}, PathStatus, ["a", "b"], []),
    "align": ({"network": NETWORK, "a": POINT, "b": OTHER, "inputs": INPUTS}, PathStatus, ["a", "b", "inputs"], []),
    "road": (AT | {"target_params": OTHER}, RoadStatus, ["params"], []),
    "path_cost": ({"problem": PROBLEM, "path": RUN}, RoadStatus, ["path"], []),
    "spectrum": (AT_LINE, SpectrumStatus, ["params"], [RESCALED]),
    "kernel_spectrum": ({"network": NETWORK, "params": POINT, "inputs": INPUTS}, SpectrumStatus, ["params", "inputs"],
        [UNITS]),
    "top_eigenvalue": (AT, SpectrumStatus, ["params"], [UNITS]),
    "quantised_size": (AT, DescriptionStatus, ["params"], []),
    "compressed_length": (AT, DescriptionStatus, ["params"], []),
    "factorised_size": (AT, DescriptionStatus, ["params"], [UNITS]),
    "prequential_length": ({"problem": LABELLED, "steps": 3, "members": 2, "orders": 2, "blocks": 3}, DescriptionStatus,
        [], []),
    "llc": (AT_LINE | FEW, LLCStatus, ["params"], []),
    "sample": (AT_LINE | FEW, LLCStatus, ["params"], []),
    "local_volume": (AT_LINE | {"cutoff": 0.01, "method": RayCasting()}, VolumeStatus, ["params"], []),
    "function_prior": (DRAWN, PriorStatus, ["inputs"], [LARGER]),
    "function_posterior": ({"network": NETWORK, "inputs": INPUTS, "labels": 1.0 * (INPUTS[:, 0] > 0), "samples": 2000},
        PriorStatus, ["inputs", "labels"], []),
    "function_robustness": (DRAWN, PriorStatus, ["inputs"], [LARGER]),
    "inal": ({"network": NETWORK, "inputs": INPUTS, "targets": np.sign(INPUTS[None, :, 0])}, ForecastStatus,
        ["inputs", "targets"], []),
}  # fmt: skip
LONG = ("llc", "sample", "prequential_length", "function_robustness")
OF_MANY = {"inal": lambda **given: allroads.inal(**given)[0]}  # one result per target
NO_MEASURES = {
    "agreement": "gives a share without a status",
    "geodesic_progress": "gives a number per model",
    "eigenlearning": "solves an equation of numbers",
    "repair": "gives a point",
    "complexity": "looks a function up in tables",
    "simplicity_bias": "puts a table of complexity beside a prior",
    "network_complexity": "calls measures that are here",
    "inspect_point": "calls measures that are here",
    "learnability": "calls measures that are here, and learns targets",
    "convergence": "gives tables over pairs of members",
    "compare_representations": "gives several numbers, each beside its null",
    "hidden_layers": "names layers",
    "llc_curve": "calls llc",
    "refined_llc": "calls llc",
    "volume_scaling": "calls local_volume at many levels",
    "function_log_probability": "as local_volume, of a whole function",
    "bayesian_influence": "covariances over draws of sample",
    "loss_kernel": "covariances over draws of sample",
    "susceptibilities": "covariances over draws of sample",
    "weight_covariance": "covariances over draws of sample",
    "loss_plane": "a picture without one number",
    "random_plane": "a picture without one number",
    "path_plane": "a picture without one number",
}
"""Public functions of points and paths that have no case here, and why."""


def test_every_public_measure_is_among_them():
    homes = ("allroads.points", "allroads.paths")
    public = {name for name, home in allroads._HOME.items() if home.startswith(homes)}
    functions = {name for name in public if not isinstance(getattr(allroads, name), type)}
    assert set(MEASURES) | set(NO_MEASURES) == functions and not set(MEASURES) & set(NO_MEASURES)


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] * (n in LONG)) for n in MEASURES])
def test_a_measure(name):
    given, status, bad, claims = MEASURES[name]
    measure = OF_MANY.get(name) or getattr(allroads, name)
    check_measure(measure, given, status=status, bad=[not_finite(one)(given) for one in bad], claims=claims, name=name)


# --- languages of programs

ODD, LAST = Machine((0, 1), ((0, 1), (1, 0)), ((0, 1), (1, 0))), Machine((0, 1), ((0, 0),), ((0, 1),))
MORE_ONES = Counter((0, 1), [[-1], [1]], Term("<", (Term(0), Term("c"))))
LARGEST = Piecewise((Register(0, Term("max", (Term("s"), Term("x"))), True),), Term("s"), 0, 2)
OTHERS = {
    "counter": (MORE_ONES, Target("more ones", alphabet=2, length=5, initial_state=0, step=lambda s, x: (
        s + 2 * x - 1, int(s + 2 * x > 1))), [Counter((0, 1), [[1], [-1]], Term("<", (Term(0), Term("c"))))],
        {"length": 5}),
    "acceptor": (Acceptor(ODD), Target("odd", alphabet=2, length=5, function=lambda w: sum(w) % 2),
        [Acceptor(LAST)], {}),
    "piecewise": (LARGEST, Target("largest", alphabet=range(3), length=4, initial_state=0, as_numbers=True,
        step=lambda s, x: (max(s, x), max(s, x))), [Piecewise((), Term("x"), 0, 2)], {"length": 4}),
    "groups": (GroupProgram(symmetric(3), ("2a",)), group(family="symmetric", n=3), [], {}),
}  # fmt: skip
FEW_MODELS = {"boolean": "pairs-less", "mealy": "div-3", "linear": "sum-last3", "fourier": "subtract-mod-13-waves"}
FEW_MODELS |= {"sequence": "transformer-histogram"}
LANGUAGES = {language.name: language for language in languages()}


def test_every_language_is_among_them():
    assert set(OTHERS) | set(FEW_MODELS) == set(BUILT_IN)


@pytest.mark.parametrize("name", OTHERS)
def test_a_language(name):
    program, target, unequal, options = OTHERS[name]
    check_language(LANGUAGES[name], program, target, unequal=unequal, **options)


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] * (n not in FEW_MODELS.values())) for n in entries()]
)
def test_a_model_of_the_zoo(name):
    """Its labels come from the definition, never from the program."""
    entry = entries()[name]
    program, target = entry.make()
    check_language(LANGUAGES[entry.language], program, target, **entry.options)
