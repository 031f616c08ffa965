"""What a user names, looked up before anything is opened."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from allroads.errors import UnknownNameError
from allroads.imported import imported
from allroads.pfmap.losses import LOSSES, PerExampleLoss


def named_loss(loss: str) -> str | PerExampleLoss:
    """The loss behind ``"module:function"``, and the name of any other.

    Raises:
        InputError: If the function cannot be imported.
        UnknownNameError: If no loss has that name.

    Example:
        >>> named_loss("mse")
        'mse'
    """
    if ":" in loss:
        return imported(loss)
    check_names({"loss": (loss, LOSSES)})
    return loss


def check_names(given: Mapping[str, tuple[str | None, Iterable[str]]]) -> None:
    """Refuse the first name that its registry does not hold.

    Args:
        given: By what is named: the name, ``None`` where none was given, and the names that there are.

    Raises:
        UnknownNameError: Naming the nearest name that exists.

    Example:
        >>> check_names({"sampler": ("hcm", ["hmc", "mala"])})
        Traceback (most recent call last):
        allroads.errors.UnknownNameError: unknown sampler 'hcm': did you mean 'hmc'? Known: hmc, mala.
    """
    for what, (name, known) in given.items():
        if name is not None and name not in (names := list(known)):
            raise UnknownNameError(what, name, names)
