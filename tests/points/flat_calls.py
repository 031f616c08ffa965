"""Measures of a point called with network, point, loss and data, and all options, side by side."""

import dataclasses
import math

import allroads
from allroads import Problem
from allroads.points.spectrum import SpectrumOptions
from allroads.points.spectrum import loss_matrix as of_loss_matrix
from allroads.points.volume import RayCasting, Splitting


def top_eigenvalue(network, params, loss, inputs, labels, **options):
    return allroads.top_eigenvalue(Problem(network, loss, inputs, labels), params, **options)


def spectrum(network, params, loss, inputs, labels, nbeta=None, localisation=1.0, **given):
    count = len(inputs)
    nbeta = nbeta or (count / math.log(count) if count > 1 else 1.0)
    options, given = split(SpectrumOptions, given)
    problem = Problem(network, loss, inputs, labels)
    return allroads.spectrum(problem, params, shift=localisation / nbeta, options=SpectrumOptions(**options), **given)


def kernel_spectrum(network, params, inputs, **given):
    options, given = split(SpectrumOptions, given)
    return allroads.kernel_spectrum(network, params, inputs, options=SpectrumOptions(**options), **given)


def loss_matrix(network, params, loss, inputs, labels, kind, **sizes):
    problem = Problem(network, loss, inputs, labels)
    return of_loss_matrix.loss_matrix(problem, problem.point(params), kind, **sizes)


def local_volume(network, params, loss, inputs, labels, method="splitting", **given):
    rays, given = split(RayCasting, given)
    particles, given = split(Splitting, given)
    chosen = {"ray": lambda: RayCasting(**rays), "splitting": lambda: Splitting(**particles)}.get(
        method, lambda: method
    )()
    return allroads.local_volume(Problem(network, loss, inputs, labels), params, method=chosen, **given)


def volume_scaling(network, params, loss, inputs, labels, **given):
    own, given = split(Splitting, given)
    return allroads.volume_scaling(Problem(network, loss, inputs, labels), params, method=Splitting(**own), **given)


def function_log_probability(network, inputs, labels, loss="bce", **given):
    own, given = split(Splitting, given)
    return allroads.function_log_probability(Problem(network, loss, inputs, labels), method=Splitting(**own), **given)


def quantised_size(network, params, loss, inputs, labels, **options):
    return allroads.quantised_size(Problem(network, loss, inputs, labels), params, **options)


def compressed_length(network, params, loss, inputs, labels, **options):
    return allroads.compressed_length(Problem(network, loss, inputs, labels), params, **options)


def factorised_size(network, params, loss, inputs, labels, **options):
    return allroads.factorised_size(Problem(network, loss, inputs, labels), params, **options)


def network_complexity(network, params, loss, inputs, labels, **options):
    return allroads.network_complexity(Problem(network, loss, inputs, labels), params, **options)


def split(kind, given):
    names = {field.name for field in dataclasses.fields(kind)}
    own = {name: value for name, value in given.items() if name in names}
    return own, {name: value for name, value in given.items() if name not in names}
