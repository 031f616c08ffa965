"""Group programs: composition in a finite group, read out of networks of two elements by characters."""

from allroads.programs.groups.characters import irreps
from allroads.programs.groups.compile import compile_group
from allroads.programs.groups.group_program import GroupProgram, coset_irreps
from allroads.programs.groups.read import fits, read
from allroads.programs.groups.subgroups import subgroups, unit_cosets
from allroads.programs.language import Language

LANGUAGE = Language("groups", GroupProgram, fits, read, compile_group)

__all__ = ["LANGUAGE", "GroupProgram", "compile_group", "coset_irreps", "irreps", "subgroups", "unit_cosets"]
