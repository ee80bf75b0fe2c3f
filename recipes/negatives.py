"""The tables of docs/negatives.md: how far each kind of negatives can be told from the same positives without a model.

    python recipes/negatives.py

Needs the data sets of the catalogue; ten minutes on one core.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from mirscope import audit, cli, datasets, floors, io, metrics, models, negatives, predict, splits
from mirscope.io import Record
from mitar import markdown

POSITIVES = "clash_hejret2023_mirbench"
TRANSCRIPTS = ("human_3utr_mirmark", "human_3utr_mirzag")
N_PARTS = 5
COLUMNS = {key: floor.title for key, floor in floors.FLOORS.items() if key != "gene_identity"} | {"miranda": "miRanda"}
VARIANTS = {
    "same-transcript": [{}, {"energy": 100.0}, {"energy": -20.0}],
    "matched-window": [{}, {"candidates": 10}],
    "mock-target": [{}, {"alignment": 100.0}],
}
"""Limits other than the defaults that have a row of their own."""


def main(n_positives: int | None = None) -> None:
    cli.start_log(quiet=True)
    torch.set_num_threads(1)
    published = datasets.load_pairs(POSITIVES)
    positives = parted(published[published["label"] == 1])
    if n_positives:
        positives = positives.sample(n_positives, random_state=0).reset_index(drop=True)
    mirnas, sources = io.read_fasta(datasets.path("hsa_mature_mirbase22")), transcripts()
    rows, verdicts = [], []
    for how in negatives.GENERATORS:
        for limits in VARIANTS.get(how, [{}]):
            pairs = negatives.make(positives, how, mirnas=mirnas, transcripts=sources, **limits)
            title = " ".join([how, *(f"--{name} {value:g}" for name, value in limits.items())])
            rows.append((f"`{title}`", *figures(pairs, scores(pairs))))
            print(*rows[-1], sep="\t", flush=True)
            if not limits:
                last = pairs["split"] == str(N_PARTS - 1)
                found = audit.audit(pairs.assign(split=np.where(last, "test", "train")), predictors=list(audit.FLOORS))
                verdicts.append(f"- `{how}`: {found.verdict[0]}")
    test, train = (published[published["split"] == part] for part in ("test", "train"))
    own = floors.all_floors(test, train).assign(miranda=miranda(test))
    rows.append(("miRBench's own, its test part", *figures(test, own)))
    print(*rows[-1], sep="\t", flush=True)
    header = ("negatives", "positives", "negatives", *COLUMNS.values(), "energy, kcal/mol", "G and C")
    text = DOCUMENT.format(table=markdown(header, rows), verdicts="\n".join(verdicts))
    if not n_positives:
        Path("docs/negatives.md").write_text(text)


def parted(positives: pd.DataFrame) -> pd.DataFrame:
    """The positives dealt into parts by whole clusters of sites, each part a split: negatives are made within each."""
    clusters = splits.clusters(positives["target_seq"].tolist())
    part = np.random.default_rng(0).permutation(clusters.max() + 1)[clusters] % N_PARTS
    return positives.assign(split=part.astype(str)).reset_index(drop=True)


def transcripts() -> list[Record]:
    """The human 3'UTRs, under ids of their own."""
    return [
        Record(f"{name}_{number}", record.sequence)
        for name in TRANSCRIPTS
        for number, record in enumerate(io.read_fasta(datasets.path(name), unique=False))
    ]


def scores(pairs: pd.DataFrame) -> pd.DataFrame:
    """Every floor on every pair, learned from the other parts."""
    found = [
        floors.all_floors(pairs[pairs["split"] == part], pairs[pairs["split"] != part])
        for part in sorted(set(pairs["split"]))
    ]
    return pd.concat(found).loc[pairs.index].assign(miranda=miranda(pairs))


def miranda(pairs: pd.DataFrame) -> np.ndarray:
    return predict.score(models.load("miranda"), pairs)


def figures(pairs: pd.DataFrame, found: pd.DataFrame) -> tuple[str, ...]:
    """Counts, AUROC with its interval for each of `COLUMNS`, mean energy and share of G and C of both labels."""
    labels = pairs["label"]
    cells = [f"{(labels == label).sum():,}" for label in (1, 0)]
    for key in COLUMNS:
        row = metrics.summarise(labels, found[key].to_numpy(), probabilities=False).set_index("metric").loc["auroc"]
        cells.append(f"{row['value']:.3f} [{row['low']:.3f}, {row['high']:.3f}]")
    energies = [-found.loc[labels == label, "duplex_energy"].mean() for label in (1, 0)]
    shares = [pairs.loc[labels == label, "target_seq"].str.count("[GC]").mean() / 50 for label in (1, 0)]
    return (*cells, " / ".join(f"{each:.1f}" for each in energies), " / ".join(f"{each:.3f}" for each in shares))


DOCUMENT = """# How negatives give themselves away

{table}

{verdicts}
"""

if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
