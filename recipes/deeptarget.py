"""The bundled weights deeptarget, and what its paper measured: 10-fold cross-validation, and genes.

    python recipes/deeptarget.py            # 40 minutes on one CPU core; goes on where it was stopped

leaves results/deeptarget (cross-validation, training, genes.tsv) and writes src/mirscope/weights/deeptarget.safetensors
and its model card. Settings were chosen on pairs that are not cross-validated (docs/decisions/011-deeptarget.md).
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import torch

from mirscope import cli, datasets, evaluate, experiment, io, metrics, models, negatives, predict, scan, train
from mirscope.models import Model
from mirscope.train import Settings
from mitar import figures, floors, markdown, some_mirnas

NAME = "deeptarget"
RESULTS = Path("results/deeptarget")
SETTINGS = Settings(
    epochs=40, patience=40, batch_size=50, schedule="one-cycle", learning_rate=0.007, clip_norm=1.0, random_state=1
)
N_POSITIVE, N_NEGATIVE = 2891, 3133
CARD = """# deeptarget

deepTarget, sites of DeepMirTar. The network of Lee et al. 2016 (ACM BCB; arXiv 1603.09123): two RNN auto-encoders,
then an RNN over both strands position by position, {n_parameters:,} parameters; trained by mirscope, not the authors'
weights.

**Use it** to reproduce deepTarget and to compare with it. **Do not** read a call as a target: see the floors and the
calls on sequence that nothing binds, below.

## Training

- Data: `deepmirtar` (licence: {licence}), {train:,} training, {valid:,} validation and {test:,} test pairs.
  {what}. The paper's own set is not public.
- Before it, without labels: the encoders of both strands, on the distinct mature miRNAs of miRBase 22 and {n_windows:,}
  windows of MirMark's 3'UTRs, {pretrain_epochs} epochs.
- Settings: {settings}.
- Stopped at epoch {epochs}, kept epoch {best_epoch}: the best validation accuracy, {valid_accuracy:.4f}.
- Made by `python recipes/deeptarget.py` on one CPU core: the same command gives the same weights.

## Figures

Accuracy at 0.5, AUROC and average precision with 95 % bootstrap intervals.

{figures}

As the paper measured, on a subset of DeepMirTar of its size ({n_positive:,} + {n_negative:,} distinct pairs), trained
anew for each tenth, a tenth of the rest choosing the epoch. Mean, lowest and highest of the ten.

{cross_validation}

## Floors on the same pairs

AUROC of predictors that do not look at the duplex, or hardly; learned from the training pairs where they learn.

{floors}

## Genes

A gene is called by its best candidate site. On the ten test splits of deepTargetPro with the candidate sites that are
published with them ({n_sites:,} sites; mean of the splits; a pair without a site counts as 0):

{genes}

These sites pair with the miRNA in parallel (the search complemented the seed without reversing it), so that this says
little about any model.

## Calls on sequence without known sites

At score 0.5, {n_mirnas} miRNAs of the training pairs. All windows: 500 windows each (`mirscope evaluate
--background`), calls per kb at a stride of {stride} nt. Seed candidates, what `mirscope scan` looks at: all those in
{n_transcripts} 3'UTRs of MirMark, and in the same with dinucleotides shuffled.

{background}

## Limits

- Trained on human sites against negatives that can be told by the miRNA alone: the floors say how far that goes.
- Trained on sites of 14-53 nt that end opposite the miRNA's first nucleotides; a scan gives it 53 nt.
- `mirscope scan` sees sites with a seed match only, unless told `--candidates all`; two thirds of DeepMirTar's
  positives have none.
"""


def main() -> None:
    cli.start_log()
    torch.set_num_threads(1)
    runs = cross_validation()
    print(experiment.summary(runs).to_string(index=False))
    folder = RESULTS / "training"
    if not (folder / "model.safetensors").is_file():
        train.run(NAME, "deepmirtar", folder, settings=SETTINGS, resume=True)
    shutil.copyfile(folder / "model.safetensors", models.WEIGHTS / f"{NAME}.safetensors")
    (models.WEIGHTS / f"{NAME}.md").write_text(card(models.load(NAME), runs))
    print(f"written: {models.WEIGHTS / NAME}.safetensors and .md")


def pairs_of_the_papers_size() -> pd.DataFrame:
    """As many pairs as the paper has, drawn from the distinct ones of DeepMirTar."""
    pairs = datasets.load_pairs("deepmirtar").drop_duplicates(["mirna_seq", "target_seq", "label"])
    wanted = ((1, N_POSITIVE), (0, N_NEGATIVE))
    drawn = [pairs[pairs["label"] == label].sample(n, random_state=0) for label, n in wanted]
    return pd.concat(drawn).sample(frac=1, random_state=0, ignore_index=True)


def cross_validation() -> pd.DataFrame:
    """The rows of `experiment.benchmark`: ten parts, each tested once; a tenth of the others chooses the epoch."""
    protocol = experiment.Protocol(rule="kfold", n_runs=10, valid=0.1)
    competitors = [experiment.Competitor(NAME, NAME, settings=SETTINGS)]
    runs = experiment.benchmark(competitors, pairs_of_the_papers_size(), RESULTS / "cv", protocol=protocol)
    experiment.write(runs, RESULTS / "cv")
    return runs


def card(model: Model, runs: pd.DataFrame) -> str:
    """The model card, Markdown."""
    record, entry = model.provenance, datasets.entry("deepmirtar")
    learn = datasets.load_pairs("deepmirtar:train")
    found = {
        data: evaluate.evaluate(model, datasets.load_pairs(data), train=learn)
        for data in ("deepmirtar:test", "deepmirtar_in")
    }
    settings = {key: value for key, value in (vars(model.config) | record["settings"]).items() if value is not None}
    queries = some_mirnas(learn)
    sites = datasets.load_pairs("deeptargetpro_candidate_sites")
    utrs = three_prime_utrs()
    return CARD.format(
        n_parameters=sum(parameter.numel() for parameter in model.parameters()),
        licence=entry.licence,
        what=entry.what,
        **record["n"],
        n_windows=20_000,
        pretrain_epochs=model.config.pretrain_epochs,
        settings=", ".join(f"{key} {value}" for key, value in settings.items() if key != "pretrain_epochs"),
        epochs=record["epochs"],
        best_epoch=record["best_epoch"],
        valid_accuracy=record["valid"]["accuracy"],
        figures=figures(found),
        n_positive=N_POSITIVE,
        n_negative=N_NEGATIVE,
        cross_validation=cross_validated(runs),
        floors=floors(found),
        n_sites=len(sites),
        genes=genes(model, sites),
        n_mirnas=len(queries),
        stride=model.stride,
        n_transcripts=len(utrs),
        background=background(model, queries, utrs),
    )


PUBLISHED = {
    "accuracy": 0.9641,
    "sensitivity": 0.9389,
    "specificity": 0.9706,
    "f1": 0.9105,
    "ppv": 0.8848,
    "npv": 0.9845,
}
"""Of Lee et al. 2016, on their own set."""


def cross_validated(runs: pd.DataFrame) -> str:
    rows = []
    for metric in (*PUBLISHED, "auroc", "average_precision"):
        values, paper = runs[metric], PUBLISHED.get(metric)
        spread = f"{values.mean():.4f} [{values.min():.4f}, {values.max():.4f}]"
        rows.append((metric.replace("_", " "), spread, f"{paper:.4f}" if paper else ""))
    return markdown(("", "here", "paper"), rows)


def three_prime_utrs(n: int = 100) -> list[io.Record]:
    """3'UTRs of MirMark, those after the first of an id left out."""
    records = {}
    for record in io.iter_fasta(datasets.path("human_3utr_mirmark"), unique=False):
        records.setdefault(record.id, record)
    return list(records.values())[:n]


def background(model: Model, queries: list[io.Record], utrs: list[io.Record]) -> str:
    """Rates of calls on all windows and on seed candidates, Markdown."""
    everywhere = io.read_fasta(datasets.path("human_3utr_mirmark"), unique=False)
    found = evaluate.background(model, everywhere, queries, n_windows=500)
    pooled = found[found["mirna_id"] == evaluate.ALL]
    rows = [(f"all, {row.kind}", f"{100 * row.rate:.1f} %", f"{row.calls_per_kb:.1f}") for row in pooled.itertuples()]
    shuffled = [io.Record(r.id, negatives.dinucleotide_shuffle(r.sequence, random_state=0)) for r in utrs]
    settings = scan.Settings(threshold=0, merge=False, duplexes=False)
    for kind, records in (("shuffled", shuffled), ("real", utrs)):
        called = scan.scan(model, queries, records, settings=settings)["score"] >= 0.5
        kb = len(queries) * sum(len(record.sequence) for record in records) / 1000
        rows.append((f"seed candidates, {kind}", f"{100 * called.mean():.1f} %", f"{called.sum() / kb:.2f}"))
    return markdown(("windows", "called", "calls per kb"), rows)


def genes(model: Model, sites: pd.DataFrame) -> str:
    """Means over deepTargetPro's test splits, and the floors on all of them together, Markdown; also genes.tsv."""
    scores = predict.score(model, sites)
    pairs = pd.read_csv(datasets.path("deeptargetpro_gene_level"), sep="\t")
    pairs = pairs[pairs["mirna_seq"].notna()]
    keys = ["mirna_seq", "transcript_id"]
    best = sites.assign(score=scores).groupby(keys).agg(score=("score", "max"), n_sites=("score", "size"))
    pairs = pairs.join(best, on=keys).fillna({"score": 0, "n_sites": 0})
    measured = []
    for split, part in pairs.groupby("split"):
        values = {"auroc": metrics.auroc_score, "average_precision": metrics.average_precision_score}
        row = {"split": split, "n": len(part), "n_without_site": int((part["n_sites"] == 0).sum())}
        row |= {name: score(part["label"], part["score"]) for name, score in values.items()}
        row |= {"accuracy": metrics.accuracy_score(part["label"], part["score"])}
        measured.append(row | {"n_sites_auroc": metrics.auroc_score(part["label"], part["n_sites"])})
    table = pd.DataFrame(measured)
    io.write_table(table, RESULTS / "genes.tsv")
    found = evaluate.evaluate(None, sites, scores=scores, by="gene", name=NAME, n_resamples=200, max_rows=4000)
    rows = [
        (f"{NAME}, mean of the splits", f"{table['auroc'].mean():.3f}", f"{table['accuracy'].mean():.3f}"),
        ("number of sites, mean of the splits", f"{table['n_sites_auroc'].mean():.3f}", ""),
    ]
    for row in found.table.itertuples():
        title = f"{row.predictor}, the {found.n:,} pairs with a site"
        if row.n:
            rows.append((title, f"{row.auroc:.3f}", f"{row.accuracy:.3f}"))
    return markdown(("", "AUROC", "accuracy"), rows)


if __name__ == "__main__":
    main()
