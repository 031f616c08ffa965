"""The smallest circuit of a Boolean function by SAT; read by search_cost.py, in a Python that has python-sat.

Reads ``{"table": [...], "conflicts": most}`` and writes JSON. A circuit of r gates is a choice of two earlier nodes for
each gate and of its value on each pair of bits, such that the last gate gives the table. Negation is free, so functions
and gates that are 0 where all inputs are 0 are enough. r grows from the least that reads all variables.
"""

from __future__ import annotations

import itertools
import json
import sys
import time

from pysat.solvers import Glucose4


def clauses_of(table: list[int], bits: int, gates: int) -> tuple[list[list[int]], int]:
    """Clauses, and how many variables they use."""
    numbers = itertools.count(1)
    nodes = range(bits + gates)
    select = {(g, a, b): next(numbers) for g in range(gates) for a, b in itertools.combinations(range(bits + g), 2)}
    rule = {(g, p, q): next(numbers) for g in range(gates) for p, q in ((0, 1), (1, 0), (1, 1))}
    value = {(g, row): next(numbers) for g in range(gates) for row in range(1, len(table))}
    clauses: list[list[int]] = []
    for g in range(gates):
        mine = [select[key] for key in select if key[0] == g]
        clauses.append(mine)
        clauses += [[-one, -other] for one, other in itertools.combinations(mine, 2)]
        f01, f10, f11 = (rule[g, p, q] for p, q in ((0, 1), (1, 0), (1, 1)))
        # No gate that is constant or one of its inputs.
        clauses += [[f01, f10, f11], [f01, -f10, -f11], [-f01, f10, -f11]]
    for node in nodes[:-1]:  # every node is read
        clauses.append([var for (g, a, b), var in select.items() if node in (a, b)])

    def literal(node: int, row: int, wanted: int) -> int | bool:
        """A literal that is false where the node has the wanted bit; True where it can never have it."""
        if node < bits:
            return (row >> node & 1) != wanted
        variable = value[node - bits, row]
        return -variable if wanted else variable

    for (g, a, b), chosen in select.items():
        for row in range(1, len(table)):
            for p, q, out in itertools.product((0, 1), repeat=3):
                parts = literal(a, row, p), literal(b, row, q)
                if True in parts:
                    continue
                clause = [-chosen, *(part for part in parts if part is not False)]
                own = value[g, row]
                if (p, q) == (0, 0):
                    if out == 0:
                        clauses.append([*clause, -own])
                else:
                    clauses.append([*clause, *((-own, rule[g, p, q]) if out else (own, -rule[g, p, q]))])
    clauses += [[value[gates - 1, row] if table[row] else -value[gates - 1, row]] for row in range(1, len(table))]
    return clauses, next(numbers) - 1


def main() -> None:
    given = json.load(sys.stdin)
    table = [bit ^ given["table"][0] for bit in given["table"]]
    bits = len(table).bit_length() - 1
    essential = [i for i in range(bits) if any(table[r] != table[r ^ (1 << i)] for r in range(len(table)))]
    index = {i: place for place, i in enumerate(essential)}
    short = [0] * (1 << len(essential))
    for row, bit in enumerate(table):
        short[sum(1 << index[i] for i in essential if row >> i & 1)] = bit
    start, conflicts, total, left = time.process_time(), 0, 0, given["conflicts"]
    found, gates = None, max(len(essential) - 1, 1)
    while left > 0:
        clauses, variables = clauses_of(short, len(essential), gates)
        total += len(clauses)
        with Glucose4(bootstrap_with=clauses) as solver:
            solver.conf_budget(left)
            found = solver.solve_limited()
            spent = solver.accum_stats()["conflicts"]
        conflicts, left = conflicts + spent, left - spent
        if found is not False:
            break
        gates += 1
    known = found is True
    result = {
        "found": known, "gates": gates if known else None, "least": gates, "conflicts": conflicts, "clauses": total,
        "variables": variables, "seconds": time.process_time() - start,
    }  # fmt: skip
    print(json.dumps(result))


if __name__ == "__main__":
    main()
