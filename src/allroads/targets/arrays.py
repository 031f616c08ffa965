"""A user's own arrays, from an ``.npz`` file."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from allroads.errors import InputError
from allroads.targets.target import Target

_WHOLE = ("inputs", "labels")
_SPLIT = ("train_inputs", "train_labels", "held_out_inputs", "held_out_labels")


def arrays(
    *,
    path: Path,
    loss: str | None = None,
    classes: int | None = None,
    alphabet: int | None = None,
    per_position: bool | None = None,
    name: str | None = None,
    train_fraction: float | None = None,
    train_size: int | None = None,
    held_out_size: int | None = None,
    seed: int = 0,
) -> Target:
    """Inputs and labels from a file that ``numpy.savez`` wrote.

    The file holds ``inputs`` and ``labels``, which are split here, or ``train_inputs``, ``train_labels``,
    ``held_out_inputs`` and ``held_out_labels``, which are taken as they are. Nothing in it is unpickled.

    Args:
        path: The file; in a study, relative to the folder of its TOML.
        loss: ``"cross_entropy"``, ``"bce"`` or ``"mse"``, default by the labels: whole numbers are classes.
        classes: Number of classes, default the largest label + 1.
        alphabet: Number of tokens, where the inputs are tokens ``0 … alphabet − 1``.
        per_position: Whether axis 1 of the labels runs over positions.
        name: Display name, default the name of the file.
        train_fraction: Share that trains, default 0.8.
        train_size: How many train, in place of the share.
        held_out_size: How many are held out, default the rest.
        seed: Decides the split.

    Returns:
        The target.

    Raises:
        InputError: If the file is missing, is no ``.npz`` file, holds Python objects or other names, or the
            arrays cannot be used.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.savez(f"{folder}/mine.npz", inputs=np.eye(4), labels=np.array([0, 1, 0, 1]))
        ...     len(arrays(path=Path(folder) / "mine.npz", train_size=3).train)
        3
    """
    found = read_npz(path)
    held_out: dict[str, Any] = {}
    if "inputs" in found:
        inputs, labels = (found[key] for key in _WHOLE)
    else:
        inputs, labels = found["train_inputs"], found["train_labels"]
        held_out = {key: found[key] for key in _SPLIT[2:]}
    return Target(
        name or Path(path).stem,
        inputs=inputs,
        labels=labels,
        **held_out,
        alphabet=alphabet,
        loss=loss,
        classes=classes,
        per_position=per_position,
        train_fraction=train_fraction,
        train_size=train_size,
        held_out_size=held_out_size,
        seed=seed,
    )


def read_npz(path: str | Path) -> dict[str, np.ndarray]:
    """The arrays of an ``.npz`` file: ``inputs`` and ``labels``, or both of them for ``train`` and ``held_out``.

    Raises:
        InputError: If the file is missing, is no ``.npz`` file, holds Python objects or other names.
    """
    try:
        with open(path, "rb") as stream:
            content = np.load(stream, allow_pickle=False)
            if isinstance(content, np.ndarray):
                raise InputError(f"{path} holds one array, not several; write it with numpy.savez.")
            found = dict(content)
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"{path}: there is no such file; give the path of an .npz file.") from error
    except (OSError, EOFError, ValueError, TypeError, zipfile.BadZipFile) as error:
        why = "" if "pickle" in str(error) else f" ({error})"  # NumPy's advice is to unpickle
        raise InputError(
            f"{path} cannot be read as an .npz file{why}; write it with numpy.savez, numbers only."
        ) from error
    if set(found) not in (set(_WHOLE), set(_SPLIT)):
        raise InputError(
            f"{path} holds {', '.join(sorted(found)) or 'nothing'}; "
            f"expected {', '.join(_WHOLE)} or {', '.join(_SPLIT)}."
        )
    return found
