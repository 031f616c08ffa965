"""allroads: map the parameter–function map of neural networks.

Public names are loaded when they are first used, so ``import allroads`` costs no JAX import.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"

_HOME = {
    # the parameter–function map
    "Cell": "allroads.pfmap.network",
    "Network": "allroads.pfmap.network",
    "ParameterFunctionMap": "allroads.pfmap.map",
    "Problem": "allroads.pfmap.problem",
    "float64": "allroads.pfmap.precision",
    "symmetries": "allroads.pfmap.symmetries",
    "canonical": "allroads.pfmap.symmetries.canonical",
    # networks that come in from elsewhere
    "from_equinox": "allroads.networks.from_equinox",
    "from_flax": "allroads.networks.from_flax",
    "from_torch": "allroads.networks.torch",
    "to_torch_state": "allroads.networks.torch",
    # points from files
    "open_point": "allroads.files",
    "open_ends": "allroads.files",
    "open_network": "allroads.files",
    "inspect_point": "allroads.points.inspection",
    # what there is to learn
    "Target": "allroads.targets.target",
    # ways to move
    "explore": "allroads.explorers.explore",
    "Trajectory": "allroads.explorers.trajectory",
    "Recording": "allroads.explorers.recording",
    "Recorder": "allroads.explorers.recorder",
    "per_member": "allroads.explorers.per_member",
    "GD": "allroads.explorers.gd",
    "SGD": "allroads.explorers.sgd",
    "Adam": "allroads.explorers.adam",
    "AdamW": "allroads.explorers.adam",
    "Muon": "allroads.explorers.muon",
    "SOAP": "allroads.explorers.soap",
    "NaturalGradient": "allroads.explorers.natural_gradient",
    "PatternSearch": "allroads.explorers.pattern_search",
    "ZeroErrorWalk": "allroads.explorers.neutral",
    "Optax": "allroads.explorers.gradient",
    "Evolution": "allroads.explorers.evolution",
    "GuessAndCheck": "allroads.explorers.neutral",
    "SMC": "allroads.explorers.neutral",
    "SamplerExplorer": "allroads.explorers.samplers.explorer",
    "HMC": "allroads.explorers.samplers.hmc",
    "MALA": "allroads.explorers.samplers.mala",
    "MCLMC": "allroads.explorers.samplers.mclmc",
    "SGLD": "allroads.explorers.samplers.sgld",
    "RMSPropSGLD": "allroads.explorers.samplers.rmsprop_sgld",
    "SGNHT": "allroads.explorers.samplers.sgnht",
    # points
    "complexity": "allroads.points.complexity",
    "sample": "allroads.points.sampling",
    "Samples": "allroads.points.sampling",
    "Chains": "allroads.points.sampling",
    "llc": "allroads.points.llc",
    "llc_curve": "allroads.points.curve",
    "refined_llc": "allroads.points.refined",
    "bayesian_influence": "allroads.points.influence",
    "loss_kernel": "allroads.points.influence",
    "susceptibilities": "allroads.points.influence",
    "weight_covariance": "allroads.points.influence",
    "spectrum": "allroads.points.spectrum",
    "kernel_spectrum": "allroads.points.spectrum",
    "top_eigenvalue": "allroads.points.spectrum",
    "SpectrumOptions": "allroads.points.spectrum",
    "local_volume": "allroads.points.volume",
    "volume_scaling": "allroads.points.volume",
    "Splitting": "allroads.points.volume",
    "RayCasting": "allroads.points.volume",
    "function_log_probability": "allroads.points.volume",
    "function_prior": "allroads.points.prior",
    "function_posterior": "allroads.points.prior",
    "simplicity_bias": "allroads.points.prior",
    "function_robustness": "allroads.points.prior",
    "network_complexity": "allroads.points.description",
    "prequential_length": "allroads.points.description",
    "quantised_size": "allroads.points.description",
    "compressed_length": "allroads.points.description",
    "factorised_size": "allroads.points.description",
    # programs
    "extract": "allroads.programs",
    "compile_program": "allroads.programs",
    "interchange": "allroads.programs",
    "run_source": "allroads.programs",
    "Extraction": "allroads.programs",
    "Equivalence": "allroads.programs",
    # paths
    "agreement": "allroads.paths.agreement",
    "certify": "allroads.paths.certify",
    "stages": "allroads.paths.stages",
    "geodesic_progress": "allroads.paths.progress",
    "trajectory_distance": "allroads.paths.trajectory_distance",
    "directional_similarity": "allroads.paths.directional_similarity",
    "interpolation": "allroads.paths.interpolation",
    "align": "allroads.paths.align",
    "barrier": "allroads.paths.barrier",
    "convergence": "allroads.paths.convergence",
    "compare_representations": "allroads.paths.convergence",
    "hidden_layers": "allroads.paths.convergence",
    "connect": "allroads.paths.connect",
    "Bezier": "allroads.paths.connect",
    "Polygon": "allroads.paths.connect",
    "ShortPolygon": "allroads.paths.connect",
    "NudgedElasticBand": "allroads.paths.connect",
    "Geodesic": "allroads.paths.connect",
    "Star": "allroads.paths.connect",
    "CurveOptions": "allroads.paths.connect",
    "repair": "allroads.paths.repair",
    "directness": "allroads.paths.directness",
    "inpca": "allroads.paths.inpca",
    "loss_plane": "allroads.paths.landscape",
    "path_plane": "allroads.paths.landscape",
    "random_plane": "allroads.paths.landscape",
    "learnability": "allroads.paths.learnability",
    "LearnabilityOptions": "allroads.paths.learnability",
    "eigenlearning": "allroads.paths.learnability",
    "inal": "allroads.paths.learnability",
    "road": "allroads.paths.road",
    "RoadOptions": "allroads.paths.road",
    "path_cost": "allroads.paths.road",
    "turning": "allroads.paths.turning",
    # the atlas
    "atlas": "allroads.atlases.door",
    "Atlas": "allroads.atlases.atlas",
    "enumerate_map": "allroads.atlases.neighbours",
    "exact_neighbour_share": "allroads.atlases.neighbours",
    "neighbour_share": "allroads.atlases.neighbours",
    "navigability": "allroads.atlases.navigability",
    "pass_heights": "allroads.atlases.passes",
    "pass_bounds": "allroads.atlases.passes",
    "SignChange": "allroads.atlases.passes",
    "merge_tree": "allroads.atlases.passes",
    "barrier_clusters": "allroads.atlases.passes",
    "cluster_agreement": "allroads.atlases.passes",
    "compare_points": "allroads.atlases.comparison",
    "reach_graph": "allroads.atlases.chains",
    "program_chain": "allroads.atlases.chains",
    "lumpability": "allroads.atlases.chains",
    "committor": "allroads.atlases.chains",
    "first_passage_time": "allroads.atlases.chains",
    "forecast_programs": "allroads.atlases.forecast",
    "steer": "allroads.atlases.steering",
    "reach": "allroads.atlases.reach",
    "Reach": "allroads.atlases.reach",
    # studies
    "run_study": "allroads.studies.run",
    "attribute": "allroads.studies.attribution",
    "reached_functions": "allroads.studies.reached",
    "distribution_distance": "allroads.studies.reached",
    "AttributionOptions": "allroads.studies.attribution",
    "SecondOrder": "allroads.studies.attribution",
    "channel_gain": "allroads.studies.channels",
    "funnel": "allroads.studies.channels",
    "race": "allroads.studies.channels",
    "traps": "allroads.studies.channels",
    "joined_table": "allroads.studies.joined",
    "rank_correlations": "allroads.studies.joined",
    # results and errors
    "Measurement": "allroads.results",
    "Status": "allroads.status",
    "RunStatus": "allroads.status",
    "AtlasStatus": "allroads.status",
    "AttributionStatus": "allroads.status",
    "ChannelStatus": "allroads.status",
    "PathStatus": "allroads.status",
    "RoadStatus": "allroads.status",
    "ForecastStatus": "allroads.status",
    "ConvergenceStatus": "allroads.status",
    "LLCStatus": "allroads.status",
    "SpectrumStatus": "allroads.status",
    "VolumeStatus": "allroads.status",
    "PriorStatus": "allroads.status",
    "DescriptionStatus": "allroads.status",
    "ExtractionStatus": "allroads.status",
    "EquivalenceStatus": "allroads.status",
    "AllroadsError": "allroads.errors",
    "InputError": "allroads.errors",
    "UnknownNameError": "allroads.errors",
    "MeasurementError": "allroads.errors",
}

__all__ = ["__version__", *sorted(_HOME)]

if TYPE_CHECKING:
    from allroads.atlases.atlas import Atlas
    from allroads.atlases.chains import committor, first_passage_time, lumpability, program_chain, reach_graph
    from allroads.atlases.comparison import compare_points
    from allroads.atlases.door import atlas
    from allroads.atlases.forecast import forecast_programs
    from allroads.atlases.navigability import navigability
    from allroads.atlases.neighbours import enumerate_map, exact_neighbour_share, neighbour_share
    from allroads.atlases.passes import (
        SignChange,
        barrier_clusters,
        cluster_agreement,
        merge_tree,
        pass_bounds,
        pass_heights,
    )
    from allroads.atlases.reach import Reach, reach
    from allroads.atlases.steering import steer
    from allroads.errors import AllroadsError, InputError, MeasurementError, UnknownNameError
    from allroads.explorers.adam import Adam, AdamW
    from allroads.explorers.evolution import Evolution
    from allroads.explorers.explore import explore
    from allroads.explorers.gd import GD
    from allroads.explorers.gradient import Optax
    from allroads.explorers.muon import Muon
    from allroads.explorers.natural_gradient import NaturalGradient
    from allroads.explorers.neutral import SMC, GuessAndCheck, ZeroErrorWalk
    from allroads.explorers.pattern_search import PatternSearch
    from allroads.explorers.per_member import per_member
    from allroads.explorers.recorder import Recorder
    from allroads.explorers.recording import Recording
    from allroads.explorers.samplers.explorer import SamplerExplorer
    from allroads.explorers.samplers.hmc import HMC
    from allroads.explorers.samplers.mala import MALA
    from allroads.explorers.samplers.mclmc import MCLMC
    from allroads.explorers.samplers.rmsprop_sgld import RMSPropSGLD
    from allroads.explorers.samplers.sgld import SGLD
    from allroads.explorers.samplers.sgnht import SGNHT
    from allroads.explorers.sgd import SGD
    from allroads.explorers.soap import SOAP
    from allroads.explorers.trajectory import Trajectory
    from allroads.files import open_ends, open_network, open_point
    from allroads.networks.from_equinox import from_equinox
    from allroads.networks.from_flax import from_flax
    from allroads.networks.torch import from_torch, to_torch_state
    from allroads.paths.agreement import agreement
    from allroads.paths.align import align
    from allroads.paths.barrier import barrier
    from allroads.paths.certify import certify
    from allroads.paths.connect import (
        Bezier,
        CurveOptions,
        Geodesic,
        NudgedElasticBand,
        Polygon,
        ShortPolygon,
        Star,
        connect,
    )
    from allroads.paths.convergence import compare_representations, convergence, hidden_layers
    from allroads.paths.directional_similarity import directional_similarity
    from allroads.paths.directness import directness
    from allroads.paths.inpca import inpca
    from allroads.paths.interpolation import interpolation
    from allroads.paths.landscape import loss_plane, path_plane, random_plane
    from allroads.paths.learnability import LearnabilityOptions, eigenlearning, inal, learnability
    from allroads.paths.progress import geodesic_progress
    from allroads.paths.repair import repair
    from allroads.paths.road import RoadOptions, path_cost, road
    from allroads.paths.stages import stages
    from allroads.paths.trajectory_distance import trajectory_distance
    from allroads.paths.turning import turning
    from allroads.pfmap.map import ParameterFunctionMap
    from allroads.pfmap.network import Cell, Network
    from allroads.pfmap.precision import float64
    from allroads.pfmap.problem import Problem
    from allroads.pfmap.symmetries import symmetries
    from allroads.pfmap.symmetries.canonical import canonical
    from allroads.points.complexity import complexity
    from allroads.points.curve import llc_curve
    from allroads.points.description import (
        compressed_length,
        factorised_size,
        network_complexity,
        prequential_length,
        quantised_size,
    )
    from allroads.points.influence import bayesian_influence, loss_kernel, susceptibilities, weight_covariance
    from allroads.points.inspection import inspect_point
    from allroads.points.llc import llc
    from allroads.points.prior import function_posterior, function_prior, function_robustness, simplicity_bias
    from allroads.points.refined import refined_llc
    from allroads.points.sampling import Chains, Samples, sample
    from allroads.points.spectrum import SpectrumOptions, kernel_spectrum, spectrum, top_eigenvalue
    from allroads.points.volume import RayCasting, Splitting, function_log_probability, local_volume, volume_scaling
    from allroads.programs import Equivalence, Extraction, compile_program, extract, interchange, run_source
    from allroads.results import Measurement
    from allroads.status import (
        AtlasStatus,
        AttributionStatus,
        ChannelStatus,
        ConvergenceStatus,
        DescriptionStatus,
        EquivalenceStatus,
        ExtractionStatus,
        ForecastStatus,
        LLCStatus,
        PathStatus,
        PriorStatus,
        RoadStatus,
        RunStatus,
        SpectrumStatus,
        Status,
        VolumeStatus,
    )
    from allroads.studies.attribution import AttributionOptions, SecondOrder, attribute
    from allroads.studies.channels import channel_gain, funnel, race, traps
    from allroads.studies.joined import joined_table, rank_correlations
    from allroads.studies.reached import distribution_distance, reached_functions
    from allroads.studies.run import run_study
    from allroads.targets.target import Target


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'allroads' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
