"""The door from PyTorch: a module's ``torch.export``, interpreted operator by operator in ``jax.numpy``.

PyTorch is an extra (``pip install 'allroads[torch]'``) and is imported only when one of the two functions is called.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from allroads.compiled import keep_compiled
from allroads.errors import InputError
from allroads.pfmap.network import Network

if TYPE_CHECKING:
    import torch

__all__ = ["from_torch", "to_torch_state"]


def from_torch(
    module: torch.nn.Module,
    example_inputs: Any,
    *,
    output: int | str | Callable[[Any], Any] | None = None,
    init: Callable[[Any], Any] | str | None = None,
    running_statistics: str = "constants",
) -> tuple[Network, dict[str, Any]]:
    """A PyTorch module as ``(network, params)``: the same function, written in JAX.

    ``params`` holds the module's parameters under their PyTorch names, with their shapes; a parameter that is tied
    appears once, under its first name. Parameters with ``requires_grad=False`` are in it as well. Buffers are constants
    of the network; the running means and variances of batch norms can be among the parameters. The module itself is
    left as it was, and later changes to it do not reach the network. Of a module inside ``torch.compile`` or
    ``DataParallel`` the names are those of the inner one.

    ``network.apply`` computes in the precision of the ``params`` that it is given. It takes any batch size (the module
    is exported again, once a shape, where one export does not cover it), and a tuple or mapping where
    ``example_inputs`` is one. A point may also be the module's
    own ``state_dict()``; its buffers must then be the network's. Tokens outside an embedding, and other places outside
    a table, are refused wherever the inputs have values, which also ``network.check(inputs)`` does alone.

    ``network.init(key)`` draws new weights as the module's own ``reset_parameters`` would (``_init_weights`` for
    models of ``transformers``), seeded by the key; it works under ``jax.jit`` and ``jax.vmap``.

    Args:
        module: In evaluation mode where it has dropout or batch norm.
        example_inputs: One batch as the module takes it: a tensor or array, a tuple of them for several arguments, or
            a mapping for arguments by name. A tuple that ends in a mapping holds both. A mapping is one argument where
            ``forward`` takes no such names. Real arrays are cast to the precision of the module, integer ones (tokens)
            stay integers.
        output: Which of several outputs the network gives: its place in a tuple or its name in a mapping, or a
            function of all that the module gives. By default the one named ``logits``, else there must be but one.
        init: ``init(key) -> params`` in place of the module's own; or ``"match_moments"``: parameters that no
            ``reset_parameters`` reaches are drawn from the normal distribution with the mean and standard deviation
            that their entries have in ``module``, which says little of a trained one; equal entries stay. Without
            either, ``network.init`` raises an error where there are such parameters.
        running_statistics: ``"constants"``, or ``"params"``: ``running_mean`` and ``running_var`` of every batch norm
            are parameters too. Then two trained modules are two points of one network, alignment moves the channels,
            and ``repair="statistics"`` takes them anew on data. Measure such a network and do not train it: a gradient
            along the statistics is that of the function, and PyTorch's training does not follow it.

    Returns:
        The network, and the module's present weights.

    Raises:
        InputError: If torch is not installed, or the example inputs do not fit the module. If it gives several outputs
            and ``output`` names none. If the module is in double
            precision outside :func:`allroads.float64`, in half precision, or scripted. If it packs sequences, or its
            control flow depends on values.
        UnknownNameError: If ``running_statistics`` or ``init`` is a name that does not exist.
        UnsupportedOperatorError: If an operator has no rule; names it and the line of code that it comes from.
        NotDeterministicError: If the module answers the same question in two ways.

    Example:
        >>> import torch
        >>> layer = torch.nn.Linear(2, 1)
        >>> state = {"weight": torch.tensor([[1.0, -2.0]]), "bias": torch.tensor([0.5])}
        >>> _ = layer.load_state_dict(state)
        >>> network, params = from_torch(layer, torch.zeros(3, 2))
        >>> network.apply(params, torch.tensor([[3.0, 1.0]]).numpy()).tolist()  # 3 − 2 + 0.5
        [[1.5]]
        >>> sorted(params), to_torch_state(params)["weight"]
        (['bias', 'weight'], tensor([[ 1., -2.]]))
    """
    _require_torch()
    keep_compiled()
    from allroads.networks.torch.bridge import bridge

    return bridge(module, example_inputs, output, init, running_statistics)


def to_torch_state(params: Mapping[str, Any], module: torch.nn.Module | None = None) -> dict[str, torch.Tensor]:
    """The weights back as a PyTorch state, to be given to ``module.load_state_dict``.

    Args:
        params: One point of parameter space, as ``from_torch`` or the network made it.
        module: Where it is given, the state also holds what ``load_state_dict(strict=True)`` asks for: every name of
            a tied parameter, and the module's own buffers where ``params`` does not have them. Without it, tied names
            and buffers are left out, and ``strict=False`` is needed where there are any.

    Returns:
        Tensors of their own memory, by name.

    Raises:
        InputError: If torch is not installed, or names or shapes are not those of ``module``.

    Example:
        >>> import jax.numpy as jnp
        >>> to_torch_state({"weight": jnp.ones((1, 2))})
        {'weight': tensor([[1., 1.]])}
    """
    _require_torch()
    from allroads.networks.torch.arrays import state

    return state(params, module)


def _require_torch() -> None:
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise InputError(
            "PyTorch is not installed, and from_torch and to_torch_state need it: pip install 'allroads[torch]' "
            "(for a machine without a GPU, install PyTorch's CPU build first)."
        ) from error
