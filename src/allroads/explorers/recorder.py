"""A recorder of weights for any training loop: PyTorch, JAX, Flax, Equinox."""

from __future__ import annotations

import hashlib
import math
import os
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from safetensors.numpy import save

from allroads.checks import check_count
from allroads.errors import InputError
from allroads.explorers.checkpoint_files import PROBES, Arrays, read_probes, read_safetensors, recorded_steps
from allroads.explorers.checkpoints import named_arrays
from allroads.explorers.schedule import log_spaced
from allroads.pfmap.arrays import as_array

PER_DOUBLING = 4
"""Checkpoints per doubling of the step where the length of the run is not known."""
RECORDS = 64
"""Checkpoints of a run of known length, at most; as :func:`~allroads.explore` records it."""


class Recorder:
    """Checkpoints of a training loop as safetensors, at steps spaced evenly in their logarithm.

    ``Trajectory.from_checkpoints(network, directory)`` reads them back. PyTorch is not imported, nothing is pickled,
    and nothing is put on a device. A directory holds one run; a run that was interrupted is resumed: checkpoints from
    its first step on are replaced.

    Args:
        directory: Where to; made if need be. For several seeds, one directory each: ``runs/mine/seed0``.
        probes: Inputs whose outputs are looked at later, kept beside the weights; ``[N, …]`` or a tuple of such.
        steps: The last step of the loop: at most 64 checkpoints are then spread over it, the last among them. Or the
            steps themselves. Default: four per doubling of the step, without an end.

    Raises:
        InputError: If the directory was recorded with other probes, probes are not finite, or options are out of range.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     recorder = Recorder(folder)
        ...     saved = [step for step in range(20) if recorder.save({"w": np.full(2, step)}, step)]
        >>> saved
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16]
    """

    def __init__(self, directory: str | Path, probes: Any = None, *, steps: int | Sequence[int] | None = None):
        began = time.perf_counter()
        self.directory = Path(directory)
        self._schedule = _schedule(steps)
        self._probes = probes
        if probes is not None and not all(np.isfinite(p).all() for p in _parts(probes) if p.dtype.kind == "f"):
            raise InputError("probes: NaN or infinite; expected finite inputs. Drop or fix those examples.")
        self._fingerprint = _fingerprint(probes)
        self.directory.mkdir(parents=True, exist_ok=True)
        self._found = recorded_steps(self.directory)
        kept = read_probes(self.directory)
        if self._found and _fingerprint(kept) != self._fingerprint:
            raise InputError(
                f"{self.directory} was recorded with {'other' if kept is not None else 'no'} probes; expected the "
                "same at every save. Give those, or another directory."
            )
        if probes is not None and kept is None:
            arrays = {f"inputs{k}": array for k, array in enumerate(_parts(probes))}
            with open(self.directory / PROBES, "wb") as file:
                np.savez(file, allow_pickle=False, **arrays)
        self._names: dict[str, tuple[int, ...]] | None = None
        self._last: int | None = None
        self._offered: int | None = None
        self._count, self._bytes, self._closed = 0, 0, False
        self._began, self._seconds = began, time.perf_counter() - began

    def due(self, step: int) -> bool:
        """Whether :meth:`save` writes at this step: where a scheduled step has come up since the last checkpoint."""
        check_count("step", step, 0)
        last = self._last if self._offered is not None else max((s for s in self._found if s < step), default=None)
        if last is None:
            return True
        if step <= last:
            return False
        if self._schedule is None:
            return last == 0 or _octave(step) > _octave(last)
        return bool(((self._schedule > last) & (self._schedule <= step)).any())

    def save(self, params: Any, step: int, *, always: bool = False) -> bool:
        """Write a checkpoint if one is due.

        Args:
            params: A PyTorch module (its ``state_dict``), a state dict, or a pytree of arrays: parameters of Flax, an
                Equinox module.
            step: Steps that training has taken to get here; rising from call to call.
            always: Write even if none is due, such as at the end.

        Returns:
            Whether it was written.

        Raises:
            InputError: If the directory holds another run, steps do not rise, or names, shapes or probes changed.
        """
        began = time.perf_counter()
        if self._closed:
            raise InputError(f"{self.directory}: this recorder is closed; make another to record more steps.")
        wanted = self.due(step) or always
        if self._offered is None:
            self._resume(step)
        elif step <= self._offered:
            raise InputError(f"step: expected one above {self._offered}, the last that was given; got {step}.")
        self._offered = step
        if wanted:
            self._write(params, step)
        self._seconds += time.perf_counter() - began
        return wanted

    def close(self) -> None:
        """Print what was written and the time that it took, in seconds and as a share of the loop's."""
        whole, self._closed = time.perf_counter() - self._began, True
        print(
            f"recorder: {self._count} checkpoint{'s' * (self._count != 1)} ({self._bytes / 2**20:,.1f} MiB) in "
            f"{self.directory}; {self._seconds:.2f} s, {self._seconds / max(whole, 1e-9):.1%} of {whole:.1f} s"
        )

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _resume(self, step: int) -> None:
        """Take up a run where it was left: what was recorded from here on belongs to a branch that was lost."""
        if self._found and step <= min(self._found):
            raise InputError(
                f"{self.directory} already holds a run up to step {max(self._found)}; expected a directory without "
                f"checkpoints to begin one at step {step}. Give another, or delete it."
            )
        later = [path for recorded, path in self._found.items() if recorded >= step]
        if self._found:
            print(f"recorder: {self.directory} is resumed at step {step}; {len(later)} later checkpoints are replaced")
        for path in later:
            path.unlink()
        self._last = max((s for s in self._found if s < step), default=None)
        if self._last is not None:
            self._names = _shapes(read_safetensors(self._found[self._last]))

    def _write(self, params: Any, step: int) -> None:
        if _fingerprint(self._probes) != self._fingerprint:
            raise InputError("probes: they changed since the recorder was made; expected the same at every save.")
        arrays = named_arrays(params)
        shapes = _shapes(arrays)
        if self._names is not None and shapes != self._names:
            changed = sorted(set(shapes.items()) ^ set(self._names.items()))
            raise InputError(
                f"step {step}: the parameters are not those of the last checkpoint, first at {changed[0][0]!r}; "
                "expected the same names and shapes throughout a run."
            )
        self._names = shapes
        content = save({name: np.ascontiguousarray(array) for name, array in arrays.items()}, {"step": str(step)})
        path = self.directory / f"step{step}.safetensors"
        part = path.with_suffix(".part")
        part.write_bytes(content)
        os.replace(part, path)  # so that a killed process leaves no half of a file
        self._last, self._count, self._bytes = step, self._count + 1, self._bytes + len(content)


def _schedule(steps: int | Sequence[int] | None) -> np.ndarray | None:
    if steps is None:
        return None
    if np.ndim(steps) == 0:
        check_count("steps", steps, 0)
        return log_spaced(int(np.asarray(steps)), RECORDS)
    given = np.asarray(steps)
    if given.ndim != 1 or not len(given) or given.dtype.kind not in "iu" or given.min() < 0:
        raise InputError(f"steps: expected the last step, or a list of whole numbers of 0 or more; got {steps!r}.")
    return np.unique(given)


def _octave(step: int) -> int:
    return math.floor(PER_DOUBLING * math.log2(step) + 1e-9)


def _parts(probes: Any) -> list[np.ndarray]:
    return [as_array(part) for part in (probes if isinstance(probes, tuple) else (probes,))]


def _fingerprint(probes: Any) -> str | None:
    """SHA-256 of the probes, in hex."""
    if probes is None:
        return None
    found = hashlib.sha256()
    for array in _parts(probes):
        found.update(f"{array.dtype}{array.shape}".encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()


def _shapes(arrays: Arrays) -> dict[str, tuple[int, ...]]:
    return {name: array.shape for name, array in arrays.items()}
