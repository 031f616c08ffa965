"""Statuses of explorers."""

from __future__ import annotations

from allroads.status.status import Status


class RunStatus(Status):
    """Of a run of an explorer."""

    OK = ("ok", "The run took all its steps.", "", "", True)
    DIVERGED = (
        "diverged",
        "The loss or a parameter stopped being finite; the run was frozen at its last finite step.",
        "A step size above 2 / (top Hessian eigenvalue), a very large initialisation, or labels far out of scale.",
        "Lower the learning rate (or step size) or the initialisation scale, or clip gradients.",
    )
