"""The language model of 3'UTRs that recipes/deepmirnatar.py compares with word2vec.

    python recipes/language_model.py

writes the folder results/language_model (10 minutes on one CPU core of its own; a run that was stopped goes on). It is not part of
the package: 2.2 MB, and word2vec is as good here (docs/decisions/021-language-model.md).
"""

from __future__ import annotations

from pathlib import Path

import torch

from mirscope import cli, datasets, io, language

FOLDER = Path("results/language_model")


def main() -> None:
    cli.start_log()
    torch.set_num_threads(1)
    records = io.iter_fasta(datasets.path("human_3utr_mirmark"), unique=False)
    language.pretrain([record.sequence for record in records], FOLDER, resume=True)


if __name__ == "__main__":
    main()
