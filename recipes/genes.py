"""The functional head: sites to repression, judged on miRNA families it has not seen.

    python recipes/genes.py

Needs duplex and duplex_eclip (`python recipes/duplex.py`). Writes src/mirscope/weights/repression.json and the tables
between the markers of docs/genes.md. Sites (two minutes a model on one core) are kept in results/genes. All figures are
of heads that learned from no experiment of the miRNA's family; the head that ships learned from all.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy import optimize, stats

from mirscope import cli, datasets, io, metrics, models, predict, repression, rna, runs, scan, splits
from mirscope.io import Record
from mirscope.repression import CLASSES, MEAN_AU, SHORTEST, Head
from mitar import markdown
from tables import replace as put

Array = NDArray[np.float64]

RESULTS = Path("results/genes")
SITE_MODELS = ("duplex", "duplex_eclip")
"""Models whose sites the head learns from and is judged with; of the second, the per-experiment table."""
SEED_WEIGHTS = dict(zip(CLASSES, (0.31, 0.16, 0.10, 0.03, 0.0, 0.0), strict=True))
"""The floor: mean log2 repression of a site of each type."""
START = np.log([0.31, 0.16, 0.10, 0.03, 0.01, 0.005])
"""ln K of each class before anything is learned, to which the ridge pulls."""
FEWEST = 10
"""Repressed genes from which an experiment has an AUROC."""
FDR = 0.05
PER_KB = 1.0
"""Rate of false sites up to which sites count."""
STRICTER = (0.5, 0.2, 0.1, 0.05)
RIDGE = 1e-3
SPREAD_AU = 0.15
GENE_PARTS = 5


@dataclass(frozen=True)
class Experiment:
    """What happened to genes after a miRNA was raised, or taken away."""

    name: str
    species: str
    mirna: Record
    family: int
    about: str
    genes: NDArray[np.str_]
    repression: Array
    """Log2, with the sign by which targets are above 0."""
    repressed: NDArray[np.bool_] | None
    """Significantly so (human)."""

    @property
    def has_auroc(self) -> bool:
        """Whether enough genes are repressed."""
        return self.repressed is not None and self.repressed.sum() >= FEWEST


# ---------------------------------------------------------------------------------------------------------------- data


@functools.cache
def utrs(species: str) -> dict[str, str]:
    """The 3'UTR of each gene."""
    if species == "fly":
        listed = set(table("fly_transfections")["gene_id"])
        return {r.id: r.sequence for r in io.read_fasta(datasets.path("fly_3utr")) if r.id in listed}
    sequences = {r.id: r.sequence for r in io.read_fasta(datasets.path("human_3utr_mirmark"), unique=False)}
    mapped = table("utr_to_ensembl")
    return dict(zip(mapped["gene_id"], mapped["utr_id"].map(sequences), strict=True))


@functools.cache
def table(name: str) -> pd.DataFrame:
    return pd.read_csv(datasets.path(name), sep="\t")


@functools.cache
def experiments() -> tuple[Experiment, ...]:
    """The 24 human experiments, then the four of the fly."""
    changes = table("funmirbench_de_tables").drop_duplicates(["experiment", "gene_id"])
    changes = changes[changes["gene_id"].isin(utrs("human"))]
    found = []
    for row in table("funmirbench_experiments").itertuples():
        own = changes[changes["experiment"] == row.experiment]
        down = own["logFC"].to_numpy() * (-1 if row.experiment_type == "OE" else 1)
        repressed = (down > 0) & (own["FDR"].to_numpy() < FDR)
        about = f"{row.experiment_type}, {row.cell_line}".removesuffix(", nan")
        mirna = Record(row.mirna_id, row.mirna_seq)
        found.append(Experiment(row.experiment, "human", mirna, 0, about, own["gene_id"].to_numpy(), down, repressed))
    fly = table("fly_transfections").drop_duplicates(["mirna_id", "gene_id"])
    for (name, sequence), own in fly.groupby(["mirna_id", "mirna_seq"]):
        down = -own["logFC"].to_numpy()
        found.append(
            Experiment(name, "fly", Record(name, sequence), 0, "OE, S2", own["gene_id"].to_numpy(), down, None)
        )
    families = splits.families([experiment.mirna.sequence for experiment in found])
    return tuple(replace(e, family=int(family)) for e, family in zip(found, families, strict=True))


@functools.cache
def sites(name: str, species: str) -> pd.DataFrame:
    """All sites of the experiments' miRNAs in the genes' 3'UTRs, with their context."""
    model = models.load(name)
    path = RESULTS / f"{name}-{models.fingerprint(model)[:12]}-{species}.parquet"
    if not path.is_file():
        RESULTS.mkdir(parents=True, exist_ok=True)
        mirnas = list({e.mirna.id: e.mirna for e in experiments() if e.species == species}.values())
        settings = scan.Settings(fp_per_kb=PER_KB, duplexes=False)
        found = scan.scan(model, mirnas, [Record(*item) for item in utrs(species).items()], settings=settings)
        with io.atomic(path) as partial:
            found.drop(columns="occupancy").to_parquet(partial)
    found = pd.read_parquet(path)
    return repression.annotate(found, {gene: rna.encode([sequence])[0] for gene, sequence in utrs(species).items()})


# ----------------------------------------------------------------------------------------------------------------- fit


@dataclass(frozen=True)
class Examples:
    """The sites of an experiment: what the head sees of each (n, p), and the number of its gene."""

    experiment: Experiment
    inputs: Array
    gene: NDArray[np.int64]

    @functools.cached_property
    def wanted(self) -> Array:
        """The repression of each gene as a normal quantile: outliers of log fold changes count no more than ranks."""
        ranks = stats.rankdata(self.experiment.repression)
        return standard(stats.norm.ppf((ranks - 0.5) / len(ranks)))

    def rarer(self, fp_per_kb: float) -> Examples:
        """With the sites of at most so many false ones per kb."""
        rows = self.inputs[:, len(CLASSES) : len(CLASSES) + 2].sum(1) >= -np.log10(fp_per_kb)
        return replace(self, inputs=self.inputs[rows], gene=self.gene[rows])

    def only(self, kept: NDArray[np.bool_]) -> Examples:
        """With these of the genes."""
        number, rows = np.cumsum(kept) - 1, kept[self.gene]
        own = self.experiment
        fewer = replace(own, genes=own.genes[kept], repression=own.repression[kept], repressed=None)
        return Examples(fewer, self.inputs[rows], number[self.gene[rows]])


def standard(values: Array) -> Array:
    return (values - values.mean()) / np.sqrt(((values - values.mean()) ** 2).sum())


@functools.cache
def examples(name: str) -> tuple[Examples, ...]:
    found = []
    for experiment in experiments():
        own = sites(name, experiment.species)
        own = own[own["mirna_id"] == experiment.mirna.id]
        gene = pd.Index(experiment.genes).get_indexer(own["target_id"])
        found.append(Examples(experiment, inputs(own[gene >= 0]), gene[gene >= 0]))
    return tuple(found)


def inputs(own: pd.DataFrame) -> Array:
    """What `Head.affinity` weighs; classes as steps down from the best, so that they stay in order."""
    kind = pd.Index(CLASSES).get_indexer(own["seed_type"].replace("", "none"))[:, None]
    rarity = -np.log10(own["fp_per_kb"].to_numpy())
    none = kind[:, 0] == CLASSES.index("none")
    length = np.log10(np.maximum(own["target_length"].to_numpy(), SHORTEST) / 1000)
    numbers = [rarity * ~none, rarity * none, length, own["relative_place"], (own["local_au"] - MEAN_AU) / SPREAD_AU]
    return np.column_stack([kind >= np.arange(len(CLASSES)), *numbers]).astype(float)


BEGIN = np.concatenate([START[:1], np.diff(START), np.zeros(5)])
BOUNDS = [(None, None), *[(None, 0)] * (len(CLASSES) - 1), (0, None), (0, None), (None, 0), (None, 0), (0, None)]
"""Better classes, rarer sites, shorter transcripts, places nearer the start, more A and U: never less affinity."""


def as_head(weights: Array) -> Head:
    n = len(CLASSES)
    classes = dict(zip(CLASSES, np.cumsum(weights[:n]).round(3).tolist(), strict=True))
    rarity, rarity_none, length, place, au = weights[n:].tolist()
    return Head(classes, *np.round([rarity, rarity_none, length, place, au / SPREAD_AU], 3).tolist(), PER_KB)


def fit(known: Sequence[Examples]) -> Array:
    """Weights of most mean correlation of score and wanted repression, over experiments, each species counting half."""
    counts = pd.Series([e.experiment.species for e in known]).value_counts()

    def loss(weights: Array) -> tuple[float, Array]:
        value, slope = RIDGE * ((weights - BEGIN) ** 2).sum(), 2 * RIDGE * (weights - BEGIN)
        for e in known:
            held = occupancy(e, weights)
            score = np.bincount(e.gene, held, len(e.wanted))
            spread = np.sqrt(((score - score.mean()) ** 2).sum())
            r = standard(score) @ e.wanted
            by_gene = (e.wanted - r * standard(score)) / spread
            share = 1 / (len(counts) * counts[e.experiment.species])
            value -= share * r
            slope = slope - share * (by_gene[e.gene] * held * (1 - held)) @ e.inputs
        return value, slope

    return optimize.minimize(loss, BEGIN, jac=True, method="L-BFGS-B", bounds=BOUNDS).x


def occupancy(e: Examples, weights: Array) -> Array:
    return 1 / (1 + np.exp(-e.inputs @ weights))


def scores(e: Examples, weights: Array) -> Array:
    return np.bincount(e.gene, occupancy(e, weights), len(e.wanted))


# --------------------------------------------------------------------------------------------------------------- judge


def held_out(
    name: str,
    *,
    learn: Sequence[str] = ("human", "fly"),
    site_models: Sequence[str] = SITE_MODELS,
    fp_per_kb: float = PER_KB,
) -> list[Array]:
    """The scores of each experiment's genes by a head that learned from the other families, of these species.

    It learned from all sites; those that are scored have at most so many false ones per kb.
    """
    found = []
    for e in examples(name):
        weights = fit_without(e.experiment.family, tuple(learn), tuple(site_models))
        found.append(scores(e.rarer(fp_per_kb), weights))
    return found


@functools.cache
def fit_without(family: int, learn: tuple[str, ...], site_models: tuple[str, ...]) -> Array:
    return fit(
        [
            e
            for name in site_models
            for e in examples(name)
            if e.experiment.family != family and e.experiment.species in learn
        ]
    )


@functools.cache
def parts() -> pd.Series:
    """The part that each gene is dealt to."""
    genes = sorted({gene for experiment in experiments() for gene in experiment.genes})
    return pd.Series(np.random.default_rng(0).permutation(len(genes)) % GENE_PARTS, index=genes)


def held_out_genes(name: str) -> list[Array]:
    """The same, by heads that have seen neither the family nor the gene."""
    found = []
    for e in examples(name):
        part, score = parts()[e.experiment.genes].to_numpy(), np.zeros(len(e.wanted))
        for number in range(GENE_PARTS):
            score[part == number] = scores(e, fit_without_part(e.experiment.family, number))[part == number]
        found.append(score)
    return found


@functools.cache
def fit_without_part(family: int, number: int) -> Array:
    known = [e for name in SITE_MODELS for e in examples(name) if e.experiment.family != family]
    return fit([e.only((parts()[e.experiment.genes] != number).to_numpy()) for e in known])


def floor(experiment: Experiment, value) -> Array:
    """A number of each gene from its counts of seed matches (each counted as its best class) and its 3'UTR's length."""
    mirna = rna.encode([experiment.mirna.sequence])[0]
    found = []
    for gene in experiment.genes:
        sequence = utrs(experiment.species)[gene]
        fits = rna.seed_matches(mirna, rna.encode([sequence])[0])
        best = fits[:, fits.any(0)].argmax(0)
        found.append(value(np.bincount(best, minlength=len(CLASSES)), len(sequence)))
    return np.array(found, float)


FLOORS = {
    "length of the 3'UTR": lambda counts, length: length,
    "number of 7mers and 8mers": lambda counts, length: counts[:3].sum(),
    "seed classes, weighted": lambda counts, length: counts @ np.array(list(SEED_WEIGHTS.values())),
}
REFERENCE = list(FLOORS)[-1]


def best_site(name: str) -> list[Array]:
    """The rarity of the best site of each gene: what a site model alone says."""
    found = []
    for e in examples(name):
        score, rarity = np.zeros(len(e.wanted)), e.inputs[:, len(CLASSES) : len(CLASSES) + 2].sum(1)
        np.maximum.at(score, e.gene, rarity + 1e-9)
        found.append(score)
    return found


def measures(experiment: Experiment, score: Array) -> dict[str, float]:
    spearman = float(stats.spearmanr(score, experiment.repression)[0])
    auroc = metrics.auroc_score(experiment.repressed.astype(int), score) if experiment.has_auroc else np.nan
    pearson = float(np.corrcoef(score, experiment.repression)[0, 1])
    return {"auroc": auroc, "spearman": spearman, "pearson": pearson}


def judged(found: list[Array]) -> pd.DataFrame:
    """The measures of each experiment, by its name."""
    rows = [measures(e, score) for e, score in zip(experiments(), found, strict=True)]
    return pd.DataFrame(rows, index=[e.name for e in experiments()])


COLUMNS = (("auroc", "human"), ("spearman", "human"), ("pearson", "fly"), ("spearman", "fly"))


def values(measured: pd.DataFrame, metric: str, species: str) -> Array:
    """Of the experiments that have an AUROC (human), or of all (fly)."""
    usable = [e.name for e in experiments() if e.species == species and (e.has_auroc or species == "fly")]
    return measured.loc[usable, metric].to_numpy()


def mean(numbers: Array, *, sign: str = "") -> str:
    """The mean with its 95 % interval over experiments (bootstrap)."""
    drawn = stats.bootstrap((numbers,), np.mean, n_resamples=10_000, method="percentile", rng=0).confidence_interval
    return f"{numbers.mean():{sign}.3f} [{drawn.low:{sign}.3f}, {drawn.high:{sign}.3f}]"


def summary(rows: dict[str, pd.DataFrame]) -> str:
    cells = [(title, *(mean(values(found, *column)) for column in COLUMNS)) for title, found in rows.items()]
    header = ("", "human: AUROC", "human: Spearman", "fly: Pearson", "fly: Spearman")
    return markdown(header, cells)


def compared(rows: dict[str, pd.DataFrame], against: pd.DataFrame) -> str:
    """Paired: the mean difference over experiments, and how many are won; p of Wilcoxon's signed ranks."""
    lines = []
    for title, found in rows.items():
        cells = []
        for metric, species in COLUMNS[:3]:
            gain = values(found, metric, species) - values(against, metric, species)
            p = stats.wilcoxon(gain).pvalue
            cells.append(f"{mean(gain, sign='+')}, {(gain > 0).sum()} of {len(gain)} (p {p:.2g})")
        lines.append((title, *cells))
    return markdown(("less the seed classes", "human: AUROC", "human: Spearman", "fly: Pearson"), lines)


def per_experiment(found: pd.DataFrame, against: pd.DataFrame) -> str:
    lines = []
    for e in experiments():
        metric = "auroc" if e.species == "human" else "pearson"
        has = e.species == "fly" or e.has_auroc
        pairs = [(against.loc[e.name, m], found.loc[e.name, m]) for m in ((metric, "spearman"))]
        cells = [f"{a:.3f} | {b:.3f}{' (loses)' if b < a else ''}" for a, b in pairs]
        repressed = "" if e.repressed is None else int(e.repressed.sum())
        lines.append((e.name, e.mirna.id, e.about, len(e.genes), repressed, cells[0] if has else " | ", cells[1]))
    header = ("", "miRNA", "", "genes", "repressed", "AUROC (fly: Pearson), seed classes", "head")
    return markdown((*header, "Spearman, seed classes", "head"), lines)


def coefficients(head: Head) -> str:
    texts = [(f"class: {name}", f"{value:+.2f}", "") for name, value in head.classes.items()]
    for name, what in (
        ("rarity", "ten times fewer false sites per kb, sites with a seed match"),
        ("rarity_none", "the same, sites without"),
        ("length", "a transcript ten times as long"),
        ("place", "at the end of the transcript rather than at its start"),
        ("local_au", "nothing but A and U beside the site rather than none"),
    ):
        texts.append((f"`{name}`", f"{getattr(head, name):+.2f}", what))
    return markdown(("", "ln K", "for"), texts)


def main() -> None:
    cli.start_log(quiet=True)
    torch.set_num_threads(1)
    floors = {title: judged([floor(e, value) for e in experiments()]) for title, value in FLOORS.items()}
    rows, best = dict(floors), {}
    for name in SITE_MODELS:
        rows[f"best site of {name}"] = judged(best_site(name))
    for name in SITE_MODELS:
        print(name, flush=True)
        best[name] = judged(held_out(name))
        rows[f"**head**, sites of {name}"] = best[name]
        rows[f"{name}: family and gene held out"] = judged(held_out_genes(name))
        rows[f"{name}: learned from human alone"] = judged(held_out(name, learn=["human"]))
        rows[f"{name}: learned from fly alone"] = judged(held_out(name, learn=["fly"]))
        rows[f"{name}: learned from its sites alone"] = judged(held_out(name, site_models=[name]))
    head = as_head(fit([e for name in SITE_MODELS for e in examples(name)]))
    for name in SITE_MODELS:
        rows[f"{name}: as shipped (has seen these experiments)"] = judged(shipped(head, name))
    print(summary(rows), flush=True)
    figures = {
        name: {
            f"{species}_{metric}": round(values(best[name], metric, species).mean(), 4) for metric, species in COLUMNS
        }
        for name in SITE_MODELS
    }
    weights = {name: models.fingerprint(models.load(name)) for name in SITE_MODELS}
    about = {"families_held_out": figures, "sites": weights, "made_by": "python recipes/genes.py"}
    runs.write_json(repression.HEAD, {"head": asdict(head), "provenance": about})
    against = floors[REFERENCE]
    put("docs/genes.md", "summary", summary(rows))
    stricter = {f"{name}, {r:g} per kb": judged(held_out(name, fp_per_kb=r)) for name in SITE_MODELS for r in STRICTER}
    put("docs/genes.md", "rates", summary(stricter))
    put("docs/genes.md", "paired", compared({name: best[name] for name in SITE_MODELS}, against))
    put("docs/genes.md", "experiments", per_experiment(best[SITE_MODELS[-1]], against))
    put("docs/genes.md", "coefficients", coefficients(head))
    print(json.dumps(asdict(head)), repression.HEAD.stat().st_size, "bytes")


def shipped(head: Head, name: str) -> list[Array]:
    """The scores of a head, by the function that users call."""
    by_species = {}
    for species in ("human", "fly"):
        own = sites(name, species)
        by_species[species] = predict.genes(own.assign(occupancy=head.occupancy(own)), how="repression")
    found = []
    for e in experiments():
        table = by_species[e.species]
        own = table[table["mirna_id"] == e.mirna.id].set_index("target_id")["score"]
        found.append(own.reindex(e.genes).fillna(0.0).to_numpy())
    return found


if __name__ == "__main__":
    main()
