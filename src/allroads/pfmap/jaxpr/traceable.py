"""The one error of networks that cannot be traced."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import jax

from allroads.errors import InputError
from allroads.pfmap.network import Network


@contextmanager
def traceable(network: Network, inputs: str) -> Iterator[None]:
    """A block that traces a network.

    Args:
        network: The network.
        inputs: How the error calls what it is traced on, such as ``"these inputs"``.

    Raises:
        InputError: If it cannot be traced.

    Example:
        >>> network = Network(lambda key: 0.0, lambda w, x: float(x), name="mine")
        >>> with traceable(network, "one input"):
        ...     _ = jax.eval_shape(network.apply, 0.0, 1.0)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        allroads.errors.InputError: network 'mine' cannot be traced on one input (ConcretizationTypeError: ...
    """
    try:
        yield
    except InputError:
        raise
    except (TypeError, ValueError, NotImplementedError, jax.errors.JAXTypeError) as error:
        raise InputError(
            f"network {network.name!r} cannot be traced on {inputs} ({type(error).__name__}: {error}). Give inputs as "
            "the network takes them; its apply must be a JAX function of parameters and of any number of inputs."
        ) from error
