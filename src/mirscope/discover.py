"""Pre-miRNAs in genomes: hairpins found along a sequence, folded, scored, and joined to loci."""

from __future__ import annotations

import contextlib
import copy
import hashlib
import heapq
import itertools
import json
import logging
import math
import re
import shutil
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache, cached_property
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeAlias, cast

import numba
import numpy as np
import pandas as pd
import pysam
import RNA
import torch
from numpy.typing import NDArray

from mirscope import hairpins, io, models, predict, rna, runs, tables, workers
from mirscope.background import Background, shuffled
from mirscope.errors import InputError, UsageError
from mirscope.io import Record, Stretch
from mirscope.models import HAIRPIN, Model

log = logging.getLogger(__name__)

SHORTEST, LONGEST = 36, 160
"""nt of the stems that are looked for, from the first base pair's 5' nt to its 3' nt."""
ENERGY = -6.0
"""Highest energy of a stem that is a candidate, kcal/mol, with `_PER_NT` for each nt."""
ALIKE = 0.6
"""Of two stems that share this much of all they cover, the better one is the candidate."""
FLANK = 10
"""nt of the sequence around it that a candidate has at both ends of the stem."""

FP_PER_MB = 5.0
MOST_PER_MB = 100.0
"""False loci that can be asked for: of many more, too few would have been folded."""
FOLDED_PER_MB, FOLDED_PER_FALSE = 200.0, 40.0
"""Candidates that are folded in a Mb of shuffled sequence, both strands, of about 10,000: so many, and so many for each
false locus that is asked for."""
FOLDED_BY_SCORE = 2000.0
"""The same where loci are called by a score."""
BACKGROUND = 1_000_000
"""nt of shuffled sequence."""
PILOT = 200_000
"""nt of it that tell which candidates to fold."""
PIECE = 10_000
"""nt that are shuffled together, so that what is rich in A and U stays so."""
CHUNK = 250_000
"""nt of a job, the unit of work of a process."""
SAME_LOCUS = 0.3
"""Called hairpins that share this much of the shorter are one locus."""
AT_ONCE = 128
"""Hairpins the model sees in one call, always as many: the same numbers however a genome is cut, in flat memory."""


@dataclass(frozen=True)
class Settings:
    """What is looked for, and what is called."""

    fp_per_mb: float | None = None
    """Loci are those as good as so many in a Mb (both strands) of shuffled sequence; default: `FP_PER_MB`."""
    threshold: float | None = None
    """Loci are those of this score or more, instead."""
    background: int = BACKGROUND
    """nt of shuffled sequence that are searched to tell how many loci are false; 0: none, with a `threshold`."""
    folded_per_mb: float | None = None
    """Candidates are folded if the model finds their stem as good as so many in a Mb of shuffled sequence; 0: all are,
    as without a background; default: by what is called (`FOLDED_PER_MB`)."""
    energy: float = ENERGY
    """Highest energy of a stem, kcal/mol (`candidates`)."""
    longest: int = LONGEST
    """nt of a stem."""

    def __post_init__(self) -> None:
        if self.threshold is not None and self.fp_per_mb is not None:
            raise UsageError("what is a locus is told by a threshold or by false loci per Mb, not both")
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise UsageError(f"threshold is {self.threshold}; expected a score from 0 to 1")
        if self.fp_per_mb is not None and not 0 < self.fp_per_mb <= MOST_PER_MB:
            raise UsageError(f"{self.fp_per_mb} false loci per Mb; expected a number above 0, up to {MOST_PER_MB:g}")
        if self.background < 0 or (self.background < PIECE and self.threshold is None):
            raise UsageError(f"background is {self.background} nt; false loci per Mb take {PIECE:,} or more")
        if self.folded_per_mb is not None and not self.folded_per_mb >= 0:
            raise UsageError(f"{self.folded_per_mb} folded candidates per Mb; expected a number from 0 up")
        if not SHORTEST <= self.longest < _LENGTHS:
            raise UsageError(f"longest stem is {self.longest} nt; expected {SHORTEST} to {_LENGTHS - 1}")
        if not self.energy < 0:
            raise UsageError(f"energy is {self.energy} kcal/mol; expected a number below 0")


@dataclass(frozen=True)
class Genome:
    """A FASTA file that was read through once."""

    path: Path
    skip_masked: bool
    lengths: dict[str, int]
    """nt of each sequence."""
    n_known: int
    """nt that are no N."""
    pieces: list[Record]
    """Parts of it drawn evenly, without their N, to be shuffled; short sequences are joined."""

    @property
    def n_nt(self) -> int:
        """nt in all."""
        return sum(self.lengths.values())

    def stretches(self, length: int, overlap: int) -> Iterator[Stretch]:
        """The file once more, in parts."""
        return io.iter_stretches(self.path, length, overlap=overlap, skip_masked=self.skip_masked)


def survey(path: Path, *, skip_masked: bool = False, n_nt: int = BACKGROUND, random_state: int = 0) -> Genome:
    """A genome's sequences, all checked, and about `n_nt` of it to be shuffled (all of it where it is shorter).

    Args:
        path: FASTA; read once, in flat memory.
        skip_masked: make lower-case letters N.
        n_nt: wanted.
        random_state: of the draw.
    """
    rng, lengths, n_known = np.random.default_rng(random_state), Counter[str](), 0
    drawn: list[tuple[float, int, str]] = []
    held, n_held, n_drawn = list[str](), 0, 0

    def draw() -> None:  # those of the least random numbers stay
        nonlocal n_held, n_drawn
        heapq.heappush(drawn, (-rng.random(), n_known, "".join(held)))
        n_drawn += n_held
        held.clear()
        n_held = 0
        while drawn and n_drawn - len(drawn[0][2]) >= n_nt:
            n_drawn -= len(heapq.heappop(drawn)[2])

    for stretch in io.iter_stretches(path, PIECE, skip_masked=skip_masked):
        sequence = stretch.sequence.replace("N", "")
        lengths[stretch.id] += len(stretch.sequence)
        n_known += len(sequence)
        n_held += len(sequence)
        held.append(sequence)
        if n_held >= PIECE:
            draw()
    if n_held:
        draw()
    pieces = [Record(f"piece{number}", text) for number, (_, _, text) in enumerate(sorted(drawn, key=itemgetter(1)), 1)]
    return Genome(path, skip_masked, dict(lengths), n_known, pieces)


@dataclass(frozen=True)
class Known:
    """Sequences of known miRNAs, mature or hairpins, and the names of each, joined by `;`."""

    names: dict[str, str]

    @classmethod
    def read(cls, path: Path) -> Known:
        """Those of a FASTA file; what is shorter than `WORD` nt, or has an N there, is left out with a warning."""
        found: dict[str, list[str]] = {}
        n_left = 0
        for record in io.iter_fasta(path, unique=False):
            if len(record.sequence) < WORD or "N" in record.sequence[:WORD]:
                n_left += 1
            else:
                found.setdefault(record.sequence, []).append(record.id)
        if n_left:
            log.warning("%s: %d sequences without %d known nt at their start are left out", path, n_left, WORD)
        if not found:
            raise InputError("no sequence to look for; expected mature miRNAs or hairpins", path=path)
        return cls({sequence: ";".join(dict.fromkeys(names)) for sequence, names in found.items()})

    def fingerprint(self) -> str:
        """sha256 of the names and sequences."""
        return hashlib.sha256(json.dumps(sorted(self.names.items())).encode()).hexdigest()

    def places(self, sequence: str) -> list[tuple[int, int, str]]:
        """Start, end (0-based, half-open) and names of each exact occurrence in one strand, by start."""
        there, by_word = self._index
        words = _words(rna.encode([sequence])[0])
        return [
            (start, start + len(mirna), self.names[mirna])
            for start in np.flatnonzero(there[words]).tolist()
            for mirna in by_word[int(words[start])]
            if sequence.startswith(mirna, start)
        ]

    @cached_property
    def _index(self) -> tuple[NDArray[np.bool_], dict[int, list[str]]]:
        """Whether any begins with each word, and those that do; the last word is that of an N, and none does."""
        by_word: dict[int, list[str]] = {}
        for mirna in self.names:
            by_word.setdefault(int(_words(rna.encode([mirna[:WORD]])[0])[0]), []).append(mirna)
        there = np.zeros(4**WORD + 1, dtype=bool)
        there[list(by_word)] = True
        return there, by_word


WORD = 12


def _words(codes: NDArray[np.int8]) -> NDArray[np.int64]:
    """The number of the word that starts at each nucleotide, 4**WORD where it holds an N; none near the end."""
    n = max(len(codes) - WORD + 1, 0)
    number, blank = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=bool)
    for offset in range(WORD):
        part = codes[offset : offset + n]
        number, blank = 4 * number + part, blank | (part == rna.N)
    return np.where(blank, 4**WORD, number)


# --------------------------------------------------------------------------------------------------------------- search


def search(
    model: Model,
    genome: Genome,
    *,
    settings: Settings | None = None,
    arms_model: Model | None = None,
    known: Known | None = None,
    threads: int = 1,
) -> pd.DataFrame:
    """The pre-miRNAs of a genome, both strands.

    Args:
        model: reads hairpins; stays where it is and as it is.
        genome: of `survey`.
        settings: what is looked for.
        arms_model: calls the mature miRNAs; default none.
        known: miRNAs to look for by their sequence.
        threads: processes that share the work.

    Returns:
        Columns of `tables.LOCI`, in order of sequence, start, strand.
    """
    settings = settings or Settings()
    models.expect(model, HAIRPIN)
    begun, background = _prepare(_Search(model, arms_model, settings, known), genome, threads)
    found = list(_in_order(_work, begun, _jobs(genome.stretches(CHUNK, _overlap(settings, known))), threads))
    called, places = (_joined([getattr(job, part) for job in found]) for part in ("called", "places"))
    return _loci(called, places, genome, background)[0]


@dataclass(frozen=True)
class Summary:
    """What a search to files did."""

    n_nt: int
    n_candidates: int
    n_folded: int
    n_loci: int
    n_known: int
    """Places of known miRNAs in the genome."""
    n_known_found: int
    """Those of them in loci."""
    least_score: float
    """Of a locus."""
    seconds: float
    files: list[Path]


def search_files(
    model: Model,
    genome: Genome,
    folder: Path,
    *,
    settings: Settings | None = None,
    arms_model: Model | None = None,
    known: Known | None = None,
    reads: Path | None = None,
    threads: int = 1,
    resume: bool = False,
    report: Callable[[int], None] = lambda n: None,
) -> Summary:
    """`search` to `folder`: loci.tsv, loci.bed, loci.gff3, hairpins.fa, mature.fa, run.json.

    Finished chunks wait in `folder/unfinished` and the outputs are made of them at the end, so that a run that was
    killed leaves nothing half-written and can be resumed with the same result.

    Args:
        model: reads hairpins; stays as it is.
        genome: of `survey`.
        folder: made if needed.
        settings: what is looked for.
        arms_model: calls the mature miRNAs; default none, and mature.fa is empty.
        known: miRNAs to look for by their sequence; known.tsv is where they are.
        reads: BAM of small RNAs, with an index.
        threads: processes that share the work.
        resume: use the finished chunks of an interrupted run.
        report: called with the nt done, those of the background too, as they are done.

    Raises:
        InputError: bad input.
        UsageError: `folder` holds an unfinished run that is not to be resumed, or is another one.
    """
    began, settings = time.perf_counter(), settings or Settings()
    models.expect(model, HAIRPIN)
    if folder.exists() and not folder.is_dir():
        raise InputError("is a file; expected a folder to write to", path=folder)
    identity = {
        "model": models.named(model),
        "weights": models.fingerprint(model),
        "arms": models.fingerprint(arms_model) if arms_model else None,
        "genome": runs.checksum(genome.path),
        "skip_masked": genome.skip_masked,
        "known": known.fingerprint() if known else None,
        "settings": asdict(settings),
    }
    with _Reads(reads, genome) if reads else contextlib.nullcontext() as alignments:
        parts = folder / "unfinished"
        runs.begin_parts(parts, identity, what="search", resume=resume)
        begun, background = _prepare(_Search(model, arms_model, settings, known), genome, threads, report)
        paths: list[Path] = []
        missing: deque[Path] = deque()

        def todo() -> Iterator[_Job]:
            for job in _jobs(genome.stretches(CHUNK, _overlap(settings, known))):
                paths.append(parts / f"{len(paths):06d}.parquet")
                if paths[-1].is_file():
                    report(_n_nt(job))
                else:
                    missing.append(paths[-1])
                    yield job

        for found in _in_order(_work, begun, todo(), threads):
            path = missing.popleft()
            found.places.to_parquet(path.with_suffix(".known"), index=False)
            found.counts.to_parquet(path.with_suffix(".counts"), index=False)
            with io.atomic(path) as partial:
                found.called.to_parquet(partial, index=False)
            report(int(found.counts["n_nt"].sum()))

        called, places, counts = (
            _joined([pd.read_parquet(path.with_suffix(kind)) for path in paths])
            for kind in (".parquet", ".known", ".counts")
        )
        loci, places = _loci(called, places, genome, background)
        if alignments:
            loci = alignments.count(loci)
    files = _write(loci, places if known else None, folder)
    n_found = int((places["locus_id"] != "").sum())
    sums, least = counts.sum(), float(predict.probability(np.array([begun.least], dtype=np.float32))[0])
    seconds = time.perf_counter() - began
    n_each = int(sums["n_candidates"]), int(sums["n_folded"]), len(loci), len(places), n_found
    summary = Summary(genome.n_nt, *n_each, least, seconds, files)
    numbers = {key: value for key, value in asdict(summary).items() if key not in ("files", "seconds")}
    record = identity | numbers | {"seconds": round(seconds, 2), "provenance": model.provenance}
    runs.write_json(folder / "run.json", record | runs.environment())
    shutil.rmtree(parts)
    return summary


_Job: TypeAlias = tuple[Stretch, ...]


def _jobs(stretches: Iterable[Stretch]) -> Iterator[_Job]:
    """Stretches together, about `CHUNK` nt; the same for the same input."""
    job: list[Stretch] = []
    for stretch in stretches:
        job.append(stretch)
        if _n_nt(job) >= CHUNK:
            yield tuple(job)
            job = []
    if job:
        yield tuple(job)


def _n_nt(job: Sequence[Stretch]) -> int:
    return sum(stretch.high - stretch.low for stretch in job)


def _overlap(settings: Settings, known: Known | None = None) -> int:
    """nt around a part that what starts in it depends on.

    A candidate, one that is alike, and the better partner of an end of that, each no longer than the longest stem; or a
    known sequence.
    """
    return max([3 * settings.longest + FLANK, *map(len, known.names if known else [])])


@dataclass(frozen=True)
class _Search:
    """What jobs share."""

    model: Model
    arms_model: Model | None
    settings: Settings
    known: Known | None
    folded: float = -math.inf
    """Least logit of a stem that is worth folding."""
    least: float = -math.inf
    """Least logit of a locus."""


@dataclass(frozen=True)
class _Found:
    """What a job came to."""

    called: pd.DataFrame
    """chrom, start, end, strand, logit, and the columns of `tables.CALLS`."""
    places: pd.DataFrame
    """Known miRNAs: name, chrom, start, end, strand."""
    counts: pd.DataFrame
    """n_nt, n_candidates, n_folded; one row."""


_Elsewhere: TypeAlias = tuple[_Search, bool]


def _in_order(
    function: Callable[[_Elsewhere, _Job], Any], begun: _Search, jobs: Iterable[_Job], threads: int
) -> Iterator[Any]:
    """What each job came to, in their order; a few are under way at a time."""
    if threads > 1:
        arms_model = copy.deepcopy(begun.arms_model).cpu() if begun.arms_model else None
        begun = replace(begun, model=copy.deepcopy(begun.model).cpu(), arms_model=arms_model)
    return workers.in_order(function, (begun, threads > 1), jobs, processes=threads)


def _work(shared: _Elsewhere, job: _Job) -> _Found:
    begun = _here(shared)
    table = _candidates(job, begun.settings)
    folded = _folded(begun, table)
    called = folded[folded["logit"] >= begun.least].reset_index(drop=True)
    calls = hairpins.identify(begun.model, called.assign(id=""), arms_model=begun.arms_model, threshold=0.0)
    called = pd.concat([called.drop(columns=["hairpin_seq", "structure"]), calls.drop(columns="id")], axis=1)
    rows = [place for stretch in job for place in _known_places(begun.known, stretch)] if begun.known else []
    places = pd.DataFrame(rows, columns=["name", "chrom", "start", "end", "strand"])
    counts = pd.DataFrame({"n_nt": [_n_nt(job)], "n_candidates": len(table), "n_folded": len(folded)})
    return _Found(called[called["call"] == 1].reset_index(drop=True), places, counts)


def _work_on_shuffled(shared: _Elsewhere, job: _Job) -> pd.DataFrame:
    begun = _here(shared)
    folded = _folded(begun, _candidates(job, begun.settings))
    return folded[["chrom", "start", "end", "strand", "logit"]]


def _here(shared: _Elsewhere) -> _Search:
    """The search, its models on the GPU where there is one."""
    begun, elsewhere = shared
    for model in filter(None, (begun.model, begun.arms_model)):
        if elsewhere:
            model.to(predict.device())
    return begun


def _candidates(job: _Job, settings: Settings) -> pd.DataFrame:
    """Candidates of both strands that start in the job's parts: chrom, start, end, strand, hairpin_seq, structure."""
    rows: list[tuple[str, int, int, str, str, str]] = []
    for stretch in job:
        forward, n = stretch.sequence, len(stretch.sequence)
        if not forward.strip("N"):
            continue
        for strand, sequence in (("+", forward), ("-", rna.reverse_complement(forward))):
            starts, ends, _, structures = _candidate_columns(sequence, settings.energy, settings.longest, FLANK)
            for start, end, structure in zip(starts.tolist(), ends.tolist(), structures, strict=True):
                low, high = (start, end) if strand == "+" else (n - end, n - start)
                if stretch.low <= low + stretch.start < stretch.high:
                    place = low + stretch.start, high + stretch.start
                    rows.append((stretch.id, *place, strand, sequence[start:end], structure))
    table = pd.DataFrame(rows, columns=["chrom", "start", "end", "strand", "hairpin_seq", "structure"])
    return table.astype({"start": np.int64, "end": np.int64})


def _folded(begun: _Search, table: pd.DataFrame) -> pd.DataFrame:
    """Those whose stem the model finds good enough, with ViennaRNA's structure and its logit."""
    if begun.folded > -math.inf:
        table = table[_logits(begun.model, table) >= begun.folded].reset_index(drop=True)
    table = table.assign(structure=[rna.fold(hairpin)[0] for hairpin in table["hairpin_seq"]])
    return table.assign(logit=_logits(begun.model, table))


def _logits(model: Model, table: pd.DataFrame) -> NDArray[np.float32]:
    """Logits (n,) of hairpins with their structures; not the score, since high ones are all 1."""
    where, logits = predict.device_of(model), np.empty(len(table), dtype=np.float32)
    texts = table["hairpin_seq"].tolist(), table["structure"].tolist()
    with torch.inference_mode():
        for low in range(0, len(table), AT_ONCE):
            codes = model.encode(*(column[low : low + AT_ONCE] for column in texts))
            n = len(codes[0])
            full = (torch.cat([part, part[-1:].expand(AT_ONCE - n, *part.shape[1:])]) for part in codes)
            logits[low : low + n] = model(*(part.to(where) for part in full))[:n].cpu().numpy()
    return logits


def _known_places(known: Known, stretch: Stretch) -> Iterator[tuple[str, str, int, int, str]]:
    """Name, chrom, start, end and strand of the known miRNAs that start in a part, of either strand."""
    forward, n = stretch.sequence, len(stretch.sequence)
    plus = [(start, end, name, "+") for start, end, name in known.places(forward)]
    minus = [(n - end, n - start, name, "-") for start, end, name in known.places(rna.reverse_complement(forward))]
    for start, end, name, strand in plus + minus:
        if stretch.low <= start + stretch.start < stretch.high:
            yield name, stretch.id, start + stretch.start, end + stretch.start, strand


def _prepare(
    begun: _Search, genome: Genome, threads: int, report: Callable[[int], None] = lambda n: None
) -> tuple[_Search, Background | None]:
    """The search with what it asks of candidates and of loci, and the rates of false loci, if they are to be told."""
    settings = begun.settings
    if not genome.n_known:
        return replace(begun, least=math.inf), None
    threshold = -math.inf if settings.threshold is None else _least(settings.threshold)
    if not settings.background:
        return replace(begun, least=threshold), None
    total = sum(len(record.sequence) for record in genome.pieces)
    records = shuffled(genome.pieces, settings.background, total_nt=total)
    stretches = [Stretch(record.id, 0, len(record.sequence), 0, record.sequence) for record in records]
    n_nt = _n_nt(stretches)
    if folded_per_mb := _folded_per_mb(settings):
        begun = replace(begun, folded=_worth_folding(begun, stretches, folded_per_mb))
    found = []
    for table in _in_order(_work_on_shuffled, begun, _jobs(stretches), threads):
        found.append(table)
        report(n_nt // math.ceil(n_nt / CHUNK))
    shuffled_loci = merge(_joined(found))
    logits = np.sort(shuffled_loci["logit"].to_numpy(np.float32))[::-1]
    background = Background((logits,), n_nt / 1000)
    if settings.threshold is None:
        return replace(begun, least=float(background.least((settings.fp_per_mb or FP_PER_MB) / 1000)[0])), background
    return replace(begun, least=threshold), background


def _least(threshold: float) -> float:
    """The logit of a score; a score of 1 is that of all logits from about 17 up, and a millionth is for rounding."""
    return predict.logit(min(threshold, 1 - 2**-24)) - 1e-6


def _folded_per_mb(settings: Settings) -> float:
    if settings.folded_per_mb is not None:
        return settings.folded_per_mb
    if settings.threshold is not None:
        return FOLDED_BY_SCORE
    return max(FOLDED_PER_MB, FOLDED_PER_FALSE * (settings.fp_per_mb or FP_PER_MB))


def _worth_folding(begun: _Search, stretches: Sequence[Stretch], per_mb: float) -> float:
    """The logit of stems that so many in a Mb of shuffled sequence have."""
    sizes = np.cumsum([stretch.high - stretch.low for stretch in stretches])
    pilot = stretches[: int(np.searchsorted(sizes, PILOT)) + 1]
    logits = np.sort(_logits(begun.model, _candidates(tuple(pilot), begun.settings)))[::-1]
    number = math.ceil(per_mb * _n_nt(pilot) / 1e6)
    return float(logits[number - 1]) if number <= len(logits) else -math.inf


# ----------------------------------------------------------------------------------------------------------------- loci


def _loci(
    called: pd.DataFrame, places: pd.DataFrame, genome: Genome, background: Background | None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Columns of `tables.LOCI` without reads; and the places of known miRNAs with the locus of each."""
    table = merge(called)
    order = {name: number for number, name in enumerate(genome.lengths)}
    table, places = (
        rows.iloc[np.lexsort((rows["strand"], rows["start"], rows["chrom"].map(order)))].reset_index(drop=True)
        for rows in (table, places)
    )
    table["id"] = [f"locus{number}" for number in range(1, len(table) + 1)]
    if background:
        logits = table["logit"].to_numpy(np.float32)
        table["fp_per_mb"] = 1000 * background.fp_per_kb(np.zeros(len(table), dtype=np.int64), logits)
    table["known"], locus_ids = _name(table, places)
    for arm in ("5p", "3p"):
        first, last = (table[f"arm_{arm}_{end}"].to_numpy(np.int64) for end in ("start", "end"))
        forward, there = (table["strand"] == "+").to_numpy(), first >= 0
        low, high = table["start"].to_numpy(np.int64), table["end"].to_numpy(np.int64)
        table[f"mature_{arm}_start"] = np.where(there, np.where(forward, low + first, high - last), -1)
        table[f"mature_{arm}_end"] = np.where(there, np.where(forward, low + last, high - first), -1)
    wanted = [column.name for column in tables.LOCI if column.name in table]
    return table[wanted], places.assign(locus_id=locus_ids)


def _joined(found: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """One table; empty ones would change the kinds of columns."""
    return pd.concat([table for table in found if len(table)] or [found[0]], ignore_index=True)


def merge(called: pd.DataFrame) -> pd.DataFrame:
    """The best of hairpins that share `SAME_LOCUS` on a strand, with the number of those it stands for, `n_candidates`.

    The best takes those that overlap it so, then the best of the rest, and so on; of equals the first, 5'->3'.

    Args:
        called: columns chrom, start, end, strand, logit, and any others, which are kept.
    """
    backwards = (called["strand"] == "-").to_numpy()
    start, end = (called[column].to_numpy(np.int64) for column in ("start", "end"))
    start, end = np.where(backwards, -end, start), np.where(backwards, -start, end)  # 5'->3' on both strands
    group = 2 * pd.factorize(called["chrom"])[0] + backwards
    order = np.lexsort((end, start, group))
    group, start, end = group[order], start[order], end[order]
    called = called.iloc[order].reset_index(drop=True)
    best_first = np.argsort(-called["logit"].to_numpy(np.float32), kind="stable")
    taker = _takers(group, start, end, best_first, SAME_LOCUS)
    kept, n_candidates = np.unique(taker, return_counts=True)
    return called.iloc[kept].assign(n_candidates=n_candidates).reset_index(drop=True)


@numba.njit(error_model="numpy", cache=True, nogil=True)
def _takers(group, start, end, best_first, share):  # type: ignore[no-untyped-def]  # pragma: no cover
    """The hit (n,) that stands for each, itself or a better one that it overlaps; sorted by group and start."""
    n, widest = len(group), 0
    for a in range(n):
        widest = max(widest, end[a] - start[a])
    taker = np.full(n, -1)
    for a in best_first:
        if taker[a] >= 0:
            continue
        taker[a] = a
        for step in (-1, 1):
            b = a + step
            while 0 <= b < n and group[b] == group[a] and start[a] - widest < start[b] < end[a]:
                shared = min(end[a], end[b]) - max(start[a], start[b])
                if taker[b] < 0 and shared > 0 and shared >= share * min(end[a] - start[a], end[b] - start[b]):
                    taker[b] = a
                b += step
    return taker


def _name(loci: pd.DataFrame, places: pd.DataFrame) -> tuple[list[str], list[str]]:
    """The known miRNAs of each locus, joined by `;`, and the locus of each place, empty where none is.

    A place is a locus' if it shares half of the shorter with it, on the same strand.
    """
    known: list[list[str]] = [[] for _ in range(len(loci))]
    of_place = [""] * len(places)
    by_strand = {
        key: (rows.index.to_numpy(), rows["start"].to_numpy(), rows["end"].to_numpy())
        for key, rows in loci.groupby(["chrom", "strand"], sort=False)
    }
    columns = (places[column] for column in ("name", "chrom", "start", "end", "strand"))
    for row, (name, chrom, start, end, strand) in enumerate(zip(*columns, strict=True)):
        if (chrom, strand) not in by_strand:
            continue
        index, starts, ends = by_strand[chrom, strand]
        shared = np.minimum(ends, end) - np.maximum(starts, start)
        inside = 2 * shared >= np.minimum(ends - starts, end - start)
        for locus in index[inside & (shared > 0)].tolist():
            known[locus].append(name)
            of_place[row] = of_place[row] or str(loci["id"].iloc[locus])
    return [";".join(dict.fromkeys(names)) for names in known], of_place


class _Reads:
    """A BAM file with an index, open while in use."""

    def __init__(self, path: Path, genome: Genome) -> None:
        verbosity = pysam.set_verbosity(0)  # htslib would write to stderr itself
        try:
            self._file = pysam.AlignmentFile(str(path), "rb")
            if not self._file.has_index():
                raise InputError("no index; samtools index makes one", path=path)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
            raise InputError(f"cannot read as BAM: {reason}", path=path) from None
        finally:
            pysam.set_verbosity(verbosity)
        self._names = set(self._file.references)
        missing = [name for name in genome.lengths if name not in self._names]
        if len(missing) == len(genome.lengths):
            found = ", ".join(self._file.references[:3]) or "none"
            raise InputError(f"no sequence of the genome ({missing[0]} ...); found {found} ...", path=path)
        if missing:
            log.warning("%s: %d of %d sequences of the genome are not in it", path, len(missing), len(genome.lengths))

    def __enter__(self) -> _Reads:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def count(self, loci: pd.DataFrame) -> pd.DataFrame:
        """Loci with their columns of reads; a read of collapsed ones (`name_x12`) counts as often as it was there."""
        rows = [self._of(locus) for locus in cast(list[dict[str, Any]], loci.to_dict("records"))]
        return loci.assign(**pd.DataFrame(rows, columns=list(_READS), index=loci.index))

    def _of(self, locus: dict[str, Any]) -> tuple[int, int, int, float, float]:
        if locus["chrom"] not in self._names:
            return 0, 0, 0, math.nan, math.nan
        total, starts = 0, (Counter[int](), Counter[int]())
        for read in self._file.fetch(locus["chrom"], locus["start"], locus["end"]):
            if read.is_unmapped or read.is_secondary or read.is_supplementary:
                continue
            low, high = read.reference_start, read.reference_start + int(read.reference_length or 0)
            if read.is_reverse != (locus["strand"] == "-") or low < locus["start"] or high > locus["end"]:
                continue
            number = int(found[1]) if (found := _COLLAPSED.search(read.query_name or "")) else 1
            total += number
            for arm, counter in zip(("5p", "3p"), starts, strict=True):
                first, last = locus[f"mature_{arm}_start"], locus[f"mature_{arm}_end"]
                if first >= 0 and 2 * (min(high, last) - max(low, first)) >= high - low:
                    counter[high if read.is_reverse else low] += number
        of_arms = [sum(counter.values()) for counter in starts]
        shares = [max(counter.values()) / counter.total() if counter else math.nan for counter in starts]
        return total, of_arms[0], of_arms[1], shares[0], shares[1]


_READS = ("n_reads", "n_reads_5p", "n_reads_3p", "homogeneity_5p", "homogeneity_3p")
_COLLAPSED = re.compile(r"_x(\d+)$")


def _write(loci: pd.DataFrame, places: pd.DataFrame | None, folder: Path) -> list[Path]:
    (folder / "known.tsv").unlink(missing_ok=True)  # of an earlier search
    files = [folder / name for name in ("loci.tsv", "loci.bed", "loci.gff3", "hairpins.fa", "mature.fa")]
    io.write_table(loci, files[0])
    io.write_loci_bed(loci, files[1])
    io.write_loci_gff3(loci, files[2])
    io.write_fasta((Record(*both) for both in zip(loci["id"], loci["hairpin_seq"], strict=True)), files[3])
    io.write_fasta(hairpins.matures(loci.assign(call=1)), files[4])
    if places is not None:
        files.append(folder / "known.tsv")
        io.write_table(places, files[-1])
    return files


# ----------------------------------------------------------------------------------------------------------- candidates

_NONE = np.float32(1 << 20)
"""Energy of what cannot be."""
_LENGTHS = 1 << 10
"""An energy and a length are held in one number: energy * _LENGTHS + length."""
_BLOCK = 4096
"""Starts of stems in one go, so that what is at work stays in the processor's cache."""
_OPEN_BULGE, _OPEN_LOOP = np.float32(250), np.float32(150)
"""Of an internal loop: first nt of one strand, first of both, 0.01 kcal/mol."""
_EXTEND_BULGE, _EXTEND_LOOP = np.float32(120), np.float32(150)
"""One more nt of one strand, of both."""
_MISMATCH = -80
"""Of a hairpin loop's first mismatch, about, 0.01 kcal/mol."""
_PER_NT = 8
"""Of each nt of a stem, its first to its last, 0.01 kcal/mol: chance finds better stems among long ones."""


def candidates(sequence: str, *, energy: float = ENERGY, longest: int = LONGEST, flank: int = FLANK) -> pd.DataFrame:
    """Stretches of one strand that fold back on themselves as a pre-miRNA may: all that is worth folding.

    For every two nucleotides up to `longest` apart, the energy of the best stem that their base pair closes: one
    hairpin loop, no branches, ViennaRNA's stacking energies, and internal loops whose cost grows with each nucleotide,
    as that of the whole does (chance would join helices and make long stems otherwise). A stem is a candidate if
    neither its first nor its last nucleotide has a better one, and none that it is `ALIKE` is better. About 2 million
    nt a second and core.

    Args:
        sequence: normalised RNA; N pairs with nothing.
        energy: highest energy of a stem, kcal/mol.
        longest: nt of a stem, below 1,000.
        flank: nt around a stem, fewer at the sequence's ends.

    Returns:
        Columns start, end (0-based, half-open, with the flanks), energy (kcal/mol) and structure (the stem in
        dot-bracket, of start to end), in order of the stems' ends.
    """
    columns = _candidate_columns(sequence, energy, longest, flank)
    return pd.DataFrame(dict(zip(("start", "end", "energy", "structure"), columns, strict=True)))


def _candidate_columns(
    sequence: str, energy: float, longest: int, flank: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], list[str]]:
    """The columns of `candidates`."""
    codes, energies = rna.encode([sequence])[0], _energies(longest)
    by_end, by_start = np.full((2, len(codes)), int(_NONE) * _LENGTHS, dtype=np.int32)
    _best_stems(codes, *energies, SHORTEST, longest, by_end, by_start)
    last = np.flatnonzero(by_end < (math.floor(100 * energy) + 1) * _LENGTHS)
    first = last - by_end[last] % _LENGTHS
    mutual = by_start[first] == by_end[last]
    first, last = first[mutual], last[mutual]
    best = by_end[last]
    kept = _best_of_alike(first, last + 1, best // _LENGTHS, longest, ALIKE)
    first, last, best = first[kept], last[kept], best[kept]
    start, end = np.maximum(first - flank, 0), np.minimum(last + 1 + flank, len(codes))
    signs = _structures(codes, *energies, first, last, start, end)
    text = np.frombuffer(rna.BRACKETS.encode(), dtype=np.uint8)[signs].tobytes().decode()
    bounds = np.concatenate([[0], np.cumsum(end - start)]).tolist()
    return start, end, best // _LENGTHS / 100, [text[low:high] for low, high in itertools.pairwise(bounds)]


@cache
def _energies(longest: int) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Energies of stacks (625,), ends of helices (25,) and hairpin loops (longest,), 0.01 kcal/mol, of ViennaRNA.

    A pair of letters is 5 * code + code. A stack is at 25 * the two letters 5'->3' on the first strand + those on the
    second; the end of a helix is at its pair; a loop is at the distance of the two nt of its pair.
    """
    compound = RNA.fold_compound("GGGGAAAACCCC")  # must outlive its parameters
    parameters, kinds = compound.params, {"CG": 1, "GC": 2, "GU": 3, "UG": 4, "AU": 5, "UA": 6}
    code = {letter: number for number, letter in enumerate(rna.ALPHABET)}
    stacks, ends, loops = (np.full(n, _NONE, dtype=np.float32) for n in (625, 25, longest))
    for pair, kind in kinds.items():
        i, j = (code[letter] for letter in pair)
        ends[5 * i + j] = parameters.TerminalAU if kind > 2 else 0
        for inner_pair, inner in kinds.items():  # as seen from inside
            q, p = (code[letter] for letter in inner_pair)
            stacks[25 * (5 * i + p) + 5 * q + j] = parameters.stack[kind][inner]
    known = list(parameters.hairpin)
    for distance in range(4, longest):
        n = distance - 1
        initiation = known[min(n, len(known) - 1)] + parameters.lxc * math.log(max(n / (len(known) - 1), 1))
        loops[distance] = int(initiation) + (_MISMATCH if n > 3 else 0)
    return stacks, ends, loops


@numba.njit(error_model="numpy", cache=True, nogil=True)
def _best_stems(codes, stacks, ends, loops, shortest, longest, by_end, by_start):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Lower by_end and by_start (length,) to the best energy and length - 1 of stems with their end or start there.

    Three rows of states, of the stems as long as this, one nt and two nt shorter: `stem` is that of a pair's stem,
    `helix` adds the end of a helix, `gap` is the best helix inside with something unpaired around it. An internal loop
    is thus open / extend, whatever its size. Energies are whole numbers, which single precision holds exactly.
    """
    n = len(codes)
    here, five, first, second = np.empty((4, n), np.int32)
    for i in range(n):
        here[i], five[i] = codes[i], 5 * codes[i]
        first[i] = 25 * (5 * codes[i] + (codes[i + 1] if i + 1 < n else rna.N))
        second[i] = 5 * (codes[i - 1] if i else rna.N) + codes[i]
    stem, helix, gap = np.empty((3, 3, min(n, _BLOCK + longest)), np.float32)
    for low in range(0, n, _BLOCK):
        size = min(n - low, _BLOCK + longest)
        blank = True
        for i in range(low, low + size):
            blank &= codes[i] == rna.N
        if blank:
            continue
        stem[:], helix[:], gap[:] = _NONE, _NONE, _NONE
        for distance in range(4, min(longest, size)):
            s, h, g = stem[distance % 3], helix[distance % 3], gap[distance % 3]
            h1, g1 = helix[(distance - 1) % 3], gap[(distance - 1) % 3]
            s2, h2, g2 = stem[(distance - 2) % 3], helix[(distance - 2) % 3], gap[(distance - 2) % 3]
            i_five, j_here = five[low:], here[low + distance :]
            i_first, j_second = first[low:], second[low + distance :]
            loop = loops[distance]
            for k in range(size - distance):  # in pairs of min, which become vector instructions
                end = ends[i_five[k] + j_here[k]]
                stack = stacks[i_first[k] + j_second[k]]
                best = min(min(loop + end, _NONE), min(s2[k + 1] + stack, g2[k + 1] + end))
                s[k] = best
                h[k] = best + end
                opened = min(min(h1[k], h1[k + 1]) + _OPEN_BULGE, h2[k + 1] + _OPEN_LOOP)
                extended = min(min(g1[k], g1[k + 1]) + _EXTEND_BULGE, g2[k + 1] + _EXTEND_LOOP)
                g[k] = min(opened, min(extended, _NONE))
            if distance < shortest - 1:
                continue
            of_start, of_end = by_start[low:], by_end[low + distance :]
            cost = np.float32(_PER_NT * (distance + 1))
            for k in range(size - distance):
                value = np.int32(np.int32(min(s[k] + cost, _NONE)) * _LENGTHS + distance)
                of_start[k] = min(of_start[k], value)
                of_end[k] = min(of_end[k], value)


@numba.njit(error_model="numpy", cache=True, nogil=True)
def _structures(codes, stacks, ends, loops, first, last, start, end):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Codes of dot-bracket of the best stem that each pair first-last closes, start to end, all in a row.

    The recursions of `_best_stems` once more, with all their states, and the way back.
    """
    found, at = np.zeros((end - start).sum(), np.int8), 0
    for number in range(len(first)):
        low, n = first[number], last[number] + 1 - first[number]
        c = codes[low : low + n]
        stem, gap = np.full((2, n + 1, n + 1), _NONE, np.float32)
        for i in range(n - 5, -1, -1):
            for j in range(i + 4, n):
                close = ends[5 * c[i] + c[j]]
                stack = stacks[25 * (5 * c[i] + c[i + 1]) + 5 * c[j - 1] + c[j]]
                best = min(min(loops[j - i] + close, _NONE), min(stem[i + 1, j - 1] + stack, gap[i + 1, j - 1] + close))
                stem[i, j] = best
                gap[i, j] = min(_NONE, _gap(c, stem, gap, ends, i, j)[0])
        i, j = 0, n - 1
        shift = at + low - start[number]
        while True:
            found[shift + i], found[shift + j] = 1, 2
            close, best = ends[5 * c[i] + c[j]], stem[i, j]
            if best == loops[j - i] + close:
                break
            i, j = i + 1, j - 1
            if best == stem[i, j] + stacks[25 * (5 * c[i - 1] + c[i]) + 5 * c[j] + c[j + 1]]:
                continue
            opened = False
            while not opened:
                _, opened, more_i, more_j = _gap(c, stem, gap, ends, i, j)
                i, j = i + more_i, j - more_j
        at += end[number] - start[number]
    return found


@numba.njit(error_model="numpy", inline="always")
def _gap(c, stem, gap, ends, i, j):  # type: ignore[no-untyped-def]  # pragma: no cover
    """The best of i to j with something unpaired at an end: energy, whether a helix follows, nt less at each end."""
    best, opened, more_i, more_j = np.float32(_NONE), False, 0, 0
    for a, b in ((1, 1), (1, 0), (0, 1)):
        inner = stem[i + a, j - b] + ends[5 * c[i + a] + c[j - b]] + (_OPEN_LOOP if a and b else _OPEN_BULGE)
        if inner < best:
            best, opened, more_i, more_j = inner, True, a, b
    for a, b in ((1, 1), (1, 0), (0, 1)):
        inner = gap[i + a, j - b] + (_EXTEND_LOOP if a and b else _EXTEND_BULGE)
        if inner < best:
            best, opened, more_i, more_j = inner, False, a, b
    return best, opened, more_i, more_j


@numba.njit(error_model="numpy", cache=True, nogil=True)
def _best_of_alike(starts, ends, energies, longest, alike):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Bool (n,): which of the stems, in order of `ends`, have no better one (the first of equals) that is alike."""
    kept = np.ones(len(starts), np.bool_)
    for a in range(len(starts)):
        for step in (-1, 1):
            b = a + step
            while kept[a] and 0 <= b < len(starts) and abs(ends[b] - ends[a]) < longest:
                shared = min(ends[a], ends[b]) - max(starts[a], starts[b])
                covered = max(ends[a], ends[b]) - min(starts[a], starts[b])
                before = ends[b] < ends[a]  # no two have the same end
                better = energies[b] < energies[a] or (energies[b] == energies[a] and before)
                kept[a] = not (better and shared >= alike * covered)
                b += step
    return kept
