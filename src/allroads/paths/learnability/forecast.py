"""What learnability answers: a row a target."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from allroads.results import Measurement
from allroads.status import ForecastStatus, Status

BASELINES = (
    "yᵀK⁻¹y",
    "hitting time",
    "kernel alignment",
    "degree",
    "average sensitivity",
    "leap",
    "INAL",
)


@dataclass(frozen=True)
class Forecast:
    """What is predicted of one target.

    Args:
        name: The target.
        steps: Predicted steps until the loss is at its goal: the median of the prediction.
        interval: Of the steps, 90 %.
        probability: Of being learned within the budget.
        probability_interval: Of the probability, 90 %: from the uncertainty of the law, not of the run.
        order: Rank by predicted steps among the targets asked about, 1 the easiest.
        baselines: Each of ``BASELINES``, with the standard error over starts; ``not applicable`` where the
            inputs are not all corners of a cube.
        road: Share by which the linear solution would move the parameters, ``√(rᵀK⁻¹r / ‖θ‖²)`` in the explorer's
            metric: the cost of the straight road.
        outside: Features that lie outside what the law was fitted on; empty is good.
        status: ``ok``; ``degenerate`` where the target is constant; ``diverged`` where the network or the probe is not
            finite.
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


@dataclass(frozen=True)
class Learnability:
    """A row a target, easiest first by ``order``; rows stand in the order in which targets were given.

    Args:
        rows: One a target.
        explorer: Its name.
        threshold: Goal as a share of the loss of the best constant predictor.
        budget: Steps.
        learned_first: Number of targets that were learned before the others were predicted.
        seeds: Starts that features were averaged over.
    """

    rows: tuple[Forecast, ...]
    explorer: str
    threshold: float
    budget: int
    learned_first: int
    seeds: int

    def __iter__(self) -> Iterator[Forecast]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, name: str) -> Forecast:
        return next(row for row in self.rows if row.name == name)

    def table(self) -> list[dict[str, Any]]:
        """Plain rows for a data frame or JSON: numbers, ``None`` for what has no value."""
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
    def number(value: float) -> float | None:
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
        **{name: number(value) for name, value in row.baselines.items()},
    }
