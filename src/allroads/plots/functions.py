"""Charts of distributions over functions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from allroads.plots import chart, titled
from allroads.plots.paths import lines

if TYPE_CHECKING:
    import altair

    from allroads.points.prior import FunctionPrior
    from allroads.studies.reached import FunctionsReached

_POINTS = 200


@chart("FunctionPrior")
@chart("FunctionsReached")
def prior(found: FunctionPrior | FunctionsReached) -> altair.Chart:
    """The probability of each function against its rank, both on logarithmic axes, beside Zipf's law."""
    last = max(found.distinct, 1)
    ranks = np.unique(np.geomspace(1, last, min(last, _POINTS)).round().astype(int))
    bits = math.prod(found.stats["outputs"]) * math.log(2)
    shares = found.counts[ranks[ranks <= found.distinct] - 1] / max(found.samples, 1)
    series = {"drawn": np.log10(shares), f"Zipf: 1 / ({bits:.3g} rank)": -np.log10(bits * ranks[: len(shares)])}
    what = f"{found.distinct:,} functions of {found.samples:,} networks, effectively {found.value:.4g}"
    how = "each function by its rank; the last step is of functions that came once"
    return titled(lines(np.log10(ranks[: len(shares)]), series, "log₁₀ rank", "log₁₀ P"), what, how)
