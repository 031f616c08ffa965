"""The hypotheses that structure of programs shows in the edges between them: H1 by distance, H2 by roads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from allroads.atlases.hypotheses.mrqap import MatrixRegression, mrqap, plain_slope
from allroads.checks import check_choice
from allroads.errors import InputError
from allroads.results import Result, finish
from allroads.status import AtlasStatus, Status

EDGES = ("nearness", "cost")
"""What an edge may carry: a quantity that grows as programs come near, or one that falls."""


@dataclass(frozen=True, repr=False)
class SlopeTest(Result):
    """Whether edges between programs depend on something as a hypothesis says.

    Attributes:
        slopes: By predictor, its slope given all the others.
        unadjusted: By predictor, its slope with nothing else held fixed. It shows what the other columns explain.
        expected: By predictor, the sign that the hypothesis expects.
        verdict: By predictor: ``supported``, ``opposed``, or ``undecided`` where p is not below the level.
        status: The first status of the slopes that is not sound, or ``ok``.
        stats: Which hypothesis and which kind of edge.
    """

    slopes: Mapping[str, MatrixRegression]
    unadjusted: Mapping[str, float]
    expected: Mapping[str, int]
    verdict: Mapping[str, str]
    status: Status = AtlasStatus.OK
    stats: Mapping[str, Any] = field(default_factory=dict)

    @property
    def value(self) -> float:
        """Slope of the first predictor."""
        return next(iter(self.slopes.values())).value

    @property
    def error(self) -> float:
        """The larger side of its interval."""
        return next(iter(self.slopes.values())).error

    def __repr__(self) -> str:
        return "\n".join(f"{name}: {self.verdict[name]}, {slope!r}" for name, slope in self.slopes.items())


def adjacency_hypothesis(
    edges: Any,
    program_distance: Any,
    function_distance: Any,
    *,
    edge: str = "nearness",
    given: Mapping[str, Any] | None = None,
    nodes: Mapping[str, Any] | None = None,
    node_effects: bool = False,
    permutations: int = 10_000,
    level: float = 0.05,
    power: float = 0.8,
    seed: int = 0,
    throw: bool = False,
) -> SlopeTest:
    """H1: programs that share structure are near, beyond what their functions explain.

    The slope of an edge on the distance of programs, given the distance of their functions and quantities of the
    nodes, by :func:`~allroads.atlases.hypotheses.mrqap.mrqap`. H1 expects a negative slope of a nearness such as
    ``log φ(q|p)`` or reach, and a positive slope of a cost such as a pass height or the log of the steps.

    Args:
        edges: ``[N, N]``, from row to column; NaN where there is no edge.
        program_distance: ``[N, N]``, such as :meth:`~allroads.programs.program.Program.distance`.
        function_distance: ``[N, N]``, such as the share of inputs with other answers.
        edge: ``"nearness"`` or ``"cost"``.
        given: Further matrices held fixed.
        nodes: Quantities of nodes held fixed, such as ``log f_p`` and the length of p.
        node_effects: Whether each node has its own level as source and as target.
        permutations: Relabellings.
        level: Level of the test.
        power: Chance for which the smallest slope that would be seen is given.
        seed: Decides the relabellings.
        throw: Whether a status that is not sound is raised.

    Returns:
        A :class:`SlopeTest` with one predictor, ``"program distance"``.

    Raises:
        InputError: As of ``mrqap``.

    When it fails: where program distance is a function of function distance the status is ``collinear``. Read
    ``detectable`` beside an ``undecided``.

    References: [dekker2007]

    Example:
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> program, function = (abs(np.subtract.outer(u, u)) for u in rng.normal(size=(2, 20)))
        >>> steps = program + function + rng.normal(size=(20, 20)) / 9
        >>> adjacency_hypothesis(steps, program, function, edge="cost", permutations=99).verdict
        {'program distance': 'supported'}
    """
    check_choice("edge", edge, EDGES)
    fixed = {"function distance": function_distance, **(given or {})}
    sign = 1 if edge == "cost" else -1
    options = (fixed, nodes, node_effects, permutations, level, power, seed)
    return _tested("H1", edge, edges, {"program distance": (program_distance, sign)}, *options, throw)


def direct_path_hypothesis(
    edges: Any,
    road_cost: Any,
    directness: Any,
    function_distance: Any,
    *,
    edge: str = "cost",
    given: Mapping[str, Any] | None = None,
    nodes: Mapping[str, Any] | None = None,
    node_effects: bool = False,
    permutations: int = 10_000,
    level: float = 0.05,
    power: float = 0.8,
    seed: int = 0,
    throw: bool = False,
) -> SlopeTest:
    """H2: programs are reached by direct paths: where the road is cheap and the path direct, reach is high.

    Two slopes, each given the other, the distance of the functions and quantities of the nodes. H2 expects that the
    cost of an edge rises with the road cost and falls with the directness; a nearness does the opposite.

    Args:
        edges: Reach, or the log of the steps, ``[N, N]``; NaN where there is none.
        road_cost: ``[N, N]``, such as :func:`allroads.path_cost` of a road; ``None`` leaves it out.
        directness: ``[N, N]`` in [0, 1], as :func:`allroads.directness`; ``None`` leaves it out.
        function_distance: ``[N, N]``.
        edge: ``"cost"`` or ``"nearness"``.
        given: Further matrices held fixed.
        nodes: Quantities of nodes held fixed.
        node_effects: Whether each node has its own level as source and as target.
        permutations: Relabellings.
        level: Level of the test.
        power: Chance for which the smallest slope that would be seen is given.
        seed: Decides the relabellings.
        throw: Whether a status that is not sound is raised.

    Returns:
        A :class:`SlopeTest` with the predictors ``"road cost"`` and ``"directness"``.

    Raises:
        InputError: As of ``mrqap``, and if neither predictor is given.

    References: [dekker2007]

    Example:
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> road, far = (abs(np.subtract.outer(u, u)) for u in rng.normal(size=(2, 20)))
        >>> direct = rng.random((20, 20))
        >>> steps = road + far - direct + rng.normal(size=(20, 20)) / 9
        >>> direct_path_hypothesis(steps, road, direct, far, permutations=99).verdict
        {'road cost': 'supported', 'directness': 'supported'}
    """
    check_choice("edge", edge, EDGES)
    sign = 1 if edge == "cost" else -1
    predictors = {"road cost": (road_cost, sign), "directness": (directness, -sign)}
    kept = {name: pair for name, pair in predictors.items() if pair[0] is not None}
    if not kept:
        raise InputError("road_cost, directness: expected at least one of both; got neither.")
    fixed = {"function distance": function_distance, **(given or {})}
    options = (fixed, nodes, node_effects, permutations, level, power, seed)
    return _tested("H2", edge, edges, kept, *options, throw)


def _tested(
    hypothesis: str,
    edge: str,
    edges: Any,
    predictors: Mapping[str, tuple[Any, int]],
    fixed: Mapping[str, Any],
    nodes: Mapping[str, Any] | None,
    node_effects: bool,
    permutations: int,
    level: float,
    power: float,
    seed: int,
    throw: bool,
) -> SlopeTest:
    slopes, unadjusted, verdict = {}, {}, {}
    for name, (values, sign) in predictors.items():
        others = {other: pair[0] for other, pair in predictors.items() if other != name}
        shared: dict[str, Any] = {"permutations": permutations, "level": level, "power": power, "seed": seed}
        slope = mrqap(edges, values, {**others, **fixed}, nodes=nodes, node_effects=node_effects, **shared)
        slopes[name], unadjusted[name] = slope, plain_slope(edges, values)
        agrees = "supported" if slope.value * sign > 0 else "opposed"
        verdict[name] = agrees if slope.status.sound and slope.p <= level else "undecided"
    status = next((s.status for s in slopes.values() if not s.status.sound), AtlasStatus.OK)
    expected = {name: sign for name, (_, sign) in predictors.items()}
    found = SlopeTest(slopes, unadjusted, expected, verdict, status, {"hypothesis": hypothesis, "edge": edge})
    return finish(found, throw)
