"""The essay's hypotheses as tests: H1 and H2 by regression of matrices, H3 by the order within runs."""

from allroads.atlases.hypotheses.mrqap import MatrixRegression, mrqap
from allroads.atlases.hypotheses.order import OrderedShare, SteppingStones, stepping_stone_hypothesis
from allroads.atlases.hypotheses.slopes import SlopeTest, adjacency_hypothesis, direct_path_hypothesis

__all__ = [
    "MatrixRegression",
    "OrderedShare",
    "SlopeTest",
    "SteppingStones",
    "adjacency_hypothesis",
    "direct_path_hypothesis",
    "mrqap",
    "stepping_stone_hypothesis",
]
