"""Channels: what an explorer gains over blind draws, who wins the race, how runs narrow, and where they wait."""

from allroads.studies.channels.first_fit import FirstFit, first_fit
from allroads.studies.channels.funnel import Funnel, funnel
from allroads.studies.channels.gain import ChannelGain, channel_gain
from allroads.studies.channels.neutral_cost import neutral_cost
from allroads.studies.channels.plateaus import Plateau, plateaus
from allroads.studies.channels.race import Race, race
from allroads.studies.channels.search_cost import restart_cutoff, search_cost
from allroads.studies.channels.spread import dimension, spread
from allroads.studies.channels.traps import Traps, traps

__all__ = [
    "ChannelGain",
    "FirstFit",
    "Funnel",
    "Plateau",
    "Race",
    "Traps",
    "channel_gain",
    "dimension",
    "first_fit",
    "funnel",
    "neutral_cost",
    "plateaus",
    "race",
    "restart_cutoff",
    "search_cost",
    "spread",
    "traps",
]
