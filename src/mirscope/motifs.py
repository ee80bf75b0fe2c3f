"""What the kernels of a network look for: position matrices of first-layer kernels, compared with known motifs.

A kernel becomes a matrix in two ways. `weights`: the matrix of most entropy that the kernel likes as much as its
favourite windows, i.e. each nucleotide at each place in proportion to exp(scale * weight), the scale such that the
matrix holds log2(1 / share) bits. `windows`: the counts of nucleotides in the favourite windows themselves, the best
`share` of all different windows of a set of pairs. Both say what raises the kernel, not what the network makes of it.

Comparison is TOMTOM's (Gupta et al. 2007) by memelite, without the ends of a matrix that say next to nothing; q-values
are Benjamini and Hochberg's over all comparisons with one database. The floor is the same comparison of the same
matrices with their positions shuffled.
"""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from mirscope import datasets, enrich, io, plot, rna, runs
from mirscope.errors import InputError, UsageError
from mirscope.io import Motif, MotifSet, Record
from mirscope.models import PAIR, Kernels, Model, expect, named

log = logging.getLogger(__name__)

Matrix = NDArray[np.float64]

METHODS = ("weights", "windows")
"""How a kernel becomes a matrix."""
SHARE = 0.01
"""Of the windows: those that a kernel likes best."""
DATABASES = {
    "rbp": ("rbp_attract_2017_12", "rbp_rbpdb_2017_12"),
    "jaspar": ("jaspar2024_core_vertebrates",),
}
"""Names of databases, and their files in the catalogue."""
SEEDS = "seeds"
"""The database of miRNA seeds: not a file of motifs, but the miRNAs of `MIRNAS`."""
MIRNAS = "hsa_mature_mirbase22"
SIGNIFICANT = 0.05
"""q-value below which a kernel is like a motif."""
KERNEL_COLUMNS = ("kernel", "part", "method", "width", "bits", "consensus", "n_windows", "active")
MATCH_COLUMNS = (
    "kernel",
    "method",
    "database",
    "motif_id",
    "motif_name",
    "pvalue",
    "qvalue",
    "offset",
    "overlap",
    "strand",
    "motif_consensus",
)
SUMMARY_COLUMNS = (
    "database",
    "method",
    "n_kernels",
    "n_similar",
    "floor_mean",
    "floor_most",
    "best_pvalue",
    "floor_best_pvalue",
)

_UNITS = 64  # kernels at a time along all windows
_IUPAC = {"A": "A", "C": "C", "G": "G", "U": "U", "AG": "R", "CU": "Y", "AC": "M", "GU": "K", "AU": "W", "CG": "S"}
EDGE = 0.25
"""Bits that a position at the end of a matrix has at least, to be compared."""
SHORTEST = 4
"""Positions that are compared at least; a shorter matrix is like none (p 1)."""
_FEWEST = 25  # motifs of a database: memelite takes the background of its p-values from them


@dataclass(frozen=True)
class KernelMotifs:
    """The matrices of a network's kernels."""

    table: pd.DataFrame
    """Columns `KERNEL_COLUMNS`, a row for each kernel and method; bits are of the matrix; `n_windows` those it was made
    of (0: of weights), `active` the share of all different windows in which the kernel fires (NaN: of weights)."""
    motifs: tuple[Motif, ...]
    """Of each row; `kernel_method` by id."""


def kernels(model: Model) -> tuple[Kernels, ...]:
    """The model's kernels that read nucleotides.

    Raises:
        UsageError: it has none.
    """
    expect(model, PAIR)
    found = model.kernels()
    if not found:
        raise UsageError(f"{named(model)} has no kernels that read nucleotides; expected a network with convolutions")
    return found


def motifs(model: Model, pairs: pd.DataFrame | None = None, *, share: float = SHARE) -> KernelMotifs:
    """The matrices of all kernels, from their weights and, where pairs are given, from the windows that raise them.

    Args:
        model: stays as it is.
        pairs: columns mirna_seq and target_seq; each different sequence and window counts once.
        share: of the windows that count as a kernel's favourites, from 0 to 1, both excluded.

    Raises:
        UsageError: the model has no kernels, or no such share.
        InputError: no window of the pairs is as long as a kernel.
    """
    if not 0 < share < 1:
        raise UsageError(f"share is {share}; expected a number between 0 and 1")
    rows: list[tuple[Any, ...]] = []
    found: list[Motif] = []
    numbers = dict.fromkeys(PAIR, 0)
    with torch.inference_mode():
        banks = kernels(model)
        codes = dict(zip(PAIR, model.encode(*model.columns(pairs)), strict=True)) if pairs is not None else {}
        for bank in banks:
            ids = [f"{bank.part}{numbers[bank.part] + unit}" for unit in range(len(bank.weight))]
            numbers[bank.part] += len(ids)
            for kernel, effect in zip(ids, main_effects(bank), strict=True):
                _add(rows, found, kernel, bank.part, "weights", tilted(effect, -math.log2(share)), 0, math.nan)
            if pairs is None:
                continue
            for kernel, (counts, active) in zip(ids, favourites(bank, codes[bank.part], share=share), strict=True):
                n = int(counts.sum(1)[0])
                if n:
                    _add(rows, found, kernel, bank.part, "windows", counts / n, n, active)
    table = pd.DataFrame(rows, columns=list(KERNEL_COLUMNS))
    order = np.lexsort((np.arange(len(table)), table["method"].map(METHODS.index)))
    return KernelMotifs(table.iloc[order].reset_index(drop=True), tuple(found[number] for number in order))


def _add(
    rows: list[tuple[Any, ...]],
    found: list[Motif],
    kernel: str,
    part: str,
    method: str,
    matrix: Matrix,
    n: int,
    active: float,
) -> None:
    text = consensus(matrix)
    found.append(Motif(f"{kernel}_{method}", text, matrix, n or 20))
    rows.append((kernel, part, method, len(matrix), float(bits(matrix).sum()), text, n, active))


def main_effects(bank: Kernels) -> Matrix:
    """What a nucleotide at a place of a window adds to each kernel, on average over the others, (units, width, 4).

    Exact where kernels read nucleotides; of k-mers, which overlap, the part that is a sum over nucleotides. Each
    place's four add up to 0.
    """
    weight = bank.weight.double().cpu().numpy()  # (units, 4**k, taps)
    units, n_kmers, taps = weight.shape
    k = round(math.log(n_kmers, 4))
    by_letter = weight.reshape(units, *[4] * k, taps)
    found = np.zeros((units, taps + k - 1, 4))
    for place in range(k):
        others = tuple(axis + 1 for axis in range(k) if axis != place)
        found[:, place : place + taps] += by_letter.mean(others).transpose(0, 2, 1)
    return found - found.mean(2, keepdims=True)


def bits(matrix: Matrix) -> Matrix:
    """Information of each position of a matrix (width, 4) of probabilities, 0 to 2 bits."""
    return 2 + (matrix * np.log2(np.where(matrix > 0, matrix, 1))).sum(1)


def consensus(matrix: Matrix) -> str:
    """The letters of a matrix: one of .5 or more, else two that make .75 (R Y M K W S), else N."""
    letters = []
    for row in matrix:
        order = np.argsort(-row, kind="stable")
        best = 1 if row[order[0]] >= 0.5 else 2
        one = "".join(sorted(rna.ALPHABET[letter] for letter in order[:best]))
        letters.append(_IUPAC[one] if best == 1 or row[order[:2]].sum() >= 0.75 else "N")
    return "".join(letters)


def tilted(effects: Matrix, n_bits: float) -> Matrix:
    """Probabilities (width, 4) in proportion to exp(scale * effects), the scale such that they hold `n_bits`.

    Nine tenths of what the effects can hold, where that is less; .25 each where there is no effect.
    """
    from scipy.optimize import brentq

    effects = effects - effects.max(1, keepdims=True)
    widest = -effects.min()
    if widest <= 0:
        return np.full(effects.shape, 0.25)
    effects = effects / widest

    def matrix(scale: float) -> Matrix:
        weights = np.exp(scale * effects)
        return weights / weights.sum(1, keepdims=True)

    most = (2 - np.log2((effects == 0).sum(1))).sum()
    wanted = min(n_bits, 0.9 * most)
    high = 1.0
    while bits(matrix(high)).sum() < wanted:
        high *= 2
    return matrix(brentq(lambda scale: bits(matrix(scale)).sum() - wanted, 0, high, xtol=1e-12))


def favourites(bank: Kernels, codes: torch.Tensor, *, share: float) -> list[tuple[Matrix, float]]:
    """Nucleotides (width, 4) counted in each kernel's favourite windows, and the share of windows in which it fires.

    Favourites are the different windows in which it fires (is above 0) and that it likes as well as the best `share`
    of all; ties are all in. No counts where it never fires.

    Args:
        bank: kernels.
        codes: of sequences (n, length) of the part that they read.
        share: of the windows.
    """
    units, n_kmers, taps = bank.weight.shape
    k = round(math.log(n_kmers, 4))
    width = taps + k - 1
    if codes.shape[1] < width:
        raise InputError(f"no {bank.part} is as long as a kernel, {width} nt")
    windows = torch.unique(codes.cpu(), dim=0).unfold(1, width, 1).flatten(0, 1)
    windows = torch.unique(windows[(windows != rna.N).all(1)], dim=0).long()  # (n, width)
    if not len(windows):
        raise InputError(f"no {bank.part} has {width} known nt in a row, the width of a kernel")
    kmers = windows.unfold(1, k, 1) @ 4 ** torch.arange(k - 1, -1, -1)  # (n, taps)
    letters = torch.nn.functional.one_hot(windows, 4).double()  # (n, width, 4)
    n_best = math.ceil(share * len(windows))
    found = []
    for low in range(0, units, _UNITS):
        weight = bank.weight[low : low + _UNITS].cpu().permute(2, 1, 0)  # (taps, k-mers, units)
        values = bank.bias[low : low + _UNITS].cpu().expand(len(windows), -1).clone()
        for tap in range(taps):
            values += weight[tap][kmers[:, tap]]
        least = values.topk(n_best, 0).values[-1]
        best = (values >= least) & (values > 0)
        counts = torch.einsum("nu,nwl->uwl", best.double(), letters).numpy()
        active = (values > 0).double().mean(0).tolist()
        found += list(zip(counts, active, strict=True))
    return found


# --------------------------------------------------------------------------------------------------------- comparisons


def database(name: str) -> MotifSet:
    """The motifs of a name of `DATABASES`, of a data set of the catalogue or of a file in MEME's format.

    Raises:
        UsageError: neither.
        InputError: not on this machine, or not in MEME's format.
    """
    if Path(name).is_file():
        return io.read_meme(name)
    files = DATABASES.get(name, (name,))
    if name not in DATABASES and name not in datasets.names():
        known = ", ".join([*DATABASES, SEEDS])
        raise UsageError(f"no database of motifs {name!r}; expected {known} or a file in MEME's format")
    sets = [io.read_meme(datasets.path(file)) for file in files]
    return MotifSet(tuple(motif for found in sets for motif in found.motifs), sets[0].both_strands)


def seeds(mirnas: Sequence[Record], part: str) -> MotifSet:
    """The seeds (nt 2-8) of miRNAs, one for each family, as a kernel along the miRNA would see them; of a kernel along
    the target their reverse complements. By name: the miRNAs of each.
    """
    turn = rna.reverse_complement if part == "target" else str
    found = []
    for family in enrich.families(mirnas):
        text = turn(family.seed)
        found.append(Motif(text, family.name, np.eye(4)[rna.encode([text])[0]], len(family.mirnas)))
    return MotifSet(tuple(found))


def compare(found: Sequence[Motif], known: MotifSet, *, threads: int = 1) -> pd.DataFrame:
    """Each matrix with each known motif: n x m rows, the matrices in their order, known motifs in theirs.

    Args:
        found: at least one.
        known: compared on both strands where they have two.
        threads: processor cores.

    Returns:
        Columns motif (number of the matrix), known (number), pvalue, qvalue, offset (where in the known motif, as it is
        compared, the matrix begins; below 0: before it), overlap (nt) and strand.

    Raises:
        InputError: too few known motifs for p-values.
    """
    from memelite import tomtom
    from scipy import stats

    spans = [np.array([telling(motif.matrix) for motif in motifs_]) for motifs_ in (found, known.motifs)]
    ours, theirs = (np.flatnonzero(np.diff(span)[:, 0] >= SHORTEST) for span in spans)
    if len(theirs) < _FEWEST:
        problem = f"{len(theirs)} motifs to compare with; expected {_FEWEST} or more, the background of p-values"
        raise InputError(problem)
    shape = (len(found), len(known.motifs))
    p, offset, overlap, strand = (np.full(shape, fill) for fill in (1.0, 0, 0, 0))
    if len(ours):
        cut = [
            [np.ascontiguousarray(motifs_[number].matrix[slice(*span[number])].T) for number in kept.tolist()]
            for motifs_, span, kept in ((found, spans[0], ours), (known.motifs, spans[1], theirs))
        ]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # numba's, of its caches and threads
            results = tomtom(*cut, reverse_complement=known.both_strands, n_jobs=threads)
        cells = np.ix_(ours, theirs)
        # rounding may put the best score beyond memelite's table, with p 0: as a match of all letters by chance instead
        found_p = np.where(results[0] > 0, results[0].clip(max=1), 4.0 ** -results[3])
        p[cells], overlap[cells], strand[cells] = found_p, results[3], results[4]
        lengths = np.array([len(known.motifs[number].matrix) for number in theirs])
        begins = np.where(results[4] == 1, lengths - spans[1][theirs, 1], spans[1][theirs, 0])
        offset[cells] = results[2] + begins - spans[0][ours, :1]
    table = pd.DataFrame(
        {
            "motif": np.repeat(np.arange(shape[0]), shape[1]),
            "known": np.tile(np.arange(shape[1]), shape[0]),
            "pvalue": p.ravel(),
            "qvalue": stats.false_discovery_control(p.ravel()),
            "offset": offset.ravel(),
            "overlap": overlap.ravel(),
        }
    )
    return table.assign(strand=np.where(strand.ravel() == 1, "-", "+"))


def telling(matrix: Matrix) -> tuple[int, int]:
    """The positions (start, end) of a matrix that are left without ends of less than `EDGE` bits each."""
    (places,) = np.nonzero(bits(matrix) >= EDGE)
    return (int(places[0]), int(places[-1]) + 1) if len(places) else (0, 0)


def shuffled(found: Sequence[Motif], random_state: int) -> list[Motif]:
    """The matrices with their positions in another order, each in its own: as rich in letters and as sharp."""
    generator = np.random.default_rng(random_state)
    return [Motif(motif.id, motif.name, generator.permutation(motif.matrix, axis=0), motif.n_sites) for motif in found]


def matches(
    found: KernelMotifs,
    databases: Sequence[str],
    *,
    mirnas: Sequence[Record] | None = None,
    top: int = 5,
    n_shuffles: int = 10,
    random_state: int = 0,
    threads: int = 1,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The known motifs that are most like each kernel, and how many kernels are like one, beside the floor.

    Args:
        found: matrices of kernels.
        databases: `rbp`, `jaspar`, `seeds`, a data set or a file, see `database`.
        mirnas: of the seeds; default those of `MIRNAS`.
        top: motifs to give for each kernel, method and database.
        n_shuffles: of the matrices' positions, for the floor.
        random_state: of the shuffles.
        threads: processor cores.

    Returns:
        Columns `MATCH_COLUMNS`, by database, method, kernel and p-value. And a row for each database and method:
        n_kernels, n_similar (kernels with a q-value below `SIGNIFICANT`), floor_mean, floor_most (the same of shuffled
        ones), best_pvalue (geometric mean of the kernels' best), floor_best_pvalue (of shuffled ones). Many small
        likenesses, none of them significant by itself, show in the last two.

    Raises:
        UsageError: no such database.
        InputError: it cannot be read, or is too small.
    """
    if SEEDS in databases and mirnas is None:
        mirnas = io.read_fasta(datasets.path(MIRNAS))
    given = {name: None if name == SEEDS else database(name) for name in databases}
    log.info("comparing %d matrices (the first time on a machine this compiles for a minute)", len(found.motifs))
    parts, rows = [], []
    for name, known in given.items():
        if known is not None and known.both_strands:
            log.warning("%s holds motifs of DNA: proteins that bind these letters in DNA need not bind RNA", name)
        methods = [method for method in METHODS if (found.table["method"] == method).any()]
        for method in methods:
            of_parts = [found.table.index[(found.table["method"] == method) & (found.table["part"] == p)] for p in PAIR]
            groups = [  # seeds look different from either side; all else is one family of comparisons
                (np.asarray(members), seeds(mirnas or (), part) if known is None else known)
                for members, part in (zip(of_parts, PAIR, strict=True) if known is None else [(_join(of_parts), "")])
                if len(members)
            ]
            n_similar, floors, best, floor_best = 0, np.zeros(n_shuffles), 0.0, 0.0
            for members, others in groups:
                some = [found.motifs[number] for number in members]
                table = compare(some, others, threads=threads)
                n_similar, best = n_similar + _n_similar(table), best + _log_best(table)
                for turn in range(n_shuffles):
                    other = compare(shuffled(some, random_state + turn), others, threads=threads)
                    floors[turn] += _n_similar(other)
                    floor_best += _log_best(other) / n_shuffles
                table = table.sort_values(["motif", "pvalue"], kind="stable").groupby("motif").head(top)
                parts.append(_named(table, found.table.iloc[members], others, name))
            n_kernels = sum(len(members) for members, _ in groups)
            floor = (floors.mean(), floors.max()) if n_shuffles else (math.nan, math.nan)
            nearest = (10 ** (best / n_kernels), 10 ** (floor_best / n_kernels) if n_shuffles else math.nan)
            rows.append((name, method, n_kernels, n_similar, *floor, *nearest))
    return pd.concat(parts, ignore_index=True)[list(MATCH_COLUMNS)], pd.DataFrame(rows, columns=list(SUMMARY_COLUMNS))


def _join(parts: Sequence[Any]) -> NDArray[np.int64]:
    return np.sort(np.concatenate([np.asarray(part) for part in parts])).astype(np.int64)


def _n_similar(table: pd.DataFrame) -> int:
    return int((table.groupby("motif")["qvalue"].min() < SIGNIFICANT).sum())


def _log_best(table: pd.DataFrame) -> float:
    """Sum over the matrices of log10 of their best p-value."""
    return float(np.log10(table.groupby("motif")["pvalue"].min()).sum())


def _named(table: pd.DataFrame, kernels_: pd.DataFrame, known: MotifSet, name: str) -> pd.DataFrame:
    """Numbers of a comparison as names."""
    ours, theirs = table["motif"].to_numpy(), [known.motifs[number] for number in table["known"]]
    return table.assign(
        kernel=kernels_["kernel"].to_numpy()[ours],
        method=kernels_["method"].to_numpy()[ours],
        database=name,
        motif_id=[motif.id for motif in theirs],
        motif_name=[motif.name for motif in theirs],
        motif_consensus=[consensus(motif.matrix) for motif in theirs],
    )


def write(
    found: KernelMotifs,
    similar: pd.DataFrame,
    summary: pd.DataFrame,
    folder: Path,
    *,
    logos: int = 20,
    settings: dict[str, Any] | None = None,
) -> list[Path]:
    """Write kernels.tsv, matches.tsv, summary.tsv, motifs.meme, logos.png, logos.svg and run.json.

    Args:
        found: by `motifs`.
        similar: by `matches`.
        summary: by `matches`.
        folder: made where it is not there.
        logos: kernels to draw, those most like a motif first, then those with most bits.
        settings: of the run, for run.json.

    Returns:
        The files written.
    """
    io.expect_folder(folder)
    folder.mkdir(parents=True, exist_ok=True)
    names = ("kernels.tsv", "matches.tsv", "summary.tsv", "motifs.meme", "logos.png", "logos.svg", "run.json")
    files = [folder / name for name in names]
    for table, path in zip((found.table, similar, summary), files[:3], strict=True):
        io.write_tsv(table, path, list(table.columns))
    io.write_meme(found.motifs, files[3])
    figure = plot.logos(_drawn(found, similar, logos))
    for path in files[4:6]:
        plot.save(figure, path)
    report = {"summary": runs.known(summary.to_dict("records"))}
    runs.write_json(files[6], (settings or {}) | report | runs.environment())
    return files


def _drawn(found: KernelMotifs, similar: pd.DataFrame, n: int) -> pd.DataFrame:
    """The kernels to draw: columns kernel, method, matrix, note."""
    best = similar.sort_values("qvalue", kind="stable").drop_duplicates(["kernel", "method"])
    table = found.table.assign(matrix=pd.Series([motif.matrix for motif in found.motifs], dtype=object))
    table = table.merge(best[["kernel", "method", "motif_id", "motif_name", "qvalue"]], how="left")
    first = table.groupby("kernel", sort=False).agg(q=("qvalue", "min"), bits=("bits", "max"))
    kept = first.sort_values(["q", "bits"], ascending=[True, False], kind="stable").index[:n]
    table = table[table["kernel"].isin(kept)]
    names = table["motif_name"].where(table["motif_name"].fillna("") != "", table["motif_id"])
    table["note"] = [
        "" if math.isnan(q) else f"{enrich.short(name, 1)}  q {q:.2g}"
        for name, q in zip(names, table["qvalue"], strict=True)
    ]
    order = table["kernel"].map(list(kept).index)
    return table.iloc[np.argsort(order, kind="stable")][["kernel", "method", "matrix", "note"]]
