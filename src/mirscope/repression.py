"""Sites to repression: how much a miRNA lowers a transcript, from all its sites there (the functional head).

Binding is not repression: what a site does to its mRNA depends on its seed match and on where it stands. The head gives
each site an affinity K, reads off how much of the time a free miRNA of level c holds it, and adds that up:

    ln K  = class + rarity log10(kb per false site) + length log10(transcript / 1 kb) + place p + local_au (AU - .6)
    score = sum over sites of c K / (1 + c K)

with p the place along the transcript (0 its start, 1 its end) and AU the local share of A and U, near nucleotides
counted more. The coefficients, trained by `recipes/genes.py`, are in `weights/repression.json`. A site's strength comes
in as its rate of false sites, which means the same for every miRNA and every model that finds sites.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mirscope import rna, tables
from mirscope.errors import TableError, UsageError, WeightsError
from mirscope.io import Record
from mirscope.tables import Column

Array = NDArray[np.float64]

HEAD = Path(__file__).parent / "weights" / "repression.json"
"""The head that comes with the package; its card is beside it."""
CLASSES = (*(kind.name for kind in rna.SEED_TYPES), "none")
"""Kinds of sites, by their best seed match."""
MEAN_AU = 0.6
SITE = 8
"""nt of the target opposite the seed, which the local AU does not count."""
FLANK = 30
"""nt on either side of them, which it does."""
SHORTEST = 50
"""nt; shorter transcripts count as so long."""
RAREST = 1e-30
"""False sites per kb; rarer sites count as so rare, those whose rate is too low for a number among them."""

CONTEXT = (
    Column("target_length", "integer", "nt of the transcript"),
    Column("relative_place", "score", "where the site's nt opposite the miRNA's first is: 0 the start, 1 the end"),
    Column("local_au", "score", "share of A and U beside the site, near nt counted more"),
)
"""What `annotate` adds to the columns of `tables.SITES`."""
NEEDED = (
    *(column for column in tables.SITES if column.name in ("seed_type", "fp_per_kb")),
    *CONTEXT,
)
"""What the head sees of a site."""
Isoforms = Literal["mean", "max", "longest"]


@dataclass(frozen=True)
class Head:
    """The coefficients of ln K, each what its column adds a unit; `predict.genes` sums what it says of sites."""

    classes: Mapping[str, float]
    """Of each of `CLASSES`: ln K of a site of 1 false site per kb, at the start of 1 kb, amid 60 % A and U."""
    rarity: float
    """Of a site with a seed match, a tenfold lower rate of false sites."""
    rarity_none: float
    """The same of a site without."""
    length: float
    """A tenfold longer transcript."""
    place: float
    """From the start of the transcript to its end."""
    local_au: float
    """From no A or U beside the site to nothing else."""
    fp_per_kb: float
    """The head was trained with the sites that have at most so many false ones per kb: look for those."""

    def affinity(self, sites: pd.DataFrame) -> Array:
        """ln K (n,) of sites with the columns of `NEEDED`; the unit of K is 1 / level in the training experiments.

        Raises:
            TableError: a column is missing, a seed type is none of ours, or a rate is below 0.
        """
        tables.check(sites, tuple(replace(column, required=True) for column in NEEDED))
        kind = pd.Index(CLASSES).get_indexer(pd.Index(sites["seed_type"].replace("", "none")))
        if (kind < 0).any():
            known = ", ".join(CLASSES[:-1])
            raise TableError(f"seed_type {sites['seed_type'].iloc[int((kind < 0).argmax())]!r}; expected {known} or ''")
        rate = sites["fp_per_kb"].to_numpy(np.float64)
        if (rate < 0).any():
            raise TableError(f"{rate[rate < 0][0]} in column fp_per_kb; expected a rate from 0 up")
        slope = np.where(kind == CLASSES.index("none"), self.rarity_none, self.rarity)
        length = np.maximum(sites["target_length"].to_numpy(np.float64), SHORTEST)
        return (
            np.array([self.classes[name] for name in CLASSES])[kind]
            - slope * np.log10(np.maximum(rate, RAREST))
            + self.length * np.log10(length / 1000)
            + self.place * sites["relative_place"].to_numpy(np.float64)
            + self.local_au * (sites["local_au"].to_numpy(np.float64) - MEAN_AU)
        )

    def occupancy(self, sites: pd.DataFrame, *, level: float = 1.0) -> Array:
        """The share of time (n,) that each site is held, 0 to 1; columns as `affinity`.

        Args:
            sites: of any miRNAs and transcripts, any order.
            level: free miRNA, 1 as in the experiments the head was trained on (transfections, mostly).
        """
        if not level > 0:
            raise UsageError(f"level of free miRNA is {level}; expected a number above 0")
        return 1 / (1 + np.exp(-self.affinity(sites) - np.log(level)))


def load(path: str | Path = HEAD) -> Head:
    """The head of a file, by default the one that comes with the package.

    Raises:
        WeightsError: the file is missing, or not a head.
    """
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))["head"]
        classes = {name: float(found["classes"][name]) for name in CLASSES}
        return Head(classes, **{name: float(value) for name, value in found.items() if name != "classes"})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"not the coefficients of a head ({error})", path=path) from error


def annotate(sites: pd.DataFrame, transcripts: Mapping[str, NDArray[np.int8]]) -> pd.DataFrame:
    """The sites with the columns of `CONTEXT`.

    Args:
        sites: columns of `tables.SITES`; any order.
        transcripts: codes (length,) of each target.
    """
    place = places(sites)
    context = np.empty((len(CONTEXT), len(sites)))
    for target, rows in sites.groupby("target_id", sort=False, observed=True).indices.items():
        codes = transcripts[str(target)]
        at = place[rows].clip(0, len(codes) - 1)
        context[:, rows] = np.full(len(rows), len(codes)), at / len(codes), local_au(codes)[at]
    length, relative, au = context
    return sites.assign(target_length=length.astype(np.int64), relative_place=relative, local_au=au)


def places(sites: pd.DataFrame) -> NDArray[np.int64]:
    """The nt of the target opposite the miRNA's first nt: by the seed match, else where windows are made to have it."""
    beyond = {kind.name: rna.seed_interval(0, kind)[1] - rna.seed_interval(0, kind)[0] for kind in rna.SEED_TYPES}
    last = {kind.name: beyond[kind.name] + (0 if kind.a1 else kind.first - 1) - 1 for kind in rna.SEED_TYPES}
    by_seed = sites["seed_start"].to_numpy(np.int64) + sites["seed_type"].map(last).fillna(0).to_numpy(np.int64)
    middle = (sites["start"].to_numpy(np.int64) + sites["end"].to_numpy(np.int64)) // 2
    return np.where(sites["seed_start"].to_numpy(np.int64) >= 0, by_seed, middle + 10)


def local_au(codes: NDArray[np.int8]) -> Array:
    """The share of A and U beside a site whose nt opposite the miRNA's first is each of these, (length,).

    Of 30 nt upstream of the 8 opposite the seed, and of 30 downstream, a nt d away weighing 1 / (d + 1) (as in Grimson
    et al. 2007); N and what is beyond the ends do not count; `MEAN_AU` where nothing does.
    """
    weights = 1 / (np.arange(1, FLANK + 1) + 1)
    beside = np.concatenate([weights[::-1], np.zeros(SITE), weights])  # upstream, the site, downstream
    known = np.pad((codes != rna.N).astype(np.float64), (FLANK + SITE - 1, FLANK))
    is_au = np.isin(np.pad(codes, (FLANK + SITE - 1, FLANK), constant_values=rna.N), (0, 3))
    total = np.correlate(known, beside)
    return np.divide(np.correlate(is_au, beside), total, out=np.full(len(codes), MEAN_AU), where=total > 0)


def isoforms(transcripts: Iterable[Record], genes_of: Mapping[str, str]) -> pd.DataFrame:
    """The columns target_id, gene_id and target_length that `combine` takes, of transcripts and their genes."""
    rows = [(record.id, genes_of[record.id], len(record.sequence)) for record in transcripts]
    return pd.DataFrame(rows, columns=["target_id", "gene_id", "target_length"])


def combine(table: pd.DataFrame, transcripts: pd.DataFrame, *, how: Isoforms = "mean") -> pd.DataFrame:
    """Rows of genes from those of their transcripts (isoforms).

    What is measured of a gene is the sum of its isoforms. Where nothing tells how much there is of each, the mean takes
    them as equal: a site that all of them have counts whole, one that a third of them have a third.

    Args:
        table: columns mirna_id, target_id and any of max_score, noisy_or, n_sites, repression (`predict.summed`);
            transcripts without a row are not repressed.
        transcripts: columns target_id, gene_id, target_length; every transcript that was searched.
        how: what repression is: mean; max, that of the most repressed isoform; longest, that of the isoform with the
            longest sequence (of equals the first id in the alphabet), the only one that counts at all then. The other
            columns are the largest of any isoform.

    Returns:
        The same columns, `target_id` being the gene: a row for each pair, in the order of its first transcript.

    Raises:
        UsageError: no such way.
        TableError: a transcript of the table is not in `transcripts`, or one is there twice.
    """
    if how not in get_args(Isoforms):
        raise UsageError(f"no way {how!r} to combine isoforms; expected {', '.join(get_args(Isoforms))}")
    if (twice := transcripts["target_id"].duplicated()).any():
        raise TableError(
            f"transcript {transcripts['target_id'][twice].iloc[0]!r} comes twice; expected one gene of each"
        )
    if how == "longest":
        by_length = transcripts.sort_values(["target_length", "target_id"], ascending=[False, True])
        table = table[table["target_id"].isin(by_length.drop_duplicates("gene_id")["target_id"])]
    gene = table["target_id"].map(transcripts.set_index("target_id")["gene_id"])
    if (lost := gene.isna()).any():
        raise TableError(f"transcript {table['target_id'][lost].iloc[0]!r} has no gene")
    columns = {name: "max" for name in table if name not in ("mirna_id", "target_id")}
    if how == "mean" and "repression" in columns:
        columns["repression"] = "sum"
    found = table.assign(target_id=gene).groupby(["mirna_id", "target_id"], sort=False, observed=True).agg(columns)
    found = found.reset_index()
    if how == "mean" and "repression" in columns:
        found["repression"] /= found["target_id"].map(transcripts.groupby("gene_id")["target_id"].size())
    return found
