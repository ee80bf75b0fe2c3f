"""Which miRNAs' predicted targets shift in an experiment: families of miRNAs ranked by a table of fold changes.

The statistic is the partial correlation, over genes, of the predicted repression by a family with the rank of the log
fold change, given length and GC content of the 3'UTR: long and AU-rich ones hold more sites of nearly every miRNA and
often move together. Permutations of what the confounders leave of the fold changes give the p-value (Freedman and Lane
1983).
"""

from __future__ import annotations

import io as text
import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mirscope import io, plot, predict, repression, rna, runs, scan
from mirscope.annotation import plain_id
from mirscope.errors import InputError, TableError, UsageError
from mirscope.io import Record
from mirscope.models import Model

log = logging.getLogger(__name__)

Matrix = NDArray[np.float64]
Direction = Literal["both", "down", "up"]

SITE_TYPES = ("8mer", "7mer-m8", "7mer-A1", "6mer")
SITE_WEIGHTS = np.array([0.31, 0.16, 0.10, 0.03])
"""Log2 repression by a site of each type, about the mean of transfections (Grimson 2007, Agarwal 2015)."""
NO_SITE = "no site"
COLUMNS = ("mirna_family", "n_targets", "statistic", "pvalue", "qvalue", "rank")
MORE = ("direction", "shift", "correlation", "permutation_pvalue", "seed")
FEWEST_GENES = 30
RESOLVED = 100
"""Permutations at least as extreme, below which a p-value by counting is off by a tenth or more (t's tail gives it)."""
_BLOCK = 512  # permutations at a time


@dataclass(frozen=True)
class Family:
    """miRNAs of one seed (nt 2-8)."""

    seed: str
    mirnas: tuple[Record, ...]

    @property
    def name(self) -> str:
        """Its members with a bar between them, in their order."""
        return "/".join(record.id for record in self.mirnas)


def families(mirnas: Sequence[Record]) -> list[Family]:
    """The miRNAs by their nt 2-8, in the order of the first of each.

    Raises:
        InputError: no miRNA, or one whose nt 2-8 are not all known.
    """
    found: dict[str, list[Record]] = {}
    for record in mirnas:
        seed = record.sequence[1:8]
        if len(seed) < 7 or "N" in seed:
            raise InputError(f"{record.sequence!r} has no nt 2-8; expected a mature miRNA", record=record.id)
        found.setdefault(seed, []).append(record)
    if not found:
        raise InputError("no miRNAs; expected at least one")
    return [Family(seed, tuple(members)) for seed, members in found.items()]


# --------------------------------------------------------------------------------------------------------- predictions


class SeedSites:
    """The seed matches of any miRNA in transcripts that were indexed once."""

    def __init__(self, transcripts: Sequence[Record]) -> None:
        widths = np.array([len(record.sequence) + 1 for record in transcripts], dtype=np.int64)
        codes = rna.encode(["N".join(["", *(record.sequence for record in transcripts), "N" * 6])])[0]
        self._codes, self._ends = codes, np.cumsum(widths)
        length = len(codes) - 6
        value, whole = np.zeros(length, dtype=np.int16), np.ones(length, dtype=bool)
        for offset in range(6):
            letter = codes[offset : offset + length]
            value, whole = 4 * value + np.minimum(letter, 3), whole & (letter != rna.N)
        place = np.flatnonzero(whole)
        self._places = place[np.argsort(value[place], kind="stable")]
        self._first = np.concatenate([[0], np.cumsum(np.bincount(value[place], minlength=4**6))])

    def find(self, seed: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Transcript and type (index in `SITE_TYPES`) of each match to nt 2-8 of a miRNA, (n,) each."""
        target = rna.encode([rna.reverse_complement(seed)])[0].astype(np.int64)  # opposite nt 8 to 2
        six = int((target[1:] * 4 ** np.arange(5, -1, -1)).sum())
        place = self._places[self._first[six] : self._first[six + 1]]
        eighth, first = self._codes[place - 1] == target[0], self._codes[place + 6] == rna.ALPHABET.index("A")
        return np.searchsorted(self._ends, place), np.select([eighth & first, eighth, first], [0, 1, 2], 3)


def seed_scores(groups: Sequence[Family], transcripts: Sequence[Record]) -> Matrix:
    """The sum of `SITE_WEIGHTS` over the seed matches of each family in each transcript (families, transcripts)."""
    sites, scores = SeedSites(transcripts), np.zeros((len(groups), len(transcripts)))
    for row, family in enumerate(groups):
        transcript, kind = sites.find(family.seed)
        scores[row] = np.bincount(transcript, SITE_WEIGHTS[kind], minlength=len(transcripts))
    return scores


def model_scores(
    model: Model,
    groups: Sequence[Family],
    transcripts: Sequence[Record],
    *,
    threads: int = 1,
    report: Callable[[int], None] = lambda n: None,
) -> Matrix:
    """Predicted repression by the sites of a scan (`predict.genes`), mean over each family (families, transcripts).

    Weak sites count too: all that `repression` has learned to weigh. `report` is called with the nt of transcripts
    done, as they are done.
    """
    mirnas = [record for family in groups for record in family.mirnas]
    row = {record.id: number for number, family in enumerate(groups) for record in family.mirnas}
    column = {record.id: number for number, record in enumerate(transcripts)}
    scores = np.zeros((len(groups), len(transcripts)))
    settings = scan.Settings(duplexes=False, fp_per_kb=repression.load().fp_per_kb)
    for sites in scan.iter_sites(model, mirnas, transcripts, settings=settings, threads=threads, report=report):
        found = predict.genes(sites, how="repression")
        rows, columns = found["mirna_id"].map(row).to_numpy(), found["target_id"].map(column).to_numpy()
        np.add.at(scores, (rows, columns), found["score"].to_numpy())
    return scores / np.array([[len(family.mirnas)] for family in groups])


# ---------------------------------------------------------------------------------------------------------- experiment

_CHANGE = ("log2foldchange", "logfc", "log2fc", "logfoldchange", "lfc")
_ADJUSTED = ("padj", "fdr", "adjpval", "qvalue")
_MISSING = ("", "na", "nan", "inf", "-inf")


@dataclass(frozen=True)
class Experiment:
    """The fold changes of genes that have transcripts here, and how the two were joined."""

    genes: pd.DataFrame
    """Columns gene_id, log_fold_change; in the order of the table."""
    used: NDArray[np.int64]
    """Numbers of the transcripts that have a gene here."""
    members: NDArray[np.int64]
    """The gene (row of `genes`) of each of them."""
    report: dict[str, Any]
    """Columns taken, and counts of what was not joined."""

    def of(self, transcripts: Sequence[Record]) -> list[Record]:
        """Those of the transcripts, in the order of the names it was joined by, that have a gene here."""
        return [transcripts[number] for number in self.used.tolist()]

    def gene_means(self, values: Matrix) -> Matrix:
        """Means (rows, genes) over the transcripts of each gene, of values (rows, used transcripts)."""
        order = np.argsort(self.members, kind="stable")
        first = np.flatnonzero(np.diff(self.members[order], prepend=-1))
        return np.add.reduceat(values[:, order], first, axis=1) / np.bincount(self.members)


def read_experiment(path: str | Path, names: pd.DataFrame) -> Experiment:
    """A table of differential expression (DESeq2, edgeR, limma), joined to transcripts by the names of their genes.

    Tab, comma, semicolon or blank separated, as R writes it: row names may have a header of their own, an empty one or
    none. The column of log fold changes is known by its name. The column of genes is the one that, with one kind of
    names, joins the most genes; versions of ids do not matter. Rows without a fold change (NA) do not count; of rows
    that name the same gene the first does.

    Args:
        path: the file; `-` is stdin.
        names: of the gene of each transcript, as `annotation.names` gives them.

    Raises:
        InputError: the file cannot be read, or no gene is joined.
        TableError: no column of log fold changes, or a value that is no number.
    """
    table = _table(path)
    change = _column(table, _CHANGE)
    if change is None:
        found = " ".join(", ".join(map(str, table.columns)).split())
        raise TableError(f"no column of log fold changes (log2FoldChange, logFC); found {found}", path=path, line=1)
    values = pd.to_numeric(table[change], errors="coerce").replace([np.inf, -np.inf], np.nan)
    if (bad := (values.isna() & ~table[change].str.lower().isin(_MISSING)).to_numpy()).any():
        row = int(bad.argmax())
        raise TableError(f"{table[change].iloc[row]!r} in column {change}; expected a number", path=path, line=row + 2)
    plain = {column: table[column].map(plain_id) for column in table if column != change}
    joined = {
        (column, kind): int(ids[ids != ""].drop_duplicates().isin(names[kind]).sum())
        for column, ids in plain.items()
        for kind in names
    }
    (column, kind), n_joined = max(joined.items(), key=lambda item: item[1])
    if not n_joined:
        ours, theirs = names.iloc[0, -1] or names.iloc[0, 0], table.iloc[0, 0]
        problem = f"none of its genes (such as {theirs!r}) has a transcript (such as {ours!r})"
        raise InputError(f"{problem}; --gtf or --genes tells which transcript belongs to which gene", path=path)
    rows = pd.DataFrame({"gene_id": plain[column], "log_fold_change": values})
    n_missing, rows = int(rows["log_fold_change"].isna().sum()), rows.dropna()
    n_repeated, rows = int(rows["gene_id"].duplicated().sum()), rows.drop_duplicates("gene_id")
    genes = rows[rows["gene_id"].isin(names[kind])].reset_index(drop=True)
    place = dict(zip(genes["gene_id"], range(len(genes)), strict=True))
    members = names[kind].map(place).fillna(-1).to_numpy(dtype=np.int64)
    report = {
        "gene_column": str(column),
        "change_column": str(change),
        "joined_by": kind,
        "n_rows": len(table),
        "n_without_change": n_missing,
        "n_repeated": n_repeated,
        "n_genes": len(genes),
        "n_genes_without_transcript": len(rows) - len(genes),
        "n_transcripts": len(names),
        "n_transcripts_without_gene": int((members < 0).sum()),
    }
    if (adjusted := _column(table, _ADJUSTED)) is not None:
        small = pd.to_numeric(table[adjusted], errors="coerce") < 0.05
        report["n_changed"] = int(rows.index.isin(table.index[small]).sum())
    log.info("%s: genes in column %s, log fold changes in %s, joined by %s", path, column, change, kind)
    log.info(
        "%d genes; %d without a transcript, %d without a fold change, %d rows repeat a gene; "
        "%d of %d transcripts are of no gene in the table",
        *(report[key] for key in ("n_genes", "n_genes_without_transcript", "n_without_change", "n_repeated")),
        *(report[key] for key in ("n_transcripts_without_gene", "n_transcripts")),
    )
    used = np.flatnonzero(members >= 0)
    return Experiment(genes, used, members[used], report)


def _table(path: str | Path) -> pd.DataFrame:
    lines = [line for _, line in io.iter_lines(path)]
    if len(lines) < 2:
        raise InputError("no rows; expected a header and a row for each gene", path=path)
    separator = next((mark for mark in "\t,;" if mark in lines[0]), r"\s+")
    try:
        table = pd.read_csv(text.StringIO("\n".join(lines)), sep=separator, dtype="str", keep_default_na=False)
    except (pd.errors.ParserError, ValueError) as error:
        problem = " ".join(str(error).removeprefix("Error tokenizing data. C error:").split())
        raise TableError(f"no table: {problem}", path=path) from None
    if table.empty:
        raise InputError("no rows; expected a header and a row for each gene", path=path)
    if isinstance(table.index, pd.MultiIndex):
        raise TableError(f"more fields than the {table.shape[1]} of the header", path=path, line=2)
    if not isinstance(table.index, pd.RangeIndex):  # R's row names have no header
        table = table.reset_index(names="row names")
    if (short := table.isna().any(axis=1).to_numpy()).any():
        problem = f"fewer fields than the {table.shape[1]} of the header"
        raise TableError(problem, path=path, line=int(short.argmax()) + 2)
    return table.rename(columns={"Unnamed: 0": "first column"})


def _column(table: pd.DataFrame, known: Sequence[str]) -> Any:
    """The first column whose name, without case and punctuation, is one of these."""
    plain = {re.sub(r"[^a-z0-9]", "", str(column).lower()): column for column in reversed(table.columns)}
    return next((plain[name] for name in known if name in plain), None)


# ---------------------------------------------------------------------------------------------------------------- test


def confounders(transcripts: Sequence[Record]) -> Matrix:
    """Log length and GC content of each transcript, their squares and their product (n, 5)."""
    length = np.log([max(len(record.sequence), 1) for record in transcripts])
    gc = [sum(map(record.sequence.count, "GC")) / max(len(record.sequence), 1) for record in transcripts]
    first, second = (_scaled(np.array(column)) for column in (length, gc))
    return np.stack([first, second, first**2, second**2, first * second], axis=1)


def _scaled(values: Matrix) -> Matrix:
    spread = values.std()
    return (values - values.mean()) / (spread if spread > 0 else 1.0)


def test(
    scores: Matrix,
    changes: Matrix,
    confounders: Matrix | None = None,
    *,
    direction: Direction = "both",
    n_permutations: int = 10_000,
    random_state: int = 0,
) -> pd.DataFrame:
    """How the fold changes of genes go with each row of scores, given confounders; a row for each row of scores.

    Changes count by their rank. Ranks and scores are what a linear regression on the confounders leaves; permutations
    of what it leaves of the ranks give `permutation_pvalue`, (b + 1) / (n + 1) with b of n permutations at least as
    extreme. `pvalue` is the same, but for b < 100, where it is the tail of Student's t, the permutation distribution of
    a correlation up to its fourth moment (Pitman 1937); ranks being bounded, that tail is not too thin.

    Args:
        scores: predicted repression (families, genes).
        changes: log fold changes (genes,).
        confounders: (genes, c).
        direction: `down` asks whether high scores go with low changes, `up` the reverse.
        n_permutations: n.
        random_state: of the permutations.

    Returns:
        Columns statistic (t; below 0: high scores go with low changes), correlation, permutation_pvalue, pvalue. NaN,
        and p 1, where the confounders leave nothing of the scores.
    """
    from scipy import stats

    n_genes = len(changes)
    design = np.column_stack([np.ones(n_genes), *([] if confounders is None else [confounders])])
    left, values, _ = np.linalg.svd(design, full_matrices=False)
    basis = left[:, values > 1e-9 * values[0]]  # orthonormal
    freedom = n_genes - basis.shape[1] - 1
    rests, informative = _unit(scores - (scores @ basis) @ basis.T, np.linalg.norm(scores, axis=1))
    ranks = stats.rankdata(changes)
    rest, _ = _unit(ranks - basis @ (basis.T @ ranks), np.linalg.norm(ranks))
    correlation = rests @ rest
    sign = {"both": 0, "down": -1, "up": 1}[direction]

    def extreme(r: Matrix) -> Matrix:
        return sign * r if sign else np.abs(r)

    generator, n_extreme = np.random.default_rng(random_state), np.zeros(len(scores), dtype=np.int64)
    for low in range(0, n_permutations, _BLOCK):
        size = min(_BLOCK, n_permutations - low)
        shuffled = generator.permuted(np.broadcast_to(rest, (size, n_genes)), axis=1)
        length = np.sqrt(1 - ((shuffled @ basis) ** 2).sum(1))
        drawn = extreme(rests @ (shuffled / length[:, None]).T)
        n_extreme += (drawn >= extreme(correlation)[:, None] - 1e-12).sum(1)
    statistic = correlation * np.sqrt(freedom / np.maximum(1 - correlation**2, 1e-12))
    permuted = (n_extreme + 1) / (n_permutations + 1)
    tail = stats.t.sf(extreme(statistic), freedom) * (1 if sign else 2)
    table = pd.DataFrame({"statistic": statistic, "correlation": correlation, "permutation_pvalue": permuted})
    table["pvalue"] = np.where(n_extreme < RESOLVED, tail, permuted)
    table.loc[~informative, ["statistic", "correlation"]] = np.nan
    table.loc[~informative, ["permutation_pvalue", "pvalue"]] = 1.0
    return table


def _unit(values: Matrix, scale: Matrix | np.floating[Any]) -> tuple[Matrix, NDArray[np.bool_]]:
    """Rows of length 1, and which are more than what rounding leaves of `scale`; the others are 0."""
    length = np.linalg.norm(values, axis=-1)
    some = np.asarray(length > 1e-9 * scale)
    return np.where(some[..., None], values / np.where(some, length, 1.0)[..., None], 0.0), some


@dataclass(frozen=True)
class Enrichment:
    """What `enrich` found."""

    table: pd.DataFrame
    """Columns `COLUMNS` and `MORE`, best first."""
    genes: pd.DataFrame
    """The genes tested: gene_id, log_fold_change; of the family drawn: site_type (best seed match) and score."""
    drawn: str
    """Name of that family."""
    report: dict[str, Any]


def enrich(
    experiment: Experiment,
    groups: Sequence[Family],
    scores: Matrix,
    transcripts: Sequence[Record],
    *,
    family: str | None = None,
    direction: Direction = "both",
    min_targets: int = 5,
    n_permutations: int = 10_000,
    random_state: int = 0,
) -> Enrichment:
    """Rank families of miRNAs by how the fold changes of genes go with their predicted repression.

    Of a gene with several transcripts the mean of scores and confounders counts.

    Args:
        experiment: fold changes, joined to transcripts.
        groups: families (`families`).
        scores: predicted repression (families, transcripts), as by `seed_scores` or `model_scores`.
        transcripts: those that the experiment uses (`Experiment.of`), 3'UTRs.
        family: whose genes to give, by a member, its name or its seed; default the best.
        direction: `down` for a miRNA that was raised, `up` for one that was taken away; `both` asks for either.
        min_targets: families with a seed match in fewer genes are left out.
        n_permutations: of the fold changes.
        random_state: of the permutations.

    Raises:
        InputError: too few genes to test.
        UsageError: no such family.
    """
    from scipy import stats

    chosen = None if family is None else _choose(groups, family)
    changes = experiment.genes["log_fold_change"].to_numpy(dtype=np.float64)
    if len(changes) < FEWEST_GENES:
        raise InputError(f"{len(changes)} genes with a fold change and a transcript; expected {FEWEST_GENES} or more")
    targets = experiment.gene_means(seed_scores(groups, transcripts)) > 0
    scores = experiment.gene_means(scores)
    tested = np.flatnonzero(targets.sum(1) >= min_targets)
    if chosen is not None and chosen not in tested:
        raise UsageError(f"{groups[chosen].name} has {targets[chosen].sum()} targets; --min-targets is {min_targets}")
    if not len(tested):
        raise InputError(f"no family has {min_targets} targets among {len(changes)} genes")
    table = test(
        scores[tested],
        changes,
        experiment.gene_means(confounders(transcripts).T).T,
        direction=direction,
        n_permutations=n_permutations,
        random_state=random_state,
    )
    table["mirna_family"] = [groups[number].name for number in tested.tolist()]
    table["seed"] = [groups[number].seed for number in tested.tolist()]
    table["n_targets"] = targets[tested].sum(1)
    inside, outside = targets[tested] @ changes, ~targets[tested] @ changes
    table["shift"] = inside / table["n_targets"] - outside / np.maximum(len(changes) - table["n_targets"], 1)
    table["direction"] = np.select([table["statistic"] < 0, table["statistic"] > 0], ["down", "up"], "none")
    table["qvalue"] = stats.false_discovery_control(table["pvalue"])
    table["number"] = tested
    table = table.sort_values(["pvalue", "permutation_pvalue"], kind="stable", ignore_index=True)
    table["rank"] = table.index + 1
    best = int(table["number"].iloc[0]) if chosen is None else chosen
    kinds = _site_types(groups[best].seed, transcripts, experiment.members, len(changes))
    genes = experiment.genes.assign(site_type=kinds, score=scores[best])
    report = experiment.report | {"n_families": len(groups), "n_tested": len(tested), "drawn": groups[best].name}
    return Enrichment(table[[*COLUMNS, *MORE]], genes, groups[best].name, report)


def _choose(groups: Sequence[Family], name: str) -> int:
    seed = name.upper().replace("T", "U")
    for number, family in enumerate(groups):
        if name == family.name or seed == family.seed or name in (record.id for record in family.mirnas):
            return number
    raise UsageError(f"no family {name!r} among the miRNAs; expected the id of a miRNA or a seed (nt 2-8)")


def _site_types(seed: str, transcripts: Sequence[Record], members: NDArray[np.int64], n_genes: int) -> list[str]:
    """The best seed match of each gene."""
    best = np.full(n_genes, len(SITE_TYPES))
    transcript, kind = SeedSites(transcripts).find(seed)
    np.minimum.at(best, members[transcript], kind)
    return [(*SITE_TYPES, NO_SITE)[number] for number in best]


def write(found: Enrichment, folder: Path, *, settings: dict[str, Any] | None = None) -> list[Path]:
    """Write enrichment.tsv, genes.tsv and the picture of the family drawn, curves.png and .svg, and run.json.

    Args:
        found: by `enrich`.
        folder: made where it is not there.
        settings: of the run, for run.json.

    Returns:
        The files written.
    """
    io.expect_folder(folder)
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / name for name in ("enrichment.tsv", "genes.tsv")]
    io.write_tsv(found.table, files[0], list(found.table.columns))
    genes = found.genes.sort_values(["score", "log_fold_change"], ascending=[False, True], kind="stable")
    io.write_tsv(genes, files[1], list(genes.columns))
    groups = found.genes.assign(site_type=pd.Categorical(found.genes["site_type"], [*SITE_TYPES, NO_SITE]))
    ax = plot.cumulative(groups, value="log_fold_change", by="site_type", title=short(found.drawn))
    files += [*plot.save_all(ax, folder, "curves"), folder / "run.json"]
    best = found.table.head(10)[["mirna_family", "statistic", "pvalue", "qvalue"]].to_dict("records")
    runs.write_json(files[-1], (settings or {}) | found.report | {"best": best} | runs.environment())
    return files


def short(name: str, members: int = 3) -> str:
    """The name of a family with its first members only."""
    parts = name.split("/")
    return name if len(parts) <= members else f"{'/'.join(parts[:members])} and {len(parts) - members} more"
