"""Reads whose truth is known: chimeras and what is none, sequenced with duplicates, barcodes, adapters and errors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

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

    def __post_init__(self) -> None:
        if self.n_molecules < 1 or self.copies < 1:
            raise UsageError(f"{self.n_molecules} molecules, {self.copies:g} copies; expected 1 or more")
        if not 0 <= self.noise <= 1:
            raise UsageError(f"noise {self.noise:g}; expected 0 to 1")
        if not 0 <= self.error_rate < 0.2:
            raise UsageError(f"error rate {self.error_rate:g}; expected 0 to 0.2")


def chimeras(
    parts: Sequence[tuple[str, str]],
    transcripts: Sequence[Record],
    references: References,
    settings: Settings | None = None,
    *,
    partners: Sequence[Record] | None = None,
    random_state: int = 0,
) -> tuple[list[reads.Read], pd.DataFrame]:
    """Reads, shuffled, and their truth: columns `tables.TRUTH`, in the order of the reads.

    Args:
        parts: miRNA id and the sequence as read, one for each time that it may be drawn.
        transcripts: where targets come from, the longer the oftener.
        references: name the isomiRs.
        settings: what is sequenced.
        partners: what each part binds, and is joined to but for noise; default any of the transcripts.
        random_state: the same gives the same.

    Raises:
        InputError: no transcript is long enough, or no part is an isomiR of its miRNA.
    """
    settings, rng = settings or Settings(), np.random.default_rng(random_state)
    numbers = {record.id: i for i, record in enumerate(references.mirnas)}
    bound: Sequence[Record | None] = partners or [None] * len(parts)
    joined = zip(parts, bound, strict=True)
    known = [(numbers[name], part, partner) for (name, part), partner in joined if name in numbers]
    known = [one for one in known if references.call(one[1], one[0])]
    long = [record for record in transcripts if len(record.sequence) >= settings.target[1]]
    if not known or not long:
        what = "miRNA part is an isomiR of its miRNA" if not known else f"transcript has {settings.target[1]} nt"
        raise InputError(f"no {what}; expected at least one")
    ends = np.cumsum([len(record.sequence) for record in long])
    abundance: NDArray[Any] = np.arange(1, len(known) + 1)
    if settings.spread:
        abundance = np.cumsum(np.exp(settings.spread * rng.standard_normal(len(known))))
    rows: list[tuple[Any, ...]] = []
    for number in range(settings.n_molecules):
        kind = KINDS[min(int(np.searchsorted(np.cumsum(settings.shares), rng.random(), side="right")), 2)]
        sequence, truth = "", _NO_MIRNA
        if kind != "target_alone":
            mirna, part, partner = known[_drawn(abundance, rng)]
            sequence = _edited(part, rng) if rng.random() < settings.edited else part
            called = references.call(sequence, mirna) or references.call(part, mirna)
            assert called is not None  # the part is
            sequence, name = called[0].sequence, references.mirnas[mirna].id
            truth = name, sequence, called[0].variant, ";".join(called[0].classes)
        target, place, first = "", ("", -1, -1), 1
        if kind != "mirna_alone":
            record = partner if kind == "chimera" else None
            if record is not None and rng.random() < settings.noise:
                kind, record = "noise", known[_drawn(abundance, rng)][2]
            record = record or long[_drawn(ends, rng)]
            size = min(int(rng.integers(settings.target[0], settings.target[1] + 1)), len(record.sequence))
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


def _drawn(cumulative: NDArray[Any], rng: np.random.Generator) -> int:
    """A number drawn in proportion to what it adds to the sum."""
    whole = cumulative.dtype.kind == "i"
    place = rng.integers(cumulative[-1]) if whole else rng.random() * cumulative[-1]
    return int(np.searchsorted(cumulative, place, side="right"))


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
        `chimera_precision` and `chimera_recall`: reads called chimeras, and chimeric ones that are called; `pair_*`:
        with the right miRNA and a site that shares half of the true one; `class_*`: with the right classes of the
        isomiR, over reads with the right pair; `site_error`: nt between the called and the true start, median.
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
    same = right & (table["classes"] == table["classes_called"])
    away = (table["start"] - table["start_called"])[right].abs()
    return {
        "n_reads": float(len(table)),
        "n_chimeric": float(real.sum()),
        "chimera_precision": _share(called & real, called),
        "chimera_recall": _share(called & real, real),
        "pair_precision": _share(right, called),
        "pair_recall": _share(right, real),
        "class_accuracy": _share(same, right),
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


def _share(part: pd.Series, whole: pd.Series) -> float:
    return float(part.sum() / whole.sum()) if whole.any() else float("nan")
