"""Explorers that are neutral: they sample the prior of the initialisation given the data, and follow no gradient."""

from allroads.explorers.neutral.guess_and_check import GuessAndCheck
from allroads.explorers.neutral.smc import SMC
from allroads.explorers.neutral.zero_error_walk import ZeroErrorWalk

__all__ = ["SMC", "GuessAndCheck", "ZeroErrorWalk"]
