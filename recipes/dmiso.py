"""The bundled weights dmiso and dmiso_helwak: DMISO's network on chimeras of CLASH.

    python recipes/dmiso.py

trains them unless they are in results/training (5 minutes each on one CPU core; a run that was stopped goes on), then
writes src/mirscope/weights/NAME.safetensors and its model card NAME.md. Settings were chosen on validation pairs only
(docs/decisions/012-dmiso.md); the test pairs are measured once, here, and the published weights beside ours.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import torch

import mitar
from mirscope import cli, datasets, evaluate, models, train

RUNS = Path("results/training")
CONFIG = {"l1": 0.0001}
ONE_CYCLE = {"schedule": "one-cycle", "learning_rate": 0.005, "clip_norm": 1.0, "random_state": 1}
READ, HELWAK = "clash_hejret2023_realseq", "clash_helwak2013_1to1"
RECIPES = {
    "dmiso": {
        "title": "AGO2 chimeras with the miRNA as read (isomiRs), ten negatives a positive",
        "data": READ,
        "valid": "a fifth of its training part, whole clusters of sites",
        "epochs": 24,
    },
    "dmiso_helwak": {
        "title": "AGO1 chimeras with the first 20 nt of the miRNA, one negative a positive",
        "data": HELWAK,
        "valid": "its own",
        "epochs": 4,
    },
}
JUDGED_ON = {
    f"{READ}:test": READ,
    f"{READ}_1to10_test": READ,
    f"{HELWAK}:test": HELWAK,
    "clash_hejret2023_mirbench:test": "clash_hejret2023_mirbench",
}
"""Pairs, and the set whose training part the floors learn from."""
CARD = """# {name}

DMISO's network (Talukder et al. 2022, Scientific Reports 12:10618): a convolution for each RNA, a BiLSTM along both,
{n_parameters:,} parameters; trained by mirscope on other data than the authors', whose weights these are not.
{title}.

**Use it** on single sites like those of its training. **Do not** read a call in a scan as a target: see the calls on
sequence that nothing binds, below.

## Training

- Data: `{data}` (licence: {licence}), {n[train]:,} training, {n[valid]:,} validation and {n[test]:,} test pairs.
  {what}. Validation pairs: {valid_pairs}.
- Settings: {settings}.
- Kept epoch {best_epoch} of {epochs}: the best validation average precision, {valid[average_precision]:.4f} (AUROC
  {valid[auroc]:.4f}).
- Made by `python recipes/dmiso.py {name}` on one CPU core: the same command gives the same weights.

## Figures

Accuracy at 0.5, AUROC and average precision with 95 % bootstrap intervals. `published` are the authors' weights, which
learned from pairs of Helwak's experiment that are not public (AUROC .9945 on such pairs in the paper).

{figures}

## Floors on the same pairs

AUROC of predictors that do not look at the duplex, or hardly; learned from the training part of the same set.

{floors}

## Calls on sequence without known sites

At score 0.5, {n_mirnas} miRNAs of the training pairs, 500 windows each (`mirscope evaluate --background`): share of
windows called, and calls per kb and miRNA at a stride of {stride} nt.

{background}

## Limits

- Chimeras of one human cell line (HEK293); the sets' own negatives, which re-pair real miRNAs and real sites.
- Three in four of Helwak's test sites are training sites with another miRNA, as its source splits it; of the test
  sites of Hejret's chimeras none is a training site.
- Scores are not calibrated for scans: they hold at the share of negatives of the training pairs.
- Abundances of miRNA and transcript are not used: no public set has them.
"""


def main(names: list[str]) -> None:
    cli.start_log()
    torch.set_num_threads(1)
    for name in names:
        recipe, folder = RECIPES[name], RUNS / name
        if not (folder / "model.safetensors").is_file():
            settings = train.Settings(epochs=recipe["epochs"], monitor="average_precision", **ONE_CYCLE)
            train.run("dmiso", recipe["data"], folder, settings=settings, config=CONFIG, resume=True)
        shutil.copyfile(folder / "model.safetensors", models.WEIGHTS / f"{name}.safetensors")
        (models.WEIGHTS / f"{name}.md").write_text(card(name, recipe))
        print(f"written: {models.WEIGHTS / name}.safetensors and .md")


def card(name: str, recipe: dict) -> str:
    """The model card, Markdown."""
    model, entry = models.load(name), datasets.entry(recipe["data"])
    published = models.import_keras(datasets.path("dmiso_h5"), "dmiso")
    found = {}
    for data, source in JUDGED_ON.items():
        how = {"against": {"published": published}, "train": datasets.load_pairs(f"{source}:train"), "name": name}
        found[data] = evaluate.evaluate(model, datasets.load_pairs(data), threads=2, **how)
    learn = datasets.load_pairs(f"{recipe['data']}:train").query("label == 1 and mirna_id != ''")
    queries = mitar.some_mirnas(learn)
    record = model.provenance
    settings = CONFIG | {key: value for key, value in record["settings"].items() if value is not None}
    return CARD.format(
        name=name,
        title=recipe["title"],
        valid_pairs=recipe["valid"],
        n_parameters=sum(parameter.numel() for parameter in model.parameters()),
        licence=entry.licence,
        what=entry.what,
        **record | {"settings": ", ".join(f"{key} {value}" for key, value in settings.items())},
        figures=figures(found),
        floors=mitar.floors(found),
        n_mirnas=len(queries),
        stride=model.stride,
        background=mitar.background(model, queries),
    )


def figures(found: dict[str, evaluate.Evaluation]) -> str:
    metrics = ("accuracy", "auroc", "average_precision")
    rows = []
    for data, result in found.items():
        for row in result.table[result.table["kind"] == "model"].to_dict("records"):
            rows.append((data, row["predictor"], *(mitar.interval(row, metric) for metric in metrics)))
    return mitar.markdown(("pairs", "weights", "accuracy", "AUROC", "average precision"), rows)


if __name__ == "__main__":
    main(sys.argv[1:] or list(RECIPES))
