"""Weights that any training loop has saved, read as runs of one network. Nothing is unpickled."""

from __future__ import annotations

import numbers
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import safetensors

from allroads.errors import InputError, nearest_name
from allroads.pfmap.arrays import as_array
from allroads.pfmap.network import Network, Params

PICKLES = (".pt", ".pth", ".bin", ".ckpt", ".pkl")
"""Endings of files that hold pickles."""
PICKLE_MAGIC = (b"PK\x03\x04", b"\x80")
"""How files begin that ``torch.save`` or ``pickle.dump`` wrote."""
PREFIXES = ("module.", "_orig_mod.")
"""What ``DataParallel`` and ``torch.compile`` put before every name."""
PROBES = "probes.npz"
"""The file of a recorder's probes."""
DTYPES = {"F64": "f8", "F32": "f4", "F16": "f2", "BF16": jnp.bfloat16, "BOOL": "?"} | {
    f"{letter}{8 * size}": f"{letter.lower()}{size}" for letter in "IU" for size in (1, 2, 4, 8)
}
"""Names of types in a safetensors file."""
SHOWN = 6
"""Names listed in a message."""

Arrays = dict[str, np.ndarray]


class Checkpoints(NamedTuple):
    """Runs of one network as they were saved.

    Attributes:
        members: Indices of the runs, ``[M]``: numbers in the names of their directories, else 0, 1, ….
        steps: Steps of the points, ``[T]`` rising, the same for all runs.
        params: Points, leaves ``[M, T, …]``.
        probes: The inputs that a recorder was given, ``None`` where there are none.
    """

    members: np.ndarray
    steps: np.ndarray
    params: Params
    probes: Any


class _Run(NamedTuple):
    """One run: what messages call it, its points (or files) by step, the probes of its recorder."""

    name: str
    points: dict[int, Any]
    probes: Any = None


def read_checkpoints(network: Network, source: Any, steps: Any = None, like: Params = None) -> Checkpoints:
    """The runs of a source; see :meth:`allroads.Trajectory.from_checkpoints` for what it may be.

    Raises:
        InputError: If it cannot be read as runs of this network.
    """
    template = _template(network, like)
    runs = _runs(source, steps, template)
    rising = _common_steps(runs)
    read = {(run.name, step): _arrays(run.points[step], _where(run, step)) for run in runs for step in rising}
    wanted = _named_leaves(template)
    found = {key: _without_prefixes(arrays, wanted) for key, arrays in read.items()}
    _check_names(found, {name: tuple(np.shape(leaf)) for name, leaf in wanted.items()})
    leaves = [
        np.stack([np.stack([_moved(found[run.name, step][name], leaf) for step in rising]) for run in runs])
        for name, leaf in wanted.items()
    ]
    params = jax.tree.unflatten(jax.tree.structure(template), leaves)
    return Checkpoints(_members(runs), np.array(rising), params, _common_probes(runs))


def named_arrays(point: Any) -> Arrays:
    """The arrays of a point by name: those of a PyTorch module's ``state_dict``, else paths joined with dots.

    Leaves that are no arrays (functions of an Equinox module) and random keys are left out. PyTorch is not imported.

    Raises:
        InputError: If there is no array, or two have one name.

    Example:
        >>> sorted(named_arrays({"layers": [{"w": np.ones(2)}, {"w": np.ones(3)}]}))
        ['layers.0.w', 'layers.1.w']
    """
    if callable(getattr(point, "state_dict", None)):
        point = dict(point.state_dict())
    leaves = [(name, leaf) for name, leaf in _named(point) if _is_array(leaf)]
    arrays = {name: as_array(leaf) for name, leaf in leaves}
    if not arrays:
        raise InputError(f"checkpoint: there is no array in {type(point).__name__}; give a module or its parameters.")
    if len(arrays) != len(leaves):
        raise InputError("checkpoint: two parameters have one name when their path is joined with dots; rename one.")
    return arrays


def read_safetensors(path: str | Path) -> Arrays:
    """The arrays of a safetensors file by name, ``bfloat16`` among them.

    Raises:
        InputError: If the file is missing or is no safetensors file; a pickle is refused unread.
    """
    path = Path(path)
    if path.suffix in PICKLES:
        raise _pickle(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); give the path of a safetensors file.") from error
    if content.startswith(PICKLE_MAGIC) and content[8:9] != b"{":  # a length of 128 begins like a pickle
        raise _pickle(path)
    try:
        parts: list[tuple[str, dict[str, Any]]] = safetensors.deserialize(content)  # type: ignore[no-untyped-call]
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
        step = _step(name)
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
        arrays = tuple(file[f"inputs{k}"] for k in range(len(file.files)))
    return arrays if len(arrays) > 1 else arrays[0]


def _template(network: Network, like: Params) -> Params:
    if like is not None:
        return like
    try:
        return jax.eval_shape(network.init, jax.random.key(0))
    except Exception as error:  # a user's init may do anything
        raise InputError(
            f"network {network.name!r} cannot draw a point ({error}), so the arrangement of its parameters is not "
            "known. Give like=params, any point of it, such as from_torch returns with the network."
        ) from error


def _runs(source: Any, steps: Any, template: Params) -> list[_Run]:
    """The runs of any source."""
    if isinstance(source, str | Path):
        found = _directory(Path(source))
    elif _is_run(source, template):
        found = [_run("run 0", source, steps)]
    elif isinstance(source, Sequence) and len(source):
        found = []
        for k, own in enumerate(source):
            inner = _directory(Path(own)) if isinstance(own, str | Path) else [_run(f"run {k}", own, steps)]
            if len(inner) != 1:
                raise InputError(f"checkpoints: {own} holds {len(inner)} runs; in a list each is to hold one.")
            found += inner
    else:
        raise InputError(
            "checkpoints: expected a directory of safetensors files, a list of files or state dicts, a mapping from "
            f"steps to them, or a list of such runs; got {type(source).__name__}{' of length 0' * (source == [])}."
        )
    if steps is not None and isinstance(source, str | Path):
        raise InputError("steps: files have their steps in their names; leave steps out.")
    return found


def _is_run(source: Any, template: Params) -> bool:
    """Whether this is one run: a mapping from steps, or a list of points or files."""
    if isinstance(source, Mapping):
        return bool(source) and all(isinstance(key, numbers.Integral) for key in source)
    if not isinstance(source, Sequence) or not len(source):
        return False
    first = source[0]
    if isinstance(first, str | Path):
        return Path(first).suffix in (".safetensors", *PICKLES)
    return _is_point(first, template)


def _is_point(value: Any, template: Params) -> bool:
    if isinstance(value, Mapping):
        return bool(value) and all(isinstance(key, str) for key in value)
    same = bool(jax.tree.structure(value) == jax.tree.structure(template))  # type: ignore[operator]
    return same or not isinstance(value, list | tuple)


def _run(name: str, source: Any, steps: Any) -> _Run:
    """One run from a mapping, or from a list of points or files."""
    if isinstance(source, Mapping) and source and all(isinstance(key, numbers.Integral) for key in source):
        return _Run(name, {int(step): point for step, point in source.items()})
    if not isinstance(source, Sequence) or not len(source):
        raise InputError(f"checkpoints: {name} is {type(source).__name__}; expected a list of points with steps.")
    if all(isinstance(point, str | Path) for point in source):
        named = {Path(point): _step(Path(point).stem) for point in source}
        for path, step in named.items():
            if path.suffix in PICKLES:
                raise _pickle(path)
            if step is None:
                raise InputError(f"{path}: there is no step in its name; expected one such as 'step100.safetensors'.")
        if len(set(named.values())) < len(source):
            raise InputError(f"checkpoints: two files of {name} are of one step; expected one file per step.")
        return _Run(name, {step: path for path, step in named.items() if step is not None})
    given = np.asarray([] if steps is None else steps)
    if given.shape != (len(source),) or given.dtype.kind not in "iu" or not (np.diff(given) > 0).all():
        raise InputError(f"steps: expected {len(source)} rising whole numbers, one per point of {name}; got {steps!r}.")
    return _Run(name, dict(zip(given.tolist(), source, strict=True)))


def _directory(path: Path) -> list[_Run]:
    """The runs of a directory, or of one file."""
    if path.is_file() or path.suffix in (".safetensors", *PICKLES):
        return [_run(path.stem, [path], None)]
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
        return [_Run(path.name, dict(own), read_probes(path))]
    if seeds:
        return [_Run(folder.name, dict(recorded_steps(folder)), read_probes(folder)) for folder in seeds]
    pickles = [file for file in path.rglob("*") if file.suffix in PICKLES]
    if pickles:
        raise _pickle(min(pickles))
    raise InputError(f"{path} holds no safetensors file; expected files such as step100.safetensors or seed0/step100.…")


def _folders(path: Path) -> list[Path]:
    return sorted((d for d in path.iterdir() if d.is_dir()), key=lambda d: (_last_number(d.name) or 0, d.name))


def _step_folders(path: Path) -> list[Path]:
    """Folders that are named by a step and hold one file of weights."""
    return [d for d in _folders(path) if re.match(r"(step|checkpoint)[-_]?\d+$", d.name) and len(_weights(d)) == 1]


def _weights(folder: Path) -> list[Path]:
    return list(folder.glob("*.safetensors"))


def _step(name: str) -> int | None:
    """The step in a name: the number after ``step``, else the last number."""
    after = re.search(r"step[-_ =]?(\d+)", name)
    return int(after[1]) if after else _last_number(name)


def _last_number(name: str) -> int | None:
    found = re.findall(r"\d+", name)
    return int(found[-1]) if found else None


def _where(run: _Run, step: int) -> str:
    point = run.points[step]
    return str(point) if isinstance(point, str | Path) else f"{run.name}, step {step}"


def _common_steps(runs: list[_Run]) -> list[int]:
    every = {run.name: set(run.points) for run in runs}
    if len(every) < len(runs):
        raise InputError("checkpoints: two runs have one name; give each directory a name of its own.")
    union = set.union(*every.values())
    for name, own in every.items():
        if own != union:
            lacking = sorted(union - own)
            other = next(run for run, steps in every.items() if lacking[0] in steps)
            raise InputError(
                f"checkpoints: {name} lacks step{'s' * (len(lacking) > 1)} {_listed(map(str, lacking))}, which {other} "
                "has; expected the same steps of every run. Save them, or leave out the files of the others."
            )
    return sorted(union)


def _common_probes(runs: list[_Run]) -> Any:
    first = runs[0].probes
    wanted = jax.tree.leaves(first)
    for run in runs[1:]:
        leaves = jax.tree.leaves(run.probes)
        same = len(leaves) == len(wanted) and all(np.array_equal(a, b) for a, b in zip(leaves, wanted, strict=True))
        if not same:
            raise InputError(f"checkpoints: {run.name} was recorded with other probes than {runs[0].name}.")
    return first


def _members(runs: list[_Run]) -> np.ndarray:
    numbered = [_last_number(run.name) for run in runs]
    known = [number for number in numbered if number is not None]
    distinct = len(known) == len(runs) > 1 and len(set(known)) == len(runs)
    return np.array(known if distinct else range(len(runs)))


def _arrays(point: Any, where: str) -> Arrays:
    if isinstance(point, str | Path):
        return read_safetensors(point)
    try:
        return named_arrays(point)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def _named(point: Any) -> list[tuple[str, Any]]:
    paths, _ = jax.tree_util.tree_flatten_with_path(point)
    return [(jax.tree_util.keystr(path, simple=True, separator=".") or "params", leaf) for path, leaf in paths]


def _named_leaves(template: Params) -> dict[str, Any]:
    return dict(_named(template))


def _is_array(leaf: Any) -> bool:
    if not (hasattr(leaf, "shape") and hasattr(leaf, "dtype")):
        return False
    return not (isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key))


def _without_prefixes(arrays: Arrays, wanted: Mapping[str, Any]) -> Arrays:
    """Names without the prefixes that wrappers put before all of them, unless the network has them itself."""
    while not set(wanted) <= set(arrays):
        prefix = next((p for p in PREFIXES if all(name.startswith(p) for name in arrays)), None)
        if prefix is None:
            return arrays
        arrays = {name.removeprefix(prefix): array for name, array in arrays.items()}
    return arrays


def _check_names(found: Mapping[tuple[str, int], Arrays], wanted: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse names or shapes that are not the network's."""
    for (run, step), arrays in found.items():
        where = f"checkpoints: {run}, step {step}"
        missing = sorted(set(wanted) - set(arrays))
        if missing:
            unknown = sorted(set(arrays) - set(wanted))
            near = nearest_name(missing[0], unknown)
            raise InputError(
                f"{where} holds the weights of another network. Missing: {_listed(missing)}."
                + (f" Unknown: {_listed(unknown)}." if unknown else "")
                + (f" Did you mean {near!r} to be {missing[0]!r}?" if near else "")
                + " Build the network with the options that the weights were trained with."
            )
        for name, shape in wanted.items():
            if arrays[name].shape != shape:
                raise InputError(f"{where}: {name} has shape {arrays[name].shape}; the network's has {shape}.")
            if not jnp.issubdtype(arrays[name].dtype, jnp.floating):
                raise InputError(f"{where}: {name} holds {arrays[name].dtype}; expected floating-point numbers.")
    _check_extras(found, wanted)


def _check_extras(found: Mapping[tuple[str, int], Arrays], wanted: Mapping[str, Any]) -> None:
    """Refuse arrays that the network lacks, unless nothing that is trained is among them.

    What may be there: whole numbers, other names of a parameter (tied weights), and constants, the same at all steps.
    """
    first = next(iter(found.values()))
    for name in sorted({name for arrays in found.values() for name in set(arrays) - set(wanted)}):
        every = [arrays.get(name) for arrays in found.values()]
        present = [array for array in every if array is not None]
        if not all(jnp.issubdtype(array.dtype, jnp.floating) for array in present):
            continue
        if len(found) > 1 and name in first and all(np.array_equal(a, first[name]) for a in present):
            continue
        if all(any(np.array_equal(a[name], a[own]) for own in wanted) for a in found.values() if name in a):
            continue
        if name.endswith(("running_mean", "running_var")):
            raise InputError(
                f"checkpoints: {name} changes along the run, and the network keeps it fixed. Make the network with "
                "from_torch(module, inputs, running_statistics='params'), so that it is read with the weights."
            )
        raise InputError(
            f"checkpoints: they hold {name}, which the network lacks; expected the weights of this network: "
            f"{_listed(sorted(wanted))}."
        )


def _moved(array: np.ndarray, leaf: Any) -> np.ndarray:
    """An array in the present precision where it is of real numbers."""
    real = jnp.issubdtype(np.asarray(leaf).dtype if np.isscalar(leaf) else leaf.dtype, jnp.floating)
    return np.asarray(array, jax.dtypes.canonicalize_dtype(float) if real else leaf.dtype)


def _pickle(path: Path) -> InputError:
    target = path.with_suffix(".safetensors").name
    return InputError(
        f"{path} is a pickle (as torch.save writes), and opening one runs whatever code it holds, so it is not opened. "
        "Where you trust it, convert its state dict:\n"
        "    import torch, safetensors.torch\n"
        f'    safetensors.torch.save_file(torch.load("{path.name}", weights_only=True), "{target}")'
    )


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
