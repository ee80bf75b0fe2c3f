"""Files in and out: FASTA, FASTQ, tables of pairs and sites, BED, GFF3, mirGFF3, miTAR's FASTA, MEME, Keras weights.

Sequences become capitals A C G U N here and nowhere else. Files are plain or gzip, told by their content; `-` is stdin
or stdout. What is wrong with a file is one `InputError` naming file, line and value. Outputs appear under their final
name only when complete.
"""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import json
import logging
import os
import re
import secrets
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, islice, takewhile
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO, cast
from urllib.parse import unquote

import dnaio
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mirscope import rna
from mirscope import tables as checks
from mirscope.errors import InputError, RepeatedIdError, SequenceError, TableError, UsageError, WeightsError
from mirscope.tables import HAIRPINS, ISOMIRS, PAIRS, SITES, Column

log = logging.getLogger("mirscope")

# ---------------------------------------------------------------------------------------------------------- sequences

_PLAIN = b"ACGUTNacgutn"
_AMBIGUOUS = b"RYSWKMBDHVryswkmbdhv"
_NORMAL = bytes.maketrans(_PLAIN + _AMBIGUOUS, b"ACGUUNACGUUN" + b"N" * len(_AMBIGUOUS))
_FOREIGN = re.compile(f"[^{(_PLAIN + _AMBIGUOUS).decode()}]")
_NUCLEOTIDES = re.compile(f"[{_PLAIN.decode()}]+")


@dataclass(frozen=True)
class Record:
    """A sequence with its name.

    `id` is the header up to the first white space; `sequence` is RNA, 5'->3', in capitals A C G U N.
    """

    id: str
    sequence: str


def normalise(
    sequence: str, *, path: str | Path | None = None, line: int | None = None, record: str | None = None
) -> tuple[str, int]:
    """The sequence in capitals A C G U N, and how many IUPAC ambiguity codes (R Y S W K M B D H V) became N.

    Args:
        sequence: RNA or DNA, any case.
        path: named in the error, like `line` and `record`.
        line: 1-based line of the sequence.
        record: id of the record.

    Raises:
        SequenceError: any other character, gaps and stops included.
    """
    letters = sequence.encode("ascii", "replace")  # what is not ASCII becomes ?, which is foreign too
    rest = letters.translate(None, _PLAIN)
    if rest.translate(None, _AMBIGUOUS):
        found = cast(re.Match[str], _FOREIGN.search(sequence))
        raise SequenceError(found[0], found.start() + 1, path=path, line=line, record=record)
    return letters.translate(_NORMAL).decode("ascii"), len(rest)


def iter_fasta(path: str | Path, *, unique: bool = True) -> Iterator[Record]:
    """The records of a FASTA or FASTQ file, one at a time and in its order.

    Blank lines and, in FASTA, lines that start with `#` do not count. IUPAC codes become N; how many is one warning at
    the end of the file.

    Args:
        path: plain or gzip, told by its content like the format; `-` is stdin.
        unique: refuse an id that comes twice, which takes memory for all ids; turn it off for sequencing reads.

    Raises:
        InputError: the file cannot be read, is empty or of another type; an id or sequence is empty; an id comes twice.
        SequenceError: a sequence holds a letter that is no nucleotide.
    """
    name = _name(path)
    seen: set[str] = set()
    n_records = n_codes = 0
    with _input(path) as (stream, head):
        fastq = _is_fastq(head, name)

        def error(problem: str, identity: str | None = None) -> InputError:
            return InputError(problem, path=name, line=_line(path, fastq, n_records), record=identity)

        try:
            for header, letters in _headers(stream, fastq):
                words = header.split(maxsplit=1)
                if not words or header[0].isspace():
                    raise error("no id in the header; expected one right after > or @")
                identity = words[0]
                if not identity.isprintable():
                    raise error(f"control character in the id {_show(identity)}; expected text")
                if identity in seen:
                    line = _line(path, fastq, n_records)
                    problem = "this id came before; expected unique ids"
                    raise RepeatedIdError(problem, path=name, line=line, record=identity)
                if not letters:
                    raise error("empty sequence; expected nucleotides", identity)
                if unique:
                    seen.add(identity)
                try:
                    sequence, n = normalise(letters, path=name, record=identity)
                except SequenceError as foreign:
                    foreign.line = _line(path, fastq, n_records, foreign.position)
                    raise
                n_codes += n
                n_records += 1
                yield Record(identity, sequence)
        except dnaio.FileFormatError as broken:
            at = None if broken.line is None else broken.line + 1
            raise InputError(_one_line(broken.message), path=name, line=at) from None
        except UnicodeDecodeError:
            raise InputError("not UTF-8 text; expected FASTA or FASTQ", path=name, line=_undecodable(path)) from None
    if not n_records:
        raise InputError("no records; expected FASTA or FASTQ", path=name)
    _report(n_codes, name)


def read_fasta(path: str | Path, *, unique: bool = True) -> list[Record]:
    """All records of a FASTA or FASTQ file; see `iter_fasta`."""
    return list(iter_fasta(path, unique=unique))


def iter_fastq(path: str | Path) -> Iterator[dnaio.SequenceRecord]:
    """The reads of a FASTQ file as they are (`name`, `sequence`, `qualities`), one at a time and in its order.

    Letters stay as they were sequenced, DNA as a rule, since adapters are cut off before anything else.

    Args:
        path: plain or gzip, told by its content; `-` is stdin.

    Raises:
        InputError: the file cannot be read, is no FASTQ, or a read has not one quality a nucleotide.
        SequenceError: a read holds a letter that is no nucleotide.
    """
    name = _name(path)
    n_reads = 0
    with _input(path) as (stream, head):
        if not _is_fastq(head, name):
            raise InputError("the file is FASTA, without qualities; expected FASTQ", path=name)
        try:
            for read in dnaio.FastqReader(stream):
                n_reads += 1
                if read.sequence.encode().translate(None, _PLAIN + _AMBIGUOUS):
                    normalise(read.sequence, path=name, line=4 * n_reads - 2, record=read.id)
                yield read
        except dnaio.FileFormatError as broken:
            at = None if broken.line is None else broken.line + 1
            raise InputError(_one_line(broken.message), path=name, line=at) from None
        except UnicodeDecodeError:
            raise InputError("not ASCII text; expected FASTQ", path=name, line=4 * n_reads + 1) from None
    if not n_reads:
        raise InputError("no reads; expected FASTQ", path=name)


def holds_fastq(path: str | Path) -> bool:
    """Whether the file is FASTQ rather than FASTA.

    Raises:
        InputError: it cannot be read, or is neither.
    """
    with _input(path) as (_, head):
        return _is_fastq(head, _name(path))


def write_fastq(reads: Iterable[dnaio.SequenceRecord], path: str | Path) -> None:
    """Write reads as FASTQ; `-` is stdout, `.gz` compresses."""
    with fastq_writer(path) as write:
        write(reads)


@contextlib.contextmanager
def fastq_writer(path: str | Path) -> Iterator[Callable[[Iterable[dnaio.SequenceRecord]], None]]:
    """A function that writes reads as FASTQ, some after the other; see `write_fastq`."""
    with _output(path, level=1) as file:  # qualities are noise: more effort gains a tenth and takes four times as long

        def write(reads: Iterable[dnaio.SequenceRecord]) -> None:
            for read in reads:
                file.write(read.fastq_bytes())

        yield write


@dataclass(frozen=True)
class Stretch:
    """A part of a sequence, and what stands around it."""

    id: str
    low: int
    """First nt of the part in the whole, 0-based; parts do not overlap."""
    high: int
    start: int
    """First nt of `sequence` in the whole."""
    sequence: str
    """The part with its surroundings; RNA in capitals A C G U N."""


def iter_stretches(path: str | Path, length: int, *, overlap: int = 0, skip_masked: bool = False) -> Iterator[Stretch]:
    """The sequences of a FASTA file in parts of `length` nt, in its order, in the memory of a part.

    Blank lines and lines that start with `#` do not count. IUPAC codes become N; how many is one warning at the end.

    Args:
        path: plain or gzip, told by its content; `-` is stdin.
        length: nt; the last part of a sequence is shorter.
        overlap: nt that stand around each part, fewer at the ends of its sequence.
        skip_masked: make lower-case letters N.

    Raises:
        InputError: as of `iter_fasta`; or the file is FASTQ.
        SequenceError: a sequence holds a letter that is no nucleotide.
    """
    name, seen, n_codes = _name(path), set[str](), 0
    identity, n_read, low, line, n_lines = "", 0, 0, 0, 0
    held: list[str] = []  # what was read from `low - overlap` on

    def ready(end: bool) -> Iterator[Stretch]:
        nonlocal low
        while low < n_read and (end or n_read >= low + length + overlap):
            text = "".join(held)
            start, high = n_read - len(text), min(low + length, n_read)
            yield Stretch(identity, low, high, start, text[: high + overlap - start])
            low, held[:] = high, [text[max(high - overlap - start, 0) :]]

    def complete() -> Iterator[Stretch]:
        if not n_read:
            raise InputError("empty sequence; expected nucleotides", path=name, line=line, record=identity)
        yield from ready(True)

    with _input(path) as (stream, head):
        if _is_fastq(head, name):
            raise InputError("the file is FASTQ; expected FASTA", path=name)
        kind, whole = b"", True
        while text := stream.readline(_PIECE):
            begins, whole = whole, text.endswith(b"\n")
            if begins:
                text = text.lstrip()
                n_lines, kind = n_lines + 1, text[:1] if text[:1] in (b">", b"#") else b""
            if kind == b">" and begins:
                if identity:
                    yield from complete()
                try:
                    words = text[1:].decode().split(maxsplit=1)
                except UnicodeDecodeError:
                    raise InputError("not UTF-8 text; expected FASTA", path=name, line=n_lines) from None
                if not words or text[1:2].isspace():
                    raise InputError("no id in the header; expected one right after >", path=name, line=n_lines)
                identity, n_read, low, line = words[0], 0, 0, n_lines
                held.clear()
                if not identity.isprintable():
                    problem = f"control character in the id {_show(identity)}; expected text"
                    raise InputError(problem, path=name, line=line)
                if identity in seen:
                    problem = "this id came before; expected unique ids"
                    raise RepeatedIdError(problem, path=name, line=line, record=identity)
                seen.add(identity)
            elif not kind and (letters := text.replace(b"\r", b"").strip()):
                letters = letters.translate(_MASK) if skip_masked else letters
                try:
                    sequence, n = normalise(letters.decode("utf-8", "replace"), path=name, line=n_lines)
                except SequenceError as error:
                    position = n_read + error.position
                    raise SequenceError(error.char, position, path=name, line=n_lines, record=identity) from None
                held.append(sequence)
                n_read, n_codes = n_read + len(sequence), n_codes + n
                yield from ready(False)
        if not identity:
            raise InputError("no records; expected FASTA", path=name)
        yield from complete()
    _report(n_codes, name)


_PIECE = 65_536
"""Bytes of a line that are read at once."""
_MASK = bytes.maketrans(b"acgtun", b"NNNNNN")


def write_fasta(records: Iterable[Record], path: str | Path) -> None:
    """Write records as FASTA, one line a sequence; `-` is stdout, `.gz` compresses."""
    with _output(path) as file:
        for record in records:
            file.write(f">{record.id}\n{record.sequence}\n".encode())


def _is_fastq(head: bytes, name: str) -> bool:
    start = head.lstrip()
    if not head:
        raise InputError("the file is empty; expected FASTA or FASTQ", path=name)
    if kind := _other_type(head):
        raise InputError(f"the file is {kind}; expected FASTA or FASTQ", path=name)
    if start and start[:1] not in b">#@":
        first = start.splitlines()[0].decode("utf-8", "replace")
        line = head[: len(head) - len(start)].count(b"\n") + 1
        raise InputError(f"starts with {_show(first)}; expected FASTA (>) or FASTQ (@)", path=name, line=line)
    return start[:1] == b"@"


def _headers(stream: BinaryIO, fastq: bool) -> Iterator[tuple[str, str]]:
    if fastq:
        for read in dnaio.FastqReader(stream):
            yield read.name, read.sequence
    else:  # with its own record class dnaio refuses headers that are not ASCII
        pairs: Any = dnaio.FastaReader(stream, sequence_class=lambda header, sequence, _: (header, sequence))
        yield from pairs


def _line(path: str | Path, fastq: bool, index: int, position: int | None = None) -> int | None:
    """1-based line of the header, or of the 1-based position in the sequence, of record `index`."""
    if fastq:
        return 4 * index + (1 if position is None else 2)
    n_headers = n_before = 0
    for number, line in _lines(path):
        text = line.decode("utf-8", "replace").strip()
        if text.startswith(">"):
            n_headers += 1
            if n_headers > index and position is None:
                return number
        elif n_headers > index and position is not None and text and text[0] != "#":
            n_before += len(text)
            if n_before >= position:
                return number
    return None


def _undecodable(path: str | Path) -> int | None:
    for number, line in _lines(path):
        try:
            line.decode()
        except UnicodeDecodeError:
            return number
    return None


def _lines(path: str | Path) -> Iterator[tuple[int, bytes]]:
    """Numbered lines of a file, read again to tell where an error is; none where that is not possible."""
    if str(path) == "-" or not Path(path).is_file():
        return
    with contextlib.suppress(InputError), _input(path) as (stream, _):
        number = 0
        for chunk in stream:
            for line in chunk.splitlines():
                number += 1
                yield number, line


def _report(n_codes: int, name: str) -> None:
    if n_codes:
        log.warning("%s: %d IUPAC codes became N", name, n_codes)


# -------------------------------------------------------------------------------------------------------------- pairs

_DMISO = {  # columns of DMISO's output, the first four also of its input
    "miRNA ID": "mirna_id",
    "Target ID": "gene_id",
    "miRNA Sequence": "mirna_seq",
    "Target Sequence": "target_seq",
}
_TARGETNET = ["mirna_id", "mirna_seq", "mrna_id", "mrna_seq"]
_LABELS = {"0": 0, "1": 1, "0.0": 0, "1.0": 1}


def read_pairs(path: str | Path) -> pd.DataFrame:
    """The pairs of a table: the columns of `tables.PAIRS`, then all others as given.

    A table has one header line with at least `mirna_seq` and `target_seq`; tab separated, comma separated or Parquet,
    plain or gzip, told by its content. Ids that are not there are empty; `label` and `split` are there only if given.
    IUPAC codes become N, with one warning. Two other layouts are recognised:

    - DMISO's input (github.com/amlantalukder/DMISO, README and dmiso.py): tab separated, no header, exactly miRNA id,
      target id, miRNA sequence, target sequence. DMISO itself cuts targets of more than 90 nt into windows of 60; here
      they stay whole. DMISO's output, which has a header, is read as well.
    - TargetNet's (github.com/seonwoo-min/TargetNet, README "Data Format" and src/data.py): tab separated, a header
      whose words do not matter (its own: mirna_id mirna_seq mrna_id mrna_seq label split), then by position miRNA id,
      miRNA sequence, mRNA id, mRNA sequence and, if given, label and split; its split `val` is our `valid`.

    Args:
        path: the file; `-` is stdin.

    Raises:
        InputError: the file cannot be read, or is none of these.
        TableError: no rows, a column is missing, rows of unequal length, a label other than 0 or 1, an empty sequence.
        SequenceError: a letter that is no nucleotide.
    """
    name = _name(path)
    with _input(path) as (stream, head):
        raw = _read_raw(stream, head, name, PAIRS, layouts=True)
    if raw.table.empty:
        raise TableError("no rows; expected at least one pair", path=name, line=raw.header)
    return _examples(raw, PAIRS)


def _examples(raw: _Raw, kind: tuple[Column, ...]) -> pd.DataFrame:
    """The columns of `kind` as they should be, then all others as given."""
    columns: dict[str, Any] = {}
    n_codes = 0
    for column in kind:
        if column.name.endswith("_seq"):
            columns[column.name], n = _sequences(raw, column.name)
            n_codes += n
        elif column.kind == "label" and column.name in raw.table:
            columns[column.name] = _labels(raw, column.name)
        elif column.name in raw.table:
            columns[column.name] = raw.text(column.name)
        elif column.name.endswith("_id"):
            columns[column.name] = pd.Series("", index=raw.table.index, dtype="str")
    extra = [column for column in raw.table.columns if column not in columns]
    table = pd.concat([pd.DataFrame(columns), raw.table[extra]], axis=1)
    checks.check(table, kind, path=raw.name)
    _report(n_codes, raw.name)
    return table


@dataclass
class _Raw:
    """A table as it stands in a file: `table` has text columns, or those of Parquet; `first` is the line of row 0."""

    table: pd.DataFrame
    name: str
    first: int | None = None

    @property
    def header(self) -> int | None:
        return None if self.first is None else 1

    def place(self, row: int) -> dict[str, Any]:
        if self.first is None:
            return {"path": self.name, "record": f"row {row + 1}"}
        return {"path": self.name, "line": self.first + row}

    def text(self, column: str) -> pd.Series:
        values = self.table[column]
        if isinstance(values.dtype, pd.CategoricalDtype):
            values = values.astype(values.dtype.categories.dtype)
        if not (isinstance(values.dtype, pd.StringDtype) or pd.api.types.is_integer_dtype(values)):
            raise TableError(f"column {column} is of type {values.dtype}; expected text", path=self.name)
        values = values.astype("str").fillna("")
        if self.first is None and (bad := values.str.contains(r"[\t\r\n]").to_numpy()).any():
            row = int(bad.argmax())
            problem = f"{_show(values.iloc[row])} in column {column}; expected neither tabs nor line ends"
            raise TableError(problem, **self.place(row))
        return values

    def numbers(self, column: str) -> pd.Series:
        values = self.table[column]
        if not (isinstance(values.dtype, pd.StringDtype) or pd.api.types.is_numeric_dtype(values)):
            raise TableError(f"column {column} is of type {values.dtype}; expected numbers", path=self.name)
        return pd.to_numeric(values, errors="coerce")


def _sequences(raw: _Raw, column: str) -> tuple[pd.Series, int]:
    """A column as normalised RNA and the number of codes that became N: one translation of all rows at once."""
    values = raw.text(column).tolist()
    joined = "".join(values)
    try:
        if not all(values):
            raise TableError(f"empty {column}; expected nucleotides", **raw.place(values.index("")))
        joined, n_codes = normalise(joined)
    except SequenceError:
        for row, value in enumerate(values):
            place = raw.place(row)
            place["record"] = ", ".join(filter(None, (place.get("record"), column)))
            normalise(value, **place)
        raise
    ends = np.cumsum([len(value) for value in values]).tolist()
    starts = [0, *ends[:-1]]
    normal = [joined[start:end] for start, end in zip(starts, ends, strict=True)]
    return pd.Series(normal, index=raw.table.index, dtype="str"), n_codes


def _labels(raw: _Raw, column: str) -> pd.Series:
    values = raw.table[column]
    labels = values.map(_LABELS) if isinstance(values.dtype, pd.StringDtype) else raw.numbers(column)
    bad = ~labels.isin([0, 1]).to_numpy()
    if bad.any():
        row = int(bad.argmax())
        raise TableError(f"{_show(values.iloc[row])} in column {column}; expected 0 or 1", **raw.place(row))
    return labels.astype("int8")


def _read_raw(
    stream: BinaryIO,
    head: bytes,
    name: str,
    columns: tuple[Column, ...],
    *,
    layouts: bool = False,
    synonyms: Mapping[str, str] = MappingProxyType({}),
) -> _Raw:
    """The table of a file, with the columns it must have, also under other names (`synonyms`).

    With `layouts` in any of those of `read_pairs`.
    """
    if not head:
        raise InputError("the file is empty; expected a table", path=name)
    if head.startswith(b"PAR1"):
        table = _parquet(stream.read(), name)
        table.columns = pd.Index(_known(list(table.columns), synonyms, columns, name, None))
        return _Raw(table, name)
    if kind := _other_type(head):
        raise InputError(f"the file is {kind}; expected a table (TSV, CSV or Parquet)", path=name)
    tabs, rows = _rows(stream.read(), name)
    header, body = rows[0], rows[1:]
    first = 2
    if layouts and tabs:
        header, body, first = _layout(header, body, name)
    header = _known(header, synonyms, columns, name, 1)
    for row, fields in enumerate(body):
        if len(fields) != len(header):
            found = f"{len(fields)} fields" if any(fields) else "blank line"
            raise TableError(f"{found}; expected {len(header)} fields as in line 1", path=name, line=first + row)
    texts = zip(*body, strict=True) if body else [()] * len(header)
    series = {column: pd.Series(text, dtype="str") for column, text in zip(header, texts, strict=True)}
    return _Raw(pd.DataFrame(series), name, first)


def _known(
    given: list[str], synonyms: Mapping[str, str], columns: tuple[Column, ...], name: str, line: int | None
) -> list[str]:
    """The header, unique and with all it must have; synonyms give way to the names that they stand for."""
    header = [column if (ours := synonyms.get(column, column)) in given else ours for column in given]
    missing = [column.name for column in columns if column.required and column.name not in header]
    if missing:
        found = _show(", ".join(given[:100]), 120)
        raise TableError(f"no column {', '.join(missing)}; found {found}", path=name, line=line)
    if len(set(header)) < len(header):
        twice = next(column for column in header if header.count(column) > 1)
        raise TableError(f"column {_show(twice)} comes twice; expected unique names", path=name, line=line)
    return header


def _rows(data: bytes, name: str) -> tuple[bool, list[list[str]]]:
    """Whether tabs separate the fields, and the fields of each line; blank lines at the end do not count."""
    try:
        text = data.decode("utf-8-sig")  # spreadsheets put a byte-order mark before the first column's name
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError("not UTF-8 text; expected a table", path=name, line=line) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise InputError("a NUL byte; expected a table in text", path=name, line=line)
    lines = text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n").split("\n")
    if "\t" in lines[0] or "," not in lines[0]:
        return True, [line.split("\t") for line in lines]
    reader = csv.reader(lines, strict=True)
    rows: list[list[str]] = []
    try:
        for row in reader:
            rows.append(row)
            if reader.line_num != len(rows):
                raise TableError("a line end within quotes; expected one line a row", path=name, line=len(rows))
    except csv.Error as error:
        raise TableError(f"not CSV: {_one_line(str(error))}", path=name, line=len(rows) + 1) from None
    return False, rows


def _layout(header: list[str], body: list[list[str]], name: str) -> tuple[list[str], list[list[str]], int]:
    """Column names, rows and line of the first row of a TSV in any of the layouts of `read_pairs`."""

    def has_sequences(row: list[str], *columns: int) -> bool:
        return len(row) >= 4 and all(_NUCLEOTIDES.fullmatch(row[column]) for column in columns)

    if {"mirna_seq", "target_seq"} <= set(header):
        return header, body, 2
    four = len(header) == 4 and has_sequences(header, 2, 3)
    if four and not all(has_sequences(row, 1) for row in [header, *body]):  # CAT and GCA are genes, too
        log.info("%s: read in DMISO's layout", name)
        return list(_DMISO.values()), [header, *body], 1
    if header[:4] == list(_DMISO):
        return [_DMISO.get(column, column) for column in header], body, 2
    shaped = len(header) >= 4 and body and has_sequences(body[0], 1, 3) and not has_sequences(header, 1, 3)
    if header[:4] == _TARGETNET or shaped:
        log.info("%s: read in TargetNet's layout", name)
        ours = ["mirna_id", "mirna_seq", "gene_id", "target_seq", "label", "split"][: len(header)]
        body = [[*row[:5], "valid", *row[6:]] if row[5:6] == ["val"] else row for row in body]
        return [*ours, *header[6:]], body, 2
    return header, body, 2


def _parquet(data: bytes, name: str) -> pd.DataFrame:
    try:
        table = pq.read_table(pa.BufferReader(data))
        table.validate(full=True)
        return table.to_pandas(ignore_metadata=True)
    except (pa.ArrowException, OSError, ValueError, TypeError, NotImplementedError, MemoryError) as error:
        raise InputError(f"damaged Parquet file: {_one_line(str(error))}", path=name) from None


# ----------------------------------------------------------------------------------------------------------- hairpins

_SYNONYMS = {"id": "hairpin_id", "name": "hairpin_id", "sequence": "hairpin_seq"}


def read_hairpins(path: str | Path) -> pd.DataFrame:
    """All hairpins of a file; see `iter_hairpins`."""
    return pd.concat(iter_hairpins(path), ignore_index=True)


def iter_hairpins(path: str | Path) -> Iterator[pd.DataFrame]:
    """The hairpins of a file: the columns of `tables.HAIRPINS`, then all others as given; `structure` is empty where
    the file gives none.

    - FASTA; also with the structure in dot-bracket after the sequence, as RNAfold writes it (an energy behind it does
      not count), with or without headers: those without are named hairpin1, hairpin2, ... Comes in blocks, in the
      memory of a block and of all ids.
    - A table (TSV, CSV or Parquet) with a header, at least `hairpin_seq` or `sequence`; `id` or `name` is `hairpin_id`.
      One block.

    Plain or gzip, told by its content. IUPAC codes become N, with one warning.

    Args:
        path: the file; `-` is stdin.

    Raises:
        InputError: the file cannot be read, or is none of these.
        RepeatedIdError: an id comes twice in a FASTA file.
        TableError: no rows, a column is missing, a label other than 0 or 1, a structure that is not its hairpin's.
        SequenceError: a letter that is no nucleotide.
    """
    name = _name(path)
    with _input(path) as (stream, head):
        first = _first_line(head)
        if first.startswith(">") or _NUCLEOTIDES.fullmatch(first):
            folds = _read_folds(stream, name)
            while block := list(islice(folds, _HAIRPINS_AT_ONCE)):
                lines, *columns = zip(*block, strict=True)
                table = pd.DataFrame(dict(zip(_FOLD, columns, strict=True)), dtype="str")
                _check_structures(table, [{"path": name, "line": line} for line in lines].__getitem__)
                yield table
            return
        raw = _read_raw(stream, head, name, HAIRPINS, synonyms=_SYNONYMS)
    if raw.table.empty:
        raise TableError("no rows; expected at least one hairpin", path=name, line=raw.header)
    table = _examples(raw, HAIRPINS)
    if "structure" not in table:
        table.insert(2, "structure", "")
    _check_structures(table, raw.place)
    yield table


def holds_hairpins(path: str | Path) -> bool:
    """Whether the file is one of `read_hairpins` rather than of `read_pairs`, by its first line; stdin holds pairs."""
    if str(path) == "-":
        return False
    with _input(path) as (stream, head):
        if head.startswith(b"PAR1"):
            columns = set(_parquet(stream.read(), _name(path)).columns)
        else:
            first = _first_line(head)
            if first.startswith(">") or _NUCLEOTIDES.fullmatch(first):
                return True
            columns = set(re.split("[\t,]", first))
    return "hairpin_seq" in columns or ("sequence" in columns and "mirna_seq" not in columns)


def _first_line(head: bytes) -> str:
    """The first line that is neither blank nor a comment."""
    texts = (line.strip() for line in head.splitlines() if not line.startswith(b"#"))
    return next(filter(None, texts), b"").decode("utf-8", "replace")


_FOLD = ("hairpin_id", "hairpin_seq", "structure")
_HAIRPINS_AT_ONCE = 4096


def _check_structures(table: pd.DataFrame, place: Callable[[int], dict[str, Any]]) -> None:
    for row, (hairpin, structure) in enumerate(zip(table["hairpin_seq"], table["structure"], strict=True)):
        if structure and (problem := rna.structure_problem(hairpin, structure)):
            raise TableError(problem, **place(row))


def _read_folds(stream: BinaryIO, name: str) -> Iterator[tuple[int, str, str, str]]:
    """Line, id, sequence and structure of each hairpin of FASTA, dot-bracket or RNAfold's output."""
    seen: set[str] = set()
    headers, n_codes, start, identity = False, 0, 0, ""
    sequences: list[str] = []
    structures: list[str] = []

    def complete() -> tuple[int, str, str, str]:
        if not sequences:
            raise InputError("empty sequence; expected nucleotides", path=name, line=start, record=identity)
        if identity in seen:
            problem = "this id came before; expected unique ids"
            raise RepeatedIdError(problem, path=name, line=start, record=identity)
        seen.add(identity)
        whole = start, identity, "".join(sequences), "".join(structures)
        sequences.clear()
        structures.clear()
        return whole

    for number, line in enumerate(stream, 1):
        try:
            text = line.decode().strip()
        except UnicodeDecodeError:
            raise InputError("not UTF-8 text; expected FASTA or dot-bracket", path=name, line=number) from None
        if not text or text.startswith("#"):
            continue
        is_header, is_structure = text.startswith(">"), text[0] in rna.BRACKETS
        headers = headers or is_header
        if is_header or not (headers or is_structure):
            if start:
                yield complete()
            start, identity = number, next(iter(text[1:].split()), "") if is_header else f"hairpin{len(seen) + 1}"
            if not identity:
                raise InputError("no id in the header; expected one right after >", path=name, line=number)
            if not identity.isprintable():
                problem = f"control character in the id {_show(identity)}; expected text"
                raise InputError(problem, path=name, line=number)
        if is_structure:
            structures.append(text.split()[0])
        elif not is_header:
            sequence, n = normalise(text, path=name, line=number, record=identity)
            sequences.append(sequence)
            n_codes += n
    yield complete()
    _report(n_codes, name)


# -------------------------------------------------------------------------------------------------------------- sites


def read_sites(path: str | Path) -> pd.DataFrame:
    """A table of sites as `write_tsv` or `write_parquet` left it: columns of `tables.SITES`, then others as given.

    Raises:
        InputError: the file cannot be read or is no table.
        TableError: a column is missing or a value is not of its kind; a table without rows is a table without sites.
    """
    with _input(path) as (stream, head):
        raw = _read_raw(stream, head, _name(path), SITES)
    table = raw.table
    for column in SITES:
        if column.name in table and column.kind == "text":
            table[column.name] = raw.text(column.name)
        elif column.name in table:
            raw.numbers(column.name)
    try:
        checks.check(table, SITES, path=raw.name)
    except TableError as error:
        if raw.first is None and error.line is not None:  # Parquet has rows, not lines
            error.record, error.line = f"row {error.line - 1}", None
        raise
    for column in SITES:
        if column.kind == "text" or column.name not in table:
            continue
        numbers = raw.numbers(column.name)
        if column.kind == "integer" and (bad := (numbers.abs() >= 2**53).to_numpy()).any():
            row = int(bad.argmax())
            value = _show(table[column.name].iloc[row])
            raise TableError(f"{value} in column {column.name}; expected a smaller integer", **raw.place(row))
        table[column.name] = numbers.astype("int64" if column.kind == "integer" else "float64")
    known = [column.name for column in SITES if column.name in table]
    return table[known + [column for column in table.columns if column not in known]]


def write_tsv(tables: pd.DataFrame | Iterable[pd.DataFrame], path: str | Path, columns: Sequence[str]) -> None:
    """Write the named columns of one table, or of several after each other, under one header line.

    Numbers that are not whole have 6 significant digits.

    Args:
        tables: a table or chunks of it; chunks may be empty, and there may be none.
        path: `-` is stdout; `.gz` compresses.
        columns: names and order; every table has them all.

    Raises:
        TableError: a value holds a tab or a line end.
        InputError: the file cannot be written.
    """
    with _output(path) as file, _text(file) as text:
        text.write("\t".join(columns) + "\n")
        for table in _chunks(tables):
            try:
                table.to_csv(
                    text,
                    sep="\t",
                    columns=list(columns),
                    header=False,
                    index=False,
                    lineterminator="\n",
                    float_format="%.6g",
                    quoting=csv.QUOTE_NONE,
                )
            except csv.Error:
                raise TableError("a value holds a tab or a line end; expected neither in a TSV", path=path) from None


_ARROW = {
    "text": pa.string(),
    "integer": pa.int64(),
    "label": pa.int8(),
    "number": pa.float64(),
    "score": pa.float64(),
}
_ROWS = 65_536


def write_parquet(tables: pd.DataFrame | Iterable[pd.DataFrame], path: str | Path, columns: tuple[Column, ...]) -> None:
    """Write the given columns of one table, or of several after each other, as Parquet; see `write_tsv`."""
    schema = pa.schema([(column.name, _ARROW[column.kind]) for column in columns])
    with _output(path, compress=False) as file, pq.ParquetWriter(file, schema, compression="zstd") as writer:
        waiting: list[pa.Table] = []
        n_waiting = 0
        for table in _chunks(tables):
            waiting.append(pa.Table.from_pandas(table, schema=schema, preserve_index=False).replace_schema_metadata())
            n_waiting += len(table)
            if n_waiting >= _ROWS:
                writer.write_table(pa.concat_tables(waiting))
                waiting, n_waiting = [], 0
        if n_waiting:
            writer.write_table(pa.concat_tables(waiting))


def write_table(table: pd.DataFrame, path: str | Path) -> None:
    """Write all columns of a table: Parquet where the path says so, else TSV; `-` is stdout."""
    if Path(path).suffix != ".parquet":
        write_tsv(table, path, [str(name) for name in table.columns])
        return
    with _output(path, compress=False) as file:
        table.to_parquet(file, index=False)


def write_bed(sites: pd.DataFrame | Iterable[pd.DataFrame], path: str | Path) -> None:
    """Write sites as BED6: transcript, start, end, miRNA and seed type (`mirna|8mer`), 1000 * score, strand."""
    with _output(path) as file:
        for table in _chunks(sites):
            scores = (1000 * table["score"].astype("float64")).round().astype(int)
            rows = zip(
                table["target_id"],
                table["start"],
                table["end"],
                table["mirna_id"],
                table["seed_type"],
                scores,
                table["strand"],
                strict=True,
            )
            for target, start, end, mirna, seed, score, strand in rows:
                name = f"{mirna}|{seed}" if seed else mirna
                file.write(f"{target}\t{start}\t{end}\t{name}\t{score}\t{strand}\n".encode())


_GFF3_SEQID = re.compile(r"[^a-zA-Z0-9.:^*$@!+_?|-]")
_GFF3_VALUE = re.compile(r"[\x00-\x1f\x7f%;=&,]")


def write_gff3(sites: pd.DataFrame | Iterable[pd.DataFrame], path: str | Path) -> None:
    """Write sites as GFF3 (specification 1.26): features of type miRNA_target_site (SO:0000934), 1-based and closed."""
    n = 0
    with _output(path) as file:
        file.write(b"##gff-version 3\n")
        for table in _chunks(sites):
            numbers = {name: table[name].tolist() for name in ("fp_per_kb", "q_value", "mfe") if name in table}
            rows = zip(
                table["target_id"],
                table["start"],
                table["end"],
                table["score"],
                table["strand"],
                table["mirna_id"],
                table["seed_type"],
                strict=True,
            )
            for row, (target, start, end, score, strand, mirna, seed) in enumerate(rows):
                n += 1
                name = _GFF3_VALUE.sub(_percent, mirna)
                attributes = [f"ID=site{n}", f"Name={name}", f"mirna={name}"]
                attributes += [f"seed_type={_GFF3_VALUE.sub(_percent, seed)}"] if seed else []
                attributes += [f"{name}={values[row]:.6g}" for name, values in numbers.items()]
                fields = [
                    _GFF3_SEQID.sub(_percent, target),
                    "mirscope",
                    "miRNA_target_site",
                    str(start + 1),
                    str(end),
                    f"{score:.6g}",
                    strand,
                    ".",
                    ";".join(attributes),
                ]
                file.write(("\t".join(fields) + "\n").encode())


def write_loci_bed(loci: pd.DataFrame, path: str | Path) -> None:
    """Write loci as BED6+5: chrom, start, end, id, 1000 * score, strand; fp_per_mb, mfe, mature 5p, mature 3p, known.

    A mature miRNA is start-end on the sequence, 0-based and half-open as all of BED; a dot is nothing. The first line
    names the columns.
    """
    columns = "chrom start end name score strand fp_per_mb mfe mature_5p mature_3p known"
    with _output(path) as file:
        file.write(("#" + columns.replace(" ", "\t") + "\n").encode())
        for row in loci.to_dict("records"):
            arms = [(row[f"mature_{arm}_start"], row[f"mature_{arm}_end"]) for arm in ("5p", "3p")]
            matures = [f"{start}-{end}" if start >= 0 else "." for start, end in arms]
            rate = f"{row['fp_per_mb']:.4g}" if "fp_per_mb" in row else "."
            numbers = row["start"], row["end"], row["id"], round(1000 * row["score"]), row["strand"]
            rest = rate, f"{row['mfe']:.2f}", *matures, row["known"] or "."
            file.write(("\t".join(map(str, (row["chrom"], *numbers, *rest))) + "\n").encode())


def write_loci_gff3(loci: pd.DataFrame, path: str | Path) -> None:
    """Write loci as GFF3 (specification 1.26) with the features of miRBase: miRNA_primary_transcript (here the
    hairpin) and miRNA, which derives from it; 1-based and closed.
    """
    with _output(path) as file:
        file.write(b"##gff-version 3\n")
        for row in loci.to_dict("records"):
            known = ",".join(_GFF3_VALUE.sub(_percent, name) for name in row["known"].split(";") if name)
            notes = [f"mfe={row['mfe']:.2f}"] + ([f"known={known}"] if known else [])
            notes += [f"fp_per_mb={row['fp_per_mb']:.4g}"] if "fp_per_mb" in row else []
            features = [("miRNA_primary_transcript", row["id"], row["start"], row["end"], f"{row['score']:.6g}", notes)]
            for arm in ("5p", "3p"):
                start, end = row[f"mature_{arm}_start"], row[f"mature_{arm}_end"]
                if start >= 0:
                    features.append(("miRNA", f"{row['id']}-{arm}", start, end, ".", [f"Derives_from={row['id']}"]))
            for kind, name, start, end, score, more in features:
                attributes = ";".join([f"ID={name}", f"Name={name}", *more])
                place = str(start + 1), str(end), score, row["strand"], "."
                fields = _GFF3_SEQID.sub(_percent, row["chrom"]), "mirscope", kind, *place, attributes
                file.write(("\t".join(fields) + "\n").encode())


def _percent(found: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in found[0].encode())


def write_sites_fasta(
    sites: pd.DataFrame | Iterable[pd.DataFrame],
    path: str | Path,
    mirnas: Mapping[str, str],
    transcripts: Iterable[Record],
    mirna_length: int,
    window: int,
    stride: int,
) -> None:
    """Write sites as miTAR does: a header `>mirna|gene|n_sites|window_index|score`, then miRNA and window joined.

    The miRNA stands 3'->5', filled with N to `mirna_length`; the site follows 5'->3', filled to `window`.
    `n_sites` counts the sites of that miRNA and transcript; `window_index` is `start / stride`, rounded up (the
    last window of a transcript need not lie on the grid).

    Args:
        sites: in the order of `transcripts`; the sites of a miRNA in a transcript lie in one chunk.
        path: `-` is stdout; `.gz` compresses.
        mirnas: sequence of each `mirna_id`.
        transcripts: read once, along with the sites.
        mirna_length: nt.
        window: nt.
        stride: nt between windows.

    Raises:
        TableError: a site's miRNA or transcript is not among the sequences, or its transcript is out of order.
    """
    remaining = iter(transcripts)
    current: Record | None = None
    with _output(path) as file:
        for table in _chunks(sites):
            for target, rows in table.groupby("target_id", sort=False):
                target = str(target)
                while current is None or current.id != target:
                    current = next(remaining, None)
                    if current is None:
                        problem = f"no transcript {_show(target)} after the one before; expected the order of the sites"
                        raise TableError(problem, path=path)
                counts = rows["mirna_id"].value_counts()
                columns = (rows["mirna_id"], rows["score"], rows["start"], rows["end"])
                for mirna, score, start, end in zip(*columns, strict=True):
                    if mirna not in mirnas:
                        raise TableError(f"no sequence of miRNA {_show(mirna)}", path=path)
                    header = f">{mirna}|{target}|{counts[mirna]}|{-(-start // stride)}|{score:.6g}"
                    strand = mirnas[mirna][::-1].ljust(mirna_length, "N")
                    file.write(f"{header}\n{strand}{current.sequence[start:end].ljust(window, 'N')}\n".encode())


# ------------------------------------------------------------------------------------------------------------ isomiRs

_MIRGFF3 = {"UID": "uid", "Name": "mirna_id", "Parent": "hairpin_id", "Variant": "variant", "Cigar": "cigar"}
_ONTOLOGY = {"mirbase": "doi:10.25504/fairsharing.hmgte8", "mirgenedb": "http://mirgenedb.org"}


def write_mirgff3(
    isomirs: pd.DataFrame, path: str | Path, *, sample: str = "reads", database: str = "miRBase", command: str = ""
) -> None:
    """Write isomiRs as mirGFF3 1.2 (github.com/miRTop/mirGFF3), 1-based and closed, nucleotides as DNA.

    Where no hairpin is known the miRNA stands in its place, as sequence and as `Parent`. DMISO's classes are the
    attribute `classes`.

    Args:
        isomirs: columns of `tables.ISOMIRS`.
        path: `-` is stdout; `.gz` compresses.
        sample: name of the sequenced specimen.
        database: of the miRNAs, with its release: miRBase22, MirGeneDB3.0.
        command: that made the table.
    """
    ontology = next((link for word, link in _ONTOLOGY.items() if word in database.lower()), "Custom")
    header = ["## mirGFF3. VERSION 1.2", f"##source-ontology: {database} {ontology}", "## TOOLS: mirscope"]
    header += [f"## CMD: {_one_line(command)}"] * bool(command)
    header += [f"## COLDATA: {_GFF3_VALUE.sub(_percent, sample)}"]
    with _output(path) as file:
        file.write("".join(f"{line}\n" for line in header).encode())
        for row in isomirs.to_dict("records"):
            mirna = _GFF3_VALUE.sub(_percent, row["mirna_id"])
            parent = _GFF3_VALUE.sub(_percent, row["hairpin_id"]) or mirna
            kind = "ref_miRNA" if row["variant"] == "NA" else "isomiR"
            attributes = [
                f"Read={row['sequence'].replace('U', 'T')}",
                f"UID={row['uid']}",
                f"Name={mirna}",
                f"Parent={parent}",
                f"Variant={row['variant']}",
                f"Cigar={row['cigar']}",
                f"Expression={row['n_reads']}",
                f"Filter={row['filter']}",
                f"Hits={row['n_hits']}",
            ]
            attributes += [f"classes={row['classes'].replace(';', ',')}"] * bool(row["classes"])
            seqid = _GFF3_SEQID.sub(_percent, row["hairpin_id"] or row["mirna_id"])
            fields = seqid, database, kind, str(row["start"] + 1), str(row["end"]), ".", "+", ".", "; ".join(attributes)
            file.write(("\t".join(fields) + "\n").encode())


def read_mirgff3(path: str | Path) -> pd.DataFrame:
    """The isomiRs of a mirGFF3 file, in its order: columns of `tables.ISOMIRS`; reads are the sum over specimens.

    `classes` and `cigar` are empty where the file does not give them, as `hairpin_id` where the parent is the miRNA
    itself. A sequence that is not given (`Read` may be the name of one) is that of the UID. Hairpins listed beside the
    isomiRs (`pre_miRNA`) do not count.

    Raises:
        InputError: the file cannot be read.
        TableError: not mirGFF3, or a line lacks a field or holds what it should not.
        SequenceError: a letter that is no nucleotide.
    """
    name, rows, versioned = _name(path), [], False
    for number, line in iter_lines(path):
        versioned |= line.startswith("#") and "VERSION" in line
        if not line.strip() or line.startswith("#"):
            continue
        if not versioned:
            raise TableError("no line '## mirGFF3. VERSION' before it; expected mirGFF3", path=name, line=number)
        if "\tpre_miRNA\t" not in line:
            rows.append(_mirgff3_row(line, name, number))
    table = pd.DataFrame(rows, columns=[column.name for column in ISOMIRS])
    if not versioned:
        raise TableError("no line '## mirGFF3. VERSION'; expected mirGFF3", path=name)
    checks.check(table, ISOMIRS, path=name)
    return table


_NAMED = tuple(column for column in ISOMIRS if column.name in ("sequence", "mirna_id", "variant"))
"""Columns without which a table is none of isomiRs."""


def read_isomirs(path: str | Path) -> pd.DataFrame:
    """The isomiRs of a mirGFF3 file or of a table, told by content: columns sequence, uid, mirna_id, variant, filter of
    `tables.ISOMIRS`, and what else the file has.

    A table has sequence (or mirna_seq: interactions of chimeras), mirna_id, variant; without a filter all of it passed.

    Raises:
        InputError: the file cannot be read, or is neither.
        TableError: a column or attribute is missing, or a value is not of its kind.
        SequenceError: a letter that is no nucleotide.
    """
    name = _name(path)
    with _input(path) as (stream, head):
        if _is_mirgff3(head):
            return read_mirgff3(path)
        raw = _read_raw(stream, head, name, _NAMED, synonyms={"mirna_seq": "sequence"})
    if raw.table.empty:
        raise TableError("no rows; expected at least one isomiR", path=name, line=raw.header)
    sequences, n_codes = _sequences(raw, "sequence")
    table = raw.table.assign(sequence=sequences)
    for column in ("mirna_id", "variant"):
        table[column] = raw.text(column)
        if (empty := (table[column] == "").to_numpy()).any():
            place = raw.place(int(empty.argmax()))
            raise TableError(f"empty {column}; expected a text (variant of a reference: NA)", **place)
    if "uid" not in table:
        table["uid"] = [rna.uid(sequence) if "N" not in sequence else "" for sequence in sequences]
    if "filter" not in table:
        table["filter"] = "PASS"
    _report(n_codes, name)
    return table


def read_mirnas(path: str | Path, *, rejected: bool = False) -> list[Record]:
    """The miRNAs of a FASTA file, or the isomiRs of a mirGFF3 file or table, each a miRNA; told by content.

    A reference has its own name, an isomiR that and its variant: `hsa-miR-21-5p;iso_3p:+1`. Of several sequences with
    one name each has its UID behind it (`hsa-miR-21-5p;iso_add3p:1;iso-23-...`); one sequence of several miRNAs is one
    miRNA with all their names, `/` between them, and where it is the reference of one, with that name alone.

    Args:
        path: read twice: no pipe.
        rejected: also isomiRs which their file marks as rejected (`REJECT`); otherwise the log says how many there are.

    Raises:
        InputError: bad input, or no miRNA.
    """
    with _input(path) as (_, head):
        first = _first_line(head)
        sequences = first[:1] in (">", "@") or not (
            head.startswith(b"PAR1") or _is_mirgff3(head) or set("\t,") & set(first)
        )
    if sequences:
        return read_fasta(path)
    table = read_isomirs(path)
    passed = ~table["filter"].str.upper().str.startswith("REJECT")
    if n_rejected := 0 if rejected else int((~passed).sum()):
        log.info("%s: %d of %d isomiRs are rejected there and left out", _name(path), n_rejected, len(table))
        table = table[passed]
    if not len(table):
        problem = f"no isomiRs but {n_rejected} that are rejected there" if n_rejected else "no isomiRs"
        raise InputError(f"{problem}; expected miRNAs", path=_name(path))
    return _isomir_records(table)


def _is_mirgff3(head: bytes) -> bool:
    """Whether a file that is no FASTA is mirGFF3, by its lines of nine fields, or by its version where it has none."""
    first = _first_line(head)
    return first.count("\t") == 8 or (not first and b"VERSION" in head)


def _isomir_records(table: pd.DataFrame) -> list[Record]:
    labels: dict[str, dict[str, bool]] = {}  # of a sequence: its names, and whether it is the reference
    for sequence, mirna, variant in zip(table["sequence"], table["mirna_id"], table["variant"], strict=True):
        mirna, exact = mirna.partition(" ")[0], variant == "NA"
        labels.setdefault(sequence, {})[mirna if exact else f"{mirna}{OF_VARIANT}{variant}"] = exact
    names = {}
    for sequence, own in labels.items():
        exact = [name for name, is_reference in own.items() if is_reference]
        names[sequence] = OR_MIRNA.join(exact or own)
    n_of, uids = Counter(names.values()), dict(zip(table["sequence"], table["uid"], strict=True))
    return [
        Record(name if n_of[name] == 1 else f"{name}{OF_VARIANT}{uids[sequence] or sequence}", sequence)
        for sequence, name in names.items()
    ]


OF_VARIANT, OR_MIRNA = ";", "/"
"""What stands in an isomiR's name before its variant, and between the names of several references."""


def references_of(name: str) -> list[str]:
    """The names of the reference miRNAs that the name of an isomiR (`read_mirnas`) gives; none: it gives no variant."""
    parts = (part.partition(OF_VARIANT) for part in name.split(OR_MIRNA))
    return [mirna for mirna, variant, _ in parts if variant]


def write_hyb(chimeras: pd.DataFrame | Iterable[pd.DataFrame], path: str | Path) -> None:
    """Write chimeras in the format of Hyb (Travis et al. 2014; as hybkit reads it): 16 columns, no header, DNA, 1-based
    and closed, the part first that the read begins with. The score of a part is not given.

    Args:
        chimeras: a table or chunks of it, columns of `tables.CHIMERAS`, and `mfe`, kcal/mol.
        path: `-` is stdout; `.gz` compresses.
    """
    rows: Iterable[Any] = (row for table in _chunks(chimeras) for row in table.itertuples(index=False))
    with _output(path) as file:
        for number, row in enumerate(rows, 1):
            on_mirna = row.reference_start + 1, row.reference_end
            mirna = row.mirna_id, row.mirna_start + 1, row.mirna_end, *on_mirna, "."
            target = row.target_id, row.target_start + 1, row.target_end, row.start + 1, row.end, "."
            parts = [("microRNA", mirna), ("mRNA", target)][:: 1 if row.mirna_first else -1]
            flags = f"count_total={row.n_reads};seg1_type={parts[0][0]};seg2_type={parts[1][0]}"
            name = f"{number}_{row.n_reads}"
            fields = name, row.read_seq.replace("U", "T"), f"{row.mfe:.2f}", *parts[0][1], *parts[1][1], flags
            file.write(("\t".join(map(str, fields)) + "\n").encode())


def _mirgff3_row(line: str, name: str, number: int) -> dict[str, Any]:
    fields = line.split("\t")
    if len(fields) != 9:
        raise TableError(f"{len(fields)} fields; expected 9", path=name, line=number)
    pairs = (re.split("[= ]", item.strip(), maxsplit=1) for item in fields[8].split(";") if item.strip())
    attributes = {pair[0]: unquote(pair[-1].strip()) for pair in pairs}
    if fields[2] == "ref_miRNA":
        attributes.setdefault("Variant", "NA")
    missing = [key for key in (*_MIRGFF3, "Expression") if key not in attributes and key != "Cigar"]
    if missing:
        raise TableError(f"no attribute {', '.join(missing)}", path=name, line=number)
    row: dict[str, Any] = {ours: attributes.get(theirs, "") for theirs, ours in _MIRGFF3.items()}
    try:
        row["start"], row["end"] = int(fields[3]) - 1, int(fields[4])
        row["n_reads"] = sum(int(float(n)) for n in attributes["Expression"].split(",") if n)
        row["n_hits"] = int(attributes.get("Hits", "1"))
    except ValueError as error:
        raise TableError(f"{error}; expected whole numbers", path=name, line=number) from None
    letters = attributes.get("Read", "")
    try:
        given = _NUCLEOTIDES.fullmatch(letters)
        row["sequence"] = normalise(letters, path=name, line=number)[0] if given else rna.sequence_of(row["uid"])
    except ValueError as error:
        raise TableError(str(error), path=name, line=number) from None
    row["hairpin_id"] = "" if row["hairpin_id"] == row["mirna_id"] else row["hairpin_id"]
    row["classes"] = attributes.get("classes", "").replace(",", ";")
    row["filter"] = attributes.get("Filter", "PASS")
    return row


# -------------------------------------------------------------------------------------------------------------- Keras


@dataclass(frozen=True)
class KerasModel:
    """What a Keras HDF5 file holds: its configuration (empty: it has none) and each layer's weights, in file order."""

    config: dict[str, Any]
    weights: dict[str, dict[str, NDArray[Any]]]


def read_keras_h5(path: str | Path) -> KerasModel:
    """The weights of a Keras HDF5 file (whole model or weights alone) as plain arrays; nothing in it is executed.

    Layers keep their names and order; those without weights are left out. A weight goes by the last part of its name
    (`kernel`), within a bidirectional layer with its direction (`forward/kernel`).

    Raises:
        InputError: the file cannot be read.
        UsageError: h5py is not installed.
        WeightsError: not a Keras HDF5 file, or damaged.
    """
    try:
        import h5py
    except ImportError:
        raise UsageError("reading Keras files needs h5py: pip install 'mirscope[keras]'") from None
    name = _name(path)
    with _input(path) as (stream, _):
        data = stream.read()
    if not data.startswith(b"\x89HDF\r\n\x1a\n"):
        raise WeightsError(f"not an HDF5 file; it starts with {data[:8]!r}", path=name)
    if _endless_heap(data):
        raise WeightsError("damaged Keras file: an empty entry in an HDF5 heap", path=name)
    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            config = json.loads(file.attrs.get("model_config", "{}"))
            root = file.get("model_weights", file)
            weights = {}
            for layer in _h5_names(root, "layer_names"):
                group = root[layer]
                found = {
                    _weight_key(weight): _h5_array(group[weight], len(data))
                    for weight in _h5_names(group, "weight_names")
                }
                if found:
                    weights[layer] = found
    except Exception as error:  # a damaged file can make h5py raise anything
        raise WeightsError(f"damaged or no Keras file: {_one_line(str(error))}", path=name) from None
    if not isinstance(config, dict) or not weights:
        raise WeightsError("no layers with weights; expected a Keras model", path=name)
    return KerasModel(config, weights)


def _endless_heap(data: bytes) -> bool:
    """Whether a global heap has an entry of no length, at which HDF5 2.0 (H5HG__cache_heap_deserialize) never ends."""
    start = data.find(b"GCOL\1")
    while start >= 0:
        end = min(start + int.from_bytes(data[start + 8 : start + 16], "little"), len(data))
        at = start + 16
        while at + 16 <= end:
            index, size = data[at : at + 2], int.from_bytes(data[at + 8 : at + 16], "little")
            length = (size if index == b"\0\0" else 16 + -(-size // 8) * 8) % 2**64
            if not length:
                return True
            at += length
        start = data.find(b"GCOL\1", start + 1)
    return False


def _h5_names(group: Any, attribute: str) -> list[str]:
    """The names in an attribute; Keras splits long lists into `attribute0`, `attribute1`, ..."""
    numbered = takewhile(lambda part: part in group.attrs, (f"{attribute}{i}" for i in count()))
    parts = [attribute] if attribute in group.attrs else list(numbered)
    if not parts:
        raise ValueError(f"no attribute {attribute}")
    return [name.decode() if isinstance(name, bytes) else str(name) for part in parts for name in group.attrs[part]]


def _weight_key(name: str) -> str:
    """`kernel` of `dense_1/kernel:0`, `forward/kernel` of `bidirectional_1/forward_lstm_1/kernel:0`."""
    *parents, last = name.split(":")[0].split("/")
    direction = [part.split("_")[0] for part in parents[1:] if part.startswith(("forward_", "backward_"))]
    return "/".join([*direction[:1], last])


def _h5_array(dataset: Any, size: int) -> NDArray[Any]:
    if dataset.dtype.kind not in "fiu" or dataset.nbytes > 100 * size:
        raise ValueError(f"{dataset.name} is no array of numbers of this file")
    return np.asarray(dataset[()])


# ------------------------------------------------------------------------------------------------------------- motifs


@dataclass(frozen=True)
class Motif:
    """A motif: the probabilities of A, C, G, U at each of its positions, (width, 4)."""

    id: str
    name: str
    """Another name for the reader; may be empty."""
    matrix: NDArray[np.float64]
    n_sites: int = 20
    """Sequences it was made of; 20 where it is not known, as the MEME suite takes it."""


@dataclass(frozen=True)
class MotifSet:
    """The motifs of a file, and whether they may lie on either strand, as those of DNA do."""

    motifs: tuple[Motif, ...]
    both_strands: bool = False


_MEME_WIDTH = re.compile(r"\bw=\s*(\d+)")
_MEME_SITES = re.compile(r"\bnsites=\s*(\d+)")
_MEME_LETTERS = {"ACGU": False, "ACGT": True, "RNA": False, "DNA": True}
_UNEVEN = 0.02  # how far from 1 a row of rounded probabilities may add up


def read_meme(path: str | Path) -> MotifSet:
    """The motifs of a file in MEME's format (minimal, or what the programs of the MEME suite write), in its order.

    Raises:
        InputError: the file cannot be read, or holds no motif.
        TableError: not MEME's format, another alphabet, or a row that is no four probabilities.
        RepeatedIdError: an id comes twice.
    """
    name, found, lines = _name(path), list[Motif](), iter_lines(path)
    dna, strands, ids, head = False, True, set[str](), None
    for number, line in lines:
        words = line.split()
        if line.startswith("ALPHABET"):
            letters = line.removeprefix("ALPHABET").strip(" =").split()[:1]
            kind = letters[0].strip('"') if letters else ""
            if kind not in _MEME_LETTERS:
                raise TableError(f"alphabet {_show(kind)}; expected ACGU or ACGT", path=name, line=number)
            dna = _MEME_LETTERS[kind]
        elif line.startswith("strands:"):
            strands = "-" in words
        elif words[:1] == ["MOTIF"] and len(words) > 1:
            if words[1] in ids:
                raise RepeatedIdError(f"the motif {_show(words[1])} comes twice", path=name, line=number)
            ids.add(words[1])
            head = words[1:]
        elif line.startswith("letter-probability matrix") and head is not None:
            width = _MEME_WIDTH.search(line)
            rows = _meme_rows(lines, int(width[1]) if width else None, name, number, head[0])
            sites = _MEME_SITES.search(line)
            label = head[1] if len(head) > 1 else ""
            found.append(Motif(head[0], label, rows, int(sites[1]) if sites else 20))
            head = None
    if not found:
        raise InputError("no motif; expected MEME's format, with lines MOTIF and letter-probability matrix", path=name)
    return MotifSet(tuple(found), dna and strands)


def _meme_rows(
    lines: Iterator[tuple[int, str]], width: int | None, name: str, number: int, motif: str
) -> NDArray[np.float64]:
    """The rows of a matrix, which `lines` stands before; without a width, up to a line without numbers."""
    rows: list[list[float]] = []
    for number, line in lines:
        if width is None and not line.strip():
            break
        try:
            row = [float(word) for word in line.split()]
        except ValueError:
            row = []
        if len(row) != 4 or not all(0 <= value <= 1 for value in row) or abs(sum(row) - 1) > _UNEVEN:
            raise TableError(f"{_show(line)}; expected four probabilities", path=name, line=number, record=motif)
        rows.append(row)
        if len(rows) == width:
            break
    if not rows or width not in (None, len(rows)):
        problem = f"a matrix of {len(rows)} rows; expected {width or 'some'}"
        raise TableError(problem, path=name, line=number, record=motif)
    matrix = np.array(rows)
    return matrix / matrix.sum(1, keepdims=True)


def write_meme(motifs: Iterable[Motif], path: str | Path) -> None:
    """Write motifs of RNA in MEME's minimal format, which all programs of the MEME suite read (six decimals)."""
    with _output(path) as file, _text(file) as text:
        text.write("MEME version 4\n\nALPHABET= ACGU\n\nBackground letter frequencies\nA 0.25 C 0.25 G 0.25 U 0.25\n")
        for motif in motifs:
            text.write(f"\nMOTIF {motif.id} {motif.name}".rstrip() + "\n")
            text.write(f"letter-probability matrix: alength= 4 w= {len(motif.matrix)} nsites= {motif.n_sites} E= 0\n")
            text.writelines(" ".join(f"{value:.6f}" for value in row) + "\n" for row in motif.matrix)


# -------------------------------------------------------------------------------------------------------------- files


def expect_folder(path: Path) -> None:
    """Raise `InputError` where a folder is to be written to and a file has its name."""
    if path.exists() and not path.is_dir():
        raise InputError("is a file; expected a folder to write to", path=path)


@contextlib.contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """A temporary path beside `path`, which takes its place when the block ends and is removed when the block fails.

    What is not a regular file (a pipe, `/dev/null`) is given as it is.

    Raises:
        InputError: the file cannot be written.
    """
    final = Path(os.path.realpath(path))
    temporary = final.with_name(f".{secrets.token_hex(4)}.{final.name}")
    try:
        if final.is_dir():
            raise InputError("is a directory; expected the name of a file to write", path=path)
        if final.exists() and not final.is_file():
            yield final
        else:
            yield temporary
            temporary.replace(final)
    except OSError as error:
        if error.filename is not None and str(error.filename) not in (str(temporary), str(final)):
            raise
        raise InputError(f"cannot write: {error.strerror or error}", path=path) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def iter_lines(path: str | Path) -> Iterator[tuple[int, str]]:
    """The lines of a text file without their ends, numbered from 1; `-` is stdin.

    Raises:
        InputError: the file cannot be read, or is no UTF-8 text.
    """
    name = _name(path)
    with _input(path) as (stream, head):
        if kind := _other_type(head):
            raise InputError(f"the file is {kind}; expected text", path=name)
        for number, line in enumerate(stream, 1):
            try:
                yield number, line.decode().rstrip("\r\n")
            except UnicodeDecodeError:
                raise InputError("not UTF-8 text", path=name, line=number) from None


@contextlib.contextmanager
def _output(path: str | Path, *, compress: bool = True, level: int = 6) -> Iterator[BinaryIO]:
    if str(path) == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    with atomic(path) as temporary, temporary.open("wb") as file:
        if compress and str(path).endswith(".gz"):
            with gzip.GzipFile(filename="", mode="wb", compresslevel=level, fileobj=file, mtime=0) as packed:
                yield cast(BinaryIO, packed)
        else:
            yield file


@contextlib.contextmanager
def _text(file: BinaryIO) -> Iterator[io.TextIOWrapper]:
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    try:
        yield text
    finally:
        text.detach()  # flushes, and leaves the file open


def _chunks(tables: pd.DataFrame | Iterable[pd.DataFrame]) -> Iterable[pd.DataFrame]:
    return [tables] if isinstance(tables, pd.DataFrame) else tables


def _name(path: str | Path) -> str:
    return "stdin" if str(path) == "-" else str(path)


_HEAD = 65_536


class _Rejoined(io.RawIOBase):
    """A stream whose start has been read already; closing it leaves the stream open."""

    def __init__(self, head: bytes, rest: BinaryIO) -> None:
        self.head, self.rest = head, rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self.head[: len(buffer)] or self.rest.read(len(buffer))
        self.head = self.head[len(data) :]
        buffer[: len(data)] = data
        return len(data)


def _peek(file: BinaryIO) -> tuple[BinaryIO, bytes]:
    head = file.read(_HEAD)
    return io.BufferedReader(_Rejoined(head, file), _HEAD), head


@contextlib.contextmanager
def _input(path: str | Path) -> Iterator[tuple[BinaryIO, bytes]]:
    """The bytes of a file, decompressed and without byte order mark, and the first of them for a look at its type.

    What goes wrong while reading, within the block too, is an `InputError`.
    """
    with contextlib.ExitStack() as stack:
        try:
            file = sys.stdin.buffer if str(path) == "-" else stack.enter_context(Path(path).open("rb"))
            stream, head = _peek(file)
            if head.startswith(b"\x1f\x8b"):
                packed = stack.enter_context(gzip.GzipFile(fileobj=stream, mode="rb"))
                stream, head = _peek(cast(BinaryIO, packed))
            if head.startswith(b"\xef\xbb\xbf"):
                stream.read(3)
                head = head[3:]
            yield stream, head
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise InputError(f"damaged gzip file: {_one_line(str(error))}", path=_name(path)) from None
        except OSError as error:
            raise InputError(f"cannot read: {error.strerror or _one_line(str(error))}", path=_name(path)) from None
        except ValueError as error:
            if "null byte" not in str(error):
                raise
            raise InputError("cannot read: a NUL in the file name", path=_one_line(str(path))) from None


_MAGIC = {
    b"\x1f\x8b": "gzip within gzip",
    b"\x89PNG": "a PNG image",
    b"\x89HDF": "an HDF5 file",
    b"PAR1": "a Parquet file",
    b"PK\x03\x04": "a zip archive",
    b"BZh": "compressed by bzip2",
    b"\xfd7zXZ": "compressed by xz",
    b"\x28\xb5\x2f\xfd": "compressed by zstd",
    b"BAM\x01": "a BAM file",
    b"%PDF": "a PDF",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
}


def _other_type(head: bytes) -> str | None:
    """What a file that is no plain text is; `None` if it may be text."""
    for magic, kind in _MAGIC.items():
        if head.startswith(magic):
            return kind
    return "binary (it holds NUL bytes)" if b"\0" in head else None


def _show(value: object, length: int = 40) -> str:
    text = str(value)
    return repr(text if len(text) <= length else text[:length] + "...")


def _one_line(text: str) -> str:
    words = " ".join(text.split())
    return "".join(c if c.isprintable() else "?" for c in words[:300]) or "unreadable"
