"""Programs: languages, extraction from weights, proof, and compilation into weights."""

from allroads.programs.compile import compile_program
from allroads.programs.equivalence import Equivalence
from allroads.programs.extract import Extraction, extract
from allroads.programs.ground_truth import zoo
from allroads.programs.interchange import interchange
from allroads.programs.language import Language, Reading
from allroads.programs.program import Program, shared_parts
from allroads.programs.sandbox import run_source
from allroads.programs.torch_module import torch_module

__all__ = [
    "Equivalence",
    "Extraction",
    "Language",
    "Program",
    "Reading",
    "compile_program",
    "extract",
    "interchange",
    "run_source",
    "shared_parts",
    "torch_module",
    "zoo",
]
