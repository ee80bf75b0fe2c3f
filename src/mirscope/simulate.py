"""Reads whose truth is known: chimeras and what is none, sequenced with duplicates, barcodes, adapters and errors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mirscope import chimera, io, isomir, reads, tables, workers
from mirscope.chimera import Library
from mirscope.errors import InputError, UsageError
from mirscope.io import Record
from mirscope.isomir import References
from mirscope.tables import TRUTH

KINDS = ("chimera", "target_alone", "mirna_alone")


@dataclass(frozen=True)
class Settings:
    """What is sequenced; defaults are as in reads of human AGO (SRR1742056): NNNNG, 81 nt, the miRNA mostly first."""

    n_molecules: int = 1000
    shares: tuple[float, float, float] = (0.3, 0.5, 0.2)
    """Of `KINDS`."""
    noise: float = 0.0
    """Of chimeras whose parts have partners: the share that was joined at random, in proportion to abundance."""
    spread: float = 0.0
    """Of the parts' abundances: standard deviation of their natural logarithm."""
    mirna_first: float = 0.9
    target: tuple[int, int] = (20, 45)
    """nt of target parts, the least and the most."""
    edited: float = 0.2
    """Share of miRNA parts with one more edit: a 3' nt added (half of them A or U), or an inner nt exchanged."""
    copies: float = 1.5
    """Reads of a molecule, mean of a geometric distribution."""
    prefix: str = "NNNNG"
    adapter: str = "GTGTCAGTCACTTCCAGCGGATCTCGTATGCCGTCTTCTGCTTG"
    length: int = 81
    """nt of a read."""
    error_rate: float = 0.001
    """Substitutions a nt, mean; they rise fivefold along a read, as the qualities say."""
    n_interactions: int = 0
    """Different pairs of a miRNA part and a place that chimeras are drawn from, the r-th of them in proportion to 1 / r
    (Zipf); 0: each chimera has its own."""

    def __post_init__(self) -> None:
        if self.n_molecules < 1 or self.copies < 1:
            raise UsageError(f"{self.n_molecules} molecules, {self.copies:g} copies; expected 1 or more")
        if not 0 <= self.noise <= 1:
            raise UsageError(f"noise {self.noise:g}; expected 0 to 1")
        if not 0 <= self.error_rate < 0.2:
            raise UsageError(f"error rate {self.error_rate:g}; expected 0 to 0.2")
        if self.n_interactions < 0:
            raise UsageError(f"{self.n_interactions} interactions; expected 0 or more")


def chimeras(
    parts: Sequence[tuple[str, str]],
    transcripts: Sequence[Record],
    references: References,
    settings: Settings | None = None,
    *,
    partners: Sequence[Record] | None = None,
    random_state: int = 0,
) -> tuple[list[reads.Read], pd.DataFrame]:
    """Reads and their truth (columns `tables.TRUTH`, in the order of the reads): blocks of `iter_chimeras`, joined."""
    blocks = list(iter_chimeras(parts, transcripts, references, settings, partners=partners, random_state=random_state))
    return [read for fastq, _ in blocks for read in fastq], pd.concat([truth for _, truth in blocks], ignore_index=True)


BLOCK = 100_000
"""Molecules that are made together, and whose reads are shuffled."""
_READS_AT_ONCE = 10_000  # of a block, whose errors are drawn together


def iter_chimeras(
    parts: Sequence[tuple[str, str]],
    transcripts: Sequence[Record],
    references: References,
    settings: Settings | None = None,
    *,
    partners: Sequence[Record] | None = None,
    random_state: int = 0,
    threads: int = 1,
    report: Callable[[int], None] = lambda n: None,
) -> Iterator[tuple[list[reads.Read], pd.DataFrame]]:
    """Reads and their truth (columns `tables.TRUTH`, in the order of the reads) in blocks, in flat memory; shuffled
    within a block.

    Args:
        parts: miRNA id and the sequence as read, one for each time that it may be drawn.
        transcripts: where targets come from, the longer the oftener.
        references: name the isomiRs.
        settings: what is sequenced.
        partners: what each part binds, and is joined to but for noise; default any of the transcripts.
        random_state: the same gives the same, whatever the threads.
        threads: processes, where there are several blocks.
        report: called with the molecules of each block when it is made.

    Raises:
        InputError: no transcript is long enough, or no part is an isomiR of its miRNA.
    """
    settings = settings or Settings()
    numbers = {record.id: i for i, record in enumerate(references.mirnas)}
    called = {pair for pair in set(parts) if pair[0] in numbers and references.call(pair[1], numbers[pair[0]])}
    bound: Sequence[Record | None] = partners or [None] * len(parts)
    joined = zip(parts, bound, strict=True)
    known = [(numbers[pair[0]], pair[1], partner) for pair, partner in joined if pair in called]
    long = [record for record in transcripts if len(record.sequence) >= settings.target[1]]
    if not known or not long:
        what = "miRNA part is an isomiR of its miRNA" if not known else f"transcript has {settings.target[1]} nt"
        raise InputError(f"no {what}; expected at least one")
    maker = _Maker(known, long, references, settings, random_state)
    n = settings.n_molecules
    jobs = [range(low, min(low + BLOCK, n)) for low in range(0, n, BLOCK)]
    n_reads = 0
    made = workers.in_order(_block, maker, jobs, processes=threads if len(jobs) > 1 else 1)
    for job, (fastq, truth) in zip(jobs, made, strict=True):
        names = [f"read{i}" for i in range(n_reads + 1, n_reads + len(fastq) + 1)]
        n_reads += len(fastq)
        for read, name in zip(fastq, names, strict=True):
            read.name = name
        yield fastq, truth.assign(read_id=pd.Series(names, dtype="str"))
        report(len(job))


@dataclass(frozen=True, eq=False)
class _Maker:
    """Makes molecules."""

    parts: Sequence[tuple[int, str, Record | None]]
    """Number of the miRNA, its sequence as read, and what it binds, if that is given."""
    transcripts: Sequence[Record]
    references: References
    settings: Settings
    random_state: int

    @cached_property
    def ends(self) -> NDArray[np.int64]:
        """Of the transcripts, one behind the other."""
        return np.cumsum([len(record.sequence) for record in self.transcripts])

    @cached_property
    def abundance(self) -> NDArray[np.float64]:
        """Of the parts, added up."""
        rng = np.random.default_rng([self.random_state, 0, 2])
        return np.cumsum(np.exp(self.settings.spread * rng.standard_normal(len(self.parts))))

    @cached_property
    def interactions(self) -> list[tuple[int, int]]:
        """Numbers of a part, and places in the transcripts; the most frequent first."""
        rng, n = np.random.default_rng([self.random_state, 0, 1]), self.settings.n_interactions
        drawn = rng.integers(len(self.parts), size=n), rng.integers(self.ends[-1], size=n)
        return list(zip(drawn[0].tolist(), drawn[1].tolist(), strict=True))

    @cached_property
    def shares(self) -> NDArray[np.float64]:
        """Of the interactions, added up."""
        return np.cumsum(1 / np.arange(1, self.settings.n_interactions + 1))

    @lru_cache(maxsize=1 << 17)  # noqa: B019  # one maker a process
    def truth_of(self, sequence: str, part: str, mirna: int) -> tuple[str, str, str, str]:
        """miRNA, sequence, variant and classes; of the part where the sequence is no isomiR."""
        called = self.references.call(sequence, mirna) or self.references.call(part, mirna)
        assert called is not None  # the part is
        found = called[0]
        return self.references.mirnas[mirna].id, found.sequence, found.variant, ";".join(found.classes)

    def molecule(self, rng: np.random.Generator) -> tuple[str, tuple[Any, ...]] | None:
        """What is sequenced, and its truth; `None` where the transcript is not known there."""
        settings = self.settings
        kind = KINDS[min(int(np.searchsorted(np.cumsum(settings.shares), rng.random(), side="right")), 2)]
        number, middle = _drawn(self.abundance, rng), int(rng.integers(self.ends[-1]))
        size = int(rng.integers(settings.target[0], settings.target[1] + 1))
        if kind == "chimera" and settings.n_interactions:
            number, middle = self.interactions[_drawn(self.shares, rng)]
        sequence, truth, partner = "", _NO_MIRNA, None
        if kind != "target_alone":
            mirna, part, partner = self.parts[number]
            truth = self.truth_of(_edited(part, rng) if rng.random() < settings.edited else part, part, mirna)
            sequence = truth[1]
        target, place, first = "", ("", -1, -1), 1
        if kind != "mirna_alone":
            if kind == "chimera" and partner is not None and rng.random() < settings.noise:
                kind, partner = "noise", self.parts[_drawn(self.abundance, rng)][2]
            if kind in ("chimera", "noise") and partner is not None:
                record, size = partner, min(size, len(partner.sequence))
                start = int(rng.integers(len(record.sequence) - size + 1))
            else:
                which = int(np.searchsorted(self.ends, middle, side="right"))
                record = self.transcripts[which]
                within = middle - int(self.ends[which]) + len(record.sequence)
                start = min(max(within - size // 2, 0), len(record.sequence) - size)
            target, place = record.sequence[start : start + size], (record.id, start, start + size)
            first = int(rng.random() < settings.mirna_first)
        insert = sequence + target if first else target + sequence
        return None if "N" in insert else (insert, (kind, *truth, *place, first))


def _block(maker: _Maker, numbers: range) -> tuple[list[reads.Read], pd.DataFrame]:
    """The reads of molecules of these numbers, not named yet, and their truth."""
    settings, rng = maker.settings, np.random.default_rng([maker.random_state, numbers.start])
    wholes: list[str] = []
    truths: list[tuple[Any, ...]] = []
    for number in numbers:
        made = maker.molecule(rng)
        if made is None:
            continue
        insert, truth = made
        barcode = "".join(_random("ACGT", rng) if letter == "N" else letter for letter in settings.prefix)
        whole = (barcode + insert.replace("U", "T") + settings.adapter).ljust(settings.length, "A")[: settings.length]
        wholes.append(whole)
        truths.append((number, *truth))
    owners = np.repeat(np.arange(len(wholes)), rng.geometric(1 / settings.copies, len(wholes)))
    owners = owners[rng.permutation(len(owners))].tolist()
    fastq = []
    for low in range(0, len(owners), _READS_AT_ONCE):
        some = [wholes[owner] for owner in owners[low : low + _READS_AT_ONCE]]
        fastq += [reads.Read("", *both) for both in _sequenced(some, settings.error_rate, rng)]
    return fastq, tables.table([("", *truths[owner]) for owner in owners], TRUTH)


_NO_MIRNA = "", "", "NA", ""


def _drawn(cumulative: NDArray[Any], rng: np.random.Generator) -> int:
    """A number drawn in proportion to what it adds to the sum."""
    return int(np.searchsorted(cumulative, rng.random() * cumulative[-1], side="right"))


def _edited(part: str, rng: np.random.Generator) -> str:
    if rng.random() < 0.5:
        return part + _random("AU" if rng.random() < 0.5 else "ACGU", rng)
    place = int(rng.integers(3, len(part) - 3))
    return part[:place] + _random("ACGU".replace(part[place], ""), rng) + part[place + 1 :]


def _random(letters: str, rng: np.random.Generator) -> str:
    return letters[int(rng.integers(len(letters)))]


def _sequenced(wholes: Sequence[str], error_rate: float, rng: np.random.Generator) -> Iterator[tuple[str, str]]:
    """What is read of molecules, all of one length, and the qualities, which tell the truth."""
    letters = np.frombuffer("".join(wholes).encode(), dtype=np.uint8).reshape(len(wholes), -1).copy()
    rise = np.linspace(1 / 3, 5 / 3, letters.shape[1])
    rates = (error_rate * rise * rng.lognormal(0, 0.5, letters.shape) / np.exp(0.125)).clip(1e-4, 0.6)
    if error_rate:
        wrong = rng.random(letters.shape) < rates
        others = rng.integers(1, 4, np.count_nonzero(wrong))
        letters[wrong] = _DNA[(np.searchsorted(_DNA, letters[wrong]) + others) % 4]
    qualities = (33 + np.floor(-10 * np.log10(rates))).astype(np.uint8)
    for row, quality in zip(letters, qualities, strict=True):
        yield row.tobytes().decode(), quality.tobytes().decode()


_DNA = np.frombuffer(b"ACGT", dtype=np.uint8)


def real_parts(pairs: pd.DataFrame, references: References) -> list[tuple[str, str]]:
    """miRNA parts of a pair table's positives, as read, each with the miRNA that it is an isomiR of (`isomir.isomirs`).

    Args:
        pairs: columns `mirna_seq` and `label`.
        references: miRNAs; of several that fit as well the first.
    """
    counts = pairs.loc[pairs["label"] == 1, "mirna_seq"].value_counts()
    table = isomir.isomirs({str(sequence): reads.Fragment(int(n)) for sequence, n in counts.items()}, references)
    table = table.drop_duplicates("sequence").sort_values("sequence")
    rows = zip(table["mirna_id"], table["sequence"], table["n_reads"], strict=True)
    return [(name, sequence) for name, sequence, n in rows for _ in range(n)]


def real_pairs(pairs: pd.DataFrame, references: References) -> tuple[list[tuple[str, str]], list[Record]]:
    """miRNA parts as in `real_parts`, and the target that each was read with, named by its row; each target once.

    Args:
        pairs: columns `mirna_seq`, `target_seq` and `label`.
        references: miRNAs.
    """
    name = {sequence: mirna for mirna, sequence in real_parts(pairs, references)}
    bound = pairs[(pairs["label"] == 1) & pairs["mirna_seq"].isin(list(name))].drop_duplicates("target_seq")
    targets = [Record(f"target{row}", sequence) for row, sequence in bound["target_seq"].items()]
    return [(name[sequence], sequence) for sequence in bound["mirna_seq"]], targets


def write(blocks: Iterable[tuple[list[reads.Read], pd.DataFrame]], folder: Path) -> int:
    """Write reads.fastq.gz and truth.tsv of blocks (`iter_chimeras`), as they come; the number of reads.

    Raises:
        InputError: the folder cannot be written to.
    """
    io.expect_folder(folder)
    folder.mkdir(parents=True, exist_ok=True)
    n_reads = 0

    def truths(write: Callable[[Sequence[reads.Read]], None]) -> Iterator[pd.DataFrame]:
        nonlocal n_reads
        for some, truth in blocks:
            write(some)
            n_reads += len(some)
            yield truth

    with io.fastq_writer(folder / "reads.fastq.gz") as write_reads:
        io.write_tsv(truths(write_reads), folder / "truth.tsv", [column.name for column in TRUTH])
    return n_reads


def judge(
    fastq: Sequence[reads.Read],
    truth: pd.DataFrame,
    library: Library,
    settings: chimera.Settings | None = None,
    *,
    umi: bool = True,
) -> dict[str, float]:
    """How much of the truth is found, over reads.

    Returns:
        Precision and recall over reads: `chimera_*`, reads called chimeras, and chimeric ones that are called;
        `site_*`, with a site that shares half of the true one; `pair_*`, with the right miRNA as well; `class_*`, over
        the classes of the isomiRs (a read of two counts twice). `site_error`: nt between the called and the true start
        of right pairs, median.
    """
    found: dict[str, str] = {}
    state = reads.look(fastq, library.references.index)
    steps = reads.Preparation().steps(state)
    kept = list(reads.run(fastq, steps, Counter()))
    for read, _ in kept:
        found[read.id] = reads.to_rna(read.sequence)
    calls, _ = chimera.chimeras(reads.collapse(kept, umi=umi and state.umi), library, settings)
    best = calls.drop_duplicates("read_seq").set_index("read_seq")
    table = truth.assign(read_seq=truth["read_id"].map(found).fillna(""))
    table = table.merge(best, how="left", left_on="read_seq", right_index=True, suffixes=("", "_called"))
    called, real = table["mirna_id_called"].notna(), table["kind"].isin(["chimera", "noise"])
    shared = np.minimum(table["end"], table["end_called"]) - np.maximum(table["start"], table["start_called"])
    site = (table["target_id"] == table["target_id_called"]) & (2 * shared >= table["end"] - table["start"])
    right = called & real & (table["mirna_id"] == table["mirna_id_called"]) & site
    away = (table["start"] - table["start_called"])[right].abs()
    said, true = _classes(table.loc[called, "classes_called"]), _classes(table.loc[real, "classes"])
    return {
        "n_reads": float(len(table)),
        "n_chimeric": float(real.sum()),
        "chimera_precision": _share(called & real, called),
        "chimera_recall": _share(called & real, real),
        "site_precision": _share(called & real & site, called),
        "site_recall": _share(called & real & site, real),
        "pair_precision": _share(right, called),
        "pair_recall": _share(right, real),
        "class_precision": len(said & true) / len(said) if said else float("nan"),
        "class_recall": len(said & true) / len(true) if true else float("nan"),
        "site_error": float(away.median()) if len(away) else float("nan"),
    }


def judge_noise(
    interactions: pd.DataFrame, chimeras: pd.DataFrame, truth: pd.DataFrame, rates: Sequence[float]
) -> dict[str, float]:
    """How true `noise_fdr` is, over interactions: one is noise where none of its reads is of a bound pair.

    Args:
        interactions: of `chimera.against_noise`.
        chimeras: its chimeras.
        truth: columns read_id and kind.
        rates: that are asked for.

    Returns:
        `n_interactions`; `noise`, the share of noise; `called_R`, `noise_R` and `recall_R`: of rate R, the
        interactions of at most that, the share of noise among them (0 of none), and the share of bound ones among them.
    """
    kind = chimeras["read_id"].map(truth.set_index("read_id")["kind"])
    real = (kind == "chimera").groupby(chimeras["interaction"]).any().reindex(interactions.index)
    figures = {"n_interactions": float(len(interactions)), "noise": _share(~real, real | ~real)}
    for rate in rates:
        called = interactions["noise_fdr"] <= rate
        figures[f"called_{rate:g}"] = float(called.sum())
        figures[f"noise_{rate:g}"] = _share(called & ~real, called) if called.any() else 0.0
        figures[f"recall_{rate:g}"] = _share(called & real, real)
    return figures


def _classes(column: pd.Series) -> set[tuple[Hashable, str]]:
    """The classes of each row, with its index."""
    listed = column.str.split(";").explode()
    return {(row, name) for row, name in listed.items() if name}


def _share(part: pd.Series, whole: pd.Series) -> float:
    return float(part.sum() / whole.sum()) if whole.any() else float("nan")
