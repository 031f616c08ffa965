"""What lies next to each program: neighbour shares with robustness, evolvability and boundaries."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import spearmanr

from allroads.atlases.tables import NONE, NONE_LABEL
from allroads.checks import check_choice
from allroads.errors import InputError, MemoryBudgetError
from allroads.results import Measurement, Result
from allroads.status import AtlasStatus

if TYPE_CHECKING:
    import polars as pl

QUANTITIES = ("neighbour_share", "boundary")
"""Quantities of edges."""
MOST_IN_A_MATRIX = 2**14
"""Programs of which a matrix is made, of 2 GB at most."""


@dataclass(frozen=True, repr=False)
class Neighbours(Result):
    """Neighbour shares φ(q|p) of K programs, in long form: one entry for each pair that a move was seen to join.

    Args:
        programs: K labels, most frequent first.
        frequency: f_p, the probability of each program ``[K]``.
        starts: Points of each program from which moves were made ``[K]``.
        source: Number of the program p of each entry ``[E]``, in rising order.
        target: Number of the program q ``[E]``, in rising order for each source; p itself is among them.
        share: φ(q|p) ``[E]``.
        low: Lower end of its 95 % interval ``[E]``; the share itself where all moves were made.
        high: Upper end ``[E]``.
        flow: Boundaries f_p φ(q|p) ``[E]``.
        flow_low: Lower end of the 95 % interval of the boundary ``[E]``.
        flow_high: Upper end ``[E]``.
        tried: Moves from each program ``[K]``.
        mean: The mean robustness, Σ_p f_p φ(p|p).
        null: Σ_p f_p², the mean robustness if programs were assigned to points at random, with their sizes kept.
        balance: Probability, if f_p φ(q|p) = f_q φ(p|q), of flows that differ as much as those seen. It is 1 where all
            moves were made.
        status: What became of it.
        stats: ``move`` (in words), ``starts``, ``moves`` (per start), ``exact``.
    """

    programs: tuple[Hashable, ...]
    frequency: np.ndarray
    starts: np.ndarray
    source: np.ndarray
    target: np.ndarray
    share: np.ndarray
    low: np.ndarray
    high: np.ndarray
    flow: np.ndarray
    flow_low: np.ndarray
    flow_high: np.ndarray
    tried: np.ndarray
    mean: Measurement
    null: Measurement
    balance: Measurement
    status: AtlasStatus
    stats: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        pairs = int((self.source != self.target).sum())
        counts = f"{len(self.programs)} programs, {pairs} adjacent pairs"
        numbers = f"mean robustness {_short(self.mean)}, null {_short(self.null)}"
        return f"Neighbours({counts}; {numbers}; {self.status.value})"

    @property
    def value(self) -> float:
        """The mean robustness."""
        return self.mean.value

    @property
    def error(self) -> float | None:
        """Half-width of its interval; ``None`` where it is exact."""
        return self.mean.error

    @property
    def robustness(self) -> np.ndarray:
        """ρ_p = φ(p|p) ``[K]``; NaN for a program from which no move was made."""
        found = np.where(self.tried > 0, 0.0, np.nan)
        kept = self.source == self.target
        found[self.source[kept]] = self.share[kept]
        return found

    @property
    def evolvability(self) -> np.ndarray:
        """e_p, the number of other programs that a move from p was seen to reach ``[K]``; by draws a lower bound."""
        return np.bincount(self.source[self.source != self.target], minlength=len(self.programs))

    @property
    def robustness_by_frequency(self) -> Measurement:
        """Pearson's correlation of ρ_p with log f_p, over programs from which moves were made."""
        return self._over_programs(lambda rho, f, e: float(np.corrcoef(rho, np.log(f))[0, 1]))

    @property
    def robustness_by_evolvability(self) -> Measurement:
        """Spearman's correlation of ρ_p with e_p, over programs from which moves were made."""
        return self._over_programs(lambda rho, f, e: float(np.asarray(spearmanr(rho, e))[0]))

    def matrix(self, quantity: str = "neighbour_share") -> np.ndarray:
        """A quantity of edges as a matrix ``[from, to]``; 0 where no move was seen, NaN where none was made.

        Raises:
            UnknownNameError: If there is no such quantity.
            MemoryBudgetError: If there are more than 16,384 programs.
        """
        check_choice("quantity", quantity, QUANTITIES)
        if len(self.programs) > MOST_IN_A_MATRIX:
            raise MemoryBudgetError(
                f"matrix: {len(self.programs):,} programs would take {8 * len(self.programs) ** 2 / 1e9:,.0f} GB. Read "
                ".source, .target and .share, which hold the pairs that moves join."
            )
        found = np.zeros((len(self.programs), len(self.programs)))
        found[self.tried == 0] = np.nan
        found[self.source, self.target] = self.share if quantity == "neighbour_share" else self.flow
        return found

    def between(self, p: Hashable, q: Hashable) -> Measurement:
        """φ(q|p) with its interval in ``stats``, ``low`` to ``high``, and ``tried``, the moves from p.

        Where no move was seen, the upper end is the bound of Clopper and Pearson from the independent starts.

        Raises:
            InputError: If one of the programs is not here.

        References: [clopper1934]
        """
        from allroads.distributions import clopper_pearson

        here, there = self._place(p), self._place(q)
        at = np.flatnonzero((self.source == here) & (self.target == there))
        tried = int(self.tried[here])
        if not tried:
            return Measurement(math.nan, None, AtlasStatus.TOO_FEW, {"low": 0.0, "high": 1.0, "tried": 0})
        if len(at):
            value, low, high = (float(part[at[0]]) for part in (self.share, self.low, self.high))
        else:
            value = low = 0.0
            high = 0.0 if self.stats["exact"] else clopper_pearson(0, int(self.starts[here]))[1]
        error = None if self.stats["exact"] else max(value - low, high - value)
        return Measurement(value, error, AtlasStatus.OK, {"low": low, "high": high, "tried": tried})

    def nodes(self) -> pl.DataFrame:
        """The nodes of an atlas: ``node``, ``label``, ``function``, ``frequency``, ``robustness``, ``evolvability``.

        ``function`` is null where labels are not answers. ``starts`` are the points from which moves were made.
        """
        import polars as pl

        names = self.node_names()
        return pl.DataFrame(
            {
                "node": names,
                "label": [NONE_LABEL if name == NONE else name for name in names],
                "function": [name if self.stats.get("functions") and name != NONE else None for name in names],
                "frequency": self.frequency,
                "robustness": self.robustness,
                "evolvability": self.evolvability,
                "starts": self.starts,
            },
            schema_overrides={"function": pl.String},
        ).with_columns(pl.col("robustness").fill_nan(None))

    def edges(self) -> pl.DataFrame:
        """The edges of an atlas, in long form: a row per pair of different programs and quantity."""
        import polars as pl

        names = np.array(self.node_names())
        off = self.source != self.target
        of_source, of_all = self.tried[self.source], np.full(len(self.source), self.tried.sum())
        parts = (
            (self.share, self.low, self.high, of_source),
            (self.flow, self.flow_low, self.flow_high, of_all),
        )
        return pl.concat(
            pl.DataFrame(
                {
                    "source": names[self.source[off]],
                    "target": names[self.target[off]],
                    "quantity": [quantity] * int(off.sum()),
                    "value": value[off],
                    "low": low[off],
                    "high": high[off],
                    "tried": tried[off],
                    "status": [AtlasStatus.OK.value] * int(off.sum()),
                },
                schema_overrides={"quantity": pl.String, "status": pl.String},
            )
            for quantity, (value, low, high, tried) in zip(QUANTITIES, parts, strict=True)
        )

    def node_names(self) -> list[str]:
        """The programs as the text that names them in tables; as Python writes them where two would be alike."""
        names = [str(program) for program in self.programs]
        return names if len(set(names)) == len(names) else [repr(program) for program in self.programs]

    def _place(self, program: Hashable) -> int:
        if program not in self.programs:
            raise InputError(f"program {program!r}: it was not met. See .programs.")
        return self.programs.index(program)

    def _over_programs(self, statistic: Any) -> Measurement:
        kept = (self.tried > 0) & (self.frequency > 0)
        rho, f, e = self.robustness[kept], self.frequency[kept], self.evolvability[kept]
        stats = {"programs": int(kept.sum())}
        if kept.sum() < 3 or not (np.ptp(rho) > 0 and np.ptp(f) > 0 and np.ptp(e) > 0):
            return Measurement(math.nan, None, AtlasStatus.TOO_FEW, stats)
        return Measurement(statistic(rho, f, e), None, AtlasStatus.OK, stats)


def _short(number: Measurement) -> str:
    return f"{number.value:.3g}" + ("" if number.error is None else f" ± {number.error:.2g}")
