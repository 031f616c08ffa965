"""Chains of programs: what is reached from where, how likely first, and after how long."""

from allroads.atlases.chains.committor import committor
from allroads.atlases.chains.hitting import PerState
from allroads.atlases.chains.lumpability import Lumpability, lumpability, lumping_error
from allroads.atlases.chains.passage import first_passage_time
from allroads.atlases.chains.program_chain import ProgramChain, program_chain
from allroads.atlases.chains.reach_graph import ReachGraph, reach_graph

__all__ = [
    "Lumpability",
    "PerState",
    "ProgramChain",
    "ReachGraph",
    "committor",
    "first_passage_time",
    "lumpability",
    "lumping_error",
    "program_chain",
    "reach_graph",
]
