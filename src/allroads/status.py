"""What became of a measurement or a run: one enumeration per family of measures."""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """A word that says what happened, with its meaning, likely causes and what to try.

    Each family of measures has its own enumeration below, so that a remedy always speaks of that measure.

    Attributes:
        meaning: What it says of the number.
        causes: Likely causes.
        remedy: What to try.
        sound: Whether the number may be used as it is defined; ``throw=True`` raises where not.

    Example:
        >>> RunStatus.DIVERGED.remedy
        'Lower the learning rate (or step size) or the initialisation scale, or clip gradients.'
        >>> RunStatus.DIVERGED == "diverged", RunStatus.DIVERGED.sound
        (True, False)
    """

    meaning: str
    causes: str
    remedy: str
    sound: bool

    def __new__(cls, value: str, meaning: str = "", causes: str = "", remedy: str = "", sound: bool = False) -> Status:
        """Attach the sentences to the word."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.meaning, member.causes, member.remedy, member.sound = meaning, causes, remedy, sound
        return member


_OK = ("ok", "The quantity was computed as defined.", "", "", True)
_NOT_FINITE = (
    "diverged",
    "A loss or an output is not finite at a point where it was computed.",
    "A point whose run diverged, scores that overflow, or labels far out of scale.",
    "Check the loss of the point itself. Take an earlier checkpoint, or compute inside allroads.float64().",
)
_NOT_APPLICABLE = (
    "not applicable",
    "The quantity has no meaning for this kind of output or network.",
    "A chart of probabilities for outputs that are not class scores, or a network without anything to repair.",
    "Choose the chart 'outputs', a loss that makes the outputs class scores, or leave the repair out.",
)
_NOT_EQUILIBRATED = (
    "not equilibrated",
    "The samples have not spread over the whole region that they should cover. The number can be off by more than its "
    "error.",
)


class RunStatus(Status):
    """Of a run of an explorer."""

    OK = ("ok", "The run took all its steps.", "", "", True)
    DIVERGED = (
        "diverged",
        "The loss or a parameter stopped being finite; the run was frozen at its last finite step.",
        "A step size above 2 / (top Hessian eigenvalue), a very large initialisation, or labels far out of scale.",
        "Lower the learning rate (or step size) or the initialisation scale, or clip gradients.",
    )


class PathStatus(Status):
    """Of what is measured along or between: directness, turning, certificate, barrier, curve."""

    OK = _OK
    DIVERGED = _NOT_FINITE
    DEGENERATE = (
        "degenerate",
        "The quantity is not defined for this input.",
        "A path of zero length, or two equal points.",
        "Record more steps, or measure a path that moves.",
    )
    NOT_APPLICABLE = _NOT_APPLICABLE
    NOT_CONVERGED = (
        "not converged",
        "An iterative method stopped while its answer was still changing.",
        "Too few steps or iterations, a small rate, or a budget that ended first.",
        "Allow more steps or iterations, give a larger budget, or loosen the tolerance.",
    )


class RoadStatus(Status):
    """Of a path lifted through the map."""

    OK = _OK
    DIVERGED = _NOT_FINITE
    DEGENERATE = (
        "degenerate",
        "The start already gives the target, so the segment has no length.",
        "A start that has learned the target, or a target taken from the start itself.",
        "Choose another start or another target.",
    )
    RANK_LOSS = (
        "rank loss",
        "The network cannot follow the segment any further.",
        "The direction left the kernel's range, a fold of the map, more outputs than parameters, or a zero kernel.",
        "Read reached and outside; choose another target, start or chart, a wider network, or a larger tolerance.",
    )
    NOT_CONVERGED = (
        "not converged",
        "The steps or the budget ran out before the end of the segment.",
        "A segment that can be followed in very small steps only, a small tolerance, or a small budget.",
        "Allow more steps, give a larger budget, or loosen the tolerance.",
    )
    NOT_APPLICABLE = _NOT_APPLICABLE


class ForecastStatus(Status):
    """Of a prediction of what will be learned."""

    OK = _OK
    NOTHING_TO_LEARN = (
        "nothing to learn",
        "The best constant answer already has the loss that was asked for.",
        "A constant target, or a goal above the loss of the best constant.",
        "Leave the target out, or ask for a lower loss.",
    )
    DIVERGED = _NOT_FINITE
    DEGENERATE = (
        "degenerate",
        "The linearised network does not move towards this target at all.",
        "A kernel that is zero on the target, dead units, or an output layer of zeros that nothing feeds.",
        "Choose another start, a wider network or another initialisation.",
    )
    NOT_APPLICABLE = (
        "not applicable",
        "The prediction has no meaning for this explorer, loss or start.",
        "A sampler, which has no goal, or a loss without a best constant answer.",
        "Ask for an explorer that follows gradients.",
    )
    NOT_COMPUTED = (
        "not computed",
        "It was left out to save time.",
        "A budget that ended, an interrupt, or the option simulated.",
        "Give a larger budget, or leave out budget and simulated.",
    )


class LLCStatus(Status):
    """Of a learning coefficient, and of chains around a point."""

    OK = _OK
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
        *_NOT_EQUILIBRATED,
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

    OK = _OK
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
    DIVERGED = _NOT_FINITE
    DEGENERATE = (
        "degenerate",
        "The quantity is not defined for this matrix.",
        "A matrix of size zero, or a density of a single value.",
        "Free more parameters.",
    )


class VolumeStatus(Status):
    """Of a volume of parameters."""

    OK = _OK
    NOT_EQUILIBRATED = (
        *_NOT_EQUILIBRATED,
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
    DIVERGED = _NOT_FINITE
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

    OK = _OK
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


class ConvergenceStatus(Status):
    """Of what members of a population have in common."""

    OK = _OK
    DIVERGED = (
        "diverged",
        "Outputs or activations of at least one member are not finite; its pairs have no number.",
        "A member whose run diverged, or activations that overflow.",
        "Leave those members out, take earlier checkpoints, or compute inside allroads.float64().",
    )
    DEGENERATE = (
        "degenerate",
        "A representation does not vary between the inputs in a way that the measure sees; its pairs have no number.",
        "Dead units, a layer that ignores the inputs, inputs that are all alike, or rows that are all orthonormal.",
        "Choose another layer or more varied inputs, or leave those members out.",
    )
    NOT_CONVERGED = (
        "not converged",
        "A budget or an interrupt ended the comparison early. The p-values hold, but rest on fewer permutations; "
        "or some pairs were not compared.",
        "Many members, many inputs or a small budget.",
        "Give a larger budget, or fewer members, inputs or measures.",
    )
    LOWER_BOUND = (
        "lower bound",
        "No two members are alike, so that the members show only that there are many.",
        "More functions or programs within reach than members.",
        "Take more members, or fewer inputs to tell functions apart.",
        True,
    )


class DescriptionStatus(Status):
    """Of a description length."""

    OK = _OK
    DIVERGED = _NOT_FINITE
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


class EquivalenceStatus(Status):
    """Of an equality between a network and a program, or two programs."""

    PROVED = ("proved", "The functions are equal on the whole finite domain, or at every length.", "", "", True)
    NOT_PROVED = (
        "not proved",
        "No disagreement was found among the inputs that were compared; the other inputs were not.",
        "A domain that is too large to enumerate, or hidden states whose classes could not be shown to be closed.",
        "Shorten the domain, train longer so that margins grow, or compare more samples.",
        True,
    )
    DIFFERENT = ("different", "A counterexample shows that the functions differ.", "", "Read the counterexample.", True)


class ExtractionStatus(Status):
    """Of a program read out of a network."""

    COMPUTES = (
        "computes",
        "Network and program are proved equal, and exchanged hidden states act as exchanged program states.",
        "",
        "",
        True,
    )
    BEHAVES_AS = (
        "behaves as",
        "Network and program are proved equal; the causal check is absent or failed.",
        "Hidden states that do not map onto the states of the program, or a language without such a check.",
        "Read interchange. Take the program as a description of the function, and not of the mechanism.",
        True,
    )
    NOT_PROVED = (
        "not proved",
        "The program agrees with the network on all inputs that were compared. These are not the whole domain.",
        "A domain that is too large, or classes of hidden states that could not be shown to be closed.",
        "Train longer so that margins grow, or compare longer sequences.",
        True,
    )
    TABLE = (
        "table",
        "Every program that was found is as long as the table of the function.",
        "A memorised table, or a rule that has no short program in these languages.",
        "Train until the network generalises, or give another language.",
    )
    PARTIAL = (
        "partial",
        "The program gives the network's answers on some inputs only.",
        "A network that is half trained, or a state that extraction missed.",
        "Read the counterexample of the equivalence; train longer.",
    )
    NO_PROGRAM = (
        "no program",
        "No program was found that the network computes.",
        "A network that is untrained or memorises, or a function that has no program in these languages.",
        "Read stats['languages']; train longer, or give another language.",
    )
    NOT_APPLICABLE = (
        "not applicable",
        "No language reads this kind of network and target.",
        "Real inputs without an alphabet, or a recurrent target for a network without a cell.",
        "Give a target with an alphabet or a finite domain, and the network's cell.",
    )


class AttributionStatus(Status):
    """Of a variance or a distribution shared out among factors."""

    OK = _OK
    NO_EFFECT = (
        "no effect",
        "The cells differ no more than their seeds do, so there is nothing to share out.",
        "Factors that do not act on this response, or too few seeds to see that they do.",
        "Read value_high in stats, the largest effect that the table allows; run more seeds.",
        True,
    )
    CONSTANT = (
        "constant",
        "All runs have the same response, so nothing varies.",
        "A response that saturates, such as an accuracy of 1, or a label that every run reaches.",
        "Choose a response that differs between runs, such as the step at which the goal was reached.",
    )
    TOO_MANY_LABELS = (
        "too many labels",
        "Labels are mostly new, so what counting adds to the information cannot be corrected reliably.",
        "Labels that are seen once in their cell: a set of labels that is large beside the number of seeds.",
        "Run more seeds, take a coarser label such as the canonical program, or give truth tables.",
    )


FAMILIES: tuple[type[Status], ...] = (
    AttributionStatus,
    ExtractionStatus,
    EquivalenceStatus,
    ConvergenceStatus,
    DescriptionStatus,
    PriorStatus,
    VolumeStatus,
    SpectrumStatus,
    ForecastStatus,
    RoadStatus,
    LLCStatus,
    PathStatus,
    RunStatus,
)
"""All families; where two have one word, a study that knows only the word takes that of the later."""
