"""Options of a forecast of learnability."""

from __future__ import annotations

from dataclasses import dataclass

from allroads.checks import check_count
from allroads.errors import InputError
from allroads.paths.learnability.baselines.inal import DRAWS
from allroads.paths.learnability.law.calibration import Calibration
from allroads.paths.learnability.law.features import FEATURES


@dataclass(frozen=True)
class LearnabilityOptions:
    """How :func:`~allroads.learnability` forecasts.

    Args:
        threshold: A target is learned when its training loss is this share of that of the best constant (for a
            callable loss: of outputs that are all zero); default 0.1.
        seeds: Number of starts to average over; default 3. They are those of ``explore(…, members=seeds, seed=seed)``.
        draws: Initialisations for INAL; default 64.
        simulated: Targets whose path is simulated, evenly spaced over the order by the hitting time at the start;
            default all. The others are predicted from that hitting time, by a law conditioned on those simulated, and
            baselines that cost gradients are left out. A twentieth of the targets from one start costs 2.7 % of
            learning all.
        calibration: A law over ``simulated steps``, of
            :func:`~allroads.paths.learnability.law.calibration.calibrate`; default the one that comes with the package.

    Raises:
        InputError: If an option is out of range, or the calibration needs features that are not known of a target.

    Example:
        >>> LearnabilityOptions(seeds=1).threshold
        0.1
    """

    threshold: float = 0.1
    seeds: int = 3
    draws: int = DRAWS
    simulated: int | None = None
    calibration: Calibration | None = None

    def __post_init__(self) -> None:
        """Refuse options that are out of range."""
        check_count("seeds", self.seeds, 1)
        check_count("draws", self.draws, 2)
        if self.simulated is not None:
            check_count("simulated", self.simulated, 1)
        if not 0 < self.threshold < 1:
            raise InputError(
                "learnability: threshold is a share of the constant predictor's loss, in (0, 1); "
                f"got {self.threshold!r}."
            )
        if self.calibration is not None and self.calibration.features != FEATURES:
            raise InputError(
                f"learnability: the calibration asks for {', '.join(self.calibration.features)}; what is known of a "
                f"target is {', '.join(FEATURES)}: fit it on that with calibrate."
            )
