"""Statuses of what is measured at points."""

from __future__ import annotations

from allroads.status.status import NOT_EQUILIBRATED, NOT_FINITE, OK, Status


class LLCStatus(Status):
    """Of a learning coefficient, and of chains around a point."""

    OK = OK
    CONVERGED = (
        "converged",
        "The chains are in equilibrium, and neither the temperature nor the localisation changes the answer by more "
        "than the stated error.",
        "",
        "",
        True,
    )
    SCALE_DEPENDENT = (
        "scale-dependent",
        "The chains are in equilibrium, but the answer at nβ/10 is another: the number belongs to its nβ and is not "
        "yet the asymptotic coefficient.",
        "Curvatures on all scales, as in most trained networks; or multiplicity m > 1, which is felt as 1/log nβ.",
        "Compare only numbers at equal nβ; or give a larger nbeta, if the point is a minimum that precisely.",
        True,
    )
    NOT_EQUILIBRATED = (
        *NOT_EQUILIBRATED,
        "Flat, thin or curved directions that are still being filled, several parts, steps too small, too few draws.",
        "Allow more draws or burn-in; take the HMC sampler; localise more.",
    )
    NOT_AT_MINIMUM = (
        "not at a minimum",
        "Lower loss was found near the point than at it, so the loss excess is not one over a minimum.",
        "Training that stopped early, a saddle, a loss with noise that the data do not have; or a penalty, such as "
        "weight decay, that the point was trained with and the problem leaves out.",
        "Train on to a small gradient, give the problem its weight decay, or ask at a smaller nbeta, at which the "
        "slope does not show.",
    )
    PRIOR_DOMINATED = (
        "prior-dominated",
        "The answer depends on how strongly the chains are held to the point: localisation, not the loss, decides it.",
        "A γ that is large beside nβ times the smallest curvatures; a loss that is constant or flat around the point.",
        "Lower localisation, or raise nbeta.",
    )
    DIVERGED = (
        "diverged",
        "A chain left the finite numbers.",
        "A step size that is too large, or a loss that is not finite near the point.",
        "Lower the sampler's step size, or localise more.",
    )


class SpectrumStatus(Status):
    """Of eigenvalues, traces and log-determinants."""

    OK = OK
    NOT_CONVERGED = (
        "not converged",
        "An iterative method stopped while its answer was still changing.",
        "Too few iterations, or eigenvalues that lie close together.",
        "Allow more iterations, loosen the tolerance, use double precision, or a dense method.",
    )
    INDEFINITE = (
        "indefinite",
        "The matrix plus its shift has a negative eigenvalue, so the quantity has no meaning as a volume.",
        "A point that is not a minimum: a saddle, or training that has not ended.",
        "Train on, use the Gauss–Newton matrix, raise the localisation, or read the positive part in stats.",
    )
    FLAT = (
        "flat",
        "Every curvature is zero.",
        "A loss that does not depend on the parameters: dead units, zero inputs, or a saturated output.",
        "Check that the loss changes with the parameters. A flat point has no scale of its own.",
    )
    UNRESOLVED = (
        "unresolved",
        "The number is smaller than the rounding error of the eigenvalues, so zero and small cannot be told apart.",
        "Single precision, or a localisation near zero.",
        "Compute inside allroads.float64(), or raise the localisation.",
    )
    DIVERGED = NOT_FINITE
    DEGENERATE = (
        "degenerate",
        "The quantity is not defined for this matrix.",
        "A matrix of size zero, or a density of a single value.",
        "Free more parameters.",
    )


class VolumeStatus(Status):
    """Of a volume of parameters."""

    OK = OK
    NOT_EQUILIBRATED = (
        *NOT_EQUILIBRATED,
        "Thin, curved or disconnected parts of the set that the particles have not reached.",
        "Allow more particles or sweeps.",
    )
    LOWER_BOUND = (
        "lower bound",
        "The number is a lower bound. In high dimension it can be exponentially too small.",
        "A few of the rays carry nearly all of the weight, because the basin is much longer in some directions than in "
        "others. Or a budget ended before the particles had spread.",
        "Use method='splitting', or a preconditioner that makes the basin round, such as 'hessian'. Give a larger "
        "budget.",
        True,
    )
    UPPER_BOUND = (
        "upper bound",
        "The number is the mass of a larger set, that of the lowest level that was reached.",
        "A budget that ended before the cutoff was reached.",
        "Give a larger budget, a larger cutoff or fewer particles.",
        True,
    )
    DIVERGED = NOT_FINITE
    DEGENERATE = (
        "degenerate",
        "The set has no volume in this measure.",
        "A level that no draw reaches, or a set of lower dimension.",
        "Raise the cutoff, or choose another measure.",
    )
    NOT_AT_MINIMUM = (
        "not at a minimum",
        "Lower loss was found near the point than at it, so the set is not a basin around it.",
        "Training that stopped early, or a saddle.",
        "Train on to a small gradient, or raise the smallest cutoff.",
    )


class PriorStatus(Status):
    """Of a distribution over functions."""

    OK = OK
    UNDERSAMPLED = (
        "undersampled",
        "Too few draws are equal to say how the mass is spread, so the number is about a bound.",
        "More functions than draws: fewer than ten equal pairs for an effective number, a missing mass above 0.1 for "
        "an entropy.",
        "Draw more samples, or use fewer inputs. The missing mass is sound, and so are probabilities of single "
        "functions.",
    )
    DIVERGED = (
        "diverged",
        "Outputs of some of the drawn networks are not finite, and these networks were left out.",
        "An initialisation or inputs of a large scale, or a layer that divides by zero.",
        "Lower the scale of the initialisation, or compute inside allroads.float64().",
    )
    UNSETTLED = (
        "unsettled",
        "Populations of sequential Monte Carlo differ so much that log P(S) and its error may both be wrong.",
        "Data that the initialisation hardly ever fits, or few members: the stated error is above 0.5 nats.",
        "Take more samples until the stated error is below 0.1. For one function, use function_log_probability.",
    )


class DescriptionStatus(Status):
    """Of a description length."""

    OK = OK
    DIVERGED = NOT_FINITE
    NOT_CONVERGED = (
        "not converged",
        "No code was found before the search ended at its limit.",
        "A loss that rises with any rounding, or too few steps of training.",
        "Raise delta, or allow more bits or steps.",
    )
    NOT_APPLICABLE = (
        "not applicable",
        "The quantity has no meaning for this network or loss.",
        "A code of labels for outputs that are not class scores, or a network without a matrix to factorise.",
        "Use 'cross_entropy' or 'bce', or another code.",
    )
