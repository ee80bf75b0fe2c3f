"""What the kernels of a network look for, and what the network loses without each: position matrices, known motifs.

A kernel becomes a matrix in two ways. `weights`: the matrix of most entropy that the kernel likes as much as its
favourite windows, i.e. each nucleotide at each place in proportion to exp(scale * weight), the scale such that the
matrix holds log2(1 / share) bits. `windows`: the counts of nucleotides in the favourite windows themselves, the best
`share` of all different windows of a set of examples. Both say what raises the kernel, not what the network makes of
it. That is asked by silencing: the kernel's output is everywhere its mean over the examples, which are scored again.

Comparison is TOMTOM's (Gupta et al. 2007) by memelite, without the ends of a matrix that say next to nothing; q-values
are Benjamini and Hochberg's over all comparisons with one database. The floor is the same comparison of the same
kernels with their positions shuffled, whose favourite windows are of the same examples.
"""

from __future__ import annotations

import contextlib
import copy
import itertools
import logging
import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from mirscope import datasets, enrich, io, metrics, plot, predict, rna, runs
from mirscope.errors import InputError, UsageError
from mirscope.io import Motif, MotifSet, Record
from mirscope.models import Kernels, Model, named

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
"""The database of miRNA seeds: not a file of motifs, but the miRNAs of `MIRNAS` or of the user."""
MIRNAS = "hsa_mature_mirbase22"
SIGNIFICANT = 0.05
"""q-value below which a kernel is like a motif."""
EDGE = 0.25
"""Bits that a position at the end of a matrix has at least, to be compared."""
SHORTEST = 4
"""Positions that are compared at least; a shorter matrix is like none (p 1)."""
EFFECTS = ("logit_change", "logit_spread", "auroc_change", "auroc_low", "auroc_high")
KERNEL_COLUMNS = ("kernel", "part", "method", "width", "bits", "consensus", "structure", "n_windows", "active")
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
    "shuffle_pvalue",
)

_UNITS = 64  # kernels at a time along all windows
_SEQUENCES = 256  # at a time along all kernels
_FEWEST = 25  # motifs of a database: memelite takes the background of its p-values from them
_IUPAC = {"A": "A", "C": "C", "G": "G", "U": "U", "AG": "R", "CU": "Y", "AC": "M", "GU": "K", "AU": "W", "CG": "S"}


@dataclass(frozen=True)
class KernelMotifs:
    """The matrices of a network's kernels."""

    table: pd.DataFrame
    """Columns `KERNEL_COLUMNS`, a row for each kernel and method; bits are of the matrix; `n_windows` those it was made
    of (0: of weights), `active` the share of all different windows in which the kernel fires and `structure` the signs
    of its favourite ones, of a network that reads them (of weights NaN and empty)."""
    motifs: tuple[Motif, ...]
    """Of each row; `kernel_method` by id."""


def kernels(model: Model) -> tuple[Kernels, ...]:
    """The model's kernels that read a sequence first.

    Raises:
        UsageError: it has none.
    """
    found = model.kernels()
    if not found:
        raise UsageError(f"{named(model)} has no kernels that slide along a sequence; expected a network that has")
    return found


def motifs(
    model: Model, examples: pd.DataFrame | None = None, *, share: float = SHARE, shuffle: int | None = None
) -> KernelMotifs:
    """The matrices of all kernels, from their weights and, where examples are given, from the windows that raise them.

    Args:
        model: stays as it is.
        examples: pairs or hairpins, as the model reads them; each different sequence and window counts once.
        share: of the windows that count as a kernel's favourites, from 0 to 1, both excluded.
        shuffle: state of a shuffle of each kernel's positions, see `shuffled`; default none.

    Raises:
        UsageError: the model has no kernels, or no such share.
        InputError: no window of the examples is as long as a kernel.
        TableError: the model does not read such a table.
    """
    if not 0 < share < 1:
        raise UsageError(f"share is {share}; expected a number between 0 and 1")
    rows: list[tuple[Any, ...]] = []
    with torch.inference_mode():
        banks = list(_numbered(kernels(model)))
        if shuffle is not None:
            generator = np.random.default_rng(shuffle)
            banks = [(ids, shuffled(bank, generator)) for ids, bank in banks]
        for ids, bank in banks:
            for kernel, effect in zip(ids, main_effects(bank), strict=True):
                rows.append((kernel, bank.part, "weights", "", 0, math.nan, tilted(effect, -math.log2(share))))
        if examples is not None:
            symbols = _symbols(model, model.columns(examples))
            for ids, bank in banks:
                liked = favourites(bank, symbols[bank.part], share=share)
                for kernel, each in zip(ids, liked, strict=True):
                    if n := each.n:
                        row = (kernel, bank.part, "windows", each.structure, n, each.active, each.counts / n)
                        rows.append(row)
    table = pd.DataFrame(rows, columns=["kernel", "part", "method", "structure", "n_windows", "active", "matrix"])
    table["width"] = table["matrix"].map(len)
    table["bits"] = [float(bits(matrix).sum()) for matrix in table["matrix"]]
    table["consensus"] = table["matrix"].map(consensus)
    ids_ = table["kernel"] + "_" + table["method"]
    columns = zip(ids_, table["consensus"], table["matrix"], table["n_windows"], strict=True)
    found = tuple(Motif(name, text, matrix, n or 20) for name, text, matrix, n in columns)
    return KernelMotifs(table[list(KERNEL_COLUMNS)], found)


def shuffled(bank: Kernels, generator: np.random.Generator) -> Kernels:
    """The kernels with their positions in another order, each in its own: as rich in letters and as sharp.

    Of k-mers their nucleotides too.
    """
    units, n_symbols, taps = bank.weight.shape
    tables = bank.weight.reshape(units, bank.signs, *[4] * bank.k, taps)
    mixed = [
        own.permute(0, *(1 + generator.permutation(bank.k)), bank.k + 1)[..., generator.permutation(taps)]
        for own in tables
    ]
    return bank._replace(weight=torch.stack(mixed).reshape(units, n_symbols, taps))


def _numbered(banks: Sequence[Kernels]) -> Iterator[tuple[list[str], Kernels]]:
    """Banks of kernels with the names of these: the part that they read and a number, from 0."""
    numbers: dict[str, int] = {}
    for bank in banks:
        low = numbers.get(bank.part, 0)
        numbers[bank.part] = low + len(bank.weight)
        yield [f"{bank.part}{number}" for number in range(low, numbers[bank.part])], bank


def folded(model: Model, examples: pd.DataFrame) -> pd.DataFrame:
    """The examples with the structures that the model reads, if it does: what asks more than once folds once."""
    return examples.assign(structure=model.columns(examples)[1]) if "structure" in model.inputs else examples


def effects(
    model: Model, examples: pd.DataFrame, *, batch_size: int = 1024, report: Callable[[int], None] = lambda n: None
) -> pd.DataFrame:
    """What the network loses without each kernel: with its output everywhere at its mean over the examples.

    So the network is told as much of it as ever, and nothing of where it finds its letters. A kernel that slides along
    both RNAs is silent along both.

    Args:
        model: stays as it is.
        examples: pairs or hairpins, as the model reads them.
        batch_size: examples at a time.
        report: called with the number of kernels done, as they are.

    Returns:
        By kernel, columns `EFFECTS`: mean change of the logit, mean of its absolute change, and change of the AUROC
        with its 95 % interval (DeLong), NaN where the examples have not labels of both classes. Below 0: the kernel
        raised the logit, or helped to tell the classes.
    """
    labels = examples["label"].to_numpy() if "label" in examples else np.ones(len(examples))
    examples, model = folded(model, examples), copy.deepcopy(model)
    banks = list(_numbered(kernels(model)))
    levels = _levels([bank for _, bank in banks], _symbols(model, model.columns(examples)))
    as_is = predict.example_logits(model, examples, batch_size=batch_size).astype(np.float64)
    known: dict[tuple[int, int], tuple[float, ...]] = {}
    rows = {}
    for ids, bank in banks:
        for unit, kernel in enumerate(ids):
            channel = id(bank.conv), unit
            if channel not in known:
                with _silent(bank, unit, levels[id(bank.conv)][unit]):
                    silent = predict.example_logits(model, examples, batch_size=batch_size).astype(np.float64)
                change, difference = silent - as_is, metrics.delong(labels, silent, as_is)
                auroc = difference.value, difference.low, difference.high
                known[channel] = (float(change.mean()), float(np.abs(change).mean()), *auroc)
            rows[kernel] = known[channel]
            report(1)
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(EFFECTS))


def _levels(banks: Sequence[Kernels], symbols: Mapping[str, torch.Tensor]) -> dict[int, torch.Tensor]:
    """Of each convolution (by `id`) the mean (units,) of what the network sees of its kernels along all sequences."""
    sums: dict[int, torch.Tensor] = {}
    n: dict[int, int] = {}
    with torch.inference_mode():
        for bank in banks:
            key, windows = id(bank.conv), _windows(bank, symbols[bank.part])
            for some in windows.split(_SEQUENCES):
                known = _known(some)[..., None]  # (n, places, 1)
                values = _outputs(bank, some.where(known, 0).flatten(0, 1)).relu().unflatten(0, some.shape[:2])
                seen = values.masked_fill(~known, -1).unfold(1, min(bank.pool, some.shape[1]), 1).amax(3)
                there = seen >= 0
                sums[key] = sums.get(key, 0) + (seen * there).sum((0, 1), dtype=torch.float64)
                n[key] = n.get(key, 0) + int(there[..., 0].sum())
    return {key: sums[key] / max(n[key], 1) for key in sums}


@contextlib.contextmanager
def _silent(bank: Kernels, unit: int, level: torch.Tensor) -> Iterator[None]:
    """The output of one kernel is at this level within the block."""
    with torch.no_grad():
        values = [parameter[unit].clone() for parameter in (bank.conv.weight, bank.bias)]
        bank.conv.weight[unit], bank.bias[unit] = 0, level
        yield
        bank.conv.weight[unit], bank.bias[unit] = values


def needed(effects: pd.DataFrame) -> str:
    """How many kernels the network needs, by `effects`, in words."""
    said = f"silenced one by one, {len(effects)} kernels change the logit by {effects['logit_spread'].mean():.2g} "
    if effects["auroc_change"].isna().all():
        return said + "on average"
    worse, better = int((effects["auroc_high"] < 0).sum()), int((effects["auroc_low"] > 0).sum())
    least = effects["auroc_change"].idxmin()
    said += f"on average; without {worse} of them the AUROC falls (most, {least}: {effects['auroc_change'].min():+.2g})"
    return said + f", without {better} it rises (95 % interval beyond 0)"


def main_effects(bank: Kernels) -> Matrix:
    """What a nucleotide at a place of a window adds to each kernel, on average over the others, (units, width, 4).

    Exact where kernels read nucleotides; of k-mers, which overlap, the part that is a sum over nucleotides, and of
    nucleotides with a sign of the structure their mean over the signs. Each place's four add up to 0.
    """
    weight = bank.weight.double().cpu().numpy()  # (units, symbols, taps)
    units, _, taps = weight.shape
    by_letter = weight.reshape(units, bank.signs, *[4] * bank.k, taps).mean(1)
    found = np.zeros((units, taps + bank.k - 1, 4))
    for place in range(bank.k):
        others = tuple(axis + 1 for axis in range(bank.k) if axis != place)
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


@dataclass(frozen=True)
class Favourites:
    """The windows that raise a kernel most."""

    counts: Matrix
    """Nucleotides in them (width, 4)."""
    structure: str
    """At each place the sign of half of them or more, else `?`; empty of a network that reads no structure."""
    active: float
    """Share of all different windows in which the kernel fires."""

    @property
    def n(self) -> int:
        """Their number; 0 where the kernel never fires."""
        return int(self.counts[0].sum())


def favourites(bank: Kernels, symbols: torch.Tensor, *, share: float) -> list[Favourites]:
    """The favourite windows of each kernel.

    They are those of all different windows in which it fires (is above 0) and that it likes as well as the best `share`
    of all. Ties are all in.

    Args:
        bank: kernels.
        symbols: codes of the sequences (n, length) of the part that they read; for kernels that read the structure plus
            5 times the codes of that.
        share: of the windows.

    Raises:
        InputError: there are no windows.
    """
    windows = _windows(bank, torch.unique(symbols, dim=0)).flatten(0, 1)
    windows = torch.unique(windows[_known(windows)], dim=0)  # (n, width)
    if not len(windows):
        raise InputError(f"no {bank.part} has {windows.shape[1]} known nt in a row, the width of a kernel")
    letters, signs = windows % len(rna.ALPHABET), windows // len(rna.ALPHABET)
    each = torch.nn.functional.one_hot(letters, 4).double()  # (n, width, 4)
    n_best = math.ceil(share * len(windows))
    found = []
    for low in range(0, len(bank.weight), _UNITS):
        values = _outputs(bank, windows, slice(low, low + _UNITS))
        best = (values >= values.topk(n_best, 0).values[-1]) & (values > 0)
        counts = torch.einsum("nu,nwl->uwl", best.double(), each).numpy()
        active = (values > 0).double().mean(0).tolist()
        texts = [_signs(signs[own]) if bank.signs > 1 else "" for own in best.T]
        found += [Favourites(*values_) for values_ in zip(counts, texts, active, strict=True)]
    return found


def _symbols(model: Model, columns: Sequence[Sequence[str]]) -> dict[str, torch.Tensor]:
    """Of each input the symbols of its sequences, as `favourites` takes them."""
    codes = {part: own.long() for part, own in zip(model.inputs, model.encode(*columns), strict=True)}
    signs = codes.pop("structure", None)
    return codes if signs is None else {part: own + len(rna.ALPHABET) * signs for part, own in codes.items()}


def _windows(bank: Kernels, symbols: torch.Tensor) -> torch.Tensor:
    """What kernels see at each place of sequences, (n, places, width)."""
    width = bank.weight.shape[2] + bank.k - 1
    if symbols.shape[1] < width:
        raise InputError(f"no {bank.part} is as long as a kernel, {width} nt")
    return symbols.long().unfold(1, width, 1)


def _known(windows: torch.Tensor) -> torch.Tensor:
    """Which windows (..., width) have no N."""
    return (windows % len(rna.ALPHABET) != rna.N).all(-1)


def _outputs(bank: Kernels, windows: torch.Tensor, units: slice = slice(None)) -> torch.Tensor:
    """What kernels find in windows (n, width) without N, (n, units)."""
    letters, signs = windows % len(rna.ALPHABET), windows // len(rna.ALPHABET)
    weight = bank.weight[units].cpu().permute(2, 1, 0)  # (taps, symbols, units)
    places = 4 ** torch.arange(bank.k - 1, -1, -1)
    symbols = letters.unfold(1, bank.k, 1) @ places + 4**bank.k * signs[:, : len(weight)]  # (n, taps)
    values = bank.bias[units].cpu().expand(len(windows), -1).clone()
    for tap, of_tap in enumerate(weight):
        values += of_tap[symbols[:, tap]]
    return values


def _signs(windows: torch.Tensor) -> str:
    """At each place of windows (n, width) of codes of signs that of half of them or more, else `?`."""
    shares = torch.nn.functional.one_hot(windows, len(rna.BRACKETS)).double().mean(0)  # NaN of none
    return "".join(rna.BRACKETS[int(place.argmax())] if place.max() >= 0.5 else "?" for place in shares)


# --------------------------------------------------------------------------------------------------------- comparisons


def database(name: str, mirnas: Sequence[Record] | None = None) -> MotifSet:
    """The motifs of a name of `DATABASES`, of `SEEDS`, of a data set of the catalogue or of a file in MEME's format.

    Args:
        name: which.
        mirnas: whose seeds; default those of `MIRNAS`.

    Raises:
        UsageError: there is none.
        InputError: not on this machine, or not in MEME's format.
    """
    if name == SEEDS:
        return seeds(io.read_fasta(datasets.path(MIRNAS)) if mirnas is None else mirnas)
    if Path(name).is_file():
        return io.read_meme(name)
    files = DATABASES.get(name, (name,))
    if name not in DATABASES and name not in datasets.names():
        known = ", ".join([*DATABASES, SEEDS])
        raise UsageError(f"no database of motifs {name!r}; expected {known} or a file in MEME's format")
    sets = [io.read_meme(datasets.path(file)) for file in files]
    return MotifSet(tuple(motif for found in sets for motif in found.motifs), sets[0].both_strands)


def seeds(mirnas: Sequence[Record]) -> MotifSet:
    """The seeds (nt 2-8) of miRNAs, one for each family; by name the miRNAs of each."""
    families = enrich.families(mirnas)
    return MotifSet(tuple(Motif(f.seed, f.name, np.eye(4)[rna.encode([f.seed])[0]], len(f.mirnas)) for f in families))


def facing(motif: Motif) -> Motif:
    """The matrix of what pairs with a motif's matches: its reverse complement."""
    return replace(motif, matrix=motif.matrix[::-1, ::-1])


class Comparison(NamedTuple):
    """Each matrix with each known motif (n, m)."""

    pvalue: Matrix
    qvalue: Matrix
    offset: NDArray[np.int64]
    """Where in the known motif, as it is compared, the matrix begins; below 0: before it."""
    overlap: NDArray[np.int64]
    """nt"""
    turned: NDArray[np.bool_]
    """Whether the known motif is compared on its other strand."""


def compare(found: Sequence[Motif], known: MotifSet, *, threads: int = 1) -> Comparison:
    """How like each matrix is to each known motif.

    Args:
        found: at least one.
        known: compared on both strands where they have two.
        threads: processor cores.

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
    q = stats.false_discovery_control(p.ravel()).reshape(shape)
    return Comparison(p, q, offset, overlap, strand == 1)


def telling(matrix: Matrix) -> tuple[int, int]:
    """The positions (start, end) of a matrix that are left without ends of less than `EDGE` bits each."""
    (places,) = np.nonzero(bits(matrix) >= EDGE)
    return (int(places[0]), int(places[-1]) + 1) if len(places) else (0, 0)


def matches(
    found: KernelMotifs,
    databases: Mapping[str, MotifSet],
    floor: Iterable[KernelMotifs] = (),
    *,
    top: int = 5,
    threads: int = 1,
    report: Callable[[int], None] = lambda n: None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The known motifs that are most like each kernel, and how many kernels are like one, beside the floor.

    Kernels along the target are held against `SEEDS` turned round: by what would pair with their matches.

    Args:
        found: matrices of kernels.
        databases: motifs by name, see `database`.
        floor: matrices of the same kernels shuffled, each with its own state; any number.
        top: motifs to give for each kernel, method and database.
        threads: processor cores.
        report: called with 1 when a set of matrices, the kernels' or one of the floor, has been compared with all.

    Returns:
        Columns `MATCH_COLUMNS`, by database, method, kernel and p-value. And a row for each database and method:
        n_kernels, n_similar (kernels with a q-value below `SIGNIFICANT`), floor_mean, floor_most (the same of the
        floor), best_pvalue (geometric mean of the kernels' best), floor_best_pvalue (of the floor), and shuffle_pvalue:
        how often shuffled kernels are, by that mean, as near to the motifs (the kernels themselves counted among them).
        Many small likenesses, none of them significant by itself, show in the last three. Without a floor NaN.

    Raises:
        InputError: a database is too small.
    """
    for name in databases:
        if databases[name].both_strands:
            log.warning("%s holds motifs of DNA: proteins that bind these letters in DNA need not bind RNA", name)
    parts: list[pd.DataFrame] = []
    own: dict[tuple[str, str], tuple[int, float]] = {}
    others: dict[tuple[str, str], list[tuple[int, float]]] = {}
    for turn, kernels_ in enumerate(itertools.chain([found], floor)):
        for name, known in databases.items():
            for method, rows in kernels_.table.groupby("method", sort=False):
                some = [_faced(kernels_, number, name) for number in rows.index]
                compared = compare(some, known, threads=threads)
                if turn:
                    others.setdefault((name, str(method)), []).append(_likeness(compared))
                else:
                    own[name, str(method)] = _likeness(compared)
                    parts.append(_nearest(compared, rows, known, top).assign(database=name))
        report(1)
    summary = [_summary(*key, found, own[key], others.get(key, ())) for key in own]
    return pd.concat(parts, ignore_index=True)[list(MATCH_COLUMNS)], pd.DataFrame(summary)[list(SUMMARY_COLUMNS)]


def _faced(found: KernelMotifs, number: int, database: str) -> Motif:
    """A matrix as it is compared with a database."""
    motif = found.motifs[number]
    return facing(motif) if database == SEEDS and found.table["part"].iloc[number] == "target" else motif


def _summary(
    database: str,
    method: str,
    found: KernelMotifs,
    own: tuple[int, float],
    floor: Sequence[tuple[int, float]],
) -> dict[str, Any]:
    """A row of the summary, of likenesses of the kernels and of the floor."""
    n_similar, nearest = np.array(floor).reshape(-1, 2).T
    some = len(nearest) > 0
    return {
        "database": database,
        "method": method,
        "n_kernels": int((found.table["method"] == method).sum()),
        "n_similar": own[0],
        "floor_mean": n_similar.mean() if some else math.nan,
        "floor_most": n_similar.max() if some else math.nan,
        "best_pvalue": 10 ** own[1],
        "floor_best_pvalue": 10 ** nearest.mean() if some else math.nan,
        "shuffle_pvalue": (1 + (nearest <= own[1]).sum()) / (1 + len(nearest)) if some else math.nan,
    }


def _likeness(compared: Comparison) -> tuple[int, float]:
    """The matrices that are like a motif, and the mean of log10 of the best p-values of all."""
    n_similar = int((compared.qvalue.min(1) < SIGNIFICANT).sum())
    return n_similar, float(np.log10(compared.pvalue.min(1)).mean())


def _nearest(compared: Comparison, kernels_: pd.DataFrame, known: MotifSet, top: int) -> pd.DataFrame:
    """The motifs most like each matrix, best first; of equals the first."""
    theirs = np.argsort(compared.pvalue, axis=1, kind="stable")[:, :top]
    ours = np.repeat(np.arange(len(theirs)), theirs.shape[1])
    cells = ours, theirs.ravel()
    found = [known.motifs[number] for number in cells[1]]
    return pd.DataFrame(
        {
            "kernel": kernels_["kernel"].to_numpy()[ours],
            "method": kernels_["method"].to_numpy()[ours],
            "motif_id": [motif.id for motif in found],
            "motif_name": [motif.name for motif in found],
            "pvalue": compared.pvalue[cells],
            "qvalue": compared.qvalue[cells],
            "offset": compared.offset[cells],
            "overlap": compared.overlap[cells],
            "strand": np.where(compared.turned[cells], "-", "+"),
            "motif_consensus": [consensus(motif.matrix) for motif in found],
        }
    )


def write(
    found: KernelMotifs,
    similar: pd.DataFrame,
    summary: pd.DataFrame,
    folder: Path,
    *,
    effects: pd.DataFrame | None = None,
    logos: int = 20,
    settings: dict[str, Any] | None = None,
) -> list[Path]:
    """Write kernels.tsv, matches.tsv, summary.tsv, motifs.meme, logos (PNG, SVG, PDF) and run.json.

    Args:
        found: by `motifs`.
        similar: by `matches`.
        summary: by `matches`.
        folder: made where it is not there.
        effects: by `effects`; without them their columns are empty.
        logos: kernels to draw, those that change the logit most first; without effects those most like a motif.
        settings: of the run, for run.json.

    Returns:
        The files written.
    """
    io.expect_folder(folder)
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / name for name in ("kernels.tsv", "matches.tsv", "summary.tsv", "motifs.meme")]
    whole = found.table.join(
        pd.DataFrame(columns=list(EFFECTS), dtype=float) if effects is None else effects, on="kernel"
    )
    for table, path in zip((whole, similar, summary), files[:3], strict=True):
        io.write_tsv(table, path, list(table.columns))
    io.write_meme(found.motifs, files[3])
    figure = plot.logos(_drawn(whole, found.motifs, similar, logos))
    files += plot.save_all(figure, folder, "logos", plot.FORMATS)
    files.append(folder / "run.json")
    report = {"summary": runs.known(summary.to_dict("records"))}
    runs.write_json(files[-1], (settings or {}) | report | runs.environment())
    return files


def _drawn(whole: pd.DataFrame, motifs_: Sequence[Motif], similar: pd.DataFrame, n: int) -> pd.DataFrame:
    """The logos to draw, those of a kernel together: columns kernel, method, heights, label, note."""
    nearest = similar.sort_values("qvalue", kind="stable").drop_duplicates(["kernel", "method"])
    table = whole.merge(nearest[["kernel", "method", "motif_id", "motif_name", "qvalue"]], how="left")
    table["heights"] = pd.Series([motif.matrix * bits(motif.matrix)[:, None] for motif in motifs_], dtype=object)
    ranks = table.groupby("kernel", sort=False).agg(
        by=("logit_spread", "max"), q=("qvalue", "min"), bits=("bits", "max")
    )
    kept = ranks.sort_values(["by", "q", "bits"], ascending=[False, True, False], kind="stable").index[:n]
    names = table["motif_name"].where(table["motif_name"].fillna("") != "", table["motif_id"])
    table["note"] = [
        f"{enrich.short(name, 1)} q {q:.2g}" if q < 1 else "" for name, q in zip(names, table["qvalue"], strict=True)
    ]
    what = "AUROC" if table["auroc_change"].notna().any() else "logit"
    changes = table[f"{what.lower()}_change"]
    table["label"] = [
        kernel if math.isnan(change) else f"{kernel}\n{what} {change:+.3f}"
        for kernel, change in zip(table["kernel"], changes, strict=True)
    ]
    table = table[table["kernel"].isin(kept)]
    order = table["kernel"].map(list(kept).index)
    return table.iloc[np.argsort(order, kind="stable")][["kernel", "method", "heights", "label", "note"]]
