"""The bundled weights deepmirnatar: DeepmiRNATar on the data set of its paper.

    python recipes/deepmirnatar.py

trains unless the run is in results/training (20 minutes on one CPU core of its own; a run that was stopped goes on),
then writes src/mirscope/weights/deepmirnatar.safetensors and its model card. Choices saw the validation split only
(docs/decisions/009-deepmirnatar.md); the test split is measured once, here.
"""

from __future__ import annotations

import shutil

import torch

from mirscope import cli, datasets, evaluate, models, train
from mirscope.train import Settings
from mitar import RUNS, background, figures, floors, some_mirnas

NAME = DATA = "deepmirnatar"
CONFIG = {"dropout": 0.2}
SETTINGS = Settings(
    epochs=16,
    patience=99,
    batch_size=128,
    learning_rate=0.003,
    schedule="one-cycle",
    weight_decay=0.05,
    label_smoothing=0.0,
    clip_norm=1.0,
    monitor="auroc",
    random_state=1,
)
JUDGED_ON = [f"{DATA}:test", "deepmirtar_in"]
CARD = """# {name}

DeepmiRNATar, sites of miRAW and DeepMirTar. The network of Peng et al. 2024: word2vec of 4-mers, TextCNN and BiLSTM on
either side, four layers of attention with convolution, {n_parameters:,} parameters; trained by mirscope, not the
authors' weights.

**Use it** to reproduce DeepmiRNATar and to compare with it. **Do not** read a call as a target: see the floors and the
calls on sequence that nothing binds, below.

## Training

- Without labels: word2vec (gensim, skip-gram) of the 4-mers of all mature miRNAs of miRBase 22 (34 dimensions) and of
  MirMark's 3'UTRs (100), the start of the embeddings.
- Data: `{data}` (licence: {licence}), {train:,} training, {valid:,} validation and {test:,} test pairs. {what}.
- Settings: {settings}.
- Kept epoch {best_epoch} of {epochs}: the best validation AUROC, {valid_auroc:.4f} (accuracy {valid_accuracy:.4f}).
- Made by `python recipes/deepmirnatar.py` on one CPU core: the same command gives the same weights.

## Figures

Accuracy at 0.5, AUROC and average precision with 95 % bootstrap intervals. The paper gives AUROC .9915, average
precision .9918, accuracy 95.3 % on the test split and 41 of 48 on DeepMirTarIn.

{figures}

## Floors on the same pairs

AUROC of predictors that do not look at the duplex, or hardly; learned from the training pairs where they learn.

{floors}

## Calls on sequence without known sites

At score 0.5, {n_mirnas} miRNAs of the training pairs, 500 windows each (`mirscope evaluate --background`): share of
windows called, and calls per kb and miRNA at a stride of {stride} nt.

{background}

## Limits

- Trained on human sites against negatives that can be told by the miRNA, or by the gene, alone: the floors say how far
  that goes. The split is by pair: miRNAs, genes and sites of the test pairs are in training too.
- Scores are not calibrated for scans: most windows of a transcript are not like either class of the training pairs.
- Windows of 53 nt; longer targets are scored by their best window. A sequence needs 4 nt without an N to say anything.
"""


def main() -> None:
    cli.start_log()
    torch.set_num_threads(1)
    folder = RUNS / NAME
    if not (folder / "model.safetensors").is_file():
        train.run(NAME, DATA, folder, settings=SETTINGS, config=CONFIG, resume=True)
    shutil.copyfile(folder / "model.safetensors", models.WEIGHTS / f"{NAME}.safetensors")
    (models.WEIGHTS / f"{NAME}.md").write_text(card())
    print(f"written: {models.WEIGHTS / NAME}.safetensors and .md")


def card() -> str:
    """The model card, Markdown."""
    model = models.load(NAME)
    record, entry = model.provenance, datasets.entry(DATA)
    learn = datasets.load_pairs(f"{DATA}:train")
    found = {data: evaluate.evaluate(model, datasets.load_pairs(data), train=learn, threads=2) for data in JUDGED_ON}
    queries = some_mirnas(learn)
    return CARD.format(
        name=NAME,
        n_parameters=sum(parameter.numel() for parameter in model.parameters()),
        data=DATA,
        licence=entry.licence,
        what=entry.what[0].upper() + entry.what[1:],
        **record["n"],
        settings=", ".join(
            f"{key} {value}" for key, value in (CONFIG | record["settings"]).items() if value is not None
        ),
        epochs=record["epochs"],
        best_epoch=record["best_epoch"],
        valid_auroc=record["valid"]["auroc"],
        valid_accuracy=record["valid"]["accuracy"],
        figures=figures(found),
        floors=floors(found),
        n_mirnas=len(queries),
        stride=model.stride,
        background=background(model, queries),
    )


if __name__ == "__main__":
    main()
