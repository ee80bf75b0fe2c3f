"""The bundled weights dmiso: DMISO's network on chimeras of CLASH.

    python recipes/dmiso.py

trains unless the weights are in results/training/dmiso (15 minutes on one CPU core; a run that was stopped goes on), then
writes src/mirscope/weights/dmiso.safetensors and its model card dmiso.md. It learns from two sets together: Hejret's
chimeras with the miRNA as read and ten negatives a positive, and Helwak's. Settings were chosen on validation pairs only
(docs/decisions/023-dmiso.md); the test pairs are measured once, here, and the published weights beside ours.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import mitar
import pandas as pd
import torch

from mirscope import cli, datasets, evaluate, io, models, predict, runs, splits, train

NAME = "dmiso"
RUN = Path("results/training") / NAME
READ, HELWAK = "clash_hejret2023_realseq", "clash_helwak2013_1to1"
CONFIG = {"l1": 0.0001}
SETTINGS = train.Settings(
    epochs=30,
    patience=30,
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

DMISO's network (Talukder et al. 2022, Scientific Reports 12:10618) on chimeras of CLASH: a convolution for each RNA, a
BiLSTM along both, {n_parameters:,} parameters; trained by mirscope, not the authors' weights, on other data than theirs.

**Use it** on single sites, and for miRNAs as read (isomiRs). **Do not** read a call in a scan as a target: see the
calls on sequence that nothing binds, below.

## Training

- Data: the training parts of `{READ}` (licence: {read_licence}) and of `{HELWAK}` (licence: {helwak_licence});
  {n[train]:,} training and {n[valid]:,} validation pairs. Validation pairs are a fifth of the first's training part, whole clusters of
  sites. {n[dropped]:,} pairs of the second whose site shares 20 nt with a held-out site of the first were dropped.
- Settings: {settings}.
- Kept epoch {best_epoch} of {epochs}: the best validation average precision, {valid[average_precision]:.4f} (AUROC {valid[auroc]:.4f}).
- Made by `python recipes/dmiso.py` on one CPU core: the same command gives the same weights.

## Figures

Accuracy at 0.5, AUROC and average precision with 95 % bootstrap intervals.

{figures}

The weights that the authors published, on the same pairs (they learned from chimeras of the same experiment as Helwak's,
which are not public: AUROC .9945 in the paper, on its own pairs):

{published}

## Floors on the same pairs

AUROC of predictors that do not look at the duplex, or hardly; learned from the training part of the same set.

{floors}

## Calls on sequence without known sites

At score 0.5, {n_mirnas} miRNAs of the training pairs, 500 windows each (`mirscope evaluate --background`): share of
windows called, and calls per kb and miRNA at a stride of {stride} nt.

{background}

## Limits

- Chimeras of one human cell line (HEK293) and their sets' own negatives: re-paired real miRNAs and real sites.
- {{of Helwak's test sites, 77 % are training sites with another miRNA}}
- Scores are not calibrated for scans: nine in ten of the first set's pairs are negative, and half of the second's.
- Abundances of miRNA and transcript are not used: no public set has them.
"""
