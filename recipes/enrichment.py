"""Does `mirscope enrich` find the miRNA that was perturbed? docs/enrichment.md: 24 experiments, all human families.

    python recipes/enrichment.py

Each table of edgeR is tested as a user's would be, with what is known of its miRNA hidden: the fold changes of the
genes whose 3'UTR we have, against every family of miRBase. The head that makes repression of a model's sites has seen
no experiment of the family (recipes/genes.py). results/enrichment keeps the sites, under what the model is; without
them a scan of all miRNAs comes first.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from genes import PER_KB, SITE_MODELS, experiments, fit_without, inputs
from mirscope import annotation, cli, datasets, enrich, io, models, plot, repression, rna, scan
from mirscope.io import Record
from mitar import markdown

FOLDER = Path("results/enrichment")
MODELS = [name for name in ("duplex",) if name in models.bundled()]
"""Beside the seed match, which is judged with confounders and without; by heads that have not seen the family."""
BARE, TARGETS = "seed, no confounders", "has a 7mer or 8mer"
SEEN = ("seed_type", "fp_per_kb", "target_length", "relative_place", "local_au")
"""What the head sees of a site."""
DRAWN = "E17"
TOP = 10


def main() -> None:
    cli.start_log(quiet=True)
    FOLDER.mkdir(parents=True, exist_ok=True)
    transcripts, groups = utrs(), enrich.families(io.read_fasta(datasets.path("hsa_mature_mirbase22")))
    names = annotation.names([r.id for r in transcripts], annotation.read_gene_map(datasets.path("utr_to_ensembl")))
    scores = {"seed": enrich.seed_scores(groups, transcripts), TARGETS: hits(groups, transcripts)}
    called = {name: kept(name, groups, transcripts) for name in MODELS}
    held_out = {experiment.name: experiment.family for experiment in experiments()}
    changes = pd.read_csv(datasets.path("funmirbench_de_tables"), sep="\t")
    places, rows, firsts = [], [], {name: [] for name in ("seed", TARGETS, *MODELS)}
    for about in pd.read_csv(datasets.path("funmirbench_experiments"), sep="\t").itertuples():
        path = FOLDER / f"{about.experiment}.tsv"
        changes[changes["experiment"] == about.experiment].drop(columns="experiment").to_csv(
            path, sep="\t", index=False
        )
        experiment = enrich.read_experiment(path, names)
        used, own = experiment.of(transcripts), family_of(about.mirna_seq, groups)
        directions = "both", {"OE": "down", "KO": "up"}[about.experiment_type]
        for name, sites in called.items():  # by a head that has seen no experiment of this family
            weights = fit_without(held_out[about.experiment], ("human", "fly"), SITE_MODELS)
            scores[name] = repressed(sites, weights, groups, len(transcripts))
        found: dict[tuple[str, bool], pd.Series] = {}
        for name, values in scores.items():
            for direction in directions:
                result = enrich.enrich(experiment, groups, values[:, experiment.used], used, direction=direction)
                table = result.table.set_index("mirna_family")
                found[name, direction != "both"] = table.loc[groups[own].name]
                if (name, direction, about.experiment) == ("seed", "both", DRAWN):
                    draw(result)
                if direction == "both":
                    firsts[name].append((result.table.iloc[0], groups[own].seed))
        found[BARE, False] = bare(experiment, scores["seed"][:, experiment.used], own)
        places.append({key: row["rank"] for key, row in found.items()})
        rows.append(line(about, experiment, found, firsts["seed"][-1][0]))
        print(*rows[-1], flush=True)
    text = DOCUMENT.format(
        n_families=f"{len(groups):,}",
        n_genes=len(transcripts),
        drawn=DRAWN,
        firsts="; ".join(f"{name}: {called_first(firsts[name])}" for name in ("seed", *MODELS)),
        summary=markdown(SUMMARY, [summarise(key, [found[key] for found in places]) for key in places[0]]),
        experiments=markdown(header(), rows),
    )
    Path("docs/enrichment.md").write_text(text)


def utrs() -> list[Record]:
    """The 3'UTRs that have a gene; of repeated ids the first."""
    known, found = annotation.read_gene_map(datasets.path("utr_to_ensembl")), {}
    for record in io.iter_fasta(datasets.path("human_3utr_mirmark"), unique=False):
        if record.id in known:
            found.setdefault(record.id, record)
    return list(found.values())


def kept(name: str, groups: list[enrich.Family], transcripts: list[Record]) -> pd.DataFrame:
    """All sites of a model, with numbers of family and transcript; from the file that holds them if there is one."""
    model = models.load(name)
    path = FOLDER / f"{name}-{models.fingerprint(model)[:16]}.parquet"
    if not path.is_file():
        family = {record.id: number for number, group in enumerate(groups) for record in group.mirnas}
        number = {record.id: place for place, record in enumerate(transcripts)}
        codes = {record.id: rna.encode([record.sequence])[0] for record in transcripts}
        mirnas = [record for group in groups for record in group.mirnas]
        settings, parts = scan.Settings(fp_per_kb=PER_KB, duplexes=False), []
        for found in scan.iter_sites(model, mirnas, transcripts, settings=settings, threads=2):
            found = repression.annotate(found, codes).drop(columns=["occupancy"], errors="ignore")
            found = found.assign(
                family=found.pop("mirna_id").map(family), transcript=found.pop("target_id").map(number)
            )
            parts.append(found[["family", "transcript", *SEEN]])
        with io.atomic(path) as partial:
            pd.concat(parts, ignore_index=True).to_parquet(partial)
    return pd.read_parquet(path)


def repressed(sites: pd.DataFrame, weights: np.ndarray, groups: list[enrich.Family], n_transcripts: int) -> np.ndarray:
    """The gene scores of `enrich.model_scores`, by another head."""
    held = 1 / (1 + np.exp(-inputs(sites) @ weights))
    pair = sites["family"].to_numpy(np.int64) * n_transcripts + sites["transcript"].to_numpy(np.int64)
    total = np.bincount(pair, held, len(groups) * n_transcripts).reshape(len(groups), n_transcripts)
    return total / np.array([[len(family.mirnas)] for family in groups])


def hits(groups: list[enrich.Family], transcripts: list[Record]) -> np.ndarray:
    """1 where a transcript has a 7mer or 8mer: what a comparison of targets with all others sees."""
    sites, found = enrich.SeedSites(transcripts), np.zeros((len(groups), len(transcripts)))
    for row, family in enumerate(groups):
        transcript, kind = sites.find(family.seed)
        found[row, transcript[kind < 3]] = 1
    return found


def family_of(mirna: str, groups: list[enrich.Family]) -> int:
    return next(number for number, family in enumerate(groups) if family.seed == mirna[1:8])


def bare(experiment: enrich.Experiment, scores: np.ndarray, own: int) -> pd.Series:
    """The family's row of a test that takes no account of length and GC content."""
    changes = experiment.genes["log_fold_change"].to_numpy()
    table = enrich.test(experiment.gene_means(scores), changes, n_permutations=10_000)
    return table.assign(rank=table["pvalue"].rank(method="min").astype(int)).iloc[own]


def draw(result: enrich.Enrichment) -> None:
    kinds = pd.Categorical(result.genes["site_type"], [*enrich.SITE_TYPES, enrich.NO_SITE])
    ax = plot.cumulative(
        result.genes.assign(site_type=kinds), value="log_fold_change", by="site_type", title=result.drawn
    )
    plot.save(ax, "docs/images/enrichment.svg")


def header() -> tuple[str, ...]:
    others = [f"{name}: {what}" for name in (*MODELS, TARGETS) for what in ("rank", "p")]
    return (
        "",
        "miRNA",
        "",
        "genes",
        "seed: rank",
        "p",
        "q",
        "direction known: rank",
        BARE + ": rank",
        *others,
        "first by seed",
        "its q",
    )


def line(about, experiment: enrich.Experiment, found: dict[tuple[str, bool], pd.Series], first: pd.Series) -> tuple:
    seed = found["seed", False]
    others = [
        cell
        for name in (*MODELS, TARGETS)
        for cell in (found[name, False]["rank"], figure(found[name, False]["pvalue"]))
    ]
    return (
        about.experiment,
        about.mirna_id.removeprefix("hsa-"),
        {"OE": "raised", "KO": "taken away"}[about.experiment_type],
        len(experiment.genes),
        seed["rank"],
        figure(seed["pvalue"]),
        figure(seed["qvalue"]),
        found["seed", True]["rank"],
        int(found[BARE, False]["rank"]),
        *others,
        first["mirna_family"].partition("/")[0].removeprefix("hsa-"),
        figure(first["qvalue"]),
    )


def called_first(firsts: list[tuple[pd.Series, str]]) -> str:
    """In how many experiments the first family has q < 0.05, and is that of the miRNA or shares six nt of its seed."""
    called = [(row["seed"], own) for row, own in firsts if row["qvalue"] < 0.05]
    right = sum(any(own[at : at + 6] in seed for at in (0, 1)) for seed, own in called)
    return f"{len(called)} experiments, {right} of them"


def figure(share: float) -> str:
    return f"{share:.2g}"


SUMMARY = ("gene score", "direction", "median rank", "first", f"in the first {TOP}", "geometric mean of ranks")


def summarise(key: tuple[str, bool], ranks: list[int]) -> tuple:
    values = np.array(ranks, dtype=float)
    return (
        key[0],
        "known" if key[1] else "either",
        f"{np.median(values):g}",
        int((values == 1).sum()),
        int((values <= TOP).sum()),
        f"{np.exp(np.log(values).mean()):.1f}",
    )


DOCUMENT = """# Does enrichment find the miRNA?

Made by recipes/enrichment.py. In each of 24 human experiments (FuNmiRBench: edgeR on RNA-seq; 23 raise a miRNA, one
takes it away) the fold changes of the genes whose 3'UTR is at hand (up to {n_genes}, the well-studied genes of MirMark)
are tested against all {n_families} families of human miRNAs in miRBase 22, by [`mirscope enrich`](commands/enrich.md).
What was perturbed is used for nothing but this table.

## Over the experiments

{summary}

`seed`: sums of seed matches. `duplex`, the default: repression by its sites, here by heads that have seen no experiment
of the family ([genes](genes.md)); the one that ships has seen all.
Direction known: tested for targets down where the miRNA was raised, up where it was taken away. `has a 7mer or 8mer`:
targets against all others, the usual comparison, with the same confounders. `seed, no confounders`: length and GC
content of the 3'UTRs are left alone.

## Each experiment

{experiments}

How often the first family has q < 0.05, and how often it is then that of the miRNA, or shares six nt of its seed:
{firsts}.

**Losing cases.** Where a family is far down, its rank only says that it was not found:

- E33, E34 (miR-450a), E03 (miR-574): 6 and 13 of these 3'UTRs have a 7mer or 8mer of them. With so few targets nothing
  can be seen.
- E02 (miR-204): only half of the genes are in its table, and the source names a mouse cell line for a human experiment.
- E45 (miR-20b): more than 13,000 genes change; what the miRNA does itself is lost among them.
- E36 (miR-1271 taken away): the effect is weak. With the direction known it comes closer, not to the top.
- E11 (miR-126): 19 genes hold a seed match, too few for the seed alone.

![Cumulative fold changes by seed match](images/enrichment.svg)

{drawn}, the family of miR-155: genes by their best seed match.
"""


if __name__ == "__main__":
    main()
