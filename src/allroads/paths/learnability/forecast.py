"""Result of a forecast of learnability: one row per target."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from allroads.results import Measurement
from allroads.status import ForecastStatus, Status


@dataclass(frozen=True)
class Forecast:
    """Prediction for one target.

    Args:
        name: Name of the target.
        steps: Predicted steps until the loss is at its goal: the median of the prediction.
        interval: 90 % interval of the steps.
        probability: Probability of being learned within the steps asked about.
        probability_interval: 90 % interval of the probability: from the uncertainty of the law, not of the run.
        order: Rank by predicted steps among the targets asked about, 1 the easiest.
        baselines: Each of ``BASELINES``, with the standard error over starts; ``not applicable`` where the inputs are
            not all corners of a cube, ``not computed`` where there was no time.
        road: Norm of the linear solution over that of the parameters, ``√(rᵀK⁻¹r / ‖θ‖²)`` in the explorer's metric:
            the length of the straight road. NaN where the path was not simulated.
        outside: Names of features that lie outside the range of the law's fit; empty is good.
        status: ``ok``; ``nothing to learn`` where the target is constant; ``diverged`` where the network or the
            simulation is not finite; ``not computed`` where an interrupt came first.
        simulated: Whether its path was simulated. Else the prediction rests on the hitting time at the start.
    """

    name: str
    steps: float
    interval: tuple[float, float]
    probability: float
    probability_interval: tuple[float, float]
    order: int
    baselines: Mapping[str, Measurement]
    road: float
    outside: tuple[str, ...]
    status: Status
    simulated: bool


@dataclass(frozen=True)
class Learnability:
    """Forecast of several targets: one row per target, in the order in which the targets were given.

    Args:
        rows: One per target; ``order`` ranks them, the easiest first.
        explorer: Name of the explorer.
        threshold: Goal as a share of the loss of the best constant predictor.
        within: Steps within which a target is to be learned.
        learned_first: Number of targets that were trained before the others were predicted.
        seeds: Number of starts that features were averaged over.
        ended: ``"budget"`` or ``"interrupted"`` where one of these came before everything was computed, else ``None``.
    """

    rows: tuple[Forecast, ...]
    explorer: str
    threshold: float
    within: int
    learned_first: int
    seeds: int
    ended: str | None

    def __iter__(self) -> Iterator[Forecast]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, name: str) -> Forecast:
        return next(row for row in self.rows if row.name == name)

    def table(self) -> list[dict[str, Any]]:
        """Rows as plain values, for a data frame or JSON; ``None`` stands for a missing number."""
        return [_plain(row) for row in self.rows]

    def __str__(self) -> str:
        head = f"{'':>4} {'target':<28} {'steps':>9} {'90 %':>19} {'P(learned)':>10}"
        lines = [head]
        for row in sorted(self.rows, key=lambda row: row.order):
            if row.status != ForecastStatus.OK:
                lines.append(f"{row.order:>4} {row.name[:28]:<28} {row.status.value}")
                continue
            between = f"{row.interval[0]:.0f} … {row.interval[1]:.0f}"
            note = f"  outside the fit: {', '.join(row.outside)}" if row.outside else ""
            lines.append(
                f"{row.order:>4} {row.name[:28]:<28} {row.steps:>9.0f} {between:>19} {row.probability:>10.2f}{note}"
            )
        return "\n".join(lines)


def _plain(row: Forecast) -> dict[str, Any]:
    def number(value: float | Measurement) -> float | None:
        return float(value) if abs(value) < float("inf") else None

    return {
        "target": row.name,
        "steps": number(row.steps),
        "low": number(row.interval[0]),
        "high": number(row.interval[1]),
        "probability": number(row.probability),
        "probability_low": number(row.probability_interval[0]),
        "probability_high": number(row.probability_interval[1]),
        "order": row.order,
        "road": number(row.road),
        "outside": ", ".join(row.outside),
        "status": row.status.value,
        "simulated": row.simulated,
        **{name: number(value) for name, value in row.baselines.items()},
    }
