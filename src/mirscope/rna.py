"""RNA: alphabet and int8 codes, complement, seed types, structures, energies. Sequences are 5'->3' RNA in capitals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

import numpy as np
import RNA
from numpy.typing import NDArray

MIRNA_LENGTHS = (10, 40)
"""nt of what may be a mature miRNA, at least and at most."""
ALPHABET = "ACGUN"
"""A letter's index is its code; N, the last, is also the padding."""
N = ALPHABET.index("N")

_CODES = np.full(256, N, dtype=np.int8)
_CODES[np.frombuffer(ALPHABET.encode(), dtype=np.uint8)] = np.arange(len(ALPHABET))
_LETTERS = np.frombuffer(ALPHABET.encode(), dtype=np.uint8)
_COMPLEMENT = str.maketrans("ACGU", "UGCA")


def encode(sequences: Sequence[str], length: int | None = None) -> NDArray[np.int8]:
    """Codes of the sequences, N at the right of short ones.

    Args:
        sequences: normalised RNA (capitals A C G U N).
        length: columns of the result; longer sequences are cut at the right. Default: the longest.

    Returns:
        int8 (n, length).
    """
    if length is None:
        length = max(map(len, sequences), default=0)
    text = "".join(sequence[:length].ljust(length, "N") for sequence in sequences)
    return _CODES[np.frombuffer(text.encode(), dtype=np.uint8)].reshape(len(sequences), length)


def decode(codes: NDArray[np.int8]) -> list[str]:
    """The strings of codes (n, length); padding comes back as N."""
    return [row.tobytes().decode() for row in _LETTERS[codes]]


BRACKETS = ".()"
"""Dot-bracket: unpaired, paired with a later nucleotide, with an earlier one; a sign's index is its code."""
_BRACKET_CODES = np.zeros(256, dtype=np.int8)
_BRACKET_CODES[np.frombuffer(BRACKETS.encode(), dtype=np.uint8)] = np.arange(len(BRACKETS))


def encode_structures(structures: Sequence[str], length: int) -> NDArray[np.int8]:
    """Codes int8 (n, length) of structures in dot-bracket, unpaired at the right of short ones, cut like `encode`."""
    text = "".join(structure[:length].ljust(length, ".") for structure in structures)
    return _BRACKET_CODES[np.frombuffer(text.encode(), dtype=np.uint8)].reshape(len(structures), length)


def fold(sequence: str) -> tuple[str, float]:
    """The structure of least energy in dot-bracket and its energy, kcal/mol, by ViennaRNA's RNAfold (37 C)."""
    structure, mfe = RNA.fold(sequence)
    return structure, round(float(mfe), 2)


def layout(structure: str) -> NDArray[np.float64]:
    """Where to draw each nucleotide of a hairpin (n, 2): its stem from left to right, the 5' strand on top.

    As RNAplot's: a loop is a circle, neighbours and pairs a unit apart; but the shorter side of a bulge or internal
    loop is stretched to the longer one, so that stems stay straight. (RNAplot's own functions write beyond their memory
    where loops are many.) The flanks of a single stem spread; what has no base pair is a straight line.
    """
    pairs = base_pairs(structure)
    if not pairs:
        return np.stack([np.arange(len(structure), dtype=float), np.zeros(len(structure))], 1)
    partner, (i, j) = dict(pairs), pairs[-1]
    single = i == structure.index("(")
    spots = np.zeros(len(structure), dtype=complex)
    spots[[i, j]] = 0.5j, -0.5j
    if single:
        out = np.arange(1, len(structure) + 1) * np.exp(1j * _SPREAD)
        spots[:i], spots[j + 1 :] = (0.5j - out[:i].conj())[::-1], -0.5j - out[: len(structure) - j - 1]
    todo = [(i, j, 0.5j, -0.5j) if single else (-1, len(structure), 0.5j, -0.5j)]
    while todo:
        first, last, left, right = todo.pop()  # what closes a loop, and where it is
        sides: list[list[int]] = [[]]
        branches: list[tuple[int, int]] = []
        place = first + 1
        while place < last:
            if place in partner:
                branches.append((place, partner[place]))
                sides.append([])
                place = partner[place]
            else:
                sides[-1].append(place)
            place += 1
        widths = [len(side) + 1 for side in sides]
        if len(branches) == 1:
            widths = [max(widths)] * 2
        angle = 2 * math.pi / (sum(widths) + len(branches) + 1)
        centre = (left + right) / 2 - 0.5j * (left - right) / math.tan(angle / 2)
        done = 0
        for side, width, branch in zip(sides, widths, [*branches, None], strict=True):
            steps = done + np.arange(1, len(side) + 1) * width / (len(side) + 1)
            spots[side] = centre + (left - centre) * np.exp(-1j * angle * steps)
            done += width
            if branch:
                spots[list(branch)] = ends = centre + (left - centre) * np.exp(-1j * angle * np.array([done, done + 1]))
                todo.append((*branch, *ends))
                done += 1
    chain = np.array(stem(structure))
    spots -= spots[chain[0]].mean()
    end = spots[slice(*terminal_loop(structure))] if chain[-1, 0] + 1 < chain[-1, 1] else spots[chain[-1]]
    if abs(end.mean()) > 0.1:  # a stem that branches does not point to the right by itself
        spots *= abs(end.mean()) / end.mean()
    return np.stack([spots.real, spots.imag], 1)


_SPREAD = math.radians(12)  # of flanks, from the stem's axis
_PAIRED = {"AU", "UA", "CG", "GC", "GU", "UG"}
LEAST_LOOP = 3
"""Unpaired nt that a base pair encloses at least."""


def energy(sequence: str, structure: str) -> float:
    """Energy of a structure in dot-bracket, kcal/mol, by ViennaRNA's RNAeval (37 C).

    Base pairs that are none (A-C, N, a loop of fewer than 3 nt), as a structure from elsewhere may have, count as
    unpaired: the model has no energy of them.
    """
    signs = list(structure)
    for i, j in base_pairs(structure):
        if sequence[i] + sequence[j] not in _PAIRED or j - i <= LEAST_LOOP:
            signs[i] = signs[j] = "."
    return round(float(RNA.eval_structure_simple(sequence, "".join(signs))), 2) if sequence else 0.0


def numbers(sequence: str, structure: str, mfe: float) -> tuple[int, float, float, float, float]:
    """Of a fold: length (nt), energy (kcal/mol) and that for each nt, shares of G and C and of paired nt."""
    n = len(sequence)
    each = max(n, 1)
    n_gc = sequence.count("G") + sequence.count("C")
    return n, mfe, mfe / each, n_gc / each, (n - structure.count(".")) / each


def base_pairs(structure: str) -> list[tuple[int, int]]:
    """The base pairs (i, j), i < j, of a structure in dot-bracket, by j.

    Raises:
        ValueError: another sign, or a bracket without its other half.
    """
    opened, found = [], []
    for place, sign in enumerate(structure):
        if sign == "(":
            opened.append(place)
        elif sign == ")" and opened:
            found.append((opened.pop(), place))
        elif sign != ".":
            problem = "closes no pair" if sign == ")" else "is none of . ( )"
            raise ValueError(f"{sign!r} at position {place + 1} of the structure {problem}")
    if opened:
        raise ValueError(f"'(' at position {opened[-1] + 1} of the structure opens no pair")
    return found


def stem(structure: str) -> list[tuple[int, int]]:
    """The base pairs (i, j) of a hairpin's main stem, outermost first; none where nothing pairs.

    They are the nested pairs that lead to one terminal loop, and of a structure with several such loops those that lead
    to the deepest, which has the most pairs around it; of equals the 5' one.

    Raises:
        ValueError: as `base_pairs`.
    """
    found = base_pairs(structure)
    depth = list(accumulate({"(": 1, ")": -1}.get(sign, 0) for sign in structure))
    deepest = depth.index(max(depth)) if depth else 0
    return [(i, j) for i, j in reversed(found) if i <= deepest < j]


def terminal_loop(structure: str) -> tuple[int, int]:
    """The loop that closes a hairpin's main stem (`stem`): its interval, 0-based, half-open; -1, -1 where none is."""
    closing = stem(structure)[-1:]
    return (closing[0][0] + 1, closing[0][1]) if closing else (-1, -1)


def structure_problem(sequence: str, structure: str) -> str:
    """What is wrong with a structure of this sequence; empty: nothing."""
    if len(structure) != len(sequence):
        return f"a structure of {len(structure)} signs; expected {len(sequence)}, as the sequence has nt"
    try:
        base_pairs(structure)
    except ValueError as error:
        return f"{error}; expected dot-bracket"
    return ""


def reverse_complement(sequence: str) -> str:
    """The strand that pairs with the sequence, 5'->3'."""
    return sequence.translate(_COMPLEMENT)[::-1]


_PLATE = "BD0EF1HI2JK3LM4NO5PQ6RS7UV8WX9YZ"


def uid(sequence: str, prefix: str = "iso") -> str:
    """The name that the sequence alone determines, `iso-22-...` (MINTplates of Pliatsika et al. 2016, as mirGFF3 asks).

    Five nucleotides are a number of two digits to the base 32; the rest at the 3' end is numbered with the shorter
    ones first, without a leading zero.

    Raises:
        ValueError: N in the sequence.
    """
    if set(sequence) - set("ACGU"):
        raise ValueError(f"{sequence!r} is no sequence of A C G U; expected no N")
    text = []
    for start in range(0, len(sequence), 5):
        piece = sequence[start : start + 5]
        number = sum("ACGU".index(letter) * 4**place for place, letter in enumerate(reversed(piece)))
        if len(piece) < 5:
            number += sum(4**n for n in range(1, len(piece)))
        text.append((_PLATE[number // 32] if len(piece) == 5 or number >= 32 else "") + _PLATE[number % 32])
    return f"{prefix}-{len(sequence)}-{''.join(text)}"


def sequence_of(name: str) -> str:
    """The sequence of a `uid`.

    Raises:
        ValueError: it is none.
    """
    *_, length, plate = name.split("-") if name.count("-") else ("", "", "")
    if not length.isdigit() or set(plate) - set(_PLATE):
        raise ValueError(f"{name!r} is no UID; expected prefix-length-code")
    n_whole, rest = divmod(int(length), 5)
    pieces = [(5, plate[2 * i : 2 * i + 2]) for i in range(n_whole)] + [(rest, plate[2 * n_whole :])] * bool(rest)
    text = []
    for size, digits in pieces:
        number = 0
        for digit in digits:
            number = number * 32 + _PLATE.index(digit)
        number -= sum(4**n for n in range(1, size)) if size < 5 else 0
        text.append("".join("ACGU"[number // 4**place % 4] for place in reversed(range(size))))
    sequence = "".join(text)
    if uid(sequence, name.rsplit("-", 2)[0]) != name:
        raise ValueError(f"{name!r} is no UID; expected prefix-length-code")
    return sequence


@dataclass(frozen=True)
class SeedType:
    """A class of perfect match to the miRNA's 5' part (TargetScan's definitions; Bartel 2009, Friedman 2009).

    The target pairs (Watson-Crick only) with miRNA nucleotides `first` to `last`, and has, where `a1`, an A opposite
    nucleotide 1, whatever the miRNA's own first nucleotide is.
    """

    name: str
    first: int
    last: int
    a1: bool = False


SEED_TYPES = (
    SeedType("8mer", 2, 8, a1=True),
    SeedType("7mer-m8", 2, 8),
    SeedType("7mer-A1", 2, 7, a1=True),
    SeedType("6mer", 2, 7),
    SeedType("offset-6mer", 3, 8),
)
"""Best first: the type of a site is the first that fits."""

_ANCHOR = 7  # every type pairs this miRNA nucleotide


def seed_matches(mirna: NDArray[np.int8], target: NDArray[np.int8]) -> NDArray[np.bool_]:
    """Where each seed type fits a target; a place with an 8mer has a 7mer-m8, a 7mer-A1 and a 6mer as well.

    Args:
        mirna: codes (n,), or (k, n) of k miRNAs.
        target: codes (length,), or (k, length): one for each.

    Returns:
        bool (types, length), or (types, k, length), in the order of `SEED_TYPES`. A match stands at the target
        nucleotide opposite miRNA nucleotide 7, which every type pairs; `seed_interval` turns the place into an
        interval. N never matches.
    """
    length = target.shape[-1]
    padded = np.full((*target.shape[:-1], length + 7), N, dtype=np.int8)
    padded[..., 1 : length + 1] = target
    seed = np.full((*mirna.shape[:-1], 9), N, dtype=np.int8)
    seed[..., 1 : 1 + min(8, mirna.shape[-1])] = mirna[..., :8]

    def opposite(nucleotide: int) -> NDArray[np.int8]:
        offset = 1 + _ANCHOR - nucleotide
        return padded[..., offset : offset + length]

    def fits(nucleotide: int) -> NDArray[np.bool_]:
        own = seed[..., nucleotide, None]
        return (opposite(nucleotide) == 3 - own) & (own != N)  # A0-U3, C1-G2: codes add to 3

    paired = {k: fits(k) for k in range(2, 9)}
    a1 = opposite(1) == ALPHABET.index("A")
    core = np.logical_and.reduce([paired[k] for k in range(3, 8)])
    found = np.empty((len(SEED_TYPES), *core.shape), dtype=bool)
    for index, kind in enumerate(SEED_TYPES):
        found[index] = core
        for k in (kind.first, kind.last):
            found[index] &= paired[k]
        if kind.a1:
            found[index] &= a1
    return found


def seed_interval(place: int, kind: SeedType) -> tuple[int, int]:
    """Interval (0-based, half-open) on the target of a seed match found at `place` by `seed_matches`."""
    return place + _ANCHOR - kind.last, place + _ANCHOR - (1 if kind.a1 else kind.first) + 1


def seed_type(mirna: str, target: str) -> str:
    """Name of the best seed type that the miRNA has anywhere in the target; empty where none."""
    return best_seed_types([mirna], [target])[0]


def best_seed_types(mirnas: Sequence[str], targets: Sequence[str]) -> list[str]:
    """`seed_type` of each miRNA and the target in its place."""
    fits = seed_matches(encode(mirnas), encode(targets)).any(-1)
    best = np.where(fits.any(0), fits.argmax(0), len(SEED_TYPES)).tolist()
    return [SEED_TYPES[place].name if place < len(SEED_TYPES) else "" for place in best]


@dataclass(frozen=True)
class Duplex:
    """The minimum-free-energy duplex of a miRNA and a target, without pairs inside either strand.

    `target`, `pairs` and `mirna` are lines of equal length: the target 5'->3', the pairs (`|` Watson-Crick, `:` G-U,
    space none) and the miRNA 3'->5', with `-` where one strand has no nucleotide. `start`, `end` is the paired part of
    the target (0-based, half-open); `mfe` is in kcal/mol.
    """

    mfe: float
    start: int
    end: int
    target: str
    pairs: str
    mirna: str

    def __str__(self) -> str:
        return f"target 5' {self.target} 3'\n          {self.pairs}\nmiRNA  3' {self.mirna} 5'"


def duplex(mirna: str, target: str) -> Duplex:
    """The best duplex by ViennaRNA's RNAduplex (Lorenz et al. 2011); of no pairs and energy 0 where none is stable."""
    if not mirna or not target:
        return Duplex(0.0, 0, 0, "", "", "")
    found = RNA.duplexfold(mirna, target)
    strand, _, opposite = found.structure.partition("&")
    if "(" not in strand or found.energy >= 0:
        return Duplex(0.0, 0, 0, "", "", "")
    mirna_start, start = found.i - len(strand), found.j - 1  # RNAduplex: i ends the first strand, j starts the second
    ups = [mirna_start + k for k, bracket in enumerate(strand) if bracket == "("][::-1]
    downs = [start + k for k, bracket in enumerate(opposite) if bracket == ")"]
    return draw(mirna, target, list(zip(ups, downs, strict=True)), mfe=round(found.energy, 2))


def draw(mirna: str, target: str, base_pairs: Sequence[tuple[int, int]], *, mfe: float = math.nan) -> Duplex:
    """The drawing of a duplex of these base pairs (place in the miRNA, in the target), in order along the target.

    Args:
        mirna: 5'->3'.
        target: 5'->3'.
        base_pairs: at least one.
        mfe: energy, if it is known, kcal/mol.
    """
    lines: list[list[str]] = [[], [], []]
    last_up, last_down = base_pairs[0][0] + 1, base_pairs[0][1] - 1
    for up, down in base_pairs:
        loop, bulge = target[last_down + 1 : down], mirna[up + 1 : last_up][::-1]
        width = max(len(loop), len(bulge))
        wobble = {mirna[up], target[down]} == {"G", "U"}
        lines[0] += [loop.ljust(width, "-"), target[down]]
        lines[1] += [" " * width, ":" if wobble else "|"]
        lines[2] += [bulge.ljust(width, "-"), mirna[up]]
        last_up, last_down = up, down
    drawn = ["".join(line) for line in lines]
    return Duplex(mfe, base_pairs[0][1], base_pairs[-1][1] + 1, *drawn)


def drawn_pairs(mirna: str, start: int, target_line: str, pairs_line: str, mirna_line: str) -> list[tuple[int, int]]:
    """The base pairs (place in the miRNA, in the target) of a drawing as `Duplex` has it; what `draw` was given.

    Where the drawn piece of the miRNA comes twice in it, the one nearer its 5' end.

    Args:
        mirna: 5'->3'.
        start: first paired nt of the target.
        target_line: of the drawing, as the other lines.
        pairs_line: empty where there is no duplex.
        mirna_line: 3'->5'.
    """
    piece = mirna_line.replace("-", "")[::-1]
    up, down, found = mirna.index(piece) + len(piece) - 1, start, []
    for target, sign, opposite in zip(target_line, pairs_line, mirna_line, strict=True):
        if sign != " ":
            found.append((up, down))
        up, down = up - (opposite != "-"), down + (target != "-")
    return found


def duplex_mfe(mirna: str, target: str) -> float:
    """Energy of the best duplex, kcal/mol: the `mfe` of `duplex`, without the drawing; 0 where none is stable."""
    if not mirna or not target:
        return 0.0
    return min(round(RNA.duplexfold(mirna, target).energy, 2), 0.0)


def joint_mfe(mirna: str, target: str) -> float:
    """Energy of the best joint structure of two strands by RNAcofold, kcal/mol: pairs inside a strand count too."""
    return round(float(RNA.cofold(f"{mirna}&{target}")[1]), 2)


def binding_energy(mirna: str, target: str) -> float:
    """What the best joint structure of two strands gains over each strand's own, kcal/mol, 0 or less.

    Energies of ViennaRNA's RNAcofold and RNAfold; pairs inside a strand are allowed in both.
    """
    if not mirna or not target:
        return 0.0
    return min(round(joint_mfe(mirna, target) - _fold_mfe(mirna) - _fold_mfe(target), 2), 0.0)


@lru_cache(maxsize=1 << 14)
def _fold_mfe(sequence: str) -> float:
    """Energy of the best structure of one strand; a scan asks for the same strands again and again."""
    return float(RNA.fold(sequence)[1])
