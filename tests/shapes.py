"""The type checker of the tests' import hook: beartype, on what an annotation says about a shape."""

from typing import Any, get_args

from beartype import beartype
from jaxtyping import AbstractArray

MODULES = [
    "allroads.networks.correlation",
    "allroads.pfmap.lanczos",
    "allroads.pfmap.map",
    "allroads.points.description.grids",
    "allroads.points.description.prequential_length",
    "allroads.points.description.rounding",
    "allroads.points.spectrum.eigenpairs",
    "allroads.points.spectrum.matrix",
    "allroads.points.spectrum.quadrature",
    "allroads.points.spectrum.results",
    "allroads.paths.align.matching",
    "allroads.paths.angles",
    "allroads.paths.certify",
    "allroads.paths.connect.curves",
    "allroads.paths.inpca",
    "allroads.paths.landscape.path_plane",
    "allroads.paths.landscape.plane",
    "allroads.paths.landscape.random_walk",
    "allroads.paths.progress",
    "allroads.paths.resample",
    "allroads.paths.stages",
    "allroads.paths.trajectory_distance",
    "allroads.studies.attribution.coordinates",
    "allroads.studies.attribution.information",
    "allroads.studies.attribution.label_world",
    "allroads.studies.attribution.shapley",
    "allroads.targets.groups",
    "allroads.targets.linear_teacher",
    "allroads.targets.polynomial",
    "allroads.targets.rules",
]
"""Where the hook is installed."""


def checked(function: Any) -> Any:
    """Check shapes; a value of a wrong type meets the library's own errors, which have tests of their own."""
    hints = {name: hint for name, hint in function.__annotations__.items() if says_a_shape(hint)}
    function.__annotations__ = hints
    return beartype(function) if hints else function


def says_a_shape(hint: Any) -> bool:
    if isinstance(hint, type) and issubclass(hint, AbstractArray):
        return True
    return any(says_a_shape(part) for part in get_args(hint))
