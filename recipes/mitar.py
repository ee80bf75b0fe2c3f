"""The bundled weights mitar, mitar1 and mitar2: miTAR's network on the three data sets of its paper.

    python recipes/mitar_states.py mitar1 mitar2     # on a GPU; leaves results/training/mitar1 and mitar2
    python recipes/mitar.py

trains mitar unless it is in results/training (45 minutes on one CPU core; a run that was stopped goes on), then writes
src/mirscope/weights/NAME.safetensors and its model card NAME.md for all three. Settings were chosen on validation
accuracy only (docs/decisions/008-training-mitar.md); the test split is measured once, here.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pandas as pd
import torch

from mirscope import cli, datasets, evaluate, io, models, train
from mirscope.train import Settings

RUNS = Path("results/training")
ONE_CYCLE = {"schedule": "one-cycle", "learning_rate": 0.005, "clip_norm": 1.0, "random_state": 1}
RECIPES = {
    "mitar": {
        "title": "miTAR, sites of DeepMirTar and miRAW",
        "data": "mirtarraw",
        "config": {"dropout": 0.2},
        "settings": Settings(epochs=110, patience=110, batch_size=100, label_smoothing=0.05, **ONE_CYCLE),
        "judged_on": ["mirtarraw:test", "deepmirtar_left", "miraw_left", "deepmirtar_in", "miraw_in"],
        "paper": "95.5 % accuracy on the test split (mean of 30 splits), 93.8 % on DeepMirTarIn, 95.1 % on miRAWIn",
    },
    "mitar1": {
        "title": "miTAR1, sites of DeepMirTar",
        "data": "deepmirtar",
        "config": {"dropout": 0.2},
        "settings": Settings(epochs=400, patience=400, batch_size=100, **ONE_CYCLE),
        "states": True,
        "judged_on": ["deepmirtar:test", "deepmirtar_in"],
        "paper": "97.9 % accuracy on the test split (mean of 30 splits)",
    },
    "mitar2": {
        "title": "miTAR2, sites of miRAW",
        "data": "miraw",
        "config": {"dropout": 0.2, "target_length": 40},
        "settings": Settings(epochs=90, patience=90, batch_size=200, label_smoothing=0.05, **ONE_CYCLE),
        "states": True,
        "judged_on": ["miraw:test", "miraw_in"],
        "paper": "96.5 % accuracy on the test split (mean of 30 splits)",
    },
}
CARD = """# {name}

{title}. The network of Gu et al. 2021 (BMC Bioinformatics 22:96): CNN and BiLSTM over the joined miRNA and {window}-nt
target window, {n_parameters:,} parameters; trained by mirscope, not the authors' weights.

**Use it** to reproduce miTAR and to compare with it. **Do not** read a call as a target: see the floors and the calls
on sequence that nothing binds, below.

## Training

- Data: `{data}` ({licence}), {train:,} training, {valid:,} validation and {test:,} test pairs. {what}.
- Settings: {settings}.
- Stopped at epoch {epochs}, kept epoch {best_epoch}: the best validation accuracy, {valid_accuracy:.4f}.
- {made}

## Figures

Accuracy at 0.5, AUROC and average precision with 95 % bootstrap intervals. The paper gives {paper}.

{figures}

## Floors on the same pairs

AUROC of predictors that do not look at the duplex, or hardly; learned from the training pairs where they learn.

{floors}

## Calls on sequence without known sites

At score 0.5, {n_mirnas} miRNAs of the training pairs, 500 windows each (`mirscope evaluate --background`): share of
windows called, and calls per kb and miRNA at a stride of {stride} nt.

{background}

## Limits

- Trained on human sites against negatives that can be told by the miRNA alone: the floors say how far that goes.
- Scores are not calibrated for scans: most windows of a transcript are not like either class of the training pairs.
- Windows of {window} nt; longer targets are scored by their best window.
"""
MADE = {
    False: "Made by `python recipes/mitar.py {name}` on one CPU core: the same command gives the same weights.",
    True: "Made on a GPU, {states} (an earlier form of `recipes/mitar_states.py`): another run gives other weights.",
}


def main(names: list[str]) -> None:
    cli.start_log()
    torch.set_num_threads(1)
    for name in names:
        recipe, folder = RECIPES[name], RUNS / name
        if not (folder / "model.safetensors").is_file():
            if "states" in recipe:
                raise SystemExit(f"first: python recipes/mitar_states.py {name}")
            how = {"settings": recipe["settings"], "config": recipe["config"]}
            train.run("mitar", recipe["data"], folder, **how, resume=True)
        shutil.copyfile(folder / "model.safetensors", models.WEIGHTS / f"{name}.safetensors")
        (models.WEIGHTS / f"{name}.md").write_text(card(name, recipe))
        print(f"written: {models.WEIGHTS / name}.safetensors and .md")


def card(name: str, recipe: dict) -> str:
    """The model card, Markdown."""
    model = models.load(name)
    record, entry = model.provenance, datasets.entry(recipe["data"])
    learn = datasets.load_pairs(f"{recipe['data']}:train")
    found = {
        data: evaluate.evaluate(model, datasets.load_pairs(data), train=learn, threads=2)
        for data in recipe["judged_on"]
    }
    settings = recipe["config"] | record["settings"]
    queries = some_mirnas(learn)
    return CARD.format(
        name=name,
        title=recipe["title"],
        window=model.lengths[-1],
        n_parameters=sum(parameter.numel() for parameter in model.parameters()),
        data=recipe["data"],
        licence=f"licence: {entry.licence}",
        what=entry.what,
        **record["n"],
        settings=", ".join(f"{key} {value}" for key, value in settings.items() if value is not None),
        epochs=record["epochs"],
        best_epoch=record["best_epoch"],
        valid_accuracy=record["valid"]["accuracy"],
        made=MADE["states" in recipe].format(name=name, **record),
        paper=recipe["paper"],
        figures=figures(found),
        floors=floors(found),
        n_mirnas=len(queries),
        stride=model.stride,
        background=background(model, queries),
    )


def some_mirnas(pairs: pd.DataFrame) -> list[io.Record]:
    """20 miRNAs of the positives, drawn."""
    drawn = pairs.drop_duplicates("mirna_seq").query("label == 1").sample(20, random_state=0)
    return [io.Record(*row) for row in zip(drawn["mirna_id"], drawn["mirna_seq"], strict=True)]


def background(model: models.Model, queries: list[io.Record]) -> str:
    """Calls of the miRNAs on 500 windows of each kind."""
    utrs = io.read_fasta(datasets.path("human_3utr_mirmark"), unique=False)
    found = evaluate.background(model, utrs, queries, n_windows=500)
    pooled = found[found["mirna_id"] == evaluate.ALL]
    rows = [(row.kind, f"{100 * row.rate:.1f} %", f"{row.calls_per_kb:.1f}") for row in pooled.itertuples()]
    return markdown(("windows", "called", "calls per kb"), rows)


def figures(found: dict[str, evaluate.Evaluation]) -> str:
    rows = []
    for data, result in found.items():
        row = result.table.iloc[0]
        counts = f"{result.n_positive:,} / {result.n - result.n_positive:,}"
        rows.append((data, counts, *(interval(row, metric) for metric in ("accuracy", "auroc", "average_precision"))))
    return markdown(("pairs", "positive / negative", "accuracy", "AUROC", "average precision"), rows)


def floors(found: dict[str, evaluate.Evaluation]) -> str:
    names = next(iter(found.values())).table.query("kind == 'floor'")["predictor"].tolist()
    rows = []
    for data, result in found.items():
        values = result.table.set_index("predictor")["auroc"]
        rows.append((data, *(f"{values[name]:.3f}" if values[name] == values[name] else "" for name in names)))
    return markdown(("pairs", *names), rows)


def interval(row, metric: str) -> str:
    if row[metric] != row[metric]:  # undefined
        return ""
    return f"{row[metric]:.4f} [{row[f'{metric}_low']:.3f}, {row[f'{metric}_high']:.3f}]"


def markdown(header, rows) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


if __name__ == "__main__":
    main(sys.argv[1:] or list(RECIPES))
