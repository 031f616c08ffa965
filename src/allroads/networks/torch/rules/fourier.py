"""Fourier transforms, and complex numbers as pairs of real ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from allroads.networks.torch.rules.registry import RULES, rule

RULES.update(
    real=jnp.real,
    imag=jnp.imag,
    conj=jnp.conj,
    _conj=jnp.conj,
    conj_physical=jnp.conj,
    resolve_conj=lambda self: self,
    resolve_neg=lambda self: self,
    angle=jnp.angle,
    complex=jax.lax.complex,
)


@rule("view_as_complex")
def _view_as_complex(self: Any) -> Any:
    return jax.lax.complex(self[..., 0], self[..., 1])


@rule("view_as_real")
def _view_as_real(self: Any) -> Any:
    return jnp.stack([jnp.real(self), jnp.imag(self)], axis=-1)


@rule("polar")
def _polar(abs: Any, angle: Any) -> Any:
    return jax.lax.complex(abs * jnp.cos(angle), abs * jnp.sin(angle))


def _along_one(transform: Callable[..., Any]) -> Callable[..., Any]:
    def run(self: Any, n: int | None = None, dim: int = -1, norm: str | None = None) -> Any:
        return transform(self, n, dim, norm)

    return run


def _along_two(transform: Callable[..., Any]) -> Callable[..., Any]:
    def run(self: Any, s: Sequence[int] | None = None, dim: Sequence[int] = (-2, -1), norm: str | None = None) -> Any:
        return transform(self, s, tuple(dim), norm)

    return run


def _along_several(transform: Callable[..., Any]) -> Callable[..., Any]:
    def run(
        self: Any, s: Sequence[int] | None = None, dim: Sequence[int] | None = None, norm: str | None = None
    ) -> Any:
        axes = tuple(dim) if dim is not None else tuple(range(-len(s), 0)) if s is not None else None
        return transform(self, s, axes, norm)

    return run


for _name in ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft"):
    RULES[f"fft_{_name}"] = _along_one(getattr(jnp.fft, _name))
for _name in ("fft", "ifft", "rfft", "irfft"):
    RULES[f"fft_{_name}2"] = _along_two(getattr(jnp.fft, f"{_name}n"))
    RULES[f"fft_{_name}n"] = _along_several(getattr(jnp.fft, f"{_name}n"))


@rule("fft_fftshift")
def _fftshift(self: Any, dim: Any = None) -> Any:
    return jnp.fft.fftshift(self, dim)


@rule("fft_ifftshift")
def _ifftshift(self: Any, dim: Any = None) -> Any:
    return jnp.fft.ifftshift(self, dim)
