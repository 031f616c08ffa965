"""The kits fail on parts that break a promise, and say which."""

import itertools
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from allroads import InputError, Measurement, Network, Target, per_member
from allroads.explorers.explorer import Explorer, Info, State
from allroads.explorers.gd import GD
from allroads.explorers.per_member import PerMember
from allroads.pfmap.network import Cell
from allroads.programs import Language
from allroads.programs.boolean import LANGUAGE, Formula, compile_formula
from allroads.status import LLCStatus, PathStatus
from allroads.testing import Claim, check_explorer, check_language, check_measure, check_network, check_target

counter = itertools.count()

# --- explorers


@dataclass(frozen=True)
class Descent(Explorer):
    """Gradient descent of a whole population, with a way to go wrong."""

    rate: float = 0.01

    def init(self, keys, population, problem):
        return State(population, ())

    def move(self, params, gradients):
        return jax.tree.map(lambda w, g: w - self.rate * g, params, gradients)

    def step(self, state, problem):
        def one(params):
            return jax.value_and_grad(problem.objective.mean)(params, problem.data)

        losses, gradients = jax.vmap(one)(state.params)
        return State(self.move(state.params, gradients), state.memory), self.info(losses)

    def info(self, losses):
        return Info(losses, gradients=1, examples=8)


@dataclass(frozen=True)
class Leaking(Descent):
    """Every member is pulled to the mean of all."""

    def move(self, params, gradients):
        return jax.tree.map(lambda w: 0.9 * w + 0.1 * w.mean(axis=0), super().move(params, gradients))


@dataclass(frozen=True)
class Hiding(Descent):
    """What it remembers is in a module."""

    def move(self, params, gradients):
        count = next(counter)
        return jax.tree.map(lambda w: w * (1 + count / 100), params)


@dataclass(frozen=True)
class Drawing(Descent):
    """What it draws is not decided by the keys."""

    def move(self, params, gradients):
        return jax.tree.map(lambda w: w + np.random.default_rng().normal() / 100, params)


@dataclass(frozen=True)
class Careless(Descent):
    """A second evaluation goes uncounted."""

    def step(self, state, problem):
        moved, info = super().step(state, problem)
        again = jax.vmap(lambda params: problem.objective.mean(params, problem.data))(moved.params)
        return moved, info._replace(loss=info.loss + 0 * again)


@dataclass(frozen=True)
class Single(Descent):
    """Parameters come back in single precision."""

    def move(self, params, gradients):
        return jax.tree.map(lambda w: w.astype(jnp.float32), params)


@dataclass(frozen=True)
class Late(Descent):
    """The loss is twice what it was."""

    def info(self, losses):
        return super().info(2 * losses)


@dataclass(frozen=True)
class Dividing(Descent):
    """Biases begin at 0."""

    def move(self, params, gradients):
        return jax.tree.map(lambda w: w / w, params)


@dataclass(frozen=True)
class Listed(Descent):
    """An option that has no hash."""

    rates: list = field(default_factory=lambda: [0.1])


@dataclass(frozen=True)
class Silent(Descent):
    """An option that is not told."""

    other: float = field(default=0.0, repr=False)


@dataclass
class Thawed(Descent.__mro__[1]):
    """Options that can be changed."""

    init, step = Descent.init, Descent.step


class Rule:
    def init(self, key, params, problem):
        return State(params, ())

    def step(self, state, problem, index):
        return state, Info(problem.objective.mean(state.params, problem.data), forwards=1, examples=8)


def test_a_right_one_passes():
    check_explorer(Descent())
    check_explorer(per_member(Rule()))


@pytest.mark.parametrize(
    ("explorer", "promise"),
    [
        (Leaking(), "members do not see each other"),
        (Hiding(), "the same keys give the same run"),
        (Drawing(), "the same keys give the same run"),
        (Careless(), "evaluations are counted"),
        (Single(), "a step gives a state like the one before"),
        (Late(), "the loss is one that the step saw"),
        (Dividing(), "points stay finite"),
        (Listed(), "equal options are equal explorers"),
        (Silent(), "repr names every option"),
        (Thawed(), "options are frozen"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Explorer) else "",
)
def test_an_explorer_that_breaks_a_promise(explorer, promise):
    with pytest.raises(AssertionError, match=f'breaks the promise "{promise}": expected'):
        check_explorer(explorer)


def test_the_kit_itself_sees_no_promise_in_a_class():
    with pytest.raises(AssertionError, match="options are frozen"):
        check_explorer(GD)
    assert issubclass(GD, PerMember)


# --- networks


def linear(apply, init=None):
    return Network(init or (lambda key: {"w": jax.random.normal(key, (2, 3))}), apply, name="mine")


def right(params, x):
    return jnp.tanh(x @ params["w"])


class Bare:
    """A function without a hash."""

    __hash__ = None

    def __call__(self, params, x):
        return right(params, x)


def recurrent(step):
    """A network whose outputs are sums over positions; its cell may differ."""
    cell = Cell(lambda params, batch: jnp.zeros((batch, 3)), step)
    return Network(linear(right).init, lambda p, x: jnp.cumsum(x @ p["w"], axis=1)[:, -1], cell, "mine")


def summed(params, state, x):
    return (state + x @ params["w"],) * 2


X = np.random.default_rng(0).normal(size=(5, 2))


@pytest.mark.parametrize(
    ("network", "promise"),
    [
        (linear(lambda p, x: right(p, x) - right(p, x).mean(axis=0)), "examples do not see each other"),
        (linear(lambda p, x: right(p, x) + next(counter)), "a pure function"),
        (linear(lambda p, x: right(p, x).astype(jnp.float32)), "precision is that of the point"),
        (linear(lambda p, x: right(p, x).mean(axis=1)), "outputs lead with the examples"),
        (linear(lambda p, x: right(p, x) / 0), "outputs lead with the examples"),
        (linear(right, lambda key: {"w": jnp.ones((2, 3)) * next(counter)}), "the key decides the point"),
        (linear(right), "the number of parameters"),
        (linear(Bare()), "a hash"),
    ],
)
def test_a_network_that_breaks_a_promise(network, promise):
    check_network(linear(right), X, parameters=6)
    with pytest.raises(AssertionError, match=f"network 'mine' breaks the promise \"{promise}\": expected"):
        check_network(network, X, parameters=5 if promise == "the number of parameters" else None)


def test_a_cell_that_is_another_network():
    sequences = np.random.default_rng(0).normal(size=(5, 3, 2))
    check_network(recurrent(summed), sequences)
    with pytest.raises(AssertionError, match="network 'mine' breaks the promise \"the cell is the network\": expected"):
        check_network(recurrent(lambda p, state, x: summed(p, 0.5 * state, x)), sequences)


def test_a_network_is_asked_about_two_examples_at_least():
    with pytest.raises(InputError, match="two or more"):
        check_network(linear(right), X[:1])


# --- targets

BITS = np.array(list(itertools.product((0, 1), repeat=3)))


def drawn():
    labels = np.random.default_rng().permutation(np.arange(64) % 2)
    return Target("drawn", inputs=np.arange(64)[:, None], labels=labels, train_fraction=0.5)


def forgetful():
    """Its function answers otherwise once the target is made."""
    asked = itertools.count()
    return Target("forgetful", inputs=BITS, function=lambda x: int(x.sum() > 1) ^ (next(asked) > 16), complete=True)


def overlapping():
    return Target("overlapping", inputs=BITS, labels=BITS[:, 0], held_out_inputs=BITS[:4], held_out_labels=BITS[:4, 0])


def boasting():
    target = Target("boasting", inputs=BITS, labels=BITS[:, 0], train_fraction=1)
    object.__setattr__(target, "_baseline", target.baseline | {"train_accuracy": 0.9})
    return target


def unlocked():
    target = Target("unlocked", inputs=BITS, labels=BITS[:, 0], train_fraction=1)
    object.__setattr__(target.train, "labels", target.train.labels.copy())
    return target


@pytest.mark.parametrize(
    ("make", "promise"),
    [
        (unlocked, "nothing can be written to"),
        (drawn, "the seed decides"),
        (forgetful, "labels are the answers of the function"),
        (overlapping, "sides share no example"),
        (boasting, "the baseline is that of the best constant"),
    ],
)
def test_a_target_that_breaks_a_promise(make, promise):
    with pytest.raises(AssertionError, match=f"target '{make.__name__}' breaks the promise \"{promise}\": expected"):
        check_target(make)


# --- measures


def spread(x):
    """Variance of the rows' sums: their order is nothing to it."""
    x = np.asarray(x)
    if not np.isfinite(x).all():
        raise InputError("x: NaN; drop it.")
    return Measurement(float(x.sum(1).var()), 0.0)


def in_order(x):
    spread(x)
    return Measurement(float(np.asarray(x)[0].sum()), 0.0)


def late(x):
    total = jax.jit(lambda x: x.sum() + len(x))(jnp.asarray(x))
    return spread(x) + 0 * total


def changing(x):
    x *= 2
    return spread(x)


GIVEN = {"x": np.random.default_rng(0).normal(size=(6, 2))}
BAD = [{"x": np.full((7, 2), np.nan)}]
REVERSED = Claim("order is nothing", lambda given: {"x": given["x"][::-1]})


@pytest.mark.parametrize(
    ("measure", "status", "promise"),
    [
        (in_order, PathStatus, "order is nothing"),
        (late, PathStatus, "bad input is refused before any work"),
        (lambda x: Measurement(0.0), PathStatus, "bad input is refused before any work"),
        (lambda x: float(spread(x)), PathStatus, "a result"),
        (spread, LLCStatus, "a result"),
        (lambda x: Measurement(float(spread(x)), -1.0), PathStatus, "a result"),
        (changing, PathStatus, "the same question has the same answer"),
        (lambda x: Measurement(float(spread(x)) + next(counter)), PathStatus, "the same question has the same answer"),
    ],
)
def test_a_measure_that_breaks_a_promise(measure, status, promise):
    check_measure(spread, GIVEN, status=PathStatus, bad=BAD, claims=[REVERSED])
    with pytest.raises(AssertionError, match=f"measure 'mine' breaks the promise \"{promise}\": expected"):
        given = {"x": GIVEN["x"].copy()}
        check_measure(measure, given, status=status, bad=BAD, claims=[REVERSED], name="mine")


# --- languages

XOR = Target("xor", inputs=[[0, 0], [0, 1], [1, 0], [1, 1]], labels=[0, 1, 1, 0], complete=True, loss="bce")
PROGRAM, OTHER = Formula.parse("x0 ^ x1", 2), Formula.parse("x0 & x1", 2)


def altered(**changes):
    """The language of formulas with another part."""
    parts = {name: getattr(LANGUAGE, name) for name in ("name", "program", "fits", "read", "compile")}
    return Language(**parts | changes)


class Importing(Formula):
    @property
    def source(self):
        return "import math\n" + super().source


class Wrong(Formula):
    @property
    def source(self):
        return "def program(x):\n    return 0\n"


class Weightless(Formula):
    @property
    def bits(self):
        return 0.0


@pytest.mark.parametrize(
    ("language", "program", "unequal", "promise"),
    [
        (altered(compile=lambda program: compile_formula(OTHER)), PROGRAM, [], "weights compute the program"),
        (altered(fits=lambda subject: "no"), PROGRAM, [], "weights compute the program"),
        (altered(read=lambda subject, seed: LANGUAGE.read(subject, seed).__class__(None)), PROGRAM, [], "read back"),
        (LANGUAGE, PROGRAM, [Formula.parse("x1 ^ x0", 2)], "equality is decided"),
        (LANGUAGE, Importing.parse("x0 ^ x1", 2), [], "source stands alone"),
        (LANGUAGE, Wrong.parse("x0 ^ x1", 2), [], "source stands alone"),
        (LANGUAGE, Weightless.parse("x0 ^ x1", 2), [], "a program is a value"),
        (LANGUAGE, "x0 ^ x1", [], "a program is a value"),
    ],
)
def test_a_language_that_breaks_a_promise(language, program, unequal, promise):
    with pytest.raises(AssertionError, match=f"language 'boolean' breaks the promise \".*{promise}\": expected"):
        check_language(language, program, XOR, unequal=unequal)


def test_a_language_is_asked_about_a_whole_domain():
    some = Target("some", inputs=[[0.5, 0.0], [0.0, 1.0]], labels=[0, 1], train_fraction=1)
    with pytest.raises(InputError, match="enumerated"):
        check_language(LANGUAGE, PROGRAM, some)
