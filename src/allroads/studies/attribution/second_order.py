"""The criterion of being of second order, fixed before the runs, and what it says of them."""

from __future__ import annotations

import dataclasses
import json
import math
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from allroads.budget import budgeted
from allroads.checks import check_number, check_options
from allroads.errors import InputError, UnknownNameError
from allroads.results import Result
from allroads.status import AttributionStatus
from allroads.studies.attribution.anova import Anova
from allroads.studies.attribution.grid import Grid, Table, read_grid
from allroads.studies.attribution.inversion import Quantity, interval
from allroads.studies.attribution.omega import Omega2
from allroads.studies.attribution.options import AttributionOptions
from allroads.studies.attribution.response import Response, read_response
from allroads.studies.attribution.variance import variance_world

if TYPE_CHECKING:
    import polars as pl

SECTION = "second_order"
"""The table of TOML that holds a criterion."""


@dataclass(frozen=True)
class _Excess(Quantity):
    """ω² of a factor and all its interactions, less a part of the ω² of the reference: below 0 for second order.

    At sizes below 0 the group has no effect, and the effects of the reference grow.
    """

    reference: np.ndarray
    ratio: float
    smallest: ClassVar[float] = -math.inf

    def statistic(self, ss: np.ndarray, within: np.ndarray | float) -> np.ndarray:
        own, other = (Omega2(self.design, group).statistic(ss, within) for group in (self.group, self.reference))
        found: np.ndarray = own - self.ratio * other
        return found

    def truth(self, variances: np.ndarray, noise: float) -> float:
        own, other = (Omega2(self.design, group).truth(variances, noise) for group in (self.group, self.reference))
        return own - self.ratio * other

    def effects(self, size: float, found: Anova, shrunk: np.ndarray) -> np.ndarray:
        effects = super().effects(max(size, 0.0), found, shrunk)
        grown: np.ndarray = np.where(self.reference, (np.sqrt(effects) + max(-size, 0.0)) ** 2, effects)
        return grown


@dataclass(frozen=True, repr=False)
class Judgement(Result):
    """What the criterion says of a table of runs.

    Args:
        verdict: ``"yes"``, the factor is of second order; ``"no"``; or ``"undecided"``, where the interval holds 0.
        value: ω² of the factor and its interactions, less ``ratio`` times ω² of the reference.
        low: Lower end of its interval.
        high: Upper end.
        factor_share: ω² of the factor and all its interactions.
        reference_share: ω² of the reference by itself.
        status: What became of it.
        within: The same within each level of each other factor, a row per level, as columns: ``factor``, ``level``,
            ``verdict``, ``value``, ``low``, ``high``, ``factor_share``, ``reference_share``.
        stats: ``runs``, ``cells``, ``seeds`` and the criterion.
    """

    verdict: str
    value: float
    low: float
    high: float
    factor_share: float
    reference_share: float
    status: AttributionStatus
    within: dict[str, list[Any]] = field(default_factory=dict)
    stats: dict[str, Any] = field(default_factory=dict)

    @property
    def error(self) -> float | None:
        """Half the width of the interval; ``None`` where there is no value."""
        return None if math.isnan(self.value) else (self.high - self.low) / 2

    @property
    def table(self) -> pl.DataFrame:
        """The verdicts within each level of each other factor."""
        import polars as pl

        return pl.DataFrame(self.within | {"level": [str(level) for level in self.within.get("level", [])]})

    @property
    def flips(self) -> pl.DataFrame:
        """Rows of ``table`` whose verdict is the opposite of the whole table's; ``undecided`` has none.

        Their intervals are not corrected for the number of levels looked at.
        """
        opposite = {"yes": "no", "no": "yes"}.get(self.verdict)
        table = self.table
        return table.filter(table["verdict"] == opposite) if opposite and table.width > 1 else table.clear()

    def __repr__(self) -> str:
        return (
            f"Judgement({self.verdict}: {self.factor_share:.3g} against {self.stats['ratio']:g} × "
            f"{self.reference_share:.3g}; {self.value:.3g} [{self.low:.3g}, {self.high:.3g}])"
        )


@dataclass(frozen=True)
class SecondOrder:
    """A criterion: a factor is of second order if ω² of it and all its interactions is below a part of another's.

    ω²(factor and every interaction that it is in) < ratio · ω²(reference by itself). The interaction of the two counts
    against the factor. Write the criterion to a file, and commit it, before the first run.

    Args:
        factor: The factor in question.
        reference: What it is compared with.
        ratio: Above 0.
        level: Confidence of the interval that decides.

    Raises:
        InputError: For equal names, or numbers outside their ranges.

    Example:
        >>> criterion = SecondOrder(factor="optimiser", reference="map", ratio=0.1)
        >>> print(criterion.to_toml(), end="")
        [second_order]
        factor = "optimiser"
        reference = "map"
        ratio = 0.1
        level = 0.95
        >>> SecondOrder.from_toml(criterion.to_toml()) == criterion
        True
    """

    factor: str
    reference: str
    ratio: float = 0.1
    level: float = 0.95

    def __post_init__(self) -> None:
        for name in ("factor", "reference"):
            value = getattr(self, name)
            if not isinstance(value, str) or not value:
                raise InputError(f"{name}: expected the name of a factor; got {value!r}.")
        if self.factor == self.reference:
            raise InputError(f"reference: expected another factor than {self.factor!r}.")
        check_number("ratio", self.ratio, 0, open_low=True)
        check_number("level", self.level, 0.5, 0.999)

    def to_toml(self) -> str:
        """The criterion as TOML."""
        rows = (f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in dataclasses.asdict(self).items())
        return "\n".join([f"[{SECTION}]", *rows, ""])

    @classmethod
    def from_toml(cls, text: str) -> SecondOrder:
        """The criterion in some TOML, beside which other tables may stand.

        Raises:
            InputError: If it is not TOML, or lacks the table ``second_order`` or one of its names.
            UnknownNameError: For a key that a criterion does not have.
        """
        try:
            held = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise InputError(f"criterion: not TOML: {error}.") from None
        if not isinstance(held.get(SECTION), dict):
            raise InputError(f"criterion: expected a table [{SECTION}]; got {', '.join(held) or 'nothing'}.")
        known = [field.name for field in dataclasses.fields(cls)]
        for key in held[SECTION]:
            if key not in known:
                raise UnknownNameError(f"key of [{SECTION}]", key, known)
        if missing := {"factor", "reference"} - set(held[SECTION]):
            raise InputError(f"criterion: [{SECTION}] lacks {', '.join(sorted(missing))}.")
        return cls(**held[SECTION])

    def write(self, path: str | Path) -> None:
        """Write the criterion to a file that does not exist yet.

        Raises:
            InputError: If there is such a file with other content: a criterion is fixed before the runs.
        """
        file = Path(path)
        if file.exists() and file.read_text("utf-8") != self.to_toml():
            raise InputError(f"{file}: holds something else; a criterion is not changed. Choose another name.")
        try:
            file.write_text(self.to_toml(), "utf-8")
        except OSError as error:
            raise InputError(f"{file}: cannot be written: {error}.") from None

    @classmethod
    def read(cls, path: str | Path) -> SecondOrder:
        """The criterion in a file.

        Raises:
            InputError: If it cannot be read.
        """
        try:
            text = Path(path).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: cannot be read as TOML in UTF-8: {error}.") from None
        return cls.from_toml(text)

    def evaluate(
        self,
        table: Table,
        response: Any,
        factors: Sequence[str],
        options: AttributionOptions | None = None,
        *,
        kind: str | None = None,
        balance: str = "refuse",
        within: bool = True,
        seed: int = 0,
        progress: bool = True,
    ) -> Judgement:
        """What the criterion says of a table of runs.

        ``"yes"`` where the whole interval of the difference lies below 0, ``"no"`` where it lies above, else
        ``"undecided"``. All interactions count, whatever ``options.order`` is.

        Args:
            table: As for :func:`allroads.attribute`.
            response: As there. Labels are compared at distance 1 where they differ.
            factors: The names of all factors, those of the criterion among them.
            options: Number of resamples, exponent of distances.
            kind: As there.
            balance: As there.
            within: Whether each level of each other factor is judged by itself too.
            seed: As there.
            progress: As there.

        Raises:
            InputError: As there.
            UnknownNameError: If the factor or the reference is not among the factors.

        Example:
            >>> import numpy as np
            >>> optimiser, map_, _ = np.indices((2, 2, 50)).reshape(3, -1)
            >>> runs = {"optimiser": optimiser, "map": map_, "K": 4 * map_ + np.random.default_rng(0).normal(size=200)}
            >>> SecondOrder("optimiser", "map").evaluate(runs, "K", ["optimiser", "map"]).verdict
            'yes'
        """
        options = options or AttributionOptions()
        check_options("options", options, AttributionOptions)
        grid = read_grid(table, factors, balance, seed)
        for name in (self.factor, self.reference):
            if name not in grid.factors:
                raise UnknownNameError("factor", name, grid.factors)
        read = read_response(table, response, kind, options.exponent, grid.total)
        options = dataclasses.replace(options, order=None, level=self.level)
        rng = np.random.default_rng(seed)
        rows: list[dict[str, Any]] = []
        with budgeted("second order", None, progress) as clock:
            clock.say("all runs")
            whole = self._judge(grid, read, options, rng)
            for axis, name in enumerate(grid.factors):
                if not within or name in (self.factor, self.reference):
                    continue
                for place, level in enumerate(grid.levels[axis]):
                    clock.say(f"runs of {name} {level}")
                    judged = self._judge(grid.within(axis, place), read, options, rng)
                    rows.append({"factor": name, "level": level} | judged)
        columns = {key: [row[key] for row in rows] for key in (rows[0] if rows else ())}
        columns.pop("status", None)
        stats = {"runs": grid.rows.size, "cells": grid.rows.size // grid.seeds, "seeds": grid.seeds}
        return Judgement(**whole, within=columns, stats=stats | dataclasses.asdict(self))

    def _judge(
        self, grid: Grid, response: Response, options: AttributionOptions, rng: np.random.Generator
    ) -> dict[str, Any]:
        if response.constant_on(grid.rows):
            nothing = dict.fromkeys(("value", "low", "high", "factor_share", "reference_share"), math.nan)
            return {"verdict": "undecided", **nothing, "status": AttributionStatus.CONSTANT}
        world = variance_world(grid, response, options, rng)
        found, design = world.found, world.found.design
        group = design.having(grid.factors.index(self.factor))
        reference = design.only(grid.factors.index(self.reference))
        excess = _Excess(design, group, reference, self.ratio)
        low, high = interval(excess, world, self.level)
        shares = [float(Omega2(design, terms).statistic(found.ss, found.within)) for terms in (group, reference)]
        return {
            "verdict": "yes" if high < 0 else "no" if low > 0 else "undecided",
            "value": float(excess.statistic(found.ss, found.within)),
            "low": low,
            "high": high,
            "factor_share": shares[0],
            "reference_share": shares[1],
            "status": AttributionStatus.OK,
        }
