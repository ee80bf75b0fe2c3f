"""The tables of docs/negatives.md: how far each kind of negatives can be told from the same positives without a model,
and what a network learns from each.

    python recipes/negatives.py

Needs the data sets of the catalogue; a quarter of an hour on one core. Pairs and
networks are kept in results/negatives.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from mirscope import audit, cli, datasets, floors, io, metrics, models, negatives, predict, splits, train
from mirscope.io import Record
from mitar import markdown

POSITIVES = "clash_hejret2023_mirbench"
TRANSCRIPTS = ("human_3utr_mirmark", "human_3utr_mirzag")
RUNS = Path("results/negatives")
PARTS = ("train", "train", "train", "valid", "test")
"""What each part of the positives is for the network; the floors learn from all parts but one, and are asked that."""
COLUMNS = {key: floor.title for key, floor in floors.FLOORS.items() if key != "gene_identity"} | {"miranda": "miRanda"}
VARIANTS: dict[str, list[dict[str, float]]] = {
    "same-transcript": [{}, {"energy": 100}, {"energy": -20}],
    "matched-window": [{}, {"candidates": 10}],
    "mock-target": [{}, {"alignment": 100}],
}
"""Limits other than the defaults that have a row of their own."""
ENOUGH = 1000
"""Positives from which a network is trained."""
NETWORK, CONFIG = "mitar", {"dropout": 0.3}
SETTINGS = train.Settings(
    epochs=12, patience=12, batch_size=64, schedule="one-cycle", clip_norm=1.0, monitor="average_precision"
)


def main() -> None:
    cli.start_log(quiet=True)
    torch.set_num_threads(1)
    RUNS.mkdir(parents=True, exist_ok=True)
    published = datasets.load_pairs(POSITIVES)
    positives = parted(published[published["label"] == 1])
    made, rows = {}, []
    for how in negatives.GENERATORS:
        for limits in VARIANTS.get(how, [{}]):
            title = " ".join([how, *(f"--{name} {value:g}" for name, value in limits.items())])
            made[title] = pairs = kept(title, positives, how, limits)
            rows.append((f"`{title}`", *figures(pairs, scores(pairs))))
            print(*rows[-1], sep="\t", flush=True)
    test, learned_from = (published[published["split"] == part] for part in ("test", "train"))
    own = floors.all_floors(test, learned_from).assign(miranda=miranda(test))
    rows.append(("miRBench's own, its test part", *figures(test, own)))
    plain = {how: divided(pairs) for how, pairs in made.items() if how in negatives.GENERATORS}
    header = ("negatives", "positives", "negatives", *COLUMNS.values(), "energy, kcal/mol", "G and C")
    text = DOCUMENT.format(
        floors=markdown(header, rows),
        verdicts="\n".join(f"- `{how}`: {verdict(pairs)}" for how, pairs in plain.items()),
        learned=learned({how: pairs for how, pairs in plain.items() if len(pairs) > ENOUGH}),
    )
    Path("docs/negatives.md").write_text(text)


def kept(title: str, positives: pd.DataFrame, how: str, limits: dict[str, float]) -> pd.DataFrame:
    """The positives with negatives, from the file that holds them if there is one."""
    path = RUNS / f"{title}.tsv.gz"
    if not path.is_file():
        mirnas = io.read_fasta(datasets.path("hsa_mature_mirbase22"))
        pairs = negatives.make(positives, how, mirnas=mirnas, transcripts=transcripts(), **limits)
        io.write_table(pairs, path)
    return io.read_pairs(path)


def parted(positives: pd.DataFrame) -> pd.DataFrame:
    """The positives dealt into parts by whole clusters of sites, each part a split: negatives are made within each."""
    clusters = splits.clusters(positives["target_seq"].tolist())
    part = np.random.default_rng(0).permutation(clusters.max() + 1)[clusters] % len(PARTS)
    return positives.assign(split=part.astype(str)).reset_index(drop=True)


def divided(pairs: pd.DataFrame) -> pd.DataFrame:
    """The parts as train, valid and test."""
    return pairs.assign(split=pairs["split"].map(dict(zip("01234", PARTS, strict=True))))


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
    cells += [auroc(labels, found[key].to_numpy()) for key in COLUMNS]
    energies = [-found.loc[labels == label, "duplex_energy"].mean() for label in (1, 0)]
    targets = [pairs.loc[labels == label, "target_seq"] for label in (1, 0)]
    shares = [each.str.count("[GC]").sum() / each.str.len().sum() for each in targets]
    return (*cells, " / ".join(f"{each:.1f}" for each in energies), " / ".join(f"{each:.3f}" for each in shares))


def auroc(labels: pd.Series, values: np.ndarray) -> str:
    row = metrics.summarise(labels, values, probabilities=False).set_index("metric").loc["auroc"]
    return f"{row['value']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"


def verdict(pairs: pd.DataFrame) -> str:
    """What `mirscope audit` says first, of train and test."""
    return audit.audit(pairs, predictors=list(audit.FLOORS)).verdict[0]


def learned(made: dict[str, pd.DataFrame]) -> str:
    """AUROC of a network trained on each kind of negatives (row) on test pairs of each kind (column)."""
    rows = []
    for how, pairs in made.items():
        parts = [pairs[pairs["split"] == part].reset_index(drop=True) for part in ("train", "valid")]
        model, _ = train.fit(NETWORK, *parts, RUNS / how, settings=SETTINGS, config=CONFIG, resume=True)
        tests = [other[other["split"] == "test"] for other in made.values()]
        rows.append((f"`{how}`", *(auroc(test["label"], predict.score(model, test)) for test in tests)))
        print(*rows[-1], sep="\t", flush=True)
    return markdown(("trained on", *(f"`{how}`" for how in made)), rows)


DOCUMENT = """# How negatives give themselves away

Made by `python recipes/negatives.py`. What each way is: [`mirscope negatives`](commands/negatives.md); why it is made
so: [decision 028](decisions/028-negatives.md).

The same positives each time: AGO2 chimeras (`clash_hejret2023_mirbench`, target sites of 50 nt), one negative for each.
Windows are of human 3'UTRs (MirMark, MIRZA-G), which hold few of these sites: `same-transcript` is of few pairs.

## Without a model

AUROC [95 % interval, bootstrap of the pairs]: .5 is guessing, 1 and 0 are telling them apart. The positives are in five
parts, whole clusters of sites in each, and the negatives of each part are made of that part alone; what learns (the
first three) learns from four parts and is asked about the fifth.

{floors}

- **The first three columns read one strand.** What they know is not binding. Away from .5, on either side, a network
  will learn that first, and no figure on such pairs says that it reads the other strand.
- **The others read both strands and learn nothing.** They rank real sites above others, and should: they are what a
  model has to pass on that set. How high they stand depends on the negatives: the same rule looks good beside easy
  ones. Where the negatives were chosen by what the rule looks at, it fails, or turns round.
- The last two columns are means, positives / negatives: energy of the duplex (RNAduplex), share of G and C.
- `repaired` alone is at .5 in all three. Real sequence is told from its dinucleotides shuffled, and sites of chimeras,
  many in coding sequence, from windows of 3'UTRs, even where composition and energy are matched: take transcripts of
  the kind that the positives are of. Mocks are told by the miRNA alone, whatever their target.

What [`mirscope audit`](commands/audit.md) says first of each:

{verdicts}

## What a network learns from each

miTAR's network trained on three of the five parts, stopped by the fourth, tested on the fifth: a row for each kind of
negatives it learned from, a column for each kind it is asked about (about 900 positives and as many negatives, the same
positives in all; one random state). On the diagonal is the figure a paper would print.

{learned}

A network that learned from mocks knows mocks, and nothing of the sites: on the same positives beside `repaired` it
guesses. What it learned from windows and shuffles it can use on other windows and shuffles. From `repaired`
and `matched-window`, which give little away, this network of 110,970 parameters learns next to nothing in so few pairs,
though of the first energy alone ranks far more ([what other networks learn](evaluation.md)).
"""

if __name__ == "__main__":
    main()
