"""SOAP against Adam, against its first step in closed form, against its rule in NumPy, and under rotations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from allroads import SOAP, Adam, InputError, Network, Problem, explore, float64
from allroads.explorers.recording import Recording

RNG = np.random.default_rng(3)
START = {"b": RNG.normal(size=3), "w": RNG.normal(size=(3, 3))}
NETWORK = Network(lambda key: jax.tree.map(jnp.asarray, START), lambda p, x: jnp.tanh(x @ p["w"] + p["b"]))
PROBLEM = Problem(NETWORK, "mse", RNG.normal(size=(9, 3)), RNG.normal(size=(9, 3)))
LEFT, RIGHT = np.diag([4.0, 1.0, 0.3]), np.diag([2.0, 1.0, 0.5])
TURNS = scipy.stats.ortho_group.rvs(3, size=2, random_state=0)


def path(problem, explorer, start, steps=40):
    with float64():
        population = jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], start)
        record = Recording(records=steps + 1, checkpoints=steps + 1)
        return jax.tree.map(
            lambda leaf: leaf[0], explore(problem, explorer, 1, steps=steps, record=record, start=population).params
        )


def kronecker(left, right):
    """The quadratic ½ tr(A W B Wᵀ), whose Hessian is A ⊗ B."""
    a, b = jnp.asarray(left), jnp.asarray(right)
    network = Network(lambda key: jnp.ones((3, 3)), lambda w, x: x[:, :1] * (jnp.sum((a @ w) * (w @ b)) / 2))
    return Problem(network, lambda f, y: f[:, 0], np.ones((1, 1)), np.zeros((1, 1)))


def test_with_the_bases_kept_at_identity_it_is_adam():
    ours = path(PROBLEM, SOAP(learning_rate=0.01, beta1=0.9, beta2=0.99, largest_side=1), START)
    adam = path(PROBLEM, Adam(learning_rate=0.01, beta1=0.9, beta2=0.99), START)
    for name in START:
        np.testing.assert_allclose(ours[name], adam[name], rtol=0, atol=1e-12)


@pytest.mark.slow
def test_the_first_step_is_the_orthogonal_factor_of_the_gradient():
    """``−η U Vᵀ``; an entry of a vector moves by η."""
    with float64():
        gradient = jax.grad(PROBLEM.mean)(jax.tree.map(jnp.asarray, START))
    u, _, v = np.linalg.svd(gradient["w"])
    moved = path(PROBLEM, SOAP(learning_rate=0.01), START, 1)
    np.testing.assert_allclose(moved["w"][1] - START["w"], -0.01 * u @ v, rtol=0, atol=1e-7)
    np.testing.assert_allclose(moved["b"][1] - START["b"], -0.01 * np.sign(gradient["b"]), rtol=0, atol=1e-7)


@pytest.mark.slow
def test_on_a_kronecker_quadratic_it_goes_the_same_way_in_rotated_coordinates():
    """``A ⊗ B`` and its rotation ``U A Uᵀ ⊗ V B Vᵀ``: SOAP turns with it, Adam does not."""
    u, v = TURNS
    start = RNG.normal(size=(3, 3))
    with float64():
        plain, turned = kronecker(LEFT, RIGHT), kronecker(u @ LEFT @ u.T, v @ RIGHT @ v.T)
    for explorer, turns in ((SOAP(learning_rate=0.05, refresh=3), True), (Adam(learning_rate=0.05), False)):
        here, there = path(plain, explorer, start), path(turned, explorer, u @ start @ v.T)
        assert np.allclose(there, u @ here @ v.T, rtol=0, atol=1e-6) == turns
        assert 0.5 * np.sum((LEFT @ here[-1]) * (here[-1] @ RIGHT)) < 0.5 * np.sum((LEFT @ start) * (start @ RIGHT))


def test_the_path_is_that_of_the_rule_in_numpy():
    a, b, w = LEFT + 0.2, RIGHT - 0.1, RNG.normal(size=(3, 3))
    with float64():
        ours = path(kronecker(a, b), SOAP(learning_rate=0.02, beta1=0.8, beta2=0.9, refresh=4, weight_decay=0.1), w)
    m, s, p, r, expected = np.zeros((3, 3)), np.zeros((3, 3)), np.zeros((3, 3)), np.zeros((3, 3)), [w]
    for t in range(1, 41):
        g = a @ w @ b
        if t == 1:
            q, z = (np.linalg.eigh(c)[1][:, ::-1] for c in (g @ g.T, g.T @ g))
        m, s = 0.8 * m + 0.2 * g, 0.9 * s + 0.1 * (q.T @ g @ z) ** 2
        step = (q.T @ m @ z) / (1 - 0.8**t) / (np.sqrt(s / (1 - 0.9**t)) + 1e-8)
        if t == 1:
            step = step * np.eye(3)  # the first gradient is diagonal in its own bases
        w = w - 0.02 * (q @ step @ z.T + 0.1 * w)
        p, r = 0.9 * p + 0.1 * g @ g.T, 0.9 * r + 0.1 * g.T @ g
        if t % 4 == 0:
            i, j = (np.argsort(-np.diag(c.T @ d @ c)) for c, d in ((q, p), (z, r)))
            s, q, z = s[np.ix_(i, j)], np.linalg.qr(p @ q[:, i])[0], np.linalg.qr(r @ z[:, j])[0]
        expected.append(w)
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-6)


def test_bases_are_renewed_for_all_members_at_once():
    """A batched predicate would turn the branch into a selection, and every step would decompose."""
    explorer = SOAP()
    keys = jax.random.split(jax.random.key(0), 2)
    state = explorer.init(keys, jax.vmap(NETWORK.init)(keys), PROBLEM)
    assert str(jax.make_jaxpr(lambda s: explorer.step(s, PROBLEM)[0].params)(state)).count("cond[") == 2


@pytest.mark.parametrize("options", [{"beta2": 1.0}, {"refresh": 0}, {"largest_side": None}, {"epsilon": -1.0}])
def test_bad_options_are_refused(options):
    with pytest.raises(InputError, match=rf"soap.*{next(iter(options))}"):
        SOAP(**options)
