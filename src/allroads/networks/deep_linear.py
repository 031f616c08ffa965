"""The deep linear network: a product of matrices."""

from __future__ import annotations

from allroads.networks.activations import resolve_activation
from allroads.networks.initialisation import Initialisation
from allroads.networks.mlp import layered
from allroads.pfmap.network import Network


def deep_linear(
    input_shape: tuple[int, ...],
    outputs: int,
    *,
    vocabulary: int | None = None,
    per_position: bool = False,
    widths: tuple[int, ...] = (64, 64),
    init: str = "lecun",
    scale: float = 1.0,
) -> Network:
    """``x W₁ W₂ … W_L`` without biases: linear in its inputs, not in its parameters.

    Its loss landscape and learning coefficients are known exactly, which makes it the standard thing to
    measure on.

    Args:
        input_shape: Shape of one example; it is flattened (tokens: one-hot, side by side).
        outputs: Outputs of one example, or of one position.
        vocabulary: Size of the alphabet of integer tokens; ``None`` for real inputs.
        per_position: One output a position.
        widths: Widths of the hidden layers.
        init: Rule of the weights' variance, see :class:`Initialisation`. Default ``"lecun"``, which keeps the
            variance of linear layers.
        scale: Multiplies every weight, so the product by ``scale^L``.

    Returns:
        A network with parameters ``{"layers": [{"weight": [in, out]}, …]}``.

    Raises:
        InputError: If a size is not a positive whole number.
        UnknownNameError: If the rule does not exist.

    References: [aoyagi2024] [saxe2014]

    Example:
        >>> import jax, jax.numpy as jnp
        >>> network = deep_linear((2,), 1, widths=(1,))
        >>> params = {"layers": [{"weight": jnp.ones((2, 1))}, {"weight": 3 * jnp.ones((1, 1))}]}
        >>> network.apply(params, [[1.0, 2.0]])
        Array([[9.]], dtype=float32)
    """
    sizes = "-".join(map(str, (*widths, outputs)))
    draw = Initialisation(init, scale, "none", 1.0)
    identity = resolve_activation("identity")
    return layered(f"deep linear {sizes}", input_shape, outputs, vocabulary, per_position, widths, identity, draw)
