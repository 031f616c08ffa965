"""What there is to learn, each with its known truth."""

from allroads.targets.build import TARGETS, build_target
from allroads.targets.interface import Interface
from allroads.targets.mealy import Mealy, minimal_mealy
from allroads.targets.probes import Probes
from allroads.targets.target import Target

__all__ = ["TARGETS", "Interface", "Mealy", "Probes", "Target", "build_target", "minimal_mealy"]
