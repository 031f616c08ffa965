"""Shapes in annotations: checked in the tests, and in the tests alone."""

import subprocess
import sys
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import TypeCheckError

import allroads
from allroads.paths.angles import angles
from allroads.paths.inpca import Embedding
from allroads.paths.resample import resample, segment_lengths
from allroads.pfmap.lanczos import gauss_rule
from allroads.pfmap.map import ParameterFunctionMap
from allroads.pfmap.network import Network
from allroads.points.spectrum.eigenpairs import Eigenpairs
from allroads.targets.rules import parity
from shapes import MODULES

BOOLEANS = Network(lambda key: jnp.ones(2), lambda params, inputs: jnp.zeros(3, bool))


@pytest.mark.parametrize(
    "call",
    [
        lambda: segment_lengths(np.zeros(3)),
        lambda: resample(np.zeros((2, 3, 4)), 5),
        lambda: angles(np.ones((2, 3)), np.ones((4, 3))),
        lambda: gauss_rule(np.ones(3), np.ones(3)),
        lambda: Eigenpairs(np.ones(2), np.ones((3, 4)), np.ones(2), 1.0, True),
        lambda: Embedding(np.ones((3, 2)), np.ones(4), np.ones(2)),
        lambda: parity(np.zeros((4, 2), int)),
        lambda: ParameterFunctionMap(Network(jnp.ones, lambda w, x: jnp.zeros(3, bool)), np.ones(3)).values(
            jnp.ones(2)
        ),
    ],
)
def test_a_wrong_shape_is_refused(call):
    with pytest.raises(TypeCheckError):
        call()


def test_a_right_shape_passes():
    assert segment_lengths(np.array([[0.0, 0.0], [3.0, 4.0]])).tolist() == [5.0]


def test_the_hook_is_where_shapes_are():
    """In every module that takes its annotations from jaxtyping, and in no other."""
    folder = Path(allroads.__file__).parent
    found = [path for path in folder.rglob("*.py") if "\nfrom jaxtyping import " in path.read_text("utf-8")]
    assert {".".join(("allroads", *p.relative_to(folder).with_suffix("").parts)) for p in found} == set(MODULES)


def test_users_pay_nothing():
    """Outside the tests nothing is wrapped, and beartype is not imported."""
    code = f"""
import importlib, sys
for module in {MODULES}:
    importlib.import_module(module)
assert "beartype" not in sys.modules
from allroads.paths.resample import resample
assert not hasattr(resample, "__wrapped__")
"""
    subprocess.run([sys.executable, "-c", code], check=True)
