"""Values: outputs on the road probes at every recorded step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from allroads.studies.config import Count
from allroads.studies.measures.measure import Measure, Options, Outcome
from allroads.studies.probes import road_probes

if TYPE_CHECKING:
    from allroads.studies.units import Unit


class ValuesOptions(Options):
    """Options of the values.

    Args:
        probes: Inputs, at most, on which the road of a run is recorded.
    """

    probes: Count = 256


def record_values(unit: Unit, options: ValuesOptions) -> Outcome:
    """Values ``[T, N, …]`` in single precision, and the ``labels [N, …]`` of the probes."""
    from allroads.studies.forward import outputs_along

    run = unit.run
    probes = road_probes(run.target, options.probes)
    values = outputs_along(run.network, run.params, probes.inputs)
    return Outcome(arrays={"values": values.astype(np.float32), "labels": np.asarray(probes.labels)})


MEASURE = Measure("values", 1, "run", record_values, options=ValuesOptions)
