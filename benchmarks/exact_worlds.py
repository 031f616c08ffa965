"""Worlds whose dynamics are known exactly, for exact_dynamics.py: laws of escape, and rules that move points there."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.integrate import cumulative_trapezoid, quad
from scipy.optimize import brentq, minimize_scalar

from allroads import Network, Problem
from allroads.explorers.explorer import Info, ProblemLike, State
from allroads.explorers.per_member import Rule
from allroads.pfmap.objective import Examples

ONE = np.ones((1, 1))
END = 1.5 * math.pi
"""Where a point on the circle has escaped: a right angle past the saddle."""


# --- the order of escape from zero of linear modes

STRENGTHS = (3.0, 2.0, 1.0)


def plackett_luce(order: tuple[int, ...], weights: tuple[float, ...]) -> float:
    """Probability of an order: each next one is drawn in proportion to the weights of those that are left."""
    left, found = sum(weights), 1.0
    for i in order:
        found *= weights[i] / left
        left -= weights[i]
    return found


def strongest_first(cut: float, strengths: tuple[float, ...] = STRENGTHS) -> float:
    """Probability that modes reach half their height in descending order of strength.

    Mode i starts at ``a ~ U(0, cut)`` and takes ``t_i = log((s_i − a)/a) / 2s_i``.
    """
    one, two, three = strengths

    def later(s: float, t: float) -> float:
        """P(t_i > t): the start lies below ``s / (1 + exp(2 s t))``."""
        return min(1.0, s / (1 + math.exp(min(2 * s * t, 700.0))) / cut)

    def density(s: float, t: float) -> float:
        start = s / (1 + math.exp(min(2 * s * t, 700.0)))
        return 2 * start * (s - start) / cut if start < cut else 0.0

    def second(t: float) -> float:
        """P(t_1 < t) weighs the time of the second, P(t_3 > t) what comes after."""
        return (1 - later(one, t)) * density(two, t) * later(three, t)

    first = math.log((two - cut) / cut) / (2 * two)
    return quad(second, first, first + 15, limit=500)[0]


# --- escape times in general


@dataclass(frozen=True)
class Stopped:
    """A rule that stops for good once a point is where it should go.

    Args:
        rule: The rule.
        there: ``(params) -> bool``.
    """

    rule: Rule
    there: Callable[[Any], Any]

    def init(self, key: Any, params: Any, problem: ProblemLike) -> State:
        """That of the rule."""
        return self.rule.init(key, params, problem)

    def step(self, state: State, problem: ProblemLike, index: Any) -> tuple[State, Info]:
        """That of the rule; the point stays once it is there."""
        moved, info = self.rule.step(state, problem, index)
        stays = self.there(state.params)
        return moved._replace(
            params=jax.tree.map(lambda a, b: jnp.where(stays, a, b), state.params, moved.params)
        ), info


def mean_time(times: np.ndarray, escaped: np.ndarray) -> tuple[float, float]:
    """Mean of exponential times of escape known at some ``times [T]`` only, and the standard error of its logarithm.

    Args:
        times: When members were looked at, from 0.
        escaped: Whether each had escaped by then, ``[members, T]``; the likelihood counts those who had not.
    """
    counts = np.diff(escaped.sum(0))
    left, bins = len(escaped) - escaped[:, -1].sum(), counts > 0
    low, high = times[:-1][bins], times[1:][bins]

    def minus_log_likelihood(log_rate: float) -> float:
        rate = math.exp(log_rate)
        return float(
            -(counts[bins] * (-rate * low + np.log(-np.expm1(-rate * (high - low))))).sum() + rate * left * times[-1]
        )

    guess = math.log(max(int(counts.sum()), 1) / (escaped.shape[0] * times[-1]))
    found = minimize_scalar(
        minus_log_likelihood, bounds=(guess - 3, guess + 3), method="bounded", options={"xatol": 1e-6}
    )
    return math.exp(-found.x), 1 / math.sqrt(max(int(counts.sum()), 1))


def slope(x: np.ndarray, y: np.ndarray, errors: np.ndarray) -> tuple[float, float]:
    """Weighted least squares of ``y`` on ``x``: the slope and its standard error."""
    weights = 1 / errors**2
    middle = (weights * x).sum() / weights.sum()
    spread = (weights * (x - middle) ** 2).sum()
    return float((weights * (x - middle) * y).sum() / spread), float(1 / math.sqrt(spread))


# --- one mode of depth 3: V(w) = ½ (w₁w₂w₃ − s)² + λ/2 ‖w‖², |w_i| = u at critical points


@dataclass(frozen=True)
class Mode:
    """One mode of a diagonal network of depth 3.

    Args:
        s: What its product should be.
        decay: λ.
    """

    s: float
    decay: float

    @property
    def roots(self) -> tuple[float, float]:
        """The u of the saddle and of the minimum that is on: ``u (s − u³) = λ``."""
        found = np.roots([-1, 0, 0, self.s, -self.decay])
        real = np.sort(found.real[(abs(found.imag) < 1e-9) & (found.real > 0)])
        return float(real[0]), float(real[-1])

    def potential(self, u: float) -> float:
        """V where all three weights are u."""
        return 0.5 * (u**3 - self.s) ** 2 + 1.5 * self.decay * u**2

    def barrier(self, way: str) -> float:
        """ΔV of ``"on"`` (off → on) or ``"off"`` (on → off)."""
        saddle, on = self.roots
        return self.potential(saddle) - (self.potential(0.0) if way == "on" else self.potential(on))

    def prefactor(self, way: str) -> float:
        """Eyring's and Kramers' mean time is this times ``exp(ΔV/T)``.

        At ``|w| = u`` the Hessian has ``3u⁴ − λ`` along w and ``2λ`` twice across; at 0 it is λ. Four saddles, of equal
        height, lead away from 0, and one from each minimum that is on.
        """
        saddle, on = self.roots
        down = self.decay - 3 * saddle**4
        if way == "on":
            return math.pi / math.sqrt(down * self.decay)
        return 2 * math.pi / math.sqrt(down * (3 * on**4 - self.decay))

    def problem(self) -> Problem:
        """Its loss is V."""
        network = Network(lambda key: jnp.zeros(3), lambda w, x: x * jnp.prod(w))
        return Problem(network, lambda f, y: (f - y)[:, 0] ** 2 / 2, ONE, np.array([[self.s]]), weight_decay=self.decay)


# --- the noise of a mean-square loss: a point on a circle of radius 1, L(θ) = 1 − cos θ + ℓ with ℓ = σ²/2


@dataclass(frozen=True)
class Circle:
    """Regression on ``y = x·(1, 0) + σ ξ`` by ``f = x·(cos θ, sin θ)``; one minimum, θ = 0, and one saddle, θ = π.

    Args:
        floor: ``ℓ = L(0)``; the barrier of L is 2 whatever it is, that of log L is ``log(1 + 2/ℓ)``.
        k: B/η. The curvature at the minimum is 1.
        exact: Whether the covariance of the noise is ``2 L(θ)/B``, as the theory assumes; else that of examples.
        share: Share of examples that are not zero; the fewer, the longer they are.
    """

    floor: float
    k: float
    exact: bool
    share: float = 0.75

    def loss(self, theta: Any) -> Any:
        """L(θ)."""
        return 1 - np.cos(theta) + self.floor

    def diffusion(self, theta: Any) -> Any:
        """D(θ) of ``dθ = −L' dt + √(2D) dW``.

        An example is a direction at random of length √(2/q) with probability q, the share, else 0. Its gradient then
        has the variance ``(r² + 2 L'²) / 2q − L'² + σ²`` with ``r² = 2 (1 − cos θ)``. At q = ¾ it is 2L up to second
        order in θ.
        """
        if self.exact:
            return self.loss(theta) / self.k
        square, down = 2 * (1 - np.cos(theta)), np.sin(theta) ** 2
        return ((square + 2 * down) / (2 * self.share) - down + 2 * self.floor) / (2 * self.k)

    def action(self, points: int = 201) -> float:
        """log of the mean time over k, in the limit of large k: that of SGD on examples, or of the equation.

        It is ``∫ p dθ`` from 0 to π. Of examples, p(θ) is the root above 0 of ``log E exp(−p g) = 0``, where g is the
        gradient of one example [freidlin2012]. With normal g of mean L' and variance ``2 L``, p would be ``L'/L`` and
        the action ``log (L_s/L*)``.
        """
        if self.exact:
            return math.log(self.loss(math.pi) / self.loss(0.0))
        theta = np.linspace(0, math.pi, points)
        return float(np.trapezoid([0.0, *map(self.momentum, theta[1:-1]), 0.0], theta))

    def momentum(self, theta: float) -> float:
        """p(θ) of examples, at θ between 0 and π."""
        angle = (np.arange(256) + 0.5) * 2 * np.pi / 256
        x = math.sqrt(2 / self.share) * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        along = x @ [-math.sin(theta), math.cos(theta)]
        pull = along * (x @ [math.cos(theta) - 1, math.sin(theta)])

        def cumulant(p: float) -> float:
            mean = np.exp(-p * pull + p**2 * self.floor * along**2).mean()  # labels have the variance 2 ℓ
            return math.log1p(self.share * (mean - 1))

        high = 1e-4
        while cumulant(high) < 0:
            high *= 1.3
        return brentq(cumulant, high / 1.3, high) if high > 1e-4 else high

    def mean_time(self, end: float = END) -> float:
        """Mean time of the stochastic differential equation from 0 to ±``end``, by quadrature."""
        theta = np.linspace(0, end, 40_001)
        potential = cumulative_trapezoid(np.sin(theta) / self.diffusion(theta), theta, initial=0)
        inside = cumulative_trapezoid(np.exp(-potential) / self.diffusion(theta), theta, initial=0)
        return float(np.trapezoid(np.exp(potential) * inside, theta))

    def formula(self) -> float:
        """The law of the logarithmic barrier, for two saddles: ``π √(k/(k+1)) (L_s/L*)^(k+½)``."""
        return math.pi * math.sqrt(self.k / (self.k + 1)) * (1 + 2 / self.floor) ** (self.k + 0.5)

    def problem(self) -> Problem:
        """The regression; the explorers below draw their own examples."""
        network = Network(lambda key: jnp.zeros(1), lambda w, x: x @ jnp.stack([jnp.cos(w), jnp.sin(w)]))
        return Problem(network, lambda f, y: (f - y)[:, 0] ** 2 / 2, np.ones((1, 2)), ONE)


@dataclass(frozen=True)
class FreshSGD:
    """SGD on a new example at every step: ``θ ← θ − η g`` with the gradient of that example."""

    circle: Circle

    def init(self, key: Any, params: Any, problem: ProblemLike) -> State:
        """The key is all that is remembered."""
        return State(params, key)

    def step(self, state: State, problem: ProblemLike, index: Any) -> tuple[State, Info]:
        """One example, one step."""
        key, *draws = jax.random.split(state.memory, 4)
        angle = jax.random.uniform(draws[0], maxval=2 * jnp.pi)
        zero = jax.random.bernoulli(draws[1], 1 - self.circle.share)
        x = jnp.where(zero, 0.0, math.sqrt(2 / self.circle.share)) * jnp.stack([jnp.cos(angle), jnp.sin(angle)])[None]
        y = x[:, :1] + math.sqrt(2 * self.circle.floor) * jax.random.normal(draws[2], (1, 1))
        loss, slope_ = jax.value_and_grad(problem.objective.mean)(state.params, Examples(x, y))
        return State(state.params - slope_ / self.circle.k, key), Info(loss, gradients=1, examples=1)


@dataclass(frozen=True)
class MultiplicativeNoise:
    """The equation that the theory is about, by steps of ``dt``: ``θ ← θ − L' dt + √(2 D dt) ξ`` with ``D = L/k``."""

    circle: Circle
    dt: float

    def init(self, key: Any, params: Any, problem: ProblemLike) -> State:
        """The key is all that is remembered."""
        return State(params, key)

    def step(self, state: State, problem: ProblemLike, index: Any) -> tuple[State, Info]:
        """One step."""
        key, draw = jax.random.split(state.memory)
        loss = 1 - jnp.cos(state.params) + self.circle.floor
        noise = jnp.sqrt(2 * self.dt * loss / self.circle.k) * jax.random.normal(draw, state.params.shape)
        return State(state.params - self.dt * jnp.sin(state.params) + noise, key), Info(loss[0])
