"""Candidate sites of miRNAs in transcripts: every window scored, hits joined to sites, sites ranked to genes."""

from __future__ import annotations

import copy
import hashlib
import itertools
import json
import logging
import re
import shutil
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from mirscope import io, models, plot, predict, rna, runs, tables, workers
from mirscope.errors import InputError, RepeatedIdError, UsageError
from mirscope.io import Record
from mirscope.models import Model

log = logging.getLogger(__name__)

PAIRS_AT_ONCE = 250_000
"""Windows x miRNAs of a chunk, the unit of work of a process; memory is in proportion."""
SEED_STEP = 32
"""nt x miRNAs searched for seed matches that count as one pair in the size of a chunk."""
WINDOWS_AT_ONCE = 2048
"""Windows the model sees in one call."""
SITES_AT_ONCE = 4_000_000
"""Sites in memory while genes are ranked."""
MIRNA_LENGTHS = (10, 40)
"""Shorter or longer is no mature miRNA, nt."""


@dataclass(frozen=True)
class Settings:
    """What is called a site."""

    threshold: float = 0.5
    """Windows with at least this score are hits."""
    stride: int | None = None
    """nt between windows; default: the model's."""
    candidates: Literal["all", "seed"] | None = None
    """All windows, or for each miRNA those that end with its seed match (`seed_windows`); default: the model's."""
    merge: bool = True
    """Merge hits that overlap into the best of them (`merge`); otherwise every hit is a row."""
    duplexes: bool = True
    """Add the best duplex of each site (ViennaRNA RNAduplex; about 4,000 sites per second and core)."""

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise UsageError(f"threshold is {self.threshold}; expected a score from 0 to 1")
        if self.stride is not None and self.stride < 1:
            raise UsageError(f"stride is {self.stride}; expected 1 nt or more")
        if self.candidates not in (None, "all", "seed"):
            raise UsageError(f"candidates is {self.candidates!r}; expected all or seed")
        if self.candidates == "seed" and self.stride is not None:
            raise UsageError("seed candidates stand where the seed matches, not every so many nt: leave out the stride")


def scan(
    model: Model,
    mirnas: Sequence[Record],
    transcripts: Iterable[Record],
    *,
    settings: Settings | None = None,
    threads: int = 1,
) -> pd.DataFrame:
    """All sites of the miRNAs in the transcripts.

    Args:
        model: stays where it is and as it is.
        mirnas: mature sequences, 5'->3'.
        transcripts: of any length.
        settings: what is called a site.
        threads: processes that share the work.

    Returns:
        Columns of `tables.SITES`, in order of transcript, miRNA, start.

    Raises:
        InputError: a miRNA is too short or too long to be one.
    """
    chunks = list(iter_sites(model, mirnas, transcripts, settings=settings, threads=threads))
    return pd.concat(chunks, ignore_index=True) if chunks else _empty(settings or Settings())


def iter_sites(
    model: Model,
    mirnas: Sequence[Record],
    transcripts: Iterable[Record],
    *,
    settings: Settings | None = None,
    threads: int = 1,
) -> Iterator[pd.DataFrame]:
    """The table of `scan` in chunks, in flat memory; a miRNA and a transcript are never in two chunks."""
    settings = _settle(settings, model)
    _check_mirnas(mirnas, model)
    for sites, _ in _in_order(model, _chunks(model, mirnas, transcripts, settings), settings, threads):
        yield sites


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
    """Pairs of a miRNA and a window."""
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
    how: Literal["max", "noisy-or", "count"] = "max",
    min_sites: int = 1,
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
        formats: of the sites, from `FORMATS`; genes.tsv is always written.
        plots: transcripts to draw, the best first.
        threads: processes that share the work.
        resume: use the finished chunks of an interrupted run.
        report: called with the nt of transcripts done, as they are done.

    Raises:
        InputError: bad input.
        UsageError: `folder` holds an unfinished run that is not to be resumed, or is another one.
    """
    began, settings = time.perf_counter(), _settle(settings, model)
    for format_ in formats:
        if format_ not in FORMATS:
            raise UsageError(f"no format {format_!r}; expected {', '.join(FORMATS)}")
    _check_mirnas(mirnas, model)
    identity = {
        "model": model.name,
        "weights": models.fingerprint(model),
        "mirnas": _fingerprint_records(mirnas),
        "transcripts": runs.checksum(transcripts.path),
        "settings": asdict(settings),
    }
    if folder.exists() and not folder.is_dir():
        raise InputError("is a file; expected a folder to write to", path=folder)
    parts = folder / "unfinished"
    _begin(parts, identity, resume)
    n_windows = n_scored = 0
    paths: list[Path] = []
    missing: deque[tuple[Path, int]] = deque()

    def todo() -> Iterator[_Chunk]:
        nonlocal n_windows
        for index, chunk in enumerate(_chunks(model, mirnas, transcripts, settings)):
            paths.append(parts / f"{index:06d}.parquet")
            if paths[-1].is_file():
                n_windows += _n_windows(model, chunk, settings)
                report(chunk.n_nt)
            else:
                missing.append((paths[-1], chunk.n_nt))
                yield chunk

    for sites, n_pairs in _in_order(model, todo(), settings, threads):
        path, n_nt = missing.popleft()
        io.write_parquet([sites], path, columns(settings))
        n_windows += n_pairs
        n_scored += n_pairs
        report(n_nt)

    n_sites = sum(pq.read_metadata(path).num_rows for path in paths)
    files = _write_sites(model, mirnas, transcripts, paths, folder, settings=settings, formats=formats)
    n_genes, best = 0, pd.DataFrame()

    def genes() -> Iterator[pd.DataFrame]:
        nonlocal n_genes, best
        for block in _genes(paths, mirnas, n_sites, how=how, min_sites=min_sites):
            n_genes += len(block)
            ranked = pd.concat([best, block]).sort_values(["rank", "score"], ascending=[True, False], kind="stable")
            best = ranked.drop_duplicates("target_id").head(plots)
            yield block

    files.append(folder / "genes.tsv")
    io.write_tsv(genes(), files[-1], [column.name for column in tables.GENES])
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
) -> list[Path]:
    """Write folder/sites.FORMAT of the finished chunks."""

    def sites() -> Iterator[pd.DataFrame]:
        return (pd.read_parquet(part) for part in parts)

    for format_ in set(FORMATS) - set(formats):  # of an earlier scan
        (folder / f"sites.{format_}").unlink(missing_ok=True)
    files = [folder / f"sites.{format_}" for format_ in formats]
    for format_, path in zip(formats, files, strict=True):
        if format_ == "tsv":
            io.write_tsv(sites(), path, [column.name for column in columns(settings)])
        elif format_ == "bed":
            io.write_bed(sites(), path)
        elif format_ == "gff3":
            io.write_gff3(sites(), path)
        elif format_ == "parquet":
            io.write_parquet(sites(), path, columns(settings))
        elif format_ == "fasta":
            sequences = {record.id: record.sequence for record in mirnas}
            lengths = {"mirna_length": model.lengths[0], "window": model.lengths[-1]}
            io.write_sites_fasta(
                sites(), path, sequences, transcripts, **lengths, stride=settings.stride or model.stride
            )
    return files


def _settle(settings: Settings | None, model: Model) -> Settings:
    """The settings, with the model's candidates where none are asked for."""
    settings = settings or Settings()
    return replace(settings, candidates=settings.candidates or model.candidates)


@dataclass(frozen=True)
class _Chunk:
    """Some transcripts and some miRNAs, all pairs of which are scored together."""

    mirnas: Sequence[Record]
    transcripts: Sequence[Record]
    n_nt: int
    """Transcript done with this chunk; 0 where other miRNAs are still to come."""


def _chunks(
    model: Model, mirnas: Sequence[Record], transcripts: Iterable[Record], settings: Settings
) -> Iterator[_Chunk]:
    """Chunks of about `PAIRS_AT_ONCE`; the same for the same input, whatever the machine."""
    records: list[Record] = []
    n_windows = last = 0
    for record in transcripts:
        records.append(record)
        if settings.candidates == "seed":
            last = -(-len(record.sequence) // SEED_STEP)
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
        yield _Chunk(mirnas[low : low + step], records, n_nt)


def _starts(model: Model, record: Record, settings: Settings) -> NDArray[np.int64]:
    """First nt of each window of a transcript."""
    return predict.window_starts(len(record.sequence), model.lengths[-1], settings.stride or model.stride)


def _n_windows(model: Model, chunk: _Chunk, settings: Settings) -> int:
    """Pairs of a miRNA and a window that `_scan_chunk` scores."""
    if settings.candidates == "seed":
        return len(_seed_windows(chunk, _Row(chunk, model.lengths[-1]), model.lengths[-1])[0])
    return len(chunk.mirnas) * sum(len(_starts(model, record, settings)) for record in chunk.transcripts)


def _in_order(
    model: Model, chunks: Iterable[_Chunk], settings: Settings, threads: int
) -> Iterator[tuple[pd.DataFrame, int]]:
    """The sites and the number of windows of each chunk, in the order of chunks; a few are under way at a time.

    Processes, each with one torch thread, since threads that share the work on one chunk stall as soon as a core is
    busy with something else. Each has its own copy of the model.
    """
    own = model if threads == 1 else copy.deepcopy(model).cpu()
    return workers.in_order(_work, (own, settings, threads > 1), chunks, processes=threads)


def _work(shared: tuple[Model, Settings, bool], chunk: _Chunk) -> tuple[pd.DataFrame, int]:
    model, settings, elsewhere = shared
    return _scan_chunk(model.to(predict.device()) if elsewhere else model, chunk, settings)


def _check_mirnas(mirnas: Sequence[Record], model: Model) -> None:
    """Raise `InputError` unless all can be mature miRNAs; warn of those the model cuts."""
    for record in mirnas:
        if not MIRNA_LENGTHS[0] <= len(record.sequence) <= MIRNA_LENGTHS[1]:
            problem = f"{len(record.sequence)} nt is no mature miRNA ({MIRNA_LENGTHS[0]}-{MIRNA_LENGTHS[1]} nt)"
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
    """Windows with at least the threshold: numbers of miRNA and transcript in the chunk, interval on the row, logit."""

    mirna: NDArray[np.int64]
    transcript: NDArray[np.int64]
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    logit: NDArray[np.float32]
    """Not the score, since high ones are all 1."""

    def take(self, which: NDArray[np.int64] | NDArray[np.bool_]) -> _Hits:
        """These of the hits, in this order."""
        return _Hits(self.mirna[which], self.transcript[which], self.start[which], self.end[which], self.logit[which])


def _scan_chunk(model: Model, chunk: _Chunk, settings: Settings) -> tuple[pd.DataFrame, int]:
    """The sites, and how many windows were scored."""
    window = model.lengths[-1]
    row = _Row(chunk, window)
    find = _seed_hits if settings.candidates == "seed" else _window_hits
    hits, n_windows = find(model, chunk, row, settings)
    hits = hits.take(np.lexsort((hits.end, hits.mirna, hits.transcript)))
    n_merged = np.ones(len(hits.end), dtype=np.int64)
    if settings.merge:  # by the window's end, since one at the transcript's start may be cut
        group = hits.transcript * len(chunk.mirnas) + hits.mirna
        sites, n_merged = merge(group, hits.end - window, hits.logit, window)
        hits = hits.take(sites)
    mirna, transcript = hits.mirna, hits.transcript
    kind, seed_start = _seeds(chunk.mirnas, row.codes, mirna, hits.start, hits.end)
    base = row.offsets[transcript]
    table = pd.DataFrame(
        {
            "mirna_id": _pick([record.id for record in chunk.mirnas], mirna),
            "target_id": _pick([record.id for record in chunk.transcripts], transcript),
            "start": hits.start - base,
            "end": hits.end - base,
            "strand": _pick(["+"], np.zeros_like(mirna)),
            "score": predict.probability(hits.logit),
            "n_windows": n_merged,
            "seed_type": _pick([*(kind.name for kind in rna.SEED_TYPES), ""], kind),
            "seed_start": np.where(seed_start < 0, -1, seed_start - base),
        }
    )
    if settings.duplexes:
        pairs = zip(mirna.tolist(), transcript.tolist(), table["start"], table["end"], strict=True)
        duplexes = [
            rna.duplex(chunk.mirnas[m].sequence, chunk.transcripts[t].sequence[low:high]) for m, t, low, high in pairs
        ]
        table["mfe"] = np.array([found.mfe for found in duplexes], dtype=np.float64)
        place = np.array([found.start if found.pairs else -1 for found in duplexes], dtype=np.int64)
        table["duplex_start"] = np.where(place < 0, -1, place + table["start"])
        for line in ("target", "pairs", "mirna"):
            table[f"duplex_{line}"] = pd.Series([getattr(found, line) for found in duplexes], dtype="str")
    return table, n_windows


def _window_hits(model: Model, chunk: _Chunk, row: _Row, settings: Settings) -> tuple[_Hits, int]:
    """All windows of the chunk with at least the threshold, and how many there are."""
    starts = [_starts(model, record, settings) for record in chunk.transcripts]
    owner = np.repeat(np.arange(len(starts)), [len(some) for some in starts])
    start = np.concatenate(starts) + row.offsets[owner]
    logits = _logits(model, chunk.mirnas, row.codes, start)  # (m, w)
    mirna, at = np.nonzero(predict.probability(logits) >= settings.threshold)
    end = np.minimum(start + model.lengths[-1], row.ends[owner])
    return _Hits(mirna, owner[at], start[at], end[at], logits[mirna, at]), logits.size


def _seed_hits(model: Model, chunk: _Chunk, row: _Row, settings: Settings) -> tuple[_Hits, int]:
    """The windows of the chunk that end with a seed match and have the threshold, and how many end so."""
    window = model.lengths[-1]
    mirna, transcript, start, end = _seed_windows(chunk, row, window)
    where = _device(model)
    queries = torch.from_numpy(rna.encode([record.sequence for record in chunk.mirnas], model.lengths[0]))
    logits = np.empty(len(mirna), dtype=np.float32)
    with torch.inference_mode():
        for low in range(0, len(mirna), WINDOWS_AT_ONCE):
            some = slice(low, low + WINDOWS_AT_ONCE)
            places = start[some, None] + np.arange(window)  # (w, window)
            codes = np.where(places < end[some, None], row.codes.take(places, mode="clip"), np.int8(rna.N))
            found = model(queries[mirna[some]].to(where), torch.from_numpy(codes).to(where))
            logits[some] = found.cpu().numpy()
    hits = _Hits(mirna, transcript, start, end, logits)
    return hits.take(predict.probability(logits) >= settings.threshold), len(logits)


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
        transcript = transcript[whole]
        end = np.minimum(places[whole] + beyond + 1, row.ends[transcript])
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
    where = _device(model)
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


def _device(model: Model) -> torch.device:
    return next((parameter.device for parameter in model.parameters()), torch.device("cpu"))


def _seeds(
    mirnas: Sequence[Record],
    codes: NDArray[np.int8],
    mirna: NDArray[np.int64],
    start: NDArray[np.int64],
    end: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Best seed type (index; number of types: none) within each site, and where the first of that type starts (-1)."""
    kind = np.full(len(mirna), len(rna.SEED_TYPES))
    seed_start = np.full(len(mirna), -1)
    for index in np.unique(mirna).tolist():
        rows = np.flatnonzero(mirna == index)
        matches = rna.seed_matches(rna.encode([mirnas[index].sequence])[0], codes)
        for number in reversed(range(len(rna.SEED_TYPES))):
            places = np.flatnonzero(matches[number])
            low, high = rna.seed_interval(0, rna.SEED_TYPES[number])
            from_ = np.searchsorted(places + low, start[rows])
            inside = from_ < np.searchsorted(places + high, end[rows], side="right")
            kind[rows[inside]] = number
            seed_start[rows[inside]] = places[from_[inside]] + low
    return kind, seed_start


def _draw(parts: Sequence[Path], targets: list[str], transcripts: Transcripts, folder: Path) -> list[Path]:
    """Draw the targets, all miRNAs on each: folder/ID.svg and .png."""
    lengths = {record.id: len(record.sequence) for record in transcripts if record.id in targets}
    rows = pd.concat([pd.read_parquet(part, filters=[("target_id", "in", targets)]) for part in parts])
    folder.mkdir(exist_ok=True)
    files = []
    for target in targets:
        ax = plot.sites(rows, target_id=target, length=lengths[target])
        for kind in ("svg", "png"):
            files.append(folder / f"{re.sub('[^A-Za-z0-9._-]', '_', target)}.{kind}")
            plot.save(ax, files[-1])
    return files


def _genes(
    parts: Sequence[Path],
    mirnas: Sequence[Record],
    n_sites: int,
    *,
    how: Literal["max", "noisy-or", "count"],
    min_sites: int,
) -> Iterator[pd.DataFrame]:
    """`predict.genes` of all finished chunks, miRNAs in their own order; so many miRNAs at a time as memory allows."""
    ids = [record.id for record in mirnas]
    size = max(1, len(ids) * SITES_AT_ONCE // max(n_sites, SITES_AT_ONCE))
    columns = ["mirna_id", "target_id", "score"]
    for low in range(0, len(ids), size):
        block = ids[low : low + size]
        read = (pd.read_parquet(part, columns=columns, filters=[("mirna_id", "in", block)]) for part in parts)
        found = [predict.genes(sites, how=how, min_sites=min_sites) for sites in read]
        table = pd.concat(found, ignore_index=True)
        table["mirna_id"] = pd.Categorical(table["mirna_id"], block)
        yield predict.rank(table.sort_values("mirna_id", kind="stable"), how=how)


def columns(settings: Settings) -> tuple[tables.Column, ...]:
    """The columns of the sites of such a scan."""
    return tuple(column for column in tables.SITES if column.required or settings.duplexes)


def _empty(settings: Settings) -> pd.DataFrame:
    return pd.DataFrame({column.name: [] for column in columns(settings)})


def _begin(parts: Path, identity: dict[str, Any], resume: bool) -> None:
    note = parts / "scan.json"
    if note.is_file():
        if not resume:
            raise UsageError(f"{parts.parent} holds an unfinished scan; --resume goes on with it, or remove {parts}")
        before = json.loads(note.read_text())
        for part, value in identity.items():
            if before.get(part) != value:
                raise UsageError(
                    f"the unfinished scan in {parts.parent} had other {part}; remove {parts} to start anew"
                )
        log.info("resuming after %d finished chunks", len(list(parts.glob("*.parquet"))))
    parts.mkdir(parents=True, exist_ok=True)
    runs.write_json(note, identity)


def _fingerprint_records(records: Sequence[Record]) -> str:
    return hashlib.sha256(
        "\n".join(itertools.chain.from_iterable((r.id, r.sequence) for r in records)).encode()
    ).hexdigest()
