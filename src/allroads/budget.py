"""The time that one call may take, and what it says meanwhile."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

from allroads.checks import check_positive
from allroads.errors import InputError
from allroads.progress import Say, progress

UNCOMPILED = "Cannot lower jaxpr with verifier errors"
"""What JAX says of a function that mixes precisions without a conversion."""
MIXED = (
    "{title}: the network or the loss could not be compiled, as it mixes precisions. Its functions hold a NumPy array "
    "of double precision, and JAX keeps such an array in the precision in which this process used it first. Make it "
    "float32, or a JAX array outside of the function: weights = jnp.asarray(weights)."
)


class Budget:
    """Seconds from now on; the state of one call, thrown away at its end.

    Args:
        seconds: How many; ``None`` for no end.
        say: What is told what is being done.

    Raises:
        InputError: If it is no number above 0.

    Attributes:
        interrupted: Whether the user asked to stop.

    Example:
        >>> budget = Budget(60.0)
        >>> 59 < budget.left <= 60, Budget().left
        (True, inf)
        >>> budget.interrupt()
        >>> budget.left, budget.ended
        (0.0, 'interrupted')
    """

    def __init__(self, seconds: float | None = None, say: Say | None = None):
        check_positive(budget=seconds)
        self.began = time.monotonic()
        self.seconds = math.inf if seconds is None else float(seconds)
        self.say: Say = say or (lambda text: None)
        self.interrupted = False

    @property
    def limited(self) -> bool:
        """Whether there is an end."""
        return math.isfinite(self.seconds)

    @property
    def spent(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self.began

    @property
    def left(self) -> float:
        """Seconds that are left, 0 or more."""
        return max(self.seconds - self.spent, 0.0)

    @property
    def ended(self) -> str | None:
        """``"interrupted"`` or ``"budget"`` where there is no time left, else ``None``."""
        if self.interrupted:
            return "interrupted"
        return None if self.left > 0 else "budget"

    def interrupt(self) -> None:
        """No time is left from now on."""
        self.interrupted, self.seconds = True, 0.0

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """A block that an interrupt from the keyboard leaves, so that the call ends with what it has.

        A second interrupt ends the call.
        """
        try:
            yield
        except KeyboardInterrupt:
            if self.interrupted:
                raise
            self.interrupt()


@contextmanager
def budgeted(title: str, seconds: float | None, shown: bool = True) -> Iterator[Budget]:
    """A budget for a block of which progress is told.

    Args:
        title: What runs, such as ``"llc"``.
        seconds: Its budget; ``None`` for no end.
        shown: Whether progress is written.

    Raises:
        InputError: If the budget is no number above 0; or if a network holds arrays of NumPy in double precision, which
            JAX keeps in the precision that they were first used in, so that nothing in the other can be compiled.

    Example:
        >>> with budgeted("llc", 10.0, shown=False) as budget:
        ...     budget.say("level 1 of 9")
    """
    budget = Budget(seconds)
    with progress(title, shown) as say:
        budget.say = say
        try:
            yield budget
        except ValueError as error:
            if not isinstance(error, InputError) and UNCOMPILED in str(error):
                raise InputError(MIXED.format(title=title)) from error
            raise
