"""What an engine adds to an executor."""

from __future__ import annotations

from concurrent.futures import Executor
from typing import TYPE_CHECKING

from allroads.studies.threads import cores

if TYPE_CHECKING:
    from allroads.studies.engines.node import Needs, Node

HEARING = 0.2
"""Seconds that a wait lasts: Polars makes blocked system calls go on after Ctrl-C, so it is heard between waits."""

AHEAD = 3
"""Calls per worker that are handed out and not yet done: one runs, the others wait beside it."""


class Workers(Executor):
    """An executor that says how many calls it takes at a time."""

    nodes: tuple[Node, ...] = ()
    """The machines that have answered; none where all is done on this one."""

    def window(self) -> int:
        """How many calls may be handed out at one time, now."""
        raise NotImplementedError

    def bundle(self, jobs: int) -> int:
        """How many jobs one call does, where a phase has so many."""
        return 1

    def start(self, needs: Needs) -> None:
        """Get ready; called once, before any job.

        Raises:
            InputError: If a machine lacks something that the study needs; names it.
        """

    def stop(self) -> None:
        """End at once, in the middle of what is being done."""
        self.shutdown(wait=False, cancel_futures=True)


def window(executor: Executor) -> int:
    """How many calls may be handed out at one time: few per worker, however many jobs there are.

    Example:
        >>> from concurrent.futures import ThreadPoolExecutor
        >>> window(ThreadPoolExecutor(5))
        15
    """
    if isinstance(executor, Workers):
        return executor.window()
    return AHEAD * int(getattr(executor, "_max_workers", None) or cores())
