"""Training in one compiled scan, for tests of what networks learn."""

import jax
import optax


def descended(loss, params, rule, steps):
    """The point after so many steps of an optax rule down a loss of the parameters."""

    @jax.jit
    def run(params, state):
        def step(carry, _):
            params, state = carry
            change, state = rule.update(jax.grad(loss)(params), state, params)
            return (optax.apply_updates(params, change), state), None

        return jax.lax.scan(step, (params, state), None, length=steps)[0][0]

    return run(params, rule.init(params))
