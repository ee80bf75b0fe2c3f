"""From reads of AGO experiments to who bound whom: chimeras of a miRNA and its target.

Reads are made ready (`reads`), those with a miRNA kept, both parts placed (`align`), pairs of parts chosen by the rules
of Talukder et al. 2022 (DMISO), the miRNA part called as an isomiR (`isomir`), the target part extended, and chimeras
of one miRNA and overlapping sites joined to interactions.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mirscope import align, io, isomir, ligation, parts, reads, reports, runs, tables
from mirscope.annotation import Annotation
from mirscope.errors import InputError, UsageError
from mirscope.io import Record
from mirscope.isomir import Isomir, References
from mirscope.reads import Fragment
from mirscope.tables import CHIMERAS, INTERACTIONS

_WORDS = 8, 12  # nt of the words of few and of many transcripts; of each length a word comes about once by chance
_AT_ONCE = 20_000  # reads whose pairs are weighed together
_SHORTEST_TRANSCRIPTS = 45


@dataclass(frozen=True)
class Settings:
    """What counts as a chimera; defaults are the paper's where it says one."""

    engine: align.Engine = "index"
    e_value: float = 0.1
    """Most of both parts."""
    most_gap: int = 4
    """nt between the parts, or shared by them, at most."""
    top: int = 1
    """Pairs of a read."""
    most_false: float = 1.0
    """Share of false ones among the chimeras that are kept (`q_values`); 1: all are, as the paper has it."""
    most_noise: float = 1.0
    """Share of ligation noise among the interactions that are kept (`ligation.noise`); 1: all are."""
    most_changes: int = 3
    """Substituted and added nucleotides of an isomiR."""
    least_chimeras: int = 10
    """Of a miRNA."""
    least_reads: int = 10
    """Of an isomiR."""
    least_quality: int = 31
    """Of each differing nucleotide of an isomiR."""
    extension: int = 25
    """nt of the transcript behind the target part."""
    least_target: int = 30
    """nt, extended."""

    def __post_init__(self) -> None:
        if self.engine not in align.ENGINES:
            raise UsageError(f"engine {self.engine!r}; expected {' or '.join(align.ENGINES)}")
        if not self.e_value > 0:
            raise UsageError(f"E-value {self.e_value:g}; expected more than 0")
        for name in ("top", "least_chimeras", "least_reads"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} {getattr(self, name)}; expected 1 or more")


@dataclass(frozen=True, eq=False)
class Library:
    """What the parts of chimeras are looked for in."""

    references: References
    transcripts: align.Index

    @classmethod
    def of(cls, references: References, transcripts: Sequence[Record]) -> Library:
        """The library of miRNAs and transcripts.

        Raises:
            InputError: the transcripts are too short to be some.
        """
        length = float(np.median([len(record.sequence) for record in transcripts]))
        if length < _SHORTEST_TRANSCRIPTS:
            problem = f"sequences of {length:.0f} nt (median); expected transcripts"
            raise InputError(f"{problem}: are miRNAs and targets swapped?")
        n_nt = sum(len(record.sequence) for record in transcripts)
        return cls(references, align.Index.build(transcripts, int(np.clip(math.ceil(math.log(n_nt, 4)), *_WORDS))))


FATES = {
    "no_mirna": "no miRNA in it",
    "no_transcript": "a miRNA, and no transcript",
    "apart": "both, but not side by side: further from each other than the gap, or sharing more",
    "one_transcript": "one place of one transcript explains it as well",
    "no_isomir": "what lies beside the target differs too much from the miRNA",
    "chimera": "a chimera",
}
"""What becomes of a read, in the order of the questions asked."""


def chimeras(
    fragments: Mapping[str, Fragment], library: Library, settings: Settings | None = None, *, threads: int = 1
) -> tuple[pd.DataFrame, pd.Series]:
    """The chimeras among reads, columns `tables.CHIMERAS`, in the order of the reads and the best pair first; and the
    fate of each fragment, one of `FATES`.

    Args:
        fragments: different sequences, of `reads.collapse`.
        library: miRNAs and transcripts.
        settings: what counts as one.
        threads: cores.
    """
    settings, sequences = settings or Settings(), list(fragments)
    fates = np.full(len(sequences), "no_mirna", dtype=object)
    rows: list[tuple[Any, ...]] = []
    caller = _Caller(library.references, settings)
    search = {"e_value": settings.e_value, "engine": settings.engine, "threads": threads}
    for low in range(0, len(sequences), _AT_ONCE):
        some, fate = sequences[low : low + _AT_ONCE], fates[low : low + _AT_ONCE]
        mirna_hits = align.find(some, library.references.index, most=10, **search)  # type: ignore[arg-type]
        numbers = mirna_hits["query"].unique()
        fate[numbers] = "no_transcript"
        hits = align.find([some[i] for i in numbers], library.transcripts, most=50, **search)  # type: ignore[arg-type]
        hits["query"] = numbers[hits["query"]]
        fate[hits["query"].unique()] = "apart"
        pairs = _pairs(mirna_hits, hits, settings)
        fate[pairs["query"].unique()] = "one_transcript"
        pairs = _not_linear(pairs, hits)
        for number, group in align.by_query(pairs):
            chosen = caller.choose(some[number], group)
            fate[number] = "chimera" if chosen else "no_isomir"
            rows += [_row(some[number], fragments[some[number]], choice, n, library) for choice, n in chosen]
    return tables.table(rows, CHIMERAS), pd.Series(fates, index=sequences, dtype="str")


def _pairs(mirna_hits: pd.DataFrame, hits: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Pairs of hits side by side in a read, by read and then best first."""
    pairs = mirna_hits.merge(hits, on="query", suffixes=("", "_target"))
    first = pairs["query_start_target"] - pairs["query_end"]
    last = pairs["query_start"] - pairs["query_end_target"]
    pairs["mirna_first"] = pairs["query_start"] < pairs["query_start_target"]
    pairs["gap"] = first.where(pairs["mirna_first"], last)
    pairs = pairs[pairs["gap"].abs() <= settings.most_gap].copy()
    pairs["sum"] = pairs["score"] + pairs["score_target"]  # the product of E-values falls as this grows
    order = np.lexsort((pairs["gap"].abs(), -pairs["score"], -pairs["sum"], pairs["query"]))
    return pairs.iloc[order]


def _not_linear(pairs: pd.DataFrame, hits: pd.DataFrame) -> pd.DataFrame:
    """Without pairs of reads that one place of one transcript explains as well."""
    whole = hits.groupby("query")["score"].max()
    return pairs[pairs["sum"] > pairs["query"].map(whole)]


@dataclass(frozen=True)
class _Choice:
    """A pair of a read."""

    pair: Any
    """A row of `_pairs`."""
    isomir: Isomir
    part: tuple[int, int]
    """The miRNA part, on the read."""

    @property
    def rank(self) -> tuple[float, float, float]:
        """Least is best: both E-values, then the miRNA's, then the isomiR's changes."""
        return -self.pair.sum, -self.pair.score, self.isomir.n_changes


class _Caller:
    """Chooses the pairs of a read, with the isomiR that each miRNA part is."""

    def __init__(self, references: References, settings: Settings) -> None:
        self.references, self.settings = references, settings
        self._known: dict[tuple[str, int], Isomir | None] = {}

    def choose(self, sequence: str, pairs: Sequence[Any]) -> list[tuple[_Choice, int]]:
        """The best of pairs (rows of `_pairs`), each with how many are as good; what is no isomiR does not count."""
        found: list[_Choice] = []
        for pair in pairs:
            if len(found) >= self.settings.top and pair.sum < found[-1].pair.sum:
                break
            part = self._part(sequence, pair)
            called = self._call(sequence[slice(*part)], pair.reference)
            if called is not None:
                found.append(_Choice(pair, called, part))
        found.sort(key=lambda choice: choice.rank)
        ties = Counter(choice.rank for choice in found)
        return [(choice, ties[choice.rank]) for choice in found[: self.settings.top]]

    def _part(self, sequence: str, pair: Any) -> tuple[int, int]:
        """The miRNA part: to the read's end where that is near; nt between it and a target behind it are its 3' end."""
        near, length = self.settings.most_gap, len(self.references.mirnas[pair.reference].sequence)
        start, end = pair.query_start, pair.query_end
        if pair.mirna_first:
            start = 0 if start <= near else start - _missing(pair.start, start)
            return start, max(end, pair.query_start_target)
        rest = len(sequence) - end
        end = len(sequence) if rest <= near else end + _missing(length - pair.end, rest)
        return start - _missing(pair.start, start - pair.query_end_target), end

    def _call(self, part: str, mirna: int) -> Isomir | None:
        if (part, mirna) not in self._known:
            called = self.references.call(part, mirna)
            fits = called is not None and len(called[0].changed) <= self.settings.most_changes
            self._known[part, mirna] = called[0] if called and fits else None
        return self._known[part, mirna]


def _missing(n: int, room: int) -> int:
    """Nucleotides at an end of the miRNA that its hit leaves out, if they are few enough to be replaced ones."""
    return int(n) if n <= min(3, room) else 0


def _row(sequence: str, fragment: Fragment, choice: _Choice, n_ties: int, library: Library) -> tuple[Any, ...]:
    pair, called, part = choice.pair, choice.isomir, choice.part
    qualities = [fragment.qualities[part[0] + place] - 33 for place in called.changed] if fragment.qualities else []
    name = library.references.mirnas[pair.reference].id
    words = called.variant, ";".join(called.classes), min(qualities, default=-1)
    mirna = name, called.sequence, *part, pair.start, pair.end, *words
    target = library.transcripts.names[pair.reference_target], pair.query_start_target, pair.query_end_target
    whole = fragment.read_id, sequence, fragment.n_reads, fragment.n_molecules
    e_value = pair.e_value * pair.e_value_target
    rest = pair.start_target, pair.end_target, int(pair.mirna_first), pair.gap, e_value, n_ties
    return *whole, *mirna, *target, *rest


# ---------------------------------------------------------------------------------------------------------- confidence


def decoys(library: Library) -> Library:
    """The library with its miRNAs backwards: as many, of the same letters, and what is found of them is false."""
    backwards = tuple(Record(record.id, record.sequence[::-1]) for record in library.references.mirnas)
    return Library(References(backwards, word=library.references.word), library.transcripts)


def q_values(e_values: NDArray[np.float64], false: NDArray[np.float64]) -> NDArray[np.float64]:
    """The share of false ones expected among calls as good, for each call.

    Args:
        e_values: of the calls.
        false: of the calls of `decoys`.
    """
    order = np.argsort(e_values, kind="stable")
    ranked = e_values[order]
    n_calls = np.searchsorted(ranked, ranked, side="right")
    rates = np.searchsorted(np.sort(false), ranked, side="right") / n_calls
    q = np.empty(len(e_values))
    q[order] = np.minimum.accumulate(rates[::-1])[::-1].clip(max=1)
    return q


# -------------------------------------------------------------------------------------------------------- interactions


def supported(chimeras: pd.DataFrame, settings: Settings, *, filters: pd.DataFrame | None = None) -> pd.DataFrame:
    """Chimeras of miRNAs that are in enough of them, with column `filter`: whether their isomiR is to be believed.

    Exact miRNAs pass; others where enough reads have them with good qualities of all nucleotides that differ.

    Args:
        chimeras: columns `tables.CHIMERAS`.
        settings: what is enough.
        filters: of `_filters`, of all chimeras where these are some of them.
    """
    if filters is None:
        filters = _filters(_sums(chimeras, settings), settings)
    key = ["mirna_id", "mirna_seq"]
    return chimeras.merge(filters[[*key, "filter"]], on=key)


_ISOMIR = ["mirna_id", "mirna_seq", "variant", "classes"]


def _sums(chimeras: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Molecules, reads, and reads of good quality (`n_good`) of each isomiR in chimeras."""
    good = (chimeras["quality"] < 0) | (chimeras["quality"] >= settings.least_quality)
    counted = chimeras[[*_ISOMIR, "n_molecules", "n_reads"]].assign(n_good=chimeras["n_reads"].where(good, 0))
    return counted.groupby(_ISOMIR, as_index=False).sum()


def _filters(sums: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Those of `_sums` whose miRNA is in enough chimeras, with the column `filter`."""
    n_mirna = sums.groupby("mirna_id")["n_molecules"].transform("sum")
    kept = sums[n_mirna >= settings.least_chimeras]
    words = np.where(kept["n_reads"] >= settings.least_reads, "REJECT:quality", "REJECT:lowcount")
    passed = (kept["variant"] == "NA") | (kept["n_good"] >= settings.least_reads)
    return kept.assign(filter=pd.Series(np.where(passed, "PASS", words), index=kept.index, dtype="str"))


def interactions(
    chimeras: pd.DataFrame,
    library: Library,
    settings: Settings,
    *,
    annotation: Annotation | None = None,
    threads: int = 1,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Interactions, columns `tables.INTERACTIONS`, most molecules first; and the chimeras with a column `interaction`,
    the row of theirs, without those whose extended target is too short.

    Chimeras of the same miRNA sequence and overlapping target parts of a transcript are one. An isomiR that is not to
    be believed counts as its reference.

    Args:
        chimeras: of `supported`.
        library: what they were found in.
        settings: of the extension.
        annotation: where the transcripts lie on the genome.
        threads: processes, for duplexes that are worth it.
    """
    references = {record.id: record.sequence for record in library.references.mirnas}
    number = library.transcripts.number
    length = chimeras["target_id"].map(lambda name: library.transcripts.length(number[name])).astype("int64")
    end = np.minimum(chimeras["end"] + settings.extension, length)
    believed = chimeras["filter"] == "PASS"
    table = chimeras.assign(
        mirna_seq=chimeras["mirna_seq"].where(believed, chimeras["mirna_id"].map(references)),
        variant=chimeras["variant"].where(believed, "NA"),
        classes=chimeras["classes"].where(believed, ""),
        site_end=end,
    )
    table = table[end - table["start"] >= settings.least_target]
    key = ["mirna_id", "mirna_seq", "target_id"]
    table = table.sort_values([*key, "start", "end"], kind="stable")
    offset = table.groupby(key).ngroup() * library.transcripts.n_nt
    table["interaction"] = ligation.chains(*((offset + table[end]).to_numpy() for end in ("start", "end"))).cumsum() - 1
    groups = table.groupby("interaction", sort=True)
    found = groups.agg(
        mirna_id=("mirna_id", "first"),
        mirna_seq=("mirna_seq", "first"),
        gene_id=("target_id", "first"),
        start=("start", "min"),
        end=("site_end", "max"),
        n_reads=("n_reads", "sum"),
        n_molecules=("n_molecules", "sum"),
        n_chimeras=("read_id", "size"),
        n_mirna_first=("mirna_first", "sum"),
        variant=("variant", "first"),
        classes=("classes", "first"),
        e_value=("e_value", "min"),
        n_ties=("n_ties", "min"),
        **({"q_value": ("q_value", "min")} if "q_value" in table else {}),
    )
    places = zip(found["gene_id"], found["start"], found["end"], strict=True)
    sites = [library.transcripts.sequence(number[name], start, end) for name, start, end in places]
    found.insert(3, "target_seq", pd.Series(sites, index=found.index, dtype="str"))
    bound = ligation.duplexes(list(zip(found["mirna_seq"], sites, strict=True)), threads=threads)
    found["seed_type"] = pd.Series([seed for seed, _ in bound], index=found.index, dtype="str")
    found["mfe"] = pd.Series([mfe for _, mfe in bound], index=found.index, dtype="float64")
    if annotation is not None:
        found = annotated(found, annotation, library)
    order = _order(found)
    table["interaction"] = table["interaction"].map({old: new for new, old in enumerate(order)})
    return found.loc[order].reset_index(drop=True), table.sort_index()


def _order(interactions: pd.DataFrame) -> pd.Index:
    """Most molecules first; of equals the least E-value, then by miRNA and site."""
    by = ["n_molecules", "e_value", "mirna_id", "mirna_seq", "gene_id", "start"]
    return interactions.sort_values(by, ascending=[False, *[True] * 5]).index


def annotated(interactions: pd.DataFrame, annotation: Annotation, library: Library) -> pd.DataFrame:
    """With region and genome interval of each site, empty and -1 where the transcript is not known."""
    rows, number = [], library.transcripts.number
    for name, start, end in zip(interactions["gene_id"], interactions["start"], interactions["end"], strict=True):
        transcript = annotation.find(name)
        offset = transcript.offset(library.transcripts.length(number[name])) if transcript else None
        if transcript is None or offset is None:
            rows.append(("", "", -1, -1, ""))
            continue
        ends = transcript.to_genome([offset + start, offset + end - 1])
        middle = int(transcript.to_genome(offset + (start + end) // 2))
        where = transcript.contig, int(ends.min()), int(ends.max()) + 1, transcript.strand
        rows.append((_region(transcript.coding, transcript.strand, middle), *where))
    columns = ["region", "chrom", "chrom_start", "chrom_end", "strand"]
    return interactions.join(pd.DataFrame(rows, columns=columns, index=interactions.index))


def _region(coding: tuple[int, int] | None, strand: str, place: int) -> str:
    if coding is None:
        return "noncoding"
    if coding[0] <= place < coding[1]:
        return "CDS"
    return "5'UTR" if (place < coding[0]) == (strand == "+") else "3'UTR"


def against_noise(
    pairs: pd.DataFrame,
    chimeras: pd.DataFrame,
    library: Library,
    settings: Settings,
    *,
    threads: int = 1,
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """Both tables of `interactions`, the first with columns n_ligations and noise_fdr, without interactions of more
    than `most_noise`; and the summary of `ligation.noise`.
    """
    found = ligation.noise(chimeras, pairs, library.transcripts, extension=settings.extension, threads=threads)
    pairs = pairs.assign(n_ligations=found.n_ligations, noise_fdr=found.fdr)
    kept = pairs["noise_fdr"] <= settings.most_noise
    chimeras = chimeras[kept.to_numpy()[chimeras["interaction"]]]
    chimeras = chimeras.assign(interaction=(kept.cumsum() - 1).to_numpy()[chimeras["interaction"]])
    return pairs[kept].reset_index(drop=True), chimeras, found.summary


def positions(pairs: pd.DataFrame, library: Library) -> dict[str, Any]:
    """Where the sites of interactions lie: how many in each region where that is known, else how many in each tenth of
    their transcripts, by their middles.
    """
    if "region" in pairs:
        counts = pairs["region"].replace("", "unknown").value_counts()
        return {"region": {name: int(counts[name]) for name in (*REGIONS, "unknown") if name in counts}}
    number = library.transcripts.number
    length = np.array([library.transcripts.length(number[name]) for name in pairs["gene_id"]], dtype=np.int64)
    tenth = 5 * (pairs["start"] + pairs["end"]).to_numpy(np.int64) // length
    return {"tenth": np.bincount(tenth.clip(max=9), minlength=10).tolist()}


REGIONS = ("5'UTR", "CDS", "3'UTR", "noncoding")


def isomir_table(chimeras: pd.DataFrame, references: References) -> pd.DataFrame:
    """The miRNA parts of chimeras (of `supported`) as `tables.ISOMIRS`."""
    numbers = {record.id: i for i, record in enumerate(references.mirnas)}
    rows = []
    sums = chimeras.groupby(["mirna_id", "mirna_seq", "filter"], as_index=False)["n_reads"].sum()
    for name, sequence, keep, n_reads in sums.itertuples(index=False, name=None):
        called = references.call(sequence, numbers[name])
        assert called is not None  # it was called when its read was
        rows.append(isomir.row(called[0], name, *called[1:], n_reads, keep, 1))
    return isomir.ordered(rows)


# --------------------------------------------------------------------------------------------------------------- files

FILES = (
    "interactions.tsv",
    "interactions.hyb",
    "targets.bed",
    "isomirs.gff3",
    "pairs.tsv",
    "report.json",
    "report.html",
)
GENOME_FILE = "targets.genome.bed"
"""One more, where transcripts lie on a genome."""


@dataclass(frozen=True)
class _HasMirna:
    """Says which sequences hold a miRNA, of any of several lists."""

    indexes: tuple[align.Index, ...]
    settings: Settings

    def __call__(self, sequences: list[str]) -> set[int]:
        search = {"e_value": self.settings.e_value, "engine": self.settings.engine, "most": 1}
        return {n for index in self.indexes for n in align.find(sequences, index, **search)["query"]}  # type: ignore[arg-type]


def search_files(
    path: str | Path,
    library: Library,
    folder: Path,
    *,
    settings: Settings | None = None,
    preparation: reads.Preparation | None = None,
    annotation: Annotation | None = None,
    name: str = "",
    database: str = "miRBase",
    threads: int = 1,
    resume: bool = False,
    progress: parts.Progress = parts.no_progress,
) -> dict[str, Any]:
    """Write `FILES` of a FASTQ file's chimeras to `folder`; what `report.json` holds.

    Three passes, whose finished parts wait in `folder/unfinished`: reads are made ready, part by part, and those that
    may hold a miRNA kept, in shares by their sequence; chimeras are found in each share, and kept in shares by their
    transcript; interactions are made of each of these. The outputs are made of them at the end. All but the table of
    interactions is never in memory at once.

    Args:
        path: a file, since it is read twice.
        library: miRNAs and transcripts.
        folder: made if needed.
        settings: what counts as a chimera.
        preparation: of the reads.
        annotation: where the transcripts lie on the genome.
        name: of the file, for the reports; what is before its first point names the specimen.
        database: of the miRNAs, for the GFF3.
        threads: processes, for files that are worth it.
        resume: use the finished parts of an interrupted run.
        progress: shows how far each pass is.

    Raises:
        InputError: bad input.
        UsageError: BLAST+ is asked for and not installed; `folder` holds an unfinished run that is not to be resumed,
            or is another one.
    """
    settings, preparation = settings or Settings(), preparation or reads.Preparation()
    name = name or Path(path).name
    engine: dict[str, str] = {"name": settings.engine}
    if settings.engine == "blast":
        engine["version"] = align.blast_version()
    identity = {
        "reads": runs.checksum(path),
        "mirnas": library.references.fingerprint(),
        "transcripts": library.transcripts.fingerprint(),
        "engine": engine,
        "settings": asdict(settings),
        "preparation": asdict(preparation),
    }
    index = library.references.index
    with parts.unfinished(folder, identity, what="search", source=path, resume=resume) as here:
        library = replace(library, transcripts=library.transcripts.kept_in(here / "transcripts"))
        backwards = decoys(library)
        keep = _HasMirna((index, backwards.references.index), settings)
        with progress("reading", None) as report:
            ready, summary = reads.make_ready(path, index, preparation, here, keep=keep, threads=threads, report=report)

        def passed(function: Callable[[Any, int, Path], None], shared: Any, what: str) -> list[Path]:
            how: dict[str, Any] = {"what": what, "processes": reads.processes_for(path, threads)}
            with progress(what, ready.n_shares) as report:
                return parts.carry_out(function, shared, range(ready.n_shares), here, report=report, **how)

        found = passed(_find, _Finding(ready, library, backwards, settings), "chimeras")
        confidence = _Confidence.of(found, settings)
        sums, first = _summed(found, confidence, settings)
        filters, n_ranges = _filters(sums, settings), 1 + len(ready.paths) * reads.AT_ONCE // _RANGE
        joined = passed(_join, _Joining(found, library, settings, confidence, filters, n_ranges), "interactions")
        pairs = parts.read(joined)
        order = _order(pairs)
        pairs, kept = pairs.loc[order].reset_index(drop=True), _Kept(joined, n_ranges, np.argsort(order))
        numbered = pairs.assign(row=pairs.index)
        pairs, _, noise = against_noise(numbered, kept.table(_LIGATED), library, settings, threads=threads)
        kept = kept.of(pairs.pop("row").to_numpy())
        if annotation is not None:
            pairs = annotated(pairs, annotation, library)
        fates = Counter({"no_mirna": ready.counts["kept"] - ready.counts["taken"]})
        for part in found:
            fates.update(parts.notes(part))
        _write_tables(pairs, folder)
        io.write_hyb(kept.by_read(pairs, fates), folder / "interactions.hyb")
        isomirs = isomir_table(filters, library.references)
        io.write_mirgff3(isomirs, folder / "isomirs.gff3", sample=name.split(".")[0], database=database)
        ends = (*FATES, "chimera_of_decoys", "of_frequent_mirnas", "in_interactions")
        record = {
            "file": name,
            "reads": summary,
            "engine": engine,
            "n_reads": {end: fates[end] for end in ends},
            "n_molecules": int(first["n_molecules"].sum()),
            "n_interactions": len(pairs),
            "mirna_first": int(first["n_mirna_first"].sum()),
            "mirnas": {str(name): int(n) for name, n in _ranks(first, "mirna_id").items()},
            "classes": isomir.class_counts(first),
            "noise": noise,
            "positions": positions(pairs, library),
            "settings": asdict(settings),
            "run": runs.environment(),
        }
        runs.write_json(folder / "report.json", record)
        reports.chimeras(record, pairs, FATES).write(folder / "report.html")
    return record


def _write_tables(pairs: pd.DataFrame, folder: Path) -> None:
    tables.check(pairs, INTERACTIONS)
    columns = [column.name for column in INTERACTIONS if column.name in pairs]
    io.write_tsv(pairs, folder / "interactions.tsv", columns)
    io.write_bed(_bed(pairs.assign(strand="+")), folder / "targets.bed")
    if "chrom" in pairs:
        known = pairs[pairs["chrom"] != ""]
        on_genome = known.assign(gene_id=known["chrom"], start=known["chrom_start"], end=known["chrom_end"])
        io.write_bed(_bed(on_genome), folder / GENOME_FILE)
    columns = ["mirna_id", "mirna_seq", "gene_id", "target_seq", "label"]
    io.write_tsv(pairs.assign(label=1), folder / "pairs.tsv", columns)


@dataclass(frozen=True)
class _Finding:
    """What is needed to find chimeras."""

    ready: reads.Ready
    library: Library
    backwards: Library
    settings: Settings


def _find(finding: _Finding, share: int, path: Path) -> None:
    """The chimeras of a share of the reads, with `order` of the read and `rank` of the pair in it; and the E-values of
    false ones.
    """
    fragments, orders = finding.ready.fragments(share)
    found, fates = chimeras(fragments, finding.library, finding.settings)
    false, _ = chimeras(fragments, finding.backwards, finding.settings)
    n_reads = pd.Series([fragment.n_reads for fragment in fragments.values()], index=fates.index, dtype="int64")
    counts = {str(fate): int(n) for fate, n in n_reads.groupby(fates).sum().items()}
    counts["chimera_of_decoys"] = int(false.drop_duplicates("read_seq")["n_reads"].sum())
    order = found["read_seq"].map(pd.Series(orders, index=fates.index, dtype="int64")).astype("int64")
    found = found.assign(order=order, rank=found.groupby("read_seq").cumcount())
    n_shares = finding.ready.n_shares
    parts.write(_decoys_of(path), false[["e_value"]], np.zeros(len(false), dtype=np.int64), 1)
    parts.write(path, found, parts.share(found["target_id"], n_shares), n_shares, counts)


def _decoys_of(path: Path) -> Path:
    return path.with_suffix(".decoys")


_RANGE = 500_000  # reads whose chimeras are written together


@dataclass(frozen=True, eq=False)
class _Confidence:
    """The q-value that each E-value has among all chimeras."""

    e_values: NDArray[np.float64]
    """Different ones, rising."""
    q_values: NDArray[np.float64]
    most_false: float

    @classmethod
    def of(cls, paths: Sequence[Path], settings: Settings) -> _Confidence:
        """Of the files of `_find`."""
        false = parts.read([_decoys_of(path) for path in paths])["e_value"].to_numpy()
        every = parts.read(paths, columns=["e_value"])["e_value"].to_numpy()
        different, first = np.unique(every, return_index=True)
        return cls(different, q_values(every, false)[first], settings.most_false)

    def among(self, chimeras: pd.DataFrame) -> pd.DataFrame:
        """Chimeras with the column `q_value`, without those that are too likely to be false."""
        q = self.q_values[np.searchsorted(self.e_values, chimeras["e_value"])]
        return chimeras.assign(q_value=q)[q <= self.most_false]


@dataclass(frozen=True, eq=False)
class _Joining:
    """What is needed to join chimeras to interactions."""

    paths: list[Path]
    """Of `_find`."""
    library: Library
    settings: Settings
    confidence: _Confidence
    filters: pd.DataFrame
    """Of `_filters`, of all chimeras."""
    n_ranges: int
    """Of `_RANGE` reads, in the order of the file."""


def _summed(paths: Sequence[Path], confidence: _Confidence, settings: Settings) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Of the files of `_find`: `_sums` of all chimeras that are not too likely to be false; reads, molecules and reads
    with the miRNA first (`n_mirna_first`) of each isomiR in the best pairs of all.
    """
    columns = [*_ISOMIR, "n_reads", "n_molecules", "quality", "mirna_first", "e_value", "rank"]
    sums, firsts = [], []
    for path in paths:
        found = parts.read([path], columns=columns)
        sums.append(_sums(confidence.among(found), settings))
        first = found[found["rank"] == 0]
        first = first.assign(n_mirna_first=first["n_reads"].where(first["mirna_first"] == 1, 0))
        firsts.append(first[[*_ISOMIR, "n_reads", "n_molecules", "n_mirna_first"]])
    both = (pd.concat(some).groupby(_ISOMIR, as_index=False).sum() for some in (sums, firsts))
    return next(both), next(both)


def _join(joining: _Joining, share: int, path: Path) -> None:
    """The interactions of a share of the transcripts; and its believed chimeras, with the row of their `interaction`
    (-1: too short), in shares by the place of the read in its file.
    """
    found = parts.read(joining.paths, share).sort_values(["order", "rank"], ignore_index=True)
    believed = supported(joining.confidence.among(found), joining.settings, filters=joining.filters)
    pairs, kept = interactions(believed, joining.library, joining.settings)
    believed["interaction"] = kept["interaction"].reindex(believed.index, fill_value=-1).astype("int64")
    believed.loc[kept.index, "mirna_seq"] = kept["mirna_seq"]
    ranges = believed["order"].to_numpy() // _RANGE
    parts.write(_believed_of(path), believed[_SHOWN], ranges, joining.n_ranges)
    parts.write(path, pairs, np.zeros(len(pairs), dtype=np.int64), 1)


_SHOWN = ["order", "rank", "read_seq", "n_reads", "n_molecules", "mirna_id", "mirna_seq", "mirna_start", "mirna_end"]
_SHOWN += ["reference_start", "reference_end", "target_id", "target_start", "target_end", "start", "end", "mirna_first"]
_SHOWN += ["interaction"]


def _believed_of(path: Path) -> Path:
    return path.with_suffix(".believed")


_LIGATED = ["mirna_id", "mirna_seq", "target_id", "start", "end", "n_reads"]
"""What `ligation.noise` asks of chimeras."""


@dataclass(frozen=True, eq=False)
class _Kept:
    """The chimeras in interactions, in files."""

    paths: list[Path]
    """Of `_join`."""
    n_ranges: int
    rows: NDArray[np.int64]
    """Of each interaction of the files, one after the other, its row in the table of all; -1: left out."""

    def of(self, rows: NDArray[np.int64]) -> _Kept:
        """Those in interactions of these rows, which are their table from now on."""
        new = np.full(len(self.rows), -1)
        new[rows] = np.arange(len(rows))
        return replace(self, rows=new[self.rows])

    def table(self, columns: Sequence[str]) -> pd.DataFrame:
        """These columns of all of them; `interaction` is the row of the table of all."""
        found = pd.concat(self._each(None, [*columns, "interaction"]), ignore_index=True)
        return found[found["interaction"] >= 0]

    def by_read(self, interactions: pd.DataFrame, counts: Counter[str]) -> Iterator[pd.DataFrame]:
        """They, with `mfe`, in the order of the reads, in chunks; adds to `counts` reads of frequent miRNAs, and of
        those the ones in interactions.
        """
        for number in range(self.n_ranges):
            believed = pd.concat(self._each(number)).sort_values(["order", "rank"])
            kept = believed[believed["interaction"] >= 0]
            counts["of_frequent_mirnas"] += int(believed.drop_duplicates("order")["n_reads"].sum())
            counts["in_interactions"] += int(kept.drop_duplicates("order")["n_reads"].sum())
            yield kept.assign(mfe=interactions["mfe"].to_numpy()[kept["interaction"]])

    def _each(self, share: int | None, columns: Sequence[str] | None = None) -> Iterator[pd.DataFrame]:
        """A share of each file (`None`: all of it), with the rows of the table of all."""
        first = 0
        for path in self.paths:
            found, own = parts.read([_believed_of(path)], share, columns), self.rows[first : first + parts.n_rows(path)]
            first += len(own)
            place = found["interaction"].to_numpy()
            yield found.assign(interaction=np.where(place >= 0, np.append(own, -1)[place], -1))


def _ranks(chimeras: pd.DataFrame, column: str) -> pd.Series:
    return chimeras.groupby(column)["n_molecules"].sum().sort_values(ascending=False, kind="stable")


def _bed(pairs: pd.DataFrame) -> pd.DataFrame:
    """Sites as `io.write_bed` takes them: the BED's score is the molecules, 1000 at most."""
    score = pairs["n_molecules"].clip(upper=1000) / 1000
    columns = ["mirna_id", "start", "end", "seed_type", "strand"]
    sites = pairs[columns].assign(target_id=pairs["gene_id"], score=score)
    return sites.sort_values(["target_id", "start", "end", "mirna_id"])
