"""Reading of networks of two residues as Fourier programs."""

from __future__ import annotations

import math

import numpy as np

from allroads.programs.equivalence import Equivalence
from allroads.programs.fourier.distance_irrelevance import distance_irrelevance
from allroads.programs.fourier.fourier_program import FourierProgram
from allroads.programs.fourier.interchange import interchange
from allroads.programs.fourier.pairs import EXPLAINED, KEY, UNIT, losses, why_not_pairs
from allroads.programs.fourier.spectrum import built, centred, explained_by_pair, unit_frequencies, waves
from allroads.programs.fourier.units import last_hidden
from allroads.programs.language import Reading
from allroads.programs.subject import Subject

LARGEST = 256
"""Largest modulus: the logits of all pairs are held at once."""


def fits(subject: Subject) -> str | None:
    """Why a network cannot be read by its frequencies; ``None`` where it can.

    It needs two tokens out of p, which are the residues 0 … p − 1, and a score for each of p answers.
    """
    why, p = why_not_pairs(subject, "residues"), subject.target.interface.vocabulary
    if why is not None or p is None:
        return why
    if p > LARGEST:
        return f"the modulus {p} is above {LARGEST}"
    return None


def read(subject: Subject, seed: int = 0) -> Reading:
    """The Fourier program that a network of two residues computes.

    From the logits of all p² pairs the factors a, b and c are found, then the frequencies. A program asks that their
    cosines have 95 % of the variance of the logits. It must also answer all pairs as the network does.

    Args:
        subject: The network, its point and its target.
        seed: Decides the interventions.

    Returns:
        The reading. The statistics of its equivalence hold the share ``explained`` and those of each frequency. They
        hold the loss, against the network's own answers, of the whole logits. They hold that of the program's waves
        alone (``restricted``) and without these (``excluded``), and the number of hidden ``units`` of each frequency.
        They hold the ``distance_irrelevance`` where neither factor has a common divisor with p.
        Without a program ``why`` gives the share.

    References: [nanda2023] [chughtai2023]
    """
    p = subject.target.interface.vocabulary
    assert p is not None
    pairs = np.indices((p, p)).reshape(2, -1).T
    outputs = subject.outputs(pairs)
    table_bits = p * p * math.log2(p)
    if not np.isfinite(outputs).all():
        return Reading(None, table_bits=table_bits, why="the network's outputs are not finite")
    logits = centred(outputs.reshape(p, p, p))
    found = waves(logits)
    key = tuple(int(k) + 1 for k in np.flatnonzero(found.shares > KEY * found.shares.max(initial=0.0)))
    explained = float(found.shares[[k - 1 for k in key]].sum())
    said = f"{explained:.1%} of the variance of the logits is in cosines of {found.a}x + {found.b}y + {found.c} − z"
    if explained < EXPLAINED:
        by_pair = explained_by_pair(logits, found)
        why = f"{said} ({by_pair:.1%} with amplitudes of each pair's own), and a program asks for {EXPLAINED:.0%}"
        return Reading(None, table_bits=table_bits, why=why)
    if math.gcd(p, *key) > 1:
        return Reading(None, table_bits=table_bits, why=f"{said}, whose frequencies {key} share a divisor with {p}")
    program = FourierProgram(p, key, found.a, found.b, found.c)
    answers = subject.decide(outputs)
    residues = (found.a * pairs[:, 0] + found.b * pairs[:, 1] + found.c) % p
    margins = subject.margins(outputs)
    tie = subject.tie(outputs)
    if tie is not None:
        return Reading(None, table_bits=table_bits, why=f"{said}, but {tie}")
    wrong = np.flatnonzero(answers != residues)
    if len(wrong):
        pair = pairs[wrong[0]]
        why = f"{said}, but on {pair.tolist()} the network answers {answers[wrong[0]]} and not {residues[wrong[0]]}"
        return Reading(None, table_bits=table_bits, why=f"{why} ({len(wrong)} of {p * p} pairs differ)")
    own = built(found, key, p)
    table = answers.reshape(p, p)
    stats = {
        "explained": explained,
        "explained_by_pair": explained_by_pair(logits, found),
        "shares": {k: float(found.shares[k - 1]) for k in key},
        **losses(logits, own, table),
    }
    if math.gcd(found.a, p) == math.gcd(found.b, p) == 1:
        right = np.take_along_axis(outputs, residues[:, None], axis=1).reshape(p, p)
        stats["distance_irrelevance"] = distance_irrelevance(right, found.a, found.b)
    layer = last_hidden(subject, pairs)
    exchanged = None
    if layer is not None:
        hidden, outputs_from = layer
        frequency, share = unit_frequencies(hidden.reshape(p, p, -1), found.a, found.b)
        tuned = frequency[share >= UNIT]
        stats["units"] = {int(k): int((tuned == k).sum()) for k in np.unique(tuned)}
        stats["untuned"] = int((share < UNIT).sum())
        units = np.where(share >= UNIT, frequency, 0)
        exchanged = interchange(hidden, outputs_from, units, key, residues, seed)
    equivalence = Equivalence(True, "exhaustive", p * p, margin=float(margins.min()), stats=stats)
    return Reading(program, equivalence, exchanged, table_bits, said)
