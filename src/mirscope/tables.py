"""The tables that pass between modules: their columns, kinds and units, checked once at the door."""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from mirscope.errors import InputError, TableError


@dataclass(frozen=True)
class Column:
    """A column: its name, kind (`text`, `integer`, `number`, `label`, `score`), whether it must be there, meaning."""

    name: str
    kind: str
    meaning: str
    required: bool = True


PAIRS = (
    Column("mirna_id", "text", "name of the miRNA", required=False),
    Column("mirna_seq", "text", "miRNA, 5'->3'"),
    Column("gene_id", "text", "gene or transcript of the target", required=False),
    Column("target_seq", "text", "target, 5'->3'"),
    Column("label", "label", "1 binds, 0 does not", required=False),
    Column("split", "text", "train, valid or test", required=False),
)
"""A pair of a miRNA and a target, as examples to learn from or to score."""

HAIRPINS = (
    Column("hairpin_id", "text", "name of the hairpin", required=False),
    Column("hairpin_seq", "text", "hairpin, 5'->3'"),
    Column("structure", "text", "its fold in dot-bracket; empty: not given", required=False),
    Column("label", "label", "1 is a pre-miRNA, 0 is not", required=False),
    Column("split", "text", "train, valid or test", required=False),
)
"""A hairpin, as examples to learn from or to score."""

CALLS = (
    Column("id", "text", "name of the hairpin"),
    Column("score", "score", "probability that it is a pre-miRNA"),
    Column("call", "label", "1: of the threshold or more, and with a base pair at least"),
    Column("length", "integer", "of the hairpin, nt"),
    Column("mfe", "number", "energy of the structure, kcal/mol; the least there is, unless the structure was given"),
    Column("structure", "text", "the fold in dot-bracket"),
    Column("loop_start", "integer", "first nt of the loop that closes the main stem, 0-based; -1: nothing pairs"),
    Column("loop_end", "integer", "after the last nt of that loop, 0-based; -1: nothing pairs"),
    Column("arm_5p_start", "integer", "first nt of the mature miRNA of the 5' arm, 0-based; -1: none"),
    Column("arm_5p_end", "integer", "after the last nt of it, 0-based; -1: none"),
    Column("arm_3p_start", "integer", "first nt of the mature miRNA of the 3' arm, 0-based; -1: none"),
    Column("arm_3p_end", "integer", "after the last nt of it, 0-based; -1: none"),
    Column("mature_5p", "text", "the mature miRNA of the 5' arm, 5'->3'; empty: none"),
    Column("mature_3p", "text", "the mature miRNA of the 3' arm, 5'->3'; empty: none"),
    Column("hairpin_seq", "text", "hairpin, 5'->3'"),
)
"""What is said of a hairpin: whether it is a pre-miRNA, its fold, its mature miRNAs; in the order of the hairpins."""

LOCI = (
    Column("id", "text", "name of the locus; those of its mature miRNAs end with -5p and -3p"),
    Column("chrom", "text", "sequence of the genome"),
    Column("start", "integer", "first nt of the hairpin, 0-based"),
    Column("end", "integer", "after the last nt of the hairpin, 0-based"),
    Column("strand", "text", "+ or -"),
    Column("score", "score", "probability that it is a pre-miRNA"),
    Column("fp_per_mb", "number", "loci as good in a Mb of shuffled sequence, both strands, expected", required=False),
    Column("n_candidates", "integer", "called hairpins that it stands for, itself included"),
    Column("known", "text", "known miRNAs in it, joined by ; and empty: none"),
    Column("n_reads", "integer", "reads within it, of its strand", required=False),
    Column("n_reads_5p", "integer", "those on the mature miRNA of the 5' arm", required=False),
    Column("n_reads_3p", "integer", "those on the mature miRNA of the 3' arm", required=False),
    Column("homogeneity_5p", "number", "share of n_reads_5p that start at the most frequent nt", required=False),
    Column("homogeneity_3p", "number", "share of n_reads_3p that start at the most frequent nt", required=False),
    Column("mature_5p_start", "integer", "first nt of the mature miRNA of the 5' arm on chrom, 0-based; -1: none"),
    Column("mature_5p_end", "integer", "after the last nt of it on chrom; -1: none"),
    Column("mature_3p_start", "integer", "first nt of the mature miRNA of the 3' arm on chrom, 0-based; -1: none"),
    Column("mature_3p_end", "integer", "after the last nt of it on chrom; -1: none"),
    *(column for column in CALLS if column.name not in ("id", "score", "call")),
)
"""A place of a genome that may make a miRNA: its hairpin as of `CALLS`; in order of sequence, start, strand."""

ISOMIRS = (
    Column("sequence", "text", "as read, 5'->3'"),
    Column("uid", "text", "name that the sequence determines: iso-, its length, its MINTplate"),
    Column("mirna_id", "text", "name of the reference miRNA"),
    Column("hairpin_id", "text", "hairpin that it was placed on; empty: none known"),
    Column("start", "integer", "first templated nt on the hairpin, or on the miRNA where none is known, 0-based"),
    Column("end", "integer", "after the last templated nt there"),
    Column("variant", "text", "the field's words (mirGFF3 1.2), joined by commas; NA: the reference itself"),
    Column("cigar", "text", "M a match, I an added nt, a letter the template's own where another was read"),
    Column("classes", "text", "of the eight of DMISO's paper, joined by ; and empty: exact"),
    Column("n_hits", "integer", "miRNAs that explain it as well, this one included"),
    Column("n_reads", "integer", "reads"),
    Column("filter", "text", "PASS, or REJECT: and why"),
)
"""A sequence read of a miRNA; in order of miRNA, most reads first."""

CHIMERAS = (
    Column("read_id", "text", "the first read of this sequence"),
    Column("read_seq", "text", "read, trimmed, 5'->3'"),
    Column("n_reads", "integer", "reads of this sequence"),
    Column("n_molecules", "integer", "of them, those of one UMI as one"),
    Column("mirna_id", "text", "name of the miRNA"),
    Column("mirna_seq", "text", "miRNA part as read, 5'->3'"),
    Column("mirna_start", "integer", "first nt of it in the read, 0-based"),
    Column("mirna_end", "integer", "after the last nt of it in the read"),
    Column("reference_start", "integer", "first nt of the miRNA that aligns, 0-based"),
    Column("reference_end", "integer", "after the last nt of the miRNA that aligns"),
    Column("variant", "text", "as in ISOMIRS"),
    Column("classes", "text", "as in ISOMIRS"),
    Column("quality", "integer", "lowest of a nt of it that is not the miRNA's; -1: none such, or not known"),
    Column("target_id", "text", "id of the transcript"),
    Column("target_start", "integer", "first nt of the target part in the read, 0-based"),
    Column("target_end", "integer", "after the last nt of it in the read"),
    Column("start", "integer", "first nt of the target part on the transcript, 0-based"),
    Column("end", "integer", "after the last nt of it on the transcript"),
    Column("mirna_first", "label", "1: the miRNA is the 5' part of the read"),
    Column("gap", "integer", "nt between the parts; below 0: shared by them"),
    Column("e_value", "number", "product of both parts' E-values"),
    Column("n_ties", "integer", "pairs as good, this one included"),
    Column("q_value", "score", "share of false ones expected among chimeras as good", required=False),
)
"""A read of a miRNA joined to its target; in the order of the reads."""

TRUTH = (
    Column("read_id", "text", "name of the read"),
    Column("molecule", "integer", "reads of one number are copies"),
    Column("kind", "text", "chimera, noise (parts joined at random), target_alone or mirna_alone"),
    Column("mirna_id", "text", "name of the miRNA; empty: none"),
    Column("mirna_seq", "text", "miRNA part, 5'->3'"),
    Column("variant", "text", "as in ISOMIRS"),
    Column("classes", "text", "as in ISOMIRS"),
    Column("target_id", "text", "id of the transcript; empty: none"),
    Column("start", "integer", "first nt of the target part on it, 0-based; -1: none"),
    Column("end", "integer", "after the last nt of it; -1: none"),
    Column("mirna_first", "label", "1: the miRNA is the 5' part"),
)
"""What a simulated read is; in the order of the reads."""

INTERACTIONS = (
    Column("mirna_id", "text", "name of the miRNA"),
    Column("mirna_seq", "text", "miRNA or isomiR, 5'->3'"),
    Column("gene_id", "text", "id of the transcript"),
    Column("target_seq", "text", "site, extended, 5'->3'"),
    Column("start", "integer", "first nt of the site on the transcript, 0-based"),
    Column("end", "integer", "after the last nt of the site, extension included"),
    Column("n_reads", "integer", "reads"),
    Column("n_molecules", "integer", "reads, those of one sequence and UMI as one"),
    Column("n_chimeras", "integer", "different reads"),
    Column("n_mirna_first", "integer", "different reads with the miRNA at the 5' end"),
    Column("variant", "text", "as in ISOMIRS"),
    Column("classes", "text", "as in ISOMIRS"),
    Column("seed_type", "text", "best seed match within the site; empty: none"),
    Column("mfe", "number", "energy of the best duplex, kcal/mol"),
    Column("e_value", "number", "least product of both parts' E-values"),
    Column("n_ties", "integer", "places as good as the one chosen, least of its reads"),
    Column(
        "q_value", "score", "share of false ones expected among chimeras as good, least of its reads", required=False
    ),
    Column("n_ligations", "integer", "molecules of other ends, by 4 nt or more", required=False),
    Column("noise_fdr", "score", "share of chance ligations expected among interactions as good", required=False),
    Column("region", "text", "5'UTR, CDS, 3'UTR or noncoding; empty: not known", required=False),
    Column("chrom", "text", "chromosome; empty: not known", required=False),
    Column("chrom_start", "integer", "first nt on the chromosome, introns within; -1: not known", required=False),
    Column("chrom_end", "integer", "after the last nt there; -1: not known", required=False),
    Column("strand", "text", "of the transcript", required=False),
)
"""A miRNA and a site that were ligated; most molecules first."""

SITES = (
    Column("mirna_id", "text", "name of the miRNA"),
    Column("target_id", "text", "id of the transcript"),
    Column("start", "integer", "first nt of the site, 0-based"),
    Column("end", "integer", "after the last nt of the site, 0-based"),
    Column("strand", "text", "+: the transcript as given"),
    Column("score", "score", "the window's probability"),
    Column("n_windows", "integer", "hits merged into it, itself included"),
    Column("seed_type", "text", "best seed match within the site; empty: none"),
    Column("seed_start", "integer", "first nt of that seed match, 0-based; -1: none"),
    Column("fp_per_kb", "number", "sites as good in a kb of shuffled transcript, expected", required=False),
    Column("q_value", "number", "share of false ones among this miRNA's sites as good, expected", required=False),
    Column("occupancy", "score", "share of time that the miRNA holds it, of the head for repression", required=False),
    Column("mfe", "number", "energy of the best duplex within the site, kcal/mol", required=False),
    Column("seed_pairing", "number", "probability that miRNA nt 2-8 are paired, mean", required=False),
    Column("supplementary_pairing", "number", "probability that miRNA nt 13-16 are paired, mean", required=False),
    Column("duplex_start", "integer", "first paired nt of the duplex, 0-based; -1: no duplex", required=False),
    Column("duplex_target", "text", "the duplex drawn: target 5'->3'", required=False),
    Column("duplex_pairs", "text", "the duplex drawn: | Watson-Crick, : G-U", required=False),
    Column("duplex_mirna", "text", "the duplex drawn: miRNA 3'->5'", required=False),
)
"""A stretch of a transcript that may be bound; in order of transcript, miRNA, start."""

GENES = (
    Column("mirna_id", "text", "name of the miRNA"),
    Column("target_id", "text", "id of the transcript"),
    Column("score", "number", "what the rank is by"),
    Column("max_score", "score", "the best site's score"),
    Column("noisy_or", "score", "1 - prod(1 - score) over sites, taken as independent"),
    Column("n_sites", "integer", "sites"),
    Column("repression", "number", "sum of the sites' occupancies: higher is more repressed", required=False),
    Column("rank", "integer", "1 is the best target of this miRNA"),
)
"""A transcript with at least one site of a miRNA; in order of miRNA, rank."""


_EXPECTED = {
    "text": "a text",
    "integer": "an integer",
    "number": "a number",
    "label": "0 or 1",
    "score": "a number from 0 to 1",
}


_DTYPES = {"text": "str", "integer": "int64", "number": "float64", "label": "int64", "score": "float64"}


def table(rows: Sequence[Sequence[object]], columns: tuple[Column, ...]) -> pd.DataFrame:
    """Rows of values in the order of the required columns, each of its kind, whether there are rows or none."""
    given = [column for column in columns if column.required]
    named = pd.DataFrame(rows, columns=[column.name for column in given])
    return named.astype({column.name: _DTYPES[column.kind] for column in given})


def check(table: pd.DataFrame, columns: tuple[Column, ...], *, path: str | Path | None = None) -> None:
    """Raise `TableError` unless the table has every required column and every value is of its column's kind.

    Line numbers in the errors assume one header line and one line a row.
    """
    missing = [column.name for column in columns if column.required and column.name not in table]
    if missing:
        found = ", ".join(map(str, table.columns)) or "no columns"
        raise TableError(f"no column {', '.join(missing)}; found {found}", path=path, line=1)
    for column in columns:
        if column.name not in table:
            continue
        values = table[column.name]
        if column.kind == "text":
            bad = values.isna()
        else:
            numbers = pd.to_numeric(values, errors="coerce")
            bad = numbers.isna()
            if column.kind == "label":
                bad |= ~numbers.isin([0, 1])
            elif column.kind == "score":
                bad |= (numbers < 0) | (numbers > 1)
            elif column.kind == "integer":
                bad |= numbers % 1 != 0
        if bad.any():
            row = int(bad.to_numpy().argmax())
            value = values.iloc[row]
            value = reprlib.repr(value.item() if hasattr(value, "item") else value)  # 2, not np.int64(2)
            expected = _EXPECTED[column.kind]
            raise TableError(f"{value} in column {column.name}; expected {expected}", path=path, line=row + 2)


def labelled(pairs: pd.DataFrame) -> pd.DataFrame:
    """Checked pairs (hairpins where there is a column `hairpin_seq`) with integer labels 0 or 1, rows numbered from 0.

    Raises:
        TableError: a column is missing, labels included, or holds what it should not.
        InputError: no pairs.
    """
    hairpins = "hairpin_seq" in pairs
    if hairpins and "structure" not in pairs:
        pairs = pairs.assign(structure="")
    check(pairs, HAIRPINS if hairpins else PAIRS)
    if "label" not in pairs:
        raise TableError(f"no column label; found {', '.join(map(str, pairs.columns))}")
    if not len(pairs):
        what = "hairpin" if hairpins else "pair"
        raise InputError(f"no {what}s; expected at least one labelled {what}")
    return pairs.assign(label=pd.to_numeric(pairs["label"]).astype(int)).reset_index(drop=True)
