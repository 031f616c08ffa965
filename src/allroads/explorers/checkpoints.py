"""Weights that any training loop has saved, read as runs of one network. Nothing is unpickled."""

from __future__ import annotations

import numbers
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from allroads.errors import InputError, nearest_name
from allroads.explorers.checkpoint_files import (
    PICKLES,
    Arrays,
    CheckpointRun,
    common_probes,
    common_steps,
    listed,
    members_of,
    place_of,
    read_safetensors,
    run_of_files,
    runs_of,
)
from allroads.pfmap.arrays import as_array
from allroads.pfmap.network import Network, Params

PREFIXES = ("module.", "_orig_mod.")
"""What ``DataParallel`` and ``torch.compile`` put before every name."""


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


def read_checkpoints(network: Network, source: Any, steps: Any = None, like: Params = None) -> Checkpoints:
    """The runs of a source; see :meth:`allroads.Trajectory.from_checkpoints` for what it may be.

    Raises:
        InputError: If it cannot be read as runs of this network.
    """
    template = _template(network, like)
    runs = _runs(source, steps, template)
    rising = common_steps(runs)
    read = {(run.name, step): _arrays(run.points[step], place_of(run, step)) for run in runs for step in rising}
    wanted = _named_leaves(template)
    found = {key: _without_prefixes(arrays, wanted) for key, arrays in read.items()}
    _check_names(found, {name: tuple(np.shape(leaf)) for name, leaf in wanted.items()})
    _check_constants(network, found, wanted)
    leaves = [
        np.stack([np.stack([_moved(found[run.name, step][name], leaf) for step in rising]) for run in runs])
        for name, leaf in wanted.items()
    ]
    params = jax.tree.unflatten(jax.tree.structure(template), leaves)
    return Checkpoints(members_of(runs), np.array(rising), params, common_probes(runs))


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


def _runs(source: Any, steps: Any, template: Params) -> list[CheckpointRun]:
    """The runs of any source."""
    if isinstance(source, str | Path):
        found = runs_of(Path(source))
    elif isinstance(source, CheckpointRun):
        found = [source]
    elif _is_run(source, template):
        found = [_run("run 0", source, steps)]
    elif isinstance(source, Sequence) and len(source):
        found = []
        for k, own in enumerate(source):
            inner = runs_of(Path(own)) if isinstance(own, str | Path) else [_run(f"run {k}", own, steps)]
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
    structure: Any = jax.tree.structure(value)
    return structure == jax.tree.structure(template) or not isinstance(value, list | tuple)


def _run(name: str, source: Any, steps: Any) -> CheckpointRun:
    """One run from a mapping, or from a list of points or files."""
    if isinstance(source, Mapping) and source and all(isinstance(key, numbers.Integral) for key in source):
        return CheckpointRun(name, {int(step): point for step, point in source.items()})
    if not isinstance(source, Sequence) or not len(source):
        raise InputError(f"checkpoints: {name} is {type(source).__name__}; expected a list of points with steps.")
    if all(isinstance(point, str | Path) for point in source):
        return run_of_files(name, source)
    given = np.asarray([] if steps is None else steps)
    if given.shape != (len(source),) or given.dtype.kind not in "iu" or not (np.diff(given) > 0).all():
        raise InputError(f"steps: expected {len(source)} rising whole numbers, one per point of {name}; got {steps!r}.")
    return CheckpointRun(name, dict(zip(given.tolist(), source, strict=True)))


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
            alike = [name for name in unknown if arrays[name].shape == wanted[missing[0]]]
            near = nearest_name(missing[0], alike)
            raise InputError(
                f"{where} holds the weights of another network. Missing: {listed(missing)}."
                + (f" Unknown: {listed(unknown)}." if unknown else "")
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
            f"{listed(sorted(wanted))}."
        )


def _check_constants(network: Network, found: Mapping[tuple[str, int], Arrays], wanted: Mapping[str, Any]) -> None:
    """Refuse buffers that are not the network's, where it has some: with them it is another function."""
    for (run, step), arrays in found.items():
        if network.point is not None and not set(arrays) <= set(wanted):
            try:
                network.point(arrays)
            except InputError as error:
                raise InputError(f"checkpoints: {run}, step {step}: {error}") from error


def _moved(array: np.ndarray, leaf: Any) -> np.ndarray:
    """An array in the present precision where it is of real numbers."""
    dtype: Any = np.asarray(leaf).dtype if np.isscalar(leaf) else leaf.dtype
    real = jnp.issubdtype(dtype, jnp.floating)
    return np.asarray(array, jax.dtypes.canonicalize_dtype(float) if real else dtype)
