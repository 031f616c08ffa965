"""Ray: plain tasks on a cluster whose machines come and go.

A task whose machine dies is run again by Ray on another one. A machine that joins takes work at once.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import partial
from typing import Any

from allroads.errors import InputError, WorkerError
from allroads.studies.engines.cluster import Cluster
from allroads.studies.engines.node import Answer, Needs, at_node, check
from allroads.studies.engines.workers import AHEAD

RETRIES = 3
"""Times that Ray runs a task again whose worker died."""

ANSWER = 5.0
"""Seconds in which a cluster must answer."""

LOOK = 60.0
"""Seconds in which a node must have been looked at; one that others keep busy is looked at by its first task."""

FRESH = 2.0
"""Seconds between two looks at how large the cluster is."""

_ADDRESS = re.compile(r"(?P<host>\[[0-9a-fA-F:]+\]|[^\s:/\[\]]+):(?P<port>\d{1,5})")
_SETTINGS = 4
"""The type of frame with which a server of HTTP/2, as Ray's is, begins."""


class RayEngine(Cluster):
    """Tasks of Ray.

    Args:
        address: ``host:port`` of a cluster that this machine is part of, or ``auto`` for the one that runs here.
            ``None``: what ``RAY_ADDRESS`` says, else a Ray of its own on this machine, which ends with the engine.
        workers: Processes of a Ray of its own.

    Raises:
        InputError: If Ray is not installed, no cluster answers, or it runs other versions of Ray or Python.
    """

    def __init__(self, address: str | None, workers: int):
        super().__init__()
        self._ray = _imported()
        self.address = address or os.environ.get("RAY_ADDRESS") or None
        self._workers = workers
        self._mine = False
        self._running: dict[Future[Any], Any] = {}
        self._size, self._sized = 0, 0.0
        if self.address is not None and not self._ray.is_initialized():
            _check_address(self.address)

    def start(self, needs: Needs) -> None:
        """Connect, or start a Ray of its own; look at every node.

        Raises:
            InputError: If a node lacks something; names it.
        """
        super().start(needs)
        if not self._ray.is_initialized():
            self._connect(dict(needs.environment))
        self._task = self._ray.remote(num_cpus=1, max_retries=RETRIES, retry_exceptions=False)(at_node)
        self._look(needs)

    def _connect(self, environment: dict[str, str]) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        options: dict[str, Any] = {"num_cpus": self._workers, "include_dashboard": False}
        if self.address is not None:
            options = {}
        try:
            with _quiet():
                self._ray.init(
                    address=self.address or "local",
                    runtime_env={"env_vars": environment},
                    log_to_driver=False,
                    configure_logging=False,
                    **options,
                )
        except Exception as error:
            told = " ".join(str(error).split())
            raise InputError(
                f"engine ray: no connection to {self.address or 'a Ray of its own'}: {told[:400]} The same Python and "
                "Ray must run on every machine, and this one must be part of the cluster (ray start --address …)."
            ) from error
        self._mine = True

    def _look(self, needs: Needs) -> None:
        """Have every node that is there look at itself, as long as it is not busy with other things."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        asked = {}
        for node in self._ray.nodes():
            if node["Alive"] and node["Resources"].get("CPU"):
                there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
                asked[self._task.options(scheduling_strategy=there).remote(needs, check)] = node["NodeManagerHostname"]
        done, _ = self._ray.wait(list(asked), num_returns=len(asked), timeout=LOOK)
        for ref in done:
            if self._has_left(ref):
                continue
            future: Future[Any] = Future()
            self._settle(future, partial(self._ray.get, ref), node=asked[ref])
            try:
                future.result()
            except WorkerError as error:
                raise InputError(str(error)) from None
        for ref in set(asked) - set(done):
            self._ray.cancel(ref, force=True)

    def _has_left(self, ref: Any) -> bool:
        """Whether the node of a task was gone before the task ran."""
        try:
            self._ray.get(ref)
        except (self._ray.exceptions.TaskUnschedulableError, self._ray.exceptions.NodeDiedError):
            return True
        except Exception:
            return False
        return False

    def window(self) -> int:
        """A few tasks per processor of the cluster, as it is now."""
        if time.monotonic() - self._sized > FRESH:
            self._size, self._sized = int(self._ray.cluster_resources().get("CPU", 0)), time.monotonic()
        return AHEAD * max(1, self._size)

    def _send(self, future: Future[Any], call: Callable[..., Any], *arguments: Any) -> None:
        ref = self._task.remote(*arguments)  # the task is at_node, the call of every cluster
        self._running[future] = ref
        future.add_done_callback(lambda done: self._running.pop(done, None))
        ref.future().add_done_callback(lambda done: self._settle(future, done.result))

    def _settle(self, future: Future[Any], result: Callable[[], Answer], node: str = "") -> None:
        """Give a future what its task came to."""
        exceptions = self._ray.exceptions
        where = f"on the node {node} " if node else ""
        died = (
            exceptions.WorkerCrashedError,
            exceptions.NodeDiedError,
            exceptions.OutOfMemoryError,
            exceptions.LocalRayletDiedError,
            exceptions.ObjectLostError,
        )
        try:
            answer = result()
        except died as error:
            future.set_exception(
                WorkerError(
                    f"its worker {where}died, {RETRIES + 1} times in a row ({type(error).__name__}): it was killed, or "
                    "memory ran out"
                )
            )
        except Exception as error:
            told = [line for line in str(error).splitlines() if line.strip()]
            future.set_exception(
                WorkerError(
                    f"a worker {where}could not begin it: {told[-1].strip() if told else type(error).__name__}. Is "
                    "allroads installed there, and does the node run?"
                )
            )
        else:
            self._answered(future, answer)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Cancel what still runs; leave the cluster, or end a Ray of its own."""
        for ref in list(self._running.values()):
            with contextlib.suppress(Exception):
                self._ray.cancel(ref, force=True)
        if self._mine:
            self._mine = False
            with _quiet():
                self._ray.shutdown()

    def __str__(self) -> str:
        return f"ray:{self.address}" if self.address else f"ray, {self._workers} processes of its own"


def _imported() -> Any:
    try:
        with _quiet():
            import ray
            import ray.exceptions
    except ImportError as error:
        raise InputError(
            f"engine ray: Ray is not installed ({error}). Install the extra: pip install 'allroads[ray]', on every "
            "machine of the cluster."
        ) from None
    return ray


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Ray warns of its own plans for later versions."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _check_address(address: str) -> None:
    """Refuse at once what would be waited for in vain.

    Raises:
        InputError: If it is no address, nobody answers there, or something that is not Ray.
    """
    if address in ("auto", "local"):
        return
    found = _ADDRESS.fullmatch(address)
    if found is None or not 0 < int(found["port"]) < 65536:
        raise InputError(
            f"engine ray: the address {address!r} is none; expected host:port, as `ray start --head` says it, or auto. "
            "Ray Client (ray://) is not used: start the study on a machine of the cluster."
        )
    try:
        connection = socket.create_connection((found["host"].strip("[]"), int(found["port"])), timeout=ANSWER)
    except (OSError, UnicodeError) as error:  # UnicodeError: no machine can have such a name
        told = getattr(error, "strerror", None) or error
        raise InputError(
            f"engine ray: no cluster at {address} ({told}). Start one there with `ray start "
            "--head`, or give the address that it says."
        ) from None
    with connection:
        why, frame = "", b"" if os.environ.get("RAY_USE_TLS") != "1" else bytes([0, 0, 0, _SETTINGS])
        try:
            while len(frame) < 4 and (read := connection.recv(4 - len(frame))):
                frame += read
        except OSError as error:  # a server of another kind that waits to be asked, or hangs up
            why = f": it said nothing for {ANSWER:g} s" if isinstance(error, TimeoutError) else f" ({error.strerror})"
    if len(frame) < 4 or frame[3] != _SETTINGS:
        raise InputError(
            f"engine ray: what answers at {address} is not Ray{why}. Give the address that `ray start --head` says."
        )
