"""What the grids of a study share is said once; what only some have names those."""

import pytest
from synthetic_study import Task, write_study

from allroads.report.charts.figure import Figure
from allroads.report.grids import read_grids
from allroads.report.page import make_block
from allroads.report.section import Section
from allroads.report.stored import read_stored


@pytest.mark.parametrize(("without", "said"), [(("one", "two"), "Nothing."), (("two",), "two: Nothing.")])
def test_a_sentence_names_its_grids_where_they_are_not_all(tmp_path, without, said):
    stored = read_stored(write_study(tmp_path, [Task("one", "t", seeds=1), Task("two", "t", seeds=1)], records=4))

    def figures(stored, grid):
        return (Figure("c", (), "", absent="Nothing."),) if grid.name in without else ()

    section = Section("c", "C", "C", "c", "", figures=figures)
    assert make_block(section, stored, read_grids(stored)).absent == (said,)
