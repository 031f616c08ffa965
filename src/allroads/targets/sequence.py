"""Sequence tasks: one answer a position."""

from __future__ import annotations

import functools
from typing import Any

from allroads.errors import InputError
from allroads.targets.checks import boolean, integer, one_of
from allroads.targets.mealy import STATE_CAP
from allroads.targets.mips import MIPS_TASKS
from allroads.targets.target import Target


def sequence(
    *,
    task: str,
    length: int | None = None,
    as_numbers: bool | None = None,
    name: str | None = None,
    train_fraction: float | None = None,
    train_size: int | None = None,
    held_out_size: int | None = None,
    seed: int = 0,
) -> Target:
    """One of the 62 tasks of the MIPS benchmark.

    Where the outputs are few, inputs are tokens ``[N, T]`` (``[N, T, 2]`` with two channels) and labels are
    classes ``[N, T]``, one an output symbol. Where they are whole numbers of a wide range, inputs are real
    ``[N, T, D]`` and labels are the numbers, with ``mse``.

    Args:
        task: Its name, such as ``"Add_Mod_5"``.
        length: Length T, default that of the benchmark: 10, or 20.
        as_numbers: True gives numbers in and out for the tasks with few outputs too, as the benchmark does.
        name: Display name, default the task's.
        train_fraction: Share that trains, default 0.8; only where all sequences are enumerated (at most
            2^16).
        train_size: How many train; where sequences are drawn, default 1024.
        held_out_size: How many are held out; where sequences are drawn, default 1024.
        seed: Decides what is drawn and the split.

    Returns:
        The target. Truth: ``task``, ``definition``, ``structure``, ``minimal_states`` (of the minimal Mealy
        machine, or ``"unbounded"``) and, where it is small, the ``machine``.

    Raises:
        InputError: If no task has that name, or an option cannot be used.

    References: [michaud2024]

    Example:
        >>> target = sequence(task="Parity_All")
        >>> len(target.full), target.interface.vocabulary, target.truth["minimal_states"]
        (1024, 2, 2)
    """
    chosen = MIPS_TASKS[one_of("sequence task", task, MIPS_TASKS)]
    length = chosen.length if length is None else integer("length", length, 2)
    if as_numbers is None:
        as_numbers = chosen.outputs is None
    elif not boolean("as_numbers", as_numbers) and chosen.outputs is None:
        raise InputError(f"{task} has numbers of a wide range as outputs; drop as_numbers=false.")
    truth: dict[str, Any] = {"task": task, "definition": chosen.definition, "structure": chosen.structure}
    if chosen.states is None:
        truth["minimal_states"] = "unbounded"
    elif chosen.states > STATE_CAP:
        truth["minimal_states"] = chosen.states

    return Target(
        name or task,
        step=chosen.step,
        initial_state=chosen.initial_state,
        alphabet=chosen.alphabet,
        length=length,
        channels=chosen.channels,
        output_alphabet=None if as_numbers or chosen.outputs is None else chosen.outputs(length),
        as_numbers=as_numbers,
        sampler=None if chosen.sampler is None else functools.partial(chosen.sampler, length=length),
        train_fraction=train_fraction,
        train_size=train_size,
        held_out_size=held_out_size,
        seed=seed,
        truth=truth,
    )
