"""Two forms of a miRNA held against each other: the sites and genes that an isomiR gains, loses or changes.

Both are searched as a scan does, each with its own background, so that what is a site is as rarely false for one as for
the other. A site of one form goes with the site of the other that is the nearest to it, and it to that one; where there
is none, the other form is scored in the very same window.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mirscope import io, plot, predict, repression, rna, runs, scan
from mirscope.background import Background
from mirscope.errors import InputError, UsageError
from mirscope.io import Record
from mirscope.models import Model

log = logging.getLogger(__name__)

FP_PER_KB = 0.1
"""False sites of each form in a kb of shuffled transcript, unless the user says otherwise."""
MIN_FOLD = 3.0
"""Ratio of the forms' rates of false sites that is a change, unless the user says otherwise."""
CHANGES = ("gained", "lost", "changed", "kept")
"""What became of a place that is a site of either form."""
GENE_CHANGES = ("gained", "lost", "kept")
"""Of a gene: all of its sites are gained, all are lost, or neither."""
SITE_COLUMNS = (
    "isomir_id",
    "reference_id",
    "target_id",
    "change",
    "reference_score",
    "isomir_score",
    "difference",
    "logit_difference",
    "reference_fp_per_kb",
    "isomir_fp_per_kb",
    "log10_fold",
    "reference_seed_type",
    "isomir_seed_type",
    "start",
    "end",
)
GENE_COLUMNS = (
    "isomir_id",
    "reference_id",
    "target_id",
    "change",
    "reference_score",
    "isomir_score",
    "difference",
    *(f"n_{change}" for change in CHANGES),
    "rank",
)
SUMMARY_COLUMNS = (
    "isomir_id",
    "reference_id",
    "reference_seq",
    "isomir_seq",
    "reference_seed",
    "isomir_seed",
    *(f"sites_{change}" for change in CHANGES),
    *(f"genes_{change}" for change in GENE_CHANGES),
)
_FAR = 2**32  # further than any transcript is long


@dataclass(frozen=True)
class Pair:
    """A miRNA and another form of it."""

    reference: Record
    isomir: Record


@dataclass(frozen=True)
class Compared:
    """What `compare` found."""

    sites: pd.DataFrame
    """Columns `SITE_COLUMNS`: the places that are a site of either form, the largest ratio of rates of an isomiR first.

    Rates, and their ratio (above 0: better bound by the isomiR), are NaN without a background.
    """
    genes: pd.DataFrame
    """Columns `GENE_COLUMNS`: the genes that have one, the largest difference of each isomiR first; the sites of all
    transcripts of a gene are counted."""
    summary: pd.DataFrame
    """Columns `SUMMARY_COLUMNS`: an isomiR a row, in the order of the pairs."""


def pairs_of(references: Sequence[Record], isomirs: Sequence[Record]) -> list[Pair]:
    """Each isomiR with its reference, or with each of its references; in the order of the isomiRs.

    The reference is the one that the isomiR's name gives (`io.references_of`). Where there is one reference only and no
    name gives any, all are held against it. Sequences equal to their reference are no isomiRs.

    Raises:
        InputError: no isomiR has its reference here.
    """
    known: dict[str, Record] = {}
    for record in references:
        if not io.references_of(record.id):
            for name in record.id.split(io.OR_MIRNA):
                known.setdefault(name, Record(name, record.sequence))
    anonymous = not any(io.references_of(record.id) for record in isomirs)
    only = references[:1] if len(references) == 1 and anonymous else []
    found, lost, n_same = [], [], 0
    for record in isomirs:
        names = io.references_of(record.id) or record.id.split(io.OR_MIRNA)
        own = [known[name] for name in names if name in known] or only
        pairs = [Pair(reference, record) for reference in own if reference.sequence != record.sequence]
        found += pairs
        n_same += len(own) > 0 and not pairs
        lost += [record.id] * (not own)
    if not found:
        what = f"no reference of {lost[0]!r} among {len(references)} miRNAs" if lost else "all are their references"
        problem = f"nothing to compare: {what}; an isomiR is named after its reference, as hsa-miR-21-5p;iso_5p:+1"
        raise InputError(problem)
    if lost:
        told = log.warning if len(references) > 1 else log.info
        told("%d of %d isomiRs have no reference here, such as %s; left out", len(lost), len(isomirs), lost[0])
    if n_same:
        log.info("%d of %d sequences are their own reference; left out", n_same, len(isomirs))
    return found


def compare(
    model: Model,
    pairs: Sequence[Pair],
    transcripts: Sequence[Record],
    *,
    settings: scan.Settings | None = None,
    min_fold: float = MIN_FOLD,
    min_difference: float = 0.0,
    genes_of: Mapping[str, str] | None = None,
    isoforms: repression.Isoforms = "mean",
    threads: int = 1,
    report: Callable[[int], None] = lambda n: None,
) -> Compared:
    """What each isomiR gains, loses, changes and keeps of its reference's sites and genes.

    Args:
        model: stays as it is.
        pairs: miRNAs; one id is one sequence.
        transcripts: of any length.
        settings: what is a site, as for a scan; default: as good as `FP_PER_KB`, whatever the model.
        min_fold: smallest ratio of their rates of false sites, where there is a background, that is a change; a place
            whose forms differ by less is kept, even where only one of them is just good enough.
        min_difference: likewise of logits (log odds).
        genes_of: the gene of each transcript; default: each is its own.
        isoforms: how the scores of a gene's transcripts are combined, see `repression.combine`.
        threads: processes that share the work.
        report: called with the nt of transcripts done, as they are done.

    Raises:
        InputError: an id has two sequences, or a miRNA can be none.
    """
    if not min_difference >= 0:
        raise UsageError(f"the smallest difference is {min_difference}; expected 0 or more")
    if not min_fold >= 1:
        raise UsageError(f"the smallest ratio is {min_fold}; expected 1 or more")
    settings = scan.settle(replace(settings or scan.Settings(fp_per_kb=FP_PER_KB), duplexes=False, merge=True), model)
    forms = _forms(pairs)
    weak = settings  # genes count weaker sites too, as the head for repression wants them
    if settings.fp_per_kb:
        weak = replace(settings, fp_per_kb=max(settings.fp_per_kb, repression.load().fp_per_kb))
    background = scan.shuffled_sites(model, forms, transcripts, settings=weak, threads=threads)
    how: dict[str, Any] = {"background": background, "threads": threads}
    least = scan.least_logits(model, forms, transcripts, settings=settings, **how)
    parts = list(scan.iter_sites(model, forms, transcripts, settings=weak, report=report, **how))
    search = _Search(model, forms, list(transcripts), settings, least, background)
    sites = search.placed(parts)
    found = [search.compare(sites, pair, min_fold, min_difference) for pair in pairs]
    summed, in_genes = predict.summed(sites), found
    if genes_of:
        summed = repression.combine(summed, repression.isoforms(transcripts, genes_of), how=isoforms)
        in_genes = [own.assign(target_id=own["target_id"].map(genes_of)) for own in found]
    scores = predict.rank(summed).set_index(["mirna_id", "target_id"])["score"]
    genes = [_genes(pair, own, scores) for pair, own in zip(pairs, in_genes, strict=True)]
    summary = [_summary(*each) for each in zip(pairs, found, genes, strict=True)]
    return Compared(
        pd.concat(found, ignore_index=True),
        pd.concat(genes, ignore_index=True),
        pd.DataFrame(summary, columns=list(SUMMARY_COLUMNS)),
    )


def kind(in_reference: bool, in_other: bool) -> str:
    """What became of a place that is a site in either form."""
    return "changed" if in_reference and in_other else "lost" if in_reference else "gained"


def _forms(pairs: Sequence[Pair]) -> list[Record]:
    forms: dict[str, Record] = {}
    for record in (form for pair in pairs for form in (pair.reference, pair.isomir)):
        if forms.setdefault(record.id, record).sequence != record.sequence:
            raise InputError("reference and isomiR have the same name; expected a name for each", record=record.id)
    return list(forms.values())


@dataclass(frozen=True)
class _Search:
    """What is searched, and by what; sites are of `placed`."""

    model: Model
    forms: Sequence[Record]
    transcripts: Sequence[Record]
    settings: scan.Settings
    least: NDArray[np.float64]
    background: Background | None

    @cached_property
    def number(self) -> dict[str, int]:
        """Of each form."""
        return {form.id: number for number, form in enumerate(self.forms)}

    def placed(self, parts: Iterable[pd.DataFrame]) -> pd.DataFrame:
        """All sites by form and `place`, where on all of the transcripts in a row they start; with their logit and the
        numbers of form and target."""
        sites = pd.concat(parts, ignore_index=True)
        form = sites["mirna_id"].map(self.number).astype(np.int64)
        target = pd.Index([record.id for record in self.transcripts]).get_indexer(pd.Index(sites["target_id"]))
        sites = sites.assign(form=form, target=target, place=target.astype(np.int64) * _FAR + sites["start"])
        sites = sites.sort_values(["form", "place"], ignore_index=True)
        return sites.assign(logit=self.logits(sites["form"], sites))

    def logits(self, form: pd.Series, windows: pd.DataFrame) -> NDArray[np.float64]:
        """The logit (n,) of each form, by its number, in each window."""
        mirnas = [self.forms[number].sequence for number in form]
        texts = self.texts(windows)

        def inputs(batch: slice) -> Sequence[Any]:
            return self.model.encode(mirnas[batch], texts[batch])

        return predict.logits(self.model, len(mirnas), inputs).astype(np.float64)

    def texts(self, windows: pd.DataFrame) -> list[str]:
        """The sequence of each window."""
        columns = (windows[name].tolist() for name in ("target", "start", "end"))
        return [self.transcripts[target].sequence[start:end] for target, start, end in zip(*columns, strict=True)]

    def compare(self, sites: pd.DataFrame, pair: Pair, min_fold: float, min_difference: float) -> pd.DataFrame:
        """`Compared.sites` of a pair."""
        numbers = [self.number[form.id] for form in (pair.reference, pair.isomir)]
        bounds = [np.searchsorted(sites["form"], [number, number + 1]) for number in numbers]
        own = [sites[low:high].reset_index(drop=True) for low, high in bounds]
        near = self.model.reach if self.settings.candidates == "peaks" else self.model.lengths[-1]
        matched = _nearest(own[0]["place"].to_numpy(np.int64), own[1]["place"].to_numpy(np.int64), near)
        alone = [
            each[(each["logit"] >= self.least[number]) & ~each.index.isin(taken)]
            for each, number, taken in zip(own, numbers, matched, strict=True)
        ]
        both = [each.iloc[taken] for each, taken in zip(own, matched, strict=True)]
        here = pd.concat([both[0], alone[0], self.elsewhere(numbers[0], alone[1])])
        there = pd.concat([both[1], self.elsewhere(numbers[1], alone[0]), alone[1]])
        logits = [form["logit"].to_numpy() for form in (here, there)]
        is_site = [values >= self.least[number] for values, number in zip(logits, numbers, strict=True)]
        rates = [self.rates(number, values) for number, values in zip(numbers, logits, strict=True)]
        shift = predict.logit(self.settings.prevalence)
        scores = [predict.probability((each + shift).astype(np.float32)).astype(np.float64) for each in logits]
        place = pd.concat([here, there]).iloc[np.arange(len(here)) + len(here) * ~is_site[0]]
        table = pd.DataFrame(
            {
                "isomir_id": pair.isomir.id,
                "reference_id": pair.reference.id,
                "target_id": place["target_id"].to_numpy(),
                "change": [kind(*each) for each in zip(*is_site, strict=True)],
                "reference_score": scores[0],
                "isomir_score": scores[1],
                "difference": scores[1] - scores[0],
                "logit_difference": logits[1] - logits[0],
                "reference_fp_per_kb": rates[0],
                "isomir_fp_per_kb": rates[1],
                "log10_fold": np.log10(rates[0] / rates[1]),
                "reference_seed_type": here["seed_type"].to_numpy(),
                "isomir_seed_type": there["seed_type"].to_numpy(),
                "start": place["start"].to_numpy(),
                "end": place["end"].to_numpy(),
            }
        )
        small = table["log10_fold"].abs() < np.log10(min_fold)  # never so where rates are not known
        table.loc[small | (table["logit_difference"].abs() < max(min_difference, 1e-6)), "change"] = "kept"
        order = np.argsort(place["place"].to_numpy(), kind="stable")
        table = ordered(table.iloc[order[(is_site[0] | is_site[1])[order]]])
        return table.sort_values("log10_fold", key=np.abs, ascending=False, kind="stable", ignore_index=True)

    def elsewhere(self, number: int, windows: pd.DataFrame) -> pd.DataFrame:
        """These windows for another form, which has no site there; where candidates have to end with its seed, none."""
        form = pd.Series(number, index=windows.index)
        never = self.settings.candidates == "seed"
        mirna = self.forms[number].sequence
        return windows.assign(
            logit=-np.inf if never else self.logits(form, windows),
            seed_type=[rna.seed_type(mirna, text) for text in self.texts(windows)],
        )

    def rates(self, number: int, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        """False sites per kb (n,) of a form's sites as good as these."""
        if not self.background:
            return np.full(len(logits), np.nan)
        return self.background.fp_per_kb(np.full(len(logits), number), logits.astype(np.float32))


def _nearest(
    first: NDArray[np.int64], second: NDArray[np.int64], near: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which of two sorted lists of places are each other's nearest, and nearer than `near`; of equals the lower."""
    if not (len(first) and len(second)):
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)

    def nearest(of: NDArray[np.int64], among: NDArray[np.int64]) -> NDArray[np.int64]:
        right = np.searchsorted(among, of).clip(1, max(len(among) - 1, 1)) if len(among) > 1 else np.zeros(len(of), int)
        left = np.maximum(right - 1, 0)
        return np.where(np.abs(among[left] - of) <= np.abs(among[right] - of), left, right)

    other = nearest(first, second)
    mutual = nearest(second, first)[other] == np.arange(len(first))
    found = np.flatnonzero(mutual & (np.abs(second[other] - first) < near))
    return found, other[found]


def ordered(sites: pd.DataFrame) -> pd.DataFrame:
    """The largest differences of the score first; of equals that of the logit, then as they came."""
    keys = {"score": sites["difference"].abs(), "logit": sites["logit_difference"].abs()}
    order = pd.DataFrame(keys).astype(float).sort_values(["score", "logit"], ascending=False, kind="stable").index
    return sites.loc[order].reset_index(drop=True)


def _genes(pair: Pair, sites: pd.DataFrame, scores: pd.Series) -> pd.DataFrame:
    """`Compared.genes` of a pair, from its sites and the score of each form and target."""
    counts = pd.crosstab(sites["target_id"], sites["change"]).reindex(columns=list(CHANGES), fill_value=0)
    table = counts.add_prefix("n_").reset_index()
    own = [
        scores.reindex(pd.MultiIndex.from_product([[form.id], table["target_id"]])).fillna(0).to_numpy(np.float64)
        for form in (pair.reference, pair.isomir)
    ]
    alone = {name: table[f"n_{name}"].to_numpy() == counts.sum(axis=1).to_numpy() for name in ("gained", "lost")}
    table = table.assign(
        isomir_id=pair.isomir.id,
        reference_id=pair.reference.id,
        change=np.select([alone["gained"], alone["lost"]], ["gained", "lost"], "kept"),
        reference_score=own[0],
        isomir_score=own[1],
        difference=own[1] - own[0],
    )
    table = table.loc[table["difference"].abs().sort_values(ascending=False, kind="stable").index]
    return table.assign(rank=np.arange(len(table)) + 1)[list(GENE_COLUMNS)]


def _summary(pair: Pair, sites: pd.DataFrame, genes: pd.DataFrame) -> tuple[str | int, ...]:
    """A row of `Compared.summary`."""
    forms = pair.reference.sequence, pair.isomir.sequence
    n_sites = (int((sites["change"] == change).sum()) for change in CHANGES)
    n_genes = (int((genes["change"] == change).sum()) for change in GENE_CHANGES)
    return (pair.isomir.id, pair.reference.id, *forms, *(form[1:8] for form in forms), *n_sites, *n_genes)


def write(found: Compared, folder: Path, *, plots: int = 10, settings: dict[str, Any] | None = None) -> list[Path]:
    """Write the tables (sites.tsv, genes.tsv, summary.tsv), gained.bed, lost.bed, pictures and run.json; the files.

    Args:
        found: by `compare`.
        folder: made where it is not there.
        plots: isomiRs that are drawn, the first: plots/NAME.png and .svg.
        settings: of the run, for run.json.
    """
    io.expect_folder(folder)
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / name for name in ("sites.tsv", "genes.tsv", "summary.tsv")]
    columns = SITE_COLUMNS, GENE_COLUMNS, SUMMARY_COLUMNS
    for path, table, names in zip(files, (found.sites, found.genes, found.summary), columns, strict=True):
        io.write_tsv(table, path, names)
    for change, form in (("gained", "isomir"), ("lost", "reference")):
        ours = {f"{form}_{name}": name for name in ("score", "seed_type")} | {"isomir_id": "mirna_id"}
        files.append(folder / f"{change}.bed")
        io.write_bed(found.sites[found.sites["change"] == change].rename(columns=ours).assign(strand="+"), files[-1])
    for isomir, reference in found.summary[["isomir_id", "reference_id"]].head(plots).itertuples(index=False):
        own = found.genes[(found.genes["isomir_id"] == isomir) & (found.genes["reference_id"] == reference)]
        name = f"{isomir} {reference}" if (found.summary["isomir_id"] == isomir).sum() > 1 else isomir
        (folder / "plots").mkdir(exist_ok=True)
        ax = plot.two_forms(own, reference=reference, isomir=isomir)
        files += plot.save_all(ax, folder / "plots", re.sub("[^A-Za-z0-9._+-]", "_", name))
    counts = {change: int((found.sites["change"] == change).sum()) for change in CHANGES}
    files.append(folder / "run.json")
    runs.write_json(files[-1], (settings or {}) | {"sites": counts} | runs.environment())
    return files
