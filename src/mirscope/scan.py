"""Candidate sites of miRNAs in transcripts: every window scored, hits joined to sites, sites ranked to genes."""

from __future__ import annotations

import copy
import hashlib
import itertools
import logging
import math
import re
import shutil
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from mirscope import io, models, plot, predict, repression, rna, runs, tables, workers
from mirscope.background import TAIL, Background, QValues, shuffled
from mirscope.errors import InputError, RepeatedIdError, UsageError
from mirscope.io import Record
from mirscope.models import PAIR, Model, expect

log = logging.getLogger(__name__)

PAIRS_AT_ONCE = 250_000
"""Windows x miRNAs of a chunk, the unit of work of a process; memory is in proportion."""
STEPS = {"seed": 32, "peaks": 64}
"""nt x miRNAs searched for candidates that count as one pair in the size of a chunk."""
BACKGROUND = 200_000
"""nt of shuffled transcript, at least."""
LEAST_BACKGROUND = 10_000
MOST_PER_KB = 1.0
"""False sites of a miRNA that can be asked for."""
KEPT_PER_KB = 2.0
"""Shuffled sites of a miRNA that its background keeps, about."""
PILOT = 20_000
"""nt of shuffled transcript that tell from what logit there are so many."""
WINDOWS_AT_ONCE = 2048
"""Windows the model sees in one call."""
SITES_TO_MATCH = 50_000
"""Sites whose seeds are matched in one call."""
SITES_AT_ONCE = 4_000_000
"""Sites in memory while genes are ranked."""


@dataclass(frozen=True)
class Settings:
    """What is called a site."""

    threshold: float | None = None
    """Windows with at least this score are hits; default: 0.5, unless `fp_per_kb` says what is."""
    fp_per_kb: float | None = None
    """Sites of a miRNA are those as good as so many in a kb of shuffled transcript; default: the model's, or none."""
    background: int | None = None
    """nt of shuffled transcript that are searched to tell how many sites are false; default: `BACKGROUND` where
    `fp_per_kb` is given, and enough for `background.TAIL` sites of each miRNA at that rate; else none."""
    prevalence: float = 0.5
    """Share of windows that truly bind, for which scores are stated; the pairs of most training sets have one half."""
    level: float = 1.0
    """Free miRNA, which sites' occupancies are stated for; 1 as in the transfections their head learned from."""
    stride: int | None = None
    """nt between windows; default: the model's."""
    candidates: Literal["all", "seed", "peaks"] | None = None
    """All windows, or for each miRNA those that end with its seed match (`seed_windows`), or those around the places
    where it binds best, of models that find these (`Model.peaks`); default: the model's."""
    merge: bool = True
    """Merge hits that overlap into the best of them (`merge`); otherwise every hit is a row."""
    duplexes: bool = True
    """Add how each site's duplex looks (`Model.duplexes`)."""

    def __post_init__(self) -> None:
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise UsageError(f"threshold is {self.threshold}; expected a score from 0 to 1")
        if self.fp_per_kb is not None and not 0 < self.fp_per_kb <= MOST_PER_KB:
            raise UsageError(f"{self.fp_per_kb} false sites per kb; expected a number above 0, up to {MOST_PER_KB:g}")
        if self.threshold is not None and self.fp_per_kb is not None:
            raise UsageError("what is a site is told by a threshold or by false sites per kb, not both")
        if self.background is not None and self.background < (LEAST_BACKGROUND if self.fp_per_kb else 0):
            raise UsageError(f"background is {self.background} nt; false sites per kb take {LEAST_BACKGROUND} or more")
        if not self.level > 0:
            raise UsageError(f"level of free miRNA is {self.level}; expected a number above 0")
        if not 0 < self.prevalence < 1:
            raise UsageError(f"prevalence is {self.prevalence}; expected a share between 0 and 1")
        if self.stride is not None and self.stride < 1:
            raise UsageError(f"stride is {self.stride}; expected 1 nt or more")
        if self.candidates not in (None, "all", "seed", "peaks"):
            raise UsageError(f"candidates is {self.candidates!r}; expected all, seed or peaks")
        if self.candidates in ("seed", "peaks") and self.stride is not None:
            places = {"seed": "the seed matches", "peaks": "a miRNA binds best"}[self.candidates]
            raise UsageError(f"candidates stand where {places}, not every so many nt: leave out the stride")


def scan(
    model: Model,
    mirnas: Sequence[Record],
    transcripts: Iterable[Record],
    *,
    settings: Settings | None = None,
    background: Background | None = None,
    threads: int = 1,
    report: Callable[[int], None] = lambda n: None,
) -> pd.DataFrame:
    """All sites of the miRNAs in the transcripts.

    Args:
        model: stays where it is and as it is.
        mirnas: mature sequences, 5'->3'.
        transcripts: of any length; read three times where there is a background.
        settings: what is called a site.
        background: of these miRNAs (`shuffled_sites`); default: that of these transcripts.
        threads: processes that share the work.
        report: called with the nt of transcripts done, as they are done.

    Returns:
        Columns of `tables.SITES`, in order of transcript, miRNA, start.

    Raises:
        InputError: a miRNA is too short or too long to be one.
    """
    settings = settle(settings, model)
    _check_mirnas(mirnas, model)
    calls = _calls(model, mirnas, transcripts, settings, threads, background)
    found = []
    for chunk in _in_order(model, _chunks(model, mirnas, transcripts, settings), settings, calls, threads):
        found.append(chunk)
        report(chunk.n_nt)
    sites = pd.concat([_empty(model, settings), *(chunk.sites for chunk in found)], ignore_index=True)
    if not calls.background:
        return sites
    return _q_values(mirnas, [sites], sum(chunk.n_nt for chunk in found) / 1000)(sites)


def iter_sites(
    model: Model,
    mirnas: Sequence[Record],
    transcripts: Iterable[Record],
    *,
    settings: Settings | None = None,
    background: Background | None = None,
    threads: int = 1,
    report: Callable[[int], None] = lambda n: None,
) -> Iterator[pd.DataFrame]:
    """The table of `scan` in chunks, in flat memory; a miRNA and a transcript are never in two chunks.

    Without q-values, which take all sites of a miRNA. Where there is a background, transcripts are read three times.
    `report` is called with the nt of transcripts done, as they are done.
    """
    settings = settle(settings, model)
    _check_mirnas(mirnas, model)
    calls = _calls(model, mirnas, transcripts, settings, threads, background)
    for found in _in_order(model, _chunks(model, mirnas, transcripts, settings), settings, calls, threads):
        yield found.sites
        report(found.n_nt)


def least_logits(
    model: Model,
    mirnas: Sequence[Record],
    transcripts: Iterable[Record],
    *,
    settings: Settings | None = None,
    background: Background | None = None,
    threads: int = 1,
) -> NDArray[np.float64]:
    """The logit from which a window is a site of each miRNA (m,) in a `scan` with the same arguments."""
    _check_mirnas(mirnas, model)
    return _calls(model, mirnas, transcripts, settle(settings, model), threads, background).least


@dataclass(frozen=True)
class Transcripts:
    """The records of a FASTA file, read anew whenever they are asked for."""

    path: Path
    number_duplicates: bool = False
    """Whether an id that came before gets `_2`, `_3` ... at its end; otherwise it is an error."""

    def __iter__(self) -> Iterator[Record]:
        seen: Counter[str] = Counter()
        try:
            for record in io.iter_fasta(self.path, unique=not self.number_duplicates):
                seen[record.id] += self.number_duplicates
                yield record if seen[record.id] < 2 else Record(f"{record.id}_{seen[record.id]}", record.sequence)
        except RepeatedIdError as error:
            error.problem += " (--number-duplicates tells them apart)"
            raise


@dataclass(frozen=True)
class Summary:
    """What a scan to files did."""

    n_windows: int
    """Pairs of a miRNA and a window; of a miRNA and a nt where peaks were looked for."""
    n_scored: int
    """Those of them scored now; the others were in finished chunks of the run that is resumed."""
    n_sites: int
    n_genes: int
    seconds: float
    files: list[Path]


FORMATS = ("tsv", "bed", "gff3", "parquet", "fasta")


def scan_files(
    model: Model,
    mirnas: Sequence[Record],
    transcripts: Transcripts,
    folder: Path,
    *,
    settings: Settings | None = None,
    how: predict.GeneScore | None = None,
    min_sites: int = 1,
    genes_of: Mapping[str, str] | None = None,
    isoforms: repression.Isoforms = "mean",
    formats: Sequence[str] = ("tsv", "bed", "gff3"),
    plots: int = 0,
    threads: int = 1,
    resume: bool = False,
    report: Callable[[int], None] = lambda n: None,
) -> Summary:
    """Scan to `folder`: sites.tsv, genes.tsv, sites.bed, ..., run.json.

    Finished chunks wait in `folder/unfinished` and the outputs are made of them at the end, so that a run that was
    killed leaves nothing half-written and can be resumed with the same result.

    Args:
        model: stays as it is.
        mirnas: mature sequences.
        transcripts: their file.
        folder: made if needed.
        settings: what is called a site.
        how: what genes are ranked by, see `predict.genes`.
        min_sites: fewer sites make no target.
        genes_of: the gene of each transcript, for genes.tsv; default: each is its own.
        isoforms: how the transcripts of a gene are combined, see `repression.combine`.
        formats: of the sites, from `FORMATS`; genes.tsv is always written.
        plots: transcripts to draw, the best first.
        threads: processes that share the work.
        resume: use the finished chunks of an interrupted run.
        report: called with the nt of transcripts done, as they are done.

    Raises:
        InputError: bad input.
        UsageError: `folder` holds an unfinished run that is not to be resumed, or is another one.
    """
    began, settings = time.perf_counter(), settle(settings, model)
    weak = how in (None, "repression") and bool(settings.background)
    for format_ in formats:
        if format_ not in FORMATS:
            raise UsageError(f"no format {format_!r}; expected {', '.join(FORMATS)}")
    if how == "repression" and not settings.background:
        raise UsageError("genes by repression take rates of false sites: give --fp-per-kb or --background")
    _check_mirnas(mirnas, model)
    identity = {
        "model": model.name,
        "weights": models.fingerprint(model),
        "mirnas": _fingerprint_records(mirnas),
        "transcripts": runs.checksum(transcripts.path),
        "settings": asdict(settings) | {"weak_sites": weak},
    }
    io.expect_folder(folder)
    parts = folder / "unfinished"
    runs.begin_parts(parts, identity, what="scan", resume=resume)
    calls = _calls(model, mirnas, transcripts, settings, threads, weak=weak)
    n_windows = n_scored = n_nt_in_all = 0
    paths: list[Path] = []
    missing: deque[Path] = deque()

    def todo() -> Iterator[_Chunk]:
        nonlocal n_windows, n_nt_in_all
        for index, chunk in enumerate(_chunks(model, mirnas, transcripts, settings)):
            n_nt_in_all += chunk.n_nt
            paths.append(parts / f"{index:06d}.parquet")
            if paths[-1].is_file():
                n_windows += _n_windows(model, chunk, settings)
                report(chunk.n_nt)
            else:
                missing.append(paths[-1])
                yield chunk

    for found in _in_order(model, todo(), settings, calls, threads):
        path = missing.popleft()
        found.genes.to_parquet(_of_genes(path), index=False)
        io.write_parquet([found.sites], path, columns(model, settings))
        n_windows += found.n_windows
        n_scored += found.n_windows
        report(found.n_nt)

    n_sites = sum(pq.read_metadata(path).num_rows for path in paths)
    n_kb = n_nt_in_all / 1000
    files = _write_sites(model, mirnas, transcripts, paths, folder, settings=settings, formats=formats, n_kb=n_kb)
    n_genes, best = 0, pd.DataFrame()

    of_gene = repression.isoforms(transcripts, genes_of) if genes_of else None

    def ranked(block: pd.DataFrame) -> pd.DataFrame:
        return predict.rank(block[block["n_sites"] >= min_sites], how=how)

    def genes() -> Iterator[pd.DataFrame]:
        nonlocal n_genes, best
        for block in _genes(paths, mirnas, n_sites):
            if plots:
                both = pd.concat([best, ranked(block)])
                both = both.sort_values(["rank", "score"], ascending=[True, False], kind="stable")
                best = both.drop_duplicates("target_id").head(plots)
            table = ranked(block if of_gene is None else repression.combine(block, of_gene, how=isoforms))
            n_genes += len(table)
            yield table

    files.append(folder / "genes.tsv")
    shown = [column.name for column in tables.GENES if column.required or settings.background]
    io.write_tsv(genes(), files[-1], shown)
    if len(best):
        files += _draw(paths, list(best["target_id"]), transcripts, folder / "plots")
    summary = Summary(n_windows, n_scored, n_sites, n_genes, time.perf_counter() - began, files)
    record = identity | {"how": how, "min_sites": min_sites, "n_windows": n_windows, "n_sites": n_sites}
    record |= {"n_genes": n_genes, "seconds": round(summary.seconds, 2), "provenance": model.provenance}
    runs.write_json(folder / "run.json", record | runs.environment())
    shutil.rmtree(parts)
    return summary


def _write_sites(
    model: Model,
    mirnas: Sequence[Record],
    transcripts: Transcripts,
    parts: Sequence[Path],
    folder: Path,
    *,
    settings: Settings,
    formats: Sequence[str],
    n_kb: float,
) -> list[Path]:
    """Write folder/sites.FORMAT of the finished chunks."""
    counted = (pd.read_parquet(part, columns=["mirna_id", "fp_per_kb"]) for part in parts)
    complete = _q_values(mirnas, counted, n_kb) if settings.background else None

    def sites() -> Iterator[pd.DataFrame]:
        tables_ = (pd.read_parquet(part) for part in parts)
        return map(complete, tables_) if complete else tables_

    shown = columns(model, settings, whole=True)
    for format_ in set(FORMATS) - set(formats):  # of an earlier scan
        (folder / f"sites.{format_}").unlink(missing_ok=True)
    files = [folder / f"sites.{format_}" for format_ in formats]
    for format_, path in zip(formats, files, strict=True):
        if format_ == "tsv":
            io.write_tsv(sites(), path, [column.name for column in shown])
        elif format_ == "bed":
            io.write_bed(sites(), path)
        elif format_ == "gff3":
            io.write_gff3(sites(), path)
        elif format_ == "parquet":
            io.write_parquet(sites(), path, shown)
        elif format_ == "fasta":
            sequences = {record.id: record.sequence for record in mirnas}
            lengths = {"mirna_length": model.lengths[0], "window": model.lengths[-1]}
            io.write_sites_fasta(
                sites(), path, sequences, transcripts, **lengths, stride=settings.stride or model.stride
            )
    return files


def _q_values(
    mirnas: Sequence[Record], chunks: Iterable[pd.DataFrame], n_kb: float
) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """What gives sites their column q_value, after fp_per_kb: by all sites of all chunks, found in `n_kb`."""
    ids, counts = pd.Index([record.id for record in mirnas]), QValues(len(mirnas))

    def known(sites: pd.DataFrame) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        numbers = ids.get_indexer(pd.Index(sites["mirna_id"])).astype(np.int64)
        return numbers, sites["fp_per_kb"].to_numpy()

    for chunk in chunks:
        counts.add(*known(chunk))
    q_values = counts.over(n_kb)

    def complete(sites: pd.DataFrame) -> pd.DataFrame:
        sites.insert(list(sites).index("fp_per_kb") + 1, "q_value", q_values(*known(sites)))
        return sites

    return complete


def settle(settings: Settings | None, model: Model) -> Settings:
    """The settings, with the model's own where nothing is asked for.

    Raises:
        UsageError: the model reads no miRNA and target, or cannot find peaks.
    """
    expect(model, PAIR)
    settings = settings or Settings()
    settings = replace(settings, candidates=settings.candidates or model.candidates)
    if settings.candidates == "peaks" and type(model).peaks is Model.peaks:
        raise UsageError(f"{model.name} has no peaks of its own; expected candidates all or seed")
    if settings.threshold is None and settings.fp_per_kb is None:
        by_rate = model.fp_per_kb if settings.background != 0 else None
        settings = replace(settings, fp_per_kb=by_rate, threshold=None if by_rate else 0.5)
    if settings.background is None:
        enough = math.ceil(1000 * TAIL / settings.fp_per_kb) if settings.fp_per_kb else 0
        settings = replace(settings, background=max(BACKGROUND, enough) if settings.fp_per_kb else 0)
    return settings


@dataclass(frozen=True)
class _Calls:
    """What is called: the least logit of each miRNA's sites (m,), and what tells their rate of false ones."""

    least: NDArray[np.float64]
    lowest: NDArray[np.float64]
    """The same of what is looked at: genes count weaker sites too, as the head for repression wants them."""
    background: Background | None = None
    head: repression.Head | None = None
    """With a background."""


def _calls(
    model: Model,
    mirnas: Sequence[Record],
    transcripts: Iterable[Record],
    settings: Settings,
    threads: int,
    background: Background | None = None,
    *,
    weak: bool = False,
) -> _Calls:
    # as float32 a score of 1 is that of all logits from about 17 up; a millionth for the rounding of others
    threshold = min(settings.threshold or 0.0, 1 - 2**-24)
    least = np.full(len(mirnas), predict.logit(threshold) - predict.logit(settings.prevalence) - 1e-6)
    background = background or shuffled_sites(model, mirnas, transcripts, settings=settings, threads=threads)
    if not (settings.background and background):
        return _Calls(least, least)
    head = repression.load()
    if settings.fp_per_kb:
        least = background.least(settings.fp_per_kb)
    lowest = np.minimum(least, background.least(head.fp_per_kb)) if weak else least
    return _Calls(least, lowest, background, head)


def shuffled_sites(
    model: Model,
    mirnas: Sequence[Record],
    transcripts: Iterable[Record],
    *,
    settings: Settings | None = None,
    threads: int = 1,
) -> Background | None:
    """The best sites of each miRNA in shuffled transcripts, which tell false sites from true ones.

    None where the settings ask for no background.

    Args:
        model: stays as it is.
        mirnas: mature sequences.
        transcripts: of any length; read twice.
        settings: of the scan that it is for; somewhat worse sites than it calls are there too.
        threads: processes that share the work.
    """
    settings = settle(settings, model)
    if not settings.background:
        return None
    total = sum(len(record.sequence) for record in transcripts)
    records = list(shuffled(transcripts, settings.background, total_nt=total))
    n_kb = sum(len(record.sequence) for record in records) / 1000
    if not n_kb:
        raise InputError("no transcripts to shuffle, so that false sites could be told")
    least = np.full(len(mirnas), -np.inf)
    if settings.candidates == "peaks":  # of which there are many more than will be kept
        row = _Row(_Chunk(mirnas, records, 0), model.lengths[-1])
        starts = np.arange(0, min(PILOT, len(row.codes) - model.lengths[-1] + 1), model.stride)
        overlap = model.lengths[-1] / model.stride  # windows that hold the same site
        n_kept = min(len(starts) - 1, math.ceil(KEPT_PER_KB * overlap * len(starts) * model.stride / 1000))
        least = -np.partition(-_logits(model, mirnas, row.codes, starts), n_kept, axis=1)[:, n_kept].astype(np.float64)
    own = model if threads == 1 else copy.deepcopy(model).cpu()
    shared = own, settings, _Calls(least, least), threads > 1
    chunks = _chunks(model, mirnas, records, settings)
    found = list(workers.in_order(_work_on_shuffled, shared, chunks, processes=threads))
    mirna, logits = (np.concatenate(column) for column in zip(*found, strict=True))
    order = np.lexsort((-logits, mirna))
    bounds = np.searchsorted(mirna[order], np.arange(1, len(mirnas)))
    return Background(tuple(np.split(logits[order], bounds)), n_kb)


@dataclass(frozen=True)
class _Chunk:
    """Some transcripts and some miRNAs, all pairs of which are scored together."""

    mirnas: Sequence[Record]
    transcripts: Sequence[Record]
    n_nt: int
    """Transcript done with this chunk; 0 where other miRNAs are still to come."""
    first: int = 0
    """Number of the first of its miRNAs among all."""


def _chunks(
    model: Model, mirnas: Sequence[Record], transcripts: Iterable[Record], settings: Settings
) -> Iterator[_Chunk]:
    """Chunks of about `PAIRS_AT_ONCE`; the same for the same input, whatever the machine."""
    records: list[Record] = []
    n_windows = last = 0
    for record in transcripts:
        records.append(record)
        if settings.candidates in STEPS:
            last = -(-len(record.sequence) // STEPS[settings.candidates])
        else:
            last = len(_starts(model, record, settings))
        n_windows += last
        if n_windows * len(mirnas) >= PAIRS_AT_ONCE:
            yield from _split(mirnas, records, n_windows, last)
            records, n_windows = [], 0
    if records:
        yield from _split(mirnas, records, n_windows, last)


def _split(mirnas: Sequence[Record], records: list[Record], n_windows: int, last: int) -> Iterator[_Chunk]:
    """One chunk, or, of a long last transcript (its windows: `last`), several with some of the miRNAs each."""
    if len(records) > 1 and n_windows * len(mirnas) > 2 * PAIRS_AT_ONCE:
        yield _Chunk(mirnas, records[:-1], sum(len(record.sequence) for record in records[:-1]))
        records, n_windows = records[-1:], last
    step = len(mirnas) if len(records) > 1 else max(1, PAIRS_AT_ONCE // max(n_windows, 1))
    for low in range(0, len(mirnas), step):
        n_nt = sum(len(record.sequence) for record in records) if low + step >= len(mirnas) else 0
        yield _Chunk(mirnas[low : low + step], records, n_nt, low)


def _starts(model: Model, record: Record, settings: Settings) -> NDArray[np.int64]:
    """First nt of each window of a transcript."""
    return predict.window_starts(len(record.sequence), model.lengths[-1], settings.stride or model.stride)


def _n_windows(model: Model, chunk: _Chunk, settings: Settings) -> int:
    """Pairs of a miRNA and a window that `_scan_chunk` scores."""
    if settings.candidates == "seed":
        return len(_seed_windows(chunk, _Row(chunk, model.lengths[-1]), model.lengths[-1])[0])
    if settings.candidates == "peaks":
        return len(chunk.mirnas) * sum(len(record.sequence) for record in chunk.transcripts)
    return len(chunk.mirnas) * sum(len(_starts(model, record, settings)) for record in chunk.transcripts)


@dataclass(frozen=True)
class _Found:
    """What a chunk came to."""

    sites: pd.DataFrame
    genes: pd.DataFrame
    """Of `predict.summed`."""
    n_windows: int
    n_nt: int
    """Of `_Chunk`."""


def _in_order(
    model: Model, chunks: Iterable[_Chunk], settings: Settings, calls: _Calls, threads: int
) -> Iterator[_Found]:
    """What each chunk came to, in the order of chunks; a few are under way at a time.

    Processes, each with one torch thread, since threads that share the work on one chunk stall as soon as a core is
    busy with something else. Each has its own copy of the model.
    """
    own = model if threads == 1 else copy.deepcopy(model).cpu()
    return workers.in_order(_work, (own, settings, calls, threads > 1), chunks, processes=threads)


_Shared: TypeAlias = tuple[Model, Settings, _Calls, bool]


def _work(shared: _Shared, chunk: _Chunk) -> _Found:
    model, settings, calls, elsewhere = shared
    return _scan_chunk(model.to(predict.device()) if elsewhere else model, chunk, settings, calls)


def _work_on_shuffled(shared: _Shared, chunk: _Chunk) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The number of the miRNA, among all, and the logit of each site."""
    model, settings, calls, elsewhere = shared
    model = model.to(predict.device()) if elsewhere else model
    hits, *_ = _find(model, chunk, _Row(chunk, model.lengths[-1]), replace(settings, merge=True), calls.least)
    return hits.mirna + chunk.first, hits.logit


def _check_mirnas(mirnas: Sequence[Record], model: Model) -> None:
    """Raise `InputError` unless all can be mature miRNAs; warn of those the model cuts."""
    for record in mirnas:
        if not rna.MIRNA_LENGTHS[0] <= len(record.sequence) <= rna.MIRNA_LENGTHS[1]:
            problem = f"{len(record.sequence)} nt is no mature miRNA ({rna.MIRNA_LENGTHS[0]}-{rna.MIRNA_LENGTHS[1]} nt)"
            raise InputError(f"{problem}; were miRNAs and transcripts swapped?", record=record.id)
    n_long = sum(len(record.sequence) > model.lengths[0] for record in mirnas)
    if n_long:
        log.warning("%d of %d miRNAs are cut at %d nt by %s", n_long, len(mirnas), model.lengths[0], model.name)


class _Row:
    """The transcripts of a chunk in a row, each filled with N to at least a window."""

    def __init__(self, chunk: _Chunk, window: int) -> None:
        sequences = [record.sequence.ljust(window, "N") for record in chunk.transcripts]
        widths = np.array([len(sequence) for sequence in sequences])
        self.codes: NDArray[np.int8] = rna.encode(["".join(sequences)])[0]
        self.offsets: NDArray[np.int64] = np.cumsum(widths) - widths
        self.ends = self.offsets + [len(record.sequence) for record in chunk.transcripts]


@dataclass(frozen=True)
class _Hits:
    """Windows that are good enough: numbers of miRNA and transcript in the chunk, interval on the row, logit."""

    mirna: NDArray[np.int64]
    transcript: NDArray[np.int64]
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    logit: NDArray[np.float32]
    """Not the score, since high ones are all 1."""
    place: NDArray[np.int64]
    """Hits of a miRNA whose places are near each other are one site."""

    def take(self, which: NDArray[np.int64] | NDArray[np.bool_]) -> _Hits:
        """These of the hits, in this order."""
        return _Hits(*(getattr(self, field.name)[which] for field in fields(self)))


def _find(
    model: Model, chunk: _Chunk, row: _Row, settings: Settings, least: NDArray[np.float64]
) -> tuple[_Hits, NDArray[np.int64], int]:
    """The sites, in the order of the table, how many hits each stands for, and how many windows there were."""
    find = {"all": _window_hits, "seed": _seed_hits, "peaks": _peak_hits}[settings.candidates or "all"]
    hits, n_windows = find(model, chunk, row, settings, least[chunk.first : chunk.first + len(chunk.mirnas)])
    hits = hits.take(np.lexsort((hits.place, hits.mirna, hits.transcript)))
    n_merged = np.ones(len(hits.end), dtype=np.int64)
    if settings.merge:
        group = hits.transcript * len(chunk.mirnas) + hits.mirna
        reach = model.reach if settings.candidates == "peaks" else model.lengths[-1]
        sites, n_merged = merge(group, hits.place, hits.logit, reach)
        hits = hits.take(sites)
    order = np.lexsort((hits.end, hits.start, hits.mirna, hits.transcript))
    return hits.take(order), n_merged[order], n_windows


def _scan_chunk(model: Model, chunk: _Chunk, settings: Settings, calls: _Calls) -> _Found:
    row = _Row(chunk, model.lengths[-1])
    hits, n_merged, n_windows = _find(model, chunk, row, settings, calls.lowest)
    table = _table(model, chunk, row, settings, hits).assign(n_windows=n_merged)
    if calls.background and calls.head:
        table["fp_per_kb"] = calls.background.fp_per_kb(hits.mirna + chunk.first, hits.logit)
        codes = {r.id: row.codes[a:b] for r, a, b in zip(chunk.transcripts, row.offsets, row.ends, strict=True)}
        table["occupancy"] = calls.head.occupancy(repression.annotate(table, codes), level=settings.level)
    called = hits.logit >= calls.least[hits.mirna + chunk.first]
    sites = table[called].reset_index(drop=True)
    genes = predict.summed(sites)
    if calls.background:  # all of its sites repress a gene, but it takes one that is called to be listed
        key = hits.transcript * len(chunk.mirnas) + hits.mirna
        genes["repression"] = np.bincount(key, table["occupancy"])[pd.unique(key[called])]
    if settings.duplexes:
        hits = hits.take(called)
        queries = [chunk.mirnas[m].sequence for m in hits.mirna.tolist()]
        places = zip(hits.transcript.tolist(), sites["start"], sites["end"], strict=True)
        found = model.duplexes(queries, [chunk.transcripts[t].sequence[low:high] for t, low, high in places])
        for column in _drawn(model):
            sites[column.name] = pd.Series(found[column.name], dtype=_DTYPES[column.kind])
        sites["duplex_start"] = sites["duplex_start"].where(
            sites["duplex_start"] < 0, sites["duplex_start"] + sites["start"]
        )
    return _Found(sites, genes, n_windows, chunk.n_nt)


def _table(model: Model, chunk: _Chunk, row: _Row, settings: Settings, hits: _Hits) -> pd.DataFrame:
    """Sites, with what the model and the sequence alone say."""
    mirna, transcript = hits.mirna, hits.transcript
    kind, seed_start = _seeds(chunk.mirnas, row, hits, model.lengths[-1])
    base = row.offsets[transcript]
    return pd.DataFrame(
        {
            "mirna_id": _pick([record.id for record in chunk.mirnas], mirna),
            "target_id": _pick([record.id for record in chunk.transcripts], transcript),
            "start": hits.start - base,
            "end": hits.end - base,
            "strand": _pick(["+"], np.zeros_like(mirna)),
            "score": predict.probability(hits.logit + np.float32(predict.logit(settings.prevalence))),
            "n_windows": 1,
            "seed_type": _pick([*(kind.name for kind in rna.SEED_TYPES), ""], kind),
            "seed_start": np.where(seed_start < 0, -1, seed_start - base),
        }
    )


def _window_hits(
    model: Model, chunk: _Chunk, row: _Row, settings: Settings, least: NDArray[np.float64]
) -> tuple[_Hits, int]:
    """All windows of the chunk with at least each miRNA's least logit, and how many there are."""
    starts = [_starts(model, record, settings) for record in chunk.transcripts]
    owner = np.repeat(np.arange(len(starts)), [len(some) for some in starts])
    start = np.concatenate(starts) + row.offsets[owner]
    logits = _logits(model, chunk.mirnas, row.codes, start)  # (m, w)
    mirna, at = np.nonzero(logits >= least[:, None])
    end = np.minimum(start + model.lengths[-1], row.ends[owner])
    return _Hits(mirna, owner[at], start[at], end[at], logits[mirna, at], start[at]), logits.size


def _seed_hits(
    model: Model, chunk: _Chunk, row: _Row, settings: Settings, least: NDArray[np.float64]
) -> tuple[_Hits, int]:
    """The windows of the chunk that end with a seed match and have the least logit, and how many end so."""
    window = model.lengths[-1]
    mirna, transcript, start, end = _seed_windows(chunk, row, window)
    where = predict.device_of(model)
    queries = torch.from_numpy(rna.encode([record.sequence for record in chunk.mirnas], model.lengths[0]))
    logits = np.empty(len(mirna), dtype=np.float32)
    with torch.inference_mode():
        for low in range(0, len(mirna), WINDOWS_AT_ONCE):
            some = slice(low, low + WINDOWS_AT_ONCE)
            codes = torch.from_numpy(_codes(row, start[some], end[some], window))  # (w, window)
            found = model(queries[mirna[some]].to(where), codes.to(where))
            logits[some] = found.cpu().numpy()
    # by the window's end, since one at the transcript's start may be cut
    hits = _Hits(mirna, transcript, start, end, logits, end - window)
    return hits.take(logits >= least[mirna]), len(logits)


def _peak_hits(
    model: Model, chunk: _Chunk, row: _Row, settings: Settings, least: NDArray[np.float64]
) -> tuple[_Hits, int]:
    """The windows of the chunk that the model finds itself, and how many nt x miRNAs it looked at."""
    where, width = predict.device_of(model), model.lengths[-1]
    queries = torch.from_numpy(rna.encode([record.sequence for record in chunk.mirnas], model.lengths[0])).to(where)
    text = torch.from_numpy(row.codes).to(where)
    ends = np.maximum(row.ends, row.offsets + width)
    transcripts = [text[low:high] for low, high in zip(row.offsets.tolist(), ends.tolist(), strict=True)]
    found = model.peaks(queries, transcripts, torch.from_numpy(least).to(where))
    mirna, transcript, start, place, logits = (column.cpu().numpy() for column in found)
    base = row.offsets[transcript]
    end = np.minimum(start + base + width, row.ends[transcript])
    return _Hits(mirna, transcript, start + base, end, logits, place + base), _n_windows(model, chunk, settings)


def _seed_windows(
    chunk: _Chunk, row: _Row, window: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """miRNA, transcript, start and end (on the row) of each window that ends with a seed match.

    Its last nucleotide is the one opposite miRNA nucleotide 1, or the transcript's last where that is opposite 2; near
    the transcript's start it is shorter than a window. A 6mer is enough, since each better type holds one; an
    offset-6mer is not.
    """
    six = next(number for number, kind in enumerate(rna.SEED_TYPES) if kind.name == "6mer")
    first, beyond = rna.seed_interval(0, rna.SEED_TYPES[six])
    columns: list[tuple[NDArray[np.int64], ...]] = []
    for number, record in enumerate(chunk.mirnas):
        places = np.flatnonzero(rna.seed_matches(rna.encode([record.sequence])[0], row.codes)[six])
        transcript = np.searchsorted(row.offsets, places + first, side="right") - 1
        whole = places + beyond <= row.ends[transcript]  # not half in the next transcript
        # at a transcript's end two matches, a nt apart, end the same window
        end, once = np.unique(np.minimum(places + beyond + 1, row.ends[transcript])[whole], return_index=True)
        transcript = transcript[whole][once]
        start = np.maximum(end - window, row.offsets[transcript])
        columns.append((np.full(len(end), number), transcript, start, end))
    mirna, transcript, start, end = (np.concatenate(column) for column in zip(*columns, strict=True))
    return mirna, transcript, start, end


def merge(
    group: NDArray[np.int64], starts: NDArray[np.int64], logits: NDArray[np.float32], window: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Merge overlapping hits into the best of them, so that sites do not overlap.

    The best hit takes those that overlap it, then the best of the rest, and so on; of equals the first. All hits that
    no better one overlaps are taken at once, which gives the same.

    Args:
        group: of each hit (n,); hits of different groups do not meet. Sorted.
        starts: first nt of each hit (n,), sorted within a group.
        logits: of each hit (n,).
        window: length of a hit, nt.

    Returns:
        The hits that are sites, sorted, and how many hits each took, itself included.
    """
    taker = np.full(len(group), -1)
    rest = np.arange(len(group))
    while len(rest):
        g, s, v = group[rest], starts[rest], logits[rest]
        overlaps = []  # pairs of places in `rest`, the first before the second
        for step in range(1, len(rest)):
            near = np.flatnonzero((g[step:] == g[:-step]) & (s[step:] - s[:-step] < window))
            if not len(near):
                break
            overlaps.append((near, near + step))
        best = np.ones(len(rest), dtype=bool)
        for before, after in overlaps:
            best[after[v[before] >= v[after]]] = False
            best[before[v[before] < v[after]]] = False
        taken = np.where(best, np.arange(len(rest)), -1)
        for before, after in overlaps:
            for hit, other in ((before, after), (after, before)):
                hit, other = hit[best[other]], other[best[other]]
                better = (taken[hit] < 0) | (v[other] > v[taken[hit]])
                taken[hit[better]] = other[better]
        taker[rest[taken >= 0]] = rest[taken[taken >= 0]]
        rest = rest[taken < 0]
    return np.unique(taker, return_counts=True)


def _pick(names: Sequence[str], index: NDArray[np.int64]) -> pd.Series:
    """The names at these places, as a column of text."""
    return pd.Series(pd.array(names, dtype="str").take(index))


def _logits(
    model: Model, mirnas: Sequence[Record], codes: NDArray[np.int8], starts: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Logits (m, w) of windows of codes."""
    where = predict.device_of(model)
    queries = torch.from_numpy(rna.encode([record.sequence for record in mirnas], model.lengths[0])).to(where)
    text = torch.from_numpy(codes).to(where)
    logits = np.empty((len(mirnas), len(starts)), dtype=np.float32)
    with torch.inference_mode():
        for low in range(0, len(starts), WINDOWS_AT_ONCE):
            block = starts[low : low + WINDOWS_AT_ONCE]
            stretch = text[block[0] : block[-1] + model.lengths[-1]]
            found = model.score_windows(queries, stretch, torch.from_numpy(block - block[0]).to(where))
            logits[:, low : low + WINDOWS_AT_ONCE] = found.cpu().numpy()
    return logits


def _seeds(mirnas: Sequence[Record], row: _Row, hits: _Hits, width: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Best seed type (index; number of types: none) within each site, and where the first of that type starts (-1)."""
    queries = rna.encode([record.sequence for record in mirnas], 8)
    kind = np.full(len(hits.mirna), len(rna.SEED_TYPES))
    seed_start = np.full(len(hits.mirna), -1)
    offsets = np.array([rna.seed_interval(0, kind)[0] for kind in rna.SEED_TYPES])
    for low in range(0, len(kind), SITES_TO_MATCH):
        some = slice(low, low + SITES_TO_MATCH)
        matches = rna.seed_matches(queries[hits.mirna[some]], _codes(row, hits.start[some], hits.end[some], width))
        fits = matches.any(2)  # (types, n)
        best = np.where(fits.any(0), fits.argmax(0), len(rna.SEED_TYPES))
        with_seed = np.flatnonzero(fits.any(0))
        place = matches[best[with_seed], with_seed].argmax(1)
        kind[some] = best
        seed_start[low + with_seed] = hits.start[low + with_seed] + place + offsets[best[with_seed]]
    return kind, seed_start


def _codes(row: _Row, start: NDArray[np.int64], end: NDArray[np.int64], width: int) -> NDArray[np.int8]:
    """Codes (n, width) of intervals on the row, N beyond their ends."""
    places = start[:, None] + np.arange(width)
    return np.where(places < end[:, None], row.codes.take(places, mode="clip"), np.int8(rna.N))


def _draw(parts: Sequence[Path], targets: list[str], transcripts: Transcripts, folder: Path) -> list[Path]:
    """Draw the targets, all miRNAs on each: folder/ID.svg and .png."""
    lengths = {record.id: len(record.sequence) for record in transcripts if record.id in targets}
    rows = pd.concat([pd.read_parquet(part, filters=[("target_id", "in", targets)]) for part in parts])
    folder.mkdir(exist_ok=True)
    files = []
    for target in targets:
        ax = plot.sites(rows, target_id=target, length=lengths[target])
        files += plot.save_all(ax, folder, re.sub("[^A-Za-z0-9._-]", "_", target), ("svg", "png"))
    return files


def _genes(
    parts: Sequence[Path],
    mirnas: Sequence[Record],
    n_sites: int,
) -> Iterator[pd.DataFrame]:
    """`predict.summed` of all finished chunks, miRNAs in their own order; so many miRNAs at a time as memory allows."""
    ids = [record.id for record in mirnas]
    size = max(1, len(ids) * SITES_AT_ONCE // max(n_sites, SITES_AT_ONCE))
    for low in range(0, len(ids), size):
        block = ids[low : low + size]
        table = pd.concat(pd.read_parquet(_of_genes(part), filters=[("mirna_id", "in", block)]) for part in parts)
        table["mirna_id"] = pd.Categorical(table["mirna_id"], block)
        yield table.sort_values("mirna_id", kind="stable", ignore_index=True)


def _of_genes(part: Path) -> Path:
    """Where the genes of a chunk wait, beside its sites."""
    return part.with_suffix(".genes")


_DTYPES: dict[str, Any] = {"text": "str", "integer": np.int64, "number": np.float64, "score": np.float32}


def columns(model: Model, settings: Settings, *, whole: bool = False) -> tuple[tables.Column, ...]:
    """The columns of the sites of such a scan; of the whole of it, or of a chunk."""
    settings = settle(settings, model)
    extra = {column.name for column in _drawn(model)} if settings.duplexes else set()
    if settings.background:
        extra |= {"fp_per_kb", "occupancy", *(["q_value"] if whole else [])}
    return tuple(column for column in tables.SITES if column.required or column.name in extra)


def _drawn(model: Model) -> list[tables.Column]:
    """The columns of `Model.duplexes`, in the order of the table."""
    given = model.duplexes([], [])
    return [column for column in tables.SITES if column.name in given]


def _empty(model: Model, settings: Settings) -> pd.DataFrame:
    """No sites, with the right columns."""
    return pd.DataFrame({c.name: pd.Series([], dtype=_DTYPES[c.kind]) for c in columns(model, settings)})


def _fingerprint_records(records: Sequence[Record]) -> str:
    return hashlib.sha256(
        "\n".join(itertools.chain.from_iterable((r.id, r.sequence) for r in records)).encode()
    ).hexdigest()
