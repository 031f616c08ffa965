"""Sequential Monte Carlo from the prior of an initialisation to that prior given the data."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.special import logsumexp

from allroads.checks import check_choice, check_number
from allroads.errors import InputError
from allroads.explorers.explorer import Explorer, Info, ProblemLike, State, example_count
from allroads.explorers.late import blackjax
from allroads.explorers.neutral.invariant import PRIORS, invariant_move, known_of
from allroads.explorers.neutral.misfit import check_fit, loss_and_misfit, objective_of
from allroads.pfmap.network import Params

BATCH = 256
"""Members that are evaluated together."""
STRIDE = 3.0
"""What one level adds to β at most, over the least energy above 0: the members must have time to follow."""
ACCEPTED = 0.25
"""Share of moves that should be accepted; their size is adapted to it."""
SMALLEST = 1e-3


class Tempering(NamedTuple):
    """What the population remembers.

    Attributes:
        keys: ``[M]``.
        losses: Mean loss of each member ``[M]``.
        energies: U of each member ``[M]``.
        beta: β of the level reached; infinite where only what fits has any weight.
        log_evidence: ``log ∫ e^{−βU} dμ`` at that level, in nats.
        scale: Size of the moves.
        accepted: Share of the last moves that were accepted.
        levels: Number of steps taken.
    """

    keys: Any
    losses: Any
    energies: Any
    beta: Any
    log_evidence: Any
    scale: Any
    accepted: Any
    levels: Any


@dataclass(frozen=True, kw_only=True)
class SMC(Explorer):
    """Sequential Monte Carlo: the population goes from the prior μ through ``e^{−βU} μ`` to larger and larger β.

    μ is the distribution of ``network.init``. A step chooses the next β so that the weights ``e^{−Δβ U}`` have the
    effective sample size asked for, or 3 over the least U above 0 where that is less. It resamples the members by them
    (systematic), and moves each by ``moves`` Metropolis steps that leave ``e^{−βU} μ`` as it is [delmoral2006]. The
    logs of the mean weights add up to the log-evidence, ``state.memory.log_evidence``. Its exponential has no bias
    where levels are fixed beforehand.

    U is the misfit: the number of training errors, or ``N max(L − fit, 0)``. Once enough members fit, β becomes
    infinite. The population is then one of the prior given the data, ``1[fits] μ``, and the log-evidence is log P(S).
    With ``beta``, U is the mean loss L, and the end is the Gibbs law ``e^{−βL} μ`` at that β. At the end, steps go on
    moving.

    The density of μ is not needed: moves are made of new draws of ``init``, see
    :func:`~allroads.explorers.neutral.invariant.invariant_move`. Which of them leave μ as it is, is tested once per
    network. The first population is drawn from ``init`` by the members' keys, whatever the start.

    Args:
        fit: The largest mean loss of a point that fits. Default: a point fits where it makes no training error, which
            ``"bce"`` and ``"cross_entropy"`` define.
        beta: The last β, in the inverse unit of the loss; excludes ``fit``.
        ess: Effective sample size of the weights of one level over the number of members.
        moves: Metropolis steps of each member per level.
        prior: ``"gaussian"``, ``"independent"`` (entries) or ``"arrays"``: what is known of ``init``, which is tested.
            Default: the first of these that passes.

    Raises:
        InputError: On an option out of range. In a run: if the loss defines no errors and no bound is given, or if
            ``init`` is not of the kind asked for, or of none.

    When it fails: members that came from few ancestors are alike, and a part of the set that all lost does not come
    back. Independent populations then disagree, which :func:`~allroads.function_posterior` looks at. Few members give
    a log-evidence that is too low.

    References:
        [delmoral2006, cerou2012, cotter2013]

    Example:
        A normal weight fits one example with probability ½:

        >>> from allroads import Network, Problem, explore
        >>> unit = Network(lambda key: jax.random.normal(key, (1,)), lambda w, x: x * w)
        >>> run = explore(Problem(unit, "bce", [[1.0]], [[1]]), SMC(), 256, steps=3)
        >>> bool((run.ends() > 0).all())
        True
    """

    fit: float | None = None
    beta: float | None = None
    ess: float = 0.5
    moves: int = 20
    prior: str | None = None

    mixes: ClassVar[bool] = True
    continuous: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.fit is not None and self.beta is not None:
            raise InputError("explorer 'smc': fit and beta exclude each other; give the bound or the last β.")
        if self.fit is not None:
            self.check_rates(fit=self.fit)
        if self.beta is not None:
            check_number("explorer 'smc': beta", self.beta, 0, open_low=True)
        check_number("explorer 'smc': ess", self.ess, 0, open_low=True)
        if self.ess >= 1:
            raise InputError(f"explorer 'smc': ess: expected a share above 0 and below 1; got {self.ess!r}.")
        self.check_counts(moves=self.moves)
        if self.prior is not None:
            check_choice("prior", self.prior, PRIORS)

    @property
    def end(self) -> float:
        """β of the last level."""
        return math.inf if self.beta is None else self.beta

    def init(self, keys: Any, population: Params, problem: ProblemLike) -> State:
        """The state at the start, drawn from ``network.init``; see :meth:`Explorer.init`."""
        if self.beta is None:
            check_fit(self.name, problem, self.fit)
        network = objective_of(self.name, problem).network
        known_of(network, self.prior)
        drawn = jax.vmap(network.init)(jax.vmap(jax.random.fold_in, (0, None))(keys, 0))
        drawn = jax.tree.map(lambda new, old: new.astype(old.dtype), drawn, population)
        losses, energies = jax.lax.map(lambda params: self._energy(problem, params), drawn, batch_size=BATCH)
        zero, none = jnp.zeros((), losses.dtype), jnp.zeros((), jnp.int32)
        return State(drawn, Tempering(keys, losses, energies, zero, zero, zero + 1, zero, none))

    def step(self, state: State, problem: ProblemLike) -> tuple[State, Info]:
        """One level: weights, resampling, moves; see :meth:`Explorer.step`."""
        old: Tempering = state.memory
        stride = self._stride(old)
        log_weights = jnp.where((old.energies > 0) & (stride > 0), -stride * old.energies, 0.0)
        log_weights = jnp.where(jnp.isfinite(log_weights).any(), log_weights, 0.0)  # where no loss is finite, all stay
        count = len(log_weights)
        gained = logsumexp(log_weights) - math.log(count)
        split = jax.vmap(lambda key: jax.random.split(key, 3))(old.keys)
        parents = blackjax("smc.resampling").systematic(split[0, 1], jax.nn.softmax(log_weights), count)
        chosen = jax.tree.map(lambda leaf: leaf[parents], (state.params, old.losses, old.energies))
        beta = old.beta + stride
        network = objective_of(self.name, problem).network
        prior, centre = known_of(network, self.prior)

        def chain(given: tuple[Any, Any]) -> tuple[Any, Any]:
            def move(at: tuple[Any, Any, Any], key: Any) -> tuple[Any, Any]:
                params, loss, energy = at
                proposing, sizing, accepting = jax.random.split(key, 3)
                scale = old.scale ** jax.random.uniform(sizing, (), loss.dtype)  # from the size up to a new draw
                proposal = invariant_move(proposing, params, scale, network.init, prior, centre)
                new_loss, new_energy = self._energy(problem, proposal)
                rise = jnp.where(jnp.isinf(beta), jnp.where(new_energy > 0, jnp.inf, 0.0), beta * (new_energy - energy))
                accepted = -jnp.log(jax.random.uniform(accepting, (), loss.dtype, minval=1e-30)) > rise
                new = (proposal, new_loss, new_energy)
                return jax.tree.map(lambda a, b: jnp.where(accepted, a, b), new, at), accepted

            key, at = given
            moved, accepted = jax.lax.scan(move, at, jax.random.split(key, self.moves))
            return moved, accepted.mean(dtype=old.scale.dtype)

        moved, accepted = jax.lax.map(chain, (split[:, 2], chosen), batch_size=BATCH)
        params, losses, energies = moved
        accepted = accepted.mean()
        scale = jnp.clip(old.scale * jnp.exp(4 * (accepted - ACCEPTED)), SMALLEST, 1.0)
        memory = Tempering(
            split[:, 0], losses, energies, beta, old.log_evidence + gained, scale, accepted, old.levels + 1
        )
        forwards = self.moves + (old.levels == 0)
        return State(params, memory), Info(old.losses, forwards=forwards, examples=example_count(problem))

    def _energy(self, problem: ProblemLike, params: Params) -> tuple[Any, Any]:
        if self.beta is None:
            return loss_and_misfit(self.name, problem, params, self.fit)
        loss = problem.objective.mean(params, problem.data)
        finite = jnp.isfinite(loss)
        return jnp.where(finite, loss, jnp.finfo(loss.dtype).max), jnp.where(finite, loss, jnp.inf)

    def _stride(self, old: Tempering) -> Any:
        """What this level adds to β: infinite once enough members fit."""
        energies = old.energies
        if self.beta is None:
            most = STRIDE / jnp.min(jnp.where(energies > 0, energies, jnp.inf), initial=jnp.inf)
        else:
            most = self.beta - old.beta
        dichotomy = blackjax("smc.solver").dichotomy
        found = blackjax("smc.ess").ess_solver(lambda given: -given, energies, self.ess, most, dichotomy)
        if self.beta is not None:
            return found
        return jnp.where((energies <= 0).mean() >= self.ess, jnp.inf, found)
