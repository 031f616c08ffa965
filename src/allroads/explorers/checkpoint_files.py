"""Files of checkpoints: which runs and steps a directory holds, and the arrays of one file. Nothing is unpickled."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import safetensors

from allroads.errors import InputError

PICKLES = (".pt", ".pth", ".bin", ".ckpt", ".pkl")
"""Endings of files that hold pickles."""
PICKLE_MAGIC = (b"PK\x03\x04", b"\x80")
"""How files begin that ``torch.save`` or ``pickle.dump`` wrote."""
PROBES = "probes.npz"
"""The file of a recorder's probes."""
DTYPES = {"F64": "f8", "F32": "f4", "F16": "f2", "BF16": jnp.bfloat16, "BOOL": "?"} | {
    f"{letter}{8 * size}": f"{letter.lower()}{size}" for letter in "IU" for size in (1, 2, 4, 8)
}
"""Names of types in a safetensors file."""
SHOWN = 6
"""Names listed in a message."""

Arrays = dict[str, np.ndarray]


class CheckpointRun(NamedTuple):
    """One run as it was saved.

    Attributes:
        name: What messages call it; the number in it is the member's index.
        points: Its points, or their files, by step.
        probes: The probes of its recorder, ``None`` where there are none.
    """

    name: str
    points: dict[int, Any]
    probes: Any = None


def read_safetensors(path: str | Path) -> Arrays:
    """The arrays of a safetensors file by name, ``bfloat16`` among them.

    Raises:
        InputError: If the file is missing or is no safetensors file; a pickle is refused unread.
    """
    path = Path(path)
    if path.suffix in PICKLES:
        raise pickle_error(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); give the path of a safetensors file.") from error
    if content.startswith(PICKLE_MAGIC) and content[8:9] != b"{":  # a length of 128 begins like a pickle
        raise pickle_error(path)
    try:
        parts: list[tuple[str, dict[str, Any]]] = safetensors.deserialize(content)
        return {name: np.frombuffer(p["data"], DTYPES[p["dtype"]]).reshape(p["shape"]) for name, p in parts}
    except (safetensors.SafetensorError, ValueError, KeyError) as error:
        raise InputError(
            f"{path} is not a safetensors file ({error}). Write one with safetensors.torch.save_file or "
            "safetensors.numpy.save_file."
        ) from error


def recorded_steps(directory: Path) -> dict[int, Path]:
    """The files of one run by the step in their names, or in that of their folder (``checkpoint-100/``).

    Raises:
        InputError: If a name has no step, or two have the same.
    """
    found: dict[int, Path] = {}
    for path in (*directory.glob("*.safetensors"), *(f for d in _step_folders(directory) for f in _weights(d))):
        name = path.stem if path.parent == directory else path.parent.name
        step = step_in(name)
        if step is None:
            raise InputError(f"{path}: there is no step in its name; expected one such as 'step100.safetensors'.")
        if step in found:
            raise InputError(
                f"{directory}: {found[step].relative_to(directory)} and {path.relative_to(directory)} are both of "
                f"step {step}; expected one file per step."
            )
        found[step] = path
    return dict(sorted(found.items()))


def read_probes(directory: Path) -> Any:
    """The probes that a recorder wrote into a directory; ``None`` where there are none."""
    if not (directory / PROBES).is_file():
        return None
    with np.load(directory / PROBES, allow_pickle=False) as file:
        arrays = [file[f"inputs{k}"] for k in range(len(file.files))]
    return tuple(arrays) if len(arrays) > 1 else arrays[0]


def common_steps(runs: list[CheckpointRun]) -> list[int]:
    """The steps of all runs, rising.

    Raises:
        InputError: If a run lacks a step that another has, or two runs have one name.
    """
    every = {run.name: set(run.points) for run in runs}
    if len(every) < len(runs):
        raise InputError("checkpoints: two runs have one name; give each directory a name of its own.")
    union = set.union(*every.values())
    for name, own in every.items():
        if own != union:
            lacking = sorted(union - own)
            other = next(run for run, steps in every.items() if lacking[0] in steps)
            raise InputError(
                f"checkpoints: {name} lacks step{'s' * (len(lacking) > 1)} {listed(map(str, lacking))}, which {other} "
                "has; expected the same steps of every run. Save them, or leave out the files of the others."
            )
    return sorted(union)


def common_probes(runs: list[CheckpointRun]) -> Any:
    """The probes of all runs.

    Raises:
        InputError: If a run has other probes than the first.
    """
    first = runs[0].probes
    wanted = jax.tree.leaves(first)
    for run in runs[1:]:
        leaves = jax.tree.leaves(run.probes)
        same = len(leaves) == len(wanted) and all(np.array_equal(a, b) for a, b in zip(leaves, wanted, strict=True))
        if not same:
            raise InputError(f"checkpoints: {run.name} was recorded with other probes than {runs[0].name}.")
    return first


def members_of(runs: list[CheckpointRun]) -> np.ndarray:
    """Indices of the runs: the numbers in their names where each has one of its own, else 0, 1, …."""
    numbered = [_last_number(run.name) for run in runs]
    known = [number for number in numbered if number is not None]
    distinct = len(known) == len(runs) > 1 and len(set(known)) == len(runs)
    return np.array(known if distinct else range(len(runs)))


def place_of(run: CheckpointRun, step: int) -> str:
    """What messages call a point: its file, else its run and step."""
    point = run.points[step]
    return str(point) if isinstance(point, str | Path) else f"{run.name}, step {step}"


def runs_of(path: Path) -> list[CheckpointRun]:
    """The runs of a directory, of one file, or of a pattern such as ``runs/*/weights`` that matches either.

    Raises:
        InputError: If there is no checkpoint, one is a pickle, or files cannot be told apart.
    """
    if glob.has_magic(str(path)) and not path.exists():
        return _matched(path)
    if path.is_file() or path.suffix in (".safetensors", *PICKLES):
        return [run_of_files(path.stem, [path])]
    if not path.is_dir():
        raise InputError(f"{path}: there is no such directory; give one of safetensors files.")
    own = recorded_steps(path)
    steps = _step_folders(path)
    seeds = [folder for folder in _folders(path) if folder not in steps and recorded_steps(folder)]
    if own and seeds:
        raise InputError(
            f"{path} holds checkpoints itself ({next(iter(own.values())).name}) and in {seeds[0].name}/; expected "
            "either files of one run, or one folder per seed."
        )
    if own:
        return [CheckpointRun(path.name, dict(own), read_probes(path))]
    if seeds:
        for folder in _folders(path):
            lost = [file for file in folder.rglob("*") if file.suffix in PICKLES]
            if lost and folder not in steps and folder not in seeds:
                raise pickle_error(min(lost))
        return [CheckpointRun(folder.name, dict(recorded_steps(folder)), read_probes(folder)) for folder in seeds]
    pickles = [file for file in path.rglob("*") if file.suffix in PICKLES]
    if pickles:
        raise pickle_error(min(pickles))
    raise InputError(f"{path} holds no safetensors file; expected files such as step100.safetensors or seed0/step100.…")


def run_of_files(name: str, files: Iterable[str | Path]) -> CheckpointRun:
    """One run of the files of its checkpoints.

    Raises:
        InputError: If one is a pickle or has no step in its name, or two are of one step.
    """
    points: dict[int, Any] = {}
    for path in map(Path, files):
        if path.suffix in PICKLES:
            raise pickle_error(path)
        step = step_in(path.stem)
        if step is None:
            raise InputError(f"{path}: there is no step in its name; expected one such as 'step100.safetensors'.")
        if step in points:
            raise InputError(f"checkpoints: two files of {name} are of one step; expected one file per step.")
        points[step] = path
    return CheckpointRun(name, points)


def _matched(pattern: Path) -> list[CheckpointRun]:
    """The runs that a pattern matches: one per directory, files of one directory together."""
    found = [Path(name) for name in glob.glob(str(pattern), recursive=True)]
    files: dict[Path, list[Path]] = {}
    for path in found:
        if path.suffix in (".safetensors", *PICKLES):
            files.setdefault(path.parent, []).append(path)
    runs = {folder: run_of_files(folder.name, paths) for folder, paths in files.items()}
    for folder in (path for path in found if path.is_dir() and path not in files):
        inner = runs_of(folder)
        if len(inner) != 1:
            raise InputError(f"{folder}, which {pattern} matches, holds {len(inner)} runs; expected one in each.")
        runs[folder] = inner[0]
    if not runs:
        raise InputError(f"{pattern} matches no safetensors file and no directory of them; expected one per run.")
    root = os.path.commonpath([folder.parent for folder in runs])
    named = [run._replace(name=os.path.relpath(folder, root)) for folder, run in runs.items()]
    return sorted(named, key=lambda run: (_last_number(run.name) or 0, run.name))


def _folders(path: Path) -> list[Path]:
    return sorted((d for d in path.iterdir() if d.is_dir()), key=lambda d: (_last_number(d.name) or 0, d.name))


def _step_folders(path: Path) -> list[Path]:
    """Folders that are named by a step and hold one file of weights."""
    return [d for d in _folders(path) if re.match(r"(step|checkpoint)[-_]?\d+$", d.name) and len(_weights(d)) == 1]


def _weights(folder: Path) -> list[Path]:
    return list(folder.glob("*.safetensors"))


def step_in(name: str) -> int | None:
    """The step in a name: the number after ``step``, else the last number."""
    after = re.search(r"step[-_ =]?(\d+)", name)
    return int(after[1]) if after else _last_number(name)


def _last_number(name: str) -> int | None:
    found = re.findall(r"\d+", name)
    return int(found[-1]) if found else None


def pickle_error(path: Path) -> InputError:
    """What is said of a file that is a pickle, with the lines that convert it."""
    target = path.with_suffix(".safetensors").name
    return InputError(
        f"{path} is a pickle (as torch.save writes), and opening one runs whatever code it holds, so it is not opened. "
        "Where you trust it, convert its state dict:\n"
        "    import torch, safetensors.torch\n"
        f'    safetensors.torch.save_file(torch.load("{path.name}", weights_only=True), "{target}")'
    )


def listed(names: Iterable[str]) -> str:
    """Names in a message, the first few of them."""
    names = list(names)
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
