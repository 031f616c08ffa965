"""The kernel K = J Jᵀ of the parameter–function map, within a memory budget.

J has one row an output and one column a parameter, and is never held whole unless it fits. A *band* of as many rows as
the budget allows is held, and the rows from there on are made a small *block* at a time and contracted with it,
parameter leaf by parameter leaf. A row is made by one backward pass; it costs far less to make it again for each band
than to contract it.

Where the network treats its examples one by one, a row needs only its own example. Whether it does is never assumed:
see :func:`examples_apart`. The rows of a weight matrix that each example meets once are then outer products and are
kept as their two factors: see :mod:`allroads.pfmap.factored`.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer, eval_context

from allroads.compiled import quickly_compiled
from allroads.errors import MemoryBudgetError
from allroads.pfmap.factored import Use, dense_uses, factored_row
from allroads.pfmap.inputs import as_batch, choose
from allroads.pfmap.jaxpr import intermediate_bytes
from allroads.pfmap.network import Network, Params
from allroads.pfmap.precision import exact_products

_HIGHEST = jax.lax.Precision.HIGHEST
_BLOCK = 32
"""Rows made at a time where the Jacobian does not fit: contracting 256 rows of a million parameters with 32 runs at 96
GFLOP/s on a CPU thread that reaches 102 with 64 and 75 with 16, while each takes four times the memory of a held row.
"""


@dataclass(frozen=True)
class KernelPlan:
    """How a kernel is computed.

    Args:
        rows: Outputs in all, N·C.
        per_example: Outputs of one example.
        apart: Whether a row is computed from its own example alone.
        uses: The weight matrices whose rows are kept as two factors.
        block: Rows made at a time.
        band: Blocks held at a time.
        bytes: What it takes at its peak, the result included.
        memory: The budget.
    """

    rows: int
    per_example: int
    apart: bool
    uses: tuple[Use, ...]
    block: int
    band: int
    bytes: int
    memory: int

    @property
    def blocks(self) -> int:
        """Number of blocks that the rows fall into."""
        return -(-self.rows // self.block)

    @property
    def bands(self) -> int:
        """Number of bands that the blocks fall into."""
        return -(-self.blocks // self.band)


def plan_kernel(
    network: Network, params: Params, inputs: Any, apart: bool, memory: int, factored: bool = True
) -> KernelPlan:
    """Choose the largest band that the budget allows; rows are kept as factors where ``factored`` and they can be.

    Counted: the result with the two copies made while it is put together, the rows held, and for each row in the making
    the row, a copy, and every intermediate array (an upper bound: XLA shares and fuses them).

    Raises:
        MemoryBudgetError: If the result, or a single row beside it, does not fit; says how much it needs.
    """
    values = jax.eval_shape(network.apply, params, inputs)
    rows, examples = math.prod(values.shape), values.shape[0]
    itemsize = jnp.result_type(values.dtype, *jax.tree.leaves(params)).itemsize
    own = choose(inputs, slice(1)) if apart else inputs
    uses = dense_uses(network, params, own) if apart and factored else ()
    row = jax.make_jaxpr(lambda p: _row(network, p, own, 0, uses))(params)
    held = sum(v.aval.size * v.aval.dtype.itemsize for v in row.jaxpr.outvars)
    intermediate = intermediate_bytes(row.jaxpr)
    result = (5 if uses else 3) * rows * rows * itemsize  # two factors of a share beside the sum of the shares
    # Coupled rows are made one after another, so only one is ever in the making.
    fixed, making = (result, 2 * held + intermediate) if apart else (result + intermediate, 2 * held)
    least = fixed + held + making
    if least > memory:
        raise MemoryBudgetError(
            f"the kernel of {rows} outputs and rows of {held / 2**20:.3g} MiB needs "
            f"{least / 2**20:.4g} MiB ({result / 2**20:.4g} MiB of it for the {rows} x {rows} result); "
            f"the budget is {memory / 2**20:.4g} MiB. Pass memory={least} or more to ParameterFunctionMap, "
            "use fewer inputs, or use kernel_product, which never forms the kernel."
        )
    room = memory - fixed
    if rows * (held + making) <= room:
        block = band = rows
    else:
        block = max(1, min(_BLOCK, rows, room // (4 * (held + making))))
        band = max(block, (room - block * making) // held)
    blocks = -(-rows // block)
    bands = -(-blocks // (band // block))
    band = -(-blocks // bands)  # bands of even size
    return KernelPlan(rows, rows // examples, apart, uses, block, band, fixed + block * (making + band * held), memory)


@functools.lru_cache(maxsize=64)
def kernel_function(network: Network, plan: KernelPlan) -> Any:
    """The compiled ``kernel(params, inputs)`` of a plan.

    Under ``jax.vmap`` as many members are computed side by side as the budget holds, the rest one after
    another.
    """

    def plain(params: Params, inputs: Any) -> Any:
        return _kernel(network, plan, params, inputs)

    within_budget = jax.custom_batching.custom_vmap(plain)

    @within_budget.def_vmap
    def members_in_turn(members: int, batched: Any, params: Params, inputs: Any) -> tuple[Any, bool]:
        leaves, structure = jax.tree.flatten((params, inputs))
        own = {i: leaves[i] for i, mapped in enumerate(jax.tree.leaves(batched)) if mapped}

        def one(own: dict[int, Any]) -> Any:
            return plain(*jax.tree.unflatten(structure, [own.get(i, leaf) for i, leaf in enumerate(leaves)]))

        side_by_side = max(1, min(members, plan.memory // plan.bytes))
        return jax.lax.map(one, own, batch_size=side_by_side), True

    # Differentiation goes through the plain function: the batching rule has no reverse mode.
    differentiable = jax.custom_jvp(within_budget)
    differentiable.defjvp(lambda primals, tangents: jax.jvp(plain, primals, tangents))
    return jax.jit(differentiable)


def _kernel(network: Network, plan: KernelPlan, params: Params, inputs: Any) -> Any:
    def make(block: Any) -> list[Any]:
        """Rows of one block, ``[block, ...]`` a parameter leaf; rows past the end repeat the last."""
        rows = jnp.minimum(block * plan.block + jnp.arange(plan.block), plan.rows - 1)
        if not plan.apart:
            made: list[Any] = jax.lax.map(lambda row: _row(network, params, inputs, row, ()), rows)
            return made
        examples, outputs = jnp.divmod(rows, plan.per_example)
        own = choose(inputs, examples)
        return jax.vmap(lambda x, output: _row(network, params, as_batch(x), output, plan.uses))(own, outputs)

    def contract(held: list[Any], rows: list[Any]) -> Any:
        pairs = zip(held, rows, strict=True)
        shares = [jnp.matmul(a, b.reshape(len(b), -1).T, precision=_HIGHEST) for a, b in pairs]
        factors, whole = shares[: 2 * len(plan.uses)], shares[2 * len(plan.uses) :]
        return sum([x * g for x, g in zip(factors[::2], factors[1::2], strict=True)] + whole)

    def hold(band: Any) -> list[Any]:
        """Rows of one band, ``[band · block, size]`` a parameter leaf."""
        made = jax.lax.map(make, band * plan.band + jnp.arange(plan.band))
        return [leaf.reshape(plan.band * plan.block, -1) for leaf in made]

    def contracted(band: Any) -> Any:
        """A band against every block from its own first on, ``[blocks, band · block, block]``."""
        held = hold(band)
        skipped = jnp.zeros((plan.band * plan.block, plan.block), jnp.result_type(*held))

        def tile(block: Any) -> Any:
            later = block >= band * plan.band
            return jax.lax.cond(later, lambda: contract(held, make(block)), lambda: skipped)

        return jax.lax.map(tile, jnp.arange(plan.blocks))

    if plan.bands == 1:
        held = hold(0)
        blocks = [leaf.reshape(plan.band, plan.block, -1) for leaf in held]
        tiles = jax.lax.map(lambda rows: contract(held, rows), blocks)[None]
    else:
        tiles = jax.lax.map(contracted, jnp.arange(plan.bands))
    whole = jnp.swapaxes(tiles, 1, 2).reshape(plan.bands * plan.band * plan.block, -1)
    whole = whole[: plan.rows, : plan.rows]
    return jnp.triu(whole) + jnp.triu(whole, 1).T


def _row(network: Network, params: Params, inputs: Any, output: Any, uses: tuple[Use, ...]) -> list[Any]:
    """One row of J, the gradient of one output of a batch: the factors of ``uses``, then all other leaves."""
    if uses:
        return factored_row(network, params, inputs, output, uses)
    return jax.tree.leaves(jax.grad(lambda p: network.apply(p, inputs).reshape(-1)[output])(params))


def examples_apart(network: Network, params: Params, inputs: Any) -> bool:
    """Whether each example's outputs, as functions of the parameters, are what that example alone would give.

    Decided by numbers, not by trust: two maps whose Jacobians differ give different vᵀJ for almost every v.
    So one drawn v is pulled back through the network on the whole batch and through the network on each
    example alone, at a drawn point of parameter space and, where ``params`` has values yet, at ``params``.
    Any difference beyond rounding (relative 200 ε) counts as coupled, as does a network that cannot take a
    single example: that way is always right and only slower.
    """
    if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(inputs)):
        return False
    rng = np.random.default_rng(0)
    drawn = jax.tree.map(
        lambda leaf: np.asarray(rng.standard_normal(leaf.shape) / math.sqrt(max(leaf.shape, default=1)), leaf.dtype),
        params,
    )
    known = not any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(params))
    shape = jax.eval_shape(network.apply, params, inputs).shape
    cotangent = rng.standard_normal(shape)
    with eval_context(), exact_products():  # also where a program that asks is being traced
        try:
            gaps = [
                float(_compiled_gap()(network, point, inputs, cotangent))
                for point in ([drawn, params] if known else [drawn])
            ]
        except (TypeError, ValueError):
            return False
    return bool(max(gaps) < 200 * jnp.finfo(jnp.result_type(*jax.tree.leaves(params))).eps)


@functools.cache
def _compiled_gap() -> Any:
    """It runs twice, so what the compiler would do to make it fast takes longer than it saves."""
    return jax.jit(_gap, static_argnums=0, compiler_options=quickly_compiled())


def _gap(network: Network, params: Params, inputs: Any, cotangent: Any) -> Any:
    """Relative distance of vᵀJ by the whole batch from vᵀJ by each example; inf where not finite."""

    def pulled(function: Any) -> Any:
        values, pull = jax.vjp(function, params)
        return jax.tree.leaves(pull(cotangent.astype(values.dtype)))

    whole = pulled(lambda p: network.apply(p, inputs))
    single = pulled(lambda p: jax.vmap(lambda x: network.apply(p, as_batch(x))[0])(inputs))
    length = sum(jnp.sum(jnp.abs(a) ** 2) for a in whole)
    apart = sum(jnp.sum(jnp.abs(a - b) ** 2) for a, b in zip(whole, single, strict=True))
    gap = jnp.sqrt(apart) / jnp.sqrt(length)
    return jnp.where(jnp.isfinite(gap), gap, jnp.where(apart == 0, 0.0, jnp.inf))
