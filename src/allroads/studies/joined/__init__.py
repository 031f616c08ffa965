"""All that a study measured of its runs in one table, and the rank correlations of what stands in it."""

from allroads.studies.joined.ranks import RankCorrelations, rank_correlations
from allroads.studies.joined.table import QUANTITIES, JoinedQuantity, JoinedTable, joined_table

__all__ = [
    "QUANTITIES",
    "JoinedQuantity",
    "JoinedTable",
    "RankCorrelations",
    "joined_table",
    "rank_correlations",
]
