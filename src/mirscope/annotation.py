"""Which transcript belongs to which gene, and where it lies on the genome: GTF, GFF3, two-column maps.

Positions are 0-based, intervals half-open; those of a transcript count from its 5' end, whatever its strand.
"""

from __future__ import annotations

import logging
import re
import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple

import gtfparse
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from mirscope import io
from mirscope.errors import InputError, TableError
from mirscope.io import Record

log = logging.getLogger(__name__)

Positions = NDArray[np.int64]

_VERSIONED = re.compile(r"(ENS[A-Z]*\d{11}|[NX][MR]_\d+)\.\d+")
_GENE_HEADER = re.compile(r"(ensembl_?|entrez_?)?gene(_?(id|name|symbol))?|symbol", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class Transcript:
    """A transcript on the genome."""

    id: str
    gene_id: str
    gene_name: str
    """Empty where the annotation gives none."""
    contig: str
    strand: Literal["+", "-"]
    exons: Positions
    """First and after the last nt of each (n, 2), in the genome's order; they do not overlap."""
    coding: tuple[int, int] | None = None
    """From the first to after the last coding nt on the genome, stop codon included; `None`: none known."""

    @cached_property
    def _before(self) -> Positions:
        """Exonic nt before each exon, and all, in the genome's order (n + 1,)."""
        return np.concatenate([[0], np.cumsum(self.exons[:, 1] - self.exons[:, 0])])

    def __len__(self) -> int:
        return int(self._before[-1])

    def to_transcript(self, genome: ArrayLike) -> Positions:
        """Places on the transcript of nucleotides of the genome; -1 for those in no exon."""
        genome = np.asarray(genome, dtype=np.int64)
        exon = np.searchsorted(self.exons[:, 0], genome, side="right") - 1
        inside = (exon >= 0) & (genome < self.exons[exon, 1])
        place = self._before[exon] + genome - self.exons[exon, 0]
        return np.where(inside, place if self.strand == "+" else len(self) - 1 - place, -1)

    def to_genome(self, places: ArrayLike) -> Positions:
        """Positions on the genome of nucleotides of the transcript; -1 for those beyond its ends."""
        places = np.asarray(places, dtype=np.int64)
        inside = (places >= 0) & (places < len(self))
        along = places if self.strand == "+" else len(self) - 1 - places
        exon = np.searchsorted(self._before, along, side="right").clip(1, len(self.exons)) - 1
        return np.where(inside, self.exons[exon, 0] + along - self._before[exon], -1)

    @property
    def utr3(self) -> tuple[int, int] | None:
        """The 3'UTR on the transcript, which may be empty; `None` where no coding part is known."""
        if self.coding is None:
            return None
        last = self.coding[1] - 1 if self.strand == "+" else self.coding[0]
        return int(self.to_transcript(last)) + 1, len(self)

    def offset(self, length: int) -> int | None:
        """Where a sequence begins on it: 0 if it is as long, or its 3'UTR's start if it is as long as that."""
        if length == len(self):
            return 0
        start, end = self.utr3 or (0, 0)
        return start if 0 < end - start == length else None


@dataclass(frozen=True)
class Annotation:
    """The transcripts of a GTF or GFF3 file, by the id it gives them."""

    transcripts: dict[str, Transcript]
    path: str = ""
    _by_plain_id: dict[str, Transcript] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        plain = {plain_id(name): transcript for name, transcript in self.transcripts.items()}
        object.__setattr__(self, "_by_plain_id", plain)

    def find(self, name: str) -> Transcript | None:
        """The transcript of an id, whatever its version and whatever follows a bar; `None` where there is none."""
        return self.transcripts.get(name) or self._by_plain_id.get(short_id(name))

    @cached_property
    def _on_contig(self) -> dict[str, tuple[list[Transcript], Positions, Positions]]:
        """Of each contig: transcripts by their start, the starts, and how far they and those before reach."""
        found = defaultdict(list)
        for transcript in self.transcripts.values():
            found[_plain_contig(transcript.contig)].append(transcript)
        indexed = {}
        for contig, transcripts in found.items():
            transcripts.sort(key=lambda transcript: transcript.exons[0, 0])
            starts = np.array([transcript.exons[0, 0] for transcript in transcripts])
            reach = np.maximum.accumulate([transcript.exons[-1, 1] for transcript in transcripts])
            indexed[contig] = transcripts, starts, reach
        return indexed

    def has_contig(self, contig: str) -> bool:
        """Whether any transcript lies on it; `chr1` and `1` are the same."""
        return _plain_contig(contig) in self._on_contig

    def overlapping(self, contig: str, start: int, end: int) -> list[Transcript]:
        """Transcripts, introns included, that share a nucleotide with an interval of the genome; by their start."""
        if not self.has_contig(contig):
            return []
        transcripts, starts, reach = self._on_contig[_plain_contig(contig)]
        near = transcripts[np.searchsorted(reach, start, side="right") : np.searchsorted(starts, end)]
        return [transcript for transcript in near if transcript.exons[-1, 1] > start]

    def utr3(self, record: Record) -> Record:
        """The 3'UTR of a whole transcript whose coding part is known; any other sequence as it is."""
        transcript = self.find(record.id)
        start, end = (transcript.utr3 if transcript else None) or (0, 0)
        whole = transcript is not None and len(record.sequence) == len(transcript)
        return Record(record.id, record.sequence[start:]) if whole and start < end else record


def plain_id(name: str) -> str:
    """An id of Ensembl, GENCODE or RefSeq without its version; any other as it is."""
    found = _VERSIONED.fullmatch(name)
    return found[1] if found else name


def short_id(name: str) -> str:
    """The id of a transcript in GENCODE's FASTA (`ENST...|ENSG...|...`) or any other, without its version."""
    return plain_id(name.partition("|")[0])


def names(ids: Sequence[str], genes: Annotation | Mapping[str, str] | None = None) -> pd.DataFrame:
    """What the gene of each transcript may be called, a kind of name a column; empty text: no such name.

    `id` is the transcript's own, `part 1`, `part 2` ... the parts of ids with bars (GENCODE's FASTA). Versions are
    left out.

    Args:
        ids: of transcripts.
        genes: adds `gene_id` and `gene_name` of an annotation, or `gene_id` of a map (`read_gene_map`).

    Returns:
        A row for each id.
    """
    table = {"id": [plain_id(name) for name in ids]}
    split = [name.strip("|").split("|") for name in ids]
    width = max(map(len, split), default=0)
    if width > 1:
        for part in range(width):
            table[f"part {part + 1}"] = [plain_id(parts[part]) if part < len(parts) else "" for parts in split]
    first = [parts[0] for parts in split]
    if isinstance(genes, Annotation):
        found = [genes.find(name) for name in first]
        table["gene_id"] = [plain_id(transcript.gene_id) if transcript else "" for transcript in found]
        table["gene_name"] = [transcript.gene_name if transcript else "" for transcript in found]
    elif genes is not None:
        plain = {plain_id(name): gene for name, gene in genes.items()}
        mapped = [genes.get(name) or plain.get(plain_id(name), "") for name in first]
        table["gene_id"] = [plain_id(gene) for gene in mapped]
    return pd.DataFrame(table, index=list(ids), dtype="str")


def read_gene_map(path: str | Path) -> dict[str, str]:
    """The gene of each transcript, from a table whose first two columns are transcript and gene.

    Separated by tabs, commas or blanks; a header whose second word is `gene`, `gene_id`, `gene_name`, `symbol` ... does
    not count.

    Raises:
        InputError: the file cannot be read or is empty.
        TableError: a line of one column, or a transcript of two genes.
    """
    found: dict[str, str] = {}
    for number, line in io.iter_lines(path):
        fields = [value.strip().strip('"') for value in re.split(r"\t|,", line)]
        fields = fields if len(fields) > 1 else line.split()
        if not line.strip() or line.startswith("#") or (number == 1 and _GENE_HEADER.fullmatch("".join(fields[1:2]))):
            continue
        if len(fields) < 2 or not fields[0] or not fields[1]:
            raise TableError(f"{line[:40]!r}; expected a transcript and its gene", path=path, line=number)
        if found.setdefault(fields[0], fields[1]) != fields[1]:
            problem = f"gene {fields[1]!r} after {found[fields[0]]!r}; expected one gene for a transcript"
            raise TableError(problem, path=path, line=number, record=fields[0])
    if not found:
        raise InputError("no rows; expected a transcript and its gene in each", path=path)
    return found


def read_annotation(path: str | Path) -> Annotation:
    """The transcripts of a GTF or GFF3 file (told by its attributes), plain or gzip.

    Read by gtfparse. Exons of a transcript that overlap are joined; the coding part is from the first to the last
    nucleotide of its `CDS` and `stop_codon` rows.

    Raises:
        InputError: the file cannot be read, is no GTF or GFF3, or holds no exon of a named transcript.
    """
    rows = _features(path)
    exons = rows[rows["feature"] == "exon"]
    coding = rows[rows["feature"] != "exon"].groupby("transcript_id")
    reach = dict(zip(coding.groups, zip(coding["start"].min(), coding["end"].max(), strict=True), strict=True))
    found = {}
    for name, own in _by_transcript(exons):
        first = own[0]
        blocks = _joined(np.array([(row.start, row.end) for row in own], dtype=np.int64))
        if any((row.contig, row.strand) != (first.contig, first.strand) for row in own):
            raise InputError("exons on two contigs or strands; expected one", path=path, record=name)
        cds = reach.get(name)
        cds = (int(cds[0]), int(cds[1])) if cds else None
        found[name] = Transcript(name, first.gene_id, first.gene_name, first.contig, first.strand, blocks, cds)
    if not found:
        raise InputError("no exon of a transcript with an id; expected a GTF or GFF3 with exons", path=path)
    log.info("%s: %d transcripts", path, len(found))
    return Annotation(found, str(path))


def read_mirnas(path: str | Path) -> Annotation:
    """The mature miRNAs of miRBase's GFF3 (rows of type `miRNA`), each locus a transcript with the miRNA's name as id.

    Raises:
        InputError: the file cannot be read, is no GFF3, or holds no miRNA.
    """
    rows = _read(path)
    rows = rows[rows["feature"] == "miRNA"]
    found = {}
    columns = (
        _attribute(rows, "ID"),
        _attribute(rows, "Name"),
        *(rows[c] for c in ("contig", "strand", "start", "end")),
    )
    for number, (key, name, contig, strand, start, end) in enumerate(zip(*columns, strict=True)):
        found[key or str(number)] = Transcript(name, "", "", contig, strand, np.array([[start, end]]))
    if not found:
        raise InputError("no row of type miRNA; expected the GFF3 of miRBase", path=path)
    return Annotation(found, str(path))


class _Row(NamedTuple):
    transcript_id: str
    gene_id: str
    gene_name: str
    contig: str
    strand: Literal["+", "-"]
    start: int
    end: int


def _by_transcript(exons: pd.DataFrame) -> Iterable[tuple[str, list[_Row]]]:
    found: dict[str, list[_Row]] = {}
    for row in zip(*(exons[name] for name in _Row._fields), strict=True):
        found.setdefault(row[0], []).append(_Row(*row))
    return found.items()


def _joined(blocks: Positions) -> Positions:
    """Intervals in order, those that overlap joined; neighbours stay apart."""
    blocks = blocks[np.argsort(blocks[:, 0], kind="stable")]
    reach = np.maximum.accumulate(blocks[:, 1])
    first = np.concatenate([[True], blocks[1:, 0] >= reach[:-1]])
    last = np.append(np.flatnonzero(first)[1:] - 1, len(blocks) - 1)
    return np.stack([blocks[first, 0], reach[last]], axis=1)


_NEEDED = ("exon", "CDS", "stop_codon")


def _features(path: str | Path) -> pd.DataFrame:
    """Exon, CDS and stop codon rows with the ids of their transcript and gene."""
    rows = _gff3(_read(path)) if _is_gff3(path) else _gtf(_read(path, features=_NEEDED))
    return rows[rows["transcript_id"] != ""]


def _is_gff3(path: str | Path) -> bool:
    """Whether the attributes of the first row are `key=value`, not `key "value"`."""
    rows = (line.split("\t") for _, line in io.iter_lines(path) if line.strip() and not line.startswith("#"))
    return re.match(r'\s*\w+\s+["\w]', next(rows, [""])[-1]) is None


def _read(path: str | Path, features: Sequence[str] | None = None) -> pd.DataFrame:
    """All rows, or those of some features, checked, 0-based; attributes as they stand."""
    try:
        raw = gtfparse.read_gtf(str(path), expand_attribute_column=False, features=features)
    except (gtfparse.ParsingError, UnicodeDecodeError, EOFError, OSError, ValueError, zlib.error) as error:
        raise _unreadable(path, error) from None
    if raw[["start", "end"]].isna().any(axis=None):
        raise _unreadable(path, ValueError("a row without positions"))
    raw = raw.rename(columns={"seqname": "contig"}).astype({"contig": "str", "feature": "str", "strand": "str"})
    raw["start"], raw["attribute"] = raw["start"] - 1, raw["attribute"].fillna("")
    stranded = raw["strand"].isin(["+", "-"]) | ~raw["feature"].isin(["exon", "CDS", "miRNA"])
    bad = raw[(raw["start"] >= raw["end"]) | (raw["start"] < 0) | ~stranded]
    if len(bad):
        row = bad.iloc[0]
        problem = f"{row['feature']} {row['contig']}:{row['start'] + 1}-{row['end']} on strand {row['strand']!r}"
        raise InputError(f"{problem}; expected start <= end, strand + or -", path=path)
    return raw


def _attribute(rows: pd.DataFrame, key: str) -> pd.Series:
    """An attribute of GFF3; empty where it is missing."""
    return rows["attribute"].str.extract(rf"(?:^|;)\s*{key}=([^;]*)", expand=False).fillna("")


def _gtf(raw: pd.DataFrame) -> pd.DataFrame:
    attributes = raw["attribute"].to_numpy(dtype=object)
    given = gtfparse.expand_attribute_strings(attributes, usecols=["transcript_id", "gene_id", "gene_name"])
    blank = [""] * len(raw)
    return raw.assign(**{name: given.get(name, blank) for name in ("transcript_id", "gene_id", "gene_name")})


def _gff3(raw: pd.DataFrame) -> pd.DataFrame:
    """Parents followed: of an exon its transcripts (one row each), of a transcript its gene."""

    owners = raw[~raw["feature"].isin(_NEEDED)]
    keys = _attribute(owners, "ID")
    parent = dict(zip(keys, _attribute(owners, "Parent"), strict=True))
    name = dict(zip(keys, _attribute(owners, "Name"), strict=True))
    rows = raw[raw["feature"].isin(_NEEDED)]
    rows = rows.assign(owner=_attribute(rows, "Parent").str.split(",")).explode("owner").reset_index(drop=True)
    genes = rows["owner"].map(parent).fillna("")

    def plain(ids: pd.Series) -> pd.Series:  # Ensembl writes transcript:ENST..., gene:ENSG..., NCBI rna-NM_...
        return ids.str.replace(r"^(transcript:|gene:|rna-|gene-)", "", regex=True)

    return rows.assign(
        transcript_id=plain(rows["owner"]),
        gene_id=plain(genes.where(genes != "", rows["owner"])),
        gene_name=genes.map(name).fillna(""),
    )


def _unreadable(path: str | Path, error: Exception) -> InputError:
    """What is wrong with the file, with the first line that shows it."""
    for number, line in io.iter_lines(path):
        fields = line.split("\t")
        if not line.strip() or line.startswith("#"):
            continue
        if len(fields) != 9:
            problem = f"{len(fields)} fields; expected the 9 of GTF or GFF3, separated by tabs"
            return InputError(problem, path=path, line=number)
        if bad := [value for value in fields[3:5] if not value.isdigit()]:
            return InputError(f"{bad[0]!r} is no position; expected a number from 1 up", path=path, line=number)
    reason = " ".join(str(error).split())[:200]
    return InputError(f"no GTF or GFF3 ({reason})", path=path)


def _plain_contig(name: str) -> str:
    """A chromosome's name without `chr`, the mitochondrion as MT."""
    plain = name.removeprefix("chr")
    return "MT" if plain == "M" else plain
