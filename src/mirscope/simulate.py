"""Reads whose truth is known: chimeras and what is none, sequenced with duplicates, barcodes, adapters and errors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mirscope import chimera, io, isomir, reads, tables
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

    def __post_init__(self) -> None:
        if self.n_molecules < 1 or self.copies < 1:
            raise UsageError(f"{self.n_molecules} molecules, {self.copies:g} copies; expected 1 or more")
        if not 0 <= self.error_rate < 0.2:
            raise UsageError(f"error rate {self.error_rate:g}; expected 0 to 0.2")


def chimeras(
    parts: Sequence[tuple[str, str]],
    transcripts: Sequence[Record],
    references: References,
    settings: Settings | None = None,
    *,
    random_state: int = 0,
) -> tuple[list[reads.Read], pd.DataFrame]:
    """Reads, shuffled, and their truth: columns `tables.TRUTH`, in the order of the reads.

    Args:
        parts: miRNA id and the sequence as read, one for each time that it may be drawn.
        transcripts: where targets come from, the longer the oftener.
        references: name the isomiRs.
        settings: what is sequenced.
        random_state: the same gives the same.

    Raises:
        InputError: no transcript is long enough, or no part is an isomiR of its miRNA.
    """
    settings, rng = settings or Settings(), np.random.default_rng(random_state)
    numbers = {record.id: i for i, record in enumerate(references.mirnas)}
    known = [(numbers[name], part) for name, part in parts if name in numbers and references.call(part, numbers[name])]
    long = [record for record in transcripts if len(record.sequence) >= settings.target[1]]
    if not known or not long:
        what = "miRNA part is an isomiR of its miRNA" if not known else f"transcript has {settings.target[1]} nt"
        raise InputError(f"no {what}; expected at least one")
    ends = np.cumsum([len(record.sequence) for record in long])
    rows: list[tuple[Any, ...]] = []
    for number in range(settings.n_molecules):
        kind = KINDS[min(int(np.searchsorted(np.cumsum(settings.shares), rng.random(), side="right")), 2)]
        sequence, truth = "", _NO_MIRNA
        if kind != "target_alone":
            mirna, part = known[rng.integers(len(known))]
            sequence = _edited(part, rng) if rng.random() < settings.edited else part
            called = references.call(sequence, mirna) or references.call(part, mirna)
            assert called is not None  # the part is
            sequence, name = called[0].sequence, references.mirnas[mirna].id
            truth = name, sequence, called[0].variant, ";".join(called[0].classes)
        target, place, first = "", ("", -1, -1), 1
        if kind != "mirna_alone":
            record = long[int(np.searchsorted(ends, rng.integers(ends[-1]), side="right"))]
            size = int(rng.integers(settings.target[0], settings.target[1] + 1))
            start = int(rng.integers(len(record.sequence) - size + 1))
            target, place = record.sequence[start : start + size], (record.id, start, start + size)
            first = int(rng.random() < settings.mirna_first)
        insert = sequence + target if first else target + sequence
        if "N" in insert:
            continue
        barcode = "".join(_random("ACGT", rng) if letter == "N" else letter for letter in settings.prefix)
        whole = (barcode + insert.replace("U", "T") + settings.adapter).ljust(settings.length, "A")[: settings.length]
        for _ in range(rng.geometric(1 / settings.copies)):
            rows.append((*_sequenced(whole, settings.error_rate, rng), number, kind, *truth, *place, first))
    order = rng.permutation(len(rows))
    names = [f"read{i}" for i in range(1, len(rows) + 1)]
    fastq = [reads.Read(name, *rows[i][:2]) for name, i in zip(names, order, strict=True)]
    return fastq, tables.table([(name, *rows[i][2:]) for name, i in zip(names, order, strict=True)], TRUTH)


_NO_MIRNA = "", "", "NA", ""


def _edited(part: str, rng: np.random.Generator) -> str:
    if rng.random() < 0.5:
        return part + _random("AU" if rng.random() < 0.5 else "ACGU", rng)
    place = int(rng.integers(3, len(part) - 3))
    return part[:place] + _random("ACGU".replace(part[place], ""), rng) + part[place + 1 :]


def _random(letters: str, rng: np.random.Generator) -> str:
    return letters[int(rng.integers(len(letters)))]


def _sequenced(whole: str, error_rate: float, rng: np.random.Generator) -> tuple[str, str]:
    """What is read of a molecule, and the qualities, which tell the truth."""
    rise = np.linspace(1 / 3, 5 / 3, len(whole))
    rates = (error_rate * rise * rng.lognormal(0, 0.5, len(whole)) / np.exp(0.125)).clip(1e-4, 0.6)
    letters = list(whole)
    for place in np.flatnonzero(rng.random(len(whole)) < (rates if error_rate else 0)):
        letters[place] = _random("ACGT".replace(letters[place], ""), rng)
    qualities = (33 + np.floor(-10 * np.log10(rates))).astype(np.uint8)
    return "".join(letters), qualities.tobytes().decode()


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


def write(fastq: Sequence[reads.Read], truth: pd.DataFrame, folder: Path) -> None:
    """Write reads.fastq.gz and truth.tsv."""
    folder.mkdir(parents=True, exist_ok=True)
    io.write_fastq(fastq, folder / "reads.fastq.gz")
    io.write_tsv(truth, folder / "truth.tsv", [column.name for column in TRUTH])


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
    called, real = table["mirna_id_called"].notna(), table["kind"] == "chimera"
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


def _classes(column: pd.Series) -> set[tuple[Hashable, str]]:
    """The classes of each row, with its index."""
    listed = column.str.split(";").explode()
    return {(row, name) for row, name in listed.items() if name}


def _share(part: pd.Series, whole: pd.Series) -> float:
    return float(part.sum() / whole.sum()) if whole.any() else float("nan")
