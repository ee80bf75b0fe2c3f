"""Where reads match references, without gaps: a seed index of our own, or NCBI BLAST+, behind one function.

Both engines give high-scoring segment pairs of the sense strand, +1 a match and -3 a mismatch, and both are judged by
the same E-values (Karlin and Altschul 1990; lambda and K of BLAST for these scores, ungapped), so that a threshold
means the same with either.
"""

from __future__ import annotations

import hashlib
import math
import os
import shutil
import subprocess
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any, Literal

import numba
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mirscope import rna
from mirscope.errors import MirscopeError, UsageError
from mirscope.io import Record

Engine = Literal["index", "blast"]
ENGINES: tuple[Engine, ...] = ("index", "blast")

MATCH, MISMATCH = 1, -3
_LAMBDA, _K = 1.374, 0.711  # of ungapped alignments scored +1/-3 (NCBI's blast_stat.c)
_DROP = 10  # an extension ends where it is so much below its best: BLAST's 20 bits
_AT_ONCE = 4096  # queries of a task

HITS = ("query", "reference", "query_start", "query_end", "start", "end", "n_mismatches", "score", "e_value")
"""Columns of hits: numbers of the query and the reference, both intervals, mismatches within, raw score, E-value."""


def bit_score(score: NDArray[np.int64] | int) -> NDArray[np.float64]:
    """Bit scores of raw scores."""
    return (_LAMBDA * np.asarray(score, dtype=np.float64) - math.log(_K)) / math.log(2)


@dataclass(frozen=True, eq=False)
class Index:
    """Every word of `word` nt of the references, ready to be looked up; words with N are left out."""

    names: tuple[str, ...]
    word: int
    codes: NDArray[np.int8]
    """All references, each followed by a wall (-1) that no alignment crosses."""
    starts: NDArray[np.int64]
    """First nt of each reference in `codes`, and the end (n + 1,)."""
    first: NDArray[np.int64]
    """Where the places of each word begin in `places` (4**word + 1,)."""
    places: NDArray[np.int32]
    folder: Path | None = None
    """Where the arrays lie as files, which processes share (`kept_in`)."""

    @classmethod
    def build(cls, references: Sequence[Record], word: int) -> Index:
        """The index of references; a few bytes a nt, and 8 for each of the 4**word words."""
        lengths = np.array([len(record.sequence) + 1 for record in references], dtype=np.int64)
        starts = np.concatenate([[0], np.cumsum(lengths)])
        codes = np.full(int(starts[-1]), -1, dtype=np.int8)
        for record, start in zip(references, starts, strict=False):
            codes[start : start + len(record.sequence)] = rna.encode([record.sequence])[0]
        first, places = _index(codes, word)
        return cls(tuple(record.id for record in references), word, codes, starts, first, places)

    @property
    def n_nt(self) -> int:
        """Nucleotides of all references."""
        return len(self.codes) - len(self.names)

    @cached_property
    def number(self) -> dict[str, int]:
        """Of each name its reference."""
        return {name: number for number, name in enumerate(self.names)}

    @cached_property
    def database(self) -> Path:
        """A BLAST database of the sequences, named r0, r1, ...; it goes with the index."""
        folder = tempfile.mkdtemp(prefix="mirscope-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        path = Path(folder) / "references"
        with path.with_suffix(".fa").open("w") as file:
            for number in range(len(self.names)):
                file.write(f">r{number}\n{self.sequence(number).replace('U', 'T')}\n")
        _run(["makeblastdb", "-dbtype", "nucl", "-in", f"{path}.fa", "-out", str(path), "-logfile", os.devnull])
        return path

    def kept_in(self, folder: Path) -> Index:
        """The same, in files: a process that it is sent to maps them, instead of holding a copy."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in _ARRAYS:
            np.save(folder / f"{name}.npy", getattr(self, name))
        return Index(self.names, self.word, **_mapped(folder), folder=folder)

    def __getstate__(self) -> dict[str, Any]:
        left_out = {"number", "database"} | (set(_ARRAYS) if self.folder else set())  # another process makes its own
        return {key: value for key, value in vars(self).items() if key not in left_out}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, **(_mapped(state["folder"]) if state["folder"] else {}))

    def fingerprint(self) -> str:
        """sha256 of names and sequences."""
        digest = hashlib.sha256(repr((self.word, self.names)).encode())
        digest.update(self.codes.tobytes())
        return digest.hexdigest()

    def sequence(self, reference: int, start: int = 0, end: int | None = None) -> str:
        """A reference, or a part of it, cut where the reference ends."""
        low, high = int(self.starts[reference]), int(self.starts[reference + 1]) - 1
        stop = high if end is None else min(low + end, high)
        return str(rna.decode(self.codes[None, low + start : stop])[0])

    def length(self, reference: int) -> int:
        """Nucleotides of a reference."""
        return int(self.starts[reference + 1] - self.starts[reference] - 1)


_ARRAYS = ("codes", "starts", "first", "places")


def _mapped(folder: Path) -> dict[str, NDArray[Any]]:
    return {name: np.asarray(np.load(folder / f"{name}.npy", mmap_mode="r")) for name in _ARRAYS}


def find(
    queries: Sequence[str],
    index: Index,
    *,
    e_value: float,
    most: int = 50,
    engine: Engine = "index",
    threads: int = 1,
) -> pd.DataFrame:
    """Ungapped hits of the sense strand: columns `HITS`, by query and then best first; equals by reference and place.

    Args:
        queries: normalised RNA; hits name them by their number.
        index: the references.
        e_value: hits of more are left out; the space is the query's nt times the references' nt.
        most: hits kept of a query, the best.
        engine: `index` finds what shares a word with the reference; `blast` asks blastn (task blastn-short).
        threads: cores.

    Raises:
        UsageError: BLAST+ is not installed.
        MirscopeError: BLAST+ failed.
    """
    spaces = np.array([max(len(query), 1) for query in queries], dtype=np.float64) * max(index.n_nt, 1)
    least = np.ceil(np.log(_K * spaces / e_value) / _LAMBDA).astype(np.int64).clip(1)
    if not len(queries):
        table = np.empty((0, 8), dtype=np.int64)
    elif engine == "index":
        table = _by_index(queries, index, least, most, threads)
    else:
        table = _by_blast(queries, index, least, most, threads)
    hits = pd.DataFrame(table, columns=list(HITS[:-1]))
    hits["e_value"] = _K * spaces[hits["query"]] * np.exp(-_LAMBDA * hits["score"])
    order = np.lexsort((hits["query_start"], hits["start"], hits["reference"], -hits["score"], hits["query"]))
    hits = hits.iloc[order].reset_index(drop=True)
    return hits[hits.groupby("query").cumcount() < most].reset_index(drop=True)


def by_query(hits: pd.DataFrame) -> Iterator[tuple[int, list[Any]]]:
    """Each query that has hits, with them as named tuples; of a table sorted by `query`."""
    rows: Any = hits.itertuples(index=False)
    for number, group in groupby(rows, attrgetter("query")):
        yield number, list(group)


# ---------------------------------------------------------------------------------------------------------- seed index


@numba.njit(cache=True, nogil=True)
def _index(codes, word):  # type: ignore[no-untyped-def]
    """Counting sort of the places by their word."""
    n_words = 4**word
    keys = np.full(len(codes), -1, np.int32)
    key, run = 0, 0
    for place in range(len(codes)):
        code = codes[place]
        run = run + 1 if 0 <= code < 4 else 0
        key = (key * 4 + max(code, 0)) % n_words
        if run >= word:
            keys[place - word + 1] = key
    first = np.zeros(n_words + 1, np.int64)
    for place in range(len(codes)):
        if keys[place] >= 0:
            first[keys[place] + 1] += 1
    first = np.cumsum(first)
    fill = first[:-1].copy()
    places = np.empty(first[-1], np.int32)
    for place in range(len(codes)):
        key = keys[place]
        if key >= 0:
            places[fill[key]] = place
            fill[key] += 1
    return first, places


@numba.njit(cache=True, nogil=True)
def _extend(codes, first, places, word, query, bounds, least, most, out, found):  # type: ignore[no-untyped-def]
    """Fill `out` (n, most, 5) with query start, end, place, mismatches, score of the best hits of each query."""
    n_words = 4**word
    for number in range(len(bounds) - 1):
        low, high = bounds[number], bounds[number + 1]
        key, run, kept = 0, 0, 0
        for last in range(low, high):
            code = query[last]
            run = run + 1 if code < 4 else 0
            key = (key * 4 + code) % n_words
            if run < word:
                continue
            at = last - word + 1
            for position in range(first[key], first[key + 1]):
                place = places[position]
                if at > low and query[at - 1] < 4 and codes[place - 1] == query[at - 1] and place > 0:
                    continue  # the run of matches was found one nt before
                left, right, score = 0, word, word
                now, i = score, 1
                while at - i >= low and place - i >= 0 and codes[place - i] >= 0 and now > score - _DROP:
                    same = codes[place - i] == query[at - i] and query[at - i] < 4
                    now += MATCH if same else MISMATCH
                    if now > score:
                        score, left = now, i
                    i += 1
                now, i = score, word
                while at + i < high and codes[place + i] >= 0 and now > score - _DROP:
                    same = codes[place + i] == query[at + i] and query[at + i] < 4
                    now += MATCH if same else MISMATCH
                    if now > score:
                        score, right = now, i + 1
                    i += 1
                if score < least[number] or (kept == most and score <= out[number, kept - 1, 4]):
                    continue
                start, begin = at - left - low, place - left
                new = True
                for j in range(kept):
                    if out[number, j, 0] == start and out[number, j, 2] == begin:
                        new = False
                        break
                if not new:
                    continue
                j = kept if kept < most else most - 1
                while j > 0 and out[number, j - 1, 4] < score:
                    out[number, j] = out[number, j - 1]
                    j -= 1
                out[number, j, 0] = start
                out[number, j, 1] = at + right - low
                out[number, j, 2] = begin
                out[number, j, 3] = (left + right - score) // (MATCH - MISMATCH)
                out[number, j, 4] = score
                kept = min(kept + 1, most)
        found[number] = kept


def _by_index(
    queries: Sequence[str], index: Index, least: NDArray[np.int64], most: int, threads: int
) -> NDArray[np.int64]:
    parts = range(0, len(queries), _AT_ONCE)
    task = partial(_part, queries, index, least, most)
    if threads == 1 or len(parts) == 1:
        return np.concatenate([task(low) for low in parts])
    with ThreadPoolExecutor(threads) as pool:  # the kernel lets go of the interpreter, and the index is shared
        return np.concatenate(list(pool.map(task, parts)))


def _part(queries: Sequence[str], index: Index, least: NDArray[np.int64], most: int, low: int) -> NDArray[np.int64]:
    some = queries[low : low + _AT_ONCE]
    bounds = np.concatenate([[0], np.cumsum([len(query) for query in some])]).astype(np.int64)
    out = np.empty((len(some), most, 5), dtype=np.int64)
    found = np.zeros(len(some), dtype=np.int64)
    text = rna.encode(["".join(some)])[0]
    limits = least[low : low + _AT_ONCE]
    _extend(index.codes, index.first, index.places, index.word, text, bounds, limits, most, out, found)
    kept = np.arange(most) < found[:, None]
    hits = out[kept]
    reference = np.searchsorted(index.starts, hits[:, 2], side="right") - 1
    start = hits[:, 2] - index.starts[reference]
    end = start + hits[:, 1] - hits[:, 0]
    query = low + np.repeat(np.arange(len(some)), found)
    columns = [query, reference, hits[:, 0], hits[:, 1], start, end, hits[:, 3], hits[:, 4]]
    return np.stack(columns, 1).astype(np.int64)


# --------------------------------------------------------------------------------------------------------------- BLAST

_BLAST = ("blastn", "makeblastdb")


def blast_version() -> str:
    """The version of the installed blastn, as it names itself.

    Raises:
        UsageError: it is not installed.
    """
    missing = [program for program in _BLAST if shutil.which(program) is None]
    if missing:
        problem = f"{', '.join(missing)} not found, which the engine blast needs; install NCBI BLAST+"
        raise UsageError(f"{problem} (Debian: apt-get install ncbi-blast+), or use the engine index")
    lines = _run(["blastn", "-version"]).splitlines()
    return lines[0].removeprefix("blastn: ") if lines else "unknown"


def _by_blast(
    queries: Sequence[str], index: Index, least: NDArray[np.int64], most: int, threads: int
) -> NDArray[np.int64]:
    blast_version()
    fields = "qseqid sseqid qstart qend sstart send mismatch score"
    scores = ["-reward", str(MATCH), "-penalty", str(MISMATCH), "-ungapped", "-strand", "plus", "-dust", "no"]
    limits = ["-word_size", "7", "-evalue", "1000", "-max_target_seqs", str(max(most, 5)), "-num_threads", str(threads)]
    with tempfile.NamedTemporaryFile("w", suffix=".fa") as asked:
        asked.write("".join(f">{n}\n{query.replace('U', 'T')}\n" for n, query in enumerate(queries)))
        asked.flush()
        asks = ["-task", "blastn-short", "-db", str(index.database), "-query", asked.name, "-outfmt", f"6 {fields}"]
        lines = _run(["blastn", *asks, *scores, *limits]).splitlines()
    rows = [line.replace("\tr", "\t", 1).split("\t") for line in lines]
    table = np.array(rows, dtype=np.int64).reshape(-1, 8)
    table[:, [2, 4]] -= 1  # BLAST counts from 1, ends included
    return table[table[:, 7] >= least[table[:, 0]]]


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except subprocess.CalledProcessError as error:
        said = (error.stderr or "no message").strip().splitlines()
        raise MirscopeError(f"{command[0]} failed ({error.returncode}): {said[-1] if said else ''}") from error
    return done.stdout
