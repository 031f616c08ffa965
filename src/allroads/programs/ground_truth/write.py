"""A model of the zoo as files: weights, source, and what the network reads and answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
from safetensors.numpy import save_file

from allroads.errors import InputError
from allroads.programs.ground_truth.zoo import entries, zoo

EXAMPLES = 16
"""Examples that are written beside the weights."""


def write_model(name: str, folder: str | Path) -> list[Path]:
    """Write a model of the zoo: ``weights.safetensors``, ``program.py`` and ``model.json``.

    The names of the weights are their paths in the parameters, joined by dots. ``model.json`` says what the network is,
    what it reads and answers, and gives some examples with their answers.

    Args:
        name: A name of the zoo.
        folder: Where to write; it is made if it does not exist, and must be empty otherwise.

    Returns:
        The files.

    Raises:
        InputError: If the folder holds files, or is a file.
        UnknownNameError: If there is no such name.
    """
    model, entry = zoo(name), entries()[name]
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"--out {folder}: it exists and is not an empty folder; give another.")
    folder.mkdir(parents=True, exist_ok=True)
    weights, source, about = (folder / file for file in ("weights.safetensors", "program.py", "model.json"))
    save_file(flat(model.params), weights)
    source.write_text(model.program.source.rstrip() + "\n")
    target, full = model.target, model.target.full
    assert full is not None  # every target of the zoo has its domain enumerated
    rows = np.linspace(0, len(full) - 1, min(len(full), EXAMPLES)).astype(int)
    about.write_text(
        json.dumps(
            {
                "name": name,
                "summary": entry.summary,
                "language": entry.language,
                "bits": model.program.bits,
                "network": model.network.name,
                "input_shape": list(target.interface.input_shape),
                "vocabulary": target.interface.vocabulary,
                "alphabet": None if target.alphabet is None else list(target.alphabet),
                "outputs": target.interface.outputs,
                "output_alphabet": None if target.output_alphabet is None else list(target.output_alphabet),
                "per_position": target.interface.per_position,
                "read_as": READ_AS[target.loss],
                "inputs": full.inputs[rows].tolist(),
                "labels": full.labels[rows].tolist(),
            },
            indent=1,
        )
        + "\n"
    )
    return [weights, source, about]


READ_AS = {"cross_entropy": "the largest score", "bce": "1 where the logit is above 0", "mse": "the nearest number"}
"""How outputs are read as answers, by the target's loss."""


def flat(params: Any) -> dict[str, np.ndarray]:
    """Weights by their paths in the parameters, joined by dots.

    Example:
        >>> sorted(flat({"layers": [{"weight": np.ones((2, 1))}]}))
        ['layers.0.weight']
    """
    leaves, _ = jax.tree_util.tree_flatten_with_path(params)
    return {
        jax.tree_util.keystr(path, simple=True, separator="."): np.ascontiguousarray(np.asarray(leaf))
        for path, leaf in leaves
    }
