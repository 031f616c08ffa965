"""Gradient descent in function space, by the damped pseudo-inverse of the Jacobian."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy.linalg import cho_factor, cho_solve

from allroads.checks import check_count
from allroads.errors import InputError
from allroads.explorers.explorer import Info, ProblemLike, State, example_count
from allroads.explorers.per_member import PerMember
from allroads.pfmap.kernel import kernel_function, plan_kernel
from allroads.pfmap.network import Params
from allroads.pfmap.objective import Objective


@dataclass(frozen=True)
class _NaturalRule:
    """The steps of one member; it remembers nothing."""

    learning_rate: float
    damping: float
    memory: int

    def init(self, key: Any, params: Params, problem: ProblemLike) -> State:
        """The state of one member at its start."""
        objective = problem.objective
        if not isinstance(objective, Objective):
            raise InputError("explorer 'natural_gradient': it needs a problem with a network, as allroads.Problem has.")
        if objective.regulariser != 0.0:
            raise InputError(
                "explorer 'natural_gradient': the problem has a penalty of the parameters, which is no function of the "
                "outputs. Leave out weight_decay and regulariser, or take 'gd'."
            )
        return State(params, ())

    def step(self, state: State, problem: ProblemLike, index: Any) -> tuple[State, Info]:
        """One step of one member."""
        objective, data, params = problem.objective, problem.data, state.params
        assert isinstance(objective, Objective)
        network = objective.network
        values, pull = jax.vjp(lambda params: network.apply(params, data.inputs), params)
        loss, slope = jax.value_and_grad(lambda outputs: objective.from_outputs(outputs, data).mean())(values)
        plan = plan_kernel(network, params, data.inputs, False, self.memory)
        gram = kernel_function(network, plan)(params, data.inputs) / example_count(problem)
        solved = cho_solve(cho_factor(gram + self.damping * jnp.eye(len(gram), dtype=gram.dtype)), slope.ravel())
        (direction,) = pull(solved.reshape(values.shape).astype(values.dtype))
        moved = jax.tree.map(lambda w, d: w - self.learning_rate * d, params, direction)
        return State(moved, ()), Info(loss, gradients=values.size + 1, examples=example_count(problem))


@dataclass(frozen=True, kw_only=True)
class NaturalGradient(PerMember):
    """Natural gradient descent: the discretised gradient flow of the loss in function space, ``θ̇ = −J_δ⁺ ∂L/∂f``.

    ``θ ← θ − η Jᵀ (J Jᵀ/N + δ I)⁻¹ ∂L/∂f``, with J the Jacobian of all C outputs on the N training inputs. This equals
    ``θ − η (Jᵀ J/N + δ I)⁻¹ ∇L``. Outputs are measured by their mean square over examples, which for ``"mse"`` is the
    Fisher metric of normal errors. Without damping and with J of full row rank, outputs move down the steepest
    direction of function space, whatever the features: for ``"mse"`` and outputs linear in θ, ``f − y`` contracts by
    ``1 − 2η/C`` per step. A large δ gives steps of gradient descent, ``η/δ`` times ``∇L``.

    A step counts N·C + 1 gradients, as each row of J is a backward pass over all examples. The products of rows and the
    solution of the N·C equations, ``(N C)² P + (N C)³ / 3`` operations, come on top.

    Args:
        learning_rate: η, in units of time of the flow.
        damping: δ, in the unit of the eigenvalues of ``J Jᵀ/N``.
        memory: Bytes that the kernel of a member may take. Default 1 GiB.

    Raises:
        InputError: On an option out of range; in a run, if the problem has a penalty of the parameters.
        MemoryBudgetError: In a run, if the kernel does not fit; says how much it needs.

    When it fails: where J has no full row rank and δ is 0 or near rounding, the equations have no stable solution. A
    member whose solution is not finite is called diverged. Outputs that are not linear in θ follow the flow in steps
    that are small beside the curvature of the map.

    References:
        [amari1998]

    Example:
        Two features of scales 1 and 100 are learned alike; one step goes half the way:

        >>> import numpy as np
        >>> from allroads import Network, Problem, explore
        >>> line = Network(lambda key: jnp.zeros(2), lambda w, x: (x @ w)[:, None])
        >>> problem = Problem(line, "mse", np.diag([1.0, 100.0]), [[1.0], [1.0]])
        >>> run = explore(problem, NaturalGradient(learning_rate=0.25, damping=0.0), 1, steps=1)
        >>> run.values[0, -1, :, 0].round(4).tolist()
        [0.5, 0.5]
    """

    learning_rate: float = 0.1
    damping: float = 1e-3
    memory: int = 2**30

    @property
    def name(self) -> str:
        """How reports call it."""
        return "natural_gradient"

    def __post_init__(self) -> None:
        self.check_rates(learning_rate=self.learning_rate, damping=self.damping)
        check_count(f"explorer {self.name!r}: memory", self.memory)

    @property
    def rule(self) -> _NaturalRule:
        """The rule of one member."""
        return _NaturalRule(self.learning_rate, self.damping, self.memory)
