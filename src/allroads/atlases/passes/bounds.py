"""Bounds of the passes between trained points: the lowest paths that were found, and what no path can undercut."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from allroads.atlases.passes.heights import pass_heights
from allroads.atlases.passes.highest import highest_loss
from allroads.atlases.passes.result import ENDS, PassBounds
from allroads.budget import Budget, budgeted
from allroads.checks import check_choice, check_count, check_number, check_options
from allroads.errors import InputError
from allroads.paths.align import align as moved_near
from allroads.paths.align.align import METHODS as ALIGNMENTS
from allroads.paths.barrier import between, compiled_profile
from allroads.paths.connect import CurveOptions, NudgedElasticBand, connect
from allroads.paths.connect.connect import resolve_method
from allroads.paths.connect.method import CurveMethod
from allroads.paths.convergence.members import as_members, member
from allroads.pfmap.network import Params
from allroads.pfmap.problem import Problem
from allroads.results import finish
from allroads.status import AtlasStatus

LowerBound = Callable[[Params, Params], float | None]
"""A theorem about two points: the height that every path between them reaches; ``None`` where it says nothing."""

TOGETHER = 16
"""Pairs whose curves are trained side by side."""
CLEARLY = 0.01
"""Share of a theorem's bound by which a path must lie below it before the bound is carried over."""
REFUTES = 1e-3
"""Share by which a path must lie below it to refute the theorem: more than rounding and grids make."""
FOR_ALIGNING = 0.4
"""Share of the time left that alignments may take."""


def pass_bounds(
    problem: Problem,
    points: Any,
    *,
    align: str | None = "weights",
    curve: str | CurveMethod | None = NudgedElasticBand(),  # noqa: B008 - frozen
    options: CurveOptions = CurveOptions(),  # noqa: B008 - frozen
    lower: LowerBound | None = None,
    close: float = 0.0,
    points_along: int = 61,
    seed: int = 0,
    budget: float | None = None,
    progress: bool = True,
    throw: bool = False,
) -> PassBounds:
    """Bounds of the pass height ``B(a, b) = inf over paths of max L`` between every two of M points.

    The upper bound is the highest loss on the lowest path of these, in turn:

    - ``"segment"``: the straight segment;
    - ``"aligned"``: the segment to b, moved near a by a symmetry of the map, which leaves its function;
    - ``"curve"``: a trained curve between a and the moved b;
    - ``"detour"``: over other points, by ``B(a, c) ≤ max(B(a, b), B(b, c))``.

    With ``align`` the heights are those modulo symmetry: copies of one solution count as one point. The lower bound is
    the theorem ``lower`` where it says something, else the loss of the higher end (``"ends"``). A theorem about a and b
    holds also for points that lie below it on paths from these.

    Args:
        problem: Network, loss and data.
        points: A population with a leading member axis, or a list of M ≥ 2 points.
        align: A method of :func:`~allroads.align`, or ``None`` for heights between the points as they are.
        curve: A method of :func:`~allroads.connect`, or ``None`` for no curves; default a nudged elastic band.
        options: How long and finely curves are trained.
        lower: ``lower(a, b)``: such as a :class:`~allroads.atlases.passes.SignChange`.
        close: Curves are trained only between points whose bounds differ by more than this; default 0.
        points_along: Evaluations of the loss on a segment; 17 more are made round its top. Default 61.
        seed: Of alignments and curves.
        budget: Seconds that the call may take; default no end. Where it ends first, fewer paths were tried: the bounds
            hold, and are wider. Ctrl-C ends the search as a budget does.
        progress: Whether a bar, or a line every ten seconds, tells what is being done.
        throw: Raise a :class:`~allroads.MeasurementError` where the status is not sound.

    Returns:
        A :class:`PassBounds`.

    Raises:
        InputError: If points are no finite points of the network, or an option is out of range; if a theorem's bound
            lies above a path that was found, which refutes it.

    When it fails: the loss on a path is taken on a grid, and a rise between two places is missed. No upper bound says
    that there is no lower path.

    References:
        [draxler2018], [ainsworth2023], [wales1998]

    Example:
        The double well ``(w² − 1)²``; between its minima every path crosses 0, where the loss is 1:

        >>> from allroads import Network
        >>> well = Network(lambda key: jnp.ones(1), lambda w, x: x * (w**2 - 1))
        >>> problem = Problem(well, "mse", jnp.ones((1, 1)), jnp.zeros((1, 1)))
        >>> found = pass_bounds(problem, [-jnp.ones(1), jnp.ones(1)], align=None, lower=lambda a, b: 1.0)
        >>> float(found.lower[0, 1]), float(found.upper[0, 1]), found.way(0, 1)
        (1.0, 1.0, 'segment')
    """
    with budgeted("passes", budget, progress) as clock:
        if align is not None:
            check_choice("alignment method", align, ALIGNMENTS)
        method = None if curve is None else resolve_method(curve)
        if method is not None and method.name == "star":
            raise InputError("curve: a star joins many points at once; give a method for pairs, such as 'neb'.")
        check_options("options", options, CurveOptions)
        check_number("close", close, 0)
        check_count("points_along", points_along, 2)
        check_count("seed", seed, 0)
        members = as_members(problem.network, points, "points", 2)
        ends = [member(members, m) for m in range(len(jax.tree.leaves(members)[0]))]
        problem.points(ends[0], ends[1])
        losses = np.array([float(problem.mean(end)) for end in ends])
        if not np.isfinite(losses).all():
            worst = int(np.argmin(np.isfinite(losses)))
            raise InputError(f"points: the loss of point {worst} is not finite; leave it out.")
        search = _Search(problem, ends, losses, points_along, clock)
        low, named = _lower(losses, ends, lower)
        done = search.segments()
        moved = search.aligned(align, seed) if align is not None and done else None
        done = done and (align is None or moved is not None)
        if method is not None and done:
            done = search.curves(method, options, moved or {}, low + close, seed)
        upper = pass_heights(search.upper, losses)
        ways = np.where(upper < search.upper, WAYS.index("detour"), search.ways)
        low, named = _through(low, named, upper)
        name = "" if lower is None else getattr(lower, "name", None) or getattr(lower, "__name__", "theorem")
        _check(low, upper, named, name)
        status = AtlasStatus.OK if done else AtlasStatus.CUT_SHORT
        return finish(PassBounds(losses, low, upper, named, ways, (ENDS, name), WAYS, clock.ended, status), throw)


WAYS = ("segment", "aligned", "curve", "detour")
"""Names of the paths whose highest loss is an upper bound."""


class _Search:
    """Upper bounds of one call, lowered way by way; thrown away at its end.

    Attributes:
        upper: ``[M, M]``.
        ways: The position in ``WAYS`` of the path behind each, ``[M, M]``.
    """

    def __init__(self, problem: Problem, ends: Sequence[Params], losses: np.ndarray, along: int, clock: Budget):
        self.problem, self.ends, self.clock = problem, ends, clock
        self.data = problem.data
        self.ts = np.linspace(0.0, 1.0, along)
        self.upper = np.full((len(ends), len(ends)), np.inf)
        self.ways = np.zeros(self.upper.shape, int)
        np.fill_diagonal(self.upper, losses)
        self.pairs = [(p, q) for p in range(len(ends)) for q in range(p + 1, len(ends))]

    def lowered(self, p: int, q: int, height: float, way: str) -> None:
        """Keep a path if it is lower; two compiled programs may round the loss of an end differently."""
        height = max(height, self.upper[p, p], self.upper[q, q])
        if height < self.upper[p, q]:
            self.upper[p, q] = self.upper[q, p] = height
            self.ways[p, q] = self.ways[q, p] = WAYS.index(way)

    def on_segment(self, a: Params, b: Params) -> float:
        losses, _ = compiled_profile(self.problem.objective)(a, b, jnp.asarray(self.ts), self.data)
        return highest_loss(self.problem, lambda ts: segment(a, b, ts), self.ts, losses)

    def segments(self) -> bool:
        """The straight segments; whether all pairs were tried."""
        for number, (p, q) in enumerate(self.pairs):
            if self.clock.ended and number:
                return False
            self.clock.say(f"segment {number + 1:,} of {len(self.pairs):,}")
            with self.clock.interruptible():
                self.lowered(p, q, self.on_segment(self.ends[p], self.ends[q]), "segment")
        return not self.clock.interrupted

    def aligned(self, method: str, seed: int) -> dict[tuple[int, int], Params] | None:
        """The second of each pair moved near the first, its segment tried; ``None`` where the time ended first."""
        until, moved = self.clock.spent + FOR_ALIGNING * self.clock.left, dict[tuple[int, int], Params]()
        network, inputs, loss = self.problem.network, self.problem.data.inputs, self.problem.loss
        for number, (p, q) in enumerate(self.pairs):
            if self.clock.ended or self.clock.spent > until:
                return None
            self.clock.say(f"alignment {number + 1:,} of {len(self.pairs):,}")
            with self.clock.interruptible():
                found = moved_near(
                    network, self.ends[p], self.ends[q], inputs, method=method, loss=loss, seed=seed, progress=False
                )
                moved[p, q] = found.params
                self.lowered(p, q, self.on_segment(self.ends[p], found.params), "aligned")
        return None if self.clock.interrupted else moved

    def curves(
        self,
        method: CurveMethod,
        options: CurveOptions,
        moved: dict[tuple[int, int], Params],
        enough: np.ndarray,
        seed: int,
    ) -> bool:
        """Trained curves between the pairs whose bounds are apart; whether all were tried to their end.

        Curves are trained side by side, always as many at once, so that they are compiled once.
        """
        left = [(p, q) for p, q in self.pairs if self.upper[p, q] > enough[p, q]]
        size = min(TOGETHER, len(left))
        for first in range(0, len(left), TOGETHER):
            if self.clock.ended:
                return False
            group = left[first : first + size]
            self.clock.say(f"curves {first + 1:,} to {first + len(group):,} of {len(left):,}")
            chosen = [*group, *[group[0]] * (size - len(group))]
            a = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(self.ends[p] for p, _ in chosen))
            b = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(moved.get(pq, self.ends[pq[1]]) for pq in chosen))
            share = self.clock.left * size / (len(left) - first) if self.clock.limited else None
            found: Any = connect(
                self.problem,
                a,
                b,
                method=method,
                options=options,
                population=True,
                seed=seed,
                budget=share,
                progress=False,
            )
            for (p, q), one in zip(group, found, strict=False):
                self.lowered(p, q, highest_loss(self.problem, one.params_at, one.ts, one.losses), "curve")
            if any(one.ended for one in found):
                if any(one.ended == "interrupted" for one in found):
                    self.clock.interrupt()
                return False
        return True


def segment(a: Params, b: Params, ts: np.ndarray) -> Params:
    """Points on the straight segment from a to b at several t, with a leading axis."""
    found: Params = _compiled_segment(a, b, jnp.asarray(ts))
    return found


@jax.jit
def _compiled_segment(a: Params, b: Params, ts: Any) -> Params:
    return jax.vmap(lambda t: between(a, b, t))(ts)


def _lower(losses: np.ndarray, ends: Sequence[Params], lower: LowerBound | None) -> tuple[np.ndarray, np.ndarray]:
    """Lower bounds ``[M, M]``, and whether each comes from the theorem."""
    found = np.maximum(losses[:, None], losses[None, :])
    named = np.zeros(found.shape, int)
    for p in range(len(ends)):
        for q in range(p + 1, len(ends)):
            said = None if lower is None else lower(ends[p], ends[q])
            if said is None or np.isnan(said):
                continue
            if np.isposinf(said):
                raise InputError(f"lower: the bound between points {p} and {q} is infinite; expected a finite loss.")
            if said > found[p, q]:
                found[p, q] = found[q, p] = float(said)
                named[p, q] = named[q, p] = 1
    return found, named


def _through(low: np.ndarray, named: np.ndarray, upper: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lower bounds carried over to points that lie below them: ``B(p, q) ≥ l > B(q, r)`` gives ``B(p, r) ≥ l``."""
    for _ in range(2):  # once for each end
        clear = low - CLEARLY * np.abs(low)
        below = np.where(upper[None, :, :] < clear[:, :, None], low[:, :, None], -np.inf)  # [p, q, r]
        best = below.max(axis=1)
        best = np.maximum(best, best.T)
        np.fill_diagonal(best, -np.inf)
        named = np.where(best > low, 1, named)
        low = np.maximum(low, best)
    return low, named


def _check(low: np.ndarray, upper: np.ndarray, named: np.ndarray, name: str) -> None:
    """Refuse a theorem that a path refutes."""
    wrong = np.argwhere((low - REFUTES * np.abs(low) > upper) & (named == 1))
    if len(wrong):
        p, q = wrong[0]
        raise InputError(
            f"lower: {name!r} says that every path between points {p} and {q} reaches {low[p, q]:g}, and a path was "
            f"found that stays at {upper[p, q]:g}. The bound does not hold here; where it is not invariant under "
            "symmetries, give align=None."
        )
