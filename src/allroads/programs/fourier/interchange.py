"""Interchange interventions on the residue that a network holds in its last hidden layer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from allroads.results import Measurement


def interchange(
    hidden: np.ndarray, outputs_from: Callable[[np.ndarray], np.ndarray], residues: np.ndarray, p: int, seed: int
) -> Measurement:
    """Share of examples whose answer becomes that of another residue when only the residue is exchanged.

    A residue d stands in a layer as the mean of its values over the pairs with ``a x + b y + c = d``. From the values
    of a pair its own mean is taken and that of another residue added: what else the layer says of the pair stays. The
    program's answer is then the other residue.

    Args:
        hidden: Values ``[N, units]`` on all pairs.
        outputs_from: Outputs ``[N, p]`` from other values.
        residues: Residue of each pair, ``[N]``.
        p: The modulus.
        seed: Decides the other residues and the null.

    Returns:
        The share; ``stats["null"]`` is the share with means over as many pairs that were drawn without regard to
        their residue.

    References: [geiger2021]
    """
    rng = np.random.default_rng(seed)
    other = (residues + rng.integers(1, p, size=len(residues))) % p

    def hit(classes: np.ndarray) -> float:
        means = np.stack([hidden[classes == d].mean(axis=0) for d in range(p)])
        moved = hidden - means[classes] + means[other]
        return float((outputs_from(moved).argmax(axis=1) == other).mean())

    null = hit(rng.permutation(residues))
    return Measurement(hit(residues), stats={"null": null, "pairs": len(residues)})
