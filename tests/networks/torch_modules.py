"""All modules that ``from_torch`` is held against PyTorch with, by family, and how one is."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import jax
import jax.numpy as jnp
import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torch_modules_architectures  # noqa: E402
import torch_modules_made_up  # noqa: E402
import torch_modules_operators  # noqa: E402

import allroads  # noqa: E402

FAMILIES = {
    "layers": torch_modules_made_up.TABLE,
    "operators": torch_modules_operators.TABLE,
    **torch_modules_architectures.FAMILIES,
}
"""By family and name: how the module is built, its batch, and which output is taken."""

EXAMPLES, FEWER = 3, 2
"""Examples in the batch that is handed to ``from_torch``, and in the one that is asked afterwards."""


class Double(torch.overrides.TorchFunctionMode):
    """What a module casts to float32, such as the squares of an RMS norm, becomes float64.

    A module in double precision that computes partly in float32 is exact to 1e-7 alone, in PyTorch too.
    """

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if isinstance(function, torch._ops.OpOverload):
            return function(*args, **(kwargs or {}))
        function = torch.Tensor.double if function is torch.Tensor.float else function
        args = [torch.float64 if a is torch.float32 else a for a in args]
        kwargs = {k: torch.float64 if a is torch.float32 else a for k, a in (kwargs or {}).items()}
        return function(*args, **kwargs)


@contextmanager
def in_double(entry) -> Iterator[None]:
    """Both libraries compute in double precision throughout, also where an architecture casts to float32."""
    casts = any(known is entry for known in torch_modules_architectures.TABLE.values())
    with allroads.float64(), Double() if casts else nullcontext():
        yield


def made(name, entry):
    """The module in double precision with weights that float32 holds, its batches by size, and the output."""
    build, batch, *output = entry
    torch.manual_seed(zlib.crc32(name.encode()))
    module = build()
    module.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in module.state_dict().items()})
    module = module.double()

    def inputs(n):
        generator = torch.Generator().manual_seed(n)
        return jax.tree.map(lambda maker: maker(n, generator), batch)

    return module, inputs, output[0] if output else None


def ask(module, inputs, output):
    """What PyTorch answers."""
    if isinstance(inputs, dict):
        given = module(**inputs)
    else:
        given = module(*inputs) if isinstance(inputs, tuple) else module(inputs)
    if callable(output):
        return output(given)
    if output is not None:
        return given[output]
    return given if isinstance(given, torch.Tensor) else given.logits


def as_numpy(inputs):
    return jax.tree.map(lambda tensor: tensor.numpy(), inputs)


def distance(ours, theirs):
    """Largest difference, in units of the largest entry."""
    theirs = theirs.detach().numpy()
    assert np.shape(ours) == theirs.shape
    return float(np.abs(np.asarray(ours, float) - theirs).max(initial=0.0) / (np.abs(theirs).max(initial=0.0) or 1.0))


def errors(name, entry):
    """Errors of values and gradients in double precision, and of values in single precision at another batch size.

    Those of a gradient are in units of its largest entry, or of 1e-5 times the largest of all parameters: the exact
    gradient of some is 0, such as that of the bias of attention's keys.
    """
    module, inputs, output = made(name, entry)
    with in_double(entry):
        x = inputs(EXAMPLES)
        network, params = allroads.from_torch(module, x, output=output)
        answer = ask(module, x, output)
        weights = np.cos(np.arange(answer.numel())).reshape(answer.shape)
        (answer * torch.from_numpy(weights)).sum().backward()

        def scalar(params):
            values = network.apply(params, as_numpy(x))
            return (values * weights).sum(), values

        ours, values = jax.jit(jax.grad(scalar, has_aux=True))(params)
        ours, double = jax.tree.map(np.asarray, ours), distance(values, answer)
        fewer = ask(module, inputs(FEWER), output)
    theirs = {k: np.zeros(p.shape) if p.grad is None else p.grad.numpy() for k, p in module.named_parameters()}
    assert ours.keys() == theirs.keys()
    largest = max(np.abs(g).max() for g in theirs.values())
    gradient = max(np.abs(ours[k] - g).max() / (np.abs(g).max() + 1e-5 * largest) for k, g in theirs.items())
    single = {k: jnp.asarray(p, jnp.float32) for k, p in params.items()}
    found = network.apply(single, as_numpy(inputs(FEWER)))
    assert found.dtype == jnp.float32
    return {"double": double, "gradient": float(gradient), "single": distance(found, fewer)}


TOLERANCES = {"double": 1e-10, "gradient": 1e-8, "single": 1e-5}


def listing():
    """The modules by family, as the table of docs/pytorch.md."""
    rows = [
        f"| {family} | {len(table)} | {' '.join(f'`{name}`' for name in sorted(table))} |"
        for family, table in FAMILIES.items()
    ]
    return "\n".join(["| family | modules | names |", "|---|---|---|", *rows])
