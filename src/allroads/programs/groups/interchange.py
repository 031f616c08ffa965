"""Interchange interventions on the representations that a network holds in its hidden units."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from allroads.programs.groups.characters import Irrep, projector
from allroads.programs.groups.finite_group import FiniteGroup
from allroads.results import Measurement

NEAR = float(np.sqrt(0.5))
"""Least correlation of a character in the network's logits with that of the program for the two to agree."""
EXAMPLES = 2000
"""Examples, at least: of small groups each pair is the base of several."""


def interchange(
    hidden: np.ndarray,
    outputs_from: Callable[[np.ndarray], np.ndarray],
    units: np.ndarray,
    chosen: Sequence[Irrep],
    group: FiniteGroup,
    seed: int,
) -> Measurement:
    """Share of exchanged representations that the network then answers with, as the program does.

    Each example is a base and a source, two pairs; each pair is the base once or more. Of a random half of the
    representations the hidden units are given the source's values. The program then adds characters of the base's
    product and, for those representations, of the source's. The logits of the network are projected on each exchanged
    representation. It agrees where they correlate with the program's by more than √½. Only those count whose two
    characters correlate negatively.

    A layer whose units hold no representations, such as a table with a unit a pair, has the share 0.

    Args:
        hidden: Values ``[n², units]`` on all pairs.
        outputs_from: Outputs ``[n², n]`` from other values.
        units: Place in ``chosen`` of the representation of each unit, −1 where it has none.
        chosen: Representations of the program.
        group: The group.
        seed: Decides the sources, the representations and the null.

    Returns:
        The share; ``stats["null"]`` is that with the representations dealt anew to the units.

    References: [geiger2021]
    """
    rng = np.random.default_rng(seed)
    products, n = group.table.ravel(), len(hidden)
    base = np.tile(np.arange(n), -(-EXAMPLES // n))
    source = np.concatenate([rng.permutation(n) for _ in range(len(base) // n)])
    taken = rng.random((len(base), len(chosen))) < 0.5
    between = group.quotients[products[source], products[base]]
    counts = taken & (np.array([irrep.character[between] for irrep in chosen]).T < 0)

    def hit(places: np.ndarray) -> float:
        moves = taken[:, places] & (places >= 0)
        exchanged = np.where(moves, hidden[source], hidden[base])
        logits = np.concatenate([outputs_from(exchanged[i : i + n]) for i in range(0, len(base), n)])
        agree = []
        for place, irrep in enumerate(chosen):
            rows = counts[:, place]
            wave = logits[rows] @ projector(group, irrep)
            expected = irrep.character[group.quotients[products[source[rows]]]]
            size = np.linalg.norm(wave, axis=1) * np.linalg.norm(expected, axis=1)
            agree.append((wave * expected).sum(axis=1) > NEAR * np.maximum(size, 1e-300))
        return float(np.concatenate(agree).mean()) if counts.any() else 0.0

    return Measurement(hit(units), stats={"null": hit(rng.permutation(units)), "characters": int(counts.sum())})
