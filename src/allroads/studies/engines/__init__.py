"""Where jobs run: anything with the interface of :class:`concurrent.futures.Executor`.

Two engines run on this machine: this process, and a pool of long-lived processes with one XLA thread each. Two go past
it: Ray and Slurm. There is no scheduler of our own.
"""

from allroads.studies.engines.choose import make_engine, own_accelerators, read_engine
from allroads.studies.engines.here import InProcess, Pool, computing
from allroads.studies.engines.workers import HEARING, Workers, window

__all__ = [
    "HEARING",
    "InProcess",
    "Pool",
    "Workers",
    "computing",
    "make_engine",
    "own_accelerators",
    "read_engine",
    "window",
]
