"""The bundled weights dmiso: DMISO's network on chimeras of CLASH.

    python recipes/dmiso.py

trains unless the weights are in results/training/dmiso (10 minutes on one CPU core; a run that was stopped goes on),
then writes src/mirscope/weights/dmiso.safetensors and its model card dmiso.md. It learns from two sets together:
Hejret's chimeras with the miRNA as read and ten negatives a positive, and Helwak's. Settings were chosen on validation
pairs only (docs/decisions/023-dmiso.md); the test pairs are measured once, here, and the published weights beside ours.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pandas as pd
import torch

import mitar
from mirscope import cli, datasets, evaluate, io, models, predict, runs, splits, train

NAME = "dmiso"
RUN = Path("results/training") / NAME
READ, HELWAK = "clash_hejret2023_realseq", "clash_helwak2013_1to1"
CONFIG = {"l1": 0.0001}
SETTINGS = train.Settings(
    epochs=24,
    patience=24,
    batch_size=100,
    learning_rate=0.005,
    schedule="one-cycle",
    clip_norm=1.0,
    monitor="average_precision",
    random_state=1,
)
JUDGED_ON = {
    f"{READ}:test": READ,
    f"{READ}_1to10_test": READ,
    f"{HELWAK}:test": HELWAK,
    "clash_hejret2023_mirbench:test": "clash_hejret2023_mirbench",
}
"""Pairs, and the set whose training part the floors learn from."""
CARD = """# dmiso

DMISO's network (Talukder et al. 2022, Scientific Reports 12:10618) on chimeras of CLASH: a convolution for each RNA,
a BiLSTM along both, {n_parameters:,} parameters; trained by mirscope on other data than the authors', whose
weights these are not.

**Use it** on single sites, and for miRNAs as read (isomiRs). **Do not** read a call in a scan as a target: see the
calls on sequence that nothing binds, below.

## Training

- Data: the training parts of `{READ}` (licence: {read_licence}) and of `{HELWAK}` (licence: {helwak_licence});
  {n[train]:,} training and {n[valid]:,} validation pairs. Validation pairs are a fifth of the first's training part,
  whole clusters of sites. {n[dropped]:,} pairs of the second whose site shares 20 nt with a held-out site of the first
  were dropped.
- Settings: {settings}.
- Kept epoch {best_epoch} of {epochs}: the best validation average precision,
  {valid[average_precision]:.4f} (AUROC {valid[auroc]:.4f}).
- Made by `python recipes/dmiso.py` on one CPU core: the same command gives the same weights.

## Figures

Accuracy at 0.5, AUROC and average precision with 95 % bootstrap intervals. `published` are the authors' weights, which
learned from other pairs of Helwak's experiment (AUROC .9945 in the paper, on pairs of their own that are not public).

{figures}

## Floors on the same pairs

AUROC of predictors that do not look at the duplex, or hardly; learned from the training part of the same set.

{floors}

## Calls on sequence without known sites

At score 0.5, {n_mirnas} miRNAs of the training pairs, 500 windows each (`mirscope evaluate --background`): share of
windows called, and calls per kb and miRNA at a stride of {stride} nt.

{background}

## Limits

- Chimeras of one human cell line (HEK293) and their sets' own negatives: re-paired real miRNAs and real sites.
- Three in four of Helwak's test sites are training sites with another miRNA, as its source splits it.
- Scores are not calibrated for scans: nine in ten of the first set's pairs are negative, and half of the second's.
- Abundances of miRNA and transcript are not used: no public set has them.
"""


def main() -> None:
    cli.start_log()
    torch.set_num_threads(1)
    if not (RUN / "model.safetensors").is_file():
        fit()
    model = models.load(RUN / "model.safetensors")
    models.save(model, models.WEIGHTS / f"{NAME}.safetensors")
    (models.WEIGHTS / f"{NAME}.md").write_text(card(model))
    print(f"written: {models.WEIGHTS / NAME}.safetensors and .md")


def pairs() -> tuple[dict[str, pd.DataFrame], int]:
    """Training and validation pairs, and how many of Helwak's training pairs were left out."""
    read, helwak = datasets.load_pairs(READ), datasets.load_pairs(f"{HELWAK}:train")
    read["split"] = splits.carve(read)
    clusters = splits.clusters([*read["target_seq"], *helwak["target_seq"]])
    held_out = clusters[: len(read)][(read["split"] != "train").to_numpy()]
    apart = ~pd.Series(clusters[len(read) :]).isin(held_out)
    learn = pd.concat([read[read["split"] == "train"], helwak[apart]], ignore_index=True)
    return {"train": learn, "valid": read[read["split"] == "valid"]}, int((~apart).sum())


def fit() -> None:
    """Train; leaves the weights, history and run.json in results/training/dmiso."""
    parts, n_dropped = pairs()
    model, history = train.fit(NAME, *parts.values(), RUN, settings=SETTINGS, config=CONFIG, resume=True)
    best = history.iloc[int(history[f"valid_{SETTINGS.monitor}"].to_numpy().argmax())]
    model.provenance = {
        "data": f"{READ}, {HELWAK}",
        "n": {part: len(table) for part, table in parts.items()} | {"dropped": n_dropped},
        "settings": asdict(SETTINGS),
        "epochs": len(history),
        "best_epoch": int(best["epoch"]),
        "valid": {
            key.removeprefix("valid_"): round(float(best[key]), 6) for key in train.HISTORY if key.startswith("valid_")
        },
        "device": predict.device().type,
    }
    models.save(model, RUN / "model.safetensors")
    io.write_tsv([history], RUN / "history.tsv", list(train.HISTORY))
    record = model.provenance | {"model": NAME, "config": asdict(model.config)} | runs.environment()
    runs.write_json(RUN / "run.json", record)
    (RUN / "checkpoint.pt").unlink()


def card(model: models.Model) -> str:
    """The model card, Markdown."""
    published = models.import_keras(datasets.path("dmiso_h5"), NAME)
    found = {}
    for data, source in JUDGED_ON.items():
        learn = datasets.load_pairs(f"{source}:train")
        against = {"published": published}
        table = datasets.load_pairs(data)
        found[data] = evaluate.evaluate(model, table, against=against, train=learn, name=NAME, threads=2).table
    learn = pairs()[0]["train"]
    queries = learn[learn["mirna_id"] != ""].drop_duplicates("mirna_seq").query("label == 1")
    queries = queries.sample(20, random_state=0)
    queries = [io.Record(*row) for row in zip(queries["mirna_id"], queries["mirna_seq"], strict=True)]
    utrs = io.read_fasta(datasets.path("human_3utr_mirmark"), unique=False)
    background = evaluate.background(model, utrs, queries, n_windows=500)
    record = model.provenance
    settings = CONFIG | {key: value for key, value in record["settings"].items() if value is not None}
    return CARD.format(
        n_parameters=sum(parameter.numel() for parameter in model.parameters()),
        read_licence=datasets.entry(READ).licence,
        helwak_licence=datasets.entry(HELWAK).licence,
        **record | {"settings": ", ".join(f"{key} {value}" for key, value in settings.items())},
        figures=figures(found),
        floors=floors(found),
        n_mirnas=len(queries),
        stride=model.stride,
        background=mitar.markdown(
            ("windows", "called", "calls per kb"),
            [
                (row.kind, f"{100 * row.rate:.1f} %", f"{row.calls_per_kb:.1f}")
                for row in background[background["mirna_id"] == evaluate.ALL].itertuples()
            ],
        ),
    )


def figures(found: dict[str, pd.DataFrame]) -> str:
    metrics = ("accuracy", "auroc", "average_precision")
    rows = []
    for data, table in found.items():
        for row in table[table["kind"] == "model"].to_dict("records"):
            rows.append((data, row["predictor"], *(mitar.interval(row, metric) for metric in metrics)))
    return mitar.markdown(("pairs", "weights", "accuracy", "AUROC", "average precision"), rows)


def floors(found: dict[str, pd.DataFrame]) -> str:
    names = [row.predictor for row in next(iter(found.values())).itertuples() if row.kind == "floor"]
    rows = []
    for data, table in found.items():
        values = table.set_index("predictor")["auroc"]
        rows.append((data, *(f"{values[name]:.3f}" if values[name] == values[name] else "" for name in names)))
    return mitar.markdown(("pairs", *names), rows)


if __name__ == "__main__":
    main()
