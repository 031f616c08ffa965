"""The source of a user's module, and the line that its networks are to compute."""

import numpy as np

MODULE = """
import equinox as eqx
import jax
import jax.numpy as jnp
import torch

from allroads import Network


class Tied(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first = torch.nn.Linear(3, 3)
        self.norm = torch.nn.BatchNorm1d(3)
        self.second = torch.nn.Linear(3, 3)
        self.second.weight = self.first.weight

    def forward(self, x):
        return self.second(self.norm(self.first(x)))


def torch_line():
    torch.manual_seed(0)
    return torch.nn.Linear(3, 1)


def torch_tied():
    return Tied()


def equinox_line(key):
    return eqx.nn.Linear(3, 1, key=key)


def pair():
    return lambda key: {"w": jnp.zeros((3, 1)), "b": jnp.zeros(1)}, lambda params, x: x @ params["w"] + params["b"]


def with_params():
    init, apply = pair()
    return Network(init, apply), {"w": jnp.ones((3, 1)), "b": jnp.ones(1)}


def by_interface(interface):
    shape = (*interface.input_shape, interface.outputs)
    return Network(lambda key: jax.random.normal(key, shape), lambda params, x: x @ params)


def broken():
    raise RuntimeError("the flux capacitor is missing")


def nothing():
    return 5


def absolute(outputs, labels):
    return jnp.abs(outputs - labels).mean(axis=1)


value = 5
"""

SLOPE, OFFSET = np.array([[2.0], [-1.0], [0.5]]), np.array([0.25])
