"""Failures as data: what went wrong for one unit while all others went on."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from allroads.errors import AllroadsError, StoreError


@dataclass(frozen=True)
class Failure:
    """What went wrong for one unit.

    Attributes:
        study: The study's name.
        measure: The measure's name, or ``trajectories``.
        unit: What messages call the unit.
        message: What went wrong.
    """

    study: str
    measure: str
    unit: str
    message: str

    def __str__(self) -> str:
        what = "" if self.measure == "trajectories" else f"{self.measure} of "
        return f"study {self.study!r}: {what}{self.unit} failed: {self.message}"

    @property
    def plain(self) -> dict[str, str]:
        """The failure as the summary holds it."""
        return {name: value for name, value in asdict(self).items() if name != "study"}


def reason(error: Exception) -> str:
    """What went wrong, in words.

    Raises:
        StoreError: If it is one: that stops everything.
    """
    if isinstance(error, StoreError):
        raise StoreError(str(error)) from None
    return str(error) if isinstance(error, AllroadsError) else f"{type(error).__name__}: {error}"
