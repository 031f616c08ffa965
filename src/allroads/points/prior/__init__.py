"""The prior over functions that an initialisation makes: probabilities, simplicity bias, robustness.

``function_prior`` draws networks and counts their functions, ``simplicity_bias`` holds the counts beside complexities,
``function_posterior`` conditions on data,
``function_robustness`` says how often a small move keeps a function. For the probability of one rare function, see
:func:`~allroads.function_log_probability`.
"""

from allroads.distributions import clopper_pearson, collision, effective_number, entropy, missing_mass
from allroads.points.prior.function_posterior import function_posterior
from allroads.points.prior.function_prior import FunctionPrior, function_prior
from allroads.points.prior.point_robustness import point_robustness
from allroads.points.prior.posterior import FunctionPosterior
from allroads.points.prior.robustness import FunctionRobustness, function_robustness
from allroads.points.prior.simplicity import SimplicityBias, SimplicityBound, simplicity_bias

__all__ = [
    "FunctionPosterior",
    "FunctionPrior",
    "FunctionRobustness",
    "SimplicityBias",
    "SimplicityBound",
    "clopper_pearson",
    "collision",
    "effective_number",
    "entropy",
    "function_posterior",
    "function_prior",
    "function_robustness",
    "missing_mass",
    "point_robustness",
    "simplicity_bias",
]
