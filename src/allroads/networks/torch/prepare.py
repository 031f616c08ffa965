"""The user's module as a copy that can be exported, or an error that says what to give in its place."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch.nn import functional as F
from torch.nn.parameter import is_lazy
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from allroads.errors import InputError
from allroads.networks.torch.arrays import jax_dtype

_HALF = (torch.bfloat16, torch.float16)


def unwrapped(module: torch.nn.Module) -> torch.nn.Module:
    """The module inside ``torch.compile``, ``DataParallel`` and ``DistributedDataParallel``."""
    while True:
        if isinstance(inner := getattr(module, "_orig_mod", None), torch.nn.Module):
            module = inner
        elif isinstance(module, torch.nn.DataParallel | torch.nn.parallel.DistributedDataParallel):
            module = module.module
        else:
            return module


def copied(module: torch.nn.Module) -> torch.nn.Module:
    """A copy on the CPU, without wrappers inside it.

    Raises:
        InputError: If the module is scripted or cannot be copied.
    """
    module = unwrapped(module)
    _refuse_scripts(module)
    computed = {id(t): t.detach().clone() for t in _recomputed_weights(module)}
    try:
        copied_module = copy.deepcopy(module, computed).cpu()
    except Exception as error:
        raise InputError(
            f"from_torch: the module cannot be copied ({type(error).__name__}: {error}). Do not keep computed tensors, "
            "open files or generators as attributes of the module."
        ) from error
    for part in list(copied_module.modules()):
        for name, child in part.named_children():
            part._modules[name] = unwrapped(child)
    return copied_module


def exportable(module: torch.nn.Module) -> torch.nn.Module:
    """A copy whose operators are all visible to an export."""
    module = copied(module)
    for part in module.modules():
        if type(part) in _CAPPED and part.max_norm is not None:
            part.__class__ = _CAPPED[type(part)]
    for parameter in module.parameters():  # else PyTorch takes fused shortcuts that hide the operators
        parameter.requires_grad_(parameter.is_floating_point())
    return module


def make_parameters(module: torch.nn.Module, buffers: Sequence[str]) -> None:
    """Turn buffers into parameters, without gradients: PyTorch has none along running statistics."""
    for path in buffers:
        owner, _, name = path.rpartition(".")
        part = module.get_submodule(owner)
        buffer = part._buffers.pop(name)
        assert buffer is not None
        part.register_parameter(name, torch.nn.Parameter(buffer, requires_grad=False))


def floating_precision(module: torch.nn.Module) -> torch.dtype:
    """The module's floating precision; the default one where it has no real tensors.

    Raises:
        InputError: If a tensor has no values yet, is sparse or quantised. If parameters are complex, or a tensor has
            half precision, or double precision that is switched off.
    """
    _refuse_without_values(module)
    for name, parameter in module.named_parameters():
        if parameter.is_complex():
            raise InputError(
                f"from_torch: the parameter {name} is complex; only real ones can be taken. Keep it as a real tensor "
                "[..., 2] and use torch.view_as_complex in forward."
            )
    real = [(n, t.dtype) for n, t in (*module.named_parameters(), *module.named_buffers()) if t.is_floating_point()]
    for name, dtype in real:
        if dtype in _HALF:
            raise InputError(
                f"from_torch: {name} is {str(dtype).removeprefix('torch.')}, and a network in half precision has "
                "neither useful gradients nor losses. Give module.float(): float32 holds the same weights exactly."
            )
        if dtype == torch.float64 and jax_dtype(dtype) != "float64":
            raise InputError(
                f"from_torch: the module is in double precision ({name} is float64) and JAX is not: call from_torch, "
                "and whatever uses its network, inside `with allroads.float64():`, or give module.float()."
            )
    return real[0][1] if real else torch.get_default_dtype()


def _refuse_without_values(module: torch.nn.Module) -> None:
    for name, part in module.named_modules():
        if ".quantized" in type(part).__module__:
            raise InputError(
                f"from_torch: {name or 'the module'} ({type(part).__name__}) is quantised, so it has no gradient. Give "
                "the module that it was made from."
            )
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        if is_lazy(tensor):
            raise InputError(
                f"from_torch: {name} is lazy and has no shape yet. Call the module once on a batch, which draws it."
            )
        if tensor.is_meta:
            raise InputError(
                f"from_torch: {name} is on the meta device and has no values. Give it some: "
                "module.to_empty(device='cpu'), then load_state_dict or reset_parameters."
            )
        if tensor.layout is not torch.strided:
            raise InputError(f"from_torch: {name} is sparse. Keep it dense: {name}.to_dense().")


def _refuse_scripts(module: torch.nn.Module) -> None:
    for name, part in module.named_modules():
        if isinstance(part, torch.jit.ScriptModule):
            raise InputError(
                f"from_torch: {name or 'the module'} is scripted or traced (torch.jit); its code cannot be exported. "
                "Give the Python module that it was made from, with its weights: "
                "module.load_state_dict(scripted.state_dict())."
            )


def _recomputed_weights(module: torch.nn.Module) -> list[torch.Tensor]:
    """The weights that the hooks of old-style weight and spectral norm compute anew before every call."""
    return [
        value
        for part in module.modules()
        for hook in part._forward_pre_hooks.values()
        if isinstance(hook, WeightNorm | SpectralNorm) and isinstance(value := vars(part).get(hook.name), torch.Tensor)
    ]


def _capped_rows(weight: torch.Tensor, max_norm: float, norm_type: float) -> torch.Tensor:
    """The rows, those longer than ``max_norm`` scaled down to it, as ``torch.embedding_renorm_`` does in place."""
    norms = torch.linalg.vector_norm(weight, norm_type, dim=1, keepdim=True)
    return torch.where(norms > max_norm, weight * (max_norm / (norms + 1e-7)), weight)


class _CappedEmbedding(torch.nn.Embedding):
    """``Embedding(max_norm=…)`` as a function: it reads the scaled rows and leaves its weight alone."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """The scaled rows."""
        assert self.max_norm is not None
        weight = _capped_rows(self.weight, self.max_norm, self.norm_type)
        return F.embedding(input, weight, self.padding_idx)


class _CappedEmbeddingBag(torch.nn.EmbeddingBag):
    """``EmbeddingBag(max_norm=…)`` as a function."""

    def forward(
        self,
        input: torch.Tensor,
        offsets: torch.Tensor | None = None,
        per_sample_weights: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """The bags of the scaled rows."""
        assert self.max_norm is not None
        return F.embedding_bag(
            input,
            _capped_rows(self.weight, self.max_norm, self.norm_type),
            offsets,
            mode=self.mode,
            per_sample_weights=per_sample_weights,
            include_last_offset=self.include_last_offset,
            padding_idx=self.padding_idx,
        )


_CAPPED = {torch.nn.Embedding: _CappedEmbedding, torch.nn.EmbeddingBag: _CappedEmbeddingBag}
