"""What variants do to sites: gained, lost or changed by each allele, in transcripts and in miRNAs.

Each allele is held against the reference by itself; which alleles lie on one chromosome (phase) is not considered.
"""

from __future__ import annotations

import contextlib
import copy
import gzip
import logging
import shutil
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pysam
import torch
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d

from mirscope import compare, io, predict, rna, runs, scan, workers
from mirscope.annotation import Annotation, Transcript, short_id
from mirscope.compare import Pair
from mirscope.errors import InputError, UsageError
from mirscope.io import Record
from mirscope.models import Model

log = logging.getLogger(__name__)

Logits = NDArray[np.float32]

CHANGES = ("gained", "lost", "changed")
COLUMNS = (
    "variant",
    "mirna_id",
    "target_id",
    "change",
    "reference_score",
    "alternative_score",
    "difference",
    "logit_difference",
    "reference_seed_type",
    "alternative_seed_type",
    "start",
    "end",
    "within",
    "variant_start",
    "variant_end",
    "vcf_id",
)
SKIPPED = {
    "contig": "lie on a contig on which no sequence lies",
    "outside": "lie in none of the sequences",
    "symbolic": "are symbolic (<DEL>, *, breakends) or have no ALT",
    "exon_end": "reach across the end of an exon or of the sequence",
    "reference": "have a REF that is not what the sequence holds there",
}
"""Why an allele is not scored; of several reasons the last is given."""
WINDOWS_AT_ONCE = 4_000_000
"""Windows x miRNAs in memory at a time."""


@dataclass(frozen=True)
class _Rule:
    """What is told."""

    least: NDArray[np.float64]
    """Logit from which a window is a site of each miRNA (m,)."""
    min_difference: float
    """Of logits."""
    prior: float
    """Added to logits before they become scores: `scan.Settings.prevalence`."""


def _rule(
    model: Model,
    mirnas: Sequence[Record],
    transcripts: Sequence[Record],
    settings: scan.Settings | None,
    min_difference: float,
    threads: int,
) -> _Rule:
    settings = settings or scan.Settings()
    least = scan.least_logits(model, mirnas, transcripts, settings=settings, threads=threads)
    return _Rule(least, min_difference, predict.logit(settings.prevalence))


@dataclass(frozen=True)
class Allele:
    """One alternative allele as the VCF has it; `position` is 0-based."""

    contig: str
    position: int
    reference: str
    alternative: str
    id: str = ""

    @property
    def name(self) -> str:
        """`CONTIG:POSITION:REF>ALT`, the position 1-based as in the file."""
        return f"{self.contig}:{self.position + 1}:{self.reference}>{self.alternative}"

    def trimmed(self) -> tuple[int, str, str]:
        """Position, REF and ALT without the nucleotides that both begin or end with."""
        reference, alternative, position = self.reference, self.alternative, self.position
        while reference and alternative and reference[-1] == alternative[-1]:
            reference, alternative = reference[:-1], alternative[:-1]
        while reference and alternative and reference[0] == alternative[0]:
            reference, alternative, position = reference[1:], alternative[1:], position + 1
        return position, reference, alternative


@dataclass(frozen=True)
class Edit:
    """What an allele does to a sequence: `sequence[start:end]` becomes `alternative` (RNA, 5'->3')."""

    allele: Allele
    number: int
    """Of the sequence."""
    start: int
    end: int
    alternative: str

    def apply(self, sequence: str) -> str:
        """The sequence with the alternative allele."""
        return sequence[: self.start] + self.alternative + sequence[self.end :]


def read_vcf(path: str | Path) -> Iterator[Allele]:
    """The alternative alleles of a VCF or BCF file, plain or compressed; symbolic ones too.

    Raises:
        InputError: the file cannot be read or is no VCF.
    """
    if not Path(path).is_file():
        raise InputError("no such file; expected a VCF", path=path)
    before, n_records = pysam.set_verbosity(0), 0
    try:
        with _opened(Path(path)) as file:
            for record in file:
                n_records += 1
                for alternative in record.alts or ("",):
                    reference = (record.ref or "").upper()
                    yield Allele(record.chrom, record.start, reference, alternative.upper(), record.id or "")
    except (OSError, ValueError, EOFError, zlib.error) as error:
        reason = " ".join(str(error).split())[:200] or "unreadable"
        where = f"after {n_records} records" if n_records else "at its start"
        raise InputError(f"no VCF, or damaged {where} ({reason})", path=path) from None
    finally:
        pysam.set_verbosity(before)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The file by pysam, which reads gzip only where it was made by bgzip; other gzip is unpacked first."""
    try:
        file = pysam.VariantFile(str(path))
    except NotImplementedError:
        with tempfile.NamedTemporaryFile(suffix=".vcf") as plain, gzip.open(path) as packed:
            shutil.copyfileobj(packed, plain)
            plain.flush()
            with pysam.VariantFile(plain.name) as unpacked:
                yield unpacked
    else:
        with file:
            yield file


# ------------------------------------------------------------------------------------------------------------- places


def place(
    alleles: Sequence[Allele], sequences: Sequence[Record], annotation: Annotation | None
) -> list[list[Edit | str]]:
    """The edits of each allele to sequences, or why it makes none (a key of `SKIPPED`).

    Args:
        alleles: of a VCF.
        sequences: transcripts (whole ones or 3'UTRs), or miRNAs.
        annotation: places the sequences on the genome; without it a contig of the VCF is the id of a sequence.

    Returns:
        Of each allele its edits, along the genome, and a reason for each sequence it meets and does not edit.
    """
    index = {short_id(record.id): number for number, record in enumerate(sequences)}
    found: list[list[Edit | str]] = []
    for allele in alleles:
        own: list[Edit | str] = []
        if not allele.alternative or set(allele.alternative + allele.reference) - set("ACGTUN"):
            own.append("symbolic")
        elif annotation is None and (number := index.get(short_id(allele.contig))) is not None:
            own.append(_edit(allele, number, sequences[number].sequence, None, 0))
        elif annotation is not None and annotation.has_contig(allele.contig):
            own.append("outside")
            end = allele.position + len(allele.reference)
            for transcript in annotation.overlapping(allele.contig, allele.position, end):
                number = index.get(short_id(transcript.id))
                offset = None if number is None else transcript.offset(len(sequences[number].sequence))
                if number is not None and offset is not None:
                    own.append(_edit(allele, number, sequences[number].sequence, transcript, offset))
        found.append(own or ["contig"])
    return found


def _edit(allele: Allele, number: int, sequence: str, transcript: Transcript | None, offset: int) -> Edit | str:
    """The edit of a sequence that begins at `offset` of its transcript, or why there is none."""

    def places(position: int, length: int) -> NDArray[np.int64]:
        genome = np.arange(position, position + length)
        found = genome if transcript is None else transcript.to_transcript(genome)
        inside = (found >= offset) & (found < offset + len(sequence))
        return np.where(inside, found - offset, -1)

    minus = transcript is not None and transcript.strand == "-"
    whole = places(allele.position, len(allele.reference))
    if (whole < 0).all():
        return "outside"
    given = _rna(allele.reference)
    given = rna.reverse_complement(given)[::-1] if minus else given
    if any(sequence[at] != letter for at, letter in zip(whole, given, strict=True) if at >= 0):
        return "reference"
    position, reference, alternative = allele.trimmed()
    alternative = rna.reverse_complement(_rna(alternative)) if minus else _rna(alternative)
    if reference:
        own = places(position, len(reference))
        if (own < 0).all():
            return "outside"
        if (own < 0).any() or own.max() - own.min() + 1 != len(own):
            return "exon_end"
        return Edit(allele, number, int(own.min()), int(own.max()) + 1, alternative)
    sides = places(position - 1, 2)  # an insertion is between these
    if (sides < 0).any() or abs(sides[1] - sides[0]) != 1:
        return "exon_end"
    return Edit(allele, number, int(sides.max()), int(sides.max()), alternative)


def _rna(sequence: str) -> str:
    return sequence.replace("T", "U")


# ------------------------------------------------------------------------------------------------------------- scores


@dataclass(frozen=True)
class Found:
    """What `variants` found."""

    table: pd.DataFrame
    """Columns `COLUMNS`, the largest differences first."""
    n_alleles: int
    skipped: dict[str, int]
    """Alleles that were not scored, by reason (`SKIPPED`)."""


def variants(
    model: Model,
    alleles: Iterable[Allele],
    mirnas: Sequence[Record],
    transcripts: Sequence[Record],
    *,
    annotation: Annotation | None = None,
    mirna_annotation: Annotation | None = None,
    settings: scan.Settings | None = None,
    min_difference: float = 0.5,
    threads: int = 1,
) -> Found:
    """What alleles do to the sites of miRNAs in transcripts; those not scored are counted, and reported in the log.

    Args:
        model: stays as it is.
        alleles: as `read_vcf` gives them.
        mirnas: mature sequences.
        transcripts: whole ones or 3'UTRs.
        annotation: of the transcripts on the genome; without it a contig of an allele is the id of a transcript.
        mirna_annotation: of the miRNAs, likewise.
        settings: what is a site, as for a scan.
        min_difference: smallest difference of logits (log odds) that is told.
        threads: processes that share the work.

    Raises:
        InputError: no allele lies on a contig of any sequence, or the annotation fits no transcript.
    """
    if not min_difference >= 0:
        raise UsageError(f"the smallest difference is {min_difference}; expected 0 or more")
    alleles, settings = list(alleles), replace(settings or scan.Settings(), duplexes=False)
    for given, sequences, what in ((annotation, transcripts, "transcripts"), (mirna_annotation, mirnas, "miRNAs")):
        if given is not None:
            _check_fit(given, sequences, what)
    placed = place(alleles, transcripts, annotation), place(alleles, mirnas, mirna_annotation)
    reasons: dict[str, list[Allele]] = {}
    for allele, *own in zip(alleles, *placed, strict=True):
        everything = [item for items in own for item in items]
        if not any(isinstance(item, Edit) for item in everything):
            reason = next(reason for reason in reversed(SKIPPED) if reason in everything)
            reasons.setdefault(reason, []).append(allele)
    if alleles and len(reasons.get("contig", ())) == len(alleles):
        problem = f"no allele lies on a contig of a transcript or miRNA (they lie on {alleles[0].contig!r} ...)"
        raise InputError(f"{problem}; a VCF on the genome needs --gtf, one on transcripts has their ids as contigs")
    for reason, some in reasons.items():
        log.warning("%d of %d alleles %s, such as %s", len(some), len(alleles), SKIPPED[reason], some[0].name)
    in_target, in_mirna = ([item for items in own for item in items if isinstance(item, Edit)] for own in placed)
    parts = [
        find(model, mirnas, transcripts, edits, settings=settings, min_difference=min_difference, threads=threads)
        for find, edits in ((in_transcripts, in_target), (in_mirnas, in_mirna))
    ]
    return Found(compare.ordered(_joined(parts)), len(alleles), {reason: len(some) for reason, some in reasons.items()})


def _check_fit(annotation: Annotation, sequences: Sequence[Record], what: str) -> None:
    """Report the sequences that the annotation does not know, or of another length."""
    known = {short_id(transcript.id): transcript for transcript in annotation.transcripts.values()}
    own = [known.get(short_id(record.id)) for record in sequences]
    fits = [
        transcript is not None and transcript.offset(len(record.sequence)) is not None
        for transcript, record in zip(own, sequences, strict=True)
    ]
    n_unknown, n_other = own.count(None), len(fits) - sum(fits) - own.count(None)
    told = f"lacks {n_unknown} of {len(fits)} {what}; {n_other} are of another length"
    if not any(fits):
        raise InputError(f"{told}, so that none can be placed", path=annotation.path)
    if not all(fits):
        log.warning("%s: %s", annotation.path, told)


def in_transcripts(
    model: Model,
    mirnas: Sequence[Record],
    transcripts: Sequence[Record],
    edits: Sequence[Edit],
    *,
    settings: scan.Settings | None = None,
    min_difference: float = 0.5,
    threads: int = 1,
) -> pd.DataFrame:
    """The sites that edits of transcripts gain, lose or change.

    Every window that holds the edit, nt by nt, is scored in both alleles, by every miRNA. Of each miRNA and edit the
    window that differs most counts, among those that are a site in either allele; where an edit moves what follows it,
    a window is held against the best of the other allele's windows that are not further off than that.

    Args:
        model: stays as it is.
        mirnas: mature sequences.
        transcripts: those that the edits number.
        edits: of transcripts.
        settings: what is a site, as for a scan.
        min_difference: smallest difference of logits that is told.
        threads: processes that share the work.

    Returns:
        Columns `COLUMNS`, in the order of edits and miRNAs. Start and end are the window's, on the allele in which it
        is a site.
    """
    if not edits:
        return _table([])
    rule = _rule(model, mirnas, transcripts, settings, min_difference, threads)
    size = max(1, WINDOWS_AT_ONCE // (4 * model.lengths[-1] * max(len(mirnas), 1)))
    blocks = (
        [(edit, transcripts[edit.number]) for edit in edits[low : low + size]] for low in range(0, len(edits), size)
    )
    own = model if threads == 1 else copy.deepcopy(model).cpu()
    found = workers.in_order(_compare, (own, list(mirnas), rule), blocks, processes=threads)
    return _joined(list(found))


def in_mirnas(
    model: Model,
    mirnas: Sequence[Record],
    transcripts: Sequence[Record],
    edits: Sequence[Edit],
    *,
    settings: scan.Settings | None = None,
    min_difference: float = 0.5,
    threads: int = 1,
) -> pd.DataFrame:
    """The sites in all transcripts that edits of miRNAs gain, lose or change; else as `in_transcripts`.

    Both forms of a miRNA are scanned for, and held against each other by `compare.compare`.
    """
    if not edits:
        return _table([])
    own, pairs = {}, []
    for number, edit in enumerate(edits):
        reference = mirnas[edit.number]
        other = Record(f"{reference.id} {number}", edit.apply(reference.sequence))
        own[other.id] = edit
        pairs.append(Pair(reference, other))
    how: dict[str, Any] = {"settings": settings or scan.Settings(), "min_fold": 1, "min_difference": min_difference}
    sites = compare.compare(model, pairs, transcripts, threads=threads, **how).sites
    told = sites[sites["change"] != "kept"].rename(columns=_OF_FORMS).reset_index(drop=True)
    facts = [_facts(own[name], "mirna") for name in told["isomir_id"]]
    return pd.concat([told, pd.DataFrame(facts)], axis=1).reindex(columns=list(COLUMNS))


_OF_FORMS = {"reference_id": "mirna_id"} | {f"isomir_{name}": f"alternative_{name}" for name in ("score", "seed_type")}
"""Columns of `compare.compare`, and their names here."""


def _joined(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    some = [part for part in parts if len(part)]
    return pd.concat(some, ignore_index=True) if some else pd.DataFrame({name: [] for name in COLUMNS})


def _score(model: Model, mirnas: Sequence[Record], stretches: Sequence[str]) -> list[Logits]:
    """Logits (m, w) of every window of each stretch, nt by nt; a stretch shorter than a window is filled with N."""
    window = model.lengths[-1]
    filled = [stretch.ljust(window, "N") for stretch in stretches]
    offsets = np.cumsum([0, *map(len, filled)])
    n_windows = np.array([len(stretch) - window + 1 for stretch in filled])
    starts = np.concatenate([offset + np.arange(n) for offset, n in zip(offsets[:-1], n_windows, strict=True)])
    where = predict.device_of(model)
    queries = torch.from_numpy(rna.encode([record.sequence for record in mirnas], model.lengths[0]))
    row = rna.encode(["".join(filled)])[0]
    with torch.inference_mode():
        found = model.score_windows(queries.to(where), torch.from_numpy(row).to(where), torch.from_numpy(starts))
    logits: Logits = found.cpu().numpy()
    if model.candidates == "seed":
        logits = np.where(_end_with_seed(mirnas, row, starts + window), logits, np.float32(-np.inf))
    return np.split(logits, np.cumsum(n_windows)[:-1], axis=1)


def _end_with_seed(mirnas: Sequence[Record], row: NDArray[np.int8], ends: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which windows (m, w) end with a 6mer and the nucleotide opposite the miRNA's first: candidates of some models."""
    six = next(number for number, kind in enumerate(rna.SEED_TYPES) if kind.name == "6mer")
    beyond = rna.seed_interval(0, rna.SEED_TYPES[six])[1] + 1
    at = ends - beyond
    fits = [rna.seed_matches(rna.encode([record.sequence])[0], row)[six][at] & (at >= 0) for record in mirnas]
    return np.array(fits)


def _compare(shared: tuple[Model, list[Record], _Rule], block: list[tuple[Edit, Record]]) -> pd.DataFrame:
    """`in_transcripts` of some edits."""
    model, mirnas, rule = shared
    margin = model.lengths[-1] - 1
    lows = [max(0, edit.start - margin) for edit, _ in block]
    texts = []
    for (edit, record), low in zip(block, lows, strict=True):
        edited = edit.apply(record.sequence)
        after = edited[low : edit.start + len(edit.alternative) + margin]
        texts.append((record.sequence[low : edit.end + margin], after))
    scored = [_score(model, mirnas, [pair[form] for pair in texts]) for form in (0, 1)]
    rows = []
    for (edit, record), low, pair, *logits in zip(block, lows, texts, *scored, strict=True):
        shift = abs(len(edit.alternative) - (edit.end - edit.start))
        losses, gains = _drops(logits[0], logits[1], shift, rule), _drops(logits[1], logits[0], shift, rule)
        for m in np.flatnonzero((losses > 0).any(1) | (gains > 0).any(1)):
            better = int(gains[m].max() > losses[m].max())  # the form in which it is a site
            at = int((losses, gains)[better][m].argmax())
            near = logits[1 - better][m, max(0, at - shift) : at + shift + 1]
            places = [at, at]
            places[1 - better] = max(0, at - shift) + int(near.argmax())
            cut = [text[start : start + margin + 1] for text, start in zip(pair, places, strict=True)]
            values = float(logits[0][m, places[0]]), float(logits[1][m, places[1]])
            span = low + at, low + at + len(cut[better])
            types = [rna.seed_type(mirnas[m].sequence, text) for text in cut]
            is_site = [value >= rule.least[m] for value in values]
            rows.append(_row(edit, mirnas[m].id, record.id, values, rule, is_site, types, span))
    return _table(rows)


def _drops(one: Logits, other: Logits, shift: int, rule: _Rule) -> Logits:
    """By how much each window (m, w) that is a site is better than the best window of the other allele near it, or 0.

    Near: not further off than `shift`. Windows that have none near are 0, and those below the smallest difference.
    """
    n_windows, width = one.shape[1], other.shape[1]
    filled = np.pad(other, ((0, 0), (0, max(0, n_windows - width))), constant_values=-np.inf)
    held = maximum_filter1d(filled, 2 * shift + 1, axis=1, mode="constant", cval=-np.inf)[:, :n_windows]
    with np.errstate(invalid="ignore"):
        drop = np.where(np.arange(n_windows) - shift < width, one - held, 0)
    told = (one >= rule.least[:, None]) & (drop >= max(rule.min_difference, 1e-6))
    return np.where(told, drop, np.float32(0))


def _row(
    edit: Edit,
    mirna: str,
    target: str,
    logits: tuple[float, float],
    rule: _Rule,
    is_site: Sequence[bool],
    types: Sequence[str],
    span: tuple[int, int],
) -> dict[str, Any]:
    scores = predict.probability(np.array(logits, dtype=np.float32) + np.float32(rule.prior)).astype(np.float64)
    return _facts(edit, "target") | {
        "mirna_id": mirna,
        "target_id": target,
        "change": compare.kind(*is_site),
        "reference_score": scores[0],
        "alternative_score": scores[1],
        "difference": scores[1] - scores[0],
        "logit_difference": logits[1] - logits[0],
        "reference_seed_type": types[0],
        "alternative_seed_type": types[1],
        "start": span[0],
        "end": span[1],
    }


def _facts(edit: Edit, within: str) -> dict[str, Any]:
    """The columns that an edit alone tells."""
    place = {"variant_start": edit.start, "variant_end": edit.end}
    return {"variant": edit.allele.name, "within": within, **place, "vcf_id": edit.allele.id}


def _table(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(COLUMNS))


def write(found: Found, folder: Path, *, settings: dict[str, Any] | None = None) -> list[Path]:
    """Write variants.tsv and run.json; the files written.

    Args:
        found: by `variants`.
        folder: made where it is not there.
        settings: of the run, for run.json.
    """
    io.expect_folder(folder)
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / "variants.tsv", folder / "run.json"]
    io.write_tsv(found.table, files[0], COLUMNS)
    counts = {kind: int((found.table["change"] == kind).sum()) for kind in CHANGES}
    record = (settings or {}) | {"n_alleles": found.n_alleles, "skipped": found.skipped, "changes": counts}
    runs.write_json(files[1], record | runs.environment())
    return files
