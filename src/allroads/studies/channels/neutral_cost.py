"""The cost of a neutral search: draws from the prior until one fits."""

from __future__ import annotations

import math
from typing import Any

from allroads.errors import InputError
from allroads.points.prior import FunctionPosterior
from allroads.points.volume import Volume
from allroads.results import Measurement
from allroads.status import ChannelStatus


def neutral_cost(neutral: Measurement | Volume | FunctionPosterior) -> Measurement:
    """``log₂ (1 / P)``, the expected number of draws until one fits, in bits; a draw costs one forward pass.

    Args:
        neutral: P that a draw fits: a share of draws with its interval, as ``function_prior(…).probability(labels)``
            gives it; a log-probability by splitting, as :func:`~allroads.function_log_probability` gives it; or a
            :func:`~allroads.function_posterior` given the training data, which holds log P(S). Over random training
            sets, P(S) is their mean.

    Returns:
        A :class:`~allroads.Measurement`; ``stats`` holds ``low`` and ``high``, the 95 % interval, and ``by``. Status
        ``lower bound`` where no draw fits: the value is then the lower end.

    Raises:
        InputError: If it is none of these, or a log-probability whose status is not ``ok``.

    References: [clopper1934, cerou2012]

    Example:
        >>> from allroads.status import PriorStatus
        >>> stats = {"count": 25, "samples": 100, "low": 0.125, "high": 0.5}
        >>> found = neutral_cost(Measurement(0.25, 0.25, PriorStatus.OK, stats))
        >>> found.value, found.stats["low"], found.stats["high"]
        (2.0, 1.0, 3.0)
    """
    if isinstance(neutral, Volume):
        if neutral.status != "ok":
            raise InputError(
                f"neutral: the log-probability is {neutral.status.value}; expected one with status ok. "
                f"{neutral.status.remedy}"
            )
        return _of_log(neutral.value, neutral.value - neutral.error, neutral.value + neutral.error, "splitting")
    if isinstance(neutral, FunctionPosterior):
        at = neutral.log_evidence.stats
        return _of_log(neutral.value, at["low"], at["high"], neutral.stats["method"])
    stats: Any = getattr(neutral, "stats", {})
    if not (isinstance(neutral, Measurement) and {"low", "high", "count"} <= set(stats)):
        raise InputError(
            "neutral: expected prior.probability(labels), a Volume of function_log_probability, or a "
            f"function_posterior; got {type(neutral).__name__}."
        )
    low = -math.log2(stats["high"])
    if stats["count"] == 0:
        return Measurement(low, None, ChannelStatus.LOWER_BOUND, {"low": low, "high": math.inf, "by": "draws"})
    value, high = -math.log2(neutral.value), -math.log2(stats["low"])
    ends = {"low": low, "high": high, "by": "draws"}
    return Measurement(value, max(value - low, high - value), ChannelStatus.OK, ends)


def _of_log(value: float, low: float, high: float, by: str) -> Measurement:
    """The cost in bits from log P in nats and the ends of its interval."""
    bits, least, most = (-number / math.log(2) for number in (value, high, low))
    least = max(least, 0.0)
    return Measurement(bits, max(bits - least, most - bits), ChannelStatus.OK, {"low": least, "high": most, "by": by})
