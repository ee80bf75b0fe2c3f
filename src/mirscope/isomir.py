"""What distinguishes a read of a miRNA from the reference: isomiRs, in the field's words and in DMISO's.

An isomiR is placed on its miRNA, or on the hairpin where there is one, without gaps: other ends, other nucleotides, and
nucleotides at the ends which the template does not have. A mismatch with fewer than three matches beyond it is an end
that differs, not a polymorphism.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mirscope import align, io, parts, reads, reports, rna, runs, tables
from mirscope.errors import InputError
from mirscope.io import Record
from mirscope.reads import Fragment
from mirscope.tables import ISOMIRS

CLASSES = (
    "5p_addition",
    "5p_deletion",
    "5p_replacement",
    "3p_addition",
    "3p_deletion",
    "3p_replacement",
    "SNP",
    "MNP",
)
"""The eight classes of Talukder et al. 2022 (DMISO), against the miRNA alone; several may hold, none of them: exact."""

SHIFT_5P, SHIFT_3P = 3, 6
"""Nucleotides by which an isomiR's ends may lie from the reference's."""
_SUPPORT = 3  # matches beyond a mismatch that make it a polymorphism


@dataclass(frozen=True)
class Isomir:
    """A sequence on its miRNA. Positions are 0-based, intervals half-open, nt."""

    sequence: str
    reference: str
    """The miRNA."""
    offset: int
    """Where the sequence's first nt lies on the miRNA; below 0: before it."""
    added_5p: int
    """Nucleotides at the 5' end that the template does not have."""
    added_3p: int
    differing: tuple[int, ...]
    """Places in the sequence of other differences from the template."""
    templated: bool = False
    """Whether the template is a hairpin, which tells what lies beyond the miRNA's ends."""
    template_letters: str = field(default="", compare=False)
    """The template's nucleotides at `differing`."""

    @property
    def shift_5p(self) -> int:
        """Where the templated part begins on the miRNA: mirGFF3's iso_5p, above 0 is downstream."""
        return self.offset + self.added_5p

    @property
    def shift_3p(self) -> int:
        """Where the templated part ends, from the miRNA's end: mirGFF3's iso_3p, above 0 is downstream."""
        return self.offset + len(self.sequence) - self.added_3p - len(self.reference)

    @property
    def exact(self) -> bool:
        """Whether the sequence is the miRNA."""
        return self.sequence == self.reference

    @property
    def n_changes(self) -> int:
        """Nucleotides by which it differs from the template and its ends from the miRNA's; the least is the best call.

        A substitution or added nucleotide counts twice: a cut elsewhere is the commoner event.
        """
        changed = self.added_5p + self.added_3p + len(self.differing)
        return 2 * changed + abs(self.shift_5p) + abs(self.shift_3p)

    @cached_property
    def variant(self) -> str:
        """The attribute Variant of mirGFF3 1.2; NA of the reference."""
        words = [f"iso_5p:{self.shift_5p:+d}"] * bool(self.shift_5p) + [f"iso_3p:{self.shift_3p:+d}"] * bool(
            self.shift_3p
        )
        words += [f"iso_add5p:{self.added_5p}"] * bool(self.added_5p)
        words += [f"iso_add3p:{self.added_3p}"] * bool(self.added_3p)
        words += dict.fromkeys(_region(self.offset + place + 1) for place in self.differing)
        return ",".join(words) or "NA"

    @cached_property
    def cigar(self) -> str:
        """CIGAR of mirGFF3: M a match, I an added nt, and the template's own letter where the sequence has another."""
        body = ["M"] * len(self.sequence)
        for place, letter in zip(self.differing, self.template_letters, strict=True):
            body[place] = "T" if letter == "U" else letter
        body[: self.added_5p] = "I" * self.added_5p
        body[len(body) - self.added_3p :] = "I" * self.added_3p
        runs = [(sign, len(list(run))) for sign, run in groupby(body)]
        return "".join(f"{n}{sign}" if sign in "MI" else sign * n for sign, n in runs)

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Those of `CLASSES` that hold, in their order."""
        end = self.offset + len(self.sequence) - len(self.reference)
        inside = [place for place in self.differing if 0 <= self.offset + place < len(self.reference)]
        runs = [len(list(run)) for _, run in groupby(enumerate(inside), lambda pair: pair[1] - pair[0])]
        holds = (
            self.offset < 0,
            self.offset > 0,
            self.added_5p > max(-self.offset, 0),
            end > 0,
            end < 0,
            self.added_3p > max(end, 0),
            1 in runs,
            any(run > 1 for run in runs),
        )
        return tuple(name for name, held in zip(CLASSES, holds, strict=True) if held)

    @cached_property
    def changed(self) -> tuple[int, ...]:
        """Places in the sequence that are not of the template: those whose quality matters."""
        n = len(self.sequence)
        return (*range(self.added_5p), *self.differing, *range(n - self.added_3p, n))


def _region(position: int) -> str:
    """mirGFF3's word for a substitution at a 1-based position of the miRNA."""
    for word, first, last in (("seed", 2, 7), ("central_offset", 8, 8), ("central", 9, 12), ("central_supp", 13, 17)):
        if first <= position <= last:
            return f"iso_snv_{word}"
    return "iso_snv"


def call(sequence: str, mirna: str, *, hairpin: str = "", mirna_start: int = 0) -> Isomir | None:
    """The sequence as an isomiR of the miRNA: the placement of fewest changes; `None` where less than half of it fits.

    Args:
        sequence: RNA.
        mirna: the reference.
        hairpin: which holds the miRNA at `mirna_start`. Without it nothing is known beyond the miRNA's ends, and
            whatever lies there counts as added.
        mirna_start: 0-based.
    """
    template, zero = (hairpin, mirna_start) if hairpin else (mirna, 0)
    found: list[Isomir] = []
    for offset in range(-SHIFT_5P, SHIFT_5P + 1):
        if abs(offset + len(sequence) - len(mirna)) > SHIFT_3P:
            continue
        low = max(0, -(zero + offset))
        high = min(len(sequence), len(template) - zero - offset)
        same = [sequence[i] == template[zero + offset + i] for i in range(low, high)]
        if 2 * sum(same) < len(sequence):
            continue
        start, end = _core(same)
        if 2 * (end - start) < len(sequence):
            continue
        differing = tuple(low + i for i in range(start, end) if not same[i])
        letters = "".join(template[zero + offset + i] for i in differing)
        ends = low + start, len(sequence) - low - end
        found.append(Isomir(sequence, mirna, offset, *ends, differing, bool(hairpin), letters))
    return min(found, key=lambda isomir: (isomir.n_changes, abs(isomir.offset)), default=None)


def _core(same: Sequence[bool]) -> tuple[int, int]:
    """The stretch of most matches less 3 for each mismatch; of equals the longest, then the first."""
    best = (0, 0, 0)
    for start in range(len(same)):
        score = 0
        for end in range(start + 1, len(same) + 1):
            score += 1 if same[end - 1] else -_SUPPORT
            if same[start] and same[end - 1] and (score, end - start) > (best[0], best[2] - best[1]):
                best = score, start, end
    return best[1], best[2]


@dataclass(frozen=True, eq=False)
class References:
    """miRNAs, their hairpins where known, and the index that finds them."""

    mirnas: tuple[Record, ...]
    hairpins: Mapping[str, tuple[tuple[Record, int], ...]] = field(default_factory=dict)
    """Of each miRNA's id: hairpins that hold it, and where."""
    word: int = 8

    @classmethod
    def of(cls, mirnas: Sequence[Record], hairpins: Iterable[Record] = ()) -> References:
        """miRNAs with those hairpins that hold their sequence, of the same species where ids begin with one (`hsa-`).

        Raises:
            InputError: the sequences are too long for mature miRNAs.
        """
        lengths = [len(record.sequence) for record in mirnas]
        if np.median(lengths) > LONGEST:
            problem = f"sequences of {np.median(lengths):.0f} nt (median); expected mature miRNAs of 15 to 30 nt"
            raise InputError(f"{problem}: are miRNAs and targets swapped?")
        known = list(hairpins)
        return cls(tuple(mirnas), {record.id: _holding(record, known) for record in mirnas} if known else {})

    @cached_property
    def index(self) -> align.Index:
        """Their words."""
        return align.Index.build(self.mirnas, self.word)

    def fingerprint(self) -> str:
        """sha256 of all that calls depend on."""
        return hashlib.sha256(repr((self.word, self.mirnas, sorted(self.hairpins.items()))).encode()).hexdigest()

    def call(self, sequence: str, number: int) -> tuple[Isomir, str, int] | None:
        """The sequence as an isomiR of miRNA `number`; the hairpin that explains it best, and where the miRNA starts on
        it (empty and 0: none known).
        """
        mirna = self.mirnas[number]
        places = self.hairpins.get(mirna.id, ())
        options = [
            (found, hairpin.id, start)
            for hairpin, start in places
            if (found := call(sequence, mirna.sequence, hairpin=hairpin.sequence, mirna_start=start))
        ]
        if not places and (found := call(sequence, mirna.sequence)):
            options = [(found, "", 0)]
        return min(options, key=lambda option: option[0].n_changes, default=None)


LONGEST = 40
"""nt; what is longer is no mature miRNA."""


def _holding(mirna: Record, hairpins: Sequence[Record]) -> tuple[tuple[Record, int], ...]:
    species = mirna.id.split("-")[0].lower()
    held = [(record, record.sequence.find(mirna.sequence)) for record in hairpins]
    held = [(record, start) for record, start in held if start >= 0]
    own = [(record, start) for record, start in held if record.id.split("-")[0].lower() == species]
    return tuple(own or held)


@dataclass(frozen=True)
class Settings:
    """Which isomiRs are to be believed."""

    e_value: float = 0.1
    """Most of a read against the miRNAs."""
    most_changes: int = 3
    """Substitutions and added nucleotides."""
    least_reads: int = 10
    """Of an isomiR; an exact miRNA needs one."""
    least_quality: int = 31
    """Of each nucleotide that is not the template's, where qualities are known."""

    def verdict(self, isomir: Isomir, fragment: Fragment) -> str:
        """PASS, or REJECT: and why."""
        qualities = [fragment.qualities[place] - 33 for place in isomir.changed] if fragment.qualities else []
        if isomir.exact:
            return "PASS"
        if fragment.n_reads < self.least_reads:
            return "REJECT:lowcount"
        return "PASS" if min(qualities, default=self.least_quality) >= self.least_quality else "REJECT:quality"


def isomirs(
    fragments: Mapping[str, Fragment], references: References, settings: Settings | None = None, *, threads: int = 1
) -> pd.DataFrame:
    """Each sequence with its miRNA: columns `tables.ISOMIRS`, by miRNA and then most reads; those of none are left out.

    A sequence that several miRNAs explain as well has a row for each, and `n_hits` says how many.

    Args:
        fragments: different sequences, of `reads.collapse`.
        references: miRNAs.
        settings: which to believe.
        threads: cores.
    """
    settings = settings or Settings()
    sequences = [sequence for sequence in fragments if "N" not in sequence]
    hits = align.find(sequences, references.index, e_value=settings.e_value, most=20, threads=threads)
    rows = []
    for number, group in align.by_query(hits):
        sequence = sequences[number]
        fragment = fragments[sequence]
        mirnas = dict.fromkeys(hit.reference for hit in group)
        found = [(*called, mirna) for mirna in mirnas if (called := references.call(sequence, mirna))]
        found = [option for option in found if len(option[0].changed) <= settings.most_changes]
        least = min((option[0].n_changes for option in found), default=0)
        best = [option for option in found if option[0].n_changes == least]
        for isomir, hairpin, start, mirna in best:
            place = references.mirnas[mirna].id, hairpin, start
            rows.append(row(isomir, *place, fragment.n_reads, settings.verdict(isomir, fragment), len(best)))
    return ordered(rows)


def ordered(rows: Sequence[tuple[object, ...]]) -> pd.DataFrame:
    """Rows of `row` as a table, by miRNA and then most reads."""
    return tables.table(rows, ISOMIRS).sort_values(**_ORDER)


_ORDER: dict[str, Any] = {
    "by": ["mirna_id", "n_reads", "sequence"],
    "ascending": [True, False, True],
    "ignore_index": True,
}


def row(
    isomir: Isomir, mirna_id: str, hairpin_id: str, mirna_start: int, n_reads: int, keep: str, n_hits: int
) -> tuple[object, ...]:
    """A row of `tables.ISOMIRS`."""
    start, end = mirna_start + isomir.shift_5p, mirna_start + len(isomir.reference) + isomir.shift_3p
    name = rna.uid(isomir.sequence)
    classes = ";".join(isomir.classes)
    words = isomir.variant, isomir.cigar, classes
    return (isomir.sequence, name, mirna_id, hairpin_id, start, end, *words, n_hits, n_reads, keep)


FILES = ("isomirs.tsv", "isomirs.gff3", "report.json", "report.html")
_COLLAPSED = re.compile(r"_x(\d+)$")


def search_files(
    path: str | Path,
    references: References,
    folder: Path,
    *,
    settings: Settings | None = None,
    preparation: reads.Preparation | None = None,
    name: str = "",
    database: str = "miRBase",
    threads: int = 1,
    resume: bool = False,
    progress: parts.Progress = parts.no_progress,
) -> dict[str, Any]:
    """Write `FILES` of the small RNAs of a file to `folder`; what `report.json` holds.

    Finished parts wait in `folder/unfinished` and the outputs are made of them at the end.

    Args:
        path: FASTQ, whose reads are made ready (`reads`), or FASTA, taken as it is, with `_x12` at an id's end for 12
            reads; a file, since it is read twice.
        references: miRNAs.
        folder: made if needed.
        settings: which isomiRs to believe.
        preparation: of the reads of a FASTQ file.
        name: of the file, for the reports; what is before its first point names the specimen.
        database: of the miRNAs, for the GFF3.
        threads: processes, for files that are worth it.
        resume: use the finished parts of an interrupted run.
        progress: shows how far each pass is.

    Raises:
        InputError: bad input.
        UsageError: `folder` holds an unfinished run that is not to be resumed, or is another one.
    """
    settings, preparation = settings or Settings(), preparation or reads.Preparation()
    name = name or Path(path).name
    fastq = io.holds_fastq(path)
    identity = {
        "reads": runs.checksum(path),
        "mirnas": references.fingerprint(),
        "settings": asdict(settings),
        "preparation": asdict(preparation),
    }
    with parts.unfinished(folder, identity, what="search", source=path, resume=resume) as here:
        with progress("reading", None) as report:
            waiting: dict[str, Any] = {"threads": threads, "report": report}
            if fastq:
                ready, summary = reads.make_ready(path, references.index, preparation, here, **waiting)
            else:
                records = io.iter_fasta(path, unique=False)
                ready, summary = reads.collapse_parts(path, records, _collapse_records, here, **waiting), {}
        with progress("isomirs", ready.n_shares) as report:
            paths = parts.carry_out(
                _isomirs_of_share,
                (ready, references, settings),
                range(ready.n_shares),
                here,
                what="isomirs",
                processes=reads.processes_for(path, threads),
                report=report,
            )
        table = parts.read(paths).sort_values(**_ORDER)
        called = table.drop_duplicates("sequence")
        kept = called[called["filter"] == "PASS"]
        record: dict[str, Any] = {
            "file": name,
            "reads": summary,
            "n_reads": sum(parts.notes(share)["n_reads"] for share in paths),
            "n_sequences": sum(parts.notes(share)["n_sequences"] for share in paths),
            "n_reads_called": int(called["n_reads"].sum()),
            "n_sequences_called": len(called),
            "n_reads_passed": int(kept["n_reads"].sum()),
            "n_sequences_passed": len(kept),
            "classes": class_counts(kept),
            "settings": asdict(settings),
            "run": runs.environment(),
        }
        io.write_tsv(table, folder / "isomirs.tsv", [column.name for column in ISOMIRS])
        io.write_mirgff3(table, folder / "isomirs.gff3", sample=name.split(".")[0], database=database)
        runs.write_json(folder / "report.json", record)
        reports.isomirs(record, table).write(folder / "report.html")
    return record


def _collapse_records(records: list[Record]) -> tuple[dict[str, Fragment], Counter[str]]:
    found: dict[str, Fragment] = {}
    for one in records:
        collapsed = _COLLAPSED.search(one.id)
        n_reads = int(collapsed[1]) if collapsed else 1
        found.setdefault(one.sequence, Fragment()).join(Fragment(n_reads, read_id=one.id))
    return found, Counter()


def _isomirs_of_share(shared: tuple[reads.Ready, References, Settings], share: int, path: Path) -> None:
    ready, references, settings = shared
    fragments, _ = ready.fragments(share)
    table = isomirs(fragments, references, settings)
    counts = {"n_reads": sum(one.n_reads for one in fragments.values()), "n_sequences": len(fragments)}
    parts.write(path, table, np.zeros(len(table), dtype=np.int64), 1, counts)


def class_counts(table: pd.DataFrame) -> dict[str, int]:
    """Reads (`n_reads`) of each of `CLASSES`, and of `exact`; a read counts in each class that it has."""
    listed = table["classes"].str.split(";").explode()
    sums = table["n_reads"].reindex(listed.index).groupby(listed.to_numpy()).sum()
    return {name: int(sums.get("" if name == "exact" else name, 0)) for name in ("exact", *CLASSES)}
