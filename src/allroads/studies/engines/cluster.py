"""What engines past one machine have in common: calls on nodes that are looked at first, and answers from them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from allroads.studies.engines.node import Answer, Needs, Node, at_node
from allroads.studies.engines.workers import Workers


class Cluster(Workers):
    """An engine whose workers run on other machines."""

    def __init__(self) -> None:
        self._needs: Needs | None = None
        self._nodes: dict[str, Node] = {}

    @property
    def nodes(self) -> tuple[Node, ...]:  # type: ignore[override]
        """The machines that have answered."""
        return tuple(self._nodes[name] for name in sorted(self._nodes))

    def start(self, needs: Needs) -> None:
        """Remember what every machine must have."""
        self._needs = needs

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Have ``fn(*args)`` called on some machine; what it is refused there is raised by the future."""
        assert self._needs is not None and not kwargs
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()
        self._send(future, at_node, self._needs, fn, *args)
        return future

    def _send(self, future: Future[Any], call: Callable[..., Any], *arguments: Any) -> None:
        raise NotImplementedError

    def _answered(self, future: Future[Any], answer: Answer) -> None:
        if answer.node is not None:
            self._nodes[answer.node.name] = answer.node
        if answer.error is not None:
            future.set_exception(answer.error)
        else:
            future.set_result(answer.value)
