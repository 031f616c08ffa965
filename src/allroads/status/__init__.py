"""What became of a measurement or a run: one enumeration per family of measures."""

from allroads.status.atlases import AtlasStatus
from allroads.status.channels import ChannelStatus
from allroads.status.explorers import RunStatus
from allroads.status.paths import ConvergenceStatus, ForecastStatus, PathStatus, RoadStatus
from allroads.status.points import DescriptionStatus, LLCStatus, PriorStatus, SpectrumStatus, VolumeStatus
from allroads.status.programs import EquivalenceStatus, ExtractionStatus
from allroads.status.status import Status
from allroads.status.studies import AttributionStatus

FAMILIES: tuple[type[Status], ...] = (
    AtlasStatus,
    ChannelStatus,
    AttributionStatus,
    ExtractionStatus,
    EquivalenceStatus,
    ConvergenceStatus,
    DescriptionStatus,
    PriorStatus,
    VolumeStatus,
    SpectrumStatus,
    ForecastStatus,
    RoadStatus,
    LLCStatus,
    PathStatus,
    RunStatus,
)
"""All families; where two have one word, a study that knows only the word takes that of the later."""

__all__ = [
    "FAMILIES",
    "AtlasStatus",
    "AttributionStatus",
    "ChannelStatus",
    "ConvergenceStatus",
    "DescriptionStatus",
    "EquivalenceStatus",
    "ExtractionStatus",
    "ForecastStatus",
    "LLCStatus",
    "PathStatus",
    "PriorStatus",
    "RoadStatus",
    "RunStatus",
    "SpectrumStatus",
    "Status",
    "VolumeStatus",
]
