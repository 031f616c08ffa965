"""The group that is derived of a function, counted by kind of its units."""

from collections import Counter

import numpy as np

from allroads import Network
from allroads.pfmap.symmetries import symmetries


def normal(*shape):
    return np.random.default_rng(shape).normal(size=shape)


def found_in(apply, params, inputs):
    return symmetries(Network(lambda key: params, apply), params, inputs)


def group(found):
    """How often each kind of units occurs: (size, copies, signs, scales)."""
    kinds = ((found.units[k].size, found.units[k].shape, found.units[k]) for k in found.movable)
    return Counter((size, shape, len(units.signs), len(units.scales)) for size, shape, units in kinds)
