"""Sequencing reads made ready: what was done to them already, what to cut off, which to keep, how often each came.

A step is a small callable, `step(read, tags)`, that gives the read, cut or whole, or `None` where it is not worth
keeping (the way of cutadapt, whose adapter search and quality trimming these steps use). `run` counts what each did.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import dnaio
import numpy as np
import pandas as pd
from cutadapt.adapters import BackAdapter
from cutadapt.qualtrim import expected_errors, quality_trim_index
from numpy.typing import NDArray

from mirscope import align, io, parts
from mirscope.errors import UsageError

ADAPTERS = {
    "Illumina TruSeq": "AGATCGGAAGAGC",
    "Illumina small RNA": "TGGAATTCTCGGGTGCCAAGG",
    "Illumina small RNA 1.0": "TCGTATGCCGTCTTCTGCTTG",
    "Nextera": "CTGTCTCTTATA",
    "QIAseq miRNA": "AACTGTAGGCACCATCAAT",
    "HITS-CLIP L3": "GTGTCAGTCACTTCCAGCGG",
    "BGI": "AAGTCGGAGGCCAAGCGGTC",
}
"""3' adapters that are looked for."""

LOOKED_AT = 20_000
"""Reads from which the state is told."""
LEAST_RANDOM = 4
"""Random letters that make a prefix a UMI."""
_SHARE = 0.005  # of reads with an adapter, from which on it is taken to be there
_HEAD = 12  # of an adapter, nt; 1e-5 of the reads of 100 nt hold them by chance
_PREFIX = range(3, 21)  # nt before the miRNA that may be a barcode
_FIXED = 0.8  # share of one letter that makes it fixed
_STARTS = 20  # reads with a miRNA that a prefix is told from

Read = dnaio.SequenceRecord
Tags = dict[str, str]


class Step(Protocol):
    """A step: what it says of the reads that it changed or lost, and what it leaves of a read."""

    name: str

    def __call__(self, read: Read, tags: Tags) -> Read | None:
        """The read, cut or whole; `None`: lost."""


@dataclass(frozen=True)
class State:
    """What the reads look like, from the first of them."""

    n_reads: int
    """Reads looked at."""
    shortest: int
    longest: int
    adapter: str = ""
    """3' adapter, DNA; empty: none."""
    adapter_name: str = ""
    adapter_share: float = 0.0
    """Of reads that hold the adapter's first 12 nt."""
    prefix: str = ""
    """5' barcode as letters, N a random one; empty: none."""
    prefix_share: float = 0.0
    """Of reads with a miRNA near their start, whose miRNA starts within 3 nt after the prefix."""

    @property
    def umi(self) -> bool:
        """Whether the prefix tells molecules apart."""
        return self.prefix.count("N") >= LEAST_RANDOM

    def __str__(self) -> str:
        found = [f"reads of {self.shortest}" + (f"-{self.longest} nt" if self.longest > self.shortest else " nt")]
        if self.adapter:
            found.append(f"3' adapter {self.adapter} ({self.adapter_name}) in {100 * self.adapter_share:.0f} %")
        elif self.longest > self.shortest:
            found.append("no known adapter and unequal lengths: trimmed already")
        else:
            found.append("no known 3' adapter")
        if self.prefix:
            found.append(f"5' {'UMI' if self.umi else 'barcode'} {self.prefix}")
        else:
            found.append("no 5' barcode seen")
        return "; ".join(found)


def look(reads: Iterable[Read], mirnas: align.Index) -> State:
    """The state of reads, told from the first `LOOKED_AT`.

    An adapter is one of `ADAPTERS`, where .5 % of the reads hold it. A 5' barcode is seen by the miRNAs: they start
    behind it, so it is as long as the place where at least a fifth of them start, the first such place. Letters of
    which four in five are the same are fixed, others random.
    """
    some = list(islice(reads, LOOKED_AT))
    if not some:
        return State(0, 0, 0)
    letters = [read.sequence.upper() for read in some]
    lengths = [len(text) for text in letters]
    state: dict[str, Any] = {"n_reads": len(some), "shortest": min(lengths), "longest": max(lengths)}
    shares = {name: np.mean([adapter[:_HEAD] in text for text in letters]) for name, adapter in ADAPTERS.items()}
    name = max(shares, key=lambda name: shares[name])
    if shares[name] >= _SHARE:
        state |= {"adapter": ADAPTERS[name], "adapter_name": name, "adapter_share": round(float(shares[name]), 4)}
    length, share = _prefix_length(letters, mirnas)
    if length:
        columns = zip(*(text[:length] for text in letters if len(text) >= length), strict=True)
        counts = (Counter(column).most_common(1)[0] for column in columns)
        prefix = "".join(letter if n >= _FIXED * len(letters) else "N" for letter, n in counts)
        state |= {"prefix": prefix, "prefix_share": round(share, 4)}
    return State(**state)


def _prefix_length(letters: Sequence[str], mirnas: align.Index) -> tuple[int, float]:
    hits = align.find([to_rna(text[:50]) for text in letters], mirnas, e_value=0.01, most=1)
    starts = hits.loc[(hits["start"] == 0) & (hits["query_start"] <= _PREFIX[-1]), "query_start"].to_numpy()
    if len(starts) < _STARTS:
        return 0, 0.0
    counts = np.bincount(starts, minlength=_PREFIX[-1] + 4)
    length = int(np.argmax(counts >= len(starts) / 5)) if counts.max() >= len(starts) / 5 else 0
    return (length, counts[length : length + 4].sum() / len(starts)) if length in _PREFIX else (0, 0.0)


def to_rna(letters: str) -> str:
    """Letters of a read as RNA, capitals, what is ambiguous as N."""
    return io.normalise(letters)[0]


# --------------------------------------------------------------------------------------------------------------- steps


@dataclass
class CutQuality:
    """Cuts off a 3' end of low quality, as BWA and cutadapt do."""

    least: int
    name: str = "low-quality 3' end cut"

    def __call__(self, read: Read, tags: Tags) -> Read | None:
        """The read, perhaps shorter."""
        return read[: quality_trim_index(read.qualities, 0, self.least)[1]]


@dataclass
class CutAdapter:
    """Cuts off a 3' adapter and all after it, as cutadapt does: a tenth of errors, 5 nt at the read's end at least."""

    adapter: str
    name: str = "3' adapter cut"
    _finder: Any = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._finder = BackAdapter(self.adapter, max_errors=0.1, min_overlap=5)

    def __call__(self, read: Read, tags: Tags) -> Read | None:
        """The read up to the adapter."""
        match = self._finder.match_to(read.sequence)
        return read if match is None else read[: match.rstart]


@dataclass
class CutPrefix:
    """Cuts off a 5' barcode and remembers it as the tag `umi`."""

    length: int
    name: str = "5' barcode cut"

    def __call__(self, read: Read, tags: Tags) -> Read | None:
        """The read behind the barcode."""
        tags["umi"] = read.sequence[: self.length]
        return read[self.length :]


@dataclass
class CutN:
    """Cuts off unknown nucleotides at the 3' end."""

    name: str = "3' N cut"

    def __call__(self, read: Read, tags: Tags) -> Read | None:
        """The read, perhaps shorter."""
        return read[: len(read.sequence.rstrip("Nn"))]


@dataclass
class LongEnough:
    """Keeps reads of a length."""

    least: int
    name: str = "too short"

    def __call__(self, read: Read, tags: Tags) -> Read | None:
        """The read, or `None`."""
        return read if len(read) >= self.least else None


@dataclass
class GoodEnough:
    """Keeps reads of few expected errors a nucleotide."""

    most: float
    name: str = "low quality"

    def __call__(self, read: Read, tags: Tags) -> Read | None:
        """The read, or `None`."""
        return read if expected_errors(read.qualities) <= self.most * len(read) else None


@dataclass
class WithoutN:
    """Keeps reads in which every nucleotide is known."""

    name: str = "with N"

    def __call__(self, read: Read, tags: Tags) -> Read | None:
        """The read, or `None`."""
        return None if set(read.sequence.upper()) - set("ACGTU") else read


def run(reads: Iterable[Read], steps: Sequence[Step], counts: Counter[str]) -> Iterator[tuple[Read, Tags]]:
    """What the steps leave of the reads, with its tags.

    Args:
        reads: any number.
        steps: each sees what the one before left.
        counts: reads that came (`reads`), that each step changed or lost (by its name), that are left (`kept`); added.
    """
    for read in reads:
        counts["reads"] += 1
        tags: Tags = {}
        for step in steps:
            left = step(read, tags)
            counts[step.name] += left is None or len(left) != len(read)
            if left is None:
                break
            read = left
        else:
            counts["kept"] += 1
            yield read, tags


# ------------------------------------------------------------------------------------------------------------ collapse


@dataclass(slots=True)
class Fragment:
    """Reads of one sequence."""

    n_reads: int = 0
    umis: set[str] = field(default_factory=set)
    qualities: bytes = b""
    """Of each nucleotide the best that was read, as in FASTQ."""
    read_id: str = ""
    """The first of them."""

    @property
    def n_molecules(self) -> int:
        """Reads, those of one UMI as one."""
        return len(self.umis) or self.n_reads

    def join(self, other: Fragment) -> None:
        """Take in reads of the same sequence."""
        self.n_reads += other.n_reads
        self.umis |= other.umis
        self.qualities = bytes(map(max, self.qualities, other.qualities)) if self.qualities else other.qualities
        self.read_id = self.read_id or other.read_id


def collapse(reads: Iterable[tuple[Read, Tags]], *, umi: bool = False) -> dict[str, Fragment]:
    """The different sequences (RNA), in the order in which they came first.

    Args:
        reads: with their tags.
        umi: the tag `umi` tells molecules apart; else every read is one.
    """
    found: dict[str, Fragment] = {}
    for read, tags in reads:
        one = Fragment(1, {tags["umi"]} if umi else set(), (read.qualities or "").encode(), read.id)
        found.setdefault(to_rna(read.sequence), Fragment()).join(one)
    return found


AT_ONCE = 50_000
"""Reads of a part."""
_SHARE_BYTES = 8_000_000  # of a file, for each share of its fragments: some 50,000 of them at most
_WORTH_PROCESSES = 20_000_000  # bytes of a file

Collapse = Callable[[list[Any]], tuple[dict[str, Fragment], Counter[str]]]
"""Makes the different sequences, and counts, of some reads."""


@dataclass(frozen=True)
class Ready:
    """Reads made ready, which wait in files, and each of whose sequences is in one share of them."""

    paths: list[Path]
    n_shares: int
    counts: Counter[str]

    def fragments(self, share: int) -> tuple[dict[str, Fragment], NDArray[np.int64]]:
        """The different sequences of a share, in the order in which they came first; numbers (n,) that give the order
        of those of all shares.
        """
        found: dict[str, Fragment] = {}
        orders: list[int] = []
        rows = parts.read(self.paths, share, _COLUMNS).itertuples(index=False, name=None)
        for order, sequence, n_reads, umis, qualities, read_id in rows:
            one = Fragment(n_reads, set(umis.split()), qualities.encode(), read_id)
            if sequence not in found:
                orders.append(order)
            found.setdefault(sequence, Fragment()).join(one)
        return found, np.array(orders, dtype=np.int64)


_COLUMNS = ("order", "sequence", "n_reads", "umis", "qualities", "read_id")


def processes_for(path: str | Path, threads: int) -> int:
    """Processes for a file: one, where it is not worth more."""
    return threads if Path(path).stat().st_size > _WORTH_PROCESSES else 1


def collapse_parts(
    path: str | Path,
    reads: Iterable[Any],
    function: Collapse,
    folder: Path,
    *,
    threads: int = 1,
    report: Callable[[int], None] = lambda n: None,
) -> Ready:
    """The different sequences of a file, collapsed part by part to `folder`; parts that are there are not made again.

    Args:
        path: their file.
        reads: all that are in it.
        function: what to do with a part.
        folder: of `parts.unfinished`.
        threads: processes, for files that are worth it.
        report: called with the reads of each part when it is done.

    Raises:
        InputError: as `reads`.
    """
    n_shares = 1 + Path(path).stat().st_size // _SHARE_BYTES
    rest = iter(reads)
    jobs = enumerate(iter(lambda: list(islice(rest, AT_ONCE)), []))
    paths = parts.carry_out(
        _collapse_part,
        (function, n_shares),
        jobs,
        folder,
        what="reads",
        processes=processes_for(path, threads),
        size=lambda job: len(job[1]),
        report=report,
    )
    counts: Counter[str] = Counter()
    for part in paths:
        counts.update(parts.notes(part))
    return Ready(paths, n_shares, counts)


def _collapse_part(shared: tuple[Collapse, int], job: tuple[int, list[Any]], path: Path) -> None:
    function, n_shares = shared
    found, counts = function(job[1])
    rows = [
        (job[0] * AT_ONCE + i, sequence, one.n_reads, " ".join(sorted(one.umis)), one.qualities.decode(), one.read_id)
        for i, (sequence, one) in enumerate(found.items())
    ]
    table = pd.DataFrame(rows, columns=list(_COLUMNS)).astype({name: _KINDS.get(name, "str") for name in _COLUMNS})
    parts.write(path, table, parts.share(found, n_shares), n_shares, counts)


_KINDS = {"order": "int64", "n_reads": "int64"}


@dataclass(frozen=True)
class _Prepare:
    """Cuts, filters and collapses reads."""

    steps: Sequence[Step]
    umi: bool
    keep: Callable[[list[str]], set[int]] | None

    def __call__(self, reads: list[Read]) -> tuple[dict[str, Fragment], Counter[str]]:
        counts: Counter[str] = Counter()
        found = collapse(run(reads, self.steps, counts), umi=self.umi)
        if self.keep is not None:
            kept = self.keep(list(found))
            found = {sequence: one for i, (sequence, one) in enumerate(found.items()) if i in kept}
        counts["taken"] = sum(one.n_reads for one in found.values())
        return found, counts


@dataclass(frozen=True)
class Preparation:
    """How a file's reads are made ready: what is looked for, and what is told instead."""

    adapter: str | None = None
    """3' adapter, DNA; `None`: what is found; empty: none."""
    prefix: int | None = None
    """nt to cut at the 5' end; `None`: what is found."""
    umi: bool = True
    """Let a random prefix tell molecules apart."""
    least_quality: int = 0
    """Of a 3' end, which is cut where it is less; 3 cuts what Illumina marks as unreliable (2)."""
    most_errors: float = 1.0
    """Expected a nucleotide, in what is left; 1: as many as there are."""
    least_length: int = 15
    """nt, of what is left."""

    def __post_init__(self) -> None:
        if set((self.adapter or "").upper()) - set("ACGTUN"):
            raise UsageError(f"adapter {self.adapter!r}: expected letters A C G T N")
        if (self.prefix or 0) < 0:
            raise UsageError(f"prefix of {self.prefix} nt; expected 0 or more")

    def steps(self, state: State) -> list[Step]:
        """The steps for reads of this state."""
        adapter = state.adapter if self.adapter is None else self.adapter.upper().replace("U", "T")
        length = len(state.prefix) if self.prefix is None else self.prefix
        cuts: list[Step] = [CutQuality(self.least_quality)] if self.least_quality else []
        cuts += [CutN()]
        cuts += [CutAdapter(adapter)] if adapter else []
        cuts += [CutPrefix(length)] if length else []
        good = [GoodEnough(self.most_errors)] if self.most_errors < 1 else []
        return [*cuts, LongEnough(self.least_length), WithoutN(), *good]

    def by_umi(self, state: State) -> bool:
        """Whether molecules are told apart by the prefix."""
        prefix = state.prefix if self.prefix is None else "N" * self.prefix
        return self.umi and prefix.count("N") >= LEAST_RANDOM


def make_ready(
    path: str | Path,
    mirnas: align.Index,
    preparation: Preparation,
    folder: Path,
    *,
    keep: Callable[[list[str]], set[int]] | None = None,
    threads: int = 1,
    report: Callable[[int], None] = lambda n: None,
) -> tuple[Ready, dict[str, Any]]:
    """The reads of a FASTQ file made ready: looked at, cut, filtered, collapsed; and state, steps, counts for JSON.

    Args:
        path: a file, since it is read twice.
        mirnas: tell where a barcode ends.
        preparation: what is told instead of looked for.
        folder: as in `collapse_parts`.
        keep: numbers of those sequences that are worth keeping; default all.
        threads: processes, for files that are worth it.
        report: called with the reads of each part when it is done.

    Raises:
        InputError: as `io.iter_fastq`.
    """
    state = look(io.iter_fastq(path), mirnas)
    steps, umi = preparation.steps(state), preparation.by_umi(state)
    function = _Prepare(steps, umi, keep)
    ready = collapse_parts(path, io.iter_fastq(path), function, folder, threads=threads, report=report)
    counts = ready.counts
    done = [{"step": step.name, **_settings(step), "n_reads": counts[step.name]} for step in steps]
    found = {**asdict(state), "says": str(state)}
    return ready, {"state": found, "umi": umi, "n_reads": counts["reads"], "steps": done, "n_kept": counts["kept"]}


def _settings(step: Step) -> dict[str, Any]:
    return {key: value for key, value in vars(step).items() if key != "name" and not key.startswith("_")}
