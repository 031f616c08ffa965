"""Fourier programs: arithmetic modulo p, read out of networks of two residues by their frequencies."""

from allroads.programs.fourier.circularity import circularity
from allroads.programs.fourier.compile import compile_fourier
from allroads.programs.fourier.distance_irrelevance import distance_irrelevance
from allroads.programs.fourier.fourier_program import FourierProgram
from allroads.programs.fourier.gradient_symmetricity import gradient_symmetricity
from allroads.programs.fourier.neuron_level import NeuronLevel, neuron_level
from allroads.programs.fourier.read import fits, read
from allroads.programs.language import Language

LANGUAGE = Language("fourier", FourierProgram, fits, read, compile_fourier)

__all__ = [
    "LANGUAGE",
    "FourierProgram",
    "NeuronLevel",
    "circularity",
    "compile_fourier",
    "distance_irrelevance",
    "gradient_symmetricity",
    "neuron_level",
]
