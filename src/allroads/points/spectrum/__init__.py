"""Curvature at one point: eigenvalues, trace, log-determinant, density, effective dimension; the kernel's beside it.

=====================  =============================================================
``spectrum``           Hessian, Gauss–Newton or empirical Fisher matrix of a loss
``kernel_spectrum``    the kernel ``J Jᵀ`` of the parameter–function map
``top_eigenvalue``     the one number that bounds a step size
``*_product``          products with those matrices, pure functions of pytrees
=====================  =============================================================
"""

from allroads.points.spectrum.kernel import kernel_spectrum
from allroads.points.spectrum.options import SpectrumOptions
from allroads.points.spectrum.products import fisher_product, flat_product, gauss_newton_product, hessian_product
from allroads.points.spectrum.results import Density, KernelSpectrum, Spectrum
from allroads.points.spectrum.spectrum import spectrum
from allroads.points.spectrum.top_eigenvalue import top_eigenvalue

__all__ = [
    "Density",
    "KernelSpectrum",
    "Spectrum",
    "SpectrumOptions",
    "fisher_product",
    "flat_product",
    "gauss_newton_product",
    "hessian_product",
    "kernel_spectrum",
    "spectrum",
    "top_eigenvalue",
]
