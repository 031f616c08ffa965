"""Conformance kits: what every explorer, network, target, measure and language promises, checked on yours.

Each function returns nothing where all promises are kept. Else it raises an ``AssertionError`` that names the broken
promise, what was expected, what was found and what to do. The tests of allroads run the same functions on everything
that is built in.
"""

from allroads.testing.explorers import check_explorer
from allroads.testing.languages import check_language
from allroads.testing.measures import Claim, check_measure
from allroads.testing.networks import check_network
from allroads.testing.targets import check_target

__all__ = ["Claim", "check_explorer", "check_language", "check_measure", "check_network", "check_target"]
