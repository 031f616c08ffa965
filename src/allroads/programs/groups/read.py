"""Reading of networks of two group elements as group programs."""

from __future__ import annotations

import math

import numpy as np

from allroads.programs.equivalence import Equivalence
from allroads.programs.fourier.pairs import EXPLAINED, KEY, UNIT, losses, why_not_pairs
from allroads.programs.fourier.spectrum import centred
from allroads.programs.fourier.units import last_hidden
from allroads.programs.groups.characters import irreps
from allroads.programs.groups.finite_group import as_rows, finite_group, why_no_group
from allroads.programs.groups.group_program import LARGEST, GroupProgram, confused
from allroads.programs.groups.interchange import interchange
from allroads.programs.groups.spectrum import built, characters, unit_irreps
from allroads.programs.language import Reading
from allroads.programs.subject import Subject


def fits(subject: Subject) -> str | None:
    """Why a network cannot be read by characters; ``None`` where it can.

    It needs two tokens out of n, which are the elements 0 … n − 1, and a score for each of n answers.
    """
    why, n = why_not_pairs(subject, "elements"), subject.target.interface.vocabulary
    if why is not None or n is None:
        return why
    if not 2 <= n <= LARGEST:
        return f"the {n} elements are not between 2 and {LARGEST}"
    return None


def read(subject: Subject, seed: int = 0) -> Reading:
    """The group program that a network of two elements computes.

    The answers to all n² pairs must be the table of a group, without ties. The logits are then held against the
    characters of its representations, and a program asks that these have 95 % of the variance.

    Args:
        subject: The network, its point and its target.
        seed: Decides the interventions.

    Returns:
        The reading. The statistics of its equivalence hold the share ``explained``, those of each representation, and
        the ``total`` of all functions of a b c⁻¹. They hold the ``loss`` of all logits against the network's own
        answers, that of the characters alone (``restricted``) and that without these (``excluded``). They hold the
        number of hidden ``units`` of each representation, and ``untuned`` ones. Without a program ``why`` says which
        law is broken, or gives the share.

    When it fails: groups are read in the numbering of the tokens, and answers such as a b⁻¹ form no group. Addition
    modulo n, which is cyclic, is left to Fourier programs.

    References: [chughtai2023] [stander2024]
    """
    n = subject.target.interface.vocabulary
    assert n is not None
    pairs = np.indices((n, n)).reshape(2, -1).T
    outputs = subject.outputs(pairs)
    table_bits = n * n * math.log2(n)
    if not np.isfinite(outputs).all():
        return Reading(None, table_bits=table_bits, why="the network's outputs are not finite")
    table = subject.decide(outputs).reshape(n, n)
    margins = subject.margins(outputs)
    broken = subject.tie(outputs) or why_no_group(table)
    if not broken and (table == np.add.outer(np.arange(n), np.arange(n)) % n).all():
        broken = f"its answers are sums modulo {n}, which the language fourier reads"
    if broken:
        return Reading(None, table_bits=table_bits, why=f"the network composes in no group: {broken}")
    rows = as_rows(table)
    group, known = finite_group(rows), irreps(rows)
    logits = centred(outputs.reshape(n, n, n))
    found = characters(logits, group, known)
    key = np.flatnonzero(found.shares > KEY * found.shares.max(initial=0.0))
    explained = float(found.shares[key].sum())
    names = tuple(known[i].name for i in key)
    said = f"{explained:.1%} of the variance of the logits is in characters of a b c⁻¹ ({', '.join(names)})"
    if explained < EXPLAINED:
        why = f"{said} and {found.total:.1%} in functions of it; a program asks for {EXPLAINED:.0%}"
        return Reading(None, table_bits=table_bits, why=why)
    same = confused(rows, names)
    if same:
        return Reading(None, table_bits=table_bits, why=f"{said}, which map {len(same) + 1} elements to one matrix")
    program = GroupProgram(rows, names)
    own = built(group, [known[i] for i in key], found.amplitudes[key])
    stats = {
        "explained": explained,
        "total": found.total,
        "shares": {known[i].name: float(found.shares[i]) for i in key},
        **losses(logits, own, table),
    }
    layer = last_hidden(subject, pairs)
    exchanged = None
    if layer is not None:
        hidden, outputs_from = layer
        place, share = unit_irreps(hidden.reshape(n, n, -1), group, known)
        tuned = share >= UNIT
        stats["units"] = {irrep.name: int((place[tuned] == i).sum()) for i, irrep in enumerate(known) if i in key}
        stats["untuned"] = int((~tuned).sum())
        chosen = np.searchsorted(key, place)
        units = np.where(tuned & np.isin(place, key), chosen, -1)
        exchanged = interchange(hidden, outputs_from, units, [known[i] for i in key], group, seed)
    equivalence = Equivalence(True, "exhaustive", n * n, margin=float(margins.min()), stats=stats)
    return Reading(program, equivalence, exchanged, table_bits, said)
