"""Explorers that sample: Markov chains with stationary density ``exp(−nβ L(w) − γ/2 ‖w − w*‖²)``.

==================  ==================  ==================================================================
``SGLD``            ``"sgld"``          Langevin dynamics on minibatches
``RMSPropSGLD``     ``"rmsprop_sgld"``  the same, each coordinate scaled by its own gradients
``SGNHT``           ``"sgnht"``         Nosé–Hoover thermostat, which absorbs the noise of minibatches
``MALA``            ``"mala"``          Langevin steps with a Metropolis test: exact
``HMC``             ``"hmc"``           Hamiltonian trajectories with a Metropolis test: exact, the reference
``MCLMC``           ``"mclmc"``         microcanonical Langevin dynamics
==================  ==================  ==================================================================

A sampler moves a flat vector under a :class:`Posterior`. :class:`SamplerExplorer` makes it an explorer of a network's
parameters; :func:`allroads.sample` and :func:`allroads.llc` run it in coordinates of their own.
"""

from __future__ import annotations

from allroads.checks import check_choice
from allroads.errors import InputError
from allroads.explorers.samplers.explorer import SamplerExplorer, build_sampler, explorer_builder
from allroads.explorers.samplers.hmc import HMC
from allroads.explorers.samplers.mala import MALA
from allroads.explorers.samplers.mclmc import MCLMC
from allroads.explorers.samplers.protocol import Draw, Posterior, Sampler, StochasticSampler
from allroads.explorers.samplers.rmsprop_sgld import RMSPropSGLD
from allroads.explorers.samplers.sgld import SGLD
from allroads.explorers.samplers.sgnht import SGNHT

SAMPLERS: dict[str, type[Sampler]] = {s.name: s for s in (SGLD, RMSPropSGLD, SGNHT, MALA, HMC, MCLMC)}


def resolve_sampler(sampler: Sampler | str) -> Sampler:
    """The sampler of a name, with its default options; a sampler is given back as it is.

    Raises:
        UnknownNameError: If no sampler has that name.
        InputError: If it is neither.

    Example:
        >>> resolve_sampler("hmc") == resolve_sampler(HMC())
        True
    """
    if isinstance(sampler, Sampler):
        return sampler
    if not isinstance(sampler, str):
        raise InputError(f"sampler: expected a sampler such as HMC(step_size=0.1), or its name; got {sampler!r}.")
    check_choice("sampler", sampler, SAMPLERS)
    return SAMPLERS[sampler]()


__all__ = [
    "HMC",
    "MALA",
    "MCLMC",
    "SAMPLERS",
    "SGLD",
    "SGNHT",
    "Draw",
    "Posterior",
    "RMSPropSGLD",
    "Sampler",
    "SamplerExplorer",
    "StochasticSampler",
    "build_sampler",
    "explorer_builder",
    "resolve_sampler",
]
