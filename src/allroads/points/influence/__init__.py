"""Covariances under the localised posterior: what examples, observables and groups of parameters do to one another.

=======================  ====================================================================
``bayesian_influence``   ``−Cov(ℓ_i, φ)``: what giving example i more weight does to φ
``loss_kernel``          ``Cov(ℓ_i, ℓ_j)`` and its correlation: which examples go together
``susceptibilities``     what a change of the data does to the loss of a group of parameters
``weight_covariance``    ``Cov(w)``: the directions in which the weights are free to move
=======================  ====================================================================

All are means over the chains of :func:`allroads.llc`, under ``exp(−nβ L(w) − γ/2 ‖w − w*‖²)``.
"""

from allroads.points.influence.bayesian_influence import Influence, bayesian_influence
from allroads.points.influence.loss_kernel import LossKernel, loss_kernel
from allroads.points.influence.susceptibilities import Susceptibilities, susceptibilities
from allroads.points.influence.weight_covariance import WeightCovariance, weight_covariance

__all__ = [
    "Influence",
    "LossKernel",
    "Susceptibilities",
    "WeightCovariance",
    "bayesian_influence",
    "loss_kernel",
    "susceptibilities",
    "weight_covariance",
]
