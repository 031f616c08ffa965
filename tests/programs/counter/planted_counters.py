"""Programs of counters for the tasks that need them, written by hand from the tasks' definitions."""

import numpy as np

from allroads.programs.counter import Counter
from allroads.programs.counter.index import places
from allroads.programs.piecewise import Term

ZERO, C = Term(0), Term("c")
ONE_MORE = [[-1], [1]]

PLANTED = {
    "Majority_0_1": Counter((0, 1), ONE_MORE, Term("<", (ZERO, C))),
    "Majority_0_2": Counter((0, 1, 2), np.eye(3, dtype=int), Term(places(3)[0])),
    "Majority_0_3": Counter((0, 1, 2, 3), np.eye(4, dtype=int), Term(places(4)[0])),
    "Balanced_Parenthesis": Counter((0, 1), [[1], [-1]], Term("==", (C, ZERO)), latch=Term("<", (C, ZERO))),
    "Evens_Counter": Counter(range(10), [[1 - i % 2] for i in range(10)], C),
}

BRACKETS = PLANTED["Balanced_Parenthesis"]
AS_MANY = Counter((0, 1), [[1], [-1]], Term("==", (C, ZERO)))
