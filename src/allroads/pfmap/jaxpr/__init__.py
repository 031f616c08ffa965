"""Jaxprs of networks: walked, with their intermediates listed, captured and replaced."""

from allroads.pfmap.jaxpr.annotate import evaluate_annotated
from allroads.pfmap.jaxpr.cell import recurrent_cell, steps_seen
from allroads.pfmap.jaxpr.intervene import Intermediate, evaluate, intermediates
from allroads.pfmap.jaxpr.memory import intermediate_bytes
from allroads.pfmap.jaxpr.traceable import traceable
from allroads.pfmap.jaxpr.walk import Traced, bind, interpret, shaped, trace

__all__ = [
    "Intermediate",
    "Traced",
    "bind",
    "evaluate",
    "evaluate_annotated",
    "intermediate_bytes",
    "intermediates",
    "interpret",
    "recurrent_cell",
    "shaped",
    "steps_seen",
    "trace",
    "traceable",
]
