"""Explorers that sample: Markov chains whose stationary law is ``exp(−nβ L(w) − γ/2 ‖w − w*‖²)``.

===================  ===================================================================
``sgld``             Langevin dynamics on minibatches
``rmsprop_sgld``     the same, each coordinate scaled by its own gradients
``sgnht``            Nosé–Hoover thermostat, which absorbs the noise of minibatches
``mala``             Langevin steps with a Metropolis test: exact
``hmc``              Hamiltonian trajectories with a Metropolis test: exact, the reference
``mclmc``            microcanonical Langevin dynamics
===================  ===================================================================

A sampler moves a flat vector under a :class:`Posterior`; :class:`SamplerExplorer` makes it an explorer of a network's
parameters, and :func:`allroads.llc` runs it in coordinates of its own.
"""

from allroads.explorers.samplers.explorer import SamplerExplorer
from allroads.explorers.samplers.hmc import HMC
from allroads.explorers.samplers.mala import MALA
from allroads.explorers.samplers.mclmc import MCLMC
from allroads.explorers.samplers.protocol import Draw, Posterior, Sampler
from allroads.explorers.samplers.rmsprop_sgld import RMSPROP_SGLD
from allroads.explorers.samplers.sgld import SGLD
from allroads.explorers.samplers.sgnht import SGNHT

SAMPLERS: dict[str, Sampler] = {s.name: s for s in (SGLD, RMSPROP_SGLD, SGNHT, MALA, HMC, MCLMC)}

__all__ = [
    "HMC",
    "MALA",
    "MCLMC",
    "RMSPROP_SGLD",
    "SAMPLERS",
    "SGLD",
    "SGNHT",
    "Draw",
    "Posterior",
    "Sampler",
    "SamplerExplorer",
]
