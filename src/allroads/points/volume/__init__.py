"""Volumes of parameter space: basins, sublevel sets, and functions; and how fast they shrink.

``local_volume`` gives the log-mass of the parameters about as good as a point, ``volume_scaling`` the learning
coefficient from how it shrinks, ``function_log_probability`` the log-probability of a function under a prior.
"""

from allroads.points.volume.functions import function_log_probability
from allroads.points.volume.local_volume import Volume, local_volume
from allroads.points.volume.measures import Box, Gaussian
from allroads.points.volume.ray import RayCasting
from allroads.points.volume.scaling import VolumeScaling, volume_scaling
from allroads.points.volume.splitting import Splitting

__all__ = [
    "Box",
    "Gaussian",
    "RayCasting",
    "Splitting",
    "Volume",
    "VolumeScaling",
    "function_log_probability",
    "local_volume",
    "volume_scaling",
]
