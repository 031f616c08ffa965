"""What counts say about the distribution behind them, for a dozen runs and for millions of draws."""

from allroads.distributions.clopper_pearson import clopper_pearson
from allroads.distributions.clustered import clustered_interval
from allroads.distributions.collision import collision
from allroads.distributions.effective_number import effective_number
from allroads.distributions.entropy import entropy
from allroads.distributions.median import median_interval
from allroads.distributions.missing_mass import missing_mass
from allroads.distributions.share import share

__all__ = [
    "clopper_pearson",
    "clustered_interval",
    "collision",
    "effective_number",
    "entropy",
    "median_interval",
    "missing_mass",
    "share",
]
