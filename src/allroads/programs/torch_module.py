"""Compilation of a program into a PyTorch module."""

from __future__ import annotations

from typing import Any

from allroads.errors import InputError
from allroads.programs.compile import compile_program
from allroads.programs.language import language_of
from allroads.programs.program import Program
from allroads.programs.sequence.compile import looks_back
from allroads.programs.sequence.program import SequenceProgram

ACTIVATIONS = {"boolean": "relu", "linear": "identity", "fourier": "square"}
"""Activation of what each language compiles to; that of a machine is the cell's."""


def torch_module(program: Program, **options: Any) -> Any:
    """A PyTorch module that computes a program by construction, with the weights of ``compile_program``.

    A formula becomes layers ``nn.Linear`` and ``nn.ReLU``. A machine or a recurrence becomes an Elman network, read
    position by position. A Fourier program becomes two ``nn.Embedding`` whose sum is squared and read out. A
    position-wise program becomes a transformer of one head a block.

    Args:
        program: The program.
        **options: Options of :func:`~allroads.programs.compile.compile_program`.

    Returns:
        The ``torch.nn.Module``, in evaluation mode and in the precision of the weights. It takes what the network
        takes, as a tensor: numbers ``[N, n]`` or ``[N, T, D]``, or tokens ``[N, T]``, ``[N, T, D]`` or ``[N, 2]``.
        A trained transformer is exported by :func:`allroads.networks.torch.transformer.torch_transformer`.

    Raises:
        InputError: If torch is not installed, or the program's language has no compiler or no module.

    Example:
        >>> import torch
        >>> from allroads.programs.boolean import Formula
        >>> module = torch_module(Formula.parse("x0 ^ x1", 2))
        >>> (module(torch.tensor([[0.0, 0], [0, 1], [1, 0], [1, 1]]))[:, 0] > 0).tolist()
        [False, True, True, False]
    """
    language = language_of(program)
    known = {*ACTIVATIONS, "mealy", "sequence"}
    if language is not None and language.name not in known:
        raise InputError(f"programs of the language {language.name!r} have no PyTorch module; these have: {known}.")
    _, params = compile_program(program, **options)
    try:
        from allroads.networks.torch.modules import module_of
    except ImportError as error:
        raise InputError("torch_module needs PyTorch: pip install 'allroads[torch]'.") from error
    name = program.language
    if isinstance(program, SequenceProgram):
        from allroads.networks.torch.transformer import torch_transformer

        size, causal = len(program.alphabet), looks_back(program)
        return torch_transformer(params, vocabulary=size, per_position=True, heads=1, causal=causal)
    vocabulary, activation = None, ACTIVATIONS.get(name, "tanh")
    if name == "mealy":
        from allroads.programs.mealy.compile import CELLS

        activation = CELLS[options.get("cell", "elman")]
        if not options.get("numbers"):
            letters = [a if isinstance(a, tuple) else (a,) for a in program.alphabet]  # type: ignore[attr-defined]
            vocabulary = params["layers"][0]["input"].shape[0] // len(letters[0])
    return module_of(params, activation, vocabulary).eval()
