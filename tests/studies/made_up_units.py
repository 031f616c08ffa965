"""Units of measures without a store: runs whose weights or outputs are given."""

from types import SimpleNamespace

import numpy as np

from allroads.studies.measures.measure import as_outcome
from allroads.studies.probes import road_probes


def result(row=None, along=None, arrays=None):
    """What a measure that is needed has given for one run."""
    return SimpleNamespace(row=row or {}, along=along or {}, arrays=arrays or {})


def a_run(target, network=None, params=None, steps=None, loss=None, name="a", seed=0, **needs):
    """One run; ``needs`` are results by the measure's name."""
    run = SimpleNamespace(
        name=name, target=target, network=network, params=params, steps=steps, loss=loss or target.loss, study_seed=seed
    )
    run.need, run.status = needs.__getitem__, "ok"
    if network is not None:
        run.problem = target.problem(network, run.loss)
        run.held_out_problem = target.held_out_problem(network, run.loss)
    return run


def unit_of(*runs):
    """A unit of these runs."""
    return SimpleNamespace(runs=runs, run=runs[0], firsts=runs)


def on_road(values, target, chart, loss=None, **more):
    """A run with these values on its road probes."""
    labels = road_probes(target, 256).labels
    values = result(arrays={"values": np.asarray(values), "labels": labels})
    return a_run(
        target,
        steps=np.arange(len(values.arrays["values"])),
        loss=loss,
        values=values,
        chart=result({"chart": chart}),
        **more,
    )


def computed(measure, unit, **options):
    """Row, and columns along the steps, of a measure for one run."""
    outcome = as_outcome(measure.compute(unit, measure.options(**options)))
    return dict(outcome.rows[0]), outcome.along


def entries_of(store, measure):
    """The names of the entries that hold results of a measure."""
    return [name for name in store.list("measures") if store.read("measures", name).header["measure"] == measure]


def counted(run):
    """What a call of ``run_study`` computed, phases without a job left out."""
    return {phase: jobs for phase, jobs in run.computed.items() if jobs}
