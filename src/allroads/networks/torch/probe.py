"""Whether a module gives one answer to one question."""

from __future__ import annotations

import torch

from allroads.errors import InputError, NotDeterministicError
from allroads.networks.torch.lines import source_of_error

_DROPOUTS = (torch.nn.modules.dropout._DropoutNd,)
_DRAWS_SLOPES = (torch.nn.RReLU,)
_BATCH_NORMS = (torch.nn.modules.batchnorm._BatchNorm,)


def probe(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> torch.Tensor:
    """Ask the module the same question twice.

    Args:
        module: A copy of the user's, reduced to one output; its buffers may change.
        inputs: The question.

    Returns:
        The answer.

    Raises:
        InputError: If the module does not take these inputs.
        NotDeterministicError: If it answers in two ways, changes its buffers, or lets one example's answer depend on
            the others through a batch norm.
    """
    before = {name: buffer.clone() for name, buffer in module.named_buffers()}
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        try:
            first, second = (module(*(t.clone() for t in inputs)) for _ in range(2))  # forward may write to its inputs
        except InputError:
            raise
        except Exception as error:
            if unsteady := _unsteady(module):
                raise _refusal("cannot be asked in training mode", unsteady) from error
            given = ", ".join(f"{tuple(t.shape)} {str(t.dtype).removeprefix('torch.')}" for t in inputs)
            raise InputError(
                f"from_torch: the module does not take the example inputs ({given}): {type(error).__name__} at "
                f"{source_of_error(error)}: {str(error).strip()[:400]}. Give one batch as the module takes it, "
                "leading with the example axis; several inputs as a tuple, or as a mapping of their names."
            ) from error
    changed = [name for name, buffer in module.named_buffers() if not torch.equal(buffer, before[name])]
    shared = [name for name, m in module.named_modules() if isinstance(m, _BATCH_NORMS) and _of_batch(m)]
    if not torch.equal(first.nan_to_num(), second.nan_to_num()):
        raise _refusal("gives two answers to one question", _unsteady(module))
    if shared:
        raise _refusal("lets the answer for one example depend on the others in its batch", _unsteady(module))
    if changed:
        raise _refusal(f"changes its buffers ({_listed(changed)}) when it is asked", _unsteady(module))
    answer: torch.Tensor = first
    return answer


def _of_batch(module: torch.nn.Module) -> bool:
    return module.training or module.running_mean is None


def _unsteady(module: torch.nn.Module) -> list[str]:
    """The submodules in training mode whose answers then vary."""
    names = []
    for name, m in module.named_modules():
        drops = getattr(m, "p", 0) if isinstance(m, _DROPOUTS) else getattr(m, "dropout", 0)
        varies = isinstance(drops, (int, float)) and drops > 0 and m.training
        varies = varies or (isinstance(m, _DRAWS_SLOPES) and m.training)
        if varies or (isinstance(m, _BATCH_NORMS) and _of_batch(m)):
            names.append(f"{name.removeprefix('module').removeprefix('.') or 'the module itself'} ({type(m).__name__})")
    return names


def _listed(names: list[str]) -> str:
    shown = ", ".join(name.removeprefix("module.") for name in names[:8])
    return shown + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def _refusal(what: str, unsteady: list[str]) -> NotDeterministicError:
    where = f" Because of: {_listed(unsteady)}." if unsteady else " No layer in training mode explains it."
    remedy = (
        "Call module.eval() first (and keep track_running_stats=True in batch norms)."
        if unsteady
        else "Take random numbers and changing state out of forward."
    )
    return NotDeterministicError(f"from_torch: the module {what}.{where} {remedy}")
