"""The door for Flax modules, of ``linen`` and of ``nnx``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from allroads.errors import InputError, NotDeterministicError
from allroads.networks.inputs import check_tokens, token_check
from allroads.pfmap.arrays import as_jax_array, as_point
from allroads.pfmap.network import Network, Params

if TYPE_CHECKING:
    from flax import linen, nnx

_EVALUATION = {
    "linen": "Pass what switches that off, as the module's call names it: from_flax(module, example_inputs, "
    "deterministic=True), or train=False, or use_running_average=True.",
    "nnx": "Call module.eval() first.",
}


def from_flax(
    module: linen.Module | nnx.Module,
    example_inputs: Any,
    variables: Mapping[str, Any] | None = None,
    *,
    init: Callable[[Any], Any] | None = None,
    vocabulary: int | None = None,
    **options: Any,
) -> tuple[Network, Params]:
    """A Flax module as a network and its present parameters.

    The parameters are the collection ``params`` (linen) or the variables of type ``nnx.Param`` (nnx), as nested dicts
    of arrays under Flax's names. All else, such as the running statistics of batch norms, is fixed. The module takes
    the whole batch; of several outputs the network gives the first, or the one named ``logits``; one number per
    example counts as one output, ``[N, 1]``.

    Args:
        module: A ``flax.linen.Module`` or a ``flax.nnx.Module``; an nnx module in evaluation mode
            (``module.eval()``).
        example_inputs: One batch as the module takes it: an array, or a tuple of arrays.
        variables: The variables of a linen module, ``{"params": …, "batch_stats": …}``. Default: drawn by
            ``module.init`` from ``jax.random.key(0)``. An nnx module holds its own.
        init: ``init(key) -> params`` (linen) or ``init(key) -> module`` (nnx) draws a point. Default: ``module.init``
            for linen; nnx has no general rule, so that ``network.init`` raises an error there.
        vocabulary: Size of the alphabet where the inputs are tokens; tokens outside it are refused.
        **options: Keyword arguments of the module's call, such as ``train=False`` or ``deterministic=True``.

    Returns:
        ``(network, params)``.

    Raises:
        InputError: If Flax is not installed, the module is neither kind or does not take the inputs, or there are no
            parameters.
        NotDeterministicError: If the module draws random numbers or changes its statistics when it is called.

    Fails where an nnx module changes what its call does by attributes that are no variables.

    References: [heek2020]

    Example:
        >>> from flax import linen
        >>> network, params = from_flax(linen.Dense(2), jnp.ones((4, 3)))
        >>> network.apply(params, jnp.ones((5, 3))).shape, sorted(params)
        ((5, 2), ['bias', 'kernel'])
    """
    try:
        from flax import linen, nnx
    except ImportError as error:
        raise InputError("Flax is not installed, and from_flax needs it: pip install 'allroads[flax]'.") from error
    examples = _batch(example_inputs)
    if vocabulary is not None:
        check_tokens(examples[0], vocabulary, "example_inputs")
    if isinstance(module, linen.Module):
        call, draw, params = _linen(module, examples, variables, init, options)
    elif isinstance(module, nnx.Module):
        if variables is not None:
            raise InputError("an nnx module holds its own variables; give it without `variables`.")
        call, draw, params = _nnx(module, examples, init, options)
    else:
        raise InputError(
            f"expected a flax.linen.Module or a flax.nnx.Module, got {type(module).__name__}. Pass an instance, not "
            "its class."
        )
    name = type(module).__name__
    if not jax.tree.leaves(params):
        raise InputError(f"Flax module {name!r} has no parameters, so there is nothing to move.")

    def apply(params: Params, inputs: Any) -> jax.Array:
        batch = _batch(inputs)
        if vocabulary is not None:
            check_tokens(inputs, vocabulary, f"network {name!r}")
        outputs = _first(call(params, batch))
        return outputs[:, None] if outputs.ndim == 1 else outputs

    return Network(draw, apply, name=name, check=token_check(vocabulary, name)), params


def _batch(inputs: Any) -> tuple[jax.Array, ...]:
    return tuple(as_jax_array(x) for x in (inputs if isinstance(inputs, tuple) else (inputs,)))


def _first(outputs: Any) -> jax.Array:
    """The first output, or the one named ``logits``."""
    while not isinstance(outputs, jax.Array):
        if isinstance(outputs, Mapping) and outputs:
            outputs = outputs["logits"] if "logits" in outputs else next(iter(outputs.values()))
        elif isinstance(outputs, Sequence) and not isinstance(outputs, str) and outputs:
            outputs = outputs[0]
        else:
            raise InputError(
                f"the Flax module gives {type(outputs).__name__}; expected an array, or a tuple or a mapping of arrays."
            )
    return outputs


_Call = Callable[[Params, tuple[jax.Array, ...]], Any]


def _linen(
    module: linen.Module,
    examples: tuple[jax.Array, ...],
    variables: Mapping[str, Any] | None,
    init: Callable[[Any], Any] | None,
    options: Mapping[str, Any],
) -> tuple[_Call, Callable[[Any], Params], Params]:
    from flax.core import unfreeze
    from flax.errors import InvalidRngError, ModifyScopeVariableError

    def drawn(key: Any) -> dict[str, Any]:
        return dict(unfreeze(_refused_input(module, examples, lambda: module.init(key, *examples, **options))))

    held = (
        drawn(jax.random.key(0))
        if variables is None
        else {name: unfreeze(dict(collection)) for name, collection in variables.items()}
    )
    if "params" not in held:
        raise InputError(
            f"variables hold {', '.join(map(str, held)) or 'nothing'}; expected the collections of module.init, "
            '{"params": …}. Where you have the parameters alone, give {"params": params}.'
        )
    fixed = {name: jax.tree.map(as_jax_array, collection) for name, collection in held.items() if name != "params"}

    def call(params: Params, inputs: tuple[jax.Array, ...]) -> Any:
        return module.apply({"params": params, **fixed}, *inputs, **options)

    params = as_point(held["params"])
    try:
        _refused_input(module, examples, lambda: jax.eval_shape(call, params, examples))
    except InputError as error:
        if isinstance(error.__cause__, InvalidRngError | ModifyScopeVariableError):
            raise _unsteady(module, "linen", str(error.__cause__)) from error
        raise
    return call, init or (lambda key: drawn(key)["params"]), params


def _nnx(
    module: nnx.Module,
    examples: tuple[jax.Array, ...],
    init: Callable[[Any], Any] | None,
    options: Mapping[str, Any],
) -> tuple[_Call, Callable[[Any], Params], Params]:
    from flax import nnx

    def pure(made: nnx.Module) -> Params:
        return nnx.to_pure_dict(nnx.state(made, nnx.Param))

    parts: Any = nnx.split(module, nnx.Param, ...)
    graph, held, fixed = parts
    params = pure(module)

    def whole(params: Params) -> Any:
        state = jax.tree.map(lambda leaf: leaf, held)
        nnx.replace_by_pure_dict(state, params)
        return nnx.merge(graph, state, jax.tree.map(lambda leaf: leaf, fixed))

    def call(params: Params, inputs: tuple[jax.Array, ...]) -> Any:
        return whole(params)(*inputs, **options)

    probe = whole(params)
    before = jax.tree.map(jnp.array, nnx.state(probe, nnx.Not(nnx.RngState)))
    first, second = (_first(_refused_input(module, examples, lambda: probe(*examples, **options))) for _ in range(2))
    if not jnp.array_equal(first, second, equal_nan=True):
        raise _unsteady(module, "nnx", "two calls with one input give two answers")
    after = nnx.state(probe, nnx.Not(nnx.RngState))
    if not jax.tree.all(jax.tree.map(lambda a, b: jnp.array_equal(a, b, equal_nan=True), before, after)):
        raise _unsteady(module, "nnx", "a call changes its variables, as a batch norm does in training")

    def draw(key: Any) -> Params:
        if init is None:
            raise InputError(
                f"nnx module {type(module).__name__!r} cannot be drawn anew: nnx has no rule for it. Pass "
                "from_flax(module, example_inputs, init=lambda key: YourModule(..., rngs=nnx.Rngs(key))), or use the "
                "parameters it came with."
            )
        fresh = pure(init(key))
        if jax.tree.map(jnp.shape, fresh) != jax.tree.map(jnp.shape, params):
            raise InputError(
                "init gives a module whose parameters are arranged otherwise than those of "
                f"{type(module).__name__!r}; expected the same architecture. Build it with the same options."
            )
        return fresh

    return call, draw, params


def _refused_input(module: Any, examples: tuple[jax.Array, ...], call: Callable[[], Any]) -> Any:
    """The result of a call; what it raises, as an error about the example inputs."""
    try:
        return call()
    except InputError:
        raise
    except Exception as error:
        given = ", ".join(f"{tuple(x.shape)} {x.dtype}" for x in examples)
        raise InputError(
            f"from_flax: {type(module).__name__} does not take the example inputs ({given}): {type(error).__name__}: "
            f"{str(error).strip()[:400]}. Give one batch as the module takes it, several inputs as a tuple, and what "
            "else its call needs as keyword arguments."
        ) from error


def _unsteady(module: Any, kind: str, why: str) -> NotDeterministicError:
    first = why.strip().split("\n")[0][:300]
    return NotDeterministicError(
        f"from_flax: {type(module).__name__} is no function of parameters and inputs: {first}. {_EVALUATION[kind]}"
    )
