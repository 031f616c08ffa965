"""Passes: the least level below which two points, or two programs, are joined."""

from allroads.atlases.passes.barrier_clusters import barrier_clusters, cluster_agreement
from allroads.atlases.passes.bounds import pass_bounds
from allroads.atlases.passes.heights import pass_heights
from allroads.atlases.passes.merge_tree import MergeTree, merge_tree
from allroads.atlases.passes.result import PassBounds
from allroads.atlases.passes.sign_change import SignChange

__all__ = [
    "MergeTree",
    "PassBounds",
    "SignChange",
    "barrier_clusters",
    "cluster_agreement",
    "merge_tree",
    "pass_bounds",
    "pass_heights",
]
