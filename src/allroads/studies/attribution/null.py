"""What a term shows that has no effect, and how often it would show as much as was found."""

from __future__ import annotations

import numpy as np

from allroads.studies.attribution.anova import Anova
from allroads.studies.attribution.inversion import Quantity, World
from allroads.studies.attribution.resampling import CHUNK, Noise


def null_share(quantity: Quantity, world: World, splits: Noise, level: float = 0.95) -> float:
    """A high quantile of a share's estimate where its terms have no effect and only seeds differ.

    Args:
        quantity: The share.
        world: The table, whose other terms keep their unbiased effects.
        splits: Noise of the seed splits.
        level: Which quantile.
    """
    ss = World(world.found, splits).squares(world.shrunk)
    ss[:, quantity.group] = splits.own[:, quantity.group]
    return float(np.nanquantile(quantity.statistic(ss, splits.within), level))


def split_p_value(found: Anova, group: np.ndarray, splits: Noise) -> float:
    """Share of seed splits in which the F of a group of terms is as large as in the table.

    F is the mean square of the group over that within cells. The table itself counts among the splits, so the share is
    never 0.

    When it fails: with two cells of five seeds a split has few values, and the smallest share is coarse.
    """
    design = found.design
    df = design.df[group].sum()
    observed = found.ss[group].sum() / df / max(found.noise, 1e-300)
    within = np.maximum(splits.within / design.df_within, 1e-300)
    drawn = splits.own[:, group].sum(axis=1) / df / within
    return float((1 + (drawn >= observed * (1 - 1e-12)).sum()) / (1 + len(drawn)))


def permutation_p_value(found: Anova, factor: int, permutations: int, rng: np.random.Generator) -> float:
    """Exact test that a factor does nothing, neither alone nor together with others.

    Runs are exchanged between the levels of the factor, within each combination of the levels of the others. If the
    factor does nothing, every such exchange is as likely as the table. The statistic is the sum of squares between
    cells, which grows with the factor and all its interactions.

    References:
        [anderson2001]
    """
    design, coordinates = found.design, found.values.shape[-1]
    runs = found.values.reshape(*design.shape, design.seeds, coordinates)
    runs = np.moveaxis(runs, factor, -3).reshape(-1, design.shape[factor] * design.seeds, coordinates)

    levels = design.shape[factor]

    def between(order: np.ndarray) -> np.ndarray:
        """Sums of squares between cells for some orders of the runs, ``[orders]``."""
        taken = np.take_along_axis(runs[None], order[..., None], axis=2)
        means = taken.reshape(len(order), len(runs) * levels, design.seeds, coordinates).mean(axis=2)
        return np.asarray((means**2 @ found.signs).sum(axis=1))

    identity = np.arange(runs.shape[1]) + np.zeros((1, len(runs), 1), dtype=np.int64)
    observed = float(between(identity)[0])
    enough = observed - 1e-12 * abs(observed)
    step = max(1, CHUNK // found.values.size)
    count = 0
    for start in range(0, permutations, step):
        orders = np.broadcast_to(identity, (min(step, permutations - start), *identity.shape[1:]))
        count += int((between(rng.permuted(orders, axis=2)) >= enough).sum())
    return (1 + count) / (1 + permutations)
