"""The effective number of a distribution from its collision probability."""

from __future__ import annotations

import math

from allroads.results import Measurement


def effective_number(same: Measurement) -> Measurement:
    """``1 / Σ p²``: how many equally probable functions would collide as often, with its interval in ``stats``."""
    low, high = 1 / same.stats["high"], 1 / same.stats["low"] if same.stats["low"] > 0 else math.inf
    stats = {"pairs": same.stats["pairs"], "low": low, "high": high}
    if not same.value > 0:
        return Measurement(math.nan if math.isnan(same.value) else math.inf, None, same.status, stats)
    value = 1 / same.value
    return Measurement(value, max(value - low, high - value), same.status, stats)
