"""Sequences that should not be bound: random ones, shuffles that keep dinucleotides, windows of real transcripts."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mirscope.errors import InputError

_ROUNDS = 100  # draws of windows before giving up on transcripts that are nearly all N

Chance: TypeAlias = int | np.random.Generator
"""A `random_state`: a number, or a generator that goes on from where it is."""


def random_sequence(
    length: int, *, frequencies: Sequence[float] = (0.25, 0.25, 0.25, 0.25), random_state: Chance = 0
) -> str:
    """A sequence of independent nucleotides.

    Args:
        length: nt.
        frequencies: of A, C, G, U; they add to 1.
        random_state: a number or a generator.
    """
    letters = np.frombuffer(b"ACGU", dtype=np.uint8)
    return np.random.default_rng(random_state).choice(letters, size=length, p=frequencies).tobytes().decode()


def dinucleotide_shuffle(sequence: str, *, random_state: Chance = 0) -> str:
    """A sequence drawn evenly from all with the same first nucleotide and the same count of every dinucleotide.

    The last nucleotide and the count of every nucleotide are then the same too. Any letters. By a random Euler path
    (Altschul and Erikson 1985).

    Args:
        sequence: to be shuffled.
        random_state: a number or a generator.
    """
    if len(sequence) < 4:
        return sequence
    rng = np.random.default_rng(random_state)
    after: dict[str, list[str]] = {}
    for first, second in pairwise(sequence):
        after.setdefault(first, []).append(second)
    end = sequence[-1]
    leaving = [letter for letter in after if letter != end]
    # A random last step from each letter; the walk uses up all steps if and only if these lead from everywhere to the
    # end.
    while True:
        last = {letter: int(rng.integers(len(after[letter]))) for letter in leaving}
        if all(_reaches(letter, end, {k: after[k][i] for k, i in last.items()}) for letter in leaving):
            break
    steps = {}
    for letter, followers in after.items():
        final = [followers[last[letter]]] if letter in last else []
        others = followers[: last[letter]] + followers[last[letter] + 1 :] if final else followers
        order = [others[i] for i in rng.permutation(len(others))]
        steps[letter] = iter(order + final)
    walk = [sequence[0]]
    for _ in range(len(sequence) - 1):
        walk.append(next(steps[walk[-1]]))
    return "".join(walk)


def _reaches(letter: str, end: str, step: dict[str, str]) -> bool:
    for _ in range(len(step)):
        letter = step[letter]
        if letter == end:
            return True
    return False


def random_windows(sequences: Sequence[str], length: int, n_windows: int, *, random_state: Chance = 0) -> list[str]:
    """Windows of real sequences, drawn evenly from all places where one without N fits; one may be drawn twice.

    Args:
        sequences: transcripts; those shorter than `length` are passed over.
        length: nt of each window.
        n_windows: how many.
        random_state: a number or a generator.

    Raises:
        InputError: no sequence is long enough, or the windows hold an N nearly everywhere.
    """
    places = np.cumsum([max(0, len(sequence) - length + 1) for sequence in sequences])
    if not len(places) or not places[-1]:
        raise InputError(
            f"no transcript of {length} nt or more to draw windows from; found {len(sequences)} transcripts"
        )
    rng = np.random.default_rng(random_state)
    windows: list[str] = []
    for _ in range(_ROUNDS):
        drawn = rng.integers(places[-1], size=n_windows - len(windows))
        for record, place in zip(np.searchsorted(places, drawn, side="right"), drawn, strict=True):
            start = place - (places[record - 1] if record else 0)
            windows.append(sequences[record][start : start + length])
        windows = [window for window in windows if "N" not in window]
        if len(windows) == n_windows:
            return windows
    raise InputError(f"only {len(windows)} of {n_windows} windows of {length} nt without an N were found")


def shuffled_windows(windows: Sequence[str], *, random_state: Chance = 0) -> list[str]:
    """Each window with its dinucleotides shuffled."""
    rng = np.random.default_rng(random_state)
    return [dinucleotide_shuffle(window, random_state=rng) for window in windows]


def repaired(
    mirnas: NDArray[np.int64], sites: NDArray[np.int64], *, random_state: Chance = 0
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Another site for each positive pair, so that every miRNA and every site is a negative as often as a positive.

    A permutation of the sites in which no miRNA family meets a cluster of sites that one of its pairs is positive for.
    Where a family is positive for nearly all clusters there may be no such place for a pair.

    Args:
        mirnas: the family of each positive pair's miRNA, (n,) (`splits.families`).
        sites: the cluster of its site, (n,) (`splits.clusters`).
        random_state: a number or a generator.

    Returns:
        The row whose site each pair gets, (n,), and where that makes a negative, bool (n,).
    """
    rng = np.random.default_rng(random_state)
    width = int(sites.max(initial=0)) + 1
    known = np.unique(mirnas * width + sites)

    def wrong(rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        return np.isin(mirnas[rows] * width + sites[order[rows]], known)

    order, rows = rng.permutation(len(sites)), np.arange(len(sites))
    bad = rows[wrong(rows)]
    for _ in range(_ROUNDS):
        if not len(bad):
            break
        for row, other in zip(bad, rng.integers(len(sites), size=len(bad)), strict=True):
            order[row], order[other] = order[other], order[row]
        bad = rows[wrong(rows)]
    return order, ~wrong(rows)
